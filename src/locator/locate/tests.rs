//! Lookups in catalogs that the tests write, and change between lookups.

use super::*;
use crate::locator::{Replica, ServerName, StaticRegistry};
use proptest::prelude::*;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// A catalog in memory that counts requests.
#[derive(Debug, Default)]
struct Fake {
    entries: Mutex<Vec<CatalogEntry>>,
    /// The entries after the next request.
    next: Mutex<Option<Vec<CatalogEntry>>>,
    state: Mutex<Option<TableState>>,
    /// The error in place of the state.
    unreadable: Mutex<Option<Error>>,
    failures: AtomicUsize,
    slow: Mutex<Duration>,
    scans: AtomicUsize,
}

impl Catalog for Fake {
    fn rows(&self, _: &RegionLocations, range: &CatalogRange, _: Deadline) -> Result<Vec<CatalogEntry>> {
        self.scans.fetch_add(1, Ordering::SeqCst);
        let slow = *self.slow.lock().unwrap();
        thread::sleep(slow);
        let failed = self.failures.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
        if failed.is_ok() {
            return Err(Error::timed_out("read"));
        }
        let mut entries = self.entries.lock().unwrap();
        let found = range.of(entries.clone());
        let next = self.next.lock().unwrap().take();
        if let Some(next) = next {
            *entries = next;
        }
        Ok(found)
    }

    fn table_state(&self, _: &RegionLocations, _: &TableName, _: Deadline) -> Result<Option<TableState>> {
        let unreadable = self.unreadable.lock().unwrap().clone();
        unreadable.map_or_else(|| Ok(*self.state.lock().unwrap()), Err)
    }
}

/// A timer that records pauses instead of waiting.
#[derive(Debug)]
struct NoWait(Instant, Mutex<Vec<Duration>>);

impl Timer for NoWait {
    fn now(&self) -> Instant {
        self.0
    }

    fn sleep(&self, time: Duration) {
        self.1.lock().unwrap().push(time);
    }
}

struct Setting {
    catalog: Arc<Fake>,
    timer: Arc<NoWait>,
    locator: Locator,
    table: TableName,
}

fn server(id: i64) -> ServerName {
    ServerName::new("h", 1, id).unwrap()
}

fn region(start: &str, end: &str, id: i64) -> RegionInfo {
    RegionInfo::new(TableName::parse("t").unwrap(), start.to_owned(), end.to_owned(), id).unwrap()
}

fn on(region: RegionInfo, id: i64) -> CatalogEntry {
    let row = CatalogRow::of(RegionLocations::new(region, [Replica::on(server(id), 2)]));
    CatalogEntry { key: row.region().name(), row: Ok(row) }
}

fn nowhere(region: RegionInfo) -> CatalogEntry {
    let row = CatalogRow::of(RegionLocations::new(region, []));
    CatalogEntry { key: row.region().name(), row: Ok(row) }
}

fn setting(entries: Vec<CatalogEntry>) -> Setting {
    let catalog = Arc::new(Fake::default());
    *catalog.entries.lock().unwrap() = entries;
    *catalog.state.lock().unwrap() = Some(TableState::Enabled);
    let timer = Arc::new(NoWait(Instant::now(), Mutex::default()));
    let registry = Arc::new(StaticRegistry::new().meta(server(0)));
    let clone: Arc<dyn Catalog> = Arc::<Fake>::clone(&catalog);
    let waits: Arc<dyn Timer> = Arc::<NoWait>::clone(&timer);
    let locator = Locator::new(registry, clone).timer(waits).retries(RetryPolicy::default().attempts(4));
    Setting { catalog, timer, locator, table: TableName::parse("t").unwrap() }
}

impl Setting {
    fn scans(&self) -> usize {
        self.catalog.scans.swap(0, Ordering::SeqCst)
    }

    fn pauses(&self) -> usize {
        std::mem::take(&mut *self.timer.1.lock().unwrap()).len()
    }

    fn set(&self, entries: Vec<CatalogEntry>) {
        *self.catalog.entries.lock().unwrap() = entries;
    }

    fn fails_with(&self, row: &str) -> ErrorKind {
        self.locator.locate(&self.table, row).unwrap_err().kind()
    }

    fn start(&self, row: &str) -> String {
        let found = self.locator.locate(&self.table, row).unwrap();
        String::from_utf8(found.region().start_key().to_vec()).unwrap()
    }
}

const ID: i64 = 1_700_000_000_000;

/// The catalog has no rows or state about itself.
#[test]
fn the_catalog_has_one_region_and_is_enabled() {
    let setting = setting(Vec::new());
    *setting.catalog.state.lock().unwrap() = None;
    let meta = TableName::parse("hbase:meta").unwrap();
    let regions = setting.locator.regions(&meta).unwrap();
    let found: Vec<_> = regions.iter().map(|row| (row.region(), row.locations().server())).collect();
    assert_eq!(found, [(&RegionInfo::meta(), Some(&server(0)))]);
    assert_eq!(setting.locator.table_state(&meta).unwrap(), Some(TableState::Enabled));
    setting.locator.check_enabled(&meta, Deadline::NEVER).unwrap();
    assert_eq!(setting.scans(), 0);
    let missing = setting.locator.check_enabled(&setting.table, Deadline::NEVER).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::TableNotFound);
}

#[test]
fn cached_locations_are_not_looked_up_again() {
    let setting = setting(
        (0..30)
            .map(|i| {
                let end = if i == 29 { String::new() } else { format!("{:02}", i + 1) };
                on(region(&if i == 0 { String::new() } else { format!("{i:02}") }, &end, ID), 1)
            })
            .collect(),
    );
    assert_eq!((setting.start("20"), setting.scans()), ("20".to_owned(), 1));
    // the preceding regions were prefetched
    assert_eq!((setting.start("11zz"), setting.start("19"), setting.scans()), ("11".into(), "19".into(), 0));
    assert_eq!((setting.start("21"), setting.scans()), ("21".to_owned(), 1));
    assert_eq!((setting.locator.prefetch_all(&setting.table, b"22", 0).unwrap(), setting.scans()), (0, 0));
    assert_eq!(setting.locator.prefetch_all(&setting.table, b"22", 3).unwrap(), 3);
    assert_eq!((setting.start("24"), setting.scans()), ("24".to_owned(), 1));
    assert_eq!(setting.locator.regions(&setting.table).unwrap().len(), 30);
    assert_eq!((setting.start(""), setting.start("zz"), setting.scans()), (String::new(), "29".into(), 1));
    let before = |row: &str| {
        let position = LocateType::Before;
        let found =
            setting.locator.locate_position(&setting.table, row.as_bytes(), position, false, Deadline::NEVER);
        String::from_utf8(found.unwrap().region().start_key().to_vec()).unwrap()
    };
    assert_eq!((before("20"), before("20a"), before("")), ("19".into(), "20".into(), "29".into()));
    setting.locator.cache().clear();
    assert_eq!(
        (before("20"), before("20a"), before(""), setting.scans()),
        ("19".into(), "20".into(), "29".into(), 3)
    );
}

#[test]
fn a_split_is_followed() {
    let (parent, a, b) = (region("", "", ID), region("", "m", ID + 1), region("m", "", ID + 1));
    let setting = setting(vec![on(parent.clone(), 1)]);
    assert_eq!(setting.start("x"), "");
    let used = setting.locator.locate(&setting.table, "x").unwrap();
    // daughters that are not assigned yet
    setting.set(vec![on(parent.marked(true, true), 1), nowhere(a.clone()), nowhere(b.clone())]);
    assert_eq!(setting.start("x"), "", "no fault has been reported");
    setting.locator.on_fault(&used, 0, &RegionException::NotServingRegion);
    setting.scans();
    assert_eq!(
        (setting.fails_with("x"), setting.scans(), setting.pauses()),
        (ErrorKind::NoServerForRegion, 4, 3)
    );
    setting.set(vec![on(parent.marked(true, true), 1), on(a.clone(), 1), on(b.clone(), 2)]);
    assert_eq!((setting.start("x"), setting.start("a")), ("m".into(), String::new()));
    assert_eq!(setting.locator.locate(&setting.table, "a").unwrap().region(), &a);
    assert_eq!(setting.locator.regions(&setting.table).unwrap().len(), 2, "without the parent");
    // the daughters are merged, the parent's row still exists
    setting.locator.cache().clear();
    setting.set(vec![on(parent.marked(true, true), 1), on(region("", "", ID + 2), 3)]);
    assert_eq!(setting.locator.locate(&setting.table, "x").unwrap().region().region_id(), ID + 2);
}

/// The pages of a listing are of several moments.
#[test]
fn rows_of_regions_that_are_merged_while_they_are_listed_are_not_missing() {
    let key = |at: usize| if at.is_multiple_of(1001) { String::new() } else { format!("{at:04}") };
    let mut entries: Vec<CatalogEntry> =
        (0..1001).map(|at| on(region(&key(at), &key(at + 1), ID), 1)).collect();
    let setting = setting(entries.clone());
    // of the three regions that are merged after the first page, two were on it
    let mut merged = entries[..998].to_vec();
    merged.push(on(region(&key(998), "", ID + 1), 1));
    *setting.catalog.next.lock().unwrap() = Some(merged);
    let found = setting.locator.regions(&setting.table).unwrap();
    let found: Vec<RegionInfo> = found.iter().map(|row| row.region().clone()).collect();
    assert_eq!((found.len(), found[998].region_id(), setting.scans()), (999, ID + 1, 3));
    assert_eq!(check_region_chain(&found), []);
    // a hole that stays is listed twice
    entries.remove(500);
    setting.set(entries);
    assert_eq!((setting.locator.regions(&setting.table).unwrap().len(), setting.scans()), (1000, 4));
}

#[test]
fn a_hole_is_an_error_after_a_few_attempts_and_not_a_loop() {
    let setting = setting(vec![on(region("", "c", ID), 1), on(region("m", "", ID), 1)]);
    let error = setting.locator.locate(&setting.table, "d").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RegionNotFound);
    assert!(error.message().contains("[, c)"), "{error}");
    assert_eq!((setting.scans(), setting.pauses()), (4, 3));
    // the daughters of a parent do not exist yet
    setting.set(vec![on(region("", "", ID).marked(true, true), 1)]);
    assert_eq!(setting.fails_with("d"), ErrorKind::RegionNotFound);
}

#[test]
fn a_table_that_is_not_there_is_not_looked_for_again() {
    let setting = setting(vec![on(region("", "", ID), 1)]);
    for table in ["s", "t-", "t1", "ns:t"] {
        let table = TableName::parse(table).unwrap();
        let error = setting.locator.locate(&table, "x").unwrap_err();
        assert_eq!((error.kind(), setting.scans(), setting.pauses()), (ErrorKind::TableNotFound, 1, 0));
        assert_eq!(setting.locator.regions(&table).unwrap_err().kind(), ErrorKind::TableNotFound);
        setting.scans();
    }
}

#[test]
fn a_table_that_is_disabled_costs_no_attempts() {
    let setting = setting(vec![on(region("", "", ID).marked(false, true), 1)]);
    assert_eq!((setting.fails_with("x"), setting.scans()), (ErrorKind::RegionOffline, 4));
    *setting.catalog.state.lock().unwrap() = Some(TableState::Disabling);
    assert_eq!((setting.fails_with("x"), setting.scans()), (ErrorKind::TableNotEnabled, 1));
    *setting.catalog.state.lock().unwrap() = None;
    assert_eq!((setting.fails_with("x"), setting.scans()), (ErrorKind::TableNotFound, 1));
    // decides nothing
    let later = Error::new(ErrorKind::Corrupt, "a state of a later version");
    *setting.catalog.unreadable.lock().unwrap() = Some(later);
    assert_eq!((setting.fails_with("x"), setting.scans()), (ErrorKind::RegionOffline, 4));
}

#[test]
fn invalid_rows_are_skipped_and_counted() {
    let broken = |region: RegionInfo| CatalogEntry {
        key: region.name(),
        row: Err(crate::error::Corruption::Malformed("as the test has it")),
    };
    let setting = setting(vec![on(region("", "", ID), 1), broken(region("a", "b", ID))]);
    assert_eq!((setting.start("x"), setting.locator.invalid_rows()), (String::new(), 1));
    assert_eq!(setting.locator.regions(&setting.table).unwrap_err().kind(), ErrorKind::Corrupt);
    let mut old = broken(region("a", "b", ID));
    old.row = Err(crate::error::Corruption::unsupported("version of the region info", "0"));
    setting.set(vec![on(region("", "", ID), 1), old]);
    assert_eq!(setting.locator.regions(&setting.table).unwrap_err().kind(), ErrorKind::Unsupported);
    setting.locator.cache().clear();
    // more parents than rows per page
    let parents = (0..35).map(|i| on(region("", "", ID + i).marked(true, true), 1));
    setting.set(parents.chain([on(region("", "", ID - 1), 7)]).collect());
    assert_eq!(setting.locator.locate(&setting.table, "x").unwrap().server(), Some(&server(7)));
    setting.set(vec![broken(region("", "", ID))]);
    assert_eq!(setting.locator.relocate(&setting.table, "x").unwrap_err().kind(), ErrorKind::RegionNotFound);
}

#[test]
fn a_catalog_that_does_not_answer_is_looked_for_again() {
    let setting = setting(vec![on(region("", "", ID), 1)]);
    setting.catalog.failures.store(2, Ordering::SeqCst);
    assert_eq!((setting.start("x"), setting.scans(), setting.pauses()), (String::new(), 3, 2));
    setting.catalog.failures.store(100, Ordering::SeqCst);
    let error = setting.locator.relocate(&setting.table, "x").unwrap_err();
    assert_eq!((error.kind(), setting.scans()), (ErrorKind::Io, 4));
    let meta = setting.locator.locate(&TableName::meta(), "x").unwrap();
    assert_eq!((meta.region(), meta.server()), (&RegionInfo::meta(), Some(&server(0))));
}

/// Another server would not have it.
#[test]
fn a_catalog_that_is_busy_is_asked_again_at_the_same_place() {
    let mut setting = setting(vec![on(region("", "", ID), 1)]);
    let retries = RetryPolicy::default().attempts(2).overloaded_pause(Duration::from_secs(1));
    setting.locator = setting.locator.retries(retries);
    for (error, is_known, pause) in [
        (Error::timed_out("read"), false, 100),
        (Error::busy("overloaded", None), true, 1_000),
        (Error::busy("a quota", Some(Duration::from_millis(70))), true, 70),
    ] {
        *setting.catalog.unreadable.lock().unwrap() = Some(error);
        let error = setting.locator.table_state(&setting.table).unwrap_err();
        let is_still_known = setting.locator.meta.load().is_some();
        assert_eq!((error.kind(), is_still_known), (ErrorKind::Io, is_known), "{error}");
        assert_eq!(error.message().ends_with(" (after 2 attempts)"), error.is_busy(), "{error}");
        let pauses = std::mem::take(&mut *setting.timer.1.lock().unwrap());
        let pause = Duration::from_millis(pause);
        assert!(pauses.len() == 1 && pauses[0] >= pause && pauses[0] <= pause * 101 / 100, "{pauses:?}");
    }
    // longer than an operation
    let error = Error::busy("a quota", Some(Duration::MAX));
    *setting.catalog.unreadable.lock().unwrap() = Some(error);
    assert_eq!(setting.locator.table_state(&setting.table).unwrap_err().message(), "a quota");
    assert_eq!(setting.pauses(), 0);
}

#[test]
fn to_reload_is_not_to_forget() {
    let setting = setting(vec![on(region("", "", ID), 1)]);
    let old = setting.locator.locate(&setting.table, "x").unwrap();
    setting.set(vec![on(region("", "", ID), 2)]);
    setting.catalog.failures.store(4, Ordering::SeqCst);
    assert!(setting.locator.relocate(&setting.table, "x").is_err());
    assert_eq!(setting.locator.locate(&setting.table, "x").unwrap(), old);
    assert_eq!(setting.locator.relocate(&setting.table, "x").unwrap().server(), Some(&server(2)));
    assert_eq!(setting.locator.locate(&setting.table, "x").unwrap().server(), Some(&server(2)));
    setting.scans();
    let used = setting.locator.locate(&setting.table, "x").unwrap();
    setting.locator.on_fault(&used, 0, &RegionException::RegionMoved { server: server(3), seq_num: None });
    assert_eq!(setting.locator.locate(&setting.table, "x").unwrap().server(), Some(&server(3)));
    assert_eq!(setting.scans(), 0, "the fault has the new location");
}

/// A timeline read looks for another replica of the region of each row, also in a table without replicas.
#[test]
fn a_region_without_the_wanted_replica_is_known_afterwards() {
    let setting = setting(vec![on(region("", "", ID), 1)]);
    let replica = |id| {
        let table = &setting.table;
        setting.locator.locate_replica(table, b"x", LocateType::At, id, false, Deadline::NEVER)
    };
    assert_eq!((replica(1).unwrap_err().kind(), setting.scans()), (ErrorKind::InvalidArgument, 1));
    assert_eq!((replica(0).unwrap().server(), setting.scans()), (Some(&server(1)), 0));
    // the replica exists, but has no server
    let replicas = [Replica::on(server(1), 2), Replica::UNKNOWN];
    let row = CatalogRow::of(RegionLocations::new(region("", "", ID), replicas));
    setting.set(vec![CatalogEntry { key: row.region().name(), row: Ok(row) }]);
    setting.locator.cache().clear();
    assert_eq!((replica(1).unwrap_err().kind(), setting.scans()), (ErrorKind::NoServerForRegion, 4));
    assert_eq!((replica(0).unwrap().server(), setting.scans()), (Some(&server(1)), 0));
}

/// On a disk, where no replica has a server.
#[test]
fn a_replica_that_a_known_region_does_not_have_is_an_error() {
    let mut setting = setting(vec![nowhere(region("", "", ID))]);
    setting.locator = setting.locator.needs_server(false);
    let replica = |id, reload| {
        let table = &setting.table;
        let found = setting.locator.locate_replica(table, b"x", LocateType::At, id, reload, Deadline::NEVER);
        found.map(|found| found.server().cloned()).map_err(|error| error.kind())
    };
    for reload in [true, false] {
        assert_eq!(replica(0, reload), Ok(None));
        assert_eq!(replica(1, reload), Err(ErrorKind::InvalidArgument));
    }
}

#[test]
fn a_hundred_threads_that_miss_ask_once() {
    let setting = setting(vec![on(region("", "", ID), 1)]);
    *setting.catalog.slow.lock().unwrap() = Duration::from_millis(100);
    let barrier = Barrier::new(100);
    thread::scope(|scope| {
        for _ in 0..100 {
            scope.spawn(|| {
                barrier.wait();
                assert_eq!(setting.start("x"), "");
            });
        }
    });
    assert_eq!(setting.scans(), 1);
}

#[test]
fn waiters_return_once_their_region_is_cached() {
    let ends = ["c", "g", "m", "t", ""];
    let starts = ["", "c", "g", "m", "t"];
    let regions = starts.iter().zip(ends).map(|(start, end)| on(region(start, end, ID), 1)).collect();
    let setting = setting(regions);
    *setting.catalog.slow.lock().unwrap() = Duration::from_millis(50);
    let barrier = Barrier::new(100);
    thread::scope(|scope| {
        for i in 0..100 {
            let (setting, barrier) = (&setting, &barrier);
            scope.spawn(move || {
                barrier.wait();
                let row = format!("{}{i}", ["a", "d", "h", "n", "u"][i % 5]);
                assert_eq!(setting.start(&row), starts[i % 5]);
            });
        }
    });
    let scans = setting.scans();
    assert!(scans <= 32, "{scans}: eight at a time, and few turns");
}

proptest! {
    #[test]
    fn every_position_is_found_as_by_a_walk(
        starts in proptest::collection::btree_set("[,a\0z]{1,3}", 0..25),
        rows in proptest::collection::vec("[,a\0z]{0,4}", 12),
    ) {
        let starts: Vec<String> = [String::new()].into_iter().chain(starts).collect();
        let regions: Vec<RegionInfo> = starts
            .iter()
            .enumerate()
            .map(|(i, start)| region(start, starts.get(i + 1).map_or("", |end| end), ID))
            .collect();
        let setting = setting(regions.iter().map(|region| on(region.clone(), 1)).collect());
        for row in rows.iter().chain(&starts) {
            for position in [LocateType::At, LocateType::Before, LocateType::After] {
                let found = setting.locator.locate_position(
                    &setting.table, row.as_bytes(), position, false, Deadline::NEVER,
                );
                let expected = regions.iter().find(|region| position.is_in(region, row.as_bytes()));
                prop_assert_eq!(found.ok().map(|found| found.region().clone()), expected.cloned());
            }
        }
    }
}

/// A registry that does not answer before it is released, and records the time that it is given.
#[derive(Debug)]
struct Silent {
    given: Mutex<Sender<Duration>>,
    let_go: Mutex<Receiver<()>>,
    is_let_go: AtomicBool,
}

impl ConnectionRegistry for Silent {
    fn meta_region_locations(&self, deadline: Deadline) -> Result<RegionLocations> {
        self.given.lock().unwrap().send(deadline.remaining()).unwrap();
        let let_go = self.let_go.lock().unwrap().recv_timeout(Duration::from_secs(20));
        self.is_let_go.store(let_go.is_ok(), Ordering::SeqCst);
        Err(Error::timed_out("read"))
    }

    fn cluster_id(&self, _: Deadline) -> Result<Option<String>> {
        Ok(None)
    }

    fn active_master(&self, _: Deadline) -> Result<Option<ServerName>> {
        Ok(None)
    }
}

#[test]
fn no_call_waits_for_the_location_of_the_catalog_after_its_deadline() {
    let ((given, asked), (let_go, waiting)) = (mpsc::channel(), mpsc::channel());
    let silent = Arc::new(Silent {
        given: Mutex::new(given),
        let_go: Mutex::new(waiting),
        is_let_go: AtomicBool::new(false),
    });
    let registry: Arc<dyn ConnectionRegistry> = Arc::<Silent>::clone(&silent);
    let locator = Locator::new(registry, Arc::new(Fake::default())).retries(RetryPolicy::no_retries());
    let table = TableName::parse("t").unwrap();
    let soon = || Deadline::after(Duration::from_millis(50));
    thread::scope(|scope| {
        let patient = scope.spawn(|| locator.regions_by(&table, Deadline::after(Duration::from_secs(60))));
        assert!(asked.recv().unwrap() <= Duration::from_secs(60));
        // a request to the registry is waiting
        let located = locator.locate_position(&table, b"r", LocateType::At, false, soon());
        assert_eq!(located.unwrap_err().kind(), ErrorKind::Io);
        assert_eq!(locator.regions_by(&table, soon()).unwrap_err().kind(), ErrorKind::Io);
        let_go.send(()).unwrap();
        assert_eq!(patient.join().unwrap().unwrap_err().kind(), ErrorKind::Io);
    });
    assert!(silent.is_let_go.load(Ordering::SeqCst), "the others waited until the registry gave up");
    assert!(asked.try_recv().is_err(), "the registry is asked once");
}
