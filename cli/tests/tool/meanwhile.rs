//! Commands read a table while another process splits, merges and compacts it.

use crate::support::{code, run, stderr, stdout};
use hregion::{Compaction, Family, Put, Table};
use serde_json::{Value, json};
use std::fs;
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
    let out = tempfile::tempdir().unwrap();
    let export = out.path().join("export");
    let (export, manifest) = (export.to_str().unwrap(), export.join("manifest.json"));
    let commands: [&[&str]; 20] = [
        &["scan", "--json", of_table],
        &["scan", "--json", "--reversed", of_table],
        &["scan", "--json", "--raw", "--start", "row-10", "--stop", "row-30", of_table],
        &["scan", "--json", "--limit", "30", of_table],
        &["count", "--json", of_table],
        &["get", "--json", of_table, "row-39"],
        &["explain", "scan", "--json", of_table],
        &["stats", "--json", of_table],
        &["stats", "--by", "file", of_table],
        &["export", "--to", "csv", "--force", "--out", export, of_table],
        &["diff", of_table, of_table],
        &["compact", "--dry-run", of_table],
        &["convert", "--to", "jsonl", "--out", "-", of_table],
        &["du", "--json", "--blocks", "--what-if", root],
        &["inspect", "--json", of_table],
        &["cells", "--json", of_table],
        &["verify", of_table],
        &["check", root],
        &["check", of_table],
        &["report", "--json", of_table],
    ];
    let (stop, changes) = (AtomicBool::new(false), AtomicU32::new(0));
    let mut ran = Vec::new();
    let mut manifests = Vec::new();
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
        // Also ends if the thread has failed.
        while ran.len() < 80 || changes.load(Ordering::Relaxed) < 5 && !changing.is_finished() {
            for args in commands {
                ran.push((args, run(args)));
                if args[0] == "export" {
                    manifests.push(fs::read(&manifest));
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        changing.join().unwrap();
    });
    for (args, output) in ran {
        assert_eq!(code(&output), 0, "{args:?}: {}{}", stdout(&output), stderr(&output));
        let lines = match args {
            ["cells" | "convert", ..] | ["scan", "--json", _] | ["scan", _, "--reversed", _] => ROWS,
            ["scan", _, "--raw", ..] => 20,
            ["scan", ..] => 30,
            ["get", ..] => 1,
            ["count", ..] => {
                let counted: Value = serde_json::from_str(&stdout(&output)).unwrap();
                assert_eq!((&counted["rows"], &counted["cells"]), (&json!(ROWS), &json!(ROWS)));
                1
            }
            _ => continue,
        };
        assert_eq!(stdout(&output).lines().count(), lines, "{args:?}: {}", stdout(&output));
    }
    for manifest in manifests {
        let manifest: Value = serde_json::from_slice(&manifest.unwrap()).unwrap();
        assert_eq!(manifest["rows"], ROWS, "{manifest}");
    }
}
