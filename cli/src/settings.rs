//! The settings for writing an HFile, shared by `write`, `convert` and `bulkload`, with HBase's names.

use crate::failure::CommandError;
use crate::new_file::OutputStorage;
use crate::output::Output;
use clap::ValueEnum;
use hregion::cell::from_string_binary;
use hregion::{
    BloomHashType, BloomType, CellOrder, ChecksumType, Codec, DataBlockEncoding, Encryption, HFile,
    HFileWriter, HFileWriterOptions, StoreFileOrigin,
};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Settings of a file; `None` if not given.
#[derive(clap::Args, Clone, Debug, Default)]
#[command(next_help_heading = "HFile settings")]
pub(crate) struct Settings {
    /// Kind of HFile to write [default: store; convert: hfile if no input is a store file]
    #[arg(long, value_name = "KIND")]
    pub(crate) writer: Option<WriterKind>,

    /// Data block encoding: NONE, PREFIX, DIFF, FAST_DIFF or ROW_INDEX_V1 [default: NONE; convert: as in the
    /// first file]
    #[arg(long, value_name = "NAME", value_parser = encoding)]
    pub(crate) encoding: Option<DataBlockEncoding>,

    /// Block compression: NONE, GZ, SNAPPY, LZ4, ZSTD, LZO, BZIP2, LZMA or BROTLI [default: NONE; convert: as
    /// in the first file]
    #[arg(long, value_name = "NAME", value_parser = compression)]
    pub(crate) compression: Option<Codec>,

    /// Block encryption [default: NONE; convert: AES if an input file is encrypted]
    #[arg(long, value_name = "CIPHER")]
    pub(crate) encryption: Option<FileCipher>,

    /// Codec class in HBase's configuration, for ZSTD [default: Hadoop's; convert: as in the first file]
    ///
    /// Hadoop's class writes bare frames, HBase's classes add framing.
    #[arg(long, value_name = "CLASS")]
    codec: Option<String>,

    /// Bloom filter: NONE, ROW, ROWCOL or ROWPREFIX_FIXED_LENGTH:n [default: NONE; bulkload: ROW; convert: as
    /// in the first file]
    #[arg(long, value_name = "TYPE", value_parser = Bloom::parse)]
    pub(crate) bloom: Option<Bloom>,

    /// Maximum size of a Bloom filter chunk, with suffix K, M or G [default: 128K]
    #[arg(long, value_name = "BYTES", value_parser = crate::args::parse_bytes)]
    bloom_chunk: Option<usize>,

    /// False positive rate of Bloom filters [default: 0.01]
    #[arg(long, value_name = "RATE")]
    bloom_error: Option<f32>,

    /// Hash function of Bloom filters: jenkins, murmur or murmur3 [default: murmur]
    #[arg(long, value_name = "NAME", value_parser = hash)]
    hash: Option<BloomHashType>,

    /// Size at which a data block is complete, with suffix K, M or G [default: 64K]
    #[arg(long, value_name = "BYTES", value_parser = crate::args::parse_bytes)]
    blocksize: Option<usize>,

    /// Size at which an index block is complete, with suffix K, M or G [default: 128K]
    #[arg(long, value_name = "BYTES", value_parser = crate::args::parse_bytes)]
    index_chunk: Option<usize>,

    /// Number of entries below which an index gets no further level [default: 16]
    #[arg(long, value_name = "N")]
    index_min_entries: Option<usize>,

    /// Ratio of the block size at which encoded cells complete a block; 0 for none [default: 0]
    #[arg(long, value_name = "RATIO")]
    encoded_ratio: Option<f32>,

    /// Keep the tags of cells [default: false; convert: whether any file has tags]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) tags: Option<bool>,

    /// Compress tags with a dictionary [default: false; convert: as in the first file]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    compress_tags: Option<bool>,

    /// Keep the sequence ids of cells [default: false; convert: whether any file has them]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) mvcc: Option<bool>,

    /// Checksum type: NULL, CRC32 or CRC32C [default: CRC32C]
    #[arg(long, value_name = "TYPE", value_parser = checksum)]
    checksum: Option<ChecksumType>,

    /// Number of bytes covered by a checksum [default: 16384]
    #[arg(long, value_name = "BYTES")]
    bytes_per_checksum: Option<u32>,

    /// Order of cells [default: cell; convert: as in the first file]
    #[arg(long, value_name = "ORDER")]
    comparator: Option<Comparator>,

    /// Greatest log sequence id in the file (MAX_SEQ_ID_KEY) [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) seqid: Option<i64>,

    /// Mark the file as the result of a major compaction (MAJOR_COMPACTION_KEY) [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(crate) major: Option<bool>,

    /// Write the file for a bulk load, without a sequence id, and with its time and task
    #[arg(long)]
    pub(crate) bulkload: bool,

    /// Time recorded for the bulk load, in milliseconds [default: now]
    #[arg(long, value_name = "MILLIS", allow_negative_numbers = true)]
    bulkload_time: Option<i64>,

    /// Keep the sequence ids of the cells in a bulk load
    #[arg(long)]
    pub(crate) skip_reset_seqid: bool,

    /// Exclude the bulk-loaded file from minor compactions
    #[arg(long)]
    exclude_minor: bool,

    /// Meta block of a plain file; bytes as \xHH; may be repeated
    #[arg(long = "meta-block", value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) meta_blocks: Vec<Pair>,

    /// Entry of the file info; bytes as \xHH; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) info: Vec<Pair>,

    /// Creation time recorded in the file, in milliseconds [default: now]
    #[arg(long, value_name = "MILLIS", allow_negative_numbers = true)]
    create_time: Option<i64>,

    /// Setting of HBase, hbase.io.compress.NAME.codec, with a class as for --codec
    #[arg(long, value_name = "KEY=VALUE", value_parser = codec_class, hide = true)]
    conf: Vec<String>,
}

/// The kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum WriterKind {
    /// Store file, with Bloom filters and the metadata of stores
    Store,
    /// Plain HFile
    Hfile,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Comparator {
    /// Order of tables
    Cell,
    /// Order of hbase:meta
    Meta,
}

/// A cipher, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileCipher {
    /// No encryption
    #[value(name = "NONE")]
    None,
    /// AES, with a new data key wrapped by the master key
    #[value(name = "AES")]
    Aes,
}

/// A Bloom filter, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bloom(pub(crate) Option<BloomType>);

/// A name and its value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

pub(crate) const SOURCE_TASK: &[u8] = b"attempt_0_0001_r_000000_0";
/// The class that writes bare frames, and its substitute for systems without the native library.
const BARE_ZSTD: [&str; 2] = ["org.apache.hadoop.io.compress.ZStandardCodec", "hregion.oracle.BareZstdCodec"];
/// HBase's own classes, which add framing.
const FRAMED_ZSTD: [&str; 2] = [
    "org.apache.hadoop.hbase.io.compress.aircompressor.ZstdCodec",
    "org.apache.hadoop.hbase.io.compress.zstd.ZstdCodec",
];

impl Settings {
    /// Fills in missing settings from the files that are converted.
    pub(crate) fn or_of(mut self, files: &[HFile]) -> Result<Self, CommandError> {
        let Some(first) = files.first() else { return Ok(self) };
        let info = first.file_info();
        let known = |corruption: hregion::Corruption| CommandError::from(corruption.at(first.path(), 0));
        let is_store = files.iter().any(|file| file.file_info().get(b"TIMERANGE").is_some());
        let kind = if is_store { WriterKind::Store } else { WriterKind::Hfile };
        self.writer.get_or_insert(kind);
        self.encoding.get_or_insert_with(|| first.data_block_encoding());
        self.compression.get_or_insert_with(|| first.codec());
        let encrypted = files.iter().any(|file| file.trailer().is_encrypted());
        self.encryption.get_or_insert(if encrypted { FileCipher::Aes } else { FileCipher::None });
        self.tags.get_or_insert_with(|| files.iter().any(HFile::has_tags));
        self.mvcc.get_or_insert_with(|| files.iter().any(HFile::has_seq_ids));
        if self.compress_tags.is_none() {
            self.compress_tags = info.tags_compressed().map_err(known)?;
        }
        if self.bloom.is_none() {
            let bloom = first.general_bloom().map(|bloom| bloom.bloom_type());
            self.bloom = Some(Bloom(bloom.filter(|_| self.writer_kind() == WriterKind::Store)));
        }
        // HBase can read a file only with the class that wrote it
        let is_zstd = self.compression == Some(Codec::Zstd);
        if is_zstd && self.codec.is_none() && self.conf.is_empty() && first.zstd_framed()? == Some(true) {
            self.codec = Some(FRAMED_ZSTD[0].to_owned());
        }
        if self.comparator.is_none() && first.order() == Some(CellOrder::Meta) {
            self.comparator = Some(Comparator::Meta);
        }
        Ok(self)
    }

    /// Returns the first setting of an HFile that is given; `--encryption` also applies to lists.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let Self {
            writer,
            encoding,
            compression,
            encryption: _,
            codec,
            bloom,
            bloom_chunk,
            bloom_error,
            hash,
            blocksize,
            index_chunk,
            index_min_entries,
            encoded_ratio,
            tags,
            compress_tags,
            mvcc,
            checksum,
            bytes_per_checksum,
            comparator,
            seqid,
            major,
            bulkload,
            bulkload_time,
            skip_reset_seqid,
            exclude_minor,
            meta_blocks,
            info,
            create_time,
            conf,
        } = self;
        let given = [
            ("--writer", writer.is_some()),
            ("--encoding", encoding.is_some()),
            ("--compression", compression.is_some()),
            ("--codec", codec.is_some()),
            ("--bloom", bloom.is_some()),
            ("--bloom-chunk", bloom_chunk.is_some()),
            ("--bloom-error", bloom_error.is_some()),
            ("--hash", hash.is_some()),
            ("--blocksize", blocksize.is_some()),
            ("--index-chunk", index_chunk.is_some()),
            ("--index-min-entries", index_min_entries.is_some()),
            ("--encoded-ratio", encoded_ratio.is_some()),
            ("--tags", tags.is_some()),
            ("--compress-tags", compress_tags.is_some()),
            ("--mvcc", mvcc.is_some()),
            ("--checksum", checksum.is_some()),
            ("--bytes-per-checksum", bytes_per_checksum.is_some()),
            ("--comparator", comparator.is_some()),
            ("--seqid", seqid.is_some()),
            ("--major", major.is_some()),
            ("--bulkload", *bulkload),
            ("--bulkload-time", bulkload_time.is_some()),
            ("--skip-reset-seqid", *skip_reset_seqid),
            ("--exclude-minor", *exclude_minor),
            ("--meta-block", !meta_blocks.is_empty()),
            ("--info", !info.is_empty()),
            ("--create-time", create_time.is_some()),
            ("--conf", !conf.is_empty()),
        ];
        given.into_iter().find_map(|(name, is_given)| is_given.then_some(name))
    }

    pub(crate) fn writer_kind(&self) -> WriterKind {
        self.writer.unwrap_or(WriterKind::Store)
    }

    /// Returns the order of the cells.
    pub(crate) fn order(&self) -> CellOrder {
        match self.comparator {
            None | Some(Comparator::Cell) => CellOrder::User,
            Some(Comparator::Meta) => CellOrder::Meta,
        }
    }

    /// Returns the encryption with the given master key; `None` if files are not encrypted.
    pub(crate) fn encryption(&self, master_key: Option<Vec<u8>>) -> Result<Option<Encryption>, CommandError> {
        match (self.encryption, master_key) {
            (None | Some(FileCipher::None), _) => Ok(None),
            (Some(FileCipher::Aes), Some(key)) => Ok(Some(Encryption::aes(key))),
            (Some(FileCipher::Aes), None) => {
                Err(CommandError::usage("--encryption AES: the master key of the cluster is missing")
                    .with_hint(Some("use --master-key-file")))
            }
        }
    }

    /// Builds the library's options.
    pub(crate) fn options(
        &self,
        zstd_dictionary: Option<&PathBuf>,
        encryption: Option<Encryption>,
        replace: bool,
    ) -> Result<HFileWriterOptions, CommandError> {
        if zstd_dictionary.is_some() && self.compression != Some(Codec::Zstd) {
            return Err(CommandError::usage("a Zstandard dictionary needs --compression ZSTD"));
        }
        let mut options = HFileWriter::options()
            .encryption(encryption)
            .storage(OutputStorage::shared(replace))
            .order(self.order())
            .zstd_framed(self.zstd_framed(zstd_dictionary.is_some())?)
            .tags(self.tags.unwrap_or(false))
            .compress_tags(self.compress_tags.unwrap_or(false))
            .mvcc(self.mvcc.unwrap_or(false))
            .bloom(self.bloom.and_then(|bloom| bloom.0));
        if let Some(path) = zstd_dictionary {
            options = options.zstd_dictionary(crate::args::read_small(path)?);
        }
        options = set(options, self.encoding, HFileWriterOptions::data_block_encoding);
        options = set(options, self.compression, HFileWriterOptions::codec);
        options = set(options, self.bloom_chunk, HFileWriterOptions::bloom_chunk_bytes);
        options = set(options, self.bloom_error, HFileWriterOptions::bloom_error_rate);
        options = set(options, self.hash, HFileWriterOptions::bloom_hash);
        options = set(options, self.blocksize, HFileWriterOptions::block_size);
        options = set(options, self.index_chunk, HFileWriterOptions::index_chunk_size);
        options = set(options, self.index_min_entries, HFileWriterOptions::index_min_entries);
        options = set(options, self.encoded_ratio, HFileWriterOptions::encoded_ratio);
        options = set(options, self.checksum, HFileWriterOptions::checksum);
        options = set(options, self.bytes_per_checksum, HFileWriterOptions::bytes_per_checksum);
        Ok(set(options, self.create_time, HFileWriterOptions::create_time))
    }

    /// Returns the origin recorded in a store file; `None` for a plain file.
    pub(crate) fn origin(&self) -> Option<StoreFileOrigin> {
        match self.writer_kind() {
            WriterKind::Hfile => None,
            WriterKind::Store if self.bulkload => Some(StoreFileOrigin::BulkLoad {
                timestamp: self.bulkload_time.unwrap_or_else(now),
                source_task: SOURCE_TASK.to_vec(),
                exclude_from_minor_compaction: self.exclude_minor,
                skip_reset_seq_id: self.skip_reset_seqid,
            }),
            WriterKind::Store => Some(StoreFileOrigin::Store {
                max_seq_id: self.seqid.unwrap_or(1),
                major_compaction: self.major.unwrap_or(false),
                compacted: Vec::new(),
            }),
        }
    }

    /// Returns the entries of a bulk load in the file info of a plain file. Those of a store file follow from
    /// its [`origin`](Self::origin).
    pub(crate) fn load_info(&self) -> Vec<Pair> {
        if self.writer_kind() == WriterKind::Store || !self.bulkload {
            return Vec::new();
        }
        // as `Bytes.toBytes(boolean)`
        let flag = |flag: bool| vec![if flag { 0xFF } else { 0 }];
        let mut info: Vec<Pair> = vec![
            (b"BULKLOAD_TIMESTAMP".to_vec(), self.bulkload_time.unwrap_or_else(now).to_be_bytes().to_vec()),
            (b"BULKLOAD_SOURCE_TASK".to_vec(), SOURCE_TASK.to_vec()),
            (b"MAJOR_COMPACTION_KEY".to_vec(), flag(true)),
            (b"EXCLUDE_FROM_MINOR_COMPACTION".to_vec(), flag(self.exclude_minor)),
        ];
        if self.skip_reset_seqid {
            info.push((b"SKIP_RESET_SEQ_ID".to_vec(), flag(true)));
        }
        info
    }

    /// Warns of settings that have no effect on this kind of file. The file is written without them, as
    /// HBase's writers do.
    pub(crate) fn warn_of_unused(&self, out: &Output) {
        let store = self.writer_kind() == WriterKind::Store;
        let unused = [
            (
                "--bloom",
                !store && self.bloom.is_some_and(|bloom| bloom.0.is_some()),
                "a plain file has no filters",
            ),
            ("--bloom-chunk", !store && self.bloom_chunk.is_some(), "a plain file has no filters"),
            ("--bloom-error", !store && self.bloom_error.is_some(), "a plain file has no filters"),
            ("--hash", !store && self.hash.is_some(), "a plain file has no filters"),
            (
                "--codec",
                self.codec.is_some() && self.compression != Some(Codec::Zstd),
                "it needs --compression ZSTD",
            ),
            ("--meta-block", store && !self.meta_blocks.is_empty(), "it needs --writer hfile"),
            ("--seqid", (self.bulkload || !store) && self.seqid.is_some(), "the file has no sequence id"),
            ("--major", (self.bulkload || !store) && self.major.is_some(), "the file has no such entry"),
            ("--bulkload-time", !self.bulkload && self.bulkload_time.is_some(), "it needs --bulkload"),
            ("--skip-reset-seqid", !self.bulkload && self.skip_reset_seqid, "it needs --bulkload"),
            ("--exclude-minor", !self.bulkload && self.exclude_minor, "it needs --bulkload"),
        ];
        for (name, _, why) in unused.iter().filter(|(_, unused, _)| *unused) {
            out.warn(&format!("{name} has no effect: {why}"));
        }
    }

    /// Whether the frames of ZSTD get additional framing.
    fn zstd_framed(&self, with_dictionary: bool) -> Result<bool, CommandError> {
        let class = self.codec.iter().chain(&self.conf).next();
        match class.map(String::as_str) {
            // only HBase's own class supports dictionaries
            None => Ok(with_dictionary),
            Some(_) if self.compression != Some(Codec::Zstd) => Ok(false),
            Some(class) if BARE_ZSTD.contains(&class) => Ok(false),
            Some(class) if FRAMED_ZSTD.contains(&class) => Ok(true),
            Some(class) => Err(CommandError::usage(format!(
                "--codec: unknown class {class}; expected one of {}, {}",
                BARE_ZSTD[0],
                FRAMED_ZSTD.join(", ")
            ))),
        }
    }
}

fn set<T>(
    options: HFileWriterOptions,
    value: Option<T>,
    with: fn(HFileWriterOptions, T) -> HFileWriterOptions,
) -> HFileWriterOptions {
    match value {
        Some(value) => with(options, value),
        None => options,
    }
}

/// Returns the current time in milliseconds.
pub(crate) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl Bloom {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "NONE" => Ok(Self(None)),
            "ROW" => Ok(Self(Some(BloomType::Row))),
            "ROWCOL" => Ok(Self(Some(BloomType::RowCol))),
            _ => {
                let len = text.strip_prefix("ROWPREFIX_FIXED_LENGTH:").and_then(|len| len.parse().ok());
                let len = len.ok_or("expected NONE, ROW, ROWCOL or ROWPREFIX_FIXED_LENGTH:n")?;
                Ok(Self(Some(BloomType::RowPrefixFixedLength(len))))
            }
        }
    }
}

pub(crate) fn encoding(name: &str) -> Result<DataBlockEncoding, String> {
    one_of(name, DataBlockEncoding::ALL, DataBlockEncoding::name)
}

pub(crate) fn compression(name: &str) -> Result<Codec, String> {
    one_of(name, Codec::ALL, Codec::name)
}

fn hash(name: &str) -> Result<BloomHashType, String> {
    one_of(name, [BloomHashType::Jenkins, BloomHashType::Murmur, BloomHashType::Murmur3], BloomHashType::name)
}

fn checksum(name: &str) -> Result<ChecksumType, String> {
    one_of(name, [ChecksumType::Null, ChecksumType::Crc32, ChecksumType::Crc32c], ChecksumType::name)
}

fn one_of<T: Copy, const N: usize>(
    name: &str,
    all: [T; N],
    name_of: fn(T) -> &'static str,
) -> Result<T, String> {
    let found = all.into_iter().find(|&one| name_of(one) == name);
    found.ok_or_else(|| format!("expected one of {}", all.map(name_of).join(", ")))
}

fn pair(text: &str) -> Result<Pair, String> {
    let (name, value) = text.split_once('=').ok_or("expected NAME=VALUE")?;
    Ok((name.as_bytes().to_vec(), from_string_binary(value)))
}

fn codec_class(text: &str) -> Result<String, String> {
    let class = text.split_once('=').filter(|(key, _)| {
        let codec = key.strip_prefix("hbase.io.compress.").and_then(|key| key.strip_suffix(".codec"));
        codec.and_then(Codec::from_name).is_some()
    });
    class
        .map(|(_, class)| class.to_owned())
        .ok_or_else(|| "expected hbase.io.compress.NAME.codec=CLASS".into())
}

/// Fails if an HFile would be written to standard output.
pub(crate) fn check_not_stdout(path: &Path) -> Result<(), CommandError> {
    if path.as_os_str() == "-" {
        return Err(CommandError::usage("--out: an HFile cannot be written to standard output"));
    }
    Ok(())
}
