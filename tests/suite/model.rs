//! Random operations on a region and on a model of HBase's rules must give the same answers.
//!
//! `HREGION_SEED` sets the first seed and `HREGION_OPS` sets the number of operations. A failure prints the
//! seed that replays it alone.

use crate::support::model::{
    Cell, DeleteCell, Found, Model, Mutation, PutCell, Query, Settings, Times, View,
};
use crate::support::no_sync::NoSync;
use crate::support::random_ops::play_all;
use crate::support::rng::Rng;
use crate::support::scan_modes::{Way, leaping};
use crate::support::written::{job_origin, write_store_file};
use hregion::{
    BlockCache, BloomType, CellRef, CellType, Codec, Compaction, DataBlockEncoding, Delete, Family, Filter,
    Get, HFileWriter, Isolation, KeepDeletedCells, ManualClock, Put, ReadView, Region, RowRef, Scan, SeekKey,
    TimeRange,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Operations on one region.
const OPS_PER_REGION: u64 = 500;

#[test]
fn a_region_answers_as_the_model() {
    play_all(70_000, OPS_PER_REGION, play);
}

/// A run of some hours.
#[test]
#[ignore = "takes hours"]
fn a_region_answers_as_the_model_at_length() {
    play_all(10_000_000, OPS_PER_REGION, play);
}

fn play(seed: u64) {
    let mut game = Game::new(seed);
    (0..OPS_PER_REGION).for_each(|_| game.play());
}

/// A region, its model and the open views of both.
struct Game {
    rng: Rng,
    families: Vec<(Family, Settings)>,
    rows: Vec<&'static [u8]>,
    qualifiers: Vec<&'static [u8]>,
    cache: BlockCache,
    clock: Arc<ManualClock>,
    region: Option<Region>,
    model: Model,
    views: Vec<(ReadView, View, i64)>,
    written: u64,
    /// The operations so far, printed on failure.
    log: Vec<String>,
    /// Dropped last: a region that is dropped flushes.
    dir: TempDir,
}

const NAMES: [&str; 3] = ["f", "g", "h"];
const ROWS: [&[u8]; 8] = [b"a", b"a\0", b"aa", b"b", b"ba", b"c", b"d\xff", b"\xff"];
/// The first is not used with NEW_VERSION_BEHAVIOR (read-path.md §23.2).
const QUALIFIERS: [&[u8]; 5] = [b"", b"a", b"ab", b"b", b"c\xff"];

impl Game {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let count = 1 + rng.below(NAMES.len());
        let families: Vec<_> = NAMES[..count].iter().map(|name| family(name, &mut rng)).collect();
        let named = usize::from(families.iter().any(|(_, settings)| settings.new_version_behavior));
        let first = named.max(rng.below(2));
        let qualifiers = QUALIFIERS[first..first + 2 + rng.below(QUALIFIERS.len() - first - 1)].to_vec();
        let from = rng.below(3);
        let rows = ROWS[from..from + 3 + rng.below(ROWS.len() - from - 2)].to_vec();
        let model = families.iter().map(|(family, settings)| (family.name().to_vec(), settings.clone()));
        let now = 5000;
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut cache = BlockCache::options().capacity([20 << 10, 1 << 20][rng.below(2)]);
        if seed % 2 == 1 {
            cache = cache.second_tier(dir.path().join("tier"), 256 << 10).second_tier_min_reads(1);
        }
        let mut game = Self {
            log: families.iter().map(|family| format!("{family:?}")).collect(),
            model: Model::new(model.collect(), now),
            families,
            rows,
            qualifiers,
            dir,
            cache: cache.build(),
            clock: Arc::new(ManualClock::new(now)),
            region: None,
            views: Vec::new(),
            written: 0,
            rng,
        };
        game.open();
        game
    }

    fn open(&mut self) {
        let mut options = Region::options()
            .cache(&self.cache)
            .storage(Arc::new(NoSync::default()))
            .create_if_missing(true)
            .in_memory_flush_size([0, 400, 2_000][self.rng.below(3)])
            .clock(self.clock.clone());
        for (family, _) in &self.families {
            options = options.family(family.clone());
        }
        self.region = Some(options.open(self.dir.path().join("region")).expect("a region opens"));
    }

    fn region(&self) -> &Region {
        self.region.as_ref().expect("the region is open")
    }

    /// Plays one operation on the region and the model.
    fn play(&mut self) {
        match self.rng.below(100) {
            0..3 => self.move_clock(),
            3..5 => self.hold(),
            5..8 => self.read_view(),
            8..10 => self.release(),
            10..12 => self.interrupted_scan(),
            12..34 => self.get(),
            34..56 => self.scan(),
            _ => self.change(),
        }
    }

    fn change(&mut self) {
        match self.rng.below(100) {
            0..60 => self.put(),
            60..83 => self.delete(),
            83..90 => self.flush(),
            90..95 => self.compact(),
            95..97 => self.compact_all(),
            97..99 => self.bulk_load(),
            _ => self.reopen(),
        }
    }

    fn did(&mut self, what: impl FnOnce() -> String) {
        self.log.push(what());
    }

    // Writes

    fn put(&mut self) {
        let row = self.row();
        let ttl = self.one_in(12).then(|| [500, 1000, 2500][self.rng.below(3)]);
        let cells: Vec<PutCell> = (0..1 + self.rng.below(3))
            .map(|_| PutCell {
                family: self.family(),
                qualifier: self.qualifier(),
                timestamp: self.timestamp(),
                value: self.value(),
            })
            .collect();
        let mut put = Put::new(row);
        for PutCell { family, qualifier, timestamp, value } in cells.iter().cloned() {
            put = match timestamp {
                Some(timestamp) => put.cell_at(family, qualifier, timestamp, value),
                None => put.cell(family, qualifier, value),
            };
        }
        if let Some(ttl) = ttl {
            put = put.ttl(Duration::from_millis(u64::try_from(ttl).unwrap()));
        }
        self.did(|| format!("{put:?}"));
        self.region().put(put).expect("a put is taken");
        self.model.apply(&Mutation::Put { row: row.into(), cells, ttl }).expect("a put is taken");
    }

    fn delete(&mut self) {
        let row = self.row();
        let count = self.rng.below(4);
        let cells: Vec<DeleteCell> = (0..count)
            .map(|_| {
                let kinds = [
                    CellType::Delete,
                    CellType::Delete,
                    CellType::DeleteColumn,
                    CellType::DeleteFamily,
                    CellType::DeleteFamilyVersion,
                ];
                let kind = kinds[self.rng.below(kinds.len())];
                let qualifier = if kind.is_family_delete() { Vec::new() } else { self.qualifier() };
                let given = self.timestamp();
                let timestamp = match kind {
                    CellType::DeleteFamilyVersion => given.or_else(|| Some(self.model.now())),
                    _ => given,
                };
                DeleteCell { kind, family: self.family(), qualifier, timestamp }
            })
            .collect();
        let timestamp = if cells.is_empty() { self.timestamp() } else { None };
        let mut delete = Delete::new(row);
        if let Some(timestamp) = timestamp {
            delete = delete.timestamp(timestamp);
        }
        for DeleteCell { kind, family, qualifier, timestamp } in cells.iter().cloned() {
            delete = match (kind, timestamp) {
                (CellType::Delete, None) => delete.version(family, qualifier),
                (CellType::Delete, Some(ts)) => delete.version_at(family, qualifier, ts),
                (CellType::DeleteColumn, None) => delete.column(family, qualifier),
                (CellType::DeleteColumn, Some(ts)) => delete.column_at(family, qualifier, ts),
                (CellType::DeleteFamily, None) => delete.family(family),
                (CellType::DeleteFamily, Some(ts)) => delete.family_at(family, ts),
                (_, ts) => delete.family_version(family, ts.expect("it has a timestamp")),
            };
        }
        self.did(|| format!("{delete:?}"));
        self.region().delete(delete).expect("a delete is taken");
        self.model.apply(&Mutation::Delete { row: row.into(), cells, timestamp }).expect("a delete is taken");
    }

    // Files

    fn flush(&mut self) {
        if self.one_in(3) {
            let family = self.family();
            self.did(|| format!("flush {}", text(&family)));
            self.region().flush_families(&[&family]).expect("a flush");
            self.model.flush(&[family]).expect("a flush");
        } else {
            self.did(|| "flush".into());
            self.region().flush().expect("a flush");
            self.model.flush(&[]).expect("a flush");
        }
        self.check_files();
    }

    fn compact(&mut self) {
        let family = self.family();
        let (from, count) = (self.rng.below(3), 1 + self.rng.below(4));
        if self.model.is_order_lost(&family, from, count) {
            return;
        }
        self.did(|| format!("compact {} from {from} count {count}", text(&family)));
        self.region().compact_files(&family, from, count).expect("a compaction");
        self.model.compact(&[family], from, count).expect("a compaction");
        self.check_files();
    }

    fn compact_all(&mut self) {
        let families = self.families.iter().map(|(family, _)| family.name());
        if families.clone().any(|family| self.model.is_order_lost(family, 0, usize::MAX)) {
            return;
        }
        self.did(|| "compact all".into());
        self.region().compact(Compaction::Major).expect("a compaction");
        self.model.compact(&[], 0, usize::MAX).expect("a compaction");
        self.check_files();
    }

    fn bulk_load(&mut self) {
        // of two files with one sequence id the lengths decide which is the newest, and the newest does not
        // expire
        if self.one_in(2) || self.families.iter().any(|(_, settings)| settings.ttl.is_some()) {
            self.did(|| "flush".into());
            self.region().flush().expect("a flush");
            self.model.flush(&[]).expect("a flush");
        }
        let mut files: BTreeMap<Vec<u8>, Vec<Cell>> = BTreeMap::new();
        for _ in 0..1 + self.rng.below(12) {
            let kinds =
                [CellType::Put, CellType::Put, CellType::Put, CellType::Delete, CellType::DeleteColumn];
            let family_kinds = [CellType::DeleteFamily, CellType::DeleteFamilyVersion];
            let kind =
                if self.one_in(10) { family_kinds[self.rng.below(2)] } else { kinds[self.rng.below(5)] };
            let cell = Cell {
                row: self.row().into(),
                qualifier: if kind.is_family_delete() { Vec::new() } else { self.qualifier() },
                timestamp: self.timestamp().unwrap_or_else(|| self.model.now()),
                kind,
                value: if kind == CellType::Put { self.value() } else { Vec::new() },
                ttl: None,
                seq_id: 0,
            };
            let cells = files.entry(self.family()).or_default();
            if cells.iter().all(|other| other.order(&cell).is_ne()) {
                cells.push(cell);
            }
        }
        let mut loads = Vec::new();
        for (family, cells) in &mut files {
            cells.sort_by(Cell::order);
            let path = self.dir.path().join(text(family));
            let options = HFileWriter::options().block_size(200).bloom(BloomType::Row);
            let cells = cells.iter().map(|cell| {
                let key = SeekKey::of(&cell.row, family, &cell.qualifier, cell.timestamp, cell.kind);
                (key, &cell.value)
            });
            write_store_file(options, &path, cells, &job_origin(self.model.now()));
            loads.push((family.clone(), path));
        }
        self.did(|| format!("bulk load {files:?}"));
        self.region().bulk_load(&loads).expect("a bulk load");
        self.model.bulk_load(&files.into_iter().collect::<Vec<_>>()).expect("a bulk load");
        self.check_files();
    }

    fn reopen(&mut self) {
        self.did(|| "reopen".into());
        self.views.clear();
        self.model.reopen();
        self.region().flush().expect("a flush");
        self.region = None;
        self.open();
        self.check_files();
    }

    fn check_files(&self) {
        let expected: Vec<(String, usize)> =
            self.model.files().map(|(family, count)| (text(family), count)).collect();
        let found = expected.iter().map(|(family, _)| {
            (family.clone(), self.region().store_file_count(family).expect("a family that is there"))
        });
        let found: Vec<_> = found.collect();
        if found != expected {
            self.fail("files", &format!("{found:?}"), &format!("{expected:?}"));
        }
    }

    fn move_clock(&mut self) {
        let now = if self.one_in(4) {
            self.model.now() - 100 * self.rng_i64(10)
        } else {
            self.model.now() + 100 * self.rng_i64(15)
        };
        self.did(|| format!("clock {now}"));
        self.clock.set(now);
        self.model.set_clock(now);
    }

    // Reads

    fn get(&mut self) {
        let query = self.query(true);
        let get = as_get(&query);
        let get = if self.one_in(10) { get.isolation(Isolation::ReadUncommitted) } else { get };
        let get = if self.one_in(3) { get.filter(Filter::all([]).expect("a list")) } else { get };
        let found = cells(self.region().get(&get).expect("a get").as_row());
        let expected = self.model.get(&query).expect("a get");
        self.compare(&query, &[found], &[expected]);
    }

    fn scan(&mut self) {
        let query = self.query(false);
        let view = self.region().view();
        let found = self.read(&view, &query);
        let expected = self.model.scan(&query).expect("a scan");
        self.compare(&query, &found, &expected);
        self.leap(&view, &query, &expected);
    }

    /// Reads the rows of a scan in a random way.
    fn read(&mut self, view: &ReadView, query: &Query) -> Vec<Vec<Found>> {
        let way = match Way::any(&mut self.rng) {
            // after a filter markers count as versions; a limit applies to each scanner separately
            Way::Filtered(_) if query.raw && query.versions < u32::MAX => Way::Rows,
            Way::Resumed if query.limit.is_some() => Way::Rows,
            way => way,
        };
        self.did(|| format!("{way:?}"));
        way.read(view, &as_scan(query)).iter().map(|row| cells(row.as_row())).collect()
    }

    /// Checks that a scan with a filter that skips cells returns the cells of the unfiltered scan that pass
    /// the filter.
    fn leap(&mut self, view: &ReadView, query: &Query, found: &[Vec<Found>]) {
        // limits count after the filter, and a seek from the column with the empty qualifier skips the
        // markers of the family
        let counts = query.limit.is_some() || query.store_limit.is_some() || query.store_offset > 0;
        let raw = query.raw && query.versions < u32::MAX;
        if counts || raw || self.qualifiers.contains(&&b""[..]) {
            return;
        }
        let (filter, passes) = leaping(&mut self.rng, &self.rows, &self.qualifiers, query.reversed);
        self.did(|| format!("{filter:?}"));
        let way = if self.one_in(2) { Way::Batch(2) } else { Way::Filtered(filter.clone()) };
        let rows = way.read(view, &as_scan(query).filter(filter));
        let rows: Vec<_> = rows.iter().map(|row| cells(row.as_row())).collect();
        let pass = |row: &Vec<Found>| -> Vec<Found> {
            row.iter().filter(|(_, cell)| passes(&cell.row, &cell.qualifier)).cloned().collect()
        };
        let expected: Vec<_> = found.iter().map(pass).filter(|row| !row.is_empty()).collect();
        self.compare(query, &rows, &expected);
    }

    fn hold(&mut self) {
        if self.views.len() < 4 {
            self.did(|| "view".into());
            let view = self.region().view();
            self.views.push((view, self.model.view(), self.model.hold()));
        }
    }

    fn release(&mut self) {
        if !self.views.is_empty() {
            let at = self.rng.below(self.views.len());
            self.did(|| format!("release view {at}"));
            let (_, _, read_point) = self.views.swap_remove(at);
            self.model.release(read_point);
        }
    }

    fn read_view(&mut self) {
        if self.views.is_empty() {
            return;
        }
        let query = self.query(self.views.len().is_multiple_of(2));
        let at = self.rng.below(self.views.len());
        self.did(|| format!("read of view {at}"));
        let held = self.views.swap_remove(at);
        let found = self.read(&held.0, &query);
        let expected = held.1.scan(&query, self.model.now());
        self.views.push(held);
        self.compare(&query, &found, &expected);
    }

    /// Checks that a scan does not see operations done between its rows.
    fn interrupted_scan(&mut self) {
        let query = self.query(false);
        let view = self.region().view();
        let read_point = self.model.hold();
        let expected = self.model.scan(&query).expect("a scan");
        let asked = as_scan(&query);
        self.did(|| "a scan begins".into());
        let mut scanner = view.scan(&asked).expect("a scan");
        let mut found = Vec::new();
        for _ in 0..self.rng.below(3) {
            found.extend(scanner.next_row().expect("a row").map(cells));
        }
        for _ in 0..1 + self.rng.below(4) {
            match self.rng.below(10) {
                0..5 => self.put(),
                5..7 => self.delete(),
                7..9 => self.flush(),
                _ => self.compact_all(),
            }
        }
        while let Some(row) = scanner.next_row().expect("a row") {
            found.push(cells(row));
        }
        self.did(|| "the scan ends".into());
        self.model.release(read_point);
        self.compare(&query, &found, &expected);
    }

    fn compare(&self, query: &Query, found: &[Vec<Found>], expected: &[Vec<Found>]) {
        let shown = |rows: &[Vec<Found>]| {
            let cell = |(family, cell): &Found| {
                // the engine may assign different sequence ids
                let seq_id = 0;
                format!("    {}/{:?}", text(family), Cell { seq_id, ..cell.clone() })
            };
            rows.iter().flatten().map(cell).collect::<Vec<_>>().join("\n")
        };
        let (found, expected) = (shown(found), shown(expected));
        if found != expected {
            self.fail(&format!("{query:?} at {}", self.model.now()), &found, &expected);
        }
    }

    fn fail(&self, what: &str, found: &str, expected: &str) -> ! {
        for line in &self.log {
            println!("{line}");
        }
        panic!("{what}\n  region:\n{found}\n  model:\n{expected}");
    }

    // Random choices

    fn one_in(&mut self, n: usize) -> bool {
        self.rng.below(n) == 0
    }

    fn rng_i64(&mut self, end: usize) -> i64 {
        i64::try_from(self.rng.below(end)).expect("small numbers")
    }

    fn row(&mut self) -> &'static [u8] {
        self.rows[self.rng.below(self.rows.len())]
    }

    fn family(&mut self) -> Vec<u8> {
        let at = self.rng.below(self.families.len());
        self.families[at].0.name().to_vec()
    }

    fn qualifier(&mut self) -> Vec<u8> {
        self.qualifiers[self.rng.below(self.qualifiers.len())].to_vec()
    }

    /// Returns one of a few timestamps near the expiry time, so that writes coincide.
    fn timestamp(&mut self) -> Option<i64> {
        let around = self.model.now() / 500 * 500;
        (!self.one_in(5)).then(|| (around + 500 - 500 * self.rng_i64(8)).max(0))
    }

    fn value(&mut self) -> Vec<u8> {
        self.written += 1;
        let long = if self.one_in(4) { 60 } else { 0 };
        format!("v{}{}", self.written, "x".repeat(long)).into_bytes()
    }

    fn times(&mut self) -> Times {
        let Some(from) = self.timestamp() else { return Times::ALL };
        match self.rng.below(4) {
            0 => Times(from, i64::MAX),
            1 => Times(0, from),
            2 => Times(from, from + 1),
            _ => Times(from, from + 500 * self.rng_i64(4)),
        }
    }

    fn query(&mut self, one_row: bool) -> Query {
        let row = self.row();
        let mut query = if one_row { Query::row(row) } else { Query::default() };
        if !one_row {
            if self.one_in(2) {
                query.start = row.into();
                query.include_start = !self.one_in(3);
            }
            if self.one_in(2) {
                query.stop = self.row().into();
                query.include_stop = self.one_in(2);
            }
            if self.one_in(4) {
                query.limit = Some(1 + self.rng.below(3));
            }
            query.raw = self.one_in(6);
            query.reversed = self.one_in(3);
        }
        for _ in 0..self.rng.below(3) {
            query.families.insert(self.family(), Vec::new());
        }
        if !query.raw && self.one_in(2) {
            for _ in 0..1 + self.rng.below(3) {
                let (family, qualifier) = (self.family(), self.qualifier());
                let columns = query.families.entry(family).or_default();
                if !columns.contains(&qualifier) {
                    columns.push(qualifier);
                }
            }
        }
        query.versions = [1, 1, 2, 3, 5, u32::MAX][self.rng.below(6)];
        if self.one_in(3) {
            query.times = self.times();
        }
        if self.one_in(8) {
            query.family_times.insert(self.family(), self.times());
        }
        if self.one_in(8) {
            query.store_limit = Some(self.rng.below(4));
        }
        if self.one_in(10) {
            query.store_offset = self.rng.below(4);
        }
        query
    }
}

/// Returns a family with random settings, and small blocks, so that there are many.
fn family(name: &'static str, rng: &mut Rng) -> (Family, Settings) {
    let new_version_behavior = rng.below(6) == 0;
    let max_versions = [1, 1, 2, 3, 5][rng.below(5)];
    // With NEW_VERSION_BEHAVIOR an expired marker still counts, unless everything in its file or segment has
    // expired: that file or segment is then skipped. In HBase, too, the answer depends on which cells were
    // flushed with the marker. See also §23.19.
    let ttl = [None, None, Some(1), Some(3)][rng.below(4)].filter(|_| !new_version_behavior);
    let keeps_some = rng.below(3) == 0;
    let min_versions = if keeps_some { max_versions.min(1 + u32::from(rng.below(2) == 0)) } else { 0 };
    let kept =
        [KeepDeletedCells::False, KeepDeletedCells::False, KeepDeletedCells::True, KeepDeletedCells::Ttl];
    let keep_deleted = kept[rng.below(kept.len())];
    let codecs = [Codec::None, Codec::None, Codec::Gz, Codec::Snappy, Codec::Lz4, Codec::Zstd];
    let blooms =
        [None, Some(BloomType::Row), Some(BloomType::RowCol), Some(BloomType::RowPrefixFixedLength(1))];
    let mut family = Family::new(name)
        .max_versions(max_versions)
        .min_versions(min_versions)
        .keep_deleted_cells(keep_deleted)
        .new_version_behavior(new_version_behavior)
        .data_block_encoding(DataBlockEncoding::ALL[rng.below(DataBlockEncoding::ALL.len())])
        .codec(codecs[rng.below(codecs.len())])
        .bloom(blooms[rng.below(blooms.len())])
        .block_size([50, 150, 400, 65536][rng.below(4)]);
    if let Some(seconds) = ttl {
        family = family.ttl(Duration::from_secs(seconds.into()));
    }
    (family, Settings { max_versions, min_versions, ttl, keep_deleted, new_version_behavior })
}

fn as_get(query: &Query) -> Get {
    let mut get = Get::new(query.start.clone()).max_versions(query.versions).time_range(range(query.times));
    for (family, columns) in &query.families {
        get = get.family(family.clone());
        for column in columns {
            get = get.column(family.clone(), column.clone());
        }
    }
    for (family, times) in &query.family_times {
        get = get.family_time_range(family.clone(), range(*times));
    }
    if let Some(limit) = query.store_limit {
        get = get.max_results_per_family(small(limit));
    }
    get.row_offset_per_family(small(query.store_offset))
}

fn as_scan(query: &Query) -> Scan {
    let mut scan = Scan::new()
        .start_row(query.start.clone(), query.include_start)
        .stop_row(query.stop.clone(), query.include_stop)
        .max_versions(query.versions)
        .time_range(range(query.times))
        .raw(query.raw)
        .reversed(query.reversed);
    for (family, columns) in &query.families {
        scan = scan.family(family.clone());
        for column in columns {
            scan = scan.column(family.clone(), column.clone());
        }
    }
    for (family, times) in &query.family_times {
        scan = scan.family_time_range(family.clone(), range(*times));
    }
    if let Some(limit) = query.store_limit {
        scan = scan.max_results_per_family(small(limit));
    }
    if let Some(limit) = query.limit {
        scan = scan.limit(small(limit).into());
    }
    scan.row_offset_per_family(small(query.store_offset))
}

fn range(times: Times) -> TimeRange {
    TimeRange::new(times.0, times.1).expect("times in order")
}

fn small(number: usize) -> u32 {
    u32::try_from(number).expect("small numbers")
}

fn cells(row: RowRef<'_>) -> Vec<Found> {
    let cell = |cell: CellRef<'_>| {
        // a tag of type 8 is a time to live (§9.3)
        let ttl = cell.tags().find(|tag| tag.tag_type == 8);
        let ttl = ttl.map(|tag| i64::from_be_bytes(tag.value.try_into().expect("eight bytes")));
        let found = Cell {
            row: cell.row().to_vec(),
            qualifier: cell.qualifier().to_vec(),
            timestamp: cell.timestamp(),
            kind: cell.cell_type(),
            value: cell.value().to_vec(),
            ttl,
            seq_id: cell.seq_id(),
        };
        (cell.family().to_vec(), found)
    };
    row.cells().map(cell).collect()
}

fn text(bytes: &[u8]) -> String {
    hregion::cell::StringBinary(bytes).to_string()
}
