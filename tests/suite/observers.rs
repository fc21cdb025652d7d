//! Observers: when each hook is called (read-path.md §18), what it may change, and what it may prevent.

mod work;

use hregion::io::faulty::FaultyStorage;
use hregion::region::{CheckResult, CompactionFilter, MiniBatch, ObserverContext, ScanOptions};
use hregion::{
    Append, CellRef, CellType, CheckAndMutate, Compaction, Comparator, Compare, Delete, Durability, Error,
    Family, Filter, Get, HFileWriter, Increment, ManualClock, MemoryLimit, Mutation, Put, Region,
    RegionObserver, Result, RowBuf, Scan, Scheduler, SeekKey, StoreFileOrigin, StoreFileWriter, Table,
};
use proptest::prelude::*;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// The hooks called so far, in order.
type Log = Arc<Mutex<Vec<String>>>;

/// Records each hook that is called, with a prefix.
#[derive(Debug)]
struct Recorder(&'static str, Log);

impl Recorder {
    fn note(&self, hook: &str) -> Result<()> {
        self.1.lock().unwrap().push(format!("{}{hook}", self.0));
        Ok(())
    }
}

type Context<'c, 'd> = &'c mut ObserverContext<'d>;

impl RegionObserver for Recorder {
    fn pre_open(&self, _: Context<'_, '_>) -> Result<()> {
        self.note("preOpen")
    }
    fn post_open(&self, _: Context<'_, '_>) -> Result<()> {
        self.note("postOpen")
    }
    fn pre_close(&self, _: Context<'_, '_>) -> Result<()> {
        self.note("preClose")
    }
    fn post_close(&self, _: Context<'_, '_>) -> Result<()> {
        self.note("postClose")
    }
    fn pre_get_op(&self, _: Context<'_, '_>, _: &Get, _: &mut RowBuf) -> Result<()> {
        self.note("preGetOp")
    }
    fn post_get_op(&self, _: Context<'_, '_>, _: &Get, _: &mut RowBuf) -> Result<()> {
        self.note("postGetOp")
    }
    fn pre_exists(&self, _: Context<'_, '_>, _: &Get, _: &mut bool) -> Result<()> {
        self.note("preExists")
    }
    fn post_exists(&self, _: Context<'_, '_>, _: &Get, _: &mut bool) -> Result<()> {
        self.note("postExists")
    }
    fn pre_scanner_open(&self, _: Context<'_, '_>, _: &mut Scan) -> Result<()> {
        self.note("preScannerOpen")
    }
    fn post_scanner_open(&self, _: Context<'_, '_>, _: &Scan) -> Result<()> {
        self.note("postScannerOpen")
    }
    fn pre_store_scanner_open(&self, _: Context<'_, '_>, family: &[u8], _: &mut ScanOptions) -> Result<()> {
        self.note(&format!("preStoreScannerOpen {}", text(family)))
    }
    fn pre_scanner_next(&self, _: Context<'_, '_>, _: &Scan, _: &mut RowBuf) -> Result<()> {
        self.note("preScannerNext")
    }
    fn post_scanner_next(&self, _: Context<'_, '_>, _: &Scan, results: &mut RowBuf) -> Result<()> {
        self.note(&format!("postScannerNext {}", text(results.as_row().key())))
    }
    fn post_scanner_filter_row(&self, _: Context<'_, '_>, _: &Scan, row: &[u8], more: bool) -> Result<bool> {
        self.note(&format!("postScannerFilterRow {}", text(row)))?;
        Ok(more)
    }
    fn pre_scanner_close(&self, _: Context<'_, '_>, _: &Scan) -> Result<()> {
        self.note("preScannerClose")
    }
    fn post_scanner_close(&self, _: Context<'_, '_>, _: &Scan) -> Result<()> {
        self.note("postScannerClose")
    }
    fn pre_put(&self, _: Context<'_, '_>, _: &mut Put) -> Result<()> {
        self.note("prePut")
    }
    fn post_put(&self, _: Context<'_, '_>, _: &Put) -> Result<()> {
        self.note("postPut")
    }
    fn pre_delete(&self, _: Context<'_, '_>, _: &mut Delete) -> Result<()> {
        self.note("preDelete")
    }
    fn post_delete(&self, _: Context<'_, '_>, _: &Delete) -> Result<()> {
        self.note("postDelete")
    }
    fn pre_increment(&self, _: Context<'_, '_>, _: &mut Increment, _: &mut RowBuf) -> Result<()> {
        self.note("preIncrement")
    }
    fn pre_increment_after_row_lock(&self, _: Context<'_, '_>, _: &Increment, _: &mut RowBuf) -> Result<()> {
        self.note("preIncrementAfterRowLock")
    }
    fn post_increment(&self, _: Context<'_, '_>, _: &Increment, _: &mut RowBuf) -> Result<()> {
        self.note("postIncrement")
    }
    fn pre_append(&self, _: Context<'_, '_>, _: &mut Append, _: &mut RowBuf) -> Result<()> {
        self.note("preAppend")
    }
    fn pre_append_after_row_lock(&self, _: Context<'_, '_>, _: &Append, _: &mut RowBuf) -> Result<()> {
        self.note("preAppendAfterRowLock")
    }
    fn post_append(&self, _: Context<'_, '_>, _: &Append, _: &mut RowBuf) -> Result<()> {
        self.note("postAppend")
    }
    fn pre_batch_mutate(&self, _: Context<'_, '_>, batch: &mut MiniBatch<'_>) -> Result<()> {
        self.note(&format!("preBatchMutate {}", batch.mutations().len()))
    }
    fn post_batch_mutate(&self, _: Context<'_, '_>, _: &MiniBatch<'_>) -> Result<()> {
        self.note("postBatchMutate")
    }
    fn post_batch_mutate_indispensably(
        &self,
        _: Context<'_, '_>,
        _: &MiniBatch<'_>,
        success: bool,
    ) -> Result<()> {
        self.note(&format!("postBatchMutateIndispensably {success}"))
    }
    fn pre_check_and_mutate(
        &self,
        _: Context<'_, '_>,
        _: &CheckAndMutate,
        _: &mut CheckResult,
    ) -> Result<()> {
        self.note("preCheckAndMutate")
    }
    fn pre_check_and_mutate_after_row_lock(
        &self,
        _: Context<'_, '_>,
        _: &CheckAndMutate,
        _: &mut CheckResult,
    ) -> Result<()> {
        self.note("preCheckAndMutateAfterRowLock")
    }
    fn post_check_and_mutate(
        &self,
        _: Context<'_, '_>,
        _: &CheckAndMutate,
        result: &mut CheckResult,
    ) -> Result<()> {
        self.note(&format!("postCheckAndMutate {}", result.success))
    }
    fn pre_flush(&self, _: Context<'_, '_>) -> Result<()> {
        self.note("preFlush")
    }
    fn pre_flush_scanner_open(&self, _: Context<'_, '_>, family: &[u8], _: &mut ScanOptions) -> Result<()> {
        self.note(&format!("preFlushScannerOpen {}", text(family)))
    }
    fn pre_flush_store(
        &self,
        _: Context<'_, '_>,
        family: &[u8],
    ) -> Result<Option<Box<dyn CompactionFilter>>> {
        self.note(&format!("preFlush {}", text(family)))?;
        Ok(None)
    }
    fn post_flush_store(&self, _: Context<'_, '_>, family: &[u8], _: &str) -> Result<()> {
        self.note(&format!("postFlush {}", text(family)))
    }
    fn post_flush(&self, _: Context<'_, '_>) -> Result<()> {
        self.note("postFlush")
    }
    fn pre_compact_selection(
        &self,
        _: Context<'_, '_>,
        family: &[u8],
        files: &mut Vec<String>,
    ) -> Result<()> {
        self.note(&format!("preCompactSelection {} {}", text(family), files.len()))
    }
    fn post_compact_selection(&self, _: Context<'_, '_>, _: &[u8], files: &[String]) -> Result<()> {
        self.note(&format!("postCompactSelection {}", files.len()))
    }
    fn pre_compact_scanner_open(
        &self,
        _: Context<'_, '_>,
        _: &[u8],
        all_files: bool,
        _: &mut ScanOptions,
    ) -> Result<()> {
        self.note(&format!("preCompactScannerOpen {all_files}"))
    }
    fn pre_compact(
        &self,
        _: Context<'_, '_>,
        _: &[u8],
        _: bool,
    ) -> Result<Option<Box<dyn CompactionFilter>>> {
        self.note("preCompact")?;
        Ok(None)
    }
    fn post_compact(&self, _: Context<'_, '_>, _: &[u8], _: &str) -> Result<()> {
        self.note("postCompact")
    }
    fn pre_bulk_load_hfile(&self, _: Context<'_, '_>, _: &[(Vec<u8>, PathBuf)]) -> Result<()> {
        self.note("preBulkLoadHFile")
    }
    fn pre_commit_store_file(&self, _: Context<'_, '_>, _: &[u8], _: &Path, _: &Path) -> Result<()> {
        self.note("preCommitStoreFile")
    }
    fn post_commit_store_file(&self, _: Context<'_, '_>, _: &[u8], _: &Path, _: &Path) -> Result<()> {
        self.note("postCommitStoreFile")
    }
    fn post_bulk_load_hfile(&self, _: Context<'_, '_>, _: &[(Vec<u8>, PathBuf)]) -> Result<()> {
        self.note("postBulkLoadHFile")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn open(storage: &FaultyStorage, observers: &[(i32, Arc<dyn RegionObserver>)]) -> Result<Region> {
    let mut options = Region::options()
        .storage(Arc::new(storage.clone()))
        .clock(Arc::new(ManualClock::new(1000)))
        .create_if_missing(true)
        .family(Family::new("f").max_versions(3))
        .family(Family::new("g"));
    for (priority, observer) in observers {
        options = options.observer(*priority, observer.clone());
    }
    options.open("/regions/r")
}

fn region_of(observer: impl RegionObserver + 'static) -> Region {
    open(&FaultyStorage::new(), &[(0, Arc::new(observer))]).unwrap()
}

fn load_file(storage: &FaultyStorage) -> PathBuf {
    let path = PathBuf::from("/loads/one");
    let options = HFileWriter::options().storage(Arc::new(storage.clone()));
    let mut writer = StoreFileWriter::create(options, &path).unwrap();
    let key = SeekKey::of(b"z", b"f", b"q", 5, CellType::Put);
    writer.append(CellRef::new(&key, b"loaded")).unwrap();
    let origin = StoreFileOrigin::BulkLoad {
        timestamp: 5,
        source_task: b"test".to_vec(),
        exclude_from_minor_compaction: false,
        skip_reset_seq_id: false,
    };
    writer.finish(&origin).unwrap();
    path
}

#[test]
fn every_hook_is_called_when_it_is_to_be() {
    let (storage, log) = (FaultyStorage::new(), Log::default());
    let recorder = Arc::new(Recorder("", log.clone()));
    let region = open(&storage, &[(0, recorder.clone())]).unwrap();
    let called = || log.lock().unwrap().drain(..).collect::<Vec<_>>().join(", ");
    let batch = |before: &str, behind: &str| {
        format!("{before}preBatchMutate 1, postBatchMutate, {behind}postBatchMutateIndispensably true")
    };
    let put = |row: &'static str| Put::new(row).cell("f", "q", "v");
    assert_eq!(called(), "preOpen, postOpen");

    for row in ["a", "b"] {
        region.put(put(row)).unwrap();
        assert_eq!(called(), batch("prePut, ", "postPut, "));
    }
    region.delete(Delete::new("b")).unwrap();
    assert_eq!(called(), batch("preDelete, ", "postDelete, "));
    region.increment(Increment::new("a").column("f", "n", 1)).unwrap();
    let reads = "preStoreScannerOpen f, ";
    assert_eq!(
        called(),
        batch(&format!("preIncrement, preIncrementAfterRowLock, {reads}"), "postIncrement, ")
    );
    region.append(Append::new("a").column("f", "s", "x")).unwrap();
    assert_eq!(called(), batch(&format!("preAppend, preAppendAfterRowLock, {reads}"), "postAppend, "));
    region
        .batch(vec![put("c").into(), Delete::new("c").column("f", "x").into()])
        .into_iter()
        .for_each(Result::unwrap);
    assert_eq!(
        called(),
        "prePut, preDelete, preBatchMutate 2, postBatchMutate, postPut, postDelete, \
         postBatchMutateIndispensably true"
    );
    region.mutate_row("c", vec![put("c").into(), put("c").into()]).unwrap();
    assert_eq!(
        called(),
        "prePut, prePut, preBatchMutate 2, postBatchMutate, postPut, postPut, \
         postBatchMutateIndispensably true"
    );
    let check = |value: &'static str| CheckAndMutate::if_equals("a", "f", "q", value).then(put("a"));
    assert!(region.check_and_mutate(check("v")).unwrap().success);
    let checked = "preCheckAndMutate, preCheckAndMutateAfterRowLock, preStoreScannerOpen f, ";
    assert_eq!(called(), format!("{checked}{}, postCheckAndMutate true", batch("prePut, ", "postPut, ")));
    assert!(!region.check_and_mutate(check("w")).unwrap().success);
    assert_eq!(called(), format!("{checked}postCheckAndMutate false"));

    region.get(&Get::new("a").family("f")).unwrap();
    assert_eq!(called(), "preGetOp, preStoreScannerOpen f, postGetOp");
    region.view().get(&Get::new("a")).unwrap();
    assert_eq!(called(), "preGetOp, preStoreScannerOpen f, preStoreScannerOpen g, postGetOp");
    region.exists(&Get::new("a").family("g")).unwrap();
    assert_eq!(called(), "preExists, preGetOp, preStoreScannerOpen g, postGetOp, postExists");
    let opened = "preScannerOpen, preStoreScannerOpen f, postScannerOpen";
    let closed = "preScannerClose, postScannerClose";
    let scan = |scan: Scan| {
        let view = region.view();
        view.scan(&scan).unwrap().map(|row| row.unwrap().len()).sum::<usize>()
    };
    assert!(scan(Scan::new().family("f").limit(1)) > 0);
    assert_eq!(called(), format!("{opened}, preScannerNext, postScannerNext a, {closed}"));
    assert!(scan(Scan::new().family("f").filter(Filter::row(Compare::Equal, Comparator::binary("c")))) > 0);
    let next = "preScannerNext, postScannerFilterRow a, postScannerFilterRow b, postScannerNext c";
    let found = called();
    assert!(found.starts_with(&format!("{opened}, {next}")) && found.ends_with(closed), "{found}");

    region.flush().unwrap();
    let flush = "preFlush, preFlushScannerOpen f, preFlush f, postFlush f";
    // deleting the row left a marker in the other family
    assert_eq!(called(), format!("{flush}, preFlushScannerOpen g, preFlush g, postFlush g, postFlush"));
    region.flush().unwrap();
    assert_eq!(called(), "preFlush, postFlush");
    region.compact_family("f", Compaction::Minor).unwrap();
    assert_eq!(called(), "preCompactSelection f 1, postCompactSelection 0");
    let path = load_file(&storage);
    region.bulk_load(&[("f", path)]).unwrap();
    assert_eq!(
        called(),
        "preBulkLoadHFile, preFlush, postFlush, preCommitStoreFile, postCommitStoreFile, postBulkLoadHFile"
    );
    region.compact_family("f", Compaction::Major).unwrap();
    assert_eq!(
        called(),
        "preCompactSelection f 2, postCompactSelection 2, preCompactScannerOpen true, preCompact, postCompact"
    );

    // hooks called for operations that fail
    assert!(region.put(Put::new("a").cell("nobody's", "q", "v")).is_err());
    assert_eq!(called(), "prePut");
    assert!(region.increment(Increment::new("a").column("f", "q", 1)).is_err());
    assert_eq!(
        called(),
        "preIncrement, preIncrementAfterRowLock, preStoreScannerOpen f, postBatchMutateIndispensably false"
    );
    drop(region);
    assert_eq!(called(), "preClose, postClose");
}

#[test]
fn observers_are_called_by_priority_and_then_as_they_came() {
    let log = Log::default();
    let of = |name| Arc::new(Recorder(name, log.clone())) as Arc<dyn RegionObserver>;
    let region =
        open(&FaultyStorage::new(), &[(5, of("c ")), (-1, of("a ")), (5, of("d ")), (0, of("b "))]).unwrap();
    log.lock().unwrap().clear();
    region.get(&Get::new("x").family("f")).unwrap();
    let hooks = ["preGetOp", "preStoreScannerOpen f", "postGetOp"];
    let expected: Vec<String> =
        hooks.iter().flat_map(|hook| ["a", "b", "c", "d"].map(|name| format!("{name} {hook}"))).collect();
    assert_eq!(*log.lock().unwrap(), expected);
}

/// Bypasses everything that can be bypassed, and answers with one cell.
#[derive(Debug)]
struct Bypasser;

fn answer(results: &mut RowBuf) {
    let key = SeekKey::of(b"x", b"f", b"q", 7, CellType::Put);
    results.push(CellRef::new(&key, b"bypassed"));
}

impl RegionObserver for Bypasser {
    fn pre_get_op(&self, context: Context<'_, '_>, _: &Get, results: &mut RowBuf) -> Result<()> {
        context.bypass();
        answer(results);
        Ok(())
    }
    fn pre_exists(&self, context: Context<'_, '_>, _: &Get, exists: &mut bool) -> Result<()> {
        context.bypass();
        *exists = true;
        Ok(())
    }
    fn pre_put(&self, context: Context<'_, '_>, _: &mut Put) -> Result<()> {
        context.bypass();
        Ok(())
    }
    fn pre_increment(&self, context: Context<'_, '_>, _: &mut Increment, results: &mut RowBuf) -> Result<()> {
        context.bypass();
        answer(results);
        Ok(())
    }
    fn pre_append_after_row_lock(
        &self,
        context: Context<'_, '_>,
        _: &Append,
        results: &mut RowBuf,
    ) -> Result<()> {
        context.bypass();
        answer(results);
        Ok(())
    }
    fn pre_check_and_mutate(
        &self,
        context: Context<'_, '_>,
        _: &CheckAndMutate,
        result: &mut CheckResult,
    ) -> Result<()> {
        context.bypass();
        result.success = true;
        Ok(())
    }
    fn pre_scanner_next(&self, context: Context<'_, '_>, _: &Scan, results: &mut RowBuf) -> Result<()> {
        context.bypass();
        answer(results);
        Ok(())
    }
    fn pre_compact_selection(
        &self,
        context: Context<'_, '_>,
        _: &[u8],
        files: &mut Vec<String>,
    ) -> Result<()> {
        context.bypass();
        files.truncate(2);
        Ok(())
    }
    fn post_delete(&self, context: Context<'_, '_>, _: &Delete) -> Result<()> {
        context.bypass();
        Ok(())
    }
}

#[test]
fn a_bypass_skips_operation_and_later_observers() {
    let (storage, log) = (FaultyStorage::new(), Log::default());
    let recorder = Arc::new(Recorder("", log.clone()));
    let region = open(&storage, &[(0, Arc::new(Bypasser)), (1, recorder)]).unwrap();
    log.lock().unwrap().clear();
    let bypassed = |row: &hregion::Row| row.value("f", "q") == Some(b"bypassed");
    assert!(bypassed(&region.get(&Get::new("a")).unwrap()));
    assert!(region.exists(&Get::new("a")).unwrap());
    region.put(Put::new("a").cell("f", "q", "v")).unwrap();
    assert!(bypassed(&region.increment(Increment::new("a").column("f", "n", 1)).unwrap()));
    assert!(bypassed(&region.append(Append::new("a").column("f", "s", "x")).unwrap()));
    let check = CheckAndMutate::if_equals("a", "f", "q", "w").then(Put::new("a").cell("f", "q", "v"));
    assert!(region.check_and_mutate(check).unwrap().success);
    assert_eq!(region.memstore_size(), 0);
    {
        let view = region.view();
        let scan = Scan::new().limit(2);
        let rows: Vec<_> = view.scan(&scan).unwrap().map(Result::unwrap).collect();
        assert!(rows.len() == 2 && rows.iter().all(bypassed));
    }
    let noted = log.lock().unwrap().join(", ");
    assert!(!noted.contains("Get") && !noted.contains("Put") && !noted.contains("preCheck"), "{noted}");
    // a hook that cannot be bypassed
    let error = region.delete(Delete::new("a")).unwrap_err();
    assert!(error.to_string().contains("cannot be bypassed"), "{error}");
    for row in ["a", "b", "c"] {
        region.delete(Delete::new(row)).unwrap_err();
        region.flush().unwrap();
    }
    let names = region.store_file_names("f").unwrap();
    region.compact_family("f", Compaction::Minor).unwrap();
    let left = region.store_file_names("f").unwrap();
    assert_eq!((names.len(), left.len(), &left[1]), (3, 2, &names[2]));
}

/// Changes everything that can be changed.
#[derive(Debug)]
struct Changer;

/// Doubles each value, and drops the cells of one row.
#[derive(Debug)]
struct Doubler;

impl CompactionFilter for Doubler {
    fn filter_cell(
        &mut self,
        cell: CellRef<'_>,
        out: &mut dyn FnMut(CellRef<'_>) -> Result<()>,
    ) -> Result<()> {
        let value = [cell.value(), cell.value()].concat();
        if cell.row() == b"gone" { Ok(()) } else { out(cell.with_value(&value)) }
    }
}

impl RegionObserver for Changer {
    fn pre_put(&self, _: Context<'_, '_>, put: &mut Put) -> Result<()> {
        *put = put.clone().cell("f", "by", "pre_put");
        Ok(())
    }
    fn pre_batch_mutate(&self, _: Context<'_, '_>, batch: &mut MiniBatch<'_>) -> Result<()> {
        let rows: Vec<Vec<u8>> = batch.mutations().iter().map(|mutation| mutation.row().to_vec()).collect();
        for (i, row) in rows.into_iter().enumerate() {
            if row == b"refused" {
                batch.fail(i, Error::invalid_argument("refused by an observer"))?;
            } else {
                batch.add(Put::new(row).cell("g", "by", "batch"))?;
            }
        }
        assert!(batch.add(Put::new("elsewhere").cell("g", "by", "batch")).is_err());
        assert!(batch.fail(1000, Error::invalid_argument("nobody")).is_err());
        Ok(())
    }
    fn post_increment(&self, _: Context<'_, '_>, _: &Increment, results: &mut RowBuf) -> Result<()> {
        results.clear();
        Ok(())
    }
    fn post_get_op(&self, _: Context<'_, '_>, _: &Get, results: &mut RowBuf) -> Result<()> {
        results.retain(|cell| cell.qualifier() != b"secret");
        Ok(())
    }
    fn pre_scanner_open(&self, _: Context<'_, '_>, scan: &mut Scan) -> Result<()> {
        *scan = scan.clone().family("f");
        Ok(())
    }
    fn post_scanner_next(&self, _: Context<'_, '_>, _: &Scan, results: &mut RowBuf) -> Result<()> {
        results.retain(|cell| cell.qualifier() != b"secret");
        Ok(())
    }
    fn post_scanner_filter_row(&self, _: Context<'_, '_>, _: &Scan, row: &[u8], _: bool) -> Result<bool> {
        Ok(row != b"stop")
    }
    fn pre_store_scanner_open(&self, _: Context<'_, '_>, _: &[u8], options: &mut ScanOptions) -> Result<()> {
        options.max_versions = 1;
        Ok(())
    }
    fn pre_flush_store(&self, _: Context<'_, '_>, _: &[u8]) -> Result<Option<Box<dyn CompactionFilter>>> {
        Ok(Some(Box::new(Doubler)))
    }
    fn pre_compact_scanner_open(
        &self,
        _: Context<'_, '_>,
        _: &[u8],
        _: bool,
        options: &mut ScanOptions,
    ) -> Result<()> {
        options.max_versions = 1;
        Ok(())
    }
    fn pre_compact(
        &self,
        _: Context<'_, '_>,
        _: &[u8],
        _: bool,
    ) -> Result<Option<Box<dyn CompactionFilter>>> {
        Ok(Some(Box::new(Doubler)))
    }
}

#[test]
fn changes_of_observers_take_effect() {
    let region = region_of(Changer);
    for (ts, value) in [(1, "1"), (2, "2")] {
        region.put(Put::new("a").cell_at("f", "q", ts, value).cell_at("f", "secret", ts, "s")).unwrap();
    }
    let row = region.get(&Get::new("a").max_versions(9)).unwrap();
    let cells: Vec<_> = row.cells().map(|cell| (text(cell.qualifier()), text(cell.value()))).collect();
    let of = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect::<Vec<_>>()
    };
    // two versions are stored, but the observer limits reads to one; cells that it adds or hides are added or
    // hidden
    assert_eq!(cells, of(&[("by", "pre_put"), ("q", "2"), ("by", "batch")]));
    assert!(region.increment(Increment::new("n").column("f", "n", 1)).unwrap().is_empty());
    assert_eq!(
        region.get(&Get::new("n").family("f")).unwrap().value("f", "n"),
        Some(&1i64.to_be_bytes()[..])
    );

    let refused = region.put(Put::new("refused").cell("f", "q", "v")).unwrap_err();
    assert!(refused.to_string().contains("by an observer"));
    let put = |row: &'static str| Mutation::from(Put::new(row).cell("f", "q", "v"));
    let results = region.batch(vec![put("b"), put("refused"), put("gone"), put("stop")]);
    assert_eq!(results.iter().map(Result::is_ok).collect::<Vec<_>>(), [true, false, true, true]);
    assert!(region.get(&Get::new("refused")).unwrap().is_empty());

    let rows = |scan: &Scan| -> Vec<String> {
        let view = region.view();
        view.scan(scan).unwrap().map(|row| text(row.unwrap().key())).collect()
    };
    assert_eq!(rows(&Scan::new()), ["a", "b", "gone", "n", "stop"]);
    assert_eq!(
        rows(&Scan::new().column("g", "by")),
        ["a", "b", "gone", "n", "stop"],
        "the family f was added"
    );
    let filter = Filter::parse("RowFilter(!=, 'binary:stop')").unwrap();
    region.put(Put::new("zz").cell("f", "q", "v")).unwrap();
    assert_eq!(rows(&Scan::new().filter(filter)), ["a", "b", "gone", "n"], "not zz");
    {
        let (view, scan) = (region.view(), Scan::new().column("f", "secret"));
        let mut secrets = view.scan(&scan).unwrap();
        assert!(secrets.all(|row| row.unwrap().value("f", "secret").is_none()));
    }

    region.flush().unwrap();
    let row = region.get(&Get::new("a")).unwrap();
    assert_eq!((row.value("f", "q"), row.value("g", "by")), (Some(&b"22"[..]), Some(&b"batchbatch"[..])));
    assert!(region.get(&Get::new("gone")).unwrap().is_empty());
    region.compact(Compaction::Major).unwrap();
    assert_eq!(region.get(&Get::new("a")).unwrap().value("f", "q"), Some(&b"2222"[..]));
    let raw = Scan::new().raw(true).max_versions(9).limit(1);
    let view = region.view();
    let count = view
        .scan(&raw)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .cells()
        .filter(|cell| cell.qualifier() == b"q")
        .count();
    assert_eq!(count, 1);
}

/// Writes to another row than was asked.
#[derive(Debug)]
struct Redirect;

impl RegionObserver for Redirect {
    fn pre_put(&self, _: Context<'_, '_>, put: &mut Put) -> Result<()> {
        *put = Put::new("other").cell("f", "q", "v");
        Ok(())
    }
}

/// Only the row of the condition is locked: an increment of the other row at the same time could be lost.
#[test]
fn an_observer_cannot_change_the_row_of_a_conditional_write() {
    let region = region_of(Redirect);
    let check = CheckAndMutate::if_not_exists("a", "f", "q").then(Put::new("a").cell("f", "q", "v"));
    let error = region.check_and_mutate(check).unwrap_err();
    assert!(error.to_string().contains("changed the row"), "{error}");
    assert_eq!(region.memstore_size(), 0);
    region.put(Put::new("a").cell("f", "q", "v")).unwrap();
    assert!(region.exists(&Get::new("other")).unwrap() && !region.exists(&Get::new("a")).unwrap());
}

/// Fails in the named hook.
#[derive(Debug)]
struct Failing(&'static str);

impl Failing {
    fn at(&self, hook: &str) -> Result<()> {
        if self.0 == hook { Err(Error::invalid_argument("the observer fails")) } else { Ok(()) }
    }
}

impl RegionObserver for Failing {
    fn pre_open(&self, _: Context<'_, '_>) -> Result<()> {
        self.at("pre_open")
    }
    fn pre_get_op(&self, _: Context<'_, '_>, _: &Get, _: &mut RowBuf) -> Result<()> {
        self.at("pre_get_op")
    }
    fn pre_put(&self, _: Context<'_, '_>, _: &mut Put) -> Result<()> {
        self.at("pre_put")
    }
    fn pre_batch_mutate(&self, _: Context<'_, '_>, _: &mut MiniBatch<'_>) -> Result<()> {
        self.at("pre_batch_mutate")
    }
    fn post_put(&self, _: Context<'_, '_>, _: &Put) -> Result<()> {
        self.at("post_put")
    }
    fn pre_flush(&self, _: Context<'_, '_>) -> Result<()> {
        self.at("pre_flush")
    }
    fn pre_compact(
        &self,
        _: Context<'_, '_>,
        _: &[u8],
        _: bool,
    ) -> Result<Option<Box<dyn CompactionFilter>>> {
        self.at("pre_compact")?;
        Ok(None)
    }
    fn post_scanner_next(&self, _: Context<'_, '_>, _: &Scan, _: &mut RowBuf) -> Result<()> {
        self.at("post_scanner_next")
    }
}

#[test]
fn an_observer_that_fails_ends_the_operation() {
    let try_all = |hook: &'static str| -> Vec<bool> {
        let region = region_of(Failing(hook));
        let put = region.put(Put::new("a").cell("f", "q", "v")).is_ok();
        let batch = region.batch(vec![Put::new("b").cell("f", "q", "v").into()])[0].is_ok();
        let written = region.memstore_size() > 0;
        let get = region.get(&Get::new("a")).is_ok();
        let scan = region.view().scan(&Scan::new()).unwrap().all(|row| row.is_ok());
        let (flush, compact) = (region.flush().is_ok(), region.compact(Compaction::Major).is_ok());
        vec![put, batch, written, get, scan, flush, compact]
    };
    let expect = |fails: &[usize]| (0..7).map(|i| !fails.contains(&i)).collect::<Vec<_>>();
    for (hook, fails) in [
        ("none", &[][..]),
        ("pre_get_op", &[3]),
        ("pre_put", &[0, 1, 2]),
        ("pre_batch_mutate", &[0, 1, 2]),
        ("post_put", &[0, 1]),
        ("pre_flush", &[5]),
        ("post_scanner_next", &[4]),
    ] {
        assert_eq!(try_all(hook), expect(fails), "{hook}");
    }
    assert!(!try_all("pre_compact")[6]);
    assert!(open(&FaultyStorage::new(), &[(0, Arc::new(Failing("pre_open")))]).is_err());
}

/// Replaces each scan, and counts the replacements that are alive.
#[derive(Debug, Default)]
struct ScanCounter(Arc<()>);

/// The bytes of a row, with a reference count.
struct CountedRow(#[expect(dead_code, reason = "only its reference count is used")] Arc<()>);

impl AsRef<[u8]> for CountedRow {
    fn as_ref(&self) -> &[u8] {
        b"a"
    }
}

impl RegionObserver for ScanCounter {
    fn pre_scanner_open(&self, _: Context<'_, '_>, scan: &mut Scan) -> Result<()> {
        let row = bytes::Bytes::from_owner(CountedRow(Arc::clone(&self.0)));
        *scan = scan.clone().start_row(row, true);
        Ok(())
    }
}

#[test]
fn a_view_keeps_no_scan_longer_than_its_scanner() {
    let counter = Arc::new(());
    let region = region_of(ScanCounter(Arc::clone(&counter)));
    for row in ["A", "a", "b"] {
        region.put(Put::new(row).cell("f", "q", "v")).unwrap();
    }
    let counted = || Arc::strong_count(&counter) - 2;
    let (view, scan) = (region.view(), Scan::new());
    let mut first = view.scan(&scan).unwrap();
    let with_one = counted();
    assert!(with_one > 0);
    for _ in 0..1000 {
        assert_eq!(view.scan(&scan).unwrap().count(), 2);
    }
    assert_eq!(counted(), with_one);
    assert_eq!(first.next_row().unwrap().unwrap().key(), b"a");
    drop(first);
    assert_eq!(counted(), 0);
    assert_eq!(view.scan(&scan).unwrap().count(), 2);
}

/// Refuses to close its region.
#[derive(Debug)]
struct Open;

impl RegionObserver for Open {
    fn pre_close(&self, _: Context<'_, '_>) -> Result<()> {
        Err(Error::invalid_argument("stays open"))
    }
}

#[test]
fn a_region_that_an_observer_keeps_open_loses_nothing_when_it_is_dropped() {
    let storage = FaultyStorage::new();
    let region = open(&storage, &[(0, Arc::new(Open))]).unwrap();
    region.put(Put::new("r").cell("f", "q", "v")).unwrap();
    assert!(region.close().unwrap_err().to_string().contains("stays open"));
    region.put(Put::new("s").cell("f", "q", "v")).unwrap();
    drop(region);
    let region = open(&storage, &[]).unwrap();
    assert_eq!(region.scan(Scan::new()).unwrap().count(), 2);
}

/// Does something with its region in one hook, and keeps the outcomes. Not while it does so.
struct Acting {
    hook: &'static str,
    act: fn(&Region) -> Result<()>,
    outcomes: Arc<Mutex<Vec<Result<()>>>>,
    is_acting: AtomicBool,
}

impl std::fmt::Debug for Acting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.hook)
    }
}

impl Acting {
    fn at(&self, hook: &str, context: Context<'_, '_>) -> Result<()> {
        if hook == self.hook
            && let Some(region) = context.region()
            && !self.is_acting.swap(true, Ordering::Relaxed)
        {
            let outcome = (self.act)(region);
            self.outcomes.lock().unwrap().push(outcome);
            self.is_acting.store(false, Ordering::Relaxed);
        }
        Ok(())
    }
}

impl RegionObserver for Acting {
    fn pre_put(&self, context: Context<'_, '_>, _: &mut Put) -> Result<()> {
        self.at("pre_put", context)
    }
    fn post_put(&self, context: Context<'_, '_>, _: &Put) -> Result<()> {
        self.at("post_put", context)
    }
    fn pre_batch_mutate(&self, context: Context<'_, '_>, _: &mut MiniBatch<'_>) -> Result<()> {
        self.at("pre_batch_mutate", context)
    }
    fn post_batch_mutate(&self, context: Context<'_, '_>, _: &MiniBatch<'_>) -> Result<()> {
        self.at("post_batch_mutate", context)
    }
    fn pre_check_and_mutate_after_row_lock(
        &self,
        context: Context<'_, '_>,
        _: &CheckAndMutate,
        _: &mut CheckResult,
    ) -> Result<()> {
        self.at("pre_check_and_mutate_after_row_lock", context)
    }
    fn pre_close(&self, context: Context<'_, '_>) -> Result<()> {
        self.at("pre_close", context)
    }
    fn pre_flush(&self, context: Context<'_, '_>) -> Result<()> {
        self.at("pre_flush", context)
    }
    fn post_flush_store(&self, context: Context<'_, '_>, _: &[u8], _: &str) -> Result<()> {
        self.at("post_flush_store", context)
    }
    fn post_compact(&self, context: Context<'_, '_>, _: &[u8], _: &str) -> Result<()> {
        self.at("post_compact", context)
    }
}

/// Runs `test` on a region with an observer that acts in a hook. Returns the outcomes of what it did. Fails
/// if that takes long.
fn acted(
    scheduler: Scheduler,
    hook: &'static str,
    act: fn(&Region) -> Result<()>,
    test: impl FnOnce(&Region) + Send + 'static,
) -> Vec<Result<()>> {
    let outcomes: Arc<Mutex<Vec<Result<()>>>> = Arc::default();
    let observer = Acting { hook, act, outcomes: outcomes.clone(), is_acting: AtomicBool::new(false) };
    let options = Region::options()
        .storage(Arc::new(FaultyStorage::new()))
        .create_if_missing(true)
        .family(Family::new("f"))
        .scheduler(&scheduler)
        .memstore_flush_size(10_000)
        .compaction_enabled(false)
        .observer(0, Arc::new(observer));
    let region = options.open("/regions/r").unwrap();
    let (ended, end) = mpsc::channel();
    thread::spawn(move || {
        test(&region);
        drop(region);
        ended.send(()).unwrap();
    });
    end.recv_timeout(Duration::from_secs(60)).unwrap_or_else(|error| panic!("{hook}: {error}"));
    let outcomes = mem::take(&mut *outcomes.lock().unwrap());
    assert!(!outcomes.is_empty(), "{hook} is called");
    outcomes
}

fn put_row(region: &Region) -> Result<()> {
    region.put(Put::new("row").cell("f", "other", vec![0; 1000]))
}

/// Puts a value if it is not there.
fn put_if_absent(region: &Region) {
    let check = CheckAndMutate::if_not_exists("row", "f", "q");
    assert!(region.check_and_mutate(check.then(Put::new("row").cell("f", "q", "v"))).unwrap().success);
}

#[test]
fn a_hook_after_a_conditional_put_may_write_to_its_row() {
    let outcomes = acted(Scheduler::global(), "post_put", put_row, |region| {
        put_if_absent(region);
        assert_eq!(region.get(&Get::new("row")).unwrap().len(), 2);
    });
    assert!(outcomes[0].is_ok(), "{outcomes:?}");
}

#[test]
fn a_hook_fails_that_would_wait_for_its_own_thread() {
    type Case = (&'static str, fn(&Region) -> Result<()>, fn(&Region));
    let put: fn(&Region) = |region| put_row(region).unwrap();
    let flush: fn(&Region) = |region| {
        put_row(region).unwrap();
        region.flush().unwrap();
    };
    let compact: fn(&Region) = |region| {
        (0..2).for_each(|_| {
            put_row(region).unwrap();
            region.flush().unwrap();
        });
        region.compact(Compaction::Major).unwrap();
    };
    let check_row: fn(&Region) -> Result<()> = |region| {
        let check = CheckAndMutate::if_not_exists("another", "f", "q");
        region.check_and_mutate(check.then(Put::new("another").cell("f", "q", "v"))).map(drop)
    };
    let cases: [Case; 15] = [
        ("pre_batch_mutate", put_row, put),
        ("post_batch_mutate", check_row, put),
        ("pre_put", put_row, put_if_absent),
        ("pre_check_and_mutate_after_row_lock", put_row, put_if_absent),
        ("pre_flush", Region::flush, flush),
        ("post_flush_store", Region::flush, flush),
        ("post_flush_store", |region| region.compact(Compaction::Minor), flush),
        ("post_flush_store", Region::close, flush),
        ("pre_flush", Region::abort, flush),
        ("post_flush_store", Region::abort, flush),
        ("post_compact", Region::abort, compact),
        ("pre_close", Region::abort, |region| region.close().unwrap()),
        ("post_compact", |region| region.compact(Compaction::Major), compact),
        ("post_compact", Region::close, compact),
        ("pre_close", Region::close, |region| region.close().unwrap()),
    ];
    for (hook, act, test) in cases {
        let outcomes = acted(Scheduler::global(), hook, act, test);
        let error = outcomes[0].clone().unwrap_err().to_string();
        assert!(error.contains("an observer"), "{hook}: {error}");
    }
}

#[test]
fn a_write_in_a_hook_of_a_flush_does_not_wait_for_it() {
    // More than that for which other writers wait.
    let put_many: fn(&Region) -> Result<()> = |region| (0..100).try_for_each(|_| put_row(region));
    for scheduler in [Scheduler::global(), Scheduler::inline()] {
        for hook in ["pre_flush", "post_flush_store"] {
            let outcomes = acted(scheduler.clone(), hook, put_many, |region| {
                put_row(region).unwrap();
                region.flush().unwrap();
                assert!(region.health().is_sound(), "{:?}", region.health());
            });
            assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        }
        let outcomes = acted(scheduler, "pre_flush", put_many, |region| {
            (0..200).for_each(|_| put_row(region).unwrap());
            region.flush().unwrap();
        });
        assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    }
}

/// Writes in the first flush, so that a close has a second one, in which it panics.
#[derive(Debug, Default)]
struct PanicsInSecondFlush(AtomicUsize);

impl RegionObserver for PanicsInSecondFlush {
    fn pre_flush(&self, _: Context<'_, '_>) -> Result<()> {
        assert_ne!(self.0.fetch_add(1, Ordering::SeqCst), 1, "a panic that the region survives");
        Ok(())
    }
    fn post_flush(&self, context: Context<'_, '_>) -> Result<()> {
        match context.region() {
            Some(region) if self.0.load(Ordering::SeqCst) == 1 => put_row(region),
            _ => Ok(()),
        }
    }
}

#[test]
fn a_region_whose_close_panics_is_open() {
    let storage = Arc::new(FaultyStorage::new());
    let options = || {
        let options = Region::options().storage(storage.clone()).create_if_missing(true);
        options.family(Family::new("f")).compaction_enabled(false)
    };
    let observer = Arc::new(PanicsInSecondFlush::default());
    let region = options().observer(0, observer).open("/regions/r").unwrap();
    region.put(Put::new("a").cell("f", "q", "v")).unwrap();
    assert!(catch_unwind(AssertUnwindSafe(|| region.close())).is_err());
    region.put(Put::new("b").cell("f", "q", "v")).unwrap();
    region.close().unwrap();
    let region = options().open("/regions/r").unwrap();
    for row in ["a", "b", "row"] {
        assert!(region.exists(&Get::new(row)).unwrap(), "{row}");
    }
}

/// Calls a function in one hook of the first flush of each region.
struct AtFirstFlush<F> {
    hook: &'static str,
    call: F,
    /// The start keys of the regions.
    flushed: Mutex<Vec<Vec<u8>>>,
}

impl<F> std::fmt::Debug for AtFirstFlush<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AtFirstFlush")
    }
}

impl<F: Fn(&Region) + Send + Sync> AtFirstFlush<F> {
    fn at(&self, hook: &str, context: Context<'_, '_>) -> Result<()> {
        if let Some(region) = context.region().filter(|_| hook == self.hook) {
            let key = region.info().start_key().to_vec();
            let mut flushed = self.flushed.lock().unwrap();
            if !flushed.contains(&key) {
                flushed.push(key);
                drop(flushed);
                (self.call)(region);
            }
        }
        Ok(())
    }
}

impl<F: Fn(&Region) + Send + Sync> RegionObserver for AtFirstFlush<F> {
    fn pre_flush(&self, context: Context<'_, '_>) -> Result<()> {
        self.at("pre_flush", context)
    }
    fn post_flush(&self, context: Context<'_, '_>) -> Result<()> {
        self.at("post_flush", context)
    }
}

fn at_first_flush(
    hook: &'static str,
    call: impl Fn(&Region) + Send + Sync + 'static,
) -> Arc<dyn RegionObserver> {
    Arc::new(AtFirstFlush { hook, call, flushed: Mutex::default() })
}

/// Waits for the end of threads, but not for long.
fn join(what: &str, threads: Vec<thread::JoinHandle<()>>) {
    let (ended, end) = mpsc::channel();
    let count = threads.len();
    for running in threads {
        let ended = ended.clone();
        thread::spawn(move || ended.send(running.join().is_ok()).unwrap());
    }
    for _ in 0..count {
        let is_ok = end.recv_timeout(Duration::from_secs(60));
        assert!(is_ok.unwrap_or_else(|error| panic!("{what}: {error}")), "{what}");
    }
}

#[test]
fn writes_in_hooks_of_flushes_flush_no_other_region_that_may_do_the_same() {
    let both = Barrier::new(2);
    let observer = at_first_flush("post_flush", move |region| {
        both.wait();
        for i in 0..20 {
            let row = [region.info().start_key(), format!("{i}").as_bytes()].concat();
            region.put(Put::new(row).cell("f", "q", vec![0; 1000])).unwrap();
        }
    });
    let options = Region::options()
        .storage(Arc::new(FaultyStorage::new()))
        .scheduler(&Scheduler::inline())
        .compaction_enabled(false)
        .log_roll_size(1000)
        .max_logs(1)
        .observer(0, observer);
    let table = Table::create_with("/root", "t", &[Family::new("f")], &["m"], options).unwrap();
    ["a", "z"].into_iter().for_each(|row| table.put(Put::new(row).cell("f", "q", "v")).unwrap());
    let flush = |row: &'static str| {
        let region = table.region(row).unwrap();
        thread::spawn(move || region.flush().unwrap())
    };
    join("flushes", vec![flush("a"), flush("z")]);
    assert_eq!(table.scan(Scan::new()).unwrap().count(), 42);
    let memory = || ["a", "z"].map(|row| table.region(row).unwrap().memstore_size());
    assert!(memory().iter().all(|bytes| *bytes > 20_000), "{:?}", memory());
    // The next write flushes what the hooks have not.
    table.put(Put::new("a").cell("f", "q", "v")).unwrap();
    assert!(memory().iter().all(|bytes| *bytes < 1000), "{:?}", memory());
}

#[test]
fn a_region_that_is_dropped_while_another_flushes_it_for_room_loses_nothing() {
    let (storage, limit) = (FaultyStorage::new(), MemoryLimit::new(100_000));
    let (begun, begin) = mpsc::channel();
    let (dropped, drop_it) = mpsc::channel();
    let drop_it = Mutex::new(drop_it);
    let observer = at_first_flush("pre_flush", move |_| {
        begun.send(()).unwrap();
        drop_it.lock().unwrap().recv().unwrap();
    });
    let options = Region::options()
        .storage(Arc::new(storage))
        .create_if_missing(true)
        .family(Family::new("f"))
        .scheduler(&Scheduler::inline())
        .memory_limit(&limit);
    let region = options.clone().observer(0, observer).open("/regions/b").unwrap();
    let other = options.clone().open("/regions/a").unwrap();
    region.put(Put::new("r").cell("f", "q", vec![0; 200_000]).durability(Durability::SkipWal)).unwrap();
    let writing = thread::spawn(move || other.put(Put::new("r").cell("f", "q", "v")).unwrap());
    begin.recv_timeout(Duration::from_secs(60)).unwrap();
    drop(region);
    dropped.send(()).unwrap();
    join("put", vec![writing]);
    let region = options.open("/regions/b").unwrap();
    assert_eq!(region.get(&Get::new("r")).unwrap().len(), 1);
    assert_eq!(region.store_file_count("f"), Some(1));
}

/// Mutations of the rows `a` to `c`, some of which are invalid.
fn mutations() -> impl Strategy<Value = Mutation> {
    let family = prop_oneof![5 => Just("f"), 3 => Just("g"), 1 => Just("unknown")];
    let timestamp = prop_oneof![3 => Just(None), 2 => (0..5i64).prop_map(Some), 1 => Just(Some(-1))];
    let cell = (family, "[pq]", timestamp, "[xy]{0,8}");
    let ttl = proptest::option::weighted(0.2, 1..100_000u64);
    let kind = 0..7usize;
    (kind, "[a-c]?", proptest::collection::vec(cell, 0..3), ttl).prop_map(|(kind, row, cells, ttl)| {
        let ttl = ttl.map(Duration::from_millis);
        match kind {
            0..3 => {
                let put = ttl.into_iter().fold(Put::new(row), Put::ttl);
                Mutation::from(cells.into_iter().fold(put, |put, (family, qualifier, timestamp, value)| {
                    match timestamp {
                        Some(timestamp) => put.cell_at(family, qualifier, timestamp, value),
                        None => put.cell(family, qualifier, value),
                    }
                }))
            }
            3 | 4 => Mutation::from(cells.into_iter().fold(
                Delete::new(row),
                |delete, (family, qualifier, timestamp, value)| match (timestamp, value.len()) {
                    (Some(timestamp), 0..4) => delete.version_at(family, qualifier, timestamp),
                    (None, 0..4) => delete.version(family, qualifier),
                    (_, 4..7) => delete.column(family, qualifier),
                    _ => delete.family(family),
                },
            )),
            5 => Mutation::from(cells.into_iter().fold(
                Increment::new(row),
                |increment, (family, qualifier, _, value)| {
                    increment.column(family, qualifier, i64::try_from(value.len()).unwrap())
                },
            )),
            _ => Mutation::from(
                cells.into_iter().fold(Append::new(row), |append, (family, qualifier, _, value)| {
                    append.column(family, qualifier, value)
                }),
            ),
        }
    })
}

/// Writes mutations in the way that `way` says, and returns the answers or errors.
fn write(region: &Region, way: usize, mutations: &[Mutation]) -> String {
    let row = |mutation: &Mutation| mutation.row().to_vec();
    match (way, mutations) {
        (0, [first, ..]) => format!("{:?}", region.mutate_row(row(first), mutations.to_vec())),
        (1, [first, ..]) => {
            let check = CheckAndMutate::if_not_exists(row(first), "f", "p");
            let check = mutations.iter().cloned().fold(check, CheckAndMutate::then);
            format!("{:?}", region.check_and_mutate(check))
        }
        (2, _) => format!("{:?}", region.batch(mutations.to_vec())),
        _ => mutations
            .iter()
            .map(|mutation| match mutation.clone() {
                Mutation::Put(put) => format!("{:?}", region.put(put)),
                Mutation::Delete(delete) => format!("{:?}", region.delete(delete)),
                Mutation::Increment(increment) => format!("{:?}", region.increment(increment)),
                Mutation::Append(append) => format!("{:?}", region.append(append)),
                other => unreachable!("{other:?}"),
            })
            .collect(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn observers_that_do_nothing_change_no_write(
        steps in proptest::collection::vec((0..5usize, proptest::collection::vec(mutations(), 0..4)), 1..12),
    ) {
        let observed = region_of(Recorder("", Log::default()));
        let region = open(&FaultyStorage::new(), &[]).unwrap();
        for (way, mutations) in &steps {
            let (found, expected) = (write(&region, *way, mutations), write(&observed, *way, mutations));
            prop_assert_eq!(found, expected, "{} {:?}", way, mutations);
        }
        let all = |region: &Region| {
            let rows = region.scan(Scan::new().raw(true).max_versions(u32::MAX)).unwrap();
            rows.map(Result::unwrap).collect::<Vec<_>>()
        };
        prop_assert_eq!(all(&region), all(&observed));
    }
}
