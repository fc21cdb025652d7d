//! The messages in ZooKeeper's znodes (locator.md §7.2; HBase: `ZooKeeper.proto`, `ClusterId.proto`,
//! `HBase.proto`).
//!
//! Required fields are optional here, so that a message without them can be distinguished from one with
//! zeros.

pub(crate) use super::region::ServerName;

/// The location of a replica of the catalog's region, and its state.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct MetaRegionServer {
    #[prost(message, optional, tag = "1")]
    pub(crate) server: Option<ServerName>,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) rpc_version: Option<u32>,
    /// A number of `RegionState.State`.
    #[prost(int32, optional, tag = "3")]
    pub(crate) state: Option<i32>,
}

/// A master.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct Master {
    #[prost(message, optional, tag = "1")]
    pub(crate) master: Option<ServerName>,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) rpc_version: Option<u32>,
    #[prost(uint32, optional, tag = "3")]
    pub(crate) info_port: Option<u32>,
}

/// The id of the cluster.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct ClusterId {
    #[prost(string, optional, tag = "1")]
    pub(crate) cluster_id: Option<String>,
}
