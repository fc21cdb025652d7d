//! HDFS, accessed by a client in Rust.

mod active;
mod changes;
mod connector;
mod errors;
#[cfg(test)]
#[path = "../../tests/remote/fake_name_nodes.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod fake_name_nodes;
mod lock;
mod name_nodes;
mod properties;
mod relay;
mod target;
mod writer;

use crate::blocking::Blocking;
use crate::location::{Location, without_default_port};
use crate::options::RemoteOptions;
use crate::source::{Opened, Source, Status, Version, len_of, not_found, replaced, wrong_answer};
use crate::stats::Counters;
use crate::target::Target;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use changes::{HdfsFiles, path_of};
use connector::Connector;
use errors::io_error;
use futures_util::StreamExt;
use hdfs_native::HdfsError;
use hdfs_native::client::{Client, FileStatus};
use hdfs_native::file::FileReader;
use hregion::DirEntry;
use std::cmp::Ordering;
use std::env;
use std::fmt;
use std::future::Future;
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::time::timeout;

/// A name service, or the default file system.
struct HdfsSource {
    connector: Arc<Connector>,
    /// Replaced when a name node has not responded in time.
    client: Mutex<Client>,
    counters: Arc<Counters>,
    max_entries: usize,
}

impl fmt::Debug for HdfsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HdfsSource").finish_non_exhaustive()
    }
}

/// Makes the client of a name service, when one of its name nodes responds.
pub(crate) fn connect(
    location: &Location,
    options: &RemoteOptions,
    counters: Arc<Counters>,
    blocking: &Blocking,
) -> io::Result<(Arc<dyn Source>, Arc<dyn Target>)> {
    let patience = HdfsFiles::patience_of(options.deadline);
    let connector = Arc::new(Connector::new(location, options, patience, blocking.handle())?);
    let connecting = Arc::clone(&connector);
    let client = blocking.read(async move { connecting.connect().await })?;
    let files = HdfsFiles::new(Arc::clone(&connector), client.clone(), Arc::clone(&counters));
    let (client, max_entries) = (Mutex::new(client), options.listing_entries);
    Ok((Arc::new(HdfsSource { connector, client, counters, max_entries }), Arc::new(files)))
}

/// Returns the authority of the default file system: its name service, or its host and port; empty if that is
/// not HDFS.
///
/// # Errors
///
/// If a file of Hadoop's settings exists, but cannot be read.
pub(crate) fn default_authority(options: &RemoteOptions) -> io::Result<String> {
    let texts = active::texts(active::conf_dir(env::var)?.as_deref())?;
    let service = name_nodes::default_service(options, &texts);
    Ok(without_default_port(&service).to_owned())
}

impl HdfsSource {
    fn client(&self) -> Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes another client, which first asks the name nodes that currently respond.
    async fn reconnect(&self) -> io::Result<Client> {
        let client = self.connector.connect().await?;
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client.clone();
        Ok(client)
    }

    /// Asks the name node. If it does not respond in time, asks again with another client, because this one
    /// would wait for the same name node while the connection exists.
    async fn ask<T, F>(&self, ask: impl Fn(Client) -> F) -> io::Result<Result<T, HdfsError>>
    where
        F: Future<Output = Result<T, HdfsError>>,
    {
        self.counters.request();
        if let Ok(answer) = timeout(self.connector.patience(), ask(self.client())).await {
            return Ok(answer);
        }
        let client = self.reconnect().await?;
        self.counters.request();
        timeout(self.connector.patience(), ask(client)).await.map_err(|_| self.late())
    }

    fn late(&self) -> io::Error {
        self.connector.late(self.connector.patience())
    }

    async fn find(&self, key: &str) -> io::Result<Option<FileStatus>> {
        let path = &path_of(key);
        match self.ask(move |client| async move { client.get_file_info(path).await }).await? {
            Ok(status) => Ok(Some(status)),
            Err(HdfsError::FileNotFound(_)) => Ok(None),
            Err(error) => Err(io_error(error)),
        }
    }

    /// Opens a file for one read.
    async fn open_again(&self, key: &str) -> io::Result<FileReader> {
        let path = &path_of(key);
        let file = self.ask(move |client| async move { client.read(path).await }).await?;
        match file.map_err(io_error) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(removed()),
            file => file,
        }
    }

    async fn read_range(&self, file: &FileReader, range: Range<u64>) -> io::Result<Bytes> {
        let expected = len_of(&range)?;
        let start = usize::try_from(range.start).map_err(|_| io::ErrorKind::Unsupported)?;
        if range.end > file.file_length() as u64 {
            return Err(replaced());
        }
        self.counters.request();
        let mut stream = Box::pin(file.read_range_stream(start, expected));
        let mut bytes = BytesMut::new();
        while let Some(part) = stream.next().await {
            let part = part.map_err(io_error)?;
            self.counters.bytes(part.len());
            bytes.extend_from_slice(&part);
            if bytes.len() > expected {
                break;
            }
        }
        if bytes.len() == expected {
            return Ok(bytes.freeze());
        }
        Err(wrong_answer(format!("{} bytes, expected {expected}", bytes.len())))
    }

    /// Lists a directory; `None` if a name node has not answered in time.
    async fn entries(&self, client: &Client, key: &str) -> io::Result<Option<Vec<DirEntry>>> {
        self.counters.request();
        let listing = client.list_status_iter(&path_of(key), false);
        let mut entries = Vec::new();
        loop {
            let Ok(status) = timeout(self.connector.patience(), listing.next()).await else {
                return Ok(None);
            };
            let Some(status) = status else { return Ok(Some(entries)) };
            let status = status.map_err(io_error)?;
            if entries.len() >= self.max_entries {
                return Err(wrong_answer(format!("over {} entries in a directory", self.max_entries)));
            }
            let name = status.path.rsplit('/').next().unwrap_or_default();
            // The listing of a file has the file itself.
            if !status.isdir && status.path.trim_matches('/').len() <= key.len() {
                return Err(io::ErrorKind::NotADirectory.into());
            }
            entries.push(DirEntry {
                name: name.into(),
                len: status.length as u64,
                is_dir: status.isdir,
                is_symlink: false,
                modified_millis: version_of(&status).modified_millis,
            });
        }
    }
}

#[async_trait]
impl Source for HdfsSource {
    async fn open(&self, key: &str, tail: u64) -> io::Result<Opened> {
        let status = self.find(key).await?;
        let status = status.ok_or_else(not_found)?;
        if status.isdir {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "a directory"));
        }
        let version = version_of(&status);
        let len = version.len;
        if len == 0 {
            return Ok(Opened { version, tail: Bytes::new() });
        }
        let tail = self.read(key, &version, len.saturating_sub(tail)..len).await?;
        Ok(Opened { version, tail })
    }

    async fn read(&self, key: &str, version: &Version, range: Range<u64>) -> io::Result<Bytes> {
        let file = self.open_again(key).await?;
        let bytes = match (file.file_length() as u64).cmp(&version.len) {
            Ordering::Equal => Ok(self.read_range(&file, range).await?),
            // Only complete blocks are listed, but the length includes one being written.
            Ordering::Less => Err(io::Error::new(io::ErrorKind::ResourceBusy, BEING_WRITTEN)),
            Ordering::Greater => Err(replaced()),
        };
        // The blocks belonged to the path at some time between the two lookups of its status.
        match self.find(key).await? {
            Some(status) if version_of(&status) == *version => bytes,
            Some(_) => Err(replaced()),
            None => Err(removed()),
        }
    }

    async fn list(&self, key: &str) -> io::Result<Vec<DirEntry>> {
        if let Some(entries) = self.entries(&self.client(), key).await? {
            return Ok(entries);
        }
        let client = self.reconnect().await?;
        self.entries(&client, key).await?.ok_or_else(|| self.late())
    }

    async fn status(&self, key: &str) -> io::Result<Option<Status>> {
        let status = self.find(key).await?;
        Ok(status.map(|status| Status {
            is_dir: status.isdir,
            len: status.length as u64,
            modified_millis: version_of(&status).modified_millis,
        }))
    }

    async fn is_dir(&self, key: &str) -> io::Result<bool> {
        Ok(self.find(key).await?.is_some_and(|status| status.isdir))
    }
}

const BEING_WRITTEN: &str = "another client is writing the file: its end cannot be read yet";

fn version_of(status: &FileStatus) -> Version {
    let modified_millis = i64::try_from(status.modification_time).unwrap_or(i64::MAX);
    Version { len: status.length as u64, e_tag: None, modified_millis }
}

fn removed() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the file was removed after it was opened")
}
