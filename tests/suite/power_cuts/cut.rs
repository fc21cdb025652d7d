//! The table after a loss of power.

use super::model::Model;
use super::{ROOT, TABLE, create, options};
use crate::support::rng::Rng;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::{Compaction, Delete, ErrorKind, Put, RegionOptions, RegionRecovery, Result, Table};
use std::collections::BTreeMap;

/// The interrupted call, which is repeated after a crash.
#[derive(Clone, Debug)]
pub(crate) enum Repeated {
    None,
    Create,
    Truncate(bool),
    Restore(String),
    BulkLoad(String),
    Recover,
}

/// The states that may be found after a crash.
#[derive(Clone, Debug)]
pub(crate) struct Expected {
    /// The possible contents of the table, from the state before the interrupted call to the state after it.
    pub(crate) contents: Vec<Model>,
    pub(crate) repeated: Repeated,
    /// The snapshots and clones; an uncertain one exists as a whole or not at all.
    pub(crate) snapshots: BTreeMap<String, Model>,
    pub(crate) clones: BTreeMap<String, Model>,
    pub(crate) in_doubt: Option<String>,
    pub(crate) now: i64,
}

/// The numbers of checked crashes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) cuts: u64,
    /// Those whose recovery was interrupted as well.
    pub(crate) again: u64,
    /// Those in which the interrupted call had taken effect.
    pub(crate) made: u64,
}

fn crash(rng: &mut Rng) -> Crash {
    match rng.below(12) {
        0 => Crash::Hard,
        1 => Crash::Torn,
        2..4 => Crash::OfTheProcess,
        _ => Crash::Chance(rng.next()),
    }
}

/// Returns the storage after a crash. If only the process has ended, its unsynced writes can still be lost.
pub(crate) fn left_by(storage: &FaultyStorage, crash: Crash) -> FaultyStorage {
    match crash {
        Crash::OfTheProcess => storage.copy(),
        crash => storage.after(crash),
    }
}

/// Ends all use of a storage, so that dropping its users changes nothing.
pub(crate) fn abandon(storage: &FaultyStorage, table: Option<Table>) {
    storage.die_after(0);
    drop(table);
}

impl Expected {
    fn options(&self, storage: &FaultyStorage) -> RegionOptions {
        options(storage, self.now)
    }

    fn first(&self) -> &Model {
        self.contents.first().expect("one at least")
    }

    fn last(&self) -> &Model {
        self.contents.last().expect("one at least")
    }

    /// Opens the table for writing, and makes the calls that its documentation requires for completion.
    fn open(&self, storage: &FaultyStorage) -> Result<Table> {
        let options = || self.options(storage);
        if matches!(self.repeated, Repeated::Recover) {
            let recovered = Table::recover(ROOT, options())?;
            let is_sound = |one: &RegionRecovery| one.outcome == hregion::RegionOutcome::Replayed;
            assert!(recovered.torn.is_empty() && recovered.regions.iter().all(is_sound), "{recovered:?}");
        }
        match Table::open_with(ROOT, TABLE, options().writable(true)) {
            Err(error) if error.kind() == ErrorKind::TableNotFound => match &self.repeated {
                Repeated::Create => create(storage, self.now),
                Repeated::Truncate(preserve) => {
                    Table::truncate(ROOT, TABLE, *preserve, &options())?;
                    Table::open_with(ROOT, TABLE, options().writable(true))
                }
                Repeated::Restore(name) => Table::restore_snapshot(ROOT, name, options()),
                _ => Err(error),
            },
            opened => opened,
        }
    }

    /// Crashes, recovers and compares. In a third of the runs the recovery is interrupted as well, and so on.
    pub(crate) fn check(&self, fork: &FaultyStorage, rng: &mut Rng, counts: &mut Counts, shown: &str) {
        let mut storage = left_by(fork, crash(rng));
        counts.cuts += 1;
        let mut cuts = 1;
        while rng.below(3) == 0 {
            storage.die_after(u64::try_from(rng.below(80)).unwrap());
            let table = self.open(&storage).ok();
            let left = left_by(&storage, crash(rng));
            abandon(&storage, table);
            (storage, cuts) = (left, cuts + 1);
        }
        counts.again += u64::from(cuts > 1);
        let shown = format!("{shown}, {cuts} cuts");
        let seen = if rng.below(4) == 0 { self.read_only(&storage, &shown) } else { None };
        let table = self.open(&storage).unwrap_or_else(|error| panic!("{shown}: not opened: {error}"));
        let found = Model::read(&table).unwrap_or_else(|error| panic!("{shown}: not read: {error}"));
        if let Some(seen) = seen {
            assert_eq!(seen, found, "{shown}: a writer reads what a reader reads");
        }
        let found = match &self.repeated {
            Repeated::BulkLoad(dir) => {
                let is_mix = found.is_mix_of(self.first(), self.last());
                assert!(is_mix, "{shown}: {found:?}\nexpected {:#?}", self.contents);
                table.bulk_load(dir).unwrap_or_else(|error| panic!("{shown}: not loaded: {error}"));
                let found = Model::read(&table).unwrap();
                assert_eq!(&found, self.last(), "{shown}: loaded again");
                found
            }
            _ => found,
        };
        assert!(self.contents.contains(&found), "{shown}: {found:?}\nexpected {:#?}", self.contents);
        counts.made += u64::from(self.contents.len() > 1 && &found == self.last());
        assert!(table.inconsistencies().is_empty(), "{shown}: {:?}", table.inconsistencies());
        if rng.below(4) == 0 || self.in_doubt.is_some() {
            self.check_others(&storage, &shown);
        }
        if rng.below(4) == 0 {
            self.use_table(&storage, table, found, rng, &shown);
        } else {
            abandon(&storage, Some(table));
        }
    }

    /// Returns the content seen by a reader, if no call has to be repeated.
    fn read_only(&self, storage: &FaultyStorage, shown: &str) -> Option<Model> {
        if !matches!(self.repeated, Repeated::None) {
            return None;
        }
        let table = Table::open_with(ROOT, TABLE, self.options(storage));
        let table = table.unwrap_or_else(|error| panic!("{shown}: not opened to read: {error}"));
        Some(Model::read(&table).unwrap_or_else(|error| panic!("{shown}: not read by a reader: {error}")))
    }

    /// Checks the snapshots and clones.
    fn check_others(&self, storage: &FaultyStorage, shown: &str) {
        let of_snapshots = self.snapshots.iter().map(|(name, model)| (name, model, true));
        let of_clones = self.clones.iter().map(|(name, model)| (name, model, false));
        for (name, model, is_snapshot) in of_snapshots.chain(of_clones) {
            let opened = if is_snapshot {
                Table::open_snapshot_with(ROOT, name, self.options(storage))
            } else {
                Table::open_with(ROOT, name, self.options(storage))
            };
            match opened {
                Ok(table) => {
                    let found =
                        Model::read(&table).unwrap_or_else(|error| panic!("{shown}, {name}: {error}"));
                    assert_eq!(&found, model, "{shown}: {name}");
                }
                Err(error) => {
                    assert_eq!(self.in_doubt.as_ref(), Some(name), "{shown}: {name}: {error}");
                }
            }
        }
    }

    /// Writes, flushes, compacts and opens again: nothing deleted reappears.
    fn use_table(&self, storage: &FaultyStorage, table: Table, mut found: Model, rng: &mut Rng, shown: &str) {
        let now = self.now + 1_000_000;
        let row = found.0.keys().next().map_or_else(|| "a".to_owned(), |(row, ..)| row.clone());
        let options = || options(storage, now);
        close_unchanged(table, shown);
        let table = Table::open_with(ROOT, TABLE, options().writable(true)).unwrap();
        table.delete(Delete::new(row.clone())).unwrap();
        found.remove(|(of, ..), _| *of == row);
        table.put(Put::new("zz").cell("f", "q", "new").cell("g", "q", "new")).unwrap();
        ["f", "g"].iter().for_each(|family| found.put("zz", family, "q", now, b"new"));
        for info in table.regions() {
            let region = table.region(info.start_key()).unwrap();
            region.flush().unwrap_or_else(|error| panic!("{shown}: not flushed: {error}"));
            region
                .compact(Compaction::Major)
                .unwrap_or_else(|error| panic!("{shown}: not compacted: {error}"));
        }
        table.archive_parents().unwrap_or_else(|error| panic!("{shown}: parents: {error}"));
        assert_eq!(Model::read(&table).unwrap(), found, "{shown}: after a compaction");
        let left = storage.after(crash(rng));
        abandon(storage, Some(table));
        let table = Table::open_with(ROOT, TABLE, super::options(&left, now).writable(true));
        let table = table.unwrap_or_else(|error| panic!("{shown}: not opened again: {error}"));
        assert_eq!(Model::read(&table).unwrap(), found, "{shown}: after one more crash");
        self.check_others(&left, shown);
        abandon(&left, Some(table));
    }
}

/// Closes a table without new writes.
fn close_unchanged(table: Table, shown: &str) {
    table.close().unwrap_or_else(|error| panic!("{shown}: not closed: {error}"));
}
