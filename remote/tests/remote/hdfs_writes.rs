//! Regions and tables written in HDFS. `HREGION_HDFS` is the URL of a file system.

use crate::history::{Rows, play, read_file, rows, write_file};
use hdfs_native::WriteOptions;
use hdfs_native::client::ClientBuilder;
use hregion::io::LocalStorage;
use hregion::wal::{WalKey, WalWriterOptions};
use hregion::{
    CellRef, CellType, Compaction, Delete, Durability, ErrorKind, Family, Get, ManualClock, Put, Region,
    Result, Scan, SeekKey, Storage, Table,
};
use hregion_remote::{RemoteOptions, RemoteStorage};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Builder;

pub(crate) fn base() -> String {
    std::env::var("HREGION_HDFS").expect("the URL of a file system")
}

/// Returns a directory that no other test uses.
pub(crate) fn fresh(name: &str) -> PathBuf {
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    PathBuf::from(format!("{}/writes/{name}-{}", base(), time.as_nanos()))
}

pub(crate) fn client() -> Arc<RemoteStorage> {
    Arc::new(RemoteOptions::default().build().unwrap())
}

pub(crate) fn open_in(storage: Arc<dyn Storage>, dir: &Path) -> Result<Region> {
    let options = Region::options().storage(storage).create_if_missing(true).compaction_enabled(false);
    options.family(Family::new("f")).family(Family::new("g")).open(dir)
}

pub(crate) fn read_in(storage: Arc<dyn Storage>, dir: &Path) -> Result<Region> {
    Region::options().storage(storage).open(dir)
}

#[test]
#[ignore = "needs a server"]
fn calls_do_what_the_trait_says() {
    let (storage, dir) = (client(), fresh("calls"));
    let at = |name: &str| dir.join(name);
    let kind = |result: io::Result<()>| result.unwrap_err().kind();
    let write = |name: &str, bytes: &[u8]| write_file(&*storage, &at(name), bytes);
    let read = |name: &str| read_file(&*storage, &at(name));
    assert_eq!(kind(storage.create_new(&at("a")).map(drop)), io::ErrorKind::NotFound);
    storage.create_dir_all(&at("d/e")).unwrap();
    storage.create_dir_all(&at("d/e")).unwrap();
    write("a", b"one");
    assert_eq!(kind(storage.create_new(&at("a")).map(drop)), io::ErrorKind::AlreadyExists);
    assert_eq!(kind(storage.create_log(&at("a")).map(drop)), io::ErrorKind::AlreadyExists);
    assert!(storage.create_dir_all(&at("a/b")).is_err());
    assert_eq!(read("a"), b"one");
    write("b", b"another");
    storage.rename(&at("b"), &at("a")).unwrap();
    assert_eq!(
        (read("a"), kind(storage.rename(&at("b"), &at("a")))),
        (b"another".to_vec(), io::ErrorKind::NotFound)
    );
    storage.rename(&at("a"), &at("a")).unwrap();
    assert_eq!(read("a"), b"another");
    write("third", b"third");
    assert_eq!(kind(storage.rename_new(&at("third"), &at("a"))), io::ErrorKind::AlreadyExists);
    assert_eq!((read("third"), read("a")), (b"third".to_vec(), b"another".to_vec()));
    storage.rename_new(&at("third"), &at("new")).unwrap();
    assert_eq!(read("new"), b"third");
    assert_eq!(kind(storage.open(&at("third")).map(drop)), io::ErrorKind::NotFound);

    // Only an empty directory is replaced by a directory.
    storage.create_dir_all(&at("empty")).unwrap();
    write("d/file", b"kept");
    storage.rename(&at("d"), &at("empty")).unwrap();
    assert_eq!(read("empty/file"), b"kept");
    storage.create_dir_all(&at("d")).unwrap();
    assert_eq!(kind(storage.rename(&at("d"), &at("empty"))), io::ErrorKind::DirectoryNotEmpty);
    assert!(storage.rename(&at("a"), &at("empty")).is_err());
    assert!(storage.rename(&at("empty"), &at("a")).is_err());
    assert_eq!((read("a"), read("empty/file")), (b"another".to_vec(), b"kept".to_vec()));

    assert_eq!(kind(storage.remove_dir(&at("empty"))), io::ErrorKind::DirectoryNotEmpty);
    assert_eq!(kind(storage.remove(&at("d"))), io::ErrorKind::IsADirectory);
    assert_eq!(kind(storage.remove_dir(&at("a"))), io::ErrorKind::NotADirectory);
    storage.remove_dir(&at("d")).unwrap();
    storage.remove(&at("a")).unwrap();
    assert_eq!(kind(storage.remove(&at("a"))), io::ErrorKind::NotFound);
    assert_eq!(kind(storage.remove_dir(&at("d"))), io::ErrorKind::NotFound);
    assert_eq!(kind(storage.end_writing(&at("a"))), io::ErrorKind::NotFound);
    assert_eq!(kind(storage.hard_link(&at("empty/file"), &at("a"))), io::ErrorKind::Unsupported);
    assert_eq!(kind(storage.list_dir(&at("empty/file")).map(drop)), io::ErrorKind::NotADirectory);

    // A file of several blocks, written in parts, with a sync between them.
    let bytes: Vec<u8> = (0..3_500_000_u32).map(|n| n.to_be_bytes()[2] ^ n.to_be_bytes()[3]).collect();
    let mut file = storage.create(&at("large")).unwrap();
    for (number, part) in bytes.chunks(100_001).enumerate() {
        file.write_all(part).unwrap();
        if number == 7 {
            file.sync().unwrap();
            assert!(read("large") == bytes[..8 * 100_001]);
        }
    }
    file.sync().unwrap();
    drop(file);
    assert!(read("large") == bytes);
    storage.sync_file(&at("large")).unwrap();
    storage.sync_dir(&dir).unwrap();
    drop(storage.create(&at("large")).unwrap());
    assert!(read("large").is_empty());

    // A log of several blocks: each append is found after another client has ended the writing.
    let mut log = storage.create_log(&at("log")).unwrap();
    let mut kept = 0;
    for part in bytes.chunks(70_003).take(30) {
        log.append(part, part.len() - 3).unwrap();
        kept += part.len() - 3;
    }
    log.sync().unwrap();
    let other = client();
    assert!(other.open(&at("log")).is_err(), "its end cannot be read yet");
    other.end_writing(&at("log")).unwrap();
    let whole = read("log");
    assert_eq!(whole.len(), kept);
    let expected: Vec<u8> =
        bytes.chunks(70_003).take(30).flat_map(|part| &part[..part.len() - 3]).copied().collect();
    assert!(whole == expected);
    log.append(b"late", 4).unwrap_err();
    log.sync().unwrap_err();
    assert_eq!(read("log").len(), kept);
}

#[test]
#[ignore = "needs a server"]
fn a_region_is_written_and_read_as_the_model_says() {
    let dir = fresh("model");
    let mut model = Rows::new();
    for seed in 0..3 {
        let region = open_in(client(), &dir).unwrap();
        play(seed, &region, &mut model);
        region.close().unwrap();
        assert_eq!(rows(&read_in(client(), &dir).unwrap()), model);
    }
    let region = open_in(client(), &dir).unwrap();
    for (row, value) in &model {
        assert_eq!(region.get(&Get::new(row.clone())).unwrap().value("f", "q"), Some(value.as_bytes()));
    }
    assert!(region.warnings().is_empty());
}

#[test]
#[ignore = "needs a server"]
fn a_table_is_created_written_split_and_opened_again() {
    let root = fresh("table");
    let options = || Region::options().storage(client());
    let table = Table::create_with(&root, "t", &[Family::new("f")], &["m"], options()).unwrap();
    let keys: Vec<String> = (0..40).map(|n| format!("{}{n:02}", char::from(b'a' + n % 26))).collect();
    for key in &keys {
        table.put(Put::new(key.clone()).cell("f", "q", key.clone())).unwrap();
    }
    table.flush().unwrap();
    table.split("f").unwrap();
    for key in &keys[..10] {
        table.put(Put::new(key.clone()).cell("f", "q", "again")).unwrap();
    }
    table.compact(Compaction::Major).unwrap();
    table.snapshot("s").unwrap();
    table.delete(Delete::new(keys[0].clone())).unwrap();
    table.close().unwrap();
    let count = |table: &Table| table.scan(Scan::new()).unwrap().collect::<Result<Vec<_>>>().unwrap().len();
    let table = Table::open_with(&root, "t", options().writable(true)).unwrap();
    assert_eq!((table.regions().len(), count(&table)), (3, 39));
    table.close().unwrap();
    let snapshot = Table::open_snapshot_with(&root, "s", options()).unwrap();
    assert_eq!(count(&snapshot), 40);
}

/// The log of a server that is still running, or has died unnoticed: the name node reports none of its bytes.
#[test]
#[ignore = "needs a server"]
fn edits_in_a_log_that_is_open_are_not_overlooked() {
    let (storage, root) = (client(), fresh("logged"));
    let options = || Region::options().storage(client());
    let table = Table::create_with(&root, "t", &[Family::new("f")], &["m"], options()).unwrap();
    table.put(Put::new("a").cell("f", "q", "1")).unwrap();
    let encoded = table.regions()[0].encoded_name();
    table.close().unwrap();
    let local = tempfile::tempdir().unwrap();
    let mut log = WalWriterOptions::new().create_in(&LocalStorage, &local.path().join("log")).unwrap();
    // The last packet of the second entry has not been sent.
    for (number, row, len) in [(40, b"b", 1), (41, b"c", 700_000)] {
        let (key, value) = (SeekKey::of(row, b"f", b"q", 500, CellType::Put), vec![b'2'; len]);
        log.append(&WalKey::new(&*encoded, "t", number, 500), [CellRef::new(&key, &value)]).unwrap();
    }
    log.sync().unwrap();
    let bytes = std::fs::read(local.path().join("log")).unwrap();
    let logs = root.join("WALs/h,1,2");
    storage.create_dir_all(&logs).unwrap();
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = ClientBuilder::new().with_url(base()).build().unwrap();
    let path = format!("{}/h%2C1%2C2.1000", logs.to_str().unwrap().strip_prefix(&base()).unwrap());
    let mut open = runtime.block_on(async {
        let mut file = server.create(&path, WriteOptions::default().replication(1)).await.unwrap();
        file.write_bytes(bytes.into()).await.unwrap();
        file
    });
    std::thread::sleep(Duration::from_secs(1));
    let listed = storage.list_dir(&logs).unwrap();
    assert_eq!((listed.len(), listed[0].len), (1, 0));

    let kind = |done: Result<()>| done.unwrap_err().kind();
    let dir = root.join("data/default/t").join(&encoded);
    assert_eq!(kind(options().writable(true).open(&dir).map(drop)), ErrorKind::InvalidArgument);
    let written = Table::open_with(&root, "t", options().writable(true)).unwrap();
    assert_eq!(kind(written.put(Put::new("a").cell("f", "q", "3"))), ErrorKind::InvalidArgument);
    written.close().unwrap();
    assert_eq!(kind(Table::plan_recovery(&root, options()).map(drop)), ErrorKind::InvalidArgument);
    let found = Table::recover(&root, options()).unwrap();
    assert_eq!((found.regions.len(), found.regions[0].replayed.cells), (1, 1), "{found:?}");
    runtime.block_on(open.close()).expect_err("its writing was ended");
    let table = Table::open_with(&root, "t", options().writable(true)).unwrap();
    table.put(Put::new("a").cell("f", "q", "3")).unwrap();
    let rows = table.scan(Scan::new()).unwrap().map(|row| row.unwrap().key().to_vec()).collect::<Vec<_>>();
    assert_eq!(rows, [b"a", b"b"]);
    table.close().unwrap();
}

/// Background compactions move files that are being read to the archive, or remove them.
#[test]
#[ignore = "needs a server"]
fn reads_go_on_while_compactions_replace_their_files() {
    const ROWS: usize = 600;
    // The name of a region's directory depends on when it is created.
    let (name, root) = ("f39a688dd117a795ba32e5609f267c24", fresh("archived"));
    for dir in [root.join("data/default/t").join(name), fresh("alone")] {
        let options = |storage| {
            // Otherwise small files would be read as a whole.
            let family = Family::new("f").block_size(4096).configuration("hbase.hstore.compaction.min", "2");
            let options = Region::options().storage(storage).clock(Arc::new(ManualClock::new(1000)));
            options.table("t").family(family).create_if_missing(true)
        };
        let storage =
            Arc::new(RemoteOptions::default().tail_bytes(1).read_ahead_bytes(1 << 16).build().unwrap());
        let region = options(storage.clone()).open(&dir).unwrap();
        let row = |n: usize| format!("row{n:04}");
        let write = |value: u32| {
            for n in 0..ROWS {
                let put = Put::new(row(n)).cell("f", "q", format!("{value}-{}", "x".repeat(500)));
                region.put(put.durability(Durability::SkipWal)).unwrap();
            }
            region.flush().unwrap();
        };
        write(0);
        let view = region.view();
        let mut readers = vec![region.scan(Scan::new()).unwrap()];
        // Another process: it finds the files in the archive, if there is one.
        let other = read_in(client(), &dir).unwrap();
        if dir.starts_with(&root) {
            readers.push(other.scan(Scan::new()).unwrap());
        }
        let mut read = vec![0; readers.len()];
        let is_first = |row: hregion::Row| row.value("f", "q").unwrap().starts_with(b"0-");
        for round in 1..6 {
            for (rows, read) in readers.iter_mut().zip(&mut read) {
                *read += rows.take(ROWS / 8).map(Result::unwrap).filter(|row| is_first(row.clone())).count();
            }
            write(round);
            if round % 2 == 0 {
                region.compact(Compaction::Major).unwrap();
            }
            let found = view.get(&Get::new(row(round as usize * 100))).unwrap();
            assert!(is_first(found), "round {round}");
        }
        for (rows, read) in readers.iter_mut().zip(&mut read) {
            *read += rows.map(Result::unwrap).filter(|row| is_first(row.clone())).count();
        }
        assert_eq!(read, vec![ROWS; read.len()]);
        assert!(region.metrics().compactions > 1);
        let aside = || storage.list_dir(&dir.join(".tmp/f")).map_or(0, |files| files.len());
        assert_eq!(aside(), usize::from(!dir.starts_with(&root)));
        drop((readers, view));
        region.compact(Compaction::Major).unwrap();
        assert_eq!(aside(), 0);
        assert!(region.warnings().is_empty() && region.health().unarchived_files.is_empty());
        region.close().unwrap();
    }
}
