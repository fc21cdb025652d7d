//! The columns of record batches.

use crate::mapping::Mapping;
use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};
use hregion::Scan;
use std::collections::HashMap;
use std::sync::Arc;

/// The content of a row of a record batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Layout {
    /// A cell: `row`, `family`, `qualifier` (`Binary`), `timestamp` in milliseconds (`Int64`), `type`
    /// (`Utf8`, `Put` or the type of a delete marker), `value` (`Binary`).
    #[default]
    Cells,
    /// A row, with columns as mapped.
    Columns(Mapping),
}

/// The source of a field's values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Row,
    Family,
    Qualifier,
    Timestamp,
    Type,
    Value,
    /// A part of the row key.
    Part(usize),
    /// The values of a column.
    Column(usize),
    /// The timestamps of a column.
    ColumnTimestamp(usize),
}

impl Layout {
    /// Returns the schema.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        Arc::new(Schema::new(self.fields().into_iter().map(|(field, _)| field).collect::<Vec<_>>()))
    }

    /// Narrows a scan to the columns of the layout: with mapped columns, as [`Mapping::select`].
    #[must_use]
    pub fn select(&self, scan: Scan) -> Scan {
        match self {
            Self::Cells => scan,
            Self::Columns(mapping) => mapping.select(scan),
        }
    }

    pub(crate) fn fields(&self) -> Vec<(Field, Source)> {
        let mapping = match self {
            Self::Columns(mapping) => mapping,
            Self::Cells => {
                return vec![
                    (Field::new("row", DataType::Binary, false), Source::Row),
                    (Field::new("family", DataType::Binary, false), Source::Family),
                    (Field::new("qualifier", DataType::Binary, false), Source::Qualifier),
                    (Field::new("timestamp", DataType::Int64, false), Source::Timestamp),
                    (Field::new("type", DataType::Utf8, false), Source::Type),
                    (Field::new("value", DataType::Binary, false), Source::Value),
                ];
            }
        };
        let mut fields = Vec::new();
        for (i, part) in mapping.row.parts().into_iter().enumerate() {
            // a value in an ordered encoding may be null
            let field =
                Field::new(&part.name, part.ty.data_type(), matches!(part.ty, crate::ValueType::Ordered(_)));
            fields.push((with_extension(field, part.ty), Source::Part(i)));
        }
        let shaped = |ty: DataType, is_list: bool| match is_list {
            true => DataType::List(Arc::new(Field::new_list_field(ty, true))),
            false => ty,
        };
        for (i, column) in mapping.columns.iter().enumerate() {
            let field = Field::new(&column.name, shaped(column.ty.data_type(), column.versions), true);
            fields.push((with_extension(field, column.ty), Source::Column(i)));
            if column.timestamp {
                let time = DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()));
                let field = Field::new(column.timestamp_name(), shaped(time, column.versions), true);
                fields.push((field, Source::ColumnTimestamp(i)));
            }
        }
        fields
    }
}

/// Names the extension type of JSON.
fn with_extension(field: Field, ty: crate::ValueType) -> Field {
    match (ty, field.data_type()) {
        (crate::ValueType::Json, DataType::Utf8) => {
            let name = ("ARROW:extension:name".to_owned(), "arrow.json".to_owned());
            field.with_metadata(HashMap::from([name]))
        }
        _ => field,
    }
}
