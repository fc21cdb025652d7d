//! `hregion split`: splits a region of a table.

use crate::args::FileArgs;
use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::query_args::{self, Row};
use crate::region_change::{self, CompactArgs, TableLocation};
use hregion::Table;
use hregion::cell::{StringBinary, from_string_binary};
use std::path::PathBuf;

/// Split a region of a table in two
///
/// The table is given by a root directory and its name, by its directory, or by the directory of the region.
///
/// Splits the region that contains the row; the second of the new regions begins with the row. The new
/// regions refer to the files of the old one until they are compacted, and cannot be split before. If the
/// root directory has hbase:meta, it is changed, too. No server may be running.
///
/// Prints the new regions, with the members that `hregion locate` prints. After a failure or an interruption,
/// either the old region exists or both new ones.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(override_usage = "hregion split [OPTIONS] <ROOT> <TABLE> <ROW>\n       \
                            hregion split [OPTIONS] <DIR> <ROW>")]
pub(crate) struct Args {
    /// HBase's root directory, or DIR: directory of the table or the region
    #[arg(value_name = "ROOT")]
    target: PathBuf,

    /// Table, as name or namespace:name; after DIR the row
    #[arg(value_name = "TABLE", allow_hyphen_values = true, value_parser = query_args::no_option)]
    name: String,

    /// First row of the second new region
    #[arg(allow_hyphen_values = true, value_parser = query_args::row)]
    row: Option<Row>,

    #[command(flatten)]
    compact: CompactArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion split /hbase users user5
  hregion split --compact /hbase ns:binary '\\x80'
  hregion split /hbase/data/default/users user5";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let (location, region, row) = match &args.row {
        Some(Row(row)) => (TableLocation::in_root(&args.target, &args.name)?, None, row.clone()),
        None => {
            let (location, region) = TableLocation::at(&args.target)?;
            (location, region, from_string_binary(&args.name))
        }
    };
    region_change::run(&location, &args.compact, &args.reading, out, |table| {
        if let Some(region) = &region {
            check_row(table, region, &row)?;
        }
        let (first, second) = table.split(&row)?;
        Ok(vec![first, second])
    })
}

/// Fails if the region of this encoded name does not have the row.
fn check_row(table: &Table, region: &str, row: &[u8]) -> Result<(), CommandError> {
    if table.regions().iter().any(|info| info.encoded_name() == region && info.contains(row)) {
        return Ok(());
    }
    Err(CommandError::wrong_region(format!("row {:.64} is not in the region {region}", StringBinary(row))))
}
