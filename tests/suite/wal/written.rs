//! Logs written by hregion are read back by hregion and by HBase, and damage to them is found.

use super::{check_end, entry_json, read};
use crate::support::cells::json_lines;
use crate::support::hbase::programs;
use hregion::io::FileWriter;
use hregion::wal::{
    BulkLoadMarker, CompactionMarker, FlushAction, FlushMarker, Marker, RegionEvent, RegionEventMarker,
    ReplicationScope, StoreFiles, WalEnd, WalEntry, WalKey, WalReader, WalWriterOptions,
};
use hregion::{Cell, CellRef, CellType, Codec, SeekKey};
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::{fs, io};

/// A file in memory.
#[derive(Clone, Debug)]
struct Sink {
    path: PathBuf,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl FileWriter for Sink {
    fn path(&self) -> &Path {
        &self.path
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.bytes.lock().unwrap().extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

type Edit = (WalKey, Vec<Cell>);

fn write(options: &WalWriterOptions, path: &str, edits: &[Edit], close: bool) -> Vec<u8> {
    let sink = Sink { path: path.into(), bytes: Arc::default() };
    let mut writer = options.open_writer(Box::new(sink.clone())).unwrap();
    for (key, cells) in edits {
        writer.append(key, cells.iter().map(Cell::as_ref)).unwrap();
    }
    if close {
        writer.close().unwrap();
    }
    sink.bytes.lock().unwrap().clone()
}

/// The keys and cells of entries, without the attribute with the checksum: it is visible if a flip has hidden
/// the checksum of the header.
fn edits(entries: &[WalEntry]) -> Vec<Edit> {
    let edit = |entry: &WalEntry| {
        let mut key = entry.key().clone();
        key.extended_attributes.retain(|(name, _)| name != "hregion");
        let cells = entry.cells().map(|cell| Cell::from(cell.with_seq_id(0))).collect();
        (key, cells)
    };
    entries.iter().map(edit).collect()
}

fn short(max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0u8..4, 0..max)
}

fn some(max: usize) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(0u8..4, 1..max)
}

fn any_cell() -> impl Strategy<Value = Cell> {
    let types = [CellType::Put, CellType::Delete, CellType::DeleteColumn, CellType::DeleteFamily];
    let value = prop_oneof![4 => short(20), 1 => proptest::collection::vec(any::<u8>(), 0..600)];
    let tags = proptest::collection::vec((any::<u8>(), short(3)), 0..3);
    (short(4), short(3), short(3), any::<i64>(), 0..types.len(), value, tags).prop_map(
        move |(row, family, qualifier, timestamp, cell_type, value, tags)| {
            let mut area = Vec::new();
            for (tag_type, value) in tags {
                area.extend(u16::try_from(1 + value.len()).unwrap().to_be_bytes());
                area.push(tag_type);
                area.extend(value);
            }
            let key = SeekKey::of(&row, &family, &qualifier, timestamp, types[cell_type]);
            Cell::from(CellRef::new(&key, &value).with_tag_bytes(&area).unwrap())
        },
    )
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let numbers = (any::<i64>(), any::<i64>(), any::<i64>(), -1i64..1, 0i64..2);
    let scopes = proptest::collection::vec((some(3), 0..3i32), 0..3);
    let attributes = proptest::collection::vec(("[a-z]{0,2}", some(3)), 0..2);
    let names = ("[0-9a-f]{1,2}", "[a-z]{1,2}");
    let cells = proptest::collection::vec(any_cell(), 0..5);
    let ids = proptest::collection::vec(any::<u128>(), 0..2);
    (names, numbers, scopes, attributes, ids, cells).prop_map(
        |((region, table), numbers, scopes, extended_attributes, cluster_ids, cells)| {
            let mut key = WalKey::new(region, table, numbers.0, numbers.1);
            let scope = |(family, code)| (family, ReplicationScope::from_code(code).unwrap());
            key.scopes = scopes.into_iter().map(scope).collect();
            key.nonce = numbers.2;
            key.nonce_group = numbers.3;
            key.orig_sequence_id = numbers.4;
            key.extended_attributes = extended_attributes;
            key.cluster_ids = cluster_ids;
            (key, cells)
        },
    )
}

fn any_options() -> impl Strategy<Value = WalWriterOptions> {
    let codec = prop_oneof![Just(None), proptest::sample::select(built_in()).prop_map(Some)];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (flags, codec, any::<Option<u64>>()).prop_map(|((packed, tags, framed), codec, log_id)| {
        WalWriterOptions::new()
            .compression(packed)
            .tag_compression(tags)
            .value_compression(codec)
            .zstd_framed(framed)
            .checksums(log_id)
    })
}

/// The codecs of this build.
fn built_in() -> Vec<Codec> {
    let has = |codec: &Codec| {
        let options = WalWriterOptions::new().compression(true).value_compression(Some(*codec));
        let sink = Sink { path: "log".into(), bytes: Arc::default() };
        options.open_writer(Box::new(sink)).is_ok()
    };
    Codec::ALL.into_iter().filter(has).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_is_written_is_read_back(
        all in proptest::collection::vec(any_edit(), 0..12),
        options in any_options(),
        recovered: bool,
        close: bool,
        cut: usize,
    ) {
        let path = if recovered { "region/recovered.edits/0000000000000000007" } else { "WALs/s/log" };
        let bytes = write(&options, path, &all, close);
        let (found, _) = read(path, bytes.clone()).unwrap();
        prop_assert_eq!(&edits(&found.entries), &all);
        prop_assert_eq!(found.end.unwrap(), if close { WalEnd::Trailer } else { WalEnd::NoTrailer });

        let len = cut % bytes.len();
        let (found, _) = read(path, bytes[..len].to_vec()).unwrap();
        prop_assert_eq!(&edits(&found.entries)[..], &all[..found.entries.len()]);
        let is_cut = matches!(found.end.unwrap(), WalEnd::NoTrailer | WalEnd::Torn { zeros: false, .. });
        prop_assert!(is_cut);
    }
}

/// Some edits that use each part of the format.
fn some_edits() -> Vec<Edit> {
    const REGION: &str = "c53874646ac331a474743a009007c83b";
    let cell = |row: &str, qualifier: &str, value: &str, tags: &[u8]| {
        let key = SeekKey::of(row.as_bytes(), b"a", qualifier.as_bytes(), 1000, CellType::Put);
        Cell::from(CellRef::new(&key, value.as_bytes()).with_tag_bytes(tags).unwrap())
    };
    let key = |id| {
        let mut key = WalKey::new(REGION, "ns:t", id, 1_795_161_493_542);
        key.scopes = vec![(b"a".to_vec(), ReplicationScope::Global)];
        key
    };
    let files = vec!["7e7f1c6609b14820bf4863c7fce4bc5f".to_owned()];
    let stores = vec![StoreFiles::new("a", files.clone())];
    let marker = |id, marker: &Marker| (WalKey::new(REGION, "ns:t", id, 5), vec![marker.to_cell(b"", 5)]);
    vec![
        marker(
            3,
            &Marker::RegionEvent(RegionEventMarker::new(RegionEvent::Open, "ns:t", REGION, 2, Vec::new())),
        ),
        (key(4), vec![cell("row-1", "q", "value", b""), cell("row-1", "", "", b"\0\x03\x08ab")]),
        (key(5), vec![cell("row-2", "q", "value value value", b"\0\x03\x08ab\0\x01\x09")]),
        marker(7, &Marker::Flush(FlushMarker::new(FlushAction::Commit, "ns:t", REGION, 6, stores.clone()))),
        marker(8, &Marker::Compaction(CompactionMarker::new("ns:t", REGION, "a", files, Vec::new()))),
        marker(9, &Marker::BulkLoad(BulkLoadMarker::new("ns:t", REGION, 8, stores))),
        (key(10), vec![cell("row-1", "q", "value", b"")]),
    ]
}

#[test]
fn no_flipped_bit_of_a_log_with_checksums_gives_other_cells() {
    let all = some_edits();
    let plain = WalWriterOptions::new().checksums(Some(0x0123_4567_89ab_cdef));
    let packed = plain.clone().compression(true);
    let codec = built_in().into_iter().find(|codec| *codec == Codec::Gz);
    for options in [plain, packed.clone(), packed.value_compression(codec)] {
        for close in [false, true] {
            let bytes = write(&options, "log", &all, close);
            let (mut torn, mut refused, mut same) = (0, 0, 0);
            for bit in 0..bytes.len() * 8 {
                let mut bad = bytes.clone();
                bad[bit / 8] ^= 1 << (bit % 8);
                let Ok((found, _)) = read("log", bad) else {
                    refused += 1;
                    continue;
                };
                let shown = format!("{options:?}: bit {bit} of {}: {:?}", bytes.len() * 8, found.end);
                let count = found.entries.len();
                assert!(count <= all.len() && edits(&found.entries) == all[..count], "{shown}");
                match found.end {
                    // only a trailer may appear cut
                    Ok(end) => {
                        assert_eq!(count, all.len(), "{shown}");
                        let is_torn = matches!(end, WalEnd::Torn { .. });
                        *(if is_torn { &mut torn } else { &mut same }) += 1;
                    }
                    Err(_) => refused += 1,
                }
            }
            println!("{options:?}, closed: {close}: {refused} refused, {torn} torn, {same} the same");
            assert!(refused > torn + same && (torn > 0) == close, "{refused}, {torn}, {same}");
        }
    }
}

/// Bytes that only resemble entries are not read as such, whatever their offset, at a bounded cost.
#[test]
fn false_entries_after_a_tear_are_harmless() {
    const LOG_ID: u64 = 0x0123_4567_89ab_cdef;
    let bytes = write(&WalWriterOptions::new().checksums(Some(LOG_ID)), "log", &some_edits(), false);
    let (whole, _) = read("log", bytes.clone()).unwrap();
    let end = bytes.len() as u64;
    let false_entry = |offset: u64, synced: u64, len: u32| {
        let numbers = [LOG_ID, offset, synced].map(u64::to_be_bytes).concat();
        [&numbers[..], &len.to_be_bytes(), &[7; 4]].concat()
    };
    for offset in [0, end - 1, end, end + 1, end + 40, end + 10_000, u64::MAX - 1, u64::MAX] {
        for len in [0, 1, 31, 32, 33, 60, 10_000, u32::MAX] {
            let tail = [&[0xff; 20][..], &false_entry(offset, u64::MAX, len)].concat();
            let (found, _) = read("log", [&bytes[..], &tail].concat()).unwrap();
            assert_eq!(found.entries, whole.entries, "{offset}, {len}");
        }
    }
    // Each of these would require reading the rest of the file.
    let many: Vec<u8> = (0..40_000).flat_map(|_| false_entry(end, u64::MAX, 1_000_000)).collect();
    let (found, _) = read("log", [&bytes[..], &many].concat()).unwrap();
    assert_eq!(found.entries, whole.entries);
    assert!(found.end.is_err());
}

/// A crash loses any unsynced 512-byte units. Synced ones are read, and the rest is torn.
#[test]
fn lost_units_after_a_sync_are_torn_and_before_it_are_damage() {
    let all: Vec<Edit> = (0..6).flat_map(|_| some_edits()).collect();
    let sink = Sink { path: "log".into(), bytes: Arc::default() };
    let options = WalWriterOptions::new().checksums(Some(0x0123_4567_89ab_cdef));
    let mut writer = options.open_writer(Box::new(sink.clone())).unwrap();
    let mut ends = Vec::new();
    let synced = 20;
    for (n, (key, cells)) in all.iter().enumerate() {
        ends.push(writer.append(key, cells.iter().map(Cell::as_ref)).unwrap());
        if n + 1 == synced {
            writer.sync().unwrap();
        }
    }
    let on_disk = usize::try_from(ends[synced - 1]).unwrap();
    let bytes = sink.bytes.lock().unwrap().clone();
    let units = (bytes.len() - on_disk).div_ceil(512);
    assert!(units >= 4, "{units}");
    for lost in 0..1usize << units {
        for len in [bytes.len(), bytes.len() - 100, on_disk + 700] {
            let mut left = bytes[..len].to_vec();
            for (unit, bytes) in left[on_disk..].chunks_mut(512).enumerate() {
                if lost & 1 << unit != 0 {
                    bytes.fill(0);
                }
            }
            let (found, _) = read("log", left).unwrap();
            let shown = format!("units {lost:b}, {len} bytes: {:?}", found.end);
            let count = found.entries.len();
            assert!(count >= synced && edits(&found.entries) == all[..count], "{shown}");
            assert!(matches!(found.end, Ok(WalEnd::Torn { .. } | WalEnd::NoTrailer)), "{shown}");
        }
    }
    // Synced bytes cannot be lost.
    let mut bad = bytes.clone();
    bad[on_disk - 400..on_disk - 200].fill(0);
    let (found, _) = read("log", bad).unwrap();
    assert!(found.entries.len() < synced && found.end.is_err(), "{:?}", found.end);
    // A file whose first bytes did not reach the disk has no entries.
    let (found, _) = read("log", vec![0; 130]).unwrap();
    assert!(found.entries.is_empty() && matches!(found.end, Ok(WalEnd::Torn { zeros: true, .. })));
}

#[test]
fn entries_of_another_log_or_place_are_refused() {
    let all = some_edits();
    let of = |log_id| write(&WalWriterOptions::new().checksums(Some(log_id)), "log", &all, false);
    let (one, other) = (of(1), of(2));
    assert_eq!(one.len(), other.len());
    let (entries, _) = read("log", one.clone()).unwrap();
    let span = |n: usize| {
        let entry = &entries.entries[n];
        usize::try_from(entry.offset()).unwrap()..usize::try_from(entry.end()).unwrap()
    };
    let error = |bytes: Vec<u8>| match read("log", bytes).unwrap().0.end {
        Err(error) => error.message(),
        Ok(end) => panic!("{end:?}"),
    };
    let mut mixed = one.clone();
    mixed[span(2)].copy_from_slice(&other[span(2)]);
    assert_eq!(error(mixed), "id of the log: expected 1, found 2");
    let mut lost = one.clone();
    lost.drain(span(2));
    let (expected, found) = (span(2).start, span(3).start);
    assert_eq!(error(lost), format!("offset of the entry: expected {expected}, found {found}"));
    // without the header's field nothing is checked: HBase copies the attribute when it splits a log
    let plain = write(&WalWriterOptions::new(), "log", &[], false);
    let copied = [&plain[..], &one[span(0).start..]].concat();
    let (found, _) = read("log", copied).unwrap();
    assert_eq!(edits(&found.entries), all);
    assert!(found.entries.iter().all(|entry| entry.key().extended_attributes.len() == 1));
}

#[test]
fn logs_on_disk_are_written_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("log");
    let all = some_edits();
    let mut writer = WalWriterOptions::new().create(&path).unwrap();
    for (key, cells) in &all {
        writer.append(key, cells.iter().map(Cell::as_ref)).unwrap();
        writer.sync().unwrap();
    }
    assert!(WalWriterOptions::new().create(&path).is_err(), "the file exists");
    writer.close().unwrap();
    let mut reader = WalReader::open(&path).unwrap();
    let mut entries = Vec::new();
    while let Some(entry) = reader.next_entry().unwrap() {
        entries.push(entry);
    }
    assert_eq!(edits(&entries), all);
    assert_eq!(reader.end(), Some(&WalEnd::Trailer));
    assert_eq!(entries.iter().filter(|entry| entry.is_marker()).count(), 4);
    assert!(WalReader::open(dir.path().join("none")).is_err());
}

/// HBase's reader reads logs written by hregion with all settings, entry for entry.
#[test]
#[ignore = "starts a JVM"]
fn hbase_reads_logs_written_here() {
    let programs = programs();
    let dir = tempfile::tempdir().unwrap();
    let mut runner = TestRunner::deterministic();
    let mut random = || -> Vec<Edit> {
        let mut edits = proptest::collection::vec(any_edit(), 60).new_tree(&mut runner).unwrap().current();
        for (key, cells) in &mut edits {
            // HBase's answer does not contain this.
            key.orig_sequence_id = 0;
            (key.sequence_id, key.write_time) = (key.sequence_id & i64::MAX, key.write_time & i64::MAX);
            // HBase refuses cells with an empty row or a negative timestamp.
            for cell in cells {
                let old = cell.as_ref();
                let row = [b"r", old.row()].concat();
                let timestamp = old.timestamp() & i64::MAX;
                let new = SeekKey::of(&row, old.family(), old.qualifier(), timestamp, old.cell_type());
                *cell = Cell::from(CellRef::new(&new, old.value()).with_tag_bytes(old.tag_bytes()).unwrap());
            }
        }
        edits
    };
    let codecs = [None, Some(Codec::Gz), Some(Codec::Snappy), Some(Codec::Lz4), Some(Codec::Zstd)];
    let mut logs = Vec::new();
    for log_id in [None, Some(77)] {
        let plain = WalWriterOptions::new().checksums(log_id);
        logs.push((plain.clone(), some_edits()));
        logs.push((plain.clone(), random()));
        for codec in codecs {
            // compressed by the class that this HBase is configured to use
            let packed = plain.clone().compression(true).value_compression(codec).zstd_framed(true);
            logs.push((packed.clone(), some_edits()));
            logs.push((packed.clone().tag_compression(true), random()));
            logs.push((packed.tag_compression(false), random()));
        }
    }
    let mut paths = Vec::new();
    for (i, (options, edits)) in logs.iter().enumerate() {
        let path = dir.path().join(format!("log-{i}"));
        fs::write(&path, write(options, "log", edits, i % 3 != 0)).unwrap();
        paths.push(path);
    }
    let answers = dir.path().join("answers");
    let output =
        Command::new(programs.join("check-wal")).arg("--out").arg(&answers).args(&paths).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut entries = 0;
    for (i, (path, (options, edits))) in paths.iter().zip(&logs).enumerate() {
        let (found, _) = read(path, fs::read(path).unwrap()).unwrap();
        let lines = json_lines(&answers.join(format!("log-{i}.jsonl")));
        let (last, rest) = lines.split_last().unwrap();
        let expected = found.entries.iter().map(entry_json);
        for (found, mut expected) in rest[1..].iter().zip(expected) {
            // hregion's reader does not return the checksum
            let mut found = found.clone();
            if let Some(extended) = found.get_mut("extended").and_then(Value::as_object_mut) {
                assert_eq!(extended.remove("hregion").is_some(), i >= logs.len() / 2, "{options:?}");
                if extended.is_empty() {
                    found.as_object_mut().unwrap().remove("extended");
                }
            }
            // Java's bytes are signed.
            for cell in expected["cells"].as_array_mut().unwrap() {
                for tag in cell.get_mut("tags").and_then(Value::as_array_mut).into_iter().flatten() {
                    tag["type"] = json!(u8::try_from(tag["type"].as_u64().unwrap()).unwrap().cast_signed());
                }
            }
            assert_eq!(found, expected, "{options:?}");
        }
        assert_eq!(rest.len() - 1, found.entries.len(), "{options:?}: {last}");
        assert_eq!(found.entries.len(), edits.len(), "{options:?}");
        check_end(path, &found.end, last);
        entries += found.entries.len();
    }
    println!("HBase read {entries} entries of {} logs written here", paths.len());
}
