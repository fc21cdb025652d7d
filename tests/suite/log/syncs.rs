//! How much is synced, written and read.

use super::{DIR, forget, logs, open, options, put, values};
use crate::support::no_sync::NoSync;
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::wal::{WalEnd, WalReader};
use hregion::{Durability, Family, Limits, Region, Storage};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

/// Threads that write at the same time share syncs.
#[test]
fn writers_share_syncs() {
    let dir = tempfile::tempdir().unwrap();
    let storage = NoSync { log_sync: Duration::from_millis(1), ..NoSync::default() };
    let syncs = Arc::clone(&storage.log_syncs);
    let options = Region::options().create_if_missing(true).storage(Arc::new(storage));
    let options = options.family(Family::new("f")).family(Family::new("g"));
    let region = options.open(dir.path().join("region")).unwrap();
    const THREADS: usize = 32;
    const PUTS: usize = 50;
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let region = &region;
            scope.spawn(move || {
                for n in 0..PUTS {
                    region.put(put(&format!("{thread}-{n}"), "v")).unwrap();
                }
            });
        }
    });
    let syncs = syncs.load(Ordering::Relaxed);
    println!("{syncs} syncs of {} puts", THREADS * PUTS);
    assert!(syncs <= (THREADS * PUTS) as u64 / 10, "{syncs}");
    let log =
        std::fs::read_dir(region.path().join("recovered.edits")).unwrap().next().unwrap().unwrap().path();
    let mut reader = WalReader::open(&log).unwrap();
    let mut sequence_ids = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        assert_eq!(entry.cells().len(), 2);
        sequence_ids.push(entry.key().sequence_id);
    }
    assert_eq!(reader.end(), Some(&WalEnd::NoTrailer));
    assert_eq!(sequence_ids.len(), THREADS * PUTS);
    assert!(sequence_ids.is_sorted_by(|a, b| a < b), "in the order of the sequence ids");
    assert_eq!(values(&region).len(), THREADS * PUTS);
}

/// The length of the log does not change with each sync, and every entry is read.
#[test]
fn a_log_that_is_synced_is_longer_than_its_entries() {
    let storage = FaultyStorage::new();
    let region = open(&storage);
    region.put(put("a", "1").durability(Durability::SyncWal)).unwrap();
    let [log] = &logs(&storage)[..] else { panic!("{:?}", logs(&storage)) };
    let len = || storage.bytes(log).unwrap().len();
    let read = || {
        let mut reader = WalReader::new(storage.open(log).unwrap(), &Limits::new()).unwrap();
        let mut cells = Vec::new();
        while let Some(entry) = reader.next_entry().unwrap() {
            cells.push(entry.cells().len());
        }
        assert_eq!(reader.end(), Some(&WalEnd::NoTrailer));
        (cells, usize::try_from(reader.offset()).unwrap())
    };
    assert_eq!(read(), (vec![2], len()), "nothing was synced");
    region.put(put("b", "2")).unwrap();
    let longer = len();
    for n in 0..50 {
        let durability = [Durability::FsyncWal, Durability::SyncWal][n % 2];
        region.put(put("c", "3").durability(durability)).unwrap();
        let (cells, end) = read();
        assert_eq!((len(), cells), (longer, vec![2; 3 + n]));
        assert!(end < longer, "{end}");
    }
    storage.break_calls(Call::Remove);
    region.flush().unwrap();
    let (mut cells, _) = read();
    assert_eq!(
        (cells.pop(), cells, len()),
        (Some(0), vec![2; 52], longer),
        "an entry without cells is the last"
    );
    storage.repair();
    // Entries beyond the length, synced or not.
    for durability in [Durability::FsyncWal, Durability::SyncWal, Durability::FsyncWal, Durability::SyncWal] {
        region.put(put("d", &"4".repeat(40 << 10)).durability(durability)).unwrap();
        region.put(put("e", "5").durability(durability)).unwrap();
    }
    forget(region);
    let left = storage.after(Crash::OfTheProcess);
    assert_eq!(values(&open(&left)).len(), 5);
}

/// After a loss of power, overwritten synced bytes are old or new, in units of 512 bytes.
#[test]
fn bytes_that_are_written_over_are_old_or_new_after_a_loss_of_power() {
    let (storage, path) = (FaultyStorage::new(), Path::new("log"));
    let mut log = storage.create_log(path).unwrap();
    log.append(&[b'a'; 2_000], 300).unwrap();
    log.sync().unwrap();
    storage.sync_dir(Path::new("")).unwrap();
    log.append(&[b'b'; 1_000], 1_000).unwrap();
    let state = |parts: &[(u8, usize)]| -> Vec<u8> {
        parts.iter().flat_map(|(byte, len)| vec![*byte; *len]).collect()
    };
    let after = |crash| storage.after(crash).bytes(path).unwrap();
    assert_eq!(after(Crash::OfTheProcess), state(&[(b'a', 300), (b'b', 1_000), (b'a', 700)]));
    assert_eq!(after(Crash::Hard), state(&[(b'a', 2_000)]));
    let found: BTreeSet<Vec<u8>> = (0..100).map(|seed| after(Crash::Chance(seed))).collect();
    assert_eq!(found.len(), 8, "each of three units");
    assert!(found.iter().all(|bytes| bytes.len() == 2_000 && bytes[..300] == [b'a'; 300]));
    log.sync().unwrap();
    assert_eq!(after(Crash::Hard), after(Crash::OfTheProcess));
}

/// The number of reads of a log grows with its number of chunks.
#[test]
fn a_log_is_read_once_when_its_region_is_opened() {
    const CHUNK: u64 = 64 << 10;
    let reads = |rows: usize| {
        let storage = FaultyStorage::new();
        let region = open(&storage);
        for row in 0..rows {
            region.put(put(&format!("{row:05}"), &"v".repeat(500)).durability(Durability::SyncWal)).unwrap();
        }
        forget(region);
        let storage = storage.after(Crash::OfTheProcess);
        let len: usize = logs(&storage).iter().map(|log| storage.bytes(log).unwrap().len()).sum();
        let before = storage.all_calls();
        let region = options(&storage).create_if_missing(false).writable(false).open(DIR).unwrap();
        let reads = storage.all_calls() - before;
        assert_eq!(values(&region).len(), rows);
        (len as u64 / CHUNK, reads)
    };
    let ((less, few), (more, many)) = (reads(200), reads(2_200));
    let (chunks, reads) = (more - less, many - few);
    assert!(chunks > 30 && (chunks..chunks * 3 / 2).contains(&reads), "{reads} reads of {chunks} chunks");
}
