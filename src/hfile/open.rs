//! Opens a file: its trailer and its load-on-open section (hfile.md §13.1; HBase: `HFileInfo`).

use super::bloom::{BloomFilter, FilterKind};
use super::file_info::names;
use super::options::HFileOptions;
use super::reader_core::ReaderCore;
use super::source::BlockSource;
use super::{FileInfo, Trailer};
use crate::block::codec::Decompressor;
use crate::block::crypto::BlockCipher;
use crate::block::data::DataFormat;
use crate::block::decode::BlockContext;
use crate::block::header::BlockSizes;
use crate::block::index::{IndexBlock, IndexContext, SlotUse};
use crate::block::{BlockHandle, BlockHeader, BlockType};
use crate::cache::FileId;
use crate::cell::{CellFormat, CellOrder, SeekKey};
use crate::coding::Cursor;
use crate::error::{Corruption, Error, Result};
use crate::io::FileReader;
use crate::limits::Limits;
use std::path::Path;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, OnceLock};

/// The size of the key length and value length before each cell.
const KEY_VALUE_LENGTHS: usize = 8;

/// The size of the first read, at the end of the file. It should include the trailer and the load-on-open
/// section, unless the file is large.
const TAIL: u64 = 64 << 10;

/// Opens a file: two reads, or one if it is small.
pub(super) fn open(reader: Arc<dyn FileReader>, options: &HFileOptions) -> Result<ReaderCore> {
    let (trailer, tail, tail_at) = read_trailer(&*reader)?;
    let at_trailer = |corruption: Corruption| corruption.at(reader.path(), trailer.offset());
    let mut warnings = Vec::new();
    if trailer.is_newer_than_known() {
        let version = format!("{}.{}", trailer.major_version(), trailer.minor_version());
        warnings.push(at_trailer(Corruption::unsupported("HFile version", version)));
    }
    let order = trailer.cell_order();
    if order.is_none() {
        warnings.push(at_trailer(unknown_comparator(&trailer)));
    }
    let context = block_context(&trailer, options).map_err(at_trailer)?;
    let section = load_on_open_section(&*reader, &trailer, &tail, tail_at, &options.limits)?;
    let mut blocks = LoadOnOpen {
        context: &context,
        path: reader.path(),
        bytes: &section,
        offset: trailer.load_on_open_data_offset(),
    };
    let (root_at, root) = blocks.next(BlockType::RootIndex)?;
    let (meta_at, meta) = blocks.next(BlockType::RootIndex)?;
    let (info_at, info) = blocks.next(BlockType::FileInfo)?;

    let at_info =
        |corruption: Corruption| corruption.in_block(reader.path(), info_at, BlockType::FileInfo.name());
    let info = FileInfo::parse(&info, options.limits.load_on_open_bytes).map_err(at_info)?;
    let format = data_format(&info).map_err(at_info)?;

    let at_root =
        |corruption: Corruption| corruption.in_block(reader.path(), root_at, BlockType::RootIndex.name());
    let slots = match options.cache {
        Some(_) => SlotUse::Blocks,
        None if options.limits.outline_bytes > 0 => SlotUse::Outlines,
        None => SlotUse::Unused,
    };
    let index_context = index_context(&trailer, order, &context, slots);
    let levels = trailer.num_data_index_levels().max(1);
    if levels > options.limits.index_levels {
        let (value, limit) = (levels.into(), options.limits.index_levels.into());
        return Err(at_trailer(Corruption::Limit { what: "levels of the data index", value, limit }));
    }
    let (root, mid_key) =
        IndexBlock::parse_root(&root, trailer.data_index_count() as usize, levels, &index_context)
            .map_err(at_root)?;
    if levels == 1 {
        check_ends(&root, &trailer).map_err(at_trailer)?;
    }
    let mut meta_blocks = parse_meta_index(&meta, trailer.meta_index_count(), &index_context)
        .map_err(|corruption| corruption.in_block(reader.path(), meta_at, BlockType::RootIndex.name()))?;
    // sorted, as HBase writes them; the first of equal names is found
    meta_blocks.sort_by(|(a, _), (b, _)| a.cmp(b));
    let (general_bloom, delete_family_bloom) = read_filters(blocks, &info, &index_context, &mut warnings);
    let id = FileId::next();
    let id = if context.cipher.is_some() { id.secret() } else { id };
    let cache = options.cache.as_ref().map(|cache| (cache.clone(), id));
    let last_key = info.last_key().map_err(at_info)?.map(SeekKey::from);
    let source = BlockSource::new(reader, context, format, average_cell_len(&info));
    Ok(ReaderCore {
        source,
        info,
        last_key,
        order,
        root: Arc::new(root),
        levels,
        mid_key,
        meta_blocks,
        general_bloom,
        delete_family_bloom,
        cache,
        kept: AtomicUsize::new(0),
        warnings: Mutex::new(warnings),
        block_counts: options.block_counts.clone(),
        zstd_framed: OnceLock::new(),
        trailer,
    })
}

/// Returns the context in which the blocks of a file are read.
pub(super) fn block_context(trailer: &Trailer, options: &HFileOptions) -> Result<BlockContext, Corruption> {
    Ok(BlockContext {
        has_checksums: trailer.has_checksums(),
        verify_checksums: options.verify_checksums,
        decompressor: Decompressor::new(trailer.compression_codec(), options.zstd_dictionary.clone()),
        cipher: cipher(trailer, options)?,
        limits: options.limits.clone(),
    })
}

/// Returns the context that all index entries of a file share.
pub(super) fn index_context(
    trailer: &Trailer,
    order: Option<CellOrder>,
    blocks: &BlockContext,
    slots: SlotUse,
) -> IndexContext {
    IndexContext {
        order,
        end: trailer.load_on_open_data_offset(),
        header_len: u32::try_from(blocks.header_len()).unwrap_or(u32::MAX),
        slots,
    }
}

/// Reads the general filter and the delete-family filter from the rest of the section.
fn read_filters(
    mut blocks: LoadOnOpen<'_>,
    info: &FileInfo,
    context: &IndexContext,
    warnings: &mut Vec<Error>,
) -> (Option<BloomFilter>, Option<BloomFilter>) {
    let (mut general, mut delete_family) = (None, None);
    let read = blocks.filters(|kind, payload| {
        let bloom = BloomFilter::parse(kind, payload, info, context)?;
        match kind {
            FilterKind::General => general = Some(bloom),
            FilterKind::DeleteFamily => delete_family = Some(bloom),
        }
        Ok(())
    });
    // a damaged filter is ignored; it never fails a read
    warnings.extend(read.err());
    (general, delete_family)
}

/// Returns the average size of a cell with its lengths, as far as the file info gives it.
fn average_cell_len(info: &FileInfo) -> usize {
    let average = |len: Result<Option<i32>, Corruption>| {
        len.ok().flatten().and_then(|len| usize::try_from(len).ok()).unwrap_or(0)
    };
    KEY_VALUE_LENGTHS
        .saturating_add(average(info.avg_key_len()))
        .saturating_add(average(info.avg_value_len()))
}

/// Returns the trailer, the bytes read with it (the end of the file), and the offset of those bytes.
pub(super) fn read_trailer(reader: &dyn FileReader) -> Result<(Trailer, Vec<u8>, u64)> {
    let len = reader.len();
    let tail_at = len.saturating_sub(TAIL);
    let mut tail = vec![0; usize::try_from(len - tail_at).expect("at most the length of a tail")];
    reader.read_exact_at(&mut tail, tail_at).map_err(|error| Error::io("read", reader.path(), error))?;
    let trailer = Trailer::parse(&tail, len)
        .map_err(|corruption| corruption.at(reader.path(), Trailer::likely_offset(&tail, len)))?;
    Ok((trailer, tail, tail_at))
}

/// Returns the bytes from the load-on-open offset to the trailer, from the tail if it includes them.
pub(super) fn load_on_open_section(
    reader: &dyn FileReader,
    trailer: &Trailer,
    tail: &[u8],
    tail_at: u64,
    limits: &Limits,
) -> Result<Vec<u8>> {
    let (from, to) = (trailer.load_on_open_data_offset(), trailer.offset());
    let len = to - from;
    if len > limits.load_on_open_bytes as u64 {
        let limit = limits.load_on_open_bytes as u64;
        let corruption = Corruption::Limit { what: "bytes of the load-on-open section", value: len, limit };
        return Err(corruption.at(reader.path(), from));
    }
    let in_tail = |at: u64| at.checked_sub(tail_at).and_then(|at| usize::try_from(at).ok());
    if let (Some(from), Some(to)) = (in_tail(from), in_tail(to))
        && let Some(section) = tail.get(from..to)
    {
        return Ok(section.to_vec());
    }
    let mut section = vec![0; usize::try_from(len).expect("within a limit that is a usize")];
    reader.read_exact_at(&mut section, from).map_err(|error| Error::io("read", reader.path(), error))?;
    Ok(section)
}

/// Reads the blocks of the load-on-open section in order.
pub(super) struct LoadOnOpen<'a> {
    pub(super) context: &'a BlockContext,
    pub(super) path: &'a Path,
    /// The rest of the section.
    pub(super) bytes: &'a [u8],
    /// The file offset of `bytes`.
    pub(super) offset: u64,
}

impl LoadOnOpen<'_> {
    /// Returns the offset and the plain payload of the next block, which must have the expected type.
    pub(super) fn next(&mut self, expected: BlockType) -> Result<(u64, Vec<u8>)> {
        let at = self.offset;
        let (header, payload) =
            self.take().map_err(|corruption| corruption.in_block(self.path, at, expected.name()))?;
        if header.block_type() != expected {
            let found = header.block_type().magic();
            let corruption = Corruption::BadMagic { what: "block type", expected: expected.name(), found };
            return Err(corruption.in_block(self.path, at, expected.name()));
        }
        Ok((at, payload))
    }

    /// Passes the metadata of the remaining filters to `see` and skips other blocks. Stops at the first
    /// fault.
    fn filters(&mut self, mut see: impl FnMut(FilterKind, &[u8]) -> Result<(), Corruption>) -> Result<()> {
        while !self.bytes.is_empty() {
            let at = self.offset;
            let (header, payload) = self.take().map_err(|corruption| corruption.at(self.path, at))?;
            let kind = match header.block_type() {
                BlockType::GeneralBloomMeta => FilterKind::General,
                BlockType::DeleteFamilyBloomMeta => FilterKind::DeleteFamily,
                _ => continue,
            };
            see(kind, &payload)
                .map_err(|corruption| corruption.in_block(self.path, at, header.block_type().name()))?;
        }
        Ok(())
    }

    fn take(&mut self) -> Result<(BlockHeader, Vec<u8>), Corruption> {
        let size = BlockSizes::parse(self.bytes, self.context.has_checksums)?.total_size();
        let Some((stored, rest)) = self.bytes.split_at_checked(size) else {
            return Err(Corruption::Truncated {
                what: "block of the load-on-open section",
                needed: size as u64,
                available: self.bytes.len() as u64,
            });
        };
        let (header, payload) = self.context.check(stored)?;
        let (value, limit) =
            (header.uncompressed_size_without_header().into(), self.context.limits.load_on_open_bytes as u64);
        if value > limit {
            return Err(Corruption::Limit { what: "plain size of a load-on-open block", value, limit });
        }
        let payload = &stored[payload];
        let mut plain = Vec::new();
        if self.context.is_plain() {
            plain.extend_from_slice(payload);
        } else {
            self.context.expand(&header, payload, &mut plain)?;
        }
        self.bytes = rest;
        self.offset += size as u64;
        Ok((header, plain))
    }
}

/// Returns the format of the data blocks, from the file info.
pub(super) fn data_format(info: &FileInfo) -> Result<DataFormat, Corruption> {
    let encoding = info.data_block_encoding()?;
    info.check_index_block_encoding()?;
    let cells = CellFormat {
        tags: info.max_tags_len()?.is_some(),
        mvcc: info.key_value_version()? == Some(names::VERSION_WITH_SEQ_IDS),
    };
    Ok(DataFormat { encoding, cells, tags_compressed: info.tags_compressed()? == Some(true) })
}

/// Returns the cipher of an encrypted file.
fn cipher(trailer: &Trailer, options: &HFileOptions) -> Result<Option<BlockCipher>, Corruption> {
    let Some(wrapped) = trailer.encryption_key() else { return Ok(None) };
    BlockCipher::of(wrapped, &options.master_keys, "encrypted file").map(Some)
}

pub(super) fn unknown_comparator(trailer: &Trailer) -> Corruption {
    Corruption::Unsupported {
        what: "comparator",
        name: format!("{:?}", trailer.comparator_class_name()).into(),
        hint: Some("the file can be scanned, but not searched"),
    }
}

/// Checks the trailer's first and last data block offsets against the index (hfile.md §17.1).
fn check_ends(root: &IndexBlock, trailer: &Trailer) -> Result<(), Corruption> {
    let Some(last) = root.len().checked_sub(1) else { return Ok(()) };
    let offset = |i| root.handle(i).map_or(-1, |handle| handle.offset.cast_signed());
    let ends = [
        ("first data block offset", trailer.first_data_block_offset(), offset(0)),
        ("last data block offset", trailer.last_data_block_offset(), offset(last)),
    ];
    for (what, found, expected) in ends {
        if found != expected {
            return Err(Corruption::Mismatch { what, expected, found });
        }
    }
    Ok(())
}

/// Returns the names and handles of the meta blocks, in the order of the file (hfile.md §10.8). They do not
/// overlap, so the length of the file bounds their number.
pub(super) fn parse_meta_index(
    payload: &[u8],
    count: u32,
    context: &IndexContext,
) -> Result<Vec<(Vec<u8>, BlockHandle)>, Corruption> {
    let mut cursor = Cursor::new(payload);
    let (mut entries, mut free) = (Vec::new(), 0);
    for _ in 0..count {
        let handle = BlockHandle::parse(&mut cursor, context)?;
        if handle.offset < free {
            return Err(Corruption::Malformed("entries of the meta index overlap, or do not ascend"));
        }
        free = handle.end();
        entries.push((cursor.vbytes("meta block name")?.to_vec(), handle));
    }
    cursor.finish("bytes after the meta index")?;
    Ok(entries)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether cells have tags and sequence ids, and whether the tags are in a dictionary.
    fn format(entries: &[(&str, &[u8])]) -> Result<(bool, bool, bool), Corruption> {
        let info = FileInfo::of(entries.iter().map(|&(key, value)| (key.as_bytes(), value)))?;
        let DataFormat { cells, tags_compressed, .. } = data_format(&info)?;
        Ok((cells.tags, cells.mvcc, tags_compressed))
    }

    #[test]
    fn the_file_info_says_what_cells_have() {
        let number = |number: i32| number.to_be_bytes();
        assert_eq!(format(&[]), Ok((false, false, false)));
        // the presence of the entry decides, not its length
        assert_eq!(format(&[("hfile.MAX_TAGS_LEN", &number(0)[..])]), Ok((true, false, false)));
        for (version, has_seq_ids) in [(0, false), (1, true), (2, false)] {
            let found = format(&[("KEY_VALUE_VERSION", &number(version)[..])]);
            assert_eq!(found, Ok((false, has_seq_ids, false)), "{version}");
        }
        for (flag, is_compressed) in [(0, false), (1, true), (0xff, true)] {
            let found =
                format(&[("hfile.MAX_TAGS_LEN", &number(9)[..]), ("hfile.TAGS_COMPRESSED", &[flag][..])]);
            assert_eq!(found, Ok((true, false, is_compressed)), "{flag}");
        }
        for entry in [
            ("hfile.MAX_TAGS_LEN", &b"9"[..]),
            ("KEY_VALUE_VERSION", b"1"),
            ("DATA_BLOCK_ENCODING", b"BITSET"),
            ("INDEX_BLOCK_ENCODING", b"PREFIX_TREE"),
        ] {
            assert!(format(&[entry]).is_err(), "{}", entry.0);
        }
    }
}
