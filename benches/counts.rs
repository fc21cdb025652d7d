//! Instructions and allocations of reads and writes, compared with those recorded in
//! `benches/record/counts.csv`.
//!
//! Unlike times, these counts are nearly the same in each run, so they show a change of a few percent, and CI
//! fails when one grows by a tenth. Instructions are counted by valgrind. The blocks that the cache evicts
//! depend slightly on the time between two reads, so a workload that seems to have grown is counted again,
//! and the least count is compared.
//!
//! ```sh
//! cargo bench --bench counts               # compares
//! cargo bench --bench counts -- --record   # writes the file again
//! ```
#![allow(clippy::print_stdout, reason = "the table is printed")]

#[path = "../tests/support/alloc.rs"]
#[allow(dead_code, reason = "the peak is not recorded")]
mod alloc;

use alloc::{CountingAlloc, measure};
use hregion::{
    BlockCache, BloomType, CellRef, CellType, Codec, Compaction, DataBlockEncoding, Durability, Family, Get,
    HFile, HFileWriter, Limits, Put, Region, RowBuf, Scan, SeekKey,
};
use std::collections::BTreeMap;
use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::thread;
use tempfile::TempDir;

#[global_allocator]
static ALLOC: CountingAlloc = CountingAlloc;

const RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/record/counts.csv");

static VALUE: [u8; 100] = [7; 100];

/// Counts may be larger than the recorded ones by this factor.
const TOLERANCE: f64 = 1.1;

/// How many times a workload is counted that seems to have grown.
const TRIES: usize = 4;

/// A negligible number of allocations for an operation.
const FEW: f64 = 0.05;

/// A workload: its name, the unit of its operations, and a function that prepares it and measures it once.
type Workload = (&'static str, &'static str, fn(usize) -> Measured);

const WORKLOADS: [Workload; 22] = [
    ("get-hot", "get", |rows| gets(&Store::one_file(rows, HOT), Wanted::Column)),
    ("get-row-hot", "get", |rows| gets(&Store::one_file(rows, HOT), Wanted::Row)),
    ("get-missing-hot", "get", |rows| gets(&Store::one_file(rows, HOT), Wanted::Missing)),
    ("get-5runs", "get", |rows| gets(&Store::runs(rows), Wanted::Column)),
    ("get-newest-5runs", "get", |rows| gets(&Store::updated(rows), Wanted::Column)),
    ("get-cold", "get", |rows| gets(&Store::one_file(rows, COLD), Wanted::Column)),
    ("get-cold-fast-diff", "get", |rows| {
        gets(&Store::encoded(rows, COLD, DataBlockEncoding::FastDiff), Wanted::Column)
    }),
    ("get-cold-row-index", "get", |rows| {
        gets(&Store::encoded(rows, COLD, DataBlockEncoding::RowIndexV1), Wanted::Column)
    }),
    ("scan-hot", "cell", |rows| scan(&Store::one_file(rows, HOT), false)),
    ("scan-reverse-hot", "cell", |rows| scan(&Store::one_file(rows, HOT), true)),
    ("scan-5runs", "cell", |rows| scan(&Store::runs(rows), false)),
    ("scan-cold", "cell", |rows| scan(&Store::one_file(rows, COLD), false)),
    ("file-seek", "seek", |rows| file_seeks(rows, DataBlockEncoding::None, Codec::None)),
    ("file-seek-fast-diff", "seek", |rows| file_seeks(rows, DataBlockEncoding::FastDiff, Codec::None)),
    ("file-seek-row-index", "seek", |rows| file_seeks(rows, DataBlockEncoding::RowIndexV1, Codec::None)),
    ("file-seek-zstd", "seek", |rows| file_seeks(rows, DataBlockEncoding::None, Codec::Zstd)),
    ("file-scan", "cell", |rows| file_scan(rows, Codec::None)),
    ("file-scan-zstd", "cell", |rows| file_scan(rows, Codec::Zstd)),
    ("put", "put", |rows| puts(rows, Durability::SkipWal)),
    ("put-log", "put", |rows| puts(rows, Durability::SyncWal)),
    ("flush", "cell", flush),
    ("compact", "cell", compact),
];

/// Bytes of a block cache that is large enough for everything.
const HOT: u64 = 1 << 30;
/// Bytes of a block cache that is large enough for about a tenth of the data.
const COLD: u64 = 320 << 10;

/// The number of measured operations, and their allocations.
struct Measured {
    operations: usize,
    allocations: usize,
}

/// Runs the measured work: valgrind counts the instructions of this function.
#[inline(never)]
fn counted(mut work: impl FnMut() -> usize) -> Measured {
    let (operations, usage) = measure(&mut work);
    Measured { operations, allocations: usage.count }
}

/// A region in a directory that is removed with it.
struct Store {
    region: Region,
    rows: usize,
    _dir: TempDir,
}

impl Store {
    fn empty(rows: usize, cache: u64, encoding: DataBlockEncoding) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let family = Family::new("cf").bloom(BloomType::Row).data_block_encoding(encoding);
        let options = Region::options()
            .cache(&BlockCache::with_capacity(cache))
            .create_if_missing(true)
            .durability(Durability::SkipWal)
            .family(family);
        Self { region: options.open(dir.path()).expect("a new region"), rows, _dir: dir }
    }

    fn encoded(rows: usize, cache: u64, encoding: DataBlockEncoding) -> Self {
        let store = Self::empty(rows, cache, encoding);
        (0..rows).for_each(|i| store.put(i));
        store.region.flush().expect("a file");
        store
    }

    fn one_file(rows: usize, cache: u64) -> Self {
        Self::encoded(rows, cache, DataBlockEncoding::None)
    }

    /// Returns a region whose rows are spread over four files and the MemStore.
    fn runs(rows: usize) -> Self {
        let store = Self::empty(rows, HOT, DataBlockEncoding::None);
        for run in 0..5 {
            (run..rows).step_by(5).for_each(|i| store.put(i));
            if run < 4 {
                store.region.flush().expect("a file");
            }
        }
        store
    }

    /// Returns a region whose rows are all in each of four files, and a fifth of them in the MemStore, with
    /// later timestamps each time.
    fn updated(rows: usize) -> Self {
        let store = Self::empty(rows, HOT, DataBlockEncoding::None);
        for run in 0..5 {
            (0..rows).step_by(if run < 4 { 1 } else { 5 }).for_each(|i| store.put_at(i, 1 + run));
            if run < 4 {
                store.region.flush().expect("a file");
            }
        }
        store
    }

    fn put(&self, i: usize) {
        self.put_at(i, 1);
    }

    fn put_at(&self, i: usize, timestamp: i64) {
        self.region
            .put(Put::new(row(i, self.rows)).cell_at("cf", "qual", timestamp, &VALUE[..]))
            .expect("a written row");
    }
}

/// The rows of even numbers exist. Their order is a permutation, so that neighbors are far apart.
fn row(i: usize, rows: usize) -> Vec<u8> {
    format!("row-{:012}", 2 * (i * 7919 % rows)).into_bytes()
}

#[derive(Clone, Copy, PartialEq)]
enum Wanted {
    Column,
    Row,
    Missing,
}

fn gets(store: &Store, wanted: Wanted) -> Measured {
    let mut get = Get::new([]);
    if wanted != Wanted::Row {
        get = get.column("cf", "qual");
    }
    let keys: Vec<Vec<u8>> = (0..store.rows)
        .map(|i| {
            let mut key = row(i, store.rows);
            if wanted == Wanted::Missing {
                key.push(b'x');
            }
            key
        })
        .collect();
    let mut buffer = RowBuf::new();
    let mut pass = || {
        for key in &keys {
            get.set_row(key);
            let found = store.region.get_into(&get, &mut buffer).expect("a sound file");
            assert_eq!(found, wanted != Wanted::Missing);
        }
        keys.len()
    };
    pass();
    counted(pass)
}

fn scan(store: &Store, reversed: bool) -> Measured {
    let scan = Scan::new().reversed(reversed);
    let pass = || {
        let view = store.region.view();
        let (mut scanner, mut cells) = (view.scan(&scan).expect("a scanner"), 0);
        while let Some(row) = scanner.next_row().expect("a sound file") {
            cells += row.len();
        }
        assert_eq!(cells, store.rows);
        cells
    };
    pass();
    counted(pass)
}

/// A file without a cache, in a directory that is removed with it.
fn file(rows: usize, encoding: DataBlockEncoding, codec: Codec) -> (HFile, TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("file");
    let mut keys: Vec<_> = (0..rows).map(|i| row(i, rows)).collect();
    keys.sort();
    let writer = HFileWriter::options().data_block_encoding(encoding).codec(codec);
    let mut writer = writer.create(&path).expect("a new file");
    for (i, key) in (0_u64..).zip(&keys) {
        // half of each value can be compressed
        let noise: Vec<u8> =
            (1..7_u64).flat_map(|n| (n + i).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()).collect();
        let value = [&noise[..], &VALUE[..52]].concat();
        let key = SeekKey::of(key, b"cf", b"qual", 1, CellType::Put);
        writer.append(CellRef::new(&key, &value)).expect("cells in order");
    }
    writer.finish().expect("a whole file");
    // one thread: valgrind runs threads in turn, and counts the instructions of each
    let options = HFile::options().limits(Limits::new().with_read_ahead_bytes(0));
    (options.open(&path).expect("a file that was written"), dir)
}

fn file_seeks(rows: usize, encoding: DataBlockEncoding, codec: Codec) -> Measured {
    let (file, _dir) = file(rows, encoding, codec);
    let (mut scanner, mut key) = (file.scanner(), SeekKey::new());
    let keys: Vec<_> = (0..rows).step_by(4).map(|i| row(i, rows)).collect();
    let mut pass = || {
        for row in &keys {
            key.set(row, b"cf", b"qual", 1, CellType::Put);
            assert!(scanner.seek(&key).expect("a sound file") == hregion::SeekResult::Exact);
        }
        keys.len()
    };
    pass();
    counted(pass)
}

fn file_scan(rows: usize, codec: Codec) -> Measured {
    let (file, _dir) = file(rows, DataBlockEncoding::None, codec);
    let pass = || {
        let (mut scanner, mut cells) = (file.scanner(), 0);
        let mut more = scanner.seek_to_first().expect("a sound file");
        while more {
            cells += usize::from(scanner.peek().is_some_and(|cell| cell.value().len() == 100));
            more = scanner.advance().expect("a sound file");
        }
        assert_eq!(cells, rows);
        cells
    };
    pass();
    counted(pass)
}

fn puts(rows: usize, durability: Durability) -> Measured {
    let store = Store::empty(rows, HOT, DataBlockEncoding::None);
    let mut puts: Vec<Put> = (0..rows)
        .map(|i| Put::new(row(i, rows)).cell_at("cf", "qual", 1, &VALUE[..]).durability(durability))
        .collect();
    counted(|| {
        puts.drain(..).for_each(|put| store.region.put(put).expect("a written row"));
        rows
    })
}

fn flush(rows: usize) -> Measured {
    let store = Store::empty(rows, HOT, DataBlockEncoding::None);
    (0..rows).for_each(|i| store.put(i));
    counted(|| {
        store.region.flush().expect("a file");
        rows
    })
}

fn compact(rows: usize) -> Measured {
    let store = Store::runs(rows);
    store.region.flush().expect("a file");
    counted(|| {
        store.region.compact(Compaction::Major).expect("a file");
        rows
    })
}

/// The counts of one workload, per operation.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counts {
    instructions: f64,
    allocations: f64,
}

/// Measures a workload in a process under valgrind.
fn count(name: &str) -> Counts {
    let program = env::current_exe().expect("the path of this program");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=*counted*")
        .arg(program)
        .args(["--workload", name])
        .output()
        .expect("valgrind");
    let (numbers, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{name}: {log}");
    let collected = log
        .lines()
        .find_map(|line| line.split("Collected :").nth(1))
        .and_then(|number| number.trim().parse::<f64>().ok())
        .unwrap_or_else(|| panic!("{name}: valgrind has no count: {log}"));
    let mut numbers = numbers.split_whitespace().map(|number| number.parse::<f64>().expect("a number"));
    let (operations, allocations) = numbers.next().zip(numbers.next()).expect("two numbers");
    assert!(collected > operations, "{name}: {collected} instructions for {operations} operations");
    Counts { instructions: collected / operations, allocations: allocations / operations }
}

/// Measures all workloads, two at a time.
fn count_all() -> impl Iterator<Item = Counts> {
    WORKLOADS.chunks(2).flat_map(|both| {
        let running: Vec<_> = both.iter().map(|(name, ..)| thread::spawn(|| count(name))).collect();
        running.into_iter().map(|one| one.join().expect("a count")).collect::<Vec<_>>()
    })
}

/// Reads the recorded counts.
fn recorded() -> BTreeMap<String, Counts> {
    let text = fs::read_to_string(RECORD).unwrap_or_else(|e| panic!("{RECORD}: {e}"));
    let counts = text.lines().filter(|line| !line.starts_with('#')).skip(1).map(|line| {
        let fields: Vec<&str> = line.split(',').collect();
        let number = |i: usize| fields[i].parse().unwrap_or_else(|e| panic!("{RECORD}: {line}: {e}"));
        (fields[0].to_string(), Counts { instructions: number(2), allocations: number(3) })
    });
    counts.collect()
}

/// The counts that are greater than the recorded ones.
fn grown(now: Counts, before: Counts) -> Option<&'static str> {
    if now.instructions > before.instructions * TOLERANCE {
        return Some("more instructions");
    }
    (now.allocations > before.allocations * TOLERANCE + FEW).then_some("more allocations")
}

/// Counts again, up to `TRIES` times altogether, while the least count is greater than the recorded one.
fn least(first: Counts, before: Counts, mut again: impl FnMut() -> Counts) -> Counts {
    let mut now = first;
    for _ in 1..TRIES {
        if grown(now, before).is_none() {
            break;
        }
        let other = again();
        now = Counts {
            instructions: now.instructions.min(other.instructions),
            allocations: now.allocations.min(other.allocations),
        };
    }
    now
}

fn compare(record: bool) -> ExitCode {
    if Command::new("valgrind").arg("--version").output().is_err() {
        println!("SKIPPED: the counts of instructions need valgrind, which is not installed");
        return ExitCode::SUCCESS;
    }
    let before = if record { BTreeMap::new() } else { recorded() };
    let mut table = "# Recorded by `cargo bench --bench counts -- --record`: for each operation.\n\
                     workload,operation,instructions,allocations\n"
        .to_string();
    let mut failed = false;
    for ((name, unit, _), first) in WORKLOADS.into_iter().zip(count_all()) {
        let now = before.get(name).map_or(first, |before| least(first, *before, || count(name)));
        writeln!(table, "{name},{unit},{:.0},{:.3}", now.instructions, now.allocations).expect("a string");
        print!(
            "{name:20} {:8.0} instructions, {:7.3} allocations a {unit}",
            now.instructions, now.allocations
        );
        match before.get(name) {
            Some(before) => {
                print!("; recorded: {:.0} and {:.3}", before.instructions, before.allocations);
                if let Some(what) = grown(now, *before) {
                    failed = true;
                    print!("  FAILED: {what}");
                }
            }
            None if record => {}
            None => {
                failed = true;
                print!("  FAILED: not recorded");
            }
        }
        println!();
    }
    if record {
        fs::write(RECORD, table).unwrap_or_else(|e| panic!("{RECORD}: {e}"));
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if let Some(at) = arguments.iter().position(|argument| argument == "--workload") {
        let name = arguments.get(at + 1).expect("the name of a workload");
        let (_, _, run) = WORKLOADS.iter().find(|workload| workload.0 == name).expect("a workload");
        let measured = run(20_000);
        println!("{} {}", measured.operations, measured.allocations);
        return ExitCode::SUCCESS;
    }
    // `cargo bench` passes this argument, `cargo test --benches` does not
    if has("--bench") {
        return compare(has("--record"));
    }
    let before = recorded();
    for (name, _, run) in WORKLOADS {
        let measured = run(1_000);
        assert!(measured.operations > 0 && before.contains_key(name), "{name}");
    }
    assert!(Path::new(RECORD).is_file());
    let same = Counts { instructions: 100.0, allocations: 0.0 };
    assert_eq!(grown(same, same), None);
    assert!(grown(Counts { instructions: 111.0, ..same }, same).is_some());
    assert!(grown(Counts { allocations: 0.1, ..same }, same).is_some());
    let more = Counts { instructions: 111.0, ..same };
    assert_eq!(least(more, same, || same), same);
    assert_eq!(least(more, same, || more), more);
    ExitCode::SUCCESS
}
