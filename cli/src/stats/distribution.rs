//! Distributions of numbers: quantiles, and counts in a few bins.

use crate::histogram::Histogram;
use serde_json::{Value, json};

/// The unit of the numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Count,
    /// Milliseconds.
    Age,
    Nanoseconds,
}

/// Numbers, by quantiles and bins.
#[derive(Debug)]
pub(crate) struct Distribution {
    /// The name in JSON.
    pub(crate) name: &'static str,
    /// The title in text.
    pub(crate) title: &'static str,
    unit: Unit,
    pub(crate) histogram: Histogram,
    bins: Vec<u64>,
}

/// The count of numbers in a range with inclusive bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bin {
    pub(crate) from: u64,
    pub(crate) to: u64,
    pub(crate) count: u64,
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const YEAR: u64 = 365 * DAY;

/// The start of each age bin, except the first.
const AGES: [(u64, &str); 10] = [
    (SECOND, "1 s"),
    (MINUTE, "1 min"),
    (10 * MINUTE, "10 min"),
    (HOUR, "1 h"),
    (6 * HOUR, "6 h"),
    (DAY, "1 day"),
    (7 * DAY, "7 days"),
    (30 * DAY, "30 days"),
    (YEAR, "1 year"),
    (5 * YEAR, "5 years"),
];

impl Distribution {
    pub(crate) fn new(name: &'static str, title: &'static str, unit: Unit) -> Self {
        Self { name, title, unit, histogram: Histogram::default(), bins: Vec::new() }
    }

    pub(crate) fn add(&mut self, number: u64) {
        self.histogram.add(number);
        let bin = self.unit.bin(number);
        if bin >= self.bins.len() {
            self.bins.resize(bin + 1, 0);
        }
        self.bins[bin] += 1;
    }

    /// Adds the numbers of another distribution of the same unit.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.histogram.merge(&other.histogram);
        if other.bins.len() > self.bins.len() {
            self.bins.resize(other.bins.len(), 0);
        }
        self.bins.iter_mut().zip(&other.bins).for_each(|(sum, count)| *sum += count);
    }

    /// Returns the bins from the first non-empty one to the last.
    pub(crate) fn bins(&self) -> Vec<Bin> {
        let first = self.bins.iter().position(|&count| count > 0).unwrap_or(self.bins.len());
        let bins = self.bins.iter().enumerate().skip(first);
        bins.map(|(bin, &count)| {
            let (from, to) = self.unit.bounds(bin);
            Bin { from, to, count }
        })
        .collect()
    }

    /// Returns the label of a bin.
    pub(crate) fn label(&self, bin: Bin) -> String {
        match self.unit {
            Unit::Age => {
                let name = |at: u64| AGES.iter().find(|(age, _)| *age == at).map_or("", |(_, name)| name);
                match (bin.from, bin.to) {
                    (0, to) => format!("below {}", name(to + 1)),
                    (from, u64::MAX) => format!("{} on", name(from)),
                    (from, to) => format!("{} to {}", name(from), name(to + 1)),
                }
            }
            Unit::Nanoseconds => format!("{} to {}", show_nanos(bin.from), show_nanos(bin.to)),
            _ if bin.from == bin.to => bin.from.to_string(),
            _ => format!("{} to {}", bin.from, bin.to),
        }
    }

    /// Formats a number for people.
    pub(crate) fn show(&self, number: u64) -> String {
        match self.unit {
            Unit::Age => show_age(number),
            Unit::Nanoseconds => show_nanos(number),
            Unit::Bytes | Unit::Count => number.to_string(),
        }
    }

    pub(crate) fn json(&self) -> Value {
        let mut json = self.histogram.json();
        let bin = |bin: Bin| match bin.to {
            u64::MAX => json!({ "from": bin.from, "to": null, "count": bin.count }),
            to => json!({ "from": bin.from, "to": to, "count": bin.count }),
        };
        if let Some(members) = json.as_object_mut() {
            members.insert("bins".into(), self.bins().into_iter().map(bin).collect());
        }
        json
    }
}

impl Unit {
    /// Returns the bin of a number: powers of two for sizes and counts.
    fn bin(self, number: u64) -> usize {
        match self {
            Self::Age => AGES.partition_point(|(age, _)| *age <= number),
            Self::Bytes | Self::Count | Self::Nanoseconds => (u64::BITS - number.leading_zeros()) as usize,
        }
    }

    /// Returns the first and the last number of a bin.
    fn bounds(self, bin: usize) -> (u64, u64) {
        match self {
            Self::Age => {
                let from = bin.checked_sub(1).map_or(0, |before| AGES[before].0);
                (from, AGES.get(bin).map_or(u64::MAX, |(age, _)| age - 1))
            }
            Self::Bytes | Self::Count | Self::Nanoseconds => match bin {
                0 => (0, 0),
                bin => (1 << (bin - 1), u64::MAX >> (u64::BITS as usize - bin)),
            },
        }
    }
}

/// Formats a time in the greatest unit that fits.
fn show_nanos(nanos: u64) -> String {
    let units = [(1_000_000_000, "s"), (1_000_000, "ms"), (1_000, "µs")];
    match units.into_iter().find(|(unit, _)| nanos >= *unit) {
        Some((unit, name)) => format!("{}.{} {name}", nanos / unit, nanos % unit / (unit / 10)),
        None => format!("{nanos} ns"),
    }
}

/// Formats an age in the greatest unit that fits.
fn show_age(millis: u64) -> String {
    let units = [(YEAR, "years"), (DAY, "days"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s")];
    match units.into_iter().find(|(unit, _)| millis >= *unit) {
        Some((unit, name)) => {
            // ages are far below 2^53 tenths
            let tenths = millis / (unit / 10);
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        }
        None => format!("{millis} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bins_follow_each_other_without_gaps() {
        for (unit, last) in [(Unit::Bytes, 64), (Unit::Nanoseconds, 64), (Unit::Age, AGES.len())] {
            let mut next = 0;
            for bin in 0..=last {
                let (from, to) = unit.bounds(bin);
                assert_eq!((from, unit.bin(from), unit.bin(to)), (next, bin, bin), "{unit:?} {bin}");
                next = to.wrapping_add(1);
            }
            assert_eq!(next, 0);
        }
    }

    #[test]
    fn bins_are_counted_and_named() {
        let mut sizes = Distribution::new("sizes", "Sizes", Unit::Bytes);
        [3, 2, 9, 4].into_iter().for_each(|size| sizes.add(size));
        let labels: Vec<_> = sizes.bins().into_iter().map(|bin| (sizes.label(bin), bin.count)).collect();
        assert_eq!(labels, [("2 to 3".into(), 2), ("4 to 7".into(), 1), ("8 to 15".into(), 1)]);
        let mut times = Distribution::new("times", "Times", Unit::Nanoseconds);
        [900, 1_500, 3_000_000].into_iter().for_each(|time| times.add(time));
        let mut more = Distribution::new("times", "Times", Unit::Nanoseconds);
        more.add(2_047);
        times.merge(&more);
        let bins: Vec<_> = times.bins().into_iter().map(|bin| (times.label(bin), bin.count)).collect();
        assert_eq!(bins[..2], [("512 ns to 1.0 µs".into(), 1), ("1.0 µs to 2.0 µs".into(), 2)]);
        assert_eq!(bins.last(), Some(&("2.0 ms to 4.1 ms".into(), 1)));
        let mut ages = Distribution::new("ages", "Ages", Unit::Age);
        [5, HOUR, 9 * YEAR].into_iter().for_each(|age| ages.add(age));
        let bins = ages.bins();
        assert_eq!(ages.label(bins[0]), "below 1 s");
        assert_eq!((ages.label(bins[4]), bins[4].count), ("1 h to 6 h".into(), 1));
        assert_eq!(ages.label(bins[10]), "5 years on");
        assert_eq!((ages.show(90 * MINUTE), ages.show(7)), ("1.5 h".into(), "7 ms".into()));
        assert_eq!(ages.json()["bins"][10]["to"], Value::Null);
    }
}
