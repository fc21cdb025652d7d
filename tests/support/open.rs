//! Opens and reads golden files with the library.

use super::cells;
use super::golden::Golden;
use hregion::io::MemoryFile;
use hregion::{
    Cell, CellKey, CellOrder, CellRef, Error, ErrorKind, HFile, HFileOptions, HFileScanner, Result, SeekKey,
};
use std::fs;
use std::sync::Arc;

/// The options that open a golden file, with its master key or its dictionary if it needs one.
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

/// Opens an HFile from bytes in memory.
pub(crate) fn open_bytes(options: HFileOptions, name: &str, bytes: Vec<u8>) -> Result<HFile> {
    options.open_reader(Arc::new(MemoryFile::new(name, bytes)))
}

/// Calls `each` with every cell, in order, and returns the number of cells.
pub(crate) fn scan(file: &HFile, mut each: impl FnMut(CellRef<'_>)) -> Result<usize> {
    let mut scanner = file.scanner();
    let mut more = scanner.seek_to_first()?;
    let mut count = 0;
    while more {
        each(scanner.peek().expect("a scanner that moved to a cell is at it"));
        count += 1;
        more = scanner.advance()?;
    }
    assert!(scanner.peek().is_none(), "a scanner at the end has no current cell");
    Ok(count)
}

/// Returns every cell, owned.
pub(crate) fn all_cells(file: &HFile) -> Result<Vec<Cell>> {
    let mut cells = Vec::new();
    scan(file, |cell| cells.push(Cell::from(cell)))?;
    Ok(cells)
}

/// Returns the current cell of the scanner as a JSON line.
pub(crate) fn here(scanner: &HFileScanner<'_>, sequence_ids: bool) -> Option<String> {
    scanner.peek().map(|cell| cells::cell_json(&cell, sequence_ids))
}

/// Whether the JSON lines of a file's cells have sequence ids.
pub(crate) fn has_sequence_ids(lines: &[String]) -> bool {
    lines.first().is_some_and(|line| line.contains(",\"sequence_id\":"))
}

/// The order of a golden file's keys.
pub(crate) fn order(golden: &Golden) -> CellOrder {
    if golden.is_meta() { CellOrder::Meta } else { CellOrder::User }
}

/// Reference for a seek: returns the index of the first key that is not before `key`.
pub(crate) fn first_not_before(order: CellOrder, keys: &[SeekKey], key: &CellKey) -> usize {
    keys.partition_point(|k| order.compare(k, key).is_lt())
}

/// Returns the feature that reading a golden file needs and this build lacks, if any.
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

/// Checks that an error rejects the bytes and has an offset.
pub(crate) fn assert_refusal(error: &Error, name: &str) {
    let kinds = [ErrorKind::Corrupt, ErrorKind::Truncated, ErrorKind::Unsupported, ErrorKind::Limit];
    assert!(kinds.contains(&error.kind()), "{name}: {error:?}");
    assert!(error.offset().is_some(), "{name}: no offset: {error:?}");
}
