//! The checksums of the files of a store (HBase: `StoreUtils.getChecksumType`, `getBytesPerChecksum`).

use crate::block::ChecksumType;
use crate::error::Result;
use crate::hfile::MIN_BYTES_PER_CHECKSUM;
use crate::store::settings::{Reader, Setting};

/// Which checksums the blocks of new files have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Checksums {
    pub(crate) checksum_type: ChecksumType,
    /// The number of bytes that each covers.
    pub(crate) bytes: u32,
}

impl Default for Checksums {
    fn default() -> Self {
        Self { checksum_type: ChecksumType::Crc32c, bytes: 16 << 10 }
    }
}

impl Checksums {
    /// Reads the settings of a family.
    ///
    /// # Errors
    ///
    /// If there is no such type, or the number of bytes is not one that HBase takes.
    pub(crate) fn from_settings(family: &[u8], setting: Setting<'_, '_>) -> Result<Self> {
        const TYPE: &str = "hbase.hstore.checksum.algorithm";
        const BYTES: &str = "hbase.hstore.bytes.per.checksum";
        let (reader, default) = (Reader { family, setting }, Self::default());
        let checksum_type = match setting(TYPE) {
            None => default.checksum_type,
            Some(name) => [ChecksumType::Null, ChecksumType::Crc32, ChecksumType::Crc32c]
                .into_iter()
                .find(|kind| kind.name() == name)
                .ok_or_else(|| reader.unsupported(TYPE, name))?,
        };
        let bytes = reader.or(BYTES, i64::from(default.bytes))?;
        match u32::try_from(bytes) {
            Ok(bytes) if bytes >= MIN_BYTES_PER_CHECKSUM && i32::try_from(bytes).is_ok() => {
                Ok(Self { checksum_type, bytes })
            }
            _ => Err(reader.refused(format!("{BYTES} cannot be {bytes}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_or_refused() {
        let of = |kind: &'static str, bytes: &'static str| {
            let find = |key: &str| if key.ends_with("algorithm") { kind } else { bytes };
            Checksums::from_settings(b"f", &|key| Some(find(key)).filter(|text| !text.is_empty())).ok()
        };
        let found = |checksum_type, bytes| Some(Checksums { checksum_type, bytes });
        for (kind, bytes, expected) in [
            ("", "", found(ChecksumType::Crc32c, 16384)),
            ("CRC32", "4096", found(ChecksumType::Crc32, 4096)),
            ("NULL", "33", found(ChecksumType::Null, 33)),
            ("crc32", "", None),
            ("", "32", None),
            ("", "-1", None),
            ("", "4k", None),
            ("", "2147483648", None),
        ] {
            assert_eq!(of(kind, bytes), expected, "{kind:?} {bytes:?}");
        }
    }
}
