//! The block header (hfile.md §6.2).
#![warn(clippy::indexing_slicing)]

use super::BlockType;
use super::checksum::{self, ChecksumType};
use crate::coding::Cursor;
use crate::error::Corruption;
use std::num::NonZeroU32;
use std::ops::Range;

/// The size of a header with checksum fields, in bytes.
pub(crate) const HEADER_LEN: usize = 33;
/// The size of a header without checksum fields, as in files of version 2.0.
pub(crate) const SHORT_HEADER_LEN: usize = 24;

/// Returns the size of a header in a file with or without checksums.
#[inline]
pub(crate) const fn header_len(has_checksums: bool) -> usize {
    if has_checksums { HEADER_LEN } else { SHORT_HEADER_LEN }
}

/// The header before every block: 33 bytes, or the first 24 of them in a file of version 2.0.
///
/// All integers are big-endian.
///
/// | offset | bytes | field                              | counts                               |
/// |-------:|------:|------------------------------------|--------------------------------------|
/// |      0 |     8 | [`block_type`](Self::block_type)   |                                      |
/// |      8 |     4 | `on_disk_size_without_header`      | payload as stored, and its checksums |
/// |     12 |     4 | `uncompressed_size_without_header` | payload only                         |
/// |     16 |     8 | `prev_block_offset`                | file offset, -1 for none             |
/// |     24 |     1 | checksum type                      | [`ChecksumType`]                     |
/// |     25 |     4 | `bytes_per_checksum`               | bytes covered by one 4-byte sum      |
/// |     29 |     4 | `on_disk_data_size_with_header`    | header and payload, no checksums     |
///
/// HBase: `HFileBlock.Header`, `HFileBlock.Writer#putHeader`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    block_type: BlockType,
    plain_size: u32,
    prev_block_offset: i64,
    sizes: BlockSizes,
}

/// The part of a header that locates the checksums. It must be read before they can be verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BlockSizes {
    /// At most `i32::MAX`, like all sizes of a header.
    on_disk_size: u32,
    sums: Option<Sums>,
}

/// The checksum fields. Invariant: the payload and one slot per chunk fill the block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sums {
    checksum_type: ChecksumType,
    bytes_per_checksum: NonZeroU32,
    data_size_with_header: u32,
}

impl BlockHeader {
    /// Reads the header at the start of `bytes`, without verifying checksums.
    ///
    /// For scans that need the size of a block before reading the block; use [`open`](Self::open) for the
    /// block itself.
    pub(crate) fn parse(bytes: &[u8], has_checksums: bool) -> Result<Self, Corruption> {
        Self::parse_trusted(bytes, BlockSizes::parse(bytes, has_checksums)?)
    }

    /// Reads the header of a whole block, from header to checksums, after verifying the checksums.
    ///
    /// Without `verify` the checksums are not compared, but must be present.
    pub(crate) fn open(block: &[u8], has_checksums: bool, verify: bool) -> Result<Self, Corruption> {
        let sizes = BlockSizes::parse(block, has_checksums)?;
        if block.len() != sizes.total_size() {
            return Err(Corruption::Mismatch {
                what: "size of the block by its header",
                expected: to_i64(block.len()),
                found: to_i64(sizes.total_size()),
            });
        }
        if verify {
            checksum::verify(block, &sizes)?;
        }
        Self::parse_trusted(block, sizes)
    }

    fn parse_trusted(bytes: &[u8], sizes: BlockSizes) -> Result<Self, Corruption> {
        let mut cursor = Cursor::new(bytes);
        let magic = cursor.array("block magic")?;
        let Some(block_type) = BlockType::from_magic(magic) else {
            return Err(Corruption::BadMagic {
                what: "block magic",
                expected: "that of a block type",
                found: magic,
            });
        };
        cursor.u32("onDiskSizeWithoutHeader")?;
        let plain_size = size(&mut cursor, "uncompressedSizeWithoutHeader")?;
        let prev_block_offset = cursor.i64("prevBlockOffset")?;
        Ok(Self { block_type, plain_size, prev_block_offset, sizes })
    }

    /// Creates a header for a payload of `stored` bytes, which is `plain` bytes long when decompressed.
    ///
    /// `checksums` are the type and the number of bytes that each covers; `None` selects the short form.
    ///
    /// # Errors
    ///
    /// If one of the sizes does not fit in 31 bits.
    pub(crate) fn for_payload(
        block_type: BlockType,
        (stored, plain): (usize, usize),
        prev_block_offset: i64,
        checksums: Option<(ChecksumType, NonZeroU32)>,
    ) -> Result<Self, Corruption> {
        let fit = |size: usize| match i32::try_from(size) {
            Ok(fitting) => Ok(fitting.cast_unsigned()),
            Err(_) => Err(Corruption::out_of_range("block size", to_i64(size), 0, i32::MAX.into())),
        };
        let mut on_disk_size = stored;
        let mut sums = None;
        if let Some((checksum_type, bytes_per_checksum)) = checksums {
            let data_size_with_header = fit(stored.saturating_add(HEADER_LEN))?;
            let slots = data_size_with_header.div_ceil(bytes_per_checksum.get());
            on_disk_size = stored.saturating_add((slots as usize).saturating_mul(checksum::SUM_LEN));
            sums = Some(Sums { checksum_type, bytes_per_checksum, data_size_with_header });
        }
        let sizes = BlockSizes { on_disk_size: fit(on_disk_size)?, sums };
        // indexes have 31 bits for the size of the whole block
        fit(sizes.total_size())?;
        Ok(Self { block_type, plain_size: fit(plain)?, prev_block_offset, sizes })
    }

    /// Appends the header: 33 bytes with checksum fields, 24 without.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.block_type.magic());
        out.extend_from_slice(&self.sizes.on_disk_size.to_be_bytes());
        out.extend_from_slice(&self.plain_size.to_be_bytes());
        out.extend_from_slice(&self.prev_block_offset.to_be_bytes());
        if let Some(sums) = &self.sizes.sums {
            out.push(sums.checksum_type.code());
            out.extend_from_slice(&sums.bytes_per_checksum.get().to_be_bytes());
            out.extend_from_slice(&sums.data_size_with_header.to_be_bytes());
        }
    }

    /// Returns the type of the block.
    #[inline]
    #[must_use]
    pub fn block_type(&self) -> BlockType {
        self.block_type
    }

    /// Returns the size in bytes of the stored payload and its checksums.
    #[inline]
    #[must_use]
    pub fn on_disk_size_without_header(&self) -> u32 {
        self.sizes.on_disk_size
    }

    /// Returns the size in bytes of the payload when decrypted and decompressed.
    #[inline]
    #[must_use]
    pub fn uncompressed_size_without_header(&self) -> u32 {
        self.plain_size
    }

    /// Returns the offset of the previous block of the same type; -1 for none. Data blocks count as one type,
    /// encoded or not.
    #[inline]
    #[must_use]
    pub fn prev_block_offset(&self) -> i64 {
        self.prev_block_offset
    }

    /// Returns the type of the checksums; `None` in a file without checksums.
    #[inline]
    #[must_use]
    pub fn checksum_type(&self) -> Option<ChecksumType> {
        self.sizes.sums.map(|sums| sums.checksum_type)
    }

    /// Returns the number of bytes that one checksum covers; `None` in a file without checksums.
    #[inline]
    #[must_use]
    pub fn bytes_per_checksum(&self) -> Option<u32> {
        self.sizes.sums.map(|sums| sums.bytes_per_checksum.get())
    }

    /// Returns the size in bytes of header and payload, without the checksums.
    #[inline]
    #[must_use]
    pub fn on_disk_data_size_with_header(&self) -> usize {
        self.sizes.data_size()
    }

    /// Returns the size in bytes of the whole block: header, payload, checksums.
    #[inline]
    #[must_use]
    pub fn total_size(&self) -> usize {
        self.sizes.total_size()
    }

    /// Returns the size in bytes of the header: 33, or 24 in a file of version 2.0.
    #[inline]
    #[must_use]
    pub fn header_size(&self) -> usize {
        self.sizes.header_size()
    }

    /// Returns the range of the stored payload in the block.
    #[inline]
    #[must_use]
    pub fn payload(&self) -> Range<usize> {
        self.sizes.header_size()..self.sizes.data_size()
    }

    /// Returns the size in bytes of the stored payload.
    #[inline]
    #[must_use]
    pub fn payload_size(&self) -> usize {
        self.sizes.data_size() - self.sizes.header_size()
    }
}

impl BlockSizes {
    /// Reads the sizes, and checks that the checksums end where the block ends.
    pub(crate) fn parse(header: &[u8], has_checksums: bool) -> Result<Self, Corruption> {
        let mut cursor = Cursor::new(header);
        cursor.array::<8>("block magic")?;
        let on_disk_size = size(&mut cursor, "onDiskSizeWithoutHeader")?;
        cursor.array::<12>("uncompressedSizeWithoutHeader and prevBlockOffset")?;
        let sums = if has_checksums { Some(Sums::parse(&mut cursor, on_disk_size)?) } else { None };
        Ok(Self { on_disk_size, sums })
    }

    #[inline]
    pub(crate) fn header_size(&self) -> usize {
        header_len(self.sums.is_some())
    }

    /// Returns the size of header, payload and checksums.
    #[inline]
    pub(crate) fn total_size(&self) -> usize {
        self.header_size() + self.on_disk_size as usize
    }

    /// Returns the size of header and payload.
    #[inline]
    pub(crate) fn data_size(&self) -> usize {
        self.sums.map_or_else(|| self.total_size(), |sums| sums.data_size_with_header as usize)
    }

    /// Returns the type of the checksums, and the number of bytes that each covers.
    #[inline]
    pub(crate) fn checksums(&self) -> Option<(ChecksumType, NonZeroU32)> {
        self.sums.map(|sums| (sums.checksum_type, sums.bytes_per_checksum))
    }
}

impl Sums {
    fn parse(cursor: &mut Cursor<'_>, on_disk_size: u32) -> Result<Self, Corruption> {
        let code = cursor.u8("checksum type")?;
        let checksum_type = ChecksumType::from_code(code)
            .ok_or_else(|| Corruption::Unknown { what: "checksum type", value: code.into() })?;
        let per_sum = cursor.i32("bytesPerChecksum")?;
        let bytes_per_checksum = u32::try_from(per_sum).ok().and_then(NonZeroU32::new).ok_or_else(|| {
            Corruption::out_of_range("bytesPerChecksum", per_sum.into(), 1, i32::MAX.into())
        })?;
        let data_size = cursor.i32("onDiskDataSizeWithHeader")?;
        let total = HEADER_LEN as u64 + u64::from(on_disk_size);
        let data_size_with_header = match u32::try_from(data_size) {
            Ok(size) if (HEADER_LEN as u64..=total).contains(&size.into()) => size,
            _ => {
                let (what, min) = ("onDiskDataSizeWithHeader", to_i64(HEADER_LEN));
                return Err(Corruption::out_of_range(what, data_size.into(), min, total.cast_signed()));
            }
        };
        let slots = u64::from(data_size_with_header.div_ceil(bytes_per_checksum.get()));
        let (needed, available) =
            (slots * checksum::SUM_LEN as u64, total - u64::from(data_size_with_header));
        if needed != available {
            return Err(Corruption::Mismatch {
                what: "bytes of checksums after the payload",
                expected: needed.cast_signed(),
                found: available.cast_signed(),
            });
        }
        Ok(Self { checksum_type, bytes_per_checksum, data_size_with_header })
    }
}

fn size(cursor: &mut Cursor<'_>, what: &'static str) -> Result<u32, Corruption> {
    let value = cursor.i32(what)?;
    u32::try_from(value).map_err(|_| Corruption::out_of_range(what, value.into(), 0, i32::MAX.into()))
}

fn to_i64(len: usize) -> i64 {
    i64::try_from(len).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The first block of an uncompressed file written by HBase (hfile.md §6.2).
    const DATA: &[u8; HEADER_LEN] =
        b"DATABLK*\0\0\x40\x1a\0\0\x40\x12\xff\xff\xff\xff\xff\xff\xff\xff\x02\0\0\x40\0\0\0\x40\x33";

    fn with(at: usize, bytes: &[u8]) -> [u8; HEADER_LEN] {
        let mut header = *DATA;
        header[at..at + bytes.len()].copy_from_slice(bytes);
        header
    }

    #[test]
    fn a_header_of_hbase() {
        let header = BlockHeader::parse(DATA, true).unwrap();
        assert_eq!(header.block_type(), BlockType::Data);
        assert_eq!(header.on_disk_size_without_header(), 16410);
        assert_eq!(header.uncompressed_size_without_header(), 16402);
        assert_eq!(header.prev_block_offset(), -1);
        assert_eq!(header.checksum_type(), Some(ChecksumType::Crc32c));
        assert_eq!(header.bytes_per_checksum(), Some(16384));
        assert_eq!(header.on_disk_data_size_with_header(), 16435);
        assert_eq!((header.total_size(), header.payload()), (16443, 33..16435));
        let again = BlockHeader::for_payload(
            BlockType::Data,
            (16402, 16402),
            -1,
            Some((ChecksumType::Crc32c, NonZeroU32::new(16384).unwrap())),
        );
        assert_eq!(again, Ok(header));
        let mut out = Vec::new();
        header.write(&mut out);
        assert_eq!(out, DATA);
    }

    #[test]
    fn a_header_without_checksums_ends_early() {
        let header = BlockHeader::parse(&DATA[..SHORT_HEADER_LEN], false).unwrap();
        assert_eq!((header.total_size(), header.payload()), (16434, 24..16434));
        assert_eq!((header.checksum_type(), header.bytes_per_checksum()), (None, None));
        assert_eq!(
            BlockHeader::for_payload(BlockType::Data, (16410, 16402), -1, None),
            Ok(header),
            "the same sizes, nothing set aside for sums"
        );
        let mut out = Vec::new();
        header.write(&mut out);
        assert_eq!(out, DATA[..SHORT_HEADER_LEN]);
    }

    #[test]
    fn fields_that_cannot_be_are_refused() {
        let error = |header: [u8; HEADER_LEN]| BlockHeader::parse(&header, true).unwrap_err().to_string();
        assert_eq!(error(with(7, b"+")), "block magic: expected that of a block type, found DATABLK+");
        for (at, bytes, what) in [
            (8, [0xff; 4], "onDiskSizeWithoutHeader is -1"),
            (8, [0, 0, 0x40, 0x19], "bytes of checksums after the payload: expected 8, found 7"),
            (8, [0, 0, 0, 0x19], "onDiskDataSizeWithHeader is 16435, expected 33 to 58"),
            (12, [0x80, 0, 0, 0], "uncompressedSizeWithoutHeader is -2147483648"),
            (24, [3, 0, 0, 0x40], "checksum type 3 does not exist"),
            (25, [0, 0, 0, 0], "bytesPerChecksum is 0"),
            (25, [0xff; 4], "bytesPerChecksum is -1"),
            (25, [0x7f, 0xff, 0xff, 0xff], "bytes of checksums after the payload: expected 4, found 8"),
            (25, [0, 0, 0, 1], "bytes of checksums after the payload: expected 65740, found 8"),
            (29, [0, 0, 0, 32], "onDiskDataSizeWithHeader is 32"),
            (29, [0x80, 0, 0, 33], "onDiskDataSizeWithHeader is -2147483615"),
        ] {
            let message = error(with(at, &bytes));
            assert!(message.starts_with(what), "{message}");
        }
    }

    #[test]
    fn sizes_beyond_31_bits_are_not_written() {
        let sums = Some((ChecksumType::Crc32, NonZeroU32::MIN));
        let of = |stored| BlockHeader::for_payload(BlockType::Data, (stored, 0), -1, sums);
        assert!(of(1 << 28).is_ok(), "five bytes for one");
        assert!(of(1 << 29).is_err());
        assert!(of(usize::MAX).is_err());
        // also the size of the block with its header, which is in an index
        for (sums, beside) in [(None, 24), (Some((ChecksumType::Crc32, NonZeroU32::MAX)), 33 + 4)] {
            let of = |stored| BlockHeader::for_payload(BlockType::Data, (stored, 0), -1, sums);
            let most = i32::MAX as usize - beside;
            assert!(of(most).is_ok() && of(most + 1).is_err(), "{beside}");
        }
    }

    proptest! {
        #[test]
        fn parsed_headers_write_back_unchanged(
            at in 0..HEADER_LEN,
            byte: u8,
            len in 0..=HEADER_LEN,
            has_checksums: bool,
        ) {
            let bytes = with(at, &[byte]);
            if let Ok(header) = BlockHeader::parse(&bytes[..len], has_checksums) {
                let mut out = Vec::new();
                header.write(&mut out);
                prop_assert_eq!(&out, &bytes[..header_len(has_checksums)]);
                prop_assert!(header.payload().end <= header.total_size());
            }
        }
    }
}
