//! The messages of filters (read-path.md §13 to §15; HBase: `Filter.proto`, `Comparator.proto`).
//!
//! Required fields are optional here, so that a message without them can be distinguished from one with
//! zeros. Messages that are the same on the wire are defined once: a `Comparator` is a [`Filter`] under
//! another name, and there is one message for all filters with one field of the same kind. Nested messages
//! are always in bytes fields of their own, so the reader can bound the nesting depth.

use bytes::Bytes;

/// A filter or comparator: the name of its class, and the message of that class.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct Filter {
    #[prost(string, optional, tag = "1")]
    pub(crate) name: Option<String>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) serialized: Option<Bytes>,
}

/// A comparison: `CompareType` by its number, and the comparator.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct CompareFilter {
    #[prost(int32, optional, tag = "1")]
    pub(crate) compare_op: Option<i32>,
    #[prost(message, optional, tag = "2")]
    pub(crate) comparator: Option<Filter>,
}

/// A filter that is a comparison: of rows, families, qualifiers or values.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct ComparisonFilter {
    #[prost(message, optional, tag = "1")]
    pub(crate) compare_filter: Option<CompareFilter>,
}

/// `DependentColumnFilter`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct DependentColumnFilter {
    #[prost(message, optional, tag = "1")]
    pub(crate) compare_filter: Option<CompareFilter>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) column_family: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) column_qualifier: Option<Bytes>,
    #[prost(bool, optional, tag = "4")]
    pub(crate) drop_dependent_column: Option<bool>,
}

/// `SingleColumnValueFilter`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct SingleColumnValueFilter {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) column_family: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) column_qualifier: Option<Bytes>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) compare_op: Option<i32>,
    #[prost(message, optional, tag = "4")]
    pub(crate) comparator: Option<Filter>,
    #[prost(bool, optional, tag = "5")]
    pub(crate) filter_if_missing: Option<bool>,
    #[prost(bool, optional, tag = "6")]
    pub(crate) latest_version_only: Option<bool>,
}

/// `SingleColumnValueExcludeFilter`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct SingleColumnValueExcludeFilter {
    #[prost(message, optional, tag = "1")]
    pub(crate) single_column_value_filter: Option<SingleColumnValueFilter>,
}

/// `ColumnValueFilter`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct ColumnValueFilter {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) family: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) qualifier: Option<Bytes>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) compare_op: Option<i32>,
    #[prost(message, optional, tag = "4")]
    pub(crate) comparator: Option<Filter>,
}

/// One value: `PrefixFilter`, `ColumnPrefixFilter`, `InclusiveStopFilter`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct BytesFilter {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) value: Option<Bytes>,
}

/// Several values: `MultipleColumnPrefixFilter`, `FirstKeyValueMatchingQualifiersFilter`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct ManyBytesFilter {
    #[prost(bytes = "bytes", repeated, tag = "1")]
    pub(crate) values: Vec<Bytes>,
}

/// `PageFilter`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct PageFilter {
    #[prost(int64, optional, tag = "1")]
    pub(crate) page_size: Option<i64>,
}

/// `ColumnCountGetFilter`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct ColumnCountGetFilter {
    #[prost(int32, optional, tag = "1")]
    pub(crate) limit: Option<i32>,
}

/// `ColumnPaginationFilter`: has an offset or a column.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct ColumnPaginationFilter {
    #[prost(int32, optional, tag = "1")]
    pub(crate) limit: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) offset: Option<i32>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) column_offset: Option<Bytes>,
}

/// `ColumnRangeFilter`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct ColumnRangeFilter {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) min_column: Option<Bytes>,
    #[prost(bool, optional, tag = "2")]
    pub(crate) min_column_inclusive: Option<bool>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) max_column: Option<Bytes>,
    #[prost(bool, optional, tag = "4")]
    pub(crate) max_column_inclusive: Option<bool>,
}

/// `KeyOnlyFilter`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct KeyOnlyFilter {
    #[prost(bool, optional, tag = "1")]
    pub(crate) len_as_val: Option<bool>,
}

/// `TimestampsFilter`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct TimestampsFilter {
    #[prost(int64, repeated, packed = "true", tag = "1")]
    pub(crate) timestamps: Vec<i64>,
    #[prost(bool, optional, tag = "2")]
    pub(crate) can_hint: Option<bool>,
}

/// `RandomRowFilter`.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(crate) struct RandomRowFilter {
    #[prost(float, optional, tag = "1")]
    pub(crate) chance: Option<f32>,
}

/// Keys and masks. The meaning of a mask depends on the flag, which does not exist before 2.4.18 and 2.6.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct FuzzyRowFilter {
    #[prost(message, repeated, tag = "1")]
    pub(crate) fuzzy_keys_data: Vec<FuzzyKey>,
    #[prost(bool, optional, tag = "2")]
    pub(crate) is_mask_v2: Option<bool>,
}

/// `BytesBytesPair`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct FuzzyKey {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) first: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) second: Option<Bytes>,
}

/// `RowRange`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct RowRange {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) start_row: Option<Bytes>,
    #[prost(bool, optional, tag = "2")]
    pub(crate) start_row_inclusive: Option<bool>,
    #[prost(bytes = "bytes", optional, tag = "3")]
    pub(crate) stop_row: Option<Bytes>,
    #[prost(bool, optional, tag = "4")]
    pub(crate) stop_row_inclusive: Option<bool>,
}

/// `MultiRowRangeFilter`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct MultiRowRangeFilter {
    #[prost(message, repeated, tag = "1")]
    pub(crate) row_range_list: Vec<RowRange>,
}

/// `FilterList`: the operator is 1 for all filters, 2 for one.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct FilterList {
    #[prost(int32, optional, tag = "1")]
    pub(crate) operator: Option<i32>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) filters: Vec<Filter>,
}

/// One filter: `SkipFilter`, `WhileMatchFilter`, `FilterWrapper`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct WrappingFilter {
    #[prost(message, optional, tag = "1")]
    pub(crate) filter: Option<Filter>,
}

/// `ByteArrayComparable`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct ByteArrayComparable {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) value: Option<Bytes>,
}

/// A comparator with a value as its only field.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct ValueComparator {
    #[prost(message, optional, tag = "1")]
    pub(crate) comparable: Option<ByteArrayComparable>,
}

/// `BitComparator`: the operator is 1 for AND, 2 for OR, 3 for XOR.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct BitComparator {
    #[prost(message, optional, tag = "1")]
    pub(crate) comparable: Option<ByteArrayComparable>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) bitwise_op: Option<i32>,
}

/// `BinaryComponentComparator`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct BinaryComponentComparator {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) value: Option<Bytes>,
    #[prost(uint32, optional, tag = "2")]
    pub(crate) offset: Option<u32>,
}

/// The flags are those of Java's `Pattern`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct RegexStringComparator {
    #[prost(string, optional, tag = "1")]
    pub(crate) pattern: Option<String>,
    #[prost(int32, optional, tag = "2")]
    pub(crate) pattern_flags: Option<i32>,
    #[prost(string, optional, tag = "3")]
    pub(crate) charset: Option<String>,
    #[prost(string, optional, tag = "4")]
    pub(crate) engine: Option<String>,
}

/// `SubstringComparator`.
#[derive(Clone, PartialEq, Eq, Hash, prost::Message)]
pub(crate) struct SubstringComparator {
    #[prost(string, optional, tag = "1")]
    pub(crate) substr: Option<String>,
}
