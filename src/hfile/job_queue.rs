//! Jobs that a helper thread does, or the thread that needs their results: whichever comes to them first.

use crate::sync::unpoisoned;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

/// What a job does.
pub(super) trait Task: Send + 'static {
    /// The result.
    type Output: Send;

    /// Does it; `scratch` is memory to reuse.
    fn run(self, scratch: &mut Vec<u8>) -> Self::Output;
}

/// A job, and then its result.
pub(super) struct Job<T: Task> {
    state: Mutex<State<T>>,
    finished: Condvar,
}

enum State<T: Task> {
    /// There is no job: none was set, the result was taken, or the thread that did it panicked.
    Empty,
    Waiting(T),
    Running,
    Done(T::Output),
}

/// What has become of a job.
pub(super) enum Claim<T: Task> {
    Empty,
    /// Not begun; it is now the caller's.
    Waiting(T),
    /// Another thread does it.
    Running,
    Done(T::Output),
}

impl<T: Task> Job<T> {
    pub(super) fn new() -> Self {
        Self { state: Mutex::new(State::Empty), finished: Condvar::new() }
    }

    /// Sets what is to be done. The job must be empty.
    pub(super) fn set(&self, task: T) {
        *unpoisoned(self.state.lock()) = State::Waiting(task);
    }

    /// Takes the result, or the job if it has not begun.
    pub(super) fn claim(&self) -> Claim<T> {
        let mut state = unpoisoned(self.state.lock());
        match mem::replace(&mut *state, State::Empty) {
            State::Empty => Claim::Empty,
            State::Waiting(task) => Claim::Waiting(task),
            State::Done(output) => Claim::Done(output),
            State::Running => {
                *state = State::Running;
                Claim::Running
            }
        }
    }

    /// Waits for a job that another thread does. None if that thread panicked.
    pub(super) fn wait(&self) -> Option<T::Output> {
        let mut state = unpoisoned(self.state.lock());
        while matches!(*state, State::Running) {
            state = unpoisoned(self.finished.wait(state));
        }
        match mem::replace(&mut *state, State::Empty) {
            State::Done(output) => Some(output),
            _ => None,
        }
    }

    /// Does the job if it has not begun; returns whether this thread has done it.
    pub(super) fn run(&self, scratch: &mut Vec<u8>) -> bool {
        let task = {
            let mut state = unpoisoned(self.state.lock());
            match mem::replace(&mut *state, State::Running) {
                State::Waiting(task) => task,
                other => {
                    *state = other;
                    return false;
                }
            }
        };
        // a thread that waits for the result must not wait for ever after a panic
        let output = catch_unwind(AssertUnwindSafe(|| task.run(scratch)));
        *unpoisoned(self.state.lock()) = output.map_or(State::Empty, State::Done);
        self.finished.notify_all();
        true
    }

    fn is_waiting(&self) -> bool {
        matches!(*unpoisoned(self.state.lock()), State::Waiting(_))
    }
}

/// A queue of jobs, and the thread that does them.
///
/// The thread is started when there is work, and ends when there has been none for a while. A job whose task
/// was claimed stays in the queue, and is skipped there.
pub(super) struct JobQueue<T: Task> {
    /// The name of the thread.
    name: &'static str,
    state: Mutex<QueueState<T>>,
    added: Condvar,
}

struct QueueState<T: Task> {
    jobs: VecDeque<Arc<Job<T>>>,
    has_thread: bool,
    is_asleep: bool,
}

/// At most this many jobs wait. More are done by the threads that need them.
const MAX_WAITING: usize = 64;

/// After this time without a job the thread ends.
const IDLE: Duration = Duration::from_secs(10);

impl<T: Task> JobQueue<T> {
    pub(super) const fn new(name: &'static str) -> Self {
        let state = QueueState { jobs: VecDeque::new(), has_thread: false, is_asleep: false };
        Self { name, state: Mutex::new(state), added: Condvar::new() }
    }

    /// Starts the thread unless it runs. Returns whether it does.
    pub(super) fn start(&'static self) -> bool {
        unpoisoned(self.state.lock()).start(|| self.spawn())
    }

    fn spawn(&'static self) -> io::Result<()> {
        let helper = thread::Builder::new().name(self.name.into());
        helper.spawn(|| self.work(IDLE)).map(drop)
    }

    /// Adds a job for the thread, unless too many wait, or there is no thread and none can be started.
    pub(super) fn push(&'static self, job: &Arc<Job<T>>) {
        self.push_by(job, || self.spawn());
    }

    fn push_by(&self, job: &Arc<Job<T>>, spawn: impl FnOnce() -> io::Result<()>) {
        let mut state = unpoisoned(self.state.lock());
        if state.jobs.len() >= MAX_WAITING {
            state.jobs.retain(|job| job.is_waiting());
        }
        if state.jobs.len() < MAX_WAITING && state.start(spawn) {
            state.jobs.push_back(Arc::clone(job));
            if mem::take(&mut state.is_asleep) {
                self.added.notify_one();
            }
        }
    }

    /// Does jobs until there has been none for `idle`.
    fn work(&self, idle: Duration) {
        let mut scratch = Vec::new();
        let mut state = unpoisoned(self.state.lock());
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job.run(&mut scratch);
                drop(job);
                state = unpoisoned(self.state.lock());
                continue;
            }
            state.is_asleep = true;
            let (woken, wait) = unpoisoned(self.added.wait_timeout(state, idle));
            state = woken;
            state.is_asleep = false;
            if wait.timed_out() && state.jobs.is_empty() {
                state.has_thread = false;
                return;
            }
        }
    }
}

impl<T: Task> QueueState<T> {
    /// Starts the thread by `spawn` unless it runs. Returns whether it does.
    fn start(&mut self, spawn: impl FnOnce() -> io::Result<()>) -> bool {
        if !self.has_thread {
            self.has_thread = spawn().is_ok();
        }
        self.has_thread
    }
}

#[cfg(test)]
mod tests;
