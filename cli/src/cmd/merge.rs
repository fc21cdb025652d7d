//! `hregion merge`: merges two regions of a table.

use crate::args::FileArgs;
use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::replaced::{self, CompactArgs, TableArgs};
use hregion::{RegionInfo, Table};

/// Merge two regions of a table that follow each other
///
/// The new region refers to the files of the old ones until it is compacted; until then it cannot be split or
/// merged. If the root directory has hbase:meta, it is changed, too. No server may be running.
///
/// Prints the new region, with the members that `hregion locate` prints. After a failure or an interruption
/// there are either the old regions or the new one.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    table: TableArgs,

    /// A region: its encoded name, which is that of its directory
    region: String,

    /// The other region
    other: String,

    #[command(flatten)]
    compact: CompactArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion regions users --meta /hbase --json | jq -r .encoded
  hregion merge /hbase users 36870a128e2b61b11b5b6154f73464e8 b080bd824b133f7fd142d58caf423392";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    replaced::run(&args.table, &args.compact, &args.reading, out, |table| {
        Ok(vec![merge(table, &args.region, &args.other)?])
    })
}

/// Merges two regions, given by their encoded names in any order.
pub(crate) fn merge(table: &Table, region: &str, other: &str) -> Result<RegionInfo, Failure> {
    let regions = table.regions();
    let find = |name: &str| {
        let found = regions.iter().find(|info| info.encoded_name() == name);
        found.ok_or_else(|| CommandError::invalid(format!("{} has no region {name}", table.name())))
    };
    let (first, second) = (find(region)?, find(other)?);
    let (first, second) =
        if first.start_key() <= second.start_key() { (first, second) } else { (second, first) };
    Ok(table.merge(first, second)?)
}
