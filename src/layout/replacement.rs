//! The replacement of a whole table in a storage without renames, as recorded in the file of a [change of
//! regions](super::RegionChange).
//!
//! | kind | the regions | the descriptor |
//! |---|---|---|
//! | deletion | are removed | is removed |
//! | truncation | are replaced by empty ones | gets another number |
//! | restoration | are replaced by those of a snapshot, with other ids | is that of the snapshot |
//! | alteration | stay | is another one |
//!
//! The descriptor is in the file, and gets a number when the change begins. It is written after the change is
//! made: by the process that made it, or the next one that opens the table, or a region, for writing. Until
//! then no other change of the table may begin, so that nothing else is written with this number.
#![warn(clippy::indexing_slicing)]

use super::descriptor::{last_number, write_descriptor};
use super::file_name::new_file_name;
use crate::binary::{from_hex, to_hex};
use crate::error::{Corruption, Result};
use crate::io::Storage;
use crate::schema::region_name::is_encoded_name;
use std::path::Path;
use std::sync::Arc;

/// The kinds of changes of a whole table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ReplacementKind {
    Deletion,
    Truncation,
    Restoration,
    Alteration,
}

impl ReplacementKind {
    const ALL: [Self; 4] = [Self::Deletion, Self::Truncation, Self::Restoration, Self::Alteration];

    /// Returns the line that records the kind.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Deletion => "deletion",
            Self::Truncation => "truncation",
            Self::Restoration => "restoration",
            Self::Alteration => "alteration",
        }
    }

    /// Whether other regions replace all regions of the table.
    pub(crate) fn replaces_regions(self) -> bool {
        matches!(self, Self::Truncation | Self::Restoration)
    }
}

/// The replacement of a whole table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replacement {
    pub(crate) kind: ReplacementKind,
    /// The distinguishing name of the file of the change, if there are no new regions.
    pub(super) name: String,
    /// The number of the descriptor; of a deletion, the greatest one that the table has had.
    pub(crate) number: u64,
    /// The greatest id that a region of the table has had.
    pub(crate) last_id: i64,
    /// The content of the descriptor's file; empty for a deletion.
    pub(crate) descriptor: Vec<u8>,
    /// The families that an alteration removes.
    pub(crate) families: Vec<String>,
}

impl Replacement {
    /// Creates a replacement by a descriptor with the content of a file. A deletion has none.
    pub(crate) fn new(kind: ReplacementKind, number: u64, last_id: i64, descriptor: Vec<u8>) -> Self {
        Self { kind, name: new_file_name(0), number, last_id, descriptor, families: Vec::new() }
    }

    /// Returns its lines in the file of the change.
    pub(super) fn lines(&self) -> String {
        let families = self.families.iter().map(|family| format!("family {}\n", to_hex(family.as_bytes())));
        let mut lines = format!(
            "{}\nname {}\nnumber {}\nid {}\n",
            self.kind.name(),
            self.name,
            self.number,
            self.last_id
        );
        lines.extend(families);
        if !self.descriptor.is_empty() {
            lines.push_str(&format!("descriptor {}\n", to_hex(&self.descriptor)));
        }
        lines
    }

    /// Takes a line of the file of a change. Returns false if it is not one of a replacement.
    pub(super) fn take_line(found: &mut Option<Self>, line: &str) -> bool {
        if let Some(kind) = ReplacementKind::ALL.into_iter().find(|kind| kind.name() == line) {
            let new = Self { name: String::new(), ..Self::new(kind, 0, 0, Vec::new()) };
            return found.replace(new).is_none();
        }
        let (Some(replacement), Some((key, value))) = (found, line.split_once(' ')) else { return false };
        let parsed = match key {
            "name" => is_encoded_name(value).then(|| value.clone_into(&mut replacement.name)),
            "number" => value.parse().ok().map(|number| replacement.number = number),
            "id" => value.parse().ok().map(|id| replacement.last_id = id),
            "family" => from_hex(value)
                .and_then(|name| String::from_utf8(name).ok())
                .map(|name| replacement.families.push(name)),
            "descriptor" => from_hex(value).map(|bytes| replacement.descriptor = bytes),
            _ => None,
        };
        parsed.is_some()
    }

    /// Fails if a change with these numbers of parents and children cannot be one of the kind.
    pub(super) fn check(&self, parents: usize, children: usize) -> Result<(), Corruption> {
        let is_sound = match self.kind {
            ReplacementKind::Deletion => children == 0 && self.descriptor.is_empty(),
            ReplacementKind::Truncation | ReplacementKind::Restoration => {
                children > 0 && !self.descriptor.is_empty()
            }
            ReplacementKind::Alteration => children == 0 && !self.descriptor.is_empty(),
        };
        if is_sound && parents > 0 && !self.name.is_empty() {
            return Ok(());
        }
        Err(Corruption::Malformed("a change of a table with lines that do not fit its kind"))
    }

    /// Writes the descriptor of a change that has been made, unless it or a later one exists. Returns whether
    /// it did not exist.
    pub(super) fn write_descriptor(&self, storage: &Arc<dyn Storage>, table: &Path) -> Result<bool> {
        if self.descriptor.is_empty() || last_number(&**storage, table)? >= self.number {
            return Ok(false);
        }
        match write_descriptor(storage, table, self.number, true, &self.descriptor) {
            // Another process has written the same descriptor.
            Err(_) if last_number(&**storage, table)? >= self.number => Ok(true),
            written => written.map(|()| true),
        }
    }
}
