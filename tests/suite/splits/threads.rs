//! Threads that read, scan and write while regions are split and merged.

use super::{create, options, put, values};
use crate::support::rng::Rng;
use hregion::io::faulty::FaultyStorage;
use hregion::{Compaction, ErrorKind, Get, Mutation, Scan, Table};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const ROWS: usize = 60;

fn key(row: usize) -> String {
    format!("{row:02}")
}

/// The last number of each row whose write was acknowledged.
type Written = Vec<AtomicU64>;

fn number(row: hregion::RowRef<'_>) -> u64 {
    let value =
        |family| std::str::from_utf8(row.value(family, "q").unwrap()).unwrap().parse::<u64>().unwrap();
    assert_eq!(value("f"), value("g"), "half a row");
    value("f")
}

fn write(table: &Table, written: &Written, half: usize, stop: &AtomicBool) -> u64 {
    let mut n = 0;
    while !stop.load(Ordering::Acquire) {
        n += 1;
        let rows: Vec<usize> = (0..ROWS).filter(|row| row % 2 == half).collect();
        if n % 3 == 0 {
            let puts = rows.iter().map(|row| Mutation::from(put(&key(*row), &n.to_string())));
            table.batch(puts.collect()).into_iter().for_each(|result| result.unwrap());
        } else {
            rows.iter().for_each(|row| table.put(put(&key(*row), &n.to_string())).unwrap());
        }
        rows.iter().for_each(|row| written[*row].store(n, Ordering::Release));
    }
    n
}

fn read(table: &Table, written: &Written, seed: u64, stop: &AtomicBool) -> u64 {
    let (mut rng, mut reads) = (Rng::new(seed), 0);
    while !stop.load(Ordering::Acquire) {
        let before: Vec<u64> = written.iter().map(|n| n.load(Ordering::Acquire)).collect();
        let row = rng.below(ROWS);
        let found = table.get(&Get::new(key(row))).unwrap();
        let found = if found.is_empty() { 0 } else { number(found.as_row()) };
        assert!(found >= before[row], "row {row}: {found}, not {}", before[row]);
        let is_reversed = rng.below(2) == 0;
        let mut rows = table.scan(Scan::new().reversed(is_reversed)).unwrap();
        let mut seen = Vec::new();
        while let Some(row) = rows.next_row().unwrap() {
            let at: usize = std::str::from_utf8(row.key()).unwrap().parse().unwrap();
            assert!(number(row) >= before[at], "row {at}");
            seen.push(at);
        }
        if is_reversed {
            seen.reverse();
        }
        assert!(seen.is_sorted_by(|a, b| a < b), "each row once: {seen:?}");
        assert!((0..ROWS).all(|row| before[row] == 0 || seen.contains(&row)), "{seen:?}");
        reads += 1;
    }
    reads
}

#[test]
fn no_write_fails_and_no_read_misses_a_row_while_regions_change() {
    let storage = FaultyStorage::new();
    let table = create(&storage, &[]);
    let written: Written = (0..ROWS).map(|_| AtomicU64::new(0)).collect();
    let stop = AtomicBool::new(false);
    let mut changes = 0;
    thread::scope(|scope| {
        let (table, written, stop) = (&table, &written, &stop);
        let writers: Vec<_> =
            (0..2).map(|half| scope.spawn(move || write(table, written, half, stop))).collect();
        let readers: Vec<_> =
            (0..2).map(|seed| scope.spawn(move || read(table, written, seed, stop))).collect();
        scope.spawn(move || {
            while !stop.load(Ordering::Acquire) {
                table.compact(Compaction::Major).unwrap();
                thread::sleep(Duration::from_millis(20));
            }
        });
        let (mut rng, began) = (Rng::new(7), Instant::now());
        while began.elapsed() < Duration::from_secs(3) || changes < 20 {
            let (row, regions) = (key(rng.below(ROWS)), table.regions());
            let changed = if regions.len() < 5 && rng.below(2) == 0 {
                table.split(&row).map(drop)
            } else if let [first, second, ..] = &regions[rng.below(regions.len())..] {
                table.merge(first, second).map(drop)
            } else {
                Ok(())
            };
            match changed {
                Ok(()) => changes += 1,
                Err(error) if error.kind() == ErrorKind::Unsupported => {
                    table.compact(Compaction::Major).unwrap();
                    table.archive_parents().unwrap();
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{error}"),
            }
        }
        stop.store(true, Ordering::Release);
        let written: u64 = writers.into_iter().map(|writer| writer.join().unwrap()).sum();
        let seen: u64 = readers.into_iter().map(|reader| reader.join().unwrap()).sum();
        println!("{changes} splits and merges, {written} rounds written, {seen} scans");
        assert!(written > 10 && seen > 10);
    });
    let before = values(&table);
    table.close().unwrap();
    let again = Table::open_with("/hbase", "t", options(&storage)).unwrap();
    assert_eq!(values(&again), before);
}
