//! Flushes of several families at a time.

use crate::support::crashes::{crashes_at, one_in};
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::{Compaction, Delete, Durability, ErrorKind, Family, HFile, Limits, Put, Region, Scan};
use std::sync::Arc;

const FAMILIES: [&str; 3] = ["a", "b", "c"];
const ROWS: usize = 110;
const COLUMNS: usize = 100;

fn open(storage: &FaultyStorage) -> Region {
    let options = Region::options()
        .storage(Arc::new(storage.clone()))
        .create_if_missing(true)
        .durability(Durability::AsyncWal);
    FAMILIES.iter().fold(options, |options, family| options.family(Family::new(*family))).open("/r").unwrap()
}

/// Puts more cells into each family than one thread writes.
fn fill(region: &Region) {
    for row in 0..ROWS {
        let put = (0..COLUMNS).fold(Put::new(format!("{row:04}")), |put, column| {
            FAMILIES.iter().fold(put, |put, family| {
                put.cell_at(*family, format!("{column:03}"), 7, format!("{family}{row}/{column}"))
            })
        });
        region.put(put).unwrap();
    }
}

#[track_caller]
fn check(region: &Region, shown: &str) {
    let mut row_count = 0;
    for (row, cells) in region.scan(Scan::new()).unwrap().enumerate() {
        let cells = cells.unwrap();
        let mut found = cells.cells();
        for (family, column) in FAMILIES.iter().flat_map(|family| (0..COLUMNS).map(move |c| (family, c))) {
            let cell = found.next().unwrap_or_else(|| panic!("{shown}: {row}, {family}, {column}"));
            assert_eq!(cell.family(), family.as_bytes(), "{shown}");
            assert_eq!(cell.value(), format!("{family}{row}/{column}").as_bytes(), "{shown}");
        }
        assert!(found.next().is_none(), "{shown}");
        row_count += 1;
    }
    assert_eq!(row_count, ROWS, "{shown}");
}

#[test]
fn a_flush_of_large_families_has_all_cells() {
    let storage = FaultyStorage::new();
    let region = open(&storage);
    fill(&region);
    region.flush().unwrap();
    check(&region, "flushed");
    assert_eq!(FAMILIES.map(|family| region.store_file_count(family)), [Some(1); 3]);
    assert_eq!((region.metrics().flushes, region.health().is_healthy()), (3, true));
    region.close().unwrap();
    check(&open(&storage), "reopened");
}

/// The calls of the threads are in no fixed order, so the failing call may be one of any family.
#[test]
fn any_call_of_a_flush_of_large_families_may_fail() {
    let counted = FaultyStorage::new();
    let region = open(&counted);
    fill(&region);
    let calls = counted.calls();
    region.flush().unwrap();
    let calls = counted.calls() - calls;
    assert!(calls > 10, "{calls}");
    drop(region);
    for n in one_in(3).take_while(|n| *n < calls) {
        let shown = format!("call {n} of {calls}");
        let storage = FaultyStorage::new();
        let region = open(&storage);
        fill(&region);
        storage.fail_after(n);
        let flushed = region.flush();
        storage.heal();
        check(&region, &shown);
        if flushed.is_err() {
            region.flush().unwrap_or_else(|error| panic!("{shown}: {error}"));
        }
        check(&region, &shown);
        match region.compact(Compaction::Major) {
            Ok(_) => assert!(region.health().poisoned.is_none(), "{shown}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Poisoned, "{shown}: {error}"),
        }
        check(&region, &shown);
        drop(region);
        let left = storage.after(Crash::OfTheProcess);
        check(&open(&left), &shown);
    }
}

/// Any call of a flush of one family fails, and the other families are flushed later. If power is lost then,
/// a row is in all families or in none, although the log may no longer contain it.
#[test]
fn a_flush_of_one_family_tears_no_row() {
    let found = |region: &Region, shown: &str| {
        let rows = region.scan(Scan::new()).unwrap().map(|row| row.unwrap().cells().count());
        let rows: Vec<usize> = rows.collect();
        assert!(rows.iter().all(|cells| *cells == FAMILIES.len()), "{shown}: {rows:?}");
        rows.len()
    };
    let row =
        |n: usize| FAMILIES.iter().fold(Put::new(format!("{n}")), |put, family| put.cell(*family, "q", "v"));
    let mut widened = 0;
    for n in 0.. {
        let storage = FaultyStorage::new();
        let region = open(&storage);
        region.put(row(0).durability(Durability::FsyncWal)).unwrap();
        (1..5).for_each(|n| region.put(row(n)).unwrap());
        storage.fail_after(n);
        let flushed = region.flush_families(&["a"]);
        storage.heal();
        for step in ["failed", "flushed again"] {
            let shown = format!("call {n}, {step}");
            assert_eq!(found(&region, &shown), 5, "{shown}");
            for crash in (0..8).map(Crash::Chance).chain([Crash::Hard, Crash::OfTheProcess]) {
                let left = found(&open(&storage.after(crash)), &shown);
                assert!(left >= 1, "{shown}");
            }
            region.flush_families(&["b", "c"]).unwrap_or_else(|error| panic!("{shown}: {error}"));
        }
        if region.health().poisoned.is_some() {
            assert_eq!(FAMILIES.map(|family| region.store_file_count(family)), [Some(1); 3], "call {n}");
            widened += 1;
        }
        if flushed.is_ok() {
            break;
        }
    }
    assert!(widened > 0);
}

/// Equal cells are in one block of a file, so that those that exceed its limit need several files.
#[test]
fn a_flush_to_several_files_may_die_at_any_call() {
    let open = |storage: &FaultyStorage| {
        let family = Family::new("f").new_version_behavior(true);
        let options = Region::options().storage(Arc::new(storage.clone())).create_if_missing(true);
        let options = options.limits(Limits::new().with_block_bytes(100_000)).compaction_enabled(false);
        options.durability(Durability::FsyncWal).family(family).open("/r").unwrap()
    };
    let begin = || {
        let storage = FaultyStorage::new();
        let region = open(&storage);
        for value in 0..9 {
            let put = Put::new("r").cell_at("f", "q", 1, vec![value; 30_000]);
            region.put(put.cell_at("f", value.to_string(), 1, vec![value])).unwrap();
        }
        (storage, region)
    };
    let cells = |region: &Region| {
        let row = region.scan(Scan::new()).unwrap().next().unwrap().unwrap();
        row.cells().map(|cell| cell.value()[0]).collect::<Vec<_>>()
    };
    let (storage, region) = begin();
    let (expected, before) = (cells(&region), storage.calls());
    assert_eq!(expected, [0, 1, 2, 3, 4, 5, 6, 7, 8, 8]);
    region.flush().unwrap();
    assert_eq!((cells(&region), region.store_file_count("f") > Some(2)), (expected.clone(), true));
    let calls = storage.calls() - before;
    for n in one_in(6).take_while(|n| *n < calls) {
        let (storage, region) = begin();
        storage.die_after(n);
        let _ = region.flush();
        for crash in crashes_at(n, &[Crash::Hard, Crash::OfTheProcess, Crash::Torn, Crash::Chance(n)]) {
            assert_eq!(cells(&open(&storage.after(crash))), expected, "{crash:?} at call {n} of {calls}");
        }
    }
}

/// HBase: `BloomFilterFactory`, `HFileBlockIndex`.
#[test]
fn files_follow_the_settings_of_their_family_for_indexes_and_filters() {
    let written = |settings: &[(&str, &str)]| {
        let storage = Arc::new(FaultyStorage::new());
        let family = Family::new("f").block_size(100);
        let family = settings.iter().fold(family, |family, (key, value)| family.configuration(*key, *value));
        let options = Region::options().create_if_missing(true).durability(Durability::SkipWal);
        let region = options.storage(Arc::clone(&storage) as _).family(family).open("/r").unwrap();
        for row in 0..200 {
            region.put(Put::new(format!("{row:04}")).cell("f", "q", "v")).unwrap();
        }
        region.delete(Delete::new("0000").family_at("f", 1)).unwrap();
        region.flush().unwrap();
        let path = region.hfile_paths("f").unwrap().remove(0);
        let file = HFile::options().storage(storage).open(path).unwrap();
        let chunks = file.general_bloom().map(|bloom| bloom.meta().chunks().len());
        (file.index_levels(), chunks, file.delete_family_bloom().is_some())
    };
    assert_eq!(written(&[]), (1, Some(1), true));
    assert_eq!(written(&[("io.storefile.bloom.enabled", "false")]), (1, None, true));
    let without = ("io.storefile.delete.family.bloom.enabled", "false");
    assert_eq!(written(&[without]), (1, Some(1), false));
    let small = ("hfile.index.block.max.size", "100");
    assert_eq!(written(&[small, ("hfile.index.block.min.entries", "1000")]).0, 2);
    assert!(written(&[small, ("hfile.index.block.min.entries", "2")]).0 > 2);
    let small = ("io.storefile.bloom.block.size", "128");
    assert_eq!(written(&[small]).1, Some(2));
    assert_eq!(written(&[small, ("io.storefile.bloom.error.rate", "0.5")]).1, Some(1));

    let wrong = Family::new("f").configuration("io.storefile.bloom.error.rate", "1");
    let storage = Arc::new(FaultyStorage::new());
    let options = Region::options().storage(storage).create_if_missing(true).family(wrong);
    assert_eq!(options.open("/r").unwrap_err().kind(), ErrorKind::InvalidArgument);
}
