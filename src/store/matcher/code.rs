//! The codes that a matcher returns for a cell (read-path.md §9.1).

use crate::error::Corruption;

/// The action for a cell, and the next position (read-path.md §9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatchCode {
    /// Return it; go to the next cell.
    Include,
    /// Return it; go to the next column, as
    /// [`key_for_next_column`](super::ScanQueryMatcher::key_for_next_column) decides.
    IncludeAndSeekNextCol,
    /// Return it; go to the next row.
    IncludeAndSeekNextRow,
    /// Go to the next cell.
    Skip,
    /// Go to the next column, as [`key_for_next_column`](super::ScanQueryMatcher::key_for_next_column)
    /// decides.
    SeekNextCol,
    /// Go to the next row.
    SeekNextRow,
}

impl MatchCode {
    /// Whether the cell is returned.
    #[inline]
    pub(crate) fn is_include(self) -> bool {
        matches!(self, Self::Include | Self::IncludeAndSeekNextCol | Self::IncludeAndSeekNextRow)
    }
}

/// An error in the cells. Small, since it is part of the result for each cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disorder {
    /// The columns of a row do not ascend.
    Columns,
    /// A time to live has this many bytes instead of eight.
    TtlTag(u16),
}

impl From<Disorder> for Corruption {
    fn from(disorder: Disorder) -> Self {
        match disorder {
            Disorder::Columns => Self::Malformed("columns of a row are out of order"),
            Disorder::TtlTag(len) => Self::length("TTL tag", 8, len.into()),
        }
    }
}

/// How to move to the next column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Advance {
    /// Seek the key, which is after the cell; or step to the end of the column, without calling the matcher.
    Seek,
    /// Step to the next cell and pass it to the matcher. The key is not set.
    Step,
}
