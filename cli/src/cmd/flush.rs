//! `hregion flush`: writes the memory of a region to files.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::family_args::FamilyArgs;
use crate::maintenance;
use crate::output::Output;
use std::path::PathBuf;

/// Flush a region
///
/// Writes the region's cells in memory to files. A region that was closed properly has none; nothing is
/// written then. No other process may write to the directory meanwhile. With --json, prints
/// {"family","files_before","files"} for each family.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory of a region
    region: PathBuf,

    #[command(flatten)]
    families: FamilyArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion flush data/default/users/5d4f0e2b";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    maintenance::run(&args.region, &args.reading, &args.families, out, |region| region.flush())
}
