//! Record batches as comma-separated values.
//!
//! Fields are separated and quoted as in RFC 4180; lines end with a line feed. Values can be read back
//! exactly:
//!
//! | type | field |
//! |---|---|
//! | null | empty, without quotes; an empty text or no bytes are `""` |
//! | text, JSON | unchanged |
//! | bytes | HBase's printable form: `\xHH` for a backslash and all but ASCII's printable characters |
//! | integer, boolean | decimal digits; `true`, `false` |
//! | decimal | all digits of its scale |
//! | float, double | the fewest digits that are read as the same number; `NaN`, `Infinity`, `-Infinity` |
//! | timestamp | milliseconds since 1970 |
//! | list | a JSON array, newest version first: numbers and booleans as above, all others as strings |
//!
//! The sign and the payload of a `NaN` are not written.

use crate::error::Result;
use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    TimestampMillisecondType,
};
use arrow_array::{Array, ArrowPrimitiveType, BinaryArray, BooleanArray, ListArray, PrimitiveArray};
use arrow_array::{RecordBatch, StringArray};
use arrow_schema::{ArrowError, DataType, Schema, TimeUnit};
use hregion::cell::StringBinary;
use std::fmt::Debug;
use std::io::Write as _;

/// Appends the line with the names of the columns.
pub fn put_header(out: &mut Vec<u8>, schema: &Schema) {
    for (i, field) in schema.fields().iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        put_text(out, field.name());
    }
    out.push(b'\n');
}

/// Appends a line for each row.
///
/// # Errors
///
/// If a column has a type that no mapping has.
pub fn put_batch(out: &mut Vec<u8>, batch: &RecordBatch) -> Result<()> {
    let columns: Vec<_> =
        batch.columns().iter().map(|column| Column::new(column)).collect::<Result<_, ArrowError>>()?;
    for row in 0..batch.num_rows() {
        for (i, column) in columns.iter().enumerate() {
            if i > 0 {
                out.push(b',');
            }
            column.put(out, row);
        }
        out.push(b'\n');
    }
    Ok(())
}

/// Appends a field of text, in quotes if it needs them or is empty: an empty field without quotes is a null.
pub fn put_text(out: &mut Vec<u8>, text: &str) {
    put_field(out, |out| out.extend_from_slice(text.as_bytes()));
}

/// A column by its type.
enum Column<'a> {
    Binary(&'a BinaryArray),
    Text(&'a StringArray),
    Boolean(&'a BooleanArray),
    Int8(&'a PrimitiveArray<Int8Type>),
    Int16(&'a PrimitiveArray<Int16Type>),
    Int32(&'a PrimitiveArray<Int32Type>),
    Int64(&'a PrimitiveArray<Int64Type>),
    Float32(&'a PrimitiveArray<Float32Type>),
    Float64(&'a PrimitiveArray<Float64Type>),
    Decimal(&'a PrimitiveArray<Decimal128Type>),
    Timestamp(&'a PrimitiveArray<TimestampMillisecondType>),
    List(&'a ListArray, Box<Self>),
}

impl<'a> Column<'a> {
    fn new(array: &'a dyn Array) -> Result<Self, ArrowError> {
        Ok(match array.data_type() {
            DataType::Binary => Self::Binary(array.as_binary()),
            DataType::Utf8 => Self::Text(array.as_string()),
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Int8 => Self::Int8(array.as_primitive()),
            DataType::Int16 => Self::Int16(array.as_primitive()),
            DataType::Int32 => Self::Int32(array.as_primitive()),
            DataType::Int64 => Self::Int64(array.as_primitive()),
            DataType::Float32 => Self::Float32(array.as_primitive()),
            DataType::Float64 => Self::Float64(array.as_primitive()),
            DataType::Decimal128(..) => Self::Decimal(array.as_primitive()),
            DataType::Timestamp(TimeUnit::Millisecond, _) => Self::Timestamp(array.as_primitive()),
            DataType::List(_) => {
                let lists: &ListArray = array.as_list();
                Self::List(lists, Box::new(Self::new(lists.values())?))
            }
            other => return Err(ArrowError::CsvError(format!("no column has the type {other}"))),
        })
    }

    fn is_null(&self, at: usize) -> bool {
        match self {
            Self::Binary(array) => array.is_null(at),
            Self::Text(array) => array.is_null(at),
            Self::Boolean(array) => array.is_null(at),
            Self::Int8(array) => array.is_null(at),
            Self::Int16(array) => array.is_null(at),
            Self::Int32(array) => array.is_null(at),
            Self::Int64(array) => array.is_null(at),
            Self::Float32(array) => array.is_null(at),
            Self::Float64(array) => array.is_null(at),
            Self::Decimal(array) => array.is_null(at),
            Self::Timestamp(array) => array.is_null(at),
            Self::List(array, _) => array.is_null(at),
        }
    }

    /// Appends a field.
    fn put(&self, out: &mut Vec<u8>, at: usize) {
        if self.is_null(at) {
            return;
        }
        match self {
            Self::Binary(array) => put_field(out, |out| put_binary(out, array.value(at))),
            Self::Text(array) => put_text(out, array.value(at)),
            Self::List(array, values) => put_field(out, |out| {
                let offsets = array.value_offsets();
                let bound = |at: usize| offsets.get(at).map_or(0, |end| usize::try_from(*end).unwrap_or(0));
                out.push(b'[');
                for (i, at) in (bound(at)..bound(at + 1)).enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    values.put_json(out, at);
                }
                out.push(b']');
            }),
            _ => self.put_number(out, at),
        }
    }

    /// Appends a value of a JSON array.
    fn put_json(&self, out: &mut Vec<u8>, at: usize) {
        if self.is_null(at) {
            out.extend_from_slice(b"null");
            return;
        }
        let is_finite = match self {
            Self::Binary(array) => return put_json_text(out, &StringBinary(array.value(at)).to_string()),
            Self::Text(array) => return put_json_text(out, array.value(at)),
            Self::Float32(array) => array.value(at).is_finite(),
            Self::Float64(array) => array.value(at).is_finite(),
            _ => true,
        };
        if is_finite {
            return self.put_number(out, at);
        }
        out.push(b'"');
        self.put_number(out, at);
        out.push(b'"');
    }

    /// Appends a number or a boolean; nothing for other types.
    fn put_number(&self, out: &mut Vec<u8>, at: usize) {
        match self {
            Self::Boolean(array) => {
                out.extend_from_slice(if array.value(at) { b"true" } else { b"false" });
            }
            Self::Int8(array) => put_integer(out, array, at),
            Self::Int16(array) => put_integer(out, array, at),
            Self::Int32(array) => put_integer(out, array, at),
            Self::Int64(array) => put_integer(out, array, at),
            Self::Timestamp(array) => put_integer(out, array, at),
            Self::Float32(array) => put_float(out, array, at, f32::is_infinite),
            Self::Float64(array) => put_float(out, array, at, f64::is_infinite),
            Self::Decimal(array) => put_decimal(out, array.value(at), array.scale()),
            Self::Binary(_) | Self::Text(_) | Self::List(..) => {}
        }
    }
}

/// Appends the digits of an integer.
fn put_integer<T: ArrowPrimitiveType>(out: &mut Vec<u8>, array: &PrimitiveArray<T>, at: usize)
where
    T::Native: Into<i64>,
{
    let value: i64 = array.value(at).into();
    if value < 0 {
        out.push(b'-');
    }
    put_digits(out, value.unsigned_abs());
}

fn put_digits(out: &mut Vec<u8>, mut value: u64) {
    let start = out.len();
    loop {
        // less than ten
        out.push(b'0' + u8::try_from(value % 10).unwrap_or_default());
        value /= 10;
        if value == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

/// Appends a floating-point number. Rust's `Debug` has the fewest digits that are read as the same number.
fn put_float<T: ArrowPrimitiveType>(
    out: &mut Vec<u8>,
    array: &PrimitiveArray<T>,
    at: usize,
    is_infinite: fn(T::Native) -> bool,
) where
    T::Native: Debug + PartialOrd + Default,
{
    let value = array.value(at);
    if is_infinite(value) {
        let is_negative = value < T::Native::default();
        out.extend_from_slice(if is_negative { b"-Infinity" } else { b"Infinity" });
        return;
    }
    // writing to a vector does not fail
    let _ = write!(out, "{value:?}");
}

/// Appends a decimal with `scale` digits after the point.
fn put_decimal(out: &mut Vec<u8>, value: i128, scale: i8) {
    if value < 0 {
        out.push(b'-');
    }
    let scale = usize::try_from(scale).unwrap_or(0);
    let digits = format!("{:0width$}", value.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    out.extend_from_slice(whole.as_bytes());
    if scale > 0 {
        out.push(b'.');
        out.extend_from_slice(fraction.as_bytes());
    }
}

/// Appends a JSON string.
fn put_json_text(out: &mut Vec<u8>, text: &str) {
    // neither strings nor writing to a vector fail
    let _ = serde_json::to_writer(out, text);
}

/// Appends bytes in HBase's printable form.
fn put_binary(out: &mut Vec<u8>, bytes: &[u8]) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'A' + nibble - 10 };
    for &byte in bytes {
        match byte {
            b' '..=b'~' if byte != b'\\' => out.push(byte),
            _ => out.extend_from_slice(&[b'\\', b'x', digit(byte >> 4), digit(byte & 15)]),
        }
    }
}

/// Appends a field of text. It is quoted if it is empty, as a null is not; if it has a comma, a quote or the
/// end of a line; or spaces that a reader might trim.
fn put_field(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    put(out);
    let field = out.get(start..).unwrap_or_default();
    let is_special = |byte: &u8| matches!(byte, b',' | b'"' | b'\n' | b'\r');
    let is_space = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_whitespace() || *byte == 0xb);
    let is_quoted =
        field.is_empty() || is_space(field.first()) || is_space(field.last()) || field.iter().any(is_special);
    if !is_quoted {
        return;
    }
    let field = out.split_off(start);
    out.push(b'"');
    for byte in field {
        if byte == b'"' {
            out.push(b'"');
        }
        out.push(byte);
    }
    out.push(b'"');
}
