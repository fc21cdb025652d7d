//! Files of HDFS as a target for writes.

use super::changes::HdfsFiles;
use super::lock;
use super::writer::{HdfsLog, HdfsWriter};
use crate::target::{Target, TargetPath};
use hregion::FileLock;
use hregion::io::{FileWriter, LogFile};
use std::io;
use std::sync::Arc;

impl Target for HdfsFiles {
    fn create(self: Arc<Self>, file: TargetPath<'_>, replaces: bool) -> io::Result<Box<dyn FileWriter>> {
        Ok(Box::new(HdfsWriter::create(self, file, replaces)?))
    }

    fn create_log(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(HdfsLog::create(self, file)?))
    }

    fn rename(self: Arc<Self>, from: TargetPath<'_>, to: &str, replaces: bool) -> io::Result<()> {
        let (key, to) = (from.key.to_owned(), to.to_owned());
        from.shared.blocking.run(async move { self.move_file(&key, &to, replaces).await })
    }

    fn remove(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<()> {
        let key = file.key.to_owned();
        file.shared.blocking.run(async move { self.delete_file(&key).await })
    }

    fn remove_dir(self: Arc<Self>, dir: TargetPath<'_>) -> io::Result<()> {
        let key = dir.key.to_owned();
        dir.shared.blocking.run(async move { self.delete_dir(&key).await })
    }

    /// Fails if there is no such file. Otherwise there is nothing to do: the data nodes made the bytes of a
    /// closed file durable when it was closed.
    fn sync_file(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<()> {
        let key = file.key.to_owned();
        file.shared.blocking.run(async move { self.find_existing(&key).await.map(drop) })
    }

    /// Returns immediately: the name node writes its journal before it responds.
    fn sync_dir(self: Arc<Self>, _: TargetPath<'_>) -> io::Result<()> {
        Ok(())
    }

    fn create_dir_all(self: Arc<Self>, dir: TargetPath<'_>) -> io::Result<()> {
        let key = dir.key.to_owned();
        dir.shared.blocking.run(async move { self.make_dirs(&key).await })
    }

    fn end_writing(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<()> {
        let key = file.key.to_owned();
        file.shared.blocking.run(async move { self.recover_lease(&key).await })
    }

    fn lock(self: Arc<Self>, file: TargetPath<'_>) -> io::Result<FileLock> {
        let (key, shared) = (file.key.to_owned(), Arc::clone(file.shared));
        file.shared
            .blocking
            .run(async move { lock::take(&self, key, shared).await })
            .map(|lock| FileLock::with_check(lock, lock::HdfsLock::check))
    }
}
