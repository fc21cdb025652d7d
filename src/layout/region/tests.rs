//! Region directories created by these tests, in a failing storage.

use super::*;
use crate::cell::SeekKey;
use crate::error::ErrorKind;
use crate::io::LocalStorage;
use crate::io::faulty::{Crash, FaultyStorage};
use crate::layout::tracker::IMPL;
use crate::schema::TableName;
use std::collections::BTreeMap;

fn local() -> Arc<dyn Storage> {
    Arc::new(LocalStorage)
}

/// Returns a storage that can fail, and the path and info of a region of a table `t`.
fn made(storage: &FaultyStorage) -> (Arc<dyn Storage>, PathBuf, RegionInfo) {
    let info = RegionInfo::new(TableName::parse("t").unwrap(), "a", "m", 7).unwrap();
    let path = Path::new("root/data/default/t").join(info.encoded_name());
    (Arc::new(storage.clone()), path, info)
}

fn put(storage: &Arc<dyn Storage>, path: &Path, bytes: &[u8]) {
    storage.create(path).unwrap().write_all(bytes).unwrap();
}

#[test]
fn a_region_comes_into_being_as_a_whole_or_not_at_all() {
    let families = [Family::new("f"), Family::new("g")];
    let names = |dir: &RegionDir| dir.families().iter().map(|f| f.name().to_vec()).collect::<Vec<_>>();
    let sound = FaultyStorage::new();
    let (storage, path, info) = made(&sound);
    let dir = RegionDir::create(&storage, &path, &info, &families).unwrap();
    assert_eq!((dir.info(), names(&dir)), (&info, vec![b"f".to_vec(), b"g".to_vec()]));
    let again = RegionDir::create(&storage, &path, &info, &families).unwrap_err();
    assert_eq!(again.kind(), ErrorKind::Io);
    assert!(RegionDir::create(&storage, &path.with_file_name("0a"), &info, &families).is_err());
    for n in 0..sound.calls() {
        for crash in [Crash::OfTheProcess, Crash::Torn, Crash::Hard] {
            let failing = FaultyStorage::new();
            failing.die_after(n);
            let (storage, ..) = made(&failing);
            let created = RegionDir::create(&storage, &path, &info, &families).is_ok();
            let (storage, ..) = made(&failing.after(crash));
            match RegionDir::open(&storage, &path) {
                Ok(dir) => assert_eq!((dir.info(), names(&dir).len()), (&info, 2)),
                Err(error) => assert!(!created && error.kind() == ErrorKind::Io, "{n} {crash:?} {error}"),
            }
        }
    }
}

/// The descriptor of a table under a root is shared by all of its regions, and is created with the first one.
#[test]
fn the_first_region_brings_the_tables_descriptor() {
    let (storage, path, info) = made(&FaultyStorage::new());
    let families = [Family::new("f").max_versions(7)];
    RegionDir::create(&storage, &path, &info, &families).unwrap();
    let next = RegionInfo::new(info.table().clone(), "m", "", 7).unwrap();
    let next_path = path.with_file_name(next.encoded_name());
    let dir = RegionDir::create(&storage, &next_path, &next, &[Family::new("f")]).unwrap();
    assert_eq!(dir.families(), families);
    assert_eq!(storage.list_dir(&path.parent().unwrap().join(".tabledesc")).unwrap().len(), 1);
}

/// A removal without a response may be executed when the region has been created again.
#[test]
fn a_creation_writes_no_descriptor_of_a_name_that_is_removed() {
    let faulty = FaultyStorage::new();
    faulty.has_objects();
    let (storage, _, info) = made(&faulty);
    let path = Path::new("alone/r");
    let create = |max_versions| {
        let family = Family::new("f").configuration(IMPL, "FILE").max_versions(max_versions);
        let dir = RegionDir::create(&storage, path, &info, &[family]).unwrap();
        assert_eq!(dir.families[0].max_versions, max_versions);
        dir.descriptor.unwrap().path
    };
    let descriptors = || storage.list_dir(&path.join(".tabledesc")).unwrap().len();
    // As if the creation had been interrupted.
    let interrupt = || storage.remove(&path.join(REGION_INFO)).unwrap();
    let first = create(7);
    interrupt();
    // Of another length. The removal of the first one gets no response.
    faulty.stick(&first);
    create(1000);
    assert_eq!(descriptors(), 2);
    interrupt();
    faulty.repair();
    let last = create(7);
    assert_ne!(last, first);
    assert_eq!(descriptors(), 1);
    // Now it is executed.
    storage.remove(&first).unwrap_err();
    let dir = RegionDir::open(&storage, path).unwrap();
    assert_eq!((dir.families[0].max_versions, dir.descriptor.unwrap().path), (7, last));
}

/// Without the setting, a cluster whose default is FILE would not find the files of a table.
#[test]
fn what_is_new_records_how_its_files_are_tracked() {
    let (storage, path, info) = made(&FaultyStorage::new());
    let create = |path: &Path, families: &[Family]| {
        let dir = RegionDir::create(&storage, path, &info, families).unwrap();
        ["f", "g"].map(|family| dir.setting(family.as_bytes(), IMPL).map(str::to_owned))
    };
    let set = |value: &str| Some(value.to_owned());
    let families = [Family::new("f"), Family::new("g").configuration(IMPL, "FILE")];
    assert_eq!(create(&path, &families), [set("DEFAULT"), set("FILE")]);
    assert_eq!(create(Path::new("alone/r"), &families), [set("DEFAULT"), set("FILE")]);
    // Given families are compared without the setting.
    let dir = RegionDir::open(&storage, &path).unwrap();
    assert!(!dir.reconcile(&families, SchemaChange::Refuse).unwrap().1);
    // The existing files may be on lists.
    put(&storage, Path::new("alone/s/g/.filelist/f1.5"), b"x");
    assert_eq!(create(Path::new("alone/s"), &families), [None, set("FILE")]);
    let storage: Arc<dyn Storage> = Arc::new(FaultyStorage::new());
    let table = crate::layout::table::create_table(
        &storage,
        Path::new("root"),
        &TableDescriptor::new(info.table().clone(), &families),
        std::slice::from_ref(&info),
    );
    let dir = RegionDir::open(&storage, &table.unwrap().join(info.encoded_name())).unwrap();
    assert_eq!(dir.setting(b"f", IMPL), Some("DEFAULT"));
}

#[test]
fn recovered_edits_are_never_passed_over() {
    let (storage, path, info) = made(&FaultyStorage::new());
    RegionDir::create(&storage, &path, &info, &[Family::new("f")]).unwrap();
    let edits = path.join(RECOVERED_EDITS);
    for name in ["12.seqid", "9_seqid", "0000000000000000007-log.temp", "0000000000000000005.1700000000000"] {
        put(&storage, &edits.join(name), b"");
    }
    put(&storage, &path.join(".tmp/0a"), b"");
    let dir = RegionDir::open(&storage, &path).unwrap();
    assert_eq!(dir.max_seq_id(), Some(12));
    put(&storage, &edits.join("0000000000000000017"), b"PWAL");
    put(&storage, &edits.join("0000000000000000016"), b"PWAL");
    let dir = RegionDir::open(&storage, &path).unwrap();
    let [first, second] = ["0000000000000000016", "0000000000000000017"].map(|name| edits.join(name));
    assert_eq!(dir.recovered_edits().unwrap(), [first.clone(), second.clone()]);
    dir.retire_recovered_edits(std::slice::from_ref(&first), &[second], 1_700_000_000_000).unwrap();
    let dir = RegionDir::open(&storage, &path).unwrap();
    assert_eq!(dir.recovered_edits().unwrap(), [] as [PathBuf; 0]);
    assert!(storage.open(&edits.join("0000000000000000017.1700000000000")).is_ok());
    assert!(storage.open(&first).is_err());
    put(&storage, &path.join("f/recovered.hfiles/0b"), b"");
    let error = RegionDir::open(&storage, &path).unwrap().recovered_edits().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    put(&storage, &edits.join("many.seqid"), b"");
    let error = RegionDir::open(&storage, &path).unwrap_err();
    assert_eq!(error.path(), Some(edits.join("many.seqid").as_path()));
}

#[test]
fn the_region_info_is_that_of_the_directory() {
    let (storage, path, info) = made(&FaultyStorage::new());
    RegionDir::create(&storage, &path, &info, &[]).unwrap();
    let flipped = |file: &[u8], bit: usize| {
        let mut flipped = file.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    };
    let file = info.to_file();
    assert!(RegionDir::open(&storage, &path).is_ok());
    for bit in 0..file.len() * 8 {
        put(&storage, &path.join(REGION_INFO), &flipped(&file, bit));
        assert!(RegionDir::open(&storage, &path).is_err(), "bit {bit}");
    }
    // HBase's file has no seal, and the name does not depend on the end key and the flags.
    let file = info.to_unsealed_file();
    for bit in 0..file.len() * 8 {
        put(&storage, &path.join(REGION_INFO), &flipped(&file, bit));
        if let Ok(dir) = RegionDir::open(&storage, &path) {
            assert_eq!(
                (dir.info().start_key(), dir.info().region_id()),
                (info.start_key(), info.region_id())
            );
        }
    }
    put(&storage, &path.join(REGION_INFO), &vec![0; 2 << 20]);
    assert_eq!(RegionDir::open(&storage, &path).unwrap_err().kind(), ErrorKind::Limit);
    storage.remove(&path.join(REGION_INFO)).unwrap();
    assert_eq!(RegionDir::open(&storage, &path).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn the_newest_descriptor_that_is_whole_counts() {
    let (storage, path, info) = made(&FaultyStorage::new());
    RegionDir::create(&storage, &path, &info, &[Family::new("dir")]).unwrap();
    let descriptor = |family: &str| {
        let name = b"\x0a\x0c\x0a\x07default\x12\x01t";
        let len = u8::try_from(family.len()).unwrap();
        [b"PBUF", &name[..], &[0x1a, len + 2, 0x0a, len], family.as_bytes()].concat()
    };
    let families = || {
        RegionDir::open(&storage, &path).map(|dir| {
            let names = dir.families().iter().map(|f| String::from_utf8_lossy(f.name()).into_owned());
            names.collect::<Vec<_>>().join(" ")
        })
    };
    let table = path.parent().unwrap().join(".tabledesc");
    assert_eq!(families().unwrap(), "dir");
    // Without the descriptor created with it, the region has the families of its directories.
    for made in storage.list_dir(&table).unwrap() {
        storage.remove(&table.join(made.name)).unwrap();
    }
    assert_eq!(families().unwrap(), "dir");
    let (one, two) = (descriptor("one"), descriptor("two"));
    put(&storage, &table.join(format!(".tableinfo.0000000003.{}", one.len() + 1)), &one);
    assert!(families().unwrap_err().to_string().contains("another length than its name says"));
    put(&storage, &table.join(format!(".tableinfo.0000000001.{}", one.len())), &one);
    assert_eq!(families().unwrap(), "one");
    put(&storage, &table.join(".tableinfo.0000000002"), &two);
    assert_eq!(families().unwrap(), "two");
    put(&storage, &table.join(".tableinfo.0000000004"), b"PBUF\x0a\x0c\x0a\x07default\x12\x01u");
    assert!(families().unwrap_err().to_string().ends_with("the table descriptor is that of another table"));
    put(&storage, &table.join(".tableinfo.0000000004"), &descriptor(".."));
    assert!(families().unwrap_err().to_string().ends_with("an invalid family"));
}

#[test]
fn roots_by_path() {
    let root = |path: &str, table: &str| {
        let info = RegionInfo::new(TableName::parse(table).unwrap(), "", "", 1).unwrap();
        TableDir::of_region(&local(), Path::new(path), &info)
            .unwrap()
            .root
            .map(|root| (root.path, root.has_namespaces))
    };
    assert_eq!(root("/r/data/ns/t/0a", "ns:t"), Some(("/r".into(), true)));
    assert_eq!(root("data/default/t/0a", "t"), Some(("".into(), true)));
    assert_eq!(root("/r/archive/data/ns/t/0a", "ns:t"), Some(("/r".into(), true)));
    assert_eq!(root("/r/t/0a", "t"), Some(("/r".into(), false)));
    assert_eq!((root("/r/u/0a", "t"), root("0a", "t")), (None, None));
}

#[test]
fn files_are_archived_where_others_find_them() {
    let storage = FaultyStorage::new();
    let (shared, path, info) = made(&storage);
    let dir = RegionDir::create(&shared, &path, &info, &[Family::new("f")]).unwrap();
    let file = path.join("f/0a");
    put(&shared, &file, b"bytes");
    dir.archive(b"f", ["0a"]).unwrap();
    let archived = Path::new("root/archive/data/default/t").join(info.encoded_name()).join("f/0a");
    assert_eq!((storage.bytes(&file), storage.bytes(&archived)), (None, Some(b"bytes".to_vec())));
    assert!(!storage.after(Crash::Hard).names().contains(&file));
}

#[test]
fn a_root_may_be_named_like_the_archive() {
    let storage = FaultyStorage::new();
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let info = RegionInfo::new(TableName::parse("t").unwrap(), "a", "m", 7).unwrap();
    let path = Path::new("root/archive/data/default/t").join(info.encoded_name());
    let dir = RegionDir::create(&shared, &path, &info, &[Family::new("f")]).unwrap();
    assert_eq!(dir.root(), Some(Path::new("root/archive")));
    let file = path.join("f/0a");
    put(&shared, &file, b"bytes");
    dir.archive(b"f", ["0a"]).unwrap();
    let archived = Path::new("root/archive/archive/data/default/t").join(info.encoded_name()).join("f/0a");
    assert_eq!((storage.bytes(&file), storage.bytes(&archived)), (None, Some(b"bytes".to_vec())));
    // Links are also followed there.
    let name = format!("t={}-0a", info.encoded_name());
    let (len, is_dir, is_symlink, modified_millis) = (0, false, false, 0);
    let entry = DirEntry { name: name.clone().into(), len, is_dir, is_symlink, modified_millis };
    assert_eq!(dir.family(b"f").resolve(&entry, &name, None).unwrap().path, archived);
}

#[test]
fn references_must_be_to_the_regions_own_half() {
    let (shared, path, info) = made(&FaultyStorage::new());
    let dir = RegionDir::create(&shared, &path, &info, &[Family::new("f")]).unwrap();
    put(&shared, &path.with_file_name("6f").join("f/0a"), b"bytes");
    let mut refused = BTreeMap::new();
    for (row, half) in [("a", 0), ("b", 0), ("m", 0), ("m", 1), ("a", 1), ("", 0)] {
        let key = SeekKey::first_on_row(row.as_bytes());
        let len = u8::try_from(key.as_bytes().len()).unwrap();
        let bytes = [b"PBUF\x0a", &[len][..], key.as_bytes(), &[0x10, half]].concat();
        put(&shared, &path.join("f/0a.6f"), &bytes);
        refused.insert((row, half), dir.store_files(b"f").is_err());
    }
    let expected = [
        (("", 0), true),
        (("a", 0), false),
        (("a", 1), true),
        (("b", 0), false),
        (("m", 0), true),
        (("m", 1), false),
    ];
    assert_eq!(refused, BTreeMap::from(expected));
}
