//! `hregion locate`: finds the region and server of a row.

use crate::cluster_args::{ClusterArgs, table_name};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::query_args::{self, Row};
use crate::region_output;
use hregion::TableName;

/// Show the region that contains a row, and its server
///
/// Prints one line: name, first row, end row (exclusive) and server of the region. With --json:
/// {"name","encoded","table","start","end","id","replica","split","offline","server","seqnum"}.
///
/// Exit code 1 if there is no such table or region, or the table is disabled.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Table, as name or namespace:name
    #[arg(value_parser = table_name)]
    table: TableName,

    /// Row to locate
    #[arg(allow_hyphen_values = true, value_parser = query_args::row)]
    row: Row,

    #[command(flatten)]
    cluster: ClusterArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion locate users user1 --meta /hbase
  hregion locate ns:binary '\\x00\\xFF' --meta /hbase --json | jq -r .server
  hregion locate users user1 --zookeeper localhost:2181";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let Row(row) = &args.row;
    let found = args.cluster.finder(out)?.locate(&args.table, row)?;
    region_output::print(&found, out)?;
    Ok(Exit::Done)
}
