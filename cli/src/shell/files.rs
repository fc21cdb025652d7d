//! The tables of a directory, which may be a URL: of a root directory, a single table, or a single region.

mod commands;
mod table;

use super::catalog::Catalog as _;
use super::interrupt::Interrupt;
use crate::directories::{DATA, check_as, is_absent, is_table, kind_of};
use crate::failure::{CommandError, Failure};
use crate::output::Warner;
use crate::probe;
use crate::regions::check_serves;
use crate::target::Kind;
use crate::vfs;
use hregion::{RegionOptions, TableName};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use table::Table;

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
            // A root that cannot be created is reported as missing.
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
        // a region with a family `data` is not a root
        let kind = if kind.is_none() && is_fresh { Kind::Root } else { kind_of(dir, kind)? };
        let place = if kind == Kind::Root {
            warner.warn_of_old_tables(dir);
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

    /// Whether a table no longer exists, but files that a deletion, truncation or restoration should have
    /// archived still do.
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

    /// Returns a table for writing. No other process may write to it at the same time.
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

    /// Removes the shell's cached state of a new table: another process may have dropped a table of this
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
        for namespace in dirs(&root.join(DATA))? {
            for table in dirs(&root.join(DATA).join(&namespace))? {
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

fn table_dir(root: &Path, name: &TableName) -> PathBuf {
    root.join(DATA).join(name.namespace()).join(name.qualifier())
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
