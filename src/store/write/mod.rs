//! Writes store files: flushes, and the parts that compactions share with them (read-path.md §4, §17).

pub(in crate::store) mod compaction_filter;
mod file_settings;
mod flush;
pub(in crate::store) mod writer;

pub use compaction_filter::CompactionFilter;
pub(crate) use compaction_filter::Retention;
pub(crate) use file_settings::FileSettings;
