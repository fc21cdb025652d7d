//! Where versions are counted.

use super::NEVER;

/// A marker of a single version, or the end of a node, in the order in which HBase visits them.
///
/// There is a node for each marker of the family that reaches back in time, and one at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    /// The node's sequence id.
    pub(super) node: i64,
    /// The sequence id of the marker, or [`NEVER`] at the end of the node.
    pub(super) marker: i64,
}

impl Place {
    pub(super) const END: Self = Self::end_of(NEVER);

    pub(super) const fn end_of(node: i64) -> Self {
        Self { node, marker: NEVER }
    }

    /// The last sequence id of the versions that were there.
    pub(super) fn limit(self) -> i64 {
        self.node.min(self.marker)
    }
}
