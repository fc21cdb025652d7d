//! Rows in a shorthand, passed to a matcher by a driver that moves as a store scanner does
//! (read-path.md §10).
//!
//! A cell is its qualifier, a sign for its type, its timestamp, and optionally `#` and its sequence id, `!`
//! and its time to live, `@` and its visibility label, a letter: `a=5#7` is a value, `a-5` a Delete, `a<5` a
//! DeleteColumn, `~5` a DeleteFamilyVersion, `^5` a DeleteFamily.

mod filtered;
mod naive;
mod random;
mod tables;

use super::{Advance, CompactionKind, MatchCode, ScanInfo, ScanQueryMatcher};
use crate::cell::{Cell, CellOrder, CellRef, CellType, SeekKey, TTL_TAG_TYPE};
use crate::op::{Query, TimeRange};
use crate::schema::{Family, KeepDeletedCells};
use bytes::Bytes;
use std::cmp::Reverse;

const FAMILY: &[u8] = b"f";
/// The current time in these tests.
const NOW: i64 = 1000;

const SIGNS: [(char, CellType); 5] = [
    ('=', CellType::Put),
    ('-', CellType::Delete),
    ('<', CellType::DeleteColumn),
    ('~', CellType::DeleteFamilyVersion),
    ('^', CellType::DeleteFamily),
];

fn cell_of(
    row: &[u8],
    qualifier: &str,
    sign: CellType,
    timestamp: i64,
    seq_id: i64,
    ttl: Option<i64>,
    label: Option<u8>,
) -> Cell {
    let key = SeekKey::of(row, FAMILY, qualifier.as_bytes(), timestamp, sign);
    let mut tags = ttl.map_or_else(Vec::new, |ttl| [&[0, 9, TTL_TAG_TYPE][..], &ttl.to_be_bytes()].concat());
    if let Some(label) = label {
        tags.extend([0, 2, 4, 1, 0, 2, 2, label]);
    }
    Cell::from(CellRef::new(&key, b"").with_seq_id(seq_id).with_tag_bytes(&tags).unwrap())
}

/// Cells of a row in shorthand, sorted.
fn row(text: &str) -> Vec<Cell> {
    let parse = |text: &str| {
        let at = text.find(|c| SIGNS.iter().any(|&(sign, _)| sign == c)).unwrap();
        let (qualifier, rest) = text.split_at(at);
        let sign = SIGNS.iter().find(|(sign, _)| rest.starts_with(*sign)).unwrap().1;
        let (rest, label) = rest[1..].split_once('@').map_or((&rest[1..], None), |(a, b)| (a, Some(b)));
        let label = label.map(|label| label.as_bytes()[0]);
        let (rest, ttl) = rest.split_once('!').map_or((rest, None), |(a, b)| (a, Some(b)));
        let (timestamp, seq_id) = rest.split_once('#').unwrap_or((rest, "0"));
        let ttl = ttl.map(|ttl| ttl.parse().unwrap());
        cell_of(b"r", qualifier, sign, timestamp.parse().unwrap(), seq_id.parse().unwrap(), ttl, label)
    };
    let mut cells: Vec<_> = text.split_whitespace().map(parse).collect();
    sort(&mut cells);
    cells
}

fn sort(cells: &mut [Cell]) {
    cells.sort_by(|a, b| {
        let (a, b) = (a.as_ref(), b.as_ref());
        CellOrder::User.compare(a.key(), b.key()).then(Reverse(a.seq_id()).cmp(&Reverse(b.seq_id())))
    });
}

/// Cells in shorthand, without times to live.
fn text<'c>(cells: impl IntoIterator<Item = &'c Cell>) -> String {
    let one = |cell: &Cell| {
        let cell = cell.as_ref();
        let sign = SIGNS.iter().find(|(_, sign)| *sign == cell.cell_type()).unwrap().0;
        let id = if cell.seq_id() == 0 { String::new() } else { format!("#{}", cell.seq_id()) };
        let label = cell
            .tags()
            .find(|tag| tag.tag_type == 2)
            .map_or_else(String::new, |tag| format!("@{}", String::from_utf8_lossy(tag.value)));
        format!("{}{sign}{}{id}{label}", String::from_utf8_lossy(cell.qualifier()), cell.timestamp())
    };
    cells.into_iter().map(one).collect::<Vec<_>>().join(" ")
}

/// How the driver moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Seeking,
    Stepping,
}

/// Returns the indices of the cells that a matcher includes.
fn matched(mut matcher: ScanQueryMatcher<'_>, cells: &[Cell], way: Way) -> Vec<usize> {
    let mut included = Vec::new();
    let (mut at, mut key) = (0, SeekKey::new());
    let find = |from: usize, key: &SeekKey| {
        let is_before = |cell: &Cell| CellOrder::User.compare(cell.as_ref().key(), key).is_lt();
        let to = cells.partition_point(is_before);
        assert!(to > from, "a seek goes on: {key:?}");
        to
    };
    matcher.start_key(&mut key);
    while at < cells.len() && CellOrder::User.compare(cells[at].as_ref().key(), &key).is_lt() {
        at += 1;
    }
    while let Some(cell) = cells.get(at).map(Cell::as_ref) {
        if !matcher.is_of_current_row(cell) {
            matcher.set_to_new_row(cell.row());
        }
        let code = matcher.match_in_row(cell).unwrap();
        use MatchCode::*;
        if let Include | IncludeAndSeekNextCol | IncludeAndSeekNextRow = code {
            included.push(at);
        }
        match code {
            Include | Skip => at += 1,
            IncludeAndSeekNextCol | SeekNextCol => match matcher.key_for_next_column(cell, &mut key) {
                Advance::Step => at += 1,
                Advance::Seek if way == Way::Seeking => at = find(at, &key),
                Advance::Seek => {
                    assert!(matcher.may_skip_within_column(cell));
                    let column = (cell.row(), cell.qualifier());
                    let same = |cell: CellRef<'_>| (cell.row(), cell.qualifier()) == column;
                    while cells.get(at).is_some_and(|cell| same(cell.as_ref())) {
                        at += 1;
                    }
                }
            },
            IncludeAndSeekNextRow | SeekNextRow => {
                let more = matcher.more_rows_may_exist_after(cell.row());
                matcher.clear_row();
                if !more {
                    break;
                }
                matcher.key_for_next_row(cell, &mut key);
                at = find(at, &key);
            }
        }
    }
    included
}

/// A query, and the family's settings.
#[derive(Clone, Debug)]
struct Ask {
    family: Family,
    columns: Vec<Bytes>,
    time_range: TimeRange,
    max_versions: u32,
    raw: bool,
    filtered: bool,
    get_like: bool,
    time_to_purge: i64,
    /// Whether the matcher expects tags. It must if a cell has a label.
    tags: bool,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            family: Family::new(FAMILY).max_versions(3),
            columns: Vec::new(),
            time_range: TimeRange::ALL,
            max_versions: u32::MAX,
            raw: false,
            filtered: false,
            get_like: false,
            time_to_purge: 0,
            tags: false,
        }
    }
}

impl Ask {
    fn info(&self) -> ScanInfo {
        let mut info = ScanInfo::new(&self.family, NOW, self.tags);
        info.time_to_purge_deletes = self.time_to_purge;
        // The tests count in milliseconds.
        if let Some(ttl) = self.family.ttl {
            info.oldest_unexpired_ts = NOW - i64::from(ttl);
        }
        info
    }

    fn query(&self) -> Query<'_> {
        Query {
            start: if self.get_like { b"r" } else { b"" },
            include_start: true,
            stop: if self.get_like { b"r" } else { b"" },
            reversed: false,
            get_like: self.get_like,
            columns: &self.columns,
            time_range: self.time_range,
            max_versions: self.max_versions,
            raw: self.raw,
            filtered: self.filtered,
            max_results: None,
            row_offset: 0,
            read_point: i64::MAX,
            cache_blocks: true,
        }
    }

    /// Returns the indices of the cells that a scan finds, both by seeking and by stepping.
    fn scan(&self, cells: &[Cell]) -> Vec<usize> {
        both_ways(cells, || {
            ScanQueryMatcher::for_user(&self.query(), FAMILY, &self.info(), CellOrder::User).unwrap()
        })
    }

    /// Returns the indices of the cells that a compaction keeps, both by seeking and by stepping.
    fn compact(&self, cells: &[Cell], kind: CompactionKind, max_read_point: i64) -> Vec<usize> {
        both_ways(cells, || ScanQueryMatcher::for_compaction(kind, FAMILY, &self.info(), max_read_point))
    }

    fn family(mut self, change: impl FnOnce(Family) -> Family) -> Self {
        self.family = change(self.family);
        self
    }

    fn columns(mut self, columns: &[&'static str]) -> Self {
        self.columns = columns.iter().map(|column| Bytes::from_static(column.as_bytes())).collect();
        self
    }

    fn times(mut self, min: i64, max: i64) -> Self {
        self.time_range = TimeRange::new(min, max).unwrap();
        self
    }

    fn versions(mut self, versions: u32) -> Self {
        self.max_versions = versions;
        self
    }

    fn raw(mut self) -> Self {
        self.raw = true;
        self
    }

    fn tags(mut self) -> Self {
        self.tags = true;
        self
    }

    fn keep(self, keep: KeepDeletedCells) -> Self {
        self.family(|family| family.keep_deleted_cells(keep))
    }
}

fn both_ways<'q>(cells: &[Cell], matcher: impl Fn() -> ScanQueryMatcher<'q>) -> Vec<usize> {
    let seeking = matched(matcher(), cells, Way::Seeking);
    let stepping = matched(matcher(), cells, Way::Stepping);
    assert_eq!(seeking, stepping, "seeking and stepping find the same of {}", text(cells));
    seeking
}

/// Checks that a scan of `cells` finds `found`.
#[track_caller]
fn finds(ask: &Ask, cells: &str, found: &str) {
    let cells = row(cells);
    let places = ask.scan(&cells);
    assert_eq!(text(places.iter().map(|&at| &cells[at])), found, "of {} by {ask:?}", text(&cells));
}

/// Checks that a compaction of `cells` keeps `kept`.
#[track_caller]
fn keeps(ask: &Ask, kind: CompactionKind, max_read_point: i64, cells: &str, kept: &str) {
    let cells = row(cells);
    let places = ask.compact(&cells, kind, max_read_point);
    assert_eq!(text(places.iter().map(|&at| &cells[at])), kept, "of {} by {kind:?} {ask:?}", text(&cells));
}
