//! Cursors over the cells of one row in place: in cached blocks and in memory.

use super::heap::comes_first;
use crate::cell::{CellOrder, CellRef, compare_bytes, same_bytes};
use crate::hfile::{LookupStart, NotCached, RowCursor, RowLookup};
use crate::memstore::{Segment, SegmentScanner};
use crate::store::version::file::{SeqIds, StoreFile};
use std::cmp::Ordering;
use std::ops::ControlFlow;

/// The visible cells of a row in one file or segment. It is on a cell, or at the end.
pub(super) enum RowCells<'s> {
    File {
        cells: RowCursor<'s>,
        /// The sequence id of all cells, if it replaces the stored ones.
        seq_id: Option<i64>,
        /// The greatest sequence id that is visible.
        read_point: i64,
    },
    Segment {
        cells: SegmentScanner<'s>,
        row: &'s [u8],
    },
    End,
}

impl<'s> RowCells<'s> {
    /// Returns the row's cells in a file. Does not support halves of files: for these returns [`NotCached`].
    /// Adds to `partial_reads` for each uncached block of which a part was read.
    #[inline(always)] // large: constructed in place
    pub(super) fn of_file(
        file: &'s StoreFile,
        row: &'s [u8],
        read_point: i64,
        partial_reads: &mut u64,
    ) -> Result<Self, NotCached> {
        Self::of_started(file, file.hfile().begin_lookup(row), row, read_point, partial_reads)
    }

    /// Like [`of_file`](Self::of_file), if the lookup has been [begun](HFile::begin_lookup).
    #[inline(always)] // as `of_file`
    pub(super) fn of_started(
        file: &'s StoreFile,
        start: Option<LookupStart<'s>>,
        row: &'s [u8],
        read_point: i64,
        partial_reads: &mut u64,
    ) -> Result<Self, NotCached> {
        if file.is_reference() {
            return Err(NotCached);
        }
        let (seq_id, read_point) = match file.seq_ids() {
            SeqIds::Stored(greatest) if greatest <= read_point => (None, i64::MAX),
            SeqIds::Stored(_) => (None, read_point),
            SeqIds::All(id) if id > read_point => return Ok(Self::End),
            SeqIds::All(id) => (Some(id), i64::MAX),
        };
        match file.hfile().locate(start, row, partial_reads) {
            RowLookup::Absent => Ok(Self::End),
            RowLookup::NotCached => Err(NotCached),
            RowLookup::At(cells) => {
                let mut found = Self::File { cells, seq_id, read_point };
                if read_point < i64::MAX {
                    found.skip_invisible(read_point)?;
                }
                Ok(found)
            }
        }
    }

    /// Returns the row's cells in a segment.
    #[inline]
    pub(super) fn of_segment(segment: &'s Segment, row: &'s [u8], read_point: i64) -> Self {
        let mut cells = segment.scanner(read_point);
        cells.seek_to_row(row);
        match cells.peek() {
            Some(cell) if cell.row() == row => Self::Segment { cells, row },
            _ => Self::End,
        }
    }

    /// Returns the current cell.
    #[inline]
    pub(super) fn peek(&self) -> Option<CellRef<'_>> {
        match self {
            Self::File { cells, seq_id: None, .. } => Some(cells.peek()),
            Self::File { cells, seq_id: Some(id), .. } => Some(cells.peek().with_seq_id(*id)),
            Self::Segment { cells, .. } => cells.peek(),
            Self::End => None,
        }
    }

    /// Whether the current cell is known to be the last.
    #[inline]
    pub(super) fn is_last(&self) -> bool {
        matches!(self, Self::File { cells, .. } if cells.is_last())
    }

    /// Moves to the next cell.
    #[inline]
    pub(super) fn advance(&mut self) -> Result<(), NotCached> {
        let more = match self {
            Self::File { cells, read_point, .. } => {
                let mut more = cells.advance()?;
                while more && cells.peek().seq_id() > *read_point {
                    more = cells.advance()?;
                }
                more
            }
            Self::Segment { cells, row } => {
                cells.advance();
                cells.peek().is_some_and(|cell| same_bytes(cell.row(), row))
            }
            Self::End => return Ok(()),
        };
        if !more {
            *self = Self::End;
        }
        Ok(())
    }

    /// Passes visible cells to `visit` from the current one on, without moving: at most `most` cells are
    /// read, and of a file none of the next block.
    #[inline]
    pub(super) fn look_ahead(&self, most: usize, mut visit: impl FnMut(CellRef<'_>)) {
        match self {
            Self::File { cells, read_point, .. } => cells.look_ahead(most, |cell| {
                if *read_point == i64::MAX || cell.seq_id() <= *read_point {
                    visit(cell);
                }
            }),
            Self::Segment { cells, row } => cells.look_ahead(row, most, visit),
            Self::End => {}
        }
    }

    /// Moves to the first cell that decides on a column: one of the column, or a marker of the family. To the
    /// end if there is none, or after `most` cells to the next one.
    #[inline(never)] // most gets have nothing to skip
    pub(super) fn skip_to_column(&mut self, column: &[u8], most: usize) -> Result<(), NotCached> {
        for _ in 0..most {
            let Some(cell) = self.peek() else { return Ok(()) };
            let qualifier = cell.qualifier();
            match compare_bytes(qualifier, column) {
                // Markers of the family are in the column of the empty qualifier, even after its values.
                Ordering::Less if qualifier.is_empty() && cell.cell_type().is_family_delete() => break,
                Ordering::Less => self.advance()?,
                Ordering::Equal => break,
                Ordering::Greater => *self = Self::End,
            }
        }
        Ok(())
    }

    /// Moves on, if needed, to a visible cell.
    fn skip_invisible(&mut self, read_point: i64) -> Result<(), NotCached> {
        match self.peek() {
            Some(cell) if cell.seq_id() > read_point => self.advance(),
            _ => Ok(()),
        }
    }

    /// Passes cells to `visit`, from the current one, until `visit` breaks.
    #[inline]
    pub(super) fn walk(
        &mut self,
        mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), NotCached> {
        while let Some(cell) = self.peek() {
            if visit(cell).is_break() {
                break;
            }
            self.advance()?;
        }
        Ok(())
    }
}

/// Up to this many sources are merged without a heap.
pub(super) const MAX_SOURCES: usize = 8;

/// The cells of a row in several sources, merged. Nothing is allocated.
#[derive(Default)]
pub(super) struct RowMerge<'s> {
    /// From the oldest source to the newest, those between `start` and `end`.
    sources: [Option<RowCells<'s>>; MAX_SOURCES],
    start: usize,
    end: usize,
}

impl<'s> RowMerge<'s> {
    /// Adds a newer source. Returns false if there is no space for it.
    #[inline(always)] // as `RowCells::of_file`
    pub(super) fn push(&mut self, cells: RowCells<'s>) -> bool {
        if matches!(cells, RowCells::End) {
            return true;
        }
        let Some(slot) = self.sources.get_mut(self.end) else { return false };
        *slot = Some(cells);
        self.end += 1;
        true
    }

    /// Creates a merge to which [older](Self::push_older) sources are added.
    pub(super) fn from_newest() -> Self {
        Self { start: MAX_SOURCES, end: MAX_SOURCES, ..Self::default() }
    }

    /// Adds an older source, on a cell. Returns false if there is no space for it.
    #[inline(always)] // as `push`
    pub(super) fn push_older(&mut self, cells: RowCells<'s>) -> bool {
        let Some(start) = self.start.checked_sub(1) else { return false };
        self.sources[start] = Some(cells);
        self.start = start;
        true
    }

    /// Returns the number of sources that have cells.
    pub(super) fn len(&self) -> usize {
        self.end - self.start
    }

    /// Returns the cells of the source, if it is the only one that has any.
    pub(super) fn only(&self) -> Option<&RowCells<'s>> {
        match &self.sources[self.start..self.end] {
            [only] => only.as_ref(),
            _ => None,
        }
    }

    /// Returns the current cells of the sources.
    pub(super) fn heads(&self) -> impl Iterator<Item = CellRef<'_>> {
        self.sources.iter().flatten().filter_map(RowCells::peek)
    }

    /// Passes the cells to `visit` in their order, until `visit` breaks. Of equal cells, that of the newer
    /// source comes first.
    pub(super) fn walk(
        &mut self,
        order: CellOrder,
        mut visit: impl FnMut(CellRef<'_>) -> ControlFlow<()>,
    ) -> Result<(), NotCached> {
        let sources = &mut self.sources[self.start..self.end];
        if let [Some(only)] = sources {
            return only.walk(visit);
        }
        loop {
            let mut first: Option<(usize, CellRef<'_>)> = None;
            for (i, source) in sources.iter().enumerate() {
                let cell = source.as_ref().and_then(RowCells::peek);
                if cell.is_some() && comes_first(order, cell, first.map(|(_, cell)| cell)) {
                    first = cell.map(|cell| (i, cell));
                }
            }
            let Some((i, cell)) = first else { return Ok(()) };
            if visit(cell).is_break() {
                return Ok(());
            }
            if let Some(source) = &mut sources[i] {
                source.advance()?;
            }
        }
    }
}
