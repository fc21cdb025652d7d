//! The ZooKeeper registry: znodes written by HBase, and servers that are late, broken or gone.

#![cfg(feature = "cluster")]

use crate::support::fake_zookeeper::{FakeZooKeeper, Manner, framed, string};
use crate::support::files::io_kind;
use hregion::locator::{
    EncryptedSession, Encryption, NO_SEQ_NUM, Replica, Socket, TableState, ZooKeeperRegistry,
};
use hregion::{ConnectionRegistry, Deadline, ErrorKind, ServerName, TableName};
use serde_json::Value;
use std::io;
use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// Enough time for anything that does not have to wait.
const LONG: Duration = Duration::from_secs(30);
const META: &str = "/hbase/meta-region-server";

fn long() -> Deadline {
    Deadline::after(LONG)
}

fn millis(time: u64) -> Duration {
    Duration::from_millis(time)
}

/// Returns a payload with the header that HBase writes.
fn written(payload: &[u8]) -> Vec<u8> {
    [&[0xff, 0, 0, 0, 8][..], b"master:1", payload].concat()
}

/// Returns a location of the catalog: `host:7`, started at 9, in a state.
fn location(host: &str, state: u8) -> Vec<u8> {
    let name = [&[0x0a, u8::try_from(host.len()).unwrap()], host.as_bytes(), &[0x10, 7, 0x18, 9]].concat();
    let message =
        [b"PBUF\x0a", &[u8::try_from(name.len()).unwrap()][..], &name, &[0x10, 0, 0x18, state]].concat();
    written(&message)
}

fn simple() -> Vec<(String, Vec<u8>)> {
    vec![(META.into(), location("a", 3))]
}

fn registry(servers: &[&FakeZooKeeper]) -> ZooKeeperRegistry {
    let servers: Vec<_> = servers.iter().map(|server| server.address().to_string()).collect();
    ZooKeeperRegistry::new(&servers.join(",")).unwrap()
}

fn host(registry: &ZooKeeperRegistry) -> String {
    registry.meta_region_locations(long()).unwrap().server().unwrap().host().to_owned()
}

/// Returns the znodes of a running HBase, with their decoded content.
fn golden() -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/znodes/running.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn golden_data() -> Vec<(String, Vec<u8>)> {
    let bytes = |hex: &str| {
        let digits = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digits).collect()
    };
    let znode =
        |line: &Value| (line["path"].as_str().unwrap().to_owned(), bytes(line["data"].as_str().unwrap()));
    golden().iter().map(znode).collect()
}

#[test]
fn znodes_of_hbase_decode_to_the_golden_values() {
    let server = FakeZooKeeper::new(golden_data());
    let registry = registry(&[&server]);
    let shown = |znode: &str| {
        let path = format!("/hbase/{znode}");
        golden().iter().find(|line| line["path"] == *path).unwrap()["decoded"].as_str().unwrap().to_owned()
    };
    let name = |server: &ServerName| {
        let (host, port, start_code) = (server.host(), server.port(), server.start_code());
        format!("host_name: {host:?} port: {port} start_code: {start_code}")
    };

    let catalog = registry.meta_region_locations(long()).unwrap();
    assert_eq!(catalog.region().to_string(), "hbase:meta,,1");
    assert_eq!(catalog.replicas(), [Replica::on(catalog.server().unwrap().clone(), NO_SEQ_NUM)]);
    let expected = format!("MetaRegionServer {{ server {{ {} }} ", name(catalog.server().unwrap()));
    assert!(shown("meta-region-server").starts_with(&expected), "{expected}");

    let id = registry.cluster_id(long()).unwrap().unwrap();
    assert_eq!(shown("hbaseid"), format!("ClusterId {{ cluster_id: {id:?} }}"));
    let master = registry.active_master(long()).unwrap().unwrap();
    assert!(shown("master").starts_with(&format!("Master {{ master {{ {} }} ", name(&master))));
    let servers = registry.region_servers(long()).unwrap();
    assert!(servers.len() == 2 && servers.contains(catalog.server().unwrap()), "{servers:?}");
    assert!(registry.is_cluster_up(long()).unwrap());
    for table in ["hbase:meta", "ns1:binary", "halves"] {
        let state = registry.table_state(&TableName::parse(table).unwrap(), long()).unwrap();
        assert_eq!(state, Some(TableState::Enabled), "{table}");
    }
    assert_eq!(registry.table_state(&TableName::parse("none").unwrap(), long()).unwrap(), None);
}

#[test]
fn znodes_are_below_a_base_and_a_chroot() {
    let server = FakeZooKeeper::new([("/a/b/hbase-secure/meta-region-server".to_owned(), location("a", 3))]);
    let registry = ZooKeeperRegistry::new(&format!("{}/a/b", server.address())).unwrap();
    let error = registry.meta_region_locations(long()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoServerForRegion);
    assert!(error.to_string().contains("no znode /a/b/hbase:"), "{error}");
    let of_master = registry.active_master(long()).unwrap_err();
    assert_eq!((of_master.kind(), of_master.to_string()), (error.kind(), error.to_string()));
    let registry = registry.with_base_znode("/hbase-secure").unwrap();
    assert_eq!(host(&registry), "a");
    assert_eq!(registry.cluster_id(long()).unwrap(), None);
    assert_eq!(registry.active_master(long()).unwrap(), None);
    assert_eq!(registry.region_servers(long()).unwrap(), []);
    assert!(!registry.is_cluster_up(long()).unwrap());
    assert!(ZooKeeperRegistry::new("zk").unwrap().with_base_znode("hbase").is_err());
}

#[test]
fn the_znode_of_the_catalog_may_have_another_name() {
    let znodes = [("location", "a"), ("location-2", "b"), ("meta-region-server", "other")];
    let znodes = znodes.map(|(name, host)| (format!("/hbase/{name}"), location(host, 3)));
    let server = FakeZooKeeper::new(znodes);
    let registry = registry(&[&server]).with_meta_znode("location").unwrap();
    let found = registry.meta_region_locations(long()).unwrap();
    let hosts: Vec<_> = found.replicas().iter().map(|r| r.server.as_ref().map(ServerName::host)).collect();
    assert_eq!(hosts, [Some("a"), None, Some("b")]);
    let registry = registry.with_meta_znode("none").unwrap();
    let error = registry.meta_region_locations(long()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoServerForRegion);
    assert!(error.to_string().contains("/hbase/none names none"), "{error}");
    for name in ["", "..", "a/b", "/a"] {
        assert!(ZooKeeperRegistry::new("zk").unwrap().with_meta_znode(name).is_err(), "{name}");
    }
}

#[test]
fn copies_that_are_not_open_are_left_out() {
    let mut znodes = simple();
    for (id, state) in [(1, 5), (3, 3)] {
        znodes.push((format!("{META}-{id}"), location(&format!("copy{id}"), state)));
    }
    let server = FakeZooKeeper::new(znodes.clone());
    let catalog = registry(&[&server]).meta_region_locations(long()).unwrap();
    let hosts: Vec<_> = catalog.replicas().iter().map(|r| r.server.as_ref().map(ServerName::host)).collect();
    assert_eq!(hosts, [Some("a"), None, None, Some("copy3")]);

    // one whose znode is damaged is left out, too: only the primary replica is needed
    for damaged in [&b"PBUF"[..], b"PBUF\x0a", b"PBUG", b"\xff\x7f\xff\xff\xff"] {
        let damaged = (format!("{META}-2"), damaged.to_vec());
        let server = FakeZooKeeper::new(znodes.iter().cloned().chain([damaged]));
        assert_eq!(registry(&[&server]).meta_region_locations(long()).unwrap(), catalog);
    }

    znodes[0].1 = location("a", 6);
    let server = FakeZooKeeper::new(znodes.clone());
    assert_eq!(host(&registry(&[&server])), "a", "the primary replica, in any state");

    for nobody in [vec![], written(b"")] {
        znodes[0].1 = nobody;
        let server = FakeZooKeeper::new(znodes.clone());
        let error = registry(&[&server]).meta_region_locations(long()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoServerForRegion);
    }
}

#[test]
fn errors_in_a_znode_name_it() {
    for (znode, data) in [
        ("meta-region-server", &b"\xff\x7f\xff\xff\xff"[..]),
        ("meta-region-server", b"PBUF\x0a"),
        ("meta-region-server", b"PBUG"),
        ("master", b"PBUF"),
        ("hbaseid", b"PBUF\x0a\x01"),
    ] {
        let mut znodes = simple();
        znodes.retain(|(path, _)| !path.ends_with(znode));
        znodes.push((format!("/hbase/{znode}"), data.to_vec()));
        let server = FakeZooKeeper::new(znodes);
        let registry = registry(&[&server]);
        let error = match znode {
            "master" => registry.active_master(long()).unwrap_err(),
            "hbaseid" => registry.cluster_id(long()).unwrap_err(),
            _ => registry.meta_region_locations(long()).unwrap_err(),
        };
        assert!(matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::Truncated), "{error:?}");
        assert_eq!(error.path().unwrap(), Path::new(&format!("/hbase/{znode}")));
    }
    let server = FakeZooKeeper::new([("/hbase/rs/a,1".to_owned(), vec![]), (format!("{META}-x"), vec![])]);
    let registry = registry(&[&server]);
    assert_eq!(registry.region_servers(long()).unwrap_err().path().unwrap(), Path::new("/hbase/rs"));
    assert_eq!(registry.meta_region_locations(long()).unwrap_err().path().unwrap(), Path::new("/hbase"));
}

#[test]
fn the_catalog_of_old_versions_is_named() {
    let server = FakeZooKeeper::new([("/hbase/root-region-server".to_owned(), written(b"a,7,9"))]);
    let error = registry(&[&server]).meta_region_locations(long()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().starts_with("/hbase/root-region-server: "), "{error}");
}

/// Returns every kind of failure of a server, and whether a retry may succeed.
fn broken() -> Vec<(Manner, bool)> {
    let reply = |result: &[u8]| framed(&[&1i32.to_be_bytes()[..], &[0; 12], result].concat());
    let mut all = vec![
        (Manner::Closes, true),
        (Manner::Silent, true),
        (Manner::Expired, false),
        (Manner::Greets(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()), false),
        (Manner::Greets(framed(b"short")), false),
        (Manner::ClosesWhenAsked, true),
        (Manner::SilentWhenAsked, true),
        (Manner::Confused, false),
        (Manner::Fails(-4), true),
        (Manner::Fails(-112), true),
        (Manner::Fails(-4321), true),
        // lengths that exceed the data or the limit
        (Manner::Replies(vec![0xff; 4]), false),
        (Manner::Replies(vec![0x7f, 0xff, 0xff, 0xff]), false),
        (Manner::Replies(vec![0, 0x40, 0, 1]), false),
        (Manner::Replies(vec![0, 0x40, 0, 0, 1, 2, 3]), true),
        (Manner::Replies(framed(&[])), false),
        (Manner::Replies(reply(&[0x7f, 0xff, 0xff, 0xff])), false),
        (Manner::Replies(reply(&string(&[0xff; 20]))), false),
        (Manner::Replies(reply(&[0, 0, 0, 1, 0, 0, 0, 1, 0xff])), false),
    ];
    for len in [0, 1, 4, 7, 19, 21, 30] {
        all.extend([(Manner::Cuts(len), true), (Manner::Stops(len), true)]);
    }
    all
}

#[test]
fn a_broken_server_alone_is_an_error_in_time() {
    for (manner, may_pass) in broken() {
        let server = FakeZooKeeper::new(simple());
        server.behave(vec![manner.clone(); 1000]);
        let time = if may_pass { millis(150) } else { LONG };
        let begin = Instant::now();
        let error = registry(&[&server]).meta_region_locations(Deadline::after(time)).unwrap_err();
        let took = begin.elapsed();
        // far longer than needed, far shorter than a hang
        assert!(took < millis(150) + Duration::from_secs(5), "{manner:?}: {took:?}");
        assert_eq!(error.kind() == ErrorKind::Io, may_pass, "{manner:?}: {error:?}");
        if may_pass {
            assert_eq!(io_kind(&error), Some(io::ErrorKind::TimedOut), "{manner:?}: {error:?}");
        }
        let named = error.path().unwrap().to_str().unwrap();
        assert_eq!(named, format!("{}/hbase", server.address()), "{error}");
    }
}

#[test]
fn another_server_answers_for_a_broken_one() {
    for (manner, _) in broken() {
        let (bad, good) = (FakeZooKeeper::new(simple()), FakeZooKeeper::new(simple()));
        bad.behave(vec![manner.clone(); 1000]);
        let registry = registry(&[&bad, &good]).with_session_timeout(millis(300));
        for _ in 0..2 {
            assert_eq!(host(&registry), "a", "{manner:?}");
        }
    }
}

#[test]
fn the_same_server_may_do_better() {
    for (manner, may_pass) in broken() {
        let server = FakeZooKeeper::new(simple());
        server.behave([manner.clone()]);
        let found = registry(&[&server]).with_session_timeout(millis(300)).meta_region_locations(long());
        assert_eq!(found.is_ok(), may_pass, "{manner:?}: {found:?}");
    }
}

#[test]
fn replies_come_in_pieces_and_among_others() {
    for manner in [Manner::Dribbles, Manner::Talkative] {
        let server = FakeZooKeeper::new(golden_data());
        server.behave([manner]);
        assert_eq!(host(&registry(&[&server])), "localhost");
        assert!(server.asked().iter().all(|(connection, ..)| *connection == 0));
    }
}

#[test]
fn an_unreadable_znode_fails_at_once() {
    for code in [-102, -115] {
        let server = FakeZooKeeper::new(simple());
        server.behave([Manner::Fails(code)]);
        let begin = Instant::now();
        let error = registry(&[&server]).cluster_id(long()).unwrap_err();
        assert!(begin.elapsed() < LONG / 2);
        assert_eq!(io_kind(&error), Some(io::ErrorKind::PermissionDenied));
        assert!(
            error.to_string().contains(&format!("/hbase/hbaseid: cannot read: ZooKeeper's error {code}"))
        );
    }
}

#[test]
fn a_session_serves_many_and_is_ended() {
    let server = FakeZooKeeper::new(simple());
    let registry = registry(&[&server]);
    for _ in 0..3 {
        assert_eq!(host(&registry), "a");
    }
    drop(registry);
    let begin = Instant::now();
    let mut asked = server.asked();
    while asked.len() < 7 && begin.elapsed() < LONG {
        thread::sleep(millis(5));
        asked = server.asked();
    }
    let read = [(0, 8, "/hbase".to_owned()), (0, 4, META.to_owned())];
    assert_eq!(asked[..6], [&read[..], &read, &read].concat());
    assert_eq!(asked[6..], [(0, -11, String::new())]);
}

#[test]
fn a_session_that_is_over_is_followed_by_another() {
    let server = FakeZooKeeper::with_sessions(simple(), millis(60));
    let registry = registry(&[&server]);
    assert_eq!(host(&registry), "a");
    thread::sleep(millis(80));
    assert_eq!(host(&registry), "a");
    let connections: Vec<_> = server.asked().iter().map(|(connection, ..)| *connection).collect();
    assert_eq!(connections.first(), Some(&0));
    assert!(connections.last() > Some(&0), "{connections:?}");

    // or closed by the server, which is detected only at the next request
    let server = FakeZooKeeper::new(simple());
    server.behave([Manner::Once, Manner::Once, Manner::Once]);
    let registry = ZooKeeperRegistry::new(&server.address().to_string()).unwrap();
    for _ in 0..3 {
        assert_eq!(host(&registry), "a");
    }
    assert!(server.asked().iter().filter(|(_, op, _)| *op > 0).count() >= 6);
}

#[test]
fn threads_do_not_wait_for_each_other() {
    let server = FakeZooKeeper::new(simple());
    let registry = registry(&[&server]);
    server.behave([Manner::SilentWhenAsked]);
    thread::scope(|scope| {
        let slow = scope.spawn(|| registry.cluster_id(Deadline::after(Duration::from_secs(2))));
        while server.asked().is_empty() {
            thread::sleep(millis(1));
        }
        let begin = Instant::now();
        let quick: Vec<_> = (0..8).map(|_| scope.spawn(|| host(&registry))).collect();
        assert!(quick.into_iter().all(|thread| thread.join().unwrap() == "a"));
        assert!(!slow.is_finished() || begin.elapsed() > Duration::from_secs(1));
        assert_eq!(io_kind(&slow.join().unwrap().unwrap_err()), Some(io::ErrorKind::TimedOut));
    });
}

#[test]
fn a_server_that_is_gone_is_an_error_in_time_and_may_come_back() {
    let server = FakeZooKeeper::new(simple());
    let registry = registry(&[&server]);
    assert_eq!(host(&registry), "a");
    let address = server.address();
    drop(server);
    let begin = Instant::now();
    let error = registry.meta_region_locations(Deadline::after(millis(500))).unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!((error.kind(), io_kind(&error)), (ErrorKind::Io, Some(io::ErrorKind::TimedOut)));
    assert!(error.to_string().starts_with(&format!("{address}/hbase: cannot ")), "{error}");

    thread::scope(|scope| {
        let asking = scope.spawn(|| host(&registry));
        thread::sleep(millis(300));
        let listener = TcpListener::bind(address).unwrap();
        let _server = FakeZooKeeper::listen(listener, [(META.to_owned(), location("b", 3))], LONG);
        assert_eq!(asking.join().unwrap(), "b");
    });
}

#[test]
fn invalid_hosts_are_an_error_in_time() {
    let begin = Instant::now();
    let registry = ZooKeeperRegistry::new("no-such-host.invalid:1").unwrap();
    let error = registry.active_master(Deadline::after(millis(300))).unwrap_err();
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("no-such-host.invalid:1/hbase/master: cannot look up"), "{error}");
    assert!(registry.active_master(Deadline::after(Duration::ZERO)).is_err());
}

/// A hook that records the requests without changing them, or fails.
#[derive(Clone, Debug, Default)]
struct Noting {
    noted: Arc<Mutex<Vec<String>>>,
    failure: Option<io::ErrorKind>,
}

impl Encryption for Noting {
    fn begin(&self, host: &str, _: &mut dyn Socket) -> io::Result<Box<dyn EncryptedSession>> {
        self.noted.lock().unwrap().push(format!("begins with {host}"));
        match self.failure {
            None => Ok(Box::new(self.clone())),
            Some(kind) => Err(io::Error::new(kind, "not that server")),
        }
    }
}

impl EncryptedSession for Noting {
    fn read(&mut self, socket: &mut dyn Socket, buffer: &mut [u8]) -> io::Result<usize> {
        socket.read(buffer)
    }

    fn write_all(&mut self, socket: &mut dyn Socket, bytes: &[u8]) -> io::Result<()> {
        self.noted.lock().unwrap().push(format!("{} bytes", bytes.len()));
        socket.write_all(bytes)
    }
}

#[test]
fn connections_are_encrypted_by_what_is_given() {
    let server = FakeZooKeeper::new(simple());
    let noting = Noting::default();
    let encrypted = registry(&[&server]).with_encryption(Arc::new(noting.clone()));
    assert_eq!(host(&encrypted), "a");
    drop(encrypted);
    // the session, the names of the znodes, the catalog, the end
    let expected = ["begins with 127.0.0.1", "49 bytes", "23 bytes", "42 bytes", "12 bytes"];
    assert_eq!(*noting.noted.lock().unwrap(), expected);
}

#[test]
fn a_failure_to_encrypt_remains_or_passes() {
    let server = FakeZooKeeper::new(simple());
    let ask = |failure, time| {
        let noting = Noting { failure: Some(failure), ..Noting::default() };
        let registry = registry(&[&server]).with_encryption(Arc::new(noting.clone()));
        let error = registry.cluster_id(Deadline::after(time)).unwrap_err();
        assert!(error.to_string().contains(&server.address().to_string()), "{error}");
        assert!(error.message().contains("not that server"), "{error}");
        let begun = noting.noted.lock().unwrap().len();
        (error.kind(), begun)
    };
    assert_eq!(ask(io::ErrorKind::InvalidData, LONG), (ErrorKind::Remote, 1));
    let (kind, begun) = ask(io::ErrorKind::ConnectionAborted, millis(700));
    assert!(kind == ErrorKind::Io && begun > 1, "{kind:?} {begun}");
    assert_eq!(server.asked(), []);
}
