//! A bucket with S3's interface that serves the files of a test, accepts new ones, and misbehaves as
//! configured.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, BufRead, BufReader, Read as _, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How the server answers a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Correctly.
    Good,
    /// With this status, and credentials in the body.
    Fails(u16),
    /// Never.
    Hangs,
    /// With half of the body, then it closes the connection.
    Cuts,
    /// With half of the body, as if that were all.
    Halves,
    /// With the bytes after the requested ones, declared as such.
    WrongRange,
    /// With the whole file.
    IgnoresRange,
    /// With any version, whatever the request demands.
    IgnoresMatch,
    /// Without an ETag and the time of the last change.
    NoVersion,
    /// Byte by byte, with pauses.
    Drips,
    /// With a redirect to the same URL.
    Redirects,
    /// With a redirect to the same path at another port.
    RedirectsTo(u16),
    /// With a redirect to a link-local address, to which no packet can be sent.
    RedirectsAway,
    /// With a redirect to the same URL, after which a client sends a read.
    RedirectsToRead,
    /// With S3's error for a request whose bytes arrive too slowly.
    TimesOut,
    /// With S3's error for a request that exceeds the rate of requests.
    Throttles,
    /// With a body that does not end.
    Endless,
    /// With an error whose body does not end.
    EndlessError,
    /// With a page that says that more follow, but not how to get them.
    CutPage,
    /// With the first page repeatedly.
    RepeatsPage,
    /// With a page without entries, after which more follow.
    EmptyPage,
    /// As a web server with WebDAV.
    ListsDirectories,
    /// With a last page that has an empty token for the next one.
    EmptyToken,
    /// With an error instead of a page, and the status of success.
    ErrorPage,
    /// Not at all: closes the connection.
    Drops,
    /// Correctly, but closes the connection before the answer.
    DropsAfter,
    /// Correctly, but answers with this status.
    FailsAfter(u16),
    /// Correctly, but never answers.
    HangsAfter,
    /// Correctly, when it is [released](FakeS3::release).
    Waits,
}

#[derive(Clone, Debug)]
struct Object {
    bytes: Vec<u8>,
    tag: String,
    /// The headers of its metadata.
    metadata: Vec<(String, String)>,
}

/// An object that is uploaded in parts.
#[derive(Debug)]
struct Upload {
    key: String,
    metadata: Vec<(String, String)>,
    parts: BTreeMap<u64, Vec<u8>>,
}

/// How a server handles the conditions of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Conditions {
    Knows,
    Ignores,
    Refuses,
    /// It refuses conditions of requests that complete uploads, and supports the others.
    OfPuts,
}

#[derive(Debug, Default)]
struct Shared {
    objects: Mutex<BTreeMap<String, Object>>,
    manners: Mutex<VecDeque<Manner>>,
    asked: Mutex<Vec<String>>,
    sent: AtomicU64,
    tags: AtomicU64,
    page: AtomicU64,
    stopped: AtomicBool,
    uploads: Mutex<BTreeMap<u64, Upload>>,
    conditions: Mutex<Option<Conditions>>,
    /// The number of requests until all connections are closed, and whether the last one is carried out.
    left: Mutex<Option<(u64, bool)>>,
    /// Whether waiting requests may continue, and how many wait.
    is_released: AtomicBool,
    waiting: AtomicU64,
    largest: AtomicU64,
}

/// A server on its own port, with one bucket named `bucket`. It stops when dropped.
#[derive(Debug)]
pub(crate) struct FakeS3 {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Request {
    method: String,
    /// The path and the query as sent.
    target: String,
    /// Without the bucket.
    key: String,
    query: BTreeMap<String, String>,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl FakeS3 {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        shared.page.store(1000, Ordering::Relaxed);
        let serving = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if serving.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (Ok(stream), shared) = (stream, Arc::clone(&serving)) else { continue };
                // A client that disconnects ends its connection.
                thread::spawn(move || drop(serve(&stream, &shared)));
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Starts another server with the same objects.
    pub(crate) fn copy(&self) -> Self {
        let copy = Self::start();
        let objects = self.shared.objects.lock().unwrap().clone();
        *copy.shared.objects.lock().unwrap() = objects;
        copy.shared.tags.store(self.shared.tags.load(Ordering::Relaxed), Ordering::Relaxed);
        copy
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Puts an object, or replaces it.
    pub(crate) fn put(&self, key: &str, bytes: Vec<u8>) {
        let tag = self.shared.tags.fetch_add(1, Ordering::Relaxed).to_string();
        let object = Object { bytes, tag, metadata: Vec::new() };
        self.shared.objects.lock().unwrap().insert(key.to_owned(), object);
    }

    pub(crate) fn remove(&self, key: &str) {
        self.shared.objects.lock().unwrap().remove(key);
    }

    /// Puts all files below a directory. An empty directory is marked by an object whose name ends
    /// with a slash.
    pub(crate) fn upload(&self, key: &str, dir: &Path) {
        let mut is_empty = true;
        for entry in fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let below = format!("{key}/{}", entry.file_name().to_str().unwrap());
            is_empty = false;
            if entry.path().is_dir() {
                self.upload(&below, &entry.path());
            } else {
                self.put(&below, fs::read(entry.path()).unwrap());
            }
        }
        if is_empty {
            self.put(&format!("{key}/"), Vec::new());
        }
    }

    /// Writes all objects below a key to a directory.
    pub(crate) fn download(&self, key: &str, dir: &Path) {
        for (name, object) in &*self.shared.objects.lock().unwrap() {
            if let Some(below) = name.strip_prefix(key).and_then(|below| below.strip_prefix('/')) {
                fs::create_dir_all(dir.join(below).parent().unwrap()).unwrap();
                fs::write(dir.join(below), &object.bytes).unwrap();
            }
        }
    }

    /// Returns the keys of all objects.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.shared.objects.lock().unwrap().keys().cloned().collect()
    }

    /// Returns the number of uploads that are neither complete nor aborted.
    pub(crate) fn uploads(&self) -> usize {
        self.shared.uploads.lock().unwrap().len()
    }

    /// Returns the length of the longest body of a request.
    pub(crate) fn largest_body(&self) -> u64 {
        self.shared.largest.load(Ordering::Relaxed)
    }

    pub(crate) fn set_conditions(&self, conditions: Conditions) {
        *self.shared.conditions.lock().unwrap() = Some(conditions);
    }

    /// Closes all connections from the `requests`th request on, as if the client were killed. That request is
    /// carried out if `is_made`.
    pub(crate) fn die_at(&self, requests: u64, is_made: bool) {
        *self.shared.left.lock().unwrap() = Some((requests, is_made));
    }

    /// Serves requests again. Returns whether any was refused.
    pub(crate) fn revive(&self) -> bool {
        self.shared.left.lock().unwrap().take().is_some_and(|(left, _)| left == 0)
    }

    /// Returns whether a request [waits](Manner::Waits).
    pub(crate) fn has_waiting(&self) -> bool {
        self.shared.waiting.load(Ordering::SeqCst) > 0
    }

    /// Lets waiting requests continue.
    pub(crate) fn release(&self) {
        self.shared.is_released.store(true, Ordering::SeqCst);
    }

    /// Sets how the next requests are answered, one each; later ones are answered correctly.
    pub(crate) fn behave(&self, manners: impl IntoIterator<Item = Manner>) {
        *self.shared.manners.lock().unwrap() = manners.into_iter().collect();
    }

    /// Sets the number of entries of a page.
    pub(crate) fn page(&self, entries: u64) {
        self.shared.page.store(entries, Ordering::Relaxed);
    }

    /// Returns the requests since the last call, and the number of bytes of the answers.
    pub(crate) fn take_asked(&self) -> (Vec<String>, u64) {
        let asked = std::mem::take(&mut *self.shared.asked.lock().unwrap());
        (asked, self.shared.sent.swap(0, Ordering::Relaxed))
    }
}

impl Drop for FakeS3 {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        // The connection only wakes the thread.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

impl Shared {
    /// Counts a request. Returns how it is answered: not at all after the simulated death of the client.
    fn until_death(&self, manner: Manner) -> Manner {
        let mut left = self.left.lock().unwrap();
        let Some((left, is_made)) = left.as_mut() else { return manner };
        *left = left.saturating_sub(1);
        match (*left, std::mem::take(is_made)) {
            (0, true) => Manner::DropsAfter,
            (0, false) => Manner::Drops,
            (_, at_last) => {
                *is_made = at_last;
                manner
            }
        }
    }
}

fn serve(stream: &TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream);
    while let Some(request) = read_request(&mut input)? {
        let range = request.headers.get("range").cloned().unwrap_or_default();
        let asked = format!("{} {} {:?} {range}", request.method, request.key, request.query);
        shared.asked.lock().unwrap().push(asked);
        shared.largest.fetch_max(request.body.len() as u64, Ordering::Relaxed);
        let manner = shared.manners.lock().unwrap().pop_front().unwrap_or(Manner::Good);
        let manner = shared.until_death(manner);
        match manner {
            Manner::Hangs => return hang(shared),
            Manner::Drops => return Ok(()),
            Manner::Waits => {
                shared.waiting.fetch_add(1, Ordering::SeqCst);
                while !shared.is_released.load(Ordering::SeqCst) && !shared.stopped.load(Ordering::Relaxed) {
                    thread::sleep(Duration::from_millis(2));
                }
                shared.waiting.fetch_sub(1, Ordering::SeqCst);
            }
            Manner::Drips => return drip(stream, &request, shared),
            Manner::Endless | Manner::EndlessError => return endless(stream, &request, manner, shared),
            _ => {}
        }
        let (status, headers, body) = answer(&request, manner, shared);
        let (status, headers, body) = match manner {
            Manner::DropsAfter => return Ok(()),
            Manner::HangsAfter => return hang(shared),
            Manner::FailsAfter(status) => (status, Vec::new(), Vec::new()),
            _ => (status, headers, body),
        };
        let mut message = head(status, &headers, body.len());
        if request.method != "HEAD" {
            let sent = if manner == Manner::Cuts { body.len() / 2 } else { body.len() };
            message.extend_from_slice(&body[..sent]);
            shared.sent.fetch_add(sent as u64, Ordering::Relaxed);
        }
        let mut stream = stream;
        stream.write_all(&message)?;
        if manner == Manner::Cuts {
            return Ok(());
        }
    }
    Ok(())
}

/// Keeps a connection open without an answer.
fn hang(shared: &Shared) -> io::Result<()> {
    while !shared.stopped.load(Ordering::Relaxed) {
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

/// Sends a body byte by byte until the client closes the connection.
fn drip(mut stream: &TcpStream, request: &Request, shared: &Shared) -> io::Result<()> {
    let (status, headers, body) = answer(request, Manner::Good, shared);
    stream.write_all(&head(status, &headers, body.len()))?;
    for byte in body {
        if shared.stopped.load(Ordering::Relaxed) {
            break;
        }
        stream.write_all(&[byte])?;
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

fn head(status: u16, headers: &[(impl AsRef<str>, String)], len: usize) -> Vec<u8> {
    let mut head = format!("HTTP/1.1 {status} x\r\nContent-Length: {len}\r\n");
    headers.iter().for_each(|(name, value)| {
        write!(head, "{}: {value}\r\n", name.as_ref()).unwrap();
    });
    (head + "\r\n").into_bytes()
}

/// Sends a body without an end until the client closes the connection.
fn endless(mut stream: &TcpStream, request: &Request, manner: Manner, shared: &Shared) -> io::Result<()> {
    let status = match (manner, request.headers.contains_key("range")) {
        (Manner::EndlessError, _) => 400,
        (_, true) => 206,
        (_, false) => 200,
    };
    let len = shared.objects.lock().unwrap().get(&request.key).map_or(0, |object| object.bytes.len());
    let range = request.headers.get("range").and_then(|range| parse_range(range, len)).unwrap_or((0, len));
    let mut head = format!("HTTP/1.1 {status} x\r\nTransfer-Encoding: chunked\r\nETag: \"0\"\r\n");
    write!(head, "Last-Modified: {MODIFIED}\r\n").unwrap();
    write!(head, "Content-Range: bytes {}-{}/{len}\r\n\r\n", range.0, range.1.saturating_sub(1)).unwrap();
    stream.write_all(head.as_bytes())?;
    let mut chunk = b"10000\r\n".to_vec();
    chunk.resize(chunk.len() + 0x10000, b'x');
    chunk.extend_from_slice(b"\r\n");
    while !shared.stopped.load(Ordering::Relaxed) {
        stream.write_all(&chunk)?;
        shared.sent.fetch_add(0x10000, Ordering::Relaxed);
    }
    Ok(())
}

fn read_request(input: &mut BufReader<&TcpStream>) -> io::Result<Option<Request>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if input.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let mut first = lines.first().map_or("", String::as_str).split(' ');
    let (method, target) = (first.next().unwrap_or_default(), first.next().unwrap_or_default());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let path = decoded(path);
    let key = path.strip_prefix("/bucket").unwrap_or(&path).trim_start_matches('/').to_owned();
    let query = query.split('&').map(|part| part.split_once('=').unwrap_or((part, "")));
    // In queries, spaces may be sent in this form.
    let query = query.map(|(name, value)| (name.to_owned(), decoded(&value.replace('+', " ")))).collect();
    let headers = lines.iter().skip(1).filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()));
    let headers: BTreeMap<String, String> = headers.collect();
    let len = headers.get("content-length").map_or(0, |len| len.parse().unwrap());
    let (method, target, mut body) = (method.to_owned(), target.to_owned(), vec![0; len]);
    input.read_exact(&mut body)?;
    Ok(Some(Request { method, target, key, query, headers, body }))
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(|_| byte == b'%') {
            Some(decoded) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            None => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}

const MODIFIED: &str = "Mon, 01 Jan 2024 00:00:00 GMT";

type Answer = (u16, Vec<(String, String)>, Vec<u8>);

fn named(headers: Vec<(&str, String)>) -> Vec<(String, String)> {
    headers.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Carries out a request that changes objects.
fn change(request: &Request, shared: &Shared) -> Answer {
    let mut uploads = shared.uploads.lock().unwrap();
    let upload = request.query.get("uploadId").map(|id| id.parse::<u64>().unwrap());
    let xml = |text: String| (200, Vec::new(), text.into_bytes());
    match (request.method.as_str(), upload) {
        ("POST", None) => {
            assert!(request.query.contains_key("uploads"), "{}", request.target);
            let id = shared.tags.fetch_add(1, Ordering::Relaxed);
            let (key, metadata) = (request.key.clone(), metadata_of(request));
            uploads.insert(id, Upload { key, metadata, parts: BTreeMap::new() });
            xml(format!(
                "<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"
            ))
        }
        ("PUT", Some(id)) => {
            let Some(upload) = uploads.get_mut(&id) else { return (404, Vec::new(), Vec::new()) };
            upload.parts.insert(request.query["partNumber"].parse().unwrap(), request.body.clone());
            (200, named(vec![("ETag", tag_of(&request.body))]), Vec::new())
        }
        ("POST", Some(id)) => {
            let mut objects = shared.objects.lock().unwrap();
            if let Some(refusal) = refusal(request, objects.get(&request.key), shared) {
                return refusal;
            }
            let Some(Upload { key, metadata, parts }) = uploads.remove(&id) else {
                return (404, Vec::new(), Vec::new());
            };
            let bytes: Vec<u8> = parts.into_values().flatten().collect();
            let tag = tag_of(&bytes).replace('"', "") + "-2";
            let result = format!("<CompleteMultipartUploadResult><ETag>\"{tag}\"</ETag>");
            objects.insert(key, Object { bytes, tag, metadata });
            xml(result + "</CompleteMultipartUploadResult>")
        }
        ("DELETE", Some(id)) => {
            uploads.remove(&id);
            (204, Vec::new(), Vec::new())
        }
        ("DELETE", None) => {
            shared.objects.lock().unwrap().remove(&request.key);
            (204, Vec::new(), Vec::new())
        }
        _ => put(request, shared),
    }
}

/// Creates an object from a request's body, if its condition is met.
fn put(request: &Request, shared: &Shared) -> Answer {
    let mut objects = shared.objects.lock().unwrap();
    if let Some(refusal) = refusal(request, objects.get(&request.key), shared) {
        return refusal;
    }
    let (bytes, tag) = (request.body.clone(), tag_of(&request.body));
    let object = Object { bytes, tag: tag.replace('"', ""), metadata: metadata_of(request) };
    objects.insert(request.key.clone(), object);
    (200, named(vec![("ETag", tag)]), Vec::new())
}

/// Returns the answer to a request whose condition is not met, or not supported.
fn refusal(request: &Request, found: Option<&Object>, shared: &Shared) -> Option<Answer> {
    let conditions = shared.conditions.lock().unwrap().unwrap_or(Conditions::Knows);
    let (is_new, same) = (request.headers.get("if-none-match"), request.headers.get("if-match"));
    let is_of_upload = request.query.contains_key("uploadId");
    let found = found.map(|object| format!("\"{}\"", object.tag));
    let status = match conditions {
        _ if is_new.or(same).is_none() => return None,
        Conditions::Ignores => return None,
        Conditions::Refuses => 501,
        Conditions::OfPuts if is_of_upload => 501,
        _ if is_new.is_some() && found.is_some() => 412,
        _ if same.is_some() && found.is_none() => 404,
        _ if same.is_some() && found.as_ref() != same => 412,
        _ => return None,
    };
    Some((status, Vec::new(), Vec::new()))
}

/// Returns the ETag of bytes: as in S3, equal bytes have the same one.
fn tag_of(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

fn metadata_of(request: &Request) -> Vec<(String, String)> {
    let headers = request.headers.iter().filter(|(name, _)| name.starts_with("x-amz-meta-"));
    headers.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn answer(request: &Request, manner: Manner, shared: &Shared) -> Answer {
    if let Manner::Fails(status) = manner {
        let body = "<Error><Code>Trouble</Code><Key>s3cret</Key></Error>";
        return (status, Vec::new(), body.into());
    }
    match manner {
        Manner::Redirects => return (307, named(vec![("Location", request.target.clone())]), Vec::new()),
        Manner::RedirectsToRead => {
            return (303, named(vec![("Location", request.target.clone())]), Vec::new());
        }
        Manner::TimesOut => return (400, Vec::new(), b"<Error><Code>RequestTimeout</Code></Error>".to_vec()),
        Manner::Throttles => return (503, Vec::new(), b"<Error><Code>SlowDown</Code></Error>".to_vec()),
        Manner::RedirectsTo(port) => {
            let location = format!("http://127.0.0.1:{port}{}", request.target);
            return (307, named(vec![("Location", location)]), Vec::new());
        }
        Manner::RedirectsAway => {
            return (307, named(vec![("Location", "http://[fe80::1]/k".to_owned())]), Vec::new());
        }
        _ => {}
    }
    if request.method == "PROPFIND" {
        return match manner {
            Manner::ListsDirectories => directory(request, shared),
            // like most web servers
            _ => (405, Vec::new(), Vec::new()),
        };
    }
    if ["PUT", "POST", "DELETE"].contains(&request.method.as_str()) {
        return change(request, shared);
    }
    if request.query.contains_key("list-type") {
        return (200, Vec::new(), page(request, manner, shared).into_bytes());
    }
    let objects = shared.objects.lock().unwrap();
    let Some(object) = objects.get(&request.key) else { return (404, Vec::new(), Vec::new()) };
    let tag = format!("\"{}\"", object.tag);
    if request.headers.get("if-match").is_some_and(|wanted| *wanted != tag) && manner != Manner::IgnoresMatch
    {
        return (412, Vec::new(), Vec::new());
    }
    let mut headers = named(vec![("ETag", tag), ("Last-Modified", MODIFIED.to_owned())]);
    headers.extend(object.metadata.iter().cloned());
    if manner == Manner::NoVersion {
        headers.clear();
    }
    let len = object.bytes.len();
    let Some(range) = request.headers.get("range").filter(|_| manner != Manner::IgnoresRange) else {
        return (200, headers, object.bytes.clone());
    };
    let Some((mut start, mut end)) = parse_range(range, len) else { return (416, headers, Vec::new()) };
    if manner == Manner::WrongRange {
        (start, end) = ((start + 1).min(len - 1), (end + 1).min(len));
    }
    headers.push(("Content-Range".to_owned(), format!("bytes {start}-{}/{len}", end - 1)));
    let mut body = object.bytes[start..end].to_vec();
    if manner == Manner::Halves {
        body.truncate(body.len() / 2);
    }
    (206, headers, body)
}

fn parse_range(range: &str, len: usize) -> Option<(usize, usize)> {
    let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end: usize = end.parse().ok()?;
    let (start, end) = match start {
        "" => (len.saturating_sub(end), len),
        start => (start.parse().ok()?, (end + 1).min(len)),
    };
    (start < end).then_some((start, end))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

/// Returns a directory and what is in it, or a file.
fn directory(request: &Request, shared: &Shared) -> Answer {
    let objects = shared.objects.lock().unwrap();
    let below = format!("{}/", request.key);
    let mut found = BTreeSet::new();
    for (key, object) in objects.iter() {
        if *key == request.key {
            found.insert((key.clone(), Some(object.bytes.len())));
        } else if let Some(name) = key.strip_prefix(&below) {
            found.insert((below.clone(), None));
            match name.split_once('/') {
                Some((dir, _)) => _ = found.insert((format!("{below}{dir}/"), None)),
                None if name.is_empty() => {}
                None => _ = found.insert((key.clone(), Some(object.bytes.len()))),
            }
        }
    }
    if found.is_empty() {
        return (404, Vec::new(), Vec::new());
    }
    let mut text = "<D:multistatus xmlns:D=\"DAV:\">".to_owned();
    for (path, len) in found {
        let properties = match len {
            Some(len) => format!("<D:getcontentlength>{len}</D:getcontentlength><D:resourcetype/>"),
            None => "<D:resourcetype><D:collection/></D:resourcetype>".to_owned(),
        };
        let path = escaped(&path);
        write!(text, "<D:response><D:href>/bucket/{path}</D:href><D:propstat><D:prop>").unwrap();
        write!(text, "<D:getlastmodified>{MODIFIED}</D:getlastmodified>{properties}</D:prop>").unwrap();
        text += "<D:status>HTTP/1.1 200 OK</D:status></D:propstat></D:response>";
    }
    (207, Vec::new(), (text + "</D:multistatus>").into_bytes())
}

fn page(request: &Request, manner: Manner, shared: &Shared) -> String {
    if manner == Manner::ErrorPage {
        return "<Error><Code>InternalError</Code></Error>".to_owned();
    }
    if manner == Manner::EmptyPage {
        let next = "<NextContinuationToken>!</NextContinuationToken>";
        return format!("<ListBucketResult><IsTruncated>true</IsTruncated>{next}</ListBucketResult>");
    }
    let of = |name: &str| request.query.get(name).cloned().unwrap_or_default();
    let (prefix, delimiter, after) = (of("prefix"), of("delimiter"), of("continuation-token"));
    let after = if manner == Manner::RepeatsPage { String::new() } else { after };
    let most = shared.page.load(Ordering::Relaxed).min(of("max-keys").parse().unwrap_or(u64::MAX));
    let objects = shared.objects.lock().unwrap();
    let (mut text, mut count, mut last, mut more) = (String::new(), 0, String::new(), false);
    let mut seen = BTreeSet::new();
    for (key, object) in objects.iter().filter(|(key, _)| key.starts_with(&prefix)) {
        let inner = key[prefix.len()..].find('/').filter(|_| !delimiter.is_empty());
        let name = inner.map_or(key.as_str(), |at| &key[..prefix.len() + at + 1]);
        if name <= after.as_str() || !seen.insert(name) {
            continue;
        }
        if count == most {
            more = true;
            break;
        }
        (count, last) = (count + 1, name.to_owned());
        let shown = escaped(name);
        match inner {
            Some(_) => write!(text, "<CommonPrefixes><Prefix>{shown}</Prefix></CommonPrefixes>").unwrap(),
            None => {
                let (len, tag) = (object.bytes.len(), &object.tag);
                write!(text, "<Contents><Key>{shown}</Key><Size>{len}</Size><ETag>\"{tag}\"</ETag>").unwrap();
                text += "<LastModified>2024-01-01T00:00:00.000Z</LastModified></Contents>";
            }
        }
    }
    let more = more || manner == Manner::RepeatsPage;
    let token = if manner == Manner::RepeatsPage { "again".to_owned() } else { escaped(&last) };
    let next = match (manner, more) {
        (Manner::CutPage, _) => "<IsTruncated>true</IsTruncated>".to_owned(),
        (_, true) => {
            format!("<IsTruncated>true</IsTruncated><NextContinuationToken>{token}</NextContinuationToken>")
        }
        (Manner::EmptyToken, _) => {
            "<IsTruncated>false</IsTruncated><NextContinuationToken></NextContinuationToken>".to_owned()
        }
        (_, false) => "<IsTruncated>false</IsTruncated>".to_owned(),
    };
    let page = format!(
        "<ListBucketResult><Name>bucket</Name><KeyCount>{count}</KeyCount>{next}{text}</ListBucketResult>"
    );
    if manner == Manner::Halves { page[..page.len() / 2].to_owned() } else { page }
}
