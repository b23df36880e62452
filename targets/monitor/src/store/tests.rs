use super::*;
use crate::otlp::{Encoding, Limits, Report, normalise};
use crate::simulate::{Device as Simulated, Mood};
use crate::store::retention::{DAY_MS, HOUR_MS};
use crate::view::Totals;

/// A time on the hour, in seconds.
const NOON_S: u64 = 1_800_000_000;

struct Fixture {
    folder: tempfile::TempDir,
    store: Arc<Store>,
    writer: Writer,
}

impl Fixture {
    fn new() -> Fixture {
        Fixture::with(Options::default())
    }

    fn with(options: Options) -> Fixture {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::new(&folder.path().join("monitor.db"));
        let (writer, _) = Writer::open(&store, Keep::default(), options).expect("a new store");
        Fixture { folder, store, writer }
    }

    fn reopen(self) -> (Fixture, Option<Salvage>) {
        let Fixture { folder, store, writer } = self;
        drop(writer);
        store.forget_readers();
        let store = Store::new(&store.path);
        let options = Options { check: true, ..Options::default() };
        let (writer, salvage) = Writer::open(&store, Keep::default(), options).expect("the store again");
        (Fixture { folder, store, writer }, salvage)
    }

    fn put(&mut self, reports: Vec<Report>) -> Outcome {
        self.writer.store(vec![reports], 0).expect("stored").remove(0)
    }

    /// Runs that the summaries count.
    fn runs(&self) -> u64 {
        self.totals(0, i64::MAX).runs
    }

    fn totals(&self, from_ms: i64, to_ms: i64) -> Totals {
        let totals = self.store.read(|reader| {
            let mut totals = Totals::default();
            reader.summaries(Range { from_ms, to_ms }, &Filter::default(), |row| {
                for (id, value) in &row.points {
                    totals.add(&reader.series(*id).expect("a series"), value);
                }
                Ok(())
            })?;
            Ok(totals)
        });
        totals.expect("summaries")
    }

    fn count(&self, table: &str) -> i64 {
        self.writer.db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).expect("a count")
    }
}

/// Reports of a device at these seconds after noon, and its runs up to each.
fn reports(number: u32, seconds: impl IntoIterator<Item = u64>) -> Vec<(Vec<Report>, u64)> {
    let mut device = Simulated::new(number, NOON_S * 1_000_000_000);
    seconds
        .into_iter()
        .map(|second| {
            let time = (NOON_S + second) * 1_000_000_000;
            let payload = device.report(time, 10.0, Mood::default(), false, false);
            let request = Encoding::Protobuf.decode(&payload.body, 10_000).expect("a payload");
            let limits = Limits { latest_ns: i64::MAX, earliest_ns: 0 };
            (normalise(request, "fleet", limits).reports, device.runs())
        })
        .collect()
}

#[test]
fn what_is_sent_twice_counts_once() {
    let mut fixture = Fixture::new();
    let mut sent = reports(1, [10, 20, 30]);
    let (last, runs) = sent.pop().expect("three");
    for (report, _) in sent {
        fixture.put(report);
    }
    let first = fixture.put(last);
    assert!(first.stored > 20 && first.duplicate == 0, "{first:?}");
    for time in [30, 10] {
        let again = reports(1, [10, 20, 30]).into_iter().nth(time / 10 - 1).expect("it").0;
        let outcome = fixture.put(again);
        assert_eq!((outcome.stored, outcome.duplicate), (0, first.stored), "at {time}");
    }
    assert_eq!((fixture.runs(), fixture.count("report")), (runs, 3));
    // Nor after a restart, when nothing is in memory.
    let (mut fixture, _) = fixture.reopen();
    assert_eq!(fixture.put(reports(1, [10, 20, 30]).pop().expect("three").0).stored, 0);
    assert_eq!(fixture.runs(), runs);
}

#[test]
fn the_order_of_arrival_changes_no_total_and_no_minute() {
    let seconds = || (1..=12).map(|at| at * 25);
    let minute = |fixture: &Fixture, at: u64| {
        let from = ((NOON_S + at * 60) * 1000).cast_signed();
        fixture.totals(from, from + 60_000).runs
    };
    let mut in_order = Fixture::new();
    for (report, _) in reports(1, seconds()) {
        in_order.put(report);
    }
    for order in [[11, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [5, 11, 3, 0, 9, 7, 1, 2, 10, 4, 6, 8]] {
        let mut fixture = Fixture::new();
        let mut sent: Vec<_> = reports(1, seconds()).into_iter().map(|(report, _)| Some(report)).collect();
        for at in order {
            fixture.put(sent[at].take().expect("each once"));
        }
        let minutes = |fixture: &Fixture| (0..6).map(|at| minute(fixture, at)).collect::<Vec<_>>();
        assert_eq!(minutes(&fixture), minutes(&in_order), "{order:?}");
        assert_eq!(fixture.totals(0, i64::MAX).latency_ms(0.9), in_order.totals(0, i64::MAX).latency_ms(0.9));
    }
}

#[test]
fn a_device_that_starts_anew_counts_on() {
    let mut fixture = Fixture::new();
    let mut runs = 0;
    for start in [0, 100, 200] {
        let mut device = Simulated::new(1, (NOON_S + start) * 1_000_000_000);
        for second in [10, 20] {
            let time = (NOON_S + start + second) * 1_000_000_000;
            let body = device.report(time, 10.0, Mood::default(), false, false).body;
            let request = Encoding::Protobuf.decode(&body, 10_000).expect("a payload");
            fixture.put(normalise(request, "fleet", Limits { latest_ns: i64::MAX, earliest_ns: 0 }).reports);
        }
        runs += device.runs();
    }
    assert_eq!((fixture.runs(), fixture.count("session"), fixture.count("source")), (runs, 3, 1));
}

#[test]
fn old_reports_are_thinned_and_then_deleted_and_no_count_changes() {
    let mut fixture = Fixture::new();
    let mut runs = 0;
    for (report, all) in reports(1, (1..=720).map(|at| at * 10)) {
        fixture.put(report);
        runs = all;
    }
    assert_eq!(fixture.count("report"), 720);
    let noon_ms = (NOON_S * 1000).cast_signed();
    let tidy = |fixture: &mut Fixture, after_ms: i64| while fixture.writer.tidy(noon_ms + after_ms).expect("tidied") {};
    // Two hours, the ends of which fall on a new stretch: 24 stretches of 5 minutes and one report more.
    for (after_ms, rows, summaries) in [(9 * HOUR_MS, 25, 25), (8 * DAY_MS, 3, 3), (91 * DAY_MS, 0, 3)] {
        tidy(&mut fixture, after_ms);
        assert_eq!((fixture.count("report"), fixture.count("summary")), (rows, summaries), "after {after_ms} ms");
        assert_eq!(fixture.runs(), runs, "after {after_ms} ms");
    }
    assert_eq!((fixture.count("session"), fixture.count("source")), (0, 0));
    tidy(&mut fixture, 401 * DAY_MS);
    assert_eq!(fixture.count("summary"), 0);
}

#[test]
fn a_report_is_counted_from_the_one_before_though_that_was_thinned() {
    let mut fixture = Fixture::new();
    let mut sent = reports(1, (1..=60).map(|at| at * 10));
    let (last, runs) = sent.pop().expect("many");
    let (late, _) = sent.remove(20);
    for (report, _) in sent {
        fixture.put(report);
    }
    while fixture.writer.tidy((NOON_S * 1000).cast_signed() + 8 * HOUR_MS).expect("tidied") {}
    fixture.put(last);
    fixture.put(late);
    assert_eq!(fixture.runs(), runs);
}

#[test]
fn a_full_disk_costs_nothing_that_was_stored() {
    let mut fixture = Fixture::with(Options { max_bytes: Some(600 << 10), check: true });
    let (mut runs, mut refused) = (0, None);
    for (report, all) in reports(1, (1..=5000).map(|at| at * 10)) {
        match fixture.writer.store(vec![report], 0) {
            Ok(_) => runs = all,
            Err(error) => {
                refused = Some(error);
                break;
            }
        }
    }
    assert!(matches!(refused, Some(Error::Full { .. })), "{refused:?}");
    assert_eq!(refused.and_then(|error| error.retry_after()), Some(60));
    assert_eq!(fixture.runs(), runs);
    let (fixture, salvage) = fixture.reopen();
    assert_eq!((fixture.runs(), salvage), (runs, None));
}

#[test]
fn a_damaged_page_is_found_and_the_rest_is_saved() {
    let mut fixture = Fixture::new();
    for number in 0..6 {
        for (report, _) in reports(number, (1..=40).map(|at| at * 10)) {
            fixture.put(report);
        }
    }
    let rows = |fixture: &Fixture| fixture.count("report") + fixture.count("summary");
    let (before, path) = (rows(&fixture), fixture.store.path.clone());
    fixture.writer.db.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").expect("a checkpoint");
    let Fixture { folder, store, writer } = fixture;
    drop(writer);
    store.forget_readers();
    let mut bytes = std::fs::read(&path).expect("the file");
    // A leaf (10) of a table without row ids that is well filled: reports or summaries lie on it.
    let is_leaf = |page: &&mut [u8]| page[0] == 10 && page.iter().filter(|byte| **byte != 0).count() > 2000;
    bytes.chunks_mut(4096).filter(is_leaf).nth(9).expect("a leaf").fill(0xa5);
    std::fs::write(&path, &bytes).expect("written");
    let (fixture, salvage) = Fixture { folder, store, writer: Fixture::new().writer }.reopen();
    let salvage = salvage.expect("the damage is found");
    assert!(salvage.gaps > 0 && salvage.aside.exists(), "{salvage}");
    let after = rows(&fixture);
    assert!(after < before && after >= before - 20, "{after} of {before} rows were saved: {salvage}");
    assert_eq!(fixture.count("source"), 6);
}

#[test]
fn a_flipped_bit_that_sqlite_does_not_see_is_never_shown() {
    let mut fixture = Fixture::new();
    for (report, _) in reports(1, [10, 70]) {
        fixture.put(report);
    }
    let first: i64 =
        fixture.writer.db.query_row("SELECT min(time_ms) FROM summary", [], |row| row.get(0)).expect("a summary");
    let damage =
        "UPDATE summary SET body = CAST(substr(body, 1, 9) || x'ff' || substr(body, 11) AS BLOB) WHERE time_ms = ?1";
    fixture.writer.db.execute(damage, [first]).expect("damaged");
    let (mut seen, mut damaged) = (0, 0);
    let range = Range { from_ms: 0, to_ms: i64::MAX };
    fixture
        .store
        .read(|reader| {
            damaged = reader.summaries(range, &Filter::default(), |_| {
                seen += 1;
                Ok(())
            })?;
            Ok(())
        })
        .expect("read");
    assert_eq!((seen, damaged), (1, 1));
}

#[test]
fn devices_are_known_after_a_restart() {
    let mut fixture = Fixture::new();
    for (report, _) in reports(4, [10, 20]) {
        fixture.writer.store(vec![report], 77).expect("stored");
    }
    let before: Vec<Device> = shared(&fixture.store.devices).values().cloned().collect();
    let (fixture, _) = fixture.reopen();
    let after: Vec<Device> = shared(&fixture.store.devices).values().cloned().collect();
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
    assert_eq!((after.len(), after[0].newest.received_ms, after[0].newest.runs > 0), (1, 77, true));
    drop(fixture.folder);
}

#[test]
fn a_database_of_something_else_is_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("monitor.db");
    Connection::open(&path)
        .expect("a file")
        .execute_batch("PRAGMA user_version = 3; CREATE TABLE t (x)")
        .expect("a table");
    let outcome = Writer::open(&Store::new(&path), Keep::default(), Options::default());
    assert!(matches!(outcome, Err(Error::Usage { .. })));
}
