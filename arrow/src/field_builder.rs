//! Builders of the columns of a batch.

use crate::value::Value;
use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Decimal128Builder, PrimitiveBuilder, StringBuilder,
    TimestampMillisecondBuilder,
};
use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{ArrayRef, ListArray};
use arrow_schema::{ArrowError, DataType, Field, TimeUnit};
use std::sync::Arc;

/// Builds a column: of values, or of lists of values.
#[derive(Debug)]
pub(crate) struct FieldBuilder {
    values: Values,
    lists: Option<Lists>,
}

/// The ends of lists, and which lists are not null.
#[derive(Debug)]
struct Lists {
    item: Arc<Field>,
    lengths: Vec<usize>,
    valid: Vec<bool>,
}

#[derive(Debug)]
enum Values {
    Binary(BinaryBuilder),
    Text(StringBuilder),
    Boolean(BooleanBuilder),
    Int8(PrimitiveBuilder<Int8Type>),
    Int16(PrimitiveBuilder<Int16Type>),
    Int32(PrimitiveBuilder<Int32Type>),
    Int64(PrimitiveBuilder<Int64Type>),
    Float32(PrimitiveBuilder<Float32Type>),
    Float64(PrimitiveBuilder<Float64Type>),
    Decimal(Decimal128Builder),
    Timestamp(TimestampMillisecondBuilder),
}

impl Values {
    fn new(ty: &DataType) -> Result<Self, ArrowError> {
        Ok(match ty {
            DataType::Binary => Self::Binary(BinaryBuilder::new()),
            DataType::Utf8 => Self::Text(StringBuilder::new()),
            DataType::Boolean => Self::Boolean(BooleanBuilder::new()),
            DataType::Int8 => Self::Int8(PrimitiveBuilder::new()),
            DataType::Int16 => Self::Int16(PrimitiveBuilder::new()),
            DataType::Int32 => Self::Int32(PrimitiveBuilder::new()),
            DataType::Int64 => Self::Int64(PrimitiveBuilder::new()),
            DataType::Float32 => Self::Float32(PrimitiveBuilder::new()),
            DataType::Float64 => Self::Float64(PrimitiveBuilder::new()),
            DataType::Decimal128(..) => Self::Decimal(Decimal128Builder::new().with_data_type(ty.clone())),
            DataType::Timestamp(TimeUnit::Millisecond, zone) => {
                Self::Timestamp(TimestampMillisecondBuilder::new().with_timezone_opt(zone.clone()))
            }
            other => return Err(ArrowError::SchemaError(format!("no column has the type {other}"))),
        })
    }

    fn append(&mut self, value: Value<'_>) -> Result<(), ArrowError> {
        match (self, value) {
            (Self::Binary(to), Value::Bytes(bytes)) => to.append_value(bytes),
            (Self::Text(to), Value::Text(text)) => to.append_value(text),
            (Self::Boolean(to), Value::Boolean(value)) => to.append_value(value),
            (Self::Int8(to), Value::Int8(value)) => to.append_value(value),
            (Self::Int16(to), Value::Int16(value)) => to.append_value(value),
            (Self::Int32(to), Value::Int32(value)) => to.append_value(value),
            (Self::Int64(to), Value::Int64(value)) => to.append_value(value),
            (Self::Float32(to), Value::Float32(value)) => to.append_value(value),
            (Self::Float64(to), Value::Float64(value)) => to.append_value(value),
            (Self::Decimal(to), Value::Decimal(value)) => to.append_value(value),
            (Self::Timestamp(to), Value::Int64(value)) => to.append_value(value),
            (to, Value::Null) => to.append_null(),
            (_, value) => {
                return Err(ArrowError::SchemaError(format!("a column of another type than {value:?}")));
            }
        }
        Ok(())
    }

    fn append_null(&mut self) {
        match self {
            Self::Binary(to) => to.append_null(),
            Self::Text(to) => to.append_null(),
            Self::Boolean(to) => to.append_null(),
            Self::Int8(to) => to.append_null(),
            Self::Int16(to) => to.append_null(),
            Self::Int32(to) => to.append_null(),
            Self::Int64(to) => to.append_null(),
            Self::Float32(to) => to.append_null(),
            Self::Float64(to) => to.append_null(),
            Self::Decimal(to) => to.append_null(),
            Self::Timestamp(to) => to.append_null(),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Binary(of) => Arc::new(of.finish()),
            Self::Text(of) => Arc::new(of.finish()),
            Self::Boolean(of) => Arc::new(of.finish()),
            Self::Int8(of) => Arc::new(of.finish()),
            Self::Int16(of) => Arc::new(of.finish()),
            Self::Int32(of) => Arc::new(of.finish()),
            Self::Int64(of) => Arc::new(of.finish()),
            Self::Float32(of) => Arc::new(of.finish()),
            Self::Float64(of) => Arc::new(of.finish()),
            Self::Decimal(of) => Arc::new(of.finish()),
            Self::Timestamp(of) => Arc::new(of.finish()),
        }
    }
}

impl FieldBuilder {
    /// A builder of a field of the schema.
    pub(crate) fn new(field: &Field) -> Result<Self, ArrowError> {
        Ok(match field.data_type() {
            DataType::List(item) => Self {
                values: Values::new(item.data_type())?,
                lists: Some(Lists { item: Arc::clone(item), lengths: Vec::new(), valid: Vec::new() }),
            },
            ty => Self { values: Values::new(ty)?, lists: None },
        })
    }

    /// Appends a value of a row: the only one, or one more of the list that [`end_row`](Self::end_row) ends.
    pub(crate) fn append(&mut self, value: Value<'_>) -> Result<(), ArrowError> {
        self.values.append(value)
    }

    /// Ends a row of which `count` values were appended. Without any, the row is null.
    pub(crate) fn end_row(&mut self, count: usize) {
        match &mut self.lists {
            Some(lists) => {
                lists.lengths.push(count);
                lists.valid.push(count > 0);
            }
            None if count == 0 => self.values.append_null(),
            None => {}
        }
    }

    /// Returns the column, and begins the next one.
    pub(crate) fn finish(&mut self) -> Result<ArrayRef, ArrowError> {
        let values = self.values.finish();
        let Some(lists) = &mut self.lists else { return Ok(values) };
        let offsets = arrow_buffer::OffsetBuffer::from_lengths(lists.lengths.drain(..));
        let valid = arrow_buffer::NullBuffer::from(std::mem::take(&mut lists.valid));
        Ok(Arc::new(ListArray::try_new(Arc::clone(&lists.item), offsets, values, Some(valid))?))
    }
}
