//! A table that two processes change at the same time, each through its own region.

use crate::moved_files::options;
use crate::support::forward::forward;
use crate::support::trackers::with_list;
use hregion::io::faulty::FaultyStorage;
use hregion::io::{FileReader, FileWriter};
use hregion::{Error, ErrorKind, Family, Get, Put, Result, Storage, Table};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

const ROOT: &str = "root";

type Other = Box<dyn FnOnce() + Send>;

/// A storage in which another process acts during a call.
struct Meddled {
    inner: FaultyStorage,
    moment: Moment,
    other: Arc<Mutex<Option<Other>>>,
}

/// The time at which the other process acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// Before the root is locked.
    Lock,
    /// Before a descriptor is read.
    Read,
    /// Before a descriptor is created.
    Create,
    /// After a descriptor was written. The call also fails.
    Written,
}

impl fmt::Debug for Meddled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Meddled").finish_non_exhaustive()
    }
}

impl Meddled {
    fn meddle_at(&self, moment: Moment, is_place: bool) {
        if moment == self.moment && is_place {
            meddle(&self.other);
        }
    }
}

fn meddle(other: &Mutex<Option<Other>>) {
    let other = other.lock().unwrap().take();
    if let Some(other) = other {
        other();
    }
}

fn is_descriptor(path: &Path) -> bool {
    path.parent().is_some_and(|dir| dir.ends_with(".tabledesc"))
}

impl Storage for Meddled {
    forward!(inner: create_log rename hard_link remove remove_dir sync_file sync_dir list_dir);
    forward!(inner: create_dir_all optional);

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        self.meddle_at(Moment::Read, is_descriptor(path));
        self.inner.open(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.meddle_at(Moment::Create, is_descriptor(path));
        let file = self.inner.create(path)?;
        if self.moment == Moment::Written && is_descriptor(path) {
            return Ok(Box::new(Unanswered { file, other: Arc::clone(&self.other) }));
        }
        Ok(file)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.meddle_at(Moment::Create, is_descriptor(path));
        self.inner.create_new(path)
    }

    fn lock(&self, path: &Path) -> io::Result<hregion::io::FileLock> {
        self.meddle_at(Moment::Lock, path.parent() == Some(Path::new(ROOT)));
        self.inner.lock(path)
    }
}

/// A file whose last call is carried out without an answer.
struct Unanswered {
    file: Box<dyn FileWriter>,
    other: Arc<Mutex<Option<Other>>>,
}

impl fmt::Debug for Unanswered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unanswered").finish_non_exhaustive()
    }
}

impl FileWriter for Unanswered {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()?;
        meddle(&self.other);
        Err(io::ErrorKind::TimedOut.into())
    }
}

fn family(name: &str) -> Family {
    with_list(Family::new(name.to_owned()))
}

/// Returns a file system, or an object store, with a table of two regions.
fn storage_with_table(objects: bool) -> FaultyStorage {
    let storage = FaultyStorage::new();
    if objects {
        storage.has_objects();
    }
    let options = options(Arc::new(storage.clone()));
    Table::create_with(ROOT, "t", &[family("f")], &["m"], options).unwrap().close().unwrap();
    storage
}

/// Returns the directories of the table's regions.
fn regions(storage: &FaultyStorage) -> [PathBuf; 2] {
    let table = Table::open_with(ROOT, "t", options(Arc::new(storage.clone()))).unwrap();
    let path =
        |region: &hregion::RegionInfo| Path::new(ROOT).join("data/default/t").join(region.encoded_name());
    let regions = table.regions();
    [path(&regions[0]), path(&regions[1])]
}

/// Adds a family by opening a region, and writes to it.
fn add(storage: Arc<dyn Storage>, region: &Path, name: &str, row: &str) -> Result<()> {
    let region = options(storage).writable(true).alter(true).family(family(name)).open(region)?;
    region.put(Put::new(row.to_owned()).cell(name.to_owned(), "q", "v"))?;
    // As if the process was killed: its acknowledged writes are in its log.
    region.abort()
}

fn expect_refusal(result: &Result<()>) -> bool {
    match result {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
            false
        }
    }
}

/// Each process locks only its region. If both wrote a descriptor of the same number, one of the families and
/// its cells would be lost.
#[test]
fn families_that_two_processes_add_are_both_there() {
    // Descriptors of the same length, and of different lengths.
    for (name, moment) in [("y", Moment::Lock), ("yyyy", Moment::Lock), ("y", Moment::Create)] {
        for objects in [false, true] {
            let storage = storage_with_table(objects);
            let [one, two] = regions(&storage);
            let added = Arc::new(Mutex::new(None));
            let other: Other = {
                let (added, storage) = (Arc::clone(&added), Arc::new(storage.clone()));
                Box::new(move || *added.lock().unwrap() = Some(add(storage, &one, "x", "a")))
            };
            let meddled =
                Meddled { inner: storage.clone(), moment, other: Arc::new(Mutex::new(Some(other))) };
            let is_mine = expect_refusal(&add(Arc::new(meddled), &two, name, "z"));
            let is_others = expect_refusal(
                added.lock().unwrap().as_ref().unwrap_or_else(|| panic!("{name} {moment:?} {objects}")),
            );
            assert!(is_mine || is_others, "{name} {moment:?}");
            let shared: Arc<dyn Storage> = Arc::new(storage.clone());
            let table = Table::open_with(ROOT, "t", options(shared).writable(true)).unwrap();
            for (row, name, is_there) in [("a", "x", is_others), ("z", name, is_mine)] {
                let value = table.get(&Get::new(row)).unwrap().value(name, "q").map(<[u8]>::to_vec);
                assert_eq!(value, is_there.then(|| b"v".to_vec()), "{row} {name} {moment:?} {objects}");
            }
            table.close().unwrap();
        }
    }
}

/// A process that adds a family removes the old descriptor, which another one has just listed.
#[test]
fn a_descriptor_that_is_replaced_before_it_is_read_is_read_again() {
    for objects in [false, true] {
        let storage = storage_with_table(objects);
        let [one, two] = regions(&storage);
        let other: Other = {
            let storage = Arc::new(storage.clone());
            Box::new(move || add(storage, &one, "x", "a").unwrap())
        };
        let other = Arc::new(Mutex::new(Some(other)));
        let moment = Moment::Read;
        let meddled = Meddled { inner: storage, moment, other: Arc::clone(&other) };
        let region = options(Arc::new(meddled)).open(&two).unwrap();
        assert!(other.lock().unwrap().is_none());
        let names: Vec<&[u8]> = region.families().map(Family::name).collect();
        assert_eq!(names, [b"f", b"x"], "{objects}");
    }
}

/// The last request of the creation has no answer. The table exists, and another process uses it.
#[test]
fn a_creation_that_fails_at_its_end_removes_nothing_that_others_have_written() {
    let storage = FaultyStorage::new();
    storage.has_objects();
    let other: Other = {
        let storage = storage.clone();
        Box::new(move || {
            let options = options(Arc::new(storage)).writable(true);
            let table = Table::open_with(ROOT, "t", options).unwrap();
            table.put(Put::new("a").cell("f", "q", "v")).unwrap();
            table.flush().unwrap();
            table.put(Put::new("z").cell("f", "q", "v")).unwrap();
            table.close().unwrap();
        })
    };
    let other = Arc::new(Mutex::new(Some(other)));
    let meddled: Arc<dyn Storage> =
        Arc::new(Meddled { inner: storage.clone(), moment: Moment::Written, other: Arc::clone(&other) });
    let create = |storage| Table::create_with(ROOT, "t", &[family("f")], &["m"], options(storage)).map(drop);
    let error: Error = create(meddled).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(other.lock().unwrap().is_none());
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let table = Table::open_with(ROOT, "t", options(Arc::clone(&shared)).writable(true)).unwrap();
    for row in ["a", "z"] {
        assert_eq!(table.get(&Get::new(row)).unwrap().value("f", "q"), Some(&b"v"[..]), "{row}");
    }
    table.close().unwrap();
    assert!(create(shared).unwrap_err().is_already_exists());
}
