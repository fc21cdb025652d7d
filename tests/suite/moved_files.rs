//! Links are followed while another process moves their target files.

mod regions;

use crate::support::forward::forward;
use crate::support::trackers::with_list;
use hregion::io::faulty::FaultyStorage;
use hregion::io::{DirEntry, FileLock, FileReader};
use hregion::{
    Compaction, Family, FileHandles, Finding, Get, Put, Region, RegionOptions, Result, Severity, Storage,
    Table,
};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

const ROOT: &str = "root";
const TABLE: &str = "root/data/default/t";
const REMOVED: &str = "root/.tmp/data/default/t";

/// A storage in which another process acts once, before a file of the table `t` is looked up.
struct Moves {
    files: FaultyStorage,
    /// The number of lookups before that, and the action.
    act: Mutex<(usize, Option<Act>)>,
}

type Act = Box<dyn FnOnce() + Send>;

impl Moves {
    fn look_for(&self, path: &Path) {
        if !path.iter().any(|part| part == "t" || part == ".tmp") {
            return;
        }
        let act = {
            let mut act = self.act.lock().unwrap();
            match act.0.checked_sub(1) {
                None => act.1.take(),
                Some(left) => {
                    act.0 = left;
                    None
                }
            }
        };
        if let Some(act) = act {
            act();
        }
    }
}

impl fmt::Debug for Moves {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Moves").finish_non_exhaustive()
    }
}

impl Storage for Moves {
    forward!(files: create create_new create_log hard_link rename remove remove_dir);
    forward!(files: sync_file sync_dir create_dir_all lock optional);

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        self.look_for(path);
        self.files.open(path)
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.look_for(path);
        self.files.list_dir(path)
    }
}

/// A storage like NFS, where another process acts once, while a file in a directory of this name is opened,
/// or a file of this name is locked: the file is then stale.
struct Nfs {
    files: FaultyStorage,
    dir: &'static str,
    act: Mutex<Option<Act>>,
}

impl fmt::Debug for Nfs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Nfs").finish_non_exhaustive()
    }
}

impl Nfs {
    fn act(&self) -> io::Result<()> {
        let act = self.act.lock().unwrap().take();
        act.map_or(Ok(()), |act| {
            act();
            Err(io::ErrorKind::StaleNetworkFileHandle.into())
        })
    }
}

impl Storage for Nfs {
    forward!(files: create create_new create_log hard_link rename remove remove_dir);
    forward!(files: list_dir sync_file sync_dir create_dir_all optional);

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        if path.parent().is_some_and(|dir| dir.ends_with(self.dir)) {
            self.act()?;
        }
        self.files.open(path)
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        if path.ends_with(self.dir) {
            self.act()?;
        }
        self.files.lock(path)
    }
}

/// Options as for a separate process.
pub(crate) fn options(storage: Arc<dyn Storage>) -> RegionOptions {
    let handles = FileHandles::with_capacity(100);
    Region::options().storage(storage).file_handles(&handles).compaction_enabled(false)
}

/// A table, a snapshot of it, and a clone of that.
fn cloned() -> FaultyStorage {
    cloned_of(Family::new("f"))
}

fn cloned_of(family: Family) -> FaultyStorage {
    let files = FaultyStorage::new();
    let shared: Arc<dyn Storage> = Arc::new(files.clone());
    let table = Table::create_with(ROOT, "t", &[family], &[""; 0], options(Arc::clone(&shared))).unwrap();
    for row in ["a", "b"] {
        table.put(Put::new(row).cell_at("f", "q", 1, "v")).unwrap();
        table.flush().unwrap();
    }
    table.snapshot("s").unwrap();
    table.close().unwrap();
    Table::clone_snapshot(ROOT, "s", "c", options(shared)).unwrap().close().unwrap();
    files
}

/// The same after the first rename of a deletion of the table by a process that died.
fn removed() -> FaultyStorage {
    let files = cloned();
    files.create_dir_all(Path::new(REMOVED).parent().unwrap()).unwrap();
    files.rename(Path::new(TABLE), Path::new(REMOVED)).unwrap();
    files
}

fn compact(storage: Arc<dyn Storage>) {
    let table = Table::open_with(ROOT, "t", options(storage).writable(true)).unwrap();
    table.compact(Compaction::Major).unwrap();
    table.close().unwrap();
}

fn delete(storage: Arc<dyn Storage>) {
    Table::delete_table(ROOT, "t", &options(storage)).unwrap();
}

fn split(storage: Arc<dyn Storage>) {
    let table = Table::open_with(ROOT, "t", options(storage).writable(true)).unwrap();
    table.split("b").unwrap();
    table.compact(Compaction::Major).unwrap();
    table.close().unwrap();
}

/// Returns a storage in which another process acts before the `n`-th lookup of a file.
fn moves(files: &FaultyStorage, n: usize, change: OfStorage<()>) -> Arc<Moves> {
    let other: Arc<dyn Storage> = Arc::new(files.clone());
    let act: Act = Box::new(move || change(other));
    Arc::new(Moves { files: files.clone(), act: Mutex::new((n, Some(act))) })
}

#[test]
fn a_region_is_opened_although_a_file_becomes_stale_meanwhile() {
    for dir in ["f", ".filelist", ".tabledesc"] {
        let files = cloned_of(with_list(Family::new("f")));
        let other: Arc<dyn Storage> = Arc::new(files.clone());
        let act: Act = Box::new(move || compact(other));
        let nfs = Arc::new(Nfs { files, dir, act: Mutex::new(Some(act)) });
        let table = Table::open_with(ROOT, "t", options(Arc::clone(&nfs) as _));
        let table = table.unwrap_or_else(|error| panic!("{dir}: {error}"));
        for row in ["a", "b"] {
            assert_eq!(table.get(&Get::new(row)).unwrap().value("f", "q"), Some(&b"v"[..]), "{dir} {row}");
        }
        assert!(nfs.act.lock().unwrap().is_none(), "{dir}");
    }
}

#[test]
fn a_parent_that_another_process_archives_meanwhile_is_left_to_it() {
    let files = FaultyStorage::new();
    let shared: Arc<dyn Storage> = Arc::new(files.clone());
    let families = [Family::new("f")];
    let table = Table::create_with(ROOT, "t", &families, &[""; 0], options(Arc::clone(&shared))).unwrap();
    for row in ["a", "c"] {
        table.put(Put::new(row).cell_at("f", "q", 1, "v")).unwrap();
    }
    table.flush().unwrap();
    table.split("b").unwrap();
    for row in ["a", "c"] {
        table.region(row).unwrap().compact(Compaction::Major).unwrap();
    }
    table.close().unwrap();
    let archive = |storage: Arc<dyn Storage>| {
        let table = Table::open_with(ROOT, "t", options(storage).writable(true)).unwrap();
        table.archive_parents().unwrap().len()
    };
    let act: Act = Box::new(move || assert_eq!(archive(shared), 1));
    let nfs = Arc::new(Nfs { files, dir: ".hregion.lock", act: Mutex::new(Some(act)) });
    assert_eq!(archive(Arc::clone(&nfs) as _), 0);
    assert!(nfs.act.lock().unwrap().is_none());
}

#[test]
fn files_that_become_stale_meanwhile_are_verified_and_exported() {
    let nfs = || {
        let files = cloned();
        let other: Arc<dyn Storage> = Arc::new(files.clone());
        let act: Act = Box::new(move || compact(other));
        Arc::new(Nfs { files, dir: "f", act: Mutex::new(Some(act)) })
    };
    let storage = nfs();
    let table = Table::open_with(ROOT, "t", options(Arc::new(storage.files.clone()))).unwrap();
    let region = Path::new(TABLE).join(table.regions()[0].encoded_name());
    let mut cells = 0;
    let verified = options(Arc::clone(&storage) as _).verify(&region, |path, report| {
        let report = report.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(report.faults.is_empty(), "{:?}", report.faults);
        cells += report.cells;
    });
    assert!(verified.as_ref().is_ok_and(Vec::is_empty), "{verified:?}");
    assert!(cells == 2 && storage.act.lock().unwrap().is_none());

    let storage = nfs();
    Table::export_snapshot_with(ROOT, "s", "other", options(Arc::clone(&storage) as _)).unwrap();
    assert!(storage.act.lock().unwrap().is_none());
}

#[test]
fn files_that_are_archived_meanwhile_are_verified() {
    for n in 0.. {
        let files = cloned();
        let table = Table::open_with(ROOT, "t", options(Arc::new(files.clone()))).unwrap();
        let region = Path::new(TABLE).join(table.regions()[0].encoded_name());
        let moves = moves(&files, n, compact);
        let mut cells = 0;
        let verified = options(Arc::clone(&moves) as _).verify(&region, |path, report| {
            let report = report.unwrap_or_else(|error| panic!("call {n}, {}: {error}", path.display()));
            assert!(report.faults.is_empty(), "call {n}: {:?}", report.faults);
            cells += report.cells;
        });
        let faults = verified.unwrap_or_else(|error| panic!("call {n}: {error}"));
        assert!(faults.is_empty(), "call {n}: {faults:?}");
        assert_eq!(cells, 2, "call {n}");
        if moves.act.lock().unwrap().1.is_some() {
            assert!(n > 5, "{n}");
            break;
        }
    }
}

#[test]
fn regions_that_are_replaced_meanwhile_are_no_damage() {
    for change in [compact as OfStorage<()>, split] {
        for n in 0.. {
            let files = cloned();
            let moves = moves(&files, n, change);
            for is_root in [true, false] {
                let options = options(Arc::clone(&moves) as _);
                let report = match is_root {
                    true => Table::check_root(ROOT, options),
                    false => Table::check_dir(TABLE, options),
                };
                let report = report.unwrap_or_else(|error| panic!("call {n}: {error}"));
                let is_fault = |finding: &&Finding| finding.severity > Severity::Info;
                assert_eq!(report.findings.iter().find(is_fault), None, "call {n}");
            }
            if moves.act.lock().unwrap().1.is_some() {
                assert!(n > 10, "{n}");
                break;
            }
        }
    }
}

type Setup = fn() -> FaultyStorage;
type OfStorage<T> = fn(Arc<dyn Storage>) -> T;

/// Another process dies while it deletes a table, and then deletes the rest of it. The files of the table are
/// still read, by tables that were opened before and by a clone that is opened in between; each file is
/// opened again for each read, or, as in HDFS, cannot be read at its old path.
#[test]
fn files_of_a_table_that_is_being_deleted_are_read() {
    let check = |table: &Table, context: &str| {
        for row in ["a", "b"] {
            let found = table.get(&Get::new(row)).unwrap_or_else(|error| panic!("{context}: {error}"));
            assert_eq!(found.value("f", "q"), Some(&b"v"[..]), "{context}");
        }
    };
    for by_path in [false, true] {
        for n in 0.. {
            let files = cloned();
            if by_path {
                files.read_by_path();
            }
            let open = |name: &str| {
                let handles = FileHandles::with_capacity(if by_path { 100 } else { 1 });
                let options = options(Arc::new(files.clone())).file_handles(&handles);
                Table::open_with(ROOT, name, options).unwrap()
            };
            let mut readers = vec![open("t"), open("c")];
            readers.iter().for_each(|table| check(table, "before"));
            let context = format!("by path {by_path}, call {n}");
            files.die_after(n);
            let deleted = Table::delete_table(ROOT, "t", &options(Arc::new(files.clone())));
            let has_died = files.has_died();
            files.heal();
            readers.push(open("c"));
            readers.iter().for_each(|table| check(table, &context));
            // The table may be gone by now.
            let _ = Table::delete_table(ROOT, "t", &options(Arc::new(files.clone())));
            readers.iter().for_each(|table| check(table, &context));
            if !has_died {
                assert!(deleted.is_ok() && n > 10, "{context}: {deleted:?}");
                break;
            }
        }
    }
}

#[test]
fn files_that_are_moved_meanwhile_are_found() {
    let changes: [(Setup, OfStorage<()>); 3] = [(cloned, compact), (cloned, delete), (removed, delete)];
    let opened: [OfStorage<Result<Table>>; 3] = [
        |storage| Table::open_with(ROOT, "c", options(storage).writable(true)),
        |storage| Table::open_with(ROOT, "c", options(storage)),
        |storage| Table::clone_snapshot(ROOT, "s", "d", options(storage)),
    ];
    for (i, (setup, change)) in changes.into_iter().enumerate() {
        for (j, open) in opened.into_iter().enumerate() {
            for n in 0.. {
                let context = format!("change {i}, table {j}, call {n}");
                let files = setup();
                let other: Arc<dyn Storage> = Arc::new(files.clone());
                let act: Act = Box::new(move || change(other));
                let moves = Arc::new(Moves { files, act: Mutex::new((n, Some(act))) });
                let table =
                    open(Arc::clone(&moves) as _).unwrap_or_else(|error| panic!("{context}: {error}"));
                for row in ["a", "b"] {
                    let found =
                        table.get(&Get::new(row)).unwrap_or_else(|error| panic!("{context}: {error}"));
                    assert_eq!(found.value("f", "q"), Some(&b"v"[..]), "{context}");
                }
                table.close().unwrap_or_else(|error| panic!("{context}: {error}"));
                if moves.act.lock().unwrap().1.is_some() {
                    assert!(n > 2, "{context}");
                    break;
                }
            }
        }
    }
}
