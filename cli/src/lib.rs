//! The `hregion` tool, as a library for its fuzz targets. It has no interface for other uses.

mod args;
mod balance;
#[cfg(feature = "arrow")]
mod batch_export;
mod bench;
mod block_totals;
mod block_usage;
mod cell_csv;
mod cell_file;
mod cell_json;
mod cell_line;
mod cell_source;
mod cluster_args;
mod cmd;
mod compact_plan;
mod concurrent_changes;
mod directories;
mod examine;
mod explain_output;
mod export_dir;
mod export_manifest;
mod failure;
mod family_args;
mod faults;
mod file_sum;
#[cfg(all(test, feature = "cluster"))]
#[allow(dead_code, reason = "other tests use all of it")]
#[path = "../../tests/support/hbase.rs"]
mod hbase;
mod hbase_flags;
mod histogram;
mod inspect_dir;
mod inspect_log;
#[cfg(all(test, feature = "cluster"))]
#[path = "../../tests/support/json_cell.rs"]
mod json_cell;
mod lines;
mod load_dir;
mod logs;
mod maintenance;
mod merge;
mod new_dir;
mod new_file;
mod output;
mod overview;
mod parallel;
mod part_sums;
mod probe;
mod progress;
mod query_args;
#[cfg(all(test, feature = "cluster"))]
#[allow(dead_code, reason = "other tests use all of it")]
#[path = "../../tests/support/random_ops.rs"]
mod random_ops;
mod region_change;
mod region_files;
mod region_output;
mod regions;
mod rename;
mod report;
mod report_page;
mod row_output;
mod scan_rows;
mod scratch_dir;
mod script;
mod selection;
mod sequence;
mod server_args;
mod settings;
mod shell;
mod sort;
mod source;
mod split_keys;
mod staging;
mod stats;
mod store_files;
mod stored_file;
mod streams;
mod table_load;
mod target;
mod target_args;
mod text;
mod text_file;
mod text_rows;
mod usage;
mod vfs;
mod what_if;
mod write_args;

#[cfg(feature = "internals")]
#[doc(hidden)]
pub mod fuzzing;

use output::Output;
use std::process::ExitCode;

/// Parses the command line, runs the command, and returns the exit code.
#[must_use]
pub fn run() -> ExitCode {
    let cli = match args::parse() {
        Ok(cli) => cli,
        Err(code) => return code,
    };
    #[cfg(unix)]
    catch_size_limit();
    let mut out = Output::new(cli.json, cli.quiet);
    let result = cmd::run(&cli.command, &mut out);
    out.finish(result)
}

/// A write beyond the maximum size of a file (`ulimit -f`) fails, and the written file is removed. Otherwise
/// the signal would end the program.
#[cfg(unix)]
fn catch_size_limit() {
    // Where the signal cannot be caught, it ends the program like any other.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, std::sync::Arc::default());
}
