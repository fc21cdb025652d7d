//! The files of an export, and how it is known later that they are complete.

use super::{fault, write_fault};
use crate::args::read_small;
use crate::exported::Exported;
use crate::failure::{CommandError, Failure};
use crate::new_file::NewText;
use crate::probe;
use crate::text_file::TextFile;
use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use hregion_arrow::csv;
use hregion_arrow::files::{BatchFile, BatchFileWriter, FileFormat};
use serde_json::Value;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The name of the description in the metadata of a file.
const DESCRIPTION: &str = "hregion";

/// The format of the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PartFormat {
    /// With the description at the end of the file.
    Batches(FileFormat),
    /// Comma-separated values, packed by gzip if asked. The description is in a file beside it, with the sum
    /// of the bytes, until the export is complete.
    Csv { is_packed: bool },
}

impl PartFormat {
    /// Returns the name, which is the ending of files, too.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Batches(FileFormat::Parquet) => "parquet",
            Self::Batches(_) => "arrow",
            Self::Csv { is_packed: false } => "csv",
            Self::Csv { is_packed: true } => "csv.gz",
        }
    }

    /// Returns the description of a file that is complete, or was.
    pub(super) fn description(self, path: &Path) -> Result<Option<Value>, Failure> {
        if !probe::is_file(path)? {
            return Ok(None);
        }
        let text = match self {
            Self::Batches(format) => {
                let file = File::open(path).map_err(|error| CommandError::io("open", path, &error))?;
                BatchFile::open(file, format, 1).ok().and_then(|file| file.metadata(DESCRIPTION))
            }
            Self::Csv { .. } => {
                let beside = beside(path);
                let is_there = probe::is_file(&beside)?;
                is_there
                    .then(|| read_small(&beside))
                    .transpose()?
                    .and_then(|text| String::from_utf8(text).ok())
            }
        };
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }

    /// Writes the description of a complete file beside it, if the file has none.
    pub(super) fn describe_aside(
        self,
        path: &Path,
        mut description: Value,
        file: &Exported,
    ) -> Result<(), Failure> {
        if let Self::Csv { .. } = self {
            description["sha256"] = file.json["sha256"].clone();
            let beside = beside(path);
            let mut text = NewText::create(&beside, true)?;
            let written = text.write_all(description.to_string().as_bytes());
            written.map_err(|error| CommandError::io("write", &beside, &error))?;
            text.persist()?;
        }
        Ok(())
    }
}

/// Returns the name of the description of a file that has none.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".json");
    name.into()
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
                let out = NewText::create(path, true)?;
                let writer = BatchFileWriter::new(out, format, schema, row_group_bytes);
                Self::Batches(Box::new(writer.map_err(|error| write_fault(path, &error))?))
            }
            PartFormat::Csv { .. } => {
                let mut lines = Vec::new();
                csv::put_header(&mut lines, schema);
                Self::Csv { file: TextFile::create(path, true)?, lines }
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

    /// Completes the file, with a description if it takes one, and renames it into place.
    pub(super) fn finish(self, path: &Path, description: &str) -> Result<(), Failure> {
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
