//! The contents of a report: tables, their regions, files and blocks, statistics of cells, and faults.

mod blocks;
mod cells;
mod file;
mod region;
mod table;
mod total;

use crate::args::FileArgs;
use crate::concurrent_changes::read_again;
use crate::directories::DATA;
use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::parallel::JobArgs;
use crate::source::bytes_of_all;
use crate::target::Kind;
use crate::text;
use crate::vfs;
use clap::ValueEnum as _;
use file::{FileEntry, FileReading, StoreFile};
use hregion::{CheckReport, Finding, FindingKind, RegionOptions, Severity, Table};
use region::subdirectories;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use table::TableOverview;
use total::Total;

/// The number of pieces of all maps of blocks together, and the bounds of one map.
const PIECES: usize = 60_000;
const MAX_PIECES: usize = 240;
const MIN_PIECES: usize = 8;

/// The parts to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// The current time in milliseconds, for ages.
    pub(crate) now: i64,
    /// Whether to read the cells.
    pub(crate) cells: bool,
    pub(crate) jobs: JobArgs,
}

/// The state of tables, or of a part of one: of a region, a family, a file. Or that of a snapshot.
#[derive(Debug)]
pub(crate) struct Overview {
    target: PathBuf,
    kind: Kind,
    now: i64,
    tables: Vec<TableOverview>,
    check: CheckReport,
    /// The faults of unreadable parts.
    faults: Vec<CommandError>,
}

impl Overview {
    /// Reads the directories, the metadata of all files, and the cells if they are wanted. Unreadable parts
    /// become faults, and the rest is read.
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
            let (check, mut tables) = list(target, kind, &options, faults)?;
            read_files(&mut tables, wanted.jobs, reading, faults, out)?;
            Ok((check, tables))
        })?;
        if wanted.cells {
            let bytes = bytes_of_all(tables.iter().map(|table| &table.path), Some(Kind::Table));
            out.start_progress(bytes, false);
            let options = options.storage(out.progress().storage());
            for table in tables.iter_mut().filter(|table| !table.regions.is_empty()) {
                let of = if matches!(kind, Kind::Root | Kind::Namespace) { Kind::Table } else { kind };
                let place = (table.path.as_path(), of);
                let read = read_again(&mut faults, |faults| {
                    Ok(cells::statistics(place, &options, wanted.now, out, faults))
                })?;
                table.statistics = Some(read);
            }
        }
        // The damage of a file also prevents its cells from being read.
        let mut known = HashSet::new();
        faults.retain(|fault| known.insert(fault.line()));
        Ok(Self { target: target.to_owned(), kind, now: wanted.now, tables, check, faults })
    }

    /// Returns the exit code for what the check has found.
    pub(crate) fn exit(&self) -> Exit {
        exit_of(&self.check)
    }

    /// Returns the faults of unreadable parts.
    pub(crate) fn faults(&self) -> &[CommandError] {
        &self.faults
    }

    pub(crate) fn json(&self) -> Value {
        let total = Total::of(self.tables.iter().map(TableOverview::total));
        let count = |severity| self.check.count(severity);
        let tables = self.tables.iter().filter(|table| table.name.is_some()).count();
        let regions: usize = self.tables.iter().map(TableOverview::region_count).sum();
        let kind = self.kind.to_possible_value().map(|kind| kind.get_name().to_owned());
        json!({
            "hregion": env!("CARGO_PKG_VERSION"), "target": text::json_path(&self.target), "kind": kind,
            "now": self.now,
            "summary": {
                "tables": tables, "regions": regions, "total": total.json(),
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

/// Returns the exit code for the findings of a check. What could not be checked is no success.
pub(crate) fn exit_of(check: &CheckReport) -> Exit {
    let errors = check.findings.iter().filter(|finding| finding.severity == Severity::Error);
    let exits = errors.map(|finding| match finding.kind {
        FindingKind::Unsupported => Exit::Unsupported,
        _ => Exit::Corrupt,
    });
    exits.min().unwrap_or(Exit::Done)
}

/// Lists the files to read of a target, and checks its tables.
fn list(
    target: &Path,
    kind: Kind,
    options: &RegionOptions,
    faults: &mut Vec<CommandError>,
) -> Result<(CheckReport, Vec<TableOverview>), Failure> {
    let path = target.to_owned();
    let only = match kind {
        Kind::Hfile => TableOverview::of_file(path, options)?,
        Kind::Family => TableOverview::of_family(path, options, faults)?,
        Kind::Region => TableOverview::of_region(path, options, faults),
        Kind::Snapshot => TableOverview::of_snapshot(path, options, faults)?,
        Kind::Table | Kind::Namespace | Kind::Root => {
            let dirs = table_dirs(target, kind, faults)?;
            let check = check(&dirs, target, kind, options, faults)?;
            let tables = dirs.into_iter().map(|dir| TableOverview::open(dir, options, faults));
            return Ok((check, tables.collect()));
        }
        Kind::Wal => {
            let hint = Some("`hregion inspect --entries` shows which regions have entries");
            let error = CommandError::unsupported(target, "write-ahead logs, expected files of cells");
            return Err(error.with_hint(hint).into());
        }
    };
    Ok((CheckReport::default(), vec![only]))
}

/// Returns the directories of the tables of a target, including those without a descriptor.
fn table_dirs(
    target: &Path,
    kind: Kind,
    faults: &mut Vec<CommandError>,
) -> Result<Vec<PathBuf>, CommandError> {
    match kind {
        Kind::Root => {
            let data = target.join(DATA);
            vfs::check_dir(&data)?;
            let namespaces = subdirectories(&data, faults);
            Ok(namespaces.iter().flat_map(|namespace| subdirectories(namespace, faults)).collect())
        }
        Kind::Namespace => {
            vfs::check_dir(target)?;
            Ok(subdirectories(target, faults))
        }
        _ => Ok(vec![target.to_owned()]),
    }
}

/// Checks the tables of a target. One that cannot be checked, such as a directory without regions, is a fault
/// and hides no other.
fn check(
    tables: &[PathBuf],
    target: &Path,
    kind: Kind,
    options: &RegionOptions,
    faults: &mut Vec<CommandError>,
) -> Result<CheckReport, Failure> {
    if kind == Kind::Root {
        return Ok(Table::check_root(target, options.clone())?);
    }
    let mut all = CheckReport::default();
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
