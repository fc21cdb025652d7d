//! Names of servers (HBase: `ServerName`).
#![warn(clippy::indexing_slicing)]

use crate::error::{Corruption, Error, Result};
#[cfg(feature = "cluster")]
use crate::proto::zookeeper as message;
#[cfg(feature = "cluster")]
use prost::Message as _;
use std::fmt;

/// A region server: its address, and its start time in milliseconds since 1970 (HBase: `ServerName`).
///
/// A restarted server is a different one, even with the same host and port. Hosts are stored in lower case,
/// because host names ignore case, and IPv6 addresses without brackets.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerName {
    host: String,
    port: u16,
    start_code: i64,
}

/// The start code of a server that does not report one, as in version 0.90 (HBase:
/// `ServerName.NON_STARTCODE`).
#[cfg(feature = "cluster")]
pub(super) const NO_START_CODE: i64 = -1;

/// Maximum length of a host name in DNS.
const MAX_HOST_LEN: usize = 255;

impl ServerName {
    /// Names the server that was started at `start_code`, in milliseconds.
    ///
    /// # Errors
    ///
    /// If the host is invalid: empty, longer than 255 bytes, or with a comma, a space, a control character,
    /// or an invisible character, such as one that changes the direction of text.
    pub fn new(host: impl Into<String>, port: u16, start_code: i64) -> Result<Self> {
        let host: String = host.into();
        Self::checked(&host, port, start_code)
            .ok_or_else(|| Error::invalid_argument(format!("invalid host {host:?}")))
    }

    /// Parses the printed form of a name: `host,port,start code`.
    ///
    /// # Errors
    ///
    /// If the text is not of that form.
    pub fn parse(name: &str) -> Result<Self> {
        Self::from_bytes(name.as_bytes())
            .map_err(|_| Error::invalid_argument(format!("{name:?} is not host,port,start code")))
    }

    /// Parses the printed form of a name in a file or a cell.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, Corruption> {
        let parse = || {
            let (address, start_code) = std::str::from_utf8(bytes).ok()?.rsplit_once(',')?;
            let (host, port) = address.rsplit_once(',')?;
            Self::checked(host, digits(port)?, digits(start_code)?)
        };
        parse().ok_or_else(|| Corruption::unknown_name("server", bytes))
    }

    /// Decodes HBase's message `ServerName`.
    ///
    /// # Errors
    ///
    /// If the bytes are not such a message, or name no server.
    #[cfg(feature = "cluster")]
    pub fn from_proto_bytes(message: &[u8]) -> Result<Self, Corruption> {
        let malformed = Corruption::Malformed("server that is not a ServerName message");
        Self::from_proto(message::ServerName::decode(message).map_err(|_| malformed)?)
    }

    #[cfg(feature = "cluster")]
    pub(super) fn from_proto(found: message::ServerName) -> Result<Self, Corruption> {
        let (Some(host), Some(port)) = (found.host_name, found.port) else {
            return Err(Corruption::Malformed("server without a host or a port"));
        };
        let port = u16::try_from(port)
            .map_err(|_| Corruption::out_of_range("port of the server", port.into(), 0, u16::MAX.into()))?;
        let start_code = found.start_code.map_or(NO_START_CODE, u64::cast_signed);
        Self::checked(&host, port, start_code)
            .ok_or_else(|| Corruption::unknown_name("host of the server", host.as_bytes()))
    }

    /// Builds a name from an address, `host:port`, as in the catalog.
    pub(crate) fn from_address(address: &[u8], start_code: i64) -> Result<Self, Corruption> {
        let parse = || {
            // IPv6 addresses contain colons; from 2.0 on, they are in brackets
            let (host, port) = std::str::from_utf8(address).ok()?.rsplit_once(':')?;
            Self::checked(host, digits(port)?, start_code)
        };
        parse().ok_or_else(|| Corruption::unknown_name("server", address))
    }

    fn checked(host: &str, port: u16, start_code: i64) -> Option<Self> {
        // the name is printed: no character in it may be invisible or misleading
        let is_unseen = |c: char| {
            matches!(c, '\u{ad}' | '\u{61c}' | '\u{feff}')
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}')
        };
        let is_odd = |c: char| c.is_control() || c.is_whitespace() || c == ',' || is_unseen(c);
        let host = without_brackets(host);
        // some characters get longer in lower case
        let host = host.to_lowercase();
        let can_be = !host.is_empty() && host.len() <= MAX_HOST_LEN && !host.contains(is_odd);
        can_be.then_some(Self { host, port, start_code })
    }

    /// Returns the host, in lower case.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the start time of the server, in milliseconds.
    #[must_use]
    pub fn start_code(&self) -> i64 {
        self.start_code
    }
}

/// Returns an IPv6 address without the brackets around it (Guava: `HostAndPort`); any other host unchanged.
fn without_brackets(host: &str) -> &str {
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_address = |text: &&str| text.contains(':') && !text.contains(['[', ']']);
    address.filter(is_address).unwrap_or(host)
}

/// Parses a number of digits only.
fn digits<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse().ok())?
}

impl fmt::Display for ServerName {
    /// Writes `host,port,start code`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{},{},{}", self.host, self.port, self.start_code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_shown_as_they_are_read() {
        for name in ["localhost,16020,1700000000000", "::1,1,2", "a.b-c,65535,0"] {
            assert_eq!(ServerName::parse(name).unwrap().to_string(), name);
        }
        for name in
            ["", "a", "a,1", ",1,2", "a,65536,2", "a,1,", "a,+1,2", "a,1,-2", "a b,1,2", "a,b,1,2", "a,1,2\0"]
        {
            assert!(ServerName::parse(name).is_err(), "{name:?}");
        }
        assert!(ServerName::new("a\n", 1, 2).is_err() && ServerName::new("x".repeat(256), 1, 2).is_err());
        assert!(ServerName::new("İ".repeat(127), 1, 2).is_err(), "three bytes each, in lower case");
        for c in ['\u{61c}', '\u{200e}', '\u{2028}', '\u{202e}', '\u{2066}', '\u{2069}', '\u{feff}'] {
            assert!(ServerName::new(format!("a{c}b"), 1, 2).is_err(), "{c:?}");
        }
    }

    #[test]
    fn addresses_end_at_their_last_colon() {
        let server = ServerName::from_address(b"Host.Example:16020", 5).unwrap();
        assert_eq!((server.host(), server.port(), server.start_code()), ("host.example", 16020, 5));
        assert_eq!(ServerName::from_address(b"::1:7", 5).unwrap().host(), "::1");
        assert_ne!(server, ServerName::from_address(b"host.example:16020", 6).unwrap());
        for address in [&b""[..], b"h", b"h:", b":1", b"h:x", b"\xff:1", b"h:1\0"] {
            assert!(ServerName::from_address(address, 5).is_err(), "{address:?}");
        }
    }

    #[test]
    fn addresses_of_ipv6_have_no_brackets() {
        let server = ServerName::from_address(b"[2001:DB8::1]:16020", 5).unwrap();
        assert_eq!((server.host(), server.port()), ("2001:db8::1", 16020));
        assert_eq!(server, ServerName::parse("2001:db8::1,16020,5").unwrap());
        assert_eq!(server, ServerName::parse("[2001:db8::1],16020,5").unwrap());
        assert_eq!(server, ServerName::new("[2001:db8::1]", 16020, 5).unwrap());
        assert_eq!(server.to_string(), "2001:db8::1,16020,5");
        for other in ["[h]", "[[::1]]"] {
            assert_eq!(ServerName::new(other, 7, 5).unwrap().host(), other);
        }
    }
}
