//! Jobs that helper threads do, or the thread that needs their results: whichever comes to them first.

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

/// The state of a job when its owner needs the result.
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
    /// The maximum number of threads that do jobs at the same time.
    most: AtomicUsize,
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
    /// The number of those that do a job.
    running: usize,
    /// Whether none may begin one.
    is_held: bool,
}

/// A queue that is held: its threads do nothing as long as it exists. The lock is that of the thread that
/// holds it, which does its own jobs itself meanwhile.
struct Hold<T: Task>(MutexGuard<'static, QueueState<T>>);

/// A queue that is held, whatever its jobs.
pub(crate) trait HeldQueue {
    /// Forgets the threads and the jobs, in a process that was forked: it has none of the threads.
    fn forget_threads(&mut self);
}

thread_local! {
    /// How many queues this thread holds.
    static HELD: Cell<usize> = const { Cell::new(0) };
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
        let state = QueueState {
            jobs: VecDeque::new(),
            threads: 0,
            asleep: Vec::new(),
            called: 0,
            running: 0,
            is_held: false,
        };
        Self { name, most: AtomicUsize::new(most), state: Mutex::new(state) }
    }

    /// Sets the maximum number of threads that do jobs at the same time. Those that are too many finish what
    /// is in the queue, and are not called again.
    pub(super) fn set_most(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Starts a thread unless one runs. Returns whether one does.
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

    /// Adds a job for the threads, unless too many wait, or there is no thread and none can be started.
    pub(crate) fn push(&'static self, job: &Arc<Job<T>>) {
        self.push_by(job, || self.spawn());
    }

    fn push_by(&self, job: &Arc<Job<T>>, spawn: impl FnOnce() -> io::Result<()>) {
        if HELD.get() > 0 {
            return;
        }
        let most = self.most.load(Ordering::Relaxed);
        let mut state = unpoisoned(self.state.lock());
        if state.needs_thread(most) {
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
        if state.needs_thread(most) && !state.start(spawn) && state.threads == 0 {
            return;
        }
        state.jobs.push_back(Arc::clone(job));
        let awake = state.threads - state.asleep.len();
        if state.jobs.len() > state.called
            && awake < most
            && let Some(thread) = state.asleep.pop()
        {
            state.called += 1;
            drop(state);
            thread.unpark();
        }
    }

    /// Keeps the threads from beginning a job, and waits for those that do one, but not beyond `end`.
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

    /// Does jobs until there has been none for `idle`.
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

impl<T: Task> HeldQueue for Hold<T> {
    fn forget_threads(&mut self) {
        let state = &mut *self.0;
        // their files are not closed: a thread that this process does not have may hold the lock for that
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
        // Threads that found it held sleep now. If the jobs that were added before fill the queue, no push
        // calls a thread.
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
