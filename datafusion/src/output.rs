//! Rows as a table, as JSON lines, or as CSV, on standard output.

use crate::{Exit, Failure};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::LineDelimitedWriter;
use datafusion::arrow::json::writer::WriterBuilder;
use datafusion::arrow::util::pretty::pretty_format_batches_with_schema;
use hregion::cell::Printable;
use hregion_datafusion::{AllFloats, CsvWriter, Stdout, check_values};
use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::sync::Arc;

/// The format of printed rows.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Format {
    Table,
    Json,
    Csv,
}

/// Prints rows. A table is printed at the end, because columns are as wide as their widest value.
pub(crate) struct Output {
    schema: SchemaRef,
    to: To,
}

enum To {
    Table(Vec<RecordBatch>),
    Json(Box<LineDelimitedWriter<BufWriter<Stdout>>>),
    Csv(CsvWriter<BufWriter<Stdout>>),
}

impl Output {
    /// Creates an output. Fails if rows of these columns cannot be printed in this format.
    pub(crate) fn new(format: Format, schema: SchemaRef) -> Result<Self, Failure> {
        let out = || BufWriter::new(Stdout::new());
        let to = match format {
            Format::Table => To::Table(Vec::new()),
            Format::Json => {
                check_names(&schema)?;
                To::Json(Box::new(json_lines(out())))
            }
            Format::Csv => To::Csv(CsvWriter::new(out(), Arc::clone(&schema))),
        };
        Ok(Self { schema, to })
    }

    pub(crate) fn write(&mut self, batch: RecordBatch) -> Result<(), Failure> {
        match &mut self.to {
            To::Table(batches) => {
                check_values(&batch).map_err(failure)?;
                batches.push(batch);
                Ok(())
            }
            To::Json(writer) => check_values(&batch).and_then(|()| writer.write(&batch)).map_err(failure),
            To::Csv(writer) => writer.write(&batch).map_err(failure),
        }
    }

    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.to {
            To::Table(batches) => {
                let text = pretty_format_batches_with_schema(self.schema, &batches).map_err(failure)?;
                let (text, mut out) = (text.to_string(), BufWriter::new(Stdout::new()));
                let written = text.lines().try_for_each(|line| writeln!(out, "{}", Printable(line)));
                written.and_then(|()| out.flush()).map_err(|error| closed(&error))
            }
            To::Json(mut writer) => {
                writer.finish().map_err(failure)?;
                writer.into_inner().flush().map_err(|error| closed(&error))
            }
            To::Csv(writer) => writer.finish().map_err(failure),
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

/// Fails if columns have the same name: readers use only one of several members of an object with the same
/// name.
fn check_names(schema: &SchemaRef) -> Result<(), Failure> {
    let mut names = BTreeSet::new();
    match schema.fields().iter().find(|field| !names.insert(field.name())) {
        Some(field) => {
            let name = field.name();
            Err(Failure::usage(format!("--json: several columns have the name {name}; rename them with AS")))
        }
        None => Ok(()),
    }
}

fn json_lines<W: Write>(out: W) -> LineDelimitedWriter<W> {
    WriterBuilder::new().with_encoder_factory(Arc::new(AllFloats)).build(out)
}
