//! Power is lost while the memstore is flushed after the log has failed: no write is torn.

use super::{ROOT, TABLE};
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::{Delete, Durability, Family, ManualClock, Put, Region, RegionOptions, Scan, Scheduler, Table};
use std::collections::BTreeMap;
use std::sync::Arc;

const DIR: &str = "/region";
const FAMILIES: [&str; 2] = ["f", "g"];

fn options(storage: &FaultyStorage) -> RegionOptions {
    let options = Region::options().storage(Arc::new(storage.clone())).scheduler(&Scheduler::inline());
    options.clock(Arc::new(ManualClock::new(1))).compaction_enabled(false).in_memory_flush_size(300)
}

/// A region with its own log, or with the log of a table.
fn open(storage: &FaultyStorage, is_alone: bool) -> (Option<Table>, Region) {
    if is_alone {
        return (None, options(storage).writable(true).open(DIR).unwrap());
    }
    let table = Table::open_with(ROOT, TABLE, options(storage).writable(true)).unwrap();
    let region = table.region("").unwrap();
    (Some(table), region)
}

fn create(storage: &FaultyStorage, is_alone: bool) {
    let families = FAMILIES.map(Family::new);
    if is_alone {
        let options = options(storage).create_if_missing(true);
        families.into_iter().fold(options, RegionOptions::family).open(DIR).unwrap().close().unwrap();
    } else {
        Table::create_with(ROOT, TABLE, &families, &[""; 0], options(storage)).unwrap().close().unwrap();
    }
}

fn put(row: &str, value: u32) -> Put {
    let put = |put: Put, family| put.cell(family, "q", value.to_string());
    FAMILIES.into_iter().fold(Put::new(row.to_owned()), put)
}

/// The value of each row, which must be the same in both families.
fn values(region: &Region, shown: &str) -> BTreeMap<String, u32> {
    let rows = region.scan(Scan::new()).unwrap().map(|row| {
        let row = row.unwrap();
        let value = |family| Some(std::str::from_utf8(row.value(family, "q")?).unwrap().parse().unwrap());
        let [f, g]: [Option<u32>; 2] = FAMILIES.map(value);
        let key = String::from_utf8(row.key().to_vec()).unwrap();
        assert_eq!(f, g, "{shown}: row {key} is torn");
        (key, f.unwrap())
    });
    rows.collect()
}

/// Writes rows to both families without waiting for syncs. Returns the expected content after each.
fn write(region: &Region) -> Vec<BTreeMap<String, u32>> {
    region.put(put("a", 1)).unwrap();
    let mut states = vec![BTreeMap::from([("a".to_owned(), 1)])];
    for (n, row) in (2..).zip(["b", "c", "a", "b", "d"]) {
        let durability = if n % 2 == 0 { Durability::AsyncWal } else { Durability::SyncWal };
        let mut state = states.last().unwrap().clone();
        if n == 5 {
            region.delete(Delete::new(row).durability(durability)).unwrap();
            state.remove(row);
        } else {
            region.put(put(row, n).durability(durability)).unwrap();
            state.insert(row.to_owned(), n);
        }
        states.push(state);
    }
    states
}

/// How the log fails.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// At the sync of a write.
    OfWrite,
    /// At the sync of a flush.
    OfFlush,
    /// At the sync of a write; then a flush fails at its call of this number.
    Twice(u64),
}

/// Fails the log, and loses power at each call of the flushes and the close after it. Returns whether a flush
/// has failed, and the number of calls.
fn fail_and_cut(is_alone: bool, failure: Failure) -> (bool, usize) {
    let storage = FaultyStorage::new();
    create(&storage, is_alone);
    let (table, region) = open(&storage, is_alone);
    let mut states = write(&region);
    let acknowledged = states.last().unwrap().clone();
    let has_failed = || region.health().poisoned.is_some();
    if !matches!(failure, Failure::OfFlush) {
        storage.break_calls(Call::Sync);
        region.put(put("e", 9)).unwrap_err();
        storage.repair();
        assert!(has_failed());
        // It may have been stored nevertheless.
        let mut last = acknowledged.clone();
        last.insert("e".to_owned(), 9);
        states.push(last);
    }
    storage.fork_at_random(1, 1);
    match failure {
        Failure::OfWrite => {}
        Failure::OfFlush => storage.fail_after(0),
        Failure::Twice(calls) => storage.fail_after(calls),
    }
    let is_flushed = region.flush().is_ok();
    storage.heal();
    assert!(has_failed());
    region.close().unwrap();
    drop((region, table));
    let forks = storage.take_forks();
    let (all, mut lost) = (forks.len(), 0);
    for (n, fork) in forks.into_iter().enumerate() {
        for crash in (0..4).map(Crash::Chance).chain([Crash::Hard, Crash::Torn, Crash::OfTheProcess]) {
            let shown = format!("alone: {is_alone}, {failure:?}, {crash:?} at {n} of {all}");
            let (_table, region) = open(&fork.after(crash), is_alone);
            let found = values(&region, &shown);
            assert!(states.contains(&found), "{shown}: {found:?}");
            lost += u32::from(found == states[0]);
        }
    }
    assert!(lost > 0, "all that was not synced may be lost");
    let (_table, region) = open(&storage.after(Crash::Hard), is_alone);
    assert_eq!(values(&region, "at the end"), acknowledged, "alone: {is_alone}, {failure:?}");
    region.put(put("z", 1)).unwrap();
    (!is_flushed, all)
}

#[test]
fn a_flush_after_a_failure_of_the_log_tears_no_write() {
    for is_alone in [true, false] {
        for failure in [Failure::OfWrite, Failure::OfFlush] {
            let (has_failed, calls) = fail_and_cut(is_alone, failure);
            assert!(!has_failed && calls > 10, "{failure:?}: {calls} calls");
        }
    }
}

#[test]
fn a_flush_that_fails_after_a_failure_of_the_log_tears_no_write() {
    for is_alone in [true, false] {
        let fails = |calls: &u64| fail_and_cut(is_alone, Failure::Twice(*calls)).0;
        let failed = (0..40).step_by(4).filter(fails).count();
        assert!(failed > 5, "{failed} flushes have failed");
    }
}

/// Entries missing from the log can be written to no other log: nothing is flushed, and nothing is lost.
#[test]
fn a_flush_that_cannot_log_again_keeps_what_is_in_memory() {
    let storage = FaultyStorage::new();
    create(&storage, true);
    let (_, region) = open(&storage, true);
    let acknowledged = write(&region).pop().unwrap();
    storage.break_calls(Call::Sync);
    region.put(put("e", 9)).unwrap_err();
    region.flush().unwrap_err();
    assert_eq!(FAMILIES.map(|family| region.store_file_count(family)), [Some(0); 2]);
    assert_eq!(values(&region, "in memory"), acknowledged);
    storage.repair();
    region.close().unwrap();
    drop(region);
    let (_, region) = open(&storage.after(Crash::Hard), true);
    let mut found = values(&region, "opened again");
    found.remove("e");
    assert_eq!(found, acknowledged);
}
