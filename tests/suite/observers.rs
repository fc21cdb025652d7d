//! Observers: when each hook is called (read-path.md §18), what it may change, and what it may prevent.

mod changes;
mod failures;
mod random;
mod reentry;
mod work;

use crate::support::written::{job_origin, write_store_file};
use hregion::io::faulty::FaultyStorage;
use hregion::region::{CheckResult, CompactionFilter, MiniBatch, ObserverContext, ScanOptions};
use hregion::{
    Append, CellType, CheckAndMutate, Compaction, Comparator, Compare, Delete, Family, Filter, Get,
    HFileWriter, Increment, ManualClock, Put, Region, RegionObserver, Result, RowBuf, Scan, SeekKey,
};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

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
    let key = SeekKey::of(b"z", b"f", b"q", 5, CellType::Put);
    write_store_file(options, &path, [(key, b"loaded")], &job_origin(5));
    path
}

#[test]
fn every_hook_is_called_when_it_is_to_be() {
    let (storage, log) = (FaultyStorage::new(), Log::default());
    let recorder = Arc::new(Recorder("", log.clone()));
    let region = open(&storage, &[(0, recorder.clone())]).unwrap();
    let called = || log.lock().unwrap().drain(..).collect::<Vec<_>>().join(", ");
    let batch = |before: &str, after: &str| {
        format!("{before}preBatchMutate 1, postBatchMutate, {after}postBatchMutateIndispensably true")
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
