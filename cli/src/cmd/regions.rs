//! `hregion regions`: lists the regions of a table.

use crate::cluster_args::{ClusterArgs, table_name};
use crate::failure::{Exit, Failure};
use crate::output::Output;
use crate::region_output;
use hregion::TableName;
use hregion::cell::StringBinary;
use hregion::locator::{CatalogRow, RegionInconsistency, check_region_chain, serving};
use serde_json::json;
use std::io::Write as _;

/// List the regions of a table
///
/// Lists the regions that serve rows, in row order, without the parents of splits and merges. Exit code 3 if
/// rows are covered by no region or by several, which is reported where they begin. With --json: one line per
/// region, with the members that `hregion locate` prints, {"hole":{"start","end"}} and
/// {"overlap":{"start","end"}}.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Table, as name or namespace:name
    #[arg(value_parser = table_name)]
    table: TableName,

    #[command(flatten)]
    cluster: ClusterArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion regions users --meta /hbase
  hregion regions users --meta /hbase --json | jq -r .server | sort | uniq -c";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let finder = args.cluster.finder(out)?;
    let rows = finder.regions(&args.table)?;
    let faults = check_region_chain(&serving(rows.iter().map(|row| row.region().clone()).collect()));
    let exit = if faults.is_empty() { Exit::Done } else { Exit::Corrupt };
    out.found(exit);
    let mut pending = faults.iter().peekable();
    for row in &rows {
        while let Some(fault) = pending.next_if(|fault| fault.bounds().0 < row.region().start_key()) {
            print_fault(fault, out)?;
        }
        region_output::print(CatalogRow::locations(row), out)?;
    }
    pending.try_for_each(|fault| print_fault(fault, out))?;
    Ok(exit)
}

fn print_fault(fault: &RegionInconsistency, out: &mut Output) -> Result<(), Failure> {
    let (start, end) = fault.bounds();
    let (start, end) = (StringBinary(start).to_string(), StringBinary(end).to_string());
    let (name, text) = match fault {
        RegionInconsistency::Hole { .. } => ("hole", "no region"),
        RegionInconsistency::Overlap { .. } => ("overlap", "several regions"),
    };
    if out.is_json() {
        return out.json_line(&json!({ name: { "start": start, "end": end } }));
    }
    writeln!(out, "{name}: {text}  [{start}, {end})")?;
    Ok(())
}
