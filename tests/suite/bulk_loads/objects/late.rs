//! Requests of a dead process that are carried out late.

use super::super::{INPUT, ROOT, expected, open, open_regions, options, rows, write};
use super::{RECORD, check_repeated, recorded, records, world};
use crate::support::crashes::one_in;
use crate::support::forward::forward;
use crate::support::trackers::with_list;
use hregion::io::faulty::FaultyStorage;
use hregion::io::{FileWriter, Storage};
use hregion::{ErrorKind, Family, Region, Table, TableChanges};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// A storage whose nth creation of a file, or removal, is carried out late, or is carried out without an
/// answer. All later calls that change something fail.
#[derive(Debug)]
struct Late {
    files: FaultyStorage,
    state: Arc<Mutex<LateState>>,
}

#[derive(Debug, Default)]
struct LateState {
    /// The number of requests before the late one.
    left: u64,
    is_over: bool,
    late: Option<Request>,
}

#[derive(Debug)]
enum Request {
    Put(Box<dyn FileWriter>),
    Remove(PathBuf),
}

impl LateState {
    fn check(&self) -> io::Result<()> {
        if self.is_over { Err(io::Error::other("the storage makes no more changes")) } else { Ok(()) }
    }

    /// Whether a request is the late one.
    fn is_late(&mut self) -> io::Result<bool> {
        self.check()?;
        self.is_over = self.left == 0;
        self.left = self.left.saturating_sub(1);
        Ok(self.is_over)
    }
}

#[derive(Debug)]
struct LateWriter {
    file: Option<Box<dyn FileWriter>>,
    path: PathBuf,
    state: Arc<Mutex<LateState>>,
}

impl FileWriter for LateWriter {
    fn path(&self) -> &Path {
        &self.path
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.as_mut().ok_or(io::ErrorKind::Other)?.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if !state.is_late()? {
            return self.file.as_mut().ok_or(io::ErrorKind::Other)?.sync();
        }
        state.late = self.file.take().map(Request::Put);
        Err(io::Error::other("no answer"))
    }
}

impl Late {
    fn writer(&self, path: &Path, file: io::Result<Box<dyn FileWriter>>) -> io::Result<Box<dyn FileWriter>> {
        let (file, state) = (Some(file?), Arc::clone(&self.state));
        Ok(Box::new(LateWriter { file, path: path.to_owned(), state }))
    }
}

impl Storage for Late {
    forward!(files: open create_log rename hard_link remove_dir sync_file sync_dir);
    forward!(files: list_dir create_dir_all lock optional);

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.state.lock().unwrap().check()?;
        self.writer(path, self.files.create(path))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.state.lock().unwrap().check()?;
        self.writer(path, self.files.create_new(path))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state.lock().unwrap();
        if !state.is_late()? {
            return self.files.remove(path);
        }
        state.late = Some(Request::Remove(path.to_owned()));
        Err(io::Error::other("no answer"))
    }
}

/// When a late request is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// At once; only its answer is lost.
    AtOnce,
    /// After another process has opened the table.
    AfterOpening,
    /// After the other process has loaded the files.
    AfterAll,
}

fn each_request_is_late(step: usize) {
    for when in [When::AtOnce, When::AfterOpening, When::AfterAll] {
        for n in one_in(step) {
            let shown = format!("request {n}, {when:?}");
            let storage = world();
            let state = Arc::new(Mutex::new(LateState { left: u64::MAX, ..LateState::default() }));
            let late = Late { files: storage.clone(), state: Arc::clone(&state) };
            let late = Region::options().storage(Arc::new(late));
            let table = Table::open_with(ROOT, "t", late.writable(true)).unwrap();
            open_regions(&table);
            state.lock().unwrap().left = n;
            let loaded = table.bulk_load(INPUT);
            drop(table);
            let request = state.lock().unwrap().late.take();
            let is_over = request.is_none();
            // The result of a late request has no receiver.
            let carry_out = || match request {
                Some(Request::Put(mut file)) => drop(file.sync()),
                Some(Request::Remove(path)) => drop(storage.remove(&path)),
                None => {}
            };
            match when {
                When::AtOnce => {
                    carry_out();
                    check_repeated(&storage, loaded.is_ok(), || (), &shown);
                }
                When::AfterOpening => check_repeated(&storage, loaded.is_ok(), carry_out, &shown),
                When::AfterAll => {
                    check_repeated(&storage, loaded.is_ok(), || (), &shown);
                    let before = rows(&open(&storage));
                    carry_out();
                    let table = open(&storage);
                    assert_eq!(rows(&table), before, "{shown}");
                    write(&storage, "/input/g/0f", &["c"]);
                    assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 1, "{shown}");
                    assert_eq!(rows(&table).len(), before.len() + 1, "{shown}");
                    assert_eq!(recorded(&storage), 0, "{shown}");
                }
            }
            if is_over {
                loaded.unwrap_or_else(|error| panic!("{shown}: {error}"));
                assert!(n > 20, "{n}");
                break;
            }
        }
    }
}

#[test]
fn a_late_request_loads_nothing_twice() {
    each_request_is_late(2);
}

#[test]
#[ignore = "takes long"]
fn no_late_request_loads_anything_twice() {
    each_request_is_late(1);
}

/// Loads the input with a request that is late. Returns the storage, and the request.
fn late_at(n: u64) -> (FaultyStorage, Request) {
    let storage = world();
    let state = Arc::new(Mutex::new(LateState { left: u64::MAX, ..LateState::default() }));
    let late = Late { files: storage.clone(), state: Arc::clone(&state) };
    let table =
        Table::open_with(ROOT, "t", Region::options().storage(Arc::new(late)).writable(true)).unwrap();
    open_regions(&table);
    state.lock().unwrap().left = n;
    table.bulk_load(INPUT).unwrap_err();
    drop(table);
    let late = state.lock().unwrap().late.take().expect("each request is one that is late");
    (storage, late)
}

/// A family is deleted and added again before the first list of a load that was cut off is created.
#[test]
fn a_late_list_is_ignored_by_a_family_that_was_added_again() {
    let found = (0..).find_map(|n| match late_at(n) {
        (storage, Request::Put(list)) if list.path().ends_with("f/.filelist/f1.1") => Some((storage, list)),
        _ => None,
    });
    let (storage, mut list) = found.unwrap();
    let alter = |changes: TableChanges| Table::alter(ROOT, "t", &changes, &options(&storage));
    let lists = || {
        let mut names = storage.names();
        names.retain(|path| path.parent().is_some_and(|dir| dir.ends_with("f/.filelist")));
        names
    };
    assert_eq!(alter(TableChanges::new().delete_family("f")).unwrap_err().kind(), ErrorKind::Unsupported);
    // The load is abandoned.
    for record in records(&storage) {
        storage.remove(&record).unwrap();
    }
    alter(TableChanges::new().delete_family("f")).unwrap();
    let made = lists();
    assert!(made.len() == 3 && made.iter().all(|path| path.ends_with("f1.1")), "{made:?}");
    for _ in 0..2 {
        let again = alter(TableChanges::new().delete_family("f")).unwrap_err();
        assert_eq!(again.kind(), ErrorKind::NoSuchFamily);
    }
    alter(TableChanges::new().family(with_list(Family::new("f")))).unwrap();
    assert_eq!(lists(), made, "lists that nothing needs");
    assert_eq!(list.sync().unwrap_err().kind(), io::ErrorKind::AlreadyExists);
    let table = open(&storage);
    assert!(rows(&table).iter().all(|cell| cell.contains("/g=")), "{:?}", rows(&table));
    table.bulk_load(INPUT).unwrap();
    assert_eq!(rows(&table), expected());
    table.close().unwrap();
    assert_eq!(rows(&open(&storage)), expected());
}

/// A family is deleted before the record of files to be added to it is created. The deletion is cut off, and
/// repeated.
#[test]
fn a_late_record_of_a_deleted_family_is_ignored() {
    let is_of_files = |(storage, late): &(FaultyStorage, Request)| {
        matches!(late, Request::Put(file) if file.path().ends_with(RECORD)) && !records(storage).is_empty()
    };
    let at = (0..).find(|n| is_of_files(&late_at(*n))).unwrap();
    for n in one_in(7) {
        let (storage, late) = late_at(at);
        let Request::Put(mut record) = late else { unreachable!("it is the same each time") };
        let alter = |changes: TableChanges| Table::alter(ROOT, "t", &changes, &options(&storage));
        let without_f = || alter(TableChanges::new().delete_family("f"));
        storage.die_after(n);
        let altered = without_f();
        let has_died = storage.has_died();
        storage.heal();
        let shown = format!("call {n}: {altered:?}");
        if has_died && let Err(error) = without_f() {
            assert_eq!(error.kind(), ErrorKind::NoSuchFamily, "{shown}");
        }
        assert_eq!(record.sync().unwrap_err().kind(), io::ErrorKind::AlreadyExists, "{shown}");
        let table = open(&storage);
        table.split("c").unwrap_or_else(|error| panic!("{shown}: {error}"));
        table.close().unwrap();
        alter(TableChanges::new().family(with_list(Family::new("f")))).unwrap();
        let table = open(&storage);
        table.bulk_load(INPUT).unwrap_or_else(|error| panic!("{shown}: {error}"));
        assert_eq!((rows(&table), recorded(&storage)), (expected(), 0), "{shown}");
        if !has_died {
            altered.unwrap();
            break;
        }
    }
}
