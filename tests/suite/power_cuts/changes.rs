//! Changes of the whole table, its snapshots and clones.

use super::cut::Repeated;
use super::model::Model;
use super::world::World;
use super::{ROOT, TABLE};
use hregion::io::faulty::Crash;
use hregion::wal::{WalKey, WalWriterOptions};
use hregion::{
    Cell, CellRef, CellType, Family, HFileWriter, SeekKey, Storage, StoreFileOrigin, StoreFileWriter, Table,
    TableChanges,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

fn sync_dirs(storage: &dyn Storage, path: &Path) {
    path.ancestors().skip(1).for_each(|dir| storage.sync_dir(dir).unwrap());
}

impl World {
    pub(crate) fn snapshot(&mut self) {
        if self.snapshots.len() >= 2 {
            return;
        }
        let name = format!("s{}", self.step);
        self.table().snapshot(&name).unwrap();
        self.snapshots.insert(name.clone(), (self.model.clone(), self.has_h));
        self.in_doubt = Some(name);
        self.check(&[], Repeated::None, "snapshot");
    }

    pub(crate) fn delete_snapshot(&mut self) {
        let Some(name) = self.snapshots.keys().next().cloned() else { return };
        Table::delete_snapshot_with(ROOT, &name, self.options()).unwrap();
        self.in_doubt = Some(name.clone());
        self.check(&[], Repeated::None, "delete a snapshot");
        self.snapshots.remove(&name);
    }

    pub(crate) fn restore(&mut self) {
        let Some((name, (model, has_h))) = self.snapshots.iter().next_back() else { return };
        let (name, model, has_h) = (name.clone(), model.clone(), *has_h);
        self.close("restore");
        self.table = Some(Table::restore_snapshot(ROOT, &name, self.options()).unwrap());
        self.has_h = has_h;
        self.check(&[model], Repeated::Restore(name), "restore");
        self.reopen("restore");
    }

    pub(crate) fn clone_snapshot(&mut self) {
        let Some((name, (model, _))) = self.snapshots.iter().next() else { return };
        if self.clones.is_empty() {
            let (name, model, clone) = (name.clone(), model.clone(), format!("c{}", self.step));
            Table::clone_snapshot(ROOT, &name, &clone, self.options()).unwrap().close().unwrap();
            self.clones.insert(clone.clone(), model);
            self.in_doubt = Some(clone);
            self.check(&[], Repeated::None, "clone");
        }
    }

    pub(crate) fn delete_clone(&mut self) {
        let Some(name) = self.clones.keys().next().cloned() else { return };
        Table::delete_table(ROOT, &name, &self.options()).unwrap();
        self.in_doubt = Some(name.clone());
        self.check(&[], Repeated::None, "delete a clone");
        self.clones.remove(&name);
    }

    pub(crate) fn truncate(&mut self) {
        let preserve = self.rng.below(2) == 0;
        self.close("truncate");
        Table::truncate(ROOT, TABLE, preserve, &self.options()).unwrap();
        self.check(&[Model::default()], Repeated::Truncate(preserve), "truncate");
        self.reopen("truncate");
    }

    /// Adds the family `h`, or deletes it with its cells.
    pub(crate) fn alter(&mut self) {
        self.close("alter");
        let mut model = self.model.clone();
        let changes = if self.has_h {
            model.remove(|(_, family, _), _| family == "h");
            TableChanges::new().delete_family("h")
        } else {
            TableChanges::new().family(Family::new("h"))
        };
        Table::alter(ROOT, TABLE, &changes, &self.options()).unwrap();
        self.has_h = !self.has_h;
        self.check(&[model], Repeated::None, "alter");
        self.reopen("alter");
    }

    /// Loads one or two files of each family, with rows of several regions.
    pub(crate) fn bulk_load(&mut self) {
        let (now, step) = (self.now, self.step);
        let (mut model, input) = (self.model.clone(), format!("/input/{step}"));
        let mut files: BTreeMap<PathBuf, Vec<(String, &str)>> = BTreeMap::new();
        for family in ["f", "g"] {
            for _ in 0..1 + self.rng.below(4) {
                let row = self.row();
                let file = Path::new(&input).join(family).join(format!("file{}", self.rng.below(2)));
                let value = format!("loaded{now}");
                // Only once, because equal keys have no order.
                if model.newest(&row, family, "q").is_none_or(|(time, _)| *time < now) {
                    model.put(&row, family, "q", now, value.as_bytes());
                    files.entry(file).or_default().push((row, family));
                }
            }
        }
        self.prepare(|storage| {
            for (path, mut cells) in files {
                cells.sort();
                let dir = path.parent().unwrap();
                storage.create_dir_all(dir).unwrap();
                let file = storage.create_new(&path).unwrap();
                let mut writer = StoreFileWriter::create_in(HFileWriter::options(), file).unwrap();
                for (row, family) in cells {
                    let key = SeekKey::of(row.as_bytes(), family.as_bytes(), b"q", now, CellType::Put);
                    writer.append(CellRef::new(&key, format!("loaded{now}").as_bytes())).unwrap();
                }
                writer.finish(&StoreFileOrigin::flush(0)).unwrap();
                sync_dirs(storage, &path);
            }
        });
        self.table().bulk_load(&input).unwrap();
        self.check(&[model], Repeated::BulkLoad(input), "bulk load");
    }

    /// Recovers the log of a dead HBase server: a put of each family into a row of each region.
    pub(crate) fn recover(&mut self) {
        let regions = self.table().regions();
        if self.rng.below(2) == 0 {
            self.close("recover");
        } else {
            self.die(Crash::OfTheProcess);
        }
        let (now, step, mut model) = (self.now, self.step, self.model.clone());
        let mut entries = Vec::new();
        for row in (0..3).map(|_| self.row()) {
            let region = regions.iter().find(|region| region.contains(row.as_bytes())).unwrap();
            if model.newest(&row, "f", "log").is_some_and(|(time, _)| *time == now) {
                continue;
            }
            let value = format!("logged{now}");
            let cells = ["f", "g"].map(|family| {
                model.put(&row, family, "log", now, value.as_bytes());
                let key = SeekKey::of(row.as_bytes(), family.as_bytes(), b"log", now, CellType::Put);
                Cell::from(CellRef::new(&key, value.as_bytes()))
            });
            entries.push((region.encoded_name(), cells));
        }
        self.prepare(|storage| {
            let path = Path::new("/hbase/WALs/h,1,2").join(format!("h%2C1%2C2.{step}"));
            storage.create_dir_all(path.parent().unwrap()).unwrap();
            let mut writer = WalWriterOptions::new().create_in(storage, &path).unwrap();
            for (seq_id, (region, cells)) in (1_000_000 * i64::try_from(step).unwrap()..).zip(&entries) {
                let key = WalKey::new(region.as_str(), TABLE, seq_id, now);
                writer.append(&key, cells.iter().map(Cell::as_ref)).unwrap();
            }
            writer.sync().unwrap();
            sync_dirs(storage, &path);
        });
        Table::recover(ROOT, self.options()).unwrap();
        self.check(&[model], Repeated::Recover, "recover");
        self.reopen("recover");
    }
}
