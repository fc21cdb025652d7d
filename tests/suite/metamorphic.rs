//! Plays one history of operations with many configurations that must not change any answer: encodings,
//! codecs, Bloom filters, block and cache sizes, ways to seek, threads. For histories whose answers cannot
//! depend on when cells were flushed and compacted, the times of flushes and compactions and the compaction
//! policy vary too.
//!
//! `HREGION_SEED` sets the first seed and `HREGION_OPS` sets the number of operations, counted for each
//! configuration. A failure prints the seed that replays it alone.

use crate::support::no_sync::NoSync;
use crate::support::random_ops::play_all;
use crate::support::rng::Rng;
use crate::support::scan_modes::{Way, leaping};
use crate::support::written::{job_origin, write_store_file};
use hregion::{
    Append, BlockCache, BloomType, CellType, CheckAndMutate, Codec, Compaction, DataBlockEncoding, Delete,
    Family, Filter, Get, HFileWriter, Increment, KeepDeletedCells, ManualClock, Put, ReadView, Region, Row,
    Scan, SeekKey, TimeRange,
};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// The length of a history, and the number of configurations that play it.
const LEN: usize = 200;
const CONFIGURATIONS: usize = 10;
const OPS_PER_HISTORY: u64 = (LEN * CONFIGURATIONS) as u64;

#[test]
fn answers_depend_on_no_configuration() {
    play_all(34_000, OPS_PER_HISTORY, compare);
}

/// A run of some hours.
#[test]
#[ignore = "takes hours"]
fn answers_depend_on_no_configuration_at_length() {
    play_all(1_000_000, OPS_PER_HISTORY, compare);
}

/// Plays the history of a seed with several configurations and compares the answers.
fn compare(seed: u64) {
    let mut rng = Rng::new(seed);
    let history = History::new(&mut rng, seed.is_multiple_of(2));
    let plain = Configuration::plain();
    let expected = play(&history, &plain);
    for _ in 1..CONFIGURATIONS {
        let configuration = Configuration::any(&mut rng, history.blind);
        let found = play(&history, &configuration);
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            if found != expected {
                let before: Vec<String> =
                    history.steps[..=at].iter().map(|step| format!("{step:?}")).collect();
                println!("{}\n{:#?}\n{configuration:?}", before.join("\n"), history.families);
                panic!("step {at}, {:?}:\n{found}\nnot\n{expected}", history.steps[at]);
            }
        }
        assert_eq!(found.len(), expected.len());
    }
}

/// Settings of a region that must not change its answers.
#[derive(Debug)]
struct Configuration {
    encoding: DataBlockEncoding,
    codec: Codec,
    bloom: Option<BloomType>,
    block_size: u32,
    cache: Option<u64>,
    /// The bytes of the second tier of the cache.
    second_tier: Option<u64>,
    lazy_seek: bool,
    /// The number of threads that read at once.
    threads: usize,
    /// When to flush and compact, if the history does not decide it: a seed, and the mean number of steps
    /// between.
    own: Option<(u64, usize)>,
    background: Option<u64>,
    /// When recent cells are moved in memory.
    in_memory: Option<u64>,
    settings: Vec<(&'static str, &'static str)>,
}

impl Configuration {
    fn plain() -> Self {
        Self {
            encoding: DataBlockEncoding::None,
            codec: Codec::None,
            bloom: None,
            block_size: 64 << 10,
            cache: None,
            second_tier: None,
            lazy_seek: false,
            threads: 1,
            own: None,
            background: None,
            in_memory: Some(0),
            settings: Vec::new(),
        }
    }

    fn any(rng: &mut Rng, blind: bool) -> Self {
        let codecs = [Codec::None, Codec::None, Codec::Gz, Codec::Snappy, Codec::Lz4, Codec::Zstd];
        let blooms =
            [None, Some(BloomType::Row), Some(BloomType::RowCol), Some(BloomType::RowPrefixFixedLength(1))];
        let engine = "hbase.hstore.engine.class";
        let settings: [&[(&str, &str)]; 5] = [
            &[],
            &[("hbase.hstore.compaction.min", "2"), ("hbase.hstore.compaction.max", "3")],
            &[("hbase.hstore.defaultengine.compactionpolicy.class", "RatioBasedCompactionPolicy")],
            &[
                (engine, "DateTieredStoreEngine"),
                ("hbase.hstore.compaction.date.tiered.base.window.millis", "500"),
                ("hbase.hstore.compaction.date.tiered.windows.per.tier", "2"),
                ("hbase.hstore.compaction.date.tiered.incoming.window.min", "2"),
                ("hbase.hstore.compaction.date.tiered.single.output.for.minor.compaction", "false"),
            ],
            &[(engine, "StripeStoreEngine"), ("hbase.hstore.time.to.purge.deletes", "700")],
        ];
        Self {
            encoding: DataBlockEncoding::ALL[rng.below(DataBlockEncoding::ALL.len())],
            codec: codecs[rng.below(codecs.len())],
            bloom: blooms[rng.below(blooms.len())],
            block_size: [30, 100, 300, 1000, 64 << 10][rng.below(5)],
            cache: [None, Some(1 << 10), Some(20 << 10), Some(1 << 20)][rng.below(4)],
            second_tier: [None, Some(2 << 10), Some(256 << 10)][rng.below(3)],
            lazy_seek: rng.below(3) > 0,
            threads: [1, 1, 2, 3][rng.below(4)],
            own: blind.then(|| (rng.next(), [3, 10, 30, 1000][rng.below(4)])),
            background: (blind && rng.below(4) == 0).then(|| [1, 500, 3000][rng.below(3)]),
            in_memory: [None, Some(0), Some(300), Some(1_000)][rng.below(4)],
            settings: if blind { settings[rng.below(settings.len())].to_vec() } else { Vec::new() },
        }
    }

    fn family(&self, family: &Family) -> Family {
        let family = family
            .clone()
            .data_block_encoding(self.encoding)
            .codec(self.codec)
            .bloom(self.bloom)
            .block_size(self.block_size);
        self.settings.iter().fold(family, |family, (key, value)| family.configuration(*key, *value))
    }
}

/// The steps played on a region, reads included.
#[derive(Debug)]
struct History {
    families: Vec<Family>,
    /// Whether the answers are independent of the times of flushes and compactions.
    blind: bool,
    steps: Vec<Action>,
}

#[derive(Clone, Debug)]
enum Action {
    Clock(i64),
    Put(Put),
    Delete(Delete),
    Increment(Increment),
    Append(Append),
    Check(CheckAndMutate),
    Get(Get),
    Scan(Scan, Way),
    Hold,
    ScanHeld(Scan),
    Release,
    Flush(Vec<String>),
    Compact(String, usize, usize),
    CompactAll,
    BulkLoad(BTreeMap<String, Vec<Loaded>>),
    Reopen,
}

/// A cell of a bulk-loaded file: row, qualifier, timestamp, type, value.
type Loaded = (Vec<u8>, Vec<u8>, i64, CellType, Vec<u8>);

const NAMES: [&str; 3] = ["f", "g", "h"];
const ROWS: [&[u8]; 8] = [b"a", b"a\0", b"aa", b"b", b"ba", b"c", b"d\xff", b"\xff"];
/// The first is not used with NEW_VERSION_BEHAVIOR (read-path.md §23.2).
const QUALIFIERS: [&[u8]; 5] = [b"", b"a", b"ab", b"b", b"c\xff"];

/// Generates the steps of a history.
struct Maker<'r> {
    rng: &'r mut Rng,
    blind: bool,
    families: Vec<Family>,
    rows: Vec<&'static [u8]>,
    qualifiers: Vec<&'static [u8]>,
    now: i64,
    steps: Vec<Action>,
}

impl History {
    fn new(rng: &mut Rng, blind: bool) -> Self {
        let count = 1 + rng.below(NAMES.len());
        let families: Vec<_> = NAMES[..count].iter().map(|name| family(name, blind, rng)).collect();
        let named =
            families.iter().any(|family| format!("{family:?}").contains("new_version_behavior: true"));
        let first = usize::from(named).max(rng.below(2));
        let qualifiers = QUALIFIERS[first..first + 2 + rng.below(QUALIFIERS.len() - first - 1)].to_vec();
        let from = rng.below(3);
        let rows = ROWS[from..from + 3 + rng.below(ROWS.len() - from - 2)].to_vec();
        let mut maker = Maker { rng, blind, families, rows, qualifiers, now: 5000, steps: Vec::new() };
        while maker.steps.len() < LEN {
            maker.step();
        }
        Self { families: maker.families, blind, steps: maker.steps }
    }
}

fn family(name: &'static str, blind: bool, rng: &mut Rng) -> Family {
    let versions = [1, 2, 3, u32::MAX][rng.below(4)];
    let mut family = Family::new(name).max_versions(versions);
    if rng.below(3) == 0 {
        family = family.ttl(Duration::from_secs(1 + rng.below(3) as u64));
        // of the expired versions still stored, a read returns one more than the family keeps (read-path.md
        // §9.6)
        if !blind && rng.below(2) == 0 {
            family = family.min_versions(1);
        }
    }
    if !blind {
        let keep = [KeepDeletedCells::False, KeepDeletedCells::True, KeepDeletedCells::Ttl];
        family = family.keep_deleted_cells(keep[rng.below(3)]).new_version_behavior(rng.below(5) == 0);
    }
    family
}

impl Maker<'_> {
    fn one_in(&mut self, n: usize) -> bool {
        self.rng.below(n) == 0
    }

    fn row(&mut self) -> &'static [u8] {
        self.rows[self.rng.below(self.rows.len())]
    }

    fn qualifier(&mut self) -> &'static [u8] {
        self.qualifiers[self.rng.below(self.qualifiers.len())]
    }

    fn family(&mut self) -> String {
        String::from_utf8(self.families[self.rng.below(self.families.len())].name().to_vec()).unwrap()
    }

    fn value(&mut self) -> Vec<u8> {
        let len = [0, 1, 3, 8, 8, 40][self.rng.below(6)];
        self.rng.next().to_be_bytes().into_iter().cycle().take(len).collect()
    }

    /// Returns the timestamp of a write, or `None` for the time of the clock. Blind histories always use the
    /// clock.
    fn timestamp(&mut self) -> Option<i64> {
        let given = !self.blind && !self.one_in(3);
        given.then(|| self.now - 2000 + 100 * i64::try_from(self.rng.below(25)).unwrap())
    }

    fn step(&mut self) {
        match self.rng.below(100) {
            0..4 => self.clock(),
            4..6 => self.steps.push(Action::Hold),
            6..9 => {
                let scan = self.scan();
                self.steps.push(Action::ScanHeld(scan));
            }
            9..11 => self.steps.push(Action::Release),
            11..30 => self.get(),
            30..50 => {
                let scan = self.scan();
                let way = self.way(&scan);
                self.steps.push(Action::Scan(scan, way));
            }
            50..90 => self.write(),
            _ => self.files(),
        }
    }

    fn clock(&mut self) {
        let ahead = 100 * i64::try_from(self.rng.below(15)).unwrap();
        self.now += if !self.blind && self.one_in(4) { -ahead } else { ahead };
        // writes are backdated by up to 2 seconds
        self.now = self.now.max(2000);
        self.steps.push(Action::Clock(self.now));
    }

    fn write(&mut self) {
        if self.blind {
            // no two writes may have the same time
            self.now += 1 + i64::try_from(self.rng.below(5)).unwrap();
            self.steps.push(Action::Clock(self.now));
        }
        let row = self.row();
        let (family, qualifier) = (self.family(), self.qualifier());
        let step = match self.rng.below(20) {
            0..11 => Action::Put(self.put(row)),
            11..16 => Action::Delete(self.delete(row)),
            16 => Action::Increment(Increment::new(row).column(family, qualifier, 3)),
            17 | 18 => Action::Append(Append::new(row).column(family, qualifier, "+")),
            _ => {
                let check = CheckAndMutate::if_not_exists(row, family, qualifier);
                Action::Check(check.then(self.put(row)).then(self.delete(row)))
            }
        };
        self.steps.push(step);
    }

    fn put(&mut self, row: &'static [u8]) -> Put {
        let mut put = Put::new(row);
        for _ in 0..1 + self.rng.below(3) {
            let (family, qualifier, value) = (self.family(), self.qualifier(), self.value());
            put = match self.timestamp() {
                Some(timestamp) => put.cell_at(family, qualifier, timestamp, value),
                None => put.cell(family, qualifier, value),
            };
        }
        if !self.blind && self.one_in(12) { put.ttl(Duration::from_secs(1)) } else { put }
    }

    /// Blind histories delete only columns and families, at the time of the clock.
    fn delete(&mut self, row: &'static [u8]) -> Delete {
        let mut delete = Delete::new(row);
        for _ in 0..self.rng.below(3) {
            let (family, qualifier) = (self.family(), self.qualifier());
            delete = match (self.rng.below(if self.blind { 2 } else { 5 }), self.timestamp()) {
                (0, None) => delete.column(family, qualifier),
                (0, Some(timestamp)) => delete.column_at(family, qualifier, timestamp),
                (1, None) => delete.family(family),
                (1, Some(timestamp)) => delete.family_at(family, timestamp),
                (2, Some(timestamp)) => delete.family_version(family, timestamp),
                (3, Some(timestamp)) => delete.version_at(family, qualifier, timestamp),
                _ => delete.version(family, qualifier),
            };
        }
        delete
    }

    fn files(&mut self) {
        let family = self.family();
        match self.rng.below(20) {
            0..6 => self.steps.push(Action::Flush(Vec::new())),
            6..8 => self.steps.push(Action::Flush(vec![family])),
            8..14 => {
                let (from, count) = (self.rng.below(3), 1 + self.rng.below(4));
                self.steps.push(Action::Compact(family, from, count));
            }
            14..16 => self.steps.push(Action::CompactAll),
            16 => self.steps.push(Action::Reopen),
            _ if self.blind => {}
            _ => self.bulk_load(),
        }
    }

    fn bulk_load(&mut self) {
        // of two files with one sequence id the longer one is the older, and lengths depend on the
        // configuration
        self.steps.push(Action::Flush(Vec::new()));
        let mut files: BTreeMap<String, Vec<Loaded>> = BTreeMap::new();
        for _ in 0..1 + self.rng.below(8) {
            let kind =
                [CellType::Put, CellType::Put, CellType::Delete, CellType::DeleteColumn][self.rng.below(4)];
            let value = if kind == CellType::Put { self.value() } else { Vec::new() };
            let timestamp = self.timestamp().unwrap_or(self.now);
            let cell = (self.row().to_vec(), self.qualifier().to_vec(), timestamp, kind, value);
            files.entry(self.family()).or_default().push(cell);
        }
        for cells in files.values_mut() {
            let key = |(row, qualifier, timestamp, kind, _): &Loaded| {
                (row.clone(), qualifier.clone(), -timestamp, -i16::from(kind.code()))
            };
            cells.sort_by_key(key);
            cells.dedup_by_key(|cell| key(cell));
        }
        self.steps.push(Action::BulkLoad(files));
    }

    fn range(&mut self) -> TimeRange {
        let from = self.now - 1500 + 100 * i64::try_from(self.rng.below(15)).unwrap();
        let to = if self.blind { i64::MAX } else { from + 100 * i64::try_from(self.rng.below(20)).unwrap() };
        TimeRange::new(from.max(0), to.max(0)).expect("a range")
    }

    fn get(&mut self) {
        let mut get = Get::new(self.row());
        for _ in 0..self.rng.below(4) {
            let (family, qualifier) = (self.family(), self.qualifier());
            get = if self.one_in(3) { get.family(family) } else { get.column(family, qualifier) };
        }
        get = get.max_versions([1, 1, 2, u32::MAX][self.rng.below(4)]);
        if self.one_in(4) {
            get = get.time_range(self.range());
        }
        if self.one_in(4) {
            get = get.filter(self.filter());
        }
        self.steps.push(Action::Get(get));
    }

    fn filter(&mut self) -> Filter {
        if self.one_in(2) {
            return leaping(self.rng, &self.rows, &self.qualifiers, false).0;
        }
        let all = [
            "ValueFilter(>, 'binary:m')",
            "SKIP ValueFilter(!=, 'binary:')",
            "SingleColumnValueFilter('f', 'a', <, 'binary:m', true, true)",
            "DependentColumnFilter('f', 'a', true)",
            "FirstKeyOnlyFilter() OR QualifierFilter(=, 'binary:b')",
            "ColumnPaginationFilter(2, 1)",
            "WHILE RowFilter(<, 'binary:ba')",
            "PageFilter(2) AND KeyOnlyFilter(true)",
        ];
        Filter::parse(all[self.rng.below(all.len())]).unwrap()
    }

    fn scan(&mut self) -> Scan {
        let mut scan = Scan::new();
        let raw = !self.blind && self.one_in(6);
        for _ in 0..self.rng.below(4) {
            let (family, qualifier) = (self.family(), self.qualifier());
            scan = if raw || self.one_in(3) { scan.family(family) } else { scan.column(family, qualifier) };
        }
        let (a, b) = (self.row(), self.row());
        scan = match self.rng.below(4) {
            0 => scan.rows(a.min(b)..a.max(b)),
            1 => scan.rows(a..),
            _ => scan,
        };
        scan = scan.raw(raw).max_versions([1, 1, 2, u32::MAX][self.rng.below(4)]);
        if self.one_in(4) {
            scan = scan.time_range(self.range());
        }
        if self.one_in(6) {
            scan = scan.limit(1 + self.rng.next() % 4);
        }
        if self.one_in(4) { scan.filter(self.filter()) } else { scan }
    }

    /// Returns the way to read a scan: one with a filter or a limit is read row by row.
    fn way(&mut self, scan: &Scan) -> Way {
        let text = format!("{scan:?}");
        let simple = text.contains("filter: None") && text.contains(" limit: None");
        if simple { Way::any(self.rng) } else { Way::Rows }
    }
}

/// A region with a configuration.
struct Player<'h> {
    history: &'h History,
    configuration: &'h Configuration,
    clock: Arc<ManualClock>,
    region: Option<Region>,
    views: Vec<ReadView>,
    /// The number of caches with a second tier created so far.
    opened: usize,
    rng: Rng,
    /// Dropped last: a region that is dropped flushes.
    dir: TempDir,
}

/// Plays a history and returns the answer of each step.
fn play(history: &History, configuration: &Configuration) -> Vec<String> {
    let mut player = Player {
        history,
        configuration,
        dir: tempfile::tempdir().expect("a temporary directory"),
        clock: Arc::new(ManualClock::new(5000)),
        region: None,
        views: Vec::new(),
        opened: 0,
        rng: Rng::new(configuration.own.map_or(0, |(seed, _)| seed)),
    };
    player.open();
    history.steps.iter().map(|step| player.play(step)).collect()
}

impl Player<'_> {
    fn open(&mut self) {
        let mut options = Region::options()
            .storage(Arc::new(NoSync::default()))
            .create_if_missing(true)
            .lazy_seek(self.configuration.lazy_seek)
            .clock(self.clock.clone());
        if let Some(bytes) = self.configuration.cache {
            let mut cache = BlockCache::options().capacity(bytes);
            if let Some(bytes) = self.configuration.second_tier {
                // views may still use the cache of a closed region
                self.opened += 1;
                let dir = self.dir.path().join(format!("tier{}", self.opened));
                cache = cache.second_tier(dir, bytes).second_tier_min_reads(1);
            }
            options = options.cache(&cache.build());
        }
        if let Some(bytes) = self.configuration.background {
            options = options.memstore_flush_size(bytes);
        }
        if let Some(bytes) = self.configuration.in_memory {
            options = options.in_memory_flush_size(bytes);
        }
        for family in &self.history.families {
            options = options.family(self.configuration.family(family));
        }
        self.region = Some(options.open(self.dir.path().join("region")).expect("a region opens"));
    }

    fn region(&self) -> &Region {
        self.region.as_ref().expect("the region is open")
    }

    fn play(&mut self, step: &Action) -> String {
        if let Some((_, often)) = self.configuration.own
            && self.rng.below(often) == 0
        {
            self.maintain();
        }
        match step {
            Action::Clock(now) => self.clock.set(*now),
            Action::Put(put) => self.region().put(put.clone()).unwrap(),
            Action::Delete(delete) => self.region().delete(delete.clone()).unwrap(),
            Action::Increment(increment) => return result(self.region().increment(increment.clone())),
            Action::Append(append) => return result(self.region().append(append.clone())),
            Action::Check(check) => {
                return format!("{}", self.region().check_and_mutate(check.clone()).unwrap().success);
            }
            Action::Get(get) => return self.ask(|| result(self.region().get(get))),
            Action::Scan(scan, way) => {
                let view = self.region().view();
                return self.ask(|| rows(&way.read(&view, scan)));
            }
            Action::Hold if self.views.len() < 3 => self.views.push(self.region().view()),
            Action::ScanHeld(scan) => {
                let Some(view) = self.views.first() else { return String::new() };
                return self.ask(|| rows(&Way::Rows.read(view, scan)));
            }
            Action::Hold => {}
            Action::Release => drop(self.views.pop()),
            Action::Flush(_) | Action::Compact(..) | Action::CompactAll
                if self.configuration.own.is_some() => {}
            Action::Flush(families) if families.is_empty() => self.region().flush().unwrap(),
            Action::Flush(families) => self.region().flush_families(families).unwrap(),
            Action::Compact(family, from, count) => {
                self.region().compact_files(family, *from, *count).unwrap();
            }
            Action::CompactAll => self.region().compact(Compaction::Major).unwrap(),
            Action::BulkLoad(files) => self.bulk_load(files),
            Action::Reopen => self.reopen(),
        }
        String::new()
    }

    /// Flushes, compacts or reopens independently of the history.
    fn maintain(&mut self) {
        let families = &self.history.families;
        let family = families[self.rng.below(families.len())].name();
        let (from, count) = (self.rng.below(3), 1 + self.rng.below(4));
        let (what, region) = (self.rng.below(12), self.region());
        match what {
            0..4 => region.flush().unwrap(),
            4 => region.flush_families(&[family]).unwrap(),
            5..7 => region.compact_files(family, from, count).unwrap(),
            7 => {
                let mut names = region.store_file_names(family).unwrap();
                names.truncate(count);
                // background compactions may remove files at any time
                if self.configuration.background.is_none() {
                    region.compact_named_files(family, &names).unwrap();
                }
            }
            8..10 => region.compact(Compaction::Minor).unwrap(),
            10 => region.compact(Compaction::Major).unwrap(),
            _ => self.reopen(),
        }
    }

    fn reopen(&mut self) {
        // views belong to the closed region: this step is skipped if any is open, in every configuration
        if !self.views.is_empty() {
            return;
        }
        self.region().flush().unwrap();
        if self.configuration.background.is_none() {
            self.region = None;
            self.open();
        }
    }

    fn bulk_load(&self, files: &BTreeMap<String, Vec<Loaded>>) {
        let mut loads: Vec<(&str, PathBuf)> = Vec::new();
        for (family, cells) in files {
            let path = self.dir.path().join(family);
            let cells = cells.iter().map(|(row, qualifier, timestamp, kind, value)| {
                (SeekKey::of(row, family.as_bytes(), qualifier, *timestamp, *kind), value)
            });
            write_store_file(HFileWriter::options().block_size(200), &path, cells, &job_origin(5000));
            loads.push((family, path));
        }
        self.region().bulk_load(&loads).unwrap();
    }

    /// Returns the answer, and checks that concurrent threads get the same one.
    fn ask(&self, question: impl Fn() -> String + Sync) -> String {
        let answer = question();
        if self.configuration.threads > 1 {
            thread::scope(|scope| {
                let others: Vec<_> =
                    (1..self.configuration.threads).map(|_| scope.spawn(&question)).collect();
                for other in others {
                    assert_eq!(other.join().expect("an answer"), answer, "of another thread");
                }
            });
        }
        answer
    }
}

fn result(row: hregion::Result<Row>) -> String {
    match row {
        Ok(row) => rows(&[row]),
        Err(error) => format!("{:?}: {error}", error.kind()),
    }
}

/// Formats rows as text, without sequence ids, which depend on the number of flushes.
fn rows(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        for cell in row.cells() {
            writeln!(text, "{} {:?} {:?}", cell.key(), cell.value(), cell.tag_bytes()).unwrap();
        }
        text.push('\n');
    }
    text
}
