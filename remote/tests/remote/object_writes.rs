//! Regions written in a bucket.

use crate::fake_s3::{Conditions, FakeS3, Manner};
use crate::history::{Attempt, Rows, expect_locked, play, put, read_file, rows, spread, turns, write_file};
use crate::support::{held_at, moto, options, options_at, patient};
use hregion::{
    Compaction, Delete, Durability, ErrorKind, Family, FileHandles, Get, Put, Region, Result, Scan, Storage,
    Table,
};
use hregion_remote::{RemoteOptions, RemoteStorage};
use std::io;
use std::iter::repeat_n;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

const LOCK: &str = "s3://bucket/r/.hregion.lock";
const TRACKER: &str = "hbase.store.file-tracker.impl";

fn dir() -> &'static Path {
    Path::new("s3://bucket/r")
}

/// Logs are short, so that there are several.
fn client_with(server: &FakeS3, change: impl FnOnce(RemoteOptions) -> RemoteOptions) -> Arc<RemoteStorage> {
    Arc::new(change(options(server).log_bytes(6000)).build().unwrap())
}

fn client(server: &FakeS3) -> Arc<RemoteStorage> {
    client_with(server, |options| options)
}

fn family(name: &str) -> Family {
    Family::new(name.to_owned()).configuration(TRACKER, "FILE")
}

fn open_in(storage: Arc<dyn Storage>, dir: &Path) -> Result<Region> {
    // As in processes of their own: a file that is slowly opened holds up the removal of another.
    let handles = FileHandles::with_capacity(100);
    let options = Region::options().storage(storage).file_handles(&handles);
    let options = options.create_if_missing(true).compaction_enabled(false);
    options.family(family("f")).family(family("g")).open(dir)
}

fn read_in(storage: Arc<dyn Storage>) -> Result<Region> {
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

    // There is a file once it is synced, and only if it has not appeared meanwhile.
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
    // Replaced by something else.
    server.put("r/log", b"other".to_vec());
    log.append(b"h", 1).unwrap_err();
    log.append(b"h", 1).unwrap_err();
    log.sync().unwrap_err();
    assert_eq!(read("log"), b"other");
    assert!(server.keys().iter().all(|key| !key.contains("probe")), "{:?}", server.keys());
}

#[test]
fn large_files_are_uploaded_in_parts() {
    const PART: usize = 100_000;
    let server = FakeS3::start();
    let storage = client_with(&server, |options| options.upload_part_bytes(PART));
    let path = dir().join("large");
    let bytes: Vec<u8> = (0..3_500_000_u32).map(|n| n.to_be_bytes()[2] ^ n.to_be_bytes()[3]).collect();
    let write = |path: &Path| {
        let mut file = storage.create_new(path).unwrap();
        for part in bytes.chunks(70_001) {
            file.write_all(part)?;
        }
        file.sync()?;
        file.write_all(b"more").map(|()| panic!("it is complete")).or(Ok(()))
    };
    for (number, manners) in [
        vec![],
        vec![Manner::Good, Manner::Good, Manner::Fails(500), Manner::Cuts],
        repeat_n(Manner::Good, 20).chain([Manner::FailsAfter(500), Manner::Fails(503)]).collect(),
        repeat_n(Manner::Good, 38).chain([Manner::FailsAfter(500)]).collect(),
        repeat_n(Manner::Good, 39).chain([Manner::FailsAfter(500)]).collect(),
        repeat_n(Manner::Good, 39).chain([Manner::DropsAfter]).collect(),
        // Parts whose bytes come too slowly.
        repeat_n(Manner::Good, 10).chain([Manner::TimesOut, Manner::TimesOut]).collect(),
    ]
    .into_iter()
    .enumerate()
    {
        let path = dir().join(format!("large{number}"));
        server.behave(manners);
        write(&path).unwrap_or_else(|error: io::Error| panic!("{number}: {error}"));
        server.behave([]);
        let file = storage.open(&path).unwrap();
        let mut read = vec![0; bytes.len()];
        file.read_exact_at(&mut read, 0).unwrap();
        assert!(read == bytes);
    }
    assert_eq!(server.largest_body(), PART as u64);
    assert_eq!(server.uploads(), 0);
    // One that fails does not appear.
    server.behave(repeat_n(Manner::Good, 10).chain(repeat_n(Manner::Fails(500), 8)));
    write(&path).unwrap_err();
    server.behave([]);
    assert!(storage.open(&path).is_err());
    expect_no_uploads(&server);
    // Nor one whose parts the store has given up. It is not the file that is missing.
    server.behave(repeat_n(Manner::Good, 10).chain([Manner::Fails(404)]));
    let error = write(&path).unwrap_err();
    server.behave([]);
    assert_eq!(error.kind(), io::ErrorKind::Other, "{error}");
    assert!(error.to_string().contains("has given up the upload"), "{error}");
    // One that is dropped is given up.
    let mut file = storage.create_new(&path).unwrap();
    file.write_all(&bytes).unwrap();
    assert!(server.uploads() > 0);
    drop(file);
    expect_no_uploads(&server);
    assert!(storage.open(&path).is_err());
}

/// A completion that fails leaves the object that was there, and the error says why; one that was carried out
/// is a success, whatever its answer.
#[test]
fn the_completion_of_an_upload_fails_with_its_first_cause() {
    let server = FakeS3::start();
    let storage = client_with(&server, |options| options.upload_part_bytes(10_000));
    let path = dir().join("large");
    let write = |byte: u8| {
        let mut file = storage.create(&path)?;
        file.write_all(&[byte; 50_000])?;
        file.sync()
    };
    let read = || read_file(&*storage, &path);
    write(b'a').unwrap();
    server.take_asked();
    write(b'b').unwrap();
    let (asked, _) = server.take_asked();
    let is_completion = |asked: &String| asked.starts_with("POST") && asked.contains("uploadId");
    let before = asked.iter().position(is_completion).unwrap();
    // With the repetitions of the request.
    let sent = 4;
    for (status, byte) in [(500, b'c'), (503, b'd'), (403, b'e')] {
        let refused = repeat_n(Manner::Fails(status), if status == 403 { 1 } else { sent });
        server.behave(repeat_n(Manner::Good, before).chain(refused));
        let error = write(byte).unwrap_err();
        let text = error.to_string();
        let cause = if status == 403 { "denies access".to_owned() } else { status.to_string() };
        assert!(text.contains(&cause) && !text.contains("Missing"), "{status}: {text}");
        assert!(read() == [b'b'; 50_000], "{status}");
        expect_no_uploads(&server);
    }
    // Nor does the answer of the look-up take the place of the cause.
    let failed = repeat_n(Manner::Fails(500), sent).chain(repeat_n(Manner::Fails(502), 3 * sent));
    server.behave(repeat_n(Manner::Good, before).chain(failed));
    let text = write(b'f').unwrap_err().to_string();
    server.behave([]);
    assert!(text.contains("500"), "{text}");
    assert!(read() == [b'b'; 50_000]);
    expect_no_uploads(&server);
    for (number, carried_out) in [Manner::FailsAfter(500), Manner::DropsAfter].into_iter().enumerate() {
        let byte = b'g' + u8::try_from(number).unwrap();
        // The repetitions are not answered either.
        let lost = [carried_out].into_iter().chain(repeat_n(Manner::Fails(500), sent - 1));
        server.behave(repeat_n(Manner::Good, before).chain(lost));
        write(byte).unwrap();
        server.behave([]);
        assert!(read() == [byte; 50_000], "{carried_out:?}");
    }
    write(b'z').unwrap();
    assert!(read() == [b'z'; 50_000]);
    assert_eq!(server.uploads(), 0);
}

/// Writes a file that is uploaded in parts of 10,000 bytes.
fn write_parts(storage: &RemoteStorage, path: &Path, is_new: bool) -> io::Result<()> {
    let mut file = if is_new { storage.create_new(path)? } else { storage.create(path)? };
    file.write_all(&[b'p'; 50_000])?;
    file.sync()
}

/// Returns the number of requests that [`write_parts`] sends before it completes an upload.
fn requests_before_completion(server: &FakeS3, storage: &RemoteStorage) -> usize {
    // The first call asks also what the store knows.
    write_parts(storage, &dir().join("first"), true).unwrap();
    server.take_asked();
    write_parts(storage, &dir().join("second"), true).unwrap();
    let is_completion = |asked: &String| asked.starts_with("POST") && asked.contains("uploadId");
    server.take_asked().0.iter().position(is_completion).unwrap()
}

/// An object of the name that another process makes before an upload is completed stays.
#[test]
fn the_completion_of_an_upload_replaces_no_object_of_others() {
    for is_new in [true, false] {
        let server = FakeS3::start();
        let storage = client_with(&server, |options| patient(options).upload_part_bytes(10_000));
        let path = dir().join("large");
        let before = requests_before_completion(&server, &storage);
        if !is_new {
            write_file(&*storage, &path, b"before");
        }
        let (writer, of_writer) = (Arc::clone(&storage), path.clone());
        let write = move || write_parts(&writer, &of_writer, is_new);
        let running = held_at(&server, before as u64 + 1, write);
        server.put("r/large", b"other".to_vec());
        server.release();
        let error = running.join().unwrap().unwrap_err();
        let kind = if is_new { io::ErrorKind::AlreadyExists } else { io::ErrorKind::Other };
        assert_eq!(error.kind(), kind, "{error}");
        assert!(is_new || error.to_string().contains("changed by another process"), "{error}");
        assert_eq!(read_file(&*storage, &path), b"other");
        expect_no_uploads(&server);
    }
}

/// A store may take longer to make an object of many parts than a request may.
#[test]
fn the_completion_of_an_upload_may_take_longer_than_a_request() {
    let server = FakeS3::start();
    let slow = |options: RemoteOptions| {
        let options = options.upload_part_bytes(10_000).retries(0).deadline(Duration::from_secs(60));
        let pauses = (Duration::from_millis(1), Duration::from_millis(500));
        options.request_timeout(Duration::from_secs(1)).backoff(pauses.0, pauses.1)
    };
    let storage = client_with(&server, slow);
    let before = requests_before_completion(&server, &storage);
    let path = dir().join("large");
    let (writer, of_writer) = (Arc::clone(&storage), path.clone());
    let running = held_at(&server, before as u64 + 1, move || write_parts(&writer, &of_writer, true));
    server.take_asked();
    // It looks whether the object is there.
    while server.take_asked().0.is_empty() && !running.is_finished() {
        std::thread::sleep(Duration::from_millis(1));
    }
    server.release();
    running.join().unwrap().unwrap();
    assert!(read_file(&*storage, &path) == [b'p'; 50_000]);
}

/// Another request for the object at the same time (409) is told as that, not as an object that is there.
#[test]
fn a_conflict_with_the_completion_of_an_upload_is_named() {
    let server = FakeS3::start();
    let storage = client_with(&server, |options| options.upload_part_bytes(10_000));
    let before = requests_before_completion(&server, &storage);
    server.behave(repeat_n(Manner::Good, before).chain([Manner::Fails(409)]));
    let error = write_parts(&storage, &dir().join("large"), true).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Other, "{error}");
    assert!(error.to_string().contains("changed by another process"), "{error}");
    expect_no_uploads(&server);
}

#[test]
fn uploads_are_completed_in_stores_that_know_conditions_of_puts_only() {
    let server = FakeS3::start();
    server.set_conditions(Conditions::OfPuts);
    let storage = client_with(&server, |options| options.upload_part_bytes(10_000));
    let path = dir().join("large");
    write_parts(&storage, &path, true).unwrap();
    write_parts(&storage, &path, false).unwrap();
    assert!(read_file(&*storage, &path) == [b'p'; 50_000]);
    let error = write_parts(&storage, &path, true).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{error}");
    assert_eq!(server.uploads(), 0);
}

/// If the request that frees a lock is refused, the lock stays held for others, and whoever closes the region
/// is told.
#[test]
fn a_lock_that_could_not_be_freed_is_named_and_can_be_taken_again() {
    let server = FakeS3::start();
    let (first, second) = (client(&server), client(&server));
    let region = open_in(first.clone(), dir()).unwrap();
    region.put(put("a", "1")).unwrap();
    region.close().unwrap();
    let region = open_in(first.clone(), dir()).unwrap();
    server.behave(repeat_n(Manner::Fails(403), 100));
    let error = region.close().unwrap_err();
    server.behave([]);
    assert!(error.to_string().contains("the removal of the object frees it: r/.hregion.lock"), "{error}");
    assert_eq!(region.put(put("b", "1")).unwrap_err().kind(), ErrorKind::Closed);
    region.close().unwrap();
    expect_locked(open_in(second.clone(), dir()));
    let region = open_in(first, dir()).unwrap();
    assert_eq!(rows(&region).len(), 1);
    region.close().unwrap();
    open_in(second, dir()).unwrap().close().unwrap();
}

/// Waits until no upload is left.
fn expect_no_uploads(server: &FakeS3) {
    let since = Instant::now();
    while server.uploads() > 0 {
        assert!(since.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Changes a region as a model, and closes it or not, again and again. Returns the model.
fn run_model(client: &dyn Fn() -> Arc<RemoteStorage>, dir: &Path) -> Rows {
    let mut model = Rows::new();
    let read = || Region::options().storage(client()).open(dir).unwrap();
    for seed in 0..4 {
        let region = open_in(client(), dir).unwrap();
        play(seed, &region, &mut model);
        assert!(region.health().is_sound(), "{:?}", region.health());
        // A reader sees what is logged; the writer may have died then.
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

/// A log is longer than what is read when it is opened, and is replaced with each write.
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
        assert!(error.to_string().contains("hbase.store.file-tracker.impl"), "{error}");
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
    assert!(error.to_string().contains("hbase.store.file-tracker.impl"), "{error}");
    let added =
        Region::options().storage(client(&server)).writable(true).alter(true).family(Family::new("g"));
    assert_eq!(added.open(other).unwrap_err().kind(), ErrorKind::Unsupported);
    assert_eq!(server.keys(), before);
    assert_eq!(Region::options().storage(client(&server)).open(other).unwrap().families().count(), 1);

    // Stores that do not know conditions, or do not say so.
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

#[test]
fn a_second_writer_is_refused_and_a_lost_lock_ends_all_changes() {
    let server = FakeS3::start();
    let (first, second) = (client(&server), client(&server));
    let region = open_in(first.clone(), dir()).unwrap();
    region.put(put("a", "1")).unwrap();
    expect_locked(open_in(first.clone(), dir()));
    let error = open_in(second.clone(), dir()).unwrap_err();
    assert!(error.to_string().contains("the removal of the object frees it: "), "{error}");
    assert!(error.to_string().ends_with("/.hregion.lock"), "{error}");
    region.flush().unwrap();
    region.put(put("b", "2")).unwrap();
    region.put(put("c", "unlogged").durability(Durability::SkipWal)).unwrap();

    // As if the first had died, although it has not.
    second.end_writing(Path::new(LOCK)).unwrap();
    let other = open_in(second.clone(), dir()).unwrap();
    let both = Rows::from([("a".into(), "1".into()), ("b".into(), "2".into())]);
    assert_eq!(rows(&other), both);
    region.put(put("d", "lost")).unwrap_err();
    region.flush().unwrap_err();
    drop(region);
    assert!(first.create_new(&dir().join("f/name")).is_err());
    other.put(put("e", "3")).unwrap();
    other.flush().unwrap();
    other.close().unwrap();
    let expected = [("a", "1"), ("b", "2"), ("e", "3")].map(|(row, value)| (row.into(), value.into()));
    assert_eq!(rows(&read_in(second).unwrap()), Rows::from(expected));
    open_in(first, dir()).unwrap().close().unwrap();
}

/// Locks of a directory above are taken and released while a region is written.
#[test]
fn the_release_of_a_lock_above_fails_no_change() {
    let server = FakeS3::start();
    let (storage, root) = (client(&server), dir().parent().unwrap());
    let region = open_in(storage.clone(), dir()).unwrap();
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_done.load(Ordering::Relaxed) {
                drop(storage.lock(&root.join(".hregion.lock")).unwrap());
            }
        });
        let changed = (0..200).try_for_each(|n| {
            let name = root.join(format!("file{}", n % 2));
            storage.create_new(&name)?.sync()?;
            storage.remove(&name)?;
            region.put(put("a", &n.to_string())).map_err(io::Error::other)
        });
        is_done.store(true, Ordering::Relaxed);
        changed.unwrap();
    });
    region.put(put("b", "1")).unwrap();
    region.close().unwrap();
}

/// As if this process had been stopped while it had the lock of a directory above.
#[test]
fn the_loss_of_a_lock_above_leaves_those_below() {
    let server = FakeS3::start();
    let (first, second, root) = (client(&server), client(&server), dir().parent().unwrap());
    let region = open_in(first.clone(), dir()).unwrap();
    let lock = root.join(".hregion.lock");
    let above = first.lock(&lock).unwrap();
    second.end_writing(&lock).unwrap();
    let create = || first.create_new(&root.join("file"))?.sync();
    create().unwrap_err();
    region.put(put("a", "1")).unwrap();
    region.flush().unwrap();
    drop(above);
    create().unwrap_err();
    region.put(put("b", "2")).unwrap();
    region.compact(Compaction::Major).unwrap();
    drop(first.lock(&lock).unwrap());
    create().unwrap();
    region.close().unwrap();
}

/// A region whose lock was lost must not change files under the lock that the same storage takes later.
#[test]
fn a_region_that_lost_its_lock_keeps_its_storage_from_locking_again() {
    let server = FakeS3::start();
    let (first, second) = (client(&server), client(&server));
    let stale = open_in(first.clone(), dir()).unwrap();
    stale.put(put("a", "1")).unwrap();
    stale.flush().unwrap();
    second.end_writing(Path::new(LOCK)).unwrap();
    let other = open_in(second, dir()).unwrap();
    other.put(put("b", "2")).unwrap();
    other.close().unwrap();
    expect_locked(open_in(first.clone(), dir()));
    stale.compact(Compaction::Major).unwrap_err();
    drop(stale);
    let region = open_in(first, dir()).unwrap();
    assert_eq!(rows(&region).len(), 2);
    region.put(put("c", "3")).unwrap();
    region.close().unwrap();
}

/// After such a list, none could be made that is made only once, and that is read.
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

/// Creates a region with a file and a log in a new bucket.
fn prepare() -> (FakeS3, Attempt) {
    let (server, mut attempt) = (FakeS3::start(), Attempt::default());
    let region = open_in(client(&server), dir()).unwrap();
    attempt.write(&region, "a", Some("1")).unwrap();
    region.flush().unwrap();
    attempt.write(&region, "b", Some("1")).unwrap();
    region.abort().unwrap();
    (server, attempt)
}

/// Opens the region as another process does after the writer is known to be dead, and checks its rows.
fn check(server: &FakeS3, attempt: Attempt, context: &str) {
    let after = client(server);
    after.end_writing(Path::new(LOCK)).unwrap_or_else(|error| panic!("{context}: {error}"));
    let region = open_in(after, dir()).unwrap_or_else(|error| panic!("{context}: {error}"));
    attempt.check(&rows(&region), context);
    region.put(put("z", "after")).unwrap();
    region.compact(Compaction::Major).unwrap();
    let before = rows(&region);
    region.close().unwrap();
    let again = rows(&read_in(client(server)).unwrap());
    assert_eq!((&again["z"], &again), (&"after".to_owned(), &before), "{context}");
}

/// What does not answer, or not well, as a whole or for some requests.
const BAD: [Manner; 11] = [
    Manner::Fails(503),
    Manner::FailsAfter(500),
    Manner::Drops,
    Manner::DropsAfter,
    Manner::Fails(429),
    Manner::Hangs,
    Manner::HangsAfter,
    Manner::Cuts,
    Manner::Halves,
    Manner::WrongRange,
    Manner::ErrorPage,
];

/// As [`prepare`], with the number of requests that change the region.
fn prepare_and_count() -> (FakeS3, Attempt, u64) {
    let (before, unchanged) = prepare();
    let server = before.copy();
    unchanged.clone().run(open_in(client(&server), dir())).unwrap();
    let requests = server.take_asked().0.len() as u64;
    (before, unchanged, requests)
}

/// Lets some requests fail in one of the ways, each with those after it up to `count`, while a copy of the
/// region is changed; then checks it. Returns how many changes failed.
fn fail_some(
    (before, unchanged, requests): &(FakeS3, Attempt, u64),
    (way, manner): (usize, Manner),
    count: usize,
    options: impl Fn(RemoteOptions) -> RemoteOptions,
) -> u32 {
    let mut failures = 0;
    for at in spread((way, BAD.len()), 2, *requests) {
        let (server, mut attempt) = (before.copy(), unchanged.clone());
        let good = usize::try_from(at).unwrap() - 1;
        server.behave(repeat_n(Manner::Good, good).chain(repeat_n(manner, count)));
        let result = attempt.run(open_in(client_with(&server, &options), dir()));
        server.behave([]);
        failures += u32::from(result.is_err());
        let asked = server.take_asked().0;
        check(&server, attempt, &format!("request {at}, {manner:?}, {result:?}, {:?}", asked.get(good)));
    }
    failures
}

#[test]
fn requests_fail_once_and_nothing_is_lost() {
    let patient = |options: RemoteOptions| options.request_timeout(Duration::from_millis(200));
    let before = prepare_and_count();
    for (way, manner) in BAD.into_iter().enumerate() {
        let failures = fail_some(&before, (way, manner), 1, patient);
        println!("{} requests, {manner:?}, {failures} failures", before.2);
    }
}

/// As many requests fail as are repeated, so that the caller sees errors, and does not know what was made.
#[test]
fn all_requests_fail_for_some_time_and_there_is_the_old_state_or_the_new_one() {
    let impatient = |options: RemoteOptions| options.retries(1).request_timeout(Duration::from_millis(60));
    let before = prepare_and_count();
    let ways = BAD.into_iter().enumerate();
    let failures: u32 = ways.map(|way| fail_some(&before, way, 30, impatient)).sum();
    assert!(failures > 10, "{failures}");
}

#[test]
fn a_writer_is_killed_at_each_request() {
    let (before, unchanged) = prepare();
    for is_made in [false, true] {
        for at in turns(if is_made { 3 } else { 1 }, 29) {
            let (server, mut attempt) = (before.copy(), unchanged.clone());
            server.die_at(at, is_made);
            let result = attempt.run(open_in(client(&server), dir()));
            let is_over = !server.revive();
            let context = format!("request {at}, made: {is_made}, {result:?}");
            check(&server, attempt, &context);
            if is_over {
                println!("{at} requests, made: {is_made}");
                break;
            }
        }
    }
}

/// Each request that asks whether the store keeps conditions may have no answer.
#[test]
fn whether_a_store_has_conditional_puts_is_asked_again() {
    for at in 0..5 {
        let server = FakeS3::start();
        let storage =
            client_with(&server, |options| options.retries(2).request_timeout(Duration::from_millis(200)));
        server.behave(repeat_n(Manner::Good, at).chain([Manner::Hangs]));
        let created = storage.create(&dir().join("file"));
        assert!(created.is_ok(), "{at}: {:?}", created.err());
        assert!(server.take_asked().0.len() > 5, "{at}");
    }
}

/// A client follows such a redirect by a read, whose answer is a success.
#[test]
fn the_answer_to_a_read_is_not_taken_for_that_of_a_change() {
    let server = FakeS3::start();
    let (storage, path) = (client(&server), dir().join("log"));
    let mut log = storage.create_log(&path).unwrap();
    log.append(b"a", 1).unwrap();
    server.behave([Manner::RedirectsToRead]);
    log.append(b"b", 1).unwrap();
    assert_eq!(read_file(&*storage, &path), b"ab");
    // The first request looks the object up.
    server.behave([Manner::Good, Manner::RedirectsToRead]);
    storage.remove(&path).unwrap();
    assert!(server.keys().is_empty(), "{:?}", server.keys());
}

#[test]
fn a_request_whose_bytes_came_too_slowly_is_sent_again() {
    let server = FakeS3::start();
    let (storage, path) = (client(&server), dir().join("log"));
    let mut log = storage.create_log(&path).unwrap();
    log.append(b"a", 1).unwrap();
    server.behave([Manner::TimesOut]);
    log.append(b"b", 1).unwrap();
    assert_eq!(read_file(&*storage, &path), b"ab");
    // One that is wrong is not.
    server.behave([Manner::Fails(400)]);
    log.append(b"c", 1).unwrap_err();
    assert_eq!(read_file(&*storage, &path), b"ab");
}

/// Writes that a store refuses to log fail, and no others.
#[test]
fn a_region_goes_on_after_its_log_was_refused() {
    let server = FakeS3::start();
    let region = open_in(client(&server), dir()).unwrap();
    let mut expected = Rows::new();
    for (number, status) in [403, 400, 429].into_iter().enumerate() {
        let (kept, refused) = (format!("{number}"), format!("{number}-refused"));
        region.put(put(&kept, "1")).unwrap();
        server.behave(repeat_n(Manner::Fails(status), 100));
        region.put(put(&refused, "1")).unwrap_err();
        server.behave([]);
        expected.insert(kept, "1".to_owned());
        assert!(region.health().is_sound(), "{:?}", region.health());
        assert_eq!(rows(&region), expected, "{status}");
    }
    region.put(put("last", "1")).unwrap();
    expected.insert("last".to_owned(), "1".to_owned());
    assert_eq!(rows(&read_in(client(&server)).unwrap()), expected);
    region.close().unwrap();
    assert_eq!(rows(&read_in(client(&server)).unwrap()), expected);
}

/// The deadline ends the look-up after a refusal: nothing can be carried out later.
#[test]
fn a_change_that_was_refused_is_in_no_doubt() {
    let server = FakeS3::start();
    let slow = |options: RemoteOptions| options.request_timeout(Duration::from_secs(60));
    let storage = client_with(&server, |options| slow(options).deadline(Duration::from_secs(2)));
    let mut log = storage.create_log(&dir().join("log")).unwrap();
    log.append(b"a", 1).unwrap();
    server.behave([Manner::Fails(429), Manner::Hangs]);
    assert_eq!(log.append(b"b", 1).unwrap_err().kind(), io::ErrorKind::TimedOut);
    // This sends no request.
    storage.create_dir_all(dir()).unwrap();
    assert_eq!(read_file(&*storage, &dir().join("log")), b"a");
}

/// A storage that changes nothing more, as a write had no answer, still frees its lock.
#[test]
fn a_region_whose_write_had_no_answer_is_opened_again() {
    let impatient = |options: RemoteOptions| options.retries(1).request_timeout(Duration::from_millis(200));
    for manner in [Manner::Hangs, Manner::HangsAfter] {
        loop {
            let (server, mut attempt) = prepare();
            let storage = client_with(&server, impatient);
            let region = open_in(storage.clone(), dir()).unwrap();
            attempt.write(&region, "c", Some("1")).unwrap();
            server.behave(repeat_n(manner, 100));
            attempt.write(&region, "d", Some("1")).unwrap_err();
            server.behave([]);
            // This sends no request.
            let is_in_doubt = storage.create_dir_all(dir()).is_err();
            drop(region);
            let region = open_in(client(&server), dir()).unwrap();
            attempt.check(&rows(&region), &format!("{manner:?}"));
            region.put(put("e", "1")).unwrap();
            region.close().unwrap();
            // If not, the question whether the lock is held had no answer, and the write was not sent.
            if is_in_doubt {
                break;
            }
        }
    }
}

/// A writer is stopped at each request, loses its lock, and goes on when another has changed the region: its
/// request is carried out late.
#[test]
fn a_writer_that_was_taken_for_dead_goes_on() {
    let (begun, unchanged) = prepare();
    for at in turns(2, 23) {
        let (server, mut attempt) = (begun.copy(), unchanged.clone());
        let storage = client_with(&server, patient);
        let writer = held_at(&server, at, move || {
            let result = attempt.run(open_in(storage, dir()));
            (attempt, result)
        });
        if writer.is_finished() {
            let (attempt, result) = writer.join().unwrap();
            result.unwrap();
            check(&server, attempt, "not stopped");
            println!("{at} requests");
            break;
        }
        server.behave([]);
        let other = client(&server);
        other.end_writing(Path::new(LOCK)).unwrap();
        let region = open_in(other.clone(), dir()).unwrap();
        let before = rows(&region);
        region.put(put("c", "other")).unwrap();
        region.flush().unwrap();
        region.delete(Delete::new("b")).unwrap();
        region.put(put("d", "other")).unwrap();
        // The request is carried out while the other has the region open.
        server.release();
        let (attempt, result) = writer.join().unwrap();
        let context = format!("request {at}, {result:?}");
        let found = rows(&region);
        attempt.check(&before, &context);
        assert!(!found.contains_key("b") && found["c"] == "other" && found["d"] == "other", "{context}");
        // It may have to be opened again, but nothing that it has acknowledged is lost.
        let flushed = region.flush();
        drop(region);
        other.end_writing(Path::new(LOCK)).unwrap();
        let region = open_in(client(&server), dir()).unwrap_or_else(|error| panic!("{context}: {error}"));
        assert_eq!(rows(&region), found, "{context}, {flushed:?}");
        region.compact(Compaction::Major).unwrap();
        assert_eq!(rows(&region), found, "{context}, {flushed:?}");
        region.close().unwrap();
    }
}
