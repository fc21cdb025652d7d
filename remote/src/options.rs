//! Options for reading and writing remote files.

use crate::blocking::Check;
use crate::storage::RemoteStorage;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Options for reading and writing remote files.
#[derive(Clone)]
pub struct RemoteOptions {
    pub(crate) tail_bytes: u64,
    pub(crate) read_ahead_bytes: u64,
    pub(crate) total_read_ahead_bytes: u64,
    pub(crate) connect_timeout: Duration,
    pub(crate) request_timeout: Duration,
    pub(crate) deadline: Duration,
    pub(crate) retries: usize,
    pub(crate) first_backoff: Duration,
    pub(crate) max_backoff: Duration,
    pub(crate) listing_bytes: u64,
    pub(crate) listing_entries: usize,
    pub(crate) upload_part_bytes: usize,
    pub(crate) log_bytes: u64,
    pub(crate) while_reading: Option<Check>,
    pub(crate) settings: Vec<(String, String)>,
}

impl Default for RemoteOptions {
    fn default() -> Self {
        Self {
            tail_bytes: 64 << 10,
            read_ahead_bytes: 8 << 20,
            total_read_ahead_bytes: 64 << 20,
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(30),
            deadline: Duration::from_secs(60),
            retries: 5,
            first_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(5),
            listing_bytes: 16 << 20,
            listing_entries: 1_000_000,
            upload_part_bytes: 16 << 20,
            log_bytes: 1 << 20,
            while_reading: None,
            settings: Vec::new(),
        }
    }
}

impl RemoteOptions {
    /// Sets the bytes at the end of a file that are read when it is opened, and kept while it is open. An
    /// HFile whose trailer and load-on-open section fit opens by one request. Default: 64 KiB, at least 1.
    #[must_use]
    pub fn tail_bytes(mut self, bytes: u64) -> Self {
        self.tail_bytes = bytes.max(1);
        self
    }

    /// Sets the maximum number of bytes that one scan of a file has requested but not yet read. They are
    /// never more than a fifth of what the scan has read. 0 turns reading ahead off. Default: 8 MiB.
    #[must_use]
    pub fn read_ahead_bytes(mut self, bytes: u64) -> Self {
        self.read_ahead_bytes = bytes;
        self
    }

    /// Sets the maximum number of bytes that all scans of a storage have requested but not yet read. Scans
    /// that were not continued for a long time give up theirs. Default: 64 MiB.
    #[must_use]
    pub fn total_read_ahead_bytes(mut self, bytes: u64) -> Self {
        self.total_read_ahead_bytes = bytes;
        self
    }

    /// Sets the time to connect to an HTTP server. For HDFS, this is the time in which a name node must
    /// accept a connection, and then respond, when a name service is first used, or a name node has not
    /// responded to a request (for a change, a twelfth of the deadline if that is less): those that fail are
    /// asked last. Default: 5 seconds.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the time of one HTTP request, until the last byte of its body. Default: 30 seconds.
    #[must_use]
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sets the time of one read, opening or listing, including retries. Default: 60 seconds.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the number of times that a failed request is sent again, with growing pauses; requests that make
    /// an object are repeated if they cannot take effect twice. Default: 5. HDFS has other rules.
    #[must_use]
    pub fn retries(mut self, retries: usize) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the pauses before retries: the first, and the longest, which is never shorter. Default: 100 ms
    /// and 5 seconds.
    #[must_use]
    pub fn backoff(mut self, first: Duration, max: Duration) -> Self {
        // `object_store` panics if a pause has no length, or becomes shorter than the first.
        self.first_backoff = first.max(Duration::from_nanos(1));
        self.max_backoff = max.max(self.first_backoff);
        self
    }

    /// Sets the maximum size of one page of a listing. Default: 16 MiB.
    #[must_use]
    pub fn listing_bytes(mut self, bytes: u64) -> Self {
        self.listing_bytes = bytes;
        self
    }

    /// Sets the maximum number of entries of one directory. Default: 1,000,000.
    #[must_use]
    pub fn listing_entries(mut self, entries: usize) -> Self {
        self.listing_entries = entries;
        self
    }

    /// Sets the size in bytes of one part of an object that is uploaded in parts, as are objects of more than
    /// two parts. A file that is being written takes memory for at most about four parts. S3 accepts at most
    /// 10,000 parts of at least 5 MiB: after 2,000, every 500 parts are twice as long as the previous ones,
    /// up to 1 GiB. A part must be sent within the time of [one request](Self::request_timeout). Default: 16
    /// MiB, at least 1.
    #[must_use]
    pub fn upload_part_bytes(mut self, bytes: usize) -> Self {
        self.upload_part_bytes = bytes.max(1);
        self
    }

    /// Sets the length of a log in an object store at which another one is begun. Each logged write puts all
    /// of its log again. Default: 1 MiB.
    #[must_use]
    pub fn log_bytes(mut self, bytes: u64) -> Self {
        self.log_bytes = bytes;
        self
    }

    /// Sets a function that a thread calls about every 50 ms while it waits for a read, an opening or a
    /// listing, and that can end it by returning an error, for example after a signal. Not called while files
    /// are changed, because the outcome would be unknown. Default: none.
    #[must_use]
    pub fn while_reading(mut self, check: impl Fn() -> io::Result<()> + Send + Sync + 'static) -> Self {
        self.while_reading = Some(Check(Arc::new(check)));
        self
    }

    /// Adds a setting by its name: those of S3 begin with `aws_` and have the names of `object_store`
    /// (`aws_endpoint`, `aws_access_key_id`), those of Hadoop begin with `dfs.`, `fs.`, `hadoop.` or `ipc.`.
    /// They take precedence over the environment and Hadoop's files. The failover proxy provider has no
    /// effect: the active name node is asked. An unknown name is an error when the first file of its kind is
    /// opened; so is a setting of metadata services, which are never asked.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// Starts the threads of a storage. Connects to nothing.
    ///
    /// # Errors
    ///
    /// If a thread cannot be started, or a setting is of an unknown kind.
    pub fn build(self) -> io::Result<RemoteStorage> {
        const KNOWN: [&str; 5] = ["aws_", "dfs.", "fs.", "hadoop.", "ipc."];
        let unknown = self.settings.iter().find(|(name, _)| !KNOWN.iter().any(|kind| name.starts_with(kind)));
        if let Some((name, _)) = unknown {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("unknown setting {name}")));
        }
        RemoteStorage::new(self)
    }

    /// Returns the settings whose names begin with one of `kinds`.
    #[cfg(any(feature = "aws", feature = "hdfs"))]
    pub(crate) fn settings_of<'s>(
        &'s self,
        kinds: &'s [&str],
    ) -> impl Iterator<Item = (&'s str, &'s str)> + 's {
        let settings = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        settings.filter(move |(name, _)| kinds.iter().any(|kind| name.starts_with(kind)))
    }
}

/// Values of settings may be credentials, and are left out.
impl fmt::Debug for RemoteOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.settings.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("RemoteOptions")
            .field("tail_bytes", &self.tail_bytes)
            .field("read_ahead_bytes", &self.read_ahead_bytes)
            .field("deadline", &self.deadline)
            .field("settings", &names)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_and_not_shown() {
        let options = RemoteOptions::default().setting("aws_secret_access_key", "hidden");
        assert!(!format!("{options:?}").contains("hidden"));
        assert!(format!("{options:?}").contains("aws_secret_access_key"));
        assert!(options.setting("color", "red").build().unwrap_err().to_string().contains("color"));
    }
}
