//! Events for subscribers of the `tracing` crate, if the feature is enabled: target `hregion`, each with the
//! region's name. Without the feature these functions do nothing.
//!
//! Events are reported with the locks of a write, flush, compaction or close held. A subscriber that flushes,
//! compacts or closes the region gets an error where it would wait for its own thread. It must not write to
//! the region or load files into it: its row may be locked.
#![cfg_attr(
    not(feature = "tracing"),
    allow(unused_variables, clippy::unused_self, reason = "there is no subscriber")
)]

use super::RegionCore;
use super::observer::Held;
use crate::error::Error;

macro_rules! event {
    ($level:ident, $region:expr, $($fields:tt)*) => {
        #[cfg(feature = "tracing")]
        tracing::event!(target: "hregion", tracing::Level::$level, region = %$region.info, $($fields)*)
    };
}

/// The kind of work that an event reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    Flush,
    Compaction,
}

impl Task {
    #[cfg(feature = "tracing")]
    fn name(self) -> &'static str {
        match self {
            Self::Flush => "flush",
            Self::Compaction => "compaction",
        }
    }
}

impl RegionCore {
    /// Reports that a flush of `bytes` bytes in memory has started.
    pub(super) fn report_flush_started(&self, bytes: u64) {
        event!(DEBUG, self, bytes, "flush started");
    }

    /// Reports that a flush has ended.
    pub(super) fn report_flush_ended(&self, seq_id: i64) {
        event!(INFO, self, seq_id, "flush ended");
    }

    /// Reports that a compaction of files of a family has started.
    pub(super) fn report_compaction_started(&self, store: usize, files: usize, bytes: u64, all_files: bool) {
        event!(DEBUG, self, family = %self.family_name(store), files, bytes, all_files, "compaction started");
    }

    /// Reports that a compaction has ended, with the names of its new files.
    pub(super) fn report_compaction_ended(&self, store: usize, files: &[String]) {
        event!(INFO, self, family = %self.family_name(store), files = ?files, "compaction ended");
    }

    /// Reports that a flush or compaction has failed, whether background or explicit.
    pub(super) fn report_failed(&self, task: Task, error: &Error) {
        event!(WARN, self, task = task.name(), error = %error, "failed");
    }

    /// Reports that a failed background flush or compaction will be retried.
    pub(super) fn report_retry(&self, task: Task, failures: u32) {
        event!(INFO, self, task = task.name(), failures, "will be retried");
    }

    /// Reports that replaced files could not be archived.
    pub(super) fn report_unarchived(&self, error: &Error) {
        event!(WARN, self, error = %error, "replaced files could not be archived");
    }

    /// Reports that the region no longer accepts writes.
    pub(super) fn report_poisoned(&self, error: &Error) {
        // A flush would wait for this thread, which is in the middle of a write or a change of the files.
        let _held = self.mark_held(Held::Flush);
        event!(ERROR, self, error = %error, "poisoned");
    }

    /// Reports that the last handle was dropped without closing the region.
    pub(super) fn report_dropped(&self, unflushed: u64) {
        event!(WARN, self, unflushed, "dropped without close");
    }

    /// Reports that the region is closed but its lock could not be released.
    pub(super) fn report_locked(&self, error: &Error) {
        event!(ERROR, self, error = %error, "closed, and could not be unlocked");
    }

    /// Reports that unflushed cells were lost when the last handle was dropped.
    pub(super) fn report_lost(&self, error: &Error) {
        event!(
            ERROR, self,
            unflushed = self.memstore_size(), error = %error,
            "dropped, and could not be flushed"
        );
    }

    #[cfg(feature = "tracing")]
    fn family_name(&self, store: usize) -> crate::binary::StringBinary<'_> {
        crate::binary::StringBinary(self.stores[store].family.name())
    }
}
