//! A bucket with a region, and a storage that reads it.

use crate::fake_s3::{FakeS3, Manner};
use hregion::{Durability, Family, Put, Region};
use hregion_remote::{RemoteOptions, RemoteStorage};
use std::io::{Read as _, Write as _};
use std::iter::repeat_n;
use std::net::TcpStream;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::Duration;
use tempfile::TempDir;

pub(crate) const ROWS: usize = 40_000;

/// Returns a row's key.
pub(crate) fn key(row: usize) -> String {
    format!("row{row:06}")
}

/// Returns a row's value, which does not compress well.
pub(crate) fn value(row: usize) -> String {
    let mut state = row as u64 + 1;
    let mut text = String::new();
    for _ in 0..6 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        text += &format!("{:016x}", state ^ (state >> 29));
    }
    text
}

/// Starts a server with a region of one store file at `bucket/region`, of about 5 MB.
pub(crate) fn bucket() -> FakeS3 {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let options = Region::options().create_if_missing(true).family(Family::new("f"));
    let region = options.open(&path).unwrap();
    let puts = (0..ROWS)
        .map(|row| Put::new(key(row)).cell_at("f", "q", 7, value(row)).durability(Durability::SkipWal));
    puts.for_each(|put| region.put(put).unwrap());
    region.flush().unwrap();
    region.close().unwrap();
    let server = FakeS3::start();
    server.upload("region", &path);
    server
}

pub(crate) fn options(server: &FakeS3) -> RemoteOptions {
    options_at(server.endpoint())
}

pub(crate) fn options_at(endpoint: String) -> RemoteOptions {
    RemoteOptions::default()
        .setting("aws_endpoint", endpoint)
        .setting("aws_allow_http", "true")
        // Parsing the certificates takes longer than most requests, and no server here uses one.
        .setting("aws_disable_system_certificates", "true")
        .setting("aws_region", "us-east-1")
        .setting("aws_access_key_id", "key")
        .setting("aws_secret_access_key", "s3cret")
        .backoff(Duration::from_millis(1), Duration::from_millis(5))
        .request_timeout(Duration::from_millis(500))
        .deadline(Duration::from_secs(5))
        .retries(3)
}

/// Returns a directory for a copy of a bucket that is written to. If possible, it is in memory, where writes
/// do not wait for a disk.
pub(crate) fn local_dir() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// Options of a client that waits for an answer for the duration of a test.
pub(crate) fn patient(options: RemoteOptions) -> RemoteOptions {
    options.request_timeout(Duration::from_secs(60)).deadline(Duration::from_secs(60))
}

/// Runs a change in a thread, and waits until its request with a number, from 1 on, is held, or the change
/// has ended.
pub(crate) fn held_at<T: Send + 'static>(
    server: &FakeS3,
    request: u64,
    change: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    let good = usize::try_from(request).unwrap() - 1;
    server.behave(repeat_n(Manner::Good, good).chain([Manner::Waits]));
    let running = thread::spawn(change);
    while !server.has_waiting() && !running.is_finished() {
        thread::sleep(Duration::from_millis(1));
    }
    running
}

/// Creates a bucket in moto's server. Returns the endpoint of the server, `HREGION_MOTO`.
pub(crate) fn moto(bucket: &str) -> String {
    let endpoint = std::env::var("HREGION_MOTO").expect("the endpoint of a server of moto");
    let host = endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(host).unwrap();
    let request =
        format!("PUT /{bucket} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    endpoint
}

pub(crate) fn storage(server: &FakeS3) -> RemoteStorage {
    options(server).build().unwrap()
}

pub(crate) fn region_path() -> &'static Path {
    Path::new("s3://bucket/region")
}

/// Returns the key of the region's store file.
pub(crate) fn store_file(storage: &RemoteStorage) -> String {
    use hregion::Storage as _;
    let entries = storage.list_dir(&region_path().join("f")).unwrap();
    let names: Vec<_> = entries.iter().map(|entry| entry.name.to_str().unwrap()).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    format!("region/f/{}", names[0])
}
