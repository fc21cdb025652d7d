//! What is known of where regions are (locator.md §12; HBase: `MetaCache`).

mod region_map;
mod sorted;

use super::{Fault, NO_SEQ_NUM, RegionLocations, Replica, ServerName};
use crate::schema::{RegionInfo, TableName};
use crate::sync::unpoisoned;
use arc_swap::{ArcSwap, Guard};
use region_map::RegionMap;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

/// The locations of regions, by table and start key.
///
/// A look-up takes no lock, allocates nothing, and is not held up by others nor by changes: those put a new value in place of
/// the one that is read, one after the other for each table. The catalog's own region is not in it.
#[derive(Default)]
pub struct MetaCache {
    tables: ArcSwap<BTreeMap<TableName, Arc<TableRegions>>>,
    /// Held while a table is added or taken away.
    changing: Mutex<()>,
}

#[derive(Debug, Default)]
struct TableRegions {
    map: ArcSwap<RegionMap>,
    /// Held while the regions are changed.
    changing: Mutex<()>,
}

/// Where a location comes from, and so how far it is to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The catalog was asked for it just now: it takes the place of whatever is known.
    Asked,
    /// It came along with another: it takes no younger region's place.
    Prefetched,
}

impl MetaCache {
    /// A cache that knows nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The region that has a row, if it is known.
    #[inline]
    #[must_use]
    pub fn get(&self, table: &TableName, row: &[u8]) -> Option<RegionLocations> {
        self.regions(table)?.find(row).cloned()
    }

    /// The region that has the greatest possible row that is less than `row`, if it is known; the last one for an empty row.
    #[must_use]
    pub fn get_before(&self, table: &TableName, row: &[u8]) -> Option<RegionLocations> {
        let map = self.regions(table)?;
        let found = if row.is_empty() { map.last() } else { map.floor(row, false) };
        found.filter(|found| has_before(found.region(), row)).cloned()
    }

    /// All regions of a table that are known, in the order of their start keys.
    #[must_use]
    pub fn regions_of(&self, table: &TableName) -> Vec<RegionLocations> {
        self.regions(table).map_or_else(Vec::new, |map| map.iter().cloned().collect())
    }

    /// How many regions of a table are known.
    #[must_use]
    pub fn len(&self, table: &TableName) -> usize {
        self.regions(table).map_or(0, |map| map.len())
    }

    /// Whether nothing is known of a table.
    #[must_use]
    pub fn is_empty(&self, table: &TableName) -> bool {
        self.len(table) == 0
    }

    fn regions(&self, table: &TableName) -> Option<Guard<Arc<RegionMap>>> {
        self.tables.load().get(table).map(|regions| regions.map.load())
    }

    /// Takes what has been learned of a region (locator.md §12.3).
    ///
    /// Of the same region, each copy's newer location stays, by sequence number; of two with the same number the one that comes.
    /// Another region of the same start key makes way, and so do regions that begin within it.
    pub fn insert(&self, locations: RegionLocations, source: Source) {
        self.insert_all([locations], source);
    }

    /// Takes what has been learned of regions, in one change for each run of regions of one table.
    pub fn insert_all(&self, locations: impl IntoIterator<Item = RegionLocations>, source: Source) {
        let mut locations = locations.into_iter().peekable();
        while let Some(first) = locations.next() {
            let table = first.region().table().clone();
            self.change(&table, |map| {
                insert(map, first, source);
                while let Some(next) = locations.next_if(|next| *next.region().table() == table) {
                    insert(map, next, source);
                }
            });
        }
    }

    /// Takes what was wrong with a location that was used (locator.md §10, §12.4). Nothing changes if what is known by now is
    /// newer than what was used.
    pub fn on_fault(&self, used: &RegionLocations, replica_id: u16, fault: &Fault) {
        if let Fault::ServerGone = fault {
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
                // who sent us away knows better than we, whatever the numbers say
                Fault::RegionMoved { server, seq_num }
                    if is.server == was.server || seq_num.is_some_and(|number| number > is.seq_num) =>
                {
                    let moved = Replica::on(server.clone(), seq_num.unwrap_or(NO_SEQ_NUM));
                    Some(with_replica(known, replica_id, moved))
                }
                Fault::RegionMoved { .. } => Some(known.clone()),
                _ if is.server != was.server || is.seq_num > was.seq_num => Some(known.clone()),
                _ => without_replica(known, replica_id),
            }
        });
    }

    /// Forgets a region.
    pub fn remove_region(&self, region: &RegionInfo) {
        self.change_known(region, |_| None);
    }

    /// Forgets the region that has a row.
    pub fn remove_row(&self, table: &TableName, row: &[u8]) {
        self.change_if_there(table, |map| {
            if let Some(start) = map.find(row).map(|found| found.region().start_key_bytes().clone()) {
                map.remove(&start);
            }
        });
    }

    /// Forgets a table.
    pub fn clear_table(&self, table: &TableName) {
        let _changing = unpoisoned(self.changing.lock());
        if self.tables.load().contains_key(table) {
            let mut tables = BTreeMap::clone(&self.tables.load());
            tables.remove(table);
            self.tables.store(Arc::new(tables));
        }
    }

    /// Forgets that a server has any region. Another that was started at the same address is another server.
    pub fn clear_server(&self, server: &ServerName) {
        let is_on = |replica: &Replica| replica.server.as_ref() == Some(server);
        for table in self.tables.load().keys() {
            self.change_if_there(table, |map| {
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

    /// Forgets everything.
    pub fn clear(&self) {
        let _changing = unpoisoned(self.changing.lock());
        self.tables.store(Arc::default());
    }

    /// Changes the location of a region that is known, if it is this very region; none forgets it.
    fn change_known(
        &self,
        region: &RegionInfo,
        change: impl FnOnce(&RegionLocations) -> Option<RegionLocations>,
    ) {
        self.change_if_there(region.table(), |map| {
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

    fn change_if_there(&self, table: &TableName, change: impl FnOnce(&mut RegionMap)) {
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

fn insert(map: &mut RegionMap, new: RegionLocations, source: Source) {
    let (start, end) = (new.region().start_key(), new.region().end_key());
    let known = map.get(start);
    let within = map.starts_within(start, end);
    if source == Source::Prefetched {
        let is_younger = |known: &RegionLocations| known.region().region_id() > new.region().region_id();
        // one that begins before it and has its first row, or one that begins within it
        let around = map.find(start);
        if around.is_some_and(is_younger) || within.iter().filter_map(|start| map.get(start)).any(is_younger)
        {
            return;
        }
    }
    let new = match known {
        Some(known) if is_same(known.region(), new.region()) => newer(known, &new),
        _ => new,
    };
    // a region that begins within this one would hide it from rows behind its own end
    within.iter().for_each(|start| map.remove(start));
    map.insert(new);
}

/// Two locations of one region as one: of each copy the newer.
fn newer(known: &RegionLocations, new: &RegionLocations) -> RegionLocations {
    let replicas = (0..).zip(new.replicas()).map(|(id, new)| {
        let known = replica(known, id);
        if known.server.is_some() && known.seq_num > new.seq_num { known } else { new.clone() }
    });
    RegionLocations::new(new.region().clone(), replicas.collect::<Vec<_>>())
}

/// Whether it is the same region, wherever it ends and whatever has become of it.
fn is_same(a: &RegionInfo, b: &RegionInfo) -> bool {
    a.region_id() == b.region_id() && a.start_key() == b.start_key() && a.table() == b.table()
}

/// Whether the region has the greatest possible row before `row`; an empty row is the end of the table.
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

/// The locations without that of a copy; none if no copy is left that has a server.
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
