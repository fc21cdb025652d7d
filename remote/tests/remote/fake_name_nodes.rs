//! The two name nodes of a name service, in this process. They have files without bytes, and leases.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;

/// A name service with one active name node. Its threads end when it is dropped.
pub(crate) struct FakeNameNodes {
    shared: Arc<Shared>,
    addresses: [String; 2],
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Files and directories by path.
    files: BTreeMap<String, File>,
    last_id: u64,
    active: usize,
    /// Which of them read without answering, as if their processes were stopped.
    is_silent: [bool; 2],
    /// The request at which the active one becomes silent, and whether it is carried out first.
    last_request: Option<(String, bool)>,
    /// The request that is refused.
    refused: Option<String>,
    /// The directory whose new files are encrypted.
    zone: Option<String>,
    is_over: bool,
}

#[derive(Clone, Debug)]
struct File {
    id: u64,
    is_dir: bool,
    /// The client that is writing it.
    holder: Option<String>,
    /// The bytes of a block that is being written.
    len: u64,
}

/// The class of an exception and its text.
type Refusal = (&'static str, &'static str);

const STANDBY: Refusal = ("org.apache.hadoop.ipc.StandbyException", "standby");
const MISSING: Refusal = ("java.io.FileNotFoundException", "no such file");
const EXISTS: Refusal = ("org.apache.hadoop.fs.FileAlreadyExistsException", "it exists");
const OPEN_HERE: Refusal = (
    "org.apache.hadoop.hdfs.protocol.AlreadyBeingCreatedException",
    "the client is already the current lease holder",
);
const OPEN_ELSEWHERE: Refusal =
    ("org.apache.hadoop.hdfs.protocol.AlreadyBeingCreatedException", "another client has it open");
const NO_LEASE: Refusal = ("org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException", "no lease");
const SAFE_MODE: Refusal = ("org.apache.hadoop.hdfs.server.namenode.SafeModeException", "in safe mode");
const UNSUPPORTED: Refusal = ("java.lang.UnsupportedOperationException", "not here");

/// A `FileEncryptionInfoProto`.
const ENCRYPTION: [u8; 2] = [1 << 3, 2];

impl FakeNameNodes {
    pub(crate) fn start() -> Self {
        let shared: Arc<Shared> = Arc::default();
        let addresses = [0, 1].map(|node| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let address = listener.local_addr().unwrap().to_string();
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for stream in listener.incoming() {
                    if shared.state().is_over {
                        break;
                    }
                    let (shared, stream) = (Arc::clone(&shared), stream.unwrap());
                    // The client has ended the connection.
                    thread::spawn(move || drop(shared.serve(node, stream)));
                }
            });
            address
        });
        Self { shared, addresses }
    }

    pub(crate) fn addresses(&self) -> [&str; 2] {
        [&self.addresses[0], &self.addresses[1]]
    }

    /// The active name node becomes silent at the next request of a kind, and the other one becomes active.
    /// `is_made` is whether the request is carried out first.
    pub(crate) fn be_silent_at(&self, method: &str, is_made: bool) {
        self.shared.state().last_request = Some((method.to_owned(), is_made));
    }

    /// Whether a name node has become silent since the call of `be_silent_at`.
    pub(crate) fn was_silent(&self) -> bool {
        self.shared.state().last_request.is_none()
    }

    /// Sets which name nodes are silent.
    pub(crate) fn set_silent(&self, is_silent: [bool; 2]) {
        self.shared.state().is_silent = is_silent;
        self.shared.changed.notify_all();
    }

    /// Refuses the next request of a kind.
    pub(crate) fn refuse_at(&self, method: &str) {
        self.shared.state().refused = Some(method.to_owned());
    }

    /// Makes a directory an encryption zone.
    pub(crate) fn encrypt(&self, dir: &str) {
        self.shared.state().zone = Some(dir.to_owned());
    }

    /// Sets the length of a block of a file that a client is writing.
    pub(crate) fn grow(&self, path: &str, len: u64) {
        self.shared.state().files.get_mut(path).unwrap().len = len;
    }

    /// Whether a file or directory exists.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.shared.state().files.contains_key(path)
    }
}

impl Drop for FakeNameNodes {
    fn drop(&mut self) {
        self.shared.state().is_over = true;
        self.shared.changed.notify_all();
        // Wakes the listeners.
        self.addresses.iter().for_each(|address| drop(TcpStream::connect(address)));
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Waits as long as a name node is silent.
    fn wait(&self, node: usize) {
        let waits = |state: &mut State| state.is_silent[node] && !state.is_over;
        drop(self.changed.wait_while(self.state(), waits).unwrap());
    }

    /// Answers the requests of a connection.
    fn serve(&self, node: usize, mut stream: TcpStream) -> io::Result<()> {
        self.wait(node);
        let mut word = [0; 4];
        stream.read_exact(&mut word)?;
        if word != *b"hrpc" {
            return stream.write_all(b"HTTP/1.1 404 Not Found\r\n\r\n");
        }
        stream.read_exact(&mut [0; 3])?;
        read_message(&mut stream)?;
        loop {
            let request = read_message(&mut stream)?;
            self.wait(node);
            let answer = self.answer(node, &request);
            // It may have become silent.
            self.wait(node);
            let Some(answer) = answer else { return Ok(()) };
            stream.write_all(&answer)?;
        }
    }

    /// Returns the answer to a request, if any.
    fn answer(&self, node: usize, request: &[u8]) -> Option<Vec<u8>> {
        let mut rest = request;
        let [header, named, body] = [(); 3].map(|()| Fields::of(take_message(&mut rest)));
        let call = header.number(3) / 2;
        let method = named.text(1);
        let mut state = self.state();
        if node != state.active {
            return Some(refusal(call, STANDBY));
        }
        match state.last_request.take_if(|(last, _)| *last == method) {
            Some((_, is_made)) => {
                if is_made {
                    let _ = state.carry_out(&method, &body);
                }
                state.is_silent[node] = true;
                state.active = 1 - node;
                None
            }
            None => Some(match state.carry_out(&method, &body) {
                Ok(answer) => success(call, &answer),
                Err(refused) => refusal(call, refused),
            }),
        }
    }
}

impl State {
    fn carry_out(&mut self, method: &str, body: &Fields) -> Result<Vec<u8>, Refusal> {
        if self.refused.take_if(|refused| *refused == method).is_some() {
            return Err(SAFE_MODE);
        }
        let path = body.text(1);
        let found = self.files.get(&path).cloned();
        match method {
            "renewLease" => Ok(Vec::new()),
            "getServerDefaults" => {
                let defaults = [(1, 128 << 20), (2, 512), (3, 65_536), (4, 1), (5, 4096)];
                let defaults = defaults.map(|(tag, value)| number(tag, value)).concat();
                Ok(bytes(1, &defaults))
            }
            "getFileInfo" => Ok(found.map_or_else(Vec::new, |file| bytes(1, &file.status()))),
            "getBlockLocations" => {
                found.ok_or(MISSING)?;
                // A `LocatedBlocksProto`.
                let mut blocks = [number(1, 0), number(3, 0), number(5, 1)].concat();
                if self.is_encrypted(&path) {
                    blocks.extend(bytes(6, &ENCRYPTION));
                }
                Ok(bytes(1, &blocks))
            }
            "mkdirs" => {
                let ends = path.match_indices('/').map(|(at, _)| at).skip(1).chain([path.len()]);
                for end in ends.collect::<Vec<_>>() {
                    self.add(&path[..end], true, None);
                }
                Ok(number(1, 1))
            }
            "create" => {
                let (holder, overwrites) = (body.text(3), body.number(4) & 2 != 0);
                match found {
                    Some(file) if !overwrites && file.holder.as_ref() == Some(&holder) => Err(OPEN_HERE),
                    Some(_) if !overwrites => Err(EXISTS),
                    _ if !self.files.contains_key(path.rsplit_once('/').unwrap().0) => Err(MISSING),
                    _ => {
                        self.files.remove(&path);
                        let mut status = self.add(&path, false, Some(holder)).status();
                        if self.is_encrypted(&path) {
                            status.extend(bytes(15, &ENCRYPTION));
                        }
                        Ok(bytes(1, &status))
                    }
                }
            }
            "append" => {
                let (holder, mut file) = (body.text(2), found.ok_or(MISSING)?);
                match file.holder.replace(holder.clone()) {
                    Some(other) if other == holder => return Err(OPEN_HERE),
                    Some(_) => return Err(OPEN_ELSEWHERE),
                    None => {}
                }
                self.files.insert(path, file.clone());
                Ok(bytes(2, &file.status()))
            }
            "fsync" | "complete" => {
                // It may have been moved.
                let id = body.number(4);
                let mut files = self.files.iter().filter(|(_, file)| file.id == id);
                let (path, file) =
                    files.next().map(|(path, file)| (path.clone(), file.clone())).ok_or(MISSING)?;
                if file.holder.is_some_and(|holder| holder != body.text(2)) {
                    return Err(NO_LEASE);
                }
                match method {
                    "complete" => self.files.get_mut(&path).unwrap().holder = None,
                    _ if self.files[&path].holder.is_none() => return Err(NO_LEASE),
                    _ => return Ok(Vec::new()),
                }
                Ok(number(1, 1))
            }
            "rename2" => {
                let (file, to) = (found.ok_or(MISSING)?, body.text(2));
                if self.files.contains_key(&to) && body.number(3) == 0 {
                    return Err(EXISTS);
                }
                let below = format!("{path}/");
                let inner = self.files.keys().filter(|inner| inner.starts_with(&below)).cloned();
                for inner in inner.collect::<Vec<_>>() {
                    let file = self.files.remove(&inner).unwrap();
                    self.files.insert(format!("{to}{}", &inner[path.len()..]), file);
                }
                self.files.remove(&path);
                self.files.insert(to, file);
                Ok(Vec::new())
            }
            "delete" => Ok(number(1, u64::from(self.files.remove(&path).is_some()))),
            "recoverLease" => {
                self.files.get_mut(&path).ok_or(MISSING)?.holder = None;
                Ok(number(1, 1))
            }
            _ => Err(UNSUPPORTED),
        }
    }

    fn is_encrypted(&self, path: &str) -> bool {
        self.zone.as_ref().is_some_and(|zone| path.starts_with(zone.as_str()))
    }

    /// Adds a file or directory, unless it exists.
    fn add(&mut self, path: &str, is_dir: bool, holder: Option<String>) -> File {
        self.last_id += 1;
        let file = File { id: self.last_id, is_dir, holder, len: 0 };
        self.files.entry(path.to_owned()).or_insert(file).clone()
    }
}

impl File {
    /// Returns its `HdfsFileStatusProto`.
    fn status(&self) -> Vec<u8> {
        let kind = number(1, if self.is_dir { 1 } else { 2 });
        let [len, time, id] = [number(3, self.len), number(7, self.id), number(13, self.id)];
        [kind, bytes(2, b""), len, bytes(4, &number(1, 0o644)), time, id].concat()
    }
}

/// The fields of a message, by tag.
struct Fields(BTreeMap<u64, (u64, Vec<u8>)>);

impl Fields {
    fn of(mut message: &[u8]) -> Self {
        let mut fields = BTreeMap::new();
        while !message.is_empty() {
            let tag = take_number(&mut message);
            let field = match tag & 7 {
                0 => (take_number(&mut message), Vec::new()),
                2 => (0, take_message(&mut message).to_vec()),
                kind => panic!("a field of the kind {kind}"),
            };
            fields.insert(tag >> 3, field);
        }
        Self(fields)
    }

    fn number(&self, tag: u64) -> u64 {
        self.0.get(&tag).map_or(0, |(number, _)| *number)
    }

    fn text(&self, tag: u64) -> String {
        self.0.get(&tag).map_or_else(String::new, |(_, text)| String::from_utf8(text.clone()).unwrap())
    }
}

fn take_number(from: &mut &[u8]) -> u64 {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = from.split_first().unwrap();
        *from = rest;
        number |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            break;
        }
    }
    number
}

/// Takes a message with a length prefix.
fn take_message<'m>(from: &mut &'m [u8]) -> &'m [u8] {
    let len = usize::try_from(take_number(from)).unwrap();
    let (message, rest) = from.split_at(len);
    *from = rest;
    message
}

fn put_number(to: &mut Vec<u8>, mut number: u64) {
    while number > 0x7F {
        to.push((number & 0x7F) as u8 | 0x80);
        number >>= 7;
    }
    to.push((number & 0x7F) as u8);
}

/// Returns a field with a number.
fn number(tag: u64, number: u64) -> Vec<u8> {
    let mut field = Vec::new();
    put_number(&mut field, tag << 3);
    put_number(&mut field, number);
    field
}

/// Returns a field with bytes or a message.
fn bytes(tag: u64, bytes: &[u8]) -> Vec<u8> {
    let mut field = Vec::new();
    put_number(&mut field, tag << 3 | 2);
    put_number(&mut field, bytes.len() as u64);
    field.extend(bytes);
    field
}

fn success(call: u64, answer: &[u8]) -> Vec<u8> {
    whole(&[&[number(1, call), number(2, 0)].concat(), answer])
}

fn refusal(call: u64, (class, text): Refusal) -> Vec<u8> {
    let fields = [number(1, call), number(2, 1), bytes(4, class.as_bytes()), bytes(5, text.as_bytes())];
    whole(&[&fields.concat()])
}

/// Returns messages, each with its length, after their total length.
fn whole(messages: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::new();
    for message in messages {
        put_number(&mut all, message.len() as u64);
        all.extend(*message);
    }
    [&u32::try_from(all.len()).unwrap().to_be_bytes()[..], &all].concat()
}

fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut len = [0; 4];
    stream.read_exact(&mut len)?;
    let mut message = vec![0; u32::from_be_bytes(len) as usize];
    stream.read_exact(&mut message)?;
    Ok(message)
}
