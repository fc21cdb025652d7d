//! Recent cells of one family, in memory, sorted (read-path.md §3; HBase: `MemStore` and its `Segment`s).
//!
//! A [`Segment`] takes cells from many threads at once and lends them to scanners at the same time. A flush freezes it:
//! nobody adds to it any more, and it is dropped when the last reader of it ends.
//!
//! | file | what it holds |
//! |---|---|
//! | `segment` | [`Segment`]: the sorted cells, and what is known of them all |
//! | `scanner` | [`SegmentScanner`]: walks and searches those that its read point sees |
//! | `reversed` | [`ReversedSegmentScanner`]: the same, row by row from the last to the first |
//! | `copies` | cells that a scanner reads ahead |
//! | `lanes` | the same in several places at once |
//! | `batch` | copies of cells, one behind the other |
//! | `trail` | cells that one who goes backward reads ahead |
//! | `entry` | a cell of a segment, held |
//! | `position` | where a cell or a search stands in the order |
//! | `arena` | the bytes of cells, in large chunks |
//! | `filter` | which rows may be there |

mod arena;
mod batch;
mod copies;
mod entry;
mod filter;
mod lanes;
mod position;
mod reversed;
mod scanner;
mod segment;
#[cfg(test)]
mod tests;
mod trail;

pub(crate) use reversed::ReversedSegmentScanner;
#[cfg(test)]
pub(crate) use reversed::naive;
pub(crate) use scanner::SegmentScanner;
pub(crate) use segment::Segment;
