//! Merging what the segments and files of a store hold (read-path.md §8; HBase: `KeyValueScanner`, `KeyValueHeap`).

use super::file_scanner::{NextIndexedKey, StoreFileScanner};
use crate::block::data::Step;
use crate::block::search::{common_prefix, compare_to_common};
use crate::cell::{CellKey, CellOrder, CellRef, prefix, same_bytes};
use crate::error::Result;
use crate::hfile::{RowVisitor, RowWalk};
use crate::memstore::SegmentScanner;
use std::cmp::Ordering;
use std::fmt;
use std::ops::ControlFlow;
use std::path::Path;

/// A cursor over one source of cells.
#[expect(clippy::large_enum_variant, reason = "they are few, and a box would be a step more to each cell")]
pub(crate) enum KeyValueScanner<'s> {
    Segment(SegmentScanner<'s>),
    File(StoreFileScanner<'s>),
}

impl KeyValueScanner<'_> {
    #[inline]
    pub(crate) fn peek(&self) -> Option<CellRef<'_>> {
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
            Self::File(scanner) => scanner.advance().map(drop),
        }
    }

    #[inline]
    fn walk<B>(&mut self, mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<B>) -> Result<Option<B>> {
        match self {
            Self::File(scanner) => scanner.walk(visit),
            Self::Segment(scanner) => {
                while let Some(cell) = scanner.peek() {
                    if let ControlFlow::Break(broken_off) = visit(cell) {
                        return Ok(Some(broken_off));
                    }
                    scanner.advance();
                }
                Ok(None)
            }
        }
    }

    /// Lends the cells of a row from the one it stands on on, until `visitor` breaks off. `row` is memory to
    /// use.
    #[inline]
    fn walk_row<V: RowVisitor>(&mut self, row: &mut Vec<u8>, visitor: &mut V) -> Result<RowWalk<V::Break>> {
        match self {
            Self::File(scanner) => {
                if let Some(walked) = scanner.walk_row(row, visitor)? {
                    return Ok(walked);
                }
            }
            Self::Segment(scanner) => match scanner.walk_row(|cell| visitor.visit_in_row(cell)) {
                Some(ControlFlow::Break(broken_off)) => return Ok(RowWalk::BrokenOff(broken_off)),
                Some(ControlFlow::Continue(Step::End)) => return self.walk_row_on(row, visitor),
                Some(ControlFlow::Continue(_)) => return Ok(RowWalk::RowEnd),
                None => {}
            },
        }
        self.walk_row_by_cell(row, visitor)
    }

    /// Lends the cell it stands on if it is seen at once that its row ends there, and goes on if `visit` has a result; else there
    /// is none, and it stays.
    #[inline]
    fn walk_lone<R>(&mut self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Option<R> {
        match self {
            Self::File(scanner) => scanner.walk_lone(visit),
            Self::Segment(scanner) => scanner.walk_lone(visit),
        }
    }

    /// As [`walk_row`](Self::walk_row), whatever the source is.
    fn walk_row_by_cell<B>(
        &mut self,
        row: &mut Vec<u8>,
        visitor: &mut dyn RowVisitor<Break = B>,
    ) -> Result<RowWalk<B>> {
        let Some(cell) = self.peek() else { return Ok(RowWalk::End) };
        match visitor.visit_in_row(cell) {
            ControlFlow::Break(broken_off) => Ok(RowWalk::BrokenOff(broken_off)),
            ControlFlow::Continue(()) => self.walk_row_on(row, visitor),
        }
    }

    /// Goes on with [`walk_row`](Self::walk_row) behind the cell it stands on.
    fn walk_row_on<B>(
        &mut self,
        row: &mut Vec<u8>,
        visitor: &mut dyn RowVisitor<Break = B>,
    ) -> Result<RowWalk<B>> {
        row.clear();
        row.extend_from_slice(self.peek_row().unwrap_or_default());
        loop {
            self.advance()?;
            let Some(cell) = self.peek() else { return Ok(RowWalk::End) };
            if !same_bytes(cell.row(), row) {
                return Ok(RowWalk::RowEnd);
            }
            if let ControlFlow::Break(broken_off) = visitor.visit_in_row(cell) {
                return Ok(RowWalk::BrokenOff(broken_off));
            }
        }
    }

    /// The row of the cell it stands on.
    #[inline(always)] // the loop of every scan
    fn peek_row(&self) -> Option<&[u8]> {
        match self {
            Self::File(scanner) => scanner.peek_row(),
            Self::Segment(scanner) => scanner.peek_row(),
        }
    }

    /// Shows the first row and the last one of the source.
    fn bounds(&self, mut see: impl FnMut(&[u8])) {
        match self {
            Self::File(scanner) => {
                [scanner.file().first_row(), scanner.file().last_row()].into_iter().flatten().for_each(see);
            }
            Self::Segment(scanner) => {
                [scanner.first_row(), scanner.last_row()].into_iter().flatten().for_each(|row| see(&row));
            }
        }
    }

    fn seek(&mut self, key: &CellKey) -> Result<()> {
        match self {
            Self::Segment(scanner) => {
                scanner.seek(key);
                Ok(())
            }
            Self::File(scanner) => scanner.seek(key).map(drop),
        }
    }

    fn reseek(&mut self, key: &CellKey) -> Result<()> {
        match self {
            Self::Segment(scanner) => {
                scanner.reseek(key);
                Ok(())
            }
            Self::File(scanner) => scanner.reseek(key).map(drop),
        }
    }

    /// As [`reseek`](Self::reseek), or [`seek`](Self::seek), but a file may put it off.
    fn request_seek(&mut self, key: &CellKey, forward: bool, use_bloom: bool) -> Result<()> {
        match self {
            Self::File(scanner) => scanner.request_seek(key, forward, use_bloom).map(drop),
            Self::Segment(_) if forward => self.reseek(key),
            Self::Segment(_) => self.seek(key),
        }
    }

    #[inline]
    fn real_seek_done(&self) -> bool {
        match self {
            Self::Segment(_) => true,
            Self::File(scanner) => scanner.real_seek_done(),
        }
    }

    fn enforce_seek(&mut self) -> Result<()> {
        match self {
            Self::Segment(_) => Ok(()),
            Self::File(scanner) => scanner.enforce_seek().map(drop),
        }
    }
}

/// How a heap moves to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SeekMode {
    /// At once.
    Real,
    /// When the cell is needed; `bloom` says whether a filter may be asked instead.
    Lazy { bloom: bool },
}

/// Scanners merged by the order of their cells; of equal cells, that of the newer source comes first.
///
/// The scanner on top is one that has really been sought: a cell that stands for one not looked for yet is never lent, but
/// for that by which a filter says that there is none.
///
/// Of each scanner's cell a prefix of the row is kept, so that most comparisons take one instruction. Of few scanners the
/// least is found by looking at all, which takes no branch that could be foretold wrongly; of many, by a heap of their
/// numbers. Either only happens when the one on top may no longer be it.
pub(crate) struct KeyValueHeap<'s> {
    /// From the oldest source to the newest.
    scanners: Vec<KeyValueScanner<'s>>,
    /// What each scanner's cell begins with: see [`Prefix::of`]. The largest number if there is no cell.
    heads: Vec<u64>,
    /// The numbers of the scanners, each before the two that are at twice its place and one or two more; empty if they are few.
    tree: Vec<usize>,
    order: CellOrder,
    prefix: Prefix,
    top: usize,
    /// The least prefix among the others.
    runner_up: u64,
}

/// So many scanners are few.
const FEW: usize = 8;

const NOTHING: u64 = u64::MAX;

/// What rows begin with, as a number.
#[derive(Clone, Debug)]
pub(super) struct Prefix {
    order: CellOrder,
    /// What all rows of the sources had in common when this was made.
    common: Vec<u8>,
}

impl Prefix {
    /// Of what rows begin with.
    pub(super) fn plain(order: CellOrder) -> Self {
        Self { order, common: Vec::new() }
    }

    /// Of what is behind the bytes that the sources' rows have in common, so that it tells rows apart though they
    /// all begin alike.
    fn new(scanners: &[KeyValueScanner<'_>], order: CellOrder) -> Self {
        // one alone is compared with nothing
        if scanners.len() > 1 {
            Self::of_rows(order, |mut see| scanners.iter().for_each(|scanner| scanner.bounds(&mut see)))
        } else {
            Self::plain(order)
        }
    }

    /// The same, of rows that `show` gives.
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

    /// A number that sorts as the row does, as far as it tells rows apart. Rows that do not begin as the others, which may
    /// have been written meanwhile, have the least number or the greatest.
    #[inline]
    pub(super) fn of(&self, row: &[u8]) -> u64 {
        if self.order == CellOrder::Meta {
            // its rows do not compare as bytes
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
    /// Of scanners that stand nowhere yet, from the oldest source to the newest; `many_rows` says that more than one is to
    /// be read.
    pub(crate) fn new(scanners: Vec<KeyValueScanner<'s>>, order: CellOrder, many_rows: bool) -> Self {
        let heads = vec![NOTHING; scanners.len()];
        let tree = if scanners.len() > FEW { (0..scanners.len()).collect() } else { Vec::new() };
        let prefix = if many_rows { Prefix::new(&scanners, order) } else { Prefix::plain(order) };
        Self { scanners, heads, tree, order, prefix, top: 0, runner_up: NOTHING }
    }

    /// Goes to the first cell that is not before `key`, from anywhere.
    pub(crate) fn seek(&mut self, key: &CellKey, mode: SeekMode) -> Result<()> {
        for i in 0..self.scanners.len() {
            match mode {
                SeekMode::Real => self.scanners[i].seek(key)?,
                SeekMode::Lazy { bloom } => self.scanners[i].request_seek(key, false, bloom)?,
            }
            self.look(i);
        }
        self.select_anew()
    }

    /// Goes forward to the first cell that is not before `key`.
    pub(crate) fn reseek(&mut self, key: &CellKey, mode: SeekMode) -> Result<()> {
        let prefix = self.prefix.of(key.row());
        // with one scanner left there is nothing to gain by putting a seek off
        let others = self.heads.iter().filter(|&&head| head != NOTHING).nth(1).is_some();
        for i in 0..self.scanners.len() {
            if !self.is_before(i, prefix, key) {
                continue;
            }
            match mode {
                SeekMode::Lazy { bloom } if others => self.scanners[i].request_seek(key, true, bloom)?,
                _ => self.scanners[i].reseek(key)?,
            }
            self.look(i);
        }
        self.select_anew()
    }

    /// Goes to the next cell.
    #[inline]
    pub(crate) fn advance(&mut self) -> Result<()> {
        let Some(scanner) = self.scanners.get_mut(self.top) else { return Ok(()) };
        scanner.advance()?;
        if self.heads.len() == 1 {
            return Ok(());
        }
        self.settle_top()
    }

    /// Lends cells from the one on top on, until `visit` breaks off or there are no more; the cell that it broke off at
    /// is on top then.
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
            let (prefix, runner_up, mut is_top) = (&self.prefix, self.runner_up, true);
            let mut head = self.heads[self.top];
            let ended = scanner.walk(|cell| {
                if !is_top {
                    head = prefix.of(cell.row());
                    // the next scanner's turn, perhaps
                    if head >= runner_up {
                        return ControlFlow::Break(None);
                    }
                }
                is_top = false;
                visit(cell).map_break(Some)
            });
            match ended {
                Ok(Some(broken_off)) => {
                    self.heads[self.top] = head;
                    if broken_off.is_some() {
                        return Ok(broken_off);
                    }
                }
                Ok(None) => self.heads[self.top] = NOTHING,
                Err(error) => {
                    self.look(self.top);
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
    pub(crate) fn has_row_alone(&self) -> bool {
        self.heads.len() == 1 || self.heads.get(self.top).is_some_and(|head| *head < self.runner_up)
    }

    /// Lends the cells of the row on top, which [has it alone](Self::has_row_alone), from the one on top on, until `visitor`
    /// breaks off; what it broke off at, or the next row, is on top then. `row` is memory to use.
    #[inline]
    pub(crate) fn walk_row<V: RowVisitor>(
        &mut self,
        row: &mut Vec<u8>,
        visitor: &mut V,
    ) -> Result<RowWalk<V::Break>> {
        let Some(scanner) = self.scanners.get_mut(self.top) else { return Ok(RowWalk::End) };
        let walked = scanner.walk_row(row, visitor);
        if self.heads.len() == 1 || matches!(walked, Ok(RowWalk::BrokenOff(_))) {
            return walked;
        }
        match walked {
            Ok(_) => self.settle_top()?,
            Err(_) => self.look(self.top),
        }
        match walked {
            Ok(RowWalk::End) if self.peek_row().is_some() => Ok(RowWalk::RowEnd),
            walked => walked,
        }
    }

    /// Lends the cell on top if it is seen at once that there is no other behind it in its row, and goes on if `visit` has a result;
    /// else there is none, and it stays.
    #[inline]
    pub(crate) fn walk_lone<R>(&mut self, visit: impl FnOnce(CellRef<'_>) -> Option<R>) -> Result<Option<R>> {
        if !self.has_row_alone() {
            return Ok(None);
        }
        let Some(scanner) = self.scanners.get_mut(self.top) else { return Ok(None) };
        let result = scanner.walk_lone(visit);
        if result.is_some() && self.heads.len() > 1 {
            self.settle_top()?;
        }
        Ok(result)
    }

    /// Takes so many steps at most towards the next row, if the one on top is known to have its row alone; where the last
    /// one led, or [`Step::End`] if that is not to be told.
    #[inline]
    pub(crate) fn pass_row(&mut self, steps: usize) -> Result<Step> {
        if !self.has_row_alone() {
            return Ok(Step::End);
        }
        let Some(KeyValueScanner::File(scanner)) = self.scanners.get_mut(self.top) else {
            return Ok(Step::End);
        };
        let step = scanner.pass_row(steps);
        if step == Step::NextRow && self.heads.len() > 1 {
            self.settle_top()?;
        }
        Ok(step)
    }

    /// The row of the cell on top.
    #[inline]
    pub(crate) fn peek_row(&self) -> Option<&[u8]> {
        self.scanners.get(self.top)?.peek_row()
    }

    /// The cell on top.
    #[inline]
    pub(crate) fn peek(&self) -> Option<CellRef<'_>> {
        self.scanners.get(self.top)?.peek()
    }

    /// What is known of the block behind the one in which the top stands.
    pub(crate) fn next_indexed_key(&self) -> NextIndexedKey<'_> {
        match self.scanners.get(self.top) {
            Some(KeyValueScanner::File(scanner)) => scanner.next_indexed_key(),
            _ => NextIndexedKey::Unknown,
        }
    }

    /// Where the cell on top comes from, for errors.
    #[cold]
    pub(crate) fn path_of_top(&self) -> &Path {
        match self.scanners.get(self.top) {
            Some(KeyValueScanner::File(scanner)) => scanner.file().path(),
            _ => Path::new("MemStore"),
        }
    }

    /// Whether a scanner stands before a key.
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

    /// Notes what a scanner stands on.
    #[inline]
    fn look(&mut self, i: usize) {
        self.heads[i] = match self.scanners[i].peek_row() {
            Some(row) => self.prefix.of(row),
            None => NOTHING,
        };
    }

    /// Finds the scanner on top, now that the one that was there may have moved on.
    #[inline]
    fn settle_top(&mut self) -> Result<()> {
        self.look(self.top);
        if self.heads[self.top] < self.runner_up {
            return Ok(());
        }
        self.select()
    }

    /// As [`select`](Self::select), whatever scanners have moved.
    fn select_anew(&mut self) -> Result<()> {
        for place in (0..self.tree.len() / 2).rev() {
            self.sift(place);
        }
        self.select()
    }

    /// Finds the scanner on top, now that the one that was there has moved, and makes it seek if it has put that off.
    #[inline]
    fn select(&mut self) -> Result<()> {
        loop {
            self.find_top();
            match self.scanners.get_mut(self.top) {
                Some(scanner) if !scanner.real_seek_done() => scanner.enforce_seek()?,
                _ => return Ok(()),
            }
            self.look(self.top);
        }
    }

    #[inline]
    fn find_top(&mut self) {
        if !self.tree.is_empty() {
            return self.find_top_in_tree();
        }
        let least;
        (self.top, least, self.runner_up) = least_two(self.heads.iter().copied());
        if self.runner_up == least {
            self.compare_equals(least);
        }
    }

    /// Finds the scanner on top among those whose cells begin alike; the oldest of them is there.
    fn compare_equals(&mut self, least: u64) {
        for i in self.top + 1..self.heads.len() {
            if self.heads[i] == least && self.precedes(i, self.top) {
                self.top = i;
            }
        }
    }

    fn find_top_in_tree(&mut self) {
        self.sift(0);
        self.top = self.tree[0];
        // there are more than a few
        self.runner_up = self.heads[self.tree[1]].min(self.heads[self.tree[2]]);
    }

    /// Puts the scanner at a place of the tree where it belongs below.
    fn sift(&mut self, mut place: usize) {
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if child < self.tree.len() && self.is_above(self.tree[child], self.tree[least]) {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.tree.swap(place, least);
            place = least;
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

    /// Whether the cell of one scanner comes before that of an older one.
    fn precedes(&self, newer: usize, older: usize) -> bool {
        comes_first(self.order, self.scanners[newer].peek(), self.scanners[older].peek())
    }
}

/// The place of the least of some numbers, the first of those that are it, with the number and that of the least of the others:
/// [`NOTHING`] where there is none.
#[inline]
pub(super) fn least_two(numbers: impl Iterator<Item = u64>) -> (usize, u64, u64) {
    let (mut place, mut least, mut runner_up) = (0, NOTHING, NOTHING);
    for (i, number) in numbers.enumerate() {
        // without a branch: which one is less is chance
        runner_up = runner_up.min(number.max(least));
        place = if number < least { i } else { place };
        least = number.min(least);
    }
    (place, least, runner_up)
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
