//! What a matcher says of a cell (read-path.md §9.1).

use crate::error::Corruption;

/// What to do with a cell, and where to go from it (read-path.md §9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MatchCode {
    /// Return it; go to the next cell.
    Include,
    /// Return it; go to the next column, as [`key_for_next_column`](super::ScanQueryMatcher::key_for_next_column) says.
    IncludeAndSeekNextCol,
    /// Return it; go to the next row.
    IncludeAndSeekNextRow,
    /// Go to the next cell.
    Skip,
    /// Go to the next column, as [`key_for_next_column`](super::ScanQueryMatcher::key_for_next_column) says.
    SeekNextCol,
    /// Go to the next row.
    SeekNextRow,
    /// The cell is of another row than the current one: that row is complete.
    Done,
}

impl MatchCode {
    /// Whether the cell is returned.
    #[inline]
    pub(crate) fn is_include(self) -> bool {
        matches!(self, Self::Include | Self::IncludeAndSeekNextCol | Self::IncludeAndSeekNextRow)
    }
}

/// What is wrong with the cells. Small, since each cell is asked for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Disorder {
    /// The columns of a row do not ascend.
    Columns,
    /// A time to live is not of eight bytes but of so many.
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

/// How to get to the next column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Advance {
    /// Seek to the key, which is behind the cell; or step, without asking the matcher, until the column is left.
    Seek,
    /// Step to the next cell and ask the matcher about it. The key is not set.
    Step,
}
