//! The messages of a write-ahead log (wal.md §2, §3, §7; HBase: `WAL.proto`).
//!
//! Required fields are optional here, so that a message without them can be distinguished from one with
//! zeros.

use super::region::{ServerName, TableName};

/// The message at the start of a log.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct WALHeader {
    #[prost(bool, optional, tag = "1")]
    pub(crate) has_compression: Option<bool>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) encryption_key: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    pub(crate) has_tag_compression: Option<bool>,
    #[prost(string, optional, tag = "4")]
    pub(crate) writer_cls_name: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub(crate) cell_codec_cls_name: Option<String>,
    #[prost(bool, optional, tag = "6")]
    pub(crate) has_value_compression: Option<bool>,
    /// An ordinal of `Compression.Algorithm`.
    #[prost(uint32, optional, tag = "7")]
    pub(crate) value_compression_algorithm: Option<u32>,
    /// Not HBase's: the id of the log and a checksum (wal.md §16). Other readers skip it.
    #[prost(bytes = "vec", optional, tag = "1000")]
    pub(crate) hregion_seal: Option<Vec<u8>>,
}

/// The message at the end of a log that was closed. It has no fields.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct WALTrailer {}

/// The key of an entry.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct WALKey {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) encoded_region_name: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) table_name: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) log_sequence_number: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) write_time: Option<u64>,
    /// Obsolete: an only cluster id.
    #[prost(message, optional, tag = "5")]
    pub(crate) cluster_id: Option<Uuid>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) scopes: Vec<FamilyScope>,
    #[prost(uint32, optional, tag = "7")]
    pub(crate) following_kv_count: Option<u32>,
    #[prost(message, repeated, tag = "8")]
    pub(crate) cluster_ids: Vec<Uuid>,
    #[prost(uint64, optional, tag = "9")]
    pub(crate) nonce_group: Option<u64>,
    #[prost(uint64, optional, tag = "10")]
    pub(crate) nonce: Option<u64>,
    #[prost(uint64, optional, tag = "11")]
    pub(crate) orig_sequence_number: Option<u64>,
    #[prost(message, repeated, tag = "12")]
    pub(crate) extended_attributes: Vec<Attribute>,
}

/// A UUID.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct Uuid {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) least_sig_bits: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) most_sig_bits: Option<u64>,
}

/// The replication scope of a family.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct FamilyScope {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) family: Option<Vec<u8>>,
    /// A number of `ScopeType`.
    #[prost(int32, optional, tag = "2")]
    pub(crate) scope_type: Option<i32>,
}

/// An attribute of a key.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct Attribute {
    #[prost(string, optional, tag = "1")]
    pub(crate) key: Option<String>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) value: Option<Vec<u8>>,
}

/// A flush: its start, its success or its failure.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct FlushDescriptor {
    /// A number of `FlushAction`.
    #[prost(int32, optional, tag = "1")]
    pub(crate) action: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) table_name: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) encoded_region_name: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) flush_sequence_number: Option<u64>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) store_flushes: Vec<StoreFlushDescriptor>,
    #[prost(bytes = "vec", optional, tag = "6")]
    pub(crate) region_name: Option<Vec<u8>>,
}

/// The files that a flush made of a family.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct StoreFlushDescriptor {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) family_name: Option<Vec<u8>>,
    #[prost(string, optional, tag = "2")]
    pub(crate) store_home_dir: Option<String>,
    #[prost(string, repeated, tag = "3")]
    pub(crate) flush_output: Vec<String>,
}

/// A compaction: which files it replaced with which.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct CompactionDescriptor {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) table_name: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) encoded_region_name: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) family_name: Option<Vec<u8>>,
    #[prost(string, repeated, tag = "4")]
    pub(crate) compaction_input: Vec<String>,
    #[prost(string, repeated, tag = "5")]
    pub(crate) compaction_output: Vec<String>,
    #[prost(string, optional, tag = "6")]
    pub(crate) store_home_dir: Option<String>,
    #[prost(bytes = "vec", optional, tag = "7")]
    pub(crate) region_name: Option<Vec<u8>>,
}

/// The files of a family.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct StoreDescriptor {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) family_name: Option<Vec<u8>>,
    #[prost(string, optional, tag = "2")]
    pub(crate) store_home_dir: Option<String>,
    #[prost(string, repeated, tag = "3")]
    pub(crate) store_file: Vec<String>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) store_file_size_bytes: Option<u64>,
}

/// A bulk load.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct BulkLoadDescriptor {
    #[prost(message, optional, tag = "1")]
    pub(crate) table_name: Option<TableName>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) encoded_region_name: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) stores: Vec<StoreDescriptor>,
    #[prost(int64, optional, tag = "4")]
    pub(crate) bulkload_seq_num: Option<i64>,
    #[prost(string, repeated, tag = "5")]
    pub(crate) cluster_ids: Vec<String>,
    #[prost(bool, optional, tag = "6")]
    pub(crate) replicate: Option<bool>,
}

/// The opening or closing of a region.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct RegionEventDescriptor {
    /// A number of `EventType`.
    #[prost(int32, optional, tag = "1")]
    pub(crate) event_type: Option<i32>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) table_name: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) encoded_region_name: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) log_sequence_number: Option<u64>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) stores: Vec<StoreDescriptor>,
    #[prost(message, optional, tag = "6")]
    pub(crate) server: Option<ServerName>,
    #[prost(bytes = "vec", optional, tag = "7")]
    pub(crate) region_name: Option<Vec<u8>>,
}
