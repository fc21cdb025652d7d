//! The new files of a compaction: one, or one for each span of time (HBase: `DateTieredMultiFileWriter`).

use super::date_tiered::window_of;
use crate::cell::CellRef;
use crate::error::Result;
use crate::hfile::StoreFileOrigin;
use crate::layout::StagedFile;
use crate::store::write::writer::{BlockCompression, CellFlags, NewStoreFile};
use crate::store::{Store, StoreFile};

/// New files. Each is created with its first cell.
#[derive(Debug)]
pub(super) struct Outputs<'s> {
    store: &'s Store,
    carries: CellFlags,
    compression: BlockCompression,
    now: i64,
    boundaries: &'s [i64],
    files: Vec<Option<NewStoreFile>>,
}

impl<'s> Outputs<'s> {
    pub(super) fn new(
        store: &'s Store,
        carries: CellFlags,
        compression: BlockCompression,
        now: i64,
        boundaries: &'s [i64],
    ) -> Self {
        let files = std::iter::repeat_with(|| None).take(boundaries.len().max(1)).collect();
        Self { store, carries, compression, now, boundaries, files }
    }

    pub(super) fn append(&mut self, cell: CellRef<'_>) -> Result<()> {
        let at = if self.boundaries.len() > 1 { window_of(self.boundaries, cell.timestamp()) } else { 0 };
        self.at(at)?.append(cell)
    }

    fn at(&mut self, at: usize) -> Result<&mut NewStoreFile> {
        let file = &mut self.files[at];
        match file {
            Some(file) => Ok(file),
            None => {
                let new = NewStoreFile::create(self.store, self.carries, self.compression, self.now)?;
                Ok(file.insert(new))
            }
        }
    }

    /// Finishes the files, in the order in which they must be named. Creates one without cells if there is
    /// none and `needs_one`.
    ///
    /// Only the last file records the inputs, so that they are replaced when all outputs are in place. Until
    /// then, some cells are duplicated in two files.
    pub(super) fn finish(
        mut self,
        max_seq_id: i64,
        major_compaction: bool,
        inputs: &[StoreFile],
        needs_one: bool,
    ) -> Result<Vec<StagedFile>> {
        if needs_one && self.files.iter().all(Option::is_none) {
            self.at(0)?;
        }
        let files: Vec<NewStoreFile> = self.files.into_iter().flatten().collect();
        let last = files.len().saturating_sub(1);
        let names = || inputs.iter().map(|file| file.name().as_bytes().to_vec()).collect();
        let finished = files.into_iter().enumerate().map(|(i, file)| {
            let compacted = if i == last { names() } else { Vec::new() };
            file.finish(self.store, &StoreFileOrigin::Store { max_seq_id, major_compaction, compacted })
        });
        finished.collect()
    }
}
