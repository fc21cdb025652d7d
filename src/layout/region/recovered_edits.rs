//! Finds and removes writes of a region that are in no store file yet, recovered edits and recovered HFiles;
//! and records the greatest sequence id (HBase: `WALSplitUtil`).
#![warn(clippy::indexing_slicing)]

use super::RegionDir;
use crate::error::{Corruption, Result};
use crate::io::{DirEntry, Storage};
use crate::layout::durable::{list_if_exists, move_file, remove, sync_dir, unless_not_found, write_file};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) const RECOVERED_EDITS: &str = "recovered.edits";
const RECOVERED_HFILES: &str = "recovered.hfiles";

impl RegionDir {
    /// Returns the recovered edits in the order in which they must be replayed.
    ///
    /// # Errors
    ///
    /// If a family has recovered HFiles, an alternative of HBase's; if there are recovered edits in the
    /// [wrong directory](Self::misplaced_edits_dir).
    pub(crate) fn recovered_edits(&self) -> Result<&[PathBuf]> {
        if let Some(first) = self.misplaced_edits.first() {
            let corruption = Corruption::Unsupported {
                what: "file of recovered edits outside of the region's directory:",
                name: format!("one of {}", self.misplaced_edits.len()).into(),
                hint: Some("move it to the region's recovered.edits; HBase replays it from where it is"),
            };
            return Err(corruption.at(first, 0));
        }
        let Some(first) = self.recovered_hfiles.first() else { return Ok(&self.recovered_edits) };
        let corruption = Corruption::Unsupported {
            what: "region with recovered HFiles:",
            name: format!("{} of them", self.recovered_hfiles.len()).into(),
            hint: Some("their writes are in no store file yet; HBase takes them when it opens the region"),
        };
        Err(corruption.at(first, 0))
    }

    /// Whether the recovered edits are those that were found when the directory was opened.
    pub(crate) fn has_same_edits(&self) -> Result<bool> {
        let dir = self.recovered_edits_dir();
        let entries = list_if_exists(&**self.storage(), &dir)?.unwrap_or_default();
        Ok(edits_in(&dir, &entries) == self.recovered_edits)
    }

    /// Returns the directory of recovered edits, which need not exist.
    pub(crate) fn recovered_edits_dir(&self) -> PathBuf {
        self.path.join(RECOVERED_EDITS)
    }

    /// Returns the directory to which some releases of HBase write recovered edits by mistake (HBASE-20734),
    /// and which later ones also read (HBASE-22617).
    fn misplaced_edits_dir(&self) -> Option<PathBuf> {
        let table = self.info.table();
        let dir = self.root_of_table()?.join(table.namespace()).join(table.qualifier());
        Some(dir.join(&self.name).join(RECOVERED_EDITS))
    }

    /// Removes recovered edits. All of their writes must be in store files. Renames those with a torn end, as
    /// HBase does: their names get a time as an extension.
    pub(crate) fn retire_recovered_edits(&self, whole: &[PathBuf], torn: &[PathBuf], now: i64) -> Result<()> {
        if whole.is_empty() && torn.is_empty() {
            return Ok(()); // the directory of recovered edits need not exist
        }
        let storage = &**self.storage();
        for path in torn {
            let mut aside = path.clone().into_os_string();
            aside.push(format!(".{now}"));
            // Its writes are in store files, so it may temporarily have both names.
            move_file(self.storage(), path, Path::new(&aside))?;
        }
        whole.iter().try_for_each(|path| unless_not_found(remove(storage, path)))?;
        sync_dir(storage, &self.recovered_edits_dir())
    }

    /// Returns all recovered edits, also those that [`recovered_edits`](Self::recovered_edits) refuses.
    pub(crate) fn found_edits(&self) -> impl Iterator<Item = &Path> {
        self.recovered_edits.iter().chain(&self.misplaced_edits).map(PathBuf::as_path)
    }

    /// Returns the recovered HFiles.
    pub(crate) fn recovered_hfiles(&self) -> impl Iterator<Item = &Path> {
        self.recovered_hfiles.iter().map(PathBuf::as_path)
    }

    /// Returns the files with writes that are in no store file yet: recovered edits and recovered HFiles.
    pub(crate) fn unreplayed(&self) -> impl Iterator<Item = &Path> {
        self.found_edits().chain(self.recovered_hfiles())
    }

    /// Returns the greatest sequence id the region has used, from `<n>.seqid`.
    pub(crate) fn max_seq_id(&self) -> Option<i64> {
        self.max_seq_id
    }

    /// Finds recovered edits: writes that are in no store file yet.
    pub(super) fn find_recovered(&mut self) -> Result<()> {
        let storage = Arc::clone(self.storage());
        let list = |dir: &Path| list_if_exists(&*storage, dir).map(Option::unwrap_or_default);
        let dir = self.recovered_edits_dir();
        let entries = list(&dir)?;
        self.recovered_edits = edits_in(&dir, &entries);
        self.max_seq_id = max_seq_id_in(&dir, &entries)?;
        if let Some(dir) = self.misplaced_edits_dir() {
            let entries = list(&dir)?;
            self.misplaced_edits = edits_in(&dir, &entries);
            self.max_seq_id = self.max_seq_id.max(max_seq_id_in(&dir, &entries)?);
        }
        for family in &self.families {
            let dir = self.family(family.name()).path().join(RECOVERED_HFILES);
            let files = list(&dir)?.into_iter().filter(|entry| !entry.is_dir && !entry.is_hidden());
            self.recovered_hfiles.extend(files.map(|entry| dir.join(entry.name)));
        }
        Ok(())
    }
}

/// Returns the paths of the files of edits among the entries of a directory, in the order of replay.
fn edits_in(dir: &Path, entries: &[DirEntry]) -> Vec<PathBuf> {
    let files = entries.iter().filter(|entry| !entry.is_dir).filter_map(DirEntry::utf8_name);
    let mut edits: Vec<PathBuf> = files.filter(|name| is_number(name)).map(|name| dir.join(name)).collect();
    edits.sort(); // names have the same number of digits
    edits
}

/// Returns the greatest sequence id that a file `<n>.seqid` among the entries of a directory records.
fn max_seq_id_in(dir: &Path, entries: &[DirEntry]) -> Result<Option<i64>> {
    let mut max = None;
    for name in entries.iter().filter_map(DirEntry::utf8_name) {
        let seq_id = name.strip_suffix(".seqid").or_else(|| name.strip_suffix("_seqid"));
        if let Some(digits) = seq_id {
            let seq_id = digits.parse().map_err(|_| {
                Corruption::unknown_name("sequence id in a name like", name.as_bytes()).at(&dir.join(name), 0)
            })?;
            max = max.max(Some(seq_id));
        }
    }
    Ok(max)
}

/// Writes the file `<n>.seqid` into the directory of recovered edits, which exists: later writes of the
/// region get greater sequence ids.
pub(in crate::layout) fn write_max_seq_id(
    storage: &Arc<dyn Storage>,
    edits: &Path,
    seq_id: i64,
) -> Result<()> {
    write_file(storage, &edits.join(format!("{seq_id}.seqid")), &[])
}

/// Like [`write_max_seq_id`], and then removes the files with smaller numbers, as HBase does.
pub(crate) fn replace_max_seq_id(storage: &Arc<dyn Storage>, edits: &Path, seq_id: i64) -> Result<()> {
    write_max_seq_id(storage, edits, seq_id)?;
    let remove_smaller = || -> Result<()> {
        for entry in list_if_exists(&**storage, edits)?.unwrap_or_default() {
            let Some(name) = entry.utf8_name().filter(|_| !entry.is_dir) else { continue };
            let number = name.strip_suffix(".seqid").and_then(|digits| digits.parse::<i64>().ok());
            if number.is_some_and(|number| number < seq_id) {
                unless_not_found(remove(&**storage, &edits.join(name)))?;
            }
        }
        Ok(())
    };
    // Failures are ignored: only the greatest number counts.
    remove_smaller().or(Ok(()))
}

/// Whether a name is that of a file of edits. Other files are still being written, or were moved aside.
pub(crate) fn is_number(name: &str) -> bool {
    let digits = name.strip_prefix('-').unwrap_or(name);
    !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit())
}
