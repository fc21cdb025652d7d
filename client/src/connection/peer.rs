//! Connecting to a server, up to the header (locator.md §8.1).

use super::{Connection, ConnectionSettings};
use crate::frame;
#[cfg(feature = "kerberos")]
use crate::kerberos::{Choice, Outcome, protect};
use crate::transport::{Counted, Incoming, Outgoing, Plain};
use socket2::SockRef;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;

/// The server to connect to.
#[derive(Clone, Copy)]
pub(super) struct Peer<'p> {
    /// Host and port, for messages.
    pub(super) server: &'p str,
    pub(super) host: &'p str,
    pub(super) port: u16,
    pub(super) service: &'p str,
    /// Which principal the server has.
    #[cfg(feature = "kerberos")]
    pub(super) choice: Choice,
}

/// Connects to the first address that responds. Each has a share of the remaining time, because a firewall
/// may drop all packets to one of them.
pub(crate) async fn dial_any(addresses: &[SocketAddr], time: Duration) -> io::Result<TcpStream> {
    let begin = Instant::now();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for (at, address) in addresses.iter().enumerate() {
        let left = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let share = time.saturating_sub(begin.elapsed()) / left;
        match timeout(share, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => last = error,
            Err(_) => last = io::ErrorKind::TimedOut.into(),
        }
    }
    Err(last)
}

impl Peer<'_> {
    pub(super) async fn connect(self, settings: &ConnectionSettings) -> io::Result<Connection> {
        let (stream, arrived) = (self.dial(settings).await?, Arc::default());
        #[cfg(feature = "tls")]
        if let Some(tls) = &settings.tls {
            let (read, write) = tokio::io::split(tls.encrypt(self.host, stream).await?);
            return self.greet(Counted::new(Plain(read), &arrived), Plain(write), arrived, settings).await;
        }
        let (read, write) = stream.into_split();
        self.greet(Counted::new(Plain(read), &arrived), Plain(write), arrived, settings).await
    }

    pub(super) async fn dial(self, settings: &ConnectionSettings) -> io::Result<TcpStream> {
        let addresses: Vec<SocketAddr> = lookup_host((self.host, self.port)).await?.collect();
        let stream = dial_any(&addresses, settings.connect_timeout).await?;
        stream.set_nodelay(true)?;
        SockRef::from(&stream).set_keepalive(settings.keepalive)?;
        Ok(stream)
    }

    /// Authenticates if required, and sends the header.
    async fn greet(
        self,
        read: impl Incoming,
        mut write: impl Outgoing,
        arrived: Arc<AtomicU64>,
        settings: &ConnectionSettings,
    ) -> io::Result<Connection> {
        let Self { server, service, .. } = self;
        #[cfg(feature = "kerberos")]
        if let Some(kerberos) = &settings.kerberos {
            let (host, choice, mut read) = (self.host, self.choice, read);
            let outcome = kerberos.authenticate(server, host, service, choice, &mut read, &mut write).await?;
            let Outcome::Authenticated(agreement) = outcome else {
                let user = settings.simple_user();
                write.send(&frame::connection_header(Some(&user), service, settings.cells)).await?;
                return Ok(Connection::over(server.to_owned(), read, write, arrived, settings));
            };
            let (read, mut write) = protect(server, agreement, read, write, settings.max_response);
            let user = settings.user.as_deref();
            write.send(&frame::connection_header(user, service, settings.cells)).await?;
            return Ok(Connection::over(server.to_owned(), read, write, arrived, settings));
        }
        write.send(&frame::hello(&settings.simple_user(), service, settings.cells)).await?;
        Ok(Connection::over(server.to_owned(), read, write, arrived, settings))
    }

    /// Connects once more if the server may have another principal.
    #[cfg(feature = "kerberos")]
    pub(super) async fn connect_again(
        mut self,
        mut opened: io::Result<Connection>,
        settings: &ConnectionSettings,
    ) -> io::Result<Connection> {
        while let Err(error) = &opened
            && let Some(choice) = self.choice.after(error)
        {
            self.choice = choice;
            opened = self.connect(settings).await;
        }
        opened
    }
}
