//! Region directories written by HBase: their files have the cells that HBase returned.

use crate::cell::{Cell, CellOrder, SeekKey, from_string_binary};
use crate::hfile::HFile;
use crate::io::{LocalStorage, Storage};
use crate::layout::RegionDir;
use crate::schema::TableName;
use crate::store::open_files;
use flate2::read::GzDecoder;
use serde_json::Value;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const REGION_INFO: &str = ".regioninfo";

fn local() -> Arc<dyn Storage> {
    Arc::new(LocalStorage)
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/region").join(name)
}

/// A cell as recorded in the capture.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Line {
    row: Vec<u8>,
    family: Vec<u8>,
    qualifier: Vec<u8>,
    timestamp: i64,
    cell_type: String,
    value: Vec<u8>,
    tags: Vec<(u64, Vec<u8>)>,
}

impl From<&Cell> for Line {
    fn from(cell: &Cell) -> Self {
        let cell = cell.as_ref();
        Self {
            row: cell.row().to_vec(),
            family: cell.family().to_vec(),
            qualifier: cell.qualifier().to_vec(),
            timestamp: cell.timestamp(),
            cell_type: cell.cell_type().name().to_owned(),
            value: cell.value().to_vec(),
            tags: cell.tags().map(|tag| (tag.tag_type.into(), tag.value.to_vec())).collect(),
        }
    }
}

fn line(json: &str) -> Line {
    let json: Value = serde_json::from_str(json).unwrap();
    let bytes = |value: &Value| from_string_binary(value.as_str().unwrap());
    let tag = |tag: &Value| (tag["type"].as_u64().unwrap(), bytes(&tag["value"]));
    Line {
        row: bytes(&json["row"]),
        family: bytes(&json["family"]),
        qualifier: bytes(&json["qualifier"]),
        timestamp: json["timestamp"].as_i64().unwrap(),
        cell_type: json["type"].as_str().unwrap().to_owned(),
        value: bytes(&json["value"]),
        tags: json["tags"].as_array().map(|tags| tags.iter().map(tag).collect()).unwrap_or_default(),
    }
}

fn lines(path: &Path) -> Vec<Line> {
    let mut text = String::new();
    match fs::File::open(format!("{}.gz", path.display())) {
        Ok(file) => GzDecoder::new(file).read_to_string(&mut text).unwrap(),
        Err(_) => fs::File::open(path).unwrap().read_to_string(&mut text).unwrap(),
    };
    text.lines().map(line).collect()
}

/// Returns all cells of a region's files, merged by sorting: the result of a raw scan of all versions. Of
/// cells with equal keys the one with the greater sequence id is kept, then the one in the newer file.
fn merged(dir: &RegionDir) -> Vec<Line> {
    let mut cells: Vec<(Cell, usize)> = Vec::new();
    for family in dir.families() {
        let listed = dir.store_files(family.name()).unwrap().files;
        let files = open_files(&HFile::options(), &listed).unwrap().files;
        for (number, file) in files.iter().enumerate() {
            let mut scanner = file.scanner(None, false);
            let mut rows = None;
            let mut found = scanner.seek(&SeekKey::first_on_row(b"")).unwrap();
            while found {
                let cell = Cell::from(scanner.peek().unwrap());
                assert_eq!(cell.as_ref().family(), family.name());
                rows = Some((
                    rows.map_or_else(|| cell.as_ref().row().to_vec(), |(first, _)| first),
                    cell.as_ref().row().to_vec(),
                ));
                cells.push((cell, number));
                found = scanner.advance().unwrap();
            }
            let bounds = file.first_row().map(<[u8]>::to_vec).zip(file.last_row().map(<[u8]>::to_vec));
            assert_eq!(rows, bounds, "{file:?}");
        }
    }
    let order = dir.order();
    cells.sort_by(|(a, a_file), (b, b_file)| {
        let (a, b) = (a.as_ref(), b.as_ref());
        order.compare(a.key(), b.key()).then(b.seq_id().cmp(&a.seq_id())).then(b_file.cmp(a_file))
    });
    cells.dedup_by(|(a, _), (b, _)| a.as_ref().key() == b.as_ref().key());
    cells.iter().map(|(cell, _)| Line::from(cell)).collect()
}

/// Checks the regions of a stage against their catalog entries and the files of their cells.
fn check_stage(stage: &Path, cells: &str) -> usize {
    let regions = fs::read_to_string(stage.join("regions.jsonl")).unwrap();
    for region in regions.lines() {
        let region: Value = serde_json::from_str(region).unwrap();
        let text = |key: &str| region[key].as_str().unwrap();
        let table = TableName::parse(text("table")).unwrap();
        let path = stage.join("root/data").join(table.namespace()).join(table.qualifier());
        let dir = RegionDir::open(&local(), &path.join(text("encoded"))).unwrap();
        let info = dir.info();
        assert_eq!(
            (info.to_string().as_str(), info.encoded_name().as_str()),
            (text("name"), text("encoded"))
        );
        assert_eq!(
            (info.start_key(), info.end_key()),
            (&from_string_binary(text("start"))[..], &from_string_binary(text("end"))[..])
        );
        assert_eq!((info.region_id(), info.table()), (region["id"].as_i64().unwrap(), &table));
        assert_eq!(
            (dir.root(), dir.path()),
            (Some(stage.join("root").as_path()), path.join(text("encoded")).as_path())
        );
        let of_hbase = fs::read(dir.path().join(REGION_INFO)).unwrap();
        assert_eq!(info.to_unsealed_file(), of_hbase, "as HBase writes it");
        assert!(dir.has_descriptor() && dir.max_seq_id().is_some());
        let expected = lines(&stage.join(cells).join(format!("{}.raw.jsonl", text("encoded"))));
        let found = merged(&dir);
        assert_eq!(found.len(), expected.len(), "cells of {}", dir.path().display());
        for (found, expected) in found.iter().zip(&expected) {
            assert_eq!(found, expected, "{}", dir.path().display());
        }
    }
    regions.lines().count()
}

#[test]
fn halves_links_loads_and_lists_give_the_cells_that_hbase_gives() {
    for stage in ["split-references", "clone-references", "bulk-loaded", "tracked-split"] {
        assert!(check_stage(&testdata(stage), "raw") > 0);
    }
}

#[test]
fn every_stage_of_a_cluster_gives_the_cells_that_hbase_gives() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/golden/cluster/tables");
    let Ok(stages) = fs::read_dir(&shared) else {
        println!("SKIPPED: no {}", shared.display());
        return;
    };
    let regions: usize = stages.map(|stage| check_stage(&stage.unwrap().path(), "cells")).sum();
    assert!(regions >= 30, "{regions}");
}

fn region_dirs(below: &Path, found: &mut Vec<PathBuf>) {
    if below.join(REGION_INFO).is_file() {
        found.push(below.to_owned());
        return;
    }
    let Ok(entries) = fs::read_dir(below) else { return };
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir())
        .for_each(|dir| region_dirs(&dir, found));
}

#[test]
fn every_region_that_hbase_left_opens() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut dirs = Vec::new();
    region_dirs(&root.join("testdata/region"), &mut dirs);
    let shared = root.join("../shared/golden");
    if !shared.is_dir() {
        println!("SKIPPED: no {}", shared.display());
    }
    region_dirs(&shared, &mut dirs);
    for path in &dirs {
        let dir = RegionDir::open(&local(), path).unwrap();
        dir.recovered_edits().unwrap();
        let is_ours = |line: &Line| dir.info().contains(&line.row);
        assert!(dir.order() == CellOrder::Meta || merged(&dir).iter().all(is_ours));
    }
    assert!(dirs.len() >= 10);
}
