//! The one writer: reports into rows and summaries, many requests in one transaction.

use super::body::{self, Points};
use super::catalogue::Catalogue;
use super::devices::{Device, Devices};
use super::open::{self, Opened};
use super::summary::{Progress, Summaries};
use super::{Keep, Salvage, Store, exclusive, shared};
use crate::Error;
use crate::otlp::{Point, Reason, Rejected, Report};
use crate::series::{Cohort, Source};
use crate::value::Value;
use rusqlite::{Connection, OptionalExtension as _, Transaction};
use std::collections::HashMap;
use std::sync::Arc;

/// Most sources: models on devices.
const MAX_SOURCES: usize = 200_000;
/// Most points of one session, with those that it stopped reporting.
const MAX_SESSION_POINTS: usize = 4096;
/// Sessions whose last report is held in memory, encoded.
const HELD_SESSIONS: usize = 65_536;

/// What became of the reports of one request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Points that are now stored.
    pub stored: u64,
    /// Points that were stored already.
    pub duplicate: u64,
    /// Points that were not taken.
    pub rejected: Rejected,
}

/// The connection that writes, and what it remembers.
#[derive(Debug)]
pub struct Writer {
    pub(super) db: Connection,
    pub(super) store: Arc<Store>,
    pub(super) keep: Keep,
    options: Options,
    state: State,
    /// Rows whose checksum did not match, since the start.
    pub damaged_rows: u64,
}

/// How the file is opened.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Largest size of the file.
    pub max_bytes: Option<u64>,
    /// Whether to read all of it first.
    pub check: bool,
}

/// What is in memory of the file. All of it can be read again.
#[derive(Debug, Default)]
struct State {
    sources: HashMap<Source, Known>,
    cohorts: HashMap<Cohort, u32>,
    sessions: HashMap<(u32, i64), Session>,
    summaries: Summaries,
    progress: Progress,
    /// Devices that the transaction at hand changed.
    devices: Devices,
}

#[derive(Debug, Clone)]
struct Known {
    id: u32,
    cohort: u32,
    source: Arc<Source>,
    cohort_name: Arc<Cohort>,
}

/// The newest report of a session.
#[derive(Debug, Clone)]
struct Session {
    id: i64,
    fine_ns: i64,
    newest: Option<Newest>,
}

#[derive(Debug, Clone)]
struct Newest {
    time_ns: i64,
    received_ms: i64,
    body: Vec<u8>,
    /// Series that were reported at that time; the others stand as they were reported before.
    reported: Vec<u32>,
}

impl Writer {
    /// Opens the file of `store`, and repairs it where it is damaged.
    ///
    /// # Errors
    /// See [`open`](super::open).
    pub fn open(store: &Arc<Store>, keep: Keep, options: Options) -> Result<(Writer, Option<Salvage>), Error> {
        let Opened { db, salvaged } = open::open(&store.path, options.max_bytes, options.check)?;
        let mut writer =
            Writer { db, store: Arc::clone(store), keep, options, state: State::default(), damaged_rows: 0 };
        writer.load()?;
        Ok((writer, salvaged))
    }

    /// Opens the file again after it was found damaged, which sets it aside and saves what can be read.
    ///
    /// # Errors
    /// As [`Writer::open`].
    pub fn repair(&mut self) -> Result<Option<Salvage>, Error> {
        self.store.forget_readers();
        // The file is renamed: this connection must not hold its log.
        self.db = Connection::open_in_memory()?;
        let options = Options { check: true, ..self.options };
        let (writer, salvaged) = Writer::open(&self.store, self.keep, options)?;
        *self = Writer { options: self.options, damaged_rows: self.damaged_rows, ..writer };
        Ok(salvaged)
    }

    /// Reads what is held in memory from the file.
    fn load(&mut self) -> Result<(), Error> {
        self.state = State::default();
        *exclusive(&self.store.catalogue) = Catalogue::load(&self.db)?;
        for (name, value) in self
            .db
            .prepare("SELECT name, value FROM progress")?
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?
            .collect::<Result<Vec<_>, _>>()?
        {
            match name.as_str() {
                "fine_ms" => self.state.progress.fine_ms = value,
                _ => self.state.progress.coarse_ms = value,
            }
        }
        let mut devices = Devices::new();
        let mut rows = self.db.prepare("SELECT id, fleet, attributes FROM source")?;
        let mut rows = rows.query([])?;
        while let Some(row) = rows.next()? {
            let id: u32 = row.get(0)?;
            let Ok(attributes) = serde_json::from_str(&row.get::<_, String>(2)?) else { continue };
            let source = Arc::new(Source { fleet: row.get(1)?, attributes });
            let mut device = Device::new(Arc::clone(&source), Arc::new(source.cohort()));
            self.recall(id, &mut device)?;
            devices.insert(id, device);
        }
        *exclusive(&self.store.devices) = devices;
        Ok(())
    }

    /// What a device said last.
    fn recall(&self, source: u32, device: &mut Device) -> Result<(), Error> {
        let sessions: Vec<i64> = self
            .db
            .prepare_cached("SELECT id FROM session WHERE source = ?1 ORDER BY start_ns DESC LIMIT 2")?
            .query_map([source], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for session in sessions {
            let mut rows = self.db.prepare_cached(
                "SELECT time_ns, received_ms, body FROM report WHERE session = ?1 ORDER BY time_ns DESC LIMIT 2",
            )?;
            let rows = rows.query_map([session], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let mut newest: Option<(i64, i64, Points)> = None;
            for row in rows {
                let (time_ns, received_ms, bytes): (i64, i64, Vec<u8>) = row?;
                let Ok(points) = body::decode(&bytes, [session, time_ns, received_ms]) else { continue };
                match &newest {
                    None => newest = Some((time_ns, received_ms, points)),
                    Some((time_ns, received_ms, totals)) if device.newest.time_ms < time_ns / 1_000_000 => {
                        (device.newest.time_ms, device.newest.received_ms) = (time_ns / 1_000_000, *received_ms);
                        device.newest.observe(totals, &growth(totals, &points), &shared(&self.store.catalogue));
                    }
                    Some(_) => {}
                }
            }
            if let Some((time_ns, received_ms, totals)) = newest
                && device.newest.time_ms < time_ns / 1_000_000
            {
                (device.newest.time_ms, device.newest.received_ms) = (time_ns / 1_000_000, received_ms);
                device.newest.observe(&totals, &totals, &shared(&self.store.catalogue));
            }
        }
        Ok(())
    }

    /// Stores the reports of many requests in one transaction. When it returns, they are on the disk.
    ///
    /// # Errors
    /// [`Error::Full`]: nothing could be written, and nothing of it was. [`Error::Damaged`]: the file is; call [`Writer::repair`].
    pub fn store(&mut self, requests: Vec<Vec<Report>>, received_ms: i64) -> Result<Vec<Outcome>, Error> {
        let outcome = self.try_store(requests, received_ms);
        match &outcome {
            Ok(_) => exclusive(&self.store.devices).extend(self.state.devices.drain()),
            Err(Error::Damaged { .. }) => {}
            // What is in memory may be of the transaction that was not.
            Err(_) => {
                self.state = State { progress: self.state.progress, ..State::default() };
                *exclusive(&self.store.catalogue) = Catalogue::load(&self.db)?;
            }
        }
        outcome
    }

    fn try_store(&mut self, requests: Vec<Vec<Report>>, received_ms: i64) -> Result<Vec<Outcome>, Error> {
        if self.state.sessions.len() > HELD_SESSIONS {
            self.state.sessions.clear();
        }
        let transaction = self.db.transaction()?;
        let mut batch =
            Batch { db: &transaction, store: &self.store, state: &mut self.state, received_ms, damaged_rows: 0 };
        let mut outcomes = Vec::with_capacity(requests.len());
        for reports in requests {
            let mut outcome = Outcome::default();
            for report in reports {
                batch.report(report, &mut outcome)?;
            }
            outcomes.push(outcome);
        }
        batch.state.summaries.flush(&transaction)?;
        self.damaged_rows += batch.damaged_rows;
        transaction.commit()?;
        Ok(outcomes)
    }

    /// Moves what is in the log to the file, as far as nobody reads it.
    ///
    /// # Errors
    /// As [`Writer::store`].
    pub fn settle(&self) -> Result<(), Error> {
        Ok(self.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)")?)
    }

    /// Summaries were merged up to there.
    pub(super) fn summaries_merged(&mut self, progress: Progress) {
        self.state.summaries.clear();
        self.state.progress = progress;
    }

    /// Rows of these sessions, given by source and start, were changed.
    pub(super) fn forget_sessions(&mut self, changed: &[(u32, i64)]) {
        for key in changed {
            self.state.sessions.remove(key);
        }
    }

    /// Forgets sources that were deleted.
    pub(super) fn forget_sources(&mut self, gone: &[u32]) {
        if !gone.is_empty() {
            self.state.sessions.clear();
            self.state.sources.clear();
            exclusive(&self.store.devices).retain(|id, _| !gone.contains(id));
        }
    }

    pub(super) fn progress(&self) -> Progress {
        self.state.progress
    }
}

/// One transaction.
struct Batch<'a> {
    db: &'a Transaction<'a>,
    store: &'a Store,
    state: &'a mut State,
    received_ms: i64,
    damaged_rows: u64,
}

impl Batch<'_> {
    fn report(&mut self, report: Report, outcome: &mut Outcome) -> Result<(), Error> {
        let Report { source, start_ns, time_ns, points } = report;
        let count = points.len() as u64;
        let Some(known) = self.source(source)? else {
            outcome.rejected.note(Reason::Cardinality, count);
            return Ok(());
        };
        let mut points = self.number(points, outcome)?;
        if points.is_empty() {
            return Ok(());
        }
        let mut session = self.session(&known, start_ns)?;
        match &session.newest {
            Some(newest) if time_ns < newest.time_ns => self.late(&known, &mut session, time_ns, points, outcome)?,
            newest => {
                let (same_time, totals) = match newest {
                    Some(newest) => (newest.time_ns == time_ns, self.totals(session.id, newest)),
                    None => (false, Some(Points::new())),
                };
                let mut reported = match newest {
                    Some(newest) if same_time => newest.reported.clone(),
                    _ => Vec::new(),
                };
                let sent = points.len();
                points.retain(|(series, _)| !reported.contains(series));
                outcome.duplicate += (sent - points.len()) as u64;
                if points.is_empty() {
                    return Ok(());
                }
                let before = totals.as_deref().unwrap_or_default();
                // Without what was reported before, nobody can say what of this is new.
                let growth = if totals.is_some() { growth(&points, before) } else { Points::new() };
                reported.extend(points.iter().map(|(series, _)| *series));
                let new = points.len() as u64;
                let points = carried(points, before, same_time);
                if points.len() > MAX_SESSION_POINTS {
                    outcome.rejected.note(Reason::Cardinality, new);
                    return Ok(());
                }
                outcome.stored += new;
                self.state.summaries.add(self.db, known.cohort, self.state.progress.row_of(time_ns), &growth)?;
                let received_ms = match &session.newest {
                    Some(newest) if same_time => newest.received_ms,
                    _ => self.received_ms,
                };
                let bytes = self.write(session.id, time_ns, received_ms, &points)?;
                self.seen(&known, time_ns, Some((&points, &growth)));
                session.newest = Some(Newest { time_ns, received_ms, body: bytes, reported });
            }
        }
        self.state.sessions.insert((known.id, start_ns), session);
        Ok(())
    }

    /// A report that comes after a later one of its session: the growth that was counted for the later one is shared between
    /// both, so that a spool that arrives after fresh reports lands where it belongs.
    fn late(
        &mut self,
        known: &Known,
        session: &mut Session,
        time_ns: i64,
        mut points: Points,
        outcome: &mut Outcome,
    ) -> Result<(), Error> {
        let count = points.len();
        let there = self.row(session.id, "=", "ASC", time_ns)?;
        if let Some((_, _, stored)) = &there {
            points.retain(|(series, _)| find(stored, *series).is_none());
        }
        outcome.duplicate += (count - points.len()) as u64;
        outcome.stored += points.len() as u64;
        if points.is_empty() {
            return Ok(());
        }
        let before = self.row(session.id, "<", "DESC", time_ns)?.map(|(_, _, points)| points).unwrap_or_default();
        let after = self.row(session.id, ">", "ASC", time_ns)?;
        let mut here = growth(&points, &before);
        if let Some((after_ns, _, after)) = after {
            // Of a series that is not in the later report nothing was counted there.
            let (moved, unmoved): (Points, Points) = here
                .into_iter()
                .partition(|(series, value)| !matches!(value, Value::Gauge(_)) && find(&after, *series).is_some());
            let row = self.state.progress.row_of(after_ns);
            self.state.summaries.take(self.db, known.cohort, row, &moved)?;
            here = merged(moved, unmoved);
        }
        self.state.summaries.add(self.db, known.cohort, self.state.progress.row_of(time_ns), &here)?;
        let (received_ms, stored) =
            there.map_or((self.received_ms, Points::new()), |(_, received, points)| (received, points));
        let points = carried(merged(points, stored), &before, false);
        self.write(session.id, time_ns, received_ms, &points)?;
        if time_ns < session.fine_ns {
            self.db
                .prepare_cached(
                    "UPDATE session SET fine_ns = min(fine_ns, ?2), coarse_ns = min(coarse_ns, ?2) WHERE id = ?1",
                )?
                .execute((session.id, time_ns))?;
            session.fine_ns = time_ns;
        }
        self.seen(known, 0, None);
        Ok(())
    }

    /// The row next to a time in a direction. One that is damaged counts as absent.
    fn row(
        &mut self,
        session: i64,
        side: &str,
        order: &str,
        time_ns: i64,
    ) -> Result<Option<(i64, i64, Points)>, Error> {
        let text = format!(
            "SELECT time_ns, received_ms, body FROM report WHERE session = ?1 AND time_ns {side} ?2 ORDER BY time_ns {order} LIMIT 1"
        );
        let row: Option<(i64, i64, Vec<u8>)> = self
            .db
            .prepare_cached(&text)?
            .query_row((session, time_ns), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .optional()?;
        let Some((time_ns, received_ms, bytes)) = row else { return Ok(None) };
        let points = body::decode(&bytes, [session, time_ns, received_ms]);
        self.damaged_rows += u64::from(points.is_err());
        Ok(points.ok().map(|points| (time_ns, received_ms, points)))
    }

    fn totals(&mut self, session: i64, newest: &Newest) -> Option<Points> {
        let points = body::decode(&newest.body, [session, newest.time_ns, newest.received_ms]);
        self.damaged_rows += u64::from(points.is_err());
        points.ok()
    }

    fn write(&self, session: i64, time_ns: i64, received_ms: i64, points: &Points) -> Result<Vec<u8>, Error> {
        let bytes = body::encode(points, [session, time_ns, received_ms]);
        self.db
            .prepare_cached(
                "INSERT OR REPLACE INTO report (session, time_ns, received_ms, body) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((session, time_ns, received_ms, &bytes))?;
        Ok(bytes)
    }

    /// Notes that a device was heard of, and what it said if that is its newest word.
    fn seen(&mut self, known: &Known, time_ns: i64, said: Option<(&Points, &Points)>) {
        let device = self.state.devices.entry(known.id).or_insert_with(|| {
            let before = shared(&self.store.devices).get(&known.id).cloned();
            before.unwrap_or_else(|| Device::new(Arc::clone(&known.source), Arc::clone(&known.cohort_name)))
        });
        device.newest.received_ms = self.received_ms;
        if let Some((totals, growth)) = said
            && time_ns / 1_000_000 > device.newest.time_ms
        {
            device.newest.time_ms = time_ns / 1_000_000;
            device.newest.observe(totals, growth, &shared(&self.store.catalogue));
        }
    }

    /// Points with the numbers of their series, in their order, each series once.
    fn number(&mut self, points: Vec<Point>, outcome: &mut Outcome) -> Result<Points, Error> {
        let mut numbered = Points::with_capacity(points.len());
        let mut unknown = Vec::new();
        {
            let catalogue = shared(&self.store.catalogue);
            for point in points {
                match catalogue.find(&point.series) {
                    Some(id) => numbered.push((id, point.value)),
                    None => unknown.push(point),
                }
            }
        }
        for Point { series, value } in unknown {
            let mut catalogue = exclusive(&self.store.catalogue);
            let id = match catalogue.find(&series) {
                Some(id) => id,
                None if catalogue.is_full() => {
                    outcome.rejected.note(Reason::Cardinality, 1);
                    continue;
                }
                None => {
                    self.db.prepare_cached("INSERT INTO series (key) VALUES (?1)")?.execute([&series])?;
                    let id = self.new_id()?;
                    catalogue.insert(id, series);
                    id
                }
            };
            numbered.push((id, value));
        }
        numbered.sort_by_key(|(id, _)| *id);
        let before = numbered.len();
        numbered.dedup_by_key(|(id, _)| *id);
        outcome.duplicate += (before - numbered.len()) as u64;
        Ok(numbered)
    }

    /// The source's number; `None` if there are too many.
    fn source(&mut self, source: Source) -> Result<Option<Known>, Error> {
        if let Some(known) = self.state.sources.get(&source) {
            return Ok(Some(known.clone()));
        }
        let attributes = serde_json::to_string(&source.attributes).unwrap_or_default();
        let stored: Option<u32> = self
            .db
            .prepare_cached("SELECT id FROM source WHERE fleet = ?1 AND attributes = ?2")?
            .query_row((&source.fleet, &attributes), |row| row.get(0))
            .optional()?;
        let id = match stored {
            Some(id) => id,
            None if shared(&self.store.devices).len() + self.state.devices.len() >= MAX_SOURCES => return Ok(None),
            None => {
                self.db
                    .prepare_cached("INSERT INTO source (fleet, attributes, device) VALUES (?1, ?2, ?3)")?
                    .execute((&source.fleet, &attributes, source.device()))?;
                self.new_id()?
            }
        };
        let cohort_name = source.cohort();
        let cohort = self.cohort(&cohort_name)?;
        let known = Known { id, cohort, source: Arc::new(source.clone()), cohort_name: Arc::new(cohort_name) };
        self.state.sources.insert(source, known.clone());
        Ok(Some(known))
    }

    fn cohort(&mut self, cohort: &Cohort) -> Result<u32, Error> {
        if let Some(id) = self.state.cohorts.get(cohort) {
            return Ok(*id);
        }
        let Cohort { fleet, site, model, version, target } = cohort;
        let key = (fleet, site, model, version, target);
        self.db
            .prepare_cached(
                "INSERT OR IGNORE INTO cohort (fleet, site, model, version, target) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(key)?;
        let id = self
            .db
            .prepare_cached(
                "SELECT id FROM cohort WHERE fleet = ?1 AND site = ?2 AND model = ?3 AND version = ?4 AND target = ?5",
            )?
            .query_row(key, |row| row.get(0))?;
        self.state.cohorts.insert(cohort.clone(), id);
        Ok(id)
    }

    fn session(&mut self, known: &Known, start_ns: i64) -> Result<Session, Error> {
        if let Some(session) = self.state.sessions.remove(&(known.id, start_ns)) {
            return Ok(session);
        }
        let stored: Option<(i64, i64)> = self
            .db
            .prepare_cached("SELECT id, fine_ns FROM session WHERE source = ?1 AND start_ns = ?2")?
            .query_row((known.id, start_ns), |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((id, fine_ns)) = stored else {
            self.db
                .prepare_cached("INSERT INTO session (source, start_ns, fine_ns, coarse_ns) VALUES (?1, ?2, 0, 0)")?
                .execute((known.id, start_ns))?;
            return Ok(Session { id: self.db.last_insert_rowid(), fine_ns: 0, newest: None });
        };
        let newest = self
            .db
            .prepare_cached(
                "SELECT time_ns, received_ms, body FROM report WHERE session = ?1 ORDER BY time_ns DESC LIMIT 1",
            )?
            .query_row([id], |row| {
                Ok(Newest { time_ns: row.get(0)?, received_ms: row.get(1)?, body: row.get(2)?, reported: Vec::new() })
            })
            .optional()?;
        let newest = newest.map(|newest| {
            let points = self.totals(id, &newest).unwrap_or_default();
            Newest { reported: points.iter().map(|(series, _)| *series).collect(), ..newest }
        });
        Ok(Session { id, fine_ns, newest })
    }

    fn new_id(&self) -> Result<u32, Error> {
        u32::try_from(self.db.last_insert_rowid()).map_err(|_| Error::Damaged { detail: "ids ran out".to_owned() })
    }
}

fn find(points: &[(u32, Value)], series: u32) -> Option<&Value> {
    points.binary_search_by_key(&series, |(id, _)| *id).ok().and_then(|at| points.get(at)).map(|(_, value)| value)
}

/// What grew between two reports.
fn growth(points: &[(u32, Value)], before: &[(u32, Value)]) -> Points {
    let since = |(series, value): &(u32, Value)| match find(before, *series) {
        Some(before) => (*series, value.since(before)),
        None => (*series, value.clone()),
    };
    points.iter().map(since).collect()
}

/// Both lists; of a series in both, the first one's value.
fn merged(mut points: Points, others: Points) -> Points {
    points.extend(others);
    points.sort_by_key(|(series, _)| *series);
    points.dedup_by_key(|(series, _)| *series);
    points
}

/// Points, with the totals of series that are not among them: they stand as they were. Gauges stand for their own time only.
fn carried(points: Points, before: &[(u32, Value)], same_time: bool) -> Points {
    let stand = before.iter().filter(|(_, value)| same_time || !matches!(value, Value::Gauge(_)));
    merged(points, stand.cloned().collect())
}
