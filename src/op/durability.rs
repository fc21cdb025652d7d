//! The durability of writes.

/// The failures that an acknowledged write survives (HBase: `Durability`).
///
/// Writes survive in order: if a write survives, so do all earlier writes to its region with the same or a
/// higher durability. A write is never torn: all of its cells survive or none, in all families.
///
/// Neither is true of writes with [`SkipWal`](Self::SkipWal), which survive only by a flush of their
/// families. If not all families were [flushed](crate::Region::flush_families), or the process died during
/// the flush, a write may survive without some of its cells, and without earlier writes to other families.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Durability {
    /// The durability [of the region](crate::RegionOptions::durability).
    #[default]
    UseDefault,
    /// Not logged: lost if the process dies before the memory is flushed. Cells of some families may be lost
    /// and those of others not. If another mutation of an atomic change, such as
    /// [`Region::mutate_row`](crate::Region::mutate_row), is logged, this one is as well. HBase: `SKIP_WAL`.
    SkipWal,
    /// Logged, but not waited for: lost if the process dies at that moment; the last writes are lost if the
    /// system fails. HBase: `ASYNC_WAL`.
    AsyncWal,
    /// Passed to the system: survives the end of the process; the last writes are lost if the system fails.
    /// HBase: `SYNC_WAL`.
    SyncWal,
    /// On disk: survives a loss of power. HBase: `FSYNC_WAL`.
    FsyncWal,
}

impl Durability {
    /// Returns the durability with HBase's name, as in the setting `DURABILITY` of a table.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "USE_DEFAULT" => Self::UseDefault,
            "SKIP_WAL" => Self::SkipWal,
            "ASYNC_WAL" => Self::AsyncWal,
            "SYNC_WAL" => Self::SyncWal,
            "FSYNC_WAL" => Self::FsyncWal,
            _ => return None,
        })
    }

    /// Returns this durability, or `default` if it is [`UseDefault`](Self::UseDefault).
    pub(crate) fn or(self, default: Self) -> Self {
        if self == Self::UseDefault { default } else { self }
    }
}
