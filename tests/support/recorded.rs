//! A file system that keeps every byte ever written to it.

use super::forward::forward;
use hregion::io::faulty::FaultyStorage;
use hregion::io::{FileWriter, Storage};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

/// Files in memory, and a record of the bytes written to each by its original name.
#[derive(Clone, Debug, Default)]
pub(crate) struct RecordingStorage {
    files: FaultyStorage,
    written: Arc<Mutex<BTreeMap<PathBuf, Vec<u8>>>>,
}

impl RecordingStorage {
    /// Returns the bytes written to each file by the name it was created with, including removed files.
    pub(crate) fn written(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        self.written.lock().expect("no thread panics while holding the lock").clone()
    }

    /// Returns the names of the existing files.
    pub(crate) fn names(&self) -> Vec<PathBuf> {
        self.files.names()
    }

    /// Returns the bytes of an existing file.
    pub(crate) fn bytes(&self, path: &Path) -> Vec<u8> {
        self.files.bytes(path).expect("a file that is there")
    }

    /// Adds a file without recording it as written.
    pub(crate) fn put(&self, path: &Path, bytes: &[u8]) {
        let mut file = self.files.create(path).expect("no faults were asked for");
        file.write_all(bytes).and_then(|()| file.sync()).expect("no faults were asked for");
    }
}

#[derive(Debug)]
struct RecordingWriter {
    file: Box<dyn FileWriter>,
    name: PathBuf,
    storage: RecordingStorage,
}

impl FileWriter for RecordingWriter {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut written = self.storage.written.lock().expect("no thread panics while holding the lock");
        written.entry(self.name.clone()).or_default().extend_from_slice(bytes);
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.sync()
    }
}

impl Storage for RecordingStorage {
    forward!(files: open create_log rename hard_link remove remove_dir sync_file sync_dir list_dir);
    forward!(files: create_dir_all lock optional);

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        let file = self.files.create(path)?;
        Ok(Box::new(RecordingWriter { file, name: path.to_owned(), storage: self.clone() }))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        let file = self.files.create_new(path)?;
        Ok(Box::new(RecordingWriter { file, name: path.to_owned(), storage: self.clone() }))
    }
}
