//! Regions written in a bucket.

use crate::fake_s3::{Conditions, FakeS3};
use crate::history::{Rows, expect_locked, play, put, read_file, rows, turns, write_file};
use crate::support::{moto, options, options_at};
use crate::trackers::{TRACKER, with_list};
use hregion::{
    Compaction, Delete, ErrorKind, Family, FileHandles, Get, Put, Region, Result, Scan, Storage, Table,
};
use hregion_remote::{RemoteOptions, RemoteStorage};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

pub(crate) fn dir() -> &'static Path {
    Path::new("s3://bucket/r")
}

/// Logs are short, so that there are several.
pub(crate) fn client_with(
    server: &FakeS3,
    change: impl FnOnce(RemoteOptions) -> RemoteOptions,
) -> Arc<RemoteStorage> {
    Arc::new(change(options(server).log_bytes(6000)).build().unwrap())
}

pub(crate) fn client(server: &FakeS3) -> Arc<RemoteStorage> {
    client_with(server, |options| options)
}

fn family(name: &str) -> Family {
    with_list(Family::new(name.to_owned()))
}

pub(crate) fn open_in(storage: Arc<dyn Storage>, dir: &Path) -> Result<Region> {
    // As in separate processes: opening a file slowly delays the removal of another.
    let handles = FileHandles::with_capacity(100);
    let options = Region::options().storage(storage).file_handles(&handles);
    let options = options.create_if_missing(true).compaction_enabled(false);
    options.family(family("f")).family(family("g")).open(dir)
}

pub(crate) fn read_in(storage: Arc<dyn Storage>) -> Result<Region> {
    Region::options().storage(storage).open(dir())
}

#[test]
fn calls_do_what_the_trait_says() {
    let server = FakeS3::start();
    let storage = client(&server);
    let at = |name: &str| dir().join(name);
    let kind = |result: io::Result<()>| result.unwrap_err().kind();
    let write = |name: &str, bytes: &[u8]| write_file(&*storage, &at(name), bytes);
    let read = |name: &str| read_file(&*storage, &at(name));
    assert!(!storage.can_rename(&at("a")));
    storage.create_dir_all(&at("d/e")).unwrap();
    write("a", b"one");
    assert_eq!(kind(storage.create_new(&at("a")).map(drop)), io::ErrorKind::AlreadyExists);
    assert_eq!(kind(storage.create_log(&at("a")).map(drop)), io::ErrorKind::AlreadyExists);
    assert_eq!(kind(storage.rename(&at("a"), &at("b"))), io::ErrorKind::Unsupported);
    assert_eq!(kind(storage.hard_link(&at("a"), &at("b"))), io::ErrorKind::Unsupported);

    // A file exists after it is synced, and only if it has not appeared before.
    let (mut first, mut second) =
        (storage.create_new(&at("b")).unwrap(), storage.create_new(&at("b")).unwrap());
    first.write_all(b"first").unwrap();
    second.write_all(b"second").unwrap();
    assert_eq!(kind(storage.open(&at("b")).map(drop)), io::ErrorKind::NotFound);
    first.sync().unwrap();
    assert_eq!(kind(second.sync()), io::ErrorKind::AlreadyExists);
    assert_eq!(kind(second.sync()), io::ErrorKind::Other);
    first.write_all(b", and more").unwrap();
    assert_eq!(read("b"), b"first");
    first.sync().unwrap();
    first.sync().unwrap();
    drop((first, second));
    assert_eq!(read("b"), b"first, and more");
    drop(storage.create(&at("b")).unwrap());
    assert_eq!(read("b"), b"first, and more");
    let (mut first, mut second) = (storage.create(&at("b")).unwrap(), storage.create(&at("b")).unwrap());
    first.write_all(b"third").unwrap();
    second.write_all(b"fourth").unwrap();
    first.sync().unwrap();
    second.sync().unwrap_err();
    assert_eq!(read("b"), b"third");
    storage.create_new(&at("none")).unwrap().sync().unwrap();
    assert!(read("none").is_empty());

    write("d/file", b"kept");
    assert_eq!(kind(storage.remove_dir(&at("d"))), io::ErrorKind::DirectoryNotEmpty);
    storage.remove(&at("d/file")).unwrap();
    storage.remove_dir(&at("d")).unwrap();
    assert_eq!(kind(storage.list_dir(&at("d")).map(drop)), io::ErrorKind::NotFound);
    // Hadoop marks directories by empty objects.
    server.put("r/marked/", Vec::new());
    server.put("r/marked/below/", Vec::new());
    assert_eq!(kind(storage.remove_dir(&at("marked"))), io::ErrorKind::DirectoryNotEmpty);
    storage.remove_dir(&at("marked/below")).unwrap();
    storage.remove_dir(&at("marked")).unwrap();
    assert_eq!(kind(storage.list_dir(&at("marked")).map(drop)), io::ErrorKind::NotFound);
    storage.remove(&at("a")).unwrap();
    assert_eq!(kind(storage.remove(&at("a"))), io::ErrorKind::NotFound);
    assert_eq!(kind(storage.end_writing(&at("a"))), io::ErrorKind::NotFound);
    assert_eq!(kind(storage.sync_file(&at("a"))), io::ErrorKind::NotFound);
    storage.sync_file(&at("b")).unwrap();
    storage.sync_dir(dir()).unwrap();

    let mut log = storage.create_log(&at("log")).unwrap();
    assert_eq!(log.max_len(), 6000);
    assert!(!log.can_overwrite());
    for part in [&b"a"[..], b"bc", b"defg"] {
        log.append(part, part.len()).unwrap();
    }
    log.sync().unwrap();
    storage.end_writing(&at("log")).unwrap();
    assert_eq!(read("log"), b"abcdefg");
    // Replaced by a different object.
    server.put("r/log", b"other".to_vec());
    log.append(b"h", 1).unwrap_err();
    log.append(b"h", 1).unwrap_err();
    log.sync().unwrap_err();
    assert_eq!(read("log"), b"other");
    assert!(server.keys().iter().all(|key| !key.contains("probe")), "{:?}", server.keys());
}

/// Names in HBase's directories have some of these characters.
#[test]
fn names_have_any_characters_and_are_listed_page_by_page() {
    let server = FakeS3::start();
    let storage = client(&server);
    let parent = dir().join("d +%2B&é");
    let mut names = ["a%2Cb", "a b", "a+b", "a&b<c>", "ü☃", "a?b#c:d=e"];
    for name in names {
        write_file(&*storage, &parent.join(name), name.as_bytes());
    }
    names.sort_unstable();
    // The last page is not followed by an empty one.
    for entries in [1, 3, 4, 6, 7] {
        server.page(entries);
        let listed = storage.list_dir(&parent).unwrap().into_iter().map(|entry| entry.name);
        let listed: Vec<String> = listed.map(|name| name.into_string().unwrap()).collect();
        assert_eq!(listed, names, "{entries}");
    }
    for name in names {
        assert_eq!(read_file(&*storage, &parent.join(name)), name.as_bytes());
        storage.remove(&parent.join(name)).unwrap();
    }
    assert!(server.keys().is_empty(), "{:?}", server.keys());
}

/// Otherwise one of them would make its directory, and those above it, unreadable.
#[test]
fn objects_whose_keys_are_not_paths_are_not_listed() {
    let server = FakeS3::start();
    let storage = client(&server);
    let (parent, below) = (dir().join("d"), dir().join("d/b"));
    for key in ["d//a", "d/./a", "d/../a", "d/b/\nc", "d/b//e", "d/b/c", "d/e", "o//a"] {
        server.put(&format!("r/{key}"), vec![1]);
    }
    for entries in [1, 2, 1000] {
        server.page(entries);
        let names = |dir: &Path| {
            let entries = storage.list_dir(dir).unwrap().into_iter().map(|entry| entry.name);
            entries.map(|name| name.into_string().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(names(&parent), ["b", "e"]);
        assert_eq!(names(&below), ["c"]);
        assert!(storage.is_dir(&parent).unwrap() && storage.is_dir(&below).unwrap());
        assert!(!storage.is_dir(&dir().join("o")).unwrap());
    }
    let error = storage.list_dir(&dir().join("o")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(storage.remove_dir(&parent).unwrap_err().kind(), io::ErrorKind::DirectoryNotEmpty);
}

/// Changes a region and a model, and closes the region or not, repeatedly. Returns the model.
fn run_model(client: &dyn Fn() -> Arc<RemoteStorage>, dir: &Path) -> Rows {
    let mut model = Rows::new();
    let read = || Region::options().storage(client()).open(dir).unwrap();
    for seed in 0..4 {
        let region = open_in(client(), dir).unwrap();
        play(seed, &region, &mut model);
        assert!(region.health().is_healthy(), "{:?}", region.health());
        // A reader returns logged writes; the writer may have died.
        assert_eq!(rows(&read()), model);
        match seed % 2 {
            0 => region.close().unwrap(),
            _ => region.abort().unwrap(),
        }
        assert_eq!(rows(&read()), model);
    }
    let region = open_in(client(), dir).unwrap();
    for (row, value) in &model {
        assert_eq!(region.get(&Get::new(row.clone())).unwrap().value("f", "q"), Some(value.as_bytes()));
    }
    assert!(region.warnings().is_empty());
    region.compact(Compaction::Major).unwrap();
    region.close().unwrap();
    model
}

/// The same in a bucket of moto's server: `HREGION_MOTO` is its endpoint.
#[test]
#[ignore = "needs a server"]
fn a_region_is_written_in_a_bucket_of_moto() {
    let endpoint = moto("writes");
    let options = || options_at(endpoint.clone()).request_timeout(Duration::from_secs(20));
    let client = || {
        let options = options().log_bytes(6000).deadline(Duration::from_secs(60)).upload_part_bytes(5 << 20);
        Arc::new(options.build().unwrap())
    };
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let base = format!("s3://writes/{}", time.as_nanos());
    let (dir, large) = (format!("{base}/r"), format!("{base}/large"));
    let (dir, large) = (Path::new(&dir), Path::new(&large));
    let rows = run_model(&client, dir);
    println!("{} rows", rows.len());
    let first = open_in(client(), dir).unwrap();
    expect_locked(open_in(client(), dir));
    client().end_writing(&dir.join(".hregion.lock")).unwrap();
    let second = open_in(client(), dir).unwrap();
    first.put(put("lost", "1")).unwrap_err();
    second.put(put("kept", "1")).unwrap();
    drop(first);
    second.close().unwrap();
    // In parts.
    let bytes: Vec<u8> = (0..17_000_000_u32).map(|n| n.to_be_bytes()[2] ^ n.to_be_bytes()[3]).collect();
    let storage = client();
    let mut file = storage.create_new(large).unwrap();
    file.write_all(&bytes).unwrap();
    file.sync().unwrap();
    let file = storage.open(large).unwrap();
    let mut read = vec![0; bytes.len()];
    file.read_exact_at(&mut read, 0).unwrap();
    assert!(read == bytes);
}

#[test]
fn a_region_is_written_and_read_as_the_model_says() {
    let server = FakeS3::start();
    let model = run_model(&|| client(&server), dir());
    let keys = server.keys();
    // The greatest sequence id.
    let edits: Vec<_> = keys.iter().filter(|key| key.contains("recovered.edits/")).collect();
    assert!(matches!(edits[..], [name] if name.ends_with(".seqid")), "{keys:?}");
    assert!(keys.iter().all(|key| !key.contains("/.tmp/")) && keys.len() < 13, "{keys:?}");

    // The same in a local directory.
    let local = tempfile::tempdir().unwrap();
    server.download("r", &local.path().join("r"));
    let region = Region::options().open(local.path().join("r")).unwrap();
    assert_eq!(rows(&region), model);
    assert!(region.warnings().is_empty());
    let faults = Region::options().verify(local.path().join("r"), |path, report| {
        assert!(report.unwrap().faults.is_empty(), "{}", path.display());
    });
    assert!(faults.unwrap().is_empty());
    let region = Region::options().writable(true).open(local.path().join("r")).unwrap();
    region.put(put("local", "1")).unwrap();
    region.close().unwrap();
}

/// A log is longer than the part that is read when it is opened, and is replaced with each write.
#[test]
fn a_region_is_opened_for_reading_while_its_log_grows() {
    let server = FakeS3::start();
    let long_logs = || client_with(&server, |options| options.log_bytes(1 << 20).tail_bytes(1000));
    let region = open_in(long_logs(), dir()).unwrap();
    let written = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..120 {
                region.put(put(&format!("{number:03}"), &"x".repeat(3000))).unwrap();
                written.store(number + 1, Ordering::SeqCst);
                if number % 50 == 49 {
                    region.flush().unwrap();
                }
            }
        });
        let mut opened = 0;
        while written.load(Ordering::SeqCst) < 120 {
            let before = written.load(Ordering::SeqCst);
            let found = rows(&read_in(long_logs()).unwrap()).len();
            assert!(found >= before, "{found} of {before}");
            opened += 1;
        }
        assert!(opened > 0);
    });
}

#[test]
fn a_table_is_created_and_written_in_a_root_directory() {
    let server = FakeS3::start();
    let root = Path::new("s3://bucket/root");
    let options = || Region::options().storage(client(&server));
    let table = Table::create_with(root, "t", &[family("f")], &["m"], options()).unwrap();
    let keys: Vec<String> = (0..40).map(|n| format!("{}{n:02}", char::from(b'a' + n % 26))).collect();
    for pass in 0..3 {
        for key in &keys {
            table.put(Put::new(key.clone()).cell("f", "q", format!("{key}{pass}"))).unwrap();
        }
        table.flush().unwrap();
    }
    table.compact(Compaction::Major).unwrap();
    table.delete(Delete::new(keys[0].clone())).unwrap();
    let refused = Table::recover(root, options()).map(drop).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Locked, "{refused}");
    table.put(Put::new("zz").cell("f", "q", "after")).unwrap();
    table.close().unwrap();
    let count = |table: &Table| table.scan(Scan::new()).unwrap().collect::<Result<Vec<_>>>().unwrap().len();
    let table = Table::open_with(root, "t", options().writable(true)).unwrap();
    assert_eq!((table.regions().len(), count(&table)), (2, 40));
    table.close().unwrap();
    // Replaced files are in the archive.
    let archived = server.keys().into_iter().filter(|key| key.starts_with("root/archive/data/default/t/"));
    assert!(archived.count() >= 6, "{:?}", server.keys());
    let again = Table::create_with(root, "t", &[family("f")], &["m"], options()).unwrap_err();
    assert!(again.is_already_exists(), "{again}");
    let local = tempfile::tempdir().unwrap();
    server.download("root", local.path());
    assert_eq!(count(&Table::open(local.path(), "t").unwrap()), 40);
}

#[test]
fn a_creation_of_a_table_is_cut_off_at_each_request() {
    let root = Path::new("s3://bucket/root");
    for at in turns(1, 7) {
        let server = FakeS3::start();
        let options = || Region::options().storage(client(&server));
        let create = || Table::create_with(root, "t", &[family("f")], &["m"], options());
        server.die_at(at, at % 2 == 0);
        let created = create();
        let is_made =
            created.as_ref().is_ok_and(|table| table.put(Put::new("a").cell("f", "q", "1")).is_ok());
        drop(created);
        if !server.revive() {
            assert!(is_made);
            break;
        }
        let _ = client(&server).end_writing(&root.join(".hregion.lock"));
        for key in server.keys().iter().filter(|key| key.ends_with("/.hregion.lock")) {
            client(&server).end_writing(Path::new(&format!("s3://bucket/{key}"))).unwrap();
        }
        let table = match create() {
            Err(error) if error.is_already_exists() => {
                Table::open_with(root, "t", options().writable(true)).unwrap()
            }
            created => created.unwrap(),
        };
        assert_eq!(table.regions().len(), 2, "{at}");
        table.put(Put::new("b").cell("f", "q", "1")).unwrap();
        table.put(Put::new("y").cell("f", "q", "1")).unwrap();
        table.close().unwrap();
    }
}

#[test]
fn what_an_object_store_cannot_do_is_refused_by_name() {
    let server = FakeS3::start();
    let create = |storage: Arc<RemoteStorage>, family: Family| {
        let options = Region::options().storage(storage).create_if_missing(true);
        options.family(family).open(dir()).map(drop)
    };
    for plain in [Family::new("f"), Family::new("f").configuration(TRACKER, "DEFAULT")] {
        let error = create(client(&server), plain).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(TRACKER), "{error}");
    }
    assert!(server.keys().iter().all(|key| key.ends_with(".hregion.lock")), "{:?}", server.keys());
    // A region that was written elsewhere.
    let local = tempfile::tempdir().unwrap();
    let path = local.path().join("r");
    let region = Region::options().create_if_missing(true).family(Family::new("f")).open(&path).unwrap();
    region.put(Put::new("a").cell("f", "q", "1")).unwrap();
    region.close().unwrap();
    server.upload("other", &path);
    let other = Path::new("s3://bucket/other");
    let before = server.keys();
    let error = Region::options().storage(client(&server)).writable(true).open(other).unwrap_err();
    assert!(error.to_string().contains(TRACKER), "{error}");
    let added =
        Region::options().storage(client(&server)).writable(true).alter(true).family(Family::new("g"));
    assert_eq!(added.open(other).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(server.keys(), before);
    assert_eq!(Region::options().storage(client(&server)).open(other).unwrap().families().count(), 1);

    // Stores that do not support conditions, or do not report it.
    for conditions in [Conditions::Ignores, Conditions::Refuses] {
        let server = FakeS3::start();
        server.set_conditions(conditions);
        let error = create(client(&server), family("f")).unwrap_err();
        assert!(error.to_string().contains("this object store is only read"), "{conditions:?}: {error}");
        assert!(error.to_string().contains("s3://bucket/r"), "{error}");
        let error = client(&server).create_new(&dir().join("a")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        assert!(server.keys().is_empty(), "{:?}", server.keys());
    }
    let off = client_with(&server, |options| options.setting("aws_conditional_put", "disabled"));
    let error = create(off, family("f")).unwrap_err();
    assert!(error.to_string().contains("there are no conditional puts"), "{error}");

    let region = open_in(client(&server), dir()).unwrap();
    let error = region.bulk_load(&[("f", "s3://bucket/input/f/file")]).unwrap_err();
    assert!(error.is_not_found(), "{error}");
    region.close().unwrap();

    // A family is added if it has the tracker.
    let add = |family: Family| {
        let options = Region::options().storage(client(&server)).writable(true).alter(true);
        options.family(family).open(dir())
    };
    assert_eq!(add(Family::new("h")).unwrap_err().kind(), ErrorKind::Unsupported);
    let region = add(family("h")).unwrap();
    region.put(Put::new("a").cell("h", "q", "1")).unwrap();
    region.close().unwrap();
    let region = read_in(client(&server)).unwrap();
    assert_eq!(region.get(&Get::new("a")).unwrap().value("h", "q"), Some(&b"1"[..]));
}

/// No list that follows such a list could be created exclusively and still be read.
#[test]
fn lists_that_no_other_can_follow_are_refused_before_writes_are_accepted() {
    for name in ["f1", "f2", "f1.9223372036854775807"] {
        let server = FakeS3::start();
        let region = open_in(client(&server), dir()).unwrap();
        region.put(put("a", "1")).unwrap();
        region.close().unwrap();
        let local = tempfile::tempdir().unwrap();
        server.download("r", local.path());
        let lists: Vec<String> =
            server.keys().into_iter().filter(|key| key.starts_with("r/f/.filelist/")).collect();
        assert_eq!(lists.len(), 1, "{lists:?}");
        let bytes = std::fs::read(local.path().join(lists[0].strip_prefix("r/").unwrap())).unwrap();
        server.remove(&lists[0]);
        server.put(&format!("r/f/.filelist/{name}"), bytes);
        let before = server.keys();
        let error = open_in(client(&server), dir()).unwrap_err();
        let kinds = [ErrorKind::Unsupported, ErrorKind::Corrupt];
        assert!(kinds.contains(&error.kind()) && error.to_string().contains("r/f/.filelist"), "{error}");
        assert_eq!(server.keys(), before);
        assert_eq!(rows(&read_in(client(&server)).unwrap()).len(), 1, "{name}");
    }
}
