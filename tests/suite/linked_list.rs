//! Chains of rows, each with the key of the one before it, written into a table by a process that is killed
//! repeatedly while it flushes, compacts and splits: at the end no row is missing (HBase:
//! `IntegrationTestBigLinkedList`).
//!
//! `HREGION_OPS` sets the number of rows, `HREGION_SEED` the seed, which is random by default.
#![cfg(unix)]

use crate::support::child::{Child, tell};
use crate::support::random_ops::{fresh_seed, number, say};
use crate::support::rng::Rng;
use hregion::{
    Compaction, Durability, ErrorKind, Family, Get, Mutation, Put, Region, Result, RowRef, Scan, Table,
};
use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// The number of chains, which are written together.
const CHAINS: u64 = 64;
/// The initial number of regions of the table.
const REGIONS: u64 = 2;

const FACTORS: [u64; 2] = [0x9E37_79B9_7F4A_7C15, 0xBF58_476D_1CE4_E5B9];

/// Returns the row of a chain at a length. The keys of a chain's rows are in no order.
fn row(chain: u64, at: u64) -> String {
    let mixed = (chain << 40 | at).wrapping_mul(FACTORS[0]);
    format!("{:016x}", (mixed ^ mixed >> 29).wrapping_mul(FACTORS[1]))
}

/// Returns the chain and the length of a row.
fn place(row: &[u8]) -> (u64, u64) {
    // The inverse of an odd factor, by Newton's method.
    let inverse =
        |factor: u64| (0..6).fold(factor, |x, _| x.wrapping_mul(2_u64.wrapping_sub(factor.wrapping_mul(x))));
    let row = u64::from_str_radix(std::str::from_utf8(row).unwrap(), 16).unwrap();
    let mixed = row.wrapping_mul(inverse(FACTORS[1]));
    let mixed = (mixed ^ mixed >> 29 ^ mixed >> 58).wrapping_mul(inverse(FACTORS[0]));
    (mixed >> 40, mixed & ((1 << 40) - 1))
}

fn open(root: &Path) -> Table {
    let options =
        || Region::options().writable(true).durability(Durability::SyncWal).memstore_flush_size(512 << 10);
    match Table::open_with(root, "list", options()) {
        Err(error) if error.kind() == ErrorKind::TableNotFound => {
            let families = [Family::new("list"), Family::new("other")];
            Table::create_with(root, "list", &families, &["8"], options()).unwrap()
        }
        opened => opened.unwrap(),
    }
}

/// The process to be killed: writes one row of each chain at a time, and prints their length.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn child() {
    let Some(dir) = env::var_os("HREGION_LIST_DIR").map(PathBuf::from) else { return };
    let of_env = |name: &str| env::var(name).unwrap().parse::<u64>().unwrap();
    let (first, last) = (of_env("HREGION_LIST_FIRST"), of_env("HREGION_LIST_LAST"));
    let splits = of_env("HREGION_LIST_SPLITS");
    let (table, written, is_done) = (open(&dir), AtomicU64::new(first), AtomicBool::new(false));
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Acquire) {
                let wanted = REGIONS + (splits * written.load(Ordering::Acquire)).div_ceil(last);
                maintain(&table, usize::try_from(wanted).unwrap()).unwrap();
            }
        });
        for at in first..last {
            let put = |chain| {
                let before = if at > 0 { row(chain, at - 1) } else { String::new() };
                let put = Put::new(row(chain, at)).cell_at("list", "before", 1, before);
                Mutation::Put(put.cell_at("other", "at", 1, at.to_string()))
            };
            table.batch((0..CHAINS).map(put).collect()).into_iter().for_each(|done| done.unwrap());
            tell(&at.to_string());
            written.store(at + 1, Ordering::Release);
        }
        is_done.store(true, Ordering::Release);
    });
    table.close().unwrap();
}

/// Splits the region with the most rows in a file, if more regions are wanted; otherwise compacts one.
fn maintain(table: &Table, wanted: usize) -> Result<()> {
    let regions = table.regions();
    let number = usize::try_from(fresh_seed()).unwrap();
    let start = regions[number % regions.len()].start_key().to_vec();
    let region = table.region(&start)?;
    if regions.len() >= wanted {
        thread::sleep(Duration::from_millis(20));
        return region.compact(Compaction::Minor);
    }
    // A region with references cannot be split.
    region.compact(Compaction::Major)?;
    table.archive_parents()?;
    if let Some(row) = table.split_point(&start)? {
        match table.split(row) {
            Err(error) if error.kind() != ErrorKind::Unsupported => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Checks a row, and returns its chain and length.
fn check_row(row: RowRef<'_>) -> (u64, u64) {
    let (chain, at) = place(row.key());
    let before = if at > 0 { self::row(chain, at - 1) } else { String::new() };
    assert_eq!(row.len(), 2, "a torn row: {row:?}");
    assert_eq!(row.value("list", "before").unwrap(), before.as_bytes());
    assert_eq!(row.value("other", "at").unwrap(), at.to_string().as_bytes());
    (chain, at)
}

/// Checks that all rows up to a length exist, and that each is referred to by a later row.
fn check_all(dir: &Path, len: u64, last: u64) {
    let table = Table::open(dir, "list").unwrap();
    assert!(table.inconsistencies().is_empty(), "{:?}", table.inconsistencies());
    // For each length, a bit for each chain.
    let mut seen = vec![0_u64; usize::try_from(last).unwrap()];
    let mut rows = table.scan(Scan::new()).unwrap();
    while let Some(row) = rows.next_row().unwrap() {
        let (chain, at) = check_row(row);
        assert!(chain < CHAINS && at < last, "a row that was not written: {chain} {at}");
        seen[usize::try_from(at).unwrap()] |= 1 << chain;
    }
    let len = usize::try_from(len).unwrap();
    let hole = seen[..len].iter().position(|chains| *chains != u64::MAX);
    assert_eq!(hole, None, "an acknowledged row is missing");
    for at in len.max(1)..seen.len() {
        assert_eq!(seen[at] & !seen[at - 1], 0, "rows that are referred to and are not there, before {at}");
    }
}

/// Checks the rows that were acknowledged last.
fn check_last(dir: &Path, len: u64) {
    let table = Table::open(dir, "list").unwrap();
    for at in len.saturating_sub(100)..len {
        let gets: Vec<Get> = (0..CHAINS).map(|chain| Get::new(row(chain, at))).collect();
        let rows = table.get_many(&gets).unwrap();
        assert_eq!(rows.len(), gets.len());
        for (chain, found) in (0..).zip(rows) {
            assert!(!found.is_empty(), "chain {chain} has no row {at} of {len}");
            assert_eq!(check_row(found.as_row()), (chain, at));
        }
    }
}

fn write_and_kill(rows: u64, kills: u64, splits: u64, seed: u64) {
    say(&format!("HREGION_SEED={seed} HREGION_OPS={rows}"));
    let (mut rng, dir) = (Rng::new(seed), tempfile::tempdir().unwrap());
    let last = rows.div_ceil(CHAINS);
    let (mut next, mut killed) = (0, 0);
    while next < last {
        let mut child = Child::start(
            "linked_list::child",
            [
                ("HREGION_LIST_DIR", dir.path().to_str().unwrap().to_owned()),
                ("HREGION_LIST_FIRST", next.to_string()),
                ("HREGION_LIST_LAST", last.to_string()),
                ("HREGION_LIST_SPLITS", splits.to_string()),
            ],
        );
        // At a random moment after it has written its part of the rows.
        let until = next + 1 + rng.next() % (2 * last / kills).max(1);
        let mut done = None;
        while let Some(line) = child.next_line() {
            done = line.parse().ok().max(done);
            if done >= Some(until) {
                thread::sleep(Duration::from_micros(rng.next() % 5_000));
                child.kill();
                killed += 1;
                break;
            }
        }
        let (lines, was_killed) = child.end();
        // The last line may be cut off.
        done = lines.iter().filter_map(|line| line.parse().ok()).max().max(done);
        assert!(was_killed || done == Some(last - 1), "it ended by itself");
        next = done.map_or(next, |at: u64| at + 1);
        // As HBase's HFileCleaner does: no replaced file is needed any more.
        match fs::remove_dir_all(dir.path().join("archive")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => panic!("{error}"),
            _ => {}
        }
        if killed % 20 == 7 {
            check_all(dir.path(), next, last);
        } else {
            check_last(dir.path(), next);
        }
    }
    check_all(dir.path(), last, last);
    let regions = Table::open(dir.path(), "list").unwrap().regions().len();
    println!("{} rows, {killed} kills, {regions} regions", last * CHAINS);
    assert!(killed >= kills / 2, "{killed}");
    assert!(regions as u64 > REGIONS + splits / 2, "{regions} regions");
}

#[test]
fn no_row_of_a_chain_is_missing() {
    let rows = number("HREGION_OPS").unwrap_or(700_000);
    write_and_kill(rows, 9, 5, number("HREGION_SEED").unwrap_or_else(fresh_seed));
}

#[test]
#[ignore = "takes an hour"]
fn no_row_of_a_long_chain_is_missing() {
    let rows = number("HREGION_OPS").unwrap_or(50_000_000);
    write_and_kill(rows, 200, 50, number("HREGION_SEED").unwrap_or_else(fresh_seed));
}
