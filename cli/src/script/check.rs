//! Conditional mutations (replay.md §4).

use super::error_map::ScriptError;
use super::filter::parse_filter;
use super::members::{Members, required};
use super::mutation::{parse_mutations, parse_time_range};
use super::query::Parsed;
use hregion::{CheckAndMutate, Compare, Mutation, Put};

/// A conditional write.
#[derive(Debug)]
pub(super) struct Check {
    pub(super) check: CheckAndMutate,
    /// The family of the condition, if that is on a column.
    pub(super) family: Option<Vec<u8>>,
    /// Whether a mutation writes anything. If not, the only one is a put to a family that does not exist: a
    /// region looks for it only if the condition holds.
    pub(super) writes: bool,
}

/// Parses a condition and its mutations.
pub(super) fn parse_check(members: &mut Members) -> Result<Parsed<Check>, String> {
    let row = required(members.bytes("row")?, "row")?;
    let mutations = parse_mutations(&row, ScriptError::IllegalArgument, members)?;
    let time_range = parse_time_range(members)?;
    let (check, family) = match parse_filter(members)? {
        Err(refusal) => return Ok(Err(refusal)),
        Ok(Some(filter)) => (CheckAndMutate::if_filter(row, filter), None),
        Ok(None) => {
            let family = required(members.bytes("family")?, "family")?;
            let qualifier = members.bytes("qualifier")?.unwrap_or_default();
            let compare = Compare::from_symbol(&required(members.text("compare")?, "compare")?)
                .ok_or("compare: expected one of < <= = != >= >")?;
            let value = members.bytes("value")?.unwrap_or_default();
            (CheckAndMutate::if_matches(row, family.clone(), qualifier, compare, value), Some(family))
        }
    };
    let (mutations, time_range) = match (mutations, time_range) {
        (Ok(mutations), Ok(time_range)) => (mutations, time_range),
        (_, Err(refusal)) | (Err(refusal), _) => return Ok(Err(refusal)),
    };
    let mut mutations: Vec<Mutation> = mutations.into_iter().flatten().collect();
    let writes = !mutations.is_empty();
    if !writes {
        mutations.push(Put::new(check.row().to_vec()).cell("", "", "").into());
    }
    let check = mutations.into_iter().fold(check.time_range(time_range), CheckAndMutate::then);
    Ok(Ok(Check { check, family, writes }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::{Filter, TimeRange};
    use serde_json::{Value, json};

    fn check(value: Value) -> Result<Parsed<CheckAndMutate>, String> {
        let mut members = Members::of(value, "a check")?;
        let check = parse_check(&mut members)?;
        members.end().map(|()| check.map(|of| of.check))
    }

    #[test]
    fn conditions() {
        let put = json!([{"op": "put", "cells": [["f", "q", 1, "v"]]}]);
        let object = json!({"row": "r", "family": "f", "qualifier": "", "compare": ">=", "value": "x",
            "time_range": [0, 5], "mutations": put});
        let put_of_r = || Put::new("r").cell_at("f", "q", 1, "v");
        let range = TimeRange::new(0, 5).unwrap();
        let expected = CheckAndMutate::if_matches("r", "f", "", Compare::GreaterOrEqual, "x");
        assert_eq!(check(object.clone()), Ok(Ok(expected.time_range(range).then(put_of_r()))));

        let with = |name: &str, value: Value| {
            let mut object = object.clone();
            object[name] = value;
            check(object)
        };
        let missing = CheckAndMutate::if_matches("r", "f", "", Compare::GreaterOrEqual, "");
        assert_eq!(with("value", Value::Null), Ok(Ok(missing.time_range(range).then(put_of_r()))));
        assert_eq!(with("qualifier", Value::Null), check(object.clone()));
        assert_eq!(with("time_range", json!([5, 0])), Ok(Err(ScriptError::IllegalArgument)));
        for (name, wrong) in [("compare", json!("==")), ("row", Value::Null), ("mutations", json!({}))] {
            assert!(with(name, wrong).is_err(), "{name}");
        }
        let filter = json!({"row": "r", "filter": "KeyOnlyFilter()", "mutations": put});
        let expected = CheckAndMutate::if_filter("r", Filter::key_only(false)).then(put_of_r());
        assert_eq!(check(filter), Ok(Ok(expected)));
        let filter = json!({"row": "r", "filter": "KeyOnly", "mutations": put});
        assert_eq!(check(filter), Ok(Err(ScriptError::IllegalArgument)));
    }
}
