//! The rows at which a region may be split (HBase: `RegionSplitPolicy.getSplitPoint`,
//! `RegionSplitRestriction`).

use super::Region;
use crate::error::{Error, Result};

/// The split policy that refuses even explicitly requested splits.
const DISABLED: &str = "DisabledRegionSplitPolicy";

/// Rows that a table keeps in one region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RowGroups<'s> {
    /// No groups: a split is possible at any row.
    None,
    /// Rows with the same prefix of this many bytes.
    Prefix(usize),
    /// Rows with the same bytes before this text.
    Delimited(&'s str),
}

impl<'s> RowGroups<'s> {
    /// Returns groups by the length of a prefix. As in HBase, there are none if it is not set or invalid.
    fn by_prefix(len: Option<&str>) -> Self {
        let len = len.and_then(|len| len.parse::<i32>().ok()).and_then(|len| usize::try_from(len).ok());
        len.filter(|&len| len > 0).map_or(Self::None, Self::Prefix)
    }

    /// Returns groups by the text that ends their common prefix. There are none if it is not set.
    fn by_delimiter(delimiter: Option<&'s str>) -> Self {
        delimiter.filter(|delimiter| !delimiter.is_empty()).map_or(Self::None, Self::Delimited)
    }

    /// Returns the first row that the group of a row can have. This is the row itself if it lacks the
    /// delimiter.
    fn start(self, row: &[u8]) -> &[u8] {
        let len = match self {
            Self::None => None,
            Self::Prefix(len) => Some(len),
            Self::Delimited(text) => row.windows(text.len()).position(|part| part == text.as_bytes()),
        };
        len.and_then(|len| row.get(..len)).unwrap_or(row)
    }
}

impl Region {
    /// Returns the row at which to split the region if `row` is requested: the first one of its group, if the
    /// table has a split restriction.
    ///
    /// # Errors
    ///
    /// If the table's split policy disables splits.
    pub(crate) fn split_row_for<'r>(&self, row: &'r [u8]) -> Result<&'r [u8]> {
        match self.split_policy() {
            Some(DISABLED) => Err(disabled()),
            // It is unknown which rows policies other than HBase's refuse.
            _ => Ok(self.restricted_split_row(row)),
        }
    }

    fn restricted_split_row<'r>(&self, row: &'r [u8]) -> &'r [u8] {
        let groups = match self.table_setting("hbase.regionserver.region.split_restriction.type") {
            Some("KeyPrefix") => RowGroups::by_prefix(
                self.table_setting("hbase.regionserver.region.split_restriction.prefix_length"),
            ),
            Some("DelimitedKeyPrefix") => RowGroups::by_delimiter(
                self.table_setting("hbase.regionserver.region.split_restriction.delimiter"),
            ),
            // As HBase treats all other values.
            _ => RowGroups::None,
        };
        groups.start(row)
    }

    fn table_setting(&self, key: &str) -> Option<&str> {
        self.0.dir.setting(&[], key)
    }

    /// Returns the class of the table's split policy, without HBase's package.
    fn split_policy(&self) -> Option<&str> {
        let policy = self
            .table_setting("SPLIT_POLICY")
            .or_else(|| self.table_setting("hbase.regionserver.region.split.policy"))?;
        Some(policy.strip_prefix("org.apache.hadoop.hbase.regionserver.").unwrap_or(policy))
    }

    /// Returns the groups of rows of the table's split policy.
    ///
    /// # Errors
    ///
    /// If the policy disables splits, or is not one of HBase's.
    fn policy_groups(&self) -> Result<RowGroups<'_>> {
        let Some(policy) = self.split_policy() else { return Ok(RowGroups::None) };
        match policy {
            DISABLED => Err(disabled()),
            "KeyPrefixRegionSplitPolicy" => {
                let len = self.table_setting("KeyPrefixRegionSplitPolicy.prefix_length");
                let len = len.or_else(|| self.table_setting("prefix_split_key_policy.prefix_length"));
                Ok(RowGroups::by_prefix(len))
            }
            "DelimitedKeyPrefixRegionSplitPolicy" => Ok(RowGroups::by_delimiter(
                self.table_setting("DelimitedKeyPrefixRegionSplitPolicy.delimiter"),
            )),
            "SteppingSplitPolicy"
            | "IncreasingToUpperBoundRegionSplitPolicy"
            | "ConstantSizeRegionSplitPolicy"
            | "BusyRegionSplitPolicy" => Ok(RowGroups::None),
            _ => Err(Error::not_supported(format!(
                "split policy {policy:.200} of the table chooses the row at which a region is split: give one"
            ))),
        }
    }

    /// Returns the middle row of the largest file, or the first one of its group, at which the region may be
    /// split; `None` if no row is between the first and the last one (HBase: `StoreUtils.getFileSplitPoint`).
    ///
    /// # Errors
    ///
    /// If the table's split policy disables splits or is not one of HBase's, or the file cannot be read.
    pub(crate) fn split_row(&self) -> Result<Option<Vec<u8>>> {
        let groups = self.policy_groups()?;
        let state = self.0.states.load();
        let files = state.stores.iter().flat_map(|store| store.files.iter());
        let Some(largest) = files.max_by_key(|file| file.file_len()) else { return Ok(None) };
        let Some(middle) = largest.hfile().mid_key()? else { return Ok(None) };
        let is_between = |(first, last): (&[u8], &[u8])| first < middle.row() && middle.row() < last;
        if !largest.first_row().zip(largest.last_row()).is_some_and(is_between) {
            return Ok(None);
        }
        let row = self.restricted_split_row(groups.start(middle.row()));
        let is_within = row != self.info().start_key() && self.info().contains(row);
        Ok(is_within.then(|| row.to_vec()))
    }
}

#[cold]
fn disabled() -> Error {
    Error::invalid_argument(format!("the table's descriptor sets SPLIT_POLICY to {DISABLED}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_row_of_a_group_is_found() {
        for (groups, row, expected) in [
            (RowGroups::by_prefix(None), "abc", "abc"),
            (RowGroups::by_prefix(Some("2")), "abc", "ab"),
            (RowGroups::by_prefix(Some("2")), "a", "a"),
            (RowGroups::by_prefix(Some("0")), "abc", "abc"),
            (RowGroups::by_prefix(Some("-1")), "abc", "abc"),
            (RowGroups::by_prefix(Some(" 2")), "abc", "abc"),
            (RowGroups::by_delimiter(None), "a_b", "a_b"),
            (RowGroups::by_delimiter(Some("")), "a_b", "a_b"),
            (RowGroups::by_delimiter(Some("_")), "a_b_c", "a"),
            (RowGroups::by_delimiter(Some("_")), "abc", "abc"),
            (RowGroups::by_delimiter(Some("::")), "a:b::c::d", "a:b"),
            (RowGroups::by_delimiter(Some("::")), ":", ":"),
            (RowGroups::by_delimiter(Some("_")), "_a", ""),
        ] {
            assert_eq!(groups.start(row.as_bytes()), expected.as_bytes(), "{groups:?} {row}");
        }
    }
}
