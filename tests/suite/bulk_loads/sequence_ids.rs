//! Loads that keep sequence ids, and loaded markers.

use super::{left, open, origin, rows, table_of_one_region, table_with_settings};
use hregion::io::faulty::Crash;
use hregion::{
    CellRef, CellType, CheckAndMutate, Compaction, Delete, ErrorKind, Family, Filter, Get, Put, Region,
    Result, SeekKey,
};
use std::path::PathBuf;

/// Writes a file with a cell, which keeps its sequence id if `keeps`, and loads it.
fn load(region: &Region, path: &str, cell: CellRef<'_>, keeps: bool) -> Result<()> {
    let mut writer = region.bulk_load_writer("f", path)?;
    writer.append(cell)?;
    writer.finish(&origin(keeps))?;
    region.bulk_load(&[("f", path)])
}

/// Loads a cell of row `a` with a sequence id.
fn load_with_seq_id(region: &Region, path: &str, seq_id: i64, keeps: bool) -> Result<()> {
    let key = SeekKey::of(b"a", b"f", b"q", 1, CellType::Put);
    load(region, path, CellRef::new(&key, path.as_bytes()).with_seq_id(seq_id), keeps)
}

/// A file whose cells keep their sequence ids gets one more than the flush before. No write may have that id
/// too: it would be considered to be in a file already.
#[test]
fn a_write_after_a_load_that_keeps_sequence_ids_is_replayed() {
    for seq_id in [0, 1, 3, 1_000] {
        let storage = table_with_settings();
        let table = open(&storage);
        let region = table.region("").unwrap();
        load_with_seq_id(&region, "/input/0a", seq_id, true).unwrap();
        for row in ["b", "c"] {
            region.put(Put::new(row).cell("f", "q", "later")).unwrap();
        }
        let expected = rows(&table);
        assert_eq!(expected, ["a/f=/input/0a", "b/f=later", "c/f=later"], "{seq_id}");
        let left = storage.after(Crash::OfTheProcess);
        std::mem::forget((region, table));
        assert_eq!(rows(&open(&left)), expected, "{seq_id}");
    }
}

/// Cells that keep their sequence ids are visible at once, and older than later writes, also after the region
/// has been opened again.
#[test]
fn cells_that_keep_great_sequence_ids_hide_no_later_write() {
    let storage = table_with_settings();
    let table = open(&storage);
    let region = table.region("").unwrap();
    load_with_seq_id(&region, "/input/0a", 1_000_000, true).unwrap();
    assert_eq!(rows(&table), ["a/f=/input/0a"]);
    region.put(Put::new("a").cell_at("f", "q", 1, "later")).unwrap();
    assert_eq!(rows(&table), ["a/f=later"]);
    drop(region);
    table.close().unwrap();
    assert_eq!(rows(&open(&storage)), ["a/f=later"]);
}

/// Reads of named columns skip the latest timestamp, which only files of other writers contain. A value that
/// is written after a check of such a cell gets the time of writing, as in HBase.
#[test]
fn a_conditional_put_does_not_get_the_latest_timestamp() {
    let storage = table_with_settings();
    let table = open(&storage);
    let region = table.region("").unwrap();
    let key = SeekKey::of(b"a", b"f", b"p", i64::MAX, CellType::Put);
    load(&region, "/input/0a", CellRef::new(&key, b"loaded"), false).unwrap();
    let put = Put::new("a").cell("f", "q", "written");
    let check = CheckAndMutate::if_filter("a", Filter::first_key_only()).then(put);
    assert!(region.check_and_mutate(check).unwrap().success);
    let row = region.get(&Get::new("a").column("f", "q")).unwrap();
    assert_eq!(row.value("f", "q"), Some(&b"written"[..]));
    assert_eq!(rows(&table), ["a/f=loaded", "a/f=written"]);
}

/// A region cannot be opened if almost no sequence ids remain after those of its files.
#[test]
fn a_load_leaves_a_region_that_can_be_opened() {
    let storage = table_with_settings();
    let table = open(&storage);
    let region = table.region("").unwrap();
    // These sequence ids are not kept.
    load_with_seq_id(&region, "/input/0a", i64::MAX - 1, false).unwrap();
    for (name, seq_id) in [("0b", i64::MAX), ("0c", i64::MAX >> 1), ("0d", (i64::MAX >> 2) + 1)] {
        let refused = load_with_seq_id(&region, &format!("/input/{name}"), seq_id, true).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidArgument, "{refused}");
        assert!(left(&storage).contains(&PathBuf::from(name)));
    }
    assert_eq!(rows(&table), ["a/f=/input/0a"]);
    load_with_seq_id(&region, "/input/0e", i64::MAX >> 2, true).unwrap();
    region.put(Put::new("b").cell("f", "q", "later")).unwrap();
    let expected = rows(&table);
    assert_eq!(expected, ["a/f=/input/0e", "b/f=later"]);
    drop(region);
    table.close().unwrap();
    assert_eq!(rows(&open(&storage)), expected);
}

/// With NEW_VERSION_BEHAVIOR, a marker hides only older cells. In the top half of a loaded file, cells have
/// one sequence id more, which no later write may have.
#[test]
fn a_loaded_marker_hides_no_later_put_after_a_split() {
    for is_opened_again in [false, true] {
        let storage = table_of_one_region(Family::new("f").new_version_behavior(true));
        let mut table = open(&storage);
        let region = table.region("").unwrap();
        let key = SeekKey::of(b"r", b"f", b"q", 100, CellType::DeleteColumn);
        load(&region, "/input/0a", CellRef::new(&key, b""), false).unwrap();
        drop(region);
        if is_opened_again {
            table.close().unwrap();
            table = open(&storage);
        }
        table.put(Put::new("r").cell_at("f", "q", 50, "later")).unwrap();
        assert_eq!(rows(&table), ["r/f=later"], "{is_opened_again}");
        table.split("b").unwrap();
        assert_eq!(rows(&table), ["r/f=later"], "{is_opened_again}");
        table.compact(Compaction::Major).unwrap();
        assert_eq!(rows(&table), ["r/f=later"], "{is_opened_again}");
    }
}

/// A marker hides nothing that was loaded after it, also after the loaded files have been compacted.
#[test]
fn values_that_were_loaded_after_a_marker_outlive_a_compaction_of_their_files() {
    let storage = table_of_one_region(Family::new("f").new_version_behavior(true));
    let table = open(&storage);
    let region = table.region("").unwrap();
    for row in ["a", "b"] {
        region.delete(Delete::new(row).column_at("f", "q", 100)).unwrap();
    }
    for row in ["a", "b"] {
        let key = SeekKey::of(row.as_bytes(), b"f", b"q", 50, CellType::Put);
        load(&region, &format!("/input/{row}"), CellRef::new(&key, b"loaded"), false).unwrap();
    }
    let expected = ["a/f=loaded", "b/f=loaded"];
    assert_eq!(region.store_file_count("f"), Some(3));
    assert_eq!(rows(&table), expected);
    region.compact_files("f", 1, 2).unwrap();
    assert_eq!(region.store_file_count("f"), Some(2));
    assert_eq!(rows(&table), expected);
    region.compact(Compaction::Major).unwrap();
    assert_eq!(rows(&table), expected);
    drop(region);
    table.close().unwrap();
    assert_eq!(rows(&open(&storage)), expected);
}
