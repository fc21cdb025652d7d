//! Encrypted blocks, read with the cluster's master key (hfile.md §9; HBase: `EncryptionUtil`,
//! `HFileBlockDefaultDecodingContext`).
//!
//! Each file has a data key of its own. The trailer holds it wrapped: encrypted with the master key,
//! which only the cluster's key provider knows. A block's stored payload is then
//!
//! | offset | bytes | field      |                                                            |
//! |-------:|------:|------------|------------------------------------------------------------|
//! |      0 |     1 | iv length  | 16; 0 if there is nothing to encrypt, and nothing follows  |
//! |      1 |    16 | iv         | the first counter                                          |
//! |     17 |       | ciphertext | AES/CTR, no padding, of the encoded and compressed payload |
#![warn(clippy::indexing_slicing)]

use crate::error::Corruption;
use std::fmt;

/// Decrypts the blocks of one file.
#[derive(Clone)]
pub(crate) struct BlockCipher(imp::Key);

impl BlockCipher {
    /// The cipher of a file whose trailer has the key `wrapped`, a delimited `WrappedKey`.
    ///
    /// The wrapped key is AES/CTR, too, with the IV that it comes with. A hash of the plain key tells whether
    /// `master_key` was the right one.
    pub(crate) fn unwrap(wrapped: &[u8], master_key: &[u8]) -> Result<Self, Corruption> {
        imp::unwrap(wrapped, master_key).map(Self)
    }

    /// Appends the plain form of `payload` to `out`: its encoded and compressed bytes.
    ///
    /// Nothing in the payload tells damaged bytes from good ones: the block's checksum covers it as stored.
    pub(crate) fn decrypt(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        imp::decrypt(&self.0, payload, out)
    }
}

impl fmt::Debug for BlockCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockCipher") // and no key
    }
}

#[cfg(not(feature = "crypto"))]
mod imp {
    use crate::error::Corruption;

    pub(super) type Key = std::convert::Infallible;

    pub(super) fn unwrap(_: &[u8], _: &[u8]) -> Result<Key, Corruption> {
        Err(Corruption::Unsupported {
            what: "encryption",
            name: "AES".into(),
            hint: Some("build with the feature `crypto`"),
        })
    }

    pub(super) fn decrypt(key: &Key, _: &[u8], _: &mut Vec<u8>) -> Result<(), Corruption> {
        match *key {}
    }
}

#[cfg(feature = "crypto")]
mod imp {
    use crate::coding::Cursor;
    use crate::error::Corruption;
    use aes::{Aes128, Aes192, Aes256};
    use ctr::cipher::consts::U16;
    use ctr::cipher::{
        BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper,
    };
    use ctr::{CtrCore, flavors};
    use prost::Message;

    /// A key, expanded once for all blocks.
    #[derive(Clone)]
    pub(super) enum Key {
        Aes128(Aes128),
        Aes192(Aes192),
        Aes256(Aes256),
    }

    impl Key {
        pub(super) fn new(bytes: &[u8]) -> Option<Self> {
            match bytes.len() {
                16 => Aes128::new_from_slice(bytes).ok().map(Self::Aes128),
                24 => Aes192::new_from_slice(bytes).ok().map(Self::Aes192),
                32 => Aes256::new_from_slice(bytes).ok().map(Self::Aes256),
                _ => None,
            }
        }

        /// Encrypts or decrypts, which is the same; the counter is all 16 bytes of `iv`.
        pub(super) fn apply(&self, iv: [u8; 16], bytes: &mut [u8]) -> Result<(), Corruption> {
            match self {
                Self::Aes128(aes) => apply(aes, iv, bytes),
                Self::Aes192(aes) => apply(aes, iv, bytes),
                Self::Aes256(aes) => apply(aes, iv, bytes),
            }
        }
    }

    fn apply<C>(aes: &C, iv: [u8; 16], bytes: &mut [u8]) -> Result<(), Corruption>
    where
        C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + Clone,
    {
        let counter = CtrCore::<C, flavors::Ctr128BE>::inner_iv_init(aes.clone(), &iv.into());
        StreamCipherCoreWrapper::from_core(counter)
            .try_apply_keystream(bytes)
            .map_err(|_| Corruption::Malformed("more encrypted bytes than a counter can count"))
    }

    /// HBase's protobuf message of that name.
    #[derive(Clone, PartialEq, Message)]
    struct WrappedKey {
        /// The algorithm that the key is for.
        #[prost(string, required, tag = "1")]
        algorithm: String,
        /// The bytes of the plain key.
        #[prost(uint32, required, tag = "2")]
        length: u32,
        /// The key, encrypted.
        #[prost(bytes = "vec", required, tag = "3")]
        data: Vec<u8>,
        #[prost(bytes = "vec", optional, tag = "4")]
        iv: Option<Vec<u8>>,
        /// The hash of the plain key.
        #[prost(bytes = "vec", optional, tag = "5")]
        hash: Option<Vec<u8>>,
        #[prost(string, optional, tag = "6", default = "MD5")]
        hash_algorithm: Option<String>,
    }

    pub(super) fn unwrap(wrapped: &[u8], master_key: &[u8]) -> Result<Key, Corruption> {
        let mut input = Cursor::new(wrapped);
        let len = usize::try_from(input.varint("length of the wrapped key")?).unwrap_or(usize::MAX);
        let message = input.take(len, "wrapped key")?;
        input.finish("bytes behind the wrapped key")?;
        let wrapped = WrappedKey::decode(message)
            .map_err(|_| Corruption::Malformed("the wrapped key is not a protobuf message of that kind"))?;

        if !wrapped.algorithm.eq_ignore_ascii_case("AES") {
            return Err(Corruption::unsupported("encryption algorithm", wrapped.algorithm));
        }
        if wrapped.data.len() as u64 != u64::from(wrapped.length) {
            return Err(Corruption::Mismatch {
                what: "length of the wrapped data key",
                expected: wrapped.length.into(),
                found: i64::try_from(wrapped.data.len()).unwrap_or(i64::MAX),
            });
        }
        let Some(Ok(iv)) = wrapped.iv.as_deref().map(<[u8; 16]>::try_from) else {
            return Err(Corruption::Malformed("the wrapped key has no iv of 16 bytes"));
        };
        let Some(expected_hash) = &wrapped.hash else {
            // all of HBase's have one; without, a wrong master key would pass
            return Err(Corruption::Malformed("the wrapped key has no hash"));
        };
        let Some(master_key) = Key::new(master_key) else {
            return Err(Corruption::Malformed("the master key must have 16, 24 or 32 bytes"));
        };

        let mut key = wrapped.data.clone();
        master_key.apply(iv, &mut key)?;
        if hash(wrapped.hash_algorithm(), &key)? != *expected_hash {
            return Err(Corruption::Malformed(
                "the hash of the data key does not match: this is not the master key that it was wrapped with",
            ));
        }
        Key::new(&key).ok_or(Corruption::Malformed("the data key has neither 16, 24 nor 32 bytes"))
    }

    /// The hash of a key, by the name that Java has for the algorithm.
    fn hash(algorithm: &str, key: &[u8]) -> Result<Vec<u8>, Corruption> {
        use sha2::Digest;
        match algorithm.trim().to_ascii_uppercase().as_str() {
            "MD5" => Ok(md5::Md5::digest(key).to_vec()),
            "SHA-256" => Ok(sha2::Sha256::digest(key).to_vec()),
            "SHA-384" => Ok(sha2::Sha384::digest(key).to_vec()),
            "SHA-512" => Ok(sha2::Sha512::digest(key).to_vec()),
            _ => Err(Corruption::unsupported("hash algorithm of a key", algorithm.to_owned())),
        }
    }

    pub(super) fn decrypt(key: &Key, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        let mut input = Cursor::new(payload);
        match input.u8("iv length")? {
            0 => return input.finish("encrypted bytes without an iv"),
            16 => {}
            len => return Err(Corruption::out_of_range("iv length", len.into(), 16, 16)),
        }
        let iv = input.array("iv")?;
        let start = out.len();
        out.extend_from_slice(input.rest());
        key.apply(iv, out.get_mut(start..).unwrap_or_default())
    }
}

#[cfg(test)]
#[cfg(not(feature = "crypto"))]
mod tests {
    use super::*;

    #[test]
    fn without_the_feature_the_error_names_it() {
        let error = BlockCipher::unwrap(b"", b"").unwrap_err();
        assert_eq!(error.to_string(), "encryption AES is not supported: build with the feature `crypto`");
    }
}

#[cfg(test)]
#[cfg(feature = "crypto")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MASTER_KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    /// From the trailer of a file that HBase 2.6.4 wrote with that master key.
    const WRAPPED: &str = "420a0341455310101a1005284cdc7a7ebd5c2c73c9af666b5e76221097284a91c37c35603de6c636\
                           bdc23d872a101bf42e241816ba29ff5f307bb1bc1d1632034d4435";

    /// The empty meta index of that file; its codec is GZ.
    const EMPTY_BLOCK: &str = "10cbe5bef12eb3d988b3a241ee721661ae84d5491236e74a3ccc5dcae2fcd4d8d779c00f35";

    /// The metadata of its delete-family Bloom filter, 63 plain bytes.
    const BLOOM_META_BLOCK: &str = "10f2e5bef12eb3d988b3a241ee721661ae5a3baffc060ab9c4df91bf6a30f3833e2a157701e1a2fb\
                                    d63f1c9ee3bf9a33e156084dbf996a4482174edcff41081d3072320ed081";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    fn decrypt(cipher: &BlockCipher, payload: &[u8]) -> Result<Vec<u8>, String> {
        let mut out = b"before".to_vec();
        cipher.decrypt(payload, &mut out).map_err(|e| e.to_string())?;
        assert!(out.starts_with(b"before"));
        Ok(out.split_off(6))
    }

    fn unwrap_error(wrapped: &[u8], master_key: &[u8]) -> String {
        BlockCipher::unwrap(wrapped, master_key).unwrap_err().to_string()
    }

    #[test]
    fn blocks_of_hbase_are_decrypted() {
        let cipher = BlockCipher::unwrap(&bytes(WRAPPED), &MASTER_KEY).unwrap();
        assert_eq!(
            decrypt(&cipher, &bytes(EMPTY_BLOCK)).unwrap(),
            b"\x1f\x8b\x08\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\0\0"
        );
        assert!(decrypt(&cipher, &bytes(BLOOM_META_BLOCK)).unwrap().starts_with(b"\x1f\x8b\x08\0"));
        assert_eq!(decrypt(&cipher, &[0]).unwrap(), b"");
    }

    #[cfg(feature = "gz")]
    #[test]
    fn what_is_decrypted_is_the_codecs_payload() {
        use crate::block::codec::{Codec, Decompressor};
        let cipher = BlockCipher::unwrap(&bytes(WRAPPED), &MASTER_KEY).unwrap();
        let payload = decrypt(&cipher, &bytes(BLOOM_META_BLOCK)).unwrap();
        let mut plain = Vec::new();
        Decompressor::new(Codec::Gz, None).decompress(&payload, 63, &mut plain).unwrap();
        assert!(plain.starts_with(&[0, 0, 0, 3]), "the version of a Bloom filter's metadata");
    }

    #[test]
    fn a_wrong_master_key_is_recognised() {
        let wrong =
            "the hash of the data key does not match: this is not the master key that it was wrapped with";
        let mut key = MASTER_KEY;
        key[15] ^= 1;
        assert_eq!(unwrap_error(&bytes(WRAPPED), &key), wrong);
        assert_eq!(unwrap_error(&bytes(WRAPPED), &[7; 32]), wrong);
        let lengths = "the master key must have 16, 24 or 32 bytes";
        assert_eq!(unwrap_error(&bytes(WRAPPED), b"secret"), lengths);
    }

    #[test]
    fn what_is_not_aes_is_named() {
        let mut wrapped = bytes(WRAPPED);
        wrapped[3..6].copy_from_slice(b"DES");
        assert_eq!(unwrap_error(&wrapped, &MASTER_KEY), "encryption algorithm DES is not supported");
        let mut wrapped = bytes(WRAPPED);
        let end = wrapped.len();
        wrapped[end - 1] = b'4';
        assert_eq!(unwrap_error(&wrapped, &MASTER_KEY), "hash algorithm of a key MD4 is not supported");
    }

    #[test]
    fn a_damaged_wrapped_key_is_refused() {
        let wrapped = bytes(WRAPPED);
        for end in 0..wrapped.len() {
            assert!(BlockCipher::unwrap(&wrapped[..end], &MASTER_KEY).is_err());
        }
        // what is read all the same (the case of a name, a field that has a default) makes the same key
        let expected = decrypt(&BlockCipher::unwrap(&wrapped, &MASTER_KEY).unwrap(), &bytes(EMPTY_BLOCK));
        for bit in 0..8 * wrapped.len() {
            let mut damaged = wrapped.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            if let Ok(cipher) = BlockCipher::unwrap(&damaged, &MASTER_KEY) {
                assert_eq!(decrypt(&cipher, &bytes(EMPTY_BLOCK)), expected, "bit {bit}");
            }
        }
        assert_eq!(
            unwrap_error(&[&wrapped[..], &[0]].concat(), &MASTER_KEY),
            "bytes behind the wrapped key: expected 0, found 1"
        );
    }

    #[test]
    fn a_payload_must_have_its_iv() {
        let cipher = BlockCipher::unwrap(&bytes(WRAPPED), &MASTER_KEY).unwrap();
        assert_eq!(decrypt(&cipher, &[]).unwrap_err(), "iv length needs 1 bytes, 0 left");
        assert_eq!(decrypt(&cipher, &[15; 16]).unwrap_err(), "iv length is 15, expected 16 to 16");
        assert_eq!(decrypt(&cipher, &[16; 16]).unwrap_err(), "iv needs 16 bytes, 15 left");
        assert_eq!(decrypt(&cipher, &[16; 17]).unwrap(), b"");
        assert!(decrypt(&cipher, &[0, 1]).is_err());
    }

    #[test]
    fn a_cipher_does_not_show_its_key() {
        let cipher = BlockCipher::unwrap(&bytes(WRAPPED), &MASTER_KEY).unwrap();
        assert_eq!(format!("{cipher:?}"), "BlockCipher");
    }

    proptest! {
        #[test]
        fn the_counter_is_of_128_bits_and_big_endian(
            key in prop::sample::select(vec![16usize, 24, 32]),
            byte: u8,
            iv: [u8; 16],
            plain in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            // the slow way: one block of key stream for one IV at a time
            let key = imp::Key::new(&vec![byte; key]).unwrap();
            let mut counter = u128::from_be_bytes(iv);
            let mut expected = Vec::new();
            for chunk in plain.chunks(16) {
                let mut block = chunk.to_vec();
                key.apply(counter.to_be_bytes(), &mut block).unwrap();
                expected.extend(block);
                counter = counter.wrapping_add(1);
            }
            let payload = [&[16], &iv[..], &plain].concat();
            prop_assert_eq!(decrypt(&BlockCipher(key), &payload).unwrap(), expected);
        }
    }
}
