//! The settings of a store's new files, from the configuration of its family (HBase:
//! `StoreUtils.getChecksumType`, `getBytesPerChecksum`, `HFileBlockIndex`, `BloomFilterFactory`,
//! `HFileWriterImpl`, `StoreFileTrackerBase.createFileContext`).

use crate::block::{BloomHashType, ChecksumType};
use crate::error::Result;
use crate::hfile::{HFileWriterOptions, MIN_BYTES_PER_CHECKSUM};
use crate::store::settings::{Reader, Setting};

/// Settings of new files that a `Family` does not represent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FileSettings {
    /// `hbase.hstore.checksum.algorithm`, CRC32C.
    checksum_type: ChecksumType,
    /// The number of bytes that each checksum covers (`hbase.hstore.bytes.per.checksum`, 16 KiB).
    bytes_per_checksum: u32,
    /// `hfile.index.block.max.size`, 128 KiB.
    index_chunk_size: usize,
    /// `hfile.index.block.min.entries`, 16.
    index_min_entries: usize,
    /// Whether rows or columns have a filter if the family has one (`io.storefile.bloom.enabled`, yes).
    has_bloom: bool,
    /// Whether rows with a marker that deletes the family have one
    /// (`io.storefile.delete.family.bloom.enabled`, yes).
    has_delete_family_bloom: bool,
    /// `io.storefile.bloom.block.size`, 128 KiB.
    bloom_chunk_bytes: usize,
    /// `io.storefile.bloom.error.rate`, 0.01.
    bloom_error_rate: f32,
    /// `hbase.hash.type`, murmur.
    bloom_hash: BloomHashType,
    /// `hbase.writer.unified.encoded.blocksize.ratio`, 0.
    encoded_ratio: f32,
    /// Whether the delta encodings write tags with a dictionary (`COMPRESS_TAGS`, yes).
    compress_tags: bool,
}

impl Default for FileSettings {
    fn default() -> Self {
        Self {
            checksum_type: ChecksumType::Crc32c,
            bytes_per_checksum: 16 << 10,
            index_chunk_size: 128 << 10,
            index_min_entries: 16,
            has_bloom: true,
            has_delete_family_bloom: true,
            bloom_chunk_bytes: 128 << 10,
            bloom_error_rate: 0.01,
            bloom_hash: BloomHashType::Murmur,
            encoded_ratio: 0.0,
            compress_tags: true,
        }
    }
}

impl FileSettings {
    /// Reads the settings of a family.
    ///
    /// # Errors
    ///
    /// If a named checksum or hash function does not exist, or a number is not one that HBase accepts.
    pub(crate) fn from_settings(family: &[u8], setting: Setting<'_, '_>) -> Result<Self> {
        const CHECKSUM: &str = "hbase.hstore.checksum.algorithm";
        const BYTES: &str = "hbase.hstore.bytes.per.checksum";
        const HASH: &str = "hbase.hash.type";
        let (read, default) = (Reader { family, setting }, Self::default());
        let checksum_type = match setting(CHECKSUM) {
            None => default.checksum_type,
            Some(name) => [ChecksumType::Null, ChecksumType::Crc32, ChecksumType::Crc32c]
                .into_iter()
                .find(|kind| kind.name() == name)
                .ok_or_else(|| read.unsupported(CHECKSUM, name))?,
        };
        let bytes = read.or(BYTES, i64::from(default.bytes_per_checksum))?;
        let bytes_per_checksum = u32::try_from(bytes)
            .ok()
            .filter(|&bytes| bytes >= MIN_BYTES_PER_CHECKSUM && i32::try_from(bytes).is_ok())
            .ok_or_else(|| read.refused(format!("{BYTES} cannot be {bytes}")))?;
        let bloom_hash = match setting(HASH) {
            None => default.bloom_hash,
            Some(name) => [BloomHashType::Jenkins, BloomHashType::Murmur, BloomHashType::Murmur3]
                .into_iter()
                .find(|kind| kind.name().eq_ignore_ascii_case(name))
                .ok_or_else(|| read.unsupported(HASH, name))?,
        };
        Ok(Self {
            checksum_type,
            bytes_per_checksum,
            index_chunk_size: read.or("hfile.index.block.max.size", default.index_chunk_size)?,
            index_min_entries: read.or("hfile.index.block.min.entries", default.index_min_entries)?,
            has_bloom: read.flag("io.storefile.bloom.enabled", true),
            has_delete_family_bloom: read.flag("io.storefile.delete.family.bloom.enabled", true),
            bloom_chunk_bytes: read.or("io.storefile.bloom.block.size", default.bloom_chunk_bytes)?,
            bloom_error_rate: read.or("io.storefile.bloom.error.rate", default.bloom_error_rate)?,
            bloom_hash,
            encoded_ratio: read.or("hbase.writer.unified.encoded.blocksize.ratio", default.encoded_ratio)?,
            // As Java's `Boolean.valueOf`: everything else is false.
            compress_tags: setting("COMPRESS_TAGS").is_none_or(|text| text.eq_ignore_ascii_case("true")),
        })
    }

    /// Returns the options of a file with these settings.
    pub(crate) fn add_to(&self, options: HFileWriterOptions) -> HFileWriterOptions {
        let options = options
            .checksum(self.checksum_type)
            .bytes_per_checksum(self.bytes_per_checksum)
            .index_chunk_size(self.index_chunk_size)
            .index_min_entries(self.index_min_entries)
            .bloom_chunk_bytes(self.bloom_chunk_bytes)
            .bloom_error_rate(self.bloom_error_rate)
            .bloom_hash(self.bloom_hash)
            .encoded_ratio(self.encoded_ratio)
            .compress_tags(self.compress_tags);
        let options = if self.has_bloom { options } else { options.bloom(None) };
        if self.has_delete_family_bloom { options } else { options.without_delete_family_bloom() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::settings::tests::find;

    #[test]
    fn checksums_are_read_or_refused() {
        let found = |checksum_type, bytes_per_checksum| {
            Some(FileSettings { checksum_type, bytes_per_checksum, ..FileSettings::default() })
        };
        for (kind, bytes, expected) in [
            ("", "", found(ChecksumType::Crc32c, 16384)),
            ("CRC32", "4096", found(ChecksumType::Crc32, 4096)),
            ("NULL", "33", found(ChecksumType::Null, 33)),
            ("crc32", "", None),
            ("", "32", None),
            ("", "-1", None),
            ("", "4k", None),
            ("", "2147483648", None),
        ] {
            let settings =
                [("hbase.hstore.checksum.algorithm", kind), ("hbase.hstore.bytes.per.checksum", bytes)];
            let found = FileSettings::from_settings(b"f", &|key| find(&settings, key));
            assert_eq!(found.ok(), expected, "{kind:?} {bytes:?}");
        }
    }

    #[test]
    fn indexes_and_filters_are_read_or_refused() {
        let of = |name: &str, value: &'static str| {
            FileSettings::from_settings(b"f", &|key| find(&[(name, value)], key)).ok()
        };
        let default = FileSettings::default();
        for (name, value, expected) in [
            ("hfile.index.block.max.size", " 4096 ", FileSettings { index_chunk_size: 4096, ..default }),
            ("hfile.index.block.min.entries", "4", FileSettings { index_min_entries: 4, ..default }),
            ("io.storefile.bloom.enabled", "FALSE", FileSettings { has_bloom: false, ..default }),
            (
                "io.storefile.delete.family.bloom.enabled",
                "false",
                FileSettings { has_delete_family_bloom: false, ..default },
            ),
            ("io.storefile.bloom.block.size", "65536", FileSettings { bloom_chunk_bytes: 65536, ..default }),
            ("io.storefile.bloom.error.rate", "0.125", FileSettings { bloom_error_rate: 0.125, ..default }),
            ("hbase.hash.type", "Murmur3", FileSettings { bloom_hash: BloomHashType::Murmur3, ..default }),
            (
                "hbase.writer.unified.encoded.blocksize.ratio",
                "0.5",
                FileSettings { encoded_ratio: 0.5, ..default },
            ),
            ("COMPRESS_TAGS", "TRUE", default),
            ("COMPRESS_TAGS", "false", FileSettings { compress_tags: false, ..default }),
            ("another", "x", default),
        ] {
            assert_eq!(of(name, value), Some(expected), "{name}");
            let other = match name {
                "COMPRESS_TAGS" => Some(FileSettings { compress_tags: false, ..default }),
                _ => Some(default).filter(|_| name.ends_with("bloom.enabled") || name == "another"),
            };
            assert_eq!(of(name, "x"), other, "{name}");
        }
    }
}
