//! `hregion split`: splits a region of a table.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::query_args::{self, Row};
use crate::replaced::{self, CompactArgs, TableArgs};

/// Split a region of a table in two
///
/// The region that has the row is split, and the second of the new regions begins with the row. They refer to
/// the files of the old one until they are compacted; until then they cannot be split again. If the root
/// directory has hbase:meta, it is changed, too. No server may be running.
///
/// Prints the new regions, with the members that `hregion locate` prints. After a failure or an interruption
/// there is either the old region or both new ones.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    table: TableArgs,

    /// The first row of the second new region
    #[arg(allow_hyphen_values = true, value_parser = query_args::bytes)]
    row: Row,

    #[command(flatten)]
    compact: CompactArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion split /hbase users user5
  hregion split --compact /hbase ns:binary '\\x80'";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let Row(row) = &args.row;
    replaced::run(&args.table, &args.compact, &args.reading, out, |table| {
        let (first, second) = table.split(row)?;
        Ok(vec![first, second])
    })
}
