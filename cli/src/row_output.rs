//! Printing of rows for `scan` and `get`.

use crate::cell_csv;
use crate::cell_line::{self, put_binary, put_decimal};
use crate::failure::{CommandError, Failure};
use crate::output::Output;
use clap::ValueEnum;
use hregion::{CellRef, RowRef};
use std::io::Write as _;

/// The text format of rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Format of HBase's shell
    #[default]
    Hbase,
    /// Comma-separated values with a header line
    Csv,
}

/// Prints rows, one line per cell.
#[derive(Debug)]
pub(crate) struct RowOutput {
    put: fn(&mut Vec<u8>, &CellRef<'_>),
    lines: Vec<u8>,
}

impl RowOutput {
    pub(crate) fn begin(format: Option<Format>, out: &mut Output) -> Result<Self, Failure> {
        let put = match format {
            Some(_) if out.is_json() => {
                return Err(CommandError::usage("--format: not allowed with --json").into());
            }
            None if out.is_json() => put_json,
            None | Some(Format::Hbase) => put_as_shell,
            Some(Format::Csv) => {
                out.write_all(cell_csv::HEADER)?;
                put_csv
            }
        };
        Ok(Self { put, lines: Vec::new() })
    }

    pub(crate) fn write(&mut self, row: RowRef<'_>, out: &mut Output) -> Result<(), Failure> {
        self.lines.clear();
        put_row(&mut self.lines, row, self.put, |lines| out.write_all(lines))?;
        Ok(out.write_all(&self.lines)?)
    }
}

/// Lines are written when they have this many bytes.
const BUFFER: usize = 64 << 10;

/// Appends the cells of a row to `lines`, which are written and removed whenever they have 64 KiB or more:
/// the text of a whole row takes several times the memory of its cells.
pub(crate) fn put_row<E>(
    lines: &mut Vec<u8>,
    row: RowRef<'_>,
    put: fn(&mut Vec<u8>, &CellRef<'_>),
    mut write: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    for cell in row.cells() {
        put(lines, &cell);
        if lines.len() >= BUFFER {
            write(lines)?;
            lines.clear();
        }
    }
    Ok(())
}

/// Whether a cell has a sequence id; 0 means none.
fn has_seq_id(cell: &CellRef<'_>) -> bool {
    cell.seq_id() != 0
}

/// Appends a cell as a line of JSON.
pub(crate) fn put_json(out: &mut Vec<u8>, cell: &CellRef<'_>) {
    cell_line::put_json(out, cell, has_seq_id(cell));
    out.push(b'\n');
}

/// Appends a cell as a line of comma-separated values.
pub(crate) fn put_csv(out: &mut Vec<u8>, cell: &CellRef<'_>) {
    cell_csv::put_csv(out, cell, has_seq_id(cell));
}

/// Appends `row  column=family:qualifier, timestamp=5, value=v`; delete markers have a type instead of a
/// value.
fn put_as_shell(out: &mut Vec<u8>, cell: &CellRef<'_>) {
    put_binary(out, cell.row());
    out.extend_from_slice(b"  column=");
    put_binary(out, cell.family());
    out.push(b':');
    put_binary(out, cell.qualifier());
    out.extend_from_slice(b", timestamp=");
    put_decimal(out, cell.timestamp());
    if cell.cell_type().is_delete() {
        out.extend_from_slice(b", type=");
        out.extend_from_slice(cell.cell_type().name().as_bytes());
    } else {
        out.extend_from_slice(b", value=");
        put_binary(out, cell.value());
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::{CellType, RowBuf, SeekKey};
    use std::convert::Infallible;

    #[test]
    fn cells_look_as_in_the_shell() {
        let line = |cell_type, value: &[u8]| {
            let key = SeekKey::of(b"r\n", b"f", b"q", 5, cell_type);
            let mut line = Vec::new();
            put_as_shell(&mut line, &CellRef::new(&key, value));
            String::from_utf8(line).unwrap()
        };
        assert_eq!(line(CellType::Put, b"v\0"), "r\\x0A  column=f:q, timestamp=5, value=v\\x00\n");
        assert_eq!(line(CellType::DeleteColumn, b""), "r\\x0A  column=f:q, timestamp=5, type=DeleteColumn\n");
    }

    /// The text of a row of 1 MiB takes no more memory than the buffer and a line.
    #[test]
    fn large_rows_are_written_in_parts() {
        const VALUE: usize = 1000;
        let (mut row, mut whole) = (RowBuf::new(), Vec::new());
        for n in 0..1000_u32 {
            let key = SeekKey::of(b"r", b"f", &n.to_be_bytes(), 5, CellType::Put);
            let cell = CellRef::new(&key, &[0; VALUE]);
            row.push(cell);
            put_json(&mut whole, &cell);
        }
        let (mut lines, mut written, mut parts) = (Vec::new(), Vec::new(), 0);
        let write = |lines: &[u8]| {
            assert!(lines.len() < BUFFER + 10 * VALUE, "{}", lines.len());
            written.extend_from_slice(lines);
            parts += 1;
            Ok::<_, Infallible>(())
        };
        put_row(&mut lines, row.as_row(), put_json, write).unwrap();
        assert!(lines.len() < BUFFER && lines.capacity() < 4 * BUFFER, "{}", lines.capacity());
        written.extend_from_slice(&lines);
        assert!(written == whole && parts > 10, "{parts} parts");
    }
}
