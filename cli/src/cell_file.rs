//! Writing an HFile, plain or for a store.

use crate::failure::CommandError;
use crate::output::Output;
use crate::settings::{Pair, Settings};
use hregion::{CellRef, Encryption, HFileWriter, HFileWriterOptions, StoreFileOrigin, StoreFileWriter};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Validated settings for writing files.
#[derive(Debug)]
pub(crate) struct CellFiles {
    options: HFileWriterOptions,
    /// `None` for plain files.
    origin: Option<StoreFileOrigin>,
    meta_blocks: Vec<Pair>,
    info: Vec<Pair>,
    /// Entries of the file info of a plain file for a bulk load, unless they are given.
    of_load: Vec<Pair>,
}

impl CellFiles {
    pub(crate) fn new(
        settings: &Settings,
        zstd_dictionary: Option<&PathBuf>,
        encryption: Option<Encryption>,
        replace: bool,
        out: &Output,
    ) -> Result<Self, CommandError> {
        settings.warn_of_unused(out);
        Ok(Self {
            options: settings.options(zstd_dictionary, encryption, replace)?,
            origin: settings.origin(),
            meta_blocks: settings.meta_blocks.clone(),
            info: settings.info.clone(),
            of_load: settings.load_info(),
        })
    }

    /// Adds entries of the file info and meta blocks whose names are not present yet.
    pub(crate) fn with_missing(mut self, info: Vec<Pair>, meta_blocks: Vec<Pair>) -> Self {
        for (to, from) in [(&mut self.info, info), (&mut self.meta_blocks, meta_blocks)] {
            let mut names: BTreeSet<_> = to.iter().map(|(name, _)| name.clone()).collect();
            to.extend(from.into_iter().filter(|(name, _)| names.insert(name.clone())));
        }
        self
    }

    /// Starts a file.
    pub(crate) fn create(&self, path: &Path) -> hregion::Result<CellFile> {
        let options = self.options.clone();
        let mut file = match &self.origin {
            Some(origin) => {
                CellFile::Store(Box::new(StoreFileWriter::create(options, path)?), origin.clone())
            }
            None => CellFile::Plain(Box::new(options.create(path)?)),
        };
        let is_given = |key: &[u8]| self.info.iter().any(|(given, _)| given == key);
        let of_load = self.of_load.iter().filter(|(key, _)| !is_given(key));
        for (key, value) in self.info.iter().chain(of_load) {
            file.add_info(key, value)?;
        }
        if let CellFile::Plain(writer) = &mut file {
            for (name, content) in &self.meta_blocks {
                writer.add_meta_block(name, content)?;
            }
        }
        Ok(file)
    }
}

/// A file being written.
#[derive(Debug)]
pub(crate) enum CellFile {
    Plain(Box<HFileWriter>),
    Store(Box<StoreFileWriter>, StoreFileOrigin),
}

impl CellFile {
    #[inline]
    pub(crate) fn append(&mut self, cell: CellRef<'_>) -> hregion::Result<()> {
        match self {
            Self::Plain(writer) => writer.append(cell),
            Self::Store(writer, _) => writer.append(cell),
        }
    }

    fn add_info(&mut self, key: &[u8], value: &[u8]) -> hregion::Result<()> {
        match self {
            Self::Plain(writer) => writer.add_file_info(key, value),
            Self::Store(writer, _) => writer.add_file_info(key, value),
        }
    }

    pub(crate) fn cells(&self) -> u64 {
        match self {
            Self::Plain(writer) => writer.entry_count(),
            Self::Store(writer, _) => writer.entry_count(),
        }
    }

    /// Completes the file and renames it into place. Returns its size in bytes.
    pub(crate) fn finish(self) -> hregion::Result<u64> {
        match self {
            Self::Plain(writer) => writer.finish(),
            Self::Store(writer, origin) => writer.finish(&origin),
        }
    }
}
