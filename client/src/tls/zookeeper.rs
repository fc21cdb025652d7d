//! Encrypted connections to ZooKeeper (locator.md §7.4; ZooKeeper: `ClientX509Util`).

use super::{Tls, explain, of_tls, server_name};
use hregion::Result;
use hregion::locator::{EncryptedSession, Encryption, Socket};
use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use tokio_rustls::rustls::{ClientConfig, ClientConnection, Error as TlsError, Stream};

/// Encrypts connections to ZooKeeper. The time of a handshake is part of that of its request.
pub(crate) struct ZooKeeperTls {
    settings: Tls,
    config: Arc<ClientConfig>,
}

impl ZooKeeperTls {
    /// Reads the files of settings.
    pub(crate) fn new(settings: Tls) -> Result<Self> {
        Ok(Self { config: settings.config()?, settings })
    }
}

/// Does not show the contents of the files.
impl fmt::Debug for ZooKeeperTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ZooKeeperTls").field(&self.settings).finish()
    }
}

impl Encryption for ZooKeeperTls {
    fn begin(&self, host: &str, mut socket: &mut dyn Socket) -> io::Result<Box<dyn EncryptedSession>> {
        let name = server_name(host).map_err(lasting)?;
        let config = if self.settings.reload {
            // a file may be read while it is being replaced
            self.settings.config().map_err(|error| io::Error::other(error.message()))?
        } else {
            Arc::clone(&self.config)
        };
        let mut connection = ClientConnection::new(config, name).map_err(lasting)?;
        while connection.is_handshaking() {
            match connection.complete_io(&mut socket) {
                Ok((0, 0)) => return Err(in_handshake(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(in_handshake(error)),
            }
        }
        Ok(Box::new(Session(connection)))
    }
}

/// An encrypted connection.
#[derive(Debug)]
struct Session(ClientConnection);

impl EncryptedSession for Session {
    fn read(&mut self, mut socket: &mut dyn Socket, buffer: &mut [u8]) -> io::Result<usize> {
        Stream::new(&mut self.0, &mut socket).read(buffer).map_err(in_session)
    }

    fn write_all(&mut self, mut socket: &mut dyn Socket, bytes: &[u8]) -> io::Result<()> {
        let mut stream = Stream::new(&mut self.0, &mut socket);
        // writing reports errors of the socket with the next bytes only
        stream.write_all(bytes).and_then(|()| stream.flush()).map_err(in_session)
    }
}

fn in_handshake(error: io::Error) -> io::Error {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, UnexpectedEof};
    const PLAIN: &str = "does the server encrypt its connections?";
    if matches!(of_tls(&error), Some(TlsError::InvalidMessage(_))) {
        // an answer that is not of the protocol will not be another one later
        return lasting(in_session(error));
    }
    match error.kind() {
        _ if of_tls(&error).is_some() => in_session(error),
        // a server that expects its own protocol sees a packet that is too long
        kind @ (ConnectionAborted | ConnectionReset | UnexpectedEof) => {
            io::Error::new(kind, format!("TLS handshake: {error}; {PLAIN}"))
        }
        kind => io::Error::new(kind, format!("TLS handshake: {error}")),
    }
}

/// Names an error of the protocol. The kind of the result tells whether the error is lasting.
fn in_session(error: io::Error) -> io::Error {
    match explain(&error) {
        Some((reason, true)) => lasting(reason),
        Some((reason, false)) => io::Error::new(io::ErrorKind::ConnectionAborted, reason),
        None => error,
    }
}

fn lasting(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}
