//! Jobs that wait for a thread.

use crate::region::RegionCore;
use std::sync::Weak;
use std::time::Instant;

/// The kind of a job for a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::region) enum Work {
    Flush,
    /// Compacts the store with this index.
    Compact(usize),
}

/// The kinds of work. Each has threads of its own, so that a long job of one kind does not delay the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::region) enum WorkKind {
    Flush,
    /// Compactions above the throttle point.
    Large,
    Small,
}

impl WorkKind {
    pub(super) const ALL: [Self; 3] = [Self::Flush, Self::Large, Self::Small];

    /// Whether a thread of this kind takes jobs of `other`. Threads for large compactions take small ones if
    /// there are no large ones (HBase: `StealJobQueue`).
    pub(super) fn takes(self, other: Self) -> bool {
        self == other || self == Self::Large && other == Self::Small
    }
}

/// A job for a region.
pub(in crate::region) struct Job {
    pub(in crate::region) region: Weak<RegionCore>,
    pub(in crate::region) work: Work,
    pub(in crate::region) kind: WorkKind,
    /// Jobs with lower values run first.
    pub(in crate::region) priority: i64,
    /// The earliest time at which the job may run.
    pub(in crate::region) due: Option<Instant>,
}

impl Job {
    fn is_due(&self, now: Instant) -> bool {
        self.due.is_none_or(|due| due <= now)
    }
}

/// Jobs in order of submission. There are few: at most one for each store, and one flush for each region.
#[derive(Default)]
pub(super) struct Queue(Vec<Job>);

impl Queue {
    pub(super) fn push(&mut self, job: Job) {
        self.0.push(job);
    }

    /// Takes the most urgent job for a thread of a kind; of equally urgent ones the oldest.
    pub(super) fn take(&mut self, kind: WorkKind, now: Instant) -> Option<Job> {
        let jobs = self.0.iter().enumerate().filter(|(_, job)| kind.takes(job.kind) && job.is_due(now));
        let (at, _) = jobs.min_by_key(|(_, job)| (job.kind != kind, job.priority))?;
        Some(self.0.remove(at))
    }

    /// Returns the number of jobs of a kind, including those that are not due.
    pub(super) fn count_of(&self, kind: WorkKind) -> usize {
        self.0.iter().filter(|job| job.kind == kind).count()
    }

    /// Returns the time at which the next job for a thread of a kind is due.
    pub(super) fn next_due(&self, kind: WorkKind) -> Option<Instant> {
        self.0.iter().filter(|job| kind.takes(job.kind)).filter_map(|job| job.due).min()
    }

    /// Makes a job due now. Returns whether the job exists.
    pub(super) fn expedite(&mut self, region: &Weak<RegionCore>, work: Work) -> bool {
        let mut jobs = self.0.iter_mut();
        let Some(job) = jobs.find(|job| job.work == work && job.region.ptr_eq(region)) else { return false };
        job.due = None;
        true
    }

    /// Removes a job.
    pub(super) fn cancel(&mut self, region: &Weak<RegionCore>, work: Work) {
        self.0.retain(|job| job.work != work || !job.region.ptr_eq(region));
    }

    /// Removes the jobs of a region. Returns whether there were any.
    pub(super) fn remove(&mut self, region: &Weak<RegionCore>) -> bool {
        let before = self.0.len();
        self.0.retain(|job| !job.region.ptr_eq(region));
        self.0.len() < before
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn job(kind: WorkKind, store: usize, priority: i64) -> Job {
        Job { region: Weak::new(), work: Work::Compact(store), kind, priority, due: None }
    }

    fn taken(queue: &mut Queue, kind: WorkKind, now: Instant) -> Option<usize> {
        match queue.take(kind, now)?.work {
            Work::Flush => None,
            Work::Compact(store) => Some(store),
        }
    }

    #[test]
    fn the_most_urgent_comes_first_and_large_threads_take_small_work_last() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.push(job(WorkKind::Small, 0, 5));
        queue.push(job(WorkKind::Small, 1, -3));
        queue.push(job(WorkKind::Small, 2, 5));
        queue.push(job(WorkKind::Large, 3, 9));
        assert_eq!(taken(&mut queue, WorkKind::Flush, now), None);
        assert_eq!(taken(&mut queue, WorkKind::Large, now), Some(3));
        assert_eq!(taken(&mut queue, WorkKind::Large, now), Some(1));
        assert_eq!(taken(&mut queue, WorkKind::Small, now), Some(0));
        queue.push(job(WorkKind::Large, 4, 0));
        assert_eq!(taken(&mut queue, WorkKind::Small, now), Some(2));
        assert_eq!(taken(&mut queue, WorkKind::Small, now), None);
    }

    #[test]
    fn a_job_waits_until_it_is_due() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        let later = now + Duration::from_secs(60);
        queue.push(Job { due: Some(later), ..job(WorkKind::Small, 0, 0) });
        assert_eq!((queue.count_of(WorkKind::Small), queue.next_due(WorkKind::Large)), (1, Some(later)));
        assert_eq!(taken(&mut queue, WorkKind::Small, now), None);
        assert!(queue.expedite(&Weak::new(), Work::Compact(0)));
        assert_eq!(taken(&mut queue, WorkKind::Small, now), Some(0));
    }
}
