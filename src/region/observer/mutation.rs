//! The hooks of mutations, each chosen by the kind of the mutation (read-path.md §18).

use crate::cell::{Row, RowBuf};
use crate::error::Result;
use crate::op::Mutation;
use crate::region::RegionCore;

impl RegionCore {
    /// Calls the hook before a mutation. Returns a result if the hook bypasses the mutation.
    pub(in crate::region) fn pre_mutation(&self, mutation: &mut Mutation) -> Result<Option<Row>> {
        let mut results = RowBuf::new();
        let bypassed = self.observe_or_bypass(|observer, context| match mutation {
            Mutation::Put(put) => observer.pre_put(context, put),
            Mutation::Delete(delete) => observer.pre_delete(context, delete),
            Mutation::Increment(increment) => observer.pre_increment(context, increment, &mut results),
            Mutation::Append(append) => observer.pre_append(context, append, &mut results),
        })?;
        Ok(bypassed.then(|| results.freeze()))
    }

    /// Calls the hook before a mutation whose row is locked. Returns a result if the hook bypasses the
    /// mutation.
    pub(in crate::region) fn pre_mutation_after_row_lock(&self, mutation: &Mutation) -> Result<Option<Row>> {
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

    /// Calls the hook after a mutation that succeeded. It may change the mutation's result.
    pub(in crate::region) fn post_mutation(&self, mutation: &Mutation, result: &mut Row) -> Result<()> {
        if self.observers.is_empty() {
            return Ok(());
        }
        let mut results = RowBuf::new();
        result.cells().for_each(|cell| results.push(cell));
        self.observe(|observer, context| match mutation {
            Mutation::Put(put) => observer.post_put(context, put),
            Mutation::Delete(delete) => observer.post_delete(context, delete),
            Mutation::Increment(increment) => observer.post_increment(context, increment, &mut results),
            Mutation::Append(append) => observer.post_append(context, append, &mut results),
        })?;
        *result = results.freeze();
        Ok(())
    }
}
