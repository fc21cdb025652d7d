//! Seeks in a file without a block cache read parts of blocks whose outlines are known. They find the same
//! cells as seeks that read whole blocks, and detect changed bytes.

use crate::support::mixed_rows::{ROWS, family, row, store_file, tuned, write, write_tagged};
use crate::support::rng::Rng;
use hregion::{
    CellRef, CellType, ChecksumType, Codec, DataBlockEncoding, ErrorKind, FileReader, HFile, HFileScanner,
    HFileWriter, Limits, SeekKey, SeekResult,
};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// A changing file in memory that counts its reads.
#[derive(Debug)]
struct Bytes {
    bytes: Mutex<Vec<u8>>,
    read: AtomicU64,
}

impl Bytes {
    fn of(path: &Path) -> Arc<Self> {
        Arc::new(Self { bytes: Mutex::new(fs::read(path).unwrap()), read: AtomicU64::new(0) })
    }

    fn flip(&self, bit: usize) {
        self.bytes.lock().unwrap()[bit / 8] ^= 1 << (bit % 8);
    }

    /// Replaces the first occurrence of some bytes.
    fn replace(&self, from: &[u8], to: &[u8]) {
        let mut bytes = self.bytes.lock().unwrap();
        let at = bytes.windows(from.len()).position(|found| found == from).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to);
    }

    fn take_read(&self) -> u64 {
        self.read.swap(0, Ordering::Relaxed)
    }
}

impl FileReader for Bytes {
    fn path(&self) -> &Path {
        Path::new("in-memory")
    }

    fn len(&self) -> u64 {
        self.bytes.lock().unwrap().len() as u64
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        let bytes = self.bytes.lock().unwrap();
        let found = bytes.get(at..at + buf.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buf.copy_from_slice(found);
        self.read.fetch_add(buf.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

fn open(file: &Arc<Bytes>, outline_bytes: usize) -> HFile {
    let limits = Limits::new().with_outline_bytes(outline_bytes);
    let reader: Arc<dyn FileReader> = Arc::<Bytes>::clone(file);
    HFile::options().limits(limits).open_reader(reader).unwrap()
}

/// Writes the cells of a region's file to a file whose index has several levels. Returns its path.
fn small_index_blocks(dir: &Path) -> PathBuf {
    let (from, to) = (HFile::open(store_file(dir)).unwrap(), dir.join("leveled"));
    let options = HFileWriter::options().data_block_encoding(DataBlockEncoding::FastDiff);
    let mut writer = options.block_size(20 << 10).index_chunk_size(512).create(&to).unwrap();
    let mut cells = from.scanner();
    let mut more = cells.seek_to_first().unwrap();
    while more {
        writer.append(cells.peek().unwrap()).unwrap();
        more = cells.advance().unwrap();
    }
    writer.finish().unwrap();
    to
}

/// Returns a key that is in the file, or between cells, or before or after all cells.
fn key(rng: &mut Rng) -> SeekKey {
    let mut row = row(rng.next() % (ROWS + 100));
    match rng.below(12) {
        0 => row.push(b'y'),
        1 => drop(row.pop()),
        2 => row.clear(),
        3 => row = b"~".to_vec(),
        _ => {}
    }
    let timestamp = i64::try_from(rng.below(50)).unwrap();
    match rng.below(5) {
        0 => SeekKey::first_on_row(&row),
        1 => SeekKey::last_on_row(&row),
        2 => SeekKey::first_on_column(&row, b"f", b"q000"),
        _ => {
            let qualifier = format!("q{:03}", rng.below(12));
            SeekKey::of(&row, b"f", qualifier.as_bytes(), timestamp, CellType::Put)
        }
    }
}

/// The result of a call.
#[derive(Debug, PartialEq)]
enum Answer {
    Seek(SeekResult),
    Moved(bool),
}

fn step(cells: &mut HFileScanner<'_>, operation: usize, key: &SeekKey, steps: usize) -> Answer {
    match operation {
        0 => Answer::Moved(cells.seek_to_first().unwrap()),
        1 => Answer::Seek(cells.seek_to(key).unwrap()),
        2 => Answer::Moved(cells.seek_before(key).unwrap()),
        3..6 => Answer::Seek(cells.reseek(key).unwrap()),
        6..9 => Answer::Moved((0..steps).all(|_| cells.advance().unwrap())),
        _ => Answer::Seek(cells.seek(key).unwrap()),
    }
}

/// Compares seeks by parts with seeks in whole blocks.
fn compare(path: &Path, shape: &str, seed: u64, (expects_parts, has_levels): (bool, bool)) {
    let (bytes, whole_bytes) = (Bytes::of(path), Bytes::of(path));
    for outline_bytes in [8 << 20, 3000] {
        let (file, whole) = (open(&bytes, outline_bytes), open(&whole_bytes, 0));
        assert_eq!(file.index_levels() > 1, has_levels, "{shape}");
        let (mut cells, mut expected) = (file.scanner(), whole.scanner());
        let mut rng = Rng::new(seed);
        let mut seeks = (0, 0);
        for i in 0..12_000 {
            // at first, few of the blocks are known
            let operation = if !(500..=11_000).contains(&i) { 9 } else { rng.below(14) };
            let most = if rng.below(50) == 0 { 2000 } else { 20 };
            let (key, steps) = (key(&mut rng), rng.below(most));
            bytes.take_read();
            whole_bytes.take_read();
            let found = step(&mut cells, operation, &key, steps);
            assert_eq!(found, step(&mut expected, operation, &key, steps), "{shape} {operation} {key:?}");
            assert_eq!(cells.peek(), expected.peek(), "{shape} {operation} {key:?} {steps}");
            if i > 11_000 {
                seeks.0 += bytes.take_read();
                seeks.1 += whole_bytes.take_read();
            }
        }
        let is_little = seeks.0 < seeks.1 / 2;
        assert_eq!(is_little, expects_parts && outline_bytes > 3000, "{shape} {outline_bytes} {seeks:?}");
    }
}

#[test]
fn parts_have_the_tags_of_whole_blocks() {
    let dir = tempfile::tempdir().unwrap();
    write_tagged(dir.path(), family(DataBlockEncoding::FastDiff, 64 << 10), 1);
    compare(&store_file(dir.path()), "compressed tags", 1, (true, false));
}

#[test]
fn parts_have_the_cells_of_whole_blocks() {
    let shapes = [
        (family(DataBlockEncoding::None, 64 << 10), true),
        (family(DataBlockEncoding::None, 20 << 10), true),
        (family(DataBlockEncoding::None, 300 << 10), true),
        (family(DataBlockEncoding::RowIndexV1, 64 << 10), true),
        (family(DataBlockEncoding::FastDiff, 64 << 10), true),
        (family(DataBlockEncoding::Diff, 64 << 10), true),
        (family(DataBlockEncoding::Prefix, 64 << 10), true),
        (tuned().configuration("hbase.hstore.checksum.algorithm", "NULL"), true),
        (family(DataBlockEncoding::FastDiff, 64 << 10).codec(Codec::Snappy), false),
    ];
    let leveled = (family(DataBlockEncoding::FastDiff, 20 << 10), true, true);
    let shapes = shapes.into_iter().map(|(family, parts)| (family, parts, false)).chain([leveled]);
    for (seed, (family, expects_parts, has_levels)) in (1..).zip(shapes) {
        let dir = tempfile::tempdir().unwrap();
        let shape = format!("{family:?}");
        write(dir.path(), family, 1, seed);
        let path = if has_levels { small_index_blocks(dir.path()) } else { store_file(dir.path()) };
        compare(&path, &shape, seed, (expects_parts, has_levels));
    }
}

/// A file with known outlines of its blocks.
struct Known {
    bytes: Arc<Bytes>,
    file: HFile,
    keys: Vec<SeekKey>,
}

impl Known {
    fn new(encoding: DataBlockEncoding, has_tags: bool) -> Self {
        let (dir, family) = (tempfile::tempdir().unwrap(), family(encoding, 64 << 10));
        if has_tags {
            write_tagged(dir.path(), family, 5);
        } else {
            write(dir.path(), family, 1, 5);
        }
        let bytes = Bytes::of(&store_file(dir.path()));
        let file = open(&bytes, 8 << 20);
        let keys: Vec<_> = (0..ROWS).map(|number| SeekKey::first_on_row(&row(number))).collect();
        let mut cells = file.scanner();
        for key in &keys {
            cells.seek(key).unwrap();
        }
        drop(cells);
        Self { bytes, file, keys }
    }

    /// Seeks to some rows while bits are flipped, and then flips them back. Returns how many seeks failed,
    /// and how many found the right cell.
    fn flip(&self, whole: &HFile, bits: &[usize], rows: usize, rng: &mut Rng) -> (usize, usize) {
        bits.iter().for_each(|bit| self.bytes.flip(*bit));
        let (mut failed, mut right) = (0, 0);
        for _ in 0..rows {
            let key = &self.keys[rng.below(self.keys.len())];
            let (mut cells, mut expected) = (self.file.scanner(), whole.scanner());
            match cells.seek(key) {
                Ok(found) => {
                    assert_eq!(found, expected.seek(key).unwrap(), "{bits:?}");
                    assert_eq!(cells.peek(), expected.peek(), "{bits:?}");
                    right += 1;
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
                    failed += 1;
                }
            }
        }
        bits.iter().for_each(|bit| self.bytes.flip(*bit));
        (failed, right)
    }

    fn whole(&self) -> HFile {
        let bytes = self.bytes.bytes.lock().unwrap().clone();
        open(&Arc::new(Bytes { bytes: Mutex::new(bytes), read: AtomicU64::new(0) }), 8 << 20)
    }
}

/// The next part has changed, so the whole block is read, in which the rows before the current cell are no
/// longer in ascending order.
#[test]
fn a_reseek_in_a_changed_block_never_goes_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let key = |row: u64| SeekKey::of(format!("{row:04}").as_bytes(), b"f", b"q", 1, CellType::Put);
    let mut writer = HFileWriter::options().checksum(ChecksumType::Null).create(&path).unwrap();
    for row in 0..1000 {
        writer.append(CellRef::new(&key(row), &[7; 30])).unwrap();
    }
    writer.finish().unwrap();
    let bytes = Bytes::of(&path);
    let file = open(&bytes, 8 << 20);
    file.scanner().seek(&key(0)).unwrap();
    let mut cells = file.scanner();
    bytes.take_read();
    cells.seek(&key(20)).unwrap();
    assert!((1..16 << 10).contains(&bytes.take_read()));
    bytes.replace(b"0010", b"0900");
    bytes.replace(b"0100", b"0101");
    let error = cells.reseek(&key(500)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert!(cells.peek().is_none());
}

/// Flips bits, one in each stretch of 3 KiB.
fn flip_often(encoding: DataBlockEncoding, has_tags: bool, times: usize) {
    let known = Known::new(encoding, has_tags);
    let whole = known.whole();
    let len = known.bytes.bytes.lock().unwrap().len();
    let (mut rng, mut failed, mut right) = (Rng::new(9), 0, 0);
    for i in 0..times {
        // in every second case only one bit of the file
        let mut bits: Vec<_> =
            (0..len / 3072).map(|at| 8 * (3072 * at + rng.below(3072)) + rng.below(8)).collect();
        if i % 2 == 0 {
            bits = vec![bits[rng.below(bits.len())]];
        }
        let (f, r) = known.flip(&whole, &bits, 20, &mut rng);
        (failed, right) = (failed + f, right + r);
    }
    assert!(failed > times && right > times, "{failed} {right}");
    // the file is unchanged again
    assert_eq!(known.flip(&whole, &[], 1000, &mut rng), (0, 1000));
}

#[test]
fn no_flipped_bit_changes_what_a_seek_finds() {
    for encoding in [DataBlockEncoding::None, DataBlockEncoding::RowIndexV1, DataBlockEncoding::FastDiff] {
        flip_often(encoding, false, 60);
    }
    flip_often(DataBlockEncoding::FastDiff, true, 60);
}

#[test]
#[ignore = "many flips: takes minutes"]
fn no_flipped_bit_changes_what_a_seek_finds_in_many_histories() {
    for encoding in DataBlockEncoding::ALL {
        flip_often(encoding, false, 3000);
        flip_often(encoding, true, 3000);
    }
}
