//! What another process does to a table while it is created, restored or deleted.

use super::*;
use hregion::Get;
use std::fmt;

type IsTime = Box<dyn Fn(&Path) -> bool + Send + Sync>;
type Act = Box<dyn FnOnce() + Send>;

/// A storage in which another process does something once, after a directory has been made durable.
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

/// Whether a path is below a table that is being filled, under a hidden name.
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
    // now that it is closed, it can be replaced
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
    let storage = Arc::new(CreatesRegion {
        local: hregion::LocalStorage,
        root: dir.path().to_owned(),
        opened: Mutex::default(),
    });
    let shared: Arc<dyn Storage> = Arc::clone(&storage) as _;
    let restored = Table::restore_snapshot(dir.path(), "s", Region::options().storage(shared));
    assert_eq!(restored.map(drop).unwrap_err().kind(), ErrorKind::Locked);
    let region = storage.opened.lock().unwrap().take().unwrap();
    region.put(Put::new("x").cell_at("f", "q", 5, "v")).unwrap();
    region.close().unwrap();
    let table = Table::open(dir.path(), "t").unwrap();
    assert_eq!(table.regions().len(), 2);
    assert!(!table.get(&Get::new("a")).unwrap().is_empty());
    assert!(!dir.path().join(".tmp/data/default/t").exists());
}

/// The options may be those of a region that was created: a region that is gone is an error.
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
