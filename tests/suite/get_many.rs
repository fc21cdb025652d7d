//! Gets of many rows at once return the same as single gets of a region without a cache, in the order of the
//! request, and read each part of a block once.
//!
//! `HREGION_SEED` sets the first seed. A failure prints the seed.

use crate::support::forward::forward;
use crate::support::mixed_rows::{
    ROWS, cached, family, get, number_at, row, store_file, tuned, write, write_compacted,
};
use crate::support::random_ops::first_seed;
use crate::support::rng::Rng;
use hregion::filter::{CellFilter, CustomFilter, Verdict};
use hregion::io::faulty::{Call, FaultyStorage};
use hregion::io::{FileReader, LocalStorage, Storage};
use hregion::{
    BlockCache, BloomType, CellRef, Clock, Compaction, DataBlockEncoding, Delete, Durability, Family, Filter,
    Get, ManualClock, Put, Region, RegionOptions, Row, Table, TimeRange,
};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;
use std::{fmt, io};

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

/// Gets of adjacent rows, of any rows, of missing rows, and of repeated rows.
fn gets(rng: &mut Rng, get: impl Fn(&mut Rng, u64) -> Get) -> Vec<Get> {
    let (from, spread) = (rng.next() % ROWS, 1 + rng.below(400) as u64);
    let is_near = rng.below(2) == 0;
    let mut gets: Vec<Get> = Vec::new();
    for _ in 0..1 + rng.below(120) {
        match rng.below(10) {
            0 if !gets.is_empty() => gets.push(gets[rng.below(gets.len())].clone()),
            1 => gets.push(get(rng, ROWS + from % 1000)),
            _ if is_near => {
                // The rows of these numbers are next to each other.
                let at = (from + rng.next() % spread) % ROWS;
                gets.push(get(rng, number_at(at)));
            }
            _ => {
                let number = rng.next() % ROWS;
                gets.push(get(rng, number));
            }
        }
    }
    gets
}

#[test]
fn many_gets_are_single_gets() {
    let shapes = [
        (family(DataBlockEncoding::None, 64 << 10), 1),
        (family(DataBlockEncoding::None, 64 << 10).bloom(BloomType::Row), 4),
        (family(DataBlockEncoding::None, 16 << 10).bloom(BloomType::RowCol), 3),
        (family(DataBlockEncoding::None, 300 << 10), 2),
        (tuned(), 2),
        (family(DataBlockEncoding::RowIndexV1, 64 << 10), 1),
        (family(DataBlockEncoding::FastDiff, 64 << 10), 2),
    ];
    for (seed, (family, files)) in (first_seed()..).zip(shapes) {
        let dir = tempfile::tempdir().unwrap();
        let shape = format!("HREGION_SEED={seed} {family:?}, {files} files");
        write(dir.path(), family, files, seed);
        let (plain, _) = cached(dir.path(), 256 << 20);
        let (small, cache) = cached(dir.path(), 512 << 10);
        let mut rng = Rng::new(seed);
        for _ in 0..40 {
            let gets = gets(&mut rng, get);
            let rows = small.get_many(&gets).unwrap();
            assert_eq!(rows.len(), gets.len());
            for (get, row) in gets.iter().zip(rows) {
                assert_eq!(row, plain.get(get).unwrap(), "{shape}: {get:?}");
            }
        }
        assert!(cache.stats().bytes <= cache.capacity());
    }
}

/// Covers several families, files, a MemStore, markers, versions and cells that expire.
#[test]
fn many_gets_see_what_single_gets_see() {
    let seed = first_seed();
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::new(10_000_000));
    let cache = BlockCache::with_capacity(300 << 10);
    let region = Region::options()
        .cache(&cache)
        .create_if_missing(true)
        .clock(clock.clone())
        .durability(Durability::SkipWal)
        .family(Family::new("f").max_versions(3).bloom(BloomType::Row))
        .family(Family::new("t").ttl(Duration::from_secs(2000)))
        .open(dir.path())
        .unwrap();
    let mut rng = Rng::new(seed);
    for round in 0..4 {
        for _ in 0..ROWS {
            let number = rng.next() % ROWS;
            let at = clock.now() - i64::try_from(rng.next() % 3_000_000).unwrap();
            let value = vec![b'v'; rng.below(150)];
            match rng.below(12) {
                0 => region.delete(Delete::new(row(number)).family("f")).unwrap(),
                1 => region.delete(Delete::new(row(number)).column("f", "q1")).unwrap(),
                2 => region.delete(Delete::new(row(number))).unwrap(),
                n => {
                    let family = if n % 2 == 0 { "f" } else { "t" };
                    let qualifier = format!("q{}", rng.below(3));
                    region.put(Put::new(row(number)).cell_at(family, qualifier, at, value)).unwrap();
                }
            }
        }
        if round < 3 {
            region.flush().unwrap();
        }
    }
    let get = |rng: &mut Rng, number: u64| {
        let get = Get::new(row(number));
        match rng.below(6) {
            0 => get.family("t"),
            1 => get.column("f", "q0").column("t", "q1"),
            2 => get.column("f", "q1").max_versions(3),
            3 => get.time_range(TimeRange::new(8_000_000, 9_500_000).unwrap()).max_versions(2),
            4 => get.cache_blocks(false),
            _ => get,
        }
    };
    let mut found = 0;
    for _ in 0..150 {
        let gets = gets(&mut rng, get);
        let view = region.view();
        let together = view.get_many(&gets).unwrap();
        for (get, row) in gets.iter().zip(together) {
            found += row.len();
            assert_eq!(row, view.get(get).unwrap(), "HREGION_SEED={seed} {get:?}");
        }
        clock.set(clock.now() + 1000);
    }
    assert!(found > 1000 && cache.stats().partial_reads > 300, "{found} {:?}", cache.stats());
}

/// Reads all rows, so that the outlines of the blocks are known, and the cache is full. One thread reads the
/// region's rows, so that reads can be counted.
fn outlined(dir: &Path, bytes: u64) -> (Region, BlockCache) {
    let cache = BlockCache::with_capacity(bytes);
    let region = Region::options().cache(&cache).get_threads(1).open(dir).unwrap();
    (0..ROWS).for_each(|number| drop(region.get(&Get::new(row(number))).unwrap()));
    (region, cache)
}

#[test]
fn a_part_is_read_once_for_all_its_rows() {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), family(DataBlockEncoding::None, 64 << 10), 1, 2);
    let (region, cache) = outlined(dir.path(), 256 << 10);
    let mut rng = Rng::new(2);
    let (mut single, mut many) = (0, 0);
    for _ in 0..100 {
        let from = rng.next() % (ROWS - 100);
        let gets: Vec<Get> = (from..from + 100).map(|at| Get::new(row(number_at(at)))).collect();
        let before = cache.stats();
        region.get_many(&gets).unwrap();
        let between = cache.stats();
        gets.iter().for_each(|get| drop(region.get(get).unwrap()));
        many += between.partial_reads - before.partial_reads;
        single += cache.stats().partial_reads - between.partial_reads;
    }
    assert!(many * 10 < single && many > 20, "{many} reads for {single}");
}

/// Each read of a file fails once: the call fails or has the right answer, and the next call has the right
/// answer.
#[test]
fn a_failed_read_is_an_error_or_read_again() {
    let storage = FaultyStorage::new();
    let cache = BlockCache::with_capacity(50 << 10);
    let region = Region::options()
        .storage(Arc::new(storage.clone()))
        .cache(&cache)
        .create_if_missing(true)
        .durability(Durability::SkipWal)
        .family(family(DataBlockEncoding::None, 64 << 10))
        .open("region")
        .unwrap();
    for number in 0..ROWS {
        region.put(Put::new(row(number)).cell_at("f", "q", 1, number.to_be_bytes().repeat(20))).unwrap();
    }
    region.flush().unwrap();
    region.compact(Compaction::Major).unwrap();
    let expected: Vec<_> = (0..ROWS).map(|number| region.get(&Get::new(row(number))).unwrap()).collect();
    let (mut rng, mut failed, mut right) = (Rng::new(first_seed()), 0, 0);
    for _ in 0..200 {
        let numbers: Vec<u64> = (0..40).map(|_| rng.next() % ROWS).collect();
        let gets: Vec<Get> = numbers.iter().map(|&number| Get::new(row(number))).collect();
        let check = |rows: Vec<Row>| {
            assert_eq!(rows.len(), numbers.len());
            for (number, row) in numbers.iter().zip(rows) {
                assert_eq!(row, expected[index(*number)]);
            }
        };
        storage.break_calls(Call::Read);
        match region.get_many(&gets) {
            Ok(rows) => check(rows),
            Err(error) => {
                assert!(error.to_string().contains("an injected fault"), "{error}");
                failed += 1;
            }
        }
        storage.repair();
        check(region.get_many(&gets).unwrap());
        let after = rng.next() % 30;
        storage.fail_among_all([after]);
        match region.get_many(&gets) {
            Ok(rows) => {
                right += 1;
                check(rows);
            }
            Err(error) => assert!(error.to_string().contains("an injected fault"), "{error}"),
        }
        storage.heal();
    }
    assert!(failed > 100 && right > 10, "{failed} {right} {:?}", cache.stats());
}

/// Flips bits of the file between two calls: the answer is the same, or an error.
#[test]
fn no_flipped_bit_changes_a_row() {
    let dir = tempfile::tempdir().unwrap();
    write_compacted(dir.path(), family(DataBlockEncoding::None, 64 << 10), 5);
    let (plain, _) = cached(dir.path(), 256 << 20);
    let expected: Vec<_> = (0..ROWS).map(|number| plain.get(&Get::new(row(number))).unwrap()).collect();
    drop(plain);
    let path = store_file(dir.path());
    let sound = std::fs::read(&path).unwrap();
    let (region, _cache) = outlined(dir.path(), 256 << 10);
    let (mut rng, mut failed, mut right) = (Rng::new(first_seed()), 0, 0);
    for _ in 0..100 {
        let mut bytes = sound.clone();
        for _ in 0..rng.below(400) {
            let at = rng.below(bytes.len());
            bytes[at] ^= 1 << rng.below(8);
        }
        // The same file with other bytes.
        std::fs::write(&path, &bytes).unwrap();
        let numbers: Vec<u64> = (0..10).map(|_| rng.next() % ROWS).collect();
        let gets: Vec<Get> = numbers.iter().map(|&number| Get::new(row(number))).collect();
        match region.get_many(&gets) {
            Ok(rows) => {
                let expected = numbers.iter().map(|&number| &expected[index(number)]);
                assert!(rows.iter().eq(expected));
                right += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), hregion::ErrorKind::Corrupt, "{error}");
                failed += 1;
            }
        }
    }
    assert!(failed > 5 && right > 5, "{failed} {right}");
}

/// The number of reads that fail at a time: a block that cannot be read in part is read as a whole.
const FAILING: u64 = 8;

/// Makes the reads of a storage slow, like remote ones, and makes some fail.
#[derive(Debug, Default)]
struct Reads {
    micros: AtomicU64,
    /// The number of remaining reads until [`FAILING`] of them have failed.
    left: AtomicU64,
    /// The threads that have read.
    readers: Mutex<HashSet<ThreadId>>,
}

impl Reads {
    fn new(micros: u64) -> Arc<Self> {
        let reads = Self { micros: micros.into(), left: u64::MAX.into(), readers: Mutex::default() };
        Arc::new(reads)
    }

    fn readers(&self) -> usize {
        self.readers.lock().unwrap().len()
    }
}

#[derive(Debug)]
struct SlowStorage {
    files: LocalStorage,
    reads: Arc<Reads>,
}

#[derive(Debug)]
struct SlowFile {
    file: Arc<dyn FileReader>,
    reads: Arc<Reads>,
}

impl FileReader for SlowFile {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.reads.readers.lock().unwrap().insert(thread::current().id());
        let micros = self.reads.micros.load(Ordering::Relaxed);
        if micros > 0 {
            thread::sleep(Duration::from_micros(micros));
        }
        if self.reads.left.fetch_sub(1, Ordering::Relaxed) < FAILING {
            return Err(io::Error::other("an injected fault"));
        }
        self.file.read_exact_at(buf, offset)
    }
}

impl Storage for SlowStorage {
    forward!(files: create create_new create_log rename hard_link remove remove_dir sync_file sync_dir);
    forward!(files: list_dir create_dir_all lock optional);

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        Ok(Arc::new(SlowFile { file: self.files.open(path)?, reads: Arc::clone(&self.reads) }))
    }
}

/// Opens the table of a directory, with slow reads.
fn slow_table(dir: &Path, micros: u64, options: RegionOptions) -> (Table, Arc<Reads>) {
    let reads = Reads::new(micros);
    let storage = SlowStorage { files: LocalStorage, reads: Arc::clone(&reads) };
    (Table::open_with(dir, "t", options.storage(Arc::new(storage))).unwrap(), reads)
}

#[test]
fn rows_of_a_slow_storage_are_read_by_several_threads() {
    let dir = tempfile::tempdir().unwrap();
    let splits = [row(ROWS / 3), row(ROWS / 2)];
    let options = Region::options().durability(Durability::SkipWal);
    let written = Table::create_with(dir.path(), "t", &[Family::new("f")], &splits, options).unwrap();
    for number in 0..ROWS {
        written.put(Put::new(row(number)).cell_at("f", "q", 1, number.to_be_bytes().to_vec())).unwrap();
    }
    written.close().unwrap();
    let table = |threads| slow_table(dir.path(), 500, Region::options().get_threads(threads));
    let gets: Vec<Get> = (0..80).map(|i| Get::new(row((i * 7919 + 13) % (ROWS + 10)))).collect();
    let expected: Vec<_> = {
        let plain = Table::open(dir.path(), "t").unwrap();
        gets.iter().map(|get| plain.get(get).unwrap()).collect()
    };
    for threads in [0, 1, 3, 16] {
        let (table, reads) = table(threads);
        assert_eq!(table.get_many(&gets).unwrap(), expected, "{threads} threads");
        let most = reads.readers();
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        assert!(most <= threads.max(1) && (most > 1 || threads < 2 || cores < 2), "{most} of {threads}");
    }
    // The error names the first row, in the order of rows, that cannot be read.
    let (table, _) = table(4);
    let mut wrong = gets;
    wrong[3] = wrong[3].clone().family("none");
    wrong[60] = wrong[60].clone().family("missing");
    let (first, other) = if wrong[3].row() < wrong[60].row() { (3, 60) } else { (60, 3) };
    let error = table.get_many(&wrong).unwrap_err();
    assert_eq!(error.to_string(), table.get(&wrong[first]).unwrap_err().to_string());
    assert_ne!(error.to_string(), table.get(&wrong[other]).unwrap_err().to_string());
}

/// A filter that calls a function for each cell of a row.
#[derive(Clone)]
struct Hook(Arc<OfRow>);

type OfRow = dyn Fn(&[u8]) + Send + Sync;

impl Hook {
    fn filter(hook: impl Fn(&[u8]) + Send + Sync + 'static) -> Filter {
        Filter::custom(Self(Arc::new(hook)))
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hook").finish_non_exhaustive()
    }
}

impl CustomFilter for Hook {
    fn start(&self) -> Box<dyn CellFilter> {
        Box::new(self.clone())
    }
}

impl CellFilter for Hook {
    fn filter_cell(&mut self, cell: CellRef<'_>) -> hregion::Result<Verdict> {
        (self.0)(cell.row());
        Ok(Verdict::Include)
    }
}

/// A table with random rows in three regions, and a small cache.
fn random_table(dir: &Path, rng: &mut Rng) -> (Table, Arc<Reads>) {
    let splits = [row(ROWS / 3), row(ROWS / 2)];
    let families = [Family::new("f").max_versions(3).block_size(16 << 10), Family::new("g")];
    drop(Table::create_with(dir, "t", &families, &splits, Region::options()).unwrap());
    let cache = BlockCache::with_capacity(200 << 10);
    let options = Region::options().writable(true).durability(Durability::SkipWal).cache(&cache);
    let (table, reads) = slow_table(dir, 0, options.get_threads(8));
    for _ in 0..3 {
        (0..ROWS).for_each(|_| change(&table, rng));
        table.flush().unwrap();
    }
    (table, reads)
}

/// Puts or deletes cells of a random row.
fn change(table: &Table, rng: &mut Rng) {
    let number = rng.next() % ROWS;
    let family = if rng.below(3) == 0 { "g" } else { "f" };
    match rng.below(12) {
        0 => table.delete(Delete::new(row(number)).family(family)).unwrap(),
        1 => table.delete(Delete::new(row(number)).column(family, "q001")).unwrap(),
        _ => {
            let qualifier = format!("q{:03}", rng.below(3));
            let value = number.to_be_bytes().repeat(rng.below(25));
            table.put(Put::new(row(number)).cell(family, qualifier, value)).unwrap();
        }
    }
}

/// Several threads at once make gets that are read by further threads, while another writes. Some filters
/// panic, and some read rows themselves: the answers equal single gets of the same view.
#[test]
fn several_threads_read_what_one_reads() {
    let seed = first_seed();
    for micros in [0, 120] {
        let dir = tempfile::tempdir().unwrap();
        let (table, reads) = random_table(dir.path(), &mut Rng::new(seed));
        reads.micros.store(micros, Ordering::Relaxed);
        let call = |rng: &mut Rng, round: usize| {
            let mut gets = gets(rng, get);
            let view = Arc::new(table.view());
            let expected: Vec<Row> = gets.iter().map(|get| view.get(get).unwrap()).collect();
            let what = format!("HREGION_SEED={seed} {micros} {round}");
            assert!(view.get_many(&gets).unwrap() == expected, "{what}");
            let at = rng.below(gets.len());
            let is_seen =
                gets.iter().zip(&expected).any(|(get, row)| get.row() == gets[at].row() && !row.is_empty());
            let (bad, inner) = (gets[at].row().to_vec(), gets[at..gets.len().min(at + 20)].to_vec());
            let (inside, rows) = (Arc::clone(&view), expected[at..at + inner.len()].to_vec());
            let panics = round.is_multiple_of(2);
            let filter = Hook::filter(move |row| {
                if row == bad {
                    assert!(!panics, "a panic of the filter");
                    assert!(inside.get_many(&inner).unwrap() == rows, "within a get");
                }
            });
            gets.iter_mut().for_each(|get| *get = get.clone().filter(filter.clone()));
            match catch_unwind(AssertUnwindSafe(|| view.get_many(&gets))) {
                Ok(rows) => {
                    assert!(rows.unwrap() == expected, "{what}");
                    assert!(!panics || !is_seen, "{what}");
                }
                Err(panic) => {
                    assert_eq!(panic.downcast_ref::<&str>(), Some(&"a panic of the filter"), "{what}");
                    assert!(panics && is_seen, "{what}");
                }
            }
        };
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut rng = Rng::new(seed ^ 1);
                while !is_over.load(Ordering::Relaxed) {
                    change(&table, &mut rng);
                    thread::sleep(Duration::from_micros(200));
                }
            });
            let callers: Vec<_> = (0..3)
                .map(|caller| {
                    let call = &call;
                    scope.spawn(move || {
                        let mut rng = Rng::new(seed ^ (caller + 2));
                        (0..12).for_each(|round| call(&mut rng, round));
                    })
                })
                .collect();
            let ended: Vec<_> = callers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            is_over.store(true, Ordering::Relaxed);
            writer.join().unwrap();
            ended.into_iter().for_each(|ended| ended.unwrap_or_else(|panic| resume_unwind(panic)));
        });
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        assert!(reads.readers() > 4 || cores < 2, "{}", reads.readers());
    }
}

/// Some reads fail, in any of the threads: the call fails or has the right answer, and the next call has it.
#[test]
fn a_failed_read_of_another_thread_is_an_error() {
    let seed = first_seed();
    let dir = tempfile::tempdir().unwrap();
    let mut rng = Rng::new(seed);
    let (table, reads) = random_table(dir.path(), &mut rng);
    let mut failed = 0;
    for round in 0..30 {
        let gets = gets(&mut rng, get);
        let view = table.view();
        reads.micros.store(0, Ordering::Relaxed);
        let expected: Vec<Row> = gets.iter().map(|get| view.get(get).unwrap()).collect();
        reads.micros.store(120, Ordering::Relaxed);
        reads.left.store(FAILING + rng.next() % 10, Ordering::Relaxed);
        match view.get_many(&gets) {
            Ok(rows) => assert!(rows == expected, "HREGION_SEED={seed} {round} {gets:?}"),
            Err(error) => {
                failed += 1;
                assert!(error.to_string().contains("an injected fault"), "{error}");
            }
        }
        reads.left.store(u64::MAX, Ordering::Relaxed);
        assert!(view.get_many(&gets).unwrap() == expected, "HREGION_SEED={seed} {round} {gets:?}");
    }
    assert!(failed > 0, "HREGION_SEED={seed}");
}
