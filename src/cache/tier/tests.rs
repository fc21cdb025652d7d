use super::*;
use crate::block::data::Trust;
use crate::cell::{CellFormat, CellOrder};
use crate::io::LocalStorage;
use crate::io::faulty::{Call, FaultyStorage};
use std::time::Duration;

const FORMAT: CellFormat = CellFormat { tags: false, mvcc: false };

/// A block of one cell with this value, after ten other bytes.
fn block(value: &[u8]) -> Arc<DataBlock> {
    let mut bytes = vec![0xee; 10];
    let key = b"\x00\x03row\x01fq\x00\x00\x00\x00\x00\x00\x00\x07\x04";
    for len in [key.len(), value.len()] {
        bytes.extend_from_slice(&u32::try_from(len).unwrap().to_be_bytes());
    }
    bytes.extend_from_slice(key);
    bytes.extend_from_slice(value);
    let cells = 10..bytes.len();
    let block = DataBlock::new(bytes, cells, FORMAT, Trust::Unchecked, Some(CellOrder::User)).unwrap();
    Arc::new(block.with_prev_block_offset(77).with_stored_cells())
}

fn key(offset: u64) -> BlockKey {
    BlockKey { file: FileId(3), offset }
}

fn wait(tier: &Tier) {
    while tier.stats().queued > 0 {
        thread::sleep(Duration::from_millis(1));
    }
}

fn faulty(storage: &FaultyStorage) -> Arc<dyn Storage> {
    Arc::new(storage.clone())
}

#[test]
fn blocks_are_found_until_their_file_is_closed_or_they_are_overwritten() {
    let dir = tempfile::tempdir().unwrap();
    let local = LocalStorage::shared();
    let tier = Tier::open(&local, &dir.path().join("a/tier"), 10_000);
    assert_eq!(tier.failure(), None);
    for offset in 0..5 {
        tier.offer(&key(offset), &block(&[offset as u8; 1500]));
        wait(&tier);
    }
    for offset in 0..5 {
        let found = tier.get(&key(offset)).unwrap();
        assert_eq!((found.cells.start, found.prev_block_offset, found.as_stored), (10, 77, true));
        assert_eq!(found.bytes[..], *block(&[offset as u8; 1500]).content().0);
        let mut part = [0; 3];
        assert!(tier.read_part(&key(offset), 100, &mut part) && part == [offset as u8; 3]);
        assert!(!tier.read_part(&key(offset), 1600, &mut part), "beyond the block");
    }
    // files whose blocks must not be written, and blocks larger than the tier
    tier.offer(&BlockKey { file: FileId(3).secret(), offset: 0 }, &block(b"secret"));
    tier.offer(&key(99), &block(&[0; 20_000]));
    for offset in 5..9 {
        tier.offer(&key(offset), &block(&[offset as u8; 1500]));
        wait(&tier);
    }
    assert!(tier.get(&key(0)).is_none() && tier.get(&key(8)).is_some());
    let stats = tier.stats();
    assert_eq!((stats.writes, stats.hits, stats.misses, stats.mismatches, stats.dropped), (9, 6, 1, 0, 0));
    assert_eq!((stats.blocks, stats.is_disabled), (6, false));
    let file = dir.path().join("a/tier").join(FILE);
    assert_eq!(file.metadata().unwrap().len(), 10_000);
    assert!(!std::fs::read(&file).unwrap().windows(6).any(|bytes| bytes == b"secret"));
    tier.forget_file(FileId(3));
    assert!(tier.get(&key(8)).is_none() && tier.stats().blocks == 0);

    // another cache, or process, cannot use the directory; a later one can
    let other = Tier::open(&local, &dir.path().join("a/tier"), 10_000);
    assert!(!other.is_on() && other.failure().unwrap().contains("block-cache"));
    other.offer(&key(1), &block(b"value"));
    drop(other);
    assert!(file.exists());
    drop(tier);
    assert!(!file.exists(), "removed with the tier");
    // a file that a dead process has left
    std::fs::write(&file, vec![1; 100]).unwrap();
    let tier = Tier::open(&local, &dir.path().join("a/tier"), 10_000);
    assert!(tier.is_on() && tier.get(&key(1)).is_none());
}

#[test]
fn every_flipped_bit_is_a_miss() {
    let dir = tempfile::tempdir().unwrap();
    let tier = Tier::open(&LocalStorage::shared(), dir.path(), 1000);
    let (sound, mut stored) = (block(&[5; 100]), Vec::new());
    entry::write(&key(1), &sound, &mut stored);
    assert!(entry::read(&key(1), stored.clone()).is_some());
    assert!(entry::read(&key(2), stored.clone()).is_none());
    assert!(entry::read(&BlockKey { file: FileId(4), offset: 1 }, stored.clone()).is_none());
    for bit in 0..stored.len() * 8 {
        let mut flipped = stored.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        assert!(entry::read(&key(1), flipped).is_none(), "bit {bit}");
    }
    for len in 0..stored.len() {
        assert!(entry::read(&key(1), stored[..len].to_vec()).is_none());
    }
    // a fault in the file: a miss is counted, and the block is discarded
    tier.offer(&key(1), &sound);
    wait(&tier);
    let mut bytes = std::fs::read(dir.path().join(FILE)).unwrap();
    bytes[50] ^= 4;
    std::fs::write(dir.path().join(FILE), bytes).unwrap();
    assert!(tier.get(&key(1)).is_none() && tier.get(&key(1)).is_none());
    let stats = tier.stats();
    assert_eq!((stats.mismatches, stats.misses, stats.blocks, stats.is_disabled), (1, 1, 0, false));
    // a file that another program has truncated fails the next read
    tier.offer(&key(2), &sound);
    wait(&tier);
    std::fs::File::options().write(true).open(dir.path().join(FILE)).unwrap().set_len(10).unwrap();
    assert!(tier.get(&key(2)).is_none() && tier.stats().is_disabled);
}

#[test]
fn each_failed_call_only_ends_the_use_of_the_tier() {
    let run = |storage: &FaultyStorage| {
        let tier = Tier::open(&faulty(storage), Path::new("/disk/tier"), 5000);
        for offset in 0..20 {
            tier.offer(&key(offset), &block(&[offset as u8; 500]));
            wait(&tier);
            for offset in 0..=offset {
                let found = tier.get(&key(offset));
                let expected = block(&[offset as u8; 500]);
                assert!(found.is_none_or(|found| found.bytes[..] == *expected.content().0));
                let mut part = [0; 9];
                assert!(!tier.read_part(&key(offset), 40, &mut part) || part == [offset as u8; 9]);
            }
        }
        (tier.stats(), tier.failure())
    };
    let storage = FaultyStorage::new();
    let (sound, failure) = run(&storage);
    assert!(sound.hits > 100 && !sound.is_disabled && failure.is_none());
    for call in [Call::CreateDir, Call::Create, Call::Lock, Call::Write, Call::Read] {
        let storage = FaultyStorage::new();
        storage.break_calls(call);
        let (stats, failure) = run(&storage);
        assert!(stats.is_disabled && failure.is_some_and(|f| f.contains("injected")), "{call:?}");
        assert_eq!((stats.blocks, stats.failures), (0, 1));
    }
    for number in 0..200 {
        let storage = FaultyStorage::new();
        storage.fail_among_all([number]);
        let (stats, failure) = run(&storage);
        assert_eq!((stats.is_disabled, stats.failures), (failure.is_some(), 1));
        assert!(stats.is_disabled, "call {number}");
        // the directory is available again
        storage.fail_among_all([]);
        assert_eq!(run(&storage).0, sound);
    }
}

#[test]
fn a_full_disk_ends_the_use_of_the_tier() {
    let dir = tempfile::tempdir().unwrap();
    // larger than any disk
    let tier = Tier::open(&LocalStorage::shared(), dir.path(), u64::MAX >> 2);
    tier.offer(&key(1), &block(&[1; 100]));
    assert!(tier.get(&key(1)).is_none() && tier.stats().is_disabled && tier.stats().failures == 1);
    assert!(!dir.path().join(FILE).exists());
    // a smaller tier finds the directory unlocked
    assert!(Tier::open(&LocalStorage::shared(), dir.path(), 5000).is_on());
    drop(tier);
    // a disk that becomes full later
    let storage = FaultyStorage::new();
    let tier = Tier::open(&faulty(&storage), Path::new("/tier"), 5000);
    tier.offer(&key(1), &block(&[1; 100]));
    wait(&tier);
    assert!(tier.get(&key(1)).is_some());
    storage.break_calls(Call::Write);
    tier.offer(&key(2), &block(&[2; 100]));
    wait(&tier);
    assert!(tier.get(&key(1)).is_none() && tier.get(&key(2)).is_none());
    assert!(tier.stats().is_disabled && tier.failure().unwrap().contains("write"));
}

#[test]
fn a_tier_whose_thread_cannot_be_started_leaves_the_directory() {
    let (storage, dir) = (FaultyStorage::new(), Path::new("/tier"));
    // a stack larger than any memory
    let writer = thread::Builder::new().stack_size(3 << (usize::BITS - 2));
    let tier = Tier::open_with(&faulty(&storage), dir, 5000, writer);
    assert!(!tier.is_on() && tier.failure().unwrap().contains("start a thread"));
    let files = storage.names();
    assert!(!files.iter().any(|path| path.ends_with(FILE)) && tier.shared.file.is_none(), "{files:?}");
    assert!(Tier::open(&faulty(&storage), dir, 5000).is_on());
}

#[test]
fn a_file_that_cannot_be_removed_is_replaced_by_the_next() {
    let storage = FaultyStorage::new();
    for round in 0..2 {
        let tier = Tier::open(&faulty(&storage), Path::new("/tier"), 5000);
        assert!(tier.is_on() && tier.get(&key(1)).is_none(), "round {round}");
        tier.offer(&key(1), &block(&[1; 100]));
        wait(&tier);
        assert!(tier.get(&key(1)).is_some());
        storage.break_calls(Call::Remove);
        drop(tier);
        faulty(&storage).open(Path::new("/tier/block-cache")).unwrap();
    }
}

#[test]
fn a_full_queue_drops_blocks() {
    let storage = FaultyStorage::new();
    let tier = Tier::open(&faulty(&storage), Path::new("/tier"), 100 << 20);
    for offset in 0..40 {
        tier.offer(&key(offset), &block(&vec![1; 1 << 20]));
    }
    wait(&tier);
    let stats = tier.stats();
    assert_eq!(stats.writes + stats.dropped, 40);
    assert!(stats.writes > 0 && stats.blocks == stats.writes);
}

/// The thread and the file belong to the process that was forked.
#[test]
fn a_forked_process_neither_uses_nor_removes_the_file() {
    let storage = FaultyStorage::new();
    let mut tier = Tier::open(&faulty(&storage), Path::new("/tier"), 5000);
    tier.offer(&key(1), &block(&[1; 100]));
    wait(&tier);
    assert!(tier.get(&key(1)).is_some());
    tier.owner = Owner::other();
    let shared = Arc::clone(&tier.shared);
    let locked = unpoisoned(shared.ring.lock());
    tier.offer(&key(2), &block(&[2; 100]));
    assert!(tier.get(&key(1)).is_none() && !tier.has(&key(1)));
    tier.reject(&key(1));
    tier.forget_file(key(1).file);
    let stats = tier.stats();
    assert_eq!((stats.queued, stats.writes, stats.dropped, stats.failures), (0, 1, 0, 0));
    drop(tier);
    drop(locked);
    faulty(&storage).open(Path::new("/tier/block-cache")).unwrap();
}
