//! Files of record batches: Parquet, and Arrow's file format.

use crate::error::{Error, Result};
use arrow_array::{RecordBatch, RecordBatchReader as _};
use arrow_ipc::reader::FileReader;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{ArrowError, SchemaRef};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use std::fmt;
use std::fs::File;
use std::io::{BufReader, Write};

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

/// Writes record batches to a file.
pub struct BatchFileWriter<W: Write + Send>(Writer<W>);

enum Writer<W: Write + Send> {
    Parquet { writer: Box<ArrowWriter<W>>, row_group_bytes: usize },
    Arrow(Box<FileWriter<W>>),
}

impl<W: Write + Send> BatchFileWriter<W> {
    /// Begins a file. A row group of Parquet ends when it has about `row_group_bytes`.
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
                Writer::Parquet { writer: Box::new(writer.map_err(fault)?), row_group_bytes }
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
            Writer::Parquet { writer, row_group_bytes } => {
                writer.write(batch).map_err(fault)?;
                if writer.in_progress_size() >= *row_group_bytes {
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
    Parquet { reader: ParquetRecordBatchReader, metadata: Vec<KeyValue> },
    Arrow(FileReader<BufReader<File>>),
}

impl BatchFile {
    /// Opens a file, which is read in batches of up to `rows` rows if it is Parquet.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or is not of the format.
    pub fn open(file: File, format: FileFormat, rows: usize) -> Result<Self> {
        Ok(Self(match format {
            FileFormat::Parquet => {
                let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(fault)?;
                let metadata = builder.metadata().file_metadata().key_value_metadata().cloned();
                let reader = builder.with_batch_size(rows).build().map_err(fault)?;
                Reader::Parquet { reader, metadata: metadata.unwrap_or_default() }
            }
            FileFormat::Arrow => Reader::Arrow(FileReader::try_new(BufReader::new(file), None)?),
        }))
    }

    /// Returns the schema, without metadata.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        match &self.0 {
            Reader::Parquet { reader, .. } => reader.schema(),
            Reader::Arrow(reader) => reader.schema(),
        }
    }

    /// Returns the value of a key of the file's metadata; `None` if there is none.
    #[must_use]
    pub fn metadata(&self, name: &str) -> Option<String> {
        match &self.0 {
            Reader::Parquet { metadata, .. } => {
                metadata.iter().find(|pair| pair.key == name).and_then(|pair| pair.value.clone())
            }
            Reader::Arrow(reader) => reader.custom_metadata().get(name).cloned(),
        }
    }
}

impl Iterator for BatchFile {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = match &mut self.0 {
            Reader::Parquet { reader, .. } => reader.next()?,
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
