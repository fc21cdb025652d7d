//! Statistics of cells, in bounded memory: sizes, versions, ages, and the heaviest rows.

mod chart;
mod distribution;
mod heaviest;
mod svg;

pub(crate) use chart::print;
pub(crate) use distribution::{Distribution, Unit};
pub(crate) use svg::{draw, draw_charts};

use crate::cell_line::put_json_key;
use crate::part_sums::Sum;
use heaviest::{Heaviest, HeavyRow};
use hregion::CellRef;
use hregion::cell::StringBinary;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::{self, Write};

/// Statistics of cells that are added in row order.
#[derive(Debug)]
pub(crate) struct Stats {
    now: i64,
    rows: u64,
    cells: u64,
    columns: u64,
    bytes: u64,
    /// Counts by the name of the cell type.
    types: BTreeMap<&'static str, u64>,
    families: BTreeMap<Vec<u8>, Family>,
    /// The least and the greatest timestamp.
    timestamps: Option<(i64, i64)>,
    /// The number of cells with timestamps after `now`.
    future: u64,
    row_bytes: Distribution,
    row_cells: Distribution,
    cell_bytes: Distribution,
    key_bytes: Distribution,
    value_bytes: Distribution,
    versions: Distribution,
    ages: Distribution,
    /// The rows of the most bytes, and those of the most cells.
    heaviest: Heaviest,
    hottest: Heaviest,
    /// The cells of the most bytes, with their keys as JSON.
    largest: Heaviest,
    row: Row,
    column: Column,
}

#[derive(Clone, Copy, Debug, Default)]
struct Family {
    cells: u64,
    bytes: u64,
}

/// The current row.
#[derive(Debug, Default)]
struct Row {
    key: Vec<u8>,
    bytes: u64,
    cells: u64,
}

/// The current column.
#[derive(Debug, Default)]
struct Column {
    family: Vec<u8>,
    qualifier: Vec<u8>,
    puts: u64,
}

/// The lengths of key and value before a cell, which count as part of it.
const LENGTHS: u64 = 8;
/// The length field of the tags, in cells that have any.
const TAGS_LENGTH: u64 = 2;

impl Stats {
    /// Creates empty statistics. Ages are relative to `now`; `heaviest` rows are kept.
    pub(crate) fn new(now: i64, heaviest: usize) -> Self {
        Self {
            now,
            rows: 0,
            cells: 0,
            columns: 0,
            bytes: 0,
            types: BTreeMap::new(),
            families: BTreeMap::new(),
            timestamps: None,
            future: 0,
            row_bytes: Distribution::new("row_bytes", "Bytes of a row", Unit::Bytes),
            row_cells: Distribution::new("row_cells", "Cells of a row", Unit::Count),
            cell_bytes: Distribution::new("cell_bytes", "Bytes of a cell", Unit::Bytes),
            key_bytes: Distribution::new("key_bytes", "Bytes of a key", Unit::Bytes),
            value_bytes: Distribution::new("value_bytes", "Bytes of a value", Unit::Bytes),
            versions: Distribution::new("column_versions", "Versions of a column", Unit::Count),
            ages: Distribution::new("age_millis", "Age of a cell", Unit::Age),
            heaviest: Heaviest::new(heaviest),
            hottest: Heaviest::new(heaviest),
            largest: Heaviest::new(heaviest),
            row: Row::default(),
            column: Column::default(),
        }
    }

    /// Adds the next cell.
    pub(crate) fn add(&mut self, cell: &CellRef<'_>) {
        let new_row = self.row.cells == 0 || cell.row() != self.row.key;
        if new_row {
            self.end_row();
            self.row.key.extend_from_slice(cell.row());
        }
        if new_row || cell.qualifier() != self.column.qualifier || cell.family() != self.column.family {
            self.end_column();
            self.column.family.extend_from_slice(cell.family());
            self.column.qualifier.extend_from_slice(cell.qualifier());
        }
        let (key, value) = (cell.key().as_bytes().len() as u64, cell.value().len() as u64);
        let tags = match cell.tag_bytes().len() as u64 {
            0 => 0,
            tags => tags + TAGS_LENGTH,
        };
        let bytes = LENGTHS + key + value + tags;
        self.cells += 1;
        self.bytes += bytes;
        self.row.cells += 1;
        self.row.bytes += bytes;
        self.column.puts += u64::from(!cell.cell_type().is_delete());
        *self.types.entry(cell.cell_type().name()).or_default() += 1;
        self.add_to_family(cell.family(), bytes);
        self.cell_bytes.add(bytes);
        let json = || {
            let mut json = Vec::new();
            put_json_key(&mut json, cell.key());
            json
        };
        self.largest.add(bytes, json, bytes, 1);
        self.key_bytes.add(key);
        self.value_bytes.add(value);
        self.add_time(cell.timestamp());
    }

    fn add_to_family(&mut self, name: &[u8], bytes: u64) {
        // avoids copying the name for each cell
        if !self.families.contains_key(name) {
            self.families.insert(name.to_vec(), Family::default());
        }
        if let Some(family) = self.families.get_mut(name) {
            family.cells += 1;
            family.bytes += bytes;
        }
    }

    fn add_time(&mut self, timestamp: i64) {
        let (min, max) = self.timestamps.unwrap_or((timestamp, timestamp));
        self.timestamps = Some((min.min(timestamp), max.max(timestamp)));
        match u64::try_from(i128::from(self.now) - i128::from(timestamp)) {
            Ok(age) => self.ages.add(age),
            Err(_) => self.future += 1,
        }
    }

    fn end_row(&mut self) {
        self.end_column();
        if self.row.cells > 0 {
            self.rows += 1;
            self.row_bytes.add(self.row.bytes);
            self.row_cells.add(self.row.cells);
            let (bytes, cells) = (self.row.bytes, self.row.cells);
            self.heaviest.add(bytes, || self.row.key.clone(), bytes, cells);
            self.hottest.add(cells, || self.row.key.clone(), bytes, cells);
        }
        self.row.key.clear();
        (self.row.bytes, self.row.cells) = (0, 0);
    }

    /// Ends the current column. A column with markers only has no versions and is not counted.
    fn end_column(&mut self) {
        if self.column.puts > 0 {
            self.columns += 1;
            self.versions.add(self.column.puts);
        }
        self.column.family.clear();
        self.column.qualifier.clear();
        self.column.puts = 0;
    }

    /// Ends the last row.
    pub(crate) fn finish(&mut self) {
        self.end_row();
    }

    fn distributions(&self) -> [&Distribution; 7] {
        [
            &self.row_bytes,
            &self.row_cells,
            &self.cell_bytes,
            &self.key_bytes,
            &self.value_bytes,
            &self.versions,
            &self.ages,
        ]
    }

    fn distributions_mut(&mut self) -> [&mut Distribution; 7] {
        [
            &mut self.row_bytes,
            &mut self.row_cells,
            &mut self.cell_bytes,
            &mut self.key_bytes,
            &mut self.value_bytes,
            &mut self.versions,
            &mut self.ages,
        ]
    }

    /// Returns the number of delete markers.
    pub(crate) fn markers(&self) -> u64 {
        let markers = self.types.iter().filter(|(name, _)| name.starts_with("Delete"));
        markers.map(|(_, count)| count).sum()
    }

    /// Returns the part of the cells that are delete markers, in percent.
    pub(crate) fn marker_percent(&self) -> f64 {
        (self.markers() as f64 * 10_000.0 / self.cells.max(1) as f64).round() / 100.0
    }

    /// Prints the counts as one line, below [`HEADING`](Self::HEADING).
    pub(crate) fn print_line(&self, name: &str, out: &mut impl Write) -> io::Result<()> {
        let (markers, percent) = (self.markers(), self.marker_percent());
        let versions = self.versions.histogram.mean();
        let (rows, cells, bytes) = (self.rows, self.cells, self.bytes);
        writeln!(
            out,
            "{rows:>10} {cells:>12} {bytes:>14} {markers:>10} {percent:>7.2} {versions:>8.2}  {name}"
        )
    }

    pub(crate) const HEADING: &str = "      rows        cells          bytes    markers       %  versions";

    /// Returns the statistics as one object.
    pub(crate) fn json(&self) -> Value {
        let mut members = Map::new();
        for (name, count) in
            [("rows", self.rows), ("columns", self.columns), ("cells", self.cells), ("bytes", self.bytes)]
        {
            members.insert(name.into(), count.into());
        }
        let types = self.types.iter().map(|(&name, &count)| (name.to_owned(), count.into()));
        members.insert("types".into(), types.collect::<Map<_, _>>().into());
        let family = |(name, family): (&Vec<u8>, &Family)| {
            let name = StringBinary(name).to_string();
            json!({ "family": name, "cells": family.cells, "bytes": family.bytes })
        };
        members.insert("families".into(), self.families.iter().map(family).collect());
        let timestamps = self.timestamps.map(|(min, max)| json!({ "min": min, "max": max }));
        members.insert("timestamps".into(), timestamps.into());
        members.insert("delete_markers".into(), self.markers().into());
        members.insert("marker_percent".into(), self.marker_percent().into());
        for distribution in self.distributions() {
            members.insert(distribution.name.into(), distribution.json());
        }
        members.insert("future_cells".into(), self.future.into());
        let row = |row: &HeavyRow| {
            let key = StringBinary(&row.key).to_string();
            json!({ "row": key, "bytes": row.bytes, "cells": row.cells })
        };
        members.insert("heaviest_rows".into(), self.heaviest.list().iter().map(row).collect());
        members.insert("hottest_rows".into(), self.hottest.list().iter().map(row).collect());
        let cell = |cell: &HeavyRow| json!({ "cell": cell_of(cell), "bytes": cell.bytes });
        members.insert("largest_cells".into(), self.largest.list().iter().map(cell).collect());
        members.into()
    }
}

/// Returns the key of one of the largest cells.
fn cell_of(cell: &HeavyRow) -> Value {
    serde_json::from_slice(&cell.key).unwrap_or(Value::Null)
}

/// Both must be finished: no row is in two parts.
impl Sum for Stats {
    fn merge(&mut self, next: Self) {
        self.rows += next.rows;
        self.cells += next.cells;
        self.columns += next.columns;
        self.bytes += next.bytes;
        self.future += next.future;
        for (name, count) in &next.types {
            *self.types.entry(name).or_default() += count;
        }
        for (name, more) in &next.families {
            let family = self.families.entry(name.clone()).or_default();
            family.cells += more.cells;
            family.bytes += more.bytes;
        }
        self.timestamps = match (self.timestamps, next.timestamps) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
        for (sum, more) in self.distributions_mut().into_iter().zip(next.distributions()) {
            sum.merge(more);
        }
        self.heaviest.merge(next.heaviest);
        self.hottest.merge(next.hottest);
        self.largest.merge(next.largest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::{CellType, SeekKey};

    /// Rows a (three cells, one of them a marker) and b (one cell with a future timestamp).
    pub(super) fn some() -> Stats {
        let mut stats = Stats::new(1_000_000, 1);
        for (row, qualifier, timestamp, cell_type, value) in [
            ("a", "p", 2_000, CellType::Put, "new"),
            ("a", "p", 1_000, CellType::Put, ""),
            ("a", "q", 1_000, CellType::DeleteColumn, ""),
            ("b", "p", 2_000_000, CellType::Put, "0123456789"),
        ] {
            let key = SeekKey::of(row.as_bytes(), b"f", qualifier.as_bytes(), timestamp, cell_type);
            stats.add(&CellRef::new(&key, value.as_bytes()));
        }
        stats.finish();
        stats
    }

    #[test]
    fn cells_rows_and_columns_are_counted() {
        let json = some().json();
        // a key has its row, family and qualifier, and twelve more bytes
        assert_eq!(json["key_bytes"]["min"], 15);
        let expected = json!({"rows": 2, "columns": 2, "cells": 4, "bytes": 4 * 23 + 13,
            "types": {"DeleteColumn": 1, "Put": 3},
            "families": [{"family": "f", "cells": 4, "bytes": 105}],
            "timestamps": {"min": 1000, "max": 2_000_000}, "future_cells": 1,
            "delete_markers": 1, "marker_percent": 25.0,
            "heaviest_rows": [{"row": "a", "bytes": 72, "cells": 3}],
            "hottest_rows": [{"row": "a", "bytes": 72, "cells": 3}],
            "largest_cells": [{"cell": {"row": "b", "family": "f", "qualifier": "p",
                "timestamp": 2_000_000, "type": "Put"}, "bytes": 33}]});
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&json[name], value, "{name}");
        }
        assert_eq!(
            json["column_versions"]["bins"],
            json!([{"from": 1, "to": 1, "count": 1}, {"from": 2, "to": 3, "count": 1}])
        );
        assert_eq!((&json["age_millis"]["count"], &json["age_millis"]["max"]), (&json!(3), &json!(999_000)));
    }

    #[test]
    fn parts_are_merged() {
        let (mut sum, mut one) = (Stats::new(1_000_000, 3), Stats::new(1_000_000, 3));
        let mut parts: Vec<Stats> = (0..4).map(|_| Stats::new(1_000_000, 3)).collect();
        for i in 0..40_u8 {
            let value = vec![0; usize::from(i) * 7 % 13];
            let key = SeekKey::of(&[i / 3], b"f", &[i % 3], i64::from(i), CellType::Put);
            parts[usize::from(i / 12)].add(&CellRef::new(&key, &value));
            one.add(&CellRef::new(&key, &value));
        }
        one.finish();
        for mut part in parts {
            part.finish();
            sum.merge(part);
        }
        assert_eq!(sum.json(), one.json());
    }

    #[test]
    fn nothing_is_no_rows() {
        let mut stats = Stats::new(0, 3);
        stats.finish();
        let json = stats.json();
        assert_eq!(
            (&json["rows"], &json["timestamps"], &json["row_bytes"]["bins"]),
            (&json!(0), &Value::Null, &json!([]))
        );
    }
}
