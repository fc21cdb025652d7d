//! Lookups in progress, shared by concurrent callers (locator.md §11.3).

use super::{LocateType, RegionLocations};
use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::schema::TableName;
use crate::sync::{Condvar, Mutex, MutexGuard, unpoisoned};
use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// The lookups in progress: callers with the same request share one, and at most [`MAX_PER_TABLE`] run per
/// table. Further callers wait, and return as soon as the cache has their result.
#[derive(Debug)]
pub(super) struct Singleflight {
    state: Mutex<State>,
    /// Notified when a lookup ends.
    completed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lookups: HashMap<LookupKey, Arc<Lookup>>,
    /// The number of running lookups by table.
    running: HashMap<TableName, usize>,
}

/// The request of a lookup.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct LookupKey {
    pub(super) table: TableName,
    pub(super) row: Vec<u8>,
    pub(super) position: LocateType,
    /// The replica that must have a server.
    pub(super) replica_id: u16,
}

/// A lookup in progress.
#[derive(Debug)]
struct Lookup {
    deadline: Deadline,
    /// Set when it has ended.
    result: OnceLock<Result<RegionLocations>>,
}

impl Lookup {
    fn new(deadline: Deadline) -> Self {
        Self { deadline, result: OnceLock::new() }
    }

    /// Whether it has failed, and its time is over: one with more time may succeed.
    fn is_out_of_time(&self) -> bool {
        self.result.get().is_some_and(Result::is_err) && self.deadline.remaining().is_zero()
    }
}

/// `hbase.client.meta.max.concurrent.locate.per.table`.
const MAX_PER_TABLE: usize = 8;
/// Maximum time to wait before checking the deadline again.
const LONG: Duration = Duration::from_secs(3600);

impl Default for Singleflight {
    fn default() -> Self {
        Self { state: Mutex::new(State::default()), completed: Condvar::new() }
    }
}

impl Singleflight {
    /// Runs a lookup, or waits for one in progress with the same request. If that fails by its own deadline,
    /// another is run. With `fresh`, a new lookup is run, and the cache is not used.
    pub(super) fn run(
        &self,
        wanted: &LookupKey,
        fresh: bool,
        deadline: Deadline,
        cached: impl Fn() -> Option<RegionLocations>,
        look_up: impl FnOnce() -> Result<RegionLocations>,
    ) -> Result<RegionLocations> {
        let mut state = self.lock();
        let under_way = |state: &State| {
            let other = state.lookups.get(wanted).filter(|other| !fresh && !other.is_out_of_time());
            other.map(Arc::clone)
        };
        while let Some(other) = under_way(&state) {
            match self.wait_for(state, &other, deadline)? {
                Err(_) if other.is_out_of_time() => state = self.lock(),
                result => return result,
            }
        }
        let lookup = Arc::new(Lookup::new(deadline));
        state.lookups.insert(wanted.clone(), Arc::clone(&lookup));
        drop(state);
        let mut completion = Completion { singleflight: self, wanted, lookup: &lookup, is_running: false };
        let result = match self.admit(&mut completion, fresh, deadline, cached) {
            Ok(None) => look_up(),
            Ok(Some(found)) => Ok(found),
            Err(error) => Err(error),
        };
        completion.end(result)
    }

    /// Waits until another lookup may run, or the cache has the result, which is then returned.
    fn admit(
        &self,
        completion: &mut Completion<'_>,
        fresh: bool,
        deadline: Deadline,
        cached: impl Fn() -> Option<RegionLocations>,
    ) -> Result<Option<RegionLocations>> {
        let mut state = self.lock();
        loop {
            // an earlier lookup may have ended in the meantime
            if let Some(found) = cached().filter(|_| !fresh) {
                return Ok(Some(found));
            }
            let running = state.running.entry(completion.wanted.table.clone()).or_default();
            if *running < MAX_PER_TABLE {
                *running += 1;
                completion.is_running = true;
                return Ok(None);
            }
            state = self.wait(state, deadline)?;
        }
    }

    /// Waits for the result of a lookup. Fails if the deadline passes first.
    fn wait_for(
        &self,
        mut state: MutexGuard<'_, State>,
        lookup: &Lookup,
        deadline: Deadline,
    ) -> Result<Result<RegionLocations>> {
        loop {
            if let Some(result) = lookup.result.get() {
                return Ok(result.clone());
            }
            state = self.wait(state, deadline)?;
        }
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>, deadline: Deadline) -> Result<MutexGuard<'s, State>> {
        let left = deadline.remaining();
        if left.is_zero() {
            return Err(Error::timed_out("locate a region"));
        }
        Ok(unpoisoned(self.completed.wait_timeout(state, left.min(LONG))).0)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.state.lock())
    }
}

/// Ends a lookup, even if it panics, so that no caller waits forever.
struct Completion<'f> {
    singleflight: &'f Singleflight,
    wanted: &'f LookupKey,
    lookup: &'f Arc<Lookup>,
    is_running: bool,
}

impl Completion<'_> {
    fn end(self, result: Result<RegionLocations>) -> Result<RegionLocations> {
        // set before the waiting callers are notified, on drop
        let _ = self.lookup.result.set(result.clone());
        result
    }
}

impl Drop for Completion<'_> {
    fn drop(&mut self) {
        let _ = self.lookup.result.set(Err(Error::timed_out("locate a region")));
        let mut state = self.singleflight.lock();
        // a later lookup may have replaced it
        if state.lookups.get(self.wanted).is_some_and(|lookup| Arc::ptr_eq(lookup, self.lookup)) {
            state.lookups.remove(self.wanted);
        }
        if self.is_running
            && let Some(running) = state.running.get_mut(&self.wanted.table)
        {
            *running -= 1;
            if *running == 0 {
                state.running.remove(&self.wanted.table);
            }
        }
        drop(state);
        self.singleflight.completed.notify_all();
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::schema::RegionInfo;
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    fn wanted(row: usize) -> LookupKey {
        let row = row.to_string().into_bytes();
        LookupKey {
            table: TableName::parse("t").expect("a name"),
            row,
            position: LocateType::At,
            replica_id: 0,
        }
    }

    fn found() -> RegionLocations {
        RegionLocations::new(RegionInfo::meta(), [])
    }

    #[test]
    fn equal_requests_share_one_lookup() {
        let (singleflight, started, waiting) =
            (Singleflight::default(), AtomicUsize::new(0), Barrier::new(50));
        thread::scope(|scope| {
            for _ in 0..50 {
                scope.spawn(|| {
                    waiting.wait();
                    let look_up = || {
                        started.fetch_add(1, Ordering::Relaxed);
                        thread::sleep(Duration::from_millis(300));
                        Ok(found())
                    };
                    let cached = || (started.load(Ordering::Relaxed) > 1).then(found);
                    singleflight.run(&wanted(1), false, Deadline::NEVER, cached, look_up).unwrap();
                });
            }
        });
        assert_eq!(started.load(Ordering::Relaxed), 1);
        assert!(singleflight.lock().lookups.is_empty() && singleflight.lock().running.is_empty());
    }

    #[test]
    fn no_more_than_eight_are_under_way() {
        let (singleflight, running, most) =
            (Singleflight::default(), AtomicUsize::new(0), AtomicUsize::new(0));
        thread::scope(|scope| {
            for row in 0..40 {
                let (singleflight, running, most) = (&singleflight, &running, &most);
                scope.spawn(move || {
                    let look_up = || {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        thread::sleep(Duration::from_millis(5));
                        running.fetch_sub(1, Ordering::SeqCst);
                        Ok(found())
                    };
                    singleflight.run(&wanted(row), false, Deadline::NEVER, || None, look_up).unwrap();
                });
            }
        });
        let most = most.load(Ordering::SeqCst);
        assert!((2..=MAX_PER_TABLE).contains(&most), "{most}");
    }

    #[test]
    fn a_fresh_lookup_is_not_one_that_has_begun() {
        let (singleflight, begun) = (Singleflight::default(), Barrier::new(2));
        let lookups = AtomicUsize::new(0);
        thread::scope(|scope| {
            scope.spawn(|| {
                let look_up = || {
                    begun.wait();
                    begun.wait();
                    Ok(found())
                };
                singleflight.run(&wanted(1), false, Deadline::NEVER, || None, look_up).unwrap();
            });
            begun.wait();
            let look_up = || {
                lookups.fetch_add(1, Ordering::Relaxed);
                Ok(found())
            };
            singleflight.run(&wanted(1), true, Deadline::NEVER, || Some(found()), look_up).unwrap();
            let late = singleflight.run(&wanted(2), false, Deadline::NEVER, || None, || Ok(found()));
            late.unwrap();
            begun.wait();
        });
        assert_eq!(lookups.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_lookup_that_fails_by_its_own_deadline_is_made_again_by_those_with_more_time() {
        let (singleflight, begun) = (Singleflight::default(), Barrier::new(2));
        let lookups = AtomicUsize::new(0);
        thread::scope(|scope| {
            let first = scope.spawn(|| {
                let soon = Deadline::after(Duration::from_millis(50));
                let look_up = || {
                    begun.wait();
                    thread::sleep(Duration::from_millis(100));
                    Err(Error::timed_out("locate a region"))
                };
                singleflight.run(&wanted(1), false, soon, || None, look_up)
            });
            begun.wait();
            let others: Vec<_> = (0..20)
                .map(|_| {
                    let look_up = || {
                        lookups.fetch_add(1, Ordering::Relaxed);
                        Ok(found())
                    };
                    let cached = || (lookups.load(Ordering::Relaxed) > 0).then(found);
                    let (singleflight, wanted) = (&singleflight, wanted(1));
                    scope.spawn(move || singleflight.run(&wanted, false, Deadline::NEVER, cached, look_up))
                })
                .collect();
            assert!(first.join().unwrap().is_err());
            assert!(others.into_iter().all(|other| other.join().unwrap().is_ok()));
        });
        assert_eq!(lookups.load(Ordering::Relaxed), 1);
        assert!(singleflight.lock().lookups.is_empty() && singleflight.lock().running.is_empty());
    }

    #[test]
    fn waiting_ends_at_a_panic_or_the_deadline() {
        let (singleflight, begun) = (Singleflight::default(), Barrier::new(2));
        thread::scope(|scope| {
            let panicking = scope.spawn(|| {
                let _ = singleflight.run(
                    &wanted(1),
                    false,
                    Deadline::NEVER,
                    || None,
                    || {
                        begun.wait();
                        thread::sleep(Duration::from_millis(100));
                        panic!("as the test has it")
                    },
                );
            });
            begun.wait();
            let soon = Deadline::after(Duration::from_millis(10));
            assert!(singleflight.run(&wanted(1), false, soon, || None, || Ok(found())).is_err());
            assert!(panicking.join().is_err());
        });
        assert!(singleflight.run(&wanted(1), false, Deadline::NEVER, || None, || Ok(found())).is_ok());
    }
}

/// Checks all interleavings: `RUSTFLAGS="--cfg loom" cargo test --release --lib singleflight`.
#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use crate::schema::RegionInfo;
    use loom::thread;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn found() -> RegionLocations {
        let table = TableName::parse("t").expect("a name");
        RegionLocations::new(RegionInfo::new(table, "", "", 1).expect("a region"), [])
    }

    #[test]
    fn concurrent_misses_cause_one_look_up() {
        loom::model(|| {
            let singleflight = Arc::new(Singleflight::default());
            let cache = Arc::new(Mutex::new(None));
            let count = Arc::new(AtomicUsize::new(0));
            let ask = {
                let (singleflight, cache, count) =
                    (Arc::clone(&singleflight), Arc::clone(&cache), Arc::clone(&count));
                move || {
                    let table = TableName::parse("t").unwrap();
                    let wanted =
                        LookupKey { table, row: b"r".to_vec(), position: LocateType::At, replica_id: 0 };
                    let look_up = || {
                        count.fetch_add(1, Ordering::Relaxed);
                        *unpoisoned(cache.lock()) = Some(found());
                        Ok(found())
                    };
                    let cached = || unpoisoned(cache.lock()).clone();
                    assert_eq!(
                        singleflight.run(&wanted, false, Deadline::NEVER, cached, look_up).unwrap(),
                        found()
                    );
                }
            };
            let other = thread::spawn(ask.clone());
            ask();
            other.join().unwrap();
            assert_eq!(count.load(Ordering::Relaxed), 1);
        });
    }
}
