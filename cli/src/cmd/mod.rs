//! The commands, one per file; each has its `Args` and its `run`.

pub(crate) mod bench;
pub(crate) mod bulkload;
pub(crate) mod cells;
pub(crate) mod check;
pub(crate) mod compact;
pub(crate) mod completions;
pub(crate) mod convert;
pub(crate) mod copy;
pub(crate) mod count;
pub(crate) mod diff;
pub(crate) mod du;
pub(crate) mod explain;
pub(crate) mod export;
pub(crate) mod flush;
pub(crate) mod get;
pub(crate) mod import;
pub(crate) mod inspect;
pub(crate) mod load;
pub(crate) mod locate;
pub(crate) mod man;
pub(crate) mod merge;
pub(crate) mod recover;
pub(crate) mod regions;
pub(crate) mod replay;
pub(crate) mod report;
pub(crate) mod salvage;
pub(crate) mod scan;
pub(crate) mod seek;
pub(crate) mod shell;
pub(crate) mod snapshot;
pub(crate) mod split;
pub(crate) mod stats;
pub(crate) mod verify;
pub(crate) mod wal;
pub(crate) mod write;

use crate::args::Command;
use crate::failure::{Exit, Failure};
use crate::output::Output;

/// Runs a command.
pub(crate) fn run(command: &Command, out: &mut Output) -> Result<Exit, Failure> {
    match command {
        Command::Inspect(args) => inspect::run(args, out),
        Command::Cells(args) => cells::run(args, out),
        Command::Seek(args) => seek::run(args, out),
        Command::Scan(args) => scan::run(args, out),
        Command::Get(args) => get::run(args, out),
        Command::Explain(args) => explain::run(args, out),
        Command::Count(args) => count::run(args, out),
        Command::Stats(args) => stats::run(args, out),
        Command::Shell(args) => shell::run(args, out),
        Command::Wal(args) => wal::run(args, out),
        Command::Verify(args) => verify::run(args, out),
        Command::Check(args) => check::run(args, out),
        Command::Du(args) => du::run(args, out),
        Command::Report(args) => report::run(args, out),
        Command::Diff(args) => diff::run(args, out),
        Command::Export(args) => export::run(args, out),
        Command::Convert(args) => convert::run(args, out),
        Command::Write(args) => write::run(args, out),
        Command::Bulkload(args) => bulkload::run(args, out),
        Command::Salvage(args) => salvage::run(args, out),
        Command::Flush(args) => flush::run(args, out),
        Command::Compact(args) => compact::run(args, out),
        Command::Copy(args) => copy::run(args, out),
        Command::Import(args) => import::run(args, out),
        Command::Load(args) => load::run(args, out),
        Command::Split(args) => split::run(args, out),
        Command::Merge(args) => merge::run(args, out),
        Command::Recover(args) => recover::run(args, out),
        Command::Snapshot(args) => snapshot::run(args, out),
        Command::Locate(args) => locate::run(args, out),
        Command::Regions(args) => regions::run(args, out),
        Command::Replay(args) => replay::run(args, out),
        Command::Bench(args) => bench::run(args, out),
        Command::Completions(args) => completions::run(args, out),
        Command::Man(args) => man::run(args, out),
    }
}
