//! Connections that servers close while they are not used: the servers still exist.

use super::administration::schema;
use super::cancelled::{after_first_page, read_rest};
use super::fake::{Cluster, ROWS, row_key};
use super::{PATIENCE, is_expected};
use crate::Client;
use hregion::locator::RetryPolicy;
use hregion::{Get, Increment, Put, TableName};
use std::thread;
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::time::{sleep, timeout};

/// Returns a client that makes each call once.
fn client(cluster: &Cluster) -> Client {
    Client::builder().retries(RetryPolicy::no_retries()).bootstrap(&cluster.addresses()).unwrap()
}

fn name() -> TableName {
    TableName::parse("t").unwrap()
}

/// Whether the regions of all rows are known.
fn has_all_locations(client: &Client) -> bool {
    let cache = client.0.locator.cache();
    (0..ROWS).all(|at| cache.get(&name(), row_key(at).as_bytes()).is_some())
}

/// Closes the connections, and waits until the client has noticed.
async fn close(cluster: &Cluster, client: &Client) {
    cluster.close_connections().await;
    let noticed = async {
        while client.0.connections.open() > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, noticed).await.expect("connections that are closed");
}

#[tokio::test]
async fn a_connection_that_has_ended_is_made_again_without_a_failed_attempt() {
    let cluster = Cluster::start().await;
    cluster.describe(&[schema("t")]);
    let (client, row) = (client(&cluster), row_key(6));
    let table = client.table(&name());
    client.regions(&name()).await.unwrap();
    let mut scanner = after_first_page(&table).await;
    close(&cluster, &client).await;
    scanner.renew_lease().await.unwrap();
    close(&cluster, &client).await;
    read_rest(&mut scanner, 1).await;
    let metrics = scanner.metrics().unwrap();
    assert_eq!((metrics.regions_scanned, metrics.rpc_retries), (5, 0), "no region is opened again");
    let dropped = after_first_page(&table).await;
    close(&cluster, &client).await;
    drop(dropped);
    super::next_region::until_open(&cluster, &[]).await;
    close(&cluster, &client).await;
    assert!(is_expected(&table.get(&Get::new(row.clone())).await.unwrap(), 6));
    close(&cluster, &client).await;
    assert_eq!(table.get_many(&[Get::new(row.clone()), Get::new(row_key(ROWS - 1))]).await.unwrap().len(), 2);
    close(&cluster, &client).await;
    table.put(Put::new(row.clone()).cell("f", "put", "v")).await.unwrap();
    close(&cluster, &client).await;
    table.increment(Increment::new(row.clone()).column("f", "n", 5)).await.unwrap();
    assert_eq!(cluster.counter(&row), 5);
    close(&cluster, &client).await;
    client.families(&name()).await.unwrap();
    close(&cluster, &client).await;
    client.flush_table(&name()).await.unwrap();
    assert!(has_all_locations(&client), "no location is forgotten");
}

/// Nothing is detected while the runtime does not run.
#[test]
fn the_end_of_a_connection_is_noticed_before_a_call() {
    let servers = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let cluster = servers.block_on(Cluster::start());
    let client = runtime.block_on(async { client(&cluster) });
    let (table, row) = (client.table(&name()), row_key(6));
    runtime.block_on(client.regions(&name())).unwrap();
    runtime.block_on(table.get(&Get::new(row.clone()))).unwrap();
    servers.block_on(cluster.close_connections());
    thread::sleep(crate::connection::UNUSED);
    assert!(client.0.connections.open() > 0);
    runtime.block_on(table.increment(Increment::new(row.clone()).column("f", "n", 5))).unwrap();
    assert_eq!(cluster.counter(&row), 5);
    assert!(has_all_locations(&client), "no location is forgotten");
}
