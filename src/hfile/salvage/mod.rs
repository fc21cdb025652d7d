//! Writes a valid file from the undamaged parts of a damaged one.
//!
//! First the file's metadata is read as far as possible: trailer, file info, indexes. Missing metadata is
//! determined from the blocks: a survey tries the possible formats. Then one walk copies the cells of every
//! valid data block and records what it cannot copy. Index, filters and trailer are rebuilt, so damage to
//! them causes no loss.

mod copy;
mod known;
mod losses;
mod output;
mod survey;

use self::copy::Copy;
use self::known::KnownKeys;
use super::options::HFileOptions;
use crate::cell::{CellOrder, SeekKey};
use crate::error::{Error, ErrorKind, Result};
use crate::io::FileReader;
use crate::schema::RegionInfo;
use std::path::Path;
use std::sync::Arc;

/// The result of salvaging a damaged file: see [`HFileOptions::salvage`]. HBase has no such operation.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SalvageReport {
    /// The number of data blocks from which cells were kept.
    pub blocks: u64,
    /// The number of cells kept: those of the new file.
    pub cells: u64,
    /// The length of the new file in bytes.
    pub bytes: u64,
    /// The number of cells in the damaged file according to its trailer; `None` without a valid trailer.
    pub cells_before: Option<u64>,
    /// The lost blocks, in file order; at most 10,000 are listed.
    pub lost: Vec<LostBlock>,
    /// The number of lost blocks that are not listed.
    pub lost_beyond: u64,
    /// Other faults, which caused no loss of cells. Damaged indexes and filters were rebuilt.
    pub faults: Vec<Error>,
    /// Properties of the file that are not in its metadata and were found by trial.
    pub guesses: Vec<String>,
    /// Entries of the file info and meta blocks that are not in the new file. Together, meta blocks take no
    /// more memory than [`Limits::block_bytes`](crate::Limits::block_bytes); others are left out.
    pub dropped: Vec<String>,
}

impl SalvageReport {
    /// Whether no cell was lost. Other differences are listed in [`dropped`](Self::dropped) and
    /// [`guesses`](Self::guesses).
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.lost.is_empty()
    }
}

/// A data block, or a region that may have held data blocks, from which not all cells were kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LostBlock {
    /// The offset of the block or region.
    pub offset: u64,
    /// No lost cell sorts before this key; `None` if the lost cells may include the file's first cell. It is
    /// the key of the last cell kept before or, within a run of lost blocks, the block's index key, if that
    /// is known.
    pub after: Option<SeekKey>,
    /// No lost cell sorts after this key; `None` if the lost cells may include the file's last cell.
    pub before: Option<SeekKey>,
    /// The number of cells lost, if known. It is known if the cells are out of order or otherwise invalid in
    /// a file; `after` and `before` are then the least and the greatest of their keys.
    pub cells: Option<u64>,
    /// The reason for the loss.
    pub reason: Error,
}

/// Writes a valid file from a damaged one.
pub(super) fn salvage(
    reader: Arc<dyn FileReader>,
    options: &HFileOptions,
    out: &Path,
) -> Result<SalvageReport> {
    let likely = likely_order(reader.path(), options, out);
    let by_trailer = KnownKeys::by_trailer(&reader, options, likely);
    let error = match by_trailer.and_then(|known| Copy::all(known, options, out)) {
        Ok(report) => return Ok(report),
        Err(error) if is_final(&error) => return Err(error),
        Err(error) => error,
    };
    // the trailer is lost or wrong: try to determine everything from the blocks
    match KnownKeys::by_blocks(&reader, options, &error, likely)? {
        Some(known) => {
            Copy::all(known, options, out).map_err(|second| if is_final(&second) { second } else { error })
        }
        None => Err(error),
    }
}

/// Returns the order to assume for cells that fit both orders, as in most files of `hbase:meta`: by the paths
/// of the damaged and of the new file.
fn likely_order(damaged: &Path, options: &HFileOptions, out: &Path) -> CellOrder {
    let meta = RegionInfo::meta().encoded_name();
    let is_of_meta = |path: &Path| {
        let full = options.storage.full_path(path, false);
        let region = full.as_deref().unwrap_or(path).parent().and_then(Path::parent);
        region.and_then(Path::file_name).is_some_and(|name| name == meta.as_str())
    };
    if is_of_meta(damaged) || is_of_meta(out) { CellOrder::Meta } else { CellOrder::User }
}

/// Whether the cause is something other than the bytes of the damaged file.
fn is_final(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::InvalidArgument)
}
