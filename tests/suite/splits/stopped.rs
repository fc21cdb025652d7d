//! A process is stopped within a split, merge, flush, compaction or load until its locks are lost, as when a
//! lease expires, and continues after another process has written to the table.

use super::faults::{split_or_merge, written};
use super::{ROOT, TABLE, compact, names, open, options, put, values};
use crate::support::forward::forward;
use hregion::io::faulty::FaultyStorage;
use hregion::io::{FileLock, FileWriter, LogFile};
use hregion::{
    CellRef, CellType, Compaction, ErrorKind, Family, FileHandles, Put, RegionOptions, Result, SeekKey,
    Storage, StoreFileOrigin, Table, TableChanges,
};
use std::fmt;
use std::io;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};

/// The storage of a process that is stopped once, before one of its changes. Its locks are lost then, and
/// later changes in the locked directories fail. Other changes succeed.
struct Stopped {
    files: FaultyStorage,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The number of changes before it is stopped.
    left: Option<usize>,
    /// The action of another process while it is stopped.
    other: Option<Box<dyn FnOnce() + Send>>,
    locks: Vec<(PathBuf, Weak<Mutex<Option<FileLock>>>)>,
    /// The directories whose locks were lost.
    lost: Vec<PathBuf>,
    /// Whether the change before which it is stopped is carried out late.
    is_late: bool,
    /// A directory that it cannot sync.
    unsynced: Option<PathBuf>,
    /// Whether it keeps the lock of the root, because the other process requests only locks of regions.
    keeps_root: bool,
}

/// A lock; `None` after it was lost.
type Lease = Arc<Mutex<Option<FileLock>>>;

fn check(lease: &Lease) -> io::Result<()> {
    if lease.lock().unwrap().is_some() { Ok(()) } else { Err(io::ErrorKind::WouldBlock.into()) }
}

impl Stopped {
    fn new(files: &FaultyStorage) -> Arc<Self> {
        Arc::new(Self { files: files.clone(), state: Mutex::default() })
    }

    /// Returns options of the process, which has its own file handles.
    fn options(self: &Arc<Self>) -> RegionOptions {
        let handles = FileHandles::with_capacity(100);
        options(&self.files).storage(Arc::clone(self) as _).file_handles(&handles)
    }

    fn stop_after(&self, changes: usize, other: impl FnOnce() + Send + 'static) {
        let mut state = self.state.lock().unwrap();
        state.left = Some(changes);
        state.other = Some(Box::new(other));
    }

    /// As [`stop_after`](Self::stop_after), but between the check of the lock and the change.
    fn stop_within(&self, changes: usize, other: impl FnOnce() + Send + 'static) {
        self.stop_after(changes, other);
        self.state.lock().unwrap().is_late = true;
    }

    fn cannot_sync(&self, dir: &Path) {
        self.state.lock().unwrap().unsynced = Some(dir.to_owned());
    }

    /// Whether the process has been stopped.
    fn was_stopped(&self) -> bool {
        self.state.lock().unwrap().other.is_none()
    }

    /// Called before a change.
    fn change(&self, path: &Path) -> io::Result<()> {
        self.change_of(&[path])
    }

    fn change_of(&self, paths: &[&Path]) -> io::Result<()> {
        let (other, is_late) = {
            let mut state = self.state.lock().unwrap();
            let is_time = state.left == Some(0);
            state.left = state.left.and_then(|left| left.checked_sub(1));
            (if is_time { state.lose_locks() } else { None }, is_time && state.is_late)
        };
        if let Some(other) = other {
            other();
        }
        if is_late {
            return Ok(());
        }
        let is_in_lost = |dir: &PathBuf| paths.iter().any(|path| path.starts_with(dir) && path != dir);
        let is_lost = self.state.lock().unwrap().lost.iter().any(is_in_lost);
        if is_lost { Err(io::ErrorKind::WouldBlock.into()) } else { Ok(()) }
    }
}

impl State {
    fn lose_locks(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        for (dir, lock) in mem::take(&mut self.locks) {
            if self.keeps_root && dir == Path::new(ROOT) {
                continue;
            }
            if lock.upgrade().is_some_and(|lock| lock.lock().unwrap().take().is_some()) {
                self.lost.push(dir);
            }
        }
        self.other.take()
    }
}

impl fmt::Debug for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stopped").finish_non_exhaustive()
    }
}

impl Storage for Stopped {
    forward!(files: open sync_file list_dir optional);

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        if self.state.lock().unwrap().unsynced.as_deref() == Some(path) {
            return Err(io::Error::other("a directory that this test does not sync"));
        }
        self.files.sync_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.change(path)?;
        self.files.create(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.change(path)?;
        self.files.create_new(path)
    }

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        self.change(path)?;
        self.files.create_log(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change_of(&[from, to])?;
        self.files.rename(from, to)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        self.change(link)?;
        self.files.hard_link(original, link)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.change(path)?;
        self.files.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.change(path)?;
        self.files.remove_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.change(path)?;
        self.files.create_dir_all(path)
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        let lease: Lease = Arc::new(Mutex::new(Some(self.files.lock(path)?)));
        let dir = path.parent().unwrap().to_owned();
        let mut state = self.state.lock().unwrap();
        state.lost.retain(|lost| *lost != dir);
        state.locks.push((dir, Arc::downgrade(&lease)));
        Ok(FileLock::with_check(lease, check))
    }
}

/// Calls `run` with a process that is stopped before its first change, then with one before its second
/// change, and so on, until `run` returns that the process was not stopped.
fn each_stop(
    written: impl Fn() -> FaultyStorage,
    mut run: impl FnMut(&FaultyStorage, &Arc<Stopped>, usize) -> bool,
) {
    for n in 0.. {
        let files = written();
        if !run(&files, &Stopped::new(&files), n) {
            break;
        }
    }
}

/// Opens the table for writing.
fn open_with(options: RegionOptions) -> Table {
    Table::open_with(ROOT, "t", options.writable(true)).unwrap()
}

fn write(storage: &FaultyStorage) {
    let table = open(storage, true);
    for row in ["c", "q"] {
        table.put(put(row, "other")).unwrap();
    }
    table.close().unwrap();
}

/// Whatever the first process does later, the regions have the other process's writes.
#[test]
fn what_was_written_after_the_locks_of_a_change_were_lost_stays() {
    for splits in [&[][..], &["m"]] {
        let storage = written(splits);
        write(&storage);
        let table = open(&storage, false);
        let (expected, regions) = (values(&table), table.regions());
        let run = |files: &FaultyStorage, stopped: &Arc<Stopped>, n: usize| {
            let shown = format!("{splits:?}, change {n}");
            let table = open_with(stopped.options());
            values(&table); // opens all regions
            let other = files.clone();
            stopped.stop_after(n, move || write(&other));
            let changed = split_or_merge(&table);
            if !stopped.was_stopped() {
                changed.unwrap_or_else(|error| panic!("{shown}: {error}"));
                assert!(n > 20, "{shown}");
                return false;
            }
            assert!(changed.is_err(), "{shown}");
            assert_eq!(values(&open(files, false)), expected, "{shown}");
            drop(table);
            let table = open(files, true);
            assert_eq!((values(&table), table.regions()), (expected.clone(), regions.clone()), "{shown}");
            split_or_merge(&table).unwrap_or_else(|error| panic!("{shown}: {error}"));
            assert_eq!(values(&table), expected, "{shown}");
            table.close().unwrap();
            true
        };
        each_stop(|| written(splits), run);
    }
}

/// One change of the first process may be carried out while the other has the lock, as if it had been stopped
/// after checking its lock: a change of a flush or compaction, or of undoing a failed one.
#[test]
fn a_change_that_is_made_after_the_lock_was_lost_takes_no_rows() {
    let expected = {
        let storage = written(&[]);
        let table = open(&storage, true);
        table.put(put("k", "first")).unwrap();
        table.close().unwrap();
        write(&storage);
        values(&open(&storage, false))
    };
    for fails in [false, true] {
        let run = |files: &FaultyStorage, stopped: &Arc<Stopped>, n: usize| {
            let shown = format!("fails: {fails}, change {n}");
            let table = open_with(stopped.options().compaction_enabled(false));
            table.put(put("k", "first")).unwrap();
            if fails {
                stopped.cannot_sync(&region_dir(&table).join("f"));
            }
            let other = files.clone();
            stopped.stop_within(n, move || write(&other));
            let changed = table.flush().and_then(|()| table.compact(Compaction::Major));
            if !stopped.was_stopped() {
                assert_eq!(changed.is_err(), fails, "{shown}: {changed:?}");
                assert!(n > 3, "{shown}");
                return false;
            }
            assert_eq!(values(&open(files, false)), expected, "{shown}: {changed:?}");
            drop(table);
            let table = open(files, true);
            assert_eq!(values(&table), expected, "{shown}: {changed:?}");
            compact(&table);
            assert_eq!(values(&table), expected, "{shown}: {changed:?}");
            table.close().unwrap();
            true
        };
        each_stop(|| written(&[]), run);
    }
}

/// Returns the directory of the first region.
fn region_dir(table: &Table) -> PathBuf {
    Path::new(TABLE).join(table.regions()[0].encoded_name())
}

/// The file of a bulk load.
const FILE: &str = "/input/f/file";

/// Returns a table of one region with the file of a bulk load, and the directory of the region.
fn with_input() -> (FaultyStorage, PathBuf) {
    let storage = written(&[]);
    storage.create_dir_all(Path::new("/input/f")).unwrap();
    let table = open(&storage, true);
    let mut writer = table.region("a").unwrap().bulk_load_writer("f", FILE).unwrap();
    let key = SeekKey::of(b"k", b"f", b"q", 5, CellType::Put);
    writer.append(CellRef::new(&key, b"loaded")).unwrap();
    let origin = StoreFileOrigin::BulkLoad {
        timestamp: 1000,
        source_task: Vec::new(),
        exclude_from_minor_compaction: false,
        skip_reset_seq_id: false,
    };
    writer.finish(&origin).unwrap();
    let region = region_dir(&table);
    table.close().unwrap();
    (storage, region)
}

/// A bulk load, or undoing it, moves no file, whether or not the other process has found it.
#[test]
fn a_load_that_goes_on_after_the_lock_was_lost_moves_no_file() {
    let mut outcomes = [0; 2];
    for fails in [false, true] {
        let run = |files: &FaultyStorage, stopped: &Arc<Stopped>, n: usize| {
            let shown = format!("fails: {fails}, change {n}");
            let table = open_with(stopped.options());
            values(&table); // opens the region
            if fails {
                stopped.cannot_sync(&region_dir(&table).join("f"));
            }
            let other = Arc::new(Mutex::new(None));
            let (opened, storage) = (Arc::clone(&other), files.clone());
            stopped.stop_within(n, move || {
                let table = open(&storage, true);
                table.put(put("q", "other")).unwrap();
                let found = values(&table);
                *opened.lock().unwrap() = Some((table, found));
            });
            let loaded = table.bulk_load("/input");
            if !stopped.was_stopped() {
                assert_eq!(loaded.is_err(), fails, "{shown}: {loaded:?}");
                // Files that could not be moved back stay there.
                assert_eq!(names(files, ".loading.").len(), usize::from(fails), "{shown}");
                assert!(n > 3, "{shown}");
                return false;
            }
            let (other, found) = other.lock().unwrap().take().unwrap();
            assert_eq!(values(&other), found, "{shown}: {loaded:?}");
            other.close().unwrap();
            drop(table);
            let is_loaded = found.iter().any(|cell| cell.starts_with("k/"));
            assert_eq!(files.bytes(Path::new(FILE)).is_none(), is_loaded, "{shown}: {loaded:?}");
            outcomes[usize::from(is_loaded)] += 1;
            let table = open(files, true);
            assert_eq!(values(&table), found, "{shown}: {loaded:?}");
            assert!(names(files, ".loading.").is_empty(), "{shown}");
            table.close().unwrap();
            true
        };
        each_stop(|| with_input().0, run);
    }
    assert!(outcomes.iter().all(|outcome| *outcome > 0), "{outcomes:?}");
}

/// A storage in which another process's rename of a file is carried out late: right before its target
/// directory is removed.
#[derive(Debug)]
struct MovesLate {
    files: FaultyStorage,
    to: PathBuf,
}

impl Storage for MovesLate {
    forward!(files: open create create_new create_log rename hard_link remove);
    forward!(files: sync_file sync_dir list_dir create_dir_all lock optional);

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if self.to.parent() == Some(path) && self.files.bytes(Path::new(FILE)).is_some() {
            self.files.rename(Path::new(FILE), &self.to)?;
        }
        self.files.remove_dir(path)
    }
}

#[test]
fn a_file_that_a_load_moves_while_the_region_is_opened_is_found_at_once() {
    let (files, region) = with_input();
    let loading = region.join(format!(".loading.{}/f", "0".repeat(32)));
    files.create_dir_all(&loading).unwrap();
    let to = loading.join(format!("{}_SeqId_9_", "1".repeat(32)));
    let late = MovesLate { files: files.clone(), to };
    let with = options(&files).storage(Arc::new(late)).writable(true);
    let table = Table::open_with(ROOT, "t", with).unwrap();
    let found = values(&table);
    assert!(found.iter().any(|cell| cell.starts_with("k/")), "{found:?}");
    assert!(names(&files, ".loading.").is_empty());
    table.close().unwrap();
    assert_eq!(values(&open(&files, false)), found);
}

/// They do not belong to a family of the same name that the table gets later.
#[test]
fn files_of_a_load_that_was_cut_off_are_archived_with_their_family() {
    let (files, region) = with_input();
    let loading = region.join(format!(".loading.{}/f", "0".repeat(32)));
    let name = format!("{}_SeqId_9_", "1".repeat(32));
    files.create_dir_all(&loading).unwrap();
    files.rename(Path::new(FILE), &loading.join(&name)).unwrap();
    let alter = |changes: TableChanges| Table::alter(ROOT, "t", &changes, &options(&files)).unwrap();
    alter(TableChanges::new().delete_family("f"));
    let is_archived = |path: &PathBuf| path.starts_with("hbase/archive") && path.ends_with(&name);
    assert!(files.names().iter().any(is_archived), "{:?}", files.names());
    // As if another program had deleted the family.
    files.create_dir_all(&loading).unwrap();
    files.create(&loading.join(&name)).unwrap().sync().unwrap();
    let added = options(&files).writable(true).alter(true).family(Family::new("f"));
    let error = added.open(&region).unwrap_err();
    assert!(error.message().contains("has files of a family that was deleted"), "{error}");
    alter(TableChanges::new().family(Family::new("f")));
    let table = open(&files, true);
    assert!(!values(&table).iter().any(|cell| cell.contains("/f/")));
    assert!(names(&files, ".loading.").is_empty());
    table.close().unwrap();
}

/// Runs a change of the first process that is stopped within each of its own changes in turn, while the other
/// process runs its own, and then `check`.
fn each_late_change<T: fmt::Debug>(
    written: impl Fn() -> FaultyStorage,
    change: impl Fn(RegionOptions) -> Result<T>,
    other: fn(&FaultyStorage),
    check: impl Fn(&FaultyStorage, &str),
) {
    each_late_change_with(false, written, change, other, check);
}

/// As [`each_late_change`]. With `keeps_root`, the first process keeps the lock of the root.
fn each_late_change_with<T: fmt::Debug>(
    keeps_root: bool,
    written: impl Fn() -> FaultyStorage,
    change: impl Fn(RegionOptions) -> Result<T>,
    other: fn(&FaultyStorage),
    check: impl Fn(&FaultyStorage, &str),
) {
    each_stop(written, |files, stopped, n| {
        let storage = files.clone();
        stopped.stop_within(n, move || other(&storage));
        stopped.state.lock().unwrap().keeps_root = keeps_root;
        let changed = change(stopped.options());
        let shown = format!("change {n}, {changed:?}");
        if !stopped.was_stopped() {
            assert!(changed.is_ok() && n > 2, "{shown}");
            return false;
        }
        check(files, &shown);
        true
    });
}

/// Returns a table of one region, with a snapshot.
fn with_snapshot() -> FaultyStorage {
    let files = written(&[]);
    let table = open(&files, true);
    table.snapshot("s").unwrap();
    table.close().unwrap();
    files
}

#[test]
fn an_alteration_that_goes_on_late_replaces_no_other() {
    let changes = TableChanges::new().set("OWNER", "first");
    each_late_change(
        || written(&[]),
        |options| Table::alter(ROOT, "t", &changes, &options),
        |files| {
            let changes = TableChanges::new().family(Family::new("h"));
            Table::alter(ROOT, "t", &changes, &options(files)).unwrap();
        },
        |files, shown| {
            let table = open(files, true);
            let put = table.put(Put::new("a").cell("h", "q", "1"));
            put.unwrap_or_else(|error| panic!("{shown}: {error}"));
        },
    );
}

/// Another process takes a snapshot of the same name, perhaps in place of an existing one.
#[test]
fn a_snapshot_is_neither_replaced_nor_removed_late() {
    let take = |files: &FaultyStorage| {
        let table = open(files, true);
        let _ = Table::delete_snapshot_with(ROOT, "s", options(files));
        table.put(put("q", "other")).unwrap();
        table.snapshot("s").unwrap();
        table.close().unwrap();
    };
    let check = |files: &FaultyStorage, shown: &str| {
        let snapshot = Table::open_snapshot_with(ROOT, "s", options(files));
        let found = values(&snapshot.unwrap_or_else(|error| panic!("{shown}: {error}")));
        assert!(found.iter().any(|cell| cell.ends_with("=other")), "{shown}: {found:?}");
    };
    let snapshot =
        |options: RegionOptions| Table::open_with(ROOT, "t", options.writable(true))?.snapshot("s").map(drop);
    each_late_change(|| written(&[]), snapshot, take, check);
    let delete = |options: RegionOptions| Table::delete_snapshot_with(ROOT, "s", options);
    each_late_change(with_snapshot, delete, take, check);
}

#[test]
fn a_table_that_was_deleted_is_not_restored_late() {
    each_late_change(
        with_snapshot,
        |options| Table::restore_snapshot(ROOT, "s", options).map(drop),
        |files| Table::delete_table(ROOT, "t", &options(files)).unwrap(),
        |files, shown| {
            let opened = Table::open_with(ROOT, "t", options(files));
            assert_eq!(opened.map(drop).unwrap_err().kind(), ErrorKind::TableNotFound, "{shown}");
        },
    );
}

/// Another process's writes to an existing table are not moved away with it.
#[test]
fn a_table_that_is_written_to_is_not_moved_away_late() {
    const WROTE: &str = "/wrote";
    let write = |files: &FaultyStorage| {
        let with = options(files).storage(Stopped::new(files) as _).writable(true);
        let Ok(table) = Table::open_with(ROOT, "t", with) else { return };
        if table.put(put("q", "other")).is_ok() {
            table.close().unwrap();
            files.create(Path::new(WROTE)).unwrap();
        }
    };
    let check = |files: &FaultyStorage, shown: &str| {
        if files.bytes(Path::new(WROTE)).is_some() {
            let table = Table::open_with(ROOT, "t", options(files));
            let found = values(&table.unwrap_or_else(|error| panic!("{shown}: {error}")));
            assert!(found.iter().any(|cell| cell.ends_with("=other")), "{shown}: {found:?}");
        }
    };
    let delete = |options: RegionOptions| Table::delete_table(ROOT, "t", &options);
    let truncate = |options: RegionOptions| Table::truncate(ROOT, "t", true, &options);
    let restore = |options: RegionOptions| Table::restore_snapshot(ROOT, "s", options).map(drop);
    for keeps_root in [false, true] {
        each_late_change_with(keeps_root, || written(&[]), delete, write, check);
        each_late_change_with(keeps_root, || written(&[]), truncate, write, check);
        each_late_change_with(keeps_root, with_snapshot, restore, write, check);
    }
}
