//! `hregion get`: prints one row as HBase would return it.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::query_args::{self, CellArgs, Row};
use crate::row_output::RowOutput;
use crate::source::InputSource;
use crate::target_args::{FormatArgs, TargetArgs};

/// Print one row as HBase would return it
///
/// Reads a region, or the region of a table that contains the row. A missing row prints nothing. The output
/// format is that of `hregion scan`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,

    /// The row
    #[arg(allow_hyphen_values = true, value_parser = query_args::bytes)]
    row: Row,

    #[command(flatten)]
    format: FormatArgs,

    #[command(flatten)]
    cells: CellArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion get data/default/users user1
  hregion get data/default/users/5d4f0e2b 'user1\\x00' --columns cf:name --versions all --json";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let source = InputSource::open(&args.target, &args.reading, &args.cells, None, out)?;
    let mut rows = RowOutput::begin(args.format.format, out)?;
    let Row(row) = &args.row;
    source.get(row, &args.cells, |row| rows.write(row, out))?;
    Ok(Exit::Done)
}
