//! Attempts of an operation: location, connection, pauses (locator.md §10, §11.6; HBase:
//! `AsyncRpcRetryingCaller`).

use crate::call_target::CallTarget;
use crate::client::ClientCore;
use crate::fault::Fault;
use crate::setback::{Setback, Wait};
use hregion::locator::{CatalogRow, LocateType, RegionException, RetryPolicy, TableState};
use hregion::{Deadline, Error, ErrorKind, RegionLocations, Result, TableName};
use std::fmt;
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// The attempts of one operation.
#[derive(Clone)]
pub(crate) struct Tries<'c> {
    core: &'c ClientCore,
    /// The replica of the region to call.
    replica_id: u16,
    policy: RetryPolicy,
    /// The time of a call.
    time: Duration,
    deadline: Deadline,
    failed: u32,
    /// Whether the last attempt ended with a redirect.
    redirected: bool,
    /// Whether an attempt was sent whose response is unknown, so that it may have succeeded.
    has_lost_answer: bool,
    begin: Instant,
    causes: Vec<Cause>,
    /// Whether no attempt writes.
    only_reads: bool,
    /// If no attempt writes, the error of the operation before an attempt that has hardly any time, because
    /// the pause was cut short.
    hurried: Option<Error>,
}

/// The failure of one or more consecutive attempts.
#[derive(Clone, Debug)]
struct Cause {
    /// The first of the attempts, and their number.
    attempt: u32,
    count: u32,
    /// The times at which they failed, since the beginning of the operation.
    first: Duration,
    last: Duration,
    reason: String,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.attempt, self.reason)?;
        if self.count > 1 {
            let (first, last) = (self.first.as_secs_f64(), self.last.as_secs_f64());
            write!(f, " (×{}, from {first:.1} s to {last:.1} s)", self.count)?;
        }
        Ok(())
    }
}

/// The least time of an attempt.
const LEAST: Duration = Duration::from_millis(1);
/// The most causes that are kept. A policy may allow any number of attempts.
const CAUSES: usize = 64;

impl<'c> Tries<'c> {
    /// Attempts without a table.
    pub(crate) fn new(core: &'c ClientCore) -> Self {
        Self::by(core, core.settings.retries, core.settings.rpc_timeout)
    }

    /// Attempts to get rows of a table, or to open a scanner.
    pub(crate) fn of_reads(core: &'c ClientCore, table: &TableName) -> Self {
        Self::by(core, core.settings.retries_of(table), core.settings.read_timeout_of(table)).only_reading()
    }

    /// Returns attempts that change nothing, so that nothing is in doubt after one without a response.
    pub(crate) fn only_reading(self) -> Self {
        Self { only_reads: true, ..self }
    }

    /// Attempts to write to a table. Only calls that neither read nor depend on a condition have the time of
    /// those that write (HBase: `RawAsyncTableImpl`).
    pub(crate) fn of_writes(core: &'c ClientCore, table: &TableName, are_plain: bool) -> Self {
        let time = core.settings.write_timeout.filter(|_| are_plain).unwrap_or(core.settings.rpc_timeout);
        Self::by(core, core.settings.retries_of(table), time)
    }

    fn by(core: &'c ClientCore, policy: RetryPolicy, time: Duration) -> Self {
        let begin = Instant::now();
        let deadline = policy.deadline(begin);
        Self {
            core,
            replica_id: 0,
            policy,
            time,
            deadline,
            failed: 0,
            redirected: false,
            has_lost_answer: false,
            begin,
            causes: Vec::new(),
            only_reads: false,
            hurried: None,
        }
    }

    /// Returns a copy of these attempts, for a task that owns the client.
    pub(crate) fn detached(&self) -> impl FnOnce(&ClientCore) -> Tries<'_> + Send + use<> {
        let Tries {
            core: _,
            replica_id,
            policy,
            time,
            deadline,
            failed,
            redirected,
            has_lost_answer,
            begin,
            causes,
            only_reads,
            hurried,
        } = self.clone();
        move |core| Tries {
            core,
            replica_id,
            policy,
            time,
            deadline,
            failed,
            redirected,
            has_lost_answer,
            begin,
            causes,
            only_reads,
            hurried,
        }
    }

    /// Attempts to read from a replica of the region.
    pub(crate) fn of_replica(self, replica_id: u16) -> Self {
        Self { replica_id, ..self }
    }

    /// The time for the next call: at most that of a call, at most what is left.
    pub(crate) fn call_time(&self) -> Duration {
        self.time.min(self.deadline.remaining())
    }

    pub(crate) fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Restarts the count of attempts, after a success within the operation.
    pub(crate) fn succeeded(&mut self) {
        self.answered();
        self.causes.clear();
    }

    /// Restarts the count of attempts, after an answer that may not bring the operation to its end.
    pub(crate) fn answered(&mut self) {
        self.failed = 0;
        self.redirected = false;
        self.hurried = None;
    }

    /// Starts again, with the whole time of an operation, after a part of the operation is done.
    pub(crate) fn progressed(&mut self) {
        self.succeeded();
        self.has_lost_answer = false;
        self.begin = Instant::now();
        self.deadline = self.policy.deadline(self.begin);
    }

    /// Records an attempt that may have succeeded, because its response was lost.
    pub(crate) fn note_lost_answer(&mut self, fault: &Fault) {
        self.has_lost_answer |= fault.may_be_executed();
    }

    /// Records an attempt to write that may have succeeded, because its response was lost or is ambiguous.
    pub(crate) fn note_failed_write(&mut self, fault: &Fault) {
        self.has_lost_answer |= fault.may_be_written();
    }

    /// Whether an attempt may have succeeded, because its response was lost.
    pub(crate) fn has_lost_answer(&self) -> bool {
        self.has_lost_answer
    }

    /// Returns the error with which an operation ends. For a write, it states if an attempt may have
    /// succeeded.
    pub(crate) fn in_doubt(&self, error: Error) -> Error {
        if self.has_lost_answer && !self.only_reads { may_be_executed(&error) } else { error }
    }

    /// Returns the number of failed attempts.
    pub(crate) fn attempt(&self) -> u32 {
        self.failed
    }

    /// Whether no attempt is left, although another one might have succeeded.
    pub(crate) fn has_given_up(&self) -> bool {
        self.failed >= self.policy.max_attempts() || self.is_over()
    }

    /// Whether no time is left for another attempt.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline.remaining() <= LEAST
    }

    /// Returns the error of an operation whose time is over.
    pub(crate) fn timed_out(&self, message: String) -> Error {
        let message = if self.causes.is_empty() { message } else { format!("{message}: {}", self.causes()) };
        Error::new(ErrorKind::Io, message)
    }

    /// Finds the region of a row, and connects to its server.
    pub(crate) async fn find_target(
        &mut self,
        table: &TableName,
        row: &[u8],
        position: LocateType,
    ) -> Result<CallTarget> {
        let replica_id = self.replica_id;
        loop {
            let locations = match self.core.locate(table, row, position, replica_id, self.deadline).await {
                Ok(locations) => locations,
                Err(error) => {
                    self.not_found(error).await?;
                    continue;
                }
            };
            match self.core.connect(&locations, replica_id, self.deadline).await {
                Ok(connection) => return Ok(CallTarget::new(self.core, locations, replica_id, connection)),
                Err(fault) => self.failed(&locations, replica_id, fault).await?,
            }
        }
    }

    /// Checks that a table is enabled.
    pub(crate) async fn check_enabled(&mut self, table: &TableName) -> Result<()> {
        loop {
            match self.core.check_enabled(table, self.deadline).await {
                Ok(()) => return Ok(()),
                Err(error) => self.not_found(error).await?,
            }
        }
    }

    /// Returns the state of a table.
    pub(crate) async fn table_state(&mut self, table: &TableName) -> Result<TableState> {
        loop {
            match self.core.table_state(table, self.deadline).await {
                Ok(state) => return Ok(state),
                Err(error) => self.not_found(error).await?,
            }
        }
    }

    /// Returns all regions of a table, in row order.
    pub(crate) async fn regions(&mut self, table: &TableName) -> Result<Vec<CatalogRow>> {
        loop {
            let (name, deadline) = (table.clone(), self.deadline);
            match self.core.ask(deadline, move |locator| locator.regions_by(&name, deadline)).await {
                Ok(found) => return Ok(found),
                Err(error) => self.not_found(error).await?,
            }
        }
    }

    /// Waits for the next attempt after the catalog or the registry could not be read, or lacks a region.
    ///
    /// # Errors
    ///
    /// If another attempt cannot help, or there is none left.
    pub(crate) async fn not_found(&mut self, error: Error) -> Result<()> {
        self.pause(Setback::of_location(error)?).await
    }

    /// Reacts to a failed call to the server of a region: corrects the location, and pauses.
    ///
    /// # Errors
    ///
    /// If another attempt cannot help, or there is none left.
    pub(crate) async fn failed(
        &mut self,
        used: &RegionLocations,
        replica_id: u16,
        mut fault: Fault,
    ) -> Result<()> {
        self.redirected = fault.is_redirect_after(self.redirected);
        let setback = self.core.react(used, replica_id, fault, self.deadline).await?;
        self.pause(setback).await
    }

    /// Records a failure: once for consecutive attempts with the same reason.
    fn note(&mut self, reason: String) {
        let now = self.begin.elapsed();
        match self.causes.last_mut().filter(|cause| cause.reason == reason) {
            Some(cause) => {
                cause.count += 1;
                cause.last = now;
            }
            None => {
                if self.causes.len() == CAUSES {
                    self.causes.remove(0);
                }
                let attempt = self.failed;
                self.causes.push(Cause { attempt, count: 1, first: now, last: now, reason });
            }
        }
    }

    fn causes(&self) -> String {
        self.causes.iter().map(Cause::to_string).collect::<Vec<_>>().join("; ")
    }

    /// Keeps the setback of several that has the longest pause.
    pub(crate) fn keep_longest(&self, kept: &mut Option<Setback>, other: Setback) {
        let pause =
            |&Setback { wait, .. }: &Setback| wait.after(self.pauses_of(wait).pause_after(self.failed + 1));
        if kept.as_ref().is_none_or(|kept| pause(kept) < pause(&other)) {
            *kept = Some(other);
        }
    }

    /// Returns the policy that has the usual pauses.
    fn pauses_of(&self, wait: Wait) -> RetryPolicy {
        if wait == Wait::Overloaded { self.policy.of_overloaded() } else { self.policy }
    }

    /// Whether a server has requested a longer wait than the remaining time (HBase:
    /// `HBaseServerExceptionPauseManager`).
    pub(crate) fn is_in_vain(&self, setback: &Setback) -> bool {
        matches!(setback.wait, Wait::For(pause) if pause > self.deadline.remaining())
    }

    /// Counts a failed attempt, and waits for the next.
    pub(crate) async fn pause(&mut self, setback: Setback) -> Result<()> {
        sleep(self.next_pause(setback)?).await;
        Ok(())
    }

    /// Counts a failed attempt. Returns how long to wait for the next.
    pub(crate) fn next_pause(&mut self, setback: Setback) -> Result<Duration> {
        let is_in_vain = self.is_in_vain(&setback);
        let Setback { error, wait } = setback;
        let ended = self.end(&error);
        let left = self.deadline.remaining().saturating_sub(LEAST);
        let usual = self.pauses_of(wait).with_jitter(self.failed);
        let pause = wait.after(usual);
        if self.failed >= self.policy.max_attempts() || left.is_zero() || is_in_vain {
            return Err(ended);
        }
        self.hurried = (self.only_reads && pause > left).then_some(ended);
        Ok(pause.min(left))
    }

    /// Counts a failed attempt. Returns the error of the operation if that was the last.
    pub(crate) fn end(&mut self, error: &Error) -> Error {
        // its lack of time for a response would hide why the previous ones failed
        if let Some(before) = self.hurried.take().filter(|_| error.kind() == ErrorKind::Io) {
            return before;
        }
        self.failed += 1;
        self.note(error.message());
        match self.failed {
            ..=1 => error.clone(),
            times => Error::new(error.kind(), format!("failed {times} times: {}", self.causes())),
        }
    }
}

/// Returns the error of an operation that has not succeeded as far as is known, but whose response was lost.
pub(crate) fn may_be_executed(error: &Error) -> Error {
    Error::new(error.kind(), format!("{}; it may have been executed", error.message()))
}

impl ClientCore {
    /// Corrects the location after a fault, and returns when another attempt may succeed.
    ///
    /// # Errors
    ///
    /// If another attempt cannot help.
    pub(crate) async fn react(
        &self,
        used: &RegionLocations,
        replica_id: u16,
        fault: Fault,
        deadline: Deadline,
    ) -> Result<Setback> {
        self.correct(used, replica_id, &fault.kind, deadline, &mut None).await?;
        Setback::of_fault(fault)
    }

    /// Corrects the location after a fault. `is_enabled` is the table's state, if the catalog was asked.
    ///
    /// # Errors
    ///
    /// If the table is disabled, or there is none.
    pub(crate) async fn correct(
        &self,
        used: &RegionLocations,
        replica_id: u16,
        kind: &RegionException,
        deadline: Deadline,
        is_enabled: &mut Option<Result<()>>,
    ) -> Result<()> {
        self.locator.on_fault(used, replica_id, kind);
        if *kind != RegionException::NotServingRegion {
            return Ok(());
        }
        if is_enabled.is_none() {
            let checked = self.check_enabled(used.region().table(), deadline).await;
            *is_enabled = Some(checked.or_else(|error| match error.kind() {
                ErrorKind::TableNotFound | ErrorKind::TableNotEnabled => Err(error),
                _ => Ok(()),
            }));
        }
        is_enabled.clone().unwrap_or(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;

    #[tokio::test]
    async fn an_error_has_what_failed_in_all_attempts() {
        let retries = RetryPolicy::default().pause(Duration::ZERO).attempts(16);
        let client = Client::builder().retries(retries).bootstrap("localhost").unwrap();
        let mut tries = Tries::new(&client.0);
        let mut setback = async |reason: &str| {
            let error = Error::new(ErrorKind::Io, reason.to_owned());
            tries.pause(Setback { error, wait: Wait::Usual }).await
        };
        for attempt in 1..=12 {
            setback(&format!("server {attempt}")).await.unwrap();
        }
        for _ in 0..3 {
            setback("server 12").await.unwrap();
        }
        let error = setback("server 1").await.unwrap_err();
        let causes: Vec<String> = (1..12).map(|attempt| format!("{attempt}: server {attempt}")).collect();
        let last = "12: server 12 (×4, from 0.0 s to 0.0 s); 16: server 1";
        assert_eq!(error.message(), format!("failed 16 times: {}; {last}", causes.join("; ")));
        assert!(tries.timed_out("late".into()).message().starts_with("late: 1: server 1; 2: "));
        tries.succeeded();
        assert_eq!(tries.timed_out("late".into()).message(), "late");
    }

    /// The last attempt, after a pause that was cut short, has no time for an answer.
    #[tokio::test]
    async fn the_failure_of_an_attempt_without_time_is_not_reported() {
        let retries = RetryPolicy::default().pause(Duration::from_secs(60));
        let retries = retries.operation_timeout(Duration::from_millis(250));
        let client = Client::builder().retries(retries).bootstrap("localhost").unwrap();
        let setback = |kind, reason: &str| {
            let error = Error::new(kind, reason.to_owned());
            Setback { error, wait: Wait::Usual }
        };
        let last = async |mut tries: Tries<'_>| {
            tries.pause(setback(ErrorKind::NoServerForRegion, "nobody has it")).await.unwrap();
            tries.pause(setback(ErrorKind::Io, "no answer in time")).await.unwrap_err()
        };
        let error = last(Tries::new(&client.0).only_reading()).await;
        assert_eq!((error.kind(), error.message()), (ErrorKind::NoServerForRegion, "nobody has it".into()));
        // a write may have succeeded
        let error = last(Tries::new(&client.0)).await;
        let both = "failed 2 times: 1: nobody has it; 2: no answer in time";
        assert_eq!((error.kind(), error.message()), (ErrorKind::Io, both.into()));
        // a response is reported
        let mut tries = Tries::new(&client.0).only_reading();
        tries.pause(setback(ErrorKind::Io, "gone")).await.unwrap();
        let error = tries.pause(setback(ErrorKind::Remote, "busy")).await.unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (ErrorKind::Remote, "failed 2 times: 1: gone; 2: busy".into())
        );
    }

    #[tokio::test]
    async fn a_pause_that_is_longer_than_the_operation_is_not_made() {
        let retries = RetryPolicy::default().operation_timeout(Duration::from_secs(5));
        let client = Client::builder().retries(retries).bootstrap("localhost").unwrap();
        let error = Error::new(ErrorKind::Remote, "quota");
        let setback = Setback { error, wait: Wait::For(Duration::from_secs(3600)) };
        assert_eq!(Tries::new(&client.0).pause(setback).await.unwrap_err().message(), "quota");
    }
}
