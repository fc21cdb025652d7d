//! Sources of rows: an HFile, the files of a family, a region, the regions of a table.

mod cells;
mod explain;

pub(crate) use cells::RowCells;

use crate::args::FileArgs;
use crate::directories::{DATA, each_entry, each_table_below, family_of_region};
use crate::failure::{CommandError, Failure};
use crate::faults::Faults;
use crate::output::{Output, Warner};
use crate::part_sums::Named;
use crate::probe;
use crate::query_args::{CellArgs, RowArgs};
use crate::regions::{ClosedRegion, OpenRegion, OpenRegions, Regions};
use crate::scan_rows::check_only_family;
use crate::target::{self, Kind, kind_of as kind_of_target};
use crate::target_args::TargetArgs;
use crate::vfs;
use hregion::{CellRef, Cursor, Region, RegionOptions, RowBuf, RowRef, Table};
use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

/// Rows to read.
#[derive(Debug)]
pub(crate) struct InputSource {
    rows: Rows,
    /// The only family that is read, or `None` for all.
    family: Option<Vec<u8>>,
    warner: Warner,
}

#[derive(Debug)]
enum Rows {
    Regions(Box<Regions>),
    /// Files read without their region.
    Files(Region),
}

/// The depth of files in the directory of all namespaces.
const DEPTH: u32 = 5;

impl InputSource {
    /// Opens a target. `draws` selects the progress bar.
    pub(crate) fn open(
        target: &TargetArgs,
        reading: &FileArgs,
        cells: &CellArgs,
        draws: Option<Draws>,
        out: &mut Output,
    ) -> Result<Self, Failure> {
        let options = Self::begin(target, reading, cells, draws, out)?;
        let kind = target.kind()?;
        Self::of_kind(&target.target, kind, options, out)
    }

    /// Opens each table of a namespace or a root directory, by path, with its name; the faults of those that
    /// cannot be opened are added to `faults`. Any other target is one source without a name.
    pub(crate) fn open_all(
        target: &TargetArgs,
        reading: &FileArgs,
        cells: &CellArgs,
        draws: Option<Draws>,
        faults: &mut Faults,
        out: &mut Output,
    ) -> Result<Vec<Named>, Failure> {
        let options = Self::begin(target, reading, cells, draws, out)?;
        let kind = target.kind()?;
        if kind == Kind::Root {
            out.warner().warn_of_old_tables(&target.target);
        }
        if matches!(kind, Kind::Namespace | Kind::Root) {
            let mut opened = Vec::new();
            for dir in each_table_below(&target.target, kind) {
                let table =
                    dir.and_then(|dir| Table::open_dir(dir, options.clone()).map_err(CommandError::from));
                match table {
                    Ok(table) => {
                        let name = table.name().clone();
                        opened.push((Some(name), Self::of_regions(Regions::Of(table), None, out)));
                    }
                    Err(fault) => faults.add(fault, out),
                }
            }
            Ok(opened)
        } else {
            Ok(vec![(None, Self::of_kind(&target.target, kind, options, out)?)])
        }
    }

    /// Starts the progress bar. Returns the options for reading.
    fn begin(
        target: &TargetArgs,
        reading: &FileArgs,
        cells: &CellArgs,
        draws: Option<Draws>,
        out: &mut Output,
    ) -> Result<RegionOptions, Failure> {
        match draws {
            Some(Draws { prints, all: true }) => {
                out.start_progress(bytes_of(&target.target, target.kind), prints);
            }
            Some(Draws { prints, all: false }) => out.start_unknown_progress(prints),
            None => {}
        }
        Ok(reading.region_options(out)?.clock(cells.clock()).storage(out.progress().storage()))
    }

    /// Opens a target of a kind. Warns, also when a region is opened, if logs of servers may have more rows.
    pub(crate) fn of_kind(
        path: &Path,
        kind: Kind,
        options: RegionOptions,
        out: &Output,
    ) -> Result<Self, Failure> {
        match kind {
            Kind::Hfile => Self::of_files(options, vec![path.to_owned()], out),
            Kind::Family => Self::of_family(path, options, out),
            kind => Ok(Self::of_regions(Regions::find(path, Some(kind), options)?, None, out)),
        }
    }

    fn of_regions(regions: Regions, family: Option<Vec<u8>>, out: &Output) -> Self {
        let warner = out.warner_of_reads();
        if let Regions::Of(table) = &regions {
            warner.warn_of_logs(table.unread_logs(), table.name());
        }
        Self { rows: Rows::Regions(Box::new(regions)), family, warner }
    }

    /// Opens a family, with the settings of its table if it is in a region.
    fn of_family(dir: &Path, options: RegionOptions, out: &Output) -> Result<Self, Failure> {
        if let Some((region, name)) = family_of_region(dir)? {
            let regions = Regions::find(&region, Some(Kind::Region), options)?;
            return Ok(Self::of_regions(regions, Some(name.into_encoded_bytes()), out));
        }
        Self::of_files(options, files_in(dir)?, out)
    }

    fn of_files(options: RegionOptions, files: Vec<PathBuf>, out: &Output) -> Result<Self, Failure> {
        for file in &files {
            target::check_hfile(file, out)?;
        }
        let (region, warner) = (options.open_files(files)?, out.warner());
        warner.warn_of(&region);
        Ok(Self { rows: Rows::Files(region), family: None, warner })
    }

    /// Returns the parts whose bounds are `wanted`, in row order.
    fn parts(&self, wanted: impl Fn(&[u8], &[u8]) -> bool) -> Vec<SourcePart<'_>> {
        match &self.rows {
            Rows::Regions(regions) => {
                let places = regions.regions_and_holes(wanted).into_iter();
                places.map(|region| SourcePart::Closed(region, &self.warner)).collect()
            }
            Rows::Files(region) => vec![SourcePart::Files(region)],
        }
    }

    /// Returns the regions that may contain `wanted` rows, in row order or reversed.
    fn regions(
        &self,
        reversed: bool,
        wanted: impl Fn(&[u8], &[u8]) -> bool,
    ) -> impl Iterator<Item = hregion::Result<OpenRegion>> {
        let mut parts = self.parts(wanted);
        if reversed {
            parts.reverse();
        }
        parts.into_iter().flat_map(move |part| match part.open() {
            Ok(OpenRegions { mut parts, .. }) => {
                if reversed {
                    parts.reverse();
                }
                parts.into_iter().map(Ok).collect::<Vec<_>>()
            }
            Err(error) => vec![Err(error)],
        })
    }

    /// Returns the parts that may contain rows of a range, in row order.
    pub(crate) fn parts_of(&self, rows: &RowArgs) -> Vec<SourcePart<'_>> {
        self.parts(|start, end| rows.overlaps(start, end))
    }

    /// Passes the rows of a part to `take`. Returns whether the scan ends with it, so that nothing is read of
    /// the next ones: only if [`CellArgs::may_end_scan`] need these wait for it.
    pub(crate) fn scan_part(
        &self,
        regions: &OpenRegions,
        rows: &RowArgs,
        cells: &CellArgs,
        mut take: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
    ) -> Result<bool, Failure> {
        let scan = rows.scan(&self.narrowed(cells)?);
        for part in &regions.parts {
            let is_over = scan.run_region(part, |row| {
                self.check(&part.region, row)?;
                take(row)
            })?;
            if is_over {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Restricts the selection to the source's family, if there is only one.
    fn narrowed(&self, cells: &CellArgs) -> Result<CellArgs, CommandError> {
        match &self.family {
            None => Ok(cells.clone()),
            Some(family) => cells.within(family),
        }
    }

    fn check(&self, region: &Region, row: RowRef<'_>) -> Result<(), CommandError> {
        match self.rows {
            Rows::Regions(_) => Ok(()),
            Rows::Files(_) => check_only_family(region, row.cells()),
        }
    }

    /// Passes the rows to `take`. Returns where to continue if a limit was reached and there may be more.
    pub(crate) fn scan(
        &self,
        rows: &RowArgs,
        cells: &CellArgs,
        mut take: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
    ) -> Result<Option<Cursor>, Failure> {
        let scan = rows.scan(&self.narrowed(cells)?);
        scan.run(self.regions(rows.is_reversed(), |start, end| rows.overlaps(start, end)), |region, row| {
            self.check(region, row)?;
            take(row)
        })
    }

    /// Returns the regions that may contain a row.
    fn regions_of(&self, row: &[u8]) -> impl Iterator<Item = hregion::Result<OpenRegion>> {
        let regions = self.regions(false, move |start, end| start <= row && (end.is_empty() || row < end));
        regions.filter(move |region| !region.as_ref().is_ok_and(|region| !region.has_row(row)))
    }

    /// Passes the cells of a row to `take`, if there are any.
    pub(crate) fn get(
        &self,
        row: &[u8],
        cells: &CellArgs,
        mut take: impl FnMut(RowRef<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let cells = self.narrowed(cells)?;
        for region in self.regions_of(row) {
            let region = region?.region;
            let get = cells.get(row);
            if cells.is_raw() {
                // a raw read is a scan; the get reports errors about the row or the families
                region.exists(&get)?;
                let scan = cells.raw_scan(row);
                let view = region.view();
                let mut scanner = view.scan(&scan)?;
                while let Some(row) = scanner.next_row()? {
                    self.check(&region, row)?;
                    take(row)?;
                }
            } else {
                let mut found = RowBuf::new();
                region.get_into(&get, &mut found)?;
                self.check(&region, found.as_row())?;
                take(found.as_row())?;
            }
        }
        Ok(())
    }

    /// Passes every stored cell of a part to `take`, in row order, until it fails.
    pub(crate) fn for_each_stored(
        &self,
        regions: &OpenRegions,
        mut take: impl FnMut(CellRef<'_>) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let cells = self.narrowed(&CellArgs::of_all_stored())?;
        regions.parts.iter().try_for_each(|part| for_each_stored(part, &cells, &mut take))
    }
}

/// Passes the cells of a region to `take`, in row order, until it fails.
pub(crate) fn for_each_stored(
    region: &OpenRegion,
    cells: &CellArgs,
    mut take: impl FnMut(CellRef<'_>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let scan = RowArgs::default().scan(cells).scan;
    let Some(scan) = region.narrow(&scan) else { return Ok(()) };
    let view = region.region.view();
    let mut taken = Ok(());
    view.scan(&scan)?.for_each_cell(|cell| {
        taken = take(cell);
        if taken.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    taken
}

/// A region of a source, or the files that are read without one.
#[derive(Debug)]
pub(crate) enum SourcePart<'s> {
    /// A region that is opened when it is read.
    Closed(ClosedRegion<'s>, &'s Warner),
    Files(&'s Region),
}

impl SourcePart<'_> {
    /// Whether there is anything to open: not for rows without a region.
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self, Self::Closed(ClosedRegion::None(_), _))
    }

    pub(crate) fn open(&self) -> hregion::Result<OpenRegions> {
        match self {
            Self::Closed(region, warner) => region.clone().open_all(warner),
            Self::Files(region) => Ok(OpenRegions::whole((*region).clone())),
        }
    }
}

/// The progress bar while rows are read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Draws {
    /// Whether the rows are printed.
    pub(crate) prints: bool,
    /// Whether the whole target is read.
    pub(crate) all: bool,
}

/// Returns the files of a directory without a region, except those whose names HBase hides.
pub(crate) fn files_in(dir: &Path) -> Result<Vec<PathBuf>, CommandError> {
    each_file_in(dir).into_iter().collect()
}

/// Like [`files_in`], with an error for each entry that cannot be examined, or one error if they cannot be
/// listed.
pub(crate) fn each_file_in(dir: &Path) -> Vec<Result<PathBuf, CommandError>> {
    each_entry(dir, |path| {
        let name = path.file_name().unwrap_or_default();
        let is_hidden = matches!(name.as_encoded_bytes().first(), Some(b'.' | b'_'));
        Ok(!is_hidden && probe::is_file(path)?)
    })
}

/// Returns the size in bytes of a target's files; 0 if that is unknown.
pub(crate) fn bytes_of(path: &Path, kind: Option<Kind>) -> u64 {
    if vfs::is_url(path) {
        // It would take many requests.
        return 0;
    }
    match kind_of_target(path, kind) {
        Ok(Kind::Root) => bytes_below(&path.join(DATA), DEPTH),
        _ => bytes_below(path, DEPTH),
    }
}

/// Returns the sum of [`bytes_of`] several targets. Files may be sparse, of any length.
pub(crate) fn bytes_of_all<'p>(paths: impl IntoIterator<Item = &'p PathBuf>, kind: Option<Kind>) -> u64 {
    paths.into_iter().map(|path| bytes_of(path, kind)).fold(0, u64::saturating_add)
}

fn bytes_below(path: &Path, depth: u32) -> u64 {
    let Ok(entries) = fs::read_dir(path) else { return path.metadata().map_or(0, |meta| meta.len()) };
    let entries = entries.flatten().filter(|_| depth > 0);
    entries.map(|entry| bytes_below(&entry.path(), depth - 1)).fold(0, u64::saturating_add)
}
