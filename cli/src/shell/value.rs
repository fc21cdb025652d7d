//! Values of commands.

use super::print::put_quoted;
use super::session::Stop;
use hregion::cell::from_string_binary;

/// A value, and where it is in the command.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Value {
    pub(super) at: usize,
    pub(super) kind: ValueKind,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum ValueKind {
    Text(Vec<u8>),
    Number(i64),
    Flag(bool),
    Nil,
    /// A word such as `LIMIT` or `FOREVER`.
    Constant(String),
    /// The name of a variable, which is replaced by its value before a command is executed.
    Variable(String),
    /// The table of a variable, by its name.
    Table(String),
    List(Vec<Value>),
    Hash(Vec<(Value, Value)>),
}

impl Value {
    /// Returns the error that something else was expected here.
    pub(super) fn expected(&self, what: &str) -> Stop {
        let found = match &self.kind {
            ValueKind::Text(_) => "a string",
            ValueKind::Number(_) => "a number",
            ValueKind::Flag(_) => "a boolean",
            ValueKind::Nil => "nil",
            ValueKind::Constant(name) | ValueKind::Variable(name) => name,
            ValueKind::Table(_) => "a table",
            ValueKind::List(_) => "a list",
            ValueKind::Hash(_) => "a hash",
        };
        Stop::At(self.at, format!("expected {what}, found {found}"))
    }

    /// Formats the value as Ruby's `inspect`.
    pub(super) fn inspect(&self) -> String {
        let all = |parts: Vec<String>| parts.join(", ");
        match &self.kind {
            ValueKind::Text(bytes) => {
                let mut text = Vec::new();
                put_quoted(&mut text, bytes);
                String::from_utf8_lossy(&text).into_owned()
            }
            ValueKind::Number(number) => number.to_string(),
            ValueKind::Flag(flag) => flag.to_string(),
            ValueKind::Nil => "nil".into(),
            ValueKind::Constant(name) | ValueKind::Variable(name) => name.clone(),
            ValueKind::Table(name) => format!("Hbase::Table - {name}"),
            ValueKind::List(values) => format!("[{}]", all(values.iter().map(Self::inspect).collect())),
            ValueKind::Hash(pairs) => {
                let pair = |(key, value): &(Self, Self)| format!("{} => {}", key.inspect(), value.inspect());
                format!("{{{}}}", all(pairs.iter().map(pair).collect()))
            }
        }
    }

    /// Returns the bytes of a string, or the digits of a number.
    pub(super) fn bytes(&self, what: &str) -> Result<Vec<u8>, Stop> {
        match &self.kind {
            ValueKind::Text(bytes) => Ok(bytes.clone()),
            ValueKind::Number(number) => Ok(number.to_string().into_bytes()),
            _ => Err(self.expected(what)),
        }
    }

    /// Like [`bytes`](Self::bytes), with `\xHH` in the string for a byte (HBase: `Bytes.toBytesBinary`).
    /// Double quotes have decoded it already, single quotes have not.
    pub(super) fn escaped_bytes(&self, what: &str) -> Result<Vec<u8>, Stop> {
        let mut decoded = Vec::new();
        for chunk in self.bytes(what)?.utf8_chunks() {
            decoded.extend(from_string_binary(chunk.valid()));
            decoded.extend_from_slice(chunk.invalid());
        }
        Ok(decoded)
    }

    /// Returns the text of a string or a word.
    pub(super) fn text(&self, what: &str) -> Result<String, Stop> {
        match &self.kind {
            ValueKind::Text(bytes) => String::from_utf8(bytes.clone())
                .map_err(|_| Stop::At(self.at, format!("expected {what} in UTF-8"))),
            ValueKind::Number(number) => Ok(number.to_string()),
            ValueKind::Flag(flag) => Ok(flag.to_string()),
            ValueKind::Constant(name) => Ok(name.clone()),
            _ => Err(self.expected(what)),
        }
    }

    /// Returns a number, which may be in a string.
    pub(super) fn number(&self, what: &str) -> Result<i64, Stop> {
        self.number_by(what, |text| text.trim().parse().ok())
    }

    fn number_by(&self, what: &str, parse: impl Fn(&str) -> Option<i64>) -> Result<i64, Stop> {
        match &self.kind {
            ValueKind::Number(number) => Ok(*number),
            ValueKind::Text(bytes) => {
                let number = std::str::from_utf8(bytes).ok().and_then(parse);
                number.ok_or_else(|| self.expected(what))
            }
            _ => Err(self.expected(what)),
        }
    }

    /// Returns a number in the range of `T`.
    pub(super) fn count<T: TryFrom<i64>>(&self, what: &str) -> Result<T, Stop> {
        self.in_range(what, self.number(what)?)
    }

    /// Returns a number in the range of `T`, which may be in a string that `parse` reads.
    pub(super) fn count_by<T: TryFrom<i64>>(
        &self,
        what: &str,
        parse: impl Fn(&str) -> Option<i64>,
    ) -> Result<T, Stop> {
        self.in_range(what, self.number_by(what, parse)?)
    }

    fn in_range<T: TryFrom<i64>>(&self, what: &str, number: i64) -> Result<T, Stop> {
        let out_of_range = || Stop::At(self.at, format!("expected {what}, which is out of range"));
        T::try_from(number).map_err(|_| out_of_range())
    }

    pub(super) fn flag(&self, what: &str) -> Result<bool, Stop> {
        match &self.kind {
            ValueKind::Flag(flag) => Ok(*flag),
            ValueKind::Text(text) if text.eq_ignore_ascii_case(b"true") => Ok(true),
            ValueKind::Text(text) if text.eq_ignore_ascii_case(b"false") => Ok(false),
            _ => Err(self.expected(what)),
        }
    }

    /// Returns the values of a list; any other value counts as a list of one.
    pub(super) fn list(&self) -> &[Self] {
        match &self.kind {
            ValueKind::List(values) => values,
            _ => std::slice::from_ref(self),
        }
    }

    /// Whether it is `''` or nil.
    pub(super) fn is_nothing(&self) -> bool {
        match &self.kind {
            ValueKind::Text(text) => text.is_empty(),
            kind => *kind == ValueKind::Nil,
        }
    }

    pub(super) fn is_hash(&self) -> bool {
        matches!(self.kind, ValueKind::Hash(_))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_decoded_and_other_bytes_kept() {
        for (given, expected) in [
            (&b"\\x80\\xfF"[..], &b"\x80\xff"[..]),
            (b"\x80\\x80\xc3", b"\x80\x80\xc3"),
            ("\u{e4}\\x41".as_bytes(), "\u{e4}A".as_bytes()),
            (b"\\xg1\\x1", b"\\xg1\\x1"),
            (b"", b""),
        ] {
            let value = Value { at: 0, kind: ValueKind::Text(given.to_vec()) };
            assert_eq!(value.escaped_bytes("a row").ok().as_deref(), Some(expected));
        }
        let number = Value { at: 0, kind: ValueKind::Number(7) };
        assert_eq!(number.escaped_bytes("a row").ok().as_deref(), Some(&b"7"[..]));
        assert!(Value { at: 0, kind: ValueKind::Nil }.escaped_bytes("a row").is_err());
    }
}
