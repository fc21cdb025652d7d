//! The interface for locating the catalog (locator.md §7; HBase: `ConnectionRegistry`).

use super::{RegionLocations, ServerName};
use crate::clock::Deadline;
use crate::error::Result;
use std::fmt;

/// Provides the location of the catalog's region and the cluster's id (HBase: `ConnectionRegistry`).
///
/// Implementations keep no state between calls that could become outdated, because a repeated call is meant
/// to return the current state. If there is no answer, each call ends by its deadline with an error of the
/// kind [`Io`](crate::ErrorKind::Io) whose source is [`TimedOut`](std::io::ErrorKind::TimedOut).
pub trait ConnectionRegistry: fmt::Debug + Send + Sync {
    /// Returns the catalog's region, `hbase:meta,,1`, and the servers of its replicas.
    ///
    /// # Errors
    ///
    /// If no server has the region at present ([`NoServerForRegion`](crate::ErrorKind::NoServerForRegion)),
    /// there is no answer, or it cannot be read.
    fn meta_region_locations(&self, deadline: Deadline) -> Result<RegionLocations>;

    /// Returns the cluster's id, if it has one and it is available.
    ///
    /// # Errors
    ///
    /// If there is no answer, or it cannot be read.
    fn cluster_id(&self, deadline: Deadline) -> Result<Option<String>>;

    /// Returns the active master, if there is one and it is available.
    ///
    /// # Errors
    ///
    /// If there is no answer, or it cannot be read.
    fn active_master(&self, deadline: Deadline) -> Result<Option<ServerName>>;
}
