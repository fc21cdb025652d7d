//! A region and the servers that have it (HBase: `RegionLocations`).

use super::ServerName;
use crate::schema::RegionInfo;
use std::fmt;
use std::sync::Arc;

/// A region, and for each of its copies the server that has it, as far as is known. Cheap to clone.
///
/// What it says was right once. A region that has moved since is found out by asking the server.
#[derive(Clone, PartialEq, Eq)]
pub struct RegionLocations(Arc<Inner>);

#[derive(PartialEq, Eq)]
struct Inner {
    region: RegionInfo,
    /// By replica id; the first is the one that is written to.
    replicas: Box<[Replica]>,
}

/// Where a copy of a region is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// The server; none if the copy has not been assigned, or not yet been opened.
    pub server: Option<ServerName>,
    /// The sequence id at which it was opened there: of two locations the one with the greater is newer. [`NO_SEQ_NUM`] if it
    /// is unknown.
    pub seq_num: i64,
}

/// The sequence number of a location that has none (HBase: `HConstants.NO_SEQNUM`).
pub const NO_SEQ_NUM: i64 = -1;

impl Replica {
    /// A copy that no server is known to have.
    pub const UNKNOWN: Self = Self { server: None, seq_num: NO_SEQ_NUM };

    /// A copy that a server opened at a sequence id.
    #[must_use]
    pub fn on(server: ServerName, seq_num: i64) -> Self {
        Self { server: Some(server), seq_num }
    }
}

impl RegionLocations {
    /// A region and its copies by replica id, the one that is written to first. Without any, that one is unknown.
    #[must_use]
    pub fn new(region: RegionInfo, replicas: impl Into<Vec<Replica>>) -> Self {
        let mut replicas: Vec<Replica> = replicas.into();
        if replicas.is_empty() {
            replicas.push(Replica::UNKNOWN);
        }
        Self(Arc::new(Inner { region, replicas: replicas.into() }))
    }

    /// The region.
    #[must_use]
    pub fn region(&self) -> &RegionInfo {
        &self.0.region
    }

    /// The copies by replica id; there is at least the one that is written to.
    #[must_use]
    pub fn replicas(&self) -> &[Replica] {
        &self.0.replicas
    }

    /// The server of the copy that is written to.
    #[must_use]
    pub fn server(&self) -> Option<&ServerName> {
        self.0.replicas.first()?.server.as_ref()
    }

    /// The sequence id at which that server opened it, or [`NO_SEQ_NUM`].
    #[must_use]
    pub fn seq_num(&self) -> i64 {
        self.0.replicas.first().map_or(NO_SEQ_NUM, |replica| replica.seq_num)
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
