//! Printing results in the format of HBase's shell; timestamps are in milliseconds, as in input.

use super::converter::{Formats, Part};
use crate::cell_line::{put_decimal, put_json};
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use crate::text;
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
    /// Whether the header is printed.
    has_begun: bool,
    /// Whether the first column is the row; otherwise it is the column.
    with_rows: bool,
    /// The maximum number of characters from the timestamp to the end of the value.
    max_length: Option<usize>,
    formats: Formats,
    line: Vec<u8>,
}

impl CellPrinter {
    /// Returns a printer for the cells of one row.
    pub(super) fn of_row(max_length: Option<usize>, formats: Formats) -> Self {
        Self { has_begun: false, with_rows: false, max_length, formats, line: Vec::new() }
    }

    /// Returns a printer for the cells of a scan.
    pub(super) fn of_scan(max_length: Option<usize>, formats: Formats) -> Self {
        Self { with_rows: true, ..Self::of_row(max_length, formats) }
    }

    /// Prints the header of a table of cells, unless it has been printed. A read that fails at once has no
    /// header.
    fn begin(&mut self, out: &mut Output) -> Result<(), Failure> {
        if !self.has_begun && !out.is_json() {
            let (first, second) = if self.with_rows { ("ROW", "COLUMN+CELL") } else { ("COLUMN", "CELL") };
            writeln!(out, "{first:<FIRST$}  {second}")?;
        }
        self.has_begun = true;
        Ok(())
    }

    pub(super) fn print(&mut self, cell: &CellRef<'_>, out: &mut Output) -> Result<(), Failure> {
        self.begin(out)?;
        self.line.clear();
        let line = &mut self.line;
        if out.is_json() {
            put_json(line, cell, cell.seq_id() != 0);
            if !self.formats.is_empty() {
                let mut members = serde_json::from_slice(line).map_err(|error| {
                    CommandError::invalid(format!("the JSON of a cell cannot be formatted: {error}"))
                })?;
                self.formats.replace(cell, &mut members)?;
                line.clear();
                line.extend_from_slice(text::json(&members).as_bytes());
            }
        } else {
            line.push(b' ');
            if self.with_rows {
                self.formats.put(Part::Row, cell, line)?;
            } else {
                put_column(&self.formats, cell, line)?;
            }
            line.resize(line.len().max(FIRST + 1), b' ');
            line.push(b' ');
            if self.with_rows {
                line.extend_from_slice(b"column=");
                put_column(&self.formats, cell, line)?;
                line.extend_from_slice(b", ");
            }
            let start = line.len();
            line.extend_from_slice(b"timestamp=");
            put_decimal(line, cell.timestamp());
            if cell.cell_type().is_delete() {
                line.extend_from_slice(b", type=");
                line.extend_from_slice(cell.cell_type().name().as_bytes());
            } else {
                line.extend_from_slice(b", value=");
                self.formats.put(Part::Value, cell, line)?;
            }
            if let Some(max) = self.max_length {
                cut(line, start, max);
            }
        }
        line.push(b'\n');
        Ok(out.write_all(line)?)
    }

    /// Prints the number of rows, and whether one may lack the last writes.
    pub(super) fn end(mut self, rows: u64, is_stale: bool, out: &mut Output) -> Result<(), Failure> {
        if out.is_json() {
            return Ok(());
        }
        self.begin(out)?;
        writeln!(out, "{rows} row(s)")?;
        if is_stale {
            writeln!(out, " (possible stale results) ")?;
        }
        Ok(())
    }
}

/// Prints what a command returns in HBase's shell: an array of strings.
pub(super) fn put_array(
    strings: impl IntoIterator<Item = impl Display>,
    out: &mut Output,
) -> Result<(), Failure> {
    let quoted: Vec<String> =
        strings.into_iter().map(|one| format!("\"{}\"", one.to_string().replace('"', "\\\""))).collect();
    Ok(writeln!(out, "=> [{}]", text::printable(&quoted.join(", ")))?)
}

/// Appends a string in double quotes, as it can be typed in the shell.
pub(super) fn put_quoted(line: &mut Vec<u8>, bytes: &[u8]) {
    let text = StringBinary(bytes).to_string();
    line.push(b'"');
    line.extend_from_slice(text.replace('"', "\\\"").as_bytes());
    line.push(b'"');
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

fn put_column(formats: &Formats, cell: &CellRef<'_>, line: &mut Vec<u8>) -> Result<(), CommandError> {
    formats.put(Part::Family, cell, line)?;
    line.push(b':');
    formats.put(Part::Qualifier, cell, line)
}

/// Removes what follows the first `max` characters from `start` on.
fn cut(line: &mut Vec<u8>, start: usize, max: usize) {
    let is_start = |byte: &u8| !matches!(byte, 0x80..=0xbf);
    let starts = line.iter().enumerate().skip(start).filter(|(_, byte)| is_start(byte));
    if let Some((end, _)) = starts.into_iter().nth(max) {
        line.truncate(end);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_between_characters() {
        for (max, expected) in [
            (0, "x="),
            (1, "x=\u{e4}"),
            (2, "x=\u{e4}b"),
            (3, "x=\u{e4}b\u{1f600}"),
            (9, "x=\u{e4}b\u{1f600}"),
        ] {
            let mut line = "x=\u{e4}b\u{1f600}".as_bytes().to_vec();
            cut(&mut line, 2, max);
            assert_eq!(line, expected.as_bytes());
        }
    }
}
