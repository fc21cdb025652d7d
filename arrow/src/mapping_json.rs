//! Mappings as JSON.

use crate::error::{Error, Result};
use crate::mapping::{Column, Invalid, KeyPart, Mapping, RowKey};
use hregion::cell::{StringBinary, from_string_binary};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fmt;

impl Mapping {
    /// Parses a mapping, for example
    /// `{"row":{"name":"id","type":"utf8"},"columns":[{"column":"cf:q","type":"long"}]}`.
    ///
    /// - `row`: `{"name","type"}`, `{"separator","parts":[{"name","type"}]}`, or
    ///   `{"parts":[{"name","type","width"}]}`, where the last may have no width; by default the column
    ///   `row`, of type `binary`;
    /// - `columns`: `{"column":"family:qualifier","type","name","versions","timestamp"}`, of which the last
    ///   three may be absent;
    /// - `invalid`: `"error"` or `"null"`, by default `"error"`.
    ///
    /// # Errors
    ///
    /// If the text is not such a document, or has other members, or a member twice.
    pub fn from_json(text: &str) -> Result<Self> {
        let wrong = |error: serde_json::Error| Error::mapping(error.to_string());
        serde_json::from_str::<Unique>(text).map_err(wrong)?;
        let value: Value = serde_json::from_str(text).map_err(wrong)?;
        let mut members = Members::of("the mapping", value)?;
        let row = match members.take("row") {
            Some(row) => row_of(row)?,
            None => RowKey::whole(crate::ValueType::Binary),
        };
        let Some(Value::Array(columns)) = members.take("columns") else {
            return Err(Error::mapping("the mapping: expected an array \"columns\""));
        };
        let columns = columns.into_iter().map(column_of).collect::<Result<_>>()?;
        let invalid = match members.text("invalid")?.as_deref() {
            None | Some("error") => Invalid::Error,
            Some("null") => Invalid::Null,
            Some(other) => {
                return Err(Error::mapping(format!("\"invalid\": expected error or null, not {other:?}")));
            }
        };
        members.end()?;
        Ok(Self::new(row, columns)?.on_invalid(invalid))
    }

    /// Returns the mapping as [`from_json`](Self::from_json) reads it.
    #[must_use]
    pub fn to_json(&self) -> String {
        let part = |part: &KeyPart| json!({ "name": part.name, "type": part.ty.to_string() });
        let row = match &self.row {
            RowKey::Whole(whole) => part(whole),
            RowKey::Separated { separator, parts } => json!({
                "separator": StringBinary(separator).to_string(),
                "parts": parts.iter().map(part).collect::<Vec<_>>(),
            }),
            RowKey::Widths { parts, rest } => {
                let with_width = |(whole, width): &(KeyPart, usize)| {
                    let ty = whole.ty.to_string();
                    json!({ "name": whole.name, "type": ty, "width": width })
                };
                let parts: Vec<_> = parts.iter().map(with_width).chain(rest.iter().map(part)).collect();
                json!({ "parts": parts })
            }
        };
        let column = |column: &Column| {
            let (family, qualifier) = (StringBinary(&column.family), StringBinary(&column.qualifier));
            json!({
                "column": format!("{family}:{qualifier}"),
                "name": column.name,
                "type": column.ty.to_string(),
                "versions": column.versions,
                "timestamp": column.timestamp,
            })
        };
        let columns: Vec<Value> = self.columns.iter().map(column).collect();
        let invalid = if self.invalid == Invalid::Null { "null" } else { "error" };
        json!({ "row": row, "columns": columns, "invalid": invalid }).to_string()
    }
}

fn row_of(value: Value) -> Result<RowKey> {
    let mut members = Members::of("\"row\"", value)?;
    let separator = members.text("separator")?;
    let Some(parts) = members.take("parts") else {
        let part = members.part()?;
        members.end()?;
        return match separator {
            None => Ok(RowKey::Whole(part)),
            Some(_) => Err(Error::mapping("\"row\": a separator without \"parts\"")),
        };
    };
    members.end()?;
    let Value::Array(parts) = parts else {
        return Err(Error::mapping("\"parts\": expected an array"));
    };
    let mut read = Vec::new();
    for value in parts {
        let mut members = Members::of("a part of the row key", value)?;
        let width = match members.take("width") {
            None => None,
            Some(width) => match width.as_u64().and_then(|width| usize::try_from(width).ok()) {
                Some(width) if width > 0 => Some(width),
                _ => return Err(Error::mapping("\"width\": expected a number of bytes above 0")),
            },
        };
        read.push((members.part()?, width));
        members.end()?;
    }
    if let Some(separator) = separator {
        if read.iter().any(|(_, width)| width.is_some()) {
            return Err(Error::mapping("\"row\": a separator and a \"width\""));
        }
        let parts = read.into_iter().map(|(part, _)| part).collect();
        return Ok(RowKey::Separated { separator: from_string_binary(&separator), parts });
    }
    let rest = read.pop_if(|(_, width)| width.is_none()).map(|(part, _)| part);
    let with_width = |(part, width): (KeyPart, Option<usize>)| {
        width.map(|width| (part, width)).ok_or_else(|| {
            Error::mapping("\"row\": expected a separator, or a \"width\" for all parts but the last")
        })
    };
    let parts = read.into_iter().map(with_width).collect::<Result<_>>()?;
    Ok(RowKey::Widths { parts, rest })
}

fn column_of(value: Value) -> Result<Column> {
    let mut members = Members::of("a column", value)?;
    let (column, ty) = (members.text("column")?, members.text("type")?);
    let (Some(column), Some(ty)) = (column, ty) else {
        return Err(Error::mapping("a column: expected \"column\" and \"type\""));
    };
    let Some((family, qualifier)) = column.split_once(':').filter(|(family, _)| !family.is_empty()) else {
        return Err(Error::mapping(format!("{column:?}: expected family:qualifier")));
    };
    let mut read = Column::new(from_string_binary(family), from_string_binary(qualifier), ty.parse()?);
    if let Some(name) = members.text("name")? {
        read = read.named(name);
    }
    read = read.versions(members.flag("versions")?).timestamp(members.flag("timestamp")?);
    members.end()?;
    Ok(read)
}

/// A value without duplicate members in objects: a [`Value`] would keep the last one. It is not parsed as a
/// [`Value`], because a number is a map there if any crate of the program makes `serde_json` keep all digits.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Self, A::Error> {
        while values.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        let mut names = BTreeSet::new();
        while let Some((name, _)) = members.next_entry::<String, Self>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format!("{name:?} is given twice")));
            }
            names.insert(name);
        }
        Ok(self)
    }
}

/// The members of an object, each read once.
struct Members {
    of: &'static str,
    members: Map<String, Value>,
}

impl Members {
    fn of(of: &'static str, value: Value) -> Result<Self> {
        match value {
            Value::Object(members) => Ok(Self { of, members }),
            _ => Err(Error::mapping(format!("{of}: expected an object"))),
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        self.members.shift_remove(name)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Error::mapping(format!("{:?}: expected a string", name))),
        }
    }

    fn flag(&mut self, name: &str) -> Result<bool> {
        match self.take(name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(Error::mapping(format!("{:?}: expected true or false", name))),
        }
    }

    fn part(&mut self) -> Result<KeyPart> {
        match (self.text("name")?, self.text("type")?) {
            (Some(name), Some(ty)) => Ok(KeyPart::new(name, ty.parse()?)),
            _ => Err(Error::mapping(format!("{}: expected \"name\" and \"type\"", self.of))),
        }
    }

    /// Fails if some members were not read.
    fn end(self) -> Result<()> {
        match self.members.keys().next() {
            None => Ok(()),
            Some(name) => Err(Error::mapping(format!("{}: {name:?} is not a member of it", self.of))),
        }
    }
}
