//! The selection that gets and scans share: the columns, versions and timestamps to read.

use super::{Columns, TimeRange};
use crate::filter::Filter;
use bytes::Bytes;

/// The isolation level of a read, which determines the writes that it sees (HBase: `IsolationLevel`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Sees only writes that were complete when the read began, and each row's writes as a whole.
    #[default]
    ReadCommitted,
    /// Sees all writes, complete or not.
    ReadUncommitted,
}

/// The consistency of a read of a cluster (HBase: `Consistency`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// Sees all writes before it: reads the primary replica of a region only.
    #[default]
    Strong,
    /// Reads the primary replica, and other replicas if it does not answer in time. The result of another
    /// replica may lack the last writes ([`Row::is_stale`](crate::Row::is_stale)).
    Timeline,
}

/// The replicas of a region that a read of a cluster uses (HBase: `Query#setReplicaId`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// The primary replica.
    Primary,
    /// The primary replica and, after some time, the others.
    Any,
    /// The replica with an id.
    Replica(u16),
}

/// The cells of a row to read.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Select {
    pub(crate) columns: Columns,
    pub(crate) max_versions: u32,
    pub(crate) time_range: TimeRange,
    /// At most one per family, unsorted.
    pub(crate) family_time_ranges: Vec<(Bytes, TimeRange)>,
    pub(crate) max_results_per_family: Option<u32>,
    pub(crate) row_offset_per_family: u32,
    pub(crate) isolation: Isolation,
    pub(crate) consistency: Consistency,
    pub(crate) replica_id: Option<u16>,
    pub(crate) cache_blocks: bool,
    pub(crate) filter: Option<Filter>,
    /// Whether families that the filter does not need are read only for the rows that pass it. `None` means
    /// the default of gets or scans.
    pub(crate) load_families_on_demand: Option<bool>,
}

impl Default for Select {
    fn default() -> Self {
        Self {
            columns: Columns::default(),
            max_versions: 1,
            time_range: TimeRange::ALL,
            family_time_ranges: Vec::new(),
            max_results_per_family: None,
            row_offset_per_family: 0,
            isolation: Isolation::default(),
            consistency: Consistency::default(),
            replica_id: None,
            cache_blocks: true,
            filter: None,
            load_families_on_demand: None,
        }
    }
}

impl Select {
    /// Returns the time range that applies to a family.
    pub(crate) fn time_range_of(&self, family: &[u8]) -> TimeRange {
        let own = self.family_time_ranges.iter().find(|(name, _)| name == family);
        own.map_or(self.time_range, |(_, range)| *range)
    }

    pub(crate) fn read_from(&self) -> ReadFrom {
        match (self.consistency, self.replica_id) {
            (Consistency::Strong, _) => ReadFrom::Primary,
            (Consistency::Timeline, None) => ReadFrom::Any,
            (Consistency::Timeline, Some(id)) => ReadFrom::Replica(id),
        }
    }
}

/// Defines the builder methods of the reads that have a [`Select`].
macro_rules! select_methods {
    () => {
        /// Adds a whole family to read. If no family or column is added, all families are read.
        #[must_use]
        pub fn family(mut self, family: impl Into<bytes::Bytes>) -> Self {
            self.select.columns.add_family(family);
            self
        }

        /// Adds a column to read.
        #[must_use]
        pub fn column(mut self, family: impl Into<bytes::Bytes>, qualifier: impl Into<bytes::Bytes>) -> Self {
            self.select.columns.add_column(family, qualifier);
            self
        }

        /// Sets the maximum number of versions of a column to read (default: 1; `u32::MAX` for all). No more
        /// versions are found than the family keeps.
        ///
        /// Should be at least 1. HBase's client refuses a get of 0 versions, as `hregion-client` does. A read
        /// of 0 versions finds no values of whole families, but may find one of each named column, as HBase's
        /// scans do.
        #[must_use]
        pub fn max_versions(mut self, versions: u32) -> Self {
            self.select.max_versions = versions;
            self
        }

        /// Sets the timestamps to read (default: all).
        #[must_use]
        pub fn time_range(mut self, range: $crate::op::TimeRange) -> Self {
            self.select.time_range = range;
            self
        }

        /// Sets the timestamps to read in one family, overriding [`time_range`](Self::time_range).
        #[must_use]
        pub fn family_time_range(
            mut self,
            family: impl Into<bytes::Bytes>,
            range: $crate::op::TimeRange,
        ) -> Self {
            let family = family.into();
            self.select.family_time_ranges.retain(|(name, _)| *name != family);
            self.select.family_time_ranges.push((family, range));
            self
        }

        /// Sets the maximum number of cells of a row to read in each family (default: no limit). As in HBase,
        /// 0 still reads one.
        #[must_use]
        pub fn max_results_per_family(mut self, cells: u32) -> Self {
            self.select.max_results_per_family = Some(cells);
            self
        }

        /// Sets the number of cells of a row to skip in each family (default: 0).
        #[must_use]
        pub fn row_offset_per_family(mut self, cells: u32) -> Self {
            self.select.row_offset_per_family = cells;
            self
        }

        /// Sets which writes to see (default: [`ReadCommitted`](crate::Isolation::ReadCommitted)).
        #[must_use]
        pub fn isolation(mut self, isolation: $crate::op::Isolation) -> Self {
            self.select.isolation = isolation;
            self
        }

        /// Sets the consistency of a read of a cluster (default: strong). Has no effect on files, which are
        /// read in place.
        #[must_use]
        pub fn consistency(mut self, consistency: $crate::op::Consistency) -> Self {
            self.select.consistency = consistency;
            self
        }

        /// Sets the only replica of a region that a read of a cluster uses; 0 is the primary one. As in
        /// HBase, it has no effect if the [consistency](Self::consistency) is strong.
        #[must_use]
        pub fn replica_id(mut self, id: u16) -> Self {
            self.select.replica_id = Some(id);
            self
        }

        /// Returns the replicas of a region that a read of a cluster uses.
        #[must_use]
        pub fn read_from(&self) -> $crate::op::ReadFrom {
            self.select.read_from()
        }

        /// Sets whether data blocks read from files are added to the cache (default: yes). Cached blocks are
        /// used in any case, and index and Bloom filter blocks are always cached. A long scan adds only some
        /// of its blocks to a cache that is full.
        #[must_use]
        pub fn cache_blocks(mut self, cache: bool) -> Self {
            self.select.cache_blocks = cache;
            self
        }

        /// Sets the filter, which selects cells beyond columns, versions and timestamps: see
        /// [`Filter`](crate::Filter). Replaces a filter set before.
        ///
        /// The filter sees all versions that the family keeps, not only the
        /// [selected number](Self::max_versions): if it rejects the newest version of a column by its value,
        /// an older one that it accepts is returned, as in HBase (read-path.md §9.2).
        #[must_use]
        pub fn filter(mut self, filter: $crate::filter::Filter) -> Self {
            self.select.filter = Some(filter);
            self
        }

        /// Sets whether families that the filter does not need are read only for the rows that pass it
        /// (default: for gets the setting `hbase.hregion.scan.loadColumnFamiliesOnDemand` of the table, else
        /// yes; no for scans). Affects only the cost, as long as the filter does not test
        /// cells of those families. As in HBase, a reversed scan with such families is refused.
        #[must_use]
        pub fn load_families_on_demand(mut self, on_demand: bool) -> Self {
            self.select.load_families_on_demand = Some(on_demand);
            self
        }

        /// Returns the families and columns added.
        #[must_use]
        pub fn columns(&self) -> &$crate::op::Columns {
            &self.select.columns
        }
    };
}
pub(crate) use select_methods;
