//! A table in a bucket of a server in this process, and its failing requests.

use crate::fake_s3::{FakeS3, Manner};
use crate::history::{Attempt, spread};
use crate::support::options as remote_options;
use crate::trackers::with_list;
use hregion::{Family, FileHandles, Region, RegionOptions, Result, Storage as _, Table};
use hregion_remote::{RemoteOptions, RemoteStorage};
use std::collections::BTreeSet;
use std::iter::repeat_n;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The root directory of the table.
pub(crate) const ROOT: &str = "s3://bucket/root";

/// The beginning of the keys of the table's objects.
pub(crate) const TABLE: &str = "root/data/default/t/";

/// Behaviours without a correct answer.
const BAD: [Manner; 6] = [
    Manner::Fails(503),
    Manner::FailsAfter(500),
    Manner::DropsAfter,
    Manner::HangsAfter,
    Manner::Hangs,
    Manner::Cuts,
];

pub(crate) fn client_with(
    server: &FakeS3,
    change: impl FnOnce(RemoteOptions) -> RemoteOptions,
) -> Arc<RemoteStorage> {
    Arc::new(change(remote_options(server)).build().unwrap())
}

pub(crate) fn client(server: &FakeS3) -> Arc<RemoteStorage> {
    client_with(server, |options| options)
}

/// Options as for a separate process.
pub(crate) fn options(storage: Arc<RemoteStorage>) -> RegionOptions {
    let handles = FileHandles::with_capacity(100);
    Region::options().storage(storage).file_handles(&handles).compaction_enabled(false)
}

/// Creates a table with rows in files and in logs.
pub(crate) fn prepare(storage: Arc<RemoteStorage>, root: &str, splits: &[&str]) -> Attempt {
    let mut attempt = Attempt::default();
    let families = [Family::new("f"), Family::new("g")].map(with_list);
    let table = Table::create_with(root, "t", &families, splits, options(storage)).unwrap();
    for (row, value) in [("a", "1"), ("x", "1"), ("b", "1"), ("b", "2"), ("y", "2")] {
        write(&mut attempt, &table, row, value).unwrap();
        if value == "1" {
            table.flush().unwrap();
        }
    }
    for region in table.regions() {
        table.region(region.start_key()).unwrap().abort().unwrap();
    }
    attempt
}

/// The same in a new bucket, with all locks free. Each case of a test takes a [copy](FakeS3::copy): creating
/// a table for each would take longer than the test.
pub(crate) fn prepared(splits: &[&str]) -> (FakeS3, Attempt) {
    let server = FakeS3::start();
    let attempt = prepare(client(&server), ROOT, splits);
    free_locks(&server);
    (server, attempt)
}

pub(crate) fn write(attempt: &mut Attempt, table: &Table, row: &str, value: &str) -> Result<()> {
    attempt.write(&table.region(row)?, row, Some(value))
}

/// The names in the table's directory, except the descriptor's.
pub(crate) fn names(server: &FakeS3) -> BTreeSet<String> {
    let below = |key: &String| Some(key.strip_prefix(TABLE)?.split('/').next()?.to_owned());
    server.keys().iter().filter_map(below).filter(|name| name != ".tabledesc").collect()
}

/// Releases all locks, as for dead processes.
pub(crate) fn free_locks(server: &FakeS3) {
    let client = client(server);
    for key in server.keys().iter().filter(|key| key.ends_with(".hregion.lock")) {
        client.end_writing(Path::new(&format!("s3://bucket/{key}"))).unwrap();
    }
}

/// Returns cases of failing requests: the number of a bad answer, the request that gets it, the answer, and
/// how many consecutive requests get it: one, or as many as are repeated, so that the caller gets errors.
/// `requests` returns, by the number of the answer, how many requests a run sends, of which `each` fail in
/// each way.
pub(crate) fn failing(each: u64, requests: impl Fn(usize) -> u64) -> Vec<(usize, u64, Manner, usize)> {
    let ways = BAD.into_iter().enumerate().flat_map(|turn| [(turn, 1), (turn, 20)]);
    let cases = ways.enumerate().flat_map(|(way, ((number, manner), count))| {
        let failing = spread((way, 2 * BAD.len()), each, requests(number));
        failing.map(move |at| (number, at, manner, count))
    });
    cases.collect()
}

/// Returns the number of requests that a server has received.
pub(crate) fn requests(server: &FakeS3) -> u64 {
    server.take_asked().0.len() as u64
}

/// Runs a change in which `count` requests fail, starting with a given one, counted from 1. Returns its
/// result, and that request.
pub(crate) fn fail_at(
    server: &FakeS3,
    request: u64,
    manner: Manner,
    count: usize,
    change: impl FnOnce(Arc<RemoteStorage>) -> Result<()>,
) -> (Result<()>, Option<String>) {
    server.take_asked();
    let good = usize::try_from(request).unwrap() - 1;
    server.behave(repeat_n(Manner::Good, good).chain(repeat_n(manner, count)));
    let impatient = |options: RemoteOptions| options.retries(1).request_timeout(Duration::from_millis(60));
    let result = change(client_with(server, impatient));
    server.behave([]);
    (result, server.take_asked().0.into_iter().nth(good))
}
