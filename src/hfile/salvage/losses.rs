//! What was lost so far.

use super::LostBlock;
use crate::cell::{CellKey, SeekKey};
use crate::error::Error;

/// The most losses that are listed.
const MAX_LISTED: usize = 10_000;

/// A list that grows only so far. The last of it may wait for the key that ends them.
#[derive(Debug, Default)]
pub(super) struct Losses {
    pub(super) list: Vec<LostBlock>,
    /// How many are not listed.
    pub(super) beyond: u64,
    /// How many at the end of the list wait.
    open: usize,
}

impl Losses {
    /// Adds a block behind the last cell that was kept. `index_key` is the key that the index has for it.
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

    /// Adds cells of a block, and the least and the greatest key of them.
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
        // those at the end go on to wait
        self.list.insert(self.list.len() - self.open, lost);
    }

    /// Whether some wait for the next cell that is kept.
    pub(super) fn are_open(&self) -> bool {
        self.open > 0
    }

    /// Takes note of the first cell that is kept behind those that wait.
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

    /// The list, in the order of the file.
    pub(super) fn into_list(mut self) -> Vec<LostBlock> {
        self.list.sort_by_key(|lost| lost.offset);
        self.list
    }
}
