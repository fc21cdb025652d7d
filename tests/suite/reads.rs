//! The reads of a file, and failing reads.

use crate::support::golden;
use crate::support::written::MemoryWriter;
use hregion::io::faulty::FaultyFile;
use hregion::{
    BlockCache, BloomType, CellRef, CellType, ErrorKind, HFile, HFileWriter, LocalFile, MemoryFile, SeekKey,
    SeekResult, Storage,
};
use std::path::Path;
use std::sync::Arc;

/// Writes a file of `rows` cells in one block each, so that the load-on-open section of a large file exceeds
/// one read.
fn long_rooted(rows: u32) -> Vec<u8> {
    let file = MemoryWriter::default();
    let mut writer = HFileWriter::options()
        .block_size(64)
        .index_chunk_size(1 << 30)
        .create_in(Box::new(file.clone()))
        .expect("memory");
    for i in 0..rows {
        let key = SeekKey::of(format!("row-{i:08}").as_bytes(), b"f", b"q", 1, CellType::Put);
        writer.append(CellRef::new(&key, &[7; 64])).expect("in order");
    }
    writer.finish().expect("memory");
    file.bytes()
}

fn counted(bytes: Vec<u8>) -> Arc<FaultyFile> {
    Arc::new(FaultyFile::new(Arc::new(MemoryFile::new("counted", bytes))))
}

#[test]
fn opening_takes_one_read_of_a_small_file_and_two_of_a_large_one() {
    for golden in golden::all().iter().filter(|golden| golden.name.starts_with("small-none")) {
        let file = Arc::new(FaultyFile::new(Arc::new(LocalFile::open(golden.hfile()).expect("it exists"))));
        HFile::options().open_reader(Arc::clone(&file) as _).expect("a golden file");
        assert_eq!(file.reads(), 1, "{}", golden.name);
    }
    let bytes = long_rooted(3_000);
    let len = bytes.len() as u64;
    let file = counted(bytes);
    let open = HFile::options().open_reader(Arc::clone(&file) as _).expect("a sound file");
    assert_eq!(open.index_levels(), 1);
    assert_eq!(file.reads(), 2);
    assert!(file.bytes_read() < len, "no data is read");
}

#[test]
fn a_seek_reads_one_block_and_a_scan_each_block_once() {
    let file = counted(long_rooted(500));
    let open = HFile::options().open_reader(Arc::clone(&file) as _).expect("a sound file");
    let opened = file.reads();
    let mut scanner = open.scanner();
    let key = SeekKey::of(b"row-00000250", b"f", b"q", 1, CellType::Put);
    assert_eq!(scanner.seek(&key).expect("a sound file"), SeekResult::Exact);
    assert_eq!(file.reads(), opened + 1);
    assert_eq!(scanner.seek(&key).expect("a sound file"), SeekResult::Exact);
    assert_eq!(file.reads(), opened + 1, "the scanner already has the block");
    let mut more = scanner.seek_to_first().expect("a sound file");
    while more {
        more = scanner.advance().expect("a sound file");
    }
    assert_eq!(file.reads(), opened + 1 + open.root_index().len() as u64);
}

#[test]
fn a_read_that_fails_is_an_error_and_the_next_one_may_not() {
    let file = counted(long_rooted(500));
    file.fail_after(0);
    let error = HFile::options().open_reader(Arc::clone(&file) as _).expect_err("the read fails");
    assert_eq!((error.kind(), error.path()), (ErrorKind::Io, Some(Path::new("counted"))));

    let open = HFile::options().open_reader(Arc::clone(&file) as _).expect("a sound file");
    let mut scanner = open.scanner();
    for after in 0..20 {
        file.fail_after(after);
        let mut met = 0;
        let mut step = scanner.seek_to_first();
        let error = loop {
            match step {
                Ok(true) => met += 1,
                Ok(false) => panic!("the scan ended after {met} cells, and a read was to fail"),
                Err(error) => break error,
            }
            step = scanner.advance();
        };
        assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        assert!(scanner.peek().is_none(), "no current cell after an error");
        // the scanner can be used again
        assert!(scanner.seek_to_first().expect("this read does not fail"));
        assert_eq!(scanner.peek().expect("a cell").row(), b"row-00000000");
        scanner.seek(&SeekKey::first_on_row(b"row-00000499")).expect("nor does this");
        assert_eq!(scanner.peek().expect("a cell").row(), b"row-00000499");
    }
}

#[test]
fn a_bloom_filter_is_used_after_a_read_of_it_has_failed() {
    let written = MemoryWriter::default();
    let options = HFileWriter::options().bloom(BloomType::Row);
    let mut writer = options.create_in(Box::new(written.clone())).expect("memory");
    let key = SeekKey::of(b"row", b"f", b"q", 1, CellType::Put);
    writer.append(CellRef::new(&key, b"value")).expect("in order");
    writer.finish().expect("memory");
    let cache = BlockCache::with_capacity(1 << 20);
    for options in [HFile::options(), HFile::options().cache(&cache)] {
        let file = counted(written.bytes());
        let open = options.open_reader(Arc::clone(&file) as _).expect("a sound file");
        let excluded = || {
            let rows = (0..100).map(|i| format!("absent-{i}"));
            rows.filter(|row| !open.may_contain_row(row.as_bytes())).count()
        };
        file.fail_after(0);
        assert!(open.may_contain_row(b"absent"), "it is not known");
        assert!(excluded() > 50, "{} of 100", excluded());
        assert!(open.may_contain_row(b"row") && open.warnings().is_empty(), "{:?}", open.warnings());
    }
}

#[test]
fn files_that_are_not_there_are_errors_of_the_system() {
    let error = HFile::open("testdata/no-such-file").expect_err("there is no such file");
    assert_eq!((error.kind(), error.offset()), (ErrorKind::Io, None));
    assert!(hregion::LocalStorage.open(Path::new("testdata")).is_err(), "a folder is not a file");
}
