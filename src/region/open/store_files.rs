//! Lists and opens the store files of a region as one consistent state, even if other processes change them.

use super::{LISTINGS, ListFiles};
use crate::error::{Error, Result};
use crate::layout::file_name::FileName;
use crate::layout::{RegionDir, StoreFileInfo, StoreFiles};
use crate::region::RegionOptions;
use crate::store::{OpenedFiles, SeqIds, Store, StoreFile, open_files};
use std::collections::HashSet;
use std::io;

impl RegionOptions {
    /// Opens the files of the stores. If another process may change the region, the files of all stores are
    /// listed again after they are open: a listing made while files are replaced may have neither the old nor
    /// the new ones, and two families may be listed before and after a bulk load into both. Another process
    /// may always move the targets of links and references.
    pub(super) fn open_store_files(
        &self,
        dir: &RegionDir,
        stores: &[Store],
        list: ListFiles<'_>,
        warnings: &mut Vec<Error>,
    ) -> Result<Vec<StoreContent>> {
        let list_all = || -> Result<Vec<StoreFiles>> {
            stores.iter().map(|store| self.list_store_files(dir, store.family.name(), list)).collect()
        };
        let mut listed = list_all()?;
        for _ in 0..LISTINGS {
            let open = |(store, listed): (&Store, &StoreFiles)| open_files(&store.options, &listed.files);
            let opened = stores.iter().zip(&listed).map(open).collect::<Result<Vec<OpenedFiles>>>();
            if opened.as_ref().map_or_else(Error::is_stale, |_| !self.writable) {
                let again = list_all()?;
                if !again.iter().zip(&listed).all(|(again, listed)| is_same(&again.files, &listed.files)) {
                    listed = again;
                    continue;
                }
            }
            let content = |(mut opened, mut listed): (OpenedFiles, StoreFiles)| {
                warnings.append(&mut listed.warnings);
                warnings.append(&mut opened.warnings);
                StoreContent::new(opened, &listed.ignored)
            };
            return Ok(opened?.into_iter().zip(listed).map(content).collect());
        }
        let message = "another process keeps changing the files: try again later";
        let error = io::Error::new(io::ErrorKind::Interrupted, message);
        Err(Error::io("list", dir.path(), error))
    }

    /// Lists the files of a family. Retries if the target of a reference or link, or a file of a snapshot, is
    /// missing, because another process may have moved it.
    fn list_store_files(&self, dir: &RegionDir, family: &[u8], list: ListFiles<'_>) -> Result<StoreFiles> {
        let mut listed = list(dir, family);
        for _ in 0..LISTINGS {
            if self.writable || !listed.as_ref().err().is_some_and(Error::is_stale) {
                break;
            }
            listed = list(dir, family);
        }
        listed
    }
}

/// The files of a store, and the replaced files that are still in its directory.
pub(super) struct StoreContent {
    pub(super) files: Vec<StoreFile>,
    pub(super) replaced: Vec<String>,
}

impl StoreContent {
    /// Creates the content of a store. `unlisted` are the names in the directory that are not files of the
    /// store; some may be files replaced by compactions.
    fn new(opened: OpenedFiles, unlisted: &[String]) -> Self {
        let OpenedFiles { files, replaced, .. } = opened;
        // A name that is not a valid store file name may belong to a directory.
        let names = unlisted.iter().filter(|name| FileName::parse(name).is_some());
        let names: HashSet<&[u8]> = names.map(String::as_bytes).collect();
        let compacted = files.iter().filter(|file| !file.is_bulk_loaded());
        let inputs = compacted.flat_map(StoreFile::compacted_inputs).map(Vec::as_slice);
        let inputs: HashSet<&[u8]> = inputs.filter(|input| names.contains(input)).collect();
        let is_replaced = |name: &&String| inputs.contains(name.as_bytes());
        let replaced = replaced.iter().map(|file| file.name().to_owned());
        let replaced = replaced.chain(unlisted.iter().filter(is_replaced).cloned()).collect();
        Self { files, replaced }
    }

    /// Leaves out the files whose names `is_replaced` returns true for.
    pub(super) fn leave_out(&mut self, is_replaced: impl Fn(&str) -> bool) {
        let replaced = self.files.extract_if(.., |file| is_replaced(file.name()));
        self.replaced.extend(replaced.map(|file| file.name().to_owned()));
    }
}

/// Whether two listings have the same files.
fn is_same(a: &[StoreFileInfo], b: &[StoreFileInfo]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (&a.name, &a.path) == (&b.name, &b.path))
}

/// Returns the greatest sequence id in a file. A cell may have a greater id than the file's maximum log
/// sequence id: an id that was computed for it, or that it kept through a bulk load.
pub(super) fn greatest_seq_id(file: &StoreFile) -> i64 {
    let (SeqIds::Stored(of_cells) | SeqIds::All(of_cells)) = file.seq_ids();
    file.max_seq_id().max(of_cells)
}
