use super::*;
#[cfg(unix)]
use crate::io::LocalStorage;
use crate::io::faulty::{Call, FaultyStorage};
use std::sync::atomic::{AtomicBool, Ordering};

const LEN: usize = 300;

fn content(i: usize) -> Vec<u8> {
    (0..LEN).map(|at| (i * 7 + at) as u8).collect()
}

fn name(i: usize) -> PathBuf {
    format!("data/ns/t/r/f/{i}").into()
}

fn elsewhere(path: &Path) -> PathBuf {
    Path::new("archive").join(path)
}

/// `count` files in a storage, that storage, and the same storage with bounded handles.
fn files(count: usize, handles: usize) -> (FaultyStorage, BoundedStorage, FileHandles) {
    let faulty = FaultyStorage::new();
    let handles = FileHandles::with_capacity(handles);
    let storage =
        BoundedStorage::new(Arc::new(faulty.clone()), handles.clone(), |path| vec![elsewhere(path)]);
    (0..count).for_each(|i| write(&storage, &name(i), &content(i)));
    // As on a disk, a rename creates no directory.
    for dir in ["archive", "archive/data/ns/t/r/f", "archive/data/ns/u/r/f"] {
        faulty.create_dir_all(Path::new(dir)).unwrap();
    }
    faulty.take_most_handles();
    (faulty, storage, handles)
}

fn write(storage: &dyn Storage, path: &Path, bytes: &[u8]) {
    storage.create(path).unwrap().write_all(bytes).unwrap();
}

fn read(file: &dyn FileReader) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}

#[test]
fn files_are_read_with_fewer_handles_than_files() {
    let (faulty, storage, handles) = files(50, 4);
    let open: Vec<_> = (0..50).map(|i| storage.open(&name(i)).unwrap()).collect();
    for _ in 0..3 {
        for (i, file) in open.iter().enumerate() {
            assert_eq!((file.path(), file.len()), (name(i).as_path(), LEN as u64));
            assert_eq!(read(&**file).unwrap(), content(i));
        }
    }
    assert_eq!((handles.capacity(), handles.open_handles(), faulty.take_most_handles()), (4, 4, 4));
    let before = faulty.all_calls();
    (0..100).for_each(|_| assert_eq!(read(&*open[49]).unwrap(), content(49)));
    assert_eq!(faulty.all_calls() - before, 100, "an open file is not opened again");
    drop(open);
    assert_eq!((handles.open_handles(), faulty.open_handles()), (0, 0));
    assert!(unpoisoned(handles.0.state.lock()).files.is_empty());
}

#[test]
fn a_file_that_is_read_often_stays_open() {
    let (faulty, storage, _) = files(50, 4);
    let open: Vec<_> = (0..50).map(|i| storage.open(&name(i)).unwrap()).collect();
    read(&*open[7]).unwrap();
    faulty.break_calls(Call::Create);
    let before = faulty.all_calls();
    for file in &open[10..] {
        read(&**file).unwrap();
        read(&*open[7]).unwrap();
    }
    // Each other file is opened and read once.
    assert_eq!(faulty.all_calls() - before, 40 * 3);
}

#[test]
fn concurrent_reads_return_the_content() {
    let (faulty, storage, handles) = files(20, 3);
    let open: Vec<_> = (0..20).map(|i| storage.open(&name(i)).unwrap()).collect();
    faulty.take_most_handles();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..4)
            .map(|thread| {
                let open = &open;
                scope.spawn(move || {
                    for step in 0..2000 {
                        let i = (step * 7 + thread * 3) % 20;
                        assert_eq!(read(&*open[i]).unwrap(), content(i));
                    }
                })
            })
            .collect();
        let (storage, done) = (&storage, &done);
        scope.spawn(move || {
            // Names change continuously.
            for round in 0.. {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                let (from, to) = (format!("data/ns/t/r{}", round), format!("data/ns/t/r{}", round + 1));
                let from = if round == 0 { "data/ns/t/r".into() } else { PathBuf::from(from) };
                storage.rename(&from, Path::new(&to)).unwrap();
            }
        });
        let read: Vec<_> = readers.into_iter().map(|reader| reader.join()).collect();
        done.store(true, Ordering::Relaxed);
        assert!(read.iter().all(Result::is_ok));
    });
    // Each thread may hold a handle that has already been closed.
    assert!(faulty.take_most_handles() <= 3 + 4);
    assert!(handles.open_handles() <= 3);
}

#[test]
fn a_file_is_found_where_it_has_been_moved() {
    let (_, storage, _) = files(9, 1);
    let open: Vec<_> = (0..9).map(|i| storage.open(&name(i)).unwrap()).collect();
    storage.rename(&name(0), Path::new("data/ns/t/r/f/other")).unwrap();
    storage.rename(Path::new("data/ns/t/r/f/other"), Path::new("archive/0")).unwrap();
    storage.rename(Path::new("data/ns/t"), Path::new("data/ns/u")).unwrap();
    for _ in 0..2 {
        open.iter().enumerate().for_each(|(i, file)| assert_eq!(read(&**file).unwrap(), content(i)));
    }
}

#[test]
fn a_file_that_is_removed_or_overwritten_is_read_on() {
    let (faulty, storage, handles) = files(9, 2);
    let open: Vec<_> = (0..9).map(|i| storage.open(&name(i)).unwrap()).collect();
    for i in 0..4 {
        storage.remove(&name(i)).unwrap();
        write(&storage, &name(i), &content(100));
        storage.rename(&name(8 - i), &name(i)).unwrap();
        storage.remove(&name(i)).unwrap();
    }
    write(&storage, Path::new("new"), &content(100));
    storage.rename(Path::new("new"), &name(4)).unwrap();
    storage.remove(&name(4)).unwrap();
    assert_eq!(faulty.names(), [] as [PathBuf; 0]);
    for _ in 0..2 {
        open.iter().enumerate().for_each(|(i, file)| assert_eq!(read(&**file).unwrap(), content(i), "{i}"));
    }
    drop(open);
    assert_eq!((handles.open_handles(), faulty.open_handles()), (0, 0));
    assert!(unpoisoned(handles.0.state.lock()).files.is_empty());
}

#[test]
fn files_that_cannot_stay_open_are_not_removed() {
    let (faulty, storage, handles) = files(5, 2);
    let open: Vec<_> = (0..5).map(|i| storage.open(&name(i)).unwrap()).collect();
    faulty.limit_handles(2);
    for i in 0..2 {
        storage.remove(&name(i)).unwrap();
    }
    assert!(is_out_of_handles(&storage.remove(&name(2)).unwrap_err()));
    assert!(is_out_of_handles(&storage.rename(&name(3), &name(2)).unwrap_err()));
    faulty.limit_handles(3);
    for (i, file) in open.iter().enumerate() {
        assert_eq!(read(&**file).unwrap(), content(i));
    }
    drop(open);
    storage.remove(&name(2)).unwrap();
    assert_eq!((handles.open_handles(), faulty.open_handles()), (0, 0));
}

#[test]
fn handles_are_closed_where_the_system_has_no_more() {
    let (faulty, storage, handles) = files(50, 100);
    faulty.limit_handles(10);
    let open: Vec<_> = (0..50).map(|i| storage.open(&name(i)).unwrap()).collect();
    let mut written = storage.create(Path::new("new")).unwrap();
    for (i, file) in open.iter().enumerate() {
        assert_eq!(read(&**file).unwrap(), content(i));
        written.write_all(&content(i)).unwrap();
    }
    assert!(handles.open_handles() < 10 && faulty.take_most_handles() == 10);
    faulty.limit_handles(0);
    drop(written);
    let error = storage.open(&name(0)).unwrap_err();
    assert!(is_out_of_handles(&error));
    faulty.limit_handles(1);
    assert_eq!(read(&*open[3]).unwrap(), content(3));
}

#[test]
fn another_process_may_archive_a_file_and_no_other_is_taken_for_it() {
    let (faulty, storage, _) = files(9, 1);
    let open: Vec<_> = (0..9).map(|i| storage.open(&name(i)).unwrap()).collect();
    // As another process would.
    faulty.rename(&name(0), &elsewhere(&name(0))).unwrap();
    assert_eq!(read(&*open[0]).unwrap(), content(0));
    faulty.rename(&name(1), &elsewhere(&name(1))).unwrap();
    write(&faulty, &name(1), &content(100));
    assert_eq!(read(&*open[1]).unwrap(), content(1));
    write(&faulty, &name(2), &content(100));
    let error = read(&*open[2]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(error.to_string(), "another file has taken its place");
    faulty.remove(&name(3)).unwrap();
    assert_eq!(read(&*open[3]).unwrap_err().kind(), io::ErrorKind::NotFound);
    // The failure is transient, and the file exists.
    faulty.break_calls(Call::Open);
    assert_eq!(read(&*open[4]).unwrap_err().kind(), io::ErrorKind::Other);
    faulty.repair();
    assert_eq!(read(&*open[4]).unwrap(), content(4));
}

#[test]
fn a_file_without_an_identity_is_known_by_its_end() {
    let (faulty, storage, _) = files(3, 1);
    faulty.hide_identities();
    let open: Vec<_> = (0..3).map(|i| storage.open(&name(i)).unwrap()).collect();
    for _ in 0..2 {
        open.iter().enumerate().for_each(|(i, file)| assert_eq!(read(&**file).unwrap(), content(i)));
    }
    write(&faulty, &name(0), &content(0));
    write(&faulty, &name(1), &content(100));
    assert_eq!(read(&*open[0]).unwrap(), content(0));
    assert_eq!(read(&*open[1]).unwrap_err().kind(), io::ErrorKind::NotFound);
}

/// Removing a file opens it again if its handle was closed. Its last reader may be dropped at the same time.
#[test]
fn a_file_that_is_dropped_while_it_is_removed_keeps_no_handle() {
    let (faulty, storage, handles) = files(2, 1);
    let [dropped, other] = [0, 1].map(|i| storage.open(&name(i)).unwrap());
    assert_eq!(handles.open_handles(), 1, "that of the second");
    // as a removal begins
    let state = unpoisoned(handles.0.state.lock());
    let (_, found) = state.files.iter().find(|((_, path), _)| *path == name(0)).unwrap();
    let file = Arc::clone(&found[0]);
    drop(state);
    file.pin();
    drop(dropped);
    drop(file.reopen(&handles).unwrap());
    drop(file);
    read(&*other).unwrap();
    drop(other);
    assert_eq!((handles.open_handles(), faulty.open_handles()), (0, 0));
}

/// File systems reuse the number of a removed file for the next one.
#[cfg(unix)]
#[test]
fn a_file_that_another_process_has_replaced_is_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let storage = BoundedStorage::new(LocalStorage::shared(), FileHandles::with_capacity(1), |_| Vec::new());
    let [replaced, other] = ["replaced", "other"].map(|name| dir.path().join(name));
    std::fs::write(&replaced, content(1)).unwrap();
    std::fs::write(&other, content(2)).unwrap();
    let [file, _second] = [&replaced, &other].map(|path| storage.open(path).unwrap());
    // longer than the clock of a file system ticks
    std::thread::sleep(std::time::Duration::from_millis(50));
    std::fs::remove_file(&replaced).unwrap();
    std::fs::write(&replaced, content(3)).unwrap();
    assert_eq!(read(&*file).unwrap_err().to_string(), "another file has taken its place");
}

/// As in HDFS: an open file is found by its path at each read.
#[test]
fn a_file_that_loses_its_path_is_read_where_it_is_now() {
    let (faulty, storage, handles) = files(6, 3);
    faulty.read_by_path();
    let open: Vec<_> = (0..6).map(|i| storage.open(&name(i)).unwrap()).collect();
    let check = |i: usize| assert_eq!(read(&*open[i]).unwrap(), content(i), "{i}");
    (0..6).for_each(check);
    storage.rename(&name(5), Path::new("archive/5")).unwrap();
    // as another process would
    faulty.rename(&name(4), &elsewhere(&name(4))).unwrap();
    (0..6).rev().for_each(check);
    storage.rename(Path::new("data/ns/t"), Path::new("data/ns/u")).unwrap();
    storage.rename(Path::new("archive/5"), Path::new("archive/6")).unwrap();
    [0, 1, 2, 3, 5].into_iter().for_each(check);
    assert!(handles.open_handles() <= 3 && faulty.open_handles() <= 3);
    storage.remove(Path::new("data/ns/u/r/f/0")).unwrap();
    assert_eq!(read(&*open[0]).unwrap_err().kind(), io::ErrorKind::NotFound);
    write(&faulty, Path::new("archive/6"), &content(100));
    assert_eq!(read(&*open[5]).unwrap_err().to_string(), "another file has taken its place");
    (1..4).for_each(check);
    drop(open);
    assert_eq!((handles.open_handles(), faulty.open_handles()), (0, 0));
}
