//! A single-server ZooKeeper that serves the znodes of a test, and misbehaves as configured.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How the server treats a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Serves it.
    Good,
    /// Serves it, one byte at a time.
    Dribbles,
    /// Sends a watch event and the answer to a ping before each reply.
    Talkative,
    /// Closes it at once.
    Closes,
    /// Never answers.
    Silent,
    /// Grants a session that has already expired.
    Expired,
    /// Sends these bytes instead of the answer to the connect request, then closes it.
    Greets(Vec<u8>),
    /// Closes it at the first request.
    ClosesWhenAsked,
    /// Does not answer requests.
    SilentWhenAsked,
    /// Sends this many bytes of the reply, then closes it.
    Cuts(usize),
    /// Sends this many bytes of the reply, and no more.
    Stops(usize),
    /// Sends these bytes instead of a reply, and no more.
    Replies(Vec<u8>),
    /// Replies with the number of another request.
    Confused,
    /// Replies with this error to every request.
    Fails(i32),
    /// Closes it after one request.
    Once,
}

/// A request: the connection, counted from 0, the number of the operation, the path.
pub(crate) type Asked = (usize, i32, String);

#[derive(Debug)]
struct Shared {
    znodes: BTreeMap<String, Vec<u8>>,
    session: Duration,
    manners: Mutex<VecDeque<Manner>>,
    asked: Mutex<Vec<Asked>>,
    stopped: AtomicBool,
}

/// A server on its own port. It stops when dropped.
#[derive(Debug)]
pub(crate) struct FakeZooKeeper {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl FakeZooKeeper {
    /// Starts a server with these znodes and their ancestors, which have no data.
    pub(crate) fn new(znodes: impl IntoIterator<Item = (String, Vec<u8>)>) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), znodes, Duration::from_secs(30))
    }

    /// Starts a server with short sessions.
    pub(crate) fn with_sessions(
        znodes: impl IntoIterator<Item = (String, Vec<u8>)>,
        session: Duration,
    ) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), znodes, session)
    }

    pub(crate) fn listen(
        listener: TcpListener,
        znodes: impl IntoIterator<Item = (String, Vec<u8>)>,
        session: Duration,
    ) -> Self {
        let mut all = BTreeMap::new();
        for (path, data) in znodes {
            for (at, _) in path.match_indices('/').filter(|(at, _)| *at > 0) {
                all.entry(path[..at].to_owned()).or_default();
            }
            all.insert(path, data);
        }
        let shared = Arc::new(Shared {
            znodes: all,
            session,
            manners: Mutex::default(),
            asked: Mutex::default(),
            stopped: AtomicBool::new(false),
        });
        let address = listener.local_addr().unwrap();
        let own = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                if own.stopped.load(Ordering::Acquire) {
                    break;
                }
                let (own, stream) = (Arc::clone(&own), stream.unwrap());
                thread::spawn(move || own.serve(number, stream));
            }
        });
        Self { address, shared, thread: Some(thread) }
    }

    /// Sets how the next connections are treated, in order. Later connections are served.
    pub(crate) fn behave(&self, manners: impl IntoIterator<Item = Manner>) {
        *self.shared.manners.lock().unwrap() = manners.into_iter().collect();
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Drop for FakeZooKeeper {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Release);
        let _ = TcpStream::connect(self.address);
        self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    /// Serves a connection until either side closes it.
    fn serve(&self, number: usize, mut stream: TcpStream) {
        let manner = self.manners.lock().unwrap().pop_front().unwrap_or(Manner::Good);
        let _ = self.session(number, &mut stream, &manner);
    }

    fn session(&self, number: usize, stream: &mut TcpStream, manner: &Manner) -> io::Result<()> {
        if *manner == Manner::Closes {
            return Ok(());
        }
        let connect = self.receive(stream)?;
        assert_eq!(connect.len(), 45, "{connect:?}");
        let wanted = i32::from_be_bytes(connect[12..16].try_into().unwrap());
        let granted = i32::try_from(self.session.as_millis()).unwrap().min(wanted);
        match manner {
            Manner::Silent => return self.wait(stream),
            Manner::Greets(bytes) => return stream.write_all(bytes),
            _ => {}
        }
        let granted = if *manner == Manner::Expired { 0 } else { granted };
        let mut answer = [&[0; 4][..], &granted.to_be_bytes(), &[7; 8]].concat();
        answer.extend_from_slice(&string(&[9; 16]));
        answer.push(0);
        self.send(stream, manner, &framed(&answer))?;
        loop {
            let request = self.receive(stream)?;
            let field = |at: usize| i32::from_be_bytes(request[at..at + 4].try_into().unwrap());
            let (mut xid, op) = (field(0), field(4));
            let path =
                request.get(12..request.len() - 1).map(|path| String::from_utf8(path.to_vec()).unwrap());
            let path = path.unwrap_or_default();
            self.asked.lock().unwrap().push((number, op, path.clone()));
            match manner {
                _ if op == -11 => return Ok(()),
                Manner::ClosesWhenAsked => return Ok(()),
                Manner::SilentWhenAsked => return self.wait(stream),
                Manner::Replies(bytes) => {
                    stream.write_all(bytes)?;
                    return self.wait(stream);
                }
                Manner::Talkative => {
                    let event = [&(-1i32).to_be_bytes()[..], &[0; 12], b"what an event says"].concat();
                    let pong = [&(-2i32).to_be_bytes()[..], &[0; 12]].concat();
                    stream.write_all(&[framed(&event), framed(&pong)].concat())?;
                }
                Manner::Confused => xid += 1,
                _ => {}
            }
            let (error, result) = match manner {
                Manner::Fails(error) => (*error, vec![]),
                _ => self.answer(op, &path).map_or((-101, vec![]), |result| (0, result)),
            };
            let reply = framed(&[&xid.to_be_bytes()[..], &[0; 8], &error.to_be_bytes(), &result].concat());
            match manner {
                Manner::Cuts(len) => return stream.write_all(&reply[..*len]),
                Manner::Stops(len) => {
                    stream.write_all(&reply[..*len])?;
                    return self.wait(stream);
                }
                _ => self.send(stream, manner, &reply)?,
            }
            if *manner == Manner::Once {
                return Ok(());
            }
        }
    }

    /// Returns the result of a request, or `None` if there is no such znode.
    fn answer(&self, op: i32, path: &str) -> Option<Vec<u8>> {
        let data = self.znodes.get(path)?;
        Some(match op {
            3 => vec![0; 68],
            4 => [&string(data)[..], &[0; 68]].concat(),
            8 => {
                let below =
                    self.znodes.keys().filter_map(|other| other.strip_prefix(path)?.strip_prefix('/'));
                let names: Vec<_> = below.filter(|name| !name.contains('/')).collect();
                let mut result = i32::try_from(names.len()).unwrap().to_be_bytes().to_vec();
                names.iter().for_each(|name| result.extend(string(name.as_bytes())));
                result
            }
            other => panic!("operation {other}"),
        })
    }

    fn send(&self, stream: &mut TcpStream, manner: &Manner, packet: &[u8]) -> io::Result<()> {
        if *manner != Manner::Dribbles {
            return stream.write_all(packet);
        }
        stream.set_nodelay(true)?;
        for byte in packet {
            stream.write_all(&[*byte])?;
            thread::sleep(Duration::from_micros(100));
        }
        Ok(())
    }

    fn receive(&self, stream: &mut TcpStream) -> io::Result<Vec<u8>> {
        let len = self.read(stream, 4)?;
        let len = u32::from_be_bytes(len.try_into().unwrap());
        self.read(stream, usize::try_from(len).unwrap())
    }

    /// Reads `len` bytes. Fails when the server is stopped.
    fn read(&self, stream: &mut TcpStream, len: usize) -> io::Result<Vec<u8>> {
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        let mut bytes = vec![0; len];
        let mut filled = 0;
        while filled < len {
            match stream.read(&mut bytes[filled..]) {
                _ if self.stopped.load(Ordering::Acquire) => return Err(io::ErrorKind::Interrupted.into()),
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => filled += n,
                Err(e) if matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(bytes)
    }

    /// Sends nothing until the other side closes the connection.
    fn wait(&self, stream: &mut TcpStream) -> io::Result<()> {
        loop {
            self.read(stream, 1)?;
        }
    }
}

/// Returns a four-byte length and the bytes.
pub(crate) fn string(bytes: &[u8]) -> Vec<u8> {
    [&i32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

pub(crate) fn framed(packet: &[u8]) -> Vec<u8> {
    string(packet)
}
