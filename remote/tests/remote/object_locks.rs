//! Locks of regions in a bucket: how they are taken, lost and released.

use crate::fake_s3::{FakeS3, Manner};
use crate::history::{expect_locked, put, rows};
use crate::locks::{LOCK, Place};
use crate::object_writes::{client, client_with, dir, open_in};
use hregion::{ErrorKind, Storage as _};
use hregion_remote::RemoteOptions;
use std::io;
use std::iter::repeat_n;
use std::time::Duration;

/// If the request that releases a lock is refused, the lock stays held, and `Region::close` returns the
/// error.
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

/// Calls `test` with a new bucket.
fn in_a_bucket(test: impl FnOnce(&Place<'_>)) {
    let server = FakeS3::start();
    let root = dir().parent().unwrap().to_owned();
    test(&Place { root, client: &|| client(&server), open: open_in });
}

/// The deadline ends the release while it waits for its repetition.
#[test]
fn a_lock_whose_release_took_too_long_can_be_taken_again() {
    let (server, lock, long) = (FakeS3::start(), dir().join(LOCK), Duration::from_secs(60));
    let slow = |options: RemoteOptions| options.backoff(long, long).deadline(Duration::from_secs(2));
    let storage = client_with(&server, slow);
    let held = storage.lock(&lock).unwrap();
    server.behave([Manner::Fails(403)]);
    assert_eq!(held.release().unwrap_err().kind(), io::ErrorKind::TimedOut);
    assert_eq!(client(&server).lock(&lock).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    storage.lock(&lock).unwrap().release().unwrap();
}

#[test]
fn a_second_writer_is_refused_and_a_lost_lock_ends_all_changes() {
    in_a_bucket(|place| {
        place.lose_the_lock(|second| {
            let error = open_in(second.clone(), dir()).unwrap_err().to_string();
            assert!(error.contains("the removal of the object frees it: "), "{error}");
            assert!(error.ends_with("/.hregion.lock"), "{error}");
        });
    });
}

#[test]
fn the_release_of_a_lock_above_fails_no_change() {
    in_a_bucket(|place| place.release_the_lock_above(200, |n| place.root.join(format!("file{}", n % 2))));
}

#[test]
fn the_loss_of_a_lock_above_leaves_those_below() {
    in_a_bucket(|place| place.lose_the_lock_above());
}

#[test]
fn a_region_that_lost_its_lock_keeps_its_storage_from_locking_again() {
    in_a_bucket(|place| place.lock_again_after_a_loss());
}
