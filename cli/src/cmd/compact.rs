//! `hregion compact`: merges the files of each family.

use crate::args::FileArgs;
use crate::compact_plan;
use crate::failure::{Exit, Failure};
use crate::family_args::FamilyArgs;
use crate::maintenance;
use crate::output::Output;
use crate::region_change::archive_parents;
use hregion::{Compaction, Region};
use std::path::PathBuf;

/// Compact the files of a region, or of all regions of a table
///
/// Selects files as HBase does, if there are enough candidates. With --major, compacts all files, which
/// removes deleted cells permanently. Replaced files are moved to the archive of HBase's root directory, if
/// the region is in one; so are regions of the table that were split or merged, once no other region needs
/// their files. No other process may write to the directory at the same time. With --json, prints
/// {"family","files_before","files"} for each family, for a table with "region".
///
/// With --dry-run, changes nothing and locks nothing: prints the files that would be merged or dropped, and
/// the number of cells that would be dropped, by reason: newer_versions, delete_marker, ttl, cell_ttl,
/// duplicate, purged_marker. With --json, prints {"cell","from","kept","reason","by"} for each cell to be
/// dropped, then {"family","files","expired_files","all_files","bytes_before","bytes_after",
/// "cells_before","cells_after","dropped"} for each family; "bytes_after" is an estimate.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directory of a region or a table
    #[arg(value_name = "TARGET")]
    dir: PathBuf,

    /// Compact all files of each family
    #[arg(long)]
    major: bool,

    /// Print the compactions, without doing them
    #[arg(long)]
    dry_run: bool,

    /// Also print each cell that would be dropped
    #[arg(long, requires = "dry_run")]
    verbose: bool,

    /// Offset from UTC of the local time for off-peak hours, such as 2 or -3:30 [default: 0]
    #[arg(long, value_name = "HOURS", allow_hyphen_values = true, value_parser = utc_offset)]
    utc_offset: Option<i32>,

    #[command(flatten)]
    families: FamilyArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion compact --major data/default/users/5d4f0e2b
  hregion compact --major data/default/users
  hregion compact --major --dry-run data/default/users
  hregion compact copied-alone --family cf:VERSIONS=3,TTL=86400";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let compaction = if args.major { Compaction::Major } else { Compaction::Minor };
    let options = args.families.add_to(args.reading.region_options(out)?);
    let options = options.utc_offset(args.utc_offset.unwrap_or(0));
    if args.dry_run {
        let shows_cells = args.verbose || out.is_json();
        return compact_plan::run(&args.dir, options, compaction, shows_cells, out);
    }
    let compact = |region: &Region| region.compact(compaction);
    maintenance::run(&args.dir, options, out, compact, archive_parents)
}

/// Parses `HOURS` or `HOURS:MINUTES`, with a sign or without. Returns seconds.
fn utc_offset(text: &str) -> Result<i32, String> {
    let (sign, time) = match text.strip_prefix('-') {
        Some(time) => (-1, time),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let (hours, minutes) = time.split_once(':').unwrap_or((time, "0"));
    let number = |text: &str, most: u8| text.parse::<u8>().ok().filter(|number| *number <= most);
    let found = number(hours, 23).zip(number(minutes, 59));
    let seconds = found.map(|(hours, minutes)| 3600 * i32::from(hours) + 60 * i32::from(minutes));
    let expected = "expected an offset in hours, such as 2 or -3:30";
    seconds.map(|seconds| sign * seconds).ok_or_else(|| expected.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_hours_and_minutes() {
        for (text, seconds) in
            [("2", 7200), ("+05:45", 20_700), ("-3:30", -12_600), ("0", 0), ("-0:30", -1800)]
        {
            assert_eq!(utc_offset(text), Ok(seconds), "{text}");
        }
        for wrong in ["", "-", "24", "1:60", "1:", "CET", "--1", "1.5"] {
            assert!(utc_offset(wrong).is_err(), "{wrong}");
        }
    }
}
