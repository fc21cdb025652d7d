//! Files with certificates and private keys (HBase: `KeyStoreFileType`).

use hregion::{Error, ErrorKind, Result};
use p12_keystore::{KeyStore, KeyStoreEntry, Pkcs12ImportPolicy};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A file, which is read when it is needed.
#[derive(Clone)]
pub(crate) struct KeyFile {
    path: PathBuf,
    form: Form,
    password: String,
}

#[derive(Clone, Copy, Debug)]
enum Form {
    Pem,
    Pkcs12,
}

/// Files are longer than this only by mistake.
const MAX_LEN: u64 = 1 << 20;

type Chain = Vec<CertificateDer<'static>>;

impl KeyFile {
    /// Creates a key file of a type (`PEM`, `PKCS12`), or of the one that its extension shows.
    pub(crate) fn new(path: &Path, kind: Option<&str>, password: Option<&str>) -> Result<Self> {
        let extension = path.extension().unwrap_or_default().to_string_lossy();
        let form = match kind.unwrap_or(&extension).to_ascii_uppercase().as_str() {
            "PEM" => Form::Pem,
            "PKCS12" | "P12" | "PFX" if kind.is_none() => Form::Pkcs12,
            "PKCS12" => Form::Pkcs12,
            other => {
                let message = format!(
                    "{}: a file of type {other:?}, not PEM or PKCS12, is not supported",
                    path.display()
                );
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        };
        Ok(Self { path: path.to_owned(), form, password: password.unwrap_or_default().to_owned() })
    }

    /// Builds the error for a file that is not as expected.
    pub(super) fn wrong(&self, reason: &dyn fmt::Display) -> Error {
        Error::invalid_argument(format!("{}: {reason}", self.path.display()))
    }

    /// Reads the certificates to trust: all of a PEM file, or those that a PKCS12 file marks as trusted.
    pub(super) fn certificates(&self) -> Result<Chain> {
        match self.form {
            Form::Pem => self.pem_certificates(&self.read()?),
            Form::Pkcs12 => {
                let store = self.pkcs12()?;
                let trusted = store.entries().filter_map(|(_, entry)| match entry {
                    KeyStoreEntry::Certificate(certificate) => Some(der(certificate)),
                    _ => None,
                });
                Ok(trusted.collect())
            }
        }
    }

    /// Reads the private key, and the certificates that lead from it to one that others trust.
    pub(super) fn key(&self) -> Result<(Chain, PrivateKeyDer<'static>)> {
        match self.form {
            Form::Pem => {
                let bytes = self.read()?;
                const ENCRYPTED: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";
                if bytes.windows(ENCRYPTED.len()).any(|part| part == ENCRYPTED) {
                    let message = "an encrypted private key in a PEM file is not supported";
                    let message = format!("{}: {message}", self.path.display());
                    return Err(Error::new(ErrorKind::Unsupported, message));
                }
                let key = PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| self.wrong(&error))?;
                Ok((self.pem_certificates(&bytes)?, key))
            }
            Form::Pkcs12 => {
                let store = self.pkcs12()?;
                let (_, found) =
                    store.private_key_chain().ok_or_else(|| self.wrong(&"there is no private key"))?;
                let key = PrivateKeyDer::try_from(found.key().as_der().to_vec())
                    .map_err(|error| self.wrong(&error))?;
                Ok((found.certs().iter().map(der).collect(), key))
            }
        }
    }

    fn read(&self) -> Result<Vec<u8>> {
        let failed = |error| Error::io("read", &self.path, error);
        let mut bytes = Vec::new();
        let file = File::open(&self.path).map_err(failed)?;
        // Files that are not regular have no length, and a truncated file could be read without an error.
        file.take(MAX_LEN + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_LEN {
            let message = format!("{} has more than 1 MiB", self.path.display());
            return Err(Error::new(ErrorKind::Limit, message));
        }
        Ok(bytes)
    }

    fn pem_certificates(&self, bytes: &[u8]) -> Result<Chain> {
        let found: Result<Chain, _> = CertificateDer::pem_slice_iter(bytes).collect();
        found.map_err(|error| self.wrong(&error))
    }

    fn pkcs12(&self) -> Result<KeyStore> {
        KeyStore::from_pkcs12(&self.read()?, &self.password, Pkcs12ImportPolicy::Strict)
            .map_err(|error| self.wrong(&format!("not a PKCS12 file with that password: {error}")))
    }
}

fn der(certificate: &p12_keystore::Certificate) -> CertificateDer<'static> {
    CertificateDer::from(certificate.as_der().to_vec())
}

/// Without the password.
impl fmt::Debug for KeyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeyFile").field(&self.path).field(&self.form).finish()
    }
}
