//! Files of record batches: Parquet, and Arrow's file format.

use crate::error::{Error, Result};
use arrow_array::{Array as _, RecordBatch};
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, Schema, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::fmt;
use std::fs::File;
use std::io::{BufReader, Write};
use std::ops::Range;
use std::sync::Arc;

/// The format of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileFormat {
    /// Parquet: dictionaries, zstd.
    Parquet,
    /// Arrow's IPC file format, not compressed.
    Arrow,
}

/// The default of [`BatchFileWriter::new`]: a row group ends when it has about this many bytes.
pub const ROW_GROUP_BYTES: usize = 64 << 20;

/// A row group also ends when its batches have this many bytes in memory. Arrow's offsets have 31 bits: with
/// one more batch of up to 1 GiB, a column of a row group fits into an array.
const MAX_ROW_GROUP: usize = if cfg!(test) { 64 << 10 } else { 1 << 30 };

/// Writes record batches to a file.
pub struct BatchFileWriter<W: Write + Send>(Writer<W>);

enum Writer<W: Write + Send> {
    Parquet {
        writer: Box<ArrowWriter<W>>,
        row_group_bytes: usize,
        /// The bytes in memory of the batches of the row group.
        bytes: usize,
    },
    Arrow(Box<FileWriter<W>>),
}

impl<W: Write + Send> BatchFileWriter<W> {
    /// Begins a file. A row group of Parquet ends when it has about `row_group_bytes`, 1,048,576 rows, or 1
    /// GiB before it is encoded.
    ///
    /// # Errors
    ///
    /// If `out` fails.
    pub fn new(out: W, format: FileFormat, schema: &SchemaRef, row_group_bytes: usize) -> Result<Self> {
        Ok(Self(match format {
            FileFormat::Parquet => {
                let properties = WriterProperties::builder()
                    .set_compression(Compression::ZSTD(ZstdLevel::default()))
                    .build();
                let writer = ArrowWriter::try_new(out, SchemaRef::clone(schema), Some(properties));
                Writer::Parquet { writer: Box::new(writer.map_err(fault)?), row_group_bytes, bytes: 0 }
            }
            FileFormat::Arrow => Writer::Arrow(Box::new(FileWriter::try_new(out, schema)?)),
        }))
    }

    /// Appends a batch.
    ///
    /// # Errors
    ///
    /// If the batch has another schema, or `out` fails.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<()> {
        match &mut self.0 {
            Writer::Parquet { writer, row_group_bytes, bytes } => {
                writer.write(batch).map_err(fault)?;
                if writer.in_progress_rows() <= batch.num_rows() {
                    // the first batch of a row group
                    *bytes = 0;
                }
                for column in batch.columns() {
                    *bytes += column.to_data().get_slice_memory_size()?;
                }
                if writer.in_progress_size() >= *row_group_bytes || *bytes >= MAX_ROW_GROUP {
                    writer.flush().map_err(fault)?;
                }
            }
            Writer::Arrow(writer) => writer.write(batch)?,
        }
        Ok(())
    }

    /// Completes the file, with a pair of metadata at its end. Returns the output, which is not flushed.
    ///
    /// # Errors
    ///
    /// If `out` fails.
    pub fn finish(self, name: &str, value: &str) -> Result<W> {
        match self.0 {
            Writer::Parquet { mut writer, .. } => {
                writer.append_key_value_metadata(KeyValue::new(name.to_owned(), value.to_owned()));
                (*writer).into_inner().map_err(fault)
            }
            Writer::Arrow(mut writer) => {
                writer.write_metadata(name, value);
                writer.finish()?;
                Ok((*writer).into_inner()?)
            }
        }
    }
}

impl<W: Write + Send> fmt::Debug for BatchFileWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Writer::Parquet { .. } => "BatchFileWriter(Parquet)",
            Writer::Arrow(_) => "BatchFileWriter(Arrow)",
        })
    }
}

/// Reads the record batches of a file.
pub struct BatchFile(Reader);

enum Reader {
    Parquet(RowGroups),
    Arrow(FileReader<BufReader<File>>),
}

/// The row groups of a Parquet file. Each is read separately: a batch of several could have more bytes than
/// an array can.
struct RowGroups {
    file: File,
    metadata: ArrowReaderMetadata,
    /// The maximum number of rows of a batch.
    rows: usize,
    /// The row groups after the current one.
    left: Range<usize>,
    current: Option<ParquetRecordBatchReader>,
}

impl RowGroups {
    fn open(file: File, rows: usize) -> Result<Self, ParquetError> {
        let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default())?;
        let left = 0..metadata.metadata().num_row_groups();
        Ok(Self { file, metadata, rows, left, current: None })
    }

    fn read(&self, row_group: usize) -> Result<ParquetRecordBatchReader, ParquetError> {
        let (file, metadata) = (self.file.try_clone()?, self.metadata.clone());
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        builder.with_row_groups(vec![row_group]).with_batch_size(self.rows).build()
    }
}

impl Iterator for RowGroups {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.current.as_mut().and_then(Iterator::next) {
                return Some(batch);
            }
            let next = self.left.next()?;
            match self.read(next) {
                Ok(reader) => self.current = Some(reader),
                Err(error) => return Some(Err(error.into())),
            }
        }
    }
}

impl BatchFile {
    /// Opens a file, which is read in batches of up to `rows` rows if it is Parquet.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is not of the format.
    pub fn open(file: File, format: FileFormat, rows: usize) -> Result<Self> {
        Ok(Self(match format {
            FileFormat::Parquet => Reader::Parquet(RowGroups::open(file, rows).map_err(fault)?),
            FileFormat::Arrow => Reader::Arrow(FileReader::try_new(BufReader::new(file), None)?),
        }))
    }

    /// Returns the schema, without metadata.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        match &self.0 {
            Reader::Parquet(groups) => Arc::new(Schema::new(groups.metadata.schema().fields().clone())),
            Reader::Arrow(reader) => reader.schema(),
        }
    }

    /// Returns the value of a key of the file's metadata; `None` if there is none.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<String> {
        match &self.0 {
            Reader::Parquet(groups) => {
                let pairs = groups.metadata.metadata().file_metadata().key_value_metadata()?;
                pairs.iter().find(|pair| pair.key == name)?.value.clone()
            }
            Reader::Arrow(reader) => reader.custom_metadata().get(name).cloned(),
        }
    }
}

impl Iterator for BatchFile {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match &mut self.0 {
            Reader::Parquet(groups) => groups.next()?,
            Reader::Arrow(reader) => reader.next()?,
        };
        Some(batch.map_err(Error::from))
    }
}

impl fmt::Debug for BatchFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BatchFile").field("schema", &self.schema()).finish_non_exhaustive()
    }
}

fn fault(error: ParquetError) -> Error {
    Error::Arrow(ArrowError::from(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::{ArrayRef, BinaryArray};

    /// Many rows with large values that are the same, or are compressed well, otherwise exceeded the offsets
    /// of the arrays to which they were read.
    #[test]
    fn row_groups_are_bounded_in_memory_and_read_separately() {
        let values = BinaryArray::from_iter_values(std::iter::repeat_n([7_u8; 1000], 20));
        let batch = RecordBatch::try_from_iter([("v", Arc::new(values) as ArrayRef)]).unwrap();
        let (file, format) = (tempfile::tempfile().unwrap(), FileFormat::Parquet);
        let out = file.try_clone().unwrap();
        let mut writer = BatchFileWriter::new(out, format, &batch.schema(), ROW_GROUP_BYTES).unwrap();
        (0..10).for_each(|_| writer.write(&batch).unwrap());
        writer.finish("note", "any").unwrap();
        let batches = BatchFile::open(file, format, 1000).unwrap().map(Result::unwrap);
        let rows: Vec<_> = batches.map(|batch| batch.num_rows()).collect();
        // with four batches, a row group has 64 KiB
        assert_eq!(rows, [80, 80, 40]);
    }
}
