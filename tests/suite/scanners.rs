//! Scanners that own their sources, batches of gets, and the effect of closing.

use hregion::filter::{CellFilter, CustomFilter, Verdict};
use hregion::io::faulty::FaultyStorage;
use hregion::{
    BlockCache, CellRef, Delete, ErrorKind, Family, Filter, Get, Put, ReadView, Region, ResultScanner, Row,
    Scan, Table, TableResultScanner,
};
use std::mem;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::thread;

fn region(storage: &FaultyStorage, cache: Option<&BlockCache>) -> Region {
    let options = Region::options()
        .create_if_missing(true)
        .family(Family::new("f").block_size(512))
        .storage(Arc::new(storage.clone()));
    let options = match cache {
        Some(cache) => options.cache(cache),
        None => options,
    };
    options.open("/r").unwrap()
}

fn filled(storage: &FaultyStorage, rows: u32) -> Region {
    let region = region(storage, None);
    for i in 0..rows {
        region.put(Put::new(format!("{i:05}")).cell("f", "q", vec![1; 100])).unwrap();
        if i == rows / 2 {
            region.flush().unwrap();
        }
    }
    region
}

#[test]
fn an_owned_scanner_can_be_moved_and_keeps_its_read_point() {
    fn is_send_and_static<T: Send + 'static>() {}
    is_send_and_static::<ResultScanner>();
    is_send_and_static::<TableResultScanner>();
    is_send_and_static::<ReadView>();

    let storage = FaultyStorage::new();
    let region = filled(&storage, 500);
    let filter = || Filter::parse("PageFilter(300)").unwrap();
    for scan in [
        Scan::new(),
        Scan::new().limit(77),
        Scan::new().reversed(true),
        Scan::new().filter(filter()),
        Scan::new().batch(1),
    ] {
        let expected: Vec<Row> = region.view().scan(&scan).unwrap().map(Result::unwrap).collect();
        let mut owned = region.scan(scan).unwrap();
        let first = owned.next_row().unwrap().unwrap().to_row();
        region.put(Put::new("00002x").cell("f", "q", "later")).unwrap();
        region.flush().unwrap();
        let rest = thread::spawn(move || owned.collect::<hregion::Result<Vec<Row>>>().unwrap());
        let found: Vec<Row> = [first].into_iter().chain(rest.join().unwrap()).collect();
        assert_eq!(found, expected);
        region.delete(Delete::new("00002x")).unwrap();
    }
}

#[test]
fn a_scanner_keeps_its_region_open_and_no_longer() {
    let storage = FaultyStorage::new();
    let mut rows = filled(&storage, 50).scan(Scan::new()).unwrap();
    // dropping the other handles does not close the region while the scanner exists
    assert_eq!(rows.by_ref().take(10).filter(Result::is_ok).count(), 10);
    let again = || Region::options().writable(true).storage(Arc::new(storage.clone())).open("/r");
    assert_eq!(again().unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(rows.by_ref().filter(Result::is_ok).count(), 40);
    drop(rows);
    // closing the region flushed its memstore
    assert_eq!(again().unwrap().scan(Scan::new()).unwrap().count(), 50);
}

#[test]
fn scanners_of_a_closed_region_fail() {
    let storage = FaultyStorage::new();
    let region = filled(&storage, 50);
    let view = region.view();
    let (scan, filtered) = (Scan::new(), Scan::new().filter(Filter::parse("PageFilter(30)").unwrap()));
    let mut owned = region.scan(scan.clone()).unwrap();
    let mut borrowed: Vec<_> =
        [&scan, &filtered, &scan].into_iter().map(|scan| view.scan(scan).unwrap()).collect();
    assert!(owned.next_row().unwrap().is_some() && borrowed[1].next_row().unwrap().is_some());
    region.close().unwrap();
    let closed = Some(ErrorKind::Closed);
    assert_eq!(owned.next_row().err().map(|error| error.kind()), closed);
    assert_eq!(owned.next_results(None).err().map(|error| error.kind()), closed);
    let cells = borrowed.pop().unwrap();
    assert!(borrowed.iter_mut().all(|rows| rows.next_row().err().map(|error| error.kind()) == closed));
    let error = cells.for_each_cell(|_| ControlFlow::Continue(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Closed);
    assert_eq!(region.scan(Scan::new()).unwrap_err().kind(), ErrorKind::Closed);
}

#[test]
fn a_batch_of_gets_reads_rows_of_a_block_together() {
    let storage = FaultyStorage::new();
    filled(&storage, 500).close().unwrap();
    let gets: Vec<Get> = (0..400u32).map(|i| Get::new(format!("{:05}", i * 173 % 500))).collect();
    // a cache that holds only a few of the blocks
    let cache = BlockCache::with_capacity(8 << 10);
    let region = region(&storage, Some(&cache));
    let one_by_one: Vec<Row> = gets.iter().map(|get| region.get(get).unwrap()).collect();
    let alone = region.metrics();
    let together = region.get_many(&gets).unwrap();
    let batch = region.metrics().since(&alone);
    assert_eq!(together, one_by_one);
    assert!(
        batch.data_blocks_read * 2 < alone.data_blocks_read,
        "{} {}",
        batch.data_blocks_read,
        alone.data_blocks_read
    );
    assert_eq!(region.get_many(&[]).unwrap(), []);
    let missing = region.get_many(&[Get::new("x"), Get::new("00001"), Get::new("x")]).unwrap();
    assert_eq!(missing.iter().map(Row::len).collect::<Vec<_>>(), [0, 1, 0]);
    let error = region.get_many(&[Get::new("a"), Get::new("b").family("none")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSuchFamily);
}

/// It would continue without the cells of the unreadable file: deleted cells would reappear.
#[test]
fn a_scanner_that_has_failed_returns_nothing_more() {
    let storage = FaultyStorage::new();
    let options = Region::options().storage(Arc::new(storage.clone()));
    let family = Family::new("f").block_size(512);
    let table = Table::create_with("/root", "t", &[family], &["00100"], options).unwrap();
    let rows = (0..200u32).map(|i| format!("{i:05}"));
    rows.clone().for_each(|row| table.put(Put::new(row).cell_at("f", "q", 1, "deleted")).unwrap());
    table.flush().unwrap();
    rows.for_each(|row| table.delete(Delete::new(row).timestamp(1)).unwrap());
    table.flush().unwrap();
    let mut failed = 0;
    for scan in [Scan::new(), Scan::new().reversed(true), Scan::new().batch(1)] {
        for n in 0.. {
            let mut of_table = table.scan(scan.clone()).unwrap();
            let mut of_region = table.region("00000").unwrap().scan(scan.clone()).unwrap();
            storage.fail_among_all([n]);
            let first = of_table.next_row().map(|row| row.is_some());
            let was_met = storage.pending_faults().is_empty();
            storage.fail_among_all([n]);
            let results = of_region.next_results(None).map(|call| call.results.len());
            storage.heal();
            if let Err(error) = &first {
                assert_eq!(of_table.next_row().unwrap_err().to_string(), error.to_string());
                assert!(of_table.next().is_none());
                failed += 1;
            }
            if let Err(error) = &results {
                assert_eq!(of_region.next_row().unwrap_err().to_string(), error.to_string());
                assert_eq!(of_region.next_results(None).unwrap_err().to_string(), error.to_string());
                assert!(of_region.next().is_none() && of_region.cursor().is_none());
                failed += 1;
            }
            assert!(!first.unwrap_or(false) && results.unwrap_or(0) == 0);
            if !was_met {
                break;
            }
        }
    }
    assert!(failed > 30, "{failed}");
}

#[test]
fn a_scanner_that_has_failed_passes_no_cells() {
    let storage = FaultyStorage::new();
    let region = region(&storage, None);
    let rows = (0..200u32).map(|i| format!("{i:05}"));
    rows.clone().for_each(|row| region.put(Put::new(row).cell_at("f", "q", 1, "deleted")).unwrap());
    region.flush().unwrap();
    rows.for_each(|row| region.delete(Delete::new(row).timestamp(1)).unwrap());
    region.flush().unwrap();
    let (scan, mut failed) = (Scan::new(), 0);
    for n in 0.. {
        let view = region.view();
        let mut rows = view.scan(&scan).unwrap();
        storage.fail_among_all([n]);
        let first = rows.next_row().map(|row| row.is_some());
        let was_met = storage.pending_faults().is_empty();
        storage.heal();
        if let Err(error) = &first {
            let mut passed = 0;
            let again = rows.for_each_cell(|_| {
                passed += 1;
                ControlFlow::Continue(())
            });
            assert_eq!((again.unwrap_err().to_string(), passed), (error.to_string(), 0));
            failed += 1;
        }
        assert!(!first.unwrap_or(false));
        if !was_met {
            break;
        }
    }
    assert!(failed > 3, "{failed}");
}

#[test]
fn a_table_closes_with_its_regions() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    let table = Table::create(root, "t", &[Family::new("f")], &["g", "p"]).unwrap();
    for row in ["a", "h", "q", "b"] {
        table.put(Put::new(row).cell("f", "q", "v")).unwrap();
    }
    assert_eq!(table.scan(Scan::new()).unwrap().count(), 4);
    let rows = table.get_many(&[Get::new("q"), Get::new("x"), Get::new("a"), Get::new("h")]).unwrap();
    assert_eq!(rows.iter().map(Row::len).collect::<Vec<_>>(), [1, 0, 1, 1]);
    let (mut rows, region) = (table.scan(Scan::new()).unwrap(), table.region("h").unwrap());
    assert!(rows.next().unwrap().is_ok());
    table.close().unwrap();
    table.close().unwrap();
    let kinds = [
        table.put(Put::new("a").cell("f", "q", "w")).unwrap_err().kind(),
        table.clone().get(&Get::new("z")).unwrap_err().kind(),
        region.get(&Get::new("h")).unwrap_err().kind(),
        rows.next().unwrap().unwrap_err().kind(),
        table.scan(Scan::new()).unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Closed; 5]);
    // the table can be opened again while handles of the closed one still exist
    let other = open(root);
    assert_eq!(other.scan(Scan::new()).unwrap().count(), 4);
    other.put(Put::new("c").cell("f", "q", "v")).unwrap();
}

fn open(root: &Path) -> Table {
    Table::open_with(root, "t", Region::options().writable(true)).unwrap()
}

/// A filter that panics at a column of a row, once.
#[derive(Debug)]
struct Panicking;

#[derive(Debug, Default)]
struct PanickingState {
    has_panicked: bool,
}

impl CustomFilter for Panicking {
    fn start(&self) -> Box<dyn CellFilter> {
        Box::new(PanickingState::default())
    }
}

impl CellFilter for PanickingState {
    fn filter_cell(&mut self, cell: CellRef<'_>) -> hregion::Result<Verdict> {
        let is_there = cell.row() == b"b" && cell.qualifier() == b"q";
        assert!(!is_there || mem::replace(&mut self.has_panicked, true), "a panic of the filter");
        Ok(Verdict::Include)
    }
}

/// It would continue within the row, or skip a region.
#[test]
fn a_scanner_in_which_a_filter_has_panicked_returns_nothing_more() {
    let storage = FaultyStorage::new();
    let options = Region::options().storage(Arc::new(storage));
    let table = Table::create_with("/root", "t", &[Family::new("f")], &["c"], options).unwrap();
    for row in ["a", "b", "c"] {
        table.put(Put::new(row).cell("f", "p", "v").cell("f", "q", "v").cell("f", "r", "v")).unwrap();
    }
    let scan = || Scan::new().filter(Filter::custom(Panicking));
    let mut rows = table.region("a").unwrap().scan(scan()).unwrap();
    assert_eq!(rows.next_row().unwrap().unwrap().len(), 3);
    assert!(rows.cursor().is_some());
    assert!(catch_unwind(AssertUnwindSafe(|| rows.next_row().map(drop))).is_err());
    assert!(rows.next_row().is_err() && rows.next_results(None).is_err());
    assert!(rows.cursor().is_none() && !rows.may_have_more());
    assert!(rows.next().unwrap().is_err() && rows.next().is_none());

    let mut rows = table.scan(scan()).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| rows.next_results(None).map(drop))).is_err());
    assert!(rows.next_results(None).is_err() && rows.next_row().is_err());
    assert!(rows.next().unwrap().is_err() && rows.next().is_none());
}
