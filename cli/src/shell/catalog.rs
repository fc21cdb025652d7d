//! The interface to the tables of a shell, in files or on a cluster.

use super::interrupt::Interrupt;
use crate::failure::Failure;
use crate::scan_rows::RowScan;
use hregion::{
    Append, Compaction, Delete, Family, Filter, Get, Increment, Put, RegionInfo, Row, RowRef, Scan,
    SnapshotDescription, TableChanges, TableDescription, TableName,
};
use std::fmt::Debug;

/// Takes the rows of a scan, or pieces of them.
pub(crate) type TakeRow<'t> = dyn FnMut(RowRef<'_>) -> Result<(), Failure> + 't;

/// The tables of a directory, or of a running cluster. Tables are given by their names as typed.
pub(crate) trait Catalog: Debug {
    /// Sets the interrupt of long commands.
    fn set_interrupt(&mut self, interrupt: Interrupt);

    /// Returns the interrupt of long commands.
    fn interrupt(&self) -> Interrupt;

    /// Makes a read's filter end the read at Ctrl-C, if the filter is applied here.
    fn watched(&self, filter: Option<Filter>) -> hregion::Result<Option<Filter>>;

    /// Returns the filter of a scan that only counts rows, if it makes the scan faster.
    fn filter_to_count(&self) -> Option<Filter> {
        None
    }

    /// Returns the names of all tables, without HBase's own.
    fn names(&self) -> Result<Vec<TableName>, Failure>;

    /// Returns the names of HBase's own tables. A cluster does not list them (HBase: `Admin.listTableNames`).
    fn system_names(&self) -> Result<Vec<TableName>, Failure> {
        Ok(Vec::new())
    }

    /// Whether a table exists.
    fn has(&self, name: &str) -> Result<bool, Failure>;

    /// Whether a table, which must exist, is enabled.
    fn is_enabled(&self, name: &str) -> Result<bool, Failure>;

    /// Whether a table, which must exist, is disabled. One that is being changed is neither.
    fn is_disabled(&self, name: &str) -> Result<bool, Failure> {
        Ok(!self.is_enabled(name)?)
    }

    /// Returns the settings and the regions of a table. It may be disabled.
    fn described(&mut self, name: &str) -> Result<Described, Failure>;

    /// Returns the families of a table as they are now: another process may have changed them.
    fn current_families(&mut self, name: &str) -> Result<Vec<Family>, Failure>;

    /// Returns the names of a table's families, to complete input: none if the table cannot be read.
    fn families(&self, name: &str) -> Vec<String>;

    /// Returns the region of a row, and its server or a text if there is none.
    fn locate(&mut self, name: &str, row: &[u8]) -> Result<(RegionInfo, String), Failure>;

    fn get(&mut self, name: &str, get: &Get) -> Result<Row, Failure>;

    /// Passes rows to `take`; `reversed` is whether the scan is reversed. Returns whether one of them may
    /// lack the last writes.
    fn scan(
        &mut self,
        name: &str,
        scan: RowScan,
        reversed: bool,
        take: &mut TakeRow<'_>,
    ) -> Result<bool, Failure>;

    fn put(&mut self, name: &str, put: Put) -> Result<(), Failure>;

    fn delete(&mut self, name: &str, delete: Delete) -> Result<(), Failure>;

    /// Executes the delete that `delete_of` returns for each row of a scan.
    fn delete_rows(
        &mut self,
        name: &str,
        scan: Scan,
        delete_of: &dyn Fn(Vec<u8>) -> Delete,
    ) -> Result<(), Failure>;

    fn increment(&mut self, name: &str, increment: Increment) -> Result<Row, Failure>;

    fn append(&mut self, name: &str, append: Append) -> Result<Row, Failure>;

    /// Creates a table with families and settings, and regions separated by sorted split keys.
    fn create(&mut self, name: &str, table: &TableChanges, splits: &[Vec<u8>]) -> Result<(), Failure>;

    /// Changes the families and settings of a table. Returns the number of its regions.
    fn alter(&mut self, name: &str, changes: &TableChanges) -> Result<usize, Failure>;

    fn disable(&mut self, name: &str) -> Result<(), Failure>;

    fn enable(&mut self, name: &str) -> Result<(), Failure>;

    /// Deletes a table that is disabled.
    fn drop_table(&mut self, name: &str) -> Result<(), Failure>;

    /// Removes all rows of a table, or completes that. It is enabled then. Returns whether it was before.
    fn truncate(&mut self, name: &str, preserve_splits: bool) -> Result<bool, Failure>;

    /// Writes the cells in memory to files.
    fn flush(&mut self, name: &str) -> Result<(), Failure>;

    /// Compacts all families of a table, or one.
    fn compact(&mut self, name: &str, family: Option<&[u8]>, kind: Compaction) -> Result<(), Failure>;

    /// Splits the region that has a row.
    fn split(&mut self, name: &str, row: &[u8]) -> Result<(), Failure>;

    /// Merges two regions of a table, by their encoded names.
    fn merge(&mut self, first: &str, second: &str) -> Result<(), Failure>;

    /// Moves regions that were split or merged to the archive.
    fn archive_parents(&mut self) -> Result<(), Failure>;

    fn snapshots(&self) -> Result<Vec<SnapshotDescription>, Failure>;

    fn snapshot(&mut self, table: &str, name: &str) -> Result<(), Failure>;

    /// Creates a table from a snapshot.
    fn clone_snapshot(&mut self, snapshot: &str, name: &str) -> Result<(), Failure>;

    /// Restores the table of a snapshot to its state at that time.
    fn restore(&mut self, name: &str) -> Result<(), Failure>;

    fn delete_snapshot(&mut self, name: &str) -> Result<(), Failure>;

    fn status(&self) -> Result<Status, Failure>;

    /// Returns the reason that a command of HBase's shell is not supported here.
    fn lacks(&self) -> &'static str;

    /// Completes the remaining work at the end of the shell.
    fn close(&mut self) -> Result<(), Failure>;
}

/// The settings and the regions of a table.
#[derive(Debug)]
pub(crate) struct Described {
    /// Its settings; those of a directory without regions are not known.
    pub(crate) description: Option<TableDescription>,
    /// In row order.
    pub(crate) regions: Vec<RegionInfo>,
}

/// Counts for the status.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Status {
    /// Regions that are open, and those of them that are open for writing.
    Files { place: &'static str, tables: usize, open: usize, writable: usize },
    #[cfg_attr(not(feature = "cluster"), allow(dead_code, reason = "there is no client"))]
    Cluster { tables: usize, servers: usize },
}
