//! Ciphers of encrypted files (hfile.md §9; HBase: `Cipher`).

use std::fmt;

/// The cipher of the blocks of a family's files (HBase: `Cipher`, the attribute ENCRYPTION).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cipher {
    /// AES in counter mode with data keys of 16 bytes.
    Aes,
}

impl Cipher {
    /// Returns HBase's name, as in the attribute ENCRYPTION: `AES`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aes => "AES",
        }
    }

    /// Returns the cipher with a name, in any case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        name.eq_ignore_ascii_case("AES").then_some(Self::Aes)
    }
}

impl fmt::Display for Cipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
