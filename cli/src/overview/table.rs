//! A table's directory: its regions in the order of their keys, with holes and overlaps.

use super::file::FileEntry;
use super::region::{RegionOverview, families_json, family_entries, name, subdirectories};
use super::total::Total;
use crate::directories::{DATA, MOB, family_of_region, has_digits_of_region, mob_dir};
use crate::failure::{CommandError, Failure};
use crate::new_file::directory;
use crate::regions::{check_serves, open_snapshot};
use crate::source::files_in;
use crate::text;
use crate::vfs;
use hregion::cell::StringBinary;
use hregion::locator::{RegionInconsistency, check_region_chain, serving};
use hregion::region::FileKind;
use hregion::{ErrorKind, RegionInfo, RegionOptions, Table};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A table.
#[derive(Debug)]
pub(crate) struct TableOverview {
    /// That of the table's directory, or of what is shown of it.
    pub(crate) path: PathBuf,
    /// `None` for files that are in no region.
    pub(crate) name: Option<String>,
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
        let dirs = subdirectories(&path, faults).into_iter().filter(is_region);
        let (mut regions, known_faults) = (Vec::new(), faults.len());
        for dir in dirs {
            let (region, fault) = RegionOverview::open(dir, options);
            faults.extend(fault);
            regions.push(region);
        }
        // The region of the MOB files, whose directory a clone also has, has no rows.
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
        let name = Some(table.unwrap_or_else(|| name(&path)));
        Self { path, name, regions, gaps, statistics: None }
    }

    /// Reads the region at a directory, as the only one of its table, and no files of it.
    pub(crate) fn of_region(path: PathBuf, options: &RegionOptions, faults: &mut Vec<CommandError>) -> Self {
        let (mut region, fault) = RegionOverview::open(path.clone(), options);
        faults.extend(fault);
        region.serves = check_serves(&path).is_ok();
        let table = region.info.as_ref().map(|info| info.table().to_string());
        let name = Some(table.unwrap_or_else(|| name(&path)));
        Self::of_one(path, name, region)
    }

    fn of_one(path: PathBuf, name: Option<String>, region: RegionOverview) -> Self {
        Self { path, name, regions: vec![region], gaps: Vec::new(), statistics: None }
    }

    /// Lists the store files of a family, by its directory, as those of its region. If it is in none, lists
    /// all files, as those of a region without a name.
    pub(crate) fn of_family(
        dir: PathBuf,
        options: &RegionOptions,
        faults: &mut Vec<CommandError>,
    ) -> Result<Self, CommandError> {
        if let Some((region, family)) = family_of_region(&dir)? {
            let listed = family_entries(&dir, &name(Path::new(&family)), faults);
            return Ok(Self::of_region(region, options, faults).with_only(dir, listed));
        }
        let files = files_in(&dir)?.into_iter().map(FileEntry::of_file);
        let files = files.collect::<Result<Vec<_>, _>>()?;
        Ok(Self::of_one(dir.clone(), None, RegionOverview::of_files(dir, files)))
    }

    /// Like [`of_family`](Self::of_family), for a single file. Damage to other files is not a fault.
    pub(crate) fn of_file(path: PathBuf, options: &RegionOptions) -> Result<Self, CommandError> {
        let mut file = FileEntry::of_file(path.clone())?;
        if let Some((region, family)) = family_of_region(directory(&path))? {
            file.family = Some(name(Path::new(&family)));
            return Ok(Self::of_region(region, options, &mut Vec::new()).with_only(path, vec![file]));
        }
        Ok(Self::of_one(path.clone(), None, RegionOverview::of_files(path, vec![file])))
    }

    /// Shows only some of the files of the region, which are at `path`.
    fn with_only(mut self, path: PathBuf, files: Vec<FileEntry>) -> Self {
        self.path = path;
        if let Some(region) = self.regions.first_mut() {
            region.listed = Some(files);
        }
        self
    }

    /// Lists the regions of a snapshot, and their files, at their current locations. Those that cannot be
    /// found are added to `faults`.
    pub(crate) fn of_snapshot(
        path: PathBuf,
        options: &RegionOptions,
        faults: &mut Vec<CommandError>,
    ) -> Result<Self, Failure> {
        let snapshot = open_snapshot(&path, options.clone())?;
        let full = vfs::full(&path).map_err(|error| CommandError::io("open", &path, &error))?;
        let root = full.ancestors().nth(2).unwrap_or(&full);
        let below = Path::new(DATA).join(snapshot.name().namespace()).join(snapshot.name().qualifier());
        let mut regions = Vec::new();
        for info in snapshot.regions() {
            let (files, missing) = snapshot.snapshot_files(&info)?;
            faults.extend(missing.into_iter().map(CommandError::from));
            let mut listed = Vec::new();
            for file in files {
                match FileEntry::of_snapshot(file) {
                    Ok(file) => listed.push(file),
                    Err(fault) => faults.push(fault),
                }
            }
            regions.push(RegionOverview::of_snapshot(&root.join(&below), info, true, listed));
        }
        let mob: Vec<_> = snapshot
            .mob_files()?
            .into_iter()
            .map(|file| FileEntry { family: Some(file.family), path: file.path, kind: FileKind::StoreFile })
            .collect();
        if !mob.is_empty() {
            let info = RegionInfo::new(snapshot.name().clone(), ".mob", "", 0)?;
            regions.push(RegionOverview::of_snapshot(&root.join(MOB).join(&below), info, false, mob));
        }
        let (name, gaps) = (Some(snapshot.name().to_string()), snapshot.inconsistencies());
        Ok(Self { path, name, regions, gaps, statistics: None })
    }

    /// Returns the number of regions.
    pub(crate) fn region_count(&self) -> usize {
        self.regions.iter().filter(|region| region.encoded().is_some()).count()
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

/// Adds the region of the MOB files of a table, by their directory. It serves no rows. Its `.regioninfo` in
/// the directory of a clone is not another region.
fn add_mob(
    dir: Option<&Path>,
    regions: &mut Vec<RegionOverview>,
    options: &RegionOptions,
    faults: &mut Vec<CommandError>,
) {
    let Some(dir) = dir else { return };
    for path in subdirectories(dir, faults) {
        let (mut region, fault) = RegionOverview::open(path, options);
        faults.extend(fault);
        if let Some(at) = regions.iter().position(|other| other.encoded() == region.encoded()) {
            region.info = region.info.or_else(|| regions[at].info.clone());
            if subdirectories(&regions[at].path, faults).is_empty() {
                regions.remove(at);
            }
        }
        regions.push(region);
    }
}
