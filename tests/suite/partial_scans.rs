//! Scans of a region whose cache is much smaller than its data: blocks are read in parts, and the rows equal
//! those of a region without a cache; a scan reads little more than it returns.
//!
//! `HREGION_SEED` sets the first seed. A failure prints the seed.

use crate::support::forward::forward;
use crate::support::mixed_rows::{
    ROWS, cached, family, get, number_at, row, store_file, tuned, write, write_compacted,
};
use crate::support::random_ops::first_seed;
use crate::support::rng::Rng;
use hregion::io::faulty::FaultyStorage;
use hregion::{
    BlockCache, BloomType, Codec, DataBlockEncoding, FileIdentity, FileReader, Get, LocalStorage, Put,
    Region, Result, Row, Scan, Storage,
};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn rows(region: &Region, scan: &Scan, most: usize) -> Result<Vec<Row>> {
    region.view().scan(scan)?.take(most).collect()
}

fn scan(rng: &mut Rng) -> Scan {
    let (from, len) = (rng.next() % ROWS, rng.next() % 300);
    let scan = Scan::new().rows(row(number_at(from))..row(number_at((from + len).min(ROWS - 1))));
    match rng.below(7) {
        0 => scan.column("f", "q000"),
        1 => scan.column("f", "q001").column("f", "q150").max_versions(3),
        2 => scan.max_versions(3).raw(true),
        3 => scan.cache_blocks(false),
        4 => scan.batch(7),
        5 => Scan::new().rows(row(number_at(from))..=row(number_at(from / 2))).reversed(true).limit(30),
        _ => Scan::new().rows(row(number_at(from))..),
    }
}

#[test]
fn scans_by_parts_have_the_rows_of_whole_blocks() {
    let shapes = [
        (family(DataBlockEncoding::None, 64 << 10), 1),
        (family(DataBlockEncoding::None, 64 << 10).bloom(BloomType::RowCol), 3),
        (family(DataBlockEncoding::None, 20 << 10), 2),
        (family(DataBlockEncoding::None, 300 << 10), 1),
        (tuned(), 1),
        (family(DataBlockEncoding::RowIndexV1, 64 << 10), 2),
        (family(DataBlockEncoding::FastDiff, 64 << 10), 2),
        (family(DataBlockEncoding::Diff, 64 << 10), 1),
        (family(DataBlockEncoding::Prefix, 64 << 10), 1),
        (family(DataBlockEncoding::FastDiff, 64 << 10).codec(Codec::Snappy), 1),
    ];
    for (seed, (family, files)) in (first_seed()..).zip(shapes) {
        let dir = tempfile::tempdir().unwrap();
        let shape = format!("HREGION_SEED={seed} {family:?}, {files} files");
        write(dir.path(), family, files, seed);
        let (plain, _) = cached(dir.path(), 256 << 20);
        let (small, cache) = cached(dir.path(), 512 << 10);
        let mut rng = Rng::new(seed);
        for _ in 0..60 {
            let (scan, most) = (scan(&mut rng), rng.below(150));
            let (found, expected) = (rows(&small, &scan, most), rows(&plain, &scan, most));
            assert!(found.unwrap() == expected.unwrap(), "{shape}: {scan:?}");
            for _ in 0..5 {
                let number = rng.next() % ROWS;
                let get = get(&mut rng, number);
                assert_eq!(small.get(&get).unwrap(), plain.get(&get).unwrap(), "{shape} {get:?}");
            }
        }
        assert!(cache.stats().bytes <= cache.capacity());
    }
}

/// Each row once, with a value of 240 bytes, in one file.
fn simple(options: hregion::RegionOptions, dir: &Path) -> Region {
    let region = options
        .create_if_missing(true)
        .durability(hregion::Durability::SkipWal)
        .family(family(DataBlockEncoding::None, 64 << 10))
        .open(dir)
        .unwrap();
    for number in 0..ROWS {
        region.put(Put::new(row(number)).cell_at("f", "q", 1, number.to_be_bytes().repeat(30))).unwrap();
    }
    region.flush().unwrap();
    (0..ROWS).for_each(|number| drop(region.get(&Get::new(row(number))).unwrap()));
    region
}

/// Each read of a scan fails in turn: the scan fails or is right, and the next one is right.
#[test]
fn a_failed_read_is_an_error_or_read_again() {
    let storage = FaultyStorage::new();
    let cache = BlockCache::with_capacity(300 << 10);
    let region =
        simple(Region::options().storage(Arc::new(storage.clone())).cache(&cache), Path::new("region"));
    let (mut rng, mut failed, mut right) = (Rng::new(first_seed()), 0, 0);
    for _ in 0..30 {
        let scan = Scan::new().rows(row(number_at(rng.next() % ROWS))..);
        let expected = rows(&region, &scan, 300).unwrap();
        for n in 0.. {
            storage.fail_among_all([n]);
            let found = rows(&region, &scan, 300);
            let was_met = storage.pending_faults().is_empty();
            storage.heal();
            match found {
                Ok(found) => {
                    assert!(found == expected);
                    right += usize::from(was_met);
                }
                Err(error) => {
                    assert!(error.to_string().contains("an injected fault"), "{error}");
                    failed += 1;
                }
            }
            assert!(rows(&region, &scan, 300).unwrap() == expected);
            if !was_met {
                break;
            }
        }
    }
    // If reading a part fails, its block is read, so few scans fail.
    assert!(failed > 0 && right > 20, "{failed} {right} {:?}", cache.stats());
}

#[test]
fn no_flipped_bit_changes_a_scan() {
    let dir = tempfile::tempdir().unwrap();
    for (seed, encoding) in (first_seed()..).zip([DataBlockEncoding::None, DataBlockEncoding::FastDiff]) {
        let dir = dir.path().join(seed.to_string());
        write_compacted(&dir, family(encoding, 64 << 10), seed);
        let (plain, _) = cached(&dir, 256 << 20);
        let expected: Vec<Row> = rows(&plain, &Scan::new(), usize::MAX).unwrap();
        drop(plain);
        let path = store_file(&dir);
        let sound = std::fs::read(&path).unwrap();
        let (region, cache) = cached(&dir, 256 << 10);
        (0..ROWS).for_each(|number| drop(region.get(&Get::new(row(number))).unwrap()));
        let (mut rng, mut failed, mut right) = (Rng::new(seed), 0, 0);
        for _ in 0..150 {
            let mut bytes = sound.clone();
            for _ in 0..rng.below(200) {
                let at = rng.below(bytes.len());
                bytes[at] ^= 1 << rng.below(8);
            }
            // The same file with other bytes.
            std::fs::write(&path, &bytes).unwrap();
            let from = rng.below(expected.len());
            let scan = Scan::new().rows(expected[from].key().to_vec()..);
            match rows(&region, &scan, 60) {
                Ok(found) => {
                    let len = found.len();
                    assert!(found == expected[from..from + len], "HREGION_SEED={seed}");
                    assert!(len == 60 || from + len == expected.len());
                    right += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), hregion::ErrorKind::Corrupt, "{error}");
                    failed += 1;
                }
            }
        }
        assert!(failed > 10 && right > 10, "{failed} {right} {:?}", cache.stats());
    }
}

/// A local storage that counts the bytes read.
#[derive(Debug, Default)]
struct Counting {
    files: LocalStorage,
    bytes: Arc<AtomicU64>,
}

#[derive(Debug)]
struct CountingFile(Arc<dyn FileReader>, Arc<AtomicU64>);

impl FileReader for CountingFile {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn identity(&self) -> Option<FileIdentity> {
        self.0.identity()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.1.fetch_add(buf.len() as u64, Ordering::Relaxed);
        self.0.read_exact_at(buf, offset)
    }
}

impl Storage for Counting {
    forward!(files: create create_new create_log rename hard_link remove remove_dir sync_file sync_dir);
    forward!(files: list_dir create_dir_all lock optional);

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        Ok(Arc::new(CountingFile(self.files.open(path)?, Arc::clone(&self.bytes))))
    }
}

#[test]
fn a_short_scan_reads_little_more_than_it_returns() {
    let dir = tempfile::tempdir().unwrap();
    let (storage, cache) = (Counting::default(), BlockCache::with_capacity(900 << 10));
    let bytes = Arc::clone(&storage.bytes);
    let region = simple(Region::options().storage(Arc::new(storage)).cache(&cache), dir.path());
    let (mut rng, mut returned) = (Rng::new(first_seed()), 0);
    let before = bytes.load(Ordering::Relaxed);
    for _ in 0..40 {
        let scan = Scan::new().rows(row(number_at(rng.next() % (ROWS - 40)))..);
        let found = rows(&region, &scan, 40).unwrap();
        returned += found.iter().flat_map(|row| row.cells()).map(|cell| cell.value().len()).sum::<usize>();
    }
    let read = bytes.load(Ordering::Relaxed) - before;
    assert!(read < 4 * returned as u64, "{read} bytes read for {returned}, {:?}", cache.stats());

    // A long scan evicts little of a full cache.
    let hot: Vec<Get> = (3000..3020).map(|at| Get::new(row(number_at(at)))).collect();
    for _ in 0..300 {
        hot.iter().for_each(|get| drop(region.get(get).unwrap()));
    }
    assert_eq!(rows(&region, &Scan::new(), usize::MAX).unwrap().len() as u64, ROWS);
    let before = cache.stats();
    hot.iter().for_each(|get| drop(region.get(get).unwrap()));
    assert_eq!(cache.stats().misses, before.misses);

    // A range that is scanned repeatedly is eventually cached.
    let some = Scan::new().rows(row(number_at(500))..row(number_at(2500)));
    let misses = || {
        let before = cache.stats().misses;
        assert_eq!(rows(&region, &some, usize::MAX).unwrap().len(), 2000);
        cache.stats().misses - before
    };
    let first = misses();
    let mut last = first;
    (0..150).for_each(|_| last = misses());
    assert!(2 * last < first, "{first} {last} {:?}", cache.stats());
}

/// Files mapped into memory give the same rows, and damage is detected.
#[cfg(feature = "mmap")]
#[test]
#[allow(unsafe_code, reason = "to map files")]
fn mapped_files_have_the_same_rows() {
    for (seed, encoding) in (first_seed()..).zip([
        DataBlockEncoding::None,
        DataBlockEncoding::RowIndexV1,
        DataBlockEncoding::FastDiff,
    ]) {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), family(encoding, 64 << 10), 2, seed);
        let (plain, _) = cached(dir.path(), 256 << 20);
        let cache = BlockCache::with_capacity(400 << 10);
        let open = || {
            // SAFETY: no file is changed while the region is open.
            let storage = unsafe { hregion::io::MmapStorage::new() };
            Region::options().storage(Arc::new(storage)).cache(&cache).open(dir.path())
        };
        let mapped = open().unwrap();
        let mut rng = Rng::new(seed);
        for _ in 0..100 {
            let gets: Vec<Get> = (0..30)
                .map(|_| {
                    let number = rng.next() % (ROWS + 100);
                    get(&mut rng, number)
                })
                .collect();
            let together = mapped.get_many(&gets).unwrap();
            assert_eq!(together.len(), gets.len(), "HREGION_SEED={seed}");
            for (get, row) in gets.iter().zip(together) {
                let expected = plain.get(get).unwrap();
                assert_eq!(mapped.get(get).unwrap(), expected, "HREGION_SEED={seed} {get:?}");
                assert_eq!(row, expected, "HREGION_SEED={seed} {get:?}");
            }
            let scan = scan(&mut rng);
            assert!(rows(&mapped, &scan, 50).unwrap() == rows(&plain, &scan, 50).unwrap(), "{scan:?}");
        }
        assert!(cache.stats().partial_reads > 1000, "{:?}", cache.stats());
        let expected: Vec<Row> = (0..ROWS).map(|number| plain.get(&Get::new(row(number))).unwrap()).collect();
        drop((mapped, plain));

        let path = store_file(dir.path());
        let mut bytes = std::fs::read(&path).unwrap();
        for at in (3000..bytes.len() / 2).step_by(50_000) {
            bytes[at] ^= 4;
        }
        std::fs::write(&path, bytes).unwrap();
        let (mapped, mut failed) = (open().unwrap(), 0);
        for (number, expected) in (0..ROWS).zip(&expected) {
            match mapped.get(&Get::new(row(number))) {
                Ok(found) => assert_eq!(found, *expected),
                Err(error) => {
                    assert_eq!(error.kind(), hregion::ErrorKind::Corrupt, "{error}");
                    failed += 1;
                }
            }
        }
        assert!(failed > 0);
    }
}
