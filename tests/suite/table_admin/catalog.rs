//! The rows of `hbase:meta` follow the tables.

use super::*;
use hregion::io::faulty::Crash;
use hregion::locator::{CatalogRow, MetaRegion};

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
    // The id of the catalog's region is 1.
    let options = options(storage).clock(Arc::new(ManualClock::new(1))).table("hbase:meta");
    let options = options.writable(true).create_if_missing(true);
    let options = options.family(Family::new("info").max_versions(3)).family(Family::new("table"));
    options.open(META).unwrap().close().unwrap();
}

fn create(storage: &FaultyStorage) -> Result<Table> {
    let families = [Family::new("f"), Family::new("g").max_versions(3)];
    Table::create_with(ROOT, T, &families, &["m"], options(storage).compaction_enabled(false))
}

/// Checks that the catalog has the regions of a table, and that it is enabled; or nothing of it, if it does
/// not exist. Returns the number of regions.
fn check(storage: &FaultyStorage, name: &str, shown: &str) -> usize {
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
            assert!(parsed.daughters().is_empty(), "{shown}");
            found.push(parsed.region().clone());
        }
    }
    assert_eq!(found, regions, "{shown}");
    assert_eq!(state, (!regions.is_empty()).then(|| vec![8, 0]), "{shown}");
    regions.len()
}

/// The clock stands still: what is created again has the same names and times.
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

/// A table that HBase was never given stays so.
#[test]
fn a_table_without_rows_gets_none() {
    let storage = root();
    add_catalog(&storage);
    Table::truncate(ROOT, T, false, &options(&storage)).unwrap();
    let meta = options(&storage).open(META).unwrap();
    assert_eq!(meta.view().scan(&Scan::new()).unwrap().count(), 0);
    // Its creation, which fails, adds it: a crash may have left it out.
    let error = create(&storage).unwrap_err();
    assert!(error.to_string().contains("exists"), "{error}");
    assert_eq!(check(&storage, T, "added"), 1);
}

/// The result of a change that is repeated after a failure; `None` if the first has succeeded.
type Again = Option<Result<()>>;

/// Runs `change` on a root, with each call failing and then a crash, and then again without faults. Calls
/// `done` after each.
fn each_failure(
    root: &dyn Fn() -> FaultyStorage,
    change: &dyn Fn(&FaultyStorage) -> Result<()>,
    done: &dyn Fn(&FaultyStorage, Again, &str),
) {
    for n in 0.. {
        for crash in [None, Some(Crash::OfTheProcess), Some(Crash::Hard), Some(Crash::Torn)] {
            let shown = format!("call {n}, {crash:?}");
            let storage = root();
            storage.fail_among_all([n]);
            let is_ok = change(&storage).is_ok();
            if !storage.pending_faults().is_empty() {
                assert!(is_ok && n > 100, "{n} calls");
                println!("{n} calls");
                return;
            }
            let storage = crash.map_or_else(|| storage.clone(), |crash| storage.after(crash));
            storage.heal();
            if is_ok {
                done(&storage, None, &shown);
            }
            let again = change(&storage);
            done(&storage, Some(again), &shown);
        }
    }
}

#[test]
fn a_table_is_created_in_the_catalog_or_not_at_all() {
    let create = |storage: &FaultyStorage| create(storage)?.close();
    each_failure(&root_with_catalog, &create, &|storage, again, shown| {
        if let Some(Err(error)) = again {
            assert!(error.to_string().contains("exists"), "{shown}: {error}");
        }
        assert_eq!(check(storage, T, shown), 2, "{shown}");
    });
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
    let delete = |storage: &FaultyStorage| Table::delete_table(ROOT, T, &options(storage));
    each_failure(&root_with_table, &delete, &|storage, again, shown| {
        if let Some(Err(error)) = again {
            assert_eq!(error.kind(), ErrorKind::TableNotFound, "{shown}: {error}");
        }
        assert_eq!(check(storage, T, shown), 0, "{shown}");
    });
}

#[test]
fn a_table_is_truncated_in_the_catalog_too() {
    let truncate = |storage: &FaultyStorage| Table::truncate(ROOT, T, false, &options(storage));
    each_failure(&root_with_table, &truncate, &|storage, again, shown| {
        assert!(again.is_none_or(|again| again.is_ok()), "{shown}");
        assert!(check(storage, T, shown) > 0, "{shown}");
        assert_eq!(values(storage, T), Some(Vec::new()), "{shown}");
    });
}
