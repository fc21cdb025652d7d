//! The versions of a column that count.

use super::place::Place;
use super::{NEVER, Steps};
use std::collections::BTreeMap;
use std::ops::Bound;

/// From when on a version was there, and until when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    /// Its sequence id.
    pub(super) from: i64,
    /// The marker that hides it, if there is one.
    pub(super) until: Option<Place>,
    /// The sequence id of the same version written again, or [`NEVER`]: it counts no longer where nodes end.
    pub(super) repeated_by: i64,
}

/// The versions that were there at the end, and at each marker at which some of them go away.
///
/// Versions only ever become more until some go away. So there is no need to count them anywhere else: where there were too
/// many, there were too many at the next of these places, too.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// The sequence ids of versions that are still there, ascending.
    at_end: Vec<i64>,
    places: BTreeMap<Place, Vec<Counted>>,
    pub(super) work: Steps,
}

/// A version by its sequence id, and the one that repeats it or [`NEVER`]; in ascending order.
type Counted = (i64, i64);

impl Counts {
    pub(super) fn clear(&mut self) {
        self.at_end.clear();
        self.places.clear();
    }

    /// Counts from now on at a marker as well, which none of the versions so far was written with.
    pub(super) fn split(&mut self, place: Place) {
        let Some(before) = place.marker.checked_sub(1) else { return };
        if let Some(counted) = self.places.get_mut(&place) {
            counted.retain(|&(id, _)| id <= before);
        } else {
            let counted = self.counted(place, before);
            self.places.insert(place, counted);
        }
    }

    /// Counts at a place as well, which has been there from the beginning of the column.
    pub(super) fn add(&mut self, place: Place) {
        if place != Place::END && !self.places.contains_key(&place) {
            let counted = self.counted(place, place.limit());
            self.places.insert(place, counted);
        }
    }

    /// The versions up to a sequence id that were there at a place. They are found at those that follow, up to one that is not
    /// older.
    fn counted(&mut self, place: Place, last: i64) -> Vec<Counted> {
        let mut found = Vec::new();
        let mut reaches_end = true;
        for (next, counted) in self.places.range((Bound::Excluded(place), Bound::Unbounded)) {
            self.work.add(1 + counted.len());
            let was_there = |&&(id, repeated_by): &&Counted| id <= last && is_before(place, repeated_by);
            found.extend(counted.iter().filter(was_there));
            if next.limit() >= place.limit() {
                reaches_end = false;
                break;
            }
        }
        if reaches_end {
            self.work.add(self.at_end.len());
            found.extend(self.at_end.iter().filter(|&&id| id <= last).map(|&id| (id, NEVER)));
        }
        found.sort_unstable();
        found.reverse();
        found.dedup_by_key(|&mut (id, _)| id);
        found.reverse();
        found
    }

    /// Counts a version wherever it was there; whether there was room for it everywhere.
    #[inline]
    pub(super) fn stay(&mut self, stay: Stay, kept: u32) -> bool {
        if !self.places.is_empty() && !self.stay_at_places(stay, kept) {
            return false;
        }
        if stay.until.is_some() || stay.repeated_by != NEVER {
            return true;
        }
        if self.at_end.len() >= kept as usize {
            return false;
        }
        if let Err(at) = self.at_end.binary_search(&stay.from) {
            self.at_end.insert(at, stay.from);
        }
        true
    }

    fn stay_at_places(&mut self, stay: Stay, kept: u32) -> bool {
        let until = stay.until.unwrap_or(Place::END);
        let mut from = Place { node: stay.from, marker: stay.from };
        while from <= until
            && let Some((&place, counted)) = self.places.range_mut(from..=until).next()
        {
            self.work.add(1);
            if place.marker < stay.from {
                from = Place { node: place.node, marker: stay.from };
                continue;
            }
            if is_before(place, stay.repeated_by) {
                if counted.len() >= kept as usize {
                    return false;
                }
                match counted.binary_search_by_key(&stay.from, |&(id, _)| id) {
                    Ok(at) => counted[at].1 = counted[at].1.max(stay.repeated_by),
                    Err(at) => counted.insert(at, (stay.from, stay.repeated_by)),
                }
            }
            let in_node = place.marker < stay.repeated_by;
            from = match in_node.then(|| place.marker.checked_add(1)).flatten() {
                Some(marker) => Place { node: place.node, marker },
                None if place.node == NEVER => break,
                None => Place { node: place.node + 1, marker: stay.from },
            };
        }
        true
    }
}

/// Whether a version that is repeated counts at a place. Nodes end after everything.
fn is_before(place: Place, repeated_by: i64) -> bool {
    repeated_by == NEVER || place.marker <= repeated_by
}
