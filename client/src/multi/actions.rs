//! Gets and mutations, and the regions and servers that they are sent to.

use crate::proto;
use bytes::Bytes;
use hregion::{Get, ReadFrom, RegionInfo, RegionLocations, Result, ServerName};
use std::collections::HashMap;

/// A get or a mutation.
#[derive(Debug)]
pub(crate) struct Action {
    pub(super) row: Bytes,
    pub(super) message: proto::ActionMessage,
    pub(super) from: ReadFrom,
}

impl Action {
    pub(crate) fn get(get: &Get) -> Result<Self> {
        let message = Some(get.to_proto_bytes()?.into());
        let message = proto::ActionMessage { index: None, mutation: None, get: message };
        Ok(Self { row: Bytes::copy_from_slice(get.row()), message, from: get.read_from() })
    }

    /// A mutation, which is encoded.
    pub(crate) fn mutation(row: &[u8], mutation: Bytes) -> Self {
        let message = proto::ActionMessage { index: None, mutation: Some(mutation), get: None };
        Self { row: Bytes::copy_from_slice(row), message, from: ReadFrom::Primary }
    }

    /// Returns the length of the get or mutation.
    fn len(&self) -> usize {
        let message = self.message.mutation.as_ref().or(self.message.get.as_ref());
        message.map_or(0, Bytes::len)
    }
}

/// The maximum bytes of the actions of a call. Servers refuse calls of more than 256 MiB
/// (`hbase.ipc.max.request.size`).
pub(super) const MAX_CALL: usize = 32 << 20;

/// Divides the actions of a server into calls of up to a number of bytes, or of one action, in their order.
pub(super) fn calls_of(
    regions: Vec<RegionRequest>,
    actions: &[Action],
    most: usize,
) -> Vec<Vec<RegionRequest>> {
    let (mut calls, mut len) = (Vec::<Vec<RegionRequest>>::new(), usize::MAX);
    for RegionRequest { locations, replica_id, actions: places } in regions {
        let mut is_begun = false;
        for at in places {
            len = len.saturating_add(actions[at].len());
            if len > most {
                len = actions[at].len();
                calls.push(Vec::new());
                is_begun = false;
            }
            let Some(call) = calls.last_mut() else { continue };
            match call.last_mut() {
                Some(region) if is_begun => region.actions.push(at),
                _ => call.push(RegionRequest { locations: locations.clone(), replica_id, actions: vec![at] }),
            }
            is_begun = true;
        }
    }
    calls
}

/// Takes actions out of a call, each with what `reason` returns for it.
pub(super) fn take_out<'r, R: Clone + 'r>(
    regions: &mut Vec<RegionRequest>,
    reason: impl Fn(usize) -> Option<&'r R>,
) -> Vec<(RegionRequest, Vec<(usize, R)>)> {
    let mut all = Vec::new();
    for region in regions.iter_mut() {
        let taken: Vec<(usize, R)> = region
            .actions
            .extract_if(.., |at| reason(*at).is_some())
            .filter_map(|at| Some((at, reason(at)?.clone())))
            .collect();
        if !taken.is_empty() {
            let (locations, replica_id) = (region.locations.clone(), region.replica_id);
            let actions = taken.iter().map(|(at, _)| *at).collect();
            all.push((RegionRequest { locations, replica_id, actions }, taken));
        }
    }
    regions.retain(|region| !region.actions.is_empty());
    all
}

/// The actions of one replica of a region, by their place among all (HBase:
/// `AsyncBatchRpcRetryingCaller.RegionRequest`).
pub(super) struct RegionRequest {
    pub(super) locations: RegionLocations,
    pub(super) replica_id: u16,
    pub(super) actions: Vec<usize>,
}

/// The regions of a server, in the order of their first actions (HBase: `ServerRequest`).
#[derive(Default)]
pub(super) struct ServerRequest {
    pub(super) regions: Vec<RegionRequest>,
    /// Where each replica of a region is among them.
    places: HashMap<RegionInfo, Vec<usize>>,
}

impl ServerRequest {
    /// Returns a region, which is added if it is not known yet.
    pub(super) fn region(&mut self, locations: RegionLocations, replica_id: u16) -> &mut RegionRequest {
        let region = locations.region();
        let replicas = self.places.get(region).into_iter().flatten();
        let place = match replicas.copied().find(|place| self.regions[*place].replica_id == replica_id) {
            Some(place) => place,
            None => {
                let place = self.regions.len();
                self.places.entry(region.clone()).or_default().push(place);
                self.regions.push(RegionRequest { locations, replica_id, actions: Vec::new() });
                place
            }
        };
        &mut self.regions[place]
    }
}

/// Adds an action to those of a replica of a region, if that has a server.
pub(super) fn add(
    servers: &mut HashMap<ServerName, ServerRequest>,
    locations: RegionLocations,
    replica_id: u16,
    at: usize,
) {
    if let Some(server) = locations.server_of(replica_id).cloned() {
        servers.entry(server).or_default().region(locations, replica_id).actions.push(at);
    }
}
