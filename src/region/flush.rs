//! From memory to files (read-path.md §4).

use super::commit::StoreChange;
use super::events::Task;
use super::{Inner, Region};
use crate::error::Result;
use crate::memstore::Segment;
use crate::metrics::ReadCounts;
use crate::store::{Keep, StoreFile};
use crate::sync::unpoisoned;
use std::sync::Arc;
use std::thread;

impl Region {
    /// Writes what is in memory to files: one for each family that has any. Returns when they are on the disk.
    ///
    /// Cells that no read can see any more are left out: expired ones, surplus versions, deleted ones.
    ///
    /// # Errors
    ///
    /// If the region is read-only or a file cannot be written. What was in memory stays there then, and can be flushed again.
    pub fn flush(&self) -> Result<()> {
        self.0.flush_all().map(drop)
    }

    /// As [`flush`](Self::flush), of some families.
    ///
    /// # Errors
    ///
    /// As there, or if a family is unknown.
    pub fn flush_families<F: AsRef<[u8]>>(&self, families: &[F]) -> Result<()> {
        let stores = families.iter().map(|family| self.0.store_index(family.as_ref()));
        self.0.flush(&stores.collect::<Result<Vec<_>>>()?).map(drop)
    }
}

impl Inner {
    /// Flushes every store; gives the number that the flush took.
    pub(super) fn flush_all(&self) -> Result<i64> {
        self.flush(&(0..self.stores.len()).collect::<Vec<_>>())
    }

    /// Flushes stores; gives the number that the flush took.
    fn flush(&self, stores: &[usize]) -> Result<i64> {
        let _flushing = unpoisoned(self.flushing.lock());
        // Not before: a region that is closed waits for this lock.
        self.check_writable()?;
        self.tell_flush_started(self.memstore_size());
        let flushed = self.flush_stores(stores);
        match &flushed {
            Ok(seq_id) => self.tell_flush_ended(*seq_id),
            Err(error) => self.tell_failed(Task::Flush, error),
        }
        flushed
    }

    fn flush_stores(&self, stores: &[usize]) -> Result<i64> {
        self.observe(|observer, context| observer.pre_flush(context))?;
        let seq_id = self.freeze(stores);
        // Reads that begin later see more, so they do not need what is dropped either.
        let smallest = self.mvcc.smallest_read_point();
        let now = self.clock.now();
        for &store in stores {
            let segments = self.states.load().stores[store].frozen.clone();
            if segments.is_empty() {
                continue;
            }
            let family = self.stores[store].family.name();
            let info = self.observed_info(
                store,
                self.stores[store].scan_info(now),
                |observer, context, family, options| {
                    observer.pre_flush_scanner_open(context, family, options)
                },
            )?;
            let passes = self.passes(|observer, context| observer.pre_flush_store(context, family))?;
            let keep = Keep { info, max_read_point: smallest, passes };
            let encrypted = self.states.load().stores[store].files.iter().any(StoreFile::is_encrypted);
            let file = self.stores[store].flush(&segments, seq_id, encrypted, keep)?;
            let Some(file) = file else {
                self.swap(store, |state| state.flushed(&segments, None));
                free(segments);
                continue;
            };
            let name = file.name().to_owned();
            let change = StoreChange { store, add: vec![file], remove: Vec::new() };
            self.commit(vec![change], now, |opened| {
                let file = opened.into_iter().flatten().next();
                self.swap(store, |state| state.flushed(&segments, file));
            })?;
            self.counters.add(&ReadCounts { flushes: 1, ..ReadCounts::default() });
            free(segments);
            self.observe(|observer, context| observer.post_flush_store(context, family, &name))?;
        }
        if let Some(background) = &self.background {
            background.flushed(self.memory());
        }
        self.observe(|observer, context| observer.post_flush(context))?;
        Ok(seq_id)
    }

    /// Takes the segments away from the writers. All that is in them is complete, and seen by reads, when this returns.
    fn freeze(&self, stores: &[usize]) -> i64 {
        let _updates = unpoisoned(self.updates.write());
        let entry = self.mvcc.begin();
        let seq_id = entry.seq_id();
        self.mvcc.complete_and_wait(entry);
        stores.iter().for_each(|&store| self.swap(store, |state| state.freeze()));
        seq_id
    }
}

/// Who frees fewer cells does so in no time.
const MANY_CELLS: usize = 10_000;

/// Lets go of segments that are in a file now. Cells are freed one by one, which takes nearly as long as to write them: so a thread of
/// its own does that, if there are many and one can be had.
fn free(segments: Vec<Arc<Segment>>) {
    let cells: usize = segments.iter().map(|segment| segment.cell_count()).sum();
    if cells >= MANY_CELLS {
        // what cannot be made drops what it was to do
        let _ = thread::Builder::new().name("hregion-free".into()).spawn(|| drop(segments));
    }
}
