//! Zstandard frames, with or without a dictionary (hfile.md §8.3).
#![warn(clippy::indexing_slicing)]

use super::plain::Plain;
use super::pool::Pool;
use super::{Codec, compressor};
use crate::error::Corruption;
use std::num::NonZeroU32;
use zstd_safe::{CCtx, CDict, DCtx, DDict};

/// The upper bound of the compression ratio: a block of 128 KiB takes at least four bytes.
const MAX_RATIO: usize = 32 << 10;

/// The library's error for a frame that does not fit into the output buffer.
const NO_ROOM: usize =
    (zstd_safe::zstd_sys::ZSTD_ErrorCode::ZSTD_error_dstSize_tooSmall as usize).wrapping_neg();

/// The default in HBase.
const LEVEL: i32 = 3;

static CONTEXTS: Pool<DCtx<'static>> = Pool::new();

/// A dictionary prepared for decoding.
pub(super) struct DecoderDictionary {
    /// `None` for a raw dictionary, without Zstandard's header and tables.
    id: Option<NonZeroU32>,
    /// `None` if the library rejected it.
    prepared: Option<DDict<'static>>,
}

impl DecoderDictionary {
    pub(super) fn new(bytes: &[u8]) -> Self {
        Self { id: zstd_safe::get_dict_id_from_dict(bytes), prepared: DDict::try_create(bytes) }
    }
}

/// Decodes frames until no bytes are missing.
///
/// Each frame is decoded in one call, directly into the output: no window is allocated, whatever window size
/// the frame declares.
pub(super) fn decode(
    frames: &[u8],
    plain: &mut Plain<'_>,
    dictionary: Option<&DecoderDictionary>,
) -> Result<(), Corruption> {
    let mut rest = frames;
    with_context(|context| {
        while plain.left() > 0 && !rest.is_empty() {
            decode_frame(context, &mut rest, plain, dictionary, || refuse(NO_ROOM))?;
        }
        Ok(())
    })
}

/// Decodes all frames of a stream of unknown plain length, to at most `max` bytes.
pub(super) fn decode_stream(
    frames: &[u8],
    max: usize,
    out: &mut Vec<u8>,
    dictionary: Option<&DecoderDictionary>,
) -> Result<(), Corruption> {
    let limit = |value: u64| Corruption::Limit { what: "decompressed stream", value, limit: max as u64 };
    // one byte more than allowed, to find out whether there are more
    let room = max.saturating_add(1);
    let mut plain = Plain::new(out, room);
    let mut rest = frames;
    with_context(|context| {
        while !rest.is_empty() {
            let done = room - plain.left();
            if let Ok(Some(size)) = zstd_safe::get_frame_content_size(rest)
                && size > (max - done) as u64
            {
                return Err(limit(size.saturating_add(done as u64)));
            }
            decode_frame(context, &mut rest, &mut plain, dictionary, || limit(room as u64))?;
            if plain.left() == 0 {
                return Err(limit(room as u64));
            }
        }
        Ok(())
    })?;
    plain.truncate();
    Ok(())
}

fn with_context(work: impl FnOnce(&mut DCtx<'static>) -> Result<(), Corruption>) -> Result<(), Corruption> {
    let mut context = match CONTEXTS.take() {
        Some(context) => context,
        None => DCtx::try_create().ok_or_else(|| Codec::Zstd.refuses("no memory for a context"))?,
    };
    let result = work(&mut context);
    CONTEXTS.put(context);
    result
}

/// Decodes a frame. `no_room` is the error for one that has more bytes than are missing, and does not declare
/// it.
fn decode_frame(
    context: &mut DCtx<'_>,
    rest: &mut &[u8],
    plain: &mut Plain<'_>,
    dictionary: Option<&DecoderDictionary>,
    no_room: impl FnOnce() -> Corruption,
) -> Result<(), Corruption> {
    let len = zstd_safe::find_frame_compressed_size(rest).map_err(refuse)?;
    let Some((frame, after)) = rest.split_at_checked(len) else {
        return Err(Codec::Zstd.refuses("a frame that ends too early"));
    };
    let mut at_most = len.saturating_mul(MAX_RATIO);
    // most frames declare their plain size, and the library enforces it
    if let Ok(Some(size)) = zstd_safe::get_frame_content_size(frame) {
        at_most = at_most.min(usize::try_from(size).unwrap_or(usize::MAX));
    }
    let is_bounded = at_most > plain.left();
    let room = plain.room(at_most);
    let written = match choose(frame, dictionary)? {
        Some(dictionary) => context.decompress_using_ddict(room, frame, dictionary),
        None => context.decompress(room, frame),
    };
    let written = written.map_err(|code| match code {
        NO_ROOM if is_bounded => no_room(),
        code => refuse(code),
    });
    plain.advance(written?);
    *rest = after;
    Ok(())
}

/// Returns the dictionary to decode `frame` with.
///
/// A frame refers to its dictionary by id, if the dictionary has one. If the given dictionary has an id but
/// the frame refers to none, the frame was written before the table had the dictionary. The dictionary must
/// not be used then: its initial offsets differ from those of a frame without a dictionary.
fn choose<'a>(
    frame: &[u8],
    dictionary: Option<&'a DecoderDictionary>,
) -> Result<Option<&'a DDict<'static>>, Corruption> {
    let wanted = zstd_safe::get_dict_id_from_frame(frame);
    match (wanted, dictionary) {
        (_, Some(dictionary)) if dictionary.id == wanted => match &dictionary.prepared {
            Some(prepared) => Ok(Some(prepared)),
            None => Err(Codec::Zstd.refuses("the given dictionary is invalid")),
        },
        (None, _) => Ok(None),
        (Some(id), given) => Err(Corruption::Unsupported {
            what: "ZSTD dictionary",
            name: match given.and_then(|dictionary| dictionary.id) {
                Some(given) => format!("{id} (that given is {given})").into(),
                None => id.to_string().into(),
            },
            hint: Some("give the dictionary that the table was written with"),
        }),
    }
}

pub(super) struct Encoder {
    context: CCtx<'static>,
    dictionary: Option<CDict<'static>>,
}

impl Encoder {
    pub(super) fn new(dictionary: Option<&[u8]>) -> Result<Self, Corruption> {
        let dictionary = match dictionary {
            None => None,
            Some(bytes) => Some(
                CDict::try_create(bytes, LEVEL)
                    .ok_or_else(|| Codec::Zstd.refuses("the given dictionary is invalid"))?,
            ),
        };
        let context = CCtx::try_create().ok_or_else(|| Codec::Zstd.refuses("no memory for a context"))?;
        Ok(Self { context, dictionary })
    }
}

impl compressor::Encoder for Encoder {
    fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        compressor::append(out, zstd_safe::compress_bound(plain.len()), |room| {
            match &self.dictionary {
                Some(dictionary) => self.context.compress_using_cdict(room, plain, dictionary),
                None => self.context.compress(room, plain, LEVEL),
            }
            .map_err(refuse)
        })
    }
}

#[cold]
fn refuse(code: usize) -> Corruption {
    Codec::Zstd.refuses(zstd_safe::get_error_name(code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::bytes_of_hex;

    /// Written by HBase 2.6.4 with a dictionary that has an id: 63 plain bytes, framed.
    const WITH_DICTIONARY: &str = "0000003f0000003328b52ffd237b4be52e3f350100430104dae3dc7b4b2842e4deefde\
                                   1b2eedde1b07fc63821fc261b6e597e0c8650d62eb8e6501";

    fn read(dictionary: Option<&DecoderDictionary>) -> String {
        let payload = bytes_of_hex(WITH_DICTIONARY);
        decode(&payload[8..], &mut Plain::new(&mut vec![], 63), dictionary).unwrap_err().to_string()
    }

    #[test]
    fn a_missing_dictionary_is_named() {
        let missing = "ZSTD dictionary 786779003 is not supported: \
                       give the dictionary that the table was written with";
        assert_eq!(read(None), missing);
        assert_eq!(read(Some(&DecoderDictionary::new(b"just some bytes"))), missing);
        let other = DecoderDictionary { id: NonZeroU32::new(5), prepared: None };
        assert!(read(Some(&other)).starts_with("ZSTD dictionary 786779003 (that given is 5)"));
        let broken = DecoderDictionary { id: NonZeroU32::new(786_779_003), prepared: None };
        assert_eq!(read(Some(&broken)), "ZSTD: the given dictionary is invalid");
    }

    #[test]
    fn a_dictionary_with_an_id_is_not_for_frames_without() {
        let mut frame = [0; 100];
        let len = CCtx::create().compress(&mut frame[..], b"some plain bytes", LEVEL).unwrap();
        let dictionary = DecoderDictionary { id: NonZeroU32::new(5), prepared: None };
        let mut out = Vec::new();
        decode(&frame[..len], &mut Plain::new(&mut out, 16), Some(&dictionary)).unwrap();
        assert_eq!(out, b"some plain bytes");
    }

    #[test]
    fn frames_can_follow_one_another() {
        let mut frames = Vec::new();
        for plain in [&b"some"[..], b"", b" plain ", b"bytes"] {
            let mut frame = [0; 100];
            let len = CCtx::create().compress(&mut frame[..], plain, LEVEL).unwrap();
            frames.extend(&frame[..len]);
        }
        let mut out = Vec::new();
        decode(&frames, &mut Plain::new(&mut out, 16), None).unwrap();
        assert_eq!(out, b"some plain bytes");
        for end in 0..frames.len() {
            let mut plain = Plain::new(&mut out, 16);
            assert!(decode(&frames[..end], &mut plain, None).and_then(|()| plain.finish()).is_err(), "{end}");
        }
    }
}
