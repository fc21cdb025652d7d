//! The rows of `hbase:meta` are updated with the tables.

use super::meanwhile::Meanwhile;
use super::*;
use hregion::io::faulty::{Crash, FaultyEntry};
use hregion::locator::{CatalogRow, MetaRegion};
use hregion::{BloomType, Error, FindingKind, Get, HFile};
use std::collections::HashSet;

/// The directory of the catalog's region.
const META: &str = "/hbase/data/hbase/meta/1588230740";

/// Returns a root without tables, and with a catalog.
fn root_with_catalog() -> FaultyStorage {
    let storage = FaultyStorage::new();
    add_catalog(&storage);
    storage
}

/// Adds a catalog without rows.
fn add_catalog(storage: &FaultyStorage) {
    add_catalog_of(storage, |family| family);
}

/// As [`add_catalog`], with other settings of the families.
pub(super) fn add_catalog_of(storage: &FaultyStorage, with: fn(Family) -> Family) {
    // The id of the catalog's region is 1.
    let options = options(storage).clock(Arc::new(ManualClock::new(1))).table("hbase:meta");
    let options = options.writable(true).create_if_missing(true);
    let options =
        options.family(with(Family::new("info").max_versions(3))).family(with(Family::new("table")));
    options.open(META).unwrap().close().unwrap();
}

fn create(storage: &FaultyStorage) -> Result<Table> {
    let families = [Family::new("f"), Family::new("g").max_versions(3)];
    Table::create_with(ROOT, T, &families, &["m"], options(storage).compaction_enabled(false))
}

/// Checks that the catalog has the regions of a table, and that it is enabled; or no row of it, if it does
/// not exist. Returns the number of regions.
pub(super) fn check(storage: &FaultyStorage, name: &str, shown: &str) -> usize {
    let regions = match open(storage, name, false) {
        Ok(table) => table.regions(),
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::TableNotFound, "{shown}");
            Vec::new()
        }
    };
    let meta = MetaRegion::from(options(storage).writable(false).open(META).unwrap());
    let (mut found, mut state) = (Vec::new(), None);
    for row in meta.region().view().scan(&Scan::new()).unwrap() {
        let row = row.unwrap();
        if row.key() == name.as_bytes() {
            state = row.value("table", "state").map(<[u8]>::to_vec);
        } else if row.key().starts_with(format!("{name},").as_bytes()) {
            let parsed = CatalogRow::parse(row.as_row()).unwrap();
            if parsed.is_split_parent() {
                assert!(parsed.daughters().iter().all(|daughter| regions.contains(daughter)), "{shown}");
                continue;
            }
            assert!(parsed.daughters().is_empty(), "{shown}");
            found.push(parsed.region().clone());
        }
    }
    assert_eq!(found, regions, "{shown}");
    assert_eq!(state, (!regions.is_empty()).then(|| vec![8, 0]), "{shown}");
    regions.len()
}

/// The clock stands still, so a table that is created again has the same names and times.
#[test]
fn the_catalog_follows_tables() {
    let storage = root_with_catalog();
    for _ in 0..2 {
        let table = create(&storage).unwrap();
        fill(&table, "old");
        assert_eq!(check(&storage, T, "created"), 2);
        table.snapshot("s").unwrap();
        table.split("g").unwrap();
        table.close().unwrap();
        let clone = Table::clone_snapshot(ROOT, "s", "clone", options(&storage)).unwrap();
        assert_eq!((check(&storage, "clone", "cloned"), cells(&clone).len()), (2, 8));
        clone.close().unwrap();
        // The parent of the split serves again.
        Table::restore_snapshot(ROOT, "s", options(&storage)).unwrap().close().unwrap();
        assert_eq!(check(&storage, T, "restored"), 2);
        let changes = TableChanges::new().delete_family("g").set("DURABILITY", "SYNC_WAL");
        Table::alter(ROOT, T, &changes, &options(&storage)).unwrap();
        assert_eq!(check(&storage, T, "altered"), 2);
        Table::truncate(ROOT, T, true, &options(&storage)).unwrap();
        assert_eq!(check(&storage, T, "truncated"), 2);
        Table::truncate(ROOT, T, false, &options(&storage)).unwrap();
        assert_eq!(check(&storage, T, "truncated"), 1);
        for name in [T, "clone"] {
            Table::delete_table(ROOT, name, &options(&storage)).unwrap();
            assert_eq!(check(&storage, name, "deleted"), 0);
        }
        Table::restore_snapshot(ROOT, "s", options(&storage)).unwrap().close().unwrap();
        assert_eq!(check(&storage, T, "restored again"), 2);
        Table::delete_table(ROOT, T, &options(&storage)).unwrap();
        Table::delete_snapshot_with(ROOT, "s", options(&storage)).unwrap();
    }
}

/// HBase would search them in the order of other tables.
#[test]
fn files_of_the_catalog_have_no_filters() {
    let storage = FaultyStorage::new();
    add_catalog_of(&storage, |family| family.bloom(BloomType::RowCol));
    create(&storage).unwrap().close().unwrap();
    Table::delete_table(ROOT, T, &options(&storage)).unwrap();
    let is_in_family = |path: &PathBuf| {
        let family = path.parent().and_then(Path::file_name);
        path.starts_with(&META[1..]) && family.is_some_and(|name| name == "info" || name == "table")
    };
    let files: Vec<PathBuf> = storage.names().into_iter().filter(is_in_family).collect();
    let mut deletes = 0;
    for path in files {
        let file = HFile::options().storage(Arc::new(storage.clone())).open(Path::new("/").join(path));
        let file = file.unwrap();
        assert!(file.general_bloom().is_none() && file.delete_family_bloom().is_none());
        deletes += file.file_info().delete_family_count().unwrap().unwrap();
    }
    assert!(deletes > 0);
}

/// Without a row, a master would never remove a parent; with a wrong one, it would serve it, or remove it too
/// early.
#[test]
fn the_catalog_has_the_parents_in_a_snapshot() {
    let storage = root_with_catalog();
    let table = create(&storage).unwrap();
    fill(&table, "old");
    table.snapshot("before").unwrap();
    let parent = table.regions()[0].clone();
    let daughters = table.split("g").unwrap();
    table.snapshot("s").unwrap();
    table.close().unwrap();
    let row = |region: &RegionInfo| {
        let meta = MetaRegion::from(options(&storage).writable(false).open(META).unwrap());
        let row = meta.region().get(&Get::new(region.name())).unwrap();
        (!row.is_empty()).then(|| CatalogRow::parse(row.as_row()).unwrap())
    };
    let split = |region: &RegionInfo| row(region).filter(CatalogRow::is_split_parent);
    let clone = Table::clone_snapshot(ROOT, "s", "clone", options(&storage)).unwrap();
    assert_eq!((check(&storage, "clone", "cloned"), cells(&clone)), (3, old_values()));
    let of_clone = clone.regions()[0].clone();
    let of_clone = RegionInfo::new(of_clone.table().clone(), "", "m", parent.region_id()).unwrap();
    assert_eq!(split(&of_clone).unwrap().daughters(), &clone.regions()[..2]);
    clone.compact(Compaction::Major).unwrap();
    assert!(row(&of_clone).is_none(), "nothing refers to it");
    clone.close().unwrap();
    for _ in 0..2 {
        Table::restore_snapshot(ROOT, "before", options(&storage)).unwrap().close().unwrap();
        assert_eq!((check(&storage, T, "the parent serves"), split(&parent).is_none()), (2, true));
        // Split again, at another row: these daughters differ from the snapshot's.
        let table = open(&storage, T, true).unwrap();
        table.split("c").unwrap();
        table.close().unwrap();
        Table::restore_snapshot(ROOT, "s", options(&storage)).unwrap().close().unwrap();
        assert_eq!((check(&storage, T, "restored"), values(&storage, T)), (3, Some(old_values())));
        let (first, second) = daughters.clone();
        assert_eq!(split(&parent).unwrap().daughters(), &[first, second]);
    }
}

#[test]
fn nothing_changes_while_another_process_has_the_catalog() {
    let storage = root_with_catalog();
    let table = create(&storage).unwrap();
    table.snapshot("s").unwrap();
    table.close().unwrap();
    let held = options(&storage).writable(true).open(META).unwrap();
    let before = values(&storage, T);
    let failures = [
        Table::create_with(ROOT, "new", &[Family::new("f")], &[""; 0], options(&storage)).map(drop),
        Table::clone_snapshot(ROOT, "s", "new", options(&storage)).map(drop),
        Table::truncate(ROOT, T, false, &options(&storage)),
        Table::delete_table(ROOT, T, &options(&storage)),
    ];
    assert!(failures.iter().all(|failed| failed.as_ref().is_err_and(|e| e.kind() == ErrorKind::Locked)));
    assert_eq!((values(&storage, T), values(&storage, "new")), (before, None));
    held.close().unwrap();
    assert_eq!((check(&storage, T, "locked"), check(&storage, "new", "locked")), (2, 0));
}

/// A table without rows in the catalog stays without.
#[test]
fn a_table_without_rows_gets_none() {
    let storage = root();
    add_catalog(&storage);
    Table::truncate(ROOT, T, false, &options(&storage)).unwrap();
    let meta = options(&storage).open(META).unwrap();
    assert_eq!(meta.view().scan(&Scan::new()).unwrap().count(), 0);
    // Its failing creation adds it: a crash may have omitted it.
    let error = create(&storage).unwrap_err();
    assert!(error.to_string().contains("exists"), "{error}");
    assert_eq!(check(&storage, T, "added"), 1);
}

/// A change of the table `ns:t`, or of a cloned one, in a root with a catalog.
struct Change<'c> {
    table: &'c str,
    root: FaultyStorage,
    make: &'c dyn Fn(&FaultyStorage) -> Result<()>,
    /// The cells before and after the change; `None` without a table.
    cells: [Option<Vec<String>>; 2],
    /// Whether the table may be missing until the change is repeated.
    has_gap: bool,
    /// Whether an error means that the change has been made.
    is_made: &'c dyn Fn(&Error) -> bool,
}

/// All that the check after a failure depends on: it is made once for each.
#[derive(PartialEq, Eq, Hash)]
struct Left {
    entries: Vec<FaultyEntry>,
    held_locks: usize,
    is_ok: bool,
    is_of_catalog: bool,
    is_once: bool,
}

/// Which calls fail, and what happens after that.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// One of all calls.
    Once(Option<Crash>),
    /// All calls from one on that change something.
    ForGood(Crash),
}

impl Change<'_> {
    /// Makes the change with each call failing, then again without faults. After that, the catalog and the
    /// directories agree.
    fn fail_at_each_call(&self) {
        use Crash::{Chance, Hard, OfTheProcess, Torn};
        let seen = &mut HashSet::new();
        // Every crash after each call takes minutes.
        let crash = |n: u64| [OfTheProcess, Hard, Torn, Chance(n)][usize::try_from(n % 4).unwrap()];
        // No table is open after the failure: the death of the process would change nothing.
        let lost = |n: u64| Some(crash(n)).filter(|crash| *crash != OfTheProcess);
        let once = |n: u64, seen: &mut HashSet<Left>| {
            self.fail(n, Failure::Once(None), seen)
                && lost(n).is_none_or(|crash| self.fail(n, Failure::Once(Some(crash)), seen))
        };
        let for_good = |n: u64, seen: &mut HashSet<Left>| self.fail(n, Failure::ForGood(crash(n + 1)), seen);
        for fail in [&once as &dyn Fn(u64, &mut HashSet<Left>) -> bool, &for_good] {
            let calls = (0..).find(|n| !fail(*n, seen));
            println!("{calls:?} calls, {} different results", seen.len());
            assert!(calls > Some(30), "{calls:?}");
        }
    }

    /// Fails call `n` of the change, repeats the change, and checks the table, unless the same is left as in
    /// one of the cases `seen`. Returns false if the change makes no more than `n` calls.
    fn fail(&self, n: u64, failure: Failure, seen: &mut HashSet<Left>) -> bool {
        let shown = format!("call {n}, {failure:?}");
        let storage = self.root.copy();
        let (crash, has_failed): (_, &dyn Fn() -> bool) = match failure {
            Failure::Once(crash) => {
                storage.fail_among_all([n]);
                (crash, &|| storage.pending_faults().is_empty())
            }
            Failure::ForGood(crash) => {
                storage.die_after(n);
                (Some(crash), &|| storage.has_died())
            }
        };
        let made = (self.make)(&storage);
        let is_ok = made.is_ok();
        if !has_failed() {
            assert!(is_ok, "{shown}");
            return false;
        }
        let storage = crash.map_or_else(|| storage.clone(), |crash| storage.after(crash));
        storage.heal();
        let is_once = matches!(failure, Failure::Once(_));
        let left = Left {
            entries: storage.entries(),
            held_locks: storage.held_locks(),
            is_ok,
            is_of_catalog: made.as_ref().is_err_and(is_of_catalog),
            is_once,
        };
        if !seen.insert(left) {
            return true;
        }
        let [before, after] = &self.cells;
        let found = values(&storage, self.table);
        let is_expected = found == *after || !is_ok && (found == *before || self.has_gap && found.is_none());
        assert!(is_expected, "{shown}, {is_ok}: {found:?}");
        if is_ok {
            check(&storage, self.table, &shown);
        }
        if let Err(error) = (self.make)(&storage) {
            assert!(found == *after && (self.is_made)(&error), "{shown}: {error}");
            // A creation is not refused because of the catalog's rows, as the first attempt did not report
            // them.
            let is_creation = before.is_none() && is_once;
            assert!(!is_creation || !made.as_ref().is_err_and(is_of_catalog), "{shown}: {error}");
        }
        check(&storage, self.table, &shown);
        assert_eq!(values(&storage, self.table), *after, "{shown}");
        let report = Table::check_root(ROOT, options(&storage)).unwrap();
        // Remains of an interrupted attempt belong to no table. A snapshot may have parents.
        let left = [FindingKind::LeftoverTmp, FindingKind::UnfinishedTable, FindingKind::LeftoverParent];
        let mut findings = report.findings.iter().filter(|finding| !left.contains(&finding.kind));
        assert!(report.has_catalog && findings.next().is_none(), "{shown}: {:?}", report.findings);
        true
    }
}

fn never(_: &Error) -> bool {
    false
}

#[test]
fn a_table_is_created_in_the_catalog_or_not_at_all() {
    let make = |storage: &FaultyStorage| create(storage)?.close();
    let (cells, is_made) = ([None, Some(Vec::new())], &Error::is_already_exists);
    Change { table: T, root: root_with_catalog(), make: &make, cells, has_gap: false, is_made }
        .fail_at_each_call();
}

/// Whether an error concerns the catalog's files.
fn is_of_catalog(error: &Error) -> bool {
    error.path().is_some_and(|path| path.starts_with("/hbase/data/hbase/meta"))
}

/// A call fails once, or only its answer is lost. If it is a call on the catalog, even after the write that
/// adds the table, either the table exists and the creation succeeds, or the table does not exist.
#[test]
fn a_creation_that_fails_at_the_catalog_leaves_no_table() {
    for (is_clone, loses_answer) in [(false, false), (false, true), (true, false), (true, true)] {
        let name = if is_clone { "clone" } else { T };
        let before = if is_clone { root_with_snapshot() } else { root_with_catalog() };
        let mut failed = 0;
        for n in 0.. {
            let storage = before.copy();
            storage.lose_answers(loses_answer);
            storage.fail_among_all([n]);
            let created = match is_clone {
                true => Table::clone_snapshot(ROOT, "s", name, options(&storage)),
                false => create(&storage),
            };
            let created = created.map(drop);
            let has_failed = storage.pending_faults().is_empty();
            storage.heal();
            let shown = format!("call {n} of {name}, its answer is lost: {loses_answer}: {created:?}");
            match &created {
                Ok(()) => assert_eq!(check(&storage, name, &shown), 2, "{shown}"),
                Err(error) if is_of_catalog(error) => {
                    assert_eq!(check(&storage, name, &shown), 0, "{shown}");
                    failed += 1;
                }
                Err(_) => assert!(has_failed, "{shown}"),
            }
            if !has_failed {
                break;
            }
        }
        assert!(failed > 5, "{failed}");
    }
}

/// A process creates the directory and dies, perhaps before its name is durable, and another one adds the
/// table.
#[test]
fn the_catalog_has_no_table_that_is_lost_with_the_power() {
    let before = root_with_snapshot();
    let clone = |storage: &FaultyStorage| {
        Table::clone_snapshot(ROOT, "s", "clone", options(storage)).and_then(|table| table.close())
    };
    let mut added = 0;
    for n in 0.. {
        let storage = before.copy();
        storage.die_after(n);
        let cloned = clone(&storage);
        let is_over = !storage.has_died();
        storage.heal();
        added += usize::from(clone(&storage).is_err_and(|error| error.is_already_exists()));
        check(&storage.after(Crash::Hard), "clone", &format!("call {n}"));
        if is_over {
            assert!(cloned.is_ok() && added > 5, "{n} calls, added {added} times");
            return;
        }
    }
}

/// Whether the catalog has any rows, also if they are only in its log.
pub(super) fn has_rows(storage: &FaultyStorage) -> bool {
    let copy = storage.after(Crash::OfTheProcess);
    let meta = options(&copy).writable(true).open(META).unwrap();
    let count = meta.view().scan(&Scan::new()).unwrap().count();
    meta.close().unwrap();
    count > 0
}

/// A process has created the directory of the table, and died before the catalog had it. A repeated call must
/// be distinguished from the creation of an existing table.
#[test]
fn a_creation_that_was_cut_off_is_repeated() {
    let is_refused = |storage: &FaultyStorage, families: &[Family], splits: &[&str]| {
        let made = Table::create_with(ROOT, T, families, splits, options(storage));
        let error = made.unwrap_err();
        assert!(error.is_already_exists(), "{error}");
        assert!(has_rows(storage), "the catalog has the table then");
    };
    let families = [Family::new("f"), Family::new("g").max_versions(3)];
    let (before, mut repeated) = (root_with_catalog(), 0);
    for n in 0.. {
        let died = before.copy();
        died.die_after(n);
        let is_over = create(&died).is_ok();
        let died = died.after(Crash::OfTheProcess);
        if is_over {
            break;
        }
        if values(&died, T).is_none() || has_rows(&died) {
            continue;
        }
        repeated += 1;
        let copy = || died.after(Crash::OfTheProcess);
        let storage = copy();
        create(&storage).unwrap().close().unwrap();
        assert_eq!(check(&storage, T, "repeated"), 2);
        assert_eq!(values(&storage, T), Some(Vec::new()));
        is_refused(&storage, &families, &["m"]);
        // Not the same table.
        is_refused(&copy(), &families[..1], &["m"]);
        is_refused(&copy(), &[families[0].clone(), Family::new("g")], &["m"]);
        is_refused(&copy(), &families, &["n"]);
        is_refused(&copy(), &families, &[]);
        is_refused(&copy(), &families, &["m", "n"]);
        // The table is in use, or was.
        let storage = copy();
        let table = open(&storage, T, true).unwrap();
        table.put(Put::new("a").cell_at("f", "q", 5, "v")).unwrap();
        is_refused(&storage, &families, &["m"]);
        table.close().unwrap();
        let storage = copy();
        let table = open(&storage, T, true).unwrap();
        table.put(Put::new("a").cell_at("f", "q", 5, "v")).unwrap();
        drop(table);
        is_refused(&storage, &families, &["m"]);
        assert_eq!(values(&storage, T).unwrap(), ["a/f:q/5=v"]);
    }
    assert!(repeated > 2, "{repeated}");
}

/// The repeated call cannot determine whether the table is the one that it creates: it fails, and another one
/// succeeds.
#[test]
fn a_repeated_creation_that_fails_is_repeated_again() {
    let before = root_with_catalog();
    let died = (0..500).find_map(|n| {
        let storage = before.copy();
        storage.die_after(n);
        assert!(create(&storage).is_err(), "call {n}");
        let storage = storage.after(Crash::OfTheProcess);
        (values(&storage, T).is_some() && !has_rows(&storage)).then_some(storage)
    });
    let died = died.unwrap();
    // Another process takes a snapshot.
    let storage = died.after(Crash::OfTheProcess);
    let held = storage.lock(&Path::new(ROOT).join(".hregion.lock")).unwrap();
    let error = create(&storage).map(drop).unwrap_err();
    assert_eq!((error.kind(), has_rows(&storage)), (ErrorKind::Locked, false), "{error}");
    drop(held);
    create(&storage).unwrap().close().unwrap();
    assert_eq!(check(&storage, T, "locked"), 2);
    let mut failed = 0;
    for n in 0.. {
        let storage = died.after(Crash::OfTheProcess);
        storage.fail_among_all([n]);
        let made = create(&storage).map(drop);
        let has_failed = storage.pending_faults().is_empty();
        storage.heal();
        let shown = format!("call {n}: {made:?}");
        if let Err(error) = &made {
            assert!(has_failed && !error.is_already_exists(), "{shown}");
            let is_known = has_rows(&storage);
            failed += usize::from(!is_known);
            if let Err(again) = create(&storage).and_then(|table| table.close()) {
                // The table was complete, but could not be opened.
                assert!(is_known && again.is_already_exists(), "{shown}, {again}");
            }
        }
        assert_eq!(check(&storage, T, &shown), 2, "{shown}");
        assert_eq!(values(&storage, T), Some(Vec::new()), "{shown}");
        if !has_failed {
            break;
        }
    }
    assert!(failed > 10, "{failed}");
}

fn root_with_table() -> FaultyStorage {
    let storage = root_with_catalog();
    let table = create(&storage).unwrap();
    fill(&table, "old");
    table.close().unwrap();
    storage
}

#[test]
fn a_table_is_deleted_in_the_catalog_too() {
    let make = |storage: &FaultyStorage| Table::delete_table(ROOT, T, &options(storage));
    let (cells, is_made) =
        ([Some(old_values()), None], &|error: &Error| error.kind() == ErrorKind::TableNotFound);
    Change { table: T, root: root_with_table(), make: &make, cells, has_gap: false, is_made }
        .fail_at_each_call();
}

#[test]
fn a_table_is_truncated_in_the_catalog_too() {
    for preserve in [true, false] {
        let make = |storage: &FaultyStorage| Table::truncate(ROOT, T, preserve, &options(storage));
        let cells = [Some(old_values()), Some(Vec::new())];
        Change { table: T, root: root_with_table(), make: &make, cells, has_gap: true, is_made: &never }
            .fail_at_each_call();
    }
}

#[test]
fn an_altered_table_stays_in_the_catalog() {
    let changes = TableChanges::new().delete_family("f").family(Family::new("h"));
    let make = |storage: &FaultyStorage| Table::alter(ROOT, T, &changes, &options(storage));
    let left = old_values().into_iter().filter(|cell| !cell.contains("/f:")).collect();
    let (cells, is_made) =
        ([Some(old_values()), Some(left)], &|error: &Error| error.kind() == ErrorKind::NoSuchFamily);
    Change { table: T, root: root_with_table(), make: &make, cells, has_gap: false, is_made }
        .fail_at_each_call();
}

/// A root with a snapshot of the table, which has been written to and split since.
fn root_with_snapshot() -> FaultyStorage {
    let storage = root_with_table();
    let table = open(&storage, T, true).unwrap();
    table.snapshot("s").unwrap();
    table.put(Put::new("z").cell_at("f", "q", 6, "new")).unwrap();
    table.split("g").unwrap();
    table.compact(Compaction::Major).unwrap();
    table.close().unwrap();
    storage
}

#[test]
fn a_snapshot_is_cloned_in_the_catalog_or_not_at_all() {
    let make = |storage: &FaultyStorage| {
        Table::clone_snapshot(ROOT, "s", "clone", options(storage)).and_then(|table| table.close())
    };
    let (cells, is_made) = ([None, Some(old_values())], &Error::is_already_exists);
    Change { table: "clone", root: root_with_snapshot(), make: &make, cells, has_gap: false, is_made }
        .fail_at_each_call();
}

#[test]
fn a_snapshot_is_restored_in_the_catalog_too() {
    let make = |storage: &FaultyStorage| {
        Table::restore_snapshot(ROOT, "s", options(storage)).and_then(|table| table.close())
    };
    let new = [old_values(), vec!["z/f:q/6=new".to_owned()]].concat();
    let cells = [Some(new), Some(old_values())];
    Change { table: T, root: root_with_snapshot(), make: &make, cells, has_gap: true, is_made: &never }
        .fail_at_each_call();
}

/// The snapshot has a split region, which the catalog shows as serving until it is updated: its daughters are
/// not considered to belong to a split that HBase has begun.
#[test]
fn a_snapshot_with_a_split_is_restored_in_the_catalog_too() {
    let root = || {
        let storage = root_with_table();
        let table = open(&storage, T, true).unwrap();
        table.snapshot("before").unwrap();
        table.split("g").unwrap();
        table.put(Put::new("a").cell_at("f", "q", 6, "new")).unwrap();
        table.snapshot("s").unwrap();
        table.close().unwrap();
        Table::restore_snapshot(ROOT, "before", options(&storage)).unwrap().close().unwrap();
        storage
    };
    let make = |storage: &FaultyStorage| {
        Table::restore_snapshot(ROOT, "s", options(storage)).and_then(|table| table.close())
    };
    let mut new = old_values();
    new[1] = "a/f:q/6=new".to_owned();
    let cells = [Some(old_values()), Some(new)];
    Change { table: T, root: root(), make: &make, cells, has_gap: true, is_made: &never }.fail_at_each_call();
}

#[test]
fn what_a_creation_has_left_is_found() {
    let storage = root_with_catalog();
    let mut found = 0;
    for n in (0..200).step_by(7) {
        let dying = storage.after(Crash::OfTheProcess);
        dying.die_after(n);
        let is_ok = create(&dying).is_ok();
        let storage = dying.after(Crash::OfTheProcess);
        let report = Table::check_root(ROOT, options(&storage)).unwrap();
        let is_aside = |path: &&PathBuf| path.to_str().unwrap().contains("/ns/.t.");
        let asides = storage.names().iter().filter(is_aside).count();
        let left = report.findings.iter().filter(|finding| finding.kind == FindingKind::UnfinishedTable);
        let left: Vec<String> = left.map(|finding| finding.table.as_ref().unwrap().to_string()).collect();
        // An empty directory has no files.
        assert!(asides == 0 && left.len() < 2 || left == [T], "call {n}: {left:?}");
        found += left.len();
        if is_ok {
            break;
        }
    }
    assert!(found > 2, "{found}");
}

/// The table of the snapshot no longer exists: the restoration creates it again.
#[test]
fn a_deleted_table_is_restored_in_the_catalog_or_not_at_all() {
    let root = || {
        let storage = root_with_snapshot();
        Table::delete_table(ROOT, T, &options(&storage)).unwrap();
        storage
    };
    let make = |storage: &FaultyStorage| {
        Table::restore_snapshot(ROOT, "s", options(storage)).and_then(|table| table.close())
    };
    let cells = [None, Some(old_values())];
    Change { table: T, root: root(), make: &make, cells, has_gap: false, is_made: &never }
        .fail_at_each_call();
}

/// Another process writes to a table, or to a clone, before the catalog has it; then each call of the
/// creation fails.
#[test]
fn a_table_with_writes_of_others_is_not_removed_when_its_creation_fails() {
    for is_clone in [false, true] {
        let before = if is_clone { root_with_snapshot() } else { root_with_catalog() };
        for is_flushed in [false, true] {
            let mut kept = 0;
            for n in 0.. {
                let storage = before.copy();
                let name = if is_clone { "ns:clone" } else { T };
                let other = storage.clone();
                let act = move || {
                    let table = open(&other, name, true).unwrap();
                    table.put(Put::new("x").cell_at("f", "q", 5, "new")).unwrap();
                    if is_flushed {
                        table.close().unwrap();
                    }
                    drop(table);
                    other.fail_among_all([n]);
                };
                let (dir, at) = (Path::new("/hbase/data").join(name.replace(':', "/")), storage.clone());
                let is_time = move |path: &Path| {
                    Some(path) == dir.parent()
                        && at.names().iter().any(|path| Path::new("/").join(path).starts_with(&dir))
                };
                let options = options(&storage).storage(Meanwhile::storage(storage.clone(), is_time, act));
                let made = if is_clone {
                    Table::clone_snapshot(ROOT, "s", name, options)
                } else {
                    Table::create_with(ROOT, name, &[Family::new("f"), Family::new("g")], &["m"], options)
                };
                let is_made = made.map(drop).is_ok();
                let has_failed = storage.pending_faults().is_empty();
                storage.heal();
                let shown = format!("call {n}, {is_clone}, {is_flushed}: {is_made}");
                let found = values(&storage, name).unwrap_or_default();
                assert!(found.contains(&"x/f:q/5=new".to_owned()), "{shown}: {found:?}");
                kept += usize::from(!is_made);
                if !has_failed {
                    assert!(is_made, "{shown}");
                    break;
                }
            }
            assert!(kept > 10, "{kept}");
        }
    }
}
