//! Answers of ZooKeeper, and the contents of HBase's znodes.

use super::input::Input;
use crate::locator::zookeeper::wire::{self, Reply};
use crate::locator::zookeeper::znode::{
    META_REGION_SERVER, MetaRegionServer, cluster_id, master, replica_id, table_state,
};

/// Checks a packet of ZooKeeper's, or the data or the name of a znode: it is refused, or its contents are
/// consistent. The first byte selects one of these for the rest.
pub fn znode(input: &[u8]) {
    let mut input = Input::new(input);
    match input.byte() % 4 {
        0 => data(input.rest()),
        1 => name(input.rest()),
        2 => drop(wire::session(input.rest())),
        _ => reply(input.rest()),
    }
}

fn data(bytes: &[u8]) {
    // a location and a master have the same fields, and the same text
    if let Ok(location) = MetaRegionServer::parse(bytes) {
        let server = location.map(|location| location.server);
        assert_eq!(master(bytes), Ok(server.clone()));
        if let Some(server) = server {
            // a start code below 0 is invalid: its text is not parsed
            if server.start_code() >= 0 {
                assert_eq!(master(server.to_string().as_bytes()), Ok(Some(server)));
            }
        }
    }
    if let Ok(Some(state)) = table_state(bytes) {
        assert_eq!(table_state(state.name().as_bytes()), Ok(Some(state)));
    }
    if let Ok(Some(id)) = cluster_id(bytes) {
        assert!(!id.is_empty() && id.len() <= bytes.len());
    }
}

fn name(bytes: &[u8]) {
    let Ok(name) = std::str::from_utf8(bytes) else { return };
    match replica_id(name, META_REGION_SERVER) {
        Ok(Some(0)) => assert_eq!(name, "meta-region-server"),
        Ok(Some(_)) => assert!(name.starts_with("meta-region-server-")),
        Ok(None) => assert!(!name.starts_with("meta-region-server")),
        Err(_) => {}
    }
}

fn reply(packet: &[u8]) {
    let Ok(Reply::Result(result)) = wire::reply(1, packet) else { return };
    let _ = wire::stat(result);
    let _ = wire::sasl_token(result);
    if let Ok(data) = wire::data(result) {
        assert!(data.len() < result.len());
    }
    if let Ok(names) = wire::children(result) {
        let bytes: usize = names.iter().map(|name| 4 + name.len()).sum();
        assert_eq!(bytes + 4, result.len());
    }
}
