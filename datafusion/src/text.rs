//! The texts of values for which Arrow has none, or a different one.

use datafusion::arrow::array::{Array, AsArray as _, PrimitiveArray, RecordBatch};
use datafusion::arrow::datatypes::{ArrowPrimitiveType, Float16Type, Float32Type, Float64Type};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::writer::{Encoder, EncoderFactory, EncoderOptions, NullableEncoder};
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use hregion::cell::Printable;
use std::fmt::Debug;
use std::io::Write as _;

/// Returns a message without characters that a terminal would interpret.
#[must_use]
pub fn printable(message: &str) -> String {
    message.lines().map(|line| Printable(line).to_string()).collect::<Vec<_>>().join("\n")
}

/// Checks that all values have a text. Arrow would print the error as the value, also within a list.
///
/// # Errors
///
/// If a value has none, such as a timestamp outside any calendar.
pub fn check_values(batch: &RecordBatch) -> Result<(), ArrowError> {
    let schema = batch.schema();
    schema.fields().iter().zip(batch.columns()).try_for_each(|(field, column)| check_column(field, column))
}

pub(crate) fn check_column(field: &Field, column: &dyn Array) -> Result<(), ArrowError> {
    let ty = column.data_type();
    if ty.is_numeric() || ty.is_binary() || ty.is_string() || matches!(ty, DataType::Boolean) {
        return Ok(());
    }
    // errors within lists are also errors, but without their message
    let options = FormatOptions::default().with_display_error(false);
    let (values, mut text) = (ArrayFormatter::try_new(column, &options)?, String::new());
    for row in 0..column.len() {
        text.clear();
        values.value(row).write(&mut text).map_err(|error| match ty.is_nested() {
            true => ArrowError::CastError(format!(
                "{}: a value in it has no text, such as a timestamp that no calendar has",
                field.name()
            )),
            false => error,
        })?;
    }
    Ok(())
}

/// Prints `NaN` and the infinities, for which JSON has no numbers, as strings. Arrow prints them as null.
#[derive(Debug)]
pub struct AllFloats;

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
