//! Keys to seek: the keys of a file's cells, the gaps around them, and keys before and after all of them.

use super::cells::{key_json, parse, parse_key};
use hregion::cell::{LATEST_TIMESTAMP, MAX_ROW_LEN, OLDEST_TIMESTAMP};
use hregion::{CellType, SeekKey};
use std::collections::HashSet;

/// Returns seek keys for the cells of `lines` as JSON lines: for at most `most` evenly spaced cells, the
/// cell's key and two near it.
///
/// Rows of `hbase:meta` keep their two commas: for rows with fewer, HBase's order depends on adjacent memory.
pub(crate) fn of(lines: &[String], meta: bool, most: usize) -> Vec<String> {
    let keys: Vec<SeekKey> = lines.iter().map(|line| parse_key(&parse(line))).collect();
    let mut out = Vec::new();
    if !meta {
        out.push(SeekKey::first_on_row(b""));
        out.push(SeekKey::first_on_row(&[0xff; 40]));
        out.push(SeekKey::last_on_row(&[0xff; 40]));
    }
    for (n, i) in spread(keys.len(), most).enumerate() {
        out.push(keys[i].clone());
        // alternates between the kinds of nearby keys, so that over a few cells every kind is used at every
        // position
        out.extend(near(&keys[i], 2 * n + n / 3, meta));
        out.extend(near(&keys[i], 2 * n + n / 3 + 1, meta));
    }
    if let (Some(first), Some(last)) = (keys.first(), keys.last()) {
        out.push(SeekKey::first_on_row(first.row()));
        out.push(SeekKey::last_on_column(last.row(), last.family(), last.qualifier()));
        out.push(SeekKey::last_on_row(last.row()));
    }
    let mut seen = HashSet::new();
    let mut lines: Vec<String> = out.iter().map(|key| key_json(key)).collect();
    lines.retain(|line| seen.insert(line.clone()));
    lines
}

/// Returns up to `most` evenly spaced indices below `len`, including the first and the last.
fn spread(len: usize, most: usize) -> impl Iterator<Item = usize> {
    let count = len.min(most);
    (0..count).map(move |n| if count < 2 { 0 } else { n * (len - 1) / (count - 1) })
}

/// Returns a key before `key` or shortly after it that is rarely the key of a cell.
fn near(key: &SeekKey, kind: usize, meta: bool) -> Option<SeekKey> {
    let (row, family, qualifier) = (key.row(), key.family(), key.qualifier());
    let (timestamp, cell_type) = (key.timestamp(), key.cell_type());
    Some(match kind % 8 {
        0 => SeekKey::of(row, family, qualifier, timestamp.checked_add(1)?, CellType::Minimum),
        1 => SeekKey::first_on_row(row),
        2 => SeekKey::first_on_column(row, family, qualifier),
        3 => SeekKey::of(row, family, &smaller(qualifier)?, timestamp, cell_type),
        4 => SeekKey::first_on_row(&if meta { longer(row)? } else { smaller(row)? }),
        5 => SeekKey::of(row, family, qualifier, timestamp, CellType::Maximum),
        6 => SeekKey::last_on_column(row, family, qualifier),
        _ => SeekKey::of(&longer(row)?, family, qualifier, LATEST_TIMESTAMP, CellType::Put),
    })
    .filter(|key| key.timestamp() != OLDEST_TIMESTAMP || key.cell_type() == CellType::Minimum)
}

/// Returns a smaller byte string: the last byte is decremented and 0xff appended, or the last byte is
/// removed.
fn smaller(bytes: &[u8]) -> Option<Vec<u8>> {
    let (&last, rest) = bytes.split_last()?;
    Some(match last.checked_sub(1) {
        Some(less) if bytes.len() < MAX_ROW_LEN => [rest, &[less, 0xff]].concat(),
        Some(less) => [rest, &[less]].concat(),
        None => rest.to_vec(),
    })
}

/// Returns the immediate successor of `row` in byte order.
fn longer(row: &[u8]) -> Option<Vec<u8>> {
    (row.len() < MAX_ROW_LEN).then(|| [row, b"\0"].concat())
}
