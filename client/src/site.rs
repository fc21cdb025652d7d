//! The settings of HBase's clients in `hbase-site.xml` (HBase: `HBaseConfiguration`).

#[cfg(feature = "kerberos")]
mod kerberos;
#[cfg(feature = "tls")]
mod tls;
mod zookeeper_tls;

use crate::cell_block::{CODEC, CODEC_WITH_TAGS};
use crate::client::{Client, ClientBuilder};
use hregion::locator::RetryPolicy;
use hregion::{Error, ErrorKind, Result};
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// The properties of a file.
struct Site {
    properties: HashMap<String, String>,
}

/// The maximum length of a file in bytes.
const MAX_LEN: u64 = 1 << 20;

/// The time of an operation on a system table, if only that of others is set.
const META_OPERATION: Duration = Duration::from_secs(1200);

/// Whether sessions with ZooKeeper are authenticated.
const ZOOKEEPER_SASL: &str = "zookeeper.sasl.client";

impl ClientBuilder {
    /// Creates a client of the cluster that a file `hbase-site.xml` describes. No connection is made yet. The
    /// file's settings replace those made before:
    ///
    /// | property | |
    /// |---|---|
    /// | `hbase.client.registry.impl` | ZooKeeper, or the cluster's servers |
    /// | `hbase.zookeeper.quorum` and `.property.clientPort`, `zookeeper.znode.parent` | ZooKeeper |
    /// | `zookeeper.znode.metaserver` | the name of the znode of `hbase:meta` |
    /// | `zookeeper.session.timeout` | a server of ZooKeeper has two thirds of it to answer |
    /// | `….property.client.secure`, `….property.ssl.*` | TLS with ZooKeeper, with the feature `tls` |
    /// | `hbase.client.zookeeper.quorum` and `.property.clientPort` | ZooKeeper, if clients have their own |
    /// | `hbase.client.bootstrap.servers` | the servers |
    /// | `hbase.masters`, or `hbase.master.hostname`; `hbase.master.port` | else the masters |
    /// | `hbase.client.retries.number`, `….pause`, `….operation.timeout` | the attempts |
    /// | `hbase.client.pause.server.overloaded`, or `….pause.cqtbe` | the first pause after an overload |
    /// | `hbase.rpc.timeout`, `hbase.client.scanner.timeout.period` | the time of a call |
    /// | `hbase.rpc.read.timeout` | [`read_timeout`](Self::read_timeout) |
    /// | `hbase.rpc.write.timeout` | [`write_timeout`](Self::write_timeout) |
    /// | `hbase.client.meta.operation.timeout` | [`meta_operation_timeout`](Self::meta_operation_timeout) |
    /// | `hbase.client.meta.read.rpc.timeout` | [`meta_read_timeout`](Self::meta_read_timeout) |
    /// | `hbase.client.meta.scanner.timeout.period` | [`meta_scanner_timeout`](Self::meta_scanner_timeout) |
    /// | `hbase.client.scanner.caching` | the rows of a page of a scan without a limit of its own |
    /// | `hbase.client.scanner.max.result.size` | the bytes of a page of a scan without a limit of its own |
    /// | `hbase.client.primaryCallTimeout.get`, `….multiget` | after which gets ask other replicas, in µs |
    /// | `hbase.client.replicaCallTimeout.scan` | after which scans do |
    /// | `hbase.client.meta.replica.scan.timeout` | after which those of `hbase:meta` do |
    /// | `hbase.client.keyvalue.maxsize` | [`max_cell_size`](Self::max_cell_size) |
    /// | `hbase.client.rpc.compressor` | for GZ, Snappy, LZ4 or ZSTD: [`compressor`](Self::compressor) |
    /// | `hbase.client.rpc.codec` | `KeyValueCodec`, `KeyValueCodecWithTags` |
    /// | `hbase.snapshot.restore.take.failsafe.snapshot` | whether one is taken of a table to be restored |
    /// | `hbase.snapshot.restore.failsafe.name` | [`failsafe_snapshot`](Self::failsafe_snapshot) |
    /// | `hbase.client.netty.tls.*`, `hbase.rpc.tls.*` | TLS with the cluster, with the feature `tls` |
    /// | `hbase.security.authentication` | `simple`, or `kerberos` with the feature `kerberos` |
    /// | `hbase.regionserver.kerberos.principal`, `hbase.master.kerberos.principal` | those of the servers |
    /// | `hbase.rpc.protection` | `authentication`, `integrity`, `privacy` |
    /// | `hbase.client.keytab.file`, `hbase.client.keytab.principal` | the client's keys |
    /// | `hbase.ipc.client.fallback-to-simple-auth-allowed` | servers that do not authenticate are taken |
    /// | `hbase.unsafe.client.kerberos.hostname.disable.reversedns` | names of hosts are used unchanged |
    /// | `zookeeper.sasl.client` | with Kerberos, whether sessions with ZooKeeper are also authenticated |
    /// | `zookeeper.sasl.client.username` | the name of ZooKeeper's service (`zookeeper`) |
    /// | `zookeeper.server.principal`, `zookeeper.server.realm` | its principal, if that is another one |
    /// | `hbase.zookeeper.client.keytab.file`, `….kerberos.principal` | the client's keys there |
    /// | `hbase.ipc.client.socket.timeout.connect` | the time to connect to a server |
    /// | `hbase.ipc.client.connection.minIdleTimeBeforeClose` | after which an unused connection is closed |
    /// | `hbase.client.ipc.pool.size` | [`connections_per_server`](Self::connections_per_server) |
    /// | `hbase.ipc.client.tcpkeepalive` | whether the system probes unused connections |
    /// | `hbase.ipc.client.failed.servers.expiry` | after which an unreachable server is tried again |
    ///
    /// Without `hbase.client.registry.impl`, HBase 2 asks ZooKeeper, and HBase 3 servers. Here, a quorum that
    /// the file names is asked, then servers that it names, and without either a ZooKeeper on this host.
    ///
    /// Java's client has the properties `zookeeper.sasl.*` and `zookeeper.server.*` from its command line,
    /// and is anonymous without a section `Client` of JAAS; here, without `zookeeper.sasl.client`. The
    /// settings of TLS with ZooKeeper have the prefix `hbase.zookeeper.property.`, as for HBase, or else
    /// `zookeeper.`, as on the command line of Java: `client.secure`, `ssl.trustStore.location`, `.password`,
    /// `.passwordPath` and `.type`, the same of `ssl.keyStore`, `ssl.hostnameVerification`, `ssl.protocol`,
    /// `ssl.enabledProtocols`, `ssl.ciphersuites`, `client.certReload`. The port is the quorum's, which
    /// must be the servers' `secureClientPort` then, as for HBase.
    ///
    /// Connections to a server are used in turn whatever `hbase.client.ipc.pool.type` is, as HBase uses them
    /// unless it is `ThreadLocal`; calls here have no thread.
    ///
    /// # Errors
    ///
    /// - If the file, or a file of keys that it names, cannot be read or is malformed.
    /// - [`Unsupported`](ErrorKind::Unsupported) if the cluster needs other authentication; Kerberos or TLS
    ///   without its feature; Kerberos without its library, or with
    ///   `hbase.rpc.crypto.encryption.aes.enabled`; another registry; TLS with lists of revoked certificates,
    ///   or, with ZooKeeper, by classes of Java.
    /// - If the caller is not in a Tokio runtime.
    pub fn site(self, path: impl AsRef<Path>) -> Result<Client> {
        let path = path.as_ref();
        let text = read_text(path)?;
        self.of_site(&Site::parse(&text).map_err(|reason| in_file(path, &reason))?)
            .map_err(|error| Error::new(error.kind(), format!("{}: {}", path.display(), error.message())))
    }

    fn of_site(mut self, site: &Site) -> Result<Client> {
        site.check_supported()?;
        self.settings.retries = self.retries_of(site)?;
        self = self.with_meta_times_of(site)?.with_times_of(site)?.with_replica_times_of(site)?;
        self = self.with_sizes_of(site)?;
        if let Some(name) = site.value("hbase.snapshot.restore.failsafe.name")? {
            self = self.failsafe_snapshot(Some(name));
        }
        if site.flag("hbase.snapshot.restore.take.failsafe.snapshot")? == Some(false) {
            self = self.failsafe_snapshot(None);
        }
        #[cfg(feature = "tls")]
        if let Some(tls) = site.tls()? {
            self = self.tls(tls)?;
        }
        #[cfg(feature = "kerberos")]
        if let Some(kerberos) = site.kerberos()? {
            self = self.kerberos(kerberos)?;
        }
        match site.registry()? {
            Registry::Servers(servers) => self.bootstrap(&servers),
            Registry::ZooKeeper { quorum, znode } => {
                site.check_zookeeper_supported()?;
                #[cfg(feature = "tls")]
                if let Some(tls) = site.zookeeper_tls()? {
                    self = self.zookeeper_tls(tls)?;
                }
                let mut registry = self.zookeeper_registry(&quorum)?;
                if let Some(znode) = znode {
                    registry = registry.with_base_znode(&znode)?;
                }
                if let Some(name) = site.value("zookeeper.znode.metaserver")? {
                    registry = registry.with_meta_znode(name)?;
                }
                // ZooKeeper's servers treat 0 as the least that they grant
                if let Some(time) = site.millis("zookeeper.session.timeout")?.filter(|time| !time.is_zero()) {
                    registry = registry.with_session_timeout(time);
                }
                self.registry(Arc::new(registry))
            }
        }
    }

    /// Returns the attempts of an operation.
    fn retries_of(&self, site: &Site) -> Result<RetryPolicy> {
        let mut retries = self.settings.retries;
        if let Some(number) = site.number::<u64>("hbase.client.retries.number")? {
            retries = retries.attempts(u32::try_from(number).unwrap_or(u32::MAX).saturating_add(1));
        }
        if let Some(pause) = site.millis("hbase.client.pause")? {
            retries = retries.pause(pause);
        }
        let overloaded = match site.millis("hbase.client.pause.server.overloaded")? {
            Some(pause) => Some(pause),
            // before 2.5
            None => site.millis("hbase.client.pause.cqtbe")?,
        };
        if let Some(pause) = overloaded {
            retries = retries.overloaded_pause(pause);
        }
        let time = site.millis("hbase.client.operation.timeout")?;
        if let Some(time) = self.operation_timeout.or(time) {
            retries = retries.operation_timeout(time);
        }
        Ok(retries)
    }

    /// Sets the times of operations on system tables, and of their calls.
    fn with_meta_times_of(mut self, site: &Site) -> Result<Self> {
        if self.operation_timeout.is_none() {
            // as for HBase, the time of other operations is not that of these
            let default = site.millis("hbase.client.operation.timeout")?.map(|_| META_OPERATION);
            let of_meta = site.millis("hbase.client.meta.operation.timeout")?;
            self.settings.meta_operation = of_meta.or(self.settings.meta_operation).or(default);
        }
        if let Some(time) = site.millis("hbase.client.meta.read.rpc.timeout")? {
            self = self.meta_read_timeout(time);
        }
        if let Some(time) = site.millis("hbase.client.meta.scanner.timeout.period")? {
            self = self.meta_scanner_timeout(time);
        }
        Ok(self)
    }

    /// Sets the times of calls and of connections.
    fn with_times_of(mut self, site: &Site) -> Result<Self> {
        if let Some(time) = site.millis("hbase.rpc.timeout")? {
            self = self.rpc_timeout(time);
        }
        if let Some(time) = site.millis("hbase.rpc.read.timeout")? {
            self = self.read_timeout(time);
        }
        if let Some(time) = site.millis("hbase.rpc.write.timeout")? {
            self = self.write_timeout(time);
        }
        if let Some(time) = site.millis("hbase.ipc.client.socket.timeout.connect")? {
            self = self.connect_timeout(time);
        }
        if let Some(time) = site.millis("hbase.ipc.client.connection.minIdleTimeBeforeClose")? {
            self = self.idle_timeout(time);
        }
        if let Some(size) = site.pool_size()? {
            self = self.connections_per_server(size);
        }
        if let Some(keepalive) = site.flag("hbase.ipc.client.tcpkeepalive")? {
            self = self.tcp_keepalive(keepalive);
        }
        if let Some(time) = site.millis("hbase.ipc.client.failed.servers.expiry")? {
            self = self.failed_server_expiry(time);
        }
        if let Some(time) = site.millis("hbase.client.scanner.timeout.period")? {
            self = self.scanner_timeout(time);
        }
        Ok(self)
    }

    /// Sets the times after which reads ask other replicas of regions.
    fn with_replica_times_of(mut self, site: &Site) -> Result<Self> {
        if let Some(time) = site.micros("hbase.client.primaryCallTimeout.get")? {
            self = self.primary_get_timeout(time);
        }
        if let Some(time) = site.micros("hbase.client.primaryCallTimeout.multiget")? {
            self = self.primary_multiget_timeout(time);
        }
        if let Some(time) = site.micros("hbase.client.replicaCallTimeout.scan")? {
            self = self.primary_scan_timeout(time);
        }
        if let Some(time) = site.micros("hbase.client.meta.replica.scan.timeout")? {
            self = self.primary_meta_scan_timeout(time);
        }
        Ok(self)
    }

    /// Sets the sizes of pages and of cells, and how these are sent.
    fn with_sizes_of(mut self, site: &Site) -> Result<Self> {
        // values that are not positive mean no limit
        if let Some(results) = site.number::<i32>("hbase.client.scanner.caching")? {
            self = self.scanner_caching(usize::try_from(results).unwrap_or_default());
        }
        if let Some(bytes) = site.number::<i64>("hbase.client.scanner.max.result.size")? {
            self = self.scanner_max_result_size(u64::try_from(bytes).unwrap_or_default());
        }
        if let Some(size) = site.number::<i32>("hbase.client.keyvalue.maxsize")? {
            self = self.max_cell_size(usize::try_from(size).unwrap_or_default());
        }
        if let Some(class) = site.value("hbase.client.rpc.compressor")? {
            self = self.compressor(class).map_err(|error| {
                let message = format!("hbase.client.rpc.compressor: {}", error.message());
                Error::new(error.kind(), message)
            })?;
        }
        match site.value("hbase.client.rpc.codec")? {
            None => {}
            Some(CODEC) => self = self.tags(false),
            Some(CODEC_WITH_TAGS) => self = self.tags(true),
            Some(other) => return unsupported("hbase.client.rpc.codec", other),
        }
        Ok(self)
    }
}

/// The registry that locates the catalog.
#[derive(Debug, PartialEq, Eq)]
enum Registry {
    ZooKeeper { quorum: String, znode: Option<String> },
    Servers(String),
}

/// Which servers of the cluster are the registry.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// Those to begin with; masters if none are named.
    Any,
    Masters,
}

impl Site {
    /// Parses `<configuration>` with any number of `<property><name/><value/></property>`. As in Hadoop, the
    /// last of several values counts, or the first one that is final; an empty one is ignored; name and value
    /// may be attributes, the last of several in a property counts, and comments are not part of them.
    fn parse(text: &str) -> Result<Self, String> {
        let document = roxmltree::Document::parse(text).map_err(|error| error.to_string())?;
        let root = document.root_element();
        if root.tag_name().name() != "configuration" {
            return Err(format!("expected <configuration>, found <{}>", root.tag_name().name()));
        }
        let (mut properties, mut finals) = (HashMap::new(), HashSet::new());
        for element in root.children().filter(roxmltree::Node::is_element) {
            match element.tag_name().name() {
                "property" => {}
                // other files, which are not read
                other => return Err(format!("<{other}> is not supported")),
            }
            let attribute = |name: &str| element.attribute(name).map(str::to_owned);
            let texts = |name: &str| {
                let parts = element.children().filter(|child| child.tag_name().name() == name);
                let text = |part: roxmltree::Node<'_, '_>| {
                    let texts = part.children().filter(roxmltree::Node::is_text);
                    texts.filter_map(|text| text.text()).collect::<String>()
                };
                parts.map(text).collect::<Vec<_>>()
            };
            let part = |name: &str| {
                let text = texts(name).into_iter().rfind(|text| !text.is_empty());
                text.or_else(|| attribute(name))
            };
            let Some(name) = part("name") else { continue };
            let name = name.trim().to_owned();
            if let Some(value) = part("value").filter(|_| !finals.contains(&name)) {
                properties.insert(name.clone(), value.trim().to_owned());
            }
            // also without a value
            if texts("final").pop().or_else(|| attribute("final")).as_deref() == Some("true") {
                finals.insert(name);
            }
        }
        Ok(Self { properties })
    }

    /// Returns a value that is not empty.
    fn value(&self, name: &str) -> Result<Option<&str>> {
        let value = self.properties.get(name).map(String::as_str).filter(|value| !value.is_empty());
        match value {
            // Hadoop replaces variables by properties of the Java process
            Some(value) if value.contains("${") => {
                Err(Error::invalid_argument(format!("{name} is {value}: variables are not supported")))
            }
            value => Ok(value),
        }
    }

    fn millis(&self, name: &str) -> Result<Option<Duration>> {
        Ok(self.number(name)?.map(Duration::from_millis))
    }

    fn micros(&self, name: &str) -> Result<Option<Duration>> {
        Ok(self.number(name)?.map(Duration::from_micros))
    }

    fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>> {
        let parse = |value: &str| {
            value.parse().map_err(|_| Error::invalid_argument(format!("{name} is {value}, not a number")))
        };
        self.value(name)?.map(parse).transpose()
    }

    /// Returns the number of connections to a server: 1 if it is not positive, as for HBase.
    fn pool_size(&self) -> Result<Option<usize>> {
        let size = self.number::<i32>("hbase.client.ipc.pool.size")?;
        Ok(size.map(|size| usize::try_from(size).unwrap_or_default().max(1)))
    }

    /// Fails if servers expect unsupported features.
    fn check_supported(&self) -> Result<()> {
        match self.value("hbase.security.authentication")? {
            // case-insensitive, as in HBase
            None | Some("simple") => {}
            Some(_) if cfg!(feature = "kerberos") && self.is_kerberos()? => {}
            Some(other) => return unsupported("hbase.security.authentication", other),
        }
        if self.flag(ZOOKEEPER_SASL)?.unwrap_or_default() && !self.is_kerberos()? {
            let message =
                format!("{ZOOKEEPER_SASL} is true, which needs hbase.security.authentication to be kerberos");
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        if cfg!(not(feature = "tls")) && self.flag("hbase.client.netty.tls.enabled")?.unwrap_or_default() {
            return unsupported("hbase.client.netty.tls.enabled", "true");
        }
        Ok(())
    }

    fn is_kerberos(&self) -> Result<bool> {
        let name = self.value("hbase.security.authentication")?;
        Ok(name.is_some_and(|name| name.eq_ignore_ascii_case("kerberos")))
    }

    fn flag(&self, name: &str) -> Result<Option<bool>> {
        match self.value(name)? {
            None => Ok(None),
            // case-insensitive, as in Hadoop
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(other) => Err(Error::invalid_argument(format!("{name} is {other}, neither true nor false"))),
        }
    }

    fn registry(&self) -> Result<Registry> {
        let implementation = self.value("hbase.client.registry.impl")?.unwrap_or_default();
        match implementation.rsplit('.').next().unwrap_or_default() {
            // HBase 2 asks ZooKeeper by default; HBase 3 also uses it, but its clients ask servers
            "" if !self.has_quorum()? => match self.servers(Asked::Any)? {
                Some(servers) => Ok(Registry::Servers(servers)),
                None => self.zookeeper(),
            },
            "ZKConnectionRegistry" | "" => self.zookeeper(),
            "RpcConnectionRegistry" => self.servers(Asked::Any)?.map(Registry::Servers).ok_or_else(|| {
                Error::invalid_argument(
                    "none of hbase.client.bootstrap.servers, hbase.masters and hbase.master.hostname is set",
                )
            }),
            "MasterRegistry" => self.servers(Asked::Masters)?.map(Registry::Servers).ok_or_else(|| {
                Error::invalid_argument("neither hbase.masters nor hbase.master.hostname is set")
            }),
            _ => unsupported("hbase.client.registry.impl", implementation),
        }
    }

    fn has_quorum(&self) -> Result<bool> {
        let of_clients = self.value("hbase.client.zookeeper.quorum")?;
        Ok(of_clients.is_some() || self.value("hbase.zookeeper.quorum")?.is_some())
    }

    fn zookeeper(&self) -> Result<Registry> {
        let mut port = self.value("hbase.zookeeper.property.clientPort")?;
        // a ZooKeeper for clients only comes first
        let mut quorum = self.value("hbase.client.zookeeper.quorum")?;
        if quorum.is_some() {
            port = self.value("hbase.client.zookeeper.property.clientPort")?.or(port);
        } else {
            quorum = self.value("hbase.zookeeper.quorum")?;
        }
        let quorum = with_port(quorum.unwrap_or("localhost"), port);
        let znode = self.value("zookeeper.znode.parent")?.map(str::to_owned);
        Ok(Registry::ZooKeeper { quorum, znode })
    }

    /// Returns the servers to ask, if the file names any. HBase's client assumes that its own host is a
    /// master if there are none.
    fn servers(&self, asked: Asked) -> Result<Option<String>> {
        if asked == Asked::Any
            && let Some(servers) = self.value("hbase.client.bootstrap.servers")?
        {
            return Ok(Some(servers.to_owned()));
        }
        let masters = match self.value("hbase.masters")? {
            Some(masters) => masters,
            None => match self.value("hbase.master.hostname")? {
                Some(master) => master,
                None => return Ok(None),
            },
        };
        // 0 is any port, of which clients take none
        let port = self.number::<u16>("hbase.master.port")?.filter(|port| *port != 0);
        Ok(Some(with_port(masters, port)))
    }
}

/// Adds a port, if there is one, to the hosts of a list that have none: `host` or `[address]`.
fn with_port(hosts: &str, port: Option<impl fmt::Display + Copy>) -> String {
    let with_port = |host: &str| match port {
        Some(port) if host.ends_with(']') || !host.contains(':') => format!("{host}:{port}"),
        _ => host.to_owned(),
    };
    hosts.split(',').map(|host| with_port(host.trim())).collect::<Vec<_>>().join(",")
}

fn unsupported<T>(name: &str, value: &str) -> Result<T> {
    Err(Error::new(ErrorKind::Unsupported, format!("{name} is {value}, which is not supported")))
}

/// Reads a file that is large only by mistake. One that is not a regular file may not end.
fn read_text(path: &Path) -> Result<String> {
    let failed = |error| Error::io("read", path, error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_LEN + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_LEN {
        return Err(Error::new(ErrorKind::Limit, format!("{} has more than 1 MiB", path.display())));
    }
    String::from_utf8(bytes).map_err(|_| in_file(path, "expected text in UTF-8"))
}

fn in_file(path: &Path, reason: &str) -> Error {
    Error::invalid_argument(format!("{}: {reason}", path.display()))
}

#[cfg(test)]
mod tests;
