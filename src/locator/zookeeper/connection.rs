//! A connection to a server of ZooKeeper, with a session.

use super::encryption::{EncryptedSession, Encryption};
use super::quorum::Server;
use super::sasl::SaslMechanism;
use super::waiting::by_deadline;
use super::wire::{self, MAX_PACKET, Op, Reply, ServerError};
use crate::clock::Deadline;
use crate::error::{Corruption, Error};
use crate::io::Owner;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// Maximum time for ending the session; a healthy server takes the packet immediately.
const FAREWELL: Duration = Duration::from_millis(50);
/// The maximum number of tokens to authenticate a session. Kerberos needs three.
const MAX_TOKENS: usize = 16;

/// The security of sessions; none by default.
#[derive(Clone, Debug, Default)]
pub(super) struct Security {
    pub(super) encryption: Option<Arc<dyn Encryption>>,
    pub(super) sasl: Option<Arc<dyn SaslMechanism>>,
}

/// A connection for one request at a time. The session ends with it.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    encrypted: Option<Box<dyn EncryptedSession>>,
    /// How long to wait for a silent server, and how long an idle session is trusted (as in Java's client).
    patience: Duration,
    trusted: Deadline,
    xid: i32,
    /// Whether a request is in progress: after a failure, the state of the connection is unknown.
    asking: bool,
    /// The process that has connected. In a forked process, answers could belong to the other one, which
    /// continues the session.
    owner: Owner,
}

/// The reason that there is no result.
#[derive(Debug)]
pub(super) enum Failure {
    /// The network failed, or the server took too long.
    System { doing: &'static str, error: io::Error },
    /// The server sent an invalid answer.
    Bytes(Corruption),
    /// The server refused the request.
    Refused(ServerError),
    /// The session could not be authenticated.
    Unauthenticated(io::Error),
}

impl From<Corruption> for Failure {
    fn from(corruption: Corruption) -> Self {
        Self::Bytes(corruption)
    }
}

impl Failure {
    fn system(doing: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::System { doing, error }
    }

    /// Whether all servers would fail in the same way.
    pub(super) fn is_final(&self) -> bool {
        match self {
            Self::Refused(error) => error.is_final(),
            Self::Unauthenticated(error) => error.kind() == io::ErrorKind::PermissionDenied,
            Self::System { .. } | Self::Bytes(_) => false,
        }
    }

    /// Whether a retry on the same server may succeed soon.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::System { error, .. } => !is_of_encryption(error),
            Self::Refused(_) => true,
            Self::Unauthenticated(error) => !is_refusal(error),
            Self::Bytes(_) => false,
        }
    }

    /// Converts the last failure before the deadline into a timeout.
    pub(super) fn when_time_is_over(self) -> Self {
        let (doing, last) = match self {
            Self::System { ref error, .. } if error.kind() == io::ErrorKind::TimedOut => return self,
            Self::System { doing, error } => (doing, error.to_string()),
            Self::Bytes(corruption) => ("read", corruption.to_string()),
            Self::Refused(error) => ("read", error.to_string()),
            Self::Unauthenticated(error) => (AUTHENTICATE, error.to_string()),
        };
        let message = format!("no answer in time, the last error was: {last}");
        Self::System { doing, error: io::Error::new(io::ErrorKind::TimedOut, message) }
    }

    /// Converts the failure into an error that names the server and the znode.
    pub(super) fn at(self, server: &Server, znode: &str) -> Error {
        let path = format!("{server}{znode}");
        let path = Path::new(&path);
        match self {
            Self::System { doing, error } if is_of_encryption(&error) => Error::refused(doing, path, error),
            Self::System { doing, error } => Error::io(doing, path, error),
            Self::Bytes(corruption) => corruption.at(path, 0),
            Self::Refused(error) if error.is_final() => {
                let error = io::Error::new(io::ErrorKind::PermissionDenied, error.to_string());
                Error::refused("read", path, error)
            }
            Self::Refused(error) => Error::io("read", path, io::Error::other(error.to_string())),
            Self::Unauthenticated(error) if is_refusal(&error) => Error::refused(AUTHENTICATE, path, error),
            Self::Unauthenticated(error) => Error::io(AUTHENTICATE, path, error),
        }
    }
}

const AUTHENTICATE: &str = "authenticate the session by SASL";

/// Whether a failure to authenticate remains if nothing else changes.
fn is_refusal(error: &io::Error) -> bool {
    use io::ErrorKind::{InvalidData, PermissionDenied, Unsupported};
    matches!(error.kind(), InvalidData | PermissionDenied | Unsupported)
}

/// Whether an error of a connection is a permanent one of its encryption: sockets have no errors of this
/// kind.
fn is_of_encryption(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::InvalidData
}

impl Connection {
    /// Connects and opens a session, by `deadline`, encrypted and authenticated if required.
    pub(super) fn open(
        server: &Server,
        timeout: Duration,
        security: &Security,
        deadline: Deadline,
    ) -> Result<Self, Failure> {
        let addresses = server.addresses(deadline).map_err(Failure::system("look up"))?;
        let stream = connect(&addresses, deadline).map_err(Failure::system("connect"))?;
        let mut encrypted = match &security.encryption {
            None => None,
            Some(encryption) => {
                let mut socket = Timed { stream: &stream, deadline };
                let begun = encryption.begin(server.host(), &mut socket);
                Some(begun.map_err(Failure::system("encrypt the connection"))?)
            }
        };
        let mut channel = Channel::new(&stream, &mut encrypted, deadline);
        channel.send(&wire::connect(timeout))?;
        let patience = patience(wire::session(&channel.receive()?)?);
        let trusted = Deadline::after(patience);
        let owner = Owner::this();
        let mut connection = Self { stream, encrypted, patience, trusted, xid: 0, asking: false, owner };
        if let Some(mechanism) = &security.sasl {
            connection.authenticate(mechanism, server.host(), deadline).map_err(|failure| match failure {
                Failure::System { error, .. } => Failure::System { doing: AUTHENTICATE, error },
                Failure::Refused(refusal) => {
                    let kind = match refusal.is_final() {
                        true => io::ErrorKind::PermissionDenied,
                        false => io::ErrorKind::Other,
                    };
                    Failure::Unauthenticated(io::Error::new(kind, refusal.to_string()))
                }
                other => other,
            })?;
        }
        Ok(connection)
    }

    /// Exchanges tokens with the server until both sides are authenticated.
    fn authenticate(
        &mut self,
        mechanism: &Arc<dyn SaslMechanism>,
        host: &str,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        const THREAD: &str = "hregion-sasl";
        let (mechanism, host) = (Arc::clone(mechanism), host.to_owned());
        let (mut exchange, mut step) = by_deadline(THREAD, deadline, move || {
            let mut exchange = mechanism.begin(&host)?;
            let step = exchange.step(&[])?;
            Ok((exchange, step))
        })
        .map_err(Failure::Unauthenticated)?;
        for _ in 0..MAX_TOKENS {
            let answer = self.send(|xid| wire::sasl(xid, &step.token), wire::sasl_token, deadline)?;
            let token = match answer {
                Some(_) if step.is_last => return Ok(()),
                Some(Some(token)) => token,
                Some(None) => {
                    return Err(unauthenticated(io::ErrorKind::Unsupported, "the server sends no token"));
                }
                None => {
                    let what = "an answer about a znode in place of a token";
                    return Err(unauthenticated(io::ErrorKind::InvalidData, what));
                }
            };
            (exchange, step) = by_deadline(THREAD, deadline, move || {
                let step = exchange.step(&token)?;
                Ok((exchange, step))
            })
            .map_err(Failure::Unauthenticated)?;
        }
        let what = "the server sends too many tokens";
        Err(unauthenticated(io::ErrorKind::PermissionDenied, what))
    }

    /// Whether the session belongs to this process, and is expected to be alive.
    pub(super) fn is_trusted(&self) -> bool {
        !self.asking && !self.trusted.remaining().is_zero() && self.owner.is_this()
    }

    /// Sends a request about a znode, and parses the result with `parse`; `None` if there is no such znode.
    pub(super) fn ask<T>(
        &mut self,
        op: Op,
        path: &str,
        parse: fn(&[u8]) -> Result<T, Corruption>,
        deadline: Deadline,
    ) -> Result<Option<T>, Failure> {
        self.send(|xid| wire::request(xid, op, path), parse, deadline)
    }

    /// Sends the request with this number, and parses the result; `None` if there is no such znode.
    fn send<T>(
        &mut self,
        request: impl FnOnce(i32) -> Vec<u8>,
        parse: fn(&[u8]) -> Result<T, Corruption>,
        deadline: Deadline,
    ) -> Result<Option<T>, Failure> {
        let trusted = Deadline::after(self.patience);
        let mut channel = Channel::new(&self.stream, &mut self.encrypted, deadline.min(trusted));
        self.asking = true;
        self.xid = self.xid.checked_add(1).unwrap_or(1);
        channel.send(&request(self.xid))?;
        let answer = loop {
            match wire::reply(self.xid, &channel.receive()?)? {
                Reply::Unasked => {}
                Reply::Result(result) => break Some(parse(result)?),
                Reply::NoNode => break None,
                Reply::Error(error) => return Err(Failure::Refused(error)),
            }
        };
        self.asking = false;
        self.trusted = trusted;
        Ok(answer)
    }
}

impl Drop for Connection {
    /// Ends the session, so that the servers can forget it.
    fn drop(&mut self) {
        if self.is_trusted() {
            let deadline = Deadline::after(FAREWELL);
            let mut channel = Channel::new(&self.stream, &mut self.encrypted, deadline);
            // without it, the session would end by its timeout
            let _ = channel.send(&wire::close(self.xid.wrapping_add(1)));
        }
    }
}

fn unauthenticated(kind: io::ErrorKind, what: &'static str) -> Failure {
    Failure::Unauthenticated(io::Error::new(kind, what))
}

/// Two thirds of the session timeout; shorter idle times need no pings.
pub(super) fn patience(timeout: Duration) -> Duration {
    timeout / 3 * 2
}

/// Connects to the first address that answers; the addresses get equal shares of the remaining time.
fn connect(addresses: &[SocketAddr], deadline: Deadline) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for (address, left) in addresses.iter().zip((1..=addresses.len()).rev()) {
        let share = deadline.remaining() / u32::try_from(left).unwrap_or(u32::MAX);
        if share.is_zero() {
            return Err(late());
        }
        match TcpStream::connect_timeout(address, share) {
            Ok(stream) => {
                // requests are small, and each waits for its answer
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

/// Packets over a connection, plain or encrypted, by a deadline.
struct Channel<'a> {
    socket: Timed<'a>,
    encrypted: Option<&'a mut dyn EncryptedSession>,
}

impl<'a> Channel<'a> {
    fn new(
        stream: &'a TcpStream,
        encrypted: &'a mut Option<Box<dyn EncryptedSession>>,
        deadline: Deadline,
    ) -> Self {
        let encrypted = encrypted.as_mut().map(|session| &mut **session as &mut dyn EncryptedSession);
        Self { socket: Timed { stream, deadline }, encrypted }
    }

    fn send(&mut self, packet: &[u8]) -> Result<(), Failure> {
        let sent = match &mut self.encrypted {
            None => self.socket.write_all(packet),
            Some(session) => session.write_all(&mut self.socket, packet),
        };
        sent.map_err(Failure::system("write"))
    }

    /// Receives the next packet. Allocates for received bytes only, not for the announced length.
    fn receive(&mut self) -> Result<Vec<u8>, Failure> {
        let mut len = [0; 4];
        self.read_exact(&mut len).map_err(Failure::system("read"))?;
        let len = i32::from_be_bytes(len);
        let max = i64::try_from(MAX_PACKET).unwrap_or(i64::MAX);
        let out_of_range = || Corruption::out_of_range("length of a packet", len.into(), 0, max);
        let len = usize::try_from(len).ok().filter(|&len| len <= MAX_PACKET).ok_or_else(out_of_range)?;
        let mut packet = Vec::new();
        let wanted = u64::try_from(len).unwrap_or(u64::MAX);
        Read::by_ref(self).take(wanted).read_to_end(&mut packet).map_err(Failure::system("read"))?;
        if packet.len() < len {
            return Err(Failure::System { doing: "read", error: io::ErrorKind::UnexpectedEof.into() });
        }
        Ok(packet)
    }
}

impl Read for Channel<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.encrypted {
            None => self.socket.read(buffer),
            Some(session) => session.read(&mut self.socket, buffer),
        }
    }
}

/// A stream whose operations end by a deadline.
struct Timed<'a> {
    stream: &'a TcpStream,
    deadline: Deadline,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.deadline.remaining();
        if left.is_zero() { Err(late()) } else { Ok(Some(left)) }
    }
}

/// Maps the system-dependent errors of a timeout to one.
fn in_time(done: io::Result<usize>) -> io::Result<usize> {
    done.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => late(),
        _ => error,
    })
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        in_time(self.stream.read(buffer))
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        in_time(self.stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn a_forked_process_neither_uses_nor_ends_the_session() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let patience = Duration::from_secs(60);
        let (trusted, owner) = (Deadline::after(patience), Owner::this());
        let mut connection =
            Connection { stream, encrypted: None, patience, trusted, xid: 0, asking: false, owner };
        assert!(connection.is_trusted());
        connection.owner = Owner::other();
        assert!(!connection.is_trusted());
        drop(connection);
        let mut sent = Vec::new();
        server.read_to_end(&mut sent).unwrap();
        assert!(sent.is_empty(), "{sent:?}");
    }
}
