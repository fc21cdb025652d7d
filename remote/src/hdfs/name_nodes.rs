//! The name nodes of a name service: those that accept connections are asked first.
//!
//! The client has no time limit for a connection: it waits as long as the system does, which is minutes if a
//! machine is gone, and begins with the first name node again in each call until one has answered.

use super::active;
use crate::location::Location;
use crate::options::RemoteOptions;
use futures_util::future::join_all;
use std::env;
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;

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
}

impl NameNodes {
    /// # Errors
    ///
    /// If a file of Hadoop's settings is there, but cannot be read.
    pub(super) fn of(location: &Location, options: &RemoteOptions) -> io::Result<Self> {
        Ok(Self::with(location, options, &active::texts(active::conf_dir(env::var)?.as_deref())?))
    }

    /// As [`of`](Self::of), by the texts of Hadoop's files.
    fn with(location: &Location, options: &RemoteOptions, texts: &[String]) -> Self {
        let value = |name: &str| {
            let given = options.settings_of(&["dfs.", "fs."]).filter(|(given, _)| *given == name).last();
            let in_files = || texts.iter().rev().find_map(|text| property(text, name));
            given.map(|(_, value)| value.to_owned()).or_else(in_files)
        };
        let service = match location.authority.as_str() {
            "" => value("fs.defaultFS").and_then(|url| authority_of(&url).map(str::to_owned)),
            authority => Some(authority.to_owned()),
        };
        let service = service.unwrap_or_default();
        if service.contains(':') {
            let node = NameNode { id: String::new(), address: service.clone() };
            return Self { service, nodes: vec![node] };
        }
        let ids = value(&format!("dfs.ha.namenodes.{service}")).unwrap_or_default();
        let nodes = ids.split(',').filter_map(|id| {
            let address = value(&format!("dfs.namenode.rpc-address.{service}.{id}"))?;
            Some(NameNode { id: id.to_owned(), address })
        });
        let nodes = nodes.collect();
        Self { service, nodes }
    }

    /// Asks all name nodes for a connection. Returns settings with which the client asks those last that do
    /// not answer.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::TimedOut`] if none has answered within a time.
    pub(super) async fn silent_ones_last(self, limit: Duration) -> io::Result<Vec<(String, String)>> {
        let is_silent = |node: &NameNode| {
            let address = node.address.clone();
            async move { tokio::time::timeout(limit, TcpStream::connect(address)).await.is_err() }
        };
        let are_silent = join_all(self.nodes.iter().map(is_silent)).await;
        self.ordered(&are_silent).ok_or_else(|| {
            let addresses: Vec<&str> = self.nodes.iter().map(|node| node.address.as_str()).collect();
            let message =
                format!("no name node accepts a connection within {limit:?}: {}", addresses.join(", "));
            io::Error::new(io::ErrorKind::TimedOut, message)
        })
    }

    /// Returns the settings if some name nodes are silent, and `None` if all are.
    fn ordered(&self, are_silent: &[bool]) -> Option<Vec<(String, String)>> {
        if !are_silent.contains(&true) {
            return Some(Vec::new());
        }
        let those = |silent: bool| {
            let nodes = self.nodes.iter().zip(are_silent).filter(move |(_, is_silent)| **is_silent == silent);
            nodes.map(|(node, _)| node.id.as_str())
        };
        let ids: Vec<&str> = those(false).chain(those(true)).collect();
        are_silent.contains(&false).then(|| {
            let order = (format!("dfs.ha.namenodes.{}", self.service), ids.join(","));
            let keeps_order =
                (format!("dfs.client.failover.random.order.{}", self.service), "false".to_owned());
            vec![order, keeps_order]
        })
    }
}

/// Returns the host and port, or the name service, of a URL of HDFS.
fn authority_of(url: &str) -> Option<&str> {
    url.strip_prefix("hdfs://")?.split('/').next()
}

/// Returns the value of the last property of a name in the text of a file of settings.
fn property(text: &str, name: &str) -> Option<String> {
    let text = without_comments(text);
    let properties = text.split("<property>").skip(1).filter_map(|property| {
        let (property, _) = property.split_once("</property>")?;
        Some((element(property, "name")?, element(property, "value")?))
    });
    properties.filter(|(found, _)| *found == name).last().map(|(_, value)| value.to_owned())
}

/// Returns the text of an element without other elements in it.
fn element<'t>(text: &'t str, name: &str) -> Option<&'t str> {
    let (_, after) = text.split_once(&format!("<{name}>"))?;
    after.split_once(&format!("</{name}>")).map(|(text, _)| text.trim())
}

fn without_comments(text: &str) -> String {
    let mut parts = text.split("<!--");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.filter_map(|part| part.split_once("-->")).fold(first, |all, (_, after)| all + after)
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
        assert!(found("hdfs://other/a", &options).nodes.is_empty());
        let given = options.setting("dfs.namenode.rpc-address.ns.nn1", "given:8020");
        let given = given.setting("dfs.ha.namenodes.ns", "nn3,nn1");
        assert_eq!(addresses(&found("hdfs://ns/a", &given)), ["three:8020", "given:8020"]);
    }

    #[test]
    fn silent_name_nodes_are_asked_last() {
        let nodes = found("hdfs://ns/a", &RemoteOptions::default());
        let order = |are_silent: [bool; 3]| {
            let settings = nodes.ordered(&are_silent)?;
            assert!(settings.iter().all(|(name, _)| name.ends_with(".ns")), "{settings:?}");
            Some(settings.into_iter().map(|(_, value)| value).collect::<Vec<_>>())
        };
        assert_eq!(order([false, false, false]), Some(Vec::new()));
        assert_eq!(order([true, false, false]).unwrap(), ["nn2,nn3,nn1", "false"]);
        assert_eq!(order([true, true, false]).unwrap(), ["nn3,nn1,nn2", "false"]);
        assert_eq!(order([false, true, false]).unwrap(), ["nn1,nn3,nn2", "false"]);
        assert_eq!(order([true, true, true]), None);
    }

    /// One that refuses connections does not keep anybody waiting.
    #[test]
    fn name_nodes_that_accept_or_refuse_are_not_silent() {
        let (open, closed) =
            (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap());
        let node = |listener: &TcpListener| NameNode {
            id: String::new(),
            address: listener.local_addr().unwrap().to_string(),
        };
        let nodes = NameNodes { service: "ns".to_owned(), nodes: vec![node(&open), node(&closed)] };
        drop(closed);
        let blocking = Blocking::new(Duration::from_secs(60)).unwrap();
        let settings = blocking.read(nodes.silent_ones_last(Duration::from_secs(60)));
        assert!(settings.unwrap().is_empty());
    }
}
