//! The caller's storage panics within a change of a region's files: nothing deleted reappears.

use crate::support::forward::forward;
use crate::support::trackers::TRACKER;
use hregion::io::faulty::FaultyStorage;
use hregion::{Compaction, Delete, ErrorKind, Family, Put, Region, RegionOptions, Scan, Scheduler, Storage};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

const DIR: &str = "/store/region";

/// Panics once, in a sync of the directory of the family, or of the directory of its lists.
#[derive(Debug)]
struct Panicking {
    files: FaultyStorage,
    /// The number of these syncs up to the one that panics; 0 if none does.
    left: AtomicUsize,
}

impl Storage for Panicking {
    forward!(files: open create create_new create_log rename hard_link remove remove_dir sync_file);
    forward!(files: list_dir create_dir_all lock optional);

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let is_of_family = path.ends_with("region/f") || path.ends_with(".filelist");
        if is_of_family && self.left.load(Ordering::Relaxed) > 0 {
            assert!(self.left.fetch_sub(1, Ordering::Relaxed) > 1, "a panic of the storage");
        }
        self.files.sync_dir(path)
    }
}

fn open(storage: Arc<dyn Storage>, tracker: &str) -> Region {
    let family = Family::new("f").configuration(TRACKER, tracker);
    options(storage).create_if_missing(true).family(family).open(DIR).unwrap()
}

fn options(storage: Arc<dyn Storage>) -> RegionOptions {
    Region::options().storage(storage).scheduler(&Scheduler::inline()).compaction_enabled(false)
}

fn rows(region: &Region) -> Vec<String> {
    let (view, scan) = (region.view(), Scan::new());
    let mut found = Vec::new();
    for row in view.scan(&scan).unwrap() {
        found.extend(row.unwrap().cells().map(|cell| String::from_utf8(cell.row().to_vec()).unwrap()));
    }
    found
}

/// The files left by the panic are not in the region's memory: a region that continued would not replace
/// them, and they would be read when the region is opened again.
#[test]
fn a_panic_within_a_compaction_brings_nothing_back() {
    for tracker in ["DEFAULT", "FILE"] {
        for n in 1.. {
            let shown = format!("{tracker}, sync {n}");
            let files = FaultyStorage::new();
            let storage = Arc::new(Panicking { files: files.clone(), left: AtomicUsize::new(0) });
            let region = open(Arc::clone(&storage) as _, tracker);
            for row in ["a", "b"] {
                region.put(Put::new(row).cell("f", "q", "v")).unwrap();
                region.flush().unwrap();
            }
            storage.left.store(n, Ordering::Relaxed);
            let compacted = catch_unwind(AssertUnwindSafe(|| region.compact(Compaction::Major)));
            let has_panicked = compacted.is_err();
            storage.left.store(0, Ordering::Relaxed);
            if let Ok(compacted) = compacted {
                compacted.unwrap();
            }
            assert_eq!(rows(&region), ["a", "b"], "{shown}");
            let deleted = region.delete(Delete::new("a"));
            // The first of these syncs belongs to the change itself; the last ones to the archive.
            assert!(n > 1 || deleted.is_err(), "{shown}: the region is not poisoned");
            let region = match deleted {
                Ok(()) => region,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::Poisoned, "{shown}: {error}");
                    assert!(region.health().poisoned.is_some(), "{shown}");
                    let put = region.put(Put::new("c").cell("f", "q", "v")).unwrap_err();
                    assert_eq!(put.kind(), ErrorKind::Poisoned, "{shown}: {put}");
                    drop(region);
                    let region = open(Arc::new(files.clone()), tracker);
                    assert_eq!(rows(&region), ["a", "b"], "{shown}");
                    region.delete(Delete::new("a")).unwrap();
                    region
                }
            };
            region.flush().unwrap();
            region.compact(Compaction::Major).unwrap();
            assert_eq!(rows(&region), ["b"], "{shown}");
            region.close().unwrap();
            drop(region);
            assert_eq!(rows(&open(Arc::new(files), tracker)), ["b"], "{shown}");
            if !has_panicked {
                assert!(n > 1, "{shown}");
                break;
            }
        }
    }
}
