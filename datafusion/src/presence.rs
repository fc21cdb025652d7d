//! Counts rows for queries that read none of their values.

use hregion::{CellRef, RowRef, Scan};
use hregion_arrow::Mapping;

/// The columns of a mapping, at least one of which a row must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Presence {
    /// Families and qualifiers, sorted.
    columns: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The number of cells of a row above which columns are sought by name, because a row may fill many blocks.
const MAX_CELLS: usize = 1000;

impl Presence {
    /// Returns the columns of a mapping; `None` if it has none.
    pub(crate) fn of(mapping: &Mapping) -> Option<Self> {
        let columns = mapping.columns().iter();
        let names = columns.map(|column| (column.family().to_vec(), column.qualifier().to_vec()));
        let mut columns: Vec<_> = names.collect();
        columns.sort();
        columns.dedup();
        (!columns.is_empty()).then_some(Self { columns })
    }

    /// Returns a scan of the families, which is faster than one of columns by name if rows have few cells.
    pub(crate) fn scan_of_families(&self) -> Scan {
        let mut families: Vec<&Vec<u8>> = self.columns.iter().map(|(family, _)| family).collect();
        families.dedup();
        families.into_iter().fold(Scan::new(), |scan, family| scan.family(family.clone())).max_versions(1)
    }

    /// Returns whether a row has any of the columns; `None` if only a read of the columns by name can
    /// determine this. `last` is the index of the column that was found last: most rows begin with the same
    /// one.
    pub(crate) fn is_in(&self, row: RowRef<'_>, last: &mut usize) -> Option<bool> {
        let mut has_latest = false;
        for cell in row.cells().filter(|cell| self.names(cell, last)) {
            // a read by name skips this version, and returns an older one, if it exists
            if cell.timestamp() != i64::MAX {
                return Some(true);
            }
            has_latest = true;
        }
        (!has_latest).then_some(false)
    }

    /// Whether a cell belongs to any of the columns.
    fn names(&self, cell: &CellRef<'_>, last: &mut usize) -> bool {
        let of = |(family, qualifier): &(Vec<u8>, Vec<u8>)| {
            (&family[..], &qualifier[..]).cmp(&(cell.family(), cell.qualifier()))
        };
        if self.columns.get(*last).is_some_and(|column| of(column).is_eq()) {
            return true;
        }
        let found = self.columns.binary_search_by(of);
        *last = found.unwrap_or(*last);
        found.is_ok()
    }

    /// Whether a row has many cells in other columns. For later rows, reading columns by name is then faster.
    pub(crate) fn is_wide(&self, row: RowRef<'_>) -> bool {
        row.len() > MAX_CELLS.max(self.columns.len().saturating_mul(4))
    }
}
