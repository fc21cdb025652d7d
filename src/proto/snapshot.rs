//! The messages of a snapshot (hfile.md §15.8; HBase: `Snapshot.proto`).
//!
//! Required fields are optional here, so that a message without them can be distinguished from one with
//! zeros.
//!
//! Messages that contain others in any number have no type here. Their fields are walked one by one, because
//! a decoder would allocate much more than the bytes of many empty messages:
//!
//! | message | fields |
//! |---|---|
//! | `SnapshotDataManifest` | 1 `table_schema`; 2 `region_manifests`, repeated |
//! | `SnapshotRegionManifest` | 1 `version`, never set; 2 `region_info`; 3 `family_files`, repeated |
//! | `FamilyFiles` | 1 `family_name`; 2 `store_files`, repeated |

use super::region::Reference;

/// A snapshot's name and settings. Field 7, the permissions of users, is not read.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct SnapshotDescription {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(string, optional, tag = "2")]
    pub(crate) table: Option<String>,
    #[prost(int64, optional, tag = "3")]
    pub(crate) creation_time: Option<i64>,
    #[prost(int32, optional, tag = "4")]
    pub(crate) snapshot_type: Option<i32>,
    #[prost(int32, optional, tag = "5")]
    pub(crate) version: Option<i32>,
    #[prost(string, optional, tag = "6")]
    pub(crate) owner: Option<String>,
    #[prost(int64, optional, tag = "8")]
    pub(crate) ttl: Option<i64>,
}

/// A store file of a snapshot.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct StoreFile {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(message, optional, tag = "2")]
    pub(crate) reference: Option<Reference>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) file_size: Option<u64>,
}
