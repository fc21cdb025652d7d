//! A target of files: a bucket, or a name service of HDFS.

use crate::storage::Shared;
use hregion::FileLock;
use hregion::io::{FileWriter, LogFile};
use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// The path and key of a file, and the storage that it is of.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(any(feature = "aws", feature = "hdfs")), allow(dead_code, reason = "nothing is written"))]
pub(crate) struct TargetPath<'p> {
    pub(crate) path: &'p Path,
    pub(crate) key: &'p str,
    pub(crate) shared: &'p Arc<Shared>,
}

/// A bucket or name service to which files are written. The calls are those of [`Storage`](hregion::Storage).
pub(crate) trait Target: Send + Sync + fmt::Debug {
    /// Creates a file. `replaces` is whether a file of the name may exist.
    fn create(self: Arc<Self>, file: TargetPath<'_>, replaces: bool) -> io::Result<Box<dyn FileWriter>>;

    fn create_log(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<Box<dyn LogFile>>;

    /// `replaces` is whether a file of the new name may exist.
    fn rename(self: Arc<Self>, from: TargetPath<'_>, to: &str, replaces: bool) -> io::Result<()>;

    fn remove(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<()>;

    fn remove_dir(self: Arc<Self>, dir: TargetPath<'_>) -> io::Result<()>;

    fn sync_file(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<()>;

    fn sync_dir(self: Arc<Self>, dir: TargetPath<'_>) -> io::Result<()>;

    fn create_dir_all(self: Arc<Self>, dir: TargetPath<'_>) -> io::Result<()>;

    fn end_writing(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<()>;

    fn lock(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<FileLock>;
}
