//! Relays between a client that writes and the name nodes of a name service: the client switches to another
//! name node when one becomes silent, without losing its leases.
//!
//! The client waits for the response of a name node while the connection exists, and another client would
//! have other leases. So each name node is reached through a local port. If a request gets no response for
//! some time, the name nodes are probed ([`ask`]). If this one is silent and another one is not, its
//! connections are ended, which ends the pending requests. Until it responds again, requests to it get the
//! response of a name node in standby (Hadoop: `StandbyException`), so the client sends them to the next one.

use super::name_nodes::{Reply, ask};
use bytes::BytesMut;
use futures_util::future::{Either, join_all, select};
use std::io;
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Semaphore, watch};
use tokio::task::AbortHandle;

/// The length of the start of a connection: a magic word, the version, the service class and the
/// authentication method.
const PREFACE: usize = 7;

/// The end of it if the client does not (Hadoop: `RpcConstants`, `AuthProtocol.NONE`).
const NO_AUTHENTICATION: u8 = 0;

/// The maximum length of a message that is kept until the name node is connected to: those of the client have
/// a few paths. Any process of this machine can connect to a port.
const MAX_MESSAGE: u32 = 1 << 20;

/// The maximum number of connections to a port. The client has one, or two when it connects again.
const MAX_CONNECTIONS: usize = 16;

/// The maximum number of bytes that are passed on at once.
const PART: usize = 16 << 10;

/// The time between two probes of a silent name node.
const PAUSE: Duration = Duration::from_secs(1);

const STANDBY: &str = "org.apache.hadoop.ipc.StandbyException";

/// Ports of this machine that lead to name nodes. They are closed when this is dropped.
#[derive(Debug)]
pub(super) struct Relays {
    addresses: Vec<String>,
    listeners: Vec<AbortHandle>,
}

impl Relays {
    /// Opens a port for each name node. One that has not responded to a request for the time `silence` is
    /// probed, for the time `limit`.
    pub(super) fn start(
        name_nodes: Vec<String>,
        silence: Duration,
        limit: Duration,
        runtime: &Handle,
    ) -> io::Result<Self> {
        let node = |address| Arc::new(NameNode { address, is_silent: watch::Sender::new(false) });
        let nodes = name_nodes.into_iter().map(node).collect();
        let service = Arc::new(Service { nodes, silence, limit });
        let mut relays = Self { addresses: Vec::new(), listeners: Vec::new() };
        let _context = runtime.enter();
        for node in &service.nodes {
            let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            listener.set_nonblocking(true)?;
            relays.addresses.push(listener.local_addr()?.to_string());
            let (service, node) = (Arc::clone(&service), Arc::clone(node));
            let listening = runtime.spawn(listen(service, node, TcpListener::from_std(listener)?));
            relays.listeners.push(listening.abort_handle());
        }
        Ok(relays)
    }

    /// Returns the addresses of the ports, in the order of the name nodes.
    pub(super) fn addresses(&self) -> &[String] {
        &self.addresses
    }
}

impl Drop for Relays {
    fn drop(&mut self) {
        self.listeners.iter().for_each(AbortHandle::abort);
    }
}

/// A name node.
struct NameNode {
    address: String,
    /// Whether it was silent while another one responded, and has not responded since.
    is_silent: watch::Sender<bool>,
}

/// The name nodes of a name service.
struct Service {
    nodes: Vec<Arc<NameNode>>,
    silence: Duration,
    limit: Duration,
}

/// Accepts connections to a name node, up to a maximum number, so that those of other processes do not use up
/// the files of this one.
async fn listen(service: Arc<Service>, node: Arc<NameNode>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        match listener.accept().await {
            Ok((mut client, _)) => {
                let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
                let (service, node) = (Arc::clone(&service), Arc::clone(&node));
                tokio::spawn(async move {
                    // The client sees the end of the connection even if a forked process also has it.
                    let _ = service.relay(&node, &mut client).await;
                    let _ = client.shutdown().await;
                    drop((client, place));
                });
            }
            // There may be too many files.
            Err(_) => tokio::time::sleep(PAUSE).await,
        }
    }
}

impl Service {
    /// Passes a connection on to a name node. Responds to its requests while it is silent or cannot be
    /// connected to.
    async fn relay(&self, node: &Arc<NameNode>, client: &mut TcpStream) -> io::Result<()> {
        client.set_nodelay(true)?;
        let mut begun = vec![0; PREFACE];
        client.read_exact(&mut begun).await?;
        if begun.last() != Some(&NO_AUTHENTICATION) {
            // A client that authenticates itself sends no request before that: the end of the connection
            // shows that this name node cannot be reached.
            let Some(server) = self.connect(node).await else { return Ok(()) };
            return self.pass_on(node, client, server, &begun).await;
        }
        // The identity of the client, which gets no response.
        read_message(client, &mut begun).await?;
        loop {
            let mut request = Vec::new();
            read_message(client, &mut request).await?;
            if let Some(server) = self.connect(node).await {
                begun.append(&mut request);
                return self.pass_on(node, client, server, &begun).await;
            }
            let call = call_of(&request).ok_or(io::ErrorKind::InvalidData)?;
            client.write_all(&standby(call)).await?;
        }
    }

    /// Connects to a name node; `None` if it is silent or refuses.
    async fn connect(&self, node: &Arc<NameNode>) -> Option<TcpStream> {
        if node.is_silent() {
            return None;
        }
        match tokio::time::timeout(self.limit, TcpStream::connect(node.address.as_str())).await {
            Ok(connected) => connected.ok().filter(|server| server.set_nodelay(true).is_ok()),
            Err(_) => {
                node.set_silent(self.limit);
                None
            }
        }
    }

    /// Passes on the bytes that the client has sent, and then those of both sides. If the name node is found
    /// to be silent, the system stops sending to it: a request must not arrive after another name node was
    /// asked whether it was executed.
    async fn pass_on(
        &self,
        node: &Arc<NameNode>,
        client: &mut TcpStream,
        mut server: TcpStream,
        begun: &[u8],
    ) -> io::Result<()> {
        if self.exchange(node, client, &mut server, begun).await { server.set_zero_linger() } else { Ok(()) }
    }

    /// Passes on the bytes of both sides, until one ends the connection or the name node is found to be
    /// silent. Returns whether it is silent.
    async fn exchange(
        &self,
        node: &Arc<NameNode>,
        client: &mut TcpStream,
        server: &mut TcpStream,
        begun: &[u8],
    ) -> bool {
        let (from_client, mut to_client) = client.split();
        let (from_server, mut to_server) = server.split();
        let traffic = Traffic::default();
        let requests = pin!(async {
            traffic.add_request();
            to_server.write_all(begun).await?;
            copy(from_client, &mut to_server, || traffic.add_request()).await
        });
        let answers = pin!(copy(from_server, &mut to_client, || traffic.add_answer()));
        let silence = pin!(self.wait_for_silence(node, &traffic));
        matches!(select(select(requests, answers), silence).await, Either::Right(_))
    }

    /// Returns when the name node is silent.
    async fn wait_for_silence(&self, node: &Arc<NameNode>, traffic: &Traffic) {
        let mut is_silent = node.is_silent.subscribe();
        loop {
            // A request on another connection may also have had no response.
            let noticed = tokio::time::timeout(self.silence / 2, is_silent.wait_for(|silent| *silent));
            if noticed.await.is_ok() {
                return;
            }
            let Some(answers) = traffic.unanswered_for(self.silence) else { continue };
            let replies = join_all(self.nodes.iter().map(|node| ask(&node.address, self.limit))).await;
            let of = |is_this: bool| {
                let nodes = self.nodes.iter().zip(&replies);
                nodes.filter(move |(other, _)| Arc::ptr_eq(other, node) == is_this).map(|(_, reply)| *reply)
            };
            if of(true).any(|reply| reply == Reply::Answer) {
                // It is slow, or has sent several responses at once.
                traffic.forget(answers);
            } else if of(false).any(|reply| reply == Reply::Answer) && traffic.has_no_more_than(answers) {
                node.set_silent(self.limit);
                return;
            }
        }
    }
}

impl NameNode {
    fn is_silent(&self) -> bool {
        *self.is_silent.borrow()
    }

    /// Records that it is silent, until it responds again.
    fn set_silent(self: &Arc<Self>, limit: Duration) {
        if self.is_silent.send_replace(true) {
            return;
        }
        let (node, address) = (Arc::downgrade(self), self.address.clone());
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(PAUSE).await;
                let reply = ask(&address, limit).await;
                let Some(node) = node.upgrade() else { return };
                if reply == Reply::Answer {
                    node.is_silent.send_replace(false);
                    return;
                }
            }
        });
    }
}

/// The requests and responses of a connection. Both are counted in parts, which are usually messages.
#[derive(Default)]
struct Traffic(Mutex<Counts>);

#[derive(Default)]
struct Counts {
    /// The requests without a response yet.
    requests: usize,
    /// When the last message was sent or the last answer came.
    last: Option<Instant>,
    answers: u64,
}

impl Traffic {
    fn change<T>(&self, change: impl FnOnce(&mut Counts) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn add_request(&self) {
        self.change(|counts| {
            // A later request does not restart the time of an earlier one.
            if counts.requests == 0 {
                counts.last = Some(Instant::now());
            }
            counts.requests += 1;
        });
    }

    fn add_answer(&self) {
        self.change(|counts| {
            counts.requests = counts.requests.saturating_sub(1);
            counts.last = Some(Instant::now());
            counts.answers += 1;
        });
    }

    /// Returns the number of responses if a request has had none for a time.
    fn unanswered_for(&self, time: Duration) -> Option<u64> {
        self.change(|counts| {
            let is_late = counts.last.is_some_and(|last| last.elapsed() >= time);
            (counts.requests > 0 && is_late).then_some(counts.answers)
        })
    }

    /// Stops waiting for responses to the requests so far, unless one came after this number of responses.
    fn forget(&self, answers: u64) {
        self.change(|counts| {
            if counts.answers == answers {
                counts.requests = 0;
            }
        });
    }

    /// Whether no response came after this number of them.
    fn has_no_more_than(&self, answers: u64) -> bool {
        self.change(|counts| counts.answers == answers)
    }
}

/// Passes bytes on until their end.
async fn copy(
    mut from: impl AsyncRead + Unpin,
    to: &mut (impl AsyncWrite + Unpin),
    note: impl Fn(),
) -> io::Result<()> {
    let mut part = BytesMut::with_capacity(PART);
    while from.read_buf(&mut part).await? > 0 {
        note();
        to.write_all_buf(&mut part).await?;
        part.reserve(PART);
    }
    Ok(())
}

/// Reads a message with its length, and adds both to `to`.
async fn read_message(from: &mut TcpStream, to: &mut Vec<u8>) -> io::Result<()> {
    let len = from.read_u32().await?;
    if len > MAX_MESSAGE {
        return Err(io::ErrorKind::InvalidData.into());
    }
    to.extend(len.to_be_bytes());
    let read = from.take(len.into()).read_to_end(to).await?;
    if read as u64 == u64::from(len) { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

/// Returns the number of the call of a request, with its length before it (Hadoop: `RpcRequestHeaderProto`).
fn call_of(request: &[u8]) -> Option<u32> {
    let mut bytes = request.get(4..)?;
    let len = usize::try_from(varint(&mut bytes)?).ok()?;
    let mut header = bytes.get(..len)?;
    while !header.is_empty() {
        let tag = varint(&mut header)?;
        match tag & 7 {
            0 => {
                let value = varint(&mut header)?;
                if tag >> 3 == 3 {
                    // Negative numbers, which are odd here, belong to messages without a response.
                    return u32::try_from(value / 2).ok().filter(|_| value.is_multiple_of(2));
                }
            }
            2 => {
                let len = usize::try_from(varint(&mut header)?).ok()?;
                header = header.get(len..)?;
            }
            _ => return None,
        }
    }
    None
}

/// Returns the answer to a call, with its length before it (Hadoop: `RpcResponseHeaderProto`): an error, of a
/// name node that is in standby.
fn standby(call: u32) -> Vec<u8> {
    let mut header = vec![0x08];
    put_varint(&mut header, call.into());
    header.extend([0x10, 1]);
    for (tag, text) in [(0x22, STANDBY), (0x2A, "it does not answer")] {
        header.push(tag);
        put_varint(&mut header, text.len() as u64);
        header.extend(text.as_bytes());
    }
    let mut message = Vec::new();
    put_varint(&mut message, header.len() as u64);
    message.append(&mut header);
    let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&len.to_be_bytes()[..], &message].concat()
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn put_varint(to: &mut Vec<u8>, mut value: u64) {
    while value > 0x7F {
        to.push((value & 0x7F) as u8 | 0x80);
        value >>= 7;
    }
    to.push((value & 0x7F) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blocking::Blocking;
    use std::io::{Read as _, Write as _};
    use std::net;
    use std::thread;

    /// A header with the number of a call, and of a client, before a request.
    fn request(call: u64, id: &[u8]) -> Vec<u8> {
        let mut header = vec![0x08, 2, 0x10, 0, 0x18];
        put_varint(&mut header, 2 * call);
        header.push(0x22);
        put_varint(&mut header, id.len() as u64);
        header.extend(id);
        let mut message = Vec::new();
        put_varint(&mut message, header.len() as u64);
        message.extend(header);
        message.extend(b"\x03abc");
        [&u32::try_from(message.len()).unwrap().to_be_bytes()[..], &message].concat()
    }

    #[test]
    fn a_call_is_answered_by_its_number() {
        for call in [0, 1, 63, 64, 300, 0x7FFF_FFFF] {
            let whole = request(call, b"0123456789abcdef");
            let found = call_of(&whole).unwrap();
            assert_eq!(u64::from(found), call);
            let answer = standby(found);
            assert_eq!(answer.len(), 4 + u32::from_be_bytes(*answer.first_chunk().unwrap()) as usize);
            let mut bytes = &answer[4..];
            assert_eq!(varint(&mut bytes).unwrap(), bytes.len() as u64);
            assert_eq!((varint(&mut bytes), varint(&mut bytes)), (Some(8), Some(call)));
            assert!(bytes.starts_with(&[0x10, 1, 0x22]) && bytes.ends_with(b"not answer"));
            (0..10).for_each(|len| assert_eq!(call_of(&whole[..len]), None));
        }
        // A number below 0.
        assert_eq!(call_of(&[0, 0, 0, 3, 2, 0x18, 5]), None);
        assert_eq!(call_of(&[0, 0, 0, 3, 2, 0x19, 6]), None);
    }

    #[test]
    fn requests_without_an_answer_are_counted() {
        let (traffic, now) = (Traffic::default(), Duration::ZERO);
        assert_eq!(traffic.unanswered_for(now), None);
        traffic.add_request();
        assert_eq!(traffic.unanswered_for(Duration::from_secs(60)), None);
        traffic.add_request();
        traffic.add_answer();
        assert_eq!(traffic.unanswered_for(now), Some(1));
        assert!(traffic.has_no_more_than(1));
        traffic.add_answer();
        assert_eq!((traffic.unanswered_for(now), traffic.has_no_more_than(1)), (None, false));
        traffic.add_request();
        traffic.forget(1);
        assert_eq!(traffic.unanswered_for(now), Some(2));
        traffic.forget(2);
        assert_eq!(traffic.unanswered_for(now), None);
    }

    const BEGIN: &[u8] = b"hrpc\x09\x00\x00\x00\x00\x00\x02hi";

    /// The relay responds for a name node that refuses, and reaches it through the same connection
    /// afterwards.
    #[test]
    fn a_name_node_that_is_not_there_is_answered_for() {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        drop(listener);
        let blocking = Blocking::new(Duration::from_secs(60)).unwrap();
        let long = Duration::from_secs(30);
        let relays = Relays::start(vec![address.clone()], long, long, &blocking.handle()).unwrap();
        let mut client = net::TcpStream::connect(&relays.addresses()[0]).unwrap();
        client.write_all(BEGIN).unwrap();
        for call in [0, 1] {
            client.write_all(&request(call.into(), b"id")).unwrap();
            let mut answer = standby(call);
            client.read_exact(&mut answer).unwrap();
            assert_eq!(answer, standby(call));
        }
        let listener = net::TcpListener::bind(&address).unwrap();
        let server = thread::spawn(move || {
            let (mut server, _) = listener.accept().unwrap();
            let mut begun = vec![0; BEGIN.len() + request(2, b"id").len()];
            server.read_exact(&mut begun).unwrap();
            server.write_all(b"answer").unwrap();
            begun
        });
        client.write_all(&request(2, b"id")).unwrap();
        let mut answer = [0; 6];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
        assert_eq!(server.join().unwrap(), [BEGIN, &request(2, b"id")].concat());
        // The name node has ended the connection.
        assert_eq!(client.read(&mut answer).unwrap(), 0);
    }

    /// Bytes that the system has not sent yet must not reach it later.
    #[test]
    fn the_connection_to_a_silent_name_node_is_reset() {
        let ([silent, other], [address, other_address]) = two();
        let end = other_address.clone();
        let answers = thread::spawn(move || {
            for asking in other.incoming() {
                let (mut asking, mut first) = (asking.unwrap(), [0]);
                if asking.read_exact(&mut first).is_ok() && first == *b"e" {
                    break;
                }
                // It may have been asked for too long.
                let _ = asking.write_all(b"answer");
            }
        });
        let blocking = Blocking::new(Duration::from_secs(60)).unwrap();
        let relays = Relays::start(vec![address, other_address], SHORT, SHORT, &blocking.handle()).unwrap();
        let mut client = net::TcpStream::connect(&relays.addresses()[0]).unwrap();
        client.write_all(&[BEGIN, &request(0, b"id")].concat()).unwrap();
        let (mut server, _) = silent.accept().unwrap();
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        let error = server.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        net::TcpStream::connect(end).unwrap().write_all(b"end").unwrap();
        answers.join().unwrap();
    }

    /// Its answer may come: no other one could give it.
    #[test]
    fn a_silent_name_node_is_waited_for_if_the_others_refuse() {
        let ([silent, closed], addresses) = two();
        drop(closed);
        let blocking = Blocking::new(Duration::from_secs(60)).unwrap();
        let relays = Relays::start(addresses.to_vec(), SHORT, SHORT, &blocking.handle()).unwrap();
        let mut client = net::TcpStream::connect(&relays.addresses()[0]).unwrap();
        client.write_all(&[BEGIN, &request(0, b"id")].concat()).unwrap();
        let (mut server, _) = silent.accept().unwrap();
        // It is asked, and asked again.
        let _asking = [silent.accept().unwrap(), silent.accept().unwrap()];
        server.write_all(b"answer").unwrap();
        let mut answer = [0; 6];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"answer");
    }

    #[test]
    fn a_port_takes_few_connections() {
        let (listeners, addresses) = two();
        drop(listeners);
        let (blocking, long) = (Blocking::new(Duration::from_secs(60)).unwrap(), Duration::from_secs(30));
        let relays = Relays::start(addresses.to_vec(), long, long, &blocking.handle()).unwrap();
        let connect = |_| net::TcpStream::connect(&relays.addresses()[0]).unwrap();
        let mut clients: Vec<_> = (0..=MAX_CONNECTIONS).map(connect).collect();
        let mut refused = clients.pop().unwrap();
        refused.set_read_timeout(Some(long)).unwrap();
        assert_eq!(refused.read(&mut [0]).unwrap(), 0);
        // The others are served.
        for (client, call) in clients.iter_mut().zip(0..) {
            client.write_all(&[BEGIN, &request(call.into(), b"id")].concat()).unwrap();
            let mut answer = standby(call);
            client.read_exact(&mut answer).unwrap();
            assert_eq!(answer, standby(call));
        }
    }

    /// Any process of this machine can connect, and declare any length.
    #[test]
    fn a_message_that_is_too_long_ends_the_connection() {
        let ([first, second], addresses) = two();
        let (blocking, long) = (Blocking::new(Duration::from_secs(60)).unwrap(), Duration::from_secs(30));
        let relays = Relays::start(addresses.to_vec(), long, long, &blocking.handle()).unwrap();
        let send = |to: usize, begun: &[u8], len: u32| {
            let mut client = net::TcpStream::connect(&relays.addresses()[to]).unwrap();
            client.set_read_timeout(Some(long)).unwrap();
            client.write_all(&[begun, &len.to_be_bytes()].concat()).unwrap();
            client
        };
        // The identity of the client, and its first request.
        for begun in [&BEGIN[..PREFACE], BEGIN] {
            assert_eq!(send(1, begun, MAX_MESSAGE + 1).read(&mut [0]).unwrap(), 0);
        }
        second.set_nonblocking(true).unwrap();
        assert_eq!(second.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock, "it got a connection");
        let mut client = send(0, BEGIN, MAX_MESSAGE);
        client.write_all(&vec![b'm'; MAX_MESSAGE as usize]).unwrap();
        let (mut server, _) = first.accept().unwrap();
        let mut passed_on = vec![0; BEGIN.len() + 4 + MAX_MESSAGE as usize];
        server.read_exact(&mut passed_on).unwrap();
        assert!(passed_on.starts_with(BEGIN) && passed_on.ends_with(b"mm"));
    }

    const SHORT: Duration = Duration::from_millis(50);

    /// Returns ports that connections are waiting at, and their addresses.
    fn two() -> ([net::TcpListener; 2], [String; 2]) {
        let listeners = [(); 2].map(|()| net::TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = listeners.each_ref().map(|listener| listener.local_addr().unwrap().to_string());
        (listeners, addresses)
    }
}
