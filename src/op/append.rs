//! Values that grow (read-path.md §19.2).

use super::TimeRange;
use super::delta::{Delta, delta_methods};
use bytes::Bytes;

/// Adds bytes to the end of values of one row, all of them at once (HBase: `Append`).
///
/// A missing value counts as empty. A column that is named twice is computed twice from the same old value: the later stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Append(pub(crate) Delta<Bytes>);

impl Append {
    delta_methods!();

    /// Adds bytes to the end of a value.
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
