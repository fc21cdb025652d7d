//! Filters as messages.

use super::{PACKAGE, comparator, compare_number};
use crate::error::{Error, Result};
use crate::filter::description::Kind;
use crate::filter::fuzzy::FuzzyKey;
use crate::filter::ranges::RowRange;
use crate::filter::{Comparator, Compare, Filter, SingleColumnValue};
use crate::proto::filter as proto;
use bytes::Bytes;
use prost::Message;

/// Encodes a filter. Filters nest no deeper than [`MAX_DEPTH`](crate::filter::MAX_DEPTH).
pub(super) fn filter(filter: &Filter) -> Result<proto::Filter> {
    let (class, bytes) = match &*filter.kind {
        Kind::Row(filter) => ("RowFilter", comparison(filter.compare, &filter.comparator)?),
        Kind::Family(filter) => ("FamilyFilter", comparison(filter.compare, &filter.comparator)?),
        Kind::Qualifier(filter) => ("QualifierFilter", comparison(filter.compare, &filter.comparator)?),
        Kind::Value(filter) => ("ValueFilter", comparison(filter.compare, &filter.comparator)?),
        Kind::DependentColumn(filter) => {
            let (compare, comparator) = match &filter.condition {
                Some((compare, comparator)) => (*compare, Some(comparator)),
                None => (Compare::NoOp, None),
            };
            let message = proto::DependentColumnFilter {
                compare_filter: Some(compare_filter(compare, comparator)?),
                column_family: Some(filter.column.family.clone()),
                column_qualifier: Some(filter.column.qualifier.clone()),
                drop_dependent_column: Some(filter.drop_dependent),
            };
            ("DependentColumnFilter", message.encode_to_vec())
        }
        Kind::SingleColumnValue(filter) if filter.exclude => {
            let message =
                proto::SingleColumnValueExcludeFilter { single_column_value_filter: Some(single(filter)?) };
            ("SingleColumnValueExcludeFilter", message.encode_to_vec())
        }
        Kind::SingleColumnValue(filter) => ("SingleColumnValueFilter", single(filter)?.encode_to_vec()),
        Kind::ColumnValue(filter) => {
            let message = proto::ColumnValueFilter {
                family: Some(filter.column.family.clone()),
                qualifier: Some(filter.column.qualifier.clone()),
                compare_op: compare_number(filter.compare),
                comparator: Some(comparator::write(&filter.comparator)?),
            };
            ("ColumnValueFilter", message.encode_to_vec())
        }
        Kind::Skip(filter) => ("SkipFilter", wrapped(filter)?),
        Kind::WhileMatch(filter) => ("WhileMatchFilter", wrapped(filter)?),
        Kind::And(filters) => ("FilterList", list(1, filters)?),
        Kind::Or(filters) => ("FilterList", list(2, filters)?),
        kind => leaf(kind)?,
    };
    Ok(proto::Filter { name: Some(format!("{PACKAGE}{class}")), serialized: Some(bytes.into()) })
}

fn comparison(compare: Compare, comparator: &Comparator) -> Result<Vec<u8>> {
    let compare_filter = Some(compare_filter(compare, Some(comparator))?);
    Ok(proto::ComparisonFilter { compare_filter }.encode_to_vec())
}

fn compare_filter(compare: Compare, comparator: Option<&Comparator>) -> Result<proto::CompareFilter> {
    let comparator = comparator.map(comparator::write).transpose()?;
    Ok(proto::CompareFilter { compare_op: compare_number(compare), comparator })
}

fn single(filter: &SingleColumnValue) -> Result<proto::SingleColumnValueFilter> {
    Ok(proto::SingleColumnValueFilter {
        column_family: Some(filter.column.family.clone()),
        column_qualifier: Some(filter.column.qualifier.clone()),
        compare_op: compare_number(filter.compare),
        comparator: Some(comparator::write(&filter.comparator)?),
        filter_if_missing: Some(filter.filter_if_missing),
        latest_version_only: Some(filter.latest_version_only),
    })
}

fn wrapped(inner: &Filter) -> Result<Vec<u8>> {
    Ok(proto::WrappingFilter { filter: Some(filter(inner)?) }.encode_to_vec())
}

fn list(operator: i32, filters: &[Filter]) -> Result<Vec<u8>> {
    let filters = filters.iter().map(filter).collect::<Result<_>>()?;
    Ok(proto::FilterList { operator: Some(operator), filters }.encode_to_vec())
}

/// Returns the class and the message of a filter without inner filters or comparators.
fn leaf(kind: &Kind) -> Result<(&'static str, Vec<u8>)> {
    let one = |value: &Bytes| proto::BytesFilter { value: Some(value.clone()) }.encode_to_vec();
    let many = |values: &[Bytes]| proto::ManyBytesFilter { values: values.to_vec() }.encode_to_vec();
    Ok(match kind {
        Kind::Prefix(filter) => ("PrefixFilter", one(&filter.prefix)),
        Kind::ColumnPrefix(filter) => ("ColumnPrefixFilter", one(&filter.prefix)),
        Kind::InclusiveStop(filter) => ("InclusiveStopFilter", one(&filter.stop)),
        Kind::MultipleColumnPrefix(filter) => ("MultipleColumnPrefixFilter", many(&filter.prefixes)),
        Kind::FirstKeyMatching(filter) => ("FirstKeyValueMatchingQualifiersFilter", many(&filter.qualifiers)),
        Kind::Page(filter) => {
            let page_size = i64::try_from(filter.rows).map_err(|_| too_large("PageFilter"))?;
            ("PageFilter", proto::PageFilter { page_size: Some(page_size) }.encode_to_vec())
        }
        Kind::ColumnCountGet(filter) => {
            let class = "ColumnCountGetFilter";
            (class, proto::ColumnCountGetFilter { limit: Some(int(class, filter.columns)?) }.encode_to_vec())
        }
        Kind::ColumnPagination(filter) => pagination(filter.limit, Some(filter.offset), None)?,
        Kind::ColumnPage(filter) => pagination(filter.limit, None, Some(filter.column.clone()))?,
        Kind::ColumnRange(filter) => {
            let message = proto::ColumnRangeFilter {
                min_column: filter.min.clone(),
                min_column_inclusive: Some(filter.include_min),
                max_column: filter.max.clone(),
                max_column_inclusive: Some(filter.include_max),
            };
            ("ColumnRangeFilter", message.encode_to_vec())
        }
        Kind::FirstKeyOnly(_) => ("FirstKeyOnlyFilter", Vec::new()),
        Kind::KeyOnly(filter) => {
            ("KeyOnlyFilter", proto::KeyOnlyFilter { len_as_val: Some(filter.len_as_value) }.encode_to_vec())
        }
        Kind::Timestamps(filter) => {
            let mut timestamps = filter.timestamps.to_vec();
            timestamps.sort_unstable();
            let message = proto::TimestampsFilter { timestamps, can_hint: Some(filter.can_hint) };
            ("TimestampsFilter", message.encode_to_vec())
        }
        Kind::RandomRow(filter) => {
            ("RandomRowFilter", proto::RandomRowFilter { chance: Some(filter.chance) }.encode_to_vec())
        }
        Kind::FuzzyRow(filter) => {
            let fuzzy_keys_data = filter.keys.iter().map(fuzzy_key).collect();
            let message = proto::FuzzyRowFilter { fuzzy_keys_data, is_mask_v2: Some(true) };
            ("FuzzyRowFilter", message.encode_to_vec())
        }
        Kind::MultiRowRange(filter) => {
            let row_range_list = filter.ranges.iter().map(row_range).collect();
            ("MultiRowRangeFilter", proto::MultiRowRangeFilter { row_range_list }.encode_to_vec())
        }
        _ => return Err(Error::invalid_argument("a custom filter, which has no class in HBase")),
    })
}

fn pagination(limit: u32, offset: Option<u32>, column: Option<Bytes>) -> Result<(&'static str, Vec<u8>)> {
    let class = "ColumnPaginationFilter";
    let message = proto::ColumnPaginationFilter {
        limit: Some(int(class, limit)?),
        offset: offset.map(|offset| int(class, offset)).transpose()?,
        column_offset: column,
    };
    Ok((class, message.encode_to_vec()))
}

/// Writes the mask as prepared by HBase's clients: −1 for a fixed byte, 2 for any.
fn fuzzy_key(key: &FuzzyKey) -> proto::FuzzyKey {
    let mask: Vec<u8> = key.fixed.iter().map(|fixed| if *fixed { 0xff } else { 2 }).collect();
    proto::FuzzyKey { first: Some(Bytes::copy_from_slice(&key.key)), second: Some(mask.into()) }
}

fn row_range(range: &RowRange) -> proto::RowRange {
    proto::RowRange {
        start_row: Some(Bytes::copy_from_slice(&range.start)),
        start_row_inclusive: Some(range.include_start),
        stop_row: Some(Bytes::copy_from_slice(&range.stop)),
        stop_row_inclusive: Some(range.include_stop),
    }
}

fn int(class: &str, number: u32) -> Result<i32> {
    i32::try_from(number).map_err(|_| too_large(class))
}

#[cold]
fn too_large(class: &str) -> Error {
    Error::invalid_argument(format!("a number that is too large for HBase's {class}"))
}
