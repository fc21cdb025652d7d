//! The rules of read-path.md §9.4 to §9.9, §17.2 and §17.3, on all cells of a row at once.

use super::{Ask, CompactionKind, NOW, ScanInfo};
use crate::cell::{Cell, CellRef, CellType, LATEST_TIMESTAMP, TTL_TAG_TYPE};
use crate::schema::KeepDeletedCells;
use std::collections::{BTreeMap, BTreeSet};

fn expired_by_tag(cell: CellRef<'_>) -> bool {
    let tag = cell.tags().find(|tag| tag.tag_type == TTL_TAG_TYPE);
    tag.is_some_and(|tag| {
        cell.timestamp().saturating_add(i64::from_be_bytes(tag.value.try_into().unwrap())) < NOW
    })
}

/// §9.13.
fn labels(cell: CellRef<'_>) -> Vec<&[u8]> {
    cell.tags().filter(|tag| tag.tag_type == 2).map(|tag| tag.value).collect()
}

/// §9.8: the hiding table.
fn hides(marker: CellRef<'_>, put: CellRef<'_>) -> bool {
    if labels(marker) != labels(put) {
        return false;
    }
    let (d, p) = (marker.timestamp(), put.timestamp());
    let same = marker.qualifier() == put.qualifier();
    match marker.cell_type() {
        CellType::Delete => same && p == d,
        CellType::DeleteColumn => same && p <= d,
        CellType::DeleteFamilyVersion => p == d,
        CellType::DeleteFamily => p <= d,
        _ => false,
    }
}

/// Counts the versions of a column (§9.7).
#[derive(Default)]
struct Count {
    puts: u32,
    last: Option<(i64, CellType)>,
}

/// The result of counting a version.
#[derive(PartialEq, Eq)]
enum Fate {
    Kept,
    Repeated,
    Excess,
}

impl Count {
    fn add(&mut self, cell: CellRef<'_>, max: u32, info: &ScanInfo) -> Fate {
        let id = Some((cell.timestamp(), cell.cell_type()));
        if id == self.last {
            return Fate::Repeated;
        }
        self.puts += u32::from(cell.cell_type() == CellType::Put);
        if self.puts <= max
            && (self.puts <= info.min_versions || cell.timestamp() >= info.oldest_unexpired_ts)
        {
            self.last = id;
            return Fate::Kept;
        }
        Fate::Excess
    }

    /// Like [`add`](Self::add), for a marker in a compaction: one with labels repeats no other (§23.38).
    fn add_marker(&mut self, marker: CellRef<'_>, max: u32, info: &ScanInfo) -> Fate {
        let is_labelled = !labels(marker).is_empty();
        self.last = self.last.filter(|_| !is_labelled);
        let fate = self.add(marker, max, info);
        self.last = self.last.filter(|_| !is_labelled);
        fate
    }
}

/// Returns the indices of the cells that a scan finds, without NEW_VERSION_BEHAVIOR.
pub(super) fn scan(ask: &Ask, cells: &[Cell]) -> Vec<usize> {
    let info = ask.info();
    let cell = |&at: &usize| cells[at].as_ref();
    let in_range = |at: &usize| ask.time_range.contains(cell(at).timestamp());
    let mut counts: BTreeMap<&[u8], Count> = BTreeMap::new();
    if ask.raw {
        let info = ScanInfo { oldest_unexpired_ts: i64::MIN, ..info };
        let mut keep = |at: &usize| {
            let count = counts.entry(cell(at).qualifier()).or_default();
            count.add(cell(at), ask.max_versions, &info) == Fate::Kept
        };
        return (0..cells.len()).filter(|at| in_range(at) && keep(at)).collect();
    }
    let gone = |at: &usize| {
        expired_by_tag(cell(at)) || info.min_versions == 0 && cell(at).timestamp() < info.oldest_unexpired_ts
    };
    let alive: Vec<_> = (0..cells.len()).filter(|at| !gone(at)).collect();
    let tracked = |at: &&usize| {
        cell(at).cell_type().is_delete()
            && match info.keep_deleted_cells {
                KeepDeletedCells::False => ask.time_range.contains_or_before(cell(at).timestamp()),
                _ => in_range(at),
            }
    };
    let markers: Vec<_> = alive.iter().filter(tracked).collect();
    let max = ask.max_versions.min(info.max_versions);
    let wanted = |at: &usize| {
        let (put, qualifier) = (cell(at).cell_type() == CellType::Put, cell(at).qualifier());
        put && !markers.iter().any(|marker| hides(cell(marker), cell(at)))
            && in_range(at)
            && (ask.columns.is_empty() || ask.columns.iter().any(|column| column == qualifier))
    };
    if ask.columns.is_empty() {
        let mut keep = |at: &usize| {
            counts.entry(cell(at).qualifier()).or_default().add(cell(at), max, &info) == Fate::Kept
        };
        return alive.iter().copied().filter(|at| wanted(at) && keep(at)).collect();
    }
    // §9.6, with its extra version.
    let mut seen: BTreeMap<&[u8], (BTreeSet<i64>, bool)> = BTreeMap::new();
    let mut keep = |at: &usize| {
        let (versions, complete) = seen.entry(cell(at).qualifier()).or_default();
        let timestamp = cell(at).timestamp();
        if *complete || timestamp == LATEST_TIMESTAMP || !versions.insert(timestamp) {
            return false;
        }
        let count = u32::try_from(versions.len()).unwrap();
        *complete = count >= max || count >= info.min_versions && timestamp < info.oldest_unexpired_ts;
        true
    };
    alive.iter().copied().filter(|at| wanted(at) && keep(at)).collect()
}

/// Returns the indices of the cells that a compaction keeps, without NEW_VERSION_BEHAVIOR.
pub(super) fn compact(ask: &Ask, cells: &[Cell], kind: CompactionKind, max_read_point: i64) -> Vec<usize> {
    let info = ask.info();
    let expired = |cell: CellRef<'_>| cell.timestamp() < info.oldest_unexpired_ts;
    let applied = |marker: CellRef<'_>| match info.keep_deleted_cells {
        KeepDeletedCells::False => true,
        KeepDeletedCells::True => false,
        KeepDeletedCells::Ttl => expired(marker),
    };
    let mut markers: Vec<CellRef<'_>> = Vec::new();
    let mut counts: BTreeMap<&[u8], Count> = BTreeMap::new();
    // Columns whose remaining cells are skipped. The column with the empty qualifier is skipped only after a
    // DeleteFamily marker.
    let mut left: BTreeSet<&[u8]> = BTreeSet::new();
    // Columns of which only cells with labels are not skipped, if there may be some.
    let mut left_unlabelled: BTreeSet<&[u8]> = BTreeSet::new();
    let mut kept = Vec::new();
    for (at, cell) in cells.iter().enumerate() {
        let cell = cell.as_ref();
        let (qualifier, cell_type) = (cell.qualifier(), cell.cell_type());
        let done = info.min_versions == 0 && expired(cell);
        if left.contains(qualifier) || left_unlabelled.contains(qualifier) && labels(cell).is_empty() {
            continue;
        }
        let mut by_marker = false;
        let live = cell.seq_id() > max_read_point;
        let count = counts.entry(qualifier).or_default();
        let (keep, leave) = if done {
            (false, true)
        } else if expired_by_tag(cell) {
            (false, false)
        } else if cell_type == CellType::Put {
            let hidden_by = |cell_type| {
                markers.iter().any(|marker| marker.cell_type() == cell_type && hides(*marker, cell))
            };
            // §9.8: the first of these decides, and the ones that reach back end the column.
            let answers = [
                (CellType::DeleteFamily, true),
                (CellType::DeleteFamilyVersion, false),
                (CellType::DeleteColumn, true),
                (CellType::Delete, false),
            ];
            if let Some((_, reaches_back)) = answers.into_iter().find(|&(cell_type, _)| hidden_by(cell_type))
            {
                by_marker = true;
                (false, reaches_back && labels(cell).is_empty())
            } else if live {
                (true, false)
            } else {
                let fate = count.add(cell, info.max_versions, &info);
                (fate == Fate::Kept, fate == Fate::Excess)
            }
        } else if live {
            (true, false)
        } else {
            let covers = |marker: &CellRef<'_>| match marker.cell_type() {
                CellType::DeleteFamily => marker.timestamp() >= cell.timestamp(),
                CellType::DeleteColumn => {
                    !cell_type.is_family_delete()
                        && marker.qualifier() == qualifier
                        && marker.timestamp() >= cell.timestamp()
                }
                _ => false,
            };
            let unlabelled = |marker: &CellRef<'_>| labels(*marker).is_empty() && labels(cell).is_empty();
            let redundant = markers.iter().any(|marker| covers(marker) && unlabelled(marker));
            if applied(cell) {
                markers.push(cell);
            }
            match kind {
                CompactionKind::Flush | CompactionKind::Minor => {
                    by_marker = redundant;
                    (!redundant, redundant)
                }
                CompactionKind::Major { earliest_put_ts } => {
                    if ask.time_to_purge > 0 && NOW - cell.timestamp() <= ask.time_to_purge {
                        (true, false)
                    } else if applied(cell) {
                        (false, false)
                    } else if cell.timestamp() < earliest_put_ts {
                        (false, true)
                    } else {
                        let fate = count.add_marker(cell, info.max_versions, &info);
                        (fate == Fate::Kept, fate == Fate::Excess)
                    }
                }
            }
        };
        if keep {
            kept.push(at);
        }
        if leave && (!qualifier.is_empty() || cell_type == CellType::DeleteFamily) {
            let left = if by_marker && ask.tags { &mut left_unlabelled } else { &mut left };
            left.insert(qualifier);
        }
    }
    kept
}

/// Returns the indices of the cells that a scan of all time finds with NEW_VERSION_BEHAVIOR: replays the
/// writes of each column in order (§9.10). No two cells may have the same sequence id.
pub(super) fn scan_new_version(ask: &Ask, cells: &[Cell]) -> Vec<usize> {
    let info = ask.info();
    let columns: BTreeSet<_> = cells.iter().map(|cell| cell.as_ref().qualifier()).collect();
    let mut found = Vec::new();
    for column in columns {
        let concerned = |at: &usize| {
            let cell = cells[*at].as_ref();
            !expired_by_tag(cell) && (cell.cell_type().is_family_delete() || cell.qualifier() == column)
        };
        let mut written: Vec<_> = (0..cells.len()).filter(concerned).collect();
        written.sort_by_key(|&at| cells[at].as_ref().seq_id());
        let mut versions: BTreeMap<i64, usize> = BTreeMap::new();
        for at in written {
            let cell = cells[at].as_ref();
            if cell.cell_type() == CellType::Put {
                versions.insert(cell.timestamp(), at);
                while versions.len() > info.max_versions as usize {
                    versions.pop_first();
                }
            } else {
                versions.retain(|_, put| !hides(cell, cells[*put].as_ref()));
            }
        }
        let mut count = 0;
        for (&timestamp, &at) in versions.iter().rev() {
            if !(ask.columns.is_empty() || ask.columns.iter().any(|wanted| wanted == column))
                || !ask.time_range.contains(timestamp)
            {
                continue;
            }
            count += 1;
            if count <= ask.max_versions
                && (count <= info.min_versions || timestamp >= info.oldest_unexpired_ts)
            {
                found.push(at);
            }
        }
    }
    found.sort_unstable();
    found
}
