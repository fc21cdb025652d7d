//! Times and sizes with units, as `describe` shows them and as they may be given (HBase: `PrettyPrinter`).

/// The names of units in capital letters, with their sizes, the largest first.
type Units = &'static [(&'static [&'static str], i64)];

const SECONDS: Units = &[
    (&["DAY", "DAYS"], 86_400),
    (&["HOUR", "HOURS"], 3600),
    (&["MINUTE", "MINUTES"], 60),
    (&["SECOND", "SECONDS"], 1),
];

const BYTES: Units = &[
    (&["TB", "T"], 1 << 40),
    (&["GB", "G"], 1 << 30),
    (&["MB", "M"], 1 << 20),
    (&["KB", "K"], 1 << 10),
    (&["B"], 1),
];

/// Returns the seconds of `93600`, `1 DAY 2 HOURS` or `93600 SECONDS (1 DAY 2 HOURS)`.
pub(super) fn seconds(text: &str) -> Option<i64> {
    number(text, SECONDS)
}

/// Returns the bytes of `1536`, `1 KB 512 B` or `1536 B (1KB 512B)`.
pub(super) fn bytes(text: &str) -> Option<i64> {
    number(text, BYTES)
}

/// Returns the number of a text. If it has parentheses, that in them must be the same as that before them.
fn number(text: &str, units: Units) -> Option<i64> {
    let text = text.to_ascii_uppercase();
    let Some((total, parts)) = text.split_once('(') else { return sum(&text, units) };
    let parts = sum(parts.trim_end().strip_suffix(')')?, units)?;
    (sum(total, units)? == parts).then_some(parts)
}

/// Returns a number without a unit, or the sum of numbers with units, from the largest unit to the smallest.
fn sum(text: &str, mut units: Units) -> Option<i64> {
    let mut rest = text.trim();
    if rest.is_empty() {
        return None;
    }
    if let Ok(number) = rest.parse() {
        return Some(number);
    }
    let mut sum = 0_i64;
    while !rest.is_empty() {
        let (digits, after) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let after = after.trim_start();
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (name, next) = after.split_at(letters);
        let place = units.iter().position(|(names, _)| names.contains(&name))?;
        let (_, size) = units.get(place)?;
        sum = sum.checked_add(digits.parse::<i64>().ok()?.checked_mul(*size)?)?;
        units = units.get(place + 1..)?;
        rest = next.trim_start();
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_sizes_are_read_as_they_are_shown() {
        for (text, expected) in [
            ("93600", Some(93_600)),
            (" 1 day 2 hours ", Some(93_600)),
            ("1DAY2HOURS", Some(93_600)),
            ("93600 SECONDS (1 DAY 2 HOURS)", Some(93_600)),
            ("30 SECONDS", Some(30)),
            ("93600 SECONDS (1 DAY)", None),
            ("93600 SECONDS (1 DAY 2 HOURS", None),
            ("2 HOURS 1 DAY", None),
            ("1 DAY 2", None),
            ("1 WEEK", None),
            ("DAY", None),
            ("()", None),
            ("", None),
            ("9223372036854775807 DAYS", None),
        ] {
            assert_eq!(seconds(text), expected, "{text}");
        }
        for (text, expected) in [
            ("1500000 B (1MB 440KB 864B)", Some(1_500_000)),
            ("10 GB", Some(10 << 30)),
            ("64k", Some(65_536)),
            ("-1", Some(-1)),
            ("-1 B", None),
            ("1 DAY", None),
            ("8388608 TB", None),
        ] {
            assert_eq!(bytes(text), expected, "{text}");
        }
    }
}
