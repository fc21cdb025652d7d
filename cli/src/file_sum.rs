//! Lengths and sums of files.

use sha2::{Digest as _, Sha256};

/// The length of a file, and its SHA-256 in hexadecimal digits, if requested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileSum {
    pub(crate) bytes: u64,
    pub(crate) sha256: Option<String>,
}

/// The sum of a file that is being written or read.
#[derive(Debug)]
pub(crate) struct Summing {
    pub(crate) bytes: u64,
    sha256: Option<Box<Sha256>>,
}

impl Summing {
    /// Creates an empty sum; with `hashes` also the SHA-256, which takes time.
    pub(crate) fn new(hashes: bool) -> Self {
        Self { bytes: 0, sha256: hashes.then(Box::default) }
    }

    pub(crate) fn add(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if let Some(sha256) = &mut self.sha256 {
            sha256.update(bytes);
        }
    }

    pub(crate) fn sum(&self) -> FileSum {
        FileSum { bytes: self.bytes, sha256: self.sha256.as_deref().map(|sum| hex(sum.clone().finalize())) }
    }
}

/// Returns hexadecimal digits.
pub(crate) fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}
