//! The registry provided by HBase's servers (locator.md §7.5; HBase: `RpcConnectionRegistry`).

use crate::bounded::Answered;
use crate::connections::{Call, Connections, META_SERVICE};
use crate::fault::Fault;
use crate::proto;
use hregion::locator::{NO_SEQ_NUM, RegionException, Replica, max_replica_id};
use hregion::{
    ConnectionRegistry, Deadline, Error, ErrorKind, RegionInfo, RegionLocations, Result, ServerName,
};
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Asks masters and region servers for the location of the catalog. Used on threads that may wait.
pub(crate) struct RpcRegistry {
    servers: Arc<Servers>,
    runtime: Handle,
}

struct Servers {
    connections: Arc<Connections>,
    rpc_timeout: Duration,
    /// The servers given, which are called if no other answers.
    bootstrap: Vec<Address>,
    nodes: Mutex<Nodes>,
}

type Address = (String, u16);

/// The servers to ask, as reported by the servers.
struct Nodes {
    servers: Vec<Address>,
    /// The time at which to request them again.
    refresh_at: Instant,
}

const DEFAULT_PORT: u16 = 16000;
/// `hbase.client.bootstrap.initial_refresh_delay_secs`, and `refresh_interval_secs`.
const FIRST_REFRESH: Duration = Duration::from_secs(30);
const REFRESH: Duration = Duration::from_secs(300);
/// After a refresh that failed (HBase: `min_secs_between_refreshes`).
const REFRESH_AGAIN: Duration = Duration::from_secs(60);

impl RpcRegistry {
    pub(crate) fn new(
        servers: &str,
        connections: Arc<Connections>,
        runtime: Handle,
        rpc_timeout: Duration,
    ) -> Result<Self> {
        let bootstrap: Result<Vec<_>> =
            servers.split(',').map(|server| parse_address(server.trim())).collect();
        let bootstrap = bootstrap?;
        let nodes = Nodes { servers: bootstrap.clone(), refresh_at: Instant::now() + FIRST_REFRESH };
        let servers = Servers { connections, rpc_timeout, bootstrap, nodes: Mutex::new(nodes) };
        Ok(Self { servers: Arc::new(servers), runtime })
    }

    fn ask<M: Answered>(&self, method: &'static str, deadline: Deadline) -> Result<M> {
        self.runtime.block_on(self.servers.ask(method, deadline))
    }
}

impl Servers {
    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        // no code that panics runs with the lock
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the servers in turn, beginning at any of them, until one answers. Each has its part of the time.
    /// Those known are forgotten if none of them answers.
    async fn ask<M: Answered>(self: &Arc<Self>, method: &'static str, deadline: Deadline) -> Result<M> {
        let known = self.nodes().servers.clone();
        let first = usize::try_from(RandomState::new().hash_one(method)).unwrap_or_default();
        let turned = (0..known.len()).map(|at| &known[(first.wrapping_add(at)) % known.len()]);
        let given = self.bootstrap.iter().filter(|server| !known.contains(server));
        let mut last = Error::new(ErrorKind::NoServerForRegion, "there is no server to ask");
        let mut all_refuse = true;
        let all: Vec<&Address> = turned.chain(given).collect();
        for (at, server) in all.iter().copied().enumerate() {
            if at == known.len() {
                self.forget(&known);
            }
            match self.call(server, method, share(deadline, all.len() - at)).await {
                Ok(message) => {
                    if self.begins_refresh() {
                        // no caller waits for it
                        tokio::spawn(Arc::clone(self).refresh(server.clone()));
                    }
                    return Ok(message);
                }
                Err(fault) if deadline.remaining().is_zero() => {
                    if at + 1 == all.len() {
                        self.forget(&known);
                    }
                    return Err(fault.error);
                }
                Err(fault) => {
                    all_refuse &=
                        fault.kind == RegionException::Fatal && fault.error.kind() == ErrorKind::Remote;
                    last = fault.error;
                }
            }
        }
        self.forget(&known);
        if all_refuse {
            return Err(last);
        }
        // another server may answer later
        Err(Error::new(ErrorKind::Io, last.message()))
    }

    /// Makes the next call begin with the given servers, unless servers were named other than those that have
    /// failed.
    fn forget(&self, failed: &[Address]) {
        let mut nodes = self.nodes();
        if nodes.servers == failed {
            nodes.servers.clone_from(&self.bootstrap);
        }
    }

    async fn call<M: Answered>(
        &self,
        (host, port): &Address,
        method: &'static str,
        deadline: Deadline,
    ) -> Result<M, Fault> {
        let (port, service, param) = (*port, META_SERVICE, &proto::Empty {});
        let call =
            Call { host, port, service, method, param, priority: None, time: self.rpc_timeout, deadline };
        self.connections.ask(&call).await
    }

    /// Whether it is time to ask for servers again. If so, the caller does.
    fn begins_refresh(&self) -> bool {
        let (mut nodes, now) = (self.nodes(), Instant::now());
        let is_time = now >= nodes.refresh_at;
        if is_time {
            nodes.refresh_at = now + REFRESH;
        }
        is_time
    }

    /// Asks a server that responds for other servers to ask later. The known ones stay if it names none.
    async fn refresh(self: Arc<Self>, server: Address) {
        let deadline = Deadline::after(self.rpc_timeout);
        let answer: Result<proto::GetBootstrapNodesResponse, Fault> =
            self.call(&server, "GetBootstrapNodes", deadline).await;
        let mut nodes = self.nodes();
        let Ok(answer) = answer else {
            nodes.refresh_at = Instant::now() + REFRESH_AGAIN;
            return;
        };
        // names that cannot be read are left out
        let servers = answer.server_name.iter().filter_map(|server| server_of(server).ok());
        let servers: Vec<Address> = servers.map(|server| (server.host().to_owned(), server.port())).collect();
        if !servers.is_empty() {
            nodes.servers = servers;
        }
    }
}

/// Returns the part of the time that is for the first of the servers left.
fn share(deadline: Deadline, left: usize) -> Deadline {
    let left = u32::try_from(left.max(1)).unwrap_or(u32::MAX);
    Deadline::after(deadline.remaining() / left).min(deadline)
}

/// Parses `host`, `host:port`, `[address]` or `[address]:port`.
fn parse_address(text: &str) -> Result<Address> {
    let wrong = || Error::invalid_argument(format!("{text:?} is not host:port"));
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']').ok_or_else(wrong)? {
            (address, "") => (address, None),
            (address, rest) => (address, Some(rest.strip_prefix(':').ok_or_else(wrong)?)),
        },
        None => text.rsplit_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    };
    let port = match port {
        Some(port) => port.parse().map_err(|_| wrong())?,
        None => DEFAULT_PORT,
    };
    if host.is_empty() || port == 0 {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

/// Decodes the name of a server.
fn server_of(message: &[u8]) -> Result<ServerName> {
    ServerName::from_proto_bytes(message)
        .map_err(|corruption| Error::new(corruption.kind(), corruption.to_string()))
}

/// Returns the catalog's region with the servers of its replicas, by their ids.
fn meta_locations(answer: &proto::GetMetaRegionLocationsResponse) -> Result<RegionLocations> {
    let mut replicas: Vec<Replica> = Vec::new();
    let max = max_replica_id(answer.meta_locations.len());
    for location in &answer.meta_locations {
        let id = location.region_info.and_then(|region| region.replica_id).unwrap_or_default();
        let id = usize::try_from(id)
            .ok()
            .filter(|&id| id <= max)
            .ok_or_else(|| Error::new(ErrorKind::Corrupt, format!("hbase:meta with the replica id {id}")))?;
        if replicas.len() <= id {
            replicas.resize_with(id + 1, || Replica { server: None, seq_num: NO_SEQ_NUM });
        }
        if let Some(server) = &location.server_name {
            let server = match server_of(server) {
                // only the primary replica is needed
                Err(_) if id > 0 => continue,
                server => server?,
            };
            let seq_num = location.seq_num.unwrap_or(NO_SEQ_NUM);
            replicas[id] = Replica { server: Some(server), seq_num };
        }
    }
    if replicas.first().is_none_or(|primary| primary.server.is_none()) {
        return Err(Error::new(ErrorKind::NoServerForRegion, "no server has hbase:meta at present"));
    }
    Ok(RegionLocations::new(RegionInfo::meta(), replicas))
}

impl ConnectionRegistry for RpcRegistry {
    fn meta_region_locations(&self, deadline: Deadline) -> Result<RegionLocations> {
        meta_locations(&self.ask("GetMetaRegionLocations", deadline)?)
    }

    fn cluster_id(&self, deadline: Deadline) -> Result<Option<String>> {
        let answer: proto::GetClusterIdResponse = self.ask("GetClusterId", deadline)?;
        Ok(answer.cluster_id)
    }

    fn active_master(&self, deadline: Deadline) -> Result<Option<ServerName>> {
        let answer: proto::GetActiveMasterResponse = self.ask("GetActiveMaster", deadline)?;
        answer.server_name.as_deref().map(server_of).transpose()
    }
}

impl fmt::Debug for RpcRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RpcRegistry").field("bootstrap", &self.servers.bootstrap).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::connection::tests::{Served, listener, settings};
    use crate::hostile_tests::fake;
    use tokio::time::{sleep, timeout};

    #[test]
    fn addresses_have_a_default_port() {
        assert_eq!(parse_address("h").unwrap(), ("h".into(), 16000));
        assert_eq!(parse_address("h:1").unwrap(), ("h".into(), 1));
        assert_eq!(parse_address("[::1]").unwrap(), ("::1".into(), 16000));
        assert_eq!(parse_address("[::1]:7").unwrap(), ("::1".into(), 7));
        for wrong in ["", ":1", "h:", "h:x", "h:0", "h:70000", "[::1", "[]:1", "[::1]7", "[::1]:"] {
            assert!(parse_address(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn copies_of_the_catalog_are_found_by_their_ids() {
        let location = |id, port: u32| proto::RegionLocationMessage {
            region_info: Some(proto::ReplicaOfRegion { replica_id: Some(id) }),
            server_name: Some(fake::server_name("h", port, 5)),
            seq_num: Some(-1),
        };
        let answer = |locations: &[_]| {
            meta_locations(&proto::GetMetaRegionLocationsResponse { meta_locations: locations.to_vec() })
        };
        let found = answer(&[location(2, 3), location(0, 1)]).unwrap();
        assert_eq!(found.server().unwrap().to_string(), "h,1,5");
        assert_eq!(found.replicas().len(), 3);
        assert_eq!(found.replicas()[1].server, None);
        assert_eq!(answer(&[]).unwrap_err().kind(), ErrorKind::NoServerForRegion);
        assert_eq!(answer(&[location(1, 1)]).unwrap_err().kind(), ErrorKind::NoServerForRegion);
        assert!(answer(&[location(-1, 1)]).is_err() && answer(&[location(0, 1 << 16)]).is_err());
        let found = answer(&[location(0, 1), location(1, 1 << 16), location(2, 3)]).unwrap();
        let known: Vec<bool> = found.replicas().iter().map(|replica| replica.server.is_some()).collect();
        assert_eq!(known, [true, false, true]);
    }

    /// Each server has a part of the time only.
    #[tokio::test]
    async fn the_next_server_answers_for_one_that_is_silent() {
        let listeners = [listener().await, listener().await];
        let addresses = listeners.iter().map(|one| format!("localhost:{}", one.local_addr().unwrap().port()));
        let addresses: Vec<String> = addresses.collect();
        let connections = Arc::new(Connections::new(settings(Duration::from_secs(60))));
        let patience = Duration::from_secs(20);
        let registry =
            RpcRegistry::new(&addresses.join(","), connections, Handle::current(), patience).unwrap();
        let answered = async {
            let [one, other] = &listeners;
            let (mut silent, next) = tokio::select! {
                silent = Served::accept(one) => (silent, other),
                silent = Served::accept(other) => (silent, one),
            };
            silent.request().await.unwrap();
            let mut served = Served::accept(next).await;
            let (call_id, _) = served.request().await.unwrap();
            served.answer(call_id, &proto::GetClusterIdResponse { cluster_id: Some("c".into()) }).await;
            (silent, served)
        };
        let deadline = Deadline::after(Duration::from_secs(1));
        let ask = registry.servers.ask::<proto::GetClusterIdResponse>("GetClusterId", deadline);
        let both = async { tokio::join!(ask, answered) };
        let (id, _) = timeout(patience, both).await.expect("a second server that is asked");
        assert_eq!(id.unwrap().cluster_id.as_deref(), Some("c"));
    }

    /// The servers given are called first again.
    #[tokio::test]
    async fn servers_that_all_fail_are_forgotten() {
        let listener = listener().await;
        let given = ("localhost".to_owned(), listener.local_addr().unwrap().port());
        let connections = Arc::new(Connections::new(settings(Duration::from_secs(60))));
        let patience = Duration::from_secs(20);
        let address = format!("localhost:{}", given.1);
        let registry = RpcRegistry::new(&address, connections, Handle::current(), patience).unwrap();
        let servers = registry.servers;
        servers.nodes().servers = vec![("127.0.0.1".to_owned(), 1), ("localhost".to_owned(), 1)];
        let answered = async {
            let mut served = Served::accept(&listener).await;
            let (call_id, _) = served.request().await.unwrap();
            served.answer(call_id, &proto::GetClusterIdResponse::default()).await;
            served
        };
        let ask = servers.ask::<proto::GetClusterIdResponse>("GetClusterId", Deadline::after(patience));
        let (id, _) = tokio::join!(ask, answered);
        assert!(id.is_ok());
        assert_eq!(servers.nodes().servers, [given]);
    }

    /// Servers name those to ask later. No caller waits for that, and it is done again soon if it fails.
    #[tokio::test]
    async fn servers_name_those_that_are_asked_later() {
        let listener = listener().await;
        let port = listener.local_addr().unwrap().port();
        let patience = Duration::from_secs(20);
        let connections = Arc::new(Connections::new(settings(Duration::from_secs(60))));
        let address = format!("localhost:{port}");
        let registry = RpcRegistry::new(&address, connections, Handle::current(), patience).unwrap();
        let servers = registry.servers;
        let ask = || {
            let deadline = Deadline::after(patience);
            servers.ask::<proto::GetClusterIdResponse>("GetClusterId", deadline)
        };
        let answer = async |served: &mut Served| {
            let (call_id, method) = served.request().await.unwrap();
            assert_eq!(method, "GetClusterId");
            served.answer(call_id, &proto::GetClusterIdResponse { cluster_id: Some("c".into()) }).await;
        };
        let until = async |is_so: &dyn Fn(&Nodes) -> bool| {
            let wait = async {
                while !is_so(&servers.nodes()) {
                    sleep(Duration::from_millis(5)).await;
                }
            };
            timeout(patience, wait).await.unwrap();
        };

        servers.nodes().refresh_at = Instant::now();
        let first = async {
            let mut served = Served::accept(&listener).await;
            answer(&mut served).await;
            served
        };
        let (id, mut served) = tokio::join!(ask(), first);
        assert_eq!(id.unwrap().cluster_id.as_deref(), Some("c"));
        assert!(servers.nodes().refresh_at > Instant::now() + REFRESH_AGAIN);
        // the answer was there before this one
        let (call_id, method) = served.request().await.unwrap();
        assert_eq!(method, "GetBootstrapNodes");
        let names = [fake::server_name("127.0.0.1", port.into(), 5), vec![255].into()];
        served.answer(call_id, &proto::GetBootstrapNodesResponse { server_name: names.to_vec() }).await;
        let named = ("127.0.0.1".to_owned(), port);
        until(&|nodes| nodes.servers == [named.clone()]).await;
        assert!(servers.nodes().refresh_at > Instant::now() + REFRESH_AGAIN);

        servers.nodes().refresh_at = Instant::now();
        let second = async {
            let mut served = Served::accept(&listener).await;
            answer(&mut served).await;
            assert_eq!(served.request().await.unwrap().1, "GetBootstrapNodes");
        };
        let (id, ()) = tokio::join!(ask(), second);
        assert!(id.is_ok());
        until(&|nodes| nodes.refresh_at <= Instant::now() + REFRESH_AGAIN).await;
        assert_eq!(servers.nodes().servers, [named]);
    }
}
