//! Properties of all built-in codecs.

use super::*;
use crate::binary::bytes_of_hex;
use proptest::prelude::*;
use std::sync::Arc;

/// A codec with the options for writing and reading it.
struct Case {
    name: &'static str,
    codec: Codec,
    options: CompressorOptions,
}

impl Case {
    fn all() -> Vec<Self> {
        let mut cases: Vec<_> = Codec::ALL
            .into_iter()
            .filter(|codec| codec.require().is_ok())
            .map(|codec| Self { name: codec.name(), codec, options: CompressorOptions::default() })
            .collect();
        if Codec::Zstd.require().is_ok() {
            let dictionary: Arc<[u8]> = plain(3000, true).into();
            for (name, zstd_framed, zstd_dictionary) in [
                ("ZSTD, framed", true, None),
                ("ZSTD, dictionary", false, Some(Arc::clone(&dictionary))),
                ("ZSTD, framed, dictionary", true, Some(dictionary)),
            ] {
                let options = CompressorOptions { zstd_framed, zstd_dictionary };
                cases.push(Self { name, codec: Codec::Zstd, options });
            }
        }
        cases
    }

    fn compress(&self, plain: &[u8]) -> Vec<u8> {
        let mut out = b"before".to_vec();
        Compressor::new(self.codec, &self.options).unwrap().compress(plain, &mut out).unwrap();
        assert!(out.starts_with(b"before"), "{}", self.name);
        out.split_off(6)
    }

    fn decompressor(&self) -> Decompressor {
        Decompressor::new(self.codec, self.options.zstd_dictionary.clone())
    }

    /// The result of decompressing, after checking the invariants of success and failure.
    fn decompress(&self, payload: &[u8], len: usize) -> Result<Vec<u8>, Corruption> {
        let mut out = b"before".to_vec();
        let result = self.decompressor().decompress(payload, len, &mut out);
        assert!(out.starts_with(b"before"), "{}", self.name);
        assert_eq!(out.len(), 6 + if result.is_ok() { len } else { 0 }, "{}", self.name);
        let bound = 6 + len.min(payload.len().saturating_mul(32 << 10).max(64 << 10));
        assert!(out.capacity() <= bound.max(12), "{}: {} bytes taken for {len}", self.name, out.capacity());
        result.map(|()| out.split_off(6))
    }

    /// Whether the codec's format has a checksum.
    fn has_checksum(&self) -> bool {
        matches!(self.codec, Codec::Gz | Codec::Bzip2)
    }
}

/// Reproducible bytes: similar to cells, or noise.
fn plain(len: usize, compressible: bool) -> Vec<u8> {
    let mut state = 0x2545_f491_4f6c_dd1du64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    let mut out = Vec::new();
    while out.len() < len {
        match compressible {
            true => out.extend(format!("row-{:05}/cf:q{}=", out.len() / 40, next() % 100).bytes()),
            false => out.extend(next().to_be_bytes()),
        }
    }
    out.truncate(len);
    out
}

#[test]
fn compressed_blocks_decompress_to_the_input() {
    for case in Case::all() {
        let mut compressor = Compressor::new(case.codec, &case.options).unwrap();
        for len in [0, 1, 2, 100, 64 << 10, 218_422, 218_423, 261_121, 600_000] {
            for compressible in [true, false] {
                let plain = plain(len, compressible);
                let mut payload = Vec::new();
                compressor.compress(&plain, &mut payload).unwrap();
                let back =
                    case.decompress(&payload, len).unwrap_or_else(|e| panic!("{} {len}: {e}", case.name));
                assert!(back == plain, "{} {len}", case.name);
                assert_eq!(payload, case.compress(&plain), "{}: reuse makes a difference", case.name);
                if compressible && len > 1000 && case.codec != Codec::None {
                    assert!(payload.len() < len / 2, "{} {len}", case.name);
                }
            }
        }
    }
}

/// HBase's class on aircompressor has a buffer of 64 KiB for the plain bytes of a chunk.
#[cfg(feature = "lzo")]
#[test]
fn chunks_of_lzo_fit_the_smallest_buffer() {
    for compressible in [true, false] {
        let bytes = plain(300_000, compressible);
        let mut payload = Vec::new();
        let mut compressor = Compressor::new(Codec::Lzo, &CompressorOptions::default()).unwrap();
        compressor.compress(&bytes, &mut payload).unwrap();
        let mut input = crate::coding::Cursor::new(&payload);
        assert_eq!(input.len("plain length of a group"), Ok(bytes.len()));
        let (mut back, mut chunks) = (Vec::new(), 0);
        while back.len() < bytes.len() {
            let len = input.len("length of a chunk").unwrap();
            let mut chunk = plain::Plain::new(&mut back, 64 << 10);
            lzo::decode(input.take(len, "chunk").unwrap(), &mut chunk).unwrap();
            chunk.truncate();
            chunks += 1;
        }
        assert!(back == bytes);
        assert_eq!((chunks, input.rest()), (6, &[0; 4][..]));
    }
}

/// The metadata of a delete-family Bloom filter, 63 plain bytes, in files written by HBase 2.6.4: the codec
/// class, the codec and the payload.
const WRITTEN_BY_HBASE: &[(&str, Codec, &str)] = &[
    (
        "LZO, aircompressor",
        Codec::Lzo,
        "0000003f00000030160000000300a00006800000000700000001ba010059dd006a294c000d9c20000000b10972\
         6f772d3030303036110000",
    ),
    (
        "GZ",
        Codec::Gz,
        "1f8b080000000000000063606060668080062066076246283f124a672189953001893d9c45f9e5ba0640600600\
         fe34c9b73f000000",
    ),
    (
        "Snappy, Hadoop",
        Codec::Snappy,
        "0000003f0000002f3f100000000300090120800000000700000001090f0400590d08006a1d143c9b32000000b1\
         09726f772d3030303036",
    ),
    (
        "Snappy, aircompressor",
        Codec::Snappy,
        "0000003f0000002f3f100000000300090120800000000700000001090f0400590d08006a1d143c9b40000000b1\
         09726f772d3030303036",
    ),
    (
        "LZ4, Hadoop",
        Codec::Lz4,
        "0000003f0000002f5200000003000100928000000007000000010f002300590800176a1400f001abc7000000af\
         09726f772d3030303036",
    ),
    (
        "LZ4, aircompressor",
        Codec::Lz4,
        "0000003f0000002f5200000003000100928000000007000000010f002300590800176a1400f001a9e3000000af\
         09726f772d3030303036",
    ),
    (
        "BZIP2",
        Codec::Bzip2,
        "425a6839314159265359dabb555d0000035bc0e8a000024100002000119080400001002000314c001341923432\
         687a8d0d7799c81e8b1006d8814939ee28a8577f8bb9229c28486d5daaae80",
    ),
    (
        "ZSTD, bare",
        Codec::Zstd,
        "28b52ffd00587d0100240200000003008000000007000000010059006a7aa2000000ae09726f772d3030303036\
         0400378d0003838106a005",
    ),
    (
        "ZSTD, zstd-jni",
        Codec::Zstd,
        "0000003f0000003828b52ffd203f7d0100240200000003008000000007000000010059006a78a8000000b60972\
         6f772d30303030360400378d0003838106a005",
    ),
    (
        "ZSTD, aircompressor",
        Codec::Zstd,
        "0000003f0000003c28b52ffd243f7d0100240200000003008000000007000000010059006a7945000000ba0972\
         6f772d30303030360400378d0003838106a005646ac8b0",
    ),
    (
        "BROTLI",
        Codec::Brotli,
        "0000003f000000331b3e0000444f76134c0baad4854ab029aa5839c6f138287e4d362d346c8ce17387bf0260a8\
         03126a89fdd9d935afd36b9fb503",
    ),
];

#[test]
fn blocks_compressed_by_hbase_are_decompressed() {
    for &(name, codec, hex) in WRITTEN_BY_HBASE.iter().filter(|(_, codec, _)| codec.require().is_ok()) {
        let mut plain = Vec::new();
        Decompressor::new(codec, None).decompress(&bytes_of_hex(hex), 63, &mut plain).unwrap();
        assert!(plain.starts_with(b"\0\0\0\x03\0\0\0\0\0\0\0\x80\0\0\0\x07\0\0\0\x01"), "{name}");
        assert!(plain.ends_with(b"\trow-00006"), "{name}");
    }
}

#[test]
fn another_size_is_refused() {
    for case in Case::all() {
        for size in [100, 300_000] {
            let payload = case.compress(&plain(size, true));
            for len in [1, size - 1, size + 1, 2 * size] {
                assert!(case.decompress(&payload, len).is_err(), "{} {len}", case.name);
            }
        }
    }
}

#[test]
fn an_empty_block_ignores_its_payload() {
    for case in Case::all() {
        let payloads: &[&[u8]] = if case.codec == Codec::None { &[b""] } else { &[b"", b"?", &[0; 20]] };
        for payload in payloads {
            assert_eq!(case.decompress(payload, 0), Ok(vec![]), "{}", case.name);
        }
    }
}

#[test]
fn no_prefix_and_no_flipped_bit_does_harm() {
    for case in Case::all() {
        for (len, compressible) in [(150, true), (40, false)] {
            let plain = plain(len, compressible);
            let mut payload = case.compress(&plain);
            for end in 0..payload.len() {
                // an lzma stream may lack bytes that a decoder does not need
                if let Ok(back) = case.decompress(&payload[..end], len) {
                    assert_eq!(back, plain, "{} cut at {end}", case.name);
                    assert_ne!(case.codec, Codec::Gz);
                }
            }
            for bit in 0..8 * payload.len() {
                payload[bit / 8] ^= 1 << (bit % 8);
                let back = case.decompress(&payload, len);
                if case.has_checksum() {
                    assert!(back.is_err() || back.as_ref() == Ok(&plain), "{} bit {bit}", case.name);
                }
                payload[bit / 8] ^= 1 << (bit % 8);
            }
        }
    }
}

#[test]
fn a_bomb_does_not_go_off() {
    let zeros = vec![0; 32 << 20];
    for case in Case::all() {
        let payload = case.compress(&zeros);
        assert!(case.decompress(&payload, 1000).is_err(), "{}", case.name);
    }
}

#[test]
fn a_lie_about_the_plain_size_takes_no_memory() {
    for case in Case::all() {
        let payload = case.compress(&plain(100, true));
        assert!(case.decompress(&payload, 1 << 30).is_err(), "{}", case.name);
        // the same wrong size in the framing
        let mut framed = payload.clone();
        framed.splice(..4, (1u32 << 30).to_be_bytes());
        assert!(case.decompress(&framed, 1 << 30).is_err(), "{}", case.name);
    }
}

#[test]
fn a_codec_that_is_not_built_in_names_its_feature() {
    for codec in Codec::ALL {
        let Err(error) = codec.require() else { continue };
        let message = error.to_string();
        assert!(
            message.starts_with(&format!("codec {} is not supported: build with", codec.name())),
            "{message}"
        );
        for plain_len in [0, 1] {
            let decompressed = Decompressor::new(codec, None).decompress(b"", plain_len, &mut vec![]);
            assert_eq!(decompressed, Err(error.clone()));
        }
        assert_eq!(Compressor::new(codec, &CompressorOptions::default()).unwrap_err(), error);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_plain_bytes_come_back(plain in prop::collection::vec(0..4u8, 0..2000)) {
        for case in Case::all() {
            let back = case.decompress(&case.compress(&plain), plain.len());
            prop_assert!(back == Ok(plain.clone()), "{}: {:?}", case.name, back.err());
        }
    }

    #[test]
    fn no_bytes_make_it_panic(payload: Vec<u8>, len in 0..5000usize) {
        for case in Case::all() {
            let _ = case.decompress(&payload, len);
            // after a header that is accepted, so that the bytes reach the codec
            let mut framed = u32::try_from(len).unwrap().to_be_bytes().to_vec();
            framed.extend(u32::try_from(payload.len()).unwrap().to_be_bytes());
            framed.extend(&payload);
            let _ = case.decompress(&framed, len);
        }
    }

    #[test]
    fn damage_is_survived(at: prop::sample::Index, damage in prop::collection::vec(any::<u8>(), 1..6)) {
        for case in Case::all() {
            let mut payload = case.compress(&plain(3000, true));
            let at = at.index(payload.len() - damage.len());
            payload.splice(at..at + damage.len(), damage.iter().copied());
            let _ = case.decompress(&payload, 3000);
        }
    }
}

#[test]
fn streams_of_any_length_are_complete_and_bounded() {
    let bytes = plain(5000, true);
    let mut streams = 0;
    for case in Case::all() {
        let stream = case.compress(&bytes);
        let read = |stream: &[u8], max| case.decompressor().decompress_stream(stream, max);
        if matches!(case.codec, Codec::None | Codec::Gz | Codec::Bzip2) {
            assert!(matches!(read(&stream, 5000), Err(Corruption::Unsupported { .. })), "{}", case.name);
            continue;
        }
        assert_eq!(read(&[], 0), Ok(Vec::new()), "{}", case.name);
        assert!(read(&stream, 5000) == Ok(bytes.clone()), "{}", case.name);
        assert!(read(&stream.repeat(2), 20_000) == Ok(bytes.repeat(2)), "{}", case.name);
        for max in [0, 1, 4999] {
            let refused = read(&stream, max).unwrap_err();
            assert!(matches!(refused, Corruption::Limit { .. }), "{}: {refused}", case.name);
        }
        for len in 1..stream.len() {
            assert!(read(&stream[..len], 5000).is_err(), "{}: {len} bytes", case.name);
        }
        streams += 1;
    }
    assert!(streams > 3 || Codec::Zstd.require().is_err());
}
