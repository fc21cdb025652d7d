//! Writes mutations: one at a time, several of one row, or a batch (read-path.md §18, §19.1; HBase:
//! `HRegion.doMiniBatchMutate`).

use super::locks::LockedRow;
use super::mutate::{Checked, Edit, Times};
use super::observer::{Held, MiniBatch};
use super::write::BegunWrite;
use super::{Region, RegionCore};
use crate::cell::{Row, RowBuf};
use crate::error::{Error, Result};
use crate::op::{Durability, Mutation};
use std::any::Any;
use std::mem;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

/// Whether the mutations of a call are written if one of them fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Atomicity {
    /// Each is written or fails independently.
    Each,
    /// All or none are written.
    All,
    /// Like `All`, with the row already locked; values without a timestamp get at least this one.
    AllLocked(i64),
}

/// The outcome of a mutation.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Its result; `None` while it is still to be written.
    result: Option<Result<Row>>,
    /// Its cells, and the cells of its result, in the [`Edit`].
    cells: Range<usize>,
    result_cells: Range<usize>,
    durability: Durability,
}

impl Outcome {
    fn of(result: Option<Result<Row>>) -> Self {
        Self { result, ..Self::default() }
    }

    fn into_result(self) -> Result<Row> {
        self.result.unwrap_or_else(|| Ok(RowBuf::new().freeze()))
    }
}

impl Region {
    /// Writes puts and deletes of any rows, and returns the result of each, in order. A mutation that fails
    /// does not prevent the others from being written.
    ///
    /// Up to 20,000 mutations (the table's setting `hbase.regionserver.minibatch.size`) are written together:
    /// they have the same sequence id, and see rows as they were before all of them.
    ///
    /// # Errors
    ///
    /// Same as [`put`](Self::put), for each mutation; for all that are written together, if they are larger
    /// than [`Limits::block_bytes`](crate::Limits::block_bytes). Increments and appends always fail, since a
    /// batch returns no cells.
    #[must_use = "each of the mutations may have failed"]
    pub fn batch(&self, mut mutations: Vec<Mutation>) -> Vec<Result<()>> {
        let mut results = Vec::with_capacity(mutations.len());
        for mutations in mutations.chunks_mut(self.0.mini_batch) {
            match self.0.write(mutations, Atomicity::Each) {
                Ok(outcomes) => {
                    results.extend(outcomes.into_iter().map(|outcome| outcome.into_result().map(drop)));
                }
                Err(error) => results.extend(mutations.iter().map(|_| Err(error.clone()))),
            }
        }
        results
    }
}

/// A region, and mutations of it.
pub(crate) type RegionBatch = (Region, Vec<Mutation>);

/// Mutations of a region that are logged together with mutations of other regions.
struct Joint<'r, 'm> {
    write: BegunWrite<'r>,
    edit: Edit<'m>,
    durability: Durability,
    count: u64,
}

impl Region {
    /// Returns the maximum number of mutations of a batch that are written together.
    pub(crate) fn mini_batch(&self) -> usize {
        self.0.mini_batch
    }

    /// Like [`batch`](Self::batch), for regions in row order, without observers, that share a log: one sync
    /// makes all their entries durable. Each region has at most [`mini_batch`](Self::mini_batch) mutations.
    pub(crate) fn batch_jointly(batches: &[RegionBatch]) -> Vec<Vec<Result<()>>> {
        let mut outcomes: Vec<Vec<Outcome>> = batches
            .iter()
            .map(|(_, mutations)| mutations.iter().map(|_| Outcome::default()).collect())
            .collect();
        // May wait for memory, so no lock may be held yet.
        let mut checked = Vec::with_capacity(batches.len());
        for ((region, mutations), outcomes) in batches.iter().zip(&mut outcomes) {
            let region = &region.0;
            let found = region.check_takes_data().and_then(|()| region.admit());
            let found = found.and_then(|()| region.check_all(mutations, outcomes, Atomicity::Each));
            checked.push(found.unwrap_or_else(|error| {
                refuse(outcomes, &error);
                Vec::new()
            }));
        }
        // All rows are locked before the first write begins: the end of a write waits for those that began
        // before it, and they must not wait for its rows. Regions are always taken in row order.
        let mut rows = Vec::with_capacity(batches.len());
        for ((region, _), checked) in batches.iter().zip(&checked) {
            let checked = checked.iter().map(|(_, mutation)| (mutation.row(), mutation.reads()));
            rows.push(region.0.rows.many(checked));
        }
        // A panic, for example of the clock, is raised only after all begun writes are complete: their
        // entries are logged, so their cells must also be in memory.
        let mut panic = None;
        let mut begun = Vec::with_capacity(batches.len());
        for (((region, _), checked), outcomes) in batches.iter().zip(&checked).zip(&mut outcomes) {
            let Some(joint) = caught(&mut panic, || region.0.begin_joint(checked, outcomes)) else { break };
            begun.push(joint.unwrap_or_else(|error| {
                refuse(outcomes, &error);
                None
            }));
        }
        for (((region, _), joint), outcomes) in batches.iter().zip(&mut begun).zip(&mut outcomes) {
            let Some(Joint { write, durability, .. }) = joint else { continue };
            let (ticket, durability) = (write.ticket.take(), *durability);
            let waited = caught(&mut panic, || region.0.wait_for_log(ticket, durability, &mut None));
            if let Some(Err(error)) = &waited {
                refuse(outcomes, error);
            }
            if !matches!(waited, Some(Ok(()))) {
                *joint = None;
            }
        }
        // All writes are completed before the first one is waited for.
        let mut written = Vec::with_capacity(batches.len());
        for (((region, _), joint), outcomes) in batches.iter().zip(begun).zip(&outcomes) {
            let Some(Joint { write, edit, count, .. }) = joint else { continue };
            let left = outcomes.iter().filter(|outcome| outcome.result.is_none());
            let cells = left.flat_map(|outcome| &edit.cells[outcome.cells.clone()]);
            written.push((region, region.0.end_apply(write, cells, count)));
        }
        written.into_iter().for_each(|(region, seq_id)| region.0.mvcc.wait_for(seq_id));
        drop(rows);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
        let result = |outcome: Outcome| outcome.into_result().map(drop);
        outcomes.into_iter().map(|outcomes| outcomes.into_iter().map(result).collect()).collect()
    }
}

/// Calls a function, and keeps its panic for later, unless an earlier call has panicked.
fn caught<T>(panic: &mut Option<Box<dyn Any + Send>>, call: impl FnOnce() -> T) -> Option<T> {
    match catch_unwind(AssertUnwindSafe(call)) {
        Ok(value) => Some(value),
        Err(payload) => {
            panic.get_or_insert(payload);
            None
        }
    }
}

/// Fails the mutations that have no result yet.
fn refuse(outcomes: &mut [Outcome], error: &Error) {
    let left = outcomes.iter_mut().filter(|outcome| outcome.result.is_none());
    left.for_each(|outcome| outcome.result = Some(Err(error.clone())));
}

impl RegionCore {
    /// Resolves mutations to cells and logs them, with the rows locked. `None` if no mutation is left.
    fn begin_joint<'m>(
        &self,
        checked: &'m [(usize, Checked<'_>)],
        outcomes: &mut [Outcome],
    ) -> Result<Option<Joint<'_, 'm>>> {
        let (now, mut edit) = (self.clock.now(), Edit::default());
        self.resolve_all(checked, outcomes, &mut edit, Times { now, put: now }, Atomicity::Each)?;
        let left = outcomes.iter().filter(|outcome| outcome.result.is_none());
        let count = left.clone().count() as u64;
        let Some(durability) = left.clone().map(|outcome| outcome.durability).max() else { return Ok(None) };
        let logged = left.filter(|outcome| outcome.durability > Durability::SkipWal);
        let logged = logged.flat_map(|outcome| &edit.cells[outcome.cells.clone()]);
        let write = self.begin_apply(logged, durability)?;
        Ok(Some(Joint { write, edit, durability, count }))
    }

    /// Writes mutations, and calls the observers' hooks. Returns the outcome of each mutation. All writes
    /// take this path, except puts without observers, which take the same steps at less cost.
    ///
    /// # Errors
    ///
    /// If the region accepts no writes; or, for mutations that are atomic, if any of them or a hook fails,
    /// before or after the write.
    pub(super) fn write(&self, mutations: &mut [Mutation], atomicity: Atomicity) -> Result<Vec<Outcome>> {
        self.check_not_held(&[Held::Rows], "write to")?;
        self.check_takes_data()?;
        self.admit()?;
        self.write_admitted(mutations, atomicity, None)
    }

    /// Like [`write`](Self::write), for mutations of a row that is locked. Unlocks it before the hooks after
    /// the mutations are called. Values without a timestamp get at least `since`.
    pub(super) fn write_to_locked(
        &self,
        mutations: &mut [Mutation],
        since: i64,
        row: LockedRow<'_>,
    ) -> Result<Vec<Outcome>> {
        self.check_takes_data()?;
        self.write_admitted(mutations, Atomicity::AllLocked(since), Some(row))
    }

    fn write_admitted(
        &self,
        mutations: &mut [Mutation],
        atomicity: Atomicity,
        row: Option<LockedRow<'_>>,
    ) -> Result<Vec<Outcome>> {
        let mut outcomes = Vec::with_capacity(mutations.len());
        let is_observed = !self.observers.is_empty();
        for mutation in &mut *mutations {
            let locked = (is_observed && row.is_some()).then(|| mutation.row().to_vec());
            outcomes.push(Outcome::of(self.pre_mutation(mutation)?.map(Ok)));
            if locked.is_some_and(|locked| locked != mutation.row()) {
                let message = "an observer changed the row of a mutation, and only its own row is locked";
                return Err(Error::invalid_argument(message));
            }
        }
        let checked = self.check_all(mutations, &mut outcomes, atomicity)?;
        if checked.is_empty() {
            return Ok(outcomes);
        }
        let shown = checked.iter().filter(|_| is_observed).map(|(at, _)| &mutations[*at]);
        let mut batch = MiniBatch::new(shown.collect());
        let mut done = self.write_checked(&checked, &mut batch, &mut outcomes, atomicity, row);
        if is_observed {
            done = done.and_then(|()| self.post_mutations(&checked, &mut outcomes));
            let success = done.is_ok();
            let last = self.observe(|observer, context| {
                observer.post_batch_mutate_indispensably(context, &batch, success)
            });
            done = done.and(last);
        }
        match done {
            Ok(()) => {}
            // Mutations with an error of their own keep it.
            Err(error) if atomicity == Atomicity::Each => outcomes
                .iter_mut()
                .filter(|outcome| !matches!(outcome.result, Some(Err(_))))
                .for_each(|outcome| outcome.result = Some(Err(error.clone()))),
            Err(error) => return Err(error),
        }
        Ok(outcomes)
    }

    /// Validates the mutations that have no result yet.
    fn check_all<'m>(
        &self,
        mutations: &'m [Mutation],
        outcomes: &mut [Outcome],
        atomicity: Atomicity,
    ) -> Result<Vec<(usize, Checked<'m>)>> {
        let mut checked = Vec::with_capacity(mutations.len());
        for (at, mutation) in mutations.iter().enumerate() {
            if outcomes[at].result.is_some() {
                continue;
            }
            match self.check_one(mutation, atomicity) {
                Ok(mutation) => checked.push((at, mutation)),
                Err(error) if atomicity == Atomicity::Each => outcomes[at].result = Some(Err(error)),
                Err(error) => return Err(error),
            }
        }
        Ok(checked)
    }

    /// Calls the hooks after the mutations that succeeded.
    fn post_mutations(&self, checked: &[(usize, Checked<'_>)], outcomes: &mut [Outcome]) -> Result<()> {
        checked.iter().try_for_each(|(at, mutation)| match &mut outcomes[*at].result {
            Some(Ok(result)) => self.post_mutation(mutation.mutation(), result),
            _ => Ok(()),
        })
    }

    fn check_one<'m>(&self, mutation: &'m Mutation, atomicity: Atomicity) -> Result<Checked<'m>> {
        self.check_new_row(mutation.row())?;
        if atomicity == Atomicity::Each && mutation.returns_cells() {
            return Err(Error::invalid_argument("a batch accepts only puts and deletes"));
        }
        self.check_mutation(mutation)
    }

    /// Resolves mutations to cells, with the rows locked.
    fn resolve_all<'m>(
        &self,
        checked: &'m [(usize, Checked<'_>)],
        outcomes: &mut [Outcome],
        edit: &mut Edit<'m>,
        times: Times,
        atomicity: Atomicity,
    ) -> Result<()> {
        for (at, mutation) in checked {
            let outcome = &mut outcomes[*at];
            outcome.durability = mutation.mutation().durability().or(self.durability);
            if let Some(row) = self.pre_mutation_after_row_lock(mutation.mutation())? {
                outcome.result = Some(Ok(row));
                continue;
            }
            let (cells, result) = (edit.cells.len(), edit.result.len());
            if let Err(error) = self.resolve(mutation, times, edit) {
                if atomicity != Atomicity::Each {
                    return Err(error);
                }
                edit.cells.truncate(cells);
                edit.result.truncate(result);
                outcome.result = Some(Err(error));
            }
            (outcome.cells, outcome.result_cells) = (cells..edit.cells.len(), result..edit.result.len());
        }
        Ok(())
    }

    /// Resolves mutations to cells and writes them to memory, with the rows locked.
    fn write_checked(
        &self,
        checked: &[(usize, Checked<'_>)],
        batch: &mut MiniBatch<'_>,
        outcomes: &mut [Outcome],
        atomicity: Atomicity,
        row: Option<LockedRow<'_>>,
    ) -> Result<()> {
        let alone = atomicity == Atomicity::All;
        let rows = checked.iter().map(|(_, mutation)| (mutation.row(), alone || mutation.reads()));
        let (_rows, _row) = (row.is_none().then(|| self.rows.many(rows)), row);
        let _held = self.mark_held(Held::Rows);
        let now = self.clock.now();
        let since = if let Atomicity::AllLocked(since) = atomicity { since } else { i64::MIN };
        let times = Times { now, put: now.max(since) };
        let mut edit = Edit::default();
        self.resolve_all(checked, outcomes, &mut edit, times, atomicity)?;
        self.observe(|observer, context| observer.pre_batch_mutate(context, batch))?;
        for ((at, _), failure) in checked.iter().zip(&batch.failures) {
            let Some(error) = failure else { continue };
            if atomicity != Atomicity::Each {
                return Err(error.clone());
            }
            outcomes[*at].result.get_or_insert_with(|| Err(error.clone()));
        }
        let added = mem::take(&mut batch.added);
        let added_checked = self.check_mutations(&added)?;
        let mut more = Edit::default();
        added_checked.iter().try_for_each(|mutation| self.resolve(mutation, times, &mut more))?;
        let left = outcomes.iter().filter(|outcome| outcome.result.is_none());
        let count = left.clone().count() as u64 + more.mutations;
        // Mutations added by observers get the greatest durability of the others.
        let durability = left.clone().map(|outcome| outcome.durability).max().unwrap_or(self.durability);
        // An atomic change is logged as a whole or not at all: otherwise a crash could leave a part of it.
        let is_whole = atomicity != Atomicity::Each;
        let is_logged = |outcome: &&Outcome| is_whole || outcome.durability > Durability::SkipWal;
        let cells_of = |outcome: &Outcome| &edit.cells[outcome.cells.clone()];
        let cells = left.clone().flat_map(cells_of).chain(&more.cells);
        let logged = left.filter(is_logged).flat_map(cells_of).chain(&more.cells);
        let seq_id = if count > 0 { self.apply(cells, logged, durability, count)? } else { 0 };
        for outcome in outcomes.iter_mut().filter(|outcome| outcome.result.is_none()) {
            outcome.result = Some(Ok(self.result_row(&edit, outcome.result_cells.clone(), seq_id)));
        }
        batch.added = added;
        self.observe(|observer, context| observer.post_batch_mutate(context, batch))
    }
}

/// Concatenates the results of mutations of a row.
pub(super) fn joined(outcomes: Vec<Outcome>) -> Result<Row> {
    let mut results = outcomes.into_iter().map(Outcome::into_result);
    let first = results.next().unwrap_or_else(|| Outcome::default().into_result());
    if results.len() == 0 {
        return first;
    }
    let mut row = RowBuf::new();
    for result in [first].into_iter().chain(results) {
        result?.cells().for_each(|cell| row.push(cell));
    }
    Ok(row.freeze())
}
