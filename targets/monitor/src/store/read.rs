//! What the pages and the alerts read.

use super::body::{self, Points};
use super::{Store, shared};
use crate::Error;
use crate::series::{Cohort, Series};
use rusqlite::Transaction;
use serde::Serialize;
use std::sync::Arc;

/// A stretch of time, in milliseconds since 1970: from, and up to but without, to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// Its beginning.
    pub from_ms: i64,
    /// Its end.
    pub to_ms: i64,
}

/// Which cohorts: those that have each value that is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Filter {
    /// Fleet.
    pub fleet: Option<String>,
    /// Site.
    pub site: Option<String>,
    /// Model.
    pub model: Option<String>,
    /// Version of the model.
    pub version: Option<String>,
    /// Target.
    pub target: Option<String>,
}

impl Filter {
    /// Whether a cohort is among them.
    #[must_use]
    pub fn takes(&self, cohort: &Cohort) -> bool {
        let takes = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        takes(&self.fleet, &cohort.fleet)
            && takes(&self.site, &cohort.site)
            && takes(&self.model, &cohort.model)
            && takes(&self.version, &cohort.version)
            && takes(&self.target, &cohort.target)
    }
}

/// A read transaction.
#[derive(Debug)]
pub struct Reader<'a> {
    pub(super) db: &'a Transaction<'a>,
    pub(super) store: &'a Store,
}

/// What a cohort did in a stretch of time.
#[derive(Debug)]
pub struct SummaryRow {
    /// Who.
    pub cohort: Arc<Cohort>,
    /// Where the stretch begins.
    pub time_ms: i64,
    /// Growth by series.
    pub points: Points,
}

/// Reports of one device, oldest first: start of the session, time, points.
pub type History = Vec<(i64, i64, Points)>;

impl Reader<'_> {
    /// Calls `each` with every summary in the range. Rows whose checksum does not match are left out; how many is returned.
    ///
    /// # Errors
    /// What `each` returns, and see [`Store::read`].
    pub fn summaries(
        &self,
        range: Range,
        filter: &Filter,
        mut each: impl FnMut(SummaryRow) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let mut damaged = 0;
        for (id, cohort) in self.cohorts()? {
            if !filter.takes(&cohort) {
                continue;
            }
            let cohort = Arc::new(cohort);
            let mut rows = self.db.prepare_cached(
                "SELECT time_ms, body FROM summary WHERE cohort = ?1 AND time_ms >= ?2 AND time_ms < ?3 ORDER BY time_ms",
            )?;
            let mut rows = rows.query((id, range.from_ms, range.to_ms))?;
            while let Some(row) = rows.next()? {
                let time_ms = row.get(0)?;
                match body::decode(row.get_ref(1)?.as_blob().unwrap_or_default(), [id, time_ms, 0]) {
                    Ok(points) => each(SummaryRow { cohort: Arc::clone(&cohort), time_ms, points })?,
                    Err(_) => damaged += 1,
                }
            }
        }
        Ok(damaged)
    }

    fn cohorts(&self) -> Result<Vec<(i64, Cohort)>, Error> {
        let mut rows = self.db.prepare_cached(
            "SELECT id, fleet, site, model, version, target FROM cohort ORDER BY model, version, target, fleet, site",
        )?;
        let rows = rows.query_map([], |row| {
            let cohort = Cohort {
                fleet: row.get(1)?,
                site: row.get(2)?,
                model: row.get(3)?,
                version: row.get(4)?,
                target: row.get(5)?,
            };
            Ok((row.get(0)?, cohort))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The newest reports of a source in the range, at most `limit`.
    ///
    /// # Errors
    /// See [`Store::read`].
    pub fn history(&self, source: u32, range: Range, limit: u32) -> Result<History, Error> {
        let mut rows = self.db.prepare_cached(
            "SELECT session.id, session.start_ns, report.time_ns, report.received_ms, report.body
             FROM session JOIN report ON report.session = session.id
             WHERE session.source = ?1 AND report.time_ns >= ?2 AND report.time_ns < ?3
             ORDER BY report.time_ns DESC LIMIT ?4",
        )?;
        let (from, to) = (range.from_ms.saturating_mul(1_000_000), range.to_ms.saturating_mul(1_000_000));
        let mut rows = rows.query((source, from, to, limit))?;
        let mut history = History::new();
        while let Some(row) = rows.next()? {
            let (session, start_ns, time_ns, received_ms): (i64, i64, i64, i64) =
                (row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?);
            let bytes = row.get_ref(4)?.as_blob().unwrap_or_default();
            if let Ok(points) = body::decode(bytes, [session, time_ns, received_ms]) {
                history.push((start_ns, time_ns, points));
            }
        }
        history.reverse();
        Ok(history)
    }

    /// The series with a number; nothing for one that was lost.
    #[must_use]
    pub fn series(&self, id: u32) -> Option<Arc<Series>> {
        shared(&self.store.catalogue).series(id).cloned()
    }

    /// Rows of each table that grows.
    ///
    /// # Errors
    /// See [`Store::read`].
    pub fn sessions(&self) -> Result<i64, Error> {
        Ok(self.db.query_row("SELECT count(*) FROM session", [], |row| row.get(0))?)
    }
}
