//! `hregion load`: a bulk load into a table.

use crate::args::FileArgs;
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::table_load::open_table;
use crate::text;
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

/// Load HFiles into a table
///
/// Takes a directory with one folder for each family, as `bulkload` or HBase's own jobs write it. The files
/// are moved into the table. A file with rows of several regions is split first. Passed over are files
/// without cells, references, links, and names that begin with _ or a dot. No other process may write to the
/// table meanwhile. After a failure the command can be repeated.
///
/// With --json prints {"loaded","split","skipped"}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory of a table
    table: PathBuf,

    /// The directory with the HFiles, in a folder for each family
    input: PathBuf,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion bulkload cells.jsonl --regions splits.txt --out load --sort
  hregion load data/default/users load";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let table = open_table(&args.table, &args.reading, out)?;
    let done = table.bulk_load(&args.input)?;
    table.close()?;
    if out.is_json() {
        let paths = |paths: &[PathBuf]| paths.iter().map(|path| text::json_path(path)).collect::<Vec<_>>();
        let (split, skipped) = (paths(&done.split), paths(&done.skipped));
        out.json_line(&json!({ "loaded": done.loaded, "split": split, "skipped": skipped }))?;
        return Ok(Exit::Done);
    }
    for path in &done.skipped {
        writeln!(out, "passed over {}", text::path(path))?;
    }
    writeln!(out, "loaded {}, split {}, passed over {}", done.loaded, done.split.len(), done.skipped.len())?;
    Ok(Exit::Done)
}
