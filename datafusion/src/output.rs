//! Rows as a table, as JSON lines, or as CSV, on standard output.

use crate::{Exit, Failure};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::csv;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json;
use datafusion::arrow::util::pretty::pretty_format_batches_with_schema;
use std::io::{self, BufWriter, Stdout, Write as _};

/// How rows are printed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    Table,
    Json,
    Csv,
}

/// Prints rows: those of a table at the end, because columns are as wide as their widest value.
pub(crate) struct Output {
    schema: SchemaRef,
    to: To,
}

enum To {
    Table(Vec<RecordBatch>),
    Json(Box<json::LineDelimitedWriter<BufWriter<Stdout>>>),
    Csv(Box<csv::Writer<BufWriter<Stdout>>>),
}

impl Output {
    pub(crate) fn new(format: Format, schema: SchemaRef) -> Self {
        let out = || BufWriter::new(io::stdout());
        let to = match format {
            Format::Table => To::Table(Vec::new()),
            Format::Json => To::Json(Box::new(json::LineDelimitedWriter::new(out()))),
            Format::Csv => To::Csv(Box::new(csv::Writer::new(out()))),
        };
        Self { schema, to }
    }

    pub(crate) fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        match &mut self.to {
            To::Table(batches) => {
                batches.push(batch);
                Ok(())
            }
            To::Json(writer) => writer.write(&batch).map_err(failure),
            To::Csv(writer) => writer.write(&batch).map_err(failure),
        }
    }

    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.to {
            To::Table(batches) => {
                let text = pretty_format_batches_with_schema(self.schema, &batches).map_err(failure)?;
                let mut out = io::stdout().lock();
                writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| closed(&error))
            }
            To::Json(mut writer) => {
                writer.finish().map_err(failure)?;
                writer.into_inner().flush().map_err(|error| closed(&error))
            }
            To::Csv(mut writer) => {
                // the names of the columns, even without rows
                writer.write(&RecordBatch::new_empty(self.schema)).map_err(failure)?;
                writer.into_inner().flush().map_err(|error| closed(&error))
            }
        }
    }
}

fn failure(error: ArrowError) -> Failure {
    match error {
        ArrowError::IoError(_, error) => closed(&error),
        error => Failure::usage(error.to_string()),
    }
}

fn closed(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::closed_pipe(),
        _ => Failure::new(Exit::Io, format!("cannot write to standard output: {error}")),
    }
}
