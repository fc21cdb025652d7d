//! The expected content of a table.

use hregion::{CellRef, Row, Table};
use std::collections::BTreeMap;

pub(crate) type Key = (String, String, String);

/// The versions of each row, family and qualifier, newest first. The family `f` keeps all, the others the
/// newest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model(pub(crate) BTreeMap<Key, Vec<(i64, Vec<u8>)>>);

fn key(row: &str, family: &str, qualifier: &str) -> Key {
    (row.to_owned(), family.to_owned(), qualifier.to_owned())
}

impl Model {
    pub(crate) fn put(&mut self, row: &str, family: &str, qualifier: &str, time: i64, value: &[u8]) {
        let versions = self.0.entry(key(row, family, qualifier)).or_default();
        versions.insert(0, (time, value.to_owned()));
        if family != "f" {
            versions.truncate(1);
        }
    }

    pub(crate) fn newest(&self, row: &str, family: &str, qualifier: &str) -> Option<&(i64, Vec<u8>)> {
        self.0.get(&key(row, family, qualifier)).and_then(|versions| versions.first())
    }

    /// Removes the versions with these keys and times.
    pub(crate) fn remove(&mut self, is_deleted: impl Fn(&Key, i64) -> bool) {
        for (key, versions) in &mut self.0 {
            versions.retain(|(time, _)| !is_deleted(key, *time));
        }
        self.0.retain(|_, versions| !versions.is_empty());
    }

    /// Reads all versions of a table.
    pub(crate) fn read(table: &Table) -> hregion::Result<Self> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let mut found = Self::default();
        let mut add = |cell: CellRef<'_>| {
            let key = (text(cell.row()), text(cell.family()), text(cell.qualifier()));
            found.0.entry(key).or_default().push((cell.timestamp(), cell.value().to_owned()));
        };
        for row in table.scan(hregion::Scan::new().max_versions(u32::MAX))? {
            let row: Row = row?;
            row.cells().for_each(&mut add);
        }
        Ok(found)
    }

    /// Whether each column equals the same column of one of two models.
    pub(crate) fn is_mix_of(&self, one: &Self, other: &Self) -> bool {
        let mut keys = self.0.keys().chain(one.0.keys()).chain(other.0.keys());
        keys.all(|key| self.0.get(key) == one.0.get(key) || self.0.get(key) == other.0.get(key))
    }
}
