//! Series by number and by key.

use crate::Error;
use crate::series::Series;
use rusqlite::Connection;
use std::collections::HashMap;
use std::sync::Arc;

/// Most series that are kept. Devices of one model share theirs, so this is hundreds of models.
pub const MAX_SERIES: usize = 200_000;

/// Every series that the store has seen.
#[derive(Debug, Default)]
pub struct Catalogue {
    by_key: HashMap<String, u32>,
    by_id: HashMap<u32, Arc<Series>>,
}

impl Catalogue {
    /// Reads it from the file.
    pub(super) fn load(db: &Connection) -> Result<Catalogue, Error> {
        let mut catalogue = Catalogue::default();
        let mut rows = db.prepare("SELECT id, key FROM series")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            catalogue.insert(row.get(0)?, row.get(1)?);
        }
        Ok(catalogue)
    }

    pub(super) fn insert(&mut self, id: u32, key: String) {
        if let Ok(series) = serde_json::from_str(&key) {
            self.by_id.insert(id, Arc::new(series));
            self.by_key.insert(key, id);
        }
    }

    pub(super) fn find(&self, key: &str) -> Option<u32> {
        self.by_key.get(key).copied()
    }

    pub(super) fn is_full(&self) -> bool {
        self.by_key.len() >= MAX_SERIES
    }

    /// The series with this number, if it was not lost.
    #[must_use]
    pub fn series(&self, id: u32) -> Option<&Arc<Series>> {
        self.by_id.get(&id)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_key.len()
    }
}
