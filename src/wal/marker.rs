//! Markers: entries that record events of a region (wal.md §7; HBase: `WALEdit`, `WALUtil`).

mod bulk_load;
mod compaction;
mod flush;
mod region_event;

pub use bulk_load::BulkLoadMarker;
pub use compaction::CompactionMarker;
pub use flush::{FlushAction, FlushMarker};
pub use region_event::{RegionEvent, RegionEventMarker};

use crate::cell::{Cell, CellRef, CellType, SeekKey};
use crate::error::Corruption;
use crate::proto::wal as message;

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

/// The maximum length of a marker's value in bytes. In memory, a message takes up to about 50 times as much.
const MAX_VALUE: usize = 16 << 20;

/// An event of a region, as an entry records it (HBase: `WALUtil`).
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
    /// A heartbeat for the monitoring of replication; not an event.
    Replication,
    /// A marker of a later version: its qualifier.
    Other(Vec<u8>),
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

/// Returns the value with this number.
fn choose<T: Copy>(what: &'static str, number: i32, values: &[T]) -> Result<T, Corruption> {
    let value = usize::try_from(number).ok().and_then(|number| values.get(number)).copied();
    value.ok_or_else(|| Corruption::Unknown { what, value: number.into() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use prost::Message;

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
