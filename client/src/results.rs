//! The results in answers (locator.md §8.4, §9).

use crate::cell_block::{CellBlock, row_of};
use crate::proto;
use hregion::{Corruption, Row};

/// Returns the results of a page, and whether each is a part of a row.
pub(crate) fn rows_of(
    response: &proto::ScanResponse,
    mut cells: CellBlock,
) -> Result<Vec<(Row, bool)>, Corruption> {
    let mut rows = Vec::new();
    let stale = response.stale.unwrap_or_default();
    for (at, count) in response.cells_per_result.iter().enumerate() {
        if *count == 0 {
            // a result has cells; an empty one would be a row without a key
            continue;
        }
        let partial = response.partial_flag_per_result.get(at).copied().unwrap_or_default();
        rows.push((cells.take_row(*count as usize)?.with_stale(stale), partial));
    }
    for result in &response.results {
        let row = row_of(result, &mut cells)?;
        if !row.is_empty() {
            let stale = stale || row.is_stale();
            rows.push((row.with_stale(stale), result.partial.unwrap_or_default()));
        }
    }
    cells.finish()?;
    Ok(rows)
}

/// Returns the only result of an answer, of the row that was asked for.
pub(crate) fn only_row(
    result: Option<&proto::ResultMessage>,
    mut cells: CellBlock,
    expected: &[u8],
) -> Result<Row, Corruption> {
    let none = proto::ResultMessage::default();
    let row = row_of(result.unwrap_or(&none), &mut cells)?;
    cells.finish()?;
    check_row(&row, expected)?;
    Ok(row)
}

/// Checks that cells are of the row that was asked for.
pub(crate) fn check_row(row: &Row, expected: &[u8]) -> Result<(), Corruption> {
    if !row.is_empty() && row.key() != expected {
        return Err(Corruption::Malformed("result of another row than the one that was asked for"));
    }
    Ok(())
}
