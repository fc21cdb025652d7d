//! The state of a region's assignment in the catalog (locator.md §5.2; HBase: `RegionState.State`).

use crate::error::Corruption;
use std::fmt;

/// The state of a region's assignment.
///
/// HBase's clients locate regions in any state: a closed region still has its last server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RegionState {
    /// No server has the region, and none was asked to open it.
    Offline,
    /// A server is opening the region.
    Opening,
    /// A server serves the region.
    Open,
    /// The server is closing the region.
    Closing,
    /// The server has closed the region, for example because its table is disabled or it was split.
    Closed,
    /// The server is splitting the region.
    Splitting,
    /// The region was split.
    Split,
    /// No server could open the region.
    FailedOpen,
    /// The server could not close the region.
    FailedClose,
    /// The server is merging the region with another one.
    Merging,
    /// The region was merged with another one.
    Merged,
    /// A new region of a split that is not complete.
    SplittingNew,
    /// The new region of a merge that is not complete.
    MergingNew,
    /// Closed because its server died: it may have recovered edits.
    AbnormallyClosed,
    /// A server was asked to open the region (HBase 1.x).
    PendingOpen,
    /// The server was asked to close the region (HBase 1.x).
    PendingClose,
}

/// All states, with HBase's names.
const NAMES: [(RegionState, &str); 16] = [
    (RegionState::Offline, "OFFLINE"),
    (RegionState::Opening, "OPENING"),
    (RegionState::Open, "OPEN"),
    (RegionState::Closing, "CLOSING"),
    (RegionState::Closed, "CLOSED"),
    (RegionState::Splitting, "SPLITTING"),
    (RegionState::Split, "SPLIT"),
    (RegionState::FailedOpen, "FAILED_OPEN"),
    (RegionState::FailedClose, "FAILED_CLOSE"),
    (RegionState::Merging, "MERGING"),
    (RegionState::Merged, "MERGED"),
    (RegionState::SplittingNew, "SPLITTING_NEW"),
    (RegionState::MergingNew, "MERGING_NEW"),
    (RegionState::AbnormallyClosed, "ABNORMALLY_CLOSED"),
    (RegionState::PendingOpen, "PENDING_OPEN"),
    (RegionState::PendingClose, "PENDING_CLOSE"),
];

impl RegionState {
    /// Parses the value of `info:state`.
    pub(crate) fn parse(name: &[u8]) -> Result<Self, Corruption> {
        let found = NAMES.iter().find(|(_, known)| known.as_bytes() == name);
        found.map(|(state, _)| *state).ok_or_else(|| Corruption::unknown_name("state of a region", name))
    }

    /// Returns HBase's name of the state.
    #[must_use]
    pub fn name(self) -> &'static str {
        NAMES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }
}

impl fmt::Display for RegionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_shown() {
        for (state, name) in NAMES {
            assert_eq!((RegionState::parse(name.as_bytes()), state.name()), (Ok(state), name));
        }
        assert!(RegionState::parse(b"open").is_err() && RegionState::parse(b"").is_err());
    }
}
