//! The marker of the opening or closing of a region (wal.md §7).

use super::{MarkerServer, StoreFiles, choose};
use crate::error::Corruption;
use crate::proto::region as common;
use crate::proto::wal as message;
use prost::Message;

/// The opening or closing of a region.
///
/// HBase: `RegionEventDescriptor`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionEventMarker {
    /// The event.
    pub event: RegionEvent,
    /// The table: `table` or `namespace:table`.
    pub table_name: Vec<u8>,
    /// The encoded name of the region.
    pub encoded_region_name: Vec<u8>,
    /// The sequence id with which the region was opened, or the read point at which it was closed.
    pub sequence_id: Option<i64>,
    /// The families, with their files.
    pub stores: Vec<StoreFiles>,
    /// The server.
    pub server: Option<MarkerServer>,
    /// The full name of the region.
    pub region_name: Option<Vec<u8>>,
}

/// An event of a region.
///
/// HBase: `RegionEventDescriptor.EventType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegionEvent {
    /// It was opened.
    Open,
    /// It was closed.
    Close,
}

impl RegionEventMarker {
    /// Creates the marker of an event of a region, without a server.
    #[must_use]
    pub fn new(
        event: RegionEvent,
        table_name: impl Into<Vec<u8>>,
        encoded_region_name: impl Into<Vec<u8>>,
        sequence_id: i64,
        stores: Vec<StoreFiles>,
    ) -> Self {
        Self {
            event,
            table_name: table_name.into(),
            encoded_region_name: encoded_region_name.into(),
            sequence_id: Some(sequence_id),
            stores,
            server: None,
            region_name: None,
        }
    }

    pub(super) fn parse(value: &[u8]) -> Result<Self, Corruption> {
        let event = message::RegionEventDescriptor::decode(value).map_err(|_| {
            Corruption::Malformed("region event marker that is not a RegionEventDescriptor message")
        })?;
        let (Some(number), Some(table_name), Some(encoded_region_name)) =
            (event.event_type, event.table_name, event.encoded_region_name)
        else {
            return Err(Corruption::Malformed("region event marker without an event, a table or a region"));
        };
        let server = match event.server {
            None => None,
            Some(server) => {
                let Some(host) = server.host_name else {
                    return Err(Corruption::Malformed("region event marker with a server without a host"));
                };
                Some(MarkerServer { host, port: server.port, start_code: server.start_code })
            }
        };
        Ok(Self {
            event: choose("region event", number, &[RegionEvent::Open, RegionEvent::Close])?,
            table_name,
            encoded_region_name,
            sequence_id: event.log_sequence_number.map(u64::cast_signed),
            stores: event.stores.into_iter().map(StoreFiles::from_proto).collect::<Result<_, _>>()?,
            server,
            region_name: event.region_name,
        })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let event = message::RegionEventDescriptor {
            event_type: Some(match self.event {
                RegionEvent::Open => 0,
                RegionEvent::Close => 1,
            }),
            table_name: Some(self.table_name.clone()),
            encoded_region_name: Some(self.encoded_region_name.clone()),
            log_sequence_number: self.sequence_id.map(i64::cast_unsigned),
            stores: self.stores.iter().map(StoreFiles::to_proto).collect(),
            server: self.server.as_ref().map(|server| common::ServerName {
                host_name: Some(server.host.clone()),
                port: server.port,
                start_code: server.start_code,
            }),
            region_name: self.region_name.clone(),
        };
        event.encode_to_vec()
    }
}
