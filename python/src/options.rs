//! The options to open tables.

use crate::arguments::local;
use crate::error::{Failure, Result};
use hregion::{BlockCache, Durability, Limits, MemoryLimit, Region, RegionOptions};
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;

/// The maximum length of a dictionary.
const MAX_DICTIONARY: u64 = 64 << 20;

/// Bytes, or the path of a file with them.
pub(crate) enum Contents {
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl<'py> FromPyObject<'_, 'py> for Contents {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.cast::<PyBytes>() {
            Ok(bytes) => Ok(Self::Bytes(bytes.as_bytes().to_vec())),
            Err(_) => Ok(Self::File(object.extract::<PathBuf>()?)),
        }
    }
}

impl Contents {
    fn read(self) -> Result<Vec<u8>> {
        let path = match self {
            Self::Bytes(bytes) => return Ok(bytes),
            Self::File(path) => local(path)?,
        };
        let failed = |error| hregion::Error::io("read", &path, error);
        let (file, mut bytes) = (File::open(&path).map_err(failed)?, Vec::new());
        file.take(MAX_DICTIONARY + 1).read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > MAX_DICTIONARY {
            return Err(Failure::argument(format!("{}: too large for a dictionary", path.display())));
        }
        Ok(bytes)
    }
}

/// A master key. A `str` is refused, because it would have an encoding.
pub(crate) struct Key(Vec<u8>);

impl<'py> FromPyObject<'_, 'py> for Key {
    type Error = PyErr;

    fn extract(object: Borrowed<'_, 'py, PyAny>) -> PyResult<Self> {
        match object.cast::<PyBytes>() {
            Ok(bytes) => Ok(Self(bytes.as_bytes().to_vec())),
            Err(_) => Err(PyTypeError::new_err("expected bytes")),
        }
    }
}

impl Key {
    fn checked(self, name: &str) -> Result<Vec<u8>> {
        match self.0.len() {
            16 | 24 | 32 => Ok(self.0),
            len => Err(Failure::argument(format!("{name}: expected 16, 24 or 32 bytes, not {len}"))),
        }
    }
}

/// Returns the durability with HBase's name.
pub(crate) fn durability_of(name: &str) -> Result<Durability> {
    Durability::from_name(name).ok_or_else(|| {
        let names = "\"SKIP_WAL\", \"ASYNC_WAL\", \"SYNC_WAL\" or \"FSYNC_WAL\"";
        Failure::argument(format!("durability={name:?}: expected {names}"))
    })
}

/// The keywords of the functions that open tables.
#[derive(Default)]
pub(crate) struct Options {
    pub(crate) writable: bool,
    pub(crate) cache: Option<u64>,
    pub(crate) filter_cache: Option<u64>,
    /// The directory and the bytes.
    pub(crate) second_tier: Option<(PathBuf, u64)>,
    pub(crate) memstore_bytes: Option<u64>,
    pub(crate) zstd_dictionary: Option<Contents>,
    pub(crate) master_key: Option<Key>,
    pub(crate) alternate_master_key: Option<Key>,
    pub(crate) limit_block_bytes: Option<usize>,
    pub(crate) limit_memory_bytes: Option<usize>,
    pub(crate) limit_row_bytes: Option<usize>,
    pub(crate) durability: Option<Durability>,
    pub(crate) accept_torn_logs: bool,
}

impl Options {
    /// Returns the options of regions. Reads the dictionary.
    pub(crate) fn of_regions(self) -> Result<RegionOptions> {
        let mut options = Region::options()
            .writable(self.writable)
            .limits(self.limits())
            .accept_torn_logs(self.accept_torn_logs);
        options = match (self.cache, self.filter_cache, self.second_tier) {
            (Some(bytes), filters, second) => {
                let mut cache = BlockCache::options().capacity(bytes).filter_capacity(filters.unwrap_or(0));
                if let Some((dir, bytes)) = second {
                    cache = cache.second_tier(local(dir)?, bytes);
                }
                let cache = cache.build();
                // A cache works without its second tier, but a given directory must be usable.
                if let Some(reason) = cache.second_tier_failure() {
                    return Err(Failure::io(format!("second_tier: {reason}")));
                }
                options.cache(&cache)
            }
            (None, Some(_), _) => return Err(Failure::argument("filter_cache needs a cache")),
            (None, None, Some(_)) => return Err(Failure::argument("second_tier needs a cache")),
            (None, None, None) => options,
        };
        if let Some(bytes) = self.memstore_bytes {
            options = options.memory_limit(&MemoryLimit::new(bytes));
        }
        if let Some(dictionary) = self.zstd_dictionary {
            options = options.zstd_dictionary(dictionary.read()?);
        }
        options = match (self.master_key, self.alternate_master_key) {
            (Some(key), alternate) => {
                let options = options.master_key(key.checked("master_key")?);
                match alternate {
                    Some(key) => options.alternate_master_key(key.checked("alternate_master_key")?),
                    None => options,
                }
            }
            (None, Some(_)) => return Err(Failure::argument("alternate_master_key needs a master_key")),
            (None, None) => options,
        };
        Ok(match self.durability {
            Some(durability) => options.durability(durability),
            None => options,
        })
    }

    /// Returns the limits, with the same defaults as the tool.
    fn limits(&self) -> Limits {
        let mut limits = Limits::new();
        if let Some(bytes) = self.limit_memory_bytes {
            limits = limits.with_memory_bytes(bytes);
        }
        if let Some(bytes) = self.limit_block_bytes {
            limits = limits.with_block_bytes(bytes);
        }
        if let Some(bytes) = self.limit_row_bytes {
            limits = limits.with_row_bytes(bytes);
        }
        limits
    }
}
