//! Families whose store files a list tracks, as they must in a storage without renames.

use hregion::Family;

/// The setting of the store file tracker.
pub(crate) const TRACKER: &str = "hbase.store.file-tracker.impl";

/// Returns the family with the store file tracker FILE.
pub(crate) fn with_list(family: Family) -> Family {
    family.configuration(TRACKER, "FILE")
}
