//! `hregion compact --dry-run`: prints the files and cells that a compaction would take, keep and drop.

use crate::explain_output::ExplainOutput;
use crate::failure::{CommandError, Exit, Failure};
use crate::maintenance::{check_kind, check_known, keep_first};
use crate::output::Output;
use crate::regions::{OpenRegion, Regions, check_serves};
use crate::target::Kind;
use crate::text;
use hregion::cell::StringBinary;
use hregion::region::{CellReason, CompactionPlan};
use hregion::{Compaction, Region, RegionOptions};
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::io::Write as _;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Plans a compaction of the region at a directory, or of each region of a table. The failure of one region
/// does not stop the others; the first failure is returned, later ones are printed.
pub(crate) fn run(
    dir: &Path,
    options: RegionOptions,
    compaction: Compaction,
    shows_cells: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let kind = check_kind(dir)?;
    if kind == Kind::Region {
        check_serves(dir)?;
    }
    let regions = Regions::find(dir, Some(kind), options)?;
    let mut first = Ok(());
    // A region may have replaced several.
    let mut planned = BTreeSet::new();
    for place in regions.regions_and_holes(|_, _| true) {
        let parts = match place.open_all(&out.warner()) {
            Ok(opened) => opened.parts,
            Err(error) => {
                first = keep_first(first, Err(error.into()), out);
                continue;
            }
        };
        for OpenRegion { region, .. } in parts {
            if !planned.insert(region.info().encoded_name()) {
                continue;
            }
            let known = check_known(&region).map_err(Failure::from);
            match known.and_then(|()| plan(&region, compaction, shows_cells, kind == Kind::Table, out)) {
                Err(Failure::ClosedPipe) => return first.and(Err(Failure::ClosedPipe)),
                done => first = keep_first(first, done, out),
            }
        }
    }
    first?;
    Ok(Exit::Done)
}

fn plan(
    region: &Region,
    compaction: Compaction,
    shows_cells: bool,
    with_region: bool,
    out: &mut Output,
) -> Result<(), Failure> {
    if region.memstore_size() > 0 {
        let message = "has recovered edits, which a compaction would write to another file first";
        out.warn(&CommandError::invalid_file(region.path(), message).line());
    }
    let mut lines = ExplainOutput::default();
    let mut printed = Ok(());
    let plans = region.plan_compaction(compaction, |explained| {
        if shows_cells && explained.reason != CellReason::Returned {
            printed = lines.cell(explained, out);
        }
        if printed.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    });
    printed?;
    for plan in plans? {
        let encoded = with_region.then(|| region.info().encoded_name());
        if out.is_json() {
            out.json_line(&to_json(&plan, encoded))?;
        } else {
            put_text(&plan, encoded, out)?;
        }
    }
    Ok(())
}

fn to_json(plan: &CompactionPlan, region: Option<String>) -> Value {
    let files = |paths: &[PathBuf]| Value::from_iter(paths.iter().map(|path| text::json_path(path)));
    let mut line = Map::new();
    if let Some(region) = region {
        line.insert("region".into(), region.into());
    }
    line.insert("family".into(), StringBinary(&plan.family).to_string().into());
    line.insert("files".into(), files(&plan.files));
    line.insert("expired_files".into(), files(&plan.expired_files));
    line.insert("all_files".into(), plan.all_files.into());
    line.insert("bytes_before".into(), plan.bytes_before.into());
    line.insert("bytes_after".into(), plan.bytes_after.into());
    line.insert("cells_before".into(), plan.cells_before.into());
    line.insert("cells_after".into(), plan.cells_after.into());
    let dropped = plan.dropped.iter().map(|(reason, cells)| (reason.name().to_owned(), (*cells).into()));
    line.insert("dropped".into(), Value::Object(dropped.collect()));
    line.into()
}

fn put_text(plan: &CompactionPlan, region: Option<String>, out: &mut Output) -> Result<(), Failure> {
    let CompactionPlan { cells_before, cells_after, bytes_before, bytes_after, .. } = plan;
    let of = region.map_or_else(String::new, |region| format!("{region} "));
    let family = StringBinary(&plan.family);
    let files = plan.files.len() + plan.expired_files.len();
    if files == 0 {
        writeln!(out, "{of}{family}: nothing to compact")?;
        return Ok(());
    }
    writeln!(
        out,
        "{of}{family}: {files} files, cells {cells_after}, before {cells_before}, bytes about {bytes_after}, \
         before {bytes_before}"
    )?;
    for path in &plan.expired_files {
        writeln!(out, "  drop   {}", text::path(path))?;
    }
    for path in &plan.files {
        writeln!(out, "  merge  {}", text::path(path))?;
    }
    for (reason, cells) in &plan.dropped {
        writeln!(out, "  {reason:15}  {cells}")?;
    }
    Ok(())
}
