//! Columns in the shell's syntax: `family`, `family:qualifier`, or `family:` for the empty qualifier.

use super::converter::Converter;
use super::session::Stop;
use super::value::Value;

/// A family and, for a column, its qualifier.
pub(super) type Column = (Vec<u8>, Option<Vec<u8>>);

/// Parses a column to read, which may have a converter. Without a colon it is the whole family.
pub(super) fn read_column(value: &Value) -> Result<(Column, Option<Converter>), Stop> {
    let (family, qualifier) = column(value)?;
    if let Some((qualifier, name)) = qualifier.as_deref().and_then(converter) {
        let converter = Converter::parse(&name).map_err(|message| Stop::At(value.at, message))?;
        return Ok(((family, Some(qualifier.to_vec())), Some(converter)));
    }
    Ok(((family, qualifier), None))
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

/// Splits off the suffix that HBase's shell interprets as a converter: `:toInt`, `:c(Class).method`. Other
/// colons belong to the qualifier.
fn converter(qualifier: &[u8]) -> Option<(&[u8], String)> {
    let at = qualifier.iter().rposition(|&byte| byte == b':')?;
    let (qualifier, name) = (&qualifier[..at], &qualifier[at + 1..]);
    let converts =
        name.starts_with(b"c(") || name.starts_with(b"to") && name.get(2).is_some_and(u8::is_ascii_uppercase);
    converts.then(|| (qualifier, String::from_utf8_lossy(name).into_owned()))
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
        let (int, long) = (Some(Converter::Int), Some(Converter::Long));
        assert_eq!(read("f"), Some(((bytes("f"), None), None)));
        assert_eq!(read("f:"), Some(((bytes("f"), Some(bytes(""))), None)));
        assert_eq!(read("f:a:b"), Some(((bytes("f"), Some(bytes("a:b"))), None)));
        assert_eq!(read("f:total"), Some(((bytes("f"), Some(bytes("total"))), None)));
        assert_eq!(read("f:q:toInt"), Some(((bytes("f"), Some(bytes("q"))), int)));
        assert_eq!(read("f:a:b:toLong"), Some(((bytes("f"), Some(bytes("a:b"))), long)));
        assert_eq!(read("f::toLong"), Some(((bytes("f"), Some(bytes(""))), long)));
        assert_eq!((read(":q"), read("f:q:toNothing"), read("")), (None, None, None));
        assert_eq!(written_column(&value("f")).ok(), Some((bytes("f"), Vec::new())));
    }
}
