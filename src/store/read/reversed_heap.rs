//! Merges the cells of a store's segments and files, row by row from the last to the first
//! (read-path.md §8.3; HBase: `ReversedKeyValueHeap`).

use super::heap::{Prefix, least_two};
use super::reversed_file_scanner::ReversedStoreFileScanner;
use crate::cell::{CellKey, CellOrder, CellRef, SeekKey};
use crate::error::Result;
use crate::memstore::ReversedSegmentScanner;
use std::cmp::Ordering;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

/// A cursor over one source of cells, row by row backward.
#[allow(clippy::large_enum_variant, reason = "one for each file of a scan")]
pub(crate) enum ReversedScanner<'s> {
    Segment(ReversedSegmentScanner<'s>),
    File(ReversedStoreFileScanner<'s>),
}

impl ReversedScanner<'_> {
    #[inline]
    fn peek(&self) -> Option<CellRef<'_>> {
        match self {
            Self::Segment(scanner) => scanner.peek(),
            Self::File(scanner) => scanner.peek(),
        }
    }

    #[inline]
    fn advance(&mut self) -> Result<()> {
        match self {
            Self::Segment(scanner) => {
                scanner.advance();
                Ok(())
            }
            Self::File(scanner) => scanner.advance(),
        }
    }

    #[inline]
    fn walk<B>(&mut self, mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>) -> Result<Option<B>> {
        match self {
            Self::File(scanner) => scanner.walk(visit),
            Self::Segment(scanner) => {
                while let Some(cell) = scanner.peek() {
                    if let ControlFlow::Break(reason) = visit(cell) {
                        return Ok(Some(reason));
                    }
                    scanner.advance();
                }
                Ok(None)
            }
        }
    }

    #[inline]
    fn peek_single_cell<R>(&self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        match self {
            Self::Segment(scanner) => scanner.peek_single_cell(visit),
            Self::File(scanner) => scanner.peek_single_cell(visit),
        }
    }

    #[inline]
    fn previous_row(&mut self) -> Result<()> {
        match self {
            Self::Segment(scanner) => {
                scanner.previous_row();
                Ok(())
            }
            Self::File(scanner) => scanner.previous_row(),
        }
    }

    fn seek_to_last_row(&mut self) -> Result<()> {
        match self {
            Self::Segment(scanner) => {
                scanner.seek_to_last_row();
                Ok(())
            }
            Self::File(scanner) => scanner.seek_to_last_row(),
        }
    }

    fn seek_before(&mut self, key: &CellKey) -> Result<()> {
        match self {
            Self::Segment(scanner) => {
                scanner.seek_before(key);
                Ok(())
            }
            Self::File(scanner) => scanner.seek_before(key),
        }
    }

    /// Same as [`seek_before`](Self::seek_before), for a key before the current row.
    fn reseek_before(&mut self, key: &CellKey) -> Result<()> {
        match self {
            Self::Segment(scanner) => {
                scanner.seek_before(key);
                Ok(())
            }
            Self::File(scanner) => scanner.reseek_before(key),
        }
    }

    fn reseek(&mut self, key: &CellKey) -> Result<()> {
        match self {
            Self::Segment(scanner) => {
                scanner.reseek(key);
                Ok(())
            }
            Self::File(scanner) => scanner.reseek(key),
        }
    }

    /// Passes the first and the last row of the source to `see`.
    fn bounds(&self, see: &mut dyn FnMut(&[u8])) {
        match self {
            Self::File(scanner) => {
                [scanner.file().first_row(), scanner.file().last_row()].into_iter().flatten().for_each(see);
            }
            Self::Segment(scanner) => {
                [scanner.first_row(), scanner.last_row()].into_iter().flatten().for_each(|row| see(&row));
            }
        }
    }
}

/// Scanners merged: the greatest row first, the cells of a row in their order, and of equal cells that of the
/// newer source first.
///
/// Every scanner is in its greatest row not yet read, and those in the greatest row of all are merged by
/// their cells. The heap keeps a prefix of each scanner's row, as [`KeyValueHeap`](super::heap::KeyValueHeap)
/// does. In the common case one scanner alone has a row, and its cells are not compared.
pub(crate) struct ReversedKeyValueHeap<'s> {
    /// From the oldest source to the newest.
    scanners: Vec<ReversedScanner<'s>>,
    /// The prefix of each scanner's row; 0 if it has none.
    heads: Vec<u64>,
    /// Indices of the scanners in the current row, the one on top last.
    in_row: Vec<usize>,
    order: CellOrder,
    prefix: Prefix,
    key: SeekKey,
}

impl<'s> ReversedKeyValueHeap<'s> {
    /// Creates a heap of scanners without a position, from the oldest source to the newest. `many_rows`:
    /// whether more than one row will be read.
    pub(crate) fn new(scanners: Vec<ReversedScanner<'s>>, order: CellOrder, many_rows: bool) -> Self {
        // A single scanner is never compared.
        let prefix = if many_rows && scanners.len() > 1 {
            Prefix::of_rows(order, |see| scanners.iter().for_each(|scanner| scanner.bounds(see)))
        } else {
            Prefix::plain(order)
        };
        Self {
            heads: vec![0; scanners.len()],
            in_row: Vec::with_capacity(scanners.len()),
            scanners,
            order,
            prefix,
            key: SeekKey::new(),
        }
    }

    /// Moves to the first cell of the last row that is not after `row`; if not `include`, of the last row
    /// before `row`. If `row` is empty, moves to the last row of all.
    pub(crate) fn seek(&mut self, row: &[u8], include: bool) -> Result<()> {
        if include {
            self.key.set_last_on_row(row);
        } else {
            self.key.set_first_on_row(row);
        }
        for (scanner, head) in self.scanners.iter_mut().zip(&mut self.heads) {
            if row.is_empty() {
                scanner.seek_to_last_row()?;
            } else {
                scanner.seek_before(&self.key)?;
            }
            *head = scanner.peek().map_or(0, |cell| self.prefix.of(cell.row()));
        }
        self.select_row();
        Ok(())
    }

    /// Moves on, in the direction of the scan, to the first cell that is not before `key` in its row or, if
    /// there is none, to the previous row (HBase: `backwardSeek`).
    pub(crate) fn reseek(&mut self, key: &CellKey) -> Result<()> {
        for i in 0..self.scanners.len() {
            let scanner = &mut self.scanners[i];
            let Some(cell) = scanner.peek() else { continue };
            match self.order.compare_rows(cell.row(), key.row()) {
                Ordering::Less => continue,
                Ordering::Equal => scanner.reseek(key)?,
                Ordering::Greater => {
                    scanner.reseek_before(self.key.set_last_on_row(key.row()))?;
                    if scanner.peek().is_some_and(|cell| cell.row() == key.row()) {
                        scanner.reseek(key)?;
                    }
                }
            }
            if scanner.peek().is_none() {
                scanner.previous_row()?;
            }
            self.refresh_head(i);
        }
        self.select_row();
        Ok(())
    }

    /// Moves to the next cell of the row or, after its last cell, to the first cell of the previous row.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<()> {
        let Some(&top) = self.in_row.last() else { return Ok(()) };
        let scanner = &mut self.scanners[top];
        scanner.advance()?;
        if scanner.peek().is_none() {
            return self.retire_top();
        }
        self.restore_top();
        Ok(())
    }

    /// Moves to the first cell of the row before the current one.
    #[inline]
    pub(crate) fn previous_row(&mut self) -> Result<()> {
        while self.in_row.len() > 1 {
            self.retire_top()?;
        }
        self.retire_top()
    }

    /// Passes cells to `visit`, from the one on top, until `visit` breaks or the cells end. After a break the
    /// cell that caused it is on top. Each row is followed by the row before it.
    #[inline]
    pub(crate) fn walk<B>(
        &mut self,
        mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        while let Some(&top) = self.in_row.last() {
            let scanner = &mut self.scanners[top];
            if self.in_row.len() == 1 {
                let reason = scanner.walk(&mut visit)?;
                if reason.is_some() {
                    return Ok(reason);
                }
                self.retire_top()?;
                continue;
            }
            if let Some(cell) = scanner.peek()
                && let ControlFlow::Break(reason) = visit(cell)
            {
                return Ok(Some(reason));
            }
            self.advance()?;
        }
        Ok(None)
    }

    /// If it is cheap to see that the cell on top is the last of its row, passes it to `visit`. Moves to the
    /// previous row if `visit` returns `Some`; otherwise stays and returns `None`.
    #[inline]
    pub(crate) fn visit_single_cell<R>(
        &mut self,
        visit: impl FnOnce(CellRef<'_>) -> Option<R>,
    ) -> Result<Option<R>> {
        let [top] = *self.in_row else { return Ok(None) };
        let result = self.scanners[top].peek_single_cell(visit);
        if result.is_some() {
            self.retire_top()?;
        }
        Ok(result)
    }

    /// Returns the cell on top.
    #[inline]
    pub(crate) fn peek(&self) -> Option<CellRef<'_>> {
        self.scanners.get(*self.in_row.last()?)?.peek()
    }

    /// Returns the index of the scanner that the cell on top comes from.
    pub(super) fn source_of_top(&self) -> usize {
        self.in_row.last().copied().unwrap_or_default()
    }

    /// Returns the path of the file that the cell on top comes from, for errors.
    #[cold]
    pub(crate) fn path_of_top(&self) -> &Path {
        match self.in_row.last().and_then(|&top| self.scanners.get(top)) {
            Some(ReversedScanner::File(scanner)) => scanner.file().path(),
            _ => Path::new("MemStore"),
        }
    }

    /// Moves the scanner on top to its previous row. Another scanner is on top then.
    #[inline]
    fn retire_top(&mut self) -> Result<()> {
        let Some(top) = self.in_row.pop() else { return Ok(()) };
        self.heads[top] = 0;
        self.scanners[top].previous_row()?;
        self.refresh_head(top);
        if self.in_row.is_empty() {
            self.select_row();
        }
        Ok(())
    }

    /// Updates the prefix of a scanner's row.
    #[inline]
    fn refresh_head(&mut self, i: usize) {
        // A single scanner is never compared.
        if self.heads.len() > 1 {
            self.heads[i] = self.scanners[i].peek().map_or(0, |cell| self.prefix.of(cell.row()));
        }
    }

    /// Finds the scanners in the greatest row.
    #[inline]
    fn select_row(&mut self) {
        self.in_row.clear();
        // The complement of the greatest number is the least.
        let (top, least, second) = least_two(self.heads.iter().map(|head| !head));
        if least < second {
            self.in_row.push(top);
        } else {
            self.select_among_equals();
        }
    }

    /// Same as [`select_row`](Self::select_row), if prefixes are equal or not kept.
    fn select_among_equals(&mut self) {
        for (i, scanner) in self.scanners.iter().enumerate() {
            let Some(&top) = self.in_row.last() else {
                if scanner.peek().is_some() {
                    self.in_row.push(i);
                }
                continue;
            };
            match self.heads[i].cmp(&self.heads[top]) {
                Ordering::Less => continue,
                Ordering::Greater => self.in_row.clear(),
                Ordering::Equal => {
                    let (Some(cell), Some(other)) = (scanner.peek(), self.scanners[top].peek()) else {
                        continue;
                    };
                    match self.order.compare_rows(cell.row(), other.row()) {
                        Ordering::Less => continue,
                        Ordering::Greater => self.in_row.clear(),
                        Ordering::Equal => {}
                    }
                }
            }
            self.in_row.push(i);
        }
        if self.in_row.len() > 1 {
            let (scanners, order) = (&self.scanners, self.order);
            self.in_row.sort_unstable_by(|&a, &b| compare(scanners, order, b, a));
        }
    }

    /// Finds the scanner on top after the previous one has moved.
    fn restore_top(&mut self) {
        for i in (1..self.in_row.len()).rev() {
            if compare(&self.scanners, self.order, self.in_row[i], self.in_row[i - 1]).is_lt() {
                return;
            }
            self.in_row.swap(i, i - 1);
        }
    }
}

/// Orders two scanners, given by index, by their cells.
fn compare(scanners: &[ReversedScanner<'_>], order: CellOrder, one: usize, other: usize) -> Ordering {
    let by_cell = match (scanners[one].peek(), scanners[other].peek()) {
        (Some(a), Some(b)) => order.compare(a.key(), b.key()).then(b.seq_id().cmp(&a.seq_id())),
        (a, b) => b.is_some().cmp(&a.is_some()),
    };
    by_cell.then(other.cmp(&one))
}

impl fmt::Debug for ReversedKeyValueHeap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.scanners.iter().map(ReversedScanner::peek)).finish()
    }
}

#[cfg(test)]
mod tests;
