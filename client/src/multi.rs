//! Many gets or mutations, with one call for each server (HBase: `AsyncBatchRpcRetryingCaller`).

mod actions;
mod results;

pub(crate) use actions::Action;

use crate::bounded::Undecoded;
use crate::call_target::CallTarget;
use crate::cell_block::row_of;
use crate::client::ClientCore;
use crate::fault::Fault;
use crate::proto;
use crate::results::check_row;
use crate::setback::{Setback, Wait};
use crate::table::Table;
use crate::timeline::Wanted;
use crate::tries::Tries;
use actions::{MAX_CALL, RegionRequest, ServerRequest, add, calls_of, take_out};
use hregion::locator::{LocateType, RegionException};
use hregion::{
    Corruption, Deadline, Error, ErrorKind, ReadFrom, RegionInfo, RegionLocations, Result, Row, ServerName,
};
use results::{InDoubt, Results};
use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

/// The outcome of an action: its index, and its result.
type Outcome = (usize, Result<Row, Fault>);

impl Table {
    /// Executes actions, and returns the result of each, in order.
    pub(crate) async fn multi(&self, actions: Vec<Action>, tries: Tries<'_>) -> Vec<Result<Row>> {
        let actions = Arc::new(actions);
        let results = Results::new(actions.len());
        let all = (0..actions.len()).collect();
        if actions.iter().any(|action| action.from == ReadFrom::Any) {
            self.multi_of_copies(&actions, all, tries, &results).await;
        } else {
            self.attempts(&actions, all, None, tries, &results).await;
        }
        results.take()
    }

    /// Executes actions. If the primary replica fails, or does not respond in time, the other replicas also
    /// execute the actions that any replica may execute.
    async fn multi_of_copies(
        &self,
        actions: &Arc<Vec<Action>>,
        all: Vec<usize>,
        tries: Tries<'_>,
        results: &Results,
    ) {
        let mut primary = Box::pin(self.attempts(actions, all, None, tries.clone(), results));
        let first = timeout(self.core.settings.primary_multiget, &mut primary).await;
        let left: Vec<usize> =
            (0..actions.len()).filter(|at| actions[*at].from == ReadFrom::Any && !results.has(*at)).collect();
        if left.is_empty() {
            if first.is_err() {
                primary.await;
            }
            return;
        }
        let mut primary = first.is_err().then_some(primary);
        let mut others = Some(Box::pin(self.ask_others(actions, left, tries, results)));
        poll_fn(|context| {
            if primary.as_mut().is_some_and(|calls| calls.as_mut().poll(context).is_ready()) {
                primary = None;
            }
            if others.as_mut().is_some_and(|calls| calls.as_mut().poll(context).is_ready()) {
                others = None;
            }
            match (primary.is_none() && others.is_none()) || results.are_final(actions) {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        })
        .await;
    }

    /// Executes actions on all replicas but the primary one, each at the same time, except those that have
    /// succeeded while their replicas were looked up.
    async fn ask_others(
        &self,
        actions: &Arc<Vec<Action>>,
        left: Vec<usize>,
        tries: Tries<'_>,
        results: &Results,
    ) {
        let mut by_replica: BTreeMap<u16, Vec<usize>> = BTreeMap::new();
        for at in left {
            if results.has(at) {
                continue;
            }
            let wanted = Wanted { table: &self.name, row: &actions[at].row, position: LocateType::At };
            let replicas = self.core.replicas(wanted, tries.deadline()).await;
            (1..replicas).for_each(|id| by_replica.entry(id).or_default().push(at));
        }
        let ask = |(id, mut left): (u16, Vec<usize>)| {
            left.retain(|at| !results.has(*at));
            Some(Box::pin(self.attempts(actions, left, Some(id), tries.clone(), results)))
        };
        let mut asked: Vec<_> = by_replica.into_iter().map(ask).collect();
        poll_fn(|context| {
            for place in &mut asked {
                if place.as_mut().is_some_and(|calls| calls.as_mut().poll(context).is_ready()) {
                    *place = None;
                }
            }
            if asked.iter().all(Option::is_none) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Executes actions until each has a result: on a replica, or on those that they are for. Those of a
    /// server are tried again when it has responded, regardless of the others.
    async fn attempts(
        &self,
        actions: &Arc<Vec<Action>>,
        left: Vec<usize>,
        replica: Option<u16>,
        tries: Tries<'_>,
        results: &Results,
    ) {
        let mut batch = Batch::new(self, actions, replica, results);
        batch.call(Branch { left, tries, redirected: HashSet::new() }).await;
        loop {
            match batch.ended.pop_front() {
                Some((branch, Some(faults))) => batch.take(branch, faults).await,
                Some((branch, None)) => batch.call(branch).await,
                None => match batch.steps.join_next().await {
                    Some(done) => batch.receive(done),
                    None => return,
                },
            }
        }
    }

    /// Finds the servers and regions of actions. Also returns the actions for which they cannot be found.
    /// After the catalog has not responded, it is not asked for the others: each would wait as long.
    async fn group(
        &self,
        actions: &[Action],
        left: &[usize],
        replica: Option<u16>,
        tries: &Tries<'_>,
        unanswered: &mut Option<Unanswered>,
    ) -> (HashMap<ServerName, ServerRequest>, Vec<(usize, Error)>) {
        let (mut servers, mut failed) = (HashMap::<ServerName, ServerRequest>::new(), Vec::new());
        let has_server =
            |replica_id: u16| move |known: &RegionLocations| known.server_of(replica_id).is_some();
        // all writes of a row have one location: another server could execute a later one before
        let regions = self.core.locator.cache().known_regions(&self.name);
        let mut unknown = Vec::new();
        for &at in left {
            let replica_id = replica.unwrap_or(match actions[at].from {
                ReadFrom::Primary | ReadFrom::Any => 0,
                ReadFrom::Replica(id) => id,
            });
            let known = regions.get(&actions[at].row).map(RegionLocations::from);
            match known.filter(has_server(replica_id)) {
                Some(known) => add(&mut servers, known, replica_id, at),
                None => unknown.push((at, replica_id)),
            }
        }
        if unknown.is_empty() {
            return (servers, failed);
        }
        // a lookup finds some regions before the one of its row, too
        unknown.sort_unstable_by_key(|(at, _)| Reverse(&actions[*at].row));
        let mut last: Option<(usize, u16, Result<RegionLocations>)> = None;
        for (at, replica_id) in unknown {
            let row = &actions[at].row;
            let is_same = |(other, id, _): &(usize, u16, _)| *id == replica_id && actions[*other].row == *row;
            let same = last.take().filter(is_same).map(|(_, _, same)| same);
            let known = || self.core.known(&self.name, row, LocateType::At).filter(has_server(replica_id));
            let found = match (same.or_else(|| known().map(Ok)), &*unanswered) {
                (Some(found), _) => found,
                (None, Some((_, _, error))) => Err(error.clone()),
                (None, None) => {
                    let deadline = tries.deadline();
                    self.core.locate(&self.name, row, LocateType::At, replica_id, deadline).await
                }
            };
            last = Some((at, replica_id, found.clone()));
            match found {
                Ok(locations) if locations.server_of(replica_id).is_some() => {
                    add(&mut servers, locations, replica_id, at);
                }
                Ok(_) => {
                    let error = Error::new(ErrorKind::NoServerForRegion, "no server has the region");
                    failed.push((at, error));
                }
                Err(error) => {
                    if error.kind() == ErrorKind::Io && unanswered.is_none() {
                        *unanswered = Some((tries.attempt(), Instant::now(), error.clone()));
                    }
                    failed.push((at, error));
                }
            }
        }
        for ServerRequest { regions, .. } in servers.values_mut() {
            regions.iter_mut().for_each(|region| region.actions.sort_unstable());
            regions.sort_unstable_by_key(|region| region.actions.first().copied());
        }
        (servers, failed)
    }
}

/// The attempt in which the catalog did not respond, with the time and the reason.
type Unanswered = (u32, Instant, Error);

/// For how long it is not asked again in that attempt: branches may have waited for the one that asked it.
const RECENTLY: Duration = Duration::from_secs(1);

/// Actions that are tried again together.
struct Branch<'c> {
    left: Vec<usize>,
    tries: Tries<'c>,
    /// The replicas of regions whose last server named another one.
    redirected: HashSet<(RegionInfo, u16)>,
}

/// The faults of calls of a server, by region.
type Faults = Vec<(RegionRequest, Vec<(usize, Fault)>)>;

/// The step that has ended.
enum Step {
    /// The calls of a server, with the outcomes of each region.
    Called(Vec<(RegionRequest, Vec<Outcome>)>),
    /// The pause before the next attempt.
    Paused,
}

/// Actions that are executed, in branches.
struct Batch<'b, 'c> {
    table: &'b Table,
    actions: &'b Arc<Vec<Action>>,
    /// The replica to call, if it is not that of each action.
    replica: Option<u16>,
    results: &'b Results,
    in_doubt: InDoubt,
    /// Whether the table is enabled, by the number of the attempt in which the catalog was asked.
    is_enabled: HashMap<u32, Result<()>>,
    unanswered: Option<Unanswered>,
    /// The branches with a step in progress, by number, and the number of branches so far.
    branches: HashMap<usize, Branch<'c>>,
    count: usize,
    steps: JoinSet<(usize, Step)>,
    /// The branches whose step has ended, with the faults of the calls of a server; `None` after a pause.
    ended: VecDeque<(Branch<'c>, Option<Faults>)>,
}

impl<'b, 'c> Batch<'b, 'c> {
    fn new(
        table: &'b Table,
        actions: &'b Arc<Vec<Action>>,
        replica: Option<u16>,
        results: &'b Results,
    ) -> Self {
        Self {
            table,
            actions,
            replica,
            results,
            in_doubt: InDoubt::default(),
            is_enabled: HashMap::new(),
            unanswered: None,
            branches: HashMap::new(),
            count: 0,
            steps: JoinSet::new(),
            ended: VecDeque::new(),
        }
    }

    /// Begins a step of a branch.
    fn begin(&mut self, branch: Branch<'c>, step: impl Future<Output = Step> + Send + 'static) {
        let id = self.count;
        self.count += 1;
        self.branches.insert(id, branch);
        self.steps.spawn(async move { (id, step.await) });
    }

    /// Receives a step that has ended. Its rows are results immediately; its faults are for
    /// [`take`](Self::take).
    fn receive(&mut self, done: Result<(usize, Step), JoinError>) {
        // a task fails only if the runtime ends
        let Ok((id, step)) = done else { return };
        let Some(branch) = self.branches.remove(&id) else { return };
        let fault_of = |(at, outcome): Outcome| match outcome {
            Ok(row) => {
                self.results.add(at, Ok(row));
                None
            }
            Err(fault) => Some((at, fault)),
        };
        let faults_of = |(region, outcomes): (RegionRequest, Vec<Outcome>)| {
            let faults: Vec<(usize, Fault)> = outcomes.into_iter().filter_map(fault_of).collect();
            (region, faults)
        };
        let faults = match step {
            Step::Called(answers) => Some(answers.into_iter().map(faults_of).collect()),
            Step::Paused => None,
        };
        self.ended.push_back((branch, faults));
    }

    /// Waits for the catalog. Steps that end in the meantime are received, so that other replicas are not
    /// asked for rows that have arrived.
    async fn meanwhile<T>(&mut self, answer: impl Future<Output = T>) -> T {
        let mut answer = pin!(answer);
        poll_fn(|context| {
            while let Poll::Ready(Some(done)) = self.steps.poll_join_next(context) {
                self.receive(done);
            }
            answer.as_mut().poll(context)
        })
        .await
    }

    /// Begins to call the servers of the actions of a branch, each in a branch of its own.
    async fn call(&mut self, branch: Branch<'c>) {
        let Branch { left, tries, redirected } = branch;
        let (table, actions, attempt) = (self.table, self.actions, tries.attempt());
        let is_valid = |(other, since, _): &Unanswered| *other == attempt && since.elapsed() < RECENTLY;
        let mut unanswered = self.unanswered.take().filter(is_valid);
        let found = table.group(actions, &left, self.replica, &tries, &mut unanswered);
        let (servers, failed) = self.meanwhile(found).await;
        self.unanswered = unanswered;
        for ServerRequest { regions, .. } in servers.into_values() {
            let left = regions.iter().flat_map(|region| region.actions.iter().copied()).collect();
            let (core, actions) = (Arc::clone(&table.core), Arc::clone(actions));
            let (time, deadline) = (tries.call_time(), tries.deadline());
            let called =
                async move { Step::Called(call_in_parts(&core, regions, &actions, time, deadline).await) };
            self.begin(Branch { left, tries: tries.clone(), redirected: redirected.clone() }, called);
        }
        let (mut again, mut longest) = (Vec::new(), None);
        for (at, error) in failed {
            match Setback::of_location(error) {
                // the others need not wait for it
                Ok(setback) if tries.is_in_vain(&setback) => {
                    self.fail(at, tries.clone().end(&setback.error));
                }
                Ok(setback) => {
                    again.push(at);
                    tries.keep_longest(&mut longest, setback);
                }
                Err(error) => self.fail(at, error),
            }
        }
        self.pause(Branch { left: again, tries, redirected: HashSet::new() }, longest);
    }

    /// Takes the faults of the calls of a server.
    async fn take(&mut self, branch: Branch<'c>, faults: Faults) {
        let Branch { left, tries, redirected: before } = branch;
        let (mut again, mut longest, mut redirected) = (Vec::new(), None, HashSet::new());
        let (table, attempt) = (self.table, tries.attempt());
        let mut is_enabled = self.is_enabled.remove(&attempt);
        for (region, faults) in faults {
            let mut corrected = None;
            let replica = (region.locations.region().clone(), region.replica_id);
            let was_redirected = before.contains(&replica);
            let mut is_redirected = false;
            for (at, mut fault) in faults {
                is_redirected |= fault.is_redirect_after(was_redirected);
                self.in_doubt.note(at, &self.actions[at], &fault);
                // the location is corrected once for a region, unless the next action has another fault
                let correction: &Result<()> = match &mut corrected {
                    Some((kind, known)) if *kind == fault.kind => known,
                    known => {
                        let (used, id, deadline) = (&region.locations, region.replica_id, tries.deadline());
                        let done = table.core.correct(used, id, &fault.kind, deadline, &mut is_enabled);
                        let done = self.meanwhile(done).await;
                        &known.insert((fault.kind.clone(), done)).1
                    }
                };
                match correction.clone().and_then(|()| Setback::of_fault(fault)) {
                    // the others need not wait for it
                    Ok(setback) if tries.is_in_vain(&setback) => {
                        self.fail(at, tries.clone().end(&setback.error));
                    }
                    Ok(setback) => {
                        again.push(at);
                        tries.keep_longest(&mut longest, setback);
                    }
                    Err(error) => self.fail(at, error),
                }
            }
            if is_redirected {
                redirected.insert(replica);
            }
        }
        if let Some(is_enabled) = is_enabled {
            self.is_enabled.insert(attempt, is_enabled);
        }
        // a server that has executed some has not failed; each time, there are fewer left
        let goes_on = again.len() < left.len() && !tries.deadline().remaining().is_zero();
        let setback = longest.filter(|setback| setback.wait != Wait::None || !goes_on);
        self.pause(Branch { left: again, tries, redirected }, setback);
    }

    /// Begins the pause before the next attempt of a branch, after a setback that needs one. If there is no
    /// attempt left, its actions have failed.
    fn pause(&mut self, mut branch: Branch<'c>, setback: Option<Setback>) {
        if branch.left.is_empty() {
            return;
        }
        // of several for a row, the last one counts
        branch.left.sort_unstable();
        match setback.map_or(Ok(Duration::ZERO), |setback| branch.tries.next_pause(setback)) {
            Ok(pause) => self.begin(branch, async move {
                sleep(pause).await;
                Step::Paused
            }),
            Err(error) => branch.left.iter().for_each(|at| self.fail(*at, error.clone())),
        }
    }

    /// Ends an action.
    fn fail(&self, at: usize, error: Error) {
        self.results.add(at, Err(self.in_doubt.error_of(at, error)));
    }
}

/// Executes the actions of a server, with one call after the other if they are too large for one. Returns the
/// outcomes of each region.
async fn call_in_parts(
    core: &ClientCore,
    regions: Vec<RegionRequest>,
    actions: &[Action],
    time: Duration,
    deadline: Deadline,
) -> Vec<(RegionRequest, Vec<Outcome>)> {
    let mut all: Vec<(RegionRequest, Vec<Outcome>)> = Vec::new();
    let mut again: HashMap<&[u8], Fault> = HashMap::new();
    for mut regions in calls_of(regions, actions, MAX_CALL) {
        // an earlier write of a row would be repeated after a later one, and count
        for (region, faults) in take_out(&mut regions, |at| again.get(&actions[at].row[..])) {
            all.push((region, faults.into_iter().map(|(at, fault)| (at, Err(fault.of_unsent()))).collect()));
        }
        let outcomes = call_server(core, &regions, actions, time.min(deadline.remaining())).await;
        let failed = |fault: Fault| {
            let all = regions
                .iter()
                .map(|region| region.actions.iter().map(|at| (*at, Err(fault.clone()))).collect());
            all.collect()
        };
        let outcomes: Vec<Vec<Outcome>> = outcomes.unwrap_or_else(failed);
        for (at, outcome) in outcomes.iter().flatten() {
            if let Err(fault) = outcome
                && fault.kind != RegionException::Fatal
            {
                again.insert(&actions[*at].row, fault.clone());
            }
        }
        all.extend(regions.into_iter().zip(outcomes));
    }
    all
}

/// Executes the actions of a server. Returns the outcomes of each region.
async fn call_server(
    core: &ClientCore,
    regions: &[RegionRequest],
    actions: &[Action],
    time: Duration,
) -> Result<Vec<Vec<Outcome>>, Fault> {
    let Some(first) = regions.first() else { return Ok(Vec::new()) };
    // connecting uses up some of the time
    let deadline = Deadline::after(time);
    let connected = core.connect(&first.locations, first.replica_id, deadline).await;
    let connection = connected.map_err(Fault::of_unsent)?;
    let mut target = CallTarget::new(core, first.locations.clone(), first.replica_id, connection);
    let of_region = |region: &RegionRequest| proto::RegionAction {
        region: Some(proto::RegionSpecifier::of_copy(region.locations.region(), region.replica_id)),
        atomic: None,
        action: region
            .actions
            .iter()
            .map(|&at| proto::ActionMessage { index: u32::try_from(at).ok(), ..actions[at].message.clone() })
            .collect(),
        condition: None,
    };
    let request = proto::MultiRequest {
        region_action: regions.iter().map(of_region).collect(),
        nonce_group: Some(core.nonce_group()),
        condition: None,
    };
    let answer = target.call::<Undecoded>("Multi", &request, deadline.remaining()).await?;
    let connection = &target.connection;
    let asked = regions.iter().map(|region| region.actions.len()).sum();
    let response = answer.message.read(asked);
    response
        .and_then(|response| outcomes(connection.server(), regions, actions, response, answer.cells))
        .map_err(|corruption| connection.give_up(&corruption))
}

/// Reads the answer of a server: the outcomes of each region.
fn outcomes(
    server: &str,
    regions: &[RegionRequest],
    actions: &[Action],
    response: proto::MultiResponse,
    mut cells: crate::cell_block::CellBlock,
) -> Result<Vec<Vec<Outcome>>, Corruption> {
    if response.region_action_result.len() != regions.len() {
        return Err(Corruption::Malformed("answer for another number of regions than was asked for"));
    }
    let mut all = Vec::new();
    for (region, result) in regions.iter().zip(response.region_action_result) {
        let mut of_region: Vec<Outcome> = Vec::new();
        if let Some(exception) = &result.exception {
            let fault = Fault::of_named(server, exception);
            of_region.extend(region.actions.iter().map(|at| (*at, Err(fault.clone()))));
        } else {
            let mut missing: HashSet<usize> = region.actions.iter().copied().collect();
            for result in result.result_or_exception {
                let at = result.index.and_then(|index| usize::try_from(index).ok());
                let Some(at) = at.filter(|at| missing.remove(at)) else {
                    return Err(Corruption::Malformed("result of an action that was not sent, or sent once"));
                };
                let outcome = match &result.exception {
                    Some(exception) if region.actions.len() > 1 => {
                        Err(Fault::of_named(server, exception).of_several())
                    }
                    Some(exception) => Err(Fault::of_named(server, exception)),
                    None => {
                        let row = row_of(&result.result.unwrap_or_default(), &mut cells)?;
                        check_row(&row, &actions[at].row)?;
                        Ok(row)
                    }
                };
                of_region.push((at, outcome));
            }
            if !missing.is_empty() {
                return Err(Corruption::Malformed("answer with fewer results than actions"));
            }
        }
        all.push(of_region);
    }
    cells.finish()?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Client;
    use bytes::Bytes;
    use hregion::locator::{LocationOrigin, Replica};
    use hregion::{RowBuf, TableName};
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn actions(count: u8) -> Arc<Vec<Action>> {
        Arc::new((0..count).map(|row| Action::mutation(&[row], Bytes::new())).collect())
    }

    /// Regions are looked up in another order.
    #[tokio::test]
    async fn actions_whose_regions_are_not_found_keep_their_order() {
        let client = Client::builder().bootstrap("localhost").unwrap();
        let table = client.table(&TableName::parse("t").unwrap());
        let (actions, results, left) = (actions(9), Results::new(9), Vec::from_iter(0..9));
        let mut batch = Batch::new(&table, &actions, None, &results);
        let tries = Tries::new(&table.core);
        let error = Error::new(ErrorKind::Io, "no answer");
        batch.unanswered = Some((tries.attempt(), Instant::now(), error));
        batch.call(Branch { left: left.clone(), tries, redirected: HashSet::new() }).await;
        assert!(batch.branches.values().map(|branch| &branch.left).eq([&left]));
    }

    /// Otherwise a server could execute the last one before another server executes the others.
    #[test]
    fn writes_of_a_row_have_one_location_while_it_changes() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _entered = runtime.enter();
        let client = Client::builder().bootstrap("localhost").unwrap();
        let table = client.table(&TableName::parse("t").unwrap());
        let region = RegionInfo::new(table.name().clone(), "", "", 1).unwrap();
        let on = |port: u16| {
            let server = ServerName::new("h", port, 5).unwrap();
            RegionLocations::new(region.clone(), [Replica::on(server, 2)])
        };
        let (cache, places) = (client.0.locator.cache(), [on(1), on(2)]);
        let change = || places.iter().for_each(|place| cache.insert(place.clone(), LocationOrigin::LookedUp));
        change();
        let actions: Vec<Action> = (0..1000).map(|_| Action::mutation(b"r", Bytes::new())).collect();
        let left: Vec<usize> = (0..actions.len()).collect();
        let tries = Tries::new(&table.core);
        let ends = AtomicBool::new(false);
        let servers: Vec<usize> = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !ends.load(Ordering::Relaxed) {
                    change();
                }
            });
            let group = |_| runtime.block_on(table.group(&actions, &left, None, &tries, &mut None)).0.len();
            let servers = (0..200).map(group).collect();
            ends.store(true, Ordering::Relaxed);
            servers
        });
        assert_eq!(servers, [1; 200]);
    }

    /// Otherwise other replicas would be asked for them, too.
    #[tokio::test]
    async fn rows_are_results_while_the_catalog_does_not_answer() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let builder = Client::builder().operation_timeout(Duration::from_secs(5));
        let client = builder.bootstrap(&silent.local_addr().unwrap().to_string()).unwrap();
        let name = TableName::parse("t").unwrap();
        let table = client.table(&name);
        let (actions, results) = (actions(2), Results::new(2));
        let mut batch = Batch::new(&table, &actions, None, &results);
        let branch =
            |at: usize| Branch { left: vec![at], tries: Tries::new(&table.core), redirected: HashSet::new() };
        let locations = RegionLocations::new(RegionInfo::new(name, "", "", 1).unwrap(), []);
        let region = RegionRequest { locations, replica_id: 0, actions: vec![1] };
        let answers = vec![(region, vec![(1, Ok(RowBuf::new().freeze()))])];
        batch.begin(branch(1), async move { Step::Called(answers) });
        let mut call = pin!(batch.call(branch(0)));
        poll_fn(|context| match (call.as_mut().poll(context), results.has(1)) {
            (_, true) => Poll::Ready(()),
            (Poll::Pending, false) => Poll::Pending,
            (Poll::Ready(()), false) => panic!("the row comes after the catalog's answer"),
        })
        .await;
    }

    /// The primary replica may respond while the regions of other rows are looked up.
    #[tokio::test]
    async fn other_replicas_are_not_asked_for_rows_that_have_arrived() {
        let silent = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Client::builder().bootstrap(&silent.local_addr().unwrap().to_string()).unwrap();
        let table = client.table(&TableName::parse("t").unwrap());
        let (actions, results) = (actions(1), Results::new(1));
        results.add(0, Ok(RowBuf::new().freeze()));
        let asked = table.ask_others(&actions, vec![0], Tries::new(&table.core), &results);
        timeout(Duration::from_secs(20), asked).await.expect("no lookup");
    }

    #[test]
    fn actions_are_divided_by_their_bytes() {
        let action = |len: &usize| Action::mutation(b"r", vec![0_u8; *len].into());
        let actions: Vec<Action> = [4, 6, 1, 9, 11, 5, 5, 2].iter().map(action).collect();
        let region = RegionInfo::new(TableName::parse("t").unwrap(), "", "", 1).unwrap();
        let of_region = |replica_id, places: &[usize]| {
            let locations = RegionLocations::new(region.clone(), []);
            RegionRequest { locations, replica_id, actions: places.to_vec() }
        };
        let divided = |regions: Vec<RegionRequest>| -> Vec<Vec<(u16, Vec<usize>)>> {
            let calls = calls_of(regions, &actions, 10).into_iter();
            calls.map(|call| call.into_iter().map(|it| (it.replica_id, it.actions)).collect()).collect()
        };
        assert!(divided(Vec::new()).is_empty());
        let found = divided(vec![of_region(0, &[0, 1, 2]), of_region(1, &[3, 4, 5]), of_region(2, &[6, 7])]);
        let expected = [
            vec![(0, vec![0, 1])],
            vec![(0, vec![2]), (1, vec![3])],
            vec![(1, vec![4])],
            vec![(1, vec![5]), (2, vec![6])],
            vec![(2, vec![7])],
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn actions_are_sent_by_region_in_their_order() {
        let table = TableName::parse("t").unwrap();
        let locations = |start: u8| {
            let region = RegionInfo::new(table.clone(), vec![start], vec![start + 1], 1).unwrap();
            RegionLocations::new(region, [])
        };
        let mut of_server = ServerRequest::default();
        for (at, start) in [5, 3, 5, 9, 3, 5].into_iter().enumerate() {
            of_server.region(locations(start), 0).actions.push(at);
        }
        let actions: Vec<&[usize]> = of_server.regions.iter().map(|region| &*region.actions).collect();
        assert_eq!(actions, [&[0, 2, 5][..], &[1, 4], &[3]]);
    }
}
