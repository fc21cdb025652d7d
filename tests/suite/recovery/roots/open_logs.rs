//! Logs that their servers have not closed.

use super::{GONE, ROOT, SERVER, files, flushed, options, put, values, write_log};
use crate::support::forward::forward;
use hregion::io::faulty::FaultyStorage;
use hregion::io::{FileReader, MemoryFile, Storage};
use hregion::{ErrorKind, Family, Get, Put, RegionOptions, Table, TableChanges};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A storage like HDFS: a log that its server has not closed appears empty until its lease is recovered.
#[derive(Debug)]
struct Hides {
    inner: FaultyStorage,
    ended: Mutex<BTreeSet<PathBuf>>,
}

impl Hides {
    fn options(inner: &FaultyStorage) -> RegionOptions {
        let hides = Self { inner: inner.clone(), ended: Mutex::default() };
        options(inner).storage(Arc::new(hides))
    }
}

impl Storage for Hides {
    forward!(inner: create create_new create_log rename hard_link remove remove_dir sync_file sync_dir);
    forward!(inner: list_dir create_dir_all lock create_scratch can_rename rename_new full_path);
    forward!(inner: can_read_removed);

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        let is_closed = |bytes: &Vec<u8>| bytes.ends_with(b"LAWP");
        let is_log = path.to_string_lossy().contains("h%2C1%2C2");
        let is_open = is_log && self.inner.bytes(path).is_some_and(|bytes| !is_closed(&bytes));
        if is_open && !self.ended.lock().unwrap().contains(path) {
            return Ok(Arc::new(MemoryFile::new(path, Vec::new())));
        }
        self.inner.open(path)
    }

    fn end_writing(&self, path: &Path) -> io::Result<()> {
        self.ended.lock().unwrap().insert(path.to_owned());
        Ok(())
    }

    fn can_hide_writes(&self, _: &Path) -> bool {
        true
    }
}

/// Invisible edits must not be missed: nothing is done until a recovery has closed the log.
#[test]
fn a_log_that_was_not_closed_may_hide_edits() {
    let (storage, [one, _]) = flushed();
    let whole = Table::open_with(ROOT, "t", options(&storage).writable(true)).unwrap();
    whole.snapshot("s").unwrap();
    whole.close().unwrap();
    let dir = Path::new("/hbase/data/default/t").join(&one);
    let add = TableChanges::new().family(Family::new("h"));
    let edits = [(&*one, 40, vec![put("b", "f", "3"), put("b", "g", "4"), put("b", "h", "deleted")])];
    let log = write_log(&storage, SERVER, "h%2C1%2C2.1000", &edits, false);
    let before = files(&storage);
    let refused = || {
        let hides = || Hides::options(&storage);
        let table = Table::open_with(ROOT, "t", hides().writable(true)).unwrap();
        let all = [
            table.put(Put::new("a").cell("f", "q", "8")),
            table.split("b").map(drop),
            hides().writable(true).open(&dir).map(drop),
            hides().writable(true).alter(true).family(Family::new("h")).open(&dir).map(drop),
            hides().replay_logs([&log]).open(&dir).map(drop),
            Table::alter(ROOT, "t", &add, &hides()).map(drop),
            Table::clone_snapshot(ROOT, "s", "u", hides()).map(drop),
            Table::plan_recovery(ROOT, hides()).map(drop),
        ];
        table.close().unwrap();
        all
    };
    for (at, done) in refused().into_iter().enumerate() {
        let error = done.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{at}: {error}");
        assert!(error.to_string().contains("recovery of the root"), "{at}: {error}");
    }
    let unchanged = |(path, _): &(PathBuf, Vec<u8>)| !path.ends_with(".hregion.lock");
    let after: Vec<_> = files(&storage).into_iter().filter(unchanged).collect();
    assert!(after == before.into_iter().filter(unchanged).collect::<Vec<_>>(), "{after:?}");
    // Reads do not need the logs of servers.
    let table = Table::open_with(ROOT, "t", Hides::options(&storage)).unwrap();
    assert!(table.get(&Get::new("b")).unwrap().is_empty());

    let done = Table::recover(ROOT, Hides::options(&storage)).unwrap();
    assert_eq!((done.logs.len(), done.regions.len()), (1, 1), "{done:?}");
    let table = Table::open_with(ROOT, "t", Hides::options(&storage).writable(true)).unwrap();
    table.put(Put::new("a").cell("f", "q", "8")).unwrap();
    assert!(values(&table).contains(&"b/f:q/500=3".to_owned()), "{:?}", values(&table));
    table.close().unwrap();

    // A log that its server has closed is read without changes: it may have no required edits.
    write_log(&storage, SERVER, "h%2C1%2C2.2000", &[(GONE, 41, vec![put("b", "f", "gone")])], true);
    Hides::options(&storage).writable(true).open(&dir).unwrap().close().unwrap();
    Table::clone_snapshot(ROOT, "s", "u", Hides::options(&storage)).unwrap().close().unwrap();
    Table::plan_recovery(ROOT, Hides::options(&storage)).unwrap();
    // A given log is closed.
    let given =
        write_log(&storage, "/elsewhere", "h%2C1%2C2.1000", &[(&*one, 90, vec![put("c", "f", "9")])], false);
    let region = Hides::options(&storage).writable(true).replay_logs([given]).open(&dir).unwrap();
    assert_eq!(region.replayed().cells, 1);
    region.close().unwrap();
}
