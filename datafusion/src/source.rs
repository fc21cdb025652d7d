//! The source of rows: a table, a snapshot, or a region.

use crate::ranges::{Range, RangeSet};
use crate::target::Origin;
use hregion::cell::MAX_ROW_LEN;
use hregion::{HFile, HFileOptions, ReadView, Region, RegionScanner, RowRef, Scan};
use hregion::{Table, TableScanner, TableView};
use self_cell::self_cell;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError};

/// The source of rows.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    Table(Table),
    Region(Region),
}

/// The state of a source at one time, for any number of reads.
#[derive(Debug)]
pub(crate) enum View {
    Table(TableView),
    Region(ReadView),
}

/// The view of an origin. It begins when the origin is first read.
#[derive(Debug)]
pub(crate) struct OriginView {
    origin: Origin,
    view: Mutex<Option<Arc<View>>>,
}

impl OriginView {
    pub(crate) fn new(origin: Origin) -> Self {
        Self { origin, view: Mutex::new(None) }
    }

    #[cfg(feature = "codec")]
    pub(crate) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(crate) fn get(&self) -> hregion::Result<Arc<View>> {
        let mut view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(view) = &*view {
            return Ok(Arc::clone(view));
        }
        let begun = Arc::new(self.origin.source()?.view());
        *view = Some(Arc::clone(&begun));
        Ok(begun)
    }
}

/// A region of a source: its range of rows, and statistics of its files.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) start: Vec<u8>,
    pub(crate) end: Option<Vec<u8>>,
    /// The first rows of blocks or groups of blocks, sorted, with the number of bytes of each.
    pub(crate) blocks: Vec<(Vec<u8>, u64)>,
    pub(crate) cells: u64,
    /// Whether any cell may have the timestamp `i64::MAX`, which no range of timestamps includes.
    pub(crate) may_have_latest: bool,
}

/// The number of blocks of a file below which its index is read one level deeper.
const FEW_BLOCKS: usize = 64;

impl Source {
    /// Creates a view. Each region is read in its state at its first read.
    pub(crate) fn view(&self) -> View {
        match self {
            Self::Table(table) => View::Table(table.view()),
            Self::Region(region) => View::Region(region.view()),
        }
    }

    /// Returns the bounds of the regions, in row order.
    pub(crate) fn bounds(&self) -> Vec<(Vec<u8>, Option<Vec<u8>>)> {
        let bounds = |info: &hregion::RegionInfo| {
            let end = info.end_key();
            (info.start_key().to_vec(), (!end.is_empty()).then(|| end.to_vec()))
        };
        match self {
            Self::Table(table) => table.regions().iter().map(bounds).collect(),
            Self::Region(region) => vec![bounds(region.info())],
        }
    }

    /// Whether the row keys sort as bytes. In the catalog they do not.
    pub(crate) fn sorts_as_bytes(&self) -> bool {
        match self {
            Self::Table(table) => !table.name().is_meta(),
            Self::Region(region) => !region.info().table().is_meta(),
        }
    }

    /// Returns the rows that a scan may read: all rows of a table, or those of a region.
    pub(crate) fn rows(&self) -> RangeSet {
        match self {
            Self::Table(_) => RangeSet::all(),
            Self::Region(_) => {
                let range = |(start, end)| RangeSet::range(start, end);
                self.bounds().pop().map_or_else(RangeSet::empty, range)
            }
        }
    }

    fn region(&self, start: &[u8]) -> hregion::Result<Region> {
        match self {
            Self::Table(table) => table.region(start),
            Self::Region(region) => Ok(region.clone()),
        }
    }

    /// Returns the names of the families; `None` if regions may have different ones, or if there are no
    /// regions, which is an error of the read, not an empty answer.
    pub(crate) fn families(&self) -> hregion::Result<Option<Vec<Vec<u8>>>> {
        let bounds = self.bounds();
        let Some((start, _)) = bounds.first() else { return Ok(None) };
        let region = self.region(start)?;
        let are_of_all = bounds.len() == 1 || region.has_descriptor();
        Ok(are_of_all.then(|| region.families().map(|family| family.name().to_vec()).collect()))
    }

    /// Returns statistics from the trailers and indexes of a region's files, if they can be read. `families`
    /// are those to be read; `None` for all.
    pub(crate) fn examine(
        &self,
        (start, end): (Vec<u8>, Option<Vec<u8>>),
        families: Option<&[Vec<u8>]>,
        options: &HFileOptions,
    ) -> Part {
        let mut part = Part { start, end, blocks: Vec::new(), cells: 0, may_have_latest: true };
        // a fault of a region is an error of the reads that need it
        let Ok(region) = self.region(&part.start) else { return part };
        // Another process may have split the region since it was listed: other regions have the rest of the
        // rows.
        let last = region.info().end_key();
        if !last.is_empty() && part.end.as_deref().is_none_or(|end| end > last) {
            return part;
        }
        let mut may_have_latest = region.memstore_size() > 0;
        for family in region.families() {
            if families.is_some_and(|families| families.iter().all(|name| *name != *family.name())) {
                continue;
            }
            for path in region.hfile_paths(family.name()).unwrap_or_default() {
                match options.open(&path) {
                    Ok(file) => may_have_latest |= part.add(&file),
                    Err(_) => may_have_latest = true,
                }
            }
        }
        part.blocks.sort();
        part.may_have_latest = may_have_latest;
        part
    }
}

impl Part {
    /// Adds a file. Returns whether a cell of it may have the greatest timestamp.
    fn add(&mut self, file: &HFile) -> bool {
        self.cells = self.cells.saturating_add(file.entry_count());
        let mut path = Vec::new();
        let mut entries = file.index_entries(&path).ok().flatten().unwrap_or_default();
        // the root of a large file has few entries
        while entries.len() == 1 || entries.len() < FEW_BLOCKS && path.is_empty() {
            let mut below = Vec::new();
            for at in 0..entries.len() {
                let child = [&path[..], &[at]].concat();
                below.extend(file.index_entries(&child).ok().flatten().unwrap_or_default());
            }
            if below.is_empty() {
                break;
            }
            path.push(0);
            entries = below;
        }
        let each = file.file_len() / u64::try_from(entries.len().max(1)).unwrap_or(u64::MAX);
        let end = self.end.as_deref();
        let is_inside = |row: &[u8]| row >= &self.start[..] && end.is_none_or(|end| row < end);
        let rows = entries.iter().map(|(key, _)| key.row().to_vec());
        // the other half of a referenced file is in another region
        let rows: Vec<_> = rows.filter(|row| is_inside(row)).collect();
        self.blocks.extend(rows.into_iter().map(|row| (row, each)));
        let times = file.file_info().time_range();
        !matches!(times, Ok(Some(times)) if times.min <= times.max && times.max < i64::MAX)
    }
}

impl View {
    fn scan<'v>(&'v self, scan: &'v Scan) -> hregion::Result<Scanner<'v>> {
        Ok(match self {
            Self::Table(view) => Scanner::Table(view.scan(scan)?),
            Self::Region(view) => Scanner::Region(view.scan(scan)?),
        })
    }

    /// Passes the rows of a scan to `take`, until it returns `Break`.
    pub(crate) fn for_each_row<E: From<hregion::Error>>(
        &self,
        scan: &Scan,
        take: impl FnMut(RowRef<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<ControlFlow<()>, E> {
        self.scan(scan)?.for_each_row(take)
    }
}

enum Scanner<'v> {
    Table(TableScanner<'v>),
    Region(RegionScanner<'v>),
}

impl Scanner<'_> {
    fn for_each_row<E: From<hregion::Error>>(
        &mut self,
        mut take: impl FnMut(RowRef<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<ControlFlow<()>, E> {
        // a loop for each, so that the variant is not tested for every row
        match self {
            Self::Table(rows) => {
                while let Some(row) = rows.next_row()? {
                    if take(row)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
            Self::Region(rows) => {
                while let Some(row) = rows.next_row()? {
                    if take(row)?.is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    }
}

/// The borrowed parts of a scanner.
struct Scanned {
    view: Arc<View>,
    scan: Scan,
}

self_cell!(
    struct OwnedScanner {
        owner: Scanned,
        #[not_covariant]
        dependent: Scanner,
    }
);

/// The rows of a scan, in order, together with their view. Any thread may read the next ones.
pub(crate) struct Rows(OwnedScanner);

impl Rows {
    pub(crate) fn new(view: Arc<View>, scan: Scan) -> hregion::Result<Self> {
        OwnedScanner::try_new(Scanned { view, scan }, |of| of.view.scan(&of.scan)).map(Self)
    }

    /// Passes the next rows to `take`, until it returns `Break`. The next call continues after that row.
    /// Returns `Continue` at the end.
    pub(crate) fn for_each<E: From<hregion::Error>>(
        &mut self,
        take: impl FnMut(RowRef<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<ControlFlow<()>, E> {
        self.0.with_dependent_mut(|_, scanner| scanner.for_each_row(take))
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rows").field("scan", &self.0.borrow_owner().scan).finish_non_exhaustive()
    }
}

/// Returns the scan of a range. A bound that is longer than any row is replaced by its first bytes, as many
/// as a row may have: the row with these bytes is before the bound, and any other row is on the same side of
/// both.
pub(crate) fn scan_of(scan: &Scan, range: &Range) -> Scan {
    // a scan of one row is read like a get; an empty bound means no bound
    if let Some(row) = range.point().filter(|row| !row.is_empty() && row.len() <= MAX_ROW_LEN) {
        return scan.clone().start_row(row.to_vec(), true).stop_row(row.to_vec(), true);
    }
    let cut =
        |bound: &[u8]| bound.get(..MAX_ROW_LEN).filter(|head| head.len() < bound.len()).map(<[u8]>::to_vec);
    let scan = match cut(&range.start) {
        Some(start) => scan.clone().start_row(start, false),
        None => scan.clone().start_row(range.start.clone(), true),
    };
    let end = range.end.clone().unwrap_or_default();
    match cut(&end) {
        Some(end) => scan.stop_row(end, true),
        None => scan.stop_row(end, false),
    }
}
