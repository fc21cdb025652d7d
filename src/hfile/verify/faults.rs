//! The faults found so far.

use crate::error::{Corruption, Error, ErrorKind, Result};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// The maximum number of faults kept. A file with more cannot be repaired manually.
const MAX_FAULTS: usize = 10_000;

/// A list of limited length without duplicates.
#[derive(Debug)]
pub(in crate::hfile) struct Faults {
    path: PathBuf,
    list: Vec<Error>,
    /// The offset and message of each fault. A block can be read by the walk, by its index entry and by its
    /// filter.
    known: HashSet<(Option<u64>, String)>,
    left_out: u64,
}

impl Faults {
    pub(in crate::hfile) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), list: Vec::new(), known: HashSet::new(), left_out: 0 }
    }

    /// Records a fault of the file's bytes; returns any other error.
    pub(in crate::hfile) fn record(&mut self, error: Error) -> Result<()> {
        if error.kind() == ErrorKind::Io {
            return Err(error);
        }
        if self.list.len() >= MAX_FAULTS {
            self.left_out += 1;
        } else if self.known.insert((error.offset(), error.message())) {
            self.list.push(error);
        }
        Ok(())
    }

    /// Records a fault at an offset, and its block if known.
    pub(in crate::hfile) fn add(&mut self, corruption: Corruption, offset: u64, block: Option<&'static str>) {
        let error = match block {
            Some(block) => corruption.in_block(&self.path, offset, block),
            None => corruption.at(&self.path, offset),
        };
        // this is a fault of the bytes, so it is never returned
        let _ = self.record(error);
    }

    pub(in crate::hfile) fn into_list(mut self) -> Vec<Error> {
        if self.left_out > 0 {
            let (limit, offset) = (MAX_FAULTS as u64, self.list.last().and_then(Error::offset));
            let more = Corruption::Limit { what: "number of faults", value: limit + self.left_out, limit };
            self.list.push(more.at(&self.path, offset.unwrap_or(0)));
        }
        self.list
    }
}

/// Returns a fault if two numbers differ.
pub(in crate::hfile) fn mismatch(what: &'static str, expected: i64, found: i64) -> Option<Corruption> {
    (expected != found).then_some(Corruption::Mismatch { what, expected, found })
}

/// Converts a number to the form used in errors.
pub(in crate::hfile) fn display_number(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_an_end_and_nothing_twice() {
        let mut faults = Faults::new(Path::new("file"));
        for offset in 0..2 * MAX_FAULTS as u64 {
            faults.add(Corruption::Malformed("wrong"), offset, None);
            if offset < 10 {
                faults.add(Corruption::Malformed("wrong"), offset, Some("DATA"));
            }
        }
        let list = faults.into_list();
        assert_eq!(list.len(), MAX_FAULTS + 1);
        assert_eq!(list[10].offset(), Some(10));
        assert_eq!(list[MAX_FAULTS].message(), "number of faults is 20000, over the limit of 10000");
    }

    #[test]
    fn system_errors_are_not_faults() {
        let mut faults = Faults::new(Path::new("file"));
        let error = Error::io("read", Path::new("file"), std::io::ErrorKind::TimedOut.into());
        assert_eq!(faults.record(error).unwrap_err().kind(), ErrorKind::Io);
        assert!(faults.into_list().is_empty());
    }
}
