//! Hooks that use their own region, or during which other threads must wait.

use super::Context;
use crate::support::in_time::within_a_minute;
use hregion::io::faulty::FaultyStorage;
use hregion::region::{CheckResult, MiniBatch};
use hregion::{
    CheckAndMutate, Compaction, Durability, Family, Get, MemoryLimit, Put, Region, RegionObserver, Result,
    Scan, Scheduler, Table,
};
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::thread;
use std::time::Duration;

/// Calls a function on its region in one hook, not recursively, and keeps the results.
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

/// Runs `test` on a region with an observer that acts in a hook. Returns the results of its actions. Fails
/// after a time limit.
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
    within_a_minute(hook, move || {
        test(&region);
        drop(region);
    });
    let outcomes = mem::take(&mut *outcomes.lock().unwrap());
    assert!(!outcomes.is_empty(), "{hook} is called");
    outcomes
}

fn put_row(region: &Region) -> Result<()> {
    region.put(Put::new("row").cell("f", "other", vec![0; 1000]))
}

/// Puts a value if the column has none.
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
    // More data than the size at which writers must wait.
    let put_many: fn(&Region) -> Result<()> = |region| (0..100).try_for_each(|_| put_row(region));
    for scheduler in [Scheduler::global(), Scheduler::inline()] {
        for hook in ["pre_flush", "post_flush_store"] {
            let outcomes = acted(scheduler.clone(), hook, put_many, |region| {
                put_row(region).unwrap();
                region.flush().unwrap();
                assert!(region.health().is_healthy(), "{:?}", region.health());
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
    let flushes = [flush("a"), flush("z")];
    within_a_minute("flushes", || flushes.into_iter().for_each(|flush| flush.join().unwrap()));
    assert_eq!(table.scan(Scan::new()).unwrap().count(), 42);
    let memory = || ["a", "z"].map(|row| table.region(row).unwrap().memstore_size());
    assert!(memory().iter().all(|bytes| *bytes > 20_000), "{:?}", memory());
    // The next write flushes the data that the hooks have not flushed.
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
    within_a_minute("put", || writing.join().unwrap());
    let region = options.open("/regions/b").unwrap();
    assert_eq!(region.get(&Get::new("r")).unwrap().len(), 1);
    assert_eq!(region.store_file_count("f"), Some(1));
}
