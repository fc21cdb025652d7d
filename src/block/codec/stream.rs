//! Incremental decoding, for libraries that do not need the whole output buffer at once.
#![warn(clippy::indexing_slicing)]

use super::Codec;
use super::plain::Plain;
use crate::error::Corruption;

/// The result of one call of a library.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamProgress {
    pub(super) read: usize,
    pub(super) written: usize,
    /// Whether the stream has ended and its checksums, if any, have been verified.
    pub(super) ended: bool,
}

#[cfg(any(feature = "gz", feature = "bzip2", feature = "xz"))]
impl StreamProgress {
    /// Returns the progress of a call, given the totals of bytes read and written before and after it.
    pub(super) fn between(before: (u64, u64), after: (u64, u64), ended: bool) -> Self {
        let since = |before: u64, after: u64| usize::try_from(after - before).unwrap_or(usize::MAX);
        Self { read: since(before.0, after.0), written: since(before.1, after.1), ended }
    }
}

/// Decodes one whole stream from the start of `input`; `run` takes input and an output buffer.
///
/// The buffer grows as bytes are produced: first the size that most streams need, then doubling. A stream
/// that produces more bytes than are missing is rejected. Returns the number of bytes of `input` that the
/// stream takes.
pub(super) fn decode(
    codec: Codec,
    input: &[u8],
    plain: &mut Plain<'_>,
    mut run: impl FnMut(&[u8], &mut [u8]) -> Result<StreamProgress, Corruption>,
) -> Result<usize, Corruption> {
    let mut rest = input;
    let mut room_bytes = input.len().saturating_mul(USUAL_RATIO).max(LEAST_ROOM);
    loop {
        // room for one byte too many: with an empty buffer, a library may not detect the end of the stream
        let mut spare = [0];
        let full = plain.left() == 0;
        let room = if full { &mut spare } else { plain.room(room_bytes) };
        let step = run(rest, room)?;
        rest = rest.get(step.read..).unwrap_or_default();
        if !full {
            plain.advance(step.written);
            room_bytes = room_bytes.saturating_add(step.written);
        } else if step.written > 0 {
            return Err(codec.refuses("more bytes than the block should have"));
        }
        if step.ended {
            return Ok(input.len() - rest.len());
        }
        if step.read == 0 && step.written == 0 {
            return Err(codec.refuses("the stream ends too early"));
        }
    }
}

/// Blocks with a higher compression ratio are decoded in several steps.
const USUAL_RATIO: usize = 16;

const LEAST_ROOM: usize = 64 << 10;
