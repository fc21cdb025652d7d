use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Instant;

const SOON: Duration = Duration::from_millis(50);

/// Returns its number, or takes another action.
#[derive(Clone, Debug)]
enum Action {
    Return(usize),
    Count(usize, Arc<AtomicUsize>),
    Panic,
    Wait(Arc<(Mutex<bool>, Condvar)>),
}

impl Task for Action {
    type Output = usize;

    fn run(self, _: &mut Vec<u8>) -> usize {
        match self {
            Self::Return(n) => n,
            Self::Count(n, runs) => {
                runs.fetch_add(1, Ordering::Relaxed);
                n
            }
            Self::Panic => panic!("a panic that the queue survives"),
            Self::Wait(gate) => {
                let mut is_open = unpoisoned(gate.0.lock());
                while !*is_open {
                    is_open = unpoisoned(gate.1.wait(is_open));
                }
                0
            }
        }
    }
}

fn job(action: Action) -> Arc<Job<Action>> {
    let job = Arc::new(Job::new());
    job.set(action);
    job
}

fn queue() -> &'static JobQueue<Action> {
    Box::leak(Box::new(JobQueue::new("hregion-test")))
}

fn until(what: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !what() {
        assert!(Instant::now() < end, "it never happens");
        sleep(Duration::from_millis(1));
    }
}

/// Returns the result of a job, which its owner runs if necessary.
fn result(job: &Job<Action>) -> Option<usize> {
    match job.claim() {
        Claim::Empty => None,
        Claim::Waiting(action) => Some(action.run(&mut Vec::new())),
        Claim::Running => job.wait(),
        Claim::Done(output) => Some(output),
    }
}

#[test]
fn each_job_is_done_once_by_one_thread_or_another() {
    let queue = queue();
    assert!(queue.start());
    let runs = Arc::new(AtomicUsize::new(0));
    thread::scope(|scope| {
        for owner in 0..4 {
            let runs = &runs;
            scope.spawn(move || {
                // like a scan: a few jobs at a time, which are set again when they are done
                let jobs: Vec<_> = (0..5).map(|_| Arc::new(Job::new())).collect();
                for round in 0..400 {
                    for (i, job) in jobs.iter().enumerate() {
                        job.set(Action::Count(owner * 10_000 + round * 5 + i, Arc::clone(runs)));
                        queue.push(job);
                    }
                    if round % 7 == owner {
                        jobs[4].run(&mut Vec::new());
                    }
                    for (i, job) in jobs.iter().enumerate() {
                        assert_eq!(result(job), Some(owner * 10_000 + round * 5 + i));
                        assert!(matches!(job.claim(), Claim::Empty));
                    }
                }
            });
        }
    });
    assert_eq!(runs.load(Ordering::Relaxed), 4 * 400 * 5);
}

#[test]
fn a_waiting_thread_gets_a_panic_and_the_next_job_is_done() {
    let queue = queue();
    assert!(queue.start());
    let (bad, good) = (job(Action::Panic), job(Action::Return(7)));
    queue.push(&bad);
    queue.push(&good);
    until(|| matches!(&*unpoisoned(good.state.lock()), State::Done(7)));
    assert_eq!((bad.wait(), result(&bad), good.wait()), (None, None, Some(7)));
}

#[test]
fn without_a_thread_no_job_is_taken() {
    let queue = JobQueue::new("hregion-test");
    let fail = || -> io::Result<()> { Err(io::Error::other("no thread")) };
    assert!(!unpoisoned(queue.state.lock()).start(fail));
    let job = job(Action::Return(5));
    queue.push_by(&job, fail);
    assert!(unpoisoned(queue.state.lock()).jobs.is_empty());
    assert_eq!(result(&job), Some(5));
    let mut state = unpoisoned(queue.state.lock());
    assert!(state.start(|| Ok(())) && !state.needs_thread(1));
}

#[test]
fn the_queue_is_bounded_and_claimed_jobs_leave_it_first() {
    let queue = queue();
    assert!(unpoisoned(queue.state.lock()).start(|| Ok(())));
    let jobs: Vec<_> = (0..2 * MAX_WAITING).map(|n| job(Action::Return(n))).collect();
    jobs.iter().for_each(|job| queue.push(job));
    let len = || unpoisoned(queue.state.lock()).jobs.len();
    assert_eq!(len(), MAX_WAITING);
    jobs[..9].iter().for_each(|job| assert!(matches!(job.claim(), Claim::Waiting(_))));
    queue.push(&jobs[MAX_WAITING]);
    assert_eq!(len(), MAX_WAITING - 8);
}

#[test]
fn a_thread_without_jobs_ends_and_is_started_again() {
    let queue = queue();
    assert!(unpoisoned(queue.state.lock()).start(|| Ok(())));
    let first = job(Action::Return(1));
    queue.push(&first);
    let worker = thread::spawn(|| queue.work(SOON));
    until(|| matches!(&*unpoisoned(first.state.lock()), State::Done(1)));
    worker.join().unwrap();
    assert_eq!(unpoisoned(queue.state.lock()).threads, 0);
    let second = job(Action::Return(2));
    queue.push(&second);
    until(|| matches!(&*unpoisoned(second.state.lock()), State::Done(2)));
}

#[test]
fn a_job_that_runs_is_waited_for_and_others_are_not() {
    let queue = queue();
    assert!(queue.start());
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (slow, next) = (job(Action::Wait(Arc::clone(&gate))), job(Action::Return(3)));
    queue.push(&slow);
    queue.push(&next);
    until(|| matches!(&*unpoisoned(slow.state.lock()), State::Running));
    assert!(matches!(slow.claim(), Claim::Running));
    assert!(!slow.run(&mut Vec::new()));
    assert!(next.run(&mut Vec::new()));
    assert!(matches!(next.claim(), Claim::Done(3)));
    *unpoisoned(gate.0.lock()) = true;
    gate.1.notify_all();
    assert_eq!(slow.wait(), Some(0));
}

/// Opens a gate.
fn open(gate: &(Mutex<bool>, Condvar)) {
    *unpoisoned(gate.0.lock()) = true;
    gate.1.notify_all();
}

#[test]
fn threads_are_started_for_jobs_that_none_is_free_for() {
    let queue: &'static JobQueue<Action> = Box::leak(Box::new(JobQueue::with_threads("hregion-test", 3)));
    let counts = || {
        let state = unpoisoned(queue.state.lock());
        (state.threads, state.asleep.len(), state.called)
    };
    let running = |jobs: &[Arc<Job<Action>>]| {
        jobs.iter().filter(|job| matches!(*unpoisoned(job.state.lock()), State::Running)).count()
    };
    for round in 0..2 {
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let waiting: Vec<_> = (0..5).map(|_| job(Action::Wait(Arc::clone(&gate)))).collect();
        waiting.iter().for_each(|job| queue.push(job));
        until(|| running(&waiting) == 3 && counts() == (3, 0, 0));
        open(&gate);
        until(|| counts() == (3, 3, 0));
        assert!(waiting.iter().all(|job| result(job) == Some(0)), "{round}");
        // a job that follows another needs no second thread, and other wake-ups do not count as calls
        for n in 0..100 {
            let one = job(Action::Return(n));
            queue.push(&one);
            assert_eq!(result(&one), Some(n));
            unpoisoned(queue.state.lock()).asleep.iter().for_each(Thread::unpark);
            until(|| counts() == (3, 3, 0));
        }
    }
}

#[test]
fn threads_that_are_too_many_are_not_called() {
    let queue: &'static JobQueue<Action> = Box::leak(Box::new(JobQueue::with_threads("hregion-test", 3)));
    let awake = || {
        let state = unpoisoned(queue.state.lock());
        state.threads - state.asleep.len()
    };
    for most in [3, 1, 2] {
        queue.set_max_threads(most);
        let gate = Arc::new((Mutex::new(false), Condvar::new()));
        let waiting: Vec<_> = (0..5).map(|_| job(Action::Wait(Arc::clone(&gate)))).collect();
        waiting.iter().for_each(|job| queue.push(job));
        until(|| {
            let is_running =
                |job: &&Arc<Job<Action>>| matches!(*unpoisoned(job.state.lock()), State::Running);
            waiting.iter().filter(is_running).count() == most
        });
        assert_eq!(awake(), most);
        open(&gate);
        until(|| awake() == 0);
        assert!(waiting.iter().all(|job| result(job) == Some(0)), "{most}");
    }
}

#[test]
fn threads_that_are_not_needed_end() {
    let queue: &'static JobQueue<Action> = Box::leak(Box::new(JobQueue::with_threads("hregion-test", 2)));
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let waiting: Vec<_> = (0..2).map(|_| job(Action::Wait(Arc::clone(&gate)))).collect();
    let mut workers = Vec::new();
    for job in &waiting {
        queue.push_by(job, || {
            workers.push(thread::spawn(|| queue.work(Duration::from_millis(300))));
            Ok(())
        });
    }
    until(|| waiting.iter().all(|job| matches!(*unpoisoned(job.state.lock()), State::Running)));
    open(&gate);
    // of two waiting threads, the same one is woken each time
    until(|| {
        let one = job(Action::Return(1));
        queue.push(&one);
        assert_eq!(result(&one), Some(1));
        unpoisoned(queue.state.lock()).threads == 1
    });
    let ended = || workers.iter().filter(|worker| worker.is_finished()).count();
    until(|| ended() >= 1);
    until(|| unpoisoned(queue.state.lock()).threads == 0);
    workers.into_iter().for_each(|worker| worker.join().unwrap());
}

fn is_running(job: &Job<Action>) -> bool {
    matches!(*unpoisoned(job.state.lock()), State::Running)
}

#[test]
fn no_thread_begins_a_job_of_a_queue_that_is_held() {
    let queue = queue();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let (slow, next) = (job(Action::Wait(Arc::clone(&gate))), job(Action::Return(1)));
    queue.push(&slow);
    until(|| is_running(&slow));
    queue.push(&next);
    // it ends while another thread waits for it
    let opener = thread::spawn(move || {
        until(|| unpoisoned(queue.state.lock()).is_held);
        open(&gate);
    });
    let held = queue.hold(Instant::now() + Duration::from_secs(60));
    assert!(matches!(slow.claim(), Claim::Done(0)));
    assert!(matches!(next.claim(), Claim::Waiting(_)));
    // the thread that holds it does not wait for itself
    let own = job(Action::Return(2));
    queue.push(&own);
    assert!(!queue.start() && matches!(own.claim(), Claim::Waiting(_)));
    drop(held);
    opener.join().unwrap();
    let last = job(Action::Return(3));
    queue.push(&last);
    until(|| matches!(&*unpoisoned(last.state.lock()), State::Done(3)));
}

/// A job that takes too long is not waited for.
#[test]
fn a_queue_is_held_at_the_end_of_the_time() {
    let queue = queue();
    let gate = Arc::new((Mutex::new(false), Condvar::new()));
    let slow = job(Action::Wait(Arc::clone(&gate)));
    queue.push(&slow);
    until(|| is_running(&slow));
    let held = queue.hold(Instant::now());
    assert!(matches!(slow.claim(), Claim::Running));
    drop(held);
    open(&gate);
    assert_eq!(slow.wait(), Some(0));
}

#[test]
fn a_process_without_the_threads_starts_others() {
    let queue = queue();
    // as in a forked process: a thread is counted, but does not run
    assert!(unpoisoned(queue.state.lock()).start(|| Ok(())));
    let (old, new) = (job(Action::Return(4)), job(Action::Return(5)));
    queue.push(&old);
    let mut held = queue.hold(Instant::now());
    held.forget_threads();
    drop(held);
    queue.push(&new);
    until(|| matches!(&*unpoisoned(new.state.lock()), State::Done(5)));
    // its owner runs it
    assert!(matches!(old.claim(), Claim::Waiting(_)));
}

/// Jobs that were added before the threads went to sleep do not have to wait for the next push: the queue may
/// be too full for one.
#[test]
fn jobs_are_done_after_the_queue_was_held() {
    let queue = queue();
    assert!(queue.start());
    until(|| unpoisoned(queue.state.lock()).asleep.len() == 1);
    let waiting = job(Action::Return(1));
    unpoisoned(queue.state.lock()).jobs.push_back(Arc::clone(&waiting));
    drop(queue.hold(Instant::now()));
    until(|| matches!(&*unpoisoned(waiting.state.lock()), State::Done(1)));
}
