//! Hooks that load files, in an object store.

use super::objects::{RECORD, delete, recorded, world};
use super::{INPUT, ROOT, expected, options, rows, write};
use crate::support::in_time::within_a_minute;
use hregion::io::faulty::FaultyStorage;
use hregion::region::ObserverContext;
use hregion::{RegionObserver, Result, Table};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const OTHER: &str = "/other/f/0a";

/// Loads a file in the first call of a hook, and keeps the result.
#[derive(Debug)]
struct Loading {
    hook: &'static str,
    is_called: AtomicBool,
    outcome: Mutex<Option<Result<()>>>,
}

impl Loading {
    fn at(&self, hook: &str, context: &ObserverContext<'_>) -> Result<()> {
        if hook == self.hook
            && let Some(region) = context.region()
            && !self.is_called.swap(true, Ordering::Relaxed)
        {
            let outcome = region.bulk_load(&[("f", OTHER)]);
            *self.outcome.lock().unwrap() = Some(outcome);
        }
        Ok(())
    }

    fn outcome(&self) -> Result<()> {
        self.outcome.lock().unwrap().take().expect("the hook is called")
    }
}

impl RegionObserver for Loading {
    fn pre_close(&self, context: &mut ObserverContext<'_>) -> Result<()> {
        self.at("pre_close", context)
    }

    fn pre_bulk_load_hfile(&self, context: &mut ObserverContext<'_>, _: &[(Vec<u8>, PathBuf)]) -> Result<()> {
        self.at("pre_bulk_load_hfile", context)
    }

    fn post_bulk_load_hfile(
        &self,
        context: &mut ObserverContext<'_>,
        _: &[(Vec<u8>, PathBuf)],
    ) -> Result<()> {
        self.at("post_bulk_load_hfile", context)
    }
}

/// Opens the table, with a hook that loads a file.
fn open(storage: &FaultyStorage, hook: &'static str) -> (Table, Arc<Loading>) {
    let loading = Arc::new(Loading { hook, is_called: AtomicBool::new(false), outcome: Mutex::new(None) });
    let observer = Arc::clone(&loading) as Arc<dyn RegionObserver>;
    let options = options(storage).writable(true).observer(0, observer);
    (Table::open_with(ROOT, "t", options).unwrap(), loading)
}

/// A load is cut off after the split has checked for unfinished loads.
#[test]
fn a_load_beside_a_split_is_not_made_twice() {
    let storage = world();
    write(&storage, OTHER, &["b", "d"]);
    let (table, loading) = open(&storage, "pre_close");
    storage.stick(OTHER);
    let error = table.split("c").unwrap_err();
    assert!(error.to_string().contains(RECORD), "{error}");
    let outcome = loading.outcome().unwrap_err();
    assert_eq!(outcome.path(), Some(Path::new(OTHER)), "{outcome}");
    assert_eq!(table.regions().len(), 3);
    let loaded = ["b/f=/other/f/0a", "d/f=/other/f/0a"];
    assert_eq!(rows(&table), loaded);
    delete(&table, &loaded.map(str::to_owned));
    storage.repair();
    assert_eq!(table.bulk_load("/other").unwrap().loaded, 0);
    assert_eq!((rows(&table).len(), recorded(&storage)), (0, 0));
    table.split("c").unwrap();
    assert_eq!((table.regions().len(), rows(&table).len()), (4, 0));
}

/// A hook of a load may load the same file, which is then loaded by the hook only.
#[test]
fn a_hook_of_a_load_may_load_files() {
    for hook in ["pre_bulk_load_hfile", "post_bulk_load_hfile"] {
        within_a_minute(hook, move || {
            let storage = world();
            write(&storage, OTHER, &["c"]);
            let (table, loading) = open(&storage, hook);
            assert_eq!(table.bulk_load(INPUT).unwrap().loaded, 5, "{hook}");
            loading.outcome().unwrap();
            let mut all = expected();
            all.insert(3, format!("c/f={OTHER}"));
            assert_eq!((rows(&table), recorded(&storage)), (all, 0), "{hook}");

            let storage = world();
            write(&storage, OTHER, &["c"]);
            let (table, loading) = open(&storage, hook);
            let loaded = table.region("c").unwrap().bulk_load(&[("f", OTHER)]);
            loading.outcome().unwrap();
            match loaded {
                Err(error) => assert!(hook.starts_with("pre") && error.is_not_found(), "{hook}: {error}"),
                Ok(()) => assert!(hook.starts_with("post"), "{hook}"),
            }
            assert_eq!((rows(&table), recorded(&storage)), (vec![format!("c/f={OTHER}")], 0), "{hook}");
            assert_eq!(table.region("c").unwrap().store_file_names("f").unwrap().len(), 1, "{hook}");
        });
    }
}
