//! Merges the cells of a store's segments and files (read-path.md §8; HBase: `KeyValueHeap`).

use super::file_scanner::NextIndexedKey;
use super::key_value_scanner::KeyValueScanner;
use crate::block::data::RowStep;
use crate::block::search::{common_prefix, compare_to_common};
use crate::cell::{CellKey, CellOrder, CellRef, prefix};
use crate::error::Result;
use crate::hfile::{RowVisitor, RowWalk};
use std::cmp::Ordering;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

/// The way in which a heap seeks a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeekMode {
    /// Immediately.
    Real,
    /// When the cell is needed. `bloom`: whether a Bloom filter may decide instead.
    Lazy { bloom: bool },
}

/// Scanners merged by the order of their cells. Of equal cells, that of the newer source comes first.
///
/// The scanner on top has no delayed seek: lazily-seeked (fake) cells are never exposed, except the fake cell
/// after a column that a Bloom filter excludes.
///
/// The heap keeps a prefix of the row of each scanner's cell, so that most comparisons take one instruction.
/// Among few scanners the least is found by a linear scan, which avoids branch mispredictions; among many, by
/// a binary heap of their indices. Both run only when the scanner on top may have changed.
pub(crate) struct KeyValueHeap<'s> {
    /// From the oldest source to the newest.
    scanners: Vec<KeyValueScanner<'s>>,
    /// The prefix of each scanner's current row: see [`Prefix::of`]. [`NOTHING`] if there is no cell.
    heads: Vec<u64>,
    /// A binary heap of scanner indices: the children of position `p` are at `2p + 1` and `2p + 2`. Empty if
    /// there are at most [`FEW`] scanners.
    tree: Vec<usize>,
    order: CellOrder,
    prefix: Prefix,
    top: usize,
    /// The least prefix of the scanners other than the one on top.
    second_smallest: u64,
}

/// Up to this many scanners use a linear scan.
const FEW: usize = 8;

const NOTHING: u64 = u64::MAX;

/// Computes numeric prefixes of rows.
#[derive(Clone, Debug)]
pub(super) struct Prefix {
    order: CellOrder,
    /// The common prefix of all rows of the sources when this was made.
    common: Vec<u8>,
}

impl Prefix {
    /// Creates prefixes that begin at the first byte of a row.
    pub(super) fn plain(order: CellOrder) -> Self {
        Self { order, common: Vec::new() }
    }

    /// Creates prefixes that begin after the bytes common to all rows of the sources, so that they
    /// distinguish rows that begin alike.
    fn new(scanners: &[KeyValueScanner<'_>], order: CellOrder) -> Self {
        // A single scanner is never compared.
        if scanners.len() > 1 {
            Self::of_rows(order, |mut see| scanners.iter().for_each(|scanner| scanner.bounds(&mut see)))
        } else {
            Self::plain(order)
        }
    }

    /// Same as [`new`](Self::new), from the rows that `show` passes to its callback.
    pub(super) fn of_rows(order: CellOrder, show: impl FnOnce(&mut dyn FnMut(&[u8]))) -> Self {
        let mut common: Option<Vec<u8>> = None;
        if order == CellOrder::User {
            show(&mut |row| match &mut common {
                Some(common) => common.truncate(common_prefix(common, row)),
                None => common = Some(row.to_vec()),
            });
        }
        Self { order, common: common.unwrap_or_default() }
    }

    /// Returns a number that sorts as the row does, but may be equal for different rows. Rows without the
    /// common prefix, which may have been written later, map to the least or the greatest number.
    #[inline]
    pub(super) fn of(&self, row: &[u8]) -> u64 {
        if self.order == CellOrder::Meta {
            // Rows of `hbase:meta` do not compare as bytes.
            return 0;
        }
        if !self.common.is_empty() {
            match compare_to_common(row, &self.common) {
                Ordering::Less => return 0,
                Ordering::Greater => return u64::MAX,
                Ordering::Equal => {}
            }
        }
        prefix(row, self.common.len())
    }
}

impl<'s> KeyValueHeap<'s> {
    /// Creates a heap of scanners without a position, from the oldest source to the newest. `many_rows`:
    /// whether more than one row will be read.
    pub(crate) fn new(scanners: Vec<KeyValueScanner<'s>>, order: CellOrder, many_rows: bool) -> Self {
        let heads = vec![NOTHING; scanners.len()];
        let tree = if scanners.len() > FEW { (0..scanners.len()).collect() } else { Vec::new() };
        let prefix = if many_rows { Prefix::new(&scanners, order) } else { Prefix::plain(order) };
        Self { scanners, heads, tree, order, prefix, top: 0, second_smallest: NOTHING }
    }

    /// Seeks the first cell that is not before `key`, from any position.
    pub(crate) fn seek(&mut self, key: &CellKey, mode: SeekMode) -> Result<()> {
        for i in 0..self.scanners.len() {
            match mode {
                SeekMode::Real => self.scanners[i].seek(key)?,
                SeekMode::Lazy { bloom } => self.scanners[i].request_seek(key, false, bloom)?,
            }
            self.refresh_head(i);
        }
        self.rebuild()
    }

    /// Moves forward to the first cell that is not before `key`.
    pub(crate) fn reseek(&mut self, key: &CellKey, mode: SeekMode) -> Result<()> {
        let prefix = self.prefix.of(key.row());
        // With one scanner left, delaying a seek gains nothing.
        let others = self.heads.iter().filter(|&&head| head != NOTHING).nth(1).is_some();
        for i in 0..self.scanners.len() {
            if !self.is_before(i, prefix, key) {
                continue;
            }
            match mode {
                SeekMode::Lazy { bloom } if others => self.scanners[i].request_seek(key, true, bloom)?,
                _ => self.scanners[i].reseek(key)?,
            }
            self.refresh_head(i);
        }
        self.rebuild()
    }

    /// Moves to the next cell.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<()> {
        let Some(scanner) = self.scanners.get_mut(self.top) else { return Ok(()) };
        scanner.advance()?;
        if self.heads.len() == 1 {
            return Ok(());
        }
        self.resolve_top()
    }

    /// Passes cells to `visit`, from the one on top, until `visit` breaks or the cells end. After a break the
    /// cell that caused it is on top.
    #[inline]
    pub(crate) fn walk<B>(
        &mut self,
        mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>> {
        if let [scanner] = &mut *self.scanners {
            return scanner.walk(visit);
        }
        loop {
            let Some(scanner) = self.scanners.get_mut(self.top) else { return Ok(None) };
            let (prefix, second, mut is_top) = (&self.prefix, self.second_smallest, true);
            let mut head = self.heads[self.top];
            let ended = scanner.walk(|cell| {
                if !is_top {
                    head = prefix.of(cell.row());
                    // The next scanner may come first.
                    if head >= second {
                        return ControlFlow::Break(None);
                    }
                }
                is_top = false;
                visit(cell).map_break(Some)
            });
            match ended {
                Ok(Some(reason)) => {
                    self.heads[self.top] = head;
                    if reason.is_some() {
                        return Ok(reason);
                    }
                }
                Ok(None) => self.heads[self.top] = NOTHING,
                Err(error) => {
                    self.refresh_head(self.top);
                    return Err(error);
                }
            }
            self.select()?;
            if self.heads[self.top] == NOTHING && self.peek().is_none() {
                return Ok(None);
            }
        }
    }

    /// Whether all cells of the row on top are known to come from the scanner on top.
    #[inline]
    pub(crate) fn has_unshared_row(&self) -> bool {
        self.heads.len() == 1 || self.heads.get(self.top).is_some_and(|head| *head < self.second_smallest)
    }

    /// Passes the cells of the row on top to `visitor`, from the one on top, until `visitor` breaks. Requires
    /// [`has_unshared_row`](Self::has_unshared_row). Afterwards the cell that caused the break, or the next
    /// row, is on top. `row` is scratch memory.
    #[inline]
    pub(crate) fn walk_row<V: RowVisitor>(
        &mut self,
        row: &mut Vec<u8>,
        visitor: &mut V,
    ) -> Result<RowWalk<V::Break>> {
        let Some(scanner) = self.scanners.get_mut(self.top) else { return Ok(RowWalk::End) };
        let walked = scanner.walk_row(row, visitor);
        if self.heads.len() == 1 || matches!(walked, Ok(RowWalk::Stopped(_))) {
            return walked;
        }
        match walked {
            Ok(_) => self.resolve_top()?,
            Err(_) => self.refresh_head(self.top),
        }
        match walked {
            Ok(RowWalk::End) if self.peek_row().is_some() => Ok(RowWalk::RowEnd),
            walked => walked,
        }
    }

    /// If it is cheap to see that the cell on top is the last of its row, passes it to `visit`. Moves on if
    /// `visit` returns `Some`; otherwise stays and returns `None`.
    #[inline]
    pub(crate) fn visit_single_cell<R>(
        &mut self,
        visit: impl FnOnce(CellRef<'_>) -> Option<R>,
    ) -> Result<Option<R>> {
        if !self.has_unshared_row() {
            return Ok(None);
        }
        let Some(scanner) = self.scanners.get_mut(self.top) else { return Ok(None) };
        let result = scanner.visit_single_cell(visit);
        if result.is_some() && self.heads.len() > 1 {
            self.resolve_top()?;
        }
        Ok(result)
    }

    /// Takes up to `steps` steps towards the next row, if the scanner on top is known to have its row alone.
    /// Returns the result of the last step, or [`RowStep::End`] if that is unknown.
    #[inline]
    pub(crate) fn pass_row(&mut self, steps: usize) -> Result<RowStep> {
        if !self.has_unshared_row() {
            return Ok(RowStep::End);
        }
        let Some(KeyValueScanner::File(scanner)) = self.scanners.get_mut(self.top) else {
            return Ok(RowStep::End);
        };
        let step = scanner.pass_row(steps);
        if step == RowStep::NextRow && self.heads.len() > 1 {
            self.resolve_top()?;
        }
        Ok(step)
    }

    /// Returns the row of the cell on top.
    #[inline]
    pub(crate) fn peek_row(&self) -> Option<&[u8]> {
        self.scanners.get(self.top)?.peek_row()
    }

    /// Returns the cell on top.
    #[inline]
    pub(crate) fn peek(&self) -> Option<CellRef<'_>> {
        self.scanners.get(self.top)?.peek()
    }

    /// Returns the known bound of the block after the current one of the scanner on top.
    pub(crate) fn next_indexed_key(&self) -> NextIndexedKey<'_> {
        match self.scanners.get(self.top) {
            Some(KeyValueScanner::File(scanner)) => scanner.next_indexed_key(),
            _ => NextIndexedKey::Unknown,
        }
    }

    /// Returns the index of the scanner that the cell on top comes from.
    pub(super) fn source_of_top(&self) -> usize {
        self.top
    }

    /// Returns the path of the file that the cell on top comes from, for errors.
    #[cold]
    pub(crate) fn path_of_top(&self) -> &Path {
        match self.scanners.get(self.top) {
            Some(KeyValueScanner::File(scanner)) => scanner.file().path(),
            _ => Path::new("MemStore"),
        }
    }

    /// Whether a scanner's cell is before a key.
    #[inline]
    fn is_before(&self, i: usize, prefix: u64, key: &CellKey) -> bool {
        match self.heads[i].cmp(&prefix) {
            _ if self.heads.len() == 1 => {}
            Ordering::Less => return true,
            Ordering::Greater => return false,
            Ordering::Equal => {}
        }
        self.scanners[i].peek().is_some_and(|cell| self.order.compare(cell.key(), key).is_lt())
    }

    /// Updates the prefix of a scanner's cell.
    #[inline]
    fn refresh_head(&mut self, i: usize) {
        self.heads[i] = match self.scanners[i].peek_row() {
            Some(row) => self.prefix.of(row),
            None => NOTHING,
        };
    }

    /// Finds the scanner on top after the previous one may have moved.
    #[inline]
    fn resolve_top(&mut self) -> Result<()> {
        self.refresh_head(self.top);
        if self.heads[self.top] < self.second_smallest {
            return Ok(());
        }
        self.select()
    }

    /// Same as [`select`](Self::select), after any scanners may have moved.
    fn rebuild(&mut self) -> Result<()> {
        for position in (0..self.tree.len() / 2).rev() {
            self.sift_down(position);
        }
        self.select()
    }

    /// Finds the scanner on top after the previous one has moved, and makes its delayed seek.
    #[inline]
    fn select(&mut self) -> Result<()> {
        loop {
            self.find_top();
            match self.scanners.get_mut(self.top) {
                Some(scanner) if !scanner.real_seek_done() => scanner.enforce_seek()?,
                _ => return Ok(()),
            }
            self.refresh_head(self.top);
        }
    }

    #[inline]
    fn find_top(&mut self) {
        if !self.tree.is_empty() {
            return self.find_top_in_tree();
        }
        let least;
        (self.top, least, self.second_smallest) = least_two(self.heads.iter().copied());
        if self.second_smallest == least {
            self.compare_equals(least);
        }
    }

    /// Finds the scanner on top among those with the least prefix. `top` must be the oldest of them.
    fn compare_equals(&mut self, least: u64) {
        for i in self.top + 1..self.heads.len() {
            if self.heads[i] == least && self.precedes(i, self.top) {
                self.top = i;
            }
        }
    }

    fn find_top_in_tree(&mut self) {
        self.sift_down(0);
        self.top = self.tree[0];
        // The tree has more than [`FEW`] scanners.
        self.second_smallest = self.heads[self.tree[1]].min(self.heads[self.tree[2]]);
    }

    /// Sifts down the scanner at a position of the tree.
    fn sift_down(&mut self, mut position: usize) {
        loop {
            let mut least = position;
            for child in [2 * position + 1, 2 * position + 2] {
                if child < self.tree.len() && self.is_above(self.tree[child], self.tree[least]) {
                    least = child;
                }
            }
            if least == position {
                return;
            }
            self.tree.swap(position, least);
            position = least;
        }
    }

    /// Whether the cell of one scanner comes before that of another.
    fn is_above(&self, one: usize, other: usize) -> bool {
        match self.heads[one].cmp(&self.heads[other]) {
            Ordering::Less => true,
            Ordering::Greater => false,
            Ordering::Equal if one > other => self.precedes(one, other),
            Ordering::Equal => !self.precedes(other, one),
        }
    }

    /// Whether the cell of a newer scanner comes before that of an older one.
    fn precedes(&self, newer: usize, older: usize) -> bool {
        comes_first(self.order, self.scanners[newer].peek(), self.scanners[older].peek())
    }
}

/// Returns the index of the first least number, that number, and the least of the others. Numbers that do not
/// exist are [`NOTHING`].
#[inline]
pub(super) fn least_two(numbers: impl Iterator<Item = u64>) -> (usize, u64, u64) {
    let (mut position, mut least, mut second) = (0, NOTHING, NOTHING);
    for (i, number) in numbers.enumerate() {
        // Branch-free: the outcome of the comparison is unpredictable.
        second = second.min(number.max(least));
        position = if number < least { i } else { position };
        least = number.min(least);
    }
    (position, least, second)
}

/// Whether the cell of a newer source, if it has one, comes before that of an older one.
#[inline]
pub(super) fn comes_first(order: CellOrder, newer: Option<CellRef<'_>>, older: Option<CellRef<'_>>) -> bool {
    match (newer, older) {
        (Some(newer), Some(older)) => {
            order.compare(newer.key(), older.key()).then(older.seq_id().cmp(&newer.seq_id())).is_le()
        }
        (newer, _) => newer.is_some(),
    }
}

impl fmt::Debug for KeyValueHeap<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.scanners.iter().map(KeyValueScanner::peek)).finish()
    }
}
