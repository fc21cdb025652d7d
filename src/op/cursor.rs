//! A position between rows.

use crate::binary::StringBinary;
use bytes::Bytes;
use std::fmt;

/// The position a scan has reached, to continue from with [`Scan::resume`](crate::Scan::resume) (HBase:
/// `Cursor`).
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) row: Bytes,
    pub(crate) include: bool,
}

impl Cursor {
    /// Creates a position before `row` if `include` is true, else after it.
    #[must_use]
    pub fn new(row: impl Into<Bytes>, include: bool) -> Self {
        Self { row: row.into(), include }
    }

    /// Returns the row that the scan has reached.
    #[must_use]
    pub fn row(&self) -> &[u8] {
        &self.row
    }

    /// Whether that row must be read, because it was not read, or only in part.
    #[must_use]
    pub fn includes_row(&self) -> bool {
        self.include
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.include { "at" } else { "after" };
        write!(f, "Cursor({place} {})", StringBinary(&self.row))
    }
}
