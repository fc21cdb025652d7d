//! Commands read a table that another process splits, merges and compacts meanwhile.

use crate::support::{code, run, stderr, stdout};
use hregion::{Compaction, Family, Put, Table};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

const ROWS: usize = 40;

#[test]
fn regions_and_files_that_are_replaced_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[""; 0]).unwrap();
    for row in 0..ROWS {
        table.put(Put::new(format!("row-{row:02}")).cell_at("f", "q", 5, "v")).unwrap();
    }
    table.flush().unwrap();
    let root = dir.path().to_str().unwrap();
    let of_table = dir.path().join("data/default/t");
    let of_table = of_table.to_str().unwrap();
    let commands: [&[&str]; 6] = [
        &["inspect", "--json", of_table],
        &["cells", "--json", of_table],
        &["verify", of_table],
        &["check", root],
        &["check", of_table],
        &["report", "--json", of_table],
    ];
    let (stop, changes) = (AtomicBool::new(false), AtomicU32::new(0));
    let mut ran = Vec::new();
    thread::scope(|scope| {
        let changing = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                match &table.regions()[..] {
                    [first, second] => table.merge(first, second).map(drop).unwrap(),
                    _ => table.split("row-20").map(drop).unwrap(),
                }
                table.compact(Compaction::Major).unwrap();
                changes.fetch_add(1, Ordering::Relaxed);
                thread::sleep(Duration::from_millis(20));
            }
        });
        // Ends, too, if the thread has failed.
        while ran.len() < 48 || changes.load(Ordering::Relaxed) < 5 && !changing.is_finished() {
            ran.extend(commands.map(|args| (args, run(args))));
        }
        stop.store(true, Ordering::Relaxed);
        changing.join().unwrap();
    });
    for (args, output) in ran {
        assert_eq!(code(&output), 0, "{args:?}: {}{}", stdout(&output), stderr(&output));
        if args[0] == "cells" {
            assert_eq!(stdout(&output).lines().count(), ROWS, "{}", stdout(&output));
        }
    }
}
