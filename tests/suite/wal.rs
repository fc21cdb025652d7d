//! Write-ahead logs: HBase's logs give the same entries as HBase's reader, and logs written by hregion are
//! read back. Single flipped bits never give other cells where a log has checksums.

#[cfg(feature = "crypto")]
mod encrypted;
mod written;

use crate::support::cells;
use crate::support::files::files_below;
use crate::support::golden;
use hregion::cell::StringBinary;
use hregion::wal::{
    FlushAction, Marker, RegionEvent, StoreFiles, WalEnd, WalEntry, WalReader, WalReaderOptions,
};
use hregion::{CellRef, Error, ErrorKind, MemoryFile};
use serde_json::{Map, Value, json};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The result of reading a log: its entries, and its end or an error.
struct Outcome {
    entries: Vec<WalEntry>,
    end: Result<WalEnd, Error>,
}

/// The master key of the encrypted logs.
pub(crate) const MASTER_KEY: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15];

/// Reads a log, with the master key of the encrypted ones.
fn read(name: impl Into<PathBuf>, bytes: Vec<u8>) -> Result<(Outcome, WalReader), Error> {
    read_with(&WalReaderOptions::new().master_key(MASTER_KEY), name, bytes)
}

fn read_with(
    options: &WalReaderOptions,
    name: impl Into<PathBuf>,
    bytes: Vec<u8>,
) -> Result<(Outcome, WalReader), Error> {
    let mut reader = options.open_reader(Arc::new(MemoryFile::new(name, bytes)))?;
    let mut entries = Vec::new();
    let end = loop {
        match reader.next_entry() {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => break Ok(reader.end().expect("the end is known").clone()),
            Err(error) => break Err(error),
        }
    };
    Ok((Outcome { entries, end }, reader))
}

/// The folders with logs: the one of this repository, and the larger one if it exists.
fn folders() -> Vec<PathBuf> {
    [golden::root("testdata/wal")].into_iter().chain(golden::shared("cluster/wal")).collect()
}

/// The variants in a folder: logs with the same settings.
fn variants(folder: &Path) -> Vec<PathBuf> {
    let variants = list(folder).into_iter().filter(|path| path.join("read").exists());
    variants.filter(|path| cfg!(feature = "crypto") || !path.ends_with("encrypted")).collect()
}

fn list(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("a folder that can be read").path()).collect();
    paths.sort();
    paths
}

fn name(path: &Path) -> String {
    path.file_name().expect("a file").to_string_lossy().into_owned()
}

fn text(bytes: &[u8]) -> String {
    StringBinary(bytes).to_string()
}

/// An entry in the form of HBase's answers.
fn entry_json(entry: &WalEntry) -> Value {
    let key = entry.key();
    let mut json = Map::new();
    json.insert("region".into(), text(&key.encoded_region_name).into());
    json.insert("table".into(), text(&key.table_name).into());
    json.insert("sequence".into(), key.sequence_id.into());
    json.insert("write_time".into(), key.write_time.into());
    if !key.cluster_ids.is_empty() {
        let hex = |id: &u128| format!("{id:032x}");
        let uuid = |id: String| [&id[..8], &id[8..12], &id[12..16], &id[16..20], &id[20..]].join("-");
        let ids: Vec<String> = key.cluster_ids.iter().map(|id| uuid(hex(id))).collect();
        json.insert("clusters".into(), format!("[{}]", ids.join(", ")).into());
    }
    if key.nonce != 0 || key.nonce_group != 0 {
        json.insert("nonce_group".into(), key.nonce_group.into());
        json.insert("nonce".into(), key.nonce.into());
    }
    if !key.scopes.is_empty() {
        let scopes = key.scopes.iter().map(|(family, scope)| (text(family), json!(scope.code())));
        json.insert("scopes".into(), scopes.collect::<Map<_, _>>().into());
    }
    if !key.extended_attributes.is_empty() {
        let attributes =
            key.extended_attributes.iter().map(|(name, value)| (name.clone(), json!(text(value))));
        json.insert("extended".into(), attributes.collect::<Map<_, _>>().into());
    }
    let marker = entry.marker().expect("a marker of HBase");
    assert_eq!(marker.is_some(), entry.is_marker());
    let cell = |cell: CellRef<'_>| {
        assert_eq!(cell.seq_id(), key.sequence_id);
        let mut json = cells::parse(&cells::cell_json(&cell, false));
        if let Some(marker) = &marker {
            json["marker"] = marker_text(marker).into();
        }
        json
    };
    json.insert("cells".into(), entry.cells().map(cell).collect::<Vec<_>>().into());
    json.insert("end".into(), entry.end().into());
    json.into()
}

/// A marker in protobuf's text format, as in HBase's answers.
fn marker_text(marker: &Marker) -> String {
    let mut out = String::new();
    let quoted = |out: &mut String, name: &str, bytes: &[u8]| {
        write!(out, " {name}: \"{}\"", text(bytes)).expect("a String takes anything");
    };
    let store = |out: &mut String, field: &str, file: &str, store: &StoreFiles| {
        write!(out, " {field} {{").expect("a String takes anything");
        quoted(out, "family_name", &store.family);
        quoted(out, "store_home_dir", store.store_home.as_bytes());
        store.files.iter().for_each(|name| quoted(out, file, name.as_bytes()));
        if let Some(bytes) = store.size_bytes {
            write!(out, " store_file_size_bytes: {bytes}").expect("a String takes anything");
        }
        out.push_str(" }");
    };
    match marker {
        Marker::Flush(flush) => {
            let action = match flush.action {
                FlushAction::Start => "START_FLUSH",
                FlushAction::Commit => "COMMIT_FLUSH",
                FlushAction::Abort => "ABORT_FLUSH",
                other => panic!("{other:?} is not in these logs"),
            };
            write!(out, "FlushDescriptor {{ action: {action}").unwrap();
            quoted(&mut out, "table_name", &flush.table_name);
            quoted(&mut out, "encoded_region_name", &flush.encoded_region_name);
            let id = flush.flush_sequence_id.expect("a sequence number");
            write!(out, " flush_sequence_number: {id}").unwrap();
            flush.stores.iter().for_each(|s| store(&mut out, "store_flushes", "flush_output", s));
            flush.region_name.iter().for_each(|name| quoted(&mut out, "region_name", name));
        }
        Marker::Compaction(compaction) => {
            out.push_str("CompactionDescriptor {");
            quoted(&mut out, "table_name", &compaction.table_name);
            quoted(&mut out, "encoded_region_name", &compaction.encoded_region_name);
            quoted(&mut out, "family_name", &compaction.family);
            compaction.inputs.iter().for_each(|f| quoted(&mut out, "compaction_input", f.as_bytes()));
            compaction.outputs.iter().for_each(|f| quoted(&mut out, "compaction_output", f.as_bytes()));
            quoted(&mut out, "store_home_dir", compaction.store_home.as_bytes());
            compaction.region_name.iter().for_each(|name| quoted(&mut out, "region_name", name));
        }
        Marker::BulkLoad(load) => {
            let table = String::from_utf8(load.table_name.clone()).unwrap();
            let (namespace, qualifier) = table.split_once(':').unwrap_or(("default", &table));
            out.push_str("BulkLoadDescriptor { table_name {");
            quoted(&mut out, "namespace", namespace.as_bytes());
            quoted(&mut out, "qualifier", qualifier.as_bytes());
            out.push_str(" }");
            quoted(&mut out, "encoded_region_name", &load.encoded_region_name);
            load.stores.iter().for_each(|s| store(&mut out, "stores", "store_file", s));
            write!(out, " bulkload_seq_num: {}", load.sequence_id).unwrap();
            load.cluster_ids.iter().for_each(|id| quoted(&mut out, "cluster_ids", id.as_bytes()));
            load.replicate.iter().for_each(|replicate| write!(out, " replicate: {replicate}").unwrap());
        }
        Marker::RegionEvent(event) => {
            let name = match event.event {
                RegionEvent::Open => "REGION_OPEN",
                _ => "REGION_CLOSE",
            };
            write!(out, "RegionEventDescriptor {{ event_type: {name}").unwrap();
            quoted(&mut out, "table_name", &event.table_name);
            quoted(&mut out, "encoded_region_name", &event.encoded_region_name);
            let id = event.sequence_id.expect("a sequence number");
            write!(out, " log_sequence_number: {id}").unwrap();
            event.stores.iter().for_each(|s| store(&mut out, "stores", "store_file", s));
            if let Some(server) = &event.server {
                out.push_str(" server {");
                quoted(&mut out, "host_name", server.host.as_bytes());
                let (port, start) = (server.port.expect("a port"), server.start_code.expect("a start code"));
                write!(out, " port: {port} start_code: {start} }}").unwrap();
            }
            event.region_name.iter().for_each(|name| quoted(&mut out, "region_name", name));
        }
        other => panic!("{other:?} is not in these logs"),
    }
    out.push_str(" }");
    out
}

/// Checks the result of reading a log against HBase's answer. Returns the number of entries.
fn check(path: &Path, answer: &Path) -> usize {
    let lines = cells::json_lines(answer);
    let (first, rest) = lines.split_first().expect("a line about the header");
    let (last, expected) = rest.split_last().expect("a line about the end");
    let (found, reader) = read(path, fs::read(path).unwrap()).unwrap();
    for (found, expected) in found.entries.iter().zip(expected) {
        assert_eq!(&entry_json(found), expected, "{}", path.display());
    }
    assert_eq!(found.entries.len(), expected.len(), "{}: {:?}", path.display(), found.end);

    let header = reader.header().expect("a header");
    let shown = first["header"].as_str().expect("a header");
    assert_eq!(header.is_encrypted(), shown.contains("encryption_key"));
    // The flags of an encrypted log have no meaning.
    let has = |flag: &str| !header.is_encrypted() && shown.contains(&format!("{flag}: true"));
    assert_eq!(header.has_compression(), has("has_compression"));
    assert_eq!(header.has_tag_compression(), has("has_tag_compression"));
    assert_eq!(header.value_compression().is_some(), has("has_value_compression"));
    let algorithm = shown.split_once("value_compression_algorithm: ").filter(|_| !header.is_encrypted());
    let algorithm = algorithm.map(|(_, number)| number.trim());
    let codec = header.value_compression().map(|codec| codec.ordinal().to_string());
    assert_eq!(codec.as_deref(), algorithm);
    let class = if header.is_encrypted() { "SecureProtobufLogWriter" } else { "ProtobufLogWriter" };
    assert_eq!(header.writer_class(), Some(class));
    assert_eq!(header.log_id(), None);
    check_end(path, &found.end, last);
    found.entries.len()
}

/// Checks the end against the last line of HBase's answer.
fn check_end(path: &Path, end: &Result<WalEnd, Error>, last: &Value) {
    let class = last["error"]["class"].as_str().unwrap_or_default();
    let shown = format!("{}: {end:?}, {last}", path.display());
    match end {
        Ok(WalEnd::Trailer) => assert_eq!(last["ended"], "eof", "{shown}"),
        Ok(WalEnd::NoTrailer) => {
            assert!(class.ends_with("EOFException") && last["position"] == last["length"], "{shown}");
        }
        // HBase takes zeros for damage
        Ok(WalEnd::Torn { zeros, .. }) => {
            assert_eq!(class.ends_with("EOFException"), !zeros, "{shown}");
            assert_eq!(name(path).starts_with("zeros"), *zeros, "{shown}");
        }
        Ok(other) => panic!("{other:?}"),
        Err(error) => {
            assert_eq!(class, "java.io.IOException", "{shown}");
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{shown}");
            assert_eq!(error.path(), Some(path), "{shown}");
        }
    }
}

#[test]
fn logs_are_read_as_by_hbase() {
    for folder in folders() {
        let (mut logs, mut entries) = (0, 0);
        for variant in variants(&folder) {
            for log in files_below(&variant.join("crashed/WALs")) {
                let answer = variant.join(format!("read/{}.jsonl", name(&log)));
                entries += check(&log, &answer);
                logs += 1;
            }
        }
        assert!(logs >= 5 && entries >= 50, "{}: {logs} logs, {entries} entries", folder.display());
    }
}

#[test]
fn recovered_edits_are_read_as_by_hbase() {
    for folder in folders() {
        let (mut logs, mut entries) = (0, 0);
        for variant in variants(&folder) {
            for answer in files_below(&variant.join("split-read")) {
                let region = name(answer.parent().expect("a region"));
                let log = format!("{region}/recovered.edits/{}", name(&answer).trim_end_matches(".jsonl"));
                let found =
                    files_below(&variant.join("split/data")).into_iter().find(|path| path.ends_with(&log));
                entries += check(&found.unwrap_or_else(|| panic!("no {log}")), &answer);
                logs += 1;
            }
        }
        assert!(logs >= 8 && entries >= 15, "{}: {logs} logs, {entries} entries", folder.display());
    }
}

#[test]
fn torn_logs_are_read_up_to_the_tear() {
    for folder in folders() {
        let (mut torn, mut damaged) = (0, 0);
        for variant in variants(&folder) {
            // the log that was cut
            let logs = files_below(&variant.join("crashed/WALs"));
            let logs = logs.into_iter().filter(|log| !name(log).ends_with(".meta"));
            let Some(whole) = logs.max_by_key(|log| fs::metadata(log).unwrap().len()) else { continue };
            let bytes = fs::read(&whole).unwrap();
            let (all, _) = read(&whole, bytes.clone()).unwrap();
            for answer in files_below(&variant.join("torn-read")) {
                let name = name(&answer).trim_end_matches(".jsonl").to_owned();
                let path = variant.join("torn").join(&name);
                let cut = name.strip_prefix("cut-").map(|len| len.parse::<usize>().unwrap());
                let damaged_bytes = match cut {
                    Some(len) => bytes[..len].to_vec(),
                    None => fs::read(&path).unwrap(),
                };
                let last = cells::json_lines(&answer).pop().unwrap();
                let (found, _) = read(&path, damaged_bytes).unwrap();
                let count = usize::try_from(last["entries"].as_u64().unwrap()).unwrap();
                assert_eq!(found.entries, all.entries[..count], "{}", path.display());
                check_end(&path, &found.end, &last);
                torn += 1;
                damaged += u32::from(found.end.is_err());
            }
        }
        assert!(torn >= 15 && damaged >= 1, "{}: {torn} torn, {damaged} damaged", folder.display());
    }
}

/// A log cut at any position gives only its first entries.
#[test]
fn every_prefix_of_a_log_is_torn_or_ends_after_an_entry() {
    let variant = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/wal/dictionary");
    let log = files_below(&variant.join("crashed/WALs")).into_iter().find(|log| name(log).ends_with(".meta"));
    let path = log.expect("the log of a catalog");
    let bytes = fs::read(&path).unwrap();
    let (all, _) = read(&path, bytes.clone()).unwrap();
    for len in 0..bytes.len() {
        let (found, reader) = read(&path, bytes[..len].to_vec()).unwrap();
        assert_eq!(found.entries, all.entries[..found.entries.len()], "{len}");
        match found.end.unwrap() {
            WalEnd::NoTrailer => assert_eq!(reader.offset(), len as u64),
            WalEnd::Torn { offset, unread, .. } => assert_eq!(offset + unread, len as u64),
            end => panic!("{end:?} at {len}"),
        }
    }
}

#[test]
fn what_is_not_a_log_is_refused_by_name() {
    let error = |bytes: &[u8]| read("file", bytes.to_vec()).map(drop).unwrap_err();
    assert_eq!(error(b"SEQ\x06rest").kind(), ErrorKind::Unsupported);
    assert!(error(b"SEQ\x06rest").message().contains("before 0.96"));
    assert_eq!(error(b"DATABLK*").kind(), ErrorKind::Corrupt);
    assert_eq!(error(b"DATABLK*").path(), Some(Path::new("file")));
    let encrypted = b"PWAL\x06\x08\0\x12\x02ab";
    assert_eq!(error(encrypted).kind(), ErrorKind::Unsupported);
    assert!(error(encrypted).message().starts_with("cell codec of an encrypted log org."), "{encrypted:?}");
}

/// Names what is missing, in a build without the feature as well.
#[test]
fn encrypted_logs_need_the_master_key() {
    let folder = golden::root("testdata/wal/encrypted");
    let logs = files_below(&folder.join("small"));
    assert!(logs.len() >= 3);
    for log in logs {
        let bytes = fs::read(&log).unwrap();
        let error = read_with(&WalReaderOptions::new(), &log, bytes.clone()).map(drop).unwrap_err();
        assert_eq!((error.kind(), error.path()), (ErrorKind::Unsupported, Some(&*log)));
        let message = "encrypted write-ahead log (AES) is not supported: give the cluster's master key";
        assert_eq!(error.message(), message);
        if !cfg!(feature = "crypto") {
            let error = read(&log, bytes).map(drop).unwrap_err();
            let message = "encryption AES is not supported: build with the feature `crypto`";
            assert_eq!((error.kind(), error.message()), (ErrorKind::Unsupported, message.to_owned()));
        }
    }
}
