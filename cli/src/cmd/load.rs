//! `hregion load`: a bulk load into a table.

use crate::args::FileArgs;
use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::places;
use crate::table_load::open_table;
use crate::text;
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Load HFiles into a table
///
/// Takes a directory with one folder for each family, as `bulkload` or HBase's own jobs write it. The files
/// are moved into the table. A file with rows of several regions is split first. Passed over are files
/// without cells, references, links, and names that begin with _ or a dot. It is an error if nothing was
/// loaded, and INPUT has other files, but no folder. No other process may write to the table meanwhile. After
/// a failure the command can be repeated.
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

/// Whether a directory has entries, and all of those that are not hidden were passed over.
fn has_only_others(dir: &Path, skipped: &[PathBuf]) -> Result<bool, CommandError> {
    let is_hidden = |path: &Path| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        matches!(name.first(), Some(b'_' | b'.'))
    };
    let entries = places::list(dir).map_err(|error| CommandError::io("list", dir, &error))?;
    let mut shown = entries.into_iter().map(|(path, _)| path).filter(|path| !is_hidden(path)).peekable();
    Ok(shown.peek().is_some() && shown.all(|path| skipped.contains(&path)))
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let table = open_table(&args.table, &args.reading, out)?;
    let done = table.bulk_load(&args.input)?;
    table.close()?;
    if done.loaded == 0 && has_only_others(&args.input, &done.skipped)? {
        let message = "nothing was loaded: it has no folder of a family";
        let error = CommandError::invalid_file(&args.input, message);
        return Err(error.with_hint(Some("expected a directory with a folder for each family")).into());
    }
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
