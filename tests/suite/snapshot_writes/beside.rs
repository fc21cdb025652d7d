//! Snapshots and exports during other changes of the table.

use super::{OTHER, ROOT, World, open, options, read_snapshot, rows};
use crate::support::files::write_synced;
use crate::support::forward::forward;
use crate::support::written::write_store_file;
use hregion::io::faulty::{Call, FaultyStorage};
use hregion::io::{FileReader, FileWriter};
use hregion::region::{CompactionFilter, ObserverContext};
use hregion::{
    CellType, Compaction, Error, ErrorKind, Family, Get, HFileWriter, Put, Region, RegionObserver, SeekKey,
    Storage, StoreFileOrigin, Table,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

/// A row per region has a counter in each family, which is written last of all rows: a snapshot with one of
/// its values has all earlier writes and no later one.
#[test]
fn a_snapshot_beside_writes_has_one_moment_of_each_region() {
    let dir = tempfile::tempdir().unwrap();
    let families = [Family::new("f"), Family::new("g")];
    let options = Region::options().memstore_flush_size(16 << 10);
    let table = Table::create_with(dir.path(), "t", &families, &["m"], options).unwrap();
    let stop = AtomicBool::new(false);
    let names: Vec<String> = (0..8).map(|i| format!("s{i}")).collect();
    thread::scope(|scope| {
        let writers: Vec<_> = ["a", "z"]
            .into_iter()
            .map(|prefix| {
                let (table, stop) = (&table, &stop);
                scope.spawn(move || {
                    let mut n = 0_u32;
                    while !stop.load(Ordering::Relaxed) {
                        let row = format!("{prefix}{:03}", n % 40);
                        let value = n.to_string();
                        let put = Put::new(row).cell("f", "q", value.clone()).cell("g", "q", value);
                        table.put(put).unwrap();
                        n += 1;
                    }
                    n
                })
            })
            .collect();
        let maintenance = scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for row in ["a", "z"] {
                    let region = table.region(row).unwrap();
                    region.flush().unwrap();
                    region.compact(Compaction::Major).unwrap();
                }
            }
        });
        for name in &names {
            table.snapshot(name).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
        maintenance.join().unwrap();
        assert!(writers.into_iter().all(|writer| writer.join().unwrap() > 40));
    });
    let mut last = BTreeMap::new();
    for name in names {
        let snapshot = Table::open_snapshot(dir.path(), &name).unwrap();
        for prefix in ["a", "z"] {
            let number = |row: &str, family: &str| -> Option<u32> {
                let row = snapshot.get(&Get::new(row)).unwrap();
                Some(std::str::from_utf8(row.value(family, "q")?).unwrap().parse().unwrap())
            };
            let values =
                |family| (0..40).filter_map(|i| number(&format!("{prefix}{i:03}"), family)).collect();
            let (f, g): (BTreeSet<u32>, BTreeSet<u32>) = (values("f"), values("g"));
            assert_eq!(f, g, "{name}: rows are whole");
            // The newest values of forty rows are the last forty writes, without gaps.
            let Some(newest) = f.last().copied() else { continue };
            let oldest = (newest + 1).saturating_sub(40);
            assert!(f.iter().copied().eq(oldest..=newest), "{name}: {f:?}");
            let before = last.insert(prefix, newest);
            assert!(before.is_none_or(|before| before <= newest), "{name}: later snapshots have more");
        }
    }
}

/// Blocks a bulk load before its commit until memory is frozen for a snapshot, and then that flush until the
/// load has ended.
#[derive(Debug)]
struct Meeting {
    loading: Sender<()>,
    frozen: (Sender<()>, Mutex<Receiver<()>>),
    loaded: Mutex<Receiver<()>>,
    table: OnceLock<Table>,
}

impl RegionObserver for Meeting {
    fn pre_commit_store_file(
        &self,
        _: &mut ObserverContext<'_>,
        _: &[u8],
        _: &Path,
        _: &Path,
    ) -> Result<(), Error> {
        self.loading.send(()).unwrap();
        self.frozen.1.lock().unwrap().recv().unwrap();
        Ok(())
    }

    fn pre_flush_store(
        &self,
        _: &mut ObserverContext<'_>,
        _: &[u8],
    ) -> Result<Option<Box<dyn CompactionFilter>>, Error> {
        if let Some(table) = self.table.get() {
            // A hook of a flush may not write to its table.
            let (table, put) = (table.clone(), Put::new("after").cell("f", "q", "v"));
            thread::spawn(move || table.put(put)).join().unwrap()?;
            self.frozen.0.send(()).unwrap();
            self.loaded.lock().unwrap().recv().unwrap();
        }
        Ok(None)
    }
}

#[test]
fn a_file_loaded_during_a_snapshot_is_not_in_it_before_earlier_writes() {
    let dir = tempfile::tempdir().unwrap();
    let load = dir.path().join("load");
    let key = SeekKey::of(b"loaded", b"f", b"q", 1, CellType::Put);
    write_store_file(HFileWriter::options(), &load, [(key, b"v")], &StoreFileOrigin::flush(0));
    let ((loading, is_loading), (loaded, is_loaded)) = (channel(), channel());
    let (frozen, is_frozen) = channel();
    let meeting = Arc::new(Meeting {
        loading,
        frozen: (frozen, Mutex::new(is_frozen)),
        loaded: Mutex::new(is_loaded),
        table: OnceLock::new(),
    });
    let options = Region::options().observer(0, Arc::clone(&meeting) as _);
    let root = dir.path().join("root");
    let table = Table::create_with(&root, "t", &[Family::new("f")], &[] as &[&str], options).unwrap();
    let region = table.region("").unwrap();
    let loader = thread::spawn(move || {
        region.bulk_load(&[("f", &load)]).unwrap();
        loaded.send(()).unwrap();
    });
    is_loading.recv().unwrap();
    table.put(Put::new("before").cell("f", "q", "v")).unwrap();
    meeting.table.set(table.clone()).unwrap();
    table.snapshot("s").unwrap();
    loader.join().unwrap();
    let keys = |table: &Table| -> Vec<String> {
        rows(table).iter().map(|row| String::from_utf8(row.key().to_vec()).unwrap()).collect()
    };
    assert_eq!(keys(&Table::open_snapshot(&root, "s").unwrap()), ["before"]);
    assert_eq!(keys(&table), ["after", "before", "loaded"]);
    table.region("").unwrap().abort().unwrap();
}

/// HBase writes a snapshot to a directory with its name, and renames the directory at the end.
#[test]
fn a_snapshot_that_hbase_is_writing_is_not_removed() {
    let storage = World::new().copy();
    let working = Path::new(ROOT).join(".hbase-snapshot/.tmp/s");
    storage.create_dir_all(&working).unwrap();
    let manifest = working.join("data.manifest");
    storage.create(&manifest).unwrap().sync().unwrap();
    let table = open(&storage, "ns:t");
    table.snapshot("s").unwrap();
    table.close().unwrap();
    Table::delete_snapshot_with(ROOT, "s", options(&storage)).unwrap();
    let error = Table::delete_snapshot_with(ROOT, "s", options(&storage)).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(storage.bytes(&manifest).is_some());
}

/// Storage on which the snapshot is deleted, and perhaps taken again, while its files are copied.
#[derive(Debug)]
struct Retaken {
    files: FaultyStorage,
    again: bool,
    is_done: AtomicBool,
}

impl Storage for Retaken {
    forward!(files: open create create_log hard_link rename remove remove_dir sync_file sync_dir);
    forward!(files: list_dir create_dir_all lock optional);

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        if path.starts_with(OTHER) && !self.is_done.swap(true, Ordering::SeqCst) {
            Table::delete_snapshot_with(ROOT, "old", options(&self.files)).unwrap();
            if self.again {
                open(&self.files, "ns:t").snapshot("old").unwrap();
            }
        }
        self.files.create_new(path)
    }
}

#[test]
fn an_export_is_not_of_another_snapshot_of_the_same_name() {
    let world = World::new();
    let storage = world.copy();
    let retaken = Retaken { files: storage.clone(), again: true, is_done: AtomicBool::new(false) };
    let shared = options(&storage).storage(Arc::new(retaken));
    let error = Table::export_snapshot_with(ROOT, "old", OTHER, shared).unwrap_err();
    assert!(error.message().contains("another snapshot of the same name"), "{error}");
    assert_eq!(read_snapshot(&storage, OTHER, "old"), None);
    Table::export_snapshot_with(ROOT, "old", OTHER, options(&storage)).unwrap();
    assert_eq!(read_snapshot(&storage, OTHER, "old"), Some(world.now.clone()));
}

#[test]
fn a_snapshot_that_is_deleted_meanwhile_is_not_exported() {
    let storage = World::new().copy();
    let deleted = Retaken { files: storage.clone(), again: false, is_done: AtomicBool::new(false) };
    let shared = options(&storage).storage(Arc::new(deleted));
    let error = Table::export_snapshot_with(ROOT, "old", OTHER, shared).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.message().contains("the snapshot was deleted"), "{error}");
    assert_eq!(read_snapshot(&storage, OTHER, "old"), None);
}

/// Storage on which a compaction moves the files of the table to the archive while they are copied.
#[derive(Debug)]
struct Compacted {
    files: FaultyStorage,
    /// The number of the file at which it moves them.
    at: usize,
    copied: AtomicUsize,
}

impl Storage for Compacted {
    forward!(files: open create create_log hard_link rename remove remove_dir sync_file sync_dir);
    forward!(files: list_dir create_dir_all lock optional);

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        if path.starts_with(OTHER) && self.copied.fetch_add(1, Ordering::SeqCst) == self.at {
            let table = open(&self.files, "ns:t");
            table.regions().iter().for_each(|info| {
                table.region(info.start_key()).unwrap().compact(Compaction::Major).unwrap();
            });
            table.close().unwrap();
        }
        self.files.create_new(path)
    }
}

#[test]
fn files_that_are_archived_meanwhile_are_exported() {
    let mut world = World::new();
    open(&world.storage, "ns:t").snapshot("s").unwrap();
    world.storage = world.copy();
    for at in 0.. {
        let storage = world.copy();
        let compacted = Arc::new(Compacted { files: storage.clone(), at, copied: AtomicUsize::default() });
        let shared = options(&storage).storage(compacted.clone());
        Table::export_snapshot_with(ROOT, "s", OTHER, shared).unwrap();
        assert_eq!(read_snapshot(&storage, OTHER, "s"), Some(world.now.clone()), "{at}");
        if compacted.copied.load(Ordering::SeqCst) <= at {
            assert!(at > 3, "{at}");
            break;
        }
    }
}

/// Storage on which the table is deleted while its files are copied: each of two steps moves the file that is
/// about to be opened.
#[derive(Debug)]
struct DeletedInSteps {
    files: FaultyStorage,
    /// The number of steps made.
    steps: AtomicUsize,
}

impl Storage for DeletedInSteps {
    forward!(files: create create_new create_log hard_link rename remove remove_dir sync_file sync_dir);
    forward!(files: list_dir create_dir_all lock optional);

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        let [table, removed] = ["data/ns/t", ".tmp/data/ns/t"].map(|dir| Path::new(ROOT).join(dir));
        let is_store_file = path.parent().is_some_and(|dir| dir.ends_with("f"));
        match self.steps.load(Ordering::SeqCst) {
            0 if is_store_file && path.starts_with(&table) => {
                self.steps.store(1, Ordering::SeqCst);
                self.files.create_dir_all(removed.parent().unwrap())?;
                self.files.rename(&table, &removed)?;
            }
            1 if is_store_file && path.starts_with(&removed) => {
                self.steps.store(2, Ordering::SeqCst);
                Table::delete_table(ROOT, "ns:t", &options(&self.files)).unwrap();
            }
            _ => {}
        }
        self.files.open(path)
    }
}

#[test]
fn files_of_a_table_that_is_deleted_meanwhile_are_exported() {
    let world = World::new();
    let storage = world.copy();
    let deleted = Arc::new(DeletedInSteps { files: storage.clone(), steps: AtomicUsize::default() });
    let shared = options(&storage).storage(deleted.clone());
    Table::export_snapshot_with(ROOT, "old", OTHER, shared).unwrap();
    assert_eq!(deleted.steps.load(Ordering::SeqCst), 2);
    assert_eq!(read_snapshot(&storage, OTHER, "old"), Some(world.old));
}

/// Storage on which a cleaner removes all files of an archive before the snapshot that names them is
/// published there.
#[derive(Debug)]
struct Cleaned {
    files: FaultyStorage,
    /// The roots whose archives are cleaned.
    roots: &'static [&'static str],
    /// Whether nothing can be renamed after the snapshot is published.
    breaks: bool,
}

impl Storage for Cleaned {
    forward!(files: open create_new create_log hard_link remove remove_dir sync_file sync_dir);
    forward!(files: list_dir create_dir_all lock optional);

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let publishes = to == Path::new(OTHER).join(".hbase-snapshot/old");
        if publishes {
            self.clean()?;
        }
        self.files.rename(from, to)?;
        if publishes && self.breaks {
            self.files.break_calls(Call::Rename);
        }
        Ok(())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        if path == Path::new(OTHER).join(".hbase-snapshot/old/data.manifest") {
            self.clean()?;
        }
        self.files.create(path)
    }
}

impl Cleaned {
    fn clean(&self) -> io::Result<()> {
        for root in self.roots {
            let archive = Path::new(root).join("archive");
            let archive = archive.strip_prefix("/").unwrap();
            for path in self.files.names().iter().filter(|path| path.starts_with(archive)) {
                self.files.remove(&Path::new("/").join(path))?;
            }
        }
        Ok(())
    }
}

#[test]
fn an_export_has_the_files_that_a_cleaner_removes_meanwhile() {
    let worlds = [World::new(), World::in_objects()];
    let cases = worlds.iter().flat_map(|world| {
        [(&[OTHER][..], true), (&[OTHER, ROOT][..], false)].map(|(roots, exported)| (world, roots, exported))
    });
    for (world, roots, is_exported) in cases {
        let storage = world.copy();
        let cleaned = Cleaned { files: storage.clone(), roots, breaks: false };
        let options = options(&storage).storage(Arc::new(cleaned));
        let exported = Table::export_snapshot_with(ROOT, "old", OTHER, options);
        assert_eq!(exported.is_ok(), is_exported, "{exported:?}");
        assert_eq!(read_snapshot(&storage, OTHER, "old"), is_exported.then(|| world.old.clone()));
    }
}

/// The snapshot is published, a cleaner has removed some of its files, and it cannot be removed again.
#[test]
fn an_export_that_could_not_be_undone_is_completed() {
    let world = World::new();
    let storage = world.copy();
    let cleaned = Arc::new(Cleaned { files: storage.clone(), roots: &[OTHER], breaks: true });
    Table::export_snapshot_with(ROOT, "old", OTHER, options(&storage).storage(cleaned)).unwrap_err();
    storage.repair();
    let export = |name: &str| Table::export_snapshot_with(ROOT, name, OTHER, options(&storage));
    export("old").unwrap();
    assert_eq!(read_snapshot(&storage, OTHER, "old"), Some(world.old.clone()));
    assert!(export("old").unwrap_err().is_already_exists());
    // Another snapshot of the same name does not own the files.
    export("new").unwrap();
    Table::delete_snapshot_with(ROOT, "new", options(&storage)).unwrap();
    let table = open(&storage, "ns:t");
    table.snapshot("new").unwrap();
    table.close().unwrap();
    assert!(export("new").unwrap_err().is_already_exists());
    assert_eq!(read_snapshot(&storage, OTHER, "new"), Some(world.new.clone()));
}

/// A damaged copy that was not removed is written again.
#[test]
fn a_damaged_copy_is_replaced() {
    for world in [World::new(), World::in_objects()] {
        replace_damaged_copies(&world);
    }
}

fn replace_damaged_copies(world: &World) {
    let storage = world.copy();
    Table::export_snapshot_with(ROOT, "old", OTHER, options(&storage)).unwrap();
    let archive = Path::new(OTHER).join("archive");
    let copies = storage.names().into_iter().map(|path| Path::new("/").join(path));
    let copies: Vec<PathBuf> = copies.filter(|path| path.starts_with(&archive)).collect();
    assert!(copies.len() >= 4, "{copies:?}");
    let again = world.copy();
    for copy in &copies {
        let mut bytes = storage.bytes(copy).unwrap();
        let middle = bytes.len() / 3;
        bytes[middle] ^= 1;
        again.create_dir_all(copy.parent().unwrap()).unwrap();
        write_synced(&again, copy, &bytes);
    }
    // A sound copy is not replaced.
    let [first, second, ..] = &copies[..] else { panic!("{copies:?}") };
    let damaged = again.bytes(first).unwrap();
    let put = |bytes: &[u8]| write_synced(&again, first, bytes);
    put(&storage.bytes(second).unwrap());
    let error = Table::export_snapshot_with(ROOT, "old", OTHER, options(&again)).unwrap_err();
    assert!(error.is_already_exists(), "{error}");
    assert_eq!(read_snapshot(&again, OTHER, "old"), None);
    put(&damaged);
    Table::export_snapshot_with(ROOT, "old", OTHER, options(&again)).unwrap();
    assert_eq!(read_snapshot(&again, OTHER, "old"), Some(world.old.clone()));
    assert!(copies.iter().all(|copy| again.bytes(copy) == storage.bytes(copy)));
}
