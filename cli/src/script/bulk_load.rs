//! Files for bulk loads (replay.md §5).

use super::family::FamilySettings;
use super::members::{self, Members, required, tuple};
use crate::new_file::random_name;
use hregion::cell::{MAX_FAMILY_LEN, MAX_ROW_LEN};
use hregion::{CellOrder, CellRef, CellType, SeekKey, StoreFileOrigin, StoreFileWriter};
use serde_json::Value;
use std::path::{Path, PathBuf};

/// A file to load, before it is written.
#[derive(Debug)]
pub(super) struct BulkFile {
    pub(super) family: Vec<u8>,
    /// In HBase's order.
    cells: Vec<(SeekKey, Vec<u8>)>,
}

impl BulkFile {
    pub(super) fn parse(value: Value) -> Result<Self, String> {
        let mut members = Members::of(value, "a file")?;
        let family = required(members.bytes("family")?, "family")?;
        check_length("family", &family, MAX_FAMILY_LEN)?;
        let mut cells = Vec::new();
        for cell in required(members.list("cells")?, "cells")? {
            let [row, qualifier, timestamp, cell_type, value] =
                tuple(cell, "[row, qualifier, timestamp, type, value]")?;
            let (row, qualifier) = (members::bytes(row)?, members::bytes(qualifier)?);
            check_length("row", &row, MAX_ROW_LEN)?;
            let cell_type = CellType::from_name(&members::text(cell_type)?).filter(|named| named.is_stored());
            let cell_type = cell_type.ok_or("expected a cell type: Put or one of the delete types")?;
            let key = SeekKey::of(&row, &family, &qualifier, members::number(timestamp)?, cell_type);
            cells.push((key, members::bytes(value)?));
        }
        members.end()?;
        cells.sort_by(|(a, _), (b, _)| CellOrder::User.compare(a, b));
        match cells.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            None => Ok(Self { family, cells }),
            Some(pair) => Err(format!("the key {} is given twice", pair[0].0.as_key())),
        }
    }

    /// Whether the file has no cells.
    pub(super) fn is_empty(&self) -> bool {
        self.cells.is_empty()
    }

    /// Writes the file as HBase's job would, for a family with `settings`. Returns its path.
    pub(super) fn write(
        &self,
        dir: &Path,
        settings: &FamilySettings,
        timestamp: i64,
    ) -> hregion::Result<PathBuf> {
        let path = dir.join(random_name());
        let mut file = StoreFileWriter::create(settings.file_options(), &path)?;
        for (key, value) in &self.cells {
            file.append(CellRef::new(key, value))?;
        }
        file.finish(&StoreFileOrigin::BulkLoad {
            timestamp,
            source_task: Vec::new(),
            exclude_from_minor_compaction: false,
            skip_reset_seq_id: false,
        })?;
        Ok(path)
    }
}

fn check_length(what: &str, bytes: &[u8], limit: usize) -> Result<(), String> {
    match bytes.len() {
        len if len > limit => Err(format!("{what}: {len} bytes, expected {limit} at most")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn cells_are_sorted_and_none_is_there_twice() {
        let cells = json!([
            ["b", "q", 1, "Put", "v"],
            ["a", "q", 1, "Put", "w"],
            ["a", "q", 2, "Delete", ""],
            ["a", "q", 1, "DeleteColumn", ""]
        ]);
        let file = BulkFile::parse(json!({"family": "f", "cells": cells})).unwrap();
        let keys: Vec<String> = file.cells.iter().map(|(key, _)| key.as_key().to_string()).collect();
        assert_eq!(keys, ["a/f:q/2/Delete", "a/f:q/1/DeleteColumn", "a/f:q/1/Put", "b/f:q/1/Put"]);
        for wrong in [
            json!({"family": "f", "cells": [["a", "q", 1, "Put", "v"], ["a", "q", 1, "Put", "w"]]}),
            json!({"family": "f", "cells": [["a", "q", 1, "Maximum", ""]]}),
            json!({"family": "f", "cells": [["a", "q", 1, "Put"]]}),
            json!({"family": "f", "cells": [["a".repeat(40_000), "q", 1, "Put", ""]]}),
            json!({"family": "f".repeat(200), "cells": []}),
            json!({"family": "f"}),
        ] {
            assert!(BulkFile::parse(wrong).is_err());
        }
    }
}
