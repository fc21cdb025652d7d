//! The keys for searching the catalog (locator.md §4; HBase: `RegionInfo.createRegionName`).

use super::cache::has_before;
use crate::cell::MAX_ROW_LEN;
use crate::schema::{RegionInfo, TableName};

/// The position of the requested region relative to a row (HBase: `RegionLocateType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LocateType {
    /// The region that contains the row.
    At,
    /// The region that contains the greatest possible row before it; for an empty row, the last region of the
    /// table.
    Before,
    /// The region that contains the least possible row after it.
    After,
}

/// A range of rows of the catalog, in its own order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogRange {
    /// The table.
    pub table: TableName,
    /// The first row to read; if it is missing, the next one.
    pub first: Vec<u8>,
    /// The last row to read, inclusive like the first. In a reversed range it sorts before the first.
    pub last: Vec<u8>,
    /// Whether to read backward.
    pub reversed: bool,
    /// Maximum number of rows to read.
    pub limit: usize,
}

/// Greater than the ids of all regions, which have at most 13 digits before the year 2286; and an id less
/// than all.
pub(super) const NINES: &[u8] = b"99999999999999";
const ZEROES: &[u8] = b"00000000000000";
/// The length of a key without the table and the row: two commas and an id.
const KEY_EXTRA: usize = 2 + NINES.len();

impl CatalogRange {
    /// Builds a backward search for a region. The first row found that is not a split parent is its row, if
    /// it exists.
    #[must_use]
    pub fn search(table: &TableName, row: &[u8], position: LocateType, limit: usize) -> Self {
        let first = match position {
            LocateType::At => key(table, row, NINES),
            LocateType::After => key(table, &[row, &[0]].concat(), NINES),
            // a row without a comma, after those of all regions of the table
            LocateType::Before if row.is_empty() => [&table.to_bytes()[..], &[0]].concat(),
            LocateType::Before => key(table, row, ZEROES),
        };
        // after the row of the table's state, and before those of its regions
        let last = key(table, b"", b"");
        Self { table: table.clone(), first, last, reversed: true, limit }
    }

    /// Builds a range of the regions of a table from the first one that begins at or after a key; an empty
    /// key is the first.
    #[must_use]
    pub fn regions(table: &TableName, start_key: &[u8], limit: usize) -> Self {
        let first = key(table, start_key, if start_key.is_empty() { b"" } else { ZEROES });
        // a space sorts before all characters of table names, so no other table is in the range
        let last = [&table.to_bytes()[..], b" ,,"].concat();
        Self { table: table.clone(), first, last, reversed: false, limit }
    }
}

/// Builds a key: a region's name without its hash. A row that makes the key too long is truncated: it is
/// still longer than any region's start key, and finds the same region.
fn key(table: &TableName, row: &[u8], id: &[u8]) -> Vec<u8> {
    let table = table.to_bytes();
    let room = MAX_ROW_LEN.saturating_sub(table.len() + KEY_EXTRA);
    [&table[..], b",", &row[..row.len().min(room)], b",", id].concat()
}

impl LocateType {
    /// Whether a region is the requested one.
    #[must_use]
    pub fn is_in(self, region: &RegionInfo, row: &[u8]) -> bool {
        match self {
            Self::At => region.contains(row),
            Self::Before => has_before(region, row),
            Self::After => region.contains(&[row, &[0]].concat()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::CellOrder;
    use proptest::prelude::*;

    const IDS: [i64; 3] = [1_700_000_000_000, 1_000_000_000_000, 9_999_999_999_999];

    /// Builds a table whose regions begin at `starts` and contain each row exactly once.
    fn tiling(starts: &std::collections::BTreeSet<Vec<u8>>) -> Vec<RegionInfo> {
        let table = TableName::parse("t").unwrap();
        let starts: Vec<Vec<u8>> =
            [Vec::new()].into_iter().chain(starts.iter().filter(|s| !s.is_empty()).cloned()).collect();
        let region = |(i, start): (usize, &Vec<u8>)| {
            let end = starts.get(i + 1).cloned().unwrap_or_default();
            RegionInfo::new(table.clone(), start.clone(), end, IDS[i % 3]).unwrap()
        };
        starts.iter().enumerate().map(region).collect()
    }

    fn rows_of(range: &CatalogRange, names: &[Vec<u8>]) -> Vec<Vec<u8>> {
        let order = |a: &[u8], b: &[u8]| CellOrder::Meta.compare_rows(a, b);
        let (low, high) = range.bounds();
        let within = |name: &&Vec<u8>| order(name, low).is_ge() && order(name, high).is_le();
        let mut found: Vec<Vec<u8>> = names.iter().filter(within).cloned().collect();
        found.sort_by(|a, b| order(a, b));
        if range.reversed {
            found.reverse();
        }
        found.truncate(range.limit);
        found
    }

    #[test]
    fn bytewise_order_finds_the_wrong_region() {
        let starts = [b"a".to_vec(), b"a\0".to_vec(), b"a!".to_vec()];
        let regions = tiling(&starts.iter().cloned().collect());
        let mut names: Vec<Vec<u8>> = regions.iter().map(RegionInfo::name).collect();
        let range = CatalogRange::search(regions[0].table(), b"a0", LocateType::At, 1);
        assert_eq!(rows_of(&range, &names), [regions[3].name()]);
        names.sort();
        let bytewise = names.iter().rfind(|name| **name <= range.first).unwrap();
        assert_ne!(*bytewise, regions[3].name());
    }

    proptest! {
        #[test]
        fn a_search_finds_the_region_that_a_walk_finds(
            starts in proptest::collection::btree_set("[,a\0\u{7f}]{0,4}", 0..12),
            rows in proptest::collection::vec("[,a\0\u{7f}]{0,5}", 8),
        ) {
            let regions = tiling(&starts.iter().map(|start| start.clone().into_bytes()).collect());
            let table = regions[0].table();
            let mut names: Vec<Vec<u8>> = regions.iter().map(RegionInfo::name).collect();
            // neighbours in the catalog
            names.extend([&b"t"[..], b"s,zz,9", b"t-,,1", b"t1,,1", b"t1", b"sz"].map(<[u8]>::to_vec));
            let rows =
                rows.iter().map(|row| row.as_bytes()).chain(starts.iter().map(|start| start.as_bytes()));
            for row in rows {
                for position in [LocateType::At, LocateType::Before, LocateType::After] {
                    let found = rows_of(&CatalogRange::search(table, row, position, 1), &names);
                    let expected = regions.iter().find(|region| position.is_in(region, row));
                    let expected: Vec<Vec<u8>> = expected.map(RegionInfo::name).into_iter().collect();
                    prop_assert_eq!(found, expected, "{:?} {:?}", position, row);
                }
                let from: Vec<Vec<u8>> =
                    regions.iter().filter(|r| r.start_key() >= row).map(RegionInfo::name).collect();
                prop_assert_eq!(rows_of(&CatalogRange::regions(table, row, 99), &names), from);
            }
        }
    }

    #[test]
    fn keys_are_never_too_long() {
        let table = TableName::parse("t").unwrap();
        for row in [vec![b'a'; MAX_ROW_LEN], vec![b'a'; MAX_ROW_LEN + 1]] {
            assert_eq!(CatalogRange::search(&table, &row, LocateType::After, 1).first.len(), MAX_ROW_LEN);
        }
    }
}
