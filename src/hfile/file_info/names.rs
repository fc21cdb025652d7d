//! The keys that HBase writes into a file info (hfile.md §11.3).

// keys of the file: `HFileInfo`, `HFileWriterImpl`, `HFileDataBlockEncoder`
pub(crate) const LAST_KEY: &str = "hfile.LASTKEY";
pub(crate) const AVG_KEY_LEN: &str = "hfile.AVG_KEY_LEN";
pub(crate) const AVG_VALUE_LEN: &str = "hfile.AVG_VALUE_LEN";
pub(crate) const CREATE_TIME: &str = "hfile.CREATE_TIME_TS";
pub(crate) const MAX_TAGS_LEN: &str = "hfile.MAX_TAGS_LEN";
pub(crate) const TAGS_COMPRESSED: &str = "hfile.TAGS_COMPRESSED";
pub(crate) const KEY_OF_BIGGEST_CELL: &str = "hfile.KEY_OF_BIGGEST_CELL";
pub(crate) const LEN_OF_BIGGEST_CELL: &str = "hfile.LEN_OF_BIGGEST_CELL";
pub(crate) const KEY_VALUE_VERSION: &str = "KEY_VALUE_VERSION";
/// The [`KEY_VALUE_VERSION`] of a file whose cells have sequence ids.
pub(crate) const VERSION_WITH_SEQ_IDS: i32 = 1;
pub(crate) const MAX_MEMSTORE_TS: &str = "MAX_MEMSTORE_TS_KEY";
pub(crate) const DATA_BLOCK_ENCODING: &str = "DATA_BLOCK_ENCODING";
pub(crate) const INDEX_BLOCK_ENCODING: &str = "INDEX_BLOCK_ENCODING";

// keys of the store: `HStoreFile`, `StoreFileWriter`, `StripeStoreFileManager`
pub(crate) const MAX_SEQ_ID: &str = "MAX_SEQ_ID_KEY";
pub(crate) const MAJOR_COMPACTION: &str = "MAJOR_COMPACTION_KEY";
pub(crate) const EXCLUDE_FROM_MINOR_COMPACTION: &str = "EXCLUDE_FROM_MINOR_COMPACTION";
pub(crate) const TIME_RANGE: &str = "TIMERANGE";
pub(crate) const CUSTOM_TIERING_TIME_RANGE: &str = "CUSTOM_TIERING_TIME_RANGE";
pub(crate) const EARLIEST_PUT_TS: &str = "EARLIEST_PUT_TS";
pub(crate) const DELETE_FAMILY_COUNT: &str = "DELETE_FAMILY_COUNT";
pub(crate) const BLOOM_FILTER_TYPE: &str = "BLOOM_FILTER_TYPE";
pub(crate) const BLOOM_FILTER_PARAM: &str = "BLOOM_FILTER_PARAM";
pub(crate) const LAST_BLOOM_KEY: &str = "LAST_BLOOM_KEY";
pub(crate) const COMPACTION_EVENT: &str = "COMPACTION_EVENT_KEY";
pub(crate) const BULKLOAD_TIMESTAMP: &str = "BULKLOAD_TIMESTAMP";
pub(crate) const BULKLOAD_SOURCE_TASK: &str = "BULKLOAD_SOURCE_TASK";
pub(crate) const SKIP_RESET_SEQ_ID: &str = "SKIP_RESET_SEQ_ID";
pub(crate) const HISTORICAL: &str = "HISTORICAL";
pub(crate) const MOB_CELLS_COUNT: &str = "MOB_CELLS_COUNT";
pub(crate) const MOB_FILE_REFS: &str = "MOB_FILE_REFS";
pub(crate) const STRIPE_START_KEY: &str = "STRIPE_START_KEY";
pub(crate) const STRIPE_END_KEY: &str = "STRIPE_END_KEY";

/// The keys without the `hfile.` prefix that describe a file's format or its Bloom filter; the writer derives
/// their values.
pub(crate) const OF_FORMAT: [&str; 7] = [
    KEY_VALUE_VERSION,
    MAX_MEMSTORE_TS,
    DATA_BLOCK_ENCODING,
    INDEX_BLOCK_ENCODING,
    BLOOM_FILTER_TYPE,
    BLOOM_FILTER_PARAM,
    LAST_BLOOM_KEY,
];
