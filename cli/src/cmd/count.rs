//! `hregion count`: counts rows and cells.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::query_args::{CellArgs, RowArgs};
use crate::source::{Draws, InputSource};
use crate::target::{self, Kind};
use crate::target_args::TargetArgs;
use serde_json::json;
use std::io::Write as _;

/// Count rows and cells
///
/// For an HFile without options that select cells, reads, checks and counts all stored cells; the counts
/// recorded in the file are not used. Links are followed, and of a reference, its half is counted. Otherwise
/// counts the rows and cells that `hregion scan` prints. With --json: {"rows":1,"cells":2}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,

    #[command(flatten)]
    rows: RowArgs,

    #[command(flatten)]
    cells: CellArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion count 8e8ab58dcf39412d
  hregion count --json 8e8ab58dcf39412d | jq .rows
  hregion count data/default/users --versions all";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let is_file = match args.target.kind {
        None => !args.target.target.is_dir(),
        Some(kind) => kind == Kind::Hfile,
    };
    let chooses = args.rows.is_given() || args.cells.is_given();
    let (rows, cells) = match is_file && !chooses {
        true if args.target.kind.is_none() && target::is_reference(&args.target.target)? => {
            count_half(args, out)?
        }
        true => count_stored(args, out)?,
        false => count_rows(args, out)?,
    };
    if out.is_json() {
        out.json_line(&json!({ "rows": rows, "cells": cells }))?;
    } else {
        writeln!(out, "rows {rows}\ncells {cells}")?;
    }
    Ok(Exit::Done)
}

/// Counts the rows and cells that HBase would return.
fn count_rows(args: &Args, out: &mut Output) -> Result<(u64, u64), Failure> {
    let draws = Draws { prints: false, all: args.rows.is_all() };
    let source = InputSource::open(&args.target, &args.reading, &args.cells, Some(draws), out)?;
    let (mut rows, mut cells, mut last) = (0, 0, Vec::new());
    source.scan(&args.rows, &args.cells, |row| {
        // consecutive pieces may be of the same row
        if rows == 0 || row.key() != last {
            rows += 1;
            last.clear();
            last.extend_from_slice(row.key());
        }
        cells += row.len() as u64;
        Ok(())
    })?;
    Ok((rows, cells))
}

/// Counts the rows and cells stored in the half of a file that a reference refers to.
fn count_half(args: &Args, out: &mut Output) -> Result<(u64, u64), Failure> {
    let draws = Draws { prints: false, all: true };
    let source = InputSource::open(&args.target, &args.reading, &args.cells, Some(draws), out)?;
    let (mut rows, mut cells, mut last) = (0, 0, Vec::new());
    source.for_each_stored(&args.rows, |cell| {
        if cells == 0 || cell.row() != last {
            rows += 1;
            last.clear();
            last.extend_from_slice(cell.row());
        }
        cells += 1;
        Ok(())
    })?;
    Ok((rows, cells))
}

/// Counts the rows and cells stored in a file.
fn count_stored(args: &Args, out: &mut Output) -> Result<(u64, u64), Failure> {
    let options = args.reading.options(out)?;
    let TargetArgs { target: path, kind } = &args.target;
    out.start_progress(path.metadata().map_or(0, |meta| meta.len()), false);
    let file = target::open(path, *kind, &options, out)?;
    let (mut rows, mut count) = (0_u64, 0_u64);
    let mut row = Vec::new();
    let mut cells = file.scanner();
    let mut more = cells.seek_to_first()?;
    while more {
        let Some(cell) = cells.peek() else { break };
        if count == 0 || cell.row() != row {
            rows += 1;
            row.clear();
            row.extend_from_slice(cell.row());
        }
        count += 1;
        more = cells.advance()?;
    }
    Ok((rows, count))
}
