//! Threads that wait for the locator.

use crate::client::runtime_ended;
use hregion::{Deadline, Error, ErrorKind, Result};
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::timeout;

/// Asks the locator, a few questions at a time; further ones wait without a thread.
///
/// Threads are their own: those of the runtime's pool resolve the names of hosts, for look-ups too, and read
/// the files of the caller.
pub(crate) struct LookUps {
    turns: Arc<Semaphore>,
    runtime: Handle,
    /// The time of one look-up. One whose caller has gone ends by it.
    time: Duration,
}

/// The right to ask.
pub(crate) struct Turn(OwnedSemaphorePermit);

/// The locator runs eight look-ups of a table at a time.
const MOST: usize = 16;

impl LookUps {
    pub(crate) fn new(runtime: Handle, time: Duration) -> Self {
        Self { turns: Arc::new(Semaphore::new(MOST)), runtime, time }
    }

    /// Waits until a question may be asked.
    ///
    /// # Errors
    ///
    /// If the deadline passes before.
    pub(crate) async fn turn(&self, deadline: Deadline) -> Result<Turn> {
        match timeout(deadline.left(), Arc::clone(&self.turns).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(Turn(permit)),
            // the semaphore is never closed
            Ok(Err(_)) | Err(_) => Err(Error::timed_out("locate a region")),
        }
    }

    /// Returns the deadline of a look-up that begins now.
    pub(crate) fn deadline(&self, deadline: Deadline) -> Deadline {
        deadline.min(Deadline::after(self.time))
    }

    /// Asks a question. It keeps the turn until it is answered, even if the caller no longer waits.
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
        let started = thread::Builder::new().name("look-up".to_owned()).spawn(ask);
        started.map_err(|error| Error::locating(ErrorKind::Io, format!("a thread: {error}")))?;
        answer.await.unwrap_or_else(|_| Err(runtime_ended()))
    }

    /// Whether the runtime, on which the locator calls servers, has ended.
    async fn has_ended(&self) -> bool {
        let task = self.runtime.spawn(std::future::ready(()));
        task.is_finished() && task.await.is_err()
    }
}

#[cfg(test)]
mod tests {
    use crate::hostile_tests::fake::{Cluster, row_key};
    use crate::{Client, Table};
    use hregion::locator::RetryPolicy;
    use hregion::{
        ConnectionRegistry, Deadline, Error, ErrorKind, Get, RegionLocations, Result, ServerName, TableName,
    };
    use std::sync::Arc;
    use std::thread;
    use std::time::Duration;
    use tokio::runtime::{Builder, Runtime};
    use tokio::task::{JoinSet, spawn_blocking};
    use tokio::time::timeout;

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

    /// Look-ups that wait leave the threads of the pool to those that resolve the names of hosts.
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

    /// A registry that takes its time, and answers nothing.
    #[derive(Debug)]
    struct Slow;

    impl ConnectionRegistry for Slow {
        fn meta_region_locations(&self, deadline: Deadline) -> Result<RegionLocations> {
            thread::sleep(deadline.left().min(PATIENCE));
            Err(Error::timed_out("read"))
        }

        fn cluster_id(&self, _: Deadline) -> Result<Option<String>> {
            Ok(None)
        }

        fn active_master(&self, _: Deadline) -> Result<Option<ServerName>> {
            Ok(None)
        }
    }

    /// Gets that are no longer waited for give up their places, and leave the threads of the pool to others.
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
            assert!(client.0.look_ups.turns.available_permits() < super::MOST);
        });
    }

    /// A look-up ends in the time of a call and a connection, whether or not its operation has more.
    #[tokio::test]
    async fn a_look_up_has_the_time_of_a_call_and_a_connection() {
        let builder = builder().connect_timeout(Duration::from_millis(50));
        let client = builder.rpc_timeout(Duration::from_millis(50)).registry(Arc::new(Slow)).unwrap();
        let (table, get) = (table(&client), Get::new("r"));
        let ended = timeout(PATIENCE / 4, table.get(&get)).await.expect("an end in time");
        assert_eq!(ended.unwrap_err().kind(), ErrorKind::Io);
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
