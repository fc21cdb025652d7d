//! What a filter says of a cell.

/// What to do with a cell, and where to go from it (read-path.md §9.5, §13; HBase: `Filter.ReturnCode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Return it; go to the next cell.
    Include,
    /// Return it; go to the next column.
    IncludeAndNextCol,
    /// Return it; go to the next row, as far as its family is concerned.
    IncludeAndSeekNextRow,
    /// Go to the next cell.
    Skip,
    /// Go to the next column.
    NextCol,
    /// Go to the next row, as far as the cell's family is concerned.
    NextRow,
    /// Go to where [`FilterState::next_cell_hint`](super::FilterState::next_cell_hint) says.
    SeekNextUsingHint,
}

/// How far a verdict leaps.
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

    /// What two filters say who must both pass a cell: the longer leap (read-path.md §14.1). A hint leaps farthest.
    #[inline]
    pub(super) fn and(self, other: Self) -> Self {
        if self == Self::SeekNextUsingHint || other == Self::SeekNextUsingHint {
            return Self::SeekNextUsingHint;
        }
        Self::of(self.is_include() && other.is_include(), self.reach().max(other.reach()))
    }

    /// What two filters say of whom one must pass a cell: the shorter leap (read-path.md §14.2).
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
