//! Comparators and comparison operators (read-path.md §13.1, §15; HBase: `CompareOperator`,
//! `ByteArrayComparable`).

use super::decimal::Decimal;
use super::pattern::{Pattern, lossy_text};
use crate::binary::StringBinary;
use crate::cell::compare_bytes;
use crate::error::{Error, Result};
use bytes::Bytes;
use std::cmp::Ordering;
use std::fmt;

pub use crate::op::Compare;

impl Compare {
    /// Whether `bytes` satisfies the comparison.
    #[inline]
    pub(super) fn passes(self, comparator: &Comparator, bytes: &[u8]) -> Result<bool> {
        if self == Self::NoOp {
            return Ok(false);
        }
        Ok(self.matches(match &comparator.0 {
            Kind::Binary(value) => compare_bytes(bytes, value),
            _ => comparator.compare(bytes)?.reverse(),
        }))
    }
}

/// The bitwise operator of [`Comparator::bit`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BitOperator {
    /// Bits set in both operands.
    And,
    /// Bits set in either operand.
    Or,
    /// Bits set in exactly one operand.
    Xor,
}

/// The operand that rows, families, qualifiers and values are compared with (HBase: `ByteArrayComparable`).
/// Cheap to clone.
#[derive(Clone, PartialEq)]
pub struct Comparator(pub(super) Kind);

#[derive(Clone, PartialEq)]
pub(super) enum Kind {
    Binary(Bytes),
    BinaryPrefix(Bytes),
    BinaryComponent(Bytes, usize),
    Bit(Bytes, BitOperator),
    Long(i64),
    Decimal(Decimal),
    Null,
    Substring(String),
    Regex(Pattern),
}

impl Comparator {
    /// Whether comparing never fails, for any bytes.
    pub(super) fn is_total(&self) -> bool {
        match &self.0 {
            Kind::Long(_) | Kind::Decimal(_) => false,
            Kind::Regex(pattern) => pattern.is_linear(),
            _ => true,
        }
    }

    /// Compares bytes lexicographically (HBase: `BinaryComparator`).
    #[must_use]
    pub fn binary(value: impl Into<Bytes>) -> Self {
        Self(Kind::Binary(value.into()))
    }

    /// Compares only the first `prefix.len()` bytes (HBase: `BinaryPrefixComparator`).
    #[must_use]
    pub fn binary_prefix(prefix: impl Into<Bytes>) -> Self {
        Self(Kind::BinaryPrefix(prefix.into()))
    }

    /// Compares up to `value.len()` bytes, starting at `offset` (HBase: `BinaryComponentComparator`).
    #[must_use]
    pub fn binary_component(value: impl Into<Bytes>, offset: usize) -> Self {
        Self(Kind::BinaryComponent(value.into(), offset))
    }

    /// Combines bytes of the same length with `value`: equal if a bit of the result is set, otherwise
    /// greater. Also greater than bytes of another length (HBase: `BitComparator`).
    #[must_use]
    pub fn bit(value: impl Into<Bytes>, operator: BitOperator) -> Self {
        Self(Kind::Bit(value.into(), operator))
    }

    /// Compares 8-byte big-endian integers (HBase: `LongComparator`). Bytes of any other length fail the
    /// read.
    #[must_use]
    pub fn long(value: i64) -> Self {
        Self(Kind::Long(value))
    }

    /// Compares a decimal number, such as `1.5` or `15E-1`, with the encoding of `Bytes.toBytes(BigDecimal)`:
    /// a four-byte scale, then the unscaled value (HBase: `BigDecimalComparator`). Bytes shorter than five
    /// bytes or longer than 4 KiB fail the read.
    ///
    /// # Errors
    ///
    /// If `number` is not a decimal number.
    pub fn decimal(number: &str) -> Result<Self> {
        Decimal::parse(number).map(|number| Self(Kind::Decimal(number)))
    }

    /// Creates a comparator that is greater than any bytes (HBase: `NullComparator`).
    #[must_use]
    pub fn null() -> Self {
        Self(Kind::Null)
    }

    /// Searches for text, ignoring case: equal to text that contains `part`, otherwise greater (HBase:
    /// `SubstringComparator`).
    #[must_use]
    pub fn substring(part: &str) -> Self {
        Self(Kind::Substring(part.to_lowercase()))
    }

    /// Searches for a regular expression: equal to text in which it matches anywhere, otherwise greater
    /// (HBase: `RegexStringComparator`).
    ///
    /// The syntax is Java's; `.` matches any character. Matching takes linear time unless the expression has
    /// look-around, back references, atomic groups, possessive quantifiers, `(?m)` or anything after `$`.
    /// Such an expression is matched by backtracking, limited to a million steps; exceeding the limit fails
    /// the read.
    ///
    /// # Errors
    ///
    /// If the expression is invalid, or uses an unsupported construct; the error names the construct.
    pub fn regex(pattern: &str) -> Result<Self> {
        Pattern::new(pattern, false).map(|pattern| Self(Kind::Regex(pattern)))
    }

    /// Like [`regex`](Self::regex), ignoring the case of ASCII letters.
    ///
    /// # Errors
    ///
    /// Same as [`regex`](Self::regex).
    pub fn regex_ignore_case(pattern: &str) -> Result<Self> {
        Pattern::new(pattern, true).map(|pattern| Self(Kind::Regex(pattern)))
    }

    /// Parses the filter language's form of a comparator, `type:value`. Types are `binary`, `binaryprefix`,
    /// `regexstring`, `regexstringnocase` and `substring`; the value is everything after the first colon.
    ///
    /// # Errors
    ///
    /// If the type is unknown, or the value is invalid for the type.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self> {
        let text = text.as_ref();
        let mut parts = text.splitn(2, |byte| *byte == b':');
        let (kind, Some(value)) = (parts.next().unwrap_or_default(), parts.next()) else {
            let text = StringBinary(text);
            return Err(Error::invalid_argument(format!("comparator '{text}', expected 'type:value'")));
        };
        let string = || lossy_text(value);
        match kind {
            b"binary" => Ok(Self::binary(value.to_vec())),
            b"binaryprefix" => Ok(Self::binary_prefix(value.to_vec())),
            b"regexstring" => Self::regex(&string()),
            b"regexstringnocase" => Self::regex_ignore_case(&string()),
            b"substring" => Ok(Self::substring(&string())),
            _ => Err(Error::invalid_argument(format!(
                "comparator of type '{}', expected binary, binaryprefix, regexstring, regexstringnocase or \
                 substring",
                StringBinary(kind)
            ))),
        }
    }

    /// Orders the comparator relative to `bytes`.
    #[inline(never)] // keeps the most common comparison short
    fn compare(&self, bytes: &[u8]) -> Result<Ordering> {
        let equal_if = |equal| if equal { Ordering::Equal } else { Ordering::Greater };
        Ok(match &self.0 {
            Kind::Binary(value) => (**value).cmp(bytes),
            Kind::BinaryPrefix(prefix) => (**prefix).cmp(bytes.get(..prefix.len()).unwrap_or(bytes)),
            Kind::BinaryComponent(value, offset) => {
                let rest = bytes.get(*offset..).unwrap_or_default();
                (**value).cmp(rest.get(..value.len()).unwrap_or(rest))
            }
            Kind::Bit(value, operator) => {
                equal_if(value.len() == bytes.len() && joined(value, bytes, *operator))
            }
            Kind::Long(value) => match bytes.try_into() {
                Ok(bytes) => value.cmp(&i64::from_be_bytes(bytes)),
                Err(_) => return Err(not_a_long(bytes.len())),
            },
            Kind::Decimal(value) => value.cmp(&Decimal::from_bytes(bytes)?),
            Kind::Null => Ordering::Greater,
            Kind::Substring(part) => equal_if(contains(bytes, part)),
            Kind::Regex(pattern) => equal_if(pattern.is_found(bytes)?),
        })
    }
}

fn joined(value: &[u8], bytes: &[u8], operator: BitOperator) -> bool {
    value.iter().zip(bytes).any(|(a, b)| match operator {
        BitOperator::And => a & b != 0,
        BitOperator::Or => a | b != 0,
        BitOperator::Xor => a ^ b != 0,
    })
}

/// Whether `text` contains `part`, ignoring case; `part` is in lower case.
fn contains(text: &[u8], part: &str) -> bool {
    if !text.is_ascii() {
        return match std::str::from_utf8(text) {
            Ok(text) => text.to_lowercase().contains(part),
            Err(_) => lossy_text(text).to_lowercase().contains(part),
        };
    }
    part.is_empty() || text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}

#[cold]
fn not_a_long(len: usize) -> Error {
    Error::invalid_argument(format!("a filter compares 8-byte numbers, found {len} bytes"))
}

impl fmt::Debug for Comparator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Binary(value) => write!(f, "binary:{}", StringBinary(value)),
            Kind::BinaryPrefix(prefix) => write!(f, "binaryprefix:{}", StringBinary(prefix)),
            Kind::BinaryComponent(value, offset) => {
                write!(f, "component:{} at {offset}", StringBinary(value))
            }
            Kind::Bit(value, operator) => write!(f, "bit:{} {operator:?}", StringBinary(value)),
            Kind::Long(value) => write!(f, "long:{value}"),
            Kind::Decimal(value) => write!(f, "decimal:{value:?}"),
            Kind::Null => f.write_str("null"),
            Kind::Substring(part) => write!(f, "substring:{part}"),
            Kind::Regex(pattern) => write!(f, "{pattern:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing(comparator: &Comparator, bytes: &[u8]) -> Vec<&'static str> {
        let all = ["<", "<=", "=", "!=", ">=", ">", "NO_OP"];
        let passes = |sign: &&str| Compare::from_symbol(sign).unwrap().passes(comparator, bytes).unwrap();
        all.into_iter().filter(passes).collect()
    }

    const LESS: [&str; 3] = ["<", "<=", "!="];
    const EQUAL: [&str; 3] = ["<=", "=", ">="];
    const GREATER: [&str; 3] = ["!=", ">=", ">"];

    #[test]
    fn a_cell_is_compared_with_the_comparator() {
        let b = Comparator::binary("b");
        assert_eq!(
            (passing(&b, b"a"), passing(&b, b"b"), passing(&b, b"bb")),
            (LESS.into(), EQUAL.into(), GREATER.into())
        );
        let prefix = Comparator::binary_prefix("bb");
        assert_eq!((passing(&prefix, b"b"), passing(&prefix, b"bbz")), (LESS.into(), EQUAL.into()));
        let component = Comparator::binary_component("c", 2);
        assert_eq!(
            (passing(&component, b"aac"), passing(&component, b"aadx")),
            (EQUAL.into(), GREATER.into())
        );
        assert_eq!(
            (passing(&component, b"aa"), passing(&component, b"")),
            (LESS.into(), LESS.into()),
            "short"
        );
        let long = Comparator::long(-1);
        assert_eq!(passing(&long, &(-2i64).to_be_bytes()), LESS);
        assert_eq!(passing(&long, &[0; 8]), GREATER);
        for other in [&b""[..], b"short", b"\0\0\0\0\0\0\0\0longer"] {
            assert_eq!(
                Compare::Less.passes(&long, other).unwrap_err().kind(),
                crate::ErrorKind::InvalidArgument
            );
        }
        assert!(!Compare::NoOp.passes(&long, b"short").unwrap());
        assert_eq!(passing(&Comparator::null(), b""), LESS);
    }

    #[test]
    fn bits_are_joined() {
        let equal = |operator, value: &[u8]| {
            passing(&Comparator::bit(b"\x01\x00".to_vec(), operator), value) == EQUAL
        };
        assert!(equal(BitOperator::And, b"\x03\x00") && !equal(BitOperator::And, b"\x02\xff"));
        assert!(equal(BitOperator::Or, b"\x00\x00") && !equal(BitOperator::Or, b"\x01"));
        assert!(equal(BitOperator::Xor, b"\x00\x00") && !equal(BitOperator::Xor, b"\x01\x00"));
    }

    #[test]
    fn parts_of_text_are_found_in_any_case() {
        let equal = |part: &str, value: &[u8]| passing(&Comparator::substring(part), value) == EQUAL;
        assert!(equal("ADA", b"lady ada") && !equal("ada", b"ad a") && equal("", b""));
        assert!(equal("\u{c9}", "caf\u{e9}".as_bytes()) && equal("k", "\u{212a}".as_bytes()));
        assert!(equal("a", b"\xffA") && equal("\u{fffd}", b"\xff"));
        assert!(equal("a\u{fffd}b", b"a\xed\xa0\x80b") && !equal("a\u{fffd}b", b"a\xe0\x80\x80b"));
    }

    #[test]
    fn comparators_of_the_language() {
        assert_eq!(Comparator::parse("binary:a:b").unwrap(), Comparator::binary("a:b"));
        assert_eq!(Comparator::parse(b"binaryprefix:\xff").unwrap(), Comparator::binary_prefix(vec![0xff]));
        assert_eq!(
            Comparator::parse("regexstringnocase:a").unwrap(),
            Comparator::regex_ignore_case("a").unwrap()
        );
        let surrogate = Comparator::parse(b"substring:a\xed\xa0\x80b").unwrap();
        assert_eq!(surrogate, Comparator::substring("a\u{fffd}b"));
        let surrogate = Comparator::parse(b"regexstring:^\xed\xa0\x80$").unwrap();
        assert_eq!(surrogate, Comparator::regex("^\u{fffd}$").unwrap());
        assert!(Comparator::parse("binary").is_err() && Comparator::parse("long:1").is_err());
    }
}
