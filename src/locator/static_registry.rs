//! Locations from a fixed list (locator.md §15).

use super::{
    Catalog, CatalogEntry, CatalogRange, CatalogRow, ConnectionRegistry, RegionLocations, Replica,
    ServerName, TableState,
};
use crate::binary::from_string_binary;
use crate::cell::CellOrder;
use crate::clock::Deadline;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{RegionInfo, TableName};

/// A fixed list of locations that replaces ZooKeeper and, if it has regions, the catalog.
///
/// The text form has one location per line, with fields separated by tabs; lines that begin with `#` are
/// comments. Keys are in HBase's printable form.
///
/// ```text
/// meta    host,16020,1700000000000
/// region  ns:table  start  end  1700000000000  host,16020,1700000000000
/// ```
///
/// Several `meta` lines give the servers of its replicas. A region may have no server. The list does not
/// change: after `hbase:meta` has moved to another server, lookups fail.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StaticRegistry {
    meta: Vec<ServerName>,
    regions: Vec<RegionLocations>,
}

impl StaticRegistry {
    /// Creates an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a server of the catalog; the first one has the primary replica.
    #[must_use]
    pub fn meta(mut self, server: ServerName) -> Self {
        self.meta.push(server);
        self
    }

    /// Adds a region of a table.
    #[must_use]
    pub fn region(mut self, locations: RegionLocations) -> Self {
        self.regions.push(locations);
        self
    }

    /// Parses the text form.
    ///
    /// # Errors
    ///
    /// If a line is invalid; the error has the line number.
    pub fn parse(text: &str) -> Result<Self> {
        let mut list = Self::new();
        for (number, line) in (1..).zip(text.lines()) {
            let line = line.strip_suffix('\r').unwrap_or(line);
            if !line.is_empty() && !line.starts_with('#') {
                list.add(line).map_err(|error| {
                    Error::invalid_argument(format!("line {number}: {}", error.message()))
                })?;
            }
        }
        Ok(list)
    }

    fn add(&mut self, line: &str) -> Result<()> {
        let parts: Vec<&str> = line.split('\t').collect();
        match parts[..] {
            ["meta", server] => self.meta.push(ServerName::parse(server)?),
            ["region", table, start, end, id, ref server @ ..] if server.len() <= 1 => {
                let id = id.parse().map_err(|_| Error::invalid_argument("expected a region's id"))?;
                let (table, start, end) =
                    (TableName::parse(table)?, from_string_binary(start), from_string_binary(end));
                let region = RegionInfo::new(table, start, end, id)?;
                let server = server.first().filter(|server| !server.is_empty());
                let replica = match server {
                    Some(server) => Replica { server: Some(ServerName::parse(server)?), ..Replica::UNKNOWN },
                    None => Replica::UNKNOWN,
                };
                self.regions.push(RegionLocations::new(region, [replica]));
            }
            _ => {
                let expected = "expected meta and a server, or region, table, start, end, id and a server";
                return Err(Error::invalid_argument(expected));
            }
        }
        Ok(())
    }
}

impl ConnectionRegistry for StaticRegistry {
    fn meta_region_locations(&self, _: Deadline) -> Result<RegionLocations> {
        if self.meta.is_empty() && self.regions.is_empty() {
            return Err(Error::new(ErrorKind::NoServerForRegion, "the list names no server of hbase:meta"));
        }
        let replica = |server: &ServerName| Replica { server: Some(server.clone()), ..Replica::UNKNOWN };
        Ok(RegionLocations::new(RegionInfo::meta(), self.meta.iter().map(replica).collect::<Vec<_>>()))
    }

    fn cluster_id(&self, _: Deadline) -> Result<Option<String>> {
        Ok(None)
    }

    fn active_master(&self, _: Deadline) -> Result<Option<ServerName>> {
        Ok(None)
    }
}

impl Catalog for StaticRegistry {
    fn rows(&self, _: &RegionLocations, range: &CatalogRange, _: Deadline) -> Result<Vec<CatalogEntry>> {
        let entries = self.regions.iter().map(|region| CatalogEntry {
            key: region.region().name(),
            row: Ok(CatalogRow::of(region.clone())),
        });
        Ok(range.of(entries))
    }

    fn table_state(&self, _: &RegionLocations, table: &TableName, _: Deadline) -> Result<Option<TableState>> {
        let is_there = self.regions.iter().any(|region| region.region().table() == table);
        Ok(is_there.then_some(TableState::Enabled))
    }
}

impl CatalogRange {
    /// Returns the entries in this range, out of all entries of a catalog.
    pub(super) fn of(&self, entries: impl IntoIterator<Item = CatalogEntry>) -> Vec<CatalogEntry> {
        let order = |a: &[u8], b: &[u8]| CellOrder::Meta.compare_rows(a, b);
        let (low, high) = self.bounds();
        let is_within =
            |entry: &CatalogEntry| order(&entry.key, low).is_ge() && order(&entry.key, high).is_le();
        let mut found: Vec<CatalogEntry> = entries.into_iter().filter(is_within).collect();
        found.sort_by(|a, b| order(&a.key, &b.key));
        if self.reversed {
            found.reverse();
        }
        found.truncate(self.limit);
        found
    }

    /// Returns the least and the greatest key.
    pub(super) fn bounds(&self) -> (&[u8], &[u8]) {
        if self.reversed { (&self.last, &self.first) } else { (&self.first, &self.last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::locator::{Locator, RetryPolicy};
    use std::sync::Arc;

    const LIST: &str = "# a comment\nmeta\th,1,5\nmeta\tg,1,5\n\n\
                        region\tns:t\t\tm\\x00\t7\th,2,5\r\nregion\tns:t\tm\\x00\t\t8\n";

    #[test]
    fn a_list_has_the_locations_of_regions() {
        let list = StaticRegistry::parse(LIST).unwrap();
        let meta = list.meta_region_locations(Deadline::NEVER).unwrap();
        assert_eq!((meta.replicas().len(), meta.server().unwrap().host()), (2, "h"));
        let locator = Locator::new(Arc::new(list.clone()), Arc::new(list)).retries(RetryPolicy::no_retries());
        let table = TableName::parse("ns:t").unwrap();
        let found = locator.locate(&table, "m").unwrap();
        assert_eq!((found.region().end_key(), found.server().unwrap().port()), (&b"m\0"[..], 2));
        assert_eq!(locator.locate(&table, "z").unwrap_err().kind(), ErrorKind::NoServerForRegion);
        let other = TableName::parse("u").unwrap();
        assert_eq!(locator.locate(&other, "m").unwrap_err().kind(), ErrorKind::TableNotFound);
        let empty = Locator::new(Arc::new(StaticRegistry::new()), Arc::new(StaticRegistry::new()));
        let empty = empty.retries(RetryPolicy::no_retries());
        assert_eq!(empty.locate(&other, "m").unwrap_err().kind(), ErrorKind::NoServerForRegion);
    }

    #[test]
    fn malformed_lines_are_rejected() {
        for line in [
            "meta",
            "meta\th,1",
            "region\tt\ta\tb\tx\th,1,5",
            "region\tt\tb\ta\t1",
            "x",
            "region\tt\ta\tb\t1\th,1,5\t",
        ] {
            let error = StaticRegistry::parse(&format!("\n{line}")).unwrap_err();
            assert!(error.message().starts_with("line 2: "), "{error}");
        }
    }
}
