//! The protobuf messages that HBase writes: plain structs that derive [`prost::Message`], and a walk for those that must
//! be read with more care than a decoder takes.

pub(crate) mod filter;
pub(crate) mod hfile;
pub(crate) mod region;
pub(crate) mod wire;
#[cfg(feature = "cluster")]
pub(crate) mod zookeeper;

/// What HBase puts before a message where older versions had another form: "PBUF".
pub(crate) const MAGIC: &[u8; 4] = b"PBUF";
