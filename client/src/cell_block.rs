//! Cells in responses: in cell blocks by HBase's KeyValueCodec, with tags or without, or in messages
//! (locator.md §8.4).
#![warn(clippy::indexing_slicing)]

use crate::proto;
use bytes::Bytes;
use flate2::bufread::GzDecoder;
use hregion::{CellKey, CellRef, CellType, Codec, Corruption, Row, RowBuf, SeekKey};
use std::io::Read as _;

/// The codec to ask servers for: without tags, and with them.
pub(crate) const CODEC: &str = "org.apache.hadoop.hbase.codec.KeyValueCodec";
pub(crate) const CODEC_WITH_TAGS: &str = "org.apache.hadoop.hbase.codec.KeyValueCodecWithTags";

/// A compressor to ask servers for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Compressor {
    class: &'static str,
    codec: Codec,
}

const fn compressor(class: &'static str, codec: Codec) -> Compressor {
    Compressor { class, codec }
}

/// Hadoop's class for gzip, which each server has.
pub(crate) const GZIP: &str = "org.apache.hadoop.io.compress.GzipCodec";

/// Hadoop's classes, then HBase's, of which a server may have some.
static COMPRESSORS: [Compressor; 11] = [
    compressor(GZIP, Codec::Gz),
    compressor("org.apache.hadoop.io.compress.SnappyCodec", Codec::Snappy),
    compressor("org.apache.hadoop.io.compress.Lz4Codec", Codec::Lz4),
    compressor("org.apache.hadoop.io.compress.ZStandardCodec", Codec::Zstd),
    compressor("org.apache.hadoop.hbase.io.compress.ReusableStreamGzipCodec", Codec::Gz),
    compressor("org.apache.hadoop.hbase.io.compress.xerial.SnappyCodec", Codec::Snappy),
    compressor("org.apache.hadoop.hbase.io.compress.aircompressor.SnappyCodec", Codec::Snappy),
    compressor("org.apache.hadoop.hbase.io.compress.lz4.Lz4Codec", Codec::Lz4),
    compressor("org.apache.hadoop.hbase.io.compress.aircompressor.Lz4Codec", Codec::Lz4),
    compressor("org.apache.hadoop.hbase.io.compress.zstd.ZstdCodec", Codec::Zstd),
    compressor("org.apache.hadoop.hbase.io.compress.aircompressor.ZstdCodec", Codec::Zstd),
];

impl Compressor {
    /// Returns the compressor of a class.
    ///
    /// # Errors
    ///
    /// If it is not known, or its codec is not built in.
    pub(crate) fn of_class(class: &str) -> Result<&'static Self, String> {
        let known = COMPRESSORS.iter().find(|known| known.class == class);
        let found = known.ok_or_else(|| format!("the compressor {class} is not supported"))?;
        let is_built_in = found.block(&[], 0).map(drop);
        is_built_in.map_err(|lacks| format!("the compressor {class} is not supported: {lacks}"))?;
        Ok(found)
    }

    /// Decompresses a block of at most `max` bytes.
    fn block(&self, bytes: &[u8], max: usize) -> Result<Bytes, Corruption> {
        match self.codec {
            Codec::Gz => gunzip(bytes, max),
            codec => codec.decompress_stream(bytes, max).map(Bytes::from),
        }
    }
}

/// The form of cell blocks requested from servers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct CellCodec {
    pub(crate) tags: bool,
    pub(crate) compressor: Option<&'static Compressor>,
}

impl CellCodec {
    /// Returns the class of the codec.
    pub(crate) fn class(self) -> &'static str {
        if self.tags { CODEC_WITH_TAGS } else { CODEC }
    }

    /// Returns the class of the compressor.
    pub(crate) fn compressor(self) -> Option<&'static str> {
        self.compressor.map(|compressor| compressor.class)
    }

    /// Returns the cells of a response. Compressed ones have at most `max` bytes when decompressed.
    pub(crate) fn block(self, bytes: Bytes, max: usize) -> Result<CellBlock, Corruption> {
        let bytes = match self.compressor {
            Some(compressor) => compressor.block(&bytes, max)?,
            None => bytes,
        };
        Ok(CellBlock { bytes, tags: self.tags })
    }
}

/// Cells that are taken one after the other.
#[derive(Debug)]
pub(crate) struct CellBlock {
    bytes: Bytes,
    /// Whether cells may have tags.
    tags: bool,
}

/// Decompresses a cell block that a server has compressed: one gzip stream, of at most `max` bytes when
/// decompressed. A response without cells has no stream.
fn gunzip(bytes: &[u8], max: usize) -> Result<Bytes, Corruption> {
    if bytes.is_empty() {
        return Ok(Bytes::new());
    }
    let (mut decoder, mut cells) = (GzDecoder::new(bytes), Vec::new());
    // reads to the end of the stream, where its checksum is, unless there are more bytes than allowed
    let one_more = (max as u64).saturating_add(1);
    decoder
        .by_ref()
        .take(one_more)
        .read_to_end(&mut cells)
        .map_err(|error| Corruption::Codec { codec: "GZ", message: format!("cell block: {error}").into() })?;
    if cells.len() > max {
        let value = cells.len() as u64;
        return Err(Corruption::Limit { what: "decompressed cell block", value, limit: max as u64 });
    }
    if !decoder.into_inner().is_empty() {
        return Err(Corruption::Malformed("bytes after the compressed cells of a cell block"));
    }
    Ok(cells.into())
}

impl CellBlock {
    /// Checks that all cells have been taken.
    pub(crate) fn finish(self) -> Result<(), Corruption> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        Err(Corruption::Malformed("cell block with more cells than its results"))
    }

    /// Takes the cells of a result.
    pub(crate) fn take_row(&mut self, cells: usize) -> Result<Row, Corruption> {
        let mut row = RowBuf::new();
        for _ in 0..cells {
            let cell = self.take_cell()?;
            push(&mut row, parse(&cell, self.tags)?)?;
        }
        Ok(row.freeze())
    }

    /// Takes the bytes of a cell.
    fn take_cell(&mut self) -> Result<Bytes, Corruption> {
        let Some((len, rest)) = self.bytes.split_first_chunk::<4>() else {
            return Err(Corruption::Malformed("cell block with fewer cells than its results"));
        };
        let len = u32::from_be_bytes(*len) as usize;
        if len > rest.len() {
            return Err(Corruption::Malformed("cell that is longer than its cell block"));
        }
        let mut cell = self.bytes.split_to(4 + len);
        Ok(cell.split_off(4))
    }
}

/// Parses a KeyValue: lengths of key and value, key, value; with `tags`, then their length and the tags,
/// unless there are none.
fn parse(bytes: &[u8], tags: bool) -> Result<CellRef<'_>, Corruption> {
    const WRONG: Corruption = Corruption::Malformed("cell of another length than its parts");
    let (key_len, rest) = bytes.split_first_chunk::<4>().ok_or(WRONG)?;
    let (value_len, rest) = rest.split_first_chunk::<4>().ok_or(WRONG)?;
    let (key, rest) = rest.split_at_checked(u32::from_be_bytes(*key_len) as usize).ok_or(WRONG)?;
    let (value, rest) = rest.split_at_checked(u32::from_be_bytes(*value_len) as usize).ok_or(WRONG)?;
    let key = CellKey::new(key)?;
    if !key.cell_type().is_stored() {
        return Err(Corruption::Malformed("cell of a type that is not stored"));
    }
    let cell = CellRef::new(key, value);
    if rest.is_empty() {
        return Ok(cell);
    }
    match rest.split_first_chunk::<2>() {
        Some((len, bytes)) if tags && bytes.len() == usize::from(u16::from_be_bytes(*len)) => {
            cell.with_tag_bytes(bytes)
        }
        _ => Err(WRONG),
    }
}

/// Appends a cell to the cells of its row.
pub(crate) fn push(row: &mut RowBuf, cell: CellRef<'_>) -> Result<(), Corruption> {
    if !row.is_empty() && row.as_row().key() != cell.row() {
        return Err(Corruption::Malformed("result with cells of two rows"));
    }
    row.push(cell);
    Ok(())
}

/// Returns the cells of a result, which are in its message or in the cell block.
pub(crate) fn row_of(result: &proto::ResultMessage, block: &mut CellBlock) -> Result<Row, Corruption> {
    let stale = result.stale.unwrap_or_default();
    if let Some(count) = result.associated_cell_count {
        let count = usize::try_from(count).map_err(|_| Corruption::Malformed("negative number of cells"))?;
        return Ok(block.take_row(count)?.with_stale(stale));
    }
    let mut row = RowBuf::new();
    let mut key = SeekKey::new();
    for cell in &result.cell {
        let code = u8::try_from(cell.cell_type.unwrap_or_default()).ok();
        let cell_type = code.and_then(CellType::from_code).filter(|kind| kind.is_stored());
        let cell_type = cell_type.ok_or(Corruption::Malformed("cell of a type that is not stored"))?;
        let bytes = |field: &Option<Bytes>| field.clone().unwrap_or_default();
        let (key_row, family, qualifier) = (bytes(&cell.row), bytes(&cell.family), bytes(&cell.qualifier));
        if key_row.len() > hregion::cell::MAX_ROW_LEN || family.len() > hregion::cell::MAX_FAMILY_LEN {
            return Err(Corruption::Malformed("cell with a row or family that is too long"));
        }
        let timestamp = cell.timestamp.unwrap_or_default().cast_signed();
        key.set(&key_row, &family, &qualifier, timestamp, cell_type);
        push(&mut row, CellRef::new(key.as_key(), cell.value.as_deref().unwrap_or_default()))?;
    }
    Ok(row.freeze().with_stale(stale))
}

/// Encodes cells as a cell block, with their tags or without, as servers do.
#[cfg(any(test, feature = "internals"))]
pub(crate) fn encode<'r>(rows: impl IntoIterator<Item = &'r Row>, tags: bool) -> Vec<u8> {
    use bytes::BufMut as _;
    let len = |len: usize| u32::try_from(len).unwrap_or(u32::MAX);
    let mut block = Vec::new();
    for cell in rows.into_iter().flat_map(Row::cells) {
        let (key, value) = (cell.key().as_bytes(), cell.value());
        let tags = if tags { cell.tag_bytes() } else { &[] };
        let tags_len = if tags.is_empty() { 0 } else { 2 + tags.len() };
        block.put_u32(len(8 + key.len() + value.len() + tags_len));
        block.put_u32(len(key.len()));
        block.put_u32(len(value.len()));
        block.put_slice(key);
        block.put_slice(value);
        if !tags.is_empty() {
            block.put_u16(u16::try_from(tags.len()).unwrap_or(u16::MAX));
            block.put_slice(tags);
        }
    }
    block
}

#[cfg(any(test, feature = "internals"))]
impl CellCodec {
    /// Returns the form of cells that are compressed by a class, if it is supported.
    pub(crate) fn of(tags: bool, class: Option<&str>) -> Self {
        Self { tags, compressor: class.and_then(|class| Compressor::of_class(class).ok()) }
    }

    /// Compresses a cell block, as servers do.
    pub(crate) fn compress(self, block: Vec<u8>) -> Vec<u8> {
        match self.compressor.map(|compressor| compressor.codec) {
            None => block,
            _ if block.is_empty() => block,
            Some(codec) => hregion::bench::compress(codec, &block).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cell block of one put row-0700/f:q/1700000000001/v (locator.md §14).
    const BLOCK: &str = "0000001f00000016000000010008726f772d303730300166710000018bcfe568010476";

    /// The same cell with the tag of a time to live of a minute (type 8).
    const WITH_TAGS: &str =
        "0000002c00000016000000010008726f772d303730300166710000018bcfe568010476000b000908000000000000ea60";

    fn plain(bytes: Bytes) -> CellBlock {
        CellCodec::default().block(bytes, 0).unwrap()
    }

    fn with_tags(bytes: Bytes) -> CellBlock {
        CellCodec::of(true, None).block(bytes, 0).unwrap()
    }

    fn of_gzip(bytes: &[u8], max: usize) -> Result<CellBlock, Corruption> {
        CellCodec::of(false, Some(GZIP)).block(Bytes::copy_from_slice(bytes), max)
    }

    fn gzip(block: &[u8]) -> Vec<u8> {
        CellCodec::of(false, Some(GZIP)).compress(block.to_vec())
    }

    fn bytes(hex: &str) -> Bytes {
        (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn a_cell_of_a_block() {
        let mut block = plain(bytes(BLOCK));
        let row = block.take_row(1).unwrap();
        block.finish().unwrap();
        let cell = row.cell("f", "q").unwrap();
        assert_eq!(
            (row.key(), cell.timestamp(), cell.value()),
            (&b"row-0700"[..], 1_700_000_000_001, &b"v"[..])
        );
        assert_eq!(cell.cell_type(), CellType::Put);
    }

    #[test]
    fn a_cell_of_a_block_with_tags() {
        let block = bytes(WITH_TAGS);
        let row = with_tags(block.clone()).take_row(1).unwrap();
        let without = plain(bytes(BLOCK)).take_row(1).unwrap();
        let cell = row.cell("f", "q").unwrap();
        assert_eq!(cell.tag_bytes(), &block[block.len() - 11..]);
        assert_eq!((cell.key(), cell.value()), (without.cell("f", "q").unwrap().key(), &b"v"[..]));
        assert_eq!(with_tags(bytes(BLOCK)).take_row(1).unwrap(), without);
        assert_eq!(encode([&row], true), block);
        assert_eq!(encode([&row], false), bytes(BLOCK));
        assert!(plain(block.clone()).take_row(1).is_err(), "tags that were not asked for");
        // all but the type, the length and the time of the tag
        for at in (0..12).chain(block.len() - 13..block.len() - 9) {
            for bit in 0..8 {
                let mut flipped = block.to_vec();
                flipped[at] ^= 1 << bit;
                assert!(with_tags(flipped.into()).take_row(1).is_err(), "bit {bit} of byte {at}");
            }
        }
    }

    #[test]
    fn a_cell_of_a_message_is_the_same() {
        let cell = proto::Cell {
            row: Some("row-0700".into()),
            family: Some("f".into()),
            qualifier: Some("q".into()),
            timestamp: Some(1_700_000_000_001),
            cell_type: Some(4),
            value: Some("v".into()),
        };
        let mut result = proto::ResultMessage { cell: vec![cell], ..proto::ResultMessage::default() };
        let row = row_of(&result, &mut plain(Bytes::new())).unwrap();
        assert_eq!(row, plain(bytes(BLOCK)).take_row(1).unwrap());
        result.cell[0].cell_type = Some(5);
        assert!(row_of(&result, &mut plain(Bytes::new())).is_err());
    }

    #[test]
    fn compressed_cells_are_the_same() {
        let block = bytes(BLOCK);
        let mut compressed = of_gzip(&gzip(&block), block.len()).unwrap();
        assert_eq!(compressed.take_row(1).unwrap(), plain(block).take_row(1).unwrap());
        compressed.finish().unwrap();
        of_gzip(&[], 0).unwrap().finish().unwrap();
    }

    #[test]
    fn damage_of_compressed_cells_is_an_error_or_the_same_cells() {
        let block = bytes(BLOCK).repeat(50);
        let compressed = gzip(&block);
        for len in 1..compressed.len() {
            assert!(of_gzip(&compressed[..len], block.len()).is_err(), "{len} bytes");
        }
        let mut same = 0;
        for bit in 0..compressed.len() * 8 {
            let mut flipped = compressed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            if let Ok(cells) = of_gzip(&flipped, block.len()) {
                assert_eq!(cells.bytes, block, "bit {bit}");
                same += 1;
            }
        }
        // time, level, system and a flag in the stream's header, and the padding of its last byte, have no
        // effect
        assert!(same <= 6 * 8 + 1 + 7, "{same}");
        let longer = [&compressed[..], b"x"].concat();
        let two = [&compressed[..], &compressed].concat();
        assert!(of_gzip(&longer, block.len()).is_err());
        assert!(of_gzip(&two, 2 * block.len()).is_err());
    }

    /// Snappy and LZ4 have no checksums, so that damage may give other bytes; those that are not cells are
    /// detected.
    #[test]
    fn streams_of_all_compressors_are_the_same_cells_and_bounded() {
        let block = bytes(BLOCK).repeat(20_000);
        let mut classes = 0;
        for Compressor { class, .. } in &COMPRESSORS {
            let codec = CellCodec::of(false, Some(class));
            assert_eq!(codec.compressor(), Some(*class));
            let of = |stream: &[u8], max| codec.block(Bytes::copy_from_slice(stream), max);
            let compressed = codec.compress(block.to_vec());
            assert!(compressed.len() < block.len() / 10, "{class}");
            assert_eq!(of(&compressed, block.len()).unwrap().bytes, block, "{class}");
            for max in [0, 1000, block.len() - 1] {
                let refused = of(&compressed, max).unwrap_err();
                assert!(matches!(refused, Corruption::Limit { .. }), "{class}: {refused}");
            }
            of(&[], 0).unwrap().finish().unwrap();
            let small = codec.compress(bytes(BLOCK).to_vec());
            let mut same = 0;
            for len in 1..small.len() {
                assert!(of(&small[..len], 35).is_err(), "{class}: {len} bytes");
            }
            for bit in 0..small.len() * 8 {
                let mut flipped = small.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                if let Ok(mut cells) = of(&flipped, 35) {
                    assert!(cells.bytes.len() <= 35, "{class}");
                    same += usize::from(cells.take_row(1).is_ok());
                }
            }
            // bytes of the row, the column, the value and the time are not checked
            assert!(same < small.len() * 8 / 2, "{class}: {same} of {} bits", small.len() * 8);
            classes += 1;
        }
        assert_eq!(classes, 11);
        let other = Compressor::of_class("org.apache.hadoop.io.compress.BZip2Codec").unwrap_err();
        assert_eq!(other, "the compressor org.apache.hadoop.io.compress.BZip2Codec is not supported");
    }

    /// Returns a frame of ZSTD with a number of zero bytes, in blocks that repeat a byte. The header declares
    /// the number of bytes, or not.
    fn zstd_of_zeros(len: u32, declared: bool) -> Vec<u8> {
        const BLOCK: u32 = 128 << 10;
        let little_endian = |number: u32| number.swap_bytes().to_be_bytes();
        let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, if declared { 0x80 } else { 0 }, 7 << 3];
        if declared {
            frame.extend(little_endian(len));
        }
        for at in (0..len).step_by(BLOCK as usize) {
            let is_last = u32::from(at + BLOCK >= len);
            let header = is_last | 1 << 1 | BLOCK.min(len - at) << 3;
            frame.extend(&little_endian(header)[..3]);
            frame.push(0);
        }
        frame
    }

    /// Returns streams that become `len` bytes of zeros: in one piece, in several, with their length and
    /// without.
    fn bombs(codec: Codec, len: u32) -> Vec<(&'static str, Vec<u8>)> {
        let zeros = vec![0; len as usize];
        let framed = |stored: &[u8]| {
            let lengths = [len, u32::try_from(stored.len()).unwrap()].map(u32::to_be_bytes);
            [&lengths.concat(), stored].concat()
        };
        let halves = |half: &[u8]| [half, half].concat();
        if codec == Codec::Zstd {
            return vec![
                ("its length", zstd_of_zeros(len, true)),
                ("no length", zstd_of_zeros(len, false)),
                ("two frames", halves(&zstd_of_zeros(len / 2, true))),
                ("two frames without lengths", halves(&zstd_of_zeros(len / 2, false))),
                ("a group", framed(&zstd_of_zeros(len, true))),
                ("a group, no length", framed(&zstd_of_zeros(len, false))),
            ];
        }
        let one = hregion::bench::compress(codec, &zeros).unwrap();
        if codec == Codec::Gz {
            return vec![("one stream", one)];
        }
        let half = hregion::bench::compress(codec, &zeros[..zeros.len() / 2]).unwrap();
        // an empty group is the end
        let first = half.strip_suffix(&[0; 4]).unwrap();
        vec![("one group", one), ("two groups", [first, &half].concat())]
    }

    /// A limit is an error that is not retried, as any other server would send the same cells.
    #[test]
    fn bombs_of_all_compressors_end_at_the_limit() {
        const LEN: u32 = 16 << 20;
        let mut known: Vec<(Codec, Vec<_>)> = Vec::new();
        for Compressor { class, codec } in &COMPRESSORS {
            if known.iter().all(|(known, _)| known != codec) {
                known.push((*codec, bombs(*codec, LEN)));
            }
            let (_, bombs) = known.iter().find(|(known, _)| known == codec).unwrap();
            for (what, bomb) in bombs {
                assert!(bomb.len() < 4 << 20, "{class}, {what}: {} bytes", bomb.len());
                let of = |max| CellCodec::of(false, Some(class)).block(Bytes::copy_from_slice(bomb), max);
                let begin = std::time::Instant::now();
                for max in [0, 1, 100_000, LEN as usize / 2 + 1, LEN as usize - 1] {
                    let refused = of(max).unwrap_err();
                    assert!(matches!(refused, Corruption::Limit { .. }), "{class}, {what}: {refused}");
                    assert_eq!(refused.kind(), hregion::ErrorKind::Limit);
                }
                assert!(begin.elapsed() < std::time::Duration::from_secs(20), "{class}, {what}");
                assert_eq!(of(LEN as usize).unwrap().bytes.len(), LEN as usize, "{class}, {what}");
            }
        }
        // a length beyond all memory is refused without allocating
        let long = [&[0x28, 0xB5, 0x2F, 0xFD, 0xC0, 7 << 3][..], &[0xFF; 7], &[0x7F, 1, 0, 0]].concat();
        for class in COMPRESSORS.iter().filter(|known| known.codec == Codec::Zstd).map(|known| known.class) {
            let refused =
                CellCodec::of(false, Some(class)).block(Bytes::from(long.clone()), 1000).unwrap_err();
            assert!(matches!(refused, Corruption::Limit { .. }), "{class}: {refused}");
        }
        for class in COMPRESSORS.iter().filter(|known| known.codec != Codec::Gz).map(|known| known.class) {
            let long = Bytes::from_static(&[0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 1, 0]);
            let refused = CellCodec::of(false, Some(class)).block(long, 1000).unwrap_err();
            assert!(matches!(refused, Corruption::Limit { .. }), "{class}: {refused}");
        }
    }

    #[test]
    fn cells_that_become_too_long_are_refused() {
        let compressed = gzip(&vec![0; 64 << 20]);
        assert!(compressed.len() < 100_000);
        for max in [0, 1000, (64 << 20) - 1] {
            let refused = of_gzip(&compressed, max).unwrap_err();
            assert!(matches!(refused, Corruption::Limit { .. }), "{refused}");
        }
        of_gzip(&compressed, 64 << 20).unwrap();
    }

    #[test]
    fn any_other_bytes_are_an_error() {
        let block = bytes(BLOCK);
        for len in 0..block.len() {
            assert!(plain(block.slice(..len)).take_row(1).is_err(), "{len} bytes");
        }
        for at in 0..12 {
            for bit in 0..8 {
                let mut flipped = block.to_vec();
                flipped[at] ^= 1 << bit;
                assert!(plain(flipped.into()).take_row(1).is_err(), "bit {bit} of byte {at}");
            }
        }
        let mut two = block.to_vec();
        let mut other = block.to_vec();
        other[14] = b'R';
        two.extend(other);
        assert!(plain(two.into()).take_row(2).is_err(), "cells of two rows");
        assert!(plain(block).take_row(2).is_err(), "a cell too few");
    }
}
