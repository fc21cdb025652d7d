//! Reads a store: cursors over files and segments, their merge, and the selection of a row's cells
//! (read-path.md §6 to §10).

pub(crate) mod context;
pub(crate) mod explain;
pub(in crate::store) mod file_scanner;
mod get;
mod half;
pub(in crate::store) mod heap;
pub(in crate::store) mod key_value_scanner;
mod merging_iterator;
pub(in crate::store) mod reversed_file_scanner;
pub(in crate::store) mod reversed_heap;
pub(in crate::store) mod row_cells;
mod row_match;
pub(in crate::store) mod scanner;

pub use half::{HFileHalf, HFileHalfScanner};
pub(crate) use scanner::StoreScanner;
