//! Reads parts of rows, and owns the scan: a changed copy of the caller's.

use super::partial_results::PartialResults;
use super::start_filter;
use crate::cell::RowBuf;
use crate::error::Result;
use crate::op::Scan;
use crate::region::{RegionCore, RegionVersion};
use crate::store::context::ScannerContext;
use self_cell::self_cell;
use std::sync::Arc;

/// The data that the rows borrow.
struct ScanSource<'v> {
    region: &'v RegionCore,
    state: &'v RegionVersion,
    scan: Arc<Scan>,
}

self_cell!(
    struct Cell<'v> {
        owner: ScanSource<'v>,
        #[not_covariant]
        dependent: PartialResults,
    }
);

/// [`PartialResults`] together with the scan they borrow.
pub(super) struct OwnedResults<'v>(Cell<'v>);

impl<'v> OwnedResults<'v> {
    pub(super) fn open(
        region: &'v RegionCore,
        state: &'v RegionVersion,
        scan: Arc<Scan>,
        read_point: i64,
    ) -> Result<Self> {
        Cell::try_new(ScanSource { region, state, scan }, |source| {
            let ScanSource { region, state, scan } = source;
            PartialResults::open(region, state, scan, read_point, start_filter(scan)?, region.clock.now())
        })
        .map(Self)
    }

    /// Like [`PartialResults::next`].
    pub(super) fn next(&mut self, context: &mut ScannerContext, row: &mut RowBuf) -> Result<bool> {
        self.0.with_dependent_mut(|_, rows| rows.next(context, row))
    }

    /// Like [`PartialResults::next_row`].
    pub(super) fn next_row(&self) -> Option<Vec<u8>> {
        self.0.with_dependent(|_, rows| rows.next_row().map(<[u8]>::to_vec))
    }

    /// Like [`PartialResults::is_filter_done`].
    pub(super) fn is_filter_done(&self) -> bool {
        self.0.with_dependent(|_, rows| rows.is_filter_done())
    }

    /// Like [`PartialResults::may_have_more`].
    pub(super) fn may_have_more(&self) -> bool {
        self.0.with_dependent(|_, rows| rows.may_have_more())
    }
}
