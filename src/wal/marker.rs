//! Markers: entries that record events of a region (wal.md §7; HBase: `WALEdit`, `WALUtil`).

use crate::cell::{Cell, CellRef, CellType, SeekKey};
use crate::error::Corruption;
use crate::proto::region as common;
use crate::proto::wal as message;
use crate::schema::TableName;
use prost::Message;

/// The family of a marker's cell. HBase: `WALEdit.METAFAMILY`.
pub const FAMILY: &[u8] = b"METAFAMILY";

const FLUSH: &[u8] = b"HBASE::FLUSH";
pub(super) const COMPACTION: &[u8] = b"HBASE::COMPACTION";
const BULK_LOAD: &[u8] = b"HBASE::BULK_LOAD";
/// Since 2.3, the name of the event follows.
const REGION_EVENT: &[u8] = b"HBASE::REGION_EVENT";
const REGION_OPEN: &[u8] = b"HBASE::REGION_EVENT::REGION_OPEN";
const REGION_CLOSE: &[u8] = b"HBASE::REGION_EVENT::REGION_CLOSE";
const REPLICATION: &[u8] = b"HBASE::REPLICATION_MARKER";

/// The maximum length of a marker's value in bytes. In memory, a message takes up to some 50 times as much.
const MAX_VALUE: usize = 16 << 20;

/// An event of a region.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Marker {
    /// A flush began, ended or failed.
    Flush(FlushMarker),
    /// Files of a family were replaced with others.
    Compaction(CompactionMarker),
    /// Files were added.
    BulkLoad(BulkLoadMarker),
    /// The region was opened or closed.
    RegionEvent(RegionEventMarker),
    /// A sign of life for the monitoring of replication; not an event.
    Replication,
    /// A marker of a later version: its qualifier.
    Other(Vec<u8>),
}

/// A flush.
///
/// HBase: `FlushDescriptor`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushMarker {
    /// What happened.
    pub action: FlushAction,
    /// The table: `table` or `namespace:table`.
    pub table_name: Vec<u8>,
    /// The encoded name of the region.
    pub encoded_region_name: Vec<u8>,
    /// The sequence id of the flush, which is above that of every edit it contains.
    pub flush_sequence_id: Option<i64>,
    /// The flushed families. Their files are known only once the flush is committed.
    pub stores: Vec<StoreFiles>,
    /// The full name of the region.
    pub region_name: Option<Vec<u8>>,
}

/// A step of a flush.
///
/// HBase: `FlushDescriptor.FlushAction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FlushAction {
    /// The snapshot of the memstores was taken.
    Start,
    /// The files are in place.
    Commit,
    /// The flush failed.
    Abort,
    /// There was nothing to flush.
    Cannot,
}

impl FlushAction {
    const ALL: [Self; 4] = [Self::Start, Self::Commit, Self::Abort, Self::Cannot];
}

/// A compaction.
///
/// HBase: `CompactionDescriptor`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactionMarker {
    /// The table: `table` or `namespace:table`.
    pub table_name: Vec<u8>,
    /// The encoded name of the region.
    pub encoded_region_name: Vec<u8>,
    /// The family.
    pub family: Vec<u8>,
    /// The names of the files that were replaced.
    pub inputs: Vec<String>,
    /// The names of the files that replace them.
    pub outputs: Vec<String>,
    /// The name of the family's directory.
    pub store_home: String,
    /// The full name of the region.
    pub region_name: Option<Vec<u8>>,
}

/// A bulk load.
///
/// HBase: `BulkLoadDescriptor`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BulkLoadMarker {
    /// The table: `table` or `namespace:table`.
    pub table_name: Vec<u8>,
    /// The encoded name of the region.
    pub encoded_region_name: Vec<u8>,
    /// The families, with the final names of the loaded files.
    pub stores: Vec<StoreFiles>,
    /// The sequence id of the load, as in the names of the files.
    pub sequence_id: i64,
    /// The ids of the clusters that the load has passed through.
    pub cluster_ids: Vec<String>,
    /// Whether the load is replicated, if the message says so.
    pub replicate: Option<bool>,
}

/// The opening or closing of a region.
///
/// HBase: `RegionEventDescriptor`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionEventMarker {
    /// What happened.
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

/// What happened to a region.
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

/// Files of a family.
///
/// HBase: `StoreDescriptor`, `StoreFlushDescriptor`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreFiles {
    /// The family.
    pub family: Vec<u8>,
    /// The name of the family's directory.
    pub store_home: String,
    /// The names of the files.
    pub files: Vec<String>,
    /// The size of all files in bytes. Only bulk loads record it.
    pub size_bytes: Option<u64>,
}

/// A server.
///
/// HBase: `ServerName`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MarkerServer {
    /// The host.
    pub host: String,
    /// The port, if the message has one.
    pub port: Option<u32>,
    /// The time at which it was started, in milliseconds since 1970, if the message has it.
    pub start_code: Option<u64>,
}

impl StoreFiles {
    /// Names files of a family. The directory has the family's name.
    #[must_use]
    pub fn new(family: impl Into<Vec<u8>>, files: Vec<String>) -> Self {
        let family = family.into();
        let store_home = String::from_utf8_lossy(&family).into_owned();
        Self { family, store_home, files, size_bytes: None }
    }
}

impl FlushMarker {
    /// Creates the marker of a step of a flush of all families of a region.
    #[must_use]
    pub fn new(
        action: FlushAction,
        table_name: impl Into<Vec<u8>>,
        encoded_region_name: impl Into<Vec<u8>>,
        flush_sequence_id: i64,
        stores: Vec<StoreFiles>,
    ) -> Self {
        Self {
            action,
            table_name: table_name.into(),
            encoded_region_name: encoded_region_name.into(),
            flush_sequence_id: Some(flush_sequence_id),
            stores,
            region_name: None,
        }
    }
}

impl CompactionMarker {
    /// Creates the marker of a compaction of a family, whose directory has the family's name.
    #[must_use]
    pub fn new(
        table_name: impl Into<Vec<u8>>,
        encoded_region_name: impl Into<Vec<u8>>,
        family: impl Into<Vec<u8>>,
        inputs: Vec<String>,
        outputs: Vec<String>,
    ) -> Self {
        let family = family.into();
        Self {
            table_name: table_name.into(),
            encoded_region_name: encoded_region_name.into(),
            store_home: String::from_utf8_lossy(&family).into_owned(),
            family,
            inputs,
            outputs,
            region_name: None,
        }
    }
}

impl BulkLoadMarker {
    /// Creates the marker of a bulk load that is not replicated.
    #[must_use]
    pub fn new(
        table_name: impl Into<Vec<u8>>,
        encoded_region_name: impl Into<Vec<u8>>,
        sequence_id: i64,
        stores: Vec<StoreFiles>,
    ) -> Self {
        Self {
            table_name: table_name.into(),
            encoded_region_name: encoded_region_name.into(),
            stores,
            sequence_id,
            cluster_ids: Vec::new(),
            replicate: Some(false),
        }
    }
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
}

impl Marker {
    /// Reads the value of a cell of the family [`FAMILY`].
    pub(super) fn parse(qualifier: &[u8], value: &[u8]) -> Result<Self, Corruption> {
        if value.len() > MAX_VALUE {
            let (value, limit) = (value.len() as u64, MAX_VALUE as u64);
            return Err(Corruption::Limit { what: "bytes of a marker", value, limit });
        }
        Ok(match qualifier {
            FLUSH => Self::Flush(FlushMarker::parse(value)?),
            COMPACTION => Self::Compaction(CompactionMarker::parse(value)?),
            BULK_LOAD => Self::BulkLoad(BulkLoadMarker::parse(value)?),
            REPLICATION => Self::Replication,
            // each of them names its event in the message as well
            REGION_EVENT | REGION_OPEN | REGION_CLOSE => Self::RegionEvent(RegionEventMarker::parse(value)?),
            other => Self::Other(other.to_vec()),
        })
    }

    /// Returns the cell of an entry that records the event of a region with this start key. `timestamp` is in
    /// milliseconds since 1970.
    ///
    /// # Panics
    ///
    /// If the start key is longer than [`MAX_ROW_LEN`](crate::cell::MAX_ROW_LEN).
    #[must_use]
    pub fn to_cell(&self, start_key: &[u8], timestamp: i64) -> Cell {
        let (qualifier, value) = match self {
            Self::Flush(flush) => (FLUSH, flush.to_bytes()),
            Self::Compaction(compaction) => (COMPACTION, compaction.to_bytes()),
            Self::BulkLoad(load) => (BULK_LOAD, load.to_bytes()),
            Self::RegionEvent(event) => match event.event {
                RegionEvent::Open => (REGION_OPEN, event.to_bytes()),
                RegionEvent::Close => (REGION_CLOSE, event.to_bytes()),
            },
            Self::Replication => (REPLICATION, Vec::new()),
            Self::Other(qualifier) => (qualifier.as_slice(), Vec::new()),
        };
        // a cell must have a row
        let row: &[u8] = if start_key.is_empty() { &[0] } else { start_key };
        let key = SeekKey::of(row, FAMILY, qualifier, timestamp, CellType::Put);
        Cell::from(CellRef::new(&key, &value))
    }
}

impl FlushMarker {
    fn parse(value: &[u8]) -> Result<Self, Corruption> {
        let flush = message::FlushDescriptor::decode(value)
            .map_err(|_| Corruption::Malformed("flush marker that is not a FlushDescriptor message"))?;
        let (Some(action), Some(table_name), Some(encoded_region_name)) =
            (flush.action, flush.table_name, flush.encoded_region_name)
        else {
            return Err(Corruption::Malformed("flush marker without an action, a table or a region"));
        };
        let stores = flush.store_flushes.into_iter().map(|store| {
            let store = message::StoreDescriptor {
                family_name: store.family_name,
                store_home_dir: store.store_home_dir,
                store_file: store.flush_output,
                store_file_size_bytes: None,
            };
            StoreFiles::from_proto(store)
        });
        Ok(Self {
            action: choose("flush action", action, &FlushAction::ALL)?,
            table_name,
            encoded_region_name,
            flush_sequence_id: flush.flush_sequence_number.map(u64::cast_signed),
            stores: stores.collect::<Result<_, _>>()?,
            region_name: flush.region_name,
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let number = FlushAction::ALL.iter().position(|action| *action == self.action);
        let stores = self.stores.iter().map(|store| message::StoreFlushDescriptor {
            family_name: Some(store.family.clone()),
            store_home_dir: Some(store.store_home.clone()),
            flush_output: store.files.clone(),
        });
        let flush = message::FlushDescriptor {
            action: number.and_then(|number| i32::try_from(number).ok()),
            table_name: Some(self.table_name.clone()),
            encoded_region_name: Some(self.encoded_region_name.clone()),
            flush_sequence_number: self.flush_sequence_id.map(i64::cast_unsigned),
            store_flushes: stores.collect(),
            region_name: self.region_name.clone(),
        };
        flush.encode_to_vec()
    }
}

impl CompactionMarker {
    fn parse(value: &[u8]) -> Result<Self, Corruption> {
        let compaction = message::CompactionDescriptor::decode(value).map_err(|_| {
            Corruption::Malformed("compaction marker that is not a CompactionDescriptor message")
        })?;
        let (Some(table_name), Some(encoded_region_name), Some(family), Some(store_home)) = (
            compaction.table_name,
            compaction.encoded_region_name,
            compaction.family_name,
            compaction.store_home_dir,
        ) else {
            return Err(Corruption::Malformed(
                "compaction marker without a table, a region, a family or a directory",
            ));
        };
        Ok(Self {
            table_name,
            encoded_region_name,
            family,
            inputs: compaction.compaction_input,
            outputs: compaction.compaction_output,
            store_home,
            region_name: compaction.region_name,
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let compaction = message::CompactionDescriptor {
            table_name: Some(self.table_name.clone()),
            encoded_region_name: Some(self.encoded_region_name.clone()),
            family_name: Some(self.family.clone()),
            compaction_input: self.inputs.clone(),
            compaction_output: self.outputs.clone(),
            store_home_dir: Some(self.store_home.clone()),
            region_name: self.region_name.clone(),
        };
        compaction.encode_to_vec()
    }
}

impl BulkLoadMarker {
    fn parse(value: &[u8]) -> Result<Self, Corruption> {
        let load = message::BulkLoadDescriptor::decode(value).map_err(|_| {
            Corruption::Malformed("bulk load marker that is not a BulkLoadDescriptor message")
        })?;
        let (Some(table), Some(encoded_region_name), Some(sequence_id)) =
            (load.table_name, load.encoded_region_name, load.bulkload_seq_num)
        else {
            return Err(Corruption::Malformed(
                "bulk load marker without a table, a region or a sequence number",
            ));
        };
        let (Some(namespace), Some(name)) = (table.namespace, table.qualifier) else {
            return Err(Corruption::Malformed("bulk load marker without a table's namespace or name"));
        };
        let is_default = namespace == TableName::DEFAULT_NAMESPACE.as_bytes();
        let table_name = if is_default { name } else { [&namespace[..], b":", &name].concat() };
        Ok(Self {
            table_name,
            encoded_region_name,
            stores: load.stores.into_iter().map(StoreFiles::from_proto).collect::<Result<_, _>>()?,
            sequence_id,
            cluster_ids: load.cluster_ids,
            replicate: load.replicate,
        })
    }

    fn to_bytes(&self) -> Vec<u8> {
        let mut parts = self.table_name.splitn(2, |byte| *byte == b':');
        let (namespace, name) = match (parts.next(), parts.next()) {
            (Some(namespace), Some(name)) => (namespace, name),
            _ => (TableName::DEFAULT_NAMESPACE.as_bytes(), self.table_name.as_slice()),
        };
        let load = message::BulkLoadDescriptor {
            table_name: Some(common::TableName {
                namespace: Some(namespace.to_vec()),
                qualifier: Some(name.to_vec()),
            }),
            encoded_region_name: Some(self.encoded_region_name.clone()),
            stores: self.stores.iter().map(StoreFiles::to_proto).collect(),
            bulkload_seq_num: Some(self.sequence_id),
            cluster_ids: self.cluster_ids.clone(),
            replicate: self.replicate,
        };
        load.encode_to_vec()
    }
}

impl RegionEventMarker {
    fn parse(value: &[u8]) -> Result<Self, Corruption> {
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

    fn to_bytes(&self) -> Vec<u8> {
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

impl StoreFiles {
    fn from_proto(store: message::StoreDescriptor) -> Result<Self, Corruption> {
        let (Some(family), Some(store_home)) = (store.family_name, store.store_home_dir) else {
            return Err(Corruption::Malformed("marker with a store without a family or a directory"));
        };
        Ok(Self { family, store_home, files: store.store_file, size_bytes: store.store_file_size_bytes })
    }

    fn to_proto(&self) -> message::StoreDescriptor {
        message::StoreDescriptor {
            family_name: Some(self.family.clone()),
            store_home_dir: Some(self.store_home.clone()),
            store_file: self.files.clone(),
            store_file_size_bytes: self.size_bytes,
        }
    }
}

/// Returns the value with this number.
fn choose<T: Copy>(what: &'static str, number: i32, values: &[T]) -> Result<T, Corruption> {
    let value = usize::try_from(number).ok().and_then(|number| values.get(number)).copied();
    value.ok_or_else(|| Corruption::Unknown { what, value: number.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REGION: &str = "c53874646ac331a474743a009007c83b";

    fn stores() -> Vec<StoreFiles> {
        vec![StoreFiles::new("a", vec!["7e7f1c66".into()]), StoreFiles::new("b", Vec::new())]
    }

    fn markers() -> Vec<Marker> {
        let files = || vec!["7e7f1c66".to_owned(), "b8c64471".to_owned()];
        let mut markers = vec![
            Marker::Compaction(CompactionMarker::new("w1", REGION, "a", files(), Vec::new())),
            Marker::BulkLoad(BulkLoadMarker::new("w1", REGION, 4, stores())),
            Marker::BulkLoad(BulkLoadMarker {
                replicate: None,
                cluster_ids: vec!["id".into()],
                stores: vec![StoreFiles { size_bytes: Some(6121), ..StoreFiles::new("a", files()) }],
                ..BulkLoadMarker::new("ns:w1", REGION, -1, Vec::new())
            }),
            Marker::Replication,
            Marker::Other(b"HBASE::LATER".to_vec()),
        ];
        for action in FlushAction::ALL {
            markers.push(Marker::Flush(FlushMarker::new(action, "w1", REGION, 16, stores())));
        }
        for event in [RegionEvent::Open, RegionEvent::Close] {
            let server = MarkerServer { host: "h".into(), port: Some(1), start_code: Some(2) };
            markers.push(Marker::RegionEvent(RegionEventMarker {
                server: Some(server),
                region_name: Some(b"w1,,1.x.".to_vec()),
                ..RegionEventMarker::new(event, "w1", REGION, 2, stores())
            }));
        }
        markers
    }

    #[test]
    fn markers_survive_as_cells() {
        for marker in markers() {
            let cell = marker.to_cell(b"", 7);
            let cell = cell.as_ref();
            assert_eq!((cell.row(), cell.family(), cell.timestamp()), (&b"\0"[..], FAMILY, 7));
            assert_eq!(cell.cell_type(), CellType::Put);
            assert_eq!(Marker::parse(cell.qualifier(), cell.value()), Ok(marker));
        }
        assert_eq!(Marker::Replication.to_cell(b"row", 7).as_ref().row(), b"row");
    }

    /// A commit of a flush, as HBase 2.6.4 wrote it.
    #[test]
    fn a_flush_has_the_bytes_of_hbase() {
        let value = [
            &b"\x08\x01\x12\x02w1\x1a c53874646ac331a474743a009007c83b \x19"[..],
            b"*(\x0a\x01a\x12\x01a\x1a b8c64471a7564c2b80984fc334e03174*\x06\x0a\x01b\x12\x01b",
            b"23w1,,1795161503385.c53874646ac331a474743a009007c83b.",
        ]
        .concat();
        let files = vec!["b8c64471a7564c2b80984fc334e03174".to_owned()];
        let stores = vec![StoreFiles::new("a", files), StoreFiles::new("b", Vec::new())];
        let mut flush = FlushMarker::new(FlushAction::Commit, "w1", REGION, 25, stores);
        flush.region_name = Some(format!("w1,,1795161503385.{REGION}.").into_bytes());
        assert_eq!(Marker::parse(FLUSH, &value), Ok(Marker::Flush(flush.clone())));
        assert_eq!(flush.to_bytes(), value);
    }

    #[test]
    fn incomplete_markers_are_refused() {
        for qualifier in [FLUSH, COMPACTION, BULK_LOAD, REGION_EVENT, REGION_OPEN, REGION_CLOSE] {
            assert!(Marker::parse(qualifier, b"").is_err());
            assert!(Marker::parse(qualifier, b"\0").is_err());
        }
        let flush = message::FlushDescriptor {
            action: Some(4),
            table_name: Some(Vec::new()),
            encoded_region_name: Some(Vec::new()),
            ..message::FlushDescriptor::default()
        };
        let unknown = Corruption::Unknown { what: "flush action", value: 4 };
        assert_eq!(Marker::parse(FLUSH, &flush.encode_to_vec()), Err(unknown));
        let large = vec![0; MAX_VALUE + 1];
        assert!(matches!(Marker::parse(b"x", &large), Err(Corruption::Limit { .. })));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(value: Vec<u8>) {
            for qualifier in [FLUSH, COMPACTION, BULK_LOAD, REGION_EVENT, REPLICATION, b"x"] {
                let _ = Marker::parse(qualifier, &value);
            }
        }
    }
}
