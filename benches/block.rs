//! Data blocks: decoding, walking and seeking, by encoding and size.

mod support;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hregion::bench::EncodedBlock;
use hregion::{Cell, DataBlockEncoding, SeekKey};
use std::hint::black_box;

const SIZES: [(usize, &str); 2] = [(8 << 10, "8KiB"), (64 << 10, "64KiB")];

fn decode(c: &mut Criterion) {
    let cells = support::cells(support::rows().min(5_000));
    for encoding in DataBlockEncoding::ALL {
        let mut group = c.benchmark_group(format!("block/decode/{}", support::name(encoding)));
        for (bytes, size) in SIZES {
            let block = EncodedBlock::new(&cells, encoding, bytes).expect("cells of a table");
            let mut out = Vec::new();
            let count = block.decode(&mut out).expect("what was encoded");
            group.throughput(Throughput::Elements(count as u64));
            group.bench_function(size, |b| b.iter(|| block.decode(black_box(&mut out))));
            group.bench_function(format!("{size}/indexed"), |b| b.iter(|| black_box(&block).open()));
        }
    }
}

fn walk(c: &mut Criterion) {
    let cells = support::cells(support::rows().min(5_000));
    let mut group = c.benchmark_group("block/walk");
    for (bytes, size) in SIZES {
        let block = open(&cells, DataBlockEncoding::FastDiff, bytes);
        group.throughput(Throughput::Elements(block.count().into()));
        group.bench_function(size, |b| b.iter(|| black_box(&block).walk()));
    }
}

fn open(cells: &[Cell], encoding: DataBlockEncoding, bytes: usize) -> hregion::bench::OpenBlock {
    EncodedBlock::new(cells, encoding, bytes).and_then(|block| block.open()).expect("cells of a table")
}

/// In memory, all encodings are plain; they differ only in the data around the cells.
fn seek(c: &mut Criterion) {
    let cells = support::cells(support::rows().min(5_000));
    for encoding in DataBlockEncoding::ALL {
        let mut group = c.benchmark_group(format!("block/seek/{}", support::name(encoding)));
        group.throughput(Throughput::Elements(1));
        for (bytes, size) in SIZES {
            let block = open(&cells, encoding, bytes);
            let rows = usize::try_from(block.count()).expect("a small number") / support::COLUMNS;
            for (case, keys) in [("present", support::present(rows)), ("absent", support::absent(rows - 1))] {
                check(&cells, &block, &keys);
                let mut next = keys.iter().cycle();
                group.bench_function(format!("{size}/{case}"), |b| {
                    b.iter(|| block.seek(black_box(next.next().expect("a cycle has no end"))));
                });
            }
        }
    }
}

/// Checks the results against a walk.
fn check(cells: &[Cell], block: &hregion::bench::OpenBlock, keys: &[SeekKey]) {
    for key in &keys[..10] {
        let walk = cells.iter().map(Cell::as_ref).find(|cell| cell.row() >= key.row());
        assert_eq!(block.seek(key), walk.map(|cell| cell.timestamp()));
    }
}

criterion_group!(name = benches; config = support::criterion(); targets = decode, walk, seek);
criterion_main!(benches);
