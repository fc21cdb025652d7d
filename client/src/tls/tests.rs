//! Handshakes with servers of this process: each ends in an encrypted connection, or in an error with the
//! reason.

pub(crate) mod zookeeper;

use super::*;
use crate::Client;
use crate::connection::ConnectionSettings;
use crate::connection::tests::settings;
use crate::connections::{CLIENT_SERVICE, Connections};
use crate::hostile_tests::fake::{Cluster, expected_row, row_key};
use crate::rng::Rng;
use hregion::locator::RetryPolicy;
use hregion::{Deadline, Get, Row, TableName};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use std::fs;
use std::future::ready;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::mpsc;
use std::time::Instant;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::runtime::Builder;
use tokio::select;
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::server::WebPkiClientVerifier;

const PATIENCE: Duration = Duration::from_secs(20);

/// An authority, and the folder of its files.
pub(crate) struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
    dir: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let dir = tempfile::tempdir().unwrap();
        // authorities of the same name would be told apart by their signatures only
        params.distinguished_name.push(DnType::CommonName, dir.path().to_str().unwrap());
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(dir.path().join("trust.pem"), issuer.pem()).unwrap();
        Self { issuer, dir }
    }

    pub(crate) fn trust(&self) -> PathBuf {
        self.dir.path().join("trust.pem")
    }

    /// Writes a key and its certificate, for a name and a time.
    fn keys(&self, name: &str, last_year: i32) -> PathBuf {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2000, 1, 1);
        params.not_after = rcgen::date_time_ymd(last_year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let path = self.dir.path().join(format!("{name}-{last_year}.pem"));
        fs::write(&path, certificate.pem() + &key.serialize_pem()).unwrap();
        path
    }

    /// Returns the encryption of connections of a server with a certificate for a name, which trusts the
    /// clients of an authority, if any.
    fn server(&self, name: &str, last_year: i32, clients: Option<&Self>) -> TlsAcceptor {
        self.server_of(&TLS13, name, last_year, clients)
    }

    fn server_of(
        &self,
        version: &'static SupportedProtocolVersion,
        name: &str,
        last_year: i32,
        clients: Option<&Self>,
    ) -> TlsAcceptor {
        let keys = KeyFile::new(&self.keys(name, last_year), None, None).unwrap();
        let (chain, key): (_, PrivateKeyDer<'static>) = keys.key().unwrap();
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&[version]).unwrap();
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.issuer.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
        };
        TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()))
    }

    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.server("127.0.0.1", 2100, None)
    }

    pub(crate) fn tls(&self) -> Tls {
        Tls::trusting(self.trust(), None).unwrap().handshake_timeout(Duration::from_millis(500))
    }
}

fn client(addresses: &str, tls: Tls) -> Client {
    let retries = RetryPolicy::default().pause(Duration::from_millis(1)).attempts(3);
    let retries = retries.operation_timeout(Duration::from_secs(2));
    let builder = Client::builder().retries(retries).connect_timeout(Duration::from_millis(600));
    builder.rpc_timeout(Duration::from_millis(600)).tls(tls).unwrap().bootstrap(addresses).unwrap()
}

async fn get(addresses: &str, tls: Tls) -> Result<Row> {
    let begin = Instant::now();
    let table = client(addresses, tls).table(&TableName::parse("t").unwrap());
    let got = table.get(&Get::new(row_key(7))).await;
    assert!(begin.elapsed() < PATIENCE);
    got
}

fn is_right(row: &Row) -> bool {
    row.cells().map(|cell| cell.value()).eq(expected_row(7).cells().map(|cell| cell.value()))
}

/// A file may be on a disk that does not answer. Reading takes one of the threads that resolve names, and
/// leaves the others to other connections.
#[test]
fn files_are_not_read_again_on_a_thread_of_connections() {
    let authority = Authority::new();
    let client = TlsClient::new(Tls { reload: true, ..authority.tls() }).unwrap();
    let runtime = Builder::new_current_thread().enable_all().max_blocking_threads(1).build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let streams =
            (TcpStream::connect(address).await.unwrap(), TcpStream::connect(address).await.unwrap());
        // the only other thread is busy
        let (release, released) = mpsc::channel::<()>();
        let busy = spawn_blocking(move || released.recv());
        let trust = fs::read(authority.trust()).unwrap();
        fs::remove_file(authority.trust()).unwrap();
        let mut first = pin!(client.encrypt("127.0.0.1", streams.0));
        let mut second = pin!(client.encrypt("127.0.0.1", streams.1));
        select! {
            biased;
            _ = &mut first => panic!("the file is read at once"),
            _ = &mut second => panic!("the file is read at once"),
            () = ready(()) => {}
        }
        fs::write(authority.trust(), trust).unwrap();
        // after the first reading, and before the second one
        let path = authority.trust();
        let damaged = spawn_blocking(move || fs::write(path, "none"));
        release.send(()).unwrap();
        busy.await.unwrap().unwrap();
        damaged.await.unwrap().unwrap();
        // the handshake begins, and there is no answer
        assert_eq!(first.await.err().unwrap().kind(), io::ErrorKind::TimedOut);
        assert_eq!(second.await.err().unwrap().kind(), io::ErrorKind::InvalidInput);
    });
}

#[tokio::test]
async fn both_sides_trust_each_other() {
    let (authority, clients) = (Authority::new(), Authority::new());
    for version in [&TLS12, &TLS13] {
        let plain = Cluster::over(authority.server_of(version, "127.0.0.1", 2100, None)).await;
        assert!(is_right(&get(&plain.addresses(), authority.tls()).await.unwrap()));
        let mutual = Cluster::over(authority.server_of(version, "127.0.0.1", 2100, Some(&clients))).await;
        let known = authority.tls().keys(clients.keys("client", 2100), None).unwrap();
        assert!(is_right(&get(&mutual.addresses(), known).await.unwrap()));
        let stranger = authority.tls().keys(authority.keys("client", 2100), None).unwrap();
        for refused in [authority.tls(), stranger] {
            let error = get(&mutual.addresses(), refused).await.unwrap_err();
            let named = error.message().contains("TLS: received fatal alert");
            // a refusal after the handshake may be overtaken by the end of the connection
            assert!(named || version.version == TLS13.version, "{error}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_not_trusted_is_refused() {
    let (authority, other) = (Authority::new(), Authority::new());
    for (acceptor, expected) in [
        (other.server("127.0.0.1", 2100, None), "UnknownIssuer"),
        (authority.server("127.0.0.1", 2001, None), "expired"),
        (authority.server("elsewhere", 2100, None), "not valid for name"),
    ] {
        let cluster = Cluster::over(acceptor).await;
        let error = get(&cluster.addresses(), authority.tls()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Remote, "{error}");
        assert!(error.message().contains("127.0.0.1") && error.message().contains(expected), "{error}");
        let error = get(&cluster.addresses(), authority.tls().verify_host(false)).await;
        assert_eq!(error.is_ok(), expected == "not valid for name");
    }
}

#[tokio::test]
async fn versions_and_cipher_suites_must_be_in_common() {
    let authority = Authority::new();
    let cluster = Cluster::over(authority.server_of(&TLS12, "127.0.0.1", 2100, None)).await;
    let only = |suite: &str| Tls { cipher_suites: vec![suite.into()], ..authority.tls() };
    let both = only("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256");
    assert!(is_right(&get(&cluster.addresses(), Tls { versions: vec![&TLS12], ..both }).await.unwrap()));
    let newer = Tls { versions: vec![&TLS13], reload: true, ..authority.tls() };
    let error = get(&cluster.addresses(), newer).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Remote && error.message().contains("ProtocolVersion"), "{error}");
    let error = TlsClient::new(only("TLS_RSA_WITH_NULL_MD5")).unwrap_err();
    assert!(error.kind() == ErrorKind::Unsupported && error.message().contains("NULL"), "{error}");
}

/// Unsuitable servers: silent, closed, plain, or ending within the handshake.
#[tokio::test]
async fn a_handshake_that_fails_is_named_in_time() {
    let authority = Authority::new();
    let plain = Cluster::start().await;
    let error = get(&plain.addresses(), authority.tls()).await.unwrap_err();
    assert!(error.message().contains("TLS"), "{error}");
    for (answer, expected) in [
        (None, "TLS handshake: no answer in time"),
        (Some(&b""[..]), "TLS handshake"),
        (Some(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "does the server encrypt its connections?"),
        (Some(b"\x16\x03\x03\x00\x50\x02\x00"), "TLS handshake"),
        (Some(b"\x15\x03\x03\x00\x02\x02\x28"), "HandshakeFailure"),
    ] {
        let address = answering(answer).await;
        let error = get(&address, authority.tls()).await.unwrap_err();
        assert!(error.message().contains(expected) && error.message().contains(&address), "{error}");
    }
}

/// Starts a server that answers each connection with these bytes and ends it, or never answers. Returns its
/// address.
pub(super) async fn answering(answer: Option<&'static [u8]>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut hello = [0; 2000];
                // an error is a client that has gone
                let _ = stream.read(&mut hello).await;
                match answer {
                    Some(answer) => drop(stream.write_all(answer).await),
                    None => sleep(PATIENCE).await,
                }
            });
        }
    });
    address
}

/// Passes bytes on to a server, and changes or ends the response at a position.
async fn between(server: String, place: usize, flip: Option<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let server = TcpStream::connect(&server).await.unwrap();
            tokio::spawn(async move {
                let ((mut up, mut down), (mut back, mut out)) = (client.into_split(), server.into_split());
                tokio::spawn(async move { tokio::io::copy(&mut up, &mut out).await });
                let (mut seen, mut bytes) = (0, [0; 4096]);
                while let Ok(len @ 1..) = back.read(&mut bytes).await {
                    let here = place.checked_sub(seen).filter(|at| *at < len);
                    match (here, flip) {
                        (Some(at), Some(bit)) => bytes[at] ^= bit,
                        (Some(at), None) => {
                            let _ = down.write_all(&bytes[..at]).await;
                            return;
                        }
                        (None, _) => {}
                    }
                    seen += len;
                    if down.write_all(&bytes[..len]).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

#[tokio::test]
async fn changed_and_cut_bytes_are_an_error_or_the_right_answer() {
    let authority = Authority::new();
    for version in [&TLS12, &TLS13] {
        let cluster = Cluster::over(authority.server_of(version, "127.0.0.1", 2100, None)).await;
        let server = cluster.addresses().split(',').next().unwrap().to_owned();
        let (mut random, mut errors) = (Rng::new(3), 0);
        for case in 0..60 {
            let flip = (case % 3 > 0).then(|| 1 << random.below(8));
            let address = between(server.clone(), random.below(1200), flip).await;
            match get(&address, authority.tls()).await {
                Ok(row) => assert!(is_right(&row)),
                Err(_) => errors += 1,
            }
        }
        assert!(errors > 20, "{errors}");
    }
}

#[test]
fn files_of_keys_are_read_or_named() {
    let authority = Authority::new();
    let dir = authority.dir.path();
    let missing = Tls::trusting(dir.join("missing.pem"), None).unwrap();
    assert_eq!(TlsClient::new(missing).unwrap_err().kind(), ErrorKind::Io);
    for (name, bytes) in [
        ("empty.pem", &b""[..]),
        ("cut.pem", b"-----BEGIN CERTIFICATE-----\nAAAA"),
        ("odd.pem", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"),
        ("odd.p12", b"0\x82\xff\xff"),
    ] {
        fs::write(dir.join(name), bytes).unwrap();
        let error = TlsClient::new(Tls::trusting(dir.join(name), None).unwrap()).unwrap_err();
        assert!(error.message().contains(name), "{error}");
        let error = TlsClient::new(authority.tls().keys(dir.join(name), None).unwrap()).unwrap_err();
        assert!(error.message().contains(name), "{error}");
    }
    fs::write(dir.join("secret.pem"), "-----BEGIN ENCRYPTED PRIVATE KEY-----\n").unwrap();
    let error = TlsClient::new(authority.tls().keys(dir.join("secret.pem"), None).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    fs::write(dir.join("long.pem"), vec![b'\n'; (1 << 20) + 1]).unwrap();
    let error = TlsClient::new(Tls::trusting(dir.join("long.pem"), None).unwrap()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    // a device has no length
    #[cfg(target_os = "linux")]
    {
        std::os::unix::fs::symlink("/dev/zero", dir.join("endless.pem")).unwrap();
        let error = TlsClient::new(Tls::trusting(dir.join("endless.pem"), None).unwrap()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Limit, "{error}");
    }
    for name in ["trust.jks", "trust"] {
        assert_eq!(Tls::trusting(name, None).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}

/// The server sees the end of the session, and of the connection, when it is no longer used.
#[tokio::test]
async fn a_connection_that_is_not_used_is_closed() {
    let (authority, listener) = (Authority::new(), TcpListener::bind("127.0.0.1:0").await.unwrap());
    let (acceptor, port) = (authority.acceptor(), listener.local_addr().unwrap().port());
    let settings = ConnectionSettings {
        tls: Some(TlsClient::new(authority.tls()).unwrap()),
        ..settings(Duration::from_millis(200))
    };
    let connections = Connections::new(settings);
    let server = async {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = acceptor.accept(stream).await.unwrap();
        // an end without that of the session is an error
        stream.read_to_end(&mut Vec::new()).await.unwrap();
        stream
    };
    let open = connections.get("127.0.0.1", port, CLIENT_SERVICE, Deadline::after(PATIENCE));
    let (opened, stream) = timeout(PATIENCE, async { tokio::join!(open, server) }).await.unwrap();
    let opened = opened.unwrap();
    assert!(!opened.is_open());
    // the client does not wait for the server to close its side
    let mut stream = stream.into_inner().0;
    let written = async {
        while stream.write_all(&[0; 1000]).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(PATIENCE, written).await.expect("an end of the connection");
}
