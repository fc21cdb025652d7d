//! The client of a cluster (HBase: `AsyncConnection`).

use crate::catalog::RemoteCatalog;
use crate::cell_block::{CellCodec, Compressor, GZIP};
use crate::connection::{Connection, ConnectionSettings};
use crate::connections::{CLIENT_SERVICE, Connections};
use crate::fault::Fault;
#[cfg(feature = "kerberos")]
use crate::kerberos::{Kerberos, KerberosClient};
use crate::look_ups::{Joined, LookUps, Sought, Turn};
use crate::registry::RpcRegistry;
use crate::restore::FAILSAFE;
use crate::table::Table;
#[cfg(feature = "tls")]
use crate::tls::{Tls, TlsClient, ZooKeeperTls};
use crate::tries::Tries;
use hregion::locator::{CatalogRow, LocateType, RetryPolicy, TableState, ZooKeeperRegistry};
use hregion::{
    ConnectionRegistry, Deadline, Error, ErrorKind, Locator, RegionLocations, Result, ServerName, TableName,
};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;

/// A client of a cluster. Cheap to clone; clones have connections and known locations in common.
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
    /// The time of the primary copy of a region, after which a read that may asks the others too.
    pub(crate) primary_get: Duration,
    pub(crate) primary_multiget: Duration,
    pub(crate) primary_scan: Duration,
}

/// The settings of a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    pub(crate) settings: Settings,
    /// The time of an operation, whatever a site file says.
    pub(crate) operation_timeout: Option<Duration>,
    pub(crate) connections: ConnectionSettings,
    #[cfg(feature = "tls")]
    zookeeper_tls: Option<Arc<ZooKeeperTls>>,
    failsafe: Option<String>,
}

impl Default for ClientBuilder {
    fn default() -> Self {
        Self {
            settings: Settings {
                retries: RetryPolicy::default(),
                rpc_timeout: Duration::from_secs(60),
                scanner_timeout: Duration::from_secs(60),
                primary_get: Duration::from_millis(10),
                primary_multiget: Duration::from_millis(10),
                primary_scan: Duration::from_secs(1),
            },
            operation_timeout: None,
            failsafe: Some(FAILSAFE.to_owned()),
            #[cfg(feature = "tls")]
            zookeeper_tls: None,
            connections: ConnectionSettings {
                user: None,
                per_server: 1,
                connect_timeout: Duration::from_secs(10),
                failed_expiry: Duration::from_secs(2),
                max_response: 256 << 20,
                cells: CellCodec::default(),
                idle: Duration::from_secs(120),
                keepalive: true,
                #[cfg(feature = "tls")]
                tls: None,
                #[cfg(feature = "kerberos")]
                kerberos: None,
            },
        }
    }
}

/// Returns a time limit, of which 0 is none.
fn limit(timeout: Duration) -> Duration {
    if timeout.is_zero() { Duration::MAX } else { timeout }
}

impl ClientBuilder {
    /// Sets the attempts of an operation, their pauses and their time in all (default: those of HBase 2.x).
    #[must_use]
    pub fn retries(mut self, retries: RetryPolicy) -> Self {
        self.settings.retries = retries;
        self
    }

    /// Sets the time of an operation with all its attempts, whatever
    /// [`hbase.client.operation.timeout`](Self::site) of a site file says.
    #[must_use]
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.settings.retries = self.settings.retries.operation_timeout(timeout);
        self.operation_timeout = Some(timeout);
        self
    }

    /// Sets the time limit of a call (`hbase.rpc.timeout`, 60 s). As in HBase, 0 means no limit.
    #[must_use]
    pub fn rpc_timeout(mut self, timeout: Duration) -> Self {
        self.settings.rpc_timeout = limit(timeout);
        self
    }

    /// Sets the time limit of a call that reads on in a scan (`hbase.client.scanner.timeout.period`, 60 s).
    /// As in HBase, 0 means no limit.
    #[must_use]
    pub fn scanner_timeout(mut self, timeout: Duration) -> Self {
        self.settings.scanner_timeout = limit(timeout);
        self
    }

    /// Sets the time after which a get with [`Consistency::Timeline`](hregion::Consistency::Timeline) asks
    /// the other copies of its region, too (`hbase.client.primaryCallTimeout.get`, 10 ms).
    #[must_use]
    pub fn primary_get_timeout(mut self, timeout: Duration) -> Self {
        self.settings.primary_get = timeout;
        self
    }

    /// Sets that time for several gets in one call (`hbase.client.primaryCallTimeout.multiget`, 10 ms).
    #[must_use]
    pub fn primary_multiget_timeout(mut self, timeout: Duration) -> Self {
        self.settings.primary_multiget = timeout;
        self
    }

    /// Sets that time for opening the scanner of a region (`hbase.client.replicaCallTimeout.scan`, 1 s).
    #[must_use]
    pub fn primary_scan_timeout(mut self, timeout: Duration) -> Self {
        self.settings.primary_scan = timeout;
        self
    }

    /// Sets the number of connections to a server, from 1 to 256, which calls use in turn
    /// (`hbase.client.ipc.pool.size`; default: 1). A connection carries any number of calls at a time; more
    /// than one is for answers that are large, as each connection is read by one task.
    #[must_use]
    pub fn connections_per_server(mut self, connections: usize) -> Self {
        self.connections.per_server = connections.clamp(1, 256);
        self
    }

    /// Sets the time limit for connecting to a server (`hbase.ipc.client.socket.timeout.connect`, 10 s).
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connections.connect_timeout = timeout;
        self
    }

    /// Sets the time for which a server that could not be reached is not tried again
    /// (`hbase.ipc.client.failed.servers.expiry`, 2 s): calls to it fail at once, and are retried.
    #[must_use]
    pub fn failed_server_expiry(mut self, time: Duration) -> Self {
        self.connections.failed_expiry = time;
        self
    }

    /// Sets the maximum length of a response in bytes (256 MiB), as it is sent and with its cells
    /// decompressed ([`gzip`](Self::gzip)). A longer one is an error.
    #[must_use]
    pub fn max_response_size(mut self, bytes: usize) -> Self {
        self.connections.max_response = bytes;
        self
    }

    /// Sets whether servers compress the cells of their answers with gzip (`hbase.client.rpc.compressor`,
    /// Hadoop's `GzipCodec`; default: not). For slow networks: compressing costs time. Requests are not
    /// compressed.
    #[must_use]
    pub fn gzip(mut self, gzip: bool) -> Self {
        self.connections.cells.compressor = gzip.then(|| Compressor::of_class(GZIP).ok()).flatten();
        self
    }

    /// Sets the class by which servers compress the cells of their answers (`hbase.client.rpc.compressor`;
    /// default: none): of Hadoop, `GzipCodec`, `SnappyCodec`, `Lz4Codec` and `ZStandardCodec`, and of HBase
    /// those of `org.apache.hadoop.hbase.io.compress` for the same codecs. A server that does not have the
    /// class closes the connection, and one that lacks a library of it never answers: the errors name it.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if the class is another one, or its codec is not built in: the
    /// features `snappy`, `lz4`, `zstd`.
    pub fn compressor(mut self, class: &str) -> Result<Self> {
        let known = Compressor::of_class(class);
        let known = known.map_err(|reason| Error::locating(ErrorKind::Unsupported, reason))?;
        self.connections.cells.compressor = Some(known);
        Ok(self)
    }

    /// Sets whether servers send the tags of cells (`hbase.client.rpc.codec`, HBase's
    /// `KeyValueCodecWithTags`; default: not), such as times to live and visibility. Servers send all tags to
    /// a client that asks for them.
    #[must_use]
    pub fn tags(mut self, tags: bool) -> Self {
        self.connections.cells.tags = tags;
        self
    }

    /// Sets the time after which a connection without calls is closed
    /// (`hbase.ipc.client.connection.minIdleTimeBeforeClose`, 120 s), at least a second.
    #[must_use]
    pub fn idle_timeout(mut self, time: Duration) -> Self {
        self.connections.idle = time.max(Duration::from_secs(1));
        self
    }

    /// Sets whether the system probes connections on which nothing is sent, and ends those whose other side
    /// is gone (`hbase.ipc.client.tcpkeepalive`; default: yes), at the times that it is configured to.
    #[must_use]
    pub fn tcp_keepalive(mut self, keepalive: bool) -> Self {
        self.connections.keepalive = keepalive;
        self
    }

    /// Encrypts connections, if the cluster's servers do (`hbase.client.netty.tls.enabled`; default:
    /// not). Its files are read now. Connections to ZooKeeper have settings of their own
    /// ([`zookeeper_tls`](Self::zookeeper_tls)).
    ///
    /// # Errors
    ///
    /// If a file cannot be read or has not what is expected, or none of the cipher suites is supported.
    #[cfg(feature = "tls")]
    pub fn tls(mut self, tls: Tls) -> Result<Self> {
        self.connections.tls = Some(TlsClient::new(tls)?);
        Ok(self)
    }

    /// Encrypts connections to ZooKeeper ([`zookeeper`](Self::zookeeper), [`site`](Self::site)), if its port
    /// is for that (`zookeeper.client.secure`; default: not). Its files are read now.
    ///
    /// # Errors
    ///
    /// As [`tls`](Self::tls).
    #[cfg(feature = "tls")]
    pub fn zookeeper_tls(mut self, tls: Tls) -> Result<Self> {
        self.zookeeper_tls = Some(Arc::new(ZooKeeperTls::new(tls)?));
        Ok(self)
    }

    /// Proves the client's identity to the cluster's servers, and theirs to the client
    /// (`hbase.security.authentication`, `kerberos`; default: not). Tickets are taken when a connection is
    /// made. Sessions with ZooKeeper are anonymous, unless its servers have a
    /// [principal](Kerberos::zookeeper_principal).
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if the system has no `libgssapi_krb5`, the library of MIT
    /// Kerberos.
    #[cfg(feature = "kerberos")]
    pub fn kerberos(mut self, kerberos: Kerberos) -> Result<Self> {
        self.connections.kerberos = Some(KerberosClient::new(kerberos)?);
        Ok(self)
    }

    /// Sets the name of the snapshot that is taken of a table before it is
    /// [restored](Client::restore_snapshot) (`hbase.snapshot.restore.failsafe.name`; default:
    /// `hbase-failsafe-{snapshot.name}-{restore.timestamp}`; there is also `{table.name}`). With `None`, none
    /// is taken (`hbase.snapshot.restore.take.failsafe.snapshot`).
    #[must_use]
    pub fn failsafe_snapshot(mut self, name: Option<&str>) -> Self {
        self.failsafe = name.map(str::to_owned);
        self
    }

    /// Sets the name of the user, which servers do not verify (default: the environment's `USER`). With
    /// Kerberos, the user is the one that has authenticated, by default; any other name is one for which
    /// that user acts, if the servers allow it (`hadoop.proxyuser.*`).
    #[must_use]
    pub fn user(mut self, user: impl Into<String>) -> Self {
        self.connections.user = Some(user.into());
        self
    }

    /// Creates a client of the cluster of a ZooKeeper, `host:port,host:port,…` (`hbase.zookeeper.quorum`). No
    /// connection is made yet.
    ///
    /// # Errors
    ///
    /// If the text is not of that form, or the caller is not in a Tokio runtime.
    pub fn zookeeper(self, quorum: &str) -> Result<Client> {
        let registry = self.zookeeper_registry(quorum)?;
        self.registry(Arc::new(registry))
    }

    /// Returns the registry of a ZooKeeper, whose sessions are encrypted and authenticated if they are to be.
    pub(crate) fn zookeeper_registry(&self, quorum: &str) -> Result<ZooKeeperRegistry> {
        let registry = ZooKeeperRegistry::new(quorum)?;
        #[cfg(feature = "tls")]
        let registry = match &self.zookeeper_tls {
            Some(tls) => registry.with_encryption(Arc::<ZooKeeperTls>::clone(tls)),
            None => registry,
        };
        #[cfg(feature = "kerberos")]
        if let Some(sasl) = self.connections.kerberos.as_ref().and_then(KerberosClient::of_zookeeper) {
            return Ok(registry.with_sasl(sasl));
        }
        Ok(registry)
    }

    /// Creates a client of the cluster of some servers, `host:port,host:port,…`
    /// (`hbase.client.bootstrap.servers`): masters or region servers, which know where the catalog is. The
    /// default port is 16000. No connection is made yet.
    ///
    /// # Errors
    ///
    /// If the text is not of that form, or the caller is not in a Tokio runtime.
    pub fn bootstrap(self, servers: &str) -> Result<Client> {
        let connections = Arc::new(Connections::new(self.connections.clone()));
        let registry =
            RpcRegistry::new(servers, Arc::clone(&connections), runtime()?, self.settings.rpc_timeout)?;
        self.build(Arc::new(registry), connections)
    }

    /// Creates a client of the cluster that a registry knows.
    ///
    /// # Errors
    ///
    /// If the caller is not in a Tokio runtime.
    pub fn registry(self, registry: Arc<dyn ConnectionRegistry>) -> Result<Client> {
        let connections = Arc::new(Connections::new(self.connections.clone()));
        self.build(registry, connections)
    }

    fn build(self, registry: Arc<dyn ConnectionRegistry>, connections: Arc<Connections>) -> Result<Client> {
        let (runtime, settings) = (runtime()?, self.settings);
        let catalog = RemoteCatalog::new(Arc::clone(&connections), runtime.clone(), settings.rpc_timeout);
        // the client retries operations as a whole
        let locator = Arc::new(Locator::new(registry, Arc::new(catalog)).retries(RetryPolicy::no_retries()));
        let time = settings.rpc_timeout.saturating_add(self.connections.connect_timeout);
        let (failsafe, nonces, look_ups) =
            (self.failsafe, Nonces::new(), LookUps::new(runtime.clone(), time));
        let core = ClientCore { locator, connections, settings, failsafe, nonces, look_ups, runtime };
        Ok(Client(Arc::new(core)))
    }
}

fn runtime() -> Result<Handle> {
    Handle::try_current().map_err(|_| Error::invalid_argument("a client is created in a Tokio runtime"))
}

impl Client {
    /// Returns the settings of a client, to change them.
    #[must_use]
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// Returns a table. Whether it exists is known at its first use.
    #[must_use]
    pub fn table(&self, name: &TableName) -> Table {
        Table::new(Arc::clone(&self.0), name.clone())
    }

    /// Returns the region that contains a row, and its server.
    ///
    /// # Errors
    ///
    /// As [`Locator::locate`].
    pub async fn locate(&self, table: &TableName, row: impl AsRef<[u8]>) -> Result<RegionLocations> {
        let row = row.as_ref();
        let mut tries = Tries::new(&self.0);
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
    /// As [`Locator::regions`].
    pub async fn regions(&self, table: &TableName) -> Result<Vec<CatalogRow>> {
        Tries::new(&self.0).regions(table).await
    }

    /// Checks that a table is enabled.
    ///
    /// # Errors
    ///
    /// If it does not exist or is disabled, or the catalog does not answer.
    pub async fn check_enabled(&self, table: &TableName) -> Result<()> {
        Tries::new(&self.0).check_enabled(table).await
    }

    /// Returns the state of a table. While it is changed, that is neither
    /// [`Enabled`](TableState::Enabled) nor [`Disabled`](TableState::Disabled), as for HBase's
    /// `Admin.isTableEnabled` and `isTableDisabled`.
    ///
    /// # Errors
    ///
    /// [`TableNotFound`](ErrorKind::TableNotFound) if the table does not exist;
    /// [`Unsupported`](ErrorKind::Unsupported) if the catalog keeps no states, as before 2.0; if the catalog
    /// does not answer.
    pub async fn table_state(&self, table: &TableName) -> Result<TableState> {
        Tries::new(&self.0).table_state(table).await
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

    /// Returns the active master, if there is one.
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
    Error::locating(ErrorKind::Closed, "the runtime of the client has ended")
}

impl ClientCore {
    /// Finds a region of which a copy has a server: at once if that is known, otherwise on a thread that may
    /// wait, when it is its turn. Calls that look for the same share a look-up. One that ends by the deadline
    /// of its caller is made again by one of the others, if they have more time.
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
            // another look-up may have found it meanwhile
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
        let missing = || Error::locating(ErrorKind::TableNotFound, format!("there is no table {table}"));
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

    /// Connects to the server of a copy of a region.
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

/// Numbers by which servers know a mutation that is sent again (HBase: `PerClientRandomNonceGenerator`).
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
