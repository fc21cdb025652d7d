//! Options of command lines: how files are read.

use crate::target::TargetOptions;
use clap::Args;
use hregion::{BlockCache, Error, Limits};
use hregion_arrow::Mapping;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The maximum length of a dictionary or a file with a key.
const MAX_SMALL: u64 = 64 << 20;

/// The maximum length of a mapping.
const MAX_MAPPING: u64 = 1 << 20;

/// Options of a program's command line for reading files, with the same names as those of `hregion`.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Reading")]
pub struct ReadingArgs {
    /// Zstandard dictionary with which files were compressed
    #[arg(long, value_name = "FILE")]
    zstd_dictionary: Option<PathBuf>,

    /// File with the cluster's master key in hexadecimal, for encrypted files and recovered edits
    #[arg(long, value_name = "FILE")]
    master_key_file: Option<PathBuf>,

    /// File with the previous master key in hexadecimal, tried if the master key does not fit
    #[arg(long, value_name = "FILE", requires = "master_key_file")]
    alternate_master_key_file: Option<PathBuf>,

    /// Maximum size of a block, with suffix K, M or G [default: 1G]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    limit_block_bytes: Option<usize>,

    /// Maximum memory allocated at once for a file [default: 1G]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    limit_memory_bytes: Option<usize>,

    /// Maximum size of a row in one family [default: 1G]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    limit_row_bytes: Option<usize>,

    /// Capacity of the cache of decoded blocks of all files [default: no cache]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
    cache_bytes: Option<usize>,

    /// Additional capacity for Bloom filters only [default: none]
    #[arg(long, value_name = "BYTES", value_parser = parse_bytes, requires = "cache_bytes")]
    filter_cache_bytes: Option<usize>,
}

impl ReadingArgs {
    /// Returns the options to open targets. All targets share a cache, if there is one.
    ///
    /// # Errors
    ///
    /// If a file cannot be read, or has no key.
    pub fn options(&self) -> hregion::Result<TargetOptions> {
        let mut options = TargetOptions::default().limits(self.limits());
        if let Some(path) = &self.zstd_dictionary {
            options = options.zstd_dictionary(read_small(path)?);
        }
        if let Some(path) = &self.master_key_file {
            options = options.master_key(read_key(path)?);
        }
        if let Some(path) = &self.alternate_master_key_file {
            options = options.alternate_master_key(read_key(path)?);
        }
        if let Some(bytes) = self.cache_bytes {
            let size = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
            let cache = BlockCache::options().capacity(size(bytes));
            let cache = cache.filter_capacity(size(self.filter_cache_bytes.unwrap_or(0)));
            options = options.cache(&cache.build());
        }
        Ok(options)
    }

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

/// Reads a file that maps the columns and the row key of a table to typed columns. A pipe can be read once.
///
/// # Errors
///
/// If the file cannot be read, is too large, or is not a mapping.
pub fn read_mapping(path: &Path) -> Result<Mapping, hregion_arrow::Error> {
    let wrong =
        |reason: &dyn fmt::Display| hregion_arrow::Error::Mapping(format!("{}: {reason}", path.display()));
    let text = String::from_utf8(read_up_to(path, MAX_MAPPING)?).map_err(|error| wrong(&error))?;
    Mapping::from_json(&text).map_err(|error| wrong(&error))
}

fn read_small(path: &Path) -> hregion::Result<Vec<u8>> {
    read_up_to(path, MAX_SMALL)
}

/// Reads a file. Fails if it has more bytes: a special file may never end.
fn read_up_to(path: &Path, most: u64) -> hregion::Result<Vec<u8>> {
    let failed = |error| Error::io("read", path, error);
    let (file, mut bytes) = (File::open(path).map_err(failed)?, Vec::new());
    file.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len <= most) {
        return Ok(bytes);
    }
    Err(Error::invalid_argument(format!("{}: larger than the limit for this file", path.display())))
}

/// Reads a key from a file of hexadecimal digits.
fn read_key(path: &Path) -> hregion::Result<Vec<u8>> {
    let text = read_small(path)?;
    let digit = |digit: &u8| u8::try_from(char::from(*digit).to_digit(16)?).ok();
    let digits: Option<Vec<u8>> = text.trim_ascii().iter().map(digit).collect();
    match digits {
        Some(digits) if matches!(digits.len(), 32 | 48 | 64) => {
            let byte = |pair: &[u8]| pair.iter().fold(0, |byte: u8, digit| byte << 4 | digit);
            Ok(digits.chunks_exact(2).map(byte).collect())
        }
        _ => {
            let expected = "expected an AES key of 32, 48 or 64 hexadecimal digits";
            Err(Error::invalid_argument(format!("{}: {expected}", path.display())))
        }
    }
}

fn parse_bytes(text: &str) -> Result<usize, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.strip_prefix(digits).unwrap_or_default();
    let unit: usize = match unit.to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" | "KB" | "KIB" => 1 << 10,
        "M" | "MB" | "MIB" => 1 << 20,
        "G" | "GB" | "GIB" => 1 << 30,
        _ => return Err("expected a number of bytes, such as 65536, 64K or 1G".to_owned()),
    };
    let count = digits.parse::<usize>().map_err(|error| error.to_string())?;
    count.checked_mul(unit).ok_or_else(|| "too many bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_hexadecimal_digits() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let read = |text: &str| {
            std::fs::write(&path, text).unwrap();
            read_key(&path)
        };
        let key: Vec<u8> = (0x70..0x80).chain(0xf0..=0xff).collect();
        let text: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
        for text in [text.clone(), format!(" {}\n", text.to_uppercase())] {
            assert_eq!(read(&text).unwrap(), key);
        }
        for text in ["", "00", &text[1..], &text[..30], &text.replace('7', "x"), &format!("{text}00")] {
            let error = read(text).unwrap_err();
            assert_eq!(error.kind(), hregion::ErrorKind::InvalidArgument);
            assert!(error.to_string().contains("hexadecimal"), "{error}");
            assert!(text.is_empty() || text == "00" || !error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn sizes_have_units() {
        for (text, bytes) in [("0", 0), ("7b", 7), ("64K", 64 << 10), ("3mib", 3 << 20), ("1G", 1 << 30)] {
            assert_eq!(parse_bytes(text), Ok(bytes));
        }
        for text in ["", "K", "-1", "1.5M", "1T", "99999999999999999999", "99999999999999999G", "1 M"] {
            assert!(parse_bytes(text).is_err(), "{text}");
        }
    }
}
