//! The fields of a file's metadata, decoded.

use hregion::{CellKey, HFile, Trailer};
use serde_json::{Value, json};

/// Returns the trailer's fields, in display order.
pub(super) fn trailer(trailer: &Trailer) -> [(&'static str, Value); 15] {
    [
        ("major_version", trailer.major_version().into()),
        ("minor_version", trailer.minor_version().into()),
        ("file_info_offset", trailer.file_info_offset().into()),
        ("load_on_open_data_offset", trailer.load_on_open_data_offset().into()),
        ("uncompressed_data_index_size", trailer.uncompressed_data_index_size().into()),
        ("total_uncompressed_bytes", trailer.total_uncompressed_bytes().into()),
        ("data_index_count", trailer.data_index_count().into()),
        ("meta_index_count", trailer.meta_index_count().into()),
        ("entry_count", trailer.entry_count().into()),
        ("num_data_index_levels", trailer.num_data_index_levels().into()),
        ("first_data_block_offset", trailer.first_data_block_offset().into()),
        ("last_data_block_offset", trailer.last_data_block_offset().into()),
        ("comparator_class_name", trailer.comparator_class_name().into()),
        ("compression_codec", trailer.compression_codec().name().into()),
        ("encrypted", trailer.is_encrypted().into()),
    ]
}

/// A value of the file info.
pub(super) enum InfoValue<'f> {
    Number(i64),
    Flag(bool),
    Key(&'f CellKey),
    TimeRange { min: i64, max: i64, length: usize },
    Bytes(&'f [u8]),
}

const INTS: [&[u8]; 5] = [
    b"hfile.AVG_KEY_LEN",
    b"hfile.AVG_VALUE_LEN",
    b"hfile.MAX_TAGS_LEN",
    b"KEY_VALUE_VERSION",
    b"BLOOM_FILTER_PARAM",
];
const LONGS: [&[u8]; 8] = [
    b"hfile.CREATE_TIME_TS",
    b"hfile.LEN_OF_BIGGEST_CELL",
    b"MAX_MEMSTORE_TS_KEY",
    b"MAX_SEQ_ID_KEY",
    b"EARLIEST_PUT_TS",
    b"DELETE_FAMILY_COUNT",
    b"BULKLOAD_TIMESTAMP",
    b"MOB_CELLS_COUNT",
];
const FLAGS: [&[u8]; 5] = [
    b"hfile.TAGS_COMPRESSED",
    b"MAJOR_COMPACTION_KEY",
    b"EXCLUDE_FROM_MINOR_COMPACTION",
    b"SKIP_RESET_SEQ_ID",
    b"HISTORICAL",
];
const KEYS: [&[u8]; 2] = [b"hfile.LASTKEY", b"hfile.KEY_OF_BIGGEST_CELL"];
const TIME_RANGE: &[u8] = b"TIMERANGE";

impl<'f> InfoValue<'f> {
    /// Decodes the value of the named entry. Malformed values are shown as bytes.
    pub(super) fn decode(name: &[u8], value: &'f [u8]) -> Self {
        let known = if INTS.contains(&name) {
            int(value).map(Self::Number)
        } else if LONGS.contains(&name) {
            long(value).filter(|_| value.len() == 8).map(Self::Number)
        } else if FLAGS.contains(&name) {
            (value.len() == 1).then(|| Self::Flag(value != [0]))
        } else if KEYS.contains(&name) {
            CellKey::new(value).ok().map(Self::Key)
        } else if name == TIME_RANGE {
            let max = value.get(8..).and_then(long);
            long(value).zip(max).map(|(min, max)| Self::TimeRange { min, max, length: value.len() })
        } else {
            None
        };
        known.unwrap_or(Self::Bytes(value))
    }
}

fn int(value: &[u8]) -> Option<i64> {
    Some(i32::from_be_bytes(value.try_into().ok()?).into())
}

fn long(value: &[u8]) -> Option<i64> {
    Some(i64::from_be_bytes(*value.first_chunk()?))
}

/// The number of entries shown at each end of a long root index.
const LISTED: usize = 20;

/// Returns the shown entries of an index of `count` entries.
pub(super) fn listed(count: usize) -> impl Iterator<Item = usize> {
    let (head, tail) = if count > 2 * LISTED { (LISTED, count - LISTED) } else { (count, count) };
    (0..head).chain(tail..count)
}

/// Returns the number of entries of the root index. A file without cells may have a meaningless one.
pub(super) fn root_entries(file: &HFile) -> usize {
    if file.entry_count() == 0 { 0 } else { file.root_index().len() }
}

/// Returns a number, or null.
pub(super) fn or_null(number: Option<u64>) -> Value {
    number.map_or(Value::Null, |number| json!(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_index_is_shown_at_its_ends() {
        assert_eq!(listed(0).count(), 0);
        assert!(listed(40).eq(0..40));
        assert!(listed(41).eq((0..20).chain(21..41)));
    }

    #[test]
    fn odd_values_are_bytes() {
        let is_bytes =
            |name: &[u8], value: &[u8]| matches!(InfoValue::decode(name, value), InfoValue::Bytes(_));
        assert!(!is_bytes(b"MAX_SEQ_ID_KEY", &[0; 8]));
        assert!(is_bytes(b"MAX_SEQ_ID_KEY", &[0; 9]));
        assert!(is_bytes(b"KEY_VALUE_VERSION", &[]));
        assert!(is_bytes(b"HISTORICAL", b"ab"));
        assert!(is_bytes(b"hfile.LASTKEY", b"ab"));
        assert!(is_bytes(b"TIMERANGE", &[0; 15]));
        assert!(!is_bytes(b"TIMERANGE", &[0; 22]));
        assert!(is_bytes(b"unknown", &[0; 8]));
    }
}
