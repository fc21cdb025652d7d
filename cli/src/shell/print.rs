//! Printing results in the format of HBase's shell; timestamps are in milliseconds, as in input.

use crate::cell_line::{put_binary, put_decimal, put_json};
use crate::failure::Failure;
use crate::output::Output;
use hregion::cell::StringBinary;
use hregion::{CellRef, RegionInfo};
use serde_json::{Value, json};
use std::fmt::Display;
use std::io::Write as _;

/// The minimum width of the first column.
const FIRST: usize = 24;

/// Prints cells.
#[derive(Debug)]
pub(super) struct CellPrinter {
    /// Whether the first column is the row; otherwise it is the column.
    with_rows: bool,
    /// The maximum length of a value in characters.
    max_length: Option<usize>,
    line: Vec<u8>,
}

impl CellPrinter {
    /// Prints the header of a table of cells.
    pub(super) fn begin(
        with_rows: bool,
        max_length: Option<usize>,
        out: &mut Output,
    ) -> Result<Self, Failure> {
        if !out.is_json() {
            let (first, second) = if with_rows { ("ROW", "COLUMN+CELL") } else { ("COLUMN", "CELL") };
            writeln!(out, "{first:<FIRST$}  {second}")?;
        }
        Ok(Self { with_rows, max_length, line: Vec::new() })
    }

    pub(super) fn print(&mut self, cell: &CellRef<'_>, out: &mut Output) -> Result<(), Failure> {
        self.line.clear();
        let line = &mut self.line;
        if out.is_json() {
            put_json(line, cell, cell.seq_id() != 0);
        } else {
            line.push(b' ');
            if self.with_rows {
                put_binary(line, cell.row());
            } else {
                put_column(line, cell);
            }
            line.resize(line.len().max(FIRST + 1), b' ');
            line.push(b' ');
            if self.with_rows {
                line.extend_from_slice(b"column=");
                put_column(line, cell);
                line.extend_from_slice(b", ");
            }
            line.extend_from_slice(b"timestamp=");
            put_decimal(line, cell.timestamp());
            if cell.cell_type().is_delete() {
                line.extend_from_slice(b", type=");
                line.extend_from_slice(cell.cell_type().name().as_bytes());
            } else {
                line.extend_from_slice(b", value=");
                let start = line.len();
                put_binary(line, cell.value());
                // all ASCII at this point
                let most = self.max_length.unwrap_or(usize::MAX);
                line.truncate(start.saturating_add(most));
            }
        }
        self.line.push(b'\n');
        Ok(out.write_all(&self.line)?)
    }

    /// Prints the number of rows.
    pub(super) fn end(self, rows: u64, out: &mut Output) -> Result<(), Failure> {
        if out.is_json() { Ok(()) } else { Ok(writeln!(out, "{rows} row(s)")?) }
    }
}

/// Prints what a command returns in HBase's shell: an array of strings.
pub(super) fn put_array(
    strings: impl IntoIterator<Item = impl Display>,
    out: &mut Output,
) -> Result<(), Failure> {
    let quoted: Vec<String> =
        strings.into_iter().map(|one| format!("\"{}\"", one.to_string().replace('"', "\\\""))).collect();
    Ok(writeln!(out, "=> [{}]", quoted.join(", "))?)
}

/// Returns a region's names and range as JSON.
pub(super) fn region_json(info: &RegionInfo) -> Value {
    json!({
        "name": info.to_string(),
        "encoded": info.encoded_name(),
        "start": StringBinary(info.start_key()).to_string(),
        "end": StringBinary(info.end_key()).to_string(),
    })
}

fn put_column(line: &mut Vec<u8>, cell: &CellRef<'_>) {
    put_binary(line, cell.family());
    line.push(b':');
    put_binary(line, cell.qualifier());
}
