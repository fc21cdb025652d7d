//! Regions on a storage whose calls fail, and whose power goes: nothing is lost, nothing deleted comes back, and every
//! region opens again.
//!
//! A script of writes, deletes, flushes, compactions, bulk loads, closings and crashes is played with one call of the storage
//! failing, for each call in turn, reads included; and with several failing at random. After each operation, and after each
//! opening, the whole logical state is compared with that of a model. `HREGION_SEED` begins with another seed,
//! `HREGION_OPS` sets the number of runs.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that stops says where")]

mod support;

use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::{
    CellRef, CellType, Compaction, Delete, ErrorKind, Family, HFileWriter, ManualClock, Put, Region, Result,
    Scan, SeekKey, Storage, StoreFileOrigin, StoreFileWriter,
};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use support::games::play_all;
use support::rng::Rng;

const FAMILIES: [&str; 2] = ["f", "g"];
const VERSIONS: usize = 3;

/// What a read of a family shows: by row and qualifier the versions, newest first.
type State = BTreeMap<(String, String), Vec<(i64, String)>>;

#[derive(Clone, Debug)]
enum Op {
    Put(String, String),
    /// All families of a row.
    DeleteRow(String),
    DeleteColumn(String, usize, String),
    Flush,
    FlushFamily(usize),
    Major,
    Minor(usize, usize, usize),
    BulkLoad(Vec<(usize, String, String)>),
    Close,
    Drop,
    Kill,
    PowerCut(u64),
    /// All calls of a kind fail from here on, up to the next `Repair`.
    Break(Call),
    Repair,
}

const BREAKABLE: [Call; 7] =
    [Call::Create, Call::Write, Call::Sync, Call::Rename, Call::Remove, Call::SyncDir, Call::CreateDir];

fn script(rng: &mut Rng, len: usize) -> Vec<Op> {
    let mut ops = Vec::new();
    while ops.len() < len {
        let row = format!("r{}", rng.below(4));
        let qualifier = format!("q{}", rng.below(2));
        let family = rng.below(FAMILIES.len());
        ops.push(match rng.below(43) {
            0..15 => Op::Put(row, qualifier),
            15..17 => Op::DeleteRow(row),
            17..21 => Op::DeleteColumn(row, family, qualifier),
            21..26 => Op::Flush,
            26..28 => Op::FlushFamily(family),
            28..31 => Op::Major,
            31..34 => Op::Minor(family, rng.below(2), 1 + rng.below(3)),
            34..36 => {
                let files = (0..1 + rng.below(3)).map(|_| {
                    (rng.below(FAMILIES.len()), format!("r{}", rng.below(4)), format!("q{}", rng.below(2)))
                });
                Op::BulkLoad(files.collect())
            }
            36 => Op::Close,
            37 => Op::Drop,
            38 => Op::Kill,
            39 => Op::PowerCut(rng.next()),
            40 => Op::Break(BREAKABLE[rng.below(BREAKABLE.len())]),
            _ => Op::Repair,
        });
    }
    ops
}

/// A region, what it must show, and what may be found after a crash.
struct World {
    storage: FaultyStorage,
    tracker: Option<[&'static str; 3]>,
    clock: Arc<ManualClock>,
    now: i64,
    region: Option<Region>,
    state: [State; 2],
    /// Of each family, the states that its files may have.
    durable: [Vec<State>; 2],
    loads: usize,
    poisonings: usize,
}

fn dir() -> &'static Path {
    Path::new("/root/region")
}

impl World {
    fn new(tracker: Option<[&'static str; 3]>) -> Self {
        let clock = Arc::new(ManualClock::new(1_000));
        let mut world = Self {
            storage: FaultyStorage::new(),
            tracker,
            clock,
            now: 1_000,
            region: None,
            state: Default::default(),
            durable: [vec![State::new()], vec![State::new()]],
            loads: 0,
            poisonings: 0,
        };
        world.region = Some(world.try_open().unwrap());
        world
    }

    fn try_open(&self) -> Result<Region> {
        let family = |name: &str| {
            let family = Family::new(name.to_owned()).max_versions(u32::try_from(VERSIONS).unwrap());
            let [tracker, source, target] = self.tracker.unwrap_or_default();
            let settings = [
                ("hbase.store.file-tracker.impl", tracker),
                ("hbase.store.file-tracker.migration.src.impl", source),
                ("hbase.store.file-tracker.migration.dst.impl", target),
            ];
            let settings = settings.into_iter().filter(|(_, value)| !value.is_empty());
            settings.fold(family, |family, (key, value)| family.configuration(key, value))
        };
        Region::options()
            .storage(Arc::new(self.storage.clone()))
            .clock(Arc::clone(&self.clock) as _)
            .create_if_missing(true)
            .family(family("f"))
            .family(family("g"))
            .open(dir())
    }

    fn region(&self) -> &Region {
        self.region.as_ref().expect("an open region")
    }

    /// Opens the region, again if calls fail; then compares what is found with what may be.
    fn open(&mut self, context: &str) {
        self.storage.repair();
        let mut tries = 0;
        let region = loop {
            match self.try_open() {
                Ok(region) => break region,
                Err(error) => {
                    tries += 1;
                    assert!(tries < 1_000, "{context}: cannot be opened: {error}");
                }
            }
        };
        self.region = Some(region);
        let found = loop {
            if let Ok(found) = self.read() {
                break found;
            }
        };
        for (i, found) in found.into_iter().enumerate() {
            assert!(
                self.durable[i].contains(&found),
                "{context}: family {} has {found:?}\nexpected one of {:#?}",
                FAMILIES[i],
                self.durable[i]
            );
            self.durable[i] = vec![found.clone()];
            self.state[i] = found;
        }
    }

    fn read(&self) -> Result<[State; 2]> {
        let view = self.region().view();
        let scan = Scan::new().max_versions(u32::MAX);
        let mut found: [State; 2] = Default::default();
        for row in view.scan(&scan)? {
            for cell in row?.cells() {
                let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
                let family = FAMILIES.iter().position(|name| name.as_bytes() == cell.family()).unwrap();
                let versions = found[family].entry((text(cell.row()), text(cell.qualifier()))).or_default();
                versions.push((cell.timestamp(), text(cell.value())));
            }
        }
        Ok(found)
    }

    fn write(&mut self, family: usize, row: &str, qualifier: &str, value: &str) {
        let versions = self.state[family].entry((row.to_owned(), qualifier.to_owned())).or_default();
        versions.insert(0, (self.now, value.to_owned()));
        versions.truncate(VERSIONS);
    }

    /// Before a flush: what is in memory may become durable.
    fn may_flush(&mut self) {
        for (durable, state) in self.durable.iter_mut().zip(&self.state) {
            if !durable.contains(state) {
                durable.push(state.clone());
            }
        }
    }

    fn is_flushed(&mut self, family: usize) {
        self.durable[family] = vec![self.state[family].clone()];
    }

    /// Plays an operation; an operation that fails changes nothing that is read.
    fn play(&mut self, op: &Op, context: &str) {
        self.now += 1;
        self.clock.set(self.now);
        match op {
            Op::Put(row, qualifier) => {
                let value = format!("v{}", self.now);
                let put = FAMILIES.iter().fold(Put::new(row.clone()), |put, family| {
                    put.cell(family.to_owned().to_owned(), qualifier.clone(), value.clone())
                });
                let done = self.region().put(put);
                if self.acknowledged(&done) {
                    (0..FAMILIES.len()).for_each(|family| self.write(family, row, qualifier, &value));
                }
            }
            Op::DeleteRow(row) => {
                let done = self.region().delete(Delete::new(row.clone()));
                if self.acknowledged(&done) {
                    self.state.iter_mut().for_each(|state| state.retain(|(r, _), _| r != row));
                }
            }
            Op::DeleteColumn(row, family, qualifier) => {
                let delete = Delete::new(row.clone()).column(FAMILIES[*family], qualifier.clone());
                let done = self.region().delete(delete);
                if self.acknowledged(&done) {
                    self.state[*family].remove(&(row.clone(), qualifier.clone()));
                }
            }
            Op::Flush => {
                self.may_flush();
                if self.region().flush().is_ok() {
                    (0..FAMILIES.len()).for_each(|family| self.is_flushed(family));
                }
            }
            Op::FlushFamily(family) => {
                self.may_flush();
                if self.region().flush_families(&[FAMILIES[*family]]).is_ok() {
                    self.is_flushed(*family);
                }
            }
            Op::Major => drop(self.region().compact(Compaction::Major)),
            Op::Minor(family, from, count) => {
                drop(self.region().compact_files(FAMILIES[*family], *from, *count));
            }
            Op::BulkLoad(cells) => self.bulk_load(cells),
            Op::Close => {
                self.may_flush();
                let closed = self.region().close();
                if let Err(error) = &closed
                    && self.region().get(&hregion::Get::new("r0")).err().map(|e| e.kind())
                        != Some(ErrorKind::Closed)
                {
                    assert_ne!(error.kind(), ErrorKind::Poisoned, "{context}");
                    return;
                }
                if closed.is_ok() {
                    (0..FAMILIES.len()).for_each(|family| self.is_flushed(family));
                }
                self.region = None;
                self.open(context);
            }
            Op::Drop => {
                self.may_flush();
                self.region = None;
                self.open(context);
            }
            Op::Break(call) => self.storage.break_calls(*call),
            Op::Repair => self.storage.repair(),
            Op::Kill => self.crash(Crash::OfTheProcess, context),
            Op::PowerCut(seed) => self.crash(Crash::Chance(*seed), context),
        }
        self.check(context);
    }

    /// Whether a write was acknowledged. It fails on a poisoned region alone.
    fn acknowledged(&self, done: &Result<()>) -> bool {
        let poisoned = self.region().health().poisoned.is_some();
        match done {
            Ok(()) => assert!(!poisoned, "a poisoned region takes no writes"),
            Err(error) => {
                assert!(poisoned && error.kind() == ErrorKind::Poisoned, "{error}");
            }
        }
        done.is_ok()
    }

    fn bulk_load(&mut self, cells: &[(usize, String, String)]) {
        self.may_flush();
        let mut files: BTreeMap<usize, BTreeMap<(String, String), String>> = BTreeMap::new();
        for (family, row, qualifier) in cells {
            let value = format!("loaded{}", self.now);
            files.entry(*family).or_default().insert((row.clone(), qualifier.clone()), value);
        }
        let mut written: Vec<(&str, PathBuf)> = Vec::new();
        for (family, cells) in &files {
            self.loads += 1;
            let path = PathBuf::from(format!("/incoming/{}", self.loads));
            match self.write_file(FAMILIES[*family], cells, &path) {
                Ok(()) => written.push((FAMILIES[*family], path)),
                Err(_) => return,
            }
        }
        let before = self.state.clone();
        for (family, cells) in &files {
            for ((row, qualifier), value) in cells {
                self.write(*family, row, qualifier, value);
            }
        }
        self.may_flush();
        match self.region().bulk_load(&written) {
            Ok(()) => (0..FAMILIES.len()).for_each(|family| self.is_flushed(family)),
            Err(_) => {
                self.state = before;
                // The files are the caller's again.
                if self.region().health().poisoned.is_none() {
                    let there = written.iter().all(|(_, path)| self.storage.bytes(path).is_some());
                    assert!(there, "a file that was not loaded is where it was");
                }
            }
        }
    }

    fn write_file(
        &self,
        family: &str,
        cells: &BTreeMap<(String, String), String>,
        path: &Path,
    ) -> Result<()> {
        let options = HFileWriter::options().storage(Arc::new(self.storage.clone()) as Arc<dyn Storage>);
        let mut writer = StoreFileWriter::create(options, path)?;
        for ((row, qualifier), value) in cells {
            let (row, qualifier) = (row.as_bytes(), qualifier.as_bytes());
            let key = SeekKey::of(row, family.as_bytes(), qualifier, self.now, CellType::Put);
            writer.append(CellRef::new(&key, value.as_bytes()))?;
        }
        let origin = StoreFileOrigin::Store { max_seq_id: 0, major_compaction: false, compacted: Vec::new() };
        writer.finish(&origin)?;
        // A copy that was never synced, as other programs leave them.
        let bytes = self.storage.bytes(path).expect("the file that was written");
        let failed = |error| hregion::Error::io("copy", path, error);
        self.storage.create(path).map_err(failed)?.write_all(&bytes).map_err(failed)
    }

    fn crash(&mut self, crash: Crash, context: &str) {
        let left = self.storage.after(crash);
        left.fail_among_all(self.storage.pending_faults());
        // The process is gone: nothing is flushed, and no lock is held.
        std::mem::forget(self.region.take());
        self.storage = left;
        self.open(context);
    }

    /// Compares what is read with the model, and reopens a poisoned region.
    fn check(&mut self, context: &str) {
        match self.read() {
            Ok(found) => assert_eq!(found, self.state, "{context}"),
            Err(error) => assert_ne!(error.kind(), ErrorKind::Corrupt, "{context}: {error}"),
        }
        if self.region().health().poisoned.is_some() {
            self.poisonings += 1;
            assert_eq!(self.region().flush().unwrap_err().kind(), ErrorKind::Poisoned, "{context}");
            self.region = None;
            self.open(context);
        }
    }

    /// After all faults: everything works, and the state survives it.
    fn settle(&mut self, context: &str) {
        self.storage.heal();
        let maintain = |world: &mut Self| {
            for op in [Op::Flush, Op::Major, Op::Close, Op::Minor(0, 0, 9), Op::Kill] {
                let (before, durable) = (world.state.clone(), world.durable.clone());
                world.play(&op, context);
                assert_eq!(world.state, before, "{context}: {op:?} with {durable:?}");
            }
        };
        maintain(self);
        self.play(&Op::DeleteRow("r0".into()), context);
        self.play(&Op::Put("r1".into(), "q0".into()), context);
        self.play(&Op::Flush, context);
        maintain(self);
        let left: Vec<_> =
            self.storage.names().into_iter().filter(|name| name.starts_with("root/region/.tmp")).collect();
        assert!(left.is_empty(), "{context}: {left:?}");
    }
}

/// Plays a script with calls failing; returns how many calls there were and how often the region was poisoned.
fn run(
    tracker: Option<[&'static str; 3]>,
    ops: &[Op],
    faults: &[u64],
    kind: io::ErrorKind,
    seed: u64,
) -> (u64, usize) {
    let mut world = World::new(tracker);
    world.storage.fail_with(kind);
    world.storage.fail_among_all(faults.iter().copied());
    let mut calls = 0;
    for (i, op) in ops.iter().enumerate() {
        let before = world.storage.all_calls();
        let context = format!("seed {seed}, tracker {tracker:?}, faults {faults:?} {kind}, step {i} {op:?}");
        world.play(op, &context);
        let after = world.storage.all_calls();
        calls += after.checked_sub(before).unwrap_or(after);
    }
    world.settle(&format!("seed {seed}, tracker {tracker:?}, faults {faults:?} {kind}, at the end"));
    (calls, world.poisonings)
}

const TRACKERS: [Option<[&str; 3]>; 5] = [
    None,
    Some(["DEFAULT", "", ""]),
    Some(["FILE", "", ""]),
    Some(["MIGRATION", "DEFAULT", "FILE"]),
    Some(["MIGRATION", "FILE", "DEFAULT"]),
];
const KINDS: [io::ErrorKind; 3] =
    [io::ErrorKind::Other, io::ErrorKind::StorageFull, io::ErrorKind::PermissionDenied];

/// A script without crashes, with each of its calls failing in turn.
fn single_faults(seed: u64) -> u64 {
    let mut rng = Rng::new(seed);
    let mut ops = script(&mut rng, 24);
    ops.retain(|op| !matches!(op, Op::PowerCut(_) | Op::Kill | Op::Break(_)));
    let tracker = TRACKERS[usize::try_from(seed).unwrap() % TRACKERS.len()];
    let (calls, _) = run(tracker, &ops, &[], io::ErrorKind::Other, seed);
    for n in 0..calls {
        let kind = KINDS[usize::try_from(n).unwrap() % KINDS.len()];
        run(tracker, &ops, &[n], kind, seed);
    }
    calls
}

/// Scripts with crashes and several failing calls.
fn several_faults(seed: u64) -> usize {
    let mut rng = Rng::new(seed ^ 0x5eed);
    let ops = script(&mut rng, 40);
    let tracker = TRACKERS[rng.below(TRACKERS.len())];
    let (calls, _) = run(tracker, &ops, &[], io::ErrorKind::Other, seed);
    let span = usize::try_from(calls).unwrap().max(1);
    let mut faults: Vec<u64> = Vec::new();
    for _ in 0..1 + rng.below(4) {
        let at = u64::try_from(rng.below(span)).unwrap();
        // A run of failing calls: what undoes a failure fails too.
        let run = 1 + u64::try_from(rng.below(12)).unwrap();
        faults.extend(at..at + run);
    }
    run(tracker, &ops, &faults, KINDS[rng.below(KINDS.len())], seed).1
}

/// A file that was compacted and cannot be removed is left out because the file it was compacted to says so. If that one were
/// compacted too and removed, the first would be read again, with everything that was deleted from it.
#[test]
fn a_replaced_file_that_stays_brings_nothing_back() {
    for tracker in TRACKERS {
        let mut world = World::new(tracker);
        let play = |world: &mut World, op: Op| world.play(&op, "a stuck file");
        play(&mut world, Op::Put("r0".into(), "q0".into()));
        play(&mut world, Op::Flush);
        let stuck: Vec<PathBuf> =
            world.storage.names().into_iter().filter(|name| name.starts_with("root/region/f")).collect();
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
