//! The filters of the language, by name.

use super::argument::Arguments;
use crate::error::Result;
use crate::filter::{Filter, SingleColumnValue};
use bytes::Bytes;

/// Builds a filter from its arguments, consuming all of them.
pub(super) type Build = fn(&mut Arguments) -> Result<Filter>;

/// Returns the builder of the named filter.
pub(super) fn find(name: &[u8]) -> Option<Build> {
    FILTERS.iter().find(|(known, _)| known.as_bytes() == name).map(|(_, build)| *build)
}

const FILTERS: [(&str, Build); 19] = [
    ("KeyOnlyFilter", |arguments| {
        Ok(Filter::key_only(arguments.count(&[0, 1])? == 1 && arguments.boolean()?))
    }),
    ("FirstKeyOnlyFilter", |arguments| arguments.count(&[0]).map(|_| Filter::first_key_only())),
    ("PrefixFilter", |arguments| one_text(arguments).map(Filter::prefix)),
    ("ColumnPrefixFilter", |arguments| one_text(arguments).map(Filter::column_prefix)),
    ("InclusiveStopFilter", |arguments| one_text(arguments).map(Filter::inclusive_stop)),
    ("MultipleColumnPrefixFilter", |arguments| {
        let mut prefixes = Vec::new();
        while !arguments.is_empty() {
            prefixes.push(arguments.text()?);
        }
        Filter::column_prefixes(prefixes).map_err(|error| arguments.wrong(&error.message()))
    }),
    ("ColumnCountGetFilter", |arguments| {
        arguments.count(&[1])?;
        arguments.int().map(Filter::column_count)
    }),
    ("PageFilter", |arguments| {
        arguments.count(&[1])?;
        arguments.long().map(Filter::page)
    }),
    ("ColumnPaginationFilter", |arguments| {
        arguments.count(&[2])?;
        Ok(Filter::column_pagination(arguments.int()?, arguments.int()?))
    }),
    ("TimestampsFilter", |arguments| {
        let mut timestamps = Vec::new();
        while !arguments.is_empty() {
            timestamps.push(arguments.long()?.cast_signed());
        }
        Filter::timestamps(timestamps, false)
    }),
    ("RowFilter", |arguments| {
        arguments.count(&[2])?;
        arguments.comparison().map(|(compare, comparator)| Filter::row(compare, comparator))
    }),
    ("FamilyFilter", |arguments| {
        arguments.count(&[2])?;
        arguments.comparison().map(|(compare, comparator)| Filter::family(compare, comparator))
    }),
    ("QualifierFilter", |arguments| {
        arguments.count(&[2])?;
        arguments.comparison().map(|(compare, comparator)| Filter::qualifier(compare, comparator))
    }),
    ("ValueFilter", |arguments| {
        arguments.count(&[2])?;
        arguments.comparison().map(|(compare, comparator)| Filter::value(compare, comparator))
    }),
    ("ColumnRangeFilter", |arguments| {
        arguments.count(&[4])?;
        let open = |text: Vec<u8>| (!text.is_empty()).then(|| Bytes::from(text));
        let (min, include_min) = (open(arguments.text()?), arguments.boolean()?);
        let (max, include_max) = (open(arguments.text()?), arguments.boolean()?);
        Ok(Filter::column_range(min, include_min, max, include_max))
    }),
    ("SingleColumnValueFilter", |arguments| single_column_value(arguments, false)),
    ("SingleColumnValueExcludeFilter", |arguments| single_column_value(arguments, true)),
    ("ColumnValueFilter", |arguments| {
        arguments.count(&[4])?;
        let (family, qualifier) = (arguments.text()?, arguments.text()?);
        let (compare, comparator) = arguments.comparison()?;
        Ok(Filter::column_value(family, qualifier, compare, comparator))
    }),
    ("DependentColumnFilter", |arguments| {
        let count = arguments.count(&[2, 3, 5])?;
        let (family, qualifier) = (arguments.text()?, arguments.text()?);
        let drop_dependent = count > 2 && arguments.boolean()?;
        let condition = if count > 3 { Some(arguments.comparison()?) } else { None };
        Ok(Filter::dependent_column(family, qualifier, drop_dependent, condition))
    }),
];

fn one_text(arguments: &mut Arguments) -> Result<Vec<u8>> {
    arguments.count(&[1])?;
    arguments.text()
}

fn single_column_value(arguments: &mut Arguments, exclude: bool) -> Result<Filter> {
    let count = arguments.count(&[4, 6])?;
    let (family, qualifier) = (arguments.text()?, arguments.text()?);
    let (compare, comparator) = arguments.comparison()?;
    let mut condition = SingleColumnValue::new(family, qualifier, compare, comparator).exclude(exclude);
    if count == 6 {
        condition =
            condition.filter_if_missing(arguments.boolean()?).latest_version_only(arguments.boolean()?);
    }
    Ok(Filter::single_column_value(condition))
}
