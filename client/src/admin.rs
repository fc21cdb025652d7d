//! Changes of tables, and snapshots (HBase: `AsyncAdmin`).
//!
//! The master answers most requests with the number of a procedure, which it executes even if servers or the
//! master fail. Requests have nonces, so that a repeated one does not start a second procedure.

use crate::client::{Client, ClientCore};
use crate::connections::{ADMIN_SERVICE, Call};
use crate::fault::Fault;
use crate::proto::admin::{
    CompactRegionRequest, CreateTableRequest, Empty, FlushRegionRequest, GetProcedureResultRequest,
    GetProcedureResultResponse, IsSnapshotDoneResponse, MergeTableRegionsRequest, ModifyTableRequest,
    ProcedureResponse, SnapshotName, SnapshotRequest, SnapshotResponse, SplitTableRegionRequest,
    TableRequest, TruncateTableRequest,
};
use crate::proto::{RegionSpecifier, TableNameMessage};
use crate::tries::Tries;
use bytes::Bytes;
use hregion::locator::LocateType;
use hregion::{Compaction, Error, ErrorKind, Family, Result, SnapshotDescription, TableChanges, TableName};
use prost::Message;
use std::time::Duration;
use tokio::time::sleep;

/// The pause before the first query of a procedure, and the longest pause.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Each returns when the master has completed the request, or after the time of an operation: the master may
/// still complete it then, or may have done so if its response was lost, as the error states.
impl Client {
    /// Creates a table with regions separated by split keys, in any order (HBase: `Admin.createTable`).
    ///
    /// # Errors
    ///
    /// If it exists, its namespace does not, a family is invalid, a split key is empty or given twice, or no
    /// master completes it in time.
    pub async fn create_table(
        &self,
        table: &TableName,
        families: &[Family],
        splits: &[impl AsRef<[u8]>],
    ) -> Result<()> {
        self.create_schema(table, Family::to_table_schema_bytes(table, families)?, splits).await
    }

    /// Like [`create_table`](Self::create_table), with the families of `changes`, and its settings of the
    /// table.
    ///
    /// # Errors
    ///
    /// If the table exists, its namespace does not, a setting or a family is invalid, `changes` deletes a
    /// family, a split key is empty or given twice, or no master completes it in time.
    pub async fn create_table_configured(
        &self,
        table: &TableName,
        changes: &TableChanges,
        splits: &[impl AsRef<[u8]>],
    ) -> Result<()> {
        self.create_schema(table, changes.to_table_schema_bytes(table)?, splits).await
    }

    async fn create_schema(
        &self,
        table: &TableName,
        schema: Vec<u8>,
        splits: &[impl AsRef<[u8]>],
    ) -> Result<()> {
        let request = CreateTableRequest {
            table_schema: Some(schema.into()),
            split_keys: in_order(splits)?,
            nonce_group: Some(self.0.nonce_group()),
            nonce: Some(self.0.nonce()),
        };
        self.0.procedure("CreateTable", &request).await?;
        self.0.locator.cache().clear_table(table);
        Ok(())
    }

    /// Changes the families and the settings of a table. Settings that are not mentioned are kept (HBase:
    /// `Admin.modifyTable`).
    ///
    /// # Errors
    ///
    /// If the table or a family to delete does not exist, a setting is invalid or not understood, or no
    /// master completes it in time.
    pub async fn alter_table(&self, table: &TableName, changes: &TableChanges) -> Result<()> {
        let (schema, _) = self.0.schema(table).await?;
        let request = ModifyTableRequest {
            table_name: Some(TableNameMessage::of(table)),
            table_schema: Some(changes.apply_to_table_schema_bytes(&schema)?.into()),
            nonce_group: Some(self.0.nonce_group()),
            nonce: Some(self.0.nonce()),
        };
        self.0.procedure("ModifyTable", &request).await
    }

    /// Enables a table (HBase: `Admin.enableTable`).
    ///
    /// # Errors
    ///
    /// If it does not exist or is not disabled, or no master completes it in time.
    pub async fn enable_table(&self, table: &TableName) -> Result<()> {
        self.0.table_procedure("EnableTable", table).await
    }

    /// Disables a table (HBase: `Admin.disableTable`).
    ///
    /// # Errors
    ///
    /// If it does not exist or is not enabled, or no master completes it in time.
    pub async fn disable_table(&self, table: &TableName) -> Result<()> {
        self.0.table_procedure("DisableTable", table).await
    }

    /// Deletes a table that is disabled (HBase: `Admin.deleteTable`).
    ///
    /// # Errors
    ///
    /// If it does not exist or is not disabled, or no master completes it in time.
    pub async fn delete_table(&self, table: &TableName) -> Result<()> {
        self.0.table_procedure("DeleteTable", table).await
    }

    /// Removes all rows of a table that is disabled, and enables it. Its regions are kept, or it has one then
    /// (HBase: `Admin.truncateTable`).
    ///
    /// # Errors
    ///
    /// If it does not exist or is not disabled, or no master completes it in time.
    pub async fn truncate_table(&self, table: &TableName, preserve_splits: bool) -> Result<()> {
        let request = TruncateTableRequest {
            table_name: Some(TableNameMessage::of(table)),
            preserve_splits: Some(preserve_splits),
            nonce_group: Some(self.0.nonce_group()),
            nonce: Some(self.0.nonce()),
        };
        self.0.procedure("truncateTable", &request).await?;
        self.0.locator.cache().clear_table(table);
        Ok(())
    }

    /// Lets the servers of a table flush its cells from memory to files (HBase: `Admin.flush`). Each region
    /// has the time of an operation.
    ///
    /// # Errors
    ///
    /// If the table does not exist or is disabled, or a server does not do it in time.
    pub async fn flush_table(&self, table: &TableName) -> Result<()> {
        self.0.each_region(table, "FlushRegion", |region| FlushRegionRequest { region: Some(region) }).await
    }

    /// Asks the servers of a table to compact one or all of its families, and does not wait for the end
    /// (HBase: `Admin.compact`, `majorCompact`).
    ///
    /// # Errors
    ///
    /// If the table does not exist or is disabled, or a server does not answer in time.
    pub async fn compact_table(
        &self,
        table: &TableName,
        family: Option<&[u8]>,
        kind: Compaction,
    ) -> Result<()> {
        let request = |region| CompactRegionRequest {
            region: Some(region),
            major: Some(kind == Compaction::Major),
            family: family.map(Bytes::copy_from_slice),
        };
        self.0.each_region(table, "CompactRegion", request).await
    }

    /// Splits the region that has a row; the second part begins with the row (HBase:
    /// `Admin.splitRegionAsync`).
    ///
    /// # Errors
    ///
    /// If the table does not exist or is disabled, the region begins with the row or cannot be split, or no
    /// master completes it in time.
    pub async fn split_region(&self, table: &TableName, row: impl AsRef<[u8]>) -> Result<()> {
        let row = row.as_ref();
        self.check_enabled(table).await?;
        // a cached region may have been split
        self.0.locator.cache().remove_row(table, row);
        let found = self.locate(table, row).await?;
        let request = SplitTableRegionRequest {
            region_info: Some(found.region().to_proto_bytes().into()),
            split_row: Some(Bytes::copy_from_slice(row)),
            nonce_group: Some(self.0.nonce_group()),
            nonce: Some(self.0.nonce()),
        };
        self.0.procedure("SplitRegion", &request).await?;
        self.0.locator.cache().clear_table(table);
        Ok(())
    }

    /// Merges two regions of a table that follow each other, by their encoded names (HBase:
    /// `Admin.mergeRegionsAsync`).
    ///
    /// # Errors
    ///
    /// If there are no such regions, they do not follow each other or cannot be merged, or no master
    /// completes it in time.
    pub async fn merge_regions(&self, first: &str, second: &str) -> Result<()> {
        let request = MergeTableRegionsRequest {
            region: vec![RegionSpecifier::encoded(first), RegionSpecifier::encoded(second)],
            nonce_group: Some(self.0.nonce_group()),
            nonce: Some(self.0.nonce()),
        };
        self.0.procedure("MergeTableRegions", &request).await
    }

    /// Takes a snapshot of a table, whose regions are flushed first (HBase: `Admin.snapshot`).
    ///
    /// # Errors
    ///
    /// If the name is invalid, the table does not exist or is of HBase itself, a snapshot of the name exists,
    /// or no master completes it in time.
    pub async fn snapshot(&self, table: &TableName, name: &str) -> Result<()> {
        let mut tries = Tries::new(&self.0);
        let request = self.0.snapshot_request(name, Some(table))?;
        let answer = self.0.ask_master_by(&mut tries, "Snapshot", &request).await;
        let answer: SnapshotResponse = answer.map_err(|error| tries.in_doubt(error))?;
        if let Some(id) = answer.proc_id {
            return Ok(self.0.await_procedure(&mut tries, "Snapshot", id).await?);
        }
        let request = SnapshotRequest { nonce_group: None, nonce: None, ..request };
        let mut pause = FIRST_PAUSE;
        loop {
            wait(&tries, &mut pause, "Snapshot").await?;
            let answer: IsSnapshotDoneResponse =
                self.0.ask_master_by(&mut tries, "IsSnapshotDone", &request).await?;
            if answer.done.unwrap_or_default() {
                return Ok(());
            }
        }
    }

    /// Creates a table with the content of a snapshot (HBase: `Admin.cloneSnapshot`).
    ///
    /// # Errors
    ///
    /// If the name is invalid or there is no such snapshot, the table exists or is of HBase itself, or no
    /// master completes it in time.
    pub async fn clone_snapshot(&self, name: &str, table: &TableName) -> Result<()> {
        // the master would restore a table that exists and is disabled
        if self.table_exists(table).await? {
            return Err(Error::invalid_argument(format!("table already exists: {table}")));
        }
        Ok(self.restore(name, table).await?)
    }

    /// Lets the master restore a table that is disabled, or create it.
    pub(crate) async fn restore(&self, name: &str, table: &TableName) -> Result<(), ProcedureError> {
        self.0.procedure_or("RestoreSnapshot", &self.0.snapshot_request(name, Some(table))?).await?;
        self.0.locator.cache().clear_table(table);
        Ok(())
    }

    /// Deletes a snapshot, but not the files of its table (HBase: `Admin.deleteSnapshot`).
    ///
    /// # Errors
    ///
    /// If the name is invalid, there is no such snapshot, or no master completes it in time.
    pub async fn delete_snapshot(&self, name: &str) -> Result<()> {
        let request = self.0.snapshot_request(name, None)?;
        let request = SnapshotRequest { nonce_group: None, nonce: None, ..request };
        let mut tries = Tries::new(&self.0);
        let Err(error) = self.0.ask_master_by::<Empty>(&mut tries, "DeleteSnapshot", &request).await else {
            return Ok(());
        };
        // An attempt whose answer was lost may have deleted it.
        let is_gone = tries.has_lost_answer()
            && self.snapshots().await.is_ok_and(|left| left.iter().all(|snapshot| snapshot.name() != name));
        if is_gone { Ok(()) } else { Err(tries.in_doubt(error)) }
    }

    /// Lets the master move regions that were split or merged to the archive, when no region refers to their
    /// files (HBase: `Admin.runCatalogJanitor`).
    ///
    /// # Errors
    ///
    /// If no master answers.
    pub async fn run_catalog_janitor(&self) -> Result<()> {
        let mut tries = Tries::new(&self.0);
        let answer = self.0.ask_master_by::<Empty>(&mut tries, "RunCatalogScan", &Empty {}).await;
        answer.map(drop).map_err(|error| tries.in_doubt(error))
    }
}

/// The reason that a procedure of the master has not succeeded.
pub(crate) struct ProcedureError {
    pub(crate) error: Error,
    /// Whether the master has reported that it did not begin or failed. Otherwise it may continue.
    pub(crate) is_final: bool,
}

/// An error that is unrelated to the procedure's outcome.
impl From<Error> for ProcedureError {
    fn from(error: Error) -> Self {
        Self { error, is_final: false }
    }
}

impl From<ProcedureError> for Error {
    fn from(failed: ProcedureError) -> Self {
        failed.error
    }
}

impl ClientCore {
    /// Builds a request about a snapshot. Masters use any name as a directory, even one that leads out of the
    /// root directory (HBase: `ClientSnapshotDescriptionUtils.assertSnapshotRequestIsValid`).
    ///
    /// # Errors
    ///
    /// If the name is not one of a snapshot, or the table is a system table.
    fn snapshot_request(&self, name: &str, table: Option<&TableName>) -> Result<SnapshotRequest> {
        SnapshotDescription::check_name(name)?;
        if let Some(table) = table.filter(|table| table.is_system()) {
            return Err(Error::invalid_argument(format!(
                "snapshots of {table} are not allowed: it is a system table"
            )));
        }
        let snapshot = SnapshotName {
            name: Some(name.to_owned()),
            table: table.map(ToString::to_string),
            kind: Some(1),
        };
        let (nonce_group, nonce) = (Some(self.nonce_group()), Some(self.nonce()));
        Ok(SnapshotRequest { snapshot: Some(snapshot), nonce_group, nonce })
    }

    async fn table_procedure(&self, method: &'static str, table: &TableName) -> Result<()> {
        let request = TableRequest {
            table_name: Some(TableNameMessage::of(table)),
            nonce_group: Some(self.nonce_group()),
            nonce: Some(self.nonce()),
        };
        self.procedure(method, &request).await?;
        self.locator.cache().clear_table(table);
        Ok(())
    }

    /// Lets the master execute a procedure, and waits for its end.
    async fn procedure(&self, method: &'static str, request: &impl Message) -> Result<()> {
        Ok(self.procedure_or(method, request).await?)
    }

    /// Like [`procedure`](Self::procedure); the error records whether the procedure may continue.
    async fn procedure_or(&self, method: &'static str, request: &impl Message) -> Result<(), ProcedureError> {
        let mut tries = Tries::new(self);
        let answer = self.ask_master_by(&mut tries, method, request).await;
        let answer: ProcedureResponse = answer.map_err(|error| {
            // its answer to an earlier attempt may have been lost
            let is_unknown = tries.has_lost_answer()
                || matches!(error.kind(), ErrorKind::Io | ErrorKind::Corrupt | ErrorKind::Closed);
            let is_final = !is_unknown && !tries.has_given_up();
            ProcedureError { is_final, error: tries.in_doubt(error) }
        })?;
        match answer.proc_id {
            Some(id) => self.await_procedure(&mut tries, method, id).await,
            // before 2.0, some requests have no procedure
            None => {
                let message = format!("{method}: no procedure is named");
                Err(Error::new(ErrorKind::Unsupported, message).into())
            }
        }
    }

    /// Waits for the end of a procedure, which continues even if a query fails: a master that stops forbids
    /// retries, and the next one continues the procedure. If all attempts of a query have failed, it is
    /// repeated until the time is over (HBase: `RawAsyncHBaseAdmin.getProcedureResult`).
    async fn await_procedure(
        &self,
        tries: &mut Tries<'_>,
        method: &str,
        id: u64,
    ) -> Result<(), ProcedureError> {
        let request = GetProcedureResultRequest { proc_id: Some(id) };
        let (mut pause, mut failed) = (FIRST_PAUSE, None::<Error>);
        loop {
            let waited = wait(tries, &mut pause, method).await;
            waited.map_err(|over| failed.take().map_or(over, |error| not_ended(method, &error)))?;
            let asked = self.ask_master_by(tries, "getProcedureResult", &request).await;
            let answer: GetProcedureResultResponse = match asked {
                Ok(answer) => answer,
                Err(error) if tries.is_over() => return Err(not_ended(method, &error).into()),
                Err(error) if tries.has_given_up() || is_stopping(&error) => {
                    // the next query has all attempts again
                    tries.succeeded();
                    failed = Some(error);
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            failed = None;
            match (answer.state, answer.exception) {
                (Some(1), _) => {}
                (Some(2), None) => return Ok(()),
                (Some(2), Some(exception)) => {
                    let exception = exception.generic_exception.unwrap_or_default();
                    let class = exception.class_name.unwrap_or_default();
                    let reason = exception.message.unwrap_or_default();
                    let error = Fault::of_procedure(method, &class, &reason).error;
                    return Err(ProcedureError { error, is_final: true });
                }
                _ => {
                    let message = format!("{method}: the master does not know procedure {id}");
                    return Err(Error::new(ErrorKind::Remote, message).into());
                }
            }
        }
    }

    /// Calls a method of the server of each region of a table.
    async fn each_region<P: Message>(
        &self,
        table: &TableName,
        method: &'static str,
        request: impl Fn(RegionSpecifier) -> P,
    ) -> Result<()> {
        let mut tries = Tries::new(self);
        tries.check_enabled(table).await?;
        // the regions are then known; each is looked up again, because it may be split or merged in the
        // meantime
        tries.regions(table).await?;
        let mut next = Some(Vec::new());
        while let Some(start) = next {
            // each region has the whole time
            tries.progressed();
            let deadline = tries.deadline();
            next = loop {
                let found = self.locate(table, &start, LocateType::At, 0, deadline).await;
                let locations = match found {
                    Ok(locations) => locations,
                    Err(error) => {
                        let ended = tries.not_found(error).await;
                        ended.map_err(|error| tries.in_doubt(error))?;
                        continue;
                    }
                };
                let call = async {
                    let Some(server) = locations.server() else {
                        let message = format!("no server has {} at present", locations.region());
                        return Err(Fault::no_server(message));
                    };
                    let call = Call {
                        host: server.host(),
                        port: server.port(),
                        service: ADMIN_SERVICE,
                        method,
                        param: &request(RegionSpecifier::of(locations.region())),
                        priority: None,
                        time: self.settings.rpc_timeout,
                        deadline,
                    };
                    self.connections.call::<Empty>(&call).await
                };
                match call.await {
                    Ok(_) => {
                        let end = locations.region().end_key();
                        break (!end.is_empty()).then(|| end.to_vec());
                    }
                    Err(fault) => {
                        tries.note_lost_answer(&fault);
                        let ended = tries.failed(&locations, 0, fault).await;
                        ended.map_err(|error| tries.in_doubt(error))?;
                    }
                }
            };
        }
        Ok(())
    }
}

/// Returns split keys in order. A master does not sort them: regions could overlap or be empty (HBase:
/// `RawAsyncHBaseAdmin.verifySplitKeys`).
fn in_order(splits: &[impl AsRef<[u8]>]) -> Result<Vec<Bytes>> {
    let mut keys: Vec<Bytes> = splits.iter().map(|key| Bytes::copy_from_slice(key.as_ref())).collect();
    keys.sort_unstable();
    if keys.first().is_some_and(Bytes::is_empty) || !keys.is_sorted_by(|a, b| a < b) {
        return Err(Error::invalid_argument("split keys must not be empty or repeated"));
    }
    Ok(keys)
}

/// Whether an error is from a master that stops.
fn is_stopping(error: &Error) -> bool {
    error.kind() == ErrorKind::Remote && error.message().contains(": MasterStoppedException: ")
}

/// The message about a procedure that has not ended in the time of an operation.
fn late(method: &str) -> String {
    format!("{method}: the master has not ended it in time; it may still do so")
}

/// The same, if the last query of the master failed.
fn not_ended(method: &str, error: &Error) -> Error {
    Error::new(error.kind(), format!("{}: {}", late(method), error.message()))
}

/// Waits until the next query of a procedure.
async fn wait(tries: &Tries<'_>, pause: &mut Duration, method: &str) -> Result<()> {
    sleep((*pause).min(tries.deadline().remaining())).await;
    if tries.is_over() {
        // the master would have no time to answer
        return Err(Error::new(ErrorKind::Io, late(method)));
    }
    *pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
    Ok(())
}
