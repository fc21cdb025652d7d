//! What gets and scans have in common: which columns, versions and times of a row.

use super::{Columns, TimeRange};
use crate::filter::Filter;
use bytes::Bytes;

/// Which writes a read sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Isolation {
    /// Those that were complete when the read began, whole rows of them.
    #[default]
    ReadCommitted,
    /// Whatever is there.
    ReadUncommitted,
}

/// Which cells of a row are asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Select {
    pub(crate) columns: Columns,
    pub(crate) max_versions: u32,
    pub(crate) time_range: TimeRange,
    /// Sorted by family.
    pub(crate) family_time_ranges: Vec<(Bytes, TimeRange)>,
    pub(crate) store_limit: Option<u32>,
    pub(crate) store_offset: u32,
    pub(crate) isolation: Isolation,
    pub(crate) cache_blocks: bool,
    pub(crate) filter: Option<Filter>,
    /// Whether families that the filter can do without are read for those rows only that pass it; unset, as gets and scans
    /// have it.
    pub(crate) load_on_demand: Option<bool>,
}

impl Default for Select {
    fn default() -> Self {
        Self {
            columns: Columns::default(),
            max_versions: 1,
            time_range: TimeRange::ALL,
            family_time_ranges: Vec::new(),
            store_limit: None,
            store_offset: 0,
            isolation: Isolation::default(),
            cache_blocks: true,
            filter: None,
            load_on_demand: None,
        }
    }
}

impl Select {
    /// The time range that counts for a family.
    pub(crate) fn time_range_of(&self, family: &[u8]) -> TimeRange {
        let own = self.family_time_ranges.iter().find(|(name, _)| name == family);
        own.map_or(self.time_range, |(_, range)| *range)
    }
}

/// The builder methods of [`Select`], for the reads that have one.
macro_rules! select_methods {
    () => {
        /// Reads a whole family. Without any family or column named, all families are read.
        #[must_use]
        pub fn family(mut self, family: impl Into<bytes::Bytes>) -> Self {
            self.select.columns.add_family(family);
            self
        }

        /// Reads a column.
        #[must_use]
        pub fn column(mut self, family: impl Into<bytes::Bytes>, qualifier: impl Into<bytes::Bytes>) -> Self {
            self.select.columns.add_column(family, qualifier);
            self
        }

        /// How many versions of a column to read (default 1; `u32::MAX` for all). No more than the family keeps are found.
        #[must_use]
        pub fn max_versions(mut self, versions: u32) -> Self {
            self.select.max_versions = versions;
            self
        }

        /// Which timestamps to read (default: all).
        #[must_use]
        pub fn time_range(mut self, range: $crate::op::TimeRange) -> Self {
            self.select.time_range = range;
            self
        }

        /// Which timestamps to read of one family, in place of [`time_range`](Self::time_range).
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

        /// How many cells of a row to read in each family (default: all). As in HBase, 0 still gives one.
        #[must_use]
        pub fn store_limit(mut self, cells: u32) -> Self {
            self.select.store_limit = Some(cells);
            self
        }

        /// How many cells of a row to pass over in each family first (default 0).
        #[must_use]
        pub fn store_offset(mut self, cells: u32) -> Self {
            self.select.store_offset = cells;
            self
        }

        /// Which writes to see.
        #[must_use]
        pub fn isolation(mut self, isolation: $crate::op::Isolation) -> Self {
            self.select.isolation = isolation;
            self
        }

        /// Whether data blocks read from files go into the cache (default: yes). Those that are there are used in any case, and
        /// blocks of indexes and Bloom filters are cached.
        #[must_use]
        pub fn cache_blocks(mut self, cache: bool) -> Self {
            self.select.cache_blocks = cache;
            self
        }

        /// Which of the cells to return, beyond columns, versions and times: see [`Filter`](crate::Filter). Takes the place of one
        /// that was set before.
        #[must_use]
        pub fn filter(mut self, filter: $crate::filter::Filter) -> Self {
            self.select.filter = Some(filter);
            self
        }

        /// Whether families that the filter does not need are read only for the rows that pass it (default: gets do so, scans
        /// do not). Nothing but the cost depends on it, as long as the filter does not judge cells of those families.
        #[must_use]
        pub fn load_on_demand(mut self, on_demand: bool) -> Self {
            self.select.load_on_demand = Some(on_demand);
            self
        }

        /// The families and columns named.
        #[must_use]
        pub fn columns(&self) -> &$crate::op::Columns {
            &self.select.columns
        }
    };
}
pub(crate) use select_methods;
