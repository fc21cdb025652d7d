//! The fields of a trailer in either form, and their validation.
#![warn(clippy::indexing_slicing)]

use super::{Trailer, Version};
use crate::block::Codec;
use crate::coding::Cursor;
use crate::error::Corruption;
use crate::proto::wire::{Fields, Value, delimited};

/// The maximum depth of a data index.
const MAX_INDEX_LEVELS: i64 = 16;
const PLAIN_COMPARATOR_LEN: usize = 128;
/// A bit for each field of the message that has a meaning, 1 to 16.
const KNOWN: u32 = (1 << 17) - 2;
/// The fields that every file must have. A missing one shows that a flipped bit has hidden it.
const NEEDED: u32 = 1 << 2 | 1 << 5 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10;

/// The unchecked fields, the same for both forms.
#[derive(Default)]
pub(super) struct Body<'a> {
    file_info_offset: i64,
    load_on_open_data_offset: i64,
    uncompressed_data_index_size: i64,
    total_uncompressed_bytes: i64,
    data_index_count: i64,
    meta_index_count: i64,
    entry_count: i64,
    num_data_index_levels: i64,
    first_data_block_offset: i64,
    last_data_block_offset: i64,
    comparator_class_name: &'a [u8],
    compression_codec: i64,
    encryption_key: Option<&'a [u8]>,
}

impl<'a> Body<'a> {
    pub(super) fn plain(body: &'a [u8]) -> Result<Self, Corruption> {
        let mut cursor = Cursor::new(body);
        let body = Self {
            file_info_offset: cursor.i64("file_info_offset")?,
            load_on_open_data_offset: cursor.i64("load_on_open_data_offset")?,
            data_index_count: cursor.i32("data_index_count")?.into(),
            uncompressed_data_index_size: cursor.i64("uncompressed_data_index_size")?,
            meta_index_count: cursor.i32("meta_index_count")?.into(),
            total_uncompressed_bytes: cursor.i64("total_uncompressed_bytes")?,
            entry_count: cursor.i64("entry_count")?,
            compression_codec: cursor.i32("compression_codec")?.into(),
            num_data_index_levels: cursor.i32("num_data_index_levels")?.into(),
            first_data_block_offset: cursor.i64("first_data_block_offset")?,
            last_data_block_offset: cursor.i64("last_data_block_offset")?,
            comparator_class_name: trim_zeros(cursor.take(PLAIN_COMPARATOR_LEN, "comparator_class_name")?),
            encryption_key: None,
        };
        cursor.finish("bytes after the fields of the trailer")?;
        Ok(body)
    }

    pub(super) fn protobuf(body: &'a [u8]) -> Result<Self, Corruption> {
        let message = delimited(&mut Cursor::new(body), "message of the trailer")?;
        let mut out = Self { compression_codec: Codec::None.ordinal().into(), ..Self::default() };
        let mut seen = 0u32;
        for field in Fields::new(message) {
            let (number, value) = field?;
            match (number, value) {
                (1, Value::Varint(n)) => out.file_info_offset = n.cast_signed(),
                (2, Value::Varint(n)) => out.load_on_open_data_offset = n.cast_signed(),
                (3, Value::Varint(n)) => out.uncompressed_data_index_size = n.cast_signed(),
                (4, Value::Varint(n)) => out.total_uncompressed_bytes = n.cast_signed(),
                (5, Value::Varint(n)) => out.data_index_count = n.cast_signed(),
                (6, Value::Varint(n)) => out.meta_index_count = n.cast_signed(),
                (7, Value::Varint(n)) => out.entry_count = n.cast_signed(),
                (8, Value::Varint(n)) => out.num_data_index_levels = n.cast_signed(),
                (9, Value::Varint(n)) => out.first_data_block_offset = n.cast_signed(),
                (10, Value::Varint(n)) => out.last_data_block_offset = n.cast_signed(),
                (11, Value::Bytes(name)) => out.comparator_class_name = name,
                (12, Value::Varint(n)) => out.compression_codec = n.cast_signed(),
                (13, Value::Bytes(key)) => out.encryption_key = Some(key),
                // namespace, metadata and checksum of the key encryption key: only in HBase's master branch,
                // and unused
                (14 | 15, Value::Bytes(_)) | (16, Value::Varint(_)) | (17.., _) => {}
                _ => return Err(Corruption::Malformed("field of the trailer with a wire type not its own")),
            }
            if let Some(bit @ 1..) = 1u32.checked_shl(number).map(|bit| bit & KNOWN) {
                if seen & bit != 0 {
                    return Err(Corruption::Malformed("field of the trailer given twice"));
                }
                seen |= bit;
            }
        }
        if seen & NEEDED != NEEDED {
            return Err(Corruption::Malformed(
                "trailer without one of its fields 2, 5 and 7 to 10, which every file has",
            ));
        }
        Ok(out)
    }

    /// Returns the trailer, if the fields are valid for this version and a trailer at `trailer_offset`.
    pub(super) fn check(self, version: Version, trailer_offset: u64) -> Result<Trailer, Corruption> {
        let load_on_open = self.load_on_open_data_offset;
        let end = i64::try_from(trailer_offset).unwrap_or(i64::MAX);
        within("entry_count", self.entry_count, 0, i64::MAX)?;
        // after the data blocks: a file with cells has at least one
        within("load_on_open_data_offset", load_on_open, i64::from(self.entry_count > 0), end - 1)?;

        let mut levels = self.num_data_index_levels;
        if self.entry_count == 0 {
            // old versions leave levels and offsets unset
            levels = if levels == 0 { 1 } else { levels };
            within("data_index_count of a file without cells", self.data_index_count, 0, 0)?;
        } else {
            within("data_index_count of a file with cells", self.data_index_count, 1, i32::MAX.into())?;
            within("last_data_block_offset", self.last_data_block_offset, 0, load_on_open - 1)?;
            within("first_data_block_offset", self.first_data_block_offset, 0, self.last_data_block_offset)?;
        }
        within("num_data_index_levels", levels, 1, MAX_INDEX_LEVELS)?;

        let codec = self.compression_codec;
        let compression_codec = u32::try_from(codec)
            .ok()
            .and_then(Codec::from_ordinal)
            .ok_or(Corruption::Unknown { what: "compression codec", value: codec })?;
        let comparator_class_name = std::str::from_utf8(self.comparator_class_name)
            .map_err(|_| Corruption::Malformed("comparator_class_name is not UTF-8"))?
            .to_owned();
        Ok(Trailer {
            version,
            file_info_offset: self.file_info_offset,
            load_on_open_data_offset: load_on_open.cast_unsigned(),
            uncompressed_data_index_size: self.uncompressed_data_index_size,
            total_uncompressed_bytes: self.total_uncompressed_bytes,
            data_index_count: count("data_index_count", self.data_index_count)?,
            meta_index_count: count("meta_index_count", self.meta_index_count)?,
            entry_count: self.entry_count.cast_unsigned(),
            num_data_index_levels: count("num_data_index_levels", levels)?,
            first_data_block_offset: self.first_data_block_offset,
            last_data_block_offset: self.last_data_block_offset,
            comparator_class_name,
            compression_codec,
            encryption_key: self.encryption_key.map(<[u8]>::to_vec),
            offset: trailer_offset,
        })
    }
}

fn within(what: &'static str, value: i64, min: i64, max: i64) -> Result<(), Corruption> {
    if (min..=max).contains(&value) { Ok(()) } else { Err(Corruption::out_of_range(what, value, min, max)) }
}

/// Returns a number that must be a non-negative `int` in Java.
fn count(what: &'static str, value: i64) -> Result<u32, Corruption> {
    match i32::try_from(value) {
        Ok(count @ 0..) => Ok(count.cast_unsigned()),
        _ => Err(Corruption::out_of_range(what, value, 0, i32::MAX.into())),
    }
}

fn trim_zeros(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
    bytes.get(..end).unwrap_or_default()
}
