//! The parameters of a read (read-path.md §5).

use std::collections::BTreeMap;

/// A half-open range of timestamps. The range from 0 to the latest includes every timestamp (§1.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Times(pub(crate) i64, pub(crate) i64);

impl Times {
    pub(crate) const ALL: Self = Self(0, i64::MAX);

    pub(crate) fn within(self, timestamp: i64) -> bool {
        self == Self::ALL || (self.0..self.1).contains(&timestamp)
    }

    pub(crate) fn within_or_after(self, timestamp: i64) -> bool {
        self == Self::ALL || timestamp >= self.0
    }
}

/// A get or a scan.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pub(crate) start: Vec<u8>,
    pub(crate) include_start: bool,
    pub(crate) stop: Vec<u8>,
    pub(crate) include_stop: bool,
    /// The columns of each family; no columns selects the whole family, and no families selects all families.
    pub(crate) families: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    pub(crate) versions: u32,
    pub(crate) times: Times,
    pub(crate) family_times: BTreeMap<Vec<u8>, Times>,
    pub(crate) raw: bool,
    /// Scans from the last row to the first.
    pub(crate) reversed: bool,
    /// The limit of cells per row and family.
    pub(crate) store_limit: Option<usize>,
    pub(crate) store_offset: usize,
    /// The limit of rows.
    pub(crate) limit: Option<usize>,
}

impl Default for Query {
    fn default() -> Self {
        Self {
            start: Vec::new(),
            include_start: true,
            stop: Vec::new(),
            include_stop: false,
            families: BTreeMap::new(),
            versions: 1,
            times: Times::ALL,
            family_times: BTreeMap::new(),
            raw: false,
            reversed: false,
            store_limit: None,
            store_offset: 0,
            limit: None,
        }
    }
}

impl Query {
    /// Selects one row.
    pub(crate) fn row(row: &[u8]) -> Self {
        Self { start: row.into(), stop: row.into(), include_stop: true, ..Self::default() }
    }

    /// §5.4.
    pub(crate) fn wants_row(&self, row: &[u8]) -> bool {
        let is_past = |bound: &[u8]| if self.reversed { row < bound } else { row > bound };
        let (start, stop) = (self.start.as_slice(), self.stop.as_slice());
        let started = start.is_empty() || is_past(start) || self.include_start && row == start;
        let stopped = !stop.is_empty() && (is_past(stop) || !self.include_stop && row == stop);
        started && !stopped
    }

    pub(crate) fn wants_family(&self, family: &[u8]) -> bool {
        self.families.is_empty() || self.families.contains_key(family)
    }

    /// Returns the columns selected in a family.
    pub(crate) fn columns(&self, family: &[u8]) -> &[Vec<u8>] {
        self.families.get(family).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn times_of(&self, family: &[u8]) -> Times {
        self.family_times.get(family).copied().unwrap_or(self.times)
    }
}
