//! What a file's general Bloom filter is a filter of (hfile.md §12.2).

use std::fmt;

/// What a file's general Bloom filter is a filter of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BloomType {
    /// Rows.
    Row,
    /// Rows with a qualifier. Deletes of a family are there with an empty one.
    RowCol,
    /// The first bytes of rows: at least 1. A shorter row is there as it is.
    RowPrefixFixedLength(u32),
}

impl BloomType {
    /// HBase's name, as in a file info.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Row => "ROW",
            Self::RowCol => "ROWCOL",
            Self::RowPrefixFixedLength(_) => "ROWPREFIX_FIXED_LENGTH",
        }
    }
}

impl fmt::Display for BloomType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
