//! Sums over store files.

use serde_json::{Value, json};

/// The sums over several files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
    /// Unknown if all files are references or links, which have no cells of their own.
    pub(crate) cells: Option<u64>,
    /// The oldest and the newest timestamp.
    pub(crate) times: Option<(i64, i64)>,
}

impl Total {
    pub(crate) fn add(&mut self, other: Self) {
        self.files += other.files;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.cells = match (self.cells, other.cells) {
            (Some(a), Some(b)) => Some(a.saturating_add(b)),
            (a, b) => a.or(b),
        };
        self.times = match (self.times, other.times) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (a, b) => a.or(b),
        };
    }

    pub(crate) fn of(totals: impl IntoIterator<Item = Self>) -> Self {
        totals.into_iter().fold(Self::default(), |mut sum, total| {
            sum.add(total);
            sum
        })
    }

    /// Returns `{"files","bytes","cells","oldest","newest"}`.
    pub(crate) fn json(self) -> Value {
        json!({
            "files": self.files, "bytes": self.bytes, "cells": self.cells,
            "oldest": self.times.map(|times| times.0), "newest": self.times.map(|times| times.1),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_stays_unknown() {
        let link = Total { files: 1, bytes: 5, ..Total::default() };
        assert_eq!(Total::of([link, link]), Total { files: 2, bytes: 10, ..Total::default() });
        let file = Total { files: 1, bytes: 7, cells: Some(3), times: Some((4, 9)) };
        let older = Total { times: Some((1, 5)), ..file };
        let all = Total::of([link, file, older]);
        assert_eq!(all, Total { files: 3, bytes: 19, cells: Some(6), times: Some((1, 9)) });
        assert_eq!(all.json(), json!({"files": 3, "bytes": 19, "cells": 6, "oldest": 1, "newest": 9}));
    }
}
