//! Power is lost while memory is flushed after the log has failed: no write is torn then either.

use super::{ROOT, TABLE};
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::{Delete, Durability, Family, ManualClock, Put, Region, RegionOptions, Scan, Scheduler, Table};
use std::collections::BTreeMap;
use std::sync::Arc;

const DIR: &str = "/region";
const FAMILIES: [&str; 2] = ["f", "g"];

fn options(storage: &FaultyStorage) -> RegionOptions {
    let options = Region::options().storage(Arc::new(storage.clone())).scheduler(&Scheduler::inline());
    options.clock(Arc::new(ManualClock::new(1))).compaction_enabled(false)
}

/// A region with a log of its own, or one of a table.
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

/// The value of each row, which both families must have.
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

/// Writes rows that are not waited for, each to both families. Returns what is to be read after each.
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

/// Fails the log before a flush or during one, and loses power at each call of a close.
fn fail_and_cut(is_alone: bool, fails_before: bool) {
    let storage = FaultyStorage::new();
    create(&storage, is_alone);
    let (table, region) = open(&storage, is_alone);
    let mut states = write(&region);
    let acknowledged = states.last().unwrap().clone();
    if fails_before {
        storage.break_calls(Call::Sync);
        region.put(put("e", 9)).unwrap_err();
        storage.repair();
        // It may be there all the same.
        states.push(
            [acknowledged.clone(), BTreeMap::from([("e".to_owned(), 9)])].into_iter().flatten().collect(),
        );
    } else {
        storage.fail_after(0);
    }
    storage.fork_at_random(1, 1);
    region.flush().unwrap();
    assert!(region.health().poisoned.is_some());
    assert_eq!(region.memstore_size(), 0);
    region.close().unwrap();
    drop((region, table));
    let forks = storage.take_forks();
    let (all, mut begun) = (forks.len(), 0);
    for (n, fork) in forks.into_iter().enumerate() {
        for crash in (0..6).map(Crash::Chance).chain([Crash::Hard, Crash::Torn, Crash::OfTheProcess]) {
            let shown = format!("alone: {is_alone}, before: {fails_before}, {crash:?} at {n} of {all}");
            let left = fork.after(crash);
            let (_table, region) = open(&left, is_alone);
            let found = values(&region, &shown);
            assert!(states.contains(&found), "{shown}: {found:?}");
            begun += u32::from(found == states[0]);
        }
    }
    assert!(all > 10 && begun > 0, "{all} calls, {begun} losses of all that was not synced");
    let left = storage.after(Crash::Hard);
    let (_table, region) = open(&left, is_alone);
    assert_eq!(values(&region, "at the end"), acknowledged, "alone: {is_alone}, before: {fails_before}");
    region.put(put("z", 1)).unwrap();
}

#[test]
fn a_flush_after_a_failure_of_the_log_tears_no_write() {
    for is_alone in [true, false] {
        [true, false].into_iter().for_each(|fails_before| fail_and_cut(is_alone, fails_before));
    }
}

/// What the log lacks can be written to no other log: nothing is flushed, and nothing is lost.
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
