//! Counters (read-path.md §19.2).

use super::TimeRange;
use super::delta::{Delta, delta_methods};
use bytes::Bytes;

/// Adds to counters of one row, atomically (HBase: `Increment`).
///
/// A counter is a value of eight bytes: a signed big-endian integer. A missing counter counts as 0, and sums
/// wrap around. If a column is named twice, both sums are computed from the same old value, and the later one
/// is kept.
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
