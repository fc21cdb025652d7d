//! Any write.

use super::{Append, Delete, Increment, Put};

/// A write of one row, of whatever kind (HBase: `Mutation`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mutation {
    /// Values.
    Put(Put),
    /// Markers that hide values.
    Delete(Delete),
    /// Sums.
    Increment(Increment),
    /// Bytes behind values.
    Append(Append),
}

impl Mutation {
    /// The row.
    #[must_use]
    pub fn row(&self) -> &[u8] {
        match self {
            Self::Put(put) => put.row(),
            Self::Delete(delete) => delete.row(),
            Self::Increment(increment) => increment.row(),
            Self::Append(append) => append.row(),
        }
    }
}

macro_rules! from {
    ($($kind:ident),+) => {$(
        impl From<$kind> for Mutation {
            fn from(mutation: $kind) -> Self {
                Self::$kind(mutation)
            }
        }
    )+};
}
from!(Put, Delete, Increment, Append);
