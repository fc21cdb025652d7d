//! Checks a root directory without a cluster: `hbase:meta`, directories, `.regioninfo`, references, links and
//! lists of files against each other, both ways (HBase: `hbck`, `CatalogJanitorReport`).

mod catalog;
mod finding;
mod mob;
mod region;
mod regions;

pub use finding::{CheckReport, Finding, FindingKind, Severity};

use super::Table;
use crate::binary::is_hex;
use crate::error::{Error, ErrorKind, Result};
use crate::io::DirEntry;
use crate::layout::durable::list_if_exists;
use crate::layout::table::name_of_aside;
use crate::layout::{LogTree, find_region_info, table_of_descriptor};
use crate::locator::DirectoryCatalog;
use crate::region::RegionOptions;
use crate::schema::TableName;
use catalog::CatalogRows;
use regions::TableCheck;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The maximum number of checks of a directory that another process keeps changing.
const CHECKS: u32 = 5;

/// The directories to which HBase, including old versions, moves logs and store files that it cannot read.
const SIDELINED: [&str; 2] = ["corrupt", ".corrupt"];

impl Table {
    /// Checks the tables under a root directory for inconsistencies, without changing anything: `hbase:meta`
    /// against directories, directories against each other, and files against the references to them. Reads
    /// no cells but those of `hbase:meta`; [`RegionOptions::verify`] reads a region's cells. The MOB files to
    /// which cells refer (IS_MOB) are taken from the lists in the file infos of store files.
    ///
    /// A file that cannot be read is a finding, and the check continues. While servers run, some findings can
    /// be about work in progress. Errors and warnings are checked a second time, and returned only if they
    /// are found again: regions and files may have been replaced between two steps of the check.
    ///
    /// # Errors
    ///
    /// If the root directory, or `data` in it, cannot be listed.
    pub fn check_root(root: impl AsRef<Path>, options: RegionOptions) -> Result<CheckReport> {
        Error::if_no_clock("a check")?;
        let (root, options) = (root.as_ref(), read_only(options));
        confirmed(|| Self::check_root_once(root, &options))
    }

    fn check_root_once(root: &Path, options: &RegionOptions) -> Result<CheckReport> {
        let mut checker = Checker { options, report: CheckReport::default() };
        let tables = checker.tables(root)?;
        let catalog = CatalogRows::read(root, &mut checker)?;
        checker.report.has_catalog = catalog.is_some();
        checker.root(root);
        let mut names: BTreeMap<&TableName, Option<&Path>> =
            tables.iter().map(|(name, dir)| (name, Some(dir.as_path()))).collect();
        if let Some(catalog) = &catalog {
            let states = catalog.states.iter().flat_map(BTreeMap::keys);
            for name in catalog.regions.keys().chain(states) {
                names.entry(name).or_default();
            }
        }
        for (name, dir) in names {
            let mut table = TableCheck::new(name, catalog.as_ref(), &mut checker);
            match dir {
                Some(dir) => table.check(dir),
                None => table.check_missing(&DirectoryCatalog::dir_under(root, name)),
            }
        }
        Ok(checker.report)
    }

    /// Like [`check_root`](Self::check_root), for the directory of one table, which is not compared with
    /// `hbase:meta`.
    ///
    /// # Errors
    ///
    /// If the directory has no region, valid or not; if it cannot be listed.
    pub fn check_dir(dir: impl AsRef<Path>, options: RegionOptions) -> Result<CheckReport> {
        Error::if_no_clock("a check")?;
        let (dir, options) = (dir.as_ref(), read_only(options));
        confirmed(|| Self::check_dir_once(dir, &options))
    }

    fn check_dir_once(dir: &Path, options: &RegionOptions) -> Result<CheckReport> {
        let mut checker = Checker { options, report: CheckReport::default() };
        let Some(name) = checker.table_of(dir)? else {
            let message = format!("there is no region in {}", dir.display());
            return Err(Error::new(ErrorKind::TableNotFound, message));
        };
        TableCheck::new(&name, None, &mut checker).check(dir);
        Ok(checker.report)
    }
}

/// Repeats a check until it finds neither errors nor warnings, or the same ones twice in succession: another
/// process may have split, merged or compacted regions between two steps of it.
fn confirmed(check: impl Fn() -> Result<CheckReport>) -> Result<CheckReport> {
    let mut before: Option<Vec<Finding>> = None;
    for _ in 1..CHECKS {
        let report = match check() {
            Err(error) if error.is_stale() => continue,
            checked => checked?,
        };
        let is_fault = |finding: &&Finding| finding.severity > Severity::Info;
        let found: Vec<Finding> = report.findings.iter().filter(is_fault).cloned().collect();
        if found.is_empty() || before.as_ref() == Some(&found) {
            return Ok(report);
        }
        before = Some(found);
    }
    check()
}

fn read_only(options: RegionOptions) -> RegionOptions {
    options.create_if_missing(false).alter(false).writable(false)
}

/// Returns the kind of the finding for an error.
fn kind_of(error: &Error) -> FindingKind {
    match error.kind() {
        ErrorKind::Unsupported => FindingKind::Unsupported,
        _ => FindingKind::Unreadable,
    }
}

/// The subject of a finding.
#[derive(Clone, Copy, Debug, Default)]
struct Subject<'s> {
    table: Option<&'s TableName>,
    region: Option<&'s str>,
}

impl<'s> Subject<'s> {
    fn table(table: &'s TableName) -> Self {
        Self { table: Some(table), region: None }
    }

    fn region(table: &'s TableName, region: &'s str) -> Self {
        Self { table: Some(table), region: Some(region) }
    }
}

/// A check, and its findings so far.
#[derive(Debug)]
struct Checker<'o> {
    options: &'o RegionOptions,
    report: CheckReport,
}

impl Checker<'_> {
    fn add(
        &mut self,
        kind: FindingKind,
        severity: Severity,
        subject: &Subject<'_>,
        path: &Path,
        message: impl Into<String>,
    ) {
        self.report.findings.push(Finding {
            kind,
            severity,
            table: subject.table.cloned(),
            region: subject.region.map(str::to_owned),
            path: path.to_owned(),
            message: message.into(),
        });
    }

    /// Adds an error that prevents a part of the check.
    fn add_error(&mut self, subject: &Subject<'_>, path: &Path, error: &Error) {
        self.add_error_as(Severity::Error, subject, path, error);
    }

    /// Adds an error of this severity. What is unsupported is no damage, but it is not checked either.
    fn add_error_as(&mut self, severity: Severity, subject: &Subject<'_>, path: &Path, error: &Error) {
        let path = error.path().unwrap_or(path).to_owned();
        self.add(kind_of(error), severity, subject, &path, error.message());
    }

    /// Lists a directory, which need not exist. An error is a finding.
    fn list(&mut self, subject: &Subject<'_>, dir: &Path) -> Vec<DirEntry> {
        match list_if_exists(&**self.options.file_storage(), dir) {
            Ok(entries) => entries.unwrap_or_default(),
            Err(error) => {
                self.add_error(subject, dir, &error);
                Vec::new()
            }
        }
    }

    /// Returns the directories of the tables under a root.
    fn tables(&mut self, root: &Path) -> Result<BTreeMap<TableName, PathBuf>> {
        let (storage, data) = (self.options.file_storage(), root.join("data"));
        let entries = storage.list_dir(&data).map_err(|error| Error::io("list", &data, error))?;
        let mut tables = BTreeMap::new();
        for namespace in dir_names(&entries) {
            let dir = data.join(namespace);
            for name in dir_names(&self.list(&Subject::default(), &dir)) {
                if let Ok(table) = TableName::new(namespace, name) {
                    tables.insert(table, dir.join(name));
                } else if let Some(table) = name_of_aside(name) {
                    let table = TableName::new(namespace, table).ok();
                    let subject = Subject { table: table.as_ref(), region: None };
                    let message = "a table that is being created, cloned or restored, or was when that ended";
                    self.add(
                        FindingKind::UnfinishedTable,
                        Severity::Warning,
                        &subject,
                        &dir.join(name),
                        message,
                    );
                }
            }
        }
        Ok(tables)
    }

    /// Returns the name of the table in a directory, by its first region with a valid `.regioninfo`, but by
    /// its descriptor if a later region is of that table; if there is no valid `.regioninfo`, by its
    /// descriptor or its path. `None` if there is no region.
    fn table_of(&self, dir: &Path) -> Result<Option<TableName>> {
        let storage = &**self.options.file_storage();
        let entries = storage.list_dir(dir).map_err(|error| Error::io("list", dir, error))?;
        let described = table_of_descriptor(storage, dir);
        let (mut first, mut first_error) = (None, None);
        for name in dir_names(&entries) {
            match (find_region_info(storage, &dir.join(name)), &described) {
                // It may be a region of another table that was put here.
                (Ok(Some(info)), Ok(Some(described))) if info.table() != described => {
                    first = first.or_else(|| Some(info.table().clone()));
                }
                (Ok(Some(info)), _) => return Ok(Some(info.table().clone())),
                (Ok(None), _) => {}
                (Err(error), _) => first_error = first_error.or(Some(error)),
            }
        }
        if first.is_some() {
            return Ok(first);
        }
        // Each damaged `.regioninfo` becomes a finding later.
        let name = match described {
            _ if !dir_names(&entries).any(|name| name.len() == 32 && is_hex(name)) => None,
            Ok(Some(name)) => Some(name),
            // A damaged descriptor becomes a finding as well.
            Ok(None) | Err(_) => table_by_path(dir),
        };
        match (name, first_error) {
            (None, Some(error)) => Err(error),
            (name, _) => Ok(name),
        }
    }

    /// Finds the remains of unfinished work in a root directory, logs, tables in a place where they are not
    /// checked, and files that were moved aside.
    fn root(&mut self, root: &Path) {
        let tmp = root.join(".tmp").join("data");
        for namespace in dir_names(&self.list(&Subject::default(), &tmp)) {
            let dir = tmp.join(namespace);
            for name in dir_names(&self.list(&Subject::default(), &dir)) {
                let table = TableName::new(namespace, name).ok();
                let subject = Subject { table: table.as_ref(), region: None };
                let message = "a table that was being created, removed or replaced";
                self.add(FindingKind::LeftoverTmp, Severity::Warning, &subject, &dir.join(name), message);
            }
        }
        match LogTree::new(root).logs(&**self.options.file_storage()) {
            Ok(logs) => logs.iter().for_each(|log| {
                let message = match log.path.extension().is_some_and(|extension| extension == "meta") {
                    true => "rows of hbase:meta may be only in it: findings about hbase:meta may be wrong",
                    false => "writes in it may be in no store file",
                };
                let subject = Subject::default();
                self.add(FindingKind::UnsplitLog, Severity::Info, &subject, &log.path, message);
            }),
            Err(error) => self.add_error(&Subject::default(), root, &error),
        }
        for dir in DirectoryCatalog::old_tables(&**self.options.file_storage(), root) {
            let message = "a table beside data, as before HBase 0.96, which is not checked with its root";
            self.add(FindingKind::Unsupported, Severity::Warning, &Subject::default(), &dir, message);
        }
        self.sidelined(root);
    }

    /// Finds the files that HBase has moved aside as damaged.
    fn sidelined(&mut self, root: &Path) {
        let subject = Subject::default();
        let entries = self.list(&subject, root);
        let names = dir_names(&entries).filter(|name| SIDELINED.contains(name));
        let (mut dirs, mut files) = (names.map(|name| root.join(name)).collect::<Vec<_>>(), Vec::new());
        while let Some(dir) = dirs.pop() {
            for entry in self.list(&subject, &dir) {
                let path = dir.join(&entry.name);
                if entry.is_dir {
                    // a link could lead back
                    dirs.extend((!entry.is_symlink).then_some(path));
                } else if !(entry.is_hidden() && path.extension().is_some_and(|end| end == "crc")) {
                    files.push(path);
                }
            }
        }
        files.sort();
        for path in files {
            let message = "a file that HBase could not read, and moved aside: no read sees what it has";
            self.add(FindingKind::SidelinedFile, Severity::Info, &subject, &path, message);
        }
    }
}

/// Returns the name of the table in a directory according to its path: in the default namespace, unless the
/// path is a table's under a root.
fn table_by_path(dir: &Path) -> Option<TableName> {
    let name = |dir: Option<&Path>| dir?.file_name()?.to_str().map(str::to_owned);
    let table = name(Some(dir))?;
    let above = dir.parent();
    let is_below_data = above.and_then(Path::parent).is_some_and(|data| data.ends_with("data"));
    let namespace = name(above).filter(|_| is_below_data);
    TableName::new(namespace.unwrap_or_else(|| TableName::DEFAULT_NAMESPACE.to_owned()), table).ok()
}

/// Returns the names of the directories among entries.
fn dir_names(entries: &[DirEntry]) -> impl Iterator<Item = &str> {
    entries.iter().filter(|entry| entry.is_dir).filter_map(DirEntry::utf8_name)
}
