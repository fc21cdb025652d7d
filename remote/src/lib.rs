//! Reads and writes HBase's files in place, in S3 and HDFS, and reads them on web servers.
//!
//! [`RemoteStorage`] is a [`Storage`](hregion::Storage) of the crate `hregion`, whose paths are URLs:
//! `s3://bucket/hbase/data/default/t`. Pass it to
//! [`RegionOptions::storage`](hregion::RegionOptions::storage), or pass a file of it to
//! [`HFileOptions::open_reader`](hregion::HFileOptions::open_reader).
//!
//! | URL | storage | feature |
//! |---|---|---|
//! | `s3://BUCKET/KEY`, `s3a://` | Amazon S3, and compatible stores | `aws` |
//! | `http://HOST:PORT/PATH`, `https://` | a web server with ranges; directories need WebDAV | `http` |
//! | `hdfs://NAMESERVICE/PATH` | HDFS, with SIMPLE or Kerberos authentication | `hdfs` |
//!
//! All calls block the calling thread. The requests themselves run on a small tokio runtime of the storage,
//! so that any thread may call, including one of another runtime: it is blocked as by a read of a local
//! file, for at most [`RemoteOptions::deadline`] a request. A server within that same runtime would wait in
//! vain for its thread; use `spawn_blocking`. A process that was forked has no threads of the runtime: calls
//! fail there with [`ErrorKind::Unsupported`](std::io::ErrorKind::Unsupported), and it makes another storage.
//!
//! Web servers can only be read: each call that writes there fails with
//! [`ErrorKind::Unsupported`](std::io::ErrorKind::Unsupported).
//!
//! # Writing to S3
//!
//! Regions and tables in S3 can be opened for writing if all of their families have the store file tracker
//! FILE (`hbase.store.file-tracker.impl`). They can be created, written, flushed, compacted, split, merged,
//! altered, truncated, deleted, and given files by bulk loads, which copy them; snapshots are taken, cloned,
//! restored and exported, and logs of servers are recovered. The store must support conditional puts;
//! otherwise, the first call that writes fails.
//!
//! A logged write is acknowledged when an object with its log is in the store, and the region's lock was held
//! after that. Each append puts the whole log again, up to [`RemoteOptions::log_bytes`]. The lock is an
//! object that never expires: if a process has died, and that is certain,
//! [`end_writing`](hregion::Storage::end_writing) of the lock file frees its lock. A process that was wrongly
//! assumed to be dead can neither change the files nor acknowledge a write.
//!
//! # Writing to HDFS
//!
//! Regions and tables in HDFS can be opened for writing. A logged write is acknowledged when the data nodes
//! have it on disk. A region is locked by the lease of its lock file: it can be opened again 60 seconds after
//! the end of a process that did not close it. If that process is certain to be dead,
//! [`end_writing`](hregion::Storage::end_writing) of the lock file ends its lease at once.
//!
//! If a change gets no response, the storage checks whether it was made, with another name node if one has
//! become silent. If that gets no response either, it makes no more changes: create another storage, and open
//! the region again.
//!
//! # Versions of a file
//!
//! An open file is one version, identified by its length and ETag, or else the time of its last change. If
//! the object was replaced since it was opened, reads fail; they never return bytes of two versions.
//!
//! # Credentials
//!
//! The credentials of S3 are given in the environment or by [`RemoteOptions::setting`], and never in a URL:
//! `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` (also `AWS_SESSION_TOKEN`), or
//! `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`, or `AWS_SKIP_SIGNATURE=true` for a public bucket. If
//! none are given, each call fails with an error, without a request: profiles are not read, and the metadata
//! services of machines and containers are never asked. No HTTP request goes to a link-local address, not
//! even if a server redirects there, and none to S3 follows a redirect to another host, which would get the
//! session token or the key of an encryption, or one after which another request would be sent (301, 302,
//! 303). HDFS is configured by the files of `HADOOP_CONF_DIR`. An authority of a URL that is not a name
//! service there is the host of a name node, with the port 8020 if none is given.

#![cfg_attr(not(any(feature = "objects", feature = "hdfs")), allow(dead_code, reason = "nothing is read"))]

mod blocking;
#[cfg(feature = "objects")]
mod counted_http;
#[cfg(any(feature = "aws", feature = "hdfs"))]
mod doubt;
mod file;
#[cfg(feature = "hdfs")]
mod hdfs;
#[cfg(feature = "objects")]
mod http_client;
mod location;
#[cfg(any(feature = "aws", feature = "hdfs"))]
mod locks;
#[cfg(any(feature = "aws", feature = "hdfs"))]
mod moment;
#[cfg(feature = "objects")]
mod object_errors;
#[cfg(feature = "objects")]
mod objects;
mod options;
mod read_ahead;
#[cfg(feature = "aws")]
mod s3;
mod source;
mod stats;
mod storage;
mod target;

pub use location::{check_url, is_url};
pub use options::RemoteOptions;
pub use stats::RemoteStats;
pub use storage::RemoteStorage;
