//! Dictionaries of byte strings that reader and writer fill in the same order (wal.md §5; HBase:
//! `LRUDictionary`, `CompressionContext`, `TagCompressionContext`).
//!
//! ```text
//! item := FF, varint length, bytes       new; becomes an entry unless its length is 0
//!       | hi, lo                         the entry with index hi << 8 | lo
//! ```
//!
//! Entries get the indexes 0, 1, 2 … until the capacity is reached. Afterwards, a new entry takes the index
//! of the least recently used one.
#![warn(clippy::indexing_slicing)]

use super::source::Source;
use crate::coding::put_varint;
use crate::error::Corruption;
use std::collections::HashMap;
use std::sync::Arc;

/// The byte before a new string. No index starts with it, since all are below 32,767.
const LITERAL: u8 = 0xff;

/// The capacity of the dictionaries of rows, regions, tables and tags.
const LARGE: u16 = 32_767;
/// The capacity of the dictionaries of families and qualifiers.
const SMALL: u16 = 127;
/// The capacity of the dictionaries of regions and tables in a file of recovered edits, which is about one
/// region.
const SINGLE: u16 = 1;

/// One dictionary: of the reader, or of the writer, which also finds an entry by its bytes.
#[derive(Debug)]
pub(super) struct Dictionary {
    what: &'static str,
    capacity: u16,
    /// By index. Without any, `newest` and `oldest` have no meaning.
    entries: Vec<Entry>,
    newest: u16,
    oldest: u16,
    /// The number of bytes of all entries.
    bytes: usize,
    max_bytes: usize,
    /// The index of each entry. Of the writer only.
    indexes: Option<HashMap<Arc<[u8]>, u16>>,
}

/// An entry, linked to the ones used just after and just before it.
#[derive(Debug)]
struct Entry {
    bytes: Arc<[u8]>,
    newer: u16,
    older: u16,
}

impl Dictionary {
    fn new(what: &'static str, capacity: u16, role: Role, max_bytes: usize) -> Self {
        Self {
            what,
            capacity,
            entries: Vec::new(),
            newest: 0,
            oldest: 0,
            bytes: 0,
            max_bytes,
            indexes: (role == Role::Writer).then(HashMap::new),
        }
    }

    /// Reads an item and appends its bytes to `out`. Returns their number, which is at most `max`.
    pub(super) fn read<S: Source>(
        &mut self,
        source: &mut S,
        max: usize,
        out: &mut Vec<u8>,
    ) -> Result<usize, S::Error> {
        let what = self.what;
        let first = source.u8(what)?;
        if first == LITERAL {
            let len = within(what, source.varint(what)?, max)?;
            let bytes = source.take(len, what)?;
            out.extend_from_slice(bytes);
            self.add(bytes)?;
            return Ok(len);
        }
        let index = u16::from_be_bytes([first, source.u8(what)?]);
        let Some(entry) = self.entries.get(usize::from(index)) else {
            return Err(Corruption::Unknown { what: "dictionary index", value: index.into() }.into());
        };
        let len = within(what, entry.bytes.len() as u64, max)?;
        out.extend_from_slice(&entry.bytes);
        self.make_newest(index);
        Ok(len)
    }

    /// Appends the item for `bytes`.
    pub(super) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        if let Some(&index) = self.indexes.as_ref().and_then(|indexes| indexes.get(bytes)) {
            self.make_newest(index);
            out.extend_from_slice(&index.to_be_bytes());
            return Ok(());
        }
        out.push(LITERAL);
        put_varint(out, bytes.len() as u64);
        out.extend_from_slice(bytes);
        self.add(bytes)
    }

    fn add(&mut self, bytes: &[u8]) -> Result<(), Corruption> {
        if bytes.is_empty() {
            return Ok(());
        }
        let bytes: Arc<[u8]> = bytes.into();
        self.bytes = self.bytes.saturating_add(bytes.len());
        let count = u16::try_from(self.entries.len()).unwrap_or(u16::MAX);
        let index = if count < self.capacity {
            self.entries.push(Entry { bytes: Arc::clone(&bytes), newer: 0, older: 0 });
            if count > 0 {
                self.push(count);
            }
            count
        } else {
            let index = self.oldest;
            self.make_newest(index);
            if let Some(entry) = self.entries.get_mut(usize::from(index)) {
                self.bytes = self.bytes.saturating_sub(entry.bytes.len());
                if let Some(indexes) = &mut self.indexes {
                    indexes.remove(&entry.bytes);
                }
                entry.bytes = Arc::clone(&bytes);
            }
            index
        };
        if self.bytes > self.max_bytes {
            let (value, limit) = (self.bytes as u64, self.max_bytes as u64);
            return Err(Corruption::Limit { what: "bytes of a dictionary", value, limit });
        }
        if let Some(indexes) = &mut self.indexes {
            indexes.insert(bytes, index);
        }
        Ok(())
    }

    /// Makes an existing entry the most recently used.
    fn make_newest(&mut self, index: u16) {
        if index == self.newest {
            return;
        }
        let Some(&Entry { newer, older, .. }) = self.entries.get(usize::from(index)) else { return };
        if index == self.oldest {
            self.oldest = newer;
        } else if let Some(entry) = self.entries.get_mut(usize::from(older)) {
            entry.newer = newer;
        }
        if let Some(entry) = self.entries.get_mut(usize::from(newer)) {
            entry.older = older;
        }
        self.push(index);
    }

    /// Links an entry that is in no list before the most recently used one.
    fn push(&mut self, index: u16) {
        if let Some(entry) = self.entries.get_mut(usize::from(self.newest)) {
            entry.newer = index;
        }
        if let Some(entry) = self.entries.get_mut(usize::from(index)) {
            entry.older = self.newest;
        }
        self.newest = index;
    }
}

fn within(what: &'static str, len: u64, max: usize) -> Result<usize, Corruption> {
    usize::try_from(len).ok().filter(|len| *len <= max).ok_or_else(|| {
        let (len, max) = (i64::try_from(len), i64::try_from(max));
        Corruption::out_of_range(what, len.unwrap_or(i64::MAX), 0, max.unwrap_or(i64::MAX))
    })
}

/// Whether entries are added by writing or by reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Reader,
    Writer,
}

/// The dictionaries of a log. All start empty.
#[derive(Debug)]
pub(super) struct Dictionaries {
    pub(super) region: Dictionary,
    pub(super) table: Dictionary,
    pub(super) family: Dictionary,
    pub(super) qualifier: Dictionary,
    pub(super) row: Dictionary,
    pub(super) tag: Option<Dictionary>,
}

impl Dictionaries {
    /// Empty dictionaries, each of at most `max_bytes`. Those of regions and tables have a single entry in a
    /// file of recovered edits.
    pub(super) fn new(role: Role, tags: bool, recovered_edits: bool, max_bytes: usize) -> Self {
        let names = if recovered_edits { SINGLE } else { LARGE };
        let of = |what, capacity| Dictionary::new(what, capacity, role, max_bytes);
        Self {
            region: of("length of a region's name", names),
            table: of("length of a table's name", names),
            family: of("length of a family", SMALL),
            qualifier: of("length of a qualifier", SMALL),
            row: of("length of a row", LARGE),
            tag: tags.then(|| of("length of a tag", LARGE)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coding::Cursor;
    use proptest::prelude::*;

    fn dictionary(role: Role, capacity: u16) -> Dictionary {
        Dictionary::new("test", capacity, role, 1 << 20)
    }

    fn read(dictionary: &mut Dictionary, item: &[u8]) -> Result<Vec<u8>, Corruption> {
        let (mut cursor, mut out) = (Cursor::new(item), Vec::new());
        dictionary.read(&mut cursor, 100, &mut out)?;
        cursor.finish("item")?;
        Ok(out)
    }

    #[test]
    fn items_are_literals_or_indexes() {
        let mut writer = dictionary(Role::Writer, 2);
        let mut write = |bytes: &[u8]| {
            let mut out = Vec::new();
            writer.write(bytes, &mut out).unwrap();
            out
        };
        assert_eq!(write(b"ab"), b"\xff\x02ab");
        assert_eq!(write(b""), b"\xff\0", "never an entry");
        assert_eq!(write(b"c"), b"\xff\x01c");
        assert_eq!(write(b"ab"), b"\0\0");
        // c was used before ab, and is replaced
        assert_eq!(write(b"d"), b"\xff\x01d");
        assert_eq!(write(b"d"), b"\0\x01");
        assert_eq!(write(b"c"), b"\xff\x01c");
        assert_eq!(write(b"c"), b"\0\0", "ab was the oldest");
    }

    #[test]
    fn bad_items_are_refused() {
        let mut reader = dictionary(Role::Reader, 2);
        assert!(read(&mut reader, b"\0\0").is_err(), "no entry yet");
        read(&mut reader, b"\xff\x01a").unwrap();
        assert_eq!(read(&mut reader, b"\0\0").unwrap(), b"a");
        for item in
            [&b"\0\x01"[..], b"\x80\0", b"\xfe\xff", b"\xff", b"\0", b"", b"\xff\x02a", b"\xff\xff\x7f"]
        {
            assert!(read(&mut reader, item).is_err(), "{item:x?}");
        }
        let mut small = Dictionary::new("test", 10, Role::Reader, 5);
        read(&mut small, b"\xff\x04abcd").unwrap();
        assert!(matches!(read(&mut small, b"\xff\x02ab"), Err(Corruption::Limit { .. })));
    }

    /// The same dictionary as a list in the order of use.
    struct Naive {
        capacity: usize,
        /// Bytes and index, the most recently used at the end.
        entries: Vec<(Vec<u8>, u16)>,
    }

    impl Naive {
        fn write(&mut self, bytes: &[u8]) -> Vec<u8> {
            if let Some(at) = self.entries.iter().position(|(entry, _)| entry == bytes) {
                let entry = self.entries.remove(at);
                let index = entry.1;
                self.entries.push(entry);
                return index.to_be_bytes().to_vec();
            }
            if !bytes.is_empty() {
                let index = match self.entries.len() < self.capacity {
                    true => u16::try_from(self.entries.len()).unwrap(),
                    false => self.entries.remove(0).1,
                };
                self.entries.push((bytes.to_vec(), index));
            }
            [&[0xff, u8::try_from(bytes.len()).unwrap()], bytes].concat()
        }
    }

    proptest! {
        #[test]
        fn writer_and_reader_agree_with_the_naive_twin(
            strings in proptest::collection::vec(proptest::collection::vec(0u8..3, 0..3), 0..300),
            capacity in 1u16..9,
        ) {
            let mut writer = dictionary(Role::Writer, capacity);
            let mut reader = dictionary(Role::Reader, capacity);
            let mut naive = Naive { capacity: capacity.into(), entries: Vec::new() };
            for string in strings {
                let mut item = Vec::new();
                writer.write(&string, &mut item).unwrap();
                prop_assert_eq!(&item, &naive.write(&string));
                prop_assert_eq!(read(&mut reader, &item).unwrap(), string);
            }
        }

        #[test]
        fn no_bytes_make_it_panic(items: Vec<Vec<u8>>) {
            let mut reader = dictionary(Role::Reader, 3);
            for item in items {
                let _ = read(&mut reader, &item);
            }
        }
    }
}
