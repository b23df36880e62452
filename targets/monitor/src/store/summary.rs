//! What a cohort did in a stretch of time: growths added up.

use super::body::{self, Points};
use super::retention::MINUTE_MS;
use crate::Error;
use crate::value::Value;
use rusqlite::{Connection, OptionalExtension as _};
use std::collections::HashMap;

/// Summaries that are held in memory. Reports come in the order of time, so a few do for most of them.
const HELD: usize = 512;

/// Summaries that the transaction at hand reads and changes.
#[derive(Debug, Default)]
pub struct Summaries {
    held: HashMap<(u32, i64), Held>,
}

#[derive(Debug)]
struct Held {
    points: Points,
    changed: bool,
}

/// Up to where summaries are merged.
#[derive(Debug, Clone, Copy, Default)]
pub struct Progress {
    /// Before this, a row is 5 minutes or more.
    pub fine_ms: i64,
    /// Before this, it is an hour.
    pub coarse_ms: i64,
}

impl Progress {
    /// Where the row of a time begins.
    #[must_use]
    pub fn row_of(&self, time_ns: i64) -> i64 {
        let time_ms = time_ns.div_euclid(1_000_000);
        let width = match () {
            () if time_ms < self.coarse_ms => 60 * MINUTE_MS,
            () if time_ms < self.fine_ms => 5 * MINUTE_MS,
            () => MINUTE_MS,
        };
        time_ms - time_ms.rem_euclid(width)
    }
}

impl Summaries {
    /// Adds growth to a row.
    pub fn add(&mut self, db: &Connection, cohort: u32, time_ms: i64, growth: &[(u32, Value)]) -> Result<(), Error> {
        self.change(db, cohort, time_ms, growth, |points, series, more| {
            match points.binary_search_by_key(&series, |(id, _)| *id) {
                Ok(at) => points[at].1.add(more),
                Err(at) => points.insert(at, (series, more.clone())),
            }
        })
    }

    /// Takes growth out of a row, which is then added to another.
    pub fn take(&mut self, db: &Connection, cohort: u32, time_ms: i64, growth: &[(u32, Value)]) -> Result<(), Error> {
        self.change(db, cohort, time_ms, growth, |points, series, less| {
            if let Ok(at) = points.binary_search_by_key(&series, |(id, _)| *id) {
                points[at].1 = points[at].1.since(less);
            }
        })
    }

    fn change(
        &mut self,
        db: &Connection,
        cohort: u32,
        time_ms: i64,
        growth: &[(u32, Value)],
        change: impl Fn(&mut Points, u32, &Value),
    ) -> Result<(), Error> {
        let held = match self.held.entry((cohort, time_ms)) {
            std::collections::hash_map::Entry::Occupied(held) => held.into_mut(),
            std::collections::hash_map::Entry::Vacant(place) => {
                let stored: Option<Vec<u8>> = db
                    .prepare_cached("SELECT body FROM summary WHERE cohort = ?1 AND time_ms = ?2")?
                    .query_row((cohort, time_ms), |row| row.get(0))
                    .optional()?;
                let key = [i64::from(cohort), time_ms, 0];
                let points = stored.map(|bytes| body::decode(&bytes, key)).transpose()?.unwrap_or_default();
                place.insert(Held { points, changed: false })
            }
        };
        held.changed = true;
        for (series, value) in growth {
            change(&mut held.points, *series, value);
        }
        Ok(())
    }

    /// Writes what was changed.
    pub fn flush(&mut self, db: &Connection) -> Result<(), Error> {
        let mut write =
            db.prepare_cached("INSERT OR REPLACE INTO summary (cohort, time_ms, body) VALUES (?1, ?2, ?3)")?;
        for ((cohort, time_ms), held) in &mut self.held {
            if std::mem::take(&mut held.changed) {
                write.execute((cohort, time_ms, body::encode(&held.points, [i64::from(*cohort), *time_ms, 0])))?;
            }
        }
        if self.held.len() > HELD {
            self.held.clear();
        }
        Ok(())
    }

    /// Forgets what is in memory.
    pub fn clear(&mut self) {
        self.held.clear();
    }
}
