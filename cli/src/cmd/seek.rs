//! `hregion seek`: looks up a key with the index.

use crate::args::{FileArgs, LineArgs};
use crate::cell_json::MEMBERS;
use crate::cell_line::{self, CellFormat, LineStyle};
use crate::failure::{CommandError, Exit, Failure};
use crate::lines::{Lines, json_fault};
use crate::output::Output;
use crate::progress::Progress;
use crate::query_args::no_option;
use crate::target;
use hregion::cell::{LATEST_TIMESTAMP, MAX_FAMILY_LEN, MAX_ROW_LEN, from_string_binary};
use hregion::{BlockCache, CellRef, CellType, HFile, Limits, SeekKey};
use serde_json::{Map, Value};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Find the first cell at or after a key, using the index
///
/// Prints the cell, or nothing if there is none. Row and column are given in their printed form: \xHH for
/// bytes that are not printable ASCII.
///
/// With --keys, looks up many keys: one JSON object per line,
/// {"row","family","qualifier","timestamp","type"}, where missing members default to empty, the latest
/// timestamp, and the type Maximum; other members of a cell are ignored. With --json, prints
/// {"key","seek","cell","before"} for each: the result of HBase's seekTo (0 the exact key, 1 a cell before
/// it, -1 none, -2 the first cell after it), the cell found, and the last cell before the key.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// HFile to search
    file: PathBuf,

    /// Row of the key
    #[arg(required_unless_present = "keys", conflicts_with = "limit_line_bytes")]
    #[arg(allow_hyphen_values = true, value_parser = no_option)]
    row: Option<String>,

    /// Column of the key: family:qualifier, or a family; --x: is a family that begins with hyphens
    #[arg(allow_hyphen_values = true, value_parser = column)]
    column: Option<String>,

    /// Find the last cell before the key
    #[arg(long, conflicts_with = "keys")]
    before: bool,

    /// Look up the keys in this file, as JSON lines (- for standard input; .gz is decompressed)
    #[arg(long, value_name = "FILE", conflicts_with = "row")]
    keys: Option<PathBuf>,

    /// Also print values and tags
    #[arg(short = 'p', long)]
    values: bool,

    #[command(flatten)]
    lines: LineArgs,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion seek 8e8ab58dcf39412d user1
  hregion seek 8e8ab58dcf39412d 'user1\\x00' cf:name --before
  hregion seek 8e8ab58dcf39412d --keys keys.jsonl --json";

impl Args {
    fn look(&self) -> LineStyle {
        if self.values { LineStyle::KeyValue } else { LineStyle::Plain }
    }
}

/// Capacity of the block cache for many keys, in bytes.
const CACHE: u64 = 64 << 20;

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let options = args.reading.options(out)?;
    let Some(keys) = &args.keys else {
        let key = key_of(args.row.as_deref().unwrap_or_default(), args.column.as_deref())?;
        let file = target::open(&args.file, None, &options, out)?;
        out.warn_of_mob(&file);
        return seek(&file, &key, args, out);
    };
    let file = target::open(&args.file, None, &options.cache(&BlockCache::with_capacity(CACHE)), out)?;
    seek_many(&file, keys, args, out)
}

/// Returns a column. Rejects what may be a mistyped option, which would be read as a family.
fn column(text: &str) -> Result<String, String> {
    match text.starts_with('-') && !text.contains(':') {
        true => Err(format!("neither an option nor family:qualifier; write the family as {text}:")),
        false => Ok(text.to_owned()),
    }
}

/// Returns the key before all versions of a row or a column.
fn key_of(row: &str, column: Option<&str>) -> Result<SeekKey, CommandError> {
    let (family, qualifier) =
        column.map_or(("", ""), |column| column.split_once(':').unwrap_or((column, "")));
    let (row, family, qualifier) =
        (from_string_binary(row), from_string_binary(family), from_string_binary(qualifier));
    check_lengths(&row, &family).map_err(CommandError::invalid)?;
    Ok(SeekKey::first_on_column(&row, &family, &qualifier))
}

/// Checks the lengths that the library asserts.
fn check_lengths(row: &[u8], family: &[u8]) -> Result<(), String> {
    if row.len() > MAX_ROW_LEN {
        return Err(format!("a row of {} bytes, expected {MAX_ROW_LEN} at most", row.len()));
    }
    if family.len() > MAX_FAMILY_LEN {
        return Err(format!("a family of {} bytes, expected {MAX_FAMILY_LEN} at most", family.len()));
    }
    Ok(())
}

fn seek(file: &HFile, key: &SeekKey, args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let mut cells = file.scanner();
    if args.before {
        cells.seek_before(key)?;
    } else {
        cells.seek(key)?;
    }
    if let Some(cell) = cells.peek() {
        let mut line = Vec::new();
        CellFormat::new(out.is_json(), file.has_seq_ids(), args.look()).set_line(&mut line, &cell);
        out.write_all(&line)?;
    }
    Ok(Exit::Done)
}

fn seek_many(file: &HFile, path: &Path, args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let json = out.is_json();
    let format = CellFormat::new(json, file.has_seq_ids(), args.look());
    let put_cell = |line: &mut Vec<u8>, cell: Option<CellRef<'_>>| match cell {
        None => line.extend_from_slice(if json { b"null" } else { b"-" }),
        Some(cell) => format.put(line, &cell),
    };
    let mut keys = KeyLines::open(path, &args.lines.limits())?;
    let (mut cells, mut before) = (file.scanner(), file.scanner());
    let mut line = Vec::new();
    while let Some(key) = keys.next()? {
        let code = cells.seek_to(key)?.code();
        before.seek_before(key)?;
        line.clear();
        if json {
            line.extend_from_slice(b"{\"key\":");
            cell_line::put_json_key(&mut line, key);
            line.extend_from_slice(format!(",\"seek\":{code},\"cell\":").as_bytes());
            put_cell(&mut line, cells.peek());
            line.extend_from_slice(b",\"before\":");
            put_cell(&mut line, before.peek());
            line.extend_from_slice(b"}\n");
        } else {
            cell_line::put_text_key(&mut line, key);
            line.extend_from_slice(format!("\t{code}\t").as_bytes());
            put_cell(&mut line, cells.peek());
            line.push(b'\t');
            put_cell(&mut line, before.peek());
            line.push(b'\n');
        }
        out.write_all(&line)?;
    }
    Ok(Exit::Done)
}

/// Keys from JSON lines.
struct KeyLines<'p> {
    lines: Lines<'p>,
    key: SeekKey,
}

impl<'p> KeyLines<'p> {
    fn open(path: &'p Path, limits: &Limits) -> Result<Self, CommandError> {
        Ok(Self { lines: Lines::open(path, limits, &Progress::none())?, key: SeekKey::new() })
    }

    /// Returns the next key; `None` at the end.
    fn next(&mut self) -> Result<Option<&SeekKey>, CommandError> {
        let Some(line) = self.lines.next_json()? else { return Ok(None) };
        match set_key(&mut self.key, line) {
            Ok(()) => Ok(Some(&self.key)),
            Err(message) => Err(self.lines.wrong(&message)),
        }
    }
}

fn set_key(key: &mut SeekKey, line: &[u8]) -> Result<(), String> {
    let members: Map<String, Value> = serde_json::from_slice(line).map_err(|error| json_fault(&error))?;
    // A cell is a key, too. Another member may be mistyped, and the key would lack it.
    if let Some(other) = members.keys().find(|name| !MEMBERS.contains(&name.as_str())) {
        return Err(format!("{other:?}: expected one of {}", MEMBERS.join(", ")));
    }
    let bytes = |name: &str| match members.get(name) {
        None => Ok(Vec::new()),
        Some(Value::String(text)) => Ok(from_string_binary(text)),
        Some(_) => Err(format!("{name}: expected a string")),
    };
    let timestamp = match members.get("timestamp") {
        None => LATEST_TIMESTAMP,
        Some(value) => value.as_i64().ok_or("timestamp: expected a number of milliseconds")?,
    };
    let cell_type = match members.get("type") {
        None => CellType::Maximum,
        Some(name) => name.as_str().and_then(CellType::from_name).ok_or(
            "type: expected Put, Delete, DeleteFamilyVersion, DeleteColumn, DeleteFamily, Maximum or Minimum",
        )?,
    };
    let (row, family, qualifier) = (bytes("row")?, bytes("family")?, bytes("qualifier")?);
    check_lengths(&row, &family)?;
    key.set(&row, &family, &qualifier, timestamp, cell_type);
    Ok(())
}
