//! Commands read a table that another process splits, merges and compacts meanwhile.

use crate::support::{code, run, stderr, stdout};
use hregion::{Compaction, Family, Put, Table};
use std::sync::atomic::{AtomicBool, Ordering};
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
    let stop = AtomicBool::new(false);
    let mut ran = Vec::new();
    let changes = thread::scope(|scope| {
        let changing = scope.spawn(|| {
            let mut changes = 0;
            while !stop.load(Ordering::Relaxed) {
                match &table.regions()[..] {
                    [first, second] => table.merge(first, second).map(drop).unwrap(),
                    _ => table.split("row-20").map(drop).unwrap(),
                }
                table.compact(Compaction::Major).unwrap();
                changes += 1;
                thread::sleep(Duration::from_millis(20));
            }
            changes
        });
        for _ in 0..8 {
            for args in commands {
                ran.push((args, run(args)));
            }
        }
        stop.store(true, Ordering::Relaxed);
        changing.join().unwrap()
    });
    assert!(changes > 4, "{changes}");
    for (args, output) in ran {
        assert_eq!(code(&output), 0, "{args:?}: {}{}", stdout(&output), stderr(&output));
        if args[0] == "cells" {
            assert_eq!(stdout(&output).lines().count(), ROWS, "{}", stdout(&output));
        }
    }
}
