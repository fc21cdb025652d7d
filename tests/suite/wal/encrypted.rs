//! Encrypted logs: with the master key, they give the entries that HBase's reader finds. No flipped bit gives
//! other entries, except where the format has nothing to detect it.

use super::{MASTER_KEY, check, entry_json, list, read, read_with};
use crate::support::cells;
use crate::support::golden;
use hregion::ErrorKind;
use hregion::wal::{WalEnd, WalEntry, WalReaderOptions};
use std::fs;
use std::path::PathBuf;

fn folder() -> PathBuf {
    golden::root("testdata/wal/encrypted")
}

fn small(name: &str) -> (PathBuf, Vec<u8>) {
    let path = folder().join("small").join(name);
    let bytes = fs::read(&path).unwrap();
    (path, bytes)
}

#[test]
fn small_and_closed_logs_are_read_as_by_hbase() {
    let mut logs = 0;
    for dir in ["small", "closed"] {
        // the answer for cells with tags is that of a bug
        for log in list(&folder().join(dir)).iter().filter(|log| !log.ends_with("tags")) {
            let name = log.file_name().unwrap().to_str().unwrap();
            assert!(check(log, &folder().join(format!("{dir}-read/{name}.jsonl"))) >= 2, "{name}");
            logs += 1;
        }
    }
    assert_eq!(logs, 4);
}

/// HBase finds the end of the file in a cell with tags that it has written itself.
#[test]
fn tags_are_read() {
    let (path, bytes) = small("tags");
    let (found, _) = read(&path, bytes).unwrap();
    assert_eq!(found.end.unwrap(), WalEnd::Trailer);
    let answer = cells::json_lines(&folder().join("small-read/tags.jsonl"));
    let of_hbase: Vec<_> = answer.iter().filter(|line| line["cells"].is_array()).collect();
    assert_eq!((of_hbase.len(), found.entries.len()), (1, 3));
    assert_eq!(entry_json(&found.entries[0]), *of_hbase[0]);
    let tagged: Vec<_> = found.entries[1].cells().collect();
    assert_eq!((tagged.len(), tagged[0].value()), (1, &b"value-4"[..]));
    assert_eq!(tagged[0].tag_bytes(), b"\0\x03\x40ab\0\x01\x41");
    assert_eq!(found.entries[2].cell_count(), 2);
}

#[test]
fn only_the_right_master_key_reads_a_log() {
    let (path, bytes) = small("closed");
    let read = |options: WalReaderOptions| read_with(&options, &path, bytes.clone()).map(|(found, _)| found);
    let expected = read(WalReaderOptions::new().master_key(MASTER_KEY)).unwrap().entries;
    let wrong = WalReaderOptions::new().master_key([7; 16]);
    let both = read(wrong.clone().alternate_master_key(MASTER_KEY)).unwrap();
    assert_eq!(both.entries, expected);
    for (options, message) in [
        (wrong, "this is not the master key that it was wrapped with"),
        (WalReaderOptions::new().master_key([1; 15]), "the master key must have 16, 24 or 32 bytes"),
    ] {
        let error = read(options).map(drop).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Corrupt, Some(&*path)));
        assert!(error.message().contains(message), "{error}");
    }
}

/// The bytes of a small log: where its header ends, and the cells of each entry.
struct Layout {
    entries_at: usize,
    /// The ranges of the iv and of the encrypted bytes of each cell.
    cells: Vec<[std::ops::Range<usize>; 2]>,
}

impl Layout {
    /// Finds the cells by their ivs: all lengths in these logs have one byte.
    fn of(bytes: &[u8], entries: &[WalEntry]) -> Self {
        let entries_at = usize::try_from(entries[0].offset()).unwrap();
        let mut cells = Vec::new();
        for entry in entries {
            let at = usize::try_from(entry.offset()).unwrap();
            let mut at = at + 1 + usize::from(bytes[at]);
            for _ in 0..entry.cell_count() {
                assert_eq!(bytes[at], 16, "the length of an iv");
                let from = at + 18;
                let to = from + usize::from(bytes[at + 17]);
                cells.push([at + 1..at + 17, from..to]);
                at = to;
            }
            assert_eq!(at as u64, entry.end());
        }
        Self { entries_at, cells }
    }
}

#[test]
fn flipped_bits_are_damage_where_the_format_shows_them() {
    for name in ["closed", "open"] {
        let (path, bytes) = small(name);
        let (whole, _) = read(&path, bytes.clone()).unwrap();
        let layout = Layout::of(&bytes, &whole.entries);
        assert_eq!(layout.cells.len(), 3);
        let mut unnoticed = 0;
        for bit in 0..bytes.len() * 8 {
            let at = bit / 8;
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (bit % 8);
            let Ok((found, _)) = read(&path, flipped) else {
                assert!(at < layout.entries_at, "{name} {bit}: only the header fails the opening");
                continue;
            };
            // Entries before the flipped bit are the same, unless it makes a trailer longer, and no entry is
            // made up.
            let same = whole.entries.iter().take_while(|entry| entry.end() <= at as u64).count();
            let shared = same.min(found.entries.len());
            assert_eq!(found.entries[..shared], whole.entries[..shared], "{name} {bit}");
            assert!(shared == same || same == whole.entries.len(), "{name} {bit}: {:?}", found.end);
            assert!(found.entries.len() <= whole.entries.len(), "{name} {bit}");
            let is_whole = matches!(found.end, Ok(WalEnd::Trailer | WalEnd::NoTrailer));
            if at < layout.entries_at {
                // Only a length of the header past the end of the file looks torn, as in a plain log.
                let lost = [4, 5].contains(&at) && found.entries.is_empty();
                assert!(lost || is_whole && found.entries == whole.entries, "{name} {bit}: {:?}", found.end);
            } else if layout.cells.iter().any(|[iv, _]| iv.contains(&at)) {
                assert!(!is_whole, "{name} {bit}: an iv");
            } else if is_whole && layout.cells.iter().any(|[_, cell]| cell.contains(&at)) {
                // Only this cell differs, in one bit.
                let all = |entries: &[WalEntry]| {
                    let cells = entries.iter().flat_map(WalEntry::cells);
                    let bytes = cells.map(|cell| [cell.key().as_bytes(), cell.value()].concat());
                    bytes.collect::<Vec<_>>().concat()
                };
                let (found, whole) = (all(&found.entries), all(&whole.entries));
                assert_eq!(found.len(), whole.len(), "{name} {bit}");
                let bits: u32 = found.iter().zip(&whole).map(|(a, b)| (a ^ b).count_ones()).sum();
                assert_eq!(bits, 1, "{name} {bit}");
                unnoticed += 1;
            }
        }
        assert!(unnoticed > 0, "counter mode does not authenticate");
    }
}

#[test]
fn every_prefix_is_torn_or_ends_after_an_entry() {
    let (path, bytes) = small("closed");
    let (all, _) = read(&path, bytes.clone()).unwrap();
    for len in 0..bytes.len() {
        let (found, reader) = read(&path, bytes[..len].to_vec()).unwrap();
        assert_eq!(found.entries, all.entries[..found.entries.len()], "{len}");
        match found.end.unwrap() {
            WalEnd::NoTrailer => assert_eq!(reader.offset(), len as u64),
            WalEnd::Torn { offset, unread, .. } => assert_eq!(offset + unread, len as u64),
            end => panic!("{end:?} at {len}"),
        }
    }
}
