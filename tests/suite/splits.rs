//! Splits and merges of the regions of a table.

mod faults;
mod parents;
mod random;
mod refused;
mod stopped;
mod threads;

use crate::support::files;
use crate::support::forward::forward;
use crate::support::protobuf::unsealed;
use crate::support::trackers::with_list;
use hregion::io::DirEntry;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::locator::{CatalogRow, MetaRegion, RegionState, RetryPolicy, RootDir};
use hregion::{
    Compaction, Delete, ErrorKind, Family, Get, Locator, ManualClock, Put, Region, RegionInfo, RegionOptions,
    Scan, Storage, Table, TableChanges, TableName,
};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const ROOT: &str = "/hbase";
const TABLE: &str = "/hbase/data/default/t";

fn options(storage: &FaultyStorage) -> RegionOptions {
    Region::options().storage(Arc::new(storage.clone())).clock(Arc::new(ManualClock::new(1000)))
}

fn families() -> [Family; 2] {
    [Family::new("f").max_versions(3), Family::new("g")]
}

/// In an object store, lists track the files of all families.
fn tracked(storage: &FaultyStorage, family: Family) -> Family {
    match storage.can_rename(Path::new(ROOT)) {
        true => family,
        false => with_list(family),
    }
}

fn create(storage: &FaultyStorage, splits: &[&str]) -> Table {
    let families = families().map(|family| tracked(storage, family));
    Table::create_with(ROOT, "t", &families, splits, options(storage)).unwrap()
}

fn open(storage: &FaultyStorage, writable: bool) -> Table {
    Table::open_with(ROOT, "t", options(storage).writable(writable)).unwrap()
}

/// Changes the table in a process that dies after `n` calls. Returns what it leaves, if it has died, and the
/// result of the change.
fn died_after<T>(
    before: &FaultyStorage,
    n: u64,
    change: impl FnOnce(&Table) -> hregion::Result<T>,
) -> (Option<FaultyStorage>, hregion::Result<T>) {
    let storage = before.copy();
    let table = open(&storage, true);
    storage.die_after(n);
    let changed = change(&table);
    drop(table);
    (storage.has_died().then(|| storage.after(Crash::OfTheProcess)), changed)
}

fn put(row: &str, value: &str) -> Put {
    Put::new(row.to_owned()).cell("f", "q", value.to_owned()).cell("g", "q", value.to_owned())
}

/// All versions of all cells, by a scan; the same by a reversed scan; and by gets.
fn values(table: &Table) -> Vec<String> {
    assert!(table.inconsistencies().is_empty(), "{:?}", table.inconsistencies());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let rows = |scan: Scan| {
        let rows = table.scan(scan.max_versions(u32::MAX)).unwrap().map(|row| {
            let row = row.unwrap();
            let cell = |cell: hregion::CellRef<'_>| {
                let (family, time) = (text(cell.family()), cell.timestamp());
                format!("{}/{family}/{time}={}", text(cell.row()), text(cell.value()))
            };
            let cells: Vec<String> = row.cells().map(cell).collect();
            let got = table.get(&Get::new(row.key()).max_versions(u32::MAX)).unwrap();
            assert_eq!(got.cells().map(cell).collect::<Vec<_>>(), cells);
            cells
        });
        rows.collect::<Vec<_>>()
    };
    let forward = rows(Scan::new());
    let mut backward = rows(Scan::new().reversed(true));
    backward.reverse();
    assert_eq!(forward, backward);
    forward.concat()
}

fn bounds(table: &Table) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    table.regions().iter().map(|info| (text(info.start_key()), text(info.end_key()))).collect()
}

fn expected_bounds(starts: &[&str]) -> Vec<(String, String)> {
    let ends = starts[1..].iter().chain(&[""]);
    starts.iter().zip(ends).map(|(start, end)| (start.to_string(), end.to_string())).collect()
}

/// The names below the table's directory that contain a text.
fn names(storage: &FaultyStorage, text: &str) -> Vec<PathBuf> {
    let names = storage.names().into_iter().map(|path| Path::new("/").join(path));
    names.filter(|path| path.starts_with(TABLE) && path.to_string_lossy().contains(text)).collect()
}

fn compact(table: &Table) {
    for info in table.regions() {
        table.region(info.start_key()).unwrap().compact(Compaction::Major).unwrap();
    }
}

/// The number of directories of regions.
fn region_dirs(storage: &FaultyStorage) -> usize {
    files::region_dirs(storage, Path::new(TABLE))
}

/// The directory of the catalog's region.
const META: &str = "/hbase/data/hbase/meta/1588230740";

/// Creates a catalog with the regions of the table, as HBase writes it.
fn add_catalog(storage: &FaultyStorage, table: &Table) {
    let options = options(storage).clock(Arc::new(ManualClock::new(1))).table("hbase:meta");
    let (info, table_state) = (Family::new("info").max_versions(3), Family::new("table"));
    let options = options.create_if_missing(true).family(tracked(storage, info));
    let meta = options.family(tracked(storage, table_state)).open(META).unwrap();
    meta.put(Put::new("t").cell_at("table", "state", 900, &b"\x08\x00"[..])).unwrap();
    for info in table.regions() {
        let file = storage.bytes(&Path::new(TABLE).join(info.encoded_name()).join(".regioninfo")).unwrap();
        // In the catalog the message has no length prefix and no seal.
        let cell = [&file[..4], &unsealed(&file)[5..]].concat();
        let row = Put::new(info.name()).cell_at("info", "regioninfo", 900, cell);
        let row = row.cell_at("info", "state", 900, "OPEN").cell_at("info", "server", 900, "host:1");
        meta.put(row.cell_at("info", "serverstartcode", 900, 5_i64.to_be_bytes().to_vec())).unwrap();
    }
    meta.close().unwrap();
}

/// Checks that the catalog has the regions of the table, and returns its rows, by the first keys of regions.
fn check_catalog(storage: &FaultyStorage, table: &Table) -> Vec<CatalogRow> {
    let meta = MetaRegion::from(options(storage).open(META).unwrap());
    let root = RootDir::with_storage(Arc::new(storage.clone()), ROOT);
    let locator = Locator::new(Arc::new(root), Arc::new(meta)).retries(RetryPolicy::no_retries());
    let found = locator.needs_server(false).regions(table.name()).unwrap();
    assert_eq!(found.iter().map(|row| row.region().clone()).collect::<Vec<_>>(), table.regions());
    found
}

#[test]
fn the_catalog_has_the_regions_that_replace_others() {
    let storage = FaultyStorage::new();
    let table = create(&storage, &["m", "t"]);
    add_catalog(&storage, &table);
    for row in ["a", "d", "n", "x"] {
        table.put(put(row, "1")).unwrap();
    }
    let regions = table.regions();
    let (bottom, top) = table.split("c").unwrap();
    let merged = table.merge(&regions[1], &regions[2]).unwrap();
    let rows = check_catalog(&storage, &table);
    assert_eq!(rows[2].merge_parents(), &regions[1..]);
    assert!(rows.iter().all(|row| row.assignments()[0].state == Some(RegionState::Offline)));
    let row_of = |region: &RegionInfo| {
        let meta = options(&storage).open(META).unwrap();
        let row = meta.get(&Get::new(region.name()).family("info")).unwrap();
        (!row.is_empty()).then(|| CatalogRow::parse(row.as_row()).unwrap())
    };
    let parent = row_of(&regions[0]).unwrap();
    assert!(parent.is_split_parent() && parent.region().is_offline());
    assert_eq!((parent.daughters(), row_of(&regions[1])), (&[bottom, top][..], None));
    // Another process has the catalog open: nothing changes.
    compact(&table);
    let held = options(&storage).writable(true).open(META).unwrap();
    let names = storage.names();
    assert_eq!(table.split("n").unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!(table.archive_parents().unwrap_err().kind(), ErrorKind::Locked);
    assert_eq!((storage.names(), table.regions().len()), (names, 3));
    held.close().unwrap();
    assert_eq!(table.archive_parents().unwrap().len(), 3);
    assert_eq!(check_catalog(&storage, &table)[2].merge_parents(), &[]);
    assert_eq!((row_of(&regions[0]), row_of(&merged).is_some()), (None, true));
    assert!(table.archive_parents().unwrap().is_empty());
}

#[test]
fn the_daughters_of_a_split_have_all_rows() {
    let storage = FaultyStorage::new();
    let table = create(&storage, &[]);
    // A file below the split row, one above it, one on both sides, and one without cells in the other family.
    for rows in [&["a", "b"][..], &["x", "z"], &["b", "m", "y"]] {
        rows.iter().for_each(|row| table.put(put(row, &rows.len().to_string())).unwrap());
        table.flush().unwrap();
    }
    table.delete(Delete::new("x")).unwrap();
    table.put(put("l", "log")).unwrap();
    let before = values(&table);
    let (bottom, top) = table.split("m").unwrap();
    assert_eq!(bounds(&table), expected_bounds(&["", "m"]));
    assert_eq!(table.regions(), [bottom.clone(), top.clone()]);
    assert_eq!(values(&table), before);
    let suffix = names(&storage, &format!("{}/f/", bottom.encoded_name()));
    assert_eq!(suffix.len(), 3, "the file above the row has no bottom half: {suffix:?}");
    assert_eq!(
        names(&storage, &format!("{}/f/", top.encoded_name())).len(),
        3,
        "x-z, b-y, l with x's delete"
    );
    assert!(names(&storage, ".change").is_empty());
    // Equal keys are ordered by sequence ids: the daughters have greater ones.
    for row in ["a", "y"] {
        table.put(put(row, "later")).unwrap();
    }
    let later = values(&table);
    assert_ne!(later, before);
    assert!(later.contains(&"a/f/1000=later".to_owned()) && later.contains(&"y/g/1000=later".to_owned()));
    let error = table.split("c").unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.to_string().contains("compact"), "{error}");
    assert!(table.archive_parents().unwrap().is_empty(), "the daughters need it");
    table.close().unwrap();
    for writable in [false, true] {
        let table = open(&storage, writable);
        assert_eq!(bounds(&table), expected_bounds(&["", "m"]));
        assert_eq!(values(&table), later);
        table.close().unwrap();
    }
    let table = open(&storage, true);
    table.region("a").unwrap().compact(Compaction::Major).unwrap();
    assert!(table.archive_parents().unwrap().is_empty(), "one daughter needs it");
    table.region("m").unwrap().compact(Compaction::Major).unwrap();
    let archived = table.archive_parents().unwrap();
    assert_eq!(archived.len(), 1);
    assert!(archived[0].start_key().is_empty() && archived[0].end_key().is_empty());
    assert_eq!((region_dirs(&storage), values(&table)), (2, later.clone()));
    table.split("c").unwrap();
    table.split("p").unwrap();
    assert_eq!((bounds(&table), values(&table)), (expected_bounds(&["", "c", "m", "p"]), later.clone()));
    compact(&table);
    assert_eq!(table.archive_parents().unwrap().len(), 2);
    assert_eq!((region_dirs(&storage), values(&table)), (4, later));
}

#[test]
fn a_file_may_end_or_begin_with_the_row_of_a_split() {
    for (rows, in_bottom) in [(["a", "m"], 1), (["m", "z"], 0)] {
        let storage = FaultyStorage::new();
        let table = create(&storage, &[]);
        rows.iter().for_each(|row| table.put(put(row, "v")).unwrap());
        let before = values(&table);
        let (bottom, top) = table.split("m").unwrap();
        assert_eq!(values(&table), before, "{rows:?}");
        let halves = |region: &RegionInfo| names(&storage, &format!("{}/f/", region.encoded_name())).len();
        assert_eq!((halves(&bottom), halves(&top)), (in_bottom, 1), "{rows:?}");
    }
}

/// A storage in which another process acts once, right before a change of regions is published.
#[derive(Debug)]
struct BeforePublication {
    files: FaultyStorage,
    act: Mutex<Option<fn(&FaultyStorage)>>,
}

impl Storage for BeforePublication {
    forward!(files: open create create_new create_log hard_link rename remove_dir);
    forward!(files: sync_file sync_dir list_dir create_dir_all lock optional);

    fn remove(&self, path: &Path) -> io::Result<()> {
        let is_change = path.file_name().unwrap().to_str().unwrap().starts_with(".change.");
        let act = if is_change { self.act.lock().unwrap().take() } else { None };
        if let Some(act) = act {
            act(&self.files);
        }
        self.files.remove(path)
    }
}

/// Another process finds that the catalog lacks a region, and corrects its rows according to the directories.
#[test]
fn a_split_that_the_catalog_has_is_not_taken_back_before_it_is_published() {
    let storage = FaultyStorage::new();
    let table = create(&storage, &["m"]);
    add_catalog(&storage, &table);
    for row in ["a", "d", "n", "x"] {
        table.put(put(row, "1")).unwrap();
    }
    let (before, second) = (values(&table), table.regions()[1].clone());
    table.close().unwrap();
    let meta = options(&storage).writable(true).open(META).unwrap();
    meta.delete(Delete::new(second.name())).unwrap();
    meta.close().unwrap();
    let act: fn(&FaultyStorage) = |storage| {
        let other = open(storage, true);
        other.split("t").unwrap();
        other.close().unwrap();
    };
    let meanwhile = Arc::new(BeforePublication { files: storage.clone(), act: Mutex::new(Some(act)) });
    let with = options(&storage).storage(Arc::clone(&meanwhile) as _).writable(true);
    let table = Table::open_with(ROOT, "t", with).unwrap();
    table.split("c").unwrap();
    assert!(meanwhile.act.lock().unwrap().is_none());
    table.close().unwrap();
    let table = open(&storage, true);
    assert_eq!((bounds(&table), values(&table)), (expected_bounds(&["", "c", "m", "t"]), before));
    check_catalog(&storage, &table);
}

/// A storage in which a listing of the table takes several steps: in the next listings, the files of changes
/// are made after the first step.
#[derive(Debug)]
struct ListedInSteps {
    files: FaultyStorage,
    /// The number of these listings.
    left: AtomicUsize,
}

impl Storage for ListedInSteps {
    forward!(files: open create create_new create_log hard_link rename remove remove_dir);
    forward!(files: sync_file sync_dir create_dir_all lock optional);

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = self.files.list_dir(path)?;
        let take = |left: usize| left.checked_sub(1);
        if path == Path::new(TABLE)
            && self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
        {
            entries.retain(|entry| !entry.name.to_str().unwrap().starts_with(".change."));
        }
        Ok(entries)
    }
}

#[test]
fn daughters_are_not_read_before_they_are_complete_if_a_listing_takes_several_steps() {
    for has_objects in [false, true] {
        let before = FaultyStorage::new();
        if has_objects {
            before.has_objects();
        }
        let table = create(&before, &[]);
        for row in ["a", "m", "x"] {
            table.put(put(row, "1")).unwrap();
        }
        let expected = values(&table);
        table.close().unwrap();
        let mut announced = 0;
        for n in 0.. {
            let (files, split) = died_after(&before, n, |table| table.split("m"));
            let Some(files) = files else {
                assert!(split.is_ok() && announced > 5, "objects {has_objects}: {n} calls, {announced}");
                break;
            };
            if names(&files, "/.change.").is_empty() {
                continue;
            }
            announced += 1;
            // The first one finds out whether the table exists.
            let in_steps = ListedInSteps { files: files.clone(), left: AtomicUsize::new(2) };
            let table = Table::open_with(ROOT, "t", options(&files).storage(Arc::new(in_steps))).unwrap();
            assert_eq!(values(&table), expected, "objects {has_objects}, call {n}");
        }
    }
}

/// A storage in which each listing of the table has other names than the one before it.
#[derive(Debug)]
struct CountedListings {
    files: FaultyStorage,
    /// The number of these listings.
    count: AtomicUsize,
}

impl Storage for CountedListings {
    forward!(files: open create create_new create_log hard_link rename remove remove_dir);
    forward!(files: sync_file sync_dir create_dir_all lock optional);

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut entries = self.files.list_dir(path)?;
        if path == Path::new(TABLE) {
            let count = self.count.fetch_add(1, Ordering::Relaxed);
            let mut other = entries[0].clone();
            other.name = format!(".other.{count}").into();
            entries.push(other);
        }
        Ok(entries)
    }
}

/// Each listing of a large table takes many requests. A table that other processes keep changing can be read.
#[test]
fn a_table_with_parents_is_listed_three_times() {
    for has_objects in [false, true] {
        let storage = FaultyStorage::new();
        if has_objects {
            storage.has_objects();
        }
        let table = create(&storage, &[]);
        for row in ["a", "m", "x"] {
            table.put(put(row, "1")).unwrap();
        }
        let open = || {
            let counted = CountedListings { files: storage.clone(), count: AtomicUsize::new(0) };
            let counted = Arc::new(counted);
            let storage = Arc::clone(&counted) as Arc<dyn Storage>;
            let table = Table::open_with(ROOT, "t", options(&counted.files).storage(storage)).unwrap();
            // The first one finds out whether the table exists.
            (table, counted.count.load(Ordering::Relaxed))
        };
        let expected = values(&table);
        assert_eq!(open().1, 2, "objects {has_objects}");
        table.split("m").unwrap();
        table.close().unwrap();
        assert_eq!(region_dirs(&storage), 3, "objects {has_objects}");
        let (table, listings) = open();
        assert_eq!((values(&table), listings), (expected, 3), "objects {has_objects}");
    }
}

#[test]
fn a_merged_region_has_all_rows() {
    let storage = FaultyStorage::new();
    let table = create(&storage, &["h", "p"]);
    for (i, row) in ["a", "h", "i", "p", "z"].iter().enumerate() {
        table.put(put(row, &i.to_string())).unwrap();
        table.flush().unwrap();
    }
    table.put(put("b", "log")).unwrap();
    let before = values(&table);
    let regions = table.regions();
    let merged = table.merge(&regions[1], &regions[2]).unwrap();
    assert_eq!((bounds(&table), values(&table)), (expected_bounds(&["", "h"]), before.clone()));
    let error = table.merge(&regions[0], &merged).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert_eq!((bounds(&table), values(&table)), (expected_bounds(&["", "h"]), before.clone()));
    table.put(put("h", "later")).unwrap();
    let later = values(&table);
    assert!(later.contains(&"h/f/1000=later".to_owned()));
    table.close().unwrap();
    let table = open(&storage, true);
    assert_eq!((bounds(&table), values(&table)), (expected_bounds(&["", "h"]), later.clone()));
    assert_eq!(table.archive_parents().unwrap(), []);
    compact(&table);
    assert_eq!(table.archive_parents().unwrap(), [regions[1].clone(), regions[2].clone()]);
    table.merge(&table.regions()[0], &table.regions()[1]).unwrap();
    assert_eq!((bounds(&table), values(&table)), (expected_bounds(&[""]), later));
}

#[test]
fn views_and_scanners_keep_what_they_have_read() {
    let storage = FaultyStorage::new();
    let table = create(&storage, &["p"]);
    for row in ["a", "b", "m", "n", "p", "q"] {
        table.put(put(row, "1")).unwrap();
    }
    let before = values(&table);
    let keys = |rows: &mut dyn Iterator<Item = hregion::Result<hregion::Row>>| -> String {
        rows.map(|row| String::from_utf8(row.unwrap().key().to_vec()).unwrap()).collect()
    };
    let (view, whole) = (table.view(), Scan::new());
    let mut scanner = view.scan(&whole).unwrap();
    let mut owned = table.scan(Scan::new()).unwrap();
    let mut backward = table.scan(Scan::new().reversed(true)).unwrap();
    assert_eq!(scanner.next_row().unwrap().unwrap().key(), b"a");
    assert_eq!(owned.next_row().unwrap().unwrap().key(), b"a");
    assert_eq!(backward.next_row().unwrap().unwrap().key(), b"q");
    let unread = table.view();
    let parent = table.region("a").unwrap();
    table.split("m").unwrap();
    for row in ["aa", "mm"] {
        table.put(put(row, "2")).unwrap();
    }
    table.delete(Delete::new("b")).unwrap();
    compact(&table);
    assert_eq!(table.archive_parents().unwrap().len(), 1);
    table.split("mm").unwrap();
    compact(&table);
    table.merge(&table.regions()[2], &table.regions()[3]).unwrap();
    assert_eq!(bounds(&table), expected_bounds(&["", "m", "mm"]));
    assert_eq!(keys(&mut scanner), "bmnpq");
    assert_eq!(keys(&mut owned), "bmnpq");
    assert_eq!(keys(&mut backward), "pnmba");
    assert_eq!(keys(&mut view.scan(&whole).unwrap()), "abmnpq");
    assert_eq!(keys(&mut unread.scan(&whole).unwrap()), "abmnpq", "as they were when they were split");
    assert_eq!(unread.get_many(&[Get::new("q"), Get::new("b")]).unwrap().len(), 2);
    assert_eq!(keys(&mut table.scan(Scan::new()).unwrap()), "aaammmnpq");
    // A handle of the parent reads its old content, and cannot write.
    assert_eq!(parent.get(&Get::new("b")).unwrap().len(), 2);
    assert_eq!(parent.put(put("b", "3")).unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(parent.flush().unwrap_err().kind(), ErrorKind::Closed);
    assert_eq!(parent.compact(Compaction::Major).unwrap_err().kind(), ErrorKind::Closed);
    assert_ne!(values(&table), before);
    drop((scanner, owned, backward, unread, parent));
    let after = values(&table);
    table.close().unwrap();
    assert_eq!(values(&open(&storage, false)), after);
}

/// The directories determine the serving regions; a locator over them returns the same.
#[test]
fn a_locator_finds_daughters_and_merged_regions() {
    let dir = tempfile::tempdir().unwrap();
    let table = Table::create(dir.path(), "ns:t", &families(), &["h", "p"]).unwrap();
    for row in ["a", "i", "q"] {
        table.put(put(row, "1")).unwrap();
    }
    let (_, top) = table.split("c").unwrap();
    let regions = table.regions();
    let merged = table.merge(&regions[2], &regions[3]).unwrap();
    let locator = Locator::open(dir.path()).unwrap();
    let name = TableName::parse("ns:t").unwrap();
    for (row, region) in [("c", &top), ("h", &merged), ("z", &merged)] {
        assert_eq!(locator.locate(&name, row).unwrap().region(), region);
    }
    let found = locator.regions(&name).unwrap();
    assert_eq!(found.iter().map(|row| row.region().clone()).collect::<Vec<_>>(), table.regions());
}

/// Writes rows from 000 to 499, which fill several blocks.
fn put_500(table: &Table) {
    let value = "v".repeat(1000);
    for i in 0..500 {
        table.put(put(&format!("{i:03}"), &value)).unwrap();
    }
    table.flush().unwrap();
}

#[test]
fn the_row_to_split_at_follows_the_policy_of_the_table() {
    const POLICY: &str = "SPLIT_POLICY";
    const TYPE: &str = "hbase.regionserver.region.split_restriction.type";
    let storage = FaultyStorage::new();
    let table = create(&storage, &[]);
    put_500(&table);
    let middle = table.split_point("").unwrap().unwrap();
    table.close().unwrap();
    let middle = std::str::from_utf8(&middle).unwrap();
    let point = |settings: &[(&str, &str)]| {
        let unset = [POLICY, TYPE].iter().fold(TableChanges::new(), |changes, key| changes.unset(*key));
        let changes = settings.iter().fold(unset, |changes, (key, value)| changes.set(*key, *value));
        Table::alter(ROOT, "t", &changes, &options(&storage)).unwrap();
        open(&storage, false).split_point("")
    };
    let package = "org.apache.hadoop.hbase.regionserver.";
    let [prefix, delimited, stepping] =
        ["KeyPrefixRegionSplitPolicy", "DelimitedKeyPrefixRegionSplitPolicy", "SteppingSplitPolicy"]
            .map(|name| format!("{package}{name}"));
    let last = &middle[1..2];
    let expected_last = middle.find(last).map(|at| &middle[..at]).unwrap();
    for (settings, expected) in [
        (&[(POLICY, prefix.as_str())][..], Some(middle)),
        (&[(POLICY, prefix.as_str()), ("prefix_split_key_policy.prefix_length", "2")], Some(&middle[..2])),
        (&[(POLICY, prefix.as_str()), ("KeyPrefixRegionSplitPolicy.prefix_length", "1")], Some(&middle[..1])),
        (
            &[(POLICY, delimited.as_str()), ("DelimitedKeyPrefixRegionSplitPolicy.delimiter", last)],
            Some(expected_last).filter(|row| !row.is_empty()),
        ),
        (&[(POLICY, stepping.as_str())], Some(middle)),
        (
            &[(TYPE, "KeyPrefix"), ("hbase.regionserver.region.split_restriction.prefix_length", "1")],
            Some(&middle[..1]),
        ),
    ] {
        let found = point(settings).unwrap();
        assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{settings:?}");
    }
    let error = point(&[(POLICY, "x.Policy")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("x.Policy"), "{error}");
}

#[test]
fn the_middle_of_the_largest_file_is_a_row_to_split_at() {
    let storage = FaultyStorage::new();
    let table = create(&storage, &[]);
    assert_eq!(table.split_point("").unwrap(), None);
    put_500(&table);
    let row = table.split_point("a").unwrap().unwrap();
    assert!(row.as_slice() > &b"200"[..] && row.as_slice() < &b"300"[..], "{row:?}");
    table.split(&row).unwrap();
    assert_eq!(values(&table).len(), 1000);
}

/// HBase: `StoreUtils.getFileSplitPoint`.
#[test]
fn a_row_to_split_at_is_neither_the_first_nor_the_last_one() {
    let storage = FaultyStorage::new();
    let table = create(&storage, &[]);
    // each row has a separate block
    let value = "v".repeat(100_000);
    for (row, expected) in [("a", None), ("b", None), ("c", Some(&b"b"[..]))] {
        table.put(put(row, &value)).unwrap();
        table.flush().unwrap();
        table.compact(Compaction::Major).unwrap();
        assert_eq!(table.split_point("").unwrap().as_deref(), expected, "{row}");
    }
}

/// HBase dies in a merge or split, when some of the new regions have directories, but not all files.
#[test]
fn a_change_that_hbase_has_begun_hides_no_rows() {
    // the regions before, whether they were created by a split, the bounds between the new ones, and how many
    // of these exist
    for (before, is_made_by_split, between, count) in [
        (&["m"][..], false, &[][..], 1),
        (&[][..], true, &[][..], 1),
        (&[][..], false, &["m"][..], 1),
        (&[][..], false, &["m"][..], 2),
        (&["m"][..], false, &["c", "m"][..], 1),
    ] {
        let shown = format!("{before:?} {is_made_by_split} {between:?} {count}");
        let storage = FaultyStorage::new();
        let table = create(&storage, before);
        for row in ["b", "y"] {
            table.put(put(row, "1")).unwrap();
        }
        add_catalog(&storage, &table);
        if is_made_by_split {
            table.split("m").unwrap();
        }
        let (expected, regions) = (values(&table), table.regions());
        table.close().unwrap();
        // The new regions before they have files, from an empty table.
        let scratch = FaultyStorage::new();
        let later = options(&scratch).clock(Arc::new(ManualClock::new(5000)));
        let mut new = Table::create_with(ROOT, "t", &families(), between, later).unwrap().regions();
        new.truncate(count);
        for info in &new {
            let dir = Path::new(TABLE).join(info.encoded_name());
            let bytes = scratch.bytes(&dir.join(".regioninfo")).unwrap();
            storage.create_dir_all(&dir.join("f")).unwrap();
            storage.create(&dir.join(".regioninfo")).unwrap().write_all(&bytes).unwrap();
        }
        let reader = open(&storage, false);
        assert_eq!((values(&reader), reader.regions()), (expected.clone(), regions.clone()), "{shown}");
        let refused = Table::open_with(ROOT, "t", options(&storage).writable(true)).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Inconsistent, "{shown}: {refused}");
        assert!(new.iter().any(|info| refused.to_string().contains(&info.encoded_name())), "{refused}");
        // With a sequence id, all files exist, and the catalog may be behind.
        for info in &new {
            let edits = Path::new(TABLE).join(info.encoded_name()).join("recovered.edits");
            storage.create_dir_all(&edits).unwrap();
            storage.create(&edits.join("9.seqid")).unwrap();
        }
        if new.first().is_some_and(|info| info.start_key().is_empty())
            && new.last().is_some_and(|info| info.end_key().is_empty())
        {
            let reader = open(&storage, false);
            assert_eq!((values(&reader), reader.regions()), (Vec::new(), new), "{shown}");
        }
    }
}
