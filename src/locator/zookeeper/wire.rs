//! The part of ZooKeeper's protocol needed for reading (locator.md §7.4). A packet is a length, and that many
//! bytes of big-endian integers and strings.
#![warn(clippy::indexing_slicing)]

use crate::coding::Cursor;
use crate::error::Corruption;
use std::fmt;
use std::time::Duration;

/// Maximum size of a received packet, as in Java's client. A znode has at most 1 MiB.
pub(super) const MAX_PACKET: usize = 4 << 20;

/// No such znode.
const NO_NODE: i32 = -101;
const NO_AUTH: i32 = -102;
const AUTH_FAILED: i32 = -115;
/// The server has closed the session because it requires SASL.
const SASL_REQUIRED: i32 = -124;
/// The errors with their names.
const ERRORS: [(i32, &str); 11] = [
    (-1, "system error"),
    (-4, "connection loss"),
    (-5, "marshalling error"),
    (-6, "not implemented"),
    (-7, "operation timeout"),
    (-8, "bad arguments"),
    (NO_AUTH, "no authority to read it"),
    (-112, "session expired"),
    (AUTH_FAILED, "authentication failed"),
    (-118, "session moved"),
    (SASL_REQUIRED, "session closed, because the server requires that it is authenticated by SASL"),
];

const CLOSE: i32 = -11;
const SASL: i32 = 102;
/// Values used instead of a request number: an event of a watch, the answer to a ping.
const EVENT: i32 = -1;
const PING: i32 = -2;
const PASSWORD: usize = 16;
/// The size of a znode's metadata in replies: versions, times, sizes.
const STAT: usize = 68;

/// A read request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Exists,
    GetData,
    GetChildren,
}

impl Op {
    fn code(self) -> i32 {
        match self {
            Self::Exists => 3,
            Self::GetData => 4,
            Self::GetChildren => 8,
        }
    }
}

/// Builds the request for a new session.
pub(super) fn connect(timeout: Duration) -> Vec<u8> {
    let mut body = Vec::new();
    body.extend_from_slice(&0i32.to_be_bytes()); // protocol version
    body.extend_from_slice(&0i64.to_be_bytes()); // last transaction seen
    body.extend_from_slice(&i32::try_from(timeout.as_millis()).unwrap_or(i32::MAX).to_be_bytes());
    body.extend_from_slice(&0i64.to_be_bytes()); // no session yet
    put_bytes(&mut body, &[0; PASSWORD]);
    body.push(0); // not read-only: the server must be connected to the quorum
    framed(&body)
}

/// Returns the timeout of the session, after which the server ends a silent session.
///
/// # Errors
///
/// If the session has ended already, or the bytes are not an answer to [`connect`].
pub(crate) fn session(packet: &[u8]) -> Result<Duration, Corruption> {
    let mut cursor = Cursor::new(packet);
    cursor.i32("version of the protocol")?;
    let timeout = cursor.i32("timeout of the session")?;
    cursor.i64("id of the session")?;
    let password = cursor.len("length of the session's password")?;
    cursor.take(password, "password of the session")?;
    // since version 3.4, a flag follows
    match u64::try_from(timeout) {
        Ok(millis @ 1..) => Ok(Duration::from_millis(millis)),
        _ => Err(Corruption::out_of_range("timeout of the session", timeout.into(), 1, i32::MAX.into())),
    }
}

/// Builds a request about a znode, without a watch.
pub(super) fn request(xid: i32, op: Op, path: &str) -> Vec<u8> {
    let mut body = [xid.to_be_bytes(), op.code().to_be_bytes()].concat();
    put_bytes(&mut body, path.as_bytes());
    body.push(0);
    framed(&body)
}

/// Builds the request with a token of SASL.
pub(super) fn sasl(xid: i32, token: &[u8]) -> Vec<u8> {
    let mut body = [xid.to_be_bytes(), SASL.to_be_bytes()].concat();
    put_bytes(&mut body, token);
    framed(&body)
}

/// Builds the request that ends the session.
pub(super) fn close(xid: i32) -> Vec<u8> {
    framed(&[xid.to_be_bytes(), CLOSE.to_be_bytes()].concat())
}

/// A packet of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reply<'a> {
    /// Not an answer to a request.
    Unasked,
    /// The result of the request.
    Result(&'a [u8]),
    /// There is no such znode.
    NoNode,
    /// Another error.
    Error(ServerError),
}

/// An error reported by a server, by ZooKeeper's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerError(i32);

impl ServerError {
    /// Whether any server would report the error, at any time.
    pub(super) fn is_final(self) -> bool {
        matches!(self.0, NO_AUTH | AUTH_FAILED | SASL_REQUIRED)
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ZooKeeper's error {}", self.0)?;
        match ERRORS.iter().find(|(code, _)| *code == self.0) {
            Some((_, name)) => write!(f, ": {name}"),
            None => Ok(()),
        }
    }
}

/// Parses a packet that may be the answer to request `xid`.
pub(crate) fn reply(xid: i32, packet: &[u8]) -> Result<Reply<'_>, Corruption> {
    let mut cursor = Cursor::new(packet);
    let found = cursor.i32("number of the request")?;
    cursor.i64("transaction of the reply")?;
    let error = cursor.i32("error of the reply")?;
    match found {
        EVENT | PING => Ok(Reply::Unasked),
        _ if found != xid => Err(Corruption::Mismatch {
            what: "number of the request",
            expected: xid.into(),
            found: found.into(),
        }),
        _ if error == NO_NODE => Ok(Reply::NoNode),
        _ if error != 0 => Ok(Reply::Error(ServerError(error))),
        _ => Ok(Reply::Result(cursor.rest())),
    }
}

/// Parses the result of [`Op::Exists`].
pub(crate) fn stat(result: &[u8]) -> Result<(), Corruption> {
    let mut cursor = Cursor::new(result);
    cursor.take(STAT, "state of the znode")?;
    cursor.finish("bytes after the state of the znode")
}

/// Parses the result of [`Op::GetData`]. A znode without data is returned as empty.
pub(crate) fn data(result: &[u8]) -> Result<Vec<u8>, Corruption> {
    let mut cursor = Cursor::new(result);
    let data = take_buffer(&mut cursor, "length of the znode's data", "data of the znode")?;
    stat(cursor.rest())?;
    Ok(data.unwrap_or_default().to_vec())
}

/// Parses the answer to [`sasl`]: a token of the server, or none.
pub(crate) fn sasl_token(result: &[u8]) -> Result<Option<Vec<u8>>, Corruption> {
    let mut cursor = Cursor::new(result);
    let token = take_buffer(&mut cursor, "length of a SASL token", "SASL token")?;
    cursor.finish("bytes after a SASL token")?;
    Ok(token.map(<[u8]>::to_vec))
}

fn take_buffer<'a>(
    cursor: &mut Cursor<'a>,
    length: &'static str,
    bytes: &'static str,
) -> Result<Option<&'a [u8]>, Corruption> {
    if cursor.clone().i32(length)? == -1 {
        return cursor.take(4, length).map(|_| None);
    }
    let len = cursor.len(length)?;
    cursor.take(len, bytes).map(Some)
}

/// Parses the result of [`Op::GetChildren`]: names in any order.
pub(crate) fn children(result: &[u8]) -> Result<Vec<String>, Corruption> {
    let mut cursor = Cursor::new(result);
    let count = cursor.len("number of children")?;
    // each takes at least four bytes, which bounds the allocation
    let mut names = Vec::with_capacity(count.min(cursor.rest().len() / 4));
    for _ in 0..count {
        let len = cursor.len("length of a child's name")?;
        let name = cursor.take(len, "name of a child")?;
        let name = str::from_utf8(name).map_err(|_| Corruption::Malformed("name of a child is not UTF-8"))?;
        names.push(name.to_owned());
    }
    cursor.finish("bytes after the children")?;
    Ok(names)
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(&length(bytes));
    out.extend_from_slice(bytes);
}

fn framed(body: &[u8]) -> Vec<u8> {
    [&length(body), body].concat()
}

/// The lengths of paths have been checked.
fn length(bytes: &[u8]) -> [u8; 4] {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::binary::to_hex;
    use proptest::prelude::*;

    /// Builds a server's answer to `connect`.
    fn answered(timeout: i32) -> Vec<u8> {
        let mut packet = Vec::new();
        packet.extend_from_slice(&0i32.to_be_bytes());
        packet.extend_from_slice(&timeout.to_be_bytes());
        packet.extend_from_slice(&77i64.to_be_bytes());
        put_bytes(&mut packet, &[5; PASSWORD]);
        packet.push(0);
        packet
    }

    #[test]
    fn requests_have_the_form_of_zookeeper() {
        let expected = "0000002d00000000000000000000000000007530000000000000000000000010";
        assert_eq!(to_hex(&connect(Duration::from_secs(30))), format!("{expected}{}", "00".repeat(17)));
        assert_eq!(to_hex(&request(3, Op::GetData, "/h")), "0000000f0000000300000004000000022f6800");
        assert_eq!(to_hex(&close(4)), "0000000800000004fffffff5");
        assert_eq!(to_hex(&sasl(5, b"t")), "0000000d00000005000000660000000174");
    }

    #[test]
    fn a_session_has_a_timeout() {
        assert_eq!(session(&answered(4000)), Ok(Duration::from_secs(4)));
        for ended in [0, -1] {
            assert!(matches!(session(&answered(ended)), Err(Corruption::OutOfRange { .. })));
        }
        let packet = answered(4000);
        for len in 0..packet.len() - 1 {
            assert!(matches!(session(&packet[..len]), Err(Corruption::Truncated { .. })), "{len}");
        }
        assert!(session(&packet[..packet.len() - 1]).is_ok(), "a server before 3.4");
    }

    #[test]
    fn replies_are_those_to_the_request() {
        let packet =
            |xid: i32, error: i32| [&xid.to_be_bytes()[..], &[0; 8], &error.to_be_bytes(), b"r"].concat();
        assert_eq!(reply(7, &packet(7, 0)), Ok(Reply::Result(b"r")));
        assert_eq!(reply(7, &packet(7, NO_NODE)), Ok(Reply::NoNode));
        assert_eq!(reply(7, &packet(7, -4)), Ok(Reply::Error(ServerError(-4))));
        assert_eq!(ServerError(NO_AUTH).to_string(), "ZooKeeper's error -102: no authority to read it");
        assert_eq!(ServerError(-9999).to_string(), "ZooKeeper's error -9999");
        assert_eq!(reply(7, &packet(-1, 0)), Ok(Reply::Unasked));
        assert_eq!(reply(7, &packet(-2, 0)), Ok(Reply::Unasked));
        assert!(matches!(reply(7, &packet(6, 0)), Err(Corruption::Mismatch { .. })));
        assert!(matches!(reply(7, &packet(7, 0)[..15]), Err(Corruption::Truncated { .. })));
    }

    #[test]
    fn results_are_whole() {
        let null = [&(-1i32).to_be_bytes()[..], &[0; STAT]].concat();
        assert_eq!(data(&null), Ok(vec![]));
        let some = [&[0, 0, 0, 2, b'a', b'b'][..], &[0; STAT]].concat();
        assert_eq!(data(&some), Ok(b"ab".to_vec()));
        for len in 0..some.len() {
            assert!(data(&some[..len]).is_err(), "{len}");
        }
        assert!(data(&[&some[..], &[0]].concat()).is_err());
        assert!(data(&[&(-2i32).to_be_bytes()[..], &[0; STAT]].concat()).is_err());

        assert_eq!(sasl_token(&(-1i32).to_be_bytes()), Ok(None));
        let token = [0, 0, 0, 2, b'a', b'b'];
        assert_eq!(sasl_token(&token), Ok(Some(b"ab".to_vec())));
        for len in 0..token.len() {
            assert!(sasl_token(&token[..len]).is_err(), "{len}");
        }
        assert!(sasl_token(&[&token[..], &[0]].concat()).is_err());
        assert!(sasl_token(&(-2i32).to_be_bytes()).is_err());

        let names = [0, 0, 0, 2, 0, 0, 0, 1, b'x', 0, 0, 0, 0];
        assert_eq!(children(&names), Ok(vec!["x".to_owned(), String::new()]));
        for len in 0..names.len() {
            assert!(children(&names[..len]).is_err(), "{len}");
        }
        let many = [0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0];
        assert!(matches!(children(&many), Err(Corruption::Truncated { .. })));
        assert!(children(&[0, 0, 0, 1, 0, 0, 0, 1, 0xff]).is_err());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = (session(&bytes), reply(1, &bytes), stat(&bytes), data(&bytes), children(&bytes));
            let _ = sasl_token(&bytes);
        }
    }
}
