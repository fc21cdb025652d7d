//! Writes of rows.

use super::cut::Repeated;
use super::model::Model;
use super::world::World;
use hregion::{Append, CheckAndMutate, Delete, Increment, Mutation, Put};

impl World {
    /// Returns a put of a row into all families, and adds it to a model.
    fn put_of(&mut self, row: &str, model: &mut Model) -> Put {
        let (qualifier, value) = (["q", "p"][self.rng.below(2)], format!("v{}", self.now));
        let families = if self.has_h { &["f", "g", "h"][..] } else { &["f", "g"] };
        families.iter().fold(Put::new(row.to_owned()), |put, family| {
            model.put(row, family, qualifier, self.now, value.as_bytes());
            put.cell(*family, qualifier, value.clone())
        })
    }

    /// Checks a write that is stored as a whole or not at all.
    fn written(&mut self, model: Model, shown: &'static str) {
        self.check(&[model], Repeated::None, shown);
    }

    pub(crate) fn put(&mut self, row: &str) {
        let mut model = self.model.clone();
        let put = self.put_of(row, &mut model);
        self.table().put(put).unwrap();
        self.written(model, "put");
    }

    /// Puts and deletes in rows of one region.
    pub(crate) fn mutate_rows(&mut self, row: &str) {
        let region = self.table().region(row).unwrap();
        let mut rows = vec![row.to_owned()];
        for other in (0..3).map(|_| self.row()) {
            if region.info().contains(other.as_bytes()) && !rows.contains(&other) {
                rows.push(other);
            }
        }
        let mut model = self.model.clone();
        let mut mutations = Vec::new();
        for row in rows {
            mutations.push(if self.rng.below(3) > 0 {
                Mutation::from(self.put_of(&row, &mut model))
            } else {
                model.remove(|(of, ..), _| *of == row);
                Mutation::from(Delete::new(row))
            });
        }
        self.table().mutate_rows(mutations).unwrap();
        self.written(model, "mutate rows");
    }

    /// Puts rows of any regions: each is stored as a whole or not at all.
    pub(crate) fn batch(&mut self) {
        let (mut rows, mut contents) = (Vec::new(), vec![self.model.clone()]);
        let mut puts = Vec::new();
        for _ in 0..3 {
            let row = self.row();
            if !rows.contains(&row) {
                let mut written = Model::default();
                puts.push(Mutation::from(self.put_of(&row, &mut written)));
                let with = contents.iter().map(|content| {
                    let mut content = content.clone();
                    for ((row, family, qualifier), versions) in &written.0 {
                        let (time, value) = &versions[0];
                        content.put(row, family, qualifier, *time, value);
                    }
                    content
                });
                contents = contents.iter().cloned().chain(with).collect();
                rows.push(row);
            }
        }
        self.table().batch(puts).into_iter().for_each(|done| done.unwrap());
        self.check(&contents, Repeated::None, "batch");
    }

    pub(crate) fn increment(&mut self, row: &str) {
        let mut model = self.model.clone();
        for (family, by) in [("f", 1), ("g", 5)] {
            let old = model
                .newest(row, family, "n")
                .map_or(0, |(_, value)| i64::from_be_bytes(value.as_slice().try_into().expect("a counter")));
            model.put(row, family, "n", self.now, &(old + by).to_be_bytes());
        }
        let increment = Increment::new(row.to_owned()).column("f", "n", 1).column("g", "n", 5);
        self.table().increment(increment).unwrap();
        self.written(model, "increment");
    }

    pub(crate) fn append(&mut self, row: &str) {
        let mut model = self.model.clone();
        let old = model.newest(row, "g", "a").map_or(&[][..], |(_, value)| value);
        let value = [old, b"+"].concat();
        model.put(row, "g", "a", self.now, &value);
        self.table().append(Append::new(row.to_owned()).column("g", "a", "+")).unwrap();
        self.written(model, "append");
    }

    /// Puts if the row has no value.
    pub(crate) fn check_and_put(&mut self, row: &str) {
        let is_missing = self.model.newest(row, "f", "q").is_none();
        let (before, mut model) = (self.model.clone(), self.model.clone());
        let put = self.put_of(row, &mut model);
        let check = CheckAndMutate::if_not_exists(row.to_owned(), "f", "q").then(put);
        let result = self.table().check_and_mutate(check).unwrap();
        assert_eq!(result.success, is_missing, "HREGION_SEED={}", self.seed);
        self.written(if is_missing { model } else { before }, "check and put");
    }

    pub(crate) fn delete(&mut self, row: &str) {
        let (mut model, delete) = (self.model.clone(), Delete::new(row.to_owned()));
        let family = ["f", "g"][self.rng.below(2)];
        // A version of a family that keeps only one could reveal another that is not yet compacted away.
        let time = self.model.newest(row, "f", "q").map_or(1, |(time, _)| *time);
        let delete = match self.rng.below(5) {
            0 => {
                model.remove(|(of, ..), _| of == row);
                delete
            }
            1 => {
                model.remove(|(of, of_family, _), _| of == row && of_family == family);
                delete.family(family)
            }
            2 => {
                let is_deleted = |of: &str, of_family: &str, qualifier: &str| {
                    of == row && of_family == family && qualifier == "q"
                };
                model.remove(|(of, of_family, qualifier), _| is_deleted(of, of_family, qualifier));
                delete.column(family, "q")
            }
            3 => {
                model.remove(|(of, of_family, qualifier), at| {
                    of == row && of_family == "f" && qualifier == "q" && at == time
                });
                delete.version_at("f", "q", time)
            }
            _ => {
                model.remove(|(of, of_family, _), at| of == row && of_family == "f" && at == time);
                delete.family_version("f", time)
            }
        };
        self.table().delete(delete).unwrap();
        self.written(model, "delete");
    }
}
