//! `hregion recover`: replays what servers that died have left in logs.

use crate::args::FileArgs;
use crate::failure::{CommandError, Exit, Failure};
use crate::family_args::FamilyArgs;
use crate::logs::find_logs;
use crate::output::Output;
use crate::probe;
use crate::regions::is_region;
use hregion::{ReplayReport, Table};
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

/// Replay what servers that died have left in logs
///
/// A region: replays its recovered edits, and its edits in the logs given by --wal; then flushes them and
/// removes the recovered edits. A root directory: splits every log under its WALs over the regions, replays
/// and flushes the edits, and moves the logs to oldWALs. No server may be running. A recovery that failed or
/// was interrupted can be repeated.
///
/// With --json, prints {"region","table","edits","cells","skipped","flushed":[...]} for each region. Skipped
/// are cells that are in store files already, or of a family that the table does not have.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory of a region, or a root directory
    target: PathBuf,

    /// Also replay the region's edits in this log, or in all logs below this directory
    #[arg(long, value_name = "LOG")]
    wal: Vec<PathBuf>,

    /// Say what would be replayed, and change nothing
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    families: FamilyArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion recover --dry-run /hbase
  hregion recover data/default/users/5d4f0e2b --wal WALs/server,16020,1795161493542";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let options = args.families.add_to(args.reading.region_options(out)?);
    if is_region(&args.target)? {
        let mut logs = Vec::new();
        for path in &args.wal {
            find_logs(path, &mut logs)?;
        }
        let region = options.replay_logs(logs).writable(!args.dry_run).open(&args.target)?;
        out.warner().warn_of(&region);
        let (table, encoded) = (region.info().table().to_string(), region.info().encoded_name());
        let replayed = region.replayed();
        region.close()?;
        print(&table, &encoded, &replayed, false, out)?;
        return Ok(Exit::Done);
    }
    if !probe::is_dir(&args.target.join("data"))? {
        let message = "neither a region nor a root directory: no .regioninfo and no data in it";
        return Err(CommandError::unsupported(&args.target, message).into());
    }
    if !args.wal.is_empty() {
        return Err(
            CommandError::usage("--wal is for a region; of a root directory, all logs are taken").into()
        );
    }
    let found = match args.dry_run {
        true => Table::plan_recovery(&args.target, &options)?,
        false => Table::recover(&args.target, options)?,
    };
    for region in found {
        print(&region.table.to_string(), &region.region, &region.replayed, region.is_gone, out)?;
    }
    Ok(Exit::Done)
}

fn print(
    table: &str,
    region: &str,
    replayed: &ReplayReport,
    is_gone: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    if is_gone {
        out.warn_always(&format!("{table}: there is no region {region}, its edits are passed over"));
    }
    if out.is_json() {
        return out.json_line(&json!({
            "region": region, "table": table, "edits": replayed.edits, "cells": replayed.cells,
            "skipped": replayed.skipped, "flushed": replayed.flushed,
        }));
    }
    writeln!(
        out,
        "{table} {region}: edits {}, cells {}, skipped {}, files written {}",
        replayed.edits,
        replayed.cells,
        replayed.skipped,
        replayed.flushed.len()
    )?;
    Ok(())
}
