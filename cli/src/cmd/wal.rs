//! `hregion wal`: prints the entries of write-ahead logs.

use crate::args::{KeyArgs, LimitArgs};
use crate::cell_line::{self, LineStyle};
use crate::failure::{CommandError, Exit, Failure};
use crate::logs::LogList;
use crate::output::Output;
use crate::query_args::{self, Row};
use crate::text;
use hregion::cell::StringBinary;
use hregion::wal::{FlushAction, Marker, MarkerServer, RegionEvent, StoreFiles, WalEntry, WalReaderOptions};
use serde_json::{Map, Value, json};
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Print the entries of write-ahead logs
///
/// Reads the logs of HBase's RegionServers (WALs, oldWALs) and files of recovered edits, plain, with
/// dictionaries and with compressed values. For a directory, reads all logs below it, in the order of their
/// names. An entry has the cells of one write, or a marker: an event of a region, such as a flush. Encrypted
/// logs need the cluster's master key.
///
/// With --json, one entry per line: {"position","region","table","sequence_id","write_time","cells":[...]},
/// and "marker" for an event, whose "type" is flush, compaction, bulk_load, region_event, replication or
/// other. The position is the offset after the entry.
///
/// A log that its server did not close may end within an entry. Such an entry was never acknowledged: a
/// message on standard error names its offset, and all entries before it are printed. If the log has a
/// trailer, it was closed: then a length in it is damaged, and entries after the offset are not printed.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Logs, or directories of logs
    #[arg(required = true, value_name = "LOG")]
    logs: Vec<PathBuf>,

    /// Only entries of the region with this encoded name
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// Only cells of this row, and entries that have any
    #[arg(long, value_name = "ROW", allow_hyphen_values = true, value_parser = query_args::bytes)]
    row: Option<Row>,

    /// Exit with code 3 if a log ends within an entry
    #[arg(long)]
    strict: bool,

    #[command(flatten)]
    keys: KeyArgs,

    #[command(flatten)]
    limits: LimitArgs,
}

const EXAMPLES: &str = "\
Examples:
  hregion wal WALs/server,16020,1795161493542
  hregion wal --json --row user1 oldWALs | jq .sequence_id
  hregion wal --strict recovered.edits/0000000000000000016";

pub(crate) fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let list = LogList::find(&args.logs, out)?;
    let options = args.keys.wal_options(args.limits.limits())?;
    out.start_progress(list.bytes(), true);
    let mut torn = None;
    for path in list.logs() {
        if let Some(error) = print_log(path, &list, &options, args, out)? {
            out.warn_always(&error.line());
            if args.strict {
                out.found(error.exit());
            }
            torn.get_or_insert(error);
        }
    }
    match torn {
        Some(error) if args.strict => Err(error.into()),
        _ => Ok(Exit::Done),
    }
}

/// Prints the entries of a log. If it ends within one, returns that as an error.
fn print_log(
    path: &Path,
    list: &LogList<'_>,
    options: &WalReaderOptions,
    args: &Args,
    out: &mut Output,
) -> Result<Option<CommandError>, Failure> {
    let Some(file) = list.open(path, out)? else { return Ok(None) };
    let mut log = options.open_reader(file)?;
    while let Some(entry) = log.next_entry()? {
        if args.region.as_ref().is_none_or(|region| region.as_bytes() == entry.key().encoded_region_name) {
            print_entry(path, &entry, args.row.as_ref(), out)?;
        }
    }
    let torn = log.end().and_then(|end| end.to_error(path));
    Ok(torn.map(|error| CommandError::from(error).with_hint(None)))
}

fn print_entry(path: &Path, entry: &WalEntry, row: Option<&Row>, out: &mut Output) -> Result<(), Failure> {
    let key = entry.key();
    let marker = entry.marker().map_err(|fault| fault.at(path, entry.offset()))?;
    let is_wanted = |cell_row: &[u8]| row.is_none_or(|Row(row)| row == cell_row);
    let cells = || entry.cells().filter(|cell| is_wanted(cell.row()));
    if row.is_some() && cells().next().is_none() {
        return Ok(());
    }
    let mut line = Vec::new();
    if out.is_json() {
        line.extend_from_slice(b"{\"position\":");
        write!(line, "{}", entry.end())?;
        line.extend_from_slice(b",\"region\":");
        cell_line::put_quoted(&mut line, &key.encoded_region_name);
        line.extend_from_slice(b",\"table\":");
        cell_line::put_quoted(&mut line, &key.table_name);
        write!(line, ",\"sequence_id\":{},\"write_time\":{},\"cells\":[", key.sequence_id, key.write_time)?;
        for (i, cell) in cells().enumerate() {
            line.extend_from_slice(if i == 0 { b"" } else { b"," });
            cell_line::put_json(&mut line, &cell, false);
        }
        line.push(b']');
        if let Some(marker) = &marker {
            write!(line, ",\"marker\":{}", text::json(&marker_json(marker)))?;
        }
        line.extend_from_slice(b"}\n");
    } else {
        write!(line, "{} ", key.sequence_id)?;
        cell_line::put_binary(&mut line, &key.table_name);
        line.push(b' ');
        cell_line::put_binary(&mut line, &key.encoded_region_name);
        writeln!(line, " write_time={} position={}", key.write_time, entry.end())?;
        match &marker {
            Some(marker) => writeln!(line, "  marker {}", text::json(&marker_json(marker)))?,
            None => cells().for_each(|cell| {
                line.extend_from_slice(b"  ");
                cell_line::put_text(&mut line, &cell, LineStyle::Plain);
                line.push(b'\n');
            }),
        }
    }
    Ok(out.write_all(&line)?)
}

fn marker_json(marker: &Marker) -> Value {
    match marker {
        Marker::Flush(flush) => event(
            "flush",
            &flush.table_name,
            &flush.encoded_region_name,
            [
                ("action", json!(action_name(flush.action))),
                ("sequence_id", json!(flush.flush_sequence_id)),
                ("stores", stores_json(&flush.stores)),
            ],
        ),
        Marker::Compaction(compaction) => event(
            "compaction",
            &compaction.table_name,
            &compaction.encoded_region_name,
            [
                ("family", text_json(&compaction.family)),
                ("home", json!(compaction.store_home)),
                ("inputs", json!(compaction.inputs)),
                ("outputs", json!(compaction.outputs)),
            ],
        ),
        Marker::BulkLoad(load) => event(
            "bulk_load",
            &load.table_name,
            &load.encoded_region_name,
            [
                ("sequence_id", json!(load.sequence_id)),
                ("stores", stores_json(&load.stores)),
                ("replicate", json!(load.replicate)),
            ],
        ),
        Marker::RegionEvent(region) => event(
            "region_event",
            &region.table_name,
            &region.encoded_region_name,
            [
                ("event", json!(event_name(region.event))),
                ("sequence_id", json!(region.sequence_id)),
                ("stores", stores_json(&region.stores)),
                ("server", region.server.as_ref().map_or(Value::Null, server_json)),
            ],
        ),
        Marker::Replication => json!({ "type": "replication" }),
        Marker::Other(qualifier) => json!({ "type": "other", "qualifier": text_json(qualifier) }),
        other => json!({ "type": "other", "text": format!("{other:?}") }),
    }
}

/// Returns a marker's members, without those that have no value.
fn event<const N: usize>(kind: &str, table: &[u8], region: &[u8], members: [(&str, Value); N]) -> Value {
    let mut json = Map::new();
    let common = [("type", json!(kind)), ("table", text_json(table)), ("region", text_json(region))];
    let members = common.into_iter().chain(members).filter(|(_, value)| !value.is_null());
    json.extend(members.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(json)
}

fn text_json(bytes: &[u8]) -> Value {
    StringBinary(bytes).to_string().into()
}

fn stores_json(stores: &[StoreFiles]) -> Value {
    let store = |store: &StoreFiles| {
        let mut json = json!({
            "family": text_json(&store.family), "home": store.store_home, "files": store.files,
        });
        if let Some(bytes) = store.size_bytes {
            json["bytes"] = bytes.into();
        }
        json
    };
    stores.iter().map(store).collect()
}

fn server_json(server: &MarkerServer) -> Value {
    json!({ "host": server.host, "port": server.port, "start_code": server.start_code })
}

/// Returns HBase's name of a step of a flush.
fn action_name(action: FlushAction) -> &'static str {
    match action {
        FlushAction::Start => "START_FLUSH",
        FlushAction::Commit => "COMMIT_FLUSH",
        FlushAction::Abort => "ABORT_FLUSH",
        _ => "CANNOT_FLUSH",
    }
}

/// Returns HBase's name of an event of a region.
fn event_name(event: RegionEvent) -> &'static str {
    match event {
        RegionEvent::Open => "REGION_OPEN",
        _ => "REGION_CLOSE",
    }
}
