//! Changes of a single region, without its table.

use super::{ROOT, T, cells_of, each_death, listed, never, options, put, read, write_load};
use crate::support::files::io_kind;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::{
    Compaction, Delete, Family, Put, Region, RegionInfo, RegionOptions, Result, Scan, Storage, TableName,
};
use std::io;
use std::path::Path;

const ALONE: &str = "/some/dir/region";

fn families(storage: &FaultyStorage) -> RegionOptions {
    options(storage).create_if_missing(true).family(listed()).family(Family::new("g"))
}

fn open_alone(storage: &FaultyStorage) -> Result<Region> {
    families(storage).open(ALONE)
}

fn read_alone(storage: &FaultyStorage, shown: &str) -> Vec<String> {
    let region = options(storage).writable(false).open(ALONE);
    let region = region.unwrap_or_else(|error| panic!("{shown}: {error}"));
    cells_of(region.scan(Scan::new()).unwrap())
}

/// A durable region outside of any root, with the rows a and n.
fn alone() -> FaultyStorage {
    let storage = FaultyStorage::new();
    let region = open_alone(&storage).unwrap();
    for row in ["a", "n"] {
        region.put(put(row, "1")).unwrap();
    }
    region.close().unwrap();
    storage.after(Crash::OfTheProcess)
}

/// A durable directory with another file, which is made a region in place.
fn occupied() -> FaultyStorage {
    let storage = FaultyStorage::new();
    storage.create(&Path::new(ALONE).join("note")).unwrap().write_all(b"text").unwrap();
    storage.after(Crash::OfTheProcess)
}

#[test]
fn a_created_region_keeps_what_is_written() {
    for setup in [FaultyStorage::new, occupied] {
        let write = |storage: &FaultyStorage| open_alone(storage)?.put(put("b", "2"));
        each_death(setup, write, never, |storage, shown| {
            assert_eq!(read_alone(storage, shown), ["b/f=2", "b/g=2"], "{shown}");
        });
    }
}

/// The first region of a root makes the table, too.
#[test]
fn a_region_created_in_a_new_root_keeps_what_is_written() {
    let info = RegionInfo::new(TableName::parse(T).unwrap(), "", "", 1000).unwrap();
    let path = format!("{ROOT}/data/ns/t/{}", info.encoded_name());
    let write = |storage: &FaultyStorage| families(storage).table(T).open(&path)?.put(put("b", "2"));
    each_death(FaultyStorage::new, write, never, |storage, shown| {
        assert_eq!(read(storage, T), Some(vec!["b/f=2".into(), "b/g=2".into()]), "{shown}");
    });
}

#[test]
fn flushes_and_compactions_lose_nothing() {
    let write = |storage: &FaultyStorage| {
        let region = open_alone(storage)?;
        region.put(put("b", "2"))?;
        region.flush()?;
        region.delete(Delete::new("n"))?;
        region.flush()?;
        region.compact(Compaction::Major)?;
        region.put(put("h", "2"))
    };
    each_death(alone, write, never, |storage, shown| {
        let expected = ["a/f=1", "a/g=1", "b/f=2", "b/g=2", "h/f=2", "h/g=2"];
        assert_eq!(read_alone(storage, shown), expected, "{shown}");
    });
}

#[test]
fn an_added_family_keeps_what_is_written() {
    let add = |storage: &FaultyStorage| {
        let region = options(storage).alter(true).family(Family::new("h")).open(ALONE)?;
        region.put(Put::new("b").cell_at("h", "q", 5, "2"))
    };
    each_death(alone, add, never, |storage, shown| {
        let expected = ["a/f=1", "a/g=1", "b/h=2", "n/f=1", "n/g=1"];
        assert_eq!(read_alone(storage, shown), expected, "{shown}");
    });
}

/// A list tracks the files of one of the families.
#[test]
fn loaded_files_are_not_lost() {
    let setup = || {
        let storage = alone();
        let region = open_alone(&storage).unwrap();
        for family in ["f", "g"] {
            storage.create_dir_all(&Path::new("/load").join(family)).unwrap();
            write_load(&region, family);
        }
        region.close().unwrap();
        storage.after(Crash::OfTheProcess)
    };
    let load = |storage: &FaultyStorage| {
        let region = open_alone(storage)?;
        for family in ["f", "g"] {
            match region.bulk_load(&[(family, format!("/load/{family}/file"))]) {
                // The first process has loaded it.
                Err(error) if io_kind(&error) == Some(io::ErrorKind::NotFound) => {}
                loaded => loaded?,
            }
        }
        region.put(put("h", "2"))
    };
    each_death(setup, load, never, |storage, shown| {
        let written = ["b/f=2", "b/g=2", "h/f=2", "h/g=2"];
        let expected = [&["a/f=1", "a/g=1"][..], &written, &["n/f=1", "n/g=1", "x/f=2", "x/g=2"]].concat();
        assert_eq!(read_alone(storage, shown), expected, "{shown}");
    });
}
