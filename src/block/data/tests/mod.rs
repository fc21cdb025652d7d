//! All encodings: round trips between encoder and decoders.

mod examples;
mod naive;
mod random;
mod refusals;

use super::{DataBlockEncoding, DataFormat, Encoder, decode, plain};
use crate::binary::{bytes_of_hex as bytes, to_hex as hex};
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
