//! The result of a read for one row of one family (read-path.md §9), defined on the set of its cells where
//! possible.

use super::new_version;
use super::{Cell, Query, Settings, Times};
use hregion::KeepDeletedCells;

/// The parameters of a read for one family.
pub(super) struct Ask<'q> {
    pub(super) columns: &'q [Vec<u8>],
    pub(super) times: Times,
    pub(super) versions: u32,
}

impl Ask<'_> {
    pub(super) fn wants_column(&self, qualifier: &[u8]) -> bool {
        self.columns.is_empty() || self.columns.iter().any(|column| column == qualifier)
    }

    /// §9.9: with KEEP_DELETED_CELLS a read is as of the end of the time range, so later markers do not
    /// count.
    pub(super) fn tracks(&self, marker: &Cell, settings: &Settings) -> bool {
        match settings.keep_deleted {
            KeepDeletedCells::False => self.times.within_or_after(marker.timestamp),
            _ => self.times.within(marker.timestamp),
        }
    }
}

/// Returns the result of a read from the visible cells of a row, which must be in order.
pub(super) fn row(cells: &[&Cell], family: &[u8], settings: &Settings, query: &Query, now: i64) -> Vec<Cell> {
    let ask = Ask { columns: query.columns(family), times: query.times_of(family), versions: query.versions };
    let found = if query.raw {
        raw(cells, &ask)
    } else if settings.new_version_behavior {
        new_version::read(cells, settings, &ask, now)
    } else {
        classic(cells, settings, &ask, now)
    };
    // §10: the limit is checked after the first cell, so a limit of 0 acts as 1 (§23.9)
    let limit = query.store_limit.map_or(usize::MAX, |limit| limit.max(1));
    found.into_iter().skip(query.store_offset).take(limit).cloned().collect()
}

/// §9.4: markers hide Puts regardless of which was written first. The remaining Puts count as versions.
fn classic<'c>(cells: &[&'c Cell], settings: &Settings, ask: &Ask<'_>, now: i64) -> Vec<&'c Cell> {
    let oldest = settings.oldest_unexpired(now);
    let is_alive = |cell: &Cell| {
        // with MIN_VERSIONS expiry is decided by the version count in `versions`
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

/// Returns the Puts of a column that a normal read returns. `column` has the candidates, newest first.
fn versions<'c>(column: &[&'c Cell], min: u32, max: u32, oldest: i64, ask: &Ask<'_>) -> Vec<&'c Cell> {
    let mut found: Vec<&Cell> = Vec::new();
    for put in column {
        if found.last().is_some_and(|last| last.timestamp == put.timestamp) {
            // an older write of the same version
            continue;
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
            // §9.6: with named columns one more expired version is returned, if it reaches MIN_VERSIONS
            found.push(put);
            if expired && count >= u64::from(min) {
                break;
            }
        }
    }
    found
}

/// §9.4, §9.12: returns all stored cells of each column before the first Put that exceeds the requested
/// number of versions.
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

/// Splits the ordered cells of a row by column. Markers of the family are in the column with the empty
/// qualifier.
fn columns<'s, 'c>(cells: &'s [&'c Cell]) -> impl Iterator<Item = &'s [&'c Cell]> {
    cells.chunk_by(|a, b| a.qualifier == b.qualifier)
}
