//! Table descriptors: the settings of a table and its families (hfile.md §15.1; HBase: `TableDescriptor`,
//! `ColumnFamilyDescriptor`).
#![warn(clippy::indexing_slicing)]

mod settings;

use super::{Family, TableDescription, TableName};
use crate::binary::StringBinary;
use crate::error::{Corruption, Error, Result};
use crate::proto;
use crate::proto::hfile::BytesBytesPair;
use crate::proto::region::{ColumnFamilySchema, TableSchema};
use crate::proto::seal;
use prost::Message;
use settings::{FAMILY_ATTRIBUTES, Settings, family_of};
use std::collections::{BTreeMap, BTreeSet};

/// The maximum length of a descriptor in bytes. In memory, a message takes up to about 40 times as much: an
/// empty family takes two bytes in it.
const MAX_MESSAGE: usize = 4 << 20;

impl Family {
    /// Decodes the families of HBase's message `TableSchema`, sorted by name, and the name of the table.
    ///
    /// # Errors
    ///
    /// If the bytes are not such a message, or a setting is not understood.
    pub fn from_table_schema_bytes(message: &[u8]) -> Result<(TableName, Vec<Self>), Corruption> {
        let TableDescriptor { table, families, .. } = TableDescriptor::parse(message)?;
        Ok((table, families.into_iter().map(|(family, _)| family).collect()))
    }

    /// Encodes the settings of a new table as HBase's message `TableSchema`.
    ///
    /// # Errors
    ///
    /// If there is no family, two have the same name, or one is invalid.
    pub fn to_table_schema_bytes(table: &TableName, families: &[Self]) -> Result<Vec<u8>> {
        if families.is_empty() {
            return Err(Error::invalid_argument("a table needs at least one family"));
        }
        families.iter().try_for_each(Self::check)?;
        let names: BTreeSet<&[u8]> = families.iter().map(Self::name).collect();
        if names.len() < families.len() {
            return Err(Error::invalid_argument("two families have the same name"));
        }
        Ok(TableDescriptor::new(table.clone(), families).to_message())
    }
}

/// A table: its name, its families, and all other settings.
#[derive(Clone, Debug)]
pub(crate) struct TableDescriptor {
    table: TableName,
    settings: Settings,
    /// Sorted by name.
    families: Vec<(Family, Settings)>,
}

impl TableDescriptor {
    /// Reads the content of a `.tableinfo.<n>`: "PBUF" and a `TableSchema`.
    pub(crate) fn parse_file(bytes: &[u8]) -> Result<Self, Corruption> {
        if bytes.is_empty() {
            return Err(Corruption::Malformed("table descriptor without bytes"));
        }
        let is_sealed = seal::check(bytes)?;
        let message = bytes.strip_prefix(proto::MAGIC).ok_or_else(|| match bytes {
            // the version of a `Writable` (HBase 0.94: `HTableDescriptor.write`)
            [0, 0, 0, 1..=5, ..] => Corruption::Unsupported {
                what: "table descriptor",
                name: "before version 0.96".into(),
                hint: Some("HBase 0.96 to 1.x rewrite those of older versions"),
            },
            _ => Corruption::Malformed("table descriptor does not start with PBUF"),
        })?;
        if !is_sealed {
            seal::refuse_seal_in(message)?;
        }
        Self::parse(message)
    }

    /// Reads a `TableSchema`, as in the manifest of a snapshot.
    pub(crate) fn parse(message: &[u8]) -> Result<Self, Corruption> {
        if message.len() > MAX_MESSAGE {
            let (value, limit) = (message.len() as u64, MAX_MESSAGE as u64);
            return Err(Corruption::Limit { what: "bytes of a table descriptor", value, limit });
        }
        let schema = TableSchema::decode(message)
            .map_err(|_| Corruption::Malformed("table descriptor that is not a TableSchema message"))?;
        let table = schema.table_name.ok_or(Corruption::Malformed("table descriptor without a name"))?;
        let mut families = schema
            .column_families
            .into_iter()
            .map(|family| {
                let ColumnFamilySchema { name, attributes, configuration } = family;
                let settings = Settings { attributes, configuration };
                Ok((family_of(name.unwrap_or_default(), &settings)?, settings))
            })
            .collect::<Result<Vec<_>, Corruption>>()?;
        families.sort_by(|(a, _), (b, _)| a.name().cmp(b.name()));
        if !families.is_sorted_by(|(a, _), (b, _)| a.name() < b.name()) {
            return Err(Corruption::Malformed("table descriptor with two families of one name"));
        }
        let settings = Settings { attributes: schema.attributes, configuration: schema.configuration };
        Ok(Self { table: TableName::from_proto(table)?, settings, families })
    }

    /// Creates the descriptor of a table with these families.
    pub(crate) fn new(table: TableName, families: &[Family]) -> Self {
        let mut families: Vec<_> =
            families.iter().map(|family| (family.clone(), Settings::of(family))).collect();
        families.sort_by(|(a, _), (b, _)| a.name().cmp(b.name()));
        Self { table, settings: Settings::default(), families }
    }

    /// Returns the content of a `.tableinfo.<n>`, with a seal.
    pub(crate) fn to_file(&self) -> Vec<u8> {
        let mut file = [proto::MAGIC.as_slice(), &self.to_message()].concat();
        seal::seal(&mut file);
        file
    }

    /// Returns the `TableSchema`, as in the manifest of a snapshot.
    pub(crate) fn to_message(&self) -> Vec<u8> {
        let family = |(family, settings): &(Family, Settings)| ColumnFamilySchema {
            name: Some(family.name().to_vec()),
            attributes: settings.attributes.clone(),
            configuration: settings.configuration.clone(),
        };
        let schema = TableSchema {
            table_name: Some(self.table.to_proto()),
            attributes: self.settings.attributes.clone(),
            column_families: self.families.iter().map(family).collect(),
            configuration: self.settings.configuration.clone(),
        };
        schema.encode_to_vec()
    }

    /// Returns the descriptor of another table with the same settings.
    pub(crate) fn in_table(&self, table: &TableName) -> Self {
        Self { table: table.clone(), ..self.clone() }
    }

    /// Returns the table.
    pub(crate) fn table(&self) -> &TableName {
        &self.table
    }

    /// Returns the families, sorted by name.
    pub(crate) fn families(&self) -> impl ExactSizeIterator<Item = &Family> {
        self.families.iter().map(|(family, _)| family)
    }

    /// Returns a descriptor in which `families` replace those of the same names, or are added. Attributes not
    /// represented in a [`Family`], such as REPLICATION_SCOPE, are unchanged.
    pub(crate) fn with_families(&self, families: &[Family]) -> Self {
        let mut changed = self.clone();
        for family in families {
            let mut settings = Settings::of(family);
            let at = changed.families.binary_search_by(|(f, _)| f.name().cmp(family.name()));
            match at.ok().and_then(|at| changed.families.get_mut(at)) {
                Some((old, old_settings)) => {
                    // Attributes that a `Family` can represent but this one does not set are removed.
                    let is_kept = |pair: &&BytesBytesPair| {
                        let key = pair.first.as_deref().unwrap_or_default();
                        FAMILY_ATTRIBUTES.iter().all(|attribute| attribute.as_bytes() != key)
                    };
                    let others: Vec<_> = old_settings.attributes.iter().filter(is_kept).cloned().collect();
                    settings.attributes.extend(others);
                    (*old, *old_settings) = (family.clone(), settings);
                }
                None => changed.families.push((family.clone(), settings)),
            }
            changed.families.sort_by(|(a, _), (b, _)| a.name().cmp(b.name()));
        }
        changed
    }

    /// Returns a descriptor without a family.
    pub(crate) fn without_family(&self, name: &[u8]) -> Self {
        let mut changed = self.clone();
        changed.families.retain(|(family, _)| family.name() != name);
        changed
    }

    /// Returns a descriptor with a setting of the table, or without it. Like HBase since 2.0, writes it as an
    /// attribute.
    pub(crate) fn with_setting(&self, key: &str, value: Option<&str>) -> Self {
        let mut changed = self.clone();
        changed.settings.set(key, value);
        changed
    }

    /// Returns a descriptor with an attribute of a family that a [`Family`] does not represent, or without
    /// it.
    ///
    /// # Errors
    ///
    /// If there is no such family, a [`Family`] represents the attribute, or it is empty.
    pub(crate) fn with_family_attribute(&self, name: &[u8], key: &str, value: Option<&str>) -> Result<Self> {
        if FAMILY_ATTRIBUTES.contains(&key) {
            return Err(Error::invalid_argument(format!("{key} is an attribute of a Family")));
        }
        if key.is_empty() || value == Some("") {
            let message = format!("attribute {key:?} of family {} is empty", StringBinary(name));
            return Err(Error::invalid_argument(message));
        }
        let mut changed = self.clone();
        match changed.families.iter_mut().find(|(family, _)| family.name() == name) {
            Some((_, settings)) => settings.set(key, value),
            None => return Err(Error::no_such_family(name, self.families().map(Family::name))),
        }
        Ok(changed)
    }

    /// Returns all settings as text.
    pub(crate) fn description(&self) -> TableDescription {
        // attributes take precedence
        let mut attributes = self.settings.configuration_texts();
        attributes.extend(self.settings.attribute_texts());
        let families = self.families.iter().map(|(family, settings)| settings.description(family.name()));
        TableDescription { table: self.table.clone(), attributes, families: families.collect() }
    }

    /// Returns the differences between a family and the one of the same name, one line for each setting, or a
    /// single line if there is no family of that name.
    pub(crate) fn differences(&self, family: &Family) -> Vec<String> {
        let name = StringBinary(family.name());
        let Some((own, _)) = self.families.iter().find(|(own, _)| own.name() == family.name()) else {
            return vec![format!("there is no family {name}")];
        };
        let (own, given) = (Settings::of(own), Settings::of(family));
        let mut differences = Vec::new();
        // a key may be among both
        for (own, given) in [
            (own.attribute_texts(), given.attribute_texts()),
            (own.configuration_texts(), given.configuration_texts()),
        ] {
            let keys: BTreeSet<&String> = own.keys().chain(given.keys()).collect();
            for key in keys.into_iter().filter(|&key| own.get(key) != given.get(key)) {
                let value = |pairs: &BTreeMap<String, String>| {
                    pairs.get(key).map_or("not set", String::as_str).to_owned()
                };
                differences.push(format!("{name}: {key} is {}, given {}", value(&own), value(&given)));
            }
        }
        differences
    }

    /// Returns the settings of a family.
    fn settings_of(&self, family: &[u8]) -> Option<&Settings> {
        let at = self.families.binary_search_by(|(f, _)| f.name().cmp(family)).ok()?;
        self.families.get(at).map(|(_, settings)| settings)
    }

    /// Whether large values of a family are in MOB files.
    pub(crate) fn has_mob(&self, family: &[u8]) -> bool {
        let is_mob = self.settings_of(family).and_then(|settings| settings.get("IS_MOB"));
        is_mob.is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }

    /// Returns the first family whose large values are in MOB files.
    pub(crate) fn mob_family(&self) -> Option<&Family> {
        self.families().find(|family| self.has_mob(family.name()))
    }

    /// Fails if the table has values in MOB files, which can only be read.
    ///
    /// # Errors
    ///
    /// If it has; the error names the family.
    pub(crate) fn refuse_mob(&self) -> Result<(), Corruption> {
        let Some(family) = self.mob_family() else { return Ok(()) };
        Err(Corruption::Unsupported {
            what: "change of a table with values in MOB files: family",
            name: StringBinary(family.name()).to_string().into(),
            hint: Some("it can be read"),
        })
    }

    /// Returns a setting of a family: its own, or else the table's. `None` if neither has it. For an unknown
    /// family, returns the table's.
    pub(crate) fn setting(&self, family: &[u8], key: &str) -> Option<&str> {
        let of_family = self.settings_of(family).and_then(|settings| settings.get(key));
        of_family.or_else(|| self.settings.get(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TableChanges;
    use crate::proto::region::{self, NameStringPair};
    use crate::schema::{BloomType, Cipher, Codec, DataBlockEncoding, KeepDeletedCells};
    use proptest::prelude::*;
    use std::time::Duration;

    fn pair(key: &str, value: &str) -> BytesBytesPair {
        BytesBytesPair { first: Some(key.as_bytes().to_vec()), second: Some(value.as_bytes().to_vec()) }
    }

    fn setting(key: &str, value: &str) -> NameStringPair {
        NameStringPair { name: Some(key.to_owned()), value: Some(value.to_owned()) }
    }

    fn file(attributes: &[(&str, &str)], configuration: &[(&str, &str)]) -> Vec<u8> {
        let name = |name: &str| Some(name.as_bytes().to_vec());
        let schema = TableSchema {
            table_name: Some(region::TableName { namespace: name("default"), qualifier: name("t") }),
            attributes: vec![pair("of-table", "1"), pair("of-both", "1")],
            column_families: vec![ColumnFamilySchema {
                name: name("f"),
                attributes: attributes.iter().map(|(k, v)| pair(k, v)).collect(),
                configuration: configuration.iter().map(|(k, v)| setting(k, v)).collect(),
            }],
            configuration: vec![setting("of-configuration", "1")],
        };
        [proto::MAGIC.as_slice(), &schema.encode_to_vec()].concat()
    }

    fn family(attributes: &[(&str, &str)]) -> Result<Family, Corruption> {
        let descriptor = TableDescriptor::parse_file(&file(attributes, &[]))?;
        Ok(descriptor.families().next().unwrap().clone())
    }

    #[test]
    fn families_come_back_as_they_are() {
        let families = [
            Family::new("a")
                .max_versions(5)
                .min_versions(2)
                .ttl(Duration::from_secs(60))
                .keep_deleted_cells(KeepDeletedCells::Ttl),
            Family::new("b").bloom(None).data_block_encoding(DataBlockEncoding::FastDiff).codec(Codec::Gz),
            Family::new("c")
                .bloom(BloomType::RowPrefixFixedLength(3))
                .new_version_behavior(true)
                .block_size(99),
            Family::new("d").encryption(Cipher::Aes).encryption_key(b"\0\xff\x80".as_slice()),
            Family::new("e").encryption(Cipher::Aes),
        ];
        let table = TableName::parse("ns:t").unwrap();
        let read =
            TableDescriptor::parse_file(&TableDescriptor::new(table.clone(), &families).to_file()).unwrap();
        assert!(read.families().eq(&families) && read.table() == &table);
    }

    #[test]
    fn numbers_of_versions_that_hbase_does_not_have_are_its_greatest() {
        let table = TableName::parse("t").unwrap();
        let family = Family::new("f").max_versions(u32::MAX).min_versions(u32::MAX);
        let bytes = TableDescriptor::new(table, std::slice::from_ref(&family)).to_file();
        let read = TableDescriptor::parse_file(&bytes).unwrap();
        let expected = family.max_versions(i32::MAX.unsigned_abs()).min_versions(i32::MAX.unsigned_abs());
        assert!(read.families().eq([&expected]));
    }

    #[test]
    fn attributes_make_a_family() {
        assert_eq!(family(&[]), Ok(Family::new("f")));
        let set = family(&[
            ("VERSIONS", "5"),
            ("MIN_VERSIONS", "2"),
            ("TTL", "3600"),
            ("KEEP_DELETED_CELLS", "TTL"),
            ("NEW_VERSION_BEHAVIOR", "true"),
            ("BLOOMFILTER", "ROWCOL"),
            ("DATA_BLOCK_ENCODING", "FAST_DIFF"),
            ("COMPRESSION", "snappy"),
            ("BLOCKSIZE", "4096"),
            ("somebody's own", "\u{e4}"),
        ]);
        let expected = Family::new("f")
            .max_versions(5)
            .min_versions(2)
            .ttl(Duration::from_secs(3600))
            .bloom(BloomType::RowCol);
        let expected = expected.keep_deleted_cells(KeepDeletedCells::Ttl).new_version_behavior(true);
        let expected = expected.data_block_encoding(DataBlockEncoding::FastDiff).codec(Codec::Snappy);
        assert_eq!(set, Ok(expected.block_size(4096)));
        let encoding = family(&[("DATA_BLOCK_ENCODING", "fast_diff")]).unwrap().data_block_encoding;
        assert_eq!(encoding, DataBlockEncoding::FastDiff);
        for ttl in ["FOREVER", "forever", "2147483647", "-1"] {
            assert_eq!(family(&[("TTL", ttl)]).unwrap().ttl, None);
        }
        assert_eq!(family(&[("BLOOMFILTER", "NONE")]).unwrap().bloom, None);
    }

    #[test]
    fn min_versions_above_versions_are_read_and_not_created() {
        let attributes = [("VERSIONS", "2"), ("MIN_VERSIONS", "3")];
        assert_eq!(family(&attributes), Ok(Family::new("f").max_versions(2).min_versions(3)));
        let error = Family::from_attributes("f", attributes).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument, "{error}");
    }

    /// All that is written would be lost at the next flush.
    #[test]
    fn a_ttl_of_0_is_read_and_not_created() {
        let attributes = [("TTL", "0")];
        assert_eq!(family(&attributes), Ok(Family::new("f").ttl(Duration::ZERO)));
        let error = Family::from_attributes("f", attributes).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument, "{error}");
        assert!(Family::new("f").ttl(Duration::from_nanos(1)).check().is_ok());
    }

    /// HBase does not look them up there.
    #[test]
    fn attributes_of_a_family_are_not_in_its_configuration() {
        let others = [
            ("VERSIONS", "3"),
            ("TTL", "1"),
            ("KEEP_DELETED_CELLS", "TRUE"),
            ("NEW_VERSION_BEHAVIOR", "true"),
            ("BLOOMFILTER", "ROWCOL"),
            ("COMPRESSION", "ARC"),
        ];
        let descriptor = TableDescriptor::parse_file(&file(&[("VERSIONS", "2")], &others)).unwrap();
        let mut family = descriptor.families().next().unwrap().clone();
        assert_eq!(family.configuration.len(), others.len());
        let changed = family.clone().max_versions(4);
        assert_eq!(descriptor.differences(&changed), ["f: VERSIONS is 2, given 4"]);
        family.configuration.clear();
        assert_eq!(family, Family::new("f").max_versions(2));
    }

    #[test]
    fn attributes_that_are_not_text_are_refused() {
        for key in ["VERSIONS", "TTL", "BLOOMFILTER", "COMPRESSION"] {
            let attributes =
                vec![BytesBytesPair { first: Some(key.into()), second: Some(b"1\xff".to_vec()) }];
            let settings = Settings { attributes, configuration: Vec::new() };
            let error = family_of(b"f".to_vec(), &settings).unwrap_err();
            assert_eq!(error.to_string(), format!("{key} 1\\xFF is not supported"));
        }
    }

    #[test]
    fn invalid_attributes_are_rejected() {
        for (key, value) in [
            ("VERSIONS", "many"),
            ("VERSIONS", "0"),
            ("MIN_VERSIONS", "-1"),
            ("TTL", "-2"),
            ("TTL", "1 DAY"),
            ("KEEP_DELETED_CELLS", "MAYBE"),
            ("BLOOMFILTER", "RIBBON"),
            ("BLOOMFILTER", "ROWPREFIX_FIXED_LENGTH"),
            ("DATA_BLOCK_ENCODING", "PREFIX_TREE"),
            ("COMPRESSION", "ARC"),
            ("BLOCKSIZE", "64K"),
            ("ENCRYPTION", "DES"),
            ("ENCRYPTION", ""),
            ("ENCRYPTION", "NONE"),
        ] {
            assert!(family(&[(key, value)]).is_err(), "{key} {value}");
        }
        // HBase 1.x writes no length into the name.
        assert!(matches!(TableDescriptor::parse_file(b""), Err(Corruption::Malformed(_))));
        assert!(TableDescriptor::parse_file(b"PBUF").is_err());
        for damaged in [[0xff_u8; 100], [0; 100]] {
            assert!(matches!(TableDescriptor::parse_file(&damaged), Err(Corruption::Malformed(_))));
        }
        let of_0_94 = b"\0\0\0\x05\x01t";
        assert!(matches!(TableDescriptor::parse_file(of_0_94), Err(Corruption::Unsupported { .. })));
    }

    #[test]
    fn descriptors_have_a_greatest_length() {
        let of_len = |len: usize| family(&[("mine", "v".repeat(len).as_str())]);
        of_len(MAX_MESSAGE - 200).unwrap();
        let error = of_len(MAX_MESSAGE).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::Limit, "{error}");
    }

    #[test]
    fn encryption_is_read_as_it_is() {
        let set = |attributes: &[(&str, &[u8])]| {
            let pair = |(key, value): &(&str, &[u8])| BytesBytesPair {
                first: Some(key.as_bytes().to_vec()),
                second: Some(value.to_vec()),
            };
            let attributes = attributes.iter().map(pair).collect();
            family_of(b"f".to_vec(), &Settings { attributes, configuration: Vec::new() })
        };
        let wrapped = b"\x10\xff\0".as_slice();
        assert_eq!(
            set(&[("ENCRYPTION", b"aes"), ("ENCRYPTION_KEY", wrapped)]),
            Ok(Family::new("f").encryption(Cipher::Aes).encryption_key(wrapped))
        );
        assert_eq!(set(&[("ENCRYPTION_KEY", wrapped)]), Ok(Family::new("f").encryption_key(wrapped)));
        let error = set(&[("ENCRYPTION", b"DES")]).unwrap_err();
        assert_eq!(error.to_string(), "ENCRYPTION DES is not supported");
        let error = set(&[("ENCRYPTION", b"\xff")]).unwrap_err();
        assert_eq!(error.to_string(), "ENCRYPTION \\xFF is not supported");
    }

    #[test]
    fn an_altered_family_keeps_attributes_unknown_to_family() {
        let set = [("VERSIONS", "5"), ("ENCRYPTION", "AES"), ("REPLICATION_SCOPE", "1")];
        let descriptor = TableDescriptor::parse_file(&file(&set, &[("mine", "1")])).unwrap();
        let old = descriptor.families().next().unwrap().clone();
        assert!(descriptor.differences(&old).is_empty());
        let changed = Family::new("f").max_versions(2);
        let expected = [
            "f: ENCRYPTION is AES, given not set",
            "f: VERSIONS is 5, given 2",
            "f: mine is 1, given not set",
        ];
        assert_eq!(descriptor.differences(&changed), expected);
        let altered = descriptor.with_families(&[changed.clone(), Family::new("a")]);
        let altered = TableDescriptor::parse_file(&altered.to_file()).unwrap();
        assert_eq!(altered.families().collect::<Vec<_>>(), [&Family::new("a"), &changed]);
        let of = |key| altered.setting(b"f", key);
        assert_eq!((of("REPLICATION_SCOPE"), of("ENCRYPTION"), of("mine")), (Some("1"), None, None));
        assert_eq!(of("of-table"), Some("1"));
    }

    #[test]
    fn families_are_sorted_whatever_order_they_are_given_in() {
        let [f, g, h] = ["f", "g", "h"].map(Family::new);
        let table = TableName::parse("t").unwrap();
        let descriptor = TableDescriptor::new(table, &[g, f.clone(), h.clone()]);
        let changed = Family::new("g").max_versions(2);
        let after = descriptor.with_families(std::slice::from_ref(&changed));
        assert_eq!(after.families().collect::<Vec<_>>(), [&f, &changed, &h]);
        let of = |descriptor: &TableDescriptor| descriptor.setting(b"g", "VERSIONS").map(str::to_owned);
        assert_eq!((of(&descriptor), of(&after)), (Some("1".to_owned()), Some("2".to_owned())));
    }

    #[test]
    fn the_familys_settings_go_before_the_tables() {
        let prefix = ("RowPrefixBloomFilter.prefix_length", "7");
        let bytes = file(&[("BLOOMFILTER", "ROWPREFIX_FIXED_LENGTH")], &[prefix, ("of-both", "2")]);
        let descriptor = TableDescriptor::parse_file(&bytes).unwrap();
        let of = |family: &[u8], key| descriptor.setting(family, key);
        assert_eq!((of(b"f", "of-both"), of(b"g", "of-both")), (Some("2"), Some("1")));
        assert_eq!((of(b"f", "of-table"), of(b"f", "of-configuration")), (Some("1"), Some("1")));
        assert_eq!(of(b"f", "of-none"), None);
        let family = descriptor.families().next().unwrap();
        assert_eq!(family.bloom, Some(BloomType::RowPrefixFixedLength(7)));
        assert_eq!(descriptor.table().to_string(), "t");
    }

    #[test]
    fn attributes_that_are_no_members_of_a_family_are_set_and_shown() {
        let set = [("VERSIONS", "5"), ("REPLICATION_SCOPE", "1")];
        let before = TableDescriptor::parse_file(&file(&set, &[("IN_MEMORY", "false")])).unwrap();
        let after = before.with_family_attribute(b"f", "IN_MEMORY", Some("true")).unwrap();
        let after = after.with_family_attribute(b"f", "REPLICATION_SCOPE", None).unwrap();
        let after = after.with_family_attribute(b"f", "mine", Some("a\x01")).unwrap();
        let read = TableDescriptor::parse_file(&after.to_file()).unwrap();
        assert_eq!(read.families().next().unwrap().max_versions, 5);
        let description = read.description();
        let shown = description.families()[0].to_string();
        let expected = ["VERSIONS => '5'", "IN_MEMORY => 'true'", "REPLICATION_SCOPE => '0'"];
        assert!(expected.iter().all(|part| shown.contains(part)), "{shown}");
        assert!(shown.ends_with(", METADATA => {'mine' => 'a\\x01'}}"), "{shown}");
        assert_eq!(description.families()[0].attributes().get("REPLICATION_SCOPE"), None);
        let of_table = "{'of-both' => '1', 'of-configuration' => '1', 'of-table' => '1'}";
        assert_eq!(description.to_string(), format!("t, {{TABLE_ATTRIBUTES => {{METADATA => {of_table}}}}}"));

        for (family, key, value, expected) in [
            ("g", "IN_MEMORY", "true", "there is no family g"),
            ("f", "VERSIONS", "2", "VERSIONS is an attribute of a Family"),
            ("f", "", "v", "attribute \"\" of family f is empty"),
            ("f", "IN_MEMORY", "", "attribute \"IN_MEMORY\" of family f is empty"),
        ] {
            let error = before.with_family_attribute(family.as_bytes(), key, Some(value)).unwrap_err();
            assert!(error.to_string().contains(expected), "{error}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, flip: usize) {
            let _ = TableDescriptor::parse_file(&[b"PBUF", &bytes[..]].concat());
            let mut file = file(&[("TTL", "5"), ("VERSIONS", "3")], &[]);
            let bits = file.len() * 8;
            file[flip % bits / 8] ^= 1 << (flip % 8);
            let _ = TableDescriptor::parse_file(&file);
        }
    }

    #[test]
    fn attributes_by_name_make_a_family() {
        let attributes = [("VERSIONS", "3"), ("TTL", "FOREVER"), ("COMPRESSION", "gz"), ("a.b", "c")];
        let family = Family::from_attributes("f", attributes).unwrap();
        assert_eq!((family.max_versions, family.ttl, family.codec), (3, None, Codec::Gz));
        assert_eq!(family.configuration["a.b"], "c");
        assert_eq!(Family::from_attributes("f", []).unwrap(), Family::new("f"));
        for (name, key, value) in
            [("f", "VERSION", "3"), ("f", "VERSIONS", "x"), ("f", "ENCRYPTION_KEY", "k"), ("a:b", "TTL", "1")]
        {
            let error = Family::from_attributes(name, [(key, value)]).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidArgument, "{error}");
        }
    }

    #[test]
    fn messages_of_tables_are_made_and_changed() {
        let table = TableName::parse("n:t").unwrap();
        let families = [Family::new("f").max_versions(3), Family::new("g")];
        let message = Family::to_table_schema_bytes(&table, &families).unwrap();
        let read = |message: &[u8]| Family::from_table_schema_bytes(message).unwrap();
        assert_eq!(read(&message), (table.clone(), families.to_vec()));
        assert!(Family::to_table_schema_bytes(&table, &[]).is_err());
        assert!(Family::to_table_schema_bytes(&table, &[Family::new("a:b")]).is_err());
        assert!(Family::to_table_schema_bytes(&table, &[Family::new("f"), Family::new("f")]).is_err());

        let sealed = file(&[("REPLICATION_SCOPE", "1"), ("VERSIONS", "2")], &[]);
        let message = sealed.strip_prefix(proto::MAGIC).unwrap();
        let changes = TableChanges::new().family(Family::new("f").max_versions(9)).family(Family::new("h"));
        let changes = changes.set("DURABILITY", "SYNC_WAL").unset("of-both");
        let changed = changes.apply_to_table_schema_bytes(message).unwrap();
        let names: Vec<_> = read(&changed).1.iter().map(|family| family.name().to_vec()).collect();
        assert_eq!(names, [b"f", b"h"]);
        let after = TableDescriptor::parse(&changed).unwrap();
        for (family, key, value) in [
            ("f", "REPLICATION_SCOPE", Some("1")),
            ("f", "VERSIONS", Some("9")),
            ("", "DURABILITY", Some("SYNC_WAL")),
            ("", "of-table", Some("1")),
            ("", "of-configuration", Some("1")),
            ("", "of-both", None),
        ] {
            assert_eq!(after.setting(family.as_bytes(), key), value, "{key}");
        }
        let missing = TableChanges::new().delete_family("x").apply_to_table_schema_bytes(message);
        assert_eq!(missing.unwrap_err().kind(), crate::ErrorKind::NoSuchFamily);
        assert!(TableChanges::new().delete_family("f").apply_to_table_schema_bytes(message).is_err());
        assert!(TableChanges::new().apply_to_table_schema_bytes(b"\xff").is_err());
    }
}
