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
use crate::source::{Draws, InputSource, SourcePart};
use crate::target_args::TargetArgs;
use crate::text;
use crate::text_file::TextFile;
use clap::ValueEnum;
use hregion::CellRef;
use hregion::cell::StringBinary;
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
/// Regions are read at once on several threads. The directory is renamed into place when it is complete.
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
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion export /hbase/data/default/users --to jsonl --gzip --out users
  hregion export /hbase/.hbase-snapshot/monday --to csv --columns cf:name --out names
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
    let draws = Draws { prints: false, all: true };
    let source = InputSource::open(&args.target, &args.reading, &args.cells, Some(draws), out)?;
    let rows = RowArgs::from(args.range.clone());
    let dir = NewDir::create(&args.out)?;
    let parts = source.parts_of(&rows);
    let (mut files, mut sums) = (Vec::new(), [0; 3]);
    let export = |part: &SourcePart<'_>| export(&source, part, &rows, args, dir.aside());
    args.jobs.in_order(&parts, export, |exported| {
        let Exported { rows, cells, bytes, json } = exported?;
        sums = [sums[0] + rows, sums[1] + cells, sums[2] + bytes];
        files.push(json);
        Ok(())
    })?;
    let [rows, cells, bytes] = sums;
    let mut manifest = TextFile::create(&dir.aside().join(MANIFEST), false)?;
    let content = json!({ "files": &files, "rows": rows, "cells": cells, "bytes": bytes });
    manifest.write(format!("{}\n", text::json(&content)).as_bytes())?;
    manifest.finish()?;
    dir.persist(args.force)?;
    let count = files.len();
    if out.is_json() {
        files.iter().try_for_each(|file| out.json_line(file))?;
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

/// Writes the rows of a part to a file in `dir`.
fn export(
    source: &InputSource,
    part: &SourcePart<'_>,
    rows: &RowArgs,
    args: &Args,
    dir: &Path,
) -> Result<Exported, Failure> {
    let region = part.open()?;
    let info = match part {
        SourcePart::Closed(..) => Some(region.info().clone()),
        SourcePart::Files(_) => None,
    };
    let (put, ending): (fn(&mut Vec<u8>, &CellRef<'_>), _) = match args.to {
        Form::Jsonl => (put_json, "jsonl"),
        Form::Csv => (put_csv, "csv"),
    };
    let encoded = info.as_ref().map(|info| info.encoded_name());
    let name = encoded.as_deref().unwrap_or(NO_REGION);
    let name = format!("{name}.{ending}{}", if args.gzip { ".gz" } else { "" });
    let path = dir.join(&name);
    let mut file = TextFile::create(&path, false)?;
    let (mut count, mut cells, mut lines) = (0_u64, 0_u64, Vec::new());
    if args.to == Form::Csv {
        lines.extend_from_slice(cell_csv::HEADER);
    }
    source.scan_part(region, rows, &args.cells, |row| {
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
    let info = info.as_ref();
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
