//! Writes of any kind.

use super::{Append, Delete, Durability, Increment, Put};

/// A write of one row, of any kind (HBase: `Mutation`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mutation {
    /// Writes values.
    Put(Put),
    /// Writes markers that hide values.
    Delete(Delete),
    /// Adds to counters.
    Increment(Increment),
    /// Appends bytes to values.
    Append(Append),
}

impl Mutation {
    /// Returns the row.
    #[must_use]
    pub fn row(&self) -> &[u8] {
        match self {
            Self::Put(put) => put.row(),
            Self::Delete(delete) => delete.row(),
            Self::Increment(increment) => increment.row(),
            Self::Append(append) => append.row(),
        }
    }

    /// Whether the write returns cells, unless that is switched off.
    pub(crate) fn returns_cells(&self) -> bool {
        matches!(self, Self::Increment(_) | Self::Append(_))
    }

    /// Returns what the write survives once it is acknowledged.
    pub(crate) fn durability(&self) -> Durability {
        match self {
            Self::Put(put) => put.durability,
            Self::Delete(delete) => delete.durability,
            Self::Increment(increment) => increment.0.durability,
            Self::Append(append) => append.0.durability,
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
