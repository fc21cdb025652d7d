//! Filter lists: all members, or any member, must pass a cell (read-path.md §14; HBase: `FilterListWithAND`,
//! `FilterListWithOR`).

use super::{CellFilter, Verdict};
use crate::cell::{CellOrder, CellRef, RowBuf, SeekKey};
use crate::error::Result;
use std::cmp::Ordering;

/// Whether `a` is ahead of `b` in the direction of the read.
fn is_ahead(a: &SeekKey, b: &SeekKey, reversed: bool) -> bool {
    let ahead = if reversed { Ordering::Less } else { Ordering::Greater };
    CellOrder::User.compare(a, b) == ahead
}

/// A list whose members must all pass a cell (HBase: `FilterListWithAND`).
#[derive(Debug)]
pub(super) struct FilterListWithAnd {
    members: Vec<AndMember>,
    reversed: bool,
    /// Buffer for a member's hint.
    hint: SeekKey,
}

#[derive(Debug)]
struct AndMember {
    filter: Box<dyn CellFilter>,
    /// Whether the member has a hint for the last cell.
    hints: bool,
    /// Whether the member dropped the row by its key.
    rejected: bool,
}

impl FilterListWithAnd {
    pub(super) fn new(filters: impl IntoIterator<Item = Box<dyn CellFilter>>) -> Self {
        let member = |filter| AndMember { filter, hints: false, rejected: false };
        Self { members: filters.into_iter().map(member).collect(), reversed: false, hint: SeekKey::new() }
    }

    /// Computes the farthest hint of the members; members without a hint are ignored.
    fn farthest(
        &mut self,
        hint: &mut SeekKey,
        mut ask: impl FnMut(&mut AndMember, &mut SeekKey) -> bool,
    ) -> bool {
        let mut found = false;
        for member in &mut self.members {
            if ask(member, &mut self.hint) && (!found || is_ahead(&self.hint, hint, self.reversed)) {
                std::mem::swap(hint, &mut self.hint);
                found = true;
            }
        }
        found
    }
}

impl CellFilter for FilterListWithAnd {
    fn reset(&mut self) {
        for member in &mut self.members {
            member.filter.reset();
            (member.hints, member.rejected) = (false, false);
        }
    }

    fn filter_all_remaining(&self) -> bool {
        self.members.iter().any(|member| member.filter.filter_all_remaining())
    }

    fn filter_row_key(&mut self, row: &[u8]) -> Result<bool> {
        let mut rejected = false;
        let mut hinting_accepts = false;
        for member in &mut self.members {
            if member.filter.filter_all_remaining() {
                return Ok(true);
            }
            member.rejected = member.filter.filter_row_key(row)?;
            rejected |= member.rejected;
            hinting_accepts |= !member.rejected && member.filter.is_hinting();
        }
        Ok(rejected && !hinting_accepts)
    }

    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        let mut merged = Verdict::Include;
        let mut hints = false;
        for member in &mut self.members {
            member.hints = false;
            let verdict = if merged.is_include() {
                if member.filter.filter_all_remaining() {
                    merged = Verdict::NextRow;
                    continue;
                }
                let verdict = member.filter.filter_cell(cell)?;
                merged = merged.and(verdict);
                verdict
            } else if member.filter.is_hinting() {
                // the cell is excluded, but this member's hint may be farther
                member.filter.filter_cell(cell)?
            } else {
                continue;
            };
            member.hints = verdict == Verdict::SeekNextUsingHint;
            hints |= member.hints;
        }
        Ok(if hints { Verdict::SeekNextUsingHint } else { merged })
    }

    fn transform_cell<'a>(&'a mut self, cell: CellRef<'a>) -> CellRef<'a> {
        self.members.iter_mut().fold(cell, |cell, member| member.filter.transform_cell(cell))
    }

    fn next_cell_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        self.farthest(hint, |member, hint| {
            member.hints && !member.filter.filter_all_remaining() && member.filter.next_cell_hint(cell, hint)
        })
    }

    fn hint_for_rejected_row(&mut self, row: &[u8], hint: &mut SeekKey) -> bool {
        self.farthest(hint, |member, hint| member.rejected && member.filter.hint_for_rejected_row(row, hint))
    }

    fn skip_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        self.is_stateless() && self.farthest(hint, |member, hint| member.filter.skip_hint(cell, hint))
    }

    fn filter_row_cells(&mut self, row: &mut RowBuf) {
        self.members.iter_mut().for_each(|member| member.filter.filter_row_cells(row));
    }

    fn filter_row(&mut self) -> bool {
        self.members.iter_mut().any(|member| member.filter.filter_row())
    }

    fn has_filter_row(&self) -> bool {
        self.members.iter().any(|member| member.filter.has_filter_row())
    }

    fn is_family_essential(&self, family: &[u8]) -> bool {
        self.members.is_empty() || self.members.iter().any(|member| member.filter.is_family_essential(family))
    }

    fn ends_at_row(&self) -> bool {
        self.members.iter().any(|member| member.filter.ends_at_row())
    }

    fn take_back_row(&mut self) {
        self.members.iter_mut().for_each(|member| member.filter.take_back_row());
    }

    fn is_stateless(&self) -> bool {
        self.members.iter().all(|member| member.filter.is_stateless())
    }

    fn set_reversed(&mut self, reversed: bool) {
        self.reversed = reversed;
        self.members.iter_mut().for_each(|member| member.filter.set_reversed(reversed));
    }
}

/// A list in which at least one member must pass a cell (HBase: `FilterListWithOR`).
#[derive(Debug)]
pub(super) struct FilterListWithOr {
    members: Vec<OrMember>,
    reversed: bool,
    hint: SeekKey,
}

#[derive(Debug)]
struct OrMember {
    filter: Box<dyn CellFilter>,
    /// Whether the member included the last cell.
    included: bool,
    /// The consequence of the member's verdict on an earlier cell of the row. While it applies, the member is
    /// not called: the list did not skip as far as the verdict allowed.
    memory: Memory,
    /// The earlier cell.
    key: SeekKey,
    /// The value of the earlier cell, if the member has a hint.
    value: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Memory {
    Nothing,
    /// Excludes the rest of the key's column.
    Column,
    /// Excludes the rest of the key's family.
    Family,
    /// Excludes everything before the member's hint for the earlier cell. The hint is requested at the next
    /// cell of the row, because a fuzzy filter ends when it has no hint after its last matching row.
    Hint,
}

impl OrMember {
    /// Returns the member's verdict on the cell, if it follows from an earlier verdict. `hint` is a buffer.
    fn assumed(&mut self, cell: CellRef<'_>, hint: &mut SeekKey, reversed: bool) -> Option<Verdict> {
        let same_family = || cell.key().is_of_family(self.key.family());
        match self.memory {
            Memory::Nothing => None,
            Memory::Column => {
                (cell.qualifier() == self.key.qualifier() && same_family()).then_some(Verdict::NextCol)
            }
            Memory::Family => same_family().then_some(Verdict::NextRow),
            Memory::Hint => {
                let earlier = CellRef::new(&self.key, &self.value);
                if !self.filter.next_cell_hint(earlier, hint) {
                    return None;
                }
                let order = CellOrder::User.compare(cell.key(), hint);
                let before = if reversed { order.is_gt() } else { order.is_lt() };
                before.then_some(Verdict::SeekNextUsingHint)
            }
        }
    }

    fn ask(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        let verdict = self.filter.filter_cell(cell)?;
        self.remember(verdict, cell);
        Ok(verdict)
    }

    /// Records a verdict of the member, actual or assumed.
    fn remember(&mut self, verdict: Verdict, cell: CellRef<'_>) {
        self.memory = match verdict {
            Verdict::Include | Verdict::Skip => Memory::Nothing,
            Verdict::NextCol | Verdict::IncludeAndNextCol => Memory::Column,
            Verdict::NextRow | Verdict::IncludeAndSeekNextRow => Memory::Family,
            Verdict::SeekNextUsingHint => Memory::Hint,
        };
        if self.memory != Memory::Nothing {
            self.key.set_key(cell.key());
        }
        if self.memory == Memory::Hint {
            self.value.clear();
            self.value.extend_from_slice(cell.value());
        }
    }
}

impl FilterListWithOr {
    pub(super) fn new(filters: impl IntoIterator<Item = Box<dyn CellFilter>>) -> Self {
        let member = |filter| OrMember {
            filter,
            included: false,
            memory: Memory::Nothing,
            key: SeekKey::new(),
            value: Vec::new(),
        };
        Self { members: filters.into_iter().map(member).collect(), reversed: false, hint: SeekKey::new() }
    }

    /// Computes the nearest hint of the members that have not ended; there is none if one of these has none.
    fn nearest(
        &mut self,
        hint: &mut SeekKey,
        mut ask: impl FnMut(&mut dyn CellFilter, &mut SeekKey) -> bool,
    ) -> bool {
        let mut found = false;
        for member in self.members.iter_mut().filter(|member| !member.filter.filter_all_remaining()) {
            if !ask(&mut *member.filter, &mut self.hint) {
                return false;
            }
            if !found || is_ahead(hint, &self.hint, self.reversed) {
                std::mem::swap(hint, &mut self.hint);
                found = true;
            }
        }
        found
    }
}

impl CellFilter for FilterListWithOr {
    fn reset(&mut self) {
        for member in &mut self.members {
            member.filter.reset();
            (member.included, member.memory) = (false, Memory::Nothing);
        }
    }

    fn filter_all_remaining(&self) -> bool {
        !self.members.is_empty() && self.members.iter().all(|member| member.filter.filter_all_remaining())
    }

    fn filter_row_key(&mut self, row: &[u8]) -> Result<bool> {
        let mut rejected = !self.members.is_empty();
        for member in self.members.iter_mut().filter(|member| !member.filter.filter_all_remaining()) {
            rejected &= member.filter.filter_row_key(row)?;
        }
        Ok(rejected)
    }

    fn filter_cell(&mut self, cell: CellRef<'_>) -> Result<Verdict> {
        if self.members.is_empty() {
            return Ok(Verdict::Include);
        }
        let mut merged: Option<Verdict> = None;
        for member in &mut self.members {
            member.included = false;
            if member.filter.filter_all_remaining() {
                continue;
            }
            let verdict = match member.assumed(cell, &mut self.hint, self.reversed) {
                Some(verdict) => {
                    member.remember(verdict, cell);
                    verdict
                }
                None => member.ask(cell)?,
            };
            member.included = verdict.is_include();
            merged = Some(merged.map_or(verdict, |merged| merged.or(verdict)));
        }
        Ok(merged.unwrap_or(Verdict::Skip))
    }

    fn transform_cell<'a>(&'a mut self, cell: CellRef<'a>) -> CellRef<'a> {
        let included = self.members.iter_mut().filter(|member| member.included);
        included.fold(cell, |cell, member| member.filter.transform_cell(cell))
    }

    fn next_cell_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        self.nearest(hint, |filter, hint| filter.next_cell_hint(cell, hint))
    }

    fn hint_for_rejected_row(&mut self, row: &[u8], hint: &mut SeekKey) -> bool {
        self.nearest(hint, |filter, hint| filter.hint_for_rejected_row(row, hint))
    }

    fn skip_hint(&mut self, cell: CellRef<'_>, hint: &mut SeekKey) -> bool {
        self.is_stateless() && self.nearest(hint, |filter, hint| filter.skip_hint(cell, hint))
    }

    fn filter_row_cells(&mut self, row: &mut RowBuf) {
        self.members.iter_mut().for_each(|member| member.filter.filter_row_cells(row));
    }

    fn filter_row(&mut self) -> bool {
        !self.members.is_empty() && self.members.iter_mut().all(|member| member.filter.filter_row())
    }

    fn has_filter_row(&self) -> bool {
        self.members.iter().any(|member| member.filter.has_filter_row())
    }

    fn is_family_essential(&self, family: &[u8]) -> bool {
        self.members.is_empty() || self.members.iter().any(|member| member.filter.is_family_essential(family))
    }

    fn ends_at_row(&self) -> bool {
        self.members.iter().any(|member| member.filter.ends_at_row())
    }

    fn take_back_row(&mut self) {
        self.members.iter_mut().for_each(|member| member.filter.take_back_row());
    }

    fn is_stateless(&self) -> bool {
        self.members.iter().all(|member| member.filter.is_stateless())
    }

    fn set_reversed(&mut self, reversed: bool) {
        self.reversed = reversed;
        self.members.iter_mut().for_each(|member| member.filter.set_reversed(reversed));
    }
}
