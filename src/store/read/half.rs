//! The cells of an HFile that a reference refers to, as they are stored (hfile.md §15.4; HBase:
//! `HalfStoreFileReader`).
#![warn(clippy::indexing_slicing)]

use crate::cell::{CellOrder, CellRef};
use crate::error::Result;
use crate::hfile::{HFile, HFileScanner};
use crate::io::Storage;
use crate::layout::{Half, Reference, locate_store_file};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The half of an HFile to which a reference refers (HBase: `Reference`, `HalfStoreFileReader`).
///
/// A split leaves references: small files that represent a part of a file of the parent region: the rows
/// before a key, or from it on. A [scanner](Self::scanner) returns all cells of the half as they are stored,
/// like the scanner of an [`HFile`]: it hides none, and drops no duplicates.
#[derive(Clone, Debug)]
pub struct HFileHalf {
    hfile: PathBuf,
    reference: Reference,
}

impl HFileHalf {
    /// Returns the half that a file in the directory of a family refers to; `None` if it is not a reference.
    ///
    /// # Errors
    ///
    /// If the reference cannot be read or is damaged, or its HFile does not exist.
    pub fn of(storage: &Arc<dyn Storage>, path: impl AsRef<Path>) -> Result<Option<Self>> {
        let Some(found) = locate_store_file(storage, path.as_ref())? else { return Ok(None) };
        Ok(found.reference.map(|reference| Self { hfile: found.path, reference }))
    }

    /// Returns the path of the HFile.
    #[must_use]
    pub fn hfile(&self) -> &Path {
        &self.hfile
    }

    /// Returns a scanner of the half of `file`, which is the [HFile](Self::hfile); it is not positioned yet.
    ///
    /// # Errors
    ///
    /// If the order of the file is unknown.
    pub fn scanner<'f>(&self, file: &'f HFile) -> Result<HFileHalfScanner<'f>> {
        let order = file.known_order()?;
        Ok(HFileHalfScanner { cells: file.scanner(), order, reference: self.reference.clone(), is_in: false })
    }
}

/// A cursor over the cells of a half of an HFile: see [`HFileHalf::scanner`] (HBase:
/// `HalfStoreFileReader#getScanner`).
///
/// It is at a cell, which [`peek`](Self::peek) returns, or is not positioned: when it is new, past the last
/// cell, or after an error.
pub struct HFileHalfScanner<'f> {
    cells: HFileScanner<'f>,
    order: CellOrder,
    reference: Reference,
    /// Whether the cursor of the HFile is at a cell of the half.
    is_in: bool,
}

impl HFileHalfScanner<'_> {
    /// Seeks to the first cell; returns false if there is none.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    pub fn seek_to_first(&mut self) -> Result<bool> {
        self.is_in = false;
        match self.reference.half {
            Half::Bottom => {
                self.cells.seek_to_first()?;
            }
            Half::Top => {
                self.cells.seek(&self.reference.split_key)?;
            }
        }
        Ok(self.find())
    }

    /// Advances to the next cell; returns false, and is not positioned, if there is none.
    ///
    /// # Errors
    ///
    /// If a block cannot be read or is damaged.
    #[inline]
    pub fn advance(&mut self) -> Result<bool> {
        if !self.is_in {
            return Ok(false);
        }
        self.is_in = false;
        self.cells.advance()?;
        Ok(self.find())
    }

    /// Returns the current cell.
    #[inline]
    #[must_use]
    pub fn peek(&self) -> Option<CellRef<'_>> {
        if self.is_in { self.cells.peek() } else { None }
    }

    /// Determines whether the cursor of the HFile is at a cell of the half.
    #[inline]
    fn find(&mut self) -> bool {
        let cell = self.cells.peek();
        self.is_in = cell.is_some_and(|cell| !self.reference.ends_before(cell.key(), self.order));
        self.is_in
    }
}

impl fmt::Debug for HFileHalfScanner<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HFileHalfScanner")
            .field("half", &self.reference.half)
            .field("on", &self.peek())
            .finish_non_exhaustive()
    }
}
