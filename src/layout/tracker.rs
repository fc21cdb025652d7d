//! Store file trackers: a store's files are those in its directory, or those on a list (hfile.md §15.6;
//! HBase: `StoreFileTracker`, `StoreFileTrackerFactory`).

use crate::error::Corruption;

/// The tracker of a store's files, which determines what a change of them must record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct StoreFileTracker {
    /// The source that determines the files of the store.
    pub(crate) source: TrackedBy,
    /// Whether changes are recorded in a list even if the list does not determine the files: during a
    /// migration to lists.
    pub(crate) writes_list: bool,
}

/// The source of a store's list of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TrackedBy {
    /// The directory: all store files in it belong to the store.
    Directory,
    /// The list in `.filelist`; other files are left over from unfinished work.
    List,
    /// Not set: the list if there is one, else the directory. HBase records the tracker in each table's
    /// descriptor since 2.5.
    Unset,
}

/// The settings for the tracker, and for the source and the target of a migration.
pub(super) const IMPL: &str = "hbase.store.file-tracker.impl";
/// The tracker of tables whose files are those in the directories.
pub(super) const DEFAULT: &str = "DEFAULT";
/// The tracker of tables whose files are those on lists.
pub(super) const LIST: &str = "FILE";
const MIGRATION_SOURCE: &str = "hbase.store.file-tracker.migration.src.impl";
const MIGRATION_TARGET: &str = "hbase.store.file-tracker.migration.dst.impl";

impl StoreFileTracker {
    /// The tracker of a region without settings.
    pub(crate) const UNSET: Self = Self { source: TrackedBy::Unset, writes_list: false };

    /// Returns the tracker set for a table. During a migration the source determines the files, and both are
    /// written.
    pub(crate) fn from_settings<'s>(
        setting: impl Fn(&'static str) -> Option<&'s str>,
    ) -> Result<Self, Corruption> {
        // Short names are case-insensitive, class names are not.
        let of = |name: &str| {
            let class = name.rsplit('.').next().unwrap_or(name);
            let is = |short: &str, full: &str| class.eq_ignore_ascii_case(short) || class == full;
            if is(DEFAULT, "DefaultStoreFileTracker") {
                Ok(Some(TrackedBy::Directory))
            } else if is(LIST, "FileBasedStoreFileTracker") {
                Ok(Some(TrackedBy::List))
            } else if is("MIGRATION", "MigrationStoreFileTracker") {
                Ok(None)
            } else {
                let class = class.chars().take(64).collect::<String>();
                Err(Corruption::unsupported("store file tracker", class))
            }
        };
        let Some(name) = setting(IMPL) else { return Ok(Self::UNSET) };
        if let Some(source) = of(name)? {
            return Ok(Self { source, writes_list: source == TrackedBy::List });
        }
        let end = |key| setting(key).map(of).transpose().map(Option::flatten);
        let source = end(MIGRATION_SOURCE)?
            .ok_or_else(|| Corruption::unsupported("store file tracker", "MIGRATION without a source"))?;
        let writes_list = source == TrackedBy::List || end(MIGRATION_TARGET)? == Some(TrackedBy::List);
        Ok(Self { source, writes_list })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trackers_by_name() {
        let of = |name: &'static str, source: Option<&'static str>, target: Option<&'static str>| {
            StoreFileTracker::from_settings(|key| match key {
                IMPL => Some(name),
                MIGRATION_SOURCE => source,
                _ => target,
            })
        };
        let is = |source, writes_list| Ok(StoreFileTracker { source, writes_list });
        assert_eq!(StoreFileTracker::from_settings(|_| None), Ok(StoreFileTracker::UNSET));
        assert_eq!(of("DEFAULT", None, None), is(TrackedBy::Directory, false));
        assert_eq!(of("org.apache.x.FileBasedStoreFileTracker", None, None), is(TrackedBy::List, true));
        assert_eq!(of("file", None, None), is(TrackedBy::List, true));
        assert_eq!(of("Default", None, None), is(TrackedBy::Directory, false));
        assert_eq!(of("migration", Some("file"), Some("default")), is(TrackedBy::List, true));
        assert_eq!(of("MIGRATION", Some("FILE"), Some("DEFAULT")), is(TrackedBy::List, true));
        assert_eq!(of("MIGRATION", Some("DEFAULT"), Some("FILE")), is(TrackedBy::Directory, true));
        assert!(of("MIGRATION", None, None).is_err());
        assert!(of("MIGRATION", Some("MIGRATION"), None).is_err());
        assert!(of("MY_OWN", None, None).is_err());
        assert!(of("org.apache.x.filebasedstorefiletracker", None, None).is_err());
    }
}
