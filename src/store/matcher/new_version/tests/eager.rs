//! HBase's algorithm: a list of nodes, here eras, one for each marker that reaches back in time, copied for
//! each column.

use super::super::{ALL_VERSIONS, Era, NEVER, PUT};
use crate::cell::{CellType, MarkerLabels, compare_bytes, same_bytes};
use crate::store::matcher::{Disorder, Version};

/// The markers of a row and the versions of a column (HBase: `NewVersionBehaviorTracker`).
///
/// A marker hides only earlier writes, and a version that newer ones displaced stays hidden even if one of
/// them is deleted later. Writes are therefore grouped by the markers that came between them: see [`Era`].
///
/// HBase has no eras in the column of the empty qualifier, where family markers come between the values; here
/// that column is like any other (§23.2).
#[derive(Debug)]
pub(super) struct Eager {
    /// The number of versions that the family keeps.
    kept: u32,
    /// The eras made by family markers.
    family: ListedEras,
    /// The eras of the column: those of the family, and those made by the column's own markers.
    column: ListedEras,
    in_column: bool,
    qualifier: Vec<u8>,
    /// Timestamp, type and sequence id of the column's last version, ignoring repetitions.
    last: (i64, u8, i64),
}

impl Eager {
    pub(super) fn new(kept: u32) -> Self {
        Self {
            kept,
            family: ListedEras::default(),
            column: ListedEras::default(),
            in_column: false,
            qualifier: Vec::new(),
            last: (0, 0, 0),
        }
    }

    /// Begins a row.
    pub(super) fn reset(&mut self) {
        self.family.clear();
        self.in_column = false;
    }

    /// Begins a column, unless it is the current one. Returns whether it is.
    pub(super) fn enter(&mut self, qualifier: &[u8]) -> Result<bool, Disorder> {
        if self.in_column {
            if same_bytes(qualifier, &self.qualifier) {
                return Ok(true);
            }
            if compare_bytes(qualifier, &self.qualifier).is_lt() {
                return Err(Disorder::Columns);
            }
        }
        self.qualifier.clear();
        self.qualifier.extend_from_slice(qualifier);
        self.column.copy(&self.family);
        (self.in_column, self.last) = (true, (0, 0, 0));
        Ok(false)
    }

    /// Registers a version. Returns the sequence id of the later write that it repeats, or [`NEVER`].
    fn prepare(&mut self, version: Version<'_>) -> Result<i64, Disorder> {
        let Version { timestamp, type_code, seq_id, .. } = version;
        let same_column = self.enter(version.qualifier)?;
        let (last_timestamp, last_type, last_id) = self.last;
        if same_column && (last_timestamp, last_type) == (timestamp, PUT) && type_code == PUT {
            return Ok(last_id);
        }
        self.last = (timestamp, type_code, seq_id);
        Ok(NEVER)
    }

    /// Adds a marker.
    pub(super) fn add(&mut self, marker: Version<'_>) -> Result<(), Disorder> {
        self.prepare(marker)?;
        let type_code = marker.type_code;
        let of_family = CellType::from_code(type_code).is_some_and(CellType::is_family_delete);
        let reaches_back =
            [CellType::DeleteFamily, CellType::DeleteColumn].map(CellType::code).contains(&type_code);
        let apply = |eras: &mut ListedEras| match reaches_back {
            true => eras.end_one(marker),
            false => eras.delete_version(marker),
        };
        apply(&mut self.column);
        if of_family {
            apply(&mut self.family);
        }
        Ok(())
    }

    /// Whether a value is hidden: by a marker, by newer versions, or by a repeated write of the same version.
    pub(super) fn is_deleted(&mut self, put: Version<'_>) -> Result<bool, Disorder> {
        let repeated_by = self.prepare(put)?;
        let seq_id = put.seq_id;
        for era in self.column.since(seq_id) {
            let deleted_by = era.deleted_by(put);
            let gone = repeated_by.min(deleted_by.unwrap_or(NEVER));
            if self.kept < ALL_VERSIONS && !era.count(seq_id, gone, self.kept)
                || deleted_by.is_some()
                || era.reaches(put)
            {
                return Ok(true);
            }
        }
        Ok(repeated_by != NEVER)
    }
}

/// Eras in the order of their ends. The last one has not ended.
#[derive(Debug, Default)]
struct ListedEras(Vec<(i64, Era)>);

impl ListedEras {
    fn clear(&mut self) {
        let mut era = Era::default();
        era.begin(i64::MIN, MarkerLabels::default());
        self.0 = vec![(NEVER, era)];
    }

    /// Becomes a copy of `other`, which has no counted versions.
    fn copy(&mut self, other: &Self) {
        self.0.clear();
        for (end, from) in &other.0 {
            let mut era = Era::default();
            era.copy(from);
            self.0.push((*end, era));
        }
    }

    fn first_since(&self, id: i64) -> usize {
        self.0.partition_point(|(end, _)| *end < id)
    }

    fn since(&mut self, id: i64) -> impl Iterator<Item = &mut Era> {
        let at = self.first_since(id);
        self.0[at..].iter_mut().map(|(_, era)| era)
    }

    fn end_one(&mut self, marker: Version<'_>) {
        let (id, mut era) = (marker.seq_id, Era::default());
        era.begin(marker.timestamp, MarkerLabels::of(marker.tags));
        let at = self.first_since(id);
        if self.0.get(at).is_some_and(|(end, _)| *end == id) {
            self.0[at] = (id, era);
        } else {
            self.0.insert(at, (id, era));
        }
    }

    fn delete_version(&mut self, marker: Version<'_>) {
        if let Some(era) = self.since(marker.seq_id).next() {
            era.delete_version(marker);
        }
    }
}
