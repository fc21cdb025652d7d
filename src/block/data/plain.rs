//! Plain cells (hfile.md §2.1, §7.1).
#![warn(clippy::indexing_slicing)]

use super::NO_CELL;
use crate::cell::{CellFormat, key_value};
use crate::coding::Cursor;
use crate::error::Corruption;

/// Checks that `bytes` contain at least one cell and nothing else, and returns the number of cells.
pub(crate) fn check(bytes: &[u8], format: CellFormat) -> Result<usize, Corruption> {
    let mut cursor = Cursor::new(bytes);
    let mut cells = 0;
    while !cursor.is_empty() {
        key_value::parse(&mut cursor, format)?;
        cells += 1;
    }
    if cells == 0 { Err(NO_CELL) } else { Ok(cells) }
}
