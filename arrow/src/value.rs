//! Values as HBase encodes them (`Bytes`), decoded.

use crate::decimal::{Unscaled, rescale};
use crate::ordered;
use crate::value_type::{DecimalType, ValueType};
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// A decoded value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value<'b> {
    Null,
    Bytes(Cow<'b, [u8]>),
    Text(Cow<'b, str>),
    Boolean(bool),
    Int8(i8),
    Int16(i16),
    Int32(i32),
    /// Also the milliseconds of a timestamp.
    Int64(i64),
    Float32(f32),
    Float64(f64),
    /// With the scale of the type.
    Decimal(i128),
}

/// Decodes a value, all of its bytes. Returns `None` if it does not have the type.
pub(crate) fn decode(ty: ValueType, bytes: &[u8]) -> Option<Value<'_>> {
    Some(match ty {
        ValueType::Binary => Value::Bytes(bytes.into()),
        ValueType::Utf8 => Value::Text(std::str::from_utf8(bytes).ok()?.into()),
        ValueType::Json => {
            serde_json::from_slice::<IgnoredAny>(bytes).ok()?;
            Value::Text(std::str::from_utf8(bytes).ok()?.into())
        }
        ValueType::Boolean => match bytes {
            [byte] => Value::Boolean(*byte != 0),
            _ => return None,
        },
        ValueType::Byte => Value::Int8(i8::from_be_bytes(bytes.try_into().ok()?)),
        ValueType::Short => Value::Int16(i16::from_be_bytes(bytes.try_into().ok()?)),
        ValueType::Int => Value::Int32(i32::from_be_bytes(bytes.try_into().ok()?)),
        ValueType::Long | ValueType::Timestamp => Value::Int64(i64::from_be_bytes(bytes.try_into().ok()?)),
        ValueType::Float => Value::Float32(f32::from_be_bytes(bytes.try_into().ok()?)),
        ValueType::Double => Value::Float64(f64::from_be_bytes(bytes.try_into().ok()?)),
        ValueType::Decimal(decimal) => Value::Decimal(decode_decimal(decimal, bytes)?),
        ValueType::Ordered(ordered) => match ordered::decode(ordered, bytes)? {
            (value, []) => value,
            _ => return None,
        },
    })
}

/// Decodes a scale of four bytes and an unscaled integer (`Bytes.toBigDecimal`).
fn decode_decimal(decimal: DecimalType, bytes: &[u8]) -> Option<i128> {
    let (scale, unscaled) = bytes.split_first_chunk::<4>()?;
    let unscaled = Unscaled::from_big_endian(unscaled)?;
    rescale(unscaled, i64::from(i32::from_be_bytes(*scale)), decimal)
}
