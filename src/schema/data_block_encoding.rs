//! Data block encodings, by name and id (hfile.md §7; HBase: `DataBlockEncoding`).

/// The encoding of cells in a file's data blocks (HBase: `DataBlockEncoding`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DataBlockEncoding {
    /// Plain cells, one after the other.
    #[default]
    None,
    /// Keys without the prefix shared with the previous key.
    Prefix,
    /// Like `Prefix`, with timestamps, types and lengths also stored as differences.
    Diff,
    /// Like `Diff`, but simpler, with equal values omitted.
    FastDiff,
    /// Like `None`, with an index of the rows after the cells.
    RowIndexV1,
}

impl DataBlockEncoding {
    /// All encodings.
    pub const ALL: [Self; 5] = [Self::None, Self::Prefix, Self::Diff, Self::FastDiff, Self::RowIndexV1];

    /// Returns HBase's name, as in a file info: `FAST_DIFF` …
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "NONE",
            Self::Prefix => "PREFIX",
            Self::Diff => "DIFF",
            Self::FastDiff => "FAST_DIFF",
            Self::RowIndexV1 => "ROW_INDEX_V1",
        }
    }

    /// Returns the encoding with a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.name() == name)
    }

    /// Returns the id stored at the start of an encoded block.
    #[must_use]
    pub fn id(self) -> u16 {
        match self {
            Self::None => 0,
            Self::Prefix => 2,
            Self::Diff => 3,
            Self::FastDiff => 4,
            Self::RowIndexV1 => 7,
        }
    }
}
