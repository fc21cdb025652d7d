//! Copies a file, and checks all of it in the same pass. HBase has no such operation.

use super::options::HFileOptions;
use crate::error::{Error, Result};
use crate::io::{FileIdentity, FileReader, NewFile};
use crate::sync::{Mutex, unpoisoned};
use std::io;
use std::mem;
use std::path::Path;
use std::sync::Arc;
use xxhash_rust::xxh3::Xxh3;

/// The number of bytes read at a time outside of blocks.
const PART: usize = 1 << 20;

/// Distinguishes the bytes of a file from those of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Digest {
    /// The length in bytes.
    pub(crate) len: u64,
    /// The XXH3 of all bytes.
    pub(crate) hash: u128,
}

impl HFileOptions {
    /// Returns the digest of a file, without checking the file.
    pub(crate) fn digest(&self, path: &Path) -> Result<Digest> {
        let tee = Tee::new(self.reader(path)?, None);
        tee.read_rest()?;
        tee.finish()
    }

    /// Copies the bytes of one file to another, and makes the copy durable. Checks all blocks and cells as
    /// [`verify`](Self::verify) does, in the same pass: most bytes are read once. Only a few blocks are in
    /// memory at a time.
    ///
    /// # Errors
    ///
    /// If the file has a fault, or a file cannot be read or written. In these cases no copy is left, unless
    /// making it durable failed.
    pub(crate) fn copy_verified(&self, from: &Path, to: NewFile) -> Result<Digest> {
        let tee = Arc::new(Tee::new(self.reader(from)?, Some(to)));
        let report = self.verify_reader(Arc::clone(&tee) as Arc<dyn FileReader>);
        tee.check()?;
        if let Some(fault) = report?.faults.into_iter().next() {
            return Err(fault);
        }
        tee.read_rest()?;
        tee.finish()
    }
}

/// A file whose bytes are written to another one when they are first read in order.
#[derive(Debug)]
struct Tee {
    file: Arc<dyn FileReader>,
    copy: Mutex<Copied>,
}

/// The bytes that have been read in order from the start.
struct Copied {
    to: Option<NewFile>,
    len: u64,
    hash: Xxh3,
    /// The error if they could not be written.
    failure: Option<Error>,
}

impl std::fmt::Debug for Copied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Copied").field("to", &self.to).field("len", &self.len).finish_non_exhaustive()
    }
}

impl Tee {
    fn new(file: Arc<dyn FileReader>, to: Option<NewFile>) -> Self {
        Self { file, copy: Mutex::new(Copied { to, len: 0, hash: Xxh3::new(), failure: None }) }
    }

    /// Fails if bytes could not be written.
    fn check(&self) -> Result<()> {
        unpoisoned(self.copy.lock()).failure.take().map_or(Ok(()), Err)
    }

    /// Reads the bytes that have not been read in order.
    fn read_rest(&self) -> Result<()> {
        let mut part = Vec::new();
        loop {
            let at = unpoisoned(self.copy.lock()).len;
            let left = self.file.len().saturating_sub(at);
            if left == 0 {
                return Ok(());
            }
            part.resize(usize::try_from(left).map_or(PART, |left| left.min(PART)), 0);
            let read = self.read_exact_at(&mut part, at);
            self.check()?;
            read.map_err(|error| Error::io("read", self.file.path(), error))?;
        }
    }

    /// Makes the copy durable.
    fn finish(&self) -> Result<Digest> {
        let mut copied = unpoisoned(self.copy.lock());
        let digest = Digest { len: copied.len, hash: copied.hash.digest128() };
        mem::take(&mut copied.to).map_or(Ok(()), NewFile::persist)?;
        Ok(digest)
    }
}

impl Copied {
    fn take(&mut self, bytes: &[u8]) -> Result<()> {
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        self.to.as_mut().map_or(Ok(()), |to| to.write_all(bytes))
    }
}

impl FileReader for Tee {
    fn path(&self) -> &Path {
        self.file.path()
    }

    fn len(&self) -> u64 {
        self.file.len()
    }

    fn identity(&self) -> Option<FileIdentity> {
        self.file.identity()
    }

    fn is_remote(&self) -> bool {
        self.file.is_remote()
    }

    fn read_exact_at(&self, buf: &mut [u8], offset: u64) -> io::Result<()> {
        self.file.read_exact_at(buf, offset)?;
        let mut copied = unpoisoned(self.copy.lock());
        let known = copied.len.checked_sub(offset).and_then(|known| usize::try_from(known).ok());
        // Bytes after a gap, such as the indexes, which are read first, are read again later.
        let Some(new) = known.and_then(|known| buf.get(known..)).filter(|new| !new.is_empty()) else {
            return Ok(());
        };
        if copied.failure.is_some() {
            return Err(io::Error::other("an earlier write failed"));
        }
        copied.take(new).map_err(|error| {
            copied.failure = Some(error);
            io::Error::other("the copy could not be written")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{CellRef, CellType, SeekKey};
    use crate::hfile::{HFile, HFileWriter, StoreFileOrigin, StoreFileWriter};
    use crate::io::Storage;
    use crate::io::faulty::{Call, FaultyFile, FaultyStorage};
    use std::path::PathBuf;

    fn golden(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/golden").join(format!("{name}.hfile"))
    }

    /// Copies a local file into memory.
    fn in_memory(name: &str) -> (FaultyStorage, Vec<u8>) {
        let (storage, bytes) = (FaultyStorage::new(), std::fs::read(golden(name)).unwrap());
        storage.create(Path::new("a")).unwrap().write_all(&bytes).unwrap();
        (storage, bytes)
    }

    fn options(storage: &FaultyStorage) -> HFileOptions {
        HFile::options().storage(Arc::new(storage.clone()))
    }

    fn copy(storage: &FaultyStorage) -> Result<Digest> {
        let shared: Arc<dyn Storage> = Arc::new(storage.clone());
        let to = NewFile::create(&shared, Path::new("b"))?;
        options(storage).copy_verified(Path::new("a"), to)
    }

    #[test]
    fn a_copy_has_the_same_bytes() {
        for name in ["small-none-row", "small-none-zstd-bulkload", "shape-empty", "shape-edges-none"] {
            let (storage, bytes) = in_memory(name);
            let digest = copy(&storage).unwrap();
            assert_eq!(storage.bytes(Path::new("b")).as_ref(), Some(&bytes), "{name}");
            assert_eq!(digest, options(&storage).digest(Path::new("a")).unwrap(), "{name}");
            assert_eq!(digest, options(&storage).digest(Path::new("b")).unwrap(), "{name}");
            assert_eq!(digest.len, bytes.len() as u64);
            let mut other = bytes.clone();
            other[bytes.len() / 2] ^= 1;
            storage.create(Path::new("a")).unwrap().write_all(&other).unwrap();
            assert_ne!(digest, options(&storage).digest(Path::new("a")).unwrap(), "{name}");
        }
    }

    #[test]
    fn a_damaged_file_has_no_copy() {
        let (storage, bytes) = in_memory("small-none-row");
        for bit in (0..bytes.len() * 8).step_by(397) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            storage.create(Path::new("a")).unwrap().write_all(&flipped).unwrap();
            if copy(&storage).is_ok() {
                // Bytes that no reader depends on, such as the rest of the trailer.
                assert_eq!(storage.bytes(Path::new("b")).as_ref(), Some(&flipped), "bit {bit}");
                storage.remove(Path::new("b")).unwrap();
            }
            assert_eq!(storage.names(), [PathBuf::from("a")], "bit {bit}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_an_error() {
        let (storage, _) = in_memory("small-none-row");
        storage.break_calls(Call::Write);
        let error = copy(&storage).unwrap_err();
        assert!(error.to_string().contains("write"), "{error}");
        storage.repair();
        assert_eq!(storage.names(), [PathBuf::from("a")]);
        assert!(options(&storage).digest(Path::new("none")).unwrap_err().is_not_found());
    }

    /// For a file that is longer than the tail, which is read first.
    #[test]
    fn most_bytes_are_read_once() {
        let storage = FaultyStorage::new();
        let file = storage.create(Path::new("a")).unwrap();
        let mut writer = StoreFileWriter::create_in(HFileWriter::options().mvcc(true), file).unwrap();
        for row in 0..20_000 {
            let row = format!("{row:08}");
            let key = SeekKey::of(row.as_bytes(), b"f", b"q", 1, CellType::Put);
            writer.append(CellRef::new(&key, row.as_bytes())).unwrap();
        }
        writer.finish(&StoreFileOrigin::flush(1)).unwrap();
        let digest = copy(&storage).unwrap();
        assert_eq!(storage.bytes(Path::new("a")), storage.bytes(Path::new("b")));
        assert!(digest.len > 500_000, "{digest:?}");
        let file = Arc::new(FaultyFile::new(storage.open(Path::new("a")).unwrap()));
        let tee = Arc::new(Tee::new(Arc::clone(&file) as Arc<dyn FileReader>, None));
        let report = HFile::options().verify_reader(Arc::clone(&tee) as Arc<dyn FileReader>).unwrap();
        assert!(report.faults.is_empty());
        let by_check = file.bytes_read();
        tee.read_rest().unwrap();
        let rest = file.bytes_read() - by_check;
        assert!(rest < file.len() / 10, "{rest} of {}", file.len());
        assert!(file.bytes_read() < file.len() * 5 / 4, "{} of {}", file.bytes_read(), file.len());
        assert_eq!(tee.finish().unwrap(), digest);
    }
}
