//! Proves the identity of both sides of a connection (RFC 2743: a mechanism of the GSS-API).

use super::Target;
use std::fmt;
use std::path::PathBuf;

/// Proves who the client is, and who the server.
pub(crate) trait Mechanism: fmt::Debug + Send + Sync {
    /// Begins with a server. Reads files.
    fn begin(&self, target: &Target, login: &Login) -> Result<Box<dyn Context>, GssError>;
}

/// The source of the client's own identity.
#[derive(Clone, Debug, Default)]
pub(crate) struct Login {
    /// The file of keys, and the principal if not the first one in it.
    pub(crate) keytab: Option<(PathBuf, Option<String>)>,
    /// The cache of tickets.
    pub(crate) ticket_cache: Option<String>,
}

/// The authentication of both sides to each other.
pub(crate) trait Context: Send {
    /// Takes a token of the server, an empty one to begin. May wait for another server, which issues tickets.
    fn step(&mut self, token: &[u8]) -> Result<Step, GssError>;

    /// Protects a message.
    fn wrap(&mut self, message: &[u8], encrypt: bool) -> Result<Vec<u8>, GssError>;

    /// Returns the message that the server has protected, and whether it was encrypted. Messages that are
    /// not the next one of the server are errors.
    fn unwrap(&mut self, token: &[u8]) -> Result<(Vec<u8>, bool), GssError>;

    /// Returns the length of the longest message whose token is not longer than `max`.
    fn max_message(&mut self, max: u32, encrypt: bool) -> Result<u32, GssError>;
}

/// The result of a token of the server.
#[derive(Debug)]
pub(crate) struct Step {
    /// The token to send.
    pub(crate) token: Vec<u8>,
    /// Whether both sides are authenticated.
    pub(crate) is_complete: bool,
}

/// A failure of the mechanism.
#[derive(Clone, Debug)]
pub(crate) struct GssError {
    pub(crate) message: String,
    /// Whether it may succeed later.
    pub(crate) is_transient: bool,
}

impl GssError {
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_transient: false }
    }
}
