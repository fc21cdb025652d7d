//! Typed values of the keys that HBase writes (hfile.md §11.3).
#![warn(clippy::indexing_slicing)]

use super::{FileInfo, names};
use crate::block::DataBlockEncoding;
use crate::cell::{CellKey, StringBinary};
use crate::coding::Cursor;
use crate::error::Corruption;
use crate::hfile::bloom::BloomType;
use crate::proto;
use crate::proto::hfile::TimeRangeTracker;
use crate::proto::wire::{Fields, Value};
use prost::Message;

/// The bounds of the timestamps of a file, in milliseconds, both inclusive (HBase: `TimeRangeTracker`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FileTimeRange {
    /// The least timestamp; 0 if the file has a `DeleteColumn` or `DeleteFamily`, because these affect
    /// everything older.
    pub min: i64,
    /// The greatest timestamp.
    pub max: i64,
}

impl FileTimeRange {
    /// Whether a cell with a timestamp from `start` on and before `end` may be in the file.
    ///
    /// True for an inverted range, such as that of a file without cells, because it excludes nothing.
    #[must_use]
    pub fn overlaps(&self, start: i64, end: i64) -> bool {
        self.min > self.max || (self.min < end && self.max >= start)
    }
}

/// The maximum length of the message in a `COMPACTION_EVENT_KEY`. In memory, its file names take up to about
/// 20 times as much.
const MAX_EVENT: usize = 4 << 20;

type Decoded<T> = Result<Option<T>, Corruption>;

/// # Values of known keys
///
/// All are `None` if the key is missing, and an error if the value is invalid.
impl FileInfo {
    /// `hfile.LASTKEY`: the key of the last cell; missing in a file without cells.
    pub fn last_key(&self) -> Decoded<&CellKey> {
        self.key(names::LAST_KEY)
    }

    /// `hfile.AVG_KEY_LEN`: the average length of a key in bytes, rounded down.
    pub fn avg_key_len(&self) -> Decoded<i32> {
        self.int(names::AVG_KEY_LEN)
    }

    /// `hfile.AVG_VALUE_LEN`: the average length of a value in bytes, rounded down.
    pub fn avg_value_len(&self) -> Decoded<i32> {
        self.int(names::AVG_VALUE_LEN)
    }

    /// `hfile.CREATE_TIME_TS`: when the file was written, in milliseconds; 0 if not recorded.
    pub fn create_time(&self) -> Decoded<i64> {
        self.long(names::CREATE_TIME)
    }

    /// `hfile.MAX_TAGS_LEN`: the length of the largest tags in bytes. If the key is present, cells have a
    /// tags length.
    pub fn max_tags_len(&self) -> Decoded<i32> {
        self.int(names::MAX_TAGS_LEN)
    }

    /// `hfile.TAGS_COMPRESSED`: whether tags are written with a dictionary.
    pub fn tags_compressed(&self) -> Decoded<bool> {
        self.flag(names::TAGS_COMPRESSED)
    }

    /// `hfile.KEY_OF_BIGGEST_CELL`.
    pub fn key_of_biggest_cell(&self) -> Decoded<&CellKey> {
        self.key(names::KEY_OF_BIGGEST_CELL)
    }

    /// `hfile.LEN_OF_BIGGEST_CELL`: the size of that cell in memory in bytes, four more than on disk.
    pub fn len_of_biggest_cell(&self) -> Decoded<i64> {
        self.long(names::LEN_OF_BIGGEST_CELL)
    }

    /// `KEY_VALUE_VERSION`: 1 if cells have sequence ids.
    pub fn key_value_version(&self) -> Decoded<i32> {
        self.int(names::KEY_VALUE_VERSION)
    }

    /// `MAX_MEMSTORE_TS_KEY`: the greatest sequence id of any cell.
    pub fn max_memstore_ts(&self) -> Decoded<i64> {
        self.long(names::MAX_MEMSTORE_TS)
    }

    /// `DATA_BLOCK_ENCODING`: the encoding of the cells; `NONE` if the key is missing.
    ///
    /// # Errors
    ///
    /// If the encoding is unknown, or `PREFIX_TREE`, which HBase has dropped.
    pub fn data_block_encoding(&self) -> Result<DataBlockEncoding, Corruption> {
        let Some(name) = self.value(names::DATA_BLOCK_ENCODING) else { return Ok(DataBlockEncoding::None) };
        match std::str::from_utf8(name) {
            Ok("PREFIX_TREE") => Err(Corruption::Unsupported {
                what: "data block encoding",
                name: "PREFIX_TREE".into(),
                hint: Some(
                    "HBase 2.0 and later cannot read it either; a major compaction by 1.x with another \
                     encoding rewrites the file",
                ),
            }),
            name_or_not => name_or_not
                .ok()
                .and_then(DataBlockEncoding::from_name)
                .ok_or_else(|| Corruption::unknown_name("data block encoding", name)),
        }
    }

    /// `INDEX_BLOCK_ENCODING`: fails unless index blocks are unencoded, which is the only supported form.
    pub(crate) fn check_index_block_encoding(&self) -> Result<(), Corruption> {
        match self.value(names::INDEX_BLOCK_ENCODING) {
            None | Some(b"NONE") => Ok(()),
            Some(name) => {
                let name = StringBinary(name.get(..64).unwrap_or(name)).to_string();
                Err(Corruption::unsupported("index block encoding", name))
            }
        }
    }

    /// `MAX_SEQ_ID_KEY`: the greatest log sequence id in the file.
    pub fn max_seq_id(&self) -> Decoded<i64> {
        self.long(names::MAX_SEQ_ID)
    }

    /// `MAJOR_COMPACTION_KEY`: whether a major compaction wrote the file.
    pub fn major_compaction(&self) -> Decoded<bool> {
        self.flag(names::MAJOR_COMPACTION)
    }

    /// `EXCLUDE_FROM_MINOR_COMPACTION`.
    pub fn exclude_from_minor_compaction(&self) -> Decoded<bool> {
        self.flag(names::EXCLUDE_FROM_MINOR_COMPACTION)
    }

    /// `TIMERANGE`: the bounds of the timestamps of all cells.
    pub fn time_range(&self) -> Decoded<FileTimeRange> {
        self.range(names::TIME_RANGE)
    }

    /// `CUSTOM_TIERING_TIME_RANGE`: the bounds of the values that the table uses as the age of its cells.
    pub fn custom_tiering_time_range(&self) -> Decoded<FileTimeRange> {
        self.range(names::CUSTOM_TIERING_TIME_RANGE)
    }

    /// `EARLIEST_PUT_TS`: the least timestamp of a Put; `i64::MAX` if there is no Put.
    pub fn earliest_put_ts(&self) -> Decoded<i64> {
        self.long(names::EARLIEST_PUT_TS)
    }

    /// `DELETE_FAMILY_COUNT`: the number of cells of type `DeleteFamily` or `DeleteFamilyVersion`.
    pub fn delete_family_count(&self) -> Decoded<i64> {
        self.long(names::DELETE_FAMILY_COUNT)
    }

    /// `BLOOM_FILTER_TYPE` and `BLOOM_FILTER_PARAM`: the kind of keys in the general Bloom filter.
    pub fn bloom_filter_type(&self) -> Decoded<BloomType> {
        match self.value(names::BLOOM_FILTER_TYPE) {
            None | Some(b"NONE") => Ok(None),
            Some(b"ROW") => Ok(Some(BloomType::Row)),
            Some(b"ROWCOL") => Ok(Some(BloomType::RowCol)),
            Some(b"ROWPREFIX_FIXED_LENGTH") => match self.int(names::BLOOM_FILTER_PARAM)? {
                Some(len @ 1..) => Ok(Some(BloomType::RowPrefixFixedLength(len.cast_unsigned()))),
                Some(len) => {
                    Err(Corruption::out_of_range(names::BLOOM_FILTER_PARAM, len.into(), 1, i32::MAX.into()))
                }
                None => {
                    Err(Corruption::Malformed("BLOOM_FILTER_PARAM is missing, expected the prefix length"))
                }
            },
            Some(name) => Err(Corruption::unknown_name("Bloom filter type", name)),
        }
    }

    /// `LAST_BLOOM_KEY`: the last key added to the general Bloom filter.
    #[must_use]
    pub fn last_bloom_key(&self) -> Option<&[u8]> {
        self.value(names::LAST_BLOOM_KEY)
    }

    /// `COMPACTION_EVENT_KEY`: the names of the files that were compacted into this one.
    pub fn compaction_event(&self) -> Decoded<Vec<&[u8]>> {
        let Some(value) = self.value(names::COMPACTION_EVENT) else { return Ok(None) };
        let message = value
            .strip_prefix(proto::MAGIC)
            .ok_or(Corruption::Malformed("COMPACTION_EVENT_KEY does not start with PBUF"))?;
        if message.len() > MAX_EVENT {
            let (value, limit) = (message.len() as u64, MAX_EVENT as u64);
            return Err(Corruption::Limit { what: "bytes of COMPACTION_EVENT_KEY", value, limit });
        }
        let mut files = Vec::new();
        for field in Fields::new(message) {
            if let (1, Value::Bytes(name)) = field? {
                files.push(name);
            }
        }
        Ok(Some(files))
    }

    /// `BULKLOAD_TIMESTAMP`: when the file was written for a bulk load, in milliseconds; missing in all other
    /// files.
    pub fn bulkload_timestamp(&self) -> Decoded<i64> {
        self.long(names::BULKLOAD_TIMESTAMP)
    }

    /// `BULKLOAD_SOURCE_TASK`: the task that wrote the file for a bulk load.
    #[must_use]
    pub fn bulkload_source_task(&self) -> Option<&[u8]> {
        self.value(names::BULKLOAD_SOURCE_TASK)
    }

    /// `SKIP_RESET_SEQ_ID`: whether the cells of a bulk-loaded file keep their sequence ids.
    pub fn skip_reset_seq_id(&self) -> Decoded<bool> {
        self.flag(names::SKIP_RESET_SEQ_ID)
    }

    /// `HISTORICAL`: whether the file holds only cells that newer ones have replaced.
    pub fn historical(&self) -> Decoded<bool> {
        self.flag(names::HISTORICAL)
    }

    /// `MOB_CELLS_COUNT`: the number of cells whose values are in MOB files.
    pub fn mob_cells_count(&self) -> Decoded<i64> {
        self.long(names::MOB_CELLS_COUNT)
    }

    /// `MOB_FILE_REFS`: the MOB files that cells refer to, `table/file1,file2//table2/file3`; a single zero
    /// byte for none.
    #[must_use]
    pub fn mob_file_refs(&self) -> Option<&[u8]> {
        self.value(names::MOB_FILE_REFS)
    }

    /// `STRIPE_START_KEY`: the first row of the file's stripe; empty if the stripe has no lower bound.
    #[must_use]
    pub fn stripe_start_key(&self) -> Option<&[u8]> {
        self.value(names::STRIPE_START_KEY)
    }

    /// `STRIPE_END_KEY`: the first row after the file's stripe; empty if the stripe has no upper bound.
    #[must_use]
    pub fn stripe_end_key(&self) -> Option<&[u8]> {
        self.value(names::STRIPE_END_KEY)
    }

    fn value(&self, name: &'static str) -> Option<&[u8]> {
        self.get(name.as_bytes())
    }

    fn fixed<const N: usize>(&self, name: &'static str) -> Decoded<[u8; N]> {
        let Some(value) = self.value(name) else { return Ok(None) };
        value.try_into().map(Some).map_err(|_| Corruption::length(name, N, value.len()))
    }

    fn int(&self, name: &'static str) -> Decoded<i32> {
        Ok(self.fixed(name)?.map(i32::from_be_bytes))
    }

    fn long(&self, name: &'static str) -> Decoded<i64> {
        Ok(self.fixed(name)?.map(i64::from_be_bytes))
    }

    /// Returns a boolean: HBase writes ff for true, and reads any byte but 0 as true.
    fn flag(&self, name: &'static str) -> Decoded<bool> {
        Ok(self.fixed(name)?.map(|[byte]| byte != 0))
    }

    fn key(&self, name: &'static str) -> Decoded<&CellKey> {
        self.value(name).map(CellKey::new).transpose()
    }

    /// Returns two numbers: 16 bytes, which HBase 0.94 padded to 32, or a message, as written by 2.0 and 2.1.
    fn range(&self, name: &'static str) -> Decoded<FileTimeRange> {
        let Some(value) = self.value(name) else { return Ok(None) };
        if let Some(message) = value.strip_prefix(proto::MAGIC) {
            let tracker = TimeRangeTracker::decode(message)
                .map_err(|_| Corruption::Malformed("time range that is not a TimeRangeTracker"))?;
            let number = |n: Option<u64>| n.unwrap_or_default().cast_signed();
            return Ok(Some(FileTimeRange { min: number(tracker.from), max: number(tracker.to) }));
        }
        let mut cursor = Cursor::new(value);
        match (cursor.i64(name), cursor.i64(name)) {
            (Ok(min), Ok(max)) => Ok(Some(FileTimeRange { min, max })),
            _ => Err(Corruption::length(name, 16, value.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    fn info(name: &str, value: &[u8]) -> FileInfo {
        FileInfo::of([(name.as_bytes(), value)]).unwrap()
    }

    #[test]
    fn missing_is_not_empty() {
        let nothing = FileInfo::default();
        assert_eq!(nothing.last_key(), Ok(None));
        assert_eq!(nothing.data_block_encoding(), Ok(DataBlockEncoding::None));
        assert_eq!(nothing.bloom_filter_type(), Ok(None));
        assert_eq!((nothing.time_range(), nothing.compaction_event()), (Ok(None), Ok(None)));
        assert!(info("hfile.LASTKEY", b"").last_key().is_err());
        assert_eq!(info("STRIPE_START_KEY", b"").stripe_start_key(), Some(&b""[..]));
        assert!(info("TIMERANGE", b"").time_range().is_err());
    }

    #[test]
    fn numbers_and_flags_have_one_length() {
        assert_eq!(info("MAX_SEQ_ID_KEY", &[0, 0, 0, 0, 0, 0, 1, 2]).max_seq_id(), Ok(Some(258)));
        let error = info("MAX_SEQ_ID_KEY", &[0; 4]).max_seq_id().unwrap_err();
        assert_eq!(error.to_string(), "MAX_SEQ_ID_KEY has 4 bytes, expected 8");
        assert_eq!(info("KEY_VALUE_VERSION", &[0, 0, 0, 1]).key_value_version(), Ok(Some(1)));
        assert!(info("KEY_VALUE_VERSION", b"1").key_value_version().is_err());
        for (value, expected) in [(0, false), (1, true), (0xff, true)] {
            assert_eq!(info("HISTORICAL", &[value]).historical(), Ok(Some(expected)));
        }
        assert!(info("HISTORICAL", b"").historical().is_err());
    }

    #[test]
    fn malformed_keys_are_refused() {
        let key = b"\0\x01r\x01fq\0\0\0\0\0\0\0\x05\x04";
        assert_eq!(info("hfile.LASTKEY", key).last_key().unwrap().unwrap().qualifier(), b"q");
        assert!(info("hfile.LASTKEY", &key[1..]).last_key().is_err());
    }

    #[test]
    fn encodings_by_name() {
        let encoding = |name: &[u8]| info("DATA_BLOCK_ENCODING", name).data_block_encoding();
        assert_eq!(encoding(b"FAST_DIFF"), Ok(DataBlockEncoding::FastDiff));
        assert_eq!(encoding(b"NONE"), Ok(DataBlockEncoding::None));
        assert_eq!(encoding(b"PREFIX_TREE").unwrap_err().kind(), ErrorKind::Unsupported);
        for name in [&b""[..], b"none", b"\xff"] {
            assert_eq!(encoding(name).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        let index = |name: &[u8]| info("INDEX_BLOCK_ENCODING", name).check_index_block_encoding();
        assert_eq!(index(b"NONE"), Ok(()));
        let error = index(b"PREFIX_TREE").unwrap_err();
        assert_eq!(error.to_string(), "index block encoding PREFIX_TREE is not supported");
    }

    #[test]
    fn time_ranges_of_all_ages() {
        let range = |value: &[u8]| info("TIMERANGE", value).time_range();
        let mut bytes = [0; 32];
        bytes[7] = 3;
        bytes[15] = 9;
        let expected = FileTimeRange { min: 3, max: 9 };
        assert_eq!(range(&bytes[..16]), Ok(Some(expected)));
        assert_eq!(range(&bytes), Ok(Some(expected)));
        assert_eq!(range(b"PBUF\x08\x03\x10\x09"), Ok(Some(expected)));
        assert_eq!(range(&bytes[..15]).unwrap_err().to_string(), "TIMERANGE has 15 bytes, expected 16");
        assert!(range(b"PBUF\x08").is_err());
        assert!(expected.overlaps(9, 10) && !expected.overlaps(10, 20));
        assert!(expected.overlaps(0, 4) && !expected.overlaps(0, 3));
        assert!(FileTimeRange { min: i64::MAX, max: -1 }.overlaps(0, 1), "an empty tracker bounds nothing");
    }

    #[test]
    fn bloom_types() {
        let of = |name: &[u8], param: &[u8]| {
            let entries = [(&b"BLOOM_FILTER_TYPE"[..], name), (b"BLOOM_FILTER_PARAM", param)];
            FileInfo::of(entries).unwrap().bloom_filter_type()
        };
        assert_eq!(of(b"ROW", b""), Ok(Some(BloomType::Row)));
        assert_eq!(of(b"ROWCOL", b""), Ok(Some(BloomType::RowCol)));
        let prefix = b"ROWPREFIX_FIXED_LENGTH";
        assert_eq!(of(prefix, &[0, 0, 0, 6]), Ok(Some(BloomType::RowPrefixFixedLength(6))));
        assert!(of(prefix, &[0, 0, 0, 0]).is_err());
        assert!(of(prefix, b"6").is_err());
        assert!(info("BLOOM_FILTER_TYPE", prefix).bloom_filter_type().is_err());
        assert_eq!(of(b"NONE", b""), Ok(None));
        assert_eq!(of(b"RIBBON", b"").unwrap_err().to_string(), "Bloom filter type RIBBON does not exist");
    }

    #[test]
    fn compaction_events_name_files() {
        let event = |value: &[u8]| {
            info("COMPACTION_EVENT_KEY", value).compaction_event().map(|files| files.unwrap().concat())
        };
        assert_eq!(event(b"PBUF"), Ok(vec![]));
        assert_eq!(event(b"PBUF\x0a\x02ab\x0a\x01c"), Ok(b"abc".to_vec()));
        assert!(event(b"").is_err());
        assert!(event(b"PBUF\x0a\x02a").is_err());
        let of_len = |len: usize| event(&[&b"PBUF"[..], &[0x0a_u8, 0].repeat(len / 2)].concat());
        assert_eq!(of_len(1_000), Ok(vec![]));
        assert!(matches!(of_len(MAX_EVENT + 2), Err(Corruption::Limit { .. })));
    }
}
