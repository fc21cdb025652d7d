//! The members of a request.

use crate::answer::NoAnswer;
use hregion::cell::{MAX_FAMILY_LEN, MAX_ROW_LEN, from_string_binary};
use hregion::{CellType, SeekKey};
use serde_json::{Map, Value};

/// The maximum number of entries, headers or cells of an answer.
const MAX_ITEMS: usize = 1000;

/// A family and a qualifier.
pub(crate) type Column = (Vec<u8>, Vec<u8>);

/// A request, which is an object.
#[derive(Debug)]
pub(crate) struct Request(Map<String, Value>);

impl Request {
    pub(crate) fn parse(text: &str) -> Result<Self, NoAnswer> {
        serde_json::from_str(text).map(Self).map_err(|error| NoAnswer::Request(error.to_string()))
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Result<&str, NoAnswer> {
        self.0.get(name).and_then(Value::as_str).ok_or_else(|| wrong(name, "a string"))
    }

    /// Returns a flag, which is false by default.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, NoAnswer> {
        if !self.has(name) {
            return Ok(false);
        }
        self.0.get(name).and_then(Value::as_bool).ok_or_else(|| wrong(name, "true or false"))
    }

    /// Returns a number, or `default` if it is missing.
    pub(crate) fn number(&self, name: &str, default: u64) -> Result<u64, NoAnswer> {
        if !self.has(name) {
            return Ok(default);
        }
        self.0.get(name).and_then(Value::as_u64).ok_or_else(|| wrong(name, "a number that is not negative"))
    }

    /// Returns the number of an index, or of items.
    pub(crate) fn count(&self, name: &str, default: usize) -> Result<usize, NoAnswer> {
        let number = self.number(name, u64::try_from(default).unwrap_or(u64::MAX))?;
        Ok(usize::try_from(number).unwrap_or(usize::MAX))
    }

    /// Returns the maximum number of items in an answer.
    pub(crate) fn limit(&self) -> Result<usize, NoAnswer> {
        Ok(self.count("limit", 100)?.clamp(1, MAX_ITEMS))
    }

    /// Returns a row.
    pub(crate) fn row(&self) -> Result<Vec<u8>, NoAnswer> {
        row_of(self.text("row")?)
    }

    /// Returns the family and qualifier of a column, if it is given. A name without a colon is a family.
    pub(crate) fn column(&self) -> Result<Option<Column>, NoAnswer> {
        if !self.has("column") {
            return Ok(None);
        }
        let column = self.text("column")?;
        let (family, qualifier) = column.split_once(':').unwrap_or((column, ""));
        Ok(Some((family_of(family)?, from_string_binary(qualifier))))
    }

    /// Returns a key, in the form used by answers.
    pub(crate) fn key(&self, name: &str) -> Result<SeekKey, NoAnswer> {
        let key = self.0.get(name).and_then(Value::as_object).ok_or_else(|| wrong(name, "a key"))?;
        let text = |member: &str| {
            let text = key.get(member).and_then(Value::as_str);
            text.ok_or_else(|| wrong(&format!("{name}.{member}"), "a string"))
        };
        let timestamp = key.get("timestamp").and_then(Value::as_i64);
        let timestamp = timestamp.or_else(|| text("timestamp").ok()?.parse().ok());
        let timestamp = timestamp.ok_or_else(|| wrong("timestamp", "a number"))?;
        let cell_type =
            CellType::from_name(text("type")?).ok_or_else(|| wrong("type", "the type of a cell"))?;
        let (row, family) = (row_of(text("row")?)?, family_of(text("family")?)?);
        Ok(SeekKey::of(&row, &family, &from_string_binary(text("qualifier")?), timestamp, cell_type))
    }

    /// Returns the numbers of the entries that lead to an index block.
    pub(crate) fn path(&self) -> Result<Vec<usize>, NoAnswer> {
        let Some(path) = self.0.get("path") else { return Ok(Vec::new()) };
        let path = path.as_array().ok_or_else(|| wrong("path", "a list of numbers"))?;
        let number = |entry: &Value| entry.as_u64().and_then(|entry| usize::try_from(entry).ok());
        path.iter().map(number).collect::<Option<_>>().ok_or_else(|| wrong("path", "a list of numbers"))
    }
}

fn wrong(name: &str, expected: &str) -> NoAnswer {
    NoAnswer::Request(format!("{name}: expected {expected}"))
}

/// Parses a row, and checks the length, which the library asserts.
fn row_of(text: &str) -> Result<Vec<u8>, NoAnswer> {
    bounded("row", text, MAX_ROW_LEN)
}

fn family_of(text: &str) -> Result<Vec<u8>, NoAnswer> {
    bounded("family", text, MAX_FAMILY_LEN)
}

fn bounded(what: &str, text: &str, most: usize) -> Result<Vec<u8>, NoAnswer> {
    let bytes = from_string_binary(text);
    if bytes.len() > most {
        return Err(NoAnswer::Request(format!("a {what} of {} bytes, expected {most} at most", bytes.len())));
    }
    Ok(bytes)
}
