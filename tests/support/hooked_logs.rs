//! Logs whose calls a test can delay or fail.

use super::forward::forward;
use hregion::Storage;
use hregion::io::faulty::FaultyStorage;
use hregion::io::{LogFile, LogSyncer};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{fmt, io};

/// A call of a log.
#[derive(Clone, Copy, Debug)]
pub(crate) enum LogCall {
    Append,
    /// The numbers of the log and of its sync, from 1.
    Sync {
        log: usize,
        sync: usize,
    },
    /// A sync while other threads append.
    SyncBeside,
}

#[derive(Clone)]
struct Hook(Arc<dyn Fn(LogCall) -> io::Result<()> + Send + Sync>);

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hook")
    }
}

/// A storage that calls a hook before each append to a log and each sync of one. If the hook fails, the call
/// fails.
#[derive(Debug)]
pub(crate) struct HookedLogs {
    inner: FaultyStorage,
    logs: AtomicUsize,
    has_syncers: bool,
    hook: Hook,
}

impl HookedLogs {
    /// Logs are not synced while other threads append.
    pub(crate) fn shared(
        inner: &FaultyStorage,
        hook: impl Fn(LogCall) -> io::Result<()> + Send + Sync + 'static,
    ) -> Arc<dyn Storage> {
        Self::with(inner, false, hook)
    }

    /// Logs can be synced while other threads append.
    pub(crate) fn with_syncers(
        inner: &FaultyStorage,
        hook: impl Fn(LogCall) -> io::Result<()> + Send + Sync + 'static,
    ) -> Arc<dyn Storage> {
        Self::with(inner, true, hook)
    }

    fn with(
        inner: &FaultyStorage,
        has_syncers: bool,
        hook: impl Fn(LogCall) -> io::Result<()> + Send + Sync + 'static,
    ) -> Arc<dyn Storage> {
        let (inner, hook) = (inner.clone(), Hook(Arc::new(hook)));
        Arc::new(Self { inner, logs: AtomicUsize::new(0), has_syncers, hook })
    }
}

impl Storage for HookedLogs {
    forward!(inner: open create create_new rename hard_link remove remove_dir sync_file sync_dir list_dir);
    forward!(inner: create_dir_all lock optional);

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        let number = self.logs.fetch_add(1, Ordering::Relaxed) + 1;
        let log = self.inner.create_log(path)?;
        let (has_syncer, hook) = (self.has_syncers, self.hook.clone());
        Ok(Box::new(HookedLog { log, number, syncs: 0, has_syncer, hook }))
    }
}

#[derive(Debug)]
struct HookedLog {
    log: Box<dyn LogFile>,
    number: usize,
    syncs: usize,
    has_syncer: bool,
    hook: Hook,
}

impl LogFile for HookedLog {
    forward!(log: path truncate can_overwrite max_len is_unchanged);

    fn append(&mut self, bytes: &[u8], kept: usize) -> io::Result<()> {
        (self.hook.0)(LogCall::Append)?;
        self.log.append(bytes, kept)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.syncs += 1;
        (self.hook.0)(LogCall::Sync { log: self.number, sync: self.syncs })?;
        self.log.sync()
    }

    fn syncer(&self) -> Option<LogSyncer> {
        let syncer = self.log.syncer().filter(|_| self.has_syncer)?;
        let hook = self.hook.clone();
        Some(LogSyncer::new(move || {
            (hook.0)(LogCall::SyncBeside)?;
            syncer.sync()
        }))
    }
}
