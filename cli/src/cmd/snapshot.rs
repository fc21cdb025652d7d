//! `hregion snapshot`: snapshots of tables.

use crate::args::FileArgs;
use crate::directories::{DATA, SNAPSHOT_DIR};
use crate::failure::{CommandError, Exit, Failure};
use crate::maintenance::keep_first;
use crate::output::Output;
use crate::probe;
use crate::table_load::check_is_table;
use crate::text;
use crate::vfs::{self, check_readable, check_writable};
use clap::Subcommand;
use hregion::cell::StringBinary;
use hregion::{Region, RegionInfo, RegionOptions, SnapshotDescription, Table};
use serde_json::{Value, json};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// List, take, clone, restore, export and delete snapshots
///
/// A snapshot is a list of the files that a table had: ROOT/.hbase-snapshot/NAME. HBase and this tool read
/// each other's snapshots. The files stay in the table or in the archive. As a TARGET of other commands, the
/// directory of a snapshot is read like a table.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES, arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,

    /// Directory of a table to take a snapshot of, as with `create`
    #[arg(requires = "out")]
    table: Option<PathBuf>,

    /// Name of the snapshot of TABLE
    #[arg(long, value_name = "NAME", requires = "table")]
    out: Option<String>,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion snapshot create /hbase/data/default/users before
  hregion snapshot /hbase/data/default/users --out before
  hregion snapshot list /hbase
  hregion snapshot clone /hbase before users-before
  hregion snapshot export /hbase before /backup/hbase";

#[derive(Debug, Subcommand)]
enum Action {
    /// List the snapshots of a root directory
    ///
    /// With --json, prints {"name","table","created","type","version","owner","ttl"} for each. "created" is
    /// in milliseconds since 1970, "ttl" in seconds; owner and ttl are null if not set.
    List {
        /// Root directory
        root: PathBuf,
    },
    /// Print a snapshot and its regions
    ///
    /// With --json, prints the same members as list, and "regions", each with
    /// {"encoded","start","end","files"}. Fails if a store file is missing.
    Info {
        /// Root directory
        root: PathBuf,
        /// Name of the snapshot
        name: String,
        #[command(flatten)]
        reading: FileArgs,
    },
    /// Take a snapshot of a table
    ///
    /// Flushes the table, which no other process may have open for writing. With --json, prints the same
    /// members as list.
    Create {
        /// Directory of the table, ROOT/data/NAMESPACE/TABLE
        table: PathBuf,
        /// Name of the snapshot
        name: String,
        #[command(flatten)]
        reading: FileArgs,
    },
    /// Delete a snapshot, but not the files of its table
    ///
    /// In S3, the name cannot be used again. Fails if the table does not exist because its restoration was
    /// interrupted, which must be repeated.
    Delete {
        /// Root directory
        root: PathBuf,
        /// Name of the snapshot
        name: String,
    },
    /// Create a table with the content of a snapshot
    ///
    /// Copies no files: the new table has links to them.
    Clone {
        /// Root directory
        root: PathBuf,
        /// Name of the snapshot
        name: String,
        /// New table, as name or namespace:name
        table: String,
        #[command(flatten)]
        reading: FileArgs,
    },
    /// Restore the table of a snapshot to its state in the snapshot
    ///
    /// Later writes are lost; the files of the replaced table are moved to the archive. No process may
    /// have the table open for writing. After an interruption, the command can be repeated.
    Restore {
        /// Root directory
        root: PathBuf,
        /// Name of the snapshot
        name: String,
        #[command(flatten)]
        reading: FileArgs,
    },
    /// Copy a snapshot and its files to another root directory
    ///
    /// Verifies each copy. Files that exist already are kept, so an interrupted export can be repeated. Both
    /// roots may be URLs: the first of S3, HDFS or a web server, the other of S3 or HDFS.
    Export {
        /// Root directory
        root: PathBuf,
        /// Name of the snapshot
        name: String,
        /// Root directory to copy to, created if it does not exist
        to: PathBuf,
        #[command(flatten)]
        reading: FileArgs,
    },
}

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let Some(action) = &args.action else {
        let (Some(table), Some(name)) = (&args.table, &args.out) else {
            let message =
                "expected list, info, create, delete, clone, restore or export, or TABLE --out NAME";
            return Err(CommandError::usage(message).into());
        };
        take(table, name, &args.reading, out)?;
        return Ok(Exit::Done);
    };
    if args.table.is_some() || args.reading.is_given() {
        return Err(CommandError::usage("expected all arguments after the name of the subcommand").into());
    }
    match action {
        Action::List { root } => {
            check_readable(root)?;
            if !probe::is_dir(root)? {
                return Err(CommandError::no_such_dir(root).into());
            }
            let found = Table::each_snapshot(root, &*vfs::storage())?;
            if found.is_empty() && !is_root(root)? {
                let message = "neither data nor .hbase-snapshot in it: not a root directory of HBase";
                out.warn(&CommandError::invalid_file(root, message).line());
            }
            let mut first = Ok(());
            for one in found {
                let printed = one.map_err(Failure::from).and_then(|found| print(&found, out));
                first = keep_first(first, printed, out);
            }
            first?;
        }
        Action::Info { root, name, reading } => {
            info(root, name, reading.region_options(out)?, out)?;
        }
        Action::Create { table, name, reading } => take(table, name, reading, out)?,
        Action::Delete { root, name } => {
            check_has_snapshots(root, name)?;
            Table::delete_snapshot_with(root, name, Region::options().storage(vfs::storage()))?;
            out.summary(&format!("snapshot {name} deleted"));
        }
        Action::Clone { root, name, table, reading } => {
            check_writable(root)?;
            let cloned = Table::clone_snapshot(root, name, table, reading.options_to_change(out)?)?;
            done(&cloned, "cloned", out)?;
        }
        Action::Restore { root, name, reading } => {
            check_has_snapshots(root, name)?;
            let restored = Table::restore_snapshot(root, name, reading.options_to_change(out)?)?;
            done(&restored, "restored", out)?;
        }
        Action::Export { root, name, to, reading } => {
            check_readable(root)?;
            check_writable(to)?;
            let options = reading.region_options(out)?;
            let snapshot = Table::open_snapshot_with(root, name, options.clone())?;
            Table::export_snapshot_with(root, name, to, options)?;
            out.warner().warn_of_snapshot(&snapshot);
            out.summary(&format!("snapshot {name} exported to {}", text::path(to)));
        }
    }
    Ok(Exit::Done)
}

/// Whether a directory has tables, or has had snapshots.
fn is_root(dir: &Path) -> Result<bool, CommandError> {
    Ok(probe::is_dir(&dir.join(SNAPSHOT_DIR))? || probe::is_dir(&dir.join(DATA))?)
}

/// Fails if a local directory has no snapshots. If it was mistyped, nothing is locked, and no lock file left.
fn check_has_snapshots(root: &Path, name: &str) -> Result<(), CommandError> {
    check_writable(root)?;
    if vfs::is_url(root) || probe::is_dir(&root.join(SNAPSHOT_DIR))? {
        return Ok(());
    }
    let hint = (!is_root(root)?).then_some("expected HBase's root directory");
    Err(no_such_snapshot(root, name).with_hint(hint))
}

fn no_such_snapshot(root: &Path, name: &str) -> CommandError {
    let error = io::Error::new(io::ErrorKind::NotFound, format!("there is no snapshot {name}"));
    CommandError::io("read", root, &error)
}

/// Takes a snapshot of the table at a directory, and prints it.
fn take(table: &Path, name: &str, reading: &FileArgs, out: &mut Output) -> Result<(), Failure> {
    check_writable(table)?;
    check_is_table(table)?;
    let table = Table::open_dir(table, reading.options_to_change(out)?)?;
    let taken = table.snapshot(name)?;
    out.warner().warn_of_snapshot(&table);
    table.close()?;
    print(&taken, out)
}

/// Closes a table that has the content of a snapshot, and prints the change.
fn done(table: &Table, what: &str, out: &Output) -> Result<(), Failure> {
    out.warner().warn_of_snapshot(table);
    table.close()?;
    out.summary(&format!("table {} {what}", table.name()));
    Ok(())
}

fn print(found: &SnapshotDescription, out: &mut Output) -> Result<(), Failure> {
    if out.is_json() {
        return out.json_line(&members(found));
    }
    let (name, table, created) = (text::printable(found.name()), found.table(), found.creation_time());
    Ok(writeln!(out, "{name}: table {table}, created {created}, {}", found.snapshot_type())?)
}

fn members(found: &SnapshotDescription) -> Value {
    json!({
        "name": found.name(), "table": found.table().to_string(), "created": found.creation_time(),
        "type": found.snapshot_type().name(), "version": found.version(), "owner": found.owner(),
        "ttl": found.ttl().map(|ttl| ttl.as_secs()),
    })
}

fn info(root: &Path, name: &str, options: RegionOptions, out: &mut Output) -> Result<(), Failure> {
    check_readable(root)?;
    let snapshot = Table::open_snapshot_with(root, name, options)?;
    // It may have been deleted in the meantime.
    let Some(found) = Table::find_snapshot(root, name, &*vfs::storage())? else {
        return Err(no_such_snapshot(root, name).into());
    };
    let mut regions = Vec::new();
    for region in snapshot.regions() {
        let opened = snapshot.region(region.start_key())?;
        let files = opened.families().filter_map(|family| opened.store_file_count(family.name())).sum();
        regions.push((region, files));
    }
    if out.is_json() {
        let mut found = members(&found);
        found["regions"] = regions.iter().map(|(region, files)| region_json(region, *files)).collect();
        return out.json_line(&found);
    }
    print(&found, out)?;
    for (region, files) in regions {
        let (start, end) = (StringBinary(region.start_key()), StringBinary(region.end_key()));
        writeln!(out, "  region {}: from '{start}' to '{end}', files {files}", region.encoded_name())?;
    }
    Ok(())
}

fn region_json(region: &RegionInfo, files: usize) -> Value {
    let (start, end) = (StringBinary(region.start_key()), StringBinary(region.end_key()));
    json!({
        "encoded": region.encoded_name(), "start": start.to_string(), "end": end.to_string(), "files": files,
    })
}
