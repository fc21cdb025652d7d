//! The new files of a compaction: one, or one for each span of time (HBase: `DateTieredMultiFileWriter`).

use super::date_tiered::place;
use crate::cell::CellRef;
use crate::error::Result;
use crate::hfile::StoreFileOrigin;
use crate::store::writer::{Carries, NewStoreFile};
use crate::store::{Store, StoreFile};

/// New files. Each is created when it gets its first cell.
#[derive(Debug)]
pub(super) struct Outputs<'s> {
    store: &'s Store,
    carries: Carries,
    now: i64,
    boundaries: &'s [i64],
    files: Vec<Option<NewStoreFile>>,
}

impl<'s> Outputs<'s> {
    pub(super) fn new(store: &'s Store, carries: Carries, now: i64, boundaries: &'s [i64]) -> Self {
        let files = std::iter::repeat_with(|| None).take(boundaries.len().max(1)).collect();
        Self { store, carries, now, boundaries, files }
    }

    pub(super) fn append(&mut self, cell: CellRef<'_>) -> Result<()> {
        let at = if self.boundaries.len() > 1 { place(self.boundaries, cell.timestamp()) } else { 0 };
        self.at(at)?.append(cell)
    }

    fn at(&mut self, at: usize) -> Result<&mut NewStoreFile> {
        let file = &mut self.files[at];
        match file {
            Some(file) => Ok(file),
            None => Ok(file.insert(NewStoreFile::create(self.store, self.carries, self.now)?)),
        }
    }

    /// Makes the files last and gives them their places, one empty file if there is none and `needs_one`.
    ///
    /// Whoever opens the store leaves out what a file says it was made of. So only the last that gets its place says it:
    /// when all cells are there. With the others alone some cells are there twice, and the same.
    pub(super) fn finish(
        mut self,
        max_seq_id: i64,
        major_compaction: bool,
        inputs: &[StoreFile],
        needs_one: bool,
    ) -> Result<Vec<StoreFile>> {
        if needs_one && self.files.iter().all(Option::is_none) {
            self.at(0)?;
        }
        let mut files: Vec<NewStoreFile> = self.files.into_iter().flatten().collect();
        let last = files.pop();
        let origin = |compacted| StoreFileOrigin::Store { max_seq_id, major_compaction, compacted };
        let mut sealed = Vec::with_capacity(files.len() + 1);
        for file in files {
            sealed.push(file.seal(self.store, &origin(Vec::new()))?);
        }
        if let Some(last) = last {
            let names = inputs.iter().map(|file| file.name().as_bytes().to_vec()).collect();
            sealed.push(last.seal(self.store, &origin(names))?);
        }
        sealed.into_iter().map(|file| file.place(self.store)).collect()
    }
}
