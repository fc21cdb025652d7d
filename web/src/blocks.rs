//! Headers of blocks, and the entries of the index.

use crate::answer::{NoAnswer, fault};
use crate::report;
use crate::request::Request;
use hregion::{BlockHandle, BlockType, HFile, SeekKey};
use serde_json::{Value, json};
use std::collections::VecDeque;

/// Returns the requested number of headers, from an offset on.
pub(crate) fn blocks(file: &HFile, request: &Request) -> Result<Value, NoAnswer> {
    let (offset, limit) = (request.number("offset", 0)?, request.limit()?);
    let (mut found, mut next, mut error) = (Vec::new(), None, None);
    let (mut keys, mut bytes) = (DataKeys::new(file), 0);
    for header in file.block_headers_from(offset) {
        match header {
            Ok((offset, _)) if found.len() == limit || bytes >= report::ANSWER_BYTES => {
                next = Some(offset);
                break;
            }
            Ok((offset, header)) => {
                let is_data = matches!(header.block_type(), BlockType::Data | BlockType::EncodedData);
                let key = if is_data { keys.at(offset) } else { None };
                bytes += key.as_ref().map_or(0, |key| key.as_bytes().len());
                let mut block = report::block(offset, &header);
                block["size"] = header.total_size().into();
                block["key"] = key.map_or(Value::Null, |key| report::key(&key));
                found.push(block);
            }
            Err(damage) => error = Some(fault(&damage)),
        }
    }
    Ok(json!({ "blocks": found, "next": next, "end": file.trailer().offset(), "error": error }))
}

/// Returns entries of an index block.
pub(crate) fn index(file: &HFile, request: &Request) -> Result<Value, NoAnswer> {
    let (path, from, limit) = (request.path()?, request.count("from", 0)?, request.limit()?);
    if file.entry_count() == 0 {
        return Ok(json!({ "entries": [], "count": 0, "data": true }));
    }
    let entries = file.index_entries(&path)?;
    let entries = entries.ok_or_else(|| NoAnswer::Request("path: there is no such index block".into()))?;
    let (mut shown, mut bytes) = (Vec::new(), 0);
    for (key, handle) in entries.iter().skip(from).take(limit) {
        if bytes >= report::ANSWER_BYTES {
            break;
        }
        bytes += key.as_bytes().len();
        let (offset, size) = (handle.offset, handle.on_disk_size);
        shown.push(json!({ "key": report::key(key), "offset": offset, "size": size }));
    }
    let data = path.len() + 1 == file.index_levels() as usize;
    Ok(json!({ "entries": shown, "count": entries.len(), "data": data }))
}

/// The index keys of data blocks, in file order.
struct DataKeys<'f> {
    file: &'f HFile,
    /// The index of an entry in each index block from the root to a leaf. Empty at the end, and after damage.
    path: Vec<usize>,
    /// The next entries of the leaf.
    leaf: VecDeque<(SeekKey, BlockHandle)>,
    /// The offset of the last block whose entry was taken.
    last: Option<u64>,
}

impl<'f> DataKeys<'f> {
    fn new(file: &'f HFile) -> Self {
        let upper = if file.entry_count() == 0 { 0 } else { file.index_levels() as usize };
        let mut keys = Self { file, path: vec![0; upper], leaf: VecDeque::new(), last: None };
        keys.read();
        keys
    }

    /// Returns the index key of the data block at an offset, which must be after the previous call's. `None`
    /// if the index has no such block, or cannot be read.
    fn at(&mut self, offset: u64) -> Option<SeekKey> {
        loop {
            let Some(next) = self.leaf.front().map(|(_, handle)| handle.offset) else {
                if self.path.is_empty() {
                    return None;
                }
                self.next_leaf();
                continue;
            };
            // without a known order of keys, the index could lead to the same leaves repeatedly
            if self.last.is_some_and(|last| next <= last) {
                self.leaf.clear();
                self.path.clear();
                return None;
            }
            if next > offset {
                return None;
            }
            self.last = Some(next);
            let entry = self.leaf.pop_front();
            if next == offset {
                return entry.map(|(key, _)| key);
            }
        }
    }

    /// Reads the leaf of the path, beginning with the entry at the path's end, which is 0.
    fn read(&mut self) {
        let Some((_, upper)) = self.path.split_last() else { return };
        match self.file.index_entries(upper) {
            Ok(Some(entries)) => self.leaf = entries.into(),
            _ => self.path.clear(),
        }
    }

    /// Moves to the next leaf: to the next entry of the lowest level above that has one.
    fn next_leaf(&mut self) {
        let levels = self.path.len();
        // the leaf itself has no next entry
        self.path.pop();
        while let Some(place) = self.path.pop() {
            match self.file.index_entries(&self.path) {
                Ok(Some(entries)) if place + 1 < entries.len() => {
                    self.path.push(place + 1);
                    self.path.resize(levels, 0);
                    return self.read();
                }
                Ok(Some(_)) => {}
                _ => return self.path.clear(),
            }
        }
    }
}
