//! A queue of jobs. Each is run by a helper thread or by the thread that needs its result, whichever begins
//! it first.

use crate::sync::unpoisoned;
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The work of a job.
pub(crate) trait Task: Send + 'static {
    /// The result.
    type Output: Send;

    /// Runs the task; `scratch` is memory to reuse.
    fn run(self, scratch: &mut Vec<u8>) -> Self::Output;
}

/// A job, later replaced by its result.
pub(crate) struct Job<T: Task> {
    state: Mutex<State<T>>,
    finished: Condvar,
}

enum State<T: Task> {
    /// No job: none was set, its result was taken, or the thread that ran it panicked.
    Empty,
    Waiting(T),
    Running,
    Done(T::Output),
}

/// The state of a job when its owner needs the result.
pub(crate) enum Claim<T: Task> {
    Empty,
    /// Not begun; the caller now owns it.
    Waiting(T),
    /// Another thread is running it.
    Running,
    Done(T::Output),
}

impl<T: Task> Job<T> {
    pub(crate) fn new() -> Self {
        Self { state: Mutex::new(State::Empty), finished: Condvar::new() }
    }

    /// Sets the task. The job must be empty.
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

    /// Spins for at most this long while another thread runs the job.
    pub(crate) fn spin(&self, max: Duration) {
        let begin = Instant::now();
        while matches!(*unpoisoned(self.state.lock()), State::Running) && begin.elapsed() < max {
            thread::yield_now();
        }
    }

    /// Waits for a job that another thread is running. `None` if that thread panicked.
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

    /// Runs the job if it has not begun; returns whether this thread ran it.
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
        // a thread that waits for the result must not wait forever after a panic
        let output = catch_unwind(AssertUnwindSafe(|| task.run(scratch)));
        *unpoisoned(self.state.lock()) = output.map_or(State::Empty, State::Done);
        self.finished.notify_all();
        true
    }

    fn is_waiting(&self) -> bool {
        matches!(*unpoisoned(self.state.lock()), State::Waiting(_))
    }
}

/// A queue of jobs, and the threads that run them.
///
/// A thread is started when no other is free, and ends after it has been idle for a while. A job whose task
/// was claimed stays in the queue and is skipped.
pub(crate) struct JobQueue<T: Task> {
    /// The name of the threads.
    name: &'static str,
    /// The maximum number of threads that run jobs at the same time.
    max_threads: AtomicUsize,
    state: Mutex<QueueState<T>>,
}

struct QueueState<T: Task> {
    jobs: VecDeque<Arc<Job<T>>>,
    /// The number of threads.
    threads: usize,
    /// Threads that wait for jobs. The last is woken first, so that surplus threads end.
    asleep: Vec<Thread>,
    /// The number of threads that were started or woken and have not looked for a job since.
    called: usize,
    /// The number of threads that run a job.
    running: usize,
    /// Whether no thread may begin a job.
    is_held: bool,
}

/// A queue that is held: its threads do nothing as long as it exists. The thread that holds it runs its own
/// jobs itself.
struct Hold<T: Task>(MutexGuard<'static, QueueState<T>>);

/// A held queue of any kind of job.
pub(crate) trait HeldQueue {
    /// Forgets the threads and the jobs in a forked process, which has none of the threads.
    fn forget_threads(&mut self);
}

thread_local! {
    /// The number of queues that this thread holds.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// The maximum number of waiting jobs. Threads that need more run them themselves.
const MAX_WAITING: usize = 64;

/// A thread ends after this time without a job.
const IDLE: Duration = Duration::from_secs(10);

impl<T: Task> JobQueue<T> {
    /// Creates a queue with one thread.
    pub(crate) const fn new(name: &'static str) -> Self {
        Self::with_threads(name, 1)
    }

    /// Creates a queue with up to `max_threads` threads.
    pub(crate) const fn with_threads(name: &'static str, max_threads: usize) -> Self {
        let state = QueueState {
            jobs: VecDeque::new(),
            threads: 0,
            asleep: Vec::new(),
            called: 0,
            running: 0,
            is_held: false,
        };
        Self { name, max_threads: AtomicUsize::new(max_threads), state: Mutex::new(state) }
    }

    /// Sets the maximum number of threads that run jobs at the same time. Surplus threads finish the queued
    /// jobs, and are not woken again.
    pub(super) fn set_max_threads(&self, max_threads: usize) {
        self.max_threads.store(max_threads, Ordering::Relaxed);
    }

    /// Starts a thread unless one is running. Returns whether one is.
    pub(super) fn start(&'static self) -> bool {
        if HELD.get() > 0 {
            return false;
        }
        let mut state = unpoisoned(self.state.lock());
        state.threads > 0 || state.start(|| self.spawn())
    }

    fn spawn(&'static self) -> io::Result<()> {
        let helper = thread::Builder::new().name(self.name.into());
        helper.spawn(|| self.work(IDLE)).map(drop)
    }

    /// Adds a job for the threads, unless too many are waiting, or no thread exists and none can be started.
    pub(crate) fn push(&'static self, job: &Arc<Job<T>>) {
        self.push_by(job, || self.spawn());
    }

    fn push_by(&self, job: &Arc<Job<T>>, spawn: impl FnOnce() -> io::Result<()>) {
        if HELD.get() > 0 {
            return;
        }
        let max_threads = self.max_threads.load(Ordering::Relaxed);
        let mut state = unpoisoned(self.state.lock());
        if state.needs_thread(max_threads) {
            state.jobs.retain(|job| job.is_waiting());
        }
        if state.jobs.len() >= MAX_WAITING {
            // Only the oldest jobs are removed: concurrent scans contend for this lock.
            while state.jobs.front().is_some_and(|job| !job.is_waiting()) {
                state.jobs.pop_front();
            }
            if state.jobs.len() >= MAX_WAITING {
                return;
            }
        }
        if state.needs_thread(max_threads) && !state.start(spawn) && state.threads == 0 {
            return;
        }
        state.jobs.push_back(Arc::clone(job));
        let awake = state.threads - state.asleep.len();
        if state.jobs.len() > state.called
            && awake < max_threads
            && let Some(thread) = state.asleep.pop()
        {
            state.called += 1;
            drop(state);
            thread.unpark();
        }
    }

    /// Keeps the threads from beginning a job, and waits for running jobs, but not beyond `end`.
    pub(crate) fn hold(&'static self, end: Instant) -> Box<dyn HeldQueue> {
        let mut state = unpoisoned(self.state.lock());
        loop {
            state.is_held = true;
            if state.running == 0 || Instant::now() >= end {
                HELD.set(HELD.get() + 1);
                return Box::new(Hold(state));
            }
            drop(state);
            thread::yield_now();
            state = unpoisoned(self.state.lock());
        }
    }

    /// Runs jobs until there has been none for `idle`.
    fn work(&self, idle: Duration) {
        let mut scratch = Vec::new();
        let mut state = unpoisoned(self.state.lock());
        state.called -= 1;
        loop {
            if !state.is_held
                && let Some(job) = state.jobs.pop_front()
            {
                state.running += 1;
                drop(state);
                job.run(&mut scratch);
                drop(job);
                state = unpoisoned(self.state.lock());
                state.running -= 1;
                continue;
            }
            match self.sleep(state, idle) {
                Some(called) => state = called,
                None => return,
            }
        }
    }

    /// Waits until this thread is woken. `None`, and the thread must end, if that takes longer than `idle`.
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

impl<T: Task> HeldQueue for Hold<T> {
    fn forget_threads(&mut self) {
        let state = &mut *self.0;
        // leaked, not dropped: dropping would close files, which takes a lock that a lost thread may hold
        mem::forget(mem::take(&mut state.jobs));
        state.asleep.clear();
        (state.threads, state.called, state.running) = (0, 0, 0);
    }
}

impl<T: Task> Drop for Hold<T> {
    fn drop(&mut self) {
        HELD.set(HELD.get() - 1);
        let state = &mut *self.0;
        state.is_held = false;
        // Threads that found the queue held are asleep, and no push wakes one if the queue is full.
        if !state.jobs.is_empty()
            && let Some(thread) = state.asleep.pop()
        {
            state.called += 1;
            thread.unpark();
        }
    }
}

impl<T: Task> QueueState<T> {
    /// Whether another thread should be started for the next job.
    fn needs_thread(&self, max_threads: usize) -> bool {
        self.jobs.len() >= self.asleep.len() + self.called && self.threads < max_threads
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
