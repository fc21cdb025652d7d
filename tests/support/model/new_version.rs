//! NEW_VERSION_BEHAVIOR (read-path.md §9.10): a marker hides only cells that were written before it, and a
//! version that newer ones displaced does not reappear.

use super::read::Ask;
use super::{Cell, Settings};
use hregion::CellType;
use std::collections::{BTreeMap, BTreeSet};

const FOREVER: i64 = i64::MAX;

/// Returns the result of a normal read of the visible cells of a row.
pub(super) fn read<'c>(cells: &[&'c Cell], settings: &Settings, ask: &Ask<'_>, now: i64) -> Vec<&'c Cell> {
    let mut tracker = Tracker::new(settings, ask.versions.min(settings.max_versions), now);
    let mut found = Vec::new();
    let mut left: Option<&[u8]> = None;
    for cell in cells.iter().copied() {
        if left == Some(&cell.qualifier) || cell.is_expired_by_tag(now) {
            continue;
        }
        if !cell.is_put() {
            if ask.tracks(cell, settings) {
                tracker.add(cell);
            }
            continue;
        }
        if tracker.is_deleted(cell) || !ask.times.within_or_before(cell.timestamp) {
            continue;
        }
        if !ask.times.within(cell.timestamp) || !ask.wants_column(&cell.qualifier) {
            left = Some(&cell.qualifier);
            continue;
        }
        match tracker.check_versions(cell.timestamp) {
            Versions::Include => found.push(cell),
            Versions::IncludeLast => {
                found.push(cell);
                left = Some(&cell.qualifier);
            }
            Versions::Done => left = Some(&cell.qualifier),
        }
    }
    found
}

impl super::Times {
    fn within_or_before(self, timestamp: i64) -> bool {
        self == Self::ALL || timestamp < self.1
    }
}

/// The action for a cell that no marker hides.
pub(super) enum Versions {
    Include,
    /// Includes the cell and nothing more of its column.
    IncludeLast,
    Done,
}

/// A marker of a range of timestamps, or the initial node with no deletion.
#[derive(Clone)]
struct Node {
    timestamp: i64,
    /// The sequence ids of single-timestamp markers, by timestamp.
    single: BTreeMap<i64, BTreeSet<i64>>,
    /// The Puts that count as versions as of each sequence id.
    counting: BTreeMap<i64, BTreeSet<i64>>,
}

impl Node {
    fn new(timestamp: i64) -> Self {
        let counting = BTreeMap::from([(FOREVER, BTreeSet::new())]);
        Self { timestamp, single: BTreeMap::new(), counting }
    }

    fn add_single(&mut self, marker: &Cell) {
        let id = marker.seq_id;
        self.single.entry(marker.timestamp).or_default().insert(id);
        let next = self.counting.range(id..).next().expect("there is one at the end");
        let before = next.1.range(..id).copied().collect();
        self.counting.insert(id, before);
    }
}

/// The state of one row.
pub(super) struct Tracker<'s> {
    settings: &'s Settings,
    result_max: u32,
    oldest: i64,
    family: BTreeMap<i64, Node>,
    column: BTreeMap<i64, Node>,
    last: Option<Cell>,
    duplicate_of: i64,
    count: u32,
}

impl<'s> Tracker<'s> {
    pub(super) fn new(settings: &'s Settings, result_max: u32, now: i64) -> Self {
        Self {
            settings,
            result_max,
            oldest: settings.oldest_unexpired(now),
            family: BTreeMap::from([(FOREVER, Node::new(i64::MIN))]),
            column: BTreeMap::new(),
            last: None,
            duplicate_of: FOREVER,
            count: 0,
        }
    }

    fn prepare(&mut self, cell: &Cell) {
        let of_family = matches!(cell.kind, CellType::DeleteFamily | CellType::DeleteFamilyVersion);
        let is_new = match &self.last {
            Some(last) => last.qualifier != cell.qualifier,
            None => !of_family && (!cell.qualifier.is_empty() || !cell.is_put()),
        };
        if is_new {
            self.column = self.family.clone();
            self.count = 0;
        } else if let Some(last) = &self.last
            && last.is_put()
            && (last.kind, last.timestamp) == (cell.kind, cell.timestamp)
        {
            self.duplicate_of = last.seq_id;
            return;
        }
        self.last = Some(cell.clone());
        self.duplicate_of = FOREVER;
    }

    pub(super) fn add(&mut self, marker: &Cell) {
        self.prepare(marker);
        let id = marker.seq_id;
        let nodes = match marker.kind {
            CellType::DeleteFamily | CellType::DeleteFamilyVersion => &mut self.family,
            _ => &mut self.column,
        };
        match marker.kind {
            CellType::DeleteFamily | CellType::DeleteColumn => {
                nodes.insert(id, Node::new(marker.timestamp));
            }
            // the map is empty only in the column with the empty qualifier, which such families do not have
            // here (§23.2)
            _ => nodes.range_mut(id..).next().into_iter().for_each(|(_, node)| node.add_single(marker)),
        }
    }

    pub(super) fn is_deleted(&mut self, put: &Cell) -> bool {
        self.prepare(put);
        for node in self.column.range_mut(put.seq_id..).map(|(_, node)| node) {
            let singles = node.single.get(&put.timestamp);
            let deleted_by = singles.and_then(|ids| ids.range(put.seq_id..).next()).copied();
            let until = self.duplicate_of.min(deleted_by.unwrap_or(FOREVER));
            for (_, counted) in node.counting.range_mut(put.seq_id..).take_while(|(id, _)| **id <= until) {
                if counted.len() as u64 >= u64::from(self.settings.max_versions) {
                    return true;
                }
                counted.insert(put.seq_id);
            }
            if deleted_by.is_some() || put.timestamp <= node.timestamp {
                return true;
            }
        }
        self.duplicate_of != FOREVER
    }

    pub(super) fn check_versions(&mut self, timestamp: i64) -> Versions {
        self.count += 1;
        let (n, min) = (self.count, self.settings.min_versions);
        if timestamp < self.oldest && n >= min {
            return if n == min { Versions::IncludeLast } else { Versions::Done };
        }
        match n.cmp(&self.result_max) {
            std::cmp::Ordering::Less => Versions::Include,
            std::cmp::Ordering::Equal => Versions::IncludeLast,
            std::cmp::Ordering::Greater => Versions::Done,
        }
    }

    /// Whether the count of versions in a marker's column is still within the number to keep.
    pub(super) fn has_room_for(&self, marker: &Cell) -> bool {
        let is_last = self.last.as_ref().is_some_and(|last| last.qualifier == marker.qualifier);
        let count = if is_last { self.count } else { 0 };
        count <= self.result_max && (count <= self.settings.min_versions || marker.timestamp >= self.oldest)
    }
}
