//! `hregion locate`: which region, which server.

use crate::cluster_args::{ClusterArgs, table_name};
use crate::failure::{Exit, Failure};
use crate::located;
use crate::output::Output;
use crate::query_args::{self, Row};
use hregion::{Deadline, TableName};

/// Say which region has a row, and which server has the region
///
/// A line: the region's name, its first row and the one before which it ends, the server. With --json:
/// {"name","encoded","table","start","end","id","replica","split","offline","server","seqnum"}.
///
/// Ends with 1 if there is no such table or region, or the table is disabled.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The table, `name` or `namespace:name`
    #[arg(value_parser = table_name)]
    table: TableName,

    /// The row
    #[arg(allow_hyphen_values = true, value_parser = query_args::bytes)]
    row: Row,

    #[command(flatten)]
    cluster: ClusterArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion locate users user1 --meta /hbase
  hregion locate ns:binary '\\x00\\xFF' --meta /hbase --json | jq -r .server
  hregion locate hbase:meta '' --zookeeper localhost:2181";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let locator = args.cluster.locator(&args.table)?;
    let Row(row) = &args.row;
    let found = locator.locate(&args.table, row)?;
    if !args.table.is_meta() {
        // the catalog keeps the servers that regions had before their table was disabled
        locator.check_enabled(&args.table, Deadline::NEVER)?;
    }
    located::print(&found, out)?;
    Ok(Exit::Done)
}
