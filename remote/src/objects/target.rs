//! A bucket as a target for writes.

use super::changes::ObjectFiles;
use super::lock;
use super::writer::{ObjectLog, ObjectWriter};
use crate::target::{Target, TargetPath};
use hregion::FileLock;
use hregion::io::{FileWriter, LogFile};
use std::io;
use std::sync::Arc;

impl Target for ObjectFiles {
    fn create(self: Arc<Self>, file: TargetPath<'_>, replaces: bool) -> io::Result<Box<dyn FileWriter>> {
        Ok(Box::new(ObjectWriter::create(self, file, replaces)?))
    }

    fn create_log(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(ObjectLog::create(self, file)?))
    }

    fn rename(self: Arc<Self>, _: TargetPath<'_>, _: &str, _: bool) -> io::Result<()> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "object stores have no renames: renaming is refused"))
    }

    fn remove(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<()> {
        let key = file.key.to_owned();
        file.shared.blocking.run(async move { self.delete(&key).await })
    }

    /// Fails if there are objects in the directory. Removes the one that marks it, if any.
    fn remove_dir(self: Arc<Self>, dir: TargetPath<'_>) -> io::Result<()> {
        let key = dir.key.to_owned();
        dir.shared.blocking.run(async move { self.delete_dir(&key).await })
    }

    /// Fails if there is no such object. Objects are durable.
    fn sync_file(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<()> {
        let key = file.key.to_owned();
        file.shared.blocking.run(async move { self.find_existing(&key).await.map(drop) })
    }

    /// Sends no request: acknowledged changes are durable.
    fn sync_dir(self: Arc<Self>, _: TargetPath<'_>) -> io::Result<()> {
        self.check_doubt()
    }

    /// Sends no request: there are no directories.
    fn create_dir_all(self: Arc<Self>, _: TargetPath<'_>) -> io::Result<()> {
        self.check_doubt()
    }

    fn end_writing(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<()> {
        let key = file.key.to_owned();
        file.shared.blocking.run(async move { lock::end_writing(&self, &key).await })
    }

    fn lock(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<FileLock> {
        let (key, shared) = (file.key.to_owned(), Arc::clone(file.shared));
        file.shared
            .blocking
            .run(async move { lock::take(&self, key, shared).await })
            .map(|lock| FileLock::with_release(lock, lock::ObjectLock::check, lock::ObjectLock::release))
    }
}
