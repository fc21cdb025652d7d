//! Filters on the family and the qualifier.

use super::{CellFilter, Comparator, Compare, Verdict};
use crate::cell::{CellRef, SeekKey};
use crate::error::{Error, Result};
use bytes::Bytes;
use std::cmp::Ordering;
use std::sync::Arc;

/// Passes families that satisfy a comparison (HBase: `FamilyFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FamilyFilter {
    pub(super) compare: Compare,
    pub(super) comparator: Comparator,
}

impl CellFilter for FamilyFilter {
    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        let family = cell.family();
        let passes = family.is_empty() || self.compare.passes(&self.comparator, family)?;
        Ok(if passes { Verdict::Include } else { Verdict::NextRow })
    }

    fn is_stateless(&self) -> bool {
        self.comparator.is_total()
    }
}

/// Passes qualifiers that satisfy a comparison (HBase: `QualifierFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct QualifierFilter {
    pub(super) compare: Compare,
    pub(super) comparator: Comparator,
}

impl CellFilter for QualifierFilter {
    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        let passes = self.compare.passes(&self.comparator, cell.qualifier())?;
        Ok(if passes { Verdict::Include } else { Verdict::Skip })
    }

    fn is_stateless(&self) -> bool {
        self.comparator.is_total()
    }
}

/// Passes qualifiers that start with a prefix (HBase: `ColumnPrefixFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ColumnPrefixFilter {
    pub(super) prefix: Bytes,
}

impl ColumnPrefixFilter {
    pub(super) fn new(prefix: Bytes) -> Self {
        Self { prefix }
    }
}

impl CellFilter for ColumnPrefixFilter {
    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        let qualifier = cell.qualifier();
        Ok(if qualifier.starts_with(&self.prefix) {
            Verdict::Include
        } else if *qualifier < *self.prefix {
            Verdict::SeekNextUsingHint
        } else {
            Verdict::NextRow
        })
    }

    fn next_cell_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        hint_column(cell, Some(&self.prefix), hint)
    }

    fn skip_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        hint_column(cell, Some(&self.prefix), hint)
    }

    fn is_hinting(&self) -> bool {
        true
    }

    fn is_stateless(&self) -> bool {
        true
    }
}

/// Sets a hint to a column of the cell's family. Reversed reads do not follow the hint (read-path.md §23.16),
/// but OR lists remember it.
pub(super) fn hint_column(cell: CellRef<'_>, qualifier: Option<&Bytes>, hint: &mut SeekKey) -> bool {
    let Some(qualifier) = qualifier else { return false };
    hint.set_first_on_column(cell.row(), cell.family(), qualifier);
    true
}

/// Passes qualifiers that start with one of several prefixes (HBase: `MultipleColumnPrefixFilter`).
///
/// Where prefixes are prefixes of each other, only the greatest one not greater than the qualifier counts
/// (read-path.md §23.6).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct MultipleColumnPrefixFilter {
    /// Sorted and distinct. Without any, all qualifiers pass.
    pub(super) prefixes: Arc<[Bytes]>,
    /// Index of the prefix that the hint seeks to: the first one greater than the qualifier passed last.
    next: usize,
}

impl MultipleColumnPrefixFilter {
    pub(super) fn new(mut prefixes: Vec<Bytes>) -> Result<Self> {
        prefixes.sort();
        if prefixes.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Error::invalid_argument("a filter of column prefixes has one of them twice"));
        }
        Ok(Self { prefixes: prefixes.into(), next: 0 })
    }

    /// Returns the number of prefixes that are not greater than the qualifier.
    fn passed(&self, qualifier: &[u8]) -> usize {
        self.prefixes.partition_point(|prefix| **prefix <= *qualifier)
    }

    fn starts_with(&self, qualifier: &[u8], passed: usize) -> bool {
        let greatest = passed.checked_sub(1).and_then(|at| self.prefixes.get(at));
        greatest.is_some_and(|prefix| qualifier.starts_with(prefix))
    }
}

impl CellFilter for MultipleColumnPrefixFilter {
    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        let passed = self.passed(cell.qualifier());
        self.next = passed;
        Ok(if self.prefixes.is_empty() || self.starts_with(cell.qualifier(), passed) {
            Verdict::Include
        } else if passed == self.prefixes.len() {
            Verdict::NextRow
        } else {
            Verdict::SeekNextUsingHint
        })
    }

    fn next_cell_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        hint_column(cell, self.prefixes.get(self.next), hint)
    }

    fn skip_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        let passed = self.passed(cell.qualifier());
        !self.starts_with(cell.qualifier(), passed) && hint_column(cell, self.prefixes.get(passed), hint)
    }

    fn is_hinting(&self) -> bool {
        true
    }

    fn is_stateless(&self) -> bool {
        true
    }
}

/// Passes qualifiers in a range (HBase: `ColumnRangeFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ColumnRangeFilter {
    /// The lower bound and whether it is inclusive; `None` is unbounded.
    pub(super) min: Option<Bytes>,
    pub(super) include_min: bool,
    pub(super) max: Option<Bytes>,
    pub(super) include_max: bool,
}

impl ColumnRangeFilter {
    pub(super) fn new(min: Option<Bytes>, include_min: bool, max: Option<Bytes>, include_max: bool) -> Self {
        Self { min, include_min, max, include_max }
    }
}

impl CellFilter for ColumnRangeFilter {
    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        let qualifier = cell.qualifier();
        let beyond = |bound: &Option<Bytes>, open| bound.as_ref().map_or(open, |bound| qualifier.cmp(bound));
        match beyond(&self.min, Ordering::Greater) {
            Ordering::Less => return Ok(Verdict::SeekNextUsingHint),
            Ordering::Equal if !self.include_min => return Ok(Verdict::NextCol),
            _ => {}
        }
        Ok(match beyond(&self.max, Ordering::Less) {
            Ordering::Less => Verdict::Include,
            Ordering::Equal if self.include_max => Verdict::Include,
            _ => Verdict::NextRow,
        })
    }

    fn next_cell_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        hint_column(cell, self.min.as_ref(), hint)
    }

    fn skip_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        hint_column(cell, self.min.as_ref(), hint)
    }

    fn is_hinting(&self) -> bool {
        true
    }

    fn is_stateless(&self) -> bool {
        true
    }
}
