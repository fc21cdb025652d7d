//! The traits that an engine implements to be measured.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::workload::{self, KEY, Key, Kind, ROW, Row, Value};

/// How a store is opened.
#[derive(Clone, Debug)]
pub struct Config {
    pub dir: PathBuf,
    /// Bytes of a data block; 0 for the engine's default.
    pub block: usize,
    /// Bytes of the block cache.
    pub cache: u64,
    /// Bits of the Bloom filter for each key.
    pub bloom_bits: f64,
    /// The memtable must take that many bytes before the engine starts a flush.
    pub memtable: u64,
    /// Versions of a column that an engine with versions keeps.
    pub versions: u32,
    /// `default`, or the name of settings of the engine.
    pub variant: String,
}

/// The capabilities of an engine. Workloads that it does not support are not measured.
#[derive(Clone, Copy, Debug)]
pub struct Caps {
    /// Holds several sorted runs that overlap.
    pub runs: bool,
    /// Writes without a log.
    pub put_no_log: bool,
    /// Writes with a log that is given to the operating system, but not synced.
    pub put_log: bool,
    /// Writes with a log that is synced before `put` returns.
    pub put_sync: bool,
    /// Several threads can write at the same time.
    pub put_threads: bool,
    /// Has a cache whose size limits its memory.
    pub cache: bool,
}

impl Caps {
    pub const LSM: Caps =
        Caps { runs: true, put_no_log: true, put_log: true, put_sync: true, put_threads: true, cache: true };
    pub const TREE: Caps = Caps {
        runs: false,
        put_no_log: true,
        put_log: false,
        put_sync: true,
        put_threads: false,
        cache: true,
    };
}

/// The state of the log when `put` returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Log {
    /// There is no log.
    Off,
    /// The operating system has the entry.
    Os,
    /// The disk has the entry.
    Sync,
}

pub type Pairs<'a> = &'a mut dyn Iterator<Item = (Key, Value)>;

pub trait Engine: Sized + Sync {
    type Reader<'a>: Reader
    where
        Self: 'a;
    type Writer<'a>: Writer
    where
        Self: 'a;

    const NAME: &'static str;

    fn caps() -> Caps;

    /// The version of the library, and relevant settings.
    fn about(config: &Config) -> String;

    /// Opens `config.dir`, which is empty or was left by an earlier `Engine` (perhaps with another cache
    /// size).
    fn open(config: &Config) -> Result<Self>;

    /// Flushes the data that must not be lost, and closes.
    fn close(self) -> Result<()>;

    fn writer(&self, log: Log) -> Result<Self::Writer<'_>>;
    fn reader(&self) -> Result<Self::Reader<'_>>;

    /// Writes the memtable to a new sorted run.
    fn flush(&self) -> Result<()>;

    /// Merges all sorted runs to one.
    fn compact(&self) -> Result<()>;

    /// The number of sorted runs on disk, if the engine reports it.
    fn runs(&self) -> Option<usize>;

    /// Writes `pairs`, which are in the order of keys, to the empty directory `config.dir`: as one table file
    /// or by the engine's bulk load.
    fn bulk(config: &Config, pairs: Pairs<'_>) -> Result<()>;

    /// Bytes on disk without logs.
    fn disk_bytes(&self, config: &Config) -> u64 {
        dir_bytes(&config.dir)
    }
}

/// The reads of one thread.
pub trait Reader {
    /// Reads the value of a store key. Calls `f` with the value, without copying it if the engine can.
    fn get<R>(&mut self, key: &[u8], f: impl FnOnce(&[u8]) -> R) -> Option<R>;

    /// Reads the values of store keys by one call, if the engine has one, and calls `f` with each. Returns
    /// the number of values.
    fn get_many(&mut self, keys: &[Key], mut f: impl FnMut(&[u8])) -> usize {
        keys.iter().filter(|key| self.get(&key[..], &mut f).is_some()).count()
    }

    /// Opens a new scanner at the first key >= `from` (a store key, a row, or nothing), and calls `f` with up
    /// to `limit` entries in order. Returns the number of entries. Keys are in the engine's form:
    /// [`Reader::store_key`] converts them.
    fn scan(&mut self, from: &[u8], limit: usize, f: impl FnMut(&[u8], &[u8])) -> usize;

    /// Scans backward from the last key.
    fn scan_rev(&mut self, limit: usize, f: impl FnMut(&[u8], &[u8])) -> usize;

    // Operations of HBase that a key-value store lacks: by default based on `scan`, as a user of the store
    // would.

    /// Reads all cells of a row of at most `cells` cells. Returns the number of cells. Based on `scan`, this
    /// reads one entry more, to find the end of the row.
    fn get_row(&mut self, row: &Row, cells: usize, mut f: impl FnMut(&[u8])) -> usize {
        let mut n = 0;
        self.scan(row, cells + 1, |key, value| {
            if Self::store_key(key)[..ROW] == row[..] {
                f(value);
                n += 1;
            }
        });
        n
    }

    /// Reads up to `max` versions of the column of a row of at most `cells` cells, newest first, without
    /// those that delete markers hide.
    fn get_versions(&mut self, row: &Row, cells: usize, max: usize, mut f: impl FnMut(&[u8])) -> usize {
        let (mut n, mut gone_until, mut gone_at) = (0, 0u64, u64::MAX);
        self.scan(row, cells + 1, |key, value| {
            let key = Self::store_key(key);
            if key[..ROW] != row[..] || n == max {
                return;
            }
            let (timestamp, kind) = workload::unversion(&key);
            match kind {
                Kind::DeleteColumn => gone_until = gone_until.max(timestamp),
                Kind::Delete => gone_at = timestamp,
                Kind::Put if timestamp > gone_until && timestamp != gone_at => {
                    f(value);
                    n += 1;
                }
                Kind::Put => {}
            }
        });
        n
    }

    /// Scans everything, and keeps the rows whose value is below `below`.
    fn scan_filter(&mut self, below: &[u8], mut f: impl FnMut(&[u8], &[u8])) -> usize {
        let mut n = 0;
        self.scan(&[], usize::MAX, |key, value| {
            if value < below {
                f(key, value);
                n += 1;
            }
        });
        n
    }

    /// The store key of a key that `scan` returned. Used by checks; no timed scan calls it.
    fn store_key(native: &[u8]) -> Key {
        let mut key = [0u8; KEY];
        key.copy_from_slice(native);
        key
    }
}

/// The writes of one thread.
pub trait Writer {
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Writes a version or a delete marker of the column of row `i`.
    fn put_version(&mut self, i: u64, timestamp: u64, kind: Kind, value: &[u8]) -> Result<()> {
        self.put(&workload::versioned(i, timestamp, kind), value)
    }

    fn finish(self) -> Result<()>;
}

/// The bytes of all files below a directory; for a sparse file, only the allocated ones.
pub fn dir_bytes(dir: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(dir) else { return 0 };
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(m) if m.is_dir() => dir_bytes(&entry.path()),
        Ok(m) => m.len().min(m.blocks() * 512),
        Err(_) => 0,
    });
    bytes.sum()
}
