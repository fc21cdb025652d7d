//! The end of every file, where reading starts (hfile.md §5).
#![warn(clippy::indexing_slicing)]

mod body;

use self::body::Body;
use super::comparator;
use crate::block::Codec;
use crate::cell::CellOrder;
use crate::coding::Cursor;
use crate::error::Corruption;
use crate::proto::hfile::FileTrailerProto;
use prost::Message;

const V2_LEN: usize = 212;
const V3_LEN: usize = 4096;
/// The length of the version in bytes; it is the last field.
pub(crate) const VERSION_LEN: usize = 4;
const MAGIC: &[u8; MAGIC_LEN] = b"TRABLK\"$";
/// The length of the magic in bytes; it is the first field.
pub(crate) const MAGIC_LEN: usize = 8;

/// The last 212 bytes of a file of version 2, or the last 4,096 of a file of version 3.
///
/// | bytes      | part                                                                        |
/// |-----------:|-----------------------------------------------------------------------------|
/// |          8 | magic `TRABLK"$`                                                            |
/// |            | body: a delimited `FileTrailerProto`; plain fields in versions 2.0 and 2.1  |
/// |            | zeros                                                                       |
/// |          4 | version: minor in the first byte, major in the others                       |
///
/// The trailer is the only part of a file without a checksum. Therefore a message is refused if a field is
/// missing, occurs twice or has another field's wire type, as a flipped bit can cause (hfile.md §17.1). The
/// code that opens the file compares the other fields with the rest of the file.
///
/// HBase: `FixedFileTrailer`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trailer {
    pub(crate) version: Version,
    pub(crate) file_info_offset: i64,
    pub(crate) load_on_open_data_offset: u64,
    pub(crate) uncompressed_data_index_size: i64,
    pub(crate) total_uncompressed_bytes: i64,
    pub(crate) data_index_count: u32,
    pub(crate) meta_index_count: u32,
    pub(crate) entry_count: u64,
    pub(crate) num_data_index_levels: u32,
    pub(crate) first_data_block_offset: i64,
    pub(crate) last_data_block_offset: i64,
    pub(crate) comparator_class_name: String,
    pub(crate) compression_codec: Codec,
    /// A delimited `WrappedKey`.
    pub(crate) encryption_key: Option<Vec<u8>>,
    /// The offset of the trailer itself.
    pub(crate) offset: u64,
}

/// The version of a file's format, and the properties that depend on it (hfile.md §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) major: u32,
    pub(crate) minor: u8,
}

impl Version {
    /// The version that HBase 2.x, 3.x and its master branch write.
    pub(crate) const V3_3: Self = Self { major: 3, minor: 3 };
    /// The version that HBase 0.96 to 1.x write.
    pub(crate) const V2_3: Self = Self { major: 2, minor: 3 };

    fn parse(word: u32) -> Result<Self, Corruption> {
        let [minor, ..] = word.to_be_bytes();
        let version = Self { major: word & 0x00ff_ffff, minor };
        let unsupported = |hint| Corruption::Unsupported {
            what: "HFile version",
            name: format!("{}.{minor}", version.major).into(),
            hint: Some(hint),
        };
        match version.major {
            3 => Ok(version),
            2 if minor <= 3 => Ok(version),
            2 => Err(unsupported("version 2 has the minor versions 0 to 3")),
            1 => Err(unsupported(
                "written by HBase 0.90 or before; a major compaction by 0.92 to 0.98 rewrites it",
            )),
            4 => Err(unsupported("multi-tenant files")),
            other => Err(Corruption::out_of_range("HFile major version", other.into(), 2, 3)),
        }
    }

    fn trailer_len(self) -> usize {
        if self.major == 2 { V2_LEN } else { V3_LEN }
    }

    fn is_plain(self) -> bool {
        self.major == 2 && self.minor < 2
    }

    fn has_checksums(self) -> bool {
        self.major > 2 || self.minor > 0
    }
}

impl Trailer {
    /// Parses the trailer of a file of `file_len` bytes. `tail` is the last 4,096 bytes, or all of a shorter
    /// file.
    pub(crate) fn parse(tail: &[u8], file_len: u64) -> Result<Self, Corruption> {
        let short = |needed: usize| Corruption::Truncated {
            what: "trailer",
            needed: needed as u64,
            available: file_len.min(tail.len() as u64),
        };
        let version = tail.last_chunk::<VERSION_LEN>().filter(|_| tail.len() >= V2_LEN);
        let version = version.ok_or_else(|| short(V2_LEN))?;
        let version = Version::parse(u32::from_be_bytes(*version))?;
        let len = version.trailer_len();
        let bytes =
            tail.len().checked_sub(len).and_then(|start| tail.get(start..)).ok_or_else(|| short(len))?;
        let trailer_offset = file_len.checked_sub(len as u64).ok_or_else(|| short(len))?;

        let mut cursor = Cursor::new(bytes);
        let magic = cursor.array("trailer magic")?;
        if magic != *MAGIC {
            return Err(Corruption::BadMagic { what: "trailer magic", expected: "TRABLK\"$", found: magic });
        }
        let body = cursor.take(len - MAGIC.len() - VERSION_LEN, "trailer body")?;
        let body = if version.is_plain() { Body::plain(body)? } else { Body::protobuf(body)? };
        body.check(version, trailer_offset)
    }

    /// Appends the trailer in the form of its version.
    ///
    /// # Errors
    ///
    /// If the comparator name and the encryption key are too long for a trailer of that version.
    pub(crate) fn write(&self, out: &mut Vec<u8>) -> Result<(), Corruption> {
        let start = out.len();
        out.extend_from_slice(MAGIC);
        if self.version.is_plain() {
            self.write_plain(out);
        } else {
            let message = self.to_proto().encode_length_delimited_to_vec();
            out.extend_from_slice(&message);
        }
        let (written, len) = (out.len() - start, self.version.trailer_len());
        if written > len - VERSION_LEN {
            out.truncate(start);
            let limit = (len - VERSION_LEN) as u64;
            return Err(Corruption::Limit { what: "bytes of the trailer", value: written as u64, limit });
        }
        out.resize(start + len - VERSION_LEN, 0);
        out.extend_from_slice(&(u32::from(self.version.minor) << 24 | self.version.major).to_be_bytes());
        Ok(())
    }

    fn write_plain(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.file_info_offset.to_be_bytes());
        out.extend_from_slice(&self.load_on_open_data_offset.to_be_bytes());
        out.extend_from_slice(&self.data_index_count.to_be_bytes());
        out.extend_from_slice(&self.uncompressed_data_index_size.to_be_bytes());
        out.extend_from_slice(&self.meta_index_count.to_be_bytes());
        out.extend_from_slice(&self.total_uncompressed_bytes.to_be_bytes());
        out.extend_from_slice(&self.entry_count.to_be_bytes());
        out.extend_from_slice(&self.compression_codec.ordinal().to_be_bytes());
        out.extend_from_slice(&self.num_data_index_levels.to_be_bytes());
        out.extend_from_slice(&self.first_data_block_offset.to_be_bytes());
        out.extend_from_slice(&self.last_data_block_offset.to_be_bytes());
        // the zeros that follow also pad the name to its 128 bytes
        out.extend_from_slice(self.comparator_class_name.as_bytes());
    }

    fn to_proto(&self) -> FileTrailerProto {
        // HBase always writes the first twelve fields, so zeros are written too
        FileTrailerProto {
            file_info_offset: Some(self.file_info_offset.cast_unsigned()),
            load_on_open_data_offset: Some(self.load_on_open_data_offset),
            uncompressed_data_index_size: Some(self.uncompressed_data_index_size.cast_unsigned()),
            total_uncompressed_bytes: Some(self.total_uncompressed_bytes.cast_unsigned()),
            data_index_count: Some(self.data_index_count),
            meta_index_count: Some(self.meta_index_count),
            entry_count: Some(self.entry_count),
            num_data_index_levels: Some(self.num_data_index_levels),
            first_data_block_offset: Some(self.first_data_block_offset.cast_unsigned()),
            last_data_block_offset: Some(self.last_data_block_offset.cast_unsigned()),
            comparator_class_name: Some(self.comparator_class_name.clone()),
            compression_codec: Some(self.compression_codec.ordinal()),
            encryption_key: self.encryption_key.clone(),
        }
    }

    /// Returns the major version: 2 or 3.
    #[must_use]
    pub fn major_version(&self) -> u32 {
        self.version.major
    }

    /// Returns the minor version: 0 to 3 or, in a version 3, [a greater one](Self::is_newer_than_known).
    #[must_use]
    pub fn minor_version(&self) -> u32 {
        self.version.minor.into()
    }

    /// Returns the offset of the trailer, which is the end of the load-on-open section.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the probable offset of the trailer in a file that ends with `tail`, from the version if that
    /// is valid.
    pub(crate) fn likely_offset(tail: &[u8], file_len: u64) -> u64 {
        let version = tail.last_chunk().and_then(|word| Version::parse(u32::from_be_bytes(*word)).ok());
        file_len.saturating_sub(version.map_or(0, |version| version.trailer_len() as u64))
    }

    /// Whether the minor version is later than 3.3. Such a file is read as version 3.3 and should cause a
    /// warning.
    #[must_use]
    pub fn is_newer_than_known(&self) -> bool {
        self.version.minor > Version::V3_3.minor
    }

    /// Whether the file's blocks have checksums: in all versions but 2.0.
    #[must_use]
    pub fn has_checksums(&self) -> bool {
        self.version.has_checksums()
    }

    /// Whether the body is plain fields without padding instead of a message.
    pub(crate) fn is_plain(&self) -> bool {
        self.version.is_plain()
    }

    /// Returns the size of the trailer itself in bytes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.version.trailer_len()
    }

    /// Returns the offset of the file info. It is neither used here nor checked: the block follows the two
    /// root indexes.
    #[must_use]
    pub fn file_info_offset(&self) -> i64 {
        self.file_info_offset
    }

    /// Returns the offset of the load-on-open section: the root of the data index, and everything from there
    /// to the trailer.
    #[must_use]
    pub fn load_on_open_data_offset(&self) -> u64 {
        self.load_on_open_data_offset
    }

    /// Returns the size of all data index blocks in bytes, without headers. Not checked.
    #[must_use]
    pub fn uncompressed_data_index_size(&self) -> i64 {
        self.uncompressed_data_index_size
    }

    /// Returns the size in bytes of most blocks with their headers, and of the trailer. Not checked.
    #[must_use]
    pub fn total_uncompressed_bytes(&self) -> i64 {
        self.total_uncompressed_bytes
    }

    /// Returns the number of entries in the root of the data index.
    #[must_use]
    pub fn data_index_count(&self) -> u32 {
        self.data_index_count
    }

    /// Returns the number of entries in the meta index.
    #[must_use]
    pub fn meta_index_count(&self) -> u32 {
        self.meta_index_count
    }

    /// Returns the number of cells in the file.
    #[must_use]
    pub fn entry_count(&self) -> u64 {
        self.entry_count
    }

    /// Returns the number of levels of the data index, 1 to 16; 1 is the root alone.
    #[must_use]
    pub fn num_data_index_levels(&self) -> u32 {
        self.num_data_index_levels
    }

    /// Returns the offset of the first data block. In a file without cells it is -1 or meaningless.
    #[must_use]
    pub fn first_data_block_offset(&self) -> i64 {
        self.first_data_block_offset
    }

    /// Returns the offset of the last data block. In a file without cells it is -1 or meaningless.
    #[must_use]
    pub fn last_data_block_offset(&self) -> i64 {
        self.last_data_block_offset
    }

    /// Returns the Java class by which the cells are sorted.
    #[must_use]
    pub fn comparator_class_name(&self) -> &str {
        &self.comparator_class_name
    }

    /// Returns the order that the class denotes; `None` if it is unknown, and the file can only be scanned.
    #[must_use]
    pub fn cell_order(&self) -> Option<CellOrder> {
        comparator::order(&self.comparator_class_name)
    }

    /// Returns the compression codec of the blocks.
    #[must_use]
    pub fn compression_codec(&self) -> Codec {
        self.compression_codec
    }

    /// Whether the blocks are encrypted.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.encryption_key.is_some()
    }

    /// Returns the wrapped (encrypted) key with which the blocks are encrypted.
    pub(crate) fn encryption_key(&self) -> Option<&[u8]> {
        self.encryption_key.as_deref()
    }
}

#[cfg(test)]
mod tests;
