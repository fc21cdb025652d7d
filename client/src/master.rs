//! What the active master knows (HBase: `AsyncAdmin`).

use crate::client::{Client, ClientCore};
use crate::connections::MASTER_SERVICE;
use crate::proto;
use crate::tries::{Setback, Tries};
use bytes::Bytes;
use hregion::{Corruption, Error, ErrorKind, Family, Result, TableName};
use prost::Message;

impl Client {
    /// Returns the families of a table with their settings, sorted by name (HBase: `Admin.getDescriptor`).
    ///
    /// # Errors
    ///
    /// [`TableNotFound`](ErrorKind::TableNotFound) if the table does not exist;
    /// [`Unsupported`](ErrorKind::Unsupported) if a setting is not understood;
    /// [`Corrupt`](ErrorKind::Corrupt) if the answer is no descriptor, or that of another table; or if no
    /// master answers.
    pub async fn families(&self, table: &TableName) -> Result<Vec<Family>> {
        let name = proto::TableNameMessage {
            namespace: Some(Bytes::copy_from_slice(table.namespace().as_bytes())),
            qualifier: Some(Bytes::copy_from_slice(table.qualifier().as_bytes())),
        };
        let request = proto::GetTableDescriptorsRequest { table_names: vec![name] };
        let answer: proto::GetTableDescriptorsResponse =
            self.0.ask_master("GetTableDescriptors", &request).await?;
        let Some(schema) = answer.table_schema.first() else {
            let message = format!("table {table} does not exist");
            return Err(Error::locating(ErrorKind::TableNotFound, message));
        };
        // the master would answer the same again
        let wrong = |corruption: Corruption| {
            Error::locating(corruption.kind(), format!("the descriptor of {table}: {corruption}"))
        };
        let (found, families) = Family::from_table_schema_bytes(schema).map_err(wrong)?;
        if found != *table {
            return Err(wrong(Corruption::Malformed("it is that of another table")));
        }
        Ok(families)
    }
}

impl ClientCore {
    /// Calls a method of the active master, again if it fails or another one becomes active.
    async fn ask_master<M: Message + Default>(
        &self,
        method: &'static str,
        request: &impl Message,
    ) -> Result<M> {
        let mut tries = Tries::new(self);
        loop {
            let deadline = tries.deadline();
            let setback = match self.ask(move |locator| locator.registry().active_master(deadline)).await {
                Ok(Some(master)) => {
                    let call = async {
                        let (host, port) = (master.host(), master.port());
                        let connection = self.connections.get(host, port, MASTER_SERVICE, deadline).await?;
                        connection.call::<M>(method, request, None, tries.call_time()).await
                    };
                    match call.await {
                        Ok(answer) => return Ok(answer.message),
                        Err(fault) => Setback::of_fault(fault)?,
                    }
                }
                Ok(None) => {
                    let error = Error::locating(ErrorKind::NoServerForRegion, "there is no active master");
                    Setback::of_location(error)?
                }
                Err(error) => Setback::of_location(error)?,
            };
            tries.pause(setback).await?;
        }
    }
}
