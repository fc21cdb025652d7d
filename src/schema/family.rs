//! Column families: retention settings, and the format of their files (read-path.md §1.6, §21).

use super::{BloomType, Cipher, Codec, DataBlockEncoding, FamilyDescription};
use crate::binary::StringBinary;
use crate::cell::MAX_FAMILY_LEN;
use crate::error::{Error, Result};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// Whether cells hidden by delete markers are kept (HBase: `KeepDeletedCells`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum KeepDeletedCells {
    /// Deleted cells are dropped by the next flush or compaction.
    #[default]
    False,
    /// Deleted cells are kept, and visible to reads with a time range that ends before the delete marker.
    True,
    /// Deleted cells are kept until the delete marker is older than the family's time to live.
    Ttl,
}

impl KeepDeletedCells {
    /// Returns HBase's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::False => "FALSE",
            Self::True => "TRUE",
            Self::Ttl => "TTL",
        }
    }

    /// Returns the value with a name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::False, Self::True, Self::Ttl].into_iter().find(|keep| keep.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for KeepDeletedCells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A column family, with HBase's defaults: one version, no time to live, deleted cells not kept (HBase:
/// `ColumnFamilyDescriptor`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Family {
    pub(crate) name: Bytes,
    pub(crate) max_versions: u32,
    pub(crate) min_versions: u32,
    pub(crate) ttl: Option<u32>,
    pub(crate) keep_deleted_cells: KeepDeletedCells,
    pub(crate) new_version_behavior: bool,
    pub(crate) bloom: Option<BloomType>,
    pub(crate) data_block_encoding: DataBlockEncoding,
    pub(crate) codec: Codec,
    pub(crate) block_size: u32,
    pub(crate) encryption: Option<Cipher>,
    /// A delimited `WrappedKey`.
    pub(crate) encryption_key: Option<Bytes>,
    /// Values by key.
    pub(crate) configuration: BTreeMap<String, String>,
}

impl Family {
    /// Creates a family with this name and HBase's defaults.
    #[must_use]
    pub fn new(name: impl Into<Bytes>) -> Self {
        Self {
            name: name.into(),
            max_versions: 1,
            min_versions: 0,
            ttl: None,
            keep_deleted_cells: KeepDeletedCells::False,
            new_version_behavior: false,
            bloom: Some(BloomType::Row),
            data_block_encoding: DataBlockEncoding::None,
            codec: Codec::None,
            block_size: 64 << 10,
            encryption: None,
            encryption_key: None,
            configuration: BTreeMap::new(),
        }
    }

    /// Sets the maximum number of versions of a column to keep (VERSIONS, default 1; `u32::MAX` for all).
    #[must_use]
    pub fn max_versions(mut self, versions: u32) -> Self {
        self.max_versions = versions;
        self
    }

    /// Sets the number of versions to keep even if they are older than the time to live (MIN_VERSIONS,
    /// default 0). A family in which it exceeds [VERSIONS](Self::max_versions), as HBase created before
    /// HBASE-13776, is read and written, but not created.
    #[must_use]
    pub fn min_versions(mut self, versions: u32) -> Self {
        self.min_versions = versions;
        self
    }

    /// Sets the time after which a cell expires (TTL, default never), rounded up to whole seconds, HBase's
    /// unit. From [`i32::MAX`] seconds on cells never expire, as in HBase. A family with 0, whose cells
    /// expire at once, is read and written, but not created.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        let seconds = ttl.as_secs().saturating_add(u64::from(ttl.subsec_nanos() > 0));
        self.ttl = u32::try_from(seconds).ok().filter(|&seconds| seconds < i32::MAX.unsigned_abs());
        self
    }

    /// Sets whether cells hidden by delete markers are kept (KEEP_DELETED_CELLS, default no).
    #[must_use]
    pub fn keep_deleted_cells(mut self, keep: KeepDeletedCells) -> Self {
        self.keep_deleted_cells = keep;
        self
    }

    /// Sets whether a delete marker hides only cells written before it (NEW_VERSION_BEHAVIOR, default no).
    ///
    /// Every write is then kept until a major compaction, also of the same column and timestamp. A file has
    /// these in one block, because readers look for a key in one block. If they take more than
    /// [`Limits::block_bytes`](crate::Limits::block_bytes), a flush writes several files, and a minor
    /// compaction of these fails; a [major one](crate::Compaction::Major) needs room only for those that it
    /// keeps.
    #[must_use]
    pub fn new_version_behavior(mut self, new: bool) -> Self {
        self.new_version_behavior = new;
        self
    }

    /// Sets the Bloom filter of the family's files (BLOOMFILTER, default row keys; `None` for no filter).
    #[must_use]
    pub fn bloom(mut self, bloom: impl Into<Option<BloomType>>) -> Self {
        self.bloom = bloom.into();
        self
    }

    /// Sets the encoding of cells in the data blocks of the family's files (DATA_BLOCK_ENCODING, default
    /// none).
    #[must_use]
    pub fn data_block_encoding(mut self, encoding: DataBlockEncoding) -> Self {
        self.data_block_encoding = encoding;
        self
    }

    /// Sets the compression of the blocks of the family's files (COMPRESSION, default none).
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Sets the number of bytes of cells after which a block of the family's files ends (BLOCKSIZE, default
    /// 64 KiB). Families with 0, or with 2^31 or more, are refused when a region is opened for writing.
    #[must_use]
    pub fn block_size(mut self, bytes: u32) -> Self {
        self.block_size = bytes;
        self
    }

    /// Sets the encryption of the family's files (ENCRYPTION, default none).
    ///
    /// Flushes and compactions then need the cluster's master key
    /// ([`RegionOptions::master_key`](crate::RegionOptions::master_key)) and fail without it.
    #[must_use]
    pub fn encryption(mut self, cipher: impl Into<Option<Cipher>>) -> Self {
        self.encryption = cipher.into();
        self
    }

    /// Sets the data key of the family's files, wrapped with the cluster's master key (ENCRYPTION_KEY,
    /// default none: each file has a new random one). The bytes are those of the attribute: a delimited
    /// `WrappedKey` message (hfile.md §9).
    #[must_use]
    pub fn encryption_key(mut self, wrapped: impl Into<Bytes>) -> Self {
        self.encryption_key = Some(wrapped.into());
        self
    }

    /// Sets a configuration value by HBase's name, such as `hbase.hstore.compaction.min`, or removes it if
    /// the value is empty. Unknown names have no effect (HBase:
    /// `ColumnFamilyDescriptorBuilder.setConfiguration`). The settings of compactions are listed in
    /// read-path.md §21.
    #[must_use]
    pub fn configuration(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        let (key, value) = (key.into(), value.into());
        if value.is_empty() {
            self.configuration.remove(&key);
        } else {
            self.configuration.insert(key, value);
        }
        self
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Whether a delete marker hides only cells written before it (HBase: `isNewVersionBehavior`).
    #[must_use]
    pub fn has_new_version_behavior(&self) -> bool {
        self.new_version_behavior
    }

    /// Returns the time to live in milliseconds.
    pub(crate) fn ttl_millis(&self) -> Option<i64> {
        self.ttl.map(|seconds| i64::from(seconds) * 1000)
    }

    /// Returns the time to live in milliseconds after which no version is kept; `None` if some are kept
    /// forever (HBase: `HStore.getStoreFileTtl`).
    pub(crate) fn store_file_ttl(&self) -> Option<i64> {
        self.ttl_millis().filter(|_| self.min_versions == 0)
    }

    /// Validates the settings of a family that is created or changed (HBase: `TableDescriptorChecker`).
    pub(crate) fn check(&self) -> Result<()> {
        self.check_readable()?;
        let versions = self.max_versions;
        if self.min_versions > versions {
            return Err(Error::invalid_argument(format!(
                "a family keeps no fewer versions than MIN_VERSIONS: {versions} and {}",
                self.min_versions
            )));
        }
        if self.ttl == Some(0) {
            let name = StringBinary(&self.name);
            let message = format!("the cells of family {name} would expire at once: its TTL is 0 seconds");
            return Err(Error::invalid_argument(message));
        }
        Ok(())
    }

    /// Validates the settings that a family of a descriptor must have to be read. Before HBASE-13776, or with
    /// `hbase.table.sanity.checks` set to false, HBase created families with MIN_VERSIONS above VERSIONS, or
    /// with a TTL of 0. It reads them, and VERSIONS is the maximum number of versions.
    pub(crate) fn check_readable(&self) -> Result<()> {
        if !is_legal_name(&self.name) {
            return Err(Error::invalid_argument(format!(
                "the name of a family has 1 to {MAX_FAMILY_LEN} bytes, no colon, slash or control \
                 character, does not begin with a dot, and is not recovered.edits: {:?}",
                StringBinary(&self.name).to_string()
            )));
        }
        if self.max_versions == 0 {
            return Err(Error::invalid_argument("a family keeps at least 1 version"));
        }
        Ok(())
    }
}

/// Formats the family as HBase's shell does: `{NAME => 'f', …, VERSIONS => '1', …}` (HBase:
/// `ColumnFamilyDescriptor.toString`).
impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&FamilyDescription::from(self), f)
    }
}

/// Whether a family, and so its directory in a region, may have this name (hfile.md §15.1).
pub(crate) fn is_legal_name(name: &[u8]) -> bool {
    let legal = |c: char| !c.is_control() && !matches!(c, ':' | '/' | '\\');
    (1..=MAX_FAMILY_LEN).contains(&name.len())
        && std::str::from_utf8(name)
            .is_ok_and(|name| name.chars().all(legal) && !name.starts_with('.') && name != "recovered.edits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_shown_as_in_the_shell() {
        assert_eq!(
            Family::new("f").to_string(),
            "{NAME => 'f', INDEX_BLOCK_ENCODING => 'NONE', VERSIONS => '1', KEEP_DELETED_CELLS => 'FALSE', \
             DATA_BLOCK_ENCODING => 'NONE', TTL => 'FOREVER', MIN_VERSIONS => '0', REPLICATION_SCOPE => '0', \
             BLOOMFILTER => 'ROW', IN_MEMORY => 'false', COMPRESSION => 'NONE', BLOCKCACHE => 'true', \
             BLOCKSIZE => '65536 B (64KB)', METADATA => {'NEW_VERSION_BEHAVIOR' => 'false'}}"
        );
        let family = Family::new("f")
            .ttl(Duration::from_millis(4001))
            .new_version_behavior(true)
            .max_versions(u32::MAX);
        let family = family.bloom(BloomType::RowPrefixFixedLength(3)).to_string();
        assert!(
            family.contains("VERSIONS => '2147483647'") && family.contains("TTL => '5 SECONDS'"),
            "{family}"
        );
        assert!(family.contains("'RowPrefixBloomFilter.prefix_length' => '3'"), "{family}");
        assert!(family.contains("'NEW_VERSION_BEHAVIOR' => 'true'"), "{family}");
        for forever in [Duration::from_secs(i32::MAX.unsigned_abs().into()), Duration::MAX] {
            assert_eq!(Family::new("f").ttl(forever), Family::new("f"));
        }
        let family = Family::new("f").configuration("b", "2").configuration("a", "1");
        assert!(family.to_string().ends_with(", CONFIGURATION => {'a' => '1', 'b' => '2'}}"), "{family}");
        assert_eq!(family.configuration("a", "").configuration("b", ""), Family::new("f"));
        let family = Family::new("f").encryption(Cipher::Aes).encryption_key(b"\x10A\xff".as_slice());
        let shown = family.to_string();
        assert!(shown.starts_with("{NAME => 'f', ENCRYPTION => 'AES', INDEX_BLOCK_ENCODING"), "{shown}");
        assert!(
            shown.contains("MIN_VERSIONS => '0', ENCRYPTION_KEY => '\\x10A\\xFF', REPLICATION"),
            "{shown}"
        );
    }

    #[test]
    fn the_directory_of_edits_is_no_family() {
        let error = Family::new("recovered.edits").check_readable().unwrap_err().to_string();
        assert!(error.contains("and is not recovered.edits"), "{error}");
        Family::new("recovered.edit").check_readable().unwrap();
    }
}
