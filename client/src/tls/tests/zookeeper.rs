//! Sessions with a ZooKeeper of this process, whose connections are encrypted.

use super::*;
use fake_zookeeper::{FakeZooKeeper, Manner, framed};
use hregion::locator::ZooKeeperRegistry;
use hregion::{ConnectionRegistry as _, Deadline};

#[allow(dead_code, reason = "the library's tests use all of it")]
#[path = "../../../../tests/support/fake_zookeeper.rs"]
mod fake_zookeeper;

const ID: &str = "the-id";
/// The answer with their names is of many records.
const SERVERS: usize = 10_000;

fn server() -> FakeZooKeeper {
    let id = [&[0xff, 0, 0, 0, 8][..], b"master:1PBUF\x0a\x06", ID.as_bytes()].concat();
    let servers = (0..SERVERS).map(|at| (format!("/hbase/rs/host{at},1,1700000000000"), Vec::new()));
    FakeZooKeeper::new(servers.chain([("/hbase/hbaseid".to_owned(), id)]))
}

/// Encrypts the connections of a server; returns the address of that port.
pub(crate) async fn front(acceptor: TlsAcceptor, server: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                // errors are those of clients that have exited, or are refused
                let Ok(mut client) = acceptor.accept(client).await else { return };
                let mut server = TcpStream::connect(server).await.unwrap();
                drop(tokio::io::copy_bidirectional(&mut client, &mut server).await);
            });
        }
    });
    address
}

async fn front_of(acceptor: TlsAcceptor, server: &FakeZooKeeper) -> String {
    front(acceptor, server.address().to_string()).await
}

fn registry(quorum: &str, tls: Tls) -> ZooKeeperRegistry {
    Client::builder().zookeeper_tls(tls).unwrap().zookeeper_registry(quorum).unwrap()
}

/// Asks for the id of the cluster; fails unless there is an answer or an error by the deadline.
async fn ask(quorum: &str, tls: Tls, time: Duration) -> (Result<Option<String>>, Duration) {
    let registry = registry(quorum, tls);
    let asked = move || {
        let begin = Instant::now();
        let answer = registry.cluster_id(Deadline::after(time));
        (answer, begin.elapsed())
    };
    let (answer, elapsed) = spawn_blocking(asked).await.unwrap();
    assert!(elapsed < time + Duration::from_secs(10), "{elapsed:?}: {answer:?}");
    (answer, elapsed)
}

async fn id(quorum: &str, tls: Tls) -> Option<String> {
    ask(quorum, tls, PATIENCE).await.0.unwrap()
}

/// Returns the error of a request that is not tried again until the deadline, and names the server.
async fn refused(address: &str, tls: Tls) -> Error {
    let (answer, elapsed) = ask(address, tls, PATIENCE * 3).await;
    let error = answer.unwrap_err();
    assert!(elapsed < PATIENCE, "{error}");
    assert_eq!(error.kind(), ErrorKind::Remote, "{error}");
    assert!(error.to_string().contains(&format!("{address}/hbase/hbaseid")), "{error}");
    error
}

/// Returns the error of a request that is tried until the deadline, and names the server.
async fn late(address: &str, tls: Tls) -> Error {
    let error = ask(address, tls, Duration::from_millis(700)).await.0.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains(&format!("{address}/hbase/hbaseid")), "{error}");
    error
}

#[tokio::test]
async fn znodes_are_read_over_encrypted_connections() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let server = server();
        let address = front_of(authority.server_of(version, "127.0.0.1", 2100, None), &server).await;
        server.behave([Manner::Dribbles, Manner::Talkative]);
        for _ in 0..2 {
            assert_eq!(id(&address, authority.tls()).await.as_deref(), Some(ID));
        }
        // one session, and long answers
        let registry = registry(&address, authority.tls());
        let read = move || {
            for _ in 0..3 {
                let servers = registry.region_servers(Deadline::after(PATIENCE)).unwrap();
                assert_eq!(servers.len(), SERVERS);
            }
        };
        spawn_blocking(read).await.unwrap();
        let asked = server.asked();
        let read: Vec<usize> = asked.iter().filter(|(_, op, _)| *op != -11).map(|(at, ..)| *at).collect();
        assert_eq!(read, [0, 1, 2, 2, 2]);
    }
}

#[tokio::test]
async fn both_sides_trust_each_other() {
    let (authority, clients, server) = (Authority::new(), Authority::new(), server());
    for version in [&TLS12, &TLS13] {
        let acceptor = authority.server_of(version, "127.0.0.1", 2100, Some(&clients));
        let address = front_of(acceptor, &server).await;
        let known = authority.tls().keys(clients.keys("client", 2100), None).unwrap();
        assert_eq!(id(&address, known).await.as_deref(), Some(ID));
        let stranger = authority.tls().keys(authority.keys("client", 2100), None).unwrap();
        for tls in [authority.tls(), stranger] {
            if version.version == TLS12.version {
                let error = refused(&address, tls).await;
                assert!(error.message().contains("TLS: received fatal alert"), "{error}");
            } else {
                // a refusal after the handshake may be overtaken by the end of the connection
                let error = ask(&address, tls, Duration::from_millis(700)).await.0.unwrap_err();
                assert!(error.to_string().contains(&address), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_refused() {
    let (authority, other, server) = (Authority::new(), Authority::new(), server());
    let mut bad = Vec::new();
    for (acceptor, expected) in [
        (other.server("127.0.0.1", 2100, None), "UnknownIssuer"),
        (authority.server("127.0.0.1", 2001, None), "expired"),
        (authority.server("elsewhere", 2100, None), "not valid for name"),
    ] {
        let address = front_of(acceptor, &server).await;
        let error = refused(&address, authority.tls()).await;
        assert!(error.message().contains("encrypt the connection: TLS"), "{error}");
        assert!(error.message().contains(expected), "{error}");
        let any_host = authority.tls().verify_host(false);
        if expected == "not valid for name" {
            assert_eq!(id(&address, any_host).await.as_deref(), Some(ID));
        } else {
            refused(&address, any_host).await;
        }
        bad.push(address);
    }
    // others may be trusted
    bad.push(front_of(authority.acceptor(), &server).await);
    assert_eq!(id(&bad.join(","), authority.tls()).await.as_deref(), Some(ID));
}

#[tokio::test]
async fn versions_and_cipher_suites_must_be_in_common() {
    let (authority, server) = (Authority::new(), server());
    let address = front_of(authority.server_of(&TLS12, "127.0.0.1", 2100, None), &server).await;
    let suite = vec!["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256".to_owned()];
    let older = Tls { versions: vec![&TLS12], cipher_suites: suite, reload: true, ..authority.tls() };
    assert_eq!(id(&address, older).await.as_deref(), Some(ID));
    let error = refused(&address, Tls { versions: vec![&TLS13], ..authority.tls() }).await;
    assert!(error.message().contains("ProtocolVersion"), "{error}");
}

/// Servers without TLS: silent, closed, plain, or ending within the handshake.
#[tokio::test]
async fn a_handshake_that_fails_is_named_in_time() {
    const PLAIN: &str = "does the server encrypt its connections?";
    let authority = Authority::new();
    for (answer, is_final, expected) in [
        (None, false, "no answer in time"),
        (Some(&b""[..]), false, PLAIN),
        (Some(b"HTTP/1.1 400 Bad Request\r\n\r\n"), true, PLAIN),
        (Some(b"\x16\x03\x03\x00\x50\x02\x00"), false, PLAIN),
        (Some(b"\x15\x03\x03\x00\x02\x02\x28"), true, "HandshakeFailure"),
    ] {
        let address = answering(answer).await;
        let error = match is_final {
            true => refused(&address, authority.tls()).await,
            false => late(&address, authority.tls()).await,
        };
        assert!(error.message().contains(expected), "{error}");
    }
    // a client that does not encrypt
    let server = server();
    let address = front_of(authority.acceptor(), &server).await;
    let plain = ZooKeeperRegistry::new(&address).unwrap();
    let read = move || plain.cluster_id(Deadline::after(Duration::from_millis(700))).unwrap_err();
    let error = spawn_blocking(read).await.unwrap();
    assert!(error.to_string().contains(&address), "{error}");
    assert!(server.asked().is_empty());
}

/// A byte at a time is an answer each time, but not by the deadline.
#[tokio::test]
async fn a_handshake_without_an_end_ends_by_the_deadline() {
    let authority = Authority::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                for byte in b"\x16\x03\x03\x3f\xff\x02\x00\x3f\xf0".iter().chain(&[0; 10_000]) {
                    if stream.write_all(&[*byte]).await.is_err() {
                        return;
                    }
                    sleep(Duration::from_millis(20)).await;
                }
            });
        }
    });
    let begin = Instant::now();
    let error = late(&address, authority.tls()).await;
    assert!(error.message().contains("no answer in time"), "{error}");
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn sessions_that_fail_within_a_connection_are_errors_in_time() {
    let (authority, server) = (Authority::new(), server());
    let address = front_of(authority.acceptor(), &server).await;
    for (manner, expected) in [
        (Manner::Closes, "no answer in time"),
        (Manner::Silent, "no answer in time"),
        (Manner::Cuts(10), "no answer in time"),
        (Manner::Stops(10), "no answer in time"),
        (Manner::Greets(b"HTTP/1.1 400 Bad Request".to_vec()), "length of a packet"),
        (Manner::Replies(framed(b"short")), "hbaseid"),
    ] {
        server.behave(vec![manner; 50]);
        let answer = ask(&address, authority.tls(), Duration::from_millis(700)).await.0;
        let error = answer.unwrap_err();
        assert!(error.to_string().contains(&address) && error.to_string().contains(expected), "{error}");
    }
    // the same server may do better
    server.behave([Manner::Closes, Manner::Cuts(10)]);
    assert_eq!(id(&address, authority.tls()).await.as_deref(), Some(ID));
}

#[tokio::test]
async fn changed_and_cut_bytes_are_an_error_or_the_right_answer() {
    let (authority, server) = (Authority::new(), server());
    for version in [&TLS12, &TLS13] {
        let acceptor = authority.server_of(version, "127.0.0.1", 2100, None);
        let front = front_of(acceptor, &server).await;
        let (mut random, mut errors) = (Rng::new(3), 0);
        for case in 0..30 {
            let flip = (case % 3 > 0).then(|| 1 << random.below(8));
            let address = between(front.clone(), random.below(1100), flip).await;
            match ask(&address, authority.tls(), Duration::from_millis(300)).await.0 {
                Ok(answer) => assert_eq!(answer.as_deref(), Some(ID)),
                Err(_) => errors += 1,
            }
        }
        assert!(errors > 10, "{errors}");
    }
}

#[tokio::test]
async fn a_client_finds_its_settings_in_a_site_file() {
    let (authority, server) = (Authority::new(), server());
    let address = front_of(authority.acceptor(), &server).await;
    let (host, port) = address.split_once(':').unwrap();
    let site = authority.dir.path().join("hbase-site.xml");
    let trust = authority.trust();
    let property = |name: &str, value: &str| {
        format!("<property><name>hbase.zookeeper.{name}</name><value>{value}</value></property>")
    };
    let mut properties = [
        property("quorum", host),
        property("property.clientPort", port),
        property("property.client.secure", "true"),
        property("property.clientCnxnSocket", "org.apache.zookeeper.ClientCnxnSocketNetty"),
        property("property.ssl.trustStore.location", trust.to_str().unwrap()),
    ];
    let retries = RetryPolicy::default().pause(Duration::from_millis(1)).attempts(3);
    let builder = || Client::builder().retries(retries.operation_timeout(Duration::from_secs(20)));
    let write = |properties: &[String]| {
        fs::write(&site, format!("<configuration>{}</configuration>", properties.concat())).unwrap();
    };
    write(&properties);
    let client = builder().site(&site).unwrap();
    assert_eq!(client.cluster_id().await.unwrap().as_deref(), Some(ID));
    // by another name, which the certificate has not
    properties[0] = property("quorum", "localhost");
    write(&properties);
    let error = builder().site(&site).unwrap().cluster_id().await.unwrap_err();
    assert!(error.to_string().contains("localhost") && error.message().contains("not valid for name"));
    assert_eq!(error.kind(), ErrorKind::Remote, "{error}");
    // an unsupported setting is an error of the file
    properties[4] += &property("property.ssl.crl", "true");
    write(&properties);
    let error = builder().site(&site).unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("ssl.crl"), "{error}");
    assert!(error.message().contains("hbase-site.xml"), "{error}");
}

#[test]
fn settings_are_shown_without_keys() {
    let authority = Authority::new();
    let keys = authority.keys("client", 2100);
    let tls = ZooKeeperTls::new(authority.tls().keys(&keys, None).unwrap()).unwrap();
    let shown = format!("{tls:?}");
    assert!(shown.contains(keys.to_str().unwrap()) && !shown.contains("PRIVATE"), "{shown}");
    assert!(ZooKeeperTls::new(Tls::trusting("/no/trust.pem", None).unwrap()).is_err());
}
