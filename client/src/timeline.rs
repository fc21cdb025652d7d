//! Reads of the replicas of a region (locator.md §12.6; HBase: `ConnectionUtils.timelineConsistentRead`).

use crate::client::ClientCore;
use crate::tries::Tries;
use hregion::locator::LocateType;
use hregion::{Deadline, Error, ReadFrom, Result, TableName};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;
use tokio::time::sleep;

/// A row by which a region is found.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'w> {
    pub(crate) table: &'w TableName,
    pub(crate) row: &'w [u8],
    pub(crate) position: LocateType,
}

enum Event<T> {
    /// The answer of the replica at a place of those asked.
    Answer(usize, Result<T>),
    /// The number of replicas of the region.
    Replicas(u16),
}

impl ClientCore {
    /// Reads from the replicas of a region that a read may use. If it may use any, asks the primary one, and
    /// the others `wait` later, or when the primary one has failed. The first response counts; the others are
    /// then no longer waited for.
    ///
    /// # Errors
    ///
    /// If all replicas asked fail.
    pub(crate) async fn read<'c, T, F>(
        &self,
        from: ReadFrom,
        wanted: Wanted<'_>,
        wait: Duration,
        tries: Tries<'c>,
        ask: impl Fn(Tries<'c>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        match from {
            ReadFrom::Primary => return ask(tries).await,
            ReadFrom::Replica(id) => return ask(tries.of_replica(id)).await,
            ReadFrom::Any => {}
        }
        let deadline = tries.deadline();
        let ask = |id: u16| (id, Box::pin(ask(tries.clone().of_replica(id))));
        let mut asked = vec![ask(0)];
        let mut replicas = Some(Box::pin(self.replicas_after(wait, wanted, deadline)));
        let mut failed: Vec<(u16, Error)> = Vec::new();
        while !asked.is_empty() || replicas.is_some() {
            let event = poll_fn(|context| {
                for (at, (_, answer)) in asked.iter_mut().enumerate() {
                    if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                        return Poll::Ready(Event::Answer(at, answer));
                    }
                }
                match replicas.as_mut().map(|replicas| replicas.as_mut().poll(context)) {
                    Some(Poll::Ready(count)) => Poll::Ready(Event::Replicas(count)),
                    _ => Poll::Pending,
                }
            });
            match event.await {
                Event::Answer(_, Ok(answer)) => return Ok(answer),
                Event::Answer(at, Err(error)) => {
                    failed.push((asked.swap_remove(at).0, error));
                    if replicas.is_some() {
                        // there is nothing to wait for
                        replicas = Some(Box::pin(self.replicas_after(Duration::ZERO, wanted, deadline)));
                    }
                }
                Event::Replicas(count) => {
                    replicas = None;
                    asked.extend((1..count).map(&ask));
                }
            }
        }
        failed.sort_unstable_by_key(|(id, _)| *id);
        Err(all_failed(failed))
    }

    /// Like [`replicas`](Self::replicas), after a time.
    async fn replicas_after(&self, wait: Duration, wanted: Wanted<'_>, deadline: Deadline) -> u16 {
        sleep(wait).await;
        self.replicas(wanted, deadline).await
    }

    /// Returns the number of replicas of a region. If the catalog does not respond, only the primary one can
    /// be asked.
    pub(crate) async fn replicas(&self, wanted: Wanted<'_>, deadline: Deadline) -> u16 {
        let Wanted { table, row, position } = wanted;
        let found = match self.known(table, row, position) {
            Some(known) => known,
            // the primary replica may have no server
            None => match self.locate(table, row, position, 1, deadline).await {
                Ok(found) => found,
                Err(_) => return 1,
            },
        };
        u16::try_from(found.replicas().len()).unwrap_or(u16::MAX)
    }
}

/// Returns the error of a read after all replicas failed.
fn all_failed(failed: Vec<(u16, Error)>) -> Error {
    let text = |(id, error): &(u16, Error)| format!("replica {id}: {}", error.message());
    let message = || failed.iter().map(text).collect::<Vec<_>>().join("; ");
    match &failed[..] {
        [(_, only)] => only.clone(),
        [(_, first), ..] => Error::new(first.kind(), message()),
        [] => crate::client::runtime_ended(),
    }
}
