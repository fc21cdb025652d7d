use super::*;
use crate::cell::{CellRef, CellType, SeekKey};
use crate::hfile::{HFile, HFileWriter, StoreFileOrigin, StoreFileWriter};
use std::path::Path;

/// Writes a file with one row.
fn write(dir: &Path, name: &str, origin: StoreFileOrigin, info: &[(&str, &[u8])]) -> StoreFileInfo {
    let path = dir.join(name);
    let mut writer = StoreFileWriter::create(HFileWriter::options(), &path).unwrap();
    let key = SeekKey::of(name.as_bytes(), b"f", b"q", 1, CellType::Put);
    writer.append(CellRef::new(&key, b"v")).unwrap();
    for (key, value) in info {
        writer.add_file_info(key, value).unwrap();
    }
    writer.finish(&origin).unwrap();
    StoreFileInfo::plain(path, 0)
}

fn compacted(max_seq_id: i64, inputs: &[&str]) -> StoreFileOrigin {
    let compacted = inputs.iter().map(|name| name.as_bytes().to_vec()).collect();
    StoreFileOrigin::Store { max_seq_id, major_compaction: false, compacted }
}

/// Returns the names of the files that are read, and the number of warnings.
fn open(infos: &[StoreFileInfo]) -> (Vec<String>, usize) {
    let opened = open_files(&HFile::options(), infos).unwrap();
    assert_eq!(opened.files.len() + opened.replaced.len(), infos.len());
    let mut names: Vec<String> = opened.files.iter().map(|file| file.name().to_owned()).collect();
    names.sort();
    (names, opened.warnings.len())
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn files_that_were_compacted_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name, origin| write(dir.path(), name, origin, &[]);
    let files = [
        write("0a", compacted(3, &[])),
        write("0b", compacted(4, &["ff", "0a"])),
        write("0c", compacted(4, &["0b"])),
        write("0d", compacted(5, &[])),
    ];
    assert_eq!(open(&files), (names(&["0c", "0d"]), 0));
}

#[test]
fn names_that_are_repeated_count_once() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name, origin| write(dir.path(), name, origin, &[]);
    let files = [write("0a", compacted(3, &[])), write("0b", compacted(4, &["0b", "0a", "0b", "0b", "0a"]))];
    assert_eq!(open(&files), (names(&["0b"]), 1));
}

/// A file must not be archived before the files that it replaces: without it, they would be read again. Files
/// of a compaction often have the same sequence id as their newest input.
#[test]
fn older_generations_come_first() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name, origin| write(dir.path(), name, origin, &[]);
    let files = [
        write("0f", compacted(4, &["0a", "0b", "0e", "0d"])),
        write("0e", compacted(4, &["0d"])),
        write("0a", compacted(4, &["0b"])),
        write("0b", compacted(4, &["0c"])),
        write("0c", compacted(4, &[])),
        write("0d", compacted(4, &["0a"])),
    ];
    let opened = open_files(&HFile::options(), &files).unwrap();
    let replaced: Vec<&str> = opened.replaced.iter().map(StoreFile::name).collect();
    assert_eq!(replaced, ["0c", "0b", "0a", "0d", "0e"]);
}

#[test]
fn a_bulk_loaded_file_replaces_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let flushed = write(dir.path(), "0a", compacted(3, &[]), &[]);
    // Bulk-loaded according to its name.
    let by_name = write(dir.path(), "0b_SeqId_9_", compacted(9, &["0a"]), &[]);
    // Written for a bulk load, with the entry of a compaction.
    let event = crate::proto::hfile::CompactionEventTracker { compacted_store_file: vec![b"0a".to_vec()] };
    let event = [crate::proto::MAGIC.as_slice(), &prost::Message::encode_to_vec(&event)].concat();
    let origin = StoreFileOrigin::BulkLoad {
        timestamp: 5,
        source_task: Vec::new(),
        exclude_from_minor_compaction: false,
        skip_reset_seq_id: false,
    };
    let by_info = write(dir.path(), "0c", origin, &[("COMPACTION_EVENT_KEY", &event)]);
    assert_eq!(open(&[flushed.clone(), by_name]), (names(&["0a", "0b_SeqId_9_"]), 1));
    assert_eq!(open(&[flushed, by_info]), (names(&["0a", "0c"]), 1));
}

#[test]
fn a_file_replaces_neither_itself_nor_newer_ones_nor_in_a_circle() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name, origin| write(dir.path(), name, origin, &[]);
    let itself = write("0a", compacted(3, &["0a"]));
    assert_eq!(open(&[itself]), (names(&["0a"]), 1));
    let files = [write("0b", compacted(3, &["0c"])), write("0c", compacted(4, &[]))];
    assert_eq!(open(&files), (names(&["0b", "0c"]), 1));
    let circle = [
        write("0d", compacted(4, &["0e"])),
        write("0e", compacted(4, &["0f"])),
        write("0f", compacted(4, &["0d"])),
        write("1a", compacted(4, &[])),
    ];
    assert_eq!(open(&circle), (names(&["0d", "0e", "0f", "1a"]), 3));
    // A file outside the cycle replaces its files.
    let outside = write("1b", compacted(4, &["0e"]));
    let files: Vec<_> = circle.into_iter().chain([outside]).collect();
    assert_eq!(open(&files), (names(&["1a", "1b"]), 0));
}
