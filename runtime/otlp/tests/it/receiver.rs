//! A receiver that answers as it is told, and keeps what it was sent.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What came with one request.
#[derive(Debug, Clone)]
pub struct Request {
    /// For example `POST /v1/metrics`.
    pub line: String,
    /// Names in small letters.
    pub headers: Vec<(String, String)>,
    /// As it was sent.
    pub body: Vec<u8>,
    /// When it came.
    pub at: Instant,
    /// Whether the answer was a success.
    pub taken: bool,
}

impl Request {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body, decompressed.
    pub fn content(&self) -> Vec<u8> {
        if self.header("content-encoding") != Some("gzip") {
            return self.body.clone();
        }
        let mut content = Vec::new();
        flate2::read::GzDecoder::new(&*self.body).read_to_end(&mut content).expect("it is gzip");
        content
    }
}

/// An answer: status, further headers, body. Status 0: none, the connection is closed.
#[derive(Debug, Clone)]
pub struct Answer(pub u16, pub &'static str, pub Vec<u8>);

#[derive(Default)]
struct State {
    requests: Vec<Request>,
    answers: VecDeque<Answer>,
}

/// Listens on a port of its own until the process ends.
pub struct Receiver {
    /// Where it listens.
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl Receiver {
    /// Answers so, in this order, and then always with 200.
    pub fn start(answers: impl IntoIterator<Item = Answer>) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let state = Arc::new(Mutex::new(State { answers: answers.into_iter().collect(), ..State::default() }));
        let shared = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A sender that is killed in the middle is none of its business.
                let _ = serve(stream, &shared);
            }
        });
        Receiver { url, state }
    }

    /// What came so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state.lock().expect("nobody panicked").requests.clone()
    }

    /// What came, once this many requests were taken.
    pub fn wait_for(&self, count: usize) -> Vec<Request> {
        let start = Instant::now();
        loop {
            let requests = self.requests();
            if requests.iter().filter(|request| request.taken).count() >= count {
                return requests;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{} requests came: {requests:?}", requests.len());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn serve(stream: TcpStream, state: &Mutex<State>) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header =
        |line: &String| line.split_once(':').map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    let headers: Vec<_> = lines.iter().filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    let mut state = state.lock().expect("nobody panicked");
    let Answer(status, further, answer) = state.answers.pop_front().unwrap_or(Answer(200, "", Vec::new()));
    let line = lines.first().map(|line| line.trim_end_matches(" HTTP/1.1").to_owned()).unwrap_or_default();
    let taken = (200..300).contains(&status);
    state.requests.push(Request { line, headers, body, at: Instant::now(), taken });
    drop(state);
    if status == 0 {
        return Ok(());
    }
    let mut stream = stream;
    let length = answer.len();
    write!(stream, "HTTP/1.1 {status} X\r\n{further}content-length: {length}\r\nconnection: close\r\n\r\n")?;
    stream.write_all(&answer)
}
