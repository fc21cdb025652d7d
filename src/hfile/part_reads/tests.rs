//! Rows that are read together, while the outlines of their blocks are replaced.

use super::*;
use crate::block::data::{DataBlock, PartSize, Trust};
use crate::cell::key_value::{self, CellFormat};
use crate::cell::{CellRef, CellType, SeekKey};
use crate::io::{FileIdentity, MemoryFile};
use std::io;
use std::path::Path;

/// The number of rows of a block. The length of the cells is such that each part begins with a cell.
const ROWS: usize = 640;
const HEADER: usize = 33;

fn row(block: usize, i: usize) -> Vec<u8> {
    format!("{block}row{i:04}").into_bytes()
}

/// A file that is not in memory.
#[derive(Debug)]
struct OnDisk(MemoryFile);

impl FileReader for OnDisk {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn len(&self) -> u64 {
        self.0.len()
    }

    fn identity(&self) -> Option<FileIdentity> {
        None
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.0.read_exact_at(buf, offset)
    }

    fn read_in_place(&self, _: u64, _: usize, _: &mut dyn FnMut(&[u8])) -> bool {
        false
    }
}

/// The stored bytes of a block, and its outlines with parts of 4 and of 16 KiB.
fn block(number: usize) -> (Vec<u8>, [BlockOutline; 2]) {
    let mut bytes = vec![0; HEADER];
    for i in 0..ROWS {
        let key = SeekKey::of(&row(number, i), b"f", b"q", 1, CellType::Put);
        key_value::put(&mut bytes, &CellRef::new(&key, &[b'v'; 34]), CellFormat::default());
    }
    assert_eq!((bytes.len() - HEADER) / ROWS, 64);
    let (cells, order) = (HEADER..bytes.len(), Some(CellOrder::User));
    let block = DataBlock::new(bytes.clone(), cells, CellFormat::default(), Trust::Unchecked, order);
    let block = block.unwrap().with_stored_cells();
    (bytes, [PartSize::Fine, PartSize::Coarse].map(|size| BlockOutline::of(&block, size).unwrap()))
}

#[test]
fn parts_of_a_replaced_outline_are_not_those_of_the_new_one() {
    let (blocks, outlines): (Vec<_>, Vec<_>) = (0..2).map(block).unzip();
    let reader = OnDisk(MemoryFile::new("file", blocks.concat()));
    let file = FileId::next();
    let find = |number: usize, i: usize, outline: &BlockOutline| {
        let offset = (number * blocks[0].len()) as u64;
        let block =
            OutlinedBlock { file, reader: &reader, offset, outline, next_row: None, order: CellOrder::User };
        find_row(&block, &row(number, i), || true)
    };
    let is_found = |found| matches!(found, Some((OutlineSearch::Found(_), _)));
    for first in (0..ROWS).step_by(16) {
        for (before, after) in [(0, 1), (1, 0)] {
            for second in (first..ROWS).step_by(16) {
                // Rows of the first block whose parts are read by one call: more bytes than one part.
                let wanted = [row(0, 0), row(0, 70), row(0, 140), row(0, 210), row(0, 280)];
                let wanted = wanted.into_iter().chain([row(1, first), row(1, second)]).collect::<Vec<_>>();
                let _batch = BatchRead::begin(wanted.iter().map(Vec::as_slice));
                assert!(is_found(find(0, 0, &outlines[0][0])));
                assert!(is_found(find(1, first, &outlines[1][before])), "row {first}");
                assert!(is_found(find(1, second, &outlines[1][after])), "rows {first} and {second}");
            }
        }
    }
}

/// The next block may have a row that is after all rows of a block.
#[test]
fn a_row_that_is_not_there_is_absent_or_after_the_block() {
    let (bytes, outlines) = block(0);
    let reader = OnDisk(MemoryFile::new("file", bytes));
    for outline in &outlines {
        let (file, next_row, order) = (FileId::next(), None, CellOrder::User);
        let block = OutlinedBlock { file, reader: &reader, offset: 0, outline, next_row, order };
        let find = |row: &[u8]| find_row(&block, row, || true).unwrap();
        assert!(matches!(find(b"0"), (OutlineSearch::Absent, PartSource::Memory)));
        for i in 0..ROWS {
            let (found, source) = find(&[row(0, i).as_slice(), b"x"].concat());
            let is_last = i + 1 == ROWS;
            assert_eq!(matches!(found, OutlineSearch::After), is_last, "after row {i}");
            assert_eq!(matches!(found, OutlineSearch::Absent), !is_last, "after row {i}");
            assert_eq!(source, PartSource::File);
        }
    }
}
