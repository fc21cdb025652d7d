//! `hregion load`: a bulk load into a table.

use crate::args::FileArgs;
use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::table_load::{TableLoad, open_table};
use crate::text;
use crate::vfs;
use hregion::BulkLoad;
use serde_json::json;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Load HFiles into a table
///
/// Takes a directory with one folder for each family, as `bulkload` or HBase's own jobs write it. Moves the
/// files into the table. If INPUT is on another file system than the table, or on another storage by its URL,
/// copies and verifies them instead, and leaves INPUT as it is. Splits files with rows of several regions
/// first. Skips files without cells, references, links, and names that begin with _ or a dot. Fails if
/// nothing was loaded, and INPUT has other files, but no folder.
///
/// In S3 the files are always copied and verified; those of the same bucket are removed when all regions have
/// their copies.
///
/// No other process may write to the table meanwhile. After a failure the command can be repeated with the
/// same files: those that had been moved into a family with the store file tracker FILE are moved back to
/// INPUT first, and loaded. A file that could not be synced must be written again before that. In S3, a
/// repeated command loads what is left, and removes what was loaded.
///
/// With --json prints {"loaded","split","skipped"}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory of a table, or its URL in S3 or HDFS
    table: PathBuf,

    /// The directory with the HFiles, in a folder for each family, or its URL
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
    let entries = match vfs::list(dir) {
        // All files were loaded before, and are removed now: in S3, there is no directory without files.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        entries => entries.map_err(|error| CommandError::io("list", dir, &error))?,
    };
    let mut shown = entries.into_iter().map(|(path, _)| path).filter(|path| !is_hidden(path)).peekable();
    Ok(shown.peek().is_some() && shown.all(|path| skipped.contains(&path)))
}

fn check_input(args: &Args) -> Result<(), Failure> {
    Ok(vfs::check_dir(&args.input)?)
}

/// Whether the regions of a table take copies of files, as they cannot be moved. Fails later if it cannot be
/// written to.
fn has_copies(table: &Path) -> bool {
    vfs::check_writable(table).is_ok() && !vfs::storage().can_rename(table)
}

/// Loads copies of files that are in another place than the table.
fn load_copies(args: &Args, out: &Output) -> Result<BulkLoad, Failure> {
    let inputs = std::iter::once(&args.input);
    let load = TableLoad::begin(&args.table, inputs, &args.reading, || check_input(args), out)?;
    let skipped = load.copy_from(&args.input)?;
    let copies = load.dir().to_owned();
    let mut done = load.finish()?;
    let of =
        |copy: &PathBuf| copy.strip_prefix(&copies).map_or_else(|_| copy.clone(), |at| args.input.join(at));
    done.split = done.split.iter().map(of).collect();
    done.skipped = skipped.into_iter().chain(done.skipped.iter().map(of)).collect();
    Ok(done)
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let is_same_storage = vfs::is_same_storage(&args.table, &args.input);
    let done = if is_same_storage || has_copies(&args.table) {
        // In a bucket, all files of an input that is not there may have been loaded: the table has a record.
        let check = || if is_same_storage && has_copies(&args.table) { Ok(()) } else { check_input(args) };
        let table = open_table(&args.table, &args.reading, check, out)?;
        let done = match is_same_storage {
            true => table.bulk_load(&args.input)?,
            false => table.bulk_load_copies(&args.input)?,
        };
        table.close()?;
        done
    } else {
        load_copies(args, out)?
    };
    if done.loaded == 0 && has_only_others(&args.input, &done.skipped)? {
        let message = "nothing was loaded: it has no directory of a family";
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
