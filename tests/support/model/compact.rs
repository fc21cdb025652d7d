//! The cells that a flush or a compaction keeps (read-path.md §17.2, §17.3).
//!
//! Unlike the result of a read, this cannot be defined on the set of cells: once a column has its versions,
//! the rest of the column is dropped without being examined, markers included. The cells are therefore
//! processed one by one, as in HBase's matchers.

use super::new_version::{Tracker, Versions};
use super::{Cell, Settings};
use hregion::{CellType, KeepDeletedCells};

/// One flush or compaction.
pub(super) struct Compaction<'s> {
    pub(super) settings: &'s Settings,
    pub(super) now: i64,
    /// The smallest read point. Later cells are not counted as versions, and later markers do not apply.
    pub(super) max_read_point: i64,
    /// For a compaction of all files, the smallest timestamp of their Puts: markers may be dropped. `None`
    /// otherwise.
    pub(super) major: Option<i64>,
}

/// Delete markers in the order in which they are checked, and whether they also hide the rest of the column
/// (§9.8).
const HIDING: [(CellType, bool); 4] = [
    (CellType::DeleteFamily, true),
    (CellType::DeleteFamilyVersion, false),
    (CellType::DeleteColumn, true),
    (CellType::Delete, false),
];

/// The action for a cell.
enum Verdict {
    Keep,
    /// Keeps the cell and drops the rest of its column.
    KeepLast,
    Drop,
    /// Drops the cell and the rest of its column.
    DropColumn,
}

impl Compaction<'_> {
    /// Returns the cells that are kept. `cells` must be in order.
    pub(super) fn run(&self, cells: Vec<Cell>) -> Vec<Cell> {
        let rows = cells.chunk_by(|a, b| a.row == b.row);
        if self.settings.new_version_behavior {
            if self.major.is_none() {
                return cells;
            }
            return rows.flat_map(|row| self.new_version_row(row)).collect();
        }
        rows.flat_map(|row| self.row(row)).collect()
    }

    fn is_live(&self, cell: &Cell) -> bool {
        cell.seq_id > self.max_read_point
    }

    fn row(&self, cells: &[Cell]) -> Vec<Cell> {
        let oldest = self.settings.oldest_unexpired(self.now);
        let mut markers: Vec<&Cell> = Vec::new();
        let mut versions = ColumnVersions::default();
        keep(cells, |cell| {
            if self.settings.min_versions == 0 && cell.timestamp < oldest {
                return Verdict::DropColumn;
            }
            if cell.is_expired_by_tag(self.now) {
                return Verdict::Drop;
            }
            if cell.is_put() {
                let hidden_by = |kind| markers.iter().any(|marker| marker.kind == kind && marker.hides(cell));
                match HIDING.into_iter().find(|(kind, _)| hidden_by(*kind)) {
                    Some((_, true)) => return Verdict::DropColumn,
                    Some((_, false)) => return Verdict::Drop,
                    None => {}
                }
                if self.is_live(cell) {
                    return Verdict::Keep;
                }
                return versions.check(cell, self.settings, oldest);
            }
            if self.is_live(cell) {
                return Verdict::Keep;
            }
            let applies = match self.settings.keep_deleted {
                KeepDeletedCells::False => true,
                KeepDeletedCells::True => false,
                KeepDeletedCells::Ttl => cell.timestamp < oldest,
            };
            let Some(earliest_put) = self.major else {
                if is_redundant(cell, &markers) {
                    // the column with the empty qualifier also holds the markers of the family
                    let stays = cell.qualifier.is_empty() && cell.kind != CellType::DeleteFamily;
                    return if stays { Verdict::Drop } else { Verdict::DropColumn };
                }
                if applies {
                    markers.push(cell);
                }
                return Verdict::Keep;
            };
            if applies {
                markers.push(cell);
                return Verdict::Drop;
            }
            if cell.timestamp < earliest_put {
                return Verdict::DropColumn;
            }
            versions.check(cell, self.settings, oldest)
        })
    }

    /// §9.10 in a compaction of all files. Other compactions of such families keep everything. A cell that
    /// some scanner does not see yet is kept, and does not count (§23.33).
    fn new_version_row(&self, cells: &[Cell]) -> Vec<Cell> {
        let (live, seen): (Vec<Cell>, Vec<Cell>) = cells.iter().cloned().partition(|cell| self.is_live(cell));
        let mut kept = self.new_version_row_seen(&seen);
        kept.extend(live.into_iter().filter(|cell| !cell.is_expired_by_tag(self.now)));
        kept.sort_by(Cell::order);
        kept
    }

    fn new_version_row_seen(&self, cells: &[Cell]) -> Vec<Cell> {
        let oldest = self.settings.oldest_unexpired(self.now);
        let mut tracker = Tracker::new(self.settings, self.settings.max_versions, self.now);
        keep(cells, |cell| {
            if cell.is_expired_by_tag(self.now) {
                return Verdict::Drop;
            }
            if cell.is_put() {
                if tracker.is_deleted(cell) {
                    return Verdict::Drop;
                }
            } else {
                let stays = match self.settings.keep_deleted {
                    KeepDeletedCells::False => false,
                    KeepDeletedCells::True => true,
                    KeepDeletedCells::Ttl => cell.timestamp >= oldest,
                };
                if !stays {
                    tracker.add(cell);
                    return Verdict::Drop;
                }
                // §17.3: a marker that is not applied does not add to the count. (HBase counts it as a
                // version here, and drops Puts because of it. None of its answers depends on that.)
                let hides_nothing = self.major.is_some_and(|earliest_put| cell.timestamp < earliest_put);
                let stays = !hides_nothing && tracker.has_room_for(cell);
                return if stays { Verdict::Keep } else { Verdict::DropColumn };
            }
            match tracker.check_versions(cell.timestamp) {
                Versions::Include => Verdict::Keep,
                Versions::IncludeLast => Verdict::KeepLast,
                Versions::Done => Verdict::DropColumn,
            }
        })
    }
}

/// §9.8: whether a marker tracked earlier hides everything that this one could hide.
fn is_redundant(marker: &Cell, tracked: &[&Cell]) -> bool {
    let of_column = matches!(marker.kind, CellType::Delete | CellType::DeleteColumn);
    tracked.iter().any(|stronger| {
        stronger.timestamp >= marker.timestamp
            && (stronger.kind == CellType::DeleteFamily
                || of_column
                    && stronger.kind == CellType::DeleteColumn
                    && stronger.qualifier == marker.qualifier)
    })
}

/// Returns the cells of a row that are kept.
fn keep<'c>(cells: &'c [Cell], mut verdict: impl FnMut(&'c Cell) -> Verdict) -> Vec<Cell> {
    let mut kept = Vec::new();
    let mut left: Option<&[u8]> = None;
    for cell in cells.iter() {
        if left == Some(&cell.qualifier) {
            continue;
        }
        match verdict(cell) {
            Verdict::Keep => kept.push(cell.clone()),
            Verdict::KeepLast => {
                kept.push(cell.clone());
                left = Some(&cell.qualifier);
            }
            Verdict::Drop => {}
            // §9.11: the column with the empty qualifier is skipped only for a marker of the whole family
            Verdict::DropColumn if cell.qualifier.is_empty() && cell.kind != CellType::DeleteFamily => {}
            Verdict::DropColumn => left = Some(&cell.qualifier),
        }
    }
    kept
}

/// The version count of §9.7, as used by compactions.
#[derive(Default)]
struct ColumnVersions {
    qualifier: Option<Vec<u8>>,
    puts: u32,
    last: Option<(i64, CellType)>,
}

impl ColumnVersions {
    fn check(&mut self, cell: &Cell, settings: &Settings, oldest: i64) -> Verdict {
        if self.qualifier.as_ref() != Some(&cell.qualifier) {
            *self = Self { qualifier: Some(cell.qualifier.clone()), puts: 0, last: None };
        } else if self.last == Some((cell.timestamp, cell.kind)) {
            return Verdict::Drop;
        }
        self.puts += u32::from(cell.is_put());
        let expired = cell.timestamp < oldest;
        if self.puts > settings.max_versions || expired && self.puts > settings.min_versions {
            return Verdict::DropColumn;
        }
        self.last = Some((cell.timestamp, cell.kind));
        Verdict::Keep
    }
}
