//! Mutations with their hooks, in the order of HBase's `HRegion.doMiniBatchMutate` (read-path.md §18, §19.1).

use super::MiniBatch;
use crate::cell::{Row, RowBuf};
use crate::error::{Error, Result};
use crate::op::Mutation;
use crate::region::RegionCore;
use crate::region::mutate::{Checked, Edit, Times};
use std::ops::Range;

/// The outcome of each mutation so far; `None` if it is still to be written.
type Outcomes = Vec<Option<Result<Row>>>;

/// A mutation to write: its index among all mutations, and the ranges of its cells and answers.
#[derive(Debug)]
struct Pending {
    at: usize,
    cells: Range<usize>,
    answers: Range<usize>,
}

/// How mutations depend on each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::region) enum Together {
    /// Each is written or fails independently.
    Batch,
    /// All or none are written; they are of one row.
    Row,
    /// As `Row`, with the row already locked; values without a timestamp get at least this one.
    Locked(i64),
}

impl RegionCore {
    /// Writes a batch or mutations of one row, and calls the observers' hooks. Returns the answer of each
    /// mutation.
    ///
    /// # Errors
    ///
    /// If a hook fails, before or after the write; or, for mutations that are atomic, if any of them fails.
    #[cold]
    pub(in crate::region) fn mutate_observed(
        &self,
        mut mutations: Vec<Mutation>,
        together: Together,
    ) -> Result<Vec<Result<Row>>> {
        self.check_writable()?;
        if together == Together::Batch || together == Together::Row {
            self.admit()?;
        }
        let mut outcomes: Outcomes = mutations.iter().map(|_| None).collect();
        for (mutation, outcome) in mutations.iter_mut().zip(&mut outcomes) {
            *outcome = self.pre_mutation(mutation)?.map(Ok);
        }
        let mut checked = Vec::with_capacity(mutations.len());
        for (at, mutation) in mutations.iter().enumerate() {
            if outcomes[at].is_some() {
                continue;
            }
            match self.check_observed(mutation, together) {
                Ok(mutation) => checked.push((at, mutation)),
                Err(error) if together == Together::Batch => outcomes[at] = Some(Err(error)),
                Err(error) => return Err(error),
            }
        }
        if checked.is_empty() {
            return Ok(answers_of(outcomes));
        }
        let all: Vec<&Mutation> = checked.iter().map(|(at, _)| &mutations[*at]).collect();
        let mut batch = MiniBatch::new(all);
        let written = self.write_observed(&checked, &mut batch, &mut outcomes, together);
        let done = written.and_then(|()| self.post_mutations(&mutations, &checked, &mut outcomes));
        let success = done.is_ok();
        let last = self
            .observe(|observer, context| observer.post_batch_mutate_indispensably(context, &batch, success));
        done.and(last)?;
        Ok(answers_of(outcomes))
    }

    fn check_observed<'m>(&self, mutation: &'m Mutation, together: Together) -> Result<Checked<'m>> {
        self.check_new_row(mutation.row())?;
        if together == Together::Batch && matches!(mutation, Mutation::Increment(_) | Mutation::Append(_)) {
            return Err(Error::invalid_argument("a batch accepts only puts and deletes"));
        }
        self.check_mutation(mutation)
    }

    /// Resolves mutations to cells and writes them to memory, with the rows locked.
    fn write_observed(
        &self,
        checked: &[(usize, Checked<'_>)],
        batch: &mut MiniBatch<'_>,
        outcomes: &mut Outcomes,
        together: Together,
    ) -> Result<()> {
        let alone = together == Together::Row;
        let rows = checked.iter().map(|(_, mutation)| (mutation.row(), alone || mutation.reads()));
        let _rows = (!matches!(together, Together::Locked(_))).then(|| self.rows.many(rows));
        let now = self.clock.now();
        let since = if let Together::Locked(since) = together { since } else { i64::MIN };
        let times = Times { now, put: now.max(since) };
        let mut edit = Edit::default();
        let mut pending = Vec::with_capacity(checked.len());
        for (at, mutation) in checked {
            if let Some(row) = self.pre_mutation_after_row_lock(mutation.mutation())? {
                outcomes[*at] = Some(Ok(row));
            }
            let (cells, answers) = (edit.cells.len(), edit.answer.len());
            if outcomes[*at].is_none()
                && let Err(error) = self.resolve(mutation, times, &mut edit)
            {
                edit.cells.truncate(cells);
                edit.answer.truncate(answers);
                if together != Together::Batch {
                    return Err(error);
                }
                outcomes[*at] = Some(Err(error));
            }
            let (cells, answers) = (cells..edit.cells.len(), answers..edit.answer.len());
            pending.push(Pending { at: *at, cells, answers });
        }
        self.observe(|observer, context| observer.pre_batch_mutate(context, batch))?;
        for (pending, failure) in pending.iter_mut().zip(&batch.failures) {
            let Some(error) = failure else { continue };
            if together != Together::Batch {
                return Err(error.clone());
            }
            outcomes[pending.at].get_or_insert_with(|| Err(error.clone()));
            pending.cells = 0..0;
        }
        let added = std::mem::take(&mut batch.added);
        let added_checked = self.check_mutations(&added)?;
        let mut more = Edit::default();
        added_checked.iter().try_for_each(|mutation| self.resolve(mutation, times, &mut more))?;
        let left = pending.iter().filter(|pending| outcomes[pending.at].is_none());
        let count = left.clone().count() as u64 + more.mutations;
        let cells = left.flat_map(|pending| &edit.cells[pending.cells.clone()]).chain(&more.cells);
        let seq_id = if count > 0 { self.apply(cells, count)? } else { 0 };
        for pending in pending {
            if outcomes[pending.at].is_none() {
                outcomes[pending.at] = Some(Ok(self.answers(&edit, pending.answers, seq_id)));
            }
        }
        batch.added = added;
        self.observe(|observer, context| observer.post_batch_mutate(context, batch))
    }

    /// Calls the hook before a mutation. Returns an answer if the hook bypasses the mutation.
    fn pre_mutation(&self, mutation: &mut Mutation) -> Result<Option<Row>> {
        let mut results = RowBuf::new();
        let bypassed = self.observe_or_bypass(|observer, context| match mutation {
            Mutation::Put(put) => observer.pre_put(context, put),
            Mutation::Delete(delete) => observer.pre_delete(context, delete),
            Mutation::Increment(increment) => observer.pre_increment(context, increment, &mut results),
            Mutation::Append(append) => observer.pre_append(context, append, &mut results),
        })?;
        Ok(bypassed.then(|| results.freeze()))
    }

    fn pre_mutation_after_row_lock(&self, mutation: &Mutation) -> Result<Option<Row>> {
        let mut results = RowBuf::new();
        let bypassed = self.observe_or_bypass(|observer, context| match mutation {
            Mutation::Put(_) | Mutation::Delete(_) => Ok(()),
            Mutation::Increment(increment) => {
                observer.pre_increment_after_row_lock(context, increment, &mut results)
            }
            Mutation::Append(append) => observer.pre_append_after_row_lock(context, append, &mut results),
        })?;
        Ok(bypassed.then(|| results.freeze()))
    }

    /// Calls the hooks after the mutations that succeeded.
    fn post_mutations(
        &self,
        mutations: &[Mutation],
        checked: &[(usize, Checked<'_>)],
        outcomes: &mut Outcomes,
    ) -> Result<()> {
        for (at, _) in checked {
            let Some(Ok(row)) = &mut outcomes[*at] else { continue };
            let mut results = RowBuf::new();
            row.cells().for_each(|cell| results.push(cell));
            self.observe(|observer, context| match &mutations[*at] {
                Mutation::Put(put) => observer.post_put(context, put),
                Mutation::Delete(delete) => observer.post_delete(context, delete),
                Mutation::Increment(increment) => observer.post_increment(context, increment, &mut results),
                Mutation::Append(append) => observer.post_append(context, append, &mut results),
            })?;
            *row = results.freeze();
        }
        Ok(())
    }
}

fn answers_of(outcomes: Outcomes) -> Vec<Result<Row>> {
    outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Ok(RowBuf::new().freeze()))).collect()
}

/// Concatenates the cells of all answers into the one answer of mutations of a row.
pub(in crate::region) fn joined(answers: Vec<Result<Row>>) -> Result<Row> {
    let mut row = RowBuf::new();
    for answer in answers {
        answer?.cells().for_each(|cell| row.push(cell));
    }
    Ok(row.freeze())
}
