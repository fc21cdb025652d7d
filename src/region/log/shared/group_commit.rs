//! Group commit: one thread at a time writes the entries that all have appended, in rounds, and completes
//! their writes.

use super::{Busy, SharedLog, State, Ticket};
use crate::clock::Stopwatch;
use crate::error::{Error, Result};
use crate::io::LogFile;
use crate::mvcc::{Mvcc, SharedWriteEntry, WriteEntry};
use crate::op::Durability;
use crate::region::log::reserve::{is_full, mark_end};
use crate::sync::unpoisoned;
use crate::wal::{TRAILER, WalEncoder};
use std::mem;
use std::sync::{Arc, Condvar, MutexGuard};
use std::time::Duration;

/// A write in memory whose thread sleeps until its entry is durable.
#[derive(Debug)]
pub(super) struct Asleep {
    number: u64,
    /// Whether the entry must be synced.
    syncs: bool,
    write: SharedWriteEntry,
}

/// A thread that waits for an entry. A panic of the file in this thread ends the wait as well: the cells can
/// then be removed before the write is complete.
struct Waiter<'l, 'w, 'm> {
    log: &'l SharedLog,
    number: u64,
    mvcc: &'m Arc<Mvcc>,
    /// `None` while the thread sleeps, and after another thread has completed it.
    write: &'w mut Option<WriteEntry<'m>>,
    is_asleep: bool,
    is_over: bool,
}

impl Waiter<'_, '_, '_> {
    /// Records that the thread has seen the outcome, and takes its write back from the sleepers, unless it is
    /// complete.
    fn end(&mut self, state: &mut State) {
        self.is_over = true;
        state.see_outcome();
        if self.is_asleep
            && let Some(at) = state.asleep.iter().position(|other| other.number == self.number)
        {
            *self.write = state.asleep.swap_remove(at).write.unshare(self.mvcc);
        }
    }
}

impl Drop for Waiter<'_, '_, '_> {
    fn drop(&mut self) {
        if !self.is_over {
            let log = self.log;
            self.end(&mut log.state());
        }
    }
}

/// A write of pending entries to the file by one thread, with the state unlocked.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Round {
    number: usize,
    /// The last entry that it writes.
    last: u64,
    syncs: bool,
}

/// The pending entries that a round writes.
struct Batch {
    bytes: Vec<u8>,
    /// The offset of the first entry in the file.
    base: u64,
    syncs: bool,
    /// Like [`State::reserved`].
    reserved: u64,
    /// Like [`State::has_unsynced_cut`].
    is_after_cut: bool,
}

/// The result of writing a [`Batch`].
struct Written {
    outcome: Result<()>,
    /// Whether nothing of the batch is in the file, although `outcome` is an error.
    is_undone: bool,
    /// `None` if the batch need not be synced.
    sync_time: Option<Duration>,
}

impl State {
    /// Whether more writers may append soon, judged by the number that waited for the last two rounds: one
    /// sync then serves all of them.
    fn expects_more(&self) -> bool {
        let expected = self.waited[0].min(self.waited[1]);
        self.ungathered == 0 && self.sync_time >= MIN_SHARED && self.appended - self.synced < expected
    }

    /// Ends the wait for others. If it took longer than a sync, the next rounds begin without it: alternate
    /// syncs, each for half of the writers while the other half appends, are then faster than one for all.
    fn end_gathering(&mut self) {
        self.ungathered = match self.gathering.take() {
            Some(_) if self.sync_ended.elapsed() > self.sync_time => UNGATHERED,
            _ => self.ungathered.saturating_sub(1),
        };
    }

    /// Appends an entry without cells to entries that end with the bytes of a trailer, which HBase would take
    /// for one: it would then not read the last entry.
    fn end_without_trailer(&mut self, bytes: &mut Vec<u8>) {
        if let Some(encoder) = &mut self.encoder {
            // The key was encoded for the previous entry, so this does not fail.
            let _ = encoder.empty_entry(&self.last_key, bytes);
        }
    }

    /// Records that a thread has seen the outcome that it waited for.
    fn see_outcome(&mut self) {
        self.unseen -= 1;
        if self.unseen == 0 {
            self.refused.clear();
        }
    }
}

impl SharedLog {
    /// Waits until all entries up to one are on disk, or known not to be in the file. After a failure of the
    /// log, returns at once.
    pub(in crate::region::log) fn sync(&self, number: u64) {
        drop(self.sync_to(self.state(), number));
    }

    /// Like [`sync`](Self::sync), with the state unlocked during the wait.
    pub(in crate::region::log) fn sync_to<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        number: u64,
    ) -> MutexGuard<'s, State> {
        // The end of a round wakes this thread.
        state.unseen += 1;
        while self.failure.get().is_none() && state.encoder.is_some() && state.synced < number {
            state = match state.file.take() {
                Some(file) => {
                    state.wanted = state.wanted.max(number);
                    self.write_pending(state, file, &mut None)
                }
                None => {
                    let round = state.round.number;
                    unpoisoned(self.ended(round).wait(state))
                }
            };
        }
        state.see_outcome();
        state
    }

    /// Waits until an entry is as durable as requested. Writes pending entries if no other thread does.
    ///
    /// If `write` is the write of the entry, whose cells are in memory, another thread may complete it once
    /// the entry is durable: `write` is `None` then. This saves the thread a second sleep, to wait for
    /// earlier writes.
    ///
    /// # Errors
    ///
    /// If the entry is not in the file, because the disk is full; if an append or sync has failed, so that
    /// the contents of the file are unknown. The write is not complete.
    pub(in crate::region::log) fn wait<'m>(
        &self,
        Ticket { number, .. }: Ticket,
        durability: Durability,
        mvcc: &'m Arc<Mvcc>,
        write: &mut Option<WriteEntry<'m>>,
    ) -> Result<()> {
        let syncs = durability == Durability::FsyncWal;
        let mut waiter = Waiter { log: self, number, mvcc, write, is_asleep: false, is_over: false };
        let (mut state, mut spins, mut is_late) = (self.state(), SPINS, false);
        if syncs {
            state.wanted = state.wanted.max(number);
        }
        let outcome = loop {
            if let Some((_, error)) = state.refused.iter().find(|(numbers, _)| numbers.contains(&number)) {
                break Err(error.clone());
            }
            if number <= if syncs { state.synced } else { state.written } {
                break Ok(());
            }
            if let Err(error) = self.check() {
                break Err(error);
            }
            let waits = syncs && !is_late && state.expects_more();
            state = match state.file.take_if(|_| !waits) {
                Some(file) => self.write_pending(state, file, waiter.write),
                None if !syncs && spins > 0 => {
                    // Writing bytes to the system takes less time than sleeping.
                    spins -= 1;
                    drop(state);
                    (0..SPIN).for_each(|_| std::hint::spin_loop());
                    self.state()
                }
                None => {
                    // Only the writers whose entries a round writes are woken when it ends, and one for the
                    // next round.
                    let round = state.round;
                    let is_in_round = number <= round.last && (round.syncs || !syncs);
                    let ended = self.ended(round.number + usize::from(!is_in_round));
                    if let Some(write) = waiter.write.take() {
                        waiter.is_asleep = true;
                        state.asleep.push(Asleep { number, syncs, write: write.share(mvcc) });
                    }
                    if waits && state.file.is_some() && *state.gathering.get_or_insert(number) == number {
                        let time = state.sync_time.min(MAX_GATHERING);
                        let (state, timeout) = unpoisoned(ended.wait_timeout(state, time));
                        is_late = timeout.timed_out();
                        state
                    } else {
                        unpoisoned(ended.wait(state))
                    }
                }
            };
        };
        waiter.end(&mut state);
        outcome
    }

    /// Writes the pending entries to the file, and syncs it if a writer waits for that, with the state
    /// unlocked. If other threads wait for the outcome, completes `own` and those of their writes that are
    /// then durable.
    fn write_pending<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        mut file: Box<dyn LogFile>,
        own: &mut Option<WriteEntry<'_>>,
    ) -> MutexGuard<'s, State> {
        let syncs = state.wanted > state.synced;
        let spare = mem::take(&mut state.spare);
        let mut bytes = mem::replace(&mut state.pending, spare);
        if !file.can_overwrite() && bytes.ends_with(&TRAILER) {
            state.end_without_trailer(&mut bytes);
        }
        let end = state.encoder.as_ref().map_or(0, WalEncoder::offset);
        let base = end - bytes.len() as u64;
        let target = state.appended;
        state.round = Round { number: state.round.number + 1, last: target, syncs };
        state.end_gathering();
        let mut batch =
            Batch { bytes, base, syncs, reserved: state.reserved, is_after_cut: state.has_unsynced_cut };
        drop(state);
        let busy = Busy(self);
        let Written { outcome, is_undone, sync_time } = self.write_batch(&mut *file, &mut batch);
        mem::forget(busy);
        let Batch { mut bytes, reserved, .. } = batch;
        let mut state = self.state();
        // The system may report only once that bytes could not be written: to a concurrent sync.
        while syncs && state.syncs_beside > 0 && self.failure.get().is_none() {
            state = unpoisoned(self.file_ended.wait(state));
        }
        let outcome = if state.syncs_beside > 0 { outcome.and_then(|()| self.check()) } else { outcome };
        (state.file, state.reserved) = (Some(file), reserved);
        let is_done = outcome.is_ok();
        match outcome {
            Ok(()) => {
                state.written = target;
                if let Some(time) = sync_time {
                    (state.synced, state.sync_time) = (target, time);
                    state.sync_ended = Stopwatch::start();
                    if let Some(encoder) = &mut state.encoder {
                        encoder.synced(end);
                    }
                }
            }
            Err(error) if is_undone => {
                // Entries appended during the round have offsets after the failed ones.
                let numbers = state.written + 1..=state.appended;
                state.refused.push((numbers, error));
                state.written = state.appended;
                state.pending.clear();
                if let Some(encoder) = &mut state.encoder {
                    encoder.go_back(base);
                }
            }
            Err(error) => self.fail(&error),
        }
        if bytes.capacity() <= MAX_SPARE {
            bytes.clear();
            state.spare = bytes;
        }
        state.waited = [state.unseen, state.waited[0]];
        // A notification is a system call; the count includes this thread's entry.
        if state.unseen > 1 {
            state = self.end_round(state, is_done, own);
        }
        state
    }

    /// Writes a batch to the file, and syncs it if requested. If the disk is full, removes the part that was
    /// written; if the storage refused the batch, nothing was.
    fn write_batch(&self, file: &mut dyn LogFile, batch: &mut Batch) -> Written {
        let Batch { bytes, base, syncs, reserved, is_after_cut } = batch;
        let (base, syncs, is_after_cut) = (*base, *syncs, *is_after_cut);
        let kept = bytes.len();
        let is_longer = file.can_overwrite() && mark_end(bytes, base, reserved, syncs);
        // A forked process has the same file.
        let mut written = self.owner.check();
        if written.is_ok() && is_after_cut {
            // The batch must not survive a loss of power without the entries of the previous file.
            written = self.wait_for_cut();
        }
        let mut is_refused = false;
        if written.is_ok() && kept > 0 {
            written = file.append(bytes, kept);
            is_refused = written.is_err() && file.is_unchanged();
        }
        let mut is_undone = is_refused || is_full(&written) && file.truncate(base).is_ok();
        if is_undone && !is_refused {
            *reserved = 0;
            if is_longer {
                written = file.append(&bytes[..kept], kept);
                is_undone = is_full(&written) && file.truncate(base).is_ok();
            }
        }
        // Refused entries must not return after a loss of power.
        is_undone = is_undone && file.sync().is_ok();
        let started = syncs.then(Stopwatch::start);
        let synced = if written.is_ok() && syncs { file.sync() } else { Ok(()) };
        let sync_time = started.map(Stopwatch::elapsed);
        let at = |action, error| Error::io(action, file.path(), error);
        let outcome = written
            .map_err(|error| at("write", error))
            .and_then(|()| synced.map_err(|error| at("sync", error)));
        Written { outcome, is_undone, sync_time }
    }

    /// Wakes the threads whose entries the current round has written, and one for the next round. If the
    /// round has succeeded, first completes `own` and the writes whose entries are durable, with the state
    /// unlocked.
    fn end_round<'s>(
        &'s self,
        mut state: MutexGuard<'s, State>,
        is_done: bool,
        own: &mut Option<WriteEntry<'_>>,
    ) -> MutexGuard<'s, State> {
        let Round { number: round, last, syncs } = state.round;
        let State { asleep, refused, .. } = &mut *state;
        // A writer whose entry was refused may not have taken its write back yet.
        let is_durable = |other: &mut Asleep| {
            other.number <= last
                && (syncs || !other.syncs)
                && !refused.iter().any(|(numbers, _)| numbers.contains(&other.number))
        };
        let complete: Vec<_> = match is_done {
            true => asleep.extract_if(.., is_durable).collect(),
            false => Vec::new(),
        };
        // Unlocked first, because woken threads lock the state. The thread for the next round is woken first.
        drop(state);
        if is_done {
            drop((own.take(), complete));
            self.ended(round + 1).notify_one();
        } else {
            self.ended(round + 1).notify_all();
        }
        self.ended(round).notify_all();
        self.state()
    }

    fn ended(&self, round: usize) -> &Condvar {
        &self.ended[round % 2]
    }
}

/// How often a writer checks whether its entry was written, and how long it waits each time, before it
/// sleeps.
const SPINS: u32 = 50;
const SPIN: u32 = 30;

/// A sync that takes less time than a thread needs to sleep is not shared by waiting for other writers.
const MIN_SHARED: Duration = Duration::from_micros(20);
/// The maximum time that a writer waits for others.
const MAX_GATHERING: Duration = Duration::from_millis(1);
/// The number of rounds after which waiting for others is measured again.
const UNGATHERED: u32 = 64;

/// The largest buffer that is kept for reuse.
const MAX_SPARE: usize = 1 << 20;
