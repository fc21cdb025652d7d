//! Converts comparisons with literals to sets of bytes.

use crate::ranges::{Range, RangeSet, next};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use hregion_arrow::ValueType;

/// Returns the bytes of the values of a type for which a comparison is true. `None` if the bytes do not
/// determine this, because equal values have different bytes, or the bytes do not sort like the values.
pub(crate) fn set_of(ty: ValueType, op: Operator, literal: &ScalarValue) -> Option<RangeSet> {
    match ty {
        ValueType::Binary => bytes_set(op, bytes_of(literal)?),
        ValueType::Utf8 | ValueType::Json => bytes_set(op, literal.try_as_str()??.as_bytes()),
        ValueType::Boolean => boolean_set(op, literal),
        _ => {
            let value = integer_of(ty, literal)?;
            integer_set(op, value, ty.width()?)
        }
    }
}

/// Returns the bytes of the texts that match a pattern of LIKE, and whether the set contains no other text.
pub(crate) fn like_set(ty: ValueType, pattern: &ScalarValue) -> Option<(RangeSet, bool)> {
    if !matches!(ty, ValueType::Utf8 | ValueType::Json) {
        return None;
    }
    let (mut prefix, mut rest) = (String::new(), pattern.try_as_str()??.chars());
    loop {
        match rest.next() {
            None => return Some((RangeSet::point(prefix.as_bytes()), true)),
            Some('%') => return Some((RangeSet::prefix(prefix.as_bytes()), rest.all(|c| c == '%'))),
            Some('_') => return Some((RangeSet::prefix(prefix.as_bytes()), false)),
            // the engine handles an escape at the end
            Some('\\') => match rest.next() {
                Some(c) => prefix.push(c),
                None => return Some((RangeSet::prefix(prefix.as_bytes()), false)),
            },
            Some(c) => prefix.push(c),
        }
    }
}

/// Returns the texts that begin with a literal.
pub(crate) fn prefix_set(ty: ValueType, prefix: &ScalarValue) -> Option<RangeSet> {
    match ty {
        ValueType::Utf8 | ValueType::Json => Some(RangeSet::prefix(prefix.try_as_str()??.as_bytes())),
        _ => None,
    }
}

/// Whether all bytes of the set, which comes from a comparison, are values of the type.
pub(crate) fn is_of_type(ty: ValueType, set: &RangeSet) -> bool {
    // a set of single values comes from literals of the type, except that a literal for JSON is any text
    ty == ValueType::Binary || ty != ValueType::Json && set.points().is_some()
}

pub(crate) fn bytes_of(literal: &ScalarValue) -> Option<&[u8]> {
    match literal {
        ScalarValue::Binary(bytes) | ScalarValue::LargeBinary(bytes) | ScalarValue::BinaryView(bytes) => {
            bytes.as_deref()
        }
        ScalarValue::FixedSizeBinary(_, bytes) => bytes.as_deref(),
        _ => None,
    }
}

fn bytes_set(op: Operator, bytes: &[u8]) -> Option<RangeSet> {
    Some(match op {
        Operator::Eq => RangeSet::point(bytes),
        Operator::NotEq => RangeSet::point(bytes).complement(),
        Operator::Lt => RangeSet::below(bytes.to_vec()),
        Operator::LtEq => RangeSet::below(next(bytes)),
        Operator::Gt => RangeSet::from(next(bytes)),
        Operator::GtEq => RangeSet::from(bytes.to_vec()),
        _ => return None,
    })
}

/// Booleans of one byte, where all bytes but zero are true.
fn boolean_set(op: Operator, literal: &ScalarValue) -> Option<RangeSet> {
    let ScalarValue::Boolean(Some(literal)) = literal else { return None };
    let is_false = RangeSet::point(&[0]);
    match (op, literal) {
        (Operator::Eq, false) | (Operator::NotEq, true) => Some(is_false),
        (Operator::Eq, true) | (Operator::NotEq, false) => Some(is_false.complement()),
        _ => None,
    }
}

/// Returns the value of an integer literal, if it has the type; `None` for other types.
fn integer_of(ty: ValueType, literal: &ScalarValue) -> Option<i64> {
    match (ty, literal) {
        (ValueType::Byte, ScalarValue::Int8(value)) => value.map(i64::from),
        (ValueType::Short, ScalarValue::Int16(value)) => value.map(i64::from),
        (ValueType::Int, ScalarValue::Int32(value)) => value.map(i64::from),
        (ValueType::Long, ScalarValue::Int64(value))
        | (ValueType::Timestamp, ScalarValue::TimestampMillisecond(value, _)) => *value,
        _ => None,
    }
}

/// Integers in two's complement, big-endian: those below zero sort after all others.
fn integer_set(op: Operator, value: i64, width: usize) -> Option<RangeSet> {
    let max = i64::MAX.checked_shr(u32::try_from(64 - 8 * width).ok()?)?;
    let min = -max - 1;
    let between = |low: i64, high: i64| {
        let bytes = |value: i64| value.to_be_bytes().into_iter().skip(8 - width).collect::<Vec<u8>>();
        let part = |low: i64, high: i64| {
            let range = (low <= high).then(|| Range { start: bytes(low), end: Some(next(&bytes(high))) });
            range.into_iter()
        };
        RangeSet::of(part(low.max(0), high).chain(part(low, high.min(-1))).collect())
    };
    Some(match op {
        Operator::Eq => between(value, value),
        Operator::NotEq => {
            let below = value.checked_sub(1).map_or_else(RangeSet::empty, |high| between(min, high));
            below.union(&value.checked_add(1).map_or_else(RangeSet::empty, |low| between(low, max)))
        }
        Operator::Lt => value.checked_sub(1).map_or_else(RangeSet::empty, |high| between(min, high)),
        Operator::LtEq => between(min, value),
        Operator::Gt => value.checked_add(1).map_or_else(RangeSet::empty, |low| between(low, max)),
        Operator::GtEq => between(value, max),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATORS: [Operator; 6] =
        [Operator::Eq, Operator::NotEq, Operator::Lt, Operator::LtEq, Operator::Gt, Operator::GtEq];

    fn holds<T: PartialOrd>(op: Operator, a: &T, b: &T) -> bool {
        match op {
            Operator::Eq => a == b,
            Operator::NotEq => a != b,
            Operator::Lt => a < b,
            Operator::LtEq => a <= b,
            Operator::Gt => a > b,
            _ => a >= b,
        }
    }

    #[test]
    fn integers_are_compared_by_their_bytes() {
        let edges = [i64::MIN, i64::MIN + 1, -256, -255, -2, -1, 0, 1, 2, 127, 128, 255, 256, i64::MAX];
        for op in OPERATORS {
            for a in edges {
                for b in edges {
                    let set = set_of(ValueType::Long, op, &ScalarValue::Int64(Some(b))).unwrap();
                    assert_eq!(set.contains(&a.to_be_bytes()), holds(op, &a, &b), "{a} {op} {b}");
                }
            }
            for a in i8::MIN..=i8::MAX {
                for b in [i8::MIN, -1, 0, 1, i8::MAX] {
                    let set = set_of(ValueType::Byte, op, &ScalarValue::Int8(Some(b))).unwrap();
                    assert_eq!(set.contains(&a.to_be_bytes()), holds(op, &a, &b), "{a} {op} {b}");
                }
            }
            for a in [i32::MIN, -1, 0, 65_536, i32::MAX] {
                let set = set_of(ValueType::Int, op, &ScalarValue::Int32(Some(-1))).unwrap();
                assert_eq!(set.contains(&a.to_be_bytes()), holds(op, &a, &-1), "{a} {op}");
            }
        }
    }

    #[test]
    fn text_is_compared_by_its_bytes() {
        let texts = ["", "a", "ab", "b", "é", "z", "\u{10ffff}"];
        for op in OPERATORS {
            for a in texts {
                for b in texts {
                    let set = set_of(ValueType::Utf8, op, &ScalarValue::from(b)).unwrap();
                    assert_eq!(set.contains(a.as_bytes()), holds(op, &a, &b), "{a} {op} {b}");
                }
            }
        }
        let like = |pattern: &str| like_set(ValueType::Utf8, &ScalarValue::from(pattern)).unwrap();
        assert_eq!(like("ab%"), (RangeSet::prefix(b"ab"), true));
        assert_eq!(like("ab%%"), (RangeSet::prefix(b"ab"), true));
        assert_eq!(like("ab%c"), (RangeSet::prefix(b"ab"), false));
        assert_eq!(like("a_"), (RangeSet::prefix(b"a"), false));
        assert_eq!(like(r"a\%%"), (RangeSet::prefix(b"a%"), true));
        assert_eq!(like("ab"), (RangeSet::point(b"ab"), true));
        assert_eq!(like("%").0, RangeSet::all());
    }

    #[test]
    fn single_values_of_json_may_be_no_json() {
        let equal = |ty| set_of(ty, Operator::Eq, &ScalarValue::from("no json")).unwrap();
        assert!(is_of_type(ValueType::Utf8, &equal(ValueType::Utf8)));
        assert!(!is_of_type(ValueType::Json, &equal(ValueType::Json)));
    }

    #[test]
    fn what_bytes_do_not_tell_is_not_compared() {
        let zero = ScalarValue::Float64(Some(0.0));
        assert_eq!(set_of(ValueType::Double, Operator::Eq, &zero), None);
        assert_eq!(set_of(ValueType::Long, Operator::Eq, &ScalarValue::Int64(None)), None);
        assert_eq!(set_of(ValueType::Long, Operator::Eq, &ScalarValue::Int32(Some(1))), None);
        let not_false = set_of(ValueType::Boolean, Operator::Eq, &ScalarValue::from(true)).unwrap();
        assert!(!not_false.contains(&[0]) && not_false.contains(&[1]) && not_false.contains(&[0xff]));
    }
}
