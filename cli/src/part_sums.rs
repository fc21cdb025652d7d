//! Sums over the parts of sources, which are read on several threads.

use crate::failure::Failure;
use crate::parallel::JobArgs;
use crate::query_args::RowArgs;
use crate::source::{InputSource, SourcePart};
use hregion::TableName;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A source, and its name if it is one of several tables.
pub(crate) type Named = (Option<TableName>, InputSource);

/// Something that is summed over the parts of a source.
pub(crate) trait Sum {
    /// Adds the next part in row order.
    fn merge(&mut self, next: Self);
}

/// Calls `sum` for each part of each source that may have rows of a range, and passes the sum of each source
/// to `done`, in order, or the failure of the first part that fails; parts after a failed one are not read. A
/// sum begins with `empty`.
pub(crate) fn sum_parts<S: Sum + Send>(
    sources: &[Named],
    (rows, jobs): (&RowArgs, JobArgs),
    empty: impl Fn() -> S + Sync,
    sum: impl Fn(&InputSource, &SourcePart<'_>) -> Result<S, Failure> + Sync,
    mut done: impl FnMut(Option<&TableName>, Result<S, Failure>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    // The number of the first part of each source that has failed so far.
    let failed: Vec<AtomicUsize> = sources.iter().map(|_| AtomicUsize::new(usize::MAX)).collect();
    let mut parts = Vec::new();
    for (at, ((_, source), failed)) in sources.iter().zip(&failed).enumerate() {
        let numbered = source.parts_of(rows).into_iter().enumerate();
        parts.extend(numbered.map(|(number, part)| (at, source, (failed, number), part)));
    }
    let mut here = (0, Ok(empty()));
    let mut end = |here: &mut (usize, Result<S, Failure>), before: usize| {
        for (name, _) in sources.get(here.0..before).unwrap_or_default() {
            done(name.as_ref(), mem::replace(&mut here.1, Ok(empty())))?;
        }
        here.0 = before.max(here.0);
        Ok::<_, Failure>(())
    };
    jobs.in_order(
        &parts,
        |(at, source, (failed, number), part)| {
            // An earlier part has failed: there will be no sum.
            if failed.load(Ordering::Relaxed) < *number {
                return (*at, Ok(empty()));
            }
            let summed = sum(source, part);
            if summed.is_err() {
                failed.fetch_min(*number, Ordering::Relaxed);
            }
            (*at, summed)
        },
        |(at, summed)| {
            end(&mut here, at)?;
            if let Ok(sum) = &mut here.1 {
                match summed {
                    Ok(summed) => sum.merge(summed),
                    Err(failure) => here.1 = Err(failure),
                }
            }
            Ok(())
        },
    )?;
    end(&mut here, sources.len())
}
