//! `hregion inspect`: prints the metadata of a file.

use crate::args::FileArgs;
use crate::examine;
use crate::failure::{CommandError, Exit, Failure};
use crate::hbase_flags::HBaseFlags;
use crate::inspect_dir;
use crate::inspect_log;
use crate::logs::LogList;
use crate::output::Output;
use crate::probe;
use crate::report;
use crate::stored_file::StoredFile;
use crate::target::{self, Kind, is_log};
use crate::text;
use crate::vfs;
use hregion::HFile;
use std::path::PathBuf;
use std::slice;

/// Show the metadata of a file or a directory, without reading its cells
///
/// Prints the trailer, file info, root of the block index, mid key and Bloom filters; with --blocks also the
/// header of every block. Flags that select a part print only that part; -p, -e, -k, -a and -s also read the
/// cells.
///
/// With --json: one object with the members length, trailer, file_info, encoding, first_key, mid_key,
/// root_index (the first and last 20 entries if there are more than 40), general_bloom, delete_family_bloom,
/// and with --blocks blocks. Blocks of files without checksums have 0 as checksum_type and
/// bytes_per_checksum.
///
/// For a directory, prints its regions, families and store files with sizes, sequence ids, ranges of rows and
/// timestamps; for a table, a snapshot, a namespace or a root, then the MOB files, listed as a region that
/// begins at .mob. With --json: one object with the members path, kind and regions; a region has table,
/// region, start, end and families, and each of these the family and its files: {"path","of","bytes","cells",
/// "sequence_id","first","last","oldest","newest"}. "of" is the HFile to which a reference or a link leads,
/// and which the members after it describe.
///
/// For a write-ahead log, prints its header; with --entries also the numbers of entries, markers and cells of
/// each region. With --json: one object with the members path, kind, length and header; with --entries also
/// entries, cells, end (trailer, no trailer or torn), end_offset and regions: {"region","table","entries",
/// "markers","cells","first_sequence_id","last_sequence_id"}.
///
/// For a directory of logs (WALs, a server's directory in it, oldWALs, recovered.edits, or any directory
/// whose first file is a log), prints the same for each log below it, in the order of names, and then for all
/// logs. With --json: one object with the members path, kind, length and logs; with --entries also entries,
/// cells and regions.
#[derive(clap::Args, Debug)]
#[command(disable_help_flag = true, after_help = EXAMPLES)]
pub(crate) struct Args {
    /// HFile, log, or directory of a family, region, table, snapshot, namespace, root or logs
    target: PathBuf,

    /// Kind of TARGET [default: detected]
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,

    /// Count the entries of logs by region
    #[arg(long)]
    entries: bool,

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
  hregion inspect 8e8ab58dcf39412d
  hregion inspect -m -s 8e8ab58dcf39412d
  hregion inspect data/default/users
  hregion inspect --entries WALs/server,16020,1795161493542/server%2C16020%2C1795161493542.1795161495000
  hregion inspect --json --blocks 8e8ab58dcf39412d | jq '.blocks[] | select(.type == \"DATA\") | .offset'";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let options = args.reading.options(out)?;
    let flags = &args.flags;
    let kind = target::kind_of(&args.target, args.kind)?;
    let are_logs = kind == Kind::Wal && probe::is_dir(&args.target)?;
    if matches!(kind, Kind::Hfile | Kind::Wal) && !are_logs {
        target::check_regular(&args.target)?;
    }
    let is_log = kind == Kind::Wal || args.kind.is_none() && kind == Kind::Hfile && is_log(&args.target);
    if args.entries && !is_log {
        return Err(CommandError::usage("--entries: expected a write-ahead log").into());
    }
    if is_log {
        if flags.any_part() || flags.reads_cells() {
            let message = "flags for the parts of an HFile are not allowed for a log";
            return Err(CommandError::usage(message).into());
        }
        let list = LogList::find(slice::from_ref(&args.target), out)?;
        let (target, options) = ((args.target.as_path(), are_logs), args.reading.wal_options()?);
        return inspect_log::run(target, &list, args.entries, &options, out);
    }
    if kind != Kind::Hfile {
        if flags.any_part() || flags.reads_cells() {
            let message = "flags for the parts of an HFile are not allowed for a directory";
            return Err(CommandError::usage(message).into());
        }
        return inspect_dir::run(&args.target, kind, &args.reading, out);
    }
    if flags.reads_cells() {
        out.start_progress(vfs::len(&args.target), true);
    }
    let mut path = args.target.clone();
    if args.kind.is_none() && target::is_reference(&path)? {
        path = args.reading.region_options(out)?.hfile_of(&path)?.unwrap_or(path);
        out.warn(&format!("a reference to a half of {}: the whole file is shown", text::path(&path)));
    }
    let file = target::open(&path, args.kind, &options, out)?;
    let stored = StoredFile { file, half: None };
    let cells_only = flags.reads_cells() && !flags.any_part() && !out.is_json();
    if !cells_only {
        print(&stored.file, flags, out)?;
    }
    if flags.reads_cells() {
        examine::walk(&stored, flags.look(), None, flags, out)?;
    }
    Ok(Exit::Done)
}

/// Prints the selected parts. Without a selection, text output has all parts except the block headers. JSON
/// output always has all parts, with block headers only on request.
pub(crate) fn print(file: &HFile, flags: &HBaseFlags, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return report::print_json(file, flags.blocks, out);
    }
    let all = !flags.any_part();
    if all {
        report::text::summary(file, out)?;
    }
    if all || flags.meta {
        report::text::meta(file, out)?;
    }
    if all || flags.block_index {
        report::text::root_index(file, out)?;
    }
    if flags.blocks {
        report::text::blocks(file, out)?;
    }
    Ok(())
}
