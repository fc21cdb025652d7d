//! Recent cells of one family, in memory, sorted (read-path.md §3; HBase: `MemStore` and its `Segment`s).
//!
//! A [`Segment`] accepts cells from many threads while scanners read it. When it has grown, another one
//! accepts later cells, and it is merged into an immutable one, with its cells in arrays: lists of millions
//! of cells are slow to search, and to add to. A flush freezes all segments: they are dropped when their last
//! reader ends.
//!
//! | file | contents |
//! |---|---|
//! | `segment` | [`Segment`]: the sorted cells and their aggregates |
//! | `flat` | the cells of an immutable segment, in arrays |
//! | `scanner` | [`SegmentScanner`]: iterates and seeks the cells visible at a read point |
//! | `reversed` | [`ReversedSegmentScanner`]: the same, row by row from the last to the first |
//! | `readahead` | cells read ahead for a scanner |
//! | `parallel_prefetch` | the same, reading at several points at once |
//! | `batch` | contiguous copies of cells |
//! | `reverse_readahead` | cells read ahead for a reverse scanner |
//! | `entry` | a cell of a segment that stays valid |
//! | `key` | the position of a cell or a search in the sort order |
//! | `arena` | the bytes of cells, in large chunks |
//! | `filter` | a filter of the rows that may be present |

mod arena;
mod batch;
mod entry;
mod filter;
mod flat;
mod key;
mod parallel_prefetch;
mod readahead;
mod reverse_readahead;
mod reversed;
mod scanner;
mod segment;
#[cfg(test)]
mod tests;

pub(crate) use entry::SegmentEntry;
pub(crate) use reversed::ReversedSegmentScanner;
#[cfg(test)]
pub(crate) use reversed::naive;
pub(crate) use scanner::SegmentScanner;
pub(crate) use segment::Segment;

use crate::cell::{CellFormat, CellRef, key_value};

/// Returns the bytes of a cell as a `KeyValue`.
fn data_len(cell: &CellRef<'_>) -> u64 {
    let format = CellFormat { tags: !cell.tags.is_empty(), mvcc: false };
    key_value::len(cell, format) as u64
}
