//! Regions: the table and key range of each (hfile.md §15.2, locator.md §2; HBase: `RegionInfo`).
#![warn(clippy::indexing_slicing)]

use super::region_name::{name_without_hash, old_encoded_name};
use super::{RegionName, TableName};
use crate::cell::MAX_ROW_LEN;
use crate::coding::{Cursor, put_varint};
use crate::error::{Corruption, Error, Result};
use crate::hash::md5_hex;
use crate::proto;
use crate::proto::seal::{self, SEAL_LEN};
use crate::proto::wire::delimited;
use bytes::Bytes;
use prost::Message;
use std::fmt;

/// A region: the rows of a table from a start key, inclusive, to an end key, exclusive (HBase: `RegionInfo`).
/// An empty key means no bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RegionInfo {
    table: TableName,
    start_key: Bytes,
    end_key: Bytes,
    region_id: i64,
    replica_id: u16,
    split: bool,
    offline: bool,
}

impl RegionInfo {
    /// Creates a region of a table, with a key range and an id, which is its creation time in milliseconds.
    ///
    /// # Errors
    ///
    /// If the key range is empty, or a key is longer than a row can be.
    pub fn new(
        table: TableName,
        start_key: impl Into<Bytes>,
        end_key: impl Into<Bytes>,
        region_id: i64,
    ) -> Result<Self> {
        let (start_key, end_key) = (start_key.into(), end_key.into());
        let (replica_id, split, offline) = (0, false, false);
        let info = Self { table, start_key, end_key, region_id, replica_id, split, offline };
        info.check().map_err(Error::invalid_argument)?;
        Ok(info)
    }

    /// Returns the region of the catalog, which covers all rows (HBase:
    /// `RegionInfoBuilder.FIRST_META_REGIONINFO`).
    #[must_use]
    pub fn meta() -> Self {
        Self {
            table: TableName::meta(),
            start_key: Bytes::new(),
            end_key: Bytes::new(),
            region_id: 1,
            replica_id: 0,
            split: false,
            offline: false,
        }
    }

    /// Reads the content of a `.regioninfo`: "PBUF" and a delimited message. Anything after a message without
    /// a seal is ignored.
    pub(crate) fn parse_file(bytes: &[u8]) -> Result<Self, Corruption> {
        let is_sealed = seal::check(bytes)?;
        let message = bytes.strip_prefix(proto::MAGIC).ok_or_else(|| match bytes.first() {
            // the version of a `Writable`; only zeros are what a crash of some file systems leaves
            Some(0 | 1) if bytes.iter().any(|byte| *byte != 0) => Corruption::Unsupported {
                what: "region info",
                name: "before version 0.96".into(),
                hint: Some("HBase 0.96 to 1.x rewrite it when they open the region"),
            },
            _ => Corruption::Malformed("region info does not start with PBUF"),
        })?;
        let message = delimited(&mut Cursor::new(message), "region info")?;
        if !is_sealed {
            seal::refuse_seal_in(message)?;
        }
        Self::parse(message)
    }

    /// Reads a message, as in the catalog after "PBUF", or in the manifest of a snapshot.
    pub(crate) fn parse(message: &[u8]) -> Result<Self, Corruption> {
        let info = proto::region::RegionInfo::decode(message)
            .map_err(|_| Corruption::Malformed("region info that is not a RegionInfo message"))?;
        let (Some(region_id), Some(table)) = (info.region_id, info.table_name) else {
            return Err(Corruption::Malformed("region info without a region id or a table"));
        };
        let replica_id = info.replica_id.unwrap_or_default();
        let info = Self {
            table: TableName::from_proto(table)?,
            start_key: info.start_key.unwrap_or_default().into(),
            end_key: info.end_key.unwrap_or_default().into(),
            region_id: region_id.cast_signed(),
            replica_id: u16::try_from(replica_id).map_err(|_| {
                Corruption::out_of_range("replica id of the region", replica_id.into(), 0, u16::MAX.into())
            })?,
            split: info.split.unwrap_or_default(),
            offline: info.offline.unwrap_or_default(),
        };
        info.check().map_err(Corruption::Malformed)?;
        Ok(info)
    }

    /// Returns the content of a `.regioninfo`, as HBase writes it except for the seal.
    pub(crate) fn to_file(&self) -> Vec<u8> {
        let message = self.to_message();
        let mut file = proto::MAGIC.to_vec();
        put_varint(&mut file, (message.len() + SEAL_LEN) as u64);
        file.extend_from_slice(&message);
        seal::seal(&mut file);
        file
    }

    /// Returns the content of a `.regioninfo` without a seal, as HBase writes it.
    #[cfg(test)]
    pub(crate) fn to_unsealed_file(&self) -> Vec<u8> {
        let message = self.to_message();
        let mut file = proto::MAGIC.to_vec();
        put_varint(&mut file, message.len() as u64);
        file.extend_from_slice(&message);
        file
    }

    /// Encodes the region as HBase's message `RegionInfo`.
    #[must_use]
    pub fn to_proto_bytes(&self) -> Vec<u8> {
        self.to_message()
    }

    /// Returns the message, as in the manifest of a snapshot.
    pub(crate) fn to_message(&self) -> Vec<u8> {
        self.to_proto().encode_to_vec()
    }

    fn to_proto(&self) -> proto::region::RegionInfo {
        proto::region::RegionInfo {
            region_id: Some(self.region_id.cast_unsigned()),
            table_name: Some(self.table.to_proto()),
            start_key: Some(self.start_key.to_vec()),
            end_key: Some(self.end_key.to_vec()),
            offline: Some(self.offline),
            split: Some(self.split),
            replica_id: Some(self.replica_id.into()),
        }
    }

    /// Checks the key range. Returns the fault.
    fn check(&self) -> Result<(), &'static str> {
        if !self.end_key.is_empty() && self.start_key >= self.end_key {
            return Err("end key of the region is not after its start key");
        }
        if self.start_key.len().max(self.end_key.len()) > MAX_ROW_LEN {
            return Err("key of the region is longer than a row can be");
        }
        Ok(())
    }

    /// Reads the value of a catalog cell: "PBUF" and a message; or the format used before 0.96.
    pub(crate) fn parse_cell(value: &[u8]) -> Result<Self, Corruption> {
        match value.strip_prefix(proto::MAGIC) {
            Some(message) => Self::parse(message),
            None => Self::parse_writable(value),
        }
    }

    /// Reads the format used before 0.96 (HBase: `HRegionInfo.readFields`): version 1, or version 0, which
    /// contains the table's descriptor.
    fn parse_writable(bytes: &[u8]) -> Result<Self, Corruption> {
        let mut cursor = Cursor::new(bytes);
        match cursor.u8("version of the region info")? {
            1 => {}
            0 => return Err(Corruption::unsupported("version of the region info", "0")),
            _ => {
                return Err(Corruption::Malformed(
                    "region info that begins neither with PBUF nor with a version",
                ));
            }
        }
        let end_key = cursor.vbytes("end key of the region")?;
        let offline = cursor.u8("offline flag of the region")? != 0;
        let region_id = cursor.i64("id of the region")?;
        let name = cursor.vbytes("name of the region")?;
        let split = cursor.u8("split flag of the region")? != 0;
        let start_key = cursor.vbytes("start key of the region")?;
        let table = cursor.vbytes("table of the region")?;
        cursor.i32("hash of the region info")?;
        cursor.finish("bytes after the region info")?;
        let table = std::str::from_utf8(table).ok().and_then(|name| TableName::parse(name).ok());
        let info = Self {
            table: table.ok_or(Corruption::Malformed("invalid table name"))?,
            start_key: Bytes::copy_from_slice(start_key),
            end_key: Bytes::copy_from_slice(end_key),
            region_id,
            replica_id: 0,
            split,
            offline,
        };
        if !RegionName::parse(name)?.is_of(&info) {
            return Err(Corruption::Malformed("region info with the name of another region"));
        }
        info.check().map_err(Corruption::Malformed)?;
        Ok(info)
    }

    /// Returns the value of a catalog cell, byte for byte as HBase writes it.
    pub(crate) fn to_cell(&self) -> Vec<u8> {
        [proto::MAGIC.as_slice(), &self.to_message()].concat()
    }

    /// Returns the same region with other marks. The catalog has both for the parent of a split.
    pub(crate) fn marked(&self, split: bool, offline: bool) -> Self {
        Self { split, offline, ..self.clone() }
    }

    /// Returns a region of another table with the same key range and id (HBase:
    /// `RestoreSnapshotHelper.cloneRegionInfo`).
    pub(crate) fn in_table(&self, table: &TableName) -> Self {
        Self { table: table.clone(), ..self.clone() }
    }

    /// Returns a region with the same key range and another id.
    pub(crate) fn with_id(&self, region_id: i64) -> Self {
        Self { region_id, ..self.clone() }
    }

    /// Returns the replica of the region with an id.
    #[must_use]
    pub fn replica(&self, replica_id: u16) -> Self {
        Self { replica_id, ..self.clone() }
    }

    /// Returns the id of new regions that replace others: `now`, or a greater id than all others have.
    ///
    /// # Errors
    ///
    /// If there is no greater one.
    pub(crate) fn id_after<'r>(others: impl IntoIterator<Item = &'r Self>, now: i64) -> Result<i64> {
        let Some(greatest) = others.into_iter().map(Self::region_id).max() else { return Ok(now) };
        let after = greatest.checked_add(1).map(|after| after.max(now));
        after.ok_or_else(|| {
            Error::not_supported(format!("no id is left for a new region: one has the id {greatest}"))
        })
    }

    /// Returns the table.
    #[must_use]
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// Returns the first row of the range; empty for no bound.
    #[must_use]
    pub fn start_key(&self) -> &[u8] {
        &self.start_key
    }

    /// Like [`start_key`](Self::start_key), as shared bytes.
    pub(crate) fn start_key_bytes(&self) -> &Bytes {
        &self.start_key
    }

    /// Returns the row before which the region ends; empty for no bound.
    #[must_use]
    pub fn end_key(&self) -> &[u8] {
        &self.end_key
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

    /// Whether the region is marked as split. On disk the mark is false even for a region that has been
    /// split.
    #[must_use]
    pub fn is_split(&self) -> bool {
        self.split
    }

    /// Whether the region is marked as not to be opened.
    #[must_use]
    pub fn is_offline(&self) -> bool {
        self.offline
    }

    /// Whether a row is in the region's key range.
    #[must_use]
    pub fn contains(&self, row: &[u8]) -> bool {
        row >= self.start_key() && (self.end_key.is_empty() || row < self.end_key())
    }

    /// Whether all rows of the region are rows of another one.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        let ends_within =
            other.end_key.is_empty() || !self.end_key.is_empty() && self.end_key() <= other.end_key();
        self.start_key() >= other.start_key() && ends_within
    }

    /// Whether a row can be one of both regions.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        let ends_after = |region: &Self, row: &[u8]| region.end_key.is_empty() || row < region.end_key();
        ends_after(self, other.start_key()) && ends_after(other, self.start_key())
    }

    /// Returns the name, as in the catalog: `table,start key,id.encoded.`
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        let mut name = self.name_without_hash();
        if !self.table.is_meta() {
            name.extend_from_slice(format!(".{}.", md5_hex(&name)).as_bytes());
        }
        name
    }

    /// Returns the name of the region's directory: 32 hexadecimal digits, or a number for the catalog.
    #[must_use]
    pub fn encoded_name(&self) -> String {
        let name = self.name_without_hash();
        if self.table.is_meta() { old_encoded_name(&name) } else { md5_hex(&name) }
    }

    /// Whether a directory of this name is the region's. Regions of HBase 0.20 and older have numbers as
    /// names, and replicas share the directory of the primary.
    pub(crate) fn is_encoded_as(&self, encoded: &str) -> bool {
        let name = Self { replica_id: 0, ..self.clone() }.name_without_hash();
        encoded == if encoded.len() == 32 { md5_hex(&name) } else { old_encoded_name(&name) }
    }

    fn name_without_hash(&self) -> Vec<u8> {
        name_without_hash(&self.table.to_bytes(), &self.start_key, self.region_id, self.replica_id)
    }
}

impl fmt::Display for RegionInfo {
    /// Writes the name as HBase prints it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", crate::binary::StringBinary(&self.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::to_hex;
    use proptest::prelude::*;

    fn region(table: &str, start: &'static [u8], id: i64, replica_id: u16) -> RegionInfo {
        let info = RegionInfo::new(TableName::parse(table).unwrap(), start, "", id).unwrap();
        RegionInfo { replica_id, ..info }
    }

    #[test]
    fn encoded_names_of_the_specification() {
        let id = 1_700_000_000_000;
        for (info, encoded) in [
            (region("hbase:meta", b"", 1, 0), "1588230740"),
            (region("hbase:meta", b"", 1, 1), "534574363"),
            (region("t1", b"", id, 0), "43ae7364b4a555b93267937f9bc49ec1"),
            (region("t1", b"row-0500", id, 0), "1c15bc8dfe812af59db4455c0c23dbcb"),
            (region("t1", b"row-0500", id, 1), "062ffe0a353f8dd6009b9d491f5ba38c"),
            (region("t1", b"row-0500", id, 26), "75d66547bc263d218e2d77c6bf0b0ea2"),
            (region("ns:t1", b"a,b\0", id, 0), "0ddfe777e6936f32dd3cf098846242af"),
        ] {
            assert_eq!(info.encoded_name(), encoded, "{info}");
            assert_eq!(info.is_encoded_as(encoded), info.replica_id == 0);
        }
        let info = region("t1", b"", id, 0);
        assert_eq!(info.to_string(), "t1,,1700000000000.43ae7364b4a555b93267937f9bc49ec1.");
        assert_eq!(region("hbase:meta", b"", 1, 0).to_string(), "hbase:meta,,1");
        assert_eq!(old_encoded_name(b"-ROOT-,,0"), "70236052");
    }

    #[test]
    fn the_cell_of_the_specification() {
        let hex = "504255460880d095ffbc31120d0a0764656661756c74120274311a08726f772d30353030\
                   2208726f772d30393030280030003800";
        let info =
            RegionInfo::new(TableName::parse("t1").unwrap(), "row-0500", "row-0900", 1_700_000_000_000);
        let cell = info.clone().unwrap().to_cell();
        assert_eq!(to_hex(&cell), hex);
        assert_eq!(RegionInfo::parse_cell(&cell), Ok(info.unwrap()));
    }

    #[test]
    fn cells_from_before_0_96_are_read() {
        let written = |split: u8, name: &[u8]| {
            let mut bytes = vec![1, 1, b'm', 1];
            bytes.extend_from_slice(&1_300_000_000_000_i64.to_be_bytes());
            bytes.push(u8::try_from(name.len()).unwrap());
            bytes.extend_from_slice(name);
            bytes.extend_from_slice(&[split, 1, b'a', 1, b't', 0, 0, 0, 7]);
            bytes
        };
        let info = RegionInfo::new(TableName::parse("t").unwrap(), "a", "m", 1_300_000_000_000).unwrap();
        let info = RegionInfo { offline: true, split: true, ..info };
        let bytes = written(1, &info.name());
        assert_eq!(RegionInfo::parse_cell(&bytes), Ok(info.clone()));
        assert_eq!(RegionInfo::parse_cell(&written(1, &info.name_without_hash())), Ok(info));
        assert!(RegionInfo::parse_cell(&written(0, b"t,b,1300000000000")).is_err());
        assert!((0..bytes.len()).all(|len| RegionInfo::parse_cell(&bytes[..len]).is_err()));
        assert!(RegionInfo::parse_cell(&[&bytes[..], b"x"].concat()).is_err());
    }

    #[test]
    fn invalid_files_are_refused() {
        let parse = RegionInfo::parse_file;
        assert!(parse(b"").is_err() && parse(b"PBUF").is_err() && parse(b"PBUF\0").is_err());
        assert!(parse(b"\x01xyz").unwrap_err().to_string().contains("0.96"));
        assert!(matches!(parse(&[0; 64]), Err(Corruption::Malformed(_))));
        let file = region("t", b"a", 5, 0).to_unsealed_file();
        let after = b"\n\n{NAME => 't,a,5'}";
        assert_eq!(parse(&[&file[..], after].concat()).unwrap(), region("t", b"a", 5, 0));
        let sealed = region("t", b"a", 5, 0).to_file();
        assert!(parse(&[&sealed[..], after].concat()).is_err());
        assert!(RegionInfo::new(TableName::parse("t").unwrap(), "b", "b", 1).is_err());
        let of =
            |start: Vec<u8>, end: Vec<u8>| RegionInfo::new(TableName::parse("t").unwrap(), start, end, 1);
        let row = vec![b'r'; MAX_ROW_LEN];
        let longest = of(Vec::new(), row.clone()).unwrap();
        assert_eq!(parse(&longest.to_file()), Ok(longest.clone()));
        let too_long = [&row[..], b"r"].concat();
        assert!(of(row, too_long.clone()).is_err() && of(too_long.clone(), Vec::new()).is_err());
        assert!(parse(&RegionInfo { end_key: too_long.into(), ..longest }.to_file()).is_err());
    }

    proptest! {
        #[test]
        fn written_infos_read_back(
            start: Vec<u8>,
            end: Vec<u8>,
            id: i64,
            replica_id: u16,
            split: bool,
            offline: bool,
        ) {
            let table = TableName::parse("ns:t").unwrap();
            if let Ok(info) = RegionInfo::new(table, start, end, id) {
                let info = RegionInfo { replica_id, split, offline, ..info };
                prop_assert_eq!(RegionInfo::parse_file(&info.to_file()), Ok(info));
            }
        }

        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, flip in 0..200usize) {
            let _ = RegionInfo::parse_file(&[b"PBUF", &bytes[..]].concat());
            let mut file = region("t", b"a", 5, 0).to_file();
            let bits = file.len() * 8;
            file[flip % bits / 8] ^= 1 << (flip % 8);
            if let Ok(info) = RegionInfo::parse_file(&file) {
                let _ = (info.name(), info.to_string(), info.encoded_name());
            }
        }
    }
}
