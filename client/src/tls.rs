//! Encrypted connections (locator.md §8.1; HBase 2.6: `X509Util`).

mod any_host;
mod key_file;
#[cfg(test)]
pub(crate) mod tests;
mod zookeeper;

pub(crate) use key_file::KeyFile;
pub(crate) use zookeeper::ZooKeeperTls;

use any_host::AnyHost;
use hregion::{Error, ErrorKind, Result};
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::ServerCertVerifier;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    AlertDescription, ClientConfig, Error as TlsError, RootCertStore, SupportedProtocolVersion,
};

/// The encryption of connections, and the trusted servers: those of the cluster
/// ([`ClientBuilder::tls`](crate::ClientBuilder::tls)), or those of ZooKeeper
/// ([`ClientBuilder::zookeeper_tls`](crate::ClientBuilder::zookeeper_tls)), each with settings of its own.
///
/// Files are PEM (`.pem`) or PKCS12 (`.p12`, `.pfx`). Java's own form, JKS, is refused; `keytool
/// -importkeystore -deststoretype PKCS12` makes the other of it. Names of hosts are those of the
/// certificate's subject alternative names; its common name does not count.
#[derive(Clone, Debug)]
pub struct Tls {
    trusted: KeyFile,
    keys: Option<KeyFile>,
    pub(crate) verify_host: bool,
    pub(crate) handshake_timeout: Duration,
    /// The versions of the protocol to offer.
    pub(crate) versions: Vec<&'static SupportedProtocolVersion>,
    /// The cipher suites to offer; all if empty.
    pub(crate) cipher_suites: Vec<String>,
    /// Whether the files are read for each connection.
    pub(crate) reload: bool,
}

/// The versions by Java's names.
pub(crate) const VERSIONS: [(&str, &SupportedProtocolVersion); 2] =
    [("TLSv1.2", &TLS12), ("TLSv1.3", &TLS13)];

impl Tls {
    /// Trusts servers whose certificates are signed by one of a file (`hbase.rpc.tls.truststore.location`,
    /// `zookeeper.ssl.trustStore.location`). A PKCS12 file has a password.
    ///
    /// # Errors
    ///
    /// If the name of the file does not have the extension of a supported format
    /// ([`Unsupported`](ErrorKind::Unsupported)).
    pub fn trusting(path: impl AsRef<Path>, password: Option<&str>) -> Result<Self> {
        Ok(Self::of(KeyFile::new(path.as_ref(), None, password)?))
    }

    pub(crate) fn of(trusted: KeyFile) -> Self {
        Self {
            trusted,
            keys: None,
            verify_host: true,
            handshake_timeout: Duration::from_secs(5),
            versions: VERSIONS.iter().map(|(_, version)| *version).collect(),
            cipher_suites: Vec::new(),
            reload: false,
        }
    }

    /// Sets the file with the private key of the client and its certificate, by which servers identify it
    /// (`hbase.rpc.tls.keystore.location`, `zookeeper.ssl.keyStore.location`). A key in a PEM file must not
    /// be encrypted. A key of an elliptic curve must have its public key with it, which `keytool` leaves out:
    /// use RSA there.
    ///
    /// # Errors
    ///
    /// If the name of the file does not have the extension of a supported format
    /// ([`Unsupported`](ErrorKind::Unsupported)).
    pub fn keys(self, path: impl AsRef<Path>, password: Option<&str>) -> Result<Self> {
        Ok(self.with_keys(KeyFile::new(path.as_ref(), None, password)?))
    }

    pub(crate) fn with_keys(mut self, keys: KeyFile) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Sets whether a server's certificate must have the name of the server's host
    /// (`hbase.client.netty.tls.verify.server.hostname`, `zookeeper.ssl.hostnameVerification`; default: it
    /// must).
    #[must_use]
    pub fn verify_host(mut self, verify: bool) -> Self {
        self.verify_host = verify;
        self
    }

    /// Sets the time limit of a handshake (`hbase.client.netty.tls.handshaketimeout`, 5 s). With ZooKeeper,
    /// it has the time of the request.
    #[must_use]
    pub fn handshake_timeout(mut self, time: Duration) -> Self {
        self.handshake_timeout = time;
        self
    }

    fn connector(&self) -> Result<TlsConnector> {
        Ok(TlsConnector::from(self.config()?))
    }

    /// Reads the files.
    fn config(&self) -> Result<Arc<ClientConfig>> {
        let mut provider = ring::default_provider();
        if !self.cipher_suites.is_empty() {
            // Java's names of the suites of TLS 1.3 begin otherwise
            let name = |suite: &tokio_rustls::rustls::SupportedCipherSuite| {
                format!("{:?}", suite.suite()).replace("TLS13_", "TLS_")
            };
            provider.cipher_suites.retain(|suite| self.cipher_suites.contains(&name(suite)));
            if provider.cipher_suites.is_empty() {
                let message = format!("cipher suites {}: none is supported", self.cipher_suites.join(","));
                return Err(Error::new(ErrorKind::Unsupported, message));
            }
        }
        let provider = Arc::new(provider);
        let mut roots = RootCertStore::empty();
        for certificate in self.trusted.certificates()? {
            roots.add(certificate).map_err(|error| self.trusted.wrong(&error))?;
        }
        if roots.is_empty() {
            return Err(self.trusted.wrong(&"there are no certificates to trust"));
        }
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&self.versions)
            .map_err(|error| Error::new(ErrorKind::Unsupported, format!("TLS: {error}")))?;
        let builder = if self.verify_host {
            builder.with_root_certificates(roots)
        } else {
            let verifier: Arc<dyn ServerCertVerifier> =
                Arc::new(AnyHost::new(roots, provider.signature_verification_algorithms));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        };
        let config = match &self.keys {
            None => builder.with_no_client_auth(),
            Some(keys) => {
                let (chain, key) = keys.key()?;
                builder.with_client_auth_cert(chain, key).map_err(|error| keys.wrong(&error))?
            }
        };
        Ok(Arc::new(config))
    }
}

/// Encrypts connections.
#[derive(Clone)]
pub(crate) struct TlsClient {
    settings: Tls,
    connector: TlsConnector,
    /// Allows one reading of the files at a time.
    turns: Arc<Semaphore>,
}

impl TlsClient {
    /// Reads the files of settings.
    pub(crate) fn new(settings: Tls) -> Result<Self> {
        Ok(Self { connector: settings.connector()?, settings, turns: Arc::new(Semaphore::new(1)) })
    }

    /// Shakes hands with a server.
    pub(crate) async fn encrypt(&self, host: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let wrong = |reason: String| io::Error::new(io::ErrorKind::InvalidInput, reason);
        let name = server_name(host).map_err(wrong)?;
        let connector = if self.settings.reload {
            // A file may be on a disk that does not answer. Only one thread waits for it: the runtime has a
            // number of them, which resolve names, too.
            let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(io::Error::other)?;
            let settings = self.settings.clone();
            let read = spawn_blocking(move || {
                let _turn = turn;
                settings.connector()
            });
            let read = read.await;
            let read = read.map_err(|_| io::Error::from(io::ErrorKind::Interrupted))?;
            read.map_err(|error| wrong(error.message()))?
        } else {
            self.connector.clone()
        };
        match timeout(self.settings.handshake_timeout, connector.connect(name, stream)).await {
            Ok(Ok(encrypted)) => Ok(encrypted),
            Ok(Err(error)) if of_tls(&error).is_some() => Err(error),
            Ok(Err(error)) => Err(io::Error::new(error.kind(), format!("TLS handshake: {error}"))),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "TLS handshake: no answer in time")),
        }
    }
}

impl std::fmt::Debug for TlsClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TlsClient").field(&self.settings).finish()
    }
}

fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| format!("{host:?} is not a name that a certificate can have"))
}

/// Returns the error of the protocol that an error of a socket is.
fn of_tls(error: &io::Error) -> Option<&TlsError> {
    error.get_ref()?.downcast_ref()
}

/// Describes an error of the protocol, and returns whether the server would give the same answer again: one
/// side refuses the certificate of the other, or they have no version or cipher in common.
pub(crate) fn explain(error: &io::Error) -> Option<(String, bool)> {
    let error = of_tls(error)?;
    Some(match error {
        TlsError::InvalidMessage(_) => {
            (format!("TLS: {error}; does the server encrypt its connections?"), false)
        }
        TlsError::InvalidCertificate(_)
        | TlsError::NoCertificatesPresented
        | TlsError::PeerIncompatible(_) => (format!("TLS: {error}"), true),
        TlsError::AlertReceived(alert) => (format!("TLS: {error}"), refuses(*alert)),
        _ => (format!("TLS: {error}"), false),
    })
}

fn refuses(alert: AlertDescription) -> bool {
    use AlertDescription as Alert;
    matches!(
        alert,
        Alert::HandshakeFailure
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateRevoked
            | Alert::CertificateExpired
            | Alert::CertificateUnknown
            | Alert::CertificateRequired
            | Alert::UnknownCA
            | Alert::AccessDenied
            | Alert::ProtocolVersion
            | Alert::InsufficientSecurity
    )
}
