//! Which blocks are read ahead, and how much memory they take. `tests/suite/read_ahead.rs` compares the
//! cells.

use super::*;
use crate::cell::{CellRef, CellType, SeekKey};
use crate::hfile::{HFile, HFileScanner, HFileWriter};
use crate::io::{LocalFile, MemoryFile};
use crate::limits::Limits;
use crate::{BlockCache, Codec};
use std::fs;

const ROWS: usize = 20_000;
const BLOCK: usize = 8 << 10;

fn key(i: usize) -> SeekKey {
    SeekKey::of(format!("row{i:06}").as_bytes(), b"f", b"q", 1, CellType::Put)
}

fn bytes(codec: Codec) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let mut writer = HFileWriter::options().block_size(BLOCK).codec(codec).create(&path).unwrap();
    for i in 0..ROWS {
        writer.append(CellRef::new(&key(i), &i.to_be_bytes().repeat(9))).unwrap();
    }
    writer.finish().unwrap();
    fs::read(path).unwrap()
}

/// A file in memory, which only the thread of a scan reads.
fn open(codec: Codec, read_ahead_bytes: usize) -> HFile {
    let limits = Limits::new().with_read_ahead_bytes(read_ahead_bytes);
    HFile::options().limits(limits).open_reader(Arc::new(MemoryFile::new("file", bytes(codec)))).unwrap()
}

/// A local file; it has been removed, so it is not opened again.
fn open_local(codec: Codec, read_ahead_bytes: usize) -> HFile {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    fs::write(&path, bytes(codec)).unwrap();
    let limits = Limits::new().with_read_ahead_bytes(read_ahead_bytes);
    HFile::options().limits(limits).open_reader(Arc::new(LocalFile::open(&path).unwrap())).unwrap()
}

/// Walks from the first row to another one, and calls `check` in each row with the blocks that are read
/// ahead, if any.
fn walk(scanner: &mut HFileScanner<'_>, to: usize, mut check: impl FnMut(usize, &ReadAhead)) {
    assert!(scanner.seek_to_first().unwrap());
    for i in 0..to {
        assert_eq!(scanner.peek().unwrap().key(), &*key(i));
        if let Some(ahead) = scanner.read_ahead() {
            check(i, ahead);
        }
        assert!(scanner.advance().unwrap());
    }
}

fn blocks(scanner: &HFileScanner<'_>) -> usize {
    scanner.read_ahead().map_or(0, |ahead| ahead.blocks.len())
}

#[test]
fn only_long_scans_read_ahead() {
    for file in [open(Codec::Gz, 4 << 20), open_local(Codec::Gz, 4 << 20), open_local(Codec::None, 4 << 20)] {
        only_long_scans_of(&file);
    }
    // reading plain blocks earlier in the same thread saves nothing
    for file in [open(Codec::None, 4 << 20), open(Codec::Gz, 0), open_local(Codec::None, 0)] {
        walk(&mut file.scanner(), ROWS - 1, |i, _| panic!("row {i} of {file:?}"));
    }
}

fn only_long_scans_of(file: &HFile) {
    let rows_in_block = ROWS / file.root_index().len();
    let mut scanner = file.scanner();
    let mut begun = None;
    walk(&mut scanner, ROWS / 2, |i, ahead| {
        begun.get_or_insert(i);
        assert!(ahead.blocks.len() <= (i / rows_in_block / 3).min(MAX_BLOCKS), "{i}");
    });
    assert!(begun.is_some_and(|i| i > 3 * rows_in_block), "{begun:?}");
    assert!(blocks(&scanner) >= MAX_BLOCKS - 1);
    scanner.seek(&key(9)).unwrap();
    assert_eq!(blocks(&scanner), 0);
    for i in (0..ROWS).step_by(97) {
        scanner.seek(&key(i)).unwrap();
        assert!(scanner.advance().unwrap() && scanner.read_ahead().is_none());
    }
}

#[test]
fn what_is_held_is_bounded() {
    what_is_held_of(|limit| open(Codec::Gz, limit));
    what_is_held_of(|limit| open_local(Codec::Gz, limit));
    what_is_held_of(|limit| open_local(Codec::None, limit));
}

fn what_is_held_of(open: impl Fn(usize) -> HFile) {
    let mut largest = 0;
    for limit in [20 * BLOCK, 5 * BLOCK, 3 * BLOCK, BLOCK, 1] {
        let (file, mut most, mut blocks) = (open(limit), 0, 0);
        walk(&mut file.scanner(), ROWS - 1, |_, ahead| {
            let of_blocks: usize = ahead.blocks.iter().map(|block| block.memory).sum();
            assert_eq!(ahead.held, of_blocks);
            // the last block of the file may be short
            assert!(of_blocks >= ahead.blocks.len().saturating_sub(1) * BLOCK);
            largest = ahead.blocks.iter().map(|block| block.memory).fold(largest, usize::max);
            (most, blocks) = (most.max(of_blocks), blocks.max(ahead.blocks.len()));
            assert!(ahead.plain.len() <= MAX_BLOCKS + 1 && ahead.stored.len() <= MAX_BLOCKS + 2);
        });
        assert!(most <= limit, "{most} of {limit}");
        // one more would be too much, besides the one that the scan was about to enter
        assert!(blocks == MAX_BLOCKS || most + 2 * largest > limit, "{blocks}, {most} of {limit}");
    }
    assert!((BLOCK..3 * BLOCK).contains(&largest), "{largest}");
}

#[test]
fn blocks_of_the_cache_are_not_read() {
    let cache = BlockCache::with_capacity(64 << 20);
    let reader = Arc::new(MemoryFile::new("file", bytes(Codec::Gz)));
    let file = HFile::options().cache(&cache).open_reader(reader).unwrap();
    // every third block is in the cache
    let starts: Vec<SeekKey> = file.root_index().map(|(key, _)| SeekKey::from(key)).collect();
    for start in starts.iter().step_by(3) {
        file.scanner().seek(start).unwrap();
    }
    let before = cache.stats();
    let mut scanner = file.scanner();
    let mut seen = 0;
    walk(&mut scanner, ROWS - 1, |_, ahead| {
        assert!(ahead.blocks.iter().all(|block| !block.entry.is_multiple_of(3)));
        seen = seen.max(ahead.blocks.len());
    });
    assert!(seen >= MAX_BLOCKS / 2);
    let (after, all) = (cache.stats(), starts.len() as u64);
    assert_eq!((after.misses - before.misses, after.blocks), (all - all.div_ceil(3), all));
    drop(scanner);
    // now all are, and nothing is read ahead
    walk(&mut file.scanner(), ROWS - 1, |i, ahead| assert!(ahead.blocks.is_empty(), "{i}"));
    assert_eq!(cache.stats().misses, after.misses);
}

/// A block that another scan has inserted into the cache since is not taken, and must be discarded.
#[test]
fn blocks_that_come_from_the_cache_are_forgotten() {
    let cache = BlockCache::with_capacity(64 << 20);
    let reader = Arc::new(MemoryFile::new("file", bytes(Codec::Gz)));
    let file = HFile::options().cache(&cache).open_reader(reader).unwrap();
    let mut scanner = file.scanner();
    walk(&mut scanner, ROWS / 3, |_, _| {});
    assert!(blocks(&scanner) >= MAX_BLOCKS - 1);
    walk(&mut file.scanner(), ROWS - 1, |_, _| {});
    for i in ROWS / 3..ROWS - 1 {
        assert_eq!(scanner.peek().unwrap().key(), &*key(i));
        assert!(scanner.advance().unwrap());
    }
    let ahead = scanner.read_ahead().unwrap();
    assert_eq!((ahead.blocks.len(), ahead.held), (0, 0));
}

#[test]
fn a_scanner_that_is_dropped_leaves_no_job() {
    let file = open(Codec::Gz, 4 << 20);
    let mut scanner = file.scanner();
    walk(&mut scanner, ROWS / 2, |_, _| {});
    let jobs: Vec<_> =
        scanner.read_ahead().unwrap().blocks.iter().map(|block| Arc::clone(&block.job)).collect();
    assert!(!jobs.is_empty());
    drop(scanner);
    for job in jobs {
        // a job may be running: its result is dropped with it
        assert!(!matches!(job.claim(), Claim::Waiting(_)));
    }
}

/// A thread may scan several files, such as those of a store.
#[test]
fn each_thread_that_scans_has_a_helper_if_there_are_processors() {
    let (mut scanning, this) = (Scanning(Vec::new()), thread::current().id());
    assert_eq!(scanning.helpers(8), 1);
    (0..5).for_each(|_| scanning.begin(this));
    assert_eq!([1, 2, 8].map(|cores| scanning.helpers(cores)), [1, 1, 1]);
    let others: Vec<ThreadId> =
        (0..3).map(|_| thread::spawn(|| thread::current().id()).join().unwrap()).collect();
    others.iter().for_each(|thread| scanning.begin(*thread));
    assert_eq!([1, 2, 4, 6, 8, 64].map(|cores| scanning.helpers(cores)), [1, 1, 1, 2, 4, 4]);
    (0..4).for_each(|_| scanning.end(this));
    assert_eq!(scanning.helpers(64), 4);
    scanning.end(this);
    assert_eq!(scanning.helpers(64), 3);
    others.iter().for_each(|thread| scanning.end(*thread));
    assert!(scanning.0.is_empty());
}
