//! The client of a cluster (HBase: `AsyncConnection`).

use crate::connection::Connection;
use crate::connections::{CLIENT_SERVICE, Connections};
use crate::fault::Fault;
use crate::look_ups::{Joined, LookUps, Sought, Turn};
use crate::table::Table;
use crate::tries::Tries;
use hregion::locator::{CatalogRow, LocateType, RetryPolicy, TableState};
use hregion::{Deadline, Error, ErrorKind, Locator, RegionLocations, Result, ServerName, TableName};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

mod builder;

pub use builder::ClientBuilder;

/// A client of a cluster. Cheap to clone; clones share connections and known locations. A process that was
/// forked needs a client of its own: its parent uses the connections.
#[derive(Clone)]
pub struct Client(pub(crate) Arc<ClientCore>);

pub(crate) struct ClientCore {
    pub(crate) locator: Arc<Locator>,
    pub(crate) connections: Arc<Connections>,
    pub(crate) settings: Settings,
    /// The name of the snapshot that is taken of a table before it is restored, if one is taken.
    pub(crate) failsafe: Option<String>,
    nonces: Nonces,
    pub(crate) look_ups: LookUps,
    pub(crate) runtime: Handle,
}

/// Timeouts and retries.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) retries: RetryPolicy,
    pub(crate) rpc_timeout: Duration,
    pub(crate) scanner_timeout: Duration,
    /// The times of calls that read or write, if they differ from those of all calls.
    pub(crate) read_timeout: Option<Duration>,
    pub(crate) write_timeout: Option<Duration>,
    /// The times of system tables, if they differ from those of users' tables.
    pub(crate) meta_operation: Option<Duration>,
    pub(crate) meta_read: Option<Duration>,
    pub(crate) meta_scanner: Option<Duration>,
    /// The limits of a page of a scan that has none of its own; 0 results for no limit.
    pub(crate) scanner_caching: usize,
    pub(crate) scanner_max_result_size: u64,
    /// The time of the primary replica of a region, after which a read also asks the others, if allowed.
    pub(crate) primary_get: Duration,
    pub(crate) primary_multiget: Duration,
    pub(crate) primary_scan: Duration,
    pub(crate) primary_meta_scan: Duration,
    /// The maximum length of a cell of a put.
    pub(crate) max_cell: usize,
}

impl Settings {
    /// Returns the attempts of an operation on a table.
    pub(crate) fn retries_of(&self, table: &TableName) -> RetryPolicy {
        match self.meta_operation.filter(|_| table.is_system()) {
            Some(time) => self.retries.operation_timeout(time),
            None => self.retries,
        }
    }

    /// Returns the time of a call that reads, or opens a scanner.
    pub(crate) fn read_timeout_of(&self, table: &TableName) -> Duration {
        let of_system = self.meta_read.filter(|_| table.is_system());
        of_system.or(self.read_timeout).unwrap_or(self.rpc_timeout)
    }

    /// Returns the time of a call that continues a scan.
    pub(crate) fn scanner_timeout_of(&self, table: &TableName) -> Duration {
        self.meta_scanner.filter(|_| table.is_system()).unwrap_or(self.scanner_timeout)
    }

    /// Returns the time of the primary replica of a region to open a scanner.
    pub(crate) fn primary_scan_of(&self, table: &TableName) -> Duration {
        if table.is_meta() { self.primary_meta_scan } else { self.primary_scan }
    }
}

impl Client {
    /// Returns the settings of a client, to change them.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Returns a table. Whether it exists is checked at its first use.
    #[must_use]
    pub fn table(&self, name: &TableName) -> Table {
        Table::new(Arc::clone(&self.0), name.clone())
    }

    /// Returns the region that contains a row, and its server.
    ///
    /// # Errors
    ///
    /// Same as [`Locator::locate`].
    pub async fn locate(&self, table: &TableName, row: impl AsRef<[u8]>) -> Result<RegionLocations> {
        let row = row.as_ref();
        let mut tries = Tries::new(&self.0).only_reading();
        loop {
            match self.0.locate(table, row, LocateType::At, 0, tries.deadline()).await {
                Ok(found) => return Ok(found),
                Err(error) => tries.not_found(error).await?,
            }
        }
    }

    /// Returns all regions of a table, in row order.
    ///
    /// # Errors
    ///
    /// Same as [`Locator::regions`].
    pub async fn regions(&self, table: &TableName) -> Result<Vec<CatalogRow>> {
        Tries::new(&self.0).only_reading().regions(table).await
    }

    /// Checks that a table is enabled.
    ///
    /// # Errors
    ///
    /// If it does not exist or is disabled, or the catalog does not answer.
    pub async fn check_enabled(&self, table: &TableName) -> Result<()> {
        Tries::new(&self.0).only_reading().check_enabled(table).await
    }

    /// Returns the state of a table. While it is changed, that is neither
    /// [`Enabled`](TableState::Enabled) nor [`Disabled`](TableState::Disabled), as for HBase's
    /// `Admin.isTableEnabled` and `isTableDisabled`.
    ///
    /// # Errors
    ///
    /// [`TableNotFound`](ErrorKind::TableNotFound) if the table does not exist;
    /// [`Unsupported`](ErrorKind::Unsupported) if the catalog keeps no states, as before 2.0; if the catalog
    /// does not respond.
    pub async fn table_state(&self, table: &TableName) -> Result<TableState> {
        Tries::new(&self.0).only_reading().table_state(table).await
    }

    /// Returns the id of the cluster, if it has one.
    ///
    /// # Errors
    ///
    /// If the registry does not answer.
    pub async fn cluster_id(&self) -> Result<Option<String>> {
        let deadline = Deadline::after(self.0.settings.rpc_timeout);
        self.0.ask(deadline, move |locator| locator.registry().cluster_id(deadline)).await
    }

    /// Returns the active master, if any.
    ///
    /// # Errors
    ///
    /// If the registry does not answer.
    pub async fn active_master(&self) -> Result<Option<ServerName>> {
        let deadline = Deadline::after(self.0.settings.rpc_timeout);
        self.0.ask(deadline, move |locator| locator.registry().active_master(deadline)).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("locator", &self.0.locator).finish_non_exhaustive()
    }
}

pub(crate) fn runtime_ended() -> Error {
    Error::new(ErrorKind::Closed, "the runtime of the client has ended")
}

impl ClientCore {
    /// Finds a region of which a replica has a server: immediately if it is cached, otherwise on a thread
    /// that may wait, in turn. Equal calls share a lookup. One that ends by its caller's deadline is
    /// repeated by another caller with more time.
    pub(crate) async fn locate(
        &self,
        table: &TableName,
        row: &[u8],
        position: LocateType,
        replica_id: u16,
        deadline: Deadline,
    ) -> Result<RegionLocations> {
        let known = || {
            let known = self.known(table, row, position);
            known.filter(|known| known.server_of(replica_id).is_some())
        };
        if let Some(known) = known() {
            return Ok(known);
        }
        let sought = Sought::new(table, row, position, replica_id);
        let mut begun = None;
        loop {
            let turn = self.look_ups.turn(begun.unwrap_or(deadline)).await?;
            // another lookup may have found it in the meantime
            if let Some(known) = known() {
                return Ok(known);
            }
            let deadline = *begun.get_or_insert_with(|| self.look_ups.deadline(deadline));
            match self.look_ups.join(&sought) {
                Joined::Leads(leading) => {
                    let look_up = move |locator: &Locator| leading.look_up(locator, deadline);
                    return self.ask_in(turn, look_up).await;
                }
                Joined::Follows(following) => {
                    drop(turn);
                    if let Some(found) = following.wait(deadline).await {
                        return found;
                    }
                }
            }
        }
    }

    /// Returns a region if it is known.
    pub(crate) fn known(
        &self,
        table: &TableName,
        row: &[u8],
        position: LocateType,
    ) -> Option<RegionLocations> {
        let cache = self.locator.cache();
        match position {
            LocateType::At => cache.get(table, row).map(RegionLocations::from),
            LocateType::Before => cache.get_before(table, row),
            LocateType::After => cache.get(table, &[row, &[0]].concat()).map(RegionLocations::from),
        }
    }

    /// Fails if a table is known to be disabled, or not to exist.
    pub(crate) async fn check_enabled(&self, table: &TableName, deadline: Deadline) -> Result<()> {
        if table.is_meta() {
            return Ok(());
        }
        let (table, turn) = (table.clone(), self.look_ups.turn(deadline).await?);
        let deadline = self.look_ups.deadline(deadline);
        self.ask_in(turn, move |locator| locator.check_enabled(&table, deadline)).await
    }

    /// Returns the state of a table.
    pub(crate) async fn table_state(&self, table: &TableName, deadline: Deadline) -> Result<TableState> {
        if table.is_meta() {
            return Ok(TableState::Enabled);
        }
        let (name, turn) = (table.clone(), self.look_ups.turn(deadline).await?);
        let deadline = self.look_ups.deadline(deadline);
        let state = self.ask_in(turn, move |locator| locator.table_state_by(&name, deadline)).await?;
        let missing = || Error::new(ErrorKind::TableNotFound, format!("there is no table {table}"));
        state.ok_or_else(missing)
    }

    /// Asks the locator, on a thread that may wait.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        deadline: Deadline,
        question: impl FnOnce(&Locator) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let turn = self.look_ups.turn(deadline).await?;
        self.ask_in(turn, question).await
    }

    async fn ask_in<T: Send + 'static>(
        &self,
        turn: Turn,
        question: impl FnOnce(&Locator) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let locator = Arc::clone(&self.locator);
        self.look_ups.ask(turn, move || question(&locator)).await
    }

    /// Connects to the server of a replica of a region.
    pub(crate) async fn connect(
        &self,
        locations: &RegionLocations,
        replica_id: u16,
        deadline: Deadline,
    ) -> Result<Arc<Connection>, Fault> {
        let Some(server) = locations.server_of(replica_id) else {
            let region = locations.region().replica(replica_id);
            let message = format!("no server has {region} at present");
            return Err(Fault::no_server(message));
        };
        self.connections.get(server.host(), server.port(), CLIENT_SERVICE, deadline).await
    }

    /// Returns the group of this client's nonces.
    pub(crate) fn nonce_group(&self) -> u64 {
        self.nonces.group
    }

    /// Returns a new nonce.
    pub(crate) fn nonce(&self) -> u64 {
        self.nonces.next()
    }
}

/// Numbers by which servers recognize a mutation that is sent again (HBase: `PerClientRandomNonceGenerator`).
struct Nonces {
    group: u64,
    random: RandomState,
    count: AtomicU64,
}

impl Nonces {
    fn new() -> Self {
        let random = RandomState::new();
        Self { group: random.hash_one(std::process::id()) | 1, random, count: AtomicU64::new(0) }
    }

    fn next(&self) -> u64 {
        // 0 means no nonce
        self.random.hash_one(self.count.fetch_add(1, Ordering::Relaxed)) | 1
    }
}
