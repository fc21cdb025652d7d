//! Deletes: markers that hide older cells (read-path.md §9.8).

use super::Durability;
use crate::cell::CellType;
use bytes::Bytes;

/// Delete markers for one row, written atomically. Without any marker added, deletes every family (HBase:
/// `Delete`).
///
/// | method | HBase | hides |
/// |---|---|---|
/// | [`column`](Self::column) | `addColumns` | all versions of a column |
/// | [`version`](Self::version) | `addColumn` | one version of a column |
/// | [`family`](Self::family) | `addFamily` | all columns |
/// | [`family_version`](Self::family_version) | `addFamilyVersion` | all columns at one timestamp |
///
/// A marker hides values with the same or an earlier timestamp, even if they are written after it or in the
/// same call, until a compaction of all files of the family removes both: also a value that is written in the
/// millisecond of the delete, both without timestamps. In a family with [new version
/// behavior](crate::Family::new_version_behavior), it does not hide values of later calls.
///
/// Markers have no visibility labels, and hide only values that have none (read-path.md §9.13).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    pub(crate) row: Bytes,
    pub(crate) timestamp: Option<i64>,
    pub(crate) cells: Vec<DeleteCell>,
    pub(crate) durability: Durability,
}

/// One marker. Without a timestamp of its own it gets the time of writing or, to delete one version of a
/// column, the timestamp of the newest version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DeleteCell {
    pub(crate) kind: CellType,
    pub(crate) family: Bytes,
    pub(crate) qualifier: Bytes,
    pub(crate) timestamp: Option<i64>,
}

impl Delete {
    /// Creates a delete of the whole row or, if markers are added, of the cells that they hide.
    #[must_use]
    pub fn new(row: impl Into<Bytes>) -> Self {
        let durability = Durability::UseDefault;
        Self { row: row.into(), timestamp: None, cells: Vec::new(), durability }
    }

    /// Sets the timestamp of markers without one of their own, in milliseconds (default: the time of writing,
    /// or for [`version`](Self::version) the timestamp of the newest version).
    #[must_use]
    pub fn timestamp(mut self, timestamp: i64) -> Self {
        self.timestamp = Some(timestamp);
        self
    }

    /// Deletes all versions of a column (HBase: `Delete.addColumns`). To delete one version, as HBase's
    /// `addColumn` does, see [`version`](Self::version).
    #[must_use]
    pub fn column(self, family: impl Into<Bytes>, qualifier: impl Into<Bytes>) -> Self {
        self.add(CellType::DeleteColumn, family.into(), qualifier.into(), None)
    }

    /// Deletes the versions of a column up to and including a timestamp in milliseconds (HBase:
    /// `Delete.addColumns`).
    #[must_use]
    pub fn column_at(self, family: impl Into<Bytes>, qualifier: impl Into<Bytes>, timestamp: i64) -> Self {
        self.add(CellType::DeleteColumn, family.into(), qualifier.into(), Some(timestamp))
    }

    /// Deletes the newest version of a column among those without visibility labels (HBase:
    /// `Delete.addColumn`).
    #[must_use]
    pub fn version(self, family: impl Into<Bytes>, qualifier: impl Into<Bytes>) -> Self {
        self.add(CellType::Delete, family.into(), qualifier.into(), None)
    }

    /// Deletes the version of a column with exactly this timestamp in milliseconds (HBase:
    /// `Delete.addColumn`).
    #[must_use]
    pub fn version_at(self, family: impl Into<Bytes>, qualifier: impl Into<Bytes>, timestamp: i64) -> Self {
        self.add(CellType::Delete, family.into(), qualifier.into(), Some(timestamp))
    }

    /// Deletes all columns of a family (HBase: `Delete.addFamily`).
    #[must_use]
    pub fn family(self, family: impl Into<Bytes>) -> Self {
        self.add(CellType::DeleteFamily, family.into(), Bytes::new(), None)
    }

    /// Deletes the cells of a family up to and including a timestamp in milliseconds (HBase:
    /// `Delete.addFamily`).
    #[must_use]
    pub fn family_at(self, family: impl Into<Bytes>, timestamp: i64) -> Self {
        self.add(CellType::DeleteFamily, family.into(), Bytes::new(), Some(timestamp))
    }

    /// Deletes the cells of a family with exactly this timestamp in milliseconds (HBase:
    /// `Delete.addFamilyVersion`).
    #[must_use]
    pub fn family_version(self, family: impl Into<Bytes>, timestamp: i64) -> Self {
        self.add(CellType::DeleteFamilyVersion, family.into(), Bytes::new(), Some(timestamp))
    }

    fn add(mut self, kind: CellType, family: Bytes, qualifier: Bytes, timestamp: Option<i64>) -> Self {
        if kind == CellType::DeleteFamily {
            // Replaces the earlier markers of the family, as in HBase's client.
            self.cells.retain(|cell| cell.family != family);
        }
        self.cells.push(DeleteCell { kind, family, qualifier, timestamp });
        self
    }

    /// Sets the failures that the write survives once it is acknowledged (default: as for [the
    /// region](crate::RegionOptions::durability)).
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Returns the markers added, each as type, family, qualifier, and the timestamp if it has one of its
    /// own.
    pub fn cells(&self) -> impl ExactSizeIterator<Item = (CellType, &[u8], &[u8], Option<i64>)> {
        self.cells.iter().map(|cell| (cell.kind, &*cell.family, &*cell.qualifier, cell.timestamp))
    }

    /// Returns the row.
    #[must_use]
    pub fn row(&self) -> &[u8] {
        &self.row
    }
}
