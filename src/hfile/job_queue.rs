//! Jobs that helper threads do, or the thread that needs their results: whichever comes to them first.

use crate::sync::unpoisoned;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// What a job does.
pub(crate) trait Task: Send + 'static {
    /// The result.
    type Output: Send;

    /// Does it; `scratch` is memory to reuse.
    fn run(self, scratch: &mut Vec<u8>) -> Self::Output;
}

/// A job, and then its result.
pub(crate) struct Job<T: Task> {
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
pub(crate) enum Claim<T: Task> {
    Empty,
    /// Not begun; it is now the caller's.
    Waiting(T),
    /// Another thread does it.
    Running,
    Done(T::Output),
}

impl<T: Task> Job<T> {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State::Empty), finished: Condvar::new() }
    }

    /// Sets what is to be done. The job must be empty.
    pub(crate) fn set(&self, task: T) {
        *unpoisoned(self.state.lock()) = State::Waiting(task);
    }

    /// Takes the result, or the job if it has not begun.
    pub(crate) fn claim(&self) -> Claim<T> {
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

    /// Waits, but not for longer, while another thread does the job. Does not sleep.
    pub(crate) fn spin(&self, most: Duration) {
        let begin = Instant::now();
        while matches!(*unpoisoned(self.state.lock()), State::Running) && begin.elapsed() < most {
            thread::yield_now();
        }
    }

    /// Waits for a job that another thread does. None if that thread panicked.
    pub(crate) fn wait(&self) -> Option<T::Output> {
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

/// A queue of jobs, and the threads that do them.
///
/// A thread is started for work that no other is free for, and ends when there has been none for a while. A
/// job whose task was claimed stays in the queue, and is skipped there.
pub(crate) struct JobQueue<T: Task> {
    /// The name of the threads.
    name: &'static str,
    /// The maximum number of threads.
    most: usize,
    state: Mutex<QueueState<T>>,
}

struct QueueState<T: Task> {
    jobs: VecDeque<Arc<Job<T>>>,
    /// The number of threads.
    threads: usize,
    /// Those that wait for jobs. The last is called first, so that those that are not needed end.
    asleep: Vec<Thread>,
    /// The number of those that were started or called, and have not looked for a job since.
    called: usize,
}

/// At most this many jobs wait. More are done by the threads that need them.
const MAX_WAITING: usize = 64;

/// After this time without a job a thread ends.
const IDLE: Duration = Duration::from_secs(10);

impl<T: Task> JobQueue<T> {
    /// Creates a queue with one thread.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self::with_threads(name, 1)
    }

    /// Creates a queue with up to `most` threads.
    pub(crate) const fn with_threads(name: &'static str, most: usize) -> Self {
        let state = QueueState { jobs: VecDeque::new(), threads: 0, asleep: Vec::new(), called: 0 };
        Self { name, most, state: Mutex::new(state) }
    }

    /// Starts a thread unless one runs. Returns whether one does.
    pub(super) fn start(&'static self) -> bool {
        let mut state = unpoisoned(self.state.lock());
        state.threads > 0 || state.start(|| self.spawn())
    }

    fn spawn(&'static self) -> io::Result<()> {
        let helper = thread::Builder::new().name(self.name.into());
        helper.spawn(|| self.work(IDLE)).map(drop)
    }

    /// Adds a job for the threads, unless too many wait, or there is no thread and none can be started.
    pub(crate) fn push(&'static self, job: &Arc<Job<T>>) {
        self.push_by(job, || self.spawn());
    }

    fn push_by(&self, job: &Arc<Job<T>>, spawn: impl FnOnce() -> io::Result<()>) {
        let mut state = unpoisoned(self.state.lock());
        if state.needs_thread(self.most) {
            state.jobs.retain(|job| job.is_waiting());
        }
        if state.jobs.len() >= MAX_WAITING {
            // Only the oldest: many scans push jobs at once, and wait for each other here.
            while state.jobs.front().is_some_and(|job| !job.is_waiting()) {
                state.jobs.pop_front();
            }
            if state.jobs.len() >= MAX_WAITING {
                return;
            }
        }
        if state.needs_thread(self.most) && !state.start(spawn) && state.threads == 0 {
            return;
        }
        state.jobs.push_back(Arc::clone(job));
        if state.jobs.len() > state.called
            && let Some(thread) = state.asleep.pop()
        {
            state.called += 1;
            drop(state);
            thread.unpark();
        }
    }

    /// Does jobs until there has been none for `idle`.
    fn work(&self, idle: Duration) {
        let mut scratch = Vec::new();
        let mut state = unpoisoned(self.state.lock());
        state.called -= 1;
        loop {
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job.run(&mut scratch);
                drop(job);
                state = unpoisoned(self.state.lock());
                continue;
            }
            match self.sleep(state, idle) {
                Some(called) => state = called,
                None => return,
            }
        }
    }

    /// Waits until this thread is called. None, and the thread must end, if it is not within `idle`.
    fn sleep<'q>(
        &'q self,
        mut state: MutexGuard<'q, QueueState<T>>,
        idle: Duration,
    ) -> Option<MutexGuard<'q, QueueState<T>>> {
        let (begin, this) = (Instant::now(), thread::current());
        state.asleep.push(this.clone());
        loop {
            drop(state);
            thread::park_timeout(idle.saturating_sub(begin.elapsed()));
            state = unpoisoned(self.state.lock());
            let Some(at) = state.asleep.iter().position(|thread| thread.id() == this.id()) else {
                state.called -= 1;
                return Some(state);
            };
            if begin.elapsed() >= idle {
                state.asleep.remove(at);
                state.threads -= 1;
                return None;
            }
        }
    }
}

impl<T: Task> QueueState<T> {
    /// Whether another thread should be started for the next job.
    fn needs_thread(&self, most: usize) -> bool {
        self.jobs.len() >= self.asleep.len() + self.called && self.threads < most
    }

    /// Starts a thread by `spawn`. Returns whether that succeeded.
    fn start(&mut self, spawn: impl FnOnce() -> io::Result<()>) -> bool {
        let has_started = spawn().is_ok();
        self.threads += usize::from(has_started);
        self.called += usize::from(has_started);
        has_started
    }
}

#[cfg(test)]
mod tests;
