//! The settings of a client (HBase: `ConnectionFactory`, `AsyncConnectionConfiguration`).

use super::{Client, ClientCore, Nonces, Settings};
use crate::catalog::RemoteCatalog;
use crate::cell_block::{CellCodec, Compressor, GZIP};
use crate::connection::ConnectionSettings;
use crate::connections::Connections;
#[cfg(feature = "kerberos")]
use crate::kerberos::{Kerberos, KerberosClient};
use crate::look_ups::LookUps;
use crate::registry::RpcRegistry;
use crate::restore::FAILSAFE;
#[cfg(feature = "tls")]
use crate::tls::{Tls, TlsClient, ZooKeeperTls};
use hregion::locator::{RetryPolicy, ZooKeeperRegistry};
use hregion::{ConnectionRegistry, Error, ErrorKind, Locator, Result, TableName};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;

/// The settings of a [`Client`].
#[derive(Clone, Debug)]
pub struct ClientBuilder {
    pub(crate) settings: Settings,
    /// The time of an operation, which overrides a site file.
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
                read_timeout: None,
                write_timeout: None,
                meta_operation: None,
                meta_read: None,
                meta_scanner: None,
                scanner_caching: 0,
                scanner_max_result_size: MAX_RESULT_SIZE,
                primary_get: Duration::from_millis(10),
                primary_multiget: Duration::from_millis(10),
                primary_scan: Duration::from_secs(1),
                primary_meta_scan: Duration::from_secs(1),
                max_cell: 10 << 20,
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

/// The number of bytes at which servers end a call.
const MAX_RESULT_SIZE: u64 = 2 << 20;

/// Returns a time limit; 0 means none.
fn limit(timeout: Duration) -> Duration {
    if timeout.is_zero() { Duration::MAX } else { timeout }
}

impl ClientBuilder {
    /// Sets the attempts of an operation, their pauses and their total time (default: those of HBase 2.x).
    #[must_use]
    pub fn retries(mut self, retries: RetryPolicy) -> Self {
        self.settings.retries = retries;
        self
    }

    /// Sets the time of an operation with all its attempts, on any table. It takes precedence over
    /// [`hbase.client.operation.timeout`](Self::site) and `hbase.client.meta.operation.timeout` of a site
    /// file.
    #[must_use]
    pub fn operation_timeout(mut self, timeout: Duration) -> Self {
        self.settings.retries = self.settings.retries.operation_timeout(timeout);
        self.settings.meta_operation = None;
        self.operation_timeout = Some(timeout);
        self
    }

    /// Sets the time of an operation on a system table, such as `hbase:meta`, with all its attempts
    /// (`hbase.client.meta.operation.timeout`; default: that of other operations). As in HBase, 0 means no
    /// limit.
    #[must_use]
    pub fn meta_operation_timeout(mut self, timeout: Duration) -> Self {
        self.settings.meta_operation = Some(timeout);
        self
    }

    /// Sets the time limit of a call (`hbase.rpc.timeout`, 60 s). As in HBase, 0 means no limit.
    #[must_use]
    pub fn rpc_timeout(mut self, timeout: Duration) -> Self {
        self.settings.rpc_timeout = limit(timeout);
        self
    }

    /// Sets the time limit of a call that gets rows or opens a scanner (`hbase.rpc.read.timeout`; default:
    /// that of [all calls](Self::rpc_timeout)). As in HBase, 0 means no limit.
    #[must_use]
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.settings.read_timeout = Some(limit(timeout));
        self
    }

    /// Sets the time limit of such a call for a system table, and of the calls that look for regions
    /// (`hbase.client.meta.read.rpc.timeout`; default: as [`read_timeout`](Self::read_timeout)).
    #[must_use]
    pub fn meta_read_timeout(mut self, timeout: Duration) -> Self {
        self.settings.meta_read = Some(limit(timeout));
        self
    }

    /// Sets the time limit of a call with puts and deletes (`hbase.rpc.write.timeout`; default: that of [all
    /// calls](Self::rpc_timeout)). Calls with increments, appends or a condition have that of all calls, like
    /// those of HBase's `AsyncTable`. As in HBase, 0 means no limit.
    #[must_use]
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.settings.write_timeout = Some(limit(timeout));
        self
    }

    /// Sets the time limit of a call that continues a scan (`hbase.client.scanner.timeout.period`, 60 s). As
    /// in HBase, 0 means no limit.
    #[must_use]
    pub fn scanner_timeout(mut self, timeout: Duration) -> Self {
        self.settings.scanner_timeout = limit(timeout);
        self
    }

    /// Sets that time for the scans of system tables (`hbase.client.meta.scanner.timeout.period`; default:
    /// as [`scanner_timeout`](Self::scanner_timeout)).
    #[must_use]
    pub fn meta_scanner_timeout(mut self, timeout: Duration) -> Self {
        self.settings.meta_scanner = Some(limit(timeout));
        self
    }

    /// Sets the number of rows at which servers end a call of a scan without
    /// [`caching`](hregion::Scan::caching) (`hbase.client.scanner.caching`; default: 0, for no such limit).
    #[must_use]
    pub fn scanner_caching(mut self, results: usize) -> Self {
        self.settings.scanner_caching = results;
        self
    }

    /// Sets the number of bytes at which servers end a call of a scan without
    /// [`max_result_size`](hregion::Scan::max_result_size) (`hbase.client.scanner.max.result.size`, 2 MiB; 0
    /// for the limit of the server).
    #[must_use]
    pub fn scanner_max_result_size(mut self, bytes: u64) -> Self {
        self.settings.scanner_max_result_size = if bytes == 0 { i64::MAX.unsigned_abs() } else { bytes };
        self
    }

    /// Sets the time after which a get with [`Consistency::Timeline`](hregion::Consistency::Timeline) also
    /// asks the other replicas of its region (`hbase.client.primaryCallTimeout.get`, 10 ms).
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

    /// Sets that time for the scanners of `hbase:meta` (`hbase.client.meta.replica.scan.timeout`, 1 s).
    #[must_use]
    pub fn primary_meta_scan_timeout(mut self, timeout: Duration) -> Self {
        self.settings.primary_meta_scan = timeout;
        self
    }

    /// Sets the number of connections to a server, from 1 to 256, which calls use in turn
    /// (`hbase.client.ipc.pool.size`; default: 1). A connection carries any number of calls at a time;
    /// several are useful for large responses, because each connection is read by one task.
    #[must_use]
    pub fn connections_per_server(mut self, connections: usize) -> Self {
        self.connections.per_server = connections.clamp(1, 256);
        self
    }

    /// Sets the time limit for connecting to a server (`hbase.ipc.client.socket.timeout.connect`, 10 s). As
    /// in HBase, 0 means no limit.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connections.connect_timeout = limit(timeout);
        self
    }

    /// Sets the time for which a server that could not be reached is not tried again
    /// (`hbase.ipc.client.failed.servers.expiry`, 2 s): calls to it fail immediately, and are retried.
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

    /// Sets the maximum length of a cell of a put in bytes, with its row and column
    /// (`hbase.client.keyvalue.maxsize`, 10 MiB; 0 for no limit). A longer one is not sent: a server with
    /// this limit (`hbase.server.keyvalue.maxsize`) refuses all puts and deletes of a call for its region.
    #[must_use]
    pub fn max_cell_size(mut self, bytes: usize) -> Self {
        self.settings.max_cell = if bytes == 0 { usize::MAX } else { bytes };
        self
    }

    /// Sets whether servers compress the cells of their responses with gzip (`hbase.client.rpc.compressor`,
    /// Hadoop's `GzipCodec`; default: no). For slow networks: compressing costs time. Requests are not
    /// compressed.
    #[must_use]
    pub fn gzip(mut self, gzip: bool) -> Self {
        self.connections.cells.compressor = gzip.then(|| Compressor::of_class(GZIP).ok()).flatten();
        self
    }

    /// Sets the class by which servers compress the cells of their answers (`hbase.client.rpc.compressor`;
    /// default: none): of Hadoop, `GzipCodec`, `SnappyCodec`, `Lz4Codec` and `ZStandardCodec`, and of HBase
    /// those of `org.apache.hadoop.hbase.io.compress` for the same codecs. A server that does not have the
    /// class closes the connection, and one that lacks its library never responds: the errors name it.
    ///
    /// # Errors
    ///
    /// [`Unsupported`](ErrorKind::Unsupported) if the class is another one, or its codec is not built in: the
    /// features `snappy`, `lz4`, `zstd`.
    pub fn compressor(mut self, class: &str) -> Result<Self> {
        let known = Compressor::of_class(class);
        let known = known.map_err(|reason| Error::new(ErrorKind::Unsupported, reason))?;
        self.connections.cells.compressor = Some(known);
        Ok(self)
    }

    /// Sets whether servers send the tags of cells (`hbase.client.rpc.codec`, HBase's
    /// `KeyValueCodecWithTags`; default: no), such as times to live and visibility. Servers send all tags to
    /// a client that requests them.
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

    /// Sets whether the system probes connections on which nothing is sent, and ends those whose peer is
    /// unreachable (`hbase.ipc.client.tcpkeepalive`; default: yes), at the system's configured intervals.
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
    /// If a file cannot be read or lacks the expected contents, or none of the cipher suites is supported.
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
    /// If a file cannot be read or lacks the expected contents, or none of the cipher suites is supported.
    #[cfg(feature = "tls")]
    pub fn zookeeper_tls(mut self, tls: Tls) -> Result<Self> {
        self.zookeeper_tls = Some(Arc::new(ZooKeeperTls::new(tls)?));
        Ok(self)
    }

    /// Proves the client's identity to the cluster's servers, and theirs to the client
    /// (`hbase.security.authentication`, `kerberos`; default: no). Tickets are taken when a connection is
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
    /// Kerberos, the default is the user that has authenticated; any other name is that of a user for whom
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

    /// Returns the registry of a ZooKeeper, whose sessions are encrypted and authenticated if configured.
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
    /// (`hbase.client.bootstrap.servers`): masters or region servers, which return the location of the
    /// catalog. The default port is 16000. No connection is made yet.
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

    /// Creates a client of the cluster whose catalog a registry locates.
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
        let read_timeout = settings.read_timeout_of(&TableName::meta());
        let catalog = RemoteCatalog::new(Arc::clone(&connections), runtime.clone(), read_timeout);
        // the client retries operations as a whole
        let locator = Arc::new(Locator::new(registry, Arc::new(catalog)).retries(RetryPolicy::no_retries()));
        // of the registry or the catalog
        let call = settings.rpc_timeout.max(read_timeout);
        let time = call.saturating_add(self.connections.connect_timeout);
        let (failsafe, nonces, look_ups) =
            (self.failsafe, Nonces::new(), LookUps::new(runtime.clone(), time));
        let core = ClientCore { locator, connections, settings, failsafe, nonces, look_ups, runtime };
        Ok(Client(Arc::new(core)))
    }
}

fn runtime() -> Result<Handle> {
    let message = "a client must be created in a Tokio runtime, or by hregion_client::blocking";
    Handle::try_current().map_err(|_| Error::invalid_argument(message))
}
