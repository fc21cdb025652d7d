//! `hregion load`: a bulk load into a table.

use crate::args::FileArgs;
use crate::directories::is_region;
use crate::failure::{CommandError, Exit, Failure};
use crate::family_args::FamilyArgs;
use crate::output::Output;
use crate::probe;
use crate::regions::check_serves;
use crate::table_load::{TableLoad, open_table};
use crate::text;
use crate::vfs;
use hregion::BulkLoad;
use serde_json::json;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// Load HFiles into a table or a region
///
/// Reads a directory with one subdirectory for each family, as `bulkload` or HBase's own jobs write it. Moves
/// the files into the table. If INPUT is on another file system than the table, or its URL is of another
/// storage, copies and verifies the files instead, and does not change INPUT. Splits files with rows of
/// several regions first. Skips files without cells, references, links, and names that begin with _ or a dot.
/// Fails if nothing was loaded, and INPUT has other files, but no subdirectory.
///
/// For a region, by its local directory, all files are loaded at once. They must have no rows outside of the
/// region, and be on its file system.
///
/// In S3, files are always copied and verified; files in the bucket of the table are removed when all regions
/// have their copies.
///
/// No other process may write to the table at the same time. After a failure, the command can be repeated
/// with the same files: those that were moved into a family with the store file tracker FILE are moved back
/// to INPUT first, and loaded. A file that could not be synced must be written again before. In S3, a
/// repeated command loads the files that are left, and removes those that were loaded.
///
/// With --json, prints {"loaded","split","skipped"}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Directory of a table, by path or URL of S3 or HDFS; or local directory of a region
    table: PathBuf,

    /// Directory with a subdirectory of HFiles for each family, by path or URL
    input: PathBuf,

    #[command(flatten)]
    families: FamilyArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion bulkload cells.jsonl --regions splits.txt --out load --sort
  hregion load data/default/users load
  hregion load data/default/users/5d4f0e2b load";

/// Whether a load skips a file or directory because of its name.
fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    matches!(name.first(), Some(b'_' | b'.'))
}

/// Whether a directory has entries, and all that are not hidden were skipped.
fn has_only_others(dir: &Path, skipped: &[PathBuf]) -> Result<bool, CommandError> {
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

/// Whether the regions of a table load copies of files, because they cannot be moved. Fails later if it
/// cannot be written to.
fn has_copies(table: &Path) -> bool {
    vfs::check_writable(table).is_ok() && !vfs::storage().can_rename(table)
}

/// Loads copies of files that are in a different storage from the table.
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

/// Returns the entries of a directory that are neither hidden nor symbolic links. Adds the others to
/// `skipped`.
fn shown_in(dir: &Path, skipped: &mut Vec<PathBuf>) -> Result<Vec<PathBuf>, CommandError> {
    let entries = vfs::list(dir).map_err(|error| CommandError::io("list", dir, &error))?;
    let is_passed_over = |(path, is_link): &(PathBuf, bool)| *is_link || is_hidden(path);
    let (passed_over, shown): (Vec<_>, Vec<_>) = entries.into_iter().partition(is_passed_over);
    skipped.extend(passed_over.into_iter().map(|(path, _)| path));
    Ok(shown.into_iter().map(|(path, _)| path).collect())
}

/// Loads files into the region at a local directory.
fn load_into_region(args: &Args, out: &Output) -> Result<BulkLoad, Failure> {
    check_serves(&args.table)?;
    check_input(args)?;
    if !vfs::is_same_storage(&args.table, &args.input) {
        let message = "not on the file system of the region, so files cannot be moved";
        let hint = Some("load into the table to copy them");
        return Err(CommandError::unsupported(&args.input, message).with_hint(hint).into());
    }
    let options = args.reading.options(out)?;
    let (mut done, mut files) = (BulkLoad::default(), Vec::new());
    for folder in shown_in(&args.input, &mut done.skipped)? {
        if !probe::is_dir(&folder)? {
            done.skipped.push(folder);
            continue;
        }
        let family = folder.file_name().unwrap_or_default().as_encoded_bytes().to_vec();
        for path in shown_in(&folder, &mut done.skipped)? {
            if !probe::is_file(&path)? || options.open(&path)?.entry_count() == 0 {
                done.skipped.push(path);
            } else {
                files.push((family.clone(), path));
            }
        }
    }
    if !files.is_empty() {
        let options = args.families.add_to(args.reading.options_to_change(out)?);
        let region = options.open(&args.table)?;
        out.warner().warn_of(&region);
        region.bulk_load(&files)?;
        region.close()?;
    }
    done.loaded = files.len();
    Ok(done)
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let is_into_region = !vfs::is_url(&args.table) && is_region(&args.table)?;
    if !is_into_region && !args.families.is_empty() {
        let message = "--family and --descriptor: only allowed for a region, as a table has a descriptor";
        return Err(CommandError::usage(message).into());
    }
    let is_same_storage = vfs::is_same_storage(&args.table, &args.input);
    let done = if is_into_region {
        load_into_region(args, out)?
    } else if is_same_storage || has_copies(&args.table) {
        // In a bucket, all files of a missing input may have been loaded: the table has a record.
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
        let message = "nothing was loaded: it has no subdirectory of a family";
        let error = CommandError::invalid_file(&args.input, message);
        return Err(error.with_hint(Some("expected a directory with a subdirectory for each family")).into());
    }
    if out.is_json() {
        let paths = |paths: &[PathBuf]| paths.iter().map(|path| text::json_path(path)).collect::<Vec<_>>();
        let (split, skipped) = (paths(&done.split), paths(&done.skipped));
        out.json_line(&json!({ "loaded": done.loaded, "split": split, "skipped": skipped }))?;
        return Ok(Exit::Done);
    }
    for path in &done.skipped {
        writeln!(out, "skipped {}", text::path(path))?;
    }
    writeln!(out, "loaded {}, split {}, skipped {}", done.loaded, done.split.len(), done.skipped.len())?;
    Ok(Exit::Done)
}
