//! A reference model: HBase's rules on sorted `Vec`s, as read-path.md states them, without optimizations.
//!
//! [`Model`] is one region. It keeps every cell that was written, in the memstore or in files, each a `Vec`,
//! until a flush or a compaction drops it. The model uses nothing of the engine except the names of cell
//! types.
//!
//! | file | §§ |
//! |---|---|
//! | `cell`, `family`, `query` | 1, 5: cells, settings, queries |
//! | `read` | 9: the result of a read for a row |
//! | `new_version` | 9.10: the same with NEW_VERSION_BEHAVIOR |
//! | `compact` | 17: the cells that flushes and compactions keep |
//! | this file | 2, 3, 4, 19, 20: writes, files, read points |

mod cell;
mod compact;
mod family;
mod new_version;
mod query;
mod read;

pub(crate) use cell::Cell;
pub(crate) use family::Settings;
pub(crate) use query::{Query, Times};

use compact::Compaction;
use hregion::CellType;
use std::collections::{BTreeMap, BTreeSet};

/// A family's name and one of its cells.
pub(crate) type Found = (Vec<u8>, Cell);

/// Why an operation is refused: HBase's exception.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    NoSuchColumnFamily,
    WrongRegion,
    FailedSanityCheck,
    DoNotRetry,
}

/// A Put of one value. Without a timestamp it gets the time of the clock.
#[derive(Clone, Debug)]
pub(crate) struct PutCell {
    pub(crate) family: Vec<u8>,
    pub(crate) qualifier: Vec<u8>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) value: Vec<u8>,
}

/// A delete marker. Without a timestamp it gets the time of the clock, or the timestamp of the version to
/// delete.
#[derive(Clone, Debug)]
pub(crate) struct DeleteCell {
    pub(crate) kind: CellType,
    pub(crate) family: Vec<u8>,
    pub(crate) qualifier: Vec<u8>,
    pub(crate) timestamp: Option<i64>,
}

/// A mutation of one row.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    Put { row: Vec<u8>, cells: Vec<PutCell>, ttl: Option<i64> },
    Delete { row: Vec<u8>, cells: Vec<DeleteCell>, timestamp: Option<i64> },
}

impl Mutation {
    fn row(&self) -> &[u8] {
        match self {
            Self::Put { row, .. } | Self::Delete { row, .. } => row,
        }
    }

    fn families(&self) -> Vec<&[u8]> {
        match self {
            Self::Put { cells, .. } => cells.iter().map(|cell| cell.family.as_slice()).collect(),
            Self::Delete { cells, .. } => cells.iter().map(|cell| cell.family.as_slice()).collect(),
        }
    }
}

/// The cells of a store file.
#[derive(Clone, Debug)]
struct File {
    cells: Vec<Cell>,
    seq_id: i64,
    bulk_loaded: bool,
}

#[derive(Clone, Debug, Default)]
struct Store {
    settings: Settings,
    memstore: Vec<Cell>,
    /// Oldest first.
    files: Vec<File>,
}

impl Store {
    /// Returns all cells in order. Of equal cells, the one in the newer file is first (§8.1).
    fn cells(&self) -> Vec<&Cell> {
        let files = self.files.iter().rev().flat_map(|file| &file.cells);
        let mut cells: Vec<&Cell> = self.memstore.iter().chain(files).collect();
        cells.sort_by(|a, b| a.order(b));
        cells
    }

    /// §6.2: a bulk-loaded file is newer than the file of the flush that preceded the load.
    fn add_file(&mut self, file: File) {
        self.files.push(file);
        self.files.sort_by_key(|file| (file.seq_id, file.bulk_loaded));
    }
}

/// Stores by family name.
type Stores = BTreeMap<Vec<u8>, Store>;

/// A snapshot of a region: reads do not see later writes (§2).
#[derive(Clone, Debug)]
pub(crate) struct View {
    stores: Stores,
    read_point: i64,
}

impl View {
    /// Returns the rows that a scan returns, each with its cells in order.
    pub(crate) fn scan(&self, query: &Query, now: i64) -> Vec<Vec<Found>> {
        rows(&self.stores, self.read_point, query, now)
    }
}

fn rows(stores: &Stores, read_point: i64, query: &Query, now: i64) -> Vec<Vec<Found>> {
    let mut rows: BTreeMap<Vec<u8>, Vec<Found>> = BTreeMap::new();
    for (family, store) in stores.iter().filter(|(family, _)| query.wants_family(family)) {
        let mut cells = store.cells();
        cells.retain(|cell| cell.seq_id <= read_point && query.wants_row(&cell.row));
        for row in cells.chunk_by(|a, b| a.row == b.row) {
            let found = read::row(row, family, &store.settings, query, now);
            let all = rows.entry(row[0].row.clone()).or_default();
            all.extend(found.into_iter().map(|cell| (family.clone(), cell)));
        }
    }
    let mut rows: Vec<_> = rows.into_values().filter(|row| !row.is_empty()).collect();
    if query.reversed {
        rows.reverse();
    }
    rows.truncate(query.limit.unwrap_or(usize::MAX));
    rows
}

/// A region.
#[derive(Clone, Debug)]
pub(crate) struct Model {
    stores: Stores,
    /// The first row, and the exclusive end. Empty means unbounded.
    keys: (Vec<u8>, Vec<u8>),
    now: i64,
    last_seq_id: i64,
    /// The read points of open views.
    read_points: Vec<i64>,
}

impl Model {
    pub(crate) fn new(families: Vec<(Vec<u8>, Settings)>, now: i64) -> Self {
        let store = |settings| Store { settings, ..Store::default() };
        Self {
            stores: families.into_iter().map(|(name, settings)| (name, store(settings))).collect(),
            keys: (Vec::new(), Vec::new()),
            now,
            last_seq_id: 0,
            read_points: Vec::new(),
        }
    }

    pub(crate) fn with_keys(mut self, start: Vec<u8>, end: Vec<u8>) -> Self {
        self.keys = (start, end);
        self
    }

    pub(crate) fn set_clock(&mut self, now: i64) {
        self.now = now;
    }

    pub(crate) fn now(&self) -> i64 {
        self.now
    }

    pub(crate) fn families(&self) -> impl Iterator<Item = &[u8]> {
        self.stores.keys().map(Vec::as_slice)
    }

    // Reads

    /// §5.1.
    pub(crate) fn get(&self, query: &Query) -> Result<Vec<Found>, Refusal> {
        self.check_row(&query.start).map_err(|()| Refusal::WrongRegion)?;
        Ok(self.scan(query)?.into_iter().next().unwrap_or_default())
    }

    /// §5.2.
    pub(crate) fn scan(&self, query: &Query) -> Result<Vec<Vec<Found>>, Refusal> {
        self.check_families(query.families.keys().map(Vec::as_slice))?;
        if query.raw && query.families.values().any(|columns| !columns.is_empty()) {
            return Err(Refusal::DoNotRetry);
        }
        Ok(rows(&self.stores, self.last_seq_id, query, self.now))
    }

    /// Returns a view of the region as of now. Compactions may still drop its cells unless its read point is
    /// held.
    pub(crate) fn view(&self) -> View {
        View { stores: self.stores.clone(), read_point: self.last_seq_id }
    }

    /// Registers a read point: nothing that it needs is dropped until it is released.
    pub(crate) fn hold(&mut self) -> i64 {
        self.read_points.push(self.last_seq_id);
        self.last_seq_id
    }

    pub(crate) fn release(&mut self, read_point: i64) {
        let at = self.read_points.iter().position(|held| *held == read_point);
        self.read_points.swap_remove(at.expect("a read point that is held"));
    }

    // Writes

    pub(crate) fn apply(&mut self, mutation: &Mutation) -> Result<(), Refusal> {
        self.batch(std::slice::from_ref(mutation)).remove(0)
    }

    /// §19.1: a mutation with an invalid row or family fails alone. The others share one sequence id.
    pub(crate) fn batch(&mut self, mutations: &[Mutation]) -> Vec<Result<(), Refusal>> {
        let checked: Vec<Result<(), Refusal>> = mutations.iter().map(|m| self.check(m)).collect();
        let good = mutations.iter().zip(&checked).filter(|(_, checked)| checked.is_ok());
        // deletes look up the versions from before the batch
        let cells: Vec<Found> = good.flat_map(|(mutation, _)| self.cells_of(mutation)).collect();
        self.last_seq_id += 1;
        for (family, mut cell) in cells {
            cell.seq_id = self.last_seq_id;
            let memstore = &mut self.stores.get_mut(&family).expect("families are checked").memstore;
            // §3.1: a cell replaces an existing one with an equal key
            memstore.retain(|other| other.order(&cell).is_ne());
            memstore.push(cell);
        }
        checked
    }

    fn check(&self, mutation: &Mutation) -> Result<(), Refusal> {
        self.check_row(mutation.row()).map_err(|()| Refusal::FailedSanityCheck)?;
        self.check_families(mutation.families())
    }

    fn check_row(&self, row: &[u8]) -> Result<(), ()> {
        let (start, end) = &self.keys;
        let inside = row >= start.as_slice() && (end.is_empty() || row < end.as_slice());
        if inside { Ok(()) } else { Err(()) }
    }

    fn check_families<'n>(&self, names: impl IntoIterator<Item = &'n [u8]>) -> Result<(), Refusal> {
        let known = names.into_iter().all(|name| self.stores.contains_key(name));
        if known { Ok(()) } else { Err(Refusal::NoSuchColumnFamily) }
    }

    /// Returns the cells of a mutation with their timestamps and a sequence id of 0.
    fn cells_of(&self, mutation: &Mutation) -> Vec<Found> {
        match mutation {
            Mutation::Put { row, cells, ttl } => cells
                .iter()
                .map(|put| {
                    let cell = Cell {
                        row: row.clone(),
                        qualifier: put.qualifier.clone(),
                        timestamp: put.timestamp.unwrap_or(self.now),
                        kind: CellType::Put,
                        value: put.value.clone(),
                        ttl: *ttl,
                        seq_id: 0,
                    };
                    (put.family.clone(), cell)
                })
                .collect(),
            Mutation::Delete { row, cells, timestamp } => self.markers(row, cells, *timestamp),
        }
    }

    fn markers(&self, row: &[u8], cells: &[DeleteCell], timestamp: Option<i64>) -> Vec<Found> {
        let mut deletes: Vec<DeleteCell> = Vec::new();
        for cell in cells {
            if cell.kind == CellType::DeleteFamily {
                // HBase's client removes earlier markers that this one covers
                deletes.retain(|other| other.family != cell.family);
            }
            deletes.push(cell.clone());
        }
        if cells.is_empty() {
            let kind = CellType::DeleteFamily;
            let of = |family: &[u8]| DeleteCell { kind, family: family.into(), qualifier: vec![], timestamp };
            deletes = self.families().map(of).collect();
        }
        let mut found: Vec<Found> = Vec::new();
        for (at, delete) in deletes.iter().enumerate() {
            let alike = |other: &&DeleteCell| {
                (other.kind, other.timestamp) == (CellType::Delete, None)
                    && (&other.family, &other.qualifier) == (&delete.family, &delete.qualifier)
            };
            let latest = || match delete.kind {
                // step 5: the k-th such marker of a column deletes its k-th newest version
                CellType::Delete => self.version(row, delete, deletes[..=at].iter().filter(alike).count()),
                _ => self.now,
            };
            let cell = Cell {
                row: row.into(),
                qualifier: delete.qualifier.clone(),
                timestamp: delete.timestamp.unwrap_or_else(latest),
                kind: delete.kind,
                value: Vec::new(),
                ttl: None,
                seq_id: 0,
            };
            found.push((delete.family.clone(), cell));
        }
        found
    }

    /// Returns the timestamp of the k-th newest version of a column, or the current time if there are fewer
    /// versions.
    fn version(&self, row: &[u8], delete: &DeleteCell, k: usize) -> i64 {
        let columns = vec![delete.qualifier.clone()];
        let query = Query {
            families: BTreeMap::from([(delete.family.clone(), columns)]),
            versions: u32::try_from(k).expect("few markers"),
            ..Query::row(row)
        };
        let row =
            rows(&self.stores, self.last_seq_id, &query, self.now).into_iter().next().unwrap_or_default();
        row.get(k - 1).map_or(self.now, |(_, cell)| cell.timestamp)
    }

    // Files

    /// §4. An empty list means all families.
    pub(crate) fn flush(&mut self, families: &[Vec<u8>]) -> Result<(), Refusal> {
        self.check_families(families.iter().map(Vec::as_slice))?;
        self.last_seq_id += 1;
        let (seq_id, max_read_point, now) = (self.last_seq_id, self.smallest_read_point(), self.now);
        for store in self.chosen(families) {
            let mut cells = std::mem::take(&mut store.memstore);
            if cells.is_empty() {
                continue;
            }
            cells.sort_by(Cell::order);
            let cells = Compaction { settings: &store.settings, now, max_read_point, major: None }.run(cells);
            // A file without cells records the sequence id.
            store.add_file(File { cells, seq_id, bulk_loaded: false });
        }
        Ok(())
    }

    /// §17: compacts `count` files of each family, starting at the `from`-th oldest.
    pub(crate) fn compact(&mut self, families: &[Vec<u8>], from: usize, count: usize) -> Result<(), Refusal> {
        self.check_families(families.iter().map(Vec::as_slice))?;
        let (max_read_point, now) = (self.smallest_read_point(), self.now);
        for store in self.chosen(families) {
            drop_expired(store, now);
            let end = from.saturating_add(count).min(store.files.len());
            if from >= end {
                continue;
            }
            let all_files = end - from == store.files.len();
            let chosen: Vec<File> = store.files.splice(from..end, []).collect();
            let puts = chosen.iter().flat_map(|file| &file.cells).filter(|cell| cell.is_put());
            let earliest_put = puts.map(|put| put.timestamp).min().unwrap_or(i64::MAX);
            let seq_id = chosen.iter().map(|file| file.seq_id).max().expect("at least one");
            let mut cells: Vec<Cell> = chosen.into_iter().rev().flat_map(|file| file.cells).collect();
            cells.sort_by(Cell::order);
            let major = all_files.then_some(earliest_put);
            let cells = Compaction { settings: &store.settings, now, max_read_point, major }.run(cells);
            store.add_file(File { cells, seq_id, bulk_loaded: false });
        }
        Ok(())
    }

    /// §20: the memstore is flushed first, and the loaded files get the sequence id of that flush.
    pub(crate) fn bulk_load(&mut self, files: &[(Vec<u8>, Vec<Cell>)]) -> Result<(), Refusal> {
        self.check_families(files.iter().map(|(family, _)| family.as_slice()))
            .map_err(|_| Refusal::DoNotRetry)?;
        self.flush(&[])?;
        let seq_id = self.last_seq_id;
        for (family, cells) in files {
            let mut cells: Vec<Cell> = cells.iter().map(|cell| Cell { seq_id, ..cell.clone() }).collect();
            cells.sort_by(Cell::order);
            let store = self.stores.get_mut(family).expect("families are checked");
            store.add_file(File { cells, seq_id, bulk_loaded: true });
        }
        Ok(())
    }

    /// Whether a compaction would rewrite a single bulk-loaded file. The result and the file of the flush
    /// before the load then have the same sequence id, and only their lengths order them (§6.2).
    pub(crate) fn is_order_lost(&self, family: &[u8], from: usize, count: usize) -> bool {
        let mut store = self.stores[family].clone();
        drop_expired(&mut store, self.now);
        let mut chosen = store.files.iter().skip(from).take(count);
        chosen.next().is_some_and(|file| file.bulk_loaded) && chosen.next().is_none()
    }

    /// Closes the region, which flushes, and reopens it.
    pub(crate) fn reopen(&mut self) {
        self.read_points.clear();
        self.flush(&[]).expect("no family is named");
        self.last_seq_id += 2;
    }

    /// Returns the number of files of each family.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&[u8], usize)> {
        self.stores.iter().map(|(family, store)| (family.as_slice(), store.files.len()))
    }

    fn chosen(&mut self, families: &[Vec<u8>]) -> Vec<&mut Store> {
        let names: BTreeSet<&Vec<u8>> = families.iter().collect();
        let chosen = self.stores.iter_mut().filter(|(name, _)| names.is_empty() || names.contains(name));
        chosen.map(|(_, store)| store).collect()
    }

    fn smallest_read_point(&self) -> i64 {
        self.read_points.iter().copied().min().unwrap_or(self.last_seq_id)
    }
}

/// §17.5: files whose cells have all expired are dropped unread, except the newest file.
fn drop_expired(store: &mut Store, now: i64) {
    if store.settings.ttl.is_none() || store.settings.min_versions > 0 {
        return;
    }
    let oldest = store.settings.oldest_unexpired(now);
    let newest = store.files.len().saturating_sub(1);
    let mut at = 0;
    store.files.retain(|file| {
        let latest = file.cells.iter().map(|cell| cell.timestamp).max();
        at += 1;
        at - 1 == newest || latest.is_none_or(|latest| latest >= oldest)
    });
}
