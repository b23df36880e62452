//! Sends what simulated devices say, as devices do: again when the receiver says later, and what waited meanwhile afterwards.

use super::{Device, Mood, Payload, SITES};
use crate::Error;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::net::TcpStream;

/// What is to be pretended.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many devices.
    pub devices: u32,
    /// How often each reports.
    pub interval: Duration,
    /// The receiver.
    pub url: String,
    /// Token of the fleet.
    pub token: Option<String>,
    /// When to end; nothing: at Ctrl-C.
    pub duration: Option<Duration>,
    /// How much of the past to report first.
    pub history: Option<Duration>,
    /// Connections that the devices share.
    pub connections: u32,
    /// JSON instead of protobuf.
    pub json: bool,
    /// Compressed.
    pub gzip: bool,
    /// Whether all devices behave.
    pub steady: bool,
}

/// Between two reports of the past.
const PAST_INTERVAL: Duration = Duration::from_secs(60);
/// What one site does while it lives: offline for this long, in each of the cycles below.
const OFFLINE: Duration = Duration::from_secs(180);
const CYCLE: Duration = Duration::from_secs(600);
/// Payloads that a device keeps while it is offline: the oldest go first.
const SPOOL: usize = 2000;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// How far the drifting site's inputs have moved in the end, in standard deviations.
const DRIFT: f64 = 0.9;

/// What was sent.
#[derive(Debug, Default)]
pub struct Summary {
    /// Requests that were answered with 200.
    pub acknowledged: AtomicU64,
    /// Requests that were refused for good.
    pub refused: AtomicU64,
    /// Requests that had to be sent again.
    pub retried: AtomicU64,
    /// Bytes of acknowledged bodies.
    pub bytes: AtomicU64,
    /// Runs that the devices counted up to their last acknowledged report.
    pub runs: AtomicU64,
    /// Reports that were late by more than their interval.
    pub late: AtomicU64,
    waits_us: std::sync::Mutex<Vec<u32>>,
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut waits = self.waits_us.lock().map(|waits| waits.clone()).unwrap_or_default();
        waits.sort_unstable();
        let at = |share: f64| {
            let index = (share * waits.len().saturating_sub(1) as f64) as usize;
            waits.get(index).map_or(0.0, |wait| f64::from(*wait) / 1e3)
        };
        write!(
            f,
            "acknowledged {} reports ({} bytes each), refused {}, sent again {}, late {}; answers took {:.1} ms (median), {:.1} ms (99 %), {:.1} ms (longest); {} runs",
            count(&self.acknowledged),
            count(&self.bytes) / count(&self.acknowledged).max(1),
            count(&self.refused),
            count(&self.retried),
            count(&self.late),
            at(0.5),
            at(0.99),
            at(1.0),
            count(&self.runs),
        )
    }
}

/// Pretends.
///
/// # Errors
/// [`Error::Usage`]: the address is none. [`Error::Refused`]: the receiver refuses what devices send.
pub fn run(plan: &Plan) -> Result<Arc<Summary>, Error> {
    let target = Arc::new(Target::new(plan)?);
    let failed = |source| Error::System { what: "the simulator cannot start".to_owned(), source };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
    let summary = Arc::new(Summary::default());
    let stop = Arc::new(AtomicBool::new(false));
    runtime.block_on(async {
        let mut workers = tokio::task::JoinSet::new();
        for number in 0..plan.connections.min(plan.devices) {
            let worker = Worker {
                plan: plan.clone(),
                number,
                connection: Connection { target: Arc::clone(&target), sender: None },
                summary: Arc::clone(&summary),
                stop: Arc::clone(&stop),
            };
            workers.spawn(worker.run());
        }
        let ended = async {
            let mut outcome = Ok(());
            while let Some(worker) = workers.join_next().await {
                outcome = outcome.and(worker.unwrap_or(Ok(())));
            }
            outcome
        };
        let mut ended = std::pin::pin!(ended);
        tokio::select! {
            outcome = ended.as_mut() => outcome,
            _ = tokio::signal::ctrl_c() => {
                stop.store(true, Ordering::Relaxed);
                ended.await
            }
        }
    })?;
    Ok(summary)
}

/// Where to send.
struct Target {
    address: String,
    path: String,
    authorization: Option<String>,
}

impl Target {
    fn new(plan: &Plan) -> Result<Target, Error> {
        let wrong = || Error::usage(format!("`{}` is not an address", plan.url), "write `http://HOST:PORT`");
        let uri: hyper::Uri = plan.url.parse().map_err(|_| wrong())?;
        let host = uri.host().filter(|_| uri.scheme_str() == Some("http")).ok_or_else(wrong)?;
        Ok(Target {
            address: format!("{host}:{}", uri.port_u16().unwrap_or(80)),
            path: format!("{}/v1/metrics", uri.path().trim_end_matches('/')),
            authorization: plan.token.as_ref().map(|token| format!("Bearer {token}")),
        })
    }
}

/// A connection that is opened again when it broke.
struct Connection {
    target: Arc<Target>,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Connection {
    /// Status and body of the answer, and after how many seconds to try again; nothing if there was none.
    async fn send(&mut self, payload: &Payload) -> Option<(StatusCode, Bytes, u64)> {
        let outcome = tokio::time::timeout(TIMEOUT, self.try_send(payload)).await.ok().flatten();
        if outcome.is_none() {
            self.sender = None;
        }
        outcome
    }

    async fn try_send(&mut self, payload: &Payload) -> Option<(StatusCode, Bytes, u64)> {
        if self.sender.as_ref().is_none_or(SendRequest::is_closed) {
            let stream = TcpStream::connect(&self.target.address).await.ok()?;
            stream.set_nodelay(true).ok()?;
            let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
            tokio::spawn(connection);
            self.sender = Some(sender);
        }
        let sender = self.sender.as_mut()?;
        let mut request = Request::post(&self.target.path)
            .header("host", &self.target.address)
            .header("content-type", payload.content_type);
        if payload.gzip {
            request = request.header("content-encoding", "gzip");
        }
        if let Some(authorization) = &self.target.authorization {
            request = request.header("authorization", authorization);
        }
        sender.ready().await.ok()?;
        let response = sender.send_request(request.body(Full::from(payload.body.clone())).ok()?).await.ok()?;
        let status = response.status();
        let retry_after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse().ok());
        let body = response.into_body().collect().await.ok()?.to_bytes();
        Some((status, body, retry_after.unwrap_or(1)))
    }
}

/// Some of the devices, over one connection.
struct Worker {
    plan: Plan,
    number: u32,
    connection: Connection,
    summary: Arc<Summary>,
    stop: Arc<AtomicBool>,
}

/// A device, and what waits on it.
struct Simulated {
    device: Device,
    spool: VecDeque<Payload>,
}

impl Worker {
    async fn run(mut self) -> Result<(), Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let begin = now.saturating_sub(self.plan.history.unwrap_or_default());
        let numbers = (self.number..self.plan.devices).step_by(usize::try_from(self.plan.connections).unwrap_or(1));
        let mut devices: Vec<(u32, Simulated)> = numbers
            .map(|number| {
                let device = Device::new(number, nanoseconds(begin));
                (number, Simulated { device, spool: VecDeque::new() })
            })
            .collect();
        if self.plan.history.is_some() {
            self.past(&mut devices, begin, now).await?;
        }
        self.present(&mut devices).await?;
        let runs = devices.iter().map(|(_, each)| each.device.runs()).sum();
        self.summary.runs.fetch_add(runs, Ordering::Relaxed);
        Ok(())
    }

    /// Reports the time from `begin` to `end`, as fast as it is taken.
    async fn past(&mut self, devices: &mut [(u32, Simulated)], begin: Duration, end: Duration) -> Result<(), Error> {
        let mut time = begin + PAST_INTERVAL;
        while time < end && !self.stop.load(Ordering::Relaxed) {
            let share = (time - begin).as_secs_f64() / (end - begin).as_secs_f64();
            for (_, each) in devices.iter_mut() {
                let mood = self.mood(each.device.site(), share);
                let seconds = PAST_INTERVAL.as_secs_f64();
                let payload = each.device.report(nanoseconds(time), seconds, mood, self.plan.json, self.plan.gzip);
                // The third site was away for a while, and sent what it had kept when it came back.
                let offline = !self.plan.steady && each.device.site() == SITES[2] && (0.62..0.78).contains(&share);
                self.report(each, payload, offline).await?;
            }
            time += PAST_INTERVAL;
        }
        Ok(())
    }

    /// Reports as time passes, each device at its own moment of the interval.
    async fn present(&mut self, devices: &mut [(u32, Simulated)]) -> Result<(), Error> {
        let began = Instant::now();
        let interval = self.plan.interval;
        let count = f64::from(self.plan.devices.max(1));
        let phase = |number: u32| interval.mul_f64(f64::from(number) / count);
        devices.sort_by_key(|(number, _)| *number);
        for round in 0_u32.. {
            for (number, each) in devices.iter_mut() {
                let due = interval * round + phase(*number);
                if self.plan.duration.is_some_and(|duration| due >= duration) {
                    return Ok(());
                }
                while began.elapsed() < due {
                    if self.stop.load(Ordering::Relaxed) {
                        return Ok(());
                    }
                    tokio::time::sleep(due.saturating_sub(began.elapsed()).min(Duration::from_millis(250))).await;
                }
                if began.elapsed() > due + interval {
                    self.summary.late.fetch_add(1, Ordering::Relaxed);
                }
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                let mood = self.mood(each.device.site(), 1.0);
                let seconds = interval.as_secs_f64();
                let payload = each.device.report(nanoseconds(now), seconds, mood, self.plan.json, self.plan.gzip);
                let in_cycle = due.as_secs_f64() % CYCLE.as_secs_f64();
                let from = (CYCLE - OFFLINE).as_secs_f64();
                let offline = !self.plan.steady && each.device.site() == SITES[2] && in_cycle >= from;
                self.report(each, payload, offline).await?;
            }
        }
        Ok(())
    }

    fn mood(&self, site: &str, share: f64) -> Mood {
        if self.plan.steady {
            return Mood::default();
        }
        // Days have a rhythm, in a history of any length.
        let slowness = 0.15 * (1.0 + (share * 12.0).sin());
        match SITES.iter().position(|each| *each == site) {
            Some(1) => Mood { shift: DRIFT * ((share - 0.45) / 0.4).clamp(0.0, 1.0), slowness, failing: 0.0 },
            Some(2) if (0.3..0.36).contains(&share) => Mood { shift: 0.0, slowness: 1.4, failing: 0.09 },
            _ => Mood { shift: 0.0, slowness, failing: 0.0 },
        }
    }

    /// Sends a report and what had waited before it, or keeps it.
    async fn report(&mut self, each: &mut Simulated, payload: Payload, offline: bool) -> Result<(), Error> {
        each.spool.push_back(payload);
        if each.spool.len() > SPOOL {
            each.spool.pop_front();
        }
        while let Some(payload) = each.spool.front().filter(|_| !offline) {
            if !self.send(payload).await? {
                break;
            }
            each.spool.pop_front();
        }
        each.device.set_spool_bytes(each.spool.iter().map(|payload| payload.body.len()).sum());
        Ok(())
    }

    /// Whether the payload needs not be sent again. Keeps trying while the receiver says later.
    async fn send(&mut self, payload: &Payload) -> Result<bool, Error> {
        loop {
            let began = Instant::now();
            let answer = self.connection.send(payload).await;
            let wait = match answer {
                Some((StatusCode::OK, ..)) => {
                    self.summary.acknowledged.fetch_add(1, Ordering::Relaxed);
                    self.summary.bytes.fetch_add(payload.body.len() as u64, Ordering::Relaxed);
                    if let Ok(mut waits) = self.summary.waits_us.lock() {
                        waits.push(u32::try_from(began.elapsed().as_micros()).unwrap_or(u32::MAX));
                    }
                    return Ok(true);
                }
                Some((StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::NOT_FOUND, body, _)) => {
                    return Err(Error::Refused(String::from_utf8_lossy(&body).into_owned()));
                }
                Some((status, _, retry_after)) if retryable(status) => Duration::from_secs(retry_after),
                Some(_) => {
                    self.summary.refused.fetch_add(1, Ordering::Relaxed);
                    return Ok(true);
                }
                None => Duration::from_millis(200),
            };
            self.summary.retried.fetch_add(1, Ordering::Relaxed);
            if self.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            tokio::time::sleep(wait).await;
        }
    }
}

/// Source: OTLP/HTTP, retryable response codes.
fn retryable(status: StatusCode) -> bool {
    matches!(status.as_u16(), 429 | 502 | 503 | 504)
}

fn nanoseconds(since_1970: Duration) -> u64 {
    u64::try_from(since_1970.as_nanos()).unwrap_or(u64::MAX)
}
