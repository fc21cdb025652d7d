//! One gzip member per block (hfile.md §8.4; RFC 1952).
#![warn(clippy::indexing_slicing)]

use super::plain::Plain;
use super::pool::Pool;
use super::stream::{self, StreamProgress};
use super::{Codec, compressor};
use crate::coding::Cursor;
use crate::error::Corruption;
use flate2::{Compress, Compression, Crc, Decompress, FlushCompress, FlushDecompress, Status};

/// As written by HBase: deflate, no flags, no time, no operating system.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0];

static INFLATERS: Pool<Decompress> = Pool::new();

/// Decodes a member of exactly the missing number of bytes, and verifies its checksum and size.
///
/// Bytes after the member are ignored, as in HBase.
pub(super) fn decode(payload: &[u8], plain: &mut Plain<'_>) -> Result<(), Corruption> {
    let mut input = Cursor::new(payload);
    skip_header(&mut input)?;

    let mut inflater = match INFLATERS.take() {
        Some(mut inflater) => {
            inflater.reset(false);
            inflater
        }
        None => Decompress::new(false),
    };
    let mut crc = Crc::new();
    let deflated = stream::decode(Codec::Gz, input.rest(), plain, |input, room| {
        let before = (inflater.total_in(), inflater.total_out());
        let status = inflater
            .decompress(input, room, FlushDecompress::Finish)
            .map_err(|_| Codec::Gz.refuses("not a deflate stream"))?;
        let after = (inflater.total_in(), inflater.total_out());
        let progress = StreamProgress::between(before, after, status == Status::StreamEnd);
        crc.update(room.get(..progress.written).unwrap_or_default());
        Ok(progress)
    });
    INFLATERS.put(inflater);

    input.take(deflated?, "deflate stream")?;
    if trailer_field(&mut input, "CRC of a gzip member")? != crc.sum() {
        return Err(Codec::Gz.refuses("the CRC of the member does not match its bytes"));
    }
    // both are modulo 2^32
    if trailer_field(&mut input, "size of a gzip member")? != crc.amount() {
        return Err(Codec::Gz.refuses("the size of the member does not match its bytes"));
    }
    Ok(())
}

/// Skips the header: HBase's has no optional fields, but those of native libraries may have some.
fn skip_header(input: &mut Cursor<'_>) -> Result<(), Corruption> {
    const HEADER_CRC: u8 = 1 << 1;
    const EXTRA: u8 = 1 << 2;
    const NAME: u8 = 1 << 3;
    const COMMENT: u8 = 1 << 4;
    const RESERVED: u8 = 0b1110_0000;

    let header = input.rest();
    let [0x1f, 0x8b, 8, flags, ..] = input.array::<10>("gzip header")? else {
        return Err(Codec::Gz.refuses("not a gzip member of deflated bytes"));
    };
    if flags & RESERVED != 0 {
        return Err(Codec::Gz.refuses("a gzip header with reserved flags"));
    }
    if flags & EXTRA != 0 {
        let [low, high] = input.array("gzip extra field")?;
        input.take(usize::from(high) << 8 | usize::from(low), "gzip extra field")?;
    }
    for text in [NAME, COMMENT] {
        if flags & text != 0 {
            while input.u8("gzip name or comment")? != 0 {}
        }
    }
    if flags & HEADER_CRC != 0 {
        let mut crc = Crc::new();
        crc.update(header.get(..input.position()).unwrap_or_default());
        let [low, high] = input.array("CRC of a gzip header")?;
        if u32::from(high) << 8 | u32::from(low) != crc.sum() & 0xffff {
            return Err(Codec::Gz.refuses("the CRC of the header does not match it"));
        }
    }
    Ok(())
}

#[expect(clippy::little_endian_bytes, reason = "gzip is little-endian")]
fn trailer_field(input: &mut Cursor<'_>, what: &'static str) -> Result<u32, Corruption> {
    Ok(u32::from_le_bytes(input.array(what)?))
}

pub(super) struct Encoder(Compress);

impl Encoder {
    pub(super) fn new() -> Self {
        // 6 is the default in HBase
        Self(Compress::new(Compression::new(6), false))
    }
}

impl compressor::Encoder for Encoder {
    #[expect(clippy::little_endian_bytes, reason = "gzip is little-endian")]
    fn encode(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        out.extend(HEADER);
        self.0.reset();
        let mut rest = plain;
        loop {
            // deflate adds five bytes to each 16 KiB that it cannot compress
            out.reserve(rest.len() + rest.len() / 1024 + 64);
            let before = self.0.total_in();
            let status = self
                .0
                .compress_vec(rest, out, FlushCompress::Finish)
                .map_err(|e| Codec::Gz.refuses(e.to_string()))?;
            let read = usize::try_from(self.0.total_in() - before).unwrap_or(usize::MAX);
            rest = rest.get(read..).unwrap_or_default();
            if status == Status::StreamEnd {
                break;
            }
        }
        let mut crc = Crc::new();
        crc.update(plain);
        out.extend(crc.sum().to_le_bytes());
        out.extend(crc.amount().to_le_bytes());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::codec::compressor::Encoder as _;

    fn read(payload: &[u8], len: usize) -> Result<Vec<u8>, String> {
        let mut out = Vec::new();
        let mut plain = Plain::new(&mut out, len);
        decode(payload, &mut plain).and_then(|()| plain.finish()).map_err(|e| e.to_string())?;
        Ok(out)
    }

    fn written(plain: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        Encoder::new().encode(plain, &mut out).unwrap();
        out
    }

    #[test]
    fn an_empty_block_is_as_hbase_writes_it() {
        let mut expected = HEADER.to_vec();
        expected.extend([3, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(written(b""), expected);
    }

    #[test]
    fn a_header_may_have_all_that_gzip_allows() {
        let plain = b"some bytes, some bytes";
        let body = written(plain).split_off(HEADER.len());
        let header = b"\x1f\x8b\x08\x1c\x01\x02\x03\x04\x00\x03\x02\x00exname\0comment\0";
        assert_eq!(read(&[&header[..], &body].concat(), plain.len()).unwrap(), plain);

        let mut header = header.to_vec();
        header[3] |= 2;
        let mut crc = Crc::new();
        crc.update(&header);
        let sum = crc.sum().to_be_bytes();
        assert_eq!(read(&[&header[..], &[sum[3], sum[2]], &body].concat(), plain.len()).unwrap(), plain);
        assert_eq!(
            read(&[&header[..], &[!sum[3], sum[2]], &body].concat(), plain.len()).unwrap_err(),
            "GZ: the CRC of the header does not match it"
        );
    }

    #[test]
    fn the_size_is_exact_and_the_rest_ignored() {
        let mut payload = written(b"0123456789");
        payload.extend(b"more");
        assert_eq!(read(&payload, 10).unwrap(), b"0123456789");
        assert_eq!(read(&payload, 9).unwrap_err(), "GZ: more bytes than the block should have");
        assert_eq!(read(&payload, 11).unwrap_err(), "plain block needs 1 bytes, 0 left");
    }

    #[test]
    fn sum_and_size_are_verified() {
        let payload = written(b"0123456789");
        let end = payload.len();
        for (at, message) in [
            (end - 8, "GZ: the CRC of the member does not match its bytes"),
            (end - 1, "GZ: the size of the member does not match its bytes"),
        ] {
            let mut payload = payload.clone();
            payload[at] ^= 0x40;
            assert_eq!(read(&payload, 10).unwrap_err(), message);
        }
    }
}
