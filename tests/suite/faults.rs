//! Regions on a storage with failing calls and power losses: nothing is lost, nothing deleted reappears, and
//! every region can be reopened.
//!
//! A script of writes, deletes, flushes, compactions, bulk loads, closes and crashes is played with one
//! storage call failing, for each call in turn, reads included. Other runs have several calls failing at
//! random. Some of the failing calls are made, and only their answers are lost. After each operation, and
//! after each open, the whole logical state is compared with a model.
//! `HREGION_SEED` sets the first seed, `HREGION_OPS` sets the number of runs.

use crate::support::fault_world::{DURABILITIES, FAILURES, Op, TRACKERS, World, run, script};
use crate::support::random_ops::{fresh_seed, number, play_all, say};
use crate::support::rng::Rng;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::{
    Compaction, Delete, Durability, Family, FileHandles, Put, ReadView, Region, RegionOptions, Scan,
};
use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

/// Plays a script without crashes, with each of its calls failing in turn.
fn single_faults(seed: u64) -> u64 {
    let mut rng = Rng::new(seed);
    let mut ops = script(&mut rng, 24);
    ops.retain(|op| !matches!(op, Op::PowerCut(_) | Op::Kill | Op::Break(_)));
    let number = usize::try_from(seed).unwrap();
    let tracker = TRACKERS[number % TRACKERS.len()];
    let durability = DURABILITIES[number / TRACKERS.len() % DURABILITIES.len()];
    let (calls, _) = run(tracker, durability, &ops, &[], FAILURES[0], seed);
    for n in 0..calls {
        let failure = FAILURES[usize::try_from(n).unwrap() % FAILURES.len()];
        run(tracker, durability, &ops, &[n], failure, seed);
    }
    calls
}

/// Plays one long script, and from each of its crashes on, the part up to the next crash with each of its
/// calls failing, or with one in `one_in`. With `HREGION_SHARD=k/n` calls fail only in each n-th part, from
/// part k on, so that n processes share the work. Returns the number of calls of these parts, and of the
/// calls that failed.
fn long_script(operations: usize, one_in: usize) -> (u64, u64) {
    let operations = number("HREGION_OPS").map_or(operations, |ops| usize::try_from(ops).unwrap());
    let seed = number("HREGION_SEED").unwrap_or_else(fresh_seed);
    let (shard, shards) = shard();
    say(&format!("HREGION_SEED={seed} HREGION_OPS={operations} HREGION_SHARD={shard}/{shards}"));
    let mut rng = Rng::new(seed ^ 0x1096);
    let mut ops = Vec::new();
    while ops.len() < operations {
        ops.extend(script(&mut rng, 1));
        ops.pop_if(|op| matches!(op, Op::PowerCut(_) | Op::Kill | Op::Break(_)));
    }
    let tracker = TRACKERS[rng.below(TRACKERS.len())];
    let durability = DURABILITIES[usize::from(rng.below(4) == 0)];
    let mut world = World::new(tracker, durability, rng.below(2) == 0);
    let (mut calls, failed) = (0, AtomicU64::new(0));
    for (part, ops) in ops.chunks(24).enumerate() {
        let crash = if rng.below(2) == 0 { Crash::OfTheProcess } else { Crash::Chance(rng.next()) };
        let left = world.after(crash);
        world.end_process();
        world = left.after(Crash::OfTheProcess);
        let shown = format!("HREGION_SEED={seed}, tracker {tracker:?}, {durability:?}, part {part}");
        let all = world.play_from_open(ops, None, &shown);
        let chosen: Vec<u64> = (0..all).filter(|_| rng.below(one_in) == 0).collect();
        if part % shards != shard {
            continue;
        }
        calls += all;
        let next = AtomicUsize::new(0);
        let play = || {
            while let Some(&n) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
                let shown = format!("{shown}, call {n} of {all}");
                let mut world = left.after(Crash::OfTheProcess);
                world.play_from_open(ops, Some(n), &shown);
                failed.fetch_add(u64::from(world.storage.pending_faults().is_empty()), Ordering::Relaxed);
                world.settle(&format!("{shown}, at the end"));
            }
        };
        let threads = thread::available_parallelism().map_or(1, usize::from).min(chosen.len());
        thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(play))));
        if part / shards % 10 == 9 {
            say(&format!("part {part}: {} of {calls} calls have failed", failed.load(Ordering::Relaxed)));
        }
    }
    world.settle("at the end");
    (calls, failed.into_inner())
}

/// This process's share of the work, `HREGION_SHARD`: all of it if it is not set.
fn shard() -> (usize, usize) {
    let Ok(shard) = env::var("HREGION_SHARD") else { return (0, 1) };
    let (shard, shards) = shard.split_once('/').expect("k/n");
    let (shard, shards) = (shard.parse().expect("a number"), shards.parse().expect("a number"));
    assert!(shard < shards, "{shard}/{shards}");
    (shard, shards)
}

/// Plays a script with crashes and several failing calls.
fn several_faults(seed: u64) -> usize {
    let mut rng = Rng::new(seed ^ 0x5eed);
    let ops = script(&mut rng, 40);
    let tracker = TRACKERS[rng.below(TRACKERS.len())];
    let durability = DURABILITIES[rng.below(DURABILITIES.len())];
    let (calls, _) = run(tracker, durability, &ops, &[], FAILURES[0], seed);
    let span = usize::try_from(calls).unwrap().max(1);
    let mut faults: Vec<u64> = Vec::new();
    for _ in 0..1 + rng.below(4) {
        let at = u64::try_from(rng.below(span)).unwrap();
        // A run of failing calls: the recovery from a failure fails too.
        let run = 1 + u64::try_from(rng.below(12)).unwrap();
        faults.extend(at..at + run);
    }
    run(tracker, durability, &ops, &faults, FAILURES[rng.below(FAILURES.len())], seed).1
}

/// Plays a script during which power is lost.
fn power_cut(seed: u64) {
    let mut rng = Rng::new(seed ^ 0xc07);
    let mut ops = script(&mut rng, 20);
    let is_upkeep = |op: &Op| matches!(op, Op::Close | Op::Drop | Op::Kill | Op::PowerCut(_) | Op::Break(_));
    ops.retain(|op| !is_upkeep(op));
    let tracker = TRACKERS[rng.below(TRACKERS.len())];
    let mut world = World::new(tracker, Durability::FsyncWal, rng.below(2) == 0);
    let calls = u64::try_from(rng.below(600)).unwrap();
    let context = format!("seed {seed}, tracker {tracker:?}, power fails after {calls} calls");
    world.play_until_power_fails(&ops, calls, &mut rng, &context);
}

#[test]
fn a_power_cut_loses_nothing_and_brings_nothing_back() {
    play_all(1_500, 1, power_cut);
}

#[test]
#[ignore = "takes minutes"]
fn power_cuts_at_length() {
    play_all(10_000, 1, power_cut);
}

/// A compacted file that cannot be removed is ignored because the file that replaced it lists it as
/// compacted. If the replacement were itself compacted and removed, the remaining file would be read again,
/// with all deleted cells.
#[test]
fn a_replaced_file_that_stays_brings_nothing_back() {
    for tracker in TRACKERS {
        let mut world = World::new(tracker, Durability::SkipWal, false);
        let play = |world: &mut World, op: Op| world.play(&op, "a stuck file");
        play(&mut world, Op::Put("r0".into(), "q0".into()));
        play(&mut world, Op::Flush);
        let stuck: Vec<PathBuf> =
            world.storage.names().into_iter().filter(|name| name.starts_with("store/region/f")).collect();
        let stuck: Vec<PathBuf> =
            stuck.into_iter().filter(|name| !name.to_string_lossy().contains(".filelist")).collect();
        assert_eq!(stuck.len(), 1);
        world.storage.stick(&stuck[0]);
        play(&mut world, Op::DeleteRow("r0".into()));
        play(&mut world, Op::Flush);
        play(&mut world, Op::Major);
        let name = stuck[0].file_name().unwrap().to_str().unwrap().to_owned();
        let unarchived = world.region().health().unarchived_files;
        assert_eq!((unarchived.len(), &unarchived[0]), (2, &name), "the later file stays with the stuck one");
        play(&mut world, Op::Put("r1".into(), "q0".into()));
        play(&mut world, Op::Flush);
        assert!(world.region().compact(Compaction::Major).is_err(), "the first compaction is not complete");
        assert!(world.storage.bytes(&stuck[0]).is_some());
        world.crash(Crash::OfTheProcess, "a stuck file");
        world.storage.stick(&stuck[0]);
        play(&mut world, Op::Major);
        play(&mut world, Op::Kill);
        world.settle("a stuck file");
        assert!(world.storage.bytes(&stuck[0]).is_none());
    }
}

/// A region in a storage in which removed files can no longer be read.
fn by_path(storage: &FaultyStorage) -> RegionOptions {
    storage.read_by_path();
    let options = Region::options().storage(Arc::new(storage.clone())).compaction_enabled(false);
    options.file_handles(&FileHandles::with_capacity(100)).writable(true)
}

/// Replaced files that a view reads are set aside until the view is closed. Each call for that fails in turn,
/// or only its answer is lost.
#[test]
fn what_is_set_aside_is_read_and_does_not_come_back() {
    let (before, dir) = (FaultyStorage::new(), Path::new("/store/region"));
    let write = |region: &Region, row: &str| {
        region.put(Put::new(row.to_owned()).cell_at("f", "q", 1, "v")).unwrap();
        region.flush().unwrap();
    };
    let rows = |view: &ReadView| -> Vec<Vec<u8>> {
        view.scan(&Scan::new()).unwrap().map(|row| row.unwrap().key().to_vec()).collect()
    };
    let region = by_path(&before).create_if_missing(true).family(Family::new("f")).open(dir).unwrap();
    ["a", "b"].iter().for_each(|row| write(&region, row));
    region.close().unwrap();
    for (n, loses_answer) in (0..).flat_map(|n| [(n, false), (n, true)]) {
        let storage = before.copy();
        let region = by_path(&storage).open(dir).unwrap();
        let view = region.view();
        assert_eq!(rows(&view), [b"a", b"b"]);
        region.delete(Delete::new("a")).unwrap();
        region.flush().unwrap();
        let calls = storage.calls();
        storage.lose_answers(loses_answer);
        storage.fail_after(n);
        let compacted = region.compact(Compaction::Major);
        let is_over = storage.calls() - calls <= n;
        storage.heal();
        let shown = format!("call {n}, its answer is lost: {loses_answer}: {compacted:?}");
        assert_eq!(rows(&view), [b"a", b"b"], "{shown}");
        assert_eq!(rows(&region.view()), [b"b"], "{shown}");
        write(&region, "c");
        region.compact(Compaction::Major).unwrap_or_else(|error| panic!("{shown}, again: {error}"));
        assert_eq!(rows(&view), [b"a", b"b"], "{shown}");
        drop(view);
        region.compact(Compaction::Major).unwrap_or_else(|error| panic!("{shown}, later: {error}"));
        assert_eq!(region.health().unarchived_files, [""; 0], "{shown}");
        region.close().unwrap_or_else(|error| panic!("{shown}: {error}"));
        drop(region);
        let region = by_path(&storage).open(dir).unwrap();
        assert_eq!(rows(&region.view()), [b"b", b"c"], "{shown}");
        assert_eq!(region.store_file_count("f"), Some(1), "{shown}");
        let is_left = |path: &PathBuf| path.starts_with("store/region/.tmp");
        assert!(!storage.names().iter().any(is_left), "{shown}: {:?}", storage.names());
        if is_over {
            compacted.unwrap();
            assert!(n > 10, "{n}");
            return;
        }
    }
}

#[test]
fn one_failing_call_loses_nothing_and_brings_nothing_back() {
    let mut runs = 0;
    play_all(8, 1, |seed| runs += single_faults(seed));
    println!("{runs} runs");
}

#[test]
fn one_failing_call_of_a_long_script_loses_nothing() {
    let (calls, failed) = long_script(1_000, 150);
    println!("{failed} of {calls} calls failed");
    assert!(calls > 5_000 && failed > calls / 300, "{failed} of {calls}");
}

#[test]
#[ignore = "takes an hour"]
fn each_call_of_a_long_script_fails_at_length() {
    let (calls, failed) = long_script(10_000, 1);
    println!("{failed} of {calls} calls failed");
    assert!(failed > calls / 100 * 99, "{failed} of {calls}");
}

#[test]
fn several_failing_calls_lose_nothing_and_bring_nothing_back() {
    let mut poisonings = 0;
    play_all(500, 1, |seed| poisonings += several_faults(seed));
    println!("{poisonings} regions poisoned");
}

#[test]
#[ignore = "takes minutes"]
fn one_failing_call_at_length() {
    let mut runs = 0;
    play_all(150, 1, |seed| runs += single_faults(seed));
    println!("{runs} runs");
}

#[test]
#[ignore = "takes minutes"]
fn several_failing_calls_at_length() {
    let mut poisonings = 0;
    play_all(10_000, 1, |seed| poisonings += several_faults(seed));
    println!("{poisonings} regions poisoned");
}
