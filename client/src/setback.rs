//! Failed attempts that may be repeated (locator.md §10, §11.6).

use crate::fault::Fault;
use hregion::locator::RegionException;
use hregion::{Error, Result};
use std::time::Duration;

/// A failed attempt after which another one may succeed.
#[derive(Clone, Debug)]
pub(crate) struct Setback {
    pub(crate) error: Error,
    pub(crate) wait: Wait,
}

/// The wait before the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    /// According to the policy.
    Usual,
    /// According to the policy for overloaded servers.
    Overloaded,
    /// Not at all: the server has executed what it could, and takes the rest at once.
    None,
    For(Duration),
}

impl Wait {
    /// Returns the pause, given the usual one.
    pub(crate) fn after(self, usual: Duration) -> Duration {
        match self {
            Self::Usual | Self::Overloaded => usual,
            Self::None => Duration::ZERO,
            Self::For(pause) => pause,
        }
    }
}

impl Setback {
    /// A region that may be found later, or whose lookup may succeed later.
    ///
    /// # Errors
    ///
    /// If it will not.
    pub(crate) fn of_location(error: Error) -> Result<Self> {
        if !error.kind().is_transient() {
            return Err(error);
        }
        let wait = match error.pause() {
            Some(pause) => Wait::For(pause),
            None if error.is_busy() => Wait::Overloaded,
            None => Wait::Usual,
        };
        Ok(Self { error, wait })
    }

    /// A failed call to a server that may succeed there later.
    ///
    /// # Errors
    ///
    /// If another attempt cannot help.
    pub(crate) fn of_fault(fault: Fault) -> Result<Self> {
        let wait = match fault.kind {
            RegionException::Fatal => return Err(fault.error),
            RegionException::Busy { pause: Some(Duration::ZERO) } => Wait::None,
            RegionException::Busy { pause: Some(pause) } => Wait::For(pause),
            // the region has another server already
            RegionException::RegionMoved { .. } => Wait::For(Duration::ZERO),
            _ if fault.overloaded => Wait::Overloaded,
            _ => Wait::Usual,
        };
        Ok(Self { error: fault.error, wait })
    }
}
