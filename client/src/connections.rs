//! The open connections of a client (HBase: `AbstractRpcClient`).

use crate::bounded::{Answered, LISTED, Undecoded};
use crate::connection::{Answer, Connection, ConnectionSettings};
use crate::fault::Fault;
use hregion::locator::RegionException;
use hregion::{Deadline, Error};
use prost::Message;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
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

/// One connection for each server and service, or several, opened when first needed, and again after they
/// failed.
#[derive(Debug)]
pub(crate) struct Connections {
    settings: Arc<ConnectionSettings>,
    pools: Mutex<HashMap<Service, Arc<Pool>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Service {
    host: String,
    port: u16,
    name: &'static str,
}

/// The connections to a service of a server, which calls use in turn.
#[derive(Debug)]
struct Pool {
    slots: Vec<Mutex<Slot>>,
    next: AtomicUsize,
    /// The server could not be reached. It is not tried again for a while (HBase: `FailedServers`).
    failed: Mutex<Option<Failed>>,
}

#[derive(Debug, Default)]
enum Slot {
    #[default]
    Closed,
    /// Callers share the attempt, and its outcome.
    Connecting(Attempt),
    Open(Arc<Connection>),
}

#[derive(Debug)]
struct Failed {
    fault: Fault,
    until: Deadline,
}

/// The outcome of an attempt to connect.
type Attempt = watch::Receiver<Option<Result<Arc<Connection>, Fault>>>;

/// A call of a method of a server.
pub(crate) struct Call<'c, P> {
    pub(crate) host: &'c str,
    pub(crate) port: u16,
    pub(crate) service: &'static str,
    pub(crate) method: &'static str,
    pub(crate) param: &'c P,
    pub(crate) priority: Option<u32>,
    /// The time from the request to its answer.
    pub(crate) time: Duration,
    /// The time at which the caller stops waiting for a connection or the response.
    pub(crate) deadline: Deadline,
}

impl<P> Call<'_, P> {
    fn time_left(&self) -> Duration {
        self.time.min(self.deadline.remaining())
    }
}

impl Connections {
    pub(crate) fn new(settings: ConnectionSettings) -> Self {
        Self { settings: Arc::new(settings), pools: Mutex::default() }
    }

    #[cfg(test)]
    pub(crate) fn settings(&self) -> &ConnectionSettings {
        &self.settings
    }

    /// Returns the number of open connections.
    #[cfg(test)]
    pub(crate) fn open(&self) -> usize {
        let pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = pools.values().flat_map(|pool| (0..pool.slots.len()).map(|at| pool.slot(at)));
        slots.filter(|slot| matches!(&**slot, Slot::Open(connection) if connection.is_open())).count()
    }

    /// The maximum length of a response in bytes.
    pub(crate) fn max_response(&self) -> usize {
        self.settings.max_response
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
        let pool = {
            let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
            if !pools.contains_key(&key) {
                pools.retain(|_, pool| pool.is_used());
            }
            let new = || Arc::new(Pool::new(self.settings.per_server));
            Arc::clone(pools.entry(key.clone()).or_insert_with(new))
        };
        match timeout(deadline.remaining(), self.connect(&pool, &key)).await {
            Ok(connected) => connected,
            Err(_) => Err(Fault::no_answer(&format!("{host}:{port}"), "a connection")),
        }
    }

    /// Returns an open connection for a call, which was not sent if there is none.
    async fn get_for(&self, call: &Call<'_, impl Message>) -> Result<Arc<Connection>, Fault> {
        let connected = self.get(call.host, call.port, call.service, call.deadline).await;
        connected.map_err(Fault::of_unsent)
    }

    /// Calls a server. Returns the answer, and the connection it came from.
    pub(crate) async fn call<M: Message + Default>(
        &self,
        call: &Call<'_, impl Message>,
    ) -> Result<(Arc<Connection>, Answer<M>), Fault> {
        let mut connection = self.get_for(call).await?;
        let answer = self.call_over(&mut connection, call).await?;
        Ok((connection, answer))
    }

    /// Calls a server, for an answer whose lists are counted before it is decoded.
    pub(crate) async fn ask<M: Answered>(&self, call: &Call<'_, impl Message>) -> Result<M, Fault> {
        let (connection, answer) = self.call::<Undecoded>(call).await?;
        answer.message.read(LISTED).map_err(|corruption| connection.give_up(&corruption))
    }

    /// Calls a server over a connection to it. If it has ended before the request was sent, which does not
    /// mean that the server is down, or nothing more arrives on it, another one replaces it.
    pub(crate) async fn call_over<M: Message + Default>(
        &self,
        connection: &mut Arc<Connection>,
        call: &Call<'_, impl Message>,
    ) -> Result<Answer<M>, Fault> {
        let Call { method, param, priority, .. } = *call;
        let is_another = !connection.is_open();
        if is_another {
            *connection = self.get_for(call).await?;
        }
        match connection.call(method, param, priority, call.time_left()).await {
            // only once: a server that closes each connection does not respond
            Err(fault) if fault.can_be_sent() && !is_another => {
                *connection = self.get_for(call).await?;
                connection.call(method, param, priority, call.time_left()).await
            }
            answered => answered,
        }
    }

    /// Returns the connection whose turn it is, or makes it.
    async fn connect(&self, pool: &Arc<Pool>, service: &Service) -> Result<Arc<Connection>, Fault> {
        let at = pool.next.fetch_add(1, Ordering::Relaxed) % pool.slots.len();
        loop {
            let (mut attempt, is_new) = {
                let mut slot = pool.slot(at);
                match &*slot {
                    Slot::Open(connection) if connection.is_open() => return Ok(Arc::clone(connection)),
                    // its task may have ended with another runtime
                    Slot::Connecting(attempt) if attempt.has_changed().is_ok() => (attempt.clone(), false),
                    _ => {
                        if let Some(fault) = pool.failed_before() {
                            return Err(fault);
                        }
                        let (sender, attempt) = watch::channel(None);
                        *slot = Slot::Connecting(attempt.clone());
                        let (pool, settings) = (Arc::clone(pool), Arc::clone(&self.settings));
                        // no caller's deadline ends it, because others may have more time
                        tokio::spawn(pool.open(at, service.clone(), settings, sender));
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

impl Pool {
    fn new(connections: usize) -> Self {
        let slots = (0..connections.max(1)).map(|_| Mutex::default()).collect();
        Self { slots, next: AtomicUsize::new(0), failed: Mutex::default() }
    }

    fn slot(&self, at: usize) -> MutexGuard<'_, Slot> {
        // no code that panics runs with the lock
        self.slots[at].lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self) -> MutexGuard<'_, Option<Failed>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the reason that the last attempt failed, if that was recent.
    fn failed_before(&self) -> Option<Fault> {
        let failed = self.failed();
        failed
            .as_ref()
            .filter(|failed| !failed.until.remaining().is_zero())
            .map(|failed| failed.fault.clone())
    }

    /// Makes a connection, for all callers that wait for it.
    async fn open(
        self: Arc<Self>,
        at: usize,
        service: Service,
        settings: Arc<ConnectionSettings>,
        ended: watch::Sender<Option<Result<Arc<Connection>, Fault>>>,
    ) {
        let Service { host, port, name } = service;
        let opened = Connection::open(&host, port, name, &settings).await.map(Arc::new);
        *self.failed() = match &opened {
            // the cause may be corrected immediately, such as missing tickets
            Err(fault) if fault.kind != RegionException::Fatal => {
                let message = format!("{}, a moment ago", fault.error.message());
                let error = Error::new(fault.error.kind(), message);
                let fault = Fault { error, ..fault.clone() };
                Some(Failed { fault, until: Deadline::after(settings.failed_expiry) })
            }
            Ok(_) | Err(_) => None,
        };
        *self.slot(at) = opened.as_ref().map_or(Slot::Closed, |opened| Slot::Open(Arc::clone(opened)));
        // an error means that no caller waits
        drop(ended.send(Some(opened)));
    }

    /// Whether a connection is open or being made, or could not be made a moment ago. Other entries may be of
    /// servers that never return.
    fn is_used(self: &Arc<Self>) -> bool {
        let is_used = |at| match &*self.slot(at) {
            Slot::Closed => false,
            Slot::Connecting(attempt) => attempt.has_changed().is_ok(),
            Slot::Open(connection) => connection.is_open(),
        };
        Arc::strong_count(self) > 1 || self.failed_before().is_some() || (0..self.slots.len()).any(is_used)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::peer::dial_any;
    use crate::connection::tests::settings;
    use std::net::SocketAddr;
    use std::time::Instant;
    use tokio::net::{TcpListener, TcpSocket, TcpStream};
    use tokio::task::JoinSet;
    use tokio::time::sleep;

    /// A listener whose queue is full: connecting to it takes forever, as to an unreachable host.
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

    /// A silent address does not use up the time of the others.
    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn each_address_of_a_host_has_a_share_of_the_time() {
        let (_listener, _queued, silent) = unreachable().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let time = Duration::from_secs(1);
        let stream = dial_any(&[silent, address], time).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), address);
        assert_eq!(dial_any(&[silent], time / 4).await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(dial_any(&[], time).await.unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    /// Callers share an attempt to connect, and its outcome; the next ones fail immediately for some time.
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
        // the first one does not have enough time, and does not end the attempt of the others
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
        // the server is available again
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

    /// Calls use the connections of a server in turn, and make those that do not exist yet.
    #[tokio::test]
    async fn several_connections_to_a_server_are_used_in_turn() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let settings = ConnectionSettings { per_server: 3, ..settings(Duration::from_secs(60)) };
        let connections = Connections::new(settings);
        let mut opened = Vec::new();
        for _ in 0..7 {
            let deadline = Deadline::after(Duration::from_secs(20));
            opened.push(connections.get("127.0.0.1", port, CLIENT_SERVICE, deadline).await.unwrap());
        }
        let is_same = |a: usize, b: usize| Arc::ptr_eq(&opened[a], &opened[b]);
        for at in 0..3 {
            assert!(!is_same(at, (at + 1) % 3) && is_same(at, at + 3), "{at}");
        }
        assert!(is_same(0, 6));
        let mut accepted = 0;
        while let Ok(Ok(_)) = timeout(Duration::from_millis(100), listener.accept()).await {
            accepted += 1;
        }
        assert_eq!(accepted, 3);
    }
}
