//! `hregion count`: rows and cells.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::target::{self, Kind};
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

/// Count rows and cells
///
/// All cells are read, checked and counted; what the file says of itself is not believed.
/// With --json: {"rows":1,"cells":2}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// An HFile
    target: PathBuf,

    /// What the target is, if it is not to be found by looking
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion count 8e8ab58dcf39412d
  hregion count --json 8e8ab58dcf39412d | jq .rows";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
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
    if out.is_json() {
        out.json_line(&json!({ "rows": rows, "cells": count }))?;
    } else {
        writeln!(out, "rows {rows}\ncells {count}")?;
    }
    Ok(Exit::Done)
}
