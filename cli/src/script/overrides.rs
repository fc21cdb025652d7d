//! Settings of families that override those of a script; none of them changes an answer.

use super::family::FamilySettings;
use crate::settings::{self, Bloom};
use hregion::{Codec, DataBlockEncoding};
use std::str::FromStr;

/// One setting, for all families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Override {
    Bloom(Bloom),
    Encoding(DataBlockEncoding),
    Codec(Codec),
    BlockSize(u32),
}

impl FromStr for Override {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some(("bloom", name)) => Bloom::parse(name).map(Self::Bloom),
            Some(("encoding", name)) => settings::encoding(name).map(Self::Encoding),
            Some(("compression", name)) => settings::compression(name).map(Self::Codec),
            Some(("block_size", bytes)) => bytes
                .parse()
                .ok()
                .filter(|&bytes| bytes > 0)
                .map(Self::BlockSize)
                .ok_or_else(|| "expected a number of bytes".into()),
            _ => Err("expected bloom=, encoding=, compression= or block_size=".into()),
        }
    }
}

impl Override {
    /// Replaces the family's setting.
    pub(super) fn apply(self, family: &mut FamilySettings) {
        match self {
            Self::Bloom(bloom) => family.bloom = bloom.0,
            Self::Encoding(encoding) => family.encoding = encoding,
            Self::Codec(codec) => family.codec = codec,
            Self::BlockSize(bytes) => family.block_size = bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::BloomType;

    #[test]
    fn settings_have_the_names_of_scripts() {
        assert_eq!("encoding=DIFF".parse(), Ok(Override::Encoding(DataBlockEncoding::Diff)));
        assert_eq!("bloom=NONE".parse(), Ok(Override::Bloom(Bloom(None))));
        let prefix = Bloom(Some(BloomType::RowPrefixFixedLength(2)));
        assert_eq!("bloom=ROWPREFIX_FIXED_LENGTH:2".parse(), Ok(Override::Bloom(prefix)));
        assert_eq!("compression=GZ".parse(), Ok(Override::Codec(Codec::Gz)));
        assert_eq!("block_size=64".parse(), Ok(Override::BlockSize(64)));
        for wrong in ["", "versions=3", "encoding", "encoding=diff", "block_size=0", "block_size=64k"] {
            assert!(wrong.parse::<Override>().is_err(), "{wrong}");
        }
    }
}
