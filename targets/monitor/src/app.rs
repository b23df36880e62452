//! What all parts of a running monitor share.

use crate::Error;
use crate::alerts::Alerts;
use crate::clock::Clock;
use crate::config::Config;
use crate::counters::Counters;
use crate::ingest::Ingest;
use crate::store::Store;
use crate::tokens::Tokens;
use std::sync::{Arc, RwLock};
use tokio::sync::Semaphore;

/// The monitor.
pub struct App {
    /// How it was started.
    pub config: Config,
    /// Its time.
    pub clock: Arc<Clock>,
    /// What it counts.
    pub counters: Arc<Counters>,
    /// Its store, for reading.
    pub store: Arc<Store>,
    /// Its store, for writing.
    pub ingest: Ingest,
    /// Who may do what.
    pub tokens: RwLock<Tokens>,
    /// Rules, and what they say now.
    pub alerts: Alerts,
    /// Memory for bodies, in KiB.
    pub body_memory: Arc<Semaphore>,
    /// Queries at once.
    pub reads: Semaphore,
    /// When it started.
    pub started_ms: i64,
}

impl App {
    /// Reads from the store on a thread that may wait.
    ///
    /// # Errors
    /// What `work` returns.
    pub async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&App) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let _permit = self.reads.acquire().await.map_err(|_| Error::Busy)?;
        let app = Arc::clone(self);
        tokio::task::spawn_blocking(move || work(&app)).await.unwrap_or(Err(Error::Busy))
    }
}
