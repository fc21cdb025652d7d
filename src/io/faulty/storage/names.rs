//! The names in a directory, and those that a loss of power preserves.

use super::{Chance, Crash, Node, State};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;

#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    pub(super) now: BTreeMap<OsString, usize>,
    /// The names after a loss of power.
    pub(super) synced: BTreeMap<OsString, usize>,
    /// Names of files that have since been durably renamed to another directory.
    stale: BTreeSet<OsString>,
}

/// The parent of a directory, and its name there.
type Place = (usize, OsString);

impl Names {
    /// Returns the names after a crash, considering only this directory.
    pub(super) fn after(&self, crash: Crash, chance: &mut Chance) -> Self {
        let left = self.nodes_after(crash, chance);
        Self { now: left.clone(), synced: left, stale: BTreeSet::new() }
    }

    fn nodes_after(&self, crash: Crash, chance: &mut Chance) -> BTreeMap<OsString, usize> {
        match crash {
            Crash::OfTheProcess | Crash::Torn => self.now.clone(),
            Crash::Hard => self.synced.clone(),
            Crash::Chance(_) => {
                let names: BTreeSet<_> = self.now.keys().chain(self.synced.keys()).collect();
                let mut left = BTreeMap::new();
                for name in names {
                    let (now, synced) = (self.now.get(name), self.synced.get(name));
                    let node = if chance.below(2) == 0 { now } else { synced };
                    left.extend(node.map(|node| (name.clone(), *node)));
                }
                left
            }
        }
    }
}

impl State {
    /// Returns the places of all directories.
    fn dir_places(&self, names_of: impl Fn(&Names) -> &BTreeMap<OsString, usize>) -> BTreeMap<usize, Place> {
        let mut places = BTreeMap::new();
        for (parent, node) in self.nodes.iter().enumerate() {
            let Node::Dir(names) = node else { continue };
            let dirs = names_of(names).iter().filter(|(_, node)| matches!(self.nodes[**node], Node::Dir(_)));
            places.extend(dirs.map(|(name, node)| (*node, (parent, name.clone()))));
        }
        places
    }

    /// Makes the names in a directory durable. A renamed directory gets its new place and loses the old one
    /// at once.
    pub(super) fn sync_names(&mut self, dir: usize) {
        let names = self.dir(dir);
        let is_changed = |a: &BTreeMap<OsString, usize>, b: &BTreeMap<OsString, usize>| {
            let mut changed = a.iter().filter(|(name, node)| b.get(*name) != Some(node));
            changed.any(|(_, node)| matches!(self.nodes[*node], Node::Dir(_)))
        };
        let moves_dirs = is_changed(&names.now, &names.synced) || is_changed(&names.synced, &names.now);
        let places =
            moves_dirs.then(|| (self.dir_places(|names| &names.now), self.dir_places(|names| &names.synced)));
        self.mark_stale(dir);
        let names = self.dir_mut(dir);
        names.synced = names.now.clone();
        names.stale.clear();
        let (now, synced) = places.unwrap_or_default();
        for (node, new) in now {
            let Some(old) = synced.get(&node).filter(|old| **old != new) else { continue };
            if old.0 == dir || new.0 == dir {
                let names = self.dir_mut(old.0);
                if names.synced.get(&old.1) == Some(&node) {
                    names.synced.remove(&old.1);
                }
                self.dir_mut(new.0).synced.insert(new.1, node);
            }
        }
    }

    /// Marks the old names of files whose new names in a directory become durable.
    fn mark_stale(&mut self, dir: usize) {
        let names = self.dir(dir);
        let new = names.now.iter().filter(|(name, node)| names.synced.get(*name) != Some(node));
        let is_moved = |node: &usize| match &self.nodes[*node] {
            Node::File(content) => !content.is_linked,
            Node::Dir(_) => true,
        };
        let new: BTreeSet<usize> = new.map(|(_, node)| *node).filter(is_moved).collect();
        if new.is_empty() {
            return;
        }
        let others = self.nodes.iter_mut().enumerate().filter(|(other, _)| *other != dir);
        for (_, node) in others {
            let Node::Dir(names) = node else { continue };
            let old = names
                .synced
                .iter()
                .filter(|(name, node)| new.contains(node) && names.now.get(*name) != Some(node));
            names.stale.extend(old.map(|(name, _)| name.clone()));
        }
    }

    /// Gives each renamed directory one place in the state after a crash: the new one if the state contains
    /// it, otherwise the old one.
    pub(super) fn place_renamed_dirs(&self, left: &mut Self) {
        let (now, synced) = (self.dir_places(|names| &names.now), self.dir_places(|names| &names.synced));
        for (node, new) in now {
            let Some(old) = synced.get(&node).filter(|old| **old != new) else { continue };
            let is_new = left.dir(new.0).now.get(&new.1) == Some(&node);
            let (kept, cleared) = if is_new { (&new, old) } else { (old, &new) };
            let names = left.dir_mut(kept.0);
            names.now.insert(kept.1.clone(), node);
            names.synced.insert(kept.1.clone(), node);
            let names = left.dir_mut(cleared.0);
            if names.now.get(&cleared.1) == Some(&node) {
                names.now.remove(&cleared.1);
                names.synced.remove(&cleared.1);
            }
        }
    }

    /// Gives each file that was renamed to another directory one of its places in the state after a crash:
    /// the new one if the state contains it, otherwise the old one.
    pub(super) fn place_moved_files(&self, left: &mut Self) {
        let files = |names_of: fn(&Names) -> &BTreeMap<OsString, usize>, state: &Self| {
            let mut files: BTreeMap<usize, Vec<Place>> = BTreeMap::new();
            for (dir, node) in state.nodes.iter().enumerate() {
                let Node::Dir(names) = node else { continue };
                for (name, node) in names_of(names) {
                    if matches!(&state.nodes[*node], Node::File(content) if !content.is_linked) {
                        files.entry(*node).or_default().push((dir, name.clone()));
                    }
                }
            }
            files
        };
        let (now, synced) = (files(|names| &names.now, self), files(|names| &names.synced, self));
        let is_stale = |(dir, name): &&Place| self.dir(*dir).stale.contains(name);
        for (node, new) in now {
            let moved_from = |(dir, _): &&Place| new.iter().all(|(other, _)| other != dir);
            let old = synced.get(&node).into_iter().flatten().filter(moved_from);
            let (stale, old): (Vec<&Place>, Vec<&Place>) = old.partition(is_stale);
            let has = |left: &Self, (dir, name): &Place| left.dir(*dir).now.get(name) == Some(&node);
            let is_new = new.iter().any(|place| has(left, place));
            for (dir, name) in stale.into_iter().chain(old.iter().copied().filter(|_| is_new)) {
                let names = left.dir_mut(*dir);
                if names.now.get(name) == Some(&node) {
                    names.now.remove(name);
                    names.synced.remove(name);
                }
            }
            for (dir, name) in old.into_iter().filter(|_| !is_new) {
                let names = left.dir_mut(*dir);
                names.now.entry(name.clone()).or_insert(node);
                names.synced.entry(name.clone()).or_insert(node);
            }
        }
    }
}
