//! `hregion verify`: reads everything and believes nothing.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure, Fault};
use crate::output::Output;
use crate::target::{self, Kind};
use hregion::{HFileOptions, VerifyReport};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Read everything, believe nothing, list every fault
///
/// Checks checksums, the order of cells, the index against the blocks, Bloom filters against the cells, and what trailer
/// and file info say against what is there. Goes on after a fault, and to the next file.
///
/// Exit code 3 if there is a fault; 4 or 5 if a file could not be judged: it needs what this build lacks, or could not be read.
/// With --json: {"path","offset","block","kind","message"} a fault, then {"summary":{"files","blocks","cells","faults"}}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// HFiles
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<PathBuf>,

    /// What the targets are, if it is not to be found by looking
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion verify family/*
  hregion verify --json family/* | jq -r 'select(.kind) | .path' | sort -u";

/// What was found in all files.
#[derive(Debug, Default)]
struct Tally {
    files: u64,
    blocks: u64,
    cells: u64,
    faults: u64,
    /// The first reason for which a file could not be judged.
    unjudged: Option<Fault>,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let options = args.reading.options(out)?;
    let bytes = args.targets.iter().filter_map(|path| path.metadata().ok()).map(|meta| meta.len()).sum();
    out.start_progress(bytes, false);
    let mut tally = Tally::default();
    for path in &args.targets {
        match verify(path, args.kind, &options, out) {
            Ok(report) => tally.add(report, out)?,
            Err(Failure::Fault(fault)) => tally.add_fault(*fault, out)?,
            Err(failure) => return Err(failure),
        }
        tally.files += 1;
        out.flush_aside()?;
    }
    tally.finish(out)
}

fn verify(
    path: &Path,
    kind: Option<Kind>,
    options: &HFileOptions,
    out: &Output,
) -> Result<VerifyReport, Failure> {
    Ok(options.verify_reader(target::reader(path, kind, out)?)?)
}

impl Tally {
    fn add(&mut self, report: VerifyReport, out: &mut Output) -> Result<(), Failure> {
        self.blocks += report.blocks;
        self.cells += report.cells;
        report.faults.into_iter().try_for_each(|fault| self.add_fault(fault.into(), out))
    }

    fn add_fault(&mut self, fault: Fault, out: &mut Output) -> Result<(), Failure> {
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
