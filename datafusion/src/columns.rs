//! The columns of the SQL table, and their sources.

use hregion_arrow::{Invalid, Layout, Mapping, ValueType};

/// The source of a column of the SQL table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    /// A part of the row key, and its type.
    Part(usize, ValueType),
    /// A column of the mapping.
    Column(usize),
    /// The timestamps of a column of the mapping.
    ColumnTimestamp(usize),
    /// The family of a cell, in a table of cells.
    Family,
    Qualifier,
    Timestamp,
    /// A column without predicates that the reader applies.
    Other,
}

/// Returns the columns, in the order of the layout's schema.
pub(crate) fn fields_of(layout: &Layout) -> Vec<Field> {
    let Layout::Columns(mapping) = layout else {
        let row = Field::Part(0, ValueType::Binary);
        return vec![row, Field::Family, Field::Qualifier, Field::Timestamp, Field::Other, Field::Other];
    };
    let parts = mapping.row().parts().into_iter().enumerate();
    let mut fields: Vec<Field> = parts.map(|(at, part)| Field::Part(at, part.value_type())).collect();
    for (at, column) in mapping.columns().iter().enumerate() {
        fields.push(Field::Column(at));
        if column.has_timestamp() {
            fields.push(Field::ColumnTimestamp(at));
        }
    }
    fields
}

/// Returns the mapping of a table, if it has one.
pub(crate) fn mapping_of(layout: &Layout) -> Option<&Mapping> {
    match layout {
        Layout::Columns(mapping) => Some(mapping),
        _ => None,
    }
}

/// Whether a value that does not have its type is null.
pub(crate) fn invalid_is_null(mapping: &Mapping) -> bool {
    mapping.invalid() == Invalid::Null
}
