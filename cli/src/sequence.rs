//! The sequence ids that decide which of two cells with the same key, of different files, is the newer one.

use crate::failure::CommandError;
use hregion::{Corruption, HFile};

/// The sequence ids of a store file, as the readers of its table see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sequence {
    /// That of the file; the greater one is newer.
    pub(crate) of_file: Option<i64>,
    /// The one that replaces each cell's own: in a file that a table got by a bulk load.
    pub(crate) of_cells: Option<i64>,
}

impl Sequence {
    pub(crate) fn of(file: &HFile) -> Result<Self, CommandError> {
        let known = |corruption: Corruption| CommandError::from(corruption.at(file.path(), 0));
        let (info, name) = (file.file_info(), file.path().file_name().unwrap_or_default());
        let loaded_as = loaded_as(&name.to_string_lossy());
        let is_loaded = loaded_as.is_some() || info.bulkload_timestamp().map_err(known)?.is_some();
        let keeps_its_own = info.skip_reset_seq_id().map_err(known)? == Some(true);
        let of_file = loaded_as.or(info.max_seq_id().map_err(known)?);
        Ok(Self { of_file, of_cells: of_file.filter(|_| is_loaded && !keeps_its_own) })
    }
}

/// Returns the sequence id in the name that a bulk load gives a file: `…_SeqId_<n>_`.
fn loaded_as(name: &str) -> Option<i64> {
    let (_, rest) = name.rsplit_once("_SeqId_")?;
    let (digits, _) = rest.split_once('_')?;
    digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_sequence_ids_of_bulk_loads() {
        assert_eq!(loaded_as("0a_SeqId_67_"), Some(67));
        assert_eq!(loaded_as("t=1b-0a_SeqId_4_"), Some(4));
        for other in ["0a", "0a_SeqId_4", "0a_SeqId__", "0a_SeqId_-4_", "0a_SeqId_99999999999999999999_"] {
            assert_eq!(loaded_as(other), None, "{other}");
        }
    }
}
