//! Increments and appends: changes computed from stored values (read-path.md §19.2).

use super::{Durability, TimeRange};
use crate::clock::whole_millis;
use bytes::Bytes;
use std::time::Duration;

/// Changes of columns of one row, made atomically.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delta<T> {
    pub(crate) row: Bytes,
    pub(crate) cells: Vec<DeltaCell<T>>,
    /// The time to live in milliseconds.
    pub(crate) ttl: Option<i64>,
    /// The timestamps in which old values are searched.
    pub(crate) time_range: TimeRange,
    pub(crate) return_results: bool,
    pub(crate) durability: Durability,
}

/// The change of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeltaCell<T> {
    pub(crate) family: Bytes,
    pub(crate) qualifier: Bytes,
    pub(crate) change: T,
}

impl<T> Delta<T> {
    pub(crate) fn new(row: Bytes) -> Self {
        Self {
            row,
            cells: Vec::new(),
            ttl: None,
            time_range: TimeRange::ALL,
            return_results: true,
            durability: Durability::UseDefault,
        }
    }

    pub(crate) fn add(&mut self, family: Bytes, qualifier: Bytes, change: T) {
        self.cells.push(DeltaCell { family, qualifier, change });
    }
}

/// Defines the builder methods of the mutations that wrap a [`Delta`].
macro_rules! delta_methods {
    () => {
        /// Creates a mutation of `row` without any changes.
        #[must_use]
        pub fn new(row: impl Into<Bytes>) -> Self {
            Self(Delta::new(row.into()))
        }

        /// Sets the time to live of the new cells in whole milliseconds, stored as a tag on each cell.
        /// Without it, or with [`Duration::MAX`], each new cell keeps the time to live of the old one.
        #[must_use]
        pub fn ttl(mut self, ttl: Duration) -> Self {
            self.0.ttl = Some(whole_millis(ttl));
            self
        }

        /// Sets the timestamps in which old values are searched (default: all). A value outside of the range
        /// counts as missing.
        #[must_use]
        pub fn time_range(mut self, range: TimeRange) -> Self {
            self.0.time_range = range;
            self
        }

        /// Sets whether the new cells are returned (default: yes). Otherwise the result is empty.
        #[must_use]
        pub fn return_results(mut self, results: bool) -> Self {
            self.0.return_results = results;
            self
        }

        /// Sets the failures that the write survives once it is acknowledged (default: as for [the
        /// region](crate::RegionOptions::durability)).
        #[must_use]
        pub fn durability(mut self, durability: Durability) -> Self {
            self.0.durability = durability;
            self
        }

        /// Returns the row.
        #[must_use]
        pub fn row(&self) -> &[u8] {
            &self.0.row
        }
    };
}

/// Appends bytes to values of one row, atomically (HBase: `Append`).
///
/// A missing value counts as empty. If a column is named twice, both results are computed from the same old
/// value, and the later one is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append(pub(crate) Delta<Bytes>);

impl Append {
    delta_methods!();

    /// Appends bytes to the newest value of a column (HBase: `Append.addColumn`).
    #[must_use]
    pub fn column(
        mut self,
        family: impl Into<Bytes>,
        qualifier: impl Into<Bytes>,
        bytes: impl Into<Bytes>,
    ) -> Self {
        self.0.add(family.into(), qualifier.into(), bytes.into());
        self
    }
}

/// Adds to counters of one row, atomically (HBase: `Increment`).
///
/// A counter is a value of eight bytes: a signed big-endian integer. A missing counter counts as 0, and sums
/// wrap around. If a column is named twice, both sums are computed from the same old value, and the later one
/// is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Increment(pub(crate) Delta<i64>);

impl Increment {
    delta_methods!();

    /// Adds an amount, which may be negative, to a counter (HBase: `Increment.addColumn`).
    #[must_use]
    pub fn column(mut self, family: impl Into<Bytes>, qualifier: impl Into<Bytes>, amount: i64) -> Self {
        self.0.add(family.into(), qualifier.into(), amount);
        self
    }
}
