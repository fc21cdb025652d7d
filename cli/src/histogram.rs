//! A compact histogram of sizes: exact below 128, within 1.6 % above.

use serde_json::{Map, Value};
use std::io::{self, Write};

/// Counts by size.
#[derive(Clone, Debug, Default)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    count: u64,
    min: u64,
    max: u64,
    sum: u128,
    /// Modulo 2^128.
    sum_of_squares: u128,
}

/// Buckets per power of two; sizes below twice this are exact.
const STEPS: u32 = 64;

impl Histogram {
    /// Counts one size.
    pub(crate) fn add(&mut self, size: u64) {
        let bucket = bucket(size);
        if bucket >= self.counts.len() {
            self.counts.resize(bucket + 1, 0);
        }
        self.counts[bucket] += 1;
        self.min = if self.count == 0 { size } else { self.min.min(size) };
        self.max = self.max.max(size);
        self.count += 1;
        let size = u128::from(size);
        self.sum += size;
        self.sum_of_squares = self.sum_of_squares.wrapping_add(size * size);
    }

    /// Adds the sizes of another histogram.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.count == 0 {
            return;
        }
        if other.counts.len() > self.counts.len() {
            self.counts.resize(other.counts.len(), 0);
        }
        self.counts.iter_mut().zip(&other.counts).for_each(|(sum, count)| *sum += count);
        self.min = if self.count == 0 { other.min } else { self.min.min(other.min) };
        self.max = self.max.max(other.max);
        self.count += other.count;
        self.sum += other.sum;
        self.sum_of_squares = self.sum_of_squares.wrapping_add(other.sum_of_squares);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    pub(crate) fn mean(&self) -> f64 {
        self.sum as f64 / as_f64(self.count.max(1))
    }

    /// Returns the standard deviation. Sums of floating-point squares would lose it where sizes are large and
    /// close to each other.
    fn deviation(&self) -> f64 {
        if self.count < 2 {
            return 0.0;
        }
        let count = u128::from(self.count);
        let mean = self.sum / count;
        // The sum of the squares of the distances from `mean`, which is below 2^128 where its terms are not.
        let twice = mean.wrapping_mul(self.sum).wrapping_mul(2);
        let distances =
            self.sum_of_squares.wrapping_sub(twice).wrapping_add(mean.wrapping_mul(mean).wrapping_mul(count));
        let rest = (self.sum % count) as f64;
        ((distances as f64 - rest * rest / count as f64) / (count - 1) as f64).max(0.0).sqrt()
    }

    /// Returns a size that at least `thousandths`/1000 of the sizes do not exceed: the end of a bucket.
    pub(crate) fn quantile(&self, thousandths: u64) -> u64 {
        let wanted = u128::from(self.count) * u128::from(thousandths);
        let mut met = 0;
        for (bucket, &count) in self.counts.iter().enumerate() {
            met += u128::from(count) * 1000;
            if met >= wanted && count > 0 {
                return last_of(bucket).clamp(self.min, self.max);
            }
        }
        self.max
    }

    /// Prints the histogram in the format of `hbase hfile -s`.
    pub(crate) fn print(&self, out: &mut impl Write, name: &str) -> io::Result<()> {
        writeln!(out, "{name}:")?;
        let mut line = |label: &str, sign: &str, value: f64| writeln!(out, "{label:>18} {sign} {value:.2}");
        line("min", "=", as_f64(self.min))?;
        line("max", "=", as_f64(self.max))?;
        line("mean", "=", self.mean())?;
        line("stddev", "=", self.deviation())?;
        line("median", "=", as_f64(self.quantile(500)))?;
        for (label, thousandths) in [("75%", 750), ("95%", 950), ("98%", 980), ("99%", 990), ("99.9%", 999)] {
            line(label, "<=", as_f64(self.quantile(thousandths)))?;
        }
        writeln!(out, "{:>18} = {}", "count", self.count)
    }

    /// Returns the same numbers as JSON.
    pub(crate) fn json(&self) -> Value {
        let mut members = Map::new();
        members.insert("min".into(), self.min.into());
        members.insert("max".into(), self.max.into());
        members.insert("mean".into(), self.mean().into());
        members.insert("stddev".into(), self.deviation().into());
        for (name, thousandths) in
            [("median", 500), ("p75", 750), ("p95", 950), ("p98", 980), ("p99", 990), ("p999", 999)]
        {
            members.insert(name.into(), self.quantile(thousandths).into());
        }
        members.insert("count".into(), self.count.into());
        members.into()
    }
}

/// Exact below 2^53; sizes are far smaller.
fn as_f64(number: u64) -> f64 {
    number as f64
}

fn bucket(size: u64) -> usize {
    let steps = u64::from(STEPS);
    // the number of low bits that a bucket ignores
    let shift = (64 - size.leading_zeros()).saturating_sub(STEPS.ilog2() + 1);
    usize::try_from(u64::from(shift) * steps + (size >> shift)).unwrap_or(usize::MAX)
}

/// Returns the largest size of a bucket.
fn last_of(bucket: usize) -> u64 {
    let steps = STEPS as usize;
    if bucket < 2 * steps {
        return bucket as u64;
    }
    let shift = bucket / steps - 1;
    let step = (bucket - shift * steps) as u64;
    (step << shift) | ((1 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_follow_each_other_without_gaps() {
        let mut size = 0_u64;
        for expected in 0..2000 {
            assert_eq!(bucket(size), expected, "{size}");
            let last = last_of(expected);
            assert_eq!(bucket(last), expected, "{last}");
            size = last + 1;
        }
        assert!(last_of(bucket(u64::MAX)) == u64::MAX);
    }

    #[test]
    fn the_deviation_of_large_sizes_is_exact() {
        let near = |start: u64| {
            let mut histogram = Histogram::default();
            (0..100).for_each(|i| histogram.add(start + i % 2 * 1000));
            histogram
        };
        let expected = near(0).deviation();
        assert!((expected - 502.5).abs() < 0.1, "{expected}");
        for start in [1_900_000_000_000, u64::MAX - 1000] {
            let mut halves = near(start);
            halves.merge(&near(start));
            assert_eq!(near(start).deviation(), expected, "{start}");
            assert!((halves.deviation() - 501.3).abs() < 0.1, "{start}: {}", halves.deviation());
        }
    }

    #[test]
    fn quantiles_are_those_of_a_sorted_list() {
        let sizes: Vec<u64> = (0..1000).map(|i| i * i % 907 + i / 7).collect();
        let mut histogram = Histogram::default();
        sizes.iter().for_each(|&size| histogram.add(size));
        let mut sorted = sizes;
        sorted.sort_unstable();
        for thousandths in [500, 750, 950, 990, 999, 1000] {
            let exact = sorted[usize::try_from(thousandths).unwrap() - 1];
            let found = histogram.quantile(thousandths);
            assert!(found >= exact && found <= exact + exact / 64 + 1, "{thousandths}: {exact} {found}");
        }
        assert_eq!(histogram.quantile(1000), *sorted.last().unwrap());
    }

    #[test]
    fn merged_histograms_have_the_sizes_of_both() {
        let (mut all, mut merged) = (Histogram::default(), Histogram::default());
        for part in [0..3_u64, 5..5, 900..1000, 20..500] {
            let mut histogram = Histogram::default();
            for size in part {
                all.add(size * size);
                histogram.add(size * size);
            }
            merged.merge(&histogram);
        }
        assert_eq!(merged.json(), all.json());
    }
}
