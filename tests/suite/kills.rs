//! A process is killed while it writes, deletes, flushes, compacts, bulk-loads, alters and creates a region:
//! no acknowledged write is lost, no row is torn, nothing deleted reappears, and every region can be
//! reopened.
//!
//! `HREGION_OPS` sets the number of kills, `HREGION_SEED` the seed, which is random by default.
#![cfg(unix)]

use crate::support::child::{Child, tell};
use crate::support::random_ops::{fresh_seed, number, say};
use crate::support::rng::Rng;
use crate::support::written::write_store_file;
use hregion::{
    CellType, Compaction, Delete, ErrorKind, Family, HFileWriter, Put, Region, Scan, SeekKey, StoreFileOrigin,
};
use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

const FAMILIES: [&str; 2] = ["f", "g"];

/// The content of a family: the newest value of each row.
type State = BTreeMap<String, String>;

#[derive(Clone, Copy, Debug)]
enum Op {
    Put(usize),
    Delete(usize, usize),
    Flush,
    Major,
    Minor,
    BulkLoad(usize),
    Reopen,
    Alter,
}

/// Returns the operation of a number: the same in the killed process and in the checking one.
fn op(number: u64) -> Op {
    let mut rng = Rng::new(number.wrapping_mul(0x9e37));
    let (row, family) = (rng.below(6), rng.below(2));
    match rng.below(20) {
        0..8 => Op::Put(row),
        8..11 => Op::Delete(row, family),
        11..15 => Op::Flush,
        15 => Op::Major,
        16 => Op::Minor,
        17 => Op::BulkLoad(row),
        18 => Op::Reopen,
        _ => Op::Alter,
    }
}

fn row(row: usize) -> String {
    format!("row{row}")
}

fn open(dir: &Path, altered: Option<u64>) -> hregion::Result<Region> {
    let options = Region::options().writable(true).in_memory_flush_size(1_000);
    let exists = dir.join(".regioninfo").exists();
    let options = match altered {
        Some(number) => {
            options.alter(true).family(Family::new("f").configuration("my.number", number.to_string()))
        }
        None if exists => options,
        None => options.create_if_missing(true).family(Family::new("f")).family(Family::new("g")),
    };
    options.open(dir)
}

/// The process to be killed: prints `begin N` before each operation and `done N` after it.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn child() {
    let Some(dir) = env::var_os("HREGION_KILL_DIR").map(PathBuf::from) else { return };
    let first: u64 = env::var("HREGION_KILL_FIRST").unwrap().parse().unwrap();
    let mut region = open(&dir.join("region"), None).unwrap();
    for number in first.. {
        tell(&format!("begin {number}"));
        let (value, timestamp) = (format!("v{number}"), i64::try_from(number).unwrap());
        match op(number) {
            Op::Put(at) => {
                let put = FAMILIES.iter().fold(Put::new(row(at)), |put, family| {
                    put.cell_at(family.as_bytes().to_vec(), "q", timestamp, value.clone())
                });
                region.put(put).unwrap();
            }
            Op::Delete(at, family) => {
                region.delete(Delete::new(row(at)).family_at(FAMILIES[family], timestamp)).unwrap();
            }
            Op::Flush => region.flush().unwrap(),
            Op::Major => region.compact(Compaction::Major).unwrap(),
            Op::Minor => region.compact_files("f", 0, 2).unwrap(),
            Op::BulkLoad(at) => {
                let mut files = Vec::new();
                for family in FAMILIES {
                    let path = dir.join(format!("load.{family}.{number}"));
                    let key =
                        SeekKey::of(row(at).as_bytes(), family.as_bytes(), b"q", timestamp, CellType::Put);
                    let origin = StoreFileOrigin::flush(0);
                    write_store_file(HFileWriter::options(), &path, [(key, &value)], &origin);
                    files.push((family, path));
                }
                region.bulk_load(&files).unwrap();
            }
            Op::Reopen | Op::Alter => {
                region.close().unwrap();
                let altered = matches!(op(number), Op::Alter).then_some(number);
                region = open(&dir.join("region"), altered).unwrap();
            }
        }
        tell(&format!("done {number}"));
    }
}

/// The state expected by the checking process.
#[derive(Default)]
struct Ledger {
    state: [State; 2],
    /// The operation that has begun and has not ended.
    begun: Option<u64>,
}

impl Ledger {
    fn begin(&mut self, number: u64) {
        self.begun = Some(number);
    }

    fn done(&mut self, number: u64) {
        self.begun = None;
        self.state = after(&self.state, number);
    }

    /// Whether a state may be found: all acknowledged operations, and all or nothing of the operation that
    /// was running. The files of a bulk load are moved one by one.
    fn allows(&self, found: &[State; 2]) -> bool {
        let Some(number) = self.begun else { return *found == self.state };
        let after = after(&self.state, number);
        let is_one = |family: usize| found[family] == self.state[family] || found[family] == after[family];
        match op(number) {
            Op::BulkLoad(_) => is_one(0) && is_one(1),
            _ => *found == self.state || *found == after,
        }
    }
}

/// Returns the state after an operation.
fn after(state: &[State; 2], number: u64) -> [State; 2] {
    let mut state = state.clone();
    match op(number) {
        Op::Put(at) | Op::BulkLoad(at) => {
            state.iter_mut().for_each(|state| drop(state.insert(row(at), format!("v{number}"))));
        }
        Op::Delete(at, family) => drop(state[family].remove(&row(at))),
        Op::Flush | Op::Major | Op::Minor | Op::Reopen | Op::Alter => {}
    }
    state
}

fn read(region: &Region) -> [State; 2] {
    let mut found: [State; 2] = Default::default();
    let view = region.view();
    for row in view.scan(&Scan::new()).unwrap() {
        for cell in row.unwrap().cells() {
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
            let family = FAMILIES.iter().position(|name| name.as_bytes() == cell.family()).unwrap();
            found[family].insert(text(cell.row()), text(cell.value()));
        }
    }
    found
}

fn kill_often(kills: u64, seed: u64) {
    say(&format!("HREGION_SEED={seed} HREGION_OPS={kills}"));
    let mut rng = Rng::new(seed);
    let mut next = u64::from(u32::try_from(seed % 1_000_000).unwrap()) * 1_000_000 + 1;
    let (mut dir, mut ledger) = (tempfile::tempdir().unwrap(), Ledger::default());
    let mut operations = 0;
    for kill in 0..kills {
        if kill % 40 == 0 {
            (dir, ledger) = (tempfile::tempdir().unwrap(), Ledger::default());
        }
        let child = Child::start(
            "kills::child",
            [
                ("HREGION_KILL_DIR", dir.path().to_str().unwrap().to_owned()),
                ("HREGION_KILL_FIRST", next.to_string()),
            ],
        );
        // One in four is killed at any time, perhaps while it opens the region; the others are already
        // writing.
        let mut lines = Vec::new();
        let mut most = 40_000;
        if rng.below(4) > 0 {
            // Waits for a number of operations, however long they take, and for a part of the next.
            lines.extend((0..=rng.below(20)).map_while(|_| child.next_line()));
            most = 2_000;
        }
        thread::sleep(Duration::from_micros(rng.next() % most));
        lines.extend(child.kill_and_end());
        for line in lines {
            // The last line may be cut off.
            let Some((word, number)) = line.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "begin" => {
                    ledger.begin(number);
                    next = number + 1;
                }
                "done" => {
                    ledger.done(number);
                    operations += 1;
                }
                other => panic!("{other}"),
            }
        }
        let path = dir.path().join("region");
        let context = format!("seed {seed}, kill {kill} before operation {next}, {:?}", op(next - 1));
        let found = match Region::open(&path) {
            Ok(region) => read(&region),
            // The process was killed before it created the region.
            Err(error) if error.kind() == ErrorKind::Io && !path.exists() => Default::default(),
            Err(error) => panic!("{context}: {error}"),
        };
        if path.exists() {
            let region = Region::options().writable(true).open(&path);
            let region = region.unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(read(&region), found, "{context}: a writer reads what a reader reads");
        }
        assert!(ledger.allows(&found), "{context}: {found:?}\nexpected {:?}", ledger.state);
        ledger = Ledger { state: found, begun: None };
    }
    println!("{kills} kills, {operations} operations");
    assert!(operations > kills / 2, "too few operations before the kills: {operations} operations");
}

#[test]
fn a_killed_process_loses_nothing_that_was_acknowledged() {
    kill_often(number("HREGION_OPS").unwrap_or(60), number("HREGION_SEED").unwrap_or_else(fresh_seed));
}

#[test]
#[ignore = "takes minutes"]
fn a_killed_process_at_length() {
    kill_often(number("HREGION_OPS").unwrap_or(3_000), number("HREGION_SEED").unwrap_or_else(fresh_seed));
}
