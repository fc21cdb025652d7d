//! The selection of cells shared by gets and scans.

use hregion::{Consistency, Filter, Get, Isolation, Scan, TimeRange};

/// The cells that a get or a scan selects.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    /// Families and columns, in the given order; empty selects all.
    pub(crate) columns: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    pub(crate) versions: u32,
    pub(crate) time_range: TimeRange,
    pub(crate) family_time_ranges: Vec<(Vec<u8>, TimeRange)>,
    pub(crate) max_results_per_family: Option<u32>,
    pub(crate) row_offset_per_family: u32,
    pub(crate) isolation: Isolation,
    pub(crate) filter: Option<Filter>,
    /// Whether families that the filter does not need are read only for rows that pass it; `None` is the
    /// default.
    pub(crate) load_families_on_demand: Option<bool>,
    /// Which replicas of a region of a cluster are read.
    pub(crate) consistency: Consistency,
    pub(crate) replica_id: Option<u16>,
    /// Whether blocks that are read are cached.
    pub(crate) cache_blocks: bool,
}

impl Default for Selection {
    fn default() -> Self {
        Self {
            columns: Vec::new(),
            versions: 1,
            time_range: TimeRange::ALL,
            family_time_ranges: Vec::new(),
            max_results_per_family: None,
            row_offset_per_family: 0,
            isolation: Isolation::ReadCommitted,
            filter: None,
            load_families_on_demand: None,
            consistency: Consistency::Strong,
            replica_id: None,
            cache_blocks: true,
        }
    }
}

/// Applies the selection to a get or a scan, which have the same methods.
macro_rules! select {
    ($read:expr, $selection:expr) => {{
        let Selection {
            columns,
            versions,
            time_range,
            family_time_ranges,
            max_results_per_family,
            row_offset_per_family,
            isolation,
            filter,
            load_families_on_demand,
            consistency,
            replica_id,
            cache_blocks,
        } = $selection;
        let mut read = $read
            .max_versions(versions)
            .time_range(time_range)
            .row_offset_per_family(row_offset_per_family)
            .isolation(isolation)
            .consistency(consistency)
            .cache_blocks(cache_blocks);
        if let Some(id) = replica_id {
            read = read.replica_id(id);
        }
        for (family, qualifier) in columns {
            read = match qualifier {
                Some(qualifier) => read.column(family, qualifier),
                None => read.family(family),
            };
        }
        for (family, range) in family_time_ranges {
            read = read.family_time_range(family, range);
        }
        if let Some(filter) = filter {
            read = read.filter(filter);
        }
        if let Some(on_demand) = load_families_on_demand {
            read = read.load_families_on_demand(on_demand);
        }
        match max_results_per_family {
            Some(cells) => read.max_results_per_family(cells),
            None => read,
        }
    }};
}

impl Selection {
    /// Builds a get of a row.
    pub(crate) fn get(self, row: Vec<u8>) -> Get {
        select!(Get::new(row), self)
    }

    /// Builds a scan of all rows, to be narrowed.
    pub(crate) fn scan(self) -> Scan {
        select!(Scan::new(), self)
    }
}
