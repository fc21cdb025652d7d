//! The rows of a file, from the first to the last.

use crate::cell::{CellOrder, prefix};
use crate::error::{Corruption, Result};
use crate::hfile::HFile;
use crate::layout::{Half, Reference};

/// The first row and the last one of a file, with what they begin with as numbers: these mostly tell that a row lies
/// between them, or does not.
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
            // these do not sort as bytes: nothing is told
            CellOrder::Meta => (0, u64::MAX),
        };
        Ok(Self { order, first: first.to_vec(), last: last.to_vec(), first_prefix, last_prefix })
    }

    /// Those of a file; none without cells. The one that the split key of a half cuts off is looked for.
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

    /// Whether a row lies between the first and the last; `prefix` is what it begins with, as a number.
    #[inline]
    pub(super) fn may_contain(&self, row: &[u8], prefix: u64) -> bool {
        if prefix < self.first_prefix || prefix > self.last_prefix {
            return false;
        }
        self.first_prefix < prefix && prefix < self.last_prefix || self.overlap(row, row)
    }

    /// Whether any row from `start` to `stop`, both included, lies between the first and the last. Empty ones bound
    /// nothing.
    pub(super) fn overlap(&self, start: &[u8], stop: &[u8]) -> bool {
        (stop.is_empty() || self.order.compare_rows(&self.first, stop).is_le())
            && (start.is_empty() || self.order.compare_rows(&self.last, start).is_ge())
    }
}
