//! Tracks markers and versions in the order in which they were written (NEW_VERSION_BEHAVIOR,
//! read-path.md §9.10).

use super::{Disorder, MatchCode, Version, VersionLimits};
use crate::cell::{CellType, MarkerLabels, compare_bytes, same_bytes};
use std::cmp::Reverse;
use std::collections::{BTreeMap, VecDeque};
use std::{iter, mem};

const PUT: u8 = CellType::Put as u8;
/// The sequence id of an event that never happened; greater than all sequence ids.
const NEVER: i64 = i64::MAX;
/// This many versions means all of them; they need not be counted.
const ALL_VERSIONS: u32 = i32::MAX.unsigned_abs();

/// The markers of a row and the versions of a column (HBase: `NewVersionBehaviorTracker`).
///
/// A marker hides only what was written before it, and a version that newer ones pushed out stays hidden even
/// if one of them is deleted later. So writes are grouped by the markers that came between them: see [`Era`].
/// A marker hides only values with the same visibility labels (HBase: `VisibilityNewVersionBehaivorTracker`).
///
/// HBase has no eras in the column of the empty qualifier, where family markers come between the values; here
/// that column is like any other (§23.2).
#[derive(Debug)]
pub(super) struct NewVersionTracker {
    /// The number of versions that the family keeps.
    kept: u32,
    /// The eras made by family markers.
    family: Eras,
    /// The eras of the column: those of the family, and those made by the column's own markers.
    column: Eras,
    in_column: bool,
    qualifier: Vec<u8>,
    /// Timestamp, type and sequence id of the column's last version, ignoring repetitions.
    last: (i64, u8, i64),
    /// Number of versions of the column checked by [`check_versions`](Self::check_versions).
    count: u32,
    /// Whether a compaction has decided on the rest of the column.
    full: bool,
}

impl NewVersionTracker {
    pub(super) fn new(kept: u32) -> Self {
        Self {
            kept,
            family: Eras::default(),
            column: Eras::default(),
            in_column: false,
            qualifier: Vec::new(),
            last: (0, 0, 0),
            count: 0,
            full: false,
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
        (self.in_column, self.count, self.last, self.full) = (true, 0, (0, 0, 0), false);
        Ok(false)
    }

    /// Whether a [code that leaves the column](Self::stay_in_column) was returned for one of its versions.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Replaces a code that leaves the current column by one that continues in it. In the column of the empty
    /// qualifier no code leaves it, because markers of the family may follow (§23.1).
    pub(super) fn stay_in_column(&mut self, code: MatchCode) -> MatchCode {
        let stays = match code {
            MatchCode::IncludeAndSeekNextCol => MatchCode::Include,
            MatchCode::SeekNextCol => MatchCode::Skip,
            _ => return code,
        };
        self.full = !self.qualifier.is_empty();
        stays
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
        let apply = |eras: &mut Eras| match reaches_back {
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

    /// Whether a marker hides a value of the current column.
    pub(super) fn is_hidden_by_marker(&self, put: Version<'_>) -> bool {
        let ended = self.column.ended.range(put.seq_id..).map(|(_, era)| era);
        let mut eras = ended.chain(iter::once(&self.column.now));
        eras.any(|era| era.deleted_by(put).is_some() || era.reaches(put))
    }

    /// Checks whether one more version of the current column is selected.
    ///
    /// Once enough are selected, no more are; HBase would still include an expired one (§23.19).
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

    /// Checks whether to keep a marker that is not applied: as long as there are no more newer values than
    /// the family keeps.
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

/// Eras by the sequence ids of their ends, and the one that has not ended.
///
/// Unused eras keep their memory.
#[derive(Debug, Default)]
struct Eras {
    /// A tree, because markers come by timestamp, in any order of sequence ids.
    ended: BTreeMap<i64, Era>,
    now: Era,
    spare: Vec<Era>,
}

impl Eras {
    fn clear(&mut self) {
        self.spare.extend(mem::take(&mut self.ended).into_values());
        self.now.begin(i64::MIN, MarkerLabels::default());
    }

    fn take_spare(&mut self) -> Era {
        self.spare.pop().unwrap_or_default()
    }

    /// Becomes a copy of `other`, which has no counted versions.
    fn copy(&mut self, other: &Self) {
        self.clear();
        self.now.copy(&other.now);
        for (&end, from) in &other.ended {
            let mut era = self.take_spare();
            era.copy(from);
            self.ended.insert(end, era);
        }
    }

    /// Returns the eras that had not ended when a sequence id was written.
    #[inline]
    fn since(&mut self, id: i64) -> impl Iterator<Item = &mut Era> {
        self.ended.range_mut(id..).map(|(_, era)| era).chain(iter::once(&mut self.now))
    }

    /// Ends an era at a marker that hides all versions up to a timestamp.
    fn end_one(&mut self, marker: Version<'_>) {
        let mut era = self.take_spare();
        era.begin(marker.timestamp, MarkerLabels::of(marker.tags));
        match marker.seq_id {
            NEVER => self.now = era,
            id => drop(self.ended.insert(id, era)),
        }
    }

    fn delete_version(&mut self, marker: Version<'_>) {
        if let Some(era) = self.since(marker.seq_id).next() {
            era.delete_version(marker);
        }
    }
}

/// The writes between two markers that reach back in time, in order of sequence ids.
#[derive(Debug, Default)]
struct Era {
    /// The timestamp of the marker that ends the era.
    reach: i64,
    /// The labels of that marker.
    labels: MarkerLabels,
    /// The deletes of single versions, newest version first, then in the order written; with their labels.
    ///
    /// Trees, here and below, because deletes come by timestamp, in any order of sequence ids.
    deletes: BTreeMap<(Reverse<i64>, i64), MarkerLabels>,
    /// The versions present before each of those deletes, by its sequence id.
    before_deletes: BTreeMap<i64, VersionIds>,
    /// The versions present at the end.
    at_end: VersionIds,
}

/// The sequence ids of versions, ascending. In most columns, each one added is less than all others; in some,
/// greater.
#[derive(Debug, Default)]
struct VersionIds(VecDeque<i64>);

impl VersionIds {
    /// Adds a version, unless there are `most`. Returns whether there was room for it.
    fn add(&mut self, id: i64, most: u32) -> bool {
        if self.0.len() >= most as usize {
            return false;
        }
        if let Err(at) = self.0.binary_search(&id) {
            self.0.insert(at, id);
        }
        true
    }

    /// Returns those written before a sequence id.
    fn before(&self, id: i64) -> Self {
        Self(self.0.iter().copied().take_while(|&version| version < id).collect())
    }
}

impl Era {
    /// Resets the era.
    fn begin(&mut self, reach: i64, labels: MarkerLabels) {
        (self.reach, self.labels) = (reach, labels);
        self.deletes.clear();
        self.before_deletes.clear();
        self.at_end.0.clear();
    }

    /// Becomes a copy of `other`, which has no counted versions.
    fn copy(&mut self, other: &Self) {
        self.reach = other.reach;
        self.labels.clone_from(&other.labels);
        self.deletes.clone_from(&other.deletes);
        self.before_deletes = other.before_deletes.keys().map(|&id| (id, VersionIds::default())).collect();
        self.at_end.0.clear();
    }

    fn delete_version(&mut self, marker: Version<'_>) {
        let Version { timestamp, seq_id: id, tags, .. } = marker;
        self.deletes.insert((Reverse(timestamp), id), MarkerLabels::of(tags));
        // Of the versions counted so far, those written before the delete were present before it.
        let next = self.before_deletes.range(id..).next().map_or(&self.at_end, |(_, next)| next);
        let before = next.before(id);
        match id {
            NEVER => self.at_end = before,
            id => drop(self.before_deletes.insert(id, before)),
        }
    }

    /// If a delete of a version was written since a value, and hides it, returns the sequence id of the first
    /// one. As in HBase, that delete may have other labels: the version counts only until then (§23.37).
    fn deleted_by(&self, put: Version<'_>) -> Option<i64> {
        let version = Reverse(put.timestamp);
        let since =
            || self.deletes.range((version, put.seq_id)..).take_while(move |((of, _), _)| *of == version);
        let (&(_, first), _) = since().next()?;
        since().any(|(_, labels)| labels.match_value(put.tags)).then_some(first)
    }

    /// Whether the marker that ends the era hides a value of the era.
    fn reaches(&self, put: Version<'_>) -> bool {
        put.timestamp <= self.reach && self.labels.match_value(put.tags)
    }

    /// Counts a version that was present from `id` until `gone`. Returns whether there was room for it.
    fn count(&mut self, id: i64, gone: i64, kept: u32) -> bool {
        let before = self.before_deletes.range_mut(id..).take_while(|(delete, _)| **delete <= gone);
        let at_end = Some(&mut self.at_end).filter(|_| gone == NEVER);
        before.map(|(_, versions)| versions).chain(at_end).all(|versions| versions.add(id, kept))
    }
}

#[cfg(test)]
mod tests;
