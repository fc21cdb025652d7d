//! The rows of the catalog (locator.md §5; HBase: `CatalogFamilyFormat`).
#![warn(clippy::indexing_slicing)]

use super::{NO_SEQ_NUM, RegionLocations, RegionState, Replica, ServerName};
use crate::cell::{CellRef, RowRef};
use crate::error::Corruption;
use crate::schema::region_name::parse_replica;
use crate::schema::{RegionInfo, RegionName};
use std::collections::BTreeMap;

/// The row of a region in the catalog (HBase: `CatalogFamilyFormat`).
///
/// | column of family `info` | value |
/// |---|---|
/// | `regioninfo` | the region; required |
/// | `server` | `host:port`; empty or absent if the region is not assigned. Kept when the region is closed |
/// | `serverstartcode` | the start time of the server, 8 bytes |
/// | `seqnumDuringOpen` | the sequence id at opening, 8 bytes; empty or absent if unknown |
/// | `state` | the state of its assignment, by name |
/// | `sn` | `host,port,startcode` of the server it is assigned to |
/// | `server_XXXX` … `sn_XXXX` | the same for the replica with that id |
/// | `splitA`, `splitB` | the daughters it was split into |
/// | `merge0000` … , `mergeA`, `mergeB` | the parents it was merged from |
///
/// Other families and columns are ignored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CatalogRow {
    locations: RegionLocations,
    /// By replica id; as many as there are locations.
    assignments: Vec<Assignment>,
    daughters: Vec<RegionInfo>,
    merge_parents: Vec<RegionInfo>,
}

/// The assignment of a replica of a region (HBase: `RegionStateStore`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Assignment {
    /// The state, if the catalog has one.
    pub state: Option<RegionState>,
    /// The server to which the replica is or was assigned; clients do not use it.
    pub target: Option<ServerName>,
}

/// The family with the locations of regions.
pub(crate) const INFO: &[u8] = b"info";

/// The factor from which [`max_replica_id`] derives the greatest id.
const REPLICAS_PER_COLUMN: usize = 16;

/// Returns the greatest id that one of this many replicas of a region may have. All replicas are written, so
/// an id far above their number means damage.
#[must_use]
pub fn max_replica_id(replicas: usize) -> usize {
    REPLICAS_PER_COLUMN.saturating_mul(replicas.saturating_add(1))
}

/// The raw column values of a replica.
#[derive(Clone, Debug, Default)]
struct Columns<'a> {
    server: Option<&'a [u8]>,
    start_code: &'a [u8],
    seq_num: &'a [u8],
    state: &'a [u8],
    target: &'a [u8],
}

impl CatalogRow {
    /// Builds a row with locations only.
    pub(crate) fn of(locations: RegionLocations) -> Self {
        let assignments = vec![Assignment::default(); locations.replicas().len()];
        Self { locations, assignments, daughters: Vec::new(), merge_parents: Vec::new() }
    }

    /// Parses a row. Only the newest version of each column counts.
    ///
    /// # Errors
    ///
    /// If the row has no region, or another row's, or a column is invalid.
    pub fn parse(row: RowRef<'_>) -> Result<Self, Corruption> {
        Self::parse_columns(row, true)
    }

    /// Parses only the columns of a row that HBase's clients read: those of the region, and of the servers of
    /// its replicas. Others may be invalid, such as the name of a state that a later version has. A replica
    /// whose columns are invalid has no known server.
    ///
    /// # Errors
    ///
    /// If the row has no region, or another row's.
    pub(super) fn parse_locations(row: RowRef<'_>) -> Result<Self, Corruption> {
        Self::parse_columns(row, false)
    }

    fn parse_columns(row: RowRef<'_>, is_strict: bool) -> Result<Self, Corruption> {
        // `serverstartcode`, and the columns of replicas, begin with the same names
        let of_locations = [&b"regioninfo"[..], b"server", b"seqnumDuringOpen"];
        let is_read =
            |qualifier: &[u8]| is_strict || of_locations.iter().any(|name| qualifier.starts_with(name));
        let mut region = None;
        let (mut daughters, mut merge_parents) = (Vec::new(), Vec::new());
        let mut columns = BTreeMap::new();
        let mut last: Option<&[u8]> = None;
        for cell in row.cells().filter(|cell| cell.family() == INFO) {
            let (qualifier, value) = (cell.qualifier(), cell.value());
            if last.replace(qualifier) == Some(qualifier) || !is_read(qualifier) {
                continue; // an older version, or a column that is not needed
            }
            match qualifier {
                b"regioninfo" => region = Some(RegionInfo::parse_cell(value)?),
                b"splitA" | b"splitB" if !value.is_empty() => daughters.push(RegionInfo::parse_cell(value)?),
                _ if is_merge_column(qualifier) && !value.is_empty() => {
                    merge_parents.push(RegionInfo::parse_cell(value)?);
                }
                _ => add_column(&mut columns, &cell),
            }
        }
        let region = region.ok_or(Corruption::Malformed("row of hbase:meta without a region info"))?;
        if !RegionName::parse(row.key())?.is_of(&region.replica(0)) {
            return Err(Corruption::Malformed("region info that does not match the row of hbase:meta"));
        }
        // the number of replicas follows from the server columns: they are written, empty, before the
        // replicas are opened
        let last = columns.iter().rfind(|(_, columns)| columns.server.is_some()).map_or(0, |(id, _)| *id);
        let limit = max_replica_id(columns.len()) as u64;
        if u64::from(last) > limit {
            return Err(Corruption::Limit { what: "replica id of a region", value: last.into(), limit });
        }
        let none = Columns::default();
        let columns = || (0..=last).map(|id| columns.get(&id).unwrap_or(&none));
        let replica = |columns: &Columns<'_>| match columns.replica() {
            Err(_) if !is_strict => Ok(Replica::UNKNOWN),
            replica => replica,
        };
        let replicas: Result<Vec<_>, _> = columns().map(replica).collect();
        let assignments: Result<Vec<_>, _> = columns().map(Columns::assignment).collect();
        let locations = RegionLocations::new(region, replicas?);
        Ok(Self { locations, assignments: assignments?, daughters, merge_parents })
    }

    /// Returns the region.
    #[must_use]
    pub fn region(&self) -> &RegionInfo {
        self.locations.region()
    }

    /// Returns the region and its servers.
    #[must_use]
    pub fn locations(&self) -> &RegionLocations {
        &self.locations
    }

    /// Returns the assignment of each replica, by replica id.
    #[must_use]
    pub fn assignments(&self) -> &[Assignment] {
        &self.assignments
    }

    /// Returns the regions that the region was split into; empty if it was not split.
    #[must_use]
    pub fn daughters(&self) -> &[RegionInfo] {
        &self.daughters
    }

    /// Returns the regions that the region was merged from; empty if it was not, or after they are removed.
    #[must_use]
    pub fn merge_parents(&self) -> &[RegionInfo] {
        &self.merge_parents
    }

    /// Whether the region was split, so that younger regions have its rows.
    #[must_use]
    pub fn is_split_parent(&self) -> bool {
        self.region().is_split()
    }
}

/// Whether the column is `merge` and digits or, before 2.3, `mergeA` or `mergeB`.
pub(crate) fn is_merge_column(qualifier: &[u8]) -> bool {
    let is_number = |rest: &[u8]| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit);
    qualifier.strip_prefix(b"merge").is_some_and(|rest| matches!(rest, b"A" | b"B") || is_number(rest))
}

/// Records the value of a column about the location of a replica.
fn add_column<'a>(columns: &mut BTreeMap<u16, Columns<'a>>, cell: &CellRef<'a>) {
    let mut parts = cell.qualifier().splitn(2, |&c| c == b'_');
    let (Some(name), suffix) = (parts.next(), parts.next()) else { return };
    let replica_id = match suffix {
        None => Some(0),
        // replica 0 has no suffix
        Some(suffix) => parse_replica(&suffix.to_ascii_uppercase()).filter(|id| *id > 0),
    };
    let Some(replica_id) = replica_id else { return };
    let value = cell.value();
    let change: fn(&mut Columns<'a>, &'a [u8]) = match name {
        b"server" => |replica, value| replica.server = Some(value),
        b"serverstartcode" => |replica, value| replica.start_code = value,
        b"seqnumDuringOpen" => |replica, value| replica.seq_num = value,
        b"state" => |replica, value| replica.state = value,
        b"sn" => |replica, value| replica.target = value,
        _ => return,
    };
    change(columns.entry(replica_id).or_default(), value);
}

impl Columns<'_> {
    fn replica(&self) -> Result<Replica, Corruption> {
        let seq_num = long(self.seq_num, "sequence id of a region's location")?.unwrap_or(NO_SEQ_NUM);
        let start_code = long(self.start_code, "start code of a server")?;
        let address = self.server.filter(|address| !address.is_empty());
        let server = match start_code.zip(address) {
            Some((start_code, address)) => Some(ServerName::from_address(address, start_code)?),
            None => None,
        };
        Ok(Replica { server, seq_num })
    }

    fn assignment(&self) -> Result<Assignment, Corruption> {
        let state = if self.state.is_empty() { None } else { Some(RegionState::parse(self.state)?) };
        let target = if self.target.is_empty() { None } else { Some(ServerName::from_bytes(self.target)?) };
        Ok(Assignment { state, target })
    }
}

/// Decodes eight bytes; `None` if `value` is empty.
fn long(value: &[u8], what: &'static str) -> Result<Option<i64>, Corruption> {
    match value.try_into() {
        Ok(bytes) => Ok(Some(i64::from_be_bytes(bytes))),
        Err(_) if value.is_empty() => Ok(None),
        Err(_) => Err(Corruption::length(what, 8, value.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::{CellType, RowBuf, SeekKey};
    use crate::schema::TableName;

    fn row_of(row: &[u8], columns: &[(&str, &[u8])]) -> RowBuf {
        let mut columns = columns.to_vec();
        columns.sort_by_key(|(qualifier, _)| *qualifier);
        let mut buffer = RowBuf::new();
        for (qualifier, value) in columns {
            for (family, timestamp) in [(&b"info"[..], 5), (b"info", 4), (b"rep_barrier", 3)] {
                let key = SeekKey::of(row, family, qualifier.as_bytes(), timestamp, CellType::Put);
                buffer.push(CellRef::new(&key, if timestamp == 5 { value } else { b"?" }));
            }
        }
        buffer
    }

    fn parse(row: &[u8], columns: &[(&str, &[u8])]) -> Result<CatalogRow, Corruption> {
        CatalogRow::parse(row_of(row, columns).as_row())
    }

    fn region() -> RegionInfo {
        RegionInfo::new(TableName::parse("t").unwrap(), "a", "m", 1_700_000_000_000).unwrap()
    }

    #[test]
    fn a_row_has_the_location_of_a_region() {
        let (name, info, daughter) = (region().name(), region().to_cell(), region().replica(0).to_cell());
        let started = 7_i64.to_be_bytes();
        let row = parse(
            &name,
            &[
                ("regioninfo", &info),
                ("server", b"Host:1"),
                ("serverstartcode", &started),
                ("seqnumDuringOpen", &9_i64.to_be_bytes()),
                ("state", b"OPEN"),
                ("sn", b"host,1,7"),
                ("server_0002", b""),
                ("serverstartcode_0002", b""),
                ("state_0002", b"CLOSED"),
                ("state_0009", b"OPEN"),
                ("splitA", &daughter),
                ("splitB", b""),
                ("merge0001", &daughter),
                ("mergeB", &daughter),
                ("merges", b"?"),
                ("v", b"?"),
            ],
        );
        let row = row.unwrap();
        let server = ServerName::new("host", 1, 7).unwrap();
        let replicas = [Replica::on(server.clone(), 9), Replica::UNKNOWN, Replica::UNKNOWN];
        assert_eq!(row.locations(), &RegionLocations::new(region(), replicas));
        let open = Assignment { state: Some(RegionState::Open), target: Some(server) };
        let closed = Assignment { state: Some(RegionState::Closed), target: None };
        assert_eq!(row.assignments(), [open, Assignment::default(), closed]);
        assert_eq!((row.daughters(), row.merge_parents()), (&[region()][..], &[region(), region()][..]));
    }

    #[test]
    fn replicas_that_have_no_columns_are_limited() {
        let (name, info) = (region().name(), region().to_cell());
        let row = |id: &str| parse(&name, &[("regioninfo", &info), (&format!("server_{id}"), b"")]);
        assert_eq!(row("0020").unwrap().locations().replicas().len(), 0x21);
        assert!(matches!(row("FFFF"), Err(Corruption::Limit { value: 0xffff, limit: 32, .. })));
    }

    #[test]
    fn a_server_has_an_address_and_a_start_code() {
        let (name, info) = (region().name(), region().to_cell());
        for columns in [
            &[("server", &b"h:1"[..])][..],
            &[("server", b"h:1"), ("serverstartcode", b"")],
            &[("server", b""), ("serverstartcode", &[0; 8])],
            &[("serverstartcode", &[0; 8])],
            &[],
        ] {
            let row = parse(&name, &[columns, &[("regioninfo", &info)]].concat()).unwrap();
            assert_eq!(row.locations().replicas(), [Replica::UNKNOWN]);
        }
    }

    #[test]
    fn invalid_columns_are_rejected() {
        let (name, info) = (region().name(), region().to_cell());
        let server = ServerName::new("h", 1, 7).unwrap();
        let (started, opened) = (7_i64.to_be_bytes(), 9_i64.to_be_bytes());
        for (column, is_of_location) in [
            (("server_0001", &b"host"[..]), true),
            (("serverstartcode_0001", b"1"), true),
            (("seqnumDuringOpen_0001", b"1234567"), true),
            (("state", b"?"), false),
            (("sn", b"host:1"), false),
            (("splitA", b"PBUF"), false),
            (("merge0000", b"x"), false),
        ] {
            let mut columns: Vec<(&str, &[u8])> = vec![
                ("regioninfo", &info[..]),
                ("server", b"h:1"),
                ("server_0001", b"h:1"),
                ("serverstartcode", &started),
                ("serverstartcode_0001", &started),
                ("seqnumDuringOpen", &opened),
                ("seqnumDuringOpen_0001", &opened),
            ];
            assert!(parse(&name, &columns).is_ok());
            columns.retain(|(name, _)| *name != column.0);
            columns.push(column);
            let row = row_of(&name, &columns);
            assert!(CatalogRow::parse(row.as_row()).is_err(), "{column:?}");
            let locations = CatalogRow::parse_locations(row.as_row()).unwrap().locations;
            let primary = Replica::on(server.clone(), 9);
            let other = if is_of_location { Replica::UNKNOWN } else { primary.clone() };
            assert_eq!(locations, RegionLocations::new(region(), [primary, other]), "{column:?}");
        }
        assert!(parse(&name, &[("server", b"h:1")]).is_err(), "no region");
        assert!(parse(&name, &[("regioninfo", b"")]).is_err());
        let other = RegionInfo::new(TableName::parse("t").unwrap(), "b", "m", 1_700_000_000_000).unwrap();
        assert!(parse(&name, &[("regioninfo", &other.to_cell())]).is_err(), "another region's");
    }
}
