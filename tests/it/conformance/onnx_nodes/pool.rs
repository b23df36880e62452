//! Child processes that run tests, one test at a time, watched from outside.

use super::outcome::Outcome;
use super::worker;
use crate::support::child::this_test;
use std::io::{BufRead, BufReader, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

/// Longest that one test may take before its process is killed. Its session has a deadline below that.
const HARD_LIMIT: Duration = Duration::from_secs(30);

/// What runs in the workers.
#[derive(Debug, Clone, Copy)]
pub struct Work {
    /// The full name of the test that calls [`run`], and [`worker::serve`] when it is a child.
    pub test: &'static str,
    /// Address space of a worker.
    pub address_space_bytes: u64,
}

/// Runs every test, as many at a time as there are processors. Outcomes are in the order of the folders.
pub fn run(folders: &[PathBuf], work: Work) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(vec![None; folders.len()]);
    let workers = std::thread::available_parallelism().map_or(2, usize::from).min(folders.len());
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let mut worker = None;
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(folder) = folders.get(index) else { break };
                    let outcome = ask(&mut worker, folder, work);
                    outcomes.lock().expect("no thread panics")[index] = Some(outcome);
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().expect("no thread panics");
    outcomes.into_iter().map(|outcome| outcome.expect("every test was run")).collect()
}

/// Has one test run, by a new worker if there is none alive.
fn ask(slot: &mut Option<Worker>, folder: &Path, work: Work) -> Outcome {
    let worker = slot.get_or_insert_with(|| Worker::start(work));
    let sent = writeln!(worker.stdin, "{}", folder.display()).and_then(|()| worker.stdin.flush());
    let answer =
        sent.map_err(|_| RecvTimeoutError::Disconnected).and_then(|()| worker.answers.recv_timeout(HARD_LIMIT));
    let why = match answer {
        Ok(line) => return serde_json::from_str(&line).expect("workers answer in JSON"),
        Err(RecvTimeoutError::Timeout) => format!("no answer after {} s", HARD_LIMIT.as_secs()),
        Err(RecvTimeoutError::Disconnected) => worker.last_words(),
    };
    // Dropping it kills it.
    *slot = None;
    Outcome::Crashed { why }
}

struct Worker {
    child: Child,
    stdin: ChildStdin,
    answers: Receiver<String>,
    stderr: std::fs::File,
}

impl Worker {
    fn start(work: Work) -> Worker {
        let stderr = tempfile::tempfile().expect("a temporary file");
        let mut child = this_test(work.test, work.address_space_bytes)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr.try_clone().expect("a second handle"))
            .spawn()
            .expect("a worker starts");
        let stdin = child.stdin.take().expect("stdin is a pipe");
        let stdout = BufReader::new(child.stdout.take().expect("stdout is a pipe"));
        let (sender, answers) = mpsc::channel();
        // Ends with the child's stdout, or when nobody listens any more.
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                // The test harness may have begun the line.
                let Some((_, answer)) = line.split_once(worker::ANSWER) else { continue };
                if sender.send(answer.to_owned()).is_err() {
                    break;
                }
            }
        });
        Worker { child, stdin, answers, stderr }
    }

    /// How it ended, and the end of what it wrote to stderr.
    fn last_words(&mut self) -> String {
        const SHOWN: usize = 300;
        let status = self.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let mut text = String::new();
        let read = self.stderr.rewind().and_then(|()| self.stderr.read_to_string(&mut text));
        let shown: String = text.trim().chars().rev().take(SHOWN).collect::<Vec<_>>().into_iter().rev().collect();
        format!(
            "the process ended: {status}{}",
            read.map_or(String::new(), |_| format!(": {}", shown.replace('\n', " ")))
        )
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
