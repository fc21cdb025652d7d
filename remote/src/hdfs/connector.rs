//! Clients of a name service.

use super::active;
use super::errors::io_error;
use super::name_nodes::{NameNodes, setting};
use super::properties;
use super::relay::Relays;
use crate::location::Location;
use crate::options::RemoteOptions;
use hdfs_native::client::{Client, ClientBuilder};
use std::env;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

/// The setting of the time to wait for a data node before another one is asked. Without it, the client waits
/// for 60 seconds, which is the default of the deadline of a read.
const SOCKET_TIMEOUT: &str = "dfs.client.socket-timeout";

/// The least value that it gets here.
const MIN_SOCKET_TIMEOUT: Duration = Duration::from_secs(5);

/// The minimum time without a response after which a name node is probed.
const MIN_SILENCE: Duration = Duration::from_millis(100);

/// Makes clients of a name service.
pub(super) struct Connector {
    settings: Vec<(String, String)>,
    name_nodes: NameNodes,
    connect_timeout: Duration,
    patience: Duration,
    deadline: Duration,
    runtime: Handle,
    /// Settings with which name nodes that have responded are asked first.
    order: Mutex<Vec<(String, String)>>,
}

/// A client that changes files.
pub(super) struct Changing {
    pub(super) client: Client,
    /// `None` if the name nodes are reached directly: see [`NameNodes::several`]; or if there are no ports.
    _relays: Option<Relays>,
}

impl Connector {
    /// Reads the settings. The connections of the clients run on `runtime`: by default they would run on the
    /// calling thread's runtime, which that thread blocks, or which may end before the client.
    ///
    /// # Errors
    ///
    /// If a file of Hadoop's settings exists, but cannot be read.
    pub(super) fn new(
        location: &Location,
        options: &RemoteOptions,
        patience: Duration,
        runtime: Handle,
    ) -> io::Result<Self> {
        let conf_dir = active::conf_dir(env::var)?;
        let texts = active::texts(conf_dir.as_deref())?;
        // The settings that are given override these.
        let mut settings = properties::unread(&active::texts_of_client(conf_dir.as_deref())?, &texts);
        settings.extend(active::settings(location, options)?);
        if setting(options, &texts, SOCKET_TIMEOUT).is_none() {
            let millis = patience.max(MIN_SOCKET_TIMEOUT).as_millis();
            settings.push((SOCKET_TIMEOUT.to_owned(), millis.to_string()));
        }
        let name_nodes = NameNodes::with(location, options, &texts);
        settings.extend(name_nodes.corrections(options, &texts));
        Ok(Self {
            settings,
            name_nodes,
            connect_timeout: options.connect_timeout,
            patience,
            deadline: options.deadline,
            runtime,
            order: Mutex::default(),
        })
    }

    /// Makes a client that first asks the name nodes that currently respond.
    pub(super) async fn connect(&self) -> io::Result<Client> {
        let order = self.name_nodes.silent_ones_last(self.connect_timeout).await?;
        self.order.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&order);
        self.client_with(order)
    }

    /// Makes a client that changes files, and switches to another name node by itself. `reading` is a client
    /// that does not.
    pub(super) fn connect_changing(&self, reading: &Client) -> Changing {
        match self.name_nodes.several().map(|addresses| self.connect_through_relays(addresses)) {
            Some(Ok((client, relays))) => Changing { client, _relays: Some(relays) },
            // There may be no free ports. A silent name node is then waited for until the deadline.
            _ => Changing { client: reading.clone(), _relays: None },
        }
    }

    /// The times are such that a name node is found to be silent within the patience, and that no request
    /// reaches one long after it was given up: see `Lease::MAX_PATIENCE`.
    fn connect_through_relays(&self, addresses: Vec<String>) -> io::Result<(Client, Relays)> {
        let [silence, limit] = [4, 3].map(|parts| (self.patience / parts).max(MIN_SILENCE));
        let relays = Relays::start(addresses, silence, limit.min(self.connect_timeout), &self.runtime)?;
        let order = self.order.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let client = self.client_with(order.into_iter().chain(self.name_nodes.at(relays.addresses())))?;
        Ok((client, relays))
    }

    /// Makes a client with more settings than those given.
    fn client_with(&self, more: impl IntoIterator<Item = (String, String)>) -> io::Result<Client> {
        let settings = self.settings.iter().cloned().chain(more);
        let mut builder = ClientBuilder::new().with_config(settings).with_io_runtime(self.runtime.clone());
        let url = self.name_nodes.url();
        if !url.is_empty() {
            builder = builder.with_url(url);
        }
        builder.build().map_err(io_error)
    }

    /// The time that the response of a name node may take.
    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    /// The time that a call may take.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Adds the name nodes that were asked to an error.
    pub(super) fn unanswered(&self, error: &io::Error) -> io::Error {
        io::Error::new(error.kind(), format!("{error} ({})", self.name_nodes.addresses()))
    }

    /// Returns the error that no name node has responded within a time.
    pub(super) fn late(&self, time: Duration) -> io::Error {
        let message = format!("no name node answers within {time:?}: {}", self.name_nodes.addresses());
        io::Error::new(io::ErrorKind::TimedOut, message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::Blocking;
    use std::path::Path;

    /// The client itself has no default port.
    #[test]
    fn a_host_needs_no_port() {
        let blocking = Blocking::new(Duration::from_secs(60)).unwrap();
        let location = Location::parse(Path::new("hdfs://name-node.test/a")).unwrap();
        let (options, patience) = (RemoteOptions::default(), Duration::from_secs(15));
        let connector = Connector::new(&location, &options, patience, blocking.handle()).unwrap();
        connector.client_with(Vec::new()).unwrap();
        let late = connector.late(patience).to_string();
        assert!(late.ends_with(": name-node.test:8020"), "{late}");
    }

    #[test]
    fn a_data_node_that_hangs_is_given_up_before_the_deadline() {
        let blocking = Blocking::new(Duration::from_secs(60)).unwrap();
        let location = Location::parse(Path::new("hdfs://ns/a")).unwrap();
        let timeout = |options: &RemoteOptions, patience: u64| {
            let patience = Duration::from_secs(patience);
            let connector = Connector::new(&location, options, patience, blocking.handle()).unwrap();
            let of = connector.settings.iter().filter(|(name, _)| name == SOCKET_TIMEOUT);
            of.map(|(_, value)| value.clone()).collect::<Vec<_>>()
        };
        let options = RemoteOptions::default();
        assert_eq!(timeout(&options, 15), ["15000"]);
        assert_eq!(timeout(&options, 1), ["5000"]);
        assert_eq!(timeout(&options.setting(SOCKET_TIMEOUT, "20"), 15), ["20"]);
    }
}
