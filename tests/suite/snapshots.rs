//! Snapshots taken by HBase, and snapshots composed here, are read in place.

use crate::support::cells::json_of;
use crate::support::files::{copy_dir, io_kind};
use crate::support::golden::{self, recorded_table};
use crate::support::protobuf::{field, number};
use hregion::region::SnapshotStoreFile;
use hregion::{Error, ErrorKind, Get, Region, Row, Scan, SnapshotType, Table};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

fn testdata(stage: &str) -> PathBuf {
    golden::root("testdata/region").join(stage)
}

/// Returns all files below a directory, each with its length.
fn files_below(dir: &Path, found: &mut Vec<(PathBuf, u64)>) {
    let mut entries: Vec<_> = fs::read_dir(dir).unwrap().map(Result::unwrap).collect();
    entries.sort_by_key(fs::DirEntry::path);
    for entry in entries {
        if entry.file_type().unwrap().is_dir() {
            found.push((entry.path(), 0));
            files_below(&entry.path(), found);
        } else {
            found.push((entry.path(), entry.metadata().unwrap().len()));
        }
    }
}

fn all_versions(raw: bool) -> Scan {
    Scan::new().max_versions(u32::MAX).raw(raw)
}

fn scanned(table: &Table, raw: bool) -> Vec<Row> {
    table.scan(all_versions(raw)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Compares a snapshot with the cells that were read from its table, at this or another stage.
fn compare(stage: &Path, name: &str, table: &str, read_at: &Path) -> usize {
    let mut count = 0;
    let snapshot = Table::open_snapshot(stage.join("root"), name).unwrap();
    assert_eq!((snapshot.name().to_string().as_str(), snapshot.inconsistencies()), (table, Vec::new()));
    for (raw, kind) in [(true, "raw"), (false, "plain")] {
        let Some(expected) = recorded_table(read_at, table, kind) else { continue };
        let rows = scanned(&snapshot, raw);
        let found = json_of(&rows);
        let different = found.iter().zip(&expected).find(|(found, expected)| found != expected);
        assert_eq!(different, None, "{kind} scan of {name}, {}", stage.display());
        assert_eq!(found.len(), expected.len(), "{kind} scan of {name}, {}", stage.display());
        count += found.len();
        if !raw {
            for row in rows.iter().step_by(7) {
                let get = Get::new(row.key()).max_versions(u32::MAX);
                assert_eq!(&snapshot.get(&get).unwrap(), row);
                assert_eq!(&snapshot.view().get(&get).unwrap(), row);
            }
        }
    }
    count
}

#[test]
fn a_snapshot_that_hbase_took_has_the_cells_of_its_table() {
    let stage = testdata("clone-references");
    let found = Table::list_snapshots(stage.join("root")).unwrap();
    let names: Vec<_> = found.iter().map(|s| (s.name(), s.table().to_string(), s.version())).collect();
    assert_eq!(names, [("joined-snap", "joined".to_owned(), 2)]);
    assert_eq!(
        (found[0].snapshot_type(), found[0].creation_time()),
        (SnapshotType::Flush, 1_795_161_858_144)
    );
    assert_eq!((found[0].owner(), found[0].ttl()), (Some("hregion"), None));
    assert!(compare(&stage, "joined-snap", "joined", &stage) > 700);
}

#[test]
fn snapshots_of_a_cluster_have_the_cells_of_their_tables() {
    let Some(tables) = golden::shared("cluster/tables") else { return };
    for (stage, name, table, read_at) in [
        ("clone-references", "joined-snap", "joined", "clone-references"),
        ("clone", "halves-snap", "halves", "clone"),
        // The table was written to and compacted after the snapshot, so its files are in the archive.
        ("clone-split", "halves-snap", "halves", "clone"),
    ] {
        let stage = tables.join(stage);
        let count = compare(&stage, name, table, &tables.join(read_at));
        assert!(count > 1000, "{count}");
        println!("{}: {count} cells", stage.display());
    }
}

/// Returns the manifest of a region, from its directory.
fn region_manifest(dir: &Path) -> Vec<u8> {
    let info = fs::read(dir.join(".regioninfo")).unwrap();
    let len = usize::from(info[4]);
    assert!(info.starts_with(b"PBUF") && len < 0x80);
    let mut info = info[5..5 + len].to_vec();
    if dir.ends_with(PARENT) {
        // offline and split, as in the catalog; on the disk both are false
        info.extend([number(5, 1), number(6, 1)].concat());
    }
    let mut manifest = field(2, info);
    for family in ["p", "q"] {
        let mut files = field(1, family);
        for entry in fs::read_dir(dir.join(family)).unwrap() {
            let path = entry.unwrap().path();
            let (name, content) = (path.file_name().unwrap().to_str().unwrap(), fs::read(&path).unwrap());
            let mut file = field(1, name);
            if name.contains('.') {
                file.extend(field(2, content.strip_prefix(b"PBUF").unwrap()));
            } else if !content.is_empty() {
                file.extend(number(3, content.len() as u64));
            }
            files.extend(field(2, file));
        }
        manifest.extend(field(3, files));
    }
    manifest
}

const TABLE: &str = "data/default/halves";
/// The region that was split.
const PARENT: &str = "36870a128e2b61b11b5b6154f73464e8";
const DAUGHTERS: [&str; 2] = ["b080bd824b133f7fd142d58caf423392", "93e53ef8671385578b50691051cf8cd5"];
/// A file of the parent.
const FILE: &str = "p/41a94d86fd19490eb35da4196ed60f5d";
const DIR: &str = ".hbase-snapshot/s";

fn describe(root: &Path, version: u64) {
    fs::create_dir_all(root.join(DIR)).unwrap();
    let description = [field(1, "s"), field(2, "halves"), number(4, 0), number(5, version)].concat();
    fs::write(root.join(DIR).join(".snapshotinfo"), description).unwrap();
}

/// Returns the manifest of the whole table.
fn data_manifest(root: &Path) -> Vec<u8> {
    let table = root.join(TABLE);
    let descriptor = fs::read(table.join(".tabledesc/.tableinfo.0000000001.627")).unwrap();
    let mut manifest = field(1, descriptor.strip_prefix(b"PBUF").unwrap());
    for region in [PARENT].into_iter().chain(DAUGHTERS) {
        manifest.extend(field(2, region_manifest(&table.join(region))));
    }
    manifest
}

fn write_manifest(root: &Path, manifest: &[u8]) {
    fs::write(root.join(DIR).join("data.manifest"), manifest).unwrap();
}

/// Returns a root with a table that was split, and a snapshot of it.
fn root_with_snapshot() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    copy_dir(&testdata("split-references").join("root"), dir.path());
    describe(dir.path(), 2);
    let manifest = data_manifest(dir.path());
    write_manifest(dir.path(), &manifest);
    dir
}

fn open(root: &Path) -> Result<Table, Error> {
    Table::open_snapshot(root, "s")
}

/// A file that is missing, or of another length, hides no other file. The files of the daughters are
/// references.
#[test]
fn the_files_of_a_snapshot_are_listed() {
    let root = root_with_snapshot();
    let table = open(root.path()).unwrap();
    let listed = || -> Vec<(Vec<SnapshotStoreFile>, Vec<Error>)> {
        let regions = table.regions();
        regions.iter().map(|info| table.snapshot_files(info).unwrap()).collect()
    };
    for (info, (files, faults)) in table.regions().iter().zip(listed()) {
        assert!(faults.is_empty() && !files.is_empty(), "{info}: {files:?} {faults:?}");
        let region = table.region(info.start_key()).unwrap();
        for family in ["p", "q"] {
            let of_family = || files.iter().filter(|file| file.family == family);
            let dir = root.path().join(TABLE).join(info.encoded_name()).join(family);
            let names = region.store_file_names(family).unwrap().into_iter();
            let mut expected: Vec<_> =
                names.map(|name| dir.join(name)).zip(region.hfile_paths(family).unwrap()).collect();
            let mut found: Vec<_> = of_family().map(|file| (file.path.clone(), file.hfile.clone())).collect();
            expected.sort();
            found.sort();
            assert_eq!(found, expected, "{info} {family}");
        }
    }

    let before: usize = listed().iter().map(|(files, _)| files.len()).sum();
    fs::remove_file(root.path().join(TABLE).join(PARENT).join(FILE)).unwrap();
    let (mut after, mut missing) = (0, 0);
    for (files, faults) in listed() {
        after += files.len();
        missing += faults.len();
        assert!(faults.iter().all(|fault| io_kind(fault) == Some(io::ErrorKind::NotFound)), "{faults:?}");
    }
    assert!(missing > 0 && after + missing == before, "{before} {after} {missing}");

    let other = Table::open(root.path(), "halves").unwrap();
    let error = other.snapshot_files(&other.regions()[0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
}

/// Moves the table's directory to the archive, as if the table had been dropped.
fn archive_table(root: &Path) {
    let archive = root.join("archive").join(TABLE);
    fs::remove_dir_all(&archive).unwrap();
    fs::rename(root.join(TABLE), archive).unwrap();
}

#[test]
fn a_snapshot_survives_its_table() {
    let dir = root_with_snapshot();
    let root = dir.path();
    let table = Table::open(root, "halves").unwrap();
    let expected = (scanned(&table, true), scanned(&table, false));
    assert!(expected.0.len() > 20);
    let check = || {
        let mut before = Vec::new();
        files_below(root, &mut before);
        let snapshot = open(root).unwrap();
        assert_eq!(snapshot.regions().len(), 2, "the parent serves no rows");
        assert_eq!((scanned(&snapshot, true), scanned(&snapshot, false)), expected);
        for row in &expected.1 {
            let get = Get::new(row.key()).max_versions(u32::MAX);
            assert_eq!(&snapshot.get(&get).unwrap(), row);
        }
        let region = snapshot.region("row-0001").unwrap();
        assert_eq!((region.warnings().len(), region.families().count()), (0, 2));
        snapshot.close().unwrap();
        let mut after = Vec::new();
        files_below(root, &mut after);
        assert_eq!(before, after, "reading changes nothing");
    };
    check();
    // The janitor moves the parent's files, which the daughters refer to.
    let archived = root.join("archive").join(TABLE).join(PARENT);
    fs::remove_dir_all(&archived).unwrap();
    fs::rename(root.join(TABLE).join(PARENT), &archived).unwrap();
    check();
    fs::rename(&archived, root.join(TABLE).join(PARENT)).unwrap();
    archive_table(root);
    assert_eq!(Table::open(root, "halves").unwrap_err().kind(), ErrorKind::TableNotFound);
    check();
}

#[test]
fn a_snapshot_is_only_read() {
    let dir = root_with_snapshot();
    let options = Region::options().writable(true);
    let error = Table::open_snapshot_with(dir.path(), "s", options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidArgument);
    let put = hregion::Put::new("row-0001").cell("p", "q", "v");
    assert_eq!(open(dir.path()).unwrap().put(put).unwrap_err().kind(), ErrorKind::InvalidArgument);
}

#[test]
fn a_missing_file_is_named() {
    let dir = root_with_snapshot();
    fs::remove_file(dir.path().join(TABLE).join(PARENT).join(FILE)).unwrap();
    let snapshot = open(dir.path()).unwrap();
    let error = snapshot.get(&Get::new("row-0001")).unwrap_err();
    assert_eq!((error.kind(), io_kind(&error)), (ErrorKind::Io, Some(io::ErrorKind::NotFound)));
    let text = error.to_string();
    let file = FILE.trim_start_matches("p/");
    for part in [
        format!("file {file}.{PARENT} of family p, region {}, snapshot s", DAUGHTERS[0]),
        dir.path().join(TABLE).join(PARENT).join(FILE).display().to_string(),
        dir.path().join("archive").join(TABLE).join(PARENT).join(FILE).display().to_string(),
    ] {
        assert!(text.contains(&part), "{part} in {text}");
    }
}

#[test]
fn a_file_of_another_length_is_refused() {
    let dir = root_with_snapshot();
    let files = [field(1, FILE.trim_start_matches("p/")), number(3, 5)].concat();
    let family = [field(1, "p"), field(2, files)].concat();
    let info = fs::read(dir.path().join(TABLE).join(PARENT).join(".regioninfo")).unwrap();
    let region = [field(2, &info[5..5 + usize::from(info[4])]), field(3, family)].concat();
    let descriptor = fs::read(dir.path().join(TABLE).join(".tabledesc/.tableinfo.0000000001.627")).unwrap();
    write_manifest(dir.path(), &[field(1, &descriptor[4..]), field(2, region)].concat());
    let error = open(dir.path()).unwrap().get(&Get::new("row-0001")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("expected 5"), "{error}");
}

#[test]
fn manifests_of_single_regions_are_read() {
    let dir = root_with_snapshot();
    let (root, table) = (dir.path(), dir.path().join(TABLE));
    let expected = scanned(&open(root).unwrap(), false);
    fs::remove_file(root.join(DIR).join("data.manifest")).unwrap();
    assert_eq!(io_kind(&open(root).unwrap_err()), Some(io::ErrorKind::NotFound));
    for region in DAUGHTERS {
        let path = root.join(DIR).join(format!("region-manifest.{region}"));
        fs::write(path, region_manifest(&table.join(region))).unwrap();
    }
    let snapshot = open(root).unwrap();
    assert_eq!(scanned(&snapshot, false), expected);
    let warnings = |table: &Table| table.region("row-0001").unwrap().warnings().to_vec();
    assert!(warnings(&snapshot)[0].to_string().contains("data.manifest"));
    archive_table(root);
    let snapshot = open(root).unwrap();
    assert!(scanned(&snapshot, false).len() >= expected.len());
    assert!(warnings(&snapshot)[0].to_string().contains("no table descriptor"));
}

#[test]
fn hostile_names_are_refused() {
    let dir = root_with_snapshot();
    let root = dir.path();
    for name in ["../s", "..", ".tmp", "", "a/b", "/etc"] {
        let error = Table::open_snapshot(root, name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name}");
    }
    assert_eq!(io_kind(&Table::open_snapshot(root, "none").unwrap_err()), Some(io::ErrorKind::NotFound));
    assert_eq!(Table::list_snapshots(root).unwrap().len(), 1);
    let sound = data_manifest(root);
    // Names of the same length, so that the lengths around them stay right.
    let replace = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let mut bytes = sound.clone();
        let at = bytes.windows(from.len()).position(|part| part == from.as_bytes()).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        write_manifest(root, &bytes);
        open(root).unwrap_err()
    };
    let file = FILE.trim_start_matches("p/");
    for hostile in [format!("../../{}", &file[6..]), format!("/{}", &file[1..]), format!("{}/..", &file[3..])]
    {
        let error = replace(file, &hostile);
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{hostile}");
        assert_eq!(error.path(), Some(root.join(DIR).join("data.manifest").as_path()));
    }
    assert_eq!(replace("halves", "../../").kind(), ErrorKind::Corrupt);
    assert_eq!(replace("default", "../../d").kind(), ErrorKind::Corrupt);
    write_manifest(root, &sound);
    assert!(open(root).is_ok());
}

#[test]
fn other_versions_are_refused() {
    let dir = root_with_snapshot();
    for (version, part) in [(1, "version 1"), (3, "version 3"), (77, "version 77")] {
        describe(dir.path(), version);
        let error = open(dir.path()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(part), "{error}");
    }
    describe(dir.path(), 2);
    fs::remove_file(dir.path().join(DIR).join("data.manifest")).unwrap();
    fs::create_dir(dir.path().join(DIR).join(PARENT)).unwrap();
    let error = open(dir.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("a directory for each region"), "{error}");
}

#[cfg(unix)]
#[test]
fn symbolic_links_are_not_followed() {
    use std::os::unix::fs::symlink;

    let dir = root_with_snapshot();
    let outside = tempfile::tempdir().unwrap();
    let root = dir.path();
    let refused = |path: PathBuf| {
        let moved = outside.path().join("moved");
        fs::rename(&path, &moved).unwrap();
        symlink(&moved, &path).unwrap();
        let error = open(root).and_then(|snapshot| snapshot.get(&Get::new("row-0001"))).unwrap_err();
        assert_eq!(io_kind(&error), Some(io::ErrorKind::PermissionDenied), "{error}");
        assert!(error.to_string().contains("symbolic link"), "{error}");
        fs::remove_file(&path).unwrap();
        fs::rename(&moved, &path).unwrap();
        assert!(open(root).unwrap().get(&Get::new("row-0001")).is_ok());
    };
    refused(root.join(TABLE).join(PARENT).join(FILE));
    refused(root.join(TABLE).join(PARENT).join("p"));
    refused(root.join(TABLE));
    refused(root.join("data"));
    refused(root.join(DIR).join("data.manifest"));
    refused(root.join(DIR));
    refused(root.join(".hbase-snapshot"));
    let linked = outside.path().join("root");
    symlink(root, &linked).unwrap();
    assert!(open(&linked).unwrap().get(&Get::new("row-0001")).is_ok(), "the root itself may be a link");
}
