//! Rows of the catalog, and names of regions.

use crate::cell::{CellRef, CellType, RowBuf, SeekKey};
use crate::locator::{CatalogEntry, TableState, compare_root_rows};
use crate::schema::{RegionInfo, RegionName};

/// The columns that a row may have here.
pub const CATALOG_COLUMNS: [&str; 14] = [
    "merge0000",
    "mergeA",
    "regioninfo",
    "seqnumDuringOpen",
    "seqnumDuringOpen_0001",
    "server",
    "server_0001",
    "server_001a",
    "serverstartcode",
    "serverstartcode_0001",
    "sn",
    "splitA",
    "splitB",
    "state",
];

/// Checks a row: it is refused, or its contents are consistent, with invalid columns or without. The key
/// alone is checked as a region name; values are also parsed in every form that they could have.
///
/// The input is the row's key, and then columns: each a byte that selects one of [`CATALOG_COLUMNS`], and a
/// value. The key and each value are preceded by two bytes for their length.
pub fn catalog_row(input: &[u8]) {
    let mut rest = input;
    let Some(key) = take(&mut rest) else { return };
    name(key);
    let mut columns: Vec<(&str, &[u8])> = Vec::new();
    while let Some((&which, after)) = rest.split_first() {
        rest = after;
        let Some(value) = take(&mut rest) else { break };
        let _ = TableState::parse(value);
        if let Ok(region) = RegionInfo::parse_cell(value) {
            assert_eq!(RegionInfo::parse_cell(&region.to_cell()).as_ref(), Ok(&region));
        }
        columns.push((CATALOG_COLUMNS[usize::from(which) % CATALOG_COLUMNS.len()], value));
    }
    columns.sort_by_key(|(qualifier, _)| *qualifier);
    let mut row = RowBuf::new();
    if key.len() > crate::cell::MAX_ROW_LEN {
        return;
    }
    for (qualifier, value) in columns {
        row.push(CellRef::new(&SeekKey::of(key, b"info", qualifier.as_bytes(), 1, CellType::Put), value));
    }
    let Ok(parsed) = CatalogEntry::parse(row.as_row()).row else { return };
    let name = RegionName::parse(key).expect("the key of a row that parses");
    assert!(name.is_of(&parsed.region().replica(0)), "{name}");
    let places = parsed.locations();
    assert_eq!(places.replicas().len(), parsed.assignments().len());
    assert!(!places.replicas().is_empty() && places.server().is_none_or(|server| !server.host().is_empty()));
}

/// Returns the next value, which follows its length.
fn take<'i>(rest: &mut &'i [u8]) -> Option<&'i [u8]> {
    let (len, after) = rest.split_first_chunk::<2>()?;
    let (value, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*len)).min(after.len()))?;
    *rest = after;
    Some(value)
}

/// Checks that a name that parses is written to the same bytes, and that its printed form parses.
fn name(key: &[u8]) {
    let _ = compare_root_rows(key, b".META.,t,a,1,1");
    let Ok(name) = RegionName::parse(key) else { return };
    assert_eq!(name.to_bytes(), key);
    if name.has_valid_hash() {
        assert_eq!(RegionName::parse_printable(&name.to_string()), Ok(name));
    }
}
