//! `hregion get`: prints one row as HBase would return it.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::query_args::{self, CellArgs, Row};
use crate::row_output::RowOutput;
use crate::server_args::ServerArgs;
use crate::source::InputSource;
use crate::target_args::{FormatArgs, TargetArgs};

/// Print one row as HBase would return it
///
/// Reads a region, or the region of a table that contains the row, from files or from a running cluster.
/// Prints nothing if there is no such row. The output format is the same as for `hregion scan`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,

    /// Row to read
    #[arg(allow_hyphen_values = true, value_parser = query_args::row_to_get)]
    row: Row,

    #[command(flatten)]
    format: FormatArgs,

    #[command(flatten)]
    cells: CellArgs,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion get data/default/users user1
  hregion get data/default/users/5d4f0e2b 'user1\\x00' --columns cf:name --versions all --json
  hregion get users user1 --zookeeper localhost:2181";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let Row(row) = &args.row;
    if let Some(table) = args.server.table(&args.target, &args.cells, Some(&args.reading))? {
        let mut rows = RowOutput::begin(args.format.format, out)?;
        table.get(row, &args.cells, |row| rows.write(row, out))?;
        return Ok(Exit::Done);
    }
    let source = InputSource::open(&args.target, &args.reading, &args.cells, None, out)?;
    let mut rows = RowOutput::begin(args.format.format, out)?;
    source.get(row, &args.cells, |row| rows.write(row, out))?;
    Ok(Exit::Done)
}
