//! Writes to a table: each row goes to the region that has it.

use super::Table;
use crate::cell::Row;
use crate::error::{Error, Result};
use crate::op::{Append, CheckAndMutate, Delete, Increment, Mutation, Put};
use crate::region::CheckResult;
use std::collections::BTreeMap;

/// Writes require a table whose regions were opened for writing. They work and fail as those of
/// [`Region`](crate::Region), and also fail if no region, or more than one, has the row.
impl Table {
    /// Writes cells of a row.
    ///
    /// # Errors
    ///
    /// As [`Region::put`](crate::Region::put), or if no region, or more than one, has the row.
    pub fn put(&self, put: Put) -> Result<()> {
        self.region(put.row())?.put(put)
    }

    /// Deletes cells of a row.
    ///
    /// # Errors
    ///
    /// As [`Region::delete`](crate::Region::delete), or if no region, or more than one, has the row.
    pub fn delete(&self, delete: Delete) -> Result<()> {
        self.region(delete.row())?.delete(delete)
    }

    /// Adds to counters of a row. Returns the new cells.
    ///
    /// # Errors
    ///
    /// As [`Region::increment`](crate::Region::increment), or if no region, or more than one, has the row.
    pub fn increment(&self, increment: Increment) -> Result<Row> {
        self.region(increment.row())?.increment(increment)
    }

    /// Appends to values of a row. Returns the new cells.
    ///
    /// # Errors
    ///
    /// As [`Region::append`](crate::Region::append), or if no region, or more than one, has the row.
    pub fn append(&self, append: Append) -> Result<Row> {
        self.region(append.row())?.append(append)
    }

    /// Applies mutations to one row, all or none of them.
    ///
    /// # Errors
    ///
    /// As [`Region::mutate_row`](crate::Region::mutate_row), or if no region, or more than one, has the row.
    pub fn mutate_row(&self, row: impl AsRef<[u8]>, mutations: Vec<Mutation>) -> Result<Row> {
        self.region(&row)?.mutate_row(row, mutations)
    }

    /// Applies puts and deletes to rows of one region, all or none of them.
    ///
    /// # Errors
    ///
    /// As [`Region::mutate_rows`](crate::Region::mutate_rows); if the rows are not all in the region of the
    /// first one ([`WrongRegion`](crate::ErrorKind::WrongRegion)); or if no region, or more than one, has it.
    pub fn mutate_rows(&self, mutations: Vec<Mutation>) -> Result<()> {
        let Some(first) = mutations.first() else {
            return Err(Error::invalid_argument("there is no mutation of any row"));
        };
        self.region(first.row())?.mutate_rows(mutations)
    }

    /// Applies mutations to a row if a condition holds.
    ///
    /// # Errors
    ///
    /// As [`Region::check_and_mutate`](crate::Region::check_and_mutate), or if no region, or more than one,
    /// has the row.
    pub fn check_and_mutate(&self, check: CheckAndMutate) -> Result<CheckResult> {
        self.region(check.row())?.check_and_mutate(check)
    }

    /// Writes puts and deletes of any rows, and returns the result of each, in order. Those of one region are
    /// written as by [`Region::batch`](crate::Region::batch).
    ///
    /// # Errors
    ///
    /// As [`Region::batch`](crate::Region::batch), for each mutation, or if no region, or more than one, has
    /// its row.
    pub fn batch(&self, mutations: Vec<Mutation>) -> Vec<Result<()>> {
        let mut results: Vec<Result<()>> = mutations.iter().map(|_| Ok(())).collect();
        // The mutations of each region, with their indexes in the results.
        let mut by_region: BTreeMap<usize, (Vec<usize>, Vec<Mutation>)> = BTreeMap::new();
        for (i, mutation) in mutations.into_iter().enumerate() {
            match self.0.find(mutation.row()) {
                Ok(at) => {
                    let (places, mutations) = by_region.entry(at).or_default();
                    places.push(i);
                    mutations.push(mutation);
                }
                Err(error) => results[i] = Err(error),
            }
        }
        for (at, (places, mutations)) in by_region {
            match self.0.region(at) {
                Ok(region) => {
                    for (place, result) in places.into_iter().zip(region.batch(mutations)) {
                        results[place] = result;
                    }
                }
                Err(error) => places.into_iter().for_each(|place| results[place] = Err(error.clone())),
            }
        }
        results
    }

    /// Flushes all regions that have been opened.
    ///
    /// # Errors
    ///
    /// As [`Region::flush`](crate::Region::flush), for the first that fails; the others are still flushed.
    pub fn flush(&self) -> Result<()> {
        let open = self.0.places.iter().filter_map(|place| place.region.get());
        open.map(crate::region::Region::flush).fold(Ok(()), Result::and)
    }
}
