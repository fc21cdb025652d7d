//! Histories of a region, and its expected content after them.

use hregion::{Compaction, Delete, Durability, ErrorKind, Put, Region, Result, Row, Scan, Storage, Table};
use std::collections::BTreeMap;
use std::path::Path;

/// Returns the numbers of the calls or requests that fail: one in `every`, as failing each in turn takes
/// long, unless `HREGION_EVERY` is another number.
pub(crate) fn turns(first: u64, every: u64) -> impl Iterator<Item = u64> {
    let every = std::env::var("HREGION_EVERY").map_or(every, |every| every.parse().unwrap());
    (first.min(every)..).step_by(usize::try_from(every).unwrap())
}

/// Returns which of `requests` requests fail in one of several ways: `each` of them, between those that fail
/// in the other ways, unless `HREGION_EVERY` is set.
pub(crate) fn spread((way, ways): (usize, usize), each: u64, requests: u64) -> impl Iterator<Item = u64> {
    let every = requests.div_ceil(each);
    turns(1 + way as u64 * every / ways as u64, every).take_while(move |at| *at <= requests)
}

/// Writes and syncs a new file.
pub(crate) fn write_file(storage: &dyn Storage, path: &Path, bytes: &[u8]) {
    let mut file = storage.create_new(path).unwrap();
    file.write_all(bytes).unwrap();
    file.sync().unwrap();
}

/// Returns the bytes of a file.
pub(crate) fn read_file(storage: &dyn Storage, path: &Path) -> Vec<u8> {
    let file = storage.open(path).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len()).unwrap()];
    file.read_exact_at(&mut bytes, 0).unwrap();
    bytes
}

pub(crate) type Rows = BTreeMap<String, String>;

/// Returns the rows, each with its value, which is the same in both families.
pub(crate) fn rows(region: &Region) -> Rows {
    region.scan(Scan::new()).unwrap().map(|row| key_and_value(&row.unwrap())).collect()
}

/// The same of a table.
pub(crate) fn table_rows(table: &Table) -> Rows {
    assert!(table.inconsistencies().is_empty(), "{:?}", table.inconsistencies());
    table.scan(Scan::new()).unwrap().map(|row| key_and_value(&row.unwrap())).collect()
}

fn key_and_value(row: &Row) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let value = |family| row.value(family, "q").map(text);
    assert_eq!(value("f"), value("g"), "{row:?}");
    (text(row.key()), value("f").unwrap())
}

pub(crate) fn put(row: &str, value: &str) -> Put {
    let (row, value) = (row.to_owned(), value.to_owned());
    Put::new(row).cell("f", "q", value.clone()).cell("g", "q", value)
}

/// A change of a region.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Put(String, String, Durability),
    Delete(String),
    Flush,
    Compact,
}

impl Step {
    /// Returns the step with a number: the same in each process.
    pub(crate) fn number(seed: u64, number: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number.wrapping_mul(0xD134_2543_DE82_EF95);
        state ^= state >> 29;
        state = state.wrapping_mul(0xBF58_476D_1CE4_E5B9);
        state ^= state >> 32;
        let row = format!("row{:02}", state >> 8 & 31);
        match state & 31 {
            0 => Self::Compact,
            1..=2 => Self::Flush,
            3..=7 => Self::Delete(row),
            n => {
                let durability = if n % 2 == 0 { Durability::FsyncWal } else { Durability::SyncWal };
                Self::Put(row, format!("{number}-{}", "x".repeat((state >> 16) as usize & 4095)), durability)
            }
        }
    }

    pub(crate) fn run(&self, region: &Region) -> Result<()> {
        match self {
            Self::Put(row, value, durability) => region.put(put(row, value).durability(*durability)),
            Self::Delete(row) => region.delete(Delete::new(row.clone())),
            Self::Flush => region.flush(),
            Self::Compact => region.compact(Compaction::Major),
        }
    }

    pub(crate) fn apply(&self, rows: &mut Rows) {
        match self {
            Self::Put(row, value, _) => drop(rows.insert(row.clone(), value.clone())),
            Self::Delete(row) => drop(rows.remove(row)),
            Self::Flush | Self::Compact => {}
        }
    }
}

/// Makes 60 steps of a seed in a region with the rows of a model, and in the model.
pub(crate) fn play(seed: u64, region: &Region, model: &mut Rows) {
    assert_eq!(rows(region), *model);
    for number in 0..60 {
        let step = Step::number(seed, number);
        step.run(region).unwrap();
        step.apply(model);
    }
    assert_eq!(rows(region), *model);
}

/// Checks that opening fails because another process holds the lock.
pub(crate) fn expect_locked(opened: Result<Region>) {
    assert_eq!(opened.unwrap_err().kind(), ErrorKind::Locked);
}

/// The progress of a run that may fail.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempt {
    pub(crate) acknowledged: Rows,
    /// A failed write: it may have taken effect.
    pub(crate) in_doubt: Option<(String, Option<String>)>,
}

impl Attempt {
    /// Writes a file and a log of a new region.
    pub(crate) fn begin(opened: Result<Region>) -> (Region, Self) {
        let (region, mut attempt) = (opened.unwrap(), Self::default());
        attempt.write(&region, "a", Some("1")).unwrap();
        region.flush().unwrap();
        attempt.write(&region, "b", Some("1")).unwrap();
        (region, attempt)
    }

    /// Changes a region that has rows and closes it, until a call fails.
    pub(crate) fn run(&mut self, opened: Result<Region>) -> Result<()> {
        let region = opened?;
        self.write(&region, "b", Some("2"))?;
        region.flush()?;
        self.write(&region, "c", Some("3"))?;
        self.write(&region, "a", None)?;
        region.compact(Compaction::Major)?;
        self.write(&region, "a", Some("4"))?;
        region.close()
    }

    pub(crate) fn write(&mut self, region: &Region, row: &str, value: Option<&str>) -> Result<()> {
        self.in_doubt = Some((row.to_owned(), value.map(str::to_owned)));
        match value {
            Some(value) => region.put(put(row, value))?,
            None => region.delete(Delete::new(row.to_owned()))?,
        }
        self.in_doubt = None;
        self.acknowledge(row, value);
        Ok(())
    }

    fn acknowledge(&mut self, row: &str, value: Option<&str>) {
        match value {
            Some(value) => drop(self.acknowledged.insert(row.to_owned(), value.to_owned())),
            None => drop(self.acknowledged.remove(row)),
        }
    }

    /// Checks that the rows are the acknowledged ones, with or without the failed write.
    pub(crate) fn check(mut self, found: &Rows, context: &str) {
        if *found == self.acknowledged {
            return;
        }
        let (row, value) = self.in_doubt.take().unwrap_or_else(|| panic!("{context}: {found:?} {self:?}"));
        self.acknowledge(&row, value.as_deref());
        assert_eq!(*found, self.acknowledged, "{context}");
    }
}
