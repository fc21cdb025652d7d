//! Counting (read-path.md §19.2).

use super::TimeRange;
use super::delta::{Delta, delta_methods};
use bytes::Bytes;

/// Adds to counters of one row, all of them at once (HBase: `Increment`).
///
/// A counter is a value of eight bytes, a signed number, big-endian; one that is missing counts as 0, and sums wrap around. A
/// column that is named twice is counted twice from the same old value: the later sum stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Increment(pub(crate) Delta<i64>);

impl Increment {
    delta_methods!();

    /// Adds an amount to a counter.
    #[must_use]
    pub fn column(mut self, family: impl Into<Bytes>, qualifier: impl Into<Bytes>, amount: i64) -> Self {
        self.0.add(family.into(), qualifier.into(), amount);
        self
    }
}
