//! The report as text, in the format of `hbase hfile`.

use super::fields::{InfoValue, listed, root_entries, trailer};
use crate::failure::Failure;
use crate::output::Output;
use crate::text::{self, printable};
use hregion::cell::StringBinary;
use hregion::{BloomFilter, CellKey, HFile};
use serde_json::Value;
use std::io::Write as _;

/// Prints a summary of a few lines.
pub(crate) fn summary(file: &HFile, out: &mut Output) -> Result<(), Failure> {
    let trailer = file.trailer();
    writeln!(out, "File: {}", text::path(file.path()))?;
    writeln!(out, "    length = {}", file.file_len())?;
    writeln!(out, "    version = {}.{}", trailer.major_version(), trailer.minor_version())?;
    writeln!(out, "    cells = {}", file.entry_count())?;
    writeln!(out, "    encoding = {}", file.data_block_encoding().name())?;
    writeln!(out, "    compression = {}", file.codec().name())?;
    writeln!(out, "    first key = {}", display_key(file.first_key().filter(|_| file.entry_count() > 0)))?;
    writeln!(out, "    last key = {}", display_key(file.last_key()))?;
    Ok(())
}

/// Prints trailer, file info, mid key and Bloom filters.
pub(crate) fn meta(file: &HFile, out: &mut Output) -> Result<(), Failure> {
    writeln!(out, "Trailer:")?;
    for (name, value) in trailer(file.trailer()) {
        match value {
            Value::String(text) => writeln!(out, "    {name} = {}", printable(&text))?,
            value => writeln!(out, "    {name} = {value}")?,
        }
    }
    writeln!(out, "Fileinfo:")?;
    for (name, value) in file.file_info().iter() {
        let name = StringBinary(name);
        match InfoValue::decode(name.0, value) {
            InfoValue::Number(number) => writeln!(out, "    {name} = {number}")?,
            InfoValue::Flag(flag) => writeln!(out, "    {name} = {flag}")?,
            InfoValue::Key(key) => writeln!(out, "    {name} = {key}")?,
            InfoValue::TimeRange { min, max, .. } => writeln!(out, "    {name} = {min} .... {max}")?,
            InfoValue::Bytes(bytes) => writeln!(out, "    {name} = {}", StringBinary(bytes))?,
        }
    }
    let mid_key = if file.entry_count() == 0 { None } else { file.mid_key()? };
    writeln!(out, "Mid-key: {}", display_key(mid_key.as_deref()))?;
    bloom("Bloom filter", file.general_bloom(), out)?;
    bloom("Delete Family Bloom filter", file.delete_family_bloom(), out)?;
    if file.meta_block_names().len() > 0 {
        writeln!(out, "Meta blocks:")?;
        for name in file.meta_block_names() {
            writeln!(out, "    {}", StringBinary(name))?;
        }
    }
    Ok(())
}

fn bloom(title: &str, filter: Option<&BloomFilter>, out: &mut Output) -> Result<(), Failure> {
    writeln!(out, "{title}:")?;
    let Some(filter) = filter else {
        return Ok(writeln!(out, "    Not present")?);
    };
    let meta = filter.meta();
    writeln!(out, "    version = {}", meta.version())?;
    writeln!(out, "    type = {}", filter.bloom_type().name())?;
    writeln!(out, "    bytes = {}", meta.total_bytes())?;
    writeln!(out, "    keys = {}", meta.key_count())?;
    writeln!(out, "    max keys = {}", meta.max_keys())?;
    writeln!(out, "    hash = {}, {} times", meta.hash().name(), meta.hash_count())?;
    writeln!(out, "    chunks = {}", meta.chunks().len())?;
    if !meta.comparator().is_empty() {
        writeln!(out, "    comparator = {}", printable(meta.comparator()))?;
    }
    Ok(())
}

/// Prints the root index as a table; only the ends of a long one.
pub(crate) fn root_index(file: &HFile, out: &mut Output) -> Result<(), Failure> {
    let count = root_entries(file);
    writeln!(out, "Block index: {count} entries, {} levels", file.index_levels())?;
    if count == 0 {
        return Ok(());
    }
    let keys: Vec<&CellKey> = file.root_index().map(|(key, _)| key).collect();
    writeln!(out, "{:>9} {:>16}  key", "entry", "first data block")?;
    let mut expected = 0;
    for entry in listed(count) {
        if entry != expected {
            writeln!(out, "{:>9}", "...")?;
        }
        expected = entry + 1;
        let offset =
            file.first_data_block(entry)?.map_or_else(|| "-".to_owned(), |handle| handle.offset.to_string());
        writeln!(out, "{entry:>9} {offset:>16}  {}", display_key(keys.get(entry).copied()))?;
    }
    Ok(())
}

/// Prints the header of every block as a table.
pub(crate) fn blocks(file: &HFile, out: &mut Output) -> Result<(), Failure> {
    writeln!(out, "Block headers:")?;
    writeln!(
        out,
        "{:>12}  {:<24} {:>12} {:>12} {:>12}  {:<8} {:>18}",
        "offset", "type", "on disk", "uncompressed", "prev", "checksum", "bytes per checksum"
    )?;
    for header in file.block_headers() {
        let (offset, header) = header?;
        writeln!(
            out,
            "{offset:>12}  {:<24} {:>12} {:>12} {:>12}  {:<8} {:>18}",
            header.block_type().name(),
            header.on_disk_size_without_header(),
            header.uncompressed_size_without_header(),
            header.prev_block_offset(),
            header.checksum_type().map_or("-", |checksum| checksum.name()),
            header.bytes_per_checksum().unwrap_or(0),
        )?;
    }
    Ok(())
}

fn display_key(key: Option<&CellKey>) -> String {
    key.map_or_else(|| "none".to_owned(), CellKey::to_string)
}
