//! The options of a new file.

use super::HFileWriter;
use crate::binary::StringBinary;
use crate::block::codec::CompressorOptions;
use crate::block::{BloomHashType, ChecksumType, Codec, DataBlockEncoding};
use crate::cell::{CellFormat, CellOrder, MAX_ROW_LEN};
use crate::clock::{Clock, SystemClock};
use crate::error::{Error, Result};
use crate::hfile::Encryption;
use crate::hfile::bloom::BloomType;
use crate::hfile::bloom::writer::BloomSettings;
use crate::hfile::trailer::Version;
use crate::io::{FileWriter, LocalStorage, NewFile, Storage};
use crate::limits::Limits;
use crate::schema::Family;
use std::num::NonZeroU32;
use std::path::Path;
use std::sync::Arc;

/// Options for writing a file, created by [`HFileWriter::options`] (HBase: `HFileContext`,
/// `HFile.WriterFactory`). The defaults are HBase's (hfile.md §14.4).
#[derive(Clone, Debug)]
pub struct HFileWriterOptions {
    pub(super) version: Version,
    pub(super) order: CellOrder,
    pub(super) encoding: DataBlockEncoding,
    pub(super) codec: Codec,
    pub(super) compressor: CompressorOptions,
    pub(super) cells: CellFormat,
    pub(super) compress_tags: bool,
    pub(super) block_size: usize,
    pub(super) encoded_ratio: f32,
    pub(super) index_chunk_size: usize,
    pub(super) index_min_entries: usize,
    pub(super) bloom: Option<BloomType>,
    pub(super) bloom_settings: BloomSettings,
    /// Whether to add a filter of the rows with a marker that deletes a family, unless columns are filtered.
    pub(in crate::hfile) delete_family_bloom: bool,
    /// Whether to leave it out even in a file of a store.
    pub(in crate::hfile) no_delete_family_bloom: bool,
    /// Whether to leave out all filters, whatever the other options are.
    pub(super) no_filters: bool,
    pub(super) checksum: ChecksumType,
    pub(super) bytes_per_checksum: u32,
    pub(super) create_time: Option<i64>,
    pub(super) encryption: Option<Encryption>,
    pub(super) limits: Limits,
    /// The maximum length of the row and qualifier of a cell together.
    pub(super) max_key_len: usize,
    storage: Arc<dyn Storage>,
}

/// The length of a block header; HBase accepts no smaller value.
pub(crate) const MIN_BYTES_PER_CHECKSUM: u32 = 33;

impl HFileWriterOptions {
    pub(super) fn new() -> Self {
        Self {
            version: Version::V3_3,
            order: CellOrder::User,
            encoding: DataBlockEncoding::None,
            codec: Codec::None,
            compressor: CompressorOptions::default(),
            cells: CellFormat { tags: false, mvcc: true },
            compress_tags: false,
            block_size: 64 << 10,
            encoded_ratio: 0.0,
            index_chunk_size: 128 << 10,
            index_min_entries: 16,
            bloom: None,
            bloom_settings: BloomSettings {
                chunk_bytes: 128 << 10,
                error_rate: 0.01,
                hash: BloomHashType::Murmur,
            },
            delete_family_bloom: false,
            no_delete_family_bloom: false,
            no_filters: false,
            checksum: ChecksumType::Crc32c,
            bytes_per_checksum: 16 << 10,
            create_time: None,
            encryption: None,
            limits: Limits::default(),
            max_key_len: usize::MAX,
            storage: Arc::new(LocalStorage),
        }
    }

    /// Leaves out all Bloom filters, as in the regions of `hbase:meta`: HBase searches the filters of their
    /// files in the order of other tables, and would miss rows and deletes (hfile.md §12.1).
    pub(crate) fn without_filters(mut self) -> Self {
        self.no_filters = true;
        self
    }

    /// Leaves out the filter of the rows with a marker that deletes a family, which files of stores have.
    pub(crate) fn without_delete_family_bloom(mut self) -> Self {
        self.no_delete_family_bloom = true;
        self
    }

    /// Sets the properties of a family's files: encoding, codec, Bloom filter, size of blocks.
    pub(crate) fn family(self, family: &Family) -> Self {
        self.data_block_encoding(family.data_block_encoding)
            .codec(family.codec)
            .bloom(family.bloom)
            .block_size(family.block_size as usize)
    }

    /// Sets the encoding of the cells (default: none).
    #[must_use]
    pub fn data_block_encoding(mut self, encoding: DataBlockEncoding) -> Self {
        self.encoding = encoding;
        self
    }

    /// Sets the compression of the blocks (default: none).
    #[must_use]
    pub fn codec(mut self, codec: Codec) -> Self {
        self.codec = codec;
        self
    }

    /// Sets whether Zstandard frames get Hadoop's framing, as HBase's own codec classes read and write them
    /// (default: no; frames are bare, as with Hadoop's class, which is HBase's default). HBase cannot read
    /// one kind with the class for the other.
    #[must_use]
    pub fn zstd_framed(mut self, framed: bool) -> Self {
        self.compressor.zstd_framed = framed;
        self
    }

    /// Compresses by Zstandard with a dictionary. The file does not contain the dictionary; every reader
    /// needs it.
    #[must_use]
    pub fn zstd_dictionary(mut self, dictionary: impl Into<Arc<[u8]>>) -> Self {
        self.compressor.zstd_dictionary = Some(dictionary.into());
        self
    }

    /// Sets the type of the Bloom filter (default: none).
    #[must_use]
    pub fn bloom(mut self, bloom: impl Into<Option<BloomType>>) -> Self {
        self.bloom = bloom.into();
        self
    }

    /// Sets the size of a Bloom filter chunk in bytes: `io.storefile.bloom.block.size` (default: 128 KiB).
    #[must_use]
    pub fn bloom_chunk_bytes(mut self, bytes: usize) -> Self {
        self.bloom_settings.chunk_bytes = bytes;
        self
    }

    /// Sets the error rate of Bloom filters: `io.storefile.bloom.error.rate` (default: 0.01). Rates that
    /// HBase rounds to 0 are refused: for [`BloomType::RowCol`], those up to 2^-25.
    #[must_use]
    pub fn bloom_error_rate(mut self, rate: f32) -> Self {
        self.bloom_settings.error_rate = rate;
        self
    }

    /// Sets the hash function of Bloom filters: `hbase.hash.type` (default: murmur).
    #[must_use]
    pub fn bloom_hash(mut self, hash: BloomHashType) -> Self {
        self.bloom_settings.hash = hash;
        self
    }

    /// Sets the size at which a data block is complete: the bytes of its cells, encoded or plain (default: 64
    /// KiB).
    #[must_use]
    pub fn block_size(mut self, bytes: usize) -> Self {
        self.block_size = bytes;
        self
    }

    /// Sets the share of the block size at which a data block is complete, measured by its encoded cells
    /// only; 0 disables this rule: `hbase.writer.unified.encoded.blocksize.ratio` (default: 0).
    #[must_use]
    pub fn encoded_ratio(mut self, ratio: f32) -> Self {
        self.encoded_ratio = ratio;
        self
    }

    /// Sets the size in bytes at which an index block is complete: `hfile.index.block.max.size` (default: 128
    /// KiB).
    #[must_use]
    pub fn index_chunk_size(mut self, bytes: usize) -> Self {
        self.index_chunk_size = bytes;
        self
    }

    /// Sets the number of entries below which an index gets no more levels: `hfile.index.block.min.entries`
    /// (default: 16). A block that would come near the [limits](Self::limits) has fewer.
    #[must_use]
    pub fn index_min_entries(mut self, entries: usize) -> Self {
        self.index_min_entries = entries;
        self
    }

    /// Sets whether cells can have tags (default: no; a cell with tags is refused).
    #[must_use]
    pub fn tags(mut self, tags: bool) -> Self {
        self.cells.tags = tags;
        self
    }

    /// Sets whether the delta encodings write tags with a dictionary (default: no).
    #[must_use]
    pub fn compress_tags(mut self, compress: bool) -> Self {
        self.compress_tags = compress;
        self
    }

    /// Sets whether cells keep their sequence ids, which HBase also calls mvcc (default: yes). If not, they
    /// are read as 0.
    #[must_use]
    pub fn mvcc(mut self, mvcc: bool) -> Self {
        self.cells.mvcc = mvcc;
        self
    }

    /// Sets the type of checksums (default: CRC32C).
    #[must_use]
    pub fn checksum(mut self, checksum: ChecksumType) -> Self {
        self.checksum = checksum;
        self
    }

    /// Sets the number of bytes that one checksum covers, at least 33 (default: 16 KiB).
    #[must_use]
    pub fn bytes_per_checksum(mut self, bytes: u32) -> Self {
        self.bytes_per_checksum = bytes;
        self
    }

    /// Sets the encryption of the blocks (default: none). Needs the feature `crypto`.
    #[must_use]
    pub fn encryption(mut self, encryption: impl Into<Option<Encryption>>) -> Self {
        self.encryption = encryption.into();
        self
    }

    /// Sets the order of the cells (default: that of user tables).
    #[must_use]
    pub fn order(mut self, order: CellOrder) -> Self {
        self.order = order;
        self
    }

    /// Sets the creation time recorded in the file, in milliseconds (default: now). Must be given on a system
    /// without a clock (`wasm32-unknown-unknown`).
    #[must_use]
    pub fn create_time(mut self, millis: i64) -> Self {
        self.create_time = Some(millis);
        self
    }

    /// Writes version 2.3 of the format, of HBase 0.96 to 1.x, which does not support tags (default: 3.3).
    #[must_use]
    pub fn version_2(mut self) -> Self {
        self.version = Version::V2_3;
        self
    }

    /// Sets the maximum size of a block: a cell that needs more is refused, as readers with these limits
    /// would refuse it, and so is a file whose keys are too long for its index or its metadata. Cells share a
    /// block only up to half of that size, which also limits the blocks of the index and of the Bloom
    /// filters; half of what is read when a file is opened limits those of the index, too, unless the index
    /// has as many levels as the limits allow.
    #[must_use]
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the maximum length of the row and qualifier of a cell together (default: none).
    pub(crate) fn max_key_len(mut self, bytes: usize) -> Self {
        self.max_key_len = bytes;
        self
    }

    /// Sets the storage that files are in (default: the local file system).
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = storage;
        self
    }

    /// Creates a file.
    ///
    /// It is written under a random hidden name in the same directory, and gets its own name when it is
    /// [finished](HFileWriter::finish).
    ///
    /// # Errors
    ///
    /// If the file cannot be created, or the options are invalid.
    pub fn create(self, path: impl AsRef<Path>) -> Result<HFileWriter> {
        self.check()?;
        let file = NewFile::create(&self.storage, path.as_ref())?;
        HFileWriter::new(file, self)
    }

    /// Creates a file in any [`FileWriter`]. The caller owns its name, and its removal after a failure.
    ///
    /// # Errors
    ///
    /// If the options are invalid.
    pub fn create_in(self, file: Box<dyn FileWriter>) -> Result<HFileWriter> {
        self.check()?;
        HFileWriter::new(NewFile::from_writer(file), self)
    }

    /// Checks that files of a family, with further options, can be written.
    ///
    /// # Errors
    ///
    /// If this build does not have the family's codec, or one of its settings is invalid.
    pub(crate) fn check_family(family: &Family, add: impl FnOnce(Self) -> Self) -> Result<()> {
        let name = StringBinary(family.name());
        let options = add(Self::new().family(family).create_time(0));
        options
            .codec
            .require()
            .map_err(|corruption| Error::not_supported(format!("a file of family {name}: {corruption}")))?;
        if i32::try_from(family.block_size).is_err() {
            let message = format!("family {name}: the size of a block is at most {}", i32::MAX);
            return Err(Error::invalid_argument(message));
        }
        options
            .check()
            .map_err(|error| Error::invalid_argument(format!("family {name}: {}", error.message())))
    }

    /// Fails if the options are invalid.
    fn check(&self) -> Result<()> {
        let refuse = |message: &'static str| Err(Error::invalid_argument(message));
        if self.create_time.is_none() {
            Error::if_no_clock("a file without a given creation time")?;
        }
        if self.version == Version::V2_3 && self.cells.tags {
            return refuse("files of version 2 have no tags");
        }
        if let Some(encryption) = &self.encryption {
            encryption.check()?;
            if self.version == Version::V2_3 {
                return refuse("files of version 2 are not encrypted");
            }
        }
        if self.bytes_per_checksum < MIN_BYTES_PER_CHECKSUM || i32::try_from(self.bytes_per_checksum).is_err()
        {
            return refuse("the bytes that a checksum covers: 33 to 2147483647");
        }
        if self.block_size == 0 || self.index_chunk_size == 0 {
            return refuse("the size of a block: at least 1");
        }
        if self.index_min_entries == 0 {
            return refuse("the entries of an index block: at least 1");
        }
        if !self.encoded_ratio.is_finite() || self.encoded_ratio < 0.0 {
            return refuse("the ratio of encoded to plain size: not negative");
        }
        // As HBase's writers do (`BloomFilterUtil.getBloomFilterParam`).
        if let Some(BloomType::RowPrefixFixedLength(len)) = self.bloom
            && !usize::try_from(len).is_ok_and(|len| (1..=MAX_ROW_LEN).contains(&len))
        {
            return refuse("the prefix of a Bloom filter of prefixes: 1 to 32767 bytes");
        }
        // A delete-family filter has rows as keys.
        self.bloom_settings.check(self.bloom.unwrap_or(BloomType::Row))
    }

    /// Returns the encoded size in bytes at which a data block is complete whatever its plain size;
    /// `None` without this rule.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "truncated as HBase does")]
    #[expect(clippy::cast_precision_loss, reason = "HBase computes it in 32 bits")]
    pub(super) fn encoded_limit(&self) -> Option<usize> {
        Some((self.block_size as f32 * self.encoded_ratio) as usize).filter(|&limit| limit > 0)
    }

    /// Returns half of the maximum size of a block in bytes, at least 1.
    #[inline]
    pub(super) fn half_of_limit(&self) -> usize {
        (self.limits.block_bytes / 2).max(1)
    }

    /// Returns the size in bytes at which a block of the index is complete. The root is read when the file is
    /// opened, together with the file info and others.
    pub(super) fn index_chunk(&self) -> usize {
        let most_of_root = (self.limits.load_on_open_bytes / 2).max(1);
        self.index_chunk_size.min(self.half_of_limit()).min(most_of_root)
    }

    /// Returns the maximum size in bytes of a block above the leaves with more than two entries, or of a root
    /// with more than one, whatever the minimum number of its entries. The rest of the limits is for what
    /// else is read with a root.
    pub(super) fn most_of_index_block(&self) -> usize {
        let most = self.limits.block_bytes.min(self.limits.load_on_open_bytes);
        (most - most / 4).max(1)
    }

    pub(super) fn checksum_chunk(&self) -> NonZeroU32 {
        NonZeroU32::new(self.bytes_per_checksum).unwrap_or(NonZeroU32::MIN)
    }

    /// Returns the creation time to record in the file.
    pub(super) fn time(&self) -> i64 {
        self.create_time.unwrap_or_else(|| SystemClock.now())
    }
}
