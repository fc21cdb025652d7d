//! Batches of puts and deletes (read-path.md §19.1; HBase: `HRegion.batchMutate`).

use super::mutate::{Checked, Edit, Times};
use super::observer::Together;
use super::{Region, RegionCore};
use crate::error::{Error, Result};
use crate::op::Mutation;

/// The maximum number of mutations written together (hbase.regionserver.minibatch.size).
const MINI_BATCH: usize = 20_000;

impl Region {
    /// Writes puts and deletes of any rows, and returns the result of each, in order. A mutation that fails
    /// does not prevent the others from being written.
    ///
    /// Up to 20,000 mutations are written together: they have the same sequence id, and see rows as they were
    /// before all of them.
    ///
    /// # Errors
    ///
    /// As [`put`](Self::put), for each mutation. Increments and appends always fail, since a batch returns no
    /// cells.
    pub fn batch(&self, mutations: Vec<Mutation>) -> Vec<Result<()>> {
        let mut results = Vec::with_capacity(mutations.len());
        for mutations in mutations.chunks(MINI_BATCH) {
            if self.0.observers.is_empty() {
                self.0.mini_batch(mutations, &mut results);
            } else {
                self.0.mini_batch_observed(mutations, &mut results);
            }
        }
        results
    }
}

impl RegionCore {
    fn mini_batch(&self, mutations: &[Mutation], results: &mut Vec<Result<()>>) {
        if let Err(error) = self.check_writable().and_then(|()| self.admit()) {
            results.extend(mutations.iter().map(|_| Err(error.clone())));
            return;
        }
        let checked: Vec<_> = mutations.iter().map(|mutation| self.check_batched(mutation)).collect();
        let good = || checked.iter().flatten();
        let _rows = self.rows.many(good().map(|mutation| (mutation.row(), mutation.reads())));
        let now = self.clock.now();
        let (mut edit, start) = (Edit::default(), results.len());
        for mutation in &checked {
            let cells = edit.cells.len();
            results.push(match mutation {
                Ok(mutation) => self.resolve(mutation, Times { now, put: now }, &mut edit),
                Err(error) => Err(error.clone()),
            });
            if results.last().is_some_and(Result::is_err) {
                edit.cells.truncate(cells);
            }
        }
        if edit.cells.is_empty() {
            return;
        }
        if let Err(error) = self.apply(&edit.cells, edit.mutations) {
            results[start..]
                .iter_mut()
                .filter(|result| result.is_ok())
                .for_each(|result| *result = Err(error.clone()));
        }
    }

    /// Writes mutations with their hooks. If a hook fails, all mutations of the batch fail.
    fn mini_batch_observed(&self, mutations: &[Mutation], results: &mut Vec<Result<()>>) {
        match self.mutate_observed(mutations.to_vec(), Together::Batch) {
            Ok(answers) => results.extend(answers.into_iter().map(|answer| answer.map(drop))),
            Err(error) => results.extend(mutations.iter().map(|_| Err(error.clone()))),
        }
    }

    fn check_batched<'m>(&self, mutation: &'m Mutation) -> Result<Checked<'m>> {
        if let Mutation::Increment(_) | Mutation::Append(_) = mutation {
            return Err(Error::invalid_argument("a batch accepts only puts and deletes"));
        }
        self.check_new_row(mutation.row())?;
        self.check_mutation(mutation)
    }
}
