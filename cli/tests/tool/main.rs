//! The tool's tests in one program, which builds and runs faster than one for each file.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "tests fail by panicking, and print what they did"
)]

mod batches;
mod bench;
mod browser;
mod bulkload;
mod check;
mod cli;
mod compact_plan;
mod compacted;
mod convert;
mod copy;
mod diff;
mod du;
mod explain;
mod export;
mod failing_calls;
mod families;
mod fresh;
mod full_disk;
mod fuzz_bodies;
mod import;
mod input;
mod locate;
mod meanwhile;
mod mob;
mod oracle;
mod outputs;
mod parity;
#[cfg(unix)]
mod paths;
mod questions;
mod recover;
mod region;
#[cfg(feature = "remote")]
mod remote;
#[cfg(all(unix, feature = "arrow", feature = "remote"))]
mod remote_exports;
mod replay;
mod report;
mod report_browser;
mod salvage;
mod scan_files;
mod server;
mod shell;
mod shell_shared;
mod shell_terminal;
mod snapshot;
mod split;
mod stats;
mod support;
mod tables;
mod text_rows;
mod typed_csv;
mod verify;
mod wal;
mod web;
mod web_browser;
mod write;

/// Shared with the library's tests.
#[path = "../../../tests/support"]
#[allow(dead_code, reason = "the library's tests use the rest")]
mod library {
    pub(crate) mod cells;
    #[cfg(feature = "remote")]
    pub(crate) mod fake_s3;
    pub(crate) mod files;
    pub(crate) mod golden;
    pub(crate) mod protobuf;
    pub(crate) mod rng;
    pub(crate) mod seeds;
    pub(crate) mod tool_seeds;
    #[cfg(feature = "remote")]
    pub(crate) mod trackers;
}
