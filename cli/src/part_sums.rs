//! Sums over the parts of sources, which are read on several threads.

use crate::failure::Failure;
use crate::parallel::JobArgs;
use crate::query_args::RowArgs;
use crate::source::{InputSource, SourcePart};
use hregion::TableName;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};

/// A source, and its name if it is one of several tables.
pub(crate) type Named = (Option<TableName>, InputSource);

/// Something that is summed over the parts of a source.
pub(crate) trait Sum {
    /// Adds the next part in row order.
    fn merge(&mut self, next: Self);
}

/// Calls `sum` for each part of each source that may have rows of a range, and passes the sum of each source
/// to `done`, in order, or its first failure, after which nothing more of this source is read. A sum begins
/// with `empty`.
pub(crate) fn sum_parts<S: Sum + Send>(
    sources: &[Named],
    (rows, jobs): (&RowArgs, JobArgs),
    empty: impl Fn() -> S + Sync,
    sum: impl Fn(&InputSource, &SourcePart<'_>) -> Result<S, Failure> + Sync,
    mut done: impl FnMut(Option<&TableName>, Result<S, Failure>) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let have_failed: Vec<AtomicBool> = sources.iter().map(|_| AtomicBool::new(false)).collect();
    let mut parts = Vec::new();
    for (at, ((_, source), has_failed)) in sources.iter().zip(&have_failed).enumerate() {
        parts.extend(source.parts_of(rows).into_iter().map(|part| (at, source, has_failed, part)));
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
        |(at, source, has_failed, part)| {
            // There is no sum any more.
            if has_failed.load(Ordering::Relaxed) {
                return (*at, Ok(empty()));
            }
            let summed = sum(source, part);
            has_failed.fetch_or(summed.is_err(), Ordering::Relaxed);
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
