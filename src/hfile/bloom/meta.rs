//! The metadata of a Bloom filter: its hash function and its chunks (hfile.md §12.1).
#![warn(clippy::indexing_slicing)]

use crate::block::header::SHORT_HEADER_LEN;
use crate::block::{BlockHandle, BloomHashType};
use crate::cell::CellKey;
use crate::coding::{Cursor, put_vlong};
use crate::error::Corruption;

/// The only version that exists: filters divided into chunks.
const VERSION: i32 = 3;
/// Offset, size, and the length of a key.
const MIN_ENTRY_LEN: usize = 8 + 4 + 1;
/// The maximum number of bits set for each key.
pub(super) const MAX_HASH_COUNT: u32 = 256;

/// The contents of a `GENERAL_BLOOM_META` or `DELETE_FAMILY_BLOOM_META` block.
///
/// | bytes  | field                                             |
/// |-------:|---------------------------------------------------|
/// |      4 | version: 3                                        |
/// |      8 | bytes of all chunks                               |
/// |      4 | hash count, 1 to 256                              |
/// |      4 | [`BloomHashType`]                                      |
/// |      8 | distinct keys                                     |
/// |      8 | capacity in keys                                  |
/// |      4 | number of chunks, at least 1                      |
/// | vbytes | comparator                                        |
/// |        | for each chunk: offset (8), on-disk size (4), first key (vbytes) |
///
/// Invariant: the chunks follow each other without overlap, in the part of the file where chunks may be.
///
/// HBase: `CompoundBloomFilter`, `CompoundBloomFilterWriter.MetaWriter`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BloomMeta {
    total_bytes: u64,
    hash_count: u32,
    hash: BloomHashType,
    key_count: u64,
    max_keys: u64,
    comparator: String,
    chunks: Vec<Chunk>,
    /// The first keys of the chunks, concatenated.
    keys: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunk {
    offset: u64,
    on_disk_size: u32,
    /// The end of its first key in `keys`.
    key_end: u32,
}

impl BloomMeta {
    /// Parses the payload of a Bloom metadata block. All chunks must end at or before `end`.
    pub(crate) fn parse(payload: &[u8], end: u64) -> Result<Self, Corruption> {
        let mut cursor = Cursor::new(payload);
        let version = cursor.i32("Bloom filter version")?;
        if version != VERSION {
            return Err(Corruption::unsupported("Bloom filter version", version.to_string()));
        }
        let total_bytes = long(&mut cursor, "bytes of the Bloom filter's chunks")?;
        let hash_count = cursor.i32("Bloom hash count")?;
        let hash_count =
            u32::try_from(hash_count).ok().filter(|count| (1..=MAX_HASH_COUNT).contains(count)).ok_or_else(
                || Corruption::out_of_range("Bloom hash count", hash_count.into(), 1, MAX_HASH_COUNT.into()),
            )?;
        let code = cursor.i32("Bloom hash type")?;
        let hash = BloomHashType::from_code(code)
            .ok_or_else(|| Corruption::Unknown { what: "Bloom hash type", value: code.into() })?;
        let key_count = long(&mut cursor, "keys of the Bloom filter")?;
        let max_keys = long(&mut cursor, "greatest number of keys of the Bloom filter")?;
        let count = cursor.i32("Bloom chunk count")?;
        let comparator = std::str::from_utf8(cursor.vbytes("Bloom comparator")?)
            .map_err(|_| Corruption::Malformed("Bloom comparator is not UTF-8"))?
            .to_owned();

        let most = cursor.rest().len() / MIN_ENTRY_LEN;
        let count =
            usize::try_from(count).ok().filter(|count| (1..=most).contains(count)).ok_or_else(|| {
                let most = i64::try_from(most).unwrap_or(i64::MAX);
                Corruption::out_of_range("Bloom chunk count", count.into(), 1, most)
            })?;
        let mut meta = Self {
            total_bytes,
            hash_count,
            hash,
            key_count,
            max_keys,
            comparator,
            chunks: Vec::with_capacity(count),
            keys: Vec::with_capacity(cursor.rest().len() - count * MIN_ENTRY_LEN),
        };
        let mut free = 0;
        for _ in 0..count {
            free = meta.entry(&mut cursor, free, end)?;
        }
        cursor.finish("bytes after the chunks of the Bloom filter")?;
        Ok(meta)
    }

    /// Returns the metadata of a filter without keys.
    pub(crate) fn new(hash_count: u32, hash: BloomHashType, comparator: &str) -> Self {
        Self {
            total_bytes: 0,
            hash_count,
            hash,
            key_count: 0,
            max_keys: 0,
            comparator: comparator.to_owned(),
            chunks: Vec::new(),
            keys: Vec::new(),
        }
    }

    /// Counts a finished chunk of `bytes` bytes and `key_count` keys, with a capacity of `max_keys`.
    pub(crate) fn count(&mut self, bytes: usize, key_count: u64, max_keys: u64) {
        self.total_bytes += bytes as u64;
        self.key_count += key_count;
        self.max_keys += max_keys;
    }

    /// Appends a chunk that has been written after all others.
    pub(crate) fn push(&mut self, handle: BlockHandle, first_key: &[u8]) -> Result<(), Corruption> {
        self.keys.extend_from_slice(first_key);
        let key_end = key_end(&self.keys)?;
        self.chunks.push(Chunk { offset: handle.offset, on_disk_size: handle.on_disk_size, key_end });
        Ok(())
    }

    /// Parses the next chunk, which must begin at or after `free`, and returns its end.
    fn entry(&mut self, cursor: &mut Cursor<'_>, free: u64, end: u64) -> Result<u64, Corruption> {
        let to_i64 = |at: u64| i64::try_from(at).unwrap_or(i64::MAX);
        let min_size = SHORT_HEADER_LEN as u64 + 1;
        let offset = cursor.i64("Bloom chunk offset")?;
        let at = u64::try_from(offset).ok().filter(|&at| at >= free && at < end).ok_or_else(|| {
            Corruption::out_of_range("Bloom chunk offset", offset, to_i64(free), to_i64(end) - 1)
        })?;
        let size = cursor.i32("Bloom chunk size")?;
        let on_disk_size = u32::try_from(size)
            .ok()
            .filter(|&size| (min_size..=end - at).contains(&size.into()))
            .ok_or_else(|| {
                Corruption::out_of_range("Bloom chunk size", size.into(), to_i64(min_size), to_i64(end - at))
            })?;
        self.keys.extend_from_slice(cursor.vbytes("first key of a Bloom chunk")?);
        let key_end = key_end(&self.keys)?;
        self.chunks.push(Chunk { offset: at, on_disk_size, key_end });
        Ok(at + u64::from(on_disk_size))
    }

    /// Fails unless every first key is a flat key, as those of a ROWCOL filter must be.
    pub(crate) fn check_flat_keys(&self) -> Result<(), Corruption> {
        self.chunks().try_for_each(|(_, key)| CellKey::new(key).map(drop))
    }

    /// Returns the number of chunks.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.chunks.len()
    }

    /// Returns the handle of a chunk.
    #[inline]
    pub(crate) fn handle(&self, i: usize) -> Option<BlockHandle> {
        self.chunks.get(i).map(|chunk| BlockHandle { offset: chunk.offset, on_disk_size: chunk.on_disk_size })
    }

    /// Returns the least key in a chunk.
    pub(crate) fn first_key(&self, i: usize) -> Option<&[u8]> {
        let end = |i: usize| self.chunks.get(i).map(|chunk| chunk.key_end as usize);
        self.keys.get(i.checked_sub(1).map_or(Some(0), end)?..end(i)?)
    }

    /// Returns the chunks in file order: the handle of each, and its least key, which is a row, a row prefix,
    /// or the flat key of a column.
    pub fn chunks(&self) -> impl ExactSizeIterator<Item = (BlockHandle, &[u8])> {
        self.chunks.iter().enumerate().map(|(i, chunk)| {
            (
                BlockHandle { offset: chunk.offset, on_disk_size: chunk.on_disk_size },
                self.first_key(i).unwrap_or_default(),
            )
        })
    }

    /// Returns the format version: 3.
    #[must_use]
    pub fn version(&self) -> i32 {
        VERSION
    }

    /// Returns the size of all chunks in bytes, decompressed and without headers.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.total_bytes
    }

    /// Returns the number of bits set for each key: 1 to 256.
    #[must_use]
    pub fn hash_count(&self) -> u32 {
        self.hash_count
    }

    /// Returns the hash function.
    #[must_use]
    pub fn hash(&self) -> BloomHashType {
        self.hash
    }

    /// Returns the number of distinct keys added.
    #[must_use]
    pub fn key_count(&self) -> u64 {
        self.key_count
    }

    /// Returns the filter's capacity in keys.
    #[must_use]
    pub fn max_keys(&self) -> u64 {
        self.max_keys
    }

    /// Returns the Java class with which HBase compares first keys; empty for raw bytes.
    #[must_use]
    pub fn comparator(&self) -> &str {
        &self.comparator
    }

    /// Appends the payload.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        let vbytes = |out: &mut Vec<u8>, bytes: &[u8]| {
            put_vlong(out, i64::try_from(bytes.len()).unwrap_or(i64::MAX));
            out.extend_from_slice(bytes);
        };
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&self.total_bytes.to_be_bytes());
        out.extend_from_slice(&self.hash_count.to_be_bytes());
        out.extend_from_slice(&self.hash.code().to_be_bytes());
        out.extend_from_slice(&self.key_count.to_be_bytes());
        out.extend_from_slice(&self.max_keys.to_be_bytes());
        let count = u32::try_from(self.chunks.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&count.to_be_bytes());
        vbytes(out, self.comparator.as_bytes());
        for (handle, first_key) in self.chunks() {
            out.extend_from_slice(&handle.offset.to_be_bytes());
            out.extend_from_slice(&handle.on_disk_size.to_be_bytes());
            vbytes(out, first_key);
        }
    }
}

/// Returns the end of the last key.
fn key_end(keys: &[u8]) -> Result<u32, Corruption> {
    let (value, limit) = (keys.len() as u64, u32::MAX.into());
    u32::try_from(keys.len()).map_err(|_| Corruption::Limit {
        what: "bytes of the first keys of a Bloom filter",
        value,
        limit,
    })
}

fn long(cursor: &mut Cursor<'_>, what: &'static str) -> Result<u64, Corruption> {
    let value = cursor.i64(what)?;
    u64::try_from(value).map_err(|_| Corruption::out_of_range(what, value, 0, i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use proptest::prelude::*;

    const END: u64 = 1 << 20;

    /// Two chunks, at 1000 and 2000, of 150 bytes each.
    fn two() -> BloomMeta {
        BloomMeta {
            total_bytes: 256,
            hash_count: 7,
            hash: BloomHashType::Murmur,
            key_count: 200,
            max_keys: 212,
            comparator: String::new(),
            chunks: vec![
                Chunk { offset: 1000, on_disk_size: 150, key_end: 2 },
                Chunk { offset: 2000, on_disk_size: 150, key_end: 5 },
            ],
            keys: b"bbddd".to_vec(),
        }
    }

    const TWO: &[u8] =
        b"\0\0\0\x03\0\0\0\0\0\0\x01\0\0\0\0\x07\0\0\0\x01\0\0\0\0\0\0\0\xc8\0\0\0\0\0\0\0\xd4\0\0\0\x02\0\
        \0\0\0\0\0\0\x03\xe8\0\0\0\x96\x02bb\0\0\0\0\0\0\x07\xd0\0\0\0\x96\x03ddd";

    #[test]
    fn written_metadata_reads_back() {
        let mut out = Vec::new();
        two().write(&mut out);
        assert_eq!(out, TWO);
        let meta = BloomMeta::parse(TWO, END).unwrap();
        assert_eq!(meta, two());
        let (handle, first_key) = meta.chunks().last().unwrap();
        assert_eq!((handle.offset, handle.on_disk_size, first_key), (2000, 150, &b"ddd"[..]));
        assert_eq!((meta.handle(1), meta.handle(2), meta.len()), (Some(handle), None, 2));
        assert!(BloomMeta::parse(TWO, 2150).is_ok());
        assert!(BloomMeta::parse(TWO, 2149).is_err());
    }

    #[test]
    fn flat_keys_are_checked_on_demand() {
        assert!(two().check_flat_keys().is_err());
        let key = b"\0\x01r\0q\x7f\xff\xff\xff\xff\xff\xff\xff\xff";
        let chunks = vec![Chunk { offset: 0, on_disk_size: 150, key_end: 14 }];
        assert_eq!(BloomMeta { chunks, keys: key.to_vec(), ..two() }.check_flat_keys(), Ok(()));
    }

    #[test]
    fn filters_that_cannot_be() {
        for (at, bytes, start) in [
            (3, &[2u8][..], "Bloom filter version 2 is not supported"),
            (4, &[0x80], "bytes of the Bloom filter's chunks is -"),
            (15, &[0], "Bloom hash count is 0, expected 1 to 256"),
            (14, &[1, 1], "Bloom hash count is 257"),
            (12, &[0xff], "Bloom hash count is -"),
            (19, &[3], "Bloom hash type 3 does not exist"),
            (20, &[0xff], "keys of the Bloom filter is -"),
            (28, &[0xff], "greatest number of keys of the Bloom filter is -"),
            (39, &[0], "Bloom chunk count is 0, expected 1 to 2"),
            (39, &[3], "Bloom chunk count is 3, expected 1 to 2"),
            (36, &[0x7f, 0xff, 0xff, 0xff], "Bloom chunk count is 2147483647"),
            (36, &[0xff], "Bloom chunk count is -"),
            (39, &[1], "bytes after the chunks of the Bloom filter: expected 0, found 16"),
            (41, &[0xff], "Bloom chunk offset is -"),
            (41, &[0x7f], "Bloom chunk offset is 9"),
            (49, &[0, 0, 0, 24], "Bloom chunk size is 24, expected 25"),
            (49, &[0x7f], "Bloom chunk size is"),
            (49, &[0, 0, 3, 0xe9], "Bloom chunk offset is 2000, expected 2001"),
            (53, &[0x7f], "first key of a Bloom chunk needs 127 bytes"),
        ] {
            let mut payload = TWO.to_vec();
            payload[at..at + bytes.len()].copy_from_slice(bytes);
            let error = BloomMeta::parse(&payload, END).unwrap_err().to_string();
            assert!(error.starts_with(start), "{error}");
        }
        for len in 0..TWO.len() {
            assert!(BloomMeta::parse(&TWO[..len], END).is_err());
        }
        assert_eq!(BloomMeta::parse(b"\0\0\0\x04", END).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    proptest! {
        #[test]
        fn parsed_metadata_writes_back(
            edits in proptest::collection::vec((0..TWO.len(), any::<u8>()), 0..4),
        ) {
            let mut payload = TWO.to_vec();
            for (at, byte) in edits {
                payload[at] = byte;
            }
            if let Ok(meta) = BloomMeta::parse(&payload, END) {
                let mut out = Vec::new();
                meta.write(&mut out);
                prop_assert_eq!(BloomMeta::parse(&out, END), Ok(meta));
            }
        }
    }
}
