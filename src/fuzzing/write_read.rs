//! Files written by this crate.

use super::data_block::make_cells;
use super::hfile::hfile;
use super::input::Input;
use crate::block::{BloomHashType, ChecksumType, Codec, DataBlockEncoding};
use crate::cell::{Cell, CellFormat};
use crate::hfile::{BloomType, HFile, HFileWriter, HFileWriterOptions, StoreFileOrigin, StoreFileWriter};
use crate::io::MemoryFile;
use crate::io::faulty::FaultyStorage;
use std::path::Path;
use std::sync::Arc;

/// Checks any sorted cells, written with any settings: the writer refuses them, or the file has these cells
/// and no fault, its filters exclude none of them, and seeks find them.
///
/// The first bytes select the settings; the rest determines the cells.
pub fn write_read(input: &[u8]) {
    let mut input = Input::new(input);
    let format = CellFormat { tags: input.byte() & 1 != 0, mvcc: input.byte() & 1 != 0 };
    let options = settings(&mut input, format);
    let as_store_file = input.byte() & 1 != 0;
    let cells = make_cells(&mut input, format);
    let Some(bytes) = write(options, as_store_file, &cells) else { return };

    let file = HFile::options().open_reader(Arc::new(MemoryFile::new("written", bytes.clone())));
    let file = file.expect("what was written opens");
    assert_eq!(file.entry_count(), cells.len() as u64);
    let mut scanner = file.scanner();
    let mut more = scanner.seek_to_first().expect("what was written is read");
    for cell in &cells {
        assert!(more && scanner.peek().map(Cell::from).as_ref() == Some(cell), "{cell:?}");
        more = scanner.advance().expect("what was written is read");
    }
    assert!(!more);
    let report = HFile::options().verify_reader(Arc::new(MemoryFile::new("written", bytes.clone())));
    let faults = report.expect("what was written is verified").faults;
    let (ttl, other): (Vec<_>, Vec<_>) =
        faults.into_iter().partition(|fault| fault.message().starts_with("TTL tag has "));
    assert!(other.is_empty(), "what was written has no fault: {other:?}");
    // a writer stores any tags, like HBase's, and a verification names those that stores refuse
    assert_eq!(!ttl.is_empty(), cells.iter().any(has_wrong_ttl), "{ttl:?}");
    hfile(&bytes);
}

/// Whether a cell has a time to live whose length is not eight bytes.
fn has_wrong_ttl(cell: &Cell) -> bool {
    cell.as_ref().tags().ttl().is_some_and(|ttl| ttl.len() != size_of::<i64>())
}

fn settings(input: &mut Input<'_>, format: CellFormat) -> HFileWriterOptions {
    let bloom = match input.byte() % 4 {
        0 => None,
        1 => Some(BloomType::Row),
        2 => Some(BloomType::RowCol),
        _ => Some(BloomType::RowPrefixFixedLength(1 + u32::from(input.byte() % 8))),
    };
    let codecs = [Codec::None, Codec::None, Codec::Snappy, Codec::Lz4, Codec::Gz, Codec::Zstd];
    HFileWriter::options()
        .data_block_encoding(input.choose(&DataBlockEncoding::ALL))
        .codec(input.choose(&codecs))
        .bloom(bloom)
        .bloom_hash(input.choose(&[BloomHashType::Murmur, BloomHashType::Murmur3, BloomHashType::Jenkins]))
        .bloom_chunk_bytes(input.choose(&[128, 256, 4096]))
        .block_size(usize::from(input.u16()))
        .index_chunk_size(input.choose(&[64, 300, 1 << 17]))
        .index_min_entries(input.choose(&[2, 4, 16]))
        .checksum(input.choose(&[ChecksumType::Crc32c, ChecksumType::Crc32, ChecksumType::Null]))
        .bytes_per_checksum(input.choose(&[64, 777, 16384]))
        .tags(format.tags)
        .compress_tags(input.byte() & 1 != 0)
        .mvcc(format.mvcc)
        .create_time(1)
}

/// Returns the file; `None` if the writer refuses a setting or a cell.
fn write(options: HFileWriterOptions, as_store_file: bool, cells: &[Cell]) -> Option<Vec<u8>> {
    let (storage, path) = (FaultyStorage::new(), Path::new("written"));
    let options = options.storage(Arc::new(storage.clone()));
    if as_store_file {
        let mut writer = StoreFileWriter::create(options, path).ok()?;
        cells.iter().try_for_each(|cell| writer.append(cell.as_ref())).ok()?;
        writer.finish(&StoreFileOrigin::flush(7)).expect("memory does not fail");
    } else {
        let mut writer = options.create(path).ok()?;
        cells.iter().try_for_each(|cell| writer.append(cell.as_ref())).ok()?;
        writer.finish().expect("memory does not fail");
    }
    storage.bytes(path)
}
