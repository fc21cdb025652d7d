//! `hregion recover`: replays the edits that servers have left in logs.

use crate::args::FileArgs;
use crate::directories::{DATA, is_region};
use crate::failure::{CommandError, Exit, Failure};
use crate::family_args::FamilyArgs;
use crate::logs::FoundLogs;
use crate::maintenance::{check_known, keep_first};
use crate::output::Output;
use crate::probe;
use crate::regions::check_serves;
use crate::vfs::{check_readable, check_writable};
use hregion::{RegionOptions, RegionOutcome, ReplayReport, Table};
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

/// Replay the edits that servers left in logs
///
/// For a region, replays its recovered edits, and its edits in the logs given by --wal; flushes them, and
/// removes the recovered edits. The logs are not changed. For a root directory, splits every log under WALs
/// by region, replays and flushes the edits, and moves the logs to oldWALs; also replays recovered edits that
/// regions have already. No server may be running. After a failure or an interruption, the command can be
/// repeated.
///
/// With --json, prints {"region","table","edits","cells","skipped","flushed":[...],"outcome"} for each region
/// with edits. "skipped" counts cells that are in store files already, that belong to a family that the table
/// does not have, or that are not replayed. "outcome" is "replayed", "parent" if the region was split or
/// merged, "gone" if its directory does not exist, or "failed". "flushed" lists the files written.
///
/// A table that cannot be recovered, for example without a descriptor, does not prevent the recovery of the
/// others. The errors of all such tables are printed; the exit code is that of the first. Logs with edits of
/// such tables stay in WALs, for a repeated call.
///
/// A log that its server did not close may end within an entry. Such an entry was never acknowledged: a
/// message on standard error names its offset. Damage anywhere else is an error, and nothing is changed. A
/// log that ends within an entry although its server closed it, or began a newer log, is an error, too,
/// unless --accept-torn-logs is given.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(override_usage = "hregion recover [OPTIONS] <TARGET>\n       \
                            hregion recover [OPTIONS] <REGION> --wal <LOG>...")]
pub(crate) struct Args {
    /// Directory of a region, or root directory
    target: PathBuf,

    /// Also replay the region's edits in these logs, or in all logs below these directories
    #[arg(long, value_name = "LOG", num_args = 1..)]
    wal: Vec<PathBuf>,

    /// Accept closed logs that end within an entry; later edits are lost
    ///
    /// A length in such a log is damaged. In a root directory, also accepts logs whose servers began newer
    /// ones, as after the failure of a data node of HDFS.
    #[arg(long)]
    accept_torn_logs: bool,

    /// Print the edits that would be replayed, and change nothing
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
    let check = if args.dry_run { check_readable } else { check_writable };
    check(&args.target)?;
    let options = args.families.add_to(args.reading.region_options(out)?);
    let options = options.accept_torn_logs(args.accept_torn_logs);
    if is_region(&args.target)? {
        recover_region(args, options, out)
    } else if probe::is_dir(&args.target.join(DATA))? {
        recover_root(args, options, out)
    } else if !probe::exists(&args.target)? {
        Err(CommandError::no_such_dir(&args.target).into())
    } else {
        let message = "neither a region nor a root directory: no .regioninfo and no data in it";
        let hint = Some("the logs of a table are in its root directory");
        Err(CommandError::unsupported(&args.target, message).with_hint(hint).into())
    }
}

fn recover_region(args: &Args, options: RegionOptions, out: &mut Output) -> Result<Exit, Failure> {
    check_serves(&args.target)?;
    let mut found = FoundLogs::default();
    args.wal.iter().try_for_each(|path| found.add(path))?;
    if let Some(link) = found.links.first() {
        return Err(FoundLogs::refused(link).into());
    }
    let region = options.replay_logs(found.logs).writable(!args.dry_run).open(&args.target)?;
    if args.dry_run {
        check_known(&region)?;
        region.check_write_settings()?;
    }
    warn(out, None, region.warnings());
    let (table, encoded) = (region.info().table().to_string(), region.info().encoded_name());
    let replayed = region.replayed();
    region.close()?;
    print(&table, &encoded, RegionOutcome::Replayed, &replayed, out)?;
    Ok(Exit::Done)
}

fn recover_root(args: &Args, options: RegionOptions, out: &mut Output) -> Result<Exit, Failure> {
    if !args.wal.is_empty() || !args.families.is_empty() {
        let message = "--wal, --family and --descriptor are for a region: a root directory has its own logs \
                       under WALs, and a descriptor of each table";
        return Err(CommandError::usage(message).into());
    }
    let found = match args.dry_run {
        true => Table::plan_recovery_of_tables(&args.target, options)?,
        false => Table::recover_tables(&args.target, options)?,
    };
    let mut failed = Ok(());
    for (table, error) in &found.failed {
        failed = keep_first(failed, Err(CommandError::from(error).of_table(table).into()), out);
    }
    if let Err(Failure::Fault(first)) = &failed {
        out.found(first.exit());
    }
    warn(out, None, &found.torn);
    let printed = found.regions.iter().try_for_each(|region| {
        warn(out, Some(&region.region), &region.warnings);
        print(&region.table.to_string(), &region.region, region.outcome, &region.replayed, out)
    });
    if !args.dry_run {
        out.summary(&format!("{} logs moved to oldWALs", found.logs.len()));
    }
    if !found.kept_logs.is_empty() {
        let count = found.kept_logs.len();
        out.warn_always(&format!("{count} logs stay in WALs: they have edits of tables with errors"));
    }
    // the errors count even if nothing reads the output
    keep_first(failed, printed, out)?;
    Ok(Exit::Done)
}

/// Prints warnings, even if quiet: most are about edits that are not replayed.
fn warn(out: &Output, region: Option<&str>, warnings: &[hregion::Error]) {
    for warning in warnings {
        let line = CommandError::from(warning).with_hint(None).line();
        out.warn_always(&region.map_or_else(|| line.clone(), |region| format!("region {region}: {line}")));
    }
}

fn print(
    table: &str,
    region: &str,
    outcome: RegionOutcome,
    replayed: &ReplayReport,
    out: &mut Output,
) -> Result<(), Failure> {
    let ReplayReport { edits, cells, skipped, flushed, .. } = replayed;
    let name = match outcome {
        RegionOutcome::Gone => "gone",
        RegionOutcome::Parent => "parent",
        RegionOutcome::Failed => "failed",
        _ => "replayed",
    };
    if outcome == RegionOutcome::Gone && *edits > 0 {
        out.warn_always(&format!("{table}: there is no region {region}, its {edits} edits are skipped"));
    }
    if out.is_json() {
        return out.json_line(&json!({
            "region": region, "table": table, "edits": edits, "cells": cells, "skipped": skipped,
            "flushed": flushed, "outcome": name,
        }));
    }
    let files = flushed.len();
    writeln!(
        out,
        "{table} {region}: {name}, edits {edits}, cells {cells}, skipped {skipped}, files {files}"
    )?;
    Ok(())
}
