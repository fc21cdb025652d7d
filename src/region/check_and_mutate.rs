//! Conditional writes (read-path.md §19.3; HBase: `HRegion.checkAndMutate`).

use super::batch::joined;
use super::mutate::check_rows;
use super::observer::Held;
use super::{Region, RegionCore};
use crate::cell::{LATEST_TIMESTAMP, Row, RowBuf};
use crate::error::Result;
use crate::op::{CheckAndMutate, Condition, Get};

/// The result of a [`CheckAndMutate`] (HBase: `CheckAndMutateResult`).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CheckResult {
    /// Whether the condition held, and the mutations were applied.
    pub success: bool,
    /// The cells returned by the mutations, as by [`Region::mutate_row`].
    pub cells: Row,
}

impl CheckResult {
    /// Creates the result of a conditional write on a server.
    #[must_use]
    pub fn new(success: bool, cells: Row) -> Self {
        Self { success, cells }
    }
}

impl Region {
    /// Applies mutations to a row if a condition holds. The row is locked, so no other write occurs in
    /// between.
    ///
    /// Values without a timestamp of their own get one that is not before that of the cell checked. Deletes
    /// get the time of writing, as in HBase: one does not hide a checked cell that is later than the clock.
    ///
    /// # Errors
    ///
    /// If the row is outside of the region, the family of the condition is unknown, or the cells to check
    /// cannot be read; and, if the condition holds, as [`mutate_row`](Self::mutate_row). Nothing is written
    /// then.
    pub fn check_and_mutate(&self, mut check: CheckAndMutate) -> Result<CheckResult> {
        let mut result = CheckResult { success: false, cells: RowBuf::new().freeze() };
        let bypassed = self.0.observe_or_bypass(|observer, context| {
            observer.pre_check_and_mutate(context, &check, &mut result)
        })?;
        if bypassed {
            return Ok(result);
        }
        let mut result = self.0.check_and_mutate(&mut check)?;
        self.0.observe(|observer, context| observer.post_check_and_mutate(context, &check, &mut result))?;
        Ok(result)
    }
}

impl RegionCore {
    fn check_and_mutate(&self, check: &mut CheckAndMutate) -> Result<CheckResult> {
        // Checked in HBase's order, which determines the error returned.
        check_rows(&check.row, &check.mutations)?;
        let get = Get::new(&check.row).time_range(check.time_range);
        let get = match &check.condition {
            Condition::Column(column) => {
                self.store_index(&column.family)?;
                get.column(column.family.clone(), column.qualifier.clone())
            }
            // HBase opens a scan for a condition, and only a get loads families on demand by default.
            Condition::Filter(filter) => get.filter(filter.clone()).load_families_on_demand(false),
        };
        self.check_not_held(&[Held::Rows], "write to")?;
        self.check_write(&check.row)?;
        let row = self.lock_row(&check.row);
        let mut result = CheckResult { success: false, cells: RowBuf::new().freeze() };
        let bypassed = self.observe_or_bypass(|observer, context| {
            observer.pre_check_and_mutate_after_row_lock(context, check, &mut result)
        })?;
        if bypassed {
            return Ok(result);
        }
        let mut found = RowBuf::new();
        self.get_now(&get, &mut found)?;
        let stored = found.as_row().cells().next();
        let holds = match &check.condition {
            Condition::Column(column) => column.matches(stored.map(|cell| cell.value())),
            Condition::Filter(_) => stored.is_some(),
        };
        if !holds {
            return Ok(CheckResult { success: false, cells: RowBuf::new().freeze() });
        }
        // No new value has the latest timestamp: it means the time of writing.
        let checked = stored.map(|cell| cell.timestamp()).filter(|&timestamp| timestamp != LATEST_TIMESTAMP);
        let since = checked.unwrap_or(i64::MIN);
        let outcomes = self.write_to_locked(&mut check.mutations, since, row)?;
        Ok(CheckResult { success: true, cells: joined(outcomes)? })
    }
}
