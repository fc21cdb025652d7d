//! Columns in the shell's syntax: `family`, `family:`, `family:qualifier`.

use super::session::Stop;
use super::value::Value;

/// A family and, for a column, its qualifier.
pub(super) type Column = (Vec<u8>, Option<Vec<u8>>);

/// Parses a column to read. An empty qualifier selects the family.
pub(super) fn read_column(value: &Value) -> Result<Column, Stop> {
    let (family, qualifier) = column(value)?;
    if let Some(converter) = qualifier.as_deref().and_then(converter) {
        return Err(Stop::At(value.at, format!("converters as {converter} are not supported")));
    }
    Ok((family, qualifier.filter(|qualifier| !qualifier.is_empty())))
}

/// Parses a column to write. Without a qualifier, the qualifier is empty.
pub(super) fn written_column(value: &Value) -> Result<(Vec<u8>, Vec<u8>), Stop> {
    let (family, qualifier) = column(value)?;
    Ok((family, qualifier.unwrap_or_default()))
}

/// Parses a column: with a qualifier if there is a colon.
pub(super) fn column(value: &Value) -> Result<Column, Stop> {
    let bytes = value.bytes("a column as 'family:qualifier'")?;
    let (family, qualifier) = match bytes.iter().position(|&byte| byte == b':') {
        Some(colon) => (&bytes[..colon], Some(bytes[colon + 1..].to_vec())),
        None => (&bytes[..], None),
    };
    if family.is_empty() {
        return Err(Stop::At(value.at, "expected a column as 'family:qualifier'".into()));
    }
    Ok((family.to_vec(), qualifier))
}

/// Returns the suffix that HBase's shell interprets as a converter: `:toInt`, `:c(Class).method`.
fn converter(qualifier: &[u8]) -> Option<String> {
    let at = qualifier.iter().rposition(|&byte| byte == b':')?;
    let name = &qualifier[at..];
    let converts = name.starts_with(b":c(")
        || name.starts_with(b":to") && name.get(3).is_some_and(u8::is_ascii_uppercase);
    converts.then(|| String::from_utf8_lossy(name).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shell::value::ValueKind;

    fn value(text: &str) -> Value {
        Value { at: 0, kind: ValueKind::Text(text.as_bytes().to_vec()) }
    }

    #[test]
    fn columns_have_a_family() {
        let read = |text: &str| read_column(&value(text)).ok();
        let bytes = |text: &str| text.as_bytes().to_vec();
        assert_eq!(read("f"), Some((bytes("f"), None)));
        assert_eq!(read("f:"), Some((bytes("f"), None)));
        assert_eq!(read("f:a:b"), Some((bytes("f"), Some(bytes("a:b")))));
        assert_eq!((read(":q"), read("f:q:toInt"), read("")), (None, None, None));
        assert_eq!(written_column(&value("f")).ok(), Some((bytes("f"), Vec::new())));
    }
}
