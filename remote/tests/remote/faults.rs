//! A misbehaving server: reads return right answers or errors, within the deadline.

use crate::fake_s3::{FakeS3, Manner};
use crate::support::{ROWS, bucket, options, region_path, storage, store_file, value};
use hregion::{Region, Result, Scan, Storage as _};
use hregion_remote::RemoteStorage;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const ALL: [Manner; 19] = [
    Manner::Hangs,
    Manner::Fails(500),
    Manner::Fails(503),
    Manner::Fails(429),
    Manner::Fails(403),
    Manner::Cuts,
    Manner::Halves,
    Manner::WrongRange,
    Manner::IgnoresRange,
    Manner::IgnoresMatch,
    Manner::NoVersion,
    Manner::Drips,
    Manner::Redirects,
    Manner::RedirectsAway,
    Manner::Endless,
    Manner::EndlessError,
    Manner::CutPage,
    Manner::RepeatsPage,
    Manner::ErrorPage,
];

/// Reads all rows, and fails if one is wrong or missing.
fn read_all(storage: &RemoteStorage) -> Result<()> {
    let region = Region::options().storage(Arc::new(storage.clone())).open(region_path())?;
    let mut rows = 0;
    for row in region.scan(Scan::new())? {
        assert_eq!(row?.cells().next().unwrap().value(), value(rows).as_bytes());
        rows += 1;
    }
    assert_eq!(rows, ROWS);
    Ok(())
}

#[test]
fn each_request_is_answered_badly_in_turn() {
    let server = bucket();
    let storage = storage(&server);
    server.take_asked();
    read_all(&storage).unwrap();
    let requests = server.take_asked().0.len();
    let mut failed = 0;
    for manner in ALL {
        for at in 0..requests.min(9) {
            let good = std::iter::repeat_n(Manner::Good, at);
            server.behave(good.chain([manner]));
            let started = Instant::now();
            if let Err(error) = read_all(&storage) {
                failed += 1;
                assert!(!error.to_string().contains("s3cret"), "{error}");
                assert!(error.to_string().contains("s3://bucket/region"), "{error}");
            }
            assert!(started.elapsed() < Duration::from_secs(30), "{manner:?}");
            server.behave([]);
        }
    }
    assert!(failed > 10, "{failed}");
    read_all(&storage).unwrap();
}

#[test]
fn what_passes_is_retried() {
    let server = bucket();
    let storage = storage(&server);
    for manner in [Manner::Fails(500), Manner::Fails(503), Manner::Cuts] {
        server.behave([Manner::Good, Manner::Good, manner, Manner::Good, manner, manner]);
        read_all(&storage).unwrap();
    }
}

#[test]
fn a_request_is_sent_again_after_any_pauses() {
    let server = FakeS3::start();
    server.put("file", vec![1; 1000]);
    let (none, short) = (Duration::ZERO, Duration::from_millis(1));
    for (first, max) in [(none, none), (none, short), (5 * short, short)] {
        let storage = options(&server).backoff(first, max).build().unwrap();
        server.behave([Manner::Fails(500); 3]);
        assert_eq!(storage.open(Path::new("s3://bucket/file")).unwrap().len(), 1000);
    }
}

fn error_of(server: &FakeS3, manner: Manner, read: impl Fn(&RemoteStorage) -> io::Error) -> io::Error {
    let storage = options(server).deadline(Duration::from_secs(2)).build().unwrap();
    server.behave(std::iter::repeat_n(manner, 100));
    let started = Instant::now();
    let error = read(&storage);
    assert!(started.elapsed() < Duration::from_secs(10), "{manner:?}");
    assert!(!error.to_string().contains("s3cret"), "{error}");
    server.behave([]);
    error
}

#[test]
fn what_stays_is_an_error_of_its_own() {
    let server = bucket();
    let path = format!("s3://bucket/{}", store_file(&storage(&server)));
    let open = |storage: &RemoteStorage| storage.open(Path::new(&path)).unwrap_err();
    let list = |storage: &RemoteStorage| storage.list_dir(region_path()).unwrap_err();
    assert_eq!(error_of(&server, Manner::Fails(404), open).kind(), io::ErrorKind::NotFound);
    assert_eq!(error_of(&server, Manner::Fails(403), open).kind(), io::ErrorKind::PermissionDenied);
    for manner in [Manner::Throttles, Manner::Fails(429)] {
        let error = error_of(&server, manner, open);
        assert_eq!(error.kind(), io::ErrorKind::ResourceBusy, "{error}");
        assert!(error.to_string().contains("the server throttles requests"), "{error}");
    }
    for manner in [Manner::Hangs, Manner::Drips] {
        assert_eq!(error_of(&server, manner, open).kind(), io::ErrorKind::TimedOut, "{manner:?}");
    }
    let error = error_of(&server, Manner::Redirects, open);
    assert!(error.to_string().contains("too many redirects"), "{error}");
    let error = error_of(&server, Manner::RedirectsAway, open);
    assert!(error.to_string().contains("link-local"), "{error}");
    for manner in [Manner::Fails(500), Manner::Halves, Manner::WrongRange, Manner::IgnoresRange] {
        error_of(&server, manner, open);
    }
    for manner in
        [Manner::CutPage, Manner::RepeatsPage, Manner::ErrorPage, Manner::Halves, Manner::Fails(503)]
    {
        error_of(&server, manner, list);
    }
    server.take_asked();
    for manner in [Manner::Endless, Manner::EndlessError] {
        error_of(&server, manner, open);
        error_of(&server, manner, list);
    }
    let (_, sent) = server.take_asked();
    assert!(sent < 512 << 20, "{sent} bytes");
}

#[test]
fn a_page_that_is_an_error_does_not_end_a_listing() {
    let server = bucket();
    server.put("region/f/other", vec![1]);
    server.page(1);
    let (storage, family) = (storage(&server), region_path().join("f"));
    let whole = storage.list_dir(&family).unwrap();
    assert!(whole.len() > 1, "{whole:?}");
    server.behave([Manner::Good, Manner::ErrorPage]);
    storage.list_dir(&family).unwrap_err();
    server.behave([Manner::ErrorPage]);
    storage.is_dir(&family).unwrap_err();
    assert_eq!(storage.list_dir(&family).unwrap(), whole);
}

#[test]
fn an_empty_page_does_not_end_a_listing() {
    let server = bucket();
    let (storage, family) = (storage(&server), region_path().join("f"));
    let whole = storage.list_dir(&family).unwrap();
    server.behave([Manner::EmptyPage]);
    assert_eq!(storage.list_dir(&family).unwrap(), whole);
    server.behave([Manner::EmptyPage]);
    assert!(storage.is_dir(&family).unwrap());
    server.behave([Manner::EmptyPage]);
    assert!(!storage.is_dir(&region_path().join("none")).unwrap());
    server.behave([Manner::EmptyPage, Manner::EmptyPage]);
    storage.is_dir(&family).unwrap_err();
}

#[test]
fn an_empty_token_ends_a_listing() {
    let server = bucket();
    let (storage, family) = (storage(&server), region_path().join("f"));
    let whole = storage.list_dir(&family).unwrap();
    server.take_asked();
    server.behave([Manner::EmptyToken]);
    assert_eq!(storage.list_dir(&family).unwrap(), whole);
    assert_eq!(server.take_asked().0.len(), 1);
    server.behave([Manner::EmptyToken]);
    assert!(!storage.is_dir(&region_path().join("none")).unwrap());
}

/// The session token and the key of an encryption are in headers that HTTP clients do not treat as
/// credentials.
#[test]
fn requests_with_credentials_stay_on_their_host() {
    let (server, other) = (FakeS3::start(), FakeS3::start());
    server.put("file", vec![1; 1000]);
    other.put("file", vec![2; 1000]);
    let storage = options(&server).setting("aws_session_token", "t0ken").build().unwrap();
    let path = Path::new("s3://bucket/file");
    server.behave(std::iter::repeat_n(Manner::RedirectsTo(other.port()), 100));
    let errors = [
        storage.open(path).unwrap_err(),
        storage.list_dir(Path::new("s3://bucket")).unwrap_err(),
        storage.status(path).unwrap_err(),
    ];
    for error in errors {
        assert!(error.to_string().contains("another host"), "{error}");
        assert!(!error.to_string().contains("t0ken"), "{error}");
    }
    assert!(other.take_asked().0.is_empty());
    server.behave([Manner::Redirects]);
    assert_eq!(storage.open(path).unwrap().len(), 1000);
}

#[test]
fn a_replaced_file_is_an_error_and_never_a_mixture() {
    let server = bucket();
    let storage = storage(&server);
    server.put("file", vec![1; 1 << 20]);
    let file = storage.open(Path::new("s3://bucket/file")).unwrap();
    let mut buf = vec![0; 1000];
    file.read_exact_at(&mut buf, 0).unwrap();
    server.put("file", vec![2; 1 << 20]);
    for manner in [Manner::Good, Manner::IgnoresMatch] {
        server.behave([manner]);
        let error = file.read_exact_at(&mut buf, 300_000).unwrap_err();
        assert!(error.to_string().contains("was replaced"), "{manner:?} {error}");
    }
    let error = file.read_exact_at(&mut buf, 500_000).unwrap_err();
    assert!(error.to_string().contains("was replaced"), "{error}");
    server.remove("file");
    let error = file.read_exact_at(&mut buf, 500_000).unwrap_err();
    assert!(error.to_string().contains("was removed"), "{error}");
}

#[test]
fn a_file_replaced_during_a_scan_ends_it_with_an_error() {
    let server = bucket();
    let storage = storage(&server);
    for block in [0, 1, 10, 100] {
        server.put("file", vec![1; 1 << 20]);
        let file = storage.open(Path::new("s3://bucket/file")).unwrap();
        let mut failed = false;
        for at in 0..200 {
            if at == block {
                server.put("file", vec![2; 1 << 20]);
            }
            let mut buf = vec![0; 5000];
            match file.read_exact_at(&mut buf, at * 5000) {
                // Bytes that were requested ahead are from the opened version.
                Ok(()) => assert_eq!(buf, vec![1; 5000]),
                Err(error) => {
                    assert!(error.to_string().contains("was replaced"), "{error}");
                    failed = true;
                }
            }
        }
        assert!(failed, "{block}");
    }
}

#[test]
fn a_request_that_fails_does_not_hide_what_follows() {
    let server = bucket();
    let storage = options(&server).retries(0).build().unwrap();
    server.put("file", vec![1; 1 << 20]);
    let file = storage.open(Path::new("s3://bucket/file")).unwrap();
    server.behave([Manner::Fails(500)]);
    let mut buf = vec![0; 1000];
    file.read_exact_at(&mut buf, 0).unwrap_err();
    file.read_exact_at(&mut buf, 0).unwrap();
    assert_eq!(buf, vec![1; 1000]);
}
