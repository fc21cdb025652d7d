//! The regions of a table by start key, as a value that is cheap to copy and change.

use super::cached_locations::CachedLocations;
use super::sorted::{Keyed, Sorted};
use crate::locator::RegionLocations;
use bytes::Bytes;
use std::sync::Arc;

/// Regions by start key, in chunks. Copies of the map share unchanged chunks: a change copies the list of
/// chunks and one chunk.
#[derive(Clone, Debug, Default)]
pub(super) struct RegionMap {
    /// No chunk is empty.
    chunks: Sorted<Arc<Chunk>>,
    len: usize,
}

pub(super) type Chunk = Sorted<RegionLocations>;

/// Maximum number of regions per chunk. Changes copy a chunk and the list of chunks, so both should be short.
const CHUNK: usize = 256;

impl Keyed for RegionLocations {
    #[inline]
    fn key(&self) -> &[u8] {
        self.region().start_key()
    }

    #[inline]
    fn end(&self) -> &[u8] {
        self.region().end_key()
    }
}

impl Keyed for Arc<Chunk> {
    fn key(&self) -> &[u8] {
        self.get(0).map_or(&[], Keyed::key)
    }

    fn end(&self) -> &[u8] {
        &[]
    }
}

impl RegionMap {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns the region that contains a row.
    #[inline]
    pub(super) fn find(&self, row: &[u8]) -> Option<CachedLocations> {
        // it can only be in the last chunk that begins at or before the row
        let chunk = self.chunks.get(self.chunks.find(row)?)?;
        CachedLocations::new(chunk, chunk.find(row)?)
    }

    /// Returns the region with the greatest start key less than `row`, or equal to it if `inclusive`.
    pub(super) fn floor(&self, row: &[u8], inclusive: bool) -> Option<&RegionLocations> {
        let chunk = self.chunks.get(self.chunks.count_to(row, inclusive).checked_sub(1)?)?;
        chunk.get(chunk.count_to(row, inclusive).checked_sub(1)?)
    }

    /// Returns the region with the greatest start key.
    pub(super) fn last(&self) -> Option<&RegionLocations> {
        self.chunks.last()?.last()
    }

    /// Returns the region with this start key.
    pub(super) fn get(&self, start: &[u8]) -> Option<&RegionLocations> {
        self.floor(start, true).filter(|found| found.key() == start)
    }

    /// Returns the first region with a start key greater than `row`.
    fn higher(&self, row: &[u8]) -> Option<&RegionLocations> {
        let at = self.chunks.count_to(row, true);
        if let Some(chunk) = at.checked_sub(1).and_then(|at| self.chunks.get(at))
            && let Some(found) = chunk.get(chunk.count_to(row, true))
        {
            return Some(found);
        }
        self.chunks.get(at)?.get(0)
    }

    /// Iterates over all regions, in the order of their start keys.
    pub(super) fn iter(&self) -> impl Iterator<Item = &RegionLocations> {
        self.chunks.iter().flat_map(|chunk| chunk.iter())
    }

    /// Inserts a region, replacing the one with the same start key.
    pub(super) fn insert(&mut self, region: RegionLocations) {
        let at = self.chunks.count_to(region.key(), true).saturating_sub(1);
        let Some(chunk) = self.chunks.get(at) else {
            let mut chunk = Chunk::default();
            chunk.insert(0, region);
            self.chunks.insert(0, Arc::new(chunk));
            self.len = 1;
            return;
        };
        let position = chunk.count_to(region.key(), false);
        let is_known = chunk.get(position).is_some_and(|known| known.key() == region.key());
        // a chunk with a new first key must be updated in the list of chunks
        let is_first = position == 0 && !is_known;
        let mut after = None;
        let Some(chunk) = self.chunks.get_mut(at).map(Arc::make_mut) else { return };
        if is_known {
            chunk.replace(position, region);
        } else {
            chunk.insert(position, region);
            self.len += 1;
        }
        if chunk.len() > CHUNK {
            after = Some(chunk.split_off(chunk.len() / 2));
        }
        if is_first {
            self.refresh(at);
        }
        if let Some(after) = after {
            self.chunks.insert(at + 1, Arc::new(after));
        }
    }

    /// Removes the region with this start key.
    pub(super) fn remove(&mut self, start: &[u8]) {
        let Some(at) = self.chunks.count_to(start, true).checked_sub(1) else { return };
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        let position = chunk.count_to(start, false);
        if chunk.get(position).is_none_or(|known| known.key() != start) {
            return;
        }
        let chunk = Arc::make_mut(chunk);
        chunk.remove(position);
        self.len -= 1;
        if chunk.is_empty() {
            self.chunks.remove(at);
        } else if position == 0 {
            self.refresh(at);
        }
    }

    /// Updates the list of chunks after the first key of a chunk changed.
    fn refresh(&mut self, at: usize) {
        if let Some(chunk) = self.chunks.get(at).map(Arc::clone) {
            self.chunks.replace(at, chunk);
        }
    }

    /// Maps each region; `change` returns the replacement, or `None` to remove the region.
    pub(super) fn filter_map(
        &self,
        mut change: impl FnMut(&RegionLocations) -> Option<RegionLocations>,
    ) -> Self {
        self.iter().filter_map(&mut change).fold(Self::default(), |mut map, region| {
            map.insert(region);
            map
        })
    }

    /// Returns the start keys of the regions that begin after `start` and before `end`; an empty `end` is
    /// unbounded.
    pub(super) fn starts_within(&self, start: &[u8], end: &[u8]) -> Vec<Bytes> {
        let mut found: Vec<Bytes> = Vec::new();
        let mut at = start;
        while let Some(next) = self.higher(at).filter(|next| end.is_empty() || next.key() < end) {
            found.push(next.region().start_key_bytes().clone());
            at = next.key();
        }
        found
    }
}
