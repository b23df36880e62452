//! How long what is kept: raw reports, then one per 5 minutes, then one per hour, then nothing. In small steps, between the
//! transactions of the receiver.

use super::Writer;
use super::body::{self, Points};
use crate::Error;
use crate::value::Value;
use rusqlite::{Transaction, TransactionBehavior};

/// Milliseconds of a minute, the width of a summary's row.
pub const MINUTE_MS: i64 = 60_000;
/// Milliseconds of an hour.
pub const HOUR_MS: i64 = 60 * MINUTE_MS;
/// Milliseconds of a day.
pub const DAY_MS: i64 = 24 * HOUR_MS;
const FINE_MS: i64 = 5 * MINUTE_MS;

/// Sessions that one step works on.
const SESSIONS_PER_STEP: u32 = 8;
/// Most rows that one step reads of one session.
const ROWS_PER_STEP: u32 = 4096;

/// How long reports are kept, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// As they came; summaries per minute.
    pub raw_ms: i64,
    /// One per 5 minutes.
    pub fine_ms: i64,
    /// One per hour.
    pub coarse_ms: i64,
    /// Summaries of cohorts, per hour.
    pub summary_ms: i64,
}

impl Default for Keep {
    fn default() -> Keep {
        Keep { raw_ms: 6 * HOUR_MS, fine_ms: 7 * DAY_MS, coarse_ms: 90 * DAY_MS, summary_ms: 400 * DAY_MS }
    }
}

impl Writer {
    /// One step of merging and deleting what is old. True if there is more to do.
    ///
    /// # Errors
    /// As [`Writer::store`].
    pub fn tidy(&mut self, now_ms: i64) -> Result<bool, Error> {
        let summaries = self.tidy_summaries(now_ms)?;
        let sessions = self.tidy_sessions(now_ms)?;
        if !summaries && !sessions {
            self.give_back()?;
        }
        Ok(summaries || sessions)
    }

    fn tidy_summaries(&mut self, now_ms: i64) -> Result<bool, Error> {
        let (fine, coarse) = (hour_of(now_ms - self.keep.raw_ms), hour_of(now_ms - self.keep.fine_ms));
        let mut progress = self.progress();
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (from, to, width_ms) in [(&mut progress.fine_ms, fine, FINE_MS), (&mut progress.coarse_ms, coarse, HOUR_MS)]
        {
            let next: Option<i64> =
                transaction
                    .query_row("SELECT min(time_ms) FROM summary WHERE time_ms >= ?1", [*from], |row| row.get(0))?;
            // Hours without rows are passed over.
            *from = (*from).max(next.map_or(to, hour_of).min(to));
            if *from < to {
                merge_summaries(&transaction, *from, width_ms)?;
                *from += HOUR_MS;
            }
        }
        transaction.execute("DELETE FROM summary WHERE time_ms < ?1", [now_ms - self.keep.summary_ms])?;
        for (name, value) in [("fine_ms", progress.fine_ms), ("coarse_ms", progress.coarse_ms)] {
            transaction.execute("UPDATE progress SET value = ?2 WHERE name = ?1 AND value <> ?2", (name, value))?;
        }
        transaction.commit()?;
        let before = self.progress();
        if (before.fine_ms, before.coarse_ms) != (progress.fine_ms, progress.coarse_ms) {
            self.summaries_merged(progress);
        }
        Ok(progress.fine_ms < fine || progress.coarse_ms < coarse)
    }

    fn tidy_sessions(&mut self, now_ms: i64) -> Result<bool, Error> {
        let nanoseconds = |ms: i64| ms.saturating_mul(1_000_000);
        let fine_ns = nanoseconds(hour_of(now_ms - self.keep.raw_ms));
        let coarse_ns = nanoseconds(hour_of(now_ms - self.keep.fine_ms));
        let oldest_ns = nanoseconds(now_ms - self.keep.coarse_ms);
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let due: Vec<(i64, u32, i64, i64, i64)> = transaction
            .prepare_cached(
                "SELECT id, source, start_ns, fine_ns, coarse_ns FROM session WHERE fine_ns < ?1 OR coarse_ns < ?2 LIMIT ?3",
            )?
            .query_map((fine_ns, coarse_ns, SESSIONS_PER_STEP), |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
            })?
            .collect::<Result<_, _>>()?;
        let (mut changed, mut gone, mut damaged) = (Vec::new(), Vec::new(), 0);
        for (session, source, start_ns, fine_from, coarse_from) in &due {
            let fine_to = thin(&transaction, *session, *fine_from, fine_ns, nanoseconds(FINE_MS), &mut damaged)?;
            let coarse_limit = coarse_ns.min(fine_to);
            let coarse_to =
                thin(&transaction, *session, *coarse_from, coarse_limit, nanoseconds(HOUR_MS), &mut damaged)?;
            transaction
                .prepare_cached("UPDATE session SET fine_ns = ?2, coarse_ns = ?3 WHERE id = ?1")?
                .execute((session, fine_to, coarse_to))?;
            if expire(&transaction, *session, *source, oldest_ns)? {
                gone.push(*source);
            }
            changed.push((*source, *start_ns));
        }
        transaction.commit()?;
        self.damaged_rows += damaged;
        self.forget_sessions(&changed);
        self.forget_sources(&gone);
        Ok(!due.is_empty())
    }

    /// Gives pages that are no longer used back to the file system, when they are many: otherwise they are used again.
    fn give_back(&self) -> Result<(), Error> {
        let free: i64 = self.db.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        let all: i64 = self.db.pragma_query_value(None, "page_count", |row| row.get(0))?;
        if free > 4096 && free > all / 4 {
            self.db.execute_batch("PRAGMA incremental_vacuum(1024)")?;
        }
        Ok(())
    }
}

fn hour_of(time_ms: i64) -> i64 {
    time_ms - time_ms.rem_euclid(HOUR_MS)
}

/// Merges the summaries of the hour from `from_ms` on to rows of `width_ms`.
fn merge_summaries(db: &Transaction, from_ms: i64, width_ms: i64) -> Result<(), Error> {
    let cohorts: Vec<i64> =
        db.prepare_cached("SELECT id FROM cohort")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for cohort in cohorts {
        let rows: Vec<(i64, Vec<u8>)> = db
            .prepare_cached("SELECT time_ms, body FROM summary WHERE cohort = ?1 AND time_ms >= ?2 AND time_ms < ?3")?
            .query_map((cohort, from_ms, from_ms + HOUR_MS), |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        let mut merged: Vec<(i64, Points)> = Vec::new();
        for (time_ms, bytes) in rows {
            let points = body::decode(&bytes, [cohort, time_ms, 0])?;
            let start = time_ms - time_ms.rem_euclid(width_ms);
            match merged.last_mut() {
                Some((time, all)) if *time == start => combine(all, points, Value::add),
                _ => merged.push((start, points)),
            }
        }
        db.prepare_cached("DELETE FROM summary WHERE cohort = ?1 AND time_ms >= ?2 AND time_ms < ?3")?.execute((
            cohort,
            from_ms,
            from_ms + HOUR_MS,
        ))?;
        for (time_ms, points) in merged {
            db.prepare_cached("INSERT INTO summary (cohort, time_ms, body) VALUES (?1, ?2, ?3)")?.execute((
                cohort,
                time_ms,
                body::encode(&points, [cohort, time_ms, 0]),
            ))?;
        }
    }
    Ok(())
}

/// Keeps the newest report of each `width_ns`, with the gauges of all of them. Returns up to where that is done.
fn thin(
    db: &Transaction,
    session: i64,
    from_ns: i64,
    to_ns: i64,
    width_ns: i64,
    damaged: &mut u64,
) -> Result<i64, Error> {
    if from_ns >= to_ns {
        return Ok(from_ns);
    }
    let from_ns = from_ns - from_ns.rem_euclid(width_ns);
    let mut rows: Vec<(i64, i64, Vec<u8>)> = db
        .prepare_cached(
            "SELECT time_ns, received_ms, body FROM report WHERE session = ?1 AND time_ns >= ?2 AND time_ns < ?3
             ORDER BY time_ns LIMIT ?4",
        )?
        .query_map((session, from_ns, to_ns, ROWS_PER_STEP), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
        .collect::<Result<_, _>>()?;
    let mut done_ns = to_ns;
    if rows.len() as u64 == u64::from(ROWS_PER_STEP)
        && let Some((last, ..)) = rows.last()
    {
        // The last stretch may be cut off: it is for the next step, unless it is all there is.
        let start = last - last.rem_euclid(width_ns);
        let whole = rows.partition_point(|(time, ..)| *time < start);
        if whole > 0 {
            rows.truncate(whole);
            done_ns = start;
        } else {
            done_ns = last + 1;
        }
    }
    let mut delete = db.prepare_cached("DELETE FROM report WHERE session = ?1 AND time_ns = ?2")?;
    let mut stretch: Option<(i64, i64, i64, Points, u64)> = None;
    let write = |(_, time_ns, received_ms, points, merged): (i64, i64, i64, Points, u64)| -> Result<(), Error> {
        if merged > 1 {
            db.prepare_cached("UPDATE report SET body = ?3 WHERE session = ?1 AND time_ns = ?2")?.execute((
                session,
                time_ns,
                body::encode(&points, [session, time_ns, received_ms]),
            ))?;
        }
        Ok(())
    };
    for (time_ns, received_ms, bytes) in rows {
        let Ok(points) = body::decode(&bytes, [session, time_ns, received_ms]) else {
            *damaged += 1;
            delete.execute((session, time_ns))?;
            continue;
        };
        let start = time_ns - time_ns.rem_euclid(width_ns);
        match &mut stretch {
            Some((own, last, received, all, merged)) if *own == start => {
                delete.execute((session, *last))?;
                combine(all, points, Value::follow);
                (*last, *received, *merged) = (time_ns, received_ms, *merged + 1);
            }
            _ => {
                if let Some(complete) = stretch.replace((start, time_ns, received_ms, points, 1)) {
                    write(complete)?;
                }
            }
        }
    }
    stretch.map(write).transpose()?;
    Ok(done_ns)
}

fn combine(all: &mut Points, later: Points, merge: impl Fn(&mut Value, &Value)) {
    for (series, value) in later {
        match all.binary_search_by_key(&series, |(id, _)| *id) {
            Ok(at) => merge(&mut all[at].1, &value),
            Err(at) => all.insert(at, (series, value)),
        }
    }
}

/// Deletes what is older than everything that is kept. The newest report of a session stays as long as the session, because the next
/// one is counted from it. True if the source is gone, too.
fn expire(db: &Transaction, session: i64, source: u32, oldest_ns: i64) -> Result<bool, Error> {
    let newest: Option<i64> = db
        .prepare_cached("SELECT max(time_ns) FROM report WHERE session = ?1")?
        .query_row([session], |row| row.get(0))?;
    let whole = newest.is_none_or(|newest| newest < oldest_ns);
    let up_to = if whole { i64::MAX } else { oldest_ns };
    db.prepare_cached("DELETE FROM report WHERE session = ?1 AND time_ns < ?2")?.execute((session, up_to))?;
    if !whole {
        return Ok(false);
    }
    db.prepare_cached("DELETE FROM session WHERE id = ?1")?.execute([session])?;
    let rest: i64 =
        db.prepare_cached("SELECT count(*) FROM session WHERE source = ?1")?.query_row([source], |row| row.get(0))?;
    if rest == 0 {
        db.prepare_cached("DELETE FROM source WHERE id = ?1")?.execute([source])?;
    }
    Ok(rest == 0)
}
