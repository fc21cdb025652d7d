//! Cells in the form of HBase's client program.

use hregion::CellRef;
use hregion::cell::StringBinary;
use serde_json::{Value, json};

/// Returns a cell as `hb-client` prints it.
pub(crate) fn json_cell(cell: &CellRef<'_>) -> Value {
    let text = |bytes: &[u8]| StringBinary(bytes).to_string();
    json!({
        "row": text(cell.row()), "family": text(cell.family()), "qualifier": text(cell.qualifier()),
        "timestamp": cell.timestamp(), "type": cell.cell_type().name(), "value": text(cell.value()),
    })
}
