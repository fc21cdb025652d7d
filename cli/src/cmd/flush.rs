//! `hregion flush`: writes the memory of a region to files.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::family_args::FamilyArgs;
use crate::maintenance;
use crate::output::Output;
use hregion::Region;
use std::path::PathBuf;

/// Flush a region, or all regions of a table
///
/// Writes cells that are only in logs or in memory to files. A region that was closed properly has none, and
/// is not changed. No other process may write to the directory at the same time. With --json, prints
/// {"family","files_before","files"} for each family, for a table with "region".
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directory of a region or a table
    #[arg(value_name = "TARGET")]
    dir: PathBuf,

    #[command(flatten)]
    families: FamilyArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion flush data/default/users/5d4f0e2b";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let options = args.families.add_to(args.reading.region_options(out)?);
    maintenance::run(&args.dir, options, out, Region::flush, |_, _| Ok(()))
}
