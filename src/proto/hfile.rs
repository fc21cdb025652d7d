//! The messages of an HFile (hfile.md §5.1, §9, §11; HBase: `HFile.proto`, `Encryption.proto`,
//! `HBase.proto`).
//!
//! Required fields are optional here, so that a message without them can be distinguished from one with
//! zeros.

/// The body of a trailer.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FileTrailerProto {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) file_info_offset: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) load_on_open_data_offset: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) uncompressed_data_index_size: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) total_uncompressed_bytes: Option<u64>,
    #[prost(uint32, optional, tag = "5")]
    pub(crate) data_index_count: Option<u32>,
    #[prost(uint32, optional, tag = "6")]
    pub(crate) meta_index_count: Option<u32>,
    #[prost(uint64, optional, tag = "7")]
    pub(crate) entry_count: Option<u64>,
    #[prost(uint32, optional, tag = "8")]
    pub(crate) num_data_index_levels: Option<u32>,
    #[prost(uint64, optional, tag = "9")]
    pub(crate) first_data_block_offset: Option<u64>,
    #[prost(uint64, optional, tag = "10")]
    pub(crate) last_data_block_offset: Option<u64>,
    #[prost(string, optional, tag = "11")]
    pub(crate) comparator_class_name: Option<String>,
    #[prost(uint32, optional, tag = "12")]
    pub(crate) compression_codec: Option<u32>,
    #[prost(bytes = "vec", optional, tag = "13")]
    pub(crate) encryption_key: Option<Vec<u8>>,
}

/// The file info.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FileInfoProto {
    #[prost(message, repeated, tag = "1")]
    pub(crate) map_entry: Vec<BytesBytesPair>,
}

/// A key of the file info and its value.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct BytesBytesPair {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) first: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) second: Option<Vec<u8>>,
}

/// The names of the files that were compacted into one.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct CompactionEventTracker {
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub(crate) compacted_store_file: Vec<Vec<u8>>,
}

/// The bounds of a file's timestamps, as HBase 2.0 and 2.1 wrote them.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct TimeRangeTracker {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) from: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) to: Option<u64>,
}
