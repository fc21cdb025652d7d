//! Descriptors and names of tables, from the active master (HBase: `AsyncAdmin`).

use crate::bounded::Answered;
use crate::client::{Client, ClientCore};
use crate::connections::{Call, MASTER_SERVICE};
use crate::proto;
use crate::proto::admin::{
    Empty, GetClusterStatusResponse, GetCompletedSnapshotsResponse, GetTableNamesResponse,
};
use crate::setback::Setback;
use crate::tries::Tries;
use bytes::Bytes;
use hregion::{
    Corruption, Error, ErrorKind, Family, Result, ServerName, SnapshotDescription, TableDescription,
    TableName,
};
use prost::Message;

impl Client {
    /// Returns the names of all tables except those of HBase itself, sorted (HBase: `Admin.listTableNames`).
    ///
    /// # Errors
    ///
    /// If no master responds, or the response does not have names of tables.
    pub async fn tables(&self) -> Result<Vec<TableName>> {
        let answer: GetTableNamesResponse = self.0.ask_master("GetTableNames", &Empty {}).await?;
        let text = |part: Option<Bytes>| String::from_utf8(part.unwrap_or_default().into());
        let name = |name: proto::TableNameMessage| {
            let (namespace, qualifier) = (text(name.namespace).ok()?, text(name.qualifier).ok()?);
            TableName::new(namespace, qualifier).ok()
        };
        let names: Option<Vec<_>> = answer.table_names.into_iter().map(name).collect();
        let wrong = || wrong_answer("the names of tables", &Corruption::Malformed("one is not a table name"));
        let mut names = names.ok_or_else(wrong)?;
        names.sort();
        Ok(names)
    }

    /// Whether a table exists (HBase: `Admin.tableExists`).
    ///
    /// # Errors
    ///
    /// If no master answers.
    pub async fn table_exists(&self, table: &TableName) -> Result<bool> {
        Ok(self.0.find_schema(table).await?.is_some())
    }

    /// Returns the families of a table with their settings, sorted by name (HBase: `Admin.getDescriptor`).
    ///
    /// # Errors
    ///
    /// [`TableNotFound`](ErrorKind::TableNotFound) if the table does not exist;
    /// [`Unsupported`](ErrorKind::Unsupported) if a setting is not understood;
    /// [`Corrupt`](ErrorKind::Corrupt) if the response is not a descriptor, or is that of another table; or
    /// if no master responds.
    pub async fn families(&self, table: &TableName) -> Result<Vec<Family>> {
        let (schema, _) = self.0.schema(table).await?;
        let families = Family::from_table_schema_bytes(&schema).map(|(_, families)| families);
        families.map_err(|corruption| wrong_descriptor(table, &corruption))
    }

    /// Returns all settings of a table and of its families (HBase: `Admin.getDescriptor`).
    ///
    /// # Errors
    ///
    /// [`TableNotFound`](ErrorKind::TableNotFound) if the table does not exist;
    /// [`Unsupported`](ErrorKind::Unsupported) if a setting is not understood;
    /// [`Corrupt`](ErrorKind::Corrupt) if the response is not a descriptor, or is that of another table; or
    /// if no master responds.
    pub async fn describe_table(&self, table: &TableName) -> Result<TableDescription> {
        self.0.schema(table).await.map(|(_, description)| description)
    }

    /// Returns the snapshots, sorted by name (HBase: `Admin.listSnapshots`).
    ///
    /// # Errors
    ///
    /// If no master responds, or the response does not have descriptions of snapshots.
    pub async fn snapshots(&self) -> Result<Vec<SnapshotDescription>> {
        let answer: GetCompletedSnapshotsResponse =
            self.0.ask_master("GetCompletedSnapshots", &Empty {}).await?;
        let wrong = |corruption| wrong_answer("the list of snapshots", &corruption);
        let parse = |found: &Bytes| SnapshotDescription::from_proto_bytes(found).map_err(wrong);
        let mut snapshots = answer.snapshots.iter().map(parse).collect::<Result<Vec<_>>>()?;
        snapshots.sort_by(|a, b| a.name().cmp(b.name()));
        Ok(snapshots)
    }

    /// Returns the region servers that are alive (HBase: `Admin.getRegionServers`).
    ///
    /// # Errors
    ///
    /// If no master responds, or the response does not have names of servers.
    pub async fn live_servers(&self) -> Result<Vec<ServerName>> {
        let answer: GetClusterStatusResponse = self.0.ask_master("GetClusterStatus", &Empty {}).await?;
        let servers = answer.cluster_status.unwrap_or_default().live_servers;
        let parse = |info: proto::admin::LiveServerInfo| {
            ServerName::from_proto_bytes(&info.server.unwrap_or_default())
                .map_err(|corruption| wrong_answer("the state of the cluster", &corruption))
        };
        servers.into_iter().map(parse).collect()
    }
}

/// A descriptor that is not that of a table. The master would answer the same again.
fn wrong_descriptor(table: &TableName, corruption: &Corruption) -> Error {
    wrong_answer(&format!("the descriptor of {table}"), corruption)
}

/// Converts the corruption of a master's answer into an error.
fn wrong_answer(what: &str, corruption: &Corruption) -> Error {
    Error::new(corruption.kind(), format!("{what}: {corruption}"))
}

impl ClientCore {
    /// Returns the `TableSchema` of a table, if it exists.
    pub(crate) async fn find_schema(&self, table: &TableName) -> Result<Option<Bytes>> {
        let table_names = vec![proto::TableNameMessage::of(table)];
        let request = proto::GetTableDescriptorsRequest { table_names };
        let answer: proto::GetTableDescriptorsResponse =
            self.ask_master("GetTableDescriptors", &request).await?;
        Ok(answer.table_schema.into_iter().next())
    }

    /// Returns the `TableSchema` of a table, and its description. Checks its name: the master would change
    /// another table if its schema were sent back with changes.
    pub(crate) async fn schema(&self, table: &TableName) -> Result<(Bytes, TableDescription)> {
        let missing = || Error::new(ErrorKind::TableNotFound, format!("table {table} does not exist"));
        let schema = self.find_schema(table).await?.ok_or_else(missing)?;
        let found = TableDescription::from_table_schema_bytes(&schema);
        let found = found.map_err(|corruption| wrong_descriptor(table, &corruption))?;
        if found.table() != table {
            let other = Corruption::Malformed("it is that of another table");
            return Err(wrong_descriptor(table, &other));
        }
        Ok((schema, found))
    }

    /// Calls a method of the active master, again if it fails or another one becomes active.
    pub(crate) async fn ask_master<M: Answered>(
        &self,
        method: &'static str,
        request: &impl Message,
    ) -> Result<M> {
        self.ask_master_by(&mut Tries::new(self), method, request).await
    }

    /// Calls a method of the active master, as [`ask_master`](Self::ask_master).
    pub(crate) async fn ask_master_by<M: Answered>(
        &self,
        tries: &mut Tries<'_>,
        method: &'static str,
        request: &impl Message,
    ) -> Result<M> {
        loop {
            let deadline = tries.deadline();
            let active = self.ask(deadline, move |locator| locator.registry().active_master(deadline)).await;
            let setback = match active {
                Ok(Some(master)) => {
                    let call = Call {
                        host: master.host(),
                        port: master.port(),
                        service: MASTER_SERVICE,
                        method,
                        param: request,
                        priority: None,
                        time: self.settings.rpc_timeout,
                        deadline,
                    };
                    match self.connections.ask(&call).await {
                        Ok(answer) => {
                            tries.answered();
                            return Ok(answer);
                        }
                        Err(fault) => {
                            tries.note_lost_answer(&fault);
                            Setback::of_fault(fault)?
                        }
                    }
                }
                Ok(None) => {
                    let error = Error::new(ErrorKind::NoServerForRegion, "there is no active master");
                    Setback::of_location(error)?
                }
                Err(error) => Setback::of_location(error)?,
            };
            tries.pause(setback).await?;
        }
    }
}
