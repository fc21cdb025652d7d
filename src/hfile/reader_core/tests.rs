//! What a file without a cache keeps is counted, even if several threads read the same blocks.

use super::*;
use crate::HFileWriter;
use crate::cell::{Cell, CellRef, CellType};
use crate::error::ErrorKind;
use crate::hfile::{HFile, HFileScanner, open};
use crate::io::{FileReader, MemoryFile};
use crate::limits::Limits;
use std::fs;
use std::io;
use std::sync::atomic::AtomicBool;
use std::thread;

const ROWS: usize = 4000;

fn key(i: usize) -> SeekKey {
    SeekKey::of(format!("row{i:06}").as_bytes(), b"f", b"q", 1, CellType::Put)
}

/// The bytes of a file with blocks below several index blocks.
fn file_bytes() -> Vec<u8> {
    encoded(DataBlockEncoding::None)
}

/// Like [`file_bytes`], with an encoding of the cells.
fn encoded(encoding: DataBlockEncoding) -> Vec<u8> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let options = HFileWriter::options().data_block_encoding(encoding).block_size(16 << 10);
    let mut writer = options.index_chunk_size(200).create(&path).unwrap();
    for i in 0..ROWS {
        writer.append(CellRef::new(&key(i), &[b'v'; 100])).unwrap();
    }
    writer.finish().unwrap();
    fs::read(path).unwrap()
}

fn open(reader: Arc<dyn FileReader>, outline_bytes: usize) -> ReaderCore {
    let options = HFile::options().limits(Limits::new().with_outline_bytes(outline_bytes));
    open::open(reader, &options).unwrap()
}

fn seek_all(file: &ReaderCore) {
    let mut cells = HFileScanner::new(file);
    for i in 0..ROWS {
        cells.seek(&key(i * 13 % ROWS)).unwrap();
        assert_eq!(cells.peek().unwrap().key(), key(i * 13 % ROWS).as_key());
    }
}

/// The outlines and the index blocks below a block, and their size in memory.
fn below(block: &IndexBlock) -> (usize, usize, usize) {
    let (mut outlines, mut blocks, mut memory) = (0, 0, 0);
    for i in 0..block.len() {
        if let Some(bytes) = block.outlines().with(i, BlockOutline::memory) {
            (outlines, memory) = (outlines + 1, memory + bytes);
        }
        let Children::Index(slots) = block.children() else { continue };
        if let Some(child) = slots.get(i) {
            let (o, b, m) = below(&child);
            (outlines, blocks, memory) = (outlines + o, blocks + b + 1, memory + m + child.memory());
        }
    }
    (outlines, blocks, memory)
}

#[test]
fn what_is_kept_is_counted_once() {
    let bytes = file_bytes();
    let reader = || Arc::new(MemoryFile::new("file", bytes.clone()));
    let alone = open(reader(), 8 << 20);
    seek_all(&alone);
    let (outlines, blocks, memory) = below(&alone.root);
    assert!(outlines > 20 && blocks > 3, "{outlines} outlines, {blocks} index blocks");
    let kept = |file: &ReaderCore| file.kept.load(Ordering::Relaxed);
    assert!(memory <= kept(&alone), "{memory} bytes, {} are counted", kept(&alone));
    for _ in 0..20 {
        let shared = open(reader(), 8 << 20);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| seek_all(&shared));
            }
        });
        assert_eq!(below(&shared.root), (outlines, blocks, memory));
        assert_eq!(kept(&shared), kept(&alone));
    }
    for limit in [0, 1, 1000, kept(&alone) / 2, kept(&alone) - 1] {
        let limited = open(reader(), limit);
        seek_all(&limited);
        let (_, _, memory) = below(&limited.root);
        assert!(memory <= kept(&limited) && kept(&limited) <= limit, "{memory} {} {limit}", kept(&limited));
    }
}

/// A seek that reads a part of a block ends at the same cell as one that reads the whole block.
#[test]
fn seeks_in_parts_of_blocks_end_where_others_do() {
    for encoding in DataBlockEncoding::ALL {
        let bytes = encoded(encoding);
        let reader = || Arc::new(MemoryFile::new("file", bytes.clone()));
        let (parts, whole) = (open(reader(), 8 << 20), open(reader(), 0));
        seek_all(&parts);
        assert!(below(&parts.root).0 > 20, "{encoding:?}");
        let mut in_blocks = HFileScanner::new(&whole);
        for i in (0..ROWS).step_by(3) {
            let mut in_parts = HFileScanner::new(&parts);
            let row = key(i).row().to_vec();
            let after = SeekKey::first_on_row(&[row.as_slice(), b"a"].concat());
            let ends = [SeekKey::first_on_row(&row), SeekKey::last_on_row(&row)];
            // the last key is in an earlier part, and often in the same block
            for wanted in [key(i), after].into_iter().chain(ends).chain([key(i.saturating_sub(40))]) {
                let [a, b] = [&mut in_parts, &mut in_blocks].map(|cells| {
                    let result = cells.seek(&wanted).unwrap();
                    (result, cells.peek().map(Cell::from))
                });
                assert_eq!(a, b, "{encoding:?} {wanted:?}");
            }
            let further = key(i + 40);
            let [a, b] = [&mut in_parts, &mut in_blocks].map(|cells| {
                cells.reseek(&further).unwrap();
                cells.peek().map(Cell::from)
            });
            assert_eq!(a, b, "{encoding:?} from {i} on");
        }
    }
}

#[test]
fn a_scan_keeps_nothing() {
    let file = open(Arc::new(MemoryFile::new("file", file_bytes())), 8 << 20);
    let mut cells = HFileScanner::new(&file);
    assert!(cells.seek_to_first().unwrap());
    let mut count = 0;
    while cells.peek().is_some() {
        cells.advance().unwrap();
        count += 1;
    }
    assert_eq!((count, file.kept.load(Ordering::Relaxed)), (ROWS, 0));
}

/// A file that, while it is damaged, returns wrong bytes after the first 40 of each read.
#[derive(Debug)]
struct Damaged {
    file: MemoryFile,
    is_damaged: AtomicBool,
}

impl FileReader for Damaged {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)?;
        if self.is_damaged.load(Ordering::Relaxed) {
            buf.iter_mut().skip(40).for_each(|byte| *byte ^= 1);
        }
        Ok(())
    }
}

#[test]
fn blocks_that_cannot_be_read_are_not_counted() {
    let damaged =
        Arc::new(Damaged { file: MemoryFile::new("file", file_bytes()), is_damaged: AtomicBool::new(false) });
    let reader: Arc<dyn FileReader> = Arc::<Damaged>::clone(&damaged);
    let file = open(reader, 8 << 20);
    damaged.is_damaged.store(true, Ordering::Relaxed);
    for i in 0..ROWS {
        assert_eq!(HFileScanner::new(&file).seek(&key(i)).unwrap_err().kind(), ErrorKind::Corrupt);
    }
    assert_eq!(file.kept.load(Ordering::Relaxed), 0);
    damaged.is_damaged.store(false, Ordering::Relaxed);
    seek_all(&file);
    // blocks with known outlines, which change
    damaged.is_damaged.store(true, Ordering::Relaxed);
    for i in 0..ROWS {
        assert_eq!(HFileScanner::new(&file).seek(&key(i)).unwrap_err().kind(), ErrorKind::Corrupt);
    }
}
