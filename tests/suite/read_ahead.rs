//! Scans that read blocks ahead, some of them decoded by another thread, return the same cells and errors,
//! and have the same reads and cache content, as scans that do not.
//!
//! `HREGION_SEED` sets the first seed. A failure prints the seed.
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "small numbers")]

use crate::support::golden;
use crate::support::open;
use crate::support::random_ops::first_seed;
use crate::support::rng::Rng;
use hregion::io::MemoryFile;
use hregion::io::faulty::FaultyStorage;
use hregion::{
    BlockCache, Cell, CellRef, CellType, ChecksumType, Codec, Compaction, DataBlockEncoding, Family,
    FileIdentity, FileReader, Get, HFile, HFileOptions, HFileScanner, HFileWriter, Limits, Put, Region, Row,
    Scan, SeekKey,
};
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

const ROWS: usize = 3_000;
const AHEAD: usize = 4 << 20;

fn limits(read_ahead_bytes: usize) -> Limits {
    Limits::new().with_read_ahead_bytes(read_ahead_bytes)
}

fn key(i: usize) -> SeekKey {
    SeekKey::of(format!("row{:06}", i / 3 * 2).as_bytes(), b"f", &[b'a' + (i % 3) as u8], 7, CellType::Put)
}

/// The bytes of a file of many small blocks, below several index blocks; `None` if the codec is not built in.
fn file(encoding: DataBlockEncoding, codec: Codec, rng: &mut Rng) -> Option<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let writer = HFileWriter::options()
        .data_block_encoding(encoding)
        .codec(codec)
        .block_size(500 + rng.below(2_000))
        .index_chunk_size(300 + rng.below(2_000))
        .index_min_entries(2)
        .checksum(if rng.below(4) == 0 { ChecksumType::Null } else { ChecksumType::Crc32c });
    let mut writer = writer.create(&path).ok()?;
    for i in 0..3 * ROWS {
        // some blocks are much larger than those before them
        let len = if rng.below(300) == 0 { 1_000 + rng.below(20_000) } else { rng.below(80) };
        let value: Vec<u8> = (0..len).map(|at| (i * at / 7) as u8 ^ (rng.below(4) as u8)).collect();
        writer.append(CellRef::new(&key(i), &value).with_seq_id(i as i64)).unwrap();
    }
    writer.finish().unwrap();
    Some(std::fs::read(path).unwrap())
}

fn shapes() -> impl Iterator<Item = (DataBlockEncoding, Codec)> {
    let codecs = [Codec::Gz, Codec::Zstd, Codec::Snappy, Codec::Lz4, Codec::Lzo, Codec::Bzip2, Codec::Brotli];
    DataBlockEncoding::ALL.into_iter().flat_map(move |encoding| codecs.map(|codec| (encoding, codec)))
}

/// All encodings and codecs, including none.
fn all_shapes() -> impl Iterator<Item = (DataBlockEncoding, Codec)> {
    DataBlockEncoding::ALL.into_iter().map(|encoding| (encoding, Codec::None)).chain(shapes())
}

/// A file that threads other than the scan's may read, as with local files.
#[derive(Debug)]
struct Shared {
    file: MemoryFile,
    /// The thread of the scan, if the reads of all other threads fail.
    only: Option<thread::ThreadId>,
    failed: AtomicU64,
}

impl Shared {
    fn new(bytes: Vec<u8>, only: Option<thread::ThreadId>) -> Arc<Self> {
        Arc::new(Self { file: MemoryFile::new("file", bytes), only, failed: AtomicU64::new(0) })
    }
}

impl FileReader for Shared {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn may_read_ahead(&self) -> bool {
        true
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        if self.only.is_some_and(|only| only != thread::current().id()) {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return Err(io::Error::other("another thread reads"));
        }
        self.file.read_exact_at(buf, offset)
    }
}

/// Returns the cells of a scan, and its error.
fn scan(file: &HFile) -> (Vec<Cell>, Option<String>) {
    let mut cells = Vec::new();
    let error = open::scan(file, |cell| cells.push(Cell::from(cell))).err();
    (cells, error.map(|error| format!("{error} {:?}", error.kind())))
}

#[test]
fn golden_files_have_the_same_cells() {
    let mut files = 0;
    for golden in golden::all().iter().filter(|g| !g.is_refused() && open::missing_feature(g).is_none()) {
        let open = |ahead| open::options(golden).limits(limits(ahead)).open(golden.hfile()).unwrap();
        let plain = scan(&open(0));
        assert_eq!((plain.0.len(), &plain.1), (golden.cells, &None), "{}", golden.name);
        for ahead in [AHEAD, 100_000] {
            assert!(scan(&open(ahead)) == plain, "{} {ahead}", golden.name);
        }
        let cache = BlockCache::with_capacity(1 << 20);
        let cached = open::options(golden).limits(limits(AHEAD)).cache(&cache);
        assert!(scan(&cached.open(golden.hfile()).unwrap()) == plain, "{}", golden.name);
        files += 1;
    }
    assert!(files > 70, "{files}");
}

#[test]
fn damaged_files_give_the_same_cells_and_errors() {
    let mut rng = Rng::new(first_seed());
    let (mut failed, mut whole) = (0, 0);
    for (encoding, codec) in all_shapes() {
        let Some(sound) = file(encoding, codec, &mut rng) else { continue };
        for case in 0..5 {
            let mut bytes = sound.clone();
            // mostly in the data blocks
            let at = rng.below(bytes.len() * 9 / 10);
            match rng.below(3) {
                0 => bytes[at] ^= 1 << rng.below(8),
                1 => bytes[at..at + 40].fill(0),
                // sizes in headers
                _ => {
                    let magic = bytes[at..].windows(4).position(|bytes| bytes == b"DATA");
                    if let Some(start) = magic {
                        bytes[at + start + 4 + rng.below(16)] ^= 1 << rng.below(8);
                    }
                }
            }
            let read = |ahead, verify, shared| {
                let options = HFile::options().limits(limits(ahead)).verify_checksums(verify);
                let opened = if shared {
                    options.open_reader(Shared::new(bytes.clone(), None))
                } else {
                    open::open_bytes(options, "file", bytes.clone())
                };
                opened.map_or_else(|error| (Vec::new(), Some(error.to_string())), |file| scan(&file))
            };
            for verify in [true, false] {
                let plain = read(0, verify, false);
                for shared in [false, true] {
                    let ahead = read(AHEAD, verify, shared);
                    assert_eq!(plain.1, ahead.1, "{encoding:?} {codec:?} {case} {shared}");
                    assert!(plain.0 == ahead.0, "{encoding:?} {codec:?} {case} {shared}");
                }
                *(if plain.1.is_some() { &mut failed } else { &mut whole }) += 1;
            }
        }
    }
    assert!(failed > 50 && whole > 5, "{failed} {whole}");
}

/// One step of a random walk. Returns the scanner's answer, and its position.
fn step(scanner: &mut HFileScanner<'_>, kind: usize, i: usize, n: usize) -> String {
    let answer = match kind {
        0 => format!("{:?}", scanner.seek(&key(i)).unwrap()),
        1 => format!("{:?}", scanner.reseek(&key(i)).unwrap()),
        2 => format!("{:?}", scanner.seek_before(&key(i)).unwrap()),
        3 => format!("{:?}", scanner.seek_to_first().unwrap()),
        _ => format!("{}", (0..n).take_while(|_| scanner.advance().unwrap()).count()),
    };
    format!("{answer} {:?}", scanner.peek().map(Cell::from))
}

#[test]
fn random_walks_have_the_same_cells() {
    for (seed, (encoding, codec)) in (first_seed()..).zip(all_shapes()) {
        let mut rng = Rng::new(seed);
        let Some(bytes) = file(encoding, codec, &mut rng) else { continue };
        let ahead = [AHEAD, 30_000, 5_000][rng.below(3)];
        let cache = BlockCache::with_capacity([0, 60_000, 1 << 30][rng.below(3)]);
        let options = |ahead| HFile::options().limits(limits(ahead));
        let plain = open::open_bytes(options(0), "file", bytes.clone()).unwrap();
        let reader: Arc<dyn FileReader> =
            if seed % 2 == 0 { Shared::new(bytes, None) } else { Arc::new(MemoryFile::new("file", bytes)) };
        let file = options(ahead).cache(&cache).open_reader(reader).unwrap();
        let fills = rng.below(2) == 0;
        let (mut expected, mut found) = (plain.scanner(), file.scanner().cache_blocks(fills));
        for _ in 0..80 {
            let kind = rng.below(8);
            let (i, n) = (rng.below(3 * ROWS + 20), [3, 100, 3_000][rng.below(3)]);
            let (expected, found) = (step(&mut expected, kind, i, n), step(&mut found, kind, i, n));
            assert_eq!(expected, found, "HREGION_SEED={seed} {encoding:?} {codec:?}: {kind} {i} {n}");
        }
    }
}

/// A file that records the offsets of its reads, and fails all from a given one on.
#[derive(Debug)]
struct Recorded {
    file: MemoryFile,
    reads: Mutex<Vec<(u64, usize)>>,
    fail_at: AtomicU64,
    thread: thread::ThreadId,
}

impl Recorded {
    fn new(bytes: Vec<u8>) -> Arc<Self> {
        let file = MemoryFile::new("file", bytes);
        let (fail_at, thread) = (AtomicU64::new(u64::MAX), thread::current().id());
        Arc::new(Self { file, reads: Mutex::default(), fail_at, thread })
    }

    fn take(&self) -> Vec<(u64, usize)> {
        std::mem::take(&mut self.reads.lock().unwrap())
    }
}

impl FileReader for Recorded {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn identity(&self) -> Option<FileIdentity> {
        self.file.identity()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        assert_eq!(thread::current().id(), self.thread, "only the scan's thread reads");
        self.reads.lock().unwrap().push((offset, buf.len()));
        if self.reads.lock().unwrap().len() as u64 > self.fail_at.load(Ordering::Relaxed) {
            return Err(io::Error::other("an injected fault"));
        }
        self.file.read_exact_at(buf, offset)
    }
}

#[test]
fn a_scan_reads_each_block_once_and_in_the_same_thread() {
    let mut rng = Rng::new(first_seed());
    for encoding in DataBlockEncoding::ALL {
        let Some(bytes) = file(encoding, Codec::Gz, &mut rng) else { continue };
        let mut runs = Vec::new();
        for ahead in [0, AHEAD, AHEAD] {
            let reader = Recorded::new(bytes.clone());
            let file = HFile::options().limits(limits(ahead)).open_reader(Arc::clone(&reader) as _).unwrap();
            reader.take();
            assert_eq!(scan(&file).0.len(), 3 * ROWS);
            runs.push(reader.take());
        }
        assert_eq!(runs[1], runs[2], "the order does not depend on the threads");
        assert!(runs.iter().all(|run| run.len() > 100));
        runs.iter_mut().for_each(|run| run.sort_unstable());
        assert_eq!(runs[0], runs[1]);
    }
}

/// The scan repeats failed reads of the helper thread.
#[test]
fn what_the_helper_cannot_read_the_scan_reads() {
    let mut rng = Rng::new(first_seed());
    let this = Some(thread::current().id());
    let mut failed = 0;
    for (encoding, codec) in all_shapes() {
        let Some(bytes) = file(encoding, codec, &mut rng) else { continue };
        let expected = scan(&open::open_bytes(options(0), "file", bytes.clone()).unwrap());
        assert_eq!((expected.0.len(), &expected.1), (3 * ROWS, &None));
        for only in [None, this] {
            let reader = Shared::new(bytes.clone(), only);
            let file = options(AHEAD).open_reader(Arc::clone(&reader) as _).unwrap();
            assert!(scan(&file) == expected, "{encoding:?} {codec:?} {only:?}");
            failed += reader.failed.load(Ordering::Relaxed);
        }
    }
    assert!(failed > 0 || thread::available_parallelism().is_ok_and(|cores| cores.get() == 1));
}

#[test]
fn a_read_that_fails_is_the_error_of_the_scan() {
    let mut rng = Rng::new(first_seed());
    let Some(bytes) = file(DataBlockEncoding::None, Codec::Gz, &mut rng) else { return };
    let reader = Recorded::new(bytes.clone());
    let file = HFile::options().limits(limits(AHEAD)).open_reader(Arc::clone(&reader) as _).unwrap();
    let (sound, _) = scan(&open::open_bytes(HFile::options(), "file", bytes).unwrap());
    reader.take();
    let mut scanned = 0;
    for fail_at in (0..).step_by(3) {
        reader.take();
        reader.fail_at.store(fail_at, Ordering::Relaxed);
        let (cells, error) = scan(&file);
        assert!(sound.starts_with(&cells) && cells.len() >= scanned);
        scanned = cells.len();
        match error {
            Some(error) => assert!(error.contains("an injected fault"), "{error}"),
            None => {
                assert!(cells.len() == 3 * ROWS && fail_at > 100, "{fail_at}");
                break;
            }
        }
    }
    // a scanner that failed can seek again
    reader.take();
    reader.fail_at.store(30, Ordering::Relaxed);
    let mut scanner = file.scanner();
    scanner.seek_to_first().unwrap();
    while scanner.advance().is_ok_and(|more| more) {}
    reader.fail_at.store(u64::MAX, Ordering::Relaxed);
    assert!(scanner.peek().is_none());
    scanner.seek(&key(5)).unwrap();
    let mut cells = vec![Cell::from(scanner.peek().unwrap())];
    while scanner.advance().unwrap() {
        cells.push(scanner.peek().unwrap().into());
    }
    assert!(cells == sound[5..]);
}

#[test]
fn many_scans_at_once_have_their_own_cells() {
    let mut rng = Rng::new(first_seed());
    let files: Vec<(HFile, Vec<Cell>)> = all_shapes()
        .filter_map(|(encoding, codec)| file(encoding, codec, &mut rng))
        .map(|bytes| {
            let (cells, _) = scan(&open::open_bytes(options(0), "file", bytes.clone()).unwrap());
            (options(AHEAD).open_reader(Shared::new(bytes, None)).unwrap(), cells)
        })
        .collect();
    assert!(!files.is_empty());
    thread::scope(|scope| {
        for thread in 0..8 {
            let files = &files;
            scope.spawn(move || {
                let mut rng = Rng::new(first_seed() + thread);
                for _ in 0..6 {
                    let (file, cells) = &files[rng.below(files.len())];
                    // dropped early, or read to the end
                    let most = [cells.len(), rng.below(cells.len())][rng.below(2)];
                    let mut scanner = file.scanner();
                    let mut more = scanner.seek_to_first().unwrap();
                    for cell in &cells[..most] {
                        assert!(more && scanner.peek() == Some(cell.as_ref()));
                        more = scanner.advance().unwrap();
                    }
                    assert_eq!(more, most < cells.len());
                }
            });
        }
    });
}

fn options(ahead: usize) -> HFileOptions {
    HFile::options().limits(limits(ahead))
}

fn region(storage: &FaultyStorage, dir: &str, ahead: usize, cache: &BlockCache) -> Region {
    let family = Family::new("f").max_versions(3).block_size(2_000).codec(Codec::Gz);
    Region::options()
        .storage(Arc::new(storage.clone()))
        .create_if_missing(true)
        .durability(hregion::Durability::SkipWal)
        .cache(cache)
        .limits(limits(ahead))
        .family(family)
        .open(Path::new(dir))
        .unwrap()
}

fn fill(region: &Region) {
    for file in 0..3 {
        for i in (0..ROWS).filter(|i| i % 3 == file || i % 7 == 0) {
            let value = (i * file).to_be_bytes().repeat(12);
            region.put(Put::new(format!("row{i:06}")).cell_at("f", "q", file as i64, value)).unwrap();
        }
        region.flush().unwrap();
    }
}

fn rows(region: &Region, scan: &Scan, most: usize) -> hregion::Result<Vec<Row>> {
    region.view().scan(scan)?.take(most).collect()
}

/// A scan and then a compaction: they give the same rows, counts of blocks read and found, cache content, and
/// file.
#[test]
#[cfg(feature = "gz")]
fn regions_have_the_same_rows_metrics_and_files() {
    for capacity in [1 << 30, 100_000, 20_000] {
        let mut runs = Vec::new();
        for ahead in [0, AHEAD] {
            let (storage, cache) = (FaultyStorage::new(), BlockCache::with_capacity(capacity));
            let region = region(&storage, "region", ahead, &cache);
            fill(&region);
            let mut rng = Rng::new(first_seed());
            let mut found = Vec::new();
            for _ in 0..60 {
                let from = format!("row{:06}", rng.below(ROWS));
                let scan = Scan::new().max_versions(3).start_row(from, true);
                let scan = match rng.below(5) {
                    0 => scan.reversed(true),
                    1 => scan.batch(1),
                    2 => scan.limit(rng.below(400) as u64 + 1),
                    3 => scan.max_result_size(3_000).allow_partial(true),
                    _ => scan,
                };
                let scan = scan.cache_blocks(rng.below(2) == 0);
                let most = [ROWS * 3, rng.below(500)][rng.below(2)];
                found.push(rows(&region, &scan, most).unwrap());
                let row = format!("row{:06}", rng.below(ROWS));
                found.push(vec![region.get(&Get::new(row)).unwrap()]);
            }
            let mut metrics = region.metrics();
            let stats = cache.stats();
            region.compact(Compaction::Major).unwrap();
            found.push(rows(&region, &Scan::new().max_versions(3), usize::MAX).unwrap());
            if capacity < 1 << 30 {
                // the blocks that a cache evicts depend on the time between two reads
                (metrics.data_blocks_read, metrics.data_block_hits) = (0, 0);
            }
            let names = storage.names();
            let files = names.iter().filter(|name| name.starts_with("region/f")).count();
            runs.push((found, metrics, (capacity == 1 << 30).then_some((stats.misses, stats.blocks)), files));
        }
        assert!(runs[0].0 == runs[1].0, "{capacity}");
        assert_eq!(runs[0].1, runs[1].1);
        assert_eq!((runs[0].2, runs[0].3), (runs[1].2, runs[1].3));
        assert!(runs[0].0.last().unwrap().len() == ROWS);
    }
}

/// Each call of the storage fails once: a scan or a compaction fails, or is right; the next one is right.
#[test]
#[cfg(feature = "gz")]
fn failed_calls_are_errors_and_no_answers() {
    let storage = FaultyStorage::new();
    let region = region(&storage, "region", AHEAD, &BlockCache::with_capacity(0));
    fill(&region);
    let scan = Scan::new().max_versions(3);
    let expected = rows(&region, &scan, usize::MAX).unwrap();
    let mut failed = 0;
    for n in (0..).step_by(5) {
        storage.fail_among_all([n]);
        let found = rows(&region, &scan, usize::MAX);
        let was_met = storage.pending_faults().is_empty();
        storage.heal();
        match found {
            // a block that was read ahead may not be needed
            Ok(found) => assert!(found == expected),
            Err(error) => {
                assert!(was_met && error.to_string().contains("an injected fault"), "{error}");
                failed += 1;
            }
        }
        if !was_met {
            break;
        }
    }
    assert!(failed > 20, "{failed}");
    storage.fail_among_all([40]);
    assert!(region.compact(Compaction::Major).is_err());
    storage.heal();
    region.compact(Compaction::Major).unwrap();
    assert!(rows(&region, &scan, usize::MAX).unwrap() == expected);
}
