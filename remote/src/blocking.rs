//! Blocks a thread until a request is done.

use std::fmt;
use std::future::Future;
use std::io;
use std::mem;
use std::process;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};
#[cfg(any(feature = "aws", feature = "hdfs"))]
use tokio::runtime::Handle;
use tokio::runtime::{Builder, Runtime};
use tokio::task::AbortHandle;

/// The runtime that requests run on.
#[derive(Debug)]
pub(crate) struct Blocking {
    /// Taken only when dropped.
    runtime: Option<Runtime>,
    deadline: Duration,
    while_reading: Option<Check>,
    owner: Owner,
}

/// The process that has the threads of a runtime. One that was forked from it has none of them.
#[derive(Clone, Copy, Debug)]
struct Owner(u32);

impl Owner {
    fn this() -> Self {
        Self(process::id())
    }

    fn is_this(self) -> bool {
        self.0 == process::id()
    }
}

/// A function that ends a request by its error.
#[derive(Clone)]
pub(crate) struct Check(pub(crate) Arc<dyn Fn() -> io::Result<()> + Send + Sync>);

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Check")
    }
}

/// The time between two calls of a [`Check`].
const PERIOD: Duration = Duration::from_millis(50);

/// The time after the deadline until an overdue response is given up, and until a request whose response is
/// not needed is abandoned.
const GRACE: Duration = Duration::from_secs(5);

impl Blocking {
    pub(crate) fn new(deadline: Duration) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("hregion-remote")
            .enable_all()
            .build()?;
        Ok(Self { runtime: Some(runtime), deadline, while_reading: None, owner: Owner::this() })
    }

    /// Sets the check that can end requests that read.
    pub(crate) fn while_reading(mut self, check: Option<Check>) -> Self {
        self.while_reading = check;
        self
    }

    /// Returns the runtime, for tasks that run between requests.
    #[cfg(feature = "hdfs")]
    pub(crate) fn handle(&self) -> Handle {
        self.runtime.as_ref().expect("present until dropped").handle().clone()
    }

    /// Whether this process was forked from the one that has the threads of the runtime.
    pub(crate) fn is_forked(&self) -> bool {
        !self.owner.is_this()
    }

    /// As if this process were forked.
    #[cfg(test)]
    pub(crate) fn fork(&mut self) {
        self.owner = Owner(0);
    }

    /// Starts a request, which is ended after the deadline.
    pub(crate) fn start<T: Send + 'static>(
        &self,
        request: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> Pending<T> {
        self.start_within(self.deadline, request)
    }

    fn start_within<T: Send + 'static>(
        &self,
        deadline: Duration,
        request: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> Pending<T> {
        let (sender, receiver) = mpsc::sync_channel(1);
        let task = async move {
            let answer = tokio::time::timeout(deadline, request).await;
            // The receiver no longer exists if the request was given up.
            let _ = sender.send(answer.unwrap_or_else(|_| Err(late(deadline))));
        };
        let runtime = self.runtime.as_ref().expect("present until dropped");
        let task = if self.owner.is_this() {
            Some(runtime.spawn(task).abort_handle())
        } else {
            // Threads of the other process may have locked what its end would lock here.
            mem::forget(task);
            None
        };
        Pending { receiver, task, deadline, check: None, owner: self.owner }
    }

    /// Like [`start`](Self::start), for a request that changes nothing: the thread that waits for it may end
    /// it.
    pub(crate) fn start_read<T: Send + 'static>(
        &self,
        request: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> Pending<T> {
        let mut pending = self.start(request);
        pending.check.clone_from(&self.while_reading);
        pending
    }

    /// Starts a request whose response is not needed. It ends with the runtime at the latest, which waits for
    /// it, but not for long.
    #[cfg(feature = "aws")]
    pub(crate) fn leave<T: Send + 'static>(&self, request: impl Future<Output = T> + Send + 'static) {
        if !self.owner.is_this() {
            return;
        }
        let runtime = self.runtime.as_ref().expect("present until dropped");
        let (deadline, (sender, ended)) = (self.deadline, mpsc::sync_channel(1));
        runtime.spawn(async move {
            let _ = tokio::time::timeout(deadline, request).await;
            let _ = sender.send(());
        });
        // A thread of this runtime may be needed for the request.
        if Handle::try_current().is_err() {
            let _ = ended.recv_timeout(GRACE);
        }
    }

    /// Waits for a request. Unlike `Runtime::block_on`, any thread may wait.
    #[cfg(any(feature = "aws", feature = "hdfs", test))]
    pub(crate) fn run<T: Send + 'static>(
        &self,
        request: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        self.start(request).wait()
    }

    /// Like [`run`](Self::run), for a request that may take a multiple of the deadline.
    #[cfg(feature = "aws")]
    pub(crate) fn run_long<T: Send + 'static>(
        &self,
        multiple: u32,
        request: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        self.start_within(self.deadline.saturating_mul(multiple), request).wait()
    }

    /// Waits for a request that changes nothing.
    pub(crate) fn read<T: Send + 'static>(
        &self,
        request: impl Future<Output = io::Result<T>> + Send + 'static,
    ) -> io::Result<T> {
        self.start_read(request).wait()
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        match self.runtime.take() {
            // Without waiting: the last owner may be a thread of another runtime.
            Some(runtime) if self.owner.is_this() => runtime.shutdown_background(),
            // Its threads do not exist here, so their locks stay locked; and both processes have its
            // connections.
            runtime => mem::forget(runtime),
        }
    }
}

/// A request in progress. It is ended if this is dropped.
#[derive(Debug)]
pub(crate) struct Pending<T> {
    receiver: Receiver<io::Result<T>>,
    /// `None` in a forked process.
    task: Option<AbortHandle>,
    deadline: Duration,
    check: Option<Check>,
    owner: Owner,
}

impl<T> Pending<T> {
    pub(crate) fn wait(self) -> io::Result<T> {
        self.wait_or_end()?
    }

    /// Waits for the answer, which may be an error.
    ///
    /// # Errors
    ///
    /// Returns only the error of the [`Check`] that has ended the wait.
    pub(crate) fn wait_or_end(self) -> io::Result<io::Result<T>> {
        if !self.owner.is_this() {
            return Ok(Err(forked()));
        }
        let (began, limit) = (Instant::now(), self.deadline.saturating_add(GRACE));
        loop {
            let left = limit.saturating_sub(began.elapsed());
            let time = if self.check.is_some() { left.min(PERIOD) } else { left };
            match (self.receiver.recv_timeout(time), &self.check) {
                (Ok(answer), _) => return Ok(answer),
                (Err(RecvTimeoutError::Timeout), Some(Check(check))) if time < left => check()?,
                (Err(RecvTimeoutError::Timeout), _) => return Ok(Err(late(self.deadline))),
                (Err(RecvTimeoutError::Disconnected), _) => {
                    return Ok(Err(io::Error::other("the request ended without an answer")));
                }
            }
        }
    }
}

impl<T> Drop for Pending<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.as_ref().filter(|_| self.owner.is_this()) {
            task.abort();
        }
    }
}

#[cold]
fn forked() -> io::Error {
    let message = "a forked process has none of the threads of the storage: make another storage there";
    io::Error::new(io::ErrorKind::Unsupported, message)
}

fn late(deadline: Duration) -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, format!("no answer within the deadline of {deadline:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::pending;

    #[test]
    fn requests_end_at_the_deadline() {
        let blocking = Blocking::new(Duration::from_millis(20)).unwrap();
        assert_eq!(blocking.run(async { Ok(3) }).unwrap(), 3);
        let error = blocking.run(pending::<io::Result<()>>()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(blocking.run::<()>(async { panic!("expected by this test") }).is_err());
    }

    /// Its requests would wait for threads of the other process until the deadline.
    #[test]
    fn a_forked_process_waits_for_no_request() {
        let mut blocking = Blocking::new(Duration::from_secs(60)).unwrap();
        let mut begun = blocking.start(pending::<io::Result<()>>());
        blocking.fork();
        begun.owner = blocking.owner;
        let kinds = [begun.wait(), blocking.run(pending()), blocking.read(async { Ok(()) })]
            .map(|result| result.unwrap_err().kind());
        assert_eq!(kinds, [io::ErrorKind::Unsupported; 3]);
        assert!(blocking.is_forked());
        // Nor does it end the connections of a request, such as those of a file that is being written.
        let held = Arc::new(());
        let given = Arc::clone(&held);
        let request = async move {
            drop(given);
            Ok(())
        };
        blocking.run(request).unwrap_err();
        assert_eq!(Arc::strong_count(&held), 2);
    }

    #[test]
    fn a_read_can_be_ended_but_no_change() {
        let ended = || -> io::Result<()> { Err(io::Error::other("ended by this test")) };
        let check = Check(Arc::new(ended));
        let blocking = Blocking::new(Duration::from_millis(400)).unwrap().while_reading(Some(check));
        let error = blocking.read(pending::<io::Result<()>>()).unwrap_err();
        assert_eq!(error.to_string(), "ended by this test");
        assert_eq!(blocking.read(async { Ok(3) }).unwrap(), 3);
        let error = blocking.run(pending::<io::Result<()>>()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn threads_of_another_runtime_may_call() {
        let other = Builder::new_current_thread().build().unwrap();
        other.block_on(async {
            let blocking = Blocking::new(Duration::from_secs(20)).unwrap();
            assert_eq!(blocking.run(async { Ok(3) }).unwrap(), 3);
        });
    }
}
