//! Changes of a table by another process while it is created, restored or deleted.

use super::*;
use hregion::io::FileLock;
use hregion::{Error, Get};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

type IsTime = Box<dyn Fn(&Path) -> bool + Send + Sync>;
type Act = Box<dyn FnOnce() + Send>;

/// A storage in which another process acts once, after a directory has been made durable.
pub(super) struct Meanwhile<S> {
    inner: S,
    is_time: IsTime,
    act: Mutex<Option<Act>>,
}

impl<S: Storage> Meanwhile<S> {
    pub(super) fn storage(
        inner: S,
        is_time: impl Fn(&Path) -> bool + Send + Sync + 'static,
        act: impl FnOnce() + Send + 'static,
    ) -> Arc<dyn Storage>
    where
        S: 'static,
    {
        Arc::new(Self { inner, is_time: Box::new(is_time), act: Mutex::new(Some(Box::new(act))) })
    }
}

impl<S: fmt::Debug> fmt::Debug for Meanwhile<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<S: Storage> Storage for Meanwhile<S> {
    forward!(inner: open create create_new create_log hard_link rename remove remove_dir);
    forward!(inner: sync_file list_dir create_dir_all lock optional);

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.inner.sync_dir(path)?;
        let act = if (self.is_time)(path) { self.act.lock().unwrap().take() } else { None };
        if let Some(act) = act {
            act();
        }
        Ok(())
    }
}

/// Whether a path is below a table that is being filled under a hidden name.
fn is_aside(path: &Path) -> bool {
    path.iter().any(|part| part.to_str().is_some_and(|part| part.starts_with(".t.")))
}

fn put(table: &Table, row: &'static str) {
    table.put(Put::new(row).cell_at("f", "q", 5, "new")).unwrap();
}

#[test]
fn a_table_that_is_created_during_a_restoration_is_not_replaced_while_it_is_open() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().to_owned();
    let table = Table::create(&root, "t", &[Family::new("f")], &[""; 0]).unwrap();
    table.put(Put::new("old").cell_at("f", "q", 5, "old")).unwrap();
    table.snapshot("s").unwrap();
    table.close().unwrap();
    Table::delete_table(&root, "t", &Region::options()).unwrap();
    let opened = Arc::new(Mutex::new(None));
    let act = {
        let (root, opened) = (root.clone(), Arc::clone(&opened));
        move || {
            let table = Table::create(&root, "t", &[Family::new("f")], &["m"]).unwrap();
            put(&table, "a");
            *opened.lock().unwrap() = Some(table);
        }
    };
    let options = Region::options().storage(Meanwhile::storage(hregion::LocalStorage, is_aside, act));
    let error = Table::restore_snapshot(&root, "s", options).map(drop).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    let table = opened.lock().unwrap().take().unwrap();
    put(&table, "n");
    table.close().unwrap();
    let table = Table::open(&root, "t").unwrap();
    assert_eq!(cells(&table), ["a/f:q/5=new", "n/f:q/5=new"]);
    // after it is closed, it can be replaced
    let table = Table::restore_snapshot(&root, "s", Region::options()).unwrap();
    assert_eq!(cells(&table), ["old/f:q/5=old"]);
}

#[test]
fn a_region_that_is_created_during_a_restoration_keeps_its_table() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[""; 0]).unwrap();
    table.snapshot("s").unwrap();
    put(&table, "a");
    table.close().unwrap();
    let storage = CreatesRegion::new(dir.path());
    let options = Region::options().storage(Arc::clone(&storage) as _);
    let restored = Table::restore_snapshot(dir.path(), "s", options);
    assert_eq!(restored.map(drop).unwrap_err().kind(), ErrorKind::Locked);
    assert!(!storage.check_kept().get(&Get::new("a")).unwrap().is_empty());
}

/// A storage with locks that can be lost.
#[derive(Debug)]
struct Leases {
    local: hregion::LocalStorage,
    are_lost: Arc<AtomicBool>,
}

impl Leases {
    fn new() -> Self {
        Self { local: hregion::LocalStorage, are_lost: Arc::default() }
    }
}

impl Storage for Leases {
    forward!(local: open create create_new create_log rename hard_link remove remove_dir);
    forward!(local: sync_file sync_dir list_dir create_dir_all optional);

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        let held = (self.local.lock(path)?, Arc::clone(&self.are_lost));
        Ok(FileLock::with_check(held, |held| match held.1.load(Ordering::SeqCst) {
            true => Err(io::ErrorKind::WouldBlock.into()),
            false => Ok(()),
        }))
    }
}

/// The process opens a region that it has created, and removes the new content of the table.
#[test]
fn a_table_that_cannot_be_truncated_stays() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[""; 0]).unwrap();
    put(&table, "a");
    table.close().unwrap();
    let (path, aside) = (dir.path().join("data/default/t"), dir.path().join(".tmp/data/default"));
    let is_time = move |path: &Path| path == aside && aside.join(".t.new").exists();
    let act = move || {
        let leases = Arc::new(Leases::new());
        create_region(&path, Region::options().storage(leases)).close().unwrap();
    };
    let options = Region::options().storage(Meanwhile::storage(hregion::LocalStorage, is_time, act));
    let error = Table::truncate(dir.path(), "t", false, &options).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let table = Table::open(dir.path(), "t").unwrap();
    assert_eq!(table.regions().len(), 2);
    assert!(!table.get(&Get::new("a")).unwrap().is_empty());
    Table::truncate(dir.path(), "t", false, &options).unwrap();
    assert_eq!(cells(&Table::open(dir.path(), "t").unwrap()), [""; 0]);
}

/// A storage in which another process takes a lock that was lost, and opens the region, right before the
/// table is moved away.
#[derive(Debug)]
struct TakesLock {
    leases: Leases,
    root: PathBuf,
}

impl Storage for TakesLock {
    forward!(leases: open create create_new create_log hard_link remove remove_dir);
    forward!(leases: sync_file sync_dir list_dir create_dir_all lock optional);

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if from == self.root.join("data/default/t") && !self.leases.are_lost.swap(true, Ordering::SeqCst) {
            self.leases.remove_dir(&self.root.join(".tmp/data/default"))?;
        }
        self.leases.rename(from, to)
    }
}

#[test]
fn a_table_of_which_another_process_has_opened_a_region_is_not_moved_away() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &[""; 0]).unwrap();
    put(&table, "a");
    table.close().unwrap();
    let storage = TakesLock { leases: Leases::new(), root: dir.path().to_owned() };
    let options = Region::options().storage(Arc::new(storage));
    let error = Table::delete_table(dir.path(), "t", &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
    assert_eq!(cells(&Table::open(dir.path(), "t").unwrap()), ["a/f:q/5=new"]);
}

#[test]
fn a_table_of_which_another_process_has_a_lock_is_not_altered() {
    let dir = tempfile::tempdir().unwrap();
    Table::create(dir.path(), "t", &[Family::new("f")], &[""; 0]).unwrap().close().unwrap();
    let leases = Leases::new();
    let are_lost = Arc::clone(&leases.are_lost);
    let act = move || are_lost.store(true, Ordering::SeqCst);
    let is_time = |path: &Path| path.ends_with("t/.tabledesc");
    let options = Region::options().storage(Meanwhile::storage(leases, is_time, act));
    let changes = TableChanges::new().set("OWNER", "other");
    let error = Table::alter(dir.path(), "t", &changes, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
}

/// The options may create a region: a missing region is an error.
#[test]
fn a_table_that_was_deleted_does_not_come_back_by_a_write() {
    let storage = root();
    let creating = options(&storage).create_if_missing(true).family(Family::new("f"));
    let creating = creating.family(Family::new("g").max_versions(3));
    let table = Table::open_with(ROOT, T, creating).unwrap();
    Table::delete_table(ROOT, T, &options(&storage)).unwrap();
    let names = storage.names();
    table.put(Put::new("a").cell_at("f", "q", 5, "new")).unwrap_err();
    assert!(table.get(&Get::new("n")).is_err());
    assert_eq!((values(&storage, T), storage.names()), (None, names));
    let families = [Family::new("f"), Family::new("g").max_versions(3)];
    let table = Table::create_with(ROOT, T, &families, &["m"], options(&storage)).unwrap();
    assert!(cells(&table).is_empty());
}

/// The change that another process makes to the table in a root.
type Change = fn(&Path);

/// When another process changes a table, while a directory is listed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// Right before.
    Before,
    /// After the names have been read, but before their types are determined: names that are gone by then are
    /// omitted.
    During,
}

/// A storage in which another process changes a table once, while a directory is listed.
#[derive(Debug)]
struct AtListing {
    local: hregion::LocalStorage,
    root: PathBuf,
    /// The number of listings up to that one.
    left: AtomicUsize,
    moment: Moment,
    act: Change,
}

impl AtListing {
    fn new(root: &Path, listing: usize, moment: Moment, act: Change) -> Arc<Self> {
        let (local, left) = (hregion::LocalStorage, AtomicUsize::new(listing));
        Arc::new(Self { local, root: root.to_owned(), left, moment, act })
    }
}

impl Storage for AtListing {
    forward!(local: open create create_new create_log hard_link rename remove remove_dir);
    forward!(local: sync_file sync_dir create_dir_all lock optional);

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let next = |left: usize| left.checked_sub(1);
        let is_now = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) == Ok(1);
        if is_now && matches!(self.moment, Moment::Before) {
            (self.act)(&self.root);
        }
        let mut entries = self.local.list_dir(path)?;
        if is_now && matches!(self.moment, Moment::During) {
            (self.act)(&self.root);
            entries.retain(|entry| path.join(&entry.name).exists());
        }
        Ok(entries)
    }
}

/// Without its descriptor, the table would be read with all versions of all cells.
#[test]
fn a_descriptor_that_is_replaced_while_it_is_listed_is_read() {
    let alter = |root: &Path| {
        let changes = TableChanges::new().family(Family::new("g").max_versions(3));
        Table::alter(root, "t", &changes, &Region::options()).unwrap();
    };
    for listing in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let table = Table::create(dir.path(), "t", &[Family::new("f"), Family::new("g")], &["m"]).unwrap();
        for timestamp in [5, 6] {
            for row in ["a", "x"] {
                table.put(Put::new(row).cell_at("f", "q", timestamp, "v")).unwrap();
            }
            table.flush().unwrap();
        }
        table.close().unwrap();
        let storage = AtListing::new(dir.path(), listing, Moment::During, alter);
        let options = Region::options().storage(Arc::clone(&storage) as _);
        let table = Table::open_with(dir.path(), "t", options).unwrap();
        let mut cells = 0;
        let read = table.for_each_row(&Scan::new().max_versions(u32::MAX), |row| {
            cells += row.len();
            Ok::<_, Error>(ControlFlow::Continue(()))
        });
        read.unwrap();
        assert_eq!(cells, 2, "{listing}");
        if storage.left.load(Ordering::Relaxed) > 0 {
            assert!(listing > 10);
            break;
        }
    }
}

/// Returns the number of cells in a scan of all regions of a table.
fn count(root: &Path, storage: Arc<dyn Storage>) -> Result<usize> {
    let table = Table::open_with(root, "t", Region::options().storage(storage))?;
    let mut cells = 0;
    table.for_each_row(&Scan::new(), |row| {
        cells += row.len();
        Ok::<_, Error>(ControlFlow::Continue(()))
    })?;
    Ok(cells)
}

/// The families of a missing region have no directories, but this does not mean that they have no files.
#[test]
fn a_region_that_is_gone_once_it_is_read_is_not_read_as_an_empty_one() {
    let delete = |root: &Path| Table::delete_table(root, "t", &Region::options()).unwrap();
    let truncate = |root: &Path| Table::truncate(root, "t", true, &Region::options()).unwrap();
    let split = |root: &Path| {
        let table = Table::open_with(root, "t", Region::options().writable(true)).unwrap();
        let parent = root.join("data/default/t").join(table.regions()[1].encoded_name());
        table.split("x").unwrap();
        table.compact(Compaction::Major).unwrap();
        table.close().unwrap();
        assert!(!parent.exists(), "it is archived by the compaction");
    };
    let acts: [(Change, Option<usize>, Option<&str>); 3] = [
        (delete, None, Some("another process has split, merged or removed")),
        (truncate, Some(0), Some("open the table again")),
        (split, Some(4), None), // its rows are in other regions
    ];
    for (act, after, refusal) in acts {
        let mut gone = 0;
        for listing in 1.. {
            let dir = tempfile::tempdir().unwrap();
            let families = [Family::new("f"), Family::new("g")];
            let table = Table::create(dir.path(), "t", &families, &["m"]).unwrap();
            for row in ["a", "x"] {
                table.put(Put::new(row).cell_at("f", "q", 5, "v").cell_at("g", "q", 5, "v")).unwrap();
            }
            table.close().unwrap();
            let storage = AtListing::new(dir.path(), listing, Moment::Before, act);
            match count(dir.path(), Arc::clone(&storage) as _) {
                Ok(cells) => assert!(cells == 4 || Some(cells) == after, "{listing}: {cells} cells"),
                Err(error) if refusal.is_some_and(|refusal| error.message().contains(refusal)) => gone += 1,
                Err(error) => {
                    assert!(refusal.is_some(), "{listing}: {error}");
                    assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::TableNotFound), "{error}");
                }
            }
            if storage.left.load(Ordering::Relaxed) > 0 {
                break;
            }
        }
        assert_eq!(gone > 1, refusal.is_some(), "{gone} listings");
    }
}

/// A storage in which another process archives a region right before it is locked.
#[derive(Debug)]
struct ArchivesRegion {
    local: hregion::LocalStorage,
    region: PathBuf,
    to: PathBuf,
}

impl Storage for ArchivesRegion {
    forward!(local: open create create_new create_log hard_link rename remove remove_dir);
    forward!(local: sync_file sync_dir list_dir create_dir_all optional);

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        if path.starts_with(&self.region) && self.region.exists() {
            fs::rename(&self.region, &self.to)?;
        }
        self.local.lock(path)
    }
}

#[test]
fn a_region_that_is_archived_before_it_is_locked_need_not_be() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "t", &[Family::new("f")], &["m"]).unwrap();
    table.close().unwrap();
    let region = dir.path().join("data/default/t").join(table.regions()[1].encoded_name());
    let (local, to) = (hregion::LocalStorage, dir.path().join("archived"));
    let storage: Arc<dyn Storage> = Arc::new(ArchivesRegion { local, region, to: to.clone() });
    Table::delete_table(dir.path(), "t", &Region::options().storage(storage)).unwrap();
    assert!(to.exists() && !dir.path().join("data/default/t").exists());
}

/// The regions have the same names before and after a restoration.
#[test]
fn a_table_that_is_restored_while_it_is_read_is_read_as_one_of_both() {
    let restore = |root: &Path| {
        Table::restore_snapshot(root, "s", Region::options()).unwrap().close().unwrap();
    };
    let (mut numbers, mut errors) = ([0; 2], 0);
    for listing in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let families = [Family::new("f"), Family::new("g")];
        let table = Table::create(dir.path(), "t", &families, &["m"]).unwrap();
        table.snapshot("s").unwrap();
        for row in ["a", "x"] {
            table.put(Put::new(row).cell_at("f", "q", 5, "v").cell_at("g", "q", 5, "v")).unwrap();
        }
        table.close().unwrap();
        let storage = AtListing::new(dir.path(), listing, Moment::Before, restore);
        match count(dir.path(), Arc::clone(&storage) as _) {
            Ok(cells) => {
                assert!([0, 4].contains(&cells), "{listing}: {cells} cells");
                numbers[usize::from(cells == 4)] += 1;
            }
            Err(error) if error.message().contains("by the content of a snapshot") => errors += 1,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::Io | ErrorKind::TableNotFound), "{error}");
            }
        }
        if storage.left.load(Ordering::Relaxed) > 0 {
            break;
        }
    }
    assert!(numbers[0] > 1 && numbers[1] > 0 && errors > 1, "{numbers:?}, {errors} errors");
}

/// Before any of the listings of a process that archives a parent, another one archives it, or tries to.
#[test]
fn a_parent_that_another_process_archives_meanwhile_need_not_be() {
    let archive = |root: &Path| {
        let table = Table::open_with(root, "t", Region::options().writable(true)).unwrap();
        match table.archive_parents() {
            Err(error) => assert_eq!(error.kind(), ErrorKind::Locked, "{error}"),
            Ok(archived) => assert!(archived.len() <= 1, "{archived:?}"),
        }
    };
    let mut archived_here = [0; 2];
    for listing in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let table = Table::create(dir.path(), "t", &[Family::new("f")], &["m"]).unwrap();
        for row in ["a", "h", "n"] {
            put(&table, row);
        }
        let parent = dir.path().join("data/default/t").join(table.regions()[0].encoded_name());
        table.split("g").unwrap();
        for info in table.regions() {
            table.region(info.start_key()).unwrap().compact(Compaction::Major).unwrap();
        }
        table.close().unwrap();
        assert!(parent.exists());
        let storage = AtListing::new(dir.path(), usize::MAX, Moment::Before, archive);
        let options = Region::options().storage(Arc::clone(&storage) as _).writable(true);
        let table = Table::open_with(dir.path(), "t", options).unwrap();
        storage.left.store(listing, Ordering::Relaxed);
        let archived = table.archive_parents().unwrap_or_else(|error| panic!("{listing}: {error}")).len();
        archived_here[archived] += 1;
        let was_changed = storage.left.swap(0, Ordering::Relaxed) == 0;
        assert!(!parent.exists(), "{listing}");
        assert_eq!(cells(&table), ["a/f:q/5=new", "h/f:q/5=new", "n/f:q/5=new"], "{listing}");
        if !was_changed {
            break;
        }
    }
    assert!(archived_here[0] > 1 && archived_here[1] > 1, "{archived_here:?}");
}

/// A storage in which only one file can be archived.
#[derive(Debug, Default)]
struct ArchivesOne {
    local: hregion::LocalStorage,
    archived: AtomicUsize,
}

impl Storage for ArchivesOne {
    forward!(local: open create create_new create_log hard_link remove remove_dir);
    forward!(local: sync_file sync_dir list_dir create_dir_all lock optional);

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if to.iter().any(|part| part == "archive") && self.archived.fetch_add(1, Ordering::Relaxed) > 0 {
            return Err(io::Error::other("no more files"));
        }
        self.local.rename(from, to)
    }
}

/// The files of a family that is deleted are archived one by one.
#[test]
fn a_family_is_read_with_all_of_its_files_or_none() {
    let delete = |root: &Path| {
        let options = Region::options().storage(Arc::new(ArchivesOne::default()));
        Table::alter(root, "t", &TableChanges::new().delete_family("g"), &options).unwrap_err();
    };
    let mut numbers = [0; 2];
    for listing in 1.. {
        let dir = tempfile::tempdir().unwrap();
        let families = [Family::new("f"), Family::new("g")];
        let table = Table::create(dir.path(), "t", &families, &[""; 0]).unwrap();
        table.put(Put::new("a").cell_at("f", "q", 5, "v")).unwrap();
        for row in ["a", "b", "c"] {
            table.put(Put::new(row).cell_at("g", "q", 5, "v")).unwrap();
            table.flush().unwrap();
        }
        table.close().unwrap();
        let storage = AtListing::new(dir.path(), listing, Moment::Before, delete);
        let cells = count(dir.path(), Arc::clone(&storage) as _).unwrap();
        assert!([1, 4].contains(&cells), "{listing}: {cells} cells");
        numbers[usize::from(cells == 4)] += 1;
        if storage.left.load(Ordering::Relaxed) > 0 {
            break;
        }
    }
    assert!(numbers[0] > 3 && numbers[1] > 0, "{numbers:?}");
}
