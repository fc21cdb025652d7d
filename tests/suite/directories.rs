//! The guarantees for opening, creating and changing a region's directory (hfile.md §15).

mod descriptors;

use crate::support::files::copy_dir;
use crate::support::forward::forward;
use crate::support::no_sync::NoSync;
use crate::support::written::write_store_file;
use hregion::io::faulty::{Call, Crash, FaultyStorage};
use hregion::io::{DirEntry, FileReader};
use hregion::region::FileKind;
use hregion::{
    CellType, Compaction, Delete, Durability, ErrorKind, Family, HFileWriter, LocalStorage, Put, Region, Row,
    Scan, SeekKey, Storage, StoreFileOrigin, Table,
};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

fn testdata(stage: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/region").join(stage).join("root")
}

fn rows(region: &Region) -> Vec<Row> {
    let view = region.view();
    let scan = Scan::new().max_versions(u32::MAX);
    view.scan(&scan).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Writes a file with a cell of family `f` for each row.
fn write_file(path: &Path, rows: &[&str], origin: &StoreFileOrigin) {
    let cell = |row: &&str| (SeekKey::of(row.as_bytes(), b"f", b"q", 1, CellType::Put), b"loaded");
    write_store_file(HFileWriter::options(), path, rows.iter().map(cell), origin);
}

fn compacted(max_seq_id: i64, inputs: &[String]) -> StoreFileOrigin {
    let compacted = inputs.iter().map(|name| name.clone().into_bytes()).collect();
    StoreFileOrigin::Store { max_seq_id, major_compaction: true, compacted }
}

/// Counts the listings of a directory.
#[derive(Debug)]
struct Listings {
    storage: FaultyStorage,
    of: PathBuf,
    number: AtomicUsize,
}

impl Storage for Listings {
    forward!(storage: open create create_new create_log rename hard_link remove remove_dir create_dir_all);
    forward!(storage: lock sync_file sync_dir optional);

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.number.fetch_add(usize::from(path == self.of), Ordering::Relaxed);
        self.storage.list_dir(path)
    }
}

/// Opening a single region lists the directory of its table once.
#[test]
fn the_directory_of_a_table_is_listed_once_for_a_region() {
    let storage = FaultyStorage::new();
    let options = Region::options().storage(Arc::new(storage.clone()));
    let table = Table::create_with("/hbase", "t", &[Family::new("f")], &["m"], options).unwrap();
    let path = table.region("a").unwrap().path().to_owned();
    table.close().unwrap();
    let of = path.parent().unwrap().to_owned();
    let counting = Arc::new(Listings { storage, of, number: AtomicUsize::new(0) });
    let region = Region::options().storage(Arc::clone(&counting) as _).writable(true).open(&path).unwrap();
    region.put(Put::new("a").cell("f", "q", "v")).unwrap();
    assert_eq!(counting.number.load(Ordering::Relaxed), 1);
}

/// Many web servers list no directories. The file names contain the information that listings would give.
#[test]
fn files_are_opened_by_name_where_none_are_listed() {
    let storage = FaultyStorage::new();
    let options = || Region::options().storage(Arc::new(storage.clone()));
    let writer = options().writable(true).compaction_enabled(false);
    let table = Table::create_with("/hbase", "t", &[Family::new("f")], &["x"], writer).unwrap();
    for row in ["a", "m", "n"] {
        table.put(Put::new(row).cell("f", "q", "v")).unwrap();
    }
    table.split("m").unwrap();
    table.close().unwrap();
    let is_store_file = |path: &PathBuf| {
        let name = path.file_name().unwrap();
        path.parent().unwrap().ends_with("f") && !name.as_encoded_bytes().starts_with(b".")
    };
    let files = storage.names().into_iter().map(|path| Path::new("/").join(path));
    let files: Vec<PathBuf> = files.filter(is_store_file).collect();
    let read = |path: &PathBuf| rows(&options().open_files([path]).unwrap()).len();
    let listed: Vec<usize> = files.iter().map(read).collect();
    let mut sizes = listed.clone();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 3], "a file and its halves: {files:?}");
    storage.fail_with(io::ErrorKind::Unsupported);
    storage.break_calls(Call::ListDir);
    assert_eq!(files.iter().map(read).collect::<Vec<_>>(), listed);
    for path in &files {
        let missing = path.to_str().unwrap().replace("/f/", "/f/0");
        let error = options().open_files([Path::new(&missing)]).unwrap_err();
        assert!(error.is_not_found(), "{error}");
        assert!(options().hfile_of(path).unwrap().is_some());
    }
    // An empty file of a family is not a store file.
    let empty = files[0].with_file_name("0".repeat(32));
    storage.create(&empty).unwrap().sync().unwrap();
    assert_eq!(options().hfile_of(&empty).unwrap(), None);
    // Any other failure does not show whether the file exists.
    for kind in [io::ErrorKind::Other, io::ErrorKind::PermissionDenied, io::ErrorKind::TimedOut] {
        storage.fail_with(kind);
        for path in &files {
            let error = options().open_files([path]).unwrap_err();
            assert!(error.to_string().contains("cannot list"), "{error}");
        }
    }
}

fn files_in(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().unwrap().is_file())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A region that HBase wrote with a FILE tracker: flushes, compactions and bulk loads update the list.
#[test]
fn changes_of_a_tracked_region_are_listed() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("tracked-split"), dir.path());
    let table = dir.path().join("data/default/tracked");
    for encoded in ["50cfdb4114f32bf2118f7ccabaab9d87", "e17f7c157a8f8cea505dca3402a4a856"] {
        let path = table.join(encoded);
        let region = Region::options().writable(true).open(&path).unwrap();
        let before = rows(&region);
        let row = before[0].key().to_vec();
        assert!(before.len() > 3);
        region.compact(Compaction::Major).unwrap();
        assert_eq!(rows(&region), before);
        region.put(Put::new(row.clone()).cell("p", "new", "flushed")).unwrap();
        region.flush().unwrap();
        let expected = rows(&region);
        region.close().unwrap();
        let region = Region::open(&path).unwrap();
        assert_eq!(rows(&region), expected);
        for family in ["p", "q"] {
            let lists = files_in(&path.join(family).join(".filelist"));
            assert_eq!(lists.len(), 1, "{lists:?}");
            let names = region.store_file_names(family).unwrap();
            assert_eq!(names.len(), files_in(&path.join(family)).len(), "{names:?}");
        }
        // A file in the directory that is not on the list is ignored.
        let stray = path.join("p/0123456789abcdef0123456789abcdef");
        fs::copy(path.join("p").join(&region.store_file_names("p").unwrap()[0]), &stray).unwrap();
        let region = Region::options().writable(true).open(&path).unwrap();
        assert_eq!(rows(&region), expected);
        region.delete(Delete::new(row)).unwrap();
        region.flush().unwrap();
        region.compact(Compaction::Major).unwrap();
        let expected = rows(&region);
        assert_eq!(expected.len(), before.len() - 1);
        drop(region);
        assert_eq!(rows(&Region::open(&path).unwrap()), expected);
    }
}

/// The list of compacted files in a bulk-loaded file is ignored.
#[test]
fn a_bulk_loaded_file_hides_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let options = Region::options().create_if_missing(true).durability(Durability::SkipWal);
    let region = options.family(Family::new("f")).open(&path).unwrap();
    for row in 0..1000 {
        region.put(Put::new(format!("r{row:03}")).cell("f", "q", "v")).unwrap();
    }
    region.flush().unwrap();
    let names = region.store_file_names("f").unwrap();
    let load = dir.path().join("0a");
    write_file(&load, &["x"], &compacted(99, &names));
    region.bulk_load(&[("f", &load)]).unwrap();
    assert_eq!(rows(&region).len(), 1001);
    let loaded = region.store_file_names("f").unwrap().into_iter().find(|name| name.contains("SeqId"));
    region.close().unwrap();
    for writable in [false, true] {
        let region = Region::options().writable(writable).open(&path).unwrap();
        assert_eq!(rows(&region).len(), 1001);
        let [warning] = region.warnings() else { panic!("{:?}", region.warnings()) };
        assert!(warning.to_string().contains("COMPACTION_EVENT_KEY"), "{warning}");
        assert!(warning.path().unwrap().ends_with(loaded.as_ref().unwrap()));
    }
    // A file that lists itself as compacted.
    let itself = "00112233445566778899aabbccddeeff".to_owned();
    write_file(&path.join("f").join(&itself), &["y"], &compacted(99, std::slice::from_ref(&itself)));
    let region = Region::open(&path).unwrap();
    assert_eq!((rows(&region).len(), region.warnings().len()), (1002, 2));
    // Verification finds no fault within any file, and these two between files.
    let (mut cells, mut of_files) = (0, Vec::new());
    let faults = Region::options().verify(&path, |_, report| {
        let report = report.unwrap();
        cells += report.cells;
        of_files.extend(report.faults);
    });
    let faults = faults.unwrap();
    assert_eq!((cells, faults.len()), (1002, 2), "{faults:?}");
    assert!(of_files.is_empty(), "{of_files:?}");
    assert!(faults.iter().all(|fault| fault.to_string().contains("COMPACTION_EVENT_KEY")), "{faults:?}");
}

#[test]
fn remains_of_a_crash_in_tmp_are_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let open = || Region::options().create_if_missing(true).family(Family::new("f")).open(&path);
    open().unwrap().put(Put::new("r").cell("f", "q", "v")).unwrap();
    fs::create_dir_all(path.join(".tmp/f/deep")).unwrap();
    fs::write(path.join(".tmp/f/0123"), b"half a file").unwrap();
    fs::write(path.join(".tmp/f/deep/0123"), b"half a file").unwrap();
    assert_eq!(rows(&Region::open(&path).unwrap()).len(), 1);
    assert!(path.join(".tmp/f/0123").exists(), "a reader changes nothing");
    assert_eq!(rows(&open().unwrap()).len(), 1);
    assert_eq!(fs::read_dir(path.join(".tmp")).unwrap().count(), 0);
}

/// After a compaction and a power loss each replaced file is in the archive, and no longer in its old place.
#[test]
fn the_archive_survives_a_loss_of_power() {
    let storage = FaultyStorage::new();
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let root = Path::new("/root");
    let options = Region::options().storage(shared);
    let table = Table::create_with(root, "ns:t", &[Family::new("f")], &[""; 0], options).unwrap();
    let region = table.region("r").unwrap();
    for value in ["1", "2"] {
        region.put(Put::new("r").cell("f", "q", value)).unwrap();
        region.flush().unwrap();
    }
    let inputs = region.store_file_names("f").unwrap();
    region.compact(Compaction::Major).unwrap();
    let encoded = region.info().encoded_name();
    let left = storage.after(Crash::Hard).names();
    for input in inputs {
        let archived = format!("root/archive/data/ns/t/{encoded}/f/{input}");
        assert!(left.contains(&PathBuf::from(&archived)), "{archived} in {left:?}");
        assert!(!left.contains(&PathBuf::from(format!("root/data/ns/t/{encoded}/f/{input}"))));
    }
}

/// HBase's cleaner removes empty directories of the archive, also while an open region that created them
/// runs. Nothing deleted reappears, and the region can still be compacted and closed.
#[test]
fn the_archive_may_be_removed_at_any_time() {
    let storages: [Arc<dyn Storage>; 2] = [Arc::new(LocalStorage), Arc::new(NoSync::default())];
    for storage in storages {
        let dir = tempfile::tempdir().unwrap();
        let options = || Region::options().storage(Arc::clone(&storage)).writable(true);
        let table = Table::create_with(dir.path(), "t", &[Family::new("f")], &[""; 0], options()).unwrap();
        let region = table.region("").unwrap();
        let path = region.path().to_owned();
        let write = |row: &str, value: &str| {
            region.put(Put::new(row.to_owned()).cell("f", "q", value.to_owned())).unwrap();
            region.flush().unwrap();
        };
        for round in 0..4 {
            write("deleted", &format!("{round}"));
            write(&format!("kept {round}"), "v");
            region.delete(Delete::new("deleted")).unwrap();
            region.flush().unwrap();
            region.compact(Compaction::Major).unwrap();
            assert_eq!(region.health().unarchived_files, [""; 0]);
            assert_eq!(files_in(&path.join("f")), region.store_file_names("f").unwrap());
            fs::remove_dir_all(dir.path().join("archive")).unwrap();
        }
        let expected = rows(&region);
        assert_eq!(expected.len(), 4);
        table.close().unwrap();
        assert_eq!(rows(&Region::open(&path).unwrap()), expected);
    }
}

/// A writer compacts and removes files continuously while readers open the region. They return every row.
#[test]
fn a_region_opens_beside_one_that_is_compacted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let storage: Arc<dyn Storage> = Arc::new(NoSync::default());
    let family = Family::new("f");
    let writer =
        Region::options().storage(storage).create_if_missing(true).family(family).open(&path).unwrap();
    for row in 0..20 {
        writer.put(Put::new(format!("r{row:02}")).cell("f", "q", "v")).unwrap();
    }
    writer.flush().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                for row in ["r05", "r10"] {
                    writer.put(Put::new(row).cell("f", "q", "v")).unwrap();
                    writer.flush().unwrap();
                }
                writer.compact(Compaction::Major).unwrap();
            }
        });
        let found: Vec<_> = (0..300).map(|_| Region::open(&path).map(|region| rows(&region).len())).collect();
        stop.store(true, Ordering::Relaxed);
        for (i, found) in found.into_iter().enumerate() {
            assert_eq!(found.unwrap_or_else(|error| panic!("{i}: {error}")), 20, "{i}");
        }
    });
}

#[cfg(unix)]
#[test]
fn links_are_read_and_not_written_through() {
    use std::os::unix::fs::symlink;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let open = || Region::options().create_if_missing(true).family(Family::new("f")).open(&path);
    open().unwrap().put(Put::new("r").cell("f", "q", "v")).unwrap();
    let elsewhere = dir.path().join("elsewhere");
    fs::rename(path.join("f"), &elsewhere).unwrap();
    symlink(&elsewhere, path.join("f")).unwrap();
    assert_eq!(rows(&Region::open(&path).unwrap()).len(), 1);
    let error = open().unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Io, Some(path.join("f").as_path())));
    fs::remove_file(path.join("f")).unwrap();
    fs::rename(&elsewhere, path.join("f")).unwrap();

    // The target of a linked `.tmp` is not cleaned.
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("victim"), b"bytes").unwrap();
    fs::remove_dir_all(path.join(".tmp")).unwrap();
    symlink(&elsewhere, path.join(".tmp")).unwrap();
    assert_eq!(open().unwrap_err().kind(), ErrorKind::Io);
    assert_eq!(fs::read(elsewhere.join("victim")).unwrap(), b"bytes");
    fs::remove_file(path.join(".tmp")).unwrap();

    // A link inside `.tmp` is removed, but not its target.
    fs::create_dir(path.join(".tmp")).unwrap();
    symlink(&elsewhere, path.join(".tmp/f")).unwrap();
    assert_eq!(rows(&open().unwrap()).len(), 1);
    assert!(!path.join(".tmp/f").exists());
    assert_eq!(fs::read(elsewhere.join("victim")).unwrap(), b"bytes");
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_no_store_files_are_passed_over() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("region");
    let open = || Region::options().create_if_missing(true).family(Family::new("f")).open(&path);
    open().unwrap().put(Put::new("r").cell("f", "q", "v")).unwrap();
    for name in [&b"\xff\xfe"[..], b"notes.txt", b"NOT HEX"] {
        fs::write(path.join("f").join(OsStr::from_bytes(name)), b"something").unwrap();
    }
    fs::write(path.join(OsStr::from_bytes(b"\xff")), b"something").unwrap();
    for region in [Region::open(&path).unwrap(), open().unwrap()] {
        assert_eq!(rows(&region).len(), 1);
        let warned: Vec<String> = region.warnings().iter().map(ToString::to_string).collect();
        assert_eq!(warned.len(), 3, "{warned:?}");
        assert!(warned.iter().any(|warning| warning.contains("notes.txt")), "{warned:?}");
    }
}

#[test]
fn of_two_creators_one_wins_and_the_other_opens() {
    for round in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("region");
        if round % 2 == 1 {
            // An existing directory with other content becomes a region in place.
            fs::create_dir(&path).unwrap();
            fs::write(path.join("notes"), b"mine").unwrap();
        }
        let create = || Region::options().create_if_missing(true).family(Family::new("f")).open(&path);
        let results: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|i| {
                    scope.spawn(move || {
                        let put = |region: Region| region.put(Put::new(format!("r{i}")).cell("f", "q", "v"));
                        create().and_then(put)
                    })
                })
                .collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let written = results.iter().filter(|result| result.is_ok()).count();
        for error in results.iter().filter_map(|result| result.as_ref().err()) {
            assert_eq!(error.kind(), ErrorKind::Locked, "{error}");
        }
        assert!(written >= 1);
        assert_eq!(rows(&Region::open(&path).unwrap()).len(), written);
        let entries = fs::read_dir(dir.path()).unwrap().count();
        assert_eq!(entries, 1, "nothing is left beside the region");
    }
}

#[test]
fn a_table_is_there_as_a_whole_or_not_at_all() {
    let families = [Family::new("f"), Family::new("g").max_versions(3)];
    let create = |storage: &FaultyStorage| {
        let options = Region::options().storage(Arc::new(storage.clone()));
        Table::create_with("/root", "ns:t", &families, &["m", "c"], options)
    };
    let open = |storage: &FaultyStorage| {
        Table::open_with("/root", "ns:t", Region::options().storage(Arc::new(storage.clone())).writable(true))
    };
    let sound = FaultyStorage::new();
    assert_eq!(create(&sound).unwrap().regions().len(), 3);
    assert!(create(&sound).unwrap_err().is_already_exists());
    for n in 0..sound.calls() {
        for crash in [Crash::OfTheProcess, Crash::Hard, Crash::Torn, Crash::Chance(n)] {
            let storage = FaultyStorage::new();
            storage.die_after(n);
            let created = create(&storage).is_ok();
            let left = storage.after(crash);
            match open(&left) {
                Ok(table) => {
                    assert_eq!(table.regions().len(), 3, "{crash:?} at {n}");
                    assert!(table.inconsistencies().is_empty());
                    for row in ["a", "d", "x"] {
                        table.put(Put::new(row).cell("g", "q", "v")).unwrap();
                    }
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::TableNotFound, "{crash:?} at {n}: {error}");
                    assert!(!created || crash != Crash::OfTheProcess);
                    assert_eq!(create(&left).unwrap().regions().len(), 3, "{crash:?} at {n}");
                }
            }
        }
        // One call fails, and the caller retries.
        let storage = FaultyStorage::new();
        storage.fail_after(n);
        match create(&storage) {
            Ok(table) => assert_eq!(table.regions().len(), 3),
            Err(_) => match create(&storage) {
                Ok(table) => assert_eq!(table.regions().len(), 3, "call {n}"),
                Err(error) => {
                    assert!(error.is_already_exists(), "call {n}: {error}");
                    assert_eq!(open(&storage).unwrap().regions().len(), 3, "call {n}");
                }
            },
        }
    }
    for splits in [&["a", "a"][..], &["", "a"]] {
        let error = Table::create("/nowhere", "t", &families, splits).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    }
    assert_eq!(Table::create("/nowhere", "t", &[], &["a"]).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

/// Files with the same sequence id, as left by a bulk load of several files: of equal cells, reads return the
/// one in the file with the greatest name, before and after compactions.
#[test]
fn of_equal_cells_the_same_one_is_read_after_a_compaction() {
    for count in [1, 40] {
        for compaction in [Compaction::Minor, Compaction::Major] {
            let dir = tempfile::tempdir().unwrap();
            let options =
                || Region::options().create_if_missing(true).family(Family::new("f").max_versions(3));
            options().open(dir.path()).unwrap().close().unwrap();
            for (name, value) in [("00", b"a"), ("01", b"b"), ("02", b"c")] {
                let path = dir.path().join("f").join(name.repeat(16));
                let cells = (0..count).map(|row| {
                    let key = SeekKey::of(format!("r{row:03}").as_bytes(), b"f", b"q", 1, CellType::Put);
                    (key, value)
                });
                write_store_file(HFileWriter::options(), &path, cells, &StoreFileOrigin::flush(9));
            }
            let region = options().open(dir.path()).unwrap();
            let before = rows(&region);
            assert!(before.iter().all(|row| row.value("f", "q") == Some(b"c")));
            match compaction {
                Compaction::Minor => region.compact_files("f", 0, 3).unwrap(),
                _ => region.compact(compaction).unwrap(),
            };
            let after = rows(&region);
            assert_eq!(region.store_file_count("f").unwrap(), 1);
            assert_eq!(after, before, "{count} rows, {compaction:?}");
        }
    }
}

/// `.regioninfo` alone identifies the region of a directory, whatever its files are.
#[test]
fn the_region_of_a_directory_is_read_without_its_files() {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("tracked-split"), dir.path());
    let path = dir.path().join("data/default/tracked/50cfdb4114f32bf2118f7ccabaab9d87");
    let expected = Region::open(&path).unwrap().info().clone();
    fs::remove_dir_all(path.join("q")).unwrap();
    fs::remove_dir_all(dir.path().join("data/default/tracked/.tabledesc")).unwrap();
    let options = Region::options();
    assert_eq!(options.region_info_of(&path).unwrap(), Some(expected));
    fs::write(path.join(".regioninfo"), b"PBUF\xff").unwrap();
    let error = options.region_info_of(&path).unwrap_err();
    assert_eq!(error.path(), Some(path.join(".regioninfo").as_path()));
    fs::remove_file(path.join(".regioninfo")).unwrap();
    assert_eq!(options.region_info_of(&path).unwrap(), None);
    fs::create_dir(path.join(".regioninfo")).unwrap();
    assert_eq!(options.region_info_of(&path).unwrap_err().kind(), ErrorKind::Io);
}

/// Otherwise a region that is opened by a relative path would not be recognized as being under its root.
#[cfg(feature = "mmap")]
#[test]
#[allow(unsafe_code, reason = "to map files")]
fn mapped_files_have_the_full_paths_of_local_ones() {
    // SAFETY: no file is opened.
    let mapped = unsafe { hregion::io::MmapStorage::new() };
    for path in ["", ".", "..", "none/table", "tests/../src"] {
        for follow_links in [false, true] {
            let full = |storage: &dyn Storage| storage.full_path(Path::new(path), follow_links).unwrap();
            assert_eq!(full(&mapped), full(&LocalStorage), "{path}");
            assert!(full(&mapped).is_absolute());
        }
    }
}

/// A log is written while it is read, and may become shorter. So may a closed file that another thread could
/// still read.
#[cfg(feature = "mmap")]
#[test]
#[allow(unsafe_code, reason = "to map files")]
fn logs_are_not_mapped() {
    let dir = tempfile::tempdir().unwrap();
    // SAFETY: the files do not change.
    let mapped = unsafe { hregion::io::MmapStorage::new() };
    for (name, is_mapped) in [("f", true), ("recovered.edits", false)] {
        let path = dir.path().join(name).join("1");
        fs::create_dir(path.parent().unwrap()).unwrap();
        fs::write(&path, vec![7; 100_000]).unwrap();
        let file = mapped.open(&path).unwrap();
        let mut last = [0];
        file.read_exact_at(&mut last, 99_999).unwrap();
        assert_eq!((file.len(), last), (100_000, [7]), "{name}");
        assert_eq!(file.read_in_place(0, 1, &mut |_| ()), is_mapped, "{name}");
        assert_eq!(file.may_read_ahead(), !is_mapped, "{name}");
    }
}

/// A storage whose current directory is in one that the user may not enter.
#[derive(Debug)]
struct InClosed {
    files: FaultyStorage,
}

impl Storage for InClosed {
    forward!(files: create create_new create_log rename hard_link remove remove_dir create_dir_all);
    forward!(files: lock sync_file sync_dir list_dir rename_new create_scratch end_writing);
    forward!(files: can_rename can_read_removed can_hide_writes);

    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        if path.starts_with("/closed") {
            Err(io::ErrorKind::PermissionDenied.into())
        } else {
            self.files.open(path)
        }
    }

    fn full_path(&self, path: &Path, follow_links: bool) -> io::Result<PathBuf> {
        if follow_links {
            Err(io::ErrorKind::PermissionDenied.into())
        } else {
            Ok(Path::new("/closed/here").join(path))
        }
    }
}

#[test]
fn files_have_a_kind_although_the_directories_above_the_current_one_are_closed() {
    let storage: Arc<dyn Storage> = Arc::new(InClosed { files: FaultyStorage::new() });
    let kind = |path: &str| FileKind::of(&storage, Path::new(path));
    for path in ["file", "./file", "family/file"] {
        assert_eq!(kind(path).unwrap(), FileKind::Unknown, "{path}");
    }
    assert_eq!(kind(".regioninfo").unwrap(), FileKind::RegionInfo);
    assert!(kind("/closed/here/file").is_err());
}
