//! `hregion report`: writes a page about tables and files, to look at.

use crate::args::FileArgs;
use crate::failure::{CommandError, Exit, Failure};
use crate::new_file::{NewText, check_output};
use crate::output::Output;
use crate::overview::{Overview, Wanted};
use crate::parallel::JobArgs;
use crate::report_page;
use crate::target::{self, Kind};
use crate::vfs::check_local;
use hregion::{Clock as _, SystemClock};
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

/// Write a page that shows tables or files in a browser
///
/// Shows the regions of a table by size, with holes and overlaps; the files of a region by keys and age; the
/// blocks and the index of a file; statistics of the cells; and the findings of `hregion check` with their
/// fixes. The page is one file that needs no network and no other file. Files that cannot be read are listed,
/// and the rest is shown. All cells are read for the statistics, unless --no-cells is given. The blocks of a
/// file are joined to at most 240 pieces, fewer if there are many files. The MOB files of a table are shown
/// as a region that serves no reads.
///
/// For a snapshot, shows its regions and its files, wherever they are now; for a family or a file, the region
/// that contains it. Files outside of regions have no names of a table, a region and a family.
///
/// Exit code 3 if the check finds an error other than what this build does not support. Otherwise, the code
/// of the first file that cannot be read, or 4 if the check finds what this build does not support. Only
/// tables are checked: a snapshot, a region, a family and a file are shown without findings.
///
/// With --json: the same data as one object,
/// {"hregion","target","kind","now","summary","tables","findings","unread"}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// HFile, or directory of a family, region, table, snapshot, namespace or root
    target: PathBuf,

    /// Kind of TARGET [default: detected]
    #[arg(long = "as", value_name = "KIND")]
    kind: Option<Kind>,

    /// Do not read the cells, and show no statistics of them
    #[arg(long)]
    no_cells: bool,

    /// Time at which ages are measured, in milliseconds since 1970 [default: now]
    #[arg(long, value_name = "MILLIS", allow_negative_numbers = true)]
    now: Option<i64>,

    #[command(flatten)]
    jobs: JobArgs,

    /// HTML page to write
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    out: Option<PathBuf>,

    /// Replace the page if it exists
    #[arg(long, requires = "out", help_heading = "Output")]
    force: bool,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion report /hbase --out report.html
  hregion report /hbase/data/default/users --no-cells --out users.html
  hregion report 8e8ab58dcf39412d --out file.html
  hregion report --json /hbase | jq '.tables[] | [.table, .total.bytes]'";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    match &args.out {
        Some(page) if page.as_os_str() == "-" => {
            return Err(CommandError::usage("--out: expected a file").into());
        }
        Some(page) => check_page(page, args)?,
        None if out.is_json() => {}
        None => {
            let fault = CommandError::usage("expected --out FILE or --json");
            return Err(fault.with_hint(Some("--out writes a page, --json prints the data")).into());
        }
    }
    let kind = target::kind_of(&args.target, args.kind)?;
    if kind == Kind::Hfile {
        target::check_hfile(&args.target, out)?;
    }
    let now = args.now.unwrap_or_else(|| SystemClock.now());
    let wanted = Wanted { now, cells: !args.no_cells, jobs: args.jobs };
    let overview = Overview::read(&args.target, kind, wanted, &args.reading, out)?;
    if let Some(path) = &args.out {
        // Another file may have been written there in the meantime.
        check_page(path, args)?;
        let mut page = NewText::create(path, args.force)?;
        let written = page.write_all(report_page::page(overview.json()).as_bytes());
        written.map_err(|error| CommandError::io("write", path, &error))?;
        page.persist()?;
    }
    for fault in overview.faults() {
        out.warn(&fault.line());
    }
    let unread = overview.faults().first().map(CommandError::exit);
    let exit = match overview.exit() {
        Exit::Corrupt => Exit::Corrupt,
        found => unread.unwrap_or(found),
    };
    out.found(exit);
    if out.is_json() {
        out.json_line(&overview.json())?;
    }
    Ok(exit)
}

/// Fails if the page must not be written to `page`. Only another page is replaced.
fn check_page(page: &Path, args: &Args) -> Result<(), CommandError> {
    check_local(page)?;
    check_output(page, args.force, std::slice::from_ref(&args.target))?;
    let is_page = match fs::metadata(page) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Ok(file) if !file.is_file() => Ok(false),
        found => found.and_then(|_| begins_as_page(page)),
    };
    if is_page.map_err(|error| CommandError::io("read", page, &error))? {
        return Ok(());
    }
    Err(CommandError::invalid_file(page, "not a page of hregion report, and not replaced"))
}

fn begins_as_page(path: &Path) -> io::Result<bool> {
    let mut start = Vec::new();
    File::open(path)?.take(report_page::START.len() as u64).read_to_end(&mut start)?;
    Ok(start == report_page::START.as_bytes())
}
