//! A region and the servers that have it (HBase: `RegionLocations`).

use super::ServerName;
use crate::schema::RegionInfo;
use std::fmt;
use std::sync::Arc;

/// A region with the known server of each of its replicas (HBase: `RegionLocations`). Cheap to clone.
///
/// A location may be outdated: a call to the server shows whether the region has moved.
#[derive(Clone, PartialEq, Eq)]
pub struct RegionLocations(Arc<Replicas>);

#[derive(PartialEq, Eq)]
struct Replicas {
    region: RegionInfo,
    /// By replica id; the first is the primary replica, which takes writes.
    replicas: Box<[Replica]>,
}

/// The location of a replica of a region (HBase: `HRegionLocation`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// The server; `None` if the replica has not been assigned, or not been opened yet.
    pub server: Option<ServerName>,
    /// The sequence id at which the replica was opened there: of two locations, the one with the greater
    /// number is newer. [`NO_SEQ_NUM`] if unknown.
    pub seq_num: i64,
}

/// The sequence number of a location without one (HBase: `HConstants.NO_SEQNUM`).
pub const NO_SEQ_NUM: i64 = -1;

impl Replica {
    /// A replica without a known server.
    pub const UNKNOWN: Self = Self { server: None, seq_num: NO_SEQ_NUM };

    /// Describes a replica that a server opened at a sequence id.
    #[must_use]
    pub fn on(server: ServerName, seq_num: i64) -> Self {
        Self { server: Some(server), seq_num }
    }
}

impl RegionLocations {
    /// Builds the locations of a region from its replicas by replica id, the primary one first. Without
    /// replicas, the primary's location is unknown.
    #[must_use]
    pub fn new(region: RegionInfo, replicas: impl Into<Vec<Replica>>) -> Self {
        let mut replicas: Vec<Replica> = replicas.into();
        if replicas.is_empty() {
            replicas.push(Replica::UNKNOWN);
        }
        Self(Arc::new(Replicas { region, replicas: replicas.into() }))
    }

    /// Returns the region.
    #[must_use]
    pub fn region(&self) -> &RegionInfo {
        &self.0.region
    }

    /// Returns the replicas by replica id; there is at least the primary one.
    #[must_use]
    pub fn replicas(&self) -> &[Replica] {
        &self.0.replicas
    }

    /// Returns the server of the primary replica.
    #[must_use]
    pub fn server(&self) -> Option<&ServerName> {
        self.0.replicas.first()?.server.as_ref()
    }

    /// Returns the sequence id at which that server opened the primary replica, or [`NO_SEQ_NUM`].
    #[must_use]
    pub fn seq_num(&self) -> i64 {
        self.0.replicas.first().map_or(NO_SEQ_NUM, |replica| replica.seq_num)
    }

    /// Returns the server of the replica with an id, if it is known.
    #[must_use]
    pub fn server_of(&self, replica_id: u16) -> Option<&ServerName> {
        self.0.replicas.get(usize::from(replica_id))?.server.as_ref()
    }

    /// Whether both are the same object.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for RegionLocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.region())?;
        f.debug_list().entries(self.replicas()).finish()
    }
}
