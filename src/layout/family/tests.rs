use super::*;
use crate::cell::SeekKey;
use crate::error::ErrorKind;
use crate::hash::checksum::crc32;
use crate::io::faulty::FaultyStorage;
use crate::io::{FileWriter, Storage};
use crate::layout::file_list::{FileList, ListedFile, NewFileList};
use crate::layout::reference::Half;
use crate::layout::root::Root;
use crate::proto::region::{Reference as ReferenceProto, StoreFileEntry, StoreFileList};
use crate::schema::TableName;
use proptest::prelude::*;
use prost::Message;
use std::sync::Arc;

const REGION: &str = "36870a128e2b61b11b5b6154f73464e8";
const DIR: &str = "root/data/default/t/4d/f";
const DIRECTORY: StoreFileTracker = StoreFileTracker { source: TrackedBy::Directory, writes_list: false };
const LIST: StoreFileTracker = StoreFileTracker { source: TrackedBy::List, writes_list: true };

fn touch(storage: &FaultyStorage, path: &str, bytes: &[u8]) {
    let mut file: Box<dyn FileWriter> = storage.create(Path::new(path)).unwrap();
    file.write_all(bytes).unwrap();
}

fn family_under(storage: &FaultyStorage, root: Option<&str>, has_namespaces: bool) -> FamilyDir {
    let root = root.map(|path| Root { path: path.into(), has_namespaces });
    let (table, dir) = (TableName::parse("t").unwrap(), PathBuf::from("root/data/default/t"));
    let table = TableDir { storage: Arc::new(storage.clone()), table, path: dir, root };
    FamilyDir { table, region: "4d".into(), family: "f".into() }
}

fn entry(name: &str) -> DirEntry {
    DirEntry { name: name.into(), len: 0, is_dir: false, is_symlink: false, modified_millis: 7 }
}

#[test]
fn links_and_references_lead_to_data_or_the_archive() {
    let storage = FaultyStorage::new();
    let place = family_under(&storage, Some("root"), true);
    let path = |name: &str| place.resolve(&entry(name), name, None).map(|file| file.path);
    assert_eq!(path("0a").unwrap(), Path::new("root/data/default/t/4d/f/0a"));
    touch(&storage, "root/data/ns/u/5e/f/0b", b"");
    touch(&storage, "root/archive/data/ns/u/5e/f/0c", b"");
    assert_eq!(path("ns=u=5e-0b").unwrap(), Path::new("root/data/ns/u/5e/f/0b"));
    assert_eq!(path("ns=u=5e-0c").unwrap(), Path::new("root/archive/data/ns/u/5e/f/0c"));
    let error = path("ns=u=5e-0d").unwrap_err();
    assert_eq!(error.path(), Some(Path::new("root/data/default/t/4d/f/ns=u=5e-0d")));
    assert!(error.to_string().contains("0d of region 5e is neither with its table nor in the archive"));

    let bytes = [b"PBUF\x0a\x0d", SeekKey::first_on_row(b"m").as_bytes(), &[0x10, 0]].concat();
    let expected = Reference { split_key: SeekKey::first_on_row(b"m"), half: Half::Top };
    for (name, target) in [
        ("1a.6f", "root/data/default/t/6f/f/1a"),
        ("1b.6f", "root/archive/data/default/t/6f/f/1b"),
        ("ns=u=5e-0b.6f", "root/data/ns/u/5e/f/0b"),
    ] {
        touch(&storage, target, b"");
        touch(&storage, &format!("root/data/default/t/4d/f/{name}"), &bytes);
        let file = place.resolve(&entry(name), name, None).unwrap();
        assert_eq!((file.path.as_path(), file.reference.as_ref()), (Path::new(target), Some(&expected)));
        assert_eq!((file.name.as_str(), file.modified_millis), (name, 7));
    }
    // A reference that is only on a list.
    let bottom = Reference { half: Half::Bottom, ..expected };
    let file = place.resolve(&entry("1a.70"), "1a.70", Some(bottom.clone()));
    assert!(file.is_err(), "region 70 does not have it");
    touch(&storage, "root/data/default/t/70/f/1a", b"");
    assert_eq!(
        place.resolve(&entry("1a.70"), "1a.70", Some(bottom.clone())).unwrap().reference,
        Some(bottom)
    );
}

/// The state after a compaction of one daughter, while the other still refers to the parent.
#[test]
fn references_in_the_archive_lead_to_data_or_the_archive() {
    let storage = FaultyStorage::new();
    let mut place = family(&storage);
    place.table.path = PathBuf::from("root/archive/data/default/t");
    let bytes = [b"PBUF\x0a\x0d", SeekKey::first_on_row(b"m").as_bytes(), &[0x10, 0]].concat();
    for (name, target) in
        [("1a.6f", "root/data/default/t/6f/f/1a"), ("1b.6f", "root/archive/data/default/t/6f/f/1b")]
    {
        touch(&storage, target, b"");
        touch(&storage, &format!("root/archive/data/default/t/4d/f/{name}"), &bytes);
        let file = place.resolve(&entry(name), name, None).unwrap();
        assert_eq!(file.path, Path::new(target), "{name}");
    }
}

#[test]
fn the_old_layout_has_no_namespaces() {
    let storage = FaultyStorage::new();
    touch(&storage, "root/.archive/u/5e/f/0c", b"");
    let place = family_under(&storage, Some("root"), false);
    let file = place.resolve(&entry("u=5e-0c"), "u=5e-0c", None).unwrap();
    assert_eq!(file.path, Path::new("root/.archive/u/5e/f/0c"));
    let error = family_under(&storage, None, false).resolve(&entry("u=5e-0c"), "u=5e-0c", None).unwrap_err();
    assert!(error.to_string().ends_with("the region is not under a root directory"));
}

#[test]
fn other_files_are_rejected() {
    let place = family_under(&FaultyStorage::new(), Some("root"), true);
    for name in ["../0a", "/etc/passwd", "x", &format!("{REGION}20240131{REGION}")] {
        assert!(place.resolve(&entry(name), name, None).is_err(), "{name}");
    }
    let mob = format!("t=5e-{REGION}20240131{REGION}");
    let mob = place.resolve(&entry(&mob), &mob, None).unwrap_err();
    assert_eq!(mob.kind(), ErrorKind::Unsupported);
}

fn family(storage: &FaultyStorage) -> FamilyDir {
    family_under(storage, Some("root"), true)
}

fn put(storage: &FaultyStorage, name: &str, bytes: &[u8]) {
    touch(storage, &format!("{DIR}/{name}"), bytes);
}

fn list(timestamp: u64, version: Option<u64>, files: &[(&str, Option<i32>)]) -> Vec<u8> {
    let entry = |&(name, range): &(&str, Option<i32>)| StoreFileEntry {
        name: Some(name.to_owned()),
        size: Some(5),
        reference: range.map(|range| ReferenceProto {
            splitkey: Some(b"\0\x01m\0\x7f\xff\xff\xff\xff\xff\xff\xff\xff".to_vec()),
            range: Some(range),
        }),
    };
    let store_file = files.iter().map(entry).collect();
    let message = StoreFileList { timestamp: Some(timestamp), store_file, version }.encode_to_vec();
    let len = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&len[..], &message, &crc32(&message).to_be_bytes()].concat()
}

/// A clock may have been wrong once.
#[test]
fn a_list_can_follow_one_of_the_last_moment() {
    for has_old in [false, true] {
        let (storage, dir, aside) = (FaultyStorage::new(), Path::new(DIR), Path::new("aside"));
        storage.create_dir_all(dir).unwrap();
        if has_old {
            put(&storage, ".filelist/f1", &list(1, None, &[]));
        }
        for (name, now) in [("a", i64::MAX), ("b", 1), ("c", i64::MAX)] {
            let listed = ListedFile { name: name.to_owned(), size: 1, reference: None };
            let next = NewFileList::after(&storage, dir, FileList::new(vec![listed]), now).unwrap();
            next.write(&storage, aside).unwrap();
            next.publish(&storage, aside).unwrap();
            let current = read_file_list(&storage, dir).unwrap().unwrap();
            assert_eq!(current.files[0].name, name, "after a list of HBase before 2.5.3: {has_old}");
        }
    }
}

fn names(files: &StoreFiles) -> Vec<&str> {
    files.files.iter().map(|file| file.name.as_str()).collect()
}

/// Returns the names of the files that errors are about.
fn paths(errors: &[Error]) -> Vec<&str> {
    errors.iter().map(|error| error.path().unwrap().strip_prefix(DIR).unwrap().to_str().unwrap()).collect()
}

#[test]
fn a_directory_is_read_as_hbase_reads_it() {
    let storage = FaultyStorage::new();
    for name in ["0a", "0b_SeqId_5_", "no-file", ".0a.crc", "recovered.hfiles/0c"] {
        put(&storage, name, b"bytes");
    }
    put(&storage, "0e", b"");
    put(&storage, "u=5e-0f", b"");
    storage.create(Path::new("root/data/default/u/5e/f/0f")).unwrap();
    for tracker in [DIRECTORY, StoreFileTracker::UNSET] {
        let files = family(&storage).store_files(tracker).unwrap();
        assert_eq!(names(&files), ["0a", "0b_SeqId_5_", "u=5e-0f"]);
        assert_eq!(files.ignored, [".0a.crc", "0e", "no-file", "recovered.hfiles"]);
        assert_eq!(paths(&files.warnings), ["0e"]);
    }
    put(&storage, "what", b"bytes");
    let files = family(&storage).store_files(DIRECTORY).unwrap();
    assert_eq!(names(&files), ["0a", "0b_SeqId_5_", "u=5e-0f"], "HBase refuses to open the store");
    assert_eq!(paths(&files.warnings), ["what", "0e"]);
    put(&storage, "0a.70", b"");
    put(&storage, "0b.71", b"PBUF\xff");
    let error = family(&storage).store_files(DIRECTORY).unwrap_err();
    assert_eq!(paths(&[error]), ["0b.71"]);
    let (found, faults) = family(&storage).found_files(DIRECTORY).unwrap();
    assert_eq!(names(&found), ["0a", "0b_SeqId_5_", "u=5e-0f"]);
    assert_eq!((paths(&found.warnings), paths(&faults)), (vec!["what"], vec!["0b.71", "0a.70", "0e"]));
    let nowhere = FamilyDir { family: "g".into(), ..family(&storage) };
    assert_eq!(nowhere.store_files(DIRECTORY).unwrap().files, []);
}

#[test]
fn the_newest_whole_list_counts() {
    let storage = FaultyStorage::new();
    ["0a", "0b", "0c"].iter().for_each(|name| put(&storage, name, b"bytes"));
    let of = |tracker| family(&storage).store_files(tracker);
    let without = of(LIST).unwrap();
    assert_eq!(names(&without), [""; 0], "no list, no files");
    assert_eq!(paths(&without.warnings), [".filelist"]);
    assert_eq!(paths(&family(&storage).found_files(LIST).unwrap().1), [""; 0]);
    let empty = FamilyDir { region: "5e".into(), ..family(&storage) };
    storage.create_dir_all(&empty.path()).unwrap();
    assert_eq!(empty.store_files(LIST).unwrap().warnings.len(), 0);
    put(&storage, ".filelist/f1", b"");
    let (found, faults) = family(&storage).found_files(LIST).unwrap();
    assert_eq!((names(&found), paths(&faults)), (vec![], vec![".filelist/f1"]));
    assert_eq!(paths(&of(LIST).unwrap().warnings), [".filelist/f1"]);
    assert_eq!(names(&of(StoreFileTracker::UNSET).unwrap()), ["0a", "0b", "0c"]);
    put(&storage, ".filelist/f1", &list(99, None, &[("0c", None)]));
    put(&storage, ".filelist/f1.7", &list(5, Some(1), &[("0a", None)]));
    put(&storage, ".filelist/f2.7", &list(6, Some(1), &[("0a", None), ("0b", None)]));
    put(&storage, ".filelist/other", b"");
    let files = of(LIST).unwrap();
    assert_eq!(names(&files), ["0a", "0b"]);
    assert_eq!(files.ignored, [".filelist", "0c"]);
    assert_eq!(names(&of(StoreFileTracker::UNSET).unwrap()), ["0a", "0b"]);
    assert_eq!(names(&of(DIRECTORY).unwrap()), ["0a", "0b", "0c"]);
    // The list is truncated, so the list with the other name is used.
    let whole = list(7, None, &[("0c", None)]);
    put(&storage, ".filelist/f2.7", &whole[..whole.len() - 1]);
    assert_eq!(names(&of(LIST).unwrap()), ["0a"]);
    put(&storage, ".filelist/f1.7", b"");
    assert_eq!(names(&of(LIST).unwrap()), ["0c"], "and if both are, the one before");
    let mut damaged = whole;
    damaged[6] ^= 1;
    put(&storage, ".filelist/f1.8", &damaged);
    let error = of(LIST).unwrap_err();
    assert_eq!(
        (error.path(), error.offset()),
        (Some(Path::new(DIR).join(".filelist/f1.8").as_path()), Some(0))
    );
}

#[test]
fn references_that_are_only_on_the_list() {
    let storage = FaultyStorage::new();
    storage.create(Path::new("root/data/default/t/6f/f/0a")).unwrap();
    put(&storage, ".filelist/f1.1", &list(9, Some(2), &[("0a.6f", Some(1))]));
    let files = family(&storage).store_files(LIST).unwrap().files;
    assert_eq!(files[0].path, Path::new("root/data/default/t/6f/f/0a"));
    assert_eq!(files[0].reference.as_ref().unwrap().split_key.row(), b"m");
    assert_eq!(files[0].modified_millis, 9);
}

#[test]
fn invalid_lists() {
    assert!(FileList::parse(&list(1, Some(2), &[])).is_ok());
    let error = FileList::parse(&list(1, Some(3), &[])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for len in [0, -1, i32::MAX] {
        assert_eq!(FileList::parse(&len.to_be_bytes()).unwrap_err().kind(), ErrorKind::Corrupt);
    }
    // Its cells would be read twice.
    let twice = FileList::parse(&list(1, None, &[("0a", None), ("0b", None), ("0a", None)])).unwrap_err();
    assert_eq!(twice.to_string(), "list of files with a file twice");
    let evil = list(1, None, &[("../../../etc/passwd", None)]);
    let storage = FaultyStorage::new();
    put(&storage, ".filelist/f1.1", &evil);
    assert!(family(&storage).store_files(LIST).is_err());
}

#[test]
fn a_storage_that_fails_is_an_error_not_an_empty_store() {
    let storage = FaultyStorage::new();
    put(&storage, "0a", b"bytes");
    for n in 0..2 {
        storage.fail_after(n);
        let error = family(&storage).store_files(StoreFileTracker::UNSET).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, flip: usize) {
        let _ = FileList::parse(&bytes);
        let mut sealed = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
        sealed.extend_from_slice(&bytes);
        sealed.extend_from_slice(&crc32(&bytes).to_be_bytes());
        let _ = FileList::parse(&sealed);
        let mut flipped = list(1, Some(1), &[("0a", Some(1))]);
        let bits = flipped.len() * 8;
        flipped[flip % bits / 8] ^= 1 << (flip % 8);
        // A truncated list is skipped.
        let kind = FileList::parse(&flipped).map_err(|error| error.kind());
        prop_assert!(kind.is_err_and(|kind| kind != ErrorKind::Truncated), "no flipped bit goes unseen");
    }
}
