//! `hregion du`: bytes, cells and ages of store files.

use crate::args::FileArgs;
use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::probe;
use crate::regions::files_below;
use crate::target::check_local;
use crate::text;
use hregion::io::{LocalStorage, Storage};
use hregion::region::FileKind;
use hregion::{HFileOptions, TableName};
use serde_json::{Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Show the bytes, cells and ages of store files
///
/// Reads the trailers of the files, and no cells. Prints the bytes, the number of cells, the oldest and the
/// newest timestamp of each file, and of each family, region and directory above. References and links have
/// few bytes and no cells of their own. The timestamps are those of the time range in the file: from 0 on, if
/// it has a marker that deletes all older versions.
///
/// With --json: {"table","region","family","path","bytes","cells","oldest","newest"} for each file, with null
/// for what is unknown.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Store files, or directories of any level
    #[arg(required = true, value_name = "TARGET")]
    targets: Vec<PathBuf>,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion du /hbase/data/default/users
  hregion du --json /hbase | jq -s 'map(.bytes) | add'";

/// What a file or a directory has.
#[derive(Clone, Copy, Debug, Default)]
struct Usage {
    bytes: u64,
    cells: Option<u64>,
    /// The oldest and newest timestamps.
    times: Option<(i64, i64)>,
}

impl Usage {
    fn add(&mut self, other: Self) {
        self.bytes += other.bytes;
        self.cells = match (self.cells, other.cells) {
            (a, None) => a,
            (a, Some(b)) => Some(a.unwrap_or(0) + b),
        };
        self.times = match (self.times, other.times) {
            (a, None) => a,
            (None, b) => b,
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        };
    }

    fn print(self, path: &Path, out: &mut Output) -> Result<(), Failure> {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        let cells = shown(self.cells.map(|cells| cells.to_string()));
        let oldest = shown(self.times.map(|times| times.0.to_string()));
        let newest = shown(self.times.map(|times| times.1.to_string()));
        let path = text::path(path);
        writeln!(out, "{:>14} {cells:>12} {oldest:>16} {newest:>16}  {path}", self.bytes)?;
        Ok(())
    }
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let options = args.reading.options(out)?;
    let storage: Arc<dyn Storage> = Arc::new(LocalStorage);
    if !out.is_json() {
        writeln!(out, "{:>14} {:>12} {:>16} {:>16}", "bytes", "cells", "oldest", "newest")?;
    }
    for target in &args.targets {
        check_local(target)?;
        let mut files = Vec::new();
        match probe::is_dir(target)? {
            true => files_below(target, &mut files)?,
            false => files.push(target.clone()),
        }
        // The directories that the current file is in, from the target down, with what they have so far.
        let mut open: Vec<(PathBuf, Usage)> = Vec::new();
        for path in files {
            let kind = FileKind::of(&storage, &path)?;
            let is_stored = match kind {
                FileKind::StoreFile | FileKind::Reference | FileKind::Link => true,
                FileKind::Unknown => path == *target || has_store_file_name(&path),
                _ => false,
            };
            if !is_stored {
                continue;
            }
            let usage = usage_of(&path, kind, &options)?;
            if out.is_json() {
                print_json(&path, usage, out)?;
                continue;
            }
            close(&mut open, &path, out)?;
            let known = open.last().map_or_else(|| target.clone(), |(dir, _)| dir.clone());
            let mut below: Vec<PathBuf> = path.ancestors().skip(1).map(Path::to_owned).collect();
            below.retain(|dir| dir.starts_with(&known) && (*dir != known || open.is_empty()));
            open.extend(below.into_iter().rev().map(|dir| (dir, Usage::default())));
            open.iter_mut().for_each(|(_, sum)| sum.add(usage));
            usage.print(&path, out)?;
        }
        close(&mut open, Path::new(""), out)?;
    }
    Ok(Exit::Done)
}

/// Prints the directories that a file is not in.
fn close(open: &mut Vec<(PathBuf, Usage)>, path: &Path, out: &mut Output) -> Result<(), Failure> {
    while let Some((dir, sum)) = open.pop_if(|(dir, _)| !path.starts_with(dir)) {
        sum.print(&dir, out)?;
    }
    Ok(())
}

/// Whether a file outside of any region is named as HBase names store files.
fn has_store_file_name(path: &Path) -> bool {
    let name = path.file_name().map_or(&b""[..], |name| name.as_encoded_bytes());
    name.get(..32).is_some_and(|name| name.iter().all(u8::is_ascii_hexdigit))
}

fn usage_of(path: &Path, kind: FileKind, options: &HFileOptions) -> Result<Usage, Failure> {
    let meta = path.metadata().map_err(|error| CommandError::io("open", path, &error))?;
    let bytes = meta.len();
    if matches!(kind, FileKind::Reference | FileKind::Link) || bytes == 0 {
        return Ok(Usage { bytes, ..Usage::default() });
    }
    let file = options.open(path)?;
    let times = file.file_info().time_range().map_err(|corruption| corruption.at(path, 0))?;
    let times = times.filter(|_| file.entry_count() > 0).map(|range| (range.min, range.max));
    Ok(Usage { bytes, cells: Some(file.entry_count()), times })
}

fn print_json(path: &Path, usage: Usage, out: &mut Output) -> Result<(), Failure> {
    let full = std::fs::canonicalize(path).map_err(|error| CommandError::io("open", path, &error))?;
    let mut names = full.ancestors().skip(1).map(|dir| dir.file_name().map(|name| name.to_string_lossy()));
    let mut next = || names.next().flatten().map(|name| name.into_owned());
    let (family, region, table, namespace) = (next(), next(), next(), next());
    let table = namespace.zip(table).and_then(|(namespace, table)| TableName::new(namespace, table).ok());
    let is_below_data = next().is_some_and(|name| name == "data");
    let of = |name: Option<String>| name.filter(|_| is_below_data).map_or(Value::Null, Value::from);
    out.json_line(&json!({
        "table": of(table.map(|table| table.to_string())), "region": of(region), "family": of(family),
        "path": text::json_path(path), "bytes": usage.bytes, "cells": usage.cells,
        "oldest": usage.times.map(|times| times.0), "newest": usage.times.map(|times| times.1),
    }))
}
