//! `hregion compact`: merges the files of each family.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::family_args::FamilyArgs;
use crate::maintenance;
use crate::output::Output;
use hregion::Compaction;
use std::path::PathBuf;

/// Compact the files of a region, or of all regions of a table
///
/// Selects files as HBase does, if there are enough candidates. With --major, compacts all files, which
/// removes deleted cells permanently. Replaced files are moved to the archive of HBase's root directory, if
/// the region is in one. No other process may write to the directory meanwhile. With --json, prints
/// {"family","files_before","files"} for each family, for a table with "region".
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory of a region or of a table
    dir: PathBuf,

    /// Compact all files of each family
    #[arg(long)]
    major: bool,

    #[command(flatten)]
    families: FamilyArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion compact --major data/default/users/5d4f0e2b
  hregion compact --major data/default/users
  hregion compact copied-alone --family cf:VERSIONS=3,TTL=86400";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let compaction = if args.major { Compaction::Major } else { Compaction::Minor };
    maintenance::run(&args.dir, &args.reading, &args.families, out, |region| region.compact(compaction))
}
