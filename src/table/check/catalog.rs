//! Reads the tables and regions in `hbase:meta` for a check.

use super::finding::{FindingKind, Severity};
use super::{Checker, Subject};
use crate::binary::StringBinary;
use crate::error::{Corruption, Result};
use crate::locator::{CatalogRow, INFO, MetaRegion, STATE, TABLE, TableState, dir_exists};
use crate::op::Scan;
use crate::schema::{RegionName, TableName};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The rows of `hbase:meta`.
#[derive(Debug)]
pub(super) struct CatalogRows {
    /// The directory of its region.
    pub(super) path: PathBuf,
    pub(super) regions: BTreeMap<TableName, Vec<CatalogRow>>,
    /// The states of tables; `None` before 2.0, when they were in ZooKeeper.
    pub(super) states: Option<BTreeMap<TableName, TableState>>,
}

impl CatalogRows {
    /// Reads the catalog of a root directory. Returns `None` if there is none, or if it cannot be read, which
    /// is a finding.
    pub(super) fn read(root: &Path, checker: &mut Checker<'_>) -> Result<Option<Self>> {
        let path = MetaRegion::path(root);
        if !dir_exists(&**checker.options.file_storage(), &path)? {
            return Ok(None);
        }
        match Self::read_rows(root, &path, checker) {
            Ok(found) => Ok(Some(found)),
            Err(error) => {
                let meta = TableName::meta();
                checker.add_error(&Subject::table(&meta), &path, &error);
                Ok(None)
            }
        }
    }

    fn read_rows(root: &Path, path: &Path, checker: &mut Checker<'_>) -> Result<Self> {
        let meta = MetaRegion::open(root, checker.options.clone())?;
        let region = meta.region();
        let mut found = Self { path: path.to_owned(), regions: BTreeMap::new(), states: None };
        let view = region.view();
        let scan = Scan::new().family(INFO);
        let mut rows = view.scan(&scan)?;
        while let Some(row) = rows.next_row()? {
            match CatalogRow::parse(row) {
                Ok(row) => found.regions.entry(row.region().table().clone()).or_default().push(row),
                Err(corruption) => add_bad_row(row.key(), &corruption, path, checker),
            }
        }
        if region.families().any(|family| family.name() == TABLE) {
            let states = found.states.insert(BTreeMap::new());
            let scan = Scan::new().family(TABLE);
            let mut rows = view.scan(&scan)?;
            while let Some(row) = rows.next_row()? {
                let Some(table) = table_of_key(row.key()) else { continue };
                match row.value(TABLE, STATE).map(TableState::parse) {
                    Some(Ok(state)) => {
                        states.insert(table, state);
                    }
                    Some(Err(corruption)) => {
                        // Enabled, so that the state is not reported as missing too.
                        states.insert(table.clone(), TableState::Enabled);
                        let message = format!("the state of the table in hbase:meta: {corruption}");
                        let subject = Subject::table(&table);
                        checker.add(FindingKind::UnknownState, Severity::Error, &subject, path, message);
                    }
                    None => {}
                }
            }
        }
        Ok(found)
    }
}

/// Parses the key of the row of a table's state.
fn table_of_key(key: &[u8]) -> Option<TableName> {
    TableName::parse(std::str::from_utf8(key).ok()?).ok()
}

/// Adds a finding about the row of a region that is malformed.
fn add_bad_row(key: &[u8], corruption: &Corruption, path: &Path, checker: &mut Checker<'_>) {
    let name = RegionName::parse(key).ok();
    let table = name.as_ref().and_then(|name| name.table().ok());
    let region = name.map(|name| name.encoded_name());
    let is_state = matches!(corruption, Corruption::UnknownName { what: "state of a region", .. });
    let kind = if is_state { FindingKind::UnknownState } else { FindingKind::Unreadable };
    let message = format!("row {:.64} of hbase:meta: {corruption}", StringBinary(key));
    let subject = Subject { table: table.as_ref(), region: region.as_deref() };
    checker.add(kind, Severity::Error, &subject, path, message);
}
