//! `hregion cells`: prints every stored cell.

use super::inspect;
use crate::args::FileArgs;
use crate::cell_line::{FileName, LineStyle};
use crate::concurrent_changes::read_listed;
use crate::examine;
use crate::failure::{Exit, Failure};
use crate::hbase_flags::HBaseFlags;
use crate::output::Output;
use crate::probe;
use crate::source::bytes_of_all;
use crate::store_files;
use crate::stored_file::StoredFile;
use crate::text;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Print every stored cell, in file order
///
/// Includes older versions and delete markers. One line per cell, as in HBase:
/// row/family:qualifier/timestamp/type/vlen=3/seqid=7; with -p also the value and tags. With --json:
/// {"row","family","qualifier","timestamp","type","value","sequence_id","tags"}, with sequence_id if the file
/// stores sequence ids, and tags if the cell has any.
///
/// Follows links; for a reference, prints the cells of its half. For a directory, prints the cells of all
/// store files that its regions read, with the name of each file in a line before them, or with --json as the
/// member "file". Cells of a bulk-loaded file then have the sequence id of the file, as for readers of the
/// table.
///
/// Cells printed before an error are correct.
#[derive(clap::Args, Debug)]
#[command(disable_help_flag = true, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// HFiles, or directories of families, regions, tables, snapshots, namespaces or roots
    #[arg(required = true, value_name = "TARGET")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    flags: HBaseFlags,

    #[command(flatten)]
    reading: FileArgs,

    /// Print help
    #[arg(long, action = clap::ArgAction::Help)]
    help: Option<bool>,
}

const EXAMPLES: &str = "\
Examples:
  hregion cells 8e8ab58dcf39412d
  hregion cells -p 8e8ab58dcf39412d | head
  hregion cells --json 8e8ab58dcf39412d | jq 'select(.type != \"Put\")'
  hregion cells data/default/users/5d4f0e2b";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let look = args.flags.look().unwrap_or(LineStyle::Plain);
    out.start_progress(bytes_of_all(&args.files, None), true);
    for path in &args.files {
        if !probe::is_dir(path)? {
            print(path, None, args, look, out)?;
            continue;
        }
        for file in store_files::find(path, None, &args.reading, out)? {
            if !out.is_json() {
                writeln!(out, "Scanning -> {}", text::path(&file.path))?;
            }
            print(&file.path, Some(&FileName::new(&file.path)), args, look, out)?;
        }
    }
    Ok(Exit::Done)
}

/// Prints the cells of a file.
fn print(
    path: &Path,
    named: Option<&FileName>,
    args: &Args,
    look: LineStyle,
    out: &mut Output,
) -> Result<(), Failure> {
    let options = args.reading.options(out)?;
    let open = |path: &Path| StoredFile::open(path, None, &options, out);
    // The files of a directory were listed.
    let stored = if named.is_some() { read_listed(path, open)? } else { open(path)? };
    out.warn_of_mob(&stored.file);
    examine::walk(&stored, Some(look), named, &args.flags, out)?;
    match &stored.half {
        _ if !args.flags.any_part() => {}
        None => inspect::print(&stored.file, &args.flags, out)?,
        Some(_) => {
            let path = text::path(path);
            out.warn(&format!("{path}: a reference (`hregion inspect` shows the parts of its file)"));
        }
    }
    Ok(())
}
