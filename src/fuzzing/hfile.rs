//! Whole files.

use crate::block::BlockType;
use crate::block::checksum;
use crate::block::header::{BlockSizes, SHORT_HEADER_LEN};
use crate::cache::BlockCache;
use crate::cell::{Cell, CellOrder, SeekKey};
use crate::error::{ErrorKind, Result};
use crate::hfile::{HFile, HFileOptions, SeekResult, Trailer};
use crate::io::MemoryFile;
use crate::limits::Limits;
use bytes::Bytes;
use std::sync::{Arc, OnceLock};

/// Checks a whole file: it is refused, or can be read. If all of it can be read, then seeks and a scan from
/// the last row to the first, with a cache and without, find the same cells as the forward scan. If a
/// verification finds no fault, then all of it can be read, and no filter excludes a cell.
pub fn hfile(input: &[u8]) {
    let bytes = Bytes::copy_from_slice(input);
    let limits = Limits::default().with_block_bytes(LIMIT).with_load_on_open_bytes(LIMIT);
    let options = HFile::options().limits(limits);
    let report = options.verify_reader(Arc::new(MemoryFile::new("input", bytes.clone())));
    let sound = report.ok().filter(|report| report.faults.is_empty()).map(|report| report.cells);
    let Ok(file) = open(&options, &bytes) else {
        assert_eq!(sound, None, "a file without a fault does not open");
        return;
    };
    ask(&file);
    let cells = match scan(&file) {
        Scan::Whole(cells) => cells,
        // the cells read so far are not checked
        Scan::Long => return,
        Scan::Broken => return assert_eq!(sound, None, "a file without a fault does not read"),
    };
    let cached = open(&options.cache(cache()), &bytes).expect("a file that opened");
    for file in [&file, &cached] {
        match file.order() {
            Some(order) => {
                seeks(file, order, &cells);
                rows_backward(file, &cells);
            }
            None => assert!(file.scanner().seek(&SeekKey::first_on_row(b"")).is_err()),
        }
    }
    assert!(matches!(scan(&cached), Scan::Whole(again) if again == cells), "a cache changes cells");
    if let Some(count) = sound {
        assert_eq!(count, cells.len() as u64);
        filters(&cached, &cells);
    }
}

/// Checks that no filter of a valid file excludes a cell.
fn filters(file: &HFile, cells: &[Cell]) {
    // a later minor version causes a warning, but is not a fault
    let expected = usize::from(file.trailer().is_newer_than_known());
    assert_eq!(file.warnings().len(), expected, "{:?}", file.warnings());
    for cell in cells.iter().map(Cell::as_ref) {
        assert!(file.may_contain_row(cell.row()), "{cell}");
        assert!(file.may_contain_column(cell.row(), cell.qualifier()), "{cell}");
        if cell.cell_type().is_family_delete() {
            assert!(file.may_contain_delete_family(cell.row()), "{cell}");
        }
    }
}

/// Recomputes the checksums of a whole file and checks it as [`hfile`] does, so that bytes which the
/// checksums would have caught reach the checks after them.
pub fn hfile_resealed(input: &[u8]) {
    let mut bytes = input.to_vec();
    reseal(&mut bytes);
    hfile(&bytes);
}

/// More than any useful input needs.
const LIMIT: usize = 1 << 20;
const MAX_CELLS: usize = 20_000;

/// Returns a shared cache, which is small so that files evict each other's blocks.
fn cache() -> &'static BlockCache {
    static CACHE: OnceLock<BlockCache> = OnceLock::new();
    CACHE.get_or_init(|| BlockCache::with_capacity(1 << 16))
}

fn open(options: &HFileOptions, bytes: &Bytes) -> Result<HFile> {
    options.open_reader(Arc::new(MemoryFile::new("input", bytes.clone())))
}

/// Calls every function of an open file, except those that return its cells.
fn ask(file: &HFile) {
    let _ = (file.first_key(), file.last_key(), file.mid_key(), file.warnings(), format!("{file:?}"));
    for entry in 0..file.root_index().len().min(100) {
        let first = file.first_data_block(entry);
        // down the first entries to the leaf, and below it
        let mut path = vec![0; file.index_levels() as usize];
        path[0] = entry;
        let leaf = &path[..path.len() - 1];
        if let (Ok(Some(first)), Ok(Some(entries))) = (first, file.index_entries(leaf)) {
            let place = if leaf.is_empty() { entry } else { 0 };
            assert_eq!(entries.get(place).map(|(_, handle)| *handle), Some(first));
        }
        assert!(matches!(file.index_entries(&path), Ok(None) | Err(_)), "an index below its last level");
    }
    let names: Vec<Vec<u8>> = file.meta_block_names().take(100).map(<[u8]>::to_vec).collect();
    for name in names {
        let _ = file.meta_block(&name);
    }
    let headers = file.block_headers().take_while(Result::is_ok).count();
    assert!(headers as u64 * SHORT_HEADER_LEN as u64 <= file.file_len());
    for row in [&b""[..], b"row", &[0xff; 40]] {
        bloom(file, row, b"qualifier");
    }
}

fn bloom(file: &HFile, row: &[u8], qualifier: &[u8]) {
    let _ = (file.may_contain_row(row), file.may_contain_delete_family(row));
    let _ = file.may_contain_column(row, qualifier);
}

enum Scan {
    /// All cells, in order.
    Whole(Vec<Cell>),
    /// `MAX_CELLS` cells; the rest is not read, to save time.
    Long,
    /// Some cells, and then an error; or cells out of order.
    Broken,
}

fn scan(file: &HFile) -> Scan {
    let (mut cells, mut below_next) = (Vec::new(), true);
    let mut scanner = file.scanner();
    let mut more = scanner.seek_to_first();
    while let Ok(true) = more {
        let cell = scanner.peek().expect("a scanner that moved is at a cell");
        cells.push(Cell::from(cell));
        if cells.len() == MAX_CELLS {
            return Scan::Long;
        }
        if let (Some(order), Some(next)) = (file.order(), scanner.next_indexed_key()) {
            below_next &= order.compare(cell.key(), next).is_lt();
        }
        more = scanner.advance();
    }
    assert!(scanner.peek().is_none(), "a scanner at the end or after an error is not positioned");
    match more {
        Ok(_) if is_sorted(file, &cells) => {
            assert!(below_next, "a cell is not before the next index key");
            Scan::Whole(cells)
        }
        Ok(_) => Scan::Broken,
        Err(error) => {
            assert_ne!(error.kind(), ErrorKind::InvalidArgument, "{error:?}");
            Scan::Broken
        }
    }
}

fn is_sorted(file: &HFile, cells: &[Cell]) -> bool {
    let order = file.order().unwrap_or_default();
    cells.is_sorted_by(|a, b| order.compare(a.as_ref().key, b.as_ref().key).is_le())
}

/// Seeks to some of the cells and near them, and compares the results with the list of all cells.
fn seeks(file: &HFile, order: CellOrder, cells: &[Cell]) {
    let mut keys = vec![SeekKey::first_on_row(b""), SeekKey::last_on_row(&[0xff; 300])];
    for cell in cells.iter().step_by(cells.len().div_ceil(8).max(1)).chain(cells.last()) {
        let key = cell.as_ref().key;
        bloom(file, key.row(), key.qualifier());
        keys.push(SeekKey::first_on_row(key.row()));
        keys.push(SeekKey::from(key));
        keys.push(SeekKey::last_on_column(key.row(), key.family(), key.qualifier()));
    }
    let mut scanner = file.scanner();
    for key in &keys {
        let at = cells.partition_point(|cell| order.compare(cell.as_ref().key, key).is_lt());
        let exact = cells.get(at).is_some_and(|cell| order.compare(cell.as_ref().key, key).is_eq());
        let expected = cells.get(at).map(Cell::as_ref);
        let seek = scanner.seek(key).expect("all of the file has been read");
        assert!(scanner.peek() == expected, "seek {key:?}");
        assert_eq!(seek == SeekResult::Exact, exact, "{key:?}");
        if expected.is_some() {
            assert!(scanner.advance().is_ok() && scanner.peek() == cells.get(at + 1).map(Cell::as_ref));
        }
        let before = at.checked_sub(1).map(|at| cells[at].as_ref());
        let found = scanner.seek_before(key).expect("all of the file has been read");
        assert!(found == before.is_some() && scanner.peek() == before, "seek before {key:?}");
        let seek = scanner.reseek(key).expect("all of the file has been read");
        assert!(scanner.peek() == expected, "reseek {key:?}");
        assert_eq!(seek == SeekResult::Exact, exact, "reseek {key:?}");
        let seek = scanner.seek_to(key).expect("all of the file has been read");
        assert_eq!(seek == SeekResult::Exact, exact, "seek to {key:?}");
    }
}

/// Compares the rows from the last to the first with the list of all cells.
fn rows_backward(file: &HFile, cells: &[Cell]) {
    let mut rows = cells.chunk_by(|a, b| a.as_ref().row() == b.as_ref().row()).rev();
    let mut scanner = file.reversed_scanner();
    let mut more = scanner.seek_to_last_row().expect("all of the file has been read");
    while more {
        for cell in rows.next().expect("no more rows than forward") {
            assert!(scanner.peek() == Some(cell.as_ref()), "{cell:?}");
            scanner.advance().expect("all of the file has been read");
        }
        assert!(scanner.peek().is_none(), "no more cells than forward");
        more = scanner.previous_row().expect("all of the file has been read");
    }
    assert!(rows.next().is_none(), "as many rows as forward");
}

/// Recomputes the checksums of all blocks. Blocks are found one after the other, and after invalid bytes by
/// their magic.
pub(super) fn reseal(file: &mut [u8]) {
    let Ok(trailer) = Trailer::parse(file, file.len() as u64) else { return };
    if !trailer.has_checksums() {
        return;
    }
    let end = usize::try_from(trailer.offset()).expect("an offset in the input");
    let mut rest = &mut file[..end];
    while !rest.is_empty() {
        let size = BlockSizes::parse(rest, true).map_or(0, |sizes| seal(rest, &sizes));
        let skip = if size > 0 { size } else { next_magic(rest) };
        rest = &mut rest[skip..];
    }
}

/// Recomputes the checksums of the block at the start. Returns the block's size in bytes; 0 if the block is
/// not complete.
fn seal(rest: &mut [u8], sizes: &BlockSizes) -> usize {
    let Some(block) = rest.get_mut(..sizes.total_size()) else { return 0 };
    let Some((checksum_type, per_sum)) = sizes.checksums() else { return 0 };
    let mut sealed = block[..sizes.data_size()].to_vec();
    checksum::append(&mut sealed, 0, checksum_type, per_sum);
    block.copy_from_slice(&sealed);
    block.len()
}

/// Returns the next position after the first byte at which a block may start; the end of `bytes` if there is
/// none.
fn next_magic(bytes: &[u8]) -> usize {
    let starts = bytes.windows(8).skip(1);
    let mut magics = starts.map(|w| w.first_chunk().and_then(|magic| BlockType::from_magic(*magic)));
    magics.position(|found| found.is_some()).map_or(bytes.len(), |at| at + 1)
}
