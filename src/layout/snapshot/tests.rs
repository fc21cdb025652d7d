use super::*;
use crate::cell::SeekKey;
use crate::error::ErrorKind;
use crate::io::faulty::{Call, FaultyStorage};
use crate::layout::reference::Half;
use crate::proto;
use crate::proto::hfile::BytesBytesPair;
use crate::proto::region::{ColumnFamilySchema, RegionInfo, TableSchema};
use crate::proto::snapshot::StoreFile;
use proptest::prelude::*;
use prost::Message;

#[derive(Clone, PartialEq, prost::Message)]
struct SnapshotDataManifest {
    #[prost(message, optional, tag = "1")]
    table_schema: Option<TableSchema>,
    #[prost(message, repeated, tag = "2")]
    region_manifests: Vec<SnapshotRegionManifest>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct SnapshotRegionManifest {
    #[prost(int32, optional, tag = "1")]
    version: Option<i32>,
    #[prost(message, optional, tag = "2")]
    region_info: Option<RegionInfo>,
    #[prost(message, repeated, tag = "3")]
    family_files: Vec<FamilyFiles>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FamilyFiles {
    #[prost(bytes = "vec", optional, tag = "1")]
    family_name: Option<Vec<u8>>,
    #[prost(message, repeated, tag = "2")]
    store_files: Vec<StoreFile>,
}

const ROOT: &str = "root";
const DIR: &str = "root/.hbase-snapshot/s";

fn touch(storage: &FaultyStorage, path: &str, bytes: &[u8]) {
    storage.create(Path::new(path)).unwrap().write_all(bytes).unwrap();
}

fn table() -> proto::region::TableName {
    let text = |text: &str| Some(text.as_bytes().to_vec());
    proto::region::TableName { namespace: text("ns"), qualifier: text("t") }
}

fn schema(attributes: &[(&str, &str)]) -> TableSchema {
    let pair = |(key, value): &(&str, &str)| BytesBytesPair {
        first: Some(key.as_bytes().to_vec()),
        second: Some(value.as_bytes().to_vec()),
    };
    let family = ColumnFamilySchema {
        name: Some(b"f".to_vec()),
        attributes: attributes.iter().map(pair).collect(),
        configuration: Vec::new(),
    };
    TableSchema { table_name: Some(table()), column_families: vec![family], ..TableSchema::default() }
}

fn region_info(start: &str, end: &str, id: u64) -> RegionInfo {
    RegionInfo {
        region_id: Some(id),
        table_name: Some(table()),
        start_key: Some(start.as_bytes().to_vec()),
        end_key: Some(end.as_bytes().to_vec()),
        ..RegionInfo::default()
    }
}

fn file(name: &str) -> StoreFile {
    StoreFile { name: Some(name.to_owned()), ..StoreFile::default() }
}

fn half(name: &str, row: &[u8], range: i32) -> StoreFile {
    let splitkey = Some(SeekKey::first_on_row(row).as_bytes().to_vec());
    StoreFile { reference: Some(proto::region::Reference { splitkey, range: Some(range) }), ..file(name) }
}

fn region(info: RegionInfo, files: &[StoreFile]) -> SnapshotRegionManifest {
    let family = FamilyFiles { family_name: Some(b"f".to_vec()), store_files: files.to_vec() };
    SnapshotRegionManifest { version: None, region_info: Some(info), family_files: vec![family] }
}

fn manifest(regions: &[SnapshotRegionManifest]) -> SnapshotDataManifest {
    SnapshotDataManifest { table_schema: Some(schema(&[])), region_manifests: regions.to_vec() }
}

fn describe(storage: &FaultyStorage, version: Option<i32>) {
    let description = proto::snapshot::SnapshotDescription {
        name: Some("s".into()),
        table: Some("ns:t".into()),
        version,
        ..Default::default()
    };
    touch(storage, &format!("{DIR}/.snapshotinfo"), &description.encode_to_vec());
}

/// Returns a storage with a snapshot of version 2.
fn storage_with(manifest: &SnapshotDataManifest) -> FaultyStorage {
    let storage = FaultyStorage::new();
    describe(&storage, Some(2));
    touch(&storage, &format!("{DIR}/data.manifest"), &manifest.encode_to_vec());
    storage
}

fn open(storage: &FaultyStorage) -> Result<Snapshot> {
    Snapshot::open(storage, Path::new(ROOT), "s")
}

/// Returns the encoded name of the region with all rows.
fn encoded() -> String {
    crate::schema::RegionInfo::parse(&region_info("", "", 5).encode_to_vec()).unwrap().encoded_name()
}

/// Returns the files of family `f` of the only region.
fn files(storage: &FaultyStorage) -> Result<Vec<StoreFileInfo>> {
    let snapshot = open(storage)?;
    let region = snapshot.region(0).unwrap();
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let dir = snapshot.region_dir(&shared, region);
    Ok(snapshot.store_files(&dir, region, b"f")?.files)
}

#[test]
fn files_are_found_wherever_they_lie() {
    let listed = [
        file("0a"),
        file("0b_SeqId_4_"),
        file("u=5e-0c"),
        half("0d.6f", b"m", 0),
        half("ns2=u=5e-0e.6f", b"m", 0),
        file("0f.6f"),
    ];
    let storage = storage_with(&manifest(&[region(region_info("", "", 5), &listed)]));
    let region = encoded();
    let reference = [b"PBUF\x0a\x0d", SeekKey::first_on_row(b"n").as_bytes(), &[0x10, 0]].concat();
    for (path, bytes) in [
        (format!("root/data/ns/t/{region}/f/0a"), &b"data"[..]),
        (format!("root/archive/data/ns/t/{region}/f/0a"), b"archive"),
        (format!("root/archive/data/ns/t/{region}/f/0b_SeqId_4_"), b"x"),
        ("root/archive/data/default/u/5e/f/0c".to_owned(), b"x"),
        ("root/archive/data/ns/t/6f/f/0d".to_owned(), b"x"),
        ("root/data/ns2/u/5e/f/0e".to_owned(), b"x"),
        ("root/data/ns/t/6f/f/0f".to_owned(), b"x"),
        (format!("root/archive/data/ns/t/{region}/f/0f.6f"), &reference),
    ] {
        touch(&storage, &path, bytes);
    }
    let before = storage.names();
    for call in [Call::Create, Call::Rename, Call::Remove, Call::CreateDir, Call::Lock, Call::SyncDir] {
        storage.break_calls(call);
    }
    let found = files(&storage).unwrap();
    assert_eq!(storage.names(), before);
    let paths: Vec<String> = found.iter().map(|file| file.path.display().to_string()).collect();
    assert_eq!(
        paths,
        [
            format!("root/data/ns/t/{region}/f/0a"),
            format!("root/archive/data/ns/t/{region}/f/0b_SeqId_4_"),
            "root/archive/data/ns/t/6f/f/0d".into(),
            "root/data/ns/t/6f/f/0f".into(),
            "root/data/ns2/u/5e/f/0e".into(),
            "root/archive/data/default/u/5e/f/0c".into(),
        ]
    );
    let names: Vec<&str> = found.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(names, ["0a", "0b_SeqId_4_", "0d.6f", "0f.6f", "ns2=u=5e-0e.6f", "u=5e-0c"]);
    let rows: Vec<Option<(Half, Vec<u8>)>> = found
        .iter()
        .map(|file| file.reference.as_ref().map(|half| (half.half, half.split_key.row().to_vec())))
        .collect();
    let top = |row: &[u8]| Some((Half::Top, row.to_vec()));
    assert_eq!(rows, [None, None, top(b"m"), top(b"n"), top(b"m"), None]);
}

#[test]
fn a_missing_file_is_named_with_its_places() {
    let storage = storage_with(&manifest(&[region(region_info("", "", 5), &[file("0a")])]));
    let error = files(&storage).unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
    let (name, text) = (encoded(), error.to_string());
    for part in [
        "data.manifest".to_owned(),
        "file 0a of family f".into(),
        format!("region {name}, snapshot s"),
        format!("root/data/ns/t/{name}/f/0a"),
        format!("root/archive/data/ns/t/{name}/f/0a"),
    ] {
        assert!(text.contains(&part), "{part} in {text}");
    }
    let missing = storage_with(&manifest(&[region(region_info("", "", 5), &[file("u=5e-0c")])]));
    let text = files(&missing).unwrap_err().to_string();
    assert!(text.contains("root/archive/data/default/u/5e/f/0c"), "{text}");
    // A directory in place of the file is not a file.
    touch(&storage, &format!("root/data/ns/t/{name}/f/0a/x"), b"x");
    assert!(files(&storage).unwrap_err().is_not_found());
}

#[test]
fn a_file_of_another_length_is_refused() {
    let sized = StoreFile { file_size: Some(3), ..file("0a") };
    let storage = storage_with(&manifest(&[region(region_info("", "", 5), &[sized])]));
    let path = format!("root/archive/data/ns/t/{}/f/0a", encoded());
    touch(&storage, &path, b"abc");
    assert_eq!(files(&storage).unwrap().len(), 1);
    touch(&storage, &path, b"abcd");
    let error = files(&storage).unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Corrupt, Some(Path::new(&path))));
    assert!(error.to_string().contains("4 bytes, expected 3"), "{error}");
}

#[test]
fn a_half_outside_of_its_region_is_refused() {
    let listed = [half("0d.6f", b"x", 0)];
    let storage = storage_with(&manifest(&[region(region_info("", "m", 5), &listed)]));
    touch(&storage, "root/data/ns/t/6f/f/0d", b"x");
    assert!(files(&storage).unwrap_err().to_string().contains("half outside of the region"));
}

#[test]
fn names_that_lead_out_of_the_root_are_refused() {
    let info = || region_info("", "", 5);
    for name in ["../0a", "..", "/etc/passwd", "0a/../../x", "u=../5e-0c", "..=5e-0c", "0a.../x", "", "x y"] {
        let storage = storage_with(&manifest(&[region(info(), &[file(name)])]));
        let error = open(&storage).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}");
        assert_eq!(error.path(), Some(Path::new("root/.hbase-snapshot/s/data.manifest")));
    }
    for name in ["..", "../f", "/f", "", "f:g", ".tmp", "recovered.edits"] {
        let mut region = region(info(), &[file("0a")]);
        region.family_files[0].family_name = Some(name.as_bytes().to_vec());
        assert_eq!(
            open(&storage_with(&manifest(&[region]))).unwrap_err().kind(),
            ErrorKind::Corrupt,
            "{name}"
        );
    }
    let qualifier = Some(b"../t".to_vec());
    let table_name = Some(proto::region::TableName { qualifier, ..table() });
    let hostile = RegionInfo { table_name, ..info() };
    assert!(open(&storage_with(&manifest(&[region(hostile, &[])]))).is_err());
    for name in ["../s", "..", ".tmp", "", "a/b", "/s"] {
        let error = Snapshot::open(&FaultyStorage::new(), Path::new(ROOT), name).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidArgument, "{name}");
    }
}

#[test]
fn other_versions_are_refused_by_name() {
    let sound = manifest(&[region(region_info("", "", 5), &[])]);
    for (version, part) in
        [(None, "version 1"), (Some(1), "version 1"), (Some(3), "version 3"), (Some(-2), "-2")]
    {
        let storage = storage_with(&sound);
        describe(&storage, version);
        let error = open(&storage).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(part), "{error}");
    }
    let storage = FaultyStorage::new();
    describe(&storage, Some(2));
    touch(&storage, &format!("{DIR}/{}/.regioninfo", encoded()), b"x");
    let error = open(&storage).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains(&encoded()), "{error}");
}

#[test]
fn the_region_of_mob_files_has_no_rows() {
    let name = "36870a128e2b61b11b5b6154f73464e82024013136870a128e2b61b11b5b6154f73464e8";
    let mob = region(region_info(".mob", "", 0), &[file(name)]);
    let storage = storage_with(&manifest(&[region(region_info("", "", 5), &[]), mob]));
    assert_eq!(open(&storage).unwrap().regions().count(), 1);
    // No store can have such a file.
    let storage = storage_with(&manifest(&[region(region_info("", "", 5), &[file(name)])]));
    assert_eq!(files(&storage).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn manifests_that_are_inconsistent_are_refused() {
    let sound = || region(region_info("", "", 5), &[file("0a")]);
    assert!(open(&storage_with(&manifest(&[sound()]))).is_ok());
    let mut other_table = manifest(&[sound()]);
    let qualifier = Some(b"other".to_vec());
    let other_name = proto::region::TableName { qualifier, ..table() };
    other_table.table_schema = Some(TableSchema { table_name: Some(other_name.clone()), ..schema(&[]) });
    let of_other = RegionInfo { table_name: Some(other_name), ..region_info("", "", 5) };
    let reference_name = [half("0a", b"m", 0)];
    for malformed in [
        other_table,
        SnapshotDataManifest { table_schema: None, ..manifest(&[sound()]) },
        manifest(&[region(of_other, &[])]),
        manifest(&[sound(), sound()]),
        manifest(&[SnapshotRegionManifest { region_info: None, ..sound() }]),
        manifest(&[region(region_info("b", "a", 5), &[])]),
        manifest(&[region(region_info("", "", 5), &[file("0a"), file("0a")])]),
        manifest(&[region(region_info("", "", 5), &[StoreFile::default()])]),
        manifest(&[region(region_info("", "", 5), &reference_name)]),
        manifest(&[region(region_info("", "", 5), &[half("0a.6f", b"m", 2)])]),
    ] {
        assert_eq!(open(&storage_with(&malformed)).unwrap_err().kind(), ErrorKind::Corrupt, "{malformed:?}");
    }
    let storage = storage_with(&manifest(&[sound()]));
    for bytes in [&b"\x08\x01"[..], b"\x0a\xff", b"\x12\x02\x18\x01"] {
        touch(&storage, &format!("{DIR}/data.manifest"), bytes);
        assert!(open(&storage).is_err(), "{bytes:x?}");
    }
}

#[test]
fn parents_and_replicas_are_left_out() {
    let parent = RegionInfo { offline: Some(true), split: Some(true), ..region_info("", "", 4) };
    let replica = RegionInfo { replica_id: Some(1), ..region_info("", "m", 5) };
    let offline = RegionInfo { offline: Some(true), ..region_info("m", "", 5) };
    let infos = [offline, parent, replica, region_info("", "m", 5)];
    let regions: Vec<_> = infos.into_iter().map(|info| region(info, &[])).collect();
    let snapshot = open(&storage_with(&manifest(&regions))).unwrap();
    let found: Vec<(&[u8], i64, u16)> = snapshot
        .regions()
        .map(|(index, region)| {
            assert_eq!(snapshot.region(index).unwrap().info, region.info);
            (region.info.start_key(), region.info.region_id(), region.info.replica_id())
        })
        .collect();
    assert_eq!(found, [(&b""[..], 5, 0), (b"m", 5, 0)]);
}

#[test]
fn manifests_of_single_regions_are_read() {
    let storage = FaultyStorage::new();
    describe(&storage, Some(2));
    assert!(open(&storage).unwrap_err().is_not_found());
    for (start, end) in [("", "m"), ("m", "")] {
        let region = region(region_info(start, end, 5), &[file("0a")]);
        let info = region.region_info.clone().unwrap().encode_to_vec();
        let name = crate::schema::RegionInfo::parse(&info).unwrap().encoded_name();
        touch(&storage, &format!("{DIR}/region-manifest.{name}"), &region.encode_to_vec());
    }
    let shared: Arc<dyn Storage> = Arc::new(storage.clone());
    let snapshot = open(&storage).unwrap();
    assert_eq!((snapshot.regions().count(), snapshot.warnings().len()), (2, 0));
    let dir = snapshot.region_dir(&shared, snapshot.region(0).unwrap());
    assert!(!dir.has_descriptor());
    assert_eq!(dir.families(), [Family::new("f").max_versions(u32::MAX)]);
    // The table still exists: its descriptor is used, with a warning.
    let tableinfo = [proto::MAGIC.as_slice(), &schema(&[("VERSIONS", "7")]).encode_to_vec()].concat();
    touch(&storage, "root/data/ns/t/.tabledesc/.tableinfo.0000000001", &tableinfo);
    let snapshot = open(&storage).unwrap();
    assert_eq!(snapshot.warnings().len(), 1);
    let dir = snapshot.region_dir(&shared, snapshot.region(0).unwrap());
    assert_eq!(dir.families(), [Family::new("f").max_versions(7)]);
    let other = region(region_info("a", "b", 5), &[]);
    touch(&storage, &format!("{DIR}/region-manifest.{}", encoded()), &other.encode_to_vec());
    assert_eq!(open(&storage).unwrap_err().kind(), ErrorKind::Corrupt);
}

#[test]
fn complete_snapshots_are_listed() {
    let storage = storage_with(&manifest(&[]));
    touch(&storage, "root/.hbase-snapshot/.tmp/u/.snapshotinfo", b"x");
    touch(&storage, "root/.hbase-snapshot/empty/x", b"x");
    touch(&storage, "root/.hbase-snapshot/file", b"x");
    let each = |root: &str| each_snapshot(&storage, Path::new(root)).unwrap();
    let list = |root: &str| each(root).into_iter().collect::<Result<Vec<_>>>();
    let names = |found: Vec<SnapshotDescription>| -> Vec<String> {
        found.iter().map(|snapshot| snapshot.name().to_owned()).collect()
    };
    assert_eq!(names(list(ROOT).unwrap()), ["s"]);
    assert_eq!(names(list("elsewhere").unwrap()), [""; 0]);
    touch(&storage, "root/.hbase-snapshot/broken/.snapshotinfo", b"x");
    let error = list(ROOT).unwrap_err();
    assert_eq!(error.path(), Some(Path::new("root/.hbase-snapshot/broken/.snapshotinfo")));
    assert_eq!(names(each(ROOT).into_iter().flatten().collect()), ["s"]);
    let find = |name: &str| find_snapshot(&storage, Path::new(ROOT), name);
    assert_eq!(find("s").unwrap().unwrap().name(), "s");
    assert!(find("none").unwrap().is_none() && find("empty").unwrap().is_none());
    assert_eq!(find("broken").unwrap_err().path(), error.path());
    assert_eq!(find("../s").unwrap_err().kind(), ErrorKind::InvalidArgument);
    assert!(open(&FaultyStorage::new()).unwrap_err().is_not_found());
}

/// A failing call causes an error or the complete answer, never a part of it.
#[test]
fn failing_calls_lose_no_file() {
    let storage = storage_with(&manifest(&[region(region_info("", "", 5), &[file("0a"), file("0b")])]));
    touch(&storage, &format!("root/data/ns/t/{}/f/0a", encoded()), b"x");
    touch(&storage, &format!("root/archive/data/ns/t/{}/f/0b", encoded()), b"x");
    let calls = storage.all_calls();
    let expected = files(&storage).unwrap();
    assert_eq!(expected.len(), 2);
    for call in 0..storage.all_calls() - calls {
        storage.fail_among_all([call]);
        if let Ok(found) = files(&storage) {
            assert_eq!(found, expected, "call {call}");
        }
        storage.heal();
    }
}

/// The links of a clone are files in its directories.
#[test]
fn a_clone_records_how_its_files_are_tracked() {
    const IMPL: &str = "hbase.store.file-tracker.impl";
    let tracker = |value: Option<&str>| -> Option<String> {
        let pair = |value: &str| BytesBytesPair {
            first: Some(IMPL.as_bytes().to_vec()),
            second: Some(value.as_bytes().to_vec()),
        };
        let mut manifest = manifest(&[region(region_info("", "", 5), &[])]);
        let attributes = value.map(pair).into_iter().collect();
        manifest.table_schema = Some(TableSchema { attributes, ..schema(&[]) });
        let shared: Arc<dyn Storage> = Arc::new(storage_with(&manifest));
        let table = TableName::new("ns", "u").unwrap();
        let snapshot = Snapshot::open(&*shared, Path::new(ROOT), "s").unwrap();
        snapshot.clone_table(&shared, &table, 9).unwrap();
        let path = Path::new(ROOT).join("data/ns/u");
        let stored = read_descriptor(&*shared, &path, &table).unwrap().unwrap();
        stored.descriptor().setting(&[], IMPL).map(str::to_owned)
    };
    assert_eq!(tracker(None).as_deref(), Some("DEFAULT"));
    let class = "org.apache.hadoop.hbase.regionserver.storefiletracker.DefaultStoreFileTracker";
    assert_eq!(tracker(Some(class)).as_deref(), Some(class));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, flips in proptest::collection::vec(0..4000usize, 1..4)) {
        let _ = DataManifest::parse(&bytes);
        let _ = parse_region_manifest(&bytes);
        let listed = [file("0a"), half("0d.6f", b"m", 1), file("ns=u=5e-0c")];
        let mut sound = manifest(&[region(region_info("a", "m", 5), &listed)]).encode_to_vec();
        let bits = sound.len() * 8;
        for flip in flips {
            sound[flip % bits / 8] ^= 1 << (flip % 8);
        }
        if let Ok(parsed) = DataManifest::parse(&sound) {
            for files in parsed.regions.iter().flat_map(|region| region.families.values()) {
                assert!(files.iter().all(|file| FileName::parse(&file.name).is_some()));
            }
        }
    }
}
