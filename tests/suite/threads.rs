//! Concurrent readers and writers: each read returns whole rows, and every write that was complete before it
//! began.

use hregion::{BlockCache, Compaction, Durability, Family, Get, Put, Region, RowRef, Scan};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const ROWS: usize = 8;
const COLUMNS: usize = 4;
const FAMILIES: [&str; 2] = ["f", "g"];

/// The last number acknowledged for each row. Each of the two writers has half of the rows.
struct Acknowledged([AtomicU64; ROWS]);

fn row_key(row: usize) -> String {
    format!("row-{row}")
}

/// Writes the same number to every column of both families.
fn write(region: &Region, row: usize, number: u64) {
    let mut put = Put::new(row_key(row));
    for family in FAMILIES {
        for column in 0..COLUMNS {
            put = put.cell(family, format!("c{column}"), number.to_be_bytes().to_vec());
        }
    }
    region.put(put).unwrap();
}

/// Returns the number in a row, and checks that all its cells have it.
fn number(row: RowRef<'_>) -> u64 {
    let numbers: Vec<u64> =
        row.cells().map(|cell| u64::from_be_bytes(cell.value().try_into().unwrap())).collect();
    assert_eq!(numbers.len(), FAMILIES.len() * COLUMNS, "{row:?}");
    assert!(numbers.iter().all(|number| number == &numbers[0]), "half a row: {row:?}");
    numbers[0]
}

/// Reads continuously until stopped. Returns the number of rows seen.
fn read(region: &Region, acknowledged: &Acknowledged, stop: &AtomicBool) -> u64 {
    let (mut seen, mut last) = (0, [0; ROWS]);
    while !stop.load(Ordering::Acquire) {
        let before: Vec<u64> = acknowledged.0.iter().map(|n| n.load(Ordering::Acquire)).collect();
        for row in 0..ROWS {
            let read = region.get(&Get::new(row_key(row))).unwrap();
            let found = if read.is_empty() { 0 } else { number(read.as_row()) };
            assert!(found >= before[row] && found >= last[row], "row {row}: {found}, {} known", before[row]);
            last[row] = found;
            seen += 1;
        }
        let view = region.view();
        let scan = Scan::new();
        // rows not yet written count as 0
        let read_all = || -> [u64; ROWS] {
            let mut rows = view.scan(&scan).unwrap();
            let mut found = [0; ROWS];
            while let Some(row) = rows.next_row().unwrap() {
                let at = (0..ROWS).find(|&at| row_key(at).as_bytes() == row.key()).unwrap();
                found[at] = number(row);
            }
            found
        };
        let (once, again) = (read_all(), read_all());
        assert_eq!(once, again, "a view has moved");
        assert!(once.iter().zip(&last).all(|(found, last)| found >= last));
        seen += ROWS as u64;
    }
    seen
}

fn run(region: &Region, time: Duration, maintain: bool) {
    let acknowledged = Acknowledged(Default::default());
    let (stop, began) = (AtomicBool::new(false), Instant::now());
    thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (acknowledged, stop) = (&acknowledged, &stop);
                scope.spawn(move || {
                    let mut n = 0;
                    while !stop.load(Ordering::Acquire) {
                        n += 1;
                        for row in (0..ROWS).filter(|row| row % 2 == writer) {
                            write(region, row, n);
                            acknowledged.0[row].store(n, Ordering::Release);
                        }
                    }
                    n
                })
            })
            .collect();
        let readers: Vec<_> = (0..2).map(|_| scope.spawn(|| read(region, &acknowledged, &stop))).collect();
        let mut rounds = 0;
        while began.elapsed() < time {
            if maintain {
                region.flush().unwrap();
                if rounds % 3 == 2 {
                    region
                        .compact(if rounds % 2 == 0 { Compaction::Major } else { Compaction::Minor })
                        .unwrap();
                }
            } else {
                thread::sleep(Duration::from_millis(1));
            }
            rounds += 1;
        }
        stop.store(true, Ordering::Release);
        let written: Vec<u64> = writers.into_iter().map(|writer| writer.join().unwrap()).collect();
        let seen: Vec<u64> = readers.into_iter().map(|reader| reader.join().unwrap()).collect();
        println!("{written:?} rounds of writes, {seen:?} rows read, {rounds} rounds of maintenance");
        assert!(written.iter().chain(&seen).all(|n| *n > 0));
    });
}

fn options() -> hregion::RegionOptions {
    let cache = BlockCache::with_capacity(1 << 20);
    let families = FAMILIES.map(|name| Family::new(name).max_versions(2).block_size(512));
    families.into_iter().fold(Region::options().create_if_missing(true).cache(&cache), |o, f| o.family(f))
}

#[test]
fn reads_see_whole_rows_while_flushes_and_compactions_run() {
    let dir = tempfile::tempdir().unwrap();
    let region = options().open(dir.path()).unwrap();
    run(&region, Duration::from_secs(3), true);
}

/// Writers that do not wait for a disk leave times in which none of them writes.
#[test]
fn reads_see_whole_rows_while_cells_are_moved_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let options = options().durability(Durability::SkipWal).in_memory_flush_size(2_000);
    run(&options.open(dir.path()).unwrap(), Duration::from_secs(1), true);
}

#[test]
fn reads_see_whole_rows_while_the_scheduler_flushes() {
    let dir = tempfile::tempdir().unwrap();
    let region = options().memstore_flush_size(64 << 10).open(dir.path()).unwrap();
    run(&region, Duration::from_secs(2), false);
    assert!(region.metrics().flushes > 0, "{:?}", region.metrics());
    // a waiting writer may have continued after the flush, so the memstore is bounded but not empty
    assert!(region.memstore_size() < 10 * (64 << 10));
}
