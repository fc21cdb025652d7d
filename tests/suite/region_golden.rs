//! Regions that HBase wrote return the cells that its client read from them.

use crate::support::cells::{json_lines, json_of};
use crate::support::golden::{self, recorded_region};
use hregion::{Region, Scan};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Returns the folder of each recorded moment of a table, with `root`, `regions.jsonl` and `cells`.
fn stages(tables: &Path) -> Vec<PathBuf> {
    let mut stages: Vec<PathBuf> = fs::read_dir(tables).unwrap().map(|entry| entry.unwrap().path()).collect();
    stages.retain(|stage| stage.join("regions.jsonl").exists());
    stages.sort();
    stages
}

fn scanned(region: &Region, scan: &Scan) -> Vec<Value> {
    let view = region.view();
    let rows: Vec<_> = view.scan(scan).unwrap().map(Result::unwrap).collect();
    json_of(&rows)
}

/// Compares every region of a stage. Returns the number of regions and of cells.
fn compare(stage: &Path) -> (usize, usize) {
    let (mut regions, mut cells) = (0, 0);
    for recorded in json_lines(&stage.join("regions.jsonl")) {
        let (name, encoded) = (recorded["name"].as_str().unwrap(), recorded["encoded"].as_str().unwrap());
        let table = recorded["table"].as_str().unwrap();
        let (namespace, table) = table.split_once(':').unwrap_or(("default", table));
        let dir = stage.join("root/data").join(namespace).join(table).join(encoded);
        let region = Region::open(&dir).unwrap_or_else(|error| panic!("{name}: {error}"));
        let all = Scan::new().max_versions(u32::MAX);
        for (scan, kind) in [(all.clone(), "plain"), (all.raw(true), "raw")] {
            let found = scanned(&region, &scan);
            assert_eq!(Some(found.len() as u64), recorded[kind].as_u64(), "{kind} scan of {name}");
            cells += found.len();
            let Some(expected) = recorded_region(stage, encoded, kind) else {
                assert_eq!(kind, "plain", "no cells of {name}");
                continue;
            };
            let different = found.iter().zip(&expected).find(|(found, expected)| found != expected);
            assert_eq!(different, None, "{}, {kind} scan of {name}", stage.display());
            assert_eq!(found.len(), expected.len(), "{}, {kind} scan of {name}", stage.display());
        }
        regions += 1;
    }
    (regions, cells)
}

#[test]
fn regions_agree_with_an_hbase_client() {
    let (mut stage_count, mut region_count, mut cell_count) = (0, 0, 0);
    for tables in [golden::root("testdata/region")].into_iter().chain(golden::shared("cluster/tables")) {
        for stage in stages(&tables) {
            let (regions, cells) = compare(&stage);
            (stage_count, region_count, cell_count) =
                (stage_count + 1, region_count + regions, cell_count + cells);
        }
    }
    println!("{stage_count} tables, {region_count} regions, {cell_count} cells");
    assert!(stage_count >= 4 && region_count >= 8 && cell_count > 1000);
}
