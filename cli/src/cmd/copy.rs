//! `hregion copy`: copies rows into a table.

use crate::args::FileArgs;
use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::query_args::{CellArgs, RangeArgs, RowArgs};
use crate::regions::OpenRegion;
use crate::server_args::ServerArgs;
use crate::source::{Draws, InputSource};
use crate::table_load::TableLoad;
use crate::target::{Kind, check_hfile};
use crate::target_args::TargetArgs;
use crate::vfs;
use hregion::cell::StringBinary;
use hregion::{Family, RowRef};
use serde_json::json;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Copy rows of a table, region, snapshot or file into a table
///
/// The rows are those that `hregion scan` prints, with all versions that the families keep unless --versions
/// is given. With --zookeeper, --bootstrap or --site, they are read from the servers of a running cluster,
/// without tags; the options for reading files then apply to TABLE. The rows are written to HFiles with the
/// settings of the families of TABLE. The files are then moved into its regions, as in a bulk load: all cells
/// of a region become visible at once. Nothing is copied if anything cannot be read or written, or TABLE
/// lacks a family. If the process dies while files are moved, some regions and families have their cells, and
/// others do not.
///
/// Cells keep their timestamps. They are newer than cells of TABLE with the same timestamp; cells with later
/// timestamps, and delete markers, still hide them. --raw also copies delete markers and the cells that they
/// hide, but not from or to a family with NEW_VERSION_BEHAVIOR, for which the order of all writes matters.
///
/// No other process may write to TABLE at the same time. After a failure, the command can be repeated.
///
/// With --json, prints {"rows","cells","files"}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(flatten)]
    source: TargetArgs,

    /// Directory of the table to copy to, by path or URL of S3 or HDFS
    #[arg(value_name = "TABLE")]
    table: PathBuf,

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
  hregion copy /backup/data/default/users /hbase/data/default/users --prefix user1
  hregion copy /hbase/.hbase-snapshot/monday data/default/users --start ada --stop ben --columns cf:name
  hregion copy 8e8ab58dcf39412d data/default/users --raw
  hregion copy users data/default/users --zookeeper localhost:2181";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let (rows, cells) = (RowArgs::from(args.range.clone()), args.cells.clone().or_all_versions());
    // The options for reading files apply to the table that gets the rows.
    let served = args.server.table(&args.source, &cells, None)?;
    let input = (!args.server.is_given()).then_some(&args.source.target);
    let check_input = || if input.is_some() { check_source(&args.source, out) } else { Ok(()) };
    let load = TableLoad::begin(&args.table, input.into_iter(), &args.reading, check_input, out)?;
    load.regions().first().map_or(Ok(()), |region| check_order(region.path(), region.families(), &cells))?;
    let (mut files, mut count) = (load.files(), 0_u64);
    let mut take = |row: RowRef<'_>| {
        count += 1;
        row.cells().try_for_each(|cell| files.append(cell)).map_err(Failure::from)
    };
    if let Some(table) = served {
        if cells.is_raw() {
            check_order(&args.source.target, table.families()?.iter(), &cells)?;
        }
        table.scan(&rows, &cells, take)?;
    } else {
        let draws = Draws { prints: false, all: rows.is_all() };
        let source = InputSource::open(&args.source, &args.reading, &cells, Some(draws), out)?;
        for part in source.parts_of(&rows) {
            let opened = part.open()?;
            for OpenRegion { region, .. } in &opened.parts {
                check_order(region.path(), region.families(), &cells)?;
            }
            if source.scan_part(&opened, &rows, &cells, &mut take)? {
                break;
            }
        }
    }
    let cells: u64 = files.finish()?.iter().map(|file| file.cells).sum();
    let files = load.finish()?.loaded;
    if out.is_json() {
        out.json_line(&json!({ "rows": count, "cells": cells, "files": files }))?;
    } else {
        writeln!(out, "rows {count}, cells {cells}, files {files}")?;
    }
    Ok(Exit::Done)
}

/// Fails if there is nothing to read at a path.
fn check_source(source: &TargetArgs, out: &Output) -> Result<(), Failure> {
    let path = &source.target;
    match source.kind()? {
        Kind::Hfile => check_hfile(path, out),
        // It is refused as such.
        Kind::Wal => Ok(()),
        _ => Ok(vfs::check_dir(path)?),
    }
}

/// Fails if delete markers are copied although the order of writes, which is not copied, determines what they
/// hide.
fn check_order<'f>(
    path: &Path,
    mut families: impl Iterator<Item = &'f Family>,
    cells: &CellArgs,
) -> Result<(), CommandError> {
    let ordered = |family: &&Family| cells.is_raw() && family.has_new_version_behavior();
    match families.find(ordered) {
        None => Ok(()),
        Some(family) => {
            let name = StringBinary(family.name());
            let message = format!("--raw: the family {name} has NEW_VERSION_BEHAVIOR");
            Err(CommandError::unsupported(path, message)
                .with_hint(Some("omit --raw to copy the cells that a reader sees")))
        }
    }
}
