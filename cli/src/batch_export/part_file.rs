//! The files of an export, and the descriptions by which complete ones are recognized.

use super::{fault, write_fault};
use crate::args::read_small;
use crate::export_manifest::description_of;
use crate::failure::{CommandError, Failure};
use crate::file_sum::FileSum;
use crate::new_file::NewText;
use crate::probe;
use crate::text_file::TextFile;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use hregion_arrow::csv;
use hregion_arrow::files::{BatchFileWriter, FileFormat};
use serde_json::Value;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The name of the description in the metadata of a file.
const DESCRIPTION: &str = "hregion";

/// The format of the files. Next to each complete one is its description, with the sum of its bytes, until
/// the export is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartFormat {
    /// With the description at the end of the file, too.
    Batches(FileFormat),
    /// Comma-separated values, optionally compressed by gzip.
    Csv { is_packed: bool },
}

impl PartFormat {
    /// Returns the name, which is also the file extension.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Batches(FileFormat::Parquet) => "parquet",
            Self::Batches(_) => "arrow",
            Self::Csv { is_packed: false } => "csv",
            Self::Csv { is_packed: true } => "csv.gz",
        }
    }
}

/// Returns the description of a file that is complete, or was.
pub(super) fn description(path: &Path) -> Result<Option<Value>, Failure> {
    let beside = beside(path);
    // a link does not belong to an export
    if path.is_symlink() || !probe::is_file(path)? || !probe::is_file(&beside)? {
        return Ok(None);
    }
    Ok(serde_json::from_slice(&read_small(&beside)?).ok())
}

/// Writes the description of a complete file next to it.
pub(super) fn describe(path: &Path, mut description: Value, sum: &FileSum) -> Result<(), Failure> {
    description["sha256"] = sum.sha256.clone().into();
    let beside = beside(path);
    let mut text = NewText::create(&beside, true)?;
    let written = text.write_all(description.to_string().as_bytes());
    written.map_err(|error| CommandError::io("write", &beside, &error))?;
    text.persist()?;
    Ok(())
}

/// Returns the name of the description of a file.
fn beside(path: &Path) -> PathBuf {
    path.with_file_name(description_of(&path.file_name().unwrap_or_default().to_string_lossy()))
}

/// A file being written under a temporary name.
pub(super) enum PartFile {
    Batches(Box<BatchFileWriter<NewText>>),
    Csv { file: TextFile, lines: Vec<u8> },
}

impl PartFile {
    pub(super) fn create(
        path: &Path,
        format: PartFormat,
        schema: &SchemaRef,
        row_group_bytes: usize,
    ) -> Result<Self, Failure> {
        Ok(match format {
            PartFormat::Batches(format) => {
                let out = NewText::create_hashed(path, true)?;
                let writer = BatchFileWriter::new(out, format, schema, row_group_bytes);
                Self::Batches(Box::new(writer.map_err(|error| write_fault(path, &error))?))
            }
            PartFormat::Csv { .. } => {
                let mut lines = Vec::new();
                csv::put_header(&mut lines, schema);
                Self::Csv { file: TextFile::create_hashed(path, true)?, lines }
            }
        })
    }

    pub(super) fn write(&mut self, path: &Path, batch: &RecordBatch) -> Result<(), Failure> {
        match self {
            Self::Batches(writer) => writer.write(batch).map_err(|error| write_fault(path, &error)),
            Self::Csv { file, lines } => {
                csv::put_batch(lines, batch).map_err(|error| fault(path, error))?;
                file.write(lines)?;
                lines.clear();
                Ok(())
            }
        }
    }

    /// Completes the file, with a description if it takes one, and renames it into place. Returns
    /// its sum.
    pub(super) fn finish(self, path: &Path, description: &str) -> Result<FileSum, Failure> {
        match self {
            Self::Batches(writer) => {
                let out = writer.finish(DESCRIPTION, description);
                Ok(out.map_err(|error| write_fault(path, &error))?.persist()?)
            }
            Self::Csv { mut file, lines } => {
                // the header, if there are no rows
                file.write(&lines)?;
                Ok(file.finish()?)
            }
        }
    }
}
