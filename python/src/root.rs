//! Calls on a root directory: snapshots, and the recovery of logs.

use crate::error::{Failure, Result, warn};
use crate::location::{Location, StorageOptions, Target, Use};
use crate::options::{Key, Options};
use crate::signals::call;
use hregion::{ErrorKind, Region, RegionOutcome, RegionRecovery as HRegionRecovery, Table as HTable};
use pyo3::prelude::*;
use std::path::PathBuf;

/// Returns the names of the snapshots under a root directory. A `UserWarning` is issued for each whose
/// description is damaged; it is left out.
#[pyfunction]
#[pyo3(signature = (root, *, storage_options=None))]
pub(crate) fn snapshots(
    py: Python<'_>,
    root: Target,
    storage_options: Option<StorageOptions>,
) -> Result<Vec<String>> {
    let root = Location::new(py, root, storage_options, Use::Shared)?;
    let (names, faults) = call(py, || {
        // A root without snapshots may lack their directory.
        root.existing_is_dir()?;
        let (mut names, mut faults) = (Vec::new(), Vec::new());
        for one in HTable::each_snapshot(root.path(), root.storage())? {
            match one {
                Ok(snapshot) => names.push(snapshot.name().to_owned()),
                // The snapshot may be sound.
                Err(error) if error.kind() == ErrorKind::Io => return Err(error),
                Err(fault) => faults.push(fault),
            }
        }
        Ok((names, faults))
    })?;
    faults.iter().try_for_each(|fault| warn(py, &fault.to_string()))?;
    Ok(names)
}

/// Creates a table with the content and the settings of a snapshot. No files are copied. The logs of servers
/// that have died are read, because they must not have edits of its regions: the master keys are those of
/// `open`.
#[pyfunction]
#[pyo3(signature = (root, snapshot, table, *, master_key=None, alternate_master_key=None,
                    storage_options=None))]
pub(crate) fn clone_snapshot(
    py: Python<'_>,
    root: Target,
    snapshot: &str,
    table: &str,
    master_key: Option<Key>,
    alternate_master_key: Option<Key>,
    storage_options: Option<StorageOptions>,
) -> Result<()> {
    let root = Location::new(py, root, storage_options, Use::Own)?;
    let options = Options { master_key, alternate_master_key, ..Options::default() };
    let options = root.of_regions(options.of_regions()?);
    call(py, || HTable::clone_snapshot(root.path(), snapshot, table, options)?.close())
}

/// Removes a snapshot. Its files stay, in the table or in the archive. In S3, no other snapshot can get its
/// name. Raises `UnsupportedError` if a restoration or deletion of its table was interrupted, so that the
/// table does not exist: one of them must be repeated first.
#[pyfunction]
#[pyo3(signature = (root, snapshot, *, storage_options=None))]
pub(crate) fn delete_snapshot(
    py: Python<'_>,
    root: Target,
    snapshot: &str,
    storage_options: Option<StorageOptions>,
) -> Result<()> {
    let root = Location::new(py, root, storage_options, Use::Own)?;
    let options = root.of_regions(Region::options());
    call(py, || HTable::delete_snapshot_with(root.path(), snapshot, options))
}

/// The result of a recovery, or of a dry run.
#[pyclass(frozen, get_all, module = "hregion", name = "Recovery")]
pub(crate) struct Recovery {
    /// The regions with edits in the logs, or with recovered edits.
    regions: Vec<RegionRecovery>,
    /// The logs, with their original paths under `WALs/`.
    logs: Vec<PathBuf>,
    /// Messages about logs that end within an entry.
    torn: Vec<String>,
}

/// The result of a recovery for a region, or of a dry run.
#[pyclass(frozen, get_all, module = "hregion", name = "RegionRecovery")]
#[derive(Clone)]
pub(crate) struct RegionRecovery {
    table: String,
    /// The encoded name of the region.
    region: String,
    /// `replayed`; `parent` if the edits stay in recovered edits, because the region was split or merged;
    /// `gone` if the region has no directory, or one with only recovered edits.
    outcome: &'static str,
    /// The number of entries with cells of the region.
    edits: u64,
    /// The number of their cells.
    cells: u64,
    /// The number of cells that were not replayed: they are in files, or their family does not exist.
    skipped: u64,
    /// The names of the written files.
    flushed: Vec<String>,
    /// Messages about files and edits that were skipped when the region was opened.
    warnings: Vec<String>,
}

#[pymethods]
impl Recovery {
    fn __repr__(&self) -> String {
        format!("Recovery({} regions, {} logs)", self.regions.len(), self.logs.len())
    }
}

#[pymethods]
impl RegionRecovery {
    fn __repr__(&self) -> String {
        format!("RegionRecovery({}, {}, {}, {} cells)", self.table, self.region, self.outcome, self.cells)
    }
}

impl From<HRegionRecovery> for RegionRecovery {
    fn from(region: HRegionRecovery) -> Self {
        Self {
            table: region.table.to_string(),
            region: region.region,
            outcome: match region.outcome {
                RegionOutcome::Parent => "parent",
                RegionOutcome::Gone => "gone",
                _ => "replayed",
            },
            edits: region.replayed.edits,
            cells: region.replayed.cells,
            skipped: region.replayed.skipped,
            flushed: region.replayed.flushed,
            warnings: region.warnings.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Recovers the tables under a root directory whose servers have died: replays their logs (`WALs/`), and
/// moves them to `oldWALs/`. No server may be running. Can be repeated after a failure. With `dry_run=True`,
/// nothing is changed.
///
/// If a table cannot be recovered, the others are, and its exception is raised; logs with edits of it stay.
///
/// A log that is torn although another followed it is an error, unless `accept_torn_logs` is true: then
/// writes may be missing. Encrypted logs and files need the master keys, as for `open`.
#[pyfunction]
#[pyo3(signature = (root, *, dry_run=false, accept_torn_logs=false, master_key=None,
                    alternate_master_key=None, storage_options=None))]
pub(crate) fn recover(
    py: Python<'_>,
    root: Target,
    dry_run: bool,
    accept_torn_logs: bool,
    master_key: Option<Key>,
    alternate_master_key: Option<Key>,
    storage_options: Option<StorageOptions>,
) -> Result<Recovery> {
    let root = Location::new(py, root, storage_options, Use::of_writable(!dry_run))?;
    let options = Options { accept_torn_logs, master_key, alternate_master_key, ..Options::default() };
    let options = root.of_regions(options.of_regions()?);
    let done = call(py, || {
        let path = root.path();
        root.existing_is_dir()?;
        // In any other directory there would be nothing to recover, and no error.
        if root.is_dir(&path.join("data"))? != Some(true) {
            let path = path.display();
            return Err(Failure::unsupported(format!("{path}: not a root directory: no data in it")));
        }
        Ok(match dry_run {
            true => HTable::plan_recovery(path, options)?,
            false => HTable::recover(path, options)?,
        })
    })?;
    Ok(Recovery {
        regions: done.regions.into_iter().map(RegionRecovery::from).collect(),
        logs: done.logs,
        torn: done.torn.iter().map(ToString::to_string).collect(),
    })
}
