//! Locks in HDFS: how they are lost, changes carried out late without them, and lost answers.

use crate::cut_proxy::{Cut, CutProxy};
use crate::hdfs::two_name_nodes;
use crate::hdfs_writes::{base, client, fresh, open_in, read_in};
use crate::history::{read_file, write_file};
use crate::locks::{LOCK, Place};
use hregion::Storage as _;
use hregion_remote::{RemoteOptions, RemoteStorage};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// A new directory with a region.
fn place(name: &str) -> Place<'static> {
    Place { root: fresh(name), client: &client, open: open_in }
}

#[test]
#[ignore = "needs a server"]
fn a_second_writer_is_refused_and_a_lost_lock_ends_all_changes() {
    let place = place("second");
    // The end of an open log cannot be read: a reader must not miss rows.
    place.lose_the_lock(|second| assert!(read_in(second.clone(), &place.region()).is_err()));
}

#[test]
#[ignore = "needs a server"]
fn the_release_of_a_lock_above_fails_no_change() {
    let place = place("released");
    place.release_the_lock_above(300, |n| place.region().join(format!("f/.{n}")));
}

#[test]
#[ignore = "needs a server"]
fn the_loss_of_a_lock_above_leaves_those_below() {
    place("above").lose_the_lock_above();
}

#[test]
#[ignore = "needs a server"]
fn a_region_that_lost_its_lock_keeps_its_storage_from_locking_again() {
    place("stale").lock_again_after_a_loss();
}

/// Calls a storage that has a lock; the request with the given number, from 1 on, is carried out after
/// another process has taken the lock. Returns the error of the call.
fn late(
    name: &str,
    request: u64,
    prepare: impl Fn(&RemoteStorage, &Path),
    call: impl FnOnce(&RemoteStorage, &Path) -> io::Result<()> + Send + 'static,
) -> (PathBuf, io::Error) {
    let host = base().strip_prefix("hdfs://").unwrap().to_owned();
    let (dir, storage, other) = (fresh(name), client(), client());
    other.create_dir_all(&dir).unwrap();
    prepare(&other, &dir);
    let proxy = CutProxy::start(&host, Cut::Late, u64::MAX / 4);
    let through = PathBuf::from(dir.to_str().unwrap().replace(&host, &proxy.address()));
    let lost = storage.lock(&through.join(LOCK)).unwrap();
    proxy.cut_at(request);
    let caller = Arc::clone(&storage);
    let called = std::thread::spawn(move || call(&caller, &through));
    while !proxy.has_cut() {
        assert!(!called.is_finished());
        std::thread::sleep(Duration::from_millis(1));
    }
    other.end_writing(&dir.join(LOCK)).unwrap();
    let lock = other.lock(&dir.join(LOCK)).unwrap();
    proxy.release();
    let error = called.join().unwrap().unwrap_err();
    drop((lost, lock));
    (dir, error)
}

/// The request to create a log is carried out when another process has the lock, and has listed the logs:
/// entries appended to it would be acknowledged, but not found.
#[test]
#[ignore = "needs a server"]
fn a_log_that_is_created_late_is_not_written_to() {
    // The first request checks the lock.
    let create = |storage: &RemoteStorage, dir: &Path| storage.create_log(&dir.join("log")).map(drop);
    let (_, error) = late("late-log", 2, |_, _| {}, create);
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
}

/// The other process has listed the files.
#[test]
#[ignore = "needs a server"]
fn a_file_that_is_renamed_late_is_not_said_to_be_renamed() {
    let prepare = |other: &RemoteStorage, dir: &Path| write_file(other, &dir.join("a"), b"bytes");
    // The file is looked up, and the lock is checked for both names.
    let rename = |storage: &RemoteStorage, dir: &Path| storage.rename(&dir.join("a"), &dir.join("b"));
    let (dir, error) = late("late-rename", 4, prepare, rename);
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{error}");
    assert_eq!(read_file(&*client(), &dir.join("b")), b"bytes");
}

/// The connection is closed at the request that follows the sync of a log by the data nodes: the content of
/// the log is uncertain.
#[test]
#[ignore = "needs a server"]
fn a_log_goes_on_after_a_sync_without_an_answer() {
    let host = base().strip_prefix("hdfs://").unwrap().to_owned();
    for cut in [Cut::Request, Cut::Answer] {
        let (dir, other) = (fresh("synced"), client());
        other.create_dir_all(&dir).unwrap();
        let proxy = CutProxy::start(&host, cut, u64::MAX / 4);
        let through = PathBuf::from(dir.to_str().unwrap().replace(&host, &proxy.address()));
        let storage = RemoteOptions::default().deadline(Duration::from_secs(20)).build().unwrap();
        let lock = storage.lock(&through.join(LOCK)).unwrap();
        let mut log = storage.create_log(&through.join("log")).unwrap();
        log.append(b"first", 5).unwrap();
        proxy.cut_at(1);
        log.append(b" second", 7).unwrap();
        assert!(proxy.has_cut(), "{cut:?}");
        log.append(b" third", 6).unwrap();
        // Not if the lock is lost.
        other.end_writing(&dir.join(LOCK)).unwrap();
        let next = other.lock(&dir.join(LOCK)).unwrap();
        proxy.cut_at(1);
        let error = log.append(b" fourth", 7).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{cut:?} {error}");
        log.append(b" fifth", 6).unwrap_err();
        other.end_writing(&dir.join("log")).unwrap();
        let found = read_file(&*other, &dir.join("log"));
        assert!([&b"first second third"[..], b"first second third fourth"].contains(&&*found), "{found:?}");
        drop((lock, next));
    }
}

/// The log continues under the same lock.
#[test]
#[ignore = "needs a server"]
fn a_log_goes_on_with_another_name_node() {
    let host = base().strip_prefix("hdfs://").unwrap().to_owned();
    let (dir, other) = (fresh("goes-over"), client());
    other.create_dir_all(&dir).unwrap();
    let proxy = CutProxy::start(&host, Cut::Silent, u64::MAX / 4);
    let through = PathBuf::from(dir.to_str().unwrap().replace(&host, "ns"));
    let options = two_name_nodes([&proxy.address(), &host]).deadline(Duration::from_secs(24));
    let storage = options.build().unwrap();
    let lock = storage.lock(&through.join(LOCK)).unwrap();
    let mut log = storage.create_log(&through.join("log")).unwrap();
    log.append(b"first", 5).unwrap();
    proxy.cut_at(1);
    log.append(b" second", 7).unwrap();
    assert!(proxy.has_cut());
    log.append(b" third", 6).unwrap();
    write_file(&storage, &through.join("a"), b"bytes");
    storage.rename(&through.join("a"), &through.join("b")).unwrap();
    lock.check().unwrap();
    assert_eq!(other.lock(&dir.join(LOCK)).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop((log, lock));
    assert_eq!(read_file(&*other, &dir.join("log")), b"first second third");
    assert_eq!(read_file(&*other, &dir.join("b")), b"bytes");
    drop(other.lock(&dir.join(LOCK)).unwrap());
}

/// The connection is closed at each part that a client sends while it locks and releases: its open files must
/// then be closed. The client continues to run.
#[test]
#[ignore = "needs a server"]
fn a_lock_is_free_after_a_lost_answer() {
    let host = base().strip_prefix("hdfs://").unwrap().to_owned();
    for cut in [Cut::Request, Cut::Answer] {
        for at in 1.. {
            let (dir, other) = (fresh("lost-answers"), client());
            other.create_dir_all(&dir).unwrap();
            let proxy = CutProxy::start(&host, cut, at);
            let through =
                |path: PathBuf| PathBuf::from(path.to_str().unwrap().replace(&host, &proxy.address()));
            let storage = RemoteOptions::default().deadline(Duration::from_secs(8)).build().unwrap();
            let locked = storage.lock(&through(dir.join(LOCK))).map(drop);
            let (context, since) = (format!("part {at}, {cut:?}, {locked:?}"), Instant::now());
            let lock = loop {
                match other.lock(&dir.join(LOCK)) {
                    Ok(lock) => break lock,
                    Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock, "{context}: {error}"),
                }
                assert!(since.elapsed() < Duration::from_secs(20), "{context}");
                std::thread::sleep(Duration::from_millis(300));
            };
            drop(lock);
            locked.unwrap_or_else(|error| panic!("{context}: {error}"));
            drop(storage.lock(&through(dir.join(LOCK))).unwrap());
            if !proxy.has_cut() {
                println!("{at} parts, {cut:?}");
                break;
            }
        }
    }
}
