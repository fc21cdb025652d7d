//! The messages of a region's directory, and those of `HBase.proto` that others contain (hfile.md §15; HBase:
//! `HBase.proto`, `FS.proto`, `StoreFileTracker.proto`).
//!
//! Required fields are optional here, so that a message without them can be distinguished from one with
//! zeros.

use super::hfile::BytesBytesPair;

/// The table of a region.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct TableName {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) namespace: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub(crate) qualifier: Option<Vec<u8>>,
}

/// The identity of a server.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct ServerName {
    #[prost(string, optional, tag = "1")]
    pub(crate) host_name: Option<String>,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) port: Option<u32>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) start_code: Option<u64>,
}

/// The identity and state of a region.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct RegionInfo {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) region_id: Option<u64>,
    #[prost(message, optional, tag = "2")]
    pub(crate) table_name: Option<TableName>,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub(crate) start_key: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub(crate) end_key: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "5")]
    pub(crate) offline: Option<bool>,
    #[prost(bool, optional, tag = "6")]
    pub(crate) split: Option<bool>,
    #[prost(int32, optional, tag = "7")]
    pub(crate) replica_id: Option<i32>,
}

/// The settings of a table.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TableSchema {
    #[prost(message, optional, tag = "1")]
    pub(crate) table_name: Option<TableName>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) attributes: Vec<BytesBytesPair>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) column_families: Vec<ColumnFamilySchema>,
    #[prost(message, repeated, tag = "4")]
    pub(crate) configuration: Vec<NameStringPair>,
}

/// The settings of a family.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ColumnFamilySchema {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) name: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) attributes: Vec<BytesBytesPair>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) configuration: Vec<NameStringPair>,
}

/// A setting.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct NameStringPair {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) value: Option<String>,
}

/// The half of a file that a reference covers: 0 the top, 1 the bottom.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct Reference {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub(crate) splitkey: Option<Vec<u8>>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) range: Option<i32>,
}

/// The files of a store.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StoreFileList {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) timestamp: Option<u64>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) store_file: Vec<StoreFileEntry>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) version: Option<u64>,
}

/// A file of a store.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct StoreFileEntry {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) size: Option<u64>,
    #[prost(message, optional, tag = "3")]
    pub(crate) reference: Option<Reference>,
}
