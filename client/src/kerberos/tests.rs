//! Exchanges with servers in this process, with a mechanism that only counts: each ends with a connection, or
//! with an error that names the cause, in time.

mod zookeeper;

use super::exchange::Agreement;
use super::mechanism::{Context, GssError, Login, Mechanism, Step};
use super::*;
use crate::hostile_tests::fake::{Cluster, ROWS, expected_row, row_key};
use crate::proto::ConnectionHeader;
use crate::transport::Plain;
use crate::{Client, ClientBuilder};
use hregion::locator::RetryPolicy;
use hregion::{Get, Put, Scan, TableName};
use prost::Message;
use std::sync::Mutex;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex, split};
use tokio::net::{TcpListener, TcpStream};

const PATIENCE: Duration = Duration::from_secs(20);

const CLIENT_TOKEN: &[u8] = b"I am the client";
const SERVER_TOKEN: &[u8] = b"I am the server";

/// Authenticates the server by one token.
#[derive(Clone, Copy, Debug, Default)]
struct Fake {
    /// Never finishes authenticating the server.
    is_endless: bool,
    /// Fails at the first step.
    failure: Option<(&'static str, bool)>,
    /// Waits at the first step.
    wait: Duration,
}

impl Mechanism for Fake {
    fn begin(&self, _: &Target, _: &Login) -> Result<Box<dyn Context>, GssError> {
        Ok(Box::new(FakeContext::of(*self)))
    }
}

/// Adds a number to each message, and inverts it if encryption is requested.
struct FakeContext {
    fake: Fake,
    sent: u32,
    received: u32,
}

/// The number of bytes added before and after a message.
const ADDED: usize = 6;

impl FakeContext {
    fn of(fake: Fake) -> Self {
        Self { fake, sent: 0, received: 0 }
    }
}

impl Context for FakeContext {
    fn step(&mut self, token: &[u8]) -> Result<Step, GssError> {
        if token.is_empty() {
            std::thread::sleep(self.fake.wait);
            if let Some((message, is_transient)) = self.fake.failure {
                return Err(GssError { message: message.to_owned(), is_transient });
            }
            return Ok(Step { token: CLIENT_TOKEN.to_vec(), is_complete: false });
        }
        if token != SERVER_TOKEN {
            return Err(GssError::new("that is not the server"));
        }
        Ok(Step { token: Vec::new(), is_complete: !self.fake.is_endless })
    }

    fn wrap(&mut self, message: &[u8], encrypt: bool) -> Result<Vec<u8>, GssError> {
        let mut token = self.sent.to_be_bytes().to_vec();
        token.push(encrypt.into());
        token.extend(message.iter().map(|byte| if encrypt { !byte } else { *byte }));
        token.push(token.iter().fold(0, |sum, byte| byte.wrapping_add(sum)));
        self.sent += 1;
        Ok(token)
    }

    fn unwrap(&mut self, token: &[u8]) -> Result<(Vec<u8>, bool), GssError> {
        let wrong = || GssError::new("a wrong sum");
        let (sum, rest) = token.split_last().ok_or_else(wrong)?;
        if rest.iter().fold(0u8, |sum, byte| byte.wrapping_add(sum)) != *sum {
            return Err(wrong());
        }
        let (number, rest) = rest.split_at_checked(4).ok_or_else(wrong)?;
        let ([encrypted], message) = rest.split_at_checked(1).ok_or_else(wrong)? else { return Err(wrong()) };
        if number != self.received.to_be_bytes() {
            return Err(GssError::new("a wrong number"));
        }
        self.received += 1;
        let is_encrypted = *encrypted != 0;
        Ok((message.iter().map(|byte| if is_encrypted { !byte } else { *byte }).collect(), is_encrypted))
    }

    fn max_message(&mut self, max: u32, _: bool) -> Result<u32, GssError> {
        Ok(max.saturating_sub(ADDED as u32))
    }
}

fn settings() -> Kerberos {
    Kerberos::new("hbase/_HOST@EXAMPLE.COM").unwrap()
}

fn builder(settings: Kerberos, fake: Fake) -> ClientBuilder {
    let retries = RetryPolicy::default().pause(Duration::from_millis(1)).attempts(3);
    let retries = retries.operation_timeout(Duration::from_secs(2));
    let mut builder = Client::builder().retries(retries).connect_timeout(Duration::from_millis(600));
    let mechanism = Arc::new(fake);
    let of_zookeeper = Arc::<Fake>::clone(&mechanism);
    builder.connections.kerberos = Some(KerberosClient { settings, mechanism, of_zookeeper });
    // the time limit of a connection ends earlier
    builder.rpc_timeout(Duration::from_millis(1200)).max_response_size(1 << 20)
}

fn with_len(token: &[u8]) -> Vec<u8> {
    [&(token.len() as u32).to_be_bytes(), token].concat()
}

/// A successful answer with a token.
fn success(token: &[u8]) -> Vec<u8> {
    [&[0; 4], &with_len(token)[..]].concat()
}

/// An answer with an error.
fn refusal(class: &str, message: &str) -> Vec<u8> {
    [&[0, 0, 0, 1], &with_len(class.as_bytes())[..], &with_len(message.as_bytes())].concat()
}

async fn read_token(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut token = vec![0; stream.read_u32().await? as usize];
    stream.read_exact(&mut token).await?;
    Ok(token)
}

/// The token in which a server offers protections, and limits the length of messages.
fn offer(context: &mut FakeContext, protections: u8, max: u32) -> Vec<u8> {
    let [_, high, middle, low] = max.to_be_bytes();
    success(&context.wrap(&[protections, high, middle, low], false).unwrap())
}

/// The side of a server up to the header. Returns the chosen protection, and the server's context.
async fn accept(stream: &mut TcpStream, offered: u8, max: u32) -> io::Result<(u8, FakeContext)> {
    let mut preamble = [0; 6];
    stream.read_exact(&mut preamble).await?;
    assert_eq!(&preamble, b"HBas\0\x51");
    assert_eq!(read_token(stream).await?, CLIENT_TOKEN);
    stream.write_all(&success(SERVER_TOKEN)).await?;
    assert_eq!(read_token(stream).await?, b"");
    let mut context = FakeContext::of(Fake::default());
    stream.write_all(&offer(&mut context, offered, max)).await?;
    let answer = read_token(stream).await?;
    let (answer, is_encrypted) = context.unwrap(&answer).unwrap();
    assert!(!is_encrypted && answer.len() == 4, "{answer:?}");
    let is_wrapped = answer[0] != 1;
    assert_eq!(answer[1..] == [0, 0, 0], !is_wrapped);
    Ok((answer[0], context))
}

/// The protection of a connection, and the user that its header names.
type Accepted = (u8, Option<String>);

/// The connections accepted by authenticating servers.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Accepted>>>);

impl Seen {
    /// Authenticates a client, and returns a connection like one of a client that does not authenticate.
    async fn serve(self, mut stream: TcpStream, offered: u8, max: u32) -> Option<DuplexStream> {
        let (chosen, context) = accept(&mut stream, offered, max).await.ok()?;
        let (inner, mut outer) = duplex(1 << 16);
        outer.write_all(b"HBas\0\x50").await.ok()?;
        let (mut plain_in, mut plain_out) = split(outer);
        let (mut tokens_in, mut tokens_out) = stream.into_split();
        let context = Arc::new(Mutex::new(context));
        let of_client = Arc::clone(&context);
        tokio::spawn(async move {
            let mut is_first = true;
            loop {
                let len = tokens_in.read_u32().await?;
                let mut bytes = vec![0; len as usize];
                tokens_in.read_exact(&mut bytes).await?;
                let bytes = if chosen == 1 {
                    with_len(&bytes)
                } else {
                    assert!(len <= max, "{len} bytes of {max}");
                    let (message, is_encrypted) = of_client.lock().unwrap().unwrap(&bytes).unwrap();
                    assert_eq!(is_encrypted, chosen == 4);
                    message
                };
                if std::mem::take(&mut is_first) && bytes.len() > 4 {
                    let header = ConnectionHeader::decode(&bytes[4..]);
                    let user = header.ok().and_then(|header| header.user_info?.effective_user);
                    self.0.lock().unwrap().push((chosen, user));
                }
                plain_out.write_all(&bytes).await?;
            }
            #[allow(unreachable_code, reason = "the type of the block")]
            io::Result::Ok(())
        });
        tokio::spawn(async move {
            let mut bytes = vec![0; 1 << 16];
            loop {
                let len = plain_in.read(&mut bytes).await?;
                if len == 0 {
                    return io::Result::Ok(());
                }
                let bytes = if chosen == 1 {
                    bytes[..len].to_vec()
                } else {
                    with_len(&context.lock().unwrap().wrap(&bytes[..len], chosen == 4).unwrap())
                };
                tokens_out.write_all(&bytes).await?;
            }
        });
        Some(inner)
    }

    fn take(&self) -> Vec<Accepted> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

async fn cluster(seen: &Seen, offered: u8, max: u32) -> Cluster {
    let seen = seen.clone();
    Cluster::with_handshake(move |stream| seen.clone().serve(stream, offered, max)).await
}

async fn read_and_write(client: &Client) {
    let table = client.table(&TableName::parse("t").unwrap());
    let row = table.get(&Get::new(row_key(7))).await.unwrap();
    assert!(row.cells().map(|cell| cell.value()).eq(expected_row(7).cells().map(|cell| cell.value())));
    table.put(Put::new(row_key(8)).cell("f", "a", vec![7; 1000])).await.unwrap();
    let mut rows = table.scan(Scan::new()).unwrap();
    for at in 0..ROWS {
        assert_eq!(rows.next_row().await.unwrap().unwrap().key(), row_key(at).as_bytes());
    }
    assert!(rows.next_row().await.unwrap().is_none());
}

#[tokio::test]
async fn messages_are_protected_as_both_sides_agree() {
    use Protection::{Authentication, Integrity, Privacy};
    for (wanted, offered, chosen) in [
        (&[Authentication][..], 7, 1),
        (&[Integrity], 7, 2),
        (&[Privacy], 7, 4),
        (&[Privacy, Integrity], 3, 2),
        (&[Authentication, Privacy], 6, 4),
    ] {
        for max in [1 << 16, 100, 0xFF_FFFF] {
            let seen = Seen::default();
            let cluster = cluster(&seen, offered, max).await;
            let client = builder(settings().protection(wanted), Fake::default());
            read_and_write(&client.clone().bootstrap(&cluster.addresses()).unwrap()).await;
            let connections = seen.take();
            // the user is the authenticated one
            assert!(connections.iter().all(|connection| *connection == (chosen, None)), "{connections:?}");
            assert!(connections.len() > 1);
            read_and_write(&client.user("another").bootstrap(&cluster.addresses()).unwrap()).await;
            let others = seen.take();
            let is_other = |(_, user): &Accepted| max < 200 || user.as_deref() == Some("another");
            assert!(!others.is_empty() && others.iter().all(is_other), "{others:?}");
        }
    }
}

/// Connects to a server that reads a token before each answer, and then waits, or closes the connection.
async fn answered(builder: ClientBuilder, answers: Vec<Vec<u8>>, closes: bool) -> Error {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answers = answers.clone();
            tokio::spawn(async move {
                stream.read_exact(&mut [0; 6]).await?;
                for answer in answers {
                    read_token(&mut stream).await?;
                    stream.write_all(&answer).await?;
                }
                if closes {
                    stream.shutdown().await?;
                }
                stream.read_to_end(&mut Vec::new()).await
            });
        }
    });
    let begin = Instant::now();
    let error = builder.bootstrap(&address).unwrap().cluster_id().await.unwrap_err();
    assert!(begin.elapsed() < PATIENCE);
    let message = error.message();
    assert!(message.contains(&address), "{message}");
    error
}

async fn refused(answers: Vec<Vec<u8>>) -> String {
    answered(builder(settings(), Fake::default()), answers, false).await.message()
}

fn frame(class: &str, text: &str) -> Vec<u8> {
    let exception = proto::ExceptionResponse {
        exception_class_name: Some(class.to_owned()),
        stack_trace: Some(format!("{class}: {text}\n\tat a.b")),
        ..proto::ExceptionResponse::default()
    };
    let header =
        proto::ResponseHeader { call_id: Some(u32::MAX), exception: Some(exception), ..Default::default() };
    with_len(&header.encode_length_delimited_to_vec())
}

#[tokio::test]
async fn servers_that_refuse_say_why() {
    let sasl = refusal("javax.security.sasl.SaslException", "GSS initiate failed");
    let error = answered(builder(settings(), Fake::default()), vec![sasl.clone()], true).await;
    assert_eq!(error.kind(), ErrorKind::Remote);
    let message = error.message();
    assert!(message.starts_with("authentication is refused: ") && message.ends_with("GSS initiate failed"));
    // a message that is null
    let null = [&[0, 0, 0, 1], &with_len(b"a.B")[..], &[0xFF; 4]].concat();
    assert!(refused(vec![null]).await.contains("authentication is refused"));
    let bad = frame("org.apache.hadoop.hbase.ipc.BadAuthException", "no 81");
    assert!(refused(vec![bad]).await.contains("BadAuthException: no 81"));
    // the last token has no answer unless it is refused
    let mut context = FakeContext::of(Fake::default());
    let last = [offer(&mut context, 7, 1 << 16), Vec::new(), sasl];
    for protection in Protection::ALL {
        let builder = builder(settings().protection(&[protection]), Fake::default());
        let answers = vec![success(SERVER_TOKEN), last.concat()];
        let message = answered(builder, answers, true).await.message();
        assert!(message.contains("GSS initiate failed"), "{message}");
    }
}

#[tokio::test]
async fn wrong_answers_end_in_errors() {
    let wide = |len: u32| [&[0; 4], &len.to_be_bytes()[..]].concat();
    for (answers, expected) in [
        (vec![wide((1 << 20) + 1)], "token of a server is 1048577"),
        (vec![wide(0x7FFF_FFFF)], "token of a server is 2147483647"),
        (vec![wide(0xFFFF_FFFF)], "token of a server is 4294967295"),
        (vec![[&[0, 0, 0, 1], &[0x7F; 4][..]].concat()], "token of a server is 2139062143"),
        (vec![[0xFF; 4].to_vec()], "token of a server is 4294967295"),
        (vec![with_len(b"what is that")], "frame"),
        (vec![success(b"I am somebody else")], "that is not the server"),
        (vec![success(SERVER_TOKEN), success(b"unprotected")], "a wrong sum"),
        (vec![success(SERVER_TOKEN), wide(u32::MAX - 87)], "requires no authentication after"),
        // silence, at first and in the middle
        (vec![], "timed out"),
        (vec![vec![0; 4]], "timed out"),
        (vec![success(SERVER_TOKEN)], "timed out"),
    ] {
        let message = refused(answers).await;
        assert!(message.contains(expected), "{message}: {expected}");
    }
    // each prefix of a server's messages
    let mut context = FakeContext::of(Fake::default());
    let all = [success(SERVER_TOKEN), offer(&mut context, 1, 0)];
    for cut in 0..all[0].len() {
        let answers = vec![all[0][..cut].to_vec()];
        let message = answered(builder(settings(), Fake::default()), answers, true).await.message();
        assert!(message.contains("end of file") || message.contains("eof"), "{message}");
    }
}

#[tokio::test]
async fn the_number_of_tokens_is_limited() {
    let fake = Fake { is_endless: true, ..Fake::default() };
    let endless = vec![success(SERVER_TOKEN); 100];
    let message = answered(builder(settings(), fake), endless, false).await.message();
    assert!(message.contains("too many tokens"), "{message}");
}

#[tokio::test]
async fn offers_must_be_acceptable() {
    let wrapped = |offer: &[u8]| {
        vec![success(SERVER_TOKEN), success(&FakeContext::of(Fake::default()).wrap(offer, false).unwrap())]
    };
    let private = || builder(settings().protection(&[Protection::Privacy]), Fake::default());
    let none = answered(private(), wrapped(&[3, 0, 0, 0]), false).await;
    let expected = "hbase.rpc.protection is privacy, and the server offers authentication,integrity";
    assert!(none.message().ends_with(expected), "{none}");
    for short in [&[][..], &[7], &[7, 0, 0], &[7, 0, 0, 0, 0]] {
        let message = answered(private(), wrapped(short), false).await.message();
        assert!(message.contains("not four bytes"), "{message}");
    }
    let small = answered(private(), wrapped(&[7, 0, 0, ADDED as u8]), false).await.message();
    assert!(small.contains("takes no messages"), "{small}");
}

/// The bytes that a server sends in place of a response.
type Answer = fn(&mut FakeContext) -> Vec<u8>;

#[tokio::test]
async fn answers_must_be_protected() {
    let plain: Answer = |server| with_len(&server.wrap(&with_len(b"0123456789"), false).unwrap());
    let repeated: Answer = |server| {
        server.sent = 0;
        with_len(&server.wrap(&with_len(b"0123456789"), false).unwrap())
    };
    let changed: Answer = |server| {
        let mut token = server.wrap(&with_len(b"0123456789"), false).unwrap();
        token[9] ^= 1;
        with_len(&token)
    };
    let empty: Answer = |server| with_len(&server.wrap(&[], false).unwrap());
    let long: Answer = |_| ((1 << 20) + (64 << 10) + 1u32).to_be_bytes().to_vec();
    for (protection, answer, expected) in [
        (Protection::Privacy, plain, "not encrypted"),
        (Protection::Integrity, repeated, "a wrong number"),
        (Protection::Integrity, changed, "a wrong sum"),
        (Protection::Integrity, empty, "an empty answer"),
        (Protection::Integrity, long, "is 1114113, over the limit of 1114112"),
    ] {
        let mut server = FakeContext::of(Fake::default());
        let last = offer(&mut server, 7, 1 << 16);
        // the client's choice gets no answer, and its header a wrong one
        let answers = vec![success(SERVER_TOKEN), last, Vec::new(), answer(&mut server)];
        let builder = builder(settings().protection(&[protection]), Fake::default());
        let error = answered(builder, answers, false).await;
        assert!(error.message().contains(expected), "{error}: {expected}");
    }
}

#[tokio::test]
async fn servers_that_do_not_authenticate_are_refused_unless_allowed() {
    let switch = || [&[0; 4], &(-88i32).to_be_bytes()[..]].concat();
    let message = refused(vec![switch()]).await;
    assert!(message.contains("fallback-to-simple-auth-allowed"), "{message}");
    let simple = Cluster::with_handshake(move |mut stream| async move {
        stream.read_exact(&mut [0; 6]).await.ok()?;
        let (inner, mut outer) = duplex(1 << 16);
        outer.write_all(b"HBas\0\x50").await.ok()?;
        stream.write_all(&switch()).await.ok()?;
        read_token(&mut stream).await.ok()?;
        tokio::spawn(async move { tokio::io::copy_bidirectional(&mut stream, &mut outer).await });
        Some(inner)
    })
    .await;
    let allowed = builder(settings().fallback_to_simple(true), Fake::default());
    read_and_write(&allowed.bootstrap(&simple.addresses()).unwrap()).await;
}

#[tokio::test]
async fn failures_of_the_mechanism_are_reported() {
    let failing = |is_transient| Fake { failure: Some(("no tickets", is_transient)), ..Fake::default() };
    let fatal = answered(builder(settings(), failing(false)), vec![], false).await;
    assert!(fatal.message().ends_with("Kerberos: no tickets") && !fatal.kind().is_transient(), "{fatal}");
    let later = answered(builder(settings(), failing(true)), vec![], false).await;
    assert!(later.kind().is_transient(), "{later}");
}

#[test]
fn a_server_of_tickets_that_does_not_answer_is_not_waited_for() {
    let slow = Fake { wait: Duration::from_secs(60), ..Fake::default() };
    let begin = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let late = runtime.block_on(answered(builder(settings(), slow), vec![], false));
    assert!(late.kind().is_transient() && late.message().contains("timed out"), "{late}");
    drop(runtime);
    assert!(begin.elapsed() < PATIENCE);
}

/// A server that names its principal, and then authenticates. Old servers cannot name it.
async fn named(principal: Option<&str>, offered: u8, seen: &Seen) -> Cluster {
    let (principal, seen) = (principal.map(str::to_owned), seen.clone());
    Cluster::with_handshake(move |mut stream| {
        let (principal, seen) = (principal.clone(), seen.clone());
        async move {
            let mut preamble = [0; 6];
            stream.peek(&mut preamble).await.ok()?;
            if &preamble == b"Securi" {
                stream.read_exact(&mut preamble).await.ok()?;
                let Some(principal) = principal else {
                    let text = "Expected HEADER=HBas but received HEADER=Secu from 127.0.0.1:1";
                    stream
                        .write_all(&frame("org.apache.hadoop.hbase.ipc.FatalConnectionException", text))
                        .await
                        .ok()?;
                    return None;
                };
                let response = proto::SecurityPreambleResponse { server_principal: Some(principal) };
                let header = proto::ResponseHeader { call_id: Some(u32::MAX), ..Default::default() };
                let mut answer = header.encode_length_delimited_to_vec();
                answer.extend(response.encode_length_delimited_to_vec());
                stream.write_all(&with_len(&answer)).await.ok()?;
            }
            seen.serve(stream, offered, 1 << 16).await
        }
    })
    .await
}

#[tokio::test]
async fn servers_with_several_principals_are_asked() {
    let two = || settings().master_principal("master/_HOST@EXAMPLE.COM").unwrap();
    for principal in [Some("master/m1@EXAMPLE.COM"), Some("hbase/r1@EXAMPLE.COM"), None] {
        let seen = Seen::default();
        let cluster = named(principal, 7, &seen).await;
        read_and_write(&builder(two(), Fake::default()).bootstrap(&cluster.addresses()).unwrap()).await;
        assert!(!seen.take().is_empty());
    }
    for principal in ["hbase/r1@OTHER.COM", "evil/r1@EXAMPLE.COM", "", "a@b"] {
        let cluster = named(Some(principal), 7, &Seen::default()).await;
        let client = builder(two(), Fake::default()).bootstrap(&cluster.addresses()).unwrap();
        let error = client.cluster_id().await.unwrap_err();
        assert!(error.message().contains("expected master/127.0.0.1@EXAMPLE.COM or hbase/"), "{error}");
    }
}

#[test]
fn principals_have_three_parts() {
    let explicit = Principal::parse("hbase/Host.Example@R").unwrap().of_host("Other", true);
    assert_eq!(explicit.to_string(), "hbase/Host.Example@R");
    assert!(!explicit.canonical && explicit.is("hbase/Host.Example@R") && !explicit.is("hbase/Other@R"));
    let any = Principal::parse("hbase/_HOST@R").unwrap().of_host("Other", true);
    assert_eq!(any.to_string(), "hbase/other@R");
    assert!(any.canonical && any.is("hbase/x@R") && !any.is("hbase/x@S") && !any.is("h/x@R"));
    assert!(!Principal::parse("hbase/_HOST@R").unwrap().of_host("Other", false).canonical);
    for wrong in ["", "hbase", "hbase/h", "hbase@R", "a/b/c@R", "/h@R", "h/@R", "a/b@", "a/\0@R"] {
        assert!(Principal::parse(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn long_messages_are_read_in_pieces() {
    let (client, server) = duplex(1 << 16);
    let agreement = Agreement {
        context: Box::new(FakeContext::of(Fake::default())),
        protection: Protection::Privacy,
        max_message: 100,
    };
    let (read, write) = split(client);
    let (mut read, mut write) = protect("server", agreement, Plain(read), Plain(write), 1 << 20);
    let message: Vec<u8> = (0..700_000usize).map(|at| (at % 251) as u8).collect();
    let expected = message.clone();
    let peer = tokio::spawn(async move {
        let mut context = FakeContext::of(Fake::default());
        let (mut from, mut to) = split(server);
        to.write_all(&with_len(&context.wrap(&message, true).unwrap())).await.unwrap();
        let mut request = Vec::new();
        while request.len() < 1050 {
            let mut token = vec![0; from.read_u32().await.unwrap() as usize];
            from.read_exact(&mut token).await.unwrap();
            let (message, is_encrypted) = context.unwrap(&token).unwrap();
            assert!(is_encrypted && message.len() <= 100);
            request.extend(message);
        }
        request
    });
    write.send(&[7; 1050]).await.unwrap();
    assert_eq!(read.read_u32().await.unwrap(), 0x0001_0203);
    let read = crate::transport::read_bytes(&mut read, expected.len() - 4).await.unwrap();
    assert!(read[..] == expected[4..]);
    assert_eq!(peer.await.unwrap(), [7; 1050]);
}
