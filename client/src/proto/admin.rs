//! The messages of administration (HBase: `Master.proto`, `Admin.proto`, `Snapshot.proto`).

use super::{RegionSpecifier, TableNameMessage};
use bytes::Bytes;
use hregion::TableName;

impl TableNameMessage {
    pub(crate) fn of(table: &TableName) -> Self {
        let part = |text: &str| Some(Bytes::copy_from_slice(text.as_bytes()));
        Self { namespace: part(table.namespace()), qualifier: part(table.qualifier()) }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetTableNamesResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) table_names: Vec<TableNameMessage>,
}

/// A `DeleteTableRequest`, `EnableTableRequest` or `DisableTableRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TableRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) table_name: Option<TableNameMessage>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) nonce_group: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) nonce: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CreateTableRequest {
    /// A `TableSchema`.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) table_schema: Option<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(crate) split_keys: Vec<Bytes>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) nonce_group: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) nonce: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ModifyTableRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) table_name: Option<TableNameMessage>,
    /// A `TableSchema`.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) table_schema: Option<Bytes>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) nonce_group: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) nonce: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TruncateTableRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) table_name: Option<TableNameMessage>,
    #[prost(bool, optional, tag = "2")]
    pub(crate) preserve_splits: Option<bool>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) nonce_group: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) nonce: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SplitTableRegionRequest {
    /// A `RegionInfo`.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) region_info: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) split_row: Option<Bytes>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) nonce_group: Option<u64>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) nonce: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MergeTableRegionsRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) region: Vec<RegionSpecifier>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) nonce_group: Option<u64>,
    #[prost(uint64, optional, tag = "5")]
    pub(crate) nonce: Option<u64>,
}

/// The answer to all requests that start a procedure.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ProcedureResponse {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) proc_id: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetProcedureResultRequest {
    #[prost(uint64, optional, tag = "1")]
    pub(crate) proc_id: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetProcedureResultResponse {
    /// 0: not found, 1: running, 2: finished.
    #[prost(int32, optional, tag = "1")]
    pub(crate) state: Option<i32>,
    #[prost(message, optional, tag = "5")]
    pub(crate) exception: Option<ForeignExceptionMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ForeignExceptionMessage {
    #[prost(message, optional, tag = "2")]
    pub(crate) generic_exception: Option<GenericExceptionMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GenericExceptionMessage {
    #[prost(string, optional, tag = "1")]
    pub(crate) class_name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) message: Option<String>,
}

/// A `SnapshotDescription` in a request.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SnapshotName {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) table: Option<String>,
    /// 1: the regions are flushed first.
    #[prost(int32, optional, tag = "4")]
    pub(crate) kind: Option<i32>,
}

/// A `SnapshotRequest`, `RestoreSnapshotRequest`, `DeleteSnapshotRequest` or `IsSnapshotDoneRequest`; the
/// last two have no nonces.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SnapshotRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) snapshot: Option<SnapshotName>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) nonce_group: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) nonce: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SnapshotResponse {
    /// Before 2.6, and in some settings, there is none.
    #[prost(uint64, optional, tag = "2")]
    pub(crate) proc_id: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct IsSnapshotDoneResponse {
    #[prost(bool, optional, tag = "1")]
    pub(crate) done: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetCompletedSnapshotsResponse {
    /// Each a `SnapshotDescription`.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) snapshots: Vec<Bytes>,
}

/// A request or an answer without fields, or whose fields are not used.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Empty {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetClusterStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) cluster_status: Option<ClusterStatus>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ClusterStatus {
    #[prost(message, repeated, tag = "2")]
    pub(crate) live_servers: Vec<LiveServerInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct LiveServerInfo {
    /// A `ServerName`.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) server: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct FlushRegionRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) region: Option<RegionSpecifier>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CompactRegionRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) region: Option<RegionSpecifier>,
    #[prost(bool, optional, tag = "2")]
    pub(crate) major: Option<bool>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) family: Option<Bytes>,
}
