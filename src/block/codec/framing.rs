//! Hadoop's framing of compressed blocks (hfile.md §8.2; Hadoop: `BlockCompressorStream`).
//!
//! ```text
//! payload := group*                        until the block's plain size is out
//! group   := u32 plain_len, chunk*         until plain_len bytes are out
//! chunk   := u32 stored_len, stored_len bytes of one run of the codec
//! ```
#![warn(clippy::indexing_slicing)]

use super::Codec;
use super::plain::Plain;
use crate::coding::Cursor;
use crate::error::Corruption;

/// Decodes groups until `plain` is complete; `run` decodes one chunk.
///
/// Later bytes are ignored, for example the empty group after a block of several chunks.
pub(super) fn decode(
    codec: Codec,
    payload: &[u8],
    plain: &mut Plain<'_>,
    mut run: impl FnMut(&[u8], &mut Plain<'_>) -> Result<(), Corruption>,
) -> Result<(), Corruption> {
    let mut input = Cursor::new(payload);
    while plain.left() > 0 {
        let group = read_length(&mut input, "plain length of a group")?;
        if group > plain.left() {
            return Err(
                codec.refuses(format!("a group of {group} plain bytes where {} are missing", plain.left()))
            );
        }
        plain.within(group, |plain| decode_group(codec, &mut input, plain, &mut run))?;
    }
    Ok(())
}

/// Decodes all groups of a stream of unknown plain length, to at most `max` bytes. An empty group is the end
/// of a stream.
pub(super) fn decode_stream(
    codec: Codec,
    stream: &[u8],
    max: usize,
    out: &mut Vec<u8>,
    mut run: impl FnMut(&[u8], &mut Plain<'_>) -> Result<(), Corruption>,
) -> Result<(), Corruption> {
    let mut input = Cursor::new(stream);
    while !input.is_empty() {
        let group = read_length(&mut input, "plain length of a group")?;
        if group == 0 && !input.is_empty() {
            return Err(codec.refuses("bytes after the end of a stream"));
        }
        let value = out.len().saturating_add(group);
        if value > max {
            let (value, limit) = (value as u64, max as u64);
            return Err(Corruption::Limit { what: "decompressed stream", value, limit });
        }
        let mut plain = Plain::new(out, group);
        decode_group(codec, &mut input, &mut plain, &mut run)?;
        plain.finish()?;
    }
    Ok(())
}

/// Decodes chunks until a group is complete.
fn decode_group(
    codec: Codec,
    input: &mut Cursor<'_>,
    plain: &mut Plain<'_>,
    run: &mut impl FnMut(&[u8], &mut Plain<'_>) -> Result<(), Corruption>,
) -> Result<(), Corruption> {
    while plain.left() > 0 {
        let stored = read_length(input, "length of a chunk")?;
        let chunk = input.take(stored, "chunk")?;
        let before = plain.left();
        run(chunk, plain)?;
        if plain.left() == before {
            return Err(codec.refuses("a chunk of no plain bytes"));
        }
    }
    Ok(())
}

fn read_length(input: &mut Cursor<'_>, what: &'static str) -> Result<usize, Corruption> {
    // a length that does not fit a usize is rejected by the caller's comparison
    Ok(usize::try_from(input.u32(what)?).unwrap_or(usize::MAX))
}

/// Appends `plain` as one group, and the end of the stream. `run` encodes chunks of up to `max` plain bytes.
pub(super) fn encode(
    plain: &[u8],
    max: usize,
    out: &mut Vec<u8>,
    run: impl FnMut(&[u8], &mut Vec<u8>) -> Result<(), Corruption>,
) -> Result<(), Corruption> {
    encode_group(plain, max, out, run)?;
    if plain.len() > max {
        // Hadoop's stream writes this when it is finished
        out.extend([0; 4]);
    }
    Ok(())
}

/// Like [`encode`], without the end of the stream.
pub(super) fn encode_group(
    plain: &[u8],
    max: usize,
    out: &mut Vec<u8>,
    mut run: impl FnMut(&[u8], &mut Vec<u8>) -> Result<(), Corruption>,
) -> Result<(), Corruption> {
    out.extend(length(plain.len())?);
    for chunk in plain.chunks(max) {
        let at = out.len();
        out.extend([0; 4]);
        run(chunk, out)?;
        let stored = length(out.len() - at - 4)?;
        if let Some(field) = out.get_mut(at..at + 4) {
            field.copy_from_slice(&stored);
        }
    }
    Ok(())
}

fn length(len: usize) -> Result<[u8; 4], Corruption> {
    match i32::try_from(len) {
        Ok(len) => Ok(len.to_be_bytes()),
        Err(_) => Err(Corruption::Limit { what: "block", value: len as u64, limit: i32::MAX as u64 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test codec: a count and a byte to repeat.
    fn repeat(chunk: &[u8], plain: &mut Plain<'_>) -> Result<(), Corruption> {
        let &[times, byte] = chunk else { return Err(Codec::Lz4.refuses("not two bytes")) };
        if plain.extend(&vec![byte; times.into()]) { Ok(()) } else { Err(Codec::Lz4.refuses("too many")) }
    }

    fn read(payload: &[u8], len: usize) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut plain = Plain::new(&mut out, len);
        decode(Codec::Lz4, payload, &mut plain, repeat).map_err(|e| e.to_string())?;
        plain.finish().map_err(|e| e.to_string())?;
        Ok(out)
    }

    const GROUP: &[u8] = &[0, 0, 0, 5, 0, 0, 0, 2, 3, b'a', 0, 0, 0, 2, 2, b'b'];

    #[test]
    fn groups_of_chunks() {
        assert_eq!(read(GROUP, 5).unwrap(), b"aaabb");
        assert_eq!(read(&[GROUP, &[0; 4], GROUP].concat(), 10).unwrap(), b"aaabbaaabb");
        assert_eq!(read(&[GROUP, b"whatever"].concat(), 5).unwrap(), b"aaabb");
        assert_eq!(read(b"", 0).unwrap(), b"");
    }

    #[test]
    fn malformed_groups_are_rejected() {
        let refused = |payload: &[u8], len| read(payload, len).unwrap_err();
        assert_eq!(refused(GROUP, 4), "LZ4: a group of 5 plain bytes where 4 are missing");
        assert_eq!(refused(GROUP, 6), "plain length of a group needs 4 bytes, 0 left");
        assert_eq!(refused(&GROUP[..15], 5), "chunk needs 2 bytes, 1 left");
        assert_eq!(refused(&GROUP[..12], 5), "length of a chunk needs 4 bytes, 2 left");
        assert_eq!(refused(&[0; 12], 5), "plain length of a group needs 4 bytes, 0 left");
        assert_eq!(refused(&[0, 0, 0, 1, 0, 0, 0, 2, 0, 9], 5), "LZ4: a chunk of no plain bytes");
        // a chunk must not exceed its group
        assert_eq!(refused(&[0, 0, 0, 1, 0, 0, 0, 2, 2, 9], 5), "LZ4: too many");
        assert_eq!(
            refused(&[0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 9], 5),
            "chunk needs 4294967295 bytes, 1 left"
        );
    }

    #[test]
    fn streams_end_with_their_bytes_or_an_empty_group() {
        let read = |stream: &[u8], max| {
            let mut out = Vec::new();
            decode_stream(Codec::Lz4, stream, max, &mut out, repeat).map_err(|e| e.to_string())?;
            Ok::<_, String>(out)
        };
        assert_eq!(read(b"", 0).unwrap(), b"");
        assert_eq!(read(&[0; 4], 0).unwrap(), b"");
        assert_eq!(read(GROUP, 5).unwrap(), b"aaabb");
        assert_eq!(read(&[GROUP, GROUP, &[0; 4]].concat(), 10).unwrap(), b"aaabbaaabb");
        let refused = |stream: &[u8], max| read(stream, max).unwrap_err();
        assert_eq!(refused(&[GROUP, GROUP].concat(), 9), "decompressed stream is 10, over the limit of 9");
        assert_eq!(refused(&[&[0; 4], GROUP].concat(), 9), "LZ4: bytes after the end of a stream");
        for len in 1..GROUP.len() {
            refused(&GROUP[..len], 5);
        }
        assert_eq!(refused(&[GROUP, &[0]].concat(), 5), "plain length of a group needs 4 bytes, 1 left");
    }

    #[test]
    fn written_as_hadoop_writes_it() {
        let written = |plain: &[u8]| {
            let mut out = Vec::new();
            encode(plain, 3, &mut out, |chunk, out| {
                out.extend([u8::try_from(chunk.len()).unwrap(), chunk[0]]);
                Ok(())
            })
            .unwrap();
            out
        };
        assert_eq!(written(b""), [0; 4]);
        assert_eq!(written(b"aaa"), [0, 0, 0, 3, 0, 0, 0, 2, 3, b'a']);
        assert_eq!(written(b"aaabb"), [GROUP, &[0; 4]].concat());
    }
}
