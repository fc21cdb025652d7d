//! `hregion merge`: merges two regions of a table.

use crate::args::FileArgs;
use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::probe;
use crate::region_change::{self, CompactArgs, TableLocation};
use crate::vfs;
use hregion::{RegionInfo, Table};
use std::path::{Path, PathBuf};

/// Merge two adjacent regions of a table
///
/// The regions are given by a root directory, the table and their encoded names, or by their directories.
///
/// The new region refers to the files of the old ones until it is compacted, and cannot be split or merged
/// before. If the root directory has hbase:meta, it is changed, too. No server may be running.
///
/// Prints the new region, with the members that `hregion locate` prints. After a failure or an interruption,
/// either the old regions exist or the new one.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
#[command(override_usage = "hregion merge [OPTIONS] <ROOT> <TABLE> <REGION> <OTHER>\n       \
                            hregion merge [OPTIONS] <DIR> <OTHER>")]
pub(crate) struct Args {
    /// HBase's root directory, or DIR: directory of a region
    #[arg(value_name = "ROOT")]
    target: PathBuf,

    /// Table, as name or namespace:name; after DIR the other region, by directory or encoded name
    #[arg(value_name = "TABLE")]
    name: PathBuf,

    /// Encoded name of a region, which is the name of its directory
    #[arg(requires = "other")]
    region: Option<String>,

    /// Encoded name of the other region
    other: Option<String>,

    #[command(flatten)]
    compact: CompactArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion regions users --meta /hbase --json | jq -r .encoded
  hregion merge /hbase users 36870a128e2b61b11b5b6154f73464e8 b080bd824b133f7fd142d58caf423392
  hregion merge /hbase/data/default/users/36870a128e2b61b11b5b6154f73464e8 \\
    /hbase/data/default/users/b080bd824b133f7fd142d58caf423392";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let (location, region, other) = match (&args.region, &args.other) {
        (Some(region), Some(other)) => {
            let table = TableLocation::in_root(&args.target, &args.name.to_string_lossy())?;
            (table, region.clone(), other.clone())
        }
        _ => {
            let (TableLocation::At(table), Some(region)) = TableLocation::at(&args.target)? else {
                let message = "expected the directory of a region, or ROOT TABLE REGION OTHER";
                return Err(CommandError::invalid_file(&args.target, message).into());
            };
            let other = beside(&table, &args.name)?;
            (TableLocation::At(table), region, other)
        }
    };
    region_change::run(&location, &args.compact, &args.reading, out, |table| {
        Ok(vec![merge(table, &region, &other)?])
    })
}

/// Returns the encoded name of a region, which may be given by its directory in that of the table.
fn beside(table: &Path, region: &Path) -> Result<String, CommandError> {
    if !probe::is_dir(region)? {
        return Ok(region.to_string_lossy().into_owned());
    }
    let full = vfs::full(region).map_err(|error| CommandError::io("open", region, &error))?;
    let name = full.file_name().filter(|_| full.parent() == Some(table));
    let name = name.and_then(|name| name.to_str());
    let message = "expected the directory of a region of the same table";
    name.map(str::to_owned).ok_or_else(|| CommandError::invalid_file(region, message))
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
