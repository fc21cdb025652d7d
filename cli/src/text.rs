//! Text that is safe for a terminal: it cannot move the cursor, change the title or reverse the direction of
//! a line.

use hregion::cell::{Printable, StringBinary};
use serde_json::Value;
use std::borrow::Cow;
use std::fmt::Write as _;
use std::path::Path;

/// Escapes every character that a terminal would interpret, as `\xHH`.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    match text.chars().all(Printable::shows) {
        true => Cow::Borrowed(text),
        false => Cow::Owned(Printable(text).to_string()),
    }
}

/// Formats a path: unchanged if it is safe text.
pub(crate) fn path(path: &Path) -> String {
    match path.to_str() {
        Some(text) => printable(text).into_owned(),
        None => StringBinary(path.as_os_str().as_encoded_bytes()).to_string(),
    }
}

/// Returns a path as text for JSON, which is escaped later.
pub(crate) fn json_path(path: &Path) -> String {
    match path.to_str() {
        Some(text) => text.to_owned(),
        None => StringBinary(path.as_os_str().as_encoded_bytes()).to_string(),
    }
}

/// Formats JSON as one line.
pub(crate) fn json(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().all(Printable::shows) {
        return text;
    }
    // JSON itself requires escapes only for characters below a space
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if Printable::shows(c) {
            out.push(c);
        } else {
            let _ = write!(out, "\\u{:04x}", u32::from(c));
        }
    }
    out
}

/// The greatest integer of JavaScript up to which all are numbers.
const GREATEST_EXACT: u64 = (1 << 53) - 1;

/// Replaces each integer that JavaScript would round by its digits as a string.
pub(crate) fn make_exact(value: &mut Value) {
    match value {
        Value::Number(number) => {
            let size = number.as_i64().map(i64::unsigned_abs).or_else(|| number.as_u64());
            if size.is_some_and(|size| size > GREATEST_EXACT) {
                *value = Value::String(number.to_string());
            }
        }
        Value::Array(items) => items.iter_mut().for_each(make_exact),
        Value::Object(members) => members.values_mut().for_each(make_exact),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_terminal_obeys_is_left() {
        assert_eq!(printable("a/ü.hfile"), "a/ü.hfile");
        assert_eq!(printable("a\x1b[2J\n\u{9b}\u{202e}"), "a\\x1B[2J\\x0A\\xC2\\x9B\\xE2\\x80\\xAE");
    }

    #[test]
    fn integers_that_javascript_would_round_are_digits() {
        let mut value = serde_json::json!({
            "a": [9_007_199_254_740_991_u64, 9_007_199_254_740_993_u64, u64::MAX],
            "b": {"c": i64::MIN, "d": -1}, "e": 1e300,
        });
        make_exact(&mut value);
        let expected = serde_json::json!({
            "a": [9_007_199_254_740_991_u64, "9007199254740993", "18446744073709551615"],
            "b": {"c": "-9223372036854775808", "d": -1}, "e": 1e300,
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn json_stays_the_same_value() {
        let value = Value::from("ü\x1b\x7f\u{85}\u{202e}\"\\");
        let line = json(&value);
        assert!(line.chars().all(Printable::shows), "{line}");
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap(), value);
    }
}
