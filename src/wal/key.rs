//! The keys of entries (wal.md §3; HBase: `WALKey`, `WALKeyImpl`).
#![warn(clippy::indexing_slicing)]

use super::checksum;
use super::dictionary::{Dictionaries, Dictionary};
use crate::cell::{MAX_FAMILY_LEN, MAX_ROW_LEN};
use crate::coding::{Cursor, put_varint};
use crate::error::Corruption;
use crate::proto::wal as message;
use crate::schema::TableName;
use crate::schema::region_name::is_encoded_name;
use prost::Message;

/// The key of an entry: the region of its edits, and their sequence id.
///
/// HBase: `WALKeyImpl`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WalKey {
    /// The encoded name of the region: 32 hexadecimal digits, or `1588230740` for the catalog.
    pub encoded_region_name: Vec<u8>,
    /// The name of the table: `table` or `namespace:table`.
    pub table_name: Vec<u8>,
    /// The number of the edit in its region. It increases along a log, with gaps. Numbers of different
    /// regions cannot be compared.
    pub sequence_id: i64,
    /// When the entry was written, in milliseconds since 1970.
    pub write_time: i64,
    /// The replicated families of the table, by name. Markers have none.
    pub scopes: Vec<(Vec<u8>, ReplicationScope)>,
    /// The UUIDs of the clusters that the edit has passed through; none if it was written in this cluster.
    pub cluster_ids: Vec<u128>,
    /// The group of the nonce; 0 for none.
    pub nonce_group: i64,
    /// The number by which a repeated request is recognized; 0 for none. May be negative.
    pub nonce: i64,
    /// Obsolete: the sequence id that the cells get instead of the key's; 0 for none.
    pub orig_sequence_id: i64,
    /// Attributes that coprocessors have set.
    pub extended_attributes: Vec<(String, Vec<u8>)>,
}

/// The targets to which edits of a family are replicated.
///
/// HBase: `HConstants.REPLICATION_SCOPE_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReplicationScope {
    /// Nowhere.
    Local,
    /// To all peers.
    Global,
    /// To all peers, in order.
    Serial,
}

impl ReplicationScope {
    /// Returns HBase's number: 0, 1 or 2.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Local => 0,
            Self::Global => 1,
            Self::Serial => 2,
        }
    }

    /// Returns the scope with HBase's number.
    #[must_use]
    pub fn from_code(code: i32) -> Option<Self> {
        [Self::Local, Self::Global, Self::Serial].into_iter().find(|scope| scope.code() == code)
    }
}

impl WalKey {
    /// Creates a key without scopes, nonces and attributes. `write_time` is in milliseconds since 1970.
    #[must_use]
    pub fn new(
        encoded_region_name: impl Into<Vec<u8>>,
        table_name: impl Into<Vec<u8>>,
        sequence_id: i64,
        write_time: i64,
    ) -> Self {
        Self {
            encoded_region_name: encoded_region_name.into(),
            table_name: table_name.into(),
            sequence_id,
            write_time,
            ..Self::default()
        }
    }

    /// Returns a length that the key does not exceed in a log with checksums and without dictionaries,
    /// whatever its numbers are. The key must have no scopes, nonces or attributes.
    pub(crate) fn max_len(&self) -> usize {
        const NUMBERS: usize = 4 * (1 + 10);
        // The field and the length of each name, of the attribute, and of its name and value.
        const STARTS: usize = 5 * (1 + 3);
        let names = self.encoded_region_name.len() + self.table_name.len();
        names + checksum::ATTRIBUTE.len() + checksum::ENTRY_LEN + NUMBERS + STARTS
    }

    /// Returns the sequence id of the cells.
    #[must_use]
    pub fn cell_sequence_id(&self) -> i64 {
        if self.orig_sequence_id > 0 { self.orig_sequence_id } else { self.sequence_id }
    }

    /// Returns the table and the encoded name of the region.
    ///
    /// # Errors
    ///
    /// If one of them is not a valid name.
    pub(crate) fn region(&self) -> Result<(TableName, &str), Corruption> {
        let table = std::str::from_utf8(&self.table_name).ok().and_then(|name| TableName::parse(name).ok());
        let table = table.ok_or_else(|| Corruption::unknown_name("table", &self.table_name))?;
        let region = std::str::from_utf8(&self.encoded_region_name).ok().filter(|name| is_encoded_name(name));
        let region = region.ok_or_else(|| Corruption::unknown_name("region", &self.encoded_region_name))?;
        Ok((table, region))
    }

    /// Reads a key. Returns it with the number of cells that follow it, and the checksum of the entry if
    /// `checksums` is set. The bytes of its names, which may come from dictionaries, are at most `max_bytes`.
    pub(super) fn parse(
        bytes: &[u8],
        mut dictionaries: Option<&mut Dictionaries>,
        checksums: bool,
        max_bytes: usize,
    ) -> Result<ParsedKey, Corruption> {
        let key = message::WALKey::decode(bytes)
            .map_err(|_| Corruption::Malformed("key that is not a WALKey message"))?;
        let (Some(region), Some(table), Some(sequence_id), Some(write_time)) =
            (key.encoded_region_name, key.table_name, key.log_sequence_number, key.write_time)
        else {
            return Err(Corruption::Malformed(
                "key without a region, a table, a sequence number or a write time",
            ));
        };
        // in the order of the fields, in which the writer filled the dictionaries
        let mut names = Names { left: max_bytes };
        let region = names.get(region, dictionaries.as_deref_mut().map(|d| &mut d.region), MAX_ROW_LEN)?;
        let table = names.get(table, dictionaries.as_deref_mut().map(|d| &mut d.table), MAX_ROW_LEN)?;
        let mut scopes = Vec::new();
        for scope in key.scopes {
            let (Some(family), Some(code)) = (scope.family, scope.scope_type) else {
                return Err(Corruption::Malformed("scope without a family or a type"));
            };
            let family =
                names.get(family, dictionaries.as_deref_mut().map(|d| &mut d.family), MAX_FAMILY_LEN)?;
            let code = ReplicationScope::from_code(code)
                .ok_or_else(|| Corruption::Unknown { what: "scope type", value: code.into() })?;
            scopes.push((family, code));
        }
        let mut extended_attributes = Vec::new();
        for attribute in key.extended_attributes {
            let (Some(name), Some(value)) = (attribute.key, attribute.value) else {
                return Err(Corruption::Malformed("extended attribute without a name or a value"));
            };
            let table = dictionaries.as_deref_mut().map(|d| &mut d.table);
            extended_attributes.push((name, names.get(value, table, max_bytes)?));
        }
        let checksum = match extended_attributes.last() {
            Some((name, _)) if checksums && name == checksum::ATTRIBUTE => {
                extended_attributes.pop().map(|(_, value)| value)
            }
            _ => None,
        };
        let mut cluster_ids = Vec::new();
        for id in key.cluster_id.into_iter().chain(key.cluster_ids) {
            let (Some(least), Some(most)) = (id.least_sig_bits, id.most_sig_bits) else {
                return Err(Corruption::Malformed(
                    "cluster id without its least or its most significant bits",
                ));
            };
            cluster_ids.push(u128::from(most) << 64 | u128::from(least));
        }
        let parsed = Self {
            encoded_region_name: region,
            table_name: table,
            sequence_id: sequence_id.cast_signed(),
            write_time: write_time.cast_signed(),
            scopes,
            cluster_ids,
            nonce_group: key.nonce_group.unwrap_or_default().cast_signed(),
            nonce: key.nonce.unwrap_or_default().cast_signed(),
            orig_sequence_id: key.orig_sequence_number.unwrap_or_default().cast_signed(),
            extended_attributes,
        };
        Ok(ParsedKey { key: parsed, cells: key.following_kv_count.unwrap_or_default(), checksum })
    }

    /// Appends the key of an entry with this number of cells, after its length. The attribute `checksum` is
    /// the last field.
    pub(super) fn write(
        &self,
        cells: u32,
        dictionaries: Option<&mut Dictionaries>,
        checksum: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Corruption> {
        if dictionaries.is_none() && self.is_plain() {
            self.write_plain(cells, checksum, out);
            return Ok(());
        }
        self.write_any(cells, dictionaries, checksum, out)
    }

    /// Whether only the required fields and the original sequence id are set.
    fn is_plain(&self) -> bool {
        self.scopes.is_empty()
            && self.cluster_ids.is_empty()
            && self.extended_attributes.is_empty()
            && (self.nonce_group, self.nonce) == (0, 0)
    }

    /// Like [`write_any`](Self::write_any), for a plain key without dictionaries. Allocates only space in
    /// `out`.
    fn write_plain(&self, cells: u32, checksum: Option<&[u8]>, out: &mut Vec<u8>) {
        // A field's number and type, in front of its value.
        const REGION: u8 = 1 << 3 | 2;
        const TABLE: u8 = 2 << 3 | 2;
        const SEQUENCE_ID: u8 = 3 << 3;
        const WRITE_TIME: u8 = 4 << 3;
        const CELLS: u8 = 7 << 3;
        const ORIGINAL: u8 = 11 << 3;
        const ATTRIBUTE: u8 = 12 << 3 | 2;
        const NAME: u8 = 1 << 3 | 2;
        const VALUE: u8 = 2 << 3 | 2;
        let bytes_len = |bytes: &[u8]| 1 + varint_len(bytes.len() as u64) + bytes.len();
        let numbers = [
            (SEQUENCE_ID, self.sequence_id.cast_unsigned()),
            (WRITE_TIME, self.write_time.cast_unsigned()),
            (CELLS, cells.into()),
            (ORIGINAL, self.orig_sequence_id.cast_unsigned()),
        ];
        // Only the last one may be missing.
        let numbers = numbers.iter().take(if self.orig_sequence_id == 0 { 3 } else { 4 });
        let attribute =
            checksum.map(|value| (value, bytes_len(checksum::ATTRIBUTE.as_bytes()) + bytes_len(value)));
        let len = bytes_len(&self.encoded_region_name)
            + bytes_len(&self.table_name)
            + numbers.clone().map(|(_, number)| 1 + varint_len(*number)).sum::<usize>()
            + attribute.map_or(0, |(_, len)| 1 + varint_len(len as u64) + len);
        put_varint(out, len as u64);
        let put_bytes = |out: &mut Vec<u8>, field: u8, bytes: &[u8]| {
            out.push(field);
            put_varint(out, bytes.len() as u64);
            out.extend_from_slice(bytes);
        };
        put_bytes(out, REGION, &self.encoded_region_name);
        put_bytes(out, TABLE, &self.table_name);
        for &(field, number) in numbers {
            out.push(field);
            put_varint(out, number);
        }
        if let Some((value, len)) = attribute {
            out.push(ATTRIBUTE);
            put_varint(out, len as u64);
            put_bytes(out, NAME, checksum::ATTRIBUTE.as_bytes());
            put_bytes(out, VALUE, value);
        }
    }

    /// Appends any key, as a message.
    fn write_any(
        &self,
        cells: u32,
        mut dictionaries: Option<&mut Dictionaries>,
        checksum: Option<&[u8]>,
        out: &mut Vec<u8>,
    ) -> Result<(), Corruption> {
        let region = item(&self.encoded_region_name, dictionaries.as_deref_mut().map(|d| &mut d.region))?;
        let table = item(&self.table_name, dictionaries.as_deref_mut().map(|d| &mut d.table))?;
        let mut scopes = Vec::with_capacity(self.scopes.len());
        for (family, scope) in &self.scopes {
            let family = item(family, dictionaries.as_deref_mut().map(|d| &mut d.family))?;
            scopes.push(message::FamilyScope { family: Some(family), scope_type: Some(scope.code()) });
        }
        let own = checksum.map(|value| (checksum::ATTRIBUTE, value));
        let others = self.extended_attributes.iter().map(|(name, value)| (name.as_str(), value.as_slice()));
        let mut extended_attributes = Vec::new();
        for (name, value) in others.filter(|(name, _)| *name != checksum::ATTRIBUTE).chain(own) {
            let value = item(value, dictionaries.as_deref_mut().map(|d| &mut d.table))?;
            extended_attributes.push(message::Attribute { key: Some(name.to_owned()), value: Some(value) });
        }
        let uuid = |id: &u128| message::Uuid {
            least_sig_bits: Some(low_bits(*id)),
            most_sig_bits: Some(low_bits(*id >> 64)),
        };
        let unless_zero = |value: i64| (value != 0).then_some(value.cast_unsigned());
        let key = message::WALKey {
            encoded_region_name: Some(region),
            table_name: Some(table),
            log_sequence_number: Some(self.sequence_id.cast_unsigned()),
            write_time: Some(self.write_time.cast_unsigned()),
            cluster_id: None,
            scopes,
            following_kv_count: Some(cells),
            cluster_ids: self.cluster_ids.iter().map(uuid).collect(),
            nonce_group: unless_zero(self.nonce_group),
            nonce: unless_zero(self.nonce),
            orig_sequence_number: unless_zero(self.orig_sequence_id),
            extended_attributes,
        };
        out.extend(key.encode_length_delimited_to_vec());
        Ok(())
    }
}

/// A key that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ParsedKey {
    pub(super) key: WalKey,
    /// The number of cells after the key.
    pub(super) cells: u32,
    /// The value of the attribute with the checksum.
    pub(super) checksum: Option<Vec<u8>>,
}

/// The names of a key.
struct Names {
    /// The number of bytes that further names may have.
    left: usize,
}

impl Names {
    /// Returns a name: the bytes of the field, or the item that they encode.
    fn get(
        &mut self,
        field: Vec<u8>,
        dictionary: Option<&mut Dictionary>,
        max: usize,
    ) -> Result<Vec<u8>, Corruption> {
        let Some(dictionary) = dictionary else { return Ok(field) };
        let mut cursor = Cursor::new(&field);
        let mut name = Vec::new();
        let len = dictionary.read(&mut cursor, self.left.min(max), &mut name)?;
        cursor.finish("bytes after a name in a key")?;
        self.left -= len;
        Ok(name)
    }
}

/// Returns the length of a varint.
fn varint_len(value: u64) -> usize {
    (1 + value.checked_ilog2().unwrap_or(0) / 7) as usize
}

/// Returns the bytes of a field for a name.
fn item(name: &[u8], dictionary: Option<&mut Dictionary>) -> Result<Vec<u8>, Corruption> {
    let Some(dictionary) = dictionary else { return Ok(name.to_vec()) };
    let mut field = Vec::with_capacity(name.len() + 4);
    dictionary.write(name, &mut field)?;
    Ok(field)
}

#[expect(clippy::cast_possible_truncation, reason = "only these bits are wanted")]
fn low_bits(value: u128) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::super::dictionary::Role;
    use super::*;
    use proptest::prelude::*;

    const REGION: &[u8] = b"1745fe77bf33478747262bea55877f36";

    fn key() -> WalKey {
        let mut key = WalKey::new(REGION, "w1", 36, 1_795_161_502_752);
        key.scopes = vec![(b"a".to_vec(), ReplicationScope::Global)];
        key
    }

    fn dictionaries(role: Role) -> Dictionaries {
        Dictionaries::new(role, false, false, 1 << 20)
    }

    fn write(key: &WalKey, dictionaries: Option<&mut Dictionaries>) -> Vec<u8> {
        let mut out = Vec::new();
        key.write(1, dictionaries, None, &mut out).unwrap();
        assert_eq!(usize::from(out[0]), out.len() - 1, "a short key");
        out
    }

    /// The plain entry of §14.
    #[test]
    fn a_plain_key_has_the_bytes_of_the_vector() {
        let time = [0x20, 0xff, 0xa0, 0xfc, 0xbe, 0x9f, 0x34];
        let expected = [
            b"\x38\x0a\x20".as_slice(),
            REGION,
            b"\x12\x02w1\x18\x24",
            &time,
            b"\x32\x05\x0a\x01a\x10\x01\x38\x01",
        ];
        let bytes = write(&key(), None);
        let time = WalKey::parse(&expected.concat()[1..], None, false, 1000).unwrap().key.write_time;
        let key = WalKey { write_time: time, ..key() };
        assert_eq!(write(&key, None), expected.concat());
        assert_eq!(bytes.len(), expected.concat().len());
        let parsed = WalKey::parse(&expected.concat()[1..], None, false, 1000).unwrap();
        assert_eq!(parsed, ParsedKey { key, cells: 1, checksum: None });
    }

    /// The entry with dictionaries of §14: region 3, table 1, family 1.
    #[test]
    fn a_key_of_known_names_has_the_bytes_of_the_vector() {
        let mut writer = dictionaries(Role::Writer);
        for (dictionary, names) in [
            (&mut writer.region, &[&b"r0"[..], b"r1", b"r2", REGION][..]),
            (&mut writer.table, &[&b"t0"[..], b"w1"][..]),
            (&mut writer.family, &[&b"f0"[..], b"a"][..]),
        ] {
            names.iter().for_each(|name| dictionary.write(name, &mut Vec::new()).unwrap());
        }
        let bytes = write(&key(), Some(&mut writer));
        assert_eq!(bytes[..12], *b"\x1b\x0a\x02\0\x03\x12\x02\0\x01\x18\x24\x20");
        assert_eq!(bytes[18..], *b"\x32\x06\x0a\x02\0\x01\x10\x01\x38\x01");
    }

    #[test]
    fn incomplete_keys_are_refused() {
        let good = write(&key(), None);
        WalKey::parse(&good[1..], None, false, 1000).unwrap();
        let parse = |bytes: &[u8]| WalKey::parse(bytes, None, false, 1000);
        assert!(parse(b"").is_err(), "a key of zeros");
        assert!(parse(&[0; 40]).is_err());
        for len in 1..good.len() - 10 {
            assert!(parse(&good[1..len]).is_err(), "{len}");
        }
        let scope = |scope_type| message::WALKey {
            encoded_region_name: Some(REGION.to_vec()),
            table_name: Some(b"t".to_vec()),
            log_sequence_number: Some(1),
            write_time: Some(1),
            scopes: vec![message::FamilyScope { family: Some(b"a".to_vec()), scope_type }],
            ..message::WALKey::default()
        };
        parse(&scope(Some(2)).encode_to_vec()).unwrap();
        assert!(parse(&scope(Some(3)).encode_to_vec()).is_err());
        assert!(parse(&scope(None).encode_to_vec()).is_err());
    }

    fn any_name() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(any::<u8>(), 0..4)
    }

    fn any_key() -> impl Strategy<Value = WalKey> {
        let scopes = proptest::collection::vec((any_name(), 0..3i32), 0..3);
        let attributes = proptest::collection::vec(("[a-z]{0,3}", any_name()), 0..3);
        let numbers = (any::<i64>(), any::<i64>(), any::<i64>(), any::<i64>(), any::<i64>());
        let ids = proptest::collection::vec(any::<u128>(), 0..3);
        (any_name(), any_name(), scopes, attributes, numbers, ids).prop_map(
            |(region, table, scopes, extended_attributes, numbers, cluster_ids)| {
                let scope = |(family, code)| (family, ReplicationScope::from_code(code).unwrap());
                WalKey {
                    scopes: scopes.into_iter().map(scope).collect(),
                    cluster_ids,
                    nonce_group: numbers.2,
                    nonce: numbers.3,
                    orig_sequence_id: numbers.4,
                    extended_attributes,
                    ..WalKey::new(region, table, numbers.0, numbers.1)
                }
            },
        )
    }

    proptest! {
        #[test]
        fn keys_survive(keys in proptest::collection::vec(any_key(), 1..8), packed: bool, sealed: bool) {
            let (mut writer, mut reader) = (dictionaries(Role::Writer), dictionaries(Role::Reader));
            for (count, key) in (0u32..).zip(keys) {
                let mut out = Vec::new();
                let sum = sealed.then(|| checksum::of_entry(1, count.into(), 0).to_vec());
                key.write(count, packed.then_some(&mut writer), sum.as_deref(), &mut out).unwrap();
                let mut cursor = Cursor::new(&out);
                let len = cursor.varint("length").unwrap();
                prop_assert_eq!(cursor.rest().len() as u64, len);
                let dictionaries = packed.then_some(&mut reader);
                let found = WalKey::parse(cursor.rest(), dictionaries, sealed, 1000).unwrap();
                prop_assert_eq!(found, ParsedKey { key, cells: count, checksum: sum });
            }
        }

        #[test]
        fn plain_keys_are_written_as_any(
            names in (any_name(), any_name()),
            numbers in (any::<i64>(), any::<i64>(), any::<u32>()),
            sealed: bool,
        ) {
            let key = WalKey::new(names.0, names.1, numbers.0 >> (numbers.2 % 64), numbers.1);
            prop_assert!(key.is_plain());
            let sum = sealed.then(|| checksum::of_entry(1, u64::MAX, 3));
            let sum = sum.as_ref().map(|value| &value[..]);
            let (mut plain, mut any) = (Vec::new(), Vec::new());
            key.write_plain(numbers.2, sum, &mut plain);
            key.write_any(numbers.2, None, sum, &mut any).unwrap();
            prop_assert!(plain.len() <= key.max_len());
            prop_assert_eq!(plain, any);
        }

        #[test]
        fn no_bytes_make_it_panic(keys: Vec<Vec<u8>>, sealed: bool) {
            let mut reader = dictionaries(Role::Reader);
            for key in keys {
                let _ = WalKey::parse(&key, None, sealed, 100);
                let _ = WalKey::parse(&key, Some(&mut reader), sealed, 100);
            }
        }
    }
}
