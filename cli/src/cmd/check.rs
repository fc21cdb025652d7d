//! `hregion check`: checks the consistency of a root directory.

use crate::args::FileArgs;
use crate::directories::{hint_of, kind_of};
use crate::failure::{CommandError, Exit, Failure};
use crate::output::Output;
use crate::overview::{exit_of, finding_json};
use crate::target::Kind;
use crate::text;
use hregion::{CheckReport, Finding, Severity, Table};
use serde_json::json;
use std::io::Write as _;
use std::path::PathBuf;

/// Check the consistency of tables, as hbck does, without a cluster
///
/// Compares hbase:meta, the directories of regions, their .regioninfo, and references, links, lists of files,
/// sequence ids and recovered edits, both ways. Changes nothing. Without hbase:meta under the root, and for
/// the directory of one table, compares the directories with each other. Compares MOB files with those that
/// the store files list. Does not read the cells of files: `hregion verify` does.
///
/// Exit code 3 if there is an error; 4 if each error is about what this build does not support, and could not
/// check. Warnings need attention, but no read is wrong; infos are normal for a while.
/// With --json: {"kind","severity","table","region","path","message","fix"} for each finding, then
/// {"summary":{"tables","regions","files","errors","warnings","infos","meta"}}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Root directory, or directory of a table
    target: PathBuf,

    #[command(flatten)]
    reading: FileArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion check /hbase
  hregion check /hbase/data/default/users
  hregion check --json /hbase | jq -r 'select(.severity == \"error\") | .path'";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let options = args.reading.region_options(out)?;
    let path = args.target.as_path();
    let report = match kind_of(path, None)? {
        Kind::Root => Table::check_root(path, options)?,
        Kind::Table => Table::check_dir(path, options)?,
        kind => {
            let message = "neither a root directory nor the directory of a table";
            let hint = match kind {
                Kind::Wal => hint_of(kind),
                _ => Some("expected ROOT, or ROOT/data/NAMESPACE/TABLE"),
            };
            return Err(CommandError::unsupported(path, message).with_hint(hint).into());
        }
    };
    let exit = exit_of(&report);
    out.found(exit);
    report.findings.iter().try_for_each(|finding| print(finding, out))?;
    summarize(&report, out)?;
    Ok(exit)
}

fn print(finding: &Finding, out: &mut Output) -> Result<(), Failure> {
    let Finding { kind, severity, path, message, .. } = finding;
    if out.is_json() {
        return out.json_line(&finding_json(finding));
    }
    let (path, message) = (text::path(path), text::printable(message));
    writeln!(out, "{severity} {kind}: {path}: {message}")?;
    if *severity != Severity::Info {
        writeln!(out, "    {}", kind.fix())?;
    }
    Ok(())
}

fn summarize(report: &CheckReport, out: &mut Output) -> Result<(), Failure> {
    let CheckReport { tables, regions, files, has_catalog, .. } = report;
    let [errors, warnings, infos] =
        [Severity::Error, Severity::Warning, Severity::Info].map(|severity| report.count(severity));
    if out.is_json() {
        return out.json_line(&json!({ "summary": {
            "tables": tables, "regions": regions, "files": files,
            "errors": errors, "warnings": warnings, "infos": infos, "meta": has_catalog,
        }}));
    }
    let meta = if *has_catalog { "" } else { ", not compared with hbase:meta" };
    out.summary(&format!(
        "tables {tables}, regions {regions}, files {files}, errors {errors}, warnings {warnings}, \
         infos {infos}{meta}"
    ));
    Ok(())
}
