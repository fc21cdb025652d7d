//! Files of a web server are read like those of a bucket, without credentials and listings.

use crate::fake_s3::{FakeS3, Manner};
use crate::support::{ROWS, bucket, storage, store_file};
use hregion::{HFile, Region, Scan, Storage as _};
use hregion_remote::{RemoteOptions, RemoteStorage};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

fn web() -> RemoteStorage {
    let quick = RemoteOptions::default().backoff(Duration::from_millis(1), Duration::from_millis(5));
    quick.request_timeout(Duration::from_millis(500)).retries(2).build().unwrap()
}

fn url(server: &FakeS3, key: &str) -> PathBuf {
    PathBuf::from(format!("{}/bucket/{key}", server.endpoint()))
}

#[test]
fn an_hfile_is_opened_by_one_request() {
    let server = bucket();
    let path = url(&server, &store_file(&storage(&server)));
    let storage = web();
    server.take_asked();
    let reader = storage.open(&path).unwrap();
    let file = HFile::options().open_reader(reader).unwrap();
    let (asked, sent) = server.take_asked();
    assert_eq!(asked.len(), 1, "{asked:#?}");
    assert_eq!((storage.stats().requests, storage.stats().bytes), (1, sent));
    let (mut scanner, mut cells) = (file.scanner(), 1);
    assert!(scanner.seek_to_first().unwrap());
    while scanner.advance().unwrap() {
        cells += 1;
    }
    assert_eq!(cells, ROWS);
    assert_eq!(storage.stats().requests, 1 + server.take_asked().0.len() as u64);
}

/// Most web servers list no directories.
#[test]
fn an_hfile_is_read_as_a_region_by_its_name_alone() {
    let server = bucket();
    let path = url(&server, &store_file(&storage(&server)));
    let options = || Region::options().storage(Arc::new(web()));
    let view = options().open_files([&path]).unwrap().view();
    assert_eq!(view.scan(&Scan::new()).unwrap().map(Result::unwrap).count(), ROWS);
    for missing in ["region/f/0", "region/g/0"] {
        assert!(options().open_files([url(&server, missing)]).unwrap_err().is_not_found(), "{missing}");
    }
    // A server that refuses the listing of its files may have some.
    server.take_asked();
    server.behave([Manner::Fails(403)]);
    let error = options().open_files([&path]).unwrap_err();
    let (asked, _) = server.take_asked();
    assert!(asked[0].starts_with("PROPFIND ") && error.to_string().contains("denies access"), "{error}");
}

/// Its listing has only the directory itself.
#[test]
fn an_empty_directory_of_webdav_exists() {
    let (server, storage) = (FakeS3::start(), web());
    server.put("dir/file", vec![1; 10]);
    server.put("dir/below/file", vec![1; 10]);
    server.put("empty/", Vec::new());
    let at = |key: &str| url(&server, key);
    server.behave([Manner::ListsDirectories; 6]);
    let entries = storage.list_dir(&at("dir")).unwrap();
    let names: Vec<_> = entries.iter().map(|entry| (entry.name.to_str().unwrap(), entry.is_dir)).collect();
    assert_eq!(names, [("below", true), ("file", false)]);
    assert!(storage.list_dir(&at("empty")).unwrap().is_empty());
    assert!(storage.is_dir(&at("empty")).unwrap() && !storage.is_dir(&at("dir/file")).unwrap());
    for other in ["dir/file", "none"] {
        assert_eq!(storage.list_dir(&at(other)).unwrap_err().kind(), io::ErrorKind::NotFound, "{other}");
    }
}

/// Most servers with WebDAV refuse reads of directories, or return pages about them.
#[test]
fn a_directory_that_cannot_be_read_is_listed() {
    let (server, storage) = (FakeS3::start(), web());
    server.put("dir", vec![1; 5]);
    server.put("dir/file", vec![1; 10]);
    let status = |key: &str, manners: &[Manner]| {
        server.behave(manners.iter().copied());
        storage.status(&url(&server, key)).map(|found| found.map(|entry| (entry.is_dir, entry.len)))
    };
    for manner in [Manner::Fails(403), Manner::NoVersion] {
        assert_eq!(
            status("dir", &[manner, Manner::ListsDirectories]).unwrap(),
            Some((true, 0)),
            "{manner:?}"
        );
    }
    server.take_asked();
    assert_eq!(status("dir/file", &[]).unwrap(), Some((false, 10)));
    assert_eq!(server.take_asked().0.len(), 1);
    assert_eq!(status("dir/file", &[Manner::NoVersion]).unwrap(), Some((false, 10)));
    assert_eq!(status("none", &[]).unwrap(), None);
    for refused in [&[Manner::Fails(403)][..], &[Manner::Good, Manner::Fails(403)]] {
        assert!(status("none", refused).unwrap_err().to_string().contains("denies access"), "{refused:?}");
    }
}

#[test]
fn redirects_are_followed_and_counted() {
    let server = FakeS3::start();
    server.put("file", vec![7; 1000]);
    let storage = web();
    server.behave([Manner::Redirects, Manner::Redirects]);
    assert_eq!(storage.open(&url(&server, "file")).unwrap().len(), 1000);
    assert_eq!(storage.stats().requests, 3);
    server.behave([Manner::RedirectsAway]);
    let error = storage.open(&url(&server, "file")).unwrap_err();
    assert!(error.to_string().contains("link-local"), "{error}");
    assert_eq!(storage.stats().requests, 4);
    // without credentials, to another host
    let other = FakeS3::start();
    other.put("file", vec![7; 2000]);
    server.behave([Manner::RedirectsTo(other.port())]);
    assert_eq!(storage.open(&url(&server, "file")).unwrap().len(), 2000);
    assert_eq!(storage.stats().requests, 6);
}

#[test]
fn versions_are_distinguished_or_the_file_is_refused() {
    let server = FakeS3::start();
    server.put("file", vec![1; 300_000]);
    let storage = web();
    let path = url(&server, "file");
    server.behave([Manner::NoVersion]);
    let error = storage.open(&path).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
    // a server that refuses ranges from the end gets a request for the length first
    server.behave([Manner::Fails(416), Manner::NoVersion, Manner::NoVersion]);
    let error = storage.open(&path).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
    server.behave([Manner::Fails(416)]);
    assert_eq!(storage.open(&path).unwrap().len(), 300_000);
    server.behave([]);
    let file = storage.open(&path).unwrap();
    server.put("file", vec![2; 300_000]);
    let mut buf = vec![0; 1000];
    for manner in [Manner::Good, Manner::IgnoresMatch, Manner::NoVersion, Manner::IgnoresRange] {
        server.behave([manner]);
        file.read_exact_at(&mut buf, 5).unwrap_err();
    }
    server.remove("file");
    let error = file.read_exact_at(&mut buf, 5).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(storage.open(&path).unwrap_err().kind(), io::ErrorKind::NotFound);
}

/// Handles that a limit has closed are opened again by the identity of the file.
#[test]
fn a_short_file_without_a_version_is_identified_by_its_bytes() {
    let (server, storage) = (FakeS3::start(), web());
    let identity = |byte: u8| {
        server.put("file", vec![byte; 1000]);
        server.behave([Manner::NoVersion]);
        storage.open(&url(&server, "file")).unwrap().identity().unwrap()
    };
    let first = identity(1);
    assert_ne!(identity(2), first);
    assert_eq!(identity(1), first);
}

/// Servers in Go ignore the range of an empty file, and others each range that is counted from the end.
#[test]
fn a_file_is_opened_although_the_range_of_its_end_is_ignored() {
    let server = FakeS3::start();
    server.put("empty", Vec::new());
    server.put("file", vec![1; 300_000]);
    let storage = web();
    for (name, len) in [("empty", 0), ("file", 300_000)] {
        server.behave([Manner::IgnoresRange]);
        assert_eq!(storage.open(&url(&server, name)).unwrap().len(), len, "{name}");
    }
    // A server that ignores all ranges is not read.
    server.behave([Manner::IgnoresRange; 5]);
    let error = storage.open(&url(&server, "file")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
}

#[test]
fn a_server_that_misbehaves_gives_errors() {
    let server = FakeS3::start();
    server.put("file", vec![1; 300_000]);
    let file = web().open(&url(&server, "file")).unwrap();
    let mut buf = vec![0; 1000];
    for manner in [
        Manner::Fails(500),
        Manner::Fails(429),
        Manner::Halves,
        Manner::WrongRange,
        Manner::IgnoresRange,
        Manner::Cuts,
        Manner::Drips,
        Manner::Endless,
        Manner::EndlessError,
    ] {
        server.behave(std::iter::repeat_n(manner, 50));
        assert!(file.read_exact_at(&mut buf, 5).is_err(), "{manner:?}");
    }
    server.behave([]);
    file.read_exact_at(&mut buf, 5).unwrap();
    assert_eq!(buf, vec![1; 1000]);
}
