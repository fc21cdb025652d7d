//! Object stores and web servers.

#[cfg(feature = "aws")]
mod changes;
#[cfg(feature = "aws")]
mod lock;
#[cfg(feature = "aws")]
mod target;
#[cfg(feature = "aws")]
mod upload;
#[cfg(feature = "aws")]
mod writer;

use crate::counted_http::{CountingConnector, OfDirectory};
use crate::location::{Location, Scheme};
use crate::object_errors::{io_error, is_range_refused};
use crate::options::RemoteOptions;
use crate::source::{Opened, Source, Status, Version, len_of, not_found, replaced, wrong_answer};
use crate::stats::Counters;
use crate::target::Target;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use hregion::DirEntry;
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::path::Path as Key;
use object_store::{
    BackoffConfig, GetOptions, GetRange, GetResult, ListResult, ObjectMeta, ObjectStore, ObjectStoreExt,
    RetryConfig,
};
use std::collections::BTreeMap;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// A bucket or a web server.
#[derive(Debug)]
struct ObjectSource {
    store: Arc<dyn ObjectStore>,
    pages: Option<Pages>,
    max_entries: usize,
}

/// The interface of a store that lists page by page.
struct Pages(Arc<dyn PaginatedListStore>);

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pages")
    }
}

/// The source and the target of files.
type Ends = (Arc<dyn Source>, Option<Arc<dyn Target>>);

/// Connects to the store of a location. There is no target if its files can only be read.
pub(crate) fn connect(
    location: &Location,
    options: &RemoteOptions,
    counters: Arc<Counters>,
) -> io::Result<Ends> {
    // A provider that the process has chosen stays.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let connector = || CountingConnector::new(options, location.scheme == Scheme::S3, Arc::clone(&counters));
    let backoff =
        BackoffConfig { init_backoff: options.first_backoff, max_backoff: options.max_backoff, base: 2.0 };
    let retry = RetryConfig { backoff, max_retries: options.retries, retry_timeout: options.deadline };
    let fault = |error| io_error(&error);
    match location.scheme {
        #[cfg(feature = "aws")]
        Scheme::S3 => {
            let builder = crate::s3::builder(options, std::env::vars_os())?;
            // Requests to remove several objects are not known to all stores.
            let builder = builder.with_bucket_name(&location.authority).with_disable_bulk_delete(true);
            let without_retries = RetryConfig { max_retries: 0, ..retry.clone() };
            let once = builder.clone().with_retry(without_retries).with_http_connector(connector());
            let once = once.build().map_err(fault)?;
            let builder = builder.with_retry(retry).with_http_connector(connector());
            let store = Arc::new(builder.build().map_err(fault)?);
            let settings = changes::WriteSettings {
                retries: options.retries,
                first_backoff: options.first_backoff,
                max_backoff: options.max_backoff,
                part_bytes: options.upload_part_bytes,
                log_bytes: options.log_bytes,
            };
            let files = changes::ObjectFiles::new(Arc::clone(&store), once, settings);
            let pages = Some(Pages(Arc::clone(&store) as Arc<dyn PaginatedListStore>));
            let source = ObjectSource { store, pages, max_entries: options.listing_entries };
            Ok((Arc::new(source), Some(Arc::new(files))))
        }
        #[cfg(feature = "http")]
        Scheme::Http | Scheme::Https => {
            use object_store::ClientConfigKey;
            use object_store::http::HttpBuilder;
            let is_plain = location.scheme == Scheme::Http;
            let scheme = if is_plain { "http" } else { "https" };
            let builder = HttpBuilder::new()
                .with_url(format!("{scheme}://{}", location.authority))
                .with_config(ClientConfigKey::AllowHttp, is_plain.to_string())
                .with_retry(retry);
            let store = Arc::new(builder.with_http_connector(connector()).build().map_err(fault)?);
            let source = ObjectSource { store, pages: None, max_entries: options.listing_entries };
            Ok((Arc::new(source), None))
        }
        #[allow(unreachable_patterns, reason = "depends on the features")]
        _ => Err(io::Error::new(io::ErrorKind::Unsupported, "not built in")),
    }
}

impl ObjectSource {
    /// Returns the entries below a prefix, except the prefix itself; `None` if neither exists.
    async fn entries(&self, key: &str) -> io::Result<Option<Vec<DirEntry>>> {
        let mut listing = Listing::new(key, self.max_entries);
        let Some(Pages(pages)) = &self.pages else {
            let prefix = Key::parse(key).map_err(|error| io_error(&error.into()))?;
            let listed = self.store.list_with_delimiter(Some(&prefix)).await;
            return match listed.map_err(|error| io_error(&error)) {
                Ok(page) => {
                    listing.exists |= page.extensions.get::<OfDirectory>().is_some();
                    listing.add(page)?;
                    Ok(listing.finish()?)
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            };
        };
        let mut options = PaginatedListOptions { delimiter: Some("/".into()), ..Default::default() };
        loop {
            let page = page_of(pages.as_ref(), key, options.clone()).await?;
            listing.add(page.result)?;
            options.page_token = page.page_token;
            if options.page_token.is_none() {
                return listing.finish();
            }
        }
    }

    async fn head(&self, key: &str) -> io::Result<Option<ObjectMeta>> {
        match self.store.head(&parse(key)?).await.map_err(|error| io_error(&error)) {
            Ok(meta) => Ok(Some(meta)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Opens a file that may be empty: its length, and then its end.
    async fn open_by_head(&self, key: &str, tail: u64) -> io::Result<Opened> {
        let meta = self.head(key).await?;
        let meta = meta.ok_or_else(not_found)?;
        let version = version_of(&meta);
        if meta.size == 0 {
            return Ok(Opened { version, tail: Bytes::new() });
        }
        if tail < meta.size {
            check_distinct(&version)?;
        }
        let tail = self.read(key, &version, meta.size.saturating_sub(tail)..meta.size).await?;
        Ok(Opened { version, tail })
    }
}

#[async_trait]
impl Source for ObjectSource {
    async fn open(&self, key: &str, tail: u64) -> io::Result<Opened> {
        let options = GetOptions { range: Some(GetRange::Suffix(tail)), ..Default::default() };
        let result = match self.store.get_opts(&parse(key)?, options).await {
            Ok(result) => result,
            Err(error) if is_range_refused(&error) => return self.open_by_head(key, tail).await,
            Err(error) => return Err(io_error(&error)),
        };
        let version = version_of(&result.meta);
        let expected = version.len.min(tail);
        if expected < version.len {
            check_distinct(&version)?;
        }
        let tail = collect(result, usize::try_from(expected).unwrap_or(usize::MAX)).await?;
        Ok(Opened { version, tail })
    }

    async fn read(&self, key: &str, version: &Version, range: Range<u64>) -> io::Result<Bytes> {
        let expected = len_of(&range)?;
        // A weak tag matches nothing; it is compared instead.
        let if_match = version.e_tag.clone().filter(|tag| !tag.starts_with("W/"));
        let options = GetOptions { range: Some(GetRange::Bounded(range)), if_match, ..Default::default() };
        let result = self.store.get_opts(&parse(key)?, options).await;
        let result = match result.map_err(|error| io_error(&error)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(io::Error::new(error.kind(), "the file was removed after it was opened"));
            }
            result => result?,
        };
        if version_of(&result.meta) != *version {
            return Err(replaced());
        }
        collect(result, expected).await
    }

    async fn list(&self, key: &str) -> io::Result<Vec<DirEntry>> {
        let entries = self.entries(key).await?;
        entries.ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such directory"))
    }

    async fn status(&self, key: &str) -> io::Result<Option<Status>> {
        let found = if key.is_empty() { Ok(None) } else { self.head(key).await };
        let found = found.map(|meta| meta.map(|meta| version_of(&meta)));
        // A web server may refuse to return a directory, or return a page about it, which has no version.
        let is_certain = match &found {
            Ok(Some(version)) => self.pages.is_some() || check_distinct(version).is_ok(),
            Ok(None) => false,
            Err(_) => self.pages.is_some(),
        };
        let file = |Version { len, modified_millis, .. }| Status { is_dir: false, len, modified_millis };
        if is_certain {
            return Ok(found?.map(file));
        }
        match (self.is_dir(key).await, found) {
            (Ok(true), _) => Ok(Some(Status { is_dir: true, len: 0, modified_millis: 0 })),
            (is_dir, Ok(None)) => is_dir.map(|_| None),
            (_, found) => Ok(found?.map(file)),
        }
    }

    async fn is_dir(&self, key: &str) -> io::Result<bool> {
        let Some(Pages(pages)) = &self.pages else {
            return match self.entries(key).await {
                // A server that does not list has files only.
                Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(false),
                entries => Ok(entries?.is_some()),
            };
        };
        let mut options = PaginatedListOptions { max_keys: Some(1), ..Default::default() };
        loop {
            let page = page_of(pages.as_ref(), key, options.clone()).await?;
            if !page.result.objects.is_empty() || !page.result.common_prefixes.is_empty() {
                return Ok(true);
            }
            // A page may be empty though more follow.
            options.page_token = page.page_token;
            if options.page_token.is_none() {
                return Ok(false);
            }
        }
    }
}

/// The entries of one directory.
struct Listing<'k> {
    key: &'k str,
    max: usize,
    exists: bool,
    /// The flag distinguishes files and directories of one name.
    entries: BTreeMap<(String, bool), DirEntry>,
}

impl<'k> Listing<'k> {
    fn new(key: &'k str, max: usize) -> Self {
        Self { key, max, exists: key.is_empty(), entries: BTreeMap::new() }
    }

    fn add(&mut self, page: ListResult) -> io::Result<()> {
        for meta in page.objects {
            self.insert(&meta.location, false, meta.size, meta.last_modified.timestamp_millis())?;
        }
        for dir in page.common_prefixes {
            self.insert(&dir, true, 0, 0)?;
        }
        Ok(())
    }

    fn insert(&mut self, location: &Key, is_dir: bool, len: u64, modified_millis: i64) -> io::Result<()> {
        let path = location.as_ref();
        let below = match self.key {
            "" => Some(path),
            key if path == key => Some(""),
            key => path.strip_prefix(key).and_then(|rest| rest.strip_prefix('/')),
        };
        let name = below.filter(|name| !name.contains('/'));
        let name = name.ok_or_else(|| wrong_answer("a listing of another directory".into()))?;
        self.exists = true;
        // An object with the name of the directory marks it.
        if name.is_empty() {
            return Ok(());
        }
        if self.entries.len() >= self.max {
            return Err(wrong_answer(format!("over {} entries in a directory", self.max)));
        }
        let entry = DirEntry { name: name.into(), len, is_dir, is_symlink: false, modified_millis };
        self.entries.insert((name.to_owned(), is_dir), entry);
        Ok(())
    }

    /// Returns the entries. An empty object with the name of a directory marks the directory.
    fn finish(self) -> io::Result<Option<Vec<DirEntry>>> {
        let mut entries: Vec<DirEntry> = Vec::with_capacity(self.entries.len());
        for ((name, is_dir), entry) in self.entries {
            if is_dir && entries.last().is_some_and(|last| last.name == entry.name) {
                let file = entries.pop();
                if file.is_some_and(|file| file.len > 0) {
                    return Err(wrong_answer(format!("{name} is both a file and a directory")));
                }
            }
            entries.push(entry);
        }
        Ok(self.exists.then_some(entries))
    }
}

/// Returns a page of the entries below a key. Fails if the next page is this one.
async fn page_of(
    pages: &dyn PaginatedListStore,
    key: &str,
    options: PaginatedListOptions,
) -> io::Result<PaginatedListResult> {
    let (prefix, asked) = (prefix_of(key), options.page_token.clone());
    let prefix = Some(prefix.as_str()).filter(|prefix| !prefix.is_empty());
    let mut page = pages.list_paginated(prefix, options).await.map_err(|error| io_error(&error))?;
    // Some stores end a listing with an empty token.
    page.page_token = page.page_token.filter(|token| !token.is_empty());
    if page.page_token.is_some() && page.page_token == asked {
        return Err(wrong_answer("a listing that repeats a page".into()));
    }
    Ok(page)
}

/// Returns the prefix of the keys in a directory.
fn prefix_of(key: &str) -> String {
    if key.is_empty() { String::new() } else { format!("{key}/") }
}

fn parse(key: &str) -> io::Result<Key> {
    Key::parse(key).map_err(|error| io_error(&error.into()))
}

fn version_of(meta: &ObjectMeta) -> Version {
    Version {
        len: meta.size,
        e_tag: meta.e_tag.clone(),
        modified_millis: meta.last_modified.timestamp_millis(),
    }
}

/// Fails if a version cannot be distinguished from others.
fn check_distinct(version: &Version) -> io::Result<()> {
    if version.e_tag.is_some() || version.modified_millis != 0 {
        return Ok(());
    }
    let message = "the server gives neither ETag nor Last-Modified: a replaced file would not be noticed";
    Err(io::Error::new(io::ErrorKind::Unsupported, message))
}

/// Returns the body, which must have the expected length.
async fn collect(result: GetResult, expected: usize) -> io::Result<Bytes> {
    let mut stream = result.into_stream();
    let mut bytes = BytesMut::new();
    while let Some(part) = stream.next().await {
        let part = part.map_err(|error| io_error(&error))?;
        if part.len() > expected - bytes.len() {
            return Err(wrong_answer(format!("a body of more than {expected} bytes")));
        }
        bytes.extend_from_slice(&part);
    }
    if bytes.len() < expected {
        return Err(wrong_answer(format!("a body of {} bytes, expected {expected}", bytes.len())));
    }
    Ok(bytes.freeze())
}
