//! Bytes as text, in HBase's `Bytes.toStringBinary` form, and untrusted text in a form that can be printed.

use std::fmt;

/// Displays bytes as HBase does: printable ASCII characters except the backslash are unchanged, other bytes
/// are `\xHH`.
///
/// A precision is the number of bytes that are displayed, as in `{:.64}`: `…` replaces the rest. Cells and
/// their keys pass it on to each of their parts.
#[derive(Clone, Copy, Debug)]
pub struct StringBinary<'a>(pub &'a [u8]);

impl fmt::Display for StringBinary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = f.precision().and_then(|most| self.0.get(..most)).unwrap_or(self.0);
        for run in shown.chunk_by(|&a, &b| is_plain(a) == is_plain(b)) {
            match std::str::from_utf8(run) {
                Ok(text) if is_plain(run[0]) => f.write_str(text)?,
                _ => run.iter().try_for_each(|byte| write!(f, "\\x{byte:02X}"))?,
            }
        }
        if shown.len() < self.0.len() { f.write_str("…") } else { Ok(()) }
    }
}

fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') && byte != b'\\'
}

/// Displays untrusted text, such as an error of a server, so that a terminal does not obey it: the bytes of
/// control characters, line separators and characters that change the direction of text are `\xHH`.
#[derive(Clone, Copy, Debug)]
pub struct Printable<'a>(pub &'a str);

impl Printable<'_> {
    /// Whether a character is displayed unchanged. All others are below U+10000.
    #[must_use]
    pub fn shows(c: char) -> bool {
        !(c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
            || matches!(c, '\u{61c}' | '\u{feff}'))
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some((at, c)) = rest.char_indices().find(|&(_, c)| !Self::shows(c)) {
            f.write_str(&rest[..at])?;
            let (hidden, after) = rest[at..].split_at(c.len_utf8());
            hidden.bytes().try_for_each(|byte| write!(f, "\\x{byte:02X}"))?;
            rest = after;
        }
        f.write_str(rest)
    }
}

/// Whether a name consists of lower-case hexadecimal digits.
pub(crate) fn is_hex(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'))
}

/// Parses the output of [`StringBinary`]. A backslash that does not start `\xHH` is literal, as in HBase's
/// `toBytesBinary`.
#[must_use]
pub fn from_string_binary(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte == b'\\'
            && let [b'x', high, low, tail @ ..] = tail
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            rest = tail;
            continue;
        }
        out.push(byte);
    }
    out
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|d| u8::try_from(d).ok())
}

/// Returns bytes as lower-case hexadecimal digits.
pub(crate) fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the bytes of hexadecimal digits; `None` for any other text.
pub(crate) fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|&[high, low]| Some(hex(high)? << 4 | hex(low)?));
    bytes.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())
}

/// Returns the bytes of hexadecimal digits, without the other characters of the text.
#[cfg(test)]
pub(crate) fn bytes_of_hex(digits: &str) -> Vec<u8> {
    let digits: Vec<u8> = digits.bytes().filter_map(hex).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn bytes_display_as_in_hbase() {
        assert_eq!(StringBinary(b"a~ \\\x00\xff").to_string(), "a~ \\x5C\\x00\\xFF");
        assert_eq!(from_string_binary("a\\x5c\\xzz\\x4"), b"a\\\\xzz\\x4");
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_displayed() {
        let shown = |text: &str| Printable(text).to_string();
        assert_eq!(shown("a/ü\\x1b 世"), "a/ü\\x1b 世");
        assert_eq!(
            shown("a\x1b[2J\r\n\u{9b}\u{202e}é\u{2029}"),
            "a\\x1B[2J\\x0D\\x0A\\xC2\\x9B\\xE2\\x80\\xAEé\\xE2\\x80\\xA9"
        );
        assert_eq!(shown(""), "");
    }

    #[test]
    fn a_precision_is_the_number_of_bytes() {
        let shown = |most: usize| format!("{:.most$}", StringBinary(b"ab\0c"));
        assert_eq!([0, 2, 3, 4, 5].map(shown), ["…", "ab…", "ab\\x00…", "ab\\x00c", "ab\\x00c"]);
    }

    proptest! {
        #[test]
        fn any_bytes_survive(bytes: Vec<u8>) {
            prop_assert_eq!(from_string_binary(&StringBinary(&bytes).to_string()), bytes);
        }
    }
}
