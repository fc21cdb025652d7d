//! Encryption of new files (hfile.md §9; HBase: `Encryption.Context`,
//! `EncryptionUtil.createEncryptionContext`).

use super::options::HFileOptions;
use crate::binary::StringBinary;
use crate::block::crypto::{self, BlockEncryptor, SecretKey};
use crate::error::{Corruption, Error, Result};
use crate::schema::{Cipher, Family};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// The length of a data key in bytes; HBase accepts no other.
const DATA_KEY_LEN: usize = 16;
/// The valid lengths of a master key in bytes.
const MASTER_KEY_LENS: [usize; 3] = [16, 24, 32];

/// The encryption of a new file's blocks: the cipher, the data key, and the master key that wraps the data
/// key in the trailer.
///
/// Needs the feature `crypto`. `Debug` does not show keys.
///
/// HBase: `Encryption.Context`.
#[derive(Clone)]
pub struct Encryption {
    cipher: Cipher,
    master_key: SecretKey,
    /// `None` for a new random key in each file.
    data_key: Option<SecretKey>,
}

impl Encryption {
    /// Creates AES encryption with a new random data key for each file, wrapped with the cluster's master
    /// key: the 16, 24 or 32 bytes of an AES key.
    #[must_use]
    pub fn aes(master_key: impl Into<Arc<[u8]>>) -> Self {
        Self { cipher: Cipher::Aes, master_key: SecretKey::from(master_key), data_key: None }
    }

    /// Sets the data key, of 16 bytes (default: a new random one for each file).
    #[must_use]
    pub fn data_key(mut self, key: impl Into<Arc<[u8]>>) -> Self {
        self.data_key = Some(SecretKey::from(key));
        self
    }

    /// Returns the cipher.
    #[must_use]
    pub fn cipher(&self) -> Cipher {
        self.cipher
    }

    /// Returns the encryption of a new file of `family`; `encrypted_input` is whether an input file is
    /// encrypted. `None` if neither the family nor an input requires encryption.
    ///
    /// The master key is from `options`. The data key is the family's, if it has one; it may be wrapped with
    /// the alternate master key.
    ///
    /// # Errors
    ///
    /// If the file must be encrypted and the master key is missing, or no master key unwraps the family's
    /// key; if this build cannot encrypt.
    pub(crate) fn for_output(
        family: &Family,
        encrypted_input: bool,
        options: &HFileOptions,
    ) -> Result<Option<Self>> {
        let cipher = match (family.encryption, encrypted_input) {
            (None, false) => return Ok(None),
            (None, true) => Cipher::Aes,
            (Some(cipher), _) => cipher,
        };
        let name = StringBinary(family.name());
        crypto::check_supported()
            .map_err(|corruption| Error::not_supported(format!("a file of family {name}: {corruption}")))?;
        let Some(master_key) = options.master_keys.current.clone() else {
            let why =
                if family.encryption.is_some() { "ENCRYPTION is" } else { "its files are encrypted by" };
            return Err(Error::not_supported(format!(
                "a file of family {name} cannot be written in the clear, {why} {cipher}: give the \
                 cluster's master key"
            )));
        };
        let unwrap = |wrapped: &[u8]| {
            options.master_keys.unwrap(|key| crypto::unwrap_key(wrapped, key)).map_err(|corruption| {
                Error::invalid_argument(format!("ENCRYPTION_KEY of family {name}: {corruption}"))
            })
        };
        let data_key = family.encryption_key.as_deref().map(unwrap).transpose()?.flatten();
        Ok(Some(Self { cipher, master_key, data_key }))
    }

    /// Returns the encryption of a file that belongs to no family and is made from an encrypted one: with a
    /// new data key.
    pub(super) fn like_input(options: &HFileOptions) -> Result<Self> {
        match options.master_keys.current.clone() {
            Some(master_key) => Ok(Self { cipher: Cipher::Aes, master_key, data_key: None }),
            None => Err(Error::not_supported(
                "a file made of an encrypted one cannot be written in the clear: give the cluster's \
                 master key",
            )),
        }
    }

    /// Fails if the key lengths are invalid or this build cannot encrypt.
    pub(super) fn check(&self) -> Result<()> {
        crypto::check_supported().map_err(|corruption| Error::not_supported(corruption.to_string()))?;
        if !MASTER_KEY_LENS.contains(&self.master_key.as_bytes().len()) {
            return Err(Error::invalid_argument("the master key must have 16, 24 or 32 bytes"));
        }
        if self.data_key.as_ref().is_some_and(|key| key.as_bytes().len() != DATA_KEY_LEN) {
            return Err(Error::invalid_argument("the data key must have 16 bytes, as in HBase"));
        }
        Ok(())
    }

    /// Returns the encryptor for the blocks of one file, and the wrapped data key for its trailer.
    pub(super) fn begin(&self, path: &Path) -> Result<(BlockEncryptor, Vec<u8>)> {
        let random =
            || crypto::random::<16>().map_err(|error| Error::io("get random bytes for", path, error));
        let at = |corruption: Corruption| corruption.at(path, 0);
        let fresh;
        let key = match &self.data_key {
            Some(key) => key.as_bytes(),
            None => {
                fresh = random()?;
                &fresh
            }
        };
        let ivs = [random()?, random()?];
        let wrapped = crypto::wrap_key(key, self.master_key.as_bytes(), random()?).map_err(at)?;
        Ok((BlockEncryptor::new(key, ivs).map_err(at)?, wrapped))
    }
}

impl fmt::Debug for Encryption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encryption").field("cipher", &self.cipher).finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(feature = "crypto")]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::hfile::HFile;

    const MASTER_KEY: [u8; 16] = [3; 16];

    /// Returns the data key that a new file gets.
    fn data_key(encryption: &Encryption) -> Vec<u8> {
        let (_, wrapped) = encryption.begin(Path::new("file")).unwrap();
        crypto::unwrap_key(&wrapped, &MASTER_KEY).unwrap().as_bytes().to_vec()
    }

    fn for_output(family: &Family, encrypted_input: bool) -> Result<Option<Encryption>> {
        Encryption::for_output(family, encrypted_input, &HFile::options().master_key(MASTER_KEY))
    }

    #[test]
    fn each_file_has_a_data_key_of_its_own_unless_the_family_has_one() {
        let wrapped = crypto::wrap_key(&[5; 16], &MASTER_KEY, [0; 16]).unwrap();
        let (clear, encrypted) = (Family::new("f"), Family::new("f").encryption(Cipher::Aes));
        assert!(for_output(&clear, false).unwrap().is_none());
        for (family, encrypted_input) in [(&encrypted, false), (&encrypted, true), (&clear, true)] {
            let encryption = for_output(family, encrypted_input).unwrap().unwrap();
            let keys = [(); 4].map(|()| data_key(&encryption));
            assert!(keys.iter().enumerate().all(|(i, key)| key.len() == 16 && !keys[..i].contains(key)));
            let family = family.clone().encryption_key(wrapped.clone());
            let encryption = for_output(&family, encrypted_input).unwrap().unwrap();
            assert_eq!([(); 2].map(|()| data_key(&encryption)), [(); 2].map(|()| vec![5; 16]));
        }
        // a key alone does not enable encryption
        assert!(for_output(&clear.encryption_key(wrapped), false).unwrap().is_none());
    }

    #[test]
    fn encryption_without_a_key_is_rejected() {
        let (clear, encrypted) = (Family::new("f"), Family::new("f").encryption(Cipher::Aes));
        let without = |family, encrypted_input| {
            Encryption::for_output(family, encrypted_input, &HFile::options()).map(|found| found.is_none())
        };
        assert!(without(&clear, false).unwrap());
        for (family, encrypted_input, why) in
            [(&encrypted, false, "ENCRYPTION is AES"), (&clear, true, "its files are encrypted by AES")]
        {
            let error = without(family, encrypted_input).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains(why) && error.message().contains("family f"), "{error}");
        }
        let of_another = crypto::wrap_key(&[5; 16], &[4; 16], [0; 16]).unwrap();
        for wrapped in [of_another, b"garbage".to_vec(), Vec::new()] {
            let error = for_output(&encrypted.clone().encryption_key(wrapped), false).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidArgument);
            assert!(error.message().starts_with("ENCRYPTION_KEY of family f: "), "{error}");
        }
        // The key may be wrapped with the previous master key; files never are.
        let old = crypto::wrap_key(&[5; 16], &[4; 16], [0; 16]).unwrap();
        let options = HFile::options().master_key(MASTER_KEY).alternate_master_key([4; 16]);
        let family = encrypted.clone().encryption_key(old);
        let encryption = Encryption::for_output(&family, false, &options).unwrap().unwrap();
        assert_eq!(data_key(&encryption), [5; 16]);
        let alone = HFile::options().alternate_master_key([4; 16]);
        let error = Encryption::for_output(&family, false, &alone).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        // HBase accepts no other length for a data key
        let long = crypto::wrap_key(&[5; 32], &MASTER_KEY, [0; 16]).unwrap();
        let encryption = for_output(&encrypted.encryption_key(long), false).unwrap().unwrap();
        assert!(encryption.check().unwrap_err().message().contains("16 bytes"));
    }
}
