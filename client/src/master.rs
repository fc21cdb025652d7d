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
    /// If the table does not exist, a setting is not understood, or no master answers.
    pub async fn families(&self, table: &TableName) -> Result<Vec<Family>> {
        let name = proto::TableNameMessage {
            namespace: Some(Bytes::copy_from_slice(table.namespace().as_bytes())),
            qualifier: Some(Bytes::copy_from_slice(table.qualifier().as_bytes())),
        };
        let request = proto::GetTableDescriptorsRequest { table_names: vec![name] };
        self.0
            .ask_master("GetTableDescriptors", &request, |answer: proto::GetTableDescriptorsResponse| {
                let Some(schema) = answer.table_schema.first() else { return Ok(None) };
                let (found, families) = Family::from_table_schema_bytes(schema)?;
                if found != *table {
                    return Err(Corruption::Malformed("descriptor of another table than the one asked for"));
                }
                Ok(Some(families))
            })
            .await?
            .ok_or_else(|| Error::locating(ErrorKind::TableNotFound, format!("table {table} does not exist")))
    }
}

impl ClientCore {
    /// Calls a method of the active master, again if it fails or another one becomes active.
    async fn ask_master<M: Message + Default, T>(
        &self,
        method: &'static str,
        request: &impl Message,
        read: impl Fn(M) -> Result<T, Corruption>,
    ) -> Result<T> {
        let mut tries = Tries::new(self);
        loop {
            let deadline = tries.deadline();
            let setback = match self.ask(move |locator| locator.registry().active_master(deadline)).await {
                Ok(Some(master)) => {
                    let call = async {
                        let (host, port) = (master.host(), master.port());
                        let connection = self.connections.get(host, port, MASTER_SERVICE, deadline).await?;
                        let answer = connection.call::<M>(method, request, None, tries.call_time()).await?;
                        read(answer.message).map_err(|corruption| connection.give_up(&corruption))
                    };
                    match call.await {
                        Ok(answer) => return Ok(answer),
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
