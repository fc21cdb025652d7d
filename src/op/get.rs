//! Reads of one row.

use super::Select;
use super::select::select_methods;

/// A read of one row (HBase: `Get`).
#[derive(Clone, Debug, PartialEq)]
pub struct Get {
    pub(crate) row: Vec<u8>,
    pub(crate) select: Select,
}

impl Get {
    /// Creates a read of the newest version of every column of a row.
    #[must_use]
    pub fn new(row: impl AsRef<[u8]>) -> Self {
        Self { row: row.as_ref().to_vec(), select: Select::default() }
    }

    select_methods!();

    /// Replaces the row and keeps the rest. Allocates only if the row is longer than all before.
    pub fn set_row(&mut self, row: impl AsRef<[u8]>) {
        self.row.clear();
        self.row.extend_from_slice(row.as_ref());
    }

    /// Returns the row.
    #[must_use]
    pub fn row(&self) -> &[u8] {
        &self.row
    }
}
