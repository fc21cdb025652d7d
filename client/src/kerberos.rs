//! Authenticated connections (locator.md §8.5; HBase: `HBaseSaslRpcClient`).

mod exchange;
#[cfg(feature = "internals")]
pub(crate) mod fuzzing;
#[cfg(unix)]
mod gssapi;
#[cfg(not(unix))]
#[path = "kerberos/no_gssapi.rs"]
mod gssapi;
mod mechanism;
#[cfg(test)]
mod tests;
mod wrapped;
mod zookeeper;

pub(crate) use exchange::Outcome;
pub(crate) use wrapped::protect;

use crate::cell_block::CellCodec;
use crate::connections::{CLIENT_SERVICE, MASTER_SERVICE};
use crate::fault::Fault;
use crate::frame::{KERBEROS_PREAMBLE, PRINCIPAL_PREAMBLE};
use crate::proto;
use crate::transport::{Incoming, Outgoing};
use gssapi::Gssapi;
use hregion::{Error, ErrorKind, Result};
use mechanism::{Login, Mechanism};
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// The authentication of the client and the servers of a cluster
/// ([`ClientBuilder::kerberos`](crate::ClientBuilder::kerberos)).
///
/// The client's tickets are those of `kinit` (`KRB5CCNAME`), or are obtained with the keys of a file
/// ([`keytab`](Self::keytab), `KRB5_CLIENT_KTNAME`). Realms and their servers are those of `krb5.conf`
/// (`KRB5_CONFIG`).
#[derive(Clone, Debug)]
pub struct Kerberos {
    region_server: Principal,
    master: Principal,
    login: Login,
    protections: Vec<Protection>,
    fallback: bool,
    canonical: bool,
    /// The principal of ZooKeeper's servers, if sessions are authenticated.
    zookeeper: Option<Principal>,
    /// The client's identity for ZooKeeper, if it differs.
    zookeeper_login: Option<Login>,
}

/// The protection of the messages of an authenticated connection (`hbase.rpc.protection`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Messages are not protected.
    Authentication,
    /// Changes of messages are detected.
    Integrity,
    /// Changes of messages are detected, and messages are encrypted.
    Privacy,
}

impl Protection {
    const ALL: [Self; 3] = [Self::Authentication, Self::Integrity, Self::Privacy];

    /// Returns HBase's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Authentication => "authentication",
            Self::Integrity => "integrity",
            Self::Privacy => "privacy",
        }
    }

    /// Finds one by its name in HBase or in SASL.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let of_sasl = ["auth", "auth-int", "auth-conf"].iter().zip(Self::ALL);
        let of_sasl = of_sasl.filter(|(sasl, _)| **sasl == name).map(|(_, protection)| protection).next();
        of_sasl.or_else(|| Self::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name)))
    }

    /// Returns its bit in the offer of a server (RFC 4752).
    fn bit(self) -> u8 {
        match self {
            Self::Authentication => 1,
            Self::Integrity => 2,
            Self::Privacy => 4,
        }
    }
}

impl Kerberos {
    /// Expects servers with a principal such as `hbase/_HOST@EXAMPLE.COM`
    /// (`hbase.regionserver.kerberos.principal`, `hbase.master.kerberos.principal`). `_HOST` is the server's
    /// host, whose name is made canonical according to `krb5.conf`; the realm is then ignored.
    ///
    /// # Errors
    ///
    /// If the principal is not of that form.
    pub fn new(principal: &str) -> Result<Self> {
        let principal = Principal::parse(principal)?;
        Ok(Self {
            region_server: principal.clone(),
            master: principal,
            login: Login::default(),
            protections: vec![Protection::Authentication],
            fallback: false,
            canonical: true,
            zookeeper: None,
            zookeeper_login: None,
        })
    }

    /// Sets the principal of masters, if it is not that of region servers.
    ///
    /// # Errors
    ///
    /// If the principal is not of a form such as `hbase/_HOST@EXAMPLE.COM`.
    pub fn master_principal(mut self, principal: &str) -> Result<Self> {
        self.master = Principal::parse(principal)?;
        Ok(self)
    }

    /// Gets tickets with the keys of a principal, by default the first one in the file
    /// (`hbase.client.keytab.file`, `hbase.client.keytab.principal`). They are kept in memory, and obtained
    /// again when they expire.
    #[must_use]
    pub fn keytab(mut self, path: impl Into<PathBuf>, principal: Option<&str>) -> Self {
        self.login.keytab = Some((path.into(), principal.map(str::to_owned)));
        self
    }

    /// Uses the tickets of a cache, such as `FILE:/tmp/krb5cc_1000` (default: that of `KRB5CCNAME`).
    #[must_use]
    pub fn ticket_cache(mut self, name: impl Into<String>) -> Self {
        self.login.ticket_cache = Some(name.into());
        self
    }

    /// Sets the protection of messages; of several, in order of preference, one that the server offers
    /// (`hbase.rpc.protection`; default: [`Authentication`](Protection::Authentication)).
    #[must_use]
    pub fn protection(mut self, protections: &[Protection]) -> Self {
        self.protections = protections.to_vec();
        self
    }

    /// Sets whether to connect to servers that do not authenticate
    /// (`hbase.ipc.client.fallback-to-simple-auth-allowed`; default: no).
    #[must_use]
    pub fn fallback_to_simple(mut self, allowed: bool) -> Self {
        self.fallback = allowed;
        self
    }

    /// Sets whether the host name that replaces `_HOST` is made canonical, by default according to
    /// `krb5.conf` (`hbase.unsafe.client.kerberos.hostname.disable.reversedns`, inverted). Otherwise it is
    /// the name by which the cluster lists the server, and the principal has the given realm.
    #[must_use]
    pub fn canonical_hosts(mut self, canonical: bool) -> Self {
        self.canonical = canonical;
        self
    }

    /// Also authenticates sessions with ZooKeeper, by SASL. Its servers are expected to have a principal such
    /// as `zookeeper/_HOST@EXAMPLE.COM` (ZooKeeper: `zookeeper.sasl.client.username`,
    /// `zookeeper.server.principal`; default: sessions are anonymous). A server that does not authenticate is
    /// an error. Messages are not protected, because ZooKeeper does not support it.
    ///
    /// # Errors
    ///
    /// If the principal is not of a form such as `zookeeper/_HOST@EXAMPLE.COM`.
    pub fn zookeeper_principal(mut self, principal: &str) -> Result<Self> {
        self.zookeeper = Some(Principal::parse(principal)?);
        Ok(self)
    }

    /// Gets the tickets for authenticated sessions with ZooKeeper with different keys than those of other
    /// connections, by default those of the first principal in the file
    /// (`hbase.zookeeper.client.keytab.file`, `hbase.zookeeper.client.kerberos.principal`).
    #[must_use]
    pub fn zookeeper_keytab(mut self, path: impl Into<PathBuf>, principal: Option<&str>) -> Self {
        let keytab = Some((path.into(), principal.map(str::to_owned)));
        self.zookeeper_login = Some(Login { keytab, ticket_cache: None });
        self
    }

    /// Returns the principals that the servers of a service may have.
    fn targets(&self, service: &str, host: &str) -> Vec<Target> {
        let principals = match service {
            CLIENT_SERVICE => vec![&self.region_server],
            MASTER_SERVICE => vec![&self.master],
            _ if self.master == self.region_server => vec![&self.master],
            _ => vec![&self.master, &self.region_server],
        };
        principals.into_iter().map(|principal| principal.of_host(host, self.canonical)).collect()
    }
}

/// A principal of servers.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Principal {
    service: String,
    host: String,
    realm: String,
}

/// The placeholder of a server's host.
const ANY_HOST: &str = "_HOST";

impl Principal {
    fn parse(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split(['/', '@']).collect();
        let [service, host, realm] = parts[..] else { return Err(not_a_principal(text)) };
        if [service, host, realm].iter().any(|part| part.is_empty()) || text.contains('\0') {
            return Err(not_a_principal(text));
        }
        Ok(Self { service: service.to_owned(), host: host.to_owned(), realm: realm.to_owned() })
    }

    fn of_host(&self, host: &str, canonical: bool) -> Target {
        let is_any = self.host == ANY_HOST;
        let host = if is_any { host.to_ascii_lowercase() } else { self.host.clone() };
        let realm = self.realm.clone();
        Target { service: self.service.clone(), host, realm, canonical: is_any && canonical, is_any }
    }
}

fn not_a_principal(text: &str) -> Error {
    Error::invalid_argument(format!("{text:?} is not a principal such as hbase/_HOST@EXAMPLE.COM"))
}

/// The principal of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    service: String,
    host: String,
    realm: String,
    /// Whether the name of the host is made canonical.
    canonical: bool,
    /// Whether any host may have it.
    is_any: bool,
}

impl Target {
    /// Whether a server that names its principal has this one.
    fn is(&self, principal: &str) -> bool {
        let found = Principal::parse(principal);
        found.is_ok_and(|found| {
            let is_host = self.is_any || found.host == self.host;
            found.service == self.service && is_host && found.realm == self.realm
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.service, self.host, self.realm)
    }
}

/// The expected principal of a server, of several possible ones.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) enum Choice {
    /// The one that it names.
    #[default]
    Named,
    /// They are tried one after the other, because servers before HBase 2.6 cannot be asked.
    Nth(usize),
}

impl Choice {
    /// Returns the next principal to try after an error, on another connection.
    pub(crate) fn after(self, error: &io::Error) -> Option<Self> {
        let is_old = error.get_ref().is_some_and(|error| error.is::<OldServer>());
        match self {
            Self::Named if is_old => Some(Self::Nth(0)),
            Self::Nth(0) => Some(Self::Nth(1)),
            Self::Named | Self::Nth(_) => None,
        }
    }
}

/// A server that cannot be asked for its principal.
#[derive(Debug)]
struct OldServer;

impl fmt::Display for OldServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the server does not report its principal")
    }
}

impl std::error::Error for OldServer {}

/// Authenticates connections.
#[derive(Clone, Debug)]
pub(crate) struct KerberosClient {
    settings: Kerberos,
    mechanism: Arc<dyn Mechanism>,
    /// Uses a separate ticket cache, if the client has another identity there.
    of_zookeeper: Arc<dyn Mechanism>,
}

impl KerberosClient {
    /// Loads the library.
    pub(crate) fn new(settings: Kerberos) -> Result<Self> {
        let load = || -> Result<Arc<dyn Mechanism>> {
            let library = Gssapi::load();
            let library = library.map_err(|reason| Error::new(ErrorKind::Unsupported, reason))?;
            Ok(Arc::new(library))
        };
        let mechanism = load()?;
        let has_own_keys = settings.zookeeper_login.is_some();
        let of_zookeeper = if has_own_keys { load()? } else { Arc::clone(&mechanism) };
        Ok(Self { settings, mechanism, of_zookeeper })
    }

    /// Begins a connection, and authenticates both sides.
    pub(crate) async fn authenticate(
        &self,
        server: &str,
        host: &str,
        service: &str,
        choice: Choice,
        read: &mut impl Incoming,
        write: &mut impl Outgoing,
    ) -> io::Result<Outcome> {
        let mut targets = self.settings.targets(service, host);
        let at = match choice {
            _ if targets.len() == 1 => 0,
            Choice::Named => self.ask(server, &targets, read, write).await?,
            Choice::Nth(at) => at.min(targets.len() - 1),
        };
        let target = targets.swap_remove(at);
        write.send(KERBEROS_PREAMBLE).await?;
        let (mechanism, login) = (Arc::clone(&self.mechanism), self.settings.login.clone());
        let begin = move || mechanism.begin(&target, &login);
        match exchange::exchange(server, read, write, begin, &self.settings.protections).await? {
            Outcome::Simple if !self.settings.fallback => Err(no_fallback(server)),
            outcome => Ok(outcome),
        }
    }

    /// Asks a server for its principal, and finds it among those expected.
    async fn ask(
        &self,
        server: &str,
        targets: &[Target],
        read: &mut impl Incoming,
        write: &mut impl Outgoing,
    ) -> io::Result<usize> {
        write.send(PRINCIPAL_PREAMBLE).await?;
        let len = read.read_u32().await?;
        let answer = exchange::read_preamble_answer(server, read, len).await?;
        if let Some(exception) = &answer.exception {
            let class = exception.exception_class_name.as_deref().unwrap_or_default();
            let text = exception.stack_trace.as_deref().unwrap_or_default();
            return if class.ends_with(".SecurityNotEnabledException") {
                if self.settings.fallback { Ok(0) } else { Err(no_fallback(server)) }
            } else if text.contains("Expected HEADER=") {
                Err(io::Error::other(OldServer))
            } else {
                Err(Fault::refused_connection(server, exception).into_io())
            };
        }
        // nothing is compressed, because no header has been sent
        let decoded = answer.decode::<proto::SecurityPreambleResponse>(CellCodec::default(), 0);
        let (response, _) = decoded.map_err(|corruption| Fault::corrupt(server, &corruption).into_io())?;
        let principal = response.server_principal.unwrap_or_default();
        targets.iter().position(|target| target.is(&principal)).ok_or_else(|| {
            let expected: Vec<_> = targets.iter().map(Target::to_string).collect();
            let reason = format!("the server is {principal:?}, expected {}", expected.join(" or "));
            Fault::unauthenticated(server, &reason, false).into_io()
        })
    }
}

fn no_fallback(server: &str) -> io::Error {
    let reason = "the server does not authenticate, and \
                  hbase.ipc.client.fallback-to-simple-auth-allowed is not true";
    Fault::unauthenticated(server, reason, false).into_io()
}
