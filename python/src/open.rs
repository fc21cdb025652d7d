//! Opens and creates tables.

use crate::arguments::{Bytes, is_bytes, pairs_of};
use crate::error::{Failure, Result, warn};
use crate::location::{Location, StorageOptions, Target, Use};
use crate::options::{Contents, Key, Options, durability_of};
use crate::signals::call;
use crate::table::{Opened, Source, Table};
use hregion::{Family, RegionOptions, Table as HTable};
use pyo3::prelude::*;
use std::path::PathBuf;

/// Opens a table (`open(root, "namespace:name")`), a snapshot (`open(root, snapshot="name")`), or the target
/// of a path: an HFile, the directory of a region, or the directory of a table.
///
/// With `writable=True`, a table or a region is opened for writing, which only one process at a time can do.
/// `durability` is the durability of writes that do not set their own: `"FSYNC_WAL"`, `"SYNC_WAL"`,
/// `"ASYNC_WAL"` or `"SKIP_WAL"`, as HBase names them (default: the table's, otherwise `"FSYNC_WAL"`).
///
/// `cache` is the size of a block cache in bytes; without one, blocks are read again. `filter_cache` is the
/// size of additional memory that only Bloom filters use. `second_tier` is a directory of a local disk and a
/// number of bytes, as a tuple: a file in it receives blocks evicted from the cache. Only one table at a time
/// can use it. `memstore_bytes` is the limit of the memory for unflushed writes of all regions (default: 1
/// GiB for all tables of the process that have no separate limit).
///
/// `zstd_dictionary` is the dictionary for files compressed by Zstandard with a dictionary: its bytes, or the
/// path of a file. `master_key` is the master key of the cluster, for encrypted files and logs, as bytes;
/// `alternate_master_key` is the previous one, which is tried where the other does not fit.
///
/// `limit_block_bytes` is the maximum size of a block, `limit_memory_bytes` of a single allocation for a
/// file, `limit_row_bytes` of the cells of a row in a family (default: 1 GiB each). Exceeding them is an
/// error. With `accept_torn_logs=True`, recovered edits that were closed but are torn are accepted: writes
/// may be missing.
///
/// Writes that are only in the logs of dead servers (`WALs/` of the root) are not read before `recover` has
/// replayed them: if there are such logs, a `UserWarning` is issued.
///
/// `path` can be a URL, as `str`: `s3://BUCKET/KEY`, `hdfs://NAMESERVICE/PATH`, or `http://HOST/PATH`, which
/// is read-only. Credentials and settings come from the environment (`AWS_ACCESS_KEY_ID`, `HADOOP_CONF_DIR`
/// and others); `storage_options`, a dict of settings by name, takes precedence.
#[pyfunction]
#[pyo3(signature = (path, table=None, *, snapshot=None, writable=false, cache=None, filter_cache=None,
                    second_tier=None, memstore_bytes=None, zstd_dictionary=None, master_key=None,
                    alternate_master_key=None, limit_block_bytes=None, limit_memory_bytes=None,
                    limit_row_bytes=None, durability=None, accept_torn_logs=false,
                    storage_options=None))]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn open(
    py: Python<'_>,
    path: Target,
    table: Option<&str>,
    snapshot: Option<&str>,
    writable: bool,
    cache: Option<u64>,
    filter_cache: Option<u64>,
    second_tier: Option<(PathBuf, u64)>,
    memstore_bytes: Option<u64>,
    zstd_dictionary: Option<Contents>,
    master_key: Option<Key>,
    alternate_master_key: Option<Key>,
    limit_block_bytes: Option<usize>,
    limit_memory_bytes: Option<usize>,
    limit_row_bytes: Option<usize>,
    durability: Option<&str>,
    accept_torn_logs: bool,
    storage_options: Option<StorageOptions>,
) -> Result<Table> {
    let location = Location::new(py, path, storage_options, Use::of_writable(writable))?;
    let options = Options {
        writable,
        cache,
        filter_cache,
        second_tier,
        memstore_bytes,
        zstd_dictionary,
        master_key,
        alternate_master_key,
        limit_block_bytes,
        limit_memory_bytes,
        limit_row_bytes,
        durability: durability.map(durability_of).transpose()?,
        accept_torn_logs,
    };
    let (table, warning) = call(py, || {
        let opened = Opened { options: location.of_regions(options.of_regions()?), location };
        let (location, options) = (&opened.location, opened.options.clone());
        let path = location.path();
        let source = match (table, snapshot) {
            (Some(_), Some(_)) => return Err(Failure::argument("either a table or a snapshot is opened")),
            (Some(table), None) => Source::Table(HTable::open_with(path, table, options)?),
            (None, Some(name)) => Source::Table(HTable::open_snapshot_with(path, name, options)?),
            (None, None) => of_location(location, options)?,
        };
        let warning = source.warning_of_logs();
        Ok::<_, Failure>((Table::new(source, opened), warning))
    })?;
    if let Some(warning) = warning {
        warn(py, &warning)?;
    }
    Ok(table)
}

fn of_location(location: &Location, options: RegionOptions) -> Result<Source> {
    let path = location.path();
    if !location.existing_is_dir()? {
        return Ok(Source::Region(options.open_files([path])?));
    }
    if location.is_dir(&path.join(".regioninfo"))?.is_some() {
        return Ok(Source::Region(options.open(path)?));
    }
    // The root of HBase has its tables in `data`; a table's directory has only regions.
    if location.is_dir(&path.join("data"))? == Some(true) {
        let path = path.display();
        return Err(Failure::argument(format!("{path}: a root directory needs a table or a snapshot")));
    }
    Ok(Source::Table(HTable::open_dir(path, options)?))
}

/// Creates a table under a root directory, which need not exist, and opens it for writing. `families` are
/// names, or a dict of names and the number of versions that each keeps; a name alone keeps one. The rows in
/// `splits` are the first rows of all regions except the first. In S3, lists track the files of the families
/// (the store file tracker FILE). The other keywords are as for `open`.
#[pyfunction]
#[pyo3(signature = (root, table, families, *, splits=Vec::new(), cache=None, filter_cache=None,
                    second_tier=None, memstore_bytes=None, master_key=None, alternate_master_key=None,
                    limit_block_bytes=None, limit_memory_bytes=None, limit_row_bytes=None,
                    durability=None, storage_options=None))]
#[expect(clippy::too_many_arguments, reason = "they are keywords")]
pub(crate) fn create(
    py: Python<'_>,
    root: Target,
    table: &str,
    families: Bound<'_, PyAny>,
    splits: Vec<Bytes>,
    cache: Option<u64>,
    filter_cache: Option<u64>,
    second_tier: Option<(PathBuf, u64)>,
    memstore_bytes: Option<u64>,
    master_key: Option<Key>,
    alternate_master_key: Option<Key>,
    limit_block_bytes: Option<usize>,
    limit_memory_bytes: Option<usize>,
    limit_row_bytes: Option<usize>,
    durability: Option<&str>,
    storage_options: Option<StorageOptions>,
) -> Result<Table> {
    let location = Location::new(py, root, storage_options, Use::Own)?;
    let mut families = families_of(&families)?;
    if !location.can_rename() {
        families = families.into_iter().map(|family| family.configuration(TRACKER, "FILE")).collect();
    }
    let splits: Vec<Vec<u8>> = splits.into_iter().map(|Bytes(key)| key).collect();
    let options = Options {
        writable: true,
        cache,
        filter_cache,
        second_tier,
        memstore_bytes,
        master_key,
        alternate_master_key,
        limit_block_bytes,
        limit_memory_bytes,
        limit_row_bytes,
        durability: durability.map(durability_of).transpose()?,
        ..Options::default()
    };
    call(py, || {
        let opened = Opened { options: location.of_regions(options.of_regions()?), location };
        let options = opened.options.clone();
        let created = HTable::create_with(opened.location.path(), table, &families, &splits, options)?;
        Ok::<_, Failure>(Table::new(Source::Table(created), opened))
    })
}

/// The setting of the store file tracker; FILE needs no renames.
const TRACKER: &str = "hbase.store.file-tracker.impl";

fn families_of(families: &Bound<'_, PyAny>) -> Result<Vec<Family>> {
    let mut named = Vec::new();
    if let Some(families) = pairs_of(families)? {
        for (name, versions) in families {
            named.push(Family::new(name.extract::<Bytes>()?.0).max_versions(versions.extract()?));
        }
    } else if is_bytes(families) {
        named.push(Family::new(families.extract::<Bytes>()?.0));
    } else {
        for name in families.try_iter()? {
            named.push(Family::new(name?.extract::<Bytes>()?.0));
        }
    }
    Ok(named)
}
