//! A connection to a server: many calls at a time over one socket (locator.md §8; HBase: `RpcConnection`).

use crate::call_id::CallIds;
use crate::cell_block::{CellBlock, CellCodec};
use crate::fault::Fault;
use crate::frame::{self, ResponseFrame};
#[cfg(feature = "kerberos")]
use crate::kerberos::{Choice, KerberosClient, Outcome, protect};
use crate::proto;
#[cfg(feature = "tls")]
use crate::tls::TlsClient;
use crate::transport::{Incoming, Outgoing, Plain, read_bytes};
use bytes::Bytes;
use hregion::Corruption;
use prost::Message;
use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// What connections have in common.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionSettings {
    /// The user, if it is not that of the process, or the one that has authenticated.
    pub(crate) user: Option<String>,
    pub(crate) connect_timeout: Duration,
    /// The time for which a server that could not be reached is not tried again.
    pub(crate) failed_expiry: Duration,
    /// The maximum length of a response.
    pub(crate) max_response: usize,
    /// How servers are asked to send the cells of their responses.
    pub(crate) cells: CellCodec,
    /// The time after which a connection without calls is closed (HBase:
    /// `hbase.ipc.client.connection.minIdleTimeBeforeClose`).
    pub(crate) idle: Duration,
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
    requests: mpsc::Sender<Bytes>,
    /// The form of the cells of responses, and their maximum length when decompressed.
    cells: (CellCodec, usize),
    tasks: [JoinHandle<()>; 2],
}

#[derive(Debug)]
struct Shared {
    /// `host:port`, for messages.
    server: String,
    call_ids: CallIds,
    pending: Mutex<Pending>,
    /// The ids of the last scanners that were opened.
    scanners: Mutex<VecDeque<u64>>,
    /// The class that is to compress cells.
    compressor: Option<&'static str>,
    /// Whether an answer has arrived, and one with cells.
    has_answers: AtomicBool,
    has_cells: AtomicBool,
}

/// The calls that wait for an answer.
#[derive(Debug, Default)]
struct Pending {
    calls: HashMap<u32, oneshot::Sender<Result<ResponseFrame, Fault>>>,
    /// Why the connection can no longer be used.
    broken: Option<Fault>,
}

/// Requests that wait to be sent; more calls wait for these.
const QUEUE: usize = 64;
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
        settings: &ConnectionSettings,
    ) -> Self {
        let shared = Arc::new(Shared {
            server,
            call_ids: CallIds::default(),
            pending: Mutex::new(Pending::default()),
            scanners: Mutex::default(),
            compressor: settings.cells.compressor(),
            has_answers: AtomicBool::new(false),
            has_cells: AtomicBool::new(false),
        });
        let (requests, queue) = mpsc::channel(QUEUE);
        let (max_response, idle) = (settings.max_response, settings.idle);
        let reader = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                let fault = shared.read_responses(read, max_response).await;
                shared.fail(fault);
            }
        });
        let writer = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                if let Err(error) = shared.write_requests(write, queue, idle).await {
                    shared.fail(Fault::gone(&shared.server, &error));
                }
            }
        });
        let cells = (settings.cells, max_response);
        Self { shared, requests, cells, tasks: [reader, writer] }
    }

    /// Whether calls can be made.
    pub(crate) fn is_open(&self) -> bool {
        self.shared.pending().broken.is_none()
    }

    pub(crate) fn server(&self) -> &str {
        &self.shared.server
    }

    /// Calls a method, and returns its answer. Dropping the future forgets the call.
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
        let (sender, answer) = oneshot::channel();
        shared.add(call_id, sender)?;
        let _pending = PendingCall { shared, call_id };
        let exchange = async {
            // if the connection is closed meanwhile, so is the other channel
            if self.requests.send(frame::request(&header, param)).await.is_err() {
                return Err(shared.broken());
            }
            answer.await.unwrap_or_else(|_| Err(shared.broken()))
        };
        let frame = match timeout(time, exchange).await {
            Ok(frame) => frame?,
            Err(_) => return Err(Fault::no_answer(&shared.server, &self.asked(method))),
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

    /// Says what a server does not answer to. One whose compressor lacks a library fails when it is to
    /// compress the first cells, and sends nothing.
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

    /// Closes the connection because of an answer that cannot be believed.
    pub(crate) fn give_up(&self, corruption: &Corruption) -> Fault {
        let fault = Fault::corrupt(&self.shared.server, corruption);
        self.shared.fail(fault.clone());
        fault
    }
}

/// What to connect to.
#[derive(Clone, Copy)]
struct Peer<'p> {
    /// Host and port, for messages.
    server: &'p str,
    host: &'p str,
    port: u16,
    service: &'p str,
    /// Which principal the server has.
    #[cfg(feature = "kerberos")]
    choice: Choice,
}

impl Peer<'_> {
    async fn connect(self, settings: &ConnectionSettings) -> io::Result<Connection> {
        let stream = TcpStream::connect((self.host, self.port)).await?;
        stream.set_nodelay(true)?;
        #[cfg(feature = "tls")]
        if let Some(tls) = &settings.tls {
            let (read, write) = tokio::io::split(tls.encrypt(self.host, stream).await?);
            return self.greet(Plain(read), Plain(write), settings).await;
        }
        let (read, write) = stream.into_split();
        self.greet(Plain(read), Plain(write), settings).await
    }

    /// Authenticates if that is asked for, and sends the header.
    async fn greet(
        self,
        read: impl Incoming,
        mut write: impl Outgoing,
        settings: &ConnectionSettings,
    ) -> io::Result<Connection> {
        let Self { server, service, .. } = self;
        #[cfg(feature = "kerberos")]
        if let Some(kerberos) = &settings.kerberos {
            let (host, choice, mut read) = (self.host, self.choice, read);
            let outcome = kerberos.authenticate(server, host, service, choice, &mut read, &mut write).await?;
            let Outcome::Authenticated(agreement) = outcome else {
                let user = settings.simple_user();
                write.send(&frame::connection_header(Some(&user), service, settings.cells)).await?;
                return Ok(Connection::over(server.to_owned(), read, write, settings));
            };
            let (read, mut write) = protect(server, agreement, read, write, settings.max_response);
            let user = settings.user.as_deref();
            write.send(&frame::connection_header(user, service, settings.cells)).await?;
            return Ok(Connection::over(server.to_owned(), read, write, settings));
        }
        write.send(&frame::hello(&settings.simple_user(), service, settings.cells)).await?;
        Ok(Connection::over(server.to_owned(), read, write, settings))
    }

    /// Connects once more if the server may have another principal.
    #[cfg(feature = "kerberos")]
    async fn connect_again(
        mut self,
        mut opened: io::Result<Connection>,
        settings: &ConnectionSettings,
    ) -> io::Result<Connection> {
        while let Err(error) = &opened
            && let Some(choice) = self.choice.after(error)
        {
            self.choice = choice;
            opened = self.connect(settings).await;
        }
        opened
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// Forgets a call once its caller no longer waits.
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

    fn add(&self, call_id: u32, sender: oneshot::Sender<Result<ResponseFrame, Fault>>) -> Result<(), Fault> {
        let mut pending = self.pending();
        match &pending.broken {
            Some(fault) => Err(fault.clone()),
            None => {
                pending.calls.insert(call_id, sender);
                Ok(())
            }
        }
    }

    /// Fails all calls, now and later.
    fn fail(&self, fault: Fault) {
        let calls = {
            let mut pending = self.pending();
            pending.broken.get_or_insert_with(|| fault.clone());
            std::mem::take(&mut pending.calls)
        };
        for sender in calls.into_values() {
            // an error means that the caller no longer waits
            let _ = sender.send(Err(fault.clone()));
        }
    }

    /// Closes the connection if no call waits for an answer.
    fn close_if_idle(&self) -> bool {
        let mut pending = self.pending();
        let is_idle = pending.calls.is_empty();
        if is_idle {
            let error = io::Error::new(io::ErrorKind::ConnectionAborted, "not used for a while");
            pending.broken.get_or_insert_with(|| Fault::gone(&self.server, &error));
        }
        is_idle
    }

    /// Sends requests as they come, those that wait together in one write, until there are none for a while.
    async fn write_requests(
        &self,
        mut write: impl Outgoing,
        mut queue: mpsc::Receiver<Bytes>,
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
            match &requests[..] {
                [request] => write.send(request).await?,
                many => write.send(&many.concat()).await?,
            }
            requests.clear();
        }
    }

    fn broken(&self) -> Fault {
        let broken = self.pending().broken.clone();
        broken.unwrap_or_else(|| Fault::gone(&self.server, &io::ErrorKind::ConnectionAborted.into()))
    }

    /// Says why a server may have closed the connection: one that does not have the class of the compressor
    /// does so without an answer.
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

    /// Passes responses to their callers until the connection fails; returns why.
    async fn read_responses(&self, mut read: impl Incoming, max: usize) -> Fault {
        loop {
            let frame = match read_frame(&mut read, max).await {
                Ok(Ok(frame)) => frame,
                Ok(Err(corruption)) => return Fault::corrupt(&self.server, &corruption),
                Err(error) => return Fault::gone(&self.server, &self.explained(error)),
            };
            self.has_answers.store(true, Ordering::Relaxed);
            let response = match ResponseFrame::parse(frame) {
                Ok(response) => response,
                Err(corruption) => return Fault::corrupt(&self.server, &corruption),
            };
            if response.call_id == NO_CALL {
                return Fault::refused_connection(&self.server, &response.exception.unwrap_or_default());
            }
            let sender = self.pending().calls.remove(&response.call_id);
            match sender {
                Some(sender) => {
                    let _ = sender.send(Ok(response));
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

#[cfg(test)]
pub(crate) mod tests {
    use crate::cell_block::CellCodec;
    use crate::connection::ConnectionSettings;
    use crate::connections::{CLIENT_SERVICE, Connections};
    use crate::proto;
    use hregion::Deadline;
    use prost::Message as _;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::{TcpListener, TcpStream};
    use tokio::sync::mpsc;
    use tokio::time::{sleep, timeout};

    /// An answer that comes late under the id of the next call, or with a bit of its id flipped, must not be
    /// taken for that of the next call.
    #[tokio::test]
    async fn an_answer_under_another_id_is_none_to_the_next_call() {
        let (connections, listener) = (Connections::new(settings(Duration::from_secs(60))), listener().await);
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            for change in 0..34 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut preamble = [0; 6];
                stream.read_exact(&mut preamble).await.unwrap();
                frame_of(&mut stream).await;
                let id = call_id_of(frame_of(&mut stream).await);
                frame_of(&mut stream).await;
                let id = if change < 31 { id ^ 1 << change } else { id + change - 30 };
                let header = proto::ResponseHeader { call_id: Some(id), ..Default::default() };
                let mut answer = header.encode_length_delimited_to_vec();
                answer.extend(proto::GetResponse::default().encode_length_delimited_to_vec());
                stream.write_u32(u32::try_from(answer.len()).unwrap()).await.unwrap();
                stream.write_all(&answer).await.unwrap();
            }
        });
        let (get, patience) = (proto::GetRequest::default(), Duration::from_secs(20));
        for change in 0..34 {
            let open = connections.get("127.0.0.1", port, CLIENT_SERVICE, Deadline::after(patience));
            let connection = open.await.unwrap();
            let call = |time| connection.call::<proto::GetResponse>("Get", &get, None, time);
            assert!(call(Duration::from_millis(20)).await.is_err());
            let Err(fault) = call(patience).await else { panic!("{change}: answered") };
            assert!(
                fault.error.to_string().contains("a call that was not made"),
                "{change}: {}",
                fault.error
            );
            assert!(!connection.is_open());
        }
    }

    async fn frame_of(stream: &mut TcpStream) -> Vec<u8> {
        let len = stream.read_u32().await.unwrap();
        let mut frame = vec![0; usize::try_from(len).unwrap()];
        stream.read_exact(&mut frame).await.unwrap();
        frame
    }

    fn call_id_of(frame: Vec<u8>) -> u32 {
        proto::RequestHeader::decode_length_delimited(&frame[..]).unwrap().call_id.unwrap()
    }

    async fn listener() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").await.unwrap()
    }

    pub(crate) fn settings(idle: Duration) -> ConnectionSettings {
        ConnectionSettings {
            user: None,
            connect_timeout: Duration::from_secs(10),
            failed_expiry: Duration::from_secs(2),
            max_response: 1 << 20,
            cells: CellCodec::default(),
            idle,
            #[cfg(feature = "tls")]
            tls: None,
            #[cfg(feature = "kerberos")]
            kerberos: None,
        }
    }

    /// A server that never answers sees the end of a connection that is not used, and the next call makes
    /// another.
    #[tokio::test]
    async fn a_connection_without_calls_is_closed() {
        let listener = listener().await;
        let port = listener.local_addr().unwrap().port();
        let (ends, mut ended) = mpsc::channel(8);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let ends = ends.clone();
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    let read = stream.read_to_end(&mut bytes).await;
                    ends.send(read.is_ok()).await.unwrap();
                });
            }
        });
        let settings = settings(Duration::from_millis(200));
        let (connections, patience) = (Connections::new(settings), Duration::from_secs(20));
        let open = || connections.get("127.0.0.1", port, CLIENT_SERVICE, Deadline::after(patience));
        let first = open().await.unwrap();
        assert!(first.is_new_scanner(7) && first.is_new_scanner(8) && !first.is_new_scanner(7));
        // a call that waits keeps it open
        let get = proto::GetRequest::default();
        let call = first.call::<proto::GetResponse>("Get", &get, None, Duration::from_secs(1));
        let busy = async {
            sleep(Duration::from_millis(700)).await;
            first.is_open()
        };
        let (answer, was_open) = tokio::join!(call, busy);
        assert!(answer.is_err() && was_open);
        assert_eq!(timeout(patience, ended.recv()).await.unwrap(), Some(true));
        assert!(!first.is_open());
        let second = open().await.unwrap();
        assert!(second.is_open());
        drop((first, second));
        assert_eq!(timeout(patience, ended.recv()).await.unwrap(), Some(true));
    }
}
