//! Recent cells in memory: adding them, getting existing and missing rows, walking; and the numbers of
//! writes.

mod support;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hregion::bench::{RecentCells, RecentCellsScanner, WriteNumbers};
use hregion::{Cell, CellOrder, SeekKey};
use std::hint::black_box;

/// Returns enough cells to exceed a processor's caches.
fn cells() -> Vec<Cell> {
    support::cells(support::rows() / 5)
}

/// Shuffles the cells: a server receives them in no particular order.
fn shuffled(mut cells: Vec<Cell>) -> Vec<Cell> {
    support::shuffle(&mut cells, &mut support::Rng::new(11));
    cells
}

fn segment(cells: &[Cell]) -> RecentCells {
    let segment = RecentCells::new(CellOrder::User);
    cells.iter().for_each(|cell| segment.insert(cell.as_ref()));
    segment
}

fn insert(c: &mut Criterion) {
    let sorted = cells();
    let shuffled = shuffled(sorted.clone());
    let mut group = c.benchmark_group("memstore/insert");
    group.throughput(Throughput::Elements(sorted.len() as u64)).sample_size(10);
    for (name, cells) in [("ascending", &sorted), ("shuffled", &shuffled)] {
        group.bench_function(name, |b| {
            b.iter_batched(|| (), |()| segment(cells), BatchSize::PerIteration);
        });
    }
}

fn get(c: &mut Criterion) {
    let segment = segment(&shuffled(cells()));
    let rows = support::rows() / 5;
    let mut group = c.benchmark_group("memstore/get");
    group.throughput(Throughput::Elements(1));
    for (name, keys) in [("present", support::present(rows)), ("absent", support::absent(rows))] {
        let mut scanner = segment.scanner(i64::MAX);
        let mut found = |key: &SeekKey| {
            segment.may_contain_row(key.row()) && {
                scanner.seek(key);
                scanner.peek().is_some_and(|cell| cell.row() == key.row())
            }
        };
        assert!(keys.iter().all(|key| found(key) == (name == "present")));
        let mut next = keys.iter().cycle();
        group.bench_function(name, |b| {
            b.iter(|| found(black_box(next.next().expect("a cycle has no end"))));
        });
    }
}

fn scan(c: &mut Criterion) {
    let cells = cells();
    let bytes: usize = cells.iter().map(|cell| cell.as_ref().value().len()).sum();
    let segment = segment(&shuffled(cells.clone()));
    let mut group = c.benchmark_group("memstore/scan");
    group.throughput(Throughput::Elements(cells.len() as u64));
    let walk = |mut scanner: RecentCellsScanner<'_>| {
        scanner.seek_to_first();
        let mut bytes = 0;
        while let Some(cell) = scanner.peek() {
            bytes += cell.value().len();
            scanner.advance();
        }
        bytes
    };
    let scanner = || segment.scanner(black_box(i64::MAX));
    assert_eq!((walk(scanner()), walk(scanner().reading_ahead())), (bytes, bytes));
    group.bench_function("forward", |b| b.iter(|| walk(scanner())));
    group.bench_function("reading-ahead", |b| b.iter(|| walk(scanner().reading_ahead())));
    let walk_back = |read_point| {
        let mut scanner = segment.reversed_scanner(read_point);
        scanner.seek_to_last_row();
        let mut bytes = 0;
        while scanner.peek().is_some() {
            while let Some(cell) = scanner.peek() {
                bytes += cell.value().len();
                scanner.advance();
            }
            scanner.previous_row();
        }
        bytes
    };
    assert_eq!(walk_back(i64::MAX), bytes);
    group.bench_function("backward", |b| b.iter(|| walk_back(black_box(i64::MAX))));
    group.finish();

    let rows: Vec<SeekKey> =
        cells.iter().step_by(support::COLUMNS).map(|c| SeekKey::first_on_row(c.as_ref().row())).collect();
    let mut group = c.benchmark_group("memstore/reseek");
    group.throughput(Throughput::Elements(rows.len() as u64));
    group.bench_function("each-row", |b| {
        b.iter(|| {
            let mut scanner = segment.scanner(i64::MAX);
            rows.iter()
                .filter(|row| {
                    scanner.reseek(row);
                    scanner.peek().is_some()
                })
                .count()
        });
    });
}

fn mvcc(c: &mut Criterion) {
    let numbers = WriteNumbers::new();
    let mut group = c.benchmark_group("mvcc");
    group.throughput(Throughput::Elements(1));
    group.bench_function("begin-complete", |b| b.iter(|| numbers.write()));
    group.bench_function("register-drop", |b| b.iter(|| numbers.read()));
}

criterion_group!(name = benches; config = support::criterion(); targets = insert, get, scan, mvcc);
criterion_main!(benches);
