//! Cells out of order, which no writer produces: a scanner that moved in the wrong direction could loop
//! forever.

use super::*;
use crate::ChecksumType;
use crate::cell::{CellType, SeekKey};
use crate::error::ErrorKind;
use crate::hfile::{HFile, HFileWriter};
use crate::io::MemoryFile;
use crate::io::Storage;
use crate::io::faulty::FaultyStorage;
use std::path::Path;

fn key(qualifier: &[u8]) -> SeekKey {
    SeekKey::of(b"row", b"f", qualifier, 1, CellType::Put)
}

/// A file of one row with the qualifiers `a`, `d` and `b`.
fn out_of_order() -> HFile {
    let storage: Arc<dyn Storage> = Arc::new(FaultyStorage::new());
    let options = HFileWriter::options().checksum(ChecksumType::Null).storage(Arc::clone(&storage));
    let mut writer = options.create("file").unwrap();
    for qualifier in [b"a", b"b", b"c"] {
        writer.append(CellRef::new(&key(qualifier), b"value")).unwrap();
    }
    writer.finish().unwrap();
    let file = storage.open(Path::new("file")).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    for (from, to) in [(b'b', b'd'), (b'c', b'b')] {
        let places: Vec<usize> = bytes
            .windows(6)
            .enumerate()
            .filter(|(_, w)| *w == [b'r', b'o', b'w', 1, b'f', from])
            .map(|(at, _)| at)
            .collect();
        assert!(!places.is_empty());
        places.iter().for_each(|at| bytes[at + 5] = to);
    }
    HFile::options().open_reader(Arc::new(MemoryFile::new("file", bytes))).unwrap()
}

#[test]
fn a_reseek_never_goes_backward() {
    let file = out_of_order();
    let mut scanner = file.scanner();
    scanner.seek(&key(b"a")).unwrap();
    assert!(scanner.advance().unwrap() && scanner.advance().unwrap());
    assert_eq!(scanner.peek().unwrap().qualifier(), b"b");
    let error = scanner.reseek(&key(b"c")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(scanner.peek().is_none());
}

#[test]
fn a_reseek_in_a_row_never_goes_backward() {
    let file = out_of_order();
    let mut scanner = file.reversed_scanner();
    assert!(scanner.seek_to_last_row().unwrap());
    scanner.advance().unwrap();
    scanner.advance().unwrap();
    assert_eq!(scanner.peek().unwrap().qualifier(), b"b");
    let error = scanner.reseek(&key(b"c")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(scanner.peek().is_none());
}
