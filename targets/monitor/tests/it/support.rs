//! A monitor in this process, and a client that can also do what a proper one would not.

use pannier_monitor::simulate::{Device, Mood, Payload};
use pannier_monitor::{Config, Monitor};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Waiting longer than this for anything is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct Server {
    pub monitor: Monitor,
    pub folder: tempfile::TempDir,
}

impl Server {
    pub fn start() -> Server {
        Server::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> Server {
        Server::in_folder(tempfile::tempdir().expect("a folder"), change)
    }

    pub fn in_folder(folder: tempfile::TempDir, change: impl FnOnce(&mut Config)) -> Server {
        let mut config = Config::new(folder.path().to_owned());
        config.listen = SocketAddr::from(([127, 0, 0, 1], 0));
        change(&mut config);
        let monitor = Monitor::start(config).expect("a monitor");
        Server { monitor, folder }
    }

    pub fn client(&self) -> Client {
        Client { address: self.monitor.address(), token: None }
    }

    pub fn stop(self) -> tempfile::TempDir {
        self.monitor.stop();
        self.folder
    }
}

#[derive(Clone)]
pub struct Client {
    pub address: SocketAddr,
    pub token: Option<String>,
}

pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Client {
    pub fn with_token(&self, token: &str) -> Client {
        Client { token: Some(token.to_owned()), ..self.clone() }
    }

    pub fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").expect("an answer")
    }

    pub fn post(&self, payload: &Payload) -> Answer {
        self.try_post(payload).expect("an answer")
    }

    /// Nothing if the connection broke before there was an answer.
    pub fn try_post(&self, payload: &Payload) -> Option<Answer> {
        let mut headers = vec![("content-type", payload.content_type)];
        if payload.gzip {
            headers.push(("content-encoding", "gzip"));
        }
        self.send("POST", "/v1/metrics", &headers, &payload.body)
    }

    pub fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<Answer> {
        let mut stream = self.connect()?;
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
        if !headers.iter().any(|(name, _)| *name == "host") {
            head += &format!("host: {}\r\n", self.address);
        }
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(token) = &self.token {
            head += &format!("authorization: Bearer {token}\r\n");
        }
        stream.write_all(format!("{head}\r\n").as_bytes()).ok()?;
        // A server that refuses by the head alone closes before the body is through.
        let _ = stream.write_all(body);
        read(&mut stream)
    }

    pub fn connect(&self) -> Option<TcpStream> {
        let stream = TcpStream::connect(self.address).ok()?;
        stream.set_read_timeout(Some(PATIENCE)).ok()?;
        stream.set_write_timeout(Some(PATIENCE)).ok()?;
        Some(stream)
    }

    /// Runs that all models did, by the API.
    pub fn runs(&self) -> u64 {
        let now_ms = now_ns() / 1_000_000;
        let path = format!("/api/v1/overview?from_ms={}&to_ms={}", now_ms - 30 * 86_400_000, now_ms + 3_600_000);
        let rows = self.get(&path).json()["rows"].as_array().expect("rows").clone();
        rows.iter().map(|row| row["runs"].as_u64().expect("runs")).sum()
    }
}

/// Reads an answer to its end.
pub fn read(stream: &mut TcpStream) -> Option<Answer> {
    let mut bytes = Vec::new();
    // A reset after the answer is how a refused body ends.
    let _ = stream.read_to_end(&mut bytes);
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    Some(Answer { status, body: bytes[end + 4..].to_vec(), head })
}

pub fn now_ns() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    u64::try_from(now.as_nanos()).expect("before 2554")
}

/// A device that started an hour ago, and what it says now.
pub fn payload(number: u32) -> (Device, Payload) {
    let now = now_ns();
    let mut device = Device::new(number, now - 3_600_000_000_000);
    let payload = device.report(now, 10.0, Mood::default(), false, true);
    (device, payload)
}

/// Waits until something holds.
pub fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = std::time::Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(50));
    }
}

pub fn write(path: &Path, text: &str) {
    std::fs::write(path, text).expect("written");
}
