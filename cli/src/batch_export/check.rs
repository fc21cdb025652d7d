//! Compares an export with its source.

use super::{BatchExport, CellSum, NOW, PartFormat, Take, fault, sum_of};
use crate::export_manifest::{MANIFEST, read_manifest};
use crate::failure::{CommandError, Failure};
use crate::file_sum::FileSum;
use crate::probe;
use crate::vfs;
use arrow_array::RecordBatch;
use arrow_schema::Schema;
use flate2::read::MultiGzDecoder;
use hregion::RegionInfo;
use hregion_arrow::csv;
use hregion_arrow::files::BatchFile;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Seek as _, Write as _};
use std::path::{Path, PathBuf};

/// The number of rows of a file read at once.
const ROWS: usize = 8192;

/// The manifest of an export.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// By the beginning of their names: the region.
    files: BTreeMap<String, Listed>,
    now: Option<i64>,
}

/// A file that the manifest lists.
#[derive(Debug)]
struct Listed {
    name: String,
    json: Value,
}

fn region_of(name: &str) -> &str {
    name.split('.').next().unwrap_or_default()
}

impl Manifest {
    /// Reads the manifest of an export, which must be of the same request.
    pub(crate) fn read(dir: &Path, export: &BatchExport) -> Result<Self, Failure> {
        let path = dir.join(MANIFEST);
        let text = read_manifest(&path)?;
        let wrong =
            |what: &str| CommandError::corrupt(&path, format!("not the manifest of an export: {what}"));
        let manifest: Value = serde_json::from_slice(&text).map_err(|error| wrong(&error.to_string()))?;
        if manifest["request"] != *export.request() {
            let message = "the export has another source or other options than given";
            return Err(CommandError::invalid_file(&path, message).into());
        }
        let mut files = BTreeMap::new();
        for file in manifest["files"].as_array().ok_or_else(|| wrong("no files"))? {
            let name = file["file"].as_str().ok_or_else(|| wrong("a file without a name"))?;
            let listed = Listed { name: name.to_owned(), json: file.clone() };
            if files.insert(region_of(name).to_owned(), listed).is_some() {
                return Err(wrong("two files of a region").into());
            }
        }
        Ok(Self { files, now: manifest[NOW].as_i64() })
    }

    /// Returns the time by which cells had expired.
    pub(crate) fn now(&self) -> Option<i64> {
        self.now
    }

    /// Returns the names in a local directory that the manifest does not list, except those that readers of
    /// directories skip. At a URL they may be from exports that are still running.
    pub(crate) fn unlisted(&self, dir: &Path) -> Result<Vec<String>, CommandError> {
        if vfs::is_url(dir) {
            return Ok(Vec::new());
        }
        let failed = |error| CommandError::io("list", dir, &error);
        let mut unlisted = Vec::new();
        for entry in fs::read_dir(dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
            let is_listed = self.files.get(region_of(&name)).is_some_and(|listed| listed.name == name);
            if !is_listed && name != MANIFEST && !name.starts_with(['.', '_']) {
                unlisted.push(name);
            }
        }
        unlisted.sort_unstable();
        Ok(unlisted)
    }

    /// Removes the files with the given names, and returns those of the rest.
    pub(crate) fn others(mut self, names: &[String]) -> Vec<String> {
        names.iter().for_each(|name| drop(self.files.remove(region_of(name))));
        self.files.into_values().map(|file| file.name).collect()
    }
}

impl BatchExport {
    /// Compares the file of a region with its rows. Returns the name of the file, and the fault.
    pub(crate) fn compare(
        &self,
        manifest: &Manifest,
        info: Option<&RegionInfo>,
        dir: &Path,
        scan: impl FnOnce(Take<'_>) -> Result<(), Failure>,
    ) -> Result<(String, Option<String>), Failure> {
        let own = self.name(info);
        let Some(Listed { name, json: recorded }) = manifest.files.get(region_of(&own)) else {
            return Ok((own, Some("the manifest has no such file".to_owned())));
        };
        let (name, path) = (name.clone(), dir.join(name));
        let counts = ["rows", "cells"].map(|member| recorded[member].as_u64().unwrap_or(u64::MAX));
        let (file, found) = match open(&path) {
            Err(_) if !probe::exists(&path)? => return Ok((name, Some("there is no such file".to_owned()))),
            opened => opened?,
        };
        for (member, found) in [("bytes", json!(found.bytes)), ("sha256", json!(found.sha256))] {
            if found != recorded[member] {
                return Ok((name, Some(format!("its {member} are not those of the manifest"))));
            }
        }
        let mut builder = self.builder().map_err(|error| fault(&path, error))?;
        let mut written = Written::open(file, &path, self.format)?;
        let (mut sum, mut is_same) = (CellSum::default(), written.begins_with(&builder.schema())?);
        scan(&mut |row| {
            sum.add(row);
            builder.push(row).map_err(|error| fault(&path, error))?;
            while let Some(batch) = builder.next_batch() {
                is_same = is_same && written.has(&batch)?;
            }
            Ok(())
        })?;
        builder.flush().map_err(|error| fault(&path, error))?;
        while let Some(batch) = builder.next_batch() {
            is_same = is_same && written.has(&batch)?;
        }
        let (found, contents) = sum.finish();
        let wrong = if found != counts || recorded["contents"].as_str() != Some(&contents) {
            Some(format!(
                "the source has {} rows, {} cells, and others than when it was exported",
                found[0], found[1]
            ))
        } else if !is_same || !written.is_at_end()? {
            Some("its rows are not those of the source".to_owned())
        } else {
            None
        };
        Ok((name, wrong))
    }
}

/// Opens a file, and sums it. A remote one is copied to a temporary file, as its end is read before the rest.
fn open(path: &Path) -> Result<(File, FileSum), CommandError> {
    if !vfs::is_url(path) {
        let sum = sum_of(path, |_| Ok(())).map_err(|error| CommandError::io("read", path, &error))?;
        let file = File::open(path).map_err(|error| CommandError::io("open", path, &error))?;
        return Ok((file, sum));
    }
    let copy = || {
        let mut file = tempfile::tempfile()?;
        let sum = sum_of(path, |bytes| file.write_all(bytes))?;
        file.rewind()?;
        Ok((file, sum))
    };
    copy().map_err(|error| CommandError::io("copy to a temporary file", path, &error))
}

/// The rows of a file.
enum Written {
    Batches(Unequal, PathBuf),
    Csv(Lines),
}

impl Written {
    fn open(file: File, path: &Path, format: PartFormat) -> Result<Self, Failure> {
        Ok(match format {
            PartFormat::Batches(format) => {
                let file = BatchFile::open(file, format, ROWS).map_err(|error| fault(path, error))?;
                Self::Batches(Unequal::new(file), path.to_owned())
            }
            PartFormat::Csv { is_packed } => {
                let text: Box<dyn Read> = match is_packed {
                    true => Box::new(MultiGzDecoder::new(BufReader::new(file))),
                    false => Box::new(file),
                };
                Self::Csv(Lines { text, path: path.to_owned(), expected: Vec::new(), found: Vec::new() })
            }
        })
    }

    /// Whether the names of the columns, if they precede the rows, are those of a schema.
    fn begins_with(&mut self, schema: &Schema) -> Result<bool, Failure> {
        match self {
            Self::Batches(..) => Ok(true),
            Self::Csv(lines) => {
                csv::put_header(&mut lines.expected, schema);
                Ok(lines.is_next()?)
            }
        }
    }

    /// Whether the next rows are those of a batch.
    fn has(&mut self, batch: &RecordBatch) -> Result<bool, Failure> {
        match self {
            Self::Batches(written, path) => written.has(batch).map_err(|error| fault(path, error)),
            Self::Csv(lines) => {
                csv::put_batch(&mut lines.expected, batch).map_err(|error| fault(&lines.path, error))?;
                Ok(lines.is_next()?)
            }
        }
    }

    fn is_at_end(&mut self) -> Result<bool, Failure> {
        match self {
            Self::Batches(written, path) => written.is_at_end().map_err(|error| fault(path, error)),
            Self::Csv(lines) => Ok(lines.read(1)? == 0),
        }
    }
}

/// Text, compared with lines in order.
struct Lines {
    text: Box<dyn Read>,
    path: PathBuf,
    expected: Vec<u8>,
    found: Vec<u8>,
}

impl Lines {
    /// Reads this many bytes, fewer at the end of the text. Returns the number read.
    fn read(&mut self, most: u64) -> Result<usize, CommandError> {
        self.found.clear();
        let read = self.text.by_ref().take(most).read_to_end(&mut self.found);
        read.map_err(|error: io::Error| CommandError::io("read", &self.path, &error))
    }

    /// Whether the expected lines come next. Clears them.
    fn is_next(&mut self) -> Result<bool, CommandError> {
        self.read(self.expected.len() as u64)?;
        let is_next = self.found == self.expected;
        self.expected.clear();
        Ok(is_next)
    }
}

/// The rows of a file, compared with batches of other sizes.
struct Unequal {
    file: BatchFile,
    /// The rest of the last batch.
    left: Option<RecordBatch>,
}

impl Unequal {
    fn new(file: BatchFile) -> Self {
        Self { file, left: None }
    }

    /// Returns the next batch that is not empty.
    fn take(&mut self) -> hregion_arrow::Result<Option<RecordBatch>> {
        if let Some(left) = self.left.take() {
            return Ok(Some(left));
        }
        for batch in self.file.by_ref() {
            let batch = batch?;
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
        Ok(None)
    }

    /// Whether the next rows are those of a batch.
    fn has(&mut self, batch: &RecordBatch) -> hregion_arrow::Result<bool> {
        let mut at = 0;
        while at < batch.num_rows() {
            let Some(next) = self.take()? else { return Ok(false) };
            let count = next.num_rows().min(batch.num_rows() - at);
            if next.slice(0, count).columns() != batch.slice(at, count).columns() {
                return Ok(false);
            }
            if count < next.num_rows() {
                self.left = Some(next.slice(count, next.num_rows() - count));
            }
            at += count;
        }
        Ok(true)
    }

    fn is_at_end(&mut self) -> hregion_arrow::Result<bool> {
        Ok(self.take()?.is_none())
    }
}
