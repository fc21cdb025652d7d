//! Requests for a region in a bucket that fail, get no answer, or are carried out late.

use crate::fake_s3::{FakeS3, Manner};
use crate::history::{Attempt, Rows, put, read_file, rows, spread, turns};
use crate::locks::LOCK;
use crate::object_writes::{client, client_with, dir, open_in, read_in};
use crate::support::{held_at, patient};
use hregion::{Compaction, Delete, Storage as _};
use hregion_remote::RemoteOptions;
use std::io;
use std::iter::repeat_n;
use std::time::Duration;

/// Creates a region with a file and a log in a new bucket.
fn prepare() -> (FakeS3, Attempt) {
    let server = FakeS3::start();
    let (region, attempt) = Attempt::begin(open_in(client(&server), dir()));
    region.abort().unwrap();
    (server, attempt)
}

/// Opens the region like another process after the death of the writer, and checks its rows.
fn check(server: &FakeS3, attempt: Attempt, context: &str) {
    let after = client(server);
    after.end_writing(&dir().join(LOCK)).unwrap_or_else(|error| panic!("{context}: {error}"));
    let region = open_in(after, dir()).unwrap_or_else(|error| panic!("{context}: {error}"));
    attempt.check(&rows(&region), context);
    region.put(put("z", "after")).unwrap();
    region.compact(Compaction::Major).unwrap();
    let before = rows(&region);
    region.close().unwrap();
    let again = rows(&read_in(client(server)).unwrap());
    assert_eq!((&again["z"], &again), (&"after".to_owned(), &before), "{context}");
}

/// Behaviours without an answer, or with a wrong one, for all requests or some.
const BAD: [Manner; 11] = [
    Manner::Fails(503),
    Manner::FailsAfter(500),
    Manner::Drops,
    Manner::DropsAfter,
    Manner::Fails(429),
    Manner::Hangs,
    Manner::HangsAfter,
    Manner::Cuts,
    Manner::Halves,
    Manner::WrongRange,
    Manner::ErrorPage,
];

/// As [`prepare`], with the number of requests that change the region.
fn prepare_and_count() -> (FakeS3, Attempt, u64) {
    let (before, unchanged) = prepare();
    let server = before.copy();
    unchanged.clone().run(open_in(client(&server), dir())).unwrap();
    let requests = server.take_asked().0.len() as u64;
    (before, unchanged, requests)
}

/// Makes some requests fail in one of the ways, each with the following ones up to `count`, while a copy of
/// the region is changed; then checks it. Returns how many changes failed.
fn fail_some(
    (before, unchanged, requests): &(FakeS3, Attempt, u64),
    (way, manner): (usize, Manner),
    count: usize,
    options: impl Fn(RemoteOptions) -> RemoteOptions,
) -> u32 {
    let mut failures = 0;
    for at in spread((way, BAD.len()), 2, *requests) {
        let (server, mut attempt) = (before.copy(), unchanged.clone());
        let good = usize::try_from(at).unwrap() - 1;
        server.behave(repeat_n(Manner::Good, good).chain(repeat_n(manner, count)));
        let result = attempt.run(open_in(client_with(&server, &options), dir()));
        server.behave([]);
        failures += u32::from(result.is_err());
        let asked = server.take_asked().0;
        check(&server, attempt, &format!("request {at}, {manner:?}, {result:?}, {:?}", asked.get(good)));
    }
    failures
}

#[test]
fn requests_fail_once_and_nothing_is_lost() {
    let patient = |options: RemoteOptions| options.request_timeout(Duration::from_millis(200));
    let before = prepare_and_count();
    for (way, manner) in BAD.into_iter().enumerate() {
        let failures = fail_some(&before, (way, manner), 1, patient);
        println!("{} requests, {manner:?}, {failures} failures", before.2);
    }
}

/// As many requests fail as are repeated, so that the caller gets errors, and does not know which changes
/// took effect.
#[test]
fn all_requests_fail_for_some_time_and_there_is_the_old_state_or_the_new_one() {
    let impatient = |options: RemoteOptions| options.retries(1).request_timeout(Duration::from_millis(60));
    let before = prepare_and_count();
    let ways = BAD.into_iter().enumerate();
    let failures: u32 = ways.map(|way| fail_some(&before, way, 30, impatient)).sum();
    assert!(failures > 10, "{failures}");
}

#[test]
fn a_writer_is_killed_at_each_request() {
    let (before, unchanged) = prepare();
    for is_made in [false, true] {
        for at in turns(if is_made { 3 } else { 1 }, 29) {
            let (server, mut attempt) = (before.copy(), unchanged.clone());
            server.die_at(at, is_made);
            let result = attempt.run(open_in(client(&server), dir()));
            let is_over = !server.revive();
            let context = format!("request {at}, made: {is_made}, {result:?}");
            check(&server, attempt, &context);
            if is_over {
                println!("{at} requests, made: {is_made}");
                break;
            }
        }
    }
}

/// Each request that checks whether the store supports conditions may get no answer.
#[test]
fn whether_a_store_has_conditional_puts_is_asked_again() {
    for at in 0..5 {
        let server = FakeS3::start();
        let storage =
            client_with(&server, |options| options.retries(2).request_timeout(Duration::from_millis(200)));
        server.behave(repeat_n(Manner::Good, at).chain([Manner::Hangs]));
        let created = storage.create(&dir().join("file"));
        assert!(created.is_ok(), "{at}: {:?}", created.err());
        assert!(server.take_asked().0.len() > 5, "{at}");
    }
}

/// A client follows such a redirect with a read, whose answer is a success.
#[test]
fn the_answer_to_a_read_is_not_taken_for_that_of_a_change() {
    let server = FakeS3::start();
    let (storage, path) = (client(&server), dir().join("log"));
    let mut log = storage.create_log(&path).unwrap();
    log.append(b"a", 1).unwrap();
    server.behave([Manner::RedirectsToRead]);
    log.append(b"b", 1).unwrap();
    assert_eq!(read_file(&*storage, &path), b"ab");
    // The first request looks up the object.
    server.behave([Manner::Good, Manner::RedirectsToRead]);
    storage.remove(&path).unwrap();
    assert!(server.keys().is_empty(), "{:?}", server.keys());
}

/// The server has not carried it out, and no other one has got it.
#[test]
fn a_change_that_is_redirected_is_in_no_doubt() {
    let (server, other) = (FakeS3::start(), FakeS3::start());
    let (storage, path) = (client(&server), dir().join("log"));
    let mut log = storage.create_log(&path).unwrap();
    log.append(b"a", 1).unwrap();
    server.behave(repeat_n(Manner::RedirectsTo(other.port()), 100));
    let error = log.append(b"b", 1).unwrap_err();
    assert!(error.to_string().contains("307 Temporary Redirect"), "{error}");
    assert!(log.is_unchanged());
    storage.remove(&path).unwrap_err();
    server.behave([]);
    log.append(b"c", 1).unwrap();
    assert_eq!(read_file(&*storage, &path), b"ac");
    assert!(other.take_asked().0.is_empty());
}

#[test]
fn a_request_whose_bytes_came_too_slowly_is_sent_again() {
    let server = FakeS3::start();
    let (storage, path) = (client(&server), dir().join("log"));
    let mut log = storage.create_log(&path).unwrap();
    log.append(b"a", 1).unwrap();
    server.behave([Manner::TimesOut]);
    log.append(b"b", 1).unwrap();
    assert_eq!(read_file(&*storage, &path), b"ab");
    // An invalid request is not repeated.
    server.behave([Manner::Fails(400)]);
    log.append(b"c", 1).unwrap_err();
    assert_eq!(read_file(&*storage, &path), b"ab");
}

/// Only writes whose log a store refuses fail.
#[test]
fn a_region_goes_on_after_its_log_was_refused() {
    let server = FakeS3::start();
    let region = open_in(client(&server), dir()).unwrap();
    let mut expected = Rows::new();
    let refusals = [Manner::Fails(403), Manner::Fails(400), Manner::Fails(429), Manner::Throttles];
    for (number, manner) in refusals.into_iter().enumerate() {
        let (kept, refused) = (format!("{number}"), format!("{number}-refused"));
        region.put(put(&kept, "1")).unwrap();
        server.behave(repeat_n(manner, 100));
        region.put(put(&refused, "1")).unwrap_err();
        server.behave([]);
        expected.insert(kept, "1".to_owned());
        assert!(region.health().is_healthy(), "{:?}", region.health());
        assert_eq!(rows(&region), expected, "{manner:?}");
    }
    region.put(put("last", "1")).unwrap();
    expected.insert("last".to_owned(), "1".to_owned());
    assert_eq!(rows(&read_in(client(&server)).unwrap()), expected);
    region.close().unwrap();
    assert_eq!(rows(&read_in(client(&server)).unwrap()), expected);
}

/// The deadline ends the lookup after a refusal: nothing can be carried out later.
#[test]
fn a_change_that_was_refused_is_in_no_doubt() {
    let server = FakeS3::start();
    let slow = |options: RemoteOptions| options.request_timeout(Duration::from_secs(60));
    let storage = client_with(&server, |options| slow(options).deadline(Duration::from_secs(2)));
    let mut log = storage.create_log(&dir().join("log")).unwrap();
    log.append(b"a", 1).unwrap();
    server.behave([Manner::Fails(429), Manner::Hangs]);
    assert_eq!(log.append(b"b", 1).unwrap_err().kind(), io::ErrorKind::TimedOut);
    // This sends no request.
    storage.create_dir_all(dir()).unwrap();
    assert_eq!(read_file(&*storage, &dir().join("log")), b"a");
}

/// A storage that makes no more changes, because a write had no answer, still releases its lock.
#[test]
fn a_region_whose_write_had_no_answer_is_opened_again() {
    let impatient = |options: RemoteOptions| options.retries(1).request_timeout(Duration::from_millis(200));
    for manner in [Manner::Hangs, Manner::HangsAfter] {
        loop {
            let (server, mut attempt) = prepare();
            let storage = client_with(&server, impatient);
            let region = open_in(storage.clone(), dir()).unwrap();
            attempt.write(&region, "c", Some("1")).unwrap();
            server.behave(repeat_n(manner, 100));
            attempt.write(&region, "d", Some("1")).unwrap_err();
            server.behave([]);
            // This sends no request.
            let is_in_doubt = storage.create_dir_all(dir()).is_err();
            drop(region);
            let region = open_in(client(&server), dir()).unwrap();
            attempt.check(&rows(&region), &format!("{manner:?}"));
            region.put(put("e", "1")).unwrap();
            region.close().unwrap();
            // Otherwise the check of the lock had no answer, and the write was not sent.
            if is_in_doubt {
                break;
            }
        }
    }
}

/// A writer is stopped at each request, loses its lock, and continues when another has changed the region:
/// its request is carried out late.
#[test]
fn a_writer_that_was_taken_for_dead_goes_on() {
    let (begun, unchanged) = prepare();
    for at in turns(2, 23) {
        let (server, mut attempt) = (begun.copy(), unchanged.clone());
        let storage = client_with(&server, patient);
        let writer = held_at(&server, at, move || {
            let result = attempt.run(open_in(storage, dir()));
            (attempt, result)
        });
        if writer.is_finished() {
            let (attempt, result) = writer.join().unwrap();
            result.unwrap();
            check(&server, attempt, "not stopped");
            println!("{at} requests");
            break;
        }
        server.behave([]);
        let other = client(&server);
        other.end_writing(&dir().join(LOCK)).unwrap();
        let region = open_in(other.clone(), dir()).unwrap();
        let before = rows(&region);
        region.put(put("c", "other")).unwrap();
        region.flush().unwrap();
        region.delete(Delete::new("b")).unwrap();
        region.put(put("d", "other")).unwrap();
        // The request is carried out while the other has the region open.
        server.release();
        let (attempt, result) = writer.join().unwrap();
        let context = format!("request {at}, {result:?}");
        let found = rows(&region);
        attempt.check(&before, &context);
        assert!(!found.contains_key("b") && found["c"] == "other" && found["d"] == "other", "{context}");
        // It may have to be opened again, but no acknowledged write is lost.
        let flushed = region.flush();
        drop(region);
        other.end_writing(&dir().join(LOCK)).unwrap();
        let region = open_in(client(&server), dir()).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!(rows(&region), found, "{context}, {flushed:?}");
        region.compact(Compaction::Major).unwrap();
        assert_eq!(rows(&region), found, "{context}, {flushed:?}");
        region.close().unwrap();
    }
}
