//! The name nodes of a name service, ordered so that those that respond are asked first.
//!
//! The client has no time limit for connections or responses: it waits as long as the system does, which is
//! minutes if a machine is down, and forever if a process is suspended, and each call begins again with the
//! first name node until one has responded.

use super::active::name_at;
use super::properties::{self, without_comments};
use crate::location::{Location, NAME_NODE_PORT};
use crate::options::RemoteOptions;
use futures_util::future::join_all;
use std::env;
use std::io;
use std::time::Duration;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// A name node.
#[derive(Clone, Debug, PartialEq, Eq)]
struct NameNode {
    /// Its name in the settings; empty if the name service is a host and port.
    id: String,
    /// Its host and port.
    address: String,
}

/// The name nodes of a name service, in the order of the settings.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NameNodes {
    service: String,
    /// Empty if they are not known here.
    nodes: Vec<NameNode>,
    /// The names of those whose addresses only the client can read.
    others: Vec<String>,
    /// Whether an address resolves to several (HDFS: `dfs.client.failover.resolve-needed`).
    is_resolved: bool,
}

/// The reaction of a name node to a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reply {
    /// It responds, or immediately ends the connection.
    Answer,
    /// It refuses connections.
    Refusal,
    /// It accepts a connection, and sends nothing.
    Silence,
    /// It does not accept a connection.
    None,
}

/// The setting of the URL of the default file system.
const DEFAULT_FS: &str = "fs.defaultFS";

/// The setting of the names of a name service's name nodes, without the name of the service.
const NAME_NODES: &str = "dfs.ha.namenodes.";

/// The setting of the address of a name node, without the names of the service and the name node.
const ADDRESS: &str = "dfs.namenode.rpc-address.";

/// The maximum number of variables of a value that are replaced (Hadoop: `Configuration.MAX_SUBST`).
const MAX_VARIABLES: usize = 20;

/// Returns the value of a setting: the given one, or the one in Hadoop's files. As by Hadoop, spaces around
/// names and values are ignored, and variables that are settings, or those of the environment, are replaced
/// by their values.
pub(super) fn setting(options: &RemoteOptions, texts: &[String], name: &str) -> Option<String> {
    let value_of = |name: &str| find(options, texts, |found| present(found.trim()) == present(name));
    let mut value = value_of(name)?;
    for _ in 0..MAX_VARIABLES {
        let Some((before, variable, after)) = first_variable(&value) else { break };
        let found = of_environment(variable, |name| env::var(name).ok());
        let Some(found) = found.or_else(|| value_of(variable)) else { break };
        value = format!("{before}{}{after}", found.trim());
    }
    Some(value.trim().to_owned())
}

/// Returns the first variable of a value without others in it, such as `${name}`: the text before it, its
/// name, and the text after it.
fn first_variable(value: &str) -> Option<(&str, &str, &str)> {
    let (begun, after) = value.split_once('}')?;
    let (before, name) = begun.rsplit_once("${")?;
    Some((before, name, after))
}

/// Returns the value of a variable of the environment, such as `env.NAME`, or `env.NAME-default` and
/// `env.NAME:-default`, of which the second has its default also if the variable is empty (Hadoop:
/// `Configuration.substituteVars`).
fn of_environment(variable: &str, get: impl Fn(&str) -> Option<String>) -> Option<String> {
    let name = variable.strip_prefix("env.").filter(|name| !name.is_empty())?;
    let Some((name, default)) = name.split_once('-') else { return get(name) };
    let value = match name.strip_suffix(':') {
        Some(name) => get(name).filter(|value| !value.is_empty()),
        None => get(name),
    };
    Some(value.unwrap_or_else(|| default.to_owned()))
}

/// Returns the value of a setting by its name, with the spaces around it.
fn find(options: &RemoteOptions, texts: &[String], is_name: impl Fn(&str) -> bool) -> Option<String> {
    let given = options.settings_of(&["dfs.", "fs."]).filter(|(given, _)| is_name(given)).last();
    given.map(|(_, value)| value.to_owned()).or_else(|| properties::value_of(texts, is_name))
}

/// Returns the name service, or the host and port, of the default file system; empty if that is not HDFS.
pub(super) fn default_service(options: &RemoteOptions, texts: &[String]) -> String {
    let url = setting(options, texts, DEFAULT_FS);
    url.as_deref().and_then(authority_of).unwrap_or_default().to_owned()
}

/// Returns the present name of a setting (Hadoop: `Configuration.DeprecationDelta`).
fn present(name: &str) -> &str {
    if name == "fs.default.name" { DEFAULT_FS } else { name }
}

impl NameNodes {
    /// Finds the name nodes in the settings that are given, and in the texts of Hadoop's files.
    pub(super) fn with(location: &Location, options: &RemoteOptions, texts: &[String]) -> Self {
        let value = |name: &str| setting(options, texts, name);
        let service = match location.authority.as_str() {
            "" => default_service(options, texts),
            authority => authority.to_owned(),
        };
        let ids = value(&format!("{NAME_NODES}{service}"));
        // As by Hadoop, a name in `dfs.nameservices` alone is a host.
        let is_logical = service.is_empty()
            || ids.is_some()
            // The client may read a file of another form than those that `properties` reads.
            || texts.iter().any(|text| has_setting(text, NAME_NODES, &service));
        if !is_logical {
            let address = with_port(&service);
            let node = NameNode { id: String::new(), address: address.clone() };
            return Self { service: address, nodes: vec![node], others: Vec::new(), is_resolved: false };
        }
        let (mut nodes, mut others) = (Vec::new(), Vec::new());
        for id in names_in(&ids.unwrap_or_default()) {
            let name = format!("{service}.{id}");
            if let Some(address) = value(&format!("{ADDRESS}{name}")) {
                nodes.push(NameNode { id: id.to_owned(), address: with_port(&address) });
            } else if texts.iter().any(|text| has_setting(text, ADDRESS, &name)) {
                others.push(id.to_owned());
            }
        }
        let is_resolved = value(&format!("dfs.client.failover.resolve-needed.{service}"));
        let is_resolved = is_resolved.is_some_and(|value| value.eq_ignore_ascii_case("true"));
        Self { service, nodes, others, is_resolved }
    }

    /// Returns the URL of the name service; empty if it is the default file system and has another scheme.
    pub(super) fn url(&self) -> String {
        if self.service.is_empty() { String::new() } else { format!("hdfs://{}", self.service) }
    }

    /// Returns the addresses, in order, if there are several name nodes with different addresses.
    pub(super) fn several(&self) -> Option<Vec<String>> {
        let are_known = self.nodes.len() > 1 && !self.is_resolved;
        are_known.then(|| self.nodes.iter().map(|node| node.address.clone()).collect())
    }

    /// Returns settings with which a client reaches the name nodes at other addresses.
    pub(super) fn at<'a>(&'a self, addresses: &'a [String]) -> impl Iterator<Item = (String, String)> + 'a {
        self.nodes
            .iter()
            .zip(addresses)
            .map(|(node, address)| (format!("{ADDRESS}{}.{}", self.service, node.id), address.clone()))
    }

    /// Returns the settings of the name nodes that the client would read differently: it does not ignore
    /// spaces around names and addresses, does not replace variables, and has no default port. There are none
    /// if the name service is a host, or has no known name nodes.
    pub(super) fn corrections(&self, options: &RemoteOptions, texts: &[String]) -> Vec<(String, String)> {
        if self.others.is_empty() && self.nodes.iter().all(|node| node.id.is_empty()) {
            return Vec::new();
        }
        let addresses: Vec<String> = self.nodes.iter().map(|node| node.address.clone()).collect();
        let names = format!("{NAME_NODES}{}", self.service);
        // With those whose addresses only the client can read.
        let listed = setting(options, texts, &names).unwrap_or_default();
        let names = (names, names_in(&listed).collect::<Vec<_>>().join(","));
        let is_read = |(name, value): &(String, String)| {
            find(options, texts, |found| found == name.as_str()).as_ref() == Some(value)
        };
        self.at(&addresses).chain([names]).filter(|setting| !is_read(setting)).collect()
    }

    /// Returns the addresses, or the name of the service if they are not known, for messages.
    pub(super) fn addresses(&self) -> String {
        if self.nodes.is_empty() {
            return self.service.clone();
        }
        self.nodes.iter().map(|node| node.address.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Probes all name nodes. Returns settings with which the client asks last those that do not respond.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] if none has accepted a connection within a time;
    /// [`io::ErrorKind::Other`] if the name service is an unknown host.
    pub(super) async fn silent_ones_last(&self, limit: Duration) -> io::Result<Vec<(String, String)>> {
        let replies = join_all(self.nodes.iter().map(|node| ask(&node.address, limit))).await;
        if replies.iter().all(|reply| *reply == Reply::Refusal) {
            self.check_host(limit).await?;
        }
        self.ordered(&replies).ok_or_else(|| {
            let message = format!("no name node accepts a connection within {limit:?}: {}", self.addresses());
            io::Error::new(io::ErrorKind::TimedOut, message)
        })
    }

    /// Fails if the name service is an unknown host, which the client would look up until the deadline.
    async fn check_host(&self, limit: Duration) -> io::Result<()> {
        let [NameNode { id, address }] = self.nodes.as_slice() else { return Ok(()) };
        if !id.is_empty() {
            return Ok(());
        }
        match timeout(limit, lookup_host(address.as_str())).await {
            Ok(Err(error)) => {
                let services = "name services are those of the files in HADOOP_CONF_DIR";
                Err(io::Error::other(format!("unknown host {address}: {error}; {services}")))
            }
            _ => Ok(()),
        }
    }

    /// Returns the settings if name nodes differ, and `None` if none accepts connections. Those that only the
    /// client can read are not asked before one that responds, but before those that could keep it waiting.
    fn ordered(&self, replies: &[Reply]) -> Option<Vec<(String, String)>> {
        let (Some(first), Some(last)) = (replies.iter().min(), replies.iter().max()) else {
            return Some(Vec::new());
        };
        if *first == Reply::None && self.others.is_empty() {
            return None;
        }
        if first == last && *first != Reply::None {
            return Some(Vec::new());
        }
        let nodes = self.nodes.iter().map(|node| &node.id).zip(replies);
        let others = self.others.iter().map(|id| (id, &Reply::Refusal));
        let mut nodes: Vec<(&String, &Reply)> = nodes.chain(others).collect();
        nodes.sort_by_key(|(_, reply)| **reply);
        let ids: Vec<&str> = nodes.into_iter().map(|(id, _)| id.as_str()).collect();
        let order = (format!("{NAME_NODES}{}", self.service), ids.join(","));
        let keeps_order = (format!("dfs.client.failover.random.order.{}", self.service), "false".to_owned());
        Some(vec![order, keeps_order])
    }
}

/// Probes a name node.
pub(super) async fn ask(address: &str, limit: Duration) -> Reply {
    let Ok(connected) = timeout(limit, TcpStream::connect(address)).await else {
        return Reply::None;
    };
    let Ok(stream) = connected else { return Reply::Refusal };
    match timeout(limit, wait_for_any(&stream)).await {
        Ok(_) => Reply::Answer,
        Err(_) => Reply::Silence,
    }
}

/// Waits until a name node sends anything in response to a request that its port does not support (Hadoop:
/// `Server`, which responds without authentication that this is not the port of the web interface).
async fn wait_for_any(stream: &TcpStream) -> io::Result<()> {
    stream.writable().await?;
    stream.try_write(b"GET / HTTP/1.1\r\n\r\n")?;
    loop {
        stream.readable().await?;
        match stream.try_read(&mut [0]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            read => return read.map(drop),
        }
    }
}

/// Returns the names of a list.
fn names_in(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|name| !name.is_empty())
}

/// Returns the host and port, or the name service, of a URL of HDFS.
fn authority_of(url: &str) -> Option<&str> {
    url.strip_prefix("hdfs://")?.split('/').next()?.rsplit('@').next()
}

/// Returns an address with the default port, unless it has a port.
fn with_port(address: &str) -> String {
    let address = address.strip_suffix(':').unwrap_or(address);
    // An IPv6 address is in brackets.
    let has_port = address.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
    if has_port { address.to_owned() } else { format!("{address}{NAME_NODE_PORT}") }
}

/// Whether the text of a file of settings has the name of a setting, in any form.
fn has_setting(text: &str, beginning: &str, rest: &str) -> bool {
    without_comments(text).split(beginning).skip(1).any(|found| name_at(found) == rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::Blocking;
    use std::net::TcpListener;
    use std::path::Path;

    const FILE: &str = "<configuration>
        <property><name>dfs.ha.namenodes.ns</name><value>nn1,nn2,nn3</value></property>
        <!-- <property><name>dfs.ha.namenodes.ns</name><value>old</value></property> -->
        <property>
          <name>dfs.namenode.rpc-address.ns.nn1</name>
          <value>one:8020</value>
          <final>true</final>
        </property>
        <property><name>dfs.namenode.rpc-address.ns.nn2</name><value>before:8020</value></property>
        <property><name>dfs.namenode.rpc-address.ns.nn2</name><value>two:8020</value></property>
        <property><name>dfs.namenode.rpc-address.ns.nn3</name><value>three:8020</value></property>
        </configuration>";

    fn found(url: &str, options: &RemoteOptions) -> NameNodes {
        let core = "<property><name>fs.defaultFS</name><value>hdfs://ns/</value></property>".to_owned();
        NameNodes::with(&Location::parse(Path::new(url)).unwrap(), options, &[core, FILE.to_owned()])
    }

    fn property_of(name: &str, value: &str) -> String {
        format!("<property><name>{name}</name><value>{value}</value></property>")
    }

    fn addresses(nodes: &NameNodes) -> Vec<&str> {
        nodes.nodes.iter().map(|node| node.address.as_str()).collect()
    }

    #[test]
    fn name_nodes_are_those_of_the_settings() {
        let options = RemoteOptions::default();
        for url in ["hdfs://ns/a", "hdfs:///a"] {
            assert_eq!(addresses(&found(url, &options)), ["one:8020", "two:8020", "three:8020"], "{url}");
        }
        assert_eq!(addresses(&found("hdfs://host:8021/a", &options)), ["host:8021"]);
        let given = options.setting("dfs.namenode.rpc-address.ns.nn1", "given:8020");
        let given = given.setting("dfs.ha.namenodes.ns", "nn3,nn1");
        assert_eq!(addresses(&found("hdfs://ns/a", &given)), ["three:8020", "given:8020"]);
    }

    #[test]
    fn several_name_nodes_may_have_other_addresses() {
        let options = RemoteOptions::default().setting("dfs.ha.namenodes.ns", "nn3,nn1");
        let nodes = found("hdfs://ns/a", &options);
        assert_eq!(nodes.several().unwrap(), ["three:8020", "one:8020"]);
        let settings: Vec<_> = nodes.at(&["a:1".to_owned(), "b:2".to_owned()]).collect();
        let setting =
            |id: &str, address: &str| (format!("dfs.namenode.rpc-address.ns.{id}"), address.to_owned());
        assert_eq!(settings, [setting("nn3", "a:1"), setting("nn1", "b:2")]);
        assert_eq!(found("hdfs://host:8021/a", &options).several(), None);
        let resolved = options.setting("dfs.client.failover.resolve-needed.ns", "True");
        assert_eq!(found("hdfs://ns/a", &resolved).several(), None);
    }

    /// A name service has no port; the client would not resolve a host without one.
    #[test]
    fn a_host_has_the_default_port_unless_it_is_a_name_service() {
        let options = RemoteOptions::default();
        for (host, address) in
            [("host", "host:8020"), ("host:", "host:8020"), ("host:9", "host:9"), ("[::1]", "[::1]:8020")]
        {
            let default_fs = options.clone().setting("fs.defaultFS", format!(" hdfs://{host}/ "));
            let former = [property_of("fs.default.name", &format!("hdfs://{host}"))];
            let location = Location::parse(Path::new("hdfs:///a")).unwrap();
            assert_eq!(addresses(&NameNodes::with(&location, &options, &former)), [address]);
            let given = options.clone().setting("fs.default.name", format!("hdfs://{host}"));
            let present = [property_of("fs.defaultFS", "hdfs://ns")];
            assert_eq!(addresses(&NameNodes::with(&location, &given, &present)), [address]);
            for (url, options) in [(format!("hdfs://{host}/a"), &options), ("hdfs:///a".into(), &default_fs)]
            {
                let nodes = found(&url, options);
                assert_eq!((addresses(&nodes), nodes.url()), (vec![address], format!("hdfs://{address}")));
                assert!(nodes.several().is_none() && nodes.corrections(options, &[]).is_empty(), "{url}");
            }
        }
        let given = |name: &str, value: &str| options.clone().setting(name, value);
        let listed = given("dfs.nameservices", "ns,host");
        assert_eq!(found("hdfs://host:8020/a", &listed).url(), "hdfs://host:8020");
        let services = [("ns", listed), ("given", given("dfs.ha.namenodes.given", ""))];
        for (service, options) in services {
            assert_eq!(found(&format!("hdfs://{service}/a"), &options).url(), format!("hdfs://{service}"));
        }
        for name in ["dfs.ha.namenodes.odd\n", "<![CDATA[dfs.ha.namenodes.odd]]>"] {
            let other_form = [format!("<property ><name>{name}</name><value>nn1</value></property>")];
            let url_of = |url: &str| {
                NameNodes::with(&Location::parse(Path::new(url)).unwrap(), &options, &other_form).url()
            };
            assert_eq!(url_of("hdfs://odd/a"), "hdfs://odd");
            assert_eq!(url_of("hdfs://od/a"), "hdfs://od:8020");
            assert_eq!(url_of("hdfs:///a"), "");
        }
    }

    /// The client would not ask a name node whose name or address has spaces, or whose address has no port.
    /// It reads all other settings itself.
    #[test]
    fn the_client_gets_only_settings_that_it_would_read_differently() {
        let options = RemoteOptions::default();
        let corrections = |options: &RemoteOptions, file: &str| {
            let (location, texts) = (Location::parse(Path::new("hdfs://ns/a")).unwrap(), [file.to_owned()]);
            NameNodes::with(&location, options, &texts).corrections(options, &texts)
        };
        let expect = |found: Vec<(String, String)>, expected: &[(&str, &str)]| {
            let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
            assert_eq!(found, expected);
        };
        expect(corrections(&options, FILE), &[]);
        let given = options.clone().setting("dfs.ha.namenodes.ns", " nn3 ,\n nn1,");
        let given = given.setting("dfs.namenode.rpc-address.ns.nn1", " given:8020\n");
        let [first, second] = ["dfs.namenode.rpc-address.ns.nn1", "dfs.namenode.rpc-address.ns.nn2"];
        expect(corrections(&given, FILE), &[(first, "given:8020"), ("dfs.ha.namenodes.ns", "nn3,nn1")]);
        let in_file = FILE.replace("one:8020", "\n one:8020\n").replace("two:8020", "two");
        expect(corrections(&options, &in_file), &[(first, "one:8020"), (second, "two:8020")]);
        let spaced =
            FILE.replace("<name>dfs.namenode.rpc-address.ns.nn2<", "<name> dfs.namenode.rpc-address.ns.nn2<");
        expect(corrections(&options, &spaced), &[(second, "two:8020")]);
        // The client alone finds the address of the second one.
        let sections = FILE.replace("one:", " one:").replace(
            "<name>dfs.namenode.rpc-address.ns.nn2<",
            "<name><![CDATA[dfs.namenode.rpc-address.ns.nn2]]><",
        );
        expect(corrections(&options, &sections), &[(first, "one:8020")]);
        let spaced = sections.replace("nn1,nn2,nn3", "nn1, nn2,nn3");
        expect(
            corrections(&options, &spaced),
            &[(first, "one:8020"), ("dfs.ha.namenodes.ns", "nn1,nn2,nn3")],
        );
        // It alone finds all addresses.
        let spaced = FILE
            .replace("nn1,nn2,nn3", "nn1, nn2")
            .replace("<name>dfs.namenode.rpc-address.", "<name >dfs.namenode.rpc-address.");
        expect(corrections(&options, &spaced), &[("dfs.ha.namenodes.ns", "nn1,nn2")]);
        let variables = FILE.replace("one:8020", "${host.${which}}:${port}").replace("two:", "${unknown}:")
            + &[property_of("which", "a"), property_of("host.a", " one "), property_of("port", "8020")]
                .concat();
        expect(corrections(&options, &variables), &[(first, "one:8020")]);
        let endless = FILE.replace("one:8020", "${endless}:8020") + &property_of("endless", "${endless}");
        expect(corrections(&options, &endless), &[]);
    }

    #[test]
    fn variables_of_the_environment_are_replaced() {
        let get = |name: &str| match name {
            "HOST" => Some("h".to_owned()),
            "NONE" => Some(String::new()),
            _ => None,
        };
        for (variable, expected) in [
            ("env.HOST", Some("h")),
            ("env.HOST:-d", Some("h")),
            ("env.NONE", Some("")),
            ("env.NONE-d", Some("")),
            ("env.NONE:-d-e", Some("d-e")),
            ("env.MISSING", None),
            ("env.MISSING-d", Some("d")),
            ("env.MISSING:-", Some("")),
            ("env.", None),
            ("HOST", None),
        ] {
            assert_eq!(of_environment(variable, get).as_deref(), expected, "{variable}");
        }
        let default_fs = "hdfs://${env.HREGION_NO_SUCH_VARIABLE:-name-node}:9000";
        let options = RemoteOptions::default().setting("fs.defaultFS", default_fs);
        assert_eq!(default_service(&options, &[]), "name-node:9000");
    }

    #[test]
    fn silent_name_nodes_are_asked_last() {
        use Reply::{Answer, Refusal, Silence};

        let options = RemoteOptions::default();
        let nodes = found("hdfs://ns/a", &options);
        let order = |replies: [Reply; 3]| {
            let settings = nodes.ordered(&replies)?;
            assert!(settings.iter().all(|(name, _)| name.ends_with(".ns")), "{settings:?}");
            Some(settings.into_iter().map(|(_, value)| value).collect::<Vec<_>>())
        };
        assert_eq!(order([Answer, Answer, Answer]), Some(Vec::new()));
        // They may not be Hadoop servers, and all of them may respond to the client.
        assert_eq!(order([Silence, Silence, Silence]), Some(Vec::new()));
        assert_eq!(order([Silence, Answer, Answer]).unwrap(), ["nn2,nn3,nn1", "false"]);
        assert_eq!(order([Reply::None, Silence, Answer]).unwrap(), ["nn3,nn2,nn1", "false"]);
        assert_eq!(order([Answer, Reply::None, Answer]).unwrap(), ["nn1,nn3,nn2", "false"]);
        assert_eq!(order([Reply::None, Silence, Silence]).unwrap(), ["nn2,nn3,nn1", "false"]);
        assert_eq!(order([Silence, Refusal, Answer]).unwrap(), ["nn3,nn2,nn1", "false"]);
        assert_eq!(order([Reply::None, Refusal, Refusal]).unwrap(), ["nn2,nn3,nn1", "false"]);
        assert_eq!(order([Reply::None; 3]), None);
        // The client alone finds the address of the second one, and nothing that of another one.
        let file = FILE.replace("nn1,nn2,", "nn1,nn2,nn4,").replace(
            "<name>dfs.namenode.rpc-address.ns.nn2<",
            "<name><![CDATA[dfs.namenode.rpc-address.ns.nn2]]><",
        );
        let location = Location::parse(Path::new("hdfs://ns/a")).unwrap();
        let less = NameNodes::with(&location, &options, &[file]);
        let order_of_known = |replies: [Reply; 2]| {
            let settings = less.ordered(&replies).unwrap();
            settings.into_iter().map(|(_, value)| value).collect::<Vec<_>>()
        };
        assert_eq!(addresses(&less), ["one:8020", "three:8020"]);
        assert_eq!(order_of_known([Answer, Answer]), Vec::<String>::new());
        assert_eq!(order_of_known([Silence, Answer]), ["nn3,nn2,nn1", "false"]);
        assert_eq!(order_of_known([Reply::None; 2]), ["nn2,nn1,nn3", "false"]);
        assert_eq!(nodes.addresses(), "one:8020, two:8020, three:8020");
        let unknown = RemoteOptions::default().setting("dfs.ha.namenodes.other", "");
        assert_eq!(found("hdfs://other/a", &unknown).addresses(), "other");
    }

    /// A name service whose settings are missing is taken for a host.
    #[test]
    fn unknown_hosts_are_an_error_and_refusals_are_not() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = listener.local_addr().unwrap();
        drop(listener);
        let blocking = Blocking::new(Duration::from_secs(60)).unwrap();
        let order = |address: &str| {
            let nodes = found(&format!("hdfs://{address}/a"), &RemoteOptions::default());
            blocking.read(async move { nodes.silent_ones_last(Duration::from_secs(30)).await })
        };
        assert_eq!(order(&closed.to_string()).unwrap(), Vec::new());
        // This is found to be wrong without a request to a server of names.
        let error = order("localhost:99999").unwrap_err().to_string();
        assert!(error.contains("localhost:99999") && error.contains("HADOOP_CONF_DIR"), "{error}");
    }

    /// A name node that refuses or ends connections keeps no client waiting; one that accepts them may.
    #[test]
    fn name_nodes_that_accept_connections_and_say_nothing_are_silent() {
        let listener = || TcpListener::bind("127.0.0.1:0").unwrap();
        let [silent, ending, closed] = [listener(), listener(), listener()];
        let address = |listener: &TcpListener| listener.local_addr().unwrap().to_string();
        let addresses = [&silent, &ending, &closed].map(address);
        drop(closed);
        let ends = std::thread::spawn(move || drop(ending.accept().unwrap()));
        let blocking = Blocking::new(Duration::from_secs(60)).unwrap();
        let replies = addresses.map(|address| {
            // Only the silent one is waited for.
            let limit = if address == silent.local_addr().unwrap().to_string() { 50 } else { 30_000 };
            blocking.read(async move { Ok(ask(&address, Duration::from_millis(limit)).await) }).unwrap()
        });
        assert_eq!(replies, [Reply::Silence, Reply::Answer, Reply::Refusal]);
        ends.join().unwrap();
    }
}
