//! Lookups in a catalog or a registry that does not respond.

use super::fake::{Cluster, Mischief, row_key};
use super::{OPERATION, PATIENCE};
use crate::Client;
use crate::connections::Connections;
use crate::registry::RpcRegistry;
use hregion::locator::{RegionState, RetryPolicy};
use hregion::{ConnectionRegistry, Deadline, Error, Put, RegionLocations, Result, ServerName, TableName};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A registry that returns nothing, and records the time that it is given.
#[derive(Debug, Default)]
struct Silent(Mutex<Vec<Duration>>);

impl ConnectionRegistry for Silent {
    fn meta_region_locations(&self, deadline: Deadline) -> Result<RegionLocations> {
        self.0.lock().unwrap().push(deadline.remaining());
        Err(Error::timed_out("read"))
    }

    fn cluster_id(&self, _: Deadline) -> Result<Option<String>> {
        Ok(None)
    }

    fn active_master(&self, _: Deadline) -> Result<Option<ServerName>> {
        Ok(None)
    }
}

#[tokio::test]
async fn look_ups_have_the_time_of_an_operation() {
    let silent = Arc::new(Silent::default());
    let retries = RetryPolicy::no_retries().operation_timeout(OPERATION);
    let registry: Arc<dyn ConnectionRegistry> = Arc::<Silent>::clone(&silent);
    let client = Client::builder().retries(retries).registry(registry).unwrap();
    let table = TableName::parse("t").unwrap();
    assert_eq!(client.locate(&table, "r").await.unwrap_err().kind(), hregion::ErrorKind::Io);
    assert_eq!(client.regions(&table).await.unwrap_err().kind(), hregion::ErrorKind::Io);
    assert_eq!(client.check_enabled(&table).await.unwrap_err().kind(), hregion::ErrorKind::Io);
    let given = silent.0.lock().unwrap().clone();
    assert!(given.len() == 3 && given.iter().all(|given| *given <= OPERATION), "{given:?}");
}

/// Each lookup may take the time of a call.
#[tokio::test]
async fn a_catalog_that_does_not_answer_is_asked_once_for_several_rows() {
    let silent = Arc::new(Silent::default());
    let registry: Arc<dyn ConnectionRegistry> = Arc::<Silent>::clone(&silent);
    let client = Client::builder().retries(RetryPolicy::no_retries()).registry(registry).unwrap();
    let table = client.table(&TableName::parse("t").unwrap());
    let put = |at: usize| Put::new(row_key(at)).cell("f", "q", "v").into();
    let puts: Vec<hregion::Mutation> = (0..5).map(put).collect();
    for result in table.batch(&puts).await {
        assert_eq!(result.unwrap_err().kind(), hregion::ErrorKind::Io);
    }
    assert_eq!(silent.0.lock().unwrap().len(), 1);
}

/// Servers since 2.6 end a call that has read much, even if all of it is deleted: there may be rows after it.
#[tokio::test]
async fn a_search_of_the_catalog_goes_on_where_a_call_has_ended() {
    let cluster = Cluster::start().await;
    let table = TableName::parse("t").unwrap();
    let client = || {
        let builder = Client::builder().retries(RetryPolicy::no_retries());
        builder.bootstrap(&cluster.addresses()).unwrap()
    };
    cluster.end_searches(1);
    let found = client().locate(&table, row_key(150)).await.unwrap();
    assert!(found.region().contains(row_key(150).as_bytes()));
    cluster.end_searches(1);
    assert_eq!(client().regions(&table).await.unwrap().len(), 5);
    // the second call gets no further than the first one, but a scanner that stays open does
    for calls in [2, 3, 20] {
        cluster.end_searches(calls);
        let found = client().locate(&table, row_key(150)).await.unwrap();
        assert!(found.region().contains(row_key(150).as_bytes()), "{calls}");
        cluster.end_searches(calls);
        assert_eq!(client().regions(&table).await.unwrap().len(), 5, "{calls}");
    }
    // not forever
    cluster.end_searches(10_000);
    let error = client().locate(&table, row_key(150)).await.unwrap_err();
    assert_eq!(error.kind(), hregion::ErrorKind::Io);
    assert!(error.message().contains("finds no row"), "{error}");
}

#[tokio::test]
async fn an_overloaded_server_of_the_catalog_gets_the_time_that_it_needs() {
    const PAUSE: Duration = Duration::from_millis(20);
    let cluster = Cluster::start().await;
    let retries = RetryPolicy::default().pause(PAUSE).overloaded_pause(5 * PAUSE).attempts(2);
    let client = Client::builder().retries(retries).bootstrap(&cluster.addresses()).unwrap();
    cluster.behave(1, Mischief::OVERLOAD);
    let begin = Instant::now();
    let error = client.locate(&TableName::parse("t").unwrap(), row_key(7)).await.unwrap_err();
    assert!(error.message().contains("CallQueueTooBigException"), "{error}");
    assert!(begin.elapsed() >= 5 * PAUSE, "{:?}", begin.elapsed());
}

/// A registry whose first answers are errors.
#[derive(Debug)]
struct Flaky {
    cluster: RpcRegistry,
    failures: AtomicU64,
    error: Error,
}

/// Returns a client with such a registry.
fn flaky_client(cluster: &Cluster, failures: u64, error: Error, attempts: u32) -> Client {
    let retries = RetryPolicy::default().pause(Duration::from_millis(1)).attempts(attempts);
    let builder = Client::builder().retries(retries.operation_timeout(PATIENCE));
    let connections = Arc::new(Connections::new(builder.connections.clone()));
    let runtime = tokio::runtime::Handle::current();
    let cluster = RpcRegistry::new(&cluster.addresses(), connections, runtime, PATIENCE).unwrap();
    builder.registry(Arc::new(Flaky { cluster, failures: AtomicU64::new(failures), error })).unwrap()
}

impl ConnectionRegistry for Flaky {
    fn meta_region_locations(&self, deadline: Deadline) -> Result<RegionLocations> {
        let failing =
            self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if failing.is_ok() {
            return Err(self.error.clone());
        }
        self.cluster.meta_region_locations(deadline)
    }

    fn cluster_id(&self, deadline: Deadline) -> Result<Option<String>> {
        self.cluster.cluster_id(deadline)
    }

    fn active_master(&self, deadline: Deadline) -> Result<Option<ServerName>> {
        self.cluster.active_master(deadline)
    }
}

#[tokio::test]
async fn calls_to_all_regions_begin_again_if_the_catalog_is_not_found_at_once() {
    let cluster = Cluster::start().await;
    let table = TableName::parse("t").unwrap();
    for (failures, attempts, succeeds) in [(0, 1, true), (1, 1, false), (3, 4, true), (4, 4, false)] {
        let client = flaky_client(&cluster, failures, Error::timed_out("read"), attempts);
        let before = cluster.flushed();
        let flushed = client.flush_table(&table).await;
        assert_eq!(flushed.is_ok(), succeeds, "{failures} of {attempts}: {flushed:?}");
        let regions = if succeeds { client.regions(&table).await.unwrap().len() } else { 0 };
        assert_eq!(cluster.flushed() - before, regions);
    }
}

/// Otherwise one of them would be found without the other one, which would be executed after it.
#[tokio::test]
async fn writes_of_a_row_that_is_not_found_at_once_are_sent_together() {
    let cluster = Cluster::start().await;
    let error = Error::new(hregion::ErrorKind::NoServerForRegion, "none at present");
    let table = flaky_client(&cluster, 1, error, 2).table(&TableName::parse("t").unwrap());
    let put = || Put::new(row_key(7)).cell("f", "q", "v").into();
    let results = table.batch(&[put(), put()]).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!(cluster.multis(), 1);
}

/// Clients do not need the state of a region.
#[tokio::test]
async fn a_region_in_a_state_of_a_later_version_is_found() {
    let cluster = Cluster::start().await;
    let client =
        Client::builder().retries(RetryPolicy::no_retries()).bootstrap(&cluster.addresses()).unwrap();
    let table = TableName::parse("t").unwrap();
    let found = client.locate(&table, row_key(0)).await.unwrap();
    assert!(found.region().contains(row_key(0).as_bytes()) && found.server().is_some());
    let regions = client.regions(&table).await.unwrap();
    let states = regions.iter().map(|row| row.assignments()[0].state);
    assert!(states.eq([&[None][..], &[Some(RegionState::Open); 4]].concat()));
}
