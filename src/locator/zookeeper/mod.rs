//! The ZooKeeper registry of a running cluster (locator.md §7; HBase: `ZKConnectionRegistry`,
//! `ReadOnlyZKClient`).
//!
//! HBase's clients read a few znodes, without watches or writes. That takes three requests of ZooKeeper's
//! protocol, and one for authentication, which are implemented here on the standard library's sockets.
//! Existing client crates implement the whole protocol, on an asynchronous runtime of a hundred packages or
//! on one that is no longer maintained.

mod client;
mod connection;
mod encryption;
mod quorum;
mod sasl;
mod waiting;
pub(crate) mod wire;
pub(crate) mod znode;

use super::{
    ConnectionRegistry, NO_SEQ_NUM, RegionLocations, Replica, ServerName, TableState, max_replica_id,
};
use crate::clock::Deadline;
use crate::error::{Corruption, Error, ErrorKind, Result};
use crate::schema::{RegionInfo, TableName};
use client::Client;
pub use encryption::{EncryptedSession, Encryption, Socket};
use quorum::{Quorum, check_path};
pub use sasl::{SaslExchange, SaslMechanism, SaslStep};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use znode::{META_REGION_SERVER, MetaRegionServer};

/// Locates the catalog with ZooKeeper (HBase: `ZKConnectionRegistry`).
///
/// Errors name the znode, and the ZooKeeper server, if any. If no server answers, requests are retried until
/// the deadline. A server that refuses to let the client read a znode, or does not recognize the client, is
/// an error of the kind [`Remote`](ErrorKind::Remote).
///
/// ```no_run
/// use hregion::locator::ZooKeeperRegistry;
/// use hregion::{ConnectionRegistry, Deadline};
/// use std::time::Duration;
///
/// # fn main() -> hregion::Result<()> {
/// let registry = ZooKeeperRegistry::new("zk1:2181,zk2:2181,zk3:2181")?;
/// let catalog = registry.meta_region_locations(Deadline::after(Duration::from_secs(10)))?;
/// println!("{:?}", catalog.server()); // the server of hbase:meta,,1
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct ZooKeeperRegistry {
    client: Client,
    base: String,
    /// The name of the znode of the catalog's region, below the base znode.
    meta: String,
}

impl ZooKeeperRegistry {
    /// The default base znode of a cluster (`zookeeper.znode.parent`).
    pub const BASE_ZNODE: &str = "/hbase";

    /// Creates a registry for the cluster of a ZooKeeper, `host:port,host:port,…` (`hbase.zookeeper.quorum`),
    /// optionally followed by a path that contains all of its znodes. The default port is 2181. No connection
    /// is made yet.
    ///
    /// # Errors
    ///
    /// If the text is not of that form.
    pub fn new(quorum: &str) -> Result<Self> {
        let client = Client::new(Quorum::parse(quorum)?);
        Ok(Self { client, base: Self::BASE_ZNODE.to_owned(), meta: META_REGION_SERVER.to_owned() })
    }

    /// Sets the base znode (`zookeeper.znode.parent`).
    ///
    /// # Errors
    ///
    /// If the path is invalid.
    pub fn with_base_znode(mut self, znode: &str) -> Result<Self> {
        check_path(znode)?;
        znode.clone_into(&mut self.base);
        Ok(self)
    }

    /// Sets the name of the znode of `hbase:meta`, below the base znode (`zookeeper.znode.metaserver`),
    /// `meta-region-server` by default. Those of its replicas begin with it.
    ///
    /// # Errors
    ///
    /// If the name is invalid.
    pub fn with_meta_znode(mut self, name: &str) -> Result<Self> {
        if name.contains('/') {
            return Err(Error::invalid_argument(format!("the name of a znode has no /: {name:?}")));
        }
        check_path(&format!("/{name}"))?;
        name.clone_into(&mut self.meta);
        Ok(self)
    }

    /// Sets the session timeout (`zookeeper.session.timeout`), 90 s by default. Two thirds of it is the
    /// maximum time to wait for an answer before another server is asked. Servers may bound it.
    #[must_use]
    pub fn with_session_timeout(mut self, timeout: Duration) -> Self {
        self.client.set_session_timeout(timeout);
        self
    }

    /// Authenticates sessions by SASL; without a mechanism they are anonymous. A server that does not
    /// authenticate is an error.
    #[must_use]
    pub fn with_sasl(mut self, mechanism: Arc<dyn SaslMechanism>) -> Self {
        self.client.set_sasl(mechanism);
        self
    }

    /// Encrypts connections; the ports of the quorum must be for encrypted ones (`secureClientPort`). By
    /// default, connections are plain.
    #[must_use]
    pub fn with_encryption(mut self, encryption: Arc<dyn Encryption>) -> Self {
        self.client.set_encryption(encryption);
        self
    }

    /// Whether the cluster is marked as running.
    ///
    /// # Errors
    ///
    /// If there is no answer.
    pub fn is_cluster_up(&self, deadline: Deadline) -> Result<bool> {
        self.client.exists(&self.path("running"), deadline)
    }

    /// Returns the live region servers, sorted.
    ///
    /// # Errors
    ///
    /// If there is no answer, or it cannot be read.
    pub fn region_servers(&self, deadline: Deadline) -> Result<Vec<ServerName>> {
        let path = self.path("rs");
        let names = self.client.children(&path, deadline)?.unwrap_or_default();
        let servers = names.iter().map(|name| ServerName::from_bytes(name.as_bytes()));
        let mut servers: Vec<_> = servers.collect::<Result<_, _>>().map_err(self.in_znode(&path))?;
        servers.sort_unstable();
        Ok(servers)
    }

    /// Returns the state of a table in ZooKeeper; `None` if there is none. HBase 1.x uses this state. Later
    /// versions use the catalog, and keep a copy here (`hbase.mirror.table.state.to.zookeeper`).
    ///
    /// # Errors
    ///
    /// If there is no answer, or it cannot be read.
    pub fn table_state(&self, table: &TableName, deadline: Deadline) -> Result<Option<TableState>> {
        self.read(&format!("table/{table}"), znode::table_state, deadline)
    }

    fn path(&self, znode: &str) -> String {
        format!("{}/{znode}", self.base)
    }

    /// Reads a znode; `None` if it does not exist or has no payload.
    fn read<T>(
        &self,
        znode: &str,
        parse: fn(&[u8]) -> Result<Option<T>, Corruption>,
        deadline: Deadline,
    ) -> Result<Option<T>> {
        let path = self.path(znode);
        match self.client.data(&path, deadline)? {
            Some(data) => parse(&data).map_err(self.in_znode(&path)),
            None => Ok(None),
        }
    }

    fn in_znode(&self, path: &str) -> impl FnOnce(Corruption) -> Error + use<> {
        let path = self.client.absolute(path);
        move |corruption| corruption.at(Path::new(&path), 0)
    }

    /// Returns the ids and znodes of the recorded replicas of the catalog's region.
    fn replica_ids(&self, deadline: Deadline) -> Result<Vec<(u16, String)>> {
        let Some(names) = self.client.children(&self.base, deadline)? else {
            return Err(self.no_base());
        };
        let mut found = Vec::new();
        for name in names {
            if let Some(id) = znode::replica_id(&name, &self.meta).map_err(self.in_znode(&self.base))? {
                found.push((id, name));
            }
        }
        Ok(found)
    }

    /// Returns the error that the base znode does not exist.
    fn no_base(&self) -> Error {
        let base = self.client.absolute(&self.base);
        no_server(format!("ZooKeeper has no znode {base}: is it the cluster's base znode?"))
    }
}

impl ConnectionRegistry for ZooKeeperRegistry {
    fn meta_region_locations(&self, deadline: Deadline) -> Result<RegionLocations> {
        let mut replicas = Vec::new();
        let ids = self.replica_ids(deadline)?;
        let limit = max_replica_id(ids.len());
        for (id, name) in ids {
            if usize::from(id) > limit {
                let (value, limit) = (u64::from(id), limit as u64);
                let corruption = Corruption::Limit { what: "replica id of a region", value, limit };
                return Err(self.in_znode(&self.path(&name))(corruption));
            }
            let found = match self.read(&name, MetaRegionServer::parse, deadline) {
                // only the primary replica is needed
                Err(error) if id > 0 && !error.kind().is_transient() => continue,
                read => read?,
            };
            let Some(found) = found else { continue };
            // the primary replica is used in any state: there is no better information
            if id == 0 || found.is_open {
                let known = replicas.len().max(usize::from(id) + 1);
                replicas.resize(known, Replica::UNKNOWN);
                if let Some(replica) = replicas.get_mut(usize::from(id)) {
                    *replica = Replica::on(found.server, NO_SEQ_NUM);
                }
            }
        }
        let locations = RegionLocations::new(RegionInfo::meta(), replicas);
        if locations.server().is_some() {
            return Ok(locations);
        }
        let root = self.path("root-region-server");
        if self.client.exists(&root, deadline)? {
            return Err(self.in_znode(&root)(Corruption::Unsupported {
                what: "catalog",
                name: "of HBase 0.94 and older".into(),
                hint: Some("it is two tables, -ROOT- and .META."),
            }));
        }
        let znode = self.client.absolute(&self.path(&self.meta));
        Err(no_server(format!("no server has hbase:meta: {znode} names none")))
    }

    fn cluster_id(&self, deadline: Deadline) -> Result<Option<String>> {
        self.read("hbaseid", znode::cluster_id, deadline)
    }

    fn active_master(&self, deadline: Deadline) -> Result<Option<ServerName>> {
        let master = self.read("master", znode::master, deadline)?;
        if master.is_none() && !self.client.exists(&self.base, deadline)? {
            return Err(self.no_base());
        }
        Ok(master)
    }
}

fn no_server(message: String) -> Error {
    Error::new(ErrorKind::NoServerForRegion, message)
}
