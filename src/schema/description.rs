//! All settings of tables and families, as HBase's shell shows them (HBase: `TableDescriptor`,
//! `ColumnFamilyDescriptor`, `PrettyPrinter`).

use super::{TableDescriptor, TableName};
use crate::error::Corruption;
use std::collections::BTreeMap;
use std::fmt;

/// All settings of a table and of its families in its descriptor, including those that a
/// [`Family`](super::Family) does not represent. Byte strings are in HBase's printable form.
///
/// Formatted as HBase's shell does: `t, {TABLE_ATTRIBUTES => {DURABILITY => 'SYNC_WAL'}}`, or `t` if nothing
/// is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableDescription {
    pub(super) table: TableName,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) families: Vec<FamilyDescription>,
}

/// All settings of a family in the descriptor of its table.
///
/// Formatted as by HBase 2.6: `{NAME => 'f', INDEX_BLOCK_ENCODING => 'NONE', VERSIONS => '1', …}`, with the
/// defaults of attributes that are not set. HBase shows the names in METADATA and CONFIGURATION in no order;
/// here they are sorted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyDescription {
    pub(super) name: String,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) configuration: BTreeMap<String, String>,
}

/// The attributes of a family that are shown by their names, in HBase's order, and the defaults that are
/// shown.
const OF_FAMILY: [(&str, Option<&str>); 17] = [
    ("ENCRYPTION", None),
    ("INDEX_BLOCK_ENCODING", Some("NONE")),
    ("MOB_THRESHOLD", None),
    ("VERSIONS", Some("1")),
    ("KEEP_DELETED_CELLS", Some("FALSE")),
    ("DATA_BLOCK_ENCODING", Some("NONE")),
    ("TTL", Some("FOREVER")),
    ("MIN_VERSIONS", Some("0")),
    ("ENCRYPTION_KEY", None),
    ("REPLICATION_SCOPE", Some("0")),
    ("BLOOMFILTER", Some("ROW")),
    ("IN_MEMORY", Some("false")),
    ("IS_MOB", None),
    ("COMPRESSION", Some("NONE")),
    ("BLOCKCACHE", Some("true")),
    ("BLOCKSIZE", Some("65536")),
    ("MOB_COMPACT_PARTITION_POLICY", None),
];

/// The attributes of a table that are shown by their names; all others are metadata, except coprocessors.
const OF_TABLE: [&str; 8] = [
    "DURABILITY",
    "ERASURE_CODING_POLICY",
    "IS_META",
    "MAX_FILESIZE",
    "MEMSTORE_FLUSHSIZE",
    "PRIORITY",
    "READONLY",
    "REGION_REPLICATION",
];

impl TableDescription {
    /// Decodes HBase's message `TableSchema`.
    ///
    /// # Errors
    ///
    /// If the bytes are not such a message, or a setting is not understood.
    pub fn from_table_schema_bytes(message: &[u8]) -> Result<Self, Corruption> {
        TableDescriptor::parse(message).map(|descriptor| descriptor.description())
    }

    /// Returns the table.
    #[must_use]
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// Returns the attributes of the table and the keys of its configuration, which are the same since HBase
    /// 2.0, with their values as set.
    #[must_use]
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }

    /// Returns the families, sorted by name.
    #[must_use]
    pub fn families(&self) -> &[FamilyDescription] {
        &self.families
    }
}

impl FamilyDescription {
    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the attributes with their values as set.
    #[must_use]
    pub fn attributes(&self) -> &BTreeMap<String, String> {
        &self.attributes
    }

    /// Returns the keys of the configuration with their values.
    #[must_use]
    pub fn configuration(&self) -> &BTreeMap<String, String> {
        &self.configuration
    }
}

impl fmt::Display for TableDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.table)?;
        let is_named = |key: &str| OF_TABLE.contains(&key) || key.starts_with("coprocessor$");
        let is_shown = |key: &str, value: &str| key != "IS_META" || value.eq_ignore_ascii_case("true");
        let set = self.attributes.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let (named, others): (Vec<_>, Vec<_>) =
            set.filter(|(key, value)| is_shown(key, value)).partition(|(key, _)| is_named(key));
        if named.is_empty() && others.is_empty() {
            return Ok(());
        }
        let mut parts: Vec<String> =
            named.iter().map(|(key, value)| format!("{key} => '{}'", shown(key, value))).collect();
        parts.extend(subset("METADATA", others));
        write!(f, ", {{TABLE_ATTRIBUTES => {{{}}}}}", parts.join(", "))
    }
}

impl fmt::Display for FamilyDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{NAME => '{}'", self.name)?;
        for (key, default) in OF_FAMILY {
            if let Some(value) = self.attributes.get(key).map(String::as_str).or(default) {
                write!(f, ", {key} => '{}'", shown(key, value))?;
            }
        }
        let others =
            self.attributes.iter().filter(|(key, _)| OF_FAMILY.iter().all(|(named, _)| named != key));
        let parts = [subset("METADATA", others), subset("CONFIGURATION", &self.configuration)];
        for part in parts.into_iter().flatten() {
            write!(f, ", {part}")?;
        }
        f.write_str("}")
    }
}

/// Returns settings that are shown together, if any.
fn subset(
    name: &str,
    settings: impl IntoIterator<Item = (impl fmt::Display, impl fmt::Display)>,
) -> Option<String> {
    let pairs = settings.into_iter().map(|(key, value)| format!("'{key}' => '{value}'"));
    let pairs: Vec<String> = pairs.collect();
    (!pairs.is_empty()).then(|| format!("{name} => {{{}}}", pairs.join(", ")))
}

/// Returns a value as it is shown: if it has a unit, also in larger units.
fn shown(key: &str, value: &str) -> String {
    let number = value.trim().parse::<i64>().ok();
    match (key, number) {
        ("TTL", Some(seconds)) => shown_seconds(seconds),
        ("BLOCKSIZE" | "MAX_FILESIZE" | "MEMSTORE_FLUSHSIZE", Some(bytes)) => shown_bytes(bytes),
        _ => value.to_owned(),
    }
}

/// Returns seconds as `3661 SECONDS (1 HOUR 1 MINUTE 1 SECOND)`.
fn shown_seconds(seconds: i64) -> String {
    let count = |number: i64, unit: &str| format!("{number} {unit}{}", if number == 1 { "" } else { "S" });
    if seconds == i64::from(i32::MAX) {
        return "FOREVER".to_owned();
    }
    if seconds < 60 {
        return count(seconds, "SECOND");
    }
    let units = [
        (seconds / 86_400, "DAY"),
        (seconds / 3600 % 24, "HOUR"),
        (seconds / 60 % 60, "MINUTE"),
        (seconds % 60, "SECOND"),
    ];
    let units = units.into_iter().filter(|(number, _)| *number > 0);
    let units: Vec<String> = units.map(|(number, unit)| count(number, unit)).collect();
    format!("{seconds} SECONDS ({})", units.join(" "))
}

/// Returns bytes as `1500000 B (1MB 440KB 864B)`.
fn shown_bytes(bytes: i64) -> String {
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let of = |shift: u32| (bytes >> shift) & 1023;
    let units = [(bytes >> 40, "TB"), (of(30), "GB"), (of(20), "MB"), (of(10), "KB"), (of(0), "B")];
    let units = units.into_iter().filter(|(number, _)| *number > 0);
    let units: Vec<String> = units.map(|(number, unit)| format!("{number}{unit}")).collect();
    format!("{bytes} B ({})", units.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    fn family(attributes: &[(&str, &str)], configuration: &[(&str, &str)]) -> String {
        let (attributes, configuration) = (map(attributes), map(configuration));
        FamilyDescription { name: "f".into(), attributes, configuration }.to_string()
    }

    fn table(attributes: &[(&str, &str)]) -> String {
        let table = TableName::parse("n:t").unwrap();
        TableDescription { table, attributes: map(attributes), families: Vec::new() }.to_string()
    }

    /// As HBase 2.6.4 shows them, except for the order of metadata and configuration.
    #[test]
    fn families_are_shown_as_by_hbase() {
        let expected = "{NAME => 'f', INDEX_BLOCK_ENCODING => 'NONE', VERSIONS => '1', \
                        KEEP_DELETED_CELLS => 'FALSE', DATA_BLOCK_ENCODING => 'NONE', TTL => 'FOREVER', \
                        MIN_VERSIONS => '0', REPLICATION_SCOPE => '0', BLOOMFILTER => 'ROW', \
                        IN_MEMORY => 'false', COMPRESSION => 'NONE', BLOCKCACHE => 'true', \
                        BLOCKSIZE => '65536 B (64KB)'}";
        assert_eq!(family(&[], &[]), expected);
        let attributes = [
            ("BLOCKCACHE", "false"),
            ("BLOCKSIZE", "1500000"),
            ("ENCRYPTION", "AES"),
            ("ENCRYPTION_KEY", "k"),
            ("IN_MEMORY", "true"),
            ("IS_MOB", "true"),
            ("MOB_COMPACT_PARTITION_POLICY", "DAILY"),
            ("MOB_THRESHOLD", "5"),
            ("NEW_VERSION_BEHAVIOR", "false"),
            ("TTL", "3661"),
            ("aa", "v"),
        ];
        let expected = "{NAME => 'f', ENCRYPTION => 'AES', INDEX_BLOCK_ENCODING => 'NONE', \
                        MOB_THRESHOLD => '5', VERSIONS => '1', KEEP_DELETED_CELLS => 'FALSE', \
                        DATA_BLOCK_ENCODING => 'NONE', TTL => '3661 SECONDS (1 HOUR 1 MINUTE 1 SECOND)', \
                        MIN_VERSIONS => '0', ENCRYPTION_KEY => 'k', REPLICATION_SCOPE => '0', \
                        BLOOMFILTER => 'ROW', IN_MEMORY => 'true', IS_MOB => 'true', COMPRESSION => 'NONE', \
                        BLOCKCACHE => 'false', BLOCKSIZE => '1500000 B (1MB 440KB 864B)', \
                        MOB_COMPACT_PARTITION_POLICY => 'DAILY', \
                        METADATA => {'NEW_VERSION_BEHAVIOR' => 'false', 'aa' => 'v'}, \
                        CONFIGURATION => {'c.a' => ''q'', 'c.b' => '1'}}";
        assert_eq!(family(&attributes, &[("c.b", "1"), ("c.a", "'q'")]), expected);
    }

    /// As HBase 2.6.4 shows them.
    #[test]
    fn tables_are_shown_as_by_hbase() {
        assert_eq!(table(&[]), "n:t");
        assert_eq!(table(&[("IS_META", "false")]), "n:t");
        assert_eq!(table(&[("k", "v")]), "n:t, {TABLE_ATTRIBUTES => {METADATA => {'k' => 'v'}}}");
        let all = [
            ("COMPACTION_ENABLED", "false"),
            ("DURABILITY", "SYNC_WAL"),
            ("MAX_FILESIZE", "10737418240"),
            ("MEMSTORE_FLUSHSIZE", "1234567"),
            ("PRIORITY", "3"),
            ("READONLY", "true"),
            ("REGION_REPLICATION", "2"),
            ("coprocessor$1", "|x.Y|1073741823|"),
            ("hbase.store.file-tracker.impl", "FILE"),
        ];
        let expected = "n:t, {TABLE_ATTRIBUTES => {DURABILITY => 'SYNC_WAL', \
                        MAX_FILESIZE => '10737418240 B (10GB)', \
                        MEMSTORE_FLUSHSIZE => '1234567 B (1MB 181KB 647B)', PRIORITY => '3', \
                        READONLY => 'true', REGION_REPLICATION => '2', \
                        coprocessor$1 => '|x.Y|1073741823|', METADATA => {'COMPACTION_ENABLED' => 'false', \
                        'hbase.store.file-tracker.impl' => 'FILE'}}}";
        assert_eq!(table(&all), expected);
    }

    #[test]
    fn numbers_are_shown_with_larger_units() {
        for (key, value, expected) in [
            ("TTL", "1", "1 SECOND"),
            ("TTL", "60", "60 SECONDS (1 MINUTE)"),
            ("TTL", "86399", "86399 SECONDS (23 HOURS 59 MINUTES 59 SECONDS)"),
            ("TTL", "90061", "90061 SECONDS (1 DAY 1 HOUR 1 MINUTE 1 SECOND)"),
            ("TTL", "2147483646", "2147483646 SECONDS (24855 DAYS 3 HOURS 14 MINUTES 6 SECONDS)"),
            ("TTL", "2147483647", "FOREVER"),
            ("TTL", "FOREVER", "FOREVER"),
            ("BLOCKSIZE", "1023", "1023 B"),
            ("BLOCKSIZE", "1024", "1024 B (1KB)"),
            ("BLOCKSIZE", "1048577", "1048577 B (1MB 1B)"),
            ("BLOCKSIZE", "2147483647", "2147483647 B (1GB 1023MB 1023KB 1023B)"),
            ("MAX_FILESIZE", "-1", "-1 B"),
            ("MAX_FILESIZE", "many", "many"),
            ("VERSIONS", "1024", "1024"),
        ] {
            assert_eq!(shown(key, value), expected, "{key} {value}");
        }
    }
}
