//! Observers that use the table of their region: the calls that a hook may make, and that none of them waits
//! for its own thread, or for a thread that waits for it.

use crate::support::in_time::within_a_minute;
use crate::support::written::{job_origin, write_store_file};
use hregion::io::faulty::FaultyStorage;
use hregion::region::{CompactionFilter, MiniBatch, ObserverContext};
use hregion::{
    Append, CellType, CheckAndMutate, Compaction, Delete, Family, Get, HFileWriter, Put, Region,
    RegionObserver, RegionOptions, Result, RowBuf, Scan, Scheduler, SeekKey, Table,
};
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

type Context<'c, 'd> = &'c mut ObserverContext<'d>;

const ROOT: &str = "hbase";

/// A named action in a hook.
type Act = Arc<dyn Fn(&Table) -> Result<()> + Send + Sync>;

/// Runs an action with the table in one hook, once.
#[derive(Default)]
struct Hooks {
    hook: &'static str,
    /// Taken when the action runs.
    act: Mutex<Option<Act>>,
    table: Mutex<Option<Table>>,
    outcomes: Mutex<Vec<Result<()>>>,
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hook)
    }
}

impl Hooks {
    fn at(&self, hook: &str) -> Result<()> {
        if hook != self.hook {
            return Ok(());
        }
        let (act, table) = (self.act.lock().unwrap().take(), self.table.lock().unwrap().clone());
        if let (Some(act), Some(table)) = (act, table) {
            let outcome = act(&table);
            self.outcomes.lock().unwrap().push(outcome);
        }
        Ok(())
    }
}

impl RegionObserver for Hooks {
    fn pre_open(&self, _: Context<'_, '_>) -> Result<()> {
        self.at("pre_open")
    }
    fn post_open(&self, _: Context<'_, '_>) -> Result<()> {
        self.at("post_open")
    }
    fn pre_close(&self, _: Context<'_, '_>) -> Result<()> {
        self.at("pre_close")
    }
    fn post_close(&self, _: Context<'_, '_>) -> Result<()> {
        self.at("post_close")
    }
    fn pre_get_op(&self, _: Context<'_, '_>, _: &Get, _: &mut RowBuf) -> Result<()> {
        self.at("pre_get_op")
    }
    fn post_put(&self, _: Context<'_, '_>, _: &Put) -> Result<()> {
        self.at("post_put")
    }
    fn pre_batch_mutate(&self, _: Context<'_, '_>, _: &mut MiniBatch<'_>) -> Result<()> {
        self.at("pre_batch_mutate")
    }
    fn pre_flush(&self, _: Context<'_, '_>) -> Result<()> {
        self.at("pre_flush")
    }
    fn pre_flush_store(&self, _: Context<'_, '_>, _: &[u8]) -> Result<Option<Box<dyn CompactionFilter>>> {
        self.at("pre_flush_store").map(|()| None)
    }
    fn post_compact(&self, _: Context<'_, '_>, _: &[u8], _: &str) -> Result<()> {
        self.at("post_compact")
    }
    fn pre_bulk_load_hfile(&self, _: Context<'_, '_>, _: &[(Vec<u8>, PathBuf)]) -> Result<()> {
        self.at("pre_bulk_load_hfile")
    }
}

/// A table of two regions, separated at `m`, with an observer.
struct Observed {
    storage: FaultyStorage,
    hooks: Arc<Hooks>,
    table: Table,
}

impl Drop for Observed {
    fn drop(&mut self) {
        // Breaks the cycle: the observer owns the table, which owns the observer.
        self.hooks.table.lock().unwrap().take();
    }
}

impl Observed {
    fn new(hook: &'static str) -> Self {
        let (storage, hooks) = (FaultyStorage::new(), Arc::new(Hooks { hook, ..Hooks::default() }));
        let families = [Family::new("f"), Family::new("g")];
        let table =
            Table::create_with(ROOT, "t", &families, &["m"], Self::options(&storage, &hooks)).unwrap();
        *hooks.table.lock().unwrap() = Some(table.clone());
        Self { storage, hooks, table }
    }

    fn options(storage: &FaultyStorage, hooks: &Arc<Hooks>) -> RegionOptions {
        Region::options()
            .storage(Arc::new(storage.clone()))
            .scheduler(&Scheduler::inline())
            .compaction_enabled(false)
            .observer(0, Arc::clone(hooks) as Arc<dyn RegionObserver>)
            .writable(true)
    }

    /// Opens the table again, without flushing it.
    fn reopen(&mut self) {
        for row in ["a", "z"] {
            self.table.region(row).unwrap().abort().unwrap();
        }
        self.table = Table::open_with(ROOT, "t", Self::options(&self.storage, &self.hooks)).unwrap();
        *self.hooks.table.lock().unwrap() = Some(self.table.clone());
    }

    /// Sets the action for the next call of the hook.
    fn act(&self, act: impl Fn(&Table) -> Result<()> + Send + Sync + 'static) {
        *self.hooks.act.lock().unwrap() = Some(Arc::new(act));
    }

    /// Returns the result of the action.
    fn outcome(&self) -> Result<()> {
        let hook = self.hooks.hook;
        self.hooks.outcomes.lock().unwrap().pop().unwrap_or_else(|| panic!("{hook} was not called"))
    }

    fn rows(&self) -> BTreeSet<String> {
        let rows = self.table.scan(Scan::new()).unwrap();
        rows.map(|row| String::from_utf8(row.unwrap().key().to_vec()).unwrap()).collect()
    }
}

fn put(table: &Table, row: &str) -> Result<()> {
    table.put(Put::new(row.to_owned()).cell("f", "q", "v"))
}

/// Calls `first`, and `second` while `first` is in the hook, which continues with `act` shortly after.
fn while_in_hook(
    observed: Observed,
    act: fn(&Table) -> Result<()>,
    first: fn(&Table) -> Result<()>,
    second: fn(&Table) -> Result<()>,
) -> Observed {
    let (begun, begin) = mpsc::channel();
    observed.act(move |table| {
        begun.send(()).unwrap();
        thread::sleep(Duration::from_millis(300));
        act(table)
    });
    let table = observed.table.clone();
    let first = thread::spawn(move || first(&table));
    begin.recv().unwrap();
    second(&observed.table).unwrap();
    first.join().unwrap().unwrap();
    observed
}

#[test]
fn a_put_in_a_hook_of_a_put_does_not_wait_for_a_split_that_waits_for_the_put() {
    within_a_minute("split", || {
        let observed = while_in_hook(
            Observed::new("post_put"),
            |table| put(table, "index"),
            |table| put(table, "a"),
            |table| table.split("c").map(drop),
        );
        observed.outcome().unwrap();
        assert_eq!(observed.rows(), ["a", "index"].map(String::from).into());
        assert_eq!(observed.table.regions().len(), 3);
    });
}

#[test]
fn a_put_in_a_hook_of_a_put_does_not_wait_for_a_merge_that_waits_for_the_put() {
    let merge: fn(&Table) -> Result<()> = |table| {
        let regions = table.regions();
        table.merge(&regions[0], &regions[1]).map(drop)
    };
    for (row, other) in [("a", "z"), ("z", "a")] {
        within_a_minute("merge", move || {
            let observed = Observed::new("post_put");
            let puts: [fn(&Table) -> Result<()>; 2] = [|table| put(table, "a"), |table| put(table, "z")];
            let [first, act] = if row == "a" { puts } else { [puts[1], puts[0]] };
            let observed = while_in_hook(observed, act, first, merge);
            observed.outcome().unwrap();
            assert_eq!(observed.rows(), [row, other].map(String::from).into());
            assert_eq!(observed.table.regions().len(), 1);
        });
    }
}

/// A call in a hook, with its name.
type Call = (&'static str, fn(&Table) -> Result<()>);

const READS: [Call; 3] = [
    ("get", |table| {
        table.get(&Get::new("a"))?;
        table.get(&Get::new("z")).map(drop)
    }),
    ("scan", |table| table.scan(Scan::new())?.try_for_each(|row| row.map(drop))),
    ("view", |table| table.view().get_many(&[Get::new("a"), Get::new("z")]).map(drop)),
];

const WRITES: [Call; 7] = [
    ("put", |table| put(table, "b")),
    ("put elsewhere", |table| put(table, "y")),
    ("delete", |table| table.delete(Delete::new("none"))),
    ("append", |table| table.append(Append::new("b").column("f", "q", "v")).map(drop)),
    ("check", |table| {
        let check = CheckAndMutate::if_not_exists("b", "f", "q");
        table.check_and_mutate(check.then(Put::new("b").cell("f", "q", "v"))).map(drop)
    }),
    ("batch", |table| {
        let puts = ["a", "b", "z"].map(|row| Put::new(row).cell("f", "q", "v").into());
        table.batch(puts.into()).into_iter().collect()
    }),
    ("flush", Table::flush),
];

const CHANGES: [Call; 7] = [
    ("split", |table| table.split("c").map(drop)),
    ("merge", |table| {
        let regions = table.regions();
        table.merge(&regions[0], &regions[1]).map(drop)
    }),
    ("snapshot", |table| table.snapshot("s").map(drop)),
    ("compact", |table| table.compact(Compaction::Major)),
    ("archive_parents", |table| table.archive_parents().map(drop)),
    ("bulk_load", |table| table.bulk_load("/none").map(drop)),
    ("close", Table::close),
];

/// An operation that calls the hook.
type Cause = fn(&Table) -> Result<()>;

/// Makes each of `calls` in a hook. Returns the names of the successful ones; the others must fail as calls
/// of an observer, and `cause` must succeed nevertheless.
fn allowed(hook: &'static str, cause: Cause, calls: &[Call]) -> Vec<&'static str> {
    let mut worked = Vec::new();
    for &(name, call) in calls {
        let (tell, told) = mpsc::channel();
        within_a_minute(&format!("{name} in {hook}"), move || {
            let mut observed = Observed::new(hook);
            ["a", "z"].into_iter().for_each(|row| put(&observed.table, row).unwrap());
            if hook.ends_with("open") {
                observed.reopen();
            }
            observed.act(call);
            let caused = cause(&observed.table);
            let outcome = observed.outcome();
            // The hook has closed it.
            if name != "close" || outcome.is_err() {
                caused.unwrap_or_else(|error| panic!("{name} in {hook}: {error}"));
                put(&observed.table, "later").unwrap();
                assert!(observed.rows().contains("later"));
            }
            tell.send(outcome).unwrap();
        });
        match told.recv().unwrap() {
            Ok(()) => worked.push(name),
            Err(error) => {
                let error = error.to_string();
                assert!(error.contains("an observer cannot"), "{name} in {hook}: {error}");
            }
        }
    }
    worked
}

fn names(calls: &[Call]) -> Vec<&'static str> {
    calls.iter().map(|(name, _)| *name).collect()
}

/// All calls.
fn calls() -> Vec<Call> {
    [&READS[..], &WRITES, &CHANGES].concat()
}

#[test]
fn a_hook_of_a_put_may_read_and_write_the_table() {
    let worked = allowed("post_put", |table| put(table, "a"), &calls());
    assert_eq!(worked, [names(&READS), names(&WRITES)].concat());
    let worked = allowed("pre_batch_mutate", |table| put(table, "a"), &calls());
    assert_eq!(worked, names(&READS));
}

#[test]
fn a_hook_of_a_get_may_do_anything_with_the_table() {
    let mut calls = calls();
    calls.retain(|(name, _)| *name != "bulk_load"); // there are no files to load
    let worked = allowed("pre_get_op", |table| table.get(&Get::new("a")).map(drop), &calls);
    assert_eq!(worked, names(&calls));
}

#[test]
fn a_hook_of_a_flush_compaction_or_close_may_only_read_the_table() {
    let split: Cause = |table| table.split("g").map(drop);
    let compact: Cause = |table| {
        table.flush()?;
        put(table, "a")?;
        table.flush()?;
        table.compact(Compaction::Major)
    };
    for (hook, cause) in [
        ("pre_flush", Table::flush as Cause),
        ("pre_flush_store", split),
        ("post_compact", compact),
        ("pre_close", split),
        ("post_close", split),
    ] {
        assert_eq!(allowed(hook, cause, &calls()), names(&READS), "{hook}");
    }
}

/// The region no longer accepts writes when the hook is called.
#[test]
fn a_region_is_opened_again_after_a_split_that_has_panicked() {
    let observed = Observed::new("post_close");
    observed.act(|_| panic!("a panic that the table survives"));
    put(&observed.table, "a").unwrap();
    let split = || observed.table.split("c");
    assert!(catch_unwind(AssertUnwindSafe(split)).is_err());
    put(&observed.table, "b").unwrap();
    split().unwrap();
    put(&observed.table, "d").unwrap();
    assert_eq!(observed.rows(), BTreeSet::from(["a", "b", "d"].map(String::from)));
    assert_eq!(observed.table.regions().len(), 3);
}

#[test]
fn a_hook_of_an_open_opens_no_region() {
    for hook in ["pre_open", "post_open"] {
        let worked = allowed(hook, |table| table.get(&Get::new("a")).map(drop), &calls());
        assert!(worked.is_empty(), "{hook}: {worked:?}");
    }
    // Also on the threads of the flush after a replay.
    for hook in ["pre_flush", "pre_flush_store"] {
        within_a_minute(hook, move || {
            let mut observed = Observed::new(hook);
            for family in ["f", "g"] {
                let many = (0..10_001).fold(Put::new("a"), |put, i| put.cell(family, format!("{i}"), "v"));
                observed.table.put(many).unwrap();
            }
            observed.reopen();
            observed.act(READS[0].1);
            assert_eq!(observed.table.get(&Get::new("a")).unwrap().len(), 20_002);
            let error = observed.outcome().unwrap_err().to_string();
            assert!(error.contains("an observer cannot open"), "{error}");
        });
    }
}

#[test]
fn a_hook_of_a_table_that_loads_files_may_write_to_it() {
    let load: Cause = |table| table.bulk_load("/loads").map(drop);
    let calls = calls();
    let mut worked = Vec::new();
    for (name, call) in calls {
        let (tell, told) = mpsc::channel();
        within_a_minute(name, move || {
            let observed = Observed::new("pre_bulk_load_hfile");
            write_file(&observed.storage, "/loads/f/one");
            observed.act(call);
            load(&observed.table).unwrap();
            assert!(observed.rows().contains("loaded"));
            tell.send(observed.outcome()).unwrap();
        });
        match told.recv().unwrap() {
            Ok(()) => worked.push(name),
            Err(error) => assert!(error.to_string().contains("an observer cannot"), "{name}: {error}"),
        }
    }
    assert_eq!(worked, [names(&READS), names(&WRITES)].concat());
}

/// Hides the cells of one column.
#[derive(Debug)]
struct Hider;

impl RegionObserver for Hider {
    fn post_scanner_next(&self, _: Context<'_, '_>, _: &Scan, results: &mut RowBuf) -> Result<()> {
        results.retain(|cell| cell.qualifier() != b"hidden");
        Ok(())
    }
}

/// A region that returned fewer rows than the limit was considered finished, and its other rows were skipped.
#[test]
fn rows_that_an_observer_hides_do_not_count_towards_the_limit_of_a_scan() {
    let options = Region::options()
        .storage(Arc::new(FaultyStorage::new()))
        .scheduler(&Scheduler::inline())
        .compaction_enabled(false)
        .observer(0, Arc::new(Hider))
        .writable(true);
    let table = Table::create_with(ROOT, "t", &[Family::new("f")], &["m"], options).unwrap();
    let puts = [("a", "hidden"), ("b", "hidden"), ("b", "q"), ("c", "q"), ("d", "q"), ("e", "q"), ("n", "q")];
    for (row, column) in puts {
        table.put(Put::new(row).cell("f", column, "v")).unwrap();
    }
    for (limit, expected) in [(1, "b"), (2, "b c"), (3, "b c d"), (4, "b c d e"), (5, "b c d e n")] {
        for batch in [0, 1] {
            let rows = table.scan(Scan::new().limit(limit).batch(batch)).unwrap();
            let rows: Vec<_> =
                rows.map(|row| String::from_utf8(row.unwrap().key().to_vec()).unwrap()).collect();
            assert_eq!(rows.join(" "), expected, "batch {batch}");
        }
    }
}

fn write_file(storage: &FaultyStorage, path: &str) {
    let options = HFileWriter::options().storage(Arc::new(storage.clone()));
    let key = SeekKey::of(b"loaded", b"f", b"q", 5, CellType::Put);
    write_store_file(options, path, [(key, b"v")], &job_origin(5));
}

/// Leaves only the oldest reference to a file of a parent.
#[derive(Debug)]
struct OldestReference;

impl RegionObserver for OldestReference {
    fn pre_compact_selection(
        &self,
        context: Context<'_, '_>,
        _: &[u8],
        files: &mut Vec<String>,
    ) -> Result<()> {
        context.bypass();
        files.retain(|name| name.contains('.'));
        files.truncate(1);
        Ok(())
    }
}

/// It would keep the parent.
#[test]
fn one_reference_that_remains_after_a_bypass_is_compacted() {
    let options = Region::options()
        .storage(Arc::new(FaultyStorage::new()))
        .scheduler(&Scheduler::inline())
        .compaction_enabled(false)
        .observer(0, Arc::new(OldestReference))
        .writable(true);
    let table = Table::create_with(ROOT, "t", &[Family::new("f")], &[""; 0], options).unwrap();
    for _ in 0..2 {
        ["a", "z"].into_iter().for_each(|row| put(&table, row).unwrap());
        table.flush().unwrap();
    }
    table.split("m").unwrap();
    for row in ["a", "z"] {
        let region = table.region(row).unwrap();
        for left in [1, 0, 0] {
            region.compact_family("f", Compaction::Minor).unwrap();
            let names = region.store_file_names("f").unwrap();
            let references = names.iter().filter(|name| name.contains('.')).count();
            assert_eq!((names.len(), references), (2, left), "{names:?}");
        }
    }
    assert_eq!(table.archive_parents().unwrap().len(), 1);
}
