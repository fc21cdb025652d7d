//! `hregion stats`: prints statistics of cells.

use crate::args::FileArgs;
use crate::concurrent_changes::read_listed;
use crate::failure::{CommandError, Exit, Failure};
use crate::faults::Faults;
use crate::new_file::check_output;
use crate::output::Output;
use crate::parallel::JobArgs;
use crate::part_sums::sum_parts;
use crate::probe;
use crate::query_args::{CellArgs, RowArgs};
use crate::regions::{OpenRegion, OpenRegions};
use crate::source::{Draws, InputSource, SourcePart, bytes_of, for_each_stored};
use crate::stats::{self, Stats};
use crate::store_files::{self, StoreFile};
use crate::target_args::TargetArgs;
use crate::text;
use crate::text_file::TextFile;
use clap::ValueEnum;
use hregion::{Clock as _, SystemClock, TableName};
use std::io::Write as _;
use std::iter;
use std::path::{Path, PathBuf};

/// Show the sizes, numbers and ages of cells
///
/// Reads the cells that a raw scan of all versions reads: each cell once, including older versions and delete
/// markers, from 1970 on. Prints the size distributions of rows, cells, keys and values; the cells per row,
/// versions per column and ages of cells; and the heaviest rows; for a namespace or a root directory, for
/// each table. Memory use does not depend on the amount of data. The size of a cell is its size in a block
/// without encoding: 8 bytes for its lengths, key, value and tags; values in MOB files count with the cells
/// that refer to them. Regions are read on several threads. If a table cannot be read, prints its
/// error and the statistics of the others; with --by region, also those of its other regions.
///
/// With --by region or --by file, prints one line for each: the numbers of rows, cells, bytes and delete
/// markers, the percentage of cells that are delete markers, and the average number of versions per column.
///
/// With --json: one object, for several tables one for each, with "table", with --by also with "region" or
/// with "path" alone: {"rows","columns","cells","bytes","types","families","timestamps","delete_markers",
/// "marker_percent","row_bytes","row_cells","cell_bytes","key_bytes","value_bytes","column_versions",
/// "age_millis","future_cells","heaviest_rows","hottest_rows","largest_cells"}. The hottest rows are the rows
/// with the most cells, which are the writes that are still stored.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,

    /// Print one line of counts for each region or file
    #[arg(long, value_name = "PART", conflicts_with = "svg")]
    by: Option<By>,

    /// Number of heaviest rows and largest cells to list [default: 10]
    #[arg(long, value_name = "ROWS")]
    #[arg(value_parser = clap::value_parser!(u16).range(0..=1000))]
    top: Option<u16>,

    /// Time at which ages are measured, in milliseconds since 1970 [default: now]
    #[arg(long, value_name = "MILLIS", allow_negative_numbers = true)]
    now: Option<i64>,

    /// Also draw the distributions as a picture (SVG)
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    svg: Option<PathBuf>,

    /// Replace the picture if it exists
    #[arg(long, requires = "svg", help_heading = "Output")]
    force: bool,

    #[command(flatten)]
    jobs: JobArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion stats 8e8ab58dcf39412d
  hregion stats data/default/users --top 50 --svg users.svg
  hregion stats --by file data/default/users
  hregion stats --json data/default/users/5d4f0e2b | jq .value_bytes.p99";

/// A part of the target.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum By {
    /// One line for each region
    Region,
    /// One line for each store file
    File,
}

impl Args {
    fn top(&self) -> usize {
        self.top.unwrap_or(10).into()
    }
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(svg) = &args.svg {
        if svg.as_os_str() == "-" {
            return Err(CommandError::usage("--svg: expected a file").into());
        }
        check_output(svg, args.force, &inputs(svg, args, out)?)?;
    }
    let unused = [("--top", args.top.is_some()), ("--now", args.now.is_some())];
    if let Some((name, _)) = unused.iter().find(|(_, is_given)| *is_given)
        && args.by.is_some()
        && !out.is_json()
    {
        return Err(CommandError::usage(format!("{name}: no effect with --by, unless with --json")).into());
    }
    let now = args.now.unwrap_or_else(|| SystemClock.now());
    if matches!(args.by, Some(By::File)) {
        return by_file(args, now, out);
    }
    let draws = Draws { prints: false, all: true };
    let (cells, mut faults) = (CellArgs::default(), Faults::default());
    let sources = InputSource::open_all(&args.target, &args.reading, &cells, Some(draws), &mut faults, out)?;
    if args.svg.is_some() && !(faults.is_empty() && matches!(&sources[..], [_])) {
        faults.finish()?;
        return Err(CommandError::usage("--svg: expected one table, not a directory of tables").into());
    }
    let empty = || Stats::new(now, args.top());
    let of_region = |source: &InputSource, regions: &OpenRegions| {
        let mut stats = empty();
        source.for_each_stored(regions, |cell| {
            stats.add(&cell);
            Ok(())
        })?;
        stats.finish();
        Ok::<_, Failure>(stats)
    };
    if matches!(args.by, Some(By::Region)) {
        print_heading(out)?;
        let done = sources.iter().try_for_each(|(table, source)| {
            let parts = source.parts_of(&RowArgs::default());
            let of_part = |part: &SourcePart<'_>| {
                let opened = part.open()?;
                let info = &opened.info;
                let names = [("table", info.table().to_string()), ("region", info.encoded_name())];
                Ok::<_, Failure>((names, of_region(source, &opened)?))
            };
            args.jobs.in_order(&parts, of_part, |found| match faults.take(table.as_ref(), found, out)? {
                Some((names, stats)) => print_part(&names, &stats, out),
                None => Ok(()),
            })
        });
        return faults.end(done, out);
    }
    let of_part = |source: &InputSource, part: &SourcePart<'_>| of_region(source, &part.open()?);
    let done = sum_parts(&sources, (&RowArgs::default(), args.jobs), empty, of_part, |table, found| {
        let Some(stats) = faults.take(table, found, out)? else { return Ok(()) };
        if let Some(svg) = &args.svg {
            let mut file = TextFile::create(svg, args.force)?;
            file.write(stats::draw(&stats).as_bytes())?;
            file.finish()?;
        }
        print(table, &stats, out)
    });
    faults.end(done, out)
}

/// Returns the paths that the picture must not replace; if it exists, also the files to which the target's
/// links and references, or its manifest, lead.
fn inputs(svg: &Path, args: &Args, out: &Output) -> Result<Vec<PathBuf>, Failure> {
    let TargetArgs { target, kind } = &args.target;
    let mut inputs: Vec<_> = iter::once(target).chain(args.reading.files()).cloned().collect();
    if args.force && probe::exists(svg)? {
        let options = args.reading.region_options(out)?;
        // An unlistable directory causes an error below, before the picture is written.
        for StoreFile { path, .. } in store_files::find(target, *kind, &args.reading, out).unwrap_or_default()
        {
            inputs.extend(options.hfile_of(&path).ok().flatten());
            inputs.push(path);
        }
        let mob = store_files::mob_regions(target, *kind, &args.reading, out).unwrap_or_default().into_iter();
        let mob = mob.flat_map(|region| region.families).flat_map(|family| family.files);
        inputs.extend(mob.map(|file| file.path));
    }
    Ok(inputs)
}

/// Prints the statistics of each store file.
fn by_file(args: &Args, now: i64, out: &mut Output) -> Result<Exit, Failure> {
    let TargetArgs { target, kind } = &args.target;
    out.start_progress(bytes_of(target, *kind), false);
    let files = store_files::find(target, *kind, &args.reading, out)?;
    let options = args.reading.region_options(out)?.storage(out.progress().storage());
    print_heading(out)?;
    let of_file = |file: &StoreFile| {
        read_listed(&file.path, |path| {
            let region = OpenRegion::whole(options.clone().open_files([path])?);
            let mut stats = Stats::new(now, args.top());
            for_each_stored(&region, &CellArgs::of_all_stored(), |cell| {
                stats.add(&cell);
                Ok(())
            })?;
            stats.finish();
            Ok::<_, Failure>((text::json_path(&file.path), stats))
        })
    };
    args.jobs.in_order(&files, of_file, |found| {
        let (path, stats) = found?;
        print_part(&[("path", path)], &stats, out)
    })?;
    Ok(Exit::Done)
}

fn print_heading(out: &mut Output) -> Result<(), Failure> {
    if !out.is_json() {
        writeln!(out, "{}", Stats::HEADING)?;
    }
    Ok(())
}

/// Prints the statistics of a part, with its names.
fn print_part(names: &[(&str, String)], stats: &Stats, out: &mut Output) -> Result<(), Failure> {
    if !out.is_json() {
        let name = names.last().map(|(_, name)| text::printable(name)).unwrap_or_default();
        stats.print_line(&name, out)?;
        return out.flush_aside();
    }
    let mut json = stats.json();
    for (member, name) in names.iter().rev() {
        if let Some(members) = json.as_object_mut() {
            members.shift_insert(0, (*member).into(), name.as_str().into());
        }
    }
    out.json_line(&json)
}

/// Prints statistics, with the name of the table if there are several.
fn print(table: Option<&TableName>, stats: &Stats, out: &mut Output) -> Result<(), Failure> {
    if !out.is_json() {
        if let Some(table) = table {
            writeln!(out, "table {table}")?;
        }
        stats::print(stats, out)?;
        return Ok(table.map_or(Ok(()), |_| writeln!(out))?);
    }
    let mut json = stats.json();
    if let (Some(table), Some(members)) = (table, json.as_object_mut()) {
        members.shift_insert(0, "table".into(), table.to_string().into());
    }
    out.json_line(&json)
}
