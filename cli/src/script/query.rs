//! Gets and scans (replay.md §6).

use super::error_map::ScriptError;
use super::family::all_if_max;
use super::filter::parse_filter;
use super::members::{self, Members, required, tuple};
use crate::selection::Selection;
use hregion::cell::{MAX_ROW_LEN, from_string_binary};
use hregion::{Get, Isolation, Scan, TimeRange};
use serde_json::Value;

/// A valid operation, or the exception with which HBase's client refuses to build it.
pub(super) type Parsed<T> = Result<T, ScriptError>;

/// A scan, with the data needed to name its errors.
#[derive(Debug)]
pub(super) struct ScanOf {
    pub(super) scan: Scan,
    /// Whether the scan is raw with columns, or reversed with families loaded on demand: HBase reports these
    /// with a separate exception.
    pub(super) has_own_error: bool,
}

/// Parses a get; `existence_only` is left for the caller.
pub(super) fn parse_get(members: &mut Members) -> Result<Parsed<Get>, String> {
    let row = required(members.bytes("row")?, "row")?;
    let versions = members.number("versions")?.unwrap_or(1);
    let versions = u32::try_from(versions).ok().filter(|&versions| versions > 0).ok_or(ScriptError::Io);
    let selection = parse_selection(members, versions)?;
    if row.is_empty() {
        return Ok(Err(ScriptError::IllegalArgument));
    }
    Ok(selection.map(|selection| selection.get(row)))
}

/// Parses a scan and consumes all its members.
pub(super) fn parse_scan(members: &mut Members) -> Result<Parsed<ScanOf>, String> {
    let reversed = members.flag("reversed", false)?;
    let start = members.bytes("start")?.unwrap_or_default();
    let include_start = members.flag("include_start", true)?;
    let stop = members.bytes("stop")?.unwrap_or_default();
    let include_stop = members.flag("include_stop", false)?;
    let prefix = members.bytes("prefix")?;
    let raw = members.flag("raw", false)?;
    // limits that are not positive are ignored
    let mut limit_of = |name| {
        Ok::<_, String>(members.number(name)?.and_then(|limit| u64::try_from(limit).ok()).unwrap_or(0))
    };
    let (limit, max_result_size) = (limit_of("limit")?, limit_of("max_result_size")?);
    let batch = u32::try_from(limit_of("batch")?).unwrap_or(u32::MAX);
    let caching = usize::try_from(limit_of("caching")?).unwrap_or(usize::MAX);
    let allow_partial = members.flag("allow_partial", false)?;
    // has no effect on answers: files are read in one way
    match members.text("read_type")?.as_deref() {
        None | Some("DEFAULT" | "PREAD" | "STREAM") => {}
        Some(_) => return Err("read_type: expected PREAD or STREAM".into()),
    }
    let versions = members.number("versions")?.unwrap_or(1);
    let count = u32::try_from(versions.max(0)).map_err(|_| ScriptError::IllegalArgument);
    let mut selection = match parse_selection(members, count)? {
        Ok(selection) => selection,
        Err(refusal) => return Ok(Err(refusal)),
    };
    if raw && versions < 0 {
        // Markers are returned until there are more versions than this number: here from the start.
        selection.family_time_ranges.clear();
        selection.time_range = TimeRange::new(0, 0).map_err(|error| error.to_string())?;
    }
    let rows = [Some(&start), Some(&stop), prefix.as_ref()];
    if rows.into_iter().flatten().any(|row| row.len() > MAX_ROW_LEN) {
        return Ok(Err(ScriptError::IllegalArgument));
    }
    let raw_columns = raw && selection.columns.iter().any(|(_, qualifier)| qualifier.is_some());
    let reversed_on_demand = reversed && selection.load_families_on_demand == Some(true);
    let scan = selection
        .scan()
        .raw(raw)
        .reversed(reversed)
        .batch(batch)
        .max_result_size(max_result_size)
        .allow_partial(allow_partial)
        .caching(caching);
    let scan = match prefix {
        Some(prefix) => scan.prefix(prefix),
        None => scan.start_row(start, include_start).stop_row(stop, include_stop),
    };
    Ok(Ok(ScanOf {
        scan: if limit > 0 { scan.limit(limit) } else { scan },
        has_own_error: raw_columns || reversed_on_demand,
    }))
}

/// Parses the members that gets and scans have in common, except for the number of versions.
fn parse_selection(members: &mut Members, versions: Parsed<u32>) -> Result<Parsed<Selection>, String> {
    let mut selection = Selection::default();
    for family in members.list_of("families", members::bytes)?.unwrap_or_default() {
        selection.columns.push((family, None));
    }
    for column in members.list("columns")?.unwrap_or_default() {
        let [family, qualifier] = tuple(column, "[family, qualifier]")?;
        selection.columns.push((members::bytes(family)?, Some(members::bytes(qualifier)?)));
    }
    let time_range = members.take("time_range").map(parse_range).transpose()?;
    let family_time_ranges = members.pairs("family_time_ranges")?;
    let store_limit = members.number("store_limit")?.unwrap_or(-1);
    let store_offset = members.number("store_offset")?.unwrap_or(0);
    // without the member, the default of the read applies
    let on_demand = members.take("load_on_demand");
    let on_demand = on_demand.map(|flag| flag.as_bool().ok_or("load_on_demand: expected true or false"));
    selection.load_families_on_demand = on_demand.transpose()?;
    let filter = parse_filter(members)?;
    selection.isolation = match members.text("isolation")?.as_deref() {
        None | Some("READ_COMMITTED") => Isolation::ReadCommitted,
        Some("READ_UNCOMMITTED") => Isolation::ReadUncommitted,
        Some(_) => return Err("isolation: expected READ_COMMITTED or READ_UNCOMMITTED".into()),
    };
    match versions {
        Ok(versions) => selection.versions = all_if_max(versions),
        Err(refusal) => return Ok(Err(refusal)),
    }
    match time_range {
        Some(Err(refusal)) => return Ok(Err(refusal)),
        Some(Ok(range)) => selection.time_range = range,
        None => {}
    }
    for (family, range) in family_time_ranges {
        match parse_range(range)? {
            Err(refusal) => return Ok(Err(refusal)),
            Ok(range) => selection.family_time_ranges.push((from_string_binary(&family), range)),
        }
    }
    match filter {
        Ok(filter) => selection.filter = filter,
        Err(refusal) => return Ok(Err(refusal)),
    }
    // A negative limit means none. HBase counts to the sum of both, so that a negative offset lowers it.
    let cells = |number: i64| u32::try_from(number.max(0)).unwrap_or(u32::MAX);
    let limit = (store_limit >= 0).then(|| cells(store_limit.saturating_add(store_offset.min(0))));
    selection.max_results_per_family = limit;
    selection.row_offset_per_family = cells(store_offset);
    Ok(Ok(selection))
}

/// Parses a time range; an invalid range is refused.
pub(super) fn parse_range(value: Value) -> Result<Parsed<TimeRange>, String> {
    let [min, max] = tuple(value, "[min, max]").map_err(|message| format!("time range: {message}"))?;
    let range = TimeRange::new(members::number(min)?, members::number(max)?);
    Ok(range.map_err(|_| ScriptError::IllegalArgument))
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::Filter;
    use serde_json::json;

    fn get(value: Value) -> Result<Parsed<Get>, String> {
        let mut members = Members::of(value, "a get")?;
        let get = parse_get(&mut members)?;
        members.end().map(|()| get)
    }

    fn scan(value: Value) -> Result<Parsed<Scan>, String> {
        let mut members = Members::of(value, "a scan")?;
        let scan = parse_scan(&mut members)?;
        members.end().map(|()| scan.map(|of| of.scan))
    }

    #[test]
    fn gets() {
        assert_eq!(get(json!({"row": "r"})), Ok(Ok(Get::new("r"))));
        let range = |min, max| TimeRange::new(min, max).unwrap();
        let all = json!({"row": "\\xFF", "families": ["f"], "columns": [["g", "a"], ["f", "b"]],
            "versions": 2_147_483_647, "time_range": [1, i64::MAX], "family_time_ranges": {"\\x01": [2, 3]},
            "store_limit": 0, "store_offset": 2, "isolation": "READ_UNCOMMITTED", "load_on_demand": true});
        let expected = Get::new(&b"\xff"[..])
            .family("f")
            .column("g", "a")
            .column("f", "b")
            .max_versions(u32::MAX)
            .time_range(range(1, i64::MAX))
            .family_time_range(&b"\x01"[..], range(2, 3))
            .max_results_per_family(0)
            .row_offset_per_family(2)
            .isolation(Isolation::ReadUncommitted)
            .load_families_on_demand(true);
        assert_eq!(get(all), Ok(Ok(expected)));
        assert_eq!(get(json!({"row": "r", "store_limit": -1})), Ok(Ok(Get::new("r"))));
    }

    /// HBase's client checks the row first, then the versions, the time ranges and the filter.
    #[test]
    fn gets_are_refused_with_the_first_error_of_hbase() {
        let pattern = json!({"row": {"op": "=", "cmp": "regexstring:("}});
        for (refused, expected) in [
            (json!({"row": "", "versions": 0}), ScriptError::IllegalArgument),
            (json!({"row": "r", "versions": 0, "time_range": [5, 4]}), ScriptError::Io),
            (json!({"row": "r", "versions": -1, "filter": "PageFilter("}), ScriptError::Io),
            (json!({"row": "r", "time_range": [5, 4], "filter": pattern}), ScriptError::IllegalArgument),
            (json!({"row": "r", "filter": pattern}), ScriptError::PatternSyntax),
        ] {
            assert_eq!(get(refused.clone()), Ok(Err(expected)), "{refused}");
        }
    }

    #[test]
    fn scans() {
        assert_eq!(scan(json!({})), Ok(Ok(Scan::new())));
        assert_eq!(
            scan(json!({"start": "a", "include_start": false, "stop": "c", "include_stop": true, "limit": 3,
                "raw": true, "caching": 2, "read_type": "PREAD", "versions": 2})),
            Ok(Ok(Scan::new()
                .start_row("a", false)
                .stop_row("c", true)
                .limit(3)
                .raw(true)
                .caching(2)
                .max_versions(2)))
        );
        let prefix = json!({"prefix": "ab", "start": "x", "limit": 0, "batch": 0, "reversed": false});
        assert_eq!(scan(prefix), Ok(Ok(Scan::new().prefix("ab"))));
        let reversed = json!({"start": "x", "stop": "a", "reversed": true});
        let expected = Scan::new().start_row("x", true).stop_row("a", false).reversed(true);
        assert_eq!(scan(reversed), Ok(Ok(expected)));
    }

    /// HBase: `Scan.readVersions` and `Scan.setRowOffsetPerColumnFamily` take any number.
    #[test]
    fn numbers_of_scans_may_be_negative() {
        let none = Scan::new().max_versions(0);
        assert_eq!(scan(json!({"versions": 0})), Ok(Ok(none.clone())));
        assert_eq!(scan(json!({"versions": -3})), Ok(Ok(none.clone())));
        let nothing = none.raw(true).time_range(TimeRange::new(0, 0).unwrap());
        let ranges = json!({"f": [1, 2]});
        assert_eq!(scan(json!({"versions": -1, "raw": true, "family_time_ranges": ranges})), Ok(Ok(nothing)));
        assert_eq!(scan(json!({"store_offset": -1})), Ok(Ok(Scan::new())));
        for (limit, expected) in [(3, 2), (1, 0), (0, 0)] {
            assert_eq!(
                scan(json!({"store_limit": limit, "store_offset": -1})),
                Ok(Ok(Scan::new().max_results_per_family(expected))),
                "{limit}"
            );
        }
    }

    #[test]
    fn scans_with_errors_of_their_own_are_known() {
        let has_own_error = |value| {
            let mut members = Members::of(value, "a scan").unwrap();
            parse_scan(&mut members).unwrap().unwrap().has_own_error
        };
        assert!(has_own_error(json!({"raw": true, "columns": [["f", "q"]]})));
        assert!(!has_own_error(json!({"raw": true, "families": ["f"]})));
        assert!(!has_own_error(json!({"columns": [["f", "q"]]})));
        assert!(has_own_error(json!({"reversed": true, "load_on_demand": true})));
        assert!(!has_own_error(json!({"reversed": true})));
    }

    #[test]
    fn filters_and_limits() {
        assert_eq!(
            scan(
                json!({"filter": "KeyOnlyFilter()", "batch": 2, "max_result_size": 28, "allow_partial": true,
                "caching": 3, "load_on_demand": true})
            ),
            Ok(Ok(Scan::new()
                .filter(Filter::key_only(false))
                .batch(2)
                .max_result_size(28)
                .allow_partial(true)
                .caching(3)
                .load_families_on_demand(true)))
        );
        assert_eq!(scan(json!({"batch": 0, "max_result_size": -1})), Ok(Ok(Scan::new())));
        let read = json!({"row": "r", "filter": {"skip": "PageFilter(1)"}, "load_on_demand": false});
        let filter = Filter::skip(Filter::page(1)).unwrap();
        assert_eq!(get(read), Ok(Ok(Get::new("r").filter(filter).load_families_on_demand(false))));
    }

    #[test]
    fn scans_that_hbase_rejects_are_illegal_arguments() {
        let long = "r".repeat(MAX_ROW_LEN + 1);
        for member in [
            json!({"start": long}),
            json!({"stop": long}),
            json!({"prefix": long}),
            json!({"time_range": [5, 4]}),
            json!({"time_range": [-1, 4]}),
            json!({"family_time_ranges": {"f": [5, 4]}}),
            json!({"filter": "PageFilter"}),
        ] {
            assert_eq!(scan(member.clone()), Ok(Err(ScriptError::IllegalArgument)), "{member}");
        }
    }

    #[test]
    fn wrong_members_are_named() {
        assert_eq!(scan(json!({"row": "r"})), Err("row: there is no such member here".into()));
        assert_eq!(scan(json!({"read_type": 1})), Err("read_type: expected a string".into()));
        assert_eq!(get(json!({})), Err("row: missing".into()));
        assert!(scan(json!({"columns": [["f"]]})).is_err() && scan(json!({"isolation": "NONE"})).is_err());
    }
}
