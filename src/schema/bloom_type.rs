//! The key of a file's general Bloom filter (hfile.md §12.2).

use std::fmt;

/// The key of a file's general Bloom filter (HBase: `BloomType`, the attribute BLOOMFILTER).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BloomType {
    /// Row keys.
    Row,
    /// Row keys with a qualifier. Deletes of a family are added with an empty qualifier.
    RowCol,
    /// Row prefixes of this many bytes, 1 to 32,767. A shorter row key is added whole.
    RowPrefixFixedLength(u32),
}

impl BloomType {
    /// Returns HBase's name, as in a file info.
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
