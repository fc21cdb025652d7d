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
use std::collections::HashMap;
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
    /// | `hbase.client.primaryCallTimeout.get`, `….multiget` | after which gets ask other copies, in µs |
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
    /// | `hbase.unsafe.client.kerberos.hostname.disable.reversedns` | names of hosts are taken as they are |
    /// | `zookeeper.sasl.client` | with Kerberos, whether sessions with ZooKeeper are authenticated, too |
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
    /// If the file cannot be read, or is not of that form; if the cluster needs what is not supported
    /// ([`Unsupported`](ErrorKind::Unsupported)): other authentication, Kerberos or TLS without its feature,
    /// Kerberos without its library or with `hbase.rpc.crypto.encryption.aes.enabled`, other registries, TLS
    /// with lists of revoked certificates, with ZooKeeper also by classes of Java; if its files of keys
    /// cannot be read; if the caller is not in a Tokio runtime.
    pub fn site(self, path: impl AsRef<Path>) -> Result<Client> {
        let path = path.as_ref();
        let text = read_text(path)?;
        self.of_site(&Site::parse(&text).map_err(|reason| in_file(path, &reason))?).map_err(|error| {
            Error::locating(error.kind(), format!("{}: {}", path.display(), error.message()))
        })
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

    /// Sets the times after which reads ask other copies of regions.
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
        // what is not positive is no limit
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
                Error::locating(error.kind(), message)
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

/// What says where the catalog is.
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
    /// last of several values counts, name and value may be attributes, and comments are no part of them.
    fn parse(text: &str) -> Result<Self, String> {
        let document = roxmltree::Document::parse(text).map_err(|error| error.to_string())?;
        let root = document.root_element();
        if root.tag_name().name() != "configuration" {
            return Err(format!("expected <configuration>, found <{}>", root.tag_name().name()));
        }
        let mut properties = HashMap::new();
        for element in root.children().filter(roxmltree::Node::is_element) {
            match element.tag_name().name() {
                "property" => {}
                // other files, which are not read
                other => return Err(format!("<{other}> is not supported")),
            }
            let part = |name: &str| {
                let Some(part) = element.children().find(|child| child.tag_name().name() == name) else {
                    return element.attribute(name).map(|text| text.trim().to_owned());
                };
                let texts = part.children().filter(roxmltree::Node::is_text);
                Some(texts.filter_map(|text| text.text()).collect::<String>().trim().to_owned())
            };
            if let Some((name, value)) = part("name").zip(part("value")) {
                properties.insert(name, value);
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

    /// Fails if servers expect what the client does not do.
    fn check_supported(&self) -> Result<()> {
        match self.value("hbase.security.authentication")? {
            // in any case, as HBase
            None | Some("simple") => {}
            Some(_) if cfg!(feature = "kerberos") && self.is_kerberos()? => {}
            Some(other) => return unsupported("hbase.security.authentication", other),
        }
        if self.flag(ZOOKEEPER_SASL)?.unwrap_or_default() && !self.is_kerberos()? {
            let message =
                format!("{ZOOKEEPER_SASL} is true, which needs hbase.security.authentication to be kerberos");
            return Err(Error::locating(ErrorKind::Unsupported, message));
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
            // in any case, as Hadoop
            Some(value) if value.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(value) if value.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(other) => Err(Error::invalid_argument(format!("{name} is {other}, neither true nor false"))),
        }
    }

    fn registry(&self) -> Result<Registry> {
        let implementation = self.value("hbase.client.registry.impl")?.unwrap_or_default();
        match implementation.rsplit('.').next().unwrap_or_default() {
            // HBase 2 asks ZooKeeper then, which HBase 3 has, too, but its clients ask servers
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

    /// Returns the servers to ask, if the file names any. HBase's client takes the host that it is on for a
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
    Err(Error::locating(ErrorKind::Unsupported, format!("{name} is {value}, which is not supported")))
}

/// Reads a file that is large only by mistake. One that is no regular file may not end.
fn read_text(path: &Path) -> Result<String> {
    let failed = |error| Error::io("read", path, error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_LEN + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > MAX_LEN {
        return Err(Error::locating(ErrorKind::Limit, format!("{} has more than 1 MiB", path.display())));
    }
    String::from_utf8(bytes).map_err(|_| in_file(path, "expected text in UTF-8"))
}

fn in_file(path: &Path, reason: &str) -> Error {
    Error::invalid_argument(format!("{}: {reason}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::TableName;
    use hregion::locator::RetryPolicy;
    use std::fs;

    pub(super) fn site(properties: &[(&str, &str)]) -> Site {
        let property = |(name, value): &(&str, &str)| {
            format!("<property>\n <name>{name}</name><value> {value} </value><final>true</final></property>")
        };
        let properties: String = properties.iter().map(property).collect();
        Site::parse(&format!("<?xml version=\"1.0\"?><!-- c --><configuration>{properties}</configuration>"))
            .unwrap()
    }

    #[test]
    fn the_quorum_has_the_clients_port() {
        let found = site(&[
            ("hbase.zookeeper.quorum", "a, b:9,c,[::1]"),
            ("hbase.zookeeper.property.clientPort", "2222"),
            ("zookeeper.znode.parent", "/hbase-2"),
        ]);
        let quorum = "a:2222,b:9,c:2222,[::1]:2222".to_owned();
        assert_eq!(found.registry().unwrap(), Registry::ZooKeeper { quorum, znode: Some("/hbase-2".into()) });
        let mut of_clients = vec![
            ("hbase.zookeeper.quorum", "a"),
            ("hbase.zookeeper.property.clientPort", "2222"),
            ("hbase.client.zookeeper.quorum", "b,c:9"),
        ];
        for (port, expected) in [("", "b:2222,c:9"), ("2223", "b:2223,c:9")] {
            of_clients.push(("hbase.client.zookeeper.property.clientPort", port));
            let expected = Registry::ZooKeeper { quorum: expected.into(), znode: None };
            assert_eq!(site(&of_clients).registry().unwrap(), expected);
        }
        let none = Registry::ZooKeeper { quorum: "localhost".into(), znode: None };
        assert_eq!(site(&[]).registry().unwrap(), none);
    }

    #[test]
    fn servers_are_the_registry_if_the_file_says_so() {
        let rpc = ("hbase.client.registry.impl", "org.apache.hadoop.hbase.client.RpcConnectionRegistry");
        let found = site(&[rpc, ("hbase.masters", "m1:1,m2"), ("hbase.zookeeper.quorum", "z")]);
        assert_eq!(found.registry().unwrap(), Registry::Servers("m1:1,m2".into()));
        assert!(site(&[rpc]).registry().unwrap_err().message().contains("hbase.masters"));
        let given = ("hbase.client.bootstrap.servers", "r1:16020");
        let of_servers = |properties: &[(&str, &str)]| match site(properties).registry().unwrap() {
            Registry::Servers(servers) => servers,
            other => panic!("{other:?}"),
        };
        let masters = ("hbase.masters", "m1:1, [::1],m2");
        let (host, port) = (("hbase.master.hostname", "m3"), ("hbase.master.port", "7"));
        assert_eq!(of_servers(&[rpc, given, masters, host, port]), "r1:16020");
        assert_eq!(of_servers(&[rpc, masters, host, port]), "m1:1,[::1]:7,m2:7");
        assert_eq!(of_servers(&[rpc, host]), "m3");
        assert_eq!(of_servers(&[rpc, host, port]), "m3:7");
        assert_eq!(of_servers(&[rpc, host, ("hbase.master.port", "0")]), "m3");
        let only_masters = ("hbase.client.registry.impl", "org.apache.hadoop.hbase.client.MasterRegistry");
        assert_eq!(of_servers(&[only_masters, given, host, port]), "m3:7");
        let error = site(&[only_masters, given]).registry().unwrap_err();
        assert!(error.message().contains("hbase.masters"), "{error}");
        let other = site(&[("hbase.client.registry.impl", "a.B")]).registry().unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Unsupported);
    }

    /// As in a file of HBase 3.
    #[test]
    fn servers_are_the_registry_if_only_they_are_named() {
        let servers = |servers: &str| Registry::Servers(servers.to_owned());
        for (name, value) in [
            ("hbase.client.bootstrap.servers", "a:1,b:2"),
            ("hbase.masters", "a:1,b"),
            ("hbase.master.hostname", "a"),
        ] {
            assert_eq!(site(&[(name, value)]).registry().unwrap(), servers(value));
            // neither version's default is wrong then
            for quorum in ["hbase.zookeeper.quorum", "hbase.client.zookeeper.quorum"] {
                let found = site(&[(name, value), (quorum, "z")]).registry().unwrap();
                assert_eq!(found, Registry::ZooKeeper { quorum: "z".into(), znode: None });
            }
            let zookeeper =
                ("hbase.client.registry.impl", "org.apache.hadoop.hbase.client.ZKConnectionRegistry");
            let found = site(&[(name, value), zookeeper]).registry().unwrap();
            assert_eq!(found, Registry::ZooKeeper { quorum: "localhost".into(), znode: None });
        }
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let refused = |name, value| {
            let error = site(&[(name, value)]).check_supported().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains(name), "{error}");
        };
        refused("hbase.security.authentication", "digest");
        if cfg!(not(feature = "kerberos")) {
            refused("hbase.security.authentication", "kerberos");
        }
        if cfg!(not(feature = "tls")) {
            refused("hbase.client.netty.tls.enabled", "true");
        }
        let plain =
            [("hbase.security.authentication", "simple"), ("hbase.client.netty.tls.enabled", "false")];
        site(&plain).check_supported().unwrap();
        assert!(site(&[("hbase.rpc.timeout", "1m")]).number::<u64>("hbase.rpc.timeout").is_err());
        assert!(site(&[("hbase.zookeeper.quorum", "${host}")]).registry().is_err());
        for text in ["", "<a/>", "<configuration><include/></configuration>", "<configuration>"] {
            assert!(Site::parse(text).is_err(), "{text}");
        }
        assert_eq!(site(&[("n", "1"), ("n", "2")]).number::<u64>("n").unwrap(), Some(2));
    }

    #[test]
    fn properties_of_connections_make_settings() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let size = |value| site(&[("hbase.client.ipc.pool.size", value)]).pool_size();
        assert_eq!((size("").unwrap(), size("4").unwrap()), (None, Some(4)));
        assert_eq!((size("0").unwrap(), size("-2").unwrap()), (Some(1), Some(1)));
        assert!(size("many").is_err());
        for (name, value) in [
            ("hbase.client.ipc.pool.size", "x"),
            ("hbase.ipc.client.tcpkeepalive", "x"),
            ("hbase.ipc.client.failed.servers.expiry", "x"),
        ] {
            let error = Client::builder().of_site(&site(&[(name, value)])).unwrap_err();
            assert!(error.message().contains(name), "{error}");
        }
        let all = [
            ("hbase.client.ipc.pool.size", "3"),
            ("hbase.client.ipc.pool.type", "RoundRobin"),
            ("hbase.ipc.client.tcpkeepalive", "false"),
            ("hbase.ipc.client.failed.servers.expiry", "700"),
        ];
        let client = Client::builder().of_site(&site(&all)).unwrap();
        let settings = client.0.connections.settings();
        assert_eq!((settings.per_server, settings.keepalive), (3, false));
        assert_eq!(settings.failed_expiry, Duration::from_millis(700));
    }

    fn settings(properties: &[(&str, &str)]) -> crate::client::Settings {
        Client::builder().of_site(&site(properties)).unwrap().0.settings
    }

    #[test]
    fn calls_and_tables_have_times_of_their_own() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let (user, system) = (TableName::parse("t").unwrap(), TableName::parse("hbase:acl").unwrap());
        let millis = Duration::from_millis;
        // each is as the one before, unless it is set
        let mut properties =
            vec![("hbase.rpc.timeout", "700"), ("hbase.client.scanner.timeout.period", "800")];
        let times = |found: &crate::client::Settings| {
            [&user, &system].map(|table| (found.read_timeout_of(table), found.scanner_timeout_of(table)))
        };
        let found = settings(&properties);
        assert_eq!(times(&found), [(millis(700), millis(800)); 2]);
        assert_eq!((found.rpc_timeout, found.write_timeout), (millis(700), None));
        properties.extend([("hbase.rpc.read.timeout", "701"), ("hbase.rpc.write.timeout", "702")]);
        let found = settings(&properties);
        assert_eq!(times(&found), [(millis(701), millis(800)); 2]);
        assert_eq!((found.rpc_timeout, found.write_timeout), (millis(700), Some(millis(702))));
        properties.push(("hbase.client.meta.read.rpc.timeout", "703"));
        properties.push(("hbase.client.meta.scanner.timeout.period", "0"));
        let found = settings(&properties);
        assert_eq!(times(&found), [(millis(701), millis(800)), (millis(703), Duration::MAX)]);
        assert_eq!(found.primary_scan_of(&TableName::meta()), Duration::from_secs(1));
        properties.push(("hbase.client.meta.replica.scan.timeout", "5"));
        let found = settings(&properties);
        assert_eq!(found.primary_scan_of(&TableName::meta()), Duration::from_micros(5));
        assert_eq!(found.primary_scan_of(&system), Duration::from_secs(1));
    }

    #[test]
    fn operations_on_system_tables_have_a_time_of_their_own() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let (user, system) = (TableName::parse("t").unwrap(), TableName::meta());
        let policy = |seconds| RetryPolicy::default().operation_timeout(Duration::from_secs(seconds));
        let retries = |builder: ClientBuilder, properties: &[(&str, &str)]| {
            let found = builder.of_site(&site(properties)).unwrap().0.settings;
            [&user, &system].map(|table| found.retries_of(table))
        };
        let (all, of_meta) =
            (("hbase.client.operation.timeout", "5000"), ("hbase.client.meta.operation.timeout", "6000"));
        assert_eq!(retries(Client::builder(), &[]), [policy(1200); 2]);
        assert_eq!(retries(Client::builder(), &[all]), [policy(5), policy(1200)]);
        assert_eq!(retries(Client::builder(), &[of_meta]), [policy(1200), policy(6)]);
        assert_eq!(retries(Client::builder(), &[all, of_meta]), [policy(5), policy(6)]);
        // what the caller says of a client counts
        assert_eq!(retries(Client::builder().retries(policy(9)), &[]), [policy(9); 2]);
        let given = Client::builder().operation_timeout(Duration::from_secs(9));
        assert_eq!(retries(given.clone(), &[all, of_meta]), [policy(9); 2]);
        let given = given.meta_operation_timeout(Duration::from_secs(8));
        assert_eq!(retries(given, &[all, of_meta]), [policy(9), policy(8)]);
    }

    #[test]
    fn scans_have_the_limits_of_the_file() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let limits = |properties: &[(&str, &str)]| {
            let found = settings(properties);
            (found.scanner_caching, found.scanner_max_result_size)
        };
        let (rows, bytes) = ("hbase.client.scanner.caching", "hbase.client.scanner.max.result.size");
        assert_eq!(limits(&[]), (0, 2 << 20));
        assert_eq!(limits(&[(rows, "7"), (bytes, "5000000000")]), (7, 5_000_000_000));
        assert_eq!(limits(&[(rows, "-1"), (bytes, "-1")]), (0, i64::MAX.unsigned_abs()));
        assert!(Client::builder().of_site(&site(&[(rows, "many")])).is_err());
    }

    #[test]
    fn properties_have_comments_and_attributes() {
        for property in [
            "<property><name>q</name><value><!-- all -->a,b</value></property>",
            "<property><name><!-- the -->q</name><value>a<!-- one -->,<![CDATA[b]]></value></property>",
            "<property name='q' value=' a,b'/>",
            "<property name='q'><value> a,b </value></property>",
        ] {
            let found = Site::parse(&format!("<configuration>{property}</configuration>")).unwrap();
            assert_eq!(found.value("q").unwrap(), Some("a,b"), "{property}");
        }
        // encryption that is asked for is not left out
        let tls = "<property name='hbase.client.netty.tls.enabled' value='true'/>";
        let found = Site::parse(&format!("<configuration>{tls}</configuration>")).unwrap();
        assert_eq!(found.flag("hbase.client.netty.tls.enabled").unwrap(), Some(true));
    }

    #[test]
    fn a_file_that_is_long_or_never_ends_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hbase-site.xml");
        fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
        let endless = Path::new("/dev/zero");
        for path in [path.as_path(), endless].into_iter().filter(|path| path.exists()) {
            let error = read_text(path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
            assert!(error.message().ends_with(" has more than 1 MiB"), "{error}");
        }
        fs::write(&path, b"<configuration>\xff</configuration>").unwrap();
        let error = Client::builder().site(&path).unwrap_err();
        assert!(error.message().contains("hbase-site.xml: expected text in UTF-8"), "{error}");
    }

    #[test]
    fn a_file_makes_a_client() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hbase-site.xml");
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let missing = Client::builder().site(&path).unwrap_err();
        assert_eq!(missing.kind(), ErrorKind::Io);
        let property = |name: &str, value: &str| {
            format!("<property><name>{name}</name><value>{value}</value></property>")
        };
        let properties = [
            property("hbase.zookeeper.quorum", "a,b"),
            property("hbase.client.retries.number", "3"),
            property("hbase.client.pause", "20"),
            property("hbase.client.pause.server.overloaded", "60"),
            property("hbase.client.operation.timeout", "5000"),
            property("hbase.rpc.timeout", "700"),
            property("hbase.client.scanner.timeout.period", "800"),
            property("hbase.ipc.client.socket.timeout.connect", "900"),
            property("hbase.client.primaryCallTimeout.get", "11000"),
            property("hbase.client.primaryCallTimeout.multiget", "12"),
            property("hbase.client.replicaCallTimeout.scan", "2000000"),
            property("hbase.client.keyvalue.maxsize", "1000"),
            property("hbase.client.rpc.compressor", "org.apache.hadoop.io.compress.GzipCodec"),
            property("hbase.snapshot.restore.failsafe.name", "before"),
        ];
        fs::write(&path, format!("<configuration>{}</configuration>", properties.concat())).unwrap();
        let client = Client::builder().site(&path).unwrap();
        let settings = client.0.settings;
        assert_eq!(settings.retries.max_attempts(), 4);
        assert_eq!(settings.retries.pause_after(1), Duration::from_millis(20));
        assert_eq!(client.0.failsafe.as_deref(), Some("before"));
        assert_eq!(settings.rpc_timeout, Duration::from_millis(700));
        assert_eq!(settings.scanner_timeout, Duration::from_millis(800));
        assert_eq!(client.0.connections.settings().connect_timeout, Duration::from_millis(900));
        assert_eq!(settings.primary_get, Duration::from_millis(11));
        assert_eq!(settings.primary_multiget, Duration::from_micros(12));
        assert_eq!(settings.primary_scan, Duration::from_secs(2));
        assert_eq!(settings.max_cell, 1000);
        // as in HBase, 0 means no limit
        let unlimited = Client::builder().rpc_timeout(Duration::ZERO).scanner_timeout(Duration::ZERO);
        let unlimited = unlimited.settings;
        assert_eq!([unlimited.rpc_timeout, unlimited.scanner_timeout], [Duration::MAX; 2]);
        let time = |builder: ClientBuilder| builder.site(&path).unwrap().0.settings.retries;
        let of_file = RetryPolicy::default().attempts(4).pause(Duration::from_millis(20));
        let of_file = of_file.overloaded_pause(Duration::from_millis(60));
        let of_file = of_file.operation_timeout(Duration::from_secs(5));
        assert_eq!(time(Client::builder()), of_file);
        let given = of_file.operation_timeout(Duration::from_secs(9));
        let builder = Client::builder().operation_timeout(Duration::from_secs(9));
        assert_eq!(time(builder), given);
        for (name, class) in [
            ("hbase.client.rpc.compressor", "org.apache.hadoop.io.compress.BZip2Codec"),
            ("hbase.client.rpc.codec", "org.apache.hadoop.hbase.codec.MessageCodec"),
        ] {
            fs::write(&path, format!("<configuration>{}</configuration>", property(name, class))).unwrap();
            let error = Client::builder().site(&path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unsupported);
            assert!(error.message().contains(class), "{error}");
        }
        let off = property("hbase.snapshot.restore.take.failsafe.snapshot", "false");
        fs::write(&path, format!("<configuration>{off}</configuration>")).unwrap();
        assert_eq!(Client::builder().site(&path).unwrap().0.failsafe, None);
        let wrong = property("hbase.rpc.timeout", "x");
        fs::write(&path, format!("<configuration>{wrong}</configuration>")).unwrap();
        let error = Client::builder().site(&path).unwrap_err();
        assert!(error.message().contains("hbase-site.xml: hbase.rpc.timeout is x"), "{error}");
    }
}
