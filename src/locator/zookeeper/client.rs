//! Reads znodes from any server of ZooKeeper.

use super::connection::{Connection, Failure, Security, patience};
use super::encryption::Encryption;
use super::quorum::{Quorum, check_path};
use super::sasl::SaslMechanism;
use super::wire::{self, Op};
use crate::clock::Deadline;
use crate::error::{Corruption, Error, Result};
use crate::sync::unpoisoned;
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// The pause after all servers failed. They may be starting.
const PAUSE: Duration = Duration::from_millis(200);

/// The requested session timeout (`zookeeper.session.timeout`). Most servers grant less.
const SESSION_TIMEOUT: Duration = Duration::from_secs(90);

/// Reads znodes.
///
/// Reads are idempotent and retried on the next server, with a new session, until the deadline. The servers
/// get equal shares of the remaining time. Threads that read concurrently use separate connections; one
/// connection is kept while its session is alive.
#[derive(Debug)]
pub(super) struct Client {
    quorum: Quorum,
    session_timeout: Duration,
    security: Security,
    /// The next server to ask, modulo their number. Starts at random, so that not all clients ask the same
    /// server.
    next: AtomicUsize,
    idle: Mutex<Option<Connection>>,
}

impl Client {
    pub(super) fn new(quorum: Quorum) -> Self {
        let any = usize::try_from(RandomState::new().hash_one(0) >> 33).unwrap_or_default();
        let (next, idle) = (AtomicUsize::new(any), Mutex::new(None));
        Self { quorum, session_timeout: SESSION_TIMEOUT, security: Security::default(), next, idle }
    }

    pub(super) fn set_sasl(&mut self, mechanism: Arc<dyn SaslMechanism>) {
        self.security.sasl = Some(mechanism);
        self.forget_idle();
    }

    pub(super) fn set_encryption(&mut self, encryption: Arc<dyn Encryption>) {
        self.security.encryption = Some(encryption);
        self.forget_idle();
    }

    pub(super) fn set_session_timeout(&mut self, timeout: Duration) {
        self.session_timeout = timeout;
        self.forget_idle();
    }

    fn forget_idle(&mut self) {
        *self.idle.get_mut().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the data of a znode; `None` if there is no such znode.
    pub(super) fn data(&self, path: &str, deadline: Deadline) -> Result<Option<Vec<u8>>> {
        self.read(Op::GetData, path, wire::data, deadline)
    }

    /// Returns the names of the children of a znode; `None` if there is no such znode.
    pub(super) fn children(&self, path: &str, deadline: Deadline) -> Result<Option<Vec<String>>> {
        self.read(Op::GetChildren, path, wire::children, deadline)
    }

    /// Whether a znode exists.
    pub(super) fn exists(&self, path: &str, deadline: Deadline) -> Result<bool> {
        self.read(Op::Exists, path, wire::stat, deadline).map(|found| found.is_some())
    }

    /// Returns the whole path of a znode, with the path of the quorum before it.
    pub(super) fn absolute(&self, path: &str) -> String {
        format!("{}{path}", self.quorum.chroot)
    }

    fn read<T>(
        &self,
        op: Op,
        path: &str,
        parse: fn(&[u8]) -> Result<T, Corruption>,
        deadline: Deadline,
    ) -> Result<Option<T>> {
        Error::if_no_clock("asking ZooKeeper")?;
        check_path(path)?;
        let path = self.absolute(path);
        let servers = &self.quorum.servers;
        if let Some(connection) = self.take_idle()
            // its server may have failed since, which implies nothing about other servers, or about a new
            // attempt on this one
            && let Ok(read) = self.ask(connection, op, &path, parse, self.share(deadline, servers.len() + 1))
        {
            return Ok(read);
        }
        let first = self.next.fetch_add(1, Ordering::Relaxed) % servers.len().max(1);
        let mut may_pass = false;
        for (attempt, server) in servers.iter().cycle().skip(first).enumerate() {
            let left = servers.len() - attempt % servers.len();
            let until = self.share(deadline, left);
            let read = Connection::open(server, self.session_timeout, &self.security, until)
                .and_then(|connection| self.ask(connection, op, &path, parse, until));
            let failure = match read {
                Ok(read) => return Ok(read),
                Err(failure) => failure,
            };
            may_pass |= failure.may_pass();
            let is_last = left == 1;
            if failure.is_final() || is_last && !may_pass {
                return Err(failure.at(server, &path));
            }
            let time = deadline.remaining();
            if time.is_zero() || is_last && time <= PAUSE {
                return Err(failure.when_time_is_over().at(server, &path));
            }
            if is_last {
                thread::sleep(PAUSE);
                may_pass = false;
            }
        }
        Err(Error::invalid_argument("a ZooKeeper without servers"))
    }

    /// Sends a request on a connection, and keeps the connection for the next one.
    fn ask<T>(
        &self,
        mut connection: Connection,
        op: Op,
        path: &str,
        parse: fn(&[u8]) -> Result<T, Corruption>,
        until: Deadline,
    ) -> Result<Option<T>, Failure> {
        let read = connection.ask(op, path, parse, until)?;
        let before = self.lock_idle().replace(connection);
        // outside of the lock, because dropping it ends its session
        drop(before);
        Ok(read)
    }

    fn take_idle(&self) -> Option<Connection> {
        let idle = self.lock_idle().take();
        idle.filter(Connection::is_trusted)
    }

    fn lock_idle(&self) -> MutexGuard<'_, Option<Connection>> {
        unpoisoned(self.idle.lock())
    }

    /// Returns the deadline of an attempt, with `left` attempts until `deadline`.
    fn share(&self, deadline: Deadline, left: usize) -> Deadline {
        let left = u32::try_from(left).unwrap_or(u32::MAX);
        Deadline::after((deadline.remaining() / left).min(patience(self.session_timeout))).min(deadline)
    }
}
