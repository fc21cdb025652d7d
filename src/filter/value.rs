//! Filters on values.

use super::{CellFilter, Comparator, Compare, Verdict};
use crate::cell::{CellRef, RowBuf, same_bytes};
use crate::error::{Error, Result};
use bytes::Bytes;
use std::sync::Arc;

/// A family and a qualifier.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Column {
    pub(super) family: Bytes,
    pub(super) qualifier: Bytes,
    /// The family's length, the family and the qualifier, as in a key.
    in_key: Arc<[u8]>,
}

impl Column {
    pub(super) fn new(family: Bytes, qualifier: Bytes) -> Self {
        // No key has a family of 255 bytes or more.
        let family_len = u8::try_from(family.len()).unwrap_or(u8::MAX);
        let in_key = [&[family_len][..], &family, &qualifier].concat().into();
        Self { family, qualifier, in_key }
    }

    #[inline]
    fn is_of(&self, cell: CellRef<'_>) -> bool {
        same_bytes(cell.key().column_bytes(), &self.in_key)
    }

    /// Removes the column's cells from a row.
    #[inline(never)] // keeps the caller short, which rarely needs it
    fn remove_from(&self, row: &mut RowBuf) {
        row.retain(|cell| !self.is_of(cell));
    }
}

/// Passes values that satisfy a comparison (HBase: `ValueFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ValueFilter {
    pub(super) compare: Compare,
    pub(super) comparator: Comparator,
}

impl CellFilter for ValueFilter {
    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        let passes = self.compare.passes(&self.comparator, cell.value())?;
        Ok(if passes { Verdict::Include } else { Verdict::Skip })
    }

    fn is_stateless(&self) -> bool {
        self.comparator.is_total()
    }
}

/// A condition on the value of one column that decides for whole rows, for
/// [`Filter::single_column_value`](super::Filter::single_column_value) (HBase: `SingleColumnValueFilter`,
/// `SingleColumnValueExcludeFilter`).
///
/// The column must be among the columns read; otherwise it counts as missing.
#[derive(Clone, Debug, PartialEq)]
pub struct SingleColumnValue {
    pub(super) column: Column,
    pub(super) compare: Compare,
    pub(super) comparator: Comparator,
    pub(super) filter_if_missing: bool,
    pub(super) latest_version_only: bool,
    pub(super) exclude: bool,
    found: bool,
    matched: bool,
}

impl SingleColumnValue {
    /// Requires that the newest version of the column satisfies a comparison; rows without the column pass.
    #[must_use]
    pub fn new(
        family: impl Into<Bytes>,
        qualifier: impl Into<Bytes>,
        compare: Compare,
        comparator: Comparator,
    ) -> Self {
        Self {
            column: Column::new(family.into(), qualifier.into()),
            compare,
            comparator,
            filter_if_missing: false,
            latest_version_only: true,
            exclude: false,
            found: false,
            matched: false,
        }
    }

    /// Sets whether rows without the column are dropped. If so, a row is decided on without other families.
    #[must_use]
    pub fn filter_if_missing(self, filter_if_missing: bool) -> Self {
        Self { filter_if_missing, ..self }
    }

    /// Sets whether only the newest version counts; otherwise one passing version is enough.
    #[must_use]
    pub fn latest_version_only(self, latest_version_only: bool) -> Self {
        Self { latest_version_only, ..self }
    }

    /// Sets whether the column itself is excluded from the result.
    #[must_use]
    pub fn exclude(self, exclude: bool) -> Self {
        Self { exclude, ..self }
    }
}

impl CellFilter for SingleColumnValue {
    fn reset(&mut self) {
        (self.found, self.matched) = (false, false);
    }

    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        if self.matched {
            return Ok(Verdict::Include);
        }
        if self.latest_version_only && self.found {
            return Ok(Verdict::NextRow);
        }
        if !self.column.is_of(cell) {
            return Ok(Verdict::Include);
        }
        self.found = true;
        if self.compare == Compare::NoOp {
            return Err(Error::invalid_argument("a filter by a column's value cannot compare with NO_OP"));
        }
        self.matched = self.compare.passes(&self.comparator, cell.value())?;
        Ok(if !self.matched && self.latest_version_only { Verdict::NextRow } else { Verdict::Include })
    }

    fn filter_row_cells(&mut self, row: &mut RowBuf) {
        if self.exclude {
            self.column.remove_from(row);
        }
    }

    fn filter_row(&mut self) -> bool {
        if self.found { !self.matched } else { self.filter_if_missing }
    }

    fn has_filter_row(&self) -> bool {
        true
    }

    fn is_family_essential(&self, family: &[u8]) -> bool {
        !self.filter_if_missing || self.column.family == family
    }
}

/// Passes the cells of one column whose values satisfy a comparison (HBase: `ColumnValueFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ColumnValueFilter {
    pub(super) column: Column,
    pub(super) compare: Compare,
    pub(super) comparator: Comparator,
    found: bool,
}

impl ColumnValueFilter {
    pub(super) fn new(column: Column, compare: Compare, comparator: Comparator) -> Self {
        Self { column, compare, comparator, found: false }
    }
}

impl CellFilter for ColumnValueFilter {
    fn reset(&mut self) {
        self.found = false;
    }

    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        if !self.column.is_of(cell) {
            return Ok(if self.found { Verdict::NextRow } else { Verdict::NextCol });
        }
        self.found = true;
        let passes = self.compare.passes(&self.comparator, cell.value())?;
        Ok(if passes { Verdict::Include } else { Verdict::Skip })
    }

    fn is_family_essential(&self, family: &[u8]) -> bool {
        self.column.family == family
    }
}

/// Passes cells that share a timestamp with a cell of the column (HBase: `DependentColumnFilter`).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct DependentColumnFilter {
    pub(super) column: Column,
    pub(super) drop_dependent: bool,
    /// The condition on the column's values; `None` accepts all values.
    pub(super) condition: Option<(Compare, Comparator)>,
    /// The timestamps of the column in the current row; descending and distinct.
    timestamps: Vec<i64>,
}

impl DependentColumnFilter {
    pub(super) fn new(
        column: Column,
        drop_dependent: bool,
        condition: Option<(Compare, Comparator)>,
    ) -> Self {
        Self { column, drop_dependent, condition, timestamps: Vec::new() }
    }
}

impl CellFilter for DependentColumnFilter {
    fn reset(&mut self) {
        self.timestamps.clear();
    }

    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        if !self.column.is_of(cell) {
            return Ok(Verdict::Include);
        }
        if let Some((compare, comparator)) = &self.condition
            && !compare.passes(comparator, cell.value())?
        {
            return Ok(Verdict::Skip);
        }
        // usually at the end: versions come newest first
        if let Err(at) = self.timestamps.binary_search_by(|known| cell.timestamp().cmp(known)) {
            self.timestamps.insert(at, cell.timestamp());
        }
        Ok(if self.drop_dependent { Verdict::Skip } else { Verdict::Include })
    }

    fn filter_row_cells(&mut self, row: &mut RowBuf) {
        row.retain(|cell| self.timestamps.binary_search_by(|known| cell.timestamp().cmp(known)).is_ok());
    }

    fn has_filter_row(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{CellType, SeekKey};

    /// Also for families that are longer than any cell's.
    #[test]
    fn a_column_has_the_cells_of_its_family_and_qualifier() {
        let long = [0, 1, 2, 126, 127, 128, 254, 255, 256, 257, 258].map(|len| Bytes::from(vec![b'f'; len]));
        let short = [&b"f"[..], b"fq", b"q", b"", b"\x01f", b"a longer one"].map(Bytes::from_static);
        for family in long.iter().chain(&short) {
            for qualifier in long.iter().chain(&short) {
                let column = Column::new(family.clone(), qualifier.clone());
                for of in long.iter().chain(&short).filter(|of| of.len() < 128) {
                    for name in long.iter().chain(&short) {
                        let key = SeekKey::of(b"row", of, name, 1, CellType::Put);
                        let expected = of == family && name == qualifier;
                        assert_eq!(column.is_of(CellRef::new(&key, b"v")), expected, "{column:?} {key}");
                    }
                }
            }
        }
    }
}
