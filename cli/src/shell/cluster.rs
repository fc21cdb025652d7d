//! The tables of a running cluster, by its client.

use super::catalog::{Catalog, Described, Status, TakeRow};
use super::interrupt::Interrupt;
use crate::failure::Failure;
use crate::scan_rows::RowScan;
use hregion::cell::StringBinary;
use hregion::locator::TableState;
use hregion::{
    Append, Compaction, Delete, ErrorKind, Family, Filter, Get, Increment, Put, RegionInfo, Row, Scan,
    SnapshotDescription, TableChanges, TableName,
};
use hregion_client::blocking::{Client, Table};

/// The tables of a cluster. Nothing is kept here: each command asks the servers.
#[derive(Debug)]
pub(crate) struct ClusterTables {
    client: Client,
    interrupt: Interrupt,
}

impl ClusterTables {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, interrupt: Interrupt::default() }
    }

    fn table(&self, name: &str) -> Result<Table, Failure> {
        Ok(self.client.table(&TableName::parse(name)?))
    }

    /// Whether a table is in a state; `unknown` if the catalog keeps none, as before 2.0.
    fn is_in(&self, name: &str, state: TableState, unknown: bool) -> Result<bool, Failure> {
        match self.client.table_state(&TableName::parse(name)?) {
            Ok(found) => Ok(found == state),
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(unknown),
            Err(error) => Err(error.into()),
        }
    }
}

impl Catalog for ClusterTables {
    fn set_interrupt(&mut self, interrupt: Interrupt) {
        self.interrupt = interrupt;
    }

    fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    fn watched(&self, filter: Option<Filter>) -> hregion::Result<Option<Filter>> {
        Ok(filter)
    }

    fn filter_to_count(&self) -> Option<Filter> {
        Some(Filter::first_key_only())
    }

    fn names(&self) -> Result<Vec<TableName>, Failure> {
        Ok(self.client.tables()?)
    }

    fn has(&self, name: &str) -> Result<bool, Failure> {
        Ok(self.client.table_exists(&TableName::parse(name)?)?)
    }

    fn is_enabled(&self, name: &str) -> Result<bool, Failure> {
        self.is_in(name, TableState::Enabled, true)
    }

    fn is_disabled(&self, name: &str) -> Result<bool, Failure> {
        self.is_in(name, TableState::Disabled, false)
    }

    fn described(&mut self, name: &str) -> Result<Described, Failure> {
        let name = TableName::parse(name)?;
        let regions = self.client.regions(&name)?;
        let regions = regions.iter().map(|row| row.region().clone()).collect();
        Ok(Described { description: Some(self.client.describe_table(&name)?), regions })
    }

    fn current_families(&mut self, name: &str) -> Result<Vec<Family>, Failure> {
        Ok(self.client.families(&TableName::parse(name)?)?)
    }

    fn families(&self, name: &str) -> Vec<String> {
        let families = TableName::parse(name).and_then(|name| self.client.families(&name));
        let names = |family: &Family| StringBinary(family.name()).to_string();
        families.map(|families| families.iter().map(names).collect()).unwrap_or_default()
    }

    fn locate(&mut self, name: &str, row: &[u8]) -> Result<(RegionInfo, String), Failure> {
        let found = self.client.locate(&TableName::parse(name)?, row)?;
        let server = found.server().map(ToString::to_string).unwrap_or_default();
        Ok((found.region().clone(), server))
    }

    fn get(&mut self, name: &str, get: &Get) -> Result<Row, Failure> {
        Ok(self.table(name)?.get(get)?)
    }

    fn scan(
        &mut self,
        name: &str,
        scan: RowScan,
        _reversed: bool,
        take: &mut TakeRow<'_>,
    ) -> Result<bool, Failure> {
        let RowScan { scan, limit } = scan;
        let mut is_stale = false;
        for result in self.table(name)?.scan(scan.limit(limit.unwrap_or_default()))? {
            let row = result?.row;
            is_stale |= row.is_stale();
            take(row.as_row())?;
        }
        Ok(is_stale)
    }

    fn put(&mut self, name: &str, put: Put) -> Result<(), Failure> {
        Ok(self.table(name)?.put(put)?)
    }

    fn delete(&mut self, name: &str, delete: Delete) -> Result<(), Failure> {
        Ok(self.table(name)?.delete(delete)?)
    }

    fn delete_rows(
        &mut self,
        name: &str,
        scan: Scan,
        delete_of: &dyn Fn(Vec<u8>) -> Delete,
    ) -> Result<(), Failure> {
        let table = self.table(name)?;
        for result in table.scan(scan)? {
            self.interrupt.check()?;
            table.delete(delete_of(result?.row.key().to_vec()))?;
        }
        Ok(())
    }

    fn increment(&mut self, name: &str, increment: Increment) -> Result<Row, Failure> {
        Ok(self.table(name)?.increment(increment)?)
    }

    fn append(&mut self, name: &str, append: Append) -> Result<Row, Failure> {
        Ok(self.table(name)?.append(append)?)
    }

    fn create(&mut self, name: &str, table: &TableChanges, splits: &[Vec<u8>]) -> Result<(), Failure> {
        Ok(self.client.create_table_configured(&TableName::parse(name)?, table, splits)?)
    }

    fn alter(&mut self, name: &str, changes: &TableChanges) -> Result<usize, Failure> {
        let name = TableName::parse(name)?;
        self.client.alter_table(&name, changes)?;
        Ok(self.client.regions(&name)?.len())
    }

    /// Without effect on a table that is disabled, as in HBase's shell. The master decides about a table that
    /// is being enabled or disabled.
    fn disable(&mut self, name: &str) -> Result<(), Failure> {
        if !self.is_disabled(name)? {
            self.client.disable_table(&TableName::parse(name)?)?;
        }
        Ok(())
    }

    fn enable(&mut self, name: &str) -> Result<(), Failure> {
        if !self.is_in(name, TableState::Enabled, false)? {
            self.client.enable_table(&TableName::parse(name)?)?;
        }
        Ok(())
    }

    fn drop_table(&mut self, name: &str) -> Result<(), Failure> {
        Ok(self.client.delete_table(&TableName::parse(name)?)?)
    }

    /// Disables the table first if it is enabled, as HBase's shell does.
    fn truncate(&mut self, name: &str, preserve_splits: bool) -> Result<bool, Failure> {
        let was_enabled = self.is_enabled(name)?;
        if was_enabled {
            self.disable(name)?;
        }
        self.client.truncate_table(&TableName::parse(name)?, preserve_splits)?;
        Ok(was_enabled)
    }

    fn flush(&mut self, name: &str) -> Result<(), Failure> {
        Ok(self.client.flush_table(&TableName::parse(name)?)?)
    }

    fn compact(&mut self, name: &str, family: Option<&[u8]>, kind: Compaction) -> Result<(), Failure> {
        Ok(self.client.compact_table(&TableName::parse(name)?, family, kind)?)
    }

    fn split(&mut self, name: &str, row: &[u8]) -> Result<(), Failure> {
        Ok(self.client.split_region(&TableName::parse(name)?, row)?)
    }

    fn merge(&mut self, first: &str, second: &str) -> Result<(), Failure> {
        Ok(self.client.merge_regions(first, second)?)
    }

    fn archive_parents(&mut self) -> Result<(), Failure> {
        Ok(self.client.run_catalog_janitor()?)
    }

    fn snapshots(&self) -> Result<Vec<SnapshotDescription>, Failure> {
        Ok(self.client.snapshots()?)
    }

    fn snapshot(&mut self, table: &str, name: &str) -> Result<(), Failure> {
        Ok(self.client.snapshot(&TableName::parse(table)?, name)?)
    }

    fn clone_snapshot(&mut self, snapshot: &str, name: &str) -> Result<(), Failure> {
        Ok(self.client.clone_snapshot(snapshot, &TableName::parse(name)?)?)
    }

    fn restore(&mut self, name: &str) -> Result<(), Failure> {
        Ok(self.client.restore_snapshot(name)?)
    }

    fn delete_snapshot(&mut self, name: &str) -> Result<(), Failure> {
        Ok(self.client.delete_snapshot(name)?)
    }

    fn status(&self) -> Result<Status, Failure> {
        Ok(Status::Cluster {
            tables: self.client.tables()?.len(),
            servers: self.client.live_servers()?.len(),
        })
    }

    fn lacks(&self) -> &'static str {
        "not supported by this client, but by HBase's own shell"
    }

    fn close(&mut self) -> Result<(), Failure> {
        Ok(())
    }
}
