//! Explaining reads of a source, region by region.

use super::{InputSource, Rows};
use crate::failure::Failure;
use crate::query_args::{CellArgs, RowArgs};
use crate::scan_rows::check_only_family;
use hregion::Region;
use hregion::region::{ExplainedCell, ExplainedFile, Explanation, FileReason};
use std::borrow::Cow;
use std::ops::ControlFlow;

/// Receives explained cells.
type Take<'t> = dyn FnMut(ExplainedCell<'_>) -> Result<(), Failure> + 't;

impl InputSource {
    /// Passes every stored cell of the rows of a scan to `take`, with its reason. Returns the files.
    pub(crate) fn explain_scan(
        &self,
        rows: &RowArgs,
        cells: &CellArgs,
        take: &mut Take<'_>,
    ) -> Result<Vec<ExplainedFile>, Failure> {
        let scan = rows.scan(&self.narrowed(cells)?);
        let mut left = scan.limit.filter(|&limit| limit > 0);
        let mut files: Vec<ExplainedFile> = Vec::new();
        let (mut last, mut first) = (None, 0);
        for region in self.regions(rows.is_reversed(), |start, end| rows.overlaps(start, end)) {
            if left == Some(0) {
                break;
            }
            let region = region?;
            let Some(scan) = region.narrow(&scan.scan).map(Cow::into_owned) else { continue };
            let scan = if let Some(left) = left { scan.limit(left) } else { scan };
            let explained = self.explain(&region.region, take, |region, take| region.explain(&scan, take))?;
            left = left.map(|left| left.saturating_sub(explained.rows));
            // A region that has replaced several is read once for each.
            let name = region.region.info().encoded_name();
            if last.replace(name.clone()) != Some(name) {
                first = files.len();
            }
            for file in explained.files {
                match files.iter_mut().skip(first).find(|known| known.path == file.path) {
                    None => files.push(file),
                    Some(known) if file.reason == FileReason::MayMatch => *known = file,
                    Some(_) => {}
                }
            }
            if explained.is_over {
                break;
            }
        }
        Ok(files)
    }

    /// Passes every stored cell of a row to `take`, with its reason. Returns the files.
    pub(crate) fn explain_get(
        &self,
        row: &[u8],
        cells: &CellArgs,
        take: &mut Take<'_>,
    ) -> Result<Vec<ExplainedFile>, Failure> {
        let cells = self.narrowed(cells)?;
        let mut files = Vec::new();
        for region in self.regions_of(row) {
            let (region, get) = (region?.region, cells.get(row));
            let explained = if cells.is_raw() {
                // A raw read is a scan; the get reports errors about the row or the families.
                region.exists(&get)?;
                let scan = cells.raw_scan(row);
                self.explain(&region, take, |region, take| region.explain(&scan, take))?
            } else {
                self.explain(&region, take, |region, take| region.explain_get(&get, take))?
            };
            files.extend(explained.files);
        }
        Ok(files)
    }

    /// Runs `read` on a region, and ends it at the first error of `take`.
    fn explain(
        &self,
        region: &Region,
        take: &mut Take<'_>,
        read: impl FnOnce(
            &Region,
            &mut dyn FnMut(ExplainedCell<'_>) -> ControlFlow<()>,
        ) -> hregion::Result<Explanation>,
    ) -> Result<Explanation, Failure> {
        let mut taken = Ok(());
        let explained = read(region, &mut |explained| {
            taken = match self.rows {
                Rows::Regions(_) => Ok(()),
                Rows::Files(_) => check_only_family(region, [explained.cell]).map_err(Failure::from),
            };
            taken = std::mem::replace(&mut taken, Ok(())).and_then(|()| take(explained));
            if taken.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        taken?;
        Ok(explained?)
    }
}
