//! Sums over the parts of sources, which are read on several threads.

use crate::failure::Failure;
use crate::parallel::JobArgs;
use crate::query_args::RowArgs;
use crate::source::{InputSource, SourcePart};
use hregion::TableName;
use std::mem;

/// A source, and its name if it is one of several tables.
pub(crate) type Named = (Option<TableName>, InputSource);

/// Something that is summed over the parts of a source.
pub(crate) trait Sum {
    /// Adds the next part in row order.
    fn merge(&mut self, next: Self);
}

/// Calls `sum` for each part of each source that may have rows of a range, and passes the sum of each source
/// to `done`, in order. A sum begins with `empty`.
pub(crate) fn sum_parts<S: Sum + Send>(
    sources: &[Named],
    (rows, jobs): (&RowArgs, JobArgs),
    empty: impl Fn() -> S,
    sum: impl Fn(&InputSource, &SourcePart<'_>) -> Result<S, Failure> + Sync,
    mut done: impl FnMut(Option<&TableName>, S) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut parts = Vec::new();
    for (at, (_, source)) in sources.iter().enumerate() {
        parts.extend(source.parts_of(rows).into_iter().map(|part| (at, source, part)));
    }
    let mut here = (0, empty());
    let mut end = |here: &mut (usize, S), before: usize| {
        for (name, _) in sources.get(here.0..before).unwrap_or_default() {
            done(name.as_ref(), mem::replace(&mut here.1, empty()))?;
        }
        here.0 = before.max(here.0);
        Ok::<_, Failure>(())
    };
    jobs.in_order(
        &parts,
        |(at, source, part)| Ok::<_, Failure>((*at, sum(source, part)?)),
        |summed| {
            let (at, summed) = summed?;
            end(&mut here, at)?;
            here.1.merge(summed);
            Ok(())
        },
    )?;
    end(&mut here, sources.len())
}
