//! The state of a table: enabled or disabled (locator.md §5.4; HBase: `TableState`).
#![warn(clippy::indexing_slicing)]

use crate::error::Corruption;
use crate::proto::wire::{Fields, Value};
use std::fmt;

/// Whether a table is served, or changing between enabled and disabled (HBase: `TableState.State`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TableState {
    /// The table is served.
    Enabled,
    /// The table is not served.
    Disabled,
    /// Its regions are being closed.
    Disabling,
    /// Its regions are being opened.
    Enabling,
}

/// The number of the only field.
const STATE: u32 = 1;

impl TableState {
    pub(super) const ALL: [Self; 4] = [Self::Enabled, Self::Disabled, Self::Disabling, Self::Enabling];

    /// Parses the value of `table:state`: a message without a "PBUF" prefix.
    ///
    /// # Errors
    ///
    /// If it is not such a message, or the state is unknown.
    pub fn parse(message: &[u8]) -> Result<Self, Corruption> {
        let mut state = None;
        for field in Fields::new(message) {
            if let (STATE, Value::Varint(number)) = field? {
                let known = usize::try_from(number).ok().and_then(|number| Self::ALL.get(number));
                let value = i64::try_from(number).unwrap_or(i64::MAX);
                state = Some(*known.ok_or(Corruption::Unknown { what: "state of a table", value })?);
            }
        }
        state.ok_or(Corruption::Malformed("table state without a state"))
    }

    /// Returns the value of `table:state`.
    pub(crate) fn to_message(self) -> [u8; 2] {
        let number = match self {
            Self::Enabled => 0,
            Self::Disabled => 1,
            Self::Disabling => 2,
            Self::Enabling => 3,
        };
        [8, number] // field 1, a varint
    }

    /// Whether the table is served, or about to be.
    #[must_use]
    pub fn is_enabled(self) -> bool {
        matches!(self, Self::Enabled | Self::Enabling)
    }

    /// Returns HBase's name of the state.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enabled => "ENABLED",
            Self::Disabled => "DISABLED",
            Self::Disabling => "DISABLING",
            Self::Enabling => "ENABLING",
        }
    }
}

impl fmt::Display for TableState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_of_the_specification() {
        for (number, state) in (0..).zip(TableState::ALL) {
            assert_eq!(TableState::parse(&[8, number]), Ok(state));
            assert_eq!(state.to_message(), [8, number]);
        }
        // fields of later versions are ignored
        assert_eq!(TableState::parse(&[8, 1, 0x12, 1, b'x']), Ok(TableState::Disabled));
        for message in [&b""[..], &[8], &[8, 4], &[0x12, 0], &[8, 0xff, 0xff]] {
            assert!(TableState::parse(message).is_err(), "{message:x?}");
        }
    }
}
