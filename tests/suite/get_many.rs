//! Gets of many rows at once: equal to single gets of a region without a cache, in the order asked, and each
//! part of a block is read once.
//!
//! `HREGION_SEED` sets the first seed. A failure prints the seed.

use crate::support::forward::forward;
use crate::support::mixed_rows::{
    ROWS, cached, family, get, number_at, row, store_file, tuned, write, write_compacted,
};
use crate::support::random_ops::first_seed;
use crate::support::rng::Rng;
use hregion::io::faulty::{Call, FaultyStorage};
use hregion::io::{FileReader, LocalStorage, Storage};
use hregion::{
    BlockCache, BloomType, Clock, Compaction, DataBlockEncoding, Delete, Durability, Family, Get,
    ManualClock, Put, Region, Table, TimeRange,
};
use std::collections::HashSet;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};
use std::time::Duration;

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

/// Gets of rows near each other, anywhere, missing, and asked for more than once.
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

/// Several families, files, a MemStore, markers, versions and cells that expire.
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

/// Reads all rows, so that the outlines of the blocks are known, and the cache is full. The region's rows are
/// read by one thread, so that reads can be counted.
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

/// Each read of a file fails once: the call fails or has the right answer, and so has the next.
#[test]
fn a_failed_read_is_an_error_or_read_again() {
    let storage = FaultyStorage::new();
    let cache = BlockCache::with_capacity(200 << 10);
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
        let check = |rows: Vec<hregion::Row>| {
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
        // The same file, with other bytes.
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

/// A storage whose reads take long, like those of a remote one.
#[derive(Debug)]
struct SlowStorage {
    files: LocalStorage,
    /// The threads that have read.
    readers: Arc<Mutex<HashSet<ThreadId>>>,
}

#[derive(Debug)]
struct SlowFile {
    file: Arc<dyn FileReader>,
    readers: Arc<Mutex<HashSet<ThreadId>>>,
}

impl FileReader for SlowFile {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.readers.lock().unwrap().insert(thread::current().id());
        thread::sleep(Duration::from_micros(500));
        self.file.read_exact_at(buf, offset)
    }
}

impl Storage for SlowStorage {
    forward!(files: create create_new create_log rename hard_link remove remove_dir sync_file sync_dir);
    forward!(files: list_dir create_dir_all lock optional);

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        Ok(Arc::new(SlowFile { file: self.files.open(path)?, readers: Arc::clone(&self.readers) }))
    }
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
    let table = |threads| {
        let readers = Arc::new(Mutex::new(HashSet::new()));
        let storage = SlowStorage { files: LocalStorage, readers: Arc::clone(&readers) };
        let options = Region::options().storage(Arc::new(storage)).get_threads(threads);
        (Table::open_with(dir.path(), "t", options).unwrap(), readers)
    };
    let gets: Vec<Get> = (0..80).map(|i| Get::new(row((i * 7919 + 13) % (ROWS + 10)))).collect();
    let expected: Vec<_> = {
        let plain = Table::open(dir.path(), "t").unwrap();
        gets.iter().map(|get| plain.get(get).unwrap()).collect()
    };
    for threads in [0, 1, 3, 16] {
        let (table, readers) = table(threads);
        assert_eq!(table.get_many(&gets).unwrap(), expected, "{threads} threads");
        let most = readers.lock().unwrap().len();
        let cores = thread::available_parallelism().map_or(1, std::num::NonZero::get);
        assert!(most <= threads.max(1) && (most > 1 || threads < 2 || cores < 2), "{most} of {threads}");
    }
    // The first row in the order of rows that cannot be read.
    let (table, _) = table(4);
    let mut wrong = gets;
    wrong[3] = wrong[3].clone().family("none");
    wrong[60] = wrong[60].clone().family("missing");
    let (first, other) = if wrong[3].row() < wrong[60].row() { (3, 60) } else { (60, 3) };
    let error = table.get_many(&wrong).unwrap_err();
    assert_eq!(error.to_string(), table.get(&wrong[first]).unwrap_err().to_string());
    assert_ne!(error.to_string(), table.get(&wrong[other]).unwrap_err().to_string());
}
