//! Calls and requests for a region in HDFS that fail, or whose answers are lost.

use crate::cut_proxy::{Cut, CutProxy};
use crate::hdfs_writes::{base, client, fresh, open_in, read_in};
use crate::history::{Attempt, put, rows, turns};
use crate::locks::LOCK;
use hregion::io::{FileWriter, LogFile, ScratchFile};
use hregion::{DirEntry, FileLock, FileReader, Storage};
use hregion_remote::{RemoteOptions, RemoteStorage};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A storage whose nth call fails before it takes effect, or after, as if the answer were lost.
#[derive(Debug)]
struct FailsOnce {
    inner: Arc<RemoteStorage>,
    left: Arc<AtomicU64>,
    is_made: bool,
}

impl FailsOnce {
    fn call<T>(&self, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        once(&self.left, self.is_made, call)
    }
}

fn once<T>(left: &AtomicU64, is_made: bool, call: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    if left.fetch_sub(1, Ordering::Relaxed) != 1 {
        return call();
    }
    if is_made {
        call()?;
    }
    Err(io::Error::other("an injected fault"))
}

#[derive(Debug)]
struct FailsOnceFile<F: ?Sized> {
    left: Arc<AtomicU64>,
    is_made: bool,
    inner: Box<F>,
}

impl FileWriter for FailsOnceFile<dyn FileWriter> {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.inner.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        once(&self.left, self.is_made, || self.inner.sync())
    }
}

impl LogFile for FailsOnceFile<dyn LogFile> {
    fn path(&self) -> &Path {
        self.inner.path()
    }

    fn append(&mut self, bytes: &[u8], kept: usize) -> io::Result<()> {
        once(&self.left, self.is_made, || self.inner.append(bytes, kept))
    }

    fn truncate(&mut self, len: u64) -> io::Result<()> {
        self.inner.truncate(len)
    }

    fn can_overwrite(&self) -> bool {
        self.inner.can_overwrite()
    }

    fn max_len(&self) -> u64 {
        self.inner.max_len()
    }

    fn sync(&mut self) -> io::Result<()> {
        once(&self.left, self.is_made, || self.inner.sync())
    }
}

impl Storage for FailsOnce {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        self.call(|| self.inner.open(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        let inner = self.call(|| self.inner.create(path))?;
        Ok(Box::new(FailsOnceFile { left: Arc::clone(&self.left), is_made: self.is_made, inner }))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        let inner = self.call(|| self.inner.create_new(path))?;
        Ok(Box::new(FailsOnceFile { left: Arc::clone(&self.left), is_made: self.is_made, inner }))
    }

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let inner = self.call(|| self.inner.create_log(path))?;
        Ok(Box::new(FailsOnceFile { left: Arc::clone(&self.left), is_made: self.is_made, inner }))
    }

    fn create_scratch(&self, path: &Path, len: u64) -> io::Result<Arc<dyn ScratchFile>> {
        self.inner.create_scratch(path, len)
    }

    fn can_rename(&self, path: &Path) -> bool {
        self.inner.can_rename(path)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        self.inner.hard_link(original, link)
    }

    fn full_path(&self, path: &Path, follow_links: bool) -> io::Result<PathBuf> {
        self.inner.full_path(path, follow_links)
    }

    fn can_hide_writes(&self, path: &Path) -> bool {
        self.inner.can_hide_writes(path)
    }

    fn can_read_removed(&self) -> bool {
        self.inner.can_read_removed()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|| self.inner.rename(from, to))
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(|| self.inner.rename_new(from, to))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(|| self.inner.remove(path))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.call(|| self.inner.remove_dir(path))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.call(|| self.inner.sync_file(path))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.call(|| self.inner.sync_dir(path))
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.call(|| self.inner.list_dir(path))
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.call(|| self.inner.create_dir_all(path))
    }

    fn end_writing(&self, path: &Path) -> io::Result<()> {
        self.call(|| self.inner.end_writing(path))
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        self.call(|| self.inner.lock(path))
    }
}

/// Creates a region with two files and a log that was left open.
fn prepare(name: &str) -> (PathBuf, Attempt) {
    let dir = fresh(name);
    let (region, attempt) = Attempt::begin(open_in(client(), &dir));
    region.close().unwrap();
    (dir, attempt)
}

#[test]
#[ignore = "needs a server"]
fn calls_fail_in_turn_and_the_region_is_the_old_or_the_new_one() {
    let storage = client();
    let mut failures = [0_u32; 2];
    for is_made in [false, true] {
        for at in turns(if is_made { 5 } else { 2 }, 6) {
            let (dir, mut attempt) = prepare("calls-fail");
            let left = Arc::new(AtomicU64::new(at));
            let failing = FailsOnce { inner: storage.clone(), left: Arc::clone(&left), is_made };
            let result = attempt.run(open_in(Arc::new(failing), &dir));
            failures[usize::from(is_made)] += u32::from(result.is_err());
            let context = format!("call {at}, made: {is_made}, {result:?}");
            if result.is_ok() {
                // Some failures are not returned to the caller, such as a failure to archive.
                assert!(attempt.in_doubt.is_none());
            }
            let region = open_in(client(), &dir).unwrap_or_else(|error| panic!("{context}: {error}"));
            attempt.check(&rows(&region), &context);
            region.put(put("z", "after")).unwrap();
            region.close().unwrap();
            assert_eq!(rows(&read_in(client(), &dir).unwrap())["z"], "after", "{context}");
            if left.load(Ordering::Relaxed) <= u64::MAX / 2 && left.load(Ordering::Relaxed) > 0 {
                println!("{at} calls, made: {is_made}");
                break;
            }
        }
    }
    assert!(failures.iter().all(|failures| *failures > 5), "{failures:?}");
}

/// The requests to the name node go through a proxy, which closes the connection at the nth: before the name
/// node receives it, or before its answer is forwarded.
#[test]
#[ignore = "needs a server"]
fn requests_lose_their_connection_in_turn() {
    let host = base().strip_prefix("hdfs://").unwrap().to_owned();
    let mut failures = 0;
    for cut in [Cut::Request, Cut::Answer] {
        for at in turns(if cut == Cut::Request { 4 } else { 9 }, 10) {
            let (dir, mut attempt) = prepare("connections");
            let proxy = CutProxy::start(&host, cut, at);
            let url = dir.to_str().unwrap().replace(&host, &proxy.address());
            let storage: Arc<dyn Storage> =
                Arc::new(RemoteOptions::default().deadline(Duration::from_secs(8)).build().unwrap());
            let started = Instant::now();
            let result = attempt.run(open_in(storage, Path::new(&url)));
            assert!(started.elapsed() < Duration::from_secs(60));
            failures += u32::from(result.is_err());
            let context = format!("request {at}, {cut:?}, {result:?}");
            let was_cut = proxy.has_cut();
            drop(proxy);
            let after = client();
            // The locks of the client that has lost its connections are released as for a dead process.
            if let Err(error) = after.end_writing(&dir.join(LOCK)) {
                assert_eq!(error.kind(), io::ErrorKind::NotFound, "{context}");
            }
            let region = open_in(after, &dir).unwrap_or_else(|error| panic!("{context}: {error}"));
            attempt.check(&rows(&region), &context);
            region.close().unwrap();
            if !was_cut {
                println!("{at} requests, {cut:?}");
                break;
            }
        }
    }
    println!("{failures} failures");
    // Queries are repeated, and the results of changes are looked up.
    assert!(failures > 0, "{failures}");
}
