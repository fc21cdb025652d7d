//! Calls of the storage fail, or only their answers are lost, one at a time during random histories of a
//! table, and the process continues: a failed change has taken effect or not, it can be repeated, and nothing
//! deleted reappears.

use crate::power_cuts::cut::{abandon, left_by};
use crate::power_cuts::model::Model;
use crate::power_cuts::world::refused;
use crate::power_cuts::{ROOT, TABLE, create, options};
use crate::support::files::io_kind;
use crate::support::random_ops::{number, play_all};
use crate::support::rng::Rng;
use crate::support::trackers::with_list;
use hregion::io::faulty::{Crash, FaultyStorage};
use hregion::{
    CellRef, CellType, Compaction, Delete, Error, ErrorKind, Family, HFileWriter, ManualClock, Mutation, Put,
    RegionInfo, RegionOptions, Result, SeekKey, Severity, Storage, StoreFileOrigin, StoreFileWriter, Table,
};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::Path;
use std::sync::Arc;

struct History {
    seed: u64,
    has_leases: bool,
    rng: Rng,
    storage: FaultyStorage,
    clock: Arc<ManualClock>,
    now: i64,
    step: usize,
    table: Option<Table>,
    model: Model,
    snapshots: BTreeMap<String, Model>,
    /// The number of operations that have failed.
    failed: usize,
}

impl History {
    /// Creates a table, optionally in an object store, where lists track the files of all families. Otherwise
    /// locks can be lost if the seed is odd.
    fn new(seed: u64, has_objects: bool) -> Self {
        let (storage, now) = (FaultyStorage::new(), 1000);
        let has_leases = !has_objects && seed % 2 == 1;
        if has_leases {
            storage.has_leases();
        }
        if has_objects {
            storage.has_objects();
            let families = [Family::new("f").max_versions(1000), Family::new("g")].map(with_list);
            let table = Table::create_with(ROOT, TABLE, &families, &["d"], options(&storage, now));
            table.unwrap().close().unwrap();
        } else {
            create(&storage, now).unwrap().close().unwrap();
        }
        let mut history = Self {
            seed,
            has_leases,
            rng: Rng::new(seed ^ 0xfa11),
            storage,
            clock: Arc::new(ManualClock::new(now)),
            now,
            step: 0,
            table: None,
            model: Model::default(),
            snapshots: BTreeMap::new(),
            failed: 0,
        };
        history.open();
        history
    }

    fn shown(&self) -> String {
        format!("HREGION_SEED={}, step {}", self.seed, self.step)
    }

    fn options(&self) -> RegionOptions {
        options(&self.storage, 0).clock(Arc::clone(&self.clock) as _)
    }

    fn table(&self) -> &Table {
        self.table.as_ref().expect("an open table")
    }

    /// Returns the value of a call that must not fail.
    fn done<T>(&self, result: Result<T>) -> T {
        result.unwrap_or_else(|error| panic!("{}: {error}", self.shown()))
    }

    fn open(&mut self) {
        let opened = Table::open_with(ROOT, TABLE, self.options().writable(true));
        self.table = Some(self.done(opened));
    }

    /// Closes the table. If that fails, the cells are in files or logs nevertheless.
    fn close(&mut self) {
        if let Some(table) = self.table.take() {
            let _ = table.close();
        }
    }

    /// Makes a call during which one call of the storage may fail.
    fn attempt<T>(&mut self, call: impl FnOnce(&Self) -> Result<T>) -> Result<T> {
        if self.rng.below(3) > 0 {
            let kind = [io::ErrorKind::Other, io::ErrorKind::StorageFull][self.rng.below(2)];
            let calls = [4, 20, 80, 250][self.rng.below(4)];
            let at = u64::try_from(self.rng.below(calls)).unwrap();
            self.storage.fail_with(kind);
            self.storage.lose_answers(self.rng.below(3) == 0);
            self.storage.fail_among_all([at]);
        }
        let result = call(self);
        self.storage.heal();
        self.failed += usize::from(result.is_err());
        result
    }

    /// Opens the table again if a region refuses writes. Returns whether one did.
    fn revive(&mut self) -> bool {
        let is_poisoned = |info: &RegionInfo| {
            let region = self.done(self.table().region(info.start_key()));
            region.health().poisoned.is_some()
        };
        let has_poisoned = self.table().regions().iter().any(is_poisoned);
        if has_poisoned {
            self.close();
            self.open();
        }
        has_poisoned
    }

    /// After a failed call, checks that the table has one of the given contents: the first one, unless a
    /// region refuses writes.
    fn settle(&mut self, contents: &[Model]) {
        let may_be_made = self.revive();
        let found = self.done(Model::read(self.table()));
        let contents = if may_be_made { contents } else { &contents[..1] };
        assert!(contents.contains(&found), "{}: {found:?}\nexpected {contents:#?}", self.shown());
        self.model = found;
    }

    /// Makes a call that does not change the readable content, and repeats it if it fails.
    fn keep(&mut self, call: impl Fn(&Self) -> Result<()>) {
        if self.attempt(&call).is_err() {
            let before = self.model.clone();
            self.settle(&[before]);
            self.done(call(self));
        }
    }

    /// Checks a write, after which the table has another content.
    fn written(&mut self, result: &Result<()>, after: Model) {
        match result {
            Ok(()) => self.model = after,
            Err(_) => {
                let before = self.model.clone();
                self.settle(&[before, after]);
            }
        }
    }

    /// Checks that a closed table has one of two contents, or that it does not exist.
    fn check_closed(&self, contents: &[Model; 2]) {
        match Table::open_with(ROOT, TABLE, self.options()) {
            Err(error) if error.kind() == ErrorKind::TableNotFound => {}
            opened => {
                let found = self.done(Model::read(&self.done(opened)));
                assert!(contents.contains(&found), "{}: {found:?}", self.shown());
            }
        }
    }

    fn check_snapshots(&self) {
        for (name, model) in &self.snapshots {
            let snapshot = self.done(Table::open_snapshot_with(ROOT, name, self.options()));
            assert_eq!(&self.done(Model::read(&snapshot)), model, "{}: {name}", self.shown());
        }
    }

    fn play(&mut self, steps: usize) {
        for step in 1..=steps {
            self.step = step;
            self.now += 10;
            self.clock.set(self.now);
            self.play_one();
            let found = self.done(Model::read(self.table()));
            assert_eq!(found, self.model, "{}", self.shown());
            if step % 8 == 0 {
                self.check_snapshots();
            }
        }
        self.end();
    }

    fn play_one(&mut self) {
        match self.rng.below(40) {
            0..9 => self.put(),
            9..12 => self.batch(),
            12..17 => self.delete(),
            17..20 => self.keep(|history| history.table().flush()),
            20..24 => self.keep(|history| history.table().compact(Compaction::Major)),
            24..27 => self.split(),
            27..29 => self.merge(),
            29..31 => self.snapshot(),
            31 => self.delete_snapshot(),
            32 => self.restore(),
            33 => self.truncate(),
            34..36 => self.clone_and_delete(),
            36..38 => self.bulk_load(),
            38 => {
                let _ = self.attempt(|history| history.table().close());
                self.close();
                self.open();
            }
            _ => {
                let crash = match self.rng.below(2) {
                    1 if !self.has_leases => Crash::Chance(self.rng.next()),
                    // All changes are durable where locks can be lost.
                    _ => Crash::OfTheProcess,
                };
                let left = left_by(&self.storage, crash);
                abandon(&self.storage, self.table.take());
                self.storage = left;
                self.open();
            }
        }
    }

    fn row(&mut self) -> String {
        let letter = char::from(b'a' + u8::try_from(self.rng.below(8)).unwrap());
        format!("{letter}{}", self.rng.below(2))
    }

    /// Returns up to `count` rows, in order.
    fn rows(&mut self, count: usize) -> BTreeSet<String> {
        (0..count).map(|_| self.row()).collect()
    }

    /// Returns a put of a row into both families, and adds it to a model.
    fn put_of(&self, row: &str, model: &mut Model) -> Put {
        let value = format!("v{}", self.now);
        ["f", "g"].into_iter().fold(Put::new(row.to_owned()), |put, family| {
            model.put(row, family, "q", self.now, value.as_bytes());
            put.cell(family, "q", value.clone())
        })
    }

    fn put(&mut self) {
        let (row, mut after) = (self.row(), self.model.clone());
        let put = self.put_of(&row, &mut after);
        let result = self.attempt(|history| history.table().put(put));
        self.written(&result, after);
    }

    /// Puts rows of any regions: each is stored as a whole or not at all.
    fn batch(&mut self) {
        let rows = self.rows(3);
        let put = |row: &String| Mutation::from(self.put_of(row, &mut Model::default()));
        let puts: Vec<Mutation> = rows.iter().map(put).collect();
        let results = self.attempt(|history| Ok(history.table().batch(puts)));
        let results = self.done(results);
        let mut contents = vec![self.model.clone()];
        for (row, result) in rows.iter().zip(&results) {
            let before = if result.is_ok() { Vec::new() } else { contents.clone() };
            contents.iter_mut().for_each(|content| drop(self.put_of(row, content)));
            contents = [before, contents].concat();
        }
        if results.iter().all(Result::is_ok) {
            self.model = contents.swap_remove(0);
        } else {
            self.failed += 1;
            self.settle(&contents);
        }
    }

    fn delete(&mut self) {
        let (row, mut after) = (self.row(), self.model.clone());
        let delete = Delete::new(row.clone());
        let delete = if self.rng.below(2) == 0 {
            after.remove(|(of, ..), _| *of == row);
            delete
        } else {
            after.remove(|(of, family, _), _| *of == row && family == "g");
            delete.family("g")
        };
        let result = self.attempt(|history| history.table().delete(delete));
        self.written(&result, after);
    }

    fn split(&mut self) {
        let (row, count) = (self.row(), self.table().regions().len());
        // Refused at the first row of a region, or if there are references.
        self.keep(|history| match history.table().regions().len() {
            now if now == count && count < 5 => history.table().split(&row).map(drop).or_else(refused),
            _ => Ok(()),
        });
    }

    fn merge(&mut self) {
        let count = self.table().regions().len();
        let at = self.rng.below(count);
        self.keep(|history| {
            let regions = history.table().regions();
            match &regions[at.min(regions.len())..] {
                [first, second, ..] if regions.len() == count => {
                    history.table().merge(first, second).map(drop).or_else(refused)
                }
                _ => Ok(()),
            }
        });
    }

    fn snapshot(&mut self) {
        if self.snapshots.len() < 2 {
            let name = format!("s{}", self.step);
            let exists = |error: Error| if error.is_already_exists() { Ok(()) } else { Err(error) };
            self.keep(|history| history.table().snapshot(&name).map(drop).or_else(exists));
            self.snapshots.insert(name, self.model.clone());
        }
    }

    fn delete_snapshot(&mut self) {
        let Some(name) = self.snapshots.keys().next().cloned() else { return };
        let is_gone = |error: Error| match io_kind(&error) {
            Some(io::ErrorKind::NotFound) => Ok(()),
            _ => Err(error),
        };
        self.keep(|history| Table::delete_snapshot_with(ROOT, &name, history.options()).or_else(is_gone));
        self.snapshots.remove(&name);
    }

    fn restore(&mut self) {
        let Some((name, after)) = self.snapshots.iter().next_back() else { return };
        let (name, after) = (name.clone(), after.clone());
        self.close();
        let restore = |history: &Self| Table::restore_snapshot(ROOT, &name, history.options());
        let table = match self.attempt(restore) {
            Ok(table) => table,
            Err(_) => {
                self.check_closed(&[self.model.clone(), after.clone()]);
                self.done(restore(self))
            }
        };
        (self.table, self.model) = (Some(table), after);
    }

    fn truncate(&mut self) {
        let preserve = self.rng.below(2) == 0;
        self.close();
        let truncate = |history: &Self| Table::truncate(ROOT, TABLE, preserve, &history.options());
        if self.attempt(truncate).is_err() {
            self.check_closed(&[self.model.clone(), Model::default()]);
            self.done(truncate(self));
        }
        self.model = Model::default();
        self.open();
    }

    /// Clones a snapshot, deletes a row of the clone, and then the clone.
    fn clone_and_delete(&mut self) {
        let Some((snapshot, model)) = self.snapshots.iter().next() else { return };
        let (snapshot, mut left) = (snapshot.clone(), model.clone());
        let name = format!("c{}", self.step);
        let clone = |history: &Self| {
            Table::clone_snapshot(ROOT, &snapshot, &name, history.options()).and_then(|clone| clone.close())
        };
        if self.attempt(clone).is_err()
            && let Err(error) = clone(self)
        {
            assert!(error.is_already_exists(), "{}: {error}", self.shown());
        }
        let read = |history: &Self| {
            let clone = history.done(Table::open_with(ROOT, &name, history.options()));
            history.done(Model::read(&clone))
        };
        assert_eq!(read(self), left, "{}: {name}", self.shown());
        let row = self.row();
        left.remove(|(of, ..), _| *of == row);
        let table = self.done(Table::open_with(ROOT, &name, self.options().writable(true)));
        self.done(table.delete(Delete::new(row)));
        self.done(table.flush());
        self.done(table.compact(Compaction::Major));
        self.done(table.close());
        assert_eq!(read(self), left, "{}: {name}", self.shown());
        let delete = |history: &Self| Table::delete_table(ROOT, &name, &history.options());
        if self.attempt(delete).is_err()
            && let Err(error) = delete(self)
        {
            assert_eq!(error.kind(), ErrorKind::TableNotFound, "{}: {error}", self.shown());
        }
    }

    /// Loads a file of each family, with rows of one or several regions.
    fn bulk_load(&mut self) {
        let (rows, input) = (self.rows(3), format!("/input/{}", self.step));
        let (value, mut after) = (format!("loaded{}", self.now), self.model.clone());
        for family in ["f", "g"] {
            let path = Path::new(&input).join(family).join("file");
            self.storage.create_dir_all(path.parent().unwrap()).unwrap();
            let file = self.storage.create_new(&path).unwrap();
            let mut writer = StoreFileWriter::create_in(HFileWriter::options(), file).unwrap();
            for row in &rows {
                after.put(row, family, "q", self.now, value.as_bytes());
                let key = SeekKey::of(row.as_bytes(), family.as_bytes(), b"q", self.now, CellType::Put);
                writer.append(CellRef::new(&key, value.as_bytes())).unwrap();
            }
            writer.finish(&StoreFileOrigin::flush(0)).unwrap();
            path.ancestors().skip(1).for_each(|dir| self.storage.sync_dir(dir).unwrap());
        }
        let load = |history: &Self| history.table().bulk_load(&input).map(drop);
        if self.attempt(load).is_err() {
            self.revive();
            let found = self.done(Model::read(self.table()));
            assert!(found.is_mix_of(&self.model, &after), "{}: {found:?}", self.shown());
            self.done(load(self));
        }
        self.model = after;
    }

    /// Deletes rows, compacts, and opens the table again.
    fn end(&mut self) {
        self.revive();
        self.step += 1;
        self.now += 10;
        self.clock.set(self.now);
        for row in self.rows(4) {
            self.model.remove(|(of, ..), _| *of == row);
            self.done(self.table().delete(Delete::new(row)));
        }
        self.done(self.table().flush());
        self.done(self.table().compact(Compaction::Major));
        self.done(self.table().close());
        self.open();
        assert_eq!(self.done(Model::read(self.table())), self.model, "{}", self.shown());
        self.check_snapshots();
        self.done(self.table().close());
        let report = self.done(Table::check_root(ROOT, self.options()));
        let errors: Vec<_> =
            report.findings.iter().filter(|finding| finding.severity == Severity::Error).collect();
        assert!(errors.is_empty(), "{}: {errors:?}", self.shown());
    }
}

fn play(histories: u64, has_objects: bool) {
    let mut failed = 0;
    play_all(histories, 1, |seed| {
        let mut history = History::new(seed, has_objects);
        history.play(40);
        failed += history.failed;
    });
    println!("{failed} operations have failed");
    assert!(failed > 10 || number("HREGION_OPS").is_some(), "{failed}");
}

#[test]
fn one_failing_call_of_a_history_of_a_table_loses_nothing() {
    play(16, false);
}

#[test]
fn one_failing_call_of_a_history_in_an_object_store_loses_nothing() {
    play(10, true);
}

#[test]
#[ignore = "takes minutes"]
fn one_failing_call_of_a_history_of_a_table_at_length() {
    [false, true].into_iter().for_each(|has_objects| play(1_500, has_objects));
}
