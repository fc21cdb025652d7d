//! Statistics of the cells of a target, region by region, so that one that cannot be read hides no other.

use crate::failure::{CommandError, Failure};
use crate::output::Output;
use crate::query_args::RowArgs;
use crate::source::{InputSource, SourcePart};
use crate::stats::Stats;
use crate::target::Kind;
use hregion::RegionOptions;
use serde_json::{Value, json};
use std::path::Path;

/// The number of heaviest rows that are kept.
const HEAVIEST: usize = 10;

/// Reads all cells of a table, or of less. Returns what `hregion stats` prints, and the number of regions
/// that could not be read to the end, whose faults are added to `faults`.
pub(crate) fn statistics(
    (path, kind): (&Path, Kind),
    options: &RegionOptions,
    now: i64,
    out: &Output,
    faults: &mut Vec<CommandError>,
) -> Value {
    let mut stats = Stats::new(now, HEAVIEST);
    let mut failures = Vec::new();
    match InputSource::of_kind(path, kind, options.clone(), out) {
        Ok(source) => {
            // rows without a region are shown as such
            let parts = source.parts_of(&RowArgs::default());
            for part in parts.iter().filter(|part| part.is_there()) {
                failures.extend(add_part(&source, part, &mut stats).err());
            }
        }
        Err(failure) => failures.push(failure),
    }
    stats.finish();
    let mut json = stats.json();
    json["unread_regions"] = json!(failures.len());
    for failure in failures {
        // a closed pipe is a failure to write, and nothing is written here
        if let Failure::Fault(fault) = failure {
            faults.push(*fault);
        }
    }
    json
}

fn add_part(source: &InputSource, part: &SourcePart<'_>, stats: &mut Stats) -> Result<(), Failure> {
    source.for_each_stored(&part.open()?, |cell| {
        stats.add(&cell);
        Ok(())
    })
}
