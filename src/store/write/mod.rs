//! Writes store files: flushes, and what compactions share with them (read-path.md §4, §17).

mod checksums;
pub(in crate::store) mod compaction_filter;
mod flush;
pub(in crate::store) mod writer;

pub(crate) use checksums::Checksums;
pub use compaction_filter::CompactionFilter;
pub(crate) use compaction_filter::Retention;
