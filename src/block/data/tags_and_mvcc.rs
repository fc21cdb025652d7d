//! The bytes after the value of a cell in the delta encodings: tags and mvcc (hfile.md §7).
#![warn(clippy::indexing_slicing)]

use super::plain_cells::PlainCells;
use super::tag_dictionary::TagDecoder;
use super::{DataFormat, tag_dictionary::TagEncoder};
use crate::cell::{CellFormat, CellRef, tags};
use crate::coding::{Cursor, put_varint, put_vlong};
use crate::error::Corruption;
use std::ops::Range;

/// Reads tails.
pub(super) struct TagsAndMvcc<'a> {
    cells: CellFormat,
    dictionary: Option<Box<TagDecoder<'a>>>,
    /// One for each cell, if requested.
    marks: Option<Vec<CellMark>>,
}

/// The data needed to decode the cells of a payload from one of them on.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// One for each cell.
    pub(super) cells: Vec<CellMark>,
    /// The tags of the dictionary, each with its length, in the decoded cells, in the order in which they
    /// were added. `None` if it had too many, so that some replaced others.
    pub(super) tags: Option<Vec<Range<usize>>>,
}

/// The end of a cell in the payload, counted from the payload's end.
#[derive(Clone, Copy, Debug)]
pub(super) struct CellMark {
    /// The number of bytes after the value: the tail, and the following cells.
    pub(super) after_value: u32,
    /// The number of bytes after the cell.
    pub(super) after: u32,
}

impl<'a> TagsAndMvcc<'a> {
    /// Creates a reader of the tails of cells after others, whose tags the dictionary has.
    pub(super) fn after(tags: &'a [u8], format: &DataFormat) -> Self {
        let compressed = format.cells.tags && format.tags_compressed;
        let dictionary = compressed.then(|| Box::new(TagDecoder::with(tags)));
        Self { cells: format.cells, dictionary, marks: None }
    }

    /// Starts recording the end of each cell.
    pub(super) fn mark_cells(&mut self) {
        self.marks = Some(Vec::new());
    }

    /// Returns the recorded marks.
    pub(super) fn into_marks(self) -> Marks {
        let tags = self.dictionary.map_or_else(|| Some(Vec::new()), |dictionary| dictionary.into_added());
        Marks { cells: self.marks.unwrap_or_default(), tags }
    }

    /// Moves one tail from the payload to the cells.
    // see `PreviousCell::next_key`
    #[inline(always)]
    pub(super) fn take(
        &mut self,
        payload: &mut Cursor<'_>,
        cells: &mut PlainCells<'_>,
    ) -> Result<(), Corruption> {
        let after_value = payload.rest().len();
        if self.cells.tags {
            self.take_tags(payload, cells)?;
        }
        if self.cells.mvcc {
            let bytes = payload.rest();
            payload.vlong("mvcc")?;
            let len = bytes.len() - payload.rest().len();
            cells.allow(len)?;
            cells.put_short(bytes, len);
        }
        if let Some(marks) = &mut self.marks {
            let [after_value, after] =
                [after_value, payload.rest().len()].map(|len| u32::try_from(len).unwrap_or(u32::MAX));
            marks.push(CellMark { after_value, after });
        }
        Ok(())
    }

    fn take_tags(&mut self, payload: &mut Cursor<'_>, cells: &mut PlainCells<'_>) -> Result<(), Corruption> {
        let len = payload.cint("tags length")?;
        let Ok(short) = u16::try_from(len) else {
            let len = i64::try_from(len).unwrap_or(i64::MAX);
            return Err(Corruption::out_of_range("tags length", len, 0, u16::MAX.into()));
        };
        cells.allow(2 + len)?;
        cells.put_array(short.to_be_bytes());
        match &mut self.dictionary {
            Some(dictionary) => dictionary.take(payload, cells, len),
            None => {
                let area = cells.position();
                cells.take(payload, len, "tags")?;
                tags::check(cells.since(area))
            }
        }
    }
}

/// Appends the tail of a cell.
pub(super) fn put(out: &mut Vec<u8>, cell: &CellRef<'_>, format: CellFormat, tags: Option<&mut TagEncoder>) {
    if format.tags {
        put_varint(out, cell.tags.len() as u64);
        match tags {
            Some(dictionary) => dictionary.put(out, cell.tags()),
            None => out.extend_from_slice(cell.tags),
        }
    }
    if format.mvcc {
        put_vlong(out, cell.seq_id);
    }
}
