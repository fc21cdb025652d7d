//! What increments and appends have in common: changes of values that are there.

use super::TimeRange;
use bytes::Bytes;

/// Changes of columns of one row, made together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Delta<T> {
    pub(crate) row: Bytes,
    pub(crate) cells: Vec<DeltaCell<T>>,
    /// In milliseconds.
    pub(crate) ttl: Option<i64>,
    /// Where old values are looked for.
    pub(crate) time_range: TimeRange,
    pub(crate) return_results: bool,
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
        Self { row, cells: Vec::new(), ttl: None, time_range: TimeRange::ALL, return_results: true }
    }

    pub(crate) fn add(&mut self, family: Bytes, qualifier: Bytes, change: T) {
        self.cells.push(DeltaCell { family, qualifier, change });
    }
}

/// The builder methods of [`Delta`], for the mutations that are one.
macro_rules! delta_methods {
    () => {
        /// Changes nothing yet.
        #[must_use]
        pub fn new(row: impl Into<Bytes>) -> Self {
            Self(Delta::new(row.into()))
        }

        /// After how many milliseconds the new cells expire: a tag on each of them. Without it, or with [`i64::MAX`], they keep
        /// that of the old ones.
        #[must_use]
        pub fn ttl(mut self, millis: i64) -> Self {
            self.0.ttl = Some(millis);
            self
        }

        /// Among which timestamps old values are looked for (default: all). What is not found counts as missing.
        #[must_use]
        pub fn time_range(mut self, range: TimeRange) -> Self {
            self.0.time_range = range;
            self
        }

        /// Whether the new cells are the answer (default: yes); else it is empty.
        #[must_use]
        pub fn return_results(mut self, results: bool) -> Self {
            self.0.return_results = results;
            self
        }

        /// The row.
        #[must_use]
        pub fn row(&self) -> &[u8] {
            &self.0.row
        }
    };
}
pub(crate) use delta_methods;
