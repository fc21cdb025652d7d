//! The rows of SQL tables, computed from the cells of an ordinary scan.

use hregion::{RowRef, Scan, Table};
use hregion_arrow::{Layout, Mapping, RowKey, ValueType};
use std::cmp::Ordering;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    Bool(bool),
    /// A value that is not compared.
    Opaque,
}

/// How queries use a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Int,
    Text,
    Bytes,
    Bool,
    /// Milliseconds, in Arrow a timestamp.
    Time,
    Opaque,
}

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) columns: Vec<(String, Kind)>,
    pub(crate) rows: Vec<Vec<Value>>,
}

impl Value {
    pub(crate) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Int(a), Self::Int(b)) => Some(a.cmp(b)),
            (Self::Text(a), Self::Text(b)) => Some(a.cmp(b)),
            (Self::Bytes(a), Self::Bytes(b)) => Some(a.cmp(b)),
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            _ => None,
        }
    }

    /// Returns the text that Arrow displays.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Null => "NULL".into(),
            Self::Int(value) => value.to_string(),
            Self::Text(text) => format!("'{text}'"),
            Self::Bytes(bytes) => bytes.iter().map(|byte| format!("{byte:02x}")).collect(),
            Self::Bool(value) => value.to_string(),
            Self::Opaque => "?".into(),
        }
    }
}

fn kind_of(ty: ValueType) -> Kind {
    match ty {
        ValueType::Byte | ValueType::Short | ValueType::Int | ValueType::Long => Kind::Int,
        ValueType::Utf8 | ValueType::Json => Kind::Text,
        ValueType::Binary => Kind::Bytes,
        ValueType::Boolean => Kind::Bool,
        ValueType::Timestamp => Kind::Time,
        _ => Kind::Opaque,
    }
}

/// Returns a value; `None` if the bytes do not have the type.
fn value_of(ty: ValueType, bytes: &[u8]) -> Option<Value> {
    let width = |width: usize| (bytes.len() == width).then_some(());
    let int = || {
        let sign = if bytes[0] & 0x80 == 0 { 0 } else { -1 };
        Value::Int(bytes.iter().fold(sign, |value, byte| value << 8 | i64::from(*byte)))
    };
    match ty {
        ValueType::Byte => width(1).map(|()| int()),
        ValueType::Short => width(2).map(|()| int()),
        ValueType::Int => width(4).map(|()| int()),
        ValueType::Long | ValueType::Timestamp => width(8).map(|()| int()),
        ValueType::Json if serde_json::from_slice::<serde_json::Value>(bytes).is_err() => None,
        ValueType::Utf8 | ValueType::Json => String::from_utf8(bytes.to_vec()).ok().map(Value::Text),
        ValueType::Binary => Some(Value::Bytes(bytes.to_vec())),
        ValueType::Boolean => width(1).map(|()| Value::Bool(bytes[0] != 0)),
        ValueType::Double => width(8).map(|()| Value::Opaque),
        ValueType::Ordered(_) if bytes.len() == 3 => None,
        _ => Some(Value::Opaque),
    }
}

/// Splits a row key at the first separators after numbers, or at widths.
fn parts_of(row: &RowKey, key: &[u8]) -> Vec<Value> {
    let types: Vec<ValueType> = row.parts().iter().map(|part| part.value_type()).collect();
    let mut cut: Vec<Vec<u8>> = Vec::new();
    let mut left = key.to_vec();
    match row {
        RowKey::Separated { separator, .. } => {
            while cut.len() + 1 < types.len() {
                let least = types[cut.len()].width().unwrap_or(0);
                let at = (least..left.len()).find(|at| left[*at..].starts_with(separator)).unwrap();
                cut.push(left[..at].to_vec());
                left.drain(..at + separator.len());
            }
            cut.push(left);
        }
        RowKey::Widths { parts, rest } => {
            for (_, width) in parts {
                cut.push(left.drain(..width).collect());
            }
            cut.extend(rest.iter().map(|_| left.clone()));
        }
        _ => cut.push(left),
    }
    cut.iter().zip(types).map(|(part, ty)| value_of(ty, part).unwrap()).collect()
}

impl Model {
    pub(crate) fn empty() -> Self {
        Self { columns: Vec::new(), rows: Vec::new() }
    }

    pub(crate) fn of(table: &Table, layout: &Layout) -> Self {
        let mut rows = Vec::new();
        let mut scanner = table.scan(Scan::new()).unwrap();
        while let Some(row) = scanner.next_row().unwrap() {
            match layout {
                Layout::Columns(mapping) => rows.extend(mapped(mapping, row)),
                _ => rows.extend(row.cells().map(|cell| {
                    vec![
                        Value::Bytes(cell.row().to_vec()),
                        Value::Bytes(cell.family().to_vec()),
                        Value::Bytes(cell.qualifier().to_vec()),
                        Value::Int(cell.timestamp()),
                        Value::Text(cell.cell_type().name().to_owned()),
                        Value::Bytes(cell.value().to_vec()),
                    ]
                })),
            }
        }
        let columns = match layout {
            Layout::Columns(mapping) => columns_of(mapping),
            _ => {
                let kinds = [Kind::Bytes, Kind::Bytes, Kind::Bytes, Kind::Int, Kind::Text, Kind::Bytes];
                let names = ["row", "family", "qualifier", "timestamp", "type", "value"];
                names.iter().map(|name| (*name).to_owned()).zip(kinds).collect()
            }
        };
        Self { columns, rows }
    }
}

fn columns_of(mapping: &Mapping) -> Vec<(String, Kind)> {
    let parts = mapping.row().parts().into_iter();
    let mut columns: Vec<_> =
        parts.map(|part| (part.name().to_owned(), kind_of(part.value_type()))).collect();
    for column in mapping.columns() {
        let kind = if column.has_versions() { Kind::Opaque } else { kind_of(column.value_type()) };
        columns.push((column.name().to_owned(), kind));
        if column.has_timestamp() {
            let kind = if column.has_versions() { Kind::Opaque } else { Kind::Time };
            columns.push((format!("{}_timestamp", column.name()), kind));
        }
    }
    columns
}

/// Returns the row of a mapping; `None` if it has none of the columns.
fn mapped(mapping: &Mapping, row: RowRef<'_>) -> Option<Vec<Value>> {
    let mut values = parts_of(mapping.row(), row.key());
    let mut has_any = false;
    for column in mapping.columns() {
        let found = row
            .cells()
            .find(|cell| cell.family() == column.family() && cell.qualifier() == column.qualifier());
        has_any |= found.is_some();
        values.push(match &found {
            None => Value::Null,
            Some(_) if column.has_versions() => Value::Opaque,
            Some(cell) => value_of(column.value_type(), cell.value()).unwrap_or(Value::Null),
        });
        if column.has_timestamp() {
            values.push(match &found {
                None => Value::Null,
                Some(_) if column.has_versions() => Value::Opaque,
                Some(cell) => Value::Int(cell.timestamp()),
            });
        }
    }
    has_any.then_some(values)
}
