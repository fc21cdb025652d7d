//! The tables and snapshots written by HBase: in testdata, and in `../shared` if it exists.

#![allow(dead_code, reason = "not all tests use all of it")]
#![allow(clippy::print_stdout, reason = "a test says what it skips")]

use std::fs;
use std::path::{Path, PathBuf};

/// Adds the directories below a directory that `is` accepts, without searching inside them.
fn find(dir: &Path, is: fn(&Path) -> bool, found: &mut Vec<PathBuf>) {
    if is(dir) {
        found.push(dir.to_owned());
        return;
    }
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            find(&path, is, found);
        }
    }
}

fn golden(is: fn(&Path) -> bool) -> Vec<PathBuf> {
    // crates are at different depths
    let is_root = |dir: &&Path| dir.join("testdata/region").is_dir();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(is_root).unwrap();
    let mut found = Vec::new();
    find(&root.join("testdata/region"), is, &mut found);
    let shared = root.join("../shared/golden/cluster");
    if shared.is_dir() {
        find(&shared, is, &mut found);
    } else {
        println!("SKIPPED: no {}", shared.display());
    }
    found.sort();
    found
}

/// Returns the directories of tables.
pub(crate) fn golden_tables() -> Vec<PathBuf> {
    golden(|dir| dir.join(".tabledesc").is_dir())
}

/// Returns the directories of snapshots.
pub(crate) fn golden_snapshots() -> Vec<PathBuf> {
    golden(|dir| dir.join(".snapshotinfo").is_file())
}
