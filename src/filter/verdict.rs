//! The verdict of a filter on a cell.

/// The action for a cell, and the position at which to continue (read-path.md §9.5, §13; HBase:
/// `Filter.ReturnCode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Return the cell; go to the next cell.
    Include,
    /// Return the cell; go to the next column.
    IncludeAndNextCol,
    /// Return the cell; skip the rest of the row in the cell's family.
    IncludeAndSeekNextRow,
    /// Go to the next cell.
    Skip,
    /// Go to the next column.
    NextCol,
    /// Skip the rest of the row in the cell's family.
    NextRow,
    /// Seek to the hint of [`FilterEvaluator::next_cell_hint`](super::FilterEvaluator::next_cell_hint).
    SeekNextUsingHint,
}

/// The extent to which a verdict skips cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reach {
    Cell,
    Column,
    Row,
}

impl Verdict {
    /// Whether the cell is returned.
    #[inline]
    #[must_use]
    pub fn is_include(self) -> bool {
        matches!(self, Self::Include | Self::IncludeAndNextCol | Self::IncludeAndSeekNextRow)
    }

    fn reach(self) -> Reach {
        match self {
            Self::Include | Self::Skip | Self::SeekNextUsingHint => Reach::Cell,
            Self::IncludeAndNextCol | Self::NextCol => Reach::Column,
            Self::IncludeAndSeekNextRow | Self::NextRow => Reach::Row,
        }
    }

    fn of(include: bool, reach: Reach) -> Self {
        match (include, reach) {
            (true, Reach::Cell) => Self::Include,
            (true, Reach::Column) => Self::IncludeAndNextCol,
            (true, Reach::Row) => Self::IncludeAndSeekNextRow,
            (false, Reach::Cell) => Self::Skip,
            (false, Reach::Column) => Self::NextCol,
            (false, Reach::Row) => Self::NextRow,
        }
    }

    /// Combines the verdicts of two filters that must both pass a cell: the longer skip wins (read-path.md
    /// §14.1). A hint is the longest.
    #[inline]
    pub(super) fn and(self, other: Self) -> Self {
        if self == Self::SeekNextUsingHint || other == Self::SeekNextUsingHint {
            return Self::SeekNextUsingHint;
        }
        Self::of(self.is_include() && other.is_include(), self.reach().max(other.reach()))
    }

    /// Combines the verdicts of two filters, one of which must pass a cell: the shorter skip wins
    /// (read-path.md §14.2).
    #[inline]
    pub(super) fn or(self, other: Self) -> Self {
        if self == Self::SeekNextUsingHint && other == Self::SeekNextUsingHint {
            return Self::SeekNextUsingHint;
        }
        Self::of(self.is_include() || other.is_include(), self.reach().min(other.reach()))
    }
}

#[cfg(test)]
mod tests {
    use super::Verdict::{
        self, Include as I, IncludeAndNextCol as Ic, IncludeAndSeekNextRow as Ir, NextCol as Nc,
        NextRow as Nr, SeekNextUsingHint as H, Skip as S,
    };

    const ALL: [Verdict; 7] = [I, Ic, Ir, S, Nc, Nr, H];

    /// The table of read-path.md §14.1, by row.
    #[test]
    fn both_must_pass() {
        let table = [
            (I, [I, Ic, Ir, S, Nc, Nr, H]),
            (Ic, [Ic, Ic, Ir, Nc, Nc, Nr, H]),
            (Ir, [Ir, Ir, Ir, Nr, Nr, Nr, H]),
        ];
        for (so_far, merged) in table {
            assert_eq!(ALL.map(|member| so_far.and(member)), merged, "{so_far:?}");
        }
    }

    /// The table of read-path.md §14.2, by row.
    #[test]
    fn one_must_pass() {
        let table = [
            (I, [I, I, I, I, I, I, I]),
            (Ic, [I, Ic, Ic, I, Ic, Ic, I]),
            (Ir, [I, Ic, Ir, I, Ic, Ir, I]),
            (S, [I, I, I, S, S, S, S]),
            (Nc, [I, Ic, Ic, S, Nc, Nc, S]),
            (Nr, [I, Ic, Ir, S, Nc, Nr, S]),
            (H, [I, I, I, S, S, S, H]),
        ];
        for (so_far, merged) in table {
            assert_eq!(ALL.map(|member| so_far.or(member)), merged, "{so_far:?}");
        }
    }
}
