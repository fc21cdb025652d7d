//! The usage of store files and the directories above them.

use crate::failure::Failure;
use crate::output::Output;
use crate::text;
use std::io::Write as _;
use std::path::Path;

/// The usage of a file or a directory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    pub(crate) bytes: u64,
    pub(crate) cells: Option<u64>,
    /// The oldest and newest timestamps.
    pub(crate) times: Option<(i64, i64)>,
    /// The bytes of files, and those of their blocks before compression.
    pub(crate) plain: Option<(u64, u64)>,
    /// The number of files of a family that have rows in one range.
    pub(crate) depth: Option<usize>,
}

/// Combines two values that may be unknown.
fn combined<T>(a: Option<T>, b: Option<T>, combine: impl FnOnce(T, T) -> T) -> Option<T> {
    match (a, b) {
        (Some(a), Some(b)) => Some(combine(a, b)),
        (a, b) => a.or(b),
    }
}

impl Usage {
    pub(crate) const HEADING: &str =
        "         bytes        cells           oldest           newest  saved  overlap";

    pub(crate) fn add(&mut self, other: Self) {
        // the sizes in files may be wrong
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.cells = combined(self.cells, other.cells, u64::saturating_add);
        self.times = combined(self.times, other.times, |a, b| (a.0.min(b.0), a.1.max(b.1)));
        let sum = |a: (u64, u64), b: (u64, u64)| (a.0.saturating_add(b.0), a.1.saturating_add(b.1));
        self.plain = combined(self.plain, other.plain, sum);
        self.depth = combined(self.depth, other.depth, usize::max);
    }

    pub(crate) fn print(self, path: &Path, out: &mut Output) -> Result<(), Failure> {
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".into());
        let cells = shown(self.cells.map(|cells| cells.to_string()));
        let oldest = shown(self.times.map(|times| times.0.to_string()));
        let newest = shown(self.times.map(|times| times.1.to_string()));
        let saved = self.plain.map(|(bytes, plain)| {
            let part = i128::from(bytes) * 100 / i128::from(plain.max(1));
            format!("{}%", 100 - part)
        });
        let (saved, depth) = (shown(saved), shown(self.depth.map(|files| files.to_string())));
        let path = text::path(path);
        writeln!(
            out,
            "{:>14} {cells:>12} {oldest:>16} {newest:>16} {saved:>6} {depth:>8}  {path}",
            self.bytes
        )?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_files_that_lie_do_not_overflow() {
        let lie = Usage {
            bytes: u64::MAX - 1,
            cells: Some(u64::MAX),
            times: Some((i64::MIN, i64::MAX)),
            plain: Some((7, u64::MAX - 1)),
            depth: Some(usize::MAX),
        };
        let mut sum = Usage { bytes: 1, cells: Some(1), plain: Some((1, 1)), ..Usage::default() };
        sum.add(lie);
        assert_eq!((sum.bytes, sum.cells, sum.plain), (u64::MAX, Some(u64::MAX), Some((8, u64::MAX))));
        sum.add(lie);
        assert_eq!((sum.bytes, sum.cells, sum.plain), (u64::MAX, Some(u64::MAX), Some((15, u64::MAX))));
    }
}
