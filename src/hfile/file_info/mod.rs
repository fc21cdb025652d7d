//! The file info: a file's metadata as keys and values (hfile.md §11.2).
#![warn(clippy::indexing_slicing)]

mod builder;
mod known;
pub(crate) mod names;

pub(super) use builder::FileInfoBuilder;
pub use known::FileTimeRange;

use crate::cell::StringBinary;
use crate::coding::Cursor;
use crate::error::Corruption;
use crate::proto;
use crate::proto::hfile::{BytesBytesPair, FileInfoProto};
use crate::proto::wire::{Fields, Value, delimited};
use prost::Message;
use std::fmt;
use std::ops::Range;

/// The keys and values of a file's FILE_INFO block, sorted by key.
///
/// | form                    | payload                                                              |
/// |-------------------------|----------------------------------------------------------------------|
/// | protobuf, 2.2 and later | "PBUF", a delimited `FileInfoProto`                                  |
/// | plain, 2.0 and 2.1      | `i32` count; then for each: key as vbytes, a byte, value as vbytes   |
///
/// Any key may occur, and an empty value differs from a missing one. The getters for the keys that HBase
/// writes return an error for a value of the wrong form.
///
/// HBase: `HFileInfo`.
#[derive(Clone, Default)]
pub struct FileInfo {
    /// All keys, each followed by its value.
    bytes: Vec<u8>,
    /// Sorted by key, without duplicates.
    entries: Vec<Entry>,
}

/// The positions in `bytes` where a key starts, where it ends, and where its value ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    start: u32,
    middle: u32,
    end: u32,
}

/// The memory per entry in the list: a growing list has room for up to twice as many.
const ENTRY_BYTES: usize = 2 * size_of::<Entry>();

impl FileInfo {
    /// What a limit on [`memory`](Self::memory) is called in errors.
    pub(super) const MEMORY: &'static str = "memory of the file info";

    /// Returns the bytes of memory that count against the limit of [`parse`](Self::parse).
    pub(super) fn memory(&self) -> usize {
        self.bytes.len() + self.entries.len() * ENTRY_BYTES
    }

    /// Parses the payload of a FILE_INFO block in either form. The last value of a duplicate key counts.
    ///
    /// Fails with a `Limit` if the keys, the values and the list of entries take more than `limit` bytes of
    /// memory: a small pair takes several times its bytes in the payload.
    pub(crate) fn parse(payload: &[u8], limit: usize) -> Result<Self, Corruption> {
        let mut cursor = Cursor::new(payload);
        let mut info = match payload.strip_prefix(proto::MAGIC) {
            Some(body) => {
                cursor = Cursor::new(body);
                Self::protobuf(delimited(&mut cursor, "message of the file info")?, limit)?
            }
            None => Self::plain(&mut cursor, limit)?,
        };
        cursor.finish("bytes after the file info")?;
        info.sort();
        Ok(info)
    }

    fn protobuf(message: &[u8], limit: usize) -> Result<Self, Corruption> {
        let mut info = Self::default();
        for field in Fields::new(message) {
            match field? {
                (1, Value::Bytes(pair)) => {
                    let (mut first, mut second) = (None, None);
                    for field in Fields::new(pair) {
                        match field? {
                            (1, Value::Bytes(key)) => first = Some(key),
                            (2, Value::Bytes(value)) => second = Some(value),
                            _ => {}
                        }
                    }
                    let (Some(key), Some(value)) = (first, second) else {
                        return Err(Corruption::Malformed("entry of the file info without key or value"));
                    };
                    info.push_within(key, value, limit)?;
                }
                (1, _) => return Err(Corruption::Malformed("entry of the file info that is not a message")),
                _ => {}
            }
        }
        Ok(info)
    }

    fn plain(cursor: &mut Cursor<'_>, limit: usize) -> Result<Self, Corruption> {
        let mut info = Self::default();
        for _ in 0..cursor.len("number of entries of the file info")? {
            let key = cursor.vbytes("key of the file info")?;
            cursor.u8("class code of the file info")?;
            info.push_within(key, cursor.vbytes("value of the file info")?, limit)?;
        }
        Ok(info)
    }

    /// Like [`push`](Self::push), but fails if more than `limit` bytes of memory are then in use.
    fn push_within(&mut self, key: &[u8], value: &[u8], limit: usize) -> Result<(), Corruption> {
        let list = (self.entries.len() + 1).saturating_mul(ENTRY_BYTES);
        let bytes = list.saturating_add(self.bytes.len()).saturating_add(key.len() + value.len());
        if bytes > limit {
            let (value, limit) = (bytes as u64, limit as u64);
            return Err(Corruption::Limit { what: Self::MEMORY, value, limit });
        }
        self.push(key, value)
    }

    fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), Corruption> {
        let start = self.bytes.len();
        let (middle, end) = (start + key.len(), start + key.len() + value.len());
        let index = |at: usize| {
            let limit = u32::MAX.into();
            u32::try_from(at).map_err(|_| Corruption::Limit { what: "file info", value: at as u64, limit })
        };
        self.entries.push(Entry { start: index(start)?, middle: index(middle)?, end: index(end)? });
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        Ok(())
    }

    /// Restores the order after [`push`](Self::push).
    fn sort(&mut self) {
        let Self { bytes, entries } = self;
        // the sort is stable and the list is reversed before it, so the last of equal keys comes first and is
        // kept
        entries.reverse();
        entries.sort_by(|a, b| part(bytes, a.key()).cmp(part(bytes, b.key())));
        entries.dedup_by(|a, b| part(bytes, a.key()) == part(bytes, b.key()));
    }

    /// Returns a file info with these keys and values. The last value of a duplicate key counts.
    ///
    /// # Errors
    ///
    /// If they take more than 4 GiB.
    pub(crate) fn of<'a>(
        entries: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Result<Self, Corruption> {
        let mut info = Self::default();
        for (key, value) in entries {
            info.push(key, value)?;
        }
        info.sort();
        Ok(info)
    }

    /// Appends the payload of a FILE_INFO block in the protobuf form.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let pair = |(key, value): (&[u8], &[u8])| BytesBytesPair {
            first: Some(key.to_vec()),
            second: Some(value.to_vec()),
        };
        out.extend_from_slice(proto::MAGIC);
        let message = FileInfoProto { map_entry: self.iter().map(pair).collect() };
        out.extend_from_slice(&message.encode_length_delimited_to_vec());
    }

    /// Returns the value of a key.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let found = self.entries.binary_search_by(|entry| part(&self.bytes, entry.key()).cmp(key)).ok()?;
        self.entries.get(found).map(|entry| part(&self.bytes, entry.value()))
    }

    /// Returns all keys with their values, sorted by key.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|entry| (part(&self.bytes, entry.key()), part(&self.bytes, entry.value())))
    }

    /// Returns the number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no keys.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

impl Entry {
    fn key(self) -> Range<usize> {
        self.start as usize..self.middle as usize
    }

    fn value(self) -> Range<usize> {
        self.middle as usize..self.end as usize
    }
}

/// Returns the part of `bytes` that an entry refers to; entries refer only to existing parts.
fn part(bytes: &[u8], range: Range<usize>) -> &[u8] {
    bytes.get(range).unwrap_or_default()
}

/// Compares keys and values, regardless of the order in which they were read.
impl PartialEq for FileInfo {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for FileInfo {}

impl fmt::Debug for FileInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |bytes| format!("{}", StringBinary(bytes));
        f.debug_map().entries(self.iter().map(|(key, value)| (shown(key), shown(value)))).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    type Pairs = Vec<(Vec<u8>, Vec<u8>)>;

    fn pairs() -> impl Strategy<Value = Pairs> {
        let bytes = |len| proptest::collection::vec(any::<u8>(), 0..len);
        proptest::collection::vec((bytes(3), bytes(300)), 0..20)
    }

    fn protobuf(pairs: &Pairs) -> Vec<u8> {
        let pair = |(key, value): &(Vec<u8>, Vec<u8>)| BytesBytesPair {
            first: Some(key.clone()),
            second: Some(value.clone()),
        };
        let mut out = proto::MAGIC.to_vec();
        let message = FileInfoProto { map_entry: pairs.iter().map(pair).collect() };
        out.extend(message.encode_length_delimited_to_vec());
        out
    }

    fn plain(pairs: &Pairs) -> Vec<u8> {
        let vbytes = |out: &mut Vec<u8>, bytes: &[u8]| {
            crate::coding::put_vlong(out, bytes.len().try_into().unwrap());
            out.extend_from_slice(bytes);
        };
        let mut out = u32::try_from(pairs.len()).unwrap().to_be_bytes().to_vec();
        for (key, value) in pairs {
            vbytes(&mut out, key);
            out.push(1);
            vbytes(&mut out, value);
        }
        out
    }

    #[test]
    fn a_plain_info_of_hbase() {
        let bytes = b"\0\0\0\x02\x13DATA_BLOCK_ENCODING\x01\x04NONE\x11hfile.AVG_KEY_LEN\x01\x04\0\0\0\x1f";
        let info = FileInfo::parse(bytes, usize::MAX).unwrap();
        assert_eq!(info.len(), 2);
        assert_eq!(info.get(b"DATA_BLOCK_ENCODING"), Some(&b"NONE"[..]));
        assert_eq!(info.avg_key_len(), Ok(Some(31)));
        let shown = r#"{"DATA_BLOCK_ENCODING": "NONE", "hfile.AVG_KEY_LEN": "\\x00\\x00\\x00\\x1F"}"#;
        assert_eq!(format!("{info:?}"), shown);
    }

    #[test]
    fn malformed_infos_are_refused() {
        for (bytes, start) in [
            (&b""[..], "number of entries of the file info needs 4 bytes, 0 left"),
            (b"\xff\xff\xff\xff", "number of entries of the file info is -1"),
            (b"\x7f\xff\xff\xff\0\x01\0", "key of the file info needs 1 bytes"),
            (b"\0\0\0\x01\x02a", "key of the file info needs 2 bytes, 1 left"),
            (b"\0\0\0\x01\x01a\x01\x80", "value of the file info"),
            (b"\0\0\0\0x", "bytes after the file info: expected 0, found 1"),
            (b"PBUF", "message of the file info needs"),
            (b"PBUF\x02\x0a\x00", "entry of the file info without"),
            (b"PBUF\x04\x0a\x02\x0a\x00", "entry of the file info without"),
            (b"PBUF\x02\x08\x00", "entry of the file info that is not a message"),
            (b"PBUF\0x", "bytes after the file info: expected 0, found 1"),
        ] {
            let message = FileInfo::parse(bytes, usize::MAX).unwrap_err().to_string();
            assert!(message.starts_with(start), "{message}");
        }
    }

    #[test]
    fn entries_count_against_the_limit() {
        // A pair of empty slices takes 3 bytes in the plain form and 6 in the other.
        let pairs: Pairs = vec![(Vec::new(), Vec::new()); 1000];
        let limit = 1000 * ENTRY_BYTES;
        for payload in [plain(&pairs), protobuf(&pairs)] {
            assert!(payload.len() < limit / 2);
            assert_eq!(FileInfo::parse(&payload, limit).unwrap().len(), 1, "all have the same key");
            let error = FileInfo::parse(&payload, limit - 1).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
        }
        let payload = plain(&vec![(b"key".to_vec(), b"value".to_vec())]);
        assert!(FileInfo::parse(&payload, ENTRY_BYTES + 8).is_ok());
        assert!(FileInfo::parse(&payload, ENTRY_BYTES + 7).is_err());
    }

    proptest! {
        #[test]
        fn both_forms_are_a_sorted_map(pairs in pairs()) {
            // a map that is filled in order also keeps the last of equal keys
            let map: BTreeMap<_, _> = pairs.iter().cloned().collect();
            let info = FileInfo::parse(&protobuf(&pairs), usize::MAX).unwrap();
            prop_assert!(info.iter().eq(map.iter().map(|(key, value)| (&key[..], &value[..]))));
            prop_assert_eq!(info.len(), map.len());
            for (key, value) in &map {
                prop_assert_eq!(info.get(key), Some(&value[..]));
            }
            prop_assert_eq!(info.get(b"no such key"), None);
            // the bytes of "PBUF" as a count exceed any possible number of entries
            let plainly = FileInfo::parse(&plain(&pairs), usize::MAX).unwrap();
            prop_assert_eq!(&plainly, &info);

            let mut out = Vec::new();
            info.write(&mut out);
            prop_assert_eq!(out, protobuf(&map.into_iter().collect()));
            let again = FileInfo::of(info.iter()).unwrap();
            prop_assert_eq!(&again, &info);
        }

        #[test]
        fn no_bytes_make_it_panic(mut bytes: Vec<u8>, magic: bool) {
            if magic {
                bytes.splice(0..0, *b"PBUF");
            }
            let _ = FileInfo::parse(&bytes, usize::MAX);
        }
    }
}
