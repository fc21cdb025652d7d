//! What a read returns of one row of one family (read-path.md §9), said of the set of its cells as far as that goes.

use super::new_version;
use super::{Cell, Query, Settings, Times};
use hregion::KeepDeletedCells;

/// What a read asks of one family.
pub(super) struct Ask<'q> {
    pub(super) columns: &'q [Vec<u8>],
    pub(super) times: Times,
    pub(super) versions: u32,
}

impl Ask<'_> {
    pub(super) fn wants_column(&self, qualifier: &[u8]) -> bool {
        self.columns.is_empty() || self.columns.iter().any(|column| column == qualifier)
    }

    /// §9.9: with KEEP_DELETED_CELLS one reads as of the end of the time range, so later markers do not count.
    pub(super) fn tracks(&self, marker: &Cell, settings: &Settings) -> bool {
        match settings.keep_deleted {
            KeepDeletedCells::False => self.times.within_or_after(marker.timestamp),
            _ => self.times.within(marker.timestamp),
        }
    }
}

/// What is returned of the visible cells of a row, which are in order.
pub(super) fn row(cells: &[&Cell], family: &[u8], settings: &Settings, query: &Query, now: i64) -> Vec<Cell> {
    let ask = Ask { columns: query.columns(family), times: query.times_of(family), versions: query.versions };
    let found = if query.raw {
        raw(cells, &ask)
    } else if settings.new_version_behavior {
        new_version::read(cells, settings, &ask, now)
    } else {
        classic(cells, settings, &ask, now)
    };
    // §10: the test for the limit follows the first cell, so a limit of 0 is one of 1 (§23.9)
    let limit = query.store_limit.map_or(usize::MAX, |limit| limit.max(1));
    found.into_iter().skip(query.store_offset).take(limit).cloned().collect()
}

/// §9.4: markers hide Puts, whichever was written first; what is left counts as versions.
fn classic<'c>(cells: &[&'c Cell], settings: &Settings, ask: &Ask<'_>, now: i64) -> Vec<&'c Cell> {
    let oldest = settings.oldest_unexpired(now);
    let is_alive = |cell: &Cell| {
        // with MIN_VERSIONS the counting below decides on what has expired
        !cell.is_expired_by_tag(now) && (settings.min_versions > 0 || cell.timestamp >= oldest)
    };
    let alive: Vec<&Cell> = cells.iter().copied().filter(|cell| is_alive(cell)).collect();
    let is_marker = |cell: &&&Cell| cell.kind.is_delete() && ask.tracks(cell, settings);
    let markers: Vec<&&Cell> = alive.iter().filter(is_marker).collect();
    let puts: Vec<&Cell> = alive
        .iter()
        .copied()
        .filter(|cell| cell.is_put() && !markers.iter().any(|marker| marker.hides(cell)))
        .filter(|put| ask.times.within(put.timestamp) && ask.wants_column(&put.qualifier))
        .collect();
    let max = ask.versions.min(settings.max_versions);
    columns(&puts).flat_map(|column| versions(column, settings.min_versions, max, oldest, ask)).collect()
}

/// The Puts of a column that a normal read returns, of those that may be, newest first.
fn versions<'c>(column: &[&'c Cell], min: u32, max: u32, oldest: i64, ask: &Ask<'_>) -> Vec<&'c Cell> {
    let mut found: Vec<&Cell> = Vec::new();
    for put in column {
        if found.last().is_some_and(|last| last.timestamp == put.timestamp) {
            continue; // an older write of the same version
        }
        let (count, expired) = (found.len() as u64 + 1, put.timestamp < oldest);
        if count > u64::from(max) {
            break;
        }
        if ask.columns.is_empty() {
            // §9.7
            if expired && count > u64::from(min) {
                break;
            }
            found.push(put);
        } else {
            // §9.6: named columns return one expired version more, if they have reached MIN_VERSIONS by then
            found.push(put);
            if expired && count >= u64::from(min) {
                break;
            }
        }
    }
    found
}

/// §9.4, §9.12: all that is stored, but no more Puts of a column than asked for and no marker behind these.
fn raw<'c>(cells: &[&'c Cell], ask: &Ask<'_>) -> Vec<&'c Cell> {
    let within: Vec<&Cell> = cells.iter().copied().filter(|cell| ask.times.within(cell.timestamp)).collect();
    let mut found: Vec<&Cell> = Vec::new();
    for column in columns(&within) {
        let (mut puts, mut last) = (0, None);
        for cell in column {
            if last == Some((cell.timestamp, cell.kind)) {
                continue;
            }
            puts += u32::from(cell.is_put());
            if puts > ask.versions {
                break;
            }
            last = Some((cell.timestamp, cell.kind));
            found.push(cell);
        }
    }
    found
}

/// Cells of a row in order, column by column; markers of the family are in the column without a name.
fn columns<'s, 'c>(cells: &'s [&'c Cell]) -> impl Iterator<Item = &'s [&'c Cell]> {
    cells.chunk_by(|a, b| a.qualifier == b.qualifier)
}
