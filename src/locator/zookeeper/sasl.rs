//! Authentication of sessions by SASL (RFC 4422; ZooKeeper: `ZooKeeperSaslClient`).

use std::fmt;
use std::io;

/// Authenticates sessions with the servers of a ZooKeeper by SASL, for example by Kerberos
/// ([`ZooKeeperRegistry::with_sasl`](super::ZooKeeperRegistry::with_sasl)). ZooKeeper's client:
/// `ZooKeeperSaslClient`.
///
/// Errors of the kind [`PermissionDenied`](io::ErrorKind::PermissionDenied) are final. After any other error,
/// another server is asked; the same one is asked again later, unless the error is of the kind
/// [`InvalidData`](io::ErrorKind::InvalidData) or [`Unsupported`](io::ErrorKind::Unsupported).
pub trait SaslMechanism: fmt::Debug + Send + Sync {
    /// Begins to authenticate a session with a server, by the name of its host. May wait, on a thread of its
    /// own.
    ///
    /// # Errors
    ///
    /// If the client has no identity, or cannot authenticate the server.
    fn begin(&self, host: &str) -> io::Result<Box<dyn SaslExchange>>;
}

/// The exchange of tokens that authenticates a session.
pub trait SaslExchange: Send {
    /// Returns the answer to a token of the server, which is empty at the beginning. May wait, on a thread of
    /// its own.
    ///
    /// # Errors
    ///
    /// If the server has not proved its identity, or the token is not understood.
    fn step(&mut self, token: &[u8]) -> io::Result<SaslStep>;
}

/// An answer to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SaslStep {
    /// The token to send.
    pub token: Vec<u8>,
    /// Whether it is the last one: the session is authenticated if the server does not refuse it.
    pub is_last: bool,
}
