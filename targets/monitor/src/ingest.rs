//! The way into the store: a bounded queue, and the thread that writes many requests in one transaction.

use crate::Error;
use crate::clock::Clock;
use crate::counters::Counters;
use crate::otlp::Report;
use crate::store::{Audit, Outcome, Writer};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender, TrySendError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Requests that wait for the writer. More are answered with 503.
const QUEUE: usize = 2048;
/// Most requests in one transaction.
const BATCH: usize = 1024;
/// How long the writer waits for more after the first request: one sync of the disk serves all of them.
const LINGER: Duration = Duration::from_millis(20);
/// How often old rows are looked for when there is nothing to do.
const IDLE: Duration = Duration::from_secs(5);
/// Least time between two steps of that.
const STEP: Duration = Duration::from_millis(100);

type Call = Box<dyn FnOnce(&mut Writer) + Send>;

enum Job {
    Reports { reports: Vec<Report>, answer: oneshot::Sender<Result<Outcome, Error>> },
    Call(Call),
}

/// The sending end.
#[derive(Clone)]
pub struct Ingest {
    jobs: SyncSender<Job>,
    counters: Arc<Counters>,
}

impl Ingest {
    /// Starts the writer's thread. It ends, after what is queued, when the last `Ingest` is dropped.
    #[must_use]
    pub fn start(writer: Writer, clock: Arc<Clock>, counters: Arc<Counters>) -> (Ingest, JoinHandle<()>) {
        let (jobs, queue) = mpsc::sync_channel(QUEUE);
        let thread = Thread { writer, clock, counters: Arc::clone(&counters) };
        let handle = std::thread::spawn(move || thread.run(&queue));
        (Ingest { jobs, counters }, handle)
    }

    /// Stores the reports of one request. When this returns, they are on the disk.
    ///
    /// # Errors
    /// [`Error::Busy`]: too much is waiting. [`Error::Full`]: the disk is full.
    pub async fn store(&self, reports: Vec<Report>) -> Result<Outcome, Error> {
        let (answer, outcome) = oneshot::channel();
        self.send(Job::Reports { reports, answer })?;
        outcome.await.unwrap_or(Err(Error::Busy))
    }

    /// Lets the writer do something else.
    ///
    /// # Errors
    /// [`Error::Busy`]: too much is waiting. What `work` returns.
    pub async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, outcome) = oneshot::channel();
        self.send(Job::Call(Box::new(move |writer| {
            // Nobody waits any more if the connection was closed.
            let _ = answer.send(work(writer));
        })))?;
        outcome.await.unwrap_or(Err(Error::Busy))
    }

    /// As [`Ingest::call`], from a thread that may wait.
    ///
    /// # Errors
    /// As there.
    pub fn call_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Writer) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, outcome) = oneshot::channel();
        let job: Call = Box::new(move |writer| drop(answer.send(work(writer))));
        self.counters.queued.fetch_add(1, Ordering::Relaxed);
        self.jobs.send(Job::Call(job)).map_err(|_| Error::Busy)?;
        outcome.blocking_recv().unwrap_or(Err(Error::Busy))
    }

    fn send(&self, job: Job) -> Result<(), Error> {
        self.counters.queued.fetch_add(1, Ordering::Relaxed);
        self.jobs.try_send(job).map_err(|error| {
            self.counters.queued.fetch_sub(1, Ordering::Relaxed);
            match error {
                TrySendError::Full(_) | TrySendError::Disconnected(_) => Error::Busy,
            }
        })
    }
}

struct Thread {
    writer: Writer,
    clock: Arc<Clock>,
    counters: Arc<Counters>,
}

impl Thread {
    fn run(mut self, queue: &Receiver<Job>) {
        let mut next_tidy = Instant::now() + STEP;
        loop {
            match queue.recv_timeout(next_tidy.saturating_duration_since(Instant::now())) {
                Ok(first) => self.batch(first, queue),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.end(),
            }
            if Instant::now() >= next_tidy {
                let more = self.writer.tidy(self.clock.now_ms());
                next_tidy = Instant::now() + if matches!(more, Ok(true)) { STEP } else { IDLE };
                if let Err(error) = more {
                    self.failed(&error);
                }
            }
            self.counters.damaged_rows.store(self.writer.damaged_rows, Ordering::Relaxed);
        }
    }

    /// Leaves one file behind, without a log beside it.
    fn end(&self) {
        if let Err(error) = self.writer.settle() {
            eprintln!("error[{}]: {error}", error.code());
        }
    }

    /// Writes what is queued now and what comes while it lingers.
    fn batch(&mut self, first: Job, queue: &Receiver<Job>) {
        let until = Instant::now() + LINGER;
        let (mut requests, mut answers, mut calls) = (Vec::new(), Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(job) = next {
            self.counters.queued.fetch_sub(1, Ordering::Relaxed);
            match job {
                Job::Reports { reports, answer } => {
                    requests.push(reports);
                    answers.push(answer);
                }
                Job::Call(call) => calls.push(call),
            }
            if requests.len() >= BATCH || !calls.is_empty() {
                break;
            }
            next = queue.recv_timeout(until.saturating_duration_since(Instant::now())).ok();
        }
        if !requests.is_empty() {
            self.store(requests, answers);
        }
        for call in calls {
            call(&mut self.writer);
        }
    }

    fn store(&mut self, requests: Vec<Vec<Report>>, answers: Vec<oneshot::Sender<Result<Outcome, Error>>>) {
        self.counters.commits.fetch_add(1, Ordering::Relaxed);
        match self.writer.store(requests, self.clock.now_ms()) {
            Ok(outcomes) => {
                for (outcome, answer) in outcomes.into_iter().zip(answers) {
                    self.counters.stored(&outcome);
                    let _ = answer.send(Ok(outcome));
                }
            }
            Err(error) => {
                for answer in answers {
                    let _ = answer.send(Err(error.again()));
                }
                self.failed(&error);
            }
        }
    }

    /// Says what failed, and repairs the file if it is damaged.
    fn failed(&mut self, error: &Error) {
        self.counters.failed_commits.fetch_add(1, Ordering::Relaxed);
        eprintln!("error[{}]: {error}", error.code());
        if matches!(error, Error::Damaged { .. }) {
            match self.writer.repair() {
                Ok(Some(salvage)) => {
                    eprintln!("warning: {salvage}");
                    let (time_ms, actor) = (self.clock.now_ms(), "monitor".to_owned());
                    let (action, detail) = ("store.salvage".to_owned(), salvage.to_string());
                    if let Err(error) = self.writer.audit(&Audit { time_ms, actor, action, detail }) {
                        eprintln!("error[{}]: {error}", error.code());
                    }
                }
                Ok(None) => {}
                Err(error) => eprintln!("error[{}]: the store cannot be repaired: {error}", error.code()),
            }
        }
    }
}
