//! A running HBase: the location of its catalog according to its own ZooKeeper, while the catalog moves and
//! after the cluster has stopped.

#![cfg(feature = "cluster")]

use crate::support::files::io_kind;
use crate::support::hbase::{Client, Cluster, programs};
use hregion::locator::{TableState, ZooKeeperRegistry};
use hregion::{ConnectionRegistry, Deadline, ErrorKind, Result, ServerName, TableName};
use serde_json::{Value, json};
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// The encoded name of the catalog's region.
const META: &str = "1588230740";
const LONG: Duration = Duration::from_secs(60);

fn long() -> Deadline {
    Deadline::after(LONG)
}

/// Returns the region servers in order.
fn servers(cluster: &Cluster) -> Vec<ServerName> {
    let names = cluster.ready["servers"].as_array().unwrap();
    let mut servers: Vec<_> = names.iter().map(name).collect();
    servers.sort_unstable();
    servers
}

/// Returns the server on which HBase's client finds the catalog.
fn client_catalog(client: &mut Client) -> ServerName {
    let command = json!({"op": "locate", "table": "hbase:meta", "row": "", "reload": true, "client": "sync"});
    name(&client.ask(&command)["server"])
}

fn name(value: &Value) -> ServerName {
    ServerName::parse(value.as_str().unwrap()).unwrap()
}

fn catalog(registry: &ZooKeeperRegistry) -> ServerName {
    let found = registry.meta_region_locations(long()).unwrap();
    assert_eq!((found.region().encoded_name().as_str(), found.replicas().len()), (META, 1));
    found.server().unwrap().clone()
}

/// Repeats `ask` until the answer is `wanted`: HBase's components do not observe a change at the same moment.
fn until<T: PartialEq + std::fmt::Debug>(wanted: &T, ask: impl Fn() -> T) {
    let begin = Instant::now();
    loop {
        let found = ask();
        if found == *wanted {
            return;
        }
        assert!(begin.elapsed() < LONG, "{found:?}, not {wanted:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// Checks that `ask` gives up at the deadline with a timeout error.
fn in_vain<T: std::fmt::Debug>(ask: impl Fn(Deadline) -> Result<T>) {
    let time = Duration::from_secs(1);
    let begin = Instant::now();
    let error = ask(Deadline::after(time)).unwrap_err();
    let took = begin.elapsed();
    println!("after {} ms: {error}", took.as_millis());
    // far less than without a deadline, even on a busy machine
    assert!(took < time + Duration::from_secs(10), "{took:?}");
    assert_eq!((error.kind(), io_kind(&error)), (ErrorKind::Io, Some(io::ErrorKind::TimedOut)));
}

#[test]
#[ignore = "needs a running HBase: Java and Maven"]
fn the_catalog_is_found_wherever_it_moves() {
    let (programs, dir) = (programs(), tempfile::tempdir().unwrap());
    let cluster = Cluster::start(&programs, dir.path(), &[]);
    let zookeeper = cluster.zookeeper().to_owned();
    let registry = ZooKeeperRegistry::new(&zookeeper).unwrap();

    assert!(registry.is_cluster_up(long()).unwrap());
    assert_eq!(registry.active_master(long()).unwrap(), Some(name(&cluster.ready["master"])));
    assert_eq!(registry.region_servers(long()).unwrap(), servers(&cluster));
    let id = registry.cluster_id(long()).unwrap().unwrap();
    let file = std::fs::read(dir.path().join("hbase/hbase.id")).unwrap();
    assert!(file.windows(id.len()).any(|part| part == id.as_bytes()), "{id}");
    let elsewhere = ZooKeeperRegistry::new(&zookeeper).unwrap().with_base_znode("/other").unwrap();
    assert_eq!(elsewhere.meta_region_locations(long()).unwrap_err().kind(), ErrorKind::NoServerForRegion);

    let mut client = Client::of(&cluster);
    assert_eq!(catalog(&registry), client_catalog(&mut client));
    for round in 0..4 {
        for server in servers(&cluster) {
            client.ask(&json!({"op": "move", "region": META, "server": server.to_string()}));
            until(&server, || catalog(&registry));
            assert_eq!(client_catalog(&mut client), server);
            println!("round {round}: the catalog is at {server}");
        }
    }

    let table = TableName::parse("t").unwrap();
    assert_eq!(registry.table_state(&table, long()).unwrap(), None);
    client.ask(&json!({"op": "create", "table": "t", "families": ["f"]}));
    until(&Some(TableState::Enabled), || registry.table_state(&table, long()).unwrap());
    client.ask(&json!({"op": "disable", "table": "t"}));
    until(&Some(TableState::Disabled), || registry.table_state(&table, long()).unwrap());

    // a ZooKeeper that stops responding, and then continues
    cluster.signal("STOP");
    // On a busy machine the process may still answer briefly.
    until(&true, || registry.meta_region_locations(Deadline::after(Duration::from_secs(1))).is_err());
    in_vain(|deadline| registry.meta_region_locations(deadline));
    let fresh = ZooKeeperRegistry::new(&zookeeper).unwrap();
    in_vain(|deadline| fresh.cluster_id(deadline));
    cluster.signal("CONT");
    assert_eq!(catalog(&registry), catalog(&fresh));

    // a ZooKeeper that stops, and is restarted with other region servers
    drop(client);
    drop(cluster);
    in_vain(|deadline| registry.meta_region_locations(deadline));
    in_vain(|deadline| registry.active_master(deadline));
    let (_, port) = zookeeper.rsplit_once(':').unwrap();
    let cluster = Cluster::start(&programs, dir.path(), &["--zk-port", port]);
    assert_eq!(cluster.zookeeper(), zookeeper);
    assert_eq!(registry.cluster_id(long()).unwrap(), Some(id));
    until(&true, || servers(&cluster).contains(&catalog(&registry)));
    assert_eq!(catalog(&registry), client_catalog(&mut Client::of(&cluster)));
}
