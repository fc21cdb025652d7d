//! The regions at a path: one, or those of a table or a snapshot in row order.

use crate::directories::{SNAPSHOT_DIR, hint_of, is_region_name, kind_of};
use crate::failure::{CommandError, Failure};
use crate::output::Warner;
use crate::scan_rows::{may_have, within};
use crate::target::Kind;
use crate::vfs;
use hregion::locator::RegionInconsistency;
use hregion::{Error, ErrorKind, Region, RegionInfo, RegionOptions, Scan, Table};
use std::borrow::Cow;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Regions to read, in row order.
#[derive(Debug)]
pub(crate) enum Regions {
    /// One region, by its directory.
    One(PathBuf, Box<RegionOptions>),
    /// The regions of a table.
    Of(Table),
}

impl Regions {
    /// Finds the region at a directory, or the regions of a table or of a snapshot.
    pub(crate) fn find(dir: &Path, kind: Option<Kind>, options: RegionOptions) -> Result<Self, Failure> {
        match kind_of(dir, kind)? {
            Kind::Region => Ok(Self::One(dir.to_owned(), Box::new(options))),
            Kind::Table => Ok(Self::Of(Table::open_dir(dir, options)?)),
            Kind::Snapshot => Ok(Self::Of(open_snapshot(dir, options)?)),
            kind @ (Kind::Hfile | Kind::Family | Kind::Wal | Kind::Namespace | Kind::Root) => {
                let message = "neither a region nor a table nor a snapshot";
                Err(CommandError::unsupported(dir, message).with_hint(hint_of(kind)).into())
            }
        }
    }

    /// Returns the regions in order, without those whose start and end keys are not `wanted`. Rows without a
    /// region are returned as a hole, which fails to open.
    pub(crate) fn regions_and_holes(&self, wanted: impl Fn(&[u8], &[u8]) -> bool) -> Vec<ClosedRegion<'_>> {
        let table = match self {
            Self::One(path, options) => return vec![ClosedRegion::One(path, options)],
            Self::Of(table) => table,
        };
        let regions = table.regions().into_iter().map(|info| ClosedRegion::Of(table, info));
        let is_hole = |fault: &RegionInconsistency| matches!(fault, RegionInconsistency::Hole { .. });
        let holes = table.inconsistencies().into_iter().filter(is_hole).map(ClosedRegion::None);
        let mut found: Vec<_> =
            regions.chain(holes).filter(|region| wanted(region.start(), region.end())).collect();
        found.sort_by(|a, b| a.start().cmp(b.start()));
        found
    }
}

/// Opens a snapshot by its directory, `ROOT/.hbase-snapshot/NAME`. Its files are elsewhere below the root.
pub(crate) fn open_snapshot(dir: &Path, options: RegionOptions) -> Result<Table, Failure> {
    // The path may be `.`, or end with it.
    let path = vfs::full(dir).map_err(|error| CommandError::io("open", dir, &error))?;
    let parts = path.parent().zip(path.file_name().and_then(|name| name.to_str()));
    let root = |snapshots: &Path| {
        snapshots.ends_with(SNAPSHOT_DIR).then(|| snapshots.parent()).flatten().map(Path::to_owned)
    };
    match parts.and_then(|(snapshots, name)| Some((root(snapshots)?, name))) {
        Some((root, name)) => Ok(Table::open_snapshot_with(root, name, options)?),
        None => {
            let message =
                format!("a snapshot that is not in the directory {SNAPSHOT_DIR} of a root directory");
            Err(CommandError::unsupported(dir, message).into())
        }
    }
}

/// Fails if a region was split or merged: others have its rows, and read its files until they are compacted.
/// Also fails if this cannot be determined.
pub(crate) fn check_serves(region: &Path) -> Result<(), CommandError> {
    let path = vfs::full(region).map_err(|error| CommandError::io("open", region, &error))?;
    let parts = path.parent().zip(path.file_name().and_then(|name| name.to_str()));
    let Some((dir, name)) = parts.filter(|(_, name)| is_region_name(name)) else { return Ok(()) };
    // The directory of a copied region may have any other contents.
    let is_of_other = |path: &Path| {
        let mut names = path.strip_prefix(dir).unwrap_or(path).iter();
        let first = names.next().and_then(OsStr::to_str);
        names.next().is_some() && !first.is_some_and(is_region_name)
    };
    let table = match Table::open_dir(dir, Region::options().storage(vfs::storage())) {
        Ok(table) => table,
        // Edits written to a parent would be in files that no region reads.
        Err(error) if error.kind() == ErrorKind::Io && !error.path().is_some_and(is_of_other) => {
            return Err(error.into());
        }
        // A directory that is not a valid table does not determine anything about the region.
        Err(_) => return Ok(()),
    };
    if table.regions().iter().any(|info| info.encoded_name() == name) {
        return Ok(());
    }
    let message = "the region was split or merged, and cannot be changed: other regions have its rows";
    Err(CommandError::invalid_file(region, message))
}

/// A region to be opened.
#[derive(Clone, Debug)]
pub(crate) enum ClosedRegion<'r> {
    One(&'r Path, &'r RegionOptions),
    Of(&'r Table, RegionInfo),
    /// Rows without a region.
    None(RegionInconsistency),
}

impl ClosedRegion<'_> {
    fn start(&self) -> &[u8] {
        match self {
            Self::One(..) => &[],
            Self::Of(_, info) => info.start_key(),
            Self::None(fault) => fault.bounds().0,
        }
    }

    fn end(&self) -> &[u8] {
        match self {
            Self::One(..) => &[],
            Self::Of(_, info) => info.end_key(),
            Self::None(fault) => fault.bounds().1,
        }
    }

    /// Opens the region or, if another process has split or merged it, the regions that now have its rows.
    /// Prints their warnings. Fails if another region overlaps one.
    pub(crate) fn open_all(self, warner: &Warner) -> hregion::Result<OpenRegions> {
        let opened = self.open_all_silently()?;
        opened.parts.iter().for_each(|part| warner.warn_of(&part.region));
        Ok(opened)
    }

    fn open_all_silently(self) -> hregion::Result<OpenRegions> {
        let (table, info) = match self {
            Self::Of(table, info) => (table, info),
            place => return Ok(OpenRegions::whole(place.open_silently()?)),
        };
        let mut parts = Vec::new();
        let mut row = info.start_key().to_vec();
        loop {
            let region = region_of(table, &row, info.end_key())?;
            if parts.is_empty() && region.info().encoded_name() == info.encoded_name() {
                return Ok(OpenRegions::whole(region));
            }
            let ends = [region.info().end_key(), info.end_key()];
            let end = ends.into_iter().filter(|end| !end.is_empty()).min().unwrap_or_default().to_vec();
            let is_last = end == info.end_key();
            parts.push(OpenRegion { region, bounds: Some((row, end.clone())) });
            if is_last {
                return Ok(OpenRegions { info, parts });
            }
            row = end;
        }
    }

    /// Opens the region and prints its warnings. Fails if another process has split or merged it, or another
    /// region overlaps it.
    pub(crate) fn open(self, warner: &Warner) -> hregion::Result<Region> {
        self.open_silently().inspect(|region| warner.warn_of(region))
    }

    fn open_silently(self) -> hregion::Result<Region> {
        match self {
            Self::One(path, options) => options.clone().open(path),
            Self::Of(table, info) => check_same(region_of(table, info.start_key(), info.end_key())?, &info),
            Self::None(fault) => Err(fault.to_error()),
        }
    }
}

/// Opens the region that has a row. Fails if any rows up to `end` are in several regions, or in none.
fn region_of(table: &Table, row: &[u8], end: &[u8]) -> hregion::Result<Region> {
    match table.inconsistencies().iter().find(|fault| fault.touches(row, end)) {
        None => table.region(row),
        Some(fault) => Err(fault.to_error()),
    }
}

/// A region that was opened, or the regions that had its rows at that time.
#[derive(Debug)]
pub(crate) struct OpenRegions {
    /// The region that was to be opened.
    pub(crate) info: RegionInfo,
    /// In row order.
    pub(crate) parts: Vec<OpenRegion>,
}

/// A region that is open, and which rows of it are read.
#[derive(Debug)]
pub(crate) struct OpenRegion {
    pub(crate) region: Region,
    /// The first row, and the row after the last one, of a replaced region, if this one has replaced another;
    /// empty for no bound.
    bounds: Option<(Vec<u8>, Vec<u8>)>,
}

impl OpenRegions {
    pub(crate) fn whole(region: Region) -> Self {
        Self { info: region.info().clone(), parts: vec![OpenRegion::whole(region)] }
    }

    /// Returns the requested region, unless others have replaced it.
    pub(crate) fn as_one(&self) -> Option<&Region> {
        self.parts.first().filter(|part| part.bounds.is_none()).map(|part| &part.region)
    }
}

impl OpenRegion {
    /// All rows of a region.
    pub(crate) fn whole(region: Region) -> Self {
        Self { region, bounds: None }
    }

    /// Whether a row may be read.
    pub(crate) fn has_row(&self, row: &[u8]) -> bool {
        let is_within = |(start, end): &(Vec<u8>, Vec<u8>)| {
            start.as_slice() <= row && (end.is_empty() || row < end.as_slice())
        };
        self.bounds.as_ref().is_none_or(is_within)
    }

    /// Narrows a scan to the rows that are read; `None` if it has none of them.
    pub(crate) fn narrow<'s>(&self, scan: &'s Scan) -> Option<Cow<'s, Scan>> {
        match &self.bounds {
            None => Some(Cow::Borrowed(scan)),
            Some((start, end)) => {
                may_have(scan, start, end).then(|| Cow::Owned(within(scan.clone(), start, end)))
            }
        }
    }
}

/// Fails if a region that has the first row of another one has replaced it: a split or merge by another
/// process has ended since the table was opened. Other regions may have the rest of the rows, or it may have
/// more.
fn check_same(region: Region, info: &RegionInfo) -> hregion::Result<Region> {
    if region.info().encoded_name() == info.encoded_name() {
        return Ok(region);
    }
    let message = format!("{info} was split or merged by another process: try again");
    Err(Error::new(ErrorKind::RegionNotFound, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::io::faulty::FaultyStorage;
    use hregion::{Family, Storage};
    use std::sync::Arc;

    #[test]
    fn a_region_that_was_split_before_it_is_opened_is_not_taken_for_its_first_half() {
        let storage: Arc<dyn Storage> = Arc::new(FaultyStorage::new());
        let options = || Region::options().storage(Arc::clone(&storage)).writable(true);
        let dir = Path::new("/hbase/data/default/t");
        let table = Table::create_with("/hbase", "t", &[Family::new("f")], &["x"], options()).unwrap();
        table.close().unwrap();
        let found = Regions::find(dir, Some(Kind::Table), options()).unwrap();
        let places = found.regions_and_holes(|_, _| true);
        let other = Table::open_with("/hbase", "t", options()).unwrap();
        other.split("m").unwrap();
        other.close().unwrap();
        let opened: Vec<_> = places.into_iter().map(ClosedRegion::open_silently).collect();
        let [Err(error), Ok(_)] = &opened[..] else { panic!("{opened:?}") };
        assert_eq!(error.kind(), ErrorKind::RegionNotFound, "{error}");
        // Opens a region that has replaced it by the time of the next listing.
        let table = Table::open_with("/hbase", "t", options()).unwrap();
        let [bottom, _, last] = &table.regions()[..] else { panic!("{:?}", table.regions()) };
        let region = || table.region(b"").unwrap();
        assert_eq!(check_same(region(), bottom).unwrap().info(), bottom);
        assert_eq!(check_same(region(), last).unwrap_err().kind(), ErrorKind::RegionNotFound);
    }
}
