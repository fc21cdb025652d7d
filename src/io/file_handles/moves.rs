//! Tracks the paths that are being opened, renamed or removed.

use super::FileKey;
use crate::sync::unpoisoned;
use std::sync::{Condvar, Mutex, MutexGuard};

/// Prevents files from being opened at a path while it, or a directory above it, is renamed or removed. Other
/// paths are not affected, because a rename may take long.
#[derive(Default)]
pub(super) struct Moves {
    active: Mutex<Active>,
    ended: Condvar,
}

#[derive(Default)]
struct Active {
    opening: Vec<FileKey>,
    moving: Vec<FileKey>,
}

/// A path that is being opened, or those of a rename or removal, until this is dropped.
pub(super) struct Claimed<'m> {
    moves: &'m Moves,
    keys: Vec<FileKey>,
    is_move: bool,
}

fn is_below(key: &FileKey, above: &FileKey) -> bool {
    key.0 == above.0 && key.1.starts_with(&above.1)
}

impl Moves {
    /// Waits for renames and removals of the path, and keeps others from beginning.
    pub(super) fn open(&self, key: FileKey) -> Claimed<'_> {
        let mut active = self.wait(|active| active.moving.iter().any(|moved| is_below(&key, moved)));
        active.opening.push(key.clone());
        drop(active);
        Claimed { moves: self, keys: vec![key], is_move: false }
    }

    /// Waits for operations in progress at or below the paths, and keeps new ones from beginning.
    pub(super) fn change(&self, keys: Vec<FileKey>) -> Claimed<'_> {
        let concerns = |other: &FileKey| keys.iter().any(|key| is_below(other, key) || is_below(key, other));
        let is_opened = |path: &FileKey| keys.iter().any(|key| is_below(path, key));
        let mut active =
            self.wait(|active| active.moving.iter().any(concerns) || active.opening.iter().any(is_opened));
        active.moving.extend(keys.iter().cloned());
        drop(active);
        Claimed { moves: self, keys, is_move: true }
    }

    fn wait(&self, is_busy: impl Fn(&Active) -> bool) -> MutexGuard<'_, Active> {
        let mut active = unpoisoned(self.active.lock());
        while is_busy(&active) {
            active = unpoisoned(self.ended.wait(active));
        }
        active
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        let mut active = unpoisoned(self.moves.active.lock());
        let claimed = if self.is_move { &mut active.moving } else { &mut active.opening };
        for key in &self.keys {
            if let Some(at) = claimed.iter().position(|claimed| claimed == key) {
                claimed.swap_remove(at);
            }
        }
        drop(active);
        self.moves.ended.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    fn path(path: &str) -> FileKey {
        (1, PathBuf::from(path))
    }

    #[test]
    fn only_what_is_at_a_path_or_below_waits() {
        let moves = Moves::default();
        let moving = moves.change(vec![path("/a/b"), path("/c")]);
        drop((moves.open(path("/a/bc")), moves.open(path("/a")), moves.open((2, PathBuf::from("/c")))));
        drop(moves.change(vec![path("/a/bc")]));
        let (done, is_done) = mpsc::channel();
        thread::scope(|scope| {
            for key in [path("/a/b"), path("/a/b/c"), path("/c")] {
                let (moves, done) = (&moves, done.clone());
                scope.spawn(move || {
                    drop(moves.open(key));
                    done.send(()).unwrap();
                });
            }
            // a change above waits as well
            let (moves, above) = (&moves, done.clone());
            scope.spawn(move || {
                drop(moves.change(vec![path("/a")]));
                above.send(()).unwrap();
            });
            assert!(is_done.recv_timeout(Duration::from_millis(50)).is_err());
            drop(moving);
            (0..4).for_each(|_| is_done.recv().unwrap());
        });
        let opening = moves.open(path("/a/b/c"));
        drop((moves.open(path("/a/b/c")), moves.change(vec![path("/a/b/d")])));
        thread::scope(|scope| {
            scope.spawn(|| {
                drop(moves.change(vec![path("/a/b")]));
                done.send(()).unwrap();
            });
            assert!(is_done.recv_timeout(Duration::from_millis(50)).is_err());
            drop(opening);
            is_done.recv().unwrap();
        });
    }
}
