//! The contents of HBase's znodes (locator.md §7.2; HBase: `RecoverableZooKeeper`, `ProtobufUtil`).
//!
//! ```text
//! 0xFF | u32 length | name of the writer, of this length | payload
//! ```
//!
//! Data that does not begin with 0xFF is payload only. The payload is "PBUF" and a message; before version
//! 0.96 it was text. A znode with an empty payload counts as missing.
#![warn(clippy::indexing_slicing)]

use crate::coding::Cursor;
use crate::error::Corruption;
use crate::locator::server_name::NO_START_CODE;
use crate::locator::{ServerName, TableState};
use crate::proto::{self, zookeeper as message};
use prost::Message;

/// The default name of the znode of the catalog's region, below the base znode; that of replica `n` ends in
/// `-n`.
pub(crate) const META_REGION_SERVER: &str = "meta-region-server";

/// The number of states in HBase 2.6, which begin at 0, and the state of an open region
/// (`RegionState.State`).
const STATES: i32 = 16;
const OPEN: i32 = 3;
const HAS_WRITER: u8 = 0xff;

/// The location of a replica of the catalog's region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MetaRegionServer {
    pub(crate) server: ServerName,
    /// Whether the replica is open. A missing state, or one of a later version, counts as open, as in HBase's
    /// client.
    pub(crate) is_open: bool,
}

impl MetaRegionServer {
    /// Parses the data of the znode of the catalog's region, or of one of its replicas.
    pub(crate) fn parse(data: &[u8]) -> Result<Option<Self>, Corruption> {
        match payload(data)? {
            Payload::Nothing => Ok(None),
            Payload::Text(text) => Ok(Some(Self { server: server_of_text(text)?, is_open: true })),
            Payload::Message(bytes) => {
                let malformed =
                    Corruption::Malformed("location of hbase:meta that is not a MetaRegionServer message");
                let found = message::MetaRegionServer::decode(bytes).map_err(|_| malformed)?;
                let is_open = found.state.is_none_or(|state| state == OPEN || !(0..STATES).contains(&state));
                Ok(Some(Self { server: server(found.server)?, is_open }))
            }
        }
    }
}

/// Parses the data of the znode of a master, active or not.
pub(crate) fn master(data: &[u8]) -> Result<Option<ServerName>, Corruption> {
    match payload(data)? {
        Payload::Nothing => Ok(None),
        Payload::Text(text) => server_of_text(text).map(Some),
        Payload::Message(bytes) => {
            let malformed = Corruption::Malformed("master that is not a Master message");
            let found = message::Master::decode(bytes).map_err(|_| malformed)?;
            server(found.master).map(Some)
        }
    }
}

/// Parses the data of `hbaseid`.
pub(crate) fn cluster_id(data: &[u8]) -> Result<Option<String>, Corruption> {
    let id = match payload(data)? {
        Payload::Nothing => return Ok(None),
        Payload::Text(text) => str::from_utf8(text).ok().map(str::to_owned),
        Payload::Message(bytes) => {
            let malformed = Corruption::Malformed("cluster id that is not a ClusterId message");
            message::ClusterId::decode(bytes).map_err(|_| malformed)?.cluster_id
        }
    };
    // arbitrary text would parse; require a plausible name
    let is_name = |id: &String| !id.is_empty() && !id.contains(char::is_control);
    id.filter(is_name).map(Some).ok_or(Corruption::Malformed("cluster id that is not a name"))
}

/// Parses the data of the znode of a table.
pub(crate) fn table_state(data: &[u8]) -> Result<Option<TableState>, Corruption> {
    match payload(data)? {
        Payload::Nothing => Ok(None),
        Payload::Message(bytes) => TableState::parse(bytes).map(Some),
        Payload::Text(text) => {
            let found = TableState::ALL.into_iter().find(|state| state.name().as_bytes() == text);
            found.map(Some).ok_or_else(|| Corruption::unknown_name("state of a table", text))
        }
    }
}

/// Returns the replica of the catalog's region that a znode describes, by its name and that of the primary
/// replica's; `None` for other znodes.
pub(crate) fn replica_id(znode: &str, of_primary: &str) -> Result<Option<u16>, Corruption> {
    let Some(suffix) = znode.strip_prefix(of_primary) else { return Ok(None) };
    if suffix.is_empty() {
        return Ok(Some(0));
    }
    let digits = suffix.strip_prefix('-').filter(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()));
    let id = digits.and_then(|digits| digits.parse().ok()).filter(|id| *id > 0);
    id.map(Some).ok_or_else(|| Corruption::unknown_name("replica of hbase:meta", znode.as_bytes()))
}

/// The payload of a znode.
#[derive(Clone, Copy, Debug)]
enum Payload<'a> {
    Nothing,
    /// In versions before 0.96.
    Text(&'a [u8]),
    /// Without the "PBUF" prefix.
    Message(&'a [u8]),
}

fn payload(data: &[u8]) -> Result<Payload<'_>, Corruption> {
    let payload = match data.strip_prefix(&[HAS_WRITER]) {
        None => data,
        Some(rest) => {
            let mut cursor = Cursor::new(rest);
            let len = cursor.len("length of the writer of the znode")?;
            cursor.take(len, "writer of the znode")?;
            cursor.rest()
        }
    };
    Ok(match payload.strip_prefix(proto::MAGIC) {
        Some(message) => Payload::Message(message),
        None if payload.is_empty() => Payload::Nothing,
        None => Payload::Text(payload),
    })
}

/// Parses `host,port,start code`, or `host:port` as in version 0.90.
fn server_of_text(text: &[u8]) -> Result<ServerName, Corruption> {
    if text.contains(&b',') {
        ServerName::from_bytes(text)
    } else {
        ServerName::from_address(text, NO_START_CODE)
    }
}

fn server(found: Option<message::ServerName>) -> Result<ServerName, Corruption> {
    ServerName::from_proto(found.ok_or(Corruption::Malformed("znode that names no server"))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The vectors of locator.md §14.
    const SERVER: [u8; 27] = [
        0x0a, 0x15, 0x0a, 0x09, 0x31, 0x32, 0x37, 0x2e, 0x30, 0x2e, 0x30, 0x2e, 0x31, 0x10, 0x94, 0x7d, 0x18,
        0x80, 0xd0, 0x95, 0xff, 0xbc, 0x31, 0x10, 0x00, 0x18, 0x03,
    ];

    fn server() -> ServerName {
        ServerName::new("127.0.0.1", 16020, 1_700_000_000_000).unwrap()
    }

    fn pbuf(message: &[u8]) -> Vec<u8> {
        [proto::MAGIC, message].concat()
    }

    fn written(payload: &[u8]) -> Vec<u8> {
        [&[0xff, 0, 0, 0, 20][..], b"master:3796512345678", payload].concat()
    }

    #[test]
    fn the_location_of_the_catalog_is_parsed() {
        for data in [pbuf(&SERVER), written(&pbuf(&SERVER))] {
            let found = MetaRegionServer::parse(&data).unwrap().unwrap();
            assert_eq!(found, MetaRegionServer { server: server(), is_open: true });
        }
    }

    #[test]
    fn copies_are_open_or_not() {
        let state = |number: u8| {
            let mut message = SERVER.to_vec();
            *message.last_mut().unwrap() = number;
            MetaRegionServer::parse(&pbuf(&message)).unwrap().unwrap().is_open
        };
        let open: Vec<u8> = (0..20).filter(|&number| state(number)).collect();
        assert_eq!(open, [3, 16, 17, 18, 19]);
        assert!(MetaRegionServer::parse(&pbuf(&SERVER[..25])).unwrap().unwrap().is_open, "without a state");
    }

    #[test]
    fn text_of_old_versions_is_read() {
        for (text, start_code) in
            [("127.0.0.1,16020,1700000000000", 1_700_000_000_000), ("127.0.0.1:16020", -1)]
        {
            for data in [text.as_bytes().to_vec(), written(text.as_bytes())] {
                let expected = ServerName::new("127.0.0.1", 16020, start_code).unwrap();
                assert_eq!(MetaRegionServer::parse(&data).unwrap().unwrap().server, expected);
                assert_eq!(master(&data).unwrap().unwrap(), expected);
            }
        }
        assert_eq!(cluster_id(b"8a1f-22").unwrap().as_deref(), Some("8a1f-22"));
        assert_eq!(table_state(b"DISABLING"), Ok(Some(TableState::Disabling)));
        assert_eq!(table_state(&written(b"ENABLED")), Ok(Some(TableState::Enabled)));
    }

    #[test]
    fn nothing_is_nothing() {
        for data in [vec![], written(b"")] {
            assert_eq!(MetaRegionServer::parse(&data), Ok(None));
            assert_eq!(
                (master(&data), cluster_id(&data), table_state(&data)),
                (Ok(None), Ok(None), Ok(None))
            );
        }
    }

    #[test]
    fn fields_of_later_versions_are_passed_over() {
        let message = [&SERVER[..], &[0x7a, 2, 1, 2, 0x80, 1, 5]].concat();
        assert_eq!(MetaRegionServer::parse(&pbuf(&message)).unwrap().unwrap().server, server());
    }

    #[test]
    fn other_bytes_are_refused() {
        let good = written(&pbuf(&SERVER));
        // truncated between two fields, the data is valid without the later fields
        for len in (1..good.len()).filter(|len| ![25, 52, 54].contains(len)) {
            assert!(MetaRegionServer::parse(&good[..len]).is_err(), "{len}");
        }
        let huge = [0xff, 0x7f, 0xff, 0xff, 0xff, b'P'];
        assert!(matches!(MetaRegionServer::parse(&huge), Err(Corruption::Truncated { .. })));
        let negative = [0xff, 0x80, 0, 0, 0, b'P'];
        assert!(matches!(MetaRegionServer::parse(&negative), Err(Corruption::OutOfRange { .. })));
        for payload in [
            &b"PBUF"[..],
            b"PBUF\x0a\0",
            b"PBUF\x0a\x03\x0a\x01h",
            b"PBUF\x0a\x05\x0a\x01 \x10\x01",
            b"PBUF\x0a\x07\x0a\x01h\x10\xff\xff\x7f",
            b"PBUF\x0a\xff\xff\xff\xff\x0f",
            b"PBUG",
            b"\xfeost,1,2",
        ] {
            assert!(MetaRegionServer::parse(payload).is_err() && master(payload).is_err(), "{payload:?}");
        }
        for payload in [&b"PBUF"[..], b"PBUF\x0a\0", b"PBUF\x0a\x02a", b"\0id", b"\xfe"] {
            assert!(cluster_id(payload).is_err() && table_state(payload).is_err(), "{payload:?}");
        }
    }

    #[test]
    fn copies_are_named_by_their_numbers() {
        let id = |znode: &str| replica_id(znode, META_REGION_SERVER);
        assert_eq!(id("meta-region-server"), Ok(Some(0)));
        assert_eq!(id("meta-region-server-12"), Ok(Some(12)));
        assert_eq!((id("master"), id("meta")), (Ok(None), Ok(None)));
        for odd in ["-", "-0", "-x", "-+1", "-65536", "s", "1"] {
            assert!(id(&format!("meta-region-server{odd}")).is_err(), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn any_server_survives(
            host in "[a-z0-9.:-]{1,40}",
            port: u16,
            start_code in 0i64..,
            id in "[a-f0-9-]{1,36}",
        ) {
            let expected = ServerName::new(host.as_str(), port, start_code).unwrap();
            let name = message::ServerName {
                host_name: Some(host),
                port: Some(port.into()),
                start_code: Some(start_code.cast_unsigned()),
            };
            let server = Some(name.clone());
            let location = message::MetaRegionServer { server, rpc_version: Some(0), state: Some(5) };
            let found = MetaRegionServer::parse(&written(&pbuf(&location.encode_to_vec())));
            prop_assert_eq!(found, Ok(Some(MetaRegionServer { server: expected.clone(), is_open: false })));
            let active = message::Master { master: Some(name), rpc_version: Some(0), info_port: Some(1) };
            prop_assert_eq!(master(&written(&pbuf(&active.encode_to_vec()))), Ok(Some(expected.clone())));
            prop_assert_eq!(master(&written(expected.to_string().as_bytes())), Ok(Some(expected)));
            let message = message::ClusterId { cluster_id: Some(id.clone()) };
            prop_assert_eq!(cluster_id(&pbuf(&message.encode_to_vec())), Ok(Some(id)));
        }
    }
}
