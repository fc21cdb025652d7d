//! Assembles rows from the parts that servers send (locator.md §13.3; HBase: `CompleteScanResultCache`,
//! `BatchScanResultCache`, `AllowPartialScanResultCache`).

use bytes::Bytes;
use hregion::{CellOrder, CellRef, Corruption, Row, RowBuf, ScanLimits, ScanResult, SeekKey};
use std::cmp::Ordering;
use std::collections::VecDeque;

/// Joins the parts of rows, or cuts them to the size of a batch.
pub(crate) struct Assembler {
    mode: Mode,
    order: CellOrder,
    reversed: bool,
    /// The parts of the last row that have not been returned.
    pieces: RowBuf,
    /// The bytes of their cells, and the maximum.
    pieces_size: u64,
    max_row_size: u64,
    /// The last cell taken of a row, if more of the row may come.
    end: Option<SeekKey>,
    /// The last row that was returned from the current region.
    last_row: Option<Vec<u8>>,
    /// The last cell of that row that was returned, if more of the row may come.
    last_cell: Option<SeekKey>,
    /// After a reset within a row: its last cell that was returned.
    skip_to: Option<SeekKey>,
    /// The number of rows completed.
    completed: u64,
    /// Whether the last result was stale.
    stale: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// Whole rows.
    Complete,
    /// Parts with at most this number of cells.
    Batch(usize),
    /// Parts as they arrive.
    Partial,
}

impl Assembler {
    /// Assembles rows of at most `max_row_size` bytes out of parts.
    pub(crate) fn new(limits: ScanLimits, order: CellOrder, reversed: bool, max_row_size: usize) -> Self {
        let mode = match (limits.allow_partial, limits.batch) {
            (true, _) => Mode::Partial,
            (false, 0) => Mode::Complete,
            (false, batch) => Mode::Batch(usize::try_from(batch).unwrap_or(usize::MAX)),
        };
        Self {
            mode,
            order,
            reversed,
            pieces: RowBuf::new(),
            pieces_size: 0,
            max_row_size: max_row_size as u64,
            end: None,
            last_row: None,
            last_cell: None,
            skip_to: None,
            completed: 0,
            stale: false,
        }
    }

    /// Returns the number of cells so far of a row that may continue.
    pub(crate) fn pieces(&self) -> usize {
        self.pieces.len()
    }

    /// Returns the order of the rows.
    pub(crate) fn order(&self) -> CellOrder {
        self.order
    }

    /// Prepares for a result of a row. If this is not the row of the last result, that row has ended.
    ///
    /// # Errors
    ///
    /// If the row is not after the last one, or the last one when more of it may come.
    pub(crate) fn begin_row(
        &mut self,
        key: &[u8],
        results: &mut VecDeque<ScanResult>,
    ) -> Result<(), Corruption> {
        let (last, goes_on) = match &self.last_row {
            _ if !self.pieces.is_empty() => (self.pieces.as_row().key(), true),
            Some(last) => (&last[..], self.last_cell.is_some()),
            None => return Ok(()),
        };
        let order = self.order.compare_rows(key, last);
        match if self.reversed { order.reverse() } else { order } {
            Ordering::Greater => {
                self.skip_to = None;
                self.end_row(results);
                Ok(())
            }
            Ordering::Equal if goes_on => Ok(()),
            _ => Err(Corruption::Malformed("row that is not after the one before")),
        }
    }

    /// Takes a result, and adds completed results to `results`. Its row was [begun](Self::begin_row).
    ///
    /// # Errors
    ///
    /// If the cells are not after those before, or the parts are larger than a row may be.
    pub(crate) fn take(
        &mut self,
        row: Row,
        partial: bool,
        results: &mut VecDeque<ScanResult>,
    ) -> Result<(), Corruption> {
        self.stale = row.is_stale();
        let row = match &self.skip_to {
            Some(last) => self.cells_after(last, &row),
            None => row,
        };
        if partial || self.end.is_some() {
            self.follow(&row)?;
        }
        match self.mode {
            // most rows come whole
            Mode::Complete if !partial && self.pieces.is_empty() => self.deliver(row, false, results),
            Mode::Complete => {
                row.cells().try_for_each(|cell| self.push(cell))?;
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
                    self.push(cell)?;
                }
                if !partial {
                    self.end_row(results);
                } else if self.pieces.len() == batch {
                    self.deliver_pieces(true, results);
                }
            }
        }
        if !partial {
            self.end = None;
        }
        Ok(())
    }

    /// Checks that the cells of a part are in order, after those of the previous part. Equal ones are
    /// possible: of the versions of a column without a qualifier, with NEW_VERSION_BEHAVIOR (read-path.md
    /// §23.2).
    fn follow(&mut self, row: &Row) -> Result<(), Corruption> {
        let mut last = self.end.as_ref().map(SeekKey::as_key);
        for cell in row.cells() {
            if last.is_some_and(|last| self.order.compare(cell.key(), last).is_lt()) {
                return Err(Corruption::Malformed("cells of a row that are not after those before"));
            }
            last = Some(cell.key());
        }
        if let Some(cell) = row.cells().last() {
            self.end = Some(SeekKey::from(cell.key()));
        }
        Ok(())
    }

    /// Adds a cell to the parts of the row.
    fn push(&mut self, cell: CellRef<'_>) -> Result<(), Corruption> {
        let size = cell.key().as_bytes().len() + cell.value().len() + cell.tag_bytes().len();
        self.pieces_size = self.pieces_size.saturating_add(size as u64);
        if self.pieces_size > self.max_row_size {
            let what = "size of a row in parts, which a batch or partial results avoid,";
            return Err(Corruption::Limit { what, value: self.pieces_size, limit: self.max_row_size });
        }
        self.pieces.push(cell);
        Ok(())
    }

    /// Returns the rest of the last row, which has ended.
    pub(crate) fn end_row(&mut self, results: &mut VecDeque<ScanResult>) {
        self.end = None;
        if self.pieces.is_empty() {
            self.complete_last();
        } else {
            self.deliver_pieces(false, results);
        }
    }

    /// Returns the number of completed rows.
    pub(crate) fn completed(&self) -> u64 {
        self.completed
    }

    /// Forgets cells that have not been returned. Returns the last row that was returned from the region, if
    /// any, and whether all of it was.
    pub(crate) fn forget_pieces(&mut self) -> Option<(Bytes, bool)> {
        self.pieces.clear();
        (self.pieces_size, self.end) = (0, None);
        self.skip_to.clone_from(&self.last_cell);
        let is_complete = self.last_cell.is_none();
        self.last_row.as_deref().map(|row| (Bytes::copy_from_slice(row), is_complete))
    }

    /// Begins a region. Its rows follow those of the previous one.
    pub(crate) fn enter_region(&mut self) {
        (self.last_row, self.last_cell, self.skip_to, self.end) = (None, None, None, None);
    }

    /// Returns the cells of a row after `last`.
    fn cells_after(&self, last: &SeekKey, row: &Row) -> Row {
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
        self.pieces_size = 0;
        self.deliver(row, partial, results);
    }

    fn deliver(&mut self, row: Row, partial: bool, results: &mut VecDeque<ScanResult>) {
        let last_row = self.last_row.get_or_insert_default();
        last_row.clear();
        last_row.extend_from_slice(row.key());
        let last_cell = || row.cells().last().map(|cell| SeekKey::from(cell.key()));
        self.last_cell = if partial { last_cell() } else { None };
        self.completed += u64::from(!partial);
        results.push_back(ScanResult { row: row.with_stale(self.stale), partial });
    }

    /// Records that no more of the last row comes.
    fn complete_last(&mut self) {
        self.completed += u64::from(self.last_cell.take().is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::{CellType, Scan};

    /// Builds a row of the cells with these qualifiers.
    fn row(key: &str, qualifiers: &str) -> Row {
        let mut row = RowBuf::new();
        for qualifier in qualifiers.chars() {
            let key = SeekKey::of(key.as_bytes(), b"f", qualifier.to_string().as_bytes(), 1, CellType::Put);
            row.push(CellRef::new(key.as_key(), b"v"));
        }
        row.freeze()
    }

    /// Takes results, and returns the assembled ones: `row:qualifiers`, with `+` if more may follow.
    fn take(assembler: &mut Assembler, parts: &[(&str, &str, bool)]) -> Result<Vec<String>, Corruption> {
        let mut results = VecDeque::new();
        for (key, qualifiers, partial) in parts {
            assembler.begin_row(key.as_bytes(), &mut results)?;
            assembler.take(row(key, qualifiers), *partial, &mut results)?;
        }
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Ok(results
            .iter()
            .map(|result| {
                let qualifiers: String = result.row.cells().map(|cell| text(cell.qualifier())).collect();
                format!("{}:{qualifiers}{}", text(result.row.key()), if result.partial { "+" } else { "" })
            })
            .collect())
    }

    fn assembler(scan: &Scan) -> Assembler {
        Assembler::new(scan.limits(), CellOrder::User, scan.row_range().reversed, 1 << 10)
    }

    #[test]
    fn parts_become_rows() {
        let mut whole = assembler(&Scan::new());
        let parts = [("a", "12", true), ("a", "3", true), ("b", "1", true), ("c", "1", false)];
        assert_eq!(take(&mut whole, &parts).unwrap(), ["a:123", "b:1", "c:1"]);
        assert_eq!(whole.completed(), 3);
        // a part that is lost because its server failed
        assert_eq!(take(&mut whole, &[("d", "1", true)]).unwrap(), [""; 0]);
        assert_eq!(whole.forget_pieces(), Some(("c".into(), true)));
        assert_eq!(take(&mut whole, &[("d", "12", false)]).unwrap(), ["d:12"]);
        let mut results = VecDeque::new();
        for key in [&b"d"[..], b"c"] {
            assert!(whole.begin_row(key, &mut results).is_err(), "rows are not repeated");
        }
        let mut reversed = assembler(&Scan::new().reversed(true));
        assert_eq!(take(&mut reversed, &[("b", "1", false), ("a", "1", false)]).unwrap(), ["b:1", "a:1"]);
        assert!(reversed.begin_row(b"b", &mut results).is_err());
        reversed.enter_region();
        assert!(reversed.begin_row(b"b", &mut results).is_ok());
    }

    #[test]
    fn a_row_without_a_key_is_before_all_others() {
        for batch in [0, 1] {
            let mut rows = assembler(&Scan::new().batch(batch));
            assert_eq!(take(&mut rows, &[("", "1", false), ("a", "1", false)]).unwrap(), [":1", "a:1"]);
            assert!(take(&mut rows, &[("", "1", false)]).is_err());
            let mut reversed = assembler(&Scan::new().reversed(true).batch(batch));
            assert_eq!(take(&mut reversed, &[("a", "1", false), ("", "1", false)]).unwrap(), ["a:1", ":1"]);
            assert!(take(&mut reversed, &[("a", "1", false)]).is_err());
            assert!(take(&mut reversed, &[("", "1", false)]).is_err());
            assert_eq!(reversed.forget_pieces(), Some(("".into(), true)));
        }
    }

    #[test]
    fn rows_are_cut_to_batches() {
        let mut batches = assembler(&Scan::new().batch(2));
        let parts =
            [("a", "1", true), ("a", "23", true), ("a", "45", false), ("b", "12", true), ("c", "1", false)];
        assert_eq!(take(&mut batches, &parts).unwrap(), ["a:12+", "a:34+", "a:5", "b:12+", "c:1"]);
        assert_eq!(batches.completed(), 3);
        // the row is read again after a reset: returned cells are skipped
        assert_eq!(take(&mut batches, &[("d", "123", true)]).unwrap(), ["d:12+"]);
        assert_eq!(batches.forget_pieces(), Some(("d".into(), false)));
        assert_eq!(take(&mut batches, &[("d", "1234", true), ("d", "5", false)]).unwrap(), ["d:34+", "d:5"]);
        assert_eq!(batches.completed(), 4);
    }

    #[test]
    fn parts_are_returned_as_they_come() {
        let mut parts = assembler(&Scan::new().allow_partial(true));
        assert_eq!(take(&mut parts, &[("a", "12", true), ("a", "3", false)]).unwrap(), ["a:12+", "a:3"]);
        // equal cells of a raw scan stay, except after a reset
        assert_eq!(take(&mut parts, &[("b", "1", true), ("b", "1", true)]).unwrap(), ["b:1+", "b:1+"]);
        assert_eq!(parts.forget_pieces(), Some(("b".into(), false)));
        assert_eq!(take(&mut parts, &[("b", "1", false)]).unwrap(), [""; 0]);
        assert_eq!(parts.completed(), 2);
        assert_eq!(take(&mut parts, &[("c", "1", false)]).unwrap(), ["c:1"]);
    }

    #[test]
    fn parts_of_a_row_are_in_order_and_have_an_end() {
        for scan in [Scan::new(), Scan::new().batch(2), Scan::new().allow_partial(true)] {
            for parts in [
                &[("a", "12", true), ("a", "12", true)][..],
                &[("a", "12", true), ("a", "1", false)],
                &[("a", "1", true), ("a", "32", true)],
                &[("a", "21", true)],
            ] {
                assert!(take(&mut assembler(&scan), parts).is_err(), "{scan:?}: {parts:?}");
            }
            // another row starts from the beginning
            let parts = [("a", "12", true), ("b", "1", true), ("b", "2", false), ("c", "1", false)];
            assert!(take(&mut assembler(&scan), &parts).is_ok());
        }
        let endless = |scan: Scan| {
            let mut endless = assembler(&scan);
            let mut parts = (0..1000).map(|_| take(&mut endless, &[("a", "1", true)]));
            let error = parts.find_map(Result::err);
            (error, endless.pieces())
        };
        let (error, pieces) = endless(Scan::new());
        assert!(matches!(error, Some(Corruption::Limit { .. })), "{error:?}");
        assert!(pieces < 100);
        // returned cells are not kept
        assert!(endless(Scan::new().batch(2)).0.is_none());
    }
}
