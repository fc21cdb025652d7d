//! `hregion get`: one row as HBase would answer.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::query_args::{self, CellArgs, Row};
use crate::regions::Regions;
use crate::row_output::{Format, RowOutput};
use crate::target::Kind;
use hregion::RowBuf;
use std::path::PathBuf;

/// Print one row as HBase would answer
///
/// Of a region, or of the region of a table that has the row; a row that is not there prints nothing. Lines are those of
/// `hregion scan`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory of a region or of a table
    target: PathBuf,

    /// The row
    #[arg(allow_hyphen_values = true, value_parser = query_args::bytes)]
    row: Row,

    /// What the target is, if it is not to be found by looking
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,

    /// How cells are printed [default: hbase]
    #[arg(long, value_name = "FORMAT", hide_default_value = true, help_heading = "Output")]
    format: Option<Format>,

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
    let options = args.reading.region_options(out)?.clock(args.cells.clock());
    let regions = Regions::find(&args.target, args.kind, options)?;
    let mut rows = RowOutput::begin(args.format, out)?;
    let Row(row) = &args.row;
    for region in
        regions.open(|start, end| start <= row.as_slice() && (end.is_empty() || row.as_slice() < end))
    {
        let region = region?;
        let get = args.cells.selection().get(row.clone());
        if args.cells.is_raw() {
            // a raw read is a scan; the get says what is wrong with the row or the families
            region.exists(&get)?;
            let scan = args.cells.selection().scan().raw(true).start_row(row.clone(), true);
            let scan = scan.stop_row(row.clone(), true);
            let view = region.view();
            let mut scanner = view.scan(&scan)?;
            while let Some(row) = scanner.next_row()? {
                rows.write(row, out)?;
            }
        } else {
            let mut found = RowBuf::new();
            region.get_into(&get, &mut found)?;
            rows.write(found.as_row(), out)?;
        }
    }
    Ok(Exit::Done)
}
