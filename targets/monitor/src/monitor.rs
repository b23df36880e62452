//! Starts the parts and ends them.

use crate::Error;
use crate::alerts::{self, Alerts};
use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::counters::Counters;
use crate::http;
use crate::ingest::Ingest;
use crate::store::{Audit, Options, Store, Writer, exclusive};
use crate::tokens::Tokens;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};
use tokio::sync::{Semaphore, watch};

/// Memory that bodies of all requests together may take, as they come and decompressed, in KiB.
const BODY_MEMORY_KIB: usize = 96 << 10;
/// Queries of the pages at once.
const READS: usize = 4;
/// How often rules are compared and the file of tokens is looked at.
const WATCH: Duration = Duration::from_secs(5);
/// How often webhook calls are looked for.
const DELIVER: Duration = Duration::from_secs(1);

/// A monitor that runs. Ends when it is dropped.
pub struct Monitor {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    stopped: Arc<AtomicBool>,
    server: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
}

impl Monitor {
    /// Opens the store and listens.
    ///
    /// # Errors
    /// [`Error::Usage`], [`Error::Rules`]: the configuration is wrong. [`Error::System`]: the address is taken. Others: the store
    /// cannot be opened.
    pub fn start(config: Config) -> Result<Monitor, Error> {
        let data = config.data.clone();
        std::fs::create_dir_all(&data).map_err(|source| Error::File { path: data, source })?;
        let tokens = Tokens::load(&config.tokens_path())?;
        config.check(&tokens)?;
        let clock = Arc::new(Clock::system());
        let counters = Arc::new(Counters::default());
        let store = Store::new(&config.store_path());
        let options = Options { max_bytes: config.max_store_bytes, check: config.check_store };
        let (mut writer, salvaged) = Writer::open(&store, config.keep, options)?;
        let started_ms = clock.now_ms();
        let mut note = |action: &str, detail: String| {
            let (actor, action) = ("monitor".to_owned(), action.to_owned());
            writer.audit(&Audit { time_ms: started_ms, actor, action, detail })
        };
        if let Some(salvage) = &salvaged {
            eprintln!("warning: {salvage}");
            note("store.salvage", salvage.to_string())?;
        }
        let alerts = Alerts::load(&config.rules_path(), store.read(|reader| reader.alerts(true))?)?;
        note("rules.load", format!("{} rules, at the start", alerts.rules().rules.len()))?;
        let (ingest, writing) = Ingest::start(writer, Arc::clone(&clock), Arc::clone(&counters));
        let listen = config.listen;
        let app = Arc::new(App {
            config,
            clock,
            counters,
            store,
            ingest,
            tokens: RwLock::new(tokens),
            alerts,
            body_memory: Arc::new(Semaphore::new(BODY_MEMORY_KIB)),
            reads: Semaphore::new(READS),
            started_ms,
        });
        let failed = |source| Error::System { what: format!("cannot listen on {listen}"), source };
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(failed)?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind(listen)).map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let (stop, stopping) = watch::channel(false);
        let stopped = Arc::new(AtomicBool::new(false));
        let watching = every(WATCH, Arc::clone(&stopped), watching(Arc::clone(&app)));
        let delivering = every(DELIVER, Arc::clone(&stopped), delivering(Arc::clone(&app)));
        let server = std::thread::spawn(move || runtime.block_on(http::serve(listener, app, stopping)));
        Ok(Monitor { address, stop, stopped, server: Some(server), others: vec![watching, delivering, writing] })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets requests in progress end, writes what is queued, and ends.
    pub fn stop(mut self) {
        self.end();
    }

    fn end(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Nobody listens any more if the server has ended by itself.
        let _ = self.stop.send(true);
        for thread in self.server.take().into_iter().chain(self.others.drain(..)) {
            let _ = thread.join();
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.end();
    }
}

/// Does something again and again on a thread of its own.
fn every(
    pause: Duration,
    stopped: Arc<AtomicBool>,
    mut work: impl FnMut() -> Result<(), Error> + Send + 'static,
) -> JoinHandle<()> {
    const TICK: Duration = Duration::from_millis(100);
    std::thread::spawn(move || {
        let mut waited = pause;
        while !stopped.load(Ordering::Relaxed) {
            if waited >= pause {
                waited = Duration::ZERO;
                if let Err(error) = work() {
                    eprintln!("error[{}]: {error}", error.code());
                }
            }
            std::thread::sleep(TICK);
            waited += TICK;
        }
    })
}

fn watching(app: Arc<App>) -> impl FnMut() -> Result<(), Error> + Send {
    let mut seen = modified(&app.config.tokens_path());
    move || {
        let path = app.config.tokens_path();
        let now = modified(&path);
        if now != seen {
            // Only a file that can be read takes the place of what is in force.
            let tokens = Tokens::load(&path)?;
            app.config.check(&tokens)?;
            *exclusive(&app.tokens) = tokens;
            seen = now;
        }
        alerts::watch(&app)
    }
}

fn delivering(app: Arc<App>) -> impl FnMut() -> Result<(), Error> + Send {
    let agent = alerts::agent();
    move || alerts::deliver(&app, &agent)
}

fn modified(path: &Path) -> Option<(SystemTime, u64)> {
    let metadata = path.metadata().ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}
