//! The report as JSON.

use super::fields::{InfoValue, listed, or_null, root_entries, trailer};
use crate::cell_line;
use hregion::cell::StringBinary;
use hregion::{BlockHeader, BloomFilter, CellKey, Error, HFile, Result};
use serde_json::{Map, Value, json};

/// Returns the metadata of a file, without its blocks. Where an index block cannot be read, its value is that
/// of `damaged`, unless that is an error.
pub(super) fn report(file: &HFile, mut damaged: impl FnMut(Error) -> Result<Value>) -> Result<Value> {
    let mut members = Map::new();
    members.insert("length".into(), file.file_len().into());
    members.insert("trailer".into(), object(trailer(file.trailer())));
    members.insert("file_info".into(), file_info(file));
    members.insert("encoding".into(), file.data_block_encoding().name().into());
    let first_key = file.first_key().filter(|_| file.entry_count() > 0);
    members.insert("first_key".into(), first_key.map_or(Value::Null, key));
    let mid_key = if file.entry_count() == 0 { Ok(None) } else { file.mid_key() };
    let mid_key = mid_key.map(|found| found.as_deref().map_or(Value::Null, key));
    members.insert("mid_key".into(), mid_key.or_else(&mut damaged)?);
    members.insert("root_index".into(), root_index(file).or_else(damaged)?);
    members.insert("general_bloom".into(), file.general_bloom().map_or(Value::Null, bloom));
    members.insert("delete_family_bloom".into(), file.delete_family_bloom().map_or(Value::Null, bloom));
    Ok(members.into())
}

fn object<const N: usize>(members: [(&'static str, Value); N]) -> Value {
    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>().into()
}

fn file_info(file: &HFile) -> Value {
    let entries = file.file_info().iter().map(|(name, value)| {
        let value = match InfoValue::decode(name, value) {
            InfoValue::Number(number) => number.into(),
            InfoValue::Flag(flag) => flag.into(),
            InfoValue::Key(k) => key(k),
            InfoValue::TimeRange { min, max, length } => json!({ "min": min, "max": max, "length": length }),
            InfoValue::Bytes(bytes) => StringBinary(bytes).to_string().into(),
        };
        (StringBinary(name).to_string(), value)
    });
    entries.collect::<Map<_, _>>().into()
}

fn root_index(file: &HFile) -> Result<Value> {
    let mut entries = Vec::new();
    let keys: Vec<&CellKey> = file.root_index().map(|(key, _)| key).collect();
    for entry in listed(root_entries(file)) {
        let first = file.first_data_block(entry)?.map(|handle| handle.offset);
        let key = keys.get(entry).map_or(Value::Null, |k| key(k));
        entries.push(json!({ "entry": entry, "first_data_block": or_null(first), "key": key }));
    }
    Ok(entries.into())
}

fn bloom(filter: &BloomFilter) -> Value {
    let meta = filter.meta();
    let chunks: Vec<Value> = meta
        .chunks()
        .map(|(handle, first_key)| {
            let first_key = StringBinary(first_key).to_string();
            json!({ "offset": handle.offset, "size": handle.on_disk_size, "first_key": first_key })
        })
        .collect();
    json!({
        "version": meta.version(),
        "total_bytes": meta.total_bytes(),
        "hash_count": meta.hash_count(),
        "hash": meta.hash().name(),
        "key_count": meta.key_count(),
        "max_keys": meta.max_keys(),
        "comparator": meta.comparator(),
        "chunks": chunks,
    })
}

/// Returns the header of the block at an offset.
pub(super) fn block(offset: u64, header: &BlockHeader) -> Value {
    json!({
        "offset": offset,
        "type": header.block_type().name(),
        "on_disk_size": header.on_disk_size_without_header(),
        "uncompressed_size": header.uncompressed_size_without_header(),
        "prev_block_offset": header.prev_block_offset(),
        "checksum_type": header.checksum_type().map_or(0, |checksum| checksum.code()),
        "bytes_per_checksum": header.bytes_per_checksum().unwrap_or(0),
        "on_disk_data_size_with_header": header.on_disk_data_size_with_header(),
    })
}

pub(super) fn key(key: &CellKey) -> Value {
    let mut line = Vec::new();
    cell_line::put_json_key(&mut line, key);
    serde_json::from_slice(&line).unwrap_or(Value::Null)
}
