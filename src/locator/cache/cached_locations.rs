//! The result of a lookup in the cache.

use super::region_map::Chunk;
use crate::locator::RegionLocations;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// A region's locations in a [`MetaCache`](super::MetaCache), as they were at the lookup.
///
/// A lookup does not read the region itself, which is rarely in a processor's cache if there are many
/// regions; the first use of the locations does. A value keeps the regions near it in memory: convert it into
/// [`RegionLocations`] to store it.
#[derive(Clone)]
pub struct CachedLocations {
    chunk: Arc<Chunk>,
    at: usize,
}

impl CachedLocations {
    /// Returns a region of a chunk; `None` if there is none at the position.
    #[inline]
    pub(super) fn new(chunk: &Arc<Chunk>, at: usize) -> Option<Self> {
        (at < chunk.len()).then(|| Self { chunk: Arc::clone(chunk), at })
    }
}

impl Deref for CachedLocations {
    type Target = RegionLocations;

    #[inline]
    fn deref(&self) -> &RegionLocations {
        self.chunk.get(self.at).expect("the position was checked, and a shared chunk is not changed")
    }
}

impl From<CachedLocations> for RegionLocations {
    #[inline]
    fn from(cached: CachedLocations) -> Self {
        Self::clone(&cached)
    }
}

impl fmt::Debug for CachedLocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&**self, f)
    }
}
