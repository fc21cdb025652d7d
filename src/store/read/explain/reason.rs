//! The reasons for which cells are kept or hidden, and files read or skipped.

use crate::store::version::file::Match;
use std::fmt;

/// The reason that a read returns a stored cell or not, or that a compaction drops it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum CellReason {
    /// It is returned; by a compaction, it is kept.
    Returned,
    /// Its column has enough newer versions.
    NewerVersions,
    /// A delete marker hides it.
    DeleteMarker,
    /// The family's time to live has passed.
    Ttl,
    /// The cell's own time to live has passed.
    CellTtl,
    /// Its timestamp is not in the time range of the read.
    TimeRange,
    /// The read names columns of the family, but not this one.
    Column,
    /// The read names families, but not this one.
    Family,
    /// The filter drops the cell or its row, or has ended the read before it.
    Filter,
    /// It is beyond the limit or before the offset of a family's cells in a row.
    Limit,
    /// It is a delete marker, and the read is not raw.
    RawOnly,
    /// It was written after the read began.
    NotYetVisible,
    /// Another cell of the same column, timestamp and type is read instead: the one written last.
    Duplicate,
    /// It is a delete marker that the compaction has applied, or that hides nothing.
    PurgedMarker,
}

impl CellReason {
    /// Returns the name in output: `newer_versions`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::NewerVersions => "newer_versions",
            Self::DeleteMarker => "delete_marker",
            Self::Ttl => "ttl",
            Self::CellTtl => "cell_ttl",
            Self::TimeRange => "time_range",
            Self::Column => "column",
            Self::Family => "family",
            Self::Filter => "filter",
            Self::Limit => "limit",
            Self::RawOnly => "raw_only",
            Self::NotYetVisible => "not_yet_visible",
            Self::Duplicate => "duplicate",
            Self::PurgedMarker => "purged_marker",
        }
    }
}

impl fmt::Display for CellReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// The reason that a file is read or skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileReason {
    /// It is read: nothing excludes it.
    MayMatch,
    /// None of its timestamps is in the time range of the read.
    TimeRange,
    /// All its cells have expired by the family's time to live.
    Ttl,
    /// None of its rows is in the range of the read, or it has none.
    KeyRange,
    /// Its Bloom filter excludes the row or column.
    Bloom,
    /// The read names families, but not the file's.
    Family,
}

impl FileReason {
    /// Returns the reason for the result of a check. `is_expired`: whether all cells are too old.
    pub(super) fn of(found: Match, is_expired: bool) -> Self {
        match found {
            Match::Yes => Self::MayMatch,
            Match::NotByTime if is_expired => Self::Ttl,
            Match::NotByTime => Self::TimeRange,
            Match::NotByKey => Self::KeyRange,
            Match::NotByBloom => Self::Bloom,
        }
    }

    /// Whether the file is read.
    #[must_use]
    pub fn is_read(self) -> bool {
        self == Self::MayMatch
    }

    /// Returns the name in output: `key_range`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MayMatch => "may_match",
            Self::TimeRange => "time_range",
            Self::Ttl => "ttl",
            Self::KeyRange => "key_range",
            Self::Bloom => "bloom",
            Self::Family => "family",
        }
    }
}

impl fmt::Display for FileReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
