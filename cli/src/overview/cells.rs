//! Statistics of the cells of a table, region by region, so that one that cannot be read hides no other.

use crate::failure::{CommandError, Failure};
use crate::output::Warner;
use crate::query_args::{CellArgs, RowArgs};
use crate::regions::{ClosedRegion, Regions};
use crate::stats::Stats;
use crate::target::Kind;
use hregion::{RegionOptions, Scan};
use serde_json::{Value, json};
use std::ops::ControlFlow;
use std::path::Path;

/// The number of heaviest rows that are kept.
const HEAVIEST: usize = 10;

/// Reads all cells of a table, or of a region. Returns what `hregion stats` prints, and the number of regions
/// that could not be read to the end, whose faults are added to `faults`.
pub(crate) fn statistics(
    (path, kind): (&Path, Kind),
    options: &RegionOptions,
    now: i64,
    warner: &Warner,
    faults: &mut Vec<CommandError>,
) -> Value {
    let mut stats = Stats::new(now, HEAVIEST);
    let scan = RowArgs::default().scan(&CellArgs::of_all_stored()).scan;
    let mut unread = 0;
    match Regions::find(path, Some(kind), options.clone()) {
        Ok(regions) => {
            // rows without a region are shown as such
            let is_region = |place: &ClosedRegion<'_>| !matches!(place, ClosedRegion::None(_));
            for place in regions.regions_and_holes(|_, _| true).into_iter().filter(is_region) {
                if let Err(fault) = add_region(place, &scan, warner, &mut stats) {
                    unread += 1;
                    faults.push(fault);
                }
            }
        }
        Err(Failure::Fault(fault)) => {
            unread += 1;
            faults.push(*fault);
        }
        Err(Failure::ClosedPipe) => {}
    }
    stats.finish();
    let mut json = stats.json();
    json["unread_regions"] = json!(unread);
    json
}

fn add_region(
    place: ClosedRegion<'_>,
    scan: &Scan,
    warner: &Warner,
    stats: &mut Stats,
) -> Result<(), CommandError> {
    let view = place.open(warner)?.view();
    view.scan(scan)?.for_each_cell(|cell| {
        stats.add(&cell);
        ControlFlow::Continue(())
    })?;
    Ok(())
}
