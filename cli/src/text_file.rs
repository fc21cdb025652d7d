//! Writing lists of cells: to standard output, or to a file, compressed if its name ends with .gz.

use crate::failure::{CommandError, Failure};
use crate::new_file::NewText;
use crate::output::Output;
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// A list being written.
pub(crate) enum TextFile {
    Stdout,
    Plain(NewText, PathBuf),
    Packed(Box<GzEncoder<NewText>>, PathBuf),
}

impl TextFile {
    /// Opens the output; `-` is standard output.
    pub(crate) fn create(path: &Path, replace: bool) -> Result<Self, CommandError> {
        if path.as_os_str() == "-" {
            return Ok(Self::Stdout);
        }
        let (text, path) = (NewText::create(path, replace)?, path.to_owned());
        Ok(match path.extension() {
            Some(extension) if extension == "gz" => {
                Self::Packed(Box::new(GzEncoder::new(text, Compression::default())), path)
            }
            _ => Self::Plain(text, path),
        })
    }

    pub(crate) fn write(&mut self, line: &[u8], out: &mut Output) -> Result<(), Failure> {
        let (written, path) = match self {
            Self::Stdout => return Ok(out.write_all(line)?),
            Self::Plain(text, path) => (text.write_all(line), path),
            Self::Packed(text, path) => (text.write_all(line), path),
        };
        Ok(written.map_err(|error| CommandError::io("write", path, &error))?)
    }

    /// Completes the file and renames it into place.
    pub(crate) fn finish(self) -> Result<(), CommandError> {
        match self {
            Self::Stdout => Ok(()),
            Self::Plain(text, _) => text.persist(),
            Self::Packed(text, path) => {
                text.finish().map_err(|error| CommandError::io("write", &path, &error))?.persist()
            }
        }
    }
}
