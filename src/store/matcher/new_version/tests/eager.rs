//! HBase's own way: a node, here an era, for each marker that reaches back in time, copied for each column.

use super::super::{ALL_VERSIONS, NEVER, PUT};
use crate::cell::{CellType, compare_bytes, same_bytes};
use crate::store::matcher::{Disorder, Version};
use std::cmp::Reverse;

/// The markers of a row and the versions of a column (HBase: `NewVersionBehaviorTracker`).
///
/// A marker hides only what was written before it, and a version that newer ones pushed out stays away even if one of
/// them is deleted later. So the writes are told apart by the markers that came between: see [`Era`].
///
/// HBase has no eras in the column of the empty qualifier, where family markers come between the values; here that column is like
/// any other (§23.2).
#[derive(Debug)]
pub(super) struct Eager {
    /// How many versions the family keeps.
    kept: u32,
    /// The eras that family markers make.
    family: Eras,
    /// Those of the column, which are the family's and those that its own markers make.
    column: Eras,
    in_column: bool,
    qualifier: Vec<u8>,
    /// Timestamp, type and sequence id of the column's last version, but for repetitions.
    last: (i64, u8, i64),
}

impl Eager {
    pub(super) fn new(kept: u32) -> Self {
        Self {
            kept,
            family: Eras::default(),
            column: Eras::default(),
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
        self.column.copy(&self.family);
        (self.in_column, self.last) = (true, (0, 0, 0));
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
        let of_family = CellType::from_code(type_code).is_some_and(CellType::is_family_delete);
        let reaches_back =
            [CellType::DeleteFamily, CellType::DeleteColumn].map(CellType::code).contains(&type_code);
        let apply = |eras: &mut Eras| match reaches_back {
            true => eras.end_one(seq_id, timestamp),
            false => eras.delete_version(seq_id, timestamp),
        };
        apply(&mut self.column);
        if of_family {
            apply(&mut self.family);
        }
        Ok(())
    }

    /// Whether a value is hidden: by a marker, by newer versions or by the same one written again.
    pub(super) fn is_deleted(&mut self, put: Version<'_>) -> Result<bool, Disorder> {
        let repeated_by = self.prepare(put)?;
        let Version { timestamp, seq_id, .. } = put;
        for era in self.column.since(seq_id) {
            let deleted_by = era.deleted_by(timestamp, seq_id);
            let gone = repeated_by.min(deleted_by.unwrap_or(NEVER));
            if self.kept < ALL_VERSIONS && !era.count(seq_id, gone, self.kept)
                || deleted_by.is_some()
                || timestamp <= era.reach
            {
                return Ok(true);
            }
        }
        Ok(repeated_by != NEVER)
    }
}

/// Eras in the order of their ends; the last one has not ended, and is only there once it has something to say.
///
/// Eras that are no longer in use keep their memory.
#[derive(Debug, Default)]
struct Eras {
    eras: Vec<Era>,
    spare: Vec<Era>,
}

impl Eras {
    fn clear(&mut self) {
        self.spare.append(&mut self.eras);
        let now = self.new_era(NEVER, i64::MIN);
        self.eras.push(now);
    }

    fn new_era(&mut self, end: i64, reach: i64) -> Era {
        let mut era = self.spare.pop().unwrap_or_default();
        (era.end, era.reach) = (end, reach);
        era.deletes.clear();
        era.counts.truncate(1);
        match era.counts.first_mut() {
            Some(count) => {
                count.until = NEVER;
                count.ids.clear();
            }
            None => era.counts.push(Count { until: NEVER, ids: Vec::new() }),
        }
        era
    }

    /// Becomes the same as `other`, in which nothing is counted.
    fn copy(&mut self, other: &Self) {
        self.spare.append(&mut self.eras);
        for from in &other.eras {
            let mut era = self.new_era(from.end, from.reach);
            era.deletes.extend_from_slice(&from.deletes);
            era.counts.pop();
            era.counts.extend(from.counts.iter().map(|count| Count { until: count.until, ids: Vec::new() }));
            self.eras.push(era);
        }
    }

    /// Those that had not ended when a sequence id was written.
    fn since(&mut self, id: i64) -> &mut [Era] {
        let at = self.eras.partition_point(|era| era.end < id);
        &mut self.eras[at..]
    }

    /// Ends an era at a marker that hides all up to a timestamp.
    fn end_one(&mut self, id: i64, timestamp: i64) {
        let at = self.eras.partition_point(|era| era.end < id);
        let era = self.new_era(id, timestamp);
        if self.eras.get(at).is_some_and(|old| old.end == id) {
            self.eras[at] = era;
        } else {
            self.eras.insert(at, era);
        }
    }

    fn delete_version(&mut self, id: i64, timestamp: i64) {
        if let Some(era) = self.since(id).first_mut() {
            era.delete_version(id, timestamp);
        }
    }
}

/// What was written between two markers that reach back in time, in order of sequence ids.
#[derive(Debug, Default)]
struct Era {
    /// The sequence id of the marker that ends it.
    end: i64,
    /// That marker's timestamp.
    reach: i64,
    /// Versions that were deleted by themselves: newest first, then in the order written.
    deletes: Vec<(Reverse<i64>, i64)>,
    /// The versions there were before each of those deletes, and at the end; ascending.
    counts: Vec<Count>,
}

/// The versions there were before a sequence id.
#[derive(Debug)]
struct Count {
    until: i64,
    /// Their sequence ids, ascending.
    ids: Vec<i64>,
}

impl Era {
    fn delete_version(&mut self, id: i64, timestamp: i64) {
        let delete = (Reverse(timestamp), id);
        if let Err(at) = self.deletes.binary_search(&delete) {
            self.deletes.insert(at, delete);
        }
        let at = self.counts.partition_point(|count| count.until < id);
        // of the versions counted so far, those that were written before the delete were there before it
        let Some(next) = self.counts.get(at) else { return };
        let ids = next.ids.iter().copied().take_while(|&put| put < id).collect();
        let count = Count { until: id, ids };
        if next.until == id {
            self.counts[at] = count;
        } else {
            self.counts.insert(at, count);
        }
    }

    /// The first delete of a version that was written at `id`.
    fn deleted_by(&self, timestamp: i64, id: i64) -> Option<i64> {
        let at = self.deletes.partition_point(|delete| *delete < (Reverse(timestamp), id));
        self.deletes.get(at).filter(|(version, _)| version.0 == timestamp).map(|&(_, by)| by)
    }

    /// Counts a version that was there from `id` until `gone`; whether there was room for it.
    fn count(&mut self, id: i64, gone: i64, kept: u32) -> bool {
        let from = self.counts.partition_point(|count| count.until < id);
        for count in self.counts[from..].iter_mut().take_while(|count| count.until <= gone) {
            if count.ids.len() >= kept as usize {
                return false;
            }
            if let Err(at) = count.ids.binary_search(&id) {
                count.ids.insert(at, id);
            }
        }
        true
    }
}
