//! The reads and writes that clients send to servers (locator.md §8.3; HBase: `Client.proto`).

use super::filter::Filter;
use bytes::Bytes;

/// Columns of a family; without any, the whole family.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct Column {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) family: Option<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(crate) qualifier: Vec<Bytes>,
}

/// Timestamps in ms, `to` exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct TimeRange {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) from: Option<u64>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) to: Option<u64>,
}

/// The timestamps to read in a family.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct ColumnFamilyTimeRange {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) column_family: Option<Bytes>,
    #[prost(message, optional, tag = "2")]
    pub(crate) time_range: Option<TimeRange>,
}

/// An attribute of a read or write.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct NameBytesPair {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) value: Option<Bytes>,
}

/// A read of one row.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct Get {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) row: Option<Bytes>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) column: Vec<Column>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) attribute: Vec<NameBytesPair>,
    #[prost(message, optional, tag = "4")]
    pub(crate) filter: Option<Filter>,
    #[prost(message, optional, tag = "5")]
    pub(crate) time_range: Option<TimeRange>,
    #[prost(uint32, optional, tag = "6")]
    pub(crate) max_versions: Option<u32>,
    #[prost(bool, optional, tag = "7")]
    pub(crate) cache_blocks: Option<bool>,
    #[prost(uint32, optional, tag = "8")]
    pub(crate) store_limit: Option<u32>,
    #[prost(uint32, optional, tag = "9")]
    pub(crate) store_offset: Option<u32>,
    /// 1 for timeline.
    #[prost(int32, optional, tag = "12")]
    pub(crate) consistency: Option<i32>,
    #[prost(message, repeated, tag = "13")]
    pub(crate) cf_time_range: Vec<ColumnFamilyTimeRange>,
    #[prost(bool, optional, tag = "14")]
    pub(crate) load_column_families_on_demand: Option<bool>,
}

/// A read of a range of rows.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct Scan {
    #[prost(message, repeated, tag = "1")]
    pub(crate) column: Vec<Column>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) attribute: Vec<NameBytesPair>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) start_row: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub(crate) stop_row: Option<Bytes>,
    #[prost(message, optional, tag = "5")]
    pub(crate) filter: Option<Filter>,
    #[prost(message, optional, tag = "6")]
    pub(crate) time_range: Option<TimeRange>,
    #[prost(uint32, optional, tag = "7")]
    pub(crate) max_versions: Option<u32>,
    #[prost(bool, optional, tag = "8")]
    pub(crate) cache_blocks: Option<bool>,
    #[prost(uint32, optional, tag = "9")]
    pub(crate) batch_size: Option<u32>,
    #[prost(uint64, optional, tag = "10")]
    pub(crate) max_result_size: Option<u64>,
    #[prost(uint32, optional, tag = "11")]
    pub(crate) store_limit: Option<u32>,
    #[prost(uint32, optional, tag = "12")]
    pub(crate) store_offset: Option<u32>,
    #[prost(bool, optional, tag = "13")]
    pub(crate) load_column_families_on_demand: Option<bool>,
    #[prost(bool, optional, tag = "15")]
    pub(crate) reversed: Option<bool>,
    /// 1 for timeline.
    #[prost(int32, optional, tag = "16")]
    pub(crate) consistency: Option<i32>,
    #[prost(bool, optional, tag = "18")]
    pub(crate) allow_partial_results: Option<bool>,
    #[prost(message, repeated, tag = "19")]
    pub(crate) cf_time_range: Vec<ColumnFamilyTimeRange>,
    #[prost(bool, optional, tag = "21")]
    pub(crate) include_start_row: Option<bool>,
    #[prost(bool, optional, tag = "22")]
    pub(crate) include_stop_row: Option<bool>,
}

/// A write of one row.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct MutationProto {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) row: Option<Bytes>,
    /// 0 append, 1 increment, 2 put, 3 delete.
    #[prost(int32, optional, tag = "2")]
    pub(crate) mutate_type: Option<i32>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) column_value: Vec<ColumnValue>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) timestamp: Option<u64>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) attribute: Vec<NameBytesPair>,
    /// The number of the durability, in HBase's order.
    #[prost(int32, optional, tag = "6")]
    pub(crate) durability: Option<i32>,
    #[prost(message, optional, tag = "7")]
    pub(crate) time_range: Option<TimeRange>,
    #[prost(uint64, optional, tag = "9")]
    pub(crate) nonce: Option<u64>,
}

/// Values or delete markers of one family.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct ColumnValue {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) family: Option<Bytes>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) qualifier_value: Vec<QualifierValue>,
}

/// A value or delete marker.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct QualifierValue {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) qualifier: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) value: Option<Bytes>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) timestamp: Option<u64>,
    /// 0 one version, 1 all versions of the column, 2 the family, 3 the family at one timestamp.
    #[prost(int32, optional, tag = "4")]
    pub(crate) delete_type: Option<i32>,
}

/// The condition of a conditional write.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct Condition {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) row: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) family: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) qualifier: Option<Bytes>,
    #[prost(int32, optional, tag = "4")]
    pub(crate) compare_type: Option<i32>,
    #[prost(message, optional, tag = "5")]
    pub(crate) comparator: Option<Filter>,
    #[prost(message, optional, tag = "6")]
    pub(crate) time_range: Option<TimeRange>,
    #[prost(message, optional, tag = "7")]
    pub(crate) filter: Option<Filter>,
}
