//! Looks up keys in filter chunks that the cache has evicted, by reading only parts of them.
//!
//! A key has few bits in a chunk, and the first unset bit shows that the key is absent. The checksums of a
//! chunk's parts are kept after the chunk has been read and checked, so that a part can be verified when it
//! is read alone.

use crate::block::bloom::{KeyHashes, probe_bytes};
use crate::hash::checksum::crc32c;
use crate::io::FileReader;
use std::sync::OnceLock;

/// The length of a part in bytes. Its checksum takes 0.4 % of it.
const PART: usize = 1 << 10;

/// The checksums of each chunk's parts, kept while the file is open.
pub(super) struct ChunkParts(Box<[OnceLock<PartSums>]>);

/// The checksums of the parts of a chunk.
pub(super) struct PartSums {
    /// The length of the chunk in bytes.
    len: usize,
    sums: Box<[u32]>,
}

impl ChunkParts {
    pub(super) fn new(chunks: usize) -> Self {
        Self((0..chunks).map(|_| OnceLock::new()).collect())
    }

    /// Keeps the checksums of a chunk's parts, given all its bytes.
    pub(super) fn keep(&self, chunk: usize, bytes: &[u8]) {
        if let Some(kept) = self.0.get(chunk) {
            kept.get_or_init(|| PartSums {
                len: bytes.len(),
                sums: bytes.chunks(PART).map(crc32c).collect(),
            });
        }
    }

    /// Returns the checksums of a chunk's parts, if the chunk has been read.
    pub(super) fn get(&self, chunk: usize) -> Option<&PartSums> {
        self.0.get(chunk)?.get()
    }
}

impl PartSums {
    /// Whether a key may have been added to the chunk, whose bytes are in the file from `start` on. Bits of
    /// parts that cannot be read or have changed count as set.
    pub(super) fn probe(&self, reader: &dyn FileReader, start: u64, hash_count: u32, key: KeyHashes) -> bool {
        let (mut buffer, mut at) = ([0; PART], None);
        probe_bytes(self.len, hash_count, key, |byte| {
            let part = byte / PART;
            if at != Some(part) {
                at = self.read(part, reader, start, &mut buffer).then_some(part);
            }
            match at {
                Some(_) => buffer.get(byte % PART).copied().unwrap_or(u8::MAX),
                None => u8::MAX,
            }
        })
    }

    /// Reads a part. Returns whether its bytes are unchanged.
    fn read(&self, part: usize, reader: &dyn FileReader, start: u64, buffer: &mut [u8; PART]) -> bool {
        let Some(&sum) = self.sums.get(part) else { return false };
        let before = part * PART;
        let Some(bytes) = buffer.get_mut(..PART.min(self.len - before)) else { return false };
        reader.read_exact_at(bytes, start.saturating_add(before as u64)).is_ok() && crc32c(bytes) == sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::bloom::{BloomHashType, add, probe};
    use crate::io::MemoryFile;

    const START: usize = 33;
    const HASH_COUNT: u32 = 6;

    fn key(i: usize) -> KeyHashes {
        KeyHashes::of(BloomHashType::Murmur, format!("row{i}").as_bytes())
    }

    /// A chunk with every second key, and the checksums kept for it.
    fn chunk(len: usize) -> (Vec<u8>, ChunkParts) {
        let mut bytes = vec![0; len];
        (0..len).for_each(|i| add(&mut bytes, HASH_COUNT, key(2 * i)));
        let parts = ChunkParts::new(1);
        assert!(parts.get(0).is_none());
        parts.keep(0, &bytes);
        (bytes, parts)
    }

    fn file(chunk: &[u8]) -> MemoryFile {
        MemoryFile::new("file", [&[0; START], chunk, &[0; 7]].concat())
    }

    fn ask(parts: &ChunkParts, file: &MemoryFile, i: usize) -> bool {
        parts.get(0).unwrap().probe(file, START as u64, HASH_COUNT, key(i))
    }

    #[test]
    fn parts_answer_as_the_chunk_does() {
        for len in [1, 7, PART - 1, PART, PART + 1, 4 * PART, 4 * PART + 100] {
            let (bytes, parts) = chunk(len);
            let file = file(&bytes);
            let mut absent = 0;
            for i in 0..2 * len {
                let found = ask(&parts, &file, i);
                assert_eq!(found, probe(&bytes, HASH_COUNT, key(i)), "key {i} of a chunk of {len} bytes");
                absent += usize::from(!found);
            }
            assert!(absent > len / 2 || len < PART, "{absent} of {len}");
        }
        assert!(chunk(PART).1.get(1).is_none());
    }

    #[test]
    fn parts_that_have_changed_exclude_nothing() {
        let (bytes, parts) = chunk(3 * PART);
        let zeroed = file(&vec![0; bytes.len()]);
        let short = file(&bytes[..PART / 2]);
        for i in 0..1000 {
            assert!(ask(&parts, &zeroed, i) && ask(&parts, &short, i), "key {i}");
        }
        let sound = file(&bytes);
        let absent: Vec<usize> = (0..300).filter(|&i| !ask(&parts, &sound, i)).collect();
        assert!(absent.len() > 50);
        for bit in (0..8 * bytes.len()).step_by(97) {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let flipped = file(&flipped);
            assert!((0..300).step_by(2).all(|i| ask(&parts, &flipped, i)), "bit {bit}");
        }
        // the other parts still match
        let mut damaged = bytes.clone();
        damaged[0] ^= 1;
        let damaged = file(&damaged);
        assert!(absent.iter().any(|&i| !ask(&parts, &damaged, i)));
    }
}
