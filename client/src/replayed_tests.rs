//! The recorded session of HBase's client, with its servers' bytes: this client gives its answers.

use crate::hostile_tests::fake::read_frame;
use crate::json_cell::json_cell;
use crate::proto;
use crate::{Client, Table};
use bytes::Bytes;
use hregion::locator::RetryPolicy;
use hregion::{Error, Filter, Get, Increment, Mutation, Put, Result, Row, Scan, TableName};
use prost::Message;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// The row of a get or a mutation.
#[derive(Clone, PartialEq, Message)]
struct RowField {
    #[prost(bytes = "bytes", optional, tag = "1")]
    row: Option<Bytes>,
}

/// The first row of a scan.
#[derive(Clone, PartialEq, Message)]
struct StartField {
    #[prost(bytes = "bytes", optional, tag = "3")]
    start_row: Option<Bytes>,
}

/// Returns the request of a call.
fn asked(method: &str, param: Bytes) -> String {
    let text = |bytes: Option<Bytes>| String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned();
    let region = |region: Option<proto::RegionSpecifier>| text(region.and_then(|region| region.value));
    let row = |message: Option<Bytes>| text(RowField::decode(message.unwrap_or_default()).unwrap().row);
    match method {
        "Get" => {
            let request = proto::GetRequest::decode(param).unwrap();
            format!("Get {} {}", region(request.region), row(request.get))
        }
        "Mutate" => {
            let request = proto::MutateRequest::decode(param).unwrap();
            format!("Mutate {} {}", region(request.region), row(request.mutation))
        }
        "Multi" => {
            let mut asked = "Multi".to_owned();
            for actions in proto::MultiRequest::decode(param).unwrap().region_action {
                asked += &format!(" {}", region(actions.region));
                for action in actions.action {
                    asked += &format!(" {:?} {}", action.index, row(action.get.or(action.mutation)));
                }
            }
            asked
        }
        "Scan" => {
            let request = proto::ScanRequest::decode(param).unwrap();
            match request.scanner_id {
                Some(id) if request.close_scanner == Some(true) => format!("Close {id}"),
                Some(id) => format!("Next {id} {:?}", request.next_call_seq),
                None => {
                    let scan = StartField::decode(request.scan.unwrap()).unwrap();
                    format!("Open {} {}", region(request.region), text(scan.start_row))
                }
            }
        }
        _ => method.to_owned(),
    }
}

/// Splits a request, after its length, into its header and its message.
fn request_of(mut frame: Bytes) -> (proto::RequestHeader, Bytes) {
    let len = prost::decode_length_delimiter(&mut frame).unwrap();
    let header = proto::RequestHeader::decode(frame.split_to(len)).unwrap();
    if header.request_param != Some(true) {
        return (header, Bytes::new());
    }
    let len = prost::decode_length_delimiter(&mut frame).unwrap();
    (header, frame.split_to(len))
}

/// A call that was recorded.
struct Call {
    /// The number of the command that it belongs to.
    command: usize,
    port: u16,
    asked: String,
    /// The answer, after its length.
    answer: Bytes,
    is_used: bool,
}

/// The recording, with the ports of the servers that play it.
struct Session {
    calls: Vec<Call>,
    /// The current command.
    command: usize,
    /// The requests that have no response in the recording.
    unknown: Vec<String>,
}

impl Session {
    /// Reads the calls of all connections.
    fn read(dir: &Path) -> Self {
        let (mut calls, mut command) = (Vec::new(), 0);
        let mut ports = BTreeMap::new();
        let mut open: BTreeMap<(u64, i64), (usize, String)> = BTreeMap::new();
        for line in fs::read_to_string(dir.join("frames.jsonl")).unwrap().lines() {
            let frame: Value = serde_json::from_str(line).unwrap();
            command += usize::from(frame.get("command").is_some());
            let Some(connection) = frame["conn"].as_u64() else { continue };
            if let Some((_, port)) = frame["remote"].as_str().and_then(|remote| remote.rsplit_once(':')) {
                ports.insert(connection, port.parse().unwrap());
            }
            let Some(id) = frame["call_id"].as_i64() else { continue };
            let number = |name: &str| usize::try_from(frame[name].as_u64().unwrap()).unwrap();
            let direction = frame["dir"].as_str().unwrap();
            let bytes = fs::read(dir.join(format!("conn-{connection}.{direction}.bin"))).unwrap();
            let at = number("offset");
            let bytes = Bytes::copy_from_slice(&bytes[at + 4..at + number("length")]);
            if direction == "c2s" {
                let (header, param) = request_of(bytes);
                open.insert((connection, id), (command, asked(&header.method_name.unwrap(), param)));
            } else if let Some((command, asked)) = open.remove(&(connection, id)) {
                calls.push(Call { command, port: ports[&connection], asked, answer: bytes, is_used: false });
            }
        }
        Self { calls, command: 0, unknown: Vec::new() }
    }

    /// Returns the answer to a call to a server: one of the current command that was not given yet, or the
    /// last one before.
    fn answer(&mut self, port: u16, asked: &str) -> Bytes {
        let command = self.command;
        let same = |call: &&mut Call| call.port == port && call.asked == asked;
        let now = self.calls.iter_mut().filter(same).find(|call| call.command == command && !call.is_used);
        if let Some(call) = now {
            call.is_used = true;
            return call.answer.clone();
        }
        // data that HBase's client already knew, or has requested less often
        let before = self.calls.iter_mut().filter(same).rfind(|call| call.command <= command);
        if let Some(call) = before {
            return call.answer.clone();
        }
        let response = if asked.starts_with("Open hbase:meta,,1 wired,") {
            // this client asks for several rows of the catalog, of which the recording has the first one
            proto::ScanResponse {
                scanner_id: Some(1),
                more_results_in_region: Some(false),
                ..proto::ScanResponse::default()
            }
        } else {
            if !asked.starts_with("Close ") {
                self.unknown.push(format!("command {command}, {port}: {asked}"));
            }
            proto::ScanResponse::default()
        };
        let header = proto::ResponseHeader { call_id: Some(0), ..proto::ResponseHeader::default() };
        let header = header.encode_length_delimited_to_vec();
        [header, response.encode_length_delimited_to_vec()].concat().into()
    }
}

/// Replaces ports in text, and in the messages that name servers. No length changes.
fn with_ports(bytes: &[u8], ports: &[(u16, u16)]) -> Vec<u8> {
    let varint = |port: u16| {
        let mut bytes = vec![0x10];
        prost::encoding::encode_varint(port.into(), &mut bytes);
        bytes
    };
    let both = |(old, new): &(u16, u16)| {
        [(old.to_string().into_bytes(), new.to_string().into_bytes()), (varint(*old), varint(*new))]
    };
    let pairs: Vec<(Vec<u8>, Vec<u8>)> = ports.iter().flat_map(both).collect();
    assert!(pairs.iter().all(|(old, new)| old.len() == new.len()), "{ports:?}");
    let (mut bytes, mut at) = (bytes.to_vec(), 0);
    // in one pass: a new port may be the old one of another server
    while at < bytes.len() {
        match pairs.iter().find(|(old, _)| bytes[at..].starts_with(old)) {
            Some((old, new)) => {
                bytes[at..at + old.len()].copy_from_slice(new);
                at += old.len();
            }
            None => at += 1,
        }
    }
    bytes
}

/// Answers the calls of a connection as the server of a port did.
async fn serve(
    mut stream: TcpStream,
    port: u16,
    session: Arc<Mutex<Session>>,
    ports: Arc<Vec<(u16, u16)>>,
) -> std::io::Result<()> {
    let mut preamble = [0; 6];
    stream.read_exact(&mut preamble).await?;
    assert_eq!(&preamble, b"HBas\0\x50");
    read_frame(&mut stream).await?;
    loop {
        let (request, param) = request_of(read_frame(&mut stream).await?);
        let asked = asked(request.method_name.as_deref().unwrap(), param);
        let answer = session.lock().unwrap().answer(port, &asked);
        let mut rest = Bytes::from(with_ports(&answer, &ports));
        let len = prost::decode_length_delimiter(&mut rest).unwrap();
        let header = proto::ResponseHeader::decode(rest.split_to(len)).unwrap();
        let header = proto::ResponseHeader { call_id: request.call_id, ..header };
        let frame = [&header.encode_length_delimited_to_vec()[..], &rest].concat();
        stream.write_u32(u32::try_from(frame.len()).unwrap()).await?;
        stream.write_all(&frame).await?;
    }
}

fn cells(row: &Row) -> Vec<Value> {
    row.cells().map(|cell| json_cell(&cell)).collect()
}

fn text<'v>(command: &'v Value, name: &str) -> &'v str {
    command[name].as_str().unwrap_or_default()
}

fn texts<'v>(command: &'v Value, name: &str) -> impl Iterator<Item = &'v str> {
    command[name].as_array().into_iter().flatten().map(|value| value.as_str().unwrap())
}

fn get_of(row: &str, command: &Value) -> Get {
    texts(command, "columns").fold(Get::new(row), |get, column| match column.split_once(':') {
        Some((family, qualifier)) => get.column(family.to_owned(), qualifier.to_owned()),
        None => get.family(column.to_owned()),
    })
}

fn scan_of(command: &Value) -> Scan {
    let number = |name: &str| command[name].as_u64().unwrap_or_default();
    let mut scan = Scan::new()
        .start_row(text(command, "start").to_owned(), true)
        .stop_row(text(command, "stop").to_owned(), false)
        .reversed(command["reversed"] == true)
        .limit(number("limit"))
        .caching(usize::try_from(number("caching")).unwrap())
        .max_result_size(number("max_result_size"))
        .allow_partial(command["allow_partial"] == true);
    for family in texts(command, "columns") {
        scan = scan.family(family.to_owned());
    }
    match command["filter"].as_str() {
        Some(filter) => scan.filter(Filter::parse(filter).unwrap()),
        None => scan,
    }
}

/// Executes a command.
async fn execute(client: &Client, table: &Table, command: &Value) -> Result<Value> {
    let owned = |name: &str| text(command, name).to_owned();
    let row = owned("row");
    let of_row = |row: Row| Value::from(cells(&row));
    match text(command, "op") {
        "locate" => {
            let found = client.locate(table.name(), &row).await?;
            Ok(json!({"name": String::from_utf8_lossy(&found.region().name())}))
        }
        "get" => table.get(&get_of(&row, command)).await.map(of_row),
        "multi_get" => {
            let gets: Vec<Get> = texts(command, "rows").map(Get::new).collect();
            table.get_many(&gets).await.map(|rows| rows.into_iter().map(of_row).collect())
        }
        "put" => {
            let put = Put::new(row).cell(owned("family"), owned("qualifier"), owned("value"));
            table.put(put).await.map(|()| Value::Null)
        }
        "mutate" => {
            let mut puts: Vec<(String, Put)> = Vec::new();
            for cell in command["cells"].as_array().unwrap() {
                let row = text(cell, "row").to_owned();
                if puts.last().is_none_or(|(last, _)| *last != row) {
                    puts.push((row.clone(), Put::new(row)));
                }
                let (_, put) = puts.pop().unwrap();
                let timestamp = cell["timestamp"].as_i64().unwrap();
                let [family, qualifier, value] =
                    ["family", "qualifier", "value"].map(|name| text(cell, name).to_owned());
                let put = put.cell_at(family, qualifier, timestamp, value);
                puts.push((text(cell, "row").to_owned(), put));
            }
            let puts: Vec<Mutation> = puts.into_iter().map(|(_, put)| put.into()).collect();
            let done = table.batch(&puts).await.into_iter().collect::<Result<Vec<Row>>>();
            done.map(|rows| rows.len().into())
        }
        "increment" => {
            let increment = Increment::new(row).column(owned("family"), owned("qualifier"), 1);
            table.increment(increment).await.map(of_row)
        }
        "scan" => {
            let mut scanner = table.scan(scan_of(command))?;
            let mut found = Vec::new();
            while let Some(result) = scanner.next().await? {
                found.extend(cells(&result.row));
            }
            Ok(Value::from(found))
        }
        other => panic!("{other}"),
    }
}

/// Returns the classes of an exception and its causes, without packages.
fn classes(error: &Value) -> Vec<&str> {
    let mut classes = Vec::new();
    let mut error = Some(error);
    while let Some(current) = error {
        classes.push(text(current, "class").rsplit('.').next().unwrap());
        error = current.get("cause");
    }
    classes
}

#[tokio::test]
async fn the_recorded_session_has_the_answers_of_hbases_client() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/golden/cluster/rpc");
    if !dir.exists() {
        println!("SKIPPED: no shared/golden/cluster/rpc");
        return;
    }
    let session = Session::read(&dir);
    // those of region servers
    let is_registry = |call: &&Call| call.asked == "GetMetaRegionLocations";
    let mut ports: Vec<u16> = session.calls.iter().filter(is_registry).map(|call| call.port).collect();
    ports.sort_unstable();
    ports.dedup();
    let (mut listeners, mut played) = (Vec::new(), Vec::new());
    for old in ports {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        played.push((old, listener.local_addr().unwrap().port()));
        listeners.push((old, listener));
    }
    let (session, played) = (Arc::new(Mutex::new(session)), Arc::new(played));
    for (port, listener) in listeners {
        let (session, played) = (Arc::clone(&session), Arc::clone(&played));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, port, Arc::clone(&session), Arc::clone(&played)));
            }
        });
    }
    let addresses: Vec<String> = played.iter().map(|(_, port)| format!("127.0.0.1:{port}")).collect();
    let retries = RetryPolicy::default().pause(Duration::from_millis(1)).attempts(4);
    let client = Client::builder().retries(retries).bootstrap(&addresses.join(",")).unwrap();
    let (mut right, mut refused) = (0, 0);
    for (number, line) in fs::read_to_string(dir.join("answers.jsonl")).unwrap().lines().enumerate() {
        let line = String::from_utf8(with_ports(line.as_bytes(), &played)).unwrap();
        let expected: Value = serde_json::from_str(&line).unwrap();
        let command = &expected["command"];
        session.lock().unwrap().command = number + 1;
        if ["list_tables", "sleep"].contains(&text(command, "op")) {
            continue; // nothing that this client asks
        }
        let table = client.table(&TableName::parse(text(command, "table")).unwrap());
        let found = execute(&client, &table, command).await;
        assert_eq!(session.lock().unwrap().unknown, [""; 0], "{command}: {found:?}");
        match (found, expected.get("error")) {
            (Ok(found), None) => {
                match text(command, "op") {
                    "locate" => assert_eq!(found["name"], expected["ok"]["name"], "{command}"),
                    _ => assert_eq!(found, expected["ok"], "{command}"),
                }
                right += 1;
            }
            (Err(error), Some(expected)) => {
                is_same_error(&error, expected, command);
                refused += 1;
            }
            (found, expected) => panic!("{command}: {found:?} instead of {expected:?}"),
        }
    }
    println!("{right} answers, {refused} errors");
    assert!(right > 15 && refused > 3);
}

/// Asserts that an error names one of the exceptions that HBase's client has thrown.
fn is_same_error(error: &Error, expected: &Value, command: &Value) {
    let (kind, message) = (format!("{:?}", error.kind()), error.message());
    let is_named = |class: &str| message.contains(class) || kind == class.trim_end_matches("Exception");
    let is_named_in = |text: &str| {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric());
        words.filter(|word| word.ends_with("Exception")).any(|word| message.contains(word))
    };
    let is_same = classes(expected).into_iter().any(is_named) || is_named_in(text(expected, "message"));
    assert!(is_same, "{command}: {kind} {message} instead of {expected}");
}
