//! HBase replays logs of hregion.

use crate::support::hbase::check_region;
use crate::support::rng::Rng;
use hregion::{Append, Delete, Durability, Family, Mutation, Put, Region, Scan, Table};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// HBase opens a region whose process was killed, replays its log, and returns its cells.
#[test]
#[ignore = "starts a JVM"]
fn hbase_replays_our_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let options = Region::options().create_if_missing(true).table("t").durability(Durability::SyncWal);
    let options = options.family(Family::new("f").max_versions(9)).family(Family::new("g"));
    let region = options.open(&path).unwrap();
    let mut rng = Rng::new(7);
    for n in 0..2_000 {
        let row = format!("r{:02}", rng.below(60));
        write_any(&region, &row, &mut rng, n);
        if n == 1_000 {
            region.flush().unwrap();
        } else if n % 300 == 299 {
            region.flush_families(&["g"]).unwrap(); // the cells of f are only in the log
        }
    }
    let expected = cells_of(&region);
    region.abort().unwrap();
    let logs = std::fs::read_dir(path.join("recovered.edits")).unwrap().map(|log| log.unwrap().path());
    let logs: Vec<PathBuf> = logs.collect();
    assert!(logs.len() > 1);
    let is_longer = |log: &PathBuf| std::fs::read(log).unwrap().ends_with(&[0; 1_000]);
    assert!(logs.iter().all(is_longer), "HBase is to read past entries that were synced");
    assert!(expected.len() > 200);
    assert_eq!(cells_of_hbase(&path), expected);
}

/// HBase opens regions that share a log, one after the other, and each has its own cells. The sequence ids of
/// one are much greater than those of the others.
#[test]
#[ignore = "starts a JVM"]
fn hbase_replays_a_log_that_regions_share() {
    let dir = tempfile::tempdir().unwrap();
    let families = [Family::new("f").max_versions(9), Family::new("g")];
    let options = Region::options().durability(Durability::SyncWal).compaction_enabled(false);
    let table = Table::create_with(dir.path(), "t", &families, &["h", "p"], options).unwrap();
    let mut rng = Rng::new(8);
    for n in 0..3_000 {
        let region = ["a", "j", "q"][rng.below(20).saturating_sub(17)];
        let row = format!("{region}{:02}", rng.below(40));
        write_any(&table.region(&row).unwrap(), &row, &mut rng, n);
        if n % 500 == 250 {
            table.region(region).unwrap().flush_families(&["g"]).unwrap();
        } else if n % 100 == 99 {
            let rows = ["a00", "j00", "q00", "q01"].map(|row| Put::new(row).cell("f", "b", format!("{n}")));
            assert!(table.batch(rows.into_iter().map(Mutation::from).collect()).iter().all(Result::is_ok));
        } else if n == 2_000 {
            table.region("j").unwrap().flush().unwrap();
        }
    }
    let regions = ["a", "j", "q"].map(|row| table.region(row).unwrap());
    let expected = regions.each_ref().map(cells_of);
    regions.iter().for_each(|region| region.abort().unwrap());
    for (region, expected) in regions.iter().zip(expected) {
        assert!(expected.len() > 50, "{}", expected.len());
        assert_eq!(cells_of_hbase(region.path()), expected);
    }
}

/// Puts, deletes or appends to cells of a row.
fn write_any(region: &Region, row: &str, rng: &mut Rng, n: usize) {
    let qualifier = format!("q{}", rng.below(3));
    match rng.below(10) {
        0 => region.delete(Delete::new(row.to_owned()).column("f", qualifier)).unwrap(),
        1 => region.delete(Delete::new(row.to_owned()).family("g")).unwrap(),
        2 => drop(region.append(Append::new(row.to_owned()).column("f", "a", "x")).unwrap()),
        _ => {
            let put = Put::new(row.to_owned()).cell("f", qualifier, format!("v{n}"));
            let durability = [Durability::UseDefault, Durability::FsyncWal][rng.below(2)];
            let put = put.cell("g", "q", "w".repeat(rng.below(200)));
            region.put(put.durability(durability)).unwrap();
        }
    }
}

/// The cells that a scan returns: row, family, qualifier, timestamp and value.
fn cells_of(region: &Region) -> Vec<Value> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut cells = Vec::new();
    for row in region.scan(Scan::new()).unwrap() {
        for cell in row.unwrap().cells() {
            let [row, family, qualifier, value] =
                [cell.row(), cell.family(), cell.qualifier(), cell.value()].map(text);
            cells.push(json!([row, family, qualifier, cell.timestamp(), value]));
        }
    }
    cells
}

/// The cells that HBase's scan of a region returns, as [`cells_of`] does.
fn cells_of_hbase(path: &Path) -> Vec<Value> {
    let (_, plain) = check_region(path, &["--offline"]);
    let members = ["row", "family", "qualifier", "timestamp", "value"];
    plain.iter().map(|cell| json!(members.map(|name| &cell[name]))).collect()
}
