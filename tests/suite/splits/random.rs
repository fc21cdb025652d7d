//! Random histories of writes, splits and merges, compared with a model.

use super::{families, names, values};
use crate::support::random_ops::first_seed;
use crate::support::rng::Rng;
use hregion::io::faulty::FaultyStorage;
use hregion::{Compaction, Delete, ErrorKind, ManualClock, Put, Region, RegionInfo, RegionOptions, Table};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The versions of each row and family, newest first.
type Model = BTreeMap<(String, &'static str), Vec<(i64, String)>>;

const VERSIONS: [(&str, usize); 2] = [("f", 3), ("g", 1)];

fn lines(model: &Model) -> Vec<String> {
    let cell = |(row, family): &(String, &'static str), (time, value): &(i64, String)| {
        format!("{row}/{family}/{time}={value}")
    };
    model.iter().flat_map(|(key, versions)| versions.iter().map(move |version| cell(key, version))).collect()
}

struct World {
    storage: FaultyStorage,
    table: Table,
    model: Model,
    now: i64,
    replaced: [usize; 3],
}

impl World {
    fn options(storage: &FaultyStorage, now: i64) -> RegionOptions {
        Region::options().storage(Arc::new(storage.clone())).clock(Arc::new(ManualClock::new(now)))
    }

    fn new() -> Self {
        let (storage, now) = (FaultyStorage::new(), 1000);
        let table =
            Table::create_with("/hbase", "t", &families(), &["m"], Self::options(&storage, now)).unwrap();
        Self { storage, table, model: Model::new(), now, replaced: [0; 3] }
    }

    fn step(&mut self, rng: &mut Rng, n: usize) {
        let row = format!("{}{}", char::from(b'a' + u8::try_from(rng.below(26)).unwrap()), rng.below(2));
        match rng.below(40) {
            0..18 => {
                let value = format!("v{n}");
                let (put, later) = (Put::new(row.clone()), rng.below(2) == 0);
                self.now += i64::from(later);
                let put = VERSIONS
                    .iter()
                    .fold(put, |put, (family, _)| put.cell_at(*family, "q", self.now, value.clone()));
                self.table.put(put).unwrap();
                for (family, keep) in VERSIONS {
                    let versions = self.model.entry((row.clone(), family)).or_default();
                    versions.retain(|(time, _)| *time != self.now);
                    versions.insert(0, (self.now, value.clone()));
                    versions.truncate(keep);
                }
            }
            18..22 => {
                let delete = VERSIONS.iter().fold(Delete::new(row.clone()), |delete, (family, _)| {
                    delete.family_at(*family, self.now)
                });
                self.table.delete(delete).unwrap();
                self.now += 1;
                self.model.retain(|(deleted, _), _| *deleted != row);
            }
            22..25 => self.table.flush().unwrap(),
            25..28 => {
                let region = self.table.region(&row).unwrap();
                region.compact(Compaction::Major).unwrap();
            }
            28 => self.table.region(&row).unwrap().compact(Compaction::Minor).unwrap(),
            29..32 => match self.table.split(&row) {
                Ok(_) => self.replaced[0] += 1,
                Err(error) => self.refused(&error, &row),
            },
            32..35 => {
                let regions = self.table.regions();
                let at = rng.below(regions.len());
                if let [first, second, ..] = &regions[at..] {
                    match self.table.merge(first, second) {
                        Ok(_) => self.replaced[1] += 1,
                        Err(error) => self.refused(&error, &row),
                    }
                }
            }
            35..37 => self.replaced[2] += self.table.archive_parents().unwrap().len(),
            37 => {
                self.table.close().unwrap();
                self.reopen();
            }
            38 => {
                // The process is killed.
                self.storage = self.storage.after(hregion::io::faulty::Crash::OfTheProcess);
                self.reopen();
            }
            _ => {
                // Power is lost.
                self.storage = self.storage.after(hregion::io::faulty::Crash::Chance(rng.next()));
                self.reopen();
            }
        }
    }

    /// A region is not replaced while it has references, and not split at its first row.
    fn refused(&self, error: &hregion::Error, row: &str) {
        if error.kind() == ErrorKind::Unsupported {
            assert!(error.to_string().contains("references"), "{error}");
        } else {
            let begins = |info: &RegionInfo| info.start_key() == row.as_bytes();
            assert!(self.table.regions().iter().any(begins), "{error}");
        }
    }

    fn reopen(&mut self) {
        let options = Self::options(&self.storage, self.now).writable(true);
        self.table = Table::open_with("/hbase", "t", options).unwrap();
    }
}

fn run(seed: u64, steps: usize) -> [usize; 3] {
    let (mut rng, mut world) = (Rng::new(seed), World::new());
    for n in 0..steps {
        world.step(&mut rng, n);
        if n % 5 == 0 {
            assert_eq!(values(&world.table), lines(&world.model), "seed {seed}, step {n}");
        }
    }
    assert_eq!(values(&world.table), lines(&world.model), "seed {seed}");
    assert!(names(&world.storage, ".change").is_empty());
    world.replaced
}

#[test]
fn random_histories_agree_with_a_model() {
    let first = first_seed();
    let mut all = [0; 3];
    for seed in first..first + 20 {
        let replaced = run(seed, 200);
        all.iter_mut().zip(replaced).for_each(|(all, replaced)| *all += replaced);
    }
    println!("seeds from {first}: {} splits, {} merges, {} parents archived", all[0], all[1], all[2]);
    assert!(all.iter().all(|count| *count > 40), "{all:?}");
}
