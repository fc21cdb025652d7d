//! A table's directory: its regions in the order of their keys, with holes and overlaps.

use super::region::{RegionOverview, entries, families_json, name};
use super::total::Total;
use crate::failure::CommandError;
use crate::regions::{check_serves, has_digits_of_region, mob_dir};
use crate::text;
use hregion::cell::StringBinary;
use hregion::locator::{RegionInconsistency, check_region_chain, serving};
use hregion::{ErrorKind, RegionInfo, RegionOptions, Table};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A table.
#[derive(Debug)]
pub(crate) struct TableOverview {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    /// Those that serve, in the order of their keys; then the others, by their names.
    pub(crate) regions: Vec<RegionOverview>,
    /// Rows that no region has, or several.
    gaps: Vec<RegionInconsistency>,
    /// Statistics of the cells, if they were read.
    pub(crate) statistics: Option<Value>,
}

impl TableOverview {
    /// Reads the regions of a table's directory, and no files of theirs. Faults are added to `faults`.
    pub(crate) fn open(path: PathBuf, options: &RegionOptions, faults: &mut Vec<CommandError>) -> Self {
        let is_region =
            |dir: &PathBuf| has_digits_of_region(dir.file_name().unwrap_or_default().as_encoded_bytes());
        let dirs = entries(&path, true, faults).into_iter().filter(is_region);
        let (mut regions, known_faults) = (Vec::new(), faults.len());
        for dir in dirs {
            let (region, fault) = RegionOverview::open(dir, options);
            faults.extend(fault);
            regions.push(region);
        }
        // The region of the MOB files, of which a clone has the directory, has no rows.
        let has_rows = |info: &RegionInfo| info.region_id() != 0 || info.start_key() != b".mob";
        let known = || regions.iter().filter_map(|region| region.info.clone()).filter(has_rows);
        let (serving, gaps) = if known().next().is_none() {
            (Vec::new(), Vec::new())
        } else {
            match Table::open_dir(&path, options.clone()) {
                Ok(table) => (table.regions(), table.inconsistencies()),
                // those that can be read are shown
                Err(error) => {
                    let is_new = faults.len() == known_faults && error.kind() != ErrorKind::TableNotFound;
                    faults.extend(is_new.then(|| error.into()));
                    let serving = serving(known().collect());
                    let gaps = check_region_chain(&serving);
                    (serving, gaps)
                }
            }
        };
        let table = known().next().map(|info| info.table().to_string());
        match mob_dir(&path) {
            Ok(dir) => add_mob(dir.as_deref(), &mut regions, options, faults),
            Err(fault) => faults.push(fault),
        }
        for region in &mut regions {
            region.serves = region.info.as_ref().is_some_and(|info| serving.contains(info));
        }
        let start = |region: &RegionOverview| region.info.as_ref().map(|info| info.start_key().to_vec());
        regions.sort_by_key(|region| (!region.serves, start(region).filter(|_| region.serves)));
        let name = table.unwrap_or_else(|| name(&path));
        Self { path, name, regions, gaps, statistics: None }
    }

    /// Reads the region at a directory, as the only one of its table, and no files of it.
    pub(crate) fn of_region(path: PathBuf, options: &RegionOptions, faults: &mut Vec<CommandError>) -> Self {
        let (mut region, fault) = RegionOverview::open(path.clone(), options);
        faults.extend(fault);
        region.serves = check_serves(&path).is_ok();
        let table = region.info.as_ref().map(|info| info.table().to_string());
        let name = table.unwrap_or_else(|| name(&path));
        Self { path, name, regions: vec![region], gaps: Vec::new(), statistics: None }
    }

    pub(crate) fn total(&self) -> Total {
        Total::of(self.regions.iter().map(RegionOverview::total))
    }

    pub(crate) fn json(&self) -> Value {
        let mut families = BTreeMap::new();
        self.regions.iter().for_each(|region| region.add_families(&mut families));
        json!({
            "table": self.name, "path": text::json_path(&self.path),
            "total": self.total().json(), "families": families_json(&families),
            "gaps": self.gaps.iter().map(|gap| self.gap(gap)).collect::<Vec<_>>(),
            "regions": self.regions.iter().map(RegionOverview::json).collect::<Vec<_>>(),
            "statistics": self.statistics,
        })
    }

    /// Returns `{"kind","start","end","regions"}`: by their places, the regions that overlap, or those before
    /// and after a hole.
    fn gap(&self, gap: &RegionInconsistency) -> Value {
        let (start, end) = gap.bounds();
        let serving: Vec<&RegionInfo> = self
            .regions
            .iter()
            .take_while(|region| region.serves)
            .filter_map(|region| region.info.as_ref())
            .collect();
        let (kind, regions): (_, Vec<usize>) = match gap {
            RegionInconsistency::Hole { .. } => {
                let after = serving.partition_point(|info| info.start_key() < end || end.is_empty());
                (
                    "hole",
                    after
                        .checked_sub(1)
                        .into_iter()
                        .chain((after < serving.len()).then_some(after))
                        .collect(),
                )
            }
            RegionInconsistency::Overlap { .. } => {
                let touched = |info: &&RegionInfo| gap.touches(info.start_key(), info.end_key());
                (
                    "overlap",
                    serving.iter().enumerate().filter(|(_, info)| touched(info)).map(|(at, _)| at).collect(),
                )
            }
        };
        let (start, end) = (StringBinary(start).to_string(), StringBinary(end).to_string());
        json!({ "kind": kind, "start": start, "end": end, "regions": regions })
    }
}

/// Adds the region of the MOB files of a table, by their directory. It serves no rows. What the directory of
/// a clone has of it, its `.regioninfo`, is no other region.
fn add_mob(
    dir: Option<&Path>,
    regions: &mut Vec<RegionOverview>,
    options: &RegionOptions,
    faults: &mut Vec<CommandError>,
) {
    let Some(dir) = dir else { return };
    for path in entries(dir, true, faults) {
        let (mut region, fault) = RegionOverview::open(path, options);
        faults.extend(fault);
        if let Some(at) = regions.iter().position(|other| other.encoded() == region.encoded()) {
            region.info = region.info.or_else(|| regions[at].info.clone());
            if entries(&regions[at].path, true, faults).is_empty() {
                regions.remove(at);
            }
        }
        regions.push(region);
    }
}
