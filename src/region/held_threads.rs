//! Holds the crate's threads while the process is forked.

use super::many_gets;
use crate::hfile::{HeldQueue, hold_queues};
use crate::io::Owner;
use std::fmt;
use std::time::{Duration, Instant};

/// The longest wait for threads that are working.
const MAX_WAIT: Duration = Duration::from_secs(1);

/// Keeps this crate's helper threads from beginning any work while it exists: those that read blocks ahead,
/// help with [`Region::get_many`](crate::Region::get_many), and compress blocks.
///
/// A program that forks without executing another program must hold the threads during the fork, and then
/// drop this in both processes. The new process has none of the threads: without this, their locks would stay
/// locked there and their jobs would never end, so a scan could wait forever. Other threads of the program
/// should not read or write at that moment, nor should regions flush or compact.
///
/// A thread must not hold them twice at the same time: it would wait for itself.
pub struct HeldThreads {
    queues: Vec<Box<dyn HeldQueue>>,
    /// The process that has the threads.
    owner: Owner,
}

impl HeldThreads {
    /// Waits until the threads are idle, but at most a second.
    #[must_use]
    pub fn hold() -> Self {
        let end = Instant::now() + MAX_WAIT;
        let mut queues = vec![many_gets::hold_queue(end)];
        queues.extend(hold_queues(end));
        Self { queues, owner: Owner::this() }
    }
}

impl Drop for HeldThreads {
    fn drop(&mut self) {
        if !self.owner.is_this() {
            self.queues.iter_mut().for_each(|queue| queue.forget_threads());
        }
    }
}

impl fmt::Debug for HeldThreads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldThreads").finish_non_exhaustive()
    }
}
