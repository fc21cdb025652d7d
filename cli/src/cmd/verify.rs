//! `hregion verify`: reads and checks everything.

use crate::args::FileArgs;
use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::regions::{is_region, region_dirs, tables_below};
use crate::source::{DEPTH, bytes_of, files_in};
use crate::target::{self, Kind};
use hregion::{HFileOptions, RegionOptions, VerifyReport};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Read everything, trust nothing, list every fault
///
/// Checks checksums, the order of cells, the index against the blocks, Bloom filters against the cells, and
/// trailer and file info against the contents. For a region or a table, checks every store file, following
/// references and links, and the files of a family against each other. Continues after a fault, and with the
/// next file.
///
/// Exit code 3 if there is a fault; 4 or 5 if a file could not be checked, because it needs a feature that
/// this build lacks, or could not be read. With --json: {"path","offset","block","kind","message"} for each
/// fault, then {"summary":{"files","blocks","cells","faults"}}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// HFiles, or the directories of families, regions and tables
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<PathBuf>,

    /// The kind of the targets, if it cannot be detected
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion verify family/*
  hregion verify /hbase/data/default/t
  hregion verify --json family/* | jq -r 'select(.kind) | .path' | sort -u";

/// A part that one call of the library verifies.
enum Part {
    /// A file, and its kind, if given.
    File(PathBuf, Option<Kind>),
    Region(PathBuf, RegionOptions),
    /// A family of a region.
    Family(PathBuf, Vec<u8>, RegionOptions),
}

/// Returns the parts of a target.
fn find(path: &Path, kind: Option<Kind>, regions: &RegionOptions) -> Result<Vec<Part>, CommandError> {
    let file = |path: PathBuf| Part::File(path, None);
    let region = |path: PathBuf| Part::Region(path, regions.clone());
    let kind_found = target::kind_of(path, kind)?;
    Ok(match kind_found {
        Kind::Hfile | Kind::Snapshot | Kind::Wal => vec![Part::File(path.to_owned(), kind)],
        Kind::Region => vec![region(path.to_owned())],
        Kind::Table | Kind::Namespace | Kind::Root => {
            let mut dirs = Vec::new();
            for table in tables_below(path, kind_found)? {
                dirs.extend(region_dirs(&table)?);
            }
            dirs.into_iter().map(region).collect()
        }
        Kind::Family => match (path.parent(), path.file_name()) {
            (Some(dir), Some(name)) if is_region(dir)? => {
                let name = name.as_encoded_bytes().to_vec();
                vec![Part::Family(dir.to_owned(), name, regions.clone())]
            }
            _ => files_in(path)?.into_iter().map(file).collect(),
        },
    })
}

/// Totals over all files.
#[derive(Debug, Default)]
struct Tally {
    files: u64,
    blocks: u64,
    cells: u64,
    faults: u64,
    /// The first reason why a file could not be checked.
    unjudged: Option<CommandError>,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let bytes = args.targets.iter().map(|path| bytes_of(path, DEPTH)).sum();
    out.start_progress(bytes, false);
    let files = args.reading.options(out)?;
    let regions = args.reading.region_options(out)?.storage(out.progress().storage());
    let mut tally = Tally::default();
    for path in &args.targets {
        match find(path, args.kind, &regions) {
            Ok(found) => found.into_iter().try_for_each(|part| tally.verify(part, &files, out))?,
            Err(fault) => {
                tally.files += 1;
                tally.add_fault(fault, out)?;
            }
        }
    }
    tally.finish(out)
}

impl Tally {
    fn verify(&mut self, part: Part, options: &HFileOptions, out: &mut Output) -> Result<(), Failure> {
        let mut told = Ok(());
        let report = |_: &Path, report: hregion::Result<VerifyReport>| {
            self.files += 1;
            if told.is_ok() {
                told = self.add(report.map_err(Failure::from), out);
            }
        };
        let verified = match part {
            Part::File(path, kind) => {
                self.files += 1;
                let file = target::reader(&path, kind, out);
                return self.add(file.and_then(|file| Ok(options.verify_reader(file)?)), out);
            }
            Part::Region(dir, options) => options.verify(dir, report),
            Part::Family(dir, family, options) => options.verify_family(dir, family, report),
        };
        told?;
        let faults = verified.unwrap_or_else(|error| vec![error]);
        faults.into_iter().try_for_each(|fault| self.add_fault(fault.into(), out))
    }

    fn add(&mut self, report: Result<VerifyReport, Failure>, out: &mut Output) -> Result<(), Failure> {
        match report {
            Ok(report) => {
                self.blocks += report.blocks;
                self.cells += report.cells;
                report.faults.into_iter().try_for_each(|fault| self.add_fault(fault.into(), out))?;
            }
            Err(Failure::Fault(fault)) => self.add_fault(*fault, out)?,
            Err(failure) => return Err(failure),
        }
        out.flush_aside()
    }

    fn add_fault(&mut self, fault: CommandError, out: &mut Output) -> Result<(), Failure> {
        let fault = fault.with_hint(None);
        self.faults += 1;
        if out.is_json() {
            out.json_line(&fault.finding_json())?;
        } else {
            writeln!(out, "{}", fault.line())?;
        }
        if fault.exit() != Exit::Corrupt && self.unjudged.is_none() {
            self.unjudged = Some(fault);
        }
        Ok(())
    }

    fn finish(self, out: &mut Output) -> Result<Exit, Failure> {
        let Self { files, blocks, cells, faults, unjudged } = self;
        if out.is_json() {
            let summary = json!({ "files": files, "blocks": blocks, "cells": cells, "faults": faults });
            out.json_line(&json!({ "summary": summary }))?;
        } else {
            out.summary(&format!("files {files}, blocks {blocks}, cells {cells}, faults {faults}"));
        }
        match unjudged {
            Some(fault) => Err(fault.into()),
            None if faults > 0 => Ok(Exit::Corrupt),
            None => Ok(Exit::Done),
        }
    }
}
