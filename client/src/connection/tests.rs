use crate::cell_block::CellCodec;
#[cfg(feature = "kerberos")]
use crate::connection::Choice;
use crate::connection::{Connection, ConnectionSettings, Peer, SILENCE, TOGETHER, together};
use crate::connections::{CLIENT_SERVICE, Call, Connections};
use crate::fault::Fault;
use crate::proto;
use hregion::locator::RegionException;
use hregion::{Corruption, Deadline, ErrorKind};
use prost::Message;
use socket2::SockRef;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio::time::{sleep, timeout};

/// A late response with the id of the next call, or with a bit of its id flipped, must not be mistaken for
/// that of the next call.
#[tokio::test]
async fn an_answer_with_another_id_is_not_that_of_the_next_call() {
    let (connections, listener) = (Connections::new(settings(Duration::from_secs(60))), listener().await);
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        for change in 0..34 {
            let mut served = Served::accept(&listener).await;
            let (id, _) = served.request().await.unwrap();
            served.request().await.unwrap();
            let id = if change < 31 { id ^ 1 << change } else { id + change - 30 };
            served.answer(id, &proto::GetResponse::default()).await;
        }
    });
    let (get, patience) = (proto::GetRequest::default(), Duration::from_secs(20));
    for change in 0..34 {
        let open = connections.get("127.0.0.1", port, CLIENT_SERVICE, Deadline::after(patience));
        let connection = open.await.unwrap();
        let call = |time| connection.call::<proto::GetResponse>("Get", &get, None, time);
        assert!(call(Duration::from_millis(20)).await.is_err());
        let Err(fault) = call(patience).await else { panic!("{change}: answered") };
        assert!(fault.error.to_string().contains("a call that was not made"), "{change}: {}", fault.error);
        assert!(!connection.is_open());
    }
}

/// The server's side of a connection, after the header.
pub(crate) struct Served(pub(crate) TcpStream);

impl Served {
    pub(crate) async fn accept(listener: &TcpListener) -> Self {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut preamble = [0; 6];
        stream.read_exact(&mut preamble).await.unwrap();
        let mut served = Self(stream);
        served.frame().await.unwrap();
        served
    }

    async fn frame(&mut self) -> Option<Vec<u8>> {
        let len = self.0.read_u32().await.ok()?;
        let mut frame = vec![0; usize::try_from(len).unwrap()];
        self.0.read_exact(&mut frame).await.ok()?;
        Some(frame)
    }

    /// Returns the id and the method of the next call; `None` after the last one.
    pub(crate) async fn request(&mut self) -> Option<(u32, String)> {
        let frame = self.frame().await?;
        let header = proto::RequestHeader::decode_length_delimited(&frame[..]).unwrap();
        Some((header.call_id.unwrap(), header.method_name.unwrap()))
    }

    pub(crate) async fn answer(&mut self, call_id: u32, message: &impl Message) {
        let header = proto::ResponseHeader { call_id: Some(call_id), ..Default::default() };
        let mut answer = header.encode_length_delimited_to_vec();
        answer.extend(message.encode_length_delimited_to_vec());
        self.0.write_u32(u32::try_from(answer.len()).unwrap()).await.unwrap();
        self.0.write_all(&answer).await.unwrap();
    }
}

pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

pub(crate) fn settings(idle: Duration) -> ConnectionSettings {
    ConnectionSettings {
        user: None,
        per_server: 1,
        connect_timeout: Duration::from_secs(10),
        failed_expiry: Duration::from_secs(2),
        max_response: 1 << 20,
        cells: CellCodec::default(),
        idle,
        keepalive: true,
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

const PATIENCE: Duration = Duration::from_secs(20);

/// Returns a connection to a server, and the server's side of it.
async fn connected(settings: ConnectionSettings) -> (Arc<Connection>, Served) {
    let (connections, listener) = (Connections::new(settings), listener().await);
    let port = listener.local_addr().unwrap().port();
    let open = connections.get("127.0.0.1", port, CLIENT_SERVICE, Deadline::after(PATIENCE));
    let (opened, served) = tokio::join!(open, Served::accept(&listener));
    (opened.unwrap(), served)
}

/// A call of the server at a port.
fn call(port: u16, param: &proto::GetRequest) -> Call<'_, proto::GetRequest> {
    Call {
        host: "127.0.0.1",
        port,
        service: CLIENT_SERVICE,
        method: "Get",
        param,
        priority: None,
        time: PATIENCE,
        deadline: Deadline::after(PATIENCE),
    }
}

async fn get(connection: &Connection, time: Duration) -> Result<(), Fault> {
    let get = proto::GetRequest::default();
    connection.call::<proto::GetResponse>("Get", &get, None, time).await.map(|_| ())
}

/// Only the call whose response is too long fails permanently. The others have lost their responses, and are
/// made again, as after any lost connection.
#[tokio::test]
async fn an_answer_that_is_too_long_is_that_of_one_call() {
    for of_first in [true, false] {
        let settings = ConnectionSettings { max_response: 1000, ..settings(Duration::from_secs(60)) };
        let (connection, mut served) = connected(settings).await;
        let server = async {
            let ids = [served.request().await.unwrap().0, served.request().await.unwrap().0];
            let nodes = proto::GetBootstrapNodesResponse { server_name: vec![vec![0; 2000].into()] };
            served.answer(ids[usize::from(!of_first)], &nodes).await;
            // the connection is closed
            assert!(served.request().await.is_none());
        };
        let (first, second, ()) =
            tokio::join!(get(&connection, PATIENCE), get(&connection, PATIENCE), server);
        let (guilty, other) = if of_first { (first, second) } else { (second, first) };
        let (guilty, other) = (guilty.unwrap_err(), other.unwrap_err());
        assert!(guilty.may_be_executed() && other.may_be_executed());
        assert_eq!((guilty.kind, guilty.error.kind()), (RegionException::Fatal, ErrorKind::Limit));
        assert_eq!((other.kind, other.error.kind()), (RegionException::ServerGone, ErrorKind::Io));
        assert!(!connection.is_open());
    }
}

/// Cells that are too long once they are decompressed are the end of a whole answer, and others may follow.
#[tokio::test]
async fn cells_that_are_too_long_leave_the_connection_open() {
    let (connection, _served) = connected(settings(Duration::from_secs(60))).await;
    let limit = Corruption::Limit { what: "decompressed cell block", value: 2, limit: 1 };
    let fault = connection.give_up(&limit);
    assert!(fault.error.kind() == ErrorKind::Limit && fault.may_be_executed());
    assert!(connection.is_open());
    assert_eq!(connection.give_up(&Corruption::Malformed("x")).error.kind(), ErrorKind::Corrupt);
    assert!(!connection.is_open());
}

/// Only requests that were not sent can be sent again regardless of their effect.
#[tokio::test]
async fn requests_that_were_not_sent_are_known() {
    let (connection, served) = connected(settings(Duration::from_secs(60))).await;
    // the server reads nothing of it
    let long = proto::GetRequest { region: None, get: Some(vec![0; 32 << 20].into()) };
    let long = connection.call::<proto::GetResponse>("Get", &long, None, PATIENCE);
    let closed = async {
        let is_blocked = || {
            let pending = connection.shared.pending();
            pending.calls.len() == 2 && pending.calls.values().filter(|call| call.is_sent).count() == 1
        };
        while !is_blocked() {
            sleep(Duration::from_millis(5)).await;
        }
        drop(served);
    };
    let (sent, unsent, ()) = tokio::join!(long, get(&connection, PATIENCE), closed);
    let (sent, unsent) = (sent.err().unwrap(), unsent.unwrap_err());
    assert_eq!((sent.kind, sent.is_unsent), (RegionException::ServerGone, false));
    assert_eq!((unsent.kind, unsent.is_unsent), (RegionException::ServerGone, true));
    assert!(get(&connection, PATIENCE).await.unwrap_err().is_unsent);
}

/// A call that was given up before it was sent may have been made again: it is not executed later.
#[tokio::test]
async fn a_request_that_is_no_longer_waited_for_is_not_sent() {
    let (connection, mut served) = connected(settings(Duration::from_secs(60))).await;
    // the server reads nothing of it at first
    let long = proto::GetRequest { region: None, get: Some(vec![0; 32 << 20].into()) };
    let long = connection.call::<proto::GetResponse>("Get", &long, None, PATIENCE);
    let others = async {
        while !connection.shared.pending().calls.values().any(|call| call.is_sent) {
            yield_now().await;
        }
        tokio::select! {
            biased;
            answer = get(&connection, PATIENCE) => panic!("before the one that is sent: {answer:?}"),
            () = yield_now() => {}
        }
        let late = get(&connection, Duration::from_millis(1)).await.unwrap_err();
        assert!(!late.may_be_executed() && !late.can_be_sent());
        assert_eq!(late.kind, RegionException::NoAnswer);
        let server = async {
            let mut methods = Vec::new();
            for _ in 0..2 {
                let (call_id, method) = served.request().await.unwrap();
                served.answer(call_id, &proto::GetResponse::default()).await;
                methods.push(method);
            }
            methods
        };
        let last = proto::GetRequest::default();
        tokio::join!(connection.call::<proto::GetResponse>("Last", &last, None, PATIENCE), server)
    };
    let (long, (last, methods)) = tokio::join!(long, others);
    assert_eq!(methods, ["Get", "Last"]);
    assert!(long.is_ok() && last.is_ok());
}

/// A server that closes each connection is tried twice at most.
#[tokio::test]
async fn a_server_that_closes_all_connections_is_gone() {
    let (connections, listener) = (Connections::new(settings(Duration::from_secs(60))), listener().await);
    let port = listener.local_addr().unwrap().port();
    let (accepted, mut count) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let served = Served::accept(&listener).await;
            accepted.send(()).unwrap();
            drop(served);
        }
    });
    let param = proto::GetRequest::default();
    let call = call(port, &param);
    let fault = connections.call::<proto::GetResponse>(&call).await.err().unwrap();
    assert_eq!(fault.kind, RegionException::ServerGone);
    let mut attempts = 0;
    while count.try_recv().is_ok() {
        attempts += 1;
    }
    assert!((1..=2).contains(&attempts), "{attempts}");
}

/// The answer to a call that is no longer waited for is ignored, and the connection remains in use.
#[tokio::test]
async fn a_call_that_is_dropped_is_forgotten() {
    let (connection, mut served) = connected(settings(Duration::from_secs(60))).await;
    assert!(timeout(Duration::from_millis(50), get(&connection, PATIENCE)).await.is_err());
    assert!(connection.shared.pending().calls.is_empty());
    let server = async {
        let ids = [served.request().await.unwrap().0, served.request().await.unwrap().0];
        for id in ids {
            served.answer(id, &proto::GetResponse::default()).await;
        }
    };
    let (answer, ()) = tokio::join!(get(&connection, PATIENCE), server);
    answer.unwrap();
    assert!(connection.is_open() && connection.shared.pending().calls.is_empty());
}

/// A connection whose tasks have ended with their runtime is replaced on another one.
#[test]
fn a_connection_ends_with_its_runtime() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (first, second, server) = (runtime(), runtime(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let port = server.local_addr().unwrap().port();
    let connections = Connections::new(settings(Duration::from_secs(60)));
    let open = || connections.get("127.0.0.1", port, CLIENT_SERVICE, Deadline::after(PATIENCE));
    let before = first.block_on(open()).unwrap();
    assert!(before.is_open());
    drop(first);
    assert!(!before.is_open());
    second.block_on(async {
        let fault = get(&before, PATIENCE).await.unwrap_err();
        assert_eq!(fault.kind, RegionException::ServerGone);
        assert!(open().await.unwrap().is_open());
    });
}

/// A connection on which nothing more arrives is left to the calls that wait, and the next one is made on
/// another. One that is slow to answer some calls is not.
#[tokio::test]
async fn a_silent_connection_is_not_used_again() {
    let (connection, mut served) = connected(settings(Duration::from_secs(60))).await;
    let slow = get(&connection, PATIENCE);
    let others = async {
        let (slow, _) = served.request().await.unwrap();
        // too early to tell
        assert!(get(&connection, Duration::from_millis(20)).await.is_err());
        assert!(connection.is_open());
        served.request().await.unwrap();
        sleep(SILENCE).await;
        // an answer to another call
        let server = async {
            let (call_id, _) = served.request().await.unwrap();
            served.answer(call_id, &proto::GetResponse::default()).await;
        };
        let (answer, ()) = tokio::join!(get(&connection, PATIENCE), server);
        answer.unwrap();
        assert!(get(&connection, Duration::from_millis(20)).await.is_err());
        assert!(connection.is_open());
        let silent = get(&connection, SILENCE + Duration::from_millis(50)).await;
        assert_eq!(silent.unwrap_err().kind, RegionException::NoAnswer);
        assert!(!connection.is_open());
        served.answer(slow, &proto::GetResponse::default()).await;
    };
    let (answer, ()) = tokio::join!(slow, others);
    answer.unwrap();
}

/// A caller that keeps its connection, as an open scan does, makes the next call on another one.
#[tokio::test]
async fn a_silent_connection_is_replaced_for_callers_that_keep_it() {
    let (connections, listener) = (Connections::new(settings(Duration::from_secs(60))), listener().await);
    let port = listener.local_addr().unwrap().port();
    let open = connections.get("127.0.0.1", port, CLIENT_SERVICE, Deadline::after(PATIENCE));
    let (opened, _silent) = tokio::join!(open, Served::accept(&listener));
    let mut connection = opened.unwrap();
    connection.shared.pending().is_retired = true;
    let server = async {
        let mut served = Served::accept(&listener).await;
        let (call_id, _) = served.request().await.unwrap();
        served.answer(call_id, &proto::GetResponse::default()).await;
        served
    };
    let param = proto::GetRequest::default();
    let call = call(port, &param);
    let (answer, _served) =
        tokio::join!(connections.call_over::<proto::GetResponse>(&mut connection, &call), server);
    assert!(answer.is_ok() && connection.is_open());
}

#[tokio::test]
async fn the_system_probes_connections() {
    let listener = listener().await;
    let port = listener.local_addr().unwrap().port();
    let peer = Peer {
        server: "",
        host: "127.0.0.1",
        port,
        service: CLIENT_SERVICE,
        #[cfg(feature = "kerberos")]
        choice: Choice::default(),
    };
    for keepalive in [true, false] {
        let settings = ConnectionSettings { keepalive, ..settings(Duration::from_secs(1)) };
        let stream = peer.dial(&settings).await.unwrap();
        assert_eq!(SockRef::from(&stream).keepalive().unwrap(), keepalive);
    }
}

#[test]
fn long_requests_are_not_copied_together() {
    let requests = |lens: &[usize]| lens.iter().map(|len| (0, vec![0; *len].into())).collect::<Vec<_>>();
    assert_eq!(together(&requests(&[1, 2, 3])), 3);
    assert_eq!(together(&requests(&[TOGETHER - 1, 1, 1])), 2);
    assert_eq!(together(&requests(&[1, TOGETHER, 1])), 1);
    assert_eq!(together(&requests(&[TOGETHER + 1, 1])), 1);
}
