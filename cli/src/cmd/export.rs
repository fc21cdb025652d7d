//! `hregion export`: writes the rows of a table to files.

#[cfg(feature = "arrow")]
mod batches;

use crate::args::FileArgs;
#[cfg(feature = "arrow")]
use crate::batch_export::BatchArgs;
use crate::cell_csv;
use crate::directories::{is_region, is_table};
use crate::export_dir::{ExportDir, check_remote};
use crate::export_manifest::{Exported, MANIFEST, file_name, names_listed};
use crate::failure::{CommandError, Exit, Failure};
use crate::lines::is_stdin;
use crate::new_file::{check_force, directory};
use crate::output::Output;
use crate::parallel::JobArgs;
use crate::probe;
use crate::query_args::{CellArgs, RangeArgs, RowArgs};
use crate::row_output::{put_csv, put_json, put_row};
use crate::server_args::{ServerArgs, ServerTable};
use crate::source::{Draws, InputSource, SourcePart};
use crate::target_args::TargetArgs;
use crate::text;
use crate::text_file::TextFile;
use crate::vfs;
use clap::ValueEnum;
use hregion::{CellRef, Clock as _, Region, RegionInfo, RowRef, SystemClock};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// Write the rows of a table, region or snapshot to files, one per region
///
/// The rows are those that `hregion scan` prints, in the same formats: one line per cell. A file has the name
/// of its region; the cells of an HFile, or of a family that is in no region, are in a file named rows. The
/// file manifest.json lists the files with the bounds of their regions, the numbers of rows and cells, the
/// bytes and the SHA-256. Regions are read on several threads. With --zookeeper, --bootstrap or --site, reads
/// the table of a running cluster from its servers, each region at another moment.
///
/// The directory must not be in TARGET, or in the table that TARGET is of. It is renamed into place when it
/// is complete. With the feature remote, it may be a URL of S3 or HDFS: files are then named
/// REGION.RANDOM.FORMAT, and the manifest is written last. A directory without a manifest is not a complete
/// export. With --force, the manifest atomically replaces the manifest of another export, whose files are
/// then removed.
///
/// Parquet and Arrow files have one row for each cell. With --mapping, or with --columns
/// family:qualifier=TYPE, they have one row for each row of the table, with typed columns; so does CSV.
/// TYPE[] is a list of all versions, and TYPE@ adds the timestamps. Write \x3D for an equals sign in a
/// qualifier. In CSV of typed columns, null is an empty field, and an empty text is ""; bytes other than
/// printable ASCII, and backslashes, are \xHH; timestamps are milliseconds; lists are JSON.
///
/// After an interruption, the same command continues an export to Parquet or Arrow, or of typed columns.
/// Complete files are kept, except those of regions with unflushed cells. Cells expire by the time of the
/// first run, which is "now" in the manifest.
///
/// With --json, prints {"file","table","region","encoded","start","end","rows","cells","bytes","sha256"} for
/// each file, then {"summary":{"files","rows","cells","bytes"}}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,

    /// Format of the files
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    to: Form,

    /// Directory to write, by path or URL
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: PathBuf,

    /// Compress files of JSON lines or CSV with gzip
    #[arg(long, help_heading = "Output")]
    gzip: bool,

    /// Replace the directory if it contains only an export
    ///
    /// A symbolic link is not replaced.
    #[arg(long, help_heading = "Output")]
    force: bool,

    /// Compare an existing export with its source, instead of writing one
    ///
    /// For exports to Parquet or Arrow, or of typed columns. The other options must be those of the export.
    /// Exit code 1 if there is a difference.
    #[cfg(feature = "arrow")]
    #[arg(long, conflicts_with = "force", help_heading = "Output")]
    check: bool,

    #[cfg(feature = "arrow")]
    #[command(flatten)]
    batches: BatchArgs,

    #[command(flatten)]
    jobs: JobArgs,

    #[command(flatten)]
    range: RangeArgs,

    #[command(flatten)]
    cells: CellArgs,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion export /hbase/data/default/users --to jsonl --gzip --out users
  hregion export /hbase/.hbase-snapshot/monday --to csv --columns cf:name --out names
  hregion export users --zookeeper localhost:2181 --to jsonl --gzip --out users
  hregion export users --to parquet --columns 'info:name=utf8,info:visits=long@' --out users
  hregion export users --to parquet --columns 'info:name=utf8,info:visits=long@' --out users --check
  hregion export users --to csv --gzip --columns 'info:name=utf8,info:visits=long@' --out users
  jq -r '.files[] | .sha256 + \"  \" + .file' users/manifest.json | (cd users && sha256sum -c)";

/// The format of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// JSON lines
    Jsonl,
    /// Comma-separated values with a header line: a row for each cell, or typed columns
    Csv,
    /// Parquet, compressed with Zstandard
    Parquet,
    /// Arrow's file format
    Arrow,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    #[cfg(feature = "arrow")]
    if let Some(export) = batches::of_args(args)? {
        return if args.check {
            batches::check(args, export, out)
        } else {
            batches::export(args, export, out)
        };
    }
    #[cfg(not(feature = "arrow"))]
    if matches!(args.to, Form::Parquet | Form::Arrow)
        || args.to == Form::Csv && args.cells.typed_columns().is_some()
    {
        let fault = CommandError::lacking("Parquet, Arrow and typed columns are not built in");
        return Err(fault.with_hint(Some("build with the feature `arrow`")).into());
    }
    check_directory(args)?;
    let rows = RowArgs::from(args.range.clone());
    let mut cells = args.cells.clone();
    if !args.server.is_given() {
        // with one time for the whole export
        cells = cells.at(Some(cells.now().unwrap_or_else(|| SystemClock.now())));
    }
    let open = |path: &Path| ExportDir::create(path, args.force);
    let (dir, files) =
        export_parts(args, &rows, &cells, open, out, |info, _, dir, scan| export(info, args, dir, scan))?;
    finish(dir, &files, Map::new(), args, out)
}

/// Opens the source, and writes the files of its parts to a directory.
fn export_parts<W>(
    args: &Args,
    rows: &RowArgs,
    cells: &CellArgs,
    open: impl Fn(&Path) -> Result<ExportDir, CommandError>,
    out: &mut Output,
    write: W,
) -> Result<(ExportDir, Vec<Exported>), Failure>
where
    W: Fn(Option<&RegionInfo>, Option<&Region>, &ExportDir, Scan<'_>) -> Result<Exported, Failure> + Sync,
{
    if let Some(table) = args.server.table(&args.target, cells, Some(&args.reading))? {
        let dir = open(&args.out)?;
        let (regions, end) = (table.regions(rows)?, ServedEnd::find(&table, rows, cells)?);
        let export = |region: &RegionInfo| {
            let scan = |take: Take<'_>| end.scan(&table, region, (rows, cells), take);
            write(Some(region), None, &dir, &scan)
        };
        let files = export_all(&regions, export, args.jobs)?;
        return Ok((dir, files));
    }
    let draws = Draws { prints: false, all: true };
    let source = InputSource::open(&args.target, &args.reading, cells, Some(draws), out)?;
    let (dir, end) = (open(&args.out)?, ScanEnd::of(cells));
    let export = |part: &SourcePart<'_>| {
        let opened = part.open()?;
        let info = match part {
            SourcePart::Closed(..) => Some(&opened.info),
            SourcePart::Files(_) => None,
        };
        let scan = |take: Take<'_>| end.scan(|| source.scan_part(&opened, rows, cells, take));
        // a file is not kept if its rows depend on other regions
        let kept_by = opened.as_one().filter(|_| !end.is_possible);
        write(info, kept_by, &dir, &scan)
    };
    let files = export_all(&source.parts_of(rows), export, end.jobs(args.jobs))?;
    Ok((dir, files))
}

/// Writes the files of the parts, several at once.
fn export_all<P: Sync>(
    parts: &[P],
    export: impl Fn(&P) -> Result<Exported, Failure> + Sync,
    jobs: JobArgs,
) -> Result<Vec<Exported>, Failure> {
    let mut files = Vec::new();
    jobs.in_order(parts, export, |exported| {
        files.push(exported?);
        Ok(())
    })?;
    Ok(files)
}

/// Completes the directory with the manifest, and prints what was written.
fn finish(
    dir: ExportDir,
    files: &[Exported],
    mut manifest: Map<String, Value>,
    args: &Args,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let sum = |of: fn(&Exported) -> u64| files.iter().map(of).sum::<u64>();
    let (rows, cells, bytes) = (sum(|file| file.rows), sum(|file| file.cells), sum(|file| file.bytes));
    let files: Vec<&Value> = files.iter().map(|file| &file.json).collect();
    let names: Vec<_> = files.iter().filter_map(|file| file["file"].as_str()).collect();
    let sums = [("rows", rows), ("cells", cells), ("bytes", bytes)];
    manifest.insert("files".to_owned(), json!(&files));
    manifest.extend(sums.map(|(name, sum)| (name.to_owned(), sum.into())));
    let manifest = format!("{}\n", text::json(&Value::Object(manifest)));
    // something else may have the name by now
    check_directory(args)?;
    dir.finish(manifest.as_bytes(), &names, args.force, out)?;
    let count = files.len();
    if out.is_json() {
        files.into_iter().try_for_each(|file| out.json_line(file))?;
        let summary = json!({ "files": count, "rows": rows, "cells": cells, "bytes": bytes });
        out.json_line(&json!({ "summary": summary }))?;
    } else {
        let dir = text::path(&args.out);
        out.summary(&format!("{dir}: files {count}, rows {rows}, cells {cells}, bytes {bytes}"));
    }
    Ok(Exit::Done)
}

/// Fails if the directory is in the source, or exists and must not be replaced, or has anything but an export
/// of this command.
fn check_directory(args: &Args) -> Result<(), CommandError> {
    let (path, force) = (&*args.out, args.force);
    if is_stdin(path) {
        return Err(CommandError::usage("--out: expected a directory"));
    }
    if !args.server.is_given() && is_in_source(path, &args.target.target) {
        return Err(CommandError::invalid_file(path, "the output is in the input, which is never changed"));
    }
    if vfs::is_url(path) {
        return check_remote(path, force).map(drop);
    }
    if !probe::exists(path)? {
        return Ok(());
    }
    check_force(path, force)?;
    let refused = |why: &str| {
        let message = format!("not a directory of exported rows, and not replaced: {why}");
        CommandError::invalid_file(path, message)
    };
    // The link would be replaced, and its target would stay. A trailing slash would follow it.
    let named = path.components().as_path();
    let found = named.symlink_metadata().map_err(|error| CommandError::io("examine", path, &error))?;
    if found.is_symlink() {
        let hint = Some("name the directory to which it leads");
        return Err(refused("it is a symbolic link").with_hint(hint));
    }
    let manifest = path.join(MANIFEST);
    if !probe::is_file(&manifest)? {
        return Err(refused("it has no manifest.json"));
    }
    let text = fs::read(&manifest).map_err(|error| CommandError::io("read", &manifest, &error))?;
    let Some(listed) = names_listed(&text) else {
        return Err(refused("its manifest.json lists no files"));
    };
    let fault = |error| CommandError::io("list", path, &error);
    for entry in fs::read_dir(path).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let (name, is_dir) = (entry.file_name(), entry.file_type().map_err(fault)?.is_dir());
        if is_dir || !name.to_str().is_some_and(|name| name == MANIFEST || listed.contains(name)) {
            return Err(refused(&format!("its manifest.json does not list {}", name.display())));
        }
    }
    Ok(())
}

/// Whether a directory, which need not exist, is the source or below it, or below the region or table that
/// has it. Other calls report paths that cannot be resolved.
fn is_in_source(path: &Path, source: &Path) -> bool {
    if vfs::is_url(path) || vfs::is_url(source) {
        return path.starts_with(source);
    }
    let (Ok(mut source), Ok(parent)) = (vfs::full(source), vfs::full(directory(path))) else { return false };
    let is_part = |dir: &Path| matches!(is_region(dir), Ok(true)) || matches!(is_table(dir), Ok(true));
    while let Some(outer) = source.parent().filter(|outer| is_part(outer)) {
        source = outer.to_owned();
    }
    parent.join(path.file_name().unwrap_or_default()).starts_with(source)
}

/// The end of a scan of several parts, if a part may end it. The parts are then read in order.
struct ScanEnd {
    is_possible: bool,
    is_reached: AtomicBool,
}

impl ScanEnd {
    fn of(cells: &CellArgs) -> Self {
        Self { is_possible: cells.may_end_scan(), is_reached: AtomicBool::new(false) }
    }

    fn jobs(&self, jobs: JobArgs) -> JobArgs {
        if self.is_possible { JobArgs::one() } else { jobs }
    }

    /// Scans the next part, which returns whether the scan ends with it, unless it has ended.
    fn scan(&self, part: impl FnOnce() -> Result<bool, Failure>) -> Result<(), Failure> {
        if !self.is_reached.load(Ordering::Relaxed) && part()? && self.is_possible {
            self.is_reached.store(true, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// The last row of a scan of servers, if a region may end it: later regions have no rows of the scan. It is
/// determined first, because the scan of a single region does not show it.
struct ServedEnd(Option<Vec<u8>>);

impl ServedEnd {
    fn find(table: &ServerTable, rows: &RowArgs, cells: &CellArgs) -> Result<Self, Failure> {
        if !cells.may_end_scan() {
            return Ok(Self(None));
        }
        let mut last = Vec::new();
        table.scan(rows, cells, |row| {
            last.clear();
            last.extend_from_slice(row.key());
            Ok(())
        })?;
        Ok(Self(Some(last)))
    }

    fn scan(
        &self,
        table: &ServerTable,
        region: &RegionInfo,
        (rows, cells): (&RowArgs, &CellArgs),
        take: Take<'_>,
    ) -> Result<(), Failure> {
        match &self.0 {
            Some(last) if region.start_key() > last.as_slice() => Ok(()),
            _ => table.scan_region(region, rows, cells, take),
        }
    }
}

/// Takes the rows of a part.
type Take<'t> = &'t mut dyn FnMut(RowRef<'_>) -> Result<(), Failure>;

/// Passes the rows of a part on.
type Scan<'s> = &'s dyn Fn(Take<'_>) -> Result<(), Failure>;

/// Writes the rows of a region, or of files without one, to a file in `dir`.
fn export(
    info: Option<&RegionInfo>,
    args: &Args,
    dir: &ExportDir,
    scan: Scan<'_>,
) -> Result<Exported, Failure> {
    let (put, ending): (fn(&mut Vec<u8>, &CellRef<'_>), _) = match args.to {
        Form::Csv => (put_csv, "csv"),
        _ => (put_json, "jsonl"),
    };
    let name = dir.name_new(file_name(info, &format!("{ending}{}", if args.gzip { ".gz" } else { "" })));
    let mut file = TextFile::create_hashed(&dir.path().join(&name), false)?;
    let (mut count, mut cells, mut lines) = (0_u64, 0_u64, Vec::new());
    if args.to == Form::Csv {
        lines.extend_from_slice(cell_csv::HEADER);
    }
    scan(&mut |row| {
        count += 1;
        cells += row.len() as u64;
        Ok(put_row(&mut lines, row, put, |lines| file.write(lines))?)
    })?;
    file.write(&lines)?;
    let sum = file.finish()?;
    dir.add(&name, &sum)?;
    Ok(Exported::describe(&name, info, [count, cells], &sum, Map::new()))
}
