//! Readers beside a process that writes the log.

use super::{put, values};
use crate::support::churn::churn;
use crate::support::forward::forward;
use crate::support::no_sync::NoSync;
use hregion::io::{DirEntry, FileReader};
use hregion::{ErrorKind, Family, Get, Limits, LocalStorage, Put, Region, RegionOptions, Scan, Storage};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

fn options() -> RegionOptions {
    Region::options().family(Family::new("f")).family(Family::new("g"))
}

/// A local storage. After a log has been opened, and before the files of a family are listed, a writer does
/// its work.
#[derive(Debug)]
struct Between {
    files: LocalStorage,
    family: PathBuf,
    has_opened: AtomicBool,
    writer: Mutex<Option<Region>>,
    work: fn(&Region),
}

/// Opens a region for reading. In the middle of that, the writer works.
fn open_beside(writer: &Region, work: fn(&Region), options: RegionOptions, path: &Path) -> Region {
    let (files, has_opened, family) = (LocalStorage, AtomicBool::new(false), path.join("f"));
    let writer = Mutex::new(Some(writer.clone()));
    let between = Arc::new(Between { files, family, has_opened, writer, work });
    let reader = options.storage(Arc::clone(&between) as Arc<dyn Storage>).open(path).unwrap();
    assert!(between.writer.lock().unwrap().is_none(), "the writer has worked");
    reader
}

impl Storage for Between {
    forward!(files: create create_new create_log rename hard_link remove remove_dir create_dir_all lock);
    forward!(files: sync_file sync_dir optional);

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        if path.parent().is_some_and(|dir| dir.ends_with("recovered.edits")) {
            self.has_opened.store(true, Ordering::Relaxed);
        }
        self.files.open(path)
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        if path == self.family
            && self.has_opened.load(Ordering::Relaxed)
            && let Some(writer) = self.writer.lock().unwrap().take()
        {
            (self.work)(&writer);
        }
        self.files.list_dir(path)
    }
}

/// A log that has grown since it was opened lacks the cells of families that were not flushed.
#[test]
fn a_reader_sees_whole_rows_if_a_log_grows_before_files_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let writer = options().create_if_missing(true).open(&path).unwrap();
    writer.put(put("a", "1")).unwrap();
    let work = |writer: &Region| {
        writer.put(put("b", "2")).unwrap();
        writer.flush_families(&["f"]).unwrap();
    };
    let reader = open_beside(&writer, work, options(), &path);
    let expected = [("a", "1"), ("b", "2")].map(|(row, value)| (row.to_owned(), value.to_owned()));
    assert_eq!(values(&reader), BTreeMap::from(expected));
    assert_eq!(values(&writer), values(&reader));
}

/// A local storage in which only one file of a family is named.
#[derive(Debug)]
struct OneName {
    files: LocalStorage,
    has_named: AtomicBool,
}

impl Storage for OneName {
    forward!(files: open create create_new create_log hard_link remove remove_dir create_dir_all lock);
    forward!(files: list_dir sync_file sync_dir optional);

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let is_in_family = |path: &Path| path.parent().is_some_and(|dir| dir.ends_with("region/f"));
        if (is_in_family(from) || is_in_family(to)) && self.has_named.swap(true, Ordering::Relaxed) {
            return Err(io::Error::other("a file has a name"));
        }
        self.files.rename(from, to)
    }
}

/// The first of the files ends with the first write that is not in the log when the reader opens it.
#[test]
fn a_reader_sees_whole_rows_if_the_first_of_several_files_of_a_flush_is_named_before_it_lists_them() {
    fn write(region: &Region, value: u8) {
        let put = Put::new("r").cell_at("f", "q", 1, vec![value; 40_000]);
        region.put(put.cell_at("g", "q", 1, vec![value])).unwrap();
    }

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let options = || {
        let families = [Family::new("f").new_version_behavior(true), Family::new("g")];
        families.into_iter().fold(Region::options(), RegionOptions::family)
    };
    let storage = OneName { files: LocalStorage, has_named: AtomicBool::new(false) };
    let small = options().limits(Limits::new().with_block_bytes(100_000)).create_if_missing(true);
    let writer = small.storage(Arc::new(storage)).open(&path).unwrap();
    write(&writer, 1);
    let work = |writer: &Region| {
        write(writer, 2);
        write(writer, 3);
        writer.flush().unwrap_err();
    };
    let reader = open_beside(&writer, work, options(), &path);
    let row = reader.get(&Get::new("r")).unwrap();
    let values = ["f", "g"].map(|family| row.value(family, "q").map(|value| value[0]));
    assert_eq!((values, reader.store_file_count("f")), ([Some(3); 2], Some(1)));
}

/// A reader in another process returns every acknowledged write.
#[test]
fn a_reader_beside_a_writer_sees_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let region = options().create_if_missing(true).open(&path).unwrap();
    for n in 0..30 {
        region.put(put(&format!("r{n}"), "v")).unwrap();
        if n % 7 == 3 {
            region.flush().unwrap();
        }
        assert_eq!(values(&options().open(&path).unwrap()), values(&region));
    }
    region.abort().unwrap();
    assert_eq!(region.get(&Get::new("r1")).unwrap_err().kind(), ErrorKind::Closed);
    drop(region);
    assert_eq!(values(&options().writable(true).open(&path).unwrap()).len(), 30);
}

/// A reader in another process returns all writes acknowledged before it opens, and no torn row, while the
/// writer flushes both families, or one of them, and compacts.
#[test]
fn a_reader_sees_whole_rows_while_families_are_flushed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let storage: Arc<dyn Storage> = Arc::new(NoSync::default());
    let region = options().create_if_missing(true).storage(storage).open(&path).unwrap();
    let (acknowledged, done) = (AtomicU64::new(0), AtomicBool::new(false));
    let found: Vec<_> = thread::scope(|scope| {
        scope.spawn(|| {
            churn(&region, &done, |n| {
                region.put(put(&format!("r{:02}", n % 50), &format!("{n:06}"))).unwrap();
                acknowledged.store(n, Ordering::SeqCst);
            });
        });
        let read = |_| {
            let least = acknowledged.load(Ordering::SeqCst);
            let found = options().open(&path).map(|region| {
                let rows = region.scan(Scan::new()).unwrap().map(Result::unwrap);
                rows.map(|row| ["f", "g"].map(|family| row.value(family, "q").map(<[u8]>::to_vec))).collect()
            });
            (least, found)
        };
        let found = (0..400).map(read).collect();
        done.store(true, Ordering::SeqCst);
        found
    });
    let mut opened = 0;
    for (least, found) in found {
        let rows: Vec<[Option<Vec<u8>>; 2]> = match found {
            Ok(rows) => rows,
            // It returns an error if the files change at each attempt.
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Io, "{error}");
                continue;
            }
        };
        opened += 1;
        assert!(rows.iter().all(|[f, g]| f == g), "a torn row: {rows:?}");
        let newest = rows.iter().flat_map(|[f, _]| f).max();
        let newest = newest.map_or(0, |value| String::from_utf8(value.clone()).unwrap().parse().unwrap());
        assert!(newest >= least, "{newest} of {least}");
    }
    assert!(opened > 300, "{opened}");
}
