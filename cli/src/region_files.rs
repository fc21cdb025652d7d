//! Files for a bulk load: one for each family and region, in a directory for each family.

use crate::cell_file::CellFile;
use crate::cell_source::CellSource;
use crate::failure::CommandError;
use crate::new_dir::make_dir;
use crate::new_file::random_name;
use hregion::CellRef;
use hregion::cell::StringBinary;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// Creates the file of a family.
pub(crate) type CreateFile<'c> = dyn Fn(&[u8], &Path) -> hregion::Result<CellFile> + 'c;

/// The files being written.
pub(crate) struct RegionFiles<'c> {
    dir: PathBuf,
    create: Box<CreateFile<'c>>,
    /// The start rows of the regions, except the first one.
    splits: Vec<Vec<u8>>,
    keeps_seq_ids: bool,
    /// The open file of each family.
    open: BTreeMap<Vec<u8>, RegionFile>,
    written: Vec<Written>,
}

/// The file of a family in a region.
struct RegionFile {
    file: CellFile,
    /// Its path in the directory.
    path: PathBuf,
    region: usize,
}

/// A complete file.
pub(crate) struct Written {
    /// Its path in the directory.
    pub(crate) path: PathBuf,
    pub(crate) family: Vec<u8>,
    pub(crate) region: usize,
    pub(crate) cells: u64,
    pub(crate) bytes: u64,
}

impl<'c> RegionFiles<'c> {
    /// Writes to a directory. Without `keeps_seq_ids` all sequence ids are 0.
    pub(crate) fn new(
        dir: &Path,
        splits: Vec<Vec<u8>>,
        keeps_seq_ids: bool,
        create: Box<CreateFile<'c>>,
    ) -> Self {
        let dir = dir.to_owned();
        Self { dir, create, splits, keeps_seq_ids, open: BTreeMap::new(), written: Vec::new() }
    }

    /// Appends the cells of a list, which are in order, and finishes its files.
    pub(crate) fn append_all(&mut self, cells: &mut dyn CellSource) -> Result<(), CommandError> {
        while let Some(cell) = cells.peek() {
            self.try_append(cell).map_err(|failed| match failed {
                Failed::Cell(error) => cells.locate_error(error),
                Failed::Other(fault) => fault,
            })?;
            cells.advance()?;
        }
        self.end_list()
    }

    /// Appends a cell, which must be after the previous ones.
    pub(crate) fn append(&mut self, cell: CellRef<'_>) -> Result<(), CommandError> {
        self.try_append(cell).map_err(|failed| match failed {
            Failed::Cell(error) => error.into(),
            Failed::Other(fault) => fault,
        })
    }

    /// Completes the files of the cells so far. The next cells may be any.
    fn end_list(&mut self) -> Result<(), CommandError> {
        for (family, file) in std::mem::take(&mut self.open) {
            self.finish_file(family, file)?;
        }
        Ok(())
    }

    /// Completes all files, and returns them by family and region.
    pub(crate) fn finish(mut self) -> Result<Vec<Written>, CommandError> {
        self.end_list()?;
        self.written.sort_by(|a, b| (&a.family, a.region).cmp(&(&b.family, b.region)));
        Ok(self.written)
    }

    fn try_append(&mut self, cell: CellRef<'_>) -> Result<(), Failed> {
        let cell = if self.keeps_seq_ids { cell } else { cell.with_seq_id(0) };
        let region = self.splits.partition_point(|split| split.as_slice() <= cell.row());
        if let Some(open) = self.open.get_mut(cell.family())
            && open.region == region
        {
            return open.file.append(cell).map_err(Failed::Cell);
        }
        if let Some(open) = self.open.get(cell.family())
            && region < open.region
        {
            let split = &self.splits[open.region - 1];
            let message = format!(
                "cell {cell:.64} is out of order: the region that starts at {:.64} was begun already",
                StringBinary(split)
            );
            return Err(Failed::Cell(hregion::Error::invalid_argument(message)));
        }
        let folder = folder(cell.family())
            .map_err(|message| Failed::Cell(hregion::Error::invalid_argument(message)))?;
        match self.open.remove(cell.family()) {
            Some(open) => self.finish_file(cell.family().to_vec(), open)?,
            None => make_dir(&self.dir.join(&folder))?,
        }
        let path = folder.join(random_name());
        let mut file = (self.create)(cell.family(), &self.dir.join(&path)).map_err(Failed::Cell)?;
        file.append(cell).map_err(Failed::Cell)?;
        self.open.insert(cell.family().to_vec(), RegionFile { file, path, region });
        Ok(())
    }

    fn finish_file(&mut self, family: Vec<u8>, file: RegionFile) -> Result<(), CommandError> {
        let RegionFile { file, path, region } = file;
        let cells = file.cells();
        let bytes = file.finish()?;
        self.written.push(Written { path, family, region, cells, bytes });
        Ok(())
    }
}

/// The reason that a cell could not be appended.
enum Failed {
    /// The cell may be the cause.
    Cell(hregion::Error),
    Other(CommandError),
}

impl From<CommandError> for Failed {
    fn from(fault: CommandError) -> Self {
        Self::Other(fault)
    }
}

/// Returns the directory of a family, if its name is valid in HBase.
fn folder(family: &[u8]) -> Result<PathBuf, String> {
    let legal = !family.is_empty()
        && family[0] != b'.'
        && family != b"recovered.edits"
        && !family.iter().any(|byte| byte.is_ascii_control() || matches!(byte, b':' | b'/' | b'\\'));
    match std::str::from_utf8(family) {
        Ok(name) if legal => Ok(PathBuf::from(OsStr::new(name))),
        _ => Err(format!("'{}' is not a valid family name", StringBinary(family))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_names_of_folders() {
        assert_eq!(folder(b"cf"), Ok(PathBuf::from("cf")));
        for wrong in [&b""[..], b"..", b".x", b"a/b", b"a\\b", b"a:b", b"a\n", b"\xff", b"recovered.edits"] {
            assert!(folder(wrong).is_err(), "{wrong:?}");
        }
    }
}
