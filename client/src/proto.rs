//! The messages of HBase's RPC (locator.md §7.5, §8; HBase: `RPC.proto`, `Client.proto`, `Registry.proto`).
//!
//! Reads and writes are encoded by hregion; here they are fields of bytes, which are the same on the wire.

pub(crate) mod admin;

use bytes::Bytes;

/// The first message on a connection.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ConnectionHeader {
    #[prost(message, optional, tag = "1")]
    pub(crate) user_info: Option<UserInformation>,
    #[prost(string, optional, tag = "2")]
    pub(crate) service_name: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub(crate) cell_block_codec_class: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(crate) cell_block_compressor_class: Option<String>,
    #[prost(message, optional, tag = "5")]
    pub(crate) version_info: Option<VersionInfo>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct UserInformation {
    #[prost(string, optional, tag = "1")]
    pub(crate) effective_user: Option<String>,
}

/// The version of a client. Servers require the strings.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct VersionInfo {
    #[prost(string, optional, tag = "1")]
    pub(crate) version: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) url: Option<String>,
    #[prost(string, optional, tag = "3")]
    pub(crate) revision: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(crate) user: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub(crate) date: Option<String>,
    #[prost(string, optional, tag = "6")]
    pub(crate) src_checksum: Option<String>,
    #[prost(uint32, optional, tag = "7")]
    pub(crate) version_major: Option<u32>,
    #[prost(uint32, optional, tag = "8")]
    pub(crate) version_minor: Option<u32>,
}

/// The principal of a server, in answer to a preamble.
#[cfg(feature = "kerberos")]
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct SecurityPreambleResponse {
    #[prost(string, optional, tag = "1")]
    pub(crate) server_principal: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RequestHeader {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) call_id: Option<u32>,
    #[prost(string, optional, tag = "3")]
    pub(crate) method_name: Option<String>,
    #[prost(bool, optional, tag = "4")]
    pub(crate) request_param: Option<bool>,
    #[prost(uint32, optional, tag = "6")]
    pub(crate) priority: Option<u32>,
    /// In ms.
    #[prost(uint32, optional, tag = "7")]
    pub(crate) timeout: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ResponseHeader {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) call_id: Option<u32>,
    #[prost(message, optional, tag = "2")]
    pub(crate) exception: Option<ExceptionResponse>,
    #[prost(message, optional, tag = "3")]
    pub(crate) cell_block_meta: Option<CellBlockMeta>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct CellBlockMeta {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) length: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ExceptionResponse {
    #[prost(string, optional, tag = "1")]
    pub(crate) exception_class_name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) stack_trace: Option<String>,
    #[prost(bool, optional, tag = "5")]
    pub(crate) do_not_retry: Option<bool>,
    #[prost(bool, optional, tag = "6")]
    pub(crate) server_overloaded: Option<bool>,
}

/// A region by its name (type 1).
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RegionSpecifier {
    #[prost(int32, optional, tag = "1")]
    pub(crate) kind: Option<i32>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) value: Option<Bytes>,
}

impl RegionSpecifier {
    pub(crate) fn of(region: &hregion::RegionInfo) -> Self {
        Self { kind: Some(1), value: Some(region.name().into()) }
    }

    /// A region by its encoded name (type 2).
    pub(crate) fn encoded(name: &str) -> Self {
        Self { kind: Some(2), value: Some(Bytes::copy_from_slice(name.as_bytes())) }
    }

    pub(crate) fn of_copy(region: &hregion::RegionInfo, replica_id: u16) -> Self {
        if replica_id == 0 { Self::of(region) } else { Self::of(&region.replica(replica_id)) }
    }
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) region: Option<RegionSpecifier>,
    /// A `Get`.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) get: Option<Bytes>,
}

/// A field of a `Get`, to be encoded after the others: only whether there are cells is asked.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct ExistenceOnly {
    #[prost(bool, optional, tag = "10")]
    pub(crate) existence_only: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) result: Option<ResultMessage>,
}

/// A `Result`: its cells, or the number of its cells in the cell block.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ResultMessage {
    #[prost(message, repeated, tag = "1")]
    pub(crate) cell: Vec<Cell>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) associated_cell_count: Option<i32>,
    /// Whether there are cells, if only that was asked.
    #[prost(bool, optional, tag = "3")]
    pub(crate) exists: Option<bool>,
    #[prost(bool, optional, tag = "4")]
    pub(crate) stale: Option<bool>,
    #[prost(bool, optional, tag = "5")]
    pub(crate) partial: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Cell {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) row: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) family: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) qualifier: Option<Bytes>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) timestamp: Option<u64>,
    #[prost(int32, optional, tag = "5")]
    pub(crate) cell_type: Option<i32>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub(crate) value: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct TableNameMessage {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) namespace: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) qualifier: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetTableDescriptorsRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) table_names: Vec<TableNameMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetTableDescriptorsResponse {
    /// Each a `TableSchema`.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) table_schema: Vec<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ScanRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) region: Option<RegionSpecifier>,
    /// A `Scan`.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) scan: Option<Bytes>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) scanner_id: Option<u64>,
    #[prost(uint32, optional, tag = "4")]
    pub(crate) number_of_rows: Option<u32>,
    #[prost(bool, optional, tag = "5")]
    pub(crate) close_scanner: Option<bool>,
    #[prost(uint64, optional, tag = "6")]
    pub(crate) next_call_seq: Option<u64>,
    #[prost(bool, optional, tag = "7")]
    pub(crate) client_handles_partials: Option<bool>,
    #[prost(bool, optional, tag = "8")]
    pub(crate) client_handles_heartbeats: Option<bool>,
    #[prost(bool, optional, tag = "9")]
    pub(crate) track_scan_metrics: Option<bool>,
    #[prost(bool, optional, tag = "10")]
    pub(crate) renew: Option<bool>,
    #[prost(uint32, optional, tag = "11")]
    pub(crate) limit_of_rows: Option<u32>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ScanResponse {
    #[prost(uint32, repeated, packed = "false", tag = "1")]
    pub(crate) cells_per_result: Vec<u32>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) scanner_id: Option<u64>,
    #[prost(bool, optional, tag = "3")]
    pub(crate) more_results: Option<bool>,
    #[prost(message, repeated, tag = "5")]
    pub(crate) results: Vec<ResultMessage>,
    #[prost(bool, optional, tag = "6")]
    pub(crate) stale: Option<bool>,
    #[prost(bool, repeated, packed = "false", tag = "7")]
    pub(crate) partial_flag_per_result: Vec<bool>,
    #[prost(bool, optional, tag = "8")]
    pub(crate) more_results_in_region: Option<bool>,
    #[prost(bool, optional, tag = "9")]
    pub(crate) heartbeat_message: Option<bool>,
    #[prost(message, optional, tag = "10")]
    pub(crate) scan_metrics: Option<ScanMetricsMessage>,
    #[prost(message, optional, tag = "12")]
    pub(crate) cursor: Option<Cursor>,
}

/// The row that a scanner is at, in a heartbeat.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct Cursor {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) row: Option<Bytes>,
}

/// A field of a `Scan`, to be encoded after the others: heartbeats have a cursor.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct NeedsCursor {
    #[prost(bool, optional, tag = "24")]
    pub(crate) need_cursor_result: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ScanMetricsMessage {
    #[prost(message, repeated, tag = "1")]
    pub(crate) metrics: Vec<NameInt64Pair>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NameInt64Pair {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(int64, optional, tag = "2")]
    pub(crate) value: Option<i64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MutateRequest {
    #[prost(message, optional, tag = "1")]
    pub(crate) region: Option<RegionSpecifier>,
    /// A `MutationProto`.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) mutation: Option<Bytes>,
    /// A `Condition`.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) condition: Option<Bytes>,
    #[prost(uint64, optional, tag = "4")]
    pub(crate) nonce_group: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MutateResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) result: Option<ResultMessage>,
    #[prost(bool, optional, tag = "2")]
    pub(crate) processed: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MultiRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) region_action: Vec<RegionAction>,
    #[prost(uint64, optional, tag = "2")]
    pub(crate) nonce_group: Option<u64>,
    /// A `Condition`, where servers before 2.4 read it. Later ones return no cells then.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) condition: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RegionAction {
    #[prost(message, optional, tag = "1")]
    pub(crate) region: Option<RegionSpecifier>,
    #[prost(bool, optional, tag = "2")]
    pub(crate) atomic: Option<bool>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) action: Vec<ActionMessage>,
    /// A `Condition`.
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub(crate) condition: Option<Bytes>,
}

/// A get or a mutation.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ActionMessage {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) index: Option<u32>,
    /// A `MutationProto`.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) mutation: Option<Bytes>,
    /// A `Get`.
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) get: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct MultiResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) region_action_result: Vec<RegionActionResult>,
    #[prost(bool, optional, tag = "2")]
    pub(crate) processed: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RegionActionResult {
    #[prost(message, repeated, tag = "1")]
    pub(crate) result_or_exception: Vec<ResultOrException>,
    #[prost(message, optional, tag = "2")]
    pub(crate) exception: Option<NamedException>,
    #[prost(bool, optional, tag = "3")]
    pub(crate) processed: Option<bool>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ResultOrException {
    #[prost(uint32, optional, tag = "1")]
    pub(crate) index: Option<u32>,
    #[prost(message, optional, tag = "2")]
    pub(crate) result: Option<ResultMessage>,
    #[prost(message, optional, tag = "3")]
    pub(crate) exception: Option<NamedException>,
}

/// An exception: its class, and its text with the stack trace.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct NamedException {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) value: Option<Bytes>,
}

/// A request without fields, or a response whose fields are not needed.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct Empty {}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetClusterIdResponse {
    #[prost(string, optional, tag = "1")]
    pub(crate) cluster_id: Option<String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetActiveMasterResponse {
    /// A `ServerName`.
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) server_name: Option<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetBootstrapNodesResponse {
    /// `ServerName`s.
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) server_name: Vec<Bytes>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct GetMetaRegionLocationsResponse {
    #[prost(message, repeated, tag = "1")]
    pub(crate) meta_locations: Vec<RegionLocationMessage>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct RegionLocationMessage {
    #[prost(message, optional, tag = "1")]
    pub(crate) region_info: Option<ReplicaOfRegion>,
    /// A `ServerName`.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) server_name: Option<Bytes>,
    #[prost(int64, optional, tag = "3")]
    pub(crate) seq_num: Option<i64>,
}

/// The part of a `RegionInfo` that differs between the replicas of the catalog's region.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct ReplicaOfRegion {
    #[prost(int32, optional, tag = "7")]
    pub(crate) replica_id: Option<i32>,
}
