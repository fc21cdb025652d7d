//! A place between rows.

use crate::binary::Binary;
use bytes::Bytes;
use std::fmt;

/// Where a scan has come to, from where a later one can go on: see [`Scan::resume`](crate::Scan::resume) (HBase: `Cursor`).
#[derive(Clone, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) row: Bytes,
    pub(crate) include: bool,
}

impl Cursor {
    /// A place before a row or behind it.
    #[must_use]
    pub fn new(row: impl Into<Bytes>, include: bool) -> Self {
        Self { row: row.into(), include }
    }

    /// The row read last.
    #[must_use]
    pub fn row(&self) -> &[u8] {
        &self.row
    }

    /// Whether that row is to be read again: only a piece of it has been.
    #[must_use]
    pub fn includes_row(&self) -> bool {
        self.include
    }
}

impl fmt::Debug for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.include { "at" } else { "behind" };
        write!(f, "Cursor({place} {})", Binary(&self.row))
    }
}
