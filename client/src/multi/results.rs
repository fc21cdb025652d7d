//! The results of actions, and which of them may have been executed without one.

use super::Action;
use crate::fault::Fault;
use crate::tries::may_be_executed;
use hregion::{Error, ErrorKind, ReadFrom, Result, Row};
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The results of actions, by their place.
pub(super) struct Results(Mutex<Vec<Option<Result<Row>>>>);

impl Results {
    pub(super) fn new(count: usize) -> Self {
        Self(Mutex::new((0..count).map(|_| None).collect()))
    }

    fn results(&self) -> MutexGuard<'_, Vec<Option<Result<Row>>>> {
        // no code that panics runs with the lock
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds the result of an action on a replica. The first row counts; an error only without one.
    pub(super) fn add(&self, at: usize, result: Result<Row>) {
        let place = &mut self.results()[at];
        match (&*place, &result) {
            (Some(Ok(_)), _) | (Some(Err(_)), Err(_)) => {}
            _ => *place = Some(result),
        }
    }

    /// Whether an action has succeeded.
    pub(super) fn has(&self, at: usize) -> bool {
        matches!(self.results()[at], Some(Ok(_)))
    }

    /// Whether no other result can count.
    pub(super) fn are_final(&self, actions: &[Action]) -> bool {
        let is_final = |(result, action): (&Option<Result<Row>>, &Action)| match result {
            Some(Ok(_)) => true,
            Some(Err(_)) => action.from != ReadFrom::Any,
            None => false,
        };
        self.results().iter().zip(actions).all(is_final)
    }

    pub(super) fn take(self) -> Vec<Result<Row>> {
        let missing = || Err(Error::new(ErrorKind::Remote, "an action without a result"));
        let results = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        results.into_iter().map(|result| result.unwrap_or_else(missing)).collect()
    }
}

/// The mutations that may have been executed although they have no result: a response was lost, or was an
/// ambiguous exception.
#[derive(Default)]
pub(super) struct InDoubt(HashSet<usize>);

impl InDoubt {
    /// Records why an attempt of an action failed.
    pub(super) fn note(&mut self, at: usize, action: &Action, fault: &Fault) {
        if action.message.mutation.is_some() && fault.may_be_written() {
            self.0.insert(at);
        }
    }

    /// Returns the error with which an action ends.
    pub(super) fn error_of(&self, at: usize, error: Error) -> Error {
        if self.0.contains(&at) { may_be_executed(&error) } else { error }
    }
}
