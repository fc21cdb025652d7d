//! Runs lookups of the locator on threads that may wait.

use crate::client::runtime_ended;
use hregion::locator::LocateType;
use hregion::{Deadline, Error, ErrorKind, Locator, RegionLocations, Result, TableName};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot, watch};
use tokio::time::timeout;

/// Makes a few lookups of the locator at a time; further ones wait without a thread.
///
/// They have threads of their own: those of the runtime's pool resolve host names, also for lookups, and
/// read files of the caller.
pub(crate) struct LookUps {
    turns: Arc<Semaphore>,
    under_way: Arc<UnderWay>,
    runtime: Handle,
    /// The time of one lookup. One whose caller no longer waits ends by it.
    time: Duration,
}

/// The right to make a lookup.
pub(crate) struct Turn(OwnedSemaphorePermit);

/// The maximum number of lookups at a time; the locator runs eight of a table.
const MAX_LOOK_UPS: usize = 16;
/// A lookup that fails with so little time left is considered to have failed by its deadline.
const LEAST: Duration = Duration::from_millis(1);

impl LookUps {
    pub(crate) fn new(runtime: Handle, time: Duration) -> Self {
        Self { turns: Arc::new(Semaphore::new(MAX_LOOK_UPS)), under_way: Arc::default(), runtime, time }
    }

    /// Begins a lookup of a region, or joins an equal one.
    pub(crate) fn join(&self, sought: &Sought) -> Joined {
        let mut look_ups = self.under_way.look_ups();
        if let Some(answer) = look_ups.get(sought) {
            return Joined::Follows(Following(answer.clone()));
        }
        let (answer, following) = watch::channel(None);
        look_ups.insert(sought.clone(), following);
        Joined::Leads(Leading { under_way: Arc::clone(&self.under_way), sought: sought.clone(), answer })
    }

    /// Waits for a turn.
    ///
    /// # Errors
    ///
    /// If the deadline passes before.
    pub(crate) async fn turn(&self, deadline: Deadline) -> Result<Turn> {
        match timeout(deadline.remaining(), Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn(permit)),
            // the semaphore is never closed
            Ok(Err(_)) | Err(_) => Err(Error::timed_out("locate a region")),
        }
    }

    /// Returns the deadline of a lookup that begins now.
    pub(crate) fn deadline(&self, deadline: Deadline) -> Deadline {
        deadline.min(Deadline::after(self.time))
    }

    /// Makes a lookup. It keeps the turn until it ends, even if the caller no longer waits.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        turn: Turn,
        question: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        if self.has_ended().await {
            return Err(runtime_ended());
        }
        let (sender, answer) = oneshot::channel();
        let ask = move || {
            let answer = question();
            drop(turn.0);
            // an error means that the caller no longer waits
            drop(sender.send(answer));
        };
        let started = thread::Builder::new().name("lookup".to_owned()).spawn(ask);
        started.map_err(|error| Error::new(ErrorKind::Io, format!("a thread: {error}")))?;
        answer.await.unwrap_or_else(|_| Err(runtime_ended()))
    }

    /// Whether the runtime, on which the locator calls servers, has ended.
    async fn has_ended(&self) -> bool {
        let task = self.runtime.spawn(std::future::ready(()));
        task.is_finished() && task.await.is_err()
    }
}

/// The region that a lookup is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sought {
    table: TableName,
    row: Vec<u8>,
    position: LocateType,
    /// The replica that must have a server.
    replica_id: u16,
}

impl Sought {
    pub(crate) fn new(table: &TableName, row: &[u8], position: LocateType, replica_id: u16) -> Self {
        // the region after a row is that of the next possible row, also for the locator
        let (row, position) = match position {
            LocateType::After => ([row, &[0]].concat(), LocateType::At),
            LocateType::At | LocateType::Before => (row.to_vec(), position),
        };
        Self { table: table.clone(), row, position, replica_id }
    }
}

/// The result of a lookup, when it has ended.
type Found = Option<Result<RegionLocations>>;

/// The lookups that others can wait for.
#[derive(Debug, Default)]
struct UnderWay(Mutex<HashMap<Sought, watch::Receiver<Found>>>);

impl UnderWay {
    fn look_ups(&self) -> MutexGuard<'_, HashMap<Sought, watch::Receiver<Found>>> {
        // no code that panics runs with the lock
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The role of a caller in a lookup.
pub(crate) enum Joined {
    Leads(Leading),
    Follows(Following),
}

/// A lookup that others can wait for. If it ends without an answer for them, one of them looks again.
pub(crate) struct Leading {
    under_way: Arc<UnderWay>,
    sought: Sought,
    answer: watch::Sender<Found>,
}

impl Leading {
    /// Asks the locator.
    pub(crate) fn look_up(self, locator: &Locator, deadline: Deadline) -> Result<RegionLocations> {
        let Sought { table, row, position, replica_id } = &self.sought;
        let found = locator.locate_replica(table, row, *position, *replica_id, false, deadline);
        // others may have more time: this failure is not theirs
        if found.is_ok() || deadline.remaining() > LEAST {
            self.answer.send_replace(Some(found.clone()));
        }
        found
    }
}

impl Drop for Leading {
    fn drop(&mut self) {
        // before those that follow are told
        self.under_way.look_ups().remove(&self.sought);
    }
}

/// A lookup of another caller.
pub(crate) struct Following(watch::Receiver<Found>);

impl Following {
    /// Waits for the result; `None` if there is none, because its caller did not have enough time.
    pub(crate) async fn wait(mut self, deadline: Deadline) -> Option<Result<RegionLocations>> {
        match timeout(deadline.remaining(), self.0.wait_for(Option::is_some)).await {
            Ok(Ok(found)) => found.clone(),
            Ok(Err(_)) => None,
            Err(_) => Some(Err(Error::timed_out("locate a region"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::connections::Connections;
    use crate::hostile_tests::fake::{Cluster, row_key};
    use crate::registry::RpcRegistry;
    use crate::{Client, Table};
    use hregion::locator::{LocateType, RetryPolicy};
    use hregion::{
        ConnectionRegistry, Deadline, Error, ErrorKind, Get, RegionLocations, Result, ServerName, TableName,
    };
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    use std::thread;
    use std::time::Duration;
    use tokio::runtime::{Builder, Handle, Runtime};
    use tokio::task::{JoinSet, spawn_blocking};
    use tokio::time::{sleep, timeout};

    const PATIENCE: Duration = Duration::from_secs(20);

    /// A runtime with a small pool of threads.
    fn runtime() -> Runtime {
        Builder::new_current_thread().enable_all().max_blocking_threads(2).build().unwrap()
    }

    fn builder() -> crate::ClientBuilder {
        Client::builder().retries(RetryPolicy::no_retries().operation_timeout(PATIENCE))
    }

    fn table(client: &Client) -> Arc<Table> {
        Arc::new(client.table(&TableName::parse("t").unwrap()))
    }

    /// Lookups that wait leave the threads of the pool to those that resolve the names of hosts.
    #[test]
    fn many_gets_with_nothing_known_find_the_names_of_hosts() {
        runtime().block_on(async {
            let cluster = Cluster::start().await;
            let named = cluster.addresses().replace("127.0.0.1", "localhost");
            let builder = builder().connect_timeout(Duration::from_secs(3));
            let table = table(&builder.bootstrap(&named).unwrap());
            let mut gets = JoinSet::new();
            for at in 0..200 {
                let table = Arc::clone(&table);
                gets.spawn(async move { table.get(&Get::new(row_key(at))).await });
            }
            while let Some(got) = timeout(PATIENCE, gets.join_next()).await.unwrap() {
                got.unwrap().unwrap();
            }
        });
    }

    /// A slow registry that returns nothing.
    #[derive(Debug)]
    struct Slow;

    impl ConnectionRegistry for Slow {
        fn meta_region_locations(&self, deadline: Deadline) -> Result<RegionLocations> {
            thread::sleep(deadline.remaining().min(PATIENCE));
            Err(Error::timed_out("read"))
        }

        fn cluster_id(&self, _: Deadline) -> Result<Option<String>> {
            Ok(None)
        }

        fn active_master(&self, _: Deadline) -> Result<Option<ServerName>> {
            Ok(None)
        }
    }

    /// Gets whose callers no longer wait give up their turns, and leave the threads of the pool to others.
    #[test]
    fn gets_that_are_dropped_keep_no_threads_of_the_pool() {
        runtime().block_on(async {
            let client = builder().registry(Arc::new(Slow)).unwrap();
            let table = table(&client);
            let mut gets = JoinSet::new();
            for at in 0..100 {
                let table = Arc::clone(&table);
                let get = async move { table.get(&Get::new(row_key(at))).await };
                gets.spawn(timeout(Duration::from_millis(20), get));
            }
            while let Some(got) = gets.join_next().await {
                assert!(got.unwrap().is_err());
            }
            timeout(PATIENCE / 4, spawn_blocking(|| ())).await.unwrap().unwrap();
            assert!(client.0.look_ups.turns.available_permits() < super::MAX_LOOK_UPS);
        });
    }

    /// A lookup ends in the time of a call and a connection, whether or not its operation has more.
    #[tokio::test]
    async fn a_look_up_has_the_time_of_a_call_and_a_connection() {
        let builder = builder().connect_timeout(Duration::from_millis(50));
        let client = builder.rpc_timeout(Duration::from_millis(50)).registry(Arc::new(Slow)).unwrap();
        let (table, get) = (table(&client), Get::new("r"));
        let ended = timeout(PATIENCE / 4, table.get(&get)).await.expect("an end in time");
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Io);
    }

    /// A registry whose first answer comes when it is allowed, and too late.
    #[derive(Debug)]
    struct Late {
        cluster: RpcRegistry,
        asked: AtomicUsize,
        is_let: AtomicBool,
    }

    impl ConnectionRegistry for Late {
        fn meta_region_locations(&self, deadline: Deadline) -> Result<RegionLocations> {
            if self.asked.fetch_add(1, Ordering::Relaxed) > 0 {
                return self.cluster.meta_region_locations(deadline);
            }
            while !self.is_let.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(5));
            }
            thread::sleep(deadline.remaining());
            Err(Error::timed_out("read"))
        }

        fn cluster_id(&self, deadline: Deadline) -> Result<Option<String>> {
            self.cluster.cluster_id(deadline)
        }

        fn active_master(&self, deadline: Deadline) -> Result<Option<ServerName>> {
            self.cluster.active_master(deadline)
        }
    }

    async fn until(is_so: impl Fn() -> bool) {
        let wait = async {
            while !is_so() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, wait).await.unwrap();
    }

    /// Calls with more time do not fail by the deadline of the one that began the lookup, whether or not it
    /// is waited for.
    #[tokio::test]
    async fn a_look_up_that_was_too_short_is_made_again_by_those_with_more_time() {
        for is_dropped in [false, true] {
            let cluster = Cluster::start().await;
            let builder = builder();
            let connections = Arc::new(Connections::new(builder.connections.clone()));
            let registry = RpcRegistry::new(&cluster.addresses(), connections, Handle::current(), PATIENCE);
            let registry = Arc::new(Late {
                cluster: registry.unwrap(),
                asked: AtomicUsize::new(0),
                is_let: AtomicBool::new(false),
            });
            let client = builder.registry(Arc::<Late>::clone(&registry)).unwrap();
            let locate = |time: Duration| {
                let (core, table) = (Arc::clone(&client.0), TableName::parse("t").unwrap());
                async move {
                    let row = row_key(7);
                    core.locate(&table, row.as_bytes(), LocateType::At, 0, Deadline::after(time)).await
                }
            };
            let first = tokio::spawn(locate(Duration::from_secs(2)));
            until(|| registry.asked.load(Ordering::Relaxed) > 0).await;
            let mut others = JoinSet::new();
            (0..5).for_each(|_| drop(others.spawn(locate(PATIENCE))));
            // all of them wait for the first
            sleep(Duration::from_millis(20)).await;
            registry.is_let.store(true, Ordering::Relaxed);
            if is_dropped {
                first.abort();
                assert!(first.await.unwrap_err().is_cancelled());
            } else {
                assert_eq!(first.await.unwrap().unwrap_err().kind(), ErrorKind::Io);
            }
            while let Some(found) = others.join_next().await {
                assert!(found.unwrap().unwrap().region().contains(row_key(7).as_bytes()));
            }
            assert_eq!(registry.asked.load(Ordering::Relaxed), 2, "one of them asks for all");
        }
    }

    #[test]
    fn a_client_whose_runtime_has_ended_says_so() {
        let first = runtime();
        let client = {
            let _entered = first.enter();
            builder().registry(Arc::new(Slow)).unwrap()
        };
        drop(first);
        runtime().block_on(async {
            let error = table(&client).get(&Get::new("r")).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Closed);
        });
    }
}
