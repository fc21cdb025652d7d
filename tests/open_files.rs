//! Regions with more files than may be open at once.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use hregion::io::faulty::FaultyStorage;
use hregion::{
    BlockCache, Compaction, Family, FileHandles, Get, ManualClock, Put, ReadView, Region, RegionOptions, Scan,
};
use std::path::Path;
use std::sync::Arc;

fn row(i: usize) -> String {
    format!("row-{i:06}")
}

/// Creates a region of `files` files. Each row is in two of them, and reads return the version of the newer
/// one.
fn create(options: RegionOptions, path: &Path, files: usize) {
    // The name of a region's directory depends on when it is created.
    let options = options.clock(Arc::new(ManualClock::new(1000)));
    let region = options.create_if_missing(true).table("t").family(Family::new("f")).open(path).unwrap();
    for file in 0..files {
        for i in [file, (file + 1) % files] {
            region.put(Put::new(row(i)).cell("f", "q", format!("{file}"))).unwrap();
        }
        region.flush().unwrap();
    }
    region.close().unwrap();
}

/// Returns each row with the value that a scan finds.
fn scan(view: &ReadView, scan: &Scan) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let rows = view.scan(scan).unwrap().map(Result::unwrap);
    rows.map(|row| (text(row.key()), text(row.cells().next().unwrap().value()))).collect()
}

fn expected(files: usize) -> Vec<(String, String)> {
    // The last file also has the first row.
    (0..files).map(|i| (row(i), (if i == 0 { files - 1 } else { i }).to_string())).collect()
}

/// Reads, and compacts while a view continues to read.
fn read_and_compact(options: RegionOptions, path: &Path, files: usize) {
    let region = options.writable(true).open(path).unwrap();
    assert_eq!(region.store_file_names("f").unwrap().len(), files);
    let expected = expected(files);
    let check = |view: &ReadView| {
        assert_eq!(scan(view, &Scan::new()), expected);
        for (row, value) in expected.iter().step_by(7) {
            let found = view.get(&Get::new(row.clone())).unwrap();
            assert_eq!(found.cells().next().unwrap().value(), value.as_bytes());
        }
    };
    let old = region.view();
    check(&old);
    let mut backward = scan(&old, &Scan::new().reversed(true));
    backward.reverse();
    assert_eq!(backward, expected);
    let rows = Scan::new();
    let mut open = old.scan(&rows).unwrap();
    assert_eq!(open.next().unwrap().unwrap().key(), expected[0].0.as_bytes());
    region.compact(Compaction::Major).unwrap();
    assert_eq!(region.store_file_names("f").unwrap().len(), 1);
    assert_eq!(open.map(Result::unwrap).count(), files - 1);
    check(&old);
    check(&region.view());
    drop(old);
    region.close().unwrap();
    assert_eq!(region.health().unarchived_files, [] as [String; 0]);
}

const IN_ROOT: &str = "hbase/data/default/t/f39a688dd117a795ba32e5609f267c24";

#[test]
fn a_region_reads_with_few_handles() {
    const FILES: usize = 40;
    for path in [IN_ROOT, "alone"] {
        let (storage, handles) = (FaultyStorage::new(), FileHandles::with_capacity(6));
        let options = || {
            let cache = BlockCache::with_capacity(1 << 20);
            Region::options().storage(Arc::new(storage.clone())).file_handles(&handles).cache(&cache)
        };
        create(options(), Path::new(path), FILES);
        storage.take_most_handles();
        read_and_compact(options(), Path::new(path), FILES);
        // Files outside a root are removed after a compaction: a view that reads them keeps them open.
        let most = storage.take_most_handles();
        if path == IN_ROOT {
            assert!(most <= handles.capacity() + 2, "{most}");
        }
        assert_eq!((storage.open_handles(), handles.open_handles()), (0, 0));
    }
}

#[test]
fn regions_share_handles() {
    let (storage, handles) = (FaultyStorage::new(), FileHandles::with_capacity(5));
    let options = || Region::options().storage(Arc::new(storage.clone())).file_handles(&handles);
    let regions: Vec<Region> = (0..4)
        .map(|i| {
            let path = format!("region-{i}");
            create(options(), Path::new(&path), 10);
            options().open(&path).unwrap()
        })
        .collect();
    for _ in 0..2 {
        regions.iter().for_each(|region| assert_eq!(scan(&region.view(), &Scan::new()), expected(10)));
    }
    assert_eq!(handles.open_handles(), 5);
    // One more for a writer.
    assert!(storage.take_most_handles() <= 5 + 1);
    drop(regions);
    assert_eq!((storage.open_handles(), handles.open_handles()), (0, 0));
}

/// Opens a region under an HBase root in a process that may have 64 files open.
#[cfg(unix)]
mod limited {
    use super::support::no_sync::NoSync;
    use super::*;
    use std::env;
    use std::process::Command;

    const FILES: usize = 200;

    #[test]
    #[ignore = "run by the test below, in a process of its own"]
    fn child() {
        let Some(dir) = env::var_os("HREGION_OPEN_FILES_DIR") else { return };
        let path = Path::new(&dir).join(IN_ROOT);
        let cache = BlockCache::with_capacity(1 << 20);
        read_and_compact(Region::options().cache(&cache), &path, FILES);
        assert!(FileHandles::global().capacity() <= 64 / 4);
    }

    #[test]
    fn two_hundred_files_are_read_and_compacted_with_64_handles() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(IN_ROOT);
        create(Region::options().storage(Arc::new(NoSync::default())), &path, FILES);
        let done = Command::new("sh")
            .args(["-c", "ulimit -n 64; exec \"$0\" --exact limited::child --include-ignored --nocapture"])
            .arg(env::current_exe().unwrap())
            .env("HREGION_OPEN_FILES_DIR", dir.path())
            .output()
            .unwrap();
        let said = [done.stdout, done.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
        assert!(done.status.success() && said[0].contains("1 passed"), "{said:?}");
    }
}

/// Where open files are read by their path, as in HDFS, a compaction must not break reads of the files that
/// it moves and removes.
#[test]
fn compactions_leave_reads_by_path_alone() {
    const ROWS: usize = 400;
    for path in ["alone", IN_ROOT] {
        let (storage, handles) = (FaultyStorage::new(), FileHandles::with_capacity(3));
        storage.read_by_path();
        let options = || {
            let options = Region::options().storage(Arc::new(storage.clone())).file_handles(&handles);
            options.clock(Arc::new(ManualClock::new(1000))).compaction_enabled(false)
        };
        let family = Family::new("f").block_size(1000);
        let region = options().create_if_missing(true).table("t").family(family).open(path).unwrap();
        let write = |value: &str| {
            for i in 0..ROWS {
                region.put(Put::new(row(i)).cell("f", "q", value.repeat(200))).unwrap();
            }
            region.flush().unwrap();
        };
        write("1");
        write("2");
        let view = region.view();
        // Opened as by another process: the files are found in the archive.
        let reader = options().open(path).unwrap();
        let mut scans = vec![region.scan(Scan::new()).unwrap()];
        if path == IN_ROOT {
            scans.push(reader.scan(Scan::new()).unwrap());
        }
        let mut read = vec![0; scans.len()];
        let is_old = |row: &hregion::Row| row.value("f", "q").unwrap().starts_with(b"2");
        for round in 0..8 {
            for (rows, read) in scans.iter_mut().zip(&mut read) {
                *read += rows.take(ROWS / 10).map(Result::unwrap).filter(is_old).count();
            }
            assert!(is_old(&view.get(&Get::new(row(17 * round))).unwrap()));
            region.compact(Compaction::Major).unwrap();
            assert_eq!(region.health().unarchived_files, [] as [String; 0]);
            write("3");
        }
        for (rows, read) in scans.iter_mut().zip(&mut read) {
            *read += rows.map(Result::unwrap).filter(is_old).count();
        }
        assert_eq!(read, vec![ROWS; read.len()]);
        let aside =
            || storage.names().iter().filter(|name| name.to_str().unwrap().contains(".tmp/f/")).count();
        assert_eq!(aside(), if path == IN_ROOT { 0 } else { 2 });
        drop((scans, view));
        region.compact(Compaction::Major).unwrap();
        assert_eq!(aside(), 0);
        region.close().unwrap();
    }
}
