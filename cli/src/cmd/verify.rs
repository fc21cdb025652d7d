//! `hregion verify`: reads and checks everything.

use crate::args::FileArgs;
use crate::concurrent_changes::ATTEMPTS;
use crate::directories::{
    RECOVERED_EDITS, RECOVERED_HFILES, REGION_INFO, each_entry, each_region_dir, each_table_below,
    family_of_region, files_below, is_aside, is_region, misplaced_edits,
};
use crate::failure::{CommandError, Exit, Failure};
use crate::logs::FoundLogs;
use crate::output::Output;
use crate::parallel::JobArgs;
use crate::probe;
use crate::regions::open_snapshot;
use crate::source::{bytes_of_all, each_file_in};
use crate::target::{self, Kind, check_regular};
use crate::vfs;
use hregion::io::{FileReader, Storage};
use hregion::region::FileKind;
use hregion::{HFileOptions, RegionInfo, RegionOptions, Table, VerifyReport};
use serde_json::json;
use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Read and check all data, and list every fault
///
/// Checks checksums, the order of cells, the index against the blocks, Bloom filters against the cells, and
/// trailer and file info against the contents. Continues after a fault, and with the next file. The store
/// files and recovered edits of a region that cannot be opened are checked each by itself. --no-checksums
/// skips the checksums of HFiles.
///
/// For a region, a table, a namespace or a root directory, checks every store file, following references and
/// links; the files of a family against each other; their first and last cells against the family and the
/// rows of the region; and the MOB files of a table, or those to which the cells of a region or family refer,
/// which must contain the values. For a snapshot, checks the files that it lists, wherever they are now. Of a
/// root directory, only the tables are read: WALs, archive and the snapshots are targets of their own.
///
/// Other files of HBase are checked by their kind: .regioninfo, descriptors, lists of files, recovered edits
/// and logs, whose torn end is a fault only if they were closed. In directories such as WALs, archive and
/// mobdir, all files below are checked.
///
/// Exit code 3 if there is a fault; 4 if a file needs a feature that this build lacks; 5 if a file cannot be
/// read; the greatest of these if there are several. With --json: {"path","offset","block","kind","message"}
/// for each fault, then {"summary":{"files","blocks","cells","faults"}}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Files, or directories of families, regions, tables, snapshots, namespaces, roots or logs
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<PathBuf>,

    /// Kind of all TARGETs [default: detected]
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,

    #[command(flatten)]
    jobs: JobArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion verify family/*
  hregion verify /hbase/data/default/t
  hregion verify --json family/* | jq -r 'select(.kind) | .path' | sort -u";

/// A part that one call of the library verifies.
#[derive(Debug)]
enum Part {
    /// A file of any kind.
    File(PathBuf),
    /// An HFile at any path.
    HFile(PathBuf),
    Region(PathBuf),
    /// A region, and the MOB files to which its cells refer.
    WithMob(PathBuf),
    /// A family of a region, and the MOB files to which its cells refer.
    Family(PathBuf, Vec<u8>),
    /// A region of a snapshot.
    OfSnapshot(Table, RegionInfo),
    /// The MOB files of a table, by its directory.
    MobFiles(PathBuf),
    /// The MOB files of a snapshot.
    MobOfSnapshot(Table),
    /// A path that is not verified, with the reason.
    Refused(CommandError),
}

/// The result of one part.
#[derive(Debug)]
enum Found {
    /// An HFile.
    File(Result<VerifyReport, CommandError>),
    /// A file of another kind.
    Other,
    Fault(CommandError),
    /// Another process has split, merged or removed the region.
    Gone,
}

impl Found {
    fn is_missing(&self) -> bool {
        match self {
            Self::File(Err(fault)) | Self::Fault(fault) => fault.is_missing(),
            Self::File(Ok(_)) | Self::Other | Self::Gone => false,
        }
    }
}

/// Returns the parts of a target.
fn find(
    path: &Path,
    kind: Option<Kind>,
    regions: &RegionOptions,
    storage: &Arc<dyn Storage>,
    out: &Output,
) -> Result<Vec<Part>, Failure> {
    vfs::check_readable(path)?;
    if kind.is_none() && probe::is_dir(path)? && !is_region(path)? && is_aside(path)? {
        let mut files = Vec::new();
        files_below(path, &mut files)?;
        return Ok(files.into_iter().map(|path| Part::of_file(path, None, storage, out)).collect());
    }
    let found = target::kind_of(path, kind)?;
    Ok(match found {
        Kind::Wal if probe::is_dir(path)? => {
            let mut found = FoundLogs::default();
            found.add(path)?;
            let logs = found.logs.into_iter().map(|log| Part::of_file(log, kind, storage, out));
            let links = found.links.iter().map(|link| Part::Refused(FoundLogs::refused(link)));
            logs.chain(links).collect()
        }
        Kind::Hfile | Kind::Wal => vec![Part::of_file(path.to_owned(), kind, storage, out)],
        Kind::Snapshot => {
            let table = open_snapshot(path, regions.clone())?;
            let regions = table.regions().into_iter();
            let mut parts: Vec<Part> =
                regions.map(|region| Part::OfSnapshot(table.clone(), region)).collect();
            parts.push(Part::MobOfSnapshot(table));
            parts
        }
        Kind::Region => vec![Part::WithMob(path.to_owned())],
        Kind::Table | Kind::Namespace | Kind::Root => {
            if found == Kind::Root {
                out.warner().warn_of_old_tables(path);
            }
            let mut parts = Vec::new();
            for table in each_table_below(path, found) {
                match table.and_then(|table| Ok((each_region_dir(&table)?, table))) {
                    Ok((regions, table)) => {
                        let regions = regions.into_iter();
                        parts.extend(regions.map(|dir| dir.map_or_else(Part::Refused, Part::Region)));
                        parts.push(Part::MobFiles(table));
                    }
                    Err(fault) => parts.push(Part::Refused(fault)),
                }
            }
            parts
        }
        Kind::Family => match family_of_region(path)? {
            Some((region, name)) => vec![Part::Family(region, name.into_encoded_bytes())],
            None => {
                let of_file = |path| Part::of_file(path, None, storage, out);
                let files = each_file_in(path).into_iter();
                files.map(|file| file.map_or_else(Part::Refused, of_file)).collect()
            }
        },
    })
}

impl Part {
    /// Returns the part of a file. A file of unknown kind is refused unless it begins like an HFile or a log.
    fn of_file(path: PathBuf, kind: Option<Kind>, storage: &Arc<dyn Storage>, out: &Output) -> Self {
        let known = match kind {
            None | Some(Kind::Wal) => check_regular(&path).and_then(|()| Ok(FileKind::of(storage, &path)?)),
            Some(_) => Ok(FileKind::Unknown),
        };
        let checked = match known {
            Ok(FileKind::Unknown) if kind != Some(Kind::Wal) => match target::reader(&path, kind, out) {
                Ok(_) if kind.is_some() => return Self::HFile(path),
                Err(Failure::Fault(fault)) if !target::is_log(&path) => Err(*fault),
                _ => Ok(()),
            },
            known => known.map(drop),
        };
        checked.map_or_else(Self::Refused, |()| Self::File(path))
    }

    /// Returns the directory of a region of a table, or of the table.
    fn region(&self) -> Option<&Path> {
        match self {
            Self::Region(dir) | Self::WithMob(dir) | Self::Family(dir, _) | Self::MobFiles(dir) => Some(dir),
            Self::File(_)
            | Self::HFile(_)
            | Self::OfSnapshot(..)
            | Self::MobOfSnapshot(_)
            | Self::Refused(_) => None,
        }
    }

    fn verify(
        &self,
        files: &HFileOptions,
        regions: &RegionOptions,
        storage: &Arc<dyn Storage>,
    ) -> Vec<Found> {
        let mut found = Vec::new();
        let mut report = |_: &Path, report: hregion::Result<VerifyReport>| {
            found.push(Found::File(report.map_err(CommandError::from)));
        };
        let verified = match self {
            Self::HFile(path) => {
                report(path, open(path, storage).and_then(|file| files.verify_reader(file)));
                Ok(Vec::new())
            }
            Self::File(path) => regions.clone().verify_file(path, report),
            Self::Region(dir) => regions.clone().verify(dir, report),
            Self::WithMob(dir) => regions.clone().verify_with_mob_files(dir, None, report),
            Self::Family(dir, family) => regions.clone().verify_with_mob_files(dir, Some(family), report),
            Self::OfSnapshot(table, region) => table.verify_region(region, report),
            Self::MobFiles(table) => regions.clone().verify_mob_files(table, report),
            Self::MobOfSnapshot(table) => table.verify_mob_files(report),
            Self::Refused(fault) => return vec![Found::File(Err(fault.clone()))],
        };
        if matches!(self, Self::File(_)) && found.is_empty() {
            found.push(Found::Other);
        }
        let unopened = match self {
            Self::Region(dir) | Self::WithMob(dir) if verified.is_err() => {
                Some((dir, each_file_of_region(dir, storage)))
            }
            Self::Family(dir, family) if verified.is_err() => {
                Some((dir, each_file_in(&dir.join(&*String::from_utf8_lossy(family)))))
            }
            _ => None,
        };
        let faults = verified.unwrap_or_else(|error| vec![error]);
        found.extend(faults.into_iter().map(|fault| Found::Fault(fault.into())));
        if let Some((dir, entries)) = unopened {
            verify_alone(dir, entries, files, regions, storage, &mut found);
        }
        if let Some(dir) = self.region()
            && found.iter().any(Found::is_missing)
            && matches!(probe::is_dir(dir), Ok(false))
        {
            found.retain(|one| !one.is_missing());
            found.push(Found::Gone);
        }
        found
    }
}

fn open(path: &Path, storage: &Arc<dyn Storage>) -> hregion::Result<Arc<dyn FileReader>> {
    storage.open(path).map_err(|error| hregion::Error::io("open", path, error))
}

/// Files, with an error for each entry of a directory that cannot be examined.
type FoundPaths = Vec<Result<PathBuf, CommandError>>;

/// Returns the files of a region that cannot be opened: store files, recovered HFiles, and recovered edits.
fn each_file_of_region(region: &Path, storage: &Arc<dyn Storage>) -> FoundPaths {
    let edits_in = |dir: &Path| {
        each_entry(dir, |path| {
            Ok(matches!(FileKind::of(storage, path)?, FileKind::Log) && !probe::is_dir(path)?)
        })
    };
    let dirs = each_entry(region, |path| {
        let is_hidden = path.file_name().unwrap_or_default().as_encoded_bytes().starts_with(b".");
        Ok(!is_hidden && probe::is_dir(path)?)
    });
    let mut found = Vec::new();
    for dir in dirs {
        match dir {
            Ok(dir) if dir.ends_with(RECOVERED_EDITS) => found.extend(edits_in(&dir)),
            Ok(family) => {
                found.extend(each_file_in(&family));
                found.extend(if_dir(&family.join(RECOVERED_HFILES), each_file_in));
            }
            Err(fault) => found.push(Err(fault)),
        }
    }
    match misplaced_edits(region) {
        Ok(Some(dir)) => found.extend(if_dir(&dir, edits_in)),
        Ok(None) => {}
        Err(fault) => found.push(Err(fault)),
    }
    found
}

/// Returns the files that `list` finds in a directory, which need not exist.
fn if_dir(dir: &Path, list: impl Fn(&Path) -> FoundPaths) -> FoundPaths {
    match probe::is_dir(dir) {
        Ok(true) => list(dir),
        Ok(false) => Vec::new(),
        Err(fault) => vec![Err(fault)],
    }
}

/// Verifies each of the files of a region by itself: the region cannot be opened, because its region info or
/// the table's descriptor is damaged, which is a fault that is known.
fn verify_alone(
    region: &Path,
    entries: FoundPaths,
    files: &HFileOptions,
    regions: &RegionOptions,
    storage: &Arc<dyn Storage>,
    found: &mut Vec<Found>,
) {
    let info = vfs::absolute(&region.join(REGION_INFO));
    for entry in entries {
        let path = match entry {
            Ok(path) => path,
            Err(fault) => {
                found.push(Found::Fault(fault));
                continue;
            }
        };
        let mut report = |_: &Path, report: hregion::Result<VerifyReport>| {
            found.push(Found::File(report.map_err(CommandError::from)));
        };
        let verified = match FileKind::of(storage, &path) {
            Ok(FileKind::StoreFile | FileKind::Reference | FileKind::Link | FileKind::Log) => {
                regions.clone().verify_file(&path, report)
            }
            // A recovered HFile; or outside of a root, where only the region info tells the table. The fault
            // of the region is known.
            Ok(FileKind::Unknown) | Err(_) => {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                let what = match FileKind::in_family(name) {
                    FileKind::Reference => "a reference",
                    FileKind::Link => "a link",
                    _ => {
                        report(&path, open(&path, storage).and_then(|file| files.verify_reader(file)));
                        continue;
                    }
                };
                let message =
                    format!("{what}, which is not checked: its file is not found without the region info");
                found.push(Found::Fault(CommandError::unsupported(&path, message)));
                continue;
            }
            Ok(_) => continue,
        };
        let faults = verified.unwrap_or_else(|error| vec![error]);
        // Without the names of directories, the path of a fault is the full one.
        let is_of_info =
            |fault: &hregion::Error| fault.path().is_some_and(|path| vfs::absolute(path) == info);
        let faults = faults.into_iter().filter(|fault| !is_of_info(fault));
        found.extend(faults.map(|fault| Found::Fault(fault.into())));
    }
}

/// Totals over all files.
#[derive(Debug, Default)]
struct Tally {
    files: u64,
    blocks: u64,
    cells: u64,
    faults: u64,
    /// The lines of faults that are not of one HFile: that of a table's descriptor prevents that any of its
    /// regions is opened.
    known: BTreeSet<String>,
    /// The fault that decides the exit code: the first of those with the greatest. So the order in which
    /// files are found does not matter, and what could not be checked is not taken for checked.
    worst: Option<CommandError>,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let bytes = bytes_of_all(&args.targets, args.kind);
    out.start_progress(bytes, false);
    let (files, storage) = (args.reading.options(out)?, out.progress().storage());
    let regions = args.reading.region_options(out)?.storage(Arc::clone(&storage));
    let mut tally = Tally::default();
    let verify = |part: &Part| part.verify(&files, &regions, &storage);
    // The targets that are, or have, regions.
    let mut with_regions = vec![true; args.targets.len()];
    let mut known: BTreeSet<PathBuf> = BTreeSet::new();
    let mut refused: BTreeSet<String> = BTreeSet::new();
    for attempt in 0..ATTEMPTS {
        let mut parts = Vec::new();
        for (path, has_regions) in args.targets.iter().zip(&mut with_regions).filter(|(_, has)| **has) {
            let mut found = match find(path, args.kind, &regions, &storage, out) {
                Ok(found) => found,
                Err(Failure::Fault(fault)) => vec![Part::Refused(*fault)],
                Err(other) => return Err(other),
            };
            *has_regions = found.iter().any(|part| part.region().is_some());
            found.retain(|part| match part {
                Part::Refused(fault) => refused.insert(fault.line()) || attempt == 0,
                part => attempt == 0 || part.region().is_none_or(|dir| !known.contains(dir)),
            });
            parts.extend(found);
        }
        known.extend(parts.iter().filter_map(Part::region).map(Path::to_owned));
        let mut is_any_gone = false;
        args.jobs.in_order(&parts, verify, |found| {
            is_any_gone |= found.iter().any(|one| matches!(one, Found::Gone));
            found.into_iter().try_for_each(|one| tally.add(one, out))?;
            out.flush_aside()
        })?;
        // The files of a removed region are in the archive, and its rows in other regions.
        if !is_any_gone {
            return tally.finish(out);
        }
    }
    let error = io::Error::new(io::ErrorKind::Interrupted, "another process keeps changing the regions");
    let path = args.targets.first().map_or_else(|| Path::new(""), PathBuf::as_path);
    tally.add_fault(CommandError::io("list", path, &error), out)?;
    tally.finish(out)
}

impl Tally {
    fn add(&mut self, found: Found, out: &mut Output) -> Result<(), Failure> {
        match found {
            Found::File(report) => {
                self.files += 1;
                match report {
                    Ok(report) => {
                        self.blocks += report.blocks;
                        self.cells += report.cells;
                        report.faults.into_iter().try_for_each(|fault| self.add_fault(fault.into(), out))
                    }
                    Err(fault) => self.add_fault(fault, out),
                }
            }
            Found::Other => {
                self.files += 1;
                Ok(())
            }
            Found::Gone => Ok(()),
            Found::Fault(fault) if !self.known.insert(fault.line()) => Ok(()),
            Found::Fault(fault) => self.add_fault(fault, out),
        }
    }

    fn add_fault(&mut self, fault: CommandError, out: &mut Output) -> Result<(), Failure> {
        self.faults += 1;
        let worst = self.worst.as_ref().map_or(Exit::Done, CommandError::exit);
        if fault.exit() > worst {
            out.found(fault.exit());
            // with a hint, such as the option for a key
            self.worst = Some(fault.clone());
        }
        let fault = fault.with_hint(None);
        if out.is_json() {
            return out.json_line(&fault.finding_json());
        }
        Ok(writeln!(out, "{}", fault.line())?)
    }

    fn finish(self, out: &mut Output) -> Result<Exit, Failure> {
        let Self { files, blocks, cells, faults, worst, .. } = self;
        if out.is_json() {
            let summary = json!({ "files": files, "blocks": blocks, "cells": cells, "faults": faults });
            out.json_line(&json!({ "summary": summary }))?;
        } else {
            out.summary(&format!("files {files}, blocks {blocks}, cells {cells}, faults {faults}"));
        }
        match worst {
            None => Ok(Exit::Done),
            Some(fault) if fault.exit() == Exit::Corrupt => Ok(Exit::Corrupt),
            Some(fault) => Err(fault.into()),
        }
    }
}
