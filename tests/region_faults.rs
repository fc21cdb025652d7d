//! A storage that fails, or whose power goes, at every call of a flush, a compaction or a bulk load.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that stops says where")]

use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::{Compaction, Delete, Family, ManualClock, Put, Region, Result, Scan};
use std::path::Path;
use std::sync::Arc;

const DIR: &str = "/regions/r";

fn open(storage: &FaultyStorage) -> Result<Region> {
    Region::options()
        .storage(Arc::new(storage.clone()))
        .clock(Arc::new(ManualClock::new(1_000)))
        .create_if_missing(true)
        .family(Family::new("f").max_versions(2))
        .family(Family::new("g"))
        .open(Path::new(DIR))
}

/// Every visible cell, as text.
fn cells(region: &Region) -> Vec<String> {
    let view = region.view();
    let scan = Scan::new().max_versions(u32::MAX);
    let rows: Vec<_> = view.scan(&scan).unwrap().map(Result::unwrap).collect();
    rows.iter().flat_map(|row| row.cells().map(|c| format!("{} {:?}", c.key(), c.value()))).collect()
}

/// A region with a file of each family, and something in memory.
fn begin() -> (FaultyStorage, Region) {
    let storage = FaultyStorage::new();
    let region = open(&storage).unwrap();
    for (round, value) in [(1, "one"), (2, "two")] {
        for row in ["a", "b", "c"] {
            let put = Put::new(row).cell_at("f", "q", round, value).cell_at("g", "q", round, value);
            region.put(put).unwrap();
        }
        region.flush().unwrap();
    }
    region.put(Put::new("d").cell_at("f", "q", 3, "three").cell_at("g", "q", 3, "three")).unwrap();
    region.delete(Delete::new("a").column_at("f", "q", 3)).unwrap();
    (storage, region)
}

/// The steps that write files; which of them succeeded.
fn maintain(region: &Region) -> [bool; 3] {
    [
        region.flush().is_ok(),
        region.compact(Compaction::Major).is_ok(),
        region.compact_files("f", 0, 1).is_ok(),
    ]
}

#[test]
fn whatever_fails_nothing_is_lost() {
    let (storage, region) = begin();
    let (expected, before) = (cells(&region), storage.calls());
    assert_eq!(maintain(&region), [true; 3]);
    let calls = storage.calls() - before;
    println!("{calls} calls");
    assert!(calls > 20);
    for n in 0..calls {
        let (storage, region) = begin();
        storage.fail_after(n);
        let done = maintain(&region);
        assert_eq!(cells(&region), expected, "call {n} failed, {done:?}");
        // a failure is not for ever: what could not be written is still there to be
        assert_eq!(maintain(&region), [true; 3], "after call {n} failed");
        assert_eq!(cells(&region), expected, "done again after call {n} failed");
        drop(region);
        assert_eq!(cells(&open(&storage).unwrap()), expected, "opened again after call {n} failed");
    }
}

#[test]
fn what_was_flushed_survives_any_crash() {
    let (storage, region) = begin();
    let (flushed, before) = (cells(&region), storage.calls());
    maintain(&region);
    let calls = storage.calls() - before;
    std::mem::forget(region);
    // what had been flushed before the last writes
    let earlier: Vec<String> = {
        let (storage, region) = begin();
        std::mem::forget(region);
        cells(&open(&storage.after(Crash::OfTheProcess)).unwrap())
    };
    assert_ne!(earlier, flushed);
    for n in 0..=calls {
        let (storage, region) = begin();
        storage.die_after(n);
        let [is_flushed, ..] = maintain(&region);
        for crash in [Crash::OfTheProcess, Crash::Hard, Crash::Torn] {
            let left = storage.after(crash);
            let region = open(&left).unwrap_or_else(|error| panic!("{crash:?} at call {n}: {error}"));
            let found = cells(&region);
            // each family is flushed by itself: a crash between the two leaves one of them
            let possible = |family: &str| {
                let of = |cells: &[String]| -> Vec<String> {
                    cells.iter().filter(|cell| cell.contains(family)).cloned().collect()
                };
                let found = of(&found);
                found == of(&flushed) || !is_flushed && found == of(&earlier)
            };
            assert!(possible("/f:") && possible("/g:"), "{crash:?} at call {n} of {calls}: {found:?}");
            // and it can be written to again
            region.put(Put::new("z").cell_at("f", "q", 9, "nine")).unwrap();
            assert_eq!(maintain(&region), [true; 3], "{crash:?} at call {n}");
        }
    }
}
