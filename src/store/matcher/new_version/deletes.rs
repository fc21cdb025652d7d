//! Markers of single versions.

use super::place::Place;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// The markers of single versions of a column or of the family, and the nodes that they belong to.
#[derive(Debug, Default)]
pub(super) struct Deletes {
    /// The node by timestamp and sequence id.
    nodes: BTreeMap<(Reverse<i64>, i64), i64>,
    /// Sequence ids and nodes.
    ids: BTreeSet<(i64, i64)>,
}

impl Deletes {
    pub(super) fn clear(&mut self) {
        self.nodes.clear();
        self.ids.clear();
    }

    pub(super) fn add(&mut self, timestamp: i64, place: Place) {
        self.nodes.insert((Reverse(timestamp), place.marker), place.node);
        self.ids.insert((place.marker, place.node));
    }

    pub(super) fn remove(&mut self, timestamp: i64, place: Place) {
        self.nodes.remove(&(Reverse(timestamp), place.marker));
        self.ids.remove(&(place.marker, place.node));
    }

    /// The first marker that hides the version of a timestamp that was written at `id`.
    #[inline]
    pub(super) fn first_since(&self, timestamp: i64, id: i64) -> Option<Place> {
        if self.nodes.is_empty() {
            return None;
        }
        let (&(version, marker), &node) = self.nodes.range((Reverse(timestamp), id)..).next()?;
        (version.0 == timestamp).then_some(Place { node, marker })
    }

    /// The last marker that was not written after `id`, of any timestamp.
    pub(super) fn last_until(&self, id: i64) -> Option<Place> {
        let &(marker, _) = self.ids.range(..=(id, i64::MAX)).next_back()?;
        let &(_, node) = self.ids.range((marker, i64::MIN)..).next()?;
        Some(Place { node, marker })
    }
}
