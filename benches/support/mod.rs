//! Helpers shared by the benches: one seeded table, shaped like real ones.
#![allow(dead_code, reason = "every bench uses a part of this module")]

#[path = "../../tests/support/rng.rs"]
mod rng;

use hregion::{Cell, CellRef, CellType, DataBlockEncoding, SeekKey};
pub(crate) use rng::Rng;
use std::time::Duration;

/// Whether this run measures. With `--test`, or in `cargo test`, every case runs once, and little data is
/// enough.
pub(crate) fn measures() -> bool {
    let has = |wanted| std::env::args().any(|arg| arg == wanted);
    has("--bench") && !has("--test")
}

/// Returns the number of rows in the table.
pub(crate) fn rows() -> usize {
    if measures() { 125_000 } else { 2_500 }
}

/// Shuffles items.
pub(crate) fn shuffle<T>(items: &mut [T], rng: &mut Rng) {
    for i in (1..items.len()).rev() {
        items.swap(i, rng.below(i + 1));
    }
}

/// The number of cells in a row.
pub(crate) const COLUMNS: usize = 8;

/// Returns Criterion with measurement times suitable for many cases.
pub(crate) fn criterion() -> criterion::Criterion {
    criterion::Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(30)
        .configure_from_args()
}

/// Returns a row of 16 bytes: a common prefix, and a number. The numbers in a table are even, so odd ones are
/// absent.
pub(crate) fn row(number: usize) -> Vec<u8> {
    format!("user{number:012}").into_bytes()
}

/// Returns the cells of a table: eight columns per row, timestamps of one day, short values that often equal
/// the previous row's.
pub(crate) fn cells(rows: usize) -> Vec<Cell> {
    const QUALIFIERS: [&[u8]; COLUMNS] =
        [b"address", b"age", b"balance", b"city", b"email", b"last_login", b"name", b"status"];
    const DAY: usize = 86_400_000;

    let mut rng = Rng::new(20_000);
    let mut cells = Vec::with_capacity(rows * COLUMNS);
    for number in 0..rows {
        let row = row(2 * number);
        let day = 1_700_000_000_000 + i64::try_from(rng.below(DAY)).expect("a small number");
        for (i, qualifier) in QUALIFIERS.into_iter().enumerate() {
            let timestamp = day - i64::try_from(rng.below(3)).expect("a small number");
            let key = SeekKey::of(&row, b"d", qualifier, timestamp, CellType::Put);
            let value = match i {
                1 => rng.below(100).to_string(),
                3 => format!("city-{:02}", rng.below(30)),
                7 => "active".to_owned(),
                2 | 5 => format!("{:016x}", rng.next()),
                _ => format!("{:x}-{}", rng.next(), "x".repeat(rng.below(40))),
            };
            let seq_id = i64::try_from(number / 100 + 1).expect("a small number");
            cells.push(Cell::from(CellRef::new(&key, value.as_bytes()).with_seq_id(seq_id)));
        }
    }
    cells
}

/// Returns keys to seek, in random order: the first of rows in the table.
pub(crate) fn present(rows: usize) -> Vec<SeekKey> {
    sample(rows, 0)
}

/// Returns keys to seek: the first key of rows that lie between the table's rows.
pub(crate) fn absent(rows: usize) -> Vec<SeekKey> {
    sample(rows, 1)
}

fn sample(rows: usize, offset: usize) -> Vec<SeekKey> {
    let mut rng = Rng::new(7);
    let some = 1 << 12;
    (0..some).map(|_| SeekKey::first_on_row(&row(2 * rng.below(rows) + offset))).collect()
}

/// Returns a name for use in a path.
pub(crate) fn name(encoding: DataBlockEncoding) -> String {
    encoding.name().to_ascii_lowercase()
}
