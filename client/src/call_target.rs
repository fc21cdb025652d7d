//! The targets of calls for a region (locator.md §8.3).

use crate::client::ClientCore;
use crate::connection::{Answer, Connection};
use crate::connections::{CLIENT_SERVICE, Call, Connections};
use crate::fault::Fault;
use crate::proto;
use hregion::{Deadline, RegionLocations, TableName};
use prost::Message;
use std::sync::Arc;
use std::time::Duration;

/// A replica of a region and an open connection to its server.
#[derive(Clone)]
pub(crate) struct CallTarget {
    pub(crate) locations: RegionLocations,
    pub(crate) replica_id: u16,
    pub(crate) connection: Arc<Connection>,
    connections: Arc<Connections>,
}

impl CallTarget {
    pub(crate) fn new(
        core: &ClientCore,
        locations: RegionLocations,
        replica_id: u16,
        connection: Arc<Connection>,
    ) -> Self {
        Self { locations, replica_id, connection, connections: Arc::clone(&core.connections) }
    }

    /// Names the replica of the region in a call.
    pub(crate) fn specifier(&self) -> proto::RegionSpecifier {
        proto::RegionSpecifier::of_copy(self.locations.region(), self.replica_id)
    }

    /// Calls a method of the region's server, over another connection if this one has ended.
    pub(crate) async fn call<M: Message + Default>(
        &mut self,
        method: &'static str,
        param: &impl Message,
        time: Duration,
    ) -> Result<Answer<M>, Fault> {
        let priority = priority(self.locations.region().table());
        self.call_with(priority, method, param, time).await
    }

    /// Like [`call`](Self::call), with a priority.
    pub(crate) async fn call_with<M: Message + Default>(
        &mut self,
        priority: Option<u32>,
        method: &'static str,
        param: &impl Message,
        time: Duration,
    ) -> Result<Answer<M>, Fault> {
        let Some(server) = self.locations.server_of(self.replica_id) else {
            return self.connection.call(method, param, priority, time).await;
        };
        let (host, port, deadline) = (server.host(), server.port(), Deadline::after(time));
        let call = Call { host, port, service: CLIENT_SERVICE, method, param, priority, time, deadline };
        self.connections.call_over(&mut self.connection, &call).await
    }
}

/// The priority of requests that are served before those of users (HBase: `HConstants.HIGH_QOS`,
/// `SYSTEMTABLE_QOS`).
pub(crate) const HIGH: u32 = 200;

/// Requests of system tables have a queue of their own.
pub(crate) fn priority(table: &TableName) -> Option<u32> {
    table.is_system().then_some(HIGH)
}
