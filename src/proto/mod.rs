//! The protobuf messages that HBase writes: plain structs that derive [`prost::Message`], and a walk for
//! messages that need stricter checks than a decoder performs.

#[cfg(feature = "cluster")]
pub(crate) mod client;
pub(crate) mod filter;
pub(crate) mod hfile;
pub(crate) mod region;
pub(crate) mod seal;
pub(crate) mod snapshot;
pub(crate) mod wal;
pub(crate) mod wire;
#[cfg(feature = "cluster")]
pub(crate) mod zookeeper;

/// HBase's prefix of messages in places where older versions had another form: "PBUF".
pub(crate) const MAGIC: &[u8; 4] = b"PBUF";
