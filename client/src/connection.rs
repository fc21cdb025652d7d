//! A connection to a server: many calls at a time over one socket (locator.md §8; HBase: `RpcConnection`).

pub(crate) mod peer;
#[cfg(test)]
pub(crate) mod tests;

use crate::call_id::CallIds;
use crate::cell_block::{CellBlock, CellCodec};
use crate::fault::Fault;
use crate::frame::{self, ResponseFrame};
#[cfg(feature = "kerberos")]
use crate::kerberos::{Choice, KerberosClient};
use crate::proto;
#[cfg(feature = "tls")]
use crate::tls::TlsClient;
use crate::transport::{Incoming, Outgoing, read_bytes};
use bytes::{Bytes, BytesMut};
use hregion::{Corruption, ErrorKind};
use peer::Peer;
use prost::Message;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::{AbortHandle, yield_now};
use tokio::time::timeout;

/// Settings shared by all connections.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionSettings {
    /// The user, if it is neither the process's nor the authenticated one.
    pub(crate) user: Option<String>,
    /// The number of connections to a service of a server (`hbase.client.ipc.pool.size`).
    pub(crate) per_server: usize,
    pub(crate) connect_timeout: Duration,
    /// The time for which a server that could not be reached is not tried again.
    pub(crate) failed_expiry: Duration,
    /// The maximum length of a response.
    pub(crate) max_response: usize,
    /// The form of cells requested from servers.
    pub(crate) cells: CellCodec,
    /// The time after which a connection without calls is closed (HBase:
    /// `hbase.ipc.client.connection.minIdleTimeBeforeClose`).
    pub(crate) idle: Duration,
    /// Whether the system probes connections on which nothing is sent (`hbase.ipc.client.tcpkeepalive`).
    pub(crate) keepalive: bool,
    /// Encrypts connections.
    #[cfg(feature = "tls")]
    pub(crate) tls: Option<TlsClient>,
    /// Authenticates connections.
    #[cfg(feature = "kerberos")]
    pub(crate) kerberos: Option<KerberosClient>,
}

impl ConnectionSettings {
    /// The name of a user that does not authenticate.
    fn simple_user(&self) -> String {
        let of_process = || std::env::var("USER").unwrap_or_else(|_| "hregion".to_owned());
        self.user.clone().unwrap_or_else(of_process)
    }
}

/// An answer to a call.
pub(crate) struct Answer<M> {
    pub(crate) message: M,
    pub(crate) cells: CellBlock,
}

/// An open connection. Closed when dropped.
#[derive(Debug)]
pub(crate) struct Connection {
    shared: Arc<Shared>,
    requests: mpsc::Sender<Request>,
    /// The form of the cells of responses, and their maximum length when decompressed.
    cells: (CellCodec, usize),
}

/// A request of a call, by its id.
type Request = (u32, Bytes);

#[derive(Debug)]
struct Shared {
    /// `host:port`, for messages.
    server: String,
    call_ids: CallIds,
    /// The tasks that read and write.
    tasks: OnceLock<[AbortHandle; 2]>,
    /// Changes whenever something arrives.
    arrived: Arc<AtomicU64>,
    pending: Mutex<Pending>,
    /// The ids of the last scanners that were opened.
    scanners: Mutex<VecDeque<u64>>,
    /// The class with which servers compress cells.
    compressor: Option<&'static str>,
    /// Whether a response has arrived, and one with cells.
    has_answers: AtomicBool,
    has_cells: AtomicBool,
}

/// A task of a connection, without which no responses arrive: its end fails the waiting calls, even if it
/// panics, or ends with its runtime while another one uses the connection.
struct Task(Arc<Shared>);

impl Drop for Task {
    fn drop(&mut self) {
        let error = io::Error::new(io::ErrorKind::ConnectionAborted, "the connection's task has ended");
        self.0.fail(Fault::gone(&self.0.server, &error));
    }
}

/// The calls that wait for an answer.
#[derive(Debug, Default)]
struct Pending {
    calls: HashMap<u32, Waiting>,
    /// The reason that the connection can no longer be used.
    broken: Option<Fault>,
    /// The number of bytes that had arrived, and the time, when the first still unanswered call was made.
    silence: Option<(u64, Instant)>,
    /// Whether further calls must use another connection.
    is_retired: bool,
    /// When the last call was made.
    used: Option<Instant>,
}

/// A call that waits for an answer.
#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Result<ResponseFrame, Fault>>,
    /// Whether the request may have reached the server.
    is_sent: bool,
}

/// Requests that wait to be sent; more calls wait for these.
const QUEUE: usize = 64;
/// After a call without a response, the next one uses another connection if nothing has arrived for this
/// long: the peer may be unreachable, which the system detects only after many minutes. HBase's client does
/// not do this.
const SILENCE: Duration = Duration::from_secs(1);
/// The time without calls after which a server may have closed the connection, while this process did nothing
/// that would have noticed it.
pub(crate) const UNUSED: Duration = Duration::from_secs(1);
/// The number of yields after which a runtime has polled for arrived data.
const TURNS: usize = 3;
/// The bytes of requests that are copied, to be sent in one write.
const TOGETHER: usize = 64 << 10;
/// The number of scanners whose ids are kept: more than the calls that are answered late.
const SCANNERS: usize = 128;
/// A call id for the connection itself: -1.
pub(crate) const NO_CALL: u32 = u32::MAX;

impl Connection {
    /// Connects to a server's service.
    pub(crate) async fn open(
        host: &str,
        port: u16,
        service: &str,
        settings: &ConnectionSettings,
    ) -> Result<Self, Fault> {
        let server = format!("{host}:{port}");
        let peer = Peer {
            server: &server,
            host,
            port,
            service,
            #[cfg(feature = "kerberos")]
            choice: Choice::default(),
        };
        let connecting = async {
            let opened = peer.connect(settings).await;
            #[cfg(feature = "kerberos")]
            let opened = peer.connect_again(opened, settings).await;
            opened
        };
        let opened = timeout(settings.connect_timeout, connecting).await;
        let opened: io::Result<Self> = opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        opened.map_err(|error| Fault::gone(&server, &error))
    }

    /// Starts the tasks of a connection on which the header has been sent.
    fn over(
        server: String,
        read: impl Incoming,
        write: impl Outgoing,
        arrived: Arc<AtomicU64>,
        settings: &ConnectionSettings,
    ) -> Self {
        let shared = Arc::new(Shared {
            server,
            call_ids: CallIds::default(),
            tasks: OnceLock::new(),
            arrived,
            pending: Mutex::new(Pending::default()),
            scanners: Mutex::default(),
            compressor: settings.cells.compressor(),
            has_answers: AtomicBool::new(false),
            has_cells: AtomicBool::new(false),
        });
        let (requests, queue) = mpsc::channel(QUEUE);
        let (max_response, idle) = (settings.max_response, settings.idle);
        let reader = tokio::spawn({
            let task = Task(Arc::clone(&shared));
            async move {
                let fault = task.0.read_responses(read, max_response).await;
                task.0.fail(fault);
            }
        });
        let writer = tokio::spawn({
            let (task, mut write) = (Task(Arc::clone(&shared)), write);
            async move {
                match task.0.write_requests(&mut write, queue, idle).await {
                    // also closes a TLS session; an error means that the server has closed the connection
                    Ok(()) => drop(write.end().await),
                    Err(error) => task.0.fail(Fault::gone(&task.0.server, &error)),
                }
                // the server need not close its side
                task.0.close();
            }
        });
        let tasks = [reader.abort_handle(), writer.abort_handle()];
        if shared.tasks.set(tasks).is_ok() && shared.pending().broken.is_some() {
            shared.close();
        }
        let cells = (settings.cells, max_response);
        Self { shared, requests, cells }
    }

    /// Whether calls can be made.
    pub(crate) fn is_open(&self) -> bool {
        let pending = self.shared.pending();
        pending.broken.is_none() && !pending.is_retired
    }

    pub(crate) fn server(&self) -> &str {
        &self.shared.server
    }

    /// Calls a method, and returns its answer. If the future is dropped, the answer is ignored.
    ///
    /// # Errors
    ///
    /// The fault records if the request was [not sent](Fault::is_unsent), because the connection had ended
    /// before, or accepted no request in time.
    pub(crate) async fn call<M: Message + Default>(
        &self,
        method: &'static str,
        param: &impl Message,
        priority: Option<u32>,
        time: Duration,
    ) -> Result<Answer<M>, Fault> {
        let shared = &*self.shared;
        let millis = u32::try_from(time.as_millis()).unwrap_or(u32::MAX).max(1);
        let call_id = shared.call_ids.next();
        let header = proto::RequestHeader {
            call_id: Some(call_id),
            method_name: Some(method.to_owned()),
            request_param: Some(true),
            priority,
            timeout: Some(millis),
        };
        if shared.is_unused() {
            // the end of the connection is noticed before a request is lost with it
            for _ in 0..TURNS {
                yield_now().await;
            }
        }
        let (sender, answer) = oneshot::channel();
        shared.add(call_id, sender)?;
        let _pending = PendingCall { shared, call_id };
        let exchange = async {
            // if the connection is closed in the meantime, so is the other channel
            if self.requests.send((call_id, frame::request(&header, param))).await.is_err() {
                return Err(shared.broken().of_unsent());
            }
            answer.await.unwrap_or_else(|_| Err(shared.broken()))
        };
        let frame = match timeout(time, exchange).await {
            Ok(frame) => frame?,
            Err(_) => {
                shared.retire_if_silent();
                let fault = Fault::no_answer(&shared.server, &self.asked(method));
                return Err(if shared.forget(call_id) { fault } else { fault.of_unsent() });
            }
        };
        if let Some(exception) = &frame.exception {
            return Err(Fault::of_exception(&shared.server, exception));
        }
        let (codec, max) = self.cells;
        if frame.has_cells() {
            shared.has_cells.store(true, Ordering::Relaxed);
        }
        let decoded = frame.decode(codec, max);
        let (message, cells) = decoded.map_err(|corruption| self.give_up(&corruption))?;
        Ok(Answer { message, cells })
    }

    /// Names a likely reason for a missing response. A server whose compressor lacks a library fails when it
    /// compresses the first cells, and sends nothing.
    fn asked(&self, method: &str) -> String {
        match self.shared.compressor {
            Some(class) if !self.shared.has_cells.load(Ordering::Relaxed) => {
                format!("{method}, whose cells are to be compressed by {class},")
            }
            _ => method.to_owned(),
        }
    }

    /// Whether none of the last scanners that were opened had this id. Servers give an id to one scanner
    /// only.
    pub(crate) fn is_new_scanner(&self, id: u64) -> bool {
        let mut scanners = self.shared.scanners.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = !scanners.contains(&id);
        if scanners.len() >= SCANNERS {
            scanners.pop_front();
        }
        scanners.push_back(id);
        is_new
    }

    /// Closes the connection because of an invalid answer. One that is only too long is not.
    pub(crate) fn give_up(&self, corruption: &Corruption) -> Fault {
        let fault = Fault::corrupt(&self.shared.server, corruption);
        if !matches!(corruption, Corruption::Limit { .. }) {
            self.shared.fail(fault.clone());
        }
        fault
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.close();
    }
}

/// Forgets a call when its caller no longer waits.
struct PendingCall<'a> {
    shared: &'a Shared,
    call_id: u32,
}

impl Drop for PendingCall<'_> {
    fn drop(&mut self) {
        self.shared.pending().calls.remove(&self.call_id);
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Pending> {
        // no code that panics runs with the lock
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether no call waits, and the last one was made some time ago.
    fn is_unused(&self) -> bool {
        let pending = self.pending();
        pending.calls.is_empty() && pending.used.is_some_and(|used| used.elapsed() >= UNUSED)
    }

    fn add(&self, call_id: u32, answer: oneshot::Sender<Result<ResponseFrame, Fault>>) -> Result<(), Fault> {
        let mut pending = self.pending();
        match &pending.broken {
            Some(fault) => Err(fault.clone().of_unsent()),
            None => {
                let arrived = self.arrived.load(Ordering::Relaxed);
                if pending.silence.is_none_or(|(before, _)| before != arrived) {
                    pending.silence = Some((arrived, Instant::now()));
                }
                pending.used = Some(Instant::now());
                pending.calls.insert(call_id, Waiting { answer, is_sent: false });
                Ok(())
            }
        }
    }

    /// Forgets a call. Its request is not sent later if it has not been sent yet. Returns whether it was
    /// sent.
    fn forget(&self, call_id: u32) -> bool {
        self.pending().calls.remove(&call_id).is_none_or(|call| call.is_sent)
    }

    /// Leaves the connection to the calls that still wait, if nothing more arrives.
    fn retire_if_silent(&self) {
        let mut pending = self.pending();
        let is_silent = pending.silence.is_some_and(|(before, since)| {
            before == self.arrived.load(Ordering::Relaxed) && since.elapsed() >= SILENCE
        });
        pending.is_retired |= is_silent;
    }

    /// Fails all calls, now and later.
    fn fail(&self, fault: Fault) {
        let calls = {
            let mut pending = self.pending();
            pending.broken.get_or_insert_with(|| fault.clone());
            std::mem::take(&mut pending.calls)
        };
        for Waiting { answer, is_sent } in calls.into_values() {
            let fault = if is_sent { fault.clone() } else { fault.clone().of_unsent() };
            // an error means that the caller no longer waits
            let _ = answer.send(Err(fault));
        }
        self.close();
    }

    /// Closes the connection, which both tasks have: when one has failed, the other would keep it.
    fn close(&self) {
        for task in self.tasks.get().into_iter().flatten() {
            task.abort();
        }
    }

    /// Fails the call whose response is too long: if its id could not be read, the only one. Returns the
    /// fault of the others, whose responses are lost with the connection.
    fn too_long(&self, call_id: Option<u32>, fault: Fault) -> Fault {
        let message =
            format!("the connection is closed after an answer to another call: {}", fault.error.message());
        let lost = Fault::gone(&self.server, &io::Error::new(io::ErrorKind::ConnectionAborted, message));
        let waiting = {
            let mut pending = self.pending();
            pending.broken.get_or_insert_with(|| lost.clone());
            let only = pending.calls.keys().next().copied().filter(|_| pending.calls.len() == 1);
            call_id.or(only).and_then(|call_id| pending.calls.remove(&call_id))
        };
        if let Some(Waiting { answer, .. }) = waiting {
            // an error means that the caller no longer waits
            let _ = answer.send(Err(fault));
        }
        lost
    }

    /// Closes the connection if no call waits for a response.
    fn close_if_idle(&self) -> bool {
        let mut pending = self.pending();
        let is_idle = pending.calls.is_empty();
        if is_idle {
            let error = io::Error::new(io::ErrorKind::ConnectionAborted, "not used for a while");
            pending.broken.get_or_insert_with(|| Fault::gone(&self.server, &error));
        }
        is_idle
    }

    /// Records that requests are sent now. Returns them without those whose callers no longer wait, because
    /// they may have been repeated. Returns `None` if the connection has failed: their callers then know that
    /// they were not sent.
    fn begin_to_send<'r>(&self, requests: &'r [Request]) -> Option<Vec<&'r [u8]>> {
        let mut pending = self.pending();
        if pending.broken.is_some() {
            return None;
        }
        let mut waited_for = Vec::with_capacity(requests.len());
        for (call_id, request) in requests {
            if let Some(waiting) = pending.calls.get_mut(call_id) {
                waiting.is_sent = true;
                waited_for.push(&request[..]);
            }
        }
        Some(waited_for)
    }

    /// Sends requests as they come, those that wait together in one write, until there are none for some
    /// time.
    async fn write_requests(
        &self,
        write: &mut impl Outgoing,
        mut queue: mpsc::Receiver<Request>,
        idle: Duration,
    ) -> io::Result<()> {
        let mut requests = Vec::with_capacity(QUEUE);
        loop {
            match timeout(idle, queue.recv_many(&mut requests, QUEUE)).await {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(_) if self.close_if_idle() => return Ok(()),
                Err(_) => continue,
            }
            let mut left = &requests[..];
            while !left.is_empty() {
                let (together, later) = left.split_at(together(left));
                let Some(waited_for) = self.begin_to_send(together) else { return Ok(()) };
                match &waited_for[..] {
                    [] => {}
                    [request] => write.send(request).await?,
                    many => write.send(&many.concat()).await?,
                }
                left = later;
            }
            requests.clear();
        }
    }

    fn broken(&self) -> Fault {
        let broken = self.pending().broken.clone();
        broken.unwrap_or_else(|| Fault::gone(&self.server, &io::ErrorKind::ConnectionAborted.into()))
    }

    /// Adds the reason that a server may have closed the connection: one without the class of the compressor
    /// does so without a response.
    fn explained(&self, error: io::Error) -> io::Error {
        match self.compressor {
            Some(class)
                if error.kind() == io::ErrorKind::UnexpectedEof
                    && error.get_ref().is_none()
                    && !self.has_answers.load(Ordering::Relaxed) =>
            {
                let message = format!("the connection was closed; does the server have {class}?");
                io::Error::new(error.kind(), message)
            }
            _ => error,
        }
    }

    /// Passes responses to their callers until the connection fails; returns the reason.
    async fn read_responses(&self, mut read: impl Incoming, max: usize) -> Fault {
        loop {
            let frame = match read_frame(&mut read, max).await {
                Ok(Ok(frame)) => frame,
                Ok(Err(limit)) => {
                    let call_id = read_call_id(&mut read).await;
                    return self.too_long(call_id, Fault::corrupt(&self.server, &limit));
                }
                Err(error) => {
                    let fault = Fault::gone(&self.server, &self.explained(error));
                    // a token whose message is too long, which is not read
                    let is_limit = fault.error.kind() == ErrorKind::Limit;
                    return if is_limit { self.too_long(None, fault) } else { fault };
                }
            };
            self.has_answers.store(true, Ordering::Relaxed);
            let response = match ResponseFrame::parse(frame) {
                Ok(response) => response,
                Err(corruption) => return Fault::corrupt(&self.server, &corruption),
            };
            if response.call_id == NO_CALL {
                return Fault::refused_connection(&self.server, &response.exception.unwrap_or_default());
            }
            let waiting = self.pending().calls.remove(&response.call_id);
            match waiting {
                Some(Waiting { answer, .. }) => {
                    let _ = answer.send(Ok(response));
                }
                // the call was cancelled, or took too long
                None if self.call_ids.was_given(response.call_id) => {}
                None => {
                    let other = Corruption::Malformed("answer to a call that was not made");
                    return Fault::corrupt(&self.server, &other);
                }
            }
        }
    }
}

/// Returns the number of requests to copy into one write; a single one is sent without a copy.
fn together(requests: &[Request]) -> usize {
    let mut len = 0;
    let fits = |(_, request): &&Request| {
        len += request.len();
        len <= TOGETHER
    };
    requests.iter().take_while(fits).count().max(1)
}

/// Reads a frame, without its length.
pub(crate) async fn read_frame(
    read: &mut impl Incoming,
    max: usize,
) -> io::Result<Result<Bytes, Corruption>> {
    let len = read.read_u32().await? as usize;
    if len > max {
        return Ok(Err(Corruption::Limit {
            what: "response of a server",
            value: len as u64,
            limit: max as u64,
        }));
    }
    Ok(Ok(read_bytes(read, len).await?.freeze()))
}

/// Headers of responses are longer only by mistake.
const MAX_HEADER: usize = 64 << 10;

/// Reads the call id of a frame that is not read as a whole.
async fn read_call_id(read: &mut impl Incoming) -> Option<u32> {
    let mut len = BytesMut::with_capacity(5);
    while len.last().is_none_or(|last| last & 0x80 != 0) {
        if len.len() == 5 || read.read(&mut len, 1).await.ok()? == 0 {
            return None;
        }
    }
    let len = prost::decode_length_delimiter(len).ok().filter(|len| *len <= MAX_HEADER)?;
    let header = read_bytes(read, len).await.ok()?;
    proto::ResponseHeader::decode(header).ok()?.call_id
}
