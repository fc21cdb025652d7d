//! The markers of a family in a row.

use super::deletes::Deletes;
use super::place::Place;
use super::{NEVER, Steps};
use std::collections::BTreeMap;

/// What the markers of the family hide in each column.
#[derive(Debug, Default)]
pub(super) struct FamilyMarkers {
    /// The markers that reach back in time, by sequence id.
    nodes: BTreeMap<i64, Node>,
    /// Of those, the ones that no later one of the same or a newer timestamp makes redundant: timestamp and sequence id, the
    /// latest first, with ascending timestamps.
    steps: Vec<(i64, i64)>,
    /// Whether there are markers that `steps` does not know.
    is_stale: bool,
    pub(super) deletes: Deletes,
    pub(super) work: Steps,
}

#[derive(Debug)]
struct Node {
    timestamp: i64,
    /// Timestamps and sequence ids of the markers of single versions that belong to it.
    deletes: Vec<(i64, i64)>,
}

impl FamilyMarkers {
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.steps.clear();
        self.is_stale = false;
        self.deletes.clear();
    }

    /// Takes a marker into account that hides all up to a timestamp.
    ///
    /// As in HBase, it takes the place of one that the same mutation wrote, and nothing is left of what belonged to that.
    pub(super) fn reach_back(&mut self, id: i64, timestamp: i64) {
        self.work.add(1);
        self.is_stale = true;
        let Some(old) = self.nodes.insert(id, Node { timestamp, deletes: Vec::new() }) else { return };
        for (timestamp, marker) in old.deletes {
            self.work.add(1);
            self.deletes.remove(timestamp, Place { node: id, marker });
        }
    }

    /// Takes a marker of a single version into account.
    pub(super) fn delete(&mut self, id: i64, timestamp: i64) -> Place {
        self.work.add(1);
        let place = self.place_of(id);
        self.deletes.add(timestamp, place);
        if let Some(node) = self.nodes.get_mut(&place.node) {
            node.deletes.push((timestamp, id));
        }
        place
    }

    /// The place of a marker of a single version, of the family or of a column.
    pub(super) fn place_of(&self, id: i64) -> Place {
        Place { node: self.nodes.range(id..).next().map_or(NEVER, |(&node, _)| node), marker: id }
    }

    /// The end of the last node before that of a place.
    pub(super) fn node_before(&self, place: Place) -> Option<Place> {
        self.nodes.range(..place.node).next_back().map(|(&node, _)| Place::end_of(node))
    }

    /// The last marker that reaches back to a timestamp: what was not written after it is hidden.
    ///
    /// Of the markers' own column only those are known that come before the value, and all of them reach back to it.
    #[inline]
    pub(super) fn floor(&mut self, timestamp: i64, is_own_column: bool) -> i64 {
        if self.nodes.is_empty() {
            return i64::MIN;
        }
        if is_own_column {
            return self.nodes.last_key_value().map_or(i64::MIN, |(&id, _)| id);
        }
        if self.is_stale {
            self.find_steps();
        }
        let at = self.steps.partition_point(|&(reach, _)| reach < timestamp);
        self.steps.get(at).map_or(i64::MIN, |&(_, id)| id)
    }

    #[cold]
    fn find_steps(&mut self) {
        self.is_stale = false;
        self.steps.clear();
        for (&id, node) in self.nodes.iter().rev() {
            self.work.add(1);
            if self.steps.last().is_none_or(|&(reach, _)| reach < node.timestamp) {
                self.steps.push((node.timestamp, id));
            }
        }
    }
}
