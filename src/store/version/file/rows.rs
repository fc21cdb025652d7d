//! The range of a file's rows.

use crate::cell::{CellOrder, prefix};
use crate::error::{Corruption, Result};
use crate::hfile::HFile;
use crate::layout::{Half, Reference};

/// The first and the last row of a file, with their numeric prefixes. In most cases the prefixes decide
/// whether a row is in the range.
#[derive(Debug)]
pub(super) struct Rows {
    order: CellOrder,
    pub(super) first: Vec<u8>,
    pub(super) last: Vec<u8>,
    first_prefix: u64,
    last_prefix: u64,
}

impl Rows {
    fn new(hfile: &HFile, first: &[u8], last: &[u8], order: CellOrder) -> Result<Self> {
        if order.compare_rows(first, last).is_gt() {
            let corruption = Corruption::Malformed("hfile.LASTKEY is of a row before the first row");
            return Err(corruption.at(hfile.path(), hfile.trailer().offset()));
        }
        let (first_prefix, last_prefix) = match order {
            CellOrder::User => (prefix(first, 0), prefix(last, 0)),
            // Rows of `hbase:meta` do not sort as bytes, so prefixes decide nothing.
            CellOrder::Meta => (0, u64::MAX),
        };
        Ok(Self { order, first: first.to_vec(), last: last.to_vec(), first_prefix, last_prefix })
    }

    /// Returns the rows of a file; `None` without cells. For a half, finds the first or last row by the split
    /// key.
    pub(super) fn of(hfile: &HFile, order: CellOrder, reference: Option<&Reference>) -> Result<Option<Self>> {
        let Some(first) = hfile.first_key() else { return Ok(None) };
        let Some(last) = hfile.last_key() else {
            let corruption = Corruption::Malformed("hfile.LASTKEY is missing, though there are cells");
            return Err(corruption.at(hfile.path(), hfile.trailer().offset()));
        };
        let (first, last) = (first.row(), last.row());
        let Some(Reference { split_key, half }) = reference else {
            return Self::new(hfile, first, last, order).map(Some);
        };
        let mut cells = hfile.scanner();
        match half {
            Half::Top => drop(cells.seek(split_key)?),
            Half::Bottom => drop(cells.seek_before(split_key)?),
        }
        let Some(cell) = cells.peek() else { return Ok(None) };
        match half {
            Half::Top => Self::new(hfile, cell.row(), last, order),
            Half::Bottom => Self::new(hfile, first, cell.row(), order),
        }
        .map(Some)
    }

    /// Whether a row is between the first and the last one. `prefix` is the row's numeric prefix.
    #[inline]
    pub(super) fn may_contain(&self, row: &[u8], prefix: u64) -> bool {
        if prefix < self.first_prefix || prefix > self.last_prefix {
            return false;
        }
        self.first_prefix < prefix && prefix < self.last_prefix || self.overlap(row, row)
    }

    /// Whether any row from `start` to `stop`, both inclusive, is between the first and the last one. An
    /// empty bound means no bound.
    pub(super) fn overlap(&self, start: &[u8], stop: &[u8]) -> bool {
        (stop.is_empty() || self.order.compare_rows(&self.first, stop).is_le())
            && (start.is_empty() || self.order.compare_rows(&self.last, start).is_ge())
    }
}
