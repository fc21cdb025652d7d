//! The members of a JSON object, consumed one by one, so that unknown members are found.

use hregion::cell::from_string_binary;
use serde_json::{Map, Value};

/// An object of a script. Absent and null members are equivalent.
#[derive(Debug)]
pub(super) struct Members(Map<String, Value>);

impl Members {
    /// Returns the members of `value`, which must be an object.
    pub(super) fn of(value: Value, what: &str) -> Result<Self, String> {
        match value {
            Value::Object(members) => Ok(Self(members)),
            _ => Err(format!("expected {what}, which is an object")),
        }
    }

    /// Takes a member.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.0.remove(name).filter(|value| !value.is_null())
    }

    fn take_as<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(Value) -> Result<T, String>,
    ) -> Result<Option<T>, String> {
        self.take(name).map(read).transpose().map_err(|message| format!("{name}: {message}"))
    }

    /// Takes plain text, not a byte string.
    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, String> {
        self.take_as(name, text)
    }

    pub(super) fn bytes(&mut self, name: &str) -> Result<Option<Vec<u8>>, String> {
        self.take_as(name, bytes)
    }

    pub(super) fn flag(&mut self, name: &str, default: bool) -> Result<bool, String> {
        let read = |value: Value| value.as_bool().ok_or_else(|| "expected true or false".into());
        Ok(self.take_as(name, read)?.unwrap_or(default))
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<i64>, String> {
        self.take_as(name, number)
    }

    pub(super) fn list(&mut self, name: &str) -> Result<Option<Vec<Value>>, String> {
        self.take_as(name, list)
    }

    /// Takes a list and reads each element with `read`.
    pub(super) fn list_of<T>(
        &mut self,
        name: &str,
        read: impl FnMut(Value) -> Result<T, String>,
    ) -> Result<Option<Vec<T>>, String> {
        let read_all = |value| list(value)?.into_iter().map(read).collect();
        self.take_as(name, read_all)
    }

    /// Whether a member is missing, or is an empty list.
    pub(super) fn is_without(&self, name: &str) -> bool {
        let value = self.0.get(name).filter(|value| !value.is_null());
        value.is_none_or(|value| value.as_array().is_some_and(Vec::is_empty))
    }

    /// Takes an object with arbitrary member names.
    pub(super) fn pairs(&mut self, name: &str) -> Result<Vec<(String, Value)>, String> {
        let read = |value| Ok(Members::of(value, "a list by names")?.0.into_iter().collect());
        Ok(self.take_as(name, read)?.unwrap_or_default())
    }

    /// Fails if a member is left.
    pub(super) fn end(self) -> Result<(), String> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(format!("{name}: there is no such member here")),
        }
    }
}

/// Unwraps a required member.
pub(super) fn required<T>(value: Option<T>, name: &str) -> Result<T, String> {
    value.ok_or_else(|| format!("{name}: missing"))
}

pub(super) fn text(value: Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        _ => Err("expected a string".into()),
    }
}

/// Decodes a string in `toStringBinary` form.
pub(super) fn bytes(value: Value) -> Result<Vec<u8>, String> {
    text(value).map(|text| from_string_binary(&text))
}

pub(super) fn number(value: Value) -> Result<i64, String> {
    value.as_i64().ok_or_else(|| "expected a whole number of 64 bits".into())
}

pub(super) fn list(value: Value) -> Result<Vec<Value>, String> {
    match value {
        Value::Array(values) => Ok(values),
        _ => Err("expected a list".into()),
    }
}

/// Reads a list of exactly `N` elements; `what` describes them.
pub(super) fn tuple<const N: usize>(value: Value, what: &str) -> Result<[Value; N], String> {
    list(value)?.try_into().map_err(|_| format!("expected {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn unused_members_are_named() {
        let object =
            json!({"row": "a\\x00\\", "n": 5, "flag": true, "nothing": null, "pair": ["a", 1], "more": 1});
        let mut members = Members::of(object, "it").unwrap();
        assert_eq!(members.bytes("row"), Ok(Some(b"a\0\\".to_vec())));
        assert_eq!(members.number("n"), Ok(Some(5)));
        assert_eq!(members.number("nothing"), Ok(None));
        assert_eq!((members.flag("flag", false), members.flag("absent", true)), (Ok(true), Ok(true)));
        assert!(tuple::<3>(members.take("pair").unwrap(), "three").is_err());
        assert_eq!(members.end(), Err("more: there is no such member here".into()));
        assert!(Members::of(json!([]), "it").is_err());
    }

    #[test]
    fn wrong_values_name_their_member() {
        let mut members = Members::of(json!({"row": 5, "n": 1.5, "list": {}}), "it").unwrap();
        assert_eq!(members.bytes("row"), Err("row: expected a string".into()));
        assert_eq!(members.number("n"), Err("n: expected a whole number of 64 bits".into()));
        assert_eq!(members.list("list"), Err("list: expected a list".into()));
    }
}
