//! Name nodes that stop answering while files are changed, and files that the client cannot write or read.

use crate::fake_name_nodes::FakeNameNodes;
use crate::hdfs::two_name_nodes;
use crate::locks::LOCK;
use hregion::{FileLock, Storage as _};
use hregion_remote::RemoteStorage;
use std::io;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

fn dir() -> PathBuf {
    PathBuf::from("hdfs://ns/dir")
}

fn client(nodes: &FakeNameNodes, deadline: u64) -> RemoteStorage {
    two_name_nodes(nodes.addresses()).deadline(Duration::from_secs(deadline)).build().unwrap()
}

/// Starts name nodes with a locked directory that contains a file.
fn prepare(deadline: u64) -> (FakeNameNodes, RemoteStorage, FileLock) {
    let nodes = FakeNameNodes::start();
    let storage = client(&nodes, deadline);
    storage.create_dir_all(&dir()).unwrap();
    let lock = storage.lock(&dir().join(LOCK)).unwrap();
    storage.create_new(&dir().join("a")).unwrap().sync().unwrap();
    assert!(nodes.has("/dir/a"));
    (nodes, storage, lock)
}

/// Checks that a lock is held, and that it is free after its release.
fn check(nodes: &FakeNameNodes, lock: FileLock) {
    lock.check().unwrap();
    let (other, file) = (client(nodes, 60), dir().join(LOCK));
    assert_eq!(other.lock(&file).unwrap_err().kind(), io::ErrorKind::WouldBlock);
    drop(lock);
    drop(other.lock(&file).unwrap());
}

/// A change, its request, and the file that exists before or after it.
type Change = (fn(&RemoteStorage, &Path) -> io::Result<()>, &'static str, &'static str, bool);

const CHANGES: [Change; 5] = [
    (|storage, dir| storage.create_dir_all(&dir.join("b")), "mkdirs", "/dir/b", true),
    (|storage, dir| storage.rename(&dir.join("a"), &dir.join("b")), "rename2", "/dir/b", true),
    (|storage, dir| storage.remove(&dir.join("a")), "delete", "/dir/a", false),
    // These can be repeated: the check before a change, and the end of the writing.
    (|storage, dir| storage.create_dir_all(&dir.join("b")), "fsync", "/dir/b", true),
    (|storage, dir| storage.end_writing(&dir.join("a")), "recoverLease", "/dir/a", true),
];

#[test]
fn changes_are_made_once_although_the_name_node_has_become_silent() {
    let run = |(change, request, file, is_there): Change, is_made: bool| {
        let (nodes, storage, lock) = prepare(12);
        nodes.be_silent_at(request, is_made);
        let result = change(&storage, &dir());
        let context = format!("{request}, made: {is_made}, {result:?}");
        assert!(nodes.was_silent(), "{context}");
        if is_made || ["fsync", "recoverLease"].contains(&request) {
            result.unwrap_or_else(|error| panic!("{context}: {error}"));
        } else {
            let error = result.unwrap_err().to_string();
            assert!(nodes.addresses().iter().all(|address| error.contains(address)), "{context}");
            assert_eq!(nodes.has(file), !is_there, "{context}");
            change(&storage, &dir()).unwrap_or_else(|error| panic!("{context}: {error}"));
        }
        assert_eq!(nodes.has(file), is_there, "{context}");
        check(&nodes, lock);
    };
    thread::scope(|scope| {
        for change in CHANGES {
            for is_made in [false, true] {
                scope.spawn(move || run(change, is_made));
            }
        }
    });
}

/// Such a move leaves the same files as one that was made.
#[test]
fn a_move_of_a_missing_file_is_not_made_although_the_name_node_has_become_silent() {
    for is_made in [false, true] {
        let (nodes, storage, lock) = prepare(12);
        nodes.be_silent_at("rename2", is_made);
        storage.rename(&dir().join("missing"), &dir().join("a")).unwrap_err();
        assert!(nodes.was_silent() && nodes.has("/dir/a"));
        check(&nodes, lock);
    }
}

/// It is not known which request has created a file: the call fails, and is repeated.
#[test]
fn a_file_is_created_with_another_name_node() {
    for is_made in [false, true] {
        let (nodes, storage, lock) = prepare(12);
        nodes.be_silent_at("create", is_made);
        storage.create(&dir().join("b")).unwrap_err();
        assert_eq!((nodes.was_silent(), nodes.has("/dir/b")), (true, is_made));
        storage.create(&dir().join("b")).unwrap().sync().unwrap();
        storage.rename_new(&dir().join("b"), &dir().join("c")).unwrap();
        check(&nodes, lock);
    }
}

#[test]
fn a_lock_is_taken_and_released_with_another_name_node() {
    let run = |request: &str, is_made: bool| {
        let (nodes, storage, lock) = prepare(12);
        let other = dir().join("b");
        if request == "create" {
            nodes.be_silent_at(request, is_made);
            storage.create_dir_all(&other).unwrap();
            drop(storage.lock(&other.join(LOCK)).unwrap());
        } else {
            storage.create_dir_all(&other).unwrap();
            let released = storage.lock(&other.join(LOCK)).unwrap();
            nodes.be_silent_at(request, is_made);
            drop(released);
        }
        assert!(nodes.was_silent(), "{request}, made: {is_made}");
        drop(client(&nodes, 60).lock(&other.join(LOCK)).unwrap());
        check(&nodes, lock);
    };
    thread::scope(|scope| {
        for request in ["create", "complete"] {
            for is_made in [false, true] {
                scope.spawn(move || run(request, is_made));
            }
        }
    });
}

/// The connection timeout is not waited for if the call ends earlier.
#[test]
fn a_silent_name_node_is_found_before_the_deadline() {
    let nodes = FakeNameNodes::start();
    let options = two_name_nodes(nodes.addresses()).deadline(Duration::from_secs(12));
    let storage = options.connect_timeout(Duration::from_secs(60)).build().unwrap();
    storage.create_dir_all(&dir()).unwrap();
    let lock = storage.lock(&dir().join(LOCK)).unwrap();
    nodes.be_silent_at("fsync", false);
    storage.create_dir_all(&dir().join("b")).unwrap();
    assert!(nodes.was_silent() && nodes.has("/dir/b"));
    check(&nodes, lock);
}

#[test]
fn a_name_node_that_answers_again_is_asked_again() {
    let (nodes, storage, lock) = prepare(20);
    for number in 0..3 {
        nodes.be_silent_at("fsync", false);
        lock.check().unwrap();
        assert!(nodes.was_silent(), "{number}");
        storage.create_dir_all(&dir().join(format!("b{number}"))).unwrap();
        nodes.set_silent([false; 2]);
    }
    check(&nodes, lock);
}

#[test]
fn silent_name_nodes_are_named_and_waited_for() {
    let (nodes, storage, lock) = prepare(12);
    nodes.set_silent([true; 2]);
    let error = storage.create_dir_all(&dir().join("b")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    let error = error.to_string();
    assert!(nodes.addresses().iter().all(|address| error.contains(address)), "{error}");
    assert!(error.ends_with("it is not known whether the lock is held"), "{error}");
    nodes.set_silent([false; 2]);
    storage.create_dir_all(&dir().join("b")).unwrap();
    check(&nodes, lock);
}

/// Starts name nodes as [`prepare`] does, with an encryption zone.
fn prepare_zone() -> (FakeNameNodes, RemoteStorage, FileLock, &'static Path) {
    let (nodes, storage, lock) = prepare(12);
    let zone = Path::new("hdfs://ns/zone");
    storage.create_dir_all(zone).unwrap();
    nodes.encrypt("/zone");
    (nodes, storage, lock, zone)
}

/// The client has removed the file again, so the lock is in no doubt.
#[test]
fn a_lock_in_an_encryption_zone_is_refused_and_other_changes_are_made() {
    let (nodes, storage, lock, zone) = prepare_zone();
    let error = storage.lock(&zone.join(LOCK)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("encryption zone"), "{error}");
    assert!(!nodes.has(&format!("/zone/{LOCK}")) && !error.to_string().contains("left"), "{error}");
    storage.create_dir_all(&dir().join("b")).unwrap();
    check(&nodes, lock);
}

/// The client would remove the file that has replaced it.
#[test]
fn a_file_in_an_encryption_zone_is_not_replaced() {
    let (nodes, storage, lock) = prepare(12);
    nodes.encrypt("/dir/a");
    let error = storage.create(&dir().join("a")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("encryption zone") && nodes.has("/dir/a"), "{error}");
    storage.create(&dir().join("b")).unwrap().sync().unwrap();
    storage.create(&dir().join("b")).unwrap().sync().unwrap();
    check(&nodes, lock);
}

/// The client does not report that it could not remove it.
#[test]
fn a_file_that_is_left_in_an_encryption_zone_is_named() {
    let (nodes, storage, lock, zone) = prepare_zone();
    nodes.refuse_at("delete");
    let of_lock = storage.lock(&zone.join(LOCK)).unwrap_err();
    nodes.refuse_at("delete");
    let of_file = storage.create_new(&zone.join("file")).unwrap_err();
    for (error, left) in [(of_lock, format!("/zone/{LOCK}")), (of_file, "/zone/file".to_owned())] {
        assert!(nodes.has(&left) && error.to_string().ends_with(&left), "{error}");
        assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    }
    // It is not another process that has the lock.
    let again = storage.lock(&zone.join(LOCK)).unwrap_err();
    assert_eq!(again.kind(), io::ErrorKind::Other);
    assert!(again.to_string().contains("left the file open"), "{again}");
    storage.create_dir_all(&dir().join("b")).unwrap();
    check(&nodes, lock);
}

/// It was not replaced: a reader that opens it again would fail again.
#[test]
fn a_file_that_another_client_is_writing_is_named() {
    let (nodes, storage, lock) = prepare(12);
    let file = dir().join("log");
    let writer = storage.create_new(&file).unwrap();
    assert_eq!(storage.open(&file).unwrap().len(), 0);
    nodes.grow("/dir/log", 5);
    let error = client(&nodes, 12).open(&file).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ResourceBusy);
    assert!(error.to_string().contains("is writing the file"), "{error}");
    drop((writer, lock));
}
