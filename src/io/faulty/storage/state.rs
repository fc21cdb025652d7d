//! The files and directories of a [`FaultyStorage`](super::FaultyStorage), and which calls fail.

use super::Call;
use super::content::Content;
use super::names::Names;
use crate::io::faulty::fault;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::path::{Component, Path, PathBuf};

#[derive(Debug)]
pub(super) struct State {
    /// Files and directories, by number. Directory 0 is the root.
    pub(super) nodes: Vec<Node>,
    /// The number of calls that change something or list a directory.
    pub(super) calls: u64,
    /// The number of all calls, including reads.
    pub(super) all_calls: u64,
    pub(super) faults: Faults,
    /// Kinds of calls that fail until they are repaired.
    pub(super) broken: BTreeSet<Call>,
    /// Files that cannot be removed or renamed.
    pub(super) stuck: BTreeSet<PathBuf>,
    pub(super) kind: io::ErrorKind,
    /// Whether a selected call fails after it was made, unless a failure of such a call changes nothing.
    pub(super) loses_answers: bool,
    pub(super) locks: BTreeSet<PathBuf>,
    pub(super) handles: Handles,
    pub(super) hides_identities: bool,
    /// Whether files cannot be renamed, and appear when they are synced.
    pub(super) has_objects: bool,
    /// Whether locks can be lost.
    pub(super) has_leases: bool,
    pub(super) reads_by_path: bool,
    pub(super) forks: Forks,
}

/// The storages recorded before calls that change something.
#[derive(Debug, Default)]
pub(super) struct Forks {
    /// One call in this many is recorded; none if this is 0.
    pub(super) one_in: usize,
    pub(super) chance: Chance,
    /// Whether the storage is also recorded when half of a write is made.
    pub(super) cuts_writes: bool,
    pub(super) taken: Vec<Vec<Node>>,
}

/// Files that are open for reading or writing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Handles {
    pub(super) open: usize,
    pub(super) most: usize,
    pub(super) limit: usize,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    File(Content),
    Dir(Names),
}

/// The calls that fail.
#[derive(Clone, Debug, Default)]
pub(super) enum Faults {
    #[default]
    None,
    /// One of the calls that change something.
    At(u64),
    /// All calls that change something, from one on.
    From(u64),
    /// Some of all calls, including reads.
    Among(BTreeSet<u64>),
}

impl Default for State {
    fn default() -> Self {
        Self {
            nodes: vec![Node::Dir(Names::default())],
            calls: 0,
            all_calls: 0,
            faults: Faults::None,
            broken: BTreeSet::new(),
            stuck: BTreeSet::new(),
            kind: io::ErrorKind::Other,
            loses_answers: false,
            locks: BTreeSet::new(),
            handles: Handles { open: 0, most: 0, limit: usize::MAX },
            hides_identities: false,
            has_objects: false,
            has_leases: false,
            reads_by_path: false,
            forks: Forks::default(),
        }
    }
}

/// Random numbers from a seed (splitmix64).
#[derive(Debug, Default)]
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % (n.max(1) as u64)).unwrap_or_default()
    }
}

fn not_found() -> io::Error {
    io::ErrorKind::NotFound.into()
}

/// Returns the components of a path. Absolute and relative paths are equivalent.
pub(super) fn parts(path: &Path) -> impl Iterator<Item = &OsStr> {
    path.components().filter_map(|component| match component {
        Component::Normal(part) => Some(part),
        Component::ParentDir => Some(OsStr::new("..")),
        _ => None,
    })
}

impl State {
    /// Counts a call that changes something or lists a directory. Fails if it is selected. Returns the answer
    /// to a call that is to be made: an error if it is lost.
    pub(super) fn change(&mut self, kind: Call) -> io::Result<io::Result<()>> {
        let call = self.calls;
        self.calls += 1;
        if kind != Call::ListDir && self.forks.one_in > 0 && self.forks.chance.below(self.forks.one_in) == 0 {
            self.fork();
        }
        let fails = match self.faults {
            Faults::At(at) => call == at,
            Faults::From(from) => call >= from,
            _ => false,
        };
        let changes_nothing = matches!(kind, Call::Rename | Call::HardLink | Call::ListDir);
        let is_made = self.loses_answers
            && !changes_nothing
            && !self.broken.contains(&kind)
            && !matches!(self.faults, Faults::From(_));
        let called = self.count(kind, fails);
        if is_made { Ok(called) } else { called.map(Ok) }
    }

    /// Records the storage.
    pub(super) fn fork(&mut self) {
        self.forks.taken.push(self.nodes.clone());
    }

    /// Counts a call that reads. Fails if it is selected.
    pub(super) fn read(&mut self, kind: Call) -> io::Result<()> {
        self.count(kind, false)
    }

    fn count(&mut self, kind: Call, fails: bool) -> io::Result<()> {
        let call = self.all_calls;
        self.all_calls += 1;
        let fails = fails || self.broken.contains(&kind);
        if fails || matches!(&self.faults, Faults::Among(numbers) if numbers.contains(&call)) {
            return Err(fault(self.kind));
        }
        Ok(())
    }

    pub(super) fn open_handle(&mut self) -> io::Result<()> {
        if self.handles.open >= self.handles.limit {
            // EMFILE or its equivalent
            return Err(io::Error::from_raw_os_error(if cfg!(unix) { 24 } else { 4 }));
        }
        self.handles.open += 1;
        self.handles.most = self.handles.most.max(self.handles.open);
        Ok(())
    }

    pub(super) fn check_blocked(&self, path: &Path) -> io::Result<()> {
        let is_stuck = self.stuck.iter().any(|stuck| parts(stuck).eq(parts(path)));
        if is_stuck { Err(fault(self.kind)) } else { Ok(()) }
    }

    /// Visits all files and directories below a directory, each with its path and number.
    pub(super) fn walk(&self, dir: usize, path: &Path, visit: &mut dyn FnMut(PathBuf, usize)) {
        for (name, &node) in &self.dir(dir).now {
            let path = path.join(name);
            if matches!(self.nodes[node], Node::Dir(_)) {
                self.walk(node, &path, visit);
            }
            visit(path, node);
        }
    }

    pub(super) fn dir(&self, node: usize) -> &Names {
        match &self.nodes[node] {
            Node::Dir(names) => names,
            Node::File(_) => unreachable!("not a directory"),
        }
    }

    pub(super) fn dir_mut(&mut self, node: usize) -> &mut Names {
        match &mut self.nodes[node] {
            Node::Dir(names) => names,
            Node::File(_) => unreachable!("not a directory"),
        }
    }

    pub(super) fn content(&self, node: usize) -> &Content {
        match &self.nodes[node] {
            Node::File(content) => content,
            Node::Dir(_) => unreachable!("not a file"),
        }
    }

    pub(super) fn content_mut(&mut self, node: usize) -> &mut Content {
        match &mut self.nodes[node] {
            Node::File(content) => content,
            Node::Dir(_) => unreachable!("not a file"),
        }
    }

    /// Returns the file or directory at a path.
    pub(super) fn node(&self, path: &Path) -> io::Result<usize> {
        let mut node = 0;
        for part in parts(path) {
            let Node::Dir(names) = &self.nodes[node] else { return Err(io::ErrorKind::NotADirectory.into()) };
            node = *names.now.get(part).ok_or_else(not_found)?;
        }
        Ok(node)
    }

    pub(super) fn file(&self, path: &Path) -> io::Result<usize> {
        let node = self.node(path)?;
        match self.nodes[node] {
            Node::File(_) => Ok(node),
            Node::Dir(_) => Err(io::ErrorKind::IsADirectory.into()),
        }
    }

    pub(super) fn directory(&self, path: &Path) -> io::Result<usize> {
        let node = self.node(path)?;
        match self.nodes[node] {
            Node::Dir(_) => Ok(node),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Returns the directory with these path components, and creates missing ones: durable, or not yet
    /// durable.
    pub(super) fn make_dirs<'p>(
        &mut self,
        parts: impl IntoIterator<Item = &'p OsStr>,
        durable: bool,
    ) -> io::Result<usize> {
        let mut node = 0;
        for part in parts {
            node = match self.dir(node).now.get(part) {
                Some(&next) => match self.nodes[next] {
                    Node::Dir(_) => next,
                    Node::File(_) => return Err(io::ErrorKind::NotADirectory.into()),
                },
                None => {
                    let new = self.nodes.len();
                    self.nodes.push(Node::Dir(Names::default()));
                    let names = self.dir_mut(node);
                    names.now.insert(part.to_owned(), new);
                    if durable {
                        names.synced.insert(part.to_owned(), new);
                    }
                    new
                }
            };
        }
        Ok(node)
    }

    /// Returns the parent directory of a path, and the last component.
    pub(super) fn parent<'p>(&mut self, path: &'p Path) -> io::Result<(usize, &'p OsStr)> {
        let parts: Vec<_> = parts(path).collect();
        let (name, dirs) = parts.split_last().ok_or(io::ErrorKind::InvalidInput)?;
        Ok((self.make_dirs(dirs.iter().copied(), true)?, name))
    }
}
