//! Every flipped bit and every truncation causes an error or the same cells, in scans and in seeks (hfile.md
//! §17.1). Tests small files with checksums, of several versions, codecs, encodings and Bloom filters.

use crate::support::alloc::measure;
use crate::support::crashes::one_in;
use crate::support::golden::{self, Golden};
use crate::support::open;
use crate::support::rng::Rng;
use hregion::{BlockCache, Cell, CellType, HFile, HFileOptions, Result, SeekKey};
use std::fs;
use std::ops::{AddAssign, Range};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Larger files take too long to damage in every way.
const SMALL: u64 = 18_000;
/// More than reading any of these files takes. A flipped length must not increase it.
const MEMORY: usize = 4 << 20;
const CASES: usize = 100_000;

#[test]
fn damage_ends_in_an_error_or_in_the_same_cells() {
    let subjects = subjects();
    let each = CASES.div_ceil(subjects.len());
    run(&subjects, |subject, number| {
        let mut rng = Rng::new(0x5eed_0000 + u64::try_from(number).expect("a small number"));
        let bits = subject.bytes.len() * 8;
        // one cut for every eight flips, as in the exhaustive test
        let choose = move |n: usize| {
            if n.is_multiple_of(9) { Damage::Cut(rng.below(bits / 8)) } else { Damage::Flip(rng.below(bits)) }
        };
        Box::new((0..each).map(choose))
    });
}

#[test]
#[ignore = "millions of cases: takes minutes"]
fn every_flipped_bit_and_every_cut_ends_in_an_error_or_in_the_same_cells() {
    let chosen = one_in(1).map(|n| usize::try_from(n).expect("usize fits u64"));
    run(&subjects(), |subject, _| {
        let len = subject.bytes.len();
        let padding = subject.padding();
        // Some bits of the padding are enough: no reader uses it.
        let bits = chosen.clone().take_while(move |bit| bit / 8 < len);
        let bits = bits.filter(move |bit| !padding.contains(&(bit / 8)) || bit.is_multiple_of(61));
        let cuts = chosen.clone().take_while(move |cut| *cut < len);
        Box::new(bits.map(Damage::Flip).chain(cuts.map(Damage::Cut)))
    });
}

#[derive(Clone, Copy, Debug)]
enum Damage {
    /// Flips this bit.
    Flip(usize),
    /// Truncates the file to this length.
    Cut(usize),
}

/// A sound file, and the expected results of a few seeks.
struct Subject {
    golden: Golden,
    bytes: Vec<u8>,
    cells: Vec<Cell>,
    seeks: Vec<Expected>,
}

struct Expected {
    key: SeekKey,
    /// The index of the first cell not before the key.
    at: usize,
    exact: bool,
    row_is_there: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    detected: usize,
    harmless: usize,
    silent: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.detected += other.detected;
        self.harmless += other.harmless;
        self.silent += other.silent;
    }
}

fn subjects() -> Vec<Subject> {
    let mut goldens = golden::in_folder(&golden::root("testdata/golden"));
    goldens.retain(|g| {
        let unchecked = g.hbase.starts_with("0.94") && !g.made.contains("checksum.verify=true");
        let unchecked = unchecked || g.setting("--checksum") == Some("NULL");
        let size = fs::metadata(g.hfile()).expect("the file of a manifest").len();
        !unchecked && size <= SMALL && !g.is_refused() && open::missing_feature(g).is_none()
    });
    assert!(goldens.len() >= 20, "only {} small files with checksums", goldens.len());
    goldens.into_iter().map(Subject::new).collect()
}

/// Applies the `damages` of each file, in two threads, and prints the counts.
fn run<'a, F>(subjects: &'a [Subject], damages: F)
where
    F: Fn(&'a Subject, usize) -> Box<dyn Iterator<Item = Damage> + 'a> + Sync,
{
    let dir = tempfile::tempdir().expect("a temporary directory");
    // blocks are evicted from memory, and found in the second tier
    let tier = BlockCache::options().capacity(4 << 10).second_tier(dir.path(), 1 << 20);
    let cache = tier.second_tier_min_reads(1).build();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut total = Counts::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(subject) = subjects.get(number) else { return total };
            let mut counts = Counts::default();
            for (i, damage) in damages(subject, number).enumerate() {
                counts += subject.judge(damage, (i % 3 == 2).then_some(&cache));
            }
            eprintln!("{:<40} {counts:?}", subject.golden.name);
            total += counts;
        }
    };
    let total = thread::scope(|scope| {
        let other = scope.spawn(work);
        let mut total = work();
        total += other.join().expect("no case panics");
        total
    });
    eprintln!("{} files: {total:?}", subjects.len());
    assert_eq!(total.silent, 0, "damage went unnoticed");
    let stats = cache.stats().second_tier.expect("there is a second tier");
    assert!(stats.hits > 1000 && stats.failures + stats.mismatches == 0, "{stats:?}");
}

impl Subject {
    fn new(golden: Golden) -> Self {
        let bytes = fs::read(golden.hfile()).expect("the file of a manifest");
        let file =
            open::open_bytes(open::options(&golden), &golden.name, bytes.clone()).expect("a sound file");
        let cells = open::all_cells(&file).expect("a sound file");
        let keys: Vec<SeekKey> = cells.iter().map(|cell| SeekKey::from(cell.as_ref().key())).collect();
        let order = open::order(&golden);
        let mut wanted = vec![SeekKey::first_on_row(b"\xff")];
        if let [first, .., last] = keys.as_slice() {
            let middle = &keys[keys.len() / 2];
            let (row, family, qualifier) = (middle.row(), middle.family(), middle.qualifier());
            let gap = SeekKey::of(row, family, qualifier, middle.timestamp(), CellType::Maximum);
            wanted.extend([first.clone(), gap, last.clone()]);
        }
        let seeks = wanted.into_iter().map(|key| {
            let at = open::first_not_before(order, &keys, &key);
            Expected {
                exact: keys.get(at).is_some_and(|k| order.compare(k, &key).is_eq()),
                row_is_there: keys.iter().any(|k| k.row() == key.row()),
                at,
                key,
            }
        });
        let subject = Self { seeks: seeks.collect(), golden, bytes, cells };
        let sound = subject.read(subject.bytes.clone(), None);
        assert!(sound.is_ok_and(|same| same), "{}: the sound file differs", subject.golden.name);
        subject
    }

    fn options(&self, cache: Option<&BlockCache>) -> HFileOptions {
        let options = open::options(&self.golden);
        match cache {
            Some(cache) => options.cache(cache),
            None => options,
        }
    }

    /// Returns the range of the zeros between the fields of the trailer and the version at its end.
    fn padding(&self) -> Range<usize> {
        let end = self.bytes.len() - 4;
        let start = self.bytes[..end].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        start..end
    }

    fn judge(&self, damage: Damage, cache: Option<&BlockCache>) -> Counts {
        let mut bytes = self.bytes.clone();
        match damage {
            Damage::Flip(bit) => bytes[bit / 8] ^= 1 << (bit % 8),
            Damage::Cut(len) => bytes.truncate(len),
        }
        let told = OnPanic(&self.golden.name, damage);
        let (outcome, usage) = measure(|| self.read(bytes, cache));
        assert!(usage.peak <= MEMORY, "{} bytes of memory", usage.peak);
        drop(told);
        let mut counts = Counts::default();
        match outcome {
            Err(error) => {
                open::assert_refusal(&error, &self.golden.name);
                counts.detected = 1;
            }
            Ok(true) => counts.harmless = 1,
            Ok(false) => {
                eprintln!("{}: {damage:?} went unnoticed", self.golden.name);
                counts.silent = 1;
            }
        }
        counts
    }

    /// Reads a copy in every way. Returns `Ok(false)` if any result differs from the sound file, even before
    /// an error, and an error only if all earlier results were right.
    fn read(&self, bytes: Vec<u8>, cache: Option<&BlockCache>) -> Result<bool> {
        let file = open::open_bytes(self.options(cache), &self.golden.name, bytes)?;
        let mut first_error = None;
        match self.scan(&file) {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => first_error = Some(error),
        }
        for expected in &self.seeks {
            match self.seek(&file, expected) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        first_error.map_or(Ok(true), Err)
    }

    fn scan(&self, file: &HFile) -> Result<bool> {
        let (mut at, mut same) = (0, true);
        let scanned = open::scan(file, |cell| {
            same &= self.cells.get(at).map(Cell::as_ref) == Some(cell);
            at += 1;
        });
        if same { scanned.map(|count| count == self.cells.len()) } else { Ok(false) }
    }

    fn seek(&self, file: &HFile, expected: &Expected) -> Result<bool> {
        if expected.row_is_there && !file.may_contain_row(expected.key.row()) {
            return Ok(false);
        }
        let mut scanner = file.scanner();
        let seek = scanner.seek(&expected.key)?;
        let same = scanner.peek() == self.cells.get(expected.at).map(Cell::as_ref);
        if !same || (seek.code() == 0) != expected.exact {
            return Ok(false);
        }
        let before = expected.at.checked_sub(1).map(|at| self.cells[at].as_ref());
        let found = scanner.seek_before(&expected.key)?;
        Ok(found == before.is_some() && scanner.peek() == before)
    }
}

/// Prints the case if it panics.
struct OnPanic<'a>(&'a str, Damage);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}: {:?} panicked", self.0, self.1);
        }
    }
}
