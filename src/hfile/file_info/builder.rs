//! Builds the file info of a new file.

use super::{FileInfo, names};
use crate::error::{Corruption, Error, Result};
use std::collections::BTreeMap;

/// Keys and values, without duplicate keys.
#[derive(Clone, Debug, Default)]
pub(in crate::hfile) struct FileInfoBuilder {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// The prefix of keys of the file layer.
const RESERVED: &[u8] = b"hfile.";

impl FileInfoBuilder {
    /// Adds an entry of the caller.
    ///
    /// Fails if the key exists already, or is reserved for the writer: a wrong value would misstate how the
    /// file is stored.
    pub(in crate::hfile) fn add(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        if key.starts_with(RESERVED) {
            return Err(Error::invalid_argument(
                "keys of the file info that begin with `hfile.` are reserved",
            ));
        }
        if names::OF_FORMAT.iter().any(|name| name.as_bytes() == key) {
            let name = crate::cell::StringBinary(key);
            return Err(Error::invalid_argument(format!(
                "the key {name} of the file info follows from the options and the cells of the file"
            )));
        }
        self.put(key, value)
    }

    /// Adds an entry.
    pub(in crate::hfile) fn put(&mut self, key: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Result<()> {
        let (key, value) = (key.as_ref(), value.as_ref());
        if self.entries.contains_key(key) {
            let name = crate::cell::StringBinary(key);
            return Err(Error::invalid_argument(format!("the file info has the key {name} already")));
        }
        self.entries.insert(key.to_vec(), value.to_vec());
        Ok(())
    }

    /// Adds a boolean in HBase's form.
    pub(in crate::hfile) fn put_flag(&mut self, key: &str, value: bool) -> Result<()> {
        self.put(key, flag(value))
    }

    /// Adds an entry, unless the key exists.
    pub(in crate::hfile) fn put_missing(&mut self, key: &str, value: impl AsRef<[u8]>) {
        self.entries.entry(key.into()).or_insert_with(|| value.as_ref().to_vec());
    }

    /// Adds a boolean, unless the key exists.
    pub(in crate::hfile) fn put_missing_flag(&mut self, key: &str, value: bool) {
        self.put_missing(key, flag(value));
    }

    pub(in crate::hfile) fn build(&self) -> Result<FileInfo, Corruption> {
        FileInfo::of(self.entries.iter().map(|(key, value)| (key.as_slice(), value.as_slice())))
    }
}

/// Returns a boolean in HBase's form.
fn flag(value: bool) -> [u8; 1] {
    [if value { 0xff } else { 0 }]
}
