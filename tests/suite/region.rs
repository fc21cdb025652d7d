//! The basic life of a region: written, flushed, compacted, read.

use hregion::{
    BlockCache, CellRef, Compaction, Delete, ErrorKind, Family, Get, ManualClock, Put, Region, Scan,
    TimeRange,
};
use std::fs;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

fn shown(cell: CellRef<'_>) -> String {
    format!("{}={}", cell.key(), String::from_utf8_lossy(cell.value()))
}

fn rows(region: &Region, scan: &Scan) -> Vec<Vec<String>> {
    let view = region.view();
    let rows = view.scan(scan).unwrap().map(|row| row.unwrap().cells().map(shown).collect());
    rows.collect()
}

/// Cells of such a file, merged with others, would be out of order.
#[test]
fn a_file_with_the_order_of_another_kind_of_table_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let create = |name: &str, table: &str| {
        let options = Region::options().clock(Arc::new(ManualClock::new(1))).create_if_missing(true);
        let path = dir.path().join(name);
        let region = options.table(table).family(Family::new("info")).open(&path).unwrap();
        region.put(Put::new("t,a,1").cell("info", "q", "v")).unwrap();
        region.flush().unwrap();
        let file = region.hfile_paths("info").unwrap().remove(0);
        region.close().unwrap();
        (path, file)
    };
    let meta = create("1588230740", "hbase:meta");
    let user = create("r", "t");
    for ((_, from), (to, _)) in [(&meta, &user), (&user, &meta)] {
        let copy = to.join("info").join(from.file_name().unwrap());
        fs::copy(from, &copy).unwrap();
        for writable in [false, true] {
            let error = Region::options().writable(writable).open(to).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
            assert!(error.path().unwrap().ends_with(from.file_name().unwrap()), "{error}");
        }
        fs::remove_file(copy).unwrap();
        assert_eq!(Region::open(to).unwrap().get(&Get::new("t,a,1")).unwrap().len(), 1);
    }
}

#[test]
fn written_flushed_compacted_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(1000));
    let cache = BlockCache::with_capacity(1 << 20);
    let region = Region::options()
        .cache(&cache)
        .clock(Arc::clone(&clock) as _)
        .create_if_missing(true)
        .family(Family::new("f").max_versions(3))
        .family(Family::new("g"))
        .key_range("a", "x")
        .open(dir.path())
        .unwrap();
    region.put(Put::new("r1").cell("f", "q", "v1").cell("g", "", "w")).unwrap();
    clock.set(2000);
    region.put(Put::new("r1").cell("f", "q", "v2").cell("f", "p", "p2")).unwrap();
    region.put(Put::new("r2").cell_at("f", "q", 5, "old")).unwrap();
    let view = region.view();
    let all = Scan::new().max_versions(u32::MAX);
    let expected = vec![
        vec!["r1/f:p/2000/Put=p2", "r1/f:q/2000/Put=v2", "r1/f:q/1000/Put=v1", "r1/g:/1000/Put=w"],
        vec!["r2/f:q/5/Put=old"],
    ];
    assert_eq!(rows(&region, &all), expected);
    region.flush().unwrap();
    assert_eq!(region.store_file_count("f"), Some(1));
    assert_eq!(rows(&region, &all), expected);

    clock.set(3000);
    region.delete(Delete::new("r1").version("f", "q")).unwrap();
    let get = Get::new("r1").column("f", "q").max_versions(2);
    let values = |region: &Region| -> Vec<String> { region.get(&get).unwrap().cells().map(shown).collect() };
    assert_eq!(values(&region), ["r1/f:q/1000/Put=v1"]);
    assert_eq!(view.get(&get).unwrap().len(), 2);
    region.flush().unwrap();
    region.compact(Compaction::Major).unwrap();
    assert_eq!(values(&region), ["r1/f:q/1000/Put=v1"]);
    assert_eq!((region.store_file_count("f"), region.store_file_count("h")), (Some(1), None));
    assert_eq!(view.get(&get).unwrap().len(), 2);
    assert_eq!(rows(&region, &Scan::new().rows("r2"..).time_range(TimeRange::new(0, 6).unwrap())).len(), 1);

    let mut cells = 0;
    region
        .view()
        .scan(&all)
        .unwrap()
        .for_each_cell(|_| {
            cells += 1;
            if cells == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
    assert_eq!(cells, 3);

    let kind = |result: Result<(), hregion::Error>| result.unwrap_err().kind();
    assert_eq!(kind(region.put(Put::new("x").cell("f", "q", "v"))), ErrorKind::WrongRegion);
    let error = region.put(Put::new("r").cell("h", "q", "v")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchFamily);
    assert!(error.message().starts_with("there is no family h (families: f"), "{error}");
    assert_eq!(kind(region.get(&Get::new("A")).map(drop)), ErrorKind::WrongRegion);
    assert_eq!(
        kind(view.scan(&Scan::new().raw(true).column("f", "q")).map(drop)),
        ErrorKind::InvalidArgument
    );
}

#[test]
fn a_reopened_region_has_the_flushed_cells() {
    let dir = tempfile::tempdir().unwrap();
    let family = Family::new("f").max_versions(3).ttl(Duration::from_secs(100));
    let options = || Region::options().clock(Arc::new(ManualClock::new(50_000)));
    let create = || options().create_if_missing(true).family(family.clone()).open(dir.path());
    let region = create().unwrap();
    region.put(Put::new("r").cell("f", "q", "kept")).unwrap();
    region.flush().unwrap();
    region.put(Put::new("r").cell("f", "q", "in memory")).unwrap();
    assert_eq!(create().unwrap_err().kind(), ErrorKind::Locked);
    // A reader needs no lock, and returns cells that are only in the log.
    let reader = options().open(dir.path()).unwrap();
    assert_eq!(reader.get(&Get::new("r")).unwrap().value("f", "q"), Some(&b"in memory"[..]));
    assert_eq!(reader.put(Put::new("r").cell("f", "q", "v")).unwrap_err().kind(), ErrorKind::InvalidArgument);
    drop(region);
    let region = options().writable(true).open(dir.path()).unwrap();
    assert_eq!(region.families().collect::<Vec<_>>(), [&family]);
    let value = |region: &Region| region.get(&Get::new("r")).unwrap().value("f", "q").map(<[u8]>::to_vec);
    assert_eq!(value(&region).as_deref(), Some(&b"in memory"[..]), "dropping the region flushes it");
    region.put(Put::new("r").cell("f", "q", "closed")).unwrap();
    let (clone, view) = (region.clone(), region.view());
    region.close().unwrap();
    region.close().unwrap();
    let other = options().writable(true).open(dir.path()).unwrap();
    assert_eq!(value(&other).as_deref(), Some(&b"closed"[..]));
    let kinds = [
        clone.put(Put::new("r").cell("f", "q", "v")).unwrap_err().kind(),
        clone.get(&Get::new("r")).unwrap_err().kind(),
        view.get(&Get::new("r")).unwrap_err().kind(),
        view.scan(&Scan::new()).unwrap_err().kind(),
        clone.flush().unwrap_err().kind(),
        clone.compact(Compaction::Major).unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Closed; 6]);
    let kind = options().open(dir.path().join("no such region")).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::Io);
}

/// HBase writes a file for each flush of a store that has cells in memory, even if it keeps none of them.
#[test]
fn a_flush_that_keeps_no_cell_writes_a_file_without_cells() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(10_000_000));
    let options = Region::options().create_if_missing(true).clock(clock);
    let region = options
        .family(Family::new("f").ttl(Duration::from_secs(1)))
        .family(Family::new("g"))
        .open(dir.path())
        .unwrap();
    region.put(Put::new("r").cell_at("f", "q", 1, "expired")).unwrap();
    region.flush().unwrap();
    assert_eq!((region.store_file_count("f"), region.store_file_count("g")), (Some(1), Some(0)));
    assert_eq!(region.scan(Scan::new().raw(true)).unwrap().count(), 0);
    region.close().unwrap();
    let region = Region::open(dir.path()).unwrap();
    assert_eq!((region.store_file_count("f"), region.warnings().len()), (Some(1), 0));
    let faults = Region::options().verify(dir.path(), |_, report| assert!(report.unwrap().faults.is_empty()));
    assert_eq!(faults.unwrap().len(), 0);
}
