//! All encodings: round trips between encoder and decoders.

mod examples;
mod naive;
mod random;
mod refusals;

use super::{DataBlockEncoding, DataFormat, Encoder, decode, plain};
use crate::cell::{Cell, CellFormat, CellRef, CellType, SeekKey, key_value};
use crate::coding::Cursor;

/// Large enough for all tests.
const LIMIT: usize = 1 << 20;

fn format(encoding: DataBlockEncoding, tags: bool, mvcc: bool) -> DataFormat {
    DataFormat { encoding, cells: CellFormat { tags, mvcc }, tags_compressed: false }
}

fn cell(key: &SeekKey, value: &[u8], tags: &[u8], seq_id: i64) -> Cell {
    Cell::from(CellRef { key, value, tags, seq_id })
}

fn put(row: &str, qualifier: &str, timestamp: i64, value: &str) -> Cell {
    let key = SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), timestamp, CellType::Put);
    cell(&key, value.as_bytes(), b"", 0)
}

fn encode(format: &DataFormat, cells: &[Cell]) -> Vec<u8> {
    let mut encoder = Encoder::new(format);
    let mut payload = Vec::new();
    for cell in cells {
        encoder.append(&cell.as_ref()).unwrap();
    }
    encoder.finish(&mut payload);
    payload
}

fn plain(format: &DataFormat, cells: &[Cell]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for cell in cells {
        key_value::put(&mut bytes, &cell.as_ref(), format.cells);
    }
    bytes
}

/// Parses plain cells.
fn parse(format: &DataFormat, plain: &[u8]) -> Vec<Cell> {
    let mut cursor = Cursor::new(plain);
    let mut cells = Vec::new();
    while !cursor.is_empty() {
        cells.push(Cell::from(key_value::parse(&mut cursor, format.cells).unwrap()));
    }
    cells
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Bytes from hexadecimal digits; other characters are ignored.
fn bytes(digits: &str) -> Vec<u8> {
    let digits: String = digits.chars().filter(char::is_ascii_hexdigit).collect();
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}
