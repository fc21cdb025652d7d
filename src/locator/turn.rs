//! Lets callers take turns, each waiting no longer than its deadline.

use crate::clock::Deadline;
use crate::error::{Error, Result};
use crate::sync::unpoisoned;
use std::sync::{Condvar, Mutex};
use std::time::Duration;

/// A lock with a deadline for waiting.
#[derive(Debug, Default)]
pub(super) struct Turn {
    is_taken: Mutex<bool>,
    /// Notified when a turn ends.
    ended: Condvar,
}

/// The turn of a caller, which ends when this is dropped.
#[derive(Debug)]
pub(super) struct Taken<'t>(&'t Turn);

/// Maximum time to wait before checking the deadline again.
const LONG: Duration = Duration::from_secs(3600);

impl Turn {
    /// Waits for the turn.
    ///
    /// # Errors
    ///
    /// If the deadline passes first.
    pub(super) fn take(&self, deadline: Deadline) -> Result<Taken<'_>> {
        let mut is_taken = unpoisoned(self.is_taken.lock());
        while *is_taken {
            let left = deadline.remaining();
            if left.is_zero() {
                return Err(Error::timed_out("locate hbase:meta"));
            }
            is_taken = unpoisoned(self.ended.wait_timeout(is_taken, left.min(LONG))).0;
        }
        *is_taken = true;
        Ok(Taken(self))
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        *unpoisoned(self.0.is_taken.lock()) = false;
        self.0.ended.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_waited_for_until_the_deadline() {
        let turn = Turn::default();
        let taken = turn.take(Deadline::NEVER).unwrap();
        assert!(turn.take(Deadline::after(Duration::from_millis(20))).is_err());
        std::thread::scope(|scope| {
            let next = scope.spawn(|| turn.take(Deadline::NEVER).is_ok());
            drop(taken);
            assert!(next.join().unwrap());
        });
        turn.take(Deadline::after(Duration::ZERO)).unwrap();
    }
}
