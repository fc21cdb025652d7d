//! Rows out of the parts that servers send (locator.md §13.3; HBase: `CompleteScanResultCache`,
//! `BatchScanResultCache`, `AllowPartialScanResultCache`).

use bytes::Bytes;
use hregion::{CellOrder, Corruption, Row, RowBuf, ScanLimits, ScanResult, SeekKey};
use std::cmp::Ordering;
use std::collections::VecDeque;

/// Puts rows together, or cuts them to the size of a batch.
pub(crate) struct Assembler {
    mode: Mode,
    order: CellOrder,
    reversed: bool,
    /// The parts of the last row that have not been returned.
    pieces: RowBuf,
    /// The last row that was returned from the current region, and whether all of it was.
    last: Option<(Bytes, bool)>,
    /// The last cell of a row that was returned in part.
    last_cell: Option<SeekKey>,
    /// The number of rows completed.
    completed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Whole rows.
    Complete,
    /// Parts of so many cells.
    Batch(usize),
    /// Parts as they come.
    Partial,
}

impl Assembler {
    pub(crate) fn new(limits: ScanLimits, order: CellOrder, reversed: bool) -> Self {
        let mode = match (limits.allow_partial, limits.batch) {
            (true, _) => Mode::Partial,
            (false, 0) => Mode::Complete,
            (false, batch) => Mode::Batch(usize::try_from(batch).unwrap_or(usize::MAX)),
        };
        Self { mode, order, reversed, pieces: RowBuf::new(), last: None, last_cell: None, completed: 0 }
    }

    /// Takes a result, and adds what is complete to `results`.
    ///
    /// # Errors
    ///
    /// If the row is not after the last one.
    pub(crate) fn take(
        &mut self,
        row: Row,
        partial: bool,
        results: &mut VecDeque<ScanResult>,
    ) -> Result<(), Corruption> {
        if !self.pieces.is_empty() && self.pieces.as_row().key() != row.key() {
            self.end_row(results);
        }
        let row = match self.compare_with_last(row.key()) {
            Ordering::Greater => row,
            Ordering::Equal if self.last.as_ref().is_some_and(|(_, complete)| !complete) => {
                self.skip_returned(&row)
            }
            _ => return Err(Corruption::Malformed("row that is not after the one before")),
        };
        // a row that was returned in part has ended
        if self.last.as_ref().is_some_and(|(last, complete)| !complete && last != row.key())
            && !row.is_empty()
        {
            self.complete_last();
        }
        match self.mode {
            Mode::Complete => {
                row.cells().for_each(|cell| self.pieces.push(cell));
                if !partial {
                    self.end_row(results);
                }
            }
            Mode::Partial => {
                if !row.is_empty() {
                    self.deliver(row, partial, results);
                } else if !partial {
                    self.complete_last();
                }
            }
            Mode::Batch(batch) => {
                for cell in row.cells() {
                    if self.pieces.len() == batch {
                        self.deliver_pieces(true, results);
                    }
                    self.pieces.push(cell);
                }
                if !partial {
                    self.end_row(results);
                } else if self.pieces.len() == batch {
                    self.deliver_pieces(true, results);
                }
            }
        }
        Ok(())
    }

    /// Returns what there is of the last row, which has ended.
    pub(crate) fn end_row(&mut self, results: &mut VecDeque<ScanResult>) {
        if self.pieces.is_empty() {
            self.complete_last();
        } else {
            self.deliver_pieces(false, results);
        }
    }

    /// Returns how many rows have been completed.
    pub(crate) fn completed(&self) -> u64 {
        self.completed
    }

    /// Forgets what has not been returned. Returns the last row that was returned from the region, if any, and
    /// whether all of it was.
    pub(crate) fn forget_pieces(&mut self) -> Option<(Bytes, bool)> {
        self.pieces.clear();
        self.last.clone()
    }

    /// Begins a region. Its rows are after those before.
    pub(crate) fn enter_region(&mut self) {
        (self.last, self.last_cell) = (None, None);
    }

    /// Compares a row with the last one returned, in the order of the scan.
    fn compare_with_last(&self, row: &[u8]) -> Ordering {
        let Some((last, _)) = &self.last else { return Ordering::Greater };
        let order = self.order.compare_rows(row, last);
        if self.reversed { order.reverse() } else { order }
    }

    /// Returns the cells of a row after those that were returned.
    fn skip_returned(&self, row: &Row) -> Row {
        let Some(last) = &self.last_cell else { return row.clone() };
        let mut rest = RowBuf::new();
        for cell in row.cells() {
            if self.order.compare(cell.key(), last.as_key()).is_gt() {
                rest.push(cell);
            }
        }
        rest.freeze()
    }

    fn deliver_pieces(&mut self, partial: bool, results: &mut VecDeque<ScanResult>) {
        let row = self.pieces.freeze();
        self.pieces.clear();
        self.deliver(row, partial, results);
    }

    fn deliver(&mut self, row: Row, partial: bool, results: &mut VecDeque<ScanResult>) {
        let is_new = self.last.as_ref().is_none_or(|(last, _)| last != row.key());
        let key = match self.last.take() {
            Some((key, _)) if !is_new => key,
            _ => Bytes::copy_from_slice(row.key()),
        };
        self.last = Some((key, false));
        self.last_cell = row.cells().last().map(|cell| SeekKey::from(cell.key()));
        if !partial {
            self.complete_last();
        }
        results.push_back(ScanResult { row, partial });
    }

    fn complete_last(&mut self) {
        if let Some((_, complete @ false)) = &mut self.last {
            *complete = true;
            self.completed += 1;
        }
    }
}
