//! Opens the files of a store (hfile.md §15.7; HBase: `StoreEngine.openStoreFiles`).

use super::file::{StoreFile, compare_by_seq_id};
use crate::block::BlockType;
use crate::error::{Corruption, Error, Result};
use crate::hfile::HFileOptions;
use crate::layout::StoreFileInfo;
use std::collections::{HashMap, HashSet};

/// The open files of a store.
#[derive(Debug, Default)]
pub(crate) struct OpenedFiles {
    /// The files to read, oldest first.
    pub(crate) files: Vec<StoreFile>,
    /// Files that others were compacted from, left over from an interrupted compaction, or not yet archived.
    /// Reading them with the others would bring back cells that the compaction dropped. Each comes before the
    /// files here that replace it, the order in which they can be archived.
    pub(crate) replaced: Vec<StoreFile>,
    /// Warnings about files whose claims to replace others were rejected.
    pub(crate) warnings: Vec<Error>,
}

/// Opens the files of a store, and leaves out those that others replace.
///
/// A file names the files it was compacted from (COMPACTION_EVENT_KEY). An entry is accepted if a compaction
/// can have made it: the file was not bulk-loaded, and the entry names another file whose MAX_SEQ_ID is not
/// greater than the file's own. Files that replace each other in a cycle are all read.
pub(crate) fn open_files(options: &HFileOptions, infos: &[StoreFileInfo]) -> Result<OpenedFiles> {
    let files =
        infos.iter().map(|info| StoreFile::open(options, info)).collect::<Result<Vec<StoreFile>>>()?;
    let by_name: HashMap<&[u8], usize> =
        files.iter().enumerate().map(|(i, file)| (file.name().as_bytes(), i)).collect();
    let mut warnings = Vec::new();
    let mut replaces: Vec<Vec<usize>> = vec![Vec::new(); files.len()];
    let mut is_replaced = vec![false; files.len()];
    for (i, file) in files.iter().enumerate() {
        let mut seen = HashSet::new();
        for input in file.compacted_inputs() {
            let Some(&other) = by_name.get(input.as_slice()).filter(|other| seen.insert(**other)) else {
                continue;
            };
            match refusal(file, &files[other], i == other) {
                Some(reason) => warnings.push(warning(file, reason)),
                None => {
                    replaces[i].push(other);
                    is_replaced[other] = true;
                }
            }
        }
    }
    // A replaced file is left out only if a file that is read replaces it, directly or through others.
    let mut is_reached = vec![false; files.len()];
    let mut generation = vec![0; files.len()];
    let mut ended = 0;
    // Each file is visited a second time after those that it replaces, and is then numbered.
    let mut next: Vec<(usize, bool)> =
        is_replaced.iter().enumerate().filter(|(_, replaced)| !**replaced).map(|(i, _)| (i, false)).collect();
    while let Some((i, is_second)) = next.pop() {
        if is_second {
            ended += 1;
            generation[i] = ended;
        } else if !std::mem::replace(&mut is_reached[i], true) {
            next.push((i, true));
            next.extend(replaces[i].iter().map(|&other| (other, false)));
        }
    }
    let is_left_out = |i: usize| is_replaced[i] && is_reached[i];
    let in_cycle = |&(i, _): &(usize, &StoreFile)| is_replaced[i] && !is_reached[i];
    let cycle = files.iter().enumerate().filter(in_cycle);
    warnings.extend(
        cycle.map(|(_, file)| warning(file, "COMPACTION_EVENT_KEY: files replace each other in a cycle")),
    );
    let mut opened = OpenedFiles { warnings, ..OpenedFiles::default() };
    let mut replaced = Vec::new();
    for (i, file) in files.into_iter().enumerate() {
        if is_left_out(i) { replaced.push((generation[i], file)) } else { opened.files.push(file) }
    }
    opened.files.sort_by(compare_by_seq_id);
    replaced.sort_by_key(|(generation, _)| *generation);
    opened.replaced = replaced.into_iter().map(|(_, file)| file).collect();
    Ok(opened)
}

/// Returns the reason that a file cannot have been compacted from another.
fn refusal(file: &StoreFile, input: &StoreFile, is_itself: bool) -> Option<&'static str> {
    if file.is_bulk_loaded() {
        Some("COMPACTION_EVENT_KEY of a bulk-loaded file names a file of the store: ignored")
    } else if is_itself {
        Some("COMPACTION_EVENT_KEY names the file itself: ignored")
    } else if input.max_seq_id() > file.max_seq_id() {
        Some("COMPACTION_EVENT_KEY names a file with a greater MAX_SEQ_ID: ignored")
    } else {
        None
    }
}

fn warning(file: &StoreFile, reason: &'static str) -> Error {
    let offset = u64::try_from(file.hfile().trailer().file_info_offset()).unwrap_or_default();
    Corruption::Malformed(reason).in_block(file.path(), offset, BlockType::FileInfo.name())
}

#[cfg(test)]
mod tests;
