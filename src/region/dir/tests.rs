//! Directories that HBase left, and ones of our own.

use super::*;
use crate::cell::{Cell, SeekKey, parse_binary};
use crate::error::ErrorKind;
use crate::hfile::HFile;
use crate::io::LocalStorage;
use crate::io::faulty::{Crash, FaultyStorage};
use crate::schema::TableName;
use crate::store::tracker::open_files;
use flate2::read::GzDecoder;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;

fn local() -> Arc<dyn Storage> {
    Arc::new(LocalStorage)
}

fn testdata(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/region").join(name)
}

/// A cell as the capture has it.
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
    let bytes = |value: &Value| parse_binary(value.as_str().unwrap());
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

/// All cells of a region's files, merged by sorting: what a raw scan of all versions gives. Of cells with equal keys the
/// one with the greater sequence id counts, then that of the newer file.
fn merged(dir: &RegionDir) -> Vec<Line> {
    let mut cells: Vec<(Cell, usize)> = Vec::new();
    for family in dir.families() {
        let places = dir.files(family.name()).unwrap().files;
        let (files, _) = open_files(&HFile::options(), &places).unwrap();
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

/// The regions of a stage: what the catalog says of them, and the file of their cells.
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
            (&parse_binary(text("start"))[..], &parse_binary(text("end"))[..])
        );
        assert_eq!((info.region_id(), info.table()), (region["id"].as_i64().unwrap(), &table));
        assert_eq!(
            (dir.root(), dir.path()),
            (Some(stage.join("root").as_path()), path.join(text("encoded")).as_path())
        );
        assert_eq!(fs::read(dir.path().join(REGION_INFO)).unwrap(), info.to_file(), "as HBase writes it");
        assert!(dir.descriptor().is_some() && dir.max_seq_id().is_some());
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
        eprintln!("left out: there is no {}", shared.display());
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
        eprintln!("left out: there is no {}", shared.display());
    }
    region_dirs(&shared, &mut dirs);
    for path in &dirs {
        let dir = RegionDir::open_with_recovered_edits(&local(), path).unwrap();
        let refused = RegionDir::open(&local(), path).err().map(|error| error.kind());
        assert_eq!(refused, (!dir.recovered_edits().is_empty()).then_some(ErrorKind::Unsupported));
        let is_ours = |line: &Line| dir.info().contains(&line.row);
        assert!(dir.order() == CellOrder::Meta || merged(&dir).iter().all(is_ours));
    }
    assert!(dirs.len() >= 10);
}

/// A region of a table `t` with files of its own, in a storage that can fail.
fn made(storage: &FaultyStorage) -> (Arc<dyn Storage>, PathBuf, RegionInfo) {
    let info = RegionInfo::new(TableName::parse("t").unwrap(), "a", "m", 7).unwrap();
    let path = Path::new("root/data/default/t").join(info.encoded_name());
    (Arc::new(storage.clone()), path, info)
}

fn put(storage: &Arc<dyn Storage>, path: &Path, bytes: &[u8]) {
    storage.create(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn a_region_comes_into_being_as_a_whole_or_not_at_all() {
    let families = [Family::new("f"), Family::new("g")];
    let names = |dir: &RegionDir| dir.families().iter().map(|f| f.name().to_vec()).collect::<Vec<_>>();
    let sound = FaultyStorage::new();
    let (storage, path, info) = made(&sound);
    let dir = RegionDir::create(&storage, &path, &info, &families).unwrap();
    assert_eq!((dir.info(), names(&dir)), (&info, vec![b"f".to_vec(), b"g".to_vec()]));
    let again = RegionDir::create(&storage, &path, &info, &families).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Io);
    assert!(RegionDir::create(&storage, &path.with_file_name("0a"), &info, &families).is_err());
    for n in 0..sound.calls() {
        for crash in [Crash::OfTheProcess, Crash::Torn, Crash::Hard] {
            let failing = FaultyStorage::new();
            failing.die_after(n);
            let (storage, ..) = made(&failing);
            let created = RegionDir::create(&storage, &path, &info, &families).is_ok();
            let (storage, ..) = made(&failing.after(crash));
            match RegionDir::open(&storage, &path) {
                Ok(dir) => assert_eq!((dir.info(), names(&dir).len()), (&info, 2)),
                Err(error) => assert!(!created && error.kind() == ErrorKind::Io, "{n} {crash:?} {error}"),
            }
        }
    }
}

/// The descriptor of a table under a root is there for all of its regions, and the first one brings it.
#[test]
fn the_first_region_brings_the_tables_descriptor() {
    let (storage, path, info) = made(&FaultyStorage::new());
    let families = [Family::new("f").max_versions(7)];
    RegionDir::create(&storage, &path, &info, &families).unwrap();
    let next = RegionInfo::new(info.table().clone(), "m", "", 7).unwrap();
    let next_path = path.with_file_name(next.encoded_name());
    let dir = RegionDir::create(&storage, &next_path, &next, &[Family::new("f")]).unwrap();
    assert_eq!(dir.families(), families);
    assert_eq!(storage.list_dir(&path.parent().unwrap().join(".tabledesc")).unwrap().len(), 1);
}

#[test]
fn recovered_edits_are_never_passed_over() {
    let (storage, path, info) = made(&FaultyStorage::new());
    RegionDir::create(&storage, &path, &info, &[Family::new("f")]).unwrap();
    let edits = path.join(RECOVERED_EDITS);
    for name in ["12.seqid", "9_seqid", "0000000000000000007-log.temp", "0000000000000000005.1700000000000"] {
        put(&storage, &edits.join(name), b"");
    }
    put(&storage, &path.join(".tmp/0a"), b"");
    let dir = RegionDir::open(&storage, &path).unwrap();
    assert_eq!(dir.max_seq_id(), Some(12));
    put(&storage, &edits.join("0000000000000000017"), b"PWAL");
    let error = RegionDir::open(&storage, &path).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.path(), Some(edits.join("0000000000000000017").as_path()));
    let dir = RegionDir::open_with_recovered_edits(&storage, &path).unwrap();
    assert_eq!(dir.recovered_edits(), [edits.join("0000000000000000017")]);
    storage.remove(&edits.join("0000000000000000017")).unwrap();
    put(&storage, &path.join("f/recovered.hfiles/0b"), b"");
    assert_eq!(RegionDir::open(&storage, &path).unwrap_err().kind(), ErrorKind::Unsupported);
    put(&storage, &edits.join("many.seqid"), b"");
    let error = RegionDir::open_with_recovered_edits(&storage, &path).unwrap_err();
    assert_eq!(error.path(), Some(edits.join("many.seqid").as_path()));
}

#[test]
fn the_region_info_is_that_of_the_directory() {
    let (storage, path, info) = made(&FaultyStorage::new());
    RegionDir::create(&storage, &path, &info, &[]).unwrap();
    let file = info.to_file();
    for bit in 0..file.len() * 8 {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        put(&storage, &path.join(REGION_INFO), &flipped);
        // the name says nothing of the end key and the flags
        if let Ok(dir) = RegionDir::open(&storage, &path) {
            assert_eq!(
                (dir.info().start_key(), dir.info().region_id()),
                (info.start_key(), info.region_id())
            );
        }
    }
    put(&storage, &path.join(REGION_INFO), &vec![0; 2 << 20]);
    assert_eq!(RegionDir::open(&storage, &path).unwrap_err().kind(), ErrorKind::Limit);
    storage.remove(&path.join(REGION_INFO)).unwrap();
    assert_eq!(RegionDir::open(&storage, &path).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn the_newest_descriptor_that_is_whole_counts() {
    let (storage, path, info) = made(&FaultyStorage::new());
    RegionDir::create(&storage, &path, &info, &[Family::new("dir")]).unwrap();
    let descriptor = |family: &str| {
        let name = b"\x0a\x0c\x0a\x07default\x12\x01t";
        let len = u8::try_from(family.len()).unwrap();
        [b"PBUF", &name[..], &[0x1a, len + 2, 0x0a, len], family.as_bytes()].concat()
    };
    let families = || {
        RegionDir::open(&storage, &path).map(|dir| {
            let names = dir.families().iter().map(|f| String::from_utf8_lossy(f.name()).into_owned());
            names.collect::<Vec<_>>().join(" ")
        })
    };
    let table = path.parent().unwrap().join(".tabledesc");
    assert_eq!(families().unwrap(), "dir");
    // without what was made for it, it has the families that have directories
    for made in storage.list_dir(&table).unwrap() {
        storage.remove(&table.join(made.name)).unwrap();
    }
    assert_eq!(families().unwrap(), "dir");
    let (one, two) = (descriptor("one"), descriptor("two"));
    put(&storage, &table.join(format!(".tableinfo.0000000003.{}", one.len() + 1)), &one);
    assert!(families().unwrap_err().to_string().contains("another length than its name says"));
    put(&storage, &table.join(format!(".tableinfo.0000000001.{}", one.len())), &one);
    assert_eq!(families().unwrap(), "one");
    put(&storage, &table.join(".tableinfo.0000000002"), &two);
    assert_eq!(families().unwrap(), "two");
    put(&storage, &table.join(".tableinfo.0000000004"), b"PBUF\x0a\x0c\x0a\x07default\x12\x01u");
    assert!(families().unwrap_err().to_string().ends_with("the table descriptor is that of another table"));
    put(&storage, &table.join(".tableinfo.0000000004"), &descriptor(".."));
    assert!(families().unwrap_err().to_string().ends_with("a family that cannot be"));
}

#[test]
fn roots_by_path() {
    let root = |path: &str, table: &str| {
        let info = RegionInfo::new(TableName::parse(table).unwrap(), "", "", 1).unwrap();
        table_place(&local(), Path::new(path), &info).root.map(|root| (root.path, root.has_namespaces))
    };
    assert_eq!(root("/r/data/ns/t/0a", "ns:t"), Some(("/r".into(), true)));
    assert_eq!(root("data/default/t/0a", "t"), Some(("".into(), true)));
    assert_eq!(root("/r/archive/data/ns/t/0a", "ns:t"), Some(("/r".into(), true)));
    assert_eq!(root("/r/t/0a", "t"), Some(("/r".into(), false)));
    assert_eq!((root("/r/u/0a", "t"), root("0a", "t")), (None, None));
}

#[test]
fn files_are_archived_where_others_find_them() {
    let storage = FaultyStorage::new();
    let (shared, path, info) = made(&storage);
    let dir = RegionDir::create(&shared, &path, &info, &[Family::new("f")]).unwrap();
    let file = path.join("f/0a");
    put(&shared, &file, b"bytes");
    dir.archive(b"f", &file).unwrap();
    let archived = Path::new("root/archive/data/default/t").join(info.encoded_name()).join("f/0a");
    assert_eq!((storage.bytes(&file), storage.bytes(&archived)), (None, Some(b"bytes".to_vec())));
    assert!(!storage.after(Crash::Hard).names().contains(&file));
}

#[test]
fn references_must_be_to_the_regions_own_half() {
    let (shared, path, info) = made(&FaultyStorage::new());
    let dir = RegionDir::create(&shared, &path, &info, &[Family::new("f")]).unwrap();
    put(&shared, &path.with_file_name("6f").join("f/0a"), b"bytes");
    let mut refused = BTreeMap::new();
    for (row, half) in [("a", 0), ("b", 0), ("m", 0), ("m", 1), ("a", 1), ("", 0)] {
        let key = SeekKey::first_on_row(row.as_bytes());
        let len = u8::try_from(key.as_bytes().len()).unwrap();
        let bytes = [b"PBUF\x0a", &[len][..], key.as_bytes(), &[0x10, half]].concat();
        put(&shared, &path.join("f/0a.6f"), &bytes);
        refused.insert((row, half), dir.files(b"f").is_err());
    }
    let expected = [
        (("", 0), true),
        (("a", 0), false),
        (("a", 1), true),
        (("b", 0), false),
        (("m", 0), true),
        (("m", 1), false),
    ];
    assert_eq!(refused, BTreeMap::from(expected));
}
