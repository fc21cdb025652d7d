//! Hooks of flushes and compactions, and calls that wait for them.

use super::{Context, open, region_of};
use hregion::io::faulty::{Call, FaultyStorage};
use hregion::region::{CompactionFilter, MiniBatch};
use hregion::{
    CellRef, Compaction, ErrorKind, Family, Get, ManualClock, Put, Region, RegionObserver, Result,
};
use std::sync::{Arc, Barrier, Mutex};
use std::thread;
use std::time::Duration;

/// Gives each cell a time to live of a second.
#[derive(Debug)]
struct Ttl;

impl CompactionFilter for Ttl {
    fn filter_cell(
        &mut self,
        cell: CellRef<'_>,
        out: &mut dyn FnMut(CellRef<'_>) -> Result<()>,
    ) -> Result<()> {
        let tag = [&[0, 9, 8][..], &1000i64.to_be_bytes()].concat();
        out(cell.with_tag_bytes(&tag).unwrap())
    }
}

/// Adds tags when it flushes, or when it compacts.
#[derive(Debug)]
struct Tagger {
    flushes: bool,
}

impl RegionObserver for Tagger {
    fn pre_flush_store(&self, _: Context<'_, '_>, _: &[u8]) -> Result<Option<Box<dyn CompactionFilter>>> {
        Ok(self.flushes.then(|| Box::new(Ttl) as Box<dyn CompactionFilter>))
    }

    fn pre_compact(
        &self,
        _: Context<'_, '_>,
        _: &[u8],
        _: bool,
    ) -> Result<Option<Box<dyn CompactionFilter>>> {
        Ok((!self.flushes).then(|| Box::new(Ttl) as Box<dyn CompactionFilter>))
    }
}

#[test]
fn a_filter_may_add_tags() {
    for flushes in [true, false] {
        let (storage, clock) = (FaultyStorage::new(), Arc::new(ManualClock::new(1000)));
        let options = Region::options().storage(Arc::new(storage)).clock(clock.clone());
        let options = options.create_if_missing(true).family(Family::new("f"));
        let region = options.observer(0, Arc::new(Tagger { flushes })).open("/regions/r").unwrap();
        for row in ["a", "b"] {
            region.put(Put::new(row).cell("f", "q", "v")).unwrap();
            region.flush().unwrap();
        }
        region.compact(Compaction::Major).unwrap();
        let is_empty = || region.get(&Get::new("a")).unwrap().is_empty();
        assert!(!is_empty());
        clock.set(2001);
        assert!(is_empty(), "{flushes}");
    }
}

/// Counts the flushes of families. A flush waits a limited time for another.
#[derive(Debug, Default)]
struct Meeting(Arc<Mutex<usize>>);

impl RegionObserver for Meeting {
    fn pre_flush_store(&self, _: Context<'_, '_>, _: &[u8]) -> Result<Option<Box<dyn CompactionFilter>>> {
        *self.0.lock().unwrap() += 1;
        for _ in 0..50 {
            if *self.0.lock().unwrap() < 2 {
                thread::sleep(Duration::from_millis(10));
            }
        }
        Ok(None)
    }
}

#[test]
fn a_family_that_is_named_twice_is_flushed_once() {
    let meeting = Meeting::default();
    let flushes = Arc::clone(&meeting.0);
    let region = region_of(meeting);
    // enough for a flush by several threads
    let puts = (0..10_000).map(|i| Put::new(format!("{i}")).cell("f", "q", "v").into());
    assert!(region.batch(puts.collect()).iter().all(Result::is_ok));
    region.flush_families(&["f", "f"]).unwrap();
    assert_eq!((*flushes.lock().unwrap(), region.store_file_count("f").unwrap()), (1, 1));
}

/// Holds writes of the row "held", with its lock taken, until they are released.
#[derive(Debug)]
struct Holding {
    reached: Barrier,
    goes_on: Barrier,
}

impl RegionObserver for Holding {
    fn pre_batch_mutate(&self, _: Context<'_, '_>, batch: &mut MiniBatch<'_>) -> Result<()> {
        if batch.mutations()[0].row() == b"held" {
            self.reached.wait();
            self.goes_on.wait();
        }
        Ok(())
    }
}

/// A region whose files could not be changed back is closed without a flush. A write that has begun before is
/// not acknowledged after it: another process may have opened the region.
#[test]
fn a_write_that_is_held_does_not_outlive_the_close_of_a_poisoned_region() {
    let holding = Arc::new(Holding { reached: Barrier::new(2), goes_on: Barrier::new(2) });
    let storage = FaultyStorage::new();
    let region = open(&storage, &[(0, holding.clone())]).unwrap();
    for row in ["a", "b", "c"] {
        region.flush().unwrap();
        region.put(Put::new(row).cell("f", "q", "v")).unwrap();
    }
    let held = thread::spawn({
        let region = region.clone();
        move || region.put(Put::new("held").cell("f", "q", "v"))
    });
    holding.reached.wait();
    storage.break_calls(Call::SyncDir);
    assert_eq!(region.compact(Compaction::Major).unwrap_err().kind(), ErrorKind::Poisoned);
    storage.repair();
    assert_eq!(region.close().unwrap_err().kind(), ErrorKind::Poisoned);
    let names = storage.names();
    holding.goes_on.wait();
    assert_eq!(held.join().unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(storage.names(), names);
}

/// Calls functions that could wait for a hook of a flush that writes to the row.
#[derive(Debug)]
struct Impatient;

impl RegionObserver for Impatient {
    fn pre_batch_mutate(&self, context: Context<'_, '_>, _: &mut MiniBatch<'_>) -> Result<()> {
        let region = context.region().unwrap();
        let none: [(&str, &str); 0] = [];
        let results = [
            region.flush(),
            region.flush_families(&["f"]),
            region.compact(Compaction::Major),
            region.bulk_load(&none),
            region.close(),
            region.abort(),
        ];
        for result in results {
            let error = result.unwrap_err();
            assert!(error.to_string().contains("with rows locked"), "{error}");
        }
        Ok(())
    }
}

#[test]
fn hooks_with_rows_locked_cannot_wait_for_flushes() {
    let region = region_of(Impatient);
    region.put(Put::new("a").cell("f", "q", "v")).unwrap();
    region.flush().unwrap();
    assert_eq!(region.get(&Get::new("a")).unwrap().len(), 1);
}
