//! Flushes and compactions on a thread of their own, for those who ask for it.

use super::{Compaction, Inner};
use crate::error::{Error, Result};
use crate::sync::unpoisoned;
use std::sync::{Arc, Condvar, Mutex, Weak};
use std::thread;

/// Writers wait when this many times the flush size is in memory (hbase.hregion.memstore.block.multiplier).
const BLOCK_MULTIPLIER: u64 = 4;

/// What the thread and the writers tell each other.
#[derive(Debug)]
pub(super) struct Background {
    flush_size: u64,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    signals: Mutex<Signals>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Signals {
    /// Whether there is something to do.
    wanted: bool,
    /// Whether the region is gone.
    stopped: bool,
    /// Why the last round failed, if it did.
    failure: Option<Error>,
    /// How many rounds have ended.
    rounds: u64,
}

impl Background {
    pub(super) fn new(flush_size: u64) -> Self {
        Self { flush_size, shared: Arc::default() }
    }

    /// Starts the thread. It ends when the region goes.
    pub(super) fn start(&self, region: &Arc<Inner>) -> Result<()> {
        let (shared, region) = (Arc::clone(&self.shared), Arc::downgrade(region));
        let thread = thread::Builder::new().name("hregion".into());
        let started = thread.spawn(move || run(&shared, &region));
        started
            .map(drop)
            .map_err(|error| Error::io("start a thread for", std::path::Path::new("flushes"), error))
    }

    /// Why the last round failed, if it did.
    pub(super) fn failure(&self) -> Option<Error> {
        unpoisoned(self.shared.signals.lock()).failure.clone()
    }

    /// Before a write: waits while there is far too much in memory.
    ///
    /// # Errors
    ///
    /// If the flush that would make room has failed.
    pub(super) fn admit(&self, in_memory: impl Fn() -> u64) -> Result<()> {
        if in_memory() < self.flush_size {
            return Ok(());
        }
        let mut signals = unpoisoned(self.shared.signals.lock());
        signals.wanted = true;
        self.shared.changed.notify_all();
        while in_memory() >= self.flush_size.saturating_mul(BLOCK_MULTIPLIER) {
            let rounds = signals.rounds;
            while signals.rounds == rounds {
                signals = unpoisoned(self.shared.changed.wait(signals));
            }
            if let Some(failure) = &signals.failure {
                return Err(failure.clone());
            }
            signals.wanted = true;
        }
        Ok(())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        unpoisoned(self.shared.signals.lock()).stopped = true;
        self.shared.changed.notify_all();
    }
}

fn run(shared: &Shared, region: &Weak<Inner>) {
    loop {
        let mut signals = unpoisoned(shared.signals.lock());
        while !signals.wanted && !signals.stopped {
            signals = unpoisoned(shared.changed.wait(signals));
        }
        signals.wanted = false;
        drop(signals);
        let Some(region) = region.upgrade() else { return };
        let result = flush_and_compact(&region);
        let mut signals = unpoisoned(shared.signals.lock());
        signals.failure = result.err();
        signals.rounds += 1;
        shared.changed.notify_all();
    }
}

fn flush_and_compact(region: &Inner) -> Result<()> {
    region.flush_all()?;
    region.compact_all(Compaction::Minor)
}
