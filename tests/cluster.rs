//! A running HBase: where its catalog is, by its own ZooKeeper, while it moves and when nobody is there any more.

#![cfg(feature = "cluster")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test that cannot go on has failed; it takes its time"
)]

use hregion::locator::{TableState, ZooKeeperRegistry};
use hregion::{Deadline, ErrorKind, Registry, Result, ServerName, TableName};
use serde_json::{Value, json};
use std::env;
use std::error::Error as _;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The catalog's region.
const META: &str = "1588230740";
const LONG: Duration = Duration::from_secs(60);

fn long() -> Deadline {
    Deadline::after(LONG)
}

/// HBase in a JVM of its own: ZooKeeper, a master, two region servers. Ends with this.
struct Cluster {
    programs: PathBuf,
    root: PathBuf,
    ready: Value,
}

impl Cluster {
    fn start(programs: &Path, root: &Path, more: &[&str]) -> Self {
        let output = Command::new(programs.join("hb-cluster"))
            .args(["start", "--root", root.to_str().unwrap()])
            .args(more)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let ready = serde_json::from_slice(&output.stdout).unwrap();
        Self { programs: programs.to_owned(), root: root.to_owned(), ready }
    }

    fn zookeeper(&self) -> &str {
        self.ready["zk"].as_str().unwrap()
    }

    /// The region servers, in order.
    fn servers(&self) -> Vec<ServerName> {
        let names = self.ready["servers"].as_array().unwrap();
        let mut servers: Vec<_> = names.iter().map(name).collect();
        servers.sort_unstable();
        servers
    }

    fn signal(&self, signal: &str) {
        let pid = self.ready["pid"].to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().unwrap().success());
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let kill =
            Command::new(self.programs.join("hb-cluster")).arg("kill").arg("--root").arg(&self.root).status();
        if !thread::panicking() {
            assert!(kill.unwrap().success());
        }
    }
}

/// HBase's client.
struct Client {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Client {
    fn of(cluster: &Cluster) -> Self {
        let mut child = Command::new(cluster.programs.join("hb-client"))
            .args(["--ready", cluster.root.join("ready.json").to_str().unwrap()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Self { child, input, output }
    }

    /// What a command gives.
    fn ask(&mut self, command: &Value) -> Value {
        writeln!(self.input.as_mut().unwrap(), "{command}").unwrap();
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert!(answer.get("ok").is_some(), "{command}: {answer}");
        answer["ok"].clone()
    }

    /// Where the client finds the catalog.
    fn catalog(&mut self) -> ServerName {
        let command =
            json!({"op": "locate", "table": "hbase:meta", "row": "", "reload": true, "client": "sync"});
        name(&self.ask(&command)["server"])
    }
}

impl Drop for Client {
    /// It ends with its input.
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

fn name(value: &Value) -> ServerName {
    ServerName::parse(value.as_str().unwrap()).unwrap()
}

fn catalog(registry: &ZooKeeperRegistry) -> ServerName {
    let found = registry.meta_region_locations(long()).unwrap();
    assert_eq!((found.region().encoded_name().as_str(), found.replicas().len()), (META, 1));
    found.server().unwrap().clone()
}

/// Asks until `wanted` comes: HBase's parts do not see a change at the same moment.
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

/// Gives up by the deadline, and says that it was for the time.
fn in_vain<T: std::fmt::Debug>(ask: impl Fn(Deadline) -> Result<T>) {
    let time = Duration::from_secs(1);
    let begin = Instant::now();
    let error = ask(Deadline::after(time)).unwrap_err();
    let took = begin.elapsed();
    println!("after {} ms: {error}", took.as_millis());
    // far from the time that it would take by itself; the machine may be busy
    assert!(took < time + Duration::from_secs(10), "{took:?}");
    let source = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!((error.kind(), source.kind()), (ErrorKind::Io, io::ErrorKind::TimedOut));
}

#[test]
#[ignore = "needs a running HBase: HBASE_CLUSTER, the folder of hb-cluster and hb-client; a JVM and Maven"]
fn the_catalog_is_found_wherever_it_moves() {
    let programs =
        env::var_os("HBASE_CLUSTER").expect("HBASE_CLUSTER, the folder of hb-cluster and hb-client");
    let (programs, dir) = (Path::new(&programs), tempfile::tempdir().unwrap());
    let cluster = Cluster::start(programs, dir.path(), &[]);
    let zookeeper = cluster.zookeeper().to_owned();
    let registry = ZooKeeperRegistry::new(&zookeeper).unwrap();

    assert!(registry.is_cluster_up(long()).unwrap());
    assert_eq!(registry.active_master(long()).unwrap(), Some(name(&cluster.ready["master"])));
    assert_eq!(registry.region_servers(long()).unwrap(), cluster.servers());
    let id = registry.cluster_id(long()).unwrap().unwrap();
    let file = std::fs::read(dir.path().join("hbase/hbase.id")).unwrap();
    assert!(file.windows(id.len()).any(|part| part == id.as_bytes()), "{id}");
    let elsewhere = ZooKeeperRegistry::new(&zookeeper).unwrap().with_base_znode("/other").unwrap();
    assert_eq!(elsewhere.meta_region_locations(long()).unwrap_err().kind(), ErrorKind::NoServerForRegion);

    let mut client = Client::of(&cluster);
    assert_eq!(catalog(&registry), client.catalog());
    for round in 0..4 {
        for server in cluster.servers() {
            client.ask(&json!({"op": "move", "region": META, "server": server.to_string()}));
            until(&server, || catalog(&registry));
            assert_eq!(client.catalog(), server);
            println!("round {round}: the catalog is at {server}");
        }
    }

    let table = TableName::parse("t").unwrap();
    assert_eq!(registry.table_state(&table, long()).unwrap(), None);
    client.ask(&json!({"op": "create", "table": "t", "families": ["f"]}));
    until(&Some(TableState::Enabled), || registry.table_state(&table, long()).unwrap());
    client.ask(&json!({"op": "disable", "table": "t"}));
    until(&Some(TableState::Disabled), || registry.table_state(&table, long()).unwrap());

    // a ZooKeeper that says nothing, and goes on where it was
    cluster.signal("STOP");
    in_vain(|deadline| registry.meta_region_locations(deadline));
    let fresh = ZooKeeperRegistry::new(&zookeeper).unwrap();
    in_vain(|deadline| fresh.cluster_id(deadline));
    cluster.signal("CONT");
    assert_eq!(catalog(&registry), catalog(&fresh));

    // one that is gone, and comes back with other region servers
    drop(client);
    drop(cluster);
    in_vain(|deadline| registry.meta_region_locations(deadline));
    in_vain(|deadline| registry.active_master(deadline));
    let (_, port) = zookeeper.rsplit_once(':').unwrap();
    let cluster = Cluster::start(programs, dir.path(), &["--zk-port", port]);
    assert_eq!(cluster.zookeeper(), zookeeper);
    assert_eq!(registry.cluster_id(long()).unwrap(), Some(id));
    until(&true, || cluster.servers().contains(&catalog(&registry)));
    assert_eq!(catalog(&registry), Client::of(&cluster).catalog());
}
