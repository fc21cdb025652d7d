//! Filters (replay.md §7): an expression of HBase's filter language, or an object for filters it cannot
//! express.

use super::error_map::ScriptError;
use super::members::{self, Members, required, tuple};
use super::query::Parsed;
use hregion::filter::{BitOperator, SingleColumnValue};
use hregion::{Comparator, Compare, ErrorKind, Filter};
use serde_json::Value;
use std::ops::Bound;

/// The reason that a filter could not be built.
#[derive(Debug)]
enum BuildError {
    /// The value is invalid in a script.
    Wrong(String),
    /// HBase refuses to build the filter.
    Refused(ScriptError),
}

impl From<String> for BuildError {
    fn from(wrong: String) -> Self {
        Self::Wrong(wrong)
    }
}

impl From<hregion::Error> for BuildError {
    fn from(error: hregion::Error) -> Self {
        error_of_value(&error, ScriptError::IllegalArgument)
    }
}

/// Returns the reason of an error for which HBase has the exception `refusal`.
fn error_of_value(error: &hregion::Error, refusal: ScriptError) -> BuildError {
    BuildError::Refused(match error.kind() {
        // a regular expression of Java's that cannot be executed here
        ErrorKind::Unsupported => ScriptError::Unsupported,
        _ => refusal,
    })
}

type BuildResult<T> = Result<T, BuildError>;

/// Takes the filter of a read, if any.
pub(super) fn parse_filter(members: &mut Members) -> Result<Parsed<Option<Filter>>, String> {
    match members.take("filter").map(make).transpose() {
        Ok(filter) => Ok(Ok(filter)),
        Err(BuildError::Refused(refusal)) => Ok(Err(refusal)),
        Err(BuildError::Wrong(wrong)) => Err(format!("filter: {wrong}")),
    }
}

fn make(value: Value) -> BuildResult<Filter> {
    match value {
        Value::String(_) => Ok(Filter::parse(members::bytes(value)?)?),
        Value::Object(members) if members.len() == 1 => {
            let (name, value) = members.into_iter().next().ok_or_else(|| "expected one member".to_owned())?;
            make_named(&name, value).map_err(|unmade| match unmade {
                BuildError::Wrong(wrong) => BuildError::Wrong(format!("{name}: {wrong}")),
                refused => refused,
            })
        }
        _ => Err("expected an expression, or an object of one member".to_owned().into()),
    }
}

fn make_named(name: &str, value: Value) -> BuildResult<Filter> {
    Ok(match name {
        "and" => Filter::all(list_of(value, make)?)?,
        "or" => Filter::any(list_of(value, make)?)?,
        "skip" => Filter::skip(make(value)?)?,
        "while" => Filter::while_match(make(value)?)?,
        "row" => compared(value, Filter::row)?,
        "family" => compared(value, Filter::family)?,
        "qualifier" => compared(value, Filter::qualifier)?,
        "value" => compared(value, Filter::value)?,
        "single_column" => single_column(value)?,
        "column_value" => with_members(value, |members| {
            let (family, qualifier) = column(members)?;
            let (compare, comparator) = required(condition(members)?, "op")?;
            Ok(Filter::column_value(family, qualifier, compare, comparator))
        })?,
        "dependent" => with_members(value, |members| {
            let (family, qualifier) = column(members)?;
            let drop = members.flag("drop", false)?;
            Ok(Filter::dependent_column(family, qualifier, drop, condition(members)?))
        })?,
        "fuzzy_row" => Filter::fuzzy_row(list_of(value, |pair| {
            let [key, mask] = tuple(pair, "[key, mask]")?;
            Ok((members::bytes(key)?, members::bytes(mask)?))
        })?)?,
        "row_ranges" => Filter::row_ranges(list_of(value, |range| {
            let [start, include_start, stop, include_stop] = tuple(range, RANGE)?;
            Ok((bound(start, include_start)?, bound(stop, include_stop)?))
        })?)?,
        "row_prefixes" => Filter::row_prefixes(list_of(value, |prefix| Ok(members::bytes(prefix)?))?)?,
        "column_page" => with_members(value, |members| {
            let limit = required(members.number("limit")?, "limit")?;
            let limit =
                u32::try_from(limit).map_err(|_| BuildError::Refused(ScriptError::IllegalArgument))?;
            Ok(Filter::column_page(limit, required(members.bytes("column")?, "column")?))
        })?,
        "column_range" => {
            let [min, include_min, max, include_max] = tuple(value, RANGE)?;
            let end = |value: Value| match value {
                Value::Null => Ok(None),
                value => members::bytes(value).map(|bytes| Some(bytes.into())),
            };
            Filter::column_range(end(min)?, flag(&include_min)?, end(max)?, flag(&include_max)?)
        }
        "timestamps" => with_members(value, |members| {
            let list = required(members.list_of("list", members::number)?, "list")?;
            Ok(Filter::timestamps(list, members.flag("can_hint", false)?)?)
        })?,
        _ => return Err("there is no such filter".to_owned().into()),
    })
}

const RANGE: &str = "[start, inclusive, stop, inclusive]";

fn single_column(value: Value) -> BuildResult<Filter> {
    with_members(value, |members| {
        let (family, qualifier) = column(members)?;
        let (compare, comparator) = required(condition(members)?, "op")?;
        let condition = SingleColumnValue::new(family, qualifier, compare, comparator)
            .filter_if_missing(members.flag("if_missing", false)?)
            .latest_version_only(members.flag("latest", true)?)
            .exclude(members.flag("exclude", false)?);
        Ok(Filter::single_column_value(condition))
    })
}

/// Builds a filter that consists of a comparison.
fn compared(value: Value, make: fn(Compare, Comparator) -> Filter) -> BuildResult<Filter> {
    with_members(value, |members| {
        let (compare, comparator) = required(condition(members)?, "op")?;
        Ok(make(compare, comparator))
    })
}

fn column(members: &mut Members) -> BuildResult<(Vec<u8>, Vec<u8>)> {
    let family = required(members.bytes("family")?, "family")?;
    Ok((family, members.bytes("qualifier")?.unwrap_or_default()))
}

/// Takes an operator and its comparator, if there is an operator.
fn condition(members: &mut Members) -> BuildResult<Option<(Compare, Comparator)>> {
    let (op, comparator) = (members.text("op")?, members.take("cmp"));
    let Some(op) = op else {
        return match comparator {
            None => Ok(None),
            Some(_) => Err("op: missing".to_owned().into()),
        };
    };
    let compare =
        Compare::from_symbol(&op).ok_or_else(|| "op: expected one of < <= = != >= > NO_OP".to_owned())?;
    Ok(Some((compare, make_comparator(required(comparator, "cmp")?)?)))
}

fn make_comparator(value: Value) -> BuildResult<Comparator> {
    if let Some(text) = value.as_str() {
        // Patterns are strings, in which a backslash is the pattern's own.
        let kinds = ["regexstring:", "regexstringnocase:", "substring:"];
        if kinds.iter().any(|kind| text.starts_with(kind)) {
            return Comparator::parse(text)
                .map_err(|error| error_of_value(&error, ScriptError::PatternSyntax));
        }
        return Ok(Comparator::parse(members::bytes(value)?)?);
    }
    with_members(value, |members| {
        if let Some(bytes) = members.bytes("bit")? {
            let operator = match members.text("mode")?.as_deref() {
                Some("AND") => BitOperator::And,
                Some("OR") => BitOperator::Or,
                Some("XOR") => BitOperator::Xor,
                _ => return Err("mode: expected AND, OR or XOR".to_owned().into()),
            };
            return Ok(Comparator::bit(bytes, operator));
        }
        if let Some(number) = members.number("long")? {
            return Ok(Comparator::long(number));
        }
        if let Some(number) = members.text("decimal")? {
            return Comparator::decimal(&number)
                .map_err(|error| error_of_value(&error, ScriptError::NumberFormat));
        }
        if members.flag("null", false)? {
            return Ok(Comparator::null());
        }
        if let Some(bytes) = members.bytes("component")? {
            let offset = members.number("offset")?.unwrap_or(0);
            let offset =
                usize::try_from(offset).map_err(|_| BuildError::Refused(ScriptError::IllegalArgument))?;
            return Ok(Comparator::binary_component(bytes, offset));
        }
        Err("cmp: there is no such comparator".to_owned().into())
    })
}

/// Reads an object and requires that all its members are consumed.
fn with_members<T>(value: Value, read: impl FnOnce(&mut Members) -> BuildResult<T>) -> BuildResult<T> {
    let mut members = Members::of(value, "its members")?;
    let made = read(&mut members)?;
    members.end()?;
    Ok(made)
}

fn list_of<T>(value: Value, read: impl FnMut(Value) -> BuildResult<T>) -> BuildResult<Vec<T>> {
    members::list(value)?.into_iter().map(read).collect()
}

fn bound(row: Value, include: Value) -> BuildResult<Bound<Vec<u8>>> {
    let row = if row.is_null() { Vec::new() } else { members::bytes(row)? };
    Ok(if flag(&include)? { Bound::Included(row) } else { Bound::Excluded(row) })
}

fn flag(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| "expected true or false".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filter(value: Value) -> Result<Parsed<Option<Filter>>, String> {
        parse_filter(&mut Members::of(json!({"filter": value}), "it").unwrap())
    }

    #[test]
    fn each_object_is_a_filter() {
        let binary = || Comparator::binary("v");
        let fuzzy = Filter::fuzzy_row([(b"a\0", b"\0\x01")]).unwrap();
        let ranges = [(Bound::Included(&b"a"[..]), Bound::Excluded(&b"c"[..]))];
        let single = SingleColumnValue::new("f", "q", Compare::Less, binary());
        for (value, expected) in [
            (json!("PageFilter(3)"), Filter::page(3)),
            (
                json!("ValueFilter(=, 'binary:\\x00')"),
                Filter::value(Compare::Equal, Comparator::binary(&b"\0"[..])),
            ),
            (
                json!({"and": [{"or": []}, "KeyOnlyFilter()"]}),
                Filter::all([Filter::any([]).unwrap(), Filter::key_only(false)]).unwrap(),
            ),
            (
                json!({"skip": {"while": "KeyOnlyFilter()"}}),
                Filter::skip(Filter::while_match(Filter::key_only(false)).unwrap()).unwrap(),
            ),
            (json!({"row": {"op": "=", "cmp": "binary:v"}}), Filter::row(Compare::Equal, binary())),
            (
                json!({"family": {"op": "NO_OP", "cmp": {"null": true}}}),
                Filter::family(Compare::NoOp, Comparator::null()),
            ),
            (
                json!({"value": {"op": "=", "cmp": "regexstring:a\\x2Eb"}}),
                Filter::value(Compare::Equal, Comparator::parse(&br"regexstring:a\x2Eb"[..]).unwrap()),
            ),
            (
                json!({"qualifier": {"op": "!=", "cmp": {"bit": "\\x01", "mode": "XOR"}}}),
                Filter::qualifier(Compare::NotEqual, Comparator::bit(&b"\x01"[..], BitOperator::Xor)),
            ),
            (
                json!({"value": {"op": ">=", "cmp": {"long": -1}}}),
                Filter::value(Compare::GreaterOrEqual, Comparator::long(-1)),
            ),
            (
                json!({"value": {"op": ">", "cmp": {"decimal": "1.5"}}}),
                Filter::value(Compare::Greater, Comparator::decimal("1.5").unwrap()),
            ),
            (
                json!({"row": {"op": "<", "cmp": {"component": "v", "offset": 2}}}),
                Filter::row(Compare::Less, Comparator::binary_component("v", 2)),
            ),
            (
                json!({"single_column": {"family": "f", "qualifier": "q", "op": "<", "cmp": "binary:v"}}),
                Filter::single_column_value(single.clone()),
            ),
            (
                json!({"single_column": {"family": "f", "qualifier": "q", "op": "<", "cmp": "binary:v",
                "if_missing": true, "latest": false, "exclude": true}}),
                Filter::single_column_value(
                    single.filter_if_missing(true).latest_version_only(false).exclude(true),
                ),
            ),
            (
                json!({"column_value": {"family": "f", "qualifier": "", "op": "=", "cmp": "binary:v"}}),
                Filter::column_value("f", "", Compare::Equal, binary()),
            ),
            (json!({"dependent": {"family": "f"}}), Filter::dependent_column("f", "", false, None)),
            (
                json!({"dependent": {
                    "family": "f", "qualifier": "q", "drop": true, "op": "=", "cmp": "binary:v",
                }}),
                Filter::dependent_column("f", "q", true, Some((Compare::Equal, binary()))),
            ),
            (json!({"fuzzy_row": [["a\\x00", "\\x00\\x01"]]}), fuzzy),
            (json!({"row_ranges": [["a", true, "c", false]]}), Filter::row_ranges(ranges).unwrap()),
            (json!({"row_prefixes": ["a", "b"]}), Filter::row_prefixes(["a", "b"]).unwrap()),
            (json!({"column_page": {"limit": 2, "column": "d"}}), Filter::column_page(2, "d")),
            (
                json!({"column_range": [null, true, "c", false]}),
                Filter::column_range(None, true, Some("c".into()), false),
            ),
            (
                json!({"timestamps": {"list": [3, 1], "can_hint": true}}),
                Filter::timestamps([1, 3], true).unwrap(),
            ),
        ] {
            assert_eq!(filter(value.clone()), Ok(Ok(Some(expected))), "{value}");
        }
        assert_eq!(filter(Value::Null), Ok(Ok(None)));
    }

    #[test]
    fn unsupported_patterns_are_reported_as_unsupported() {
        let cluster = json!({"value": {"op": "=", "cmp": "regexstring:\\X"}});
        assert_eq!(filter(cluster), Ok(Err(ScriptError::Unsupported)));
        let in_words = json!("ValueFilter(=, 'regexstring:(?u)a')");
        assert_eq!(filter(in_words), Ok(Err(ScriptError::Unsupported)));
    }

    #[test]
    fn filters_that_hbase_rejects_are_illegal_arguments() {
        for value in [
            json!("PageFilter("),
            json!({"and": ["NoFilter()"]}),
            json!({"value": {"op": "=", "cmp": "nothing:v"}}),
            json!({"fuzzy_row": [["ab", "\\x00"]]}),
            json!({"fuzzy_row": []}),
            json!({"row_ranges": [["c", true, "a", true]]}),
            json!({"timestamps": {"list": [-1]}}),
            json!({"column_page": {"limit": -1, "column": ""}}),
        ] {
            assert_eq!(filter(value.clone()), Ok(Err(ScriptError::IllegalArgument)), "{value}");
        }
    }

    /// The filter language has one exception for all of them.
    #[test]
    fn invalid_values_of_comparators_have_exceptions_of_their_own() {
        for (comparator, expected) in [
            (json!("regexstring:("), ScriptError::PatternSyntax),
            (json!("regexstringnocase:[a"), ScriptError::PatternSyntax),
            (json!({"decimal": "x"}), ScriptError::NumberFormat),
        ] {
            let value = json!({"and": [{"value": {"op": "=", "cmp": comparator}}]});
            assert_eq!(filter(value), Ok(Err(expected)));
        }
        let in_words = json!("ValueFilter(=,'regexstring:(')");
        assert_eq!(filter(in_words), Ok(Err(ScriptError::IllegalArgument)));
    }

    #[test]
    fn errors_name_the_wrong_member() {
        for (value, expected) in [
            (json!(5), "filter: expected an expression, or an object of one member"),
            (json!({"page": 3}), "filter: page: there is no such filter"),
            (json!({"and": [{"value": {"op": "=="}}]}), "filter: and: value: op: expected one of"),
            (json!({"value": {"op": "=", "cmp": {}}}), "filter: value: cmp: there is no such comparator"),
            (
                json!({"row": {"op": "=", "cmp": "binary:", "not": 1}}),
                "filter: row: not: there is no such member",
            ),
        ] {
            assert!(filter(value.clone()).unwrap_err().starts_with(expected), "{value}");
        }
    }
}
