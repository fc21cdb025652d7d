//! Comparators as messages.

use super::read::Reader;
use super::{PACKAGE, decode, missing};
use crate::error::{Error, Result};
use crate::filter::compare::Kind;
use crate::filter::decimal::Decimal;
use crate::filter::{BitOperator, Comparator};
use crate::proto::filter as proto;
use bytes::Bytes;
use prost::Message;

/// Flags of Java's `Pattern`.
const CASE_INSENSITIVE: i32 = 2;
const DOTALL: i32 = 32;
/// Unsupported flags of Java's `Pattern`.
const OTHER_FLAGS: [(i32, &str); 5] = [
    (4, "COMMENTS"),
    (16, "LITERAL"),
    (64, "UNICODE_CASE"),
    (128, "CANON_EQ"),
    (256, "UNICODE_CHARACTER_CLASS"),
];

/// Flags that are written as the beginning of an expression: UNIX_LINES and MULTILINE, which a client also
/// sends for an expression that begins so.
const EMBEDDED_FLAGS: [(i32, &str); 2] = [(1, "(?d)"), (8, "(?m)")];
/// The beginning of an expression without DOTALL.
const NOT_DOTALL: &str = "(?-s)";

impl Reader {
    pub(super) fn comparator(&mut self, message: Option<proto::Filter>, of: &str) -> Result<Comparator> {
        let message = message.ok_or_else(|| missing(of, "comparator"))?;
        let name = message.name.ok_or_else(|| missing("a comparator", "name"))?;
        let bytes = message.serialized.unwrap_or_default();
        let Some(class) = name.strip_prefix(PACKAGE) else { return Err(unknown(&name)) };
        let value = |bytes| -> Result<Bytes> {
            let message: proto::ValueComparator = decode(class, bytes)?;
            value_of(class, message.comparable)
        };
        Ok(match class {
            "BinaryComparator" => Comparator::binary(value(bytes)?),
            "BinaryPrefixComparator" => Comparator::binary_prefix(value(bytes)?),
            "BinaryComponentComparator" => {
                let message: proto::BinaryComponentComparator = decode(class, bytes)?;
                let value = message.value.ok_or_else(|| missing(class, "value"))?;
                let offset = message.offset.ok_or_else(|| missing(class, "offset"))?;
                // the offset is an int in HBase
                let offset = i32::try_from(offset).ok().and_then(|offset| usize::try_from(offset).ok());
                let offset =
                    offset.ok_or_else(|| Error::invalid_argument(format!("{class} at a negative offset")))?;
                Comparator::binary_component(value, offset)
            }
            "BitComparator" => {
                let message: proto::BitComparator = decode(class, bytes)?;
                let operator = match message.bitwise_op {
                    Some(1) => BitOperator::And,
                    Some(2) => BitOperator::Or,
                    Some(3) => BitOperator::Xor,
                    _ => return Err(missing(class, "bitwise_op")),
                };
                Comparator::bit(value_of(class, message.comparable)?, operator)
            }
            "LongComparator" => {
                let value = value(bytes)?;
                let number = value.first_chunk().ok_or_else(|| {
                    Error::invalid_argument(format!("{class} of {} bytes, expected 8", value.len()))
                })?;
                Comparator::long(i64::from_be_bytes(*number))
            }
            "BigDecimalComparator" => Comparator(Kind::Decimal(Decimal::from_bytes(&value(bytes)?)?)),
            "NullComparator" => Comparator::null(),
            "SubstringComparator" => {
                let message: proto::SubstringComparator = decode(class, bytes)?;
                Comparator::substring(&message.substr.ok_or_else(|| missing(class, "substr"))?)
            }
            "RegexStringComparator" => {
                self.count_expression()?;
                regex(class, decode(class, bytes)?)?
            }
            _ => return Err(unknown(&name)),
        })
    }
}

fn value_of(class: &str, comparable: Option<proto::ByteArrayComparable>) -> Result<Bytes> {
    let comparable = comparable.ok_or_else(|| missing(class, "comparable"))?;
    comparable.value.ok_or_else(|| missing(class, "value"))
}

fn regex(class: &str, message: proto::RegexStringComparator) -> Result<Comparator> {
    let pattern = message.pattern.ok_or_else(|| missing(class, "pattern"))?;
    let flags = message.pattern_flags.ok_or_else(|| missing(class, "pattern_flags"))?;
    let charset = message.charset.ok_or_else(|| missing(class, "charset"))?;
    if !charset.eq_ignore_ascii_case("UTF-8") {
        return Err(unsupported(class, "charset", &charset));
    }
    if let Some(engine) = message.engine.filter(|engine| engine != "JAVA") {
        return Err(unsupported(class, "engine", &engine));
    }
    if let Some((_, name)) = OTHER_FLAGS.iter().find(|(flag, _)| flags & flag != 0) {
        return Err(unsupported(class, "flag", name));
    }
    let embedded = || EMBEDDED_FLAGS.iter().filter(|(flag, _)| flags & flag != 0);
    let known = embedded().fold(CASE_INSENSITIVE | DOTALL, |known, (flag, _)| known | flag);
    if flags & !known != 0 {
        return Err(unsupported(class, "flags", &flags.to_string()));
    }
    let mut beginning: String = embedded().map(|(_, text)| *text).collect();
    if flags & DOTALL == 0 {
        beginning.push_str(NOT_DOTALL);
    }
    let pattern = beginning + &pattern;
    if flags & CASE_INSENSITIVE != 0 {
        Comparator::regex_ignore_case(&pattern)
    } else {
        Comparator::regex(&pattern)
    }
}

pub(super) fn write(comparator: &Comparator) -> Result<proto::Filter> {
    let comparable = |value: Bytes| Some(proto::ByteArrayComparable { value: Some(value) });
    let value = |value: Bytes| proto::ValueComparator { comparable: comparable(value) }.encode_to_vec();
    let (class, bytes) = match &comparator.0 {
        Kind::Binary(bytes) => ("BinaryComparator", value(bytes.clone())),
        Kind::BinaryPrefix(bytes) => ("BinaryPrefixComparator", value(bytes.clone())),
        Kind::BinaryComponent(value, offset) => {
            let class = "BinaryComponentComparator";
            let offset = i32::try_from(*offset).ok().and_then(|offset| u32::try_from(offset).ok());
            let offset = offset.ok_or_else(|| too_large(class))?;
            let message =
                proto::BinaryComponentComparator { value: Some(value.clone()), offset: Some(offset) };
            (class, message.encode_to_vec())
        }
        Kind::Bit(value, operator) => {
            let operator = match operator {
                BitOperator::And => 1,
                BitOperator::Or => 2,
                BitOperator::Xor => 3,
            };
            let message =
                proto::BitComparator { comparable: comparable(value.clone()), bitwise_op: Some(operator) };
            ("BitComparator", message.encode_to_vec())
        }
        Kind::Long(number) => ("LongComparator", value(Bytes::copy_from_slice(&number.to_be_bytes()))),
        Kind::Decimal(number) => {
            let class = "BigDecimalComparator";
            (class, value(number.to_bytes().ok_or_else(|| too_large(class))?.into()))
        }
        Kind::Null => ("NullComparator", Vec::new()),
        Kind::Substring(part) => {
            ("SubstringComparator", proto::SubstringComparator { substr: Some(part.clone()) }.encode_to_vec())
        }
        Kind::Regex(pattern) => {
            let (mut source, mut flags) = (pattern.source(), DOTALL);
            for (flag, text) in EMBEDDED_FLAGS {
                if let Some(rest) = source.strip_prefix(text) {
                    (source, flags) = (rest, flags | flag);
                }
            }
            if let Some(rest) = source.strip_prefix(NOT_DOTALL) {
                (source, flags) = (rest, flags & !DOTALL);
            }
            if pattern.ignores_case() {
                flags |= CASE_INSENSITIVE;
            }
            let message = proto::RegexStringComparator {
                pattern: Some(source.to_owned()),
                pattern_flags: Some(flags),
                charset: Some("UTF-8".into()),
                engine: Some("JAVA".into()),
            };
            ("RegexStringComparator", message.encode_to_vec())
        }
    };
    Ok(proto::Filter { name: Some(format!("{PACKAGE}{class}")), serialized: Some(bytes.into()) })
}

#[cold]
fn unknown(name: &str) -> Error {
    let name: String = name.chars().take(200).collect();
    Error::invalid_argument(format!("comparator of the class {name:?}, which is not one of HBase's"))
}

#[cold]
fn unsupported(class: &str, what: &str, name: &str) -> Error {
    let name: String = name.chars().take(200).collect();
    Error::invalid_argument(format!("{class} with the {what} {name}, which is not supported"))
}

#[cold]
fn too_large(class: &str) -> Error {
    Error::invalid_argument(format!("a number that is too large for HBase's {class}"))
}
