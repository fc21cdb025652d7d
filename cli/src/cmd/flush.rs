//! `hregion flush`: what a region has in memory, as files.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::family_args::FamilyArgs;
use crate::output::Output;
use crate::upkeep;
use std::path::PathBuf;

/// Flush a region
///
/// Writes what the region has in memory into files. One that was closed well has nothing there, and nothing happens.
/// Nobody else may write to the directory meanwhile. With --json, a line for each family:
/// {"family","files_before","files"}.
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
    upkeep::run(&args.region, &args.reading, &args.families, out, |region| region.flush())
}
