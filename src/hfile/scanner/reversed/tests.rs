//! Iterates rows backward and counts the blocks read.

use super::*;
use crate::cell::{Cell, CellType};
use crate::hfile::{HFile, HFileWriter};
use crate::io::Storage;
use crate::io::faulty::FaultyStorage;
use crate::metrics::{BlockCounts, RegionMetrics};

/// Rows with the given numbers of cells; every cell has a value of 20 bytes.
fn cells(rows: &[usize]) -> Vec<Cell> {
    let key = |row: usize, cell: usize| {
        SeekKey::of(
            format!("row-{row:04}").as_bytes(),
            b"f",
            format!("{cell:04}").as_bytes(),
            1,
            CellType::Put,
        )
    };
    let keys = rows.iter().enumerate().flat_map(|(row, &cells)| (0..cells).map(move |cell| key(row, cell)));
    keys.map(|key| Cell::from(CellRef::new(&key, &[7; 20]))).collect()
}

fn storage_of(cells: &[Cell], block_size: usize) -> Arc<dyn Storage> {
    let storage: Arc<dyn Storage> = Arc::new(FaultyStorage::new());
    let options = HFileWriter::options().block_size(block_size).storage(Arc::clone(&storage));
    let mut writer = options.index_chunk_size(300).index_min_entries(2).create("file").unwrap();
    cells.iter().for_each(|cell| writer.append(cell.as_ref()).unwrap());
    writer.finish().unwrap();
    storage
}

fn open(cells: &[Cell], block_size: usize) -> (HFile, Arc<BlockCounts>) {
    let counts = Arc::new(BlockCounts::default());
    let options = HFile::options().storage(storage_of(cells, block_size));
    (options.block_counts(Arc::clone(&counts)).open("file").unwrap(), counts)
}

fn reads_of(counts: &BlockCounts) -> u64 {
    let mut metrics = RegionMetrics::default();
    counts.add_to(&mut metrics);
    metrics.data_blocks_read
}

fn backward(file: &HFile) -> Result<Vec<Cell>> {
    let mut scanner = file.reversed_scanner();
    let mut found: Vec<Cell> = Vec::new();
    let mut more = scanner.seek_to_last_row()?;
    while more {
        let before = found.len();
        while let Some(cell) = scanner.peek() {
            found.push(Cell::from(cell));
            scanner.advance()?;
        }
        assert!(found.len() > before);
        more = scanner.previous_row()?;
    }
    Ok(found)
}

/// The cells of each row in order, with the rows reversed.
fn by_rows_reversed(cells: &[Cell]) -> Vec<Cell> {
    let mut rows: Vec<&[Cell]> = cells.chunk_by(|a, b| a.as_ref().row() == b.as_ref().row()).collect();
    rows.reverse();
    rows.concat()
}

#[test]
fn rows_come_backward_and_each_block_is_read_once() {
    for (rows, block_size) in [
        (vec![1; 300], 1000),
        (vec![3; 200], 1000),
        // a row ends with each block, or nearly
        (vec![10; 60], 620),
        ([7, 1, 1, 9, 2, 8, 13, 1, 16].repeat(8), 1000),
        (vec![1], 1000),
    ] {
        let cells = cells(&rows);
        let (file, counts) = open(&cells, block_size);
        assert_eq!(backward(&file).unwrap(), by_rows_reversed(&cells));
        let reads = reads_of(&counts);
        let mut forward = file.scanner();
        let mut more = forward.seek_to_first().unwrap();
        while more {
            more = forward.advance().unwrap();
        }
        assert_eq!(reads, reads_of(&counts) - reads, "blocks read, of rows of {rows:?}");
    }
}

#[test]
fn rows_of_many_blocks_are_read_as_others_are() {
    for block_size in [40, 100, 400, 1000] {
        let cells = cells(&[1, 100, 100, 1, 1, 50, 3, 0, 100]);
        let (file, _) = open(&cells, block_size);
        assert_eq!(backward(&file).unwrap(), by_rows_reversed(&cells));
    }
}

#[test]
fn a_row_of_many_blocks_is_left_from_any_of_them() {
    let cells = cells(&[1, 9, 1]);
    let (file, _) = open(&cells, 100);
    for steps in 0..10 {
        let mut scanner = file.reversed_scanner();
        for key in [SeekKey::last_on_row(b"row-0001"), SeekKey::first_on_row(b"row-0001")] {
            // in the second round, the scanner is somewhere within the row
            assert!(scanner.seek_before(&SeekKey::last_on_row(b"row-0001")).unwrap());
            assert_eq!(scanner.peek(), Some(cells[1].as_ref()));
            (0..steps).for_each(|_| scanner.advance().unwrap());
            assert_eq!(scanner.peek(), cells.get(1 + steps).filter(|_| steps < 9).map(Cell::as_ref));
            assert!(scanner.seek_before(&key).unwrap());
        }
        assert_eq!(scanner.peek(), Some(cells[0].as_ref()));
        assert!(!scanner.previous_row().unwrap());
    }
}

#[test]
fn a_wrong_number_of_cells_is_noticed() {
    let cells = cells(&[2; 50]);
    let (file, _) = open(&cells, 300);
    let mut scanner = file.reversed_scanner();
    scanner.seek_to_last_row().unwrap();
    scanner.cells.met = scanner.cells.met.map(|met| met + 1);
    let mut more = Ok(true);
    while matches!(more, Ok(true)) {
        more = scanner.previous_row();
    }
    assert!(more.unwrap_err().to_string().contains("number of cells"));
}

#[test]
fn rows_out_of_order_are_an_error() {
    let mut cells = cells(&[1; 40]);
    cells.swap(17, 22);
    let mut bytes = Vec::new();
    let format = crate::cell::CellFormat::default();
    cells.iter().for_each(|cell| crate::cell::key_value::put(&mut bytes, &cell.as_ref(), format));
    let len = bytes.len();
    let index = Some(CellOrder::User);
    let block = DataBlock::new(bytes, 0..len, format, crate::block::data::Trust::Unchecked, index).unwrap();
    let mut row = block.last_row(CellOrder::User);
    let mut steps = 0;
    while let Ok(span) = &row
        && !span.is_first()
    {
        row = block.row_before(span, CellOrder::User);
        steps += 1;
    }
    assert!(row.is_err() && steps < 40);
}
