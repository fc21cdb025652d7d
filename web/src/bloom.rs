//! Lookups of rows and columns in Bloom filters.

use crate::answer::{NoAnswer, fault};
use crate::request::{Column, Request};
use hregion::{HFile, SeekKey};
use serde_json::{Value, json};

/// Returns the answers of the filters, and whether the file has the row or the column; null if no filter can
/// decide.
pub(crate) fn bloom(file: &HFile, request: &Request) -> Result<Value, NoAnswer> {
    let (row, column) = (request.row()?, request.column()?);
    let bloom_type = file.general_bloom().map(|bloom| bloom.bloom_type());
    let by_row = bloom_type.filter(|found| *found != hregion::BloomType::RowCol);
    let may_contain_row = by_row.map(|_| file.may_contain_row(&row));
    let may_contain_column = match (&column, bloom_type) {
        (Some((_, qualifier)), Some(_)) => Some(file.may_contain_column(&row, qualifier)),
        _ => None,
    };
    let by_family = file.delete_family_bloom().map(|_| file.may_contain_delete_family(&row));
    let (found, error) = match is_there(file, &row, column.as_ref()) {
        Ok(found) => (Some(found), None),
        Err(damage) => (None, Some(fault(&damage))),
    };
    Ok(json!({
        "bloom_type": bloom_type.map(|found| found.to_string()),
        "may_contain_row": may_contain_row,
        "may_contain_column": may_contain_column,
        "may_contain_delete_family": by_family,
        "found": found,
        "error": error,
        "warnings": file.warnings().iter().map(fault).collect::<Vec<Value>>(),
    }))
}

/// Whether the file has a cell of a row, or of one of its columns.
fn is_there(file: &HFile, row: &[u8], column: Option<&Column>) -> hregion::Result<bool> {
    let mut cells = file.scanner();
    let Some((family, qualifier)) = column else {
        cells.seek(&SeekKey::first_on_row(row))?;
        return Ok(cells.peek().is_some_and(|cell| cell.row() == row));
    };
    cells.seek(&SeekKey::first_on_column(row, family, qualifier))?;
    let is_of = |cell: hregion::CellRef<'_>| {
        cell.row() == row && cell.family() == family && cell.qualifier() == qualifier
    };
    Ok(cells.peek().is_some_and(is_of))
}
