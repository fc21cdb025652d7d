use super::*;
use crate::cell::CellType;
use crate::io::FileWriter;
use crate::io::faulty::FaultyStorage;
use proptest::prelude::*;

const REGION: &str = "36870a128e2b61b11b5b6154f73464e8";

fn link<'n>(table: &str, region: &'n str, file: &'n str) -> Target<'n> {
    Target::Link { table: TableName::parse(table).unwrap(), region, file }
}

#[test]
fn names_of_all_kinds() {
    let parse = FileName::parse;
    for name in ["0a", "1234567890123456789", "0a_SeqId_67_", "0a_del"] {
        assert_eq!(parse(name), Some(FileName::Whole(Target::HFile(name))));
    }
    assert_eq!(parse("0a.1b"), Some(FileName::Reference(Target::HFile("0a"), "1b")));
    assert_eq!(parse("0a_SeqId_4_.1b"), Some(FileName::Reference(Target::HFile("0a_SeqId_4_"), "1b")));
    assert_eq!(parse("t=1b-0a"), Some(FileName::Whole(link("t", "1b", "0a"))));
    assert_eq!(parse("ns=t-1.x=1b-0a"), Some(FileName::Whole(link("ns:t-1.x", "1b", "0a"))));
    assert_eq!(parse("t.ab=1b-0a.2c"), Some(FileName::Reference(link("t.ab", "1b", "0a"), "2c")));
    // two dots inside of a name lead nowhere
    assert_eq!(parse("a..b=1b-0a"), Some(FileName::Whole(link("a..b", "1b", "0a"))));
    for name in [
        "",
        ".",
        "0A",
        "0a.",
        ".0a",
        "0a.x",
        "0a_SeqId_",
        "0a_SeqId__",
        "0a_SeqId_x_",
        "0a-1b",
        "t=1b",
        "t=-0a",
        "=1b-0a",
        "a=b=c=1b-0a",
        "../t=1b-0a",
        "..=1b-0a",
        "n=..=1b-0a",
        "..=t=1b-0a",
        "t=1b-../0a",
        "0a_tmp",
        "file.crc",
    ] {
        assert_eq!(parse(name), None, "{name}");
    }
    assert!(is_mob(&format!("{REGION}20240131{REGION}")) && !is_mob(REGION));
}

#[test]
fn references_of_both_forms() {
    let split_key = SeekKey::first_on_row(b"row-0060");
    let of = |half| Reference { split_key: split_key.clone(), half };
    let key = split_key.as_bytes();
    let proto = |range: &[u8]| [b"PBUF\x0a\x14", key, range].concat();
    assert_eq!(Reference::parse(&proto(&[0x10, 1])), Ok(of(Half::Bottom)));
    assert_eq!(Reference::parse(&proto(&[0x10, 0])), Ok(of(Half::Top)));
    assert!(Reference::parse(&proto(&[])).is_err() && Reference::parse(&proto(&[0x10, 2])).is_err());
    assert!(Reference::parse(b"PBUF\x10\x01").is_err() && Reference::parse(b"PBUF").is_err());
    let old = |half: &[u8]| [half, &[20], key].concat();
    assert_eq!(Reference::parse(&old(&[0])), Ok(of(Half::Bottom)));
    assert_eq!(Reference::parse(&old(&[0xff])), Ok(of(Half::Top)));
    assert!(Reference::parse(b"").is_err());
    assert!(Reference::parse(&[old(&[0]), vec![0]].concat()).is_err());
}

fn touch(storage: &FaultyStorage, path: &str, bytes: &[u8]) {
    let mut file: Box<dyn FileWriter> = storage.create(Path::new(path)).unwrap();
    file.write_all(bytes).unwrap();
}

fn family(storage: &FaultyStorage, root: Option<&str>, has_namespaces: bool) -> FamilyPlace {
    let root = root.map(|path| Root { path: path.into(), has_namespaces });
    let (table, dir) = (TableName::parse("t").unwrap(), PathBuf::from("root/data/default/t"));
    let table = TablePlace { storage: Arc::new(storage.clone()), table, dir, root };
    FamilyPlace { table, region: "4d".into(), family: "f".into() }
}

fn entry(name: &str) -> DirEntry {
    DirEntry { name: name.into(), len: 0, is_dir: false, modified_millis: 7 }
}

#[test]
fn links_and_references_lead_to_data_or_the_archive() {
    let storage = FaultyStorage::new();
    let place = family(&storage, Some("root"), true);
    let path = |name: &str| place.resolve(&entry(name), None).map(|file| file.path);
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
        let file = place.resolve(&entry(name), None).unwrap();
        assert_eq!((file.path.as_path(), file.reference.as_ref()), (Path::new(target), Some(&expected)));
        assert_eq!((file.name.as_str(), file.modified_millis), (name, 7));
    }
    // a reference that is only on a list
    let bottom = Reference { half: Half::Bottom, ..expected };
    let file = place.resolve(&entry("1a.70"), Some(bottom.clone()));
    assert!(file.is_err(), "region 70 does not have it");
    touch(&storage, "root/data/default/t/70/f/1a", b"");
    assert_eq!(place.resolve(&entry("1a.70"), Some(bottom.clone())).unwrap().reference, Some(bottom));
}

#[test]
fn the_old_layout_has_no_namespaces() {
    let storage = FaultyStorage::new();
    touch(&storage, "root/.archive/u/5e/f/0c", b"");
    let place = family(&storage, Some("root"), false);
    let file = place.resolve(&entry("u=5e-0c"), None).unwrap();
    assert_eq!(file.path, Path::new("root/.archive/u/5e/f/0c"));
    let error = family(&storage, None, false).resolve(&entry("u=5e-0c"), None).unwrap_err();
    assert!(error.to_string().ends_with("the region is not under a root directory"));
}

#[test]
fn what_is_no_store_file_is_refused() {
    let place = family(&FaultyStorage::new(), Some("root"), true);
    for name in ["../0a", "/etc/passwd", "x", &format!("{REGION}20240131{REGION}")] {
        assert!(place.resolve(&entry(name), None).is_err(), "{name}");
    }
    let mob = place.resolve(&entry(&format!("t=5e-{REGION}20240131{REGION}")), None).unwrap_err();
    assert_eq!(mob.kind(), crate::error::ErrorKind::Unsupported);
}

proptest! {
    #[test]
    fn no_name_leads_astray(name in "[0-9a-fx=._\\-/]{0,12}") {
        if let Some(FileName::Whole(target) | FileName::Reference(target, _)) = FileName::parse(&name) {
            prop_assert!(!name.contains('/') && is_hfile(target.file()));
        }
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, flip: usize) {
        let _ = Reference::parse(&bytes);
        let _ = Reference::parse(&[b"PBUF", &bytes[..]].concat());
        let key = SeekKey::of(b"row", b"", b"", 5, CellType::Maximum);
        let mut sound = [b"PBUF\x0a\x0f", key.as_bytes(), &[0x10, 1]].concat();
        let bits = sound.len() * 8;
        sound[flip % bits / 8] ^= 1 << (flip % 8);
        let _ = Reference::parse(&sound);
    }
}
