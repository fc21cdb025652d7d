//! Names in files that would lead out of the root directory.

use super::*;
use crate::support::files::contents;
use crate::support::protobuf::{field, number, varint};
use flate2::Crc;
use hregion::io::{DirEntry, FileLock, FileReader, FileWriter, LogFile, ScratchFile};
use std::path::Component;

/// Names that are a path, or that are invalid.
const EVIL: [&str; 12] = [
    "",
    ".",
    "..",
    "../..",
    "../../../../../outside/0a",
    "/outside",
    "a/b",
    "..=0a-0b",
    "t=../0a-0b",
    "../outside=0a-0b",
    "0a\0",
    "0a\0/../..",
];

/// A local storage that records the path of every call.
#[derive(Debug, Default)]
struct Watched {
    local: hregion::LocalStorage,
    seen: Mutex<Vec<PathBuf>>,
}

impl Watched {
    fn see(&self, path: &Path) {
        self.seen.lock().unwrap().push(path.to_owned());
    }
}

impl Storage for Watched {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        self.see(path);
        self.local.open(path)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.see(path);
        self.local.create(path)
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        self.see(path);
        self.local.create_new(path)
    }

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        self.see(path);
        self.local.create_log(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.see(from);
        self.see(to);
        self.local.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.see(path);
        self.local.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.see(path);
        self.local.remove_dir(path)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.see(path);
        self.local.sync_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.see(path);
        self.local.sync_dir(path)
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.see(path);
        self.local.list_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.see(path);
        self.local.create_dir_all(path)
    }

    fn create_scratch(&self, path: &Path, len: u64) -> io::Result<Arc<dyn ScratchFile>> {
        self.see(path);
        self.local.create_scratch(path, len)
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        self.see(original);
        self.see(link);
        self.local.hard_link(original, link)
    }

    fn end_writing(&self, path: &Path) -> io::Result<()> {
        self.see(path);
        self.local.end_writing(path)
    }

    forward!(local: can_rename rename_new can_hide_writes full_path can_read_removed);

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        self.see(path);
        self.local.lock(path)
    }
}

fn table_name(namespace: &str, qualifier: &str) -> Vec<u8> {
    [field(1, namespace), field(2, qualifier)].concat()
}

fn region_info(id: u64, table: &[u8]) -> Vec<u8> {
    [number(1, id), field(2, table), field(3, ""), field(4, ""), number(5, 0), number(6, 0), number(7, 0)]
        .concat()
}

fn delimited(message: &[u8]) -> Vec<u8> {
    [b"PBUF", &varint(message.len() as u64)[..], message].concat()
}

/// A root with one table, inside a directory with files to which names could lead.
struct World {
    dir: tempfile::TempDir,
    region: PathBuf,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let table = Table::create(&root, "t", &[Family::new("f")], &[""; 0]).unwrap();
        table.put(Put::new("a").cell_at("f", "q", 5, "v")).unwrap();
        table.close().unwrap();
        let region = root.join("data/default/t").join(table.regions()[0].encoded_name());
        let file = fs::read_dir(region.join("f")).unwrap().next().unwrap().unwrap().path();
        for outside in ["outside", "outside/f", "root/outside/f"] {
            fs::create_dir_all(dir.path().join(outside)).unwrap();
            for name in ["0a", "0b"] {
                fs::copy(&file, dir.path().join(outside).join(name)).unwrap();
            }
        }
        Self { dir, region }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    fn write(&self, path: impl AsRef<Path>, bytes: &[u8]) {
        let path = self.root().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Calls every function that reads directories, and returns how many succeeded. None may access a path
    /// outside the root.
    fn check(&self, shown: &str) -> usize {
        let outside = contents(&self.dir.path().join("outside"));
        let storage = Arc::new(Watched::default());
        let shared: Arc<dyn Storage> = Arc::clone(&storage) as _;
        let options = || Region::options().storage(Arc::clone(&shared));
        let root = self.root();
        let scan = |table: Result<Table>| {
            let mut rows = table?.scan(Scan::new().raw(true))?;
            rows.try_for_each(|row| row.map(drop))
        };
        let results = [
            options().verify(&self.region, |_, _| {}).map(drop),
            options().open(&self.region).map(drop),
            scan(Table::open_with(&root, "t", options())),
            scan(Table::open_dir(root.join("data/default/t"), options())),
            scan(Table::open_snapshot_with(&root, "s", options())),
            Table::plan_recovery(&root, options()).map(drop),
            Table::recover(&root, options()).map(drop),
            options().writable(true).open(&self.region).and_then(|region| region.compact(Compaction::Major)),
            Table::alter(&root, "t", &TableChanges::new().family(Family::new("h")), &options()),
            Table::alter(&root, "t", &TableChanges::new().delete_family("f"), &options()),
            Table::truncate(&root, "t", true, &options()),
            Table::delete_table(&root, "t", &options()),
        ];
        for path in storage.seen.lock().unwrap().iter() {
            let is_plain = path.components().all(|part| !matches!(part, Component::ParentDir));
            assert!(is_plain && path.starts_with(&root), "{shown}: {}", path.display());
            assert!(!path.to_string_lossy().contains('\0'), "{shown}: {}", path.display());
        }
        assert_eq!(contents(&self.dir.path().join("outside")), outside, "{shown}");
        results.iter().filter(|result| result.is_ok()).count()
    }
}

#[test]
fn sound_files_are_read() {
    let world = World::new();
    assert_eq!(world.check("sound"), 11, "all but the snapshot");
}

#[test]
fn table_names_of_region_infos() {
    for evil in EVIL {
        for (namespace, qualifier) in [(evil, "t"), ("default", evil)] {
            let shown = format!("{namespace:?} {qualifier:?}");
            let world = World::new();
            let info = region_info(7, &table_name(namespace, qualifier));
            fs::write(world.region.join(".regioninfo"), delimited(&info)).unwrap();
            assert!(world.check(&shown) <= 4, "{shown}");
        }
    }
}

#[test]
fn names_of_descriptors() {
    for evil in EVIL {
        let table = |namespace: &str, qualifier: &str| field(1, table_name(namespace, qualifier));
        for schema in [
            [table(evil, "t"), field(3, field(1, "f"))].concat(),
            [table("default", evil), field(3, field(1, "f"))].concat(),
            [table("default", "t"), field(3, field(1, "f")), field(3, field(1, evil))].concat(),
        ] {
            let world = World::new();
            let bytes = [&b"PBUF"[..], &schema].concat();
            let name = format!("data/default/t/.tabledesc/.tableinfo.0000000009.{}", bytes.len());
            world.write(name, &bytes);
            world.check(&format!("{evil:?}"));
        }
    }
}

#[test]
fn names_of_listed_files() {
    for evil in EVIL {
        let world = World::new();
        let list = [number(1, 5), field(2, [field(1, evil), number(2, 9)].concat())].concat();
        let mut crc = Crc::new();
        crc.update(&list);
        let len = u32::try_from(list.len()).unwrap().to_be_bytes();
        let list = [&len[..], &list, &crc.sum().to_be_bytes()].concat();
        fs::create_dir_all(world.region.join("f/.filelist")).unwrap();
        fs::write(world.region.join("f/.filelist/f1.5"), list).unwrap();
        world.check(evil);
    }
}

/// Names of links and references. A directory has no names with a slash.
#[test]
fn names_of_links_and_references() {
    let names = [
        "..=0a-0b",
        "..=..=0a-0b",
        "n=..=0a-0b",
        "..=t=0a-0b",
        ".=0a-0b",
        "t=..-0b",
        "t=0a-..",
        "=0a-0b",
        "0a...",
        "0a..",
        "0a.b..",
        "..=0a-0b.0c",
        "t=0a-0b.",
        "%2e%2e=0a-0b",
    ];
    for name in names {
        for content in [&b""[..], b"PBUF\x0a\x0f\0\x01a\0\x7f\xff\xff\xff\xff\xff\xff\xff\xff\x10\x01", b"x"]
        {
            let world = World::new();
            fs::write(world.region.join("f").join(name), content).unwrap();
            world.check(name);
        }
    }
}

#[test]
fn names_of_manifests() {
    let number_of_version = number(5, 2);
    let info = region_info(7, &table_name("default", "t"));
    let encoded = RegionInfo::new(hregion::TableName::parse("t").unwrap(), "", "", 7).unwrap().encoded_name();
    let snapshot = |world: &World, table: &str, info: &[u8], family: &str, file: &str| {
        let description =
            [field(1, "s"), field(2, table), number(3, 5), number(4, 1), number_of_version.clone()];
        world.write(".hbase-snapshot/s/.snapshotinfo", &description.concat());
        let files = [field(1, family), field(2, [field(1, file), number(3, 9)].concat())].concat();
        let region = [number(1, 0), field(2, info), field(3, files)].concat();
        world.write(format!(".hbase-snapshot/s/region-manifest.{encoded}"), &region);
    };
    for evil in EVIL {
        for which in 0..4 {
            let world = World::new();
            let of = |at: usize, sound: &'static str| if at == which { evil } else { sound };
            let table = table_name("default", of(1, "t"));
            let info = if which == 1 { region_info(7, &table) } else { info.clone() };
            snapshot(&world, of(0, "t"), &info, of(2, "f"), of(3, "0a"));
            world.check(&format!("{evil:?} {which}"));
        }
    }
}

/// Names of tables and regions in logs, from which recovered edits are written.
#[test]
fn names_of_logs() {
    use hregion::wal::{WalKey, WalWriterOptions};
    use hregion::{CellType, SeekKey};
    for evil in EVIL.into_iter().filter(|name| !name.is_empty()) {
        for (table, region) in [(evil, "0123456789abcdef0123456789abcdef"), ("t", evil), ("default:t", evil)]
        {
            let world = World::new();
            let path = world.root().join("WALs/h,1,2/h%2C1%2C2.1000");
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let mut writer = WalWriterOptions::new().create_in(&hregion::LocalStorage, &path).unwrap();
            let key = SeekKey::of(b"a", b"f", b"q", 5, CellType::Put);
            writer.append(&WalKey::new(region, table, 9, 500), [CellRef::new(&key, b"v")]).unwrap();
            writer.close().unwrap();
            world.check(&format!("{table:?} {region:?}"));
        }
    }
}
