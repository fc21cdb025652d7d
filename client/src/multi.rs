//! Many gets or mutations, with one call for each server (HBase: `AsyncBatchRpcRetryingCaller`).

use crate::cell_block::row_of;
use crate::client::ClientCore;
use crate::fault::Fault;
use crate::proto;
use crate::results::check_row;
use crate::table::Table;
use crate::tries::{Setback, Tries, priority};
use bytes::Bytes;
use hregion::locator::LocateType;
use hregion::{
    Corruption, Error, ErrorKind, Get, Mutation, RegionInfo, RegionLocations, Result, Row, ServerName,
};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// A get or a mutation.
#[derive(Debug)]
pub(crate) struct Action {
    row: Bytes,
    message: proto::ActionMessage,
}

impl Action {
    pub(crate) fn get(get: &Get) -> Result<Self> {
        let message = Some(get.to_proto_bytes()?.into());
        let message = proto::ActionMessage { index: None, mutation: None, get: message };
        Ok(Self { row: Bytes::copy_from_slice(get.row()), message })
    }

    pub(crate) fn mutation(mutation: &Mutation, nonce: u64) -> Result<Self> {
        let message = Some(mutation.to_proto_bytes(nonce)?.into());
        let message = proto::ActionMessage { index: None, mutation: message, get: None };
        Ok(Self { row: Bytes::copy_from_slice(mutation.row()), message })
    }
}

/// The actions of one region, by their place among all.
struct OfRegion {
    locations: RegionLocations,
    actions: Vec<usize>,
}

/// The regions of a server, in the order of their first actions.
#[derive(Default)]
struct OfServer {
    regions: Vec<OfRegion>,
    /// Where each region is among them.
    places: HashMap<RegionInfo, usize>,
}

impl OfServer {
    /// Returns a region, which is added if it is not known yet.
    fn region(&mut self, locations: RegionLocations) -> &mut OfRegion {
        let region = locations.region();
        let place = match self.places.get(region) {
            Some(place) => *place,
            None => {
                let place = self.regions.len();
                self.places.insert(region.clone(), place);
                self.regions.push(OfRegion { locations, actions: Vec::new() });
                place
            }
        };
        &mut self.regions[place]
    }
}

/// What became of an action: its place, and its result.
type Outcome = (usize, Result<Row, Fault>);

impl Table {
    /// Executes actions, and returns the result of each, in order.
    pub(crate) async fn multi(&self, actions: Vec<Action>) -> Vec<Result<Row>> {
        let actions = Arc::new(actions);
        let mut results: Vec<Option<Result<Row>>> = actions.iter().map(|_| None).collect();
        let mut left: Vec<usize> = (0..actions.len()).collect();
        let mut tries = Tries::new(&self.core);
        while !left.is_empty() {
            let mut last = None;
            let (servers, failed) = self.group(&actions, &left, &tries).await;
            let mut again = Vec::new();
            for (at, error) in failed {
                match Setback::of_location(error) {
                    Ok(setback) => {
                        again.push(at);
                        last = Some(setback);
                    }
                    Err(error) => results[at] = Some(Err(error)),
                }
            }
            for (used, outcomes) in self.call_servers(servers, &actions, tries.call_time()).await {
                let mut reaction = None;
                for (at, outcome) in outcomes {
                    let fault = match outcome {
                        Ok(row) => {
                            results[at] = Some(Ok(row));
                            continue;
                        }
                        Err(fault) => fault,
                    };
                    // one reaction for a region, unless the next action has another fault
                    let reaction = match &reaction {
                        Some((kind, known)) if *kind == fault.kind => Clone::clone(known),
                        _ => {
                            let kind = fault.kind.clone();
                            let known = self.core.react(&used, fault, tries.deadline()).await;
                            reaction.insert((kind, known)).1.clone()
                        }
                    };
                    match reaction {
                        Ok(setback) => {
                            again.push(at);
                            last = Some(setback);
                        }
                        Err(error) => results[at] = Some(Err(error)),
                    }
                }
            }
            if let Some(setback) = last
                && let Err(error) = tries.pause(setback).await
            {
                for at in again.drain(..) {
                    results[at] = Some(Err(error.clone()));
                }
            }
            again.sort_unstable();
            left = again;
        }
        let missing = || Err(Error::locating(ErrorKind::Remote, "an action without a result"));
        results.into_iter().map(|result| result.unwrap_or_else(missing)).collect()
    }

    /// Finds the servers and regions of actions. Returns those that cannot be found too.
    async fn group(
        &self,
        actions: &[Action],
        left: &[usize],
        tries: &Tries<'_>,
    ) -> (HashMap<ServerName, OfServer>, Vec<(usize, Error)>) {
        let (mut servers, mut failed) = (HashMap::<ServerName, OfServer>::new(), Vec::new());
        for &at in left {
            let row = &actions[at].row;
            let locations = match self.core.locate(&self.name, row, LocateType::At, tries.deadline()).await {
                Ok(locations) => locations,
                Err(error) => {
                    failed.push((at, error));
                    continue;
                }
            };
            let Some(server) = locations.server() else {
                failed.push((at, Error::locating(ErrorKind::NoServerForRegion, "no server has the region")));
                continue;
            };
            let of_server = servers.entry(server.clone()).or_default();
            of_server.region(locations).actions.push(at);
        }
        (servers, failed)
    }

    /// Calls all servers at the same time. Returns the outcomes by region.
    async fn call_servers(
        &self,
        servers: HashMap<ServerName, OfServer>,
        actions: &Arc<Vec<Action>>,
        time: Duration,
    ) -> Vec<(RegionLocations, Vec<Outcome>)> {
        let mut calls = JoinSet::new();
        for OfServer { regions, .. } in servers.into_values() {
            let (core, actions) = (Arc::clone(&self.core), Arc::clone(actions));
            calls.spawn(async move {
                let results = call_server(&core, &regions, &actions, time).await;
                let failed = |fault: Fault| {
                    let all = regions.iter().map(|region| {
                        let each = region.actions.iter().map(|at| (*at, Err(fault.clone()))).collect();
                        (region.locations.clone(), each)
                    });
                    all.collect()
                };
                results.unwrap_or_else(failed)
            });
        }
        let mut outcomes = Vec::new();
        while let Some(done) = calls.join_next().await {
            // a task fails only if the runtime ends
            outcomes.extend(done.unwrap_or_default());
        }
        outcomes
    }
}

/// Executes the actions of a server.
async fn call_server(
    core: &ClientCore,
    regions: &[OfRegion],
    actions: &[Action],
    time: Duration,
) -> Result<Vec<(RegionLocations, Vec<Outcome>)>, Fault> {
    let Some(first) = regions.first() else { return Ok(Vec::new()) };
    let connection = core.connect(&first.locations, hregion::Deadline::after(time)).await?;
    let of_region = |region: &OfRegion| proto::RegionAction {
        region: Some(proto::RegionSpecifier::of(region.locations.region())),
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
    let priority = priority(first.locations.region().table());
    let answer = connection.call("Multi", &request, priority, time).await?;
    outcomes(connection.server(), regions, actions, answer.message, answer.cells)
        .map_err(|corruption| connection.give_up(&corruption))
}

/// Reads the answer of a server.
fn outcomes(
    server: &str,
    regions: &[OfRegion],
    actions: &[Action],
    response: proto::MultiResponse,
    mut cells: crate::cell_block::CellBlock,
) -> Result<Vec<(RegionLocations, Vec<Outcome>)>, Corruption> {
    if response.region_action_result.len() != regions.len() {
        return Err(Corruption::Malformed("answer for another number of regions than asked"));
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
        all.push((region.locations.clone(), of_region));
    }
    cells.finish()?;
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hregion::TableName;

    #[test]
    fn actions_are_sent_by_region_in_their_order() {
        let table = TableName::parse("t").unwrap();
        let locations = |start: u8| {
            let region = RegionInfo::new(table.clone(), vec![start], vec![start + 1], 1).unwrap();
            RegionLocations::new(region, [])
        };
        let mut of_server = OfServer::default();
        for (at, start) in [5, 3, 5, 9, 3, 5].into_iter().enumerate() {
            of_server.region(locations(start)).actions.push(at);
        }
        let actions: Vec<&[usize]> = of_server.regions.iter().map(|region| &*region.actions).collect();
        assert_eq!(actions, [&[0, 2, 5][..], &[1, 4], &[3]]);
    }
}
