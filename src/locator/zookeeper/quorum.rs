//! ZooKeeper's connect string, `host:port,host:port/chroot`.

use super::waiting::by_deadline;
use crate::clock::Deadline;
use crate::error::{Error, Result};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

/// ZooKeeper's default port (`hbase.zookeeper.property.clientPort`).
const PORT: u16 = 2181;
/// Maximum length of a path in bytes. ZooKeeper limits only the packet.
const MAX_PATH: usize = 64 << 10;

/// The servers of a ZooKeeper, at least one, and the znode that contains all paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Quorum {
    pub(super) servers: Vec<Server>,
    /// Empty, or a path that ends without a slash.
    pub(super) chroot: String,
}

/// A server of ZooKeeper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    host: String,
    port: u16,
}

impl Quorum {
    /// Parses a connect string.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let (servers, chroot) = match text.find('/') {
            Some(slash) => text.split_at(slash),
            None => (text, ""),
        };
        let chroot = chroot.trim_end();
        if !matches!(chroot, "" | "/") {
            check_path(chroot)?;
        }
        let servers: Option<Vec<_>> = servers.split(',').map(|server| Server::parse(server.trim())).collect();
        match servers {
            Some(servers) => Ok(Self { servers, chroot: chroot.trim_end_matches('/').to_owned() }),
            None => Err(Error::invalid_argument(format!(
                "invalid ZooKeeper quorum {text:?}: expected host:port,host:port,… and optionally /path"
            ))),
        }
    }
}

impl Server {
    /// Parses `host`, `host:port` or `[address]:port`.
    fn parse(text: &str) -> Option<Self> {
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (address, rest) = rest.split_once(']')?;
                let port = if rest.is_empty() { None } else { Some(rest.strip_prefix(':')?) };
                (address, port)
            }
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (text, None),
            },
        };
        let port = match port {
            Some(digits) if digits.bytes().all(|digit| digit.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
            None => PORT,
        };
        let is_name = |c: char| !c.is_whitespace() && !c.is_control() && !matches!(c, '[' | ']' | '@');
        let good = !host.is_empty() && host.chars().all(is_name) && port != 0;
        good.then(|| Self { host: host.to_owned(), port })
    }

    /// Resolves the addresses of the host, by `deadline`.
    ///
    /// The system's resolver has no deadline.
    pub(super) fn addresses(&self, deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(address, self.port)]);
        }
        let (host, port) = (self.host.clone(), self.port);
        by_deadline("hregion-resolve", deadline, move || {
            (host.as_str(), port).to_socket_addrs().map(Vec::from_iter)
        })
    }

    pub(super) fn host(&self) -> &str {
        &self.host
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// Refuses invalid paths of znodes below the root, as ZooKeeper does.
pub(super) fn check_path(path: &str) -> Result<()> {
    let is_name = |name: &str| !matches!(name, "" | "." | "..") && !name.chars().any(char::is_control);
    match path.strip_prefix('/') {
        Some(names) if path.len() <= MAX_PATH && names.split('/').all(is_name) => Ok(()),
        _ => Err(Error::invalid_argument(format!("invalid znode {path:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn connect_strings_are_read() {
        let shown = |text: &str| {
            let quorum = Quorum::parse(text).unwrap();
            let servers: Vec<_> = quorum.servers.iter().map(Server::to_string).collect();
            format!("{} {}", servers.join(" "), quorum.chroot)
        };
        assert_eq!(shown("zk"), "zk:2181 ");
        assert_eq!(shown("a:2182, b ,127.0.0.1:9/c/d"), "a:2182 b:2181 127.0.0.1:9 /c/d");
        assert_eq!(shown("[::1]:7,[fe80::1]/"), "[::1]:7 [fe80::1]:2181 ");
    }

    #[test]
    fn others_are_refused() {
        for text in [
            "",
            ",",
            "a,,b",
            "a:",
            "a:0",
            "a:65536",
            "a:+1",
            "a:1:2",
            "::1",
            "[::1",
            "[::1]7",
            "a b",
            "/hbase",
            "a//b",
            "a/b/",
            "a/..",
            "a/\0",
            "hbase+zk://a/b",
        ] {
            assert!(Quorum::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn addresses_are_found_in_time() {
        let deadline = Deadline::after(Duration::from_secs(20));
        for text in ["localhost:1", "127.0.0.1:1", "[::1]:1"] {
            let server = Server::parse(text).unwrap();
            assert!(server.addresses(deadline).unwrap().iter().all(|address| address.ip().is_loopback()));
        }
        match Server::parse("localhost:1").unwrap().addresses(Deadline::after(Duration::ZERO)) {
            Ok(found) => assert!(!found.is_empty()),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::TimedOut),
        }
    }
}
