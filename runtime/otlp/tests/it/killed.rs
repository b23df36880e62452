//! A process that is killed at any moment loses its current window and no other, and what it sends twice says the same.

use crate::receiver::{Answer, Receiver};
use crate::session::{attribute, config, payload, recorder, run, runs};
use pannier_otlp::Exporter;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

const URL: &str = "PANNIER_TEST_URL";
const SPOOL: &str = "PANNIER_TEST_SPOOL";

/// The child: runs, and says after each window how many runs are safe. Does nothing unless the parent started it.
#[test]
fn child() {
    let (Ok(url), Ok(spool)) = (std::env::var(URL), std::env::var(SPOOL)) else { return };
    let (exporter, recorder) = (Exporter::start(&config(&url, Some(spool.as_ref()))), recorder());
    exporter.watch(recorder.clone());
    for count in 1.. {
        run(&recorder);
        exporter.flush();
        // The parent stops to read before it kills: work goes on until then.
        let _ = writeln!(std::io::stdout(), "\nsafe {count}");
    }
}

#[test]
fn killed_at_random_moments() {
    // Many answers are lost on their way: then the payload was taken, and is sent again, a second later. While processes are killed
    // it is half of them; of the many payloads that wait in the end a few suffice.
    let is_lost = |index: u32| if index < 24 { index.is_multiple_of(2) } else { index.is_multiple_of(16) };
    let answer = |index| Answer(if is_lost(index) { 0 } else { 200 }, "", Vec::new());
    let receiver = Receiver::start((0..200).map(answer));
    let spool = tempfile::tempdir().unwrap();
    let mut safe = Vec::new();
    for round in 0..12u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["killed::child", "--exact", "--nocapture", "--test-threads", "1"])
            .env(URL, &receiver.url)
            .env(SPOOL, spool.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut last = 0;
        // After some windows, and then somewhere in the middle of whatever it does.
        let mut windows = 0;
        for line in lines.map_while(Result::ok) {
            let Some(count) = line.strip_prefix("safe ") else { continue };
            last = count.parse::<u64>().unwrap();
            windows += 1;
            if windows > round % 5 {
                break;
            }
        }
        std::thread::sleep(Duration::from_micros(round * 1_700 % 5_000));
        child.kill().unwrap();
        child.wait().unwrap();
        safe.push(last);
    }
    // What waits is sent by whoever comes next.
    let exporter = Exporter::start(&config(&receiver.url, Some(spool.path())));
    let left = || std::fs::read_dir(spool.path().join("slot-0")).unwrap().flatten().count();
    let begun = std::time::Instant::now();
    while left() > 2 && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(50));
    }
    exporter.shutdown();

    let mut windows: BTreeMap<(u64, u64), Vec<u8>> = BTreeMap::new();
    let mut sessions: BTreeMap<u64, u64> = BTreeMap::new();
    let mut devices = std::collections::BTreeSet::new();
    for request in receiver.requests() {
        let payload = payload(&request);
        let (count, start, end) = runs(&payload);
        devices.insert(attribute(&payload, "service.instance.id"));
        let content = request.content();
        let first = windows.entry((start, end)).or_insert_with(|| content.clone());
        assert!(*first == content, "the same window, told twice, says the same");
        let most = sessions.entry(start).or_default();
        *most = (*most).max(count);
    }
    assert_eq!(devices.len(), 1, "one device, whatever happened to it");
    let told: Vec<u64> = sessions.values().copied().collect();
    assert_eq!(told.len(), safe.len(), "{told:?} {safe:?}");
    for (told, safe) in told.iter().zip(&safe) {
        assert!(told >= safe, "told {told}, safe {safe}");
    }
}
