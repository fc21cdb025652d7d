//! The workloads of `hregion bench`.

use clap::ValueEnum;
use hregion::Durability;

/// A workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Workload {
    /// Puts of all rows in random order; the log is not synced to disk
    Fill,
    /// Puts in random order, each synced to disk
    FillSync,
    /// Gets of random rows
    RandomRead,
    /// Gets of rows that do not exist
    MissingRead,
    /// Scans of all rows; an operation is a row
    Scan,
}

impl Workload {
    /// All workloads, in the order in which they run.
    pub(crate) const ALL: [Self; 5] =
        [Self::Fill, Self::FillSync, Self::RandomRead, Self::MissingRead, Self::Scan];

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fill => "fill",
            Self::FillSync => "fill-sync",
            Self::RandomRead => "random-read",
            Self::MissingRead => "missing-read",
            Self::Scan => "scan",
        }
    }

    /// The durability of puts; `None` for reads.
    pub(crate) fn durability(self) -> Option<Durability> {
        match self {
            Self::Fill => Some(Durability::SyncWal),
            Self::FillSync => Some(Durability::FsyncWal),
            Self::RandomRead | Self::MissingRead | Self::Scan => None,
        }
    }

    /// Whether it ends only with the last row.
    pub(crate) fn is_whole(self) -> bool {
        self == Self::Fill
    }
}
