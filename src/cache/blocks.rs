//! The store of the cached blocks: moka's cache.

use super::index_store::RESERVED;
use super::key::BuildKeyHasher;
use super::stats::Counters;
use super::{BlockKey, Entry};
use crate::sync::unpoisoned;
use moka::notification::RemovalCause;
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use std::sync::{Arc, Mutex};

pub(super) type Blocks = Cache<BlockKey, Entry, BuildKeyHasher>;

/// Creates a store of `bytes` bytes. Blocks that deserve a second chance are pushed to `chances` when they
/// are evicted; `evicted` takes the others.
#[expect(clippy::unnecessary_wraps, reason = "returns None on other systems")]
pub(super) fn new(
    bytes: u64,
    counters: Arc<Counters>,
    chances: Arc<Mutex<Vec<(BlockKey, Entry)>>>,
    evicted: impl Fn(&BlockKey, &Entry) + Send + Sync + 'static,
) -> Option<Blocks> {
    let cache = Cache::builder()
        .max_capacity(bytes)
        .eviction_policy(EvictionPolicy::lru())
        .weigher(|_, entry: &Entry| u32::try_from(entry.block.weight()).unwrap_or(u32::MAX))
        .eviction_listener(move |key: Arc<BlockKey>, entry: Entry, cause| {
            match (cause, entry.slot()) {
                // the same block has been reinserted or reloaded
                (RemovalCause::Replaced, _) => {}
                (RemovalCause::Size, _) if key.file == RESERVED => {
                    unpoisoned(chances.lock()).push((*key, entry));
                }
                (RemovalCause::Size, Some((slots, slot))) if slots.take_used(slot) => {
                    unpoisoned(chances.lock()).push((*key, entry));
                }
                (_, address) => {
                    if cause == RemovalCause::Size {
                        counters.evictions.add(1);
                        evicted(&key, &entry);
                    }
                    if let Some((slots, slot)) = address {
                        slots.clear(slot);
                    }
                }
            }
        })
        .build_with_hasher(BuildKeyHasher::default());
    Some(cache)
}
