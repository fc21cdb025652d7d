use super::*;
use crate::io::faulty::FaultyStorage;
use crate::io::{FileWriter, Storage};
use crate::proto::region::{Reference as ReferenceProto, StoreFileEntry};
use crate::schema::TableName;
use crate::store::reference::{Root, TablePlace};
use proptest::prelude::*;
use std::sync::Arc;

const DIR: &str = "root/data/default/t/4d/f";

fn touch(storage: &FaultyStorage, name: &str, bytes: &[u8]) {
    let mut file: Box<dyn FileWriter> = storage.create(&Path::new(DIR).join(name)).unwrap();
    file.write_all(bytes).unwrap();
}

fn family(storage: &FaultyStorage) -> FamilyPlace {
    let root = Some(Root { path: "root".into(), has_namespaces: true });
    let (table, dir) = (TableName::parse("t").unwrap(), "root/data/default/t".into());
    let table = TablePlace { storage: Arc::new(storage.clone()), table, dir, root };
    FamilyPlace { table, region: "4d".into(), family: "f".into() }
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

fn names(files: &StoreFiles) -> Vec<&str> {
    files.files.iter().map(|file| file.name.as_str()).collect()
}

#[test]
fn a_directory_is_read_as_hbase_reads_it() {
    let storage = FaultyStorage::new();
    for name in ["0a", "0b_SeqId_5_", "no-file", ".0a.crc", "recovered.hfiles/0c"] {
        touch(&storage, name, b"bytes");
    }
    touch(&storage, "0e", b"");
    touch(&storage, "u=5e-0f", b"");
    storage.create(Path::new("root/data/default/u/5e/f/0f")).unwrap();
    for tracker in [StoreFileTracker::Directory, StoreFileTracker::Unset] {
        let files = family(&storage).files(tracker).unwrap();
        assert_eq!(names(&files), ["0a", "0b_SeqId_5_", "u=5e-0f"]);
        assert_eq!(files.ignored, [".0a.crc", "0e", "no-file", "recovered.hfiles"]);
    }
    touch(&storage, "what", b"bytes");
    let error = family(&storage).files(StoreFileTracker::Directory).unwrap_err();
    assert_eq!(error.path(), Some(Path::new(DIR).join("what").as_path()));
    let nowhere = FamilyPlace { family: "g".into(), ..family(&storage) };
    assert_eq!(nowhere.files(StoreFileTracker::Directory).unwrap().files, []);
}

#[test]
fn the_newest_whole_list_counts() {
    let storage = FaultyStorage::new();
    ["0a", "0b", "0c"].iter().for_each(|name| touch(&storage, name, b"bytes"));
    let of = |tracker| family(&storage).files(tracker);
    assert_eq!(names(&of(StoreFileTracker::List).unwrap()), [""; 0], "no list, no files");
    touch(&storage, ".filelist/f1", &list(99, None, &[("0c", None)]));
    touch(&storage, ".filelist/f1.7", &list(5, Some(1), &[("0a", None)]));
    touch(&storage, ".filelist/f2.7", &list(6, Some(1), &[("0a", None), ("0b", None)]));
    touch(&storage, ".filelist/other", b"");
    let files = of(StoreFileTracker::List).unwrap();
    assert_eq!(names(&files), ["0a", "0b"]);
    assert_eq!(files.ignored, [".filelist", "0c"]);
    assert_eq!(names(&of(StoreFileTracker::Unset).unwrap()), ["0a", "0b"]);
    assert_eq!(names(&of(StoreFileTracker::Directory).unwrap()), ["0a", "0b", "0c"]);
    // cut off: the list of the other name counts
    let whole = list(7, None, &[("0c", None)]);
    touch(&storage, ".filelist/f2.7", &whole[..whole.len() - 1]);
    assert_eq!(names(&of(StoreFileTracker::List).unwrap()), ["0a"]);
    touch(&storage, ".filelist/f1.7", b"");
    assert_eq!(names(&of(StoreFileTracker::List).unwrap()), ["0c"], "and if both are, the one before");
    let mut damaged = whole;
    damaged[6] ^= 1;
    touch(&storage, ".filelist/f1.8", &damaged);
    let error = of(StoreFileTracker::List).unwrap_err();
    assert_eq!(
        (error.path(), error.offset()),
        (Some(Path::new(DIR).join(".filelist/f1.8").as_path()), Some(0))
    );
}

#[test]
fn references_that_are_only_on_the_list() {
    let storage = FaultyStorage::new();
    storage.create(Path::new("root/data/default/t/6f/f/0a")).unwrap();
    touch(&storage, ".filelist/f1.1", &list(9, Some(2), &[("0a.6f", Some(1))]));
    let files = family(&storage).files(StoreFileTracker::List).unwrap().files;
    assert_eq!(files[0].path, Path::new("root/data/default/t/6f/f/0a"));
    assert_eq!(files[0].reference.as_ref().unwrap().split_key.row(), b"m");
    assert_eq!(files[0].modified_millis, 9);
}

#[test]
fn lists_that_are_none() {
    assert!(FileList::parse(&list(1, Some(2), &[])).is_ok());
    let error = FileList::parse(&list(1, Some(3), &[])).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for len in [0, -1, i32::MAX] {
        assert_eq!(FileList::parse(&len.to_be_bytes()).unwrap_err().kind(), ErrorKind::Corrupt);
    }
    let evil = list(1, None, &[("../../../etc/passwd", None)]);
    let storage = FaultyStorage::new();
    touch(&storage, ".filelist/f1.1", &evil);
    assert!(family(&storage).files(StoreFileTracker::List).is_err());
}

#[test]
fn trackers_by_name() {
    let of = |name: &'static str, source: Option<&'static str>| {
        StoreFileTracker::from_settings(|key| if key == IMPL { Some(name) } else { source })
    };
    assert_eq!(StoreFileTracker::from_settings(|_| None), Ok(StoreFileTracker::Unset));
    assert_eq!(of("DEFAULT", None), Ok(StoreFileTracker::Directory));
    assert_eq!(of("org.apache.x.FileBasedStoreFileTracker", None), Ok(StoreFileTracker::List));
    assert_eq!(of("MIGRATION", Some("FILE")), Ok(StoreFileTracker::List));
    assert!(of("MIGRATION", None).is_err() && of("MIGRATION", Some("MIGRATION")).is_err());
    assert!(of("MY_OWN", None).is_err());
}

#[test]
fn a_storage_that_fails_is_an_error_not_an_empty_store() {
    let storage = FaultyStorage::new();
    touch(&storage, "0a", b"bytes");
    for n in 0..2 {
        storage.fail_after(n);
        let error = family(&storage).files(StoreFileTracker::Unset).unwrap_err();
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
        prop_assert!(FileList::parse(&flipped).is_err(), "no flipped bit goes unseen");
    }
}
