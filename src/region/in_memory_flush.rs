//! Moves recent cells, in memory, from the active segments into flat ones (HBase:
//! `CompactingMemStore.flushInMemory`, `MemStoreCompactor`).

use super::observer::is_held;
use super::{RegionCore, RegionVersion};
use crate::memstore::Segment;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, TryLockError};

/// Decides when segments are flushed in memory.
#[derive(Debug)]
pub(super) struct InMemoryFlush {
    /// The bytes of an active segment at which it is flushed; 0 for never.
    size: u64,
    /// Whether an active segment may have reached that size.
    is_due: AtomicBool,
    /// Held by the thread that flushes.
    running: Mutex<()>,
}

/// The default of [`RegionOptions::in_memory_flush_size`](super::RegionOptions::in_memory_flush_size): this
/// part of the flush size (HBase: `hbase.memstore.inmemoryflush.threshold.factor`, by default one chunk of
/// 2 MiB instead).
const SHARE: u64 = 32;
/// The maximum of the default.
const MAX_SIZE: u64 = 4 << 20;
/// A segment this many times as large is flushed after the writes in progress: with many writers, there may
/// be no moment without a write.
const OVERDUE: u64 = 2;

impl InMemoryFlush {
    pub(super) fn new(size: Option<u64>, flush_size: u64) -> Self {
        let size = size.unwrap_or_else(|| (flush_size / SHARE).min(MAX_SIZE));
        Self { size, is_due: AtomicBool::new(false), running: Mutex::new(()) }
    }

    /// Records whether a segment has grown enough.
    #[inline]
    pub(super) fn note(&self, state: &RegionVersion) {
        if state.stores.iter().any(|store| store.is_in_memory_flush_due(self.size)) {
            self.is_due.store(true, Ordering::Relaxed);
        }
    }
}

impl RegionCore {
    /// Flushes the active segments that have grown enough, in memory. Skips those that other threads write
    /// to at the moment, unless they have grown much more: the next write tries again.
    #[inline]
    pub(super) fn flush_in_memory(&self) {
        if self.in_memory_flush.is_due.load(Ordering::Relaxed) {
            self.flush_due_in_memory();
        }
    }

    #[cold]
    fn flush_due_in_memory(&self) {
        let _running = match self.in_memory_flush.running.try_lock() {
            Ok(running) => running,
            Err(TryLockError::Poisoned(running)) => running.into_inner(),
            Err(TryLockError::WouldBlock) => return,
        };
        self.in_memory_flush.is_due.store(false, Ordering::Relaxed);
        for store in 0..self.stores.len() {
            if !self.states.load().stores[store].is_in_memory_flush_due(self.in_memory_flush.size) {
                continue;
            }
            let updates = match self.updates.try_exclusive() {
                None if self.is_in_memory_flush_overdue(store) => Vec::from(self.updates.exclusive()),
                None => {
                    self.in_memory_flush.is_due.store(true, Ordering::Relaxed);
                    continue;
                }
                Some(updates) => updates,
            };
            self.swap(store, |state| state.with_active_in_pipeline());
            drop(updates);
            let segments = self.states.load().stores[store].pipeline.clone();
            // Without a lock: reads and writes continue, and a flush may take the segments in the meantime.
            if let Some(flat) = Segment::flat(&segments) {
                self.swap(store, |state| state.flushed_in_memory(&segments, flat));
            }
        }
        self.report_memory();
    }

    /// Whether a flush in memory waits for the writes in progress. Not in a hook with a lock held, for which
    /// they may wait.
    fn is_in_memory_flush_overdue(&self, store: usize) -> bool {
        let size = self.in_memory_flush.size.saturating_mul(OVERDUE);
        self.states.load().stores[store].is_in_memory_flush_due(size) && !is_held()
    }
}

#[cfg(test)]
mod tests {
    use crate::{CellType, Delete, Durability, Family, Get, Put, Region, RegionOptions, Row, Scan};
    use proptest::prelude::*;
    use std::sync::{Barrier, mpsc};
    use std::thread;
    use std::time::Duration;

    fn options() -> RegionOptions {
        let family = Family::new("f").max_versions(3);
        Region::options().create_if_missing(true).family(family).durability(Durability::SyncWal)
    }

    /// Returns the numbers of listed and of flat segments that accept no more cells.
    fn segments(region: &Region) -> (usize, usize) {
        let state = region.0.states.load();
        let flat = state.stores[0].pipeline.iter().filter(|segment| segment.is_flat()).count();
        (state.stores[0].pipeline.len() - flat, flat)
    }

    fn put(region: &Region, number: u64) {
        let row = format!("{:04}", number * 7_919 % 10_007);
        region.put(Put::new(row).cell("f", "q", format!("value {number}"))).unwrap();
    }

    fn rows(scan: impl Iterator<Item = crate::Result<Row>>) -> Vec<Row> {
        scan.map(Result::unwrap).collect()
    }

    #[test]
    fn a_segment_that_has_grown_becomes_flat_and_a_flush_writes_all() {
        let dir = tempfile::tempdir().unwrap();
        let region = options().in_memory_flush_size(10_000).open(dir.path()).unwrap();
        (0..10).for_each(|number| put(&region, number));
        assert_eq!(segments(&region), (0, 0));
        let view = region.view();
        let seen = rows(view.scan(&Scan::new()).unwrap());
        (10..1_000).for_each(|number| put(&region, number));
        assert_eq!(segments(&region), (0, 1));
        let state = region.0.states.load();
        assert!(state.stores[0].active.memory() < 11_000, "{}", state.stores[0].active.memory());
        assert_eq!(rows(view.scan(&Scan::new()).unwrap()), seen, "a view keeps what it had");
        let all = rows(region.scan(Scan::new()).unwrap());
        assert_eq!(all.len(), 1_000);
        drop((state, view));
        region.flush().unwrap();
        assert_eq!((segments(&region), region.memstore_size()), ((0, 0), 0));
        assert_eq!(rows(region.scan(Scan::new()).unwrap()), all);
    }

    /// With many writers, there may be no moment without a write.
    #[test]
    fn a_segment_that_has_grown_much_more_is_moved_after_the_writes_in_progress() {
        let dir = tempfile::tempdir().unwrap();
        let region = options().in_memory_flush_size(10_000).open(dir.path()).unwrap();
        let (begun, ends, (done, written)) = (Barrier::new(2), Barrier::new(2), mpsc::channel());
        thread::scope(|scope| {
            scope.spawn(|| {
                let _write = region.0.updates.shared();
                begun.wait();
                ends.wait();
            });
            begun.wait();
            (0..).take_while(|_| region.0.memory() < 20_000).for_each(|number| put(&region, number));
            let before = segments(&region);
            scope.spawn(|| {
                put(&region, 10_000);
                done.send(()).unwrap();
            });
            let has_waited = written.recv_timeout(Duration::from_millis(50)).is_err();
            ends.wait();
            assert!(has_waited && before == (0, 0), "{before:?}");
        });
        assert_eq!(segments(&region), (0, 1));
        assert_eq!(region.get(&Get::new("0000")).unwrap().cells().count(), 1);
    }

    #[test]
    fn a_size_of_0_leaves_cells_where_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let region = options().memstore_flush_size(1 << 20).in_memory_flush_size(0).open(dir.path()).unwrap();
        (0..1_000).for_each(|number| put(&region, number));
        assert_eq!(segments(&region), (0, 0));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put { row: u8, column: u8, timestamp: Option<i64>, len: usize },
        Delete { row: u8, column: u8, timestamp: i64, of: CellType },
        Flush,
        Read { row: u8, versions: u32 },
        Scan { row: u8, reversed: bool },
    }

    fn step() -> impl Strategy<Value = Step> {
        let timestamp = proptest::option::weighted(0.9, 1i64..6);
        let types = &[CellType::Delete, CellType::DeleteColumn, CellType::DeleteFamily];
        prop_oneof![
            20 => (0u8..12, 0u8..4, timestamp, 0usize..60).prop_map(|(row, column, timestamp, len)| {
                Step::Put { row, column, timestamp, len }
            }),
            4 => (0u8..12, 0u8..4, 1i64..6, prop::sample::select(types)).prop_map(
                |(row, column, timestamp, of)| Step::Delete { row, column, timestamp, of }
            ),
            1 => Just(Step::Flush),
            4 => (0u8..12, 1u32..4).prop_map(|(row, versions)| Step::Read { row, versions }),
            4 => (0u8..12, any::<bool>()).prop_map(|(row, reversed)| Step::Scan { row, reversed }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// The other region never flushes in memory.
        #[test]
        fn answers_do_not_depend_on_it(
            steps in prop::collection::vec(step(), 50..250),
            size in 200u64..2_000,
        ) {
            let (dir, plain_dir) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let clock = std::sync::Arc::new(crate::ManualClock::new(100));
            let open = |dir: &tempfile::TempDir, size| {
                let clock = std::sync::Arc::clone(&clock) as std::sync::Arc<dyn crate::Clock>;
                options().clock(clock).in_memory_flush_size(size).open(dir.path()).unwrap()
            };
            let (region, plain) = (open(&dir, size), open(&plain_dir, 0));
            for step in steps {
                let row = |row: u8| format!("row {row}");
                for region in [&region, &plain] {
                    match &step {
                        Step::Put { row: at, column, timestamp, len } => {
                            let (put, qualifier) = (Put::new(row(*at)), format!("q{column}"));
                            let value = vec![b'v'; *len];
                            region.put(match timestamp {
                                Some(timestamp) => put.cell_at("f", qualifier, *timestamp, value),
                                None => put.cell("f", qualifier, value),
                            }).unwrap();
                        }
                        Step::Delete { row: at, column, timestamp, of } => {
                            let (delete, qualifier) = (Delete::new(row(*at)), format!("q{column}"));
                            region.delete(match of {
                                CellType::Delete => delete.version_at("f", qualifier, *timestamp),
                                CellType::DeleteColumn => delete.column_at("f", qualifier, *timestamp),
                                _ => delete.family_at("f", *timestamp),
                            }).unwrap();
                        }
                        Step::Flush => {
                            region.flush().unwrap();
                        }
                        Step::Read { .. } | Step::Scan { .. } => {}
                    }
                }
                match step {
                    Step::Read { row: at, versions } => {
                        let get = Get::new(row(at)).max_versions(versions);
                        prop_assert_eq!(region.get(&get).unwrap(), plain.get(&get).unwrap());
                    }
                    Step::Scan { row: at, reversed } => {
                        let scan = || Scan::new().start_row(row(at), true).reversed(reversed).max_versions(2);
                        let found = rows(region.scan(scan()).unwrap());
                        prop_assert_eq!(found, rows(plain.scan(scan()).unwrap()));
                    }
                    _ => {}
                }
                let raw = || Scan::new().raw(true).max_versions(u32::MAX);
                prop_assert_eq!(rows(region.scan(raw()).unwrap()), rows(plain.scan(raw()).unwrap()));
            }
        }
    }
}
