//! The embedded store: one SQLite file in WAL mode, written by one thread, read by any.
//!
//! A report is stored as it came, in one row: totals since the session's start. What all devices of a cohort did in a minute
//! (growth, not totals) is summed up in the same transaction, so a page over ten thousand devices reads a few rows. Everything that
//! is kept in memory can be read from the file again, so a transaction that fails costs nothing but itself.

pub mod body;
mod catalogue;
mod devices;
mod open;
mod read;
mod records;
mod retention;
mod salvage;
mod summary;
mod write;

pub use catalogue::Catalogue;
pub use devices::{Device, Devices, Newest};
pub use read::{Filter, Range, Reader};
pub use records::{Alert, Audit};
pub use retention::Keep;
pub use salvage::Salvage;
pub use write::{Options, Outcome, Writer};

use crate::Error;
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

/// What all threads share: the file's name, and what is held in memory of it.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    readers: Mutex<Vec<Connection>>,
    /// Series by number.
    pub catalogue: RwLock<Catalogue>,
    /// Who reports, and what they said last.
    pub devices: RwLock<Devices>,
}

/// Connections that are kept open.
const READERS: usize = 4;

impl Store {
    /// A store in this file, which a [`Writer`] opens.
    #[must_use]
    pub fn new(path: &Path) -> Arc<Store> {
        Arc::new(Store {
            path: path.to_owned(),
            readers: Mutex::default(),
            catalogue: RwLock::default(),
            devices: RwLock::default(),
        })
    }

    /// Reads from the file, in one transaction: what is read belongs together.
    ///
    /// # Errors
    /// What `work` returns; [`Error::Damaged`] and [`Error::Store`]: the file cannot be read.
    pub fn read<T>(&self, work: impl FnOnce(&Reader) -> Result<T, Error>) -> Result<T, Error> {
        let kept = lock(&self.readers).pop();
        let mut db = kept.map_or_else(|| open::reader(&self.path), Ok)?;
        let transaction = db.transaction()?;
        let outcome = work(&Reader { db: &transaction, store: self });
        drop(transaction);
        let mut readers = lock(&self.readers);
        if readers.len() < READERS && !matches!(outcome, Err(Error::Damaged { .. } | Error::Store(_))) {
            readers.push(db);
        }
        outcome
    }

    /// Bytes of the file and of its log.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        let log = self.path.with_extension("db-wal");
        [&self.path, &log].into_iter().filter_map(|path| path.metadata().ok()).map(|metadata| metadata.len()).sum()
    }

    /// Lets go of connections to a file that was replaced.
    fn forget_readers(&self) {
        lock(&self.readers).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Reads what is shared, whatever became of the thread that wrote it last.
pub(crate) fn shared<T>(lock: &RwLock<T>) -> std::sync::RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(std::sync::PoisonError::into_inner)
}

pub(crate) fn exclusive<T>(lock: &RwLock<T>) -> std::sync::RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
