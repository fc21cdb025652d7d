//! Recent cells of one family, in memory, sorted (read-path.md §3; HBase: `MemStore` and its `Segment`s).
//!
//! A [`Segment`] takes cells from many threads while scanners read it. A flush freezes the segment: no more
//! cells are added, and it is dropped when its last reader ends.
//!
//! | file | contents |
//! |---|---|
//! | `segment` | [`Segment`]: the sorted cells and their aggregates |
//! | `scanner` | [`SegmentScanner`]: iterates and seeks the cells visible at a read point |
//! | `reversed` | [`ReversedSegmentScanner`]: the same, row by row from the last to the first |
//! | `readahead` | cells read ahead for a scanner |
//! | `parallel_prefetch` | the same, reading in several places at once |
//! | `batch` | contiguous copies of cells |
//! | `reverse_readahead` | cells read ahead for a reverse scanner |
//! | `entry` | a pinned cell of a segment |
//! | `key` | the position of a cell or a search in the sort order |
//! | `arena` | the bytes of cells, in large chunks |
//! | `filter` | which rows may be present |

mod arena;
mod batch;
mod entry;
mod filter;
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
