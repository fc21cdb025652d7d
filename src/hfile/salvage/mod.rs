//! A sound file from what is sound in a damaged one.
//!
//! First what the file says of itself is read, as far as it can be: trailer, file info, indexes. What cannot be is found
//! out from the blocks: a survey tries how they could be written. Then one walk copies the cells of every sound data
//! block and notes what it must leave behind. Index, filters and trailer are made anew, so damage there costs nothing.

mod copy;
mod known;
mod losses;
mod output;
mod survey;

use self::copy::Copy;
use self::known::Known;
use super::options::HFileOptions;
use crate::cell::SeekKey;
use crate::error::{Error, ErrorKind, Result};
use crate::io::FileReader;
use std::path::Path;
use std::sync::Arc;

/// What became of a damaged file.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SalvageReport {
    /// The data blocks of which cells were kept.
    pub blocks: u64,
    /// The cells that were kept: those of the new file.
    pub cells: u64,
    /// The bytes of the new file.
    pub bytes: u64,
    /// The cells that the damaged file had, as its trailer says; none if there is no sound trailer.
    pub cells_before: Option<u64>,
    /// What was lost, in the order of the file; no more than some thousands.
    pub lost: Vec<LostBlock>,
    /// How many more blocks were lost than are listed.
    pub lost_beyond: u64,
    /// What else was wrong. It cost no cell: it was made anew.
    pub faults: Vec<Error>,
    /// What the file did not say of itself, and was found out by trial.
    pub guesses: Vec<String>,
    /// Entries of the file info and meta blocks that are not in the new file.
    pub dropped: Vec<String>,
}

impl SalvageReport {
    /// Whether the new file has all that the damaged one had.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.lost.is_empty()
    }
}

/// A data block, or what may have been some, of which not all cells were kept.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LostBlock {
    /// Where it is.
    pub offset: u64,
    /// No lost cell sorts before this key; none if it may have been the first. It is that of the last cell kept before; of
    /// lost blocks in a row the index keys, if they are known, tell one from the other.
    pub after: Option<SeekKey>,
    /// No lost cell sorts behind this key; none if it may have been the last.
    pub before: Option<SeekKey>,
    /// How many cells were lost, if that is known: if they are out of order, or otherwise cannot be in a file. The keys are
    /// then the least and the greatest of theirs.
    pub cells: Option<u64>,
    /// Why.
    pub reason: Error,
}

/// Makes a sound file of a damaged one.
pub(super) fn salvage(
    reader: Arc<dyn FileReader>,
    options: &HFileOptions,
    out: &Path,
) -> Result<SalvageReport> {
    let by_trailer = Known::by_trailer(&reader, options).and_then(|known| Copy::all(known, options, out));
    let error = match by_trailer {
        Ok(report) => return Ok(report),
        Err(error) if is_final(&error) => return Err(error),
        Err(error) => error,
    };
    // the trailer is lost, or leads nowhere: perhaps the blocks speak for themselves
    match Known::by_blocks(&reader, options, &error)? {
        Some(known) => {
            Copy::all(known, options, out).map_err(|second| if is_final(&second) { second } else { error })
        }
        None => Err(error),
    }
}

/// Whether it is not the bytes of the damaged file that are at fault.
fn is_final(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Io | ErrorKind::InvalidArgument)
}
