//! `hregion count`: rows and cells.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::query_args::{CellArgs, RowArgs, check_none_given};
use crate::regions::Regions;
use crate::target::{self, Kind};
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

/// Count rows and cells
///
/// Of an HFile, all cells are read, checked and counted; what the file says of itself is not believed. Of a region or a table,
/// the rows and cells are those that `hregion scan` prints. With --json: {"rows":1,"cells":2}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// An HFile, or the directory of a region or of a table
    target: PathBuf,

    /// What the target is, if it is not to be found by looking
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,

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
    let is_directory = match args.kind {
        None => args.target.is_dir(),
        Some(kind) => matches!(kind, Kind::Region | Kind::Table),
    };
    let (rows, cells) = if is_directory { count_rows(args, out)? } else { count_stored(args, out)? };
    if out.is_json() {
        out.json_line(&json!({ "rows": rows, "cells": cells }))?;
    } else {
        writeln!(out, "rows {rows}\ncells {cells}")?;
    }
    Ok(Exit::Done)
}

/// Rows and cells as HBase would answer.
fn count_rows(args: &Args, out: &Output) -> Result<(u64, u64), Failure> {
    let options = args.reading.region_options(out)?.clock(args.cells.clock());
    let (mut rows, mut cells) = (0, 0);
    Regions::find(&args.target, args.kind, options)?.scan(&args.rows, &args.cells, |row| {
        rows += 1;
        cells += row.len() as u64;
        Ok(())
    })?;
    Ok((rows, cells))
}

/// Rows and cells that a file holds.
fn count_stored(args: &Args, out: &mut Output) -> Result<(u64, u64), Failure> {
    check_none_given(&args.rows, &args.cells)?;
    let options = args.reading.options(out)?;
    out.start_progress(args.target.metadata().map_or(0, |meta| meta.len()), false);
    let file = target::open(&args.target, args.kind, &options, out)?;
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
