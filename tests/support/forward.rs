//! Storages and logs that change some calls of another.

/// Forwards calls of a `Storage`, or of a `LogFile`, to the one in a field, as in `forward!(files: open
/// rename)`. `optional` forwards the methods of a `Storage` that have a default, except `hard_link`.
macro_rules! forward {
    ($inner:ident: $($call:ident)+) => {
        $(forward!(@$call $inner);)+
    };
    (@optional $inner:ident) => {
        forward!($inner: create_scratch can_rename rename_new end_writing can_hide_writes full_path);
        forward!($inner: can_read_removed);
    };
    (@create_scratch $inner:ident) => {
        fn create_scratch(
            &self,
            path: &std::path::Path,
            len: u64,
        ) -> std::io::Result<std::sync::Arc<dyn hregion::io::ScratchFile>> {
            self.$inner.create_scratch(path, len)
        }
    };
    (@can_rename $inner:ident) => {
        fn can_rename(&self, path: &std::path::Path) -> bool {
            self.$inner.can_rename(path)
        }
    };
    (@rename_new $inner:ident) => {
        fn rename_new(&self, from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
            self.$inner.rename_new(from, to)
        }
    };
    (@end_writing $inner:ident) => {
        fn end_writing(&self, path: &std::path::Path) -> std::io::Result<()> {
            self.$inner.end_writing(path)
        }
    };
    (@can_hide_writes $inner:ident) => {
        fn can_hide_writes(&self, path: &std::path::Path) -> bool {
            self.$inner.can_hide_writes(path)
        }
    };
    (@full_path $inner:ident) => {
        fn full_path(
            &self,
            path: &std::path::Path,
            follow_links: bool,
        ) -> std::io::Result<std::path::PathBuf> {
            self.$inner.full_path(path, follow_links)
        }
    };
    (@can_read_removed $inner:ident) => {
        fn can_read_removed(&self) -> bool {
            self.$inner.can_read_removed()
        }
    };
    (@open $inner:ident) => {
        fn open(
            &self,
            path: &std::path::Path,
        ) -> std::io::Result<std::sync::Arc<dyn hregion::io::FileReader>> {
            self.$inner.open(path)
        }
    };
    (@create $inner:ident) => {
        fn create(&self, path: &std::path::Path) -> std::io::Result<Box<dyn hregion::io::FileWriter>> {
            self.$inner.create(path)
        }
    };
    (@create_new $inner:ident) => {
        fn create_new(&self, path: &std::path::Path) -> std::io::Result<Box<dyn hregion::io::FileWriter>> {
            self.$inner.create_new(path)
        }
    };
    (@create_log $inner:ident) => {
        fn create_log(&self, path: &std::path::Path) -> std::io::Result<Box<dyn hregion::io::LogFile>> {
            self.$inner.create_log(path)
        }
    };
    (@rename $inner:ident) => {
        fn rename(&self, from: &std::path::Path, to: &std::path::Path) -> std::io::Result<()> {
            self.$inner.rename(from, to)
        }
    };
    (@hard_link $inner:ident) => {
        fn hard_link(&self, original: &std::path::Path, link: &std::path::Path) -> std::io::Result<()> {
            self.$inner.hard_link(original, link)
        }
    };
    (@remove $inner:ident) => {
        fn remove(&self, path: &std::path::Path) -> std::io::Result<()> {
            self.$inner.remove(path)
        }
    };
    (@remove_dir $inner:ident) => {
        fn remove_dir(&self, path: &std::path::Path) -> std::io::Result<()> {
            self.$inner.remove_dir(path)
        }
    };
    (@sync_file $inner:ident) => {
        fn sync_file(&self, path: &std::path::Path) -> std::io::Result<()> {
            self.$inner.sync_file(path)
        }
    };
    (@sync_dir $inner:ident) => {
        fn sync_dir(&self, path: &std::path::Path) -> std::io::Result<()> {
            self.$inner.sync_dir(path)
        }
    };
    (@list_dir $inner:ident) => {
        fn list_dir(&self, path: &std::path::Path) -> std::io::Result<Vec<hregion::io::DirEntry>> {
            self.$inner.list_dir(path)
        }
    };
    (@create_dir_all $inner:ident) => {
        fn create_dir_all(&self, path: &std::path::Path) -> std::io::Result<()> {
            self.$inner.create_dir_all(path)
        }
    };
    (@lock $inner:ident) => {
        fn lock(&self, path: &std::path::Path) -> std::io::Result<hregion::io::FileLock> {
            self.$inner.lock(path)
        }
    };
    (@path $inner:ident) => {
        fn path(&self) -> &std::path::Path {
            self.$inner.path()
        }
    };
    (@append $inner:ident) => {
        fn append(&mut self, bytes: &[u8], kept: usize) -> std::io::Result<()> {
            self.$inner.append(bytes, kept)
        }
    };
    (@truncate $inner:ident) => {
        fn truncate(&mut self, len: u64) -> std::io::Result<()> {
            self.$inner.truncate(len)
        }
    };
    (@can_overwrite $inner:ident) => {
        fn can_overwrite(&self) -> bool {
            self.$inner.can_overwrite()
        }
    };
    (@is_unchanged $inner:ident) => {
        fn is_unchanged(&self) -> bool {
            self.$inner.is_unchanged()
        }
    };
    (@max_len $inner:ident) => {
        fn max_len(&self) -> u64 {
            self.$inner.max_len()
        }
    };
    (@sync $inner:ident) => {
        fn sync(&mut self) -> std::io::Result<()> {
            self.$inner.sync()
        }
    };
}

pub(crate) use forward;
