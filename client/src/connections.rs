//! The open connections of a client (HBase: `AbstractRpcClient`).

use crate::connection::{Connection, ConnectionSettings};
use crate::fault::Fault;
use hregion::Deadline;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Mutex as AsyncMutex;
use tokio::time::timeout;

/// The service of reads and writes, on region servers.
pub(crate) const CLIENT_SERVICE: &str = "ClientService";
/// The service with the location of the catalog, on all servers.
pub(crate) const META_SERVICE: &str = "ClientMetaService";

/// The service of administration, on the active master.
pub(crate) const MASTER_SERVICE: &str = "MasterService";

/// The service of administration, on region servers.
pub(crate) const ADMIN_SERVICE: &str = "AdminService";

/// One connection for each server and service, opened when first needed, and again after it failed.
#[derive(Debug)]
pub(crate) struct Connections {
    settings: ConnectionSettings,
    slots: Mutex<HashMap<Service, Slot>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Service {
    host: String,
    port: u16,
    name: &'static str,
}

/// Locked while a connection is made, so that callers do not make several.
type Slot = Arc<AsyncMutex<Option<Arc<Connection>>>>;

impl Connections {
    pub(crate) fn new(settings: ConnectionSettings) -> Self {
        Self { settings, slots: Mutex::default() }
    }

    /// The maximum length of a response in bytes.
    pub(crate) fn max_response(&self) -> usize {
        self.settings.max_response
    }

    /// Returns an open connection.
    pub(crate) async fn get(
        &self,
        host: &str,
        port: u16,
        service: &'static str,
        deadline: Deadline,
    ) -> Result<Arc<Connection>, Fault> {
        let key = Service { host: host.to_owned(), port, name: service };
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            if !slots.contains_key(&key) {
                slots.retain(|_, slot| is_used(slot));
            }
            Arc::clone(slots.entry(key).or_default())
        };
        let connecting = async {
            let mut slot = slot.lock().await;
            if let Some(open) = slot.as_ref().filter(|connection| connection.is_open()) {
                return Ok(Arc::clone(open));
            }
            let opened = Connection::open(host, port, service, &self.settings, deadline).await?;
            Ok(Arc::clone(slot.insert(Arc::new(opened))))
        };
        match timeout(deadline.left(), connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(Fault::no_answer(&format!("{host}:{port}"), "a connection")),
        }
    }
}

/// Whether a connection is open or being made. Others are of servers that may never come back.
fn is_used(slot: &Slot) -> bool {
    let Ok(connection) = slot.try_lock() else { return true };
    Arc::strong_count(slot) > 1 || connection.as_ref().is_some_and(|connection| connection.is_open())
}
