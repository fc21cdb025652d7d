//! Objects of a bucket that are uploaded in parts.

use crate::fake_s3::{Conditions, FakeS3, Manner};
use crate::history::{read_file, write_file};
use crate::object_writes::{client_with, dir};
use crate::support::{held_at, patient};
use hregion::Storage as _;
use hregion_remote::{RemoteOptions, RemoteStorage};
use std::io;
use std::iter::repeat_n;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

#[test]
fn large_files_are_uploaded_in_parts() {
    const PART: usize = 100_000;
    let server = FakeS3::start();
    let storage = client_with(&server, |options| options.upload_part_bytes(PART));
    let path = dir().join("large");
    let bytes: Vec<u8> = (0..3_500_000_u32).map(|n| n.to_be_bytes()[2] ^ n.to_be_bytes()[3]).collect();
    let write = |path: &Path| {
        let mut file = storage.create_new(path).unwrap();
        for part in bytes.chunks(70_001) {
            file.write_all(part)?;
        }
        file.sync()?;
        file.write_all(b"more").map(|()| panic!("it is complete")).or(Ok(()))
    };
    for (number, manners) in [
        vec![],
        vec![Manner::Good, Manner::Good, Manner::Fails(500), Manner::Cuts],
        repeat_n(Manner::Good, 20).chain([Manner::FailsAfter(500), Manner::Fails(503)]).collect(),
        repeat_n(Manner::Good, 38).chain([Manner::FailsAfter(500)]).collect(),
        repeat_n(Manner::Good, 39).chain([Manner::FailsAfter(500)]).collect(),
        repeat_n(Manner::Good, 39).chain([Manner::DropsAfter]).collect(),
        // Parts whose bytes arrive too slowly.
        repeat_n(Manner::Good, 10).chain([Manner::TimesOut, Manner::TimesOut]).collect(),
    ]
    .into_iter()
    .enumerate()
    {
        let path = dir().join(format!("large{number}"));
        server.behave(manners);
        write(&path).unwrap_or_else(|error: io::Error| panic!("{number}: {error}"));
        server.behave([]);
        let file = storage.open(&path).unwrap();
        let mut read = vec![0; bytes.len()];
        file.read_exact_at(&mut read, 0).unwrap();
        assert!(read == bytes);
    }
    assert_eq!(server.largest_body(), PART as u64);
    assert_eq!(server.uploads(), 0);
    // An object whose upload fails does not appear.
    server.behave(repeat_n(Manner::Good, 10).chain(repeat_n(Manner::Fails(500), 4)));
    write(&path).unwrap_err();
    server.behave([]);
    assert!(storage.open(&path).is_err());
    expect_no_uploads(&server);
    // Nor does one whose parts the store has discarded. The error is not that the file is missing.
    server.behave(repeat_n(Manner::Good, 10).chain([Manner::Fails(404)]));
    let error = write(&path).unwrap_err();
    server.behave([]);
    assert_eq!(error.kind(), io::ErrorKind::Other, "{error}");
    assert!(error.to_string().contains("has given up the upload"), "{error}");
    // An upload is aborted when it is dropped.
    let mut file = storage.create_new(&path).unwrap();
    file.write_all(&bytes).unwrap();
    assert!(server.uploads() > 0);
    drop(file);
    expect_no_uploads(&server);
    assert!(storage.open(&path).is_err());
}

/// The process may end after that.
#[test]
fn an_upload_is_given_up_before_its_storage_is_dropped() {
    let server = FakeS3::start();
    let storage = client_with(&server, |options| options.upload_part_bytes(10_000));
    let mut file = storage.create_new(&dir().join("large")).unwrap();
    file.write_all(&[b'p'; 50_000]).unwrap();
    assert_eq!(server.uploads(), 1);
    drop((file, storage));
    assert_eq!(server.uploads(), 0);
}

/// A completion that fails leaves the existing object, and the error names the cause; a completion that was
/// carried out succeeds, whatever its answer.
#[test]
fn the_completion_of_an_upload_fails_with_its_first_cause() {
    let server = FakeS3::start();
    let storage = client_with(&server, |options| options.upload_part_bytes(10_000));
    let path = dir().join("large");
    let write = |byte: u8| {
        let mut file = storage.create(&path)?;
        file.write_all(&[byte; 50_000])?;
        file.sync()
    };
    let read = || read_file(&*storage, &path);
    write(b'a').unwrap();
    server.take_asked();
    write(b'b').unwrap();
    let (asked, _) = server.take_asked();
    let is_completion = |asked: &String| asked.starts_with("POST") && asked.contains("uploadId");
    let before = asked.iter().position(is_completion).unwrap();
    // Including the repetitions of the request.
    let sent = 4;
    for (status, byte) in [(500, b'c'), (503, b'd'), (403, b'e')] {
        let refused = repeat_n(Manner::Fails(status), if status == 403 { 1 } else { sent });
        server.behave(repeat_n(Manner::Good, before).chain(refused));
        let error = write(byte).unwrap_err();
        let text = error.to_string();
        let cause = if status == 403 { "denies access".to_owned() } else { status.to_string() };
        assert!(text.contains(&cause) && !text.contains("Missing"), "{status}: {text}");
        // The process may end after that.
        assert_eq!(server.uploads(), 0, "{status}");
        assert!(read() == [b'b'; 50_000], "{status}");
    }
    // Nor does the answer of the lookup replace the cause.
    let failed = repeat_n(Manner::Fails(500), sent).chain(repeat_n(Manner::Fails(502), 3 * sent));
    server.behave(repeat_n(Manner::Good, before).chain(failed));
    let text = write(b'f').unwrap_err().to_string();
    server.behave([]);
    assert!(text.contains("500"), "{text}");
    assert!(read() == [b'b'; 50_000]);
    expect_no_uploads(&server);
    for (number, carried_out) in [Manner::FailsAfter(500), Manner::DropsAfter].into_iter().enumerate() {
        let byte = b'g' + u8::try_from(number).unwrap();
        // The repetitions get no answer either.
        let lost = [carried_out].into_iter().chain(repeat_n(Manner::Fails(500), sent - 1));
        server.behave(repeat_n(Manner::Good, before).chain(lost));
        write(byte).unwrap();
        server.behave([]);
        assert!(read() == [byte; 50_000], "{carried_out:?}");
    }
    write(b'z').unwrap();
    assert!(read() == [b'z'; 50_000]);
    assert_eq!(server.uploads(), 0);
}

/// Writes a file that is uploaded in parts of 10,000 bytes.
fn write_parts(storage: &RemoteStorage, path: &Path, is_new: bool) -> io::Result<()> {
    let mut file = if is_new { storage.create_new(path)? } else { storage.create(path)? };
    file.write_all(&[b'p'; 50_000])?;
    file.sync()
}

/// Returns the number of requests that [`write_parts`] sends before it completes an upload.
fn requests_before_completion(server: &FakeS3, storage: &RemoteStorage) -> usize {
    // The first call also checks which conditions the store supports.
    write_parts(storage, &dir().join("first"), true).unwrap();
    server.take_asked();
    write_parts(storage, &dir().join("second"), true).unwrap();
    let is_completion = |asked: &String| asked.starts_with("POST") && asked.contains("uploadId");
    server.take_asked().0.iter().position(is_completion).unwrap()
}

/// An object that another process creates under the same name before an upload is completed stays.
#[test]
fn the_completion_of_an_upload_replaces_no_object_of_others() {
    for is_new in [true, false] {
        let server = FakeS3::start();
        let storage = client_with(&server, |options| patient(options).upload_part_bytes(10_000));
        let path = dir().join("large");
        let before = requests_before_completion(&server, &storage);
        if !is_new {
            write_file(&*storage, &path, b"before");
        }
        let (writer, of_writer) = (Arc::clone(&storage), path.clone());
        let write = move || write_parts(&writer, &of_writer, is_new);
        let running = held_at(&server, before as u64 + 1, write);
        server.put("r/large", b"other".to_vec());
        server.release();
        let error = running.join().unwrap().unwrap_err();
        let kind = if is_new { io::ErrorKind::AlreadyExists } else { io::ErrorKind::Other };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(is_new || error.to_string().contains("changed by another process"), "{error}");
        assert_eq!(read_file(&*storage, &path), b"other");
        expect_no_uploads(&server);
    }
}

/// A store may need more time to create an object of many parts than a request may take.
#[test]
fn the_completion_of_an_upload_may_take_longer_than_a_request() {
    let server = FakeS3::start();
    let slow = |options: RemoteOptions| {
        let options = options.upload_part_bytes(10_000).retries(0).deadline(Duration::from_secs(60));
        let pauses = (Duration::from_millis(1), Duration::from_millis(500));
        options.request_timeout(Duration::from_secs(1)).backoff(pauses.0, pauses.1)
    };
    let storage = client_with(&server, slow);
    let before = requests_before_completion(&server, &storage);
    let path = dir().join("large");
    let (writer, of_writer) = (Arc::clone(&storage), path.clone());
    let running = held_at(&server, before as u64 + 1, move || write_parts(&writer, &of_writer, true));
    server.take_asked();
    // It looks up the object.
    while server.take_asked().0.is_empty() && !running.is_finished() {
        std::thread::sleep(Duration::from_millis(1));
    }
    server.release();
    running.join().unwrap().unwrap();
    assert!(read_file(&*storage, &path) == [b'p'; 50_000]);
}

/// A concurrent request for the object (409) is reported as such, not as an existing object.
#[test]
fn a_conflict_with_the_completion_of_an_upload_is_named() {
    let server = FakeS3::start();
    let storage = client_with(&server, |options| options.upload_part_bytes(10_000));
    let before = requests_before_completion(&server, &storage);
    server.behave(repeat_n(Manner::Good, before).chain([Manner::Fails(409)]));
    let error = write_parts(&storage, &dir().join("large"), true).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Other, "{error}");
    assert!(error.to_string().contains("changed by another process"), "{error}");
    expect_no_uploads(&server);
}

#[test]
fn uploads_are_completed_in_stores_that_know_conditions_of_puts_only() {
    let server = FakeS3::start();
    server.set_conditions(Conditions::OfPuts);
    let storage = client_with(&server, |options| options.upload_part_bytes(10_000));
    let path = dir().join("large");
    write_parts(&storage, &path, true).unwrap();
    write_parts(&storage, &path, false).unwrap();
    assert!(read_file(&*storage, &path) == [b'p'; 50_000]);
    let error = write_parts(&storage, &path, true).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
    assert_eq!(server.uploads(), 0);
}

/// Waits until no upload remains.
fn expect_no_uploads(server: &FakeS3) {
    let since = Instant::now();
    while server.uploads() > 0 {
        assert!(since.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
}
