//! The marker of a compaction (wal.md §7).

use crate::error::Corruption;
use crate::proto::wal as message;
use prost::Message;

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

    pub(super) fn parse(value: &[u8]) -> Result<Self, Corruption> {
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

    pub(super) fn to_bytes(&self) -> Vec<u8> {
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
