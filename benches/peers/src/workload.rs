//! The data set and the orders of queries, the same for every engine. HBase's counterpart is `Rows.java`,
//! which produces the same numbers.
//!
//! Row `i` (0 <= i < n) is a function of `i` only, so that the harness keeps nothing in memory but a
//! permutation of `u32`.
//!
//! * row key: 16 bytes, `mix(i)` and `mix(i ^ C)` big-endian. `mix` is a bijection of `u64`, so rows are
//!   unique, and their order by bytes is random in `i`.
//! store key: 30 bytes, row ++ "cf" ++ "qual" ++ big-endian `!timestamp`, which sorts like HBase's cells.
//! * value: 100 bytes, 50 random bytes twice.

use std::sync::Arc;

pub const ROW: usize = 16;
pub const KEY: usize = 30;
pub const VALUE: usize = 100;
/// The bytes of a row that MB/s counts, the same for every engine: store key and value.
pub const LOGICAL: usize = KEY + VALUE;

pub const FAMILY: &[u8; 2] = b"cf";
pub const QUALIFIER: &[u8; 4] = b"qual";
pub const TIMESTAMP: u64 = 1_700_000_000_000;

pub type Row = [u8; ROW];
pub type Key = [u8; KEY];
pub type Value = [u8; VALUE];

/// The last step of splitmix64.
#[inline(always)]
pub fn mix(i: u64) -> u64 {
    let mut z = i.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[inline(always)]
pub fn row(i: u64) -> Row {
    let mut row = [0u8; ROW];
    row[..8].copy_from_slice(&mix(i).to_be_bytes());
    row[8..].copy_from_slice(&mix(i ^ 0xA5A5_0F0F_3C3C_9999).to_be_bytes());
    row
}

#[inline(always)]
pub fn key(i: u64) -> Key {
    let mut key = [0u8; KEY];
    key[..ROW].copy_from_slice(&row(i));
    key[16..18].copy_from_slice(FAMILY);
    key[18..22].copy_from_slice(QUALIFIER);
    key[22..].copy_from_slice(&(!TIMESTAMP).to_be_bytes());
    key
}

#[inline(always)]
pub fn value(i: u64) -> Value {
    let mut value = [0u8; VALUE];
    let mut state = mix(i ^ 0x5DEE_CE66_D1CE_4E5B);
    for chunk in value[..50].chunks_mut(8) {
        state = mix(state);
        chunk.copy_from_slice(&state.to_le_bytes()[..chunk.len()]);
    }
    let (first, second) = value.split_at_mut(50);
    second.copy_from_slice(first);
    value
}

/// The rows of files that are read without a region: `mix(i)` as 16 hexadecimal digits, so of the same size
/// and in the same order.
#[inline(always)]
pub fn text_row(i: u64) -> Row {
    let m = mix(i);
    std::array::from_fn(|k| b"0123456789abcdef"[(m >> (60 - 4 * k)) as usize & 15])
}

/// Columns of a wide row: `qu00` to `qu09`.
pub const COLUMNS: u64 = 10;

/// The key of cell `c` of wide row `i`. Its value is `value(i * COLUMNS + c)`.
#[inline(always)]
pub fn wide(i: u64, c: u64) -> Key {
    let mut key = key(i);
    key[20] = b'0' + (c / 10) as u8;
    key[21] = b'0' + (c % 10) as u8;
    key
}

/// Puts of a row with versions: at T, T-1, ..., T-9.
pub const VERSIONS: u64 = 10;
/// Cells of a row with versions: the puts, a Delete of T-2 and a DeleteColumn of T-6.
pub const VERSION_CELLS: u64 = VERSIONS + 2;
/// The puts that the markers leave visible.
pub const VISIBLE: [u64; 5] = [0, 1, 3, 4, 5];

/// HBase's codes: of equal timestamps, the higher code sorts first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Put = 4,
    Delete = 8,
    DeleteColumn = 12,
}

/// The store key of a version: as [`key`], but the last eight bytes are the inverse of timestamp (56 bits)
/// and kind.
pub fn versioned(i: u64, timestamp: u64, kind: Kind) -> Key {
    let mut key = key(i);
    key[22..].copy_from_slice(&(!(timestamp << 8 | kind as u64)).to_be_bytes());
    key
}

#[inline(always)]
fn inverse_end(key: &[u8]) -> u64 {
    let mut end = [0u8; 8];
    end.copy_from_slice(&key[22..30]);
    !u64::from_be_bytes(end)
}

/// Timestamp and kind of a key made by [`versioned`].
#[inline(always)]
pub fn unversion(key: &Key) -> (u64, Kind) {
    let end = inverse_end(key);
    let kind = match end as u8 {
        12 => Kind::DeleteColumn,
        8 => Kind::Delete,
        _ => Kind::Put,
    };
    (end >> 8, kind)
}

/// Timestamp and kind of cell `v` (0 <= v < VERSION_CELLS) of a row with versions. The value of a put is
/// `value(i * VERSION_CELLS + v)`.
pub fn version_cell(v: u64) -> (u64, Kind) {
    match v {
        VERSIONS => (TIMESTAMP - 2, Kind::Delete),
        v if v > VERSIONS => (TIMESTAMP - 6, Kind::DeleteColumn),
        v => (TIMESTAMP - v, Kind::Put),
    }
}

/// Filtered scans keep values below this. The first byte of a value is uniform, so 10 % of the rows pass.
pub const BELOW: [u8; 1] = [26];

/// The parts of a store key, for an engine that has cells.
pub struct Cell<'a> {
    pub row: &'a [u8],
    pub qualifier: &'a [u8],
    pub timestamp: u64,
}

#[inline(always)]
pub fn split(key: &[u8]) -> Cell<'_> {
    Cell { row: &key[..ROW], qualifier: &key[18..22], timestamp: inverse_end(key) }
}

/// The indexes 0..n in the order of keys.
#[derive(Clone)]
pub struct Order(pub Arc<Vec<u32>>);

impl Order {
    pub fn new(n: u64) -> Self {
        let mut indexes: Vec<(u64, u32)> = (0..n).map(|i| (mix(i), i as u32)).collect();
        indexes.sort_unstable();
        Order(Arc::new(indexes.into_iter().map(|(_, i)| i).collect()))
    }

    pub fn sorted(&self) -> impl DoubleEndedIterator<Item = u64> + '_ {
        self.0.iter().map(|&i| u64::from(i))
    }
}

/// Sorted runs of the shape `5runs`.
pub const RUNS: u64 = 5;

/// The run that contains cell `i`.
#[inline(always)]
pub fn run_of(i: u64) -> u64 {
    mix(i ^ 0x00C0_FFEE_0000_0005) % RUNS
}

/// xoshiro256**.
pub struct Rng([u64; 4]);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Rng([mix(seed), mix(seed + 1), mix(seed + 2), mix(seed + 3)])
    }

    #[inline(always)]
    pub fn draw(&mut self) -> u64 {
        let s = &mut self.0;
        let drawn = s[1].wrapping_mul(5).rotate_left(7).wrapping_mul(9);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        drawn
    }

    #[inline(always)]
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.draw()) * u128::from(n)) >> 64) as u64
    }

    pub fn unit(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// YCSB's Zipf distribution over 0..n. The rank is the row's index: rows are hashed, so the hot rows are
/// already spread over the keys.
pub struct Zipf {
    n: f64,
    theta: f64,
    alpha: f64,
    zeta_n: f64,
    eta: f64,
}

impl Zipf {
    pub fn new(n: u64, theta: f64) -> Self {
        let zeta = |m: u64| (1..=m).map(|i| 1.0 / (i as f64).powf(theta)).sum::<f64>();
        let zeta_n = zeta(n);
        let eta = (1.0 - (2.0 / n as f64).powf(1.0 - theta)) / (1.0 - zeta(2) / zeta_n);
        Zipf { n: n as f64, theta, alpha: 1.0 / (1.0 - theta), zeta_n, eta }
    }

    pub fn sample(&self, rng: &mut Rng) -> u64 {
        let u = rng.unit();
        let uz = u * self.zeta_n;
        if uz < 1.0 {
            return 0;
        }
        if uz < 1.0 + 0.5f64.powf(self.theta) {
            return 1;
        }
        let rank = (self.n * (self.eta * u - self.eta + 1.0).powf(self.alpha)) as u64;
        rank.min(self.n as u64 - 1)
    }
}

/// The source of the row indexes of a measurement.
pub enum Draw {
    /// Any row that exists.
    Uniform { n: u64, rng: Rng },
    /// Any row that does not exist: the indexes n..2n are never written.
    Missing { n: u64, rng: Rng },
    /// Drawn in advance, because a draw from [`Zipf`] takes two `powf`.
    Table { indexes: Arc<Vec<u32>>, at: usize },
}

impl Draw {
    pub fn uniform(n: u64, thread: usize, pass: u64) -> Self {
        Draw::Uniform { n, rng: Rng::new(1000 + thread as u64 + 17 * pass) }
    }

    pub fn missing(n: u64, thread: usize, pass: u64) -> Self {
        Draw::Missing { n, rng: Rng::new(2000 + thread as u64 + 17 * pass) }
    }

    #[inline(always)]
    pub fn draw(&mut self) -> u64 {
        match self {
            Draw::Uniform { n, rng } => rng.below(*n),
            Draw::Missing { n, rng } => *n + rng.below(*n),
            Draw::Table { indexes, at } => {
                let i = indexes[*at];
                *at += 1;
                if *at == indexes.len() {
                    *at = 0;
                }
                u64::from(i)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_sort_by_the_mixed_index() {
        let keys: Vec<Key> = Order::new(10_000).sorted().map(key).collect();
        assert!(keys.windows(2).all(|w| w[0] < w[1]));
        let rows: Vec<Row> = Order::new(10_000).sorted().map(text_row).collect();
        assert!(rows.windows(2).all(|w| w[0] < w[1]));
    }

    #[test]
    fn split_inverts_key() {
        let key = key(7);
        let cell = split(&key);
        assert_eq!((cell.row, cell.qualifier, cell.timestamp), (&row(7)[..], &QUALIFIER[..], TIMESTAMP));
    }

    #[test]
    fn versions_sort_as_in_hbase() {
        let mut cells: Vec<(u64, Kind)> = (0..VERSION_CELLS).map(version_cell).collect();
        cells.sort_by_key(|&(timestamp, kind)| versioned(1, timestamp, kind));
        let at = |age: u64| cells.iter().position(|c| *c == (TIMESTAMP - age, Kind::Put)).expect("a put");
        assert!(at(0) < at(1));
        assert_eq!(cells[at(2) - 1], (TIMESTAMP - 2, Kind::Delete));
        assert_eq!(cells[at(6) - 1], (TIMESTAMP - 6, Kind::DeleteColumn));
        assert!(cells.iter().all(|&(t, kind)| unversion(&versioned(1, t, kind)) == (t, kind)));
    }

    #[test]
    fn zipf_is_skewed() {
        let zipf = Zipf::new(100_000, 0.99);
        let mut rng = Rng::new(1);
        let hot = (0..100_000).filter(|_| zipf.sample(&mut rng) < 100).count();
        assert!((30_000..60_000).contains(&hot), "{hot}");
    }
}
