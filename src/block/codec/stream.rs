//! Decoding piece by piece, for libraries that do not need all the room at once.
#![warn(clippy::indexing_slicing)]

use super::Codec;
use super::plain::Plain;
use crate::error::Corruption;

/// What one call of a library did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) read: usize,
    pub(super) written: usize,
    /// Whether the stream has ended, its checksums (if it has any) verified.
    pub(super) ended: bool,
}

/// Decodes one whole stream from the start of `input`, with `run` taking input and room.
///
/// Room is given as bytes come out: what most streams need at first, then as much again each time. A stream
/// of more bytes than are missing is refused. Returns how many bytes of `input` the stream has.
pub(super) fn decode(
    codec: Codec,
    input: &[u8],
    plain: &mut Plain<'_>,
    mut run: impl FnMut(&[u8], &mut [u8]) -> Result<Step, Corruption>,
) -> Result<usize, Corruption> {
    let mut rest = input;
    let mut room_bytes = input.len().saturating_mul(USUAL_RATIO).max(LEAST_ROOM);
    loop {
        // room for one byte that must not come: with none at all, a library need not look for the end
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

/// Blocks that are smaller by more than this are decoded in several steps.
const USUAL_RATIO: usize = 16;

const LEAST_ROOM: usize = 64 << 10;
