//! Encryption of connections (ZooKeeper: `zookeeper.client.secure`, `ClientCnxnSocketNetty`).

use std::fmt;
use std::io::{self, Read, Write};

/// A connection whose reads and writes fail at a deadline, with [`TimedOut`](io::ErrorKind::TimedOut).
pub trait Socket: Read + Write {}

impl<T: Read + Write> Socket for T {}

/// Encrypts connections to the servers of a ZooKeeper, for example by TLS
/// ([`ZooKeeperRegistry::with_encryption`](super::ZooKeeperRegistry::with_encryption)). ZooKeeper's client:
/// `ClientCnxnSocketNetty`.
///
/// Errors of the kind [`InvalidData`](io::ErrorKind::InvalidData) are permanent, such as a certificate that
/// is not trusted: the registry tries another server, but not the same one again. After other errors, it
/// tries the same server later.
pub trait Encryption: fmt::Debug + Send + Sync {
    /// Performs the handshake with a server, which is given by the name of its host.
    ///
    /// # Errors
    ///
    /// If one side does not trust the other, or the connection fails.
    fn begin(&self, host: &str, socket: &mut dyn Socket) -> io::Result<Box<dyn EncryptedSession>>;
}

/// The state of an encrypted connection, which is given its socket for each operation.
pub trait EncryptedSession: fmt::Debug + Send {
    /// Reads decrypted bytes; 0 at the end.
    ///
    /// # Errors
    ///
    /// If the connection fails, ends before the server has announced it, or delivers bytes that the server
    /// did not encrypt.
    fn read(&mut self, socket: &mut dyn Socket, buffer: &mut [u8]) -> io::Result<usize>;

    /// Encrypts bytes, and sends all of them.
    ///
    /// # Errors
    ///
    /// If the connection fails.
    fn write_all(&mut self, socket: &mut dyn Socket, bytes: &[u8]) -> io::Result<()>;
}
