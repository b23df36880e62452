//! What goes wrong: attackers, crashes, full disks. Nothing that was acknowledged is lost, and the rest go on.

use crate::support::{Client, Server, eventually, now_ns, payload, read};
use flate2::Compression;
use flate2::write::GzEncoder;
use pannier_monitor::simulate::{Device, Mood, Payload};
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

#[test]
fn a_gzip_bomb_is_stopped_at_the_limit() {
    let server = Server::start();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    for _ in 0..512 {
        encoder.write_all(&[b' '; 1 << 20]).expect("memory");
    }
    let body = encoder.finish().expect("memory");
    let answer = server.client().post(&Payload { body, content_type: "application/json", gzip: true });
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert_eq!(server.client().post(&payload(1).1).status, 200);
}

#[test]
fn a_body_of_100_mb_is_refused_by_its_head_and_while_it_comes() {
    let server = Server::start();
    let head =
        "POST /v1/metrics HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n";
    let mut stream = server.client().connect().expect("a connection");
    stream.write_all(format!("{head}content-length: 104857600\r\n\r\n").as_bytes()).expect("sent");
    assert_eq!(read(&mut stream).expect("an answer before the body").status, 413);

    // Without a length, it is counted.
    let mut stream = server.client().connect().expect("a connection");
    stream.write_all(format!("{head}transfer-encoding: chunked\r\n\r\n").as_bytes()).expect("sent");
    let chunk = [&b"10000\r\n"[..], &[b' '; 0x10000], b"\r\n"].concat();
    let sent = (0..1600).take_while(|_| stream.write_all(&chunk).is_ok()).count();
    assert!(sent < 1600, "it was cut off");
    assert_eq!(server.client().post(&payload(1).1).status, 200);
}

#[test]
fn slow_senders_do_not_keep_others_out() {
    let server = Server::start();
    let mut slow = Vec::new();
    for at in 0..300 {
        let mut stream = server.client().connect().expect("a connection");
        let head = "POST /v1/metrics HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n";
        let text = match at % 2 {
            // Half a head, and a head with a byte of its body.
            0 => head.to_owned(),
            _ => format!("{head}content-length: 100000\r\n\r\n{{"),
        };
        stream.write_all(text.as_bytes()).expect("sent");
        slow.push(stream);
    }
    for number in 0..20 {
        assert_eq!(server.client().post(&payload(number).1).status, 200);
    }
    drop(slow);
}

#[test]
fn a_device_that_sends_garbage_harms_nobody_else() {
    let server = Server::start();
    let (device, good) = payload(1);
    for at in 0..200_usize {
        let mut body = payload(2).1.body;
        let place = (at * 37) % body.len();
        body[place] ^= 0x55;
        let kind = if at % 2 == 0 { "application/x-protobuf" } else { "application/json" };
        let answer = server.client().post(&Payload { body, content_type: kind, gzip: at % 3 == 0 });
        assert!([200, 400, 413].contains(&answer.status), "{}", answer.text());
    }
    assert_eq!(server.client().post(&good).status, 200);
    let rows = server.client().get("/api/v1/devices").json()["devices"].as_array().expect("devices").clone();
    assert!(rows.iter().any(|row| row["device"] == device.name()));
}

#[test]
fn a_full_store_says_so_and_keeps_what_it_acknowledged() {
    let server = Server::with(|config| config.max_store_bytes = Some(400 << 10));
    let begin = now_ns() - 86_400_000_000_000;
    let mut device = Device::new(1, begin);
    let mut acknowledged = 0;
    let refused = (1..5000_u64).find_map(|at| {
        let payload = device.report(begin + at * 10_000_000_000, 10.0, Mood::default(), false, true);
        let answer = server.client().post(&payload);
        if answer.status == 200 {
            acknowledged = device.runs();
            return None;
        }
        Some(answer)
    });
    let refused = refused.expect("the store fills up");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.head.contains("retry-after: 60"), "{}", refused.head);
    assert_eq!(server.client().runs(), acknowledged);
    let text = server.client().get("/metrics").text();
    assert!(text.contains("requests_refused_total{status=\"503\"} 1"), "{text}");
}

/// On a file system of 3 MB, not at a limit of its own.
#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_is_full_is_said_and_what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().expect("a folder");
    // The file system is there for this process and its children alone, and goes with them. On it the monitor is started again
    // and again, the second time while it is full: that may be refused, and then there is room.
    let script = r#"mount -t tmpfs -o size=3m tmpfs "$1" && head -c 262144 /dev/zero > "$1/ballast" || exit 1
                    for start in 1 2 3; do
                        "$2" serve --listen 127.0.0.1:0 --data "$1" & echo "process $!"
                        wait
                        [ "$start" = 2 ] && rm "$1/ballast"
                    done"#;
    let mut shell = Command::new("unshare");
    shell.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]).arg(folder.path());
    let mut shell = shell.arg(env!("CARGO_BIN_EXE_pannier-monitor")).stdout(Stdio::piped()).spawn().expect("unshare");
    let mut lines = BufReader::new(shell.stdout.take().expect("its output")).lines().map_while(Result::ok).peekable();
    if lines.peek().is_none() {
        // Where namespaces are forbidden nothing can be tried; a limit of its own is tried above.
        eprintln!("no mount namespace: {:?}", shell.wait());
        return;
    }
    let mut process = String::new();
    let mut client = |process: &mut String| {
        let listens = lines.by_ref().find(|line| {
            if let Some(number) = line.strip_prefix("process ") {
                number.clone_into(process);
            }
            line.contains("listens on")
        });
        let address = listens.expect("it listens").trim().rsplit('/').next().and_then(|text| text.parse().ok());
        Client { address: address.expect("an address"), token: None }
    };
    let kill = |process: &str| {
        assert!(Command::new("kill").args(["-9", process]).status().expect("kill").success());
    };
    let first = client(&mut process);
    let begin = now_ns() - 86_400_000_000_000;
    let mut device = Device::new(1, begin);
    let mut acknowledged = 0;
    let refused = (1..20_000_u64).find_map(|at| {
        let answer = first.post(&device.report(begin + at * 4_000_000_000, 10.0, Mood::default(), false, true));
        match answer.status {
            200 => acknowledged = device.runs(),
            _ => return Some(answer),
        }
        None
    });
    let refused = refused.expect("the disk fills up");
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.head.contains("retry-after: 60"), "{}", refused.head);
    assert_eq!(first.runs(), acknowledged, "what was stored can be read");
    kill(&process);
    let second = client(&mut process);
    assert_eq!(second.runs(), acknowledged);
    shell.kill().expect("killed");
    shell.wait().expect("ended");
    kill(&process);
}

/// A monitor in a process of its own, which can be killed.
struct Process {
    child: Child,
    client: Client,
}

impl Process {
    fn start(data: &std::path::Path) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_pannier-monitor"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the monitor");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("a line");
        let address = line.trim().rsplit('/').next().and_then(|text| text.parse().ok()).expect(&line);
        Process { child, client: Client { address, token: None } }
    }

    fn kill(mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("ended");
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().expect("a folder");
    let begin = now_ns() - 3_600_000_000_000;
    let mut devices: Vec<(Device, Vec<Payload>)> =
        (0..4).map(|number| (Device::new(number, begin), Vec::new())).collect();
    for (device, payloads) in &mut devices {
        for at in 1..=60 {
            payloads.push(device.report(begin + at * 10_000_000_000, 10.0, Mood::default(), false, true));
        }
    }
    for round in 0..3_usize {
        let process = Process::start(folder.path());
        let client = process.client.clone();
        let senders: Vec<_> = devices
            .iter()
            .map(|(_, payloads)| {
                let (client, payloads) = (client.clone(), payloads.clone());
                // How many of them were acknowledged.
                std::thread::spawn(move || {
                    let of_round = payloads.iter().take((round + 1) * 20);
                    of_round
                        .take_while(|payload| client.try_post(payload).is_some_and(|answer| answer.status == 200))
                        .count()
                })
            })
            .collect();
        eventually("some are stored", || {
            client
                .send("GET", "/api/v1/status", &[], b"")
                .is_some_and(|answer| answer.json()["stored_points"].as_u64() > Some(200))
        });
        process.kill();
        let acknowledged: usize = senders.into_iter().map(|sender| sender.join().expect("a count")).sum();

        let process = Process::start(folder.path());
        let stored: usize = (0..4)
            .map(|number| {
                let name = devices[number].0.name();
                let site = devices[number].0.site();
                let from = begin / 1_000_000;
                let path = format!("/api/v1/devices/default/{name}/history?site={site}&from_ms={from}");
                let times = process.client.get(&path);
                // The first report is what the others are compared with.
                times.json()["times_ms"].as_array().map_or(0, |times| times.len() + 1)
            })
            .sum();
        assert!(stored >= acknowledged, "round {round}: {acknowledged} were acknowledged, {stored} are there");
        process.kill();
    }
    // What was not acknowledged is sent again, with much that was: all of it is there once.
    let process = Process::start(folder.path());
    for (_, payloads) in &devices {
        for payload in payloads {
            assert_eq!(process.client.post(payload).status, 200);
        }
    }
    assert_eq!(process.client.runs(), devices.iter().map(|(device, _)| device.runs()).sum::<u64>());
    process.kill();
}

#[test]
fn a_damaged_store_is_set_aside_and_the_log_says_so() {
    let server = Server::start();
    for number in 0..20 {
        assert_eq!(server.client().post(&payload(number).1).status, 200);
    }
    let folder = server.stop();
    let path = folder.path().join("monitor.db");
    let mut bytes = std::fs::read(&path).expect("the store");
    let middle = bytes.len() / 4096 / 2 * 4096;
    bytes[middle..middle + 8192].fill(0x5a);
    std::fs::write(&path, bytes).expect("written");
    let server = Server::in_folder(folder, |_| {});
    let entries = server.client().get("/api/v1/audit").json()["entries"].clone();
    let entry = entries.as_array().expect("entries").iter().find(|entry| entry["action"] == "store.salvage");
    let detail = entry.expect("an entry")["detail"].as_str().expect("text").to_owned();
    assert!(detail.contains("monitor.db.damaged-1"), "{detail}");
    assert!(server.folder.path().join("monitor.db.damaged-1").exists());
    assert_eq!(server.client().post(&payload(30).1).status, 200);
}
