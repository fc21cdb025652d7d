//! The commands of the shell on the tables of a directory.

use super::table::Table;
use super::{Files, TablePlacement};
use crate::cmd::merge::merge;
use crate::directories::is_table;
use crate::failure::{CommandError, Failure};
use crate::scan_rows::RowScan;
use crate::shell::catalog::{Catalog, Described, Status, TakeRow};
use crate::shell::interrupt::Interrupt;
use crate::target::Kind;
use crate::vfs;
use hregion::cell::StringBinary;
use hregion::{
    Append, Compaction, Delete, ErrorKind, Family, Filter, Get, Increment, Put, Region, RegionInfo, Row,
    Scan, SnapshotDescription, TableChanges, TableName,
};

impl Catalog for Files {
    fn set_interrupt(&mut self, interrupt: Interrupt) {
        self.interrupt = interrupt;
    }

    fn interrupt(&self) -> Interrupt {
        self.interrupt.clone()
    }

    fn watched(&self, filter: Option<Filter>) -> hregion::Result<Option<Filter>> {
        self.interrupt.watch(filter)
    }

    fn names(&self) -> Result<Vec<TableName>, Failure> {
        let mut names = self.table_names()?;
        // A table that was opened alone was requested.
        if matches!(self.place, TablePlacement::Root(_)) {
            names.retain(|name| !name.is_system());
        }
        Ok(names)
    }

    fn system_names(&self) -> Result<Vec<TableName>, Failure> {
        Ok(self.table_names()?.into_iter().filter(TableName::is_system).collect())
    }

    fn has(&self, name: &str) -> Result<bool, Failure> {
        Ok(match self.dir(&TableName::parse(name)?)? {
            Some((dir, Kind::Table)) => is_table(&dir)?,
            found => found.is_some(),
        })
    }

    fn is_enabled(&self, name: &str) -> Result<bool, Failure> {
        let name = TableName::parse(name)?;
        match self.dir(&name)? {
            None => Err(CommandError::no_such_table(&name.to_string()).into()),
            Some(_) => Ok(!self.disabled.contains(&name)),
        }
    }

    fn described(&mut self, name: &str) -> Result<Described, Failure> {
        let regions = &self.table_mut(name)?.regions;
        let description = regions.first().map(Region::description);
        Ok(Described { description, regions: regions.iter().map(|region| region.info().clone()).collect() })
    }

    fn current_families(&mut self, name: &str) -> Result<Vec<Family>, Failure> {
        self.close_table(name)?;
        let first = self.table_mut(name)?.regions.first();
        Ok(first.map(|region| region.families().cloned().collect()).unwrap_or_default())
    }

    fn families(&self, name: &str) -> Vec<String> {
        let Ok(name) = TableName::parse(name) else { return Vec::new() };
        let of = |table: &Table| -> Vec<String> {
            let families = table.regions.first().into_iter().flat_map(Region::families);
            families.map(|family| StringBinary(family.name()).to_string()).collect()
        };
        match (self.open.get(&name), self.dir(&name)) {
            (Some(table), _) => of(table),
            (None, Ok(Some((dir, kind)))) => {
                let table = Table::open(&dir, kind, &self.options, &self.warner.silent());
                table.map(|table| of(&table)).unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    fn locate(&mut self, name: &str, row: &[u8]) -> Result<(RegionInfo, String), Failure> {
        let region = self.table_mut(name)?.region_of(row)?;
        Ok((region.info().clone(), format!("({})", self.place.name())))
    }

    fn get(&mut self, name: &str, get: &Get) -> Result<Row, Failure> {
        Ok(self.table(name)?.region_of(get.row())?.get(get)?)
    }

    fn scan(
        &mut self,
        name: &str,
        scan: RowScan,
        reversed: bool,
        take: &mut TakeRow<'_>,
    ) -> Result<bool, Failure> {
        let table = self.table(name)?;
        scan.run(table.in_direction(reversed), |_, row| take(row))?;
        Ok(false)
    }

    fn put(&mut self, name: &str, put: Put) -> Result<(), Failure> {
        let row = put.row().to_vec();
        Ok(self.writable(name)?.region_of(&row)?.put(put)?)
    }

    fn delete(&mut self, name: &str, delete: Delete) -> Result<(), Failure> {
        let row = delete.row().to_vec();
        Ok(self.writable(name)?.region_of(&row)?.delete(delete)?)
    }

    fn delete_rows(
        &mut self,
        name: &str,
        scan: Scan,
        delete_of: &dyn Fn(Vec<u8>) -> Delete,
    ) -> Result<(), Failure> {
        let interrupt = self.interrupt();
        let scan = RowScan { scan, limit: None };
        scan.run(self.writable(name)?.in_direction(false), |region, row| {
            // rows deleted before it stay deleted
            interrupt.check()?;
            Ok(region.delete(delete_of(row.key().to_vec()))?)
        })?;
        Ok(())
    }

    fn increment(&mut self, name: &str, increment: Increment) -> Result<Row, Failure> {
        let row = increment.row().to_vec();
        Ok(self.writable(name)?.region_of(&row)?.increment(increment)?)
    }

    fn append(&mut self, name: &str, append: Append) -> Result<Row, Failure> {
        let row = append.row().to_vec();
        Ok(self.writable(name)?.region_of(&row)?.append(append)?)
    }

    fn create(&mut self, name: &str, table: &TableChanges, splits: &[Vec<u8>]) -> Result<(), Failure> {
        let name = TableName::parse(name)?;
        let root = self.root("create")?;
        let options = self.options.clone();
        match hregion::Table::create_configured(root, &name.to_string(), table, splits, options) {
            Err(error) if error.is_already_exists() => {
                Err(CommandError::invalid(format!("table already exists: {name}")).into())
            }
            created => {
                created.map(drop)?;
                self.forget(&name);
                Ok(())
            }
        }
    }

    fn alter(&mut self, name: &str, changes: &TableChanges) -> Result<usize, Failure> {
        let root = self.root("alter")?.to_owned();
        let regions = self.table_mut(name)?.regions.len();
        let name = self.close_table(name)?;
        hregion::Table::alter(root, &name.to_string(), changes, &self.options)?;
        Ok(regions)
    }

    /// Closes a table until it is enabled again.
    fn disable(&mut self, name: &str) -> Result<(), Failure> {
        // `disable 't'; drop 't'` can be repeated after an interruption.
        if !self.is_unfinished(&TableName::parse(name)?)? && self.is_enabled(name)? {
            let name = self.close_table(name)?;
            self.disabled.insert(name);
        }
        Ok(())
    }

    fn enable(&mut self, name: &str) -> Result<(), Failure> {
        if !self.is_enabled(name)? {
            self.disabled.remove(&TableName::parse(name)?);
        }
        Ok(())
    }

    fn drop_table(&mut self, name: &str) -> Result<(), Failure> {
        let root = self.root("drop")?.to_owned();
        // A deletion that was interrupted has left no table, and is completed.
        if self.dir(&TableName::parse(name)?)?.is_some() && self.is_enabled(name)? {
            return Err(CommandError::invalid(format!("Table {name} is enabled. Disable it first.")).into());
        }
        let name = self.close_table(name)?;
        hregion::Table::delete_table(root, &name.to_string(), &self.options)?;
        self.disabled.remove(&name);
        Ok(())
    }

    fn truncate(&mut self, name: &str, preserve_splits: bool) -> Result<bool, Failure> {
        let root = self.root("truncate")?.to_owned();
        // A truncation that was interrupted has left no table, and is completed.
        let name = self.close_table(name)?;
        hregion::Table::truncate(root, &name.to_string(), preserve_splits, &self.options)?;
        Ok(!self.disabled.remove(&name))
    }

    fn flush(&mut self, name: &str) -> Result<(), Failure> {
        let interrupt = self.interrupt();
        for region in &self.writable(name)?.regions {
            interrupt.check()?;
            region.flush()?;
        }
        Ok(())
    }

    /// Flushes the memory first, as a server would have done eventually.
    fn compact(&mut self, name: &str, family: Option<&[u8]>, kind: Compaction) -> Result<(), Failure> {
        let interrupt = self.interrupt();
        for region in &self.writable(name)?.regions {
            interrupt.check()?;
            region.flush()?;
            match family {
                Some(family) => region.compact_family(family, kind)?,
                None => region.compact(kind)?,
            }
        }
        Ok(())
    }

    fn split(&mut self, name: &str, row: &[u8]) -> Result<(), Failure> {
        self.replace_regions(name, |table| Ok(table.split(row).map(drop)?))
    }

    fn merge(&mut self, first: &str, second: &str) -> Result<(), Failure> {
        match self.table_of_region(first)? {
            Some(name) => {
                self.replace_regions(&name.to_string(), |table| merge(table, first, second).map(drop))
            }
            None => Err(CommandError::invalid(format!("no table has a region {first}")).into()),
        }
    }

    fn archive_parents(&mut self) -> Result<(), Failure> {
        for name in self.table_names()?.into_iter().filter(|name| !name.is_meta()) {
            self.interrupt.check()?;
            self.replace_regions(&name.to_string(), |table| Ok(table.archive_parents().map(drop)?))?;
        }
        Ok(())
    }

    fn snapshots(&self) -> Result<Vec<SnapshotDescription>, Failure> {
        let mut sound = Vec::new();
        for one in hregion::Table::each_snapshot(self.root("list_snapshots")?, &*vfs::storage())? {
            match one {
                Ok(snapshot) => sound.push(snapshot),
                // The snapshot may be sound.
                Err(error) if error.kind() == ErrorKind::Io => return Err(error.into()),
                Err(fault) => self.warner.warn(&fault),
            }
        }
        Ok(sound)
    }

    fn snapshot(&mut self, table: &str, name: &str) -> Result<(), Failure> {
        let root = self.root("snapshot")?.to_owned();
        let name_of_table = self.close_table(table)?.to_string();
        let table = hregion::Table::open_with(root, &name_of_table, self.options().writable(true))?;
        table.snapshot(name)?;
        self.warner.warn_of_snapshot(&table);
        Ok(table.close()?)
    }

    fn clone_snapshot(&mut self, snapshot: &str, name: &str) -> Result<(), Failure> {
        let name = TableName::parse(name)?;
        let root = self.root("clone_snapshot")?;
        let cloned = hregion::Table::clone_snapshot(root, snapshot, &name.to_string(), self.options())?;
        self.warner.warn_of_snapshot(&cloned);
        cloned.close()?;
        self.forget(&name);
        Ok(())
    }

    fn restore(&mut self, name: &str) -> Result<(), Failure> {
        let root = self.root("restore_snapshot")?.to_owned();
        if let Some(found) = hregion::Table::find_snapshot(&root, name, &*vfs::storage())? {
            self.close_table(&found.table().to_string())?;
        }
        let restored = hregion::Table::restore_snapshot(root, name, self.options())?;
        self.warner.warn_of_snapshot(&restored);
        Ok(restored.close()?)
    }

    fn delete_snapshot(&mut self, name: &str) -> Result<(), Failure> {
        Ok(hregion::Table::delete_snapshot_with(self.root("delete_snapshot")?, name, self.options())?)
    }

    fn status(&self) -> Result<Status, Failure> {
        let tables = self.names()?.len();
        let (open, writable) = self.open_regions();
        Ok(Status::Files { place: self.place.name(), tables, open, writable })
    }

    fn lacks(&self) -> &'static str {
        if self.place.is_remote() {
            return "not supported on remote files: it needs a running HBase";
        }
        "not supported on local files: it needs a running HBase"
    }

    /// Closes all tables that are open for writing, and returns the first error.
    fn close(&mut self) -> Result<(), Failure> {
        let written = self.open.values().filter(|table| table.is_writable);
        Ok(written.map(Table::close).fold(Ok(()), hregion::Result::and)?)
    }
}
