//! What knows where the catalog is (locator.md §7; HBase: `ConnectionRegistry`).

use super::{RegionLocations, ServerName};
use crate::clock::Deadline;
use crate::error::Result;
use std::fmt;

/// Tells where the catalog's region is, and which cluster it is.
///
/// Nothing is kept between calls that could be out of date: who asks again wants to know how it is now. Each call ends by
/// its deadline, with an error of the kind [`Io`](crate::ErrorKind::Io) whose source says
/// [`TimedOut`](std::io::ErrorKind::TimedOut) if there is no answer by then.
pub trait Registry: fmt::Debug + Send + Sync {
    /// The catalog's region, `hbase:meta,,1`, and the servers of its copies.
    ///
    /// # Errors
    ///
    /// If no server has the region at present
    /// ([`NoServerForRegion`](crate::ErrorKind::NoServerForRegion)), there is no answer, or one that cannot be read.
    fn meta_region_locations(&self, deadline: Deadline) -> Result<RegionLocations>;

    /// The cluster's id; none if it has none, or nobody says.
    ///
    /// # Errors
    ///
    /// If there is no answer, or one that cannot be read.
    fn cluster_id(&self, deadline: Deadline) -> Result<Option<String>>;

    /// The active master; none if there is none at present, or nobody says.
    ///
    /// # Errors
    ///
    /// If there is no answer, or one that cannot be read.
    fn active_master(&self, deadline: Deadline) -> Result<Option<ServerName>>;
}
