//! The directory of an export.
//!
//! A local one is filled under a temporary name, and renamed when it is complete.
//!
//! At a URL, files are in place immediately, and the manifest is created last, unless there is one: it makes
//! the export complete, whatever other files exist. No process removes or replaces a file that another one
//! may list: files have random names, and the process that has created the manifest removes those that it
//! does not list. Fixed names would not suffice, because an object that is uploaded in parts may replace
//! another if the store ignores its condition, and the files of an interrupted export may belong to one that
//! is still running.
//!
//! An export that replaces another one replaces its manifest, if it has not changed since the beginning, and
//! then removes the old files: no manifest is ever removed, and its files exist as long as it does. Other
//! files are removed only if the replacement has a condition: otherwise they may belong to a process that is
//! about to replace the same export.

use crate::args::read_up_to;
use crate::export_manifest::{MANIFEST, NO_REGION, description_of, names_listed, read_manifest};
use crate::failure::CommandError;
use crate::file_sum::FileSum;
use crate::new_dir::NewDir;
use crate::new_file::{NewText, random_name};
use crate::output::Output;
use crate::probe;
use crate::vfs::{self, check_writable};
use hregion::io::{FileIdentity, FileWriter};
use hregion::{DirEntry, Storage};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The directory of an export that is being written.
#[derive(Debug)]
pub(crate) enum ExportDir {
    Local(NewDir),
    Remote(RemoteDir),
}

impl ExportDir {
    /// Creates the directory. `replace` is whether it may replace an export.
    pub(crate) fn create(path: &Path, replace: bool) -> Result<Self, CommandError> {
        if vfs::is_url(path) {
            return RemoteDir::open(path, false, replace).map(Self::Remote);
        }
        NewDir::create(path).map(Self::Local)
    }

    /// Opens the directory of an interrupted export, or creates it.
    #[cfg(feature = "arrow")]
    pub(crate) fn resume(path: &Path, replace: bool) -> Result<Self, CommandError> {
        if vfs::is_url(path) {
            return RemoteDir::open(path, true, replace).map(Self::Remote);
        }
        NewDir::resume(path).map(Self::Local)
    }

    /// Returns the path at which an interrupted export leaves its files.
    #[cfg(feature = "arrow")]
    pub(crate) fn partial(path: &Path) -> Result<PathBuf, CommandError> {
        if vfs::is_url(path) { Ok(path.to_owned()) } else { NewDir::partial(path) }
    }

    /// Returns the path to which files are written.
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Local(dir) => dir.aside(),
            Self::Remote(dir) => &dir.path,
        }
    }

    /// Returns the name under which the file with this final name is written.
    pub(crate) fn name_new(&self, own: String) -> String {
        match self {
            Self::Local(_) => own,
            Self::Remote(dir) => dir.name_new(&own),
        }
    }

    /// Returns the names of files that an interrupted export may have completed.
    #[cfg(feature = "arrow")]
    pub(crate) fn names_of(&self, own: &str) -> Vec<String> {
        match self {
            Self::Local(_) => vec![own.to_owned()],
            Self::Remote(dir) => dir.there.iter().filter(|name| is_of(name, own)).cloned().collect(),
        }
    }

    /// Takes a complete file into the export.
    pub(crate) fn add(&self, name: &str, sum: &FileSum) -> Result<(), CommandError> {
        match self {
            Self::Local(_) => Ok(()),
            Self::Remote(dir) => dir.add(name, sum),
        }
    }

    /// Completes the export with its manifest, and removes the files that it does not list.
    pub(crate) fn finish(
        self,
        manifest: &[u8],
        names: &[&str],
        replace: bool,
        out: &Output,
    ) -> Result<(), CommandError> {
        match self {
            Self::Local(dir) => {
                // an attempt that ended at the renaming has left one
                write(&dir.aside().join(MANIFEST), manifest, true)?;
                dir.persist(replace, |dir| retain(dir, names))
            }
            Self::Remote(dir) => dir.finish(manifest, names, out),
        }
    }
}

fn write(path: &Path, bytes: &[u8], replace: bool) -> Result<(), CommandError> {
    let mut file = NewText::create(path, replace)?;
    file.write_all(bytes).map_err(|error| CommandError::io("write", path, &error))?;
    file.persist().map(drop)
}

/// Removes the descriptions, and the files that an interrupted export has left, except the manifest and files
/// with the given names. If there is anything else, nothing is removed.
fn retain(dir: &Path, names: &[&str]) -> Result<(), CommandError> {
    let fault = |error| CommandError::io("list", dir, &error);
    let mut left = Vec::new();
    for entry in fs::read_dir(dir).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let (path, is_dir) = (entry.path(), entry.file_type().map_err(fault)?.is_dir());
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name == MANIFEST || names.contains(&&*name) {
            continue;
        }
        let is_of_export = [".tmp", ".parquet", ".arrow", ".csv", ".csv.gz", ".json", ".jsonl", ".jsonl.gz"]
            .iter()
            .any(|ending| name.ends_with(ending));
        if is_dir || !is_of_export {
            return Err(CommandError::invalid_file(&path, "not a file of an export, and not removed"));
        }
        left.push(path);
    }
    let remove =
        |path: &PathBuf| fs::remove_file(path).map_err(|error| CommandError::io("remove", path, &error));
    left.iter().try_for_each(remove)
}

/// The directory of an export at a URL.
#[derive(Debug)]
pub(crate) struct RemoteDir {
    path: PathBuf,
    storage: Arc<dyn Storage>,
    /// The random part of the names of this process's files.
    random: String,
    /// Whether files are left for the next attempt.
    resumes: bool,
    /// Whether there was no such directory.
    is_new: bool,
    /// The names that existed at the beginning.
    #[cfg_attr(not(feature = "arrow"), allow(dead_code, reason = "no export is continued"))]
    there: Vec<String>,
    /// The names of the files that this process writes.
    written: Mutex<Vec<String>>,
    /// The files of the export: the versions that were summed.
    versions: Mutex<BTreeMap<String, Version>>,
    /// The export that is replaced.
    replaced: Option<Replaced>,
    is_done: bool,
}

/// An export at a URL that is replaced.
#[derive(Debug)]
struct Replaced {
    manifest: Vec<u8>,
    /// The names of its files.
    names: HashSet<String>,
    /// Without renames: the writer of the new manifest, which replaces the old one unless that has changed
    /// since.
    new: Mutex<Option<Box<dyn FileWriter>>>,
}

/// The length up to which an object is replaced by a single request, with a condition.
const ONE_REQUEST: usize = 32 << 20;

/// A version of a file: its length and identity.
type Version = (u64, Option<FileIdentity>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl RemoteDir {
    fn open(path: &Path, resumes: bool, replaces: bool) -> Result<Self, CommandError> {
        let (storage, manifest) = (vfs::storage(), path.join(MANIFEST));
        check_writable(path)?;
        // Created before the old manifest is read. It is invisible until it is synced.
        let new = (replaces && !storage.can_rename(path)).then(|| storage.create(&manifest)).transpose();
        let new = new.map_err(|error| CommandError::io("create", &manifest, &error))?;
        let found = check_remote(path, replaces)?;
        let is_new = found.names.is_none();
        let replaced = found.replaced.map(|(manifest, names)| Replaced { manifest, names, new: new.into() });
        if is_new {
            storage.create_dir_all(path).map_err(|error| CommandError::io("create", path, &error))?;
        }
        // No other files next to a complete export are kept: they may be removed at any time.
        let there = if replaced.is_none() { found.names.unwrap_or_default() } else { Vec::new() };
        Ok(Self {
            path: path.to_owned(),
            storage,
            random: random_name().split_at(RANDOM).0.to_owned(),
            resumes: resumes && replaced.is_none(),
            is_new,
            there,
            written: Mutex::default(),
            versions: Mutex::default(),
            replaced,
            is_done: false,
        })
    }

    fn name_new(&self, own: &str) -> String {
        let (first, rest) = own.split_once('.').unwrap_or((own, ""));
        let name = format!("{first}.{}.{rest}", self.random);
        lock(&self.written).push(name.clone());
        name
    }

    fn add(&self, name: &str, sum: &FileSum) -> Result<(), CommandError> {
        let version = self.version_of(name)?;
        if version.0 != sum.bytes {
            return Err(self.changed(name));
        }
        lock(&self.versions).insert(name.to_owned(), version);
        Ok(())
    }

    fn version_of(&self, name: &str) -> Result<Version, CommandError> {
        let path = self.path.join(name);
        let file = self.storage.open(&path).map_err(|error| CommandError::io("open", &path, &error))?;
        Ok((file.len(), file.identity()))
    }

    fn changed(&self, name: &str) -> CommandError {
        let error = io::Error::other("it was changed by another process");
        CommandError::io("complete the export", &self.path.join(name), &error)
    }

    fn finish(mut self, manifest: &[u8], names: &[&str], out: &Output) -> Result<(), CommandError> {
        for (name, version) in &*lock(&self.versions) {
            if self.version_of(name)? != *version {
                return Err(self.changed(name));
            }
        }
        // Files that appear later are from exports that fail, or from one after this one was removed.
        let left = self.not_listed(names, manifest.len())?;
        match &self.replaced {
            None => self.create(&self.path.join(MANIFEST), manifest)?,
            Some(replaced) => self.replace(replaced, manifest)?,
        }
        self.is_done = true;
        if let Err(error) = self.remove_all(left.into_iter()) {
            out.warn_always(&format!(
                "the export is complete, but a file that it does not list is left: {}",
                error.line()
            ));
        }
        Ok(())
    }

    /// Creates a file, unless there is one.
    fn create(&self, path: &Path, bytes: &[u8]) -> Result<(), CommandError> {
        if self.storage.can_rename(path) {
            write(path, bytes, false)?;
            return self.check_manifest(path, bytes);
        }
        // By a single request of any length, because stores may ignore the condition of an upload in parts.
        let created = self.storage.create_log(path).and_then(|mut file| file.append(bytes, bytes.len()));
        created.map_err(|error| CommandError::io("create", path, &error))
    }

    /// Fails if a manifest is not the one that was written. If the response to a rename was lost, it may be
    /// another export's. Names are random: an equal manifest is this one.
    fn check_manifest(&self, path: &Path, written: &[u8]) -> Result<(), CommandError> {
        let found = read_up_to(path, written.len() as u64 + 1);
        match found.map_err(|error| CommandError::io("read", path, &error))? == written {
            true => Ok(()),
            false => Err(self.changed(MANIFEST)),
        }
    }

    /// Replaces a manifest, unless it has changed.
    fn replace(&self, replaced: &Replaced, bytes: &[u8]) -> Result<(), CommandError> {
        let path = self.path.join(MANIFEST);
        if self.storage.can_rename(&path) {
            self.check_manifest(&path, &replaced.manifest)?;
            write(&path, bytes, true)?;
            return self.check_manifest(&path, bytes);
        }
        let new = lock(&replaced.new).take();
        let mut new = new.ok_or_else(|| self.changed(MANIFEST))?;
        let written = new.write_all(bytes).and_then(|()| new.sync());
        written.map_err(|error| CommandError::io("replace", &path, &error))
    }

    /// Returns the names of files that exports have left, except the given names. `len` is the length of the
    /// manifest.
    fn not_listed(&self, names: &[&str], len: usize) -> Result<Vec<String>, CommandError> {
        let entries = self.storage.list_dir(&self.path);
        let entries = entries.map_err(|error| CommandError::io("list", &self.path, &error))?;
        let files = entries.iter().filter(|entry| !entry.is_dir).filter_map(DirEntry::utf8_name);
        let has_condition = !self.storage.can_rename(&self.path) && len <= ONE_REQUEST;
        let is_left = |name: &str| match &self.replaced {
            None => is_of_export(name),
            Some(replaced) => {
                // A description is of the file before its ending.
                let of = name.strip_suffix(".json").unwrap_or(name);
                replaced.names.contains(name)
                    || is_of_export(name)
                        && (has_condition || names.contains(&of) || replaced.names.contains(of))
            }
        };
        let left = files.filter(|name| *name != MANIFEST && !names.contains(name) && is_left(name));
        Ok(left.map(str::to_owned).collect())
    }

    /// Removes files. Continues after a failure, and returns the first one.
    fn remove_all(&self, names: impl Iterator<Item = String>) -> Result<(), CommandError> {
        let failed: Vec<_> = names.filter_map(|name| self.remove(&name).err()).collect();
        failed.into_iter().next().map_or(Ok(()), Err)
    }

    fn remove(&self, name: &str) -> Result<(), CommandError> {
        let path = self.path.join(name);
        match self.storage.remove(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CommandError::io("remove", &path, &error))
            }
            _ => Ok(()),
        }
    }

    /// Removes the files that this process has written, unless they can be continued or belong to a complete
    /// export. If it is unknown whether a manifest was created, nothing is removed.
    fn give_up(&self) -> Result<(), CommandError> {
        let manifest = self.path.join(MANIFEST);
        let listed = match probe::is_file(&manifest)? {
            true => names_listed(&read_manifest(&manifest)?),
            false if self.resumes => None,
            false => Some(HashSet::new()),
        };
        let mut written = lock(&self.written).clone();
        written.retain(|name| listed.as_ref().is_some_and(|listed| !listed.contains(name)));
        let descriptions: Vec<_> = written.iter().map(|name| description_of(name)).collect();
        self.remove_all(written.into_iter().chain(descriptions))?;
        if self.is_new && self.storage.can_rename(&self.path) {
            // fails if there are files
            let removed = self.storage.remove_dir(&self.path);
            removed.map_err(|error| CommandError::io("remove", &self.path, &error))?;
        }
        Ok(())
    }
}

impl Drop for RemoteDir {
    fn drop(&mut self) {
        if !self.is_done {
            // a failure cannot be reported here
            let _ = self.give_up();
        }
    }
}

/// The state of the URL of an export.
#[derive(Debug)]
pub(crate) struct Found {
    /// The names of files of exports that are not complete; `None` if there is no directory.
    names: Option<Vec<String>>,
    /// The manifest of the export that is replaced, and the names that it lists.
    replaced: Option<(Vec<u8>, HashSet<String>)>,
}

/// Fails if a URL has anything but interrupted exports and, with `force`, a complete one.
pub(crate) fn check_remote(path: &Path, force: bool) -> Result<Found, CommandError> {
    check_writable(path)?;
    if probe::is_file(path)? {
        return Err(CommandError::invalid_file(path, "exists, and is not a directory"));
    }
    let entries = match vfs::storage().list_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Found { names: None, replaced: None });
        }
        entries => entries.map_err(|error| CommandError::io("list", path, &error))?,
    };
    let mut replaced = None;
    if entries.iter().any(|entry| entry.name == MANIFEST) {
        let manifest = read_manifest(&path.join(MANIFEST))?;
        let listed = names_listed(&manifest);
        if !force {
            let listed = listed.unwrap_or_default();
            let mut others = entries.iter().filter_map(DirEntry::utf8_name);
            let message = match others.find(|name| is_of_export(name) && !listed.contains(*name)) {
                None => "already exists: it has a manifest.json".to_owned(),
                Some(name) => format!("already exists: it has a manifest.json, which does not list {name}"),
            };
            let hint = Some("use --force to replace it");
            return Err(CommandError::invalid_file(path, message).with_hint(hint));
        }
        let message = "not a directory of exported rows, and not replaced: its manifest.json lists no files";
        let listed = listed.ok_or_else(|| CommandError::invalid_file(path, message))?;
        replaced = Some((manifest, listed));
    }
    let is_listed =
        |name: &str| replaced.as_ref().is_some_and(|(_, listed)| name == MANIFEST || listed.contains(name));
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.name.to_string_lossy().into_owned();
        if !entry.is_dir && is_listed(&name) {
            continue;
        }
        if entry.is_dir || !is_of_export(&name) {
            let message = match replaced {
                None => format!("already exists, and is not an interrupted export: it has {name}"),
                Some(_) => format!("not replaced: its manifest.json does not list {name}"),
            };
            return Err(CommandError::invalid_file(path, message));
        }
        names.push(name);
    }
    Ok(Found { names: Some(names), replaced })
}

/// The number of hexadecimal digits in the names of files.
const RANDOM: usize = 16;

fn is_hex(text: &str, len: usize) -> bool {
    text.len() == len && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Whether a file at a URL has the name of an export's file, or of one left by a killed writer.
fn is_of_export(name: &str) -> bool {
    if let Some(hidden) = name.strip_prefix('.') {
        return hidden.strip_suffix(".tmp").is_some_and(|random| is_hex(random, 16))
            || hidden.strip_prefix("hregion.probe.").is_some_and(|random| is_hex(random, 32));
    }
    let Some((first, rest)) = name.split_once('.') else { return false };
    let Some((random, ending)) = rest.split_once('.') else { return false };
    let ending = ending.strip_suffix(".json").unwrap_or(ending);
    (first == NO_REGION || is_hex(first, first.len()))
        && is_hex(random, RANDOM)
        && ["parquet", "arrow", "csv", "csv.gz", "jsonl", "jsonl.gz"].contains(&ending)
}

/// Whether a file at a URL has the rows of the file with this final name.
#[cfg(feature = "arrow")]
fn is_of(name: &str, own: &str) -> bool {
    let without_random =
        name.split_once('.').and_then(|(first, rest)| Some((first, rest.split_once('.')?.1)));
    without_random.is_some_and(|parts| Some(parts) == own.split_once('.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Exit;

    /// With renames, the manifest is read again after it was written.
    #[test]
    fn a_manifest_of_more_than_64_mib_is_written_and_read() {
        let scratch = tempfile::tempdir().unwrap();
        let dir = RemoteDir::open(scratch.path(), false, false).unwrap();
        let mut manifest = br#"{"files":[{"file":"a"}]}"#.to_vec();
        manifest.resize((64 << 20) + 1, b' ');
        let path = scratch.path().join(MANIFEST);
        dir.create(&path, &manifest).unwrap();
        assert_eq!(names_listed(&read_manifest(&path).unwrap()), Some(HashSet::from(["a".to_owned()])));
        let refused = check_remote(scratch.path(), false).unwrap_err().line();
        assert!(refused.contains("it has a manifest.json"), "{refused}");
        assert_eq!(dir.create(&path, b"{}").unwrap_err().exit(), Exit::Io);
    }

    #[test]
    fn files_of_others_are_not_of_an_export() {
        let region = "0123456789abcdef0123456789abcdef";
        for name in [
            &*format!("{region}.0123456789abcdef.parquet"),
            &format!("{region}.0123456789abcdef.csv.gz.json"),
            "1028785192.0123456789abcdef.jsonl",
            "rows.0123456789abcdef.jsonl.gz",
            ".0123456789abcdef.tmp",
            &format!(".hregion.probe.{region}"),
        ] {
            assert!(is_of_export(name), "{name}");
        }
        for name in [
            "",
            ".",
            "rows.csv",
            &format!("{region}.parquet"),
            &format!("{region}.0123456789abcde.parquet"),
            &format!("{region}.0123456789abcdef.txt"),
            &format!("{region}.0123456789abcdef.json"),
            "part-0.0123456789abcdef.parquet",
            ".data.tmp",
            ".hregion.lock",
            "é.0123456789abcdef.csv",
        ] {
            assert!(!is_of_export(name), "{name}");
        }
    }
}
