//! Settings of a store, parsed as Java's `Configuration` parses them.

use crate::binary::StringBinary;
use crate::error::{Error, Result};
use std::fmt::Display;

/// Looks up a setting of a family by key: its own, or that of its table.
pub(crate) type Setting<'f, 's> = &'f dyn Fn(&str) -> Option<&'s str>;

/// Returns the memstore size in bytes at which the regions of a table are flushed, if the table sets it.
///
/// # Errors
///
/// If the setting is not a number.
pub(crate) fn memstore_flush_size(setting: Setting<'_, '_>) -> Result<Option<u64>> {
    Reader { family: &[], setting }.flush_size()
}

/// Whether gets, by default, read families that their filter does not need only for rows that pass it
/// (`hbase.hregion.scan.loadColumnFamiliesOnDemand`, yes).
pub(crate) fn loads_families_on_demand(setting: Setting<'_, '_>) -> bool {
    Reader { family: &[], setting }.flag("hbase.hregion.scan.loadColumnFamiliesOnDemand", true)
}

/// Returns the maximum size in bytes of the cells of a row that a read collects in a family, `usize::MAX` if
/// none is set (`hbase.table.max.rowsize`). As in HBase, no cell is read if it is 0 or less.
///
/// # Errors
///
/// If the setting is not a number.
pub(crate) fn max_row_bytes(family: &[u8], setting: Setting<'_, '_>) -> Result<usize> {
    let bytes = Reader { family, setting }.or("hbase.table.max.rowsize", i64::MAX)?;
    Ok(usize::try_from(bytes.max(0)).unwrap_or(usize::MAX))
}

/// A table's limits on writes (HBase: `HRegion`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WriteLimits {
    /// The maximum length of a cell in bytes (`hbase.server.keyvalue.maxsize`, 10 MiB; 0 or less means no
    /// limit).
    pub(crate) cell_len: usize,
    /// The number of milliseconds by which a value's timestamp may exceed the time of writing; `i64::MAX` for
    /// no limit (`hbase.hregion.keyvalue.timestamp.slop.millisecs`, no limit).
    pub(crate) timestamp_slop: i64,
    /// Writers wait while the memory exceeds this many times the flush size
    /// (`hbase.hregion.memstore.block.multiplier`, 4; values below 1 act as 1).
    pub(crate) block_multiplier: u64,
    /// The maximum number of mutations of a batch that are written together
    /// (`hbase.regionserver.minibatch.size`, 20,000; less than 0 means no limit).
    pub(crate) mini_batch: usize,
}

impl WriteLimits {
    /// Returns the limits that a table sets, with HBase's defaults for the rest.
    ///
    /// # Errors
    ///
    /// If a setting is not a number, or is one with which HBase writes no batch.
    pub(crate) fn from_settings(setting: Setting<'_, '_>) -> Result<Self> {
        const MINI_BATCH: &str = "hbase.regionserver.minibatch.size";
        let read = Reader { family: &[], setting };
        let mini_batch = read.or(MINI_BATCH, 20_000_i64)?;
        if mini_batch == 0 {
            return Err(read.refused(format!("{MINI_BATCH} cannot be 0")));
        }
        let block_multiplier = read.or("hbase.hregion.memstore.block.multiplier", 4_i64)?.max(1);
        let cell_len = usize::try_from(read.or("hbase.server.keyvalue.maxsize", 10_i64 << 20)?);
        Ok(Self {
            cell_len: cell_len.ok().filter(|&len| len > 0).unwrap_or(usize::MAX),
            timestamp_slop: read.or("hbase.hregion.keyvalue.timestamp.slop.millisecs", i64::MAX)?,
            block_multiplier: block_multiplier.cast_unsigned(),
            mini_batch: usize::try_from(mini_batch).unwrap_or(usize::MAX),
        })
    }
}

/// Returns the path of the dictionary with which ZSTD files of a family are written, if any (HBase:
/// `ZstdCodec.getDictionary`, `DictionaryCache`).
pub(super) fn zstd_dictionary(setting: Setting<'_, '_>) -> Option<String> {
    setting("hbase.io.compress.zstd.dictionary").filter(|path| !path.is_empty()).map(str::to_owned)
}

/// Reads the settings of a family, or of a table if `family` is empty.
pub(super) struct Reader<'f, 's> {
    pub(super) family: &'f [u8],
    pub(super) setting: Setting<'f, 's>,
}

/// The type of a setting.
pub(super) trait Value: Sized {
    /// Parses a value without white space around it. Returns `None` if it is not valid.
    fn parse(text: &str) -> Option<Self>;
}

impl Value for i64 {
    /// Like `Configuration.getLong`, which also accepts hexadecimal numbers.
    fn parse(text: &str) -> Option<Self> {
        let (sign, digits) = text.strip_prefix('-').map_or(("", text), |digits| ("-", digits));
        match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
            Some(digits) => Self::from_str_radix(&format!("{sign}{digits}"), 16).ok(),
            None => text.parse().ok(),
        }
    }
}
impl Value for u64 {
    fn parse(text: &str) -> Option<Self> {
        i64::parse(text)?.try_into().ok()
    }
}
impl Value for usize {
    fn parse(text: &str) -> Option<Self> {
        i64::parse(text)?.try_into().ok()
    }
}
impl Value for f32 {
    /// Like `Configuration.getFloat`, which accepts a number with the letter of its type, such as `1.2F`.
    fn parse(text: &str) -> Option<Self> {
        let number = text.strip_suffix(['f', 'F', 'd', 'D']).unwrap_or(text);
        number.parse().ok().filter(|number: &Self| number.is_finite() && *number >= 0.0)
    }
}

impl<'s> Reader<'_, 's> {
    /// Returns a number, or `default` if it is not set.
    pub(super) fn or<T: Value>(&self, key: &'static str, default: T) -> Result<T> {
        self.number(key).map(|value| value.unwrap_or(default))
    }

    /// Returns a number of single precision, with which HBase calculates in double precision.
    pub(super) fn float_or(&self, key: &'static str, default: f64) -> Result<f64> {
        self.number::<f32>(key).map(|value| value.map_or(default, f64::from))
    }

    /// Returns a number, if it is set.
    fn number<T: Value>(&self, key: &'static str) -> Result<Option<T>> {
        let Some(text) = (self.setting)(key) else { return Ok(None) };
        let value = T::parse(text.trim()).map(Some);
        value.ok_or_else(|| self.refused(format!("{key} cannot be {:?}", short(text))))
    }

    /// Returns the memstore size in bytes at which a region is flushed, if it is set. A `MEMSTORE_FLUSHSIZE`
    /// that is not above 0 is ignored (HBase: `HRegion.setHTableSpecificConf`).
    pub(super) fn flush_size(&self) -> Result<Option<u64>> {
        match u64::try_from(self.or("MEMSTORE_FLUSHSIZE", -1_i64)?) {
            Ok(size) if size > 0 => Ok(Some(size)),
            _ => self.number("hbase.hregion.memstore.flush.size"),
        }
    }

    /// Returns a boolean as Java parses it: anything but true and false gives the default.
    pub(super) fn flag(&self, key: &'static str, default: bool) -> bool {
        match (self.setting)(key).map(str::trim) {
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            _ => default,
        }
    }

    /// Returns the name of a class, without HBase's package.
    pub(super) fn class(&self, key: &'static str) -> Option<&'s str> {
        let name = (self.setting)(key)?.trim();
        let ours = name.strip_prefix("org.apache.hadoop.hbase.regionserver.");
        Some(ours.map_or(name, |ours| ours.strip_prefix("compactions.").unwrap_or(ours)))
    }

    #[cold]
    pub(super) fn refused(&self, why: impl Display) -> Error {
        let of = if self.family.is_empty() {
            "table".to_owned()
        } else {
            format!("family {}", StringBinary(self.family))
        };
        Error::invalid_argument(format!("{of}: {why}"))
    }

    #[cold]
    pub(super) fn unsupported(&self, what: &str, name: &str) -> Error {
        self.refused(format!("{what} {:?} is not supported", short(name)))
    }
}

/// Returns the beginning of a setting, for a message.
pub(super) fn short(text: &str) -> String {
    text.chars().take(200).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Returns a setting of a list, unless its text is empty.
    pub(in crate::store) fn find(settings: &[(&str, &'static str)], key: &str) -> Option<&'static str> {
        let (_, text) = settings.iter().find(|(name, _)| *name == key)?;
        Some(*text).filter(|text| !text.is_empty())
    }

    #[test]
    fn the_flush_size_is_read_or_refused() {
        for (table, region, expected) in [
            ("", "", Some(None)),
            ("65536", "", Some(Some(65536))),
            (" 65536 ", "1", Some(Some(65536))),
            ("-1", "", Some(None)),
            ("0", "7", Some(Some(7))),
            ("", "0x8000000", Some(Some(128 << 20))),
            ("-1", "0X2", Some(Some(2))),
            // HBase would not open the region.
            ("", "128m", None),
            ("", "2G", None),
            ("128 MB", "", None),
            ("", "9223372036854775808", None),
            ("x", "7", None),
            ("", "m", None),
            ("", "7x", None),
            ("", "-7", None),
            ("", "0x", None),
        ] {
            let settings = [("MEMSTORE_FLUSHSIZE", table), ("hbase.hregion.memstore.flush.size", region)];
            let size = memstore_flush_size(&|key| find(&settings, key));
            assert_eq!(size.ok(), expected, "{table:?} {region:?}");
        }
    }

    #[test]
    fn the_limit_of_a_row_is_read_or_refused() {
        for (text, expected) in [
            ("", Some(usize::try_from(i64::MAX).unwrap_or(usize::MAX))),
            (" 1024 ", Some(1024)),
            ("0", Some(0)),
            ("-1", Some(0)),
            ("1g", None),
            ("x", None),
        ] {
            let settings = [("hbase.table.max.rowsize", text)];
            assert_eq!(max_row_bytes(b"f", &|key| find(&settings, key)).ok(), expected, "{text:?}");
        }
    }

    #[test]
    fn limits_of_writes_are_read_or_refused() {
        const CELL: &str = "hbase.server.keyvalue.maxsize";
        const SLOP: &str = "hbase.hregion.keyvalue.timestamp.slop.millisecs";
        const MULTIPLIER: &str = "hbase.hregion.memstore.block.multiplier";
        const BATCH: &str = "hbase.regionserver.minibatch.size";
        let default = WriteLimits {
            cell_len: 10 << 20,
            timestamp_slop: i64::MAX,
            block_multiplier: 4,
            mini_batch: 20_000,
        };
        let cell = |cell_len| Some(WriteLimits { cell_len, ..default });
        let slop = |timestamp_slop| Some(WriteLimits { timestamp_slop, ..default });
        let multiplier = |block_multiplier| Some(WriteLimits { block_multiplier, ..default });
        let batch = |mini_batch| Some(WriteLimits { mini_batch, ..default });
        for (name, value, expected) in [
            ("another", "x", Some(default)),
            (CELL, " 5 ", cell(5)),
            (CELL, "0", cell(usize::MAX)),
            (CELL, "-1", cell(usize::MAX)),
            (CELL, "10m", None),
            (SLOP, "7", slop(7)),
            (SLOP, "-1", slop(-1)),
            (SLOP, "0", slop(0)),
            (SLOP, "x", None),
            (MULTIPLIER, " 8 ", multiplier(8)),
            (MULTIPLIER, "0", multiplier(1)),
            (MULTIPLIER, "-3", multiplier(1)),
            (MULTIPLIER, "2.5", None),
            (BATCH, "7", batch(7)),
            (BATCH, "-1", batch(usize::MAX)),
            (BATCH, "1", batch(1)),
            (BATCH, "0", None),
            (BATCH, "x", None),
        ] {
            let limits = WriteLimits::from_settings(&|key| find(&[(name, value)], key));
            assert_eq!(limits.ok(), expected, "{name} {value:?}");
        }
    }
}
