//! Files: random reads, full scans, opening.
//!
//! Cold means that no block cache holds a block; the bytes of the file are still in memory.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hregion::{
    BlockCache, BloomType, Cell, Codec, DataBlockEncoding, HFile, HFileOptions, HFileWriter, Limits, SeekKey,
};
use std::hint::black_box;
use std::path::PathBuf;
use support::name;
use tempfile::TempDir;

const NONE: DataBlockEncoding = DataBlockEncoding::None;
const FAST_DIFF: DataBlockEncoding = DataBlockEncoding::FastDiff;
const ROW_INDEX: DataBlockEncoding = DataBlockEncoding::RowIndexV1;

/// The options of a file of the table.
#[derive(Clone, Copy, Debug)]
struct Shape {
    encoding: DataBlockEncoding,
    codec: Codec,
    block_size: usize,
    bloom: bool,
}

const PLAIN: Shape = Shape { encoding: NONE, codec: Codec::None, block_size: 64 << 10, bloom: false };

/// Returns every encoding; for two of them also every codec, and smaller blocks.
fn shapes() -> Vec<Shape> {
    let mut shapes: Vec<_> =
        DataBlockEncoding::ALL.into_iter().map(|encoding| Shape { encoding, ..PLAIN }).collect();
    for encoding in [NONE, FAST_DIFF] {
        for codec in [Codec::Lz4, Codec::Snappy, Codec::Zstd, Codec::Gz] {
            shapes.push(Shape { encoding, codec, ..PLAIN });
        }
        shapes.push(Shape { encoding, block_size: 8 << 10, ..PLAIN });
    }
    shapes
}

impl Shape {
    /// Returns the path of a case, such as `fast_diff/none/64KiB`.
    fn path(self) -> String {
        let codec = self.codec.name().to_ascii_lowercase();
        format!("{}/{codec}/{}KiB", name(self.encoding), self.block_size >> 10)
    }
}

/// The table, and the directory of its files.
struct Table {
    rows: usize,
    cells: Vec<Cell>,
    folder: TempDir,
}

impl Table {
    fn new() -> Self {
        let rows = support::rows();
        Self { rows, cells: support::cells(rows), folder: tempfile::tempdir().expect("a folder for files") }
    }

    /// Writes the table as a file of that shape. Returns `None` if the codec is not built in.
    fn write(&self, shape: Shape) -> Option<PathBuf> {
        let file = format!("{}-{}", shape.path().replace('/', "-"), shape.bloom);
        let path = self.folder.path().join(file);
        if path.exists() {
            return Some(path);
        }
        let options = HFileWriter::options()
            .data_block_encoding(shape.encoding)
            .codec(shape.codec)
            .block_size(shape.block_size)
            .bloom(shape.bloom.then_some(BloomType::Row));
        let mut writer = options.create(&path).ok()?;
        for cell in &self.cells {
            writer.append(cell.as_ref()).expect("cells in order");
        }
        writer.finish().expect("a whole file");
        Some(path)
    }

    /// Returns the timestamp of the first cell of a row.
    fn find(&self, key: &SeekKey) -> Option<i64> {
        let at = self.cells.partition_point(|cell| cell.as_ref().row() < key.row());
        self.cells.get(at).map(Cell::as_ref).filter(|c| c.row() == key.row()).map(|c| c.timestamp())
    }
}

fn open(options: &HFileOptions, path: &PathBuf) -> HFile {
    options.open(path).expect("a file that was written")
}

/// Returns the timestamp of the first cell of a row, if the row exists; checks the Bloom filter first, if
/// there is one.
#[inline]
fn get(scanner: &mut hregion::HFileScanner<'_>, file: &HFile, key: &SeekKey) -> Option<i64> {
    if !file.may_contain_row(key.row()) {
        return None;
    }
    scanner.seek(key).expect("a sound file");
    scanner.peek().filter(|cell| cell.row() == key.row()).map(|cell| cell.timestamp())
}

fn gets(c: &mut Criterion) {
    let table = Table::new();
    let (present, absent) = (support::present(table.rows), support::absent(table.rows));
    for shape in shapes() {
        for bloom in [false, true] {
            // the filter is the same for every codec
            if bloom && shape.codec != Codec::None {
                continue;
            }
            let Some(path) = table.write(Shape { bloom, ..shape }) else { continue };
            let cache = BlockCache::with_capacity(1 << 30);
            for (heat, options) in [("warm", HFile::options().cache(&cache)), ("cold", HFile::options())] {
                let file = open(&options, &path);
                let mut scanner = file.scanner();
                let bloom = if bloom { "-bloom" } else { "" };
                let mut group = c.benchmark_group(format!("hfile/get/{}/{heat}", shape.path()));
                group.throughput(Throughput::Elements(1));
                for (case, keys) in [("present", &present), ("absent", &absent)] {
                    for key in &keys[..20] {
                        assert_eq!(get(&mut scanner, &file, key), table.find(key), "{key:?}");
                    }
                    if heat == "warm" {
                        let _ = keys.iter().filter_map(|key| get(&mut scanner, &file, key)).count();
                    }
                    let mut next = keys.iter().cycle();
                    group.bench_function(format!("{case}{bloom}"), |b| {
                        b.iter(|| get(&mut scanner, &file, black_box(next.next().expect("no end"))));
                    });
                }
            }
        }
    }
}

/// Returns the size of all values in bytes.
fn scan(file: &HFile) -> usize {
    let mut scanner = file.scanner();
    let mut bytes = 0;
    let mut more = scanner.seek_to_first().expect("a sound file");
    while more {
        bytes += scanner.peek().map_or(0, |cell| cell.value().len());
        more = scanner.advance().expect("a sound file");
    }
    bytes
}

fn scans(c: &mut Criterion) {
    let table = Table::new();
    let values: usize = table.cells.iter().map(|cell| cell.as_ref().value().len()).sum();
    for shape in shapes() {
        let Some(path) = table.write(shape) else { continue };
        let cache = BlockCache::with_capacity(1 << 30);
        for (heat, options) in [("warm", HFile::options().cache(&cache)), ("cold", HFile::options())] {
            let file = open(&options, &path);
            assert_eq!(scan(&file), values);
            let mut group = c.benchmark_group(format!("hfile/scan/{}/{heat}", shape.path()));
            group.throughput(Throughput::Elements(table.cells.len() as u64));
            group.bench_function("cells", |b| b.iter(|| scan(black_box(&file))));
            if shape.codec != Codec::None && heat == "cold" {
                let options = HFile::options().limits(Limits::new().with_read_ahead_bytes(0));
                let file = open(&options, &path);
                assert_eq!(scan(&file), values);
                group.bench_function("cells-one-thread", |b| b.iter(|| scan(black_box(&file))));
            }
            if shape.codec == Codec::None && [NONE, FAST_DIFF, ROW_INDEX].contains(&shape.encoding) {
                group.throughput(Throughput::Bytes(file.file_len()));
                group.bench_function("bytes", |b| b.iter(|| scan(black_box(&file))));
            }
        }
    }
}

fn opening(c: &mut Criterion) {
    let table = Table::new();
    let mut group = c.benchmark_group("hfile/open");
    for shape in [PLAIN, Shape { block_size: 8 << 10, ..PLAIN }, Shape { bloom: true, ..PLAIN }] {
        let path = table.write(shape).expect("no codec is needed");
        let bloom = if shape.bloom { "/bloom" } else { "" };
        group.bench_function(format!("{}{bloom}", shape.path()), |b| {
            b.iter(|| HFile::open(black_box(&path)).map(|file| file.entry_count()));
        });
    }
}

criterion_group!(name = benches; config = support::criterion(); targets = gets, scans, opening);
criterion_main!(benches);
