//! A random history of a table. The storage is recorded at many of its calls, to lose power there.

use super::cut::{Counts, Expected, Repeated, abandon, left_by};
use super::model::Model;
use super::{ROOT, TABLE, create, options};
use crate::support::files;
use crate::support::rng::Rng;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::{Compaction, ErrorKind, ManualClock, RegionOptions, Table};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// One in this many calls is recorded.
const ONE_IN: usize = 5;

pub(crate) struct World {
    pub(crate) seed: u64,
    pub(crate) rng: Rng,
    pub(crate) storage: FaultyStorage,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) now: i64,
    pub(crate) table: Option<Table>,
    pub(crate) model: Model,
    /// Whether the table has the family `h`.
    pub(crate) has_h: bool,
    /// The snapshots, and whether their tables had the family `h`.
    pub(crate) snapshots: BTreeMap<String, (Model, bool)>,
    pub(crate) clones: BTreeMap<String, Model>,
    pub(crate) in_doubt: Option<String>,
    pub(crate) counts: Counts,
    /// How often each kind of call was made.
    pub(crate) made: BTreeMap<&'static str, u64>,
    pub(crate) step: usize,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut world = Self {
            seed,
            rng: Rng::new(seed),
            storage: FaultyStorage::new(),
            clock: Arc::new(ManualClock::new(1000)),
            now: 1000,
            table: None,
            model: Model::default(),
            has_h: false,
            snapshots: BTreeMap::new(),
            clones: BTreeMap::new(),
            in_doubt: None,
            counts: Counts::default(),
            made: BTreeMap::new(),
            step: 0,
        };
        world.storage.fork_at_random(ONE_IN, seed);
        world.table = Some(create(&world.storage, world.now).unwrap());
        world.check(&[], Repeated::Create, "create");
        world.reopen("create");
        world
    }

    pub(crate) fn table(&self) -> &Table {
        self.table.as_ref().expect("an open table")
    }

    pub(crate) fn options(&self) -> RegionOptions {
        options(&self.storage, 0).clock(Arc::clone(&self.clock) as _)
    }

    /// Loses power at each of the calls recorded since the last call of this function. After that, the
    /// expected content is the last of `contents`, or unchanged if there are none.
    pub(crate) fn check(&mut self, contents: &[Model], repeated: Repeated, shown: &'static str) {
        let contents = [std::slice::from_ref(&self.model), contents].concat();
        let snapshots = self.snapshots.iter().map(|(name, (model, _))| (name.clone(), model.clone()));
        let expected = Expected {
            contents,
            repeated,
            snapshots: snapshots.collect(),
            clones: self.clones.clone(),
            in_doubt: self.in_doubt.take(),
            now: self.now,
        };
        let forks = self.storage.take_forks();
        let all = forks.len();
        for (n, fork) in forks.into_iter().enumerate() {
            let shown = format!("HREGION_SEED={}, step {} ({shown}), {n} of {all}", self.seed, self.step);
            expected.check(&fork, &mut self.rng, &mut self.counts, &shown);
        }
        self.model = expected.contents.into_iter().next_back().expect("one at least");
        *self.made.entry(shown).or_default() += 1;
    }

    /// Closes the table, which flushes it.
    pub(crate) fn close(&mut self, shown: &'static str) {
        if let Some(table) = self.table.take() {
            table.close().unwrap();
        }
        self.check(&[], Repeated::None, shown);
    }

    pub(crate) fn reopen(&mut self, shown: &'static str) {
        if self.table.is_some() {
            self.close(shown);
        }
        self.table = Some(Table::open_with(ROOT, TABLE, self.options().writable(true)).unwrap());
        let found = Model::read(self.table()).unwrap();
        assert_eq!(found, self.model, "HREGION_SEED={}, step {} ({shown})", self.seed, self.step);
        self.check(&[], Repeated::None, shown);
    }

    /// Continues with the storage after a crash.
    pub(crate) fn crash(&mut self, crash: Crash, shown: &'static str) {
        self.die(crash);
        self.record();
        self.reopen(shown);
    }

    /// Replaces the storage by its state after a crash. The table is not open then, and nothing is recorded.
    pub(crate) fn die(&mut self, crash: Crash) {
        let left = left_by(&self.storage, crash);
        abandon(&self.storage, self.table.take());
        self.storage = left;
    }

    /// Starts recording.
    pub(crate) fn record(&mut self) {
        self.storage.fork_at_random(ONE_IN, self.rng.next());
    }

    /// Changes the storage without recording it.
    pub(crate) fn prepare(&mut self, change: impl FnOnce(&FaultyStorage)) {
        self.storage.fork_at_random(0, 0);
        change(&self.storage);
        self.record();
    }

    pub(crate) fn play(&mut self, steps: usize) {
        for step in 1..=steps {
            self.step = step;
            self.now += 10;
            self.clock.set(self.now);
            self.play_one();
        }
        self.close("close");
    }

    fn play_one(&mut self) {
        let row = self.row();
        match self.rng.below(78) {
            0..12 => self.put(&row),
            12..17 => self.mutate_rows(&row),
            17..20 => self.batch(),
            20..23 => self.increment(&row),
            23..26 => self.check_and_put(&row),
            26..29 => self.append(&row),
            29..37 => self.delete(&row),
            37..41 => self.keep("flush", Table::flush),
            41..43 => {
                // The log is rolled, but not removed.
                let family = ["f", "g"][self.rng.below(2)];
                self.keep("flush a family", |table| table.region(&row)?.flush_families(&[family]));
            }
            43..46 => {
                let (family, from) = (["f", "g"][self.rng.below(2)], self.rng.below(2));
                let compact = |table: &Table| table.region(&row)?.compact_files(family, from, 2);
                // There may be no such files.
                self.keep("compact some files", |table| {
                    compact(table).or_else(|error| match error.kind() {
                        ErrorKind::InvalidArgument => Ok(()),
                        _ => Err(error),
                    })
                });
            }
            46..49 => self.compact(),
            49..54 => {
                if self.table().regions().len() < 5 {
                    // Refused at the first row of a region, or if there are references.
                    self.keep("split", |table| table.split(&row).map(drop).or_else(refused));
                }
            }
            54..56 => {
                let regions = self.table().regions();
                let at = self.rng.below(regions.len());
                if let [first, second, ..] = &regions[at..] {
                    self.keep("merge", |table| table.merge(first, second).map(drop).or_else(refused));
                }
            }
            56..59 => self.keep("archive parents", |table| table.archive_parents().map(drop)),
            59..61 => self.snapshot(),
            61 => self.delete_snapshot(),
            62 => self.restore(),
            63 => self.clone_snapshot(),
            64 => self.delete_clone(),
            65 => self.truncate(),
            66..68 => self.alter(),
            68..71 => self.bulk_load(),
            71..73 => self.recover(),
            73..75 => self.reopen("reopen"),
            75 => self.crash(Crash::OfTheProcess, "kill"),
            _ => {
                let crash = Crash::Chance(self.rng.next());
                self.crash(crash, "cut");
            }
        }
    }

    /// Compacts all files, which archives parents of splits and merges.
    fn compact(&mut self) {
        let before = self.region_dirs();
        self.table().compact(Compaction::Major).unwrap();
        let shown = if self.region_dirs() < before { "compact and archive" } else { "compact all files" };
        self.check(&[], Repeated::None, shown);
    }

    /// The number of directories of the table's regions.
    fn region_dirs(&self) -> usize {
        files::region_dirs(&self.storage, &Path::new(ROOT).join("data/default").join(TABLE))
    }

    /// Makes a call that does not change the readable content.
    fn keep(&mut self, shown: &'static str, call: impl FnOnce(&Table) -> hregion::Result<()>) {
        call(self.table()).unwrap_or_else(|error| panic!("HREGION_SEED={}: {shown}: {error}", self.seed));
        self.check(&[], Repeated::None, shown);
    }

    pub(crate) fn row(&mut self) -> String {
        let letter = char::from(b'a' + u8::try_from(self.rng.below(8)).unwrap());
        format!("{letter}{}", self.rng.below(2))
    }
}

pub(crate) fn refused(error: hregion::Error) -> hregion::Result<()> {
    match error.kind() {
        ErrorKind::Unsupported | ErrorKind::InvalidArgument => Ok(()),
        _ => Err(error),
    }
}
