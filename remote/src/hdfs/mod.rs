//! HDFS, by a client in Rust.

mod active;
mod changes;
mod errors;
mod lock;
mod name_nodes;
mod target;
mod writer;

use crate::blocking::Blocking;
use crate::location::Location;
use crate::options::RemoteOptions;
use crate::source::{Opened, Source, Status, Version, len_of, not_found, replaced, wrong_answer};
use crate::stats::Counters;
use crate::target::Target;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use changes::HdfsFiles;
use errors::io_error;
use futures_util::StreamExt;
use hdfs_native::HdfsError;
use hdfs_native::client::{Client, ClientBuilder, FileStatus};
use hdfs_native::file::FileReader;
use hregion::DirEntry;
use name_nodes::NameNodes;
use std::fmt;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// A name service, or the default file system.
struct HdfsSource {
    client: Client,
    counters: Arc<Counters>,
    max_entries: usize,
}

impl fmt::Debug for HdfsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HdfsSource").finish_non_exhaustive()
    }
}

/// Makes the client of a name service, once one of its name nodes answers. The connections run on the runtime
/// of `blocking`: by default they would on the one of the calling thread, which that thread blocks, or which
/// may end before the client.
pub(crate) fn connect(
    location: &Location,
    options: &RemoteOptions,
    counters: Arc<Counters>,
    blocking: &Blocking,
) -> io::Result<(Arc<dyn Source>, Arc<dyn Target>)> {
    let mut settings = active::settings(location, options)?;
    let name_nodes = NameNodes::of(location, options)?;
    settings.extend(blocking.read(name_nodes.silent_ones_last(options.connect_timeout))?);
    let mut builder = ClientBuilder::new().with_config(settings).with_io_runtime(blocking.handle());
    if !location.authority.is_empty() {
        builder = builder.with_url(format!("hdfs://{}", location.authority));
    }
    let client = builder.build().map_err(io_error)?;
    let files = Arc::new(HdfsFiles::new(client.clone(), Arc::clone(&counters), options.deadline));
    Ok((Arc::new(HdfsSource { client, counters, max_entries: options.listing_entries }), files))
}

impl HdfsSource {
    async fn find(&self, key: &str) -> io::Result<Option<FileStatus>> {
        self.counters.request();
        match self.client.get_file_info(&format!("/{key}")).await {
            Ok(status) => Ok(Some(status)),
            Err(HdfsError::FileNotFound(_)) => Ok(None),
            Err(error) => Err(io_error(error)),
        }
    }

    /// Opens a file for one read, and fails if it is not the one expected.
    async fn open_again(&self, key: &str, len: u64) -> io::Result<FileReader> {
        self.counters.request();
        let file = match self.client.read(&format!("/{key}")).await.map_err(io_error) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(removed()),
            file => file?,
        };
        match file.file_length() as u64 {
            found if found == len => Ok(file),
            // The blocks are those that are complete; the length is also that of one being written.
            found if found < len => Err(io::Error::new(replaced().kind(), BEING_WRITTEN)),
            _ => Err(replaced()),
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
        let file = self.open_again(key, version.len).await?;
        let bytes = self.read_range(&file, range).await?;
        // The blocks were those of the path at some time between the two look-ups of its status.
        match self.find(key).await? {
            Some(status) if version_of(&status) == *version => Ok(bytes),
            Some(_) => Err(replaced()),
            None => Err(removed()),
        }
    }

    async fn list(&self, key: &str) -> io::Result<Vec<DirEntry>> {
        self.counters.request();
        let listing = self.client.list_status_iter(&format!("/{key}"), false);
        let mut entries = Vec::new();
        while let Some(status) = listing.next().await {
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
        Ok(entries)
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

const BEING_WRITTEN: &str =
    "the file was replaced after it was opened, or is being written: its end cannot be read yet";

fn version_of(status: &FileStatus) -> Version {
    let modified_millis = i64::try_from(status.modification_time).unwrap_or(i64::MAX);
    Version { len: status.length as u64, e_tag: None, modified_millis }
}

fn removed() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the file was removed after it was opened")
}
