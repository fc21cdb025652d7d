//! Gets, scans, writes, flushes and compactions of a region: in one file, and over overlapping runs.

mod support;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use hregion::filter::SingleColumnValue;
use hregion::{
    BlockCache, Compaction, Comparator, Compare, Delete, Durability, Family, Filter, Get, Put, Region,
    RowBuf, Scan,
};
use std::hint::black_box;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use support::Rng;
use tempfile::TempDir;

const VALUE: [u8; 100] = [7; 100];

/// A region in a directory that is removed with it.
struct Fixture {
    region: Region,
    _dir: TempDir,
}

fn empty() -> Fixture {
    let dir = tempfile::tempdir().expect("a directory");
    let options = Region::options()
        .cache(&BlockCache::with_capacity(1 << 30))
        .create_if_missing(true)
        .durability(Durability::SkipWal)
        .family(Family::new("cf").max_versions(100));
    Fixture { region: options.open(dir.path()).expect("a new region"), _dir: dir }
}

/// Creates a region with cells in overlapping files, and in a MemStore as the last of the runs.
fn runs(runs: usize, write: impl Fn(&Region, usize)) -> Fixture {
    let fixture = empty();
    for run in 0..runs {
        write(&fixture.region, run);
        if run + 1 < runs {
            fixture.region.flush().expect("a file");
        }
    }
    fixture
}

/// Creates rows of one cell, each in one of the runs.
fn rows_of_one(count: usize) -> Fixture {
    let fixture = runs(count, |region, run| {
        for number in (run..support::rows()).step_by(count) {
            put(region, 2 * number);
        }
    });
    if count == 1 {
        fixture.region.flush().expect("a file");
    }
    fixture
}

fn put(region: &Region, number: usize) {
    let put = Put::new(support::row(number)).cell_at("cf", "qual", 1_700_000_000_000, &VALUE[..]);
    region.put(put).expect("a row of the region");
}

fn gets(c: &mut Criterion) {
    for count in [1, 5] {
        let Fixture { region, _dir } = &rows_of_one(count);
        let mut group = c.benchmark_group(format!("region/get/{count}-runs"));
        group.throughput(Throughput::Elements(1));
        let mut row = RowBuf::new();
        for (case, get, odd) in [
            ("column", Get::new("").column("cf", "qual"), 0),
            ("row", Get::new("").family("cf"), 0),
            ("missing", Get::new("").column("cf", "qual"), 1),
        ] {
            let (mut rng, mut get) = (Rng::new(7), get);
            group.bench_function(case, |b| {
                b.iter(|| {
                    get.set_row(support::row(2 * rng.below(support::rows()) + odd));
                    region.get_into(&get, &mut row).expect("sound files")
                });
            });
        }
    }
}

/// Gets with a second thread that also gets: from all blocks, and from one block that both threads read.
fn gets_beside(c: &mut Criterion) {
    let Fixture { region, _dir } = &rows_of_one(1);
    for (name, rows) in [("all-blocks", support::rows()), ("one-block", 100)] {
        let mut group = c.benchmark_group(format!("region/get-beside/{name}"));
        group.throughput(Throughput::Elements(1));
        let reader = |seed| {
            let (mut rng, mut row, mut get) =
                (Rng::new(seed), RowBuf::new(), Get::new("").column("cf", "qual"));
            move || {
                get.set_row(support::row(2 * rng.below(rows)));
                region.get_into(&get, &mut row).expect("sound files");
                row.len()
            }
        };
        group.bench_function("alone", |b| b.iter(reader(7)));
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                let mut other = reader(8);
                while !stop.load(Ordering::Relaxed) {
                    black_box(other());
                }
            });
            group.bench_function("beside-another", |b| b.iter(reader(9)));
            stop.store(true, Ordering::Relaxed);
        });
    }
}

fn scans(c: &mut Criterion) {
    let mut group = c.benchmark_group("region/scan");
    group.throughput(Throughput::Elements(support::rows() as u64)).sample_size(10);
    // one run needs no merge; the others show the cost of the heap
    for count in [1, 2, 5, 12] {
        let Fixture { region, _dir } = &rows_of_one(count);
        let (view, scan) = (region.view(), Scan::new().family("cf"));
        group.bench_function(BenchmarkId::new("rows", count), |b| {
            b.iter(|| {
                let mut rows = view.scan(&scan).expect("a scan");
                let mut cells = 0;
                while let Some(row) = rows.next_row().expect("sound files") {
                    cells += row.len();
                }
                cells
            });
        });
        group.bench_function(BenchmarkId::new("cells borrowed", count), |b| {
            b.iter(|| {
                let mut bytes = 0;
                let rows = view.scan(&scan).expect("a scan");
                rows.for_each_cell(|cell| {
                    bytes += cell.value().len();
                    ControlFlow::Continue(())
                })
                .expect("sound files");
                bytes
            });
        });
    }
}

/// Scans backward, and with a filter that no row passes.
fn other_scans(c: &mut Criterion) {
    let value = SingleColumnValue::new("cf", "qual", Compare::Less, Comparator::binary(&VALUE[..1]));
    for (name, scan) in [
        ("region/scan_reversed", Scan::new().reversed(true)),
        ("region/scan_filtered", Scan::new().filter(Filter::single_column_value(value))),
    ] {
        scan_rows(c, name, &scan.family("cf"));
    }
}

fn scan_rows(c: &mut Criterion, name: &str, scan: &Scan) {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(support::rows() as u64)).sample_size(10);
    for count in [1, 5] {
        let Fixture { region, _dir } = &rows_of_one(count);
        let view = region.view();
        group.bench_function(BenchmarkId::new("rows", count), |b| {
            b.iter(|| {
                let mut rows = view.scan(scan).expect("a scan");
                let mut cells = 0;
                while let Some(row) = rows.next_row().expect("sound files") {
                    cells += row.len();
                }
                cells
            });
        });
    }
}

/// Rows of ten columns, and rows of ten versions with two markers, over five runs.
fn rows_of_many(c: &mut Criterion) {
    const CELLS: usize = 10;
    let count = support::rows() / CELLS;
    let mut group = c.benchmark_group("region/row/5-runs");
    group.throughput(Throughput::Elements(1));
    let wide = runs(5, |region, run| {
        for (number, column) in (0..count).flat_map(|row| (0..CELLS).map(move |column| (row, column))) {
            if (number + column) % 5 == run {
                let put = Put::new(support::row(number));
                let put = put.cell_at("cf", format!("qu{column:02}"), 1_700_000_000_000, &VALUE[..]);
                region.put(put).expect("a row of the region");
            }
        }
    });
    let versions = runs(5, |region, run| {
        for (number, version) in (0..count).flat_map(|row| (0..CELLS).map(move |version| (row, version))) {
            if (number + version) % 5 == run {
                let put = Put::new(support::row(number));
                let put = put.cell_at(
                    "cf",
                    "qual",
                    1000 - i64::try_from(version).expect("ten versions"),
                    &VALUE[..],
                );
                region.put(put).expect("a row of the region");
            }
        }
        if run == 4 {
            for number in 0..count {
                let delete = Delete::new(support::row(number));
                let delete = delete.version_at("cf", "qual", 998).column_at("cf", "qual", 994);
                region.delete(delete).expect("a row of the region");
            }
        }
    });
    let mut row = RowBuf::new();
    for (case, fixture, get) in [
        ("ten columns", &wide, Get::new("").family("cf")),
        ("one of ten columns", &wide, Get::new("").column("cf", "qu05")),
        ("ten versions", &versions, Get::new("").column("cf", "qual").max_versions(10)),
        ("newest of ten", &versions, Get::new("").column("cf", "qual")),
    ] {
        let (mut rng, mut get) = (Rng::new(7), get);
        group.bench_function(case, |b| {
            b.iter(|| {
                get.set_row(support::row(rng.below(count)));
                fixture.region.get_into(&get, &mut row).expect("sound files")
            });
        });
    }
}

fn writes(c: &mut Criterion) {
    let rows = support::rows();
    let mut group = c.benchmark_group("region/write");
    group.throughput(Throughput::Elements(rows as u64)).sample_size(10);
    group.bench_function("put", |b| {
        b.iter_batched(empty, |f| (0..rows).for_each(|row| put(&f.region, row)), BatchSize::PerIteration);
    });
    let full = || {
        let fixture = empty();
        (0..rows).for_each(|row| put(&fixture.region, row));
        fixture
    };
    group.bench_function("flush", |b| {
        b.iter_batched(full, |f| f.region.flush().expect("a file"), BatchSize::PerIteration);
    });
    let five = || {
        let fixture = rows_of_one(5);
        fixture.region.flush().expect("a file");
        fixture
    };
    group.bench_function("compact", |b| {
        let compact = |f: Fixture| f.region.compact(Compaction::Major).expect("a file");
        b.iter_batched(five, compact, BatchSize::PerIteration);
    });
}

/// Puts with a log, of one thread and of many that share its syncs.
fn logged_writes(c: &mut Criterion) {
    let mut group = c.benchmark_group("region/put");
    for (name, durability, threads) in [
        ("sync-wal", Durability::SyncWal, 1),
        ("fsync-wal", Durability::FsyncWal, 1),
        ("fsync-wal-32-threads", Durability::FsyncWal, 32),
    ] {
        let puts = support::rows().min(512);
        group.throughput(Throughput::Elements((puts * threads) as u64)).sample_size(10);
        let write = |fixture: &Fixture, thread: usize| {
            for row in 0..puts {
                let put = Put::new(support::row(row * threads + thread)).cell("cf", "qual", &VALUE[..]);
                fixture.region.put(put.durability(durability)).expect("a row of the region");
            }
        };
        let run = |fixture: Fixture| {
            thread::scope(|scope| {
                let (fixture, write) = (&fixture, &write);
                (1..threads).for_each(|thread| drop(scope.spawn(move || write(fixture, thread))));
                write(fixture, 0);
            });
            fixture
        };
        group.bench_function(name, |b| b.iter_batched(empty, run, BatchSize::PerIteration));
    }
}

criterion_group! {
    name = benches;
    config = support::criterion();
    targets = gets, gets_beside, scans, other_scans, rows_of_many, writes, logged_writes
}
criterion_main!(benches);
