//! The marker of a step of a flush (wal.md §7).

use super::{StoreFiles, choose};
use crate::error::Corruption;
use crate::proto::wal as message;
use prost::Message;

/// A flush.
///
/// HBase: `FlushDescriptor`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct FlushMarker {
    /// The step.
    pub action: FlushAction,
    /// The table: `table` or `namespace:table`.
    pub table_name: Vec<u8>,
    /// The encoded name of the region.
    pub encoded_region_name: Vec<u8>,
    /// The sequence id of the flush, which is above that of every edit it contains.
    pub flush_sequence_id: Option<i64>,
    /// The flushed families. Their files are known only when the flush is committed.
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
    pub(super) const ALL: [Self; 4] = [Self::Start, Self::Commit, Self::Abort, Self::Cannot];
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

    pub(super) fn parse(value: &[u8]) -> Result<Self, Corruption> {
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

    pub(super) fn to_bytes(&self) -> Vec<u8> {
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
