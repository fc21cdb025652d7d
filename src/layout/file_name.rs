//! Store file names and their meaning (hfile.md §15.3 to §15.5; HBase: `StoreFileInfo`, `HFileLink`).
#![warn(clippy::indexing_slicing)]

use crate::binary::is_hex;
use crate::io::process_id;
use crate::schema::TableName;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use xxhash_rust::xxh3::xxh3_128;

/// A parsed store file name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileName<'n> {
    /// A whole file.
    Whole(Target<'n>),
    /// A reference to a file of the same family in the named region.
    Reference(Target<'n>, &'n str),
}

/// The file that a name refers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target<'n> {
    /// An HFile.
    HFile(&'n str),
    /// A link to an HFile, in the table's directory or in the archive.
    Link { table: TableName, region: &'n str, file: &'n str },
}

impl<'n> FileName<'n> {
    /// Parses a name; `None` if it is not valid for a store file.
    pub(crate) fn parse(name: &'n str) -> Option<Self> {
        if let Some((file, region)) = name.rsplit_once('.')
            && is_hex(region)
            && let Some(target) = Target::parse(file)
        {
            return Some(Self::Reference(target, region));
        }
        Target::parse(name).map(Self::Whole)
    }

    /// Whether the file is a link: an empty file, whose name contains all information.
    pub(crate) fn is_link(&self) -> bool {
        matches!(self, Self::Whole(Target::Link { .. }))
    }

    /// Whether the cells are in another file: the name is a link or a reference.
    pub(crate) fn is_elsewhere(&self) -> bool {
        self.is_link() || matches!(self, Self::Reference(..))
    }

    /// Returns the table, the region and the name of the HFile that a store file of this name refers to, if
    /// the store file is in `region` of `table`.
    pub(super) fn hfile<'a>(
        &'a self,
        table: &'a TableName,
        region: &'a str,
    ) -> (&'a TableName, &'a str, &'a str) {
        match self {
            Self::Whole(Target::HFile(file)) => (table, region, file),
            Self::Reference(Target::HFile(file), parent) => (table, parent, file),
            Self::Whole(Target::Link { table, region, file })
            | Self::Reference(Target::Link { table, region, file }, _) => (table, region, file),
        }
    }

    /// Returns the file that the name refers to.
    pub(crate) fn target(&self) -> &Target<'n> {
        match self {
            Self::Whole(target) | Self::Reference(target, _) => target,
        }
    }
}

impl<'n> Target<'n> {
    /// Parses `[0-9a-f]+` followed by nothing, `_SeqId_<n>_` or `_del`; the name of a MOB file; or
    /// `[<namespace>=]<table>=<region>-` and such a name.
    fn parse(name: &'n str) -> Option<Self> {
        if is_hfile(name) {
            return Some(Self::HFile(name));
        }
        let (table, rest) = name.rsplit_once('=')?;
        let (region, file) = rest.split_once('-')?;
        let table = match table.split_once('=') {
            Some((namespace, table)) => TableName::new(namespace, table),
            None => TableName::new(TableName::DEFAULT_NAMESPACE, table),
        };
        (is_hex(region) && is_hfile(file)).then_some(Self::Link { table: table.ok()?, region, file })
    }

    /// Returns the name of the HFile.
    pub(super) fn file(&self) -> &'n str {
        match self {
            Self::HFile(file) | Self::Link { file, .. } => file,
        }
    }
}

/// Returns the name of a link to an HFile of a family of the same name (HBase:
/// `HFileLink.createHFileLinkName`).
pub(super) fn link_name(table: &TableName, region: &str, file: &str) -> String {
    format!("{}={region}-{file}", table_in_name(table))
}

/// Returns the name of a back reference, with the table and region that have a link to an HFile (HBase:
/// `HFileLink.createBackReferenceName`).
pub(super) fn back_reference_name(table: &TableName, region: &str) -> String {
    format!("{region}.{}", table_in_name(table))
}

fn table_in_name(table: &TableName) -> String {
    table.to_string().replace(':', "=")
}

fn is_hfile(name: &str) -> bool {
    if is_mob(name) {
        return true;
    }
    let (hex, suffix) = name.split_at(name.find('_').unwrap_or(name.len()));
    is_hex(hex) && (suffix.is_empty() || suffix == "_del" || seq_id_digits(suffix).is_some())
}

fn seq_id_digits(suffix: &str) -> Option<&str> {
    let digits = suffix.strip_prefix("_SeqId_").and_then(|suffix| suffix.strip_suffix('_'))?;
    (!digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())).then_some(digits)
}

/// Whether a name is `<md5 of the start key><yyyymmdd><uuid>[_<region>]`: a file of values too large for a
/// store (MOB; HBase: `MobFileName`).
pub(super) fn is_mob(name: &str) -> bool {
    let (hex, region) = name.split_once('_').map_or((name, None), |(hex, region)| (hex, Some(region)));
    let date = hex.get(32..40).is_some_and(|date| date.bytes().all(|c| c.is_ascii_digit()));
    let is_region = |region: &str| region.len() == 32 && is_hex(region);
    hex.len() == 72 && is_hex(hex) && date && region.is_none_or(is_region)
}

/// Returns a name for a new store file: 32 random hexadecimal digits.
pub(crate) fn new_file_name(now: i64) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    // The hasher has random keys in each process, so that two processes do not create the same names.
    let random = RandomState::new().hash_one((now, count, process_id()));
    let words = [random, now.cast_unsigned(), count, process_id().into()].map(u64::to_be_bytes);
    format!("{:032x}", xxh3_128(words.as_flattened()))
}

/// Returns a name for a new bulk-loaded file, with the sequence id of its load.
pub(crate) fn new_bulk_load_name(now: i64, seq_id: i64) -> String {
    format!("{}_SeqId_{seq_id}_", new_file_name(now))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn link<'n>(table: &str, region: &'n str, file: &'n str) -> Target<'n> {
        Target::Link { table: TableName::parse(table).unwrap(), region, file }
    }

    #[test]
    fn names_of_all_kinds() {
        let parse = FileName::parse;
        for name in ["0a", "1234567890123456789", "0a_SeqId_67_", "0a_del"] {
            assert_eq!(parse(name), Some(FileName::Whole(Target::HFile(name))));
        }
        assert_eq!(parse("0a.1b"), Some(FileName::Reference(Target::HFile("0a"), "1b")));
        assert_eq!(parse("0a_SeqId_4_.1b"), Some(FileName::Reference(Target::HFile("0a_SeqId_4_"), "1b")));
        assert_eq!(parse("t=1b-0a"), Some(FileName::Whole(link("t", "1b", "0a"))));
        assert_eq!(parse("ns=t-1.x=1b-0a"), Some(FileName::Whole(link("ns:t-1.x", "1b", "0a"))));
        for (table, name) in [("t", "t=1b-0a"), ("ns:t-1.x", "ns=t-1.x=1b-0a")] {
            let table = TableName::parse(table).unwrap();
            assert_eq!(link_name(&table, "1b", "0a"), name);
        }
        assert_eq!(back_reference_name(&TableName::parse("ns:t").unwrap(), "1b"), "1b.ns=t");
        assert_eq!(parse("t.ab=1b-0a.2c"), Some(FileName::Reference(link("t.ab", "1b", "0a"), "2c")));
        // Two dots inside a name do not lead out of the directory.
        assert_eq!(parse("a..b=1b-0a"), Some(FileName::Whole(link("a..b", "1b", "0a"))));
        for name in [
            "",
            ".",
            "0A",
            "0a.",
            ".0a",
            "0a.x",
            "0a_SeqId_",
            "0a_SeqId__",
            "0a_SeqId_x_",
            "0a-1b",
            "t=1b",
            "t=-0a",
            "=1b-0a",
            "a=b=c=1b-0a",
            "../t=1b-0a",
            "..=1b-0a",
            "n=..=1b-0a",
            "..=t=1b-0a",
            "t=1b-../0a",
            "0a_tmp",
            "file.crc",
        ] {
            assert_eq!(parse(name), None, "{name}");
        }
        let region = "36870a128e2b61b11b5b6154f73464e8";
        let mob = format!("{region}20240131{region}");
        assert!(is_mob(&mob) && !is_mob(region));
        let of_region = format!("{mob}_{region}");
        assert_eq!(parse(&of_region), Some(FileName::Whole(Target::HFile(&of_region))));
        assert!(is_mob(&of_region) && !is_mob(&format!("{mob}_{mob}")) && !is_mob(&format!("{mob}_del")));
    }

    #[test]
    fn new_names_are_hexadecimal_and_differ() {
        let names: BTreeSet<String> = (0..1000).map(|_| new_file_name(5)).collect();
        assert_eq!(names.len(), 1000);
        assert!(names.iter().all(|name| name.len() == 32 && is_hex(name)));
        let loaded = new_bulk_load_name(5, 17);
        assert!(loaded.ends_with("_SeqId_17_") && is_hfile(&loaded), "{loaded}");
    }

    proptest! {
        #[test]
        fn no_name_leaves_its_directory(name in "[0-9a-fx=._\\-/]{0,12}") {
            if let Some(FileName::Whole(target) | FileName::Reference(target, _)) = FileName::parse(&name) {
                prop_assert!(!name.contains('/') && is_hfile(target.file()));
            }
        }
    }
}
