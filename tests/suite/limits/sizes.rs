//! Rows, keys and blocks that are too long.

use super::{calls, region};
use hregion::cell::MAX_ROW_LEN;
use hregion::{
    BloomType, CellRef, CellType, Compaction, Delete, Durability, Error, ErrorKind, Family, Get, HFile,
    HFileWriter, Limits, Put, Region, Row, Scan, SeekKey, Table,
};
use std::ops::ControlFlow;

/// Fails unless a call has refused its argument.
fn assert_refused<T>(result: Result<T, Error>) {
    assert_eq!(result.map(drop).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_row_that_is_too_long_for_a_cell_is_refused() {
    let (_dir, region) = region();
    let (view, long) = (region.view(), "b".repeat(MAX_ROW_LEN + 1));
    let get = Get::new(long.clone());
    assert_refused(region.get(&get));
    assert_refused(region.get(&get.clone().column("f", "q")));
    assert_refused(region.get_many(&[Get::new("a"), get.clone()]));
    assert_refused(view.explain_get(&get, |_| ControlFlow::Continue(())));
    for (reversed, include) in [(false, false), (false, true), (true, false), (true, true)] {
        let scan = Scan::new().start_row(long.clone(), include).reversed(reversed);
        assert_refused(view.scan(&scan));
        for scan in [scan.clone(), scan.family("g")] {
            assert_refused(view.explain(&scan, |_| ControlFlow::Continue(())));
        }
    }
    // no row is that long, but a scan may end there
    assert!(calls(&view, &Scan::new().stop_row(long.clone(), true)).starts_with("a:qrs b:qq"));

    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &["m"]).unwrap();
    assert_refused(table.split(&long));
    assert_refused(Table::create(dir.path(), "u", &[Family::new("f")], &[&long]));
}

#[test]
fn a_filter_of_columns_has_no_row_that_is_too_long_for_a_cell() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    let mut writer = HFileWriter::options().bloom(BloomType::RowCol).create(&path).unwrap();
    let longest = "b".repeat(MAX_ROW_LEN);
    let key = SeekKey::of(longest.as_bytes(), b"f", b"q", 1, CellType::Put);
    writer.append(CellRef::new(&key, b"v")).unwrap();
    writer.finish().unwrap();
    let file = HFile::open(&path).unwrap();
    assert!(file.may_contain_column(longest.as_bytes(), b"q"));
    assert!(!file.may_contain_column(format!("{longest}b").as_bytes(), b"q"));
}

#[test]
fn a_region_can_read_files_with_keys_of_any_length_that_it_takes() {
    for bloom in [None, Some(BloomType::Row), Some(BloomType::RowCol)] {
        let dir = tempfile::tempdir().unwrap();
        let region = Region::options()
            .create_if_missing(true)
            .family(Family::new("f").bloom(bloom))
            .limits(Limits::new().with_block_bytes(100_000))
            .open(dir.path().join("region"))
            .unwrap();
        let put = |row: u32, len| {
            let put = Put::new(row.to_string()).cell("f", vec![b'q'; len], "");
            region.put(put.durability(Durability::SkipWal))
        };
        assert_refused(put(1, 60_000));
        let taken = (1..=100).rev().map(|k| k * 1_000).find(|&len| put(1, len).is_ok()).unwrap();
        assert!(taken >= 4_000, "{taken}");
        let check = || {
            let (view, scan) = (region.view(), Scan::new());
            assert_eq!(view.scan(&scan).unwrap().map(Result::unwrap).count(), 40);
        };
        (0..40).for_each(|row| put(row, taken).unwrap());
        region.flush().unwrap();
        check();
        put(3, taken).unwrap();
        region.compact(Compaction::Major).unwrap();
        check();
    }
}

/// Files of a bulk load are compacted with those of the region.
#[test]
fn a_file_for_a_bulk_load_has_no_keys_that_are_too_long_for_a_put() {
    let dir = tempfile::tempdir().unwrap();
    let region = Region::options()
        .create_if_missing(true)
        .family(Family::new("f"))
        .limits(Limits::new().with_block_bytes(100_000))
        .open(dir.path().join("region"))
        .unwrap();
    let mut writer = region.bulk_load_writer("f", dir.path().join("file")).unwrap();
    let mut append = |len| {
        let key = SeekKey::of(b"r", b"f", &vec![b'q'; len], 1, CellType::Put);
        writer.append(CellRef::new(&key, b""))
    };
    let put = |len| {
        let put = Put::new("r").cell_at("f", vec![b'q'; len], 1, "");
        region.put(put.durability(Durability::SkipWal))
    };
    put(4_999).unwrap();
    append(4_999).unwrap();
    assert_refused(put(5_000));
    assert_refused(append(5_000));
}

/// The root of the index, the file info and the metadata of the filter are read together, and each may have
/// some of the longest keys.
#[test]
fn the_longest_keys_fit_what_is_read_when_a_file_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let region = Region::options()
        .create_if_missing(true)
        .compaction_enabled(false)
        .family(Family::new("f").bloom(Some(BloomType::RowCol)).block_size(1))
        .limits(Limits::new().with_memory_bytes(100_000))
        .open(dir.path().join("region"))
        .unwrap();
    let long = "q".repeat(4_990);
    for (row, columns) in [("a", 140), ("b", 150), ("c", 160), ("d", 170), ("e", 400)] {
        for column in 0..columns {
            let put = Put::new(row).cell("f", format!("{long}{column:05}"), "");
            region.put(put.durability(Durability::SkipWal)).unwrap();
        }
        region.flush().unwrap();
        let row = region.get(&Get::new(row)).unwrap();
        assert_eq!(row.len(), columns);
        let last = format!("{long}{:05}", columns - 1);
        assert!(row.value("f", last).is_some());
    }
    region.compact(Compaction::Major).unwrap();
    let (view, scan) = (region.view(), Scan::new());
    assert_eq!(view.scan(&scan).unwrap().map(|row| row.unwrap().len()).sum::<usize>(), 1_020);
}

#[test]
fn a_region_can_read_what_it_writes_with_its_limits() {
    let dir = tempfile::tempdir().unwrap();
    let region = Region::options()
        .create_if_missing(true)
        .family(Family::new("f"))
        .limits(Limits::new().with_block_bytes(100_000))
        .open(dir.path().join("region"))
        .unwrap();
    // also without a log, whose entries have the same limit
    let put = |row: String, len| {
        region.put(Put::new(row).cell("f", "q", vec![7; len]).durability(Durability::SkipWal))
    };
    let lens = [60_000, 60_000, 30_000, 30_000, 60_000, 80_000, 1, 80_000];
    for (i, len) in lens.into_iter().enumerate() {
        put(format!("r{i}"), len).unwrap();
    }
    assert_refused(put("r9".into(), 95_000));
    let read = || {
        let (view, scan) = (region.view(), Scan::new());
        let rows = view.scan(&scan).unwrap();
        rows.map(|row| row.unwrap().value("f", "q").unwrap().len()).collect::<Vec<_>>()
    };
    assert_eq!(read(), lens);
    region.flush().unwrap();
    assert_eq!(read(), lens);
    region.compact(Compaction::Major).unwrap();
    assert_eq!(read(), lens);
}

/// All equal cells of a file are in one block, which may have no room for those that no read returns.
#[test]
fn cells_that_are_written_again_and_again_can_be_flushed_replayed_and_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let open = || {
        let options = Region::options().create_if_missing(true).compaction_enabled(false);
        let options = options.family(Family::new("f")).durability(Durability::SyncWal);
        options.limits(Limits::new().with_block_bytes(100_000)).open(dir.path().join("region")).unwrap()
    };
    let put = |region: &Region, value: u8| {
        region.put(Put::new("r").cell_at("f", "q", 1, vec![value; 30_000])).unwrap();
    };
    let get = Get::new("r").column("f", "q");
    let first = |row: &Row| row.value("f", "q").and_then(<[u8]>::first).copied();

    // A replay keeps what it cannot know to be visible.
    let region = open();
    (1..=5).for_each(|value| put(&region, value));
    region.abort().unwrap();
    drop(region);
    let region = open();
    assert_eq!(first(&region.get(&get).unwrap()), Some(5));

    // The view still reads its version.
    put(&region, 6);
    let view = region.view();
    (7..=9).for_each(|value| put(&region, value));
    region.flush().unwrap();
    assert_eq!((first(&view.get(&get).unwrap()), first(&region.get(&get).unwrap())), (Some(6), Some(9)));
    drop(view);

    // Flushes and minor compactions keep all markers.
    let column = || vec![b'p'; 4_000];
    let mark = |times| {
        (0..times).for_each(|_| region.delete(Delete::new("r").version_at("f", column(), 1)).unwrap());
        region.flush().unwrap();
    };
    mark(40);
    mark(15);
    region.put(Put::new("r").cell_at("f", column(), 2, "v")).unwrap();
    mark(15);
    let files = region.store_file_count("f").unwrap();
    region.compact_files("f", files - 2, 2).unwrap();
    assert_eq!(region.store_file_count("f"), Some(files - 1));
    region.compact(Compaction::Major).unwrap();
    let row = region.get(&Get::new("r")).unwrap();
    assert_eq!((row.len(), first(&row)), (2, Some(9)));
}

/// With NEW_VERSION_BEHAVIOR, each of them may decide on other cells.
#[test]
fn cells_with_new_version_behavior_that_are_written_again_and_again_are_flushed_to_several_files() {
    let dir = tempfile::tempdir().unwrap();
    let open = |name: &str, limits| {
        Region::options()
            .create_if_missing(true)
            .compaction_enabled(false)
            .durability(Durability::SkipWal)
            .family(Family::new("f").new_version_behavior(true).max_versions(2))
            .limits(limits)
            .open(dir.path().join(name))
            .unwrap()
    };
    // The second one is not flushed.
    let regions = [open("a", Limits::new().with_block_bytes(100_000)), open("b", Limits::new())];
    let put = |timestamp, value: u8| {
        let put = || Put::new("r").cell_at("f", "q", timestamp, vec![value; 30_000]);
        regions.iter().for_each(|region| region.put(put()).unwrap());
    };
    let delete = |column: &[u8], timestamp| {
        let delete = || Delete::new("r").version_at("f", column.to_vec(), timestamp);
        regions.iter().for_each(|region| region.delete(delete()).unwrap());
    };
    let get = Get::new("r").max_versions(2);
    let firsts = |row: Row| row.cells().map(|cell| cell.value()[0]).collect::<Vec<_>>();
    let read = || regions.each_ref().map(|region| firsts(region.get(&get).unwrap()));
    let flush = || {
        let before = regions[0].store_file_count("f").unwrap();
        regions[0].flush().unwrap();
        regions[0].store_file_count("f").unwrap() - before
    };

    put(1, 1);
    delete(b"q", 3);
    (2..=3).for_each(|value| put(3, value));
    let views = regions.each_ref().map(Region::view);
    let read_views = || views.each_ref().map(|view| firsts(view.get(&get).unwrap()));
    (4..=6).for_each(|value| put(3, value));
    put(2, 7);
    for flushed in [2, 0] {
        assert_eq!((read(), read_views()), ([vec![6, 7], vec![6, 7]], [vec![3, 1], vec![3, 1]]));
        assert!(flush() >= flushed);
    }
    // Values with markers between them, and markers only.
    for value in 8..=12 {
        put(3, value);
        delete(b"q", 3);
    }
    (0..30).for_each(|_| delete(&[b'p'; 4_000], 1));
    assert!(flush() >= 2);
    put(3, 13);
    let [flushed, in_memory] = read();
    assert_eq!((flushed[0], &flushed), (13, &in_memory));
    assert_eq!(read_views(), [vec![3, 1], vec![3, 1]]);
    drop(views);
    regions[0].compact(Compaction::Major).unwrap();
    assert_eq!((read(), regions[0].store_file_count("f")), ([in_memory.clone(), in_memory], Some(1)));
}
