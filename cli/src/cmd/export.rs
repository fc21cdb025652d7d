//! `hregion export`: writes the rows of a table to files.

use crate::args::FileArgs;
use crate::cell_csv;
use crate::failure::{CommandError, Exit, Failure};
use crate::new_dir::NewDir;
use crate::new_file::check_output;
use crate::output::Output;
use crate::parallel::JobArgs;
use crate::probe;
use crate::query_args::{CellArgs, RangeArgs, RowArgs};
use crate::row_output::{put_csv, put_json};
use crate::server_args::ServerArgs;
use crate::source::{Draws, InputSource, SourcePart};
use crate::target_args::TargetArgs;
use crate::text;
use crate::text_file::TextFile;
use clap::ValueEnum;
use hregion::cell::StringBinary;
use hregion::{CellRef, RegionInfo, RowRef};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Write the rows of a table, region or snapshot to files, one per region
///
/// The rows are those that `hregion scan` prints, in the same formats: one line per cell. A file is named
/// like its region; those of a family or an HFile are in the file rows. The file manifest.json lists the
/// files with the bounds of their regions, the numbers of rows and cells, the bytes and the SHA-256.
/// Regions are read at once on several threads. With --zookeeper, --bootstrap or --site, the table of a
/// running cluster is read from its servers, each region at another moment. The directory is renamed into
/// place when it is complete.
///
/// With --json prints {"file","table","region","encoded","start","end","rows","cells","bytes","sha256"} for
/// each file, then {"summary":{"files","rows","cells","bytes"}}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    target: TargetArgs,

    /// The format of the files
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    to: Form,

    /// The directory to write
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    out: PathBuf,

    /// Compress the files
    #[arg(long, help_heading = "Output")]
    gzip: bool,

    /// Replace the directory if it exists, and was written by this command
    #[arg(long, help_heading = "Output")]
    force: bool,

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
  jq -r '.files[] | .sha256 + \"  \" + .file' users/manifest.json | (cd users && sha256sum -c)";

/// The format of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Form {
    /// JSON lines
    Jsonl,
    /// Comma-separated values, with a header line
    Csv,
}

const MANIFEST: &str = "manifest.json";
/// The name of the file of rows that are in no region.
const NO_REGION: &str = "rows";
/// Lines are handed to a file when they have this many bytes.
const BUFFER: usize = 64 << 10;

/// A file that was written.
struct Exported {
    rows: u64,
    cells: u64,
    bytes: u64,
    /// Its members in the manifest.
    json: Value,
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    check_directory(&args.out, args.force)?;
    let rows = RowArgs::from(args.range.clone());
    if let Some(table) = args.server.table(&args.target, &args.cells, &args.reading)? {
        let dir = NewDir::create(&args.out)?;
        let export = |region: &RegionInfo| {
            let scan = |take: Take<'_>| table.scan_region(region, &rows, &args.cells, take);
            export(Some(region), args, dir.aside(), scan)
        };
        let files = export_all(&table.regions(&rows)?, export, args)?;
        return finish(dir, &files, args, out);
    }
    let draws = Draws { prints: false, all: true };
    let source = InputSource::open(&args.target, &args.reading, &args.cells, Some(draws), out)?;
    let dir = NewDir::create(&args.out)?;
    let export = |part: &SourcePart<'_>| {
        let region = part.open()?;
        let info = match part {
            SourcePart::Closed(..) => Some(region.info().clone()),
            SourcePart::Files(_) => None,
        };
        let scan = |take: Take<'_>| source.scan_part(region, &rows, &args.cells, take);
        export(info.as_ref(), args, dir.aside(), scan)
    };
    let files = export_all(&source.parts_of(&rows), export, args)?;
    finish(dir, &files, args, out)
}

/// Writes the files of the parts, several at once.
fn export_all<P: Sync>(
    parts: &[P],
    export: impl Fn(&P) -> Result<Exported, Failure> + Sync,
    args: &Args,
) -> Result<Vec<Exported>, Failure> {
    let mut files = Vec::new();
    args.jobs.in_order(parts, export, |exported| {
        files.push(exported?);
        Ok(())
    })?;
    Ok(files)
}

/// Writes the manifest, renames the directory into place, and prints what was written.
fn finish(dir: NewDir, files: &[Exported], args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let sum = |of: fn(&Exported) -> u64| files.iter().map(of).sum::<u64>();
    let (rows, cells, bytes) = (sum(|file| file.rows), sum(|file| file.cells), sum(|file| file.bytes));
    let files: Vec<&Value> = files.iter().map(|file| &file.json).collect();
    let mut manifest = TextFile::create(&dir.aside().join(MANIFEST), false)?;
    let content = json!({ "files": &files, "rows": rows, "cells": cells, "bytes": bytes });
    manifest.write(format!("{}\n", text::json(&content)).as_bytes())?;
    manifest.finish()?;
    dir.persist(args.force)?;
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

/// Fails if the directory exists and must not be replaced, or was not written by this command.
fn check_directory(path: &Path, force: bool) -> Result<(), CommandError> {
    check_output(path, force, &[])?;
    if probe::exists(path)? && !probe::is_file(&path.join(MANIFEST))? {
        return Err(CommandError::invalid_file(path, "not a directory of exported rows, it is not replaced"));
    }
    Ok(())
}

/// Takes the rows of a part.
type Take<'t> = &'t mut dyn FnMut(RowRef<'_>) -> Result<(), Failure>;

/// Writes the rows of a region, or of files without one, to a file in `dir`.
fn export(
    info: Option<&RegionInfo>,
    args: &Args,
    dir: &Path,
    scan: impl FnOnce(Take<'_>) -> Result<(), Failure>,
) -> Result<Exported, Failure> {
    let (put, ending): (fn(&mut Vec<u8>, &CellRef<'_>), _) = match args.to {
        Form::Jsonl => (put_json, "jsonl"),
        Form::Csv => (put_csv, "csv"),
    };
    let encoded = info.map(RegionInfo::encoded_name);
    let name = encoded.as_deref().unwrap_or(NO_REGION);
    let name = format!("{name}.{ending}{}", if args.gzip { ".gz" } else { "" });
    let path = dir.join(&name);
    let mut file = TextFile::create(&path, false)?;
    let (mut count, mut cells, mut lines) = (0_u64, 0_u64, Vec::new());
    if args.to == Form::Csv {
        lines.extend_from_slice(cell_csv::HEADER);
    }
    scan(&mut |row| {
        count += 1;
        cells += row.len() as u64;
        row.cells().for_each(|cell| put(&mut lines, &cell));
        if lines.len() >= BUFFER {
            file.write(&lines)?;
            lines.clear();
        }
        Ok(())
    })?;
    file.write(&lines)?;
    file.finish()?;
    let (bytes, sum) = sum(&path).map_err(|error| CommandError::io("read", &path, &error))?;
    let member = |value: Option<String>| value.map_or(Value::Null, Value::String);
    let shown = |bytes: &[u8]| StringBinary(bytes).to_string();
    let json = json!({
        "file": name,
        "table": member(info.map(|info| info.table().to_string())),
        "region": member(info.map(|info| shown(&info.name()))),
        "encoded": member(encoded),
        "start": member(info.map(|info| shown(info.start_key()))),
        "end": member(info.map(|info| shown(info.end_key()))),
        "rows": count,
        "cells": cells,
        "bytes": bytes,
        "sha256": sum,
    });
    Ok(Exported { rows: count, cells, bytes, json })
}

/// Returns the length of a file, and its SHA-256 in hexadecimal digits.
fn sum(path: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut buffer) = (File::open(path)?, vec![0; BUFFER]);
    let (mut bytes, mut sum) = (0, Sha256::new());
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        sum.update(buffer.get(..read).unwrap_or_default());
        bytes += read as u64;
    }
    Ok((bytes, sum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}
