//! Files by path: local ones, and remote ones by URL, which most commands only read.

use crate::failure::CommandError;
use hregion::io::{DirEntry, FileReader, LocalStorage, Storage, url_scheme};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Whether a path is a URL.
pub(crate) fn is_url(path: &Path) -> bool {
    url_scheme(path).is_some()
}

/// Whether a path is a URL of a web server.
pub(crate) fn is_web(path: &Path) -> bool {
    matches!(url_scheme(path), Some("http" | "https"))
}

/// Returns a path that does not depend on the current directory, without accessing any file.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    match is_url(path) {
        true => path.to_owned(),
        false => std::path::absolute(path).unwrap_or_else(|_| path.to_owned()),
    }
}

/// Fails if a path is a URL, for a command that does not write to remote files.
pub(crate) fn check_local(path: &Path) -> Result<(), CommandError> {
    match url_scheme(path) {
        None => Ok(()),
        Some(scheme) => Err(CommandError::unsupported(
            &shown(path),
            format!("{scheme}: this command writes to local files only"),
        )),
    }
}

/// Fails if a path is a URL of a storage that can only be read, or an unknown URL.
pub(crate) fn check_writable(path: &Path) -> Result<(), CommandError> {
    check_readable(path)?;
    match url_scheme(path) {
        Some(scheme @ ("http" | "https")) => {
            let message = format!("{scheme}: files on web servers can only be read");
            Err(CommandError::unsupported(&shown(path), message))
        }
        _ => Ok(()),
    }
}

/// Whether files are moved from one path to the other: both are on the same local file system, or in the same
/// bucket or name service.
pub(crate) fn is_same_storage(a: &Path, b: &Path) -> bool {
    let name = |path: &Path| {
        // A place may have several spellings.
        let full = if is_url(path) { full(path).ok().filter(|full| is_url(full)) } else { return None };
        let full = full.unwrap_or_else(|| path.to_owned());
        let (scheme, rest) = full.to_str()?.split_once("://")?;
        Some((scheme.to_owned(), rest.split('/').next().unwrap_or_default().to_owned()))
    };
    name(a) == name(b) && (is_url(a) || is_same_device(a, b))
}

/// Whether two local directories are on the same file system. If one cannot be found, that is reported when
/// it is opened.
#[cfg(unix)]
fn is_same_device(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => a.dev() == b.dev(),
        _ => true,
    }
}

#[cfg(not(unix))]
fn is_same_device(_a: &Path, _b: &Path) -> bool {
    true
}

/// Returns a path as errors may show it: a URL without credentials and query.
fn shown(path: &Path) -> PathBuf {
    let Some((scheme, rest)) = path.to_str().and_then(|path| path.split_once("://")) else {
        return path.to_owned();
    };
    let (authority, key) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit('@').next().unwrap_or_default();
    let key = key.split(['?', '#']).next().unwrap_or_default();
    PathBuf::from(if key.is_empty() {
        format!("{scheme}://{host}")
    } else {
        format!("{scheme}://{host}/{key}")
    })
}

/// The length of a file; 0 if that is unknown.
pub(crate) fn len(path: &Path) -> u64 {
    status(path).ok().flatten().map_or(0, |entry| entry.len)
}

/// Opens a file for reading.
pub(crate) fn open(path: &Path) -> io::Result<Arc<dyn FileReader>> {
    storage().open(path)
}

/// Returns the paths of the entries of a directory, sorted, and whether they are symbolic links.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<(PathBuf, bool)>> {
    let mut paths = Vec::new();
    if is_url(dir) {
        let entries = storage().list_dir(dir)?.into_iter();
        return Ok(entries.map(|entry| (dir.join(entry.name), false)).collect());
    }
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        paths.push((entry.path(), entry.file_type()?.is_symlink()));
    }
    paths.sort();
    Ok(paths)
}

/// Fails if a directory cannot be listed.
pub(crate) fn check_dir(dir: &Path) -> Result<(), CommandError> {
    check_readable(dir)?;
    list(dir).map(drop).map_err(|error| CommandError::io("list", dir, &error))
}

/// Returns the full path, without symbolic links; for a URL, the one common to all its spellings.
pub(crate) fn full(path: &Path) -> io::Result<PathBuf> {
    if is_url(path) { storage().full_path(path, true) } else { fs::canonicalize(path) }
}

/// Looks a file or directory up. A symbolic link is followed.
pub(crate) fn status(path: &Path) -> io::Result<Option<DirEntry>> {
    if is_url(path) {
        return remote::status(path);
    }
    match fs::metadata(path) {
        Ok(meta) => Ok(Some(DirEntry {
            name: path.file_name().unwrap_or_default().to_owned(),
            len: meta.len(),
            is_dir: meta.is_dir(),
            is_symlink: false,
            modified_millis: 0,
        })),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) use remote::{check_readable, is_remote_dir, storage};

#[cfg(feature = "remote")]
mod remote {
    use super::{Arc, CommandError, DirEntry, FileReader, LocalStorage, Path, PathBuf, Storage};
    use super::{io, is_url, shown};
    use hregion::io::{FileLock, FileWriter, LogFile, ScratchFile};
    use hregion_remote::{RemoteOptions, RemoteStorage};
    use std::sync::OnceLock;

    /// Fails if a path is an unknown URL.
    pub(crate) fn check_readable(path: &Path) -> Result<(), CommandError> {
        if !is_url(path) {
            return Ok(());
        }
        hregion_remote::check_url(path)
            .map_err(|error| CommandError::unsupported(&shown(path), error.to_string()))
    }

    /// Returns the local files and all remote ones. Remote ones are connected to when the first is opened.
    pub(crate) fn storage() -> Arc<dyn Storage> {
        static STORAGE: OnceLock<Arc<AllFiles>> = OnceLock::new();
        Arc::clone(STORAGE.get_or_init(Arc::default)) as Arc<dyn Storage>
    }

    /// The remote files, created on first use.
    static REMOTE: OnceLock<RemoteStorage> = OnceLock::new();

    fn remote() -> io::Result<&'static RemoteStorage> {
        if let Some(remote) = REMOTE.get() {
            return Ok(remote);
        }
        let started = RemoteOptions::default().build()?;
        Ok(REMOTE.get_or_init(|| started))
    }

    pub(super) fn status(path: &Path) -> io::Result<Option<DirEntry>> {
        remote()?.status(path)
    }

    /// Whether there is a remote directory.
    pub(crate) fn is_remote_dir(path: &Path) -> io::Result<bool> {
        remote()?.is_dir(path)
    }

    /// Local files by path, remote ones by URL.
    #[derive(Debug, Default)]
    struct AllFiles;

    impl AllFiles {
        fn of(path: &Path) -> io::Result<&'static dyn Storage> {
            if is_url(path) { Ok(remote()?) } else { Ok(&LocalStorage) }
        }
    }

    impl Storage for AllFiles {
        fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
            Self::of(path)?.open(path)
        }

        fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
            Self::of(path)?.create(path)
        }

        fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
            Self::of(path)?.create_new(path)
        }

        fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
            Self::of(path)?.create_log(path)
        }

        fn create_scratch(&self, path: &Path, len: u64) -> io::Result<Arc<dyn ScratchFile>> {
            Self::of(path)?.create_scratch(path, len)
        }

        fn can_rename(&self, path: &Path) -> bool {
            Self::of(path).is_ok_and(|storage| storage.can_rename(path))
        }

        fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
            // Whichever is remote refuses.
            Self::of(if is_url(to) { to } else { from })?.rename(from, to)
        }

        fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
            // Whichever is remote refuses.
            Self::of(if is_url(to) { to } else { from })?.rename_new(from, to)
        }

        fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
            // Whichever is remote refuses.
            Self::of(if is_url(link) { link } else { original })?.hard_link(original, link)
        }

        fn remove(&self, path: &Path) -> io::Result<()> {
            Self::of(path)?.remove(path)
        }

        fn remove_dir(&self, path: &Path) -> io::Result<()> {
            Self::of(path)?.remove_dir(path)
        }

        fn sync_file(&self, path: &Path) -> io::Result<()> {
            Self::of(path)?.sync_file(path)
        }

        fn sync_dir(&self, path: &Path) -> io::Result<()> {
            Self::of(path)?.sync_dir(path)
        }

        fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
            Self::of(path)?.list_dir(path)
        }

        fn create_dir_all(&self, path: &Path) -> io::Result<()> {
            Self::of(path)?.create_dir_all(path)
        }

        fn end_writing(&self, path: &Path) -> io::Result<()> {
            Self::of(path)?.end_writing(path)
        }

        fn can_hide_writes(&self, path: &Path) -> bool {
            Self::of(path).is_ok_and(|storage| storage.can_hide_writes(path))
        }

        fn full_path(&self, path: &Path, follow_links: bool) -> io::Result<PathBuf> {
            Self::of(path)?.full_path(path, follow_links)
        }

        /// Not asked about a path: no file that is open has to be readable for longer than a remote one.
        fn can_read_removed(&self) -> bool {
            LocalStorage.can_read_removed() && REMOTE.get().is_none_or(Storage::can_read_removed)
        }

        fn lock(&self, path: &Path) -> io::Result<FileLock> {
            Self::of(path)?.lock(path)
        }
    }
}

#[cfg(not(feature = "remote"))]
mod remote {
    use super::{Arc, CommandError, DirEntry, LocalStorage, Path, Storage, io, shown, url_scheme};

    const HINT: &str = "build with the feature `remote`";

    /// Fails if a path is a URL.
    pub(crate) fn check_readable(path: &Path) -> Result<(), CommandError> {
        match url_scheme(path) {
            None => Ok(()),
            Some(scheme) => {
                let message = format!("{scheme}: remote files are not built in");
                Err(CommandError::unsupported(&shown(path), message).with_hint(Some(HINT)))
            }
        }
    }

    /// Returns the local files.
    pub(crate) fn storage() -> Arc<dyn Storage> {
        Arc::new(LocalStorage)
    }

    pub(super) fn status(_: &Path) -> io::Result<Option<DirEntry>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, HINT))
    }

    pub(crate) fn is_remote_dir(_: &Path) -> io::Result<bool> {
        Err(io::Error::new(io::ErrorKind::Unsupported, HINT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_not_shown() {
        let shown = |url: &str| shown(Path::new(url)).display().to_string();
        assert_eq!(shown("https://u:p@h/a/b?sig=x"), "https://h/a/b");
        assert_eq!(shown("s3://b"), "s3://b");
        let error = check_local(Path::new("s3://k:secret@b/a")).unwrap_err().line();
        assert!(error.contains("local files only") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn storages_are_distinguished() {
        let same = |a: &str, b: &str| is_same_storage(Path::new(a), Path::new(b));
        assert!(same("a", "/b") && same("hdfs://n/a", "hdfs://n/b/c"));
        #[cfg(feature = "remote")]
        assert!(same("hdfs://n/a", "hdfs://n:8020/b") && same("s3://b/a", "s3a://b/c"));
        assert!(
            !same("a", "hdfs://n/a") && !same("hdfs://n/a", "hdfs://m/a") && !same("s3://n/a", "hdfs://n/a")
        );
    }

    /// Without them, regions of a table that the tool writes would not share a log.
    #[test]
    fn local_files_have_hard_links() {
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        fs::write(&file, "bytes").unwrap();
        storage().hard_link(&file, &link).unwrap();
        assert_eq!(fs::read(&link).unwrap(), b"bytes");
        let error = storage().hard_link(&file, &link).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
    }

    #[cfg(feature = "remote")]
    #[test]
    fn remote_files_have_no_hard_links() {
        let (url, file) = (Path::new("http://127.0.0.1:9/file"), Path::new("file"));
        for (original, link) in [(url, file), (file, url)] {
            let error = storage().hard_link(original, link).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Unsupported);
        }
    }

    #[cfg(not(feature = "remote"))]
    #[test]
    fn the_missing_feature_is_named() {
        let error = check_readable(Path::new("s3://k:secret@b/a")).unwrap_err();
        let line = error.line();
        assert!(line.contains("s3: ") && !line.contains("secret"), "{line}");
        assert!(line.contains("feature `remote`"), "{line}");
    }
}
