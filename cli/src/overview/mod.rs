//! What a report shows: tables, their regions, files and blocks, statistics of cells, and what is wrong.

mod blocks;
mod cells;
mod file;
mod region;
mod table;
mod total;

use crate::args::FileArgs;
use crate::failure::{CommandError, Failure};
use crate::meanwhile::read_again;
use crate::output::Output;
use crate::parallel::JobArgs;
use crate::source::bytes_of_all;
use crate::target::Kind;
use crate::text;
use crate::vfs;
use file::{FileEntry, FileReading, StoreFile};
use hregion::{CheckReport, Finding, Severity, Table};
use region::entries;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use table::TableOverview;
use total::Total;

/// The number of pieces of all maps of blocks together, and the bounds of one map.
const PIECES: usize = 60_000;
const MAX_PIECES: usize = 240;
const MIN_PIECES: usize = 8;

/// What to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The current time in milliseconds, for ages.
    pub(crate) now: i64,
    /// Whether to read the cells.
    pub(crate) cells: bool,
    pub(crate) jobs: JobArgs,
}

/// The state of a root directory, a namespace, a table or a region.
#[derive(Debug)]
pub(crate) struct Overview {
    target: PathBuf,
    kind: Kind,
    now: i64,
    tables: Vec<TableOverview>,
    check: CheckReport,
    /// What could not be read.
    faults: Vec<CommandError>,
}

impl Overview {
    /// Reads the directories, the metadata of all files, and the cells if they are wanted. What cannot be
    /// read is a fault, and the rest is read.
    pub(crate) fn read(
        target: &Path,
        kind: Kind,
        wanted: Wanted,
        reading: &FileArgs,
        out: &mut Output,
    ) -> Result<Self, Failure> {
        let options = reading.region_options(out)?;
        let mut faults = Vec::new();
        let (check, mut tables) = read_again(&mut faults, |faults| {
            let dirs = table_dirs(target, kind, faults)?;
            let check = check(&dirs, target, kind, &options, faults)?;
            let open = if kind == Kind::Region { TableOverview::of_region } else { TableOverview::open };
            let mut tables: Vec<_> = dirs.into_iter().map(|dir| open(dir, &options, faults)).collect();
            read_files(&mut tables, wanted.jobs, reading, faults, out)?;
            Ok((check, tables))
        })?;
        if wanted.cells {
            let bytes = bytes_of_all(tables.iter().map(|table| &table.path), Some(Kind::Table));
            out.start_progress(bytes, false);
            let options = options.storage(out.progress().storage());
            for table in tables.iter_mut().filter(|table| !table.regions.is_empty()) {
                let of = if kind == Kind::Region { Kind::Region } else { Kind::Table };
                let place = (table.path.as_path(), of);
                let read = read_again(&mut faults, |faults| {
                    Ok(cells::statistics(place, &options, wanted.now, &out.warner(), faults))
                })?;
                table.statistics = Some(read);
            }
        }
        Ok(Self { target: target.to_owned(), kind, now: wanted.now, tables, check, faults })
    }

    /// Returns the number of errors that the check has found.
    pub(crate) fn errors(&self) -> usize {
        self.check.count(Severity::Error)
    }

    /// Returns what could not be read.
    pub(crate) fn faults(&self) -> &[CommandError] {
        &self.faults
    }

    pub(crate) fn json(&self) -> Value {
        let total = Total::of(self.tables.iter().map(TableOverview::total));
        let count = |severity| self.check.count(severity);
        let regions: usize = self.tables.iter().map(|table| table.regions.len()).sum();
        let kind = match self.kind {
            Kind::Root => "root",
            Kind::Namespace => "namespace",
            Kind::Region => "region",
            _ => "table",
        };
        json!({
            "hregion": env!("CARGO_PKG_VERSION"), "target": text::json_path(&self.target), "kind": kind,
            "now": self.now,
            "summary": {
                "tables": self.tables.len(), "regions": regions, "total": total.json(),
                "errors": count(Severity::Error), "warnings": count(Severity::Warning),
                "infos": count(Severity::Info), "unread": self.faults.len(), "meta": self.check.has_catalog,
            },
            "tables": self.tables.iter().map(TableOverview::json).collect::<Vec<_>>(),
            "findings": self.check.findings.iter().map(finding_json).collect::<Vec<_>>(),
            "unread": self.faults.iter().map(CommandError::finding_json).collect::<Vec<_>>(),
        })
    }
}

/// Returns a finding as `hregion check` prints it.
pub(crate) fn finding_json(finding: &Finding) -> Value {
    let Finding { kind, severity, table, region, path, message, .. } = finding;
    json!({
        "kind": kind.name(), "severity": severity.name(),
        "table": table.as_ref().map(ToString::to_string), "region": region,
        "path": text::json_path(path), "message": message, "fix": kind.fix(),
    })
}

/// Returns the directories of the tables of a target, also of those without a descriptor; that of a region.
fn table_dirs(
    target: &Path,
    kind: Kind,
    faults: &mut Vec<CommandError>,
) -> Result<Vec<PathBuf>, CommandError> {
    match kind {
        Kind::Root => {
            let data = target.join("data");
            vfs::check_dir(&data)?;
            let namespaces = entries(&data, true, faults);
            Ok(namespaces.iter().flat_map(|namespace| entries(namespace, true, faults)).collect())
        }
        Kind::Namespace => {
            vfs::check_dir(target)?;
            Ok(entries(target, true, faults))
        }
        Kind::Table | Kind::Region => Ok(vec![target.to_owned()]),
        _ => {
            let message = "neither a root directory nor a namespace nor a table nor a region";
            let hint = Some("`hregion inspect` and `hregion stats` show files, families and snapshots");
            Err(CommandError::unsupported(target, message).with_hint(hint))
        }
    }
}

/// Checks the tables of a target. One that cannot be checked, such as a directory without regions, is a fault
/// and hides no other. A region alone is not checked.
fn check(
    tables: &[PathBuf],
    target: &Path,
    kind: Kind,
    options: &hregion::RegionOptions,
    faults: &mut Vec<CommandError>,
) -> Result<CheckReport, Failure> {
    if kind == Kind::Root {
        return Ok(Table::check_root(target, options.clone())?);
    }
    let mut all = CheckReport::default();
    if kind == Kind::Region {
        return Ok(all);
    }
    for table in tables {
        match Table::check_dir(table, options.clone()) {
            Ok(report) => all.findings.extend(report.findings),
            Err(error) => faults.push(error.into()),
        }
    }
    Ok(all)
}

/// Reads the metadata of the files of all tables, several at once.
fn read_files(
    tables: &mut [TableOverview],
    jobs: JobArgs,
    reading: &FileArgs,
    faults: &mut Vec<CommandError>,
    out: &mut Output,
) -> Result<(), Failure> {
    let mut entries: Vec<((usize, usize), FileEntry)> = Vec::new();
    for (at, table) in tables.iter().enumerate() {
        for (region, overview) in table.regions.iter().enumerate() {
            entries.extend(overview.file_entries(faults).into_iter().map(|entry| ((at, region), entry)));
        }
    }
    out.start_unknown_progress(false);
    let pieces = (PIECES / entries.len().max(1)).clamp(MIN_PIECES, MAX_PIECES);
    let storage = out.progress().storage();
    let (files, regions) = (reading.options(out)?.storage(storage.clone()), reading.region_options(out)?);
    let reading = FileReading { files, regions, pieces };
    let read = |(at, entry): &((usize, usize), FileEntry)| (*at, StoreFile::read(entry.clone(), &reading));
    jobs.in_order(&entries, read, |((table, region), file)| {
        faults.extend(file.fault.clone());
        if let Some(region) = tables.get_mut(table).and_then(|table| table.regions.get_mut(region)) {
            region.files.push(file);
        }
        Ok(())
    })
}
