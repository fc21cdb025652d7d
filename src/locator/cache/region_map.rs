//! The regions of a table by their start keys, as one value that is cheap to copy and change.

use super::start_keys::StartKeys;
use crate::locator::RegionLocations;
use bytes::Bytes;
use std::sync::Arc;

/// Regions by start key, in chunks that copies of the map share for as long as they stay as they are: a change copies the list of
/// chunks and one of them.
#[derive(Clone, Debug, Default)]
pub(super) struct RegionMap {
    /// The start key of the first region of each chunk.
    firsts: StartKeys,
    /// None of them is empty.
    chunks: Vec<Arc<Chunk>>,
    len: usize,
}

#[derive(Clone, Debug, Default)]
struct Chunk {
    keys: StartKeys,
    regions: Vec<RegionLocations>,
}

/// How many regions a chunk has at most. Changes copy a chunk and the list of chunks, so that neither should be long.
const CHUNK: usize = 256;

impl RegionMap {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The region with the greatest start key that is not greater than `row`; or, not inclusive, that is less.
    #[inline]
    pub(super) fn floor(&self, row: &[u8], inclusive: bool) -> Option<&RegionLocations> {
        let chunk = self.chunks.get(self.firsts.count_to(row, inclusive).checked_sub(1)?)?;
        chunk.regions.get(chunk.keys.count_to(row, inclusive).checked_sub(1)?)
    }

    /// The region with the greatest start key.
    pub(super) fn last(&self) -> Option<&RegionLocations> {
        self.chunks.last()?.regions.last()
    }

    /// The region with this start key.
    pub(super) fn get(&self, start: &[u8]) -> Option<&RegionLocations> {
        self.floor(start, true).filter(|found| found.region().start_key() == start)
    }

    /// The first region with a start key greater than `row`.
    pub(super) fn higher(&self, row: &[u8]) -> Option<&RegionLocations> {
        let at = self.firsts.count_to(row, true);
        if let Some(chunk) = at.checked_sub(1).and_then(|at| self.chunks.get(at))
            && let Some(found) = chunk.regions.get(chunk.keys.count_to(row, true))
        {
            return Some(found);
        }
        self.chunks.get(at)?.regions.first()
    }

    /// All regions, in the order of their start keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = &RegionLocations> {
        self.chunks.iter().flat_map(|chunk| &chunk.regions)
    }

    /// Puts a region where its start key belongs, in place of the one that has it.
    pub(super) fn insert(&mut self, region: RegionLocations) {
        let start = region.region().start_key_bytes().clone();
        if self.chunks.is_empty() {
            self.chunks.push(Arc::default());
            self.firsts.insert(0, start.clone());
        }
        let at = self.firsts.count_to(&start, true).saturating_sub(1);
        let Some(chunk) = self.chunks.get_mut(at).map(Arc::make_mut) else { return };
        let place = chunk.keys.count_to(&start, false);
        if chunk.keys.get(place) == Some(&start) {
            chunk.keys.replace(place, start.clone());
            chunk.regions[place] = region;
        } else {
            chunk.keys.insert(place, start.clone());
            chunk.regions.insert(place, region);
            self.len += 1;
        }
        if chunk.regions.len() > CHUNK {
            let half = chunk.regions.len() / 2;
            let behind = Chunk { keys: chunk.keys.split_off(half), regions: chunk.regions.split_off(half) };
            let first = behind.keys.get(0).cloned().unwrap_or_default();
            self.firsts.insert(at + 1, first);
            self.chunks.insert(at + 1, Arc::new(behind));
        }
        if place == 0 {
            self.firsts.replace(at, start);
        }
    }

    /// Takes the region with this start key away.
    pub(super) fn remove(&mut self, start: &[u8]) {
        let Some(at) = self.firsts.count_to(start, true).checked_sub(1) else { return };
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        let place = chunk.keys.count_to(start, false);
        if chunk.keys.get(place).is_none_or(|key| key != start) {
            return;
        }
        let chunk = Arc::make_mut(chunk);
        chunk.keys.remove(place);
        chunk.regions.remove(place);
        self.len -= 1;
        match chunk.keys.get(0) {
            Some(first) if place == 0 => self.firsts.replace(at, first.clone()),
            Some(_) => {}
            None => {
                self.firsts.remove(at);
                self.chunks.remove(at);
            }
        }
    }

    /// Changes regions: `change` answers what is to be in place of each, or that it is to go.
    pub(super) fn filter_map(
        &self,
        mut change: impl FnMut(&RegionLocations) -> Option<RegionLocations>,
    ) -> Self {
        self.iter().filter_map(&mut change).fold(Self::default(), |mut map, region| {
            map.insert(region);
            map
        })
    }

    /// The start keys of the regions that begin behind `start` and before `end`, which is empty for no bound.
    pub(super) fn starts_within(&self, start: &[u8], end: &[u8]) -> Vec<Bytes> {
        let mut found: Vec<Bytes> = Vec::new();
        let mut at = start;
        while let Some(next) = self.higher(at) {
            let key = next.region().start_key_bytes();
            if !end.is_empty() && &key[..] >= end {
                break;
            }
            found.push(key.clone());
            at = key;
        }
        found
    }
}
