//! Rows as a table, as JSON lines, or as CSV, on standard output.

use crate::{Exit, Failure};
use datafusion::arrow::array::{Array, AsArray as _, PrimitiveArray, RecordBatch};
use datafusion::arrow::datatypes::{ArrowPrimitiveType, Float16Type, Float32Type, Float64Type};
use datafusion::arrow::datatypes::{DataType, FieldRef, SchemaRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::LineDelimitedWriter;
use datafusion::arrow::json::writer::{
    Encoder, EncoderFactory, EncoderOptions, NullableEncoder, WriterBuilder,
};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::arrow::util::pretty::pretty_format_batches_with_schema;
use hregion_datafusion::CsvWriter;
use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io::{self, BufWriter, Stdout, Write};
use std::sync::Arc;

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
    Json(Box<LineDelimitedWriter<BufWriter<Stdout>>>),
    Csv(CsvWriter<BufWriter<Stdout>>),
}

impl Output {
    /// Fails if rows of these columns cannot be printed so.
    pub(crate) fn new(format: Format, schema: SchemaRef) -> Result<Self, Failure> {
        let out = || BufWriter::new(io::stdout());
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
                let mut out = io::stdout().lock();
                writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|error| closed(&error))
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

/// Fails if columns have the same name: readers take only one of the members of an object with the same name.
fn check_names(schema: &SchemaRef) -> Result<(), Failure> {
    let mut names = BTreeSet::new();
    match schema.fields().iter().find(|field| !names.insert(field.name())) {
        Some(field) => {
            let name = field.name();
            Err(Failure::usage(format!("--json: several columns have the name {name}; AS gives them others")))
        }
        None => Ok(()),
    }
}

/// Fails if a value has no text, such as a timestamp that no calendar has. Arrow prints the error as the
/// value, and still does within lists.
fn check_values(batch: &RecordBatch) -> Result<(), ArrowError> {
    let (options, mut text) = (FormatOptions::default(), String::new());
    for column in batch.columns() {
        let ty = column.data_type();
        if ty.is_numeric() || ty.is_binary() || ty.is_string() || matches!(ty, DataType::Boolean) {
            continue;
        }
        let values = ArrayFormatter::try_new(column, &options)?;
        for row in 0..batch.num_rows() {
            text.clear();
            values.value(row).write(&mut text)?;
        }
    }
    Ok(())
}

fn json_lines<W: Write>(out: W) -> LineDelimitedWriter<W> {
    WriterBuilder::new().with_encoder_factory(Arc::new(AllFloats)).build(out)
}

/// Prints `NaN` and the infinities, which JSON has no numbers for, as strings. Arrow prints them as null.
#[derive(Debug)]
struct AllFloats;

impl EncoderFactory for AllFloats {
    fn make_default_encoder<'a>(
        &self,
        _: &'a FieldRef,
        array: &'a dyn Array,
        _: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        let encoder: Box<dyn Encoder + 'a> = match array.data_type() {
            DataType::Float16 => Box::new(Floats(array.as_primitive::<Float16Type>())),
            DataType::Float32 => Box::new(Floats(array.as_primitive::<Float32Type>())),
            DataType::Float64 => Box::new(Floats(array.as_primitive::<Float64Type>())),
            _ => return Ok(None),
        };
        Ok(Some(NullableEncoder::new(encoder, array.nulls().cloned())))
    }
}

struct Floats<'a, T: ArrowPrimitiveType>(&'a PrimitiveArray<T>);

impl<T: ArrowPrimitiveType> Encoder for Floats<'_, T>
where
    T::Native: Into<f64> + Debug,
{
    fn encode(&mut self, at: usize, out: &mut Vec<u8>) {
        let value = self.0.value(at);
        let wide: f64 = value.into();
        let text: &[u8] = match wide {
            _ if wide.is_nan() => b"\"NaN\"",
            f64::INFINITY => b"\"Infinity\"",
            f64::NEG_INFINITY => b"\"-Infinity\"",
            _ => {
                // the fewest digits that are read as the same number; writing to a vector does not fail
                let _ = write!(out, "{value:?}");
                return;
            }
        };
        out.extend_from_slice(text);
    }
}
