//! Writes of any kind.

use super::{Append, Delete, Durability, Increment, Put};
use crate::cell::MAX_ROW_LEN;
use crate::error::{Error, Result};

/// A write of one row, of any kind (HBase: `Mutation`). Each kind converts into it: `Put::new("row").into()`.
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

    /// Returns the durability of the write.
    pub(crate) fn durability(&self) -> Durability {
        match self {
            Self::Put(put) => put.durability,
            Self::Delete(delete) => delete.durability,
            Self::Increment(increment) => increment.0.durability,
            Self::Append(append) => append.0.durability,
        }
    }
}

/// Fails for an invalid row of a write.
pub(crate) fn check_new_row(row: &[u8]) -> Result<()> {
    if row.is_empty() || row.len() > MAX_ROW_LEN {
        let message = format!("a row has 1 to {MAX_ROW_LEN} bytes, not {}", row.len());
        return Err(Error::invalid_argument(message));
    }
    Ok(())
}

pub(crate) fn check_timestamp(timestamp: Option<i64>) -> Result<()> {
    match timestamp {
        Some(negative @ ..0) => {
            Err(Error::invalid_argument(format!("a timestamp must not be negative: {negative}")))
        }
        _ => Ok(()),
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
