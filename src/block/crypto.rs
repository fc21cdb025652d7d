//! Encrypted blocks, read and written with the cluster's master key (hfile.md §9; HBase: `EncryptionUtil`,
//! `HFileBlockDefaultEncodingContext`, `HFileBlockDefaultDecodingContext`).
//!
//! A file has a data key. The trailer contains it in wrapped form: encrypted with the master key, which only
//! the cluster's key provider has. The stored payload of a block is:
//!
//! | offset | bytes | field      |                                                            |
//! |-------:|------:|------------|------------------------------------------------------------|
//! |      0 |     1 | iv length  | 16; 0 if there is nothing to encrypt, and nothing follows  |
//! |      1 |    16 | iv         | the first counter                                          |
//! |     17 |       | ciphertext | AES/CTR, no padding, of the encoded and compressed payload |
//!
//! The cells of an encrypted write-ahead log are encrypted in the same way (wal.md §18).
#![warn(clippy::indexing_slicing)]

use crate::coding::Cursor;
use crate::error::Corruption;
use std::fmt;
use std::io;
use std::sync::Arc;

/// The size in bytes of an IV, which equals that of an AES block.
pub(crate) const IV_LEN: usize = 16;
/// The size in bytes of the prefix of a block's ciphertext: the length of the IV, and the IV.
pub(crate) const PREFIX_LEN: usize = 1 + IV_LEN;

/// The bytes of a master key or data key. `Debug` does not show them.
#[derive(Clone)]
pub(crate) struct SecretKey(Arc<[u8]>);

impl SecretKey {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl<T: Into<Arc<[u8]>>> From<T> for SecretKey {
    fn from(bytes: T) -> Self {
        Self(bytes.into())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretKey") // without its bytes
    }
}

/// The cluster's master keys. `Debug` does not show them.
#[derive(Clone, Debug, Default)]
pub(crate) struct MasterKeys {
    /// The key with which the data keys of new files are wrapped.
    pub(crate) current: Option<SecretKey>,
    /// The key that is tried if the current one does not unwrap a data key.
    pub(crate) alternate: Option<SecretKey>,
}

impl MasterKeys {
    /// Returns the bytes of the keys, in the order in which they are tried.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.current.iter().chain(&self.alternate).map(SecretKey::as_bytes)
    }

    /// Unwraps a data key with the first key that fits; `None` without keys (HBase:
    /// `EncryptionUtil.unwrapKey`).
    ///
    /// # Errors
    ///
    /// The error of the first key, if none unwraps it.
    pub(crate) fn unwrap<T>(
        &self,
        unwrap: impl Fn(&[u8]) -> Result<T, Corruption>,
    ) -> Result<Option<T>, Corruption> {
        let mut failure = None;
        for key in self.iter() {
            match unwrap(key) {
                Ok(unwrapped) => return Ok(Some(unwrapped)),
                Err(corruption) => failure = failure.or(Some(corruption)),
            }
        }
        failure.map_or(Ok(None), Err)
    }
}

/// Fails if this build does not support encryption.
pub(crate) fn check_supported() -> Result<(), Corruption> {
    imp::check_supported()
}

/// Random bytes from the operating system, suitable for keys and IVs.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    imp::random()
}

/// Decrypts the data key in `wrapped`, a delimited `WrappedKey`.
///
/// The wrapped key is also encrypted with AES/CTR, with the IV stored next to it. A hash of the plain key
/// shows whether `master_key` is the right one.
pub(crate) fn unwrap_key(wrapped: &[u8], master_key: &[u8]) -> Result<SecretKey, Corruption> {
    imp::unwrap(wrapped, master_key).map(SecretKey::from)
}

/// Wraps a data key as the delimited `WrappedKey` for a trailer (HBase: `EncryptionUtil.wrapKey`).
///
/// Each call needs a new random `iv`.
pub(crate) fn wrap_key(key: &[u8], master_key: &[u8], iv: [u8; IV_LEN]) -> Result<Vec<u8>, Corruption> {
    imp::wrap(key, master_key, iv)
}

/// Decrypts the blocks of one file, or the cells of one log.
#[derive(Clone)]
pub(crate) struct BlockCipher(imp::Key);

impl BlockCipher {
    /// Returns the cipher of a file with the key `wrapped` in its trailer. See [`unwrap_key`].
    pub(crate) fn unwrap(wrapped: &[u8], master_key: &[u8]) -> Result<Self, Corruption> {
        let key = imp::unwrap(wrapped, master_key)?;
        imp::Key::new(&key).map(Self).ok_or(Corruption::Malformed(DATA_KEY_LEN))
    }

    /// Returns the cipher of a file with the key `wrapped`. `what` names the file in the error if there are
    /// no master keys.
    pub(crate) fn of(wrapped: &[u8], keys: &MasterKeys, what: &'static str) -> Result<Self, Corruption> {
        keys.unwrap(|key| Self::unwrap(wrapped, key))?.ok_or_else(|| Corruption::Unsupported {
            what,
            name: "(AES)".into(),
            hint: Some("give the cluster's master key"),
        })
    }

    /// Returns the cipher whose wrapped key is somewhere in `bytes`, the end of a file with a damaged
    /// trailer. `None` if `master_key` unwraps no key there. The hash of the key excludes false matches.
    pub(crate) fn find(bytes: &[u8], master_key: &[u8]) -> Option<Self> {
        // the message begins with the algorithm: field 1, 3 bytes, `AES`; its length, a varint, precedes it
        const START: [u8; 5] = *b"\x0a\x03AES";
        // the message for a data key of 32 bytes with the longest hash has 134 bytes
        const MAX_WRAPPED_LEN: usize = 256;
        let starts = bytes.windows(START.len()).enumerate().filter(|(_, window)| *window == START);
        let wrapped = starts.flat_map(|(at, _)| [1, 2].map(|len| at.checked_sub(len))).filter_map(|at| {
            let from = bytes.get(at?..)?;
            let mut input = Cursor::new(from);
            let len = usize::try_from(input.varint("length of the wrapped key").ok()?).ok()?;
            let end = from.len() - input.rest().len() + Some(len).filter(|&len| len <= MAX_WRAPPED_LEN)?;
            from.get(..end)
        });
        wrapped.filter_map(|wrapped| Self::unwrap(wrapped, master_key).ok()).next()
    }

    /// Appends the decrypted form of `payload` to `out`: its encoded and compressed bytes.
    ///
    /// Damage is not detected here: the block's checksum covers the payload as stored.
    pub(crate) fn decrypt(&self, payload: &[u8], out: &mut Vec<u8>) -> Result<(), Corruption> {
        imp::decrypt(&self.0, payload, out)
    }

    /// Decrypts bytes in place that were encrypted with this IV.
    pub(crate) fn decrypt_in_place(&self, iv: [u8; IV_LEN], bytes: &mut [u8]) -> Result<(), Corruption> {
        imp::apply(&self.0, iv, bytes)
    }
}

impl fmt::Debug for BlockCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockCipher") // without its key
    }
}

/// Encrypts the blocks of one file (HBase: `HFileBlockDefaultEncodingContext.compressAfterEncoding`).
#[derive(Clone)]
pub(crate) struct BlockEncryptor {
    key: imp::Key,
    /// The IVs of the next data block and of the next other block.
    ivs: [[u8; IV_LEN]; 2],
}

impl BlockEncryptor {
    /// Creates an encryptor with a data key of 16 bytes. `ivs` must be random: those of the first data block
    /// and of the first other block.
    pub(crate) fn new(key: &[u8], ivs: [[u8; IV_LEN]; 2]) -> Result<Self, Corruption> {
        imp::check_supported()?;
        let key = imp::Key::new(key).ok_or(Corruption::Malformed(DATA_KEY_LEN))?;
        Ok(Self { key, ivs })
    }

    /// Encrypts a block in place. `stored` consists of `header_len` bytes for the header, [`PREFIX_LEN`]
    /// bytes that are set here, and the plain payload.
    pub(crate) fn encrypt(
        &mut self,
        is_data: bool,
        stored: &mut Vec<u8>,
        header_len: usize,
    ) -> Result<(), Corruption> {
        let len = stored.len();
        let Some((prefix, payload)) =
            stored.get_mut(header_len..).and_then(|block| block.split_first_chunk_mut::<PREFIX_LEN>())
        else {
            return Err(Corruption::Malformed("a block to encrypt has no room for its iv"));
        };
        if payload.is_empty() {
            *prefix = [0; PREFIX_LEN];
            stored.truncate(header_len + 1);
            return Ok(());
        }
        let [of_data, of_others] = &mut self.ivs;
        let iv = if is_data { of_data } else { of_others };
        let [iv_len, place @ ..] = prefix;
        *iv_len = u8::try_from(IV_LEN).unwrap_or(u8::MAX);
        *place = *iv;
        imp::apply(&self.key, *iv, payload)?;
        *iv = next_iv(*iv, len);
        Ok(())
    }
}

impl fmt::Debug for BlockEncryptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockEncryptor") // without its key
    }
}

/// Returns the IV after that of a block with `len` bytes including its header (HBase:
/// `Encryption.incrementIv`).
#[expect(clippy::little_endian_bytes, reason = "HBase counts IVs as little-endian numbers")]
fn next_iv(iv: [u8; IV_LEN], len: usize) -> [u8; IV_LEN] {
    let count = 1 + (len / IV_LEN) as u128;
    u128::from_le_bytes(iv).wrapping_add(count).to_le_bytes()
}

const DATA_KEY_LEN: &str = "the data key has neither 16, 24 nor 32 bytes";

#[cfg(not(feature = "crypto"))]
mod imp {
    use super::IV_LEN;
    use crate::error::Corruption;
    use std::io;

    /// Keys cannot exist in a build without the feature.
    #[derive(Clone)]
    pub(super) enum Key {}

    impl Key {
        pub(super) fn new(_: &[u8]) -> Option<Self> {
            None
        }
    }

    pub(super) fn check_supported() -> Result<(), Corruption> {
        Err(Corruption::Unsupported {
            what: "encryption",
            name: "AES".into(),
            hint: Some("build with the feature `crypto`"),
        })
    }

    pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) fn unwrap(_: &[u8], _: &[u8]) -> Result<Vec<u8>, Corruption> {
        check_supported().map(|()| Vec::new())
    }

    pub(super) fn wrap(_: &[u8], _: &[u8], _: [u8; IV_LEN]) -> Result<Vec<u8>, Corruption> {
        check_supported().map(|()| Vec::new())
    }

    pub(super) fn apply(key: &Key, _: [u8; IV_LEN], _: &mut [u8]) -> Result<(), Corruption> {
        match *key {}
    }

    pub(super) fn decrypt(key: &Key, _: &[u8], _: &mut Vec<u8>) -> Result<(), Corruption> {
        match *key {}
    }
}

#[cfg(feature = "crypto")]
mod imp {
    use super::IV_LEN;
    use crate::coding::Cursor;
    use crate::error::Corruption;
    use aes::{Aes128, Aes192, Aes256};
    use ctr::cipher::consts::U16;
    use ctr::cipher::{
        BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipher, StreamCipherCoreWrapper,
    };
    use ctr::{CtrCore, flavors};
    use prost::Message;
    use std::io;

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
    }

    pub(super) fn check_supported() -> Result<(), Corruption> {
        Ok(())
    }

    pub(super) fn random<const N: usize>() -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        getrandom::fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Encrypts or decrypts, which is the same operation; the counter is all 16 bytes of `iv`.
    pub(super) fn apply(key: &Key, iv: [u8; IV_LEN], bytes: &mut [u8]) -> Result<(), Corruption> {
        match key {
            Key::Aes128(aes) => apply_aes(aes, iv, bytes),
            Key::Aes192(aes) => apply_aes(aes, iv, bytes),
            Key::Aes256(aes) => apply_aes(aes, iv, bytes),
        }
    }

    fn apply_aes<C>(aes: &C, iv: [u8; IV_LEN], bytes: &mut [u8]) -> Result<(), Corruption>
    where
        C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + Clone,
    {
        let counter = CtrCore::<C, flavors::Ctr128BE>::inner_iv_init(aes.clone(), &iv.into());
        StreamCipherCoreWrapper::from_core(counter)
            .try_apply_keystream(bytes)
            .map_err(|_| Corruption::Malformed("more encrypted bytes than a counter can count"))
    }

    /// HBase's protobuf message of this name.
    #[derive(Clone, PartialEq, Message)]
    struct WrappedKey {
        /// The algorithm that the key is used with.
        #[prost(string, required, tag = "1")]
        algorithm: String,
        /// The size in bytes of the plain key.
        #[prost(uint32, required, tag = "2")]
        length: u32,
        /// The encrypted key.
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

    /// Decrypts the wrapped key.
    pub(super) fn unwrap(wrapped: &[u8], master_key: &[u8]) -> Result<Vec<u8>, Corruption> {
        let mut input = Cursor::new(wrapped);
        let len = usize::try_from(input.varint("length of the wrapped key")?).unwrap_or(usize::MAX);
        let message = input.take(len, "wrapped key")?;
        input.finish("bytes after the wrapped key")?;
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
            // HBase always stores a hash; without it a wrong master key would not be detected
            return Err(Corruption::Malformed("the wrapped key has no hash"));
        };
        let Some(master_key) = Key::new(master_key) else {
            return Err(Corruption::Malformed(MASTER_KEY_LEN));
        };

        let mut key = wrapped.data.clone();
        apply(&master_key, iv, &mut key)?;
        if hash(wrapped.hash_algorithm(), &key)? != *expected_hash {
            return Err(Corruption::Malformed(
                "the hash of the data key does not match: this is not the master key that it was \
                 wrapped with",
            ));
        }
        Ok(key)
    }

    const MASTER_KEY_LEN: &str = "the master key must have 16, 24 or 32 bytes";
    /// HBase's default, and the only algorithm that every HBase version accepts.
    const HASH: &str = "MD5";

    /// Returns the delimited message, with all fields that HBase sets.
    pub(super) fn wrap(key: &[u8], master_key: &[u8], iv: [u8; IV_LEN]) -> Result<Vec<u8>, Corruption> {
        let master_key = Key::new(master_key).ok_or(Corruption::Malformed(MASTER_KEY_LEN))?;
        let length = u32::try_from(key.len()).map_err(|_| Corruption::Malformed(super::DATA_KEY_LEN))?;
        let mut data = key.to_vec();
        apply(&master_key, iv, &mut data)?;
        let message = WrappedKey {
            algorithm: "AES".into(),
            length,
            data,
            iv: Some(iv.to_vec()),
            hash: Some(hash(HASH, key)?),
            hash_algorithm: Some(HASH.into()),
        };
        Ok(message.encode_length_delimited_to_vec())
    }

    /// Returns the hash of a key. `algorithm` is Java's name.
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
        apply(key, iv, out.get_mut(start..).unwrap_or_default())
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
    use crate::binary::bytes_of_hex as bytes;
    use proptest::prelude::*;

    const MASTER_KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

    /// From the trailer of a file written by HBase 2.6.4 with this master key.
    const WRAPPED: &str = "420a0341455310101a1005284cdc7a7ebd5c2c73c9af666b5e76221097284a91c37c35603de6c636\
                           bdc23d872a101bf42e241816ba29ff5f307bb1bc1d1632034d4435";

    /// The empty meta index of that file; its codec is GZ.
    const EMPTY_BLOCK: &str = "10cbe5bef12eb3d988b3a241ee721661ae84d5491236e74a3ccc5dcae2fcd4d8d779c00f35";

    /// The metadata of its delete-family Bloom filter, 63 plain bytes.
    const BLOOM_META_BLOCK: &str = "10f2e5bef12eb3d988b3a241ee721661ae5a3baffc060ab9c4df91bf6a30f3833e2a15\
                                    7701e1a2fbd63f1c9ee3bf9a33e156084dbf996a4482174edcff41081d3072320ed081";

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
    fn decrypted_blocks_are_payloads_of_the_codec() {
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
    fn unsupported_algorithms_are_named() {
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
        // damage that is tolerated (case of a name, a field with a default) yields the same key
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
            "bytes after the wrapped key: expected 0, found 1"
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
    fn keys_are_not_shown() {
        let cipher = BlockCipher::unwrap(&bytes(WRAPPED), &MASTER_KEY).unwrap();
        assert_eq!(format!("{cipher:?}"), "BlockCipher");
        assert_eq!(
            format!("{:?}", BlockEncryptor::new(&MASTER_KEY, [[1; 16]; 2]).unwrap()),
            "BlockEncryptor"
        );
        assert_eq!(format!("{:?}", SecretKey::from(MASTER_KEY.as_slice())), "SecretKey");
    }

    /// The data key of the file that [`WRAPPED`] is from.
    fn data_key() -> Vec<u8> {
        (0x10..0x20).collect()
    }

    #[test]
    fn a_key_is_wrapped_as_hbase_does() {
        let wrapped = bytes(WRAPPED);
        let key = unwrap_key(&wrapped, &MASTER_KEY).unwrap();
        assert_eq!(key.as_bytes(), data_key());
        let iv = wrapped[wrapped.len() - 18 - 5 - 16..][..16].try_into().unwrap();
        assert_eq!(wrap_key(key.as_bytes(), &MASTER_KEY, iv).unwrap(), wrapped);
    }

    #[test]
    fn master_keys_have_three_lengths() {
        for len in [16, 24, 32] {
            let master_key = vec![3; len];
            let wrapped = wrap_key(&data_key(), &master_key, [9; 16]).unwrap();
            assert_eq!(unwrap_key(&wrapped, &master_key).unwrap().as_bytes(), data_key());
            assert!(unwrap_key(&wrapped, &vec![4; len]).is_err());
        }
        assert!(wrap_key(&data_key(), &[3; 17], [9; 16]).is_err());
        assert!(BlockEncryptor::new(&[3; 17], [[1; 16]; 2]).is_err());
    }

    #[test]
    fn a_wrapped_key_is_found_among_other_bytes() {
        let find = |bytes: &[u8]| BlockCipher::find(bytes, &MASTER_KEY);
        let expected =
            decrypt(&BlockCipher::unwrap(&bytes(WRAPPED), &MASTER_KEY).unwrap(), &bytes(EMPTY_BLOCK));
        let among = [b"\x0a\x03AES".as_slice(), b"before", &bytes(WRAPPED), b"after\x0a\x03AES"].concat();
        assert_eq!(decrypt(&find(&among).unwrap(), &bytes(EMPTY_BLOCK)), expected);
        // a length of two bytes: unknown fields make the message longer
        let message = [&bytes(WRAPPED)[1..], b"\x7a\x50".as_slice(), &[0; 0x50]].concat();
        let len = u8::try_from(message.len() - 128).unwrap() | 0x80;
        let long = [&[7, len, 1], &message[..], &[8]].concat();
        assert_eq!(decrypt(&find(&long).unwrap(), &bytes(EMPTY_BLOCK)), expected);
        let mut damaged = among.clone();
        damaged[40] ^= 1;
        assert!(find(&damaged).is_none() && find(b"").is_none() && find(b"\x0a\x03AES").is_none());
        assert!(BlockCipher::find(&among, &[7; 16]).is_none());
    }

    /// IVs and sizes of consecutive blocks in a file written by HBase 2.6.4, with their headers.
    #[test]
    fn ivs_are_counted_as_by_hbase() {
        for (iv, len, next) in [
            ("933890f836e9252689c1fbba8b56ef02", 75, "983890f836e9252689c1fbba8b56ef02"),
            ("4fb292b7c14604467687d2a589317c69", 133, "58b292b7c14604467687d2a589317c69"),
            ("95773aaca5d04d733cb5787c6b9bfae2", 544, "b8773aaca5d04d733cb5787c6b9bfae2"),
            // the first byte is the least significant
            ("ff000000000000000000000000000000", 33, "02010000000000000000000000000000"),
            ("feffffffffffffffffffffffffffffff", 33, "01000000000000000000000000000000"),
            ("00000000000000000000000000000000", 16 * 65_535, "00000100000000000000000000000000"),
        ] {
            assert_eq!(next_iv(bytes(iv).try_into().unwrap(), len).to_vec(), bytes(next), "{iv}");
        }
    }

    #[test]
    fn data_blocks_and_others_have_ivs_of_their_own() {
        let mut encryptor = BlockEncryptor::new(&data_key(), [[1; 16], [2; 16]]).unwrap();
        let mut encrypt = |is_data, plain: &[u8]| {
            let mut stored = [[0; 33].as_slice(), &[0; PREFIX_LEN], plain].concat();
            encryptor.encrypt(is_data, &mut stored, 33).unwrap();
            assert_eq!(stored[..33], [0; 33]);
            stored.split_off(33)
        };
        let cipher = BlockCipher(imp::Key::new(&data_key()).unwrap());
        let ivs = [(true, 1), (false, 2), (true, 6), (true, 11), (false, 7)].map(|(is_data, first)| {
            let payload = encrypt(is_data, b"some plain text");
            assert_eq!(decrypt(&cipher, &payload).unwrap(), b"some plain text");
            assert_eq!((payload[0], payload[1]), (16, first));
            payload[1..17].to_vec()
        });
        assert!(ivs.iter().enumerate().all(|(i, iv)| !ivs[..i].contains(iv)));
        // an empty payload does not consume an iv
        assert_eq!(encrypt(true, b""), [0]);
        assert_eq!(encrypt(true, b"x")[1], 16);
        let error = encryptor.encrypt(true, &mut vec![0; 40], 33).unwrap_err();
        assert_eq!(error.to_string(), "a block to encrypt has no room for its iv");
    }

    proptest! {
        #[test]
        fn the_counter_is_of_128_bits_and_big_endian(
            key in prop::sample::select(vec![16usize, 24, 32]),
            byte: u8,
            iv: [u8; 16],
            plain in prop::collection::vec(any::<u8>(), 0..100),
        ) {
            // reference implementation: one block of key stream per IV
            let key = imp::Key::new(&vec![byte; key]).unwrap();
            let mut counter = u128::from_be_bytes(iv);
            let mut expected = Vec::new();
            for chunk in plain.chunks(16) {
                let mut block = chunk.to_vec();
                imp::apply(&key, counter.to_be_bytes(), &mut block).unwrap();
                expected.extend(block);
                counter = counter.wrapping_add(1);
            }
            let payload = [&[16], &iv[..], &plain].concat();
            prop_assert_eq!(decrypt(&BlockCipher(key), &payload).unwrap(), expected);
        }
    }
}
