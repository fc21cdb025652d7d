//! Writes to a table: each row is written to the region that has it.

use super::regions::RegionSlot;
use super::{Table, TableCore};
use crate::cell::Row;
use crate::error::{Error, Result};
use crate::op::{Append, CheckAndMutate, Delete, Increment, Mutation, Put};
use crate::region::{CheckResult, Region};
use crate::sync::unpoisoned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The maximum number of mutations of several regions that are written together.
const MOST_TOGETHER: usize = 20_000;

/// Writes require a table whose regions were opened for writing. They behave like those of [`Region`], and
/// also fail if no region, or more than one, has the row.
impl Table {
    /// Writes values to a row, atomically.
    ///
    /// # Errors
    ///
    /// Same as [`Region::put`](crate::Region::put), or if no region, or more than one, has the row.
    pub fn put(&self, put: Put) -> Result<()> {
        self.0.write(put, Put::row, Region::put)
    }

    /// Hides cells of a row by delete markers, atomically.
    ///
    /// # Errors
    ///
    /// Same as [`Region::delete`](crate::Region::delete), or if no region, or more than one, has the row.
    pub fn delete(&self, delete: Delete) -> Result<()> {
        self.0.write(delete, Delete::row, Region::delete)
    }

    /// Adds to counters of a row, atomically. Returns the new cells, by family and qualifier.
    ///
    /// # Errors
    ///
    /// Same as [`Region::increment`](crate::Region::increment), or if no region, or more than one, has the
    /// row.
    pub fn increment(&self, increment: Increment) -> Result<Row> {
        self.0.write(increment, Increment::row, Region::increment)
    }

    /// Appends to values of a row, atomically. Returns the new cells, by family and qualifier.
    ///
    /// # Errors
    ///
    /// Same as [`Region::append`](crate::Region::append), or if no region, or more than one, has the row.
    pub fn append(&self, append: Append) -> Result<Row> {
        self.0.write(append, Append::row, Region::append)
    }

    /// Applies mutations to one row, all or none of them.
    ///
    /// # Errors
    ///
    /// Same as [`Region::mutate_row`](crate::Region::mutate_row), or if no region, or more than one, has the
    /// row.
    pub fn mutate_row(&self, row: impl AsRef<[u8]>, mutations: Vec<Mutation>) -> Result<Row> {
        self.0.write(
            (row, mutations),
            |(row, _)| row.as_ref(),
            |region, (row, mutations)| region.mutate_row(row, mutations),
        )
    }

    /// Applies puts and deletes to rows of one region, all or none of them.
    ///
    /// # Errors
    ///
    /// Same as [`Region::mutate_rows`](crate::Region::mutate_rows); if the rows are not all in the region of
    /// the first one ([`WrongRegion`](crate::ErrorKind::WrongRegion)); or if no region, or more than one, has
    /// it.
    pub fn mutate_rows(&self, mutations: Vec<Mutation>) -> Result<()> {
        if mutations.is_empty() {
            return Err(Error::invalid_argument("there are no mutations"));
        }
        self.0.write(mutations, |mutations| mutations.first().map_or(&[], Mutation::row), Region::mutate_rows)
    }

    /// Applies mutations to a row if a condition holds.
    ///
    /// # Errors
    ///
    /// Same as [`Region::check_and_mutate`](crate::Region::check_and_mutate), or if no region, or more than
    /// one, has the row.
    pub fn check_and_mutate(&self, check: CheckAndMutate) -> Result<CheckResult> {
        self.0.write(check, CheckAndMutate::row, Region::check_and_mutate)
    }

    /// Writes puts and deletes of any rows, and returns the result of each, in order. Those of one region are
    /// written as by [`Region::batch`](crate::Region::batch); those of all regions wait for one sync of the
    /// log.
    ///
    /// # Errors
    ///
    /// Same as [`Region::batch`](crate::Region::batch), for each mutation, or if no region, or more than one,
    /// has its row.
    #[must_use = "each of the mutations may have failed"]
    pub fn batch(&self, mutations: Vec<Mutation>) -> Vec<Result<()>> {
        let mut results: Vec<Result<()>> = mutations.iter().map(|_| Ok(())).collect();
        let mut numbered = mutations.into_iter().enumerate();
        loop {
            let mut left: Numbered = numbered.by_ref().take(MOST_TOGETHER).collect();
            if left.is_empty() {
                return results;
            }
            // Repeats only if a region is split or merged in the meantime.
            while !left.is_empty() {
                left = self.0.batch(left, &mut results);
            }
        }
    }

    /// Flushes all regions that have been opened.
    ///
    /// # Errors
    ///
    /// If a region is read-only or a file cannot be written: the error of the first region that fails. The
    /// others are still flushed.
    pub fn flush(&self) -> Result<()> {
        // A region that is split or merged in the meantime is flushed by that.
        let flush = |slot: &Arc<RegionSlot>| {
            self.0.check_may_flush()?;
            let is_current = unpoisoned(slot.is_current.read());
            slot.region.get().filter(|_| *is_current).map_or(Ok(()), Region::flush)
        };
        self.0.regions.load_full().slots.iter().map(flush).fold(Ok(()), Result::and)
    }
}

/// Mutations, with their indexes in the results.
type Numbered = Vec<(usize, Mutation)>;

impl TableCore {
    /// Writes mutations, those of different regions with a common sync of the log. Returns the mutations of
    /// regions that have been replaced.
    fn batch(&self, mutations: Numbered, results: &mut [Result<()>]) -> Numbered {
        let regions = self.regions.load();
        // In row order, so that two batches with the same regions cannot deadlock.
        let mut by_region: BTreeMap<usize, Numbered> = BTreeMap::new();
        for (i, mutation) in mutations {
            match regions.find(mutation.row()) {
                Ok(at) => by_region.entry(at).or_default().push((i, mutation)),
                Err(error) => results[i] = Err(error),
            }
        }
        let mut groups: Vec<_> = by_region.into_iter().map(|(at, some)| (at, some.into_iter())).collect();
        let is_joint = groups.len() > 1 && !self.options.has_observers();
        let mut left = Vec::new();
        // Repeats if a region has more mutations than it writes together. It can be split in between.
        while !groups.is_empty() {
            let (mut indices, mut batches, mut current) = (Vec::new(), Vec::new(), Vec::new());
            for (at, numbered) in &mut groups {
                let slot = &regions.slots[*at];
                let writing = self.enter(slot);
                match writing
                    .as_ref()
                    .map_err(Error::clone)
                    .and_then(|writing| if writing.is_current() { self.open(slot) } else { Ok(None) })
                {
                    Ok(None) => left.extend(numbered),
                    Ok(Some(region)) if is_joint => {
                        let some = numbered.by_ref().take(region.mini_batch());
                        let (at, mutations): (Vec<usize>, Vec<Mutation>) = some.unzip();
                        indices.push(at);
                        batches.push((region, mutations));
                        current.push(writing);
                    }
                    Ok(Some(region)) => {
                        let (at, mutations): (Vec<usize>, Vec<Mutation>) = numbered.unzip();
                        let done = region.batch(mutations);
                        at.into_iter().zip(done).for_each(|(index, result)| results[index] = result);
                    }
                    Err(error) => numbered.for_each(|(i, _)| results[i] = Err(error.clone())),
                }
            }
            for (indices, done) in indices.into_iter().zip(Region::batch_jointly(&batches)) {
                indices.into_iter().zip(done).for_each(|(index, result)| results[index] = result);
            }
            groups.retain(|(_, numbered)| numbered.len() > 0);
        }
        left
    }
}
