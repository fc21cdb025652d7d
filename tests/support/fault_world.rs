//! A region on a storage with failing calls, and a model of the expected content.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use super::rng::Rng;
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::{
    CellRef, CellType, Compaction, Delete, Durability, ErrorKind, Family, Get, HFileWriter, ManualClock, Put,
    Region, RegionInfo, Result, Scan, SeekKey, Storage, StoreFileOrigin, StoreFileWriter, TableName,
};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const FAMILIES: [&str; 2] = ["f", "g"];
const VERSIONS: usize = 3;
/// The time at which the region is created.
const FIRST_TIME: i64 = 1_000;

/// The content of a family: for each row and qualifier the versions, newest first.
type State = BTreeMap<(String, String), Vec<(i64, String)>>;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Put(String, String),
    /// Deletes all families of a row.
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
    /// All calls of this kind fail until the next `Repair`.
    Break(Call),
    Repair,
}

const BREAKABLE: [Call; 8] = [
    Call::Create,
    Call::Write,
    Call::Truncate,
    Call::Sync,
    Call::Rename,
    Call::Remove,
    Call::SyncDir,
    Call::CreateDir,
];

pub(crate) fn script(rng: &mut Rng, len: usize) -> Vec<Op> {
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

/// A region, its expected content, and the contents that are allowed after a crash.
pub(crate) struct World {
    pub(crate) storage: FaultyStorage,
    failure: Failure,
    dir: PathBuf,
    tracker: Option<[&'static str; 3]>,
    clock: Arc<ManualClock>,
    now: i64,
    region: Option<Region>,
    state: [State; 2],
    /// For each family, the possible states of its files, which are all that remains without a log.
    durable: [Vec<State>; 2],
    durability: Durability,
    /// With a log, the states other than the current one that may be found after a crash: states with a write
    /// that failed after it may have been logged.
    doubtful: Vec<[State; 2]>,
    loads: usize,
    poisonings: usize,
}

/// Returns the directory of a region: a separate one, or one below a root, where replaced files are moved to
/// the archive.
fn dir(is_in_root: bool) -> PathBuf {
    if !is_in_root {
        return PathBuf::from("/store/region");
    }
    let table = TableName::parse("default").unwrap();
    let info = RegionInfo::new(table, "", "", FIRST_TIME).unwrap();
    Path::new("/store/data/default/default").join(info.encoded_name())
}

impl World {
    pub(crate) fn new(tracker: Option<[&'static str; 3]>, durability: Durability, is_in_root: bool) -> Self {
        let clock = Arc::new(ManualClock::new(FIRST_TIME));
        let storage = FaultyStorage::new();
        if tracker == Some(OBJECTS) {
            storage.has_objects();
        }
        let mut world = Self {
            storage,
            failure: FAILURES[0],
            dir: dir(is_in_root),
            tracker,
            clock,
            now: FIRST_TIME,
            region: None,
            state: Default::default(),
            durable: [vec![State::new()], vec![State::new()]],
            durability,
            doubtful: Vec::new(),
            loads: 0,
            poisonings: 0,
        };
        world.region = Some(world.try_open().unwrap());
        world
    }

    /// Returns the world after a crash: the region is not open.
    pub(crate) fn after(&self, crash: Crash) -> Self {
        Self {
            storage: self.left_by(crash),
            failure: FAILURES[0],
            dir: self.dir.clone(),
            tracker: self.tracker,
            clock: Arc::new(ManualClock::new(self.now)),
            now: self.now,
            region: None,
            state: self.state.clone(),
            durable: self.durable.clone(),
            durability: self.durability,
            doubtful: self.doubtful.clone(),
            loads: self.loads,
            poisonings: 0,
        }
    }

    /// Returns the files after a crash. If only the process has ended, its unsynced writes can still be lost.
    fn left_by(&self, crash: Crash) -> FaultyStorage {
        match crash {
            Crash::OfTheProcess => self.storage.copy(),
            crash => self.storage.after(crash),
        }
    }

    /// Continues from [`after`](Self::after): opens the region and plays operations without crashes, with one
    /// of all calls failing. Returns the number of calls.
    pub(crate) fn play_from_open(&mut self, ops: &[Op], fault: Option<u64>, context: &str) -> u64 {
        self.fail_as(FAILURES[usize::try_from(fault.unwrap_or(0)).unwrap() % FAILURES.len()]);
        self.storage.fail_among_all(fault);
        let before = self.storage.all_calls();
        self.open(context);
        for (i, op) in ops.iter().enumerate() {
            self.play(op, &format!("{context}, step {i} {op:?}"));
        }
        self.storage.all_calls() - before
    }

    /// Sets how calls fail, also after crashes.
    fn fail_as(&mut self, failure: Failure) {
        failure.set(&self.storage);
        self.failure = failure;
    }

    fn try_open(&self) -> Result<Region> {
        let family = |name: &str| {
            let family = Family::new(name.to_owned()).max_versions(u32::try_from(VERSIONS).unwrap());
            let [tracker, source, target] = self.tracker.unwrap_or_default();
            let settings = [
                ("hbase.store.file-tracker.impl", if self.has_objects() { "FILE" } else { tracker }),
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
            .durability(self.durability)
            .family(family("f"))
            .family(family("g"))
            .open(&self.dir)
    }

    fn has_objects(&self) -> bool {
        self.tracker == Some(OBJECTS)
    }

    pub(crate) fn region(&self) -> &Region {
        self.region.as_ref().expect("an open region")
    }

    /// Opens the region, retrying on failures. Checks that the content found is one of the allowed states.
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
        if self.durability > Durability::SkipWal {
            let is_allowed = found == self.state || self.doubtful.contains(&found);
            assert!(is_allowed, "{context}: {found:?}\nexpected {:?}\nor {:?}", self.state, self.doubtful);
            self.doubtful.clear();
            self.durable = found.clone().map(|state| vec![state]);
            self.state = found;
            return;
        }
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

    /// Called before a flush: the state in memory becomes one of the states that may be durable.
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

    /// Plays an operation. A failing operation must not change the readable content.
    pub(crate) fn play(&mut self, op: &Op, context: &str) {
        self.now += 1;
        self.clock.set(self.now);
        match op {
            Op::Put(row, qualifier) => {
                let value = format!("v{}", self.now);
                let put = FAMILIES.iter().fold(Put::new(row.clone()), |put, family| {
                    put.cell(family.to_owned().to_owned(), qualifier.clone(), value.clone())
                });
                let done = self.region().put(put);
                self.written(&done, context, |world| {
                    (0..FAMILIES.len()).for_each(|family| world.write(family, row, qualifier, &value));
                });
            }
            Op::DeleteRow(row) => {
                let done = self.region().delete(Delete::new(row.clone()));
                self.written(&done, context, |world| {
                    world.state.iter_mut().for_each(|state| state.retain(|(r, _), _| r != row));
                });
            }
            Op::DeleteColumn(row, family, qualifier) => {
                let delete = Delete::new(row.clone()).column(FAMILIES[*family], qualifier.clone());
                let done = self.region().delete(delete);
                self.written(&done, context, |world| {
                    world.state[*family].remove(&(row.clone(), qualifier.clone()));
                });
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
                    && self.region().get(&Get::new("r0")).err().map(|e| e.kind()) != Some(ErrorKind::Closed)
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
        if !self.storage.has_died() {
            self.check(context);
        }
    }

    /// Loses power, or ends the process, after some calls: during an operation, and then perhaps during the
    /// recovery. At the end, power is lost. Every acknowledged operation must be found, and all or nothing of
    /// the interrupted one.
    pub(crate) fn play_until_power_fails(&mut self, ops: &[Op], calls: u64, rng: &mut Rng, context: &str) {
        self.storage.die_after(calls);
        for op in ops {
            self.play(op, context);
            if self.storage.has_died() {
                break;
            }
        }
        while rng.below(3) == 0 {
            let crash = if rng.below(3) == 0 { Crash::OfTheProcess } else { Crash::Chance(rng.next()) };
            let left = self.left_by(crash);
            self.end_process();
            self.storage = left;
            self.storage.die_after(u64::try_from(rng.below(40)).unwrap());
            if let Ok(region) = self.try_open() {
                self.region = Some(region);
            }
        }
        self.crash(Crash::Chance(rng.next()), context);
        self.settle(context);
    }

    /// Applies a write to the state if it was acknowledged. A write may fail only if the state of the files
    /// or the log is unknown, or if it could not be logged: then it must have no effect.
    fn written(&mut self, done: &Result<()>, context: &str, write: impl FnOnce(&mut Self)) {
        let poisoned = self.region().health().poisoned.is_some();
        let Err(error) = done else {
            assert!(!poisoned, "{context}: a poisoned region takes no writes");
            write(self);
            return;
        };
        if poisoned {
            assert_eq!(error.kind(), ErrorKind::Poisoned, "{context}: {error}");
            let before = self.state.clone();
            write(self);
            self.doubtful.push(std::mem::replace(&mut self.state, before));
        } else {
            assert!(self.durability > Durability::SkipWal, "{context}: {error}");
            assert_eq!(error.kind(), ErrorKind::Io, "{context}: {error}");
        }
    }

    fn bulk_load(&mut self, cells: &[(usize, String, String)]) {
        if self.has_objects() {
            let path = PathBuf::from("/incoming/0");
            assert!(self.region().bulk_load(&[("f", path)]).is_err(), "it needs a rename");
            return;
        }
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
                let after = std::mem::replace(&mut self.state, before.clone());
                // A load is atomic, unless it could not be undone.
                if self.region().health().poisoned.is_some() {
                    let [one, other] = after.clone();
                    self.doubtful.push([one, before[1].clone()]);
                    self.doubtful.push([before[0].clone(), other]);
                    self.doubtful.push(after);
                }
                // After a failed load the files belong to the caller again.
                if self.region().health().poisoned.is_none() {
                    let there = written.iter().all(|(_, path)| self.storage.bytes(path).is_some());
                    assert!(there, "a refused file was moved");
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
        writer.finish(&StoreFileOrigin::flush(0))?;
        // Rewrites the file without a sync, as other programs may do.
        let bytes = self.storage.bytes(path).expect("the file that was written");
        let failed = |error| hregion::Error::io("copy", path, error);
        self.storage.create(path).map_err(failed)?.write_all(&bytes).map_err(failed)
    }

    pub(crate) fn crash(&mut self, crash: Crash, context: &str) {
        let left = self.left_by(crash);
        self.failure.set(&left);
        left.fail_among_all(self.storage.pending_faults());
        self.end_process();
        self.storage = left;
        self.open(context);
    }

    /// Ends the process: later calls of the region, such as those of closing it, do not change the storage.
    pub(crate) fn end_process(&mut self) {
        self.storage.die_after(0);
        self.region = None;
    }

    /// Compares the region's content with the model, and reopens a poisoned region.
    fn check(&mut self, context: &str) {
        match self.read() {
            Ok(found) => assert_eq!(found, self.state, "{context}"),
            Err(error) => assert_ne!(error.kind(), ErrorKind::Corrupt, "{context}: {error}"),
        }
        if self.region().health().poisoned.is_some() {
            self.poisonings += 1;
            // If only the log has failed, the memstore can still be flushed.
            match self.region().flush() {
                Ok(()) => assert!(self.durability > Durability::SkipWal, "{context}"),
                Err(error) => {
                    assert!(
                        matches!(error.kind(), ErrorKind::Poisoned | ErrorKind::Io),
                        "{context}: {error}"
                    );
                }
            }
            self.region = None;
            self.open(context);
        }
    }

    /// Ends all faults, then checks that every operation works and preserves the state.
    pub(crate) fn settle(&mut self, context: &str) {
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
        let names_below = |world: &Self, name: &str| {
            let (names, dir) = (world.storage.names().into_iter(), world.dir.join(name));
            names.filter(move |name| Path::new("/").join(name).starts_with(&dir)).collect::<Vec<_>>()
        };
        let left = names_below(self, ".tmp");
        assert!(left.is_empty(), "{context}: {left:?}");
        // A closed region has no log. Torn ones are kept under names with an extension.
        self.play(&Op::Put("r1".into(), "q0".into()), context);
        self.region().close().unwrap();
        let mut left = names_below(self, "recovered.edits");
        left.retain(|name| name.extension().is_none());
        assert!(left.is_empty(), "{context}: {left:?}");
    }
}

/// Plays a script with the calls in `faults` failing, in a separate region or one below a root, and with
/// locks that can be lost or not, depending on the seed. Returns the number of calls and the number of times
/// that the region was poisoned.
pub(crate) fn run(
    tracker: Option<[&'static str; 3]>,
    durability: Durability,
    ops: &[Op],
    faults: &[u64],
    failure: Failure,
    seed: u64,
) -> (u64, usize) {
    let mut world = World::new(tracker, durability, seed / 2 % 2 == 1);
    // Locks that can be lost are only in storages in which all changes are durable.
    if seed / 4 % 2 == 1 && !ops.iter().any(|op| matches!(op, Op::PowerCut(_))) {
        world.storage.has_leases();
        world.play(&Op::Close, "with leases");
    }
    world.fail_as(failure);
    world.storage.fail_among_all(faults.iter().copied());
    let mut calls = 0;
    for (i, op) in ops.iter().enumerate() {
        let before = world.storage.all_calls();
        let context =
            format!("seed {seed}, tracker {tracker:?}, faults {faults:?} {failure:?}, step {i} {op:?}");
        world.play(op, &context);
        let after = world.storage.all_calls();
        calls += after.checked_sub(before).unwrap_or(after);
    }
    world.settle(&format!("seed {seed}, tracker {tracker:?}, faults {faults:?} {failure:?}, at the end"));
    (calls, world.poisonings)
}

/// Instead of a tracker: a storage without renames, with the tracker FILE.
const OBJECTS: [&str; 3] = ["FILE, without renames", "", ""];

pub(crate) const TRACKERS: [Option<[&str; 3]>; 6] = [
    None,
    Some(["DEFAULT", "", ""]),
    Some(["FILE", "", ""]),
    Some(["MIGRATION", "DEFAULT", "FILE"]),
    Some(["MIGRATION", "FILE", "DEFAULT"]),
    Some(OBJECTS),
];
/// With a log, nothing may be lost.
pub(crate) const DURABILITIES: [Durability; 2] = [Durability::FsyncWal, Durability::SkipWal];

/// How calls fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failure {
    kind: io::ErrorKind,
    /// Whether the call is made, and only its answer is lost.
    loses_answer: bool,
}

impl Failure {
    fn set(self, storage: &FaultyStorage) {
        storage.fail_with(self.kind);
        storage.lose_answers(self.loses_answer);
    }
}

pub(crate) const FAILURES: [Failure; 4] = [
    Failure { kind: io::ErrorKind::Other, loses_answer: false },
    Failure { kind: io::ErrorKind::StorageFull, loses_answer: false },
    Failure { kind: io::ErrorKind::Other, loses_answer: true },
    Failure { kind: io::ErrorKind::PermissionDenied, loses_answer: false },
];

/// Plays a fuzzer's input: the operations, the tracker, and the failing calls.
#[allow(dead_code, reason = "for fuzz targets")]
pub(crate) fn play_bytes(input: &[u8]) {
    let mut rng = Rng::of_bytes(input);
    let tracker = TRACKERS[rng.below(TRACKERS.len())];
    let failure = FAILURES[rng.below(FAILURES.len())];
    let faults = (0..rng.below(16)).map(|_| rng.next() << 3 | rng.next() & 7).collect::<Vec<u64>>();
    let ops = script(&mut rng, (input.len() / 4).min(80));
    let durability = DURABILITIES[rng.below(DURABILITIES.len())];
    run(tracker, durability, &ops, &faults, failure, 0);
}
