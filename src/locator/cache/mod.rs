//! A cache of region locations (locator.md §12; HBase: `MetaCache`).

mod cached_locations;
mod region_map;
mod sorted;

use super::{NO_SEQ_NUM, RegionException, RegionLocations, Replica, ServerName};
use crate::schema::{RegionInfo, TableName};
use crate::sync::unpoisoned;
use arc_swap::{ArcSwap, Guard};
pub use cached_locations::CachedLocations;
use region_map::RegionMap;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

/// The locations of regions, by table and start key (HBase: `MetaCache`).
///
/// A lookup takes no lock, allocates nothing, and is not blocked by other lookups or by changes. A change
/// replaces the value that lookups read; the changes of each table are serialized. The catalog's own region
/// is not in the cache.
#[derive(Default)]
pub struct MetaCache {
    tables: ArcSwap<BTreeMap<TableName, Arc<TableRegions>>>,
    /// Held while a table is added or removed.
    changing: Mutex<()>,
}

#[derive(Debug, Default)]
struct TableRegions {
    map: ArcSwap<RegionMap>,
    /// Held while the regions are changed.
    changing: Mutex<()>,
}

/// The known regions of a table at one moment: several lookups agree, whatever changes in the meantime.
#[derive(Clone, Debug)]
pub struct KnownRegions(Option<Arc<RegionMap>>);

impl KnownRegions {
    /// Returns the region that contains a row, if it was known.
    #[must_use]
    pub fn get(&self, row: &[u8]) -> Option<CachedLocations> {
        self.0.as_ref()?.find(row)
    }
}

/// The origin of a location, which determines its precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LocationOrigin {
    /// The location was just looked up in the catalog: it replaces any known one.
    LookedUp,
    /// The location was read along with another: it does not replace a younger region.
    Prefetched,
}

impl MetaCache {
    /// Creates an empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the region that contains a row, if it is known.
    #[inline]
    #[must_use]
    pub fn get(&self, table: &TableName, row: &[u8]) -> Option<CachedLocations> {
        self.regions(table)?.find(row)
    }

    /// Returns what is known of the regions of a table now.
    #[must_use]
    pub fn known_regions(&self, table: &TableName) -> KnownRegions {
        KnownRegions(self.regions(table).map(Guard::into_inner))
    }

    /// Returns the region that contains the greatest possible row less than `row`, if it is known; for an
    /// empty row, the last region.
    #[must_use]
    pub fn get_before(&self, table: &TableName, row: &[u8]) -> Option<RegionLocations> {
        let map = self.regions(table)?;
        let found = if row.is_empty() { map.last() } else { map.floor(row, false) };
        found.filter(|found| has_before(found.region(), row)).cloned()
    }

    /// Returns all known regions of a table, in the order of their start keys.
    #[must_use]
    pub fn regions_of(&self, table: &TableName) -> Vec<RegionLocations> {
        self.regions(table).map_or_else(Vec::new, |map| map.iter().cloned().collect())
    }

    /// Returns the number of known regions of a table.
    #[must_use]
    pub fn len(&self, table: &TableName) -> usize {
        self.regions(table).map_or(0, |map| map.len())
    }

    /// Whether no region of a table is known.
    #[must_use]
    pub fn is_empty(&self, table: &TableName) -> bool {
        self.len(table) == 0
    }

    fn regions(&self, table: &TableName) -> Option<Guard<Arc<RegionMap>>> {
        self.tables.load().get(table).map(|regions| regions.map.load())
    }

    /// Adds a region's locations (locator.md §12.3).
    ///
    /// If the region is known, the newer location of each replica is kept, by sequence number; of equal
    /// numbers, the added one. Another region with the same start key is removed, and so are regions that
    /// begin within the added one.
    pub fn insert(&self, locations: RegionLocations, origin: LocationOrigin) {
        self.insert_all([locations], origin);
    }

    /// Adds the locations of several regions, with one change for each run of regions of one table.
    pub fn insert_all(&self, locations: impl IntoIterator<Item = RegionLocations>, origin: LocationOrigin) {
        // The iterator may use the cache itself, which is locked later.
        let locations: Vec<RegionLocations> = locations.into_iter().collect();
        let mut locations = locations.into_iter().peekable();
        while let Some(first) = locations.next() {
            let table = first.region().table().clone();
            self.change(&table, |map| {
                insert(map, first, origin);
                while let Some(next) = locations.next_if(|next| *next.region().table() == table) {
                    insert(map, next, origin);
                }
            });
        }
    }

    /// Updates the cache after a fault of a location that was used (locator.md §10, §12.4). Nothing changes
    /// if the cached location is newer than the one used.
    pub fn on_fault(&self, used: &RegionLocations, replica_id: u16, fault: &RegionException) {
        if let RegionException::ServerGone = fault {
            if let Some(server) = replica(used, replica_id).server.as_ref() {
                self.clear_server(server);
            }
            return;
        }
        if !fault.is_relocation() {
            return;
        }
        self.change_known(used.region(), |known| {
            let (was, is) = (replica(used, replica_id), replica(known, replica_id));
            match fault {
                // the server that redirects is authoritative, whatever the sequence numbers
                RegionException::RegionMoved { server, seq_num }
                    if is.server == was.server || seq_num.is_some_and(|number| number > is.seq_num) =>
                {
                    let moved = Replica::on(server.clone(), seq_num.unwrap_or(NO_SEQ_NUM));
                    Some(with_replica(known, replica_id, moved))
                }
                RegionException::RegionMoved { .. } => Some(known.clone()),
                _ if is.server != was.server || is.seq_num > was.seq_num => Some(known.clone()),
                _ => without_replica(known, replica_id),
            }
        });
    }

    /// Removes a region.
    pub fn remove_region(&self, region: &RegionInfo) {
        self.change_known(region, |_| None);
    }

    /// Removes the region that contains a row.
    pub fn remove_row(&self, table: &TableName, row: &[u8]) {
        self.change_if_cached(table, |map| {
            if let Some(start) = map.find(row).map(|found| found.region().start_key_bytes().clone()) {
                map.remove(&start);
            }
        });
    }

    /// Removes the regions of a table.
    pub fn clear_table(&self, table: &TableName) {
        let _changing = unpoisoned(self.changing.lock());
        if self.tables.load().contains_key(table) {
            let mut tables = BTreeMap::clone(&self.tables.load());
            tables.remove(table);
            self.tables.store(Arc::new(tables));
        }
    }

    /// Removes a server from all locations. A server restarted at the same address is a different server.
    pub fn clear_server(&self, server: &ServerName) {
        let is_on = |replica: &Replica| replica.server.as_ref() == Some(server);
        for table in self.tables.load().keys() {
            self.change_if_cached(table, |map| {
                if map.iter().any(|known| known.replicas().iter().any(is_on)) {
                    *map = map.filter_map(|known| {
                        let ids = 0..=u16::MAX;
                        let on = known.replicas().iter().zip(ids).filter(|(replica, _)| is_on(replica));
                        on.map(|(_, id)| id).try_fold(known.clone(), |known, id| without_replica(&known, id))
                    });
                }
            });
        }
    }

    /// Removes everything.
    pub fn clear(&self) {
        let _changing = unpoisoned(self.changing.lock());
        self.tables.store(Arc::default());
    }

    /// Changes the location of a region if exactly this region is cached; if `change` returns `None`, removes
    /// it.
    fn change_known(
        &self,
        region: &RegionInfo,
        change: impl FnOnce(&RegionLocations) -> Option<RegionLocations>,
    ) {
        self.change_if_cached(region.table(), |map| {
            let Some(known) = map.get(region.start_key()).filter(|known| is_same(known.region(), region))
            else {
                return;
            };
            match change(known) {
                Some(same) if same.is_same(known) => {}
                Some(changed) => map.insert(changed),
                None => map.remove(region.start_key()),
            }
        });
    }

    fn change_if_cached(&self, table: &TableName, change: impl FnOnce(&mut RegionMap)) {
        if let Some(regions) = self.tables.load().get(table) {
            regions.change(change);
        }
    }

    fn change(&self, table: &TableName, change: impl FnOnce(&mut RegionMap)) {
        if let Some(regions) = self.tables.load().get(table) {
            return regions.change(change);
        }
        let _changing = unpoisoned(self.changing.lock());
        let tables = self.tables.load();
        if let Some(regions) = tables.get(table) {
            return regions.change(change);
        }
        let regions = TableRegions::default();
        regions.change(change);
        let mut tables = BTreeMap::clone(&tables);
        tables.insert(table.clone(), Arc::new(regions));
        self.tables.store(Arc::new(tables));
    }
}

impl TableRegions {
    fn change(&self, change: impl FnOnce(&mut RegionMap)) {
        let _changing = unpoisoned(self.changing.lock());
        let mut map = RegionMap::clone(&self.map.load());
        change(&mut map);
        self.map.store(Arc::new(map));
    }
}

fn insert(map: &mut RegionMap, new: RegionLocations, origin: LocationOrigin) {
    let (start, end) = (new.region().start_key(), new.region().end_key());
    let known = map.get(start);
    let within = map.starts_within(start, end);
    if origin == LocationOrigin::Prefetched {
        let is_younger = |known: &RegionLocations| known.region().region_id() > new.region().region_id();
        // the region that contains its first row, and the regions that begin within it
        let around = map.find(start);
        if around.as_deref().is_some_and(is_younger)
            || within.iter().filter_map(|start| map.get(start)).any(is_younger)
        {
            return;
        }
    }
    let new = match known {
        Some(known) if is_same(known.region(), new.region()) => newer(known, &new),
        _ => new,
    };
    // a region that begins within this one would hide it from the rows after that region's end
    within.iter().for_each(|start| map.remove(start));
    map.insert(new);
}

/// Merges two locations of one region: for each replica, the newer one.
fn newer(known: &RegionLocations, new: &RegionLocations) -> RegionLocations {
    let replicas = (0..=u16::MAX).zip(new.replicas()).map(|(id, new)| {
        let known = replica(known, id);
        if known.server.is_some() && known.seq_num > new.seq_num { known } else { new.clone() }
    });
    RegionLocations::new(new.region().clone(), replicas.collect::<Vec<_>>())
}

/// Whether both are the same region, whatever their end keys and flags.
fn is_same(a: &RegionInfo, b: &RegionInfo) -> bool {
    a.region_id() == b.region_id() && a.start_key() == b.start_key() && a.table() == b.table()
}

/// Whether the region contains the greatest possible row less than `row`; an empty row is the end of the
/// table.
pub(super) fn has_before(region: &RegionInfo, row: &[u8]) -> bool {
    let (start, end) = (region.start_key(), region.end_key());
    if row.is_empty() { end.is_empty() } else { start < row && (end.is_empty() || end >= row) }
}

fn replica(locations: &RegionLocations, id: u16) -> Replica {
    locations.replicas().get(usize::from(id)).cloned().unwrap_or(Replica::UNKNOWN)
}

fn with_replica(locations: &RegionLocations, id: u16, replica: Replica) -> RegionLocations {
    let mut replicas = locations.replicas().to_vec();
    if let Some(place) = replicas.get_mut(usize::from(id)) {
        *place = replica;
    }
    RegionLocations::new(locations.region().clone(), replicas)
}

/// Removes the location of a replica; `None` if no other replica has a server.
fn without_replica(locations: &RegionLocations, id: u16) -> Option<RegionLocations> {
    let left = with_replica(locations, id, Replica::UNKNOWN);
    left.replicas().iter().any(|replica| replica.server.is_some()).then_some(left)
}

impl fmt::Debug for MetaCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tables = self.tables.load();
        f.debug_map()
            .entries(tables.iter().map(|(table, regions)| (table, regions.map.load().len())))
            .finish()
    }
}

#[cfg(test)]
mod tests;
