//! Region names, which are the row keys of the catalog (locator.md §2; HBase: `RegionInfo.parseRegionName`).
#![warn(clippy::indexing_slicing)]

use super::{RegionInfo, TableName};
use crate::binary::{StringBinary, from_string_binary, is_hex};
use crate::error::{Corruption, Result};
use crate::hash::{jenkins, md5_hex};
use bytes::Bytes;
use std::fmt;

/// The name of a region: `table,start key,id[_replica][.encoded.]` (HBase: `RegionInfo#getRegionName`).
///
/// The start key may contain any bytes, including commas, so a name is parsed from both ends. The name does
/// not contain the end key. Only names that are reproduced exactly when written are accepted: the id has no
/// leading zeros, and a replica has four upper-case hexadecimal digits, which the primary omits.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct RegionName {
    /// As bytes: the old `-ROOT-` and `.META.` are not valid [`TableName`]s.
    table: Bytes,
    start_key: Bytes,
    region_id: i64,
    replica_id: u16,
    /// The 32 bytes between the two dots; `None` in names of catalog regions and of regions of HBase 0.20.
    hash: Option<[u8; HASH_LEN]>,
}

const DELIMITER: u8 = b',';
const REPLICA_DELIMITER: u8 = b'_';
const REPLICA_LEN: usize = 4;
const HASH_LEN: usize = 32;

impl RegionName {
    /// Parses a name.
    ///
    /// # Errors
    ///
    /// If it is not a valid name.
    pub fn parse(name: &[u8]) -> Result<Self, Corruption> {
        let none = || Corruption::unknown_name("region", name);
        let (rest, hash) = match split_hash(name) {
            Some((rest, hash)) => (rest, Some(*hash)),
            None => (name, None),
        };
        let first = rest.iter().position(|&c| c == DELIMITER).ok_or_else(none)?;
        let (table, rest) = rest.split_at(first);
        let rest = rest.get(1..).unwrap_or_default();
        let last = rest.iter().rposition(|&c| c == DELIMITER).ok_or_else(none)?;
        let (start_key, tail) = rest.split_at(last);
        let tail = tail.get(1..).unwrap_or_default();
        let (digits, replica_id) = split_replica(tail).ok_or_else(none)?;
        let text = std::str::from_utf8(digits).map_err(|_| none())?;
        let region_id: i64 = text.parse().map_err(|_| none())?;
        if table.is_empty() || region_id.to_string() != text {
            return Err(none());
        }
        let (table, start_key) = (Bytes::copy_from_slice(table), Bytes::copy_from_slice(start_key));
        Ok(Self { table, start_key, region_id, replica_id, hash })
    }

    /// Parses a printed name, as written by [`Display`](fmt::Display). The encoded name after an old name may
    /// be missing.
    ///
    /// # Errors
    ///
    /// If it is not a valid name.
    pub fn parse_printable(text: &str) -> Result<Self, Corruption> {
        let bytes = from_string_binary(text);
        let old = bytes.iter().rposition(|&c| c == b'.').and_then(|dot| {
            let (name, encoded) = (Self::parse(bytes.get(..dot)?).ok()?, bytes.get(dot + 1..)?);
            (name.hash.is_none() && name.encoded_name().as_bytes() == encoded).then_some(name)
        });
        old.map_or_else(|| Self::parse(&bytes), Ok)
    }

    /// Returns the table.
    ///
    /// # Errors
    ///
    /// If it is not a valid table name, such as those of the catalogs before 0.96, `-ROOT-` and `.META.`.
    pub fn table(&self) -> Result<TableName, Corruption> {
        let name = std::str::from_utf8(&self.table).ok().and_then(|name| TableName::parse(name).ok());
        name.ok_or_else(|| Corruption::unknown_name("table", &self.table))
    }

    /// Returns the first row of the region; empty for no bound.
    #[must_use]
    pub fn start_key(&self) -> &[u8] {
        &self.start_key
    }

    /// Returns the region's id: its creation time in milliseconds.
    #[must_use]
    pub fn region_id(&self) -> i64 {
        self.region_id
    }

    /// Returns the replica id; 0 is the primary, which accepts writes.
    #[must_use]
    pub fn replica_id(&self) -> u16 {
        self.replica_id
    }

    /// Returns the name of the region's directory: the part between the two dots, or, for an old name, its
    /// hash as a number.
    #[must_use]
    pub fn encoded_name(&self) -> String {
        match &self.hash {
            Some(hash) => String::from_utf8_lossy(hash).into_owned(),
            None => old_encoded_name(&self.without_hash()),
        }
    }

    /// Whether the part between the two dots is the hash of the part before it. Always true for an old name,
    /// which has no hash.
    #[must_use]
    pub fn has_valid_hash(&self) -> bool {
        self.hash.is_none_or(|hash| md5_hex(&self.without_hash()).as_bytes() == hash)
    }

    /// Whether this is the name of a region, in either the old or the new form.
    #[must_use]
    pub fn is_of(&self, region: &RegionInfo) -> bool {
        self.table == region.table().to_bytes()
            && self.start_key == region.start_key()
            && self.region_id == region.region_id()
            && self.replica_id == region.replica_id()
            && self.has_valid_hash()
    }

    /// Returns the name as bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut name = self.without_hash();
        if let Some(hash) = &self.hash {
            name.push(b'.');
            name.extend_from_slice(hash);
            name.push(b'.');
        }
        name
    }

    fn without_hash(&self) -> Vec<u8> {
        name_without_hash(&self.table, &self.start_key, self.region_id, self.replica_id)
    }
}

/// Splits `.encoded.` off the end of a name.
fn split_hash(name: &[u8]) -> Option<(&[u8], &[u8; HASH_LEN])> {
    let (rest, hash) = name.strip_suffix(b".")?.split_last_chunk::<HASH_LEN>()?;
    Some((rest.strip_suffix(b".")?, hash))
}

/// Splits the digits of the id from the replica id after them.
fn split_replica(tail: &[u8]) -> Option<(&[u8], u16)> {
    let Some(at) = tail.iter().position(|&c| c == REPLICA_DELIMITER) else { return Some((tail, 0)) };
    let (digits, replica) = tail.split_at_checked(at)?;
    let id = parse_replica(replica.get(1..)?)?;
    (id > 0).then_some((digits, id))
}

/// Parses a replica id of four upper-case hexadecimal digits.
pub(crate) fn parse_replica(digits: &[u8]) -> Option<u16> {
    let is_digit = |c: &u8| matches!(c, b'0'..=b'9' | b'A'..=b'F');
    let text = std::str::from_utf8(digits).ok()?;
    (digits.len() == REPLICA_LEN && digits.iter().all(is_digit))
        .then(|| u16::from_str_radix(text, 16).ok())?
}

/// Builds a name, or a key to search the catalog for, up to where the hash begins.
pub(super) fn name_without_hash(table: &[u8], start_key: &[u8], region_id: i64, replica_id: u16) -> Vec<u8> {
    let mut name = [table, &[DELIMITER], start_key, &[DELIMITER]].concat();
    name.extend_from_slice(region_id.to_string().as_bytes());
    if replica_id > 0 {
        name.extend_from_slice(format!("_{replica_id:04X}").as_bytes());
    }
    name
}

/// Returns the encoded name of a region whose name contains no hash.
pub(super) fn old_encoded_name(name: &[u8]) -> String {
    jenkins::hash(name, 0).cast_signed().unsigned_abs().to_string()
}

/// Whether this is a valid name of a region's directory: 32 lower-case hexadecimal digits, or a number.
#[must_use]
pub(crate) fn is_encoded_name(name: &str) -> bool {
    let is_hash = name.len() == HASH_LEN && is_hex(name);
    // The absolute value of `i32::MIN` is one more than `i32::MAX`.
    let is_number = || name.parse::<u32>().is_ok_and(|n| n <= 1 << 31 && n.to_string() == name);
    is_hash || is_number()
}

impl fmt::Display for RegionName {
    /// Writes the name as HBase prints it: an old name is followed by a dot and its encoded name.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", StringBinary(&self.to_bytes()))?;
        match self.hash {
            Some(_) => Ok(()),
            None => write!(f, ".{}", self.encoded_name()),
        }
    }
}

impl fmt::Debug for RegionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_of_the_specification() {
        for (name, encoded) in [
            ("-ROOT-,,0", "70236052"),
            (".META.,,1", "1028785192"),
            ("hbase:meta,,1", "1588230740"),
            ("hbase:meta,,1_0001", "534574363"),
        ] {
            let parsed = RegionName::parse(name.as_bytes()).unwrap();
            assert_eq!(parsed.encoded_name(), encoded);
            assert_eq!(parsed.to_string(), format!("{name}.{encoded}"));
            assert_eq!(RegionName::parse_printable(&parsed.to_string()), Ok(parsed.clone()));
            assert_eq!(RegionName::parse_printable(name), Ok(parsed));
            assert!(is_encoded_name(encoded));
        }
        for (name, start, replica, hash) in [
            ("t1,,1700000000000", &b""[..], 0, "43ae7364b4a555b93267937f9bc49ec1"),
            ("t1,row-0500,1700000000000", b"row-0500", 0, "1c15bc8dfe812af59db4455c0c23dbcb"),
            ("t1,row-0500,1700000000000_0001", b"row-0500", 1, "062ffe0a353f8dd6009b9d491f5ba38c"),
            ("t1,row-0500,1700000000000_001A", b"row-0500", 26, "75d66547bc263d218e2d77c6bf0b0ea2"),
            ("ns:t1,a,b\\x00,1700000000000", b"a,b\0", 0, "0ddfe777e6936f32dd3cf098846242af"),
        ] {
            let text = format!("{name}.{hash}.");
            let parsed = RegionName::parse_printable(&text).unwrap();
            assert_eq!((parsed.start_key(), parsed.replica_id()), (start, replica), "{name}");
            assert_eq!((parsed.encoded_name().as_str(), parsed.region_id()), (hash, 1_700_000_000_000));
            assert!(parsed.has_valid_hash() && is_encoded_name(hash));
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn invalid_names_are_rejected() {
        for name in [
            "",
            "t",
            "t,",
            "t,a",
            ",a,1",
            "t,a,",
            "t,a,x",
            "t,a,01",
            "t,a,+1",
            "t,a,1_0000",
            "t,a,1_001a",
            "t,a,1_1",
            "t,a,1.",
            "t,a,1.abc.",
            "t,a,1_0001_0002",
            "t,a,99999999999999999999",
        ] {
            assert!(RegionName::parse(name.as_bytes()).is_err(), "{name}");
        }
        for name in ["", "a", "00", "-1", "4294967295", "ABCDEFABCDEFABCDEFABCDEFABCDEFAB", "hbase"] {
            assert!(!is_encoded_name(name), "{name}");
        }
    }

    proptest! {
        #[test]
        fn names_of_regions_are_taken_apart(
            start: Vec<u8>,
            id: i64,
            replica: u16,
            table in "[a-z_][a-z.:-]{0,3}",
        ) {
            prop_assume!(TableName::parse(&table).is_ok());
            let name = name_without_hash(table.as_bytes(), &start, id, replica);
            for name in [name.clone(), [&name[..], b".", md5_hex(&name).as_bytes(), b"."].concat()] {
                let parsed = RegionName::parse(&name).unwrap();
                prop_assert_eq!(parsed.start_key(), &start);
                prop_assert_eq!((parsed.region_id(), parsed.replica_id()), (id, replica));
                prop_assert_eq!(parsed.table().unwrap().to_string(), table.clone());
                prop_assert!(parsed.has_valid_hash());
                prop_assert_eq!(RegionName::parse_printable(&parsed.to_string()), Ok(parsed));
            }
        }

        #[test]
        fn parsed_names_convert_back_to_bytes(
            name in "[a,._\\-0-9]{0,50}(\\.[0-9a-f]{32}\\.)?",
            bytes: Vec<u8>,
        ) {
            for name in [name.as_bytes(), &bytes] {
                if let Ok(parsed) = RegionName::parse(name) {
                    prop_assert_eq!(parsed.to_bytes(), name);
                }
            }
        }
    }
}
