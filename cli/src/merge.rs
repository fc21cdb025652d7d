//! Merging sorted cells of several sources.

use crate::cell_source::CellSource;
use crate::failure::CommandError;
use hregion::{CellOrder, CellRef};
use std::cmp::Ordering;

/// Merges sources. Cells are ordered by key, then by descending sequence id, then by source.
#[derive(Debug)]
pub(crate) struct Merge<S> {
    order: CellOrder,
    sources: Vec<S>,
    /// A min-heap of the sources that are not exhausted; the source of the next cell is at the root.
    heap: Vec<usize>,
}

/// Compares cells with their sequence ids, in the order of HBase's memory and merges.
pub(crate) fn compare(order: CellOrder, a: &CellRef<'_>, b: &CellRef<'_>) -> Ordering {
    order.compare(a.key(), b.key()).then_with(|| b.seq_id().cmp(&a.seq_id()))
}

impl<S: CellSource> Merge<S> {
    pub(crate) fn new(order: CellOrder, sources: Vec<S>) -> Self {
        let heap = (0..sources.len()).filter(|&i| sources[i].peek().is_some()).collect();
        let mut merge = Self { order, sources, heap };
        for root in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(root);
        }
        merge
    }

    /// Returns the source of the current cell.
    pub(crate) fn source(&self) -> Option<&S> {
        self.heap.first().map(|&first| &self.sources[first])
    }

    fn sift_down(&mut self, mut root: usize) {
        loop {
            let mut first = root;
            for child in [2 * root + 1, 2 * root + 2] {
                if child < self.heap.len() && self.is_before(self.heap[child], self.heap[first]) {
                    first = child;
                }
            }
            if first == root {
                return;
            }
            self.heap.swap(root, first);
            root = first;
        }
    }

    fn is_before(&self, a: usize, b: usize) -> bool {
        match (self.sources[a].peek(), self.sources[b].peek()) {
            (Some(a_cell), Some(b_cell)) => {
                compare(self.order, &a_cell, &b_cell).then_with(|| a.cmp(&b)).is_lt()
            }
            (a, _) => a.is_some(),
        }
    }
}

impl<S: CellSource> CellSource for Merge<S> {
    fn peek(&self) -> Option<CellRef<'_>> {
        self.source().and_then(CellSource::peek)
    }

    fn advance(&mut self) -> Result<(), CommandError> {
        let Some(&first) = self.heap.first() else { return Ok(()) };
        self.sources[first].advance()?;
        if self.sources[first].peek().is_none() {
            self.heap.swap_remove(0);
        }
        self.sift_down(0);
        Ok(())
    }

    fn locate_error(&self, error: hregion::Error) -> CommandError {
        match self.source() {
            Some(source) => source.locate_error(error),
            None => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::{Cell, CellType, SeekKey};
    use proptest::prelude::*;

    struct List(Vec<Cell>, usize);

    impl CellSource for List {
        fn peek(&self) -> Option<CellRef<'_>> {
            self.0.get(self.1).map(Cell::as_ref)
        }

        fn advance(&mut self) -> Result<(), CommandError> {
            self.1 += 1;
            Ok(())
        }
    }

    fn cell(row: u8, seq_id: i64, source: usize, nth: usize) -> Cell {
        let key = SeekKey::of(&[row], b"f", b"q", 1, CellType::Put);
        Cell::from(CellRef::new(&key, format!("{source} {nth}").as_bytes()).with_seq_id(seq_id))
    }

    proptest! {
        /// Reference implementation: a stable sort of all cells in one list.
        #[test]
        fn merged_is_sorted(lists in proptest::collection::vec(
            proptest::collection::vec((0u8..4, 0i64..3), 0..20), 0..9)) {
            let order = CellOrder::User;
            let by = |a: &Cell, b: &Cell| compare(order, &a.as_ref(), &b.as_ref());
            let mut lists: Vec<Vec<Cell>> = lists.iter().enumerate().map(|(i, list)| {
                list.iter().enumerate().map(|(nth, &(row, seq_id))| cell(row, seq_id, i, nth)).collect()
            }).collect();
            for list in &mut lists {
                list.sort_by(by);
            }
            let mut expected = lists.concat();
            expected.sort_by(by);
            let mut merge = Merge::new(order, lists.into_iter().map(|list| List(list, 0)).collect());
            for cell in &expected {
                prop_assert_eq!(merge.peek().map(Cell::from), Some(cell.clone()));
                merge.advance().unwrap();
            }
            prop_assert!(merge.peek().is_none());
        }
    }
}
