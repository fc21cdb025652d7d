//! `hregion scan`: rows as HBase would answer.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::query_args::{CellArgs, RowArgs};
use crate::regions::Regions;
use crate::row_output::{Format, RowOutput};
use crate::target::Kind;
use std::path::PathBuf;

/// Print rows as HBase would answer
///
/// Of a region, or of all regions of a table: the versions that the families keep, without what is deleted or has expired.
/// A line a cell. With --json: {"row","family","qualifier","timestamp","type","value","sequence_id","tags"}, sequence_id and
/// tags where there are some.
///
/// Nothing is changed. Rows printed before an error are right.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory of a region or of a table
    target: PathBuf,

    /// What the target is, if it is not to be found by looking
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,

    /// How cells are printed [default: hbase]
    #[arg(long, value_name = "FORMAT", hide_default_value = true, help_heading = "Output")]
    format: Option<Format>,

    #[command(flatten)]
    rows: RowArgs,

    #[command(flatten)]
    cells: CellArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion scan data/default/users --prefix user1 --limit 10
  hregion scan data/default/users/5d4f0e2b --columns cf:name --versions all --json
  hregion scan data/default/users --raw --format csv > users.csv";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let options = args.reading.region_options(out)?.clock(args.cells.clock());
    let regions = Regions::find(&args.target, args.kind, options)?;
    let mut rows = RowOutput::begin(args.format, out)?;
    regions.scan(&args.rows, &args.cells, |row| rows.write(row, out))?;
    Ok(Exit::Done)
}
