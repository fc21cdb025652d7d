//! Explains reads of a table, region by region.

use super::steps::Steps;
use super::{Table, TableView};
use crate::error::Result;
use crate::op::{Get, Scan};
use crate::region::{ExplainedCell, Explanation};
use std::ops::ControlFlow;

impl Table {
    /// Like [`TableView::explain`], on the table's current state.
    ///
    /// # Errors
    ///
    /// Same as [`TableView::explain`].
    pub fn explain(
        &self,
        scan: &Scan,
        take: impl FnMut(ExplainedCell<'_>) -> ControlFlow<()>,
    ) -> Result<Explanation> {
        self.view().explain(scan, take)
    }

    /// Like [`TableView::explain_get`], on the table's current state.
    ///
    /// # Errors
    ///
    /// Same as [`TableView::explain_get`].
    pub fn explain_get(
        &self,
        get: &Get,
        take: impl FnMut(ExplainedCell<'_>) -> ControlFlow<()>,
    ) -> Result<Explanation> {
        self.view().explain_get(get, take)
    }
}

impl TableView {
    /// Explains a scan, as [`ReadView::explain`](crate::ReadView::explain), in all regions that it reads. If
    /// the filter accepts no row of a region and none after it, the explanation ends with the region.
    ///
    /// # Errors
    ///
    /// Same as [`ReadView::explain`](crate::ReadView::explain) and [`scan`](Self::scan).
    pub fn explain(
        &self,
        scan: &Scan,
        mut take: impl FnMut(ExplainedCell<'_>) -> ControlFlow<()>,
    ) -> Result<Explanation> {
        let mut steps = Steps::new(scan);
        let mut left = scan.limit.filter(|&limit| limit > 0);
        let mut whole = Explanation::default();
        while left != Some(0)
            && !whole.is_over
            && let Some((region, rest)) = self.next_region(&mut steps)?
        {
            let scan = rest.as_ref().unwrap_or(scan);
            let narrowed = left.map(|left| scan.clone().limit(left));
            let of_region = region.explain(narrowed.as_ref().unwrap_or(scan), &mut take)?;
            left = left.map(|left| left.saturating_sub(of_region.rows));
            whole.files.extend(of_region.files);
            whole.rows += of_region.rows;
            whole.is_over = of_region.is_over;
        }
        Ok(whole)
    }

    /// Explains a get, as [`ReadView::explain_get`](crate::ReadView::explain_get).
    ///
    /// # Errors
    ///
    /// Same as [`ReadView::explain_get`](crate::ReadView::explain_get), or if no region, or more than one,
    /// has the row.
    pub fn explain_get(
        &self,
        get: &Get,
        take: impl FnMut(ExplainedCell<'_>) -> ControlFlow<()>,
    ) -> Result<Explanation> {
        self.region_of(get.row())?.explain_get(get, take)
    }
}
