//! Writing lists of cells: to standard output, or to a file, compressed if its name ends with .gz.

use crate::failure::{CommandError, Failure};
use crate::file_sum::FileSum;
use crate::new_file::NewText;
use crate::output::Output;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The output of a list.
pub(crate) enum TextOutput {
    Stdout,
    File(TextFile),
}

impl TextOutput {
    /// Opens the output; `-` is standard output.
    pub(crate) fn create(path: &Path, replace: bool) -> Result<Self, CommandError> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        TextFile::create(path, replace).map(Self::File)
    }

    pub(crate) fn write(&mut self, line: &[u8], out: &mut Output) -> Result<(), Failure> {
        match self {
            Self::Stdout => Ok(out.write_all(line)?),
            Self::File(file) => Ok(file.write(line)?),
        }
    }

    /// Completes the file and renames it into place.
    pub(crate) fn finish(self) -> Result<(), CommandError> {
        match self {
            Self::Stdout => Ok(()),
            Self::File(file) => file.finish().map(drop),
        }
    }
}

/// A text file being written under a temporary name.
pub(crate) enum TextFile {
    Plain(NewText, PathBuf),
    Packed(Box<GzEncoder<NewText>>, PathBuf),
}

impl TextFile {
    /// Creates a file, which is compressed if its name ends with `.gz`.
    pub(crate) fn create(path: &Path, replace: bool) -> Result<Self, CommandError> {
        Ok(Self::of(NewText::create(path, replace)?, path))
    }

    /// Like [`create`](Self::create), with the SHA-256 of the file.
    pub(crate) fn create_hashed(path: &Path, replace: bool) -> Result<Self, CommandError> {
        Ok(Self::of(NewText::create_hashed(path, replace)?, path))
    }

    fn of(text: NewText, path: &Path) -> Self {
        match path.extension() {
            Some(extension) if extension == "gz" => {
                let packed = Box::new(GzEncoder::new(text, Compression::default()));
                Self::Packed(packed, path.to_owned())
            }
            _ => Self::Plain(text, path.to_owned()),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), CommandError> {
        let (written, path) = match self {
            Self::Plain(text, path) => (text.write_all(bytes), path),
            Self::Packed(text, path) => (text.write_all(bytes), path),
        };
        written.map_err(|error| CommandError::io("write", path, &error))
    }

    /// Completes the file and renames it into place. Returns its sum.
    pub(crate) fn finish(self) -> Result<FileSum, CommandError> {
        match self {
            Self::Plain(text, _) => text.persist(),
            Self::Packed(text, path) => {
                text.finish().map_err(|error| CommandError::io("write", &path, &error))?.persist()
            }
        }
    }
}
