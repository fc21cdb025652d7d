//! Finds the region of a row (locator.md §11; HBase: `AsyncRegionLocator`).

use super::cache::LocationOrigin;
use super::singleflight::{LookupKey, Singleflight};
use super::turn::Turn;
use super::{
    Catalog, CatalogEntry, CatalogRange, CatalogRow, ConnectionRegistry, LocateType, MetaCache,
    RegionException, RegionLocations, RetryPolicy, TableState, check_region_chain,
};
use crate::binary::StringBinary;
use crate::clock::{Deadline, SystemTimer, Timer};
use crate::error::{Error, ErrorKind, Result};
use crate::layout::LISTINGS;
use crate::schema::{RegionInfo, TableName};
use arc_swap::ArcSwapOption;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Finds the region that contains a row of a table, and the server of the region (HBase:
/// `AsyncRegionLocator`). Safe to share between threads.
///
/// Results are kept in a [`MetaCache`]. On a miss, the region is looked up in the [`Catalog`], whose location
/// comes from a [`ConnectionRegistry`]. Threads with the same request share one lookup. Callers that find a
/// location outdated report it with [`on_fault`](Self::on_fault).
///
/// Rows of a table belong to regions in byte order. Regions have servers in a running cluster, but not on a
/// disk.
pub struct Locator {
    registry: Arc<dyn ConnectionRegistry>,
    catalog: Arc<dyn Catalog>,
    cache: MetaCache,
    flights: Singleflight,
    /// The last known location of the catalog.
    meta: ArcSwapOption<RegionLocations>,
    /// Held during calls of the registry.
    asking: Turn,
    broken_rows: AtomicU64,
    retries: RetryPolicy,
    timer: Arc<dyn Timer>,
    prefetch: usize,
    needs_server: bool,
}

/// `hbase.client.locate.prefetch.limit`.
const PREFETCH: usize = 10;
/// The number of catalog rows per request when all rows of a table are read.
const PAGE: usize = 1000;

impl Locator {
    /// Creates a locator that reads `catalog`, at the location given by `registry`.
    #[must_use]
    pub fn new(registry: Arc<dyn ConnectionRegistry>, catalog: Arc<dyn Catalog>) -> Self {
        Self {
            registry,
            catalog,
            cache: MetaCache::new(),
            flights: Singleflight::default(),
            meta: ArcSwapOption::empty(),
            asking: Turn::default(),
            broken_rows: AtomicU64::new(0),
            retries: RetryPolicy::default(),
            timer: Arc::new(SystemTimer),
            prefetch: PREFETCH,
            needs_server: true,
        }
    }

    /// Sets the number of attempts and the pauses between them (default: those of HBase's client).
    #[must_use]
    pub fn retries(mut self, retries: RetryPolicy) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the timer for pauses (default: the system's timer).
    #[must_use]
    pub fn timer(mut self, timer: Arc<dyn Timer>) -> Self {
        self.timer = timer;
        self
    }

    /// Sets how many catalog rows a lookup reads; the additional ones are cached (default 10, at least 2).
    #[must_use]
    pub fn prefetch(mut self, rows: usize) -> Self {
        self.prefetch = rows.max(2);
        self
    }

    /// Sets whether regions without a server count as not found (default: yes). On a disk, regions have no
    /// servers.
    #[must_use]
    pub fn needs_server(mut self, needs: bool) -> Self {
        self.needs_server = needs;
        self
    }

    /// Returns the region that contains a row.
    ///
    /// # Errors
    ///
    /// | kind | |
    /// |---|---|
    /// | [`TableNotFound`](ErrorKind::TableNotFound) | the catalog has no region of the table |
    /// | [`TableNotEnabled`](ErrorKind::TableNotEnabled) | the region is offline, and the table disabled |
    /// | [`RegionNotFound`](ErrorKind::RegionNotFound) | no region contains the row |
    /// | [`RegionOffline`](ErrorKind::RegionOffline) | the region is offline |
    /// | [`NoServerForRegion`](ErrorKind::NoServerForRegion) | no server has the region, or the catalog |
    ///
    /// The last three kinds are returned after all attempts. Also fails if the catalog cannot be read.
    #[inline]
    pub fn locate(&self, table: &TableName, row: impl AsRef<[u8]>) -> Result<RegionLocations> {
        let row = row.as_ref();
        match self.cached(table, row, LocateType::At, 0) {
            Some(found) => Ok(found),
            None => self.locate_position(table, row, LocateType::At, false, Deadline::NEVER),
        }
    }

    /// Returns the region that contains a row, bypassing the cache, for callers that have found the cached
    /// location to be wrong.
    ///
    /// # Errors
    ///
    /// Same as [`locate`](Self::locate).
    pub fn relocate(&self, table: &TableName, row: impl AsRef<[u8]>) -> Result<RegionLocations> {
        self.locate_position(table, row.as_ref(), LocateType::At, true, Deadline::NEVER)
    }

    /// Returns the region that contains a row, or the row before or after it. `reload` bypasses the cache.
    /// Ends by the deadline, or earlier if the [`RetryPolicy`] requires.
    ///
    /// # Errors
    ///
    /// Same as [`locate`](Self::locate).
    pub fn locate_position(
        &self,
        table: &TableName,
        row: &[u8],
        position: LocateType,
        reload: bool,
        deadline: Deadline,
    ) -> Result<RegionLocations> {
        self.locate_replica(table, row, position, 0, reload, deadline)
    }

    /// Like [`locate_position`](Self::locate_position), for a replica of the region: this replica, not the
    /// primary one, must have a server.
    ///
    /// # Errors
    ///
    /// Same as [`locate`](Self::locate), and [`InvalidArgument`](ErrorKind::InvalidArgument) if the region
    /// has no replica with this id.
    pub fn locate_replica(
        &self,
        table: &TableName,
        row: &[u8],
        position: LocateType,
        replica_id: u16,
        reload: bool,
        deadline: Deadline,
    ) -> Result<RegionLocations> {
        if table.is_meta() {
            return self.meta_locations(reload, deadline).and_then(|found| with_replica(found, replica_id));
        }
        if position == LocateType::After {
            let row = [row, &[0]].concat();
            return self.locate_replica(table, &row, LocateType::At, replica_id, reload, deadline);
        }
        if !reload && let Some(found) = self.cached(table, row, position, replica_id) {
            return Ok(found);
        }
        let deadline = deadline.min(self.deadline()?);
        let wanted = LookupKey { table: table.clone(), row: row.to_vec(), position, replica_id };
        self.retries.retry(&*self.timer, deadline, is_for_good, || {
            let cached = || self.cached(table, row, position, replica_id);
            let look_up = || self.look_up(&wanted, deadline);
            let result = self.flights.run(&wanted, reload, deadline, cached, look_up);
            // if the state cannot be read, the lookup is retried
            if let Err(error) = &result
                && error.kind() == ErrorKind::RegionOffline
                && let Err(error) = self.check_enabled(table, deadline)
                && matches!(error.kind(), ErrorKind::TableNotFound | ErrorKind::TableNotEnabled)
            {
                return Err(error);
            }
            result
        })
    }

    /// Returns the catalog's region and its servers.
    ///
    /// # Errors
    ///
    /// If the registry does not return the location, after all attempts.
    pub fn meta_locations(&self, reload: bool, deadline: Deadline) -> Result<RegionLocations> {
        let deadline = deadline.min(self.deadline()?);
        let mut reload = reload;
        self.retries.retry(&*self.timer, deadline, is_for_good, || {
            let found = self.find_meta(reload, deadline);
            reload = false;
            found
        })
    }

    /// Returns the deadline of an operation that begins now.
    fn deadline(&self) -> Result<Deadline> {
        Error::if_no_clock("locating regions")?;
        Ok(self.retries.deadline(self.timer.now()))
    }

    /// Returns the state of a table; `None` if there is no such table.
    ///
    /// # Errors
    ///
    /// If the catalog cannot be read.
    pub fn table_state(&self, table: &TableName) -> Result<Option<TableState>> {
        self.table_state_by(table, Deadline::NEVER)
    }

    /// Like [`table_state`](Self::table_state). Ends by the deadline, or earlier if the [`RetryPolicy`]
    /// requires.
    ///
    /// # Errors
    ///
    /// Same as [`table_state`](Self::table_state).
    pub fn table_state_by(&self, table: &TableName, deadline: Deadline) -> Result<Option<TableState>> {
        let deadline = deadline.min(self.deadline()?);
        self.retries.retry(&*self.timer, deadline, is_for_good, || self.ask_state(table, deadline))
    }

    /// Checks that a table is enabled, for callers to which a server refused a region.
    ///
    /// # Errors
    ///
    /// If the table does not exist ([`TableNotFound`](ErrorKind::TableNotFound)) or is disabled
    /// ([`TableNotEnabled`](ErrorKind::TableNotEnabled)), or its state cannot be read. No error if the
    /// catalog keeps no states ([`Unsupported`](ErrorKind::Unsupported)), as before 2.0.
    pub fn check_enabled(&self, table: &TableName, deadline: Deadline) -> Result<()> {
        match self.ask_state(table, deadline) {
            Ok(None) => Err(table_not_found(table)),
            Ok(Some(state)) if !state.is_enabled() => {
                Err(Error::new(ErrorKind::TableNotEnabled, format!("{table} is {state}")))
            }
            Ok(Some(_)) => Ok(()),
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Returns all regions of a table that serve rows, in row order: all rows of the catalog except those of
    /// split parents. The regions are cached. The location of the catalog itself comes from the registry.
    ///
    /// # Errors
    ///
    /// If there is no region ([`TableNotFound`](ErrorKind::TableNotFound)), the catalog cannot be read, or a
    /// row of the table is invalid: without its region, the list would silently lack rows of the table.
    pub fn regions(&self, table: &TableName) -> Result<Vec<CatalogRow>> {
        self.regions_by(table, Deadline::NEVER)
    }

    /// Like [`regions`](Self::regions). Ends by the deadline, or earlier if the [`RetryPolicy`] requires.
    ///
    /// # Errors
    ///
    /// Same as [`regions`](Self::regions).
    pub fn regions_by(&self, table: &TableName, deadline: Deadline) -> Result<Vec<CatalogRow>> {
        if table.is_meta() {
            // the catalog has no row of itself
            return Ok(vec![CatalogRow::of(self.meta_locations(false, deadline)?)]);
        }
        let deadline = deadline.min(self.deadline()?);
        let infos = |rows: &[CatalogRow]| rows.iter().map(|row| row.region().clone()).collect::<Vec<_>>();
        let mut regions = self.list_regions(table, deadline)?;
        for _ in 1..LISTINGS {
            let listed = infos(&regions);
            if listed.is_empty() || check_region_chain(&listed).is_empty() {
                break;
            }
            // The pages are of several moments: a region that was merged with one of an earlier page is on
            // none.
            regions = self.list_regions(table, deadline)?;
            if infos(&regions) == listed {
                break;
            }
        }
        if regions.is_empty() {
            return Err(table_not_found(table));
        }
        let found = regions.iter().map(CatalogRow::locations).filter(|found| self.is_usable(found, 0));
        self.cache.insert_all(found.cloned(), LocationOrigin::Prefetched);
        Ok(regions)
    }

    /// Reads all rows of the catalog for regions of a table that serve rows, page by page.
    fn list_regions(&self, table: &TableName, deadline: Deadline) -> Result<Vec<CatalogRow>> {
        let mut regions: Vec<CatalogRow> = Vec::new();
        let mut start = Vec::new();
        loop {
            let page = self.retries.retry(&*self.timer, deadline, is_for_good, || {
                self.rows(&CatalogRange::regions(table, &start, PAGE), deadline)
            })?;
            let is_last = page.len() < PAGE;
            let last = page.last().map(|entry| entry.key.clone());
            let mut of_before = regions.len();
            for entry in page {
                let row = entry.row.map_err(|corruption| {
                    let message = format!("row {:.64} of hbase:meta: {corruption}", StringBinary(&entry.key));
                    Error::new(corruption.kind(), message)
                })?;
                let begins_page = |known: &&CatalogRow| known.region().start_key() == start;
                let is_known =
                    regions.iter().rev().take_while(begins_page).any(|known| known.region() == row.region());
                if row.region().table() == table && !row.is_split_parent() && !is_known {
                    // A region of the previous page may have been split or merged since.
                    let info = row.region();
                    let is_replaced = |known: &CatalogRow| {
                        known.region().start_key() == info.start_key()
                            && known.region().region_id() < info.region_id()
                    };
                    while regions.len() <= of_before && regions.pop_if(|known| is_replaced(known)).is_some() {
                        of_before -= 1;
                    }
                    regions.push(row);
                }
            }
            // the next page repeats the regions with the last start key
            let next =
                last.and_then(|key| Some(crate::schema::RegionName::parse(&key).ok()?.start_key().to_vec()));
            match next {
                Some(next) if !is_last && next > start => start = next,
                Some(_) if !is_last => {
                    return Err(Error::new(ErrorKind::Corrupt, "rows of hbase:meta out of order"));
                }
                _ => return Ok(regions),
            }
        }
    }

    /// Caches up to `limit` regions of a table, from the first one that begins at or after `start_key`, in
    /// preparation for a scan. Returns their number.
    ///
    /// # Errors
    ///
    /// If the catalog cannot be read.
    pub fn prefetch_all(&self, table: &TableName, start_key: &[u8], limit: usize) -> Result<usize> {
        if limit == 0 {
            return Ok(0); // for a scan, 0 is no limit
        }
        let deadline = self.deadline()?;
        let rows = self.retries.retry(&*self.timer, deadline, is_for_good, || {
            self.rows(&CatalogRange::regions(table, start_key, limit), deadline)
        })?;
        Ok(self.remember(table, rows))
    }

    /// Reports a fault of a location that was used, so that it is not returned again.
    pub fn on_fault(&self, used: &RegionLocations, replica_id: u16, fault: &RegionException) {
        if used.region().table().is_meta() {
            let is_used = |known: &RegionLocations| known.server() == used.server();
            if fault.is_relocation() && self.meta.load().as_deref().is_some_and(is_used) {
                self.meta.store(None);
            }
        }
        self.cache.on_fault(used, replica_id, fault);
    }

    /// Returns the cache.
    #[must_use]
    pub fn cache(&self) -> &MetaCache {
        &self.cache
    }

    /// Returns the registry.
    #[must_use]
    pub fn registry(&self) -> &dyn ConnectionRegistry {
        &*self.registry
    }

    /// Returns the number of catalog rows that lookups have skipped so far because they are invalid.
    #[must_use]
    pub fn invalid_rows(&self) -> u64 {
        self.broken_rows.load(Ordering::Relaxed)
    }

    #[inline]
    fn cached(
        &self,
        table: &TableName,
        row: &[u8],
        position: LocateType,
        replica_id: u16,
    ) -> Option<RegionLocations> {
        let found = match position {
            LocateType::At => self.cache.get(table, row).map(RegionLocations::from),
            LocateType::Before => self.cache.get_before(table, row),
            LocateType::After => None,
        };
        found.filter(|found| self.is_usable(found, replica_id))
    }

    fn is_usable(&self, found: &RegionLocations, replica_id: u16) -> bool {
        let replica = found.replicas().get(usize::from(replica_id));
        replica.is_some_and(|replica| !self.needs_server || replica.server.is_some())
    }

    /// Looks a region up in the catalog, in one attempt.
    fn look_up(&self, wanted: &LookupKey, deadline: Deadline) -> Result<RegionLocations> {
        let LookupKey { table, row, position, .. } = wanted;
        let mut range = CatalogRange::search(table, row, *position, self.prefetch);
        let mut seen = false;
        loop {
            let rows = self.rows(&range, deadline)?;
            let is_last = rows.len() < range.limit;
            let mut rows = rows.into_iter();
            while let Some(entry) = rows.next() {
                seen = true;
                range.first = entry.key;
                let Ok(found) = entry.row else {
                    self.broken_rows.fetch_add(1, Ordering::Relaxed);
                    continue;
                };
                if found.region().table() != table {
                    return Err(table_not_found(table));
                }
                if found.is_split_parent() {
                    continue; // its daughters precede it, unless they were merged
                }
                let found = found.locations().clone();
                self.check(found.region(), wanted)?;
                // also without the wanted replica: another one may be wanted later
                if self.is_usable(&found, 0) || self.is_usable(&found, wanted.replica_id) {
                    self.cache.insert(found.clone(), LocationOrigin::LookedUp);
                }
                self.remember(table, rows);
                return self.with_usable(found, wanted.replica_id);
            }
            if is_last {
                break;
            }
        }
        Err(if seen { self.no_region(wanted, None) } else { table_not_found(table) })
    }

    /// Checks that the region is the requested one, and not offline.
    fn check(&self, region: &RegionInfo, wanted: &LookupKey) -> Result<()> {
        if region.is_offline() {
            return Err(Error::new(ErrorKind::RegionOffline, format!("{region} is offline")));
        }
        if !wanted.position.is_in(region, &wanted.row) {
            return Err(self.no_region(wanted, Some(region)));
        }
        Ok(())
    }

    /// Fails if the region has no replica with an id, or no server has it.
    fn with_usable(&self, found: RegionLocations, replica_id: u16) -> Result<RegionLocations> {
        let found = with_replica(found, replica_id)?;
        if !self.is_usable(&found, replica_id) {
            return Err(Error::new(
                ErrorKind::NoServerForRegion,
                format!("no server has {} at present", found.region().replica(replica_id)),
            ));
        }
        Ok(found)
    }

    #[cold]
    fn no_region(&self, wanted: &LookupKey, before: Option<&RegionInfo>) -> Error {
        let LookupKey { table, row, position, .. } = wanted;
        let which = match position {
            LocateType::Before => "the rows before",
            LocateType::At | LocateType::After => "row",
        };
        let mut message = format!("no region of {table} has {which} {:.64}", StringBinary(row));
        if let Some(before) = before {
            let (start, end) = (StringBinary(before.start_key()), StringBinary(before.end_key()));
            message += &format!("; the one before has [{start:.64}, {end:.64})");
        }
        Error::new(ErrorKind::RegionNotFound, message)
    }

    /// Caches rows that were read in addition.
    fn remember(&self, table: &TableName, rows: impl IntoIterator<Item = CatalogEntry>) -> usize {
        let found = rows.into_iter().filter_map(|entry| entry.row.ok()).filter(|row| {
            let region = row.region();
            region.table() == table && !region.is_split() && !region.is_offline()
        });
        let found: Vec<_> =
            found.map(|row| row.locations().clone()).filter(|found| self.is_usable(found, 0)).collect();
        let count = found.len();
        self.cache.insert_all(found, LocationOrigin::Prefetched);
        count
    }

    /// Reads rows of the catalog. On failure, clears the known location of the catalog, unless its server is
    /// only busy.
    fn rows(&self, range: &CatalogRange, deadline: Deadline) -> Result<Vec<CatalogEntry>> {
        let meta = self.find_meta(false, deadline)?;
        self.catalog.rows(&meta, range, deadline).inspect_err(|error| self.on_error(&meta, error))
    }

    fn ask_state(&self, table: &TableName, deadline: Deadline) -> Result<Option<TableState>> {
        if table.is_meta() {
            // always, and without a row (HBase: `MetaTableAccessor.getTableState`)
            return Ok(Some(TableState::Enabled));
        }
        let meta = self.find_meta(false, deadline)?;
        self.catalog.table_state(&meta, table, deadline).inspect_err(|error| self.on_error(&meta, error))
    }

    fn find_meta(&self, reload: bool, deadline: Deadline) -> Result<RegionLocations> {
        let known = self.meta.load_full();
        if let Some(known) = known.as_deref().filter(|_| !reload) {
            return Ok(known.clone());
        }
        let _asking = self.asking.take(deadline)?;
        // another thread may have asked in the meantime
        if let Some(found) = self.meta.load_full()
            && known.is_none_or(|known| !known.is_same(&found))
        {
            return Ok(RegionLocations::clone(&found));
        }
        let found = self.registry.meta_region_locations(deadline)?;
        self.meta.store(Some(Arc::new(found.clone())));
        Ok(found)
    }

    fn on_error(&self, used: &RegionLocations, error: &Error) {
        if !error.is_busy() && self.meta.load().as_deref().is_some_and(|known| known.is_same(used)) {
            self.meta.store(None);
        }
    }
}

#[cold]
fn table_not_found(table: &TableName) -> Error {
    Error::new(ErrorKind::TableNotFound, format!("there is no table {table}"))
}

/// Fails if the region has no replica with an id.
fn with_replica(found: RegionLocations, replica_id: u16) -> Result<RegionLocations> {
    match found.replicas().get(usize::from(replica_id)) {
        Some(_) => Ok(found),
        None => Err(Error::invalid_argument(format!("{} has no replica {replica_id}", found.region()))),
    }
}

/// Whether a retry cannot change the result.
fn is_for_good(error: &Error) -> bool {
    !error.kind().is_transient()
}

impl fmt::Debug for Locator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Locator")
            .field("registry", &self.registry)
            .field("catalog", &self.catalog)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
