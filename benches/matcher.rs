//! Deciding which cells a scan returns, in nanoseconds per cell.

mod support;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use hregion::bench::Matcher;
use hregion::{Cell, CellRef, CellType, SeekKey};
use std::hint::black_box;

const FAMILY: &[u8] = b"cf";
const CELLS: usize = 10_000;

/// Rows of `of` cells; `part` gives the qualifier, timestamp and type of a row's `i`th cell.
fn rows(of: usize, part: impl Fn(usize) -> (String, i64, CellType)) -> Vec<Cell> {
    let cell = |i: usize| {
        let (qualifier, timestamp, cell_type) = part(i % of);
        let key = SeekKey::of(&support::row(i / of), FAMILY, qualifier.as_bytes(), timestamp, cell_type);
        Cell::from(CellRef::new(&key, b"value"))
    };
    (0..CELLS).map(cell).collect()
}

fn column(i: usize) -> String {
    format!("column-{i}")
}

fn match_cells(c: &mut Criterion) {
    let put = CellType::Put;
    let newest_first = |i: usize| 1_600_000_000_000 - i64::try_from(i).expect("few versions");
    let one = rows(1, |_| (column(0), newest_first(0), put));
    let columns = rows(10, |i| (column(i), newest_first(0), put));
    let versions = rows(10, |i| (column(0), newest_first(i), put));
    // a marker of the family, then values that it hides, and newer ones
    let markers = rows(10, |i| match i {
        0 => (String::new(), newest_first(5), CellType::DeleteFamily),
        _ => (column(i), newest_first(i), put),
    });
    let named = [Bytes::from_static(b"column-0")];
    let mut group = c.benchmark_group("matcher");
    group.throughput(Throughput::Elements(CELLS as u64));
    for (name, cells, wanted, kept, expected) in [
        ("rows of 1", &one, &[][..], 1, CELLS),
        ("rows of 1, named", &one, &named[..], 1, CELLS),
        ("rows of 10 columns", &columns, &[], 1, CELLS),
        ("rows of 10 versions", &versions, &[], 10, CELLS),
        ("rows of 10 versions, newest", &versions, &[], 1, CELLS / 10),
        ("rows with a marker", &markers, &[], 1, CELLS / 10 * 4),
    ] {
        let mut matcher = Matcher::new(FAMILY, wanted, kept).expect("a plain scan");
        assert_eq!(matcher.count(cells).expect("sorted"), expected, "{name}");
        group.bench_function(name, |b| b.iter(|| matcher.count(black_box(cells))));
    }
}

criterion_group!(name = benches; config = support::criterion(); targets = match_cells);
criterion_main!(benches);
