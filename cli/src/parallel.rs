//! Does work on several threads, with the results in the order of the work.

use crate::failure::{CommandError, Failure};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::{io, thread};

/// Options for work on several threads.
#[derive(clap::Args, Clone, Copy, Debug)]
pub(crate) struct JobArgs {
    /// Number of files or regions read at once [default: number of cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
}

impl JobArgs {
    /// One after the other, in the order of the work.
    pub(crate) fn one() -> Self {
        Self { jobs: Some(1) }
    }

    fn count(self) -> usize {
        let cores = || thread::available_parallelism().map_or(1, usize::from);
        self.jobs.map_or_else(cores, usize::from)
    }

    /// Calls `work` for each item, on the requested number of threads, and passes the results to `take` in
    /// the order of the items. After `take` has failed, no more work is begun.
    pub(crate) fn in_order<T: Sync, R: Send>(
        self,
        items: &[T],
        work: impl Fn(&T) -> R + Sync,
        mut take: impl FnMut(R) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let threads = self.count().min(items.len());
        if threads <= 1 {
            return items.iter().try_for_each(|item| take(work(item)));
        }
        let (next, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        let (done, results) = mpsc::channel();
        thread::scope(|scope| {
            for _ in 0..threads {
                let (done, next, stop, work) = (done.clone(), &next, &stop, &work);
                let run = move || {
                    while !stop.load(Ordering::Relaxed) {
                        let at = next.fetch_add(1, Ordering::Relaxed);
                        let Some(item) = items.get(at) else { break };
                        if done.send((at, work(item))).is_err() {
                            break;
                        }
                    }
                };
                thread::Builder::new().spawn_scoped(scope, run).map_err(|error| {
                    stop.store(true, Ordering::Relaxed);
                    no_thread(&error)
                })?;
            }
            drop(done);
            let taken = take_in_order(&results, items.len(), &mut take);
            stop.store(true, Ordering::Relaxed);
            taken
        })
    }
}

fn no_thread(error: &io::Error) -> Failure {
    CommandError::no_thread(error).with_hint(Some("use --jobs 1")).into()
}

fn take_in_order<R>(
    results: &mpsc::Receiver<(usize, R)>,
    count: usize,
    take: &mut impl FnMut(R) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut waiting: Vec<Option<R>> = Vec::new();
    waiting.resize_with(count, || None);
    let mut first = 0;
    for (at, result) in results {
        if let Some(slot) = waiting.get_mut(at) {
            *slot = Some(result);
        }
        while let Some(result) = waiting.get_mut(first).and_then(Option::take) {
            take(result)?;
            first += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn results_are_in_order_whatever_the_number_of_threads() {
        let items: Vec<u64> = (0..200).collect();
        for jobs in [None, Some(1), Some(7), Some(500)] {
            let mut taken = Vec::new();
            let work = |item: &u64| {
                thread::sleep(Duration::from_micros(item % 7 * 50));
                *item
            };
            let took = JobArgs { jobs }.in_order(&items, work, |item| {
                taken.push(item);
                Ok(())
            });
            assert!(took.is_ok());
            assert_eq!(taken, items);
        }
    }

    #[test]
    fn no_more_work_is_begun_after_a_failure() {
        let (items, begun) = ((0..10_000).collect::<Vec<u64>>(), AtomicUsize::new(0));
        let work = |_: &u64| {
            thread::sleep(Duration::from_micros(100));
            begun.fetch_add(1, Ordering::Relaxed)
        };
        let took = JobArgs { jobs: Some(2) }.in_order(&items, work, |_| Err(Failure::ClosedPipe));
        assert!(matches!(took, Err(Failure::ClosedPipe)));
        assert!(begun.load(Ordering::Relaxed) < 10_000);
    }
}
