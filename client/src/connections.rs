//! The open connections of a client (HBase: `AbstractRpcClient`).

use crate::connection::{Connection, ConnectionSettings};
use crate::fault::Fault;
use hregion::locator::RegionException;
use hregion::{Deadline, Error};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::watch;
use tokio::time::timeout;

/// The service of reads and writes, on region servers.
pub(crate) const CLIENT_SERVICE: &str = "ClientService";
/// The service with the location of the catalog, on all servers.
pub(crate) const META_SERVICE: &str = "ClientMetaService";

/// The service of administration, on the active master.
pub(crate) const MASTER_SERVICE: &str = "MasterService";

/// The service of administration, on region servers.
pub(crate) const ADMIN_SERVICE: &str = "AdminService";

/// One connection for each server and service, opened when first needed, and again after it failed.
#[derive(Debug)]
pub(crate) struct Connections {
    settings: Arc<ConnectionSettings>,
    slots: Mutex<HashMap<Service, Arc<Slot>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Service {
    host: String,
    port: u16,
    name: &'static str,
}

/// The connection to a service of a server.
#[derive(Debug, Default)]
struct Slot(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Closed,
    /// Callers share the attempt, and its end.
    Connecting(Attempt),
    Open(Arc<Connection>),
    /// The server could not be reached. It is not tried again for a while (HBase: `FailedServers`).
    Failed {
        fault: Fault,
        until: Instant,
    },
}

/// How an attempt to connect has ended.
type Attempt = watch::Receiver<Option<Result<Arc<Connection>, Fault>>>;

impl Connections {
    pub(crate) fn new(settings: ConnectionSettings) -> Self {
        Self { settings: Arc::new(settings), slots: Mutex::default() }
    }

    /// Returns an open connection.
    pub(crate) async fn get(
        &self,
        host: &str,
        port: u16,
        service: &'static str,
        deadline: Deadline,
    ) -> Result<Arc<Connection>, Fault> {
        let key = Service { host: host.to_owned(), port, name: service };
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            if !slots.contains_key(&key) {
                slots.retain(|_, slot| slot.is_used());
            }
            Arc::clone(slots.entry(key.clone()).or_default())
        };
        match timeout(deadline.left(), self.connect(&slot, &key)).await {
            Ok(connected) => connected,
            Err(_) => Err(Fault::no_answer(&format!("{host}:{port}"), "a connection")),
        }
    }

    /// Returns the connection of a slot, or makes one.
    async fn connect(&self, slot: &Arc<Slot>, service: &Service) -> Result<Arc<Connection>, Fault> {
        loop {
            let (mut attempt, is_new) = {
                let mut state = slot.state();
                match &*state {
                    State::Open(connection) if connection.is_open() => return Ok(Arc::clone(connection)),
                    State::Failed { fault, until } if Instant::now() < *until => return Err(fault.clone()),
                    // its task may have ended with another runtime
                    State::Connecting(attempt) if attempt.has_changed().is_ok() => (attempt.clone(), false),
                    _ => {
                        let (sender, attempt) = watch::channel(None);
                        *state = State::Connecting(attempt.clone());
                        let (slot, settings) = (Arc::clone(slot), Arc::clone(&self.settings));
                        // no caller's deadline ends it, as others may have more time
                        tokio::spawn(slot.open(service.clone(), settings, sender));
                        (attempt, true)
                    }
                }
            };
            if let Ok(ended) = attempt.wait_for(Option::is_some).await
                && let Some(ended) = &*ended
            {
                return ended.clone();
            }
            if is_new {
                let server = format!("{}:{}", service.host, service.port);
                return Err(Fault::gone(&server, &io::ErrorKind::ConnectionAborted.into()));
            }
        }
    }
}

impl Slot {
    fn state(&self) -> MutexGuard<'_, State> {
        // no code that panics runs with the lock
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a connection, for all callers that wait for it.
    async fn open(
        self: Arc<Self>,
        service: Service,
        settings: Arc<ConnectionSettings>,
        ended: watch::Sender<Option<Result<Arc<Connection>, Fault>>>,
    ) {
        let Service { host, port, name } = service;
        let opened = Connection::open(&host, port, name, &settings).await.map(Arc::new);
        *self.state() = match &opened {
            Ok(connection) => State::Open(Arc::clone(connection)),
            // what was wrong may be changed at once, such as tickets that are not there
            Err(fault) if fault.kind == RegionException::Fatal => State::Closed,
            Err(fault) => {
                let message = format!("{}, a moment ago", fault.error.message());
                let error = Error::locating(fault.error.kind(), message);
                let fault = Fault { error, ..fault.clone() };
                State::Failed { fault, until: Instant::now() + settings.failed_expiry }
            }
        };
        // an error means that no caller waits
        drop(ended.send(Some(opened)));
    }

    /// Whether a connection is open or being made, or could not be made a moment ago. Others are of servers
    /// that may never come back.
    fn is_used(self: &Arc<Self>) -> bool {
        Arc::strong_count(self) > 1
            || match &*self.state() {
                State::Closed => false,
                State::Connecting(attempt) => attempt.has_changed().is_ok(),
                State::Open(connection) => connection.is_open(),
                State::Failed { until, .. } => Instant::now() < *until,
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::tests::settings;
    use std::net::SocketAddr;
    use std::time::Duration;
    use tokio::net::{TcpListener, TcpSocket, TcpStream};
    use tokio::task::JoinSet;
    use tokio::time::sleep;

    /// A listener whose queue is full: connecting to it takes for ever, as to a host that is gone.
    async fn unreachable() -> (TcpListener, Vec<TcpStream>, SocketAddr) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut queued = Vec::new();
        while let Ok(connected) = timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
            queued.push(connected.unwrap());
        }
        (listener, queued, address)
    }

    /// Callers share an attempt to connect, and its end; the next ones fail at once for a while.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn callers_of_a_server_that_is_gone_wait_once() {
        let (listener, queued, address) = unreachable().await;
        let settings = ConnectionSettings {
            connect_timeout: Duration::from_millis(500),
            failed_expiry: Duration::from_secs(1),
            ..settings(Duration::from_secs(60))
        };
        let connections = Arc::new(Connections::new(settings));
        let get = |time| {
            let connections = Arc::clone(&connections);
            async move {
                let deadline = Deadline::after(time);
                connections.get("127.0.0.1", address.port(), CLIENT_SERVICE, deadline).await
            }
        };
        let patience = Duration::from_secs(20);
        let begin = Instant::now();
        let mut callers = JoinSet::new();
        // the first one has not enough time, and does not end the attempt of the others
        callers.spawn(get(Duration::from_millis(50)));
        for _ in 0..20 {
            callers.spawn(get(patience));
        }
        while let Some(ended) = callers.join_next().await {
            let fault = ended.unwrap().unwrap_err();
            assert!(matches!(fault.kind, RegionException::ServerGone | RegionException::NoAnswer));
        }
        assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
        let fault = get(patience).await.unwrap_err();
        assert_eq!(fault.kind, RegionException::ServerGone);
        assert!(fault.error.message().ends_with(", a moment ago"), "{}", fault.error);
        // the server is there again
        drop(queued);
        tokio::spawn(async move {
            let mut accepted = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                accepted.push(stream);
            }
        });
        sleep(Duration::from_secs(1)).await;
        assert!(get(patience).await.unwrap().is_open());
    }
}
