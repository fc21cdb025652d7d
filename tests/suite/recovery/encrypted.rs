//! Regions and roots with encrypted logs of HBase.

use super::{all_cells, answers, copy_dir, region_dir};
use crate::support::files::{files_below, unlocked_contents};
use crate::support::golden;
use crate::wal::MASTER_KEY;
use hregion::{ErrorKind, Region, RegionOptions, Table};
use std::fs;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    golden::root("testdata/wal/encrypted")
}

fn options() -> RegionOptions {
    Region::options().master_key(MASTER_KEY)
}

/// The files of the region that have numbers as names: its recovered edits.
fn edits(region: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(region.join("recovered.edits")).unwrap().map(|entry| entry.unwrap().path());
    names.filter(|path| path.extension().is_none()).collect()
}

/// Without the right key, nothing is opened, recovered or changed.
fn refused(root: &Path, call: impl Fn(RegionOptions) -> hregion::Result<()>) {
    let before = unlocked_contents(root);
    for (options, kind, message) in [
        (Region::options(), ErrorKind::Unsupported, "encrypted write-ahead log (AES)"),
        (Region::options().master_key([7; 16]), ErrorKind::Corrupt, "this is not the master key"),
    ] {
        let error = call(options).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.message().contains(message), "{error}");
        assert!(unlocked_contents(root) == before, "nothing is changed");
    }
}

#[test]
fn encrypted_edits_of_hbase_are_replayed() {
    let answers = answers(&folder());
    let [(encoded, raw, plain)] = answers.as_slice() else { panic!("one region") };
    for writable in [false, true] {
        let root = tempfile::tempdir().unwrap();
        copy_dir(&folder().join("split"), root.path());
        let dir = region_dir(root.path(), encoded);
        assert!(!edits(&dir).is_empty());
        refused(root.path(), |options| options.writable(writable).open(&dir).map(drop));
        let region = options().writable(writable).open(&dir).unwrap();
        assert_eq!(all_cells(&region, false), *plain);
        let found = all_cells(&region, true);
        assert!(raw.iter().all(|cell| found.contains(cell)) && (!writable || found == *raw));
        drop(region);
        // The edits are in files, which need no key.
        assert_eq!(edits(&dir).is_empty(), writable);
        if writable {
            assert_eq!(all_cells(&Region::open(&dir).unwrap(), true), *raw);
        }
    }
}

#[test]
fn a_root_with_encrypted_logs_is_recovered() {
    let root = tempfile::tempdir().unwrap();
    copy_dir(&folder().join("split"), root.path());
    copy_dir(&folder().join("crashed"), root.path());
    let answers = answers(&folder());
    let [(encoded, raw, plain)] = answers.as_slice() else { panic!("one region") };
    let dir = region_dir(root.path(), encoded);
    edits(&dir).iter().for_each(|path| fs::remove_file(path).unwrap());
    let [log] = files_below(&root.path().join("WALs")).try_into().unwrap();

    refused(root.path(), |options| Table::plan_recovery(root.path(), options).map(drop));
    refused(root.path(), |options| Table::recover(root.path(), options).map(drop));
    refused(root.path(), |options| options.writable(true).open(&dir).map(drop));
    let verify = |options: RegionOptions| options.verify_file(&log, |_, _| panic!("no HFile")).unwrap();
    assert_eq!(verify(Region::options()).len(), 1);
    assert!(verify(options()).is_empty());

    let done = Table::recover(root.path(), options()).unwrap();
    assert_eq!((done.regions.len(), done.logs.len(), done.torn.len()), (1, 1, 0));
    let region = Region::open(&dir).unwrap();
    assert_eq!((all_cells(&region, true), all_cells(&region, false)), (raw.clone(), plain.clone()));
    drop(region);

    // A log in another place, with the trailer that it got when it was closed.
    let root = tempfile::tempdir().unwrap();
    copy_dir(&folder().join("split"), root.path());
    let dir = region_dir(root.path(), encoded);
    edits(&dir).iter().for_each(|path| fs::remove_file(path).unwrap());
    let logs = files_below(&folder().join("closed"));
    let region = options().replay_logs(logs).writable(true).open(&dir).unwrap();
    assert_eq!((all_cells(&region, true), all_cells(&region, false)), (raw.clone(), plain.clone()));
}
