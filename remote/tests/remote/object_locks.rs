//! Locks of regions in a bucket: how they are taken, lost and freed.

use crate::fake_s3::{FakeS3, Manner};
use crate::history::{Rows, expect_locked, put, rows};
use crate::object_writes::{LOCK, client, dir, open_in, read_in};
use hregion::{Compaction, Durability, ErrorKind, Storage as _};
use std::io;
use std::iter::repeat_n;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

/// If the request that frees a lock is refused, the lock stays held for others, and `Region::close` returns
/// the error.
#[test]
fn a_lock_that_could_not_be_freed_is_named_and_can_be_taken_again() {
    let server = FakeS3::start();
    let (first, second) = (client(&server), client(&server));
    let region = open_in(first.clone(), dir()).unwrap();
    region.put(put("a", "1")).unwrap();
    region.close().unwrap();
    let region = open_in(first.clone(), dir()).unwrap();
    server.behave(repeat_n(Manner::Fails(403), 100));
    let error = region.close().unwrap_err();
    server.behave([]);
    assert!(error.to_string().contains("the removal of the object frees it: r/.hregion.lock"), "{error}");
    assert_eq!(region.put(put("b", "1")).unwrap_err().kind(), ErrorKind::Closed);
    region.close().unwrap();
    expect_locked(open_in(second.clone(), dir()));
    let region = open_in(first, dir()).unwrap();
    assert_eq!(rows(&region).len(), 1);
    region.close().unwrap();
    open_in(second, dir()).unwrap().close().unwrap();
}

#[test]
fn a_second_writer_is_refused_and_a_lost_lock_ends_all_changes() {
    let server = FakeS3::start();
    let (first, second) = (client(&server), client(&server));
    let region = open_in(first.clone(), dir()).unwrap();
    region.put(put("a", "1")).unwrap();
    expect_locked(open_in(first.clone(), dir()));
    let error = open_in(second.clone(), dir()).unwrap_err();
    assert!(error.to_string().contains("the removal of the object frees it: "), "{error}");
    assert!(error.to_string().ends_with("/.hregion.lock"), "{error}");
    region.flush().unwrap();
    region.put(put("b", "2")).unwrap();
    region.put(put("c", "unlogged").durability(Durability::SkipWal)).unwrap();

    // As if the first had died, although it has not.
    second.end_writing(Path::new(LOCK)).unwrap();
    let other = open_in(second.clone(), dir()).unwrap();
    let both = Rows::from([("a".into(), "1".into()), ("b".into(), "2".into())]);
    assert_eq!(rows(&other), both);
    region.put(put("d", "lost")).unwrap_err();
    region.flush().unwrap_err();
    drop(region);
    assert!(first.create_new(&dir().join("f/name")).is_err());
    other.put(put("e", "3")).unwrap();
    other.flush().unwrap();
    other.close().unwrap();
    let expected = [("a", "1"), ("b", "2"), ("e", "3")].map(|(row, value)| (row.into(), value.into()));
    assert_eq!(rows(&read_in(second).unwrap()), Rows::from(expected));
    open_in(first, dir()).unwrap().close().unwrap();
}

/// Locks of a directory above are taken and released while a region is written.
#[test]
fn the_release_of_a_lock_above_fails_no_change() {
    let server = FakeS3::start();
    let (storage, root) = (client(&server), dir().parent().unwrap());
    let region = open_in(storage.clone(), dir()).unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                drop(storage.lock(&root.join(".hregion.lock")).unwrap());
            }
        });
        let changed = (0..200).try_for_each(|n| {
            let name = root.join(format!("file{}", n % 2));
            storage.create_new(&name)?.sync()?;
            storage.remove(&name)?;
            region.put(put("a", &n.to_string())).map_err(io::Error::other)
        });
        is_done.store(true, Ordering::Relaxed);
        changed.unwrap();
    });
    region.put(put("b", "1")).unwrap();
    region.close().unwrap();
}

/// As if this process had been stopped while it had the lock of a directory above.
#[test]
fn the_loss_of_a_lock_above_leaves_those_below() {
    let server = FakeS3::start();
    let (first, second, root) = (client(&server), client(&server), dir().parent().unwrap());
    let region = open_in(first.clone(), dir()).unwrap();
    let lock = root.join(".hregion.lock");
    let above = first.lock(&lock).unwrap();
    second.end_writing(&lock).unwrap();
    let create = || first.create_new(&root.join("file"))?.sync();
    create().unwrap_err();
    region.put(put("a", "1")).unwrap();
    region.flush().unwrap();
    drop(above);
    create().unwrap_err();
    region.put(put("b", "2")).unwrap();
    region.compact(Compaction::Major).unwrap();
    drop(first.lock(&lock).unwrap());
    create().unwrap();
    region.close().unwrap();
}

/// A region whose lock was lost must not change files under the lock that the same storage takes later.
#[test]
fn a_region_that_lost_its_lock_keeps_its_storage_from_locking_again() {
    let server = FakeS3::start();
    let (first, second) = (client(&server), client(&server));
    let stale = open_in(first.clone(), dir()).unwrap();
    stale.put(put("a", "1")).unwrap();
    stale.flush().unwrap();
    second.end_writing(Path::new(LOCK)).unwrap();
    let other = open_in(second, dir()).unwrap();
    other.put(put("b", "2")).unwrap();
    other.close().unwrap();
    expect_locked(open_in(first.clone(), dir()));
    stale.compact(Compaction::Major).unwrap_err();
    drop(stale);
    let region = open_in(first, dir()).unwrap();
    assert_eq!(rows(&region).len(), 2);
    region.put(put("c", "3")).unwrap();
    region.close().unwrap();
}
