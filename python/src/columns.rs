//! The arguments that select columns, and map them to record batches.

use crate::arguments::{Bytes, Column, is_bytes, pairs_of};
use crate::error::{Failure, Result};
use hregion_arrow::{Column as MappedColumn, Invalid, Layout, Mapping, RowKey};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

/// The selected columns, and their mapping to record batches.
pub(crate) struct Columns {
    pub(crate) selected: Vec<Column>,
    pub(crate) layout: Layout,
}

/// Reads `columns` (a sequence of names, or a dict of names and types) or `mapping` (a dict or JSON text).
pub(crate) fn columns_of(
    columns: Option<Bound<'_, PyAny>>,
    mapping: Option<Bound<'_, PyAny>>,
    row_key: Option<&str>,
    invalid: Option<&str>,
) -> Result<Columns> {
    let invalid = match invalid {
        None => None,
        Some("error") => Some(Invalid::Error),
        Some("null") => Some(Invalid::Null),
        Some(other) => {
            return Err(Failure::argument(format!("invalid={other:?}: expected \"error\" or \"null\"")));
        }
    };
    let mapped = |mapping: Mapping| {
        let mapping = match invalid {
            Some(invalid) => mapping.on_invalid(invalid),
            None => mapping,
        };
        Ok(Columns { selected: Vec::new(), layout: Layout::Columns(mapping) })
    };
    if let Some(mapping) = mapping {
        if columns.is_some() || row_key.is_some() {
            return Err(Failure::argument("a mapping has the columns and the row key"));
        }
        let text = match mapping.cast::<PyString>() {
            Ok(text) => text.to_str()?.to_owned(),
            Err(_) => json_of(&mapping)?,
        };
        return mapped(Mapping::from_json(&text)?);
    }
    if let Some(types) = columns.as_ref().map(pairs_of).transpose()?.flatten() {
        let mut columns = Vec::with_capacity(types.len());
        for (name, ty) in types {
            columns.push(MappedColumn::parse(&format!(
                "{}={}",
                name.extract::<String>()?,
                ty.extract::<String>()?
            ))?);
        }
        let row = RowKey::whole(row_key.unwrap_or("binary").parse()?);
        return mapped(Mapping::new(row, columns)?);
    }
    if row_key.is_some() || invalid.is_some() {
        return Err(Failure::argument("row_key and invalid need columns with types, or a mapping"));
    }
    Ok(Columns { selected: names_of(columns)?, layout: Layout::Cells })
}

/// Returns the JSON text of a dict, or of another mapping, which Python's `json` cannot write directly.
fn json_of(mapping: &Bound<'_, PyAny>) -> PyResult<String> {
    let mut object = mapping.clone();
    if let Some(pairs) = pairs_of(mapping)? {
        let members = PyDict::new(mapping.py());
        for (name, member) in pairs {
            members.set_item(name, member)?;
        }
        object = members.into_any();
    }
    mapping.py().import("json")?.call_method1("dumps", (object,))?.extract()
}

pub(crate) fn names_of(columns: Option<Bound<'_, PyAny>>) -> Result<Vec<Column>> {
    let Some(columns) = columns else { return Ok(Vec::new()) };
    if is_bytes(&columns) {
        return Ok(vec![Column::from(columns.extract::<Bytes>()?)]);
    }
    let mut names = Vec::new();
    for column in columns.try_iter()? {
        names.push(Column::from(column?.extract::<Bytes>()?));
    }
    if names.is_empty() {
        return Err(Failure::argument("columns is empty: leave it out for all columns"));
    }
    Ok(names)
}
