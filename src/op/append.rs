//! Appends to values (read-path.md §19.2).

use super::TimeRange;
use super::delta::{Delta, delta_methods};
use bytes::Bytes;

/// Appends bytes to values of one row, atomically (HBase: `Append`).
///
/// A missing value counts as empty. If a column is named twice, both results are computed from the same old
/// value, and the later one is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append(pub(crate) Delta<Bytes>);

impl Append {
    delta_methods!();

    /// Appends bytes to a value.
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
