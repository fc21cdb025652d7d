//! Observers that change the effect or the result of an operation, or that skip it.

use super::{Context, Log, Recorder, open, region_of, text};
use hregion::io::faulty::FaultyStorage;
use hregion::region::{CheckResult, CompactionFilter, MiniBatch, ScanOptions};
use hregion::{
    Append, CellRef, CellType, CheckAndMutate, Clock, Compaction, Delete, Error, Family, Filter, Get,
    Increment, ManualClock, Mutation, Put, Region, RegionObserver, Result, RowBuf, Scan, SeekKey,
};
use std::sync::Arc;
use std::time::Duration;

/// Bypasses every hook that allows it, and answers with one cell.
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

/// Removes the second candidate.
#[derive(Debug)]
struct Skipper;

impl RegionObserver for Skipper {
    fn pre_compact_selection(
        &self,
        context: Context<'_, '_>,
        _: &[u8],
        files: &mut Vec<String>,
    ) -> Result<()> {
        context.bypass();
        files.remove(1);
        Ok(())
    }
}

/// The new file would be newer than the one between.
#[test]
fn files_with_a_removed_candidate_between_them_are_not_compacted_into_one() {
    let region = region_of(Skipper);
    for row in ["a", "b", "c", "d"] {
        region.put(Put::new(row).cell("f", "q", "v")).unwrap();
        region.flush().unwrap();
    }
    let names = region.store_file_names("f").unwrap();
    region.compact_family("f", Compaction::Minor).unwrap();
    let left = region.store_file_names("f").unwrap();
    assert_eq!((names.len(), left.len(), &left[..2]), (4, 3, &names[..2]));
    // of those that remain, no two are neighbours, and none is written again
    region.compact_family("f", Compaction::Minor).unwrap();
    assert_eq!(region.store_file_names("f").unwrap(), left);
}

/// Leaves only the oldest candidate.
#[derive(Debug)]
struct Oldest;

impl RegionObserver for Oldest {
    fn pre_compact_selection(
        &self,
        context: Context<'_, '_>,
        _: &[u8],
        files: &mut Vec<String>,
    ) -> Result<()> {
        context.bypass();
        files.truncate(1);
        Ok(())
    }
}

/// In the background, it would be written again and again.
#[test]
fn one_of_several_files_that_remains_after_a_bypass_is_not_compacted() {
    let region = region_of(Oldest);
    for row in ["a", "b", "c"] {
        region.put(Put::new(row).cell("f", "q", "v")).unwrap();
        region.flush().unwrap();
    }
    let names = region.store_file_names("f").unwrap();
    region.compact_family("f", Compaction::Minor).unwrap();
    assert_eq!((names.len(), region.store_file_names("f").unwrap()), (3, names));
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
    // two versions are stored, but the observer limits reads to one; its changes to cells are applied
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
        let found: Vec<_> = view.scan(&scan).unwrap().map(Result::unwrap).collect();
        assert!(!found.is_empty() && found.iter().all(|row| row.value("f", "secret").is_none()));
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

/// Hides the cells of one column. With each result, 10 ms pass.
#[derive(Debug)]
struct SlowHider(Arc<ManualClock>);

impl RegionObserver for SlowHider {
    fn post_scanner_next(&self, _: Context<'_, '_>, _: &Scan, results: &mut RowBuf) -> Result<()> {
        results.retain(|cell| cell.qualifier() != b"hidden");
        self.0.set(self.0.now() + 10);
        Ok(())
    }
}

/// After a hidden row that reached the limit on size, a row that the filter drops ended the scan.
#[test]
fn rows_that_an_observer_hides_take_time_of_a_call_but_no_bytes() {
    let clock = Arc::new(ManualClock::new(1000));
    let options = Region::options()
        .storage(Arc::new(FaultyStorage::new()))
        .clock(clock.clone())
        .create_if_missing(true)
        .family(Family::new("f"))
        .observer(0, Arc::new(SlowHider(clock)));
    let region = options.open("/regions/r").unwrap();
    for (row, column) in [("a", "hidden"), ("b", "x"), ("c", "hidden"), ("d", "q")] {
        region.put(Put::new(row).cell("f", column, "v")).unwrap();
    }
    let view = region.view();
    let not_b = Filter::parse("SingleColumnValueFilter('f', 'x', !=, 'binary:v')").unwrap();
    let scan = Scan::new().filter(not_b).max_result_size(1);
    let rows: Vec<_> = view.scan(&scan).unwrap().map(|row| text(row.unwrap().key())).collect();
    assert_eq!(rows, ["d"]);

    let scan = Scan::new().time_limit(Duration::from_millis(10));
    let (mut scanner, mut calls) = (view.scan(&scan).unwrap(), Vec::new());
    while scanner.may_have_more() {
        let call = scanner.next_results(None).unwrap();
        let rows: Vec<_> = call.results.iter().map(|result| text(result.row.key())).collect();
        calls.push((rows.join(" "), call.heartbeat));
    }
    let expected = [("", true), ("b", true), ("", true), ("d", false)];
    assert_eq!(calls, expected.map(|(row, heartbeat)| (row.to_owned(), heartbeat)));
}

/// Writes to a row other than the requested one.
#[derive(Debug)]
struct Redirect;

impl RegionObserver for Redirect {
    fn pre_put(&self, _: Context<'_, '_>, put: &mut Put) -> Result<()> {
        *put = Put::new("other").cell("f", "q", "v");
        Ok(())
    }
}

/// Only the row of the condition is locked: a concurrent increment of the other row could be lost.
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
