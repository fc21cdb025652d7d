//! Sessions with a ZooKeeper of this process, which authenticates the client.

use super::*;
use hregion::locator::ZooKeeperRegistry;
use hregion::{ConnectionRegistry as _, Deadline};
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

const CONNECT: i32 = -1000;
const GET_DATA: i32 = 4;
const GET_CHILDREN: i32 = 8;
const CLOSE: i32 = -11;
const SASL: i32 = 102;
const NO_AUTH: i32 = -102;
const AUTH_FAILED: i32 = -115;
const SASL_REQUIRED: i32 = -124;

/// A request: its operation, and the token or the path.
type Asked = (i32, Vec<u8>);

/// The reaction of a server to a token, by its number from 0.
enum Reply {
    /// The correct one.
    Right,
    /// Another token, or none.
    Token(Option<Vec<u8>>),
    /// An error, and the end of the session.
    Error(i32),
    /// These bytes.
    Raw(Vec<u8>),
    Closes,
    Silent,
}

type Behaviour = fn(usize) -> Reply;

/// A server of ZooKeeper with the id of a cluster, which sessions may read that are authenticated.
struct FakeZooKeeper {
    address: String,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl FakeZooKeeper {
    fn start(behaviour: Behaviour) -> Self {
        Self::with(behaviour, NO_AUTH)
    }

    /// Starts a server that answers to other sessions with an error.
    fn with(behaviour: Behaviour, error: i32) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let noted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let noted = Arc::clone(&noted);
                // an error is a client that has gone
                std::thread::spawn(move || drop(session(stream.unwrap(), behaviour, error, &noted)));
            }
        });
        Self { address, asked }
    }

    fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

fn receive(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let mut packet = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut packet)?;
    Ok(packet)
}

/// A buffer of ZooKeeper.
fn buffer(bytes: Option<&[u8]>) -> Vec<u8> {
    bytes.map_or_else(|| vec![0xFF; 4], with_len)
}

fn session(
    mut stream: TcpStream,
    behaviour: Behaviour,
    error: i32,
    asked: &Mutex<Vec<Asked>>,
) -> io::Result<()> {
    assert_eq!(receive(&mut stream)?.len(), 45);
    asked.lock().unwrap().push((CONNECT, Vec::new()));
    let granted = [&[0; 4], &30_000i32.to_be_bytes()[..], &[7; 8], &buffer(Some(&[9; 16])), &[0]].concat();
    stream.write_all(&with_len(&granted))?;
    let (mut tokens, mut context) = (0, FakeContext::of(Fake::default()));
    loop {
        let request = receive(&mut stream)?;
        let field = |at: usize| i32::from_be_bytes(request[at..at + 4].try_into().unwrap());
        let (xid, op) = (field(0), field(4));
        let reply = |error: i32, result: &[u8]| {
            with_len(&[&xid.to_be_bytes()[..], &[0; 8], &error.to_be_bytes(), result].concat())
        };
        let text = |at: usize| request[at + 4..][..usize::try_from(field(at)).unwrap()].to_vec();
        match op {
            CLOSE => return Ok(()),
            GET_DATA | GET_CHILDREN => {
                asked.lock().unwrap().push((op, text(8)));
                let data = [buffer(Some(b"the-id")), vec![0; 68]].concat();
                let is_known = tokens == 3;
                stream.write_all(&if is_known { reply(0, &data) } else { reply(error, &[]) })?;
                if error == SASL_REQUIRED && !is_known {
                    return Ok(());
                }
            }
            SASL => {
                let token = text(8);
                asked.lock().unwrap().push((op, token.clone()));
                let answer = match (behaviour(tokens), tokens) {
                    (Reply::Right, 0) => reply(0, &buffer(Some(SERVER_TOKEN))),
                    (Reply::Right, 1) => {
                        reply(0, &buffer(Some(&context.wrap(&[7, 0, 0, 0], false).unwrap())))
                    }
                    (Reply::Right, _) => {
                        assert_eq!(context.unwrap(&token).unwrap(), (vec![1, 0, 0, 0], false));
                        reply(0, &buffer(None))
                    }
                    (Reply::Token(token), _) => reply(0, &buffer(token.as_deref())),
                    (Reply::Error(code), _) => {
                        stream.write_all(&reply(code, &buffer(None)))?;
                        return Ok(());
                    }
                    (Reply::Raw(bytes), _) => bytes,
                    (Reply::Closes, _) => return Ok(()),
                    (Reply::Silent, _) => Vec::new(),
                };
                stream.write_all(&answer)?;
                tokens += 1;
            }
            other => panic!("operation {other}"),
        }
    }
}

/// Records the principals that servers are expected to have, and the keys of the client.
#[derive(Debug)]
struct Noting(Arc<Mutex<Vec<String>>>, Fake);

impl Mechanism for Noting {
    fn begin(&self, target: &Target, login: &Login) -> Result<Box<dyn Context>, GssError> {
        let keytab = login.keytab.as_ref().map(|(path, _)| path.display().to_string());
        self.0.lock().unwrap().push(format!("{target} {}", keytab.unwrap_or_default()));
        self.1.begin(target, login)
    }
}

fn zookeeper_settings() -> Kerberos {
    settings().zookeeper_principal("zookeeper/_HOST@EXAMPLE.COM").unwrap()
}

fn registry(server: &FakeZooKeeper, settings: Kerberos, fake: Fake) -> ZooKeeperRegistry {
    builder(settings, fake).zookeeper_registry(&server.address).unwrap()
}

fn soon() -> Deadline {
    Deadline::after(Duration::from_millis(700))
}

#[test]
fn sessions_are_authenticated_once() {
    let server = FakeZooKeeper::start(|_| Reply::Right);
    let registry = registry(&server, zookeeper_settings(), Fake::default());
    for _ in 0..3 {
        assert_eq!(registry.cluster_id(soon()).unwrap().as_deref(), Some("the-id"));
    }
    let asked = server.asked();
    let ops: Vec<i32> = asked.iter().map(|(op, _)| *op).collect();
    assert_eq!(ops, [CONNECT, SASL, SASL, SASL, GET_DATA, GET_DATA, GET_DATA]);
    assert_eq!((&asked[1].1[..], &asked[2].1[..]), (CLIENT_TOKEN, &[][..]));
    assert_eq!(asked[4].1, b"/hbase/hbaseid");
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn sessions_are_authenticated_over_encrypted_connections() {
    use crate::tls::tests::{Authority, zookeeper::front};
    let (authority, server) = (Authority::new(), FakeZooKeeper::start(|_| Reply::Right));
    let address = front(authority.acceptor(), server.address.clone()).await;
    let builder = || builder(zookeeper_settings(), Fake::default());
    let secured = builder().zookeeper_tls(authority.tls()).unwrap().zookeeper(&address).unwrap();
    assert_eq!(secured.cluster_id().await.unwrap().as_deref(), Some("the-id"));
    let ops: Vec<i32> = server.asked().iter().map(|(op, _)| *op).collect();
    assert_eq!(ops, [CONNECT, SASL, SASL, SASL, GET_DATA]);
    // no token is sent to a server that is not trusted
    let other = builder().zookeeper_tls(Authority::new().tls()).unwrap().zookeeper(&address).unwrap();
    let error = other.cluster_id().await.unwrap_err();
    assert!(error.kind() == ErrorKind::Remote && error.message().contains("UnknownIssuer"), "{error}");
    assert!(server.asked().is_empty());
}

#[test]
fn servers_are_known_by_their_principal() {
    for (own, expected) in [(false, "zookeeper/127.0.0.1@EXAMPLE.COM /keys"), (true, "zk/h@R /other")] {
        let server = FakeZooKeeper::start(|_| Reply::Right);
        let mut settings = zookeeper_settings().keytab("/keys", None);
        if own {
            settings = settings.zookeeper_principal("zk/h@R").unwrap();
            settings = settings.zookeeper_keytab("/other", Some("me@R"));
        }
        let mut builder = builder(settings.clone(), Fake::default());
        let noted = Arc::<Mutex<Vec<String>>>::default();
        let mechanism = Arc::new(Noting(Arc::clone(&noted), Fake::default()));
        builder.connections.kerberos =
            Some(KerberosClient { settings, mechanism: Arc::new(Fake::default()), of_zookeeper: mechanism });
        let registry = builder.zookeeper_registry(&server.address).unwrap();
        assert!(registry.cluster_id(soon()).unwrap().is_some());
        assert_eq!(*noted.lock().unwrap(), [expected]);
    }
}

#[tokio::test]
async fn sessions_are_anonymous_unless_asked_for() {
    let server = FakeZooKeeper::start(|_| Reply::Right);
    for builder in [builder(settings(), Fake::default()), Client::builder()] {
        let begin = Instant::now();
        let client = builder.zookeeper(&server.address).unwrap();
        let error = client.cluster_id().await.unwrap_err();
        // refused once, and not tried again
        assert!(error.kind() == ErrorKind::Remote && begin.elapsed() < PATIENCE, "{error}");
        let expected = format!("{}/hbase/hbaseid", server.address);
        assert!(error.to_string().contains(&expected), "{error}");
        assert!(error.message().contains("-102: no authority to read it"), "{error}");
        let ops: Vec<i32> = server.asked().into_iter().map(|(op, _)| op).collect();
        assert_eq!(ops, [CONNECT, GET_DATA]);
    }
    let strict = FakeZooKeeper::with(|_| Reply::Right, SASL_REQUIRED);
    let client = Client::builder().zookeeper(&strict.address).unwrap();
    let error = client.cluster_id().await.unwrap_err();
    assert!(error.message().contains("requires that it is authenticated by SASL"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Remote);
    let client = builder(zookeeper_settings(), Fake::default()).zookeeper(&strict.address).unwrap();
    assert_eq!(client.cluster_id().await.unwrap().as_deref(), Some("the-id"));
    // an operation is not tried again either
    let client = Client::builder().zookeeper(&server.address).unwrap();
    let begin = Instant::now();
    let error = client.table(&TableName::parse("t").unwrap()).get(&Get::new("r")).await.unwrap_err();
    assert!(error.message().contains("ZooKeeper's error"), "{error}");
    assert!(begin.elapsed() < PATIENCE);
}

/// Reads from a server that does not authenticate the session.
fn refused(behaviour: Behaviour, fake: Fake) -> Error {
    let server = FakeZooKeeper::start(behaviour);
    let begin = Instant::now();
    let error = registry(&server, zookeeper_settings(), fake).cluster_id(soon()).unwrap_err();
    assert!(begin.elapsed() < PATIENCE);
    assert!(error.to_string().contains(&server.address), "{error}");
    let read = server.asked().into_iter().find(|(op, _)| *op == GET_DATA);
    assert_eq!(read, None, "{error}");
    error
}

#[test]
fn sessions_that_are_not_authenticated_are_errors() {
    fn at(number: usize, wanted: usize, reply: Reply) -> Reply {
        if number == wanted { reply } else { Reply::Right }
    }
    let behaviours: [(Behaviour, &str); 11] = [
        (|_| Reply::Error(AUTH_FAILED), "authenticate the session by SASL: ZooKeeper's error -115"),
        (|number| at(number, 1, Reply::Error(AUTH_FAILED)), "-115: authentication failed"),
        (|number| at(number, 2, Reply::Error(AUTH_FAILED)), "-115: authentication failed"),
        (|number| at(number, 2, Reply::Error(SASL_REQUIRED)), "requires that it is authenticated"),
        (|_| Reply::Token(None), "the server sends no token"),
        (|number| at(number, 1, Reply::Token(None)), "the server sends no token"),
        (|_| Reply::Token(Some(b"I am somebody else".to_vec())), "that is not the server"),
        (|number| at(number, 1, Reply::Token(Some(b"unprotected".to_vec()))), "a wrong sum"),
        (
            |number| {
                let mut context = FakeContext::of(Fake::default());
                at(number, 1, Reply::Token(Some(context.wrap(&[6, 0, 0, 0], false).unwrap())))
            },
            "requires protected messages",
        ),
        (
            |number| {
                let mut context = FakeContext::of(Fake::default());
                at(number, 1, Reply::Token(Some(context.wrap(&[7, 0, 0], false).unwrap())))
            },
            "not four bytes",
        ),
        (|_| Reply::Token(Some(Vec::new())), "too many tokens"),
    ];
    for (behaviour, expected) in behaviours {
        let error = refused(behaviour, Fake::default());
        assert!(error.message().contains(expected), "{error}: {expected}");
        assert_eq!(error.kind(), ErrorKind::Remote, "{error}");
    }
    let endless =
        refused(|_| Reply::Token(Some(SERVER_TOKEN.to_vec())), Fake { is_endless: true, ..Fake::default() });
    assert!(endless.message().contains("too many tokens"), "{endless}");
}

#[test]
fn servers_that_may_answer_later_are_asked_until_the_deadline() {
    let behaviours: [(Behaviour, &str); 6] = [
        (|_| Reply::Closes, "authenticate the session by SASL"),
        (|number| if number == 2 { Reply::Closes } else { Reply::Right }, "authenticate the session by SASL"),
        (|_| Reply::Silent, "no answer in time"),
        // the length of a packet that is too long, and a token that is longer than its packet
        (|_| Reply::Raw(vec![0x7F, 0xFF, 0xFF, 0xFF]), "length of a packet"),
        (|_| Reply::Raw(vec![0xFF; 4]), "length of a packet"),
        (
            |_| {
                Reply::Raw(with_len(&[&1i32.to_be_bytes()[..], &[0; 12], &[0x7F, 0xFF, 0xFF, 0xFF]].concat()))
            },
            "SASL token",
        ),
    ];
    for (behaviour, expected) in behaviours {
        let error = refused(behaviour, Fake::default());
        assert!(error.message().contains(expected), "{error}: {expected}");
    }
}

#[test]
fn failures_of_the_mechanism_are_those_of_the_session() {
    let failing = |is_transient| Fake { failure: Some(("no tickets", is_transient)), ..Fake::default() };
    let fatal = refused(|_| Reply::Right, failing(false));
    assert!(
        fatal.message().ends_with("Kerberos: no tickets") && fatal.kind() == ErrorKind::Remote,
        "{fatal}"
    );
    let later = refused(|_| Reply::Right, failing(true));
    assert!(later.message().contains("no tickets") && later.kind().is_transient(), "{later}");
    let slow = Fake { wait: Duration::from_secs(60), ..Fake::default() };
    let late = refused(|_| Reply::Right, slow);
    assert!(late.kind().is_transient(), "{late}");
}
