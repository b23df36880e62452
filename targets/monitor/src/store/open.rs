//! The file: opened, checked, and where it is damaged set aside and saved as far as it can be read.

use super::salvage::{self, Salvage};
use crate::Error;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Marks the file as ours: "PanM".
const APPLICATION_ID: i32 = 0x5061_6e4d;
/// Version of `schema.sql`.
const VERSION: i32 = 1;
/// Pages in the write-ahead log before they go to the file: 64 MiB, so that a page that is written again and again goes once.
const CHECKPOINT_PAGES: u32 = 16_384;

/// What was found when the file was opened.
#[derive(Debug)]
pub struct Opened {
    /// The connection that writes.
    pub db: Connection,
    /// What was lost and saved, if the file was damaged.
    pub salvaged: Option<Salvage>,
}

/// Opens or makes the store, with at most so many bytes.
///
/// # Errors
/// [`Error::Usage`]: the file belongs to something else, or to a newer version. [`Error::Full`]: it cannot be written.
pub fn open(path: &Path, max_bytes: Option<u64>, check: bool) -> Result<Opened, Error> {
    let mut salvaged = None;
    if path.exists() {
        match inspect(path, check) {
            Err(Error::Damaged { detail }) => salvaged = Some(set_aside(path, &detail)?),
            other => other?,
        }
    }
    let db = connect(path)?;
    if let Some(max_bytes) = max_bytes {
        let page_size: i64 = db.pragma_query_value(None, "page_size", |row| row.get(0))?;
        db.pragma_update(None, "max_page_count", i64::try_from(max_bytes).unwrap_or(i64::MAX) / page_size.max(1))?;
    }
    Ok(Opened { db, salvaged })
}

/// Another connection, which only reads.
pub fn reader(path: &Path) -> Result<Connection, Error> {
    let db = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.pragma_update(None, "cache_size", -8192)?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// Opens the file for writing and makes the tables if it is new.
pub(super) fn connect(path: &Path) -> Result<Connection, Error> {
    let mut db = Connection::open(path)?;
    db.busy_timeout(Duration::from_secs(5))?;
    db.set_prepared_statement_cache_capacity(64);
    if db.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0))? == 0 {
        db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
    }
    db.pragma_update(None, "journal_mode", "WAL")?;
    // An acknowledged report is on the disk, not in the system's cache.
    db.pragma_update(None, "synchronous", "FULL")?;
    db.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    db.pragma_update(None, "journal_size_limit", 64 << 20)?;
    db.pragma_update(None, "cache_size", -65_536)?;
    db.pragma_update(None, "temp_store", "MEMORY")?;
    let transaction = db.transaction()?;
    if transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i32>(0))? == 0 {
        transaction.execute_batch(include_str!("schema.sql"))?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    transaction.commit()?;
    Ok(db)
}

/// Checks what there is before it is used.
fn inspect(path: &Path, check: bool) -> Result<(), Error> {
    let db = Connection::open(path)?;
    let found: i32 = db.pragma_query_value(None, "application_id", |row| row.get(0))?;
    let version: i32 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version != 0 && found != APPLICATION_ID {
        return Err(Error::usage(
            format!("{} is a database of something else", path.display()),
            "name another folder with `--data`",
        ));
    }
    if version > VERSION {
        return Err(Error::usage(
            format!("{} was written by a newer version (format {version}, this one knows {VERSION})", path.display()),
            "update pannier-monitor",
        ));
    }
    if check {
        let detail: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        if detail != "ok" {
            return Err(Error::Damaged { detail });
        }
    }
    Ok(())
}

/// Renames the damaged file and copies what can be read of it to a new one.
fn set_aside(path: &Path, detail: &str) -> Result<Salvage, Error> {
    let aside = (1..)
        .map(|number| suffixed(path, &format!(".damaged-{number}")))
        .find(|aside| !aside.exists())
        .unwrap_or_else(|| suffixed(path, ".damaged"));
    for suffix in ["", "-wal", "-shm"] {
        let (from, to) = (suffixed(path, suffix), suffixed(&aside, suffix));
        if from.exists() {
            std::fs::rename(&from, to).map_err(|source| Error::File { path: from, source })?;
        }
    }
    // Under another name until it is whole: a crash meanwhile leaves no half of a store.
    let fresh = suffixed(path, ".new");
    for suffix in ["", "-wal", "-shm"] {
        let _ = std::fs::remove_file(suffixed(&fresh, suffix));
    }
    let salvage = salvage::copy(&aside, &mut connect(&fresh)?, detail)?;
    std::fs::rename(&fresh, path).map_err(|source| Error::File { path: fresh, source })?;
    Ok(salvage)
}

fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
