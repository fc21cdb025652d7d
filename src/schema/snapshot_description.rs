//! The description of a snapshot: its table, time and type (hfile.md §15.8; HBase: `SnapshotDescription`).

use super::TableName;
use crate::error::{Corruption, Error, Result};
use crate::proto;
use prost::Message;
use std::fmt;
use std::time::Duration;

/// A snapshot of a table: its name and settings (HBase: `SnapshotDescription`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotDescription {
    name: String,
    table: TableName,
    creation_time: i64,
    snapshot_type: SnapshotType,
    version: i32,
    owner: Option<String>,
    ttl: Option<Duration>,
}

/// The way in which HBase takes a snapshot (HBase: `SnapshotType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SnapshotType {
    /// Of a disabled table.
    Disabled,
    /// Of an enabled table, whose regions are flushed first.
    Flush,
    /// Of an enabled table, without the cells in memory.
    SkipFlush,
}

impl SnapshotType {
    /// Returns HBase's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Disabled => "DISABLED",
            Self::Flush => "FLUSH",
            Self::SkipFlush => "SKIPFLUSH",
        }
    }
}

impl fmt::Display for SnapshotType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl SnapshotDescription {
    /// Describes a snapshot of an enabled table, with a manifest of version 2, that is kept forever.
    ///
    /// # Errors
    ///
    /// If the name is invalid.
    pub(crate) fn new(name: &str, table: TableName, creation_time: i64) -> Result<Self> {
        Self::check_name(name)?;
        let (name, snapshot_type, version) = (name.to_owned(), SnapshotType::Flush, 2);
        Ok(Self { name, table, creation_time, snapshot_type, version, owner: None, ttl: None })
    }

    /// Decodes HBase's message `SnapshotDescription`.
    ///
    /// # Errors
    ///
    /// If the bytes are not such a message, or it has no name or table, or invalid ones.
    pub fn from_proto_bytes(message: &[u8]) -> Result<Self, Corruption> {
        let named = proto::snapshot::SnapshotDescription::decode(message).ok().and_then(|found| found.name);
        match named {
            Some(name) if !Self::is_name(&name) => {
                Err(Corruption::unknown_name("snapshot with a name like", name.as_bytes()))
            }
            named => Self::parse(&named.unwrap_or_default(), message),
        }
    }

    /// Returns the content of a `.snapshotinfo`.
    pub(crate) fn to_message(&self) -> Vec<u8> {
        let snapshot_type = match self.snapshot_type {
            SnapshotType::Disabled => 0,
            SnapshotType::Flush => 1,
            SnapshotType::SkipFlush => 2,
        };
        // HBase writes 0 for a snapshot that is kept forever.
        let ttl = self.ttl.map_or(0, |ttl| i64::try_from(ttl.as_secs()).unwrap_or(i64::MAX));
        let message = proto::snapshot::SnapshotDescription {
            name: Some(self.name.clone()),
            table: Some(self.table.to_string()),
            creation_time: Some(self.creation_time),
            snapshot_type: Some(snapshot_type),
            version: Some(self.version),
            owner: self.owner.clone(),
            ttl: Some(ttl),
        };
        message.encode_to_vec()
    }

    /// Reads the content of a `.snapshotinfo`: a message without a prefix. `name` is the directory's, which
    /// is authoritative: a copied directory keeps the old name in its file.
    pub(crate) fn parse(name: &str, bytes: &[u8]) -> Result<Self, Corruption> {
        let message = proto::snapshot::SnapshotDescription::decode(bytes)
            .map_err(|_| Corruption::Malformed("snapshot info that is not a SnapshotDescription message"))?;
        if message.name.is_none() {
            return Err(Corruption::Malformed("snapshot info without a name"));
        }
        let table = message.table.ok_or(Corruption::Malformed("snapshot info without a table"))?;
        let snapshot_type = match message.snapshot_type {
            Some(0) => SnapshotType::Disabled,
            None | Some(1) => SnapshotType::Flush,
            Some(2) => SnapshotType::SkipFlush,
            Some(other) => {
                return Err(Corruption::Unknown { what: "type of the snapshot", value: other.into() });
            }
        };
        let seconds = message.ttl.and_then(|ttl| u64::try_from(ttl).ok()).filter(|ttl| *ttl > 0);
        Ok(Self {
            name: name.to_owned(),
            table: TableName::parse(&table)
                .map_err(|_| Corruption::unknown_name("table with a name like", table.as_bytes()))?,
            creation_time: message.creation_time.unwrap_or_default(),
            snapshot_type,
            // HBase wrote no version before it had a second one.
            version: message.version.unwrap_or(1),
            owner: message.owner,
            ttl: seconds.map(Duration::from_secs),
        })
    }

    /// Compares the description with the original one. The name may differ, and the time to live may have
    /// been removed since (HBase: `ExportSnapshot`, `-target`, `-reset-ttl`).
    pub(crate) fn check_taken(&self, taken: &Self) -> Result<(), Corruption> {
        let what = "creation time of the snapshot";
        if self.creation_time != taken.creation_time {
            let (expected, found) = (taken.creation_time, self.creation_time);
            return Err(Corruption::Mismatch { what, expected, found });
        }
        let ttl = self.ttl.or(taken.ttl);
        if (Self { name: taken.name.clone(), ttl, ..self.clone() }) != *taken {
            return Err(Corruption::Malformed("snapshot info that is not the one in the manifest"));
        }
        Ok(())
    }

    /// Checks a name of a snapshot: it must be valid for a table in a namespace. Another name could lead out
    /// of the root directory.
    ///
    /// # Errors
    ///
    /// If the name is not valid.
    pub fn check_name(name: &str) -> Result<()> {
        if Self::is_name(name) {
            return Ok(());
        }
        Err(Error::invalid_argument(format!("invalid snapshot name {name:?}")))
    }

    /// Whether a name is valid for a snapshot.
    pub(crate) fn is_name(name: &str) -> bool {
        TableName::new(TableName::DEFAULT_NAMESPACE, name).is_ok()
    }

    /// Returns the name of the snapshot.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the table that the snapshot was taken of.
    #[must_use]
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// Returns when the snapshot was taken, in milliseconds since 1970.
    #[must_use]
    pub fn creation_time(&self) -> i64 {
        self.creation_time
    }

    /// Returns the type of the snapshot.
    #[must_use]
    pub fn snapshot_type(&self) -> SnapshotType {
        self.snapshot_type
    }

    /// Returns the version of the manifest. This build reads version 2.
    #[must_use]
    pub fn version(&self) -> i32 {
        self.version
    }

    /// Returns the user who took the snapshot, if recorded.
    #[must_use]
    pub fn owner(&self) -> Option<&str> {
        self.owner.as_deref()
    }

    /// Returns how long after its creation HBase keeps the snapshot; `None` if forever. HBase then removes
    /// it, and the files that nothing else needs.
    #[must_use]
    pub fn ttl(&self) -> Option<Duration> {
        self.ttl
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message() -> proto::snapshot::SnapshotDescription {
        proto::snapshot::SnapshotDescription {
            name: Some("old".into()),
            table: Some("ns:t".into()),
            creation_time: Some(1_700_000_000_000),
            snapshot_type: Some(2),
            version: Some(2),
            owner: Some("somebody".into()),
            ttl: Some(60),
        }
    }

    fn parse(message: &proto::snapshot::SnapshotDescription) -> Result<SnapshotDescription, Corruption> {
        SnapshotDescription::parse("s", &message.encode_to_vec())
    }

    #[test]
    fn a_description_has_its_fields() {
        let found = parse(&message()).unwrap();
        assert_eq!((found.name(), found.table().to_string().as_str()), ("s", "ns:t"));
        assert_eq!((found.creation_time(), found.version()), (1_700_000_000_000, 2));
        assert_eq!((found.snapshot_type().name(), found.owner()), ("SKIPFLUSH", Some("somebody")));
        assert_eq!(found.ttl(), Some(Duration::from_secs(60)));
        let table = Some("t".to_owned());
        let name = Some("n".to_owned());
        let short = proto::snapshot::SnapshotDescription { name, table, ..Default::default() };
        let found = parse(&short).unwrap();
        assert_eq!((found.snapshot_type(), found.version(), found.ttl()), (SnapshotType::Flush, 1, None));
        assert_eq!(
            parse(&proto::snapshot::SnapshotDescription { ttl: Some(-1), ..short }).unwrap().ttl(),
            None
        );
    }

    /// It is printed, and becomes a part of paths.
    #[test]
    fn an_invalid_name_is_refused() {
        let named = |name: &str| {
            let message = proto::snapshot::SnapshotDescription { name: Some(name.into()), ..message() };
            SnapshotDescription::from_proto_bytes(&message.encode_to_vec())
        };
        assert_eq!(named("old").unwrap().name(), "old");
        for name in ["", ".", "a/b", "a\u{1b}[2J", "a\u{202e}b", "a b"] {
            assert!(named(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn a_description_is_that_of_the_manifest() {
        let taken = parse(&message()).unwrap();
        let check = |changed| parse(&changed).unwrap().check_taken(&taken);
        for (name, ttl) in [("old", Some(60)), ("new", None), ("new", Some(0))] {
            let name = Some(name.to_owned());
            let changed = proto::snapshot::SnapshotDescription { name, ttl, ..message() };
            assert_eq!(check(changed), Ok(()));
        }
        for changed in [
            proto::snapshot::SnapshotDescription { table: Some("ns:u".into()), ..message() },
            proto::snapshot::SnapshotDescription { creation_time: Some(1), ..message() },
            proto::snapshot::SnapshotDescription { snapshot_type: Some(1), ..message() },
            proto::snapshot::SnapshotDescription { version: Some(1), ..message() },
            proto::snapshot::SnapshotDescription { owner: None, ..message() },
            proto::snapshot::SnapshotDescription { ttl: Some(61), ..message() },
        ] {
            assert!(check(changed.clone()).is_err(), "{changed:?}");
        }
    }

    #[test]
    fn invalid_descriptions_are_refused() {
        let none = proto::snapshot::SnapshotDescription::default();
        for table in [None, Some("../t"), Some("a:b:c"), Some("")] {
            let table = table.map(str::to_owned);
            assert!(parse(&proto::snapshot::SnapshotDescription { table, ..message() }).is_err());
        }
        let snapshot_type = Some(3);
        assert!(parse(&proto::snapshot::SnapshotDescription { snapshot_type, ..message() }).is_err());
        assert!(parse(&none).is_err() && SnapshotDescription::parse("s", b"PBUF").is_err());
    }

    #[test]
    fn names_do_not_lead_out_of_their_directory() {
        for name in ["s", "s-1.x_", "a..b"] {
            assert!(SnapshotDescription::check_name(name).is_ok(), "{name}");
        }
        for name in ["", ".", "..", ".tmp", "../s", "a/b", "/s", "a:b", "-s", "a\0"] {
            assert!(SnapshotDescription::check_name(name).is_err(), "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>, flip in 0..400usize) {
            let _ = SnapshotDescription::parse("s", &bytes);
            let mut bytes = message().encode_to_vec();
            let bits = bytes.len() * 8;
            bytes[flip % bits / 8] ^= 1 << (flip % 8);
            let _ = SnapshotDescription::parse("s", &bytes);
        }
    }
}
