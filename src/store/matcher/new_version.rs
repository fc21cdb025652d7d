//! Markers and versions by the order in which they were written (NEW_VERSION_BEHAVIOR, read-path.md §9.10).

mod counts;
mod deletes;
mod markers;
mod place;

use super::{Disorder, MatchCode, Version, VersionLimits};
use crate::cell::{CellType, compare_bytes, same_bytes};
use counts::{Counts, Stay};
use deletes::Deletes;
use markers::FamilyMarkers;

const PUT: u8 = CellType::Put as u8;
/// Of what was not followed by anything; sequence ids are less.
const NEVER: i64 = i64::MAX;
/// So many versions are all of them, and need not be counted.
const ALL_VERSIONS: u32 = i32::MAX.unsigned_abs();

/// How much has been done, for tests.
#[derive(Debug, Default)]
struct Steps(#[cfg(test)] usize);

impl Steps {
    #[inline]
    #[cfg_attr(not(test), expect(clippy::needless_pass_by_ref_mut, reason = "only tests count"))]
    fn add(&mut self, count: usize) {
        #[cfg(test)]
        {
            self.0 += count;
        }
        #[cfg(not(test))]
        let _ = count;
    }
}

/// The markers of a row and the versions of a column (HBase: `NewVersionBehaviorTracker`).
///
/// A marker hides only what was written before it, and a version that newer ones pushed out stays away even if one of
/// them is deleted later.
///
/// HBase has a node for each marker that reaches back in time, counts the versions in each of them and copies all for each
/// column. The answers are the same, but the work is not quadratic: of the nodes only the latest that reaches back to a version
/// says whether it is hidden, and versions are counted where some of them go away, and at the end.
///
/// In the column of the empty qualifier, where HBase loses track of markers, this is like any other column (§23.2).
#[derive(Debug)]
pub(super) struct NewVersionTracker {
    /// How many versions the family keeps.
    kept: u32,
    family: FamilyMarkers,
    /// The sequence id of the last marker of the column that reaches back in time.
    floor: i64,
    /// The markers of single versions of the column.
    deletes: Deletes,
    counts: Counts,
    in_column: bool,
    qualifier: Vec<u8>,
    /// Timestamp, type and sequence id of the column's last version, but for repetitions.
    last: (i64, u8, i64),
    /// How many versions of the column were asked for.
    count: u32,
}

impl NewVersionTracker {
    pub(super) fn new(kept: u32) -> Self {
        Self {
            kept,
            family: FamilyMarkers::default(),
            floor: i64::MIN,
            deletes: Deletes::default(),
            counts: Counts::default(),
            in_column: false,
            qualifier: Vec::new(),
            last: (0, 0, 0),
            count: 0,
        }
    }

    /// Begins a row.
    pub(super) fn reset(&mut self) {
        self.family.clear();
        self.in_column = false;
    }

    /// Begins a column, unless it is begun; whether it was.
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
        self.floor = i64::MIN;
        self.deletes.clear();
        self.counts.clear();
        (self.in_column, self.count, self.last) = (true, 0, (0, 0, 0));
        Ok(false)
    }

    /// Takes a version into account: the sequence id of the one that it repeats, which was written later, or [`NEVER`].
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

    /// Takes a marker into account.
    pub(super) fn add(&mut self, marker: Version<'_>) -> Result<(), Disorder> {
        self.prepare(marker)?;
        let Version { timestamp, type_code, seq_id, .. } = marker;
        match CellType::from_code(type_code) {
            Some(CellType::DeleteFamily) => self.family.reach_back(seq_id, timestamp),
            Some(CellType::DeleteColumn) => self.floor = self.floor.max(seq_id),
            Some(CellType::DeleteFamilyVersion) => {
                let place = self.family.delete(seq_id, timestamp);
                self.counts.split(place);
            }
            _ => {
                let place = self.family.place_of(seq_id);
                self.deletes.add(timestamp, place);
                self.counts.split(place);
            }
        }
        Ok(())
    }

    /// Whether a value is hidden: by a marker, by newer versions or by the same one written again.
    pub(super) fn is_deleted(&mut self, put: Version<'_>) -> Result<bool, Disorder> {
        let repeated_by = self.prepare(put)?;
        let Version { timestamp, seq_id, .. } = put;
        // Whatever hides this one by reaching back hides all that follow and were written before that, so that none of
        // them needs to be counted.
        if seq_id <= self.floor || seq_id <= self.family.floor(timestamp, self.qualifier.is_empty()) {
            return Ok(true);
        }
        let by_family = self.family.deletes.first_since(timestamp, seq_id);
        let by_column = self.deletes.first_since(timestamp, seq_id);
        let deleted_by = [by_family, by_column].into_iter().flatten().min();
        if self.kept < ALL_VERSIONS {
            let repeated_at = (repeated_by != NEVER).then(|| self.family.deletes.last_until(repeated_by));
            for place in [deleted_by, repeated_at.flatten()].into_iter().flatten() {
                self.counts.add(place);
                // a node that is newer than the marker, but was met after it, does not know of the marker
                if let Some(end) = self.family.node_before(place).filter(|end| end.node > place.marker) {
                    self.counts.add(end);
                }
            }
            if !self.counts.stay(Stay { from: seq_id, until: deleted_by, repeated_by }, self.kept) {
                return Ok(true);
            }
        }
        Ok(deleted_by.is_some() || repeated_by != NEVER)
    }

    /// Whether one more version of the column that was begun is wanted.
    ///
    /// Once there are enough nothing more is, where HBase still includes an expired one (§23.19).
    pub(super) fn check_versions(&mut self, timestamp: i64, limits: &VersionLimits) -> MatchCode {
        self.count = self.count.saturating_add(1);
        let enough = if limits.is_expired(timestamp) { limits.min.min(limits.max) } else { limits.max };
        if self.count > enough {
            MatchCode::SeekNextCol
        } else if self.count == enough {
            MatchCode::IncludeAndSeekNextCol
        } else {
            MatchCode::Include
        }
    }

    /// Whether a marker that is not applied is kept: as long as no more values are newer than the family keeps.
    pub(super) fn check_marker(
        &mut self,
        marker: Version<'_>,
        limits: &VersionLimits,
    ) -> Result<MatchCode, Disorder> {
        self.enter(marker.qualifier)?;
        let kept =
            self.count <= limits.max && (self.count <= limits.min || !limits.is_expired(marker.timestamp));
        Ok(if kept { MatchCode::Include } else { MatchCode::SeekNextCol })
    }
}

#[cfg(test)]
mod tests;
