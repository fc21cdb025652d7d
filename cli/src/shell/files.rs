//! The tables of a directory, which may be a URL: of a root directory, a single table, or a single region.

use super::catalog::{Catalog, Described, Status, TakeRow};
use super::interrupt::Interrupt;
use crate::cmd::merge::merge;
use crate::directories::{check_as, is_absent, is_table, kind_of};
use crate::failure::{CommandError, Failure};
use crate::meanwhile::list_again;
use crate::output::Warner;
use crate::probe;
use crate::regions::{OpenRegion, Regions, check_serves};
use crate::scan_rows::RowScan;
use crate::target::Kind;
use crate::vfs;
use hregion::cell::StringBinary;
use hregion::{
    Append, Compaction, Delete, ErrorKind, Family, Filter, Get, Increment, Put, Region, RegionInfo,
    RegionOptions, Row, Scan, SnapshotDescription, TableChanges, TableName,
};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Tables, opened on first use.
#[derive(Debug)]
pub(crate) struct Files {
    place: TablePlacement,
    options: RegionOptions,
    warner: Warner,
    open: BTreeMap<TableName, Table>,
    interrupt: Interrupt,
    /// Tables that `disable` has closed. The state is that of the shell: on disk a table has none.
    disabled: BTreeSet<TableName>,
}

#[derive(Debug)]
enum TablePlacement {
    /// A root directory of HBase, with tables at `data/<namespace>/<table>`.
    Root(PathBuf),
    /// The directory of a table, or of a region.
    Only(TableName, PathBuf, Kind),
}

impl TablePlacement {
    fn is_remote(&self) -> bool {
        let (Self::Root(dir) | Self::Only(_, dir, _)) = self;
        vfs::is_url(dir)
    }

    fn name(&self) -> &'static str {
        if self.is_remote() { "remote files" } else { "local files" }
    }
}

/// The regions of a table, in row order.
#[derive(Debug)]
struct Table {
    regions: Vec<Region>,
    is_writable: bool,
}

/// Whether a path is that of a lock, or of a probe of an object store.
fn is_own(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".hregion."))
}

impl Files {
    /// Opens the tables of a directory. An empty or missing directory is a root directory without tables,
    /// also with locks and probes in it.
    pub(crate) fn open(
        dir: &Path,
        kind: Option<Kind>,
        options: RegionOptions,
        warner: Warner,
    ) -> Result<Self, Failure> {
        let is_fresh = match vfs::list(dir) {
            // A `create` that was interrupted may have left its lock, and its probe of an object store.
            Ok(entries) => entries.iter().all(|(path, _)| is_own(path)),
            // A root that cannot be created is not there.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                vfs::check_writable(dir).map_err(|_| CommandError::io("read", dir, &error))?;
                true
            }
            Err(error) => return Err(CommandError::io("read", dir, &error).into()),
        };
        let mut open = BTreeMap::new();
        if let Some(kind) = kind.filter(|&kind| kind != Kind::Root) {
            check_as(dir, kind)?;
        }
        // a region with a family `data` is no root
        let kind = if kind.is_none() && is_fresh { Kind::Root } else { kind_of(dir, kind)? };
        let place = if kind == Kind::Root {
            TablePlacement::Root(dir.to_owned())
        } else {
            let table = Table::open(dir, kind, &options, &warner)?;
            let Some(region) = table.regions.first() else {
                return Err(CommandError::invalid_file(dir, "the table has no regions").into());
            };
            let name = region.info().table().clone();
            open.insert(name.clone(), table);
            TablePlacement::Only(name, dir.to_owned(), kind)
        };
        let interrupt = Interrupt::default();
        Ok(Self { place, options, warner, open, interrupt, disabled: BTreeSet::new() })
    }

    /// Returns the directory of a table, and its kind; `None` if there is no such table.
    fn dir(&self, name: &TableName) -> Result<Option<(PathBuf, Kind)>, CommandError> {
        match &self.place {
            TablePlacement::Only(only, dir, kind) => Ok((only == name).then(|| (dir.clone(), *kind))),
            TablePlacement::Root(root) => {
                let dir = table_dir(root, name);
                // In a storage without renames, a deletion leaves its file there.
                Ok((probe::is_dir(&dir)? && !is_absent(&dir)?).then_some((dir, Kind::Table)))
            }
        }
    }

    /// Whether a table is gone, but what a deletion, truncation or restoration was to archive is still there.
    fn is_unfinished(&self, name: &TableName) -> Result<bool, CommandError> {
        match &self.place {
            TablePlacement::Root(root) if self.dir(name)?.is_none() => {
                let dir = table_dir(root, name);
                Ok(probe::is_dir(&table_dir(&root.join(".tmp"), name))?
                    || probe::is_dir(&dir)?
                        && hregion::Table::has_unfinished_deletion(&dir, &*vfs::storage())?)
            }
            _ => Ok(false),
        }
    }

    /// Returns the table that has the directory of a region now. Other tables need not be sound.
    fn table_of_region(&self, encoded_name: &str) -> Result<Option<TableName>, Failure> {
        let root = self.root("a change of regions")?;
        if encoded_name.is_empty() || !encoded_name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Ok(None);
        }
        for name in self.table_names()?.into_iter().filter(|name| !name.is_meta()) {
            if probe::is_dir(&table_dir(root, &name).join(encoded_name))? {
                return Ok(Some(name));
            }
        }
        Ok(None)
    }

    /// Fails if a table is disabled.
    fn check_enabled(&self, name: &str) -> Result<(), Failure> {
        if self.is_enabled(name)? { Ok(()) } else { Err(CommandError::not_enabled(name).into()) }
    }

    /// Returns a table for reading.
    fn table(&mut self, name: &str) -> Result<&Table, Failure> {
        self.check_enabled(name)?;
        Ok(self.table_mut(name)?)
    }

    /// Closes a table, which flushes it and releases its locks. It is opened again on its next use. Returns
    /// its name. If a region cannot be flushed, all stay open.
    fn close_table(&mut self, name: &str) -> Result<TableName, Failure> {
        let name = TableName::parse(name)?;
        if let Some(table) = self.open.get(&name) {
            table.flush_before_close()?;
            let closed = table.close();
            // Nothing is in memory any more. A region that cannot archive what it has replaced is closed.
            self.open.remove(&name);
            closed?;
        }
        Ok(name)
    }

    /// Returns the number of regions that are open, and of those that are open for writing.
    fn open_regions(&self) -> (usize, usize) {
        let count = |writable: bool| {
            let tables = self.open.values().filter(|table| table.is_writable || !writable);
            tables.map(|table| table.regions.len()).sum()
        };
        (count(false), count(true))
    }

    /// Returns the root directory, which `command` needs.
    fn root(&self, command: &str) -> Result<&Path, Failure> {
        match &self.place {
            TablePlacement::Root(root) => Ok(root),
            TablePlacement::Only(..) => {
                let message = format!("{command}: needs a root directory, this is one table");
                Err(CommandError::usage(message).into())
            }
        }
    }

    /// Returns a table for writing. No other process may write to it meanwhile.
    fn writable(&mut self, name: &str) -> Result<&Table, Failure> {
        self.check_enabled(name)?;
        let name = TableName::parse(name)?;
        if !self.open.get(&name).is_some_and(|table| table.is_writable) {
            let (dir, kind) =
                self.dir(&name)?.ok_or_else(|| CommandError::no_such_table(&name.to_string()))?;
            if kind == Kind::Region {
                check_serves(&dir)?;
            }
            // A region that was open for reading may have been split or merged by another process since.
            let options = self.options.clone().writable(true);
            let is_known = self.open.contains_key(&name);
            let warner = if is_known { self.warner.silent() } else { self.warner.clone() };
            let mut table = Table::open(&dir, kind, &options, &warner)?;
            table.is_writable = true;
            self.open.insert(name.clone(), table);
        }
        Ok(self.open.get(&name).ok_or_else(|| CommandError::no_such_table(&name.to_string()))?)
    }

    fn table_mut(&mut self, name: &str) -> Result<&mut Table, Failure> {
        let name = TableName::parse(name)?;
        if !self.open.contains_key(&name) {
            let (dir, kind) =
                self.dir(&name)?.ok_or_else(|| CommandError::no_such_table(&name.to_string()))?;
            let table = Table::open(&dir, kind, &self.options, &self.warner)?;
            self.open.insert(name.clone(), table);
        }
        Ok(self.open.get_mut(&name).ok_or_else(|| CommandError::no_such_table(&name.to_string()))?)
    }

    /// Replaces regions of a table. It is opened again when it is used next.
    fn replace_regions(
        &mut self,
        name: &str,
        replace: impl FnOnce(&hregion::Table) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let root = self.root("a change of regions")?.to_owned();
        let name = self.close_table(name)?;
        let options = self.options.clone().writable(true);
        let table = hregion::Table::open_with(root, &name.to_string(), options)?;
        let replaced = replace(&table);
        let closed = table.close();
        replaced?;
        Ok(closed?)
    }

    /// Removes what the shell has cached of a table that is new: another process may have dropped one of this
    /// name.
    fn forget(&mut self, name: &TableName) {
        self.open.remove(name);
        self.disabled.remove(name);
    }

    /// Returns the options for regions.
    fn options(&self) -> RegionOptions {
        self.options.clone()
    }

    /// Returns the names of all tables.
    fn table_names(&self) -> Result<Vec<TableName>, CommandError> {
        let root = match &self.place {
            TablePlacement::Only(name, ..) => return Ok(vec![name.clone()]),
            TablePlacement::Root(root) => root,
        };
        let mut names = Vec::new();
        for namespace in dirs(&root.join("data"))? {
            for table in dirs(&root.join("data").join(&namespace))? {
                if let Ok(name) = TableName::new(namespace.clone(), table)
                    && is_table(&table_dir(root, &name))?
                {
                    names.push(name);
                }
            }
        }
        names.sort();
        Ok(names)
    }
}

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
        // One that was opened alone was asked for.
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
        Ok(hregion::Table::list_snapshots_with(self.root("list_snapshots")?, &*vfs::storage())?)
    }

    fn snapshot(&mut self, table: &str, name: &str) -> Result<(), Failure> {
        let root = self.root("snapshot")?.to_owned();
        let name_of_table = self.close_table(table)?.to_string();
        let table = hregion::Table::open_with(root, &name_of_table, self.options().writable(true))?;
        table.snapshot(name)?;
        Ok(table.close()?)
    }

    fn clone_snapshot(&mut self, snapshot: &str, name: &str) -> Result<(), Failure> {
        let name = TableName::parse(name)?;
        let root = self.root("clone_snapshot")?;
        hregion::Table::clone_snapshot(root, snapshot, &name.to_string(), self.options())?.close()?;
        self.forget(&name);
        Ok(())
    }

    fn restore(&mut self, name: &str) -> Result<(), Failure> {
        let root = self.root("restore_snapshot")?.to_owned();
        let found = hregion::Table::list_snapshots_with(&root, &*vfs::storage())?;
        if let Some(found) = found.iter().find(|found| found.name() == name) {
            self.close_table(&found.table().to_string())?;
        }
        Ok(hregion::Table::restore_snapshot(root, name, self.options())?.close()?)
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
            return "not done on remote files: it is for a running HBase";
        }
        "not done on local files: it is for a running HBase"
    }

    /// Closes all tables that are open for writing, and returns the first error.
    fn close(&mut self) -> Result<(), Failure> {
        let written = self.open.values().filter(|table| table.is_writable);
        Ok(written.map(Table::close).fold(Ok(()), hregion::Result::and)?)
    }
}

impl Table {
    fn open(dir: &Path, kind: Kind, options: &RegionOptions, warner: &Warner) -> Result<Self, Failure> {
        let regions = list_again(|| {
            let regions = Regions::find(dir, Some(kind), options.clone())?;
            let opened = regions.regions_and_holes(|_, _| true).into_iter().map(|place| place.open(warner));
            Ok(opened.collect::<hregion::Result<Vec<Region>>>()?)
        })?;
        Ok(Self { regions, is_writable: false })
    }

    /// Flushes what is in memory, except that of poisoned regions, which are closed without.
    fn flush_before_close(&self) -> hregion::Result<()> {
        // What regions that are only read have in memory is in logs.
        let in_memory = self.regions.iter().filter(|region| self.is_writable && region.memstore_size() > 0);
        in_memory.map(Region::flush).try_for_each(|flushed| match flushed {
            Err(error) if error.kind() == ErrorKind::Poisoned => Ok(()),
            flushed => flushed,
        })
    }

    /// Closes all regions, and returns the first error.
    fn close(&self) -> hregion::Result<()> {
        self.regions.iter().map(Region::close).fold(Ok(()), hregion::Result::and)
    }

    /// Returns the regions in row order, or reversed.
    fn in_direction(&self, reversed: bool) -> impl Iterator<Item = hregion::Result<OpenRegion>> {
        let count = self.regions.len();
        let place = move |i: usize| if reversed { count - 1 - i } else { i };
        (0..count).map(move |i| Ok(OpenRegion::whole(self.regions[place(i)].clone())))
    }

    /// Returns the region that contains a row.
    fn region_of(&self, row: &[u8]) -> Result<&Region, Failure> {
        let has = |region: &&Region| region.info().contains(row);
        match (self.regions.iter().find(has), self.regions.as_slice()) {
            // the region returns a specific error about the row
            (None, [only]) => Ok(only),
            (Some(region), _) => Ok(region),
            (None, _) => Err(CommandError::invalid("no region of the table has the row").into()),
        }
    }
}

fn table_dir(root: &Path, name: &TableName) -> PathBuf {
    root.join("data").join(name.namespace()).join(name.qualifier())
}

/// Returns the names of the directories in a directory, which may be missing; HBase hides names with a
/// leading dot.
fn dirs(dir: &Path) -> Result<Vec<String>, CommandError> {
    let entries = match vfs::list(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(CommandError::io("list", dir, &error)),
    };
    let mut names = Vec::new();
    for (path, _) in entries {
        // HBase writes only UTF-8 names
        let name = path.file_name().and_then(|name| name.to_str()).filter(|name| !name.starts_with('.'));
        if let Some(name) = name
            && probe::is_dir(&path)?
        {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}
