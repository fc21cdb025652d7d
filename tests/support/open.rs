//! Golden files, opened and read with the library.

use super::cells;
use super::golden::Golden;
use hregion::io::MemoryFile;
use hregion::{
    Cell, CellKey, CellOrder, CellRef, Error, ErrorKind, HFile, HFileOptions, HFileScanner, Result, SeekKey,
};
use std::fs;
use std::sync::Arc;

/// What it takes to open a golden file: its key or its dictionary, for those that need one.
pub(crate) fn options(golden: &Golden) -> HFileOptions {
    let mut options = HFile::options();
    if let Some(key) = golden.master_key() {
        options = options.master_key(key);
    }
    if let Some(path) = golden.zstd_dictionary() {
        options = options.zstd_dictionary(fs::read(path).expect("the dictionary is beside the file"));
    }
    options
}

/// Opens bytes as if they were a file.
pub(crate) fn open_bytes(options: HFileOptions, name: &str, bytes: Vec<u8>) -> Result<HFile> {
    options.open_reader(Arc::new(MemoryFile::new(name, bytes)))
}

/// Calls `each` with every cell from the first on, and says how many there were.
pub(crate) fn scan(file: &HFile, mut each: impl FnMut(CellRef<'_>)) -> Result<usize> {
    let mut scanner = file.scanner();
    let mut more = scanner.seek_to_first()?;
    let mut count = 0;
    while more {
        each(scanner.peek().expect("a scanner that moved to a cell stands on it"));
        count += 1;
        more = scanner.advance()?;
    }
    assert!(scanner.peek().is_none(), "a scanner at the end stands nowhere");
    Ok(count)
}

/// Every cell, owned.
pub(crate) fn all_cells(file: &HFile) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    scan(file, |cell| cells.push(Cell::from(cell)))?;
    Ok(cells)
}

/// Where the scanner stands, as a line.
pub(crate) fn here(scanner: &HFileScanner<'_>, sequence_ids: bool) -> Option<String> {
    scanner.peek().map(|cell| cells::cell_json(&cell, sequence_ids))
}

/// Whether the lines of a file's cells have sequence ids.
pub(crate) fn has_sequence_ids(lines: &[String]) -> bool {
    lines.first().is_some_and(|line| line.contains(",\"sequence_id\":"))
}

/// The order of a golden file's keys.
pub(crate) fn order(golden: &Golden) -> CellOrder {
    if golden.is_meta() { CellOrder::Meta } else { CellOrder::User }
}

/// The slow twin of a seek: the number of the first key that is not before `key`.
pub(crate) fn first_not_before(order: CellOrder, keys: &[SeekKey], key: &CellKey) -> usize {
    keys.partition_point(|k| order.compare(k, key).is_lt())
}

/// The feature that this build lacks to read a golden file, if it lacks one.
pub(crate) fn missing_feature(golden: &Golden) -> Option<&'static str> {
    let codec = golden
        .setting("--compression")
        .or_else(|| golden.made.split_whitespace().find_map(|word| word.strip_prefix("--compression=")));
    let (name, built_in) = match codec.unwrap_or("NONE") {
        "GZ" => ("GZ", cfg!(feature = "gz")),
        "SNAPPY" => ("SNAPPY", cfg!(feature = "snappy")),
        "LZ4" => ("LZ4", cfg!(feature = "lz4")),
        "ZSTD" => ("ZSTD", cfg!(feature = "zstd")),
        "LZO" => ("LZO", cfg!(feature = "lzo")),
        "BZIP2" => ("BZIP2", cfg!(feature = "bzip2")),
        "BROTLI" => ("BROTLI", cfg!(feature = "brotli")),
        _ => ("NONE", true),
    };
    if golden.master_key().is_some() && !cfg!(feature = "crypto") {
        return Some("encrypt");
    }
    (!built_in).then_some(name)
}

/// Checks that an error is a refusal of the bytes, one that says where.
pub(crate) fn assert_refusal(error: &Error, name: &str) {
    let kinds = [ErrorKind::Corrupt, ErrorKind::Truncated, ErrorKind::Unsupported, ErrorKind::Limit];
    assert!(kinds.contains(&error.kind()), "{name}: {error:?}");
    assert!(error.offset().is_some(), "{name}: no offset: {error:?}");
}
