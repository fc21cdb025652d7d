//! Entries and files for the tests of this module.

use super::key::{ReplicationScope, WalKey};
use crate::cell::{Cell, CellRef, CellType, SeekKey};
use crate::io::FileWriter;
use crate::sync::{Mutex, unpoisoned};
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A shared file in memory that fails on request.
#[derive(Clone, Debug, Default)]
pub(super) struct Sink(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    synced: usize,
    fails: bool,
}

impl Sink {
    pub(super) fn bytes(&self) -> Vec<u8> {
        unpoisoned(self.0.lock()).bytes.clone()
    }

    /// The number of bytes that a sync has covered.
    pub(super) fn synced(&self) -> usize {
        unpoisoned(self.0.lock()).synced
    }

    pub(super) fn fail(&self) {
        unpoisoned(self.0.lock()).fails = true;
    }

    pub(super) fn recover(&self) {
        unpoisoned(self.0.lock()).fails = false;
    }
}

impl FileWriter for Sink {
    fn path(&self) -> &Path {
        Path::new("dir/log")
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut state = unpoisoned(self.0.lock());
        if state.fails {
            return Err(io::Error::other("asked to fail"));
        }
        state.bytes.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut state = unpoisoned(self.0.lock());
        if state.fails {
            return Err(io::Error::other("asked to fail"));
        }
        state.synced = state.bytes.len();
        Ok(())
    }
}

/// The key of the entry with this number.
pub(super) fn key(n: i64) -> WalKey {
    let region = format!("c53874646ac331a474743a009007c8{:02x}", n % 2);
    let mut key = WalKey::new(region, "ns:w1", n, 1_795_161_493_542 + n);
    key.scopes = vec![(b"a".to_vec(), ReplicationScope::Global)];
    key.nonce = -n;
    key.cluster_ids = vec![u128::MAX / 3];
    key.extended_attributes = vec![("name".into(), b"value".to_vec())];
    key
}

/// The cells of the entry with this number. The third entry has a value of 9,000 bytes.
pub(super) fn cells(n: i64) -> Vec<Cell> {
    let tags: &[u8] = if n == 2 { b"\0\x03\x08ab\0\x01\x09" } else { b"" };
    let of = |qualifier: &[u8], cell_type, len| {
        let value = vec![b'x'; len];
        let key = SeekKey::of(format!("row-{n}").as_bytes(), b"a", qualifier, 1000 + n, cell_type);
        Cell::from(CellRef::new(&key, &value).with_tag_bytes(tags).unwrap())
    };
    let last = if n == 3 { 9000 } else { 5 };
    vec![of(b"q", CellType::Put, 5), of(b"", CellType::DeleteFamily, 0), of(b"q", CellType::Put, last)]
}
