//! Readers during a change of the table.

use super::*;
use hregion::Get;
use std::fmt;

type Act = Box<dyn FnOnce() + Send>;

/// A storage that calls a function before a call that creates, removes or lists objects.
struct Between {
    inner: FaultyStorage,
    /// Whether the function is called before a listing.
    before_lists: bool,
    left: Mutex<(u64, Option<Act>)>,
}

impl fmt::Debug for Between {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl Between {
    fn new(storage: &FaultyStorage, before_lists: bool) -> Arc<Self> {
        Arc::new(Self { inner: storage.clone(), before_lists, left: Mutex::new((0, None)) })
    }

    /// Calls a function before the call after `n` more.
    fn act(&self, n: u64, act: Act) {
        *self.left.lock().unwrap() = (n, Some(act));
    }

    fn has_acted(&self) -> bool {
        self.left.lock().unwrap().1.is_none()
    }

    fn count(&self, lists: bool) {
        if lists != self.before_lists {
            return;
        }
        let mut left = self.left.lock().unwrap();
        let act = if left.0 == 0 { left.1.take() } else { None };
        left.0 = left.0.saturating_sub(1);
        drop(left);
        if let Some(act) = act {
            act();
        }
    }
}

impl Storage for Between {
    forward!(inner: open create_log hard_link rename remove_dir sync_file sync_dir);
    forward!(inner: create_dir_all lock optional);

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.count(true);
        self.inner.list_dir(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn hregion::io::FileWriter>> {
        self.count(false);
        self.inner.create(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn hregion::io::FileWriter>> {
        self.count(false);
        self.inner.create_new(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.count(false);
        self.inner.remove(path)
    }
}

/// A table that was opened before, and is first read between two calls, is never read in part.
#[test]
fn a_reader_never_has_rows_of_both_tables() {
    let changes = TableChanges::new().delete_family("f");
    let of_g: Vec<String> = old_values().into_iter().filter(|cell| cell.contains("/g:")).collect();
    type Change<'c> = &'c dyn Fn(&RegionOptions) -> Result<()>;
    let restore: Change<'_> = &|options| Table::restore_snapshot(ROOT, "s", options.clone())?.close();
    let all: [(&str, Change<'_>, Vec<String>); 4] = [
        ("truncate", &|options| Table::truncate(ROOT, T, true, options), Vec::new()),
        ("delete", &|options| Table::delete_table(ROOT, T, options), Vec::new()),
        ("alter", &|options| Table::alter(ROOT, T, &changes, options), of_g),
        ("restore", restore, old_values()),
    ];
    for (name, change, new) in all {
        let (before, old) =
            if name == "restore" { (bucket_since(false), later_values()) } else { (bucket(), old_values()) };
        let (mut old_reads, mut errors) = (0, 0);
        for n in 0.. {
            let storage = before.copy();
            let reader = Arc::new(open(&storage, T, false).unwrap());
            let seen = Arc::new(Mutex::new(None));
            let act: Act = {
                let (reader, seen) = (Arc::clone(&reader), Arc::clone(&seen));
                Box::new(move || {
                    let read = reader.get(&Get::new("a").max_versions(u32::MAX));
                    *seen.lock().unwrap() = Some(read.map(|row| row.cells().map(text).collect::<Vec<_>>()));
                })
            };
            let between = Between::new(&storage, false);
            between.act(n, act);
            let changed = options(&storage).storage(Arc::clone(&between) as Arc<dyn Storage>);
            change(&changed).unwrap();
            let Some(first) = seen.lock().unwrap().take() else {
                assert!(n > 10 && old_reads > 0, "{name}: {n}");
                println!("{name}: {n} calls, {old_reads} of the old table, {errors} errors");
                break;
            };
            let of_row = |row: &str, cells: &[String]| -> Vec<String> {
                cells.iter().filter(|cell| cell.starts_with(row)).cloned().collect()
            };
            let rest = reader.get(&Get::new("n").max_versions(u32::MAX));
            let rest = rest.map(|row| row.cells().map(text).collect::<Vec<_>>());
            match (first, rest) {
                (Ok(first), Ok(rest)) => {
                    let is = |all: &[String]| first == of_row("a", all) && rest == of_row("n", all);
                    old_reads += u64::from(is(&old));
                    // As with local files, each region has the families with which it was opened.
                    let is_altered =
                        name == "alter" && first == of_row("a", &old) && rest == of_row("n", &new);
                    let shown = format!("{name}, call {n}: {first:?}, {rest:?}");
                    assert!(is(&old) || is(&new) || is_altered, "{shown}");
                    old_reads += u64::from(is_altered);
                }
                (first, _) => {
                    old_reads += u64::from(first.is_ok());
                    errors += 1;
                }
            }
        }
    }
}

/// Also if the truncation is completed, and its record removed, while the reader opens a region.
#[test]
fn a_reader_never_takes_an_old_region_for_one_of_the_new_table() {
    let truncate = |storage: &FaultyStorage| Table::truncate(ROOT, T, true, &options(storage));
    let cut_off = |n: u64, storage: &FaultyStorage| {
        storage.die_after(n);
        let truncated = truncate(storage);
        assert!(storage.has_died(), "{n}: {truncated:?}");
        storage.heal();
    };
    // The descriptor exists, and no region is archived.
    let unchanged = bucket();
    let at = (0..).find(|n| {
        let storage = unchanged.copy();
        let (before, first) = (region_names(&storage), last_number(&storage));
        cut_off(*n, &storage);
        let has_info = |name: &String| objects(&storage).contains(&Path::new(name).join(".regioninfo"));
        last_number(&storage) == first + 2 && before.iter().all(has_info)
    });
    let at = at.unwrap();
    for n in 0.. {
        let storage = unchanged.copy();
        let between = Between::new(&storage, true);
        let options = options(&storage).storage(Arc::clone(&between) as Arc<dyn Storage>);
        let reader = Table::open_with(ROOT, T, options).unwrap();
        let opened = open(&storage, T, true).unwrap();
        cut_off(at, &storage);
        // As another process would.
        let archive = move || opened.archive_parents().map(drop);
        between.act(n, Box::new(|| std::thread::spawn(archive).join().unwrap().unwrap()));
        let read = |row: &str| {
            let row = reader.get(&Get::new(row).max_versions(u32::MAX));
            row.map(|row| row.cells().map(text).collect::<Vec<_>>())
        };
        if let (Ok(first), Ok(rest)) = (read("a"), read("n")) {
            assert_eq!(first.is_empty(), rest.is_empty(), "listing {n}: {first:?}, {rest:?}");
        }
        if !between.has_acted() {
            assert!(n > 1, "{n}");
            break;
        }
    }
}

/// The encoded name of a region of the table with all rows, created at 9000.
const CREATED: &str = "deebf0fa8248108c32de93527e018a53";

/// Otherwise it would not be removed with the other regions, or could be written to during the change.
#[test]
fn a_region_that_is_created_meanwhile_is_seen() {
    let altered = TableChanges::new().delete_family("f");
    type Change<'c> = &'c dyn Fn(&RegionOptions) -> Result<()>;
    let changes: [(&str, Change<'_>); 3] = [
        ("truncate", &|options| Table::truncate(ROOT, T, true, options)),
        ("delete", &|options| Table::delete_table(ROOT, T, options)),
        ("alter", &|options| Table::alter(ROOT, T, &altered, options)),
    ];
    for (name, change) in changes {
        let storage = bucket();
        let files = store_files(&storage, "");
        let created = Arc::new(Mutex::new(None));
        let between = Between::new(&storage, false);
        let act: Act = {
            let (created, storage) = (Arc::clone(&created), storage.clone());
            Box::new(move || {
                // Later than the others, so that it replaces them.
                let options = options(&storage).clock(Arc::new(ManualClock::new(9000))).table(T);
                let options = options.writable(true).create_if_missing(true);
                let options = families().into_iter().fold(options, RegionOptions::family);
                let region = options.open(Path::new(ROOT).join("data/ns/t").join(CREATED)).unwrap();
                *created.lock().unwrap() = Some(region);
            })
        };
        // Before the file of the change is created.
        between.act(0, act);
        let changed = options(&storage).storage(Arc::clone(&between) as Arc<dyn Storage>);
        assert_eq!(change(&changed).unwrap_err().kind(), ErrorKind::Locked, "{name}");
        let region = created.lock().unwrap().take().unwrap();
        region.put(Put::new("a").cell_at("g", "q", 5, "new")).unwrap();
        region.close().unwrap();
        let mut left = store_files(&storage, "");
        left.retain(|path| !path.starts_with(CREATED));
        assert_eq!(left, files, "{name}");
    }
}
