//! The bytes of cells, cut from chunks (HBase: `MemStoreLAB`, `MemStoreLABImpl`).

use crate::metrics;
use crate::sync::{Padded, unpoisoned};
use bytes::{Bytes, BytesMut};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The size of a large chunk: `hbase.hregion.memstore.mslab.chunksize`.
const CHUNK: usize = 2 << 20;
/// The size of the first chunk. Each is twice as large as the previous one, up to [`CHUNK`], so that a region
/// with few recent cells takes little memory.
const FIRST_CHUNK: usize = 64 << 10;
/// The number of chunks to cut from at a time. Each thread uses one of them, so that writers do not wait for
/// each other's cache lines: those of the lock, and of the reference count of a chunk.
const STRIPES: usize = 4;
/// Larger cells get an allocation of their own: `hbase.hregion.memstore.mslab.max.allocation`.
pub(super) const MAX_CUT: usize = 256 << 10;
/// The number of bytes cut from one marked cell to the next.
pub(super) const STRIDE: usize = 8 << 10;

/// Allocates byte slices at stable addresses. The memory is freed with the last slice.
#[derive(Debug, Default)]
pub(super) struct Arena {
    stripes: [Padded<Mutex<Stripe>>; STRIPES],
    allocated: AtomicUsize,
}

#[derive(Debug, Default)]
struct Stripe {
    /// The unused rest of the newest chunk.
    chunk: BytesMut,
    /// The size of the newest chunk, 0 if there is none.
    size: usize,
}

impl Arena {
    /// Copies the parts into one contiguous slice. The flag is set about once for every [`STRIDE`] bytes cut.
    pub(super) fn copy(&self, parts: [&[u8]; 3]) -> (Bytes, bool) {
        let len = parts.iter().map(|part| part.len()).sum();
        let (mut bytes, strides) = if len > MAX_CUT { (self.allocate(len), false) } else { self.cut(len) };
        // the lock covers only the cut, so that many writers copy concurrently
        parts.iter().for_each(|part| bytes.extend_from_slice(part));
        (bytes.freeze(), strides)
    }

    /// Returns the bytes of all chunks and of the large cells.
    #[cfg(test)]
    fn allocated(&self) -> usize {
        self.allocated.load(Ordering::Relaxed)
    }

    fn cut(&self, len: usize) -> (BytesMut, bool) {
        let mut stripe = unpoisoned(self.stripes[metrics::stripe() % STRIPES].0.lock());
        if stripe.chunk.capacity() < len {
            stripe.size = (2 * stripe.size).clamp(FIRST_CHUNK, CHUNK).max(len);
            stripe.chunk = self.allocate(stripe.size);
        }
        let before = stripe.chunk.capacity();
        let rest = stripe.chunk.split_off(len);
        let strides = before / STRIDE > rest.capacity() / STRIDE;
        (std::mem::replace(&mut stripe.chunk, rest), strides)
    }

    fn allocate(&self, len: usize) -> BytesMut {
        self.allocated.fetch_add(len, Ordering::Relaxed);
        BytesMut::with_capacity(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn small_cells_share_a_chunk_and_large_ones_do_not() {
        let arena = Arena::default();
        assert_eq!(arena.allocated(), 0);
        let (first, _) = arena.copy([b"key", b"", b"tags"]);
        let (second, _) = arena.copy([b"", b"value", b""]);
        assert_eq!((&first[..], &second[..]), (&b"keytags"[..], &b"value"[..]));
        assert_eq!(first.as_ptr().wrapping_add(first.len()), second.as_ptr());
        assert_eq!(arena.allocated(), FIRST_CHUNK);
        let large = vec![7; MAX_CUT];
        assert_eq!(arena.copy([b"k", &large, b""]).0.len(), MAX_CUT + 1);
        assert_eq!(arena.allocated(), FIRST_CHUNK + MAX_CUT + 1);
        assert_eq!(arena.copy([b"", &[], b""]).0, Bytes::new());
    }

    #[test]
    fn chunks_grow() {
        let arena = Arena::default();
        let mut sizes = vec![0];
        while sizes.len() < 9 {
            arena.copy([&[7; 1_000], b"", b""]);
            if sizes.last() != Some(&arena.allocated()) {
                sizes.push(arena.allocated());
            }
        }
        let sizes: Vec<_> = sizes.windows(2).map(|pair| (pair[1] - pair[0]) >> 10).collect();
        assert_eq!(sizes, [64, 128, 256, 512, 1024, 2048, 2048, 2048]);
    }

    #[test]
    fn one_cell_per_stride_is_marked() {
        let arena = Arena::default();
        for len in [100, 3_000, STRIDE, 3 * STRIDE] {
            let (mut cut, mut told) = (0, 0);
            while cut < 3 * CHUNK {
                let (bytes, strides) = arena.copy([&vec![0; len], b"", b""]);
                cut += bytes.len();
                told += usize::from(strides);
            }
            let most = cut / len.max(STRIDE);
            assert!((most * 9 / 10..=most + 4).contains(&told), "{told} of {most} in cells of {len}");
        }
        assert!(!arena.copy([&vec![0; MAX_CUT + 1], b"", b""]).1);
    }

    #[test]
    fn cuts_of_many_threads_do_not_overlap() {
        let arena = Arena::default();
        let write = |seed: u8| {
            let cells = (0..2_000usize).map(|i| (vec![seed ^ i as u8; i % 700], seed));
            cells.map(|(bytes, _)| (arena.copy([&bytes, b"", &bytes]).0, bytes)).collect::<Vec<_>>()
        };
        let all: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..4).map(|i| scope.spawn(move || write(i * 61))).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        for (cut, bytes) in all {
            assert_eq!(cut, [&bytes[..], &bytes].concat());
        }
    }
}
