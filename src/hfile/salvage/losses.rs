//! The losses recorded so far.

use super::LostBlock;
use crate::cell::{CellKey, SeekKey};
use crate::error::Error;

/// The maximum number of losses listed.
const MAX_LISTED: usize = 10_000;

/// A list of limited length. The entries at its end may be open: they get their upper bound from the next
/// cell kept.
#[derive(Debug, Default)]
pub(super) struct Losses {
    pub(super) list: Vec<LostBlock>,
    /// The number of losses not listed.
    pub(super) beyond: u64,
    /// The number of open entries at the end of the list.
    open: usize,
}

impl Losses {
    /// Adds a block after the last cell kept. `index_key` is the block's key in the index.
    pub(super) fn add(
        &mut self,
        offset: u64,
        last_kept: Option<&CellKey>,
        index_key: Option<&CellKey>,
        reason: Error,
    ) {
        if self.list.len() >= MAX_LISTED {
            self.beyond += 1;
            return;
        }
        if let (true, Some(key), Some(last)) = (self.open > 0, index_key, self.list.last_mut()) {
            last.before = last.before.take().or_else(|| Some(SeekKey::from(key)));
        }
        let after = match last_kept {
            Some(key) if self.open == 0 || index_key.is_none() => Some(key),
            _ => index_key,
        };
        self.list.push(LostBlock {
            offset,
            after: after.map(SeekKey::from),
            before: None,
            cells: None,
            reason,
        });
        self.open += 1;
    }

    /// Adds lost cells of a block, with their least and greatest keys.
    pub(super) fn add_cells(
        &mut self,
        offset: u64,
        cells: u64,
        (least, greatest): (SeekKey, SeekKey),
        reason: Error,
    ) {
        if self.list.len() >= MAX_LISTED {
            self.beyond += 1;
            return;
        }
        let lost =
            LostBlock { offset, after: Some(least), before: Some(greatest), cells: Some(cells), reason };
        // the entries at the end remain open
        self.list.insert(self.list.len() - self.open, lost);
    }

    /// Whether entries are open, waiting for the next cell kept.
    pub(super) fn are_open(&self) -> bool {
        self.open > 0
    }

    /// Closes the open entries with the key of the first cell kept after them.
    #[inline]
    pub(super) fn close(&mut self, key: &CellKey) {
        if self.open == 0 {
            return;
        }
        let waiting = self.list.len() - self.open;
        for lost in self.list.iter_mut().skip(waiting) {
            lost.before.get_or_insert_with(|| SeekKey::from(key));
        }
        self.open = 0;
    }

    /// Returns the list in file order.
    pub(super) fn into_list(mut self) -> Vec<LostBlock> {
        self.list.sort_by_key(|lost| lost.offset);
        self.list
    }
}
