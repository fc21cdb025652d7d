//! An in-memory file system with injected faults and simulated power loss.

mod content;
mod files;
mod names;
mod state;

use crate::io::{DirEntry, FileLock, FileReader, FileWriter, LogFile, ScratchFile, Storage};
use crate::sync::unpoisoned;
use content::Content;
use files::{FaultyReader, FaultyScratch, FaultyWriter, Held};
use state::{Chance, Faults, Node, State, parts};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

/// Files in memory. Counts all calls, and fails at selected ones.
///
/// Models a loss of power: a file keeps its synced bytes, and a directory the names at its last sync.
/// Directories that were not created by a call are durable. A directory that was renamed is at the old path
/// or at the new one, never at both or neither, as in a file system with a journal. The same applies to a
/// file that was renamed to another directory, unless it ever had several names: each of those is kept or
/// lost independently.
#[derive(Clone, Debug, Default)]
pub struct FaultyStorage(Arc<Mutex<State>>);

/// The unsynced changes that a crash preserves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Crash {
    /// All of them: the process was killed, and the system keeps running.
    OfTheProcess,
    /// None.
    Hard,
    /// Names, and half of the bytes.
    Torn,
    /// Random, from a seed: each changed name is the old or the new one, each file keeps a part of its
    /// unsynced bytes, and each 512-byte unit of them is either intact or zeros; each unit overwritten since
    /// the last sync is the old or the new one.
    Chance(u64),
}

/// The kinds of calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "named like the methods of the storage and its files")]
pub enum Call {
    Open,
    Read,
    Create,
    Write,
    Sync,
    Rename,
    HardLink,
    Remove,
    RemoveDir,
    Truncate,
    SyncFile,
    SyncDir,
    ListDir,
    CreateDir,
    EndWriting,
    Lock,
}

/// A file or directory of a [`FaultyStorage`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FaultyEntry {
    /// The path, relative to the root.
    pub path: PathBuf,
    /// Greater than the numbers of files and directories that were created earlier.
    pub number: usize,
    /// The bytes of a file; `None` for a directory.
    pub bytes: Option<Arc<Vec<u8>>>,
}

impl FaultyStorage {
    /// Creates an empty storage without faults.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Hides the identity of files, as on systems without one.
    pub fn hide_identities(&self) {
        self.state().hides_identities = true;
    }

    /// Makes the storage behave like an object store, without renames: a file appears complete when it is
    /// synced, and all changes are durable at once.
    pub fn has_objects(&self) {
        self.state().has_objects = true;
    }

    /// Makes locks ones that can be lost, as in HDFS, and lets the writing of files be ended. Locks are never
    /// lost here.
    pub fn has_leases(&self) {
        self.state().has_leases = true;
    }

    /// Makes each read find a file by its path, as in HDFS: an open file that is renamed or removed cannot be
    /// read at its old path.
    pub fn read_by_path(&self) {
        self.state().reads_by_path = true;
    }

    /// Makes one call fail, after `n` more calls that change something or list a directory.
    pub fn fail_after(&self, n: u64) {
        let mut state = self.state();
        state.faults = Faults::At(state.calls + n);
    }

    /// Makes all calls that change something or list a directory fail after `n` more of them, as if the
    /// process had been killed at that time.
    pub fn die_after(&self, n: u64) {
        let mut state = self.state();
        state.faults = Faults::From(state.calls + n);
    }

    /// Whether a call has failed since [`die_after`](Self::die_after).
    #[must_use]
    pub fn has_died(&self) -> bool {
        let state = self.state();
        matches!(state.faults, Faults::From(from) if state.calls > from)
    }

    /// Records the storage before one in `one_in` of the later calls that change something, at random from a
    /// seed. One run is then enough to try many crashes.
    pub fn fork_at_random(&self, one_in: usize, seed: u64) {
        let forks = &mut self.state().forks;
        (forks.one_in, forks.chance, forks.cuts_writes) = (one_in, Chance(seed), false);
    }

    /// Records the storage before each later call that changes something, and in the middle of each write of
    /// a file: what a process leaves that [dies](Self::die_after) in that call.
    pub fn fork_at_each(&self) {
        let forks = &mut self.state().forks;
        (forks.one_in, forks.cuts_writes) = (1, true);
    }

    /// Returns the storages recorded since the last call. They have no faults, and unsynced changes as at
    /// that time.
    pub fn take_forks(&self) -> Vec<Self> {
        let mut state = self.state();
        let taken = std::mem::take(&mut state.forks.taken);
        taken.into_iter().map(|nodes| Self::of(nodes, &state)).collect()
    }

    /// Returns an independent storage with the same files, synced to the same extent. It has no faults and no
    /// locks.
    #[must_use]
    pub fn copy(&self) -> Self {
        let state = self.state();
        Self::of(state.nodes.clone(), &state)
    }

    /// Returns a storage like one with this state, with other files.
    fn of(nodes: Vec<Node>, like: &State) -> Self {
        let State { has_objects, has_leases, .. } = *like;
        Self(Arc::new(Mutex::new(State { nodes, has_objects, has_leases, ..State::default() })))
    }

    /// Makes the calls with these numbers fail, counted from the next call over all calls, including opens,
    /// reads and locks.
    pub fn fail_among_all(&self, numbers: impl IntoIterator<Item = u64>) {
        let mut state = self.state();
        let now = state.all_calls;
        state.faults = Faults::Among(numbers.into_iter().map(|n| now + n).collect());
    }

    /// Returns the pending calls that [`fail_among_all`](Self::fail_among_all) set to fail, counted from the
    /// next call.
    #[must_use]
    pub fn pending_faults(&self) -> Vec<u64> {
        let state = self.state();
        match &state.faults {
            Faults::Among(numbers) => {
                numbers.range(state.all_calls..).map(|number| number - state.all_calls).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Makes all later calls of a kind fail.
    pub fn break_calls(&self, call: Call) {
        self.state().broken.insert(call);
    }

    /// Makes removing or renaming a file fail.
    pub fn stick(&self, path: impl Into<PathBuf>) {
        self.state().stuck.insert(path.into());
    }

    /// Repairs broken calls and stuck files.
    pub fn repair(&self) {
        let mut state = self.state();
        state.broken.clear();
        state.stuck.clear();
    }

    /// Removes all faults.
    pub fn heal(&self) {
        let mut state = self.state();
        state.faults = Faults::None;
        state.broken.clear();
        state.stuck.clear();
    }

    /// Sets whether a call that is [selected](Self::fail_among_all) to fail is made nevertheless, as if only
    /// its answer was lost. This does not apply to renames and links, whose failure changes nothing; nor to
    /// [deaths](Self::die_after), [broken](Self::break_calls) calls and [stuck](Self::stick) files.
    pub fn lose_answers(&self, loses: bool) {
        self.state().loses_answers = loses;
    }

    /// Sets the kind of the errors (default: other).
    pub fn fail_with(&self, kind: io::ErrorKind) {
        self.state().kind = kind;
    }

    /// Makes opens fail, as with `ulimit -n`, if more than this many files would be open for reading or
    /// writing.
    pub fn limit_handles(&self, limit: usize) {
        self.state().handles.limit = limit;
    }

    /// Returns the number of locks held.
    #[must_use]
    pub fn held_locks(&self) -> usize {
        self.state().locks.len()
    }

    /// Returns the number of files open for reading or writing.
    #[must_use]
    pub fn open_handles(&self) -> usize {
        self.state().handles.open
    }

    /// Returns the maximum number of files open at once since the last call.
    pub fn take_most_handles(&self) -> usize {
        let handles = &mut self.state().handles;
        std::mem::replace(&mut handles.most, handles.open)
    }

    /// Returns the number of calls so far that change something or list a directory.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Returns the number of all calls so far, including opens, reads and locks.
    #[must_use]
    pub fn all_calls(&self) -> u64 {
        self.state().all_calls
    }

    /// Whether a file can be created at a path: no part of the path is a file, and the path is not a
    /// directory.
    #[must_use]
    pub fn is_writable(&self, path: &Path) -> bool {
        let state = self.state();
        let is_dir = |path: &Path| match state.node(path) {
            Ok(node) => matches!(state.nodes[node], Node::Dir(_)),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        path.ancestors().skip(1).all(is_dir) && state.directory(path).is_err()
    }

    /// Returns the paths of all files.
    #[must_use]
    pub fn names(&self) -> Vec<PathBuf> {
        let state = self.state();
        let mut found = Vec::new();
        state.walk(0, Path::new(""), &mut |path, node| {
            if matches!(state.nodes[node], Node::File(_)) {
                found.push(path);
            }
        });
        found
    }

    /// Returns all files and directories. Two storages with equal entries answer all calls alike, but for
    /// their faults, their locks, and what a later loss of power preserves.
    #[must_use]
    pub fn entries(&self) -> Vec<FaultyEntry> {
        let state = self.state();
        let mut found = Vec::new();
        state.walk(0, Path::new(""), &mut |path, number| {
            let bytes = match &state.nodes[number] {
                Node::File(content) => Some(Arc::clone(&content.bytes)),
                Node::Dir(_) => None,
            };
            found.push(FaultyEntry { path, number, bytes });
        });
        found
    }

    /// Returns the bytes of a file; `None` if it does not exist.
    #[must_use]
    pub fn bytes(&self, path: &Path) -> Option<Vec<u8>> {
        let state = self.state();
        state.file(path).ok().map(|file| state.content(file).bytes.to_vec())
    }

    /// Returns the storage after a crash. It has no faults.
    #[must_use]
    pub fn after(&self, crash: Crash) -> Self {
        let state = self.state();
        let mut chance = Chance(if let Crash::Chance(seed) = crash { seed } else { 0 });
        let nodes = state.nodes.iter().map(|node| match node {
            Node::File(content) => Node::File(content.after(crash, &mut chance)),
            Node::Dir(names) => Node::Dir(names.after(crash, &mut chance)),
        });
        let State { has_objects, has_leases, .. } = *state;
        let mut left = State { nodes: nodes.collect(), has_objects, has_leases, ..State::default() };
        if crash != Crash::OfTheProcess {
            state.place_renamed_dirs(&mut left);
            state.place_moved_files(&mut left);
        }
        Self(Arc::new(Mutex::new(left)))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        unpoisoned(self.0.lock())
    }
}

impl FaultyStorage {
    fn new_file(&self, path: &Path, replaces: bool) -> io::Result<FaultyWriter> {
        let mut state = self.state();
        let answer = state.change(Call::Create)?;
        if !replaces && state.node(path).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let (dir, name) = state.parent(path)?;
        if state.node(path).is_ok_and(|node| matches!(state.nodes[node], Node::Dir(_))) {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        state.open_handle()?;
        let (file, over) = (state.nodes.len(), state.node(path).ok());
        state.nodes.push(Node::File(Content::default()));
        if !state.has_objects {
            state.dir_mut(dir).now.insert(name.to_owned(), file);
        }
        if answer.is_err() {
            state.handles.open -= 1;
        }
        answer.map(|()| FaultyWriter { storage: self.clone(), path: path.to_owned(), file, over, kept: 0 })
    }
}

impl Storage for FaultyStorage {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn FileReader>> {
        let mut state = self.state();
        state.read(Call::Open)?;
        let file = state.file(path)?;
        let len = state.content(file).bytes.len() as u64;
        state.open_handle()?;
        Ok(Arc::new(FaultyReader { storage: self.clone(), path: path.to_owned(), file, len }))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        Ok(Box::new(self.new_file(path, true)?))
    }

    fn create_new(&self, path: &Path) -> io::Result<Box<dyn FileWriter>> {
        Ok(Box::new(self.new_file(path, false)?))
    }

    fn create_log(&self, path: &Path) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(self.new_file(path, false)?))
    }

    fn create_scratch(&self, path: &Path, len: u64) -> io::Result<Arc<dyn ScratchFile>> {
        self.create(path)?;
        let mut state = self.state();
        let file = state.file(path)?;
        let len = usize::try_from(len).map_err(|_| io::ErrorKind::StorageFull)?;
        state.content_mut(file).write_at(0, &vec![0; len]);
        Ok(Arc::new(FaultyScratch { storage: self.clone(), file }))
    }

    fn can_rename(&self, _: &Path) -> bool {
        !self.state().has_objects
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        if state.has_objects {
            return Err(io::ErrorKind::Unsupported.into());
        }
        state.change(Call::Rename)??;
        state.check_blocked(from)?;
        let node = state.node(from)?;
        if let Ok(other) = state.node(to) {
            match (&state.nodes[node], &state.nodes[other]) {
                (Node::File(_), Node::File(_)) => {}
                (Node::Dir(_), Node::Dir(names)) if names.now.is_empty() => {}
                (Node::Dir(_), Node::Dir(_)) => return Err(io::ErrorKind::DirectoryNotEmpty.into()),
                (Node::Dir(_), Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                (Node::File(_), Node::Dir(_)) => return Err(io::ErrorKind::IsADirectory.into()),
            }
        }
        // As on a disk, a rename creates no directory.
        state.directory(to.parent().unwrap_or_else(|| Path::new("")))?;
        let (from_dir, from_name) = state.parent(from)?;
        let (to_dir, to_name) = state.parent(to)?;
        state.dir_mut(from_dir).now.remove(from_name);
        state.dir_mut(to_dir).now.insert(to_name.to_owned(), node);
        Ok(())
    }

    fn hard_link(&self, original: &Path, link: &Path) -> io::Result<()> {
        let mut state = self.state();
        if state.has_objects {
            return Err(io::ErrorKind::Unsupported.into());
        }
        state.change(Call::HardLink)??;
        let file = state.file(original)?;
        if state.node(link).is_ok() {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        state.content_mut(file).is_linked = true;
        let (dir, name) = state.parent(link)?;
        state.dir_mut(dir).now.insert(name.to_owned(), file);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let answer = state.change(Call::Remove)?;
        state.check_blocked(path)?;
        state.file(path)?;
        let (dir, name) = state.parent(path)?;
        state.dir_mut(dir).now.remove(name);
        if state.has_objects {
            state.sync_names(dir);
        }
        answer
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let answer = state.change(Call::RemoveDir)?;
        let node = state.directory(path)?;
        if !state.dir(node).now.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        let (dir, name) = state.parent(path)?;
        state.dir_mut(dir).now.remove(name);
        answer
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let answer = state.change(Call::SyncFile)?;
        let file = state.file(path)?;
        state.content_mut(file).sync();
        answer
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let answer = state.change(Call::SyncDir)?;
        let dir = state.directory(path)?;
        state.sync_names(dir);
        answer
    }

    fn list_dir(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let mut state = self.state();
        state.change(Call::ListDir)??;
        let dir = state.directory(path)?;
        let entry = |(name, &node): (&OsString, &usize)| {
            let (len, is_dir) = match &state.nodes[node] {
                Node::File(content) => (content.bytes.len() as u64, false),
                Node::Dir(_) => (0, true),
            };
            // Files created later have later times.
            let modified_millis = i64::try_from(node).unwrap_or(i64::MAX);
            DirEntry { name: name.clone(), len, is_dir, is_symlink: false, modified_millis }
        };
        Ok(state.dir(dir).now.iter().map(entry).collect())
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let answer = state.change(Call::CreateDir)?;
        let is_durable = state.has_objects;
        state.make_dirs(parts(path), is_durable)?;
        answer
    }

    fn end_writing(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        if !state.has_leases {
            return Ok(());
        }
        let answer = state.change(Call::EndWriting)?;
        state.file(path)?;
        answer
    }

    fn can_read_removed(&self) -> bool {
        !self.state().reads_by_path
    }

    fn lock(&self, path: &Path) -> io::Result<FileLock> {
        let mut state = self.state();
        state.read(Call::Lock)?;
        if !state.locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let held = Held { storage: self.clone(), path: path.to_owned() };
        Ok(if state.has_leases { FileLock::with_check(held, |_| Ok(())) } else { FileLock::new(held) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes, names, lists and removes files, until a call fails.
    fn run(storage: &FaultyStorage) -> io::Result<()> {
        let [dir, first, second, log] = ["dir", "dir/first", "dir/second", "dir/log"].map(Path::new);
        storage.create_dir_all(dir)?;
        let mut file = storage.create(first)?;
        file.write_all(b"bytes")?;
        file.write_all(b"more bytes")?;
        file.sync()?;
        storage.list_dir(dir)?;
        storage.sync_dir(dir)?;
        let last = if storage.can_rename(dir) { second } else { first };
        if last == second {
            storage.rename(first, second)?;
        }
        let mut log = storage.create_log(log)?;
        log.append(b"an entry", 5)?;
        log.append(b"another entry", 13)?;
        storage.remove(last)?;
        storage.sync_dir(dir)
    }

    #[test]
    fn calls_whose_answers_are_lost_are_made() {
        let storage = FaultyStorage::new();
        let [dir, file, other] = ["dir", "dir/file", "dir/other"].map(Path::new);
        let next_fails = || storage.fail_after(0);
        storage.lose_answers(true);
        next_fails();
        storage.create_dir_all(dir).unwrap_err();
        assert!(storage.list_dir(dir).unwrap().is_empty());
        next_fails();
        storage.create_new(file).unwrap_err();
        assert_eq!((storage.names(), storage.open_handles()), (vec![file.to_owned()], 0));
        let mut writer = storage.create(file).unwrap();
        next_fails();
        writer.write_all(b"bytes").unwrap_err();
        next_fails();
        writer.sync().unwrap_err();
        storage.sync_dir(Path::new("")).unwrap();
        next_fails();
        storage.sync_dir(dir).unwrap_err();
        assert_eq!(storage.after(Crash::Hard).bytes(file), Some(b"bytes".to_vec()));
        // The failure of a rename changes nothing, as that of a call that is not selected.
        next_fails();
        storage.rename(file, other).unwrap_err();
        storage.break_calls(Call::Remove);
        storage.remove(file).unwrap_err();
        assert!(storage.bytes(file).is_some());
        storage.repair();
        next_fails();
        storage.remove(file).unwrap_err();
        assert!(storage.names().is_empty());
    }

    #[test]
    fn recorded_storages_are_what_dead_processes_leave() {
        let left = |storage: &FaultyStorage| {
            [Crash::OfTheProcess, Crash::Hard, Crash::Torn].map(|crash| storage.after(crash).entries())
        };
        for has_objects in [false, true] {
            let begin = || {
                let storage = FaultyStorage::new();
                storage.state().has_objects = has_objects;
                storage
            };
            let storage = begin();
            storage.fork_at_each();
            run(&storage).unwrap();
            let forks: Vec<_> = storage.take_forks().iter().map(left).collect();
            assert_ne!(forks.first(), forks.last());
            for n in 0..storage.calls() {
                let dying = begin();
                dying.die_after(n);
                run(&dying).unwrap_err();
                assert!(forks.contains(&left(&dying)), "call {n}, objects: {has_objects}");
            }
        }
    }
}
