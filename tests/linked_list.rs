//! Chains of rows, each with the key of the one before it, written by a process that is killed again and
//! again while it flushes and compacts: no row is missing at the end (HBase: `IntegrationTestBigLinkedList`).
//!
//! `HREGION_OPS` sets the number of rows, `HREGION_SEED` the seed, which is random by default.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests fail by panicking")]
#![cfg(unix)]

mod support;

use hregion::{Compaction, Durability, Family, Mutation, Put, Region, Scan};
use std::collections::HashMap;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use support::random_ops::{fresh_seed, number, say};
use support::rng::Rng;

/// The number of chains, which are written together.
const CHAINS: u64 = 64;

/// The regions and their first rows.
const REGIONS: [(&str, &str, &str); 2] = [("low", "", "8"), ("high", "8", "")];

/// Returns the row of a chain at a length. The rows of a chain are in no order.
fn row(chain: u64, at: u64) -> String {
    let mixed = (chain << 40 | at).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    format!("{:016x}", (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9))
}

fn open(dir: &Path) -> Vec<Region> {
    let open = |(name, start, end): (&str, &'static str, &'static str)| {
        let options = Region::options().create_if_missing(true).durability(Durability::SyncWal);
        let options = options.key_range(start, end).memstore_flush_size(256 << 10);
        options.family(Family::new("list")).family(Family::new("other")).open(dir.join(name)).unwrap()
    };
    REGIONS.map(open).into()
}

/// The process to be killed: writes one row of each chain at a time, and prints how long they are.
#[test]
#[ignore = "run by the test below, in a process of its own"]
fn child() {
    let Some(dir) = env::var_os("HREGION_LIST_DIR").map(PathBuf::from) else { return };
    let first: u64 = env::var("HREGION_LIST_FIRST").unwrap().parse().unwrap();
    let last: u64 = env::var("HREGION_LIST_LAST").unwrap().parse().unwrap();
    let regions = open(&dir);
    for at in first..last {
        for region in &regions {
            let is_here = |row: &String| region.info().contains(row.as_bytes());
            let put = |chain| {
                let before = if at > 0 { row(chain, at - 1) } else { String::new() };
                let put = Put::new(row(chain, at)).cell_at("list", "before", 1, before);
                Mutation::Put(put.cell_at("other", "at", 1, at.to_string()))
            };
            let puts: Vec<_> = (0..CHAINS).filter(|chain| is_here(&row(*chain, at))).map(put).collect();
            if !puts.is_empty() {
                region.mutate_rows(puts).unwrap();
            }
            if at % 1_000 == 999 {
                region.compact(Compaction::Major).unwrap();
            }
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "at {at}").unwrap();
        out.flush().unwrap();
    }
    regions.iter().for_each(|region| region.close().unwrap());
}

/// Returns the number of rows. Every row must have the one before it, and both families.
fn check(dir: &Path) -> u64 {
    let mut rows: HashMap<String, String> = HashMap::new();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    for (name, ..) in REGIONS {
        let region = Region::open(dir.join(name)).unwrap();
        for row in region.scan(Scan::new()).unwrap() {
            let row = row.unwrap();
            assert_eq!(row.len(), 2, "a torn row: {row:?}");
            rows.insert(text(row.key()), text(row.value("list", "before").unwrap()));
        }
    }
    let holes = rows.iter().filter(|(_, before)| !before.is_empty() && !rows.contains_key(*before));
    assert_eq!(holes.collect::<Vec<_>>(), [], "rows that are referred to and are not there");
    rows.len() as u64
}

fn write_and_kill(rows: u64, kills: u64, seed: u64) {
    say(&format!("HREGION_SEED={seed} HREGION_OPS={rows}"));
    let (mut rng, dir) = (Rng::new(seed), tempfile::tempdir().unwrap());
    let last = rows.div_ceil(CHAINS);
    let (mut next, mut killed) = (0, 0);
    while next < last {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env("HREGION_LIST_DIR", dir.path())
            .env("HREGION_LIST_FIRST", next.to_string())
            .env("HREGION_LIST_LAST", last.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (said, heard) = mpsc::channel();
        let reader = thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if let Some(at) = line.strip_prefix("at ").and_then(|at| at.parse::<u64>().ok()) {
                    said.send(at).unwrap();
                }
            }
        });
        // Once it has written its part of the rows, at some moment after.
        let until = next + 1 + rng.next() % (2 * last / kills).max(1);
        let mut done = None;
        while let Ok(at) = heard.recv() {
            done = Some(at);
            if at >= until {
                thread::sleep(Duration::from_micros(rng.next() % 5_000));
                child.kill().unwrap();
                killed += 1;
                break;
            }
        }
        let output = child.wait_with_output().unwrap();
        done = heard.iter().last().or(done);
        reader.join().unwrap();
        let ended = done.is_some_and(|at| at + 1 == last);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code().is_none() || ended, "it ended by itself: {said}");
        next = done.map_or(next, |at| at + 1);
        if !ended {
            assert!(check(dir.path()) >= next * CHAINS, "after {killed} kills");
        }
    }
    assert_eq!(check(dir.path()), last * CHAINS);
    println!("{} rows, {killed} kills", last * CHAINS);
    assert!(killed >= kills / 2, "{killed}");
}

#[test]
fn no_row_of_a_chain_is_missing() {
    let rows = number("HREGION_OPS").unwrap_or(1_000_000);
    write_and_kill(rows, 12, number("HREGION_SEED").unwrap_or_else(fresh_seed));
}

#[test]
#[ignore = "takes minutes"]
fn no_row_of_a_long_chain_is_missing() {
    let rows = number("HREGION_OPS").unwrap_or(5_000_000);
    write_and_kill(rows, 100, number("HREGION_SEED").unwrap_or_else(fresh_seed));
}
