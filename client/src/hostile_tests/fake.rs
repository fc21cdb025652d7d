//! Two region servers in this process, with a catalog and a table of a few regions, that can misbehave.

mod connection;
mod controls;
mod master;
mod messages;
mod scans;

pub(crate) use connection::read_frame;
pub(super) use master::{Holds, Master};
pub(crate) use messages::server_name;

use crate::proto;
use crate::proto::admin::FlushRegionRequest;
use crate::rng::Rng;
use bytes::Bytes;
use connection::serve;
use hregion::{CellRef, CellType, RegionInfo, Row, RowBuf, SeekKey, TableName};
use messages::{INCREMENT, MutationFields, RegionFields, RowField, TableFields};
use prost::Message;
use scans::OpenScanner;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
#[cfg(feature = "tls")]
use tokio_rustls::TlsAcceptor;

pub(crate) const ROWS: usize = 200;
const REGIONS: usize = 5;
const START_CODE: u64 = 1_700_000_000_000;
const MOVED: &str = "org.apache.hadoop.hbase.exceptions.RegionMovedException";

pub(crate) fn row_key(at: usize) -> String {
    format!("row-{at:04}")
}

/// Returns the cells of a row; none after the last row.
pub(crate) fn expected_row(at: usize) -> Row {
    let mut row = RowBuf::new();
    if at < ROWS {
        for (family, qualifier) in
            [("f", "a"), ("f", "b"), ("g", "c"), ("g", "d"), ("g", "e")].iter().take(1 + at % 5)
        {
            push(&mut row, row_key(at).as_bytes(), family, qualifier, format!("{at} {qualifier}").as_bytes());
        }
    }
    row.freeze()
}

fn push(row: &mut RowBuf, key: &[u8], family: &str, qualifier: &str, value: &[u8]) {
    let key = SeekKey::of(key, family.as_bytes(), qualifier.as_bytes(), 7, CellType::Put);
    row.push(CellRef::new(&key, value).with_tag_bytes(TAGS).unwrap());
}

/// The tags of each cell: a time to live of a day (type 8).
pub(super) const TAGS: &[u8] = b"\0\x09\x08\0\0\0\0\x05\x26\x5C\0";

/// The faults of a session, with their frequency in percent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mischief {
    percent: usize,
    /// Always the same fault, or any.
    only: Option<usize>,
}

const KINDS: usize = 22;

impl Mischief {
    /// Nothing goes wrong.
    pub(super) const NONE: Self = Self { percent: 0, only: None };

    /// Scanners get responses that belong to their ends, or to other scanners.
    pub(super) const WRONG_SCANNER: [Self; 2] =
        [Self { percent: 30, only: Some(20) }, Self { percent: 30, only: Some(21) }];

    /// Nothing is answered any longer.
    pub(super) const SILENCE: Self = Self { percent: 100, only: Some(1) };

    /// Everything is answered with an exception of a general class.
    pub(super) const IO_EXCEPTION: Self = Self { percent: 100, only: Some(13) };

    /// Everything is answered with the exception of an overloaded server.
    pub(super) const OVERLOAD: Self = Self { percent: 100, only: Some(14) };

    pub(super) fn of_session(random: &mut Rng) -> Self {
        match random.below(10) {
            0 => Self { percent: 100, only: Some(random.below(KINDS)) },
            1 | 2 => Self { percent: 30, only: Some(random.below(KINDS)) },
            _ => Self { percent: [2, 10, 40][random.below(3)], only: None },
        }
    }
}

struct State {
    ports: Vec<u16>,
    regions: Vec<RegionInfo>,
    scanners: HashMap<u64, OpenScanner>,
    next_scanner: u64,
    moves: u64,
    random: Rng,
    mischief: Mischief,
    /// The descriptors of tables that the master has.
    schemas: Vec<Bytes>,
    replicas: Replicas,
    /// The replicas of regions that were asked for rows, in order.
    asked: Vec<u16>,
    /// The number of flushes of regions.
    flushed: usize,
    master: Master,
    instead: Option<Instead>,
    /// The number of the next searches of the catalog that end before they have reached a row.
    short_searches: usize,
    /// The number of renewals of leases of scanners.
    renewed: usize,
    /// The exceptions of the actions of rows: classes and texts.
    failing: HashMap<Bytes, (&'static str, &'static str)>,
    /// The number of calls with several actions.
    multis: usize,
    /// The number of actions after which a call has become too large.
    most_actions: usize,
    counters: HashMap<Bytes, i64>,
    /// The nonces of the increments that were done, with their groups.
    nonces: HashSet<(u64, u64)>,
    /// The number of the next increments whose response is lost.
    lost_answers: usize,
    /// The row at which a region is split when the next one is flushed.
    splits_at_flush: Option<String>,
    /// The duration of a flush.
    flush_delay: Duration,
    /// The time until which each server claims that the other one has a region.
    redirects_until: Option<Instant>,
    hold: Option<Hold>,
    /// Releases calls that are held.
    released: Arc<Semaphore>,
    /// The priority of the last call.
    priority: Option<u32>,
    /// The number of calls that close a scanner, before others that wait; and of gets that ask only whether
    /// there are cells.
    closes: usize,
    questions: usize,
    /// The number of searches of the catalog for regions, and of gets of the table's state.
    searches: usize,
    states: usize,
    connections: Vec<JoinHandle<()>>,
    /// Whether servers are older than 2.4, and do not read the condition of an increment.
    are_old: bool,
    /// Whether scanners of the table begin at the first row of their region.
    ignores_start: bool,
    /// The server that does not answer to calls with several actions.
    silent: Option<usize>,
}

/// A call of a scanner that is answered late, or never.
struct Hold {
    /// A row of the scanner's region.
    row: String,
    /// The number of the call; `None` for the one that opens the scanner.
    call: Option<u64>,
    until: Until,
}

/// When a call that is held is answered.
#[derive(Clone)]
enum Until {
    Never,
    /// When there is a permit.
    Released(Arc<Semaphore>),
}

/// The replicas of each region, by id.
#[derive(Clone, Copy, Debug)]
pub(super) struct Replicas {
    pub(super) count: u16,
    /// The ones that do not respond.
    pub(super) silent: &'static [u16],
    /// The ones whose server does not exist.
    pub(super) gone: &'static [u16],
    /// The ones that fail permanently.
    pub(super) broken: &'static [u16],
}

impl Replicas {
    /// Replicas that answer.
    pub(super) const fn of(count: u16) -> Self {
        Self { count, silent: &[], gone: &[], broken: &[] }
    }
}

/// The servers. They end with the runtime.
pub(crate) struct Cluster {
    state: Arc<Mutex<State>>,
}

/// The responses of scanners instead of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instead {
    /// Heartbeats: each row is read and dropped, as by a filter.
    OfRows,
    /// The first row is never left.
    OfOneRow,
    /// As servers without cursors.
    WithoutRow,
    /// A part of the first row, with this number of cells, and nothing else.
    SamePart(usize),
    /// More results than were asked for, of no cells.
    EmptyResults,
}

/// An answer before it is sent.
#[derive(Default)]
struct Answer {
    /// The event that it waits for before it is sent.
    delay: Duration,
    release: Option<Arc<Semaphore>>,
    message: Vec<u8>,
    cells: Vec<Row>,
    exception: Option<(&'static str, String, bool)>,
    is_silent: bool,
    /// Whether the connection is closed before it is sent.
    closes: bool,
}

impl Answer {
    fn of(message: &impl Message) -> Self {
        Self { message: message.encode_to_vec(), ..Self::default() }
    }

    fn exception(class: &'static str, text: &str) -> Self {
        Self { exception: Some((class, text.to_owned(), false)), ..Self::default() }
    }
}

impl Cluster {
    pub(crate) async fn start() -> Self {
        Self::start_with(|stream, server, state| async move {
            // an error means that the client no longer exists
            let _ = serve(stream, server, &state).await;
        })
        .await
    }

    /// Starts servers that encrypt their connections.
    #[cfg(feature = "tls")]
    pub(crate) async fn over(acceptor: TlsAcceptor) -> Self {
        Self::start_with(move |stream, server, state| {
            let acceptor = acceptor.clone();
            async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    let _ = serve(stream, server, &state).await;
                }
            }
        })
        .await
    }

    /// Starts servers that serve the stream which `accept` makes of a connection, unless it returns `None`.
    #[cfg(feature = "kerberos")]
    pub(crate) async fn with_handshake<F>(accept: impl Fn(TcpStream) -> F + Clone + Send + 'static) -> Self
    where
        F: Future<Output = Option<tokio::io::DuplexStream>> + Send + 'static,
    {
        Self::start_with(move |stream, server, state| {
            let accepted = accept(stream);
            async move {
                if let Some(stream) = accepted.await {
                    let _ = serve(stream, server, &state).await;
                }
            }
        })
        .await
    }

    async fn start_with<F>(
        serve: impl Fn(TcpStream, usize, Arc<Mutex<State>>) -> F + Clone + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let table = TableName::parse("t").unwrap();
        let key =
            |at: usize| if at.is_multiple_of(REGIONS) { String::new() } else { row_key(at * ROWS / REGIONS) };
        let region = |at: usize| {
            RegionInfo::new(table.clone(), key(at), key(at + 1), START_CODE.cast_signed()).unwrap()
        };
        let (mut listeners, mut ports) = (Vec::new(), Vec::new());
        for _ in 0..2 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            ports.push(listener.local_addr().unwrap().port());
            listeners.push(listener);
        }
        let state = State {
            ports,
            regions: (0..REGIONS).map(region).collect(),
            scanners: HashMap::new(),
            next_scanner: 1,
            moves: 2,
            random: Rng::new(0),
            mischief: Mischief::NONE,
            schemas: Vec::new(),
            replicas: Replicas::of(1),
            asked: Vec::new(),
            flushed: 0,
            master: Master::default(),
            instead: None,
            short_searches: 0,
            renewed: 0,
            failing: HashMap::new(),
            multis: 0,
            most_actions: usize::MAX,
            counters: HashMap::new(),
            nonces: HashSet::new(),
            lost_answers: 0,
            splits_at_flush: None,
            flush_delay: Duration::ZERO,
            redirects_until: None,
            hold: None,
            released: Arc::new(Semaphore::new(0)),
            priority: None,
            closes: 0,
            questions: 0,
            searches: 0,
            states: 0,
            connections: Vec::new(),
            are_old: false,
            ignores_start: false,
            silent: None,
        };
        let state = Arc::new(Mutex::new(state));
        for (server, listener) in listeners.into_iter().enumerate() {
            let (state, serve) = (Arc::clone(&state), serve.clone());
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    if stream.set_nodelay(true).is_ok() {
                        let served = tokio::spawn(serve(stream, server, Arc::clone(&state)));
                        state.lock().unwrap().connections.push(served);
                    }
                }
            });
        }
        Self { state }
    }
}

/// A count of the cells that follow.
fn counted(row: &Row) -> proto::ResultMessage {
    let count = Some(i32::try_from(row.len()).unwrap());
    proto::ResultMessage { associated_cell_count: count, ..proto::ResultMessage::default() }
}

impl State {
    /// Chooses the fault of a call.
    fn mischief(&mut self) -> Option<usize> {
        let Mischief { percent, only } = self.mischief;
        let is_wrong = self.random.below(100) < percent;
        let kind = self.random.below(KINDS);
        is_wrong.then(|| only.unwrap_or(kind))
    }

    /// Returns the exception of a fault that replaces any response.
    fn exception_instead(&mut self, mischief: Option<usize>) -> Option<Answer> {
        Some(match mischief? {
            11 => Answer::exception("org.apache.hadoop.hbase.NotServingRegionException", "moved away"),
            12 => {
                // to any server, which may not exist, and back
                self.moves += 1;
                let port = [self.ports[0], self.ports[1], 1][self.random.below(3)];
                Answer::exception(MOVED, &self.moved_to(port))
            }
            13 => Answer::exception("java.io.IOException", "disk on fire"),
            14 => Answer::exception("org.apache.hadoop.hbase.CallQueueTooBigException", "later"),
            15 => {
                let mut answer = Answer::exception("org.apache.hadoop.hbase.DoNotRetryIOException", "never");
                answer.exception.as_mut().unwrap().2 = true;
                answer
            }
            _ => return None,
        })
    }

    fn answer(&mut self, asked: usize, method: &str, param: Bytes, mischief: Option<usize>) -> Answer {
        let server = server_name("127.0.0.1", self.ports[0].into(), START_CODE);
        let is_registry = method.starts_with("Get") && method != "Get";
        if let Some(answer) = self.exception_instead(mischief.filter(|_| !is_registry)) {
            return answer;
        }
        match method {
            "GetClusterId" => Answer::of(&proto::GetClusterIdResponse { cluster_id: Some("id".into()) }),
            "GetMetaRegionLocations" => {
                let location = proto::RegionLocationMessage {
                    region_info: Some(proto::ReplicaOfRegion { replica_id: Some(0) }),
                    server_name: Some(server),
                    seq_num: Some(-1),
                };
                Answer::of(&proto::GetMetaRegionLocationsResponse { meta_locations: vec![location] })
            }
            "GetActiveMaster" => Answer::of(&proto::GetActiveMasterResponse { server_name: Some(server) }),
            "GetTableDescriptors" => {
                Answer::of(&proto::GetTableDescriptorsResponse { table_schema: self.schemas.clone() })
            }
            "Get" => {
                let request = proto::GetRequest::decode(param).unwrap();
                let region = request.region.as_ref();
                let redirect = self.redirect(asked, region).map(|text| Answer::exception(MOVED, &text));
                redirect.or_else(|| self.by_replica(region)).unwrap_or_else(|| self.get(&request))
            }
            "Mutate" => {
                let request = proto::MutateRequest::decode(param).unwrap();
                let mutation = MutationFields::decode(request.mutation.clone().unwrap()).unwrap();
                if mutation.kind == Some(INCREMENT) && (request.condition.is_none() || self.are_old) {
                    return self.increment(request.nonce_group.unwrap(), mutation);
                }
                let response = proto::MutateResponse { processed: Some(true), result: None };
                Answer::of(&response)
            }
            "Multi" if self.silent == Some(asked) => Answer { is_silent: true, ..Answer::default() },
            "Multi" => {
                let request = proto::MultiRequest::decode(param).unwrap();
                let region = request.region_action[0].region.as_ref();
                self.by_replica(region).unwrap_or_else(|| self.multi(asked, &request))
            }
            "Scan" => {
                let request = proto::ScanRequest::decode(param).unwrap();
                let region = request.region.as_ref();
                let redirect = self.redirect(asked, region).map(|text| Answer::exception(MOVED, &text));
                redirect.or_else(|| self.by_replica(region)).unwrap_or_else(|| self.scan(&request, mischief))
            }
            "CreateTable" => self.master.create(param),
            "Snapshot" => self.master.answer("Snapshot", param),
            "RestoreSnapshot" => self.master.answer("RestoreSnapshot", param),
            "DeleteSnapshot" => self.master.answer("DeleteSnapshot", param),
            "GetCompletedSnapshots" => self.master.list(),
            "getProcedureResult" => self.master.result(),
            "FlushRegion" => {
                if let Some(key) = self.splits_at_flush.take() {
                    self.split(key.as_bytes());
                }
                let request = FlushRegionRequest::decode(param).unwrap();
                if self.replica(request.region.unwrap().value.as_deref().unwrap()).is_none() {
                    let class = "org.apache.hadoop.hbase.NotServingRegionException";
                    return Answer::exception(class, "split");
                }
                self.flushed += 1;
                Answer { delay: self.flush_delay, ..Answer::of(&proto::Empty {}) }
            }
            _ => Answer::exception("org.apache.hadoop.hbase.exceptions.UnknownProtocolException", method),
        }
    }

    /// Splits the region of a row there.
    fn split(&mut self, key: &[u8]) {
        let at = self.regions.iter().position(|region| region.contains(key)).unwrap();
        let parent = self.regions.remove(at);
        let daughter = |start: &[u8], end: &[u8]| {
            RegionInfo::new(parent.table().clone(), start.to_vec(), end.to_vec(), parent.region_id() + 1)
                .unwrap()
        };
        self.regions.insert(at, daughter(key, parent.end_key()));
        self.regions.insert(at, daughter(parent.start_key(), key));
    }

    /// Merges the region of a row with the one after it.
    fn merge(&mut self, key: &[u8]) {
        let at = self.regions.iter().position(|region| region.contains(key)).unwrap();
        let (first, second) = (self.regions[at].clone(), self.regions.remove(at + 1));
        let (table, id) = (first.table().clone(), first.region_id() + 1);
        let (start, end) = (first.start_key().to_vec(), second.end_key().to_vec());
        self.regions[at] = RegionInfo::new(table, start, end, id).unwrap();
    }

    /// Increments a counter, unless that was done for the same nonce, and returns it.
    fn increment(&mut self, nonce_group: u64, mutation: MutationFields) -> Answer {
        let row = mutation.row.unwrap();
        let value = mutation.columns[0].values[0].value.as_deref().unwrap();
        let counter = self.counters.entry(row.clone()).or_default();
        if self.nonces.insert((nonce_group, mutation.nonce.unwrap())) {
            *counter += i64::from_be_bytes(value.try_into().unwrap());
        }
        let mut cells = RowBuf::new();
        push(&mut cells, &row, "f", "n", &counter.to_be_bytes());
        let cells = cells.freeze();
        // servers report this for puts and deletes, and for writes with a condition
        let response = proto::MutateResponse { processed: None, result: Some(counted(&cells)) };
        let closes = self.lost_answers > 0;
        self.lost_answers = self.lost_answers.saturating_sub(1);
        Answer { closes, cells: vec![cells], ..Answer::of(&response) }
    }

    /// Returns the response of an unusable replica of a region to any call.
    fn by_replica(&mut self, region: Option<&proto::RegionSpecifier>) -> Option<Answer> {
        let (_, replica_id) = self.replica(region?.value.as_deref().unwrap())?;
        self.asked.push(replica_id);
        if self.replicas.silent.contains(&replica_id) {
            return Some(Answer { is_silent: true, ..Answer::default() });
        }
        let mut answer = Answer::exception("org.apache.hadoop.hbase.DoNotRetryIOException", "broken");
        answer.exception.as_mut().unwrap().2 = true;
        self.replicas.broken.contains(&replica_id).then_some(answer)
    }

    /// Returns the response of a server while it claims that the other one has a region.
    fn redirect(&self, asked: usize, region: Option<&proto::RegionSpecifier>) -> Option<String> {
        self.redirects_until.filter(|until| Instant::now() < *until)?;
        self.replica(region?.value.as_deref().unwrap())?;
        Some(self.moved_to(self.ports[1 - asked]))
    }

    fn moved_to(&self, port: u16) -> String {
        let to = format!("hostname=127.0.0.1 port={port} startCode={START_CODE}");
        format!("Region moved to: {to}. As of locationSeqNum={}.", self.moves)
    }

    fn get(&mut self, request: &proto::GetRequest) -> Answer {
        let name = request.region.as_ref().unwrap().value.as_deref().unwrap();
        let get = request.get.clone().unwrap();
        let is_question = proto::ExistenceOnly::decode(get.clone()).unwrap().existence_only == Some(true);
        self.questions += usize::from(is_question);
        let row = RowField::decode(get).unwrap().row.unwrap();
        if name == RegionInfo::meta().name() {
            self.states += 1;
            let mut state = RowBuf::new();
            push(&mut state, &row, "table", "state", &[8, self.master.state]);
            return self.rows_of_get(state.freeze(), 0);
        }
        match self.replica(name) {
            Some((region, _)) if region.contains(&row) && is_question => {
                let exists = Some(!row_of(&row).is_empty());
                let result = proto::ResultMessage { exists, ..proto::ResultMessage::default() };
                Answer::of(&proto::GetResponse { result: Some(result) })
            }
            Some((region, replica_id)) if region.contains(&row) => self.rows_of_get(row_of(&row), replica_id),
            _ => Answer::exception("org.apache.hadoop.hbase.NotServingRegionException", "not here"),
        }
    }

    fn rows_of_get(&self, row: Row, replica_id: u16) -> Answer {
        let result = Some(proto::ResultMessage { stale: Some(replica_id > 0), ..counted(&row) });
        Answer { cells: vec![row], ..Answer::of(&proto::GetResponse { result }) }
    }

    /// Returns the region of a name, and the replica of it.
    fn replica(&self, name: &[u8]) -> Option<(&RegionInfo, u16)> {
        let replicas =
            self.regions.iter().flat_map(|region| (0..self.replicas.count).map(move |id| (region, id)));
        replicas.into_iter().find(|(region, id)| region.replica(*id).name() == name)
    }

    fn multi(&mut self, asked: usize, request: &proto::MultiRequest) -> Answer {
        if let [action] = &request.region_action[..]
            && action.atomic == Some(true)
        {
            return Self::atomic(action, request.condition.is_some());
        }
        self.multis += 1;
        let (mut results, mut cells) = (Vec::new(), Vec::new());
        for action in &request.region_action {
            let name = action.region.as_ref().unwrap().value.as_deref().unwrap();
            let stale = self.replica(name).map(|(_, replica_id)| replica_id > 0);
            let mut result = proto::RegionActionResult::default();
            if let Some(text) = self.redirect(asked, action.region.as_ref()) {
                let value = Some(format!("{MOVED}: {text}").into());
                result.exception = Some(proto::NamedException { name: Some(MOVED.into()), value });
            } else if stale.is_none() || self.mischief.percent > 0 && self.random.below(8) == 0 {
                result.exception = Some(proto::NamedException {
                    name: Some("org.apache.hadoop.hbase.NotServingRegionException".into()),
                    value: Some("gone".into()),
                });
            } else {
                for action in &action.action {
                    let message = action.get.clone().or_else(|| action.mutation.clone());
                    let row = RowField::decode(message.unwrap()).unwrap().row.unwrap();
                    let is_too_large = cells.len() >= self.most_actions;
                    let failing = is_too_large.then_some(&("MultiActionResultTooLarge", "enough"));
                    if let Some((class, text)) = failing.or_else(|| self.failing.get(&row)) {
                        result.result_or_exception.push(proto::ResultOrException {
                            index: action.index,
                            result: None,
                            exception: Some(proto::NamedException {
                                name: Some(format!("org.apache.hadoop.hbase.{class}")),
                                value: Some(format!("org.apache.hadoop.hbase.{class}: {text}").into()),
                            }),
                        });
                        continue;
                    }
                    let row = row_of(&row);
                    result.result_or_exception.push(proto::ResultOrException {
                        index: action.index,
                        result: Some(proto::ResultMessage { stale, ..counted(&row) }),
                        exception: None,
                    });
                    cells.push(row);
                }
            }
            results.push(result);
        }
        Answer {
            cells,
            ..Answer::of(&proto::MultiResponse { region_action_result: results, processed: None })
        }
    }

    /// Answers to mutations of one row, all applied, with the cells of the row; without, as servers from 2.4
    /// on if the condition is where older ones look for it.
    fn atomic(action: &proto::RegionAction, is_old: bool) -> Answer {
        let row = RowField::decode(action.action[0].mutation.clone().unwrap()).unwrap().row.unwrap();
        let row = row_of(&row);
        let result = |index: usize| proto::ResultOrException {
            index: Some(u32::try_from(index).unwrap()),
            result: (index == 0 && !is_old).then(|| counted(&row)),
            exception: None,
        };
        let result = proto::RegionActionResult {
            result_or_exception: (0..action.action.len()).map(result).collect(),
            exception: None,
            processed: (!is_old).then_some(true),
        };
        let response =
            proto::MultiResponse { region_action_result: vec![result], processed: is_old.then_some(true) };
        Answer { cells: if is_old { Vec::new() } else { vec![row] }, ..Answer::of(&response) }
    }

    /// Returns the rows of the catalog, in its order.
    fn catalog(&self) -> Vec<Row> {
        let row = |(at, region): (usize, &RegionInfo)| {
            let info = RegionFields {
                region_id: Some(region.region_id().cast_unsigned()),
                table_name: Some(TableFields {
                    namespace: Some("default".into()),
                    qualifier: Some("t".into()),
                }),
                start_key: Some(Bytes::copy_from_slice(region.start_key())),
                end_key: Some(Bytes::copy_from_slice(region.end_key())),
            };
            let mut row = RowBuf::new();
            let server = |id: u16| {
                let port = self.ports[(at + usize::from(id)) % 2];
                format!("127.0.0.1:{}", if self.replicas.gone.contains(&id) { 1 } else { port })
            };
            push(
                &mut row,
                &region.name(),
                "info",
                "regioninfo",
                &[b"PBUF", &info.encode_to_vec()[..]].concat(),
            );
            for column in ["seqnumDuringOpen", "server", "serverstartcode"] {
                for id in 0..self.replicas.count {
                    let name = if id == 0 { column.to_owned() } else { format!("{column}_{id:04X}") };
                    let value = match column {
                        "seqnumDuringOpen" => 2_i64.to_be_bytes().to_vec(),
                        "server" => server(id).into_bytes(),
                        _ => START_CODE.to_be_bytes().to_vec(),
                    };
                    push(&mut row, &region.name(), "info", &name, &value);
                }
            }
            // the first region is in a state that a later version has
            let state = if at == 0 { "RESTING" } else { "OPEN" };
            push(&mut row, &region.name(), "info", "state", state.as_bytes());
            row.freeze()
        };
        self.regions.iter().enumerate().map(row).collect()
    }
}

/// Returns the row with a key.
fn row_of(key: &[u8]) -> Row {
    let number = std::str::from_utf8(key).ok().and_then(|key| key.strip_prefix("row-")?.parse().ok());
    expected_row(number.unwrap_or(ROWS))
}
