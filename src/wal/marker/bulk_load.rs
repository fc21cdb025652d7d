//! The marker of a bulk load (wal.md §7).

use super::StoreFiles;
use crate::error::Corruption;
use crate::proto::region as common;
use crate::proto::wal as message;
use crate::schema::TableName;
use prost::Message;

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

    pub(super) fn parse(value: &[u8]) -> Result<Self, Corruption> {
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

    pub(super) fn to_bytes(&self) -> Vec<u8> {
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
