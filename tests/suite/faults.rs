//! Regions on a storage with failing calls and power losses: nothing is lost, nothing deleted reappears, and
//! every region can be reopened.
//!
//! A script of writes, deletes, flushes, compactions, bulk loads, closes and crashes is played with one
//! storage call failing, for each call in turn, reads included. Other runs have several calls failing at
//! random. After each operation, and after each open, the whole logical state is compared with that of a
//! model. `HREGION_SEED` sets the first seed, `HREGION_OPS` sets the number of runs.

use crate::support::fault_world::{DURABILITIES, KINDS, Op, TRACKERS, World, run, script};
use crate::support::random_ops::play_all;
use crate::support::rng::Rng;
use hregion::io::faulty::Crash;
use hregion::{Compaction, Durability};
use std::io;
use std::path::PathBuf;

/// Plays a script without crashes, with each of its calls failing in turn.
fn single_faults(seed: u64) -> u64 {
    let mut rng = Rng::new(seed);
    let mut ops = script(&mut rng, 24);
    ops.retain(|op| !matches!(op, Op::PowerCut(_) | Op::Kill | Op::Break(_)));
    let number = usize::try_from(seed).unwrap();
    let tracker = TRACKERS[number % TRACKERS.len()];
    let durability = DURABILITIES[number / TRACKERS.len() % DURABILITIES.len()];
    let (calls, _) = run(tracker, durability, &ops, &[], io::ErrorKind::Other, seed);
    for n in 0..calls {
        let kind = KINDS[usize::try_from(n).unwrap() % KINDS.len()];
        run(tracker, durability, &ops, &[n], kind, seed);
    }
    calls
}

/// Plays a script with crashes and several failing calls.
fn several_faults(seed: u64) -> usize {
    let mut rng = Rng::new(seed ^ 0x5eed);
    let ops = script(&mut rng, 40);
    let tracker = TRACKERS[rng.below(TRACKERS.len())];
    let durability = DURABILITIES[rng.below(DURABILITIES.len())];
    let (calls, _) = run(tracker, durability, &ops, &[], io::ErrorKind::Other, seed);
    let span = usize::try_from(calls).unwrap().max(1);
    let mut faults: Vec<u64> = Vec::new();
    for _ in 0..1 + rng.below(4) {
        let at = u64::try_from(rng.below(span)).unwrap();
        // A run of failing calls: the recovery from a failure fails too.
        let run = 1 + u64::try_from(rng.below(12)).unwrap();
        faults.extend(at..at + run);
    }
    run(tracker, durability, &ops, &faults, KINDS[rng.below(KINDS.len())], seed).1
}

/// Plays a script during which the power fails.
fn power_cut(seed: u64) {
    let mut rng = Rng::new(seed ^ 0xc07);
    let mut ops = script(&mut rng, 20);
    let is_upkeep = |op: &Op| matches!(op, Op::Close | Op::Drop | Op::Kill | Op::PowerCut(_) | Op::Break(_));
    ops.retain(|op| !is_upkeep(op));
    let tracker = TRACKERS[rng.below(TRACKERS.len())];
    let mut world = World::new(tracker, Durability::FsyncWal);
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
/// compacted. If the replacement were itself compacted and removed, the stuck file would be read again, with
/// everything deleted from it.
#[test]
fn a_replaced_file_that_stays_brings_nothing_back() {
    for tracker in TRACKERS {
        let mut world = World::new(tracker, Durability::SkipWal);
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
        assert_eq!(world.region().health().unarchived_files, [name]);
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

#[test]
fn one_failing_call_loses_nothing_and_brings_nothing_back() {
    let mut runs = 0;
    play_all(10, 1, |seed| runs += single_faults(seed));
    println!("{runs} runs");
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
