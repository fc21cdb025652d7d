//! The fields of messages that the servers read or send.

use bytes::Bytes;
use prost::Message;

/// A `ServerName`.
#[derive(Clone, PartialEq, Message)]
struct ServerNameFields {
    #[prost(string, optional, tag = "1")]
    host_name: Option<String>,
    #[prost(uint32, optional, tag = "2")]
    port: Option<u32>,
    #[prost(uint64, optional, tag = "3")]
    start_code: Option<u64>,
}

pub(crate) fn server_name(host: &str, port: u32, start_code: u64) -> Bytes {
    let (port, start_code) = (Some(port), Some(start_code));
    ServerNameFields { host_name: Some(host.into()), port, start_code }.encode_to_vec().into()
}

/// The fields of a `MutationProto` that increments one column.
#[derive(Clone, PartialEq, Message)]
pub(super) struct MutationFields {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(super) row: Option<Bytes>,
    #[prost(int32, optional, tag = "2")]
    pub(super) kind: Option<i32>,
    #[prost(message, repeated, tag = "3")]
    pub(super) columns: Vec<ColumnFields>,
    #[prost(uint64, optional, tag = "9")]
    pub(super) nonce: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ColumnFields {
    #[prost(message, repeated, tag = "2")]
    pub(super) values: Vec<ValueFields>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct ValueFields {
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(super) value: Option<Bytes>,
}

pub(super) const INCREMENT: i32 = 1;

/// The row of a `Get` or a `MutationProto`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RowField {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(super) row: Option<Bytes>,
}

/// A `RegionInfo`.
#[derive(Clone, PartialEq, Message)]
pub(super) struct RegionFields {
    #[prost(uint64, optional, tag = "1")]
    pub(super) region_id: Option<u64>,
    #[prost(message, optional, tag = "2")]
    pub(super) table_name: Option<TableFields>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(super) start_key: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub(super) end_key: Option<Bytes>,
}

#[derive(Clone, PartialEq, Message)]
pub(super) struct TableFields {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(super) namespace: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(super) qualifier: Option<Bytes>,
}
